//! Control API of the sandbox: `/sandbox/…` on its own listener.
//!
//! JSON in, JSON out. A body that cannot be read gets a 400 that states what was expected.

use std::time::Duration;

use actix_web::dev::HttpServiceFactory;
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    HeaderValue,
};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Bytes, Data, Json};
use actix_web::{HttpRequest, HttpResponse, Resource, ResponseError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::agent_config::AgentVerify;
use super::app_settings::App;
use super::config_check::{PreVerify, Verdict};
use super::control_api_access::own_pages_only;
use super::fault::FaultKind;
use super::foreign_server::Mode;
use super::hosts_control_api;
use super::platform_control_api;
use super::revoke::Revoke;
use super::shared_state::Shared;
use super::simulated_endpoints::Endpoint;
use super::state_view::State;
use super::user_login::Login;

/// Returns the routes under `/sandbox`.
pub(super) fn scope() -> impl HttpServiceFactory {
    web::scope("/sandbox")
        .route("/state", web::get().to(state))
        .route("/requests", web::get().to(requests))
        .route("/faults", web::post().to(add_fault))
        .route("/faults", web::delete().to(clear_faults))
        .route("/advance", web::post().to(advance))
        .route("/revoke", web::post().to(revoke))
        .route("/foreign-refresh", web::post().to(foreign_refresh))
        .route("/login-codes", web::post().to(login_code))
        .route("/accounts", web::post().to(add_account))
        .route("/reset", web::post().to(reset))
        .service(pre_verify_at("/pre-verify").default_service(web::to(unknown)))
        .configure(hosts_control_api::routes)
        .configure(platform_control_api::routes)
        .default_service(web::to(unknown))
        .wrap(from_fn(own_pages_only))
}

/// Returns the client's verdict as a resource. Other listeners can mount it.
pub(super) fn pre_verify_at(path: &str) -> Resource {
    web::resource(path)
        .route(web::post().to(pre_verify))
        .route(web::method(Method::OPTIONS).to(preflight))
}

/// Answers with the client's verdict, to pages of any origin: the sandbox stands in for the phone's client,
/// which has no origin either.
async fn pre_verify(shared: Data<Shared>, body: Bytes) -> HttpResponse {
    let mut response = match judge(&shared, &body) {
        Ok(verdict) => HttpResponse::Ok().json(json!(verdict)),
        Err(problem) => problem.error_response(),
    };
    let any = HeaderValue::from_static("*");
    response
        .headers_mut()
        .insert(ACCESS_CONTROL_ALLOW_ORIGIN, any);
    response
}

/// Checks a `wx.config`, or a `wx.agentConfig` if the page says so.
fn judge(shared: &Shared, body: &[u8]) -> Result<Verdict, Problem> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Which {
        #[default]
        Config,
        AgentConfig,
    }
    #[derive(Deserialize)]
    struct KindOnly {
        #[serde(default)]
        kind: Which,
    }
    Ok(match read::<KindOnly>(body, PRE_VERIFY)?.kind {
        Which::Config => {
            let page = read::<PreVerify>(body, PRE_VERIFY)?;
            shared.simulate(|it, now| it.verify(&page, now))
        }
        Which::AgentConfig => {
            let page = read::<AgentVerify>(body, AGENT_VERIFY)?;
            shared.simulate(|it, now| it.verify_agent(&page, now))
        }
    })
}

async fn preflight() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, "POST"))
        .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, "content-type"))
        .finish()
}

async fn state(shared: Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(State::of(&shared.inside(), shared.clock.now()))
}

async fn requests(shared: Data<Shared>, request: HttpRequest) -> Result<Json<Value>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        path: Option<String>,
    }
    let Wanted { path } = serde_urlencoded::from_str(request.query_string())
        .map_err(|error| format!("{error}; expected ?path=/cgi-bin/… or no query"))?;
    if let Some(path) = path.as_deref().filter(|path| Endpoint::of(path).is_none()) {
        return Err(Endpoint::unknown(path).into());
    }
    let requests = shared.inside().received.of(path.as_deref());
    Ok(Json(json!({ "requests": requests })))
}

async fn add_fault(shared: Data<Shared>, body: Bytes) -> Result<Json<Value>, Problem> {
    let order = read::<FaultOrder>(&body, FAULT)?;
    let kind = order.kind()?;
    let mut inside = shared.inside();
    inside.faults.add(order.endpoint, kind, order.times);
    Ok(done())
}

async fn clear_faults(shared: Data<Shared>) -> Json<Value> {
    shared.inside().faults.clear();
    done()
}

async fn advance(shared: Data<Shared>, body: Bytes) -> Result<Json<Value>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        seconds: u64,
    }
    let order = read::<Order>(&body, r#"{"seconds": 60}"#)?;
    // A year exceeds every lifetime and quota period; beyond u64 the clock would wrap.
    if order.seconds > MAX_ADVANCE {
        return Err(format!("\"seconds\" must be at most {MAX_ADVANCE}").into());
    }
    if !shared.advance(Duration::from_secs(order.seconds)) {
        let problem = "this sandbox runs on the machine's clock, which it cannot advance";
        return Err(problem.to_owned().into());
    }
    Ok(Json(json!({ "now": shared.clock.now() })))
}

async fn revoke(shared: Data<Shared>, body: Bytes) -> Result<Json<Value>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        app_id: String,
        kind: Revoke,
    }
    let order = read::<Order>(&body, REVOKE)?;
    shared.simulate(|it, now| it.revoke(&order.app_id, order.kind, now))?;
    Ok(done())
}

async fn foreign_refresh(shared: Data<Shared>, body: Bytes) -> Result<Json<Value>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        app_id: String,
        mode: Mode,
    }
    let order = read::<Order>(&body, FOREIGN_REFRESH)?;
    let refreshed = shared.simulate(|it, now| it.foreign_refresh(&order.app_id, order.mode, now));
    let access_token = refreshed?;
    Ok(Json(json!({ "access_token": access_token })))
}

async fn login_code(shared: Data<Shared>, body: Bytes) -> Result<Json<Value>, Problem> {
    let login = read::<Login>(&body, LOGIN_CODE)?;
    let code = shared.simulate(|it, now| it.login_code(login, now))?;
    Ok(Json(json!({ "code": code })))
}

async fn add_account(shared: Data<Shared>, body: Bytes) -> Result<Json<Value>, Problem> {
    let app = read::<App>(&body, ACCOUNT)?;
    if let Some(problem) = app.problem() {
        return Err(format!("{problem}; expected JSON like {ACCOUNT}").into());
    }
    shared.inside().simulator.add(app);
    Ok(done())
}

async fn reset(shared: Data<Shared>) -> Json<Value> {
    shared.inside().reset(shared.clock.now());
    done()
}

async fn unknown(request: HttpRequest) -> HttpResponse {
    let error = format!(
        "unknown endpoint {} {}; available: {ROUTES}",
        request.method(),
        request.path()
    );
    HttpResponse::NotFound().json(json!({ "error": error }))
}

/// Body of `POST /sandbox/faults`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultOrder {
    endpoint: String,
    fault: String,
    errcode: Option<i64>,
    errmsg: Option<String>,
    status: Option<u16>,
    seconds: Option<f64>,
    body: Option<String>,
    #[serde(default = "once")]
    times: u64,
}

impl FaultOrder {
    fn kind(&self) -> Result<FaultKind, String> {
        if Endpoint::of(&self.endpoint).is_none() {
            return Err(Endpoint::unknown(&self.endpoint));
        }
        let needs = |field: &str| format!("the fault \"{}\" requires \"{field}\"", self.fault);
        Ok(match self.fault.as_str() {
            "errcode" => match (self.errcode.ok_or_else(|| needs("errcode"))?, &self.errmsg) {
                (code, Some(text)) => FaultKind::ErrcodeWith(code, text.clone()),
                (code, None) => FaultKind::Errcode(code),
            },
            "status" => match self.status.ok_or_else(|| needs("status"))? {
                status @ 200..=599 => FaultKind::Status(status),
                other => {
                    return Err(format!(
                        "\"status\" must be a number from 200 to 599 (got {other})"
                    ));
                }
            },
            "hang" => FaultKind::Hang,
            "cut_body" => FaultKind::CutBody,
            "not_json" => FaultKind::NotJson,
            "huge_body" => FaultKind::HugeBody,
            "slow" => match self.seconds.ok_or_else(|| needs("seconds"))? {
                seconds if (0.0..=MAX_SLOW).contains(&seconds) => {
                    FaultKind::Slow(Duration::from_secs_f64(seconds))
                }
                other => {
                    return Err(format!(
                        "\"seconds\" must be a number from 0 to {MAX_SLOW} (got {other})"
                    ));
                }
            },
            "lost_reply" => FaultKind::LostReply,
            "body" => FaultKind::Body(self.body.clone().ok_or_else(|| needs("body"))?),
            other => {
                return Err(format!(
                    "\"fault\" must be one of: {FAULTS} (got \"{other}\")"
                ));
            }
        })
    }
}

fn once() -> u64 {
    1
}

/// Parses a body as JSON, whatever its Content-Type is.
pub(super) fn read<T: DeserializeOwned>(body: &[u8], expected: &str) -> Result<T, String> {
    if body.trim_ascii_start().starts_with(b"[") {
        // serde would read a list as the fields in order.
        return Err(format!("got a list; expected JSON like {expected}"));
    }
    serde_json::from_slice(body).map_err(|error| format!("{error}; expected JSON like {expected}"))
}

/// Why an order cannot be carried out: a 400.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Problem(String);

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl ResponseError for Problem {
    fn error_response(&self) -> HttpResponse {
        HttpResponse::BadRequest().json(json!({ "error": self.0 }))
    }
}

/// Answers an order that returns nothing.
pub(super) fn done() -> Json<Value> {
    Json(json!({ "ok": true }))
}

/// One hour. Use `hang` for longer delays.
const MAX_SLOW: f64 = 3_600.0;

/// One year: longer than every lifetime and quota period.
const MAX_ADVANCE: u64 = 366 * 86_400;

const FAULTS: &str = "errcode, status, hang, cut_body, not_json, huge_body, slow, lost_reply, body";
const FAULT: &str = r#"{"endpoint": "/cgi-bin/token", "fault": "errcode", "errcode": -1, "times": 1}, where "fault" is errcode (with "errcode", perhaps "errmsg"), status (with "status"), hang, cut_body, not_json, huge_body, slow (with "seconds"), lost_reply or body (with "body")"#;
const REVOKE: &str = r#"{"app_id": "wx…", "kind": "token"}, where "kind" is token, stable_token, classic_token, ticket, jsapi_ticket, card_ticket or agent_ticket, and a WeCom app's "app_id" is "ww…:1000002""#;
const FOREIGN_REFRESH: &str = r#"{"app_id": "wx…", "mode": "stable"}, where "mode" is stable or classic, or work for "app_id" "ww…:1000002""#;
const LOGIN_CODE: &str = r#"{"app_id": "wx…"}, perhaps with "openid" and "scope", which is snsapi_base or snsapi_userinfo"#;
const ACCOUNT: &str = r#"{"platform": "official", "app_id": "wx…", "secret": "…", "safe_domains": ["example.com"], "allow_ips": null}, where "platform" is official, mini or work (with "agent_id")"#;
const AGENT_VERIFY: &str = r#"{"kind": "agentConfig", "corpid": "ww…", "agentid": "1000002", "timestamp": "…", "nonceStr": "…", "signature": "…", "url": "https://…", "jsApiList": []}"#;
const PRE_VERIFY: &str = r#"{"appId": "wx…", "timestamp": "…", "nonceStr": "…", "signature": "…", "url": "https://…", "landingUrl": "https://…", "client": "android", "jsApiList": []}, where "client" is android, ios, devtools, desktop or wecom; "kind" is config or agentConfig"#;
const ROUTES: &str = "GET /sandbox/state, GET /sandbox/requests, POST and DELETE /sandbox/faults, POST /sandbox/advance, /sandbox/revoke, /sandbox/foreign-refresh, /sandbox/login-codes, /sandbox/accounts, /sandbox/reset, /sandbox/pre-verify, GET and POST /sandbox/hosts, GET, POST and DELETE /sandbox/proxies, POST /sandbox/platforms, /sandbox/push, /sandbox/authorize, /sandbox/cancel-authorization, /sandbox/going-live-check";
