//! The tables. Created at the first connection, by one process at a time.

use sqlx::{AnyConnection, AssertSqlSafe, Executor as _, Row as _};

use super::dialect::Dialect;
use super::error::Failure;
use crate::store::error::table_problem::NEWER;

/// The tables of one installation.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    dialect: Dialect,
    prefix: String,
}

impl Schema {
    pub(super) fn new(dialect: Dialect, prefix: &str) -> Self {
        let prefix = prefix.to_owned();
        Self { dialect, prefix }
    }

    /// Returns the statements that create all tables, each ending with a semicolon and a line break.
    pub(super) fn ddl(&self) -> String {
        let Self { dialect, prefix } = self;
        let end = match dialect {
            // Otherwise two names that differ in case would be one, and the name of a node might not fit.
            Dialect::MySql => " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;\n",
            _ => ";\n",
        };
        let table = |table: &str| format!("CREATE TABLE IF NOT EXISTS {prefix}{table}{end}");
        let tables: String = TABLES.into_iter().map(table).collect();
        let version = format!("INTO {prefix}schema (version) VALUES ({VERSION})");
        format!("{tables}{};\n", dialect.insert_if_absent(&version))
    }

    /// Makes sure that all tables exist, in this version.
    pub(super) async fn prepare(&self, connection: &mut AnyConnection) -> Result<(), Failure> {
        match self.version(connection).await {
            Ok(Some(VERSION)) => return Ok(()),
            Ok(Some(newer)) if newer > VERSION => {
                return Err(Failure::Schema(format!(
                    "its tables have version {newer}, and this program knows version {VERSION}: {NEWER}"
                )));
            }
            Ok(_) | Err(Failure::NoTable(_)) => {}
            Err(failure) => return Err(failure),
        }
        self.create(connection).await?;
        tracing::info!(prefix = %self.prefix, "tables of the store prepared");
        Ok(())
    }

    /// Returns the version of the tables, if all are there.
    async fn version(&self, connection: &mut AnyConnection) -> Result<Option<i64>, Failure> {
        let prefix = &self.prefix;
        let others = TABLES.iter().filter_map(|table| {
            let (name, columns) = table.split_once(" (")?;
            let (key, _) = columns.split_once(' ')?;
            let look = format!(" AND NOT EXISTS (SELECT 1 FROM {prefix}{name} WHERE {key} = '')");
            (name != "schema").then_some(look)
        });
        let looks: String = others.collect();
        let text = format!(
            "SELECT version FROM {prefix}schema WHERE version > 0{looks} ORDER BY version DESC"
        );
        let failed = |error| self.dialect.classify(&error);
        let row = sqlx::query(AssertSqlSafe(text)).fetch_optional(connection);
        match row.await.map_err(failed)? {
            Some(row) => row.try_get(0).map(Some).map_err(failed),
            None => Ok(None),
        }
    }

    async fn create(&self, connection: &mut AnyConnection) -> Result<(), Failure> {
        let (ddl, prefix) = (self.ddl(), &self.prefix);
        // A failure ends the connection, and with it the lock.
        let texts = match self.dialect {
            Dialect::Postgres => vec![format!(
                "DO $$ BEGIN PERFORM set_config('client_min_messages', 'warning', true); PERFORM pg_advisory_xact_lock({LOCK}); {ddl} END $$"
            )],
            Dialect::Sqlite => vec![format!("BEGIN IMMEDIATE; {ddl} COMMIT")],
            Dialect::MySql => {
                let mut texts = vec![format!("DO GET_LOCK('{prefix}schema', 5)")];
                texts.extend(
                    ddl.lines()
                        .map(|line| line.trim_end_matches(';').to_owned()),
                );
                texts.push(format!("DO RELEASE_LOCK('{prefix}schema')"));
                texts
            }
        };
        for text in texts {
            let done = connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await;
            done.map_err(|error| self.dialect.classify(&error))?;
        }
        Ok(())
    }
}

/// The tables with their columns; the first column is the key. Times are in milliseconds (leases, nodes: by
/// the server's clock) or seconds.
const TABLES: [&str; 8] = [
    "schema (version BIGINT NOT NULL PRIMARY KEY)",
    "credentials (name VARCHAR(190) NOT NULL PRIMARY KEY, generation BIGINT NOT NULL, expires_at BIGINT NOT NULL, record VARCHAR(8000) NOT NULL)",
    "leases (name VARCHAR(190) NOT NULL PRIMARY KEY, owner VARCHAR(190) NOT NULL, expires_at BIGINT NOT NULL)",
    "calls (name VARCHAR(190) NOT NULL PRIMARY KEY, day BIGINT NOT NULL, calls BIGINT NOT NULL)",
    "blocks (name VARCHAR(190) NOT NULL PRIMARY KEY, blocked_until BIGINT NOT NULL)",
    "refresh_limits (name VARCHAR(190) NOT NULL PRIMARY KEY, record VARCHAR(190) NOT NULL)",
    "nodes (node VARCHAR(190) NOT NULL PRIMARY KEY, seen_at BIGINT NOT NULL)",
    "documents (name VARCHAR(190) NOT NULL PRIMARY KEY, version BIGINT NOT NULL, expires_at BIGINT NOT NULL, record VARCHAR(8000) NOT NULL)",
];

/// The version of [`TABLES`]. Version 1 had no documents. An older version is upgraded by creating the
/// tables that are missing.
const VERSION: i64 = 2;

/// The number of PostgreSQL's advisory lock.
const LOCK: i64 = 7_795_264_881;
