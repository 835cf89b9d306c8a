//! Counters of the calls that were passed on, by account and the first two segments of the path.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use crate::broker::Distribution;
use crate::upstream::describe;

/// The counters of a process. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct GatewayStats(Arc<Mutex<Series>>);

/// By account and path.
type Series = BTreeMap<(String, String), CallStats>;

/// The calls of one account below one path.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CallStats {
    /// The configured name of the account.
    pub(crate) account: String,
    /// The first two segments: `/cgi-bin/message`.
    pub(crate) path: String,
    /// How the calls ended, in the order of [`CallOutcome::ALL`].
    pub(crate) outcomes: [u64; CallOutcome::ALL.len()],
    /// Calls that were repeated with another token.
    pub(crate) replays: u64,
    /// Repeated calls whose second answer has no token error.
    pub(crate) healed: u64,
    /// Bytes of request bodies.
    pub(crate) bytes_sent: u64,
    /// Bytes of answers.
    pub(crate) bytes_received: u64,
    /// The time until WeChat's answer began: counts by bucket, and the sum in microseconds.
    latencies: [u64; BOUNDS.len() + 1],
    micros: u64,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallOutcome {
    /// WeChat answered without an errcode.
    Ok,
    /// WeChat answered with an errcode.
    Errcode,
    /// WeChat did not answer, or not completely.
    Failed,
    /// It was not passed on.
    Refused,
}

impl CallOutcome {
    /// Every outcome.
    pub(crate) const ALL: [Self; 4] = [Self::Ok, Self::Errcode, Self::Failed, Self::Refused];

    /// Returns the label in metrics.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Errcode => "errcode",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

impl GatewayStats {
    /// Returns the counters, sorted by account and path.
    pub(crate) fn calls(&self) -> Vec<CallStats> {
        self.0.lock().values().cloned().collect()
    }

    /// Returns the number of calls that WeChat answered for an account.
    pub(crate) fn answered(&self, account: &str) -> u64 {
        let all = self.0.lock();
        of_account(&all, account)
            .map(|calls| {
                calls.outcomes[CallOutcome::Ok as usize]
                    + calls.outcomes[CallOutcome::Errcode as usize]
            })
            .sum()
    }

    pub(super) fn refused(&self, account: &str, path: &str) {
        self.update(account, path, MOST_REFUSED, |calls| {
            calls.outcomes[CallOutcome::Refused as usize] += 1;
        });
    }

    /// Changes the counters of a path, which is counted apart if there are fewer series than `most`, and fewer than
    /// [`MOST_PATHS`] of the account: its caller chooses the path.
    fn update(&self, account: &str, path: &str, most: usize, change: impl FnOnce(&mut CallStats)) {
        let mut key = (account.to_owned(), path.to_owned());
        let mut all = self.0.lock();
        let is_apart = all.contains_key(&key)
            || (all.len() < most && of_account(&all, account).count() < MOST_PATHS);
        if !is_apart {
            key.1 = OTHER.to_owned();
            if !all.contains_key(&key) && all.len() >= most {
                key.0 = OTHER.to_owned();
            }
        }
        let calls = all
            .entry(key)
            .or_insert_with_key(|(account, path)| CallStats {
                account: account.clone(),
                path: path.clone(),
                ..CallStats::default()
            });
        change(calls);
    }
}

fn of_account<'a>(all: &'a Series, account: &'a str) -> impl Iterator<Item = &'a CallStats> {
    all.range((account.to_owned(), String::new())..)
        .map(|(_, calls)| calls)
        .take_while(move |calls| calls.account == account)
}

impl CallStats {
    /// Returns how long WeChat took to answer.
    pub(crate) fn latency(&self) -> Distribution {
        Distribution::of(&BOUNDS, self.latencies, self.micros)
    }
}

/// A call in progress: counted when it is dropped, after the last byte of the answer.
pub(super) struct InProgress {
    pub(super) stats: GatewayStats,
    pub(super) account: String,
    pub(super) path: String,
    pub(super) outcome: CallOutcome,
    /// `None` if it was not passed on.
    pub(super) took: Option<Duration>,
    pub(super) replayed: bool,
    pub(super) healed: bool,
    pub(super) bytes_sent: u64,
    bytes_received: u64,
    _permit: OwnedSemaphorePermit,
}

impl InProgress {
    pub(super) fn new(
        stats: &GatewayStats,
        account: &str,
        path: &str,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            stats: stats.clone(),
            account: account.to_owned(),
            path: path.to_owned(),
            outcome: CallOutcome::Refused,
            took: None,
            replayed: false,
            healed: false,
            bytes_sent: 0,
            bytes_received: 0,
            _permit: permit,
        }
    }

    /// Records that the answer ended early, after its beginning was sent to the caller.
    pub(super) fn break_off(&mut self, error: &(dyn Error + 'static)) {
        self.outcome = CallOutcome::Failed;
        let (account, path, error) = (&self.account, &self.path, describe(error));
        tracing::warn!(account, path, %error, "answer of WeChat ended early: the caller got a part of it");
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.bytes_received += bytes as u64;
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.stats
            .update(&self.account, &self.path, MOST_SERIES, |calls| {
                if let Some(took) = self.took {
                    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                    calls.latencies[Distribution::bucket(&BOUNDS, micros)] += 1;
                    calls.micros += micros;
                }
                calls.outcomes[self.outcome as usize] += 1;
                calls.replays += u64::from(self.replayed);
                calls.healed += u64::from(self.healed);
                calls.bytes_sent += self.bytes_sent;
                calls.bytes_received += self.bytes_received;
            });
    }
}

/// Logs a call of an authorised caller that the server drops before its answer, because its connection closed.
pub(super) struct Unanswered<'a> {
    pub(super) path: &'a str,
    /// The configured name; `None` before the caller is known. Then nothing is logged, so that a client without a
    /// key cannot fill the log. Nor after the answer, when the account is taken.
    pub(super) account: Option<String>,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            let path = self.path;
            tracing::info!(
                account,
                path,
                "connection of the caller closed before the answer"
            );
        }
    }
}

/// The histogram's bounds in microseconds: WeChat answers in some tens of milliseconds, uploads take seconds.
const BOUNDS: [u64; 10] = [
    5_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000, 60_000_000,
];

/// Accounts times paths that are counted apart.
const MOST_SERIES: usize = 1_000;

/// Paths of one account that are counted apart. WeChat's API has some forty, each with many calls.
const MOST_PATHS: usize = 100;

/// A path of which only refused calls are known gets a series if there are fewer than this: a client that may call
/// nothing chooses it.
const MOST_REFUSED: usize = 100;

/// The labels of all others.
const OTHER: &str = "other";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_of_one_account_leave_room_for_the_other_accounts() {
        let stats = GatewayStats::default();
        let call = |account: &str, path: &str| {
            stats.update(account, path, MOST_SERIES, |calls| calls.replays += 1);
        };
        (0..5_000).for_each(|n| call("main", &format!("/cgi-bin/a{n}")));
        call("shop", "/cgi-bin/user");
        let calls = stats.calls();
        assert_eq!(calls.len(), MOST_PATHS + 2);
        let of = |account: &str, path: &str| {
            let mut calls = calls.iter();
            let found = calls.find(|calls| calls.account == account && calls.path == path);
            found.map_or(0, |calls| calls.replays)
        };
        assert_eq!(of("main", OTHER), 4_900);
        assert_eq!(of("shop", "/cgi-bin/user"), 1);
    }
}
