//! Switches for behaviour of WeChat that is not known for certain.

use serde::{Deserialize, Serialize};

/// Switches for points where WeChat's behaviour is not known for certain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// Value of `expires_in` when an existing ticket is fetched again.
    pub ticket_expires_in: ExpiresIn,
    /// Whether a third `/cgi-bin/token` within five minutes ends the first token at once.
    pub third_token_ends_first: bool,
    /// Errcode of a `force_refresh` within 30 s of the last one; `None` returns the unchanged token.
    pub force_too_soon: Option<i64>,
    /// Errcode of a `force_refresh` beyond the daily quota; `None` returns the unchanged token.
    pub force_over_quota: Option<i64>,
    /// Errcode of a wrong secret.
    pub wrong_secret: i64,
    /// Hour in Shanghai time at which daily quotas restart.
    pub quota_day_starts_hour: u64,
    /// Whether each `/cgi-bin/gettoken` returns a new token (the previous one stays accepted for five
    /// minutes) or the current one.
    pub gettoken_always_new: bool,
    /// Whether `/cgi-bin/gettoken` rejects an untrusted address, as the data calls do.
    pub gettoken_checks_ip: bool,
    /// Number of wrong secrets within an hour that bans an address from `/cgi-bin/gettoken` for an hour.
    pub wrong_secrets_until_ban: u64,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            ticket_expires_in: ExpiresIn::Remaining,
            third_token_ends_first: true,
            force_too_soon: None,
            force_over_quota: Some(45009),
            wrong_secret: 40125,
            quota_day_starts_hour: 0,
            gettoken_always_new: false,
            gettoken_checks_ip: false,
            wrong_secrets_until_ban: 2_000,
        }
    }
}

/// Meaning of `expires_in` for a value that was issued earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiresIn {
    /// Remaining lifetime.
    Remaining,
    /// Full lifetime, as if it were new.
    Full,
}
