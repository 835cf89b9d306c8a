//! The Redis connection: opened on first use by one task for all waiting callers, and reopened when it is
//! lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
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

    /// Whether to reconnect at once. A cluster connection recovers by itself, unless it has lost every
    /// node.
    pub(super) fn is_dead_after(&self, error: &RedisError) -> bool {
        match self {
            Self::Single(_) => {
                // After a failover the old master answers that it is a replica; the sentinels know the new
                // one.
                error.is_unrecoverable_error()
                    || error.is_connection_dropped()
                    || matches!(code_of(error), Some("READONLY" | "MASTERDOWN"))
            }
            Self::Cluster(_) => error.kind() == redis::ErrorKind::ClusterConnectionNotFound,
        }
    }
}

/// Returns the code of an error. That of a command in a script may be in the text of an `ERR`: for missing
/// permissions always, for all others before Redis 7.
pub(super) fn code_of(error: &RedisError) -> Option<&str> {
    let text = match error.code() {
        Some("ERR") => error.detail().unwrap_or_default(),
        code => return code,
    };
    let of_script = |(part, _): &&(&str, _)| text.contains(part);
    let found = SCRIPT_ERRORS.iter().find(of_script);
    Some(found.map_or("ERR", |(_, code)| code))
}

/// The current connection, or the running attempt to connect.
pub(super) struct Link {
    target: Target,
    /// Time limit of an operation.
    limit: Duration,
    current: Arc<Mutex<Current>>,
    /// Number of timeouts in a row.
    silent: AtomicU32,
}

/// A shared attempt to connect. Its error is a text, because it is cloned for every waiting caller.
type Attempt = Shared<BoxFuture<'static, Result<Connection, String>>>;

#[derive(Default)]
struct Current {
    /// Number of the attempt. A failure of an older attempt must not discard a newer one.
    id: u64,
    attempt: Option<Attempt>,
}

impl Link {
    pub(super) fn new(target: Target, limit: Duration) -> Self {
        Self {
            target,
            limit,
            current: Arc::default(),
            silent: AtomicU32::new(0),
        }
    }

    /// Returns the connection and its number for [`Link::forget`]. A caller that stops waiting does not
    /// stop the attempt.
    pub(super) async fn connection(&self) -> Result<(u64, Connection), String> {
        let (id, attempt) = {
            let mut current = self.current.lock();
            match &current.attempt {
                Some(attempt) => (current.id, attempt.clone()),
                None => self.start(&mut current),
            }
        };
        attempt.await.map(|connection| (id, connection))
    }

    /// Makes the next call reconnect.
    pub(super) fn forget(&self, id: u64) {
        forget(&self.current, id);
    }

    /// Records an answer.
    pub(super) fn answered(&self) {
        self.silent.store(0, Ordering::Relaxed);
    }

    /// Returns the number of the connection, if there is one.
    pub(super) fn established(&self) -> Option<u64> {
        let current = self.current.lock();
        let established = current.attempt.as_ref()?.peek()?.is_ok();
        established.then_some(current.id)
    }

    /// Records a timeout of an operation, and the connection that was [established](Link::established) when it
    /// began. One that was made meanwhile is kept: most of the time went into making it. A single server may have
    /// vanished silently, so its connection is dropped. In a cluster one node may be down, which is no reason to
    /// drop the others, so the connection is dropped only after several timeouts in a row.
    pub(super) fn silent(&self, established: Option<u64>) {
        let often = self.silent.fetch_add(1, Ordering::Relaxed) >= TIMEOUTS_UNTIL_DROPPED;
        let mut current = self.current.lock();
        let connection = current.attempt.as_ref().and_then(|attempt| attempt.peek());
        let is_cluster = matches!(connection, Some(Ok(Connection::Cluster(_))));
        if established == Some(current.id) && (often || !is_cluster) {
            current.attempt = None;
        }
    }

    fn start(&self, current: &mut Current) -> (u64, Attempt) {
        let (target, limit) = (self.target.clone(), self.limit);
        let connect = async move {
            let late = |_| {
                Err(format!(
                    "no connection within {} s",
                    CONNECT_TIMEOUT.as_secs()
                ))
            };
            tokio::time::timeout(CONNECT_TIMEOUT, target.connect(limit))
                .await
                .unwrap_or_else(late)
        };
        let attempt = connect.boxed().shared();
        current.id += 1;
        current.attempt = Some(attempt.clone());
        let id = current.id;
        let kept = Arc::clone(&self.current);
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
    let mut current = current.lock();
    if current.id == id {
        current.attempt = None;
    }
}

/// Limit for one attempt: allows for a distant Redis with TLS, or three sentinels of which two are down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Number of timeouts in a row before a cluster connection is dropped.
const TIMEOUTS_UNTIL_DROPPED: u32 = 4;

/// What the text of an error in a script contains, and its code.
const SCRIPT_ERRORS: [(&str, &str); 7] = [
    ("-READONLY ", "READONLY"),
    ("-MASTERDOWN ", "MASTERDOWN"),
    ("-OOM ", "OOM"),
    ("-MISCONF ", "MISCONF"),
    ("can't run this command", "NOPERM"),
    ("ACL failure in script", "NOPERM"),
    ("can't access at least one of the keys", "NOPERM"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_a_script_has_the_code_of_its_command() {
        for (answer, code) in [
            (
                "ERR Error running script (call to f_1): @user_script:14: @user_script: 14: -READONLY You can't write against a read only replica.",
                "READONLY",
            ),
            (
                "ERR Error running script (call to f_1): @user_script:2: -OOM command not allowed when used memory > 'maxmemory'.",
                "OOM",
            ),
            (
                "ERR Error running script (call to f_1): @user_script:2: The user executing the script can't run this command or subcommand",
                "NOPERM",
            ),
            (
                "ERR ACL failure in script: User wx has no permissions to run the 'set' command script: 1, on @user_script:14.",
                "NOPERM",
            ),
            (
                "READONLY You can't write against a read only replica. script: 1, on @user_script:14.",
                "READONLY",
            ),
            ("ERR unknown command 'X'", "ERR"),
        ] {
            let parsed = redis::parse_redis_value(format!("-{answer}\r\n").as_bytes());
            let error = parsed.and_then(redis::Value::extract_error).unwrap_err();
            assert_eq!(code_of(&error), Some(code), "{answer}");
        }
    }
}
