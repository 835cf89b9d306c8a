//! Calls of each day, blocks of endpoints, and refreshes on request.

use std::time::Duration;

use super::{RedisStore, SLACK, script};
use crate::clock::UnixTime;
use crate::store::quota::Numbers;
use crate::store::record::number;
use crate::store::rules::{RefreshClaims, millis};
use crate::store::{Claim, StoreError};

impl RedisStore {
    pub(in crate::store) async fn count_call(
        &self,
        name: &str,
        _now: UnixTime,
    ) -> Result<u64, StoreError> {
        let keep = millis(TWO_DAYS).to_string();
        let count = script(COUNT, &[self.key(name)], &[keep.as_bytes()]);
        self.bounded(self.run(&count)).await
    }

    /// Returns the numbers with these names. Uses one request. A value that is not a number counts as absent.
    pub(in crate::store) async fn numbers(
        &self,
        _of: Numbers,
        names: &[String],
    ) -> Result<Vec<Option<u64>>, StoreError> {
        let numbers = self.get_many(names).await?;
        let read =
            |(name, text): (&String, Option<Vec<u8>>)| self.ok_or_log_once(name, &text?, number);
        Ok(names.iter().zip(numbers).map(read).collect())
    }

    pub(in crate::store) async fn set_block(
        &self,
        name: &str,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let mut cmd = redis::cmd("SET");
        let keep = millis(until.since(now) + SLACK);
        cmd.arg(self.key(name)).arg(until.0).arg("PX").arg(keep);
        self.bounded(self.run(&cmd)).await
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
        self.bounded(async {
            loop {
                let seen = self.get_many(&[name.to_owned()]).await?.pop().flatten();
                let stored = seen
                    .as_deref()
                    .and_then(|record| self.ok_or_log_once(name, record, RefreshClaims::read));
                let (claim, remember) = RefreshClaims::claim(stored, now, min_gap, daily);
                let Some(remember) = remember else {
                    return Ok(claim);
                };
                let record = remember.write();
                let keep = millis(TWO_DAYS).to_string();
                let seen = seen.unwrap_or_default();
                let arguments = [&seen, record.as_bytes(), keep.as_bytes()];
                let cmd = script(SWAP, &[self.key(name)], &arguments);
                if self.run::<bool>(&cmd).await? {
                    return Ok(claim);
                }
            }
        })
        .await
    }
}

/// A daily count is needed on its day, and on the next by people who look it up.
const TWO_DAYS: Duration = Duration::from_secs(2 * 86_400);

/// Increments a count, which expires after two days.
const COUNT: &str = r"
local n = redis.pcall('INCR', KEYS[1])
if type(n) == 'table' then redis.call('SET', KEYS[1], '1') n = 1 end
if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return n";

/// Replaces the value if it is still the expected one (empty: absent).
const SWAP: &str = r"
local stored = redis.pcall('GET', KEYS[1])
if type(stored) ~= 'string' then stored = '' end
if stored ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1";
