//! Credentials for clients: returns one with its remaining lifetime, and takes reports of dead ones.
//!
//! API keys decide who may call. A key without access to an account does not learn whether the account
//! exists. WeChat's error messages are passed on in full, so that the client can fix the cause.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, Resource, Scope, web};
use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tracing::debug;

use super::json_body;
use super::keys::presented_key::key_of_request;
use super::keys::{ApiKey, ApiKeys, TokenStyle};
use crate::broker::Broker;
use crate::clock::UnixTime;
use crate::credential::{Credential, Kind, Secret};
use crate::endpoint::Problem;
use crate::error::{ProblemCode, Text};

/// The credential endpoints for clients, below `/credentials`, with an API key as `Authorization: Bearer
/// KEY` or `X-Api-Key: KEY`: `GET /credentials/{account}/{kind}` and `POST
/// /credentials/{account}/{kind}/reject`.
///
/// Mount it on a listener that the internet does not reach. Storing other keys in `keys` takes effect at
/// the next request.
#[must_use]
pub fn credentials_scope(broker: Broker, keys: web::Data<ArcSwap<ApiKeys>>) -> Scope {
    web::scope("/credentials")
        .app_data(web::Data::new(broker))
        .app_data(keys)
        .service(rejects("/{account}/{kind}/reject"))
        .service(reads("/{account}/{kind}"))
        .service(rejects("/{platform}/{app_id}/{kind}/reject"))
        .service(reads("/{platform}/{app_id}/{kind}"))
        .default_service(web::to(unknown_path))
}

fn reads(path: &str) -> Resource {
    web::resource(path)
        .route(web::get().to(read))
        .default_service(web::to(only_get))
}

fn rejects(path: &str) -> Resource {
    web::resource(path)
        .route(web::post().to(reject))
        .default_service(web::to(only_post))
}

/// Handles `GET /credentials/{account}/{kind}`.
async fn read(request: HttpRequest, broker: web::Data<Broker>, keys: Keys) -> HttpResponse {
    let answer = async {
        let (account, kind, key) = admitted(&request, &keys)?;
        let account = &*account;
        let credential = broker
            .credential(account, kind)
            .await
            .map_err(Problem::for_admin)?;
        note_recipient(&request, &broker, account, kind, &credential, &key);
        Ok(credential)
    };
    respond(answer.await, &broker)
}

/// Handles `POST /credentials/{account}/{kind}/reject`: WeChat refused the value.
async fn reject(
    request: HttpRequest,
    broker: web::Data<Broker>,
    keys: Keys,
    body: web::Payload,
) -> HttpResponse {
    let answer = async {
        let (account, kind, key) = admitted(&request, &keys)?;
        let account = &*account;
        let bad_value = refused_value(body).await?;
        let credential = broker
            .reject(account, kind, &bad_value)
            .await
            .map_err(Problem::for_admin)?;
        note_recipient(&request, &broker, account, kind, &credential, &key);
        Ok(credential)
    };
    respond(answer.await, &broker)
}

type Keys = web::Data<ArcSwap<ApiKeys>>;

/// A credential as clients get it.
#[derive(Serialize)]
pub(crate) struct Answer {
    /// The token or ticket.
    value: String,
    /// The actual remaining lifetime, in seconds.
    expires_in: u64,
    /// When it expires, in Unix seconds.
    expires_at: UnixTime,
    /// Increases with each new value.
    generation: u64,
}

impl Answer {
    fn of(credential: &Credential, now: UnixTime) -> Self {
        Self {
            value: credential.value.expose().to_owned(),
            expires_in: credential.remaining(now).as_secs(),
            expires_at: credential.expires_at,
            generation: credential.generation,
        }
    }
}

/// Returns the account and kind that the path names, and the name of the API key, if the key opens them.
fn admitted<'a>(
    request: &'a HttpRequest,
    keys: &Keys,
) -> Result<(Cow<'a, str>, Kind, String), Problem> {
    let account = account_in_path(request).unwrap_or_default();
    let kind = request.match_info().get("kind").unwrap_or_default();
    let (kind, key) = admit_key(request, &account, kind, keys)?;
    Ok((account, kind, key))
}

/// Returns the account that the path names, if any. The name of an open platform's account has two segments:
/// `agency/wx0123456789abcdef`.
pub(super) fn account_in_path(request: &HttpRequest) -> Option<Cow<'_, str>> {
    let path = request.match_info();
    match (path.get("platform"), path.get("app_id")) {
        (Some(platform), Some(app_id)) => Some(format!("{platform}/{app_id}").into()),
        _ => path.get("account").map(Cow::Borrowed),
    }
}

/// Records which key got an access token. The drop-in's ticket calls present that token instead of a key.
fn note_recipient(
    request: &HttpRequest,
    broker: &Broker,
    account: &str,
    kind: Kind,
    credential: &Credential,
    key: &str,
) {
    if kind == Kind::AccessToken {
        broker.note_recipient(account, &credential.value, key, peer_ip(request));
    }
}

/// Returns the address of the connection's peer.
pub(super) fn peer_ip(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|peer| peer.ip().to_canonical())
}

#[cfg_attr(not(feature = "server"), allow(dead_code))] // a reload asks
/// Returns the name of the request's key if it is limited neither to accounts nor to kinds.
pub(crate) fn admit_unlimited(
    request: &HttpRequest,
    keys: &ArcSwap<ApiKeys>,
) -> Result<String, Problem> {
    let keys = keys.load();
    let key = key_of_request(request, &keys)?;
    if key.accounts.is_some() || key.kinds.is_some() {
        return Err(Problem::new(
            ProblemCode::Forbidden,
            "the API key is limited to some accounts or kinds",
            Text::new(
                "A reload concerns every account: use an API key without accounts and kinds, or send SIGHUP.",
                "重新加载涉及全部账号：请使用未限定 accounts 与 kinds 的 API key，或发送 SIGHUP。",
            ),
        ));
    }
    Ok(key.name.clone())
}

#[cfg_attr(not(feature = "server"), allow(dead_code))] // only the server adds accounts
/// Returns the request's key if it manages this account or, without one, if it manages accounts.
pub(crate) fn admit_manager(
    request: &HttpRequest,
    account: Option<&str>,
    keys: &ArcSwap<ApiKeys>,
) -> Result<Arc<ApiKey>, Problem> {
    let keys = keys.load();
    let key = key_of_request(request, &keys)?;
    if key.manage && account.is_none_or(|account| key.opens_account(account)) {
        return Ok(key.clone());
    }
    Err(Problem::new(
        ProblemCode::Forbidden,
        "the API key is valid, but does not manage this account",
        Text::new(
            "Set manage = true for the key in server.api_keys. If it has accounts, add the account to them.",
            "请在 server.api_keys 中为该 key 设置 manage = true；如有 accounts，请加上此账号。",
        ),
    ))
}

/// Returns the kind of this name and the key's name, if the request's key opens the kind for this account.
pub(crate) fn admit_key(
    request: &HttpRequest,
    account: &str,
    kind: &str,
    keys: &ArcSwap<ApiKeys>,
) -> Result<(Kind, String), Problem> {
    let keys = keys.load();
    let key = key_of_request(request, &keys)?;
    let kind = kind.parse::<Kind>().map_err(|_| Problem::unknown_kind())?;
    if !key.opens(account, kind) {
        debug!(key = key.name, %kind, "API key has no access to this credential");
        return Err(forbidden());
    }
    if key.token == TokenStyle::Virtual && kind == Kind::AccessToken {
        return Err(only_virtual());
    }
    debug!(key = key.name, account, %kind, path = request.match_pattern(), "credential call");
    Ok((kind, key.name.clone()))
}

/// The body of a `reject`.
#[derive(Deserialize)]
pub(crate) struct Rejection {
    /// The value that WeChat refused.
    value: String,
}

/// Parses the value of a `reject`. Errors do not quote the body: it may hold a token.
async fn refused_value(body: web::Payload) -> Result<Secret, Problem> {
    let rejection: Rejection = json_body::read(body, MAX_BODY, BODY_HINT, bad_body).await?;
    // `$(cat token.txt)` and the like may append a line break, with which the value would match nothing.
    match rejection.value.trim() {
        "" => Err(bad_body()),
        value => Ok(Secret::new(value)),
    }
}

fn respond(answer: Result<Arc<Credential>, Problem>, broker: &Broker) -> HttpResponse {
    match answer {
        Ok(credential) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .json(Answer::of(&credential, broker.clock().now())),
        Err(problem) => problem.into_response(),
    }
}

/// The answer to a missing and to an invalid key alike.
pub(super) fn unauthorized() -> Problem {
    Problem::new(
        ProblemCode::Unauthorized,
        "the request has no API key, or an invalid one",
        Text::new(
            "Send Authorization: Bearer KEY. wx-jssdk keys new creates a key and its lines for the configuration.",
            "请发送请求头 Authorization: Bearer KEY。可用 wx-jssdk keys new 生成 API key 及其配置行。",
        ),
    )
}

/// The same answer whether or not the account exists.
pub(super) fn forbidden() -> Problem {
    Problem::new(
        ProblemCode::Forbidden,
        "the API key is valid, but does not allow this account and kind",
        Text::new(
            "Add the account to the key's accounts, or the kind to its kinds, in server.api_keys.",
            "请在 server.api_keys 中为该 key 的 accounts 加上此账号、kinds 加上此类凭证。",
        ),
    )
}

/// The answer to a key that gets virtual tokens: the real one does not leave this server.
fn only_virtual() -> Problem {
    Problem {
        hint: Text::new(
            "This key has token = \"virtual\": it gets its token from /cgi-bin/token, and calls WeChat through the gateway.",
            "该 key 配置了 token = \"virtual\"：请从 /cgi-bin/token 获取虚拟 token，并通过网关调用微信。",
        ),
        ..forbidden()
    }
}

fn bad_body() -> Problem {
    Problem::new(
        ProblemCode::BadBody,
        r#"the body is not {"value": "…"}"#,
        BODY_HINT,
    )
}

async fn only_get() -> HttpResponse {
    wrong_method("GET", "GET /credentials/{account}/{kind}")
}

async fn only_post() -> HttpResponse {
    wrong_method("POST", "POST /credentials/{account}/{kind}/reject")
}

/// The answer to a method that the route does not have.
pub(super) fn wrong_method(allowed: &'static str, usage: &'static str) -> HttpResponse {
    Problem {
        hint: Text::owned(format!("Use {usage}."), format!("请使用 {usage}。")),
        ..Problem::method_not_allowed(allowed)
    }
    .into_response_allowing(allowed)
}

async fn unknown_path() -> HttpResponse {
    Problem {
        hint: PATHS_HINT,
        ..Problem::not_found()
    }
    .into_response()
}

const BODY_HINT: Text = Text::new(
    r#"Send the value that WeChat rejected: {"value": "…"}."#,
    r#"请发送被微信拒绝的凭证：{"value": "…"}。"#,
);

const PATHS_HINT: Text = Text::new(
    "Available: GET /credentials/{account}/{kind} and POST /credentials/{account}/{kind}/reject.",
    "可用的接口：GET /credentials/{account}/{kind} 与 POST /credentials/{account}/{kind}/reject。",
);

/// WeChat documents up to 512 characters for a token; this also fits the longest token that this program
/// accepts.
const MAX_BODY: usize = 8 * 1024;
