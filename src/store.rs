//! The store: keeps credentials beyond the life of the process and shares them between nodes.
//!
//! A store holds credentials (the newer wins), documents (by compare-and-set), leases for refreshing credentials, the
//! daily call counts, and the limit of refreshes on request. It never decides whether a credential is still valid,
//! never fetches one, and never delays a reader for long: the broker treats a [`StoreError`] as an empty store and
//! continues from memory.
//!
//! Without an encryption key, values are stored in plain text: anyone who can read the store can use the
//! tokens. The file has mode 0600; protect a server with a password and TLS. Names of entries contain
//! platform, AppID, AgentId, component_appid, kind and a hash of the AppSecret, those of documents also an account's
//! name (`account:NAME`); never a secret.

/// Matches the kind of a store; the arms of kinds that are not compiled in are left out. `Shared` stands for
/// every kind that processes share: they have the same methods.
macro_rules! by_store {
    ($inner:expr; Memory($memory:pat) => $a:expr, Shared($shared:pat) => $b:expr $(,)?) => {
        match $inner {
            Inner::Memory($memory) => $a,
            #[cfg(feature = "redis")]
            Inner::Redis($shared) => $b,
            #[cfg(feature = "sql")]
            Inner::Sql($shared) => $b,
        }
    };
}

mod bounded_concurrency;
mod document;
mod encryption;
pub(crate) mod error;
#[cfg(feature = "file")]
mod file;
#[cfg(any(feature = "file", feature = "sql"))]
mod file_thread;
mod ignored;
mod instrumented;
mod memory;
mod presence;
mod quota;
#[cfg(any(feature = "file", feature = "shared-store"))]
mod record;
#[cfg(feature = "redis")]
mod redis;
mod rules;
mod sealed;
#[cfg(feature = "sql")]
mod sql;

#[cfg(all(not(unix), any(feature = "file", feature = "sql")))]
compile_error!(
    "the features `file` and `sql` need Unix; elsewhere use the memory store, or `redis`"
);

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use bounded_concurrency::at_most;
pub use document::Document;
pub use encryption::{EncryptionKey, EncryptionKeys, InvalidKey};
use encryption::{Opened, Rewritten, Unreadable};
pub use error::StoreError;
use ignored::Ignored;
use instrumented::{Breaker, Operation, Operations};
use memory::MemoryStore;
pub use presence::{Node, PeerNode};
use rules::credential_name;
pub(crate) use sealed::START_TRIES;

use crate::clock::UnixTime;
use crate::credential::{Credential, CredentialKey};

/// A store. Clones share the same store.
#[derive(Clone)]
pub struct Store {
    inner: Inner,
    kind: &'static str,
    /// Kind and location, without a password.
    place: Arc<str>,
    operations: Arc<Operations>,
    breaker: Arc<Breaker>,
    encryption: Arc<EncryptionKeys>,
    rewritten: Arc<Rewritten>,
    /// The values that cannot be decrypted.
    undecryptable: Arc<Ignored>,
}

#[derive(Clone)]
enum Inner {
    /// In memory, and in a file too if it has one.
    Memory(Arc<MemoryStore>),
    #[cfg(feature = "redis")]
    Redis(Arc<redis::RedisStore>),
    #[cfg(feature = "sql")]
    Sql(Arc<sql::SqlStore>),
}

/// The result of saving a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// The credential is the current one.
    Stored,
    /// The store holds a newer credential, which is the one to use.
    Newer(Credential),
}

/// The answer to [`Store::claim_refresh`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Granted and counted.
    Granted,
    /// The last one was too recent.
    TooSoon {
        /// When to ask again.
        retry_at: UnixTime,
    },
    /// The daily budget is used up.
    SpentToday {
        /// When the next day starts in Shanghai.
        retry_at: UnixTime,
    },
}

/// The right to refresh one credential, exclusive among all processes that share a store. It expires by
/// itself; [`Store::release`] ends it early.
#[derive(Debug)]
#[must_use = "release it when the refresh is done; otherwise other nodes wait until it expires"]
pub struct Lease {
    /// Its name and the random number that identifies this owner; `None` if the store is not shared.
    #[cfg_attr(not(feature = "shared-store"), allow(dead_code))]
    held: Option<(String, String)>,
}

impl Store {
    /// Returns a store that lasts as long as the process.
    #[must_use]
    pub fn memory() -> Self {
        Self::new(Inner::Memory(Arc::default()), "memory", "memory")
    }

    fn new(inner: Inner, kind: &'static str, place: &str) -> Self {
        Self {
            inner,
            kind,
            place: place.into(),
            operations: Arc::default(),
            breaker: Arc::default(),
            encryption: Arc::default(),
            rewritten: Arc::default(),
            undecryptable: Arc::default(),
        }
    }

    /// Returns the same store with encrypted values, whatever its kind.
    #[must_use]
    pub fn encrypted(mut self, keys: EncryptionKeys) -> Self {
        self.encryption = Arc::new(keys);
        self.rewritten = Arc::default();
        self
    }

    /// Returns the credential with this key, expired or not.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read now; continue as if it were empty.
    pub async fn load(&self, key: &CredentialKey) -> Result<Option<Credential>, StoreError> {
        Ok(self.open_all(&[key]).await?.pop())
    }

    /// Returns the credentials with these keys, in the same order. Writes those again that are not
    /// encrypted with the current key. One of an unknown key counts as absent.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read now; continue as if it were empty.
    pub async fn load_many(
        &self,
        keys: &[&CredentialKey],
    ) -> Result<Vec<Option<Credential>>, StoreError> {
        self.counted(Operation::Load, async {
            let names: Vec<_> = keys.iter().map(|key| credential_name(key)).collect();
            let stored = self.stored_many(&names).await?;
            Ok(self.open_many(names, stored).await)
        })
        .await
    }

    async fn stored_many(&self, names: &[String]) -> Result<Vec<Option<Credential>>, StoreError> {
        by_store! { &self.inner;
            Memory(memory) => {
                let records = memory.records.lock();
                Ok(names.iter().map(|name| records.load(name).cloned()).collect())
            },
            Shared(shared) => shared.load_many(names).await,
        }
    }

    /// Whether other processes may change its content.
    pub fn is_shared(&self) -> bool {
        by_store! { &self.inner;
            Memory(_) => false,
            Shared(_) => true,
        }
    }

    /// Saves a credential, unless the store has a newer one: a higher generation, or the same generation
    /// with an earlier end. When this returns, a file store has it on disk.
    ///
    /// # Errors
    /// [`StoreError`] if it may not have been saved.
    pub async fn save(
        &self,
        key: &CredentialKey,
        credential: &Credential,
    ) -> Result<Saved, StoreError> {
        self.counted(Operation::Save, async {
            let name = credential_name(key);
            let sealed = self.encryption.seal(&name, credential);
            let mut damaged = None;
            loop {
                let stored = match self.put(name.clone(), &sealed, damaged.as_ref()).await? {
                    Saved::Stored => return Ok(Saved::Stored),
                    Saved::Newer(stored) => stored,
                };
                match self.open(&name, stored.clone())? {
                    Some(opened) if opened.value == *credential => return Ok(Saved::Stored),
                    Some(opened) => return Ok(Saved::Newer(opened.value)),
                    None => damaged = Some(stored),
                }
            }
        })
        .await
    }

    /// Asks for the right to refresh a credential, for at most `ttl`; `None` if another process has it.
    ///
    /// Memory and file always grant it, because the broker runs one refresh per credential at a time
    /// anyway.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached now.
    pub async fn lease(
        &self,
        key: &CredentialKey,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        self.counted(Operation::Lease, async {
            let _ = (key, ttl);
            by_store! { &self.inner;
                Memory(_) => Ok(Some(Lease { held: None })),
                Shared(shared) => {
                    let name = rules::lease_name(key);
                    let owner = format!("{:032x}", rand::random::<u128>());
                    let granted = shared.lease(&name, &owner, ttl).await?;
                    Ok(granted.then_some(Lease { held: Some((name, owner)) }))
                },
            }
        })
        .await
    }

    /// Releases a lease if it is still held. A lease that expired and was granted to another process is not
    /// affected.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached; the lease then expires by itself.
    pub async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        self.counted(Operation::Release, async {
            let _ = &lease;
            by_store! { &self.inner;
                Memory(_) => Ok(()),
                Shared(shared) => match lease.held {
                    Some((name, owner)) => shared.release(&name, &owner).await,
                    None => Ok(()),
                },
            }
        })
        .await
    }

    /// Checks whether the store can be used now.
    ///
    /// # Errors
    /// [`StoreError`] says why not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.counted(Operation::Announce, async {
            by_store! { &self.inner;
                // No change has this number, so none makes the check of a file unnecessary.
                Memory(memory) => memory.change(|_| ((), u64::MAX)).await,
                Shared(shared) => shared.ping().await,
            }
        })
        .await
    }

    /// Returns the kind of store: `memory`, `file`, `redis` or `sql`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Returns the store's kind and location for logs and the status page, without a password.
    pub fn describe(&self) -> &str {
        &self.place
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.describe())
    }
}

/// Timeout of an operation of a shared store; after it the caller continues as if the store were empty.
#[cfg(feature = "shared-store")]
const BOUND: Duration = Duration::from_millis(250);
