//! Reads regular files only: opening a FIFO without a writer would block for ever.

use std::io;
use std::path::Path;

use crate::error::Text;

/// Reads the file, to which a symbolic link may lead.
///
/// # Errors
/// Says why the file cannot be read.
pub(super) fn read<'a, T>(
    path: &'a Path,
    read: impl FnOnce(&'a Path) -> io::Result<T>,
) -> Result<T, Text> {
    let failed = |error: io::Error| Text::owned(error.to_string(), error.to_string());
    let found = path.metadata().map_err(failed)?;
    // Reading a directory fails by itself.
    if found.is_file() || found.is_dir() {
        read(path).map_err(failed)
    } else {
        Err(Text::new("it is not a regular file", "不是普通文件"))
    }
}
