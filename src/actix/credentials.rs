//! Credentials for clients: returns one with its remaining lifetime, and takes reports of dead ones.
//!
//! API keys decide who may call. WeChat's error messages are passed on in full, so that the client can fix the
//! cause.

use std::borrow::Cow;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, Resource, Scope, web};
use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use super::json_body;
use super::keys::ApiKeys;
use super::keys::authorization::admit_key;
use super::peer_ip;
use crate::broker::Broker;
use crate::clock::{Clock, UnixTime};
use crate::credential::{Credential, Kind, Secret};
use crate::endpoint::Problem;
use crate::error::{ProblemCode, Text};

/// The credential endpoints for clients, below `/credentials`, with an API key as `Authorization: Bearer
/// KEY` or `X-Api-Key: KEY`: `GET /credentials/{account}/{kind}` and `POST
/// /credentials/{account}/{kind}/reject`.
///
/// Mount it on a listener that the internet does not reach. Storing other keys in `keys` takes effect at
/// the next request.
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
        .default_service(web::to(|| {
            wrong_method("GET", "GET /credentials/{account}/{kind}")
        }))
}

fn rejects(path: &str) -> Resource {
    web::resource(path)
        .route(web::post().to(reject))
        .default_service(web::to(|| {
            wrong_method("POST", "POST /credentials/{account}/{kind}/reject")
        }))
}

/// Handles `GET /credentials/{account}/{kind}`.
async fn read(request: HttpRequest, broker: web::Data<Broker>, keys: Keys) -> HttpResponse {
    answer(&request, &broker, &keys, None).await
}

/// Handles `POST /credentials/{account}/{kind}/reject`: WeChat refused the value.
async fn reject(
    request: HttpRequest,
    broker: web::Data<Broker>,
    keys: Keys,
    body: web::Payload,
) -> HttpResponse {
    answer(&request, &broker, &keys, Some(body)).await
}

/// Answers with a credential. `rejection`: the body with the value that WeChat refused.
async fn answer(
    request: &HttpRequest,
    broker: &Broker,
    keys: &Keys,
    rejection: Option<web::Payload>,
) -> HttpResponse {
    let credential = async {
        let account = account_in_path(request).unwrap_or_default();
        let kind = request.match_info().get("kind").unwrap_or_default();
        let (kind, key) = admit_key(request, broker, &account, kind, keys)?;
        let credential = match rejection {
            None => broker.credential(&account, kind).await,
            Some(body) => {
                let refused = refused_value(body).await?;
                broker.reject(&account, kind, &refused).await
            }
        };
        let credential = credential.map_err(Problem::for_admin)?;
        // The drop-in's ticket calls present the token instead of a key.
        if kind == Kind::AccessToken {
            broker.note_recipient(&account, &credential.value, key, peer_ip(request));
        }
        Ok::<_, Problem>(credential)
    };
    match credential.await {
        Ok(credential) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .json(Answer::of(&credential, broker.clock())),
        Err(problem) => problem.into_response(),
    }
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
    fn of(credential: &Credential, clock: &Clock) -> Self {
        Self {
            value: credential.value.expose().to_owned(),
            expires_in: credential.remaining(clock.now()).as_secs(),
            expires_at: clock.to_wall()(credential.expires_at),
            generation: credential.generation,
        }
    }
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

fn bad_body() -> Problem {
    Problem::new(
        ProblemCode::BadBody,
        r#"the body is not {"value": "…"}"#,
        BODY_HINT,
    )
}

/// The answer to a method that the route does not have.
async fn wrong_method(allowed: &'static str, usage: &'static str) -> HttpResponse {
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
