//! Readiness: whether this process should receive requests, and which accounts lack their credential (the
//! ticket that signs pages; a mini program's token), since when, why, and what to do.
//!
//! Serves orchestrators on the admin listener. It contains no error message of WeChat, which names this
//! server's IP, since the endpoint needs no key. The log has the IP to allow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::config::ReadyRule;
use crate::broker::{AccountStatus, Broker, CredentialStatus, LastError};
use crate::credential::Kind;
use crate::error::Text;

/// The readiness of this process. A reload resets the grace time in which new accounts fetch their first
/// ticket.
#[derive(Clone)]
pub(super) struct Readiness {
    broker: Broker,
    rule: ReadyRule,
    /// When accounts were last added, in milliseconds of uptime.
    since: Arc<AtomicU64>,
}

/// The number of accounts in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    pub(super) ready: u64,
    pub(super) failing: u64,
    pub(super) starting: u64,
    pub(super) down: u64,
    /// Down accounts that sign pages.
    down_signing: u64,
    /// Accounts that sign pages, in any state.
    signing: u64,
}

/// The state of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// No current credential.
    Down,
    /// Works, but its refresh fails: it goes down unless an operator acts or WeChat recovers.
    Failing,
    /// Not fetched yet.
    Starting,
    Ready,
}

/// The answer of `/readyz`.
#[derive(Serialize)]
pub(super) struct Report {
    /// Whether enough accounts work, by the rule.
    ready: bool,
    /// `any` or `all`: how many accounts have to work.
    rule: &'static str,
    /// The accounts, those with problems first; a hundred at most.
    accounts: Vec<AccountReport>,
    /// How many more accounts there are, none in a worse state.
    #[serde(skip_serializing_if = "is_zero")]
    more: usize,
}

#[derive(Serialize)]
struct AccountReport {
    /// The account's name.
    account: String,
    /// Whether it can sign pages now or, if it signs none, has a token.
    ready: bool,
    #[serde(flatten)]
    trouble: Trouble,
}

/// Why an account cannot get its next ticket or token; empty if there is no problem.
#[derive(Default, Serialize)]
struct Trouble {
    /// `starting` or `missing` if nothing was ever fetched, else the class of the last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The first of the current consecutive failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
    /// Until when pages are or were signed (a mini program: until when its token is handed out).
    #[serde(skip_serializing_if = "Option::is_none")]
    served_until: Option<String>,
    /// When WeChat is called again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<String>,
    /// WeChat's code, if WeChat answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    errcode: Option<i64>,
    /// The cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Text>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<Text>,
}

impl Readiness {
    pub(super) fn new(broker: Broker, rule: ReadyRule) -> Self {
        let readiness = Self {
            broker,
            rule,
            since: Arc::default(),
        };
        readiness.accounts_are_new();
        readiness
    }

    /// Gives accounts that have fetched nothing yet another [`GRACE`].
    pub(super) fn accounts_are_new(&self) {
        self.since.store(self.uptime_millis(), Ordering::Relaxed);
    }

    fn uptime_millis(&self) -> u64 {
        u64::try_from(self.broker.clock().uptime().as_millis()).unwrap_or(u64::MAX)
    }

    fn judged(&self) -> Vec<(State, AccountStatus)> {
        let age = self
            .uptime_millis()
            .saturating_sub(self.since.load(Ordering::Relaxed));
        let starting = Duration::from_millis(age) < GRACE;
        let judged = self
            .broker
            .status()
            .into_iter()
            .map(|status| (State::of(&status, starting), status));
        judged.collect()
    }

    /// Returns whether the process is ready, and the census, for metrics.
    pub(super) fn census(&self) -> (bool, Census) {
        let census = Census::of(&self.judged());
        (census.allows(self.rule), census)
    }

    fn report(&self) -> Report {
        let mut judged = self.judged();
        // A stable sort: accounts in one state stay sorted by name.
        judged.sort_by_key(|(state, _)| *state);
        let ready = Census::of(&judged).allows(self.rule);
        let more = judged.len().saturating_sub(SHOWN);
        Report {
            ready,
            rule: self.rule.as_str(),
            accounts: judged
                .into_iter()
                .take(SHOWN)
                .map(|(state, status)| AccountReport::of(state, status))
                .collect(),
            more,
        }
    }
}

impl Census {
    fn of(judged: &[(State, AccountStatus)]) -> Self {
        let mut census = Self::default();
        for (state, status) in judged {
            *match state {
                State::Down => &mut census.down,
                State::Failing => &mut census.failing,
                State::Starting => &mut census.starting,
                State::Ready => &mut census.ready,
            } += 1;
            let signs = u64::from(credential(status, Kind::JsapiTicket).is_some());
            census.signing += signs;
            if *state == State::Down {
                census.down_signing += signs;
            }
        }
        census
    }

    /// Applies the rule. With `any`, one account that signs pages has to work if there are such accounts:
    /// a mini program's token signs no page. Without any account the process is ready.
    fn allows(self, rule: ReadyRule) -> bool {
        let all = self.down + self.failing + self.starting + self.ready;
        match rule {
            ReadyRule::All => self.down == 0,
            ReadyRule::Any if self.signing > 0 => self.down_signing < self.signing,
            ReadyRule::Any => self.down < all || all == 0,
        }
    }
}

impl State {
    fn of(status: &AccountStatus, starting: bool) -> Self {
        let living = offered(status).is_some_and(|credential| credential.living);
        match (living, error_of(status)) {
            (true, None) => Self::Ready,
            (true, Some(_)) => Self::Failing,
            (false, None) if starting => Self::Starting,
            (false, _) => Self::Down,
        }
    }
}

fn credential(status: &AccountStatus, kind: Kind) -> Option<&CredentialStatus> {
    status.credentials.iter().find(|one| one.kind == kind)
}

/// Returns the credential that the account exists for: the ticket that signs pages, else the token.
fn offered(status: &AccountStatus) -> Option<&CredentialStatus> {
    credential(status, Kind::JsapiTicket).or_else(|| credential(status, Kind::AccessToken))
}

/// Returns the last error. Without a token there is no ticket, so the token's error comes first.
fn error_of(status: &AccountStatus) -> Option<&LastError> {
    let of = |kind| credential(status, kind)?.last_error.as_ref();
    of(Kind::AccessToken).or_else(|| of(Kind::JsapiTicket))
}

impl AccountReport {
    fn of(state: State, status: AccountStatus) -> Self {
        let trouble = if state == State::Ready {
            Trouble::default()
        } else {
            Trouble::of(state, &status)
        };
        Self {
            ready: state != State::Down,
            account: status.account,
            trouble,
        }
    }
}

impl Trouble {
    fn of(state: State, status: &AccountStatus) -> Self {
        let last = error_of(status);
        let error = last.map(|last| &last.error);
        Self {
            reason: Some(match (last, state) {
                (Some(last), _) => last.class,
                (None, State::Starting) => "starting",
                (None, _) => "missing",
            }),
            failing_since: last.map(|last| last.since.utc()),
            served_until: offered(status)
                .and_then(|offered| offered.served_until)
                .map(|until| until.utc()),
            retry_at: last.map(|last| last.retry_at.utc()),
            errcode: error.and_then(|error| error.errcode()),
            cause: error.map(|error| error.cause()),
            fix: error.map(|error| error.fix()),
        }
    }
}

/// Handles `GET /readyz`: 200, or 503 if too few accounts work.
pub(super) async fn readyz(readiness: web::Data<Readiness>) -> HttpResponse {
    let report = readiness.report();
    let mut answer = if report.ready {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    answer
        .insert_header(("Cache-Control", "no-store"))
        .json(report)
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's shape
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// How long an account without a fetched credential counts as ready: the keeper starts its first calls
/// within a second, and a request that arrives before they end waits for them and is served.
const GRACE: Duration = Duration::from_secs(10);

/// Orchestrators call every few seconds and read only the status.
const SHOWN: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_that_is_down_is_enough_for_all_and_no_signing_one_for_any() {
        // How many accounts sign and how many of those are down; the same for accounts that do not sign;
        // the results for `any` and `all`.
        for (signing, down_signing, others, down_others, any, all) in [
            (0, 0, 0, 0, true, true),
            (3, 0, 0, 0, true, true),
            (50, 1, 0, 0, true, false),
            (3, 3, 0, 0, false, false),
            (3, 3, 2, 0, false, false),
            (3, 0, 2, 2, true, false),
            (0, 0, 2, 1, true, false),
            (0, 0, 2, 2, false, false),
        ] {
            let down = down_signing + down_others;
            let census = Census {
                ready: signing + others - down,
                down,
                down_signing,
                signing,
                ..Census::default()
            };
            assert_eq!(
                (census.allows(ReadyRule::Any), census.allows(ReadyRule::All)),
                (any, all),
                "{census:?}"
            );
        }
    }
}
