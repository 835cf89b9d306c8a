//! Calls of each day, blocks of endpoints, and refreshes on request.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::dialect::Dialect;
use super::error::Failure;
use super::{SqlStore, Text, Value, number};
use crate::clock::UnixTime;
use crate::store::quota::Numbers;
use crate::store::rules::{KEPT, RefreshClaims, shanghai_day};
use crate::store::{Claim, StoreError};

impl SqlStore {
    pub(in crate::store) async fn count_call(
        &self,
        name: &str,
        now: UnixTime,
    ) -> Result<u64, StoreError> {
        let day = shanghai_day(now);
        let insert = "INSERT INTO {}calls (name, day, calls) VALUES (?, ?, 1)";
        let values = [Text(name), number(day)];
        self.bounded(async {
            if self.dialect == Dialect::MySql {
                let count = format!("{insert} ON DUPLICATE KEY UPDATE calls = LAST_INSERT_ID(calls + 1)");
                let done = self.execute(&count, &values).await?;
                return Ok(match done.rows_affected() {
                    1 => 1,
                    _ => done.last_insert_id().map_or(0, i64::unsigned_abs),
                });
            }
            let count = format!(
                "{insert} ON CONFLICT (name) DO UPDATE SET calls = {{}}calls.calls + 1 RETURNING calls"
            );
            let rows: Vec<(i64,)> = self.rows(&count, &values).await?;
            Ok(rows.first().map_or(0, |(count,)| count.unsigned_abs()))
        })
        .await
    }

    /// Returns the numbers with these names. Uses one query.
    pub(in crate::store) async fn numbers(
        &self,
        of: Numbers,
        names: &[String],
    ) -> Result<Vec<Option<u64>>, StoreError> {
        let (table, column) = match of {
            Numbers::Calls => ("calls", "calls"),
            Numbers::Blocks => ("blocks", "blocked_until"),
        };
        let numbers: HashMap<String, i64> = self.bounded(self.named(table, column, names)).await?;
        let number = |name: &String| Some(numbers.get(name)?.unsigned_abs());
        Ok(names.iter().map(number).collect())
    }

    pub(in crate::store) async fn set_block(
        &self,
        name: &str,
        until: UnixTime,
        _now: UnixTime,
    ) -> Result<(), StoreError> {
        let until = number(until.0);
        let update = "UPDATE {}blocks SET blocked_until = ? WHERE name = ?";
        let insert = "INTO {}blocks (name, blocked_until) VALUES (?, ?)";
        self.bounded(async {
            // A row that another process inserts in between is updated in the next round.
            while !self.changed(update, &[until, Text(name)]).await?
                && !self.inserted(insert, &[Text(name), until]).await?
            {}
            Ok(())
        })
        .await
    }

    /// Decides here, by the rule of all stores, and stores the result only if no other process has made a
    /// claim meanwhile.
    pub(in crate::store) async fn claim_refresh(
        &self,
        name: &str,
        now: UnixTime,
        min_gap: Duration,
        daily: Option<u32>,
    ) -> Result<Claim, StoreError> {
        let update = "UPDATE {}refresh_limits SET record = ? WHERE name = ? AND record = ?";
        let insert = "INTO {}refresh_limits (name, record) VALUES (?, ?)";
        self.bounded(async {
            loop {
                let text = self.text("refresh_limits", name).await?;
                let stored = text
                    .as_deref()
                    .and_then(|text| self.ok_or_log_once(name, RefreshClaims::read(text)));
                let (claim, remember) = RefreshClaims::claim(stored, now, min_gap, daily);
                let Some(remember) = remember else {
                    return Ok(claim);
                };
                let record = remember.write();
                let (name, record) = (Text(name), Text(&record));
                let done = match &text {
                    Some(seen) => self.changed(update, &[record, name, Text(seen)]).await?,
                    None => self.inserted(insert, &[name, record]).await?,
                };
                if done {
                    return Ok(claim);
                }
            }
        })
        .await
    }

    /// Removes rows that are no longer needed, once a day: some of each table at a time, so that no statement
    /// locks others out for long.
    /// A failure is logged, and the next attempt is an hour later.
    pub(super) async fn prune(&self, now: UnixTime) {
        if now.0 < self.prune_at.load(Ordering::Relaxed) {
            return;
        }
        let yesterday = number(shanghai_day(now).saturating_sub(1));
        let long_ago = now.0.saturating_sub(KEPT.as_secs());
        // A record begins with the time of the last refresh, in ten digits until the year 2286.
        let oldest = long_ago.to_string();
        let long_ago = number(long_ago);
        let (mut is_done, mut has_failed) = (true, false);
        for (table, condition, value) in [
            ("blocks", "blocked_until < ?", long_ago),
            ("credentials", "expires_at < ?", long_ago),
            ("refresh_limits", "record < ?", Text(&oldest)),
            ("documents", "expires_at <= ?", number(now.0)),
            ("calls", "day < ?", yesterday),
        ] {
            match self.bounded(self.prune_some(table, condition, value)).await {
                Ok(all) => is_done &= all,
                Err(error) => {
                    has_failed = true;
                    tracing::warn!(table, %error, "old rows could not be removed");
                }
            }
        }
        let next = match (has_failed, is_done) {
            (true, _) => now.plus(PAUSE),
            (false, true) => now.next_shanghai_midnight(),
            (false, false) => return,
        };
        self.prune_at.store(next.0, Ordering::Relaxed);
    }

    /// Removes some rows, and returns whether these were all.
    async fn prune_some(
        &self,
        table: &str,
        condition: &str,
        value: Value<'_>,
    ) -> Result<bool, Failure> {
        let select = format!("SELECT name FROM {{}}{table} WHERE {condition} LIMIT {AT_ONCE}");
        let names: Vec<(String,)> = self.rows(&select, &[value]).await?;
        if names.is_empty() {
            return Ok(true);
        }
        // The condition again: another process may have written a row meanwhile.
        let places = vec!["?"; names.len()].join(", ");
        let delete = format!("DELETE FROM {{}}{table} WHERE {condition} AND name IN ({places})");
        let values = names.iter().map(|(name,)| Text(name));
        let values: Vec<_> = [value].into_iter().chain(values).collect();
        self.changed(&delete, &values).await?;
        Ok(names.len() < AT_ONCE)
    }
}

/// Time after a failed removal of old rows.
const PAUSE: Duration = Duration::from_secs(3_600);

/// Number of rows of a table that are removed at once.
const AT_ONCE: usize = 500;
