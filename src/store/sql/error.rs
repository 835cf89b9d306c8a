//! The databases' errors: what to do about each, and the words for the operator.

use std::fmt::Display;
use std::io::ErrorKind;

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

use super::dialect::Dialect;
use crate::store::error::table_problem::{NO_SEARCH_PATH, NOT_ALLOWED, OTHER_COLUMNS};

/// What to do about an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection is lost, or leads to a server that cannot be written to: connect again.
    Lost(String),
    /// Another transaction was in the way: repeat at once.
    Busy(String),
    /// A table is missing: connect again, which creates it.
    NoTable(String),
    /// The tables cannot be created or used: an operator has to act, and the next operation connects again.
    Schema(String),
    /// Anything else.
    Other(String),
}

impl Failure {
    /// Whether the connection is of no further use. New rights apply to new connections.
    pub(super) fn ends_connection(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::NoTable(_) | Self::Schema(_))
    }

    /// Returns the cause, without a value or a password.
    pub(super) fn problem(self) -> String {
        match self {
            Self::Lost(problem)
            | Self::Busy(problem)
            | Self::NoTable(problem)
            | Self::Schema(problem)
            | Self::Other(problem) => problem,
        }
    }
}

impl Dialect {
    /// Classifies an error, in words that say what to do.
    pub(super) fn classify(self, error: &sqlx::Error) -> Failure {
        match error {
            sqlx::Error::Database(error) => match self {
                Self::Postgres => postgres(&error.code().unwrap_or_default()),
                Self::MySql => mysql(error.as_ref()),
                Self::Sqlite => sqlite(error.as_ref()),
            },
            // rustls reports a certificate that it does not trust as invalid data.
            sqlx::Error::Io(error) if error.kind() == ErrorKind::InvalidData => tls(error),
            sqlx::Error::Io(error) => Failure::Lost(error.to_string()),
            sqlx::Error::Tls(error) => tls(error),
            sqlx::Error::Configuration(_) => {
                Failure::Other("store.url has an option that cannot be used".to_owned())
            }
            sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => {
                Failure::Lost("the connection broke".to_owned())
            }
            _ => Failure::Other("it gave an answer that does not fit its tables".to_owned()),
        }
    }
}

/// The connection is of no further use, whether it was being made or had been made.
fn tls(error: impl Display) -> Failure {
    Failure::Lost(format!(
        "TLS: {error}; SSL_CERT_FILE or the URL's options name the trusted certificates"
    ))
}

fn postgres(state: &str) -> Failure {
    let (make, words): (fn(String) -> Failure, &str) = match state {
        "28P01" | "28000" => (Failure::Other, REFUSED),
        "3D000" => (Failure::Other, NO_DATABASE),
        "42501" => (Failure::Schema, NOT_ALLOWED),
        "3F000" => (Failure::Schema, NO_SEARCH_PATH),
        "42P01" => (Failure::NoTable, NO_TABLE),
        "42703" | "42P10" => (Failure::Schema, OTHER_COLUMNS),
        "25006" => (Failure::Lost, READ_ONLY),
        "57P01" | "57P02" | "57P03" => (Failure::Lost, "it is starting or shutting down"),
        "57P05" => (Failure::Lost, IDLE),
        "55P03" => (Failure::Busy, BUSY),
        "53300" => (Failure::Other, TOO_MANY),
        "53100" => (Failure::Other, DISK_FULL),
        // Rolled back: a deadlock, or concurrent updates.
        _ if state.starts_with("40") => (Failure::Busy, BUSY),
        _ if state.starts_with("08") => (Failure::Lost, "the connection broke"),
        _ => return Failure::Other(format!("error {state}")),
    };
    make(format!("{words} (error {state})"))
}

fn mysql(error: &dyn DatabaseError) -> Failure {
    let number = error.try_downcast_ref::<MySqlDatabaseError>();
    let number = number.map_or(0, MySqlDatabaseError::number);
    let (make, words): (fn(String) -> Failure, &str) = match number {
        1045 | 1698 => (Failure::Other, REFUSED),
        1044 | 1142 | 1143 | 1227 => (Failure::Schema, NOT_ALLOWED),
        1049 => (Failure::Other, NO_DATABASE),
        1146 => (Failure::NoTable, NO_TABLE),
        1054 => (Failure::Schema, OTHER_COLUMNS),
        1290 | 1792 | 1836 => (Failure::Lost, READ_ONLY),
        1053 | 1077 | 1079 | 1927 => (Failure::Lost, "it is shutting down"),
        4031 => (Failure::Lost, IDLE),
        1205 | 1213 => (Failure::Busy, BUSY),
        1040 | 1203 | 1226 => (Failure::Other, TOO_MANY),
        1021 | 1041 | 1114 => (Failure::Other, DISK_FULL),
        _ => return Failure::Other(format!("error {number}")),
    };
    make(format!("{words} (error {number})"))
}

fn sqlite(error: &dyn DatabaseError) -> Failure {
    let code = error.code().unwrap_or_default();
    let primary = code.parse::<u32>().map_or(0, |code| code & 0xff);
    let (make, words): (fn(String) -> Failure, &str) = match primary {
        1 if error.message().starts_with("no such table") => (Failure::NoTable, NO_TABLE),
        1 if error.message().contains("column") => (Failure::Schema, OTHER_COLUMNS),
        5 | 6 => (Failure::Busy, BUSY),
        8 => (Failure::Lost, "the file or its directory is read-only"),
        10 => (Failure::Lost, "the file cannot be read or written"),
        11 | 26 => (
            Failure::Lost,
            "the file is damaged or not an SQLite database: move it aside",
        ),
        13 => (Failure::Other, DISK_FULL),
        14 => (
            Failure::Lost,
            "the file cannot be opened: check its directory and permissions",
        ),
        _ => return Failure::Other(format!("error {code}")),
    };
    make(format!("{words} (error {code})"))
}

const REFUSED: &str =
    "it refuses the user of store.url, or the password there or in store.password_file";
const NO_DATABASE: &str = "the database of store.url does not exist: create it";
const NO_TABLE: &str = "a table is missing: it is created at the next connection";
const READ_ONLY: &str = "it is read-only: store.url must lead to the primary server";
const IDLE: &str = "it closed a connection that was idle";
const BUSY: &str = "other transactions were in the way";
const TOO_MANY: &str = "it accepts no more connections: each node needs 8";
const DISK_FULL: &str = "its disk is full";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgresql_errors_are_classified_by_the_required_action() {
        for (state, failure) in [
            ("40P01", Failure::Busy as fn(String) -> Failure),
            ("25006", Failure::Lost),
            ("08006", Failure::Lost),
            ("57P05", Failure::Lost),
            ("42P01", Failure::NoTable),
            ("42501", Failure::Schema),
            ("53100", Failure::Other),
            ("53300", Failure::Other),
            ("XX000", Failure::Other),
        ] {
            let found = postgres(state);
            let problem = found.clone().problem();
            assert_eq!(found, failure(problem.clone()), "{state}");
            assert!(problem.contains(state), "{problem}");
        }
    }
}
