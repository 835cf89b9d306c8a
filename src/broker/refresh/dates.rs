//! The dates of a returned value, by what is already known of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Flight;
use crate::broker::AccountSource;
use crate::broker::accounts::hash_of_secret;
use crate::clock::UnixTime;
use crate::credential::{Credential, CredentialKey, Kind, MARGIN, Secret};
use crate::error::{Failure, UpstreamError};
use crate::upstream::{Issued, endpoint};

impl Flight {
    /// Returns the credential with its dates. The life starts when the call was sent, and when this value
    /// was first seen: the same value returned with a new `expires_in` does not live longer. If the wall
    /// clock was set meanwhile, the end moves with it.
    pub(super) async fn date(&self, issued: Issued) -> Result<(Credential, Dates), UpstreamError> {
        let sent_at = self.sent_at.load(Ordering::Relaxed);
        let issued_at = UnixTime(sent_at / 1_000);
        let promised = issued_at.plus(issued.expires_in);
        let (last, dated_here) = {
            let state = self.slot.lock();
            (state.last.clone(), state.dated_here)
        };
        let next = last
            .as_ref()
            .map_or(0, |last| last.generation.saturating_add(1));
        let known = match last.filter(|last| last.value == issued.value) {
            None if !dated_here => self.load_from_before_move(&issued.value, next).await,
            known => known,
        };
        let (credential, dates) = match known {
            Some(known) => {
                let end = self.end_of_known(&known, &issued, promised);
                let shift = end.since(known.expires_at);
                let dates = if shift.is_zero() {
                    Dates::Known
                } else {
                    Dates::Adjusted
                };
                let is_whole = end == known.issued_at.plus(issued.expires_in);
                let issued_at = if is_whole {
                    known.issued_at
                } else {
                    known.issued_at.plus(shift)
                };
                let generation = known.generation.saturating_add(u64::from(!shift.is_zero()));
                let credential = Credential {
                    issued_at,
                    expires_at: end.min(promised),
                    generation,
                    ..(*known).clone()
                };
                (credential, dates)
            }
            None if issued.expires_in.is_zero() => {
                return Err(self.failed(Failure::Unusable("expires_in is 0".into())));
            }
            None => (
                Credential {
                    value: issued.value,
                    issued_at,
                    expires_at: promised,
                    generation: sent_at.max(next),
                },
                Dates::New,
            ),
        };
        let now = self.broker.inner.clock.now();
        let left = credential.remaining(now);
        let is_ending = left <= LAST_SECOND && dates != Dates::New;
        if is_ending && self.slot.lock().may_repeat_at_its_end() {
            if !left.is_zero() {
                return Ok((credential, dates));
            }
            let credential = Credential {
                expires_at: now.plus(LAST_SECOND),
                generation: credential.generation.saturating_add(1),
                ..credential
            };
            return Ok((credential, Dates::Adjusted));
        }
        if left.is_zero() || (is_ending && self.slot.lock().rotates_at_its_end) {
            let reason = "a value at the end of its life, counted from when it was first seen";
            return Err(self.failed(Failure::Unusable(reason.into())));
        }
        Ok((credential, dates))
    }

    /// Returns this ticket with its dates from the store, if its account had it before moving between the
    /// configuration and the admin API. Any other value there is ignored, because WeChat has not returned it to
    /// this account. An access token is dated by its answer.
    async fn load_from_before_move(
        &self,
        value: &Secret,
        generation: u64,
    ) -> Option<Arc<Credential>> {
        let secret_hash = match self.entry.source {
            _ if self.slot.key.kind == Kind::AccessToken => return None,
            AccountSource::Platform => return None,
            AccountSource::Api => None,
            AccountSource::Configuration => hash_of_secret(&self.entry.account),
        };
        let key = CredentialKey {
            secret_hash,
            ..self.slot.key.clone()
        };
        // An error of the store was logged when the flight read it first.
        let mut stored = self.broker.inner.store.load(&key).await.ok()??;
        if stored.value != *value || self.broker.is_from_the_future(&stored) {
            return None;
        }
        stored.generation = stored.generation.max(generation);
        Some(Arc::new(stored))
    }

    /// Returns when a value ends that was known before. Dates that come from the store may be wrong, because
    /// the clock of their writer or of this node was.
    fn end_of_known(&self, last: &Credential, issued: &Issued, promised: UnixTime) -> UnixTime {
        let clock = &self.broker.inner.clock;
        let now = clock.now();
        let state = self.slot.lock();
        let dated_here = state.dated_here;
        let by_uptime = state.end_by_uptime(clock);
        let is_later = |end: &UnixTime| end.since(last.expires_at) > CLOCK_TOLERANCE;
        let end = by_uptime.filter(is_later).unwrap_or(last.expires_at);
        let whole = last.issued_at.plus(issued.expires_in);
        let reports_remaining = self.is_stable_token() || issued.expires_in < WHOLE_LIFE;
        if reports_remaining && dated_here && promised.since(end) <= ROUNDING {
            // Own dates, and the answer agrees: the later end, since the remaining time is in whole seconds and
            // may have been reported a second late.
            promised.max(end)
        } else if dated_here || promised.since(end) <= CLOCK_TOLERANCE {
            // Own dates, or dates that the answer confirms.
            end
        } else if reports_remaining {
            // Dates from the store, which WeChat contradicts.
            promised
        } else if end.since(now) > MARGIN {
            // WeChat does not say how long it still lives: by its dates it does.
            end
        } else if whole.since(now) > MARGIN {
            // Its end was brought forward, and WeChat still returns it: it lives its whole life.
            whole.min(promised)
        } else {
            // By all dates it has ended, and WeChat still returns it.
            now.plus(promised.since(now).min(TRUST_WITHOUT_DATE))
        }
    }

    /// Shortens the current token's life after a classic call whose reply was lost, since that call may
    /// have retired it. WeChat's overlap is five minutes; the token is trusted for four. A failure never
    /// *lengthens* a life.
    pub(super) async fn distrust_after(&self, error: &UpstreamError) {
        let (_, own_call) = endpoint(&self.entry.account, self.slot.key.kind);
        if !error.may_have_been_carried_out()
            || error.endpoint != own_call
            || !self.is_classic_token()
        {
            return;
        }
        let now = self.broker.inner.clock.now();
        let Some(current) = self.broker.current_credential(&self.slot) else {
            return;
        };
        let trimmed = current.ending_by(now.plus(OVERLAP));
        if trimmed == *current {
            return;
        }
        let what =
            "answer to a token call lost: the old token is used for four more minutes at most";
        self.broker.log_warning(&self.entry.name, what);
        let store = &self.broker.inner.store;
        let shared = self.broker.dated_for_others(&trimmed);
        if let Err(error) = store.save(&self.slot.stored_key(), &shared).await {
            self.log_store_error(&error, "shortened validity could not be stored");
        }
        self.slot.lock().lost_replies += 1;
        self.broker
            .publish_if_newest(&self.slot, &Arc::new(trimmed));
    }
}

/// Where the dates of a returned value come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dates {
    /// From this call: the value was never seen before.
    New,
    /// From when the value was first seen.
    Known,
    /// From this call or this process's uptime, because the recorded dates are no longer correct.
    Adjusted,
}

/// WeChat accepts an access token for five minutes after it was replaced
/// (<https://developers.weixin.qq.com/doc/oplatform/developers/dev/AccessToken.html>). One minute less
/// allows for clock differences and latency.
pub(in crate::broker) const OVERLAP: Duration = Duration::from_secs(240);

/// The life that WeChat promises for a new value. WeChat may report it for a repeated value too.
const WHOLE_LIFE: Duration = Duration::from_secs(7_190);

/// WeCom repeats a token until it ends. Its end may be a second later than the dates here, which count from whole
/// seconds: the token is served meanwhile, and WeCom is asked again.
const LAST_SECOND: Duration = Duration::from_secs(1);

/// WeChat returns no value that is about to end. One minute costs one call a minute until there is a new
/// value.
const TRUST_WITHOUT_DATE: Duration = Duration::from_secs(60);

/// Allows for the whole seconds of two machines and for different latencies of two calls.
const ROUNDING: Duration = Duration::from_secs(3);

/// By how much the two clocks of a machine may differ without either having been set.
pub(in crate::broker) const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);
