//! The values that the other nodes have stored. The keeper looks periodically, so that no reader and no page reads
//! the store. Which nodes there are is in `nodes`.
//!
//! A value that a peer node refreshed (after a `reject`, a lost reply or a foreign refresh) must reach this
//! process before the value that it serves is dead: WeChat accepts a replaced token for five minutes
//! (<https://developers.weixin.qq.com/doc/oplatform/developers/dev/AccessToken.html>). In the other direction,
//! a Redis that restarted empty or failed over to an incomplete replica is given what this process has.

mod nodes;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tracing::warn;

pub use self::nodes::Cluster;
pub(super) use self::nodes::Presence;
use self::nodes::StoreCheck;
use super::Broker;
use super::refresh::{OVERLAP, SPREAD, quota_of};
use super::slot::{RefreshOutcome, Slot};
use crate::account::Account;
use crate::clock::{Due, UnixTime};
use crate::credential::{Credential, CredentialKey, Freshness, Kind};
use crate::store::{Saved, StoreError, at_most};

/// The state of the exchange with the store.
#[derive(Default)]
pub(super) struct StoreSync {
    pub(super) due: Mutex<Due>,
    /// Whether the last pass could not store all credentials. Logged once.
    not_stored: AtomicBool,
    /// Number of passes that have read all values, also those that are not used, after a change of the store's key.
    whole_passes: AtomicU32,
    /// When an unknown token may cause a store read again.
    token_lookup: Arc<tokio::sync::Mutex<Due>>,
}

impl Broker {
    /// Returns the account whose token this is. For an unknown token it first reads the shared store, where
    /// a peer node may have put it a moment ago, at most once a second.
    pub async fn find_account_of_token(&self, token: &str) -> Option<(String, Arc<Account>)> {
        if let Some(found) = self.account_of_token(token) {
            return Some(found);
        }
        if !self.inner.store.is_shared() {
            return None;
        }
        let lookup = self.inner.keeper.sync.token_lookup.clone();
        let mut lookup = lookup.lock_owned().await;
        // Another caller may have read it while this one waited.
        let known = self.account_of_token(token);
        if known.is_some() || !lookup.take(self.inner.clock.uptime(), LOOK_GAP) {
            return known;
        }
        let broker = self.clone();
        // A task, so that a client that leaves does not end the pass halfway.
        let pass = self.inner.runtime.spawn(async move {
            broker.inner.keeper.sync.due.lock().at_once();
            broker.catch_up().await;
            // The gap begins at the end of the pass.
            lookup.at_once();
            lookup.take(broker.inner.clock.uptime(), LOOK_GAP);
        });
        // A pass that ended by a panic found nothing.
        let _ = pass.await;
        self.account_of_token(token)
    }

    /// Whether a credential was stored or is being read by a node with a wrong clock, so that its remaining
    /// life is unknown.
    pub(super) fn is_from_the_future(&self, credential: &Credential) -> bool {
        credential.issued_at.since(self.inner.clock.now()) > FROM_THE_FUTURE
    }

    /// Whether a credential from the store can be served.
    pub(super) fn is_usable(&self, slot: &Slot, credential: &Credential) -> bool {
        self.freshness(slot, credential) != Freshness::Expired
            && !self.is_from_the_future(credential)
    }

    /// Returns the credential with dates that peer nodes can trust. After the wall clock was set back, it
    /// may be wrong now or may have been wrong before, so the earlier dates are the safe ones.
    pub(super) fn dated_for_others(&self, credential: &Credential) -> Credential {
        let behind = self.inner.keeper.now_minus_wall.load(Ordering::Relaxed);
        let earlier = |time: UnixTime| UnixTime(time.0.saturating_sub(behind));
        Credential {
            issued_at: earlier(credential.issued_at),
            expires_at: earlier(credential.expires_at),
            ..credential.clone()
        }
    }

    /// Exchanges values with the store in both directions: everything once at the start, so that a warm
    /// start needs one pass; then, for a shared store, every few seconds.
    pub(super) async fn catch_up(&self) {
        let uptime = self.inner.clock.uptime();
        let due = &self.inner.keeper.sync.due;
        let every = match self.inner.store.is_shared() {
            true => EVERY,
            false => Duration::MAX,
        };
        if !due.lock().take(uptime, every) {
            return;
        }
        let sync = &self.inner.keeper.sync;
        // Reading a value encrypts it again with a new key.
        let reads_all = self.inner.store.is_changing_keys()
            && sync.whole_passes.load(Ordering::Relaxed) < WHOLE_PASSES;
        let is_whole = reads_all && !self.awaits_accounts();
        let accounts = self.inner.accounts.load_full();
        let mut slots: Vec<_> = accounts.slots().collect();
        slots.retain(|(_, slot)| reads_all || slot.is_wanted());
        let pages = u32::try_from(slots.len() / PAGE).unwrap_or(u32::MAX);
        due.lock().postpone(PER_PAGE.saturating_mul(pages));
        let mut not_stored = None;
        if slots.is_empty() {
            self.note_store(StoreCheck::Read, None);
        }
        for page in slots.chunks(PAGE) {
            let keys: Vec<_> = page.iter().map(|(_, slot)| slot.stored_key()).collect();
            let keys: Vec<_> = keys.iter().collect();
            let stored = match self.inner.store.load_many(&keys).await {
                Ok(stored) => stored,
                Err(error) => return self.note_store(StoreCheck::Read, Some(error)),
            };
            self.note_store(StoreCheck::Read, None);
            let wanted = page.iter().zip(stored);
            let wanted = wanted.filter(|((_, slot), _)| slot.is_wanted());
            let missing = wanted.filter_map(|((entry, slot), stored)| {
                let is_classic = entry.is_classic_token(slot.key.kind);
                self.compare(slot, stored, is_classic)
            });
            not_stored = self.save_all(missing.collect()).await.or(not_stored);
        }
        let passes = u32::from(is_whole);
        sync.whole_passes.fetch_add(passes, Ordering::Relaxed);
        let is_failing = not_stored.is_some();
        let was_failing = sync.not_stored.swap(is_failing, Ordering::Relaxed);
        if let Some(error) = not_stored.filter(|_| !was_failing) {
            warn!(%error, "some credentials could not be stored: kept in memory");
        }
        if self.inner.store.is_shared() {
            self.notice_lifted_blocks().await;
        }
    }

    /// Ends waits for a block that another process has lifted, by an operator's "refresh now" or by
    /// `check`.
    async fn notice_lifted_blocks(&self) {
        let (accounts, now) = (self.inner.accounts.load_full(), self.inner.clock.now());
        let blocked = accounts.all().flat_map(|entry| {
            let slots = entry.slots().filter(|slot| slot.is_blocked(now));
            slots.filter_map(move |slot| {
                let quota = quota_of(&entry.account, slot.key.kind);
                // The block of a shared quota may have ended by itself, before the wait.
                let is_over = quota.0 != slot.key.app && !slot.is_blocked(now.plus(SPREAD));
                (!is_over).then_some(quota)
            })
        });
        let blocked: HashSet<_> = blocked.collect();
        let blocked: Vec<_> = blocked.into_iter().collect();
        for page in blocked.chunks(PAGE) {
            let of: Vec<_> = page.iter().map(|(app, called)| (app, *called)).collect();
            let Ok(blocks) = self.inner.store.blocked_many(&of, now).await else {
                return;
            };
            let lifted = page.iter().zip(blocks).filter(|(_, until)| until.is_none());
            for ((app, called), _) in lifted {
                self.end_waits_for_quota(app, called);
            }
        }
    }

    /// Adopts the stored credential if it is newer. Returns the credential to store if the one in memory is
    /// newer.
    fn compare(
        &self,
        slot: &Arc<Slot>,
        stored: Option<Credential>,
        is_classic: bool,
    ) -> Option<(CredentialKey, Arc<Credential>)> {
        let mut state = slot.lock();
        let last = state.last.clone();
        match (stored, last) {
            (Some(stored), Some(last)) if stored == *last => None,
            (Some(stored), Some(last))
                if is_classic
                    && are_rivals(&stored, &last)
                    && stored.expires_at > self.inner.clock.now() =>
            {
                let newer = match stored.generation > last.generation {
                    true => &stored,
                    false => &*last,
                };
                let trimmed = Arc::new(newer.ending_by(newer.issued_at.plus(OVERLAP)));
                state.see(&trimmed, &self.inner.clock);
                self.publish(slot, &state);
                Some((slot.stored_key(), trimmed))
            }
            // This machine's clock was set. Its dates for the same value are correct here, and the stored
            // dates are correct elsewhere.
            (Some(stored), Some(last)) if state.adjusted && stored.value == last.value => None,
            // This node's clock or the other one's is wrong. The own value may have been replaced: its dates are
            // no longer trusted, so that it is refreshed here, which dates the new one.
            (Some(stored), Some(last))
                if stored.generation > last.generation
                    && self.is_from_the_future(&stored)
                    && !(state.dated_here && stored.value == last.value) =>
            {
                let end = self.inner.clock.now().plus(OVERLAP);
                if last.expires_at > end {
                    state.see(&Arc::new(last.ending_by(end)), &self.inner.clock);
                    self.publish(slot, &state);
                }
                None
            }
            (Some(stored), last) if last.as_ref().is_none_or(|last| stored.replaces(last)) => {
                // A peer node has ended the value that is served here.
                let is_ended = last.as_ref().is_some_and(|last| {
                    last.value == stored.value && last.issued_at == stored.issued_at
                });
                if is_ended || self.is_usable(slot, &stored) {
                    if last.is_none_or(|last| last.generation < stored.generation) {
                        self.note_arrival(slot, &mut state, &stored, RefreshOutcome::FromStore);
                    }
                    state.see(&Arc::new(stored), &self.inner.clock);
                    self.publish(slot, &state);
                    drop(state);
                    if slot.key.kind == Kind::AccessToken {
                        self.end_waits_for_token(&slot.key.app);
                    }
                }
                None
            }
            (_, Some(last)) => {
                (!state.adjusted && self.is_usable(slot, &last)).then(|| (slot.stored_key(), last))
            }
            (_, None) => None,
        }
    }

    /// Saves many credentials concurrently, so that a file store writes them in one commit. Failed saves
    /// are repeated in the next pass. Returns one of their errors.
    pub(super) async fn save_all(
        &self,
        credentials: Vec<(CredentialKey, Arc<Credential>)>,
    ) -> Option<StoreError> {
        let saves = credentials.into_iter().map(|(key, credential)| {
            let (store, credential) =
                (self.inner.store.clone(), self.dated_for_others(&credential));
            async move { store.save(&key, &credential).await.map(drop) }
        });
        let saved = at_most(SAVES_AT_ONCE, &self.inner.runtime, saves).await;
        // A value of another key was logged when it was read, once.
        let mut failed = saved.into_iter().filter_map(Result::err);
        failed.find(|error| !matches!(error, StoreError::OtherKey { .. }))
    }

    /// Stores `ended` of a credential in its place, and in that of each newer one that another node stores
    /// meanwhile, until `ended` returns `None`. Returns the one that was stored.
    pub(super) async fn end_stored(
        &self,
        key: &CredentialKey,
        mut known: Option<Credential>,
        ended: impl Fn(&Credential) -> Option<Credential>,
    ) -> Result<Option<Credential>, StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        while let Some(live) = known.filter(|known| known.expires_at > now) {
            let Some(end) = ended(&live) else {
                break;
            };
            known = match store.save(key, &end).await? {
                Saved::Stored => return Ok(Some(end)),
                Saved::Newer(newer) => Some(newer),
            };
        }
        Ok(None)
    }
}

/// Whether these are two classic tokens fetched at about the same time by two nodes that could not
/// coordinate because the store was unreachable. It is unknown which call WeChat executed first, and
/// therefore which token it has retired.
fn are_rivals(one: &Credential, other: &Credential) -> bool {
    one.value != other.value
        && one.generation.abs_diff(other.generation) <= SAME_TIME
        // After a generation of a fast clock, each new one is only one higher.
        && one.issued_at.0.abs_diff(other.issued_at.0) <= SAME_TIME / 1_000
}

/// A credential issued this much later than now was stored or is being read by a node with a wrong clock.
const FROM_THE_FUTURE: Duration = Duration::from_secs(60);

/// Two values whose generations and dates differ by at most this, in milliseconds, may come from concurrent calls.
const SAME_TIME: u64 = 10_000;

/// How often to look for values of peer nodes: a replaced token lives for 300 s.
const EVERY: Duration = Duration::from_secs(5);

/// Number of credentials per store request.
const PAGE: usize = 500;

/// Additional delay per page: ten thousand accounts are read through in 45 s.
const PER_PAGE: Duration = Duration::from_secs(1);

/// How many passes read all values after a change of the store's key: some minutes, for values that could not be
/// written again at once.
const WHOLE_PASSES: u32 = 24;

/// Enough for one commit of a file, and few enough for Redis to answer in time.
const SAVES_AT_ONCE: usize = 256;

/// Minimum time between two store reads for unknown tokens.
const LOOK_GAP: Duration = Duration::from_secs(1);
