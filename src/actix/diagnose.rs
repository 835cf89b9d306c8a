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
use crate::account::{Account, Platform};
use crate::broker::Broker;
use crate::credential::Kind;
use crate::diagnose::{Case, Effort, Role, Target, Ticket, diagnose_both};
use crate::endpoint::Problem;
use crate::error::Error;
use crate::sign::PageUrl;
pub use doctor::Doctor;
use question::{Findings, Question, bad_body, only_post};
use queue::Place;

/// `POST {path}` with an API key as `Authorization: Bearer KEY` or `X-Api-Key: KEY`. If the body names an
/// `account` that the key opens, the tickets that the key opens are used in the computation: that account's,
/// and other accounts' that may have signed instead. No answer contains a ticket. Waits for the core that
/// `doctor` uses too.
///
/// Mount it on a listener that the internet does not reach. Storing other keys in `keys` takes effect at
/// the next request.
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
        let (case, agent) = cases(question, key, &doctor.broker, &place).await?;
        place
            .run(move || diagnose_both(&case, agent.as_ref(), Effort::Full))
            .await
    };
    match found.await {
        Ok(findings) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .json(Findings { findings }),
        Err(problem) => problem.into_response(),
    }
}

/// Returns the case, and that of the `wx.agentConfig` beside it.
async fn cases(
    mut question: Question,
    key: &ApiKey,
    broker: &Broker,
    place: &Place,
) -> Result<(Case, Option<Case>), Problem> {
    let account = question.account.take();
    let (mut case, _) = place.run(move || question.case()).await?;
    let mut agent = case.agent_half();
    if let Some(account) = &account {
        if !key.opens(account, signing_kind(case.signed_for())) {
            return Err(forbidden());
        }
        case.is_component = doctor::is_component(broker, case.app_id.as_deref());
        add_account_tickets(broker, &mut case, account, Some(key))
            .await
            .map_err(Problem::for_admin)?;
        if let Some(agent) = &mut agent
            && key.opens(account, Kind::AgentTicket)
        {
            // Without the app's ticket, the diagnosis asks for it.
            let _ = add_account_tickets(broker, agent, account, Some(key)).await;
        }
    }
    if case.is_whole() || case.error.is_some() {
        Ok((case, agent))
    } else {
        Err(bad_body())
    }
}

/// Adds the account and the tickets that may have signed: its current ones, the previous one, and those of other
/// accounts. With an API key, only tickets that the key opens. The error is that of the ticket that signs; the
/// account is added in any case.
async fn add_account_tickets(
    broker: &Broker,
    case: &mut Case,
    account: &str,
    key: Option<&ApiKey>,
) -> Result<(), Error> {
    let target = case.signed_for();
    let signing = signing_kind(target);
    let right = broker.credential(account, signing).await;
    // Found even if only the store had it before.
    let accounts = broker.accounts();
    let found = accounts.get(account);
    if let Ok((_, account)) = found {
        note_account(case, account);
    }
    let right = right?;
    let (name, account) = found?;
    case.tickets.push(Ticket {
        role: target.role(),
        value: right.value.clone(),
    });
    // Only what a page's own request would refresh, too.
    for kind in account.kept_kinds() {
        if *kind != signing
            && opens(key, name, *kind)
            && let Ok(credential) = broker.credential(name, *kind).await
        {
            case.tickets.push(Ticket {
                role: doctor::role_of(*kind),
                value: credential.value.clone(),
            });
        }
    }
    // A backend's cache may still hold it.
    if let Some(value) = broker.previous(name, signing) {
        let role = Role::Previous;
        case.tickets.push(Ticket { role, value });
    }
    let others = other_tickets(broker, case, name, account, key);
    case.tickets.extend(others);
    Ok(())
}

/// Returns whether a ticket may be used: with an API key, if the key opens it.
fn opens(key: Option<&ApiKey>, account: &str, kind: Kind) -> bool {
    key.is_none_or(|key| key.opens(account, kind))
}

fn note_account(case: &mut Case, account: &Account) {
    let app_id = account.app_id();
    case.account_app_id = Some(app_id.to_owned());
    case.app_id.get_or_insert_with(|| app_id.to_owned());
    if let Platform::Work { agent_id } = account.platform() {
        case.account_agent_id = Some(agent_id);
    }
}

/// Returns the tickets of other accounts that may have signed instead: the other apps of the corp, and the
/// accounts that sign this page. Takes only what is in memory, and a bounded number, because every mistake is
/// tried with each ticket. Without an API key, their roles do not name the accounts.
fn other_tickets(
    broker: &Broker,
    case: &Case,
    own: &str,
    account: &Account,
    key: Option<&ApiKey>,
) -> Vec<Ticket> {
    let page = PageUrl::parse(case.checked()).ok();
    let signs_page = |other: &Account| {
        page.as_ref()
            .is_some_and(|page| other.allows_page(page.host(), page.path()))
    };
    let accounts = broker.accounts();
    let mut others: Vec<(bool, &str)> = accounts
        .iter()
        .filter_map(|(name, other)| {
            let is_foreign = other.app_id() != account.app_id();
            (name != own && (!is_foreign || signs_page(other))).then_some((is_foreign, name))
        })
        .collect();
    others.sort_unstable();
    let target = case.signed_for();
    let kinds = others.into_iter().flat_map(|(is_foreign, name)| {
        // The apps of a corp share its jsapi_ticket.
        let kinds: &[Kind] = if is_foreign {
            &[Kind::AgentTicket, Kind::JsapiTicket]
        } else {
            &[Kind::AgentTicket]
        };
        kinds.iter().map(move |kind| (is_foreign, name, *kind))
    });
    kinds
        .filter(|&(_, name, kind)| opens(key, name, kind))
        .filter_map(|(is_foreign, name, kind)| {
            let role = if target == Target::Config && !is_foreign {
                Role::Agent
            } else {
                Role::Other(key.map_or("another account", |_| name).to_owned())
            };
            let value = broker.in_memory(name, kind)?;
            Some(Ticket { role, value })
        })
        .filter(|other| case.tickets.iter().all(|known| known.value != other.value))
        .take(MAX_OTHERS)
        .collect()
}

/// Returns the kind of ticket that signs for this target.
fn signing_kind(target: Target) -> Kind {
    match target {
        Target::Config => Kind::JsapiTicket,
        Target::AgentConfig => Kind::AgentTicket,
    }
}

/// The tickets of other accounts that are tried.
const MAX_OTHERS: usize = 8;

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
