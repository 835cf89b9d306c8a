//! Readiness: whether this process should receive requests, and which accounts lack their credential (the
//! ticket that signs pages; a mini program's token), since when, why, and what to do.
//!
//! Serves orchestrators on the admin listener. It contains no error message of WeChat, which names this
//! server's IP, since the endpoint needs no key. The log has the IP to allow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::{HttpResponse, web};
use arc_swap::ArcSwap;
use serde::Serialize;

use super::config::ReadyRule;
use crate::account::Platform;
use crate::actix::ApiKeys;
use crate::broker::{AccountSnapshot, Broker, Counts, Find, Health, Snapshot};
use crate::clock::UnixTime;
use crate::error::{PlatformProblem, Text};

/// The readiness of this process. A new app starts the grace time again, in which new accounts fetch their first
/// ticket.
#[derive(Clone)]
pub(super) struct Readiness {
    broker: Broker,
    keys: Arc<ArcSwap<ApiKeys>>,
    rule: ReadyRule,
    /// The uptime when the service started.
    since: Duration,
    /// Whether everything in the store was read once. What a reload adds later makes no node unready.
    has_read: Arc<AtomicBool>,
}

/// Whether this node should receive requests.
#[derive(Hash, Serialize)]
pub(super) struct ReadyState {
    /// Whether enough accounts work, by the rule.
    pub(super) ready: bool,
    /// `any` or `all`: how many accounts have to work.
    pub(super) rule: &'static str,
    /// Why it is not ready, whatever the accounts are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cause: Option<Text>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<Text>,
}

/// The answer of `/readyz`.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    state: ReadyState,
    /// The accounts, those with problems first; a hundred at most.
    accounts: Vec<AccountReport>,
    /// How many more accounts there are, none in a worse state.
    #[serde(skip_serializing_if = "is_zero")]
    more: usize,
}

/// An account and, if it has a problem, why it cannot get its next ticket or token.
#[derive(Default, Serialize)]
struct AccountReport {
    /// The account's name.
    account: String,
    /// Whether it can sign pages now or, if it signs none or only its token is used, has a token.
    ready: bool,
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
    pub(super) fn new(broker: Broker, keys: Arc<ArcSwap<ApiKeys>>, rule: ReadyRule) -> Self {
        Self {
            since: broker.clock().uptime(),
            broker,
            keys,
            rule,
            has_read: Arc::default(),
        }
    }

    /// Whether accounts that have fetched nothing yet count as ready.
    fn is_grace(&self) -> bool {
        let since = self.since.max(self.broker.app_added_at());
        self.broker.clock().uptime().saturating_sub(since) < GRACE
    }

    /// Whether clients may ask for accounts of the store that were never read: those of open platforms, and with an
    /// API key that manages accounts, there may be others.
    fn awaits_stored_accounts(&self) -> bool {
        if self.has_read.load(Ordering::Relaxed) {
            return false;
        }
        let mut platforms = self.broker.platforms().into_iter();
        let awaits = platforms.any(|platform| !platform.is_loaded)
            || (self.broker.awaits_stored_accounts() && self.keys.load().has_manager());
        self.has_read.store(!awaits, Ordering::Relaxed);
        awaits
    }

    /// Applies the rule, once the stored accounts are known. With `any`, one account that signs pages has to work
    /// if there are such accounts: a mini program's token signs no page. Without any account, or before one is
    /// used, the process is ready.
    pub(super) fn is_ready(&self, snapshot: &Snapshot) -> bool {
        let grace = self.is_grace();
        !self.awaits_stored_accounts()
            && allows(self.rule, snapshot.counts, snapshot.signing, grace)
    }

    /// Returns whether the node is ready, and why not.
    pub(super) fn state(&self, snapshot: &Snapshot) -> ReadyState {
        let awaits_store = self.awaits_stored_accounts();
        ReadyState {
            ready: self.is_ready(snapshot),
            rule: self.rule.as_str(),
            cause: awaits_store.then_some(NOT_LOADED),
            fix: awaits_store.then_some(LOAD),
        }
    }

    fn report(&self) -> Report {
        let is_grace = self.is_grace();
        let snapshot = self.broker.snapshot(&Find {
            limit: SHOWN,
            ..Find::default()
        });
        let accounts = snapshot.accounts.iter();
        let state = self.state(&snapshot);
        let awaits_store = state.cause.is_some();
        let to_wall = self.broker.clock().to_wall();
        Report {
            state,
            accounts: accounts
                .map(|account| AccountReport::of(account, is_grace, awaits_store, to_wall))
                .collect(),
            more: snapshot.matching - snapshot.accounts.len(),
        }
    }
}

fn allows(rule: ReadyRule, all: Counts, signing: Counts, is_grace: bool) -> bool {
    let failed = |counts: Counts| match is_grace {
        true => counts.down,
        false => counts.down + counts.starting - counts.first_used,
    };
    // Accounts that are not used and whose platform has no token say nothing of this node's way to WeChat.
    let any = |counts: Counts| {
        let known = counts.accounts - counts.unknown;
        known == 0 || failed(counts) < known
    };
    match rule {
        ReadyRule::All => failed(all) == 0,
        ReadyRule::Any if signing.accounts > 0 => any(signing),
        ReadyRule::Any => any(all),
    }
}

impl AccountReport {
    fn of(
        account: &AccountSnapshot,
        is_grace: bool,
        awaits_store: bool,
        to_wall: impl Fn(UnixTime) -> UnixTime,
    ) -> Self {
        let ready = match account.health {
            Health::Ok | Health::Degraded => true,
            Health::Starting => is_grace || account.account.component_app_id().is_some(),
            Health::Down => false,
        };
        let report = Self {
            account: account.name.clone(),
            ready,
            ..Self::default()
        };
        if account.health == Health::Ok {
            return report;
        }
        let last = account.last_error();
        let error = last.map(|last| &last.error);
        // Before the first push there is no failure: the platform waits for it, unless the store has a ticket.
        let is_platform = account.account.platform() == Platform::Component;
        let waits = (is_platform && !awaits_store).then(|| PlatformProblem::NoTicket.advice());
        Self {
            reason: Some(match last {
                Some(last) => last.class,
                None if account.health == Health::Starting && is_grace => "starting",
                None => "missing",
            }),
            failing_since: last.map(|last| to_wall(last.since).utc()),
            served_until: account
                .primary()
                .and_then(|primary| primary.served_until)
                .map(|until| to_wall(until).utc()),
            retry_at: last.map(|last| to_wall(last.retry_at).utc()),
            errcode: error.and_then(|error| error.errcode()),
            cause: error
                .map(|error| error.cause())
                .or(waits.map(|no| no.cause.clone())),
            fix: error
                .map(|error| error.fix())
                .or(waits.map(|no| no.fix.clone())),
            ..report
        }
    }
}

/// Handles `GET /readyz`: 200, or 503 if too few accounts work.
pub(super) async fn readyz(readiness: web::Data<Readiness>) -> HttpResponse {
    let report = readiness.report();
    let mut answer = if report.state.ready {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    answer
        .insert_header(("Cache-Control", "no-store"))
        .json(report)
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's shape
pub(super) fn is_zero(count: &usize) -> bool {
    *count == 0
}

const NOT_LOADED: Text = Text::new(
    "the store could not be read since the start: accounts of the admin API and of open platforms are not known yet",
    "启动以来尚未读到存储：管理接口添加的账号和授权给第三方平台的账号还不可用",
);
const LOAD: Text = Text::new(
    "make the store reachable (store.url, its network, its keys); it is read again every few seconds. The log has the error",
    "请恢复存储（检查 store.url、网络与密钥），服务每隔几秒会重新读取；具体错误见日志",
);

/// How long an account without a fetched credential counts as ready: the keeper starts its first calls
/// within a second, and a request that arrives before they end waits for them and is served.
const GRACE: Duration = Duration::from_secs(10);

/// Orchestrators call every few seconds and read only the status.
const SHOWN: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_all_fails_with_one_account_down_and_rule_any_with_none_signing() {
        // How many accounts sign and how many of those are down; the same for accounts that do not sign;
        // the results for `any` and `all`.
        for (signing, down_signing, others, down_others, any, all_of_them) in [
            (0, 0, 0, 0, true, true),
            (3, 0, 0, 0, true, true),
            (50, 1, 0, 0, true, false),
            (3, 3, 0, 0, false, false),
            (3, 3, 2, 0, false, false),
            (3, 0, 2, 2, true, false),
            (0, 0, 2, 1, true, false),
            (0, 0, 2, 2, false, false),
        ] {
            let counts = |accounts: usize, down: usize| Counts {
                accounts,
                down,
                ok: accounts - down,
                ..Counts::default()
            };
            let all = counts(signing + others, down_signing + down_others);
            let signing = counts(signing, down_signing);
            let allows = |rule| allows(rule, all, signing, true);
            assert_eq!(
                (allows(ReadyRule::Any), allows(ReadyRule::All)),
                (any, all_of_them),
                "{all:?} {signing:?}"
            );
        }
    }
}
