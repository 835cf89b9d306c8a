//! `POST /jssdk/diagnose`: explains why a signature is refused. On the admin listener, where an API key
//! gives access to an account's current ticket. `doctor` is the public, rate-limited form.

mod doctor;
mod question;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, Resource, web};
use arc_swap::ArcSwap;

use super::credentials::forbidden;
use super::json_body::Body;
use super::keys::presented_key::key_of_request;
use super::keys::{ApiKey, ApiKeys};
use crate::broker::Broker;
use crate::credential::Kind;
use crate::diagnose::{Case, Role, Target, diagnose};
use crate::endpoint::Problem;
pub use doctor::Doctor;
use question::{Findings, MAX_BODY, Question, bad_body, only_post};

/// `POST {path}` with an API key as `Authorization: Bearer KEY` or `X-Api-Key: KEY`. If the body names an
/// `account` that the key opens, that account's current ticket is used in the computation. No answer
/// contains a ticket.
///
/// Mount it on a listener that the internet does not reach. Storing other keys in `keys` takes effect at
/// the next request.
#[must_use]
pub fn diagnose_resource(
    path: &str,
    broker: Broker,
    keys: web::Data<ArcSwap<ApiKeys>>,
) -> Resource {
    web::resource(path)
        .app_data(web::Data::new(broker))
        .app_data(keys)
        .app_data(web::PayloadConfig::new(MAX_BODY))
        .route(web::post().to(answer))
        .default_service(web::to(only_post))
}

async fn answer(
    request: HttpRequest,
    broker: web::Data<Broker>,
    keys: web::Data<ArcSwap<ApiKeys>>,
    body: Body,
) -> HttpResponse {
    let found = async {
        let keys = keys.load();
        let key = key_of_request(&request, &keys)?;
        let case = case(Question::read(body)?, key, &broker).await?;
        // Up to a second of hashing: not on a worker thread.
        web::block(move || diagnose(&case))
            .await
            .map_err(|_| bad_body())
    };
    match found.await {
        Ok(findings) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .json(Findings { findings }),
        Err(problem) => problem.into_response(),
    }
}

async fn case(mut question: Question, key: &ApiKey, broker: &Broker) -> Result<Case, Problem> {
    let account = question.account.take();
    let (mut case, _) = question.case();
    if let Some(account) = &account {
        let kind = signing_kind(case.signed_for());
        if !key.opens(account, kind) {
            return Err(forbidden());
        }
        let ticket = broker
            .credential(account, kind)
            .await
            .map_err(Problem::for_admin)?;
        let role = case.signed_for().role();
        case = case.ticket(role, ticket.value.clone());
        if let Some(previous) = broker.previous(account, kind) {
            case = case.ticket(Role::Previous, previous);
        }
        case.account_app_id = broker
            .accounts()
            .get(account)
            .ok()
            .map(|(_, account)| account.app_id().to_owned());
        case.is_component = doctor::is_component(broker, case.app_id.as_deref());
        case.app_id = case.app_id.or_else(|| case.account_app_id.clone());
    }
    if case.is_whole() || case.error.is_some() {
        Ok(case)
    } else {
        Err(bad_body())
    }
}

/// Returns the kind of ticket that signs for this target.
fn signing_kind(target: Target) -> Kind {
    match target {
        Target::Config => Kind::JsapiTicket,
        Target::AgentConfig => Kind::AgentTicket,
    }
}
