//! The connections: opened on demand, at most [`MOST`], and kept while they work.

use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions as _, Executor as _};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

use super::dialect::Dialect;
use super::error::Failure;
use super::schema::Schema;
use super::sqlite_file::{FileId, SqliteFile};
use super::target::Target;
use crate::store::StoreError;

/// The connections of one store.
pub(super) struct Link(Arc<Inner>);

struct Inner {
    options: AnyConnectOptions,
    dialect: Dialect,
    file: Option<SqliteFile>,
    schema: Schema,
    /// Where connections are made and used: not on the thread of a server that happens to ask. `None`: where they are
    /// asked for.
    runtime: Option<Handle>,
    idle: Mutex<Idle>,
    places: Arc<Semaphore>,
}

#[derive(Default)]
struct Idle {
    connections: Vec<AnyConnection>,
    /// Number of times that all connections were given up.
    era: u64,
    /// Number of attempts to connect.
    attempts: u64,
    /// SQLite's file when it was opened.
    file_id: Option<FileId>,
    /// The era in which all tables were there.
    checked: Option<u64>,
}

/// A statement on its way to a connection.
type Running<'c, T> = Pin<Box<dyn Future<Output = Result<T, sqlx::Error>> + Send + 'c>>;

impl Link {
    pub(super) fn new(target: Target, schema: Schema) -> Result<Self, StoreError> {
        let place = &target.place;
        let file = target.file.map(|path| SqliteFile::new(path, place));
        Ok(Self(Arc::new(Inner {
            options: target.options.disable_statement_logging(),
            dialect: target.dialect,
            file: file.transpose()?,
            schema,
            runtime: Handle::try_current().ok(),
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(match target.dialect {
                Dialect::Sqlite => 1,
                _ => MOST,
            })),
        })))
    }

    /// Runs a statement on a connection to a database that has all tables. A caller that stops waiting stops
    /// neither an attempt to connect nor a statement, so that the connection is there for the next caller. A
    /// statement that has not begun by then is left out.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        statement: impl for<'c> FnOnce(&'c mut AnyConnection) -> Running<'c, T> + Send + 'static,
    ) -> Result<T, Failure> {
        let ending =
            || Failure::Other("the runtime in which the store was opened has ended".to_owned());
        let place = self.0.places.clone().acquire_owned().await;
        let place = place.map_err(|_| ending())?;
        let (idle, era) = {
            let mut idle = self.0.idle.lock();
            let connection = idle.connections.pop();
            idle.attempts += u64::from(connection.is_none());
            (connection, idle.era)
        };
        let inner = self.0.clone();
        let (caller, answer) = oneshot::channel();
        let runtime = self.0.runtime.clone();
        runtime.unwrap_or_else(Handle::current).spawn(async move {
            let connected = match idle {
                Some(connection) => Ok(connection),
                None => inner.connect(era).await,
            };
            let done = match connected {
                Ok(connection) if caller.is_closed() => return inner.keep(connection, era),
                Ok(mut connection) => {
                    let running = statement(&mut connection);
                    let answer = tokio::time::timeout(ANSWER, running).await;
                    let late = Failure::Lost("the connection gave no answer".to_owned());
                    let done = answer.map_err(|_| late);
                    let done = done.and_then(|it| it.map_err(|it| inner.dialect.classify(&it)));
                    if !done.as_ref().is_err_and(Failure::ends_connection) {
                        inner.keep(connection, era);
                    }
                    done
                }
                Err(failure) => Err(failure),
            };
            drop(place);
            let _ = caller.send(done);
        });
        answer.await.map_err(|_| ending())?
    }

    /// Returns the number of attempts to connect.
    pub(super) fn attempts(&self) -> u64 {
        self.0.idle.lock().attempts
    }

    /// Gives up the idle connections. Those in use are kept if they get their answers.
    pub(super) fn drop_idle(&self) {
        self.0.idle.lock().connections.clear();
    }

    /// Gives up the connection if another program deleted or replaced SQLite's file. Otherwise this process would
    /// continue in a file that no other process finds. `None` if the disk does not answer within `limit`.
    pub(super) async fn leave_changed_file(&self, limit: Duration) -> Option<()> {
        let known = self.0.idle.lock().file_id;
        let (Some(file), Some(known)) = (&self.0.file, known) else {
            return Some(());
        };
        let change = match file.id(limit).await? {
            Ok(found) if found == known => return Some(()),
            Ok(_) => "replaced",
            Err(error) if error.kind() == ErrorKind::NotFound => "deleted",
            Err(_) => return Some(()),
        };
        tracing::warn!(
            file = file.path(),
            change,
            "store file deleted or replaced by another program: what it lacks is written again from memory"
        );
        self.forget();
        Some(())
    }

    /// Makes the disk of SQLite's file hang until the sender is dropped.
    #[cfg(test)]
    pub(super) fn hang(&self) -> std::sync::mpsc::Sender<()> {
        self.0.file.as_ref().unwrap().hang()
    }

    /// Gives up all connections: the server restarted or failed over, or lost its tables.
    pub(super) fn forget(&self) {
        let mut idle = self.0.idle.lock();
        idle.connections.clear();
        idle.file_id = None;
        idle.era += 1;
    }
}

impl Inner {
    async fn connect(&self, era: u64) -> Result<AnyConnection, Failure> {
        let connect = async {
            loop {
                match self.open(era).await {
                    // SQLite reports at once that another process is preparing the file.
                    Err(Failure::Busy(_)) => tokio::time::sleep(BUSY_PAUSE).await,
                    opened => return opened,
                }
            }
        };
        tokio::time::timeout(CONNECT, connect)
            .await
            .unwrap_or_else(|_| {
                let problem = format!("no connection within {} s", CONNECT.as_secs());
                Err(Failure::Lost(problem))
            })
    }

    /// Opens a connection to a database that has all tables.
    async fn open(&self, era: u64) -> Result<AnyConnection, Failure> {
        let failed = |error| self.dialect.classify(&error);
        let late = || Failure::Lost("its disk does not answer".to_owned());
        if let Some(file) = &self.file {
            file.create_private(CONNECT / 2).await.ok_or_else(late)?;
        }
        let mut connection = self.options.connect().await.map_err(failed)?;
        if let Some(file) = &self.file {
            connection.execute(SQLITE).await.map_err(failed)?;
            let found = file.id(CONNECT / 2).await.ok_or_else(late)?;
            self.idle.lock().file_id = found.ok();
        }
        if self.idle.lock().checked != Some(era) {
            self.schema.prepare(&mut connection).await?;
            self.idle.lock().checked = Some(era);
        }
        Ok(connection)
    }

    fn keep(&self, connection: AnyConnection, era: u64) {
        let mut idle = self.idle.lock();
        if idle.era == era {
            idle.connections.push(connection);
        }
    }
}

/// Maximum number of connections of one process; one in SQLite, where writers would wait for each other by
/// sleeping.
const MOST: usize = 8;

/// Limit for one attempt: allows for a distant server with TLS, and for creating the tables.
const CONNECT: Duration = Duration::from_secs(5);

/// Limit for a statement whose caller no longer waits: as long as an attempt to connect.
const ANSWER: Duration = CONNECT;

/// Pause before another attempt to connect while other processes are in the way.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// Several processes may read while one writes. A commit survives the end of the process; after a power
/// failure the last ones may be missing, which costs a call each.
const SQLITE: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 200";
