//! The SQL store: shared by many processes in PostgreSQL, MySQL or MariaDB, or by those of one machine in an
//! SQLite file.
//!
//! Every operation ends within a time limit; connecting continues in the background. Each compare-and-set is one
//! statement on one row, so that no lock is held between two of them. Records are those of the other stores;
//! beside a credential's record stand the two columns that are compared.

mod dialect;
mod documents;
mod error;
mod link;
mod presence;
mod quota;
mod schema;
mod sqlite_file;
mod target;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use sqlx::any::{AnyQueryResult, AnyRow};
use sqlx::{AssertSqlSafe, Executor as _, FromRow};

use self::dialect::Dialect;
use self::error::Failure;
use self::link::Link;
use self::schema::Schema;
use self::target::Target;
use super::ignored::{Ignored, NoRecord};
use super::record::{read_credential, write_credential};
use super::rules::millis;
use super::{BOUND, EncryptionKeys, Inner, Saved, Store, StoreError};
use crate::credential::Credential;

/// The SQL store.
pub(super) struct SqlStore {
    link: Link,
    dialect: Dialect,
    place: String,
    prefix: String,
    bound: Duration,
    /// The records that cannot be parsed.
    unparsable: Ignored,
    /// When old rows are removed again.
    prune_at: AtomicU64,
}

/// A value of a statement.
#[derive(Clone, Copy)]
enum Value<'a> {
    Number(i64),
    Text(&'a str),
}
use Value::{Number, Text};

impl Store {
    /// Returns a store in PostgreSQL, MySQL or MariaDB, for many processes, or in an SQLite file, for those of
    /// one machine. Connects on first use, creates its tables if needed, and reconnects when the connection
    /// is lost.
    ///
    /// `postgres://user:password@host[:5432]/database`, `mysql://…`, `mariadb://…`, `sqlite:///path`. TLS by
    /// the options of the URL (`sslmode`, `sslrootcert`; `ssl-mode`, `ssl-ca`). Every operation ends within
    /// 250 ms, if necessary with an error. Table names start with `table_prefix`.
    ///
    /// The connections belong to the runtime in which this is called, and the store cannot be used after it has ended;
    /// outside of a runtime, to that of the operation that connects.
    ///
    /// # Errors
    /// [`StoreError::Address`] if the URL or the prefix is invalid, [`StoreError::NoThread`] if the thread for the file
    /// of SQLite cannot be started.
    pub fn sql(url: &str, table_prefix: &str) -> Result<Self, StoreError> {
        Self::sql_within(url, table_prefix, BOUND)
    }

    /// [`Store::sql`] with another time limit for operations. Refreshes wait that long for a database that
    /// does not answer.
    ///
    /// # Errors
    /// As [`Store::sql`].
    pub fn sql_within(url: &str, table_prefix: &str, limit: Duration) -> Result<Self, StoreError> {
        let sql = SqlStore::new(url, table_prefix, limit)?;
        let place = sql.place.clone();
        Ok(Self::new(Inner::Sql(Arc::new(sql)), "sql", &place))
    }

    /// Returns whether the names of the tables of [`Store::sql`] may start with this text: at most 32 lower-case
    /// letters, digits and underscores, no digit first.
    pub fn is_table_prefix(text: &str) -> bool {
        text.len() <= 32
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && !text.starts_with(|first: char| first.is_ascii_digit())
    }

    /// Returns the file of a `sqlite:` URL, which [`Store::sql`] creates on first use.
    pub fn sqlite_file(url: &str) -> Option<String> {
        Target::parse(url).ok()?.file
    }

    /// Returns the statements that create the tables of [`Store::sql`], for an administrator.
    ///
    /// # Errors
    /// As [`Store::sql`].
    pub fn sql_schema(url: &str, table_prefix: &str) -> Result<String, StoreError> {
        let Target { dialect, .. } = Target::parse(url)?;
        Ok(Schema::new(dialect, target::prefix(table_prefix)?).ddl())
    }
}

impl SqlStore {
    /// Parses the address; does not connect. Every operation ends within `bound`.
    pub(super) fn new(url: &str, prefix: &str, bound: Duration) -> Result<Self, StoreError> {
        let target = Target::parse(url)?;
        let schema = Schema::new(target.dialect, target::prefix(prefix)?);
        Ok(Self {
            dialect: target.dialect,
            place: target.place.clone(),
            link: Link::new(target, schema)?,
            prefix: prefix.to_owned(),
            bound,
            unparsable: Ignored::default(),
            prune_at: AtomicU64::new(0),
        })
    }

    /// Uses one query.
    pub(super) async fn load_many(
        &self,
        names: &[String],
    ) -> Result<Vec<Option<Credential>>, StoreError> {
        let records: HashMap<String, String> = self
            .bounded(self.named("credentials", "record", names))
            .await?;
        let read = |name: &String| {
            let record = records.get(name)?;
            self.ok_or_log_once(name, read_credential(name, record))
        };
        Ok(names.iter().map(read).collect())
    }

    /// Saves the newer of this and the stored credential; `outdated` is replaced in any case.
    pub(super) async fn save(
        &self,
        name: &str,
        credential: &Credential,
        outdated: Option<&Credential>,
        keys: &EncryptionKeys,
    ) -> Result<Saved, StoreError> {
        let record = write_credential(name, credential);
        let [generation, end] = [credential.generation, credential.expires_at.0].map(number);
        let outdated = outdated.map(|outdated| write_credential(name, outdated));
        let mut replaced = outdated.unwrap_or_default();
        let of_known_key = keys
            .ids()
            .map(|id| format!(" OR record LIKE '% sealed:{id}:%'"));
        let of_known_key = of_known_key.collect::<String>();
        let update = format!(
            "UPDATE {{}}credentials SET generation = ?, expires_at = ?, record = ? WHERE name = ? \
             AND (((generation < ? OR (generation = ? AND expires_at > ?)) \
             AND (expires_at <= ? OR record NOT LIKE '% sealed:%'{of_known_key})) OR record = ?)"
        );
        self.bounded(async {
            loop {
                let values = [
                    generation,
                    end,
                    Text(&record),
                    Text(name),
                    generation,
                    generation,
                    end,
                    number(credential.issued_at.0),
                    Text(&replaced),
                ];
                let insert =
                    "INTO {}credentials (name, generation, expires_at, record) VALUES (?, ?, ?, ?)";
                let row = [Text(name), generation, end, Text(&record)];
                if self.changed(&update, &values).await? || self.inserted(insert, &row).await? {
                    return Ok(Saved::Stored);
                }
                let stored = self.text("credentials", name).await?;
                let Some(stored) = stored.filter(|stored| *stored != record) else {
                    return Ok(Saved::Stored);
                };
                match self.ok_or_log_once(name, read_credential(name, &stored)) {
                    // Else another process inserted an older one between two statements.
                    Some(newer)
                        if !credential.replaces(&newer) || keys.protect(&newer, credential) =>
                    {
                        return Ok(Saved::Newer(newer));
                    }
                    Some(_) => {}
                    None => replaced = stored,
                }
            }
        })
        .await
    }

    /// Returns whether the lease was free, and is now the owner's. A statement that is repeated after a lost
    /// answer finds the owner's own lease.
    pub(super) async fn lease(
        &self,
        name: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let ttl = number(millis(ttl).max(1));
        let now = self.dialect.now();
        let update = format!(
            "UPDATE {{}}leases SET owner = ?, expires_at = {now} + ? WHERE name = ? AND (owner = ? OR expires_at <= {now})"
        );
        let insert = format!("INTO {{}}leases (name, owner, expires_at) VALUES (?, ?, {now} + ?)");
        let (name, owner) = (Text(name), Text(owner));
        self.bounded(async {
            let values = [owner, ttl, name, owner];
            Ok(self.changed(&update, &values).await?
                || self.inserted(&insert, &[name, owner, ttl]).await?)
        })
        .await
    }

    pub(super) async fn release(&self, name: &str, owner: &str) -> Result<(), StoreError> {
        let delete = "DELETE FROM {}leases WHERE name = ? AND owner = ?";
        let values = [Text(name), Text(owner)];
        self.bounded(self.changed(delete, &values)).await.map(drop)
    }

    /// Writes nothing, but fails on a server that does not accept writes.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let delete = "DELETE FROM {}leases WHERE name = ?";
        self.bounded(self.changed(delete, &[Text("")]))
            .await
            .map(drop)
    }

    /// Returns a column of the rows with these names.
    async fn named<T>(
        &self,
        table: &str,
        column: &str,
        names: &[String],
    ) -> Result<HashMap<String, T>, Failure>
    where
        (String, T): for<'r> FromRow<'r, AnyRow>,
    {
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let places = vec!["?"; names.len()].join(", ");
        let select = format!("SELECT name, {column} FROM {{}}{table} WHERE name IN ({places})");
        let values: Vec<_> = names.iter().map(|name| Text(name)).collect();
        let rows: Vec<(String, T)> = self.rows(&select, &values).await?;
        Ok(rows.into_iter().collect())
    }

    /// Returns the record with this name.
    async fn text(&self, table: &str, name: &str) -> Result<Option<String>, Failure> {
        let names = [name.to_owned()];
        let mut records = self.named(table, "record", &names).await?;
        Ok(records.remove(name))
    }

    async fn changed(&self, text: &str, values: &[Value<'_>]) -> Result<bool, Failure> {
        Ok(self.execute(text, values).await?.rows_affected() > 0)
    }

    /// Inserts a row, unless it exists.
    async fn inserted(&self, into_values: &str, values: &[Value<'_>]) -> Result<bool, Failure> {
        let insert = self.dialect.insert_if_absent(into_values);
        self.changed(&insert, values).await
    }

    async fn execute(&self, text: &str, values: &[Value<'_>]) -> Result<AnyQueryResult, Failure> {
        let mut tries = 0;
        loop {
            let query = self.query(text, values);
            let done = self.link.run(|connection| connection.execute(query)).await;
            match done {
                Ok(done) => return Ok(done),
                Err(failure) => self.again(failure, &mut tries)?,
            }
        }
    }

    async fn rows<R>(&self, text: &str, values: &[Value<'_>]) -> Result<Vec<R>, Failure>
    where
        R: for<'r> FromRow<'r, AnyRow>,
    {
        let mut tries = 0;
        loop {
            let query = self.query(text, values);
            let rows = self.link.run(|connection| connection.fetch_all(query));
            match rows.await {
                Ok(rows) => {
                    let rows = rows.iter().map(R::from_row).collect::<Result<_, _>>();
                    return rows.map_err(|error| self.dialect.classify(&error));
                }
                Err(failure) => self.again(failure, &mut tries)?,
            }
        }
    }

    /// Decides whether a statement is repeated: once if the connection was lost, for example because the
    /// server restarted or failed over; some times if another transaction was in the way.
    fn again(&self, failure: Failure, tries: &mut u32) -> Result<(), Failure> {
        *tries += 1;
        if failure.ends_connection() {
            self.link.forget();
        }
        let most = match failure {
            Failure::Lost(_) | Failure::NoTable(_) => 1,
            Failure::Busy(_) => 10,
            Failure::Schema(_) | Failure::Other(_) => 0,
        };
        if *tries > most { Err(failure) } else { Ok(()) }
    }

    /// Returns a statement; `{}` stands for the prefix of the tables.
    fn query(
        &self,
        text: &str,
        values: &[Value<'_>],
    ) -> sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments> {
        let text = self.dialect.placeholders(&text.replace("{}", &self.prefix));
        let is_list = text.contains(" IN (");
        let query = sqlx::query(AssertSqlSafe(text));
        let query = values.iter().fold(query, |query, value| match *value {
            Number(number) => query.bind(number),
            Text(text) => query.bind(text.to_owned()),
        });
        // Lists have many lengths: each would be a prepared statement.
        query.persistent(!is_list)
    }

    fn ok_or_log_once<T>(&self, name: &str, read: Result<T, NoRecord>) -> Option<T> {
        self.unparsable.ok_or_log_once(&self.place, name, read)
    }

    /// Runs the work with the timeout of store operations.
    async fn bounded<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, StoreError> {
        let place = self.place.clone();
        let attempts = self.link.attempts();
        match tokio::time::timeout(self.bound, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(Failure::Schema(problem))) => Err(StoreError::Schema { place, problem }),
            Ok(Err(failure)) => Err(StoreError::Unavailable {
                place,
                problem: failure.problem(),
            }),
            Err(_) => {
                // The idle connections may lead to the same server that is gone, unless most of the time went
                // into connecting.
                if attempts == self.link.attempts() {
                    self.link.drop_idle();
                }
                Err(self.slow())
            }
        }
    }

    fn slow(&self) -> StoreError {
        StoreError::Slow {
            place: self.place.clone(),
            within: self.bound,
        }
    }
}

/// Returns a number as the database holds it.
fn number(number: u64) -> Value<'static> {
    Number(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;
    use crate::store::Node;
    use tokio::runtime::Builder;

    fn sqlite(directory: &tempfile::TempDir, bound: Duration) -> SqlStore {
        let url = format!("sqlite://{}/store.sqlite", directory.path().display());
        SqlStore::new(&url, "", bound).unwrap()
    }

    #[tokio::test]
    async fn a_disk_that_hangs_stops_neither_the_runtime_nor_the_next_caller() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = sqlite(&directory, Duration::from_secs(20));
        let (node, now) = (Node::new("web-1"), UnixTime(1_704_067_200));
        store.announce(&node, now).await.unwrap();
        store.bound = Duration::from_millis(20);
        let release = store.link.hang();
        assert_eq!(store.announce(&node, now).await, Err(store.slow()));
        store.link.forget();
        store.bound = Duration::from_secs(20);
        let error = store.ping().await.unwrap_err().to_string();
        assert!(error.contains("its disk does not answer"), "{error}");
        drop(release);
        while store.ping().await.is_err() {
            tokio::task::yield_now().await;
        }
        assert_eq!(store.announce(&node, now).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_connection_outlives_the_runtime_that_asked_for_it_first() {
        let directory = tempfile::tempdir().unwrap();
        let store = sqlite(&directory, Duration::from_secs(20));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let other = Builder::new_current_thread().enable_time().build().unwrap();
                other.block_on(async {
                    tokio::select! {
                        biased;
                        _ = store.ping() => panic!("it did not have to connect"),
                        () = std::future::ready(()) => {}
                    }
                });
            });
        });
        assert_eq!(store.ping().await, Ok(()));
        assert_eq!(store.link.attempts(), 1, "the second one found it");
    }
}
