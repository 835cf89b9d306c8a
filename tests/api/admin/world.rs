//! An admin listener with one account of each kind, and a client that sends exactly the given requests.

use std::net::SocketAddr;
use std::ops::Deref;
use std::thread;
use std::time::Duration;

use actix_web::{App as Web, HttpServer, web};
use arc_swap::ArcSwap;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use wx_jssdk::account::{Account, TokenMode};
use wx_jssdk::actix::{
    ApiKey, ApiKeys, ClientIps, Doctor, KeyHash, credentials_scope, diagnose_resource, dropin_scope,
};
use wx_jssdk::sandbox::{App, Fault, FaultKind, Sandbox};
use wx_jssdk::store::Store;
use wx_jssdk::{Broker, Clock, Credential, Kind, Secret, UnixTime, UpstreamOptions};

use crate::common::http::{self, Request};

pub(crate) const APP: &str = "wx0123456789abcdef";
pub(crate) const CLASSIC_APP: &str = "wxcccccccccccccccc";
pub(crate) const MINI_APP: &str = "wxaaaaaaaaaaaaaaaa";
pub(crate) const CORP: &str = "wwbbbbbbbbbbbbbbbb";
pub(crate) const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";

pub(crate) const STABLE: &str = "/cgi-bin/stable_token";
pub(crate) const CLASSIC: &str = "/cgi-bin/token";
pub(crate) const TICKET: &str = "/cgi-bin/ticket/getticket";

/// Key for all accounts and kinds.
pub(crate) const KEY: &str = "wxk_all-of-it";
/// Key for `main` and a nonexistent account.
pub(crate) const MAIN_KEY: &str = "wxk_main-only";
/// Key for the jsapi_ticket of `main`.
pub(crate) const TICKET_KEY: &str = "wxk_tickets-only";
/// Key for access tokens only, after [`World::with_token_key`].
pub(crate) const TOKEN_KEY: &str = "wxk_access-tokens-only";
/// Key for `sales`.
pub(crate) const SALES_KEY: &str = "wxk_sales-only";

/// 2026-01-01T08:00:00 in Shanghai.
pub(crate) const START: UnixTime = UnixTime(1_767_225_600);

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) sandbox: Sandbox,
    pub(crate) clock: Clock,
    pub(crate) broker: Broker,
    pub(crate) keys: web::Data<ArcSwap<ApiKeys>>,
    pub(crate) store: Store,
    /// Stops the service when dropped.
    _stop: oneshot::Sender<()>,
}

/// An answer of the admin listener.
#[derive(Debug)]
pub(crate) struct Answer(http::Answer);

impl Deref for Answer {
    type Target = http::Answer;

    fn deref(&self) -> &http::Answer {
        &self.0
    }
}

fn signing(account: Account) -> Account {
    account.js_safe_domain("example.com").unwrap()
}

pub(crate) fn accounts() -> Vec<(&'static str, Account)> {
    vec![
        ("main", signing(Account::official(APP, SECRET))),
        (
            "classic",
            signing(Account::official(CLASSIC_APP, SECRET)).token_mode(TokenMode::Classic),
        ),
        ("mini", Account::mini(MINI_APP, SECRET)),
        ("sales", signing(Account::work(CORP, 1_000_002, SECRET))),
        ("hr", signing(Account::work(CORP, 1_000_003, SECRET))),
    ]
}

pub(crate) fn keys() -> ApiKeys {
    ApiKeys::new(all_keys())
}

fn all_keys() -> Vec<ApiKey> {
    let key = |name: &str, key: &str, accounts: Option<&[&str]>, kinds: Option<&[Kind]>| ApiKey {
        accounts: accounts.map(|names| names.iter().map(ToString::to_string).collect()),
        kinds: kinds.map(<[Kind]>::to_vec),
        ..ApiKey::new(name, KeyHash::of(key))
    };
    vec![
        key("all", KEY, None, None),
        key("crm", MAIN_KEY, Some(&["main", "gone"]), None),
        key(
            "signer",
            TICKET_KEY,
            Some(&["main"]),
            Some(&[Kind::JsapiTicket]),
        ),
        key("shop", SALES_KEY, Some(&["sales"]), None),
    ]
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_wecom_at("http://127.0.0.1:9").await // no server there: the credentials of WeCom apps are in the store
    }

    pub(crate) async fn with_wecom_at(qyapi: &str) -> Self {
        Self::with(Clock::manual(START), qyapi, accounts()).await
    }

    pub(crate) async fn with(
        clock: Clock,
        qyapi: &str,
        accounts: Vec<(&'static str, Account)>,
    ) -> Self {
        let sandbox = Sandbox::start(clock.clone()).await.unwrap();
        for app in [
            App::official(APP, SECRET),
            App::official(CLASSIC_APP, SECRET),
            App::mini(MINI_APP, SECRET),
        ] {
            sandbox.add_app(app);
        }
        let store = Store::memory();
        let upstream = UpstreamOptions {
            weixin: sandbox.url().to_owned(),
            qyapi: qyapi.to_owned(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            ..UpstreamOptions::default()
        };
        let builder = Broker::builder()
            .clock(clock.clone())
            .store(store.clone())
            .upstream(upstream);
        let builder = accounts
            .into_iter()
            .fold(builder, |builder, (name, account)| {
                builder.account(name, account)
            });
        let keys = web::Data::new(ArcSwap::from_pointee(keys()));
        let (report, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let served_keys = keys.clone();
        thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let broker = builder.build().unwrap();
                let served = broker.clone();
                let clients = ClientIps::new(Vec::new(), "x-forwarded-for");
                let doctor = Doctor::new(broker.clone(), clients.into());
                let server = HttpServer::new(move || {
                    Web::new()
                        .service(diagnose_resource(
                            "/jssdk/diagnose",
                            &doctor,
                            served_keys.clone(),
                        ))
                        .service(credentials_scope(served.clone(), served_keys.clone()))
                        .service(dropin_scope(served.clone(), served_keys.clone()))
                });
                let server = server
                    .workers(1)
                    .disable_signals()
                    .shutdown_timeout(0)
                    .bind(("127.0.0.1", 0))
                    .unwrap();
                let address = server.addrs()[0];
                let server = server.run();
                let handle = server.handle();
                let serving = actix_web::rt::spawn(server);
                let _ = report.send((address, broker));
                let _ = stopped.await;
                handle.stop(false).await;
                let _ = serving.await;
            });
        });
        let (address, broker) = started.await.unwrap();
        Self {
            address,
            sandbox,
            clock,
            broker,
            keys,
            store,
            _stop: stop,
        }
    }

    /// Puts a WeCom credential in the store, as another process of the cluster does.
    pub(crate) async fn seed(&self, account: &str, kind: Kind, value: &str) {
        let now = self.clock.now();
        let credential = Credential {
            value: Secret::new(value),
            issued_at: now,
            expires_at: now.plus(Duration::from_secs(7_200)),
            generation: self.clock.now_millis(),
        };
        self.store
            .save(
                &self.broker.accounts().get(account).unwrap().1.key(kind),
                &credential,
            )
            .await
            .unwrap();
    }

    pub(crate) fn advance(&self, seconds: u64) {
        assert!(self.clock.advance(Duration::from_secs(seconds)));
    }

    pub(crate) fn fault(&self, endpoint: &'static str, kind: FaultKind) {
        self.sandbox.fault(Fault::once(endpoint, kind));
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        send(self.address, method, target, headers, body).await
    }

    /// Like `send`, from another address of this machine.
    pub(crate) async fn get_from(&self, source: &str, target: &str) -> Answer {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket
            .bind(SocketAddr::new(source.parse().unwrap(), 0))
            .unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        let answer = http::exchange_over(stream, http::get(target).close().text()).await;
        Answer(http::Answer::parse(&answer))
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], "").await
    }

    pub(crate) async fn get_with(&self, key: &str, target: &str) -> Answer {
        self.send(
            "GET",
            target,
            &[("Authorization", &format!("Bearer {key}"))],
            "",
        )
        .await
    }

    /// Adds [`TOKEN_KEY`] to the keys, limited to access tokens.
    pub(crate) fn with_token_key(&self) {
        let limited = ApiKey {
            kinds: Some(vec![Kind::AccessToken]),
            ..ApiKey::new("tokens", KeyHash::of(TOKEN_KEY))
        };
        self.keys.store(std::sync::Arc::new(ApiKeys::new(
            all_keys().into_iter().chain([limited]).collect(),
        )));
    }

    /// `POST /credentials/…/reject`.
    pub(crate) async fn reject(&self, path: &str, value: &str) -> Answer {
        reject(self.address, path, value).await
    }

    /// `POST /cgi-bin/stable_token` for `main`.
    pub(crate) async fn stable(&self, body: &Value) -> Answer {
        self.send("POST", STABLE, &[], &body.to_string()).await
    }

    /// Returns the access token of an account from `GET /credentials/`.
    pub(crate) async fn token(&self, account: &str) -> String {
        self.get_with(KEY, &format!("/credentials/{account}/access_token"))
            .await
            .ok()
            .text("value")
    }
}

pub(crate) async fn reject(address: SocketAddr, path: &str, value: &str) -> Answer {
    let body = serde_json::json!({ "value": value }).to_string();
    send(
        address,
        "POST",
        &format!("{path}/reject"),
        &[("Authorization", &format!("Bearer {KEY}"))],
        &body,
    )
    .await
}

pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let request = Request::new(method, target).headers(headers).close();
    Answer(http::send(address, request.body(body)).await)
}

impl Answer {
    pub(crate) fn json(&self) -> Json {
        Json(self.0.json())
    }

    /// The body of a success of the admin listener.
    pub(crate) fn ok(&self) -> Json {
        assert_eq!(
            (self.status, self.header("cache-control")),
            (200, Some("no-store")),
            "{self:?}"
        );
        self.json()
    }

    pub(crate) fn problem(&self, status: u16, code: &str) -> Json {
        Json(self.assert_problem(status, code))
    }

    /// A refusal in WeChat's shape: status 200, an errcode, an errmsg, and nothing else.
    pub(crate) fn refused(&self, errcode: i64) -> String {
        assert_eq!(
            (self.status, self.header("cache-control")),
            (200, Some("no-store")),
            "{self:?}"
        );
        let body = self.json();
        assert_eq!(body.0["errcode"], errcode, "{self:?}");
        assert_eq!(body.0.as_object().unwrap().len(), 2, "{self:?}");
        body.text("errmsg")
    }
}

pub(crate) struct Json(pub(crate) Value);

impl Json {
    pub(crate) fn text(&self, name: &str) -> String {
        self.0[name]
            .as_str()
            .unwrap_or_else(|| panic!("no text {name}: {}", self.0))
            .to_owned()
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.0[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no number {name}: {}", self.0))
    }

    /// Asserts that the object has exactly these members.
    pub(crate) fn has_exactly(&self, names: &[&str]) -> bool {
        let members = self.0.as_object().unwrap();
        members.len() == names.len() && names.iter().all(|name| members.contains_key(*name))
    }
}

/// A WeCom that answers every call alike.
pub(crate) async fn wecom_that_says(body: &'static str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request).await;
            let answer = http::answer("200 OK", "", body);
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}
