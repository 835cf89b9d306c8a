//! `POST /jssdk/diagnose`: explains why a signature is refused. On the admin listener, where an API key
//! gives access to an account's current ticket. `doctor` is the public, rate-limited form.

mod doctor;
mod question;
mod queue;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, Resource, web};
use arc_swap::ArcSwap;

use super::keys::authentication::key_of_request;
use super::keys::authorization::forbidden;
use super::keys::{ApiKey, ApiKeys};
use crate::broker::Broker;
use crate::credential::Kind;
use crate::diagnose::{Case, Role, Target, diagnose};
use crate::endpoint::Problem;
pub use doctor::Doctor;
use question::{Findings, Question, bad_body, only_post};
use queue::Place;

/// `POST {path}` with an API key as `Authorization: Bearer KEY` or `X-Api-Key: KEY`. If the body names an
/// `account` that the key opens, that account's current ticket is used in the computation. No answer
/// contains a ticket. Waits for the core that `doctor` uses too.
///
/// Mount it on a listener that the internet does not reach. Storing other keys in `keys` takes effect at
/// the next request.
#[must_use]
pub fn diagnose_resource(
    path: &str,
    doctor: &Doctor,
    keys: web::Data<ArcSwap<ApiKeys>>,
) -> Resource {
    web::resource(path)
        .app_data(web::Data::new(doctor.clone()))
        .app_data(keys)
        .route(web::post().to(answer))
        .default_service(web::to(only_post))
}

async fn answer(
    request: HttpRequest,
    doctor: web::Data<Doctor>,
    keys: web::Data<ArcSwap<ApiKeys>>,
    body: web::Payload,
) -> HttpResponse {
    let found = async {
        let keys = keys.load();
        let key = key_of_request(&request, &keys)?;
        let question = Question::read(body).await?;
        let place = doctor.queue.enter_with_key()?;
        let case = case(question, key, &doctor.broker, &place).await?;
        place.run(move || diagnose(&case)).await
    };
    match found.await {
        Ok(findings) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .json(Findings { findings }),
        Err(problem) => problem.into_response(),
    }
}

async fn case(
    mut question: Question,
    key: &ApiKey,
    broker: &Broker,
    place: &Place,
) -> Result<Case, Problem> {
    let account = question.account.take();
    let (mut case, _) = place.run(move || question.case()).await?;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actix_web::App;
    use actix_web::http::StatusCode;
    use actix_web::http::header::RETRY_AFTER;
    use actix_web::test::{TestRequest, call_service, init_service, read_body_json};

    use super::*;
    use crate::actix::KeyHash;
    use crate::actix::diagnose::queue::PLACES;
    use crate::endpoint::ClientIps;

    #[tokio::test]
    async fn diagnoses_with_a_key_have_places_of_their_own() {
        let broker = Broker::builder().build().expect("a broker");
        let clients = Arc::new(ClientIps::new(Vec::new(), "x-forwarded-for"));
        let doctor = Doctor::new(broker, clients);
        let keys = ApiKeys::new(vec![ApiKey::new("crm", KeyHash::of("wxk_crm"))]);
        let keys = web::Data::new(ArcSwap::from_pointee(keys));
        let app = init_service(App::new().service(diagnose_resource("/d", &doctor, keys))).await;
        let question = || {
            let request = TestRequest::post()
                .uri("/d")
                .insert_header(("x-api-key", "wxk_crm"));
            request
                .set_payload(r#"{"error":"config:fail"}"#)
                .to_request()
        };
        let of_doctor: Vec<_> = (0..PLACES).map(|_| doctor.queue.enter()).collect();
        assert!(of_doctor.iter().all(Result::is_ok) && doctor.queue.enter().is_err());
        let answer = call_service(&app, question()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let places: Vec<_> = (0..PLACES).map(|_| doctor.queue.enter_with_key()).collect();
        assert!(places.iter().all(Result::is_ok));
        let refused = call_service(&app, question()).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers().get(RETRY_AFTER).unwrap(), "10");
        let problem: serde_json::Value = read_body_json(refused).await;
        assert_eq!(
            problem["detail"],
            format!("{PLACES} diagnoses are already in progress")
        );
        drop(places);
        let answer = call_service(&app, question()).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
}
