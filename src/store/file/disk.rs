//! The redb database of the file store: opens, checks and writes it. Blocking.

mod backend;
mod external_change;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableHandle as _,
};

use super::{Batch, Entry, StoreError};
use crate::store::ignored::NoRecord;
use backend::{Backend, guarded};
use external_change::Stamp;

/// An open database, or one that must be reopened because a write failed or another program changed the
/// file.
pub(super) struct Disk {
    /// Absolute.
    pub(super) path: PathBuf,
    open: Option<Open>,
    /// The lock file beside the database; the database file itself cannot hold the lock, because it may be
    /// moved aside. The lock file is never removed, which would be a race.
    lock: File,
    /// A write found that the content of the file is unusable.
    pub(super) broken: bool,
    /// Another process holds the lock, and this has been logged.
    lost: bool,
}

/// A database in use.
struct Open {
    database: Database,
    backend: Backend,
    /// The backend's file, even if its path now belongs to another file.
    file: File,
    /// The file's metadata after the last write.
    stamp: Stamp,
}

impl Disk {
    /// Opens or creates the file and reads all of it. An unreadable file is moved aside.
    pub(super) fn open(path: &Path) -> Result<(Self, HashMap<String, Entry>), StoreError> {
        // The process may change its directory later.
        let path = &std::path::absolute(path).map_err(|error| problem(path, Failure::Io(error)))?;
        // Before the lock file: a wrong path leaves nothing behind.
        is_there(path).map_err(|error| problem(path, Failure::Io(error)))?;
        let lock = lock(path)?;
        let (open, entries) = match read(path) {
            Ok(opened) => opened,
            Err(Failure::Broken(why)) => {
                let aside = move_aside(path).map_err(|error| problem(path, Failure::Io(error)))?;
                tracing::warn!(
                    file = %path.display(), moved_to = %aside.display(), reason = why,
                    "store file is damaged or not a store: moved aside, new file created"
                );
                read(path).map_err(|failure| problem(path, failure))?
            }
            Err(failure) => return Err(problem(path, failure)),
        };
        let disk = Self {
            path: path.to_owned(),
            open: Some(open),
            lock,
            broken: false,
            lost: false,
        };
        Ok((disk, entries))
    }

    /// Writes a batch in one transaction, which is on disk when this returns. A failure closes the
    /// database.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let written = guarded(|| {
            let open = self.open.as_mut().ok_or(redb::Error::DatabaseClosed)?;
            write(&open.database, batch)?;
            open.stamp = Stamp::of(&open.file.metadata().map_err(Failure::Io)?);
            Ok(())
        });
        written.map_err(|failure| {
            self.broken = matches!(failure, Failure::Broken(_));
            self.close();
            problem(&self.path, failure)
        })
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.close();
        }
    }
}

impl Open {
    /// Closes without a final write, as after kill -9. Everything is on disk already, and redb's own
    /// closing would read pages, which may be damaged, in a destructor.
    fn close(self) {
        let Self {
            database,
            backend,
            file,
            stamp: _,
        } = self;
        backend.take_away();
        drop(file);
        let _closed = guarded(|| {
            drop(database);
            Ok(())
        });
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.close();
    }
}

/// Why the database cannot be used.
enum Failure {
    /// The content of the file is torn or belongs to another program.
    Broken(String),
    /// The file itself cannot be read or written.
    Io(io::Error),
    /// Another program has it open.
    Busy,
    /// Any other error; the content of the file is intact.
    Other(String),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
                Self::Broken("not a redb file".to_owned())
            }
            redb::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Self::Broken("the file is truncated".to_owned())
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

/// Opens or creates the file, checks every page, and reads every record. A new file that cannot be
/// initialised is removed: the next start would take it for a damaged one.
fn read(path: &Path) -> Result<(Open, HashMap<String, Entry>), Failure> {
    let existed = path.exists();
    let opened = guarded(|| read_file(path, existed));
    if opened.is_err() && !existed {
        let _removed = fs::remove_file(path);
    }
    opened
}

fn read_file(path: &Path, existed: bool) -> Result<(Open, HashMap<String, Entry>), Failure> {
    let file = open_private(path).map_err(Failure::Io)?;
    if existed && file.metadata().is_ok_and(|file| file.len() == 0) {
        tracing::warn!(file = %path.display(), "store file was empty: initialised");
    }
    let backend = Backend::new(file.try_clone().map_err(Failure::Io)?)?;
    let database = redb::Builder::new()
        .set_cache_size(CACHE)
        .set_check_integrity_on_open(true)
        .create_with_backend(backend.clone())?;
    let reading = database.begin_read()?;
    let tables: Vec<_> = reading.list_tables()?.collect();
    let mut entries = HashMap::new();
    if tables.iter().any(|table| table.name() != TABLE.name()) {
        return Err(Failure::Broken(
            "the database belongs to another program".to_owned(),
        ));
    }
    if !tables.is_empty() {
        for record in reading.open_table(TABLE)?.iter()? {
            let (name, text) = record?;
            match Entry::read(name.value(), text.value()) {
                Ok(entry) => {
                    entries.insert(name.value().to_owned(), entry);
                }
                Err(NoRecord(why)) => {
                    tracing::warn!(file = %path.display(), name = name.value(), reason = why, "stored record ignored")
                }
            }
        }
    }
    let open = Open {
        stamp: Stamp::of(&file.metadata().map_err(Failure::Io)?),
        database,
        backend,
        file,
    };
    Ok((open, entries))
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

/// Opens a file, or creates it with a mode that never allows access by others.
fn open_private(path: &Path) -> io::Result<File> {
    let existed = is_there(path)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.mode(0o600).open(path)?;
    if existed {
        make_private(path, &file)?;
    } else {
        sync_directory(path)?;
    }
    Ok(file)
}

/// Returns whether the file exists. Anything but a regular file is an error, so that no device gets another mode.
fn is_there(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(true),
        Ok(found) if found.is_dir() => Err(ErrorKind::IsADirectory.into()),
        Ok(_) => Err(io::Error::other("not a regular file: choose another file")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes the access rights of others from an existing file.
fn make_private(path: &Path, file: &File) -> io::Result<()> {
    if file.metadata()?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    tracing::warn!(file = %path.display(), "store file was readable by other users: its mode is now 0600");
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

/// Makes the new name of an absolute path durable: syncing the file does not sync its directory.
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(path))?.sync_all()
}

/// Takes the lock on `NAME.lock`. The system releases it when the process ends, however it ends. Retries
/// for a moment: a previous process may still be exiting, and a child process that another thread is just
/// starting holds this process's files until its program runs.
fn lock(path: &Path) -> Result<File, StoreError> {
    let lock = with_suffix(path, ".lock");
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::IsADirectory => problem(&lock, Failure::Other(LOCK_IS_DIRECTORY.to_owned())),
        ErrorKind::PermissionDenied => problem(&lock, Failure::Io(error)),
        _ => problem(path, Failure::Io(error)),
    };
    let file = open_private(&lock).map_err(failed)?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
    Err(StoreError::InUse {
        path: path.display().to_string(),
    })
}

/// Together half a second: longer than starting a program takes, short enough for an operator who waits.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(25);

const LOCK_IS_DIRECTORY: &str = "this is a directory, but has to be the lock file: remove it";

/// Renames the file to the first free `NAME.corrupt-1`, `-2` …; only the holder of the lock does this.
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
        Failure::Broken(why) => format!("damaged: {why}"),
        Failure::Io(error) => match advice(error.kind()) {
            Some(advice) => format!("{error}: {advice}"),
            None => error.to_string(),
        },
    };
    StoreError::Disk { path, problem }
}

fn advice(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::NotFound => "create its directory, or choose another file",
        ErrorKind::PermissionDenied => {
            "grant the user of this process write access to the file and its directory, or choose another file"
        }
        ErrorKind::ReadOnlyFilesystem => "mount it writable, or choose another file",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "the disk is full: free some space"
        }
        ErrorKind::IsADirectory => "this is a directory: choose a file in it",
        _ => return None,
    })
}

/// Maps names to records.
const TABLE: TableDefinition<'_, &str, &str> = TableDefinition::new("wx-jssdk");

/// redb's own cache, in bytes. Small, since everything is read once and then kept in memory.
const CACHE: usize = 1 << 20;
