//! `/accounts` on the admin listener: lists the accounts, and adds, changes and removes those that are in the
//! store instead of the configuration.
//!
//! Needs an API key with `manage`. No answer contains a secret.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, ETag, EntityTag, Header, IF_MATCH, IF_NONE_MATCH, IfMatch, IfNoneMatch,
};
use actix_web::{HttpRequest, HttpResponse, web};
use config::Value;
use serde::Serialize;

use super::backpressure::UnsentBudget;
use super::config::{Problems, SECRET_IS_SET};
use super::reload::Reloader;
use crate::account::{Account, Platform, TokenMode};
use crate::actix::json_body;
use crate::actix::{ApiKey, admit_manager};
use crate::broker::{AccountSource, ChangeRefused, Changed, Expected, StoredAccount};
use crate::endpoint::Problem;
use crate::error::{Error, ProblemCode, Text};
use crate::store::StoreError;

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
        let (stored, changed) = put.map_err(|problems| invalid(&problems))?;
        if changed == Changed::Added {
            self.reloader.readiness.restart_grace();
        }
        Ok((stored, changed))
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
    /// Sorted by name.
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

/// `GET /accounts`: those that the key manages.
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
    let accounts = broker.accounts();
    let managed = accounts
        .sources()
        .filter(|(name, _, _)| key.opens_account(name));
    let mut list = List {
        accounts: managed
            .map(|(name, account, source)| {
                Identity::of(name, account, source, broker.platform_name(account))
            })
            .collect(),
    };
    list.accounts
        .sort_unstable_by(|one, other| one.account.cmp(other.account));
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

/// Returns the problem for the holder of this key, who learns no name of an account that the key does not open.
fn refused(refused: ChangeRefused, name: &str, key: &ApiKey) -> Problem {
    let detail = refused.to_string();
    let conflict = |detail, hint| Problem::new(ProblemCode::AccountConflict, detail, hint);
    match refused {
        ChangeRefused::ReadOnly(_) => conflict(
            detail,
            Text::new(
                "Accounts of the configuration are read-only here: change its file and reload, or use another name.",
                "配置文件中的账号在此只读：请修改配置文件并重新加载，或改用其他名称。",
            ),
        ),
        ChangeRefused::Authorizer(_) => conflict(
            detail,
            Text::new(
                "It exists until its owner withdraws the authorisation in WeChat's console.",
                "该账号来自第三方平台授权：管理员在微信后台取消授权后会自动移除。",
            ),
        ),
        ChangeRefused::SameApp { app, other } => conflict(
            match key.opens_account(&other) {
                true => format!(
                    "the accounts \"{other}\" and \"{name}\" are the same app {app}: keep one of them"
                ),
                false => detail,
            },
            Text::new(
                "Two accounts of one app would invalidate each other's tokens: use the other account, or remove it first.",
                "同一应用的两个账号会互相使对方的 token 失效：请使用已有账号，或先删除它。",
            ),
        ),
        ChangeRefused::Unknown(name) => unknown(&name),
        ChangeRefused::Restored(_) => retry(Problem::new(
            ProblemCode::StoreUnavailable,
            detail,
            Text::new(
                "Nothing was removed: the other nodes notice the loss within seconds. Send the request again then.",
                "未作删除：其他节点会在几秒内发现存储的数据丢失，届时请重新发送请求。",
            ),
        )),
        ChangeRefused::Missing | ChangeRefused::Exists | ChangeRefused::OtherVersion(_) => {
            bad_version(detail)
        }
        ChangeRefused::Store(error) => store_problem(&error),
    }
}

fn unknown(name: &str) -> Problem {
    Problem::for_admin(Error::UnknownAccount {
        account: name.to_owned(),
    })
}

fn bad_version(detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(
        ProblemCode::VersionConflict,
        detail.into(),
        Text::new(
            "Get the account, and send its ETag as If-Match; If-None-Match: * only adds.",
            "请先获取该账号，以其 ETag 作为 If-Match；If-None-Match: * 表示仅新增。",
        ),
    )
}

fn store_problem(error: &StoreError) -> Problem {
    if let StoreError::TooLong { .. } = error {
        return Problem::body_too_large(MAX_RECORD, BODY_HINT);
    }
    if error.needs_operator() {
        return Problem::new(
            ProblemCode::StoreUnavailable,
            error.to_string(),
            Text::new(
                "Nothing was changed, and a retry does not help: correct [store] as the detail says, and restart.",
                "未作修改，重试无效：请按 detail 修正 [store] 配置并重启。",
            ),
        );
    }
    retry(Problem::new(
        ProblemCode::StoreUnavailable,
        error.to_string(),
        Text::new(
            "Nothing was changed, or it is not known. Retry when the store is reachable.",
            "未作修改或结果未知；请在存储恢复后重试。",
        ),
    ))
}

fn retry(problem: Problem) -> Problem {
    Problem {
        retry_after: Some(RETRY_AFTER),
        ..problem
    }
}

/// Names all problems of an account at once.
fn invalid(Problems(problems): &Problems) -> Problem {
    let (mut en, mut zh) = (Vec::new(), Vec::new());
    for problem in problems {
        en.push(format!("{}: {}", problem.path, problem.what.en));
        zh.push(format!("{}：{}", problem.path, problem.what.zh));
    }
    let paths: Vec<_> = problems.iter().map(|one| one.path.as_str()).collect();
    let detail = format!("the account has mistakes: {}", paths.join(", "));
    let hint = Text::owned(en.join("; "), zh.join("；"));
    Problem::new(ProblemCode::BadBody, detail, hint)
}

fn bad_body() -> Problem {
    Problem::new(
        ProblemCode::BadBody,
        "the body is not a JSON object",
        BODY_HINT,
    )
}

const BODY_HINT: Text = Text::new(
    r#"Send the keys of [accounts.NAME] as JSON: {"platform": "official", "app_id": "wx…", "secret": "…", "js_safe_domains": ["example.com"]}."#,
    r#"请以 JSON 发送 [accounts.名称] 中的配置项：{"platform": "official", "app_id": "wx…", "secret": "…", "js_safe_domains": ["example.com"]}。"#,
);

/// As often as a node looks for accounts in its store.
const RETRY_AFTER: Duration = Duration::from_secs(5);

const MAX_BODY: usize = 8 * 1024;

/// What a store keeps of an account, in bytes.
const MAX_RECORD: usize = 5_500;

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
