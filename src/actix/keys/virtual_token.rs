//! Virtual access tokens: what a key with `token = "virtual"` gets instead of the real one.
//!
//! A virtual token names its account and key and proves both with an HMAC whose key is the account's
//! AppSecret: every node verifies it without shared state, after a restart too, and who reads the
//! configuration file alone cannot make one. It is valid until the API key or the AppSecret changes.

use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::{ApiKey, ApiKeys, KeyHash};
use crate::account::Account;
use crate::broker::Accounts;
use crate::credential::{AppKey, Secret};
use crate::hex::hex;

/// Makes the virtual token of a key for an account: always the same.
pub(crate) fn of(key: &ApiKey, account: &Account) -> Secret {
    let (name, proof) = (name_of(&account.app_key()), proof(&key.hash, account));
    Secret::new(format!("{PREFIX}{name}-{}{proof}", short(&key.hash)))
}

/// Returns the key and the name of the account of a virtual token. `None`: it is not one, or no longer
/// valid.
pub(crate) fn open<'k>(
    token: &str,
    keys: &'k ApiKeys,
    accounts: &Accounts,
) -> Option<(&'k Arc<ApiKey>, String)> {
    let (name, rest) = parts(token)?;
    let (key_id, presented) = rest.split_at_checked(SHORT)?;
    let (name, account) = match (name.split_once('.'), agent_of(name)) {
        (Some((id, component)), _) => accounts.of_authorizer(component, id)?,
        (None, Some((id, agent))) => accounts.of_app(id, Some(agent))?,
        (None, None) => accounts.of_app(name, None)?,
    };
    let key = keys
        .iter()
        .find(|key| key.token == TokenStyle::Virtual && short(&key.hash) == key_id)?;
    let proof = proof(&key.hash, account);
    let is_right: bool = proof.as_bytes().ct_eq(presented.as_bytes()).into();
    is_right.then(|| (key, name.to_owned()))
}

/// Returns whether a virtual token, valid or not, is of a WeCom app.
pub(crate) fn names_agent(token: &str) -> bool {
    parts(token).is_some_and(|(name, _)| agent_of(name).is_some())
}

/// Returns the name of the app, and the key's id with the proof.
fn parts(token: &str) -> Option<(&str, &str)> {
    token.strip_prefix(PREFIX)?.rsplit_once('-')
}

/// Returns the CorpID and the agent of a WeCom app's name. A CorpID may contain `-` itself.
fn agent_of(name: &str) -> Option<(&str, u64)> {
    let (id, agent) = name.rsplit_once('-')?;
    Some((id, agent.parse().ok()?))
}

/// `server.api_keys.token`: which access token a key gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenStyle {
    /// WeChat's own, which works at WeChat directly.
    #[default]
    Real,
    /// One that only this server accepts.
    Virtual,
}

fn name_of(app: &AppKey) -> String {
    match (app.agent_id, &app.component) {
        (Some(agent_id), _) => format!("{}-{agent_id}", app.id),
        (None, Some(component)) => format!("{}.{component}", app.id),
        (None, None) => app.id.to_string(),
    }
}

fn proof(key: &KeyHash, account: &Account) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(account.secret().expose().as_bytes())
        .expect("an HMAC takes a key of any length");
    mac.update(b"wx-jssdk virtual token\n");
    mac.update(key.to_string().as_bytes());
    mac.update(name_of(&account.app_key()).as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// Selects the key. It is no proof: it reveals a quarter of a hash of 256 random bits.
fn short(hash: &KeyHash) -> String {
    hash.to_string()[..SHORT].to_owned()
}

/// The start of every virtual token.
pub(crate) const PREFIX: &str = "wxv_";

const SHORT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actix::new_key;
    use crate::broker::Broker;

    fn key(name: &str, key: &str) -> ApiKey {
        ApiKey {
            token: TokenStyle::Virtual,
            ..ApiKey::new(name, KeyHash::of(key))
        }
    }

    #[tokio::test]
    async fn a_virtual_token_is_valid_only_for_its_key_and_account() {
        let (crm, shop) = (key("crm", &new_key()), key("shop", &new_key()));
        let broker = |secret: &str| {
            Broker::builder()
                .account("main", Account::official("wx0123456789abcdef", secret))
                .account("corp", Account::work("ww0123456789abcdef", 1000002, secret))
                .account("client", Account::work("wpAB-cd_EF", 1000002, secret))
                .build()
                .unwrap()
        };
        let accounts = broker("secret").accounts();
        let keys = ApiKeys::new(vec![crm.clone(), shop.clone()]);
        for name in ["main", "corp", "client"] {
            let account = accounts.get(name).unwrap().1;
            let token = of(&crm, account);
            assert!(token.check().is_ok() && token.expose().starts_with(PREFIX));
            assert_ne!(token, of(&shop, account));
            let opened = open(token.expose(), &keys, &accounts);
            let opened = opened.map(|(key, account)| (key.name.clone(), account));
            assert_eq!(opened, Some(("crm".to_owned(), name.to_owned())));
            // Another AppSecret, a removed key, a key that gets real tokens.
            let other = broker("other");
            assert!(open(token.expose(), &keys, &other.accounts()).is_none());
            let without = ApiKeys::new(vec![shop.clone()]);
            assert!(open(token.expose(), &without, &accounts).is_none());
            let real = ApiKey {
                token: TokenStyle::Real,
                ..crm.clone()
            };
            assert!(open(token.expose(), &ApiKeys::new(vec![real]), &accounts).is_none());
        }
        let token = of(&crm, accounts.get("main").unwrap().1);
        let mut changed = token.expose().to_owned();
        let last = if changed.pop() == Some('0') { '1' } else { '0' };
        changed.push(last);
        for wrong in [
            changed.as_str(),
            "",
            PREFIX,
            "wxv_wx0123456789abcdef-",
            "wxk_x",
            "wxv_\u{e9}-\u{e9}",
        ] {
            assert!(open(wrong, &keys, &accounts).is_none(), "{wrong}");
        }
    }
}
