//! The log lines of a refresh.

use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::Flight;
use crate::account::{Platform, TokenMode};
use crate::broker::AccountEntry;
use crate::credential::{Credential, Kind};
use crate::error::{Class, UpstreamError};

impl Flight {
    /// Logs a refresh that brought a value. A generation is a time, not a secret.
    pub(super) fn log_value(
        &self,
        outcome: &'static str,
        credential: &Credential,
        message: &'static str,
    ) {
        let now = self.broker.inner.clock.now();
        let account = &self.entry.name;
        let kind = self.slot.key.kind;
        let reason = self.reason.as_str();
        let due_at = self.slot.lock().due_at(credential, self.slot.jitter_seed);
        let expires_in = credential.remaining(now).as_secs();
        let next_in = due_at.since(now).as_secs();
        let took_ms = self.took_ms();
        let generation = credential.generation;
        info!(account, %kind, reason, outcome, took_ms, expires_in, next_in, generation, "{message}");
    }

    /// Logs a failure. Faults that hit many accounts are summed up.
    pub(super) fn log_failure(&self, failure: &UpstreamError, kind: Kind, retry_in: Duration) {
        let account = self.entry.name.as_str();
        let reason = self.reason.as_str();
        let outcome = failure.class().as_str();
        let took_ms = self.took_ms();
        let retry_in = retry_in.as_secs();
        // How long pages keep working: until then users notice nothing.
        let at = self.broker.inner.clock.moment();
        let current = self.broker.current(&self.slot, &at);
        let served_for = current.as_ref().map(|current| current.served_for(&at));
        let is_dead = served_for.is_none();
        let served_for = served_for.unwrap_or_default().as_secs();
        let (cause, fix) = (failure.cause().en, failure.fix_for_operator().en);
        if !self
            .broker
            .may_log_failure("refresh failed", account, failure, is_dead)
        {
            debug!(account, %kind, reason, outcome, took_ms, retry_in, served_for, %cause, %fix, "refresh failed: {failure}");
        } else if is_dead || failure.class() == Class::Setup {
            error!(account, %kind, reason, outcome, took_ms, retry_in, served_for, %cause, %fix, "refresh failed: {failure}");
        } else {
            warn!(account, %kind, reason, outcome, took_ms, retry_in, served_for, %cause, %fix, "refresh failed: {failure}");
        }
    }

    /// Returns the duration as `u64`, which JSON logs write as a number; they would not for `u128`.
    fn took_ms(&self) -> u64 {
        u64::try_from(self.took().as_millis()).unwrap_or(u64::MAX)
    }
}

impl AccountEntry {
    /// Logs that a token was rejected long before its end, so another server has retired it, and how to prevent
    /// that.
    pub(super) fn log_foreign_refresh(&self, left: Duration) {
        let advice = match self.account.mode() {
            _ if matches!(self.account.platform(), Platform::Work { .. }) => {
                "the app's secret was reset, or WeCom ended the token early"
            }
            _ if self.account.component_app_id().is_some() => {
                "the owner authorised again, or another server fetches tokens with this account's refresh token"
            }
            _ if self.open_platform.is_some() => {
                "another server fetches tokens of this open platform: let it ask this one"
            }
            TokenMode::Classic => {
                "another server fetches tokens of this app: let it ask this one, or set token_mode = \"stable\""
            }
            TokenMode::Stable => {
                "another server forces refreshes of this app's stable token, or its secret was reset"
            }
        };
        warn!(
            account = self.name,
            seconds_left = left.as_secs(),
            advice,
            "access token rejected long before its end"
        );
    }
}
