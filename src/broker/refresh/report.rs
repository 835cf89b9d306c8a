//! Reports the result of a refresh: counts it, logs it, remembers a failure and records the history.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{Failed, Flight, Published};
use crate::broker::slot::{LastError, RefreshOutcome, State};
use crate::broker::stats::Outcome;
use crate::clock::UnixTime;
use crate::credential::{Credential, Kind};
use crate::error::{Error, Failure, UpstreamError};

impl Flight {
    /// Returns the result for the callers.
    pub(super) fn report(
        &self,
        result: Result<Published, Failed>,
    ) -> Result<Arc<Credential>, Error> {
        let is_from_store = matches!(&result, Ok(published) if published.is_from_store);
        let outcome = match result {
            Ok(published) => Ok(self.report_value(published)),
            Err(Failed::Call(error)) => {
                let kind = self.slot.key.kind;
                let counters = &self.broker.inner.counters;
                counters.call_failed(kind, &error);
                // Not every failure is that of a call.
                if error.is_unanswered() || self.has_called.load(Relaxed) {
                    counters.refreshed(kind, false, self.took());
                    self.note_way(error.is_unanswered());
                }
                Err(self.remember(error, None))
            }
            Err(Failed::Store(error, latest)) => {
                let jitter = Duration::from_secs(rand::random_range(0..=10));
                Err(self.remember(error, Some(latest.plus(jitter))))
            }
            Err(Failed::Parent(error)) => {
                self.share_cooldown(&error);
                Err(error)
            }
            Err(Failed::RateLimited(error)) => {
                let wait = error.retry_after().unwrap_or_default();
                let from = self.broker.inner.clock.now().plus(wait);
                let mut state = self.slot.lock();
                state.counts.count(Outcome::RateLimited);
                state.on_demand_from = state.on_demand_from.max(Some(from));
                Err(error)
            }
        };
        self.record(&outcome, is_from_store);
        outcome
    }

    fn report_value(&self, published: Published) -> Arc<Credential> {
        let counters = &self.broker.inner.counters;
        let now = self.broker.inner.clock.now();
        let credential = published.credential;
        let (outcome, at, message) = if published.is_from_store {
            let message = "refreshed from the store";
            (Outcome::FromStore, credential.issued_at, message)
        } else {
            self.note_way(false);
            counters.refreshed(self.slot.key.kind, true, self.took());
            (Outcome::Refreshed, now, "refreshed")
        };
        self.slot.lock().counts.succeeded(outcome, at, now);
        self.log_value(outcome.as_str(), &credential, message);
        if self.slot.key.kind == Kind::AccessToken {
            self.broker.end_waits_for_token(&self.slot.key.app);
        }
        if let Some(pause) = published.pause {
            self.space_out(credential.life(), pause.max(credential.life()));
        }
        credential
    }

    /// Notes whether the last call through the account's own proxy got no answer.
    fn note_way(&self, is_silent: bool) {
        let Some(way) = self.entry.account.own_egress() else {
            return;
        };
        let mut silent = self.broker.inner.keeper.silent_ways.lock();
        match is_silent {
            true => silent.insert(way.clone()),
            false => silent.remove(way),
        };
    }

    /// Remembers a failure, logs it once at the level of its class, and returns it as the callers' error.
    /// The next try is at `latest` at the latest.
    fn remember(&self, error: UpstreamError, latest: Option<UnixTime>) -> Error {
        let kind = self.slot.key.kind;
        let now = self.broker.inner.clock.now();
        let error = Arc::new(self.with_other_addresses(error));
        let is_served = self.broker.current_credential(&self.slot).is_some();
        let remembered = {
            let mut state = self.slot.lock();
            state.counts.count(Outcome::Failed(error.class()));
            let failure = self.enter(&mut state, error.clone(), kind, None);
            if let Some(latest) = latest {
                failure.end_by(latest);
            }
            failure.as_error(&self.entry.name, is_served, now)
        };
        self.log_failure(&error, kind, remembered.retry_after().unwrap_or_default());
        remembered
    }

    /// Applies the parent's cooldown: without its parent this credential cannot be fetched, so callers are
    /// answered from memory until the parent is tried again.
    fn share_cooldown(&self, error: &Error) {
        let mut state = self.slot.lock();
        state.counts.count(Outcome::NoToken);
        if let Error::Upstream {
            error,
            kind: Some(kind),
            retry_at,
            ..
        } = error
        {
            self.enter(&mut state, error.clone(), *kind, Some(*retry_at));
        }
    }

    /// Delays the next call and logs the reason. WeChat returned a value that lives for seconds again; a
    /// call at the end of each would use up the daily quota.
    fn space_out(&self, life: Duration, pause: Duration) {
        let reason = format!(
            "a validity of {} s again: the next call is in {} s",
            life.as_secs(),
            pause.as_secs()
        );
        let failure = self.failed(Failure::Unusable(reason));
        let kind = self.slot.key.kind;
        {
            let mut state = self.slot.lock();
            let until = self.broker.inner.clock.now().plus(pause);
            self.enter(&mut state, Arc::new(failure.clone()), kind, Some(until));
            state.drop_retry();
        }
        self.log_failure(&failure, kind, pause);
    }

    /// Adds the other IP addresses that WeChat refused for this account within a day.
    fn with_other_addresses(&self, failure: UpstreamError) -> UpstreamError {
        let Some(ip) = failure.ips_to_allow().first().copied() else {
            return failure;
        };
        let now = self.broker.inner.clock.now();
        let mut state = self.entry.token_slot().lock();
        UpstreamError {
            also_seen: state.note_refused_address(ip, now),
            ..failure
        }
    }

    /// Records a failure, which prevents another try until `until`, or for as long as its class says. A
    /// failure of a flight that started before a reload corrected the account says nothing about the new
    /// configuration, and prevents nothing.
    fn enter<'a>(
        &self,
        state: &'a mut State,
        error: Arc<UpstreamError>,
        kind: Kind,
        until: Option<UnixTime>,
    ) -> &'a mut LastError {
        let now = self.broker.inner.clock.now();
        let failure = self.slot.fail(state, error, kind, &self.reason, now);
        failure.retry_at = until.unwrap_or(failure.retry_at);
        let current = self.broker.inner.accounts.load();
        if current
            .of_key(&self.slot.key.app)
            .is_some_and(|current| !current.calls_like(&self.entry))
        {
            failure.end_by(now);
        }
        failure
    }

    /// Records the result in the history, unless the rate limit refused the refresh.
    fn record(&self, outcome: &Result<Arc<Credential>, Error>, is_from_store: bool) {
        let (outcome, errcode, expires_at) = match outcome {
            Ok(credential) => {
                let before = self.had.as_ref();
                let outcome = if before.is_some_and(|before| before.value == credential.value) {
                    RefreshOutcome::Repeated
                } else if is_from_store {
                    RefreshOutcome::FromStore
                } else {
                    RefreshOutcome::Fetched
                };
                (outcome, None, Some(credential.expires_at))
            }
            Err(Error::Upstream { error, .. }) => {
                let outcome = RefreshOutcome::Failed(error.class());
                (outcome, error.errcode(), None)
            }
            Err(_) => return,
        };
        let now = self.broker.inner.clock.now();
        let took = self.took();
        let mut state = self.slot.lock();
        state.history.add(now, outcome, took, errcode, expires_at);
    }

    /// Returns the time since the flight began, including the wait for a lease.
    pub(super) fn took(&self) -> Duration {
        self.broker.inner.clock.uptime().saturating_sub(self.began)
    }
}
