//! Calls of each day, blocks of endpoints, and forced refreshes.

use std::time::Duration;

use super::{RedisStore, SLACK, millis, script};
use crate::clock::UnixTime;
use crate::credential::{AppKey, CredentialKey};
use crate::store::ignored::NoRecord;
use crate::store::rules::{Force, block_name, calls_name, force_name, shanghai_day};
use crate::store::{Claim, StoreError};

impl RedisStore {
    pub(in crate::store) async fn count_call(
        &self,
        app: &AppKey,
        endpoint: &str,
        now: UnixTime,
    ) -> Result<u64, StoreError> {
        let key = self.key(&calls_name(app, endpoint, shanghai_day(now)));
        self.bounded(self.run(&script(
            COUNT,
            &key,
            &[millis(TWO_DAYS).to_string().as_bytes()],
        )))
        .await
    }

    /// Uses one request. A value that is not a number counts as 0.
    pub(in crate::store) async fn calls_many(
        &self,
        of: &[(&AppKey, &str)],
        now: UnixTime,
    ) -> Result<Vec<u64>, StoreError> {
        let day = shanghai_day(now);
        let names = of
            .iter()
            .map(|(app, endpoint)| calls_name(app, endpoint, day));
        let counts = self.numbers(&names.collect::<Vec<_>>()).await?;
        Ok(counts.into_iter().map(|count| count.unwrap_or(0)).collect())
    }

    /// Returns the numbers with these names.
    async fn numbers(&self, names: &[String]) -> Result<Vec<Option<u64>>, StoreError> {
        let numbers = self.get_many(names).await?;
        let read = |(name, text): (&String, Option<Vec<u8>>)| {
            let text = std::str::from_utf8(&text?)
                .map_err(|_| NoRecord::torn())
                .and_then(number);
            self.usable(name, text)
        };
        Ok(names.iter().zip(numbers).map(read).collect())
    }

    pub(in crate::store) async fn set_block(
        &self,
        app: &AppKey,
        endpoint: &str,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let mut cmd = redis::cmd("SET");
        let keep = millis(until.since(now) + SLACK);
        cmd.arg(self.key(&block_name(app, endpoint)))
            .arg(until.0)
            .arg("PX")
            .arg(keep);
        self.bounded(self.run(&cmd)).await
    }

    /// Uses one request. A value that is not a number is no block.
    pub(in crate::store) async fn blocked_many(
        &self,
        of: &[(&AppKey, &str)],
        now: UnixTime,
    ) -> Result<Vec<Option<UnixTime>>, StoreError> {
        let names = of.iter().map(|(app, endpoint)| block_name(app, endpoint));
        let blocks = self.numbers(&names.collect::<Vec<_>>()).await?;
        let until = |until: Option<u64>| until.map(UnixTime).filter(|until| *until > now);
        Ok(blocks.into_iter().map(until).collect())
    }

    /// Decides here, by the rule of all stores, and stores the result only if no other process has made a
    /// claim meanwhile.
    pub(in crate::store) async fn claim_force(
        &self,
        key: &CredentialKey,
        now: UnixTime,
        min_gap: Duration,
        daily: Option<u32>,
    ) -> Result<Claim, StoreError> {
        let name = force_name(key);
        self.bounded(async {
            loop {
                let text = self.get(&name).await?;
                let stored = text.as_deref().and_then(|text| {
                    self.usable(&name, Force::read(text).ok_or_else(NoRecord::torn))
                });
                let (claim, Some(remember)) = Force::claim(stored, now, min_gap, daily) else {
                    return Ok(Force::claim(stored, now, min_gap, daily).0);
                };
                let (seen, keep) = (text.unwrap_or_default(), millis(TWO_DAYS).to_string());
                let cmd = script(
                    SWAP,
                    &self.key(&name),
                    &[
                        seen.as_bytes(),
                        remember.write().as_bytes(),
                        keep.as_bytes(),
                    ],
                );
                if self.run::<bool>(&cmd).await? {
                    return Ok(claim);
                }
            }
        })
        .await
    }
}

fn number(text: &str) -> Result<u64, NoRecord> {
    text.parse().map_err(|_| NoRecord::torn())
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
