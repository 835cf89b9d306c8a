//! The keeper: refreshes credentials while they are still served, so that a reader almost never waits.
//!
//! [`Broker::keep_fresh`] runs two lanes of refreshes and the checks. [`Broker::tend`] does the same once and
//! waits for the results, for tests. A failure causes a delay and never ends a loop.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tracing::warn;

use super::refresh::{CLOCK_TOLERANCE, Decision, quota_of, wait};
use super::slot::{FlightResult, Reason, Slot};
use super::sync::StoreSync;
use super::{AccountEntry, Broker};
use crate::account::Egress;
use crate::clock::{Due, Moment, UnixTime};
use crate::credential::{Credential, Freshness};
use crate::error::Error;

/// The state of the keeper: its refreshes, and what it knows of the clock.
#[derive(Default)]
pub(super) struct KeeperState {
    /// For ordinary refreshes, and for those that will probably fail, since each of their calls may last until it
    /// times out.
    lanes: [Lane; 2],
    /// The accounts' own ways to WeChat through which the last call got no answer.
    pub(super) silent_ways: Mutex<HashSet<Egress>>,
    pub(super) clock_jumps: AtomicU64,
    /// The wall clock minus the uptime at the last step, in seconds; grows if the wall clock is set ahead.
    pub(super) wall_minus_uptime: Mutex<Option<u64>>,
    /// The clock for lifetimes minus the wall clock, in seconds; 0 unless the wall clock was set back.
    pub(super) now_minus_wall: AtomicU64,
    pub(super) sync: StoreSync,
    /// When today's call counts are read again.
    pub(super) quota_reads: Mutex<Due>,
}

/// A share of the keeper's refreshes, of which [`AT_ONCE`] run at a time.
struct Lane {
    free: Arc<Semaphore>,
    ended: Notify,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(AT_ONCE)),
            ended: Notify::default(),
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
        tokio::join!(self.refresh_due(false), self.refresh_due(true), checks);
    }

    async fn refresh_due(&self, failing: bool) {
        let lane = self.lane(failing);
        loop {
            // One scan serves many refreshes, so ten thousand cold accounts are not scanned ten thousand
            // times.
            for (entry, slot) in self.due(failing) {
                let permit = lane.free.clone().acquire_owned().await;
                let permit = permit.expect("it is never closed");
                if !failing {
                    self.inner.counters.keeper_looked(self.inner.clock.uptime());
                }
                if self.will_probably_fail(&entry, &slot) == failing
                    && let Some(flight) = self.start_if_due(&entry, &slot)
                {
                    let refresh = self.clone().wait(entry, slot, flight, permit);
                    let broker = self.clone();
                    self.inner.runtime.spawn(async move {
                        // The flight has reported it.
                        let _ = refresh.await;
                        broker.lane(failing).ended.notify_one();
                    });
                }
            }
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = lane.ended.notified() => {}
            }
        }
    }

    fn lane(&self, failing: bool) -> &Lane {
        &self.inner.keeper.lanes[usize::from(failing)]
    }

    /// Does once what [`Broker::keep_fresh`] repeats: checks the clock and, if it is time, the store; starts
    /// the due refreshes, waits for them, and returns their results. At most 16 refreshes are started, and as
    /// many that will probably fail.
    pub async fn tend(&self) -> Vec<Result<Arc<Credential>, Error>> {
        self.run_checks().await;
        let mut started = Vec::new();
        for failing in [false, true] {
            for (entry, slot) in self.due(failing) {
                let Ok(permit) = self.lane(failing).free.clone().try_acquire_owned() else {
                    break;
                };
                if let Some(flight) = self.start_if_due(&entry, &slot) {
                    started.push(self.clone().wait(entry, slot, flight, permit));
                }
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
        // A failure has been logged.
        let _ = self.look_for_accounts().await;
        self.tend_platforms().await;
        self.catch_up().await;
        self.read_calls().await;
        self.announce().await;
    }

    /// Counts a jump of the wall clock since the last step. After a jump, corrects the dates here and in
    /// the store, where a restart or a peer node would trust them.
    pub(super) async fn notice_clock(&self) {
        let clock = &self.inner.clock;
        let keeper = &self.inner.keeper;
        let ahead = clock.wall().0.saturating_sub(clock.uptime().as_secs());
        let before = keeper.wall_minus_uptime.lock().replace(ahead);
        let Some(before) =
            before.filter(|before| before.abs_diff(ahead) > CLOCK_TOLERANCE.as_secs())
        else {
            return;
        };
        keeper.clock_jumps.fetch_add(1, Ordering::Relaxed);
        let seconds = before.abs_diff(ahead);
        let direction = if ahead > before { "ahead" } else { "back" };
        warn!(
            seconds,
            direction, "clock jumped: it was set, or the machine slept"
        );
        let behind = Some(clock.now().since(clock.wall()))
            .filter(|behind| *behind > CLOCK_TOLERANCE)
            .unwrap_or_default();
        let now_minus_wall = &keeper.now_minus_wall;
        now_minus_wall.store(behind.as_secs(), Ordering::Relaxed);
        if ahead < before {
            self.end_waits_of_wrong_clock().await;
        }
        let accounts = self.inner.accounts.load_full();
        let corrected = accounts.slots().filter_map(|(_, slot)| {
            let corrected = self.correct_dates(slot)?;
            Some((slot.stored_key(), corrected))
        });
        if let Some(error) = self.save_all(corrected.collect()).await {
            warn!(%error, "some credentials could not be stored: kept in memory");
        }
    }

    /// Ends the waits of a clock that was ahead and has been set back. Their end times would be wrong by as
    /// much as the clock was. This includes blocks in the store; if a block was correct, the next call
    /// records it again.
    async fn end_waits_of_wrong_clock(&self) {
        let (accounts, now) = (self.inner.accounts.load_full(), self.inner.clock.now());
        let mut lifted = HashSet::new();
        for entry in accounts.all() {
            for slot in entry.slots().filter(|slot| slot.clock_was_set_back(now)) {
                let quota = quota_of(&entry.account, slot.key.kind);
                if lifted.insert(quota.clone()) {
                    self.lift_block(&entry.name, &quota.0, quota.1).await;
                }
            }
        }
        for (platform, _) in accounts.platforms() {
            self.lift_platform_blocks(platform).await;
        }
    }

    /// Corrects the dates of a slot after a clock jump. Returns the credential to store, if any.
    fn correct_dates(&self, slot: &Arc<Slot>) -> Option<Arc<Credential>> {
        let shortened = self.shorten(slot);
        if self.inner.keeper.now_minus_wall.load(Ordering::Relaxed) == 0 {
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
        let last = state.last.clone()?;
        let end = state.end_by_uptime(&self.inner.clock)?;
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

    /// Waits for a flight, and holds the permit until it ends.
    async fn wait(
        self,
        entry: Arc<AccountEntry>,
        slot: Arc<Slot>,
        flight: watch::Receiver<FlightResult>,
        _permit: OwnedSemaphorePermit,
    ) -> Result<Arc<Credential>, Error> {
        wait(flight, &entry, slot.key.kind).await
    }

    /// Whether the slot failed last, or a call through the same proxy of an account's own.
    fn will_probably_fail(&self, entry: &AccountEntry, slot: &Slot) -> bool {
        let is_silent = |way| self.inner.keeper.silent_ways.lock().contains(way);
        slot.lock().failure.is_some() || entry.account.own_egress().is_some_and(is_silent)
    }

    /// Returns the due slots, those that will probably fail or the others; parents first, since a ticket needs its
    /// token anyway. Reads the clock once and compares two numbers per slot; takes a slot's lock only if these
    /// say that it may be due.
    fn due(&self, failing: bool) -> Vec<(Arc<AccountEntry>, Arc<Slot>)> {
        let (accounts, at) = (self.inner.accounts.load(), self.inner.clock.moment());
        if !failing {
            self.inner.counters.keeper_looked(at.uptime);
        }
        let wanted = accounts.slots().filter(|(_, slot)| slot.is_wanted());
        let due = wanted.filter(|(entry, slot)| self.is_due(entry, slot, &at));
        due.filter(|(entry, slot)| self.will_probably_fail(entry, slot) == failing)
            .map(|(entry, slot)| (entry.clone(), slot.clone()))
            .collect()
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
    ) -> Option<watch::Receiver<FlightResult>> {
        let at = self.inner.clock.moment();
        if !self.is_due(entry, slot, &at) {
            return None;
        }
        let retry = slot.lock().retry_reason(at.now);
        let ordinary = || match self.current_credential(slot) {
            Some(_) => Reason::Due,
            None => Reason::Missing,
        };
        match self.join_or_start(entry, slot, retry.unwrap_or_else(ordinary)) {
            Decision::Wait(flight) | Decision::Join(flight) => Some(flight),
            Decision::Current(_) => {
                slot.lock().drop_retry();
                None
            }
            Decision::Refused(_) => None,
        }
    }
}

/// How often the keeper checks. Checking a credential that is not due costs two comparisons.
pub const TICK: Duration = Duration::from_secs(1);

/// Maximum number of concurrent keeper refreshes. WeChat answers one in some 50 ms, so 10,000 cold accounts
/// take a minute.
const AT_ONCE: usize = 16;
