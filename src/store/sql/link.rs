//! The connections: opened on demand, at most [`MOST`], and kept while they work.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions as _, Executor as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::dialect::{Dialect, Failure};
use super::schema::Schema;
use super::target::{Target, create_private};

/// The connections of one store.
pub(super) struct Link(Arc<Inner>);

struct Inner {
    options: AnyConnectOptions,
    dialect: Dialect,
    /// The file of SQLite.
    file: Option<String>,
    schema: Schema,
    idle: Mutex<Idle>,
    places: Arc<Semaphore>,
}

#[derive(Default)]
struct Idle {
    connections: Vec<AnyConnection>,
    /// Number of times that all connections were given up.
    era: u64,
    /// The era in which all tables were there.
    checked: Option<u64>,
}

/// A connection in use. It is kept afterwards, unless a query began and did not end well.
pub(super) struct Held {
    connection: Option<AnyConnection>,
    inner: Arc<Inner>,
    era: u64,
    _place: OwnedSemaphorePermit,
}

impl Link {
    pub(super) fn new(target: Target, schema: Schema) -> Self {
        Self(Arc::new(Inner {
            options: target.options.disable_statement_logging(),
            dialect: target.dialect,
            file: target.file,
            schema,
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(match target.dialect {
                Dialect::Sqlite => 1,
                _ => MOST,
            })),
        }))
    }

    /// Returns a connection to a database that has all tables. A caller that stops waiting does not stop an
    /// attempt to connect.
    pub(super) async fn connection(&self) -> Result<Held, Failure> {
        let closed = |_| Failure::Other("the process is shutting down".to_owned());
        let place = self.0.places.clone().acquire_owned().await;
        let place = place.map_err(|_| closed(()))?;
        let (connection, era) = {
            let mut idle = self.0.idle.lock();
            (idle.connections.pop(), idle.era)
        };
        let mut held = Held {
            connection,
            inner: self.0.clone(),
            era,
            _place: place,
        };
        if held.connection.is_some() {
            return Ok(held);
        }
        let connecting = async move {
            held.connection = Some(held.inner.connect(era).await?);
            Ok(held)
        };
        tokio::spawn(connecting).await.map_err(|_| closed(()))?
    }

    /// Gives up the idle connections. Those in use are kept if they get their answers.
    pub(super) fn drop_idle(&self) {
        self.0.idle.lock().connections.clear();
    }

    /// Gives up all connections: the server restarted or failed over, or lost its tables.
    pub(super) fn forget(&self) {
        let mut idle = self.0.idle.lock();
        idle.connections.clear();
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
        if let Some(file) = &self.file {
            create_private(file);
        }
        let mut connection = self.options.connect().await.map_err(failed)?;
        if self.file.is_some() {
            connection.execute(SQLITE).await.map_err(failed)?;
        }
        if self.idle.lock().checked != Some(era) {
            self.schema.prepare(&mut connection).await?;
            self.idle.lock().checked = Some(era);
        }
        Ok(connection)
    }
}

impl Held {
    /// Takes the connection for a query.
    pub(super) fn begin(&mut self) -> Result<AnyConnection, Failure> {
        let taken = self.connection.take();
        taken.ok_or_else(|| Failure::Other("the connection is in use".to_owned()))
    }

    /// Gives the connection back after a query that got its answer.
    pub(super) fn end(&mut self, connection: AnyConnection) {
        self.connection = Some(connection);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut idle = self.inner.idle.lock();
        if let Some(connection) = self.connection.take()
            && idle.era == self.era
        {
            idle.connections.push(connection);
        }
    }
}

/// Maximum number of connections of one process; one in SQLite, where writers would wait for each other by
/// sleeping.
const MOST: usize = 8;

/// Limit for one attempt: allows for a distant server with TLS, and for creating the tables.
const CONNECT: Duration = Duration::from_secs(5);

/// Pause before another attempt to connect while other processes are in the way.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// Several processes may read while one writes. A commit survives the end of the process; after a power
/// failure the last ones may be missing, which costs a call each.
const SQLITE: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 200";
