//! Obtains a new credential: one flight per slot, in a task of its own. Its modules are the stages that need
//! more than a function, and the limits of calls.
//!
//! [`Broker::refresh`] joins or starts a flight. [`Flight::run`] is the flight: load → parent → lease →
//! limit → call → date → store → publish → report. The stages return their results. `publish` makes a value
//! current; `report` counts, logs and remembers.

mod call;
mod dates;
mod lease;
mod log;
mod quota;
mod report;
mod without_store;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

pub(super) use self::dates::{CLOCK_TOLERANCE, OVERLAP};
pub(super) use self::log::foreign_refresh_advice;
pub(super) use self::quota::{SPREAD, daily_quota, quota_of};

use self::dates::Dates;
use self::lease::Turn;
use super::slot::{FlightResult, MIN_DEMAND_GAP, Reason, Slot};
use super::{AccountEntry, Broker, stats};
use crate::clock::UnixTime;
use crate::credential::{Credential, Freshness, Kind, Secret};
use crate::error::{Error, UpstreamError};
use crate::store::Saved;

impl Broker {
    /// Joins the running refresh or starts one, and waits for it. A caller that stops waiting does not
    /// abort the refresh.
    pub(super) async fn refresh(
        &self,
        entry: &Arc<AccountEntry>,
        slot: &Arc<Slot>,
        reason: Reason,
    ) -> Result<Arc<Credential>, Error> {
        let decision = self.join_or_start(entry, slot, reason.clone());
        match decision.result(entry, slot).await {
            // The rate limit refused a refresh that another caller had requested and this one had joined.
            Err(Error::RateLimited { .. }) if matches!(reason, Reason::Missing) => {
                let decision = self.join_or_start(entry, slot, reason);
                decision.result(entry, slot).await
            }
            result => result,
        }
    }

    /// Decides under the slot's lock whether to start a refresh. Checks the value again there, since it may
    /// have arrived meanwhile.
    pub(super) fn join_or_start(
        &self,
        entry: &Arc<AccountEntry>,
        slot: &Arc<Slot>,
        reason: Reason,
    ) -> Decision {
        let now = self.inner.clock.now();
        let mut state = slot.lock();
        let current = self.current_credential(slot);
        if let Some(current) = current.as_ref().filter(|current| match &reason {
            Reason::Missing => true,
            Reason::Due => self.freshness(slot, current) == Freshness::Fresh,
            Reason::Rejected(bad) => current.value != *bad,
            Reason::RefreshNow => false,
        }) {
            return Decision::Current(current.clone());
        }
        if let Some((running, flight)) = &state.flight {
            return match (running, &reason) {
                (Reason::Rejected(other), Reason::Rejected(bad)) if other == bad => {
                    Decision::Wait(flight.clone())
                }
                _ => Decision::Join(flight.clone()),
            };
        }
        let failure = state.cooldown(now);
        if let Some(failure) = failure.filter(|failure| !failure.is_overridden_by(&reason)) {
            return Decision::Refused(failure.as_error(&entry.name, current.is_some(), now));
        }
        if reason.is_on_demand() {
            if let Some(retry_after) = state.rate_limited_for(now) {
                if matches!(reason, Reason::Rejected(_)) {
                    state.counts.count(stats::Outcome::RateLimited);
                }
                return Decision::Refused(Error::RateLimited {
                    account: entry.name.clone(),
                    kind: slot.key.kind,
                    retry_after,
                });
            }
            state.on_demand_from = Some(now.plus(MIN_DEMAND_GAP));
        }
        if let Reason::Rejected(bad) = &reason {
            state.rejected = Some(bad.clone());
        }
        // A failure of an account that is in use is shown, though it was never fetched.
        let kept_kinds = entry.account.kept_kinds();
        if slot.key.app.component.is_some() && kept_kinds.contains(&slot.key.kind) {
            slot.want();
        }
        let (result, flight) = watch::channel(None);
        let had = state.last.clone();
        state.flight = Some((reason.clone(), flight.clone()));
        let started = Flight {
            broker: self.clone(),
            entry: entry.clone(),
            slot: slot.clone(),
            reason,
            began: self.inner.clock.uptime(),
            had,
            has_called: AtomicBool::new(false),
            sent_at: AtomicU64::new(0),
            result,
        };
        self.inner.runtime.spawn(started.run());
        Decision::Wait(flight)
    }

    /// Returns the last value of a slot. One of which this process knows nothing, as after a restart, gets the stored
    /// value, which is served while it is refreshed.
    pub(super) async fn last_or_stored(
        &self,
        entry: &AccountEntry,
        slot: &Arc<Slot>,
    ) -> Option<Arc<Credential>> {
        let last = slot.lock().last.clone();
        if last.is_some() {
            return last;
        }
        let (stored, _) = self.see_stored(entry, slot).await?;
        if self.is_usable(slot, &stored) {
            self.publish_if_newest(slot, &stored);
            slot.want();
        }
        Some(stored)
    }

    /// Reads the stored value of a slot. Returns the newest value known, and whether it was not known before.
    async fn see_stored(
        &self,
        entry: &AccountEntry,
        slot: &Slot,
    ) -> Option<(Arc<Credential>, bool)> {
        let stored = match self.inner.store.load(&slot.stored_key()).await {
            Ok(stored) => Arc::new(stored?),
            Err(error) => {
                self.log_store_error(&entry.name, &error, "store could not be read");
                return None;
            }
        };
        if self.is_from_the_future(&stored) {
            let what = "stored credential ignored: it was issued in the future";
            self.log_warning(&entry.name, what);
            return None;
        }
        let mut state = slot.lock();
        let last = state.last.as_ref();
        let is_news = last.is_none_or(|last| last.generation < stored.generation);
        // What is known here may be newer, and have ended.
        Some((state.see(&stored, &self.inner.clock), is_news))
    }

    /// Compare-and-refresh: see [`Broker::reject`].
    pub(super) async fn refresh_if_current(
        &self,
        entry: &Arc<AccountEntry>,
        slot: &Arc<Slot>,
        bad: &Secret,
    ) -> Result<Arc<Credential>, Error> {
        let reason = || Reason::Rejected(bad.clone());
        let joined = match self.join_or_start(entry, slot, reason()) {
            Decision::Join(flight) => wait(flight, entry, slot.key.kind).await?,
            decision => return decision.result(entry, slot).await,
        };
        if joined.value != *bad {
            return Ok(joined);
        }
        // A refresh that had started for another reason brought the rejected value again: starts one more. If that
        // is limited, WeChat has just confirmed the value, and only a stable token could be forced later.
        match self.refresh(entry, slot, reason()).await {
            Err(Error::RateLimited { .. }) if !entry.is_stable_token(slot.key.kind) => Ok(joined),
            refreshed => refreshed,
        }
    }
}

/// The result of asking for a refresh.
pub(super) enum Decision {
    Current(Arc<Credential>),
    Refused(Error),
    /// A refresh that started for this reason.
    Wait(watch::Receiver<FlightResult>),
    /// A refresh that had started for another reason.
    Join(watch::Receiver<FlightResult>),
}

impl Decision {
    /// Returns the result, once a running refresh has ended.
    async fn result(self, entry: &AccountEntry, slot: &Slot) -> Result<Arc<Credential>, Error> {
        match self {
            Self::Current(credential) => Ok(credential),
            Self::Refused(error) => Err(error),
            Self::Wait(flight) | Self::Join(flight) => wait(flight, entry, slot.key.kind).await,
        }
    }
}

/// Waits for a flight to end. It ends without a result only if its task was killed with the runtime.
pub(super) async fn wait(
    mut flight: watch::Receiver<FlightResult>,
    entry: &AccountEntry,
    kind: Kind,
) -> Result<Arc<Credential>, Error> {
    let interrupted = || Error::Interrupted {
        account: entry.name.clone(),
        kind,
    };
    let result = flight
        .wait_for(Option::is_some)
        .await
        .map_err(|_| interrupted())?;
    result.clone().unwrap_or_else(|| Err(interrupted()))
}

/// One refresh of one credential.
pub(super) struct Flight {
    pub(super) broker: Broker,
    pub(super) entry: Arc<AccountEntry>,
    pub(super) slot: Arc<Slot>,
    pub(super) reason: Reason,
    /// In uptime.
    pub(super) began: Duration,
    /// The last value before the refresh.
    pub(super) had: Option<Arc<Credential>>,
    /// Whether a call of it may have reached WeChat.
    has_called: AtomicBool,
    /// When the last successful call was sent, in milliseconds. Taken directly before it: a process that was stopped
    /// before its call would give a new value the generation of an older one.
    sent_at: AtomicU64,
    result: watch::Sender<FlightResult>,
}

/// A value that a refresh made current.
pub(super) struct Published {
    pub(super) credential: Arc<Credential>,
    /// Whether the store had it.
    pub(super) is_from_store: bool,
    /// How long to wait before the next call, if WeChat's values live for seconds.
    pub(super) pause: Option<Duration>,
}

/// Why a refresh brought no value.
pub(super) enum Failed {
    /// WeChat gave no usable answer, or the call was not made.
    Call(UpstreamError),
    /// The token that the call needs could not be obtained.
    Parent(Error),
    /// The store failed, and the current value is good enough until this time.
    Store(UpstreamError, UnixTime),
    /// The rate limit for refreshes on request.
    RateLimited(Error),
}

/// Removes the flight from its slot however it ends, including by a panic.
struct FlightGuard<'a>(&'a Slot);

impl Drop for FlightGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().flight = None;
    }
}

impl Flight {
    async fn run(self) {
        let guard = FlightGuard(&self.slot);
        let result = self.refresh().await;
        let reported = self.report(result);
        drop(guard);
        self.result.send_replace(Some(reported));
    }

    async fn refresh(&self) -> Result<Published, Failed> {
        if let Some(stored) = self.load().await {
            return Ok(self.publish(stored, None));
        }
        // The parent comes first: a lease is short and should cover only this credential's own call.
        let parent = self.parent().await?;
        self.check_kind()?;
        match self.lease().await? {
            Turn::Found(stored) => Ok(self.publish(stored, None)),
            Turn::Granted(lease) => {
                let result = self.fetch(parent).await;
                self.release(lease).await;
                result
            }
        }
    }

    /// Calls WeChat. The limit is checked only by the node that is about to call; the others find the
    /// result in the store.
    async fn fetch(&self, parent: Option<Arc<Credential>>) -> Result<Published, Failed> {
        let is_claimed = self.limit().await.map_err(Failed::RateLimited)?;
        let issued = self.call(parent.as_deref()).await;
        if is_claimed && !self.has_called.load(Ordering::Relaxed) {
            self.keep_claim();
        }
        let dated = match issued {
            Ok(issued) => self.date(issued).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &dated {
            self.distrust_after(error).await;
        }
        let (credential, dates) = dated.map_err(Failed::Call)?;
        let (credential, dates) = self.store(credential, dates).await;
        Ok(self.publish(Arc::new(credential), Some(dates)))
    }

    /// Returns the credential that a peer node, or this process before its restart, has stored, if it
    /// satisfies the reason of this refresh.
    async fn load(&self) -> Option<Arc<Credential>> {
        let stored = self.broker.see_stored(&self.entry, &self.slot);
        let (stored, is_news) = stored.await?;
        let freshness = self.broker.freshness(&self.slot, &stored);
        let is_wanted = match &self.reason {
            Reason::Missing => freshness != Freshness::Expired,
            Reason::Due => freshness == Freshness::Fresh,
            Reason::Rejected(bad) => freshness != Freshness::Expired && stored.value != *bad,
            Reason::RefreshNow => freshness == Freshness::Fresh && is_news,
        };
        is_wanted.then_some(stored)
    }

    /// Returns the token that the call needs: a ticket's needs the account's token, and the token of an account
    /// that authorised a platform needs the platform's. An operator's request covers it too.
    async fn parent(&self) -> Result<Option<Arc<Credential>>, Failed> {
        let Some(entry) = self.parent_of().map_err(Failed::Call)? else {
            return Ok(None);
        };
        let slot = entry.token_slot();
        if let Some(current) = self.broker.current_credential(slot) {
            return Ok(Some(current));
        }
        let reason = match self.reason {
            Reason::RefreshNow => Reason::RefreshNow,
            _ => Reason::Missing,
        };
        let refreshed = Box::pin(self.broker.refresh(&entry, slot, reason));
        refreshed.await.map(Some).map_err(Failed::Parent)
    }

    /// Stores a value before it is published, so that a crash cannot lose a value that was handed out. The
    /// newer value wins, unless its date comes from a wrong clock. A value whose dates are correct on this
    /// machine only is not stored.
    async fn store(&self, mut credential: Credential, dates: Dates) -> (Credential, Dates) {
        if dates == Dates::Adjusted {
            return (credential, dates);
        }
        let key = self.slot.stored_key();
        for _ in 0..2 {
            let shared = self.broker.dated_for_others(&credential);
            match self.broker.inner.store.save(&key, &shared).await {
                Ok(Saved::Stored) => break,
                Ok(Saved::Newer(newer)) if self.broker.is_usable(&self.slot, &newer) => {
                    let is_same = newer.value == credential.value;
                    return (newer, if is_same { dates } else { Dates::Known });
                }
                Ok(Saved::Newer(newer)) => {
                    credential.generation = newer.generation.saturating_add(1);
                }
                Err(error) => {
                    self.log_store_error(&error, "credential could not be stored: kept in memory");
                    break;
                }
            }
        }
        (credential, dates)
    }

    /// Makes a value current, unless a newer one is there. `dates` says where the dates of a value of
    /// WeChat's come from; `None` for one that the store had.
    ///
    /// From now on the keeper refreshes this credential. One that was never fetched, because the account
    /// may lack the permission, is fetched only on request, so an unauthenticated request cannot add work
    /// to the keeper.
    fn publish(&self, credential: Arc<Credential>, dates: Option<Dates>) -> Published {
        let (broker, clock) = (&self.broker, &self.broker.inner.clock);
        self.slot.want();
        let mut state = self.slot.lock();
        if state.failure.take().is_some() {
            broker.inner.fault_log.recovered(&self.entry.name);
        }
        if dates == Some(Dates::Adjusted) {
            state.seen = Some((clock.uptime(), credential.remaining(clock.now())));
            state.adjusted = true;
        }
        let current = state.see(&credential, clock);
        let mut pause = None;
        if let Some(dates) = dates {
            state.adjusted |= broker.dated_for_others(&current) != *current;
            // WeChat returned the due value again, for example a ticket that has not rotated yet. For now
            // it is the best there is, and WeChat has just confirmed it.
            let is_due = broker.freshness(&self.slot, &current) != Freshness::Fresh;
            if is_due && !state.rotates_at_its_end {
                let until = clock.now().plus(PAUSE_WITHOUT_NEWS);
                state.nothing_new_until = Some(until.min(current.expires_at));
            }
            if dates == Dates::New && current.value == credential.value {
                state.dated_here = true;
                pause = state.pause_after(&current);
            }
        }
        broker.publish(&self.slot, &state);
        Published {
            credential: current,
            is_from_store: dates.is_none(),
            pause,
        }
    }
}

/// Six to eight tries fit into the lead.
const PAUSE_WITHOUT_NEWS: Duration = Duration::from_secs(30);
