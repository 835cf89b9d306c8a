//! The store: lets credentials outlive the process, and be shared by many.
//!
//! A store keeps credentials (newer wins), leases on their refresh, the ledger of calls per day, and the ration of forced
//! refreshes. It never decides whether a credential is still good, never fetches one, and never makes a reader wait long: what
//! comes back as a [`StoreError`] counts as empty, and the broker goes on from memory.
//!
//! Values in a file or in Redis are secrets, kept as they are: who can read the store can use the tokens. The file is 0600; give
//! Redis a password and TLS. Names of entries hold platform, app id, agent id and kind, never a secret or a nickname.

#[cfg(feature = "file")]
mod file;
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

use memory::{Entry, Memory};
pub use presence::{Node, Peer};
use rules::{block_name, credential_name, force_name};

use crate::clock::UnixTime;
use crate::credential::{AppKey, Credential, CredentialKey};

/// A store. Cloning gives another handle on the same one.
#[derive(Clone)]
pub struct Store(Inner);

#[derive(Clone)]
enum Inner {
    Memory(Arc<Memory>),
    #[cfg(feature = "file")]
    File(Arc<file::FileStore>),
    #[cfg(feature = "redis")]
    Redis(Arc<redis::RedisStore>),
}

/// What became of a credential that was to be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It is the current one.
    Stored,
    /// The store holds a newer one, which is the one to use.
    Newer(Credential),
}

/// The answer to the wish to force a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Do it: it has been counted.
    Granted,
    /// The last one is too short a time ago.
    TooSoon {
        /// When to ask again.
        retry_at: UnixTime,
    },
    /// The day's ration is used up.
    SpentToday {
        /// When the next day starts in Shanghai.
        retry_at: UnixTime,
    },
}

/// The right to refresh one credential, among all processes of one Redis. Ends by itself; [`Store::release`] ends it early.
#[derive(Debug)]
#[must_use = "release it when the refresh is done, or others wait for it to end by itself"]
pub struct Lease {
    /// Where it stands, and the random number that makes it ours; `None` where there is nobody to share with.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    held: Option<(String, String)>,
}

impl Store {
    /// A store that lasts as long as the process.
    #[must_use]
    pub fn memory() -> Self {
        Self(Inner::Memory(Arc::default()))
    }

    /// A store in a file, for one process, durable. Opens it, or makes it with mode 0600; beside it goes `NAME.lock`.
    ///
    /// A file that is torn or not a store is moved to `NAME.corrupt-1` (`-2` …) with a warning, and begun anew.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it, [`StoreError::Disk`] when it cannot be read or written.
    #[cfg(feature = "file")]
    pub fn file(path: impl AsRef<std::path::Path>) -> Result<Self, StoreError> {
        Ok(Self(Inner::File(Arc::new(file::FileStore::open(
            path.as_ref(),
        )?))))
    }

    /// A store in Redis (6.0 or later), for many processes. Connects when it is first used, and again when the connection dies.
    ///
    /// `redis://[user:password@]host[:6379][/db]`, `rediss://` with TLS (roots of the system, or `SSL_CERT_FILE`),
    /// `redis+cluster://host,host`, `redis+sentinel://host[:26379],host/master[/db][?sentinel_password=]`. Every operation ends
    /// within 250 ms, with an error if need be. Names of entries start with `wx-jssdk:`.
    ///
    /// # Errors
    /// [`StoreError::Address`] when this is no such URL.
    #[cfg(feature = "redis")]
    pub fn redis(url: &str) -> Result<Self, StoreError> {
        Self::redis_with_prefix(url, "wx-jssdk:")
    }

    /// [`Store::redis`] with another start of the names: two installations may share one Redis.
    ///
    /// # Errors
    /// As [`Store::redis`].
    #[cfg(feature = "redis")]
    pub fn redis_with_prefix(url: &str, prefix: &str) -> Result<Self, StoreError> {
        Ok(Self(Inner::Redis(Arc::new(redis::RedisStore::new(
            url, prefix,
        )?))))
    }

    /// The credential under this key, expired or not.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read now; go on as if it were empty.
    pub async fn load(&self, key: &CredentialKey) -> Result<Option<Credential>, StoreError> {
        let name = credential_name(key);
        match &self.0 {
            Inner::Memory(memory) => Ok(memory.records().load(&name).cloned()),
            #[cfg(feature = "file")]
            Inner::File(file) => Ok(file.load(&name)),
            #[cfg(feature = "redis")]
            Inner::Redis(redis) => redis.load(&name).await,
        }
    }

    /// The credentials under these keys, in their order.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub async fn load_many(
        &self,
        keys: &[&CredentialKey],
    ) -> Result<Vec<Option<Credential>>, StoreError> {
        let names = keys.iter().map(|key| credential_name(key));
        match &self.0 {
            Inner::Memory(memory) => {
                let records = memory.records();
                Ok(names.map(|name| records.load(&name).cloned()).collect())
            }
            #[cfg(feature = "file")]
            Inner::File(file) => Ok(names.map(|name| file.load(&name)).collect()),
            #[cfg(feature = "redis")]
            Inner::Redis(_) if names.len() == 0 => Ok(Vec::new()),
            #[cfg(feature = "redis")]
            Inner::Redis(redis) => redis.load_many(&names.collect::<Vec<_>>()).await,
        }
    }

    /// Whether other processes may change what is in it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        match &self.0 {
            Inner::Memory(_) => false,
            #[cfg(feature = "file")]
            Inner::File(_) => false,
            #[cfg(feature = "redis")]
            Inner::Redis(_) => true,
        }
    }

    /// Keeps a credential, unless the store has a newer one: a higher generation, or the same one with an earlier end.
    /// When this returns, a file has it on disk.
    ///
    /// # Errors
    /// [`StoreError`] when it may not have been kept.
    pub async fn save(
        &self,
        key: &CredentialKey,
        credential: &Credential,
    ) -> Result<Saved, StoreError> {
        let name = credential_name(key);
        match &self.0 {
            Inner::Memory(memory) => Ok(memory.records().save(name, credential)),
            #[cfg(feature = "file")]
            Inner::File(file) => file.save(name, credential).await,
            #[cfg(feature = "redis")]
            Inner::Redis(redis) => redis.save(&name, credential).await,
        }
    }

    /// Asks for the right to refresh a credential, for `ttl` at most; `None` when another process has it.
    ///
    /// Within one process the broker refreshes a credential once at a time anyway, so memory and file always grant it.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be asked now.
    pub async fn lease(
        &self,
        key: &CredentialKey,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let _ = (key, ttl);
        match &self.0 {
            Inner::Memory(_) => Ok(Some(Lease { held: None })),
            #[cfg(feature = "file")]
            Inner::File(_) => Ok(Some(Lease { held: None })),
            #[cfg(feature = "redis")]
            Inner::Redis(redis) => Ok(redis
                .lease(key, ttl)
                .await?
                .map(|held| Lease { held: Some(held) })),
        }
    }

    /// Gives a lease back, if it is still held: one that ended and went to another stays with the other.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be told; the lease then ends by itself.
    pub async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        match (&self.0, lease.held) {
            (Inner::Memory(_), _) => Ok(()),
            #[cfg(feature = "file")]
            (Inner::File(_), _) => Ok(()),
            #[cfg(feature = "redis")]
            (Inner::Redis(_), None) => Ok(()),
            #[cfg(feature = "redis")]
            (Inner::Redis(redis), Some((name, owner))) => redis.release(&name, &owner).await,
        }
    }

    /// Counts one upstream call and answers how many there were today (in Shanghai), this one included.
    ///
    /// # Errors
    /// [`StoreError`] when the count may not have been kept.
    pub async fn count_call(
        &self,
        app: &AppKey,
        endpoint: &str,
        now: UnixTime,
    ) -> Result<u64, StoreError> {
        match &self.0 {
            Inner::Memory(memory) => Ok(memory.records().count_call(app, endpoint, now).0),
            #[cfg(feature = "file")]
            Inner::File(file) => file.count_call(app, endpoint, now).await,
            #[cfg(feature = "redis")]
            Inner::Redis(redis) => redis.count_call(app, endpoint, now).await,
        }
    }

    /// How many calls were counted today (in Shanghai).
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read now.
    pub async fn calls(
        &self,
        app: &AppKey,
        endpoint: &str,
        now: UnixTime,
    ) -> Result<u64, StoreError> {
        match &self.0 {
            Inner::Memory(memory) => Ok(memory.records().calls(app, endpoint, now)),
            #[cfg(feature = "file")]
            Inner::File(file) => Ok(file.calls(app, endpoint, now)),
            #[cfg(feature = "redis")]
            Inner::Redis(redis) => redis.calls(app, endpoint, now).await,
        }
    }

    /// [`Store::calls`] of many apps and endpoints, in their order.
    ///
    /// # Errors
    /// As [`Store::calls`].
    pub async fn calls_many(
        &self,
        of: &[(&AppKey, &str)],
        now: UnixTime,
    ) -> Result<Vec<u64>, StoreError> {
        let of = of.iter();
        match &self.0 {
            Inner::Memory(memory) => {
                let records = memory.records();
                Ok(of
                    .map(|(app, endpoint)| records.calls(app, endpoint, now))
                    .collect())
            }
            #[cfg(feature = "file")]
            Inner::File(file) => Ok(of
                .map(|(app, endpoint)| file.calls(app, endpoint, now))
                .collect()),
            #[cfg(feature = "redis")]
            Inner::Redis(_) if of.len() == 0 => Ok(Vec::new()),
            #[cfg(feature = "redis")]
            Inner::Redis(redis) => redis.calls_many(of.as_slice(), now).await,
        }
    }

    /// Remembers that an endpoint takes no calls of this app until then (errcode 45009), in the place of what was remembered: an
    /// `until` that is not after `now` lifts the block.
    ///
    /// # Errors
    /// [`StoreError`] when it may not have been kept.
    pub async fn set_block(
        &self,
        app: &AppKey,
        endpoint: &str,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let _ = now;
        match &self.0 {
            Inner::Memory(memory) => {
                memory
                    .records()
                    .put(block_name(app, endpoint), Entry::Block(until));
                Ok(())
            }
            #[cfg(feature = "file")]
            Inner::File(file) => file.set_block(app, endpoint, until).await,
            #[cfg(feature = "redis")]
            Inner::Redis(redis) => redis.set_block(app, endpoint, until, now).await,
        }
    }

    /// Until when an endpoint takes no calls of this app; `None` when it does.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read now.
    pub async fn blocked_until(
        &self,
        app: &AppKey,
        endpoint: &str,
        now: UnixTime,
    ) -> Result<Option<UnixTime>, StoreError> {
        match &self.0 {
            Inner::Memory(memory) => Ok(memory.records().blocked_until(app, endpoint, now)),
            #[cfg(feature = "file")]
            Inner::File(file) => Ok(file.blocked_until(app, endpoint, now)),
            #[cfg(feature = "redis")]
            Inner::Redis(redis) => redis.blocked_until(app, endpoint, now).await,
        }
    }

    /// Asks to force a refresh, and counts it if granted: `min_gap` apart, at most `daily` on one day in Shanghai, among all who
    /// share the store.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot tell; it may have been counted.
    pub async fn claim_force(
        &self,
        key: &CredentialKey,
        now: UnixTime,
        min_gap: Duration,
        daily: Option<u32>,
    ) -> Result<Claim, StoreError> {
        let name = force_name(key);
        match &self.0 {
            Inner::Memory(memory) => Ok(memory.records().claim_force(name, now, min_gap, daily)),
            #[cfg(feature = "file")]
            Inner::File(file) => file.claim_force(name, now, min_gap, daily).await,
            #[cfg(feature = "redis")]
            Inner::Redis(redis) => redis.claim_force(key, now, min_gap, daily).await,
        }
    }

    /// Whether the store can be used now.
    ///
    /// # Errors
    /// [`StoreError`] says why not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match &self.0 {
            Inner::Memory(_) => Ok(()),
            #[cfg(feature = "file")]
            Inner::File(file) => file.ping().await,
            #[cfg(feature = "redis")]
            Inner::Redis(redis) => redis.ping().await,
        }
    }

    /// What it is and where, for logs and the status page; no password.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.0 {
            Inner::Memory(_) => "memory".to_owned(),
            #[cfg(feature = "file")]
            Inner::File(file) => format!("file {}", file.path().display()),
            #[cfg(feature = "redis")]
            Inner::Redis(redis) => redis.place().to_owned(),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.describe())
    }
}

/// Why a store cannot be opened or used. Holds no value and no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the file.
    #[error(
        "{path}: another wx-jssdk uses it: stop it, give this one another store.path, or use store.kind = \"redis\", which many can share"
    )]
    InUse {
        /// The file.
        path: String,
    },
    /// The disk does not do what it should.
    #[error("{path}: {problem}")]
    Disk {
        /// The file.
        path: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The address of the store is not one.
    #[error("the address of the store cannot be used: {problem}")]
    Address {
        /// What is wrong, and what to write.
        problem: String,
    },
    /// Redis did not answer in time.
    #[error("{place} did not answer within {} ms", .within.as_millis())]
    Slow {
        /// Which Redis.
        place: String,
        /// How long it was waited for.
        within: Duration,
    },
    /// Redis cannot be reached, or refuses.
    #[error("{place}: {problem}")]
    Unavailable {
        /// Which Redis.
        place: String,
        /// What it said.
        problem: String,
    },
}
