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
use crate::broker::{AccountSource, Changed, Expected, StoredAccount};
use crate::endpoint::Problem;
use problems::{
    BODY_HINT, bad_body, bad_version, invalid, not_loaded, refused, store_problem, unknown,
};

/// The accounts, and the keys that manage them.
#[derive(Clone)]
pub(super) struct AccountApi {
    pub(super) reloader: Reloader,
}

impl AccountApi {
    /// Adds `/accounts` and `/accounts/{account}` to an application.
    pub(super) fn configure(self) -> impl FnOnce(&mut web::ServiceConfig) {
        move |services| {
            services
                .app_data(web::Data::new(self))
                .service(web::resource("/accounts").route(web::get().to(list)))
                .service(
                    web::resource("/accounts/{account}")
                        .route(web::get().to(read))
                        .route(web::put().to(put))
                        .route(web::delete().to(remove)),
                );
        }
    }

    async fn stored(&self, name: &str) -> Result<Option<StoredAccount>, Problem> {
        let stored = self.reloader.broker.stored_account(name).await;
        stored.map_err(|error| store_problem(&error))
    }

    async fn put(
        &self,
        request: &HttpRequest,
        name: &str,
        body: web::Payload,
    ) -> Result<(StoredAccount, Changed), Problem> {
        let key = admit_manager(request, Some(name), &self.reloader.keys)?;
        let expected = expected(request)?;
        let table: HashMap<String, Value> =
            json_body::read(body, MAX_BODY, BODY_HINT, bad_body).await?;
        let defaults = self.reloader.account_defaults.load_full();
        let account = |stored: Option<&Account>| defaults.account(name, table.clone(), stored);
        let put = self
            .reloader
            .broker
            .put_account(name, account, &expected, &key.name)
            .await;
        let put = put.map_err(|refusal| refused(refusal, name, &key))?;
        put.map_err(|problems| invalid(&problems))
    }

    async fn remove(&self, request: &HttpRequest, name: &str) -> Result<(), Problem> {
        let key = admit_manager(request, Some(name), &self.reloader.keys)?;
        let expected = expected(request)?;
        let removed = self
            .reloader
            .broker
            .remove_account(name, &expected, &key.name)
            .await;
        removed.map_err(|refusal| refused(refusal, name, &key))
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
    fn of(
        name: &'a str,
        account: &'a Account,
        source: AccountSource,
        platform: &'static str,
    ) -> Self {
        let (app_id, corp_id, agent_id) = match account.platform() {
            Platform::Work { agent_id } => (None, Some(account.app_id()), Some(agent_id)),
            Platform::Official | Platform::Mini | Platform::Component => {
                (Some(account.app_id()), None, None)
            }
        };
        Self {
            account: name,
            source: source.as_str(),
            platform,
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
    api: web::Data<AccountApi>,
    unsent: web::Data<UnsentBudget>,
) -> HttpResponse {
    let key = match admit_manager(&request, None, &api.reloader.keys) {
        Ok(key) => key,
        Err(problem) => return problem.into_response(),
    };
    let broker = &api.reloader.broker;
    if broker.awaits_stored_accounts() {
        return not_loaded().into_response();
    }
    let (accounts, ignored) = (broker.accounts(), broker.ignored_accounts());
    let managed = accounts
        .sources()
        .filter(|(name, _, _)| key.opens_account(name));
    let managed = managed.map(|(name, account, source)| {
        Identity::of(name, account, source, broker.platform_name(account))
    });
    let ignored = ignored.iter().filter(|(name, _)| key.opens_account(name));
    let ignored = ignored.map(|(name, account)| {
        let platform = account.platform().as_str();
        Identity {
            ignored: true,
            ..Identity::of(name, account, AccountSource::Api, platform)
        }
    });
    let mut list = List {
        accounts: managed.chain(ignored).collect(),
    };
    list.accounts
        .sort_unstable_by_key(|one| (one.account, one.ignored));
    let response = HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(list);
    unsent.limit(&request, response)
}

/// `GET /accounts/{account}`.
async fn read(
    request: HttpRequest,
    name: web::Path<String>,
    api: web::Data<AccountApi>,
) -> HttpResponse {
    let answer = async {
        admit_manager(&request, Some(&name), &api.reloader.keys)?;
        let accounts = api.reloader.broker.accounts();
        let fixed = accounts
            .sources()
            .find(|(known, _, source)| *known == name.as_str() && *source != AccountSource::Api);
        if let Some((name, account, source)) = fixed {
            let platform = api.reloader.broker.platform_name(account);
            let identity = Identity::of(name, account, source, platform);
            return Ok(HttpResponse::Ok()
                .insert_header((CACHE_CONTROL, "no-store"))
                .json(Details::of(identity, account)));
        }
        match api.stored(&name).await? {
            Some(stored) => Ok(shown(StatusCode::OK, &name, &stored)),
            None => Err(unknown(&name)),
        }
    };
    answer.await.unwrap_or_else(Problem::into_response)
}

/// `PUT /accounts/{account}`: adds or replaces it.
async fn put(
    request: HttpRequest,
    name: web::Path<String>,
    api: web::Data<AccountApi>,
    body: web::Payload,
) -> HttpResponse {
    to_its_end(async move {
        match api.put(&request, &name, body).await {
            Ok((stored, Changed::Added)) => shown(StatusCode::CREATED, &name, &stored),
            Ok((stored, Changed::Replaced | Changed::Unchanged)) => {
                shown(StatusCode::OK, &name, &stored)
            }
            Err(problem) => problem.into_response(),
        }
    })
    .await
}

/// `DELETE /accounts/{account}`.
async fn remove(
    request: HttpRequest,
    name: web::Path<String>,
    api: web::Data<AccountApi>,
) -> HttpResponse {
    to_its_end(async move {
        match api.remove(&request, &name).await {
            Ok(()) => HttpResponse::NoContent().finish(),
            Err(problem) => problem.into_response(),
        }
    })
    .await
}

/// Makes a change to its end even if the client resets its connection: this process would otherwise go on with
/// accounts that are no longer the stored ones.
async fn to_its_end(change: impl Future<Output = HttpResponse> + 'static) -> HttpResponse {
    let changed = actix_web::rt::spawn(change).await;
    changed.unwrap_or_else(|_| HttpResponse::InternalServerError().finish())
}

fn shown(status: StatusCode, name: &str, stored: &StoredAccount) -> HttpResponse {
    let version = EntityTag::new_strong(stored.version.to_string());
    let account = &stored.account;
    let platform = account.platform().as_str();
    let identity = Identity::of(name, account, AccountSource::Api, platform);
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
                HttpResponse::Ok().finish()
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
