//! The file as redb uses it, and the panics that redb answers damage with.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Once};

use parking_lot::RwLock;
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use super::Failure;

/// The file as redb sees it, until it is taken away. From then on every operation fails; the file is closed
/// even if redb, after a panic, never closes it.
#[derive(Clone, Debug)]
pub(super) struct Backend(Arc<RwLock<Option<FileBackend>>>);

impl Backend {
    pub(super) fn new(file: File) -> Result<Self, Failure> {
        Ok(Self(Arc::new(RwLock::new(Some(FileBackend::new(file)?)))))
    }

    pub(super) fn take_away(&self) {
        drop(self.0.write().take());
    }

    fn with<T, E: From<io::Error>>(
        &self,
        work: impl FnOnce(&FileBackend) -> Result<T, E>,
    ) -> Result<T, E> {
        match &*self.0.read() {
            Some(file) => work(file),
            None => Err(io::Error::other("the file was closed").into()),
        }
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.with(FileBackend::len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|file| file.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|file| file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(FileBackend::sync_data)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|file| file.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.with(FileBackend::close)
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.with(|file| file.try_lock_range(start, end))
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.with(|file| file.try_lock_shared_range(start, end))
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.with(|file| file.unlock_range(start, end))
    }
}

/// Runs `work` and turns a panic into an error: redb may panic on a file that another program wrote to, and
/// that must not end the process. The panic's own report and backtrace are suppressed, since the caller
/// logs the error; with `panic = "abort"`, the report is all that tells why the process ends.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if cfg!(panic = "abort") || !GUARDED.get() {
                others(panic);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    done.unwrap_or_else(|_| Err(Failure::Broken("redb cannot read it".to_owned())))
}

thread_local! {
    /// Whether this thread is inside [`guarded`].
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}
