//! The accounts of the report: their credentials, errors and incidents.

use std::hash::{Hash, Hasher};

use serde::Serialize;

use crate::account::Platform;
use crate::actix::GatewayStats;
use crate::broker::{
    AccountSnapshot, CredentialSnapshot, HOURS, Health, HourState, Incident, LastError, Refresh,
};
use crate::clock::UnixTime;
use crate::credential::Kind;
use crate::error::{CallAuth, System, Text};

#[derive(Hash, Serialize)]
pub(super) struct AccountReport {
    pub(super) account: String,
    /// `official`, `mini`, `work`, `component` or `unknown`.
    pub(super) platform: &'static str,
    /// Where it comes from: `configuration`, `api` (the admin API) or `platform` (it authorised an open platform).
    pub(super) source: &'static str,
    /// AppID or CorpID. Not secret: every page holds it.
    pub(super) app_id: String,
    /// Only for WeCom: it tells the apps of one corp apart.
    pub(super) agent_id: Option<u64>,
    /// `ok`, `starting`, `degraded` or `down`.
    pub(super) state: &'static str,
    /// Whether the account signs pages.
    pub(super) signs_pages: bool,
    /// Until when its pages are signed if every refresh fails from now on. For an account that signs no
    /// pages, or of which only the token is used: until when it has a token.
    pub(super) served_until: Option<UnixTime>,
    /// The kind that decides its state; `None` before any of its credentials is used.
    #[serde(skip)]
    pub(super) primary: Option<Kind>,
    /// Calls that this node has passed on to WeChat since its start and that were answered.
    pub(super) gateway_calls: Unhashed<u64>,
    pub(super) credentials: Vec<CredentialReport>,
    /// What ends its tokens before their time; for the page only.
    #[serde(skip)]
    pub(super) foreign_refresh_advice: Text,
    /// The last 24 hours, oldest first; for the page only.
    #[serde(skip)]
    pub(super) hours: [HourState; HOURS],
}

#[derive(Hash, Serialize)]
pub(super) struct CredentialReport {
    pub(super) kind: &'static str,
    pub(super) state: &'static str,
    pub(super) issued_at: Option<UnixTime>,
    pub(super) expires_at: Option<UnixTime>,
    /// In seconds.
    pub(super) age: Unhashed<Option<u64>>,
    /// In seconds.
    pub(super) remaining: Unhashed<Option<u64>>,
    pub(super) refreshing: bool,
    pub(super) due_at: Option<UnixTime>,
    pub(super) next_refresh: Unhashed<Option<UnixTime>>,
    pub(super) refreshes: u64,
    pub(super) foreign_refreshes: u64,
    pub(super) lost_replies: u64,
    pub(super) endpoint: &'static str,
    pub(super) calls_today: Option<u64>,
    pub(super) daily_quota: Option<u64>,
    pub(super) error: Option<ErrorReport>,
    pub(super) history: Vec<RefreshReport>,
}

#[derive(Hash, Serialize)]
pub(super) struct ErrorReport {
    /// Time of the first failure in a row.
    pub(super) since: UnixTime,
    pub(super) at: UnixTime,
    pub(super) retry_at: UnixTime,
    pub(super) failures: u32,
    pub(super) class: &'static str,
    pub(super) errcode: Option<i64>,
    /// The kind of the credential that failed: a ticket's failure may be its token's.
    pub(super) kind: &'static str,
    pub(super) endpoint: &'static str,
    /// WeChat's error message, or the transport error.
    pub(super) message: String,
    pub(super) cause: Text,
    pub(super) fix: Text,
    /// The IP to add to the allow-list, if that is the fix: the one that WeChat saw last.
    pub(super) ip_to_allow: Option<String>,
    /// All IPs that WeChat saw within a day, the last one first. More than one means that the egress IP is
    /// not fixed.
    pub(super) ips_to_allow: Vec<String>,
}

#[derive(Hash, Serialize)]
pub(super) struct RefreshReport {
    pub(super) at: UnixTime,
    pub(super) last_at: UnixTime,
    pub(super) times: u64,
    /// `fetched`, `repeated`, `from_store`, or the class of a failure.
    pub(super) outcome: &'static str,
    pub(super) failed: bool,
    pub(super) errcode: Option<i64>,
    pub(super) millis: u128,
    pub(super) expires_at: Option<UnixTime>,
}

/// A value that is not worth a redraw: the revision of the report does not cover it.
#[derive(Serialize)]
pub(super) struct Unhashed<T>(pub(super) T);

impl<T> Hash for Unhashed<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// One cause and the accounts that fail because of it.
#[derive(Hash)]
pub(super) struct IncidentReport {
    pub(super) is_down: bool,
    /// The latest failure, with the times of all.
    pub(super) error: ErrorReport,
    pub(super) system: System,
    /// The credential that authenticated the failed call.
    pub(super) auth: CallAuth,
    /// Number of its accounts; `accounts` holds the first.
    pub(super) count: usize,
    /// Number of its accounts that are affected worst; they come first in `accounts`.
    pub(super) worst: usize,
    pub(super) down_kinds: Vec<Kind>,
    pub(super) stops_pages: bool,
    pub(super) down_since: Option<UnixTime>,
    pub(super) accounts: Vec<AccountReport>,
}

impl AccountReport {
    pub(super) fn of(
        account: &AccountSnapshot,
        gateway: &GatewayStats,
        now: UnixTime,
        to_wall: impl Fn(UnixTime) -> UnixTime + Copy,
    ) -> Self {
        let primary = account.primary();
        let served = primary.filter(|primary| primary.is_served());
        Self {
            account: account.name.clone(),
            gateway_calls: Unhashed(gateway.answered(&account.name)),
            platform: account.platform,
            source: account.source.as_str(),
            app_id: account.account.app_id().to_owned(),
            agent_id: match account.account.platform() {
                Platform::Work { agent_id } => Some(agent_id),
                _ => None,
            },
            state: account.health.as_str(),
            signs_pages: account.account.signs_pages(),
            served_until: served.and_then(|served| served.served_until).map(to_wall),
            primary: primary.map(|primary| primary.kind),
            credentials: account
                .credentials
                .iter()
                .map(|credential| CredentialReport::of(credential, now, to_wall))
                .collect(),
            foreign_refresh_advice: account.foreign_refresh_advice(),
            hours: account.hours(now),
        }
    }

    /// Returns the credential that decides its state.
    pub(super) fn primary(&self) -> Option<&CredentialReport> {
        let kind = self.primary?.as_str();
        self.credentials.iter().find(|one| one.kind == kind)
    }

    /// Returns how often one of its tokens was rejected long before its end.
    pub(super) fn foreign_refreshes(&self) -> u64 {
        self.credentials
            .iter()
            .map(|one| one.foreign_refreshes)
            .sum()
    }

    /// Returns how many replies with one of its credentials were lost.
    pub(super) fn lost_replies(&self) -> u64 {
        self.credentials.iter().map(|one| one.lost_replies).sum()
    }

    /// Returns today's calls and the quota of the endpoint whose quota is used up most.
    pub(super) fn tightest_quota(&self) -> Option<(u64, Option<u64>)> {
        let calls = self.credentials.iter();
        tightest(calls.filter_map(|one| Some((one.calls_today?, one.daily_quota))))
    }

    /// Returns the earliest next refresh of its credentials.
    pub(super) fn next_refresh(&self) -> Option<UnixTime> {
        let credentials = self.credentials.iter();
        credentials.filter_map(|one| one.next_refresh.0).min()
    }

    /// Returns each failure once: a ticket's failure that is its token's is listed with the token only.
    pub(super) fn errors(&self) -> Vec<(&CredentialReport, &ErrorReport)> {
        let failed = |kind| {
            self.credentials
                .iter()
                .any(|one| one.kind == kind && one.error.is_some())
        };
        let with_errors = self
            .credentials
            .iter()
            .filter_map(|one| Some((one, one.error.as_ref()?)));
        with_errors
            .filter(|(one, error)| error.kind == one.kind || !failed(error.kind))
            .collect()
    }
}

impl CredentialReport {
    pub(super) fn of(
        credential: &CredentialSnapshot,
        now: UnixTime,
        to_wall: impl Fn(UnixTime) -> UnixTime + Copy,
    ) -> Self {
        let (issued_at, expires_at) = (credential.issued_at, credential.expires_at);
        let is_tried = credential.health != Health::Starting || credential.last_error.is_some();
        let next_refresh = credential.next_refresh.filter(|_| is_tried);
        Self {
            kind: credential.kind.as_str(),
            state: credential.health.as_str(),
            issued_at: issued_at.map(to_wall),
            expires_at: expires_at.map(to_wall),
            age: Unhashed(issued_at.map(|issued| now.since(issued).as_secs())),
            remaining: Unhashed(expires_at.map(|end| end.since(now).as_secs())),
            refreshing: credential.refreshing,
            due_at: credential.due_at.map(to_wall),
            next_refresh: Unhashed(next_refresh.map(to_wall)),
            refreshes: credential.refreshes,
            foreign_refreshes: credential.foreign_refreshes,
            lost_replies: credential.lost_replies,
            endpoint: credential.endpoint,
            calls_today: credential.calls_today,
            daily_quota: credential.daily_quota,
            error: credential
                .last_error
                .as_ref()
                .map(|last| ErrorReport::of(last, to_wall)),
            history: credential
                .history()
                .iter()
                .map(|refresh| RefreshReport::of(refresh, to_wall))
                .collect(),
        }
    }
}

impl ErrorReport {
    pub(super) fn of(last: &LastError, to_wall: impl Fn(UnixTime) -> UnixTime) -> Self {
        let error = &last.error;
        let message = error.failure.said().into_owned();
        let ips = error.ips_to_allow();
        let ips: Vec<_> = ips.iter().map(ToString::to_string).collect();
        Self {
            since: to_wall(last.since),
            at: to_wall(last.at),
            retry_at: to_wall(last.retry_at),
            failures: last.failures,
            class: last.class,
            errcode: error.errcode(),
            kind: last.kind.as_str(),
            endpoint: error.endpoint,
            message,
            cause: error.cause(),
            ip_to_allow: ips.first().cloned(),
            ips_to_allow: ips,
            fix: error.fix(),
        }
    }
}

impl RefreshReport {
    pub(super) fn of(refresh: &Refresh, to_wall: impl Fn(UnixTime) -> UnixTime) -> Self {
        Self {
            at: to_wall(refresh.at),
            last_at: to_wall(refresh.last_at),
            times: refresh.times,
            outcome: refresh.outcome.as_str(),
            failed: refresh.outcome.is_failure(),
            errcode: refresh.errcode,
            millis: refresh.took.as_millis(),
            expires_at: refresh.expires_at.map(to_wall),
        }
    }
}

impl IncidentReport {
    pub(super) fn of(
        incident: &Incident,
        gateway: &GatewayStats,
        now: UnixTime,
        to_wall: impl Fn(UnixTime) -> UnixTime + Copy,
    ) -> Self {
        let mut error = ErrorReport::of(&incident.error, to_wall);
        error.ips_to_allow = incident.addresses.iter().map(ToString::to_string).collect();
        Self {
            is_down: incident.health == Health::Down,
            error,
            system: incident.error.error.system,
            auth: incident.error.error.auth,
            count: incident.count,
            worst: incident.worst,
            down_kinds: incident.down_kinds.clone(),
            stops_pages: incident.stops_pages,
            down_since: incident.down_since.map(to_wall),
            accounts: incident
                .accounts
                .iter()
                .map(|account| AccountReport::of(account, gateway, now, to_wall))
                .collect(),
        }
    }
}

/// Returns the calls and the quota with the largest share of the quota; if no quota is known, the most calls.
fn tightest(all: impl Iterator<Item = (u64, Option<u64>)>) -> Option<(u64, Option<u64>)> {
    all.max_by_key(|&(calls, quota)| {
        let share = quota.map(|quota| (calls * 1_000_000).checked_div(quota));
        (share, calls)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_calls_are_shown_where_no_quota_is_known() {
        let shown = |calls: &[(u64, Option<u64>)]| tightest(calls.iter().copied());
        assert_eq!(shown(&[(3, None), (9, None), (1, None)]), Some((9, None)));
        let known = [(5, Some(10)), (900, None), (8, Some(100))];
        assert_eq!(shown(&known), Some((5, Some(10))));
    }
}
