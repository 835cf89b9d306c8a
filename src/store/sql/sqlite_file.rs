//! SQLite's file, beside its connection. It is accessed on a thread of its own, since its disk may hang.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::time::Duration;

use crate::store::StoreError;
use crate::store::file_thread::FileThread;

/// The file.
pub(super) struct SqliteFile {
    path: String,
    thread: FileThread,
}

/// Device and inode.
pub(super) type FileId = (u64, u64);

impl SqliteFile {
    pub(super) fn new(path: String, place: &str) -> Result<Self, StoreError> {
        let thread = FileThread::start(place)?;
        Ok(Self { path, thread })
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Creates the file for this user only, because it will hold secrets. SQLite gives its other files the same
    /// mode, and reports what fails here when it opens the file. `None` after `limit`.
    pub(super) async fn create_private(&self, limit: Duration) -> Option<()> {
        let path = self.path.clone();
        let create = move || {
            let mut options = OpenOptions::new();
            options.create_new(true).write(true).mode(0o600);
            drop(options.open(path));
        };
        self.thread.run(limit, create).await
    }

    /// Returns which file has the path now; `None` after `limit`.
    pub(super) async fn id(&self, limit: Duration) -> Option<io::Result<FileId>> {
        let path = self.path.clone();
        let look = move || fs::metadata(path).map(|found| (found.dev(), found.ino()));
        self.thread.run(limit, look).await
    }

    /// Makes the disk hang until the sender is dropped.
    #[cfg(test)]
    pub(super) fn hang(&self) -> std::sync::mpsc::Sender<()> {
        self.thread.hang()
    }
}
