//! Parses the database's address from the configuration.

use std::str::FromStr as _;

use sqlx::any::AnyConnectOptions;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use url::Url;

use super::dialect::Dialect;
use crate::error::Text;
use crate::store::error::{check_options, refuse};
use crate::store::{Store, StoreError};

/// A database.
pub(super) struct Target {
    pub(super) options: AnyConnectOptions,
    pub(super) dialect: Dialect,
    /// The address without user, password and options.
    pub(super) place: String,
    /// The file of SQLite.
    pub(super) file: Option<String>,
}

impl Target {
    /// Parses `postgres://`, `mysql://`, `mariadb://` with `USER:PASSWORD@HOST[:PORT]/DATABASE[?OPTIONS]`, or
    /// `sqlite://PATH`.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let (scheme, rest) = url.split_once(':').ok_or_else(|| refuse(HOW))?;
        if scheme == "sqlite" {
            return Self::sqlite(rest);
        }
        let mut parsed = Url::parse(url).map_err(|_| refuse(HOW))?;
        let (dialect, name, port) = match scheme {
            "postgres" | "postgresql" => (Dialect::Postgres, "postgresql", 5432),
            "mysql" | "mariadb" => (Dialect::MySql, scheme, 3306),
            _ => return Err(refuse(HOW)),
        };
        let database = parsed.path().trim_start_matches('/').to_owned();
        let host = parsed.host_str().unwrap_or_default().to_owned();
        let by_option = |wanted: &str| parsed.query_pairs().any(|(key, _)| key == wanted);
        if database.is_empty() || database.contains('/') {
            return Err(refuse(Text::new(
                "name the database at the end: postgres://USER:PASSWORD@HOST/DATABASE",
                "末尾须写数据库名：postgres://用户:密码@主机/数据库",
            )));
        }
        if host.is_empty() && !by_option("host") && !by_option("socket") {
            return Err(refuse(Text::new("the host is missing", "缺少主机名")));
        }
        let options = match dialect {
            Dialect::Postgres => POSTGRES_OPTIONS,
            _ => MYSQL_OPTIONS,
        };
        check_options(rest, options, HOW)?;
        let known = match dialect {
            Dialect::Postgres => PgConnectOptions::from_str(url).map(drop),
            _ => MySqlConnectOptions::from_str(url).map(drop),
        };
        known.map_err(|_| refuse(OPTIONS))?;
        if dialect == Dialect::Postgres && !by_option("application_name") {
            parsed
                .query_pairs_mut()
                .append_pair("application_name", "wx-jssdk");
        }
        let port = parsed.port().unwrap_or(port);
        let place = match host.as_str() {
            "" => format!("{name} {database}"),
            host => format!("{name} {database} at {host}:{port}"),
        };
        Self::new(parsed.as_str(), dialect, place, None)
    }

    fn sqlite(rest: &str) -> Result<Self, StoreError> {
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if path.is_empty() || path.contains(":memory:") || query.contains("mode=memory") {
            return Err(refuse(Text::new(
                "name a file: sqlite:///var/lib/wx-jssdk/wx-jssdk.sqlite",
                "请写文件路径：sqlite:///var/lib/wx-jssdk/wx-jssdk.sqlite",
            )));
        }
        check_options(rest, SQLITE_OPTIONS, HOW)?;
        let create = match query {
            "" => "?mode=rwc".to_owned(),
            query if query.contains("mode=") => format!("?{query}"),
            query => format!("?{query}&mode=rwc"),
        };
        let url = format!("sqlite://{path}{create}");
        let options = SqliteConnectOptions::from_str(&url).map_err(|_| refuse(OPTIONS))?;
        // Without percent-encoding.
        let file = options.get_filename().to_string_lossy().into_owned();
        let place = format!("sqlite {file}");
        Self::new(&url, Dialect::Sqlite, place, Some(file))
    }

    fn new(
        url: &str,
        dialect: Dialect,
        place: String,
        file: Option<String>,
    ) -> Result<Self, StoreError> {
        // An application that installed its own drivers before keeps them.
        let _ = sqlx::any::install_drivers(&[
            sqlx::mysql::any::DRIVER,
            sqlx::postgres::any::DRIVER,
            sqlx::sqlite::any::DRIVER,
        ]);
        Ok(Self {
            options: AnyConnectOptions::from_str(url).map_err(|_| refuse(HOW))?,
            dialect,
            place,
            file,
        })
    }
}

/// Checks the prefix of the tables, which becomes a part of statements.
pub(super) fn prefix(prefix: &str) -> Result<&str, StoreError> {
    if Store::is_table_prefix(prefix) {
        return Ok(prefix);
    }
    Err(refuse(Text::new(
        "store.table_prefix must be at most 32 lower-case letters, digits and underscores",
        "store.table_prefix 应为小写字母、数字和下划线，至多 32 个字符",
    )))
}

const HOW: Text = Text::new(
    "write postgres://USER:PASSWORD@HOST[:PORT]/DATABASE, mysql://… or mariadb://… of the same form, or \
     sqlite:///PATH; other signs than letters and digits in a password as %XX",
    "应写作 postgres://用户:密码@主机[:端口]/数据库，mysql:// 与 mariadb:// 写法相同，或 sqlite:///路径；\
     密码中字母和数字以外的字符须写作 %XX",
);

const OPTIONS: Text = Text::new(
    "an option after the question mark has a wrong value",
    "问号之后的选项取值不对",
);

/// The options that sqlx reads from an address, each with its other spellings.
const POSTGRES_OPTIONS: &str = "sslmode, ssl-mode, sslrootcert, ssl-root-cert, ssl-ca, sslcert, ssl-cert, \
     sslkey, ssl-key, statement-cache-capacity, host, hostaddr, port, dbname, user, password, \
     application_name, options";
const MYSQL_OPTIONS: &str = "ssl-mode, sslmode, ssl-ca, sslca, ssl-cert, sslcert, ssl-key, sslkey, \
     statement-cache-capacity, socket, charset, collation, timezone, time-zone";
const SQLITE_OPTIONS: &str = "mode, cache, immutable, vfs";
