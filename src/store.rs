//! The store: keeps credentials beyond the life of the process and shares them between nodes.
//!
//! A store holds credentials (the newer wins), leases for refreshing them, the daily call counts, and the
//! rate limit of forced refreshes. It never decides whether a credential is still valid, never fetches one,
//! and never delays a reader for long: the broker treats a [`StoreError`] as an empty store and continues
//! from memory.
//!
//! Values in a file or in Redis are stored in plain text: anyone who can read the store can use the tokens.
//! The file has mode 0600; protect Redis with a password and TLS. Entry names contain platform, app id,
//! agent id and kind, never a secret or a nickname.

/// Matches the kind of a store; the arms of kinds that are not compiled in are left out.
macro_rules! by_store {
    ($inner:expr; Memory($memory:pat) => $a:expr, File($file:pat) => $b:expr, Redis($redis:pat) => $c:expr $(,)?) => {
        match $inner {
            Inner::Memory($memory) => $a,
            #[cfg(feature = "file")]
            Inner::File($file) => $b,
            #[cfg(feature = "redis")]
            Inner::Redis($redis) => $c,
        }
    };
}

#[cfg(feature = "file")]
mod file;
mod instrumented;
mod memory;
mod presence;
#[cfg(any(feature = "file", feature = "redis"))]
mod record;
#[cfg(feature = "redis")]
mod redis;
mod rules;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use instrumented::{Operation, Operations};
use memory::{Entry, Memory};
pub use presence::{Node, PeerNode};
use rules::{block_name, credential_name, force_name};

use crate::clock::UnixTime;
use crate::credential::{AppKey, Credential, CredentialKey};

/// A store. Clones share the same store.
#[derive(Clone)]
pub struct Store {
    inner: Inner,
    operations: Arc<Operations>,
}

#[derive(Clone)]
enum Inner {
    Memory(Arc<Memory>),
    #[cfg(feature = "file")]
    File(Arc<file::FileStore>),
    #[cfg(feature = "redis")]
    Redis(Arc<redis::RedisStore>),
}

/// The result of saving a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// The credential is the current one.
    Stored,
    /// The store holds a newer credential, which is the one to use.
    Newer(Credential),
}

/// The result of asking for a forced refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Granted and counted.
    Granted,
    /// The last forced refresh was too recent.
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

/// The right to refresh one credential, exclusive among all processes that share a Redis. It expires by
/// itself; [`Store::release`] ends it early.
#[derive(Debug)]
#[must_use = "release it when the refresh is done; otherwise other nodes wait until it expires"]
pub struct Lease {
    /// Its name and the random number that identifies this owner; `None` if the store is not shared.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    held: Option<(String, String)>,
}

impl Store {
    /// Returns a store that lasts as long as the process.
    #[must_use]
    pub fn memory() -> Self {
        Self::new(Inner::Memory(Arc::default()))
    }

    /// Opens a durable store in a file, for one process. Creates the file with mode 0600 if needed;
    /// `NAME.lock` is created beside it.
    ///
    /// A torn file, or one that is not a store, is moved to `NAME.corrupt-1` (`-2` …) with a warning and
    /// replaced by a new one.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another process uses it, [`StoreError::Disk`] if it cannot be read or
    /// written.
    #[cfg(feature = "file")]
    pub fn file(path: impl AsRef<std::path::Path>) -> Result<Self, StoreError> {
        let file = file::FileStore::open(path.as_ref())?;
        Ok(Self::new(Inner::File(Arc::new(file))))
    }

    /// Returns a store in Redis (6.0 or later), for many processes. Connects on first use, and reconnects
    /// when the connection is lost.
    ///
    /// `redis://[user:password@]host[:6379][/db]`, `rediss://` with TLS (the system's roots, or
    /// `SSL_CERT_FILE`), `redis+cluster://host,host`,
    /// `redis+sentinel://host[:26379],host/master[/db][?sentinel_password=]`. Every operation ends within
    /// 250 ms, if necessary with an error. Entry names start with `wx-jssdk:`.
    ///
    /// # Errors
    /// [`StoreError::Address`] if the URL is invalid.
    #[cfg(feature = "redis")]
    pub fn redis(url: &str) -> Result<Self, StoreError> {
        Self::redis_with_prefix(url, "wx-jssdk:")
    }

    /// [`Store::redis`] with another name prefix, so that two installations can share one Redis.
    ///
    /// # Errors
    /// As [`Store::redis`].
    #[cfg(feature = "redis")]
    pub fn redis_with_prefix(url: &str, prefix: &str) -> Result<Self, StoreError> {
        let redis = redis::RedisStore::new(url, prefix)?;
        Ok(Self::new(Inner::Redis(Arc::new(redis))))
    }

    fn new(inner: Inner) -> Self {
        let operations = Arc::default();
        Self { inner, operations }
    }

    /// Returns the credential with this key, expired or not.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read now; continue as if it were empty.
    pub async fn load(&self, key: &CredentialKey) -> Result<Option<Credential>, StoreError> {
        self.counted(Operation::Load, async {
            let name = credential_name(key);
            by_store! { &self.inner;
                Memory(memory) => Ok(memory.records().load(&name).cloned()),
                File(file) => Ok(file.load(&name)),
                Redis(redis) => redis.load(&name).await,
            }
        })
        .await
    }

    /// Returns the credentials with these keys, in the same order.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub async fn load_many(
        &self,
        keys: &[&CredentialKey],
    ) -> Result<Vec<Option<Credential>>, StoreError> {
        self.counted(Operation::Load, async {
            let names = keys.iter().map(|key| credential_name(key));
            by_store! { &self.inner;
                Memory(memory) => {
                    let records = memory.records();
                    Ok(names.map(|name| records.load(&name).cloned()).collect())
                },
                File(file) => Ok(names.map(|name| file.load(&name)).collect()),
                Redis(redis) => match names.len() {
                    0 => Ok(Vec::new()),
                    _ => redis.load_many(&names.collect::<Vec<_>>()).await,
                },
            }
        })
        .await
    }

    /// Whether other processes may change its content.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        by_store! { &self.inner;
            Memory(_) => false,
            File(_) => false,
            Redis(_) => true,
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
            by_store! { &self.inner;
                Memory(memory) => Ok(memory.records().save(name, credential)),
                File(file) => file.save(name, credential).await,
                Redis(redis) => redis.save(&name, credential).await,
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
                File(_) => Ok(Some(Lease { held: None })),
                Redis(redis) => Ok(redis
                    .lease(key, ttl)
                    .await?
                    .map(|held| Lease { held: Some(held) })),
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
                File(_) => Ok(()),
                Redis(redis) => match lease.held {
                    Some((name, owner)) => redis.release(&name, &owner).await,
                    None => Ok(()),
                },
            }
        })
        .await
    }

    /// Counts one upstream call and returns today's count (Shanghai time), including this call.
    ///
    /// # Errors
    /// [`StoreError`] if the count may not have been saved.
    pub async fn count_call(
        &self,
        app: &AppKey,
        endpoint: &str,
        now: UnixTime,
    ) -> Result<u64, StoreError> {
        self.counted(Operation::Count, async {
            by_store! { &self.inner;
                Memory(memory) => Ok(memory.records().count_call(app, endpoint, now).0),
                File(file) => file.count_call(app, endpoint, now).await,
                Redis(redis) => redis.count_call(app, endpoint, now).await,
            }
        })
        .await
    }

    /// Returns today's number of calls (Shanghai time).
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read now.
    pub async fn calls(
        &self,
        app: &AppKey,
        endpoint: &str,
        now: UnixTime,
    ) -> Result<u64, StoreError> {
        self.counted(Operation::Count, async {
            by_store! { &self.inner;
                Memory(memory) => Ok(memory.records().calls(app, endpoint, now)),
                File(file) => Ok(file.calls(app, endpoint, now)),
                Redis(redis) => redis.calls(app, endpoint, now).await,
            }
        })
        .await
    }

    /// [`Store::calls`] for many apps and endpoints, in the same order.
    ///
    /// # Errors
    /// As [`Store::calls`].
    pub async fn calls_many(
        &self,
        of: &[(&AppKey, &str)],
        now: UnixTime,
    ) -> Result<Vec<u64>, StoreError> {
        self.counted(Operation::Count, async {
            let of = of.iter();
            by_store! { &self.inner;
                Memory(memory) => {
                    let records = memory.records();
                    Ok(of
                        .map(|(app, endpoint)| records.calls(app, endpoint, now))
                        .collect())
                },
                File(file) => Ok(of
                    .map(|(app, endpoint)| file.calls(app, endpoint, now))
                    .collect()),
                Redis(redis) => match of.as_slice() {
                    [] => Ok(Vec::new()),
                    of => redis.calls_many(of, now).await,
                },
            }
        })
        .await
    }

    /// Records that an endpoint accepts no calls of this app until a time (errcode 45009). Replaces the
    /// previous record; an `until` that is not after `now` lifts the block.
    ///
    /// # Errors
    /// [`StoreError`] if it may not have been saved.
    pub async fn set_block(
        &self,
        app: &AppKey,
        endpoint: &str,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.counted(Operation::Block, async {
            let _ = now;
            by_store! { &self.inner;
                Memory(memory) => {
                    memory
                        .records()
                        .put(block_name(app, endpoint), Entry::Block(until));
                    Ok(())
                },
                File(file) => file.set_block(app, endpoint, until).await,
                Redis(redis) => redis.set_block(app, endpoint, until, now).await,
            }
        })
        .await
    }

    /// Returns until when an endpoint accepts no calls of this app; `None` if it is not blocked.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read now.
    pub async fn blocked_until(
        &self,
        app: &AppKey,
        endpoint: &str,
        now: UnixTime,
    ) -> Result<Option<UnixTime>, StoreError> {
        self.counted(Operation::Block, async {
            by_store! { &self.inner;
                Memory(memory) => Ok(memory.records().blocked_until(app, endpoint, now)),
                File(file) => Ok(file.blocked_until(app, endpoint, now)),
                Redis(redis) => redis.blocked_until(app, endpoint, now).await,
            }
        })
        .await
    }

    /// Asks for a forced refresh, and counts it if granted: at least `min_gap` apart and at most `daily`
    /// per day (Shanghai time), among all nodes that share the store.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached; the refresh may have been counted.
    pub async fn claim_force(
        &self,
        key: &CredentialKey,
        now: UnixTime,
        min_gap: Duration,
        daily: Option<u32>,
    ) -> Result<Claim, StoreError> {
        self.counted(Operation::Claim, async {
            let name = force_name(key);
            by_store! { &self.inner;
                Memory(memory) => Ok(memory.records().claim_force(name, now, min_gap, daily)),
                File(file) => file.claim_force(name, now, min_gap, daily).await,
                Redis(redis) => redis.claim_force(key, now, min_gap, daily).await,
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
                Memory(_) => Ok(()),
                File(file) => file.ping().await,
                Redis(redis) => redis.ping().await,
            }
        })
        .await
    }

    /// Returns the store's kind and location for logs and the status page, without a password.
    #[must_use]
    pub fn describe(&self) -> String {
        by_store! { &self.inner;
            Memory(_) => "memory".to_owned(),
            File(file) => format!("file {}", file.path().display()),
            Redis(redis) => redis.place().to_owned(),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.describe())
    }
}

/// Why a store cannot be opened or used. Contains no value and no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process uses the file.
    #[error(
        "{path}: in use by another wx-jssdk: stop it, choose another store.path, or share a store with store.kind = \"redis\""
    )]
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
    /// The store's address is invalid.
    #[error("invalid store address: {problem}")]
    Address {
        /// What is wrong, and what to write.
        problem: String,
    },
    /// Redis did not answer in time.
    #[error("{place} did not answer within {} ms", .within.as_millis())]
    Slow {
        /// The Redis.
        place: String,
        /// How long the store was waited for.
        within: Duration,
    },
    /// Redis cannot be reached, or refuses the operation.
    #[error("{place}: {problem}")]
    Unavailable {
        /// The Redis.
        place: String,
        /// The error that it reported.
        problem: String,
    },
}
