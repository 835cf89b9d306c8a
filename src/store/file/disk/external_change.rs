//! Guards the file against other programs: one that is deleted, replaced, truncated or damaged while this
//! process uses it is written again from memory.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;

use super::{Disk, Entry, Failure, Open, StoreError, lock, move_aside, problem, read, with_suffix};

impl Disk {
    /// Checks that this process still holds the lock and that the file is unchanged. If the file changed,
    /// `is_ours` tells whether its entries are still the records that were written. Returns whether the
    /// file had to be reopened, so that everything must be written again.
    pub(in crate::store::file) fn reopen_if_changed(
        &mut self,
        is_ours: impl FnOnce(&HashMap<String, Entry>) -> bool,
    ) -> Result<bool, StoreError> {
        self.keep_lock()?;
        let path = self.path.clone();
        let failed = |failure| problem(&path, failure);
        let change = self.change().map_err(Failure::Io).map_err(failed)?;
        if self.open.is_some() && change.is_none() {
            return Ok(false);
        }
        self.close();
        let what = match change {
            _ if self.broken => DAMAGED,
            Some(change @ (DELETED | CUT)) => change,
            // The same records in another file are harmless: a filesystem without stable inodes looks like
            // that.
            change => match read(&path) {
                Ok((open, entries)) if change.is_none() || is_ours(&entries) => {
                    self.open = Some(open);
                    return Ok(true);
                }
                Ok((open, _)) => {
                    open.close();
                    change.unwrap_or(DAMAGED)
                }
                Err(Failure::Broken(_)) => match change {
                    Some(REPLACED) => REPLACED,
                    _ => DAMAGED,
                },
                Err(failure) => return Err(failed(failure)),
            },
        };
        let moved_to = match path.try_exists() {
            Ok(true) => Some(move_aside(&path).map_err(Failure::Io).map_err(failed)?),
            Ok(false) => None,
            Err(error) => return Err(failed(Failure::Io(error))),
        };
        self.open = Some(read(&path).map_err(failed)?.0);
        self.broken = false;
        tracing::warn!(
            file = %path.display(),
            change = what,
            moved_to = moved_to.map(|aside| aside.display().to_string()),
            "store file changed by another program: written again from memory"
        );
        Ok(true)
    }

    /// Returns what another program did to the file since the last write.
    fn change(&self) -> io::Result<Option<Change>> {
        let Some(Open { stamp: before, .. }) = &self.open else {
            return Ok(None);
        };
        let now = match fs::metadata(&self.path) {
            Ok(found) => Stamp::of(&found),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(DELETED)),
            Err(error) => return Err(error),
        };
        Ok(if now == *before {
            None
        } else if now.file != before.file {
            Some(REPLACED)
        } else if now.length < before.length {
            Some(CUT)
        } else {
            Some(WRITTEN)
        })
    }

    /// Takes the lock again if the lock file was deleted: another process could lock a new file of the same
    /// name.
    fn keep_lock(&mut self) -> Result<(), StoreError> {
        let path = with_suffix(&self.path, ".lock");
        let ours = self.lock.metadata().map(|held| Stamp::of(&held).file);
        let there = fs::metadata(&path).map(|found| Stamp::of(&found).file);
        if let (Ok(ours), Ok(there)) = (&ours, &there)
            && ours == there
        {
            return Ok(());
        }
        match lock(&self.path) {
            Ok(lock) => {
                (self.lock, self.lost) = (lock, false);
                Ok(())
            }
            Err(error) => {
                self.close();
                let is_held = matches!(error, StoreError::InUse { .. });
                if is_held && !std::mem::replace(&mut self.lost, true) {
                    tracing::warn!(
                        file = %self.path.display(), %error,
                        "store lock was deleted and is now held by another process: credentials are kept in memory only"
                    );
                }
                Err(error)
            }
        }
    }
}

/// Identifies a version of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Device and inode.
    file: (u64, u64),
    length: u64,
    /// Seconds and nanoseconds of the last write.
    written: (i64, i64),
}

impl Stamp {
    pub(super) fn of(found: &fs::Metadata) -> Self {
        Self {
            file: (found.dev(), found.ino()),
            length: found.len(),
            written: (found.mtime(), found.mtime_nsec()),
        }
    }
}

/// What another program did to the file, in the word of the log line.
type Change = &'static str;

const DELETED: Change = "deleted";
const REPLACED: Change = "replaced";
const CUT: Change = "truncated";
/// Possibly without harm.
const WRITTEN: Change = "written";
const DAMAGED: Change = "damaged";
