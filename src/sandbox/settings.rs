//! How often an app may call what, and how the points are played that nobody knows for certain.

use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;

/// How often an app may call what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// `/cgi-bin/token` a day.
    pub token_daily: u64,
    /// `/cgi-bin/stable_token` a day, forced or not.
    pub stable_daily: u64,
    /// `/cgi-bin/stable_token` a minute.
    pub stable_per_minute: u64,
    /// Refreshes by `force_refresh` a day.
    pub force_daily: u64,
    /// `/cgi-bin/ticket/getticket` a day, all types together.
    pub ticket_daily: u64,
    /// Each of the other endpoints a day.
    pub data_daily: u64,
    /// `/cgi-bin/clear_quota` a calendar month.
    pub clear_monthly: u64,
    /// Tickets of one kind that a WeCom app may fetch an hour; one more blocks it for an hour.
    pub work_ticket_hourly_app: u64,
    /// The same for all apps of the corp together; one more blocks them all for an hour.
    pub work_ticket_hourly_corp: u64,
}

impl Quotas {
    pub(super) fn daily(&self, endpoint: Endpoint) -> u64 {
        match endpoint {
            Endpoint::Token => self.token_daily,
            Endpoint::StableToken => self.stable_daily,
            Endpoint::GetTicket => self.ticket_daily,
            Endpoint::ApiDomainIp | Endpoint::MenuGet => self.data_daily,
            Endpoint::ClearQuota | Endpoint::QuotaGet => u64::MAX,
            // WeCom counts by the hour, in `work`.
            Endpoint::GetToken | Endpoint::GetJsapiTicket | Endpoint::TicketGet => u64::MAX,
        }
    }
}

impl Default for Quotas {
    /// A normal, verified account's. The ticket's is not published: staff say to ask `openapi/quota/get`.
    fn default() -> Self {
        Self {
            token_daily: 2_000,
            stable_daily: 500_000,
            stable_per_minute: 10_000,
            force_daily: 20,
            ticket_daily: 10_000,
            data_daily: 10_000,
            clear_monthly: 10,
            work_ticket_hourly_app: 100,
            work_ticket_hourly_corp: 400,
        }
    }
}

/// What WeChat does is not known for certain in these points; each can be played the other way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// What `expires_in` says when a ticket is asked for again.
    pub ticket_expires_in: ExpiresIn,
    /// Whether a third `/cgi-bin/token` within five minutes ends the first token at once.
    pub third_token_ends_first: bool,
    /// The errcode of a `force_refresh` within 30 s of the last; `None`: the unchanged token.
    pub force_too_soon: Option<i64>,
    /// The errcode of a `force_refresh` beyond the day's quota; `None`: the unchanged token.
    pub force_over_quota: Option<i64>,
    /// The errcode of a wrong secret.
    pub wrong_secret: i64,
    /// The hour in Shanghai at which daily quotas start anew.
    pub quota_day_starts_hour: u64,
    /// Whether each `/cgi-bin/gettoken` gives a new token (the one before it is accepted for five minutes more) or the living one.
    pub gettoken_always_new: bool,
    /// Whether `/cgi-bin/gettoken` refuses an address that is not trusted, as the data calls do.
    pub gettoken_checks_ip: bool,
    /// So many wrong secrets within an hour keep their sender's address from `/cgi-bin/gettoken` for an hour.
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

/// What `expires_in` tells about a value that was issued earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiresIn {
    /// What is left of its life.
    Remaining,
    /// Its whole life, as if it were new.
    Full,
}
