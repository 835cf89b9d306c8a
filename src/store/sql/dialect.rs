//! What differs between PostgreSQL, MySQL (also MariaDB) and SQLite.

/// A family of databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    MySql,
    Sqlite,
}

impl Dialect {
    /// Returns the current time of the server in milliseconds, as an expression.
    pub(super) fn now(self) -> &'static str {
        match self {
            Self::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
            // The session's time zone is UTC, so that no hour is ambiguous.
            Self::MySql => "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
            Self::Sqlite => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
        }
    }

    /// Returns an INSERT that does nothing if the row exists.
    pub(super) fn insert_if_absent(self, into_values: &str) -> String {
        match self {
            Self::MySql => format!("INSERT IGNORE {into_values}"),
            _ => format!("INSERT {into_values} ON CONFLICT DO NOTHING"),
        }
    }

    /// Returns a statement with the placeholders of this database, from one with question marks.
    pub(super) fn placeholders(self, text: &str) -> String {
        if self != Self::Postgres {
            return text.to_owned();
        }
        let mut parts = text.split('?');
        let first = parts.next().unwrap_or_default().to_owned();
        (1..)
            .zip(parts)
            .fold(first, |sql, (number, part)| format!("{sql}${number}{part}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_marks_become_the_placeholders_of_each_database() {
        let text = "UPDATE t SET a = ? WHERE b = ? AND c = ?";
        assert_eq!(
            Dialect::Postgres.placeholders(text),
            "UPDATE t SET a = $1 WHERE b = $2 AND c = $3"
        );
        assert_eq!(Dialect::MySql.placeholders(text), text);
        assert_eq!(Dialect::Postgres.placeholders("SELECT 1"), "SELECT 1");
    }
}
