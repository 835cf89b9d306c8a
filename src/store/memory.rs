//! The memory store: lasts as long as the process. Also the part of the file store that answers reads.
//!
//! Knows nothing of time passing: an expired credential stays until a newer one comes, and whoever loads it looks at its life.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::rules::{Force, block_name, calls_name, replaces, shanghai_day};
use super::{Claim, Saved};
use crate::clock::UnixTime;
use crate::credential::{AppKey, Credential};

/// The store itself: [`Records`] behind a lock that is held for a look-up, never across an await.
#[derive(Default)]
pub(super) struct Memory(Mutex<Records>);

impl Memory {
    /// The records, for one operation.
    pub(super) fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything a store keeps, by name.
#[derive(Default)]
pub(super) struct Records {
    entries: HashMap<String, Entry>,
    /// The last day on which old entries were dropped.
    pruned: u64,
}

/// What stands under a name.
#[derive(Clone)]
pub(super) enum Entry {
    Credential(Credential),
    Calls { day: u64, count: u64 },
    Block(UnixTime),
    Force(Force),
}

impl Records {
    /// What stands under a name.
    #[cfg(feature = "file")]
    pub(super) fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Puts an entry there, whatever stood there.
    pub(super) fn put(&mut self, name: String, entry: Entry) {
        self.entries.insert(name, entry);
    }

    /// All names.
    #[cfg(feature = "file")]
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.entries.keys()
    }

    /// A credential.
    pub(super) fn load(&self, name: &str) -> Option<&Credential> {
        match self.entries.get(name) {
            Some(Entry::Credential(credential)) => Some(credential),
            _ => None,
        }
    }

    /// Keeps the newer of the two.
    pub(super) fn save(&mut self, name: String, credential: &Credential) -> Saved {
        match self.load(&name) {
            Some(stored) if stored != credential && !replaces(credential, stored) => {
                Saved::Newer(stored.clone())
            }
            _ => {
                self.put(name, Entry::Credential(credential.clone()));
                Saved::Stored
            }
        }
    }

    /// Counts one call. Answers today's count and every name that was touched: this one, and those whose day is over.
    pub(super) fn count_call(
        &mut self,
        app: &AppKey,
        endpoint: &str,
        now: UnixTime,
    ) -> (u64, Vec<String>) {
        let day = shanghai_day(now);
        let mut touched = self.prune(now);
        let count = self.calls(app, endpoint, now).saturating_add(1);
        let name = calls_name(app, endpoint, day);
        self.put(name.clone(), Entry::Calls { day, count });
        touched.push(name);
        (count, touched)
    }

    /// Today's count.
    pub(super) fn calls(&self, app: &AppKey, endpoint: &str, now: UnixTime) -> u64 {
        match self
            .entries
            .get(&calls_name(app, endpoint, shanghai_day(now)))
        {
            Some(Entry::Calls { count, .. }) => *count,
            _ => 0,
        }
    }

    /// The end of a block that is not over yet.
    pub(super) fn blocked_until(
        &self,
        app: &AppKey,
        endpoint: &str,
        now: UnixTime,
    ) -> Option<UnixTime> {
        match self.entries.get(&block_name(app, endpoint)) {
            Some(Entry::Block(until)) => Some(*until).filter(|until| *until > now),
            _ => None,
        }
    }

    /// Decides on a forced refresh and remembers it.
    pub(super) fn claim_force(
        &mut self,
        name: String,
        now: UnixTime,
        min_gap: Duration,
        daily: Option<u32>,
    ) -> Claim {
        let stored = match self.entries.get(&name) {
            Some(Entry::Force(force)) => Some(*force),
            _ => None,
        };
        let (claim, remember) = Force::claim(stored, now, min_gap, daily);
        if let Some(force) = remember {
            self.put(name, Entry::Force(force));
        }
        claim
    }

    /// Drops the counts of the days before yesterday and the blocks that are over, once a day.
    fn prune(&mut self, now: UnixTime) -> Vec<String> {
        let today = shanghai_day(now);
        if today <= self.pruned {
            return Vec::new();
        }
        self.pruned = today;
        let over = |entry: &mut Entry| match entry {
            Entry::Calls { day, .. } => *day + 1 < today,
            Entry::Block(until) => *until <= now,
            Entry::Credential(_) | Entry::Force(_) => false,
        };
        self.entries
            .extract_if(|_, entry| over(entry))
            .map(|(name, _)| name)
            .collect()
    }
}
