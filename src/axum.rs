//! The endpoints for pages as an axum router, for an embedding application.
//!
//! ```no_run
//! use wx_jssdk::{Account, Broker};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let account = Account::official("wx0123456789abcdef", std::env::var("WX_SECRET")?).js_safe_domain("example.com")?;
//! let broker = Broker::builder().account("main", account).build()?;
//! tokio::spawn(broker.clone().keep_fresh());
//! let app: axum::Router = axum::Router::new().nest("/jssdk", wx_jssdk::axum::public_router(broker));
//! # Ok(())
//! # }
//! ```

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use crate::broker::Broker;
use crate::endpoint::cors::{self, Header, SIGNED_HEADERS, Value};
use crate::endpoint::{self, ClientFile, FILE_METHODS, Headers, Problem, READS, RateLimit};

/// The endpoints of `actix::public_scope`, with the same answers; nest it at any path, or merge it at the root.
/// Its fallback answers unknown paths, so a router that it is merged into must not have one.
///
/// With a layer `Extension<Arc<RateLimit>>`, requests are limited per client. That needs the address of the
/// connection's peer: serve the application with `into_make_service_with_connect_info::<SocketAddr>()`.
///
/// `S` is the state of the application, which the router does not use.
pub fn public_router<S>(broker: Broker) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let signing = endpoint::SIGNING
        .into_iter()
        .fold(Router::new(), |router, path| {
            let answer =
                move |State(broker): State<Broker>, parts: Parts| sign(path, broker, parts);
            let refuse = async |state, parts| refuse_method(READS, state, parts);
            router.route(path, get(answer).options(preflight).fallback(refuse))
        });
    signing
        .route("/wx-jssdk.js", file(&endpoint::SCRIPT))
        .route("/wx-jssdk.d.ts", file(&endpoint::TYPES))
        .fallback(unknown_path)
        .with_state(broker)
}

/// Answers within the rate limit.
async fn sign(path: &str, broker: Broker, parts: Parts) -> Response {
    let answer = match check_rate_limit(&parts) {
        Ok(()) => endpoint::answer(&broker, path, query(&parts)).await,
        Err(problem) => Err(problem),
    };
    readable(&broker, &parts, answer)
}

fn query(parts: &Parts) -> &str {
    parts.uri.query().unwrap_or_default()
}

/// Checks the request against the rate limit, if one is mounted.
fn check_rate_limit(parts: &Parts) -> Result<(), Problem> {
    let limit = parts.extensions.get::<Arc<RateLimit>>();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.ip());
    limit.map_or(Ok(()), |limit| limit.check(peer, &parts.headers))
}

impl Headers for HeaderMap {
    fn values<'h>(&'h self, name: &str) -> impl DoubleEndedIterator<Item = &'h [u8]> {
        self.get_all(name).iter().map(HeaderValue::as_bytes)
    }
}

/// Lets pages on the account's safe domains read the answer, and pages of any site an error.
fn readable(broker: &Broker, parts: &Parts, answer: Result<Vec<u8>, Problem>) -> Response {
    let added = cors::of_answer(broker, query(parts), origin(parts), answer.is_err());
    let mut response = answer.map(|text| (SIGNED_HEADERS, text)).into_response();
    allow(added, parts, response.headers_mut());
    response
}

fn origin(parts: &Parts) -> Option<&[u8]> {
    let origin = parts.headers.get(header::ORIGIN);
    origin.map(HeaderValue::as_bytes)
}

/// Adds these headers and `Vary` to an answer that depends on the origin.
fn allow(added: &[Header], parts: &Parts, headers: &mut HeaderMap) {
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    add(added, parts, headers);
}

fn add(added: &[Header], parts: &Parts, headers: &mut HeaderMap) {
    for (name, value) in added {
        let value = match *value {
            Value::Text(text) => Some(HeaderValue::from_static(text)),
            Value::OfRequest(name) => parts.headers.get(name).cloned(),
        };
        if let Some(value) = value {
            headers.insert(*name, value);
        }
    }
}

async fn preflight(State(broker): State<Broker>, parts: Parts) -> Response {
    let added = cors::of_preflight(&broker, query(&parts), origin(&parts));
    let mut response = StatusCode::NO_CONTENT.into_response();
    allow(added, &parts, response.headers_mut());
    response
}

/// Answers another method than those of `allow`.
fn refuse_method(
    allow: &'static str,
    State(broker): State<Broker>,
    parts: Parts,
) -> impl IntoResponse {
    let problem = Problem::method_not_allowed(allow);
    let response = readable(&broker, &parts, Err(problem));
    ([(header::ALLOW, allow)], response)
}

async fn unknown_path(parts: Parts) -> Response {
    let mut response = IntoResponse::into_response(Problem::not_found());
    add(&cors::ANYONE, &parts, response.headers_mut());
    response
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = [
            (header::CONTENT_TYPE, "application/problem+json"),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let wait = self.retry_after.map(|wait| wait.as_secs().max(1));
        let wait = wait.map(|seconds| [(header::RETRY_AFTER, seconds)]);
        (status, headers, wait, self.body()).into_response()
    }
}

/// Serves a file, or 304 to a client that has this version already.
fn file(file: &'static LazyLock<ClientFile>) -> MethodRouter<Broker> {
    let send = async move |request: HeaderMap| {
        if endpoint::client_has(&request, &file.tag) {
            return (StatusCode::NOT_MODIFIED, file.headers()).into_response();
        }
        let content_type = [(header::CONTENT_TYPE, file.content_type)];
        (file.headers(), content_type, file.text).into_response()
    };
    let refuse = async |state, parts| refuse_method(FILE_METHODS, state, parts);
    get(send).fallback(refuse)
}
