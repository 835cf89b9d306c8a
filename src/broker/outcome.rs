//! What becomes known of a refresh when it ends: one line in the log, the counts, and for a failure the memory of it.

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
    /// A value came from WeChat.
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

    /// One line for a refresh that brought a value. A generation is a time, and no secret.
    pub(super) fn say(&self, outcome: &'static str, kept: &Credential, message: &'static str) {
        let now = self.broker.inner.clock.now();
        let (account, kind, why) = (&self.member.name, self.slot.key.kind, self.why.as_str());
        let (took_ms, generation) = (self.took_ms(), kept.generation);
        let due_at = self.slot.lock().due_at(kept, self.slot.spread);
        let (expires_in, next_in) = (kept.remaining(now).as_secs(), due_at.since(now).as_secs());
        info!(account, %kind, why, outcome, took_ms, expires_in, next_in, generation, "{message}");
    }

    /// WeChat gave no value.
    pub(super) fn remember(&self, failure: UpstreamError, kind: Kind) -> Error {
        let counts = &self.broker.inner.counts;
        counts.refreshed(self.slot.key.kind, false, self.took());
        counts.call_failed(self.slot.key.kind, &failure);
        self.keep_in_mind(failure, kind)
    }

    /// Remembers a failure, logs it once, as loudly as its class asks, and makes it the callers' answer.
    pub(super) fn keep_in_mind(&self, failure: UpstreamError, kind: Kind) -> Error {
        let failure = self.with_other_addresses(failure);
        let now = self.broker.inner.clock.now();
        self.slot.counts.count(Outcome::Failed(failure.class()));
        let error = {
            let served = self.broker.living(&self.slot).is_some();
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

    /// A value came, but again one that lives for seconds: calls at the end of each would spend the day's quota. So the next one
    /// comes later, and the reason is told.
    pub(super) fn space_out(&self, life: Duration, pause: Duration) {
        let why = format!(
            "a life of {} s, again: the next call comes in {} s",
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

    /// Names the other addresses too, from which this account was called within a day and refused.
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

    /// Enters a failure, which forbids another try until `until`, or for as long as its class says. That of a flight which began
    /// before a reload corrected the account says nothing about the account as it is now, and forbids nothing.
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

    /// What everybody suffers from is summed up; see `flood`.
    fn say_failure(&self, failure: &UpstreamError, kind: Kind, retry_in: Duration) {
        let (account, why, outcome) = (
            self.member.name.as_str(),
            self.why.as_str(),
            failure.class().as_str(),
        );
        let (took_ms, retry_in) = (self.took_ms(), retry_in.as_secs());
        // How long pages go on: until then nobody notices.
        let living_for = self.broker.served_for(&self.slot).as_secs();
        let (cause, fix) = (failure.cause().en, failure.fix_for_operator().en);
        let dead = living_for == 0
            && self
                .slot
                .lock()
                .confirmed(self.broker.inner.clock.now())
                .is_none();
        if !self.broker.tells_failure(account, failure, dead) {
            debug!(account, %kind, why, outcome, took_ms, retry_in, living_for, %cause, %fix, "refresh failed: {failure}");
        } else if dead || failure.class() == Class::Setup {
            error!(account, %kind, why, outcome, took_ms, retry_in, living_for, %cause, %fix, "refresh failed: {failure}");
        } else {
            warn!(account, %kind, why, outcome, took_ms, retry_in, living_for, %cause, %fix, "refresh failed: {failure}");
        }
    }

    /// A number in JSON too, which a `u128` would not be.
    fn took_ms(&self) -> u64 {
        u64::try_from(self.took().as_millis()).unwrap_or(u64::MAX)
    }

    /// Since the flight began, the wait for a lease included.
    fn took(&self) -> Duration {
        self.broker.inner.clock.uptime().saturating_sub(self.begun)
    }
}
