//! Errors of the stores.

use std::time::Duration;

use crate::error::Text;

/// What can be wrong with the tables of a database. The words also select the advice in Chinese.
#[cfg_attr(not(feature = "sql"), allow(dead_code))]
pub(crate) mod table_problem {
    pub(crate) const NEWER: &str = "upgrade this program";
    pub(crate) const OTHER_COLUMNS: &str = "a table has other columns than `wx-jssdk store schema` lists: drop it, or choose another store.table_prefix";
    pub(crate) const NO_SEARCH_PATH: &str =
        "the schema of the search path does not exist: create it";
    pub(crate) const NOT_ALLOWED: &str = "the user may not create or use the tables: have an administrator run the output of `wx-jssdk store schema` and grant SELECT, INSERT, UPDATE and DELETE";
}

/// Why a store cannot be opened or used. Contains no value and no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process, or another store of this one, uses the file.
    #[error("{path}: in use by another process, or by another Store of this one")]
    InUse {
        /// The file.
        path: String,
    },
    /// The file cannot be read or written.
    #[error("{path}: {problem}")]
    Disk {
        /// The file.
        path: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The thread that reads and writes the store's file cannot be started.
    #[error(
        "{place}: its thread cannot be started: {problem}: raise the limit of threads (systemd: TasksMax, containers: --pids-limit, shells: ulimit -u)"
    )]
    NoThread {
        /// The store.
        place: String,
        /// The system's error.
        problem: String,
    },
    /// The store's address is invalid.
    #[error("invalid store address: {}", .problem.en)]
    Address {
        /// What is wrong, and what to write.
        problem: Text,
    },
    /// A server or a disk did not answer in time.
    #[error("{place} did not answer within {} ms", .within.as_millis())]
    Slow {
        /// The server or the file.
        place: String,
        /// How long the store was waited for.
        within: Duration,
    },
    /// A server cannot be reached, or refuses the operation.
    #[error("{place}: {problem}")]
    Unavailable {
        /// The server.
        place: String,
        /// The error that it reported.
        problem: String,
    },
    /// The tables cannot be created or used.
    #[error("{place}: {problem}")]
    Schema {
        /// The database.
        place: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A document does not fit into every kind of store.
    #[error("{name} is longer than a store keeps")]
    TooLong {
        /// The name of its entry.
        name: String,
    },
    /// The stored values are encrypted with a key that this process does not have, or not encrypted although it
    /// has one.
    #[error("{place}: the stored values are {}", other_key(key.as_deref()))]
    OtherKey {
        /// The store.
        place: String,
        /// The ID of the key, if they are encrypted.
        key: Option<String>,
    },
}

impl StoreError {
    /// Whether it lasts until a person changes something.
    pub fn needs_operator(&self) -> bool {
        matches!(self, Self::OtherKey { .. } | Self::Schema { .. })
    }
}

/// Refuses an option of an address that is not a known one. Drivers ignore unknown options, so a misspelt one would
/// leave TLS off, or log their values. The message names the option only if it cannot be part of a password; otherwise
/// it is `how`, which says how to write an address. `known` lists the options, with commas.
#[cfg_attr(not(feature = "shared-store"), allow(dead_code))]
pub(super) fn check_options(address: &str, known: &str, how: Text) -> Result<(), StoreError> {
    let (_, rest) = address.split_once('?').unwrap_or_default();
    let query = rest.split('#').next().unwrap_or_default();
    // Without options, the list has an empty one.
    let is_known = |name: &str| {
        let mut known = known.split(", ").filter(|known| !known.is_empty());
        known.any(|known| known == name || (known == "options" && name.starts_with("options[")))
    };
    let mut options = url::form_urlencoded::parse(query.as_bytes());
    let Some((name, value)) = options.find(|(name, _)| !is_known(name)) else {
        return Ok(());
    };
    // The question mark may be part of a password that is not percent-encoded.
    if rest.contains('@') {
        return Err(refuse(how));
    }
    let is_word = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let (which_en, which_zh) = if is_word && !value.is_empty() {
        (
            format!("the option \"{name}\" is unknown"),
            format!("选项“{name}”未知"),
        )
    } else {
        (
            "an option after the question mark is unknown".to_owned(),
            "问号之后的选项未知".to_owned(),
        )
    };
    Err(refuse(match known {
        "" => Text::owned(
            format!("{which_en}: remove it"),
            format!("{which_zh}：请删除"),
        ),
        _ => Text::owned(
            format!("{which_en}; known options: {known}"),
            format!("{which_zh}；可用的选项：{known}"),
        ),
    }))
}

/// Returns an error that says what to write, and never what was written, which may contain a password.
#[cfg_attr(not(feature = "shared-store"), allow(dead_code))]
pub(super) fn refuse(problem: Text) -> StoreError {
    StoreError::Address { problem }
}

fn other_key(key: Option<&str>) -> String {
    match key {
        Some(key) => format!(
            "encrypted with key {key}, which is neither in store.encryption_key_file nor in store.previous_encryption_key_file"
        ),
        None => "not encrypted, although store.encryption_key_file is set: to encrypt an existing store, set store.accept_unencrypted = true until that is done"
            .to_owned(),
    }
}
