//! Targets that call the service's scopes without a socket: the raw query of a signing request, and requests
//! of API clients.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use actix_web::body::to_bytes;
use actix_web::http::{Method, Uri, header};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, web};
use arc_swap::ArcSwap;
use serde_json::Value;
use wx_jssdk::actix::{
    ApiKey, ApiKeys, ClientIps, Doctor, KeyHash, credentials_scope, diagnose_resource,
    dropin_scope, public_scope,
};
use wx_jssdk::{
    Account, Broker, Clock, Credential, Kind, Secret, Store, UnixTime, UpstreamOptions,
};

/// The account's jsapi_ticket, also used in the test vectors.
pub(crate) const TICKET: &str =
    "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";

/// API key for every account; also in the dictionaries.
const KEY: &str = "wxk_fuzz";
const APP: &str = "wx0123456789abcdef";
const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
const TOKEN: &str = "93_the-living-access-token";
const NOW: UnixTime = UnixTime(1_767_225_600);

/// Checks the raw query of `GET /jssdk/config`: it signs `url`, decoded once, or answers with a problem.
pub fn query(data: &[u8]) {
    let Ok(raw) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(uri) = Uri::try_from(format!("/jssdk/config?{raw}")) else {
        return;
    };
    let answer = ask(TestRequest::get().uri(&uri.to_string()));
    let json = answer.json();
    if answer.status != 200 {
        assert!([400, 403, 404].contains(&answer.status), "{answer:?}");
        return answer.assert_problem(&json);
    }
    // Decodes the parameter independently and cuts its fragment.
    let pairs: Vec<_> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect();
    let urls: Vec<_> = pairs.iter().filter(|(name, _)| name == "url").collect();
    assert_eq!(
        urls.len(),
        1,
        "signed although url is there {} times",
        urls.len()
    );
    let page = urls[0]
        .1
        .split('#')
        .next()
        .expect("a text has a first part");
    assert_eq!(
        json["url"], page,
        "another address than the page's was signed"
    );
    let (nonce, timestamp) = (
        json["nonceStr"].as_str().expect("a nonce"),
        json["timestamp"].as_u64().expect("a number"),
    );
    assert_eq!(json["signature"], super::signature(nonce, timestamp, page));
    let host = url::Url::parse(page)
        .expect("an address")
        .host_str()
        .expect("a host")
        .to_owned();
    assert!(
        host == "example.com" || host.ends_with(".example.com"),
        "signed for {host}"
    );
    assert_eq!(json["appId"], APP);
    for list in ["jsApiList", "openTagList"] {
        let names = json[list].as_array().expect("a list");
        assert!(
            names.len() <= 200
                && names
                    .iter()
                    .all(|name| name.as_str().is_some_and(|name| name.len() <= 64))
        );
    }
}

/// Checks requests of API clients. First line: one byte that selects the route, then the query. Other lines:
/// the body.
pub fn central(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let (path, dropin) = PATHS[usize::from(*first) % PATHS.len()];
    let mut parts = rest.splitn(2, |byte| *byte == b'\n');
    let (raw, body) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let Ok(raw) = std::str::from_utf8(raw) else {
        return;
    };
    let Ok(uri) = Uri::try_from(format!("{path}?{raw}")) else {
        return;
    };
    let method = if body.is_empty() {
        Method::GET
    } else {
        Method::POST
    };
    let request = TestRequest::default().method(method).uri(&uri.to_string());
    let request = request.insert_header((header::AUTHORIZATION, format!("Bearer {KEY}")));
    let answer = ask(request
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .set_payload(body.to_vec()));
    let text = String::from_utf8(answer.body.clone()).expect("answers are UTF-8");
    assert!(!text.contains(SECRET), "the AppSecret left: {text}");
    let json = answer.json();
    if dropin {
        assert_eq!(answer.status, 200, "{text}");
        let given = ["access_token", "ticket"]
            .iter()
            .any(|name| json[name].as_str().is_some_and(|value| !value.is_empty()));
        let refused =
            json["errcode"].as_i64().is_some_and(|code| code != 0) && json["errmsg"].is_string();
        assert!(given != refused, "{text}");
        assert!(
            !given || json["expires_in"].as_u64().is_some_and(|life| life > 0),
            "{text}"
        );
    } else if answer.status != 200 {
        assert!(
            [400, 403, 404, 405, 413, 429, 503].contains(&answer.status),
            "{text}"
        );
        answer.assert_problem(&json);
    }
}

const PATHS: [(&str, bool); 9] = [
    ("/cgi-bin/stable_token", true),
    ("/cgi-bin/token", true),
    ("/cgi-bin/ticket/getticket", true),
    ("/cgi-bin/gettoken", true),
    ("/cgi-bin/get_jsapi_ticket", true),
    ("/cgi-bin/ticket/get", true),
    ("/credentials/main/access_token/reject", false),
    ("/credentials/sales/jsapi_ticket/reject", false),
    ("/jssdk/diagnose", false),
];

/// An HTTP answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    content_type: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn assert_problem(&self, json: &Value) {
        assert_eq!(
            (self.content_type.as_str(), &json["status"]),
            ("application/problem+json", &Value::from(self.status))
        );
        let sentences = [
            &json["title"],
            &json["detail"],
            &json["code"],
            &json["hint"]["en"],
            &json["hint"]["zh"],
        ];
        assert!(
            sentences
                .iter()
                .all(|text| text.as_str().is_some_and(|text| !text.is_empty())),
            "{json}"
        );
    }
}

type Asked = Pin<Box<dyn Future<Output = Answer>>>;

/// The scopes, over a broker with stored credentials and an unreachable upstream.
struct Service {
    runtime: tokio::runtime::Runtime,
    call: Box<dyn Fn(TestRequest) -> Asked>,
}

fn ask(request: TestRequest) -> Answer {
    // Leaked: at the thread's end it is too late to drop a runtime.
    thread_local! { static SERVICE: &'static Service = Box::leak(Box::new(Service::start())); }
    SERVICE.with(|service| service.runtime.block_on((service.call)(request)))
}

impl Service {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let app = runtime.block_on(async {
            let broker = broker().await;
            let key = ApiKey::new("fuzz", KeyHash::of(KEY));
            let keys = web::Data::new(ArcSwap::from_pointee(ApiKeys::new(vec![key])));
            let clients = ClientIps::new(Vec::new(), "x-forwarded-for");
            let doctor = Doctor::new(broker.clone(), clients.into());
            let app = App::new()
                .service(diagnose_resource("/jssdk/diagnose", &doctor, keys.clone()))
                .service(credentials_scope(broker.clone(), keys.clone()))
                .service(dropin_scope(broker.clone(), keys))
                .service(public_scope("/jssdk", broker));
            Rc::new(init_service(app).await)
        });
        let call = move |request: TestRequest| -> Asked {
            let app = app.clone();
            Box::pin(async move {
                let response = call_service(&*app, request.to_request()).await;
                let status = response.status().as_u16();
                let content_type = response
                    .headers()
                    .get(header::CONTENT_TYPE)
                    .and_then(|value| value.to_str().ok());
                let content_type = content_type.unwrap_or_default().to_owned();
                let body = to_bytes(response.into_body())
                    .await
                    .unwrap_or_else(|_| panic!("a body breaks off"));
                Answer {
                    status,
                    content_type,
                    body: body.to_vec(),
                }
            })
        };
        Self {
            runtime,
            call: Box::new(call),
        }
    }
}

/// Returns a broker on a manual clock, so that its credentials never expire.
async fn broker() -> Broker {
    let store = Store::memory();
    let main = Account::official(APP, SECRET)
        .js_safe_domain("example.com")
        .expect("a domain");
    let sales = Account::work("wwbbbbbbbbbbbbbbbb", 1_000_002, SECRET);
    let seeds = [
        (&main, Kind::AccessToken, TOKEN),
        (&main, Kind::JsapiTicket, TICKET),
        (&sales, Kind::AccessToken, "the-token-of-sales"),
        (&sales, Kind::JsapiTicket, "the-ticket-of-the-corp"),
    ];
    for (account, kind, value) in seeds {
        let expires_at = NOW.plus(Duration::from_secs(7_200));
        let credential = Credential {
            value: Secret::new(value),
            issued_at: NOW,
            expires_at,
            generation: NOW.0 * 1_000,
        };
        store
            .save(&account.key(kind), &credential)
            .await
            .expect("memory takes everything");
    }
    // An unreachable port.
    let upstream = UpstreamOptions::at("http://127.0.0.1:9");
    let builder = Broker::builder()
        .clock(Clock::manual(NOW))
        .store(store)
        .upstream(upstream);
    builder
        .account("main", main)
        .account("sales", sales)
        .default_account("main")
        .build()
        .expect("a broker")
}
