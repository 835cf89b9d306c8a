//! The file store: durable, for one process. A redb database that is also held in memory, so that only
//! writes access the disk.
//!
//! Acknowledged changes are on disk. Readers see a credential only after it is on disk, so that none is
//! handed out that a crash could lose. A file that cannot be read completely is moved aside and reported;
//! one that another program deletes, replaces or damages while this process runs is rewritten from memory.
//! A file in use by another process is left alone. The values are secrets, protected only by the file's
//! mode (0600).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use self::disk::Disk;
use super::file_thread::FileThread;
use super::memory::{Entry, Records};
use super::{Claim, Document, EncryptionKeys, Inner, Saved, Store, StoreError};
use crate::clock::UnixTime;
use crate::credential::Credential;

mod disk;

/// The file store.
pub(super) struct FileStore {
    path: PathBuf,
    content: Arc<Content>,
    /// Runs the commits. Changes made during one are written together in the next one.
    thread: FileThread,
    bound: Duration,
}

/// The content in memory and on disk.
struct Content {
    state: Mutex<State>,
    disk: Mutex<Disk>,
}

/// The content in memory, and how much of it is on disk.
#[derive(Default)]
struct State {
    records: Records,
    /// Credentials that are not on disk yet, and therefore not visible to readers.
    pending: HashMap<String, Credential>,
    /// Names to write, each with the number of the change.
    dirty: HashMap<String, u64>,
    /// Number of the last change.
    changed: u64,
    /// Number of the last change that is on disk.
    durable: u64,
}

impl Store {
    /// Opens a durable store in a file, for one process. Creates the file with mode 0600 if needed;
    /// `NAME.lock` is created beside it. A relative path is the same file even if the process changes its
    /// directory later.
    ///
    /// A change that is not on disk within 5 s fails, and is written as soon as the disk answers. The runtime
    /// needs timers ([`enable_time`](tokio::runtime::Builder::enable_time)).
    ///
    /// A torn file, or one that is not a store, is moved to `NAME.corrupt-1` (`-2` …) with a warning and
    /// replaced by a new one.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another process or another store uses it, [`StoreError::Disk`] if it cannot be read or
    /// written, [`StoreError::NoThread`] if the thread that writes it cannot be started.
    pub fn file(path: impl AsRef<std::path::Path>) -> Result<Self, StoreError> {
        let file = FileStore::open(path.as_ref())?;
        let place = format!("file {}", file.path.display());
        Ok(Self::new(Inner::File(Arc::new(file)), "file", &place))
    }
}

impl FileStore {
    /// Opens the file, or creates it.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let thread = FileThread::start(&path.display().to_string())?;
        let (disk, entries) = Disk::open(path)?;
        let mut state = State::default();
        for (name, entry) in entries {
            state.records.put(name, entry);
        }
        Ok(Self {
            path: disk.path.clone(),
            content: Arc::new(Content {
                state: Mutex::new(state),
                disk: Mutex::new(disk),
            }),
            thread,
            bound: BOUND,
        })
    }

    pub(super) fn load(&self, name: &str) -> Option<Credential> {
        self.state().records.load(name).cloned()
    }

    pub(super) async fn save(
        &self,
        name: String,
        credential: &Credential,
        outdated: Option<&Credential>,
        keys: &EncryptionKeys,
    ) -> Result<Saved, StoreError> {
        self.change(|state| state.save(name, credential, outdated, keys))
            .await
    }

    /// Returns a document when it is on disk.
    pub(super) async fn document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        self.change(|state| (state.records.document(name).cloned(), state.change_of(name)))
            .await
    }

    /// Returns the documents of a group when they are on disk.
    pub(super) async fn documents(
        &self,
        group: &str,
    ) -> Result<Vec<(String, Document)>, StoreError> {
        self.change(|state| {
            let documents = state.records.documents(group);
            let changes = documents.iter().map(|(name, _)| state.change_of(name));
            let change = changes.max().unwrap_or(0);
            (documents, change)
        })
        .await
    }

    pub(super) async fn save_document(
        &self,
        name: &str,
        document: &Document,
    ) -> Result<Result<(), Option<Document>>, StoreError> {
        self.change(|state| {
            let saved = state.records.save_document(name, document);
            let change = match saved {
                Ok(()) => state.touch([name.to_owned()]),
                Err(_) => state.change_of(name),
            };
            (saved, change)
        })
        .await
    }

    pub(super) async fn count_call(&self, name: String, now: UnixTime) -> Result<u64, StoreError> {
        self.change(|state| {
            let (count, touched) = state.records.count_call(name, now);
            (count, state.touch(touched))
        })
        .await
    }

    pub(super) fn numbers(&self, names: &[String]) -> Vec<Option<u64>> {
        self.state().records.numbers(names)
    }

    pub(super) async fn set_block(&self, name: String, until: UnixTime) -> Result<(), StoreError> {
        self.change(|state| {
            state.records.put(name.clone(), Entry::Block(until));
            ((), state.touch([name]))
        })
        .await
    }

    pub(super) async fn claim_refresh(
        &self,
        name: String,
        now: UnixTime,
        min_gap: Duration,
        daily: Option<u32>,
    ) -> Result<Claim, StoreError> {
        self.change(|state| {
            let claim = state
                .records
                .claim_refresh(name.clone(), now, min_gap, daily);
            let change = match claim {
                Claim::Granted => state.touch([name]),
                Claim::TooSoon { .. } | Claim::SpentToday { .. } => 0,
            };
            (claim, change)
        })
        .await
    }

    /// Checks that the file is still there and complete; rewrites it if not.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        // No change has this number, so none makes the check unnecessary.
        self.durable(u64::MAX).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.content.state.lock()
    }

    /// Does work on the state. Returns its result when the change that it names is on disk.
    async fn change<T>(&self, work: impl FnOnce(&mut State) -> (T, u64)) -> Result<T, StoreError> {
        let (done, change) = work(&mut self.state());
        self.durable(change).await.map(|()| done)
    }

    /// Returns when this change is on disk. After a timeout the commit continues in the background, and
    /// callers do not wait for it again.
    async fn durable(&self, change: u64) -> Result<(), StoreError> {
        if self.state().durable >= change {
            return Ok(());
        }
        let content = Arc::clone(&self.content);
        let commit = self.thread.run(self.bound, move || {
            let is_durable = content.state.lock().durable >= change;
            if is_durable { Ok(()) } else { content.commit() }
        });
        commit.await.unwrap_or_else(|| Err(self.slow()))
    }

    fn slow(&self) -> StoreError {
        StoreError::Slow {
            place: self.path.display().to_string(),
            within: self.bound,
        }
    }
}

impl Content {
    /// Writes all changes that are not on disk yet in one transaction, or everything if the file has been
    /// changed. Failed writes are retried with the next commit.
    fn commit(&self) -> Result<(), StoreError> {
        let mut disk = self.disk.lock();
        let written = self.write_to(&mut disk);
        // A write may reveal damage. Then write once more, into a new file.
        if disk.is_broken() {
            return self.write_to(&mut disk);
        }
        written
    }

    fn write_to(&self, disk: &mut Disk) -> Result<(), StoreError> {
        if disk.reopen_if_changed(|entries| self.state.lock().is_on_disk(entries))? {
            // The content of a reopened file is not trusted.
            self.state.lock().touch_all();
        }
        let (change, batch) = self.state.lock().batch();
        if !batch.is_empty() {
            disk.write(&batch)?;
        }
        self.state.lock().written(change, batch);
        Ok(())
    }
}

/// Repairs the file before the process ends, if it was changed since the last check. A disk that hangs is not waited for
/// any longer than in a change.
impl Drop for FileStore {
    fn drop(&mut self) {
        let content = Arc::clone(&self.content);
        self.thread.run_blocking(self.bound, move || {
            let _ = content.commit(); // an error has been logged already
        });
    }
}

/// Names with the entries to write; `None` removes.
type Batch = Vec<(String, Option<Entry>)>;

impl State {
    /// Compares with the newest credential, whether on disk or pending; `outdated` is replaced in any case.
    /// Returns the change to wait for.
    fn save(
        &mut self,
        name: String,
        credential: &Credential,
        outdated: Option<&Credential>,
        keys: &EncryptionKeys,
    ) -> (Saved, u64) {
        let pending = self.pending.get(&name);
        // Another caller's commit may write a pending credential, but it is not durable before that, so
        // wait for it too.
        let wait = pending.map_or(0, |_| self.changed);
        match pending.or_else(|| self.records.load(&name)) {
            Some(newest) if newest == credential => (Saved::Stored, wait),
            Some(newest)
                if Some(newest) != outdated
                    && (!credential.replaces(newest) || keys.protect(newest, credential)) =>
            {
                (Saved::Newer(newest.clone()), wait)
            }
            _ => {
                self.pending.insert(name.clone(), credential.clone());
                (Saved::Stored, self.touch([name]))
            }
        }
    }

    /// Marks names as dirty and returns the number of this change.
    fn touch(&mut self, names: impl IntoIterator<Item = String>) -> u64 {
        self.changed += 1;
        self.dirty
            .extend(names.into_iter().map(|name| (name, self.changed)));
        self.changed
    }

    /// Returns the last change of an entry that is not on disk, 0 if there is no such change.
    fn change_of(&self, name: &str) -> u64 {
        self.dirty.get(name).copied().unwrap_or(0)
    }

    /// Whether these entries are exactly the ones that were written.
    fn is_on_disk(&self, entries: &[(String, Entry)]) -> bool {
        let written = self
            .records
            .names()
            .filter(|name| !self.dirty.contains_key(*name))
            .count();
        let known = entries
            .iter()
            .filter(|(name, _)| !self.dirty.contains_key(name));
        let mut count = 0;
        for (name, entry) in known {
            let ours = self.records.get(name).map(|ours| ours.write(name));
            if ours != Some(entry.write(name)) {
                return false;
            }
            count += 1;
        }
        count == written
    }

    fn touch_all(&mut self) {
        let names: Vec<_> = self.records.names().cloned().collect();
        self.touch(names);
    }

    fn batch(&self) -> (u64, Batch) {
        let entry = |name: &String| match self.pending.get(name) {
            Some(credential) => Some(Entry::Credential(credential.clone())),
            None => self.records.get(name).cloned(),
        };
        (
            self.changed,
            self.dirty
                .keys()
                .map(|name| (name.clone(), entry(name)))
                .collect(),
        )
    }

    /// Marks a batch as durable, and makes its credentials visible to readers.
    fn written(&mut self, change: u64, batch: Batch) {
        self.dirty.retain(|_, changed| *changed > change);
        self.durable = self.durable.max(change);
        for (name, entry) in batch {
            if let Some(Entry::Credential(credential)) = entry {
                if self.pending.get(&name) == Some(&credential) {
                    self.pending.remove(&name);
                }
                self.records.put(name, Entry::Credential(credential));
            }
        }
    }
}

/// Timeout of a change: much longer than a busy disk takes to write it.
const BOUND: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn open(directory: &tempfile::TempDir) -> FileStore {
        let mut file = FileStore::open(&directory.path().join("wx-jssdk.redb")).unwrap();
        file.bound = Duration::from_millis(20);
        file
    }

    #[tokio::test]
    async fn a_disk_that_hangs_blocks_one_thread_and_no_caller() {
        let directory = tempfile::tempdir().unwrap();
        let file = open(&directory);
        let slow = Err(file.slow());
        let release = file.thread.hang();
        assert_eq!(file.ping().await, slow);
        for name in ["block:one", "block:two"] {
            tokio::select! {
                biased;
                done = file.set_block(name.to_owned(), UnixTime(9_000_000_000)) => assert_eq!(done, slow),
                () = std::future::ready(()) => panic!("{name} waited for the disk"),
            }
        }
        drop(release);
        while file.ping().await.is_err() {
            tokio::task::yield_now().await;
        }
        assert!(file.state().dirty.is_empty(), "the changes are on disk");
    }

    #[test]
    fn the_end_of_a_store_does_not_wait_for_a_disk_that_hangs() {
        let directory = tempfile::tempdir().unwrap();
        let file = open(&directory);
        let _hanging = file.thread.hang();
        drop(file);
    }
}
