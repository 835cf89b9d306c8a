//! Accounts that were added while the service runs: documents of the store, among the accounts of the
//! configuration, which win.
//!
//! A change is stored first, then applied here; the other nodes find it in the store within seconds.

mod app_claim;
mod change;
mod record;
mod refill_store;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tracing::{debug, info, warn};

#[cfg(feature = "server")]
pub(crate) use self::change::{ChangeRefused, Changed, Expected};
use self::refill_store::Mark;
use super::accounts::Conflict;
use super::open_platform::record_groups;
use super::{Accounts, Broker, SOON};
use crate::account::Account;
use crate::clock::{Due, per_page};
use crate::credential::Secret;
use crate::error::Error;
use crate::store::{Document, START_TRIES, StoreError};

/// What this process knows of the stored accounts. The store has the truth.
pub(super) struct StoredAccounts {
    /// Whether they are looked for in the store.
    is_on: bool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    accounts: BTreeMap<String, Arc<Account>>,
    /// The version of each, and of those that cannot be read.
    versions: BTreeMap<String, Version>,
    /// The last version of each account whose removal this process has seen.
    removed: BTreeMap<String, Version>,
    /// The state of the store: one with another id, or an earlier state, has lost documents.
    mark: Option<Mark>,
    /// Whether this process has changed the accounts of a store that had lost documents.
    has_lost: bool,
    /// Whether the store's mark lacks a change by this process.
    is_uncounted: bool,
    /// Those that are not used, each logged once.
    conflicts: BTreeMap<String, Conflict>,
    /// Number of changes by this process: a look that a change overtook is out of date.
    changes: u64,
    /// Whether the store was read since a change of unknown outcome.
    is_loaded: bool,
    /// Whether the store was ever read.
    was_loaded: bool,
    /// Whether the last look failed: an outage is logged once.
    is_failing: bool,
    /// When to look again.
    look: Due,
}

/// A version of a stored account. After a failover to an older copy, a number may come again with another text.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    number: u64,
    text_hash: u64,
}

impl Version {
    fn new(number: u64, text: &Secret) -> Self {
        let mut hasher = DefaultHasher::new();
        text.expose().hash(&mut hasher);
        Self {
            number,
            text_hash: hasher.finish(),
        }
    }
}

/// A stored account.
#[derive(Clone, Debug)]
pub(crate) struct StoredAccount {
    /// How often it was changed.
    pub(crate) version: u64,
    /// The account.
    pub(crate) account: Arc<Account>,
}

impl StoredAccounts {
    pub(super) fn new(is_on: bool) -> Self {
        Self {
            is_on,
            known: Mutex::default(),
        }
    }
}

impl Broker {
    /// Returns a stored account as it is now, even if it is not used.
    pub(crate) async fn stored_account(
        &self,
        name: &str,
    ) -> Result<Option<StoredAccount>, StoreError> {
        let found = document_name(name);
        let now = self.inner.clock.now();
        let stored = self.inner.store.load_document(&found, now).await?;
        let stored = stored.filter(is_present).and_then(|stored| {
            let account = Arc::new(record::read(&stored.text)?);
            let version = stored.version;
            Some(StoredAccount { version, account })
        });
        Ok(stored)
    }

    /// Reads the accounts of the store when a service starts, and the records of its platforms. A slow store is asked
    /// again a few times; one that cannot be reached passes.
    pub(crate) async fn load_accounts_at_start(&self) {
        for _ in 0..START_TRIES {
            let Err(StoreError::Slow { .. }) = self.look_for_accounts().await else {
                break;
            };
            self.look_again();
        }
        for _ in 0..START_TRIES {
            let Err(StoreError::Slow { .. }) = self.load_platforms().await else {
                break;
            };
        }
    }

    /// Fails if the store has documents and this process's keys can read not a single one. Called when a service
    /// starts.
    ///
    /// # Errors
    /// A [`StoreError`] that [needs the operator](StoreError::needs_operator).
    pub(crate) async fn check_documents(&self) -> Result<(), StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let accounts = self.inner.accounts.load_full();
        let mut groups = vec![GROUP.to_owned()];
        groups.extend(accounts.platforms().flat_map(|(it, _)| record_groups(it)));
        let mut unreadable = None;
        for group in groups {
            let documents = match store.load_documents(&group, now).await {
                Err(error) if error.needs_operator() => return Err(error),
                Err(_) => return Ok(()),
                Ok(documents) => documents,
            };
            if documents.iter().any(|(_, document)| document.is_some()) {
                return Ok(());
            }
            unreadable = documents.into_iter().next().or(unreadable);
        }
        let Some((name, _)) = unreadable else {
            return Ok(());
        };
        match store.load_document(&name, now).await {
            Err(error) if error.needs_operator() => Err(error),
            _ => Ok(()),
        }
    }

    /// Returns the stored accounts that are not used: another account has their name or app.
    pub(crate) fn ignored_accounts(&self) -> Vec<(String, Arc<Account>)> {
        let known = self.known_accounts();
        let ignored = known.conflicts.keys();
        ignored
            .filter_map(|name| Some((name.clone(), known.accounts.get(name)?.clone())))
            .collect()
    }

    /// Whether the store may have accounts that this process has not read since its start.
    pub(crate) fn awaits_stored_accounts(&self) -> bool {
        self.inner.stored_accounts.is_on && !self.known_accounts().was_loaded
    }

    /// Whether the account with this name may be known later.
    pub(crate) fn awaits_account(&self, name: &str) -> bool {
        matches!(self.entry(name), Err(Error::AccountsNotLoaded { .. }))
    }

    /// Returns when an account that is not known may be, if any are still to be read.
    pub(super) fn wait_for_account(&self, accounts: &Accounts, name: &str) -> Option<Duration> {
        match accounts.platform_in(name) {
            Some((_, state, app_id)) => state.wait_for_authorizer(app_id, self.inner.clock.now()),
            None => self.awaits_stored_accounts().then_some(SOON),
        }
    }

    /// Whether there may be accounts that this process has not read from the store since its start: those that the
    /// admin API keeps there, and those that authorised an open platform.
    pub(crate) fn awaits_accounts(&self) -> bool {
        let accounts = self.inner.accounts.load();
        let mut platforms = accounts.platforms();
        self.awaits_stored_accounts() || platforms.any(|(_, state)| !state.is_loaded())
    }

    /// Reads the stored accounts: once, and again every few seconds if other nodes may change them.
    ///
    /// # Errors
    /// [`StoreError`], which has been logged, if they cannot be read now.
    pub(crate) async fn look_for_accounts(&self) -> Result<(), StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let uptime = self.inner.clock.uptime();
        let (changes, is_loaded) = {
            let mut known = self.known_accounts();
            let may_differ = store.is_shared() || !known.is_loaded;
            let every = per_page(LOOK_EVERY, known.accounts.len());
            let is_on = self.inner.stored_accounts.is_on && may_differ;
            if !is_on || !known.look.take(uptime, every) {
                return Ok(());
            }
            (known.changes, known.is_loaded)
        };
        let documents = async {
            self.restore_lost_accounts().await?;
            let is_uncounted = self.known_accounts().is_uncounted;
            if is_uncounted {
                self.count_change().await;
            }
            let documents = store.load_documents(GROUP, now).await?;
            if !is_loaded {
                self.load_claims(&documents).await?;
            }
            Ok(documents)
        };
        let documents: Result<_, StoreError> = documents.await;
        let mut known = self.known_accounts();
        let was_failing = std::mem::replace(&mut known.is_failing, documents.is_err());
        let documents = match documents {
            Ok(documents) => documents,
            Err(error) => {
                match was_failing {
                    true => debug!(%error, "stored accounts cannot be read"),
                    false => warn!(%error, "stored accounts cannot be read"),
                }
                return Err(error);
            }
        };
        if known.changes != changes {
            known.look.at_once();
            return Ok(());
        }
        (known.is_loaded, known.was_loaded) = (true, true);
        if known.note(&documents) {
            self.merge(&mut known);
        }
        Ok(())
    }

    /// Replaces the accounts by those of a new configuration, with the stored ones. Returns them.
    pub(super) fn replace_accounts(&self, accounts: Accounts, before: &Accounts) -> Arc<Accounts> {
        let mut known = self.known_accounts();
        let (merged, conflicts, has_moved) = accounts.with_stored(&known.accounts, before);
        let merged = Arc::new(merged);
        self.inner.accounts.store(merged.clone());
        self.store_again_if(has_moved);
        known.log_new(conflicts);
        merged
    }

    fn known_accounts(&self) -> MutexGuard<'_, Known> {
        self.inner.stored_accounts.known.lock()
    }

    /// Lets the keeper store what has a new key: a file store is otherwise compared at the start only.
    fn store_again_if(&self, has_moved: bool) {
        if has_moved {
            self.inner.keeper.sync.due.lock().at_once();
        }
    }

    /// Makes the next look read the store: whether a change that failed was stored is not known.
    fn look_again(&self) {
        let mut known = self.known_accounts();
        known.changes += 1;
        known.is_loaded = false;
        known.look.at_once();
    }

    fn change_known(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.known_accounts();
        known.changes += 1;
        change(&mut known);
        self.merge(&mut known);
    }

    /// Brings the accounts up to date. Holds the lock, so that no older state overwrites a newer one.
    fn merge(&self, known: &mut Known) {
        let (mut conflicts, mut has_moved) = (BTreeMap::new(), false);
        let before = self.inner.accounts.rcu(|accounts| {
            let (merged, unused, moved) = accounts.with_stored(&known.accounts, accounts);
            conflicts = unused;
            has_moved |= moved;
            merged
        });
        self.store_again_if(has_moved);
        known.log_new(conflicts);
        self.adopt_accounts(&before);
    }

    /// Brings the credentials up to date with accounts that have just replaced these.
    pub(super) fn adopt_accounts(&self, before: &Accounts) {
        self.restore_values(before);
        let accounts = self.inner.accounts.load_full();
        // After the swap: a refresh with the old secret that fails meanwhile either sees the new account,
        // or its failure is cleared here.
        accounts.apply_changes(before, self.inner.clock.now());
        if accounts.has_new_app(before) {
            *self.inner.app_added_at.lock() = self.inner.clock.uptime();
        }
    }

    /// Returns the uptime when an app was last added: it has no credential yet.
    pub(crate) fn app_added_at(&self) -> Duration {
        *self.inner.app_added_at.lock()
    }
}

impl Known {
    /// Takes note of all documents of the store. Returns whether one differs from what was known. What is known of
    /// one that this process has no key for stays.
    fn note(&mut self, documents: &[(String, Option<Document>)]) -> bool {
        let mut accounts = BTreeMap::new();
        let mut versions = BTreeMap::new();
        for (document, stored) in documents {
            let name = document
                .strip_prefix(GROUP)
                .and_then(|rest| rest.strip_prefix(':'));
            let Some(name) = name.filter(|_| stored.as_ref().is_none_or(is_present)) else {
                continue;
            };
            let known = self.versions.get(name).copied();
            let new = stored.as_ref().map(|it| Version::new(it.version, &it.text));
            let version = new.or(known);
            versions.extend(version.map(|version| (name.to_owned(), version)));
            let account = match stored {
                Some(stored) if version != known => {
                    let account = record::read(&stored.text).map(Arc::new);
                    if account.is_none() {
                        warn!(account = name, "stored account ignored: it cannot be read");
                    }
                    account
                }
                _ => self.accounts.get(name).cloned(),
            };
            accounts.extend(account.map(|account| (name.to_owned(), account)));
        }
        let is_gone = |name: &&String| !versions.contains_key(*name);
        let mut gone = self.accounts.keys().filter(is_gone);
        if let Some(first) = gone.next() {
            let accounts = 1 + gone.count();
            info!(
                account = first,
                accounts, "stored accounts are no longer in the store: no longer used"
            );
        }
        for (name, version) in &self.versions {
            self.removed.insert(name.clone(), *version);
        }
        self.removed.retain(|name, _| !versions.contains_key(name));
        let is_new = versions != self.versions;
        (self.accounts, self.versions) = (accounts, versions);
        is_new
    }

    /// Forgets other accounts of this app, which has just been claimed for `name`: another node has removed them, or
    /// given them another app. The next look reads those that are still stored.
    fn forget_same_app(&mut self, name: &str, account: &Account) {
        let app = account.app_identity();
        let accounts = self.accounts.iter();
        let same = accounts.filter(|(other, it)| *other != name && it.app_identity() == app);
        let same: Vec<_> = same.map(|(other, _)| other.clone()).collect();
        for other in same {
            self.accounts.remove(&other);
            if let Some(version) = self.versions.remove(&other) {
                self.removed.insert(other, version);
            }
        }
    }

    /// Notes the accounts that are not used, and logs those that were.
    fn log_new(&mut self, conflicts: BTreeMap<String, Conflict>) {
        for (name, conflict) in &conflicts {
            if self.conflicts.get(name) == Some(conflict) {
                continue;
            }
            let Some(account) = self.accounts.get(name) else {
                continue;
            };
            let error = conflict.error(name, account);
            warn!(
                account = name,
                %error,
                "stored account ignored: another account is used instead"
            );
        }
        self.conflicts = conflicts;
    }
}

/// Whether the document has an account. An empty text is a removal by a node with a fast clock.
fn is_present(document: &Document) -> bool {
    !document.text.expose().is_empty()
}

fn document_name(name: &str) -> String {
    format!("{GROUP}:{name}")
}

/// The group of the documents.
const GROUP: &str = "account";

/// Interval between two looks into a shared store, per page of accounts.
const LOOK_EVERY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
