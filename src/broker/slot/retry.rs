//! The last failure of a slot, when it may be tried again, and the on-demand refresh that waits for that.

use std::sync::Arc;
use std::time::Duration;

use super::{Reason, State};
use crate::clock::UnixTime;
use crate::credential::Kind;
use crate::error::{Error, UpstreamError, Wait, next_probe};

/// A failure that no success has followed yet.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LastError {
    /// When it happened.
    pub at: UnixTime,
    /// When the first failure in a row happened.
    pub since: UnixTime,
    /// When the next try is. The failure prevents another one before.
    pub retry_at: UnixTime,
    /// Number of failures in a row.
    pub failures: u32,
    /// `transient`, `stale_token`, `quota` or `setup`.
    pub class: &'static str,
    /// The credential that failed. A ticket's failure may be its token's.
    pub kind: Kind,
    /// The error itself.
    pub error: Arc<UpstreamError>,
    /// The on-demand refresh that failed. The keeper retries it until it succeeds, however fresh the value looks.
    pub(in crate::broker) pending: Option<Reason>,
}

impl State {
    /// Returns the failure that still prevents another try.
    pub(in crate::broker) fn cooldown(&self, now: UnixTime) -> Option<&LastError> {
        self.failure
            .as_deref()
            .filter(|failure| now < failure.retry_at)
    }

    /// Returns the last failure for a snapshot, without the value that a client may have reported.
    pub(in crate::broker) fn last_error(&self) -> Option<LastError> {
        self.failure.as_deref().map(|failure| LastError {
            pending: None,
            ..failure.clone()
        })
    }

    /// Records a failure of this slot, and returns the record.
    pub(super) fn fail(
        &mut self,
        error: Arc<UpstreamError>,
        kind: Kind,
        reason: &Reason,
        now: UnixTime,
    ) -> &mut LastError {
        let before = self.failure.take();
        let since = before.as_ref().map_or(now, |failure| failure.since);
        // Failures of the store say nothing about WeChat, and the reverse: each starts its own backoff.
        let in_a_row = before
            .as_ref()
            .filter(|failure| failure.error.is_about_the_store() == error.is_about_the_store());
        let failures = in_a_row
            .map_or(0, |failure| failure.failures)
            .saturating_add(1);
        // A reported dead value takes precedence over an operator's request. Neither is dropped when another
        // refresh fails.
        let pending = match (reason, before.and_then(|failure| failure.pending)) {
            (Reason::Rejected(_), _) | (Reason::RefreshNow, None) => Some(reason.clone()),
            (_, pending) => pending,
        };
        self.failure.insert(Box::new(LastError {
            at: now,
            since,
            retry_at: retry_at(error.wait(), failures, now),
            failures,
            class: error.class().as_str(),
            kind,
            error,
            pending,
        }))
    }

    /// Returns when the keeper may retry a failed on-demand refresh: after the failure's cooldown and the rate
    /// limit.
    pub(in crate::broker) fn retry_from(&self) -> Option<UnixTime> {
        let failure = self.failure.as_deref()?;
        failure.pending.as_ref()?;
        self.on_demand_from.max(Some(failure.retry_at))
    }

    /// Returns the reason of the failed on-demand refresh, if it can be retried now.
    pub(in crate::broker) fn retry_reason(&self, now: UnixTime) -> Option<Reason> {
        self.retry_from().filter(|from| *from <= now)?;
        self.failure.as_ref()?.pending.clone()
    }

    /// Drops the pending retry, because the value has been replaced already.
    pub(in crate::broker) fn drop_retry(&mut self) {
        if let Some(failure) = &mut self.failure {
            failure.pending = None;
        }
    }

    /// Ends the cooldown, because the cause of the failures has probably been removed. A pending retry
    /// stays pending.
    pub(in crate::broker) fn end_cooldown(&mut self, now: UnixTime) {
        match self
            .failure
            .as_mut()
            .filter(|failure| failure.pending.is_some())
        {
            Some(failure) => failure.end_by(now),
            None => self.failure = None,
        }
    }
}

impl LastError {
    /// Whether this reason starts a refresh although the failure still prevents one: an operator's request does,
    /// except within a minute whose calls are used up. Its cause may have been removed, however long WeChat
    /// said that it lasts.
    pub(in crate::broker) fn is_overridden_by(&self, reason: &Reason) -> bool {
        matches!(reason, Reason::RefreshNow) && self.error.wait() != Wait::NextMinute
    }

    /// Ends the cooldown at this time at the latest.
    pub(in crate::broker) fn end_by(&mut self, time: UnixTime) {
        self.retry_at = self.retry_at.min(time);
    }

    /// Returns the failure as the error for callers. `served`: whether a valid credential exists meanwhile.
    pub(in crate::broker) fn as_error(&self, account: &str, served: bool, now: UnixTime) -> Error {
        Error::Upstream {
            account: account.to_owned(),
            kind: Some(self.kind),
            error: self.error.clone(),
            served,
            retry_at: self.retry_at,
            retry_after: self.retry_at.since(now).max(Duration::from_secs(1)),
        }
    }
}

/// Returns when to try again after the `failures`-th failure in a row. The jitter keeps many servers from
/// retrying at the same time.
fn retry_at(wait: Wait, failures: u32, now: UnixTime) -> UnixTime {
    let doubled =
        |first: u64, last: u64| first.saturating_mul(1 << (failures - 1).min(16)).min(last);
    let jittered = |seconds: u64| seconds + rand::random_range(0..=seconds / 2);
    match wait {
        Wait::Backoff => UnixTime(now.0 + jittered(doubled(1, 60))),
        Wait::Slow => UnixTime(now.0 + doubled(60, 300) + rand::random_range(0..=15)),
        Wait::NextMinute => UnixTime((now.0 / 60 + 1) * 60 + rand::random_range(0..=5)),
        Wait::NextDay => next_probe(now),
        Wait::For(time) => now.plus(time),
        Wait::Until(time) => time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Account;
    use crate::error::Failure;
    use crate::upstream::failed;

    #[test]
    fn failures_of_the_store_lengthen_no_wait_for_wechat() {
        let account = Account::official("wx0123456789abcdef", "secret");
        let store = Failure::StoreUnreachable("redis: refused".into());
        let wechat = Failure::Unreachable("refused".into());
        let mut state = State::default();
        let mut now = UnixTime(1_000);
        for (failure, times) in [(&store, 7), (&wechat, 7), (&store, 1)] {
            for n in 1..=times {
                let error = failed(&account, Kind::AccessToken, failure.clone());
                let failure = state.fail(Arc::new(error), Kind::AccessToken, &Reason::Due, now);
                assert_eq!((failure.failures, failure.since), (n, UnixTime(1_000)));
                now = failure.retry_at;
            }
        }
    }

    #[test]
    fn transient_failures_are_retried_with_backoff_up_to_90_seconds() {
        for (failures, least, most) in [
            (1, 1, 1),
            (2, 2, 3),
            (3, 4, 6),
            (6, 32, 48),
            (7, 60, 90),
            (1_000, 60, 90),
        ] {
            for _ in 0..50 {
                let wait = retry_at(Wait::Backoff, failures, UnixTime(1_000)).0 - 1_000;
                assert!(
                    (least..=most).contains(&wait),
                    "failure {failures}: {wait} s"
                );
            }
        }
    }

    #[test]
    fn setup_failures_are_retried_every_one_to_five_minutes() {
        for (failures, least) in [(1, 60), (2, 120), (3, 240), (4, 300), (400, 300)] {
            let wait = retry_at(Wait::Slow, failures, UnixTime(0)).0;
            assert!(
                (least..=least + 15).contains(&wait),
                "failure {failures}: {wait} s"
            );
        }
    }

    #[test]
    fn quotas_are_waited_out() {
        assert!((120..=125).contains(&retry_at(Wait::NextMinute, 1, UnixTime(60)).0));
        let midnight = UnixTime(1_704_124_800);
        let day = 86_400;
        for (before, wait) in [
            (5_000, 3_600),
            (3_600, 3_600),
            (500, 500),
            (day, 300),
            (day - 1_799, 300),
            (day - 1_800, 3_600),
        ] {
            let now = UnixTime(midnight.0 - before);
            let waited = retry_at(Wait::NextDay, 3, now).0 - now.0;
            assert!((wait..=wait + 60).contains(&waited), "{waited}");
        }
        assert_eq!(
            retry_at(Wait::For(Duration::from_secs(3_600)), 9, UnixTime(1)),
            UnixTime(3_601)
        );
    }

    #[test]
    fn retries_of_nodes_that_failed_together_are_spread() {
        let times: std::collections::HashSet<_> = (0..200)
            .map(|_| retry_at(Wait::Backoff, 10, UnixTime(0)))
            .collect();
        assert!(times.len() > 10);
    }
}
