//! The keeper: refreshes credentials while they are still served, so that a reader almost never waits.
//!
//! [`Broker::tend`] is one step; [`Broker::keep_fresh`] is the loop. A failure causes a delay and never
//! ends the loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tracing::warn;

use super::refresh::{CLOCK_TOLERANCE, Decision, wait};
use super::slot::{Outcome, Reason, Slot};
use super::sync::Sync;
use super::{AccountEntry, Broker};
use crate::clock::{Due, Moment, UnixTime};
use crate::credential::{Credential, Freshness};
use crate::error::Error;
use crate::upstream::endpoint;

/// The state of the keeper: permits for its own refreshes, the signal that one ended, and what it knows of
/// the clock.
pub(super) struct Pace {
    free: Arc<Semaphore>,
    /// Also needed by credentials that failed last: each may hold its permit until its call times out.
    free_for_failing: Arc<Semaphore>,
    ended: Notify,
    pub(super) clock_jumps: AtomicU64,
    /// By how much the wall clock was ahead of the uptime at the last step, in seconds.
    pub(super) wall_ahead: Mutex<Option<u64>>,
    /// By how much the clock for lifetimes is ahead of the wall clock, in seconds, since the wall clock was
    /// set back.
    pub(super) wall_behind: AtomicU64,
    pub(super) sync: Sync,
    /// When today's call counts are read again.
    pub(super) quota_reads: Mutex<Due>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(AT_ONCE)),
            free_for_failing: Arc::new(Semaphore::new(AT_ONCE / 2)),
            ended: Notify::default(),
            clock_jumps: AtomicU64::default(),
            wall_ahead: Mutex::default(),
            wall_behind: AtomicU64::default(),
            sync: Sync::default(),
            quota_reads: Mutex::default(),
        }
    }
}

impl Broker {
    /// Keeps every account's credentials fresh until the future is dropped. Spawn it once per process.
    pub async fn keep_fresh(self) {
        self.run_checks().await;
        // A separate loop, so that a slow store does not delay refreshes.
        let checks = async {
            loop {
                tokio::time::sleep(TICK).await;
                self.run_checks().await;
            }
        };
        tokio::join!(self.refresh_due(), checks);
    }

    async fn refresh_due(&self) {
        loop {
            // One scan serves many refreshes, so ten thousand cold accounts are not scanned ten thousand
            // times.
            for (entry, slot) in self.due() {
                let Some(failing) = self.permit_for_failing(&slot) else {
                    continue;
                };
                let free = self.inner.keeper.free.clone().acquire_owned().await;
                let permits = (free.expect("it is never closed"), failing);
                self.inner.counts.keeper_looked(self.inner.clock.uptime());
                if let Some(flight) = self.start_if_due(&entry, &slot) {
                    self.inner
                        .runtime
                        .spawn(self.clone().wait_and_release(entry, slot, flight, permits));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = self.inner.keeper.ended.notified() => {}
            }
        }
    }

    /// Runs one step of the keeper: checks the clock and, if it is time, the store; starts the due
    /// refreshes, waits for them, and returns their results. At most 16 refreshes run at a time, so that
    /// ten thousand cold accounts do not all call WeChat in the same second.
    pub async fn tend(&self) -> Vec<Result<Arc<Credential>, Error>> {
        self.run_checks().await;
        let mut started = Vec::new();
        for (entry, slot) in self.due() {
            let Some(failing) = self.permit_for_failing(&slot) else {
                continue;
            };
            let Ok(free) = self.inner.keeper.free.clone().try_acquire_owned() else {
                break;
            };
            let permits = (free, failing);
            if let Some(flight) = self.start_if_due(&entry, &slot) {
                started.push(self.clone().wait_and_release(entry, slot, flight, permits));
            }
        }
        let mut outcomes = Vec::new();
        for refresh in started {
            outcomes.push(refresh.await);
        }
        outcomes
    }

    async fn run_checks(&self) {
        self.log_summaries();
        self.notice_clock().await;
        self.look_for_accounts().await;
        self.tend_platforms().await;
        self.catch_up().await;
        self.read_calls().await;
        self.announce().await;
    }

    /// Counts a jump of the wall clock since the last step. After a jump, corrects the dates here and in
    /// the store, where a restart or a peer node would trust them.
    pub(super) async fn notice_clock(&self) {
        let clock = &self.inner.clock;
        let ahead = clock.wall().0.saturating_sub(clock.uptime().as_secs());
        let before = self.inner.keeper.wall_ahead.lock().replace(ahead);
        let Some(before) =
            before.filter(|before| before.abs_diff(ahead) > CLOCK_TOLERANCE.as_secs())
        else {
            return;
        };
        self.inner
            .keeper
            .clock_jumps
            .fetch_add(1, Ordering::Relaxed);
        let (seconds, direction) = (
            before.abs_diff(ahead),
            if ahead > before { "ahead" } else { "back" },
        );
        warn!(
            seconds,
            direction, "clock jumped: it was set, or the machine slept"
        );
        let behind = Some(clock.now().since(clock.wall()))
            .filter(|behind| *behind > CLOCK_TOLERANCE)
            .unwrap_or_default();
        self.inner
            .keeper
            .wall_behind
            .store(behind.as_secs(), Ordering::Relaxed);
        if ahead < before {
            self.end_waits_of_wrong_clock().await;
        }
        let corrected = self.slots().into_iter().filter_map(|slot| {
            self.correct_dates(&slot)
                .map(|corrected| (slot.key.clone(), corrected))
        });
        self.save_all(corrected.collect()).await;
    }

    /// Ends the waits of a clock that was ahead and has been set back. Their end times would be wrong by as
    /// much as the clock was. This includes blocks in the store; if a block was correct, the next call
    /// records it again.
    async fn end_waits_of_wrong_clock(&self) {
        let (accounts, now) = (self.inner.accounts.load_full(), self.inner.clock.now());
        for entry in accounts.all() {
            for slot in entry.slots().filter(|slot| slot.clock_was_set_back(now)) {
                let (_, endpoint) = endpoint(&entry.account, slot.key.kind);
                if let Err(error) = self
                    .inner
                    .store
                    .set_block(&slot.key.app, endpoint, now, now)
                    .await
                {
                    self.log_store_error(
                        &entry.name,
                        &error,
                        "exhausted quota could not be stored",
                    );
                }
            }
        }
    }

    /// Corrects the dates of a slot after a clock jump. Returns the credential to store, if any.
    fn correct_dates(&self, slot: &Arc<Slot>) -> Option<Arc<Credential>> {
        let shortened = self.shorten(slot);
        if self.inner.keeper.wall_behind.load(Ordering::Relaxed) == 0 {
            return shortened;
        }
        let mut state = slot.lock();
        let last = state
            .last
            .clone()
            .filter(|last| self.is_usable(slot, last))?;
        state.adjusted = true;
        Some(last)
    }

    /// Shortens a life that ends later than the uptime allows.
    fn shorten(&self, slot: &Arc<Slot>) -> Option<Arc<Credential>> {
        let mut state = slot.lock();
        let (last, end) = (state.last.clone()?, state.end_by_uptime(&self.inner.clock)?);
        if last.expires_at.since(end) <= CLOCK_TOLERANCE {
            return None;
        }
        let issued_at = UnixTime(end.0.saturating_sub(last.life().as_secs()));
        let corrected = Arc::new(Credential {
            issued_at,
            expires_at: end,
            ..(*last).clone()
        });
        state.last = Some(corrected.clone());
        state.adjusted = false;
        self.publish(slot, &state);
        Some(corrected)
    }

    async fn wait_and_release(
        self,
        entry: Arc<AccountEntry>,
        slot: Arc<Slot>,
        flight: watch::Receiver<Outcome>,
        permits: Permits,
    ) -> Result<Arc<Credential>, Error> {
        let outcome = wait(flight, &entry, slot.key.kind).await;
        drop(permits);
        self.inner.keeper.ended.notify_one();
        outcome
    }

    /// Returns the permit that a credential needs besides the ordinary one if it failed last, so that accounts
    /// behind a silent proxy delay no others; `None` if too many of these are in progress.
    fn permit_for_failing(&self, slot: &Slot) -> Option<Option<OwnedSemaphorePermit>> {
        if slot.lock().failure.is_none() {
            return Some(None);
        }
        let free = self.inner.keeper.free_for_failing.clone();
        free.try_acquire_owned().ok().map(Some)
    }

    /// Returns the due slots: those that failed last after the others, parents first, since a ticket needs its
    /// token anyway. Reads the clock once and compares two numbers per slot; takes a slot's lock only if these
    /// say that it may be due.
    fn due(&self) -> Vec<(Arc<AccountEntry>, Arc<Slot>)> {
        let (accounts, at) = (self.inner.accounts.load(), self.inner.clock.moment());
        self.inner.counts.keeper_looked(at.uptime);
        let slots = accounts
            .all()
            .flat_map(|entry| entry.slots().map(move |slot| (entry, slot)));
        let due = slots.filter(|(entry, slot)| slot.is_wanted() && self.is_due(entry, slot, &at));
        let (failing, mut due): (Vec<_>, Vec<_>) = due
            .map(|(entry, slot)| (entry.clone(), slot.clone()))
            .partition(|(_, slot)| slot.lock().failure.is_some());
        due.extend(failing);
        due
    }

    fn is_due(&self, entry: &AccountEntry, slot: &Slot, at: &Moment) -> bool {
        let freshness = match &*self.current(slot, at) {
            Some(current) => current.freshness(at),
            None => Freshness::Expired,
        };
        if freshness == Freshness::Fresh {
            return slot.must_retry(at.now);
        }
        if entry.awaits_first_ticket() {
            return false;
        }
        // Thousands of accounts may have authorised a platform; only those in use are refreshed. One that has to
        // authorise it again keeps its failure, so that it is still shown as down.
        if slot.key.app.component.is_some() && entry.is_unused(at.uptime) {
            if !self.must_authorize_again(&entry.account) {
                for slot in entry.slots() {
                    slot.give_up();
                }
            }
            return false;
        }
        let mut state = slot.lock();
        if freshness == Freshness::Expired {
            self.log_end(&entry.name, slot, &mut state, at.now);
        }
        !state.is_busy(at.now)
    }

    fn start_if_due(
        &self,
        entry: &Arc<AccountEntry>,
        slot: &Arc<Slot>,
    ) -> Option<watch::Receiver<Outcome>> {
        let at = self.inner.clock.moment();
        if !self.is_due(entry, slot, &at) {
            return None;
        }
        let retry = slot.lock().retry_reason(at.now);
        let ordinary = || {
            if self.current_credential(slot).is_some() {
                Reason::Due
            } else {
                Reason::Missing
            }
        };
        match self.join_or_start(entry, slot, retry.unwrap_or_else(ordinary)) {
            Decision::Wait(flight) => Some(flight),
            Decision::Current(_) => {
                slot.lock().drop_retry();
                None
            }
            Decision::Refused(_) => None,
        }
    }
}

/// The ordinary permit of a refresh, and that of a credential that failed last.
type Permits = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

/// How often the keeper checks. Checking a credential that is not due costs two comparisons.
pub const TICK: Duration = Duration::from_secs(1);

/// Maximum number of concurrent keeper refreshes. WeChat answers one in some 50 ms, so 10,000 cold accounts
/// take a minute.
const AT_ONCE: usize = 16;
