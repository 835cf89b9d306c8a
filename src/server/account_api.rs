//! `/accounts` on the admin listener: lists the accounts, and adds, changes and removes those that are in the
//! store instead of the configuration.
//!
//! Needs an API key with `manage`. No answer contains a secret.

mod problems;

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, ETag, EntityTag, Header, IF_MATCH, IF_NONE_MATCH, IfMatch, IfNoneMatch,
};
use actix_web::{HttpRequest, HttpResponse, web};
use config::Value;
use serde::Serialize;

use super::backpressure::UnsentBudget;
use super::config::SECRET_IS_SET;
use super::reload::Reloader;
use crate::account::{Account, Platform, TokenMode};
use crate::actix::{admit_manager, json_body};
use crate::broker::{AccountSource, Broker, Changed, Expected, StoredAccount};
use crate::endpoint::Problem;
use problems::{
    BODY_HINT, bad_body, bad_version, invalid, not_loaded, refused, store_problem, unknown,
};

/// Adds `/accounts` and `/accounts/{account}` to an application.
pub(super) fn configure(reloader: Reloader) -> impl FnOnce(&mut web::ServiceConfig) {
    move |services| {
        services
            .app_data(web::Data::new(reloader))
            .service(web::resource("/accounts").route(web::get().to(list)))
            .service(
                web::resource("/accounts/{account}")
                    .route(web::get().to(read))
                    .route(web::put().to(put))
                    .route(web::delete().to(remove)),
            );
    }
}

/// Which account it is.
#[derive(Serialize)]
struct Identity<'a> {
    account: &'a str,
    /// `configuration`, `api` or `platform`.
    source: &'static str,
    platform: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    corp_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<u64>,
    /// Whether it is stored but not used: another account has its name or app.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ignored: bool,
}

/// An account, in the form in which it can be sent back.
#[derive(Serialize)]
struct Details<'a> {
    #[serde(flatten)]
    identity: Identity<'a>,
    /// Left out for an account that authorised an open platform: it has none here.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'static str>,
    token_mode: &'static str,
    js_safe_domains: Vec<String>,
    js_api_list: &'a [String],
    open_tag_list: &'a [String],
}

#[derive(Serialize)]
struct List<'a> {
    /// Sorted by name; an ignored one comes after the one that is used.
    accounts: Vec<Identity<'a>>,
}

impl<'a> Identity<'a> {
    fn of(broker: &Broker, name: &'a str, account: &'a Account, source: AccountSource) -> Self {
        let (app_id, corp_id, agent_id) = match account.platform() {
            Platform::Work { agent_id } => (None, Some(account.app_id()), Some(agent_id)),
            Platform::Official | Platform::Mini | Platform::Component => {
                (Some(account.app_id()), None, None)
            }
        };
        Self {
            account: name,
            source: source.as_str(),
            platform: broker.platform_name(account),
            app_id,
            corp_id,
            agent_id,
            ignored: false,
        }
    }
}

impl<'a> Details<'a> {
    fn of(identity: Identity<'a>, account: &'a Account) -> Self {
        let domains = account.safe_domains().iter();
        let has_secret = account.component_app_id().is_none();
        Self {
            identity,
            secret: has_secret.then_some(SECRET_IS_SET),
            token_mode: match account.mode() {
                TokenMode::Stable => "stable",
                TokenMode::Classic => "classic",
            },
            js_safe_domains: domains.map(ToString::to_string).collect(),
            js_api_list: account.js_apis(),
            open_tag_list: account.open_tags(),
        }
    }
}

/// `GET /accounts`: those that the key manages, stored ones that are not used included.
async fn list(
    request: HttpRequest,
    reloader: web::Data<Reloader>,
    unsent: web::Data<UnsentBudget>,
) -> Result<HttpResponse, Problem> {
    let key = admit_manager(&request, None, &reloader.keys)?;
    let broker = &reloader.broker;
    if broker.awaits_stored_accounts() {
        return Err(not_loaded());
    }
    let (accounts, ignored) = (broker.accounts(), broker.ignored_accounts());
    let managed = accounts
        .sources()
        .filter(|(name, _, _)| key.opens_account(name));
    let managed =
        managed.map(|(name, account, source)| Identity::of(broker, name, account, source));
    let ignored = ignored.iter().filter(|(name, _)| key.opens_account(name));
    let ignored = ignored.map(|(name, account)| Identity {
        ignored: true,
        ..Identity::of(broker, name, account, AccountSource::Api)
    });
    let mut list = List {
        accounts: managed.chain(ignored).collect(),
    };
    list.accounts
        .sort_unstable_by_key(|one| (one.account, one.ignored));
    let response = HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(list);
    Ok(unsent.limit(&request, response))
}

/// `GET /accounts/{account}`.
async fn read(
    request: HttpRequest,
    name: web::Path<String>,
    reloader: web::Data<Reloader>,
) -> Result<HttpResponse, Problem> {
    admit_manager(&request, Some(&name), &reloader.keys)?;
    let broker = &reloader.broker;
    let accounts = broker.accounts();
    let fixed = accounts
        .sources()
        .find(|(known, _, source)| *known == name.as_str() && *source != AccountSource::Api);
    if let Some((name, account, source)) = fixed {
        let identity = Identity::of(broker, name, account, source);
        return Ok(HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .json(Details::of(identity, account)));
    }
    let stored = broker.stored_account(&name).await;
    let stored = stored.map_err(|error| store_problem(&error))?;
    let stored = stored.ok_or_else(|| unknown(&name))?;
    Ok(shown(broker, StatusCode::OK, &name, &stored))
}

/// `PUT /accounts/{account}`: adds or replaces it.
async fn put(
    request: HttpRequest,
    name: web::Path<String>,
    reloader: web::Data<Reloader>,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    to_its_end(async move {
        let key = admit_manager(&request, Some(&name), &reloader.keys)?;
        let expected = expected(&request)?;
        let table: HashMap<String, Value> =
            json_body::read(body, MAX_BODY, BODY_HINT, bad_body).await?;
        let defaults = reloader.account_defaults.load_full();
        let account = |stored: Option<&Account>| defaults.account(&name, table.clone(), stored);
        let broker = &reloader.broker;
        let put = broker.put_account(&name, account, &expected, &key.name);
        let put = put.await.map_err(|refusal| refused(refusal, &name, &key))?;
        let (stored, changed) = put.map_err(|problems| invalid(&problems))?;
        let status = match changed {
            Changed::Added => StatusCode::CREATED,
            Changed::Replaced | Changed::Unchanged => StatusCode::OK,
        };
        Ok(shown(broker, status, &name, &stored))
    })
    .await
}

/// `DELETE /accounts/{account}`.
async fn remove(
    request: HttpRequest,
    name: web::Path<String>,
    reloader: web::Data<Reloader>,
) -> Result<HttpResponse, Problem> {
    to_its_end(async move {
        let key = admit_manager(&request, Some(&name), &reloader.keys)?;
        let expected = expected(&request)?;
        let broker = &reloader.broker;
        let removed = broker.remove_account(&name, &expected, &key.name).await;
        removed.map_err(|refusal| refused(refusal, &name, &key))?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

/// Makes a change to its end even if the client resets its connection: this process would otherwise go on with
/// accounts that are no longer the stored ones.
async fn to_its_end(
    change: impl Future<Output = Result<HttpResponse, Problem>> + 'static,
) -> Result<HttpResponse, Problem> {
    let changed = actix_web::rt::spawn(change).await;
    changed.unwrap_or_else(|_| Ok(HttpResponse::InternalServerError().finish()))
}

fn shown(broker: &Broker, status: StatusCode, name: &str, stored: &StoredAccount) -> HttpResponse {
    let version = EntityTag::new_strong(stored.version.to_string());
    let account = &stored.account;
    let identity = Identity::of(broker, name, account, AccountSource::Api);
    HttpResponse::build(status)
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(ETag(version))
        .json(Details::of(identity, account))
}

/// Returns the version that the request is for. A header that cannot be read is refused, not ignored.
fn expected(request: &HttpRequest) -> Result<Expected, Problem> {
    let headers = request.headers();
    if headers.contains_key(IF_NONE_MATCH) {
        return match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => Ok(Expected::None),
            _ => Err(bad_version("If-None-Match has to be *")),
        };
    }
    if !headers.contains_key(IF_MATCH) {
        return Ok(Expected::Any);
    }
    match IfMatch::parse(request) {
        Ok(IfMatch::Any) => Ok(Expected::Some),
        Ok(IfMatch::Items(tags)) => {
            let strong = tags.iter().filter(|tag| !tag.weak);
            let versions = strong.filter_map(|tag| tag.tag().parse().ok());
            Ok(Expected::Versions(versions.collect()))
        }
        Err(_) => Err(bad_version("If-Match has to be the ETag of the account")),
    }
}

const MAX_BODY: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_whose_client_leaves_is_made_to_its_end() {
        actix_web::rt::System::new().block_on(async {
            let (made, is_made) = tokio::sync::oneshot::channel();
            let change = to_its_end(async move {
                tokio::task::yield_now().await;
                made.send(()).unwrap();
                Ok(HttpResponse::Ok().finish())
            });
            tokio::select! {
                biased;
                _ = change => panic!("it has to wait"),
                () = std::future::ready(()) => {}
            }
            is_made.await.unwrap();
        });
    }
}
