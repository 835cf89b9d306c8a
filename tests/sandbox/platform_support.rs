//! A sandbox with an open platform, and a receiver of its pushes.

use std::collections::VecDeque;
use std::sync::Arc;

use actix_web::web::{self, Bytes};
use actix_web::{App as Web, HttpRequest, HttpResponse, HttpServer};
use aes::Aes256;
use base64::Engine as _;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use wx_jssdk::sandbox::{App, OpenPlatform, Sandbox};

use crate::support::*;

pub(crate) const PLATFORM: &str = "wx00000000000c0de0";
pub(crate) const PLATFORM_SECRET: &str = "c0de79e1fa963cd80cc0be99b20a18fa";
pub(crate) const MINI: &str = "wxfedcba9876543210";

pub(crate) fn platform() -> OpenPlatform {
    OpenPlatform::new(PLATFORM, PLATFORM_SECRET).safe_domain("platform.example")
}

/// A platform without a push URL, an official account and a mini program.
pub(crate) async fn platform_sandbox() -> Sandbox {
    platform_sandbox_with(platform()).await
}

pub(crate) async fn platform_sandbox_with(platform: OpenPlatform) -> Sandbox {
    let sandbox = sandbox().await;
    sandbox.add_app(App::mini(MINI, SECRET));
    sandbox.add_platform(platform);
    sandbox
}

/// Calls `/cgi-bin/component/NAME` with a token, if there is one.
pub(crate) async fn component(
    sandbox: &Sandbox,
    name: &str,
    token: Option<&str>,
    body: Value,
) -> Value {
    let token = token.map(|token| format!("?component_access_token={token}"));
    let path = format!("/cgi-bin/component/{name}{}", token.unwrap_or_default());
    post(sandbox, &path, body.to_string()).await
}

pub(crate) fn code_of(answer: &Value) -> i64 {
    answer["errcode"].as_i64().unwrap_or(0)
}

/// Body of `api_component_token`.
pub(crate) fn ticket_body(ticket: &str) -> Value {
    json!({
        "component_appid": PLATFORM,
        "component_appsecret": PLATFORM_SECRET,
        "component_verify_ticket": ticket,
    })
}

/// Has a ticket pushed and fetches the platform's token with it.
pub(crate) async fn component_token(sandbox: &Sandbox) -> String {
    sandbox.push_ticket(PLATFORM).await;
    let ticket = sandbox.component_ticket(PLATFORM).unwrap();
    let answer = component(sandbox, "api_component_token", None, ticket_body(&ticket)).await;
    text(&answer, "component_access_token").to_owned()
}

pub(crate) async fn redeem(sandbox: &Sandbox, token: &str, code: &str) -> Value {
    let body = json!({ "component_appid": PLATFORM, "authorization_code": code });
    component(sandbox, "api_query_auth", Some(token), body).await
}

/// An account's tokens for the platform, after the account authorised it.
pub(crate) struct Tokens {
    pub(crate) component: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

pub(crate) async fn authorized(sandbox: &Sandbox, app: &str) -> Tokens {
    let component = component_token(sandbox).await;
    let code = sandbox.authorize(PLATFORM, app).await;
    let answer = redeem(sandbox, &component, &code).await;
    let info = &answer["authorization_info"];
    Tokens {
        component,
        access: text(info, "authorizer_access_token").to_owned(),
        refresh: text(info, "authorizer_refresh_token").to_owned(),
    }
}

pub(crate) async fn refresh(sandbox: &Sandbox, tokens: &Tokens, app: &str) -> Value {
    let body = json!({
        "component_appid": PLATFORM,
        "authorizer_appid": app,
        "authorizer_refresh_token": tokens.refresh,
    });
    component(
        sandbox,
        "api_authorizer_token",
        Some(&tokens.component),
        body,
    )
    .await
}

/// A push as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) query: String,
    pub(crate) body: String,
}

/// Receives pushes on a free port, with configurable answers.
pub(crate) struct Receiver {
    pub(crate) url: String,
    pub(crate) pushes: mpsc::UnboundedReceiver<Received>,
    /// Status and body of the next answers; afterwards `200 success`.
    pub(crate) answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
    handle: actix_web::dev::ServerHandle,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let (report, pushes) = mpsc::unbounded_channel();
        let answers = Arc::<Mutex<VecDeque<(u16, &'static str)>>>::default();
        let shared = answers.clone();
        let server = HttpServer::new(move || {
            let (report, answers) = (report.clone(), shared.clone());
            let receive = move |request: HttpRequest, body: Bytes| {
                let (report, answers) = (report.clone(), answers.clone());
                async move {
                    let _ = report.send(Received {
                        query: request.query_string().to_owned(),
                        body: String::from_utf8(body.to_vec()).unwrap(),
                    });
                    let next = answers.lock().pop_front();
                    match next {
                        None => HttpResponse::Ok().body("success"),
                        Some((0, _)) => std::future::pending().await,
                        Some((status, body)) => {
                            let status = actix_web::http::StatusCode::from_u16(status).unwrap();
                            HttpResponse::build(status).body(body)
                        }
                    }
                }
            };
            Web::new().route("/push", web::post().to(receive))
        })
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
        let url = format!("http://{}/push", server.addrs()[0]);
        let running = server.run();
        let handle = running.handle();
        tokio::spawn(running);
        Self {
            url,
            pushes,
            answers,
            handle,
        }
    }

    /// The next answers, before `200 success`; a status of 0 never answers.
    pub(crate) fn answer(&self, answers: &[(u16, &'static str)]) {
        self.answers.lock().extend(answers);
    }

    pub(crate) async fn next(&mut self) -> Received {
        self.pushes.recv().await.unwrap()
    }

    /// Returns whether nothing else has been received.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.pushes.try_recv().is_err()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

/// A sandbox whose platform pushes to a receiver.
pub(crate) async fn pushing() -> (Sandbox, Receiver) {
    let receiver = Receiver::start().await;
    let platform = platform()
        .with_push_url(&receiver.url)
        .with_push_keys("push-token", KEY)
        .with_previous_push_keys("old-token", OLD_KEY);
    (platform_sandbox_with(platform).await, receiver)
}

pub(crate) const KEY: &str = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";
pub(crate) const OLD_KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

/// An opened push.
pub(crate) struct Opened {
    pub(crate) message: String,
    pub(crate) receiver: String,
}

pub(crate) fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text
        .split_once(start)
        .unwrap_or_else(|| panic!("no {start} in {text}"));
    rest.split_once(end).unwrap().0
}

pub(crate) fn field<'a>(message: &'a str, name: &str) -> &'a str {
    let value = between(message, &format!("<{name}>"), &format!("</{name}>"));
    let value = value.strip_prefix("<![CDATA[").unwrap_or(value);
    value.strip_suffix("]]>").unwrap_or(value)
}

pub(crate) fn open(push: &Received, key: &str) -> Opened {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    let key: [u8; 32] = engine.decode(key).unwrap().try_into().unwrap();
    let iv: [u8; 16] = key[..16].try_into().unwrap();
    let mut bytes = BASE64_STANDARD
        .decode(field(&push.body, "Encrypt"))
        .unwrap();
    assert_eq!(bytes.len() % 32, 0);
    cbc::Decryptor::<Aes256>::new((&key).into(), (&iv).into())
        .decrypt_padded::<NoPadding>(&mut bytes)
        .unwrap();
    bytes.truncate(bytes.len() - usize::from(*bytes.last().unwrap()));
    let length = u32::from_be_bytes(bytes[16..20].try_into().unwrap()) as usize;
    let text = String::from_utf8(bytes[20..].to_vec()).unwrap();
    let (message, receiver) = text.split_at(length);
    Opened {
        message: message.to_owned(),
        receiver: receiver.to_owned(),
    }
}
