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
    let failed = |error: io::Error| reason(&error);
    let found = path.metadata().map_err(failed)?;
    // Reading a directory fails by itself.
    if found.is_file() || found.is_dir() {
        read(path).map_err(failed)
    } else {
        Err(Text::new("it is not a regular file", "不是普通文件"))
    }
}

/// Returns why a file cannot be read.
pub(crate) fn reason(error: &io::Error) -> Text {
    let zh = match error.kind() {
        // Of a text; the editors of Windows also save GBK and UTF-16.
        io::ErrorKind::InvalidData => {
            return Text::new(
                "it is not UTF-8 text: save it as UTF-8",
                "不是 UTF-8 编码，请另存为 UTF-8",
            );
        }
        io::ErrorKind::NotFound => "文件不存在".to_owned(),
        io::ErrorKind::PermissionDenied => "没有读取权限".to_owned(),
        io::ErrorKind::IsADirectory => "是目录，不是文件".to_owned(),
        _ => error.to_string(),
    };
    Text::owned(error.to_string(), zh)
}
