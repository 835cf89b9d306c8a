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
    account_of_token, app_secret_refusal, dead_token, key_in_headers, key_in_tokens_place,
    owner_of_token, system_of,
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

impl Shared {
    /// Returns the caller, if its key opens the account. `secret_body` is the body of a call that carries the
    /// AppSecret in JSON.
    pub(super) async fn identify(
        &self,
        incoming: &Incoming<'_>,
        path: WechatPath<'_>,
        keys: &ApiKeys,
        secret_body: Option<&[u8]>,
    ) -> Result<Caller, Refusal> {
        if let Some(name) = &incoming.base {
            self.broker.look_for_authorizer(name).await;
        }
        if let Some(key) = key_in_headers(self.presenter(incoming), &self.broker, keys)? {
            return self.of_key(incoming, path, keys, key, secret_body).await;
        }
        let query = incoming.query();
        if let Some(parameter) = path.secret_parameter() {
            let secret = query.get(parameter).map(Cow::into_owned);
            let secret = secret.or_else(|| text_in(secret_body?, parameter));
            let secret = secret.ok_or(wire_errors::NO_SECRET)?;
            let Some(key) = self.presenter(incoming).find(keys, &secret)? else {
                let error = wire_errors::BAD_SECRET;
                let presenter = self.presenter(incoming);
                let refusal = app_secret_refusal(presenter, &self.broker, &secret, error);
                return Err(refusal.unwrap_or_else(|| error.into()));
            };
            return self.of_key(incoming, path, keys, key, secret_body).await;
        }
        let parameters = path.token_parameters();
        if parameters.is_empty() {
            return self.of_user(incoming, keys);
        }
        let token = parameters.iter().find_map(|name| query.get(name));
        let token = token.ok_or_else(|| {
            Refusal::because(
                wire_errors::NO_TOKEN,
                "send an API key of wx-jssdk, or what its /cgi-bin/token returned",
            )
        })?;
        self.of_token(incoming, path, keys, &token).await
    }

    async fn of_token(
        &self,
        incoming: &Incoming<'_>,
        path: WechatPath<'_>,
        keys: &ApiKeys,
        token: &str,
    ) -> Result<Caller, Refusal> {
        if let Some(key) = key_in_tokens_place(self.presenter(incoming), keys, token)? {
            return self.of_key(incoming, path, keys, key, None).await;
        }
        let accounts = self.broker.accounts();
        if let Some((key, name)) = virtual_token::open(token, keys, &accounts) {
            return self.caller(incoming, key, &name, &accounts);
        }
        let (name, is_valid) = self
            .account_of_token(token)
            .await
            .ok_or_else(|| self.dead_token(incoming))?;
        let holders = self.broker.holders_of(&name, token, incoming.peer_ip());
        let others = (is_valid && !holders.are_all).then_some(name.as_str());
        let key = key_of_token(keys, &holders.keys, others, |key| {
            key.right(incoming.method(), path) == CallRight::Granted
        });
        let key = key.ok_or_else(|| self.dead_token(incoming))?;
        self.caller(incoming, key, &name, &self.broker.accounts())
    }

    /// Returns the name of the account of a token of WeChat, and whether WeChat still accepts the token.
    async fn account_of_token(&self, token: &str) -> Option<(String, bool)> {
        match account_of_token(&self.broker, token).await {
            Some(name) => Some((name, true)),
            None => {
                let name = self.broker.account_of_handed_token(token)?;
                Some((name, false))
            }
        }
    }

    /// Returns the name of the account whose token, of WeChat, of a user or a virtual one, stands beside an API key.
    async fn owner_of_presented_token(
        &self,
        incoming: &Incoming<'_>,
        path: WechatPath<'_>,
        keys: &ApiKeys,
    ) -> Option<String> {
        let parameters = path.token_parameters();
        if parameters.is_empty() {
            let (_, name) = self.owner_of_users_token(incoming)?;
            return Some(name);
        }
        let query = incoming.query();
        let token = parameters.iter().find_map(|name| query.get(name))?;
        owner_of_token(&self.broker, keys, &token).await
    }

    /// Returns the caller for a key, and the account that the base URL, the query or the key itself names, or
    /// else the owner of the token beside the key.
    async fn of_key(
        &self,
        incoming: &Incoming<'_>,
        path: WechatPath<'_>,
        keys: &ApiKeys,
        key: &Arc<ApiKey>,
        secret_body: Option<&[u8]>,
    ) -> Result<Caller, Refusal> {
        let accounts = self.broker.accounts();
        if let Some(name) = &incoming.base {
            return self.caller(incoming, key, name, &accounts);
        }
        let query = incoming.query();
        let named = APP_IDS.into_iter().find_map(|parameter| {
            let id = query.get(parameter).map(Cow::into_owned);
            let id = id.or_else(|| text_in(secret_body?, parameter))?;
            Some((parameter, id))
        });
        if let Some((parameter, id)) = named {
            let agent_id = query.get("agentid");
            let named = (parameter, id.as_str());
            let name = self.app_of_key(&accounts, key, named, agent_id.as_deref())?;
            return self.caller(incoming, key, name, &accounts);
        }
        if let Some(name) = key.only_account(&accounts) {
            return self.caller(incoming, key, name, &accounts);
        }
        let owner = self.owner_of_presented_token(incoming, path, keys).await;
        let name = owner
            .filter(|name| key.opens_account(name))
            .ok_or_else(|| Refusal::which_account(key))?;
        self.caller(incoming, key, &name, &self.broker.accounts())
    }

    /// Returns the name of the account with this ID that the key opens: a parameter of [`APP_IDS`] and its value.
    /// The errors do not say whether there is another account.
    fn app_of_key<'a>(
        &self,
        accounts: &'a Accounts,
        key: &ApiKey,
        (parameter, id): (&str, &str),
        agent_id: Option<&str>,
    ) -> Result<&'a str, Refusal> {
        let unopened = |error, what: &str, parameter: &str| {
            let what = format!(
                "the API key \"{}\" opens no {what} with this {parameter}, see its accounts in server.api_keys",
                key.name
            );
            Refusal::unknown_app(&self.broker, Refusal::because(error, what))
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
        let asked = agent_id.map(str::parse::<u64>);
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
    fn owner_of_users_token(&self, incoming: &Incoming<'_>) -> Option<(KeyId, String)> {
        let query = incoming.query();
        let token = query
            .get("access_token")
            .or_else(|| query.get("refresh_token"))?;
        self.user_tokens.owner(&token)
    }

    /// Returns the caller of a `/sns/` call, which carries the user's token.
    fn of_user(&self, incoming: &Incoming<'_>, keys: &ApiKeys) -> Result<Caller, Refusal> {
        let owner = self.owner_of_users_token(incoming);
        let accounts = self.broker.accounts();
        let known = owner.and_then(|(id, name)| {
            let key = keys.iter().find(|key| key.id() == id)?;
            Some((key, name))
        });
        let (key, name) = known.ok_or_else(|| {
            Refusal::because(
                wire_errors::BAD_CREDENTIAL,
                "this user's token does not come from a login through this wx-jssdk; send an API key as Authorization: Bearer KEY",
            )
        })?;
        accounts.get(&name).map_err(|_| wire_errors::DEAD_TOKEN)?;
        self.caller(incoming, key, &name, &accounts)
    }

    fn caller(
        &self,
        incoming: &Incoming<'_>,
        key: &Arc<ApiKey>,
        name: &str,
        accounts: &Accounts,
    ) -> Result<Caller, Refusal> {
        if incoming.base.as_ref().is_some_and(|base| base != name) {
            return Err(Refusal::of_another_account());
        }
        match accounts.get(name) {
            Ok((name, account)) if key.opens_account(name) => Ok(Caller::new(key, name, account)),
            // The same answer whether or not the account exists.
            _ => Err(Refusal::unopened_account(&self.broker, key, name)),
        }
    }

    fn presenter<'a>(&'a self, incoming: &Incoming<'a>) -> Presenter<'a> {
        Presenter {
            lockout: Some(&self.lockout),
            peer: incoming.request.peer_addr(),
            headers: incoming.headers(),
        }
    }

    /// Returns the error for an unknown token, which may be a key without the prefix, in the error format of
    /// [`Shared::system`].
    fn dead_token(&self, incoming: &Incoming<'_>) -> Refusal {
        Refusal::because(
            dead_token(self.system(None, incoming)),
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

    /// Refuses a call that carries the account's AppSecret, or logs in through a platform, but names another
    /// app.
    pub(super) fn check_app_id(
        &self,
        incoming: &Incoming<'_>,
        path: WechatPath<'_>,
        secret_body: Option<&[u8]>,
    ) -> Result<(), Refusal> {
        let parameter = if path.takes_component_secret() || path.is_platform_login() {
            "component_appid"
        } else if path.secret_parameter().is_some() {
            "appid"
        } else {
            return Ok(());
        };
        let in_query = incoming.query().get(parameter);
        let in_body = secret_body.and_then(|body| text_in(body, parameter));
        let is_other = |id: &str| id.trim() != self.account.app_id();
        if in_query.as_deref().is_some_and(is_other) || in_body.as_deref().is_some_and(is_other) {
            return Err(Refusal::because(
                wire_errors::BAD_APPID,
                format_args!(
                    "the call is for the account \"{}\", and this {parameter} is another one's",
                    self.name
                ),
            ));
        }
        Ok(())
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
fn text_in(body: &[u8], name: &str) -> Option<String> {
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
