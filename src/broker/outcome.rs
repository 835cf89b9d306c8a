//! Reports the end of a refresh: writes one log line, updates the counters, and remembers a failure.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::refresh::Flight;
use super::slot::State;
use super::stats::Outcome;
use crate::clock::UnixTime;
use crate::credential::{Credential, Kind};
use crate::error::{Class, Error, Failure, UpstreamError};

impl Flight {
    /// Reports a value that WeChat returned.
    pub(super) fn report(&self, kept: &Credential) {
        let inner = &self.broker.inner;
        self.slot
            .counts
            .succeeded(Outcome::Refreshed, inner.clock.now());
        inner
            .counts
            .refreshed(self.slot.key.kind, true, self.took());
        self.say("refreshed", kept, "refreshed");
    }

    /// Logs a refresh that brought a value. A generation is a time, not a secret.
    pub(super) fn say(&self, outcome: &'static str, kept: &Credential, message: &'static str) {
        let now = self.broker.inner.clock.now();
        let (account, kind, reason) = (&self.member.name, self.slot.key.kind, self.why.as_str());
        let (took_ms, generation) = (self.took_ms(), kept.generation);
        let due_at = self.slot.lock().due_at(kept, self.slot.spread);
        let (expires_in, next_in) = (kept.remaining(now).as_secs(), due_at.since(now).as_secs());
        info!(account, %kind, reason, outcome, took_ms, expires_in, next_in, generation, "{message}");
    }

    /// Reports that WeChat returned no value.
    pub(super) fn remember(&self, failure: UpstreamError, kind: Kind) -> Error {
        let counts = &self.broker.inner.counts;
        counts.refreshed(self.slot.key.kind, false, self.took());
        counts.call_failed(self.slot.key.kind, &failure);
        self.keep_in_mind(failure, kind)
    }

    /// Remembers a failure, logs it once at the level of its class, and returns it as the callers' error.
    pub(super) fn keep_in_mind(&self, failure: UpstreamError, kind: Kind) -> Error {
        let failure = self.with_other_addresses(failure);
        let now = self.broker.inner.clock.now();
        self.slot.counts.count(Outcome::Failed(failure.class()));
        let error = {
            let served = self.broker.current_credential(&self.slot).is_some();
            let mut state = self.slot.lock();
            self.enter(&mut state, Arc::new(failure.clone()), kind, None);
            state.failure.as_ref().expect("just remembered").as_error(
                &self.member.name,
                served,
                now,
            )
        };
        self.say_failure(&failure, kind, error.retry_after().unwrap_or_default());
        error
    }

    /// Delays the next call and logs the reason. WeChat returned a value that lives for seconds again; a
    /// call at the end of each would use up the daily quota.
    pub(super) fn space_out(&self, life: Duration, pause: Duration) {
        let why = format!(
            "a validity of {} s again: the next call is in {} s",
            life.as_secs(),
            pause.as_secs()
        );
        let failure = UpstreamError {
            failure: Failure::Unusable(why),
            ..self.blank()
        };
        let kind = self.slot.key.kind;
        {
            let mut state = self.slot.lock();
            let until = self.broker.inner.clock.now().plus(pause);
            self.enter(&mut state, Arc::new(failure.clone()), kind, Some(until));
            state.settle();
        }
        self.say_failure(&failure, kind, pause);
    }

    /// Adds the other IP addresses that WeChat refused for this account within a day.
    fn with_other_addresses(&self, failure: UpstreamError) -> UpstreamError {
        let Some(ip) = failure.ips_to_allow().first().copied() else {
            return failure;
        };
        let now = self.broker.inner.clock.now();
        let slot = self.member.slot(Kind::AccessToken);
        let also_seen = slot.map_or_else(|_| Vec::new(), |slot| slot.lock().refused_from(ip, now));
        UpstreamError {
            also_seen,
            ..failure
        }
    }

    /// Records a failure, which prevents another try until `until`, or for as long as its class says. A
    /// failure of a flight that started before a reload corrected the account says nothing about the new
    /// configuration, and prevents nothing.
    pub(super) fn enter(
        &self,
        state: &mut State,
        error: Arc<UpstreamError>,
        kind: Kind,
        until: Option<UnixTime>,
    ) {
        let now = self.broker.inner.clock.now();
        self.slot.fail(state, error, kind, &self.why, now);
        let Some(failure) = &mut state.failure else {
            return;
        };
        failure.until = until.unwrap_or(failure.until);
        let current = self.broker.inner.members.load();
        if current
            .of_key(&self.slot.key.app)
            .is_some_and(|current| !current.calls_like(&self.member))
        {
            failure.end_by(now);
        }
    }

    /// Logs a failure. Faults that hit many accounts are summed up; see `events`.
    fn say_failure(&self, failure: &UpstreamError, kind: Kind, retry_in: Duration) {
        let (account, reason, outcome) = (
            self.member.name.as_str(),
            self.why.as_str(),
            failure.class().as_str(),
        );
        let (took_ms, retry_in) = (self.took_ms(), retry_in.as_secs());
        // How long pages keep working: until then users notice nothing.
        let served_for = self.broker.served_for(&self.slot);
        let (dead, served_for) = (served_for.is_zero(), served_for.as_secs());
        let (cause, fix) = (failure.cause().en, failure.fix_for_operator().en);
        if !self.broker.tells_failure(account, failure, dead) {
            debug!(account, %kind, reason, outcome, took_ms, retry_in, served_for, %cause, %fix, "refresh failed: {failure}");
        } else if dead || failure.class() == Class::Setup {
            error!(account, %kind, reason, outcome, took_ms, retry_in, served_for, %cause, %fix, "refresh failed: {failure}");
        } else {
            warn!(account, %kind, reason, outcome, took_ms, retry_in, served_for, %cause, %fix, "refresh failed: {failure}");
        }
    }

    /// Returns the duration as `u64`, which JSON logs write as a number; they would not for `u128`.
    fn took_ms(&self) -> u64 {
        u64::try_from(self.took().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns the time since the flight began, including the wait for a lease.
    fn took(&self) -> Duration {
        self.broker.inner.clock.uptime().saturating_sub(self.begun)
    }
}
