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

use parking_lot::Mutex;

use self::disk::Disk;
use super::file_thread::FileThread;
use super::memory::{Batch, Entry, MemoryStore, Records};
use super::{Inner, Store, StoreError};

mod disk;

/// The file of a store.
pub(super) struct FileStore {
    path: PathBuf,
    content: Arc<Content>,
    /// Runs the commits. Changes made during one are written together in the next one.
    thread: FileThread,
    bound: Duration,
}

/// The content in memory and on disk.
struct Content {
    records: Arc<Mutex<Records>>,
    disk: Mutex<Disk>,
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
    pub fn file(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let file = FileStore::open(path.as_ref())?;
        let place = format!("file {}", file.path.display());
        let store = MemoryStore::from(file);
        Ok(Self::new(Inner::Memory(Arc::new(store)), "file", &place))
    }
}

impl From<FileStore> for MemoryStore {
    fn from(file: FileStore) -> Self {
        Self {
            records: Arc::clone(&file.content.records),
            file: Some(file),
        }
    }
}

impl FileStore {
    /// Opens the file, or creates it.
    fn open(path: &Path) -> Result<Self, StoreError> {
        let thread = FileThread::start(&path.display().to_string())?;
        let (disk, entries) = Disk::open(path)?;
        let mut records = Records::default();
        records.entries.extend(entries);
        Ok(Self {
            path: disk.path.clone(),
            content: Arc::new(Content {
                records: Arc::new(Mutex::new(records)),
                disk: Mutex::new(disk),
            }),
            thread,
            bound: BOUND,
        })
    }

    /// Returns when this change is on disk. After a timeout the commit continues in the background, and
    /// callers do not wait for it again.
    pub(super) async fn durable(&self, change: u64) -> Result<(), StoreError> {
        if self.content.records.lock().durable >= change {
            return Ok(());
        }
        let content = Arc::clone(&self.content);
        let commit = self.thread.run(self.bound, move || {
            let is_durable = content.records.lock().durable >= change;
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
        if disk.broken {
            return self.write_to(&mut disk);
        }
        written
    }

    fn write_to(&self, disk: &mut Disk) -> Result<(), StoreError> {
        if disk.reopen_if_changed(|entries| self.records.lock().is_on_disk(entries))? {
            // The content of a reopened file is not trusted.
            self.records.lock().touch_all();
        }
        let (change, batch) = self.records.lock().batch();
        if !batch.is_empty() {
            disk.write(&batch)?;
        }
        self.records.lock().written(change, batch);
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

impl Records {
    /// Whether these entries are exactly the ones that were written.
    fn is_on_disk(&self, entries: &HashMap<String, Entry>) -> bool {
        let others = entries
            .keys()
            .filter(|name| !self.entries.contains_key(*name));
        let names = self.entries.keys().chain(others);
        let mut written = names.filter(|name| !self.dirty.contains_key(*name));
        let text = |entry: Option<&Entry>, name: &str| entry.map(|entry| entry.write(name));
        written.all(|name| text(self.entries.get(name), name) == text(entries.get(name), name))
    }

    fn touch_all(&mut self) {
        let names: Vec<_> = self.entries.keys().cloned().collect();
        self.touch(names);
    }
}

/// Timeout of a change: much longer than a busy disk takes to write it.
const BOUND: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;

    fn open(directory: &tempfile::TempDir) -> FileStore {
        let path = directory.path().join("wx-jssdk.redb");
        let mut file = FileStore::open(&path).unwrap();
        file.bound = Duration::from_millis(20);
        file
    }

    #[tokio::test]
    async fn a_disk_that_hangs_blocks_one_thread_and_no_caller() {
        let directory = tempfile::tempdir().unwrap();
        let file = open(&directory);
        let slow = Err(file.slow());
        let release = file.thread.hang();
        let store = MemoryStore::from(file);
        let check = async || store.change(|_| ((), u64::MAX)).await;
        assert_eq!(check().await, slow);
        for name in ["block:one", "block:two"] {
            let block =
                |records: &mut Records| records.set_block(name.to_owned(), UnixTime(9_000_000_000));
            tokio::select! {
                biased;
                done = store.change(block) => assert_eq!(done, slow),
                () = std::future::ready(()) => panic!("{name} waited for the disk"),
            }
        }
        drop(release);
        while check().await.is_err() {
            tokio::task::yield_now().await;
        }
        let records = store.records.lock();
        assert!(records.dirty.is_empty(), "the changes are on disk");
    }

    #[test]
    fn the_end_of_a_store_does_not_wait_for_a_disk_that_hangs() {
        let directory = tempfile::tempdir().unwrap();
        let file = open(&directory);
        let _hanging = file.thread.hang();
        drop(file);
    }
}
