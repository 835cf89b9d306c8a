//! The upstream calls of a refresh: counts them, supplies the parent token, and dates the returned value by
//! what is already known of it.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::refresh::Flight;
use super::slot::{MIN_DEMAND_GAP, Reason};
use super::snapshot::daily_quota;
use crate::account::{Platform, TokenMode};
use crate::clock::UnixTime;
use crate::credential::{Credential, Freshness, Kind, MARGIN, Secret};
use crate::error::{Class, Error, Failure, Paid, UpstreamError};
use crate::store::Claim;
use crate::upstream::{Issued, endpoint};

impl Flight {
    /// Makes the call and processes its result.
    pub(super) async fn call(
        &self,
        token: Option<Arc<Credential>>,
    ) -> Result<Arc<Credential>, Error> {
        let sent_at = self.broker.inner.clock.now_millis();
        let issued = match &token {
            None => self.fetch_token().await,
            Some(token) => self.fetch_ticket(token).await,
        };
        match issued.and_then(|issued| self.credential(issued, sent_at)) {
            Ok((credential, dated)) => {
                let value = credential.value.clone();
                let kept = if dated == Dated::Adjusted {
                    self.keep_here(credential)
                } else {
                    self.keep(credential).await
                };
                self.pause_if_nothing_new(&kept);
                if dated == Dated::New && kept.value == value {
                    let pause = {
                        let mut state = self.slot.lock();
                        state.dated_here = true;
                        let pause = state.space_after(&kept);
                        self.broker.publish(&self.slot, &state);
                        pause
                    };
                    if let Some(pause) = pause {
                        self.space_out(kept.life(), pause.max(kept.life()));
                    }
                }
                Ok(kept)
            }
            Err(error) => {
                if error.may_have_been_carried_out() && self.is_classic_token() {
                    self.distrust_old_token().await;
                }
                Err(self.remember(error, self.slot.key.kind))
            }
        }
    }

    /// Delays the next call if WeChat returned the due value again, for example a ticket that has not
    /// rotated yet. Until then this value is the best there is, and WeChat has just confirmed it.
    fn pause_if_nothing_new(&self, kept: &Credential) {
        if self.broker.freshness(&self.slot, kept) != Freshness::Fresh {
            let pause = self.broker.inner.clock.now().plus(PAUSE_WITHOUT_NEWS);
            let mut state = self.slot.lock();
            if !state.rotates_at_its_end {
                state.nothing_new_until = Some(pause.min(kept.expires_at));
                self.broker.publish(&self.slot, &state);
            }
        }
    }

    async fn fetch_token(&self) -> Result<Issued, UpstreamError> {
        let issued = self.ask_for_token().await?;
        match &self.why {
            // stable_token returned the rejected value again, so WeChat itself considers it valid. Only a
            // forced refresh replaces it.
            Reason::Rejected(bad)
                if issued.value == *bad && self.is_stable_token() && self.may_force().await =>
            {
                self.force_token(issued).await
            }
            _ => Ok(issued),
        }
    }

    /// Forces a new stable token to replace `current`, which was rejected. If the quota of forced refreshes
    /// is spent, `current` stays: that says nothing about ordinary calls.
    async fn force_token(&self, current: Issued) -> Result<Issued, UpstreamError> {
        info!(
            account = self.member.name,
            "forcing a new stable token: the current one was rejected"
        );
        match self
            .counted(self.broker.inner.upstream.token(&self.member.account, true))
            .await
        {
            Err(error) if error.class() == Class::Quota => {
                warn!(account = self.member.name, %error, "WeChat's quota of forced refreshes is exhausted: the rejected token is kept until it ends");
                Ok(current)
            }
            forced => forced,
        }
    }

    /// Fetches the ticket. If the token is refused, refreshes the token once and tries once more, never a
    /// third time.
    async fn fetch_ticket(&self, token: &Credential) -> Result<Issued, UpstreamError> {
        let refused = match self.ask_for_ticket(&token.value).await {
            Err(error) if error.class() == Class::StaleToken => {
                self.slot.counts.token_was_refused();
                error
            }
            other => return other,
        };
        let slot = self
            .member
            .slot(Kind::AccessToken)
            .expect("every platform has an access token");
        match Box::pin(
            self.broker
                .renew_if_current(&self.member, slot, &token.value),
        )
        .await
        {
            Ok(renewed) if renewed.value != token.value => {
                self.ask_for_ticket(&renewed.value).await
            }
            Ok(_) => Err(refused),
            // The reason for the failed token refresh is more informative than the refused token.
            Err(error) => Err(error.upstream().cloned().unwrap_or(refused)),
        }
    }

    async fn ask_for_token(&self) -> Result<Issued, UpstreamError> {
        let call = self.unless_spent(
            self.broker
                .inner
                .upstream
                .token(&self.member.account, false),
        );
        call.await
    }

    async fn ask_for_ticket(&self, token: &Secret) -> Result<Issued, UpstreamError> {
        let kind = self.slot.key.kind;
        self.unless_spent(
            self.broker
                .inner
                .upstream
                .ticket(&self.member.account, kind, token),
        )
        .await
    }

    /// Makes the call unless the quota is known to be spent, whichever node found that out. Records a quota
    /// that turns out to be spent.
    async fn unless_spent(
        &self,
        call: impl Future<Output = Result<Issued, UpstreamError>>,
    ) -> Result<Issued, UpstreamError> {
        let (store, clock) = (&self.broker.inner.store, &self.broker.inner.clock);
        let (app, (_, endpoint)) = (
            &self.slot.key.app,
            endpoint(&self.member.account, self.slot.key.kind),
        );
        let blocked = store.blocked_until(app, endpoint, clock.now()).await;
        let blocked = blocked.ok().flatten();
        if let Some(until) = blocked.filter(|_| !matches!(self.why, Reason::Asked)) {
            let today = store.calls_many(&[(app, endpoint)], clock.now()).await;
            let few_calls = today.ok().and_then(|counts| self.if_few(*counts.first()?));
            return Err(UpstreamError {
                failure: Failure::spent_until(until, few_calls),
                ..self.blank()
            });
        }
        let mut outcome = self.counted(call).await;
        match &mut outcome {
            Ok(_) if blocked.is_some() => {
                self.broker
                    .lift_block(&self.member, self.slot.key.kind)
                    .await;
            }
            Ok(_) => {}
            Err(error) => self.note_spent(error).await,
        }
        outcome
    }

    /// Records a spent quota for all nodes that share the store.
    async fn note_spent(&self, spent: &mut UpstreamError) {
        let (store, now) = (&self.broker.inner.store, self.broker.inner.clock.now());
        let Some(until) = spent.spent_until(now) else {
            return;
        };
        let few = self.slot.counts.calls_today(now);
        let few = few.and_then(|calls| self.if_few(calls));
        let kept = store
            .set_block(&self.slot.key.app, spent.endpoint, until, now)
            .await;
        if let Failure::Refused {
            blocked_until,
            few_calls,
            ..
        } = &mut spent.failure
        {
            *few_calls = few;
            *blocked_until = kept.is_ok().then_some(until);
        }
        if let Err(error) = kept {
            self.broker.complain(
                &self.member.name,
                &error,
                "exhausted quota could not be stored",
            );
        }
    }

    /// Returns the number of calls if it is far below the quota, even that of a test account, which is a
    /// tenth. A memory store must have counted the whole day.
    fn if_few(&self, calls: u64) -> Option<u64> {
        let inner = &self.broker.inner;
        let left = inner
            .clock
            .now()
            .next_shanghai_midnight()
            .since(inner.clock.now());
        if inner.store.kind() == "memory" && inner.clock.uptime() + left < ONE_DAY {
            return None;
        }
        let granted = daily_quota(&self.member.account, self.slot.key.kind)?;
        Some(calls).filter(|calls| *calls < granted / 20)
    }

    /// Counts the call in the store, then makes it. A store error costs a count, not a refresh.
    async fn counted(
        &self,
        call: impl Future<Output = Result<Issued, UpstreamError>>,
    ) -> Result<Issued, UpstreamError> {
        let (_, endpoint) = endpoint(&self.member.account, self.slot.key.kind);
        let now = self.broker.inner.clock.now();
        match self
            .broker
            .inner
            .store
            .count_call(&self.slot.key.app, endpoint, now)
            .await
        {
            Ok(today) => self.slot.counts.called(today, now),
            Err(error) => {
                self.broker
                    .complain(&self.member.name, &error, "call count could not be stored")
            }
        }
        call.await
    }

    /// Whether another forced refresh fits into 20 a day with 30 s between two.
    async fn may_force(&self) -> bool {
        let now = self.broker.inner.clock.now();
        match self
            .broker
            .inner
            .store
            .claim_force(&self.slot.key, now, MIN_DEMAND_GAP, Some(FORCED_PER_DAY))
            .await
        {
            Ok(Claim::Granted) => true,
            Ok(Claim::TooSoon { .. }) => false,
            Ok(Claim::SpentToday { .. }) => {
                let what =
                    "forced refreshes of today exhausted: the rejected token is kept until it ends";
                self.broker.warn_of(&self.member.name, what);
                false
            }
            Err(error) => {
                self.broker.complain(
                    &self.member.name,
                    &error,
                    "limit of forced refreshes could not be read: none is forced",
                );
                false
            }
        }
    }

    /// Returns the credential with its dates. The life starts when the call was sent, and when this value
    /// was first seen: the same value returned with a new `expires_in` does not live longer. If the wall
    /// clock was set meanwhile, the end moves with it.
    fn credential(
        &self,
        issued: Issued,
        sent_at: u64,
    ) -> Result<(Credential, Dated), UpstreamError> {
        let issued_at = UnixTime(sent_at / 1_000);
        let promised = issued_at.plus(issued.expires_in);
        let last = self.slot.lock().last.clone();
        let (credential, dated) = match last {
            Some(last) if last.value == issued.value => {
                let end = self.end_of_known(&last, &issued, promised);
                let shift = end.since(last.expires_at);
                let dated = if shift.is_zero() {
                    Dated::Known
                } else {
                    Dated::Adjusted
                };
                let (issued_at, generation) = (
                    last.issued_at.plus(shift),
                    last.generation.saturating_add(u64::from(!shift.is_zero())),
                );
                (
                    Credential {
                        issued_at,
                        expires_at: end.min(promised),
                        generation,
                        ..(*last).clone()
                    },
                    dated,
                )
            }
            last => {
                let generation =
                    sent_at.max(last.map_or(0, |last| last.generation.saturating_add(1)));
                (
                    Credential {
                        value: issued.value,
                        issued_at,
                        expires_at: promised,
                        generation,
                    },
                    Dated::New,
                )
            }
        };
        if credential
            .remaining(self.broker.inner.clock.now())
            .is_zero()
        {
            let why = "a value whose life was already over, counted from when it was first seen";
            return Err(UpstreamError {
                failure: Failure::Unusable(why.into()),
                ..self.blank()
            });
        }
        Ok((credential, dated))
    }

    /// Returns when a value ends that was known before. Its dates may come from the store, and be wrong
    /// because the clock of the writer or of this node was. Then it lives for the remaining time if WeChat
    /// reports that; otherwise, if it has ended by its dates but WeChat still returns it, for one minute.
    fn end_of_known(&self, last: &Credential, issued: &Issued, promised: UnixTime) -> UnixTime {
        let now = self.broker.inner.clock.now();
        let (by_uptime, dated_here) = {
            let state = self.slot.lock();
            (
                state
                    .end_by_uptime(&self.broker.inner.clock)
                    .unwrap_or(last.expires_at),
                state.dated_here,
            )
        };
        let end = if by_uptime.since(last.expires_at) > CLOCK_TOLERANCE {
            by_uptime
        } else {
            last.expires_at
        };
        let left = promised.since(now);
        let is_what_is_left = self.is_stable_token() || issued.expires_in < WHOLE_LIFE;
        match () {
            // The remaining time is in whole seconds, and may have been reported a second late.
            () if is_what_is_left && dated_here && promised.since(end) <= ROUNDING => {
                promised.max(end)
            }
            () if dated_here || promised.since(end) <= CLOCK_TOLERANCE => end,
            () if is_what_is_left => promised,
            () if end.since(now) > MARGIN => end,
            () => now.plus(left.min(TRUST_WITHOUT_DATE)),
        }
    }

    /// Returns the error of this call with an empty failure.
    pub(super) fn blank(&self) -> UpstreamError {
        let (system, endpoint) = endpoint(&self.member.account, self.slot.key.kind);
        let paid = match self.slot.key.kind.parent() {
            None => Paid::WithSecret,
            Some(_) => Paid::WithToken,
        };
        UpstreamError {
            endpoint,
            system,
            paid,
            failure: Failure::Unusable(String::new()),
            also_seen: Vec::new(),
        }
    }

    /// Shortens the current token's life after a classic call whose reply was lost, since that call may
    /// have retired it. WeChat's overlap is five minutes; the token is trusted for four. A failure never
    /// *lengthens* a life.
    async fn distrust_old_token(&self) {
        let now = self.broker.inner.clock.now();
        let Some(living) = self.broker.current_credential(&self.slot) else {
            return;
        };
        let trimmed = Credential {
            expires_at: living.expires_at.min(now.plus(TRUST_AFTER_LOST_REPLY)),
            ..(*living).clone()
        };
        if trimmed == *living {
            return;
        }
        let what =
            "answer to a token call lost: the old token is used for four more minutes at most";
        self.broker.warn_of(&self.member.name, what);
        if let Err(error) = self
            .broker
            .inner
            .store
            .save(&self.slot.key, &self.broker.dated_for_others(&trimmed))
            .await
        {
            self.broker.complain(
                &self.member.name,
                &error,
                "shortened validity could not be stored",
            );
        }
        self.slot.lock().lost_replies += 1;
        self.broker
            .publish_if_newest(&self.slot, &Arc::new(trimmed));
    }

    pub(super) fn is_stable_token(&self) -> bool {
        self.is_weixin_token(TokenMode::Stable)
    }

    pub(super) fn is_classic_token(&self) -> bool {
        self.is_weixin_token(TokenMode::Classic)
    }

    fn is_weixin_token(&self, mode: TokenMode) -> bool {
        let account = &self.member.account;
        self.slot.key.kind == Kind::AccessToken
            && account.mode() == mode
            && !matches!(account.platform(), Platform::Work { .. })
    }
}

/// Where the dates of a returned value come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dated {
    /// From this call: the value was never seen before.
    New,
    /// From when the value was first seen.
    Known,
    /// From this call or this process's uptime, because the recorded dates are no longer correct.
    Adjusted,
}

/// WeChat accepts a replaced classic token for five minutes
/// (<https://developers.weixin.qq.com/doc/oplatform/developers/dev/AccessToken.html>). One minute less
/// allows for clock differences and latency.
pub(super) const TRUST_AFTER_LOST_REPLY: Duration = Duration::from_secs(240);

/// Six to eight tries fit into the lead.
const PAUSE_WITHOUT_NEWS: Duration = Duration::from_secs(30);

const ONE_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// WeChat's own limit on `force_refresh`:
/// <https://developers.weixin.qq.com/minigame/dev/api-backend/open-api/access-token/auth.getStableAccessToken.html>
const FORCED_PER_DAY: u32 = 20;

/// The life that WeChat promises for a new value. WeChat may report it for a repeated value too.
const WHOLE_LIFE: Duration = Duration::from_secs(7_190);

/// WeChat returns no value that is about to end. One minute costs one call a minute until there is a new
/// value.
const TRUST_WITHOUT_DATE: Duration = Duration::from_secs(60);

/// Allows for the whole seconds of two machines and for different latencies of two calls.
const ROUNDING: Duration = Duration::from_secs(3);

/// By how much the two clocks of a machine may differ without either having been set.
pub(super) const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);
