//! What limits calls to WeChat: its daily quotas, and this service's own rate limit for refreshes on request.
//!
//! Calls are counted in the store, among all nodes that share it. A quota that is spent (45009) blocks its
//! endpoint there until the day ends. The accounts of an open platform share the quota for their tokens, and its
//! block.
//!
//! The rate limit exists so that a misbehaving client cannot exhaust the quota. The 30 s gap between two
//! refreshes alone would still allow 2,880 calls a day. An ordinary account has 2,000 classic token calls a
//! day (<https://developers.weixin.qq.com/doc/service/Message_Management/API_Call_Limits.html>), and WeCom
//! allows a hundred tickets per app and hour (<https://developer.work.weixin.qq.com/document/path/90454>).
//! So the gap grows once a day's first refreshes are used up. Forced refreshes of stable tokens have WeChat's
//! own limit, and the calls before them cost nothing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Flight;
use crate::account::{Account, Platform, TokenMode};
use crate::broker::Broker;
use crate::broker::slot::{MIN_DEMAND_GAP, Reason};
use crate::credential::{AppKey, Kind};
use crate::error::{Class, Error, Failure, UpstreamError};
use crate::store::{Claim, StoreError};
use crate::upstream::endpoint;

impl Broker {
    /// Reads today's counts once a minute. After a store error the old counts stay.
    pub(in crate::broker) async fn read_calls(&self) {
        let (now, uptime) = (self.inner.clock.now(), self.inner.clock.uptime());
        let due = &self.inner.keeper.quota_reads;
        if !due.lock().take(uptime, READ_EVERY) {
            return;
        }
        let accounts = self.inner.accounts.load_full();
        let wanted = accounts.slots().filter(|(_, slot)| slot.is_wanted());
        let wanted: Vec<_> = wanted.collect();
        for page in wanted.chunks(PAGE) {
            let of = page.iter().map(|(entry, slot)| {
                let (_, endpoint) = endpoint(&entry.account, slot.key.kind);
                (&slot.key.app, endpoint)
            });
            let of: Vec<_> = of.collect();
            let Ok(counts) = self.inner.store.calls_many(&of, now).await else {
                return;
            };
            for ((_, slot), count) in page.iter().zip(counts) {
                slot.lock().counts.called(count, now);
            }
        }
    }

    /// Lifts the block of an app's endpoint whose quota may no longer be spent. The waiting credentials are tried at
    /// once, here and on the nodes that share the store. Logs under the name `account`.
    pub(in crate::broker) async fn lift_block(&self, account: &str, app: &AppKey, called: &str) {
        let now = self.inner.clock.now();
        if let Err(error) = self.inner.store.set_block(app, called, now, now).await {
            let what = "exhausted quota could not be cleared in the store";
            self.log_store_error(account, &error, what);
        }
        self.end_waits_for_quota(app, called);
    }

    /// Ends the waits for the quota of an app's endpoint, including those of dependent credentials.
    pub(in crate::broker) fn end_waits_for_quota(&self, app: &AppKey, called: &str) {
        let (accounts, now) = (self.inner.accounts.load(), self.inner.clock.now());
        let affected = accounts.with_dependents(app);
        for slot in affected.flat_map(|entry| entry.slots()) {
            slot.end_wait_if(now, |failure| {
                failure.error.class() == Class::Quota && failure.error.endpoint == called
            });
        }
    }
}

impl Flight {
    /// Checks whether an on-demand refresh is allowed now. The limit is shared by all nodes through the
    /// store. A store error allows the refresh: a dead credential is worse, and this process still keeps
    /// its own gap. Returns whether it was claimed.
    pub(super) async fn limit(&self) -> Result<bool, Error> {
        if !self.reason.is_on_demand() || self.is_stable_token() {
            return Ok(false);
        }
        let now = self.broker.inner.clock.now();
        let mut claim = self.claim(MIN_DEMAND_GAP, Some(FREELY_PER_DAY)).await;
        if let Ok(Claim::SpentToday { retry_at: midnight }) = claim {
            claim = self.claim(GAP_AFTERWARDS, None).await;
            if let Ok(Claim::TooSoon { retry_at }) = &mut claim {
                *retry_at = midnight.min(*retry_at);
            }
        }
        match claim {
            Ok(Claim::Granted) => Ok(true),
            Ok(Claim::TooSoon { retry_at } | Claim::SpentToday { retry_at }) => {
                Err(Error::RateLimited {
                    account: self.entry.name.clone(),
                    kind: self.slot.key.kind,
                    retry_after: retry_at.since(now).max(Duration::from_secs(1)),
                })
            }
            Err(error) => {
                self.log_store_error(&error, "refresh limit could not be read from the store");
                Ok(false)
            }
        }
    }

    /// Claims one refresh among all nodes, or takes the claim that this process has not used.
    async fn claim(&self, min_gap: Duration, daily: Option<u32>) -> Result<Claim, StoreError> {
        if std::mem::take(&mut self.slot.lock().has_unused_claim) {
            return Ok(Claim::Granted);
        }
        let (store, now) = (&self.broker.inner.store, self.broker.inner.clock.now());
        store
            .claim_refresh(&self.slot.key, now, min_gap, daily)
            .await
    }

    /// Keeps the claim for the next try: no call reached WeChat, so no quota was spent.
    pub(super) fn keep_claim(&self) {
        self.slot.lock().has_unused_claim = true;
    }

    /// Makes the call unless the quota is known to be spent, whichever node found that out. Records a quota
    /// that turns out to be spent.
    pub(in crate::broker) async fn unless_spent<T>(
        &self,
        call: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let (store, clock) = (&self.broker.inner.store, &self.broker.inner.clock);
        let own = &self.slot.key.app;
        let (app, endpoint) = quota_of(&self.entry.account, self.slot.key.kind);
        let blocked = store.blocked_until(&app, endpoint, clock.now()).await;
        let blocked = blocked.ok().flatten();
        if let Some(until) = blocked.filter(|_| !matches!(self.reason, Reason::RefreshNow)) {
            let today = store.calls_many(&[(own, endpoint)], clock.now()).await;
            let few_calls = today.ok().and_then(|counts| self.if_few(*counts.first()?));
            let until = if app == *own {
                until
            } else {
                // The account that found the quota spent tries first, alone.
                let later = rand::random_range(1..=SPREAD.as_secs());
                until.plus(Duration::from_secs(later))
            };
            let printed = clock.to_wall()(until);
            return Err(self.failed(Failure::spent_until(until, printed, few_calls)));
        }
        let mut outcome = self.counted(call).await;
        match &mut outcome {
            Ok(_) if blocked.is_some() => {
                self.broker
                    .lift_block(&self.entry.name, &app, endpoint)
                    .await;
            }
            Ok(_) if self.waited_for_quota(endpoint) => {
                self.broker.end_waits_for_quota(&app, endpoint);
            }
            Ok(_) => {}
            Err(error) => self.note_spent(&app, error).await,
        }
        outcome
    }

    /// Whether the last refresh failed because the quota of this endpoint was spent.
    fn waited_for_quota(&self, called: &str) -> bool {
        let state = self.slot.lock();
        let error = state.failure.as_ref().map(|failure| &failure.error);
        error.is_some_and(|error| error.class() == Class::Quota && error.endpoint == called)
    }

    /// Records a spent quota for all nodes that share the store. `app`: whose quota it is.
    async fn note_spent(&self, app: &AppKey, spent: &mut UpstreamError) {
        let (store, now) = (&self.broker.inner.store, self.broker.inner.clock.now());
        let Some(until) = spent.spent_until(now) else {
            return;
        };
        let calls = self.slot.lock().counts.calls_today(now);
        let few = calls.and_then(|calls| self.if_few(calls));
        let kept = store.set_block(app, spent.endpoint, until, now).await;
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
            self.log_store_error(&error, "exhausted quota could not be stored");
        }
    }

    /// Returns the number of calls if it is far below the quota, even that of a test account, which is a
    /// tenth. A memory store must have counted the whole day.
    fn if_few(&self, calls: u64) -> Option<u64> {
        let inner = &self.broker.inner;
        let now = inner.clock.now();
        let left = now.next_shanghai_midnight().since(now);
        if inner.store.kind() == "memory" && inner.clock.uptime() + left < ONE_DAY {
            return None;
        }
        let granted = daily_quota(&self.entry.account, self.slot.key.kind)?;
        Some(calls).filter(|calls| *calls < granted / 20)
    }

    /// Counts the call in the store, then makes it. A store error costs a count, not a refresh.
    pub(super) async fn counted<T>(
        &self,
        call: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let (_, endpoint) = endpoint(&self.entry.account, self.slot.key.kind);
        let now = self.broker.inner.clock.now();
        let store = &self.broker.inner.store;
        match store.count_call(&self.slot.key.app, endpoint, now).await {
            Ok(today) => self.slot.lock().counts.called(today, now),
            Err(error) => self.log_store_error(&error, "call count could not be stored"),
        }
        let sent_at = self.broker.inner.clock.now_millis();
        let outcome = call.await;
        if outcome.is_ok() {
            self.sent_at.store(sent_at, Ordering::Relaxed);
        }
        if !outcome.as_ref().is_err_and(is_unsent) {
            self.has_called.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// Whether another forced refresh fits into 20 a day with 30 s between two.
    pub(super) async fn may_force(&self) -> bool {
        match self.claim(MIN_DEMAND_GAP, Some(FORCED_PER_DAY)).await {
            Ok(Claim::Granted) => true,
            Ok(Claim::TooSoon { .. }) => false,
            Ok(Claim::SpentToday { .. }) => {
                let what =
                    "forced refreshes of today exhausted: the rejected token is kept until it ends";
                self.broker.log_warning(&self.entry.name, what);
                false
            }
            Err(error) => {
                let what = "limit of forced refreshes could not be read: none is forced";
                self.log_store_error(&error, what);
                false
            }
        }
    }
}

/// Returns the app and the endpoint by whose quota WeChat counts the calls for a credential. The tokens of all accounts
/// of an open platform are fetched by the platform, and count for it.
pub(in crate::broker) fn quota_of(account: &Account, kind: Kind) -> (AppKey, &'static str) {
    let (_, called) = endpoint(account, kind);
    let app = match account.component_app_id() {
        Some(component) if kind == Kind::AccessToken => AppKey {
            platform: Platform::Component.as_str(),
            id: component.into(),
            agent_id: None,
            component: None,
        },
        _ => account.app_key(),
    };
    (app, called)
}

/// Whether WeChat has certainly received nothing of the call.
pub(super) fn is_unsent(error: &UpstreamError) -> bool {
    matches!(
        error.failure,
        Failure::Unreachable(_) | Failure::Untrusted(_) | Failure::Proxy { .. }
    )
}

/// Returns the quota that WeChat publishes for an ordinary, verified account
/// (<https://developers.weixin.qq.com/doc/service/Message_Management/API_Call_Limits.html>). Test accounts
/// have a tenth. WeCom counts differently and publishes no daily number. The token calls of all accounts of an
/// open platform share the platform's quota.
pub(in crate::broker) fn daily_quota(account: &Account, kind: Kind) -> Option<u64> {
    match (account.platform(), kind, account.mode()) {
        (Platform::Work { .. }, _, _) => None,
        (_, Kind::AccessToken, _) if account.component_app_id().is_some() => None,
        (_, Kind::AccessToken, TokenMode::Classic) => Some(2_000),
        (_, Kind::AccessToken, TokenMode::Stable) => Some(500_000),
        (_, _, _) => Some(10_000),
    }
}

/// The accounts that share a quota are tried again within this time after the end of its block.
pub(in crate::broker) const SPREAD: Duration = Duration::from_secs(60);

/// Every node of a cluster reads the counts, and a quota is used up over hours, not seconds.
const READ_EVERY: Duration = Duration::from_secs(60);

/// Number of counts per store request.
const PAGE: usize = 500;

/// More than a day ever needs: even a foreign server that retires the token every two hours causes twelve.
const FREELY_PER_DAY: u32 = 20;

/// Allows 96 more a day: together within the 200 token calls that WeChat grants a test account.
const GAP_AFTERWARDS: Duration = Duration::from_secs(15 * 60);

const ONE_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// WeChat's own limit on `force_refresh`:
/// <https://developers.weixin.qq.com/minigame/dev/api-backend/open-api/access-token/auth.getStableAccessToken.html>
const FORCED_PER_DAY: u32 = 20;
