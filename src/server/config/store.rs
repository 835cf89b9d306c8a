//! `[store]`: where credentials are kept, and the keys that encrypt them.

use std::path::PathBuf;

use super::Settings;
use super::secret::content_of;
use super::section::Section;
use crate::credential::{Kind, Secret};
use crate::store::{EncryptionKey, EncryptionKeys, Store, StoreError};

/// `[store]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Where credentials are kept.
    pub kind: StoreKind,
    /// The keys that encrypt them there.
    pub encryption: EncryptionKeys,
}

/// The kind of store, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// `kind = "memory"`.
    Memory,
    /// `kind = "file"`.
    File(PathBuf),
    /// `kind = "redis"`; the URL may hold a password.
    Redis(Secret),
    /// `kind = "sql"`.
    Sql {
        /// May hold a password.
        url: Secret,
        /// What the names of the tables start with.
        table_prefix: String,
    },
}

impl StoreSettings {
    /// In memory, for tests.
    pub const MEMORY: Self = Self {
        kind: StoreKind::Memory,
        encryption: EncryptionKeys {
            current: None,
            previous: None,
            accept_unencrypted: false,
        },
    };

    pub(super) fn read(section: &mut Section) -> Option<Self> {
        let is_kind_variable = section.is_variable("kind");
        let kind = section.choice("kind", &KINDS.map(|kind| (kind, kind)));
        let path = section.file_path("path");
        let url = match kind {
            Some("memory" | "file") => {
                check_unused(section, is_kind_variable);
                None
            }
            _ => url(section),
        };
        let table_prefix = section.text("table_prefix");
        let current = key(section, "encryption_key_file");
        let previous = key(section, "previous_encryption_key_file");
        let accept_unencrypted = section.flag("accept_unencrypted");
        section.finish();
        let kind = match kind? {
            "memory" => StoreKind::Memory,
            "file" => StoreKind::File(path?.into()),
            "redis" => StoreKind::Redis(url?),
            _ => StoreKind::Sql {
                url: url?,
                table_prefix: table_prefix?,
            },
        };
        kind.check(section);
        Some(Self {
            kind,
            encryption: EncryptionKeys {
                current,
                previous,
                accept_unencrypted: accept_unencrypted?,
            },
        })
    }

    /// Opens the store. A server is connected to when the store is first used.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be used, or the URL is invalid.
    pub fn open(&self) -> Result<Store, StoreError> {
        let store = self.kind.open()?;
        Ok(store.encrypted(self.encryption.clone()))
    }
}

impl StoreKind {
    /// Opens the store, without encryption.
    ///
    /// # Errors
    /// As [`StoreSettings::open`].
    pub fn open(&self) -> Result<Store, StoreError> {
        match self {
            Self::Memory => Ok(Store::memory()),
            Self::File(path) => Store::file(path),
            Self::Redis(url) => Store::redis(url.expose()),
            Self::Sql { url, table_prefix } => Store::sql(url.expose(), table_prefix),
        }
    }

    /// Whether several processes may use the store at the same time.
    pub fn is_shared(&self) -> bool {
        self.url().is_some()
    }

    /// Returns the name in the configuration, the URL, and an example of one.
    fn url(&self) -> Option<(&'static str, &Secret, &'static str)> {
        match self {
            Self::Memory | Self::File(_) => None,
            Self::Redis(url) => Some(("redis", url, "redis://host:6379/0")),
            Self::Sql { url, .. } => Some(("sql", url, "postgres://user@host/database")),
        }
    }

    /// Returns the file of an SQLite store, which is created on first use.
    pub fn sqlite_file(&self) -> Option<String> {
        match self {
            Self::Sql { url, .. } => Store::sqlite_file(url.expose()),
            _ => None,
        }
    }

    fn check(&self, section: &Section) {
        if matches!(self, Self::File(path) if path.as_os_str().is_empty()) {
            section.report(
                "path",
                "is empty: write the path of a file",
                "不能为空，请填写文件路径",
            );
        }
        if let Some((kind, url, example)) = self.url()
            && url.expose().is_empty()
        {
            section.report(
                "url",
                format!("is missing: store.kind = \"{kind}\" requires a URL such as {example}"),
                format!("缺少地址：store.kind = \"{kind}\" 需要 {example} 这样的地址"),
            );
        }
        if let Self::Sql { table_prefix, .. } = self
            && !Store::is_table_prefix(table_prefix)
        {
            section.report(
                "table_prefix",
                "must be at most 32 lower-case letters, digits and underscores, no digit first",
                "应为小写字母、数字和下划线，至多 32 个字符，不以数字开头",
            );
        }
    }
}

impl Settings {
    /// Checks an opened store for problems that only an operator can solve. Returns whether it has a credential.
    ///
    /// # Errors
    /// As [`Store::check`].
    pub(in crate::server) async fn check_store(&self, store: &Store) -> Result<bool, StoreError> {
        if self.store.kind != StoreKind::Memory && !store.is_encrypted() {
            tracing::info!(
                store = %store.describe(),
                "stored values are not encrypted: store.encryption_key_file is not set"
            );
        }
        if store.is_encrypted() && self.store.encryption.accept_unencrypted {
            tracing::warn!(
                store = %store.describe(),
                "stored values in plain text are accepted: store.accept_unencrypted is set"
            );
        }
        let accounts = self.accounts.iter().map(|(_, account)| account);
        let platforms = self.platforms.iter().map(|platform| &platform.account);
        let keys = platforms.chain(accounts).flat_map(|account| {
            let kinds = Kind::ALL.into_iter().filter(|kind| account.has(*kind));
            kinds.map(|kind| account.key(kind))
        });
        let keys: Vec<_> = keys.take(CHECKED).collect();
        store.check(&keys.iter().collect::<Vec<_>>()).await
    }
}

/// Takes the keys of a server's address, and reports those that are set: the operator means another kind of store.
/// A kind in the environment leaves the file's address unused on purpose.
fn check_unused(section: &mut Section, is_kind_variable: bool) {
    for key in URL_KEYS {
        let is_on_purpose = is_kind_variable && !section.is_variable(key);
        let text = section.text_if_any(key);
        if text.is_some_and(|text| !text.is_empty()) && !is_on_purpose {
            section.report(
                key,
                "is not used by this store.kind: write store.kind = \"redis\" or \"sql\", or remove it",
                "当前的 store.kind 不使用此项：请写 store.kind = \"redis\" 或 \"sql\"，或删除此项",
            );
        }
    }
}

/// Reads the URL, with the password of `password_file` in it.
fn url(section: &mut Section) -> Option<Secret> {
    let are_variables = URL_KEYS.map(|key| section.is_variable(key));
    let url = section.text("url");
    let in_url = url.as_deref().unwrap_or_default();
    let password = password(section, in_url, are_variables);
    Some(with_password(url?, password))
}

/// Reads the content of `password_file`; `None` without one, or after a problem. It excludes a password in the URL,
/// and an SQLite file, which has none: the environment's URL replaces the file of the configuration.
fn password(
    section: &mut Section,
    url: &str,
    [is_url_variable, is_file_variable]: [bool; 2],
) -> Option<Secret> {
    let (url_has_one, is_sqlite) = (has_password(url), url.starts_with("sqlite:"));
    if (url_has_one || is_sqlite) && is_url_variable && !is_file_variable {
        section.ignore(&["password_file"]);
    }
    if is_sqlite {
        let file = section.text_if_any("password_file");
        if file.is_some_and(|file| !file.is_empty()) {
            section.report(
                "password_file",
                "is not used by sqlite, which has no password: remove it",
                "SQLite 没有密码，不使用此项：请删除",
            );
        }
        return None;
    }
    let (_, text) = content_of(section, "password_file")?;
    if url_has_one && is_url_variable == is_file_variable {
        section.report(
            "password_file",
            "conflicts with the password in url: keep one of them",
            "与 url 中的密码只能写一个",
        );
    }
    Some(Secret::new(text))
}

/// Returns whether the URL has a password of the store: before the host, as PostgreSQL's `password=` or as the
/// `pass=` of Redis on a Unix socket.
fn has_password(url: &str) -> bool {
    let user = split(url).map_or("", |(_, user, _)| user);
    let password = user.split_once(':').map_or("", |(_, password)| password);
    !password.is_empty() || has_parameter(url, &["password", "pass"])
}

/// Returns whether the URL holds a secret: the store's password, or that of the sentinels.
pub(super) fn holds_secret(url: &str) -> bool {
    has_password(url) || has_parameter(url, &["sentinel_password"])
}

/// Returns whether the URL's query has one of these parameters with a value.
fn has_parameter(url: &str, names: &[&str]) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    url::form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| names.contains(&&*name) && !value.is_empty())
}

/// Puts the password into the URL: before the host, or as a parameter if a socket stands for the host.
fn with_password(url: String, password: Option<Secret>) -> Secret {
    let (Some(password), Some((scheme, user, rest))) = (password, split(&url)) else {
        return Secret::new(url);
    };
    let encoded: String = url::form_urlencoded::byte_serialize(password.expose().as_bytes())
        .collect::<String>()
        .replace('+', "%20");
    let parameter = match scheme {
        "unix" | "redis+unix" | "valkey+unix" => Some("pass"),
        "postgres" | "postgresql" if rest.starts_with('/') => Some("password"),
        _ => None,
    };
    if let Some(parameter) = parameter {
        let sign = if url.contains('?') { '&' } else { '?' };
        return Secret::new(format!("{url}{sign}{parameter}={encoded}"));
    }
    let user = user.split(':').next().unwrap_or_default();
    Secret::new(format!("{scheme}://{user}:{encoded}@{rest}"))
}

/// Splits a URL into its scheme, the user with the password, and the rest from the host on.
fn split(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    Some(match user {
        Some(user) => (scheme, user, &rest[user.len() + 1..]),
        None => (scheme, "", rest),
    })
}

/// Reads the key in a file; `None` if the setting is empty, or after a problem.
fn key(section: &mut Section, setting: &'static str) -> Option<EncryptionKey> {
    let (file, text) = content_of(section, setting)?;
    let report = |error| {
        section.report(
            setting,
            format!("the content of \"{file}\" {error}"),
            format!("“{file}”的内容应为 64 位十六进制数：openssl rand -hex 32"),
        );
    };
    EncryptionKey::parse(&text).map_err(report).ok()
}

const KINDS: [&str; 4] = ["memory", "file", "redis", "sql"];

/// The keys that only a store on a server has.
const URL_KEYS: [&str; 2] = ["url", "password_file"];

/// Number of credentials that are read at the start.
const CHECKED: usize = 500;
