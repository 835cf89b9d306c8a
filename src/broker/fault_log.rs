//! Throttles log lines when one fault hits many accounts: the first accounts are logged in full, the others
//! are counted, and one line per minute gives their number. A different cause is a different fault and is
//! counted separately.
//!
//! Decides which lines are written, and writes the summaries and the lines of the store, of warnings and of an
//! ended value. The lines of a refresh are in `refresh::log`.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{error, warn};

use super::Broker;
use super::slot::{Slot, State};
use crate::clock::UnixTime;
use crate::error::{Class, UpstreamError};
use crate::store::StoreError;

/// The recent faults, each with the accounts that it hit.
#[derive(Default)]
pub(super) struct FaultLog(Mutex<HashMap<Topic, Crowd>>);

/// What identifies a fault: everything in the line except the account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Topic {
    /// The log message.
    what: &'static str,
    /// WeChat's endpoint; empty if the fault has none.
    endpoint: &'static str,
    class: &'static str,
    /// Whether nothing is served any more. This is logged as an error, whatever the class.
    dead: bool,
    /// WeChat's errcode, or the kind of transport failure.
    code: String,
}

/// The accounts that one fault has hit.
#[derive(Default)]
struct Crowd {
    /// The accounts logged in full, each with the time of its last line, in uptime.
    named: HashMap<String, Duration>,
    /// Hashes of the other accounts since the last summary; they are only counted.
    others: HashSet<u64>,
    examples: Vec<String>,
    /// When the next summary is due, in uptime.
    sum_up_at: Duration,
    /// Cause and fix of the last failure counted.
    advice: Advice,
}

/// Cause and fix in a summary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Advice {
    cause: String,
    fix: String,
}

/// One summary line.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    topic: Topic,
    accounts: usize,
    examples: Vec<String>,
    advice: Advice,
}

impl Topic {
    /// Returns the topic of a failed refresh.
    fn of(what: &'static str, error: &UpstreamError, dead: bool) -> Self {
        Self {
            what,
            endpoint: error.endpoint,
            class: error.class().as_str(),
            dead,
            code: error.failure.code(),
        }
    }

    /// Returns the topic of a line that is the same for every account.
    fn of_line(what: &'static str) -> Self {
        Self {
            what,
            ..Self::default()
        }
    }
}

impl FaultLog {
    /// Returns whether this account's line is to be written. If not, the account is counted.
    fn may_log(
        &self,
        topic: Topic,
        account: &str,
        advice: impl FnOnce() -> Advice,
        uptime: Duration,
    ) -> bool {
        let mut topics = self.0.lock();
        if topics.len() >= MOST_TOPICS && !topics.contains_key(&topic) {
            return true;
        }
        let crowd = topics.entry(topic).or_default();
        if let Some(last) = crowd.named.get_mut(account) {
            *last = uptime;
            return true;
        }
        if crowd.named.len() < IN_FULL {
            crowd.named.insert(account.to_owned(), uptime);
            return true;
        }
        if crowd.others.is_empty() {
            crowd.sum_up_at = uptime + PERIOD;
            crowd.advice = advice();
        }
        if crowd.others.insert(hash(account)) && crowd.examples.len() < EXAMPLES {
            crowd.examples.push(account.to_owned());
        }
        false
    }

    /// Frees an account's place after a success, so that another account can be logged in full.
    pub(super) fn recovered(&self, account: &str) {
        let mut topics = self.0.lock();
        for crowd in topics.values_mut() {
            crowd.named.remove(account);
        }
    }

    /// Returns the summaries that are due. Drops faults that have not occurred for a while; the next
    /// occurrence is logged in full again.
    fn due(&self, uptime: Duration) -> Vec<Summary> {
        let mut topics = self.0.lock();
        let mut due = Vec::new();
        topics.retain(|topic, crowd| {
            crowd
                .named
                .retain(|_, last| uptime.saturating_sub(*last) < FORGOTTEN);
            if !crowd.others.is_empty() && uptime >= crowd.sum_up_at {
                due.push(Summary {
                    topic: topic.clone(),
                    accounts: std::mem::take(&mut crowd.others).len(),
                    examples: std::mem::take(&mut crowd.examples),
                    advice: crowd.advice.clone(),
                });
            }
            !crowd.named.is_empty() || !crowd.others.is_empty()
        });
        due
    }
}

impl Summary {
    fn write(&self) {
        let Topic {
            what,
            endpoint,
            class,
            dead,
            code,
        } = &self.topic;
        let Advice { cause, fix } = &self.advice;
        let accounts = self.accounts;
        let examples = self.examples.join(", ");
        if *dead || *class == Class::Setup.as_str() {
            error!(
                accounts,
                class, endpoint, code, examples, cause, fix, "and {accounts} more accounts: {what}"
            );
        } else {
            warn!(
                accounts,
                class, endpoint, code, examples, cause, fix, "and {accounts} more accounts: {what}"
            );
        }
    }
}

impl Broker {
    /// Returns whether a line about this failure is to be written. If not, the account is counted.
    pub(super) fn may_log_failure(
        &self,
        what: &'static str,
        account: &str,
        error: &UpstreamError,
        dead: bool,
    ) -> bool {
        self.may_log(Topic::of(what, error, dead), account, || Advice {
            cause: error.cause().en.into_owned(),
            fix: error.fix_for_operator().en.into_owned(),
        })
    }

    fn may_log(&self, topic: Topic, account: &str, advice: impl FnOnce() -> Advice) -> bool {
        self.log_summaries();
        let uptime = self.inner.clock.uptime();
        self.inner.fault_log.may_log(topic, account, advice, uptime)
    }

    /// Logs, once per value, that it has ended while its refresh fails. The next try may be an hour away.
    pub(super) fn log_end(&self, account: &str, slot: &Slot, state: &mut State, now: UnixTime) {
        let may_log = state.last.is_some() && !state.end_is_logged;
        let Some(failure) = state.failure.as_ref().filter(|_| may_log) else {
            return;
        };
        let error = failure.error.clone();
        let kind = slot.key.kind;
        let failing_for = now.since(failure.since).as_secs();
        let retry_in = failure.retry_at.since(now).as_secs();
        state.end_is_logged = true;
        let (cause, fix) = (error.cause().en, error.fix_for_operator().en);
        if self.may_log_failure("no longer served", account, &error, true) {
            error!(account, %kind, failing_for, retry_in, %cause, %fix, "no longer served: {error}");
        }
    }

    /// Logs a store error for an account, in full or in a summary.
    pub(super) fn log_store_error(&self, account: &str, error: &StoreError, what: &'static str) {
        let advice = || Advice {
            cause: error.to_string(),
            fix: String::new(),
        };
        if self.may_log(Topic::of_line(what), account, advice) {
            warn!(account, %error, "{what}");
        }
    }

    /// Logs a warning that may concern every account in the same second.
    pub(super) fn log_warning(&self, account: &str, what: &'static str) {
        if self.may_log(Topic::of_line(what), account, Advice::default) {
            warn!(account, "{what}");
        }
    }

    /// Writes the summaries that are due. Called by the keeper at each step and before every other line.
    pub(super) fn log_summaries(&self) {
        for summary in self.inner.fault_log.due(self.inner.clock.uptime()) {
            summary.write();
        }
    }
}

fn hash(account: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    account.hash(&mut hasher);
    hasher.finish()
}

/// Accounts logged in full per fault: enough to see what they have in common.
const IN_FULL: usize = 10;

/// Account names in a summary, as a starting point for the investigation.
const EXAMPLES: usize = 3;

/// Interval of the summaries.
const PERIOD: Duration = Duration::from_secs(60);

/// Longer than the slowest retry (five minutes), so that a continuing fault is not logged as new each time.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// There are some hundred errcodes; the limit protects against invalid ones.
const MOST_TOPICS: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: &str = "refresh failed";

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn logged(
        log: &FaultLog,
        what: &'static str,
        accounts: std::ops::Range<usize>,
        seconds: u64,
    ) -> usize {
        let may_log = |n: &usize| {
            log.may_log(
                Topic::of_line(what),
                &format!("a{n}"),
                Advice::default,
                at(seconds),
            )
        };
        accounts.filter(may_log).count()
    }

    #[test]
    fn ten_accounts_are_logged_in_full_and_the_others_once_a_minute() {
        let log = FaultLog::default();
        assert_eq!(logged(&log, BUSY, 0..10_000, 0), 10);
        assert_eq!(logged(&log, BUSY, 0..10_000, 30), 10, "the same ten again");
        assert_eq!(log.due(at(59)), []);
        let due = log.due(at(60));
        assert_eq!(
            (due.len(), due[0].accounts, due[0].examples.join(" ")),
            (1, 9_990, "a10 a11 a12".to_owned())
        );
        assert_eq!(log.due(at(61)), [], "once");
        assert_eq!(logged(&log, BUSY, 5_000..5_005, 70), 0);
        assert_eq!(
            log.due(at(130))[0].accounts,
            5,
            "only those that were met since"
        );
    }

    #[test]
    fn a_new_cause_is_logged_in_full_during_a_flood() {
        let log = FaultLog::default();
        logged(&log, BUSY, 0..10_000, 0);
        assert_eq!(logged(&log, "another", 42..43, 1), 1);
        assert_eq!(logged(&log, "another", 100..200, 1), 9);
    }

    #[test]
    fn a_recovered_account_frees_its_place_for_another() {
        let log = FaultLog::default();
        logged(&log, BUSY, 0..10, 0);
        assert_eq!(logged(&log, BUSY, 10..11, 1), 0);
        log.recovered("a3");
        assert_eq!(logged(&log, BUSY, 11..13, 1), 1);
    }

    #[test]
    fn a_cause_not_seen_for_ten_minutes_is_forgotten_and_logged_again() {
        let log = FaultLog::default();
        logged(&log, BUSY, 0..20, 0);
        assert_eq!(log.due(at(60)).len(), 1);
        assert_eq!(log.due(at(600)), []);
        assert!(log.0.lock().is_empty());
        assert_eq!(logged(&log, BUSY, 15..16, 601), 1);
    }

    #[test]
    fn an_endless_series_of_causes_is_logged_and_not_remembered() {
        let log = FaultLog::default();
        for n in 0..2 * MOST_TOPICS {
            let topic = Topic {
                code: n.to_string(),
                ..Topic::of_line(BUSY)
            };
            assert!(log.may_log(topic, "a", Advice::default, at(0)));
        }
        assert_eq!(log.0.lock().len(), MOST_TOPICS);
    }
}
