//! `POST /status/refresh`: "refresh now", for an operator with an API key who has fixed the cause of a
//! failure.
//!
//! The key comes in a header; it is neither stored nor logged. The answer never holds the credential.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::csrf::check_own_script;
use super::{STATUS, StatusState, answer};
use crate::actix::admit_key;
use crate::actix::json_body::{self, is_json};
use crate::clock::UnixTime;
use crate::endpoint::Problem;
use crate::error::{ProblemCode, Text};

/// The credential to refresh.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefreshRequest {
    /// The account's name in the configuration.
    account: String,
    /// The name of its kind.
    kind: String,
}

/// Result of the refresh.
#[derive(Serialize)]
struct Refreshed {
    /// The account's name.
    account: String,
    /// The credential's kind.
    kind: &'static str,
    /// `refreshed`, or `unchanged`: WeChat returned the same value again.
    outcome: &'static str,
    /// Expiry, in Unix seconds.
    expires_at: UnixTime,
    /// Seconds until expiry.
    remaining: u64,
}

pub(super) async fn refresh(
    request: HttpRequest,
    body: web::Payload,
    status: web::Data<StatusState>,
) -> HttpResponse {
    STATUS.guard(answer(refresh_now(&request, body, &status).await))
}

async fn refresh_now(
    request: &HttpRequest,
    body: web::Payload,
    status: &StatusState,
) -> Result<Refreshed, Problem> {
    check_own_script(request)?;
    let wanted: RefreshRequest = json_body::read(body, MAX_BODY, BODY_HINT, bad_body).await?;
    if !is_json(request.headers()) {
        return Err(bad_body());
    }
    let (kind, _) = admit_key(
        request,
        &status.reloader.broker,
        &wanted.account,
        &wanted.kind,
        &status.reloader.keys,
    )?;
    let refreshed = status
        .reloader
        .broker
        .refresh_now(&wanted.account, kind)
        .await
        .map_err(Problem::for_admin)?;
    tracing::info!(account = wanted.account, %kind, is_new = refreshed.is_new, "refreshed on an operator's request");
    let clock = status.reloader.broker.clock();
    Ok(Refreshed {
        account: wanted.account,
        kind: kind.as_str(),
        outcome: if refreshed.is_new {
            "refreshed"
        } else {
            "unchanged"
        },
        expires_at: clock.to_wall()(refreshed.credential.expires_at),
        remaining: refreshed.credential.remaining(clock.now()).as_secs(),
    })
}

fn bad_body() -> Problem {
    Problem::new(
        ProblemCode::BadBody,
        r#"the body is not {"account": "…", "kind": "…"} as application/json"#,
        BODY_HINT,
    )
}

const BODY_HINT: Text = Text::new(
    r#"Send {"account": "main", "kind": "jsapi_ticket"} with Content-Type: application/json."#,
    r#"请发送 {"account": "main", "kind": "jsapi_ticket"}，并设置 Content-Type: application/json。"#,
);

/// Size limit of the body, which holds an account's name and a kind.
const MAX_BODY: usize = 2 * 1024;
