//! The redb database under the file store: opened, checked, written. Blocking.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableHandle as _,
};

use super::{Batch, Entry, StoreError};

/// An open database, or one that must be opened anew because a write failed.
pub(super) struct Disk {
    path: PathBuf,
    database: Option<Database>,
    /// Beside the file, because a file that is moved aside takes its own lock with it. Never removed: that would be a race.
    _lock: File,
}

impl Disk {
    /// Opens or makes the file and reads all of it. What cannot be read is moved aside.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<(String, Entry)>), StoreError> {
        let lock = lock(path)?;
        let (database, entries) = open_or_rebuild(path)?;
        Ok((
            Self {
                path: path.to_owned(),
                database: Some(database),
                _lock: lock,
            },
            entries,
        ))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.database.is_none()
    }

    /// Opens again after a failed write.
    pub(super) fn reopen(&mut self) -> Result<(), StoreError> {
        self.database = Some(open_or_rebuild(&self.path)?.0);
        Ok(())
    }

    /// Writes a batch in one transaction; it is on disk when this returns. A failure closes the database.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let Some(database) = self.database.take() else {
            return Err(problem(
                &self.path,
                Failure::Other("the database is closed".to_owned()),
            ));
        };
        match guarded(|| write(&database, batch)) {
            Ok(()) => {
                self.database = Some(database);
                Ok(())
            }
            Err(failure) => {
                // Closing writes too, and may fail the same way.
                let _closed = guarded(|| {
                    drop(database);
                    Ok(())
                });
                Err(problem(&self.path, failure))
            }
        }
    }
}

/// Why the database cannot be used.
enum Failure {
    /// What is in the file is torn, or is not ours.
    Broken(String),
    /// The file itself cannot be read or written.
    Io(io::Error),
    /// Another program has it open.
    Busy,
    /// None of these: nothing is wrong with what is in the file.
    Other(String),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
                Self::Broken("it is not a redb file".to_owned())
            }
            redb::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Self::Broken("its end is missing".to_owned())
            }
            redb::Error::Io(error) => Self::Io(error),
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Busy,
            error @ (redb::Error::PreviousIo
            | redb::Error::LockPoisoned(_)
            | redb::Error::DatabaseClosed
            | redb::Error::TransactionInProgress) => Self::Other(error.to_string()),
            error => Self::Broken(error.to_string()),
        }
    }
}

/// redb may panic on a file that something else wrote into; that must not take the process with it.
fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Failure::Broken(
            "redb could not make sense of it".to_owned(),
        ))
    })
}

fn open_or_rebuild(path: &Path) -> Result<(Database, Vec<(String, Entry)>), StoreError> {
    match guarded(|| read(path)) {
        Ok(opened) => Ok(opened),
        Err(Failure::Broken(why)) => {
            let aside = move_aside(path).map_err(|error| problem(path, Failure::Io(error)))?;
            tracing::warn!(
                file = %path.display(), moved_to = %aside.display(), %why,
                "the store's file was torn or is not a store: it was moved aside and a new one begun; credentials are fetched anew"
            );
            guarded(|| read(path)).map_err(|failure| problem(path, failure))
        }
        Err(failure) => Err(problem(path, failure)),
    }
}

/// Opens, checks every page, and reads every record.
fn read(path: &Path) -> Result<(Database, Vec<(String, Entry)>), Failure> {
    let existed = path.exists();
    let file = open_private(path).map_err(Failure::Io)?;
    if existed && file.metadata().is_ok_and(|file| file.len() == 0) {
        tracing::warn!(file = %path.display(), "the store's file was empty: begun anew");
    }
    let database = redb::Builder::new()
        .set_cache_size(CACHE)
        .set_check_integrity_on_open(true)
        .create_with_backend(FileBackend::new(file)?)?;
    let reading = database.begin_read()?;
    let names: Vec<_> = reading
        .list_tables()?
        .map(|table| table.name().to_owned())
        .collect();
    let mut entries = Vec::new();
    if names.iter().any(|name| name != TABLE.name()) {
        return Err(Failure::Broken(
            "it is the database of another program".to_owned(),
        ));
    }
    if !names.is_empty() {
        for record in reading.open_table(TABLE)?.iter()? {
            let (name, text) = record?;
            match Entry::read(name.value(), text.value()) {
                Some(entry) => entries.push((name.value().to_owned(), entry)),
                None => {
                    tracing::error!(file = %path.display(), name = name.value(), "a record cannot be read: left out")
                }
            }
        }
    }
    Ok((database, entries))
}

fn write(database: &Database, batch: &Batch) -> Result<(), Failure> {
    let writing = database.begin_write()?;
    {
        let mut table = writing.open_table(TABLE)?;
        for (name, entry) in batch {
            match entry {
                Some(entry) => table.insert(name.as_str(), entry.write(name).as_str())?,
                None => table.remove(name.as_str())?,
            };
        }
    }
    Ok(writing.commit()?)
}

/// Opens or makes a file that nobody else may read, not even for an instant.
fn open_private(path: &Path) -> io::Result<File> {
    let existed = path.try_exists()?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    if existed {
        make_private(path, &file)?;
    } else {
        sync_directory(path)?;
    }
    Ok(file)
}

/// Takes the rights of others away from a file that came from elsewhere.
#[cfg(unix)]
fn make_private(path: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if file.metadata()?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    tracing::warn!(file = %path.display(), "the store's file could be read by others: its mode is now 0600");
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn make_private(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

/// Makes a new name durable: the file's own sync does not cover its directory.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The lock on `NAME.lock`: the system drops it when the process ends, however it ends. It is waited for a moment: a predecessor may
/// be on its way out, and a program that another thread is just starting holds this process's files until it runs.
fn lock(path: &Path) -> Result<File, StoreError> {
    let file = open_private(&with_suffix(path, ".lock"))
        .map_err(|error| problem(path, Failure::Io(error)))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(problem(path, Failure::Io(error))),
        }
    }
    Err(StoreError::InUse {
        path: path.display().to_string(),
    })
}

/// Together half a second: longer than any start of a program, shorter than a person's patience.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(25);

/// Renames to the first free `NAME.corrupt-1`, `-2` …; only the holder of the lock does this.
fn move_aside(path: &Path) -> io::Result<PathBuf> {
    for number in 1_u32.. {
        let aside = with_suffix(path, &format!(".corrupt-{number}"));
        if !aside.try_exists()? {
            fs::rename(path, &aside)?;
            sync_directory(path)?;
            return Ok(aside);
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn problem(path: &Path, failure: Failure) -> StoreError {
    let path = path.display().to_string();
    let problem = match failure {
        Failure::Busy => return StoreError::InUse { path },
        Failure::Other(why) => why,
        Failure::Broken(why) => format!("it is broken: {why}"),
        Failure::Io(error) => match advice(error.kind()) {
            Some(advice) => format!("{error}: {advice}"),
            None => error.to_string(),
        },
    };
    StoreError::Disk { path, problem }
}

fn advice(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::NotFound => "make its directory, or change store.path",
        ErrorKind::PermissionDenied => {
            "let the user that runs wx-jssdk write the file and its directory, or change store.path"
        }
        ErrorKind::ReadOnlyFilesystem => "mount it writable, or change store.path",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "the disk is full: make room; until then credentials live in memory only"
        }
        ErrorKind::IsADirectory => "this is a directory: name a file in it",
        _ => return None,
    })
}

/// Name to record.
const TABLE: TableDefinition<'_, &str, &str> = TableDefinition::new("wx-jssdk");

/// redb's own cache, in bytes. Small: everything is read once, into memory of our own.
const CACHE: usize = 1 << 20;
