//! API keys of the admin listener: stored as SHA-256, compared in constant time, each limited to accounts,
//! kinds, and calls through the gateway.

pub(super) mod authentication;
pub(super) mod authorization;
pub(super) mod call_policy;
pub(super) mod virtual_token;

use std::sync::Arc;

use actix_web::http::Method;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

pub use call_policy::{BadCall, Call};
pub use virtual_token::TokenStyle;

use super::wechat_path::WechatPath;
use call_policy::CallRight;

use crate::broker::Accounts;
use crate::credential::{KeyId, Kind};
use crate::hex::{decode, hex};

/// The SHA-256 of a key, which the configuration holds instead of the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

/// An API key and what it opens.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// The name for logs and metrics: `crm`.
    pub name: String,
    /// The hash of the key.
    pub hash: KeyHash,
    /// The names of the accounts it opens; `None`: all accounts.
    pub accounts: Option<Vec<String>>,
    /// The kinds of credential it opens; `None`: all kinds.
    pub kinds: Option<Vec<Kind>>,
    /// The calls to WeChat that it may make through the gateway; none by default.
    pub calls: Vec<Call>,
    /// Which access token it gets.
    pub token: TokenStyle,
    /// Whether it adds, changes and removes accounts, within `accounts`.
    pub manage: bool,
}

/// Whether an access token, presented instead of a key, opens a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TicketRight {
    /// It opens the ticket.
    Granted,
    /// No key that got the token opens the ticket.
    Limited,
    /// The key that got the token is unknown and may not open the ticket, or the keys that did were
    /// removed. A client with the right key can get the token again.
    Unknown,
}

/// All API keys of a configuration.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(Vec<Arc<ApiKey>>);

impl KeyHash {
    /// Hashes a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// Parses 64 hex digits; `None` for anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        decode(text).map(Self)
    }

    /// Compares in constant time.
    fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::fmt::Display for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// Redacted: a hash in a log could be attacked offline.
impl std::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hash]")
    }
}

impl ApiKey {
    /// Creates a key that opens all accounts and kinds, and makes no calls.
    #[must_use]
    pub fn new(name: impl Into<String>, hash: KeyHash) -> Self {
        Self {
            name: name.into(),
            hash,
            accounts: None,
            kinds: None,
            calls: Vec::new(),
            token: TokenStyle::default(),
            manage: false,
        }
    }

    /// Returns the id under which the key is remembered with the tokens that it got.
    pub(super) fn id(&self) -> KeyId {
        self.hash.0
    }

    /// Returns whether the key opens this credential.
    pub fn opens(&self, account: &str, kind: Kind) -> bool {
        self.opens_account(account)
            && self
                .kinds
                .as_ref()
                .is_none_or(|kinds| kinds.contains(&kind))
    }

    /// Returns whether the key opens any credential of this account.
    pub fn opens_account(&self, account: &str) -> bool {
        self.accounts
            .as_ref()
            .is_none_or(|accounts| accounts.iter().any(|name| covers(name, account)))
    }

    /// Decides whether the key may make this call through the gateway.
    pub(super) fn right(&self, method: &Method, path: WechatPath<'_>) -> CallRight {
        Call::right(&self.calls, method, path)
    }

    /// Returns the account that the key opens, if it opens exactly one.
    pub(super) fn only_account<'a>(&'a self, accounts: &'a Accounts) -> Option<&'a str> {
        match self.accounts.as_deref() {
            Some([name]) => Some(name)
                .filter(|name| !name.ends_with('*'))
                .map(String::as_str),
            Some(_) => None,
            None => {
                let mut all = accounts.iter();
                let (name, _) = all.next()?;
                all.next().is_none().then_some(name)
            }
        }
    }
}

/// Whether a name in a key's accounts is this account, or `PLATFORM/*` and the account authorised the platform.
fn covers(name: &str, account: &str) -> bool {
    name == account
        || name
            .strip_suffix('*')
            .is_some_and(|platform| platform.ends_with('/') && account.starts_with(platform))
}

impl ApiKeys {
    /// Creates the set of exactly these keys.
    #[must_use]
    pub fn new(keys: Vec<ApiKey>) -> Self {
        Self(keys.into_iter().map(Arc::new).collect())
    }

    /// Returns the configured key that was presented, if any. Every key is compared, so that the time
    /// taken reveals nothing.
    pub fn find(&self, presented: &str) -> Option<&Arc<ApiKey>> {
        let hash = KeyHash::of(presented);
        self.0.iter().fold(
            None,
            |found, key| if key.hash.is(&hash) { Some(key) } else { found },
        )
    }

    /// Decides whether a client that presents an access token of this account, and no key, may have the
    /// ticket. `recipients` are the keys that got the token. Where they are unknown, every key
    /// that gets the token has to open the ticket; with `has_peer_nodes`, nodes which may have handed the token
    /// to other keys, one is enough.
    pub(super) fn ticket_right(
        &self,
        account: &str,
        kind: Kind,
        recipients: &[KeyId],
        has_peer_nodes: bool,
    ) -> TicketRight {
        let opens = |key: &Arc<ApiKey>| key.opens(account, kind);
        let known = || self.with_ids(recipients);
        let mut getters = self.getting_token_of(account).peekable();
        let is_granted = known().any(opens)
            || match has_peer_nodes {
                true => getters.any(opens),
                false => recipients.is_empty() && getters.peek().is_some() && getters.all(opens),
            };
        match (is_granted, known().next()) {
            (true, _) => TicketRight::Granted,
            (false, Some(_)) => TicketRight::Limited,
            (false, None) => TicketRight::Unknown,
        }
    }

    /// Returns the keys with these ids.
    pub(super) fn with_ids(&self, ids: &[KeyId]) -> impl Iterator<Item = &Arc<ApiKey>> {
        self.iter().filter(move |key| ids.contains(&key.id()))
    }

    /// Returns the keys that get WeChat's access token of this account.
    pub(super) fn getting_token_of(&self, account: &str) -> impl Iterator<Item = &Arc<ApiKey>> {
        self.iter().filter(move |key| {
            key.token == TokenStyle::Real && key.opens(account, Kind::AccessToken)
        })
    }

    /// Returns whether a key manages accounts.
    pub fn has_manager(&self) -> bool {
        self.0.iter().any(|key| key.manage)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<ApiKey>> {
        self.0.iter()
    }

    /// Returns whether there are no keys: then the admin listener rejects every call that needs one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The start of the API keys that `wx-jssdk keys new` makes.
pub(crate) const API_KEY_PREFIX: &str = "wxk_";

/// How API keys and virtual tokens start. No token of WeChat's does.
pub(super) const OWN_PREFIXES: [&str; 2] = [API_KEY_PREFIX, virtual_token::PREFIX];

/// Whether a part of a path may be a secret: it is long and no word, or holds the beginning of a key.
pub(super) fn may_be_secret(part: &str) -> bool {
    let is_word = || part.bytes().all(|byte| byte.is_ascii_lowercase());
    (part.len() >= SHORTEST_SECRET && !is_word())
        || OWN_PREFIXES.iter().any(|prefix| part.contains(prefix))
}

/// An AppSecret has 32 characters, a verification file's name 30. Words of WeChat's paths have up to 35.
const SHORTEST_SECRET: usize = 32;

/// Generates a new key: `wxk_` and 43 characters of 256 random bits. It is shown once; only its hash is
/// kept.
pub fn new_key() -> String {
    let random = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    format!("{API_KEY_PREFIX}{random}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ApiKey {
        ApiKey::new(name, KeyHash::of(&format!("key of {name}")))
    }

    #[test]
    fn a_key_is_found_only_by_its_hash() {
        let keys = ApiKeys::new(vec![key("crm"), key("shop")]);
        assert_eq!(
            keys.find("key of shop").map(|key| key.name.as_str()),
            Some("shop")
        );
        for wrong in [
            "",
            "key of",
            "KEY OF SHOP",
            &KeyHash::of("key of shop").to_string(),
        ] {
            assert!(keys.find(wrong).is_none(), "{wrong}");
        }
        assert!(ApiKeys::default().find("").is_none());
    }

    #[test]
    fn hashes_round_trip() {
        let hash = KeyHash::of("abc");
        assert_eq!(
            hash.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(KeyHash::from_hex(&hash.to_string()), Some(hash));
        assert_eq!(
            KeyHash::from_hex(&hash.to_string().to_uppercase()),
            Some(hash)
        );
        for bad in [
            "",
            "ba78",
            &"g".repeat(64),
            &"é".repeat(32),
            &"+a".repeat(32),
            &"a".repeat(65),
        ] {
            assert!(KeyHash::from_hex(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn new_keys_are_unique_and_need_no_escaping() {
        let (a, b) = (new_key(), new_key());
        assert_ne!(a, b);
        assert!(
            a.len() == 47
                && a.bytes()
                    .all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c)),
            "{a}"
        );
    }
}
