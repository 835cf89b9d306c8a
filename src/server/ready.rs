//! Readiness: whether this process should get requests, and which accounts cannot sign, since when, why, and what to do.
//!
//! For an orchestrator, on the private listener. WeChat's own words, which name this server's IP, are not in it: nobody has to
//! show a key to ask. The log has the IP to allow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::config::ReadyRule;
use crate::actix::shapes::Both;
use crate::broker::{AccountStatus, Broker, LastError};
use crate::credential::Kind;

/// Asked by the endpoint; told by a reload that new accounts have a moment to fetch their first ticket.
#[derive(Clone)]
pub(super) struct Readiness {
    broker: Broker,
    rule: ReadyRule,
    /// When accounts were last new, in milliseconds of uptime.
    since: Arc<AtomicU64>,
}

/// How many accounts are in which state, those that sign nothing left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    pub(super) ready: u64,
    pub(super) failing: u64,
    pub(super) starting: u64,
    pub(super) down: u64,
}

/// What an account can do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// It cannot sign.
    Down,
    /// It signs, but its renewal fails: it will be down unless somebody acts, or WeChat is well again.
    Failing,
    /// It has not been asked for yet.
    Starting,
    Ready,
}

/// The answer.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Readiness)]
pub(super) struct Report {
    /// Whether enough of them can sign, by the rule.
    ready: bool,
    /// `any` or `all`: how many accounts have to sign.
    rule: &'static str,
    /// Those that sign pages; those in trouble first, a hundred at most.
    accounts: Vec<AccountReport>,
    /// How many more there are, all in no worse state.
    #[serde(skip_serializing_if = "is_zero")]
    more: usize,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AccountReadiness)]
struct AccountReport {
    /// Its name.
    account: String,
    /// Whether it can sign now.
    ready: bool,
    #[serde(flatten)]
    trouble: Trouble,
}

/// What is in the way of an account's next ticket: nothing of it is there when nothing is.
#[derive(Default, Serialize, utoipa::ToSchema)]
struct Trouble {
    /// `starting` or `missing`, where nothing was ever fetched; else the class of the last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Its first failure of those in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
    /// Until then pages are signed, or were.
    #[serde(skip_serializing_if = "Option::is_none")]
    signs_until: Option<String>,
    /// When WeChat is asked again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<String>,
    /// WeChat's code, where it spoke.
    #[serde(skip_serializing_if = "Option::is_none")]
    errcode: Option<i64>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Both<'static>>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<Both<'static>>,
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

    /// From now on accounts that have fetched nothing yet have [`GRACE`] again.
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
            .filter_map(|status| Some((State::of(&status, starting)?, status)));
        judged.collect()
    }

    /// For metrics.
    pub(super) fn census(&self) -> (bool, Census) {
        let mut census = Census::default();
        for (state, _) in self.judged() {
            *match state {
                State::Down => &mut census.down,
                State::Failing => &mut census.failing,
                State::Starting => &mut census.starting,
                State::Ready => &mut census.ready,
            } += 1;
        }
        (census.allows(self.rule), census)
    }

    fn report(&self) -> Report {
        let mut judged = self.judged();
        // Within a state they stay sorted by name.
        judged.sort_by_key(|(state, _)| *state);
        let down = judged
            .iter()
            .filter(|(state, _)| *state == State::Down)
            .count();
        let more = judged.len().saturating_sub(SHOWN);
        Report {
            ready: enough(self.rule, down, judged.len()),
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
    fn allows(self, rule: ReadyRule) -> bool {
        let all = self.down + self.failing + self.starting + self.ready;
        enough(rule, self.down, all)
    }
}

/// Without an account that signs there is nothing to wait for.
fn enough<N: PartialEq + Default>(rule: ReadyRule, down: N, all: N) -> bool {
    match rule {
        ReadyRule::All => down == N::default(),
        ReadyRule::Any => down != all || all == N::default(),
    }
}

impl State {
    /// `None` for an account that signs nothing.
    fn of(status: &AccountStatus, starting: bool) -> Option<Self> {
        let ticket = status
            .credentials
            .iter()
            .find(|credential| credential.kind == Kind::JsapiTicket)?;
        Some(match (ticket.living, error_of(status)) {
            (true, None) => Self::Ready,
            (true, Some(_)) => Self::Failing,
            (false, None) if starting => Self::Starting,
            (false, _) => Self::Down,
        })
    }
}

/// Without a token there is no ticket: what is in the token's way is in the ticket's, and came first.
fn error_of(status: &AccountStatus) -> Option<&LastError> {
    let of = |kind| {
        status
            .credentials
            .iter()
            .find(|credential| credential.kind == kind)?
            .last_error
            .as_ref()
    };
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
        let ticket = status
            .credentials
            .iter()
            .find(|credential| credential.kind == Kind::JsapiTicket);
        Self {
            reason: Some(match (last, state) {
                (Some(last), _) => last.class,
                (None, State::Starting) => "starting",
                (None, _) => "missing",
            }),
            failing_since: last.map(|last| last.since.utc()),
            signs_until: ticket
                .and_then(|ticket| ticket.served_until)
                .map(|until| until.utc()),
            retry_at: last.map(|last| last.retry_at.utc()),
            errcode: error.and_then(|error| error.errcode()),
            cause: error.map(|error| error.cause().into()),
            fix: error.map(|error| error.fix().into()),
        }
    }
}

/// `GET /readyz`: 200, or 503 when too few accounts can sign.
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

/// An account that was never asked for counts as ready for so long: the keeper starts its first calls within a second, and a
/// reader who comes before they end waits for them and is served.
const GRACE: Duration = Duration::from_secs(10);

/// An orchestrator asks every few seconds, and looks at the status only.
const SHOWN: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_that_cannot_sign_is_enough_for_all_and_none_for_any() {
        let census = |down, ready| Census {
            down,
            ready,
            ..Census::default()
        };
        for (down, ready, any, all) in [
            (0, 0, true, true),
            (0, 3, true, true),
            (1, 49, true, false),
            (3, 0, false, false),
        ] {
            let census = census(down, ready);
            assert_eq!(
                (census.allows(ReadyRule::Any), census.allows(ReadyRule::All)),
                (any, all),
                "{census:?}"
            );
        }
    }
}
