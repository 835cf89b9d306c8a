//! The connection: made when it is first needed, by one task for all who wait, and made anew when it died.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue, RedisError};

use super::target::Target;

/// A connection that is shared by cloning.
#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) async fn query<T: FromRedisValue>(&mut self, cmd: &Cmd) -> Result<T, RedisError> {
        let answer = match self {
            Self::Single(connection) => connection.req_packed_command(cmd).await,
            Self::Cluster(connection) => connection.req_packed_command(cmd).await,
        };
        Ok(redis::from_redis_value(answer?.extract_error()?)?)
    }

    /// Whether to connect anew at once. A cluster's connection mends itself, unless it has lost every node.
    pub(super) fn is_dead_after(&self, error: &RedisError) -> bool {
        match self {
            Self::Single(_) => {
                // After a failover the old master answers that it is a replica: the sentinels know the new one.
                error.is_unrecoverable_error()
                    || error.is_connection_dropped()
                    || matches!(error.code(), Some("READONLY" | "MASTERDOWN"))
            }
            Self::Cluster(_) => error.kind() == redis::ErrorKind::ClusterConnectionNotFound,
        }
    }
}

/// The connection there is, or the attempt under way.
pub(super) struct Link {
    target: Target,
    current: Arc<Mutex<Current>>,
    /// How often in a row nothing was answered in time.
    silent: AtomicU32,
}

/// An error is a text: an attempt has many waiters.
type Attempt = Shared<BoxFuture<'static, Result<Connection, String>>>;

#[derive(Default)]
struct Current {
    /// Of the attempt: who saw an older one fail says nothing about a newer.
    id: u64,
    attempt: Option<Attempt>,
}

impl Link {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            current: Arc::default(),
            silent: AtomicU32::new(0),
        }
    }

    /// The connection, with the number to [`Link::forget`] it by. Whoever stops waiting stops nothing.
    pub(super) async fn connection(&self) -> Result<(u64, Connection), String> {
        let (id, attempt) = {
            let mut current = lock(&self.current);
            match &current.attempt {
                Some(attempt) => (current.id, attempt.clone()),
                None => self.start(&mut current),
            }
        };
        attempt.await.map(|connection| (id, connection))
    }

    /// Connect anew next time.
    pub(super) fn forget(&self, id: u64) {
        forget(&self.current, id);
    }

    /// Something was answered.
    pub(super) fn answered(&self) {
        self.silent.store(0, Ordering::Relaxed);
    }

    /// Nothing was answered in time. One server may be gone without a word: connect anew. In a cluster it may be one node, which
    /// is no reason to leave the others; but when nothing is heard of any, its connection is of no use. An attempt goes on.
    pub(super) fn silent(&self) {
        let often = self.silent.fetch_add(1, Ordering::Relaxed) >= PATIENCE;
        let mut current = lock(&self.current);
        let established = current.attempt.as_ref().and_then(|attempt| attempt.peek());
        let hopeless = match established {
            Some(Ok(Connection::Single(_)) | Err(_)) => true,
            Some(Ok(Connection::Cluster(_))) => often,
            None => false,
        };
        if hopeless {
            current.attempt = None;
        }
    }

    fn start(&self, current: &mut Current) -> (u64, Attempt) {
        let target = self.target.clone();
        let connect = async move {
            let late = |_| Err(format!("no connection within {} s", CONNECT.as_secs()));
            tokio::time::timeout(CONNECT, target.connect())
                .await
                .unwrap_or_else(late)
        };
        let attempt = connect.boxed().shared();
        current.id += 1;
        current.attempt = Some(attempt.clone());
        let (id, kept) = (current.id, Arc::clone(&self.current));
        let drive = attempt.clone();
        tokio::spawn(async move {
            if drive.await.is_err() {
                forget(&kept, id);
            }
        });
        (id, attempt)
    }
}

fn forget(current: &Mutex<Current>, id: u64) {
    let mut current = lock(current);
    if current.id == id {
        current.attempt = None;
    }
}

fn lock(current: &Mutex<Current>) -> MutexGuard<'_, Current> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long one attempt may take: a far Redis with TLS, or three sentinels of which two are gone.
const CONNECT: Duration = Duration::from_secs(5);

/// How many silences in a row a cluster's connection is forgiven.
const PATIENCE: u32 = 4;
