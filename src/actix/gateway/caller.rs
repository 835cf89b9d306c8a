//! Who calls, and for which account: found from an API key, a token that this server handed out, or a user's
//! token from a login through this server.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use serde_json::Value;

use super::super::dropin::reply::Refusal;
use super::super::dropin::{
    account_of_token, dead_token, find_key, key_in_headers, key_in_tokens_place, owner_of_token,
    system_of,
};
use super::super::keys::authentication::Presenter;
use super::super::keys::call_policy::CallRight;
use super::super::keys::{ApiKey, ApiKeys, virtual_token};
use super::{Incoming, Shared};
use crate::account::{Account, Platform};
use crate::actix::WechatPath;
use crate::broker::Accounts;
use crate::credential::KeyId;
use crate::error::System;
use crate::error::codes::wire_errors;

/// An authorised caller.
pub(super) struct Caller {
    pub(super) key: Arc<ApiKey>,
    /// The configured name of the account.
    pub(super) name: String,
    pub(super) account: Arc<Account>,
}

/// The users' tokens that logins through this server returned, as hashes that only this process can compute,
/// with the key and the account of the login. `/sns/` calls present such a token and nothing else.
pub(super) struct UserTokens {
    owners: Cache<u64, (KeyId, String)>,
    hasher: RandomState,
}

impl Default for UserTokens {
    fn default() -> Self {
        Self {
            owners: Cache::builder()
                .max_capacity(MOST_USERS)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(REFRESH_TOKEN_LIFE)
                .build(),
            hasher: RandomState::new(),
        }
    }
}

impl UserTokens {
    /// Records the tokens of a successful login.
    pub(super) fn note(&self, caller: &Caller, answer: &Value) {
        for member in ["access_token", "refresh_token"] {
            if let Some(token) = answer.get(member).and_then(Value::as_str) {
                let owner = (caller.key.id(), caller.name.clone());
                self.owners.insert(self.hasher.hash_one(token), owner);
            }
        }
    }

    fn owner(&self, token: &str) -> Option<(KeyId, String)> {
        self.owners.get(&self.hasher.hash_one(token))
    }
}

/// Finds the caller of one call.
pub(super) struct Identification<'a> {
    pub(super) shared: &'a Shared,
    pub(super) incoming: &'a Incoming<'a>,
    pub(super) path: WechatPath<'a>,
    pub(super) keys: &'a ApiKeys,
    /// The body of a call that carries the AppSecret in JSON.
    pub(super) secret_body: Option<&'a [u8]>,
}

impl Identification<'_> {
    /// Returns the caller, if its key opens the account.
    pub(super) async fn caller(&self) -> Result<Caller, Refusal> {
        let broker = &self.shared.broker;
        if let Some(name) = &self.incoming.base {
            broker.look_for_authorizer(name).await;
        }
        if let Some(key) = key_in_headers(self.presenter(), broker, self.keys)? {
            return self.of_key(key).await;
        }
        if let Some(parameter) = self.path.secret_parameter() {
            let secret = self.parameter(parameter).ok_or(wire_errors::NO_SECRET)?;
            let error = wire_errors::BAD_SECRET;
            let key = find_key(self.presenter(), broker, self.keys, &secret, error)?;
            return self.of_key(key.ok_or(error)?).await;
        }
        if self.path.token_parameters().is_empty() {
            return self.of_user();
        }
        let token = self.token().ok_or_else(|| {
            Refusal::because(
                wire_errors::NO_TOKEN,
                "send an API key of wx-jssdk, or what its /cgi-bin/token returned",
            )
        })?;
        self.of_token(&token).await
    }

    /// Returns a parameter in the query, or in a body with the AppSecret.
    fn parameter(&self, name: &str) -> Option<String> {
        let in_query = self.incoming.query().get(name).map(Cow::into_owned);
        in_query.or_else(|| text_in(self.secret_body?, name))
    }

    /// Returns the account's token in the query.
    fn token(&self) -> Option<Cow<'_, str>> {
        let mut names = self.path.token_parameters().iter();
        names.find_map(|name| self.incoming.query().get(name))
    }

    async fn of_token(&self, token: &str) -> Result<Caller, Refusal> {
        let broker = &self.shared.broker;
        let keys = self.keys;
        if let Some(key) = key_in_tokens_place(self.presenter(), keys, token)? {
            return self.of_key(key).await;
        }
        let accounts = broker.accounts();
        if let Some((key, name)) = virtual_token::open(token, keys, &accounts) {
            return self.with(key, &name, &accounts);
        }
        let (name, is_valid) = account_of_token(broker, token)
            .await
            .ok_or_else(|| self.dead_token())?;
        let holders = broker.holders_of(&name, token, self.incoming.peer_ip());
        let others = (is_valid && !holders.are_all).then_some(name.as_str());
        let key = key_of_token(keys, &holders.keys, others, |key| {
            key.right(self.incoming.request.method(), self.path) == CallRight::Granted
        });
        let key = key.ok_or_else(|| self.dead_token())?;
        self.with(key, &name, &broker.accounts())
    }

    /// Returns the name of the account whose token, of WeChat, of a user or a virtual one, stands beside an API key.
    async fn owner_of_presented_token(&self) -> Option<String> {
        if self.path.token_parameters().is_empty() {
            let (_, name) = self.owner_of_users_token()?;
            return Some(name);
        }
        owner_of_token(&self.shared.broker, self.keys, &self.token()?).await
    }

    /// Returns the caller for a key, and the account that the base URL, the query or the key itself names, or
    /// else the owner of the token beside the key.
    async fn of_key(&self, key: &Arc<ApiKey>) -> Result<Caller, Refusal> {
        let accounts = self.shared.broker.accounts();
        if let Some(name) = &self.incoming.base {
            return self.with(key, name, &accounts);
        }
        let mut named = APP_IDS.into_iter();
        let named = named.find_map(|parameter| Some((parameter, self.parameter(parameter)?)));
        if let Some((parameter, id)) = named {
            let name = self.app_of_key(&accounts, key, parameter, &id)?;
            return self.with(key, name, &accounts);
        }
        if let Some(name) = key.only_account(&accounts) {
            return self.with(key, name, &accounts);
        }
        let owner = self.owner_of_presented_token().await;
        let name = owner
            .filter(|name| key.opens_account(name))
            .ok_or_else(|| Refusal::which_account(key))?;
        self.with(key, &name, &self.shared.broker.accounts())
    }

    /// Returns the name of the account with this ID that the key opens. `parameter`: of [`APP_IDS`].
    /// The errors do not say whether there is another account.
    fn app_of_key<'a>(
        &self,
        accounts: &'a Accounts,
        key: &ApiKey,
        parameter: &str,
        id: &str,
    ) -> Result<&'a str, Refusal> {
        let unopened = |error, what: &str, parameter: &str| {
            let what = format!(
                "the API key \"{}\" opens no {what} with this {parameter}, see its accounts in server.api_keys",
                key.name
            );
            Refusal::unknown_app(&self.shared.broker, Refusal::because(error, what))
        };
        let mut opened = accounts.all_of_app(id, None);
        opened.retain(|(name, _)| key.opens_account(name));
        let Some(&(name, account)) = opened.first() else {
            let error = match parameter {
                "corpid" => wire_errors::WORK_BAD_CORPID,
                _ => wire_errors::BAD_APPID,
            };
            return Err(unopened(error, "account", parameter));
        };
        if system_of(account) == System::Weixin {
            return Ok(name);
        }
        let agent_id = self.incoming.query().get("agentid");
        let asked = agent_id.map(|id| id.parse::<u64>());
        let is_meant = |account: &Account| match (account.platform(), &asked) {
            (Platform::Work { agent_id }, Some(asked)) => *asked == Ok(agent_id),
            _ => true,
        };
        let mut apps = opened.into_iter().filter(|(_, app)| is_meant(app));
        match (apps.next(), apps.next()) {
            (Some((name, _)), None) => Ok(name),
            (Some(_), Some(_)) => Err(wire_errors::WORK_WHICH_AGENT.into()),
            (None, _) => {
                let error = wire_errors::WORK_BAD_AGENTID;
                Err(unopened(error, "app of the corp", "agentid"))
            }
        }
    }

    /// Returns the key and the name of the account with which the user of this call logged in here.
    fn owner_of_users_token(&self) -> Option<(KeyId, String)> {
        let query = self.incoming.query();
        let token = query
            .get("access_token")
            .or_else(|| query.get("refresh_token"))?;
        self.shared.user_tokens.owner(&token)
    }

    /// Returns the caller of a `/sns/` call, which carries the user's token.
    fn of_user(&self) -> Result<Caller, Refusal> {
        let known = self.owner_of_users_token().and_then(|(id, name)| {
            let key = self.keys.iter().find(|key| key.id() == id)?;
            Some((key, name))
        });
        let (key, name) = known.ok_or_else(|| {
            Refusal::because(
                wire_errors::BAD_CREDENTIAL,
                "this user's token does not come from a login through this wx-jssdk; send an API key as Authorization: Bearer KEY",
            )
        })?;
        let accounts = self.shared.broker.accounts();
        accounts.get(&name).map_err(|_| wire_errors::DEAD_TOKEN)?;
        self.with(key, &name, &accounts)
    }

    /// Returns the caller with this key and account, if the key opens the account.
    fn with(&self, key: &Arc<ApiKey>, name: &str, accounts: &Accounts) -> Result<Caller, Refusal> {
        let base = self.incoming.base.as_ref();
        if base.is_some_and(|base| base != name) {
            return Err(Refusal::of_another_account());
        }
        match accounts.get(name) {
            Ok((name, account)) if key.opens_account(name) => Ok(Caller::new(key, name, account)),
            // The same answer whether or not the account exists.
            _ => Err(Refusal::unopened_account(&self.shared.broker, key, name)),
        }
    }

    fn presenter(&self) -> Presenter<'_> {
        Presenter {
            lockout: Some(&self.shared.lockout),
            peer: self.incoming.request.peer_addr(),
            headers: self.incoming.headers(),
        }
    }

    /// Returns the error for an unknown token, which may be a key without the prefix, in the error format of
    /// [`Shared::system`].
    fn dead_token(&self) -> Refusal {
        Refusal::because(
            dead_token(self.shared.system(None, self.incoming)),
            "this wx-jssdk does not know the token; an API key in its place must begin with wxk_",
        )
    }
}

impl Caller {
    fn new(key: &Arc<ApiKey>, name: &str, account: &Arc<Account>) -> Self {
        Self {
            key: key.clone(),
            name: name.to_owned(),
            account: account.clone(),
        }
    }
}

/// The query parameters that name an account's app. The first of them in a query decides.
pub(super) const APP_IDS: [&str; 3] = ["component_appid", "appid", "corpid"];

/// Returns the key that a token stands for: one that was given it and may make the call, or else any that
/// was. Where other keys may have been given this account's token too, each that gets it counts: its holder
/// could make the call at WeChat itself.
fn key_of_token<'k>(
    keys: &'k ApiKeys,
    recipients: &[KeyId],
    others: Option<&str>,
    may: impl Fn(&ApiKey) -> bool,
) -> Option<&'k Arc<ApiKey>> {
    let holders = || {
        let known = keys.with_ids(recipients);
        known.chain(
            others
                .into_iter()
                .flat_map(|account| keys.getting_token_of(account)),
        )
    };
    holders().find(|key| may(key)).or_else(|| holders().next())
}

/// Returns a text member of a JSON object.
pub(super) fn text_in(body: &[u8], name: &str) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body.get(name)?.as_str().map(str::to_owned)
}

/// WeChat's refresh tokens of users are valid for 30 days
/// (<https://developers.weixin.qq.com/doc/service/guide/h5/auth.html>).
const REFRESH_TOKEN_LIFE: Duration = Duration::from_secs(30 * 86_400);

/// Two for each login: some 3 MiB.
const MOST_USERS: u64 = 20_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::actix::{KeyHash, TokenStyle};

    #[test]
    fn a_token_stands_for_a_key_that_may_have_been_given_it() {
        let key = |name: &str| ApiKey::new(name, KeyHash::of(name));
        let may = |key: &ApiKey| key.name.ends_with("caller");
        let keys = ApiKeys::new(vec![
            ApiKey {
                token: TokenStyle::Virtual,
                ..key("virtual caller")
            },
            ApiKey {
                accounts: Some(vec!["shop".to_owned()]),
                ..key("foreign caller")
            },
            key("signer"),
            key("caller"),
        ]);
        for (recipients, others, expected) in [
            (vec!["signer"], None, Some("signer")),
            (vec!["signer", "caller"], None, Some("caller")),
            (vec!["signer"], Some("main"), Some("caller")),
            (vec!["removed"], None, None),
            (vec![], Some("main"), Some("caller")),
            (vec![], Some("shop"), Some("foreign caller")),
            (vec![], None, None),
        ] {
            let recipients = recipients.into_iter().map(|name| key(name).id());
            let recipients: Vec<_> = recipients.collect();
            let found = key_of_token(&keys, &recipients, others, may);
            assert_eq!(found.map(|key| key.name.as_str()), expected);
        }
        let found = key_of_token(&keys, &[], Some("main"), |_| false);
        assert_eq!(found.map(|key| key.name.as_str()), Some("signer"));
    }

    #[test]
    fn a_new_users_token_is_remembered_when_the_most_are() {
        let tokens = UserTokens::default();
        let key = ApiKey::new("crm", KeyHash::of("key of crm"));
        let id = key.id();
        let account = Account::official("wx1", "secret");
        let caller = Caller::new(&Arc::new(key), "main", &Arc::new(account));
        let owner = || (id, "main".to_owned());
        for token in 0..MOST_USERS {
            tokens.owners.insert(token, owner());
        }
        tokens.owners.run_pending_tasks();
        tokens.note(&caller, &json!({"access_token": "71_newest"}));
        tokens.owners.run_pending_tasks();
        assert_eq!(tokens.owner("71_newest"), Some(owner()));
    }
}
