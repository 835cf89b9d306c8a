//! `POST /jssdk/diagnose`: why a signature is refused. On the private plane, since it may compute with an account's living ticket.

use std::collections::BTreeMap;

use actix_web::http::header::{CACHE_CONTROL, HeaderValue, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, Resource, web};
use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::keys::{ApiKey, ApiKeys};
use super::private::{forbidden, presented, unauthorized, wrong_method};
use super::problem::{Both, Problem};
use crate::broker::Broker;
use crate::credential::Kind;
use crate::diagnose::{Answer, Case, Finding, Role, Target, diagnose};
use crate::error::Hint;

/// `POST {path}` with a key as `Authorization: Bearer KEY` or `X-Api-Key: KEY`. With `account` in the body the account's living
/// ticket is computed with, if the key opens it; no ticket is ever answered.
///
/// For a listener that the internet does not reach. Storing other keys in `keys` takes effect at the next request.
#[must_use]
pub fn diagnose_resource(path: &str, broker: Broker, keys: web::Data<ArcSwap<ApiKeys>>) -> Resource {
    web::resource(path)
        .app_data(web::Data::new(broker))
        .app_data(keys)
        .app_data(web::PayloadConfig::new(MAX_BODY))
        .route(web::post().to(answer))
        .default_service(web::to(|| async { wrong_method("POST", "POST /jssdk/diagnose") }))
}

/// The body. All is optional, but without the four values or an error text there is nothing to say.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Diagnose))]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Question {
    /// The page's `location.href`.
    url: String,
    /// The nonce that the page got.
    nonce: String,
    /// The timestamp that the page got: a number or a text.
    timestamp: Value,
    /// The signature that the page got.
    signature: String,
    /// Whose living ticket is computed with, if the key opens it.
    account: Option<String>,
    /// Whether it was for `wx.agentConfig`.
    agent: bool,
    /// The address of the first page load, where the page changed routes since.
    landing: Option<String>,
    /// Hosts of the API and its proxies.
    hosts: Vec<String>,
    /// What the client said: `config:invalid signature`.
    error: Option<String>,
    /// What a foreign backend answered.
    answer: Value,
    /// By what they are: `current`, `previous`, `card`, `agent`, `access_token`; any other name is another account's.
    tickets: BTreeMap<String, String>,
}

type Body = Result<web::Bytes, actix_web::Error>;

async fn answer(
    request: HttpRequest,
    broker: web::Data<Broker>,
    keys: web::Data<ArcSwap<ApiKeys>>,
    body: Body,
) -> HttpResponse {
    let found = async {
        let keys = keys.load();
        let key = presented(&request).and_then(|key| keys.find(key)).ok_or_else(unauthorized)?;
        let question: Question = body.ok().and_then(|body| serde_json::from_slice(&body).ok()).ok_or_else(bad_body)?;
        let case = case(question, key, &broker).await?;
        // Up to a second of hashing: not on the thread that serves.
        web::block(move || diagnose(&case)).await.map_err(|_| bad_body())
    };
    match found.await {
        Ok(findings) => {
            let findings = findings.into_iter().map(Explained::from).collect();
            HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(Findings { findings })
        }
        Err(problem) => refused(problem),
    }
}

async fn case(question: Question, key: &ApiKey, broker: &Broker) -> Result<Case, Problem> {
    let timestamp = match &question.timestamp {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let target = if question.agent { Target::AgentConfig } else { Target::Config };
    let mut case = Case {
        target,
        landing: question.landing,
        hosts: question.hosts,
        error: question.error,
        ..Case::new(question.url, question.nonce, timestamp, question.signature)
    };
    for (name, value) in question.tickets {
        case = case.ticket(role(name), value);
    }
    if let Some(account) = &question.account {
        let (role, kind) = match target {
            Target::Config => (Role::Current, Kind::JsapiTicket),
            Target::AgentConfig => (Role::Agent, Kind::AgentTicket),
        };
        if !key.opens(account, kind) {
            return Err(forbidden());
        }
        let ticket = broker.credential(account, kind).await.map_err(Problem::for_private)?;
        case = case.ticket(role, ticket.value.clone());
        case.app_id = broker.account(account).ok().map(|account| account.app_id().to_owned());
    }
    if let Some(answer) = Answer::from_json(&question.answer) {
        case = case.answer(answer);
    }
    if case.is_whole() || case.error.is_some() { Ok(case) } else { Err(bad_body()) }
}

fn role(name: String) -> Role {
    match name.as_str() {
        "current" => Role::Current,
        "previous" => Role::Previous,
        "card" => Role::Card,
        "agent" => Role::Agent,
        "access_token" => Role::AccessToken,
        _ => Role::Other(name),
    }
}

/// The answer: best first, never empty.
#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub(crate) struct Findings {
    /// What explains the refusal.
    #[cfg_attr(feature = "server", schema(min_items = 1))]
    findings: Vec<Explained>,
}

/// One cause and its fix.
#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Finding))]
struct Explained {
    /// Stable, snake_case: for programs.
    code: &'static str,
    /// `proven`, `likely` or `possible`.
    confidence: &'static str,
    /// What is wrong.
    cause: Both<'static>,
    /// What to do.
    fix: Both<'static>,
    /// The string that was hashed, with the ticket struck out.
    evidence: Option<String>,
}

impl From<Finding> for Explained {
    fn from(finding: Finding) -> Self {
        let Finding { code, confidence, cause, fix, evidence } = finding;
        Self { code, confidence: confidence.as_str(), cause: cause.into(), fix: fix.into(), evidence }
    }
}

fn refused(problem: Problem) -> HttpResponse {
    let unauthorized = problem.code == "unauthorized";
    let mut response = problem.into_response();
    if unauthorized {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Nothing of the body is quoted: it may hold a ticket.
fn bad_body() -> Problem {
    Problem::bad_request(
        "bad_body",
        "the body is no case that can be diagnosed".into(),
        Hint::fixed(
            r#"Send {"url","nonce","timestamp","signature"} or {"url","answer":{…}} or {"error"}, and with them account or tickets, landing, hosts."#,
            r#"请发送 {"url","nonce","timestamp","signature"}、{"url","answer":{…}} 或 {"error"}，可加上 account 或 tickets、landing、hosts。"#,
        ),
    )
}

/// A page's address of 16 KiB twice, and room for the rest.
const MAX_BODY: usize = 64 * 1024;
