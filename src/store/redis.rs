//! The Redis store: shared by many processes, on one server, behind sentinels or in a cluster.
//!
//! Every operation ends within a time limit; connecting continues in the background. Each compare-and-set is
//! one script on one key, or on two with the same hash tag, so that it works in a cluster too. The values are secrets: protect Redis with a
//! password and TLS.

mod documents;
mod link;
mod presence;
mod quota;
mod target;

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, ErrorKind, FromRedisValue, RedisError};

use self::link::{Link, code_of};
use self::target::Target;
use super::ignored::{Ignored, NoRecord};
use super::record::{read_credential, write_credential};
use super::rules::millis;
use super::{BOUND, EncryptionKeys, Inner, Saved, Store, StoreError};
use crate::credential::Credential;
use crate::error::visible;

/// The Redis store.
pub(super) struct RedisStore {
    link: Link,
    place: String,
    prefix: String,
    limit: Duration,
    /// The records that cannot be parsed.
    unparsable: Ignored,
}

impl Store {
    /// Returns a store in Redis (6.0 or later), for many processes. Connects on first use, and reconnects
    /// when the connection is lost.
    ///
    /// `redis://[user:password@]host[:6379][/db]`, `rediss://` with TLS (the system's roots, or
    /// `SSL_CERT_FILE`), `redis+cluster://host,host`,
    /// `redis+sentinel://host[:26379],host/master[/db][?sentinel_password=]`. Every operation ends within
    /// 250 ms, if necessary with an error. Entry names start with `wx-jssdk:`.
    ///
    /// # Errors
    /// [`StoreError::Address`] if the URL is invalid.
    pub fn redis(url: &str) -> Result<Self, StoreError> {
        Self::redis_within(url, "wx-jssdk:", BOUND)
    }

    /// [`Store::redis`] with another name prefix, so that two installations can share one Redis, and with another
    /// time limit for operations. Refreshes wait that long for a Redis that does not answer.
    ///
    /// # Errors
    /// As [`Store::redis`].
    pub fn redis_within(url: &str, prefix: &str, limit: Duration) -> Result<Self, StoreError> {
        let (target, place) = Target::parse(url)?;
        let redis = RedisStore {
            link: Link::new(target, limit),
            place: place.clone(),
            prefix: prefix.to_owned(),
            limit,
            unparsable: Ignored::default(),
        };
        Ok(Self::new(Inner::Redis(Arc::new(redis)), "redis", &place))
    }
}

impl RedisStore {
    /// Uses one request. A value that is not a text counts as absent.
    pub(super) async fn load_many(
        &self,
        names: &[String],
    ) -> Result<Vec<Option<Credential>>, StoreError> {
        let records = self.get_many(names).await?;
        let read = |(name, record): (&String, Option<Vec<u8>>)| {
            self.ok_or_log_once(name, &record?, |text| read_credential(name, text))
        };
        Ok(names.iter().zip(records).map(read).collect())
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
        // The whole life instead of the remaining one, because this process's clock may differ from
        // Redis's.
        let keep = millis(credential.life() + SLACK);
        self.bounded(async {
            let outdated = outdated.map(|outdated| write_credential(name, outdated));
            let mut rubbish = outdated.unwrap_or_default().into_bytes();
            loop {
                let keep = keep.to_string();
                let mut arguments = vec![record.as_bytes(), keep.as_bytes(), &rubbish];
                arguments.extend(keys.ids().map(str::as_bytes));
                let cmd = script(SAVE_CREDENTIAL, &[self.key(name)], &arguments);
                let Some(stored) = self.run::<Option<Vec<u8>>>(&cmd).await? else {
                    return Ok(Saved::Stored);
                };
                if stored == record.as_bytes() {
                    return Ok(Saved::Stored);
                }
                let read = |text: &str| read_credential(name, text);
                match self.ok_or_log_once(name, &stored, read) {
                    Some(newer) => return Ok(Saved::Newer(newer)),
                    None => rubbish = stored,
                }
            }
        })
        .await
    }

    /// Returns whether the lease was free, and is now the owner's.
    pub(super) async fn lease(
        &self,
        name: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let ttl = millis(ttl).max(1).to_string();
        let arguments = [owner.as_bytes(), ttl.as_bytes()];
        self.bounded(self.run(&script(ACQUIRE, &[self.key(name)], &arguments)))
            .await
    }

    pub(super) async fn release(&self, name: &str, owner: &str) -> Result<(), StoreError> {
        let release = script(RELEASE, &[self.key(name)], &[owner.as_bytes()]);
        self.bounded(self.run(&release)).await
    }

    /// Reads a key. PING would go to all masters of a cluster, and the client library may leave such a request
    /// unsent until the next one.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let read = redis::cmd("GET").arg(self.key("ping")).take();
        self.bounded(self.run(&read)).await
    }

    /// Returns the values with these names, with one request.
    async fn get_many(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = names.iter().map(|name| self.key(name)).collect();
        self.bounded(self.run(redis::cmd("MGET").arg(keys))).await
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Reads a record. Returns `None` for one that cannot be read, and logs it once.
    fn ok_or_log_once<T>(
        &self,
        name: &str,
        record: &[u8],
        read: impl FnOnce(&str) -> Result<T, NoRecord>,
    ) -> Option<T> {
        let text = std::str::from_utf8(record).map_err(|_| NoRecord::torn());
        let read = text.and_then(read);
        self.unparsable.ok_or_log_once(&self.place, name, read)
    }

    /// Runs a command, and repeats it once if the connection was lost, for example because Redis restarted
    /// or failed over.
    async fn run<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, StoreError> {
        let mut retried = false;
        loop {
            let (id, mut connection) = self
                .link
                .connection()
                .await
                .map_err(|problem| self.unavailable(problem))?;
            let error = match connection.query(cmd).await {
                Ok(answer) => {
                    self.link.answered();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let dead = connection.is_dead_after(&error);
            if dead {
                self.link.forget(id);
            }
            if retried || !dead {
                return Err(self.unavailable(explain(&error)));
            }
            retried = true;
        }
    }

    /// Runs the work with the timeout of store operations.
    async fn bounded<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let established = self.link.established();
        match tokio::time::timeout(self.limit, work).await {
            Ok(done) => done,
            Err(_) => {
                self.link.silent(established);
                Err(StoreError::Slow {
                    place: self.place.clone(),
                    within: self.limit,
                })
            }
        }
    }

    fn unavailable(&self, problem: String) -> StoreError {
        StoreError::Unavailable {
            place: self.place.clone(),
            problem,
        }
    }
}

fn script(text: &str, keys: &[String], arguments: &[&[u8]]) -> Cmd {
    let mut cmd = redis::cmd("EVAL");
    cmd.arg(text).arg(keys.len()).arg(keys);
    for argument in arguments {
        cmd.arg(*argument);
    }
    cmd
}

/// Describes an error, without the values of the command.
fn explain(error: &RedisError) -> String {
    if error.is_io_error() {
        return error.to_string();
    }
    let code = code_of(error).unwrap_or(error.category());
    let text = text_of(error);
    let advice = match code {
        _ if error.kind() == ErrorKind::AuthenticationFailed => CHECK_PASSWORD,
        "NOAUTH" | "WRONGPASS" => CHECK_PASSWORD,
        "NOPERM" => "grant this user the permissions in docs/CLUSTER.md",
        "READONLY" => "this is a replica: use the master, or the sentinels",
        "OOM" => "its memory is full: raise maxmemory",
        "MISCONF" => "it cannot write to its disk",
        "MOVED" | "ASK" => CLUSTER,
        "ERR" if text.starts_with("SELECT is not allowed in cluster") => CLUSTER,
        "ERR" if text.contains("DB index") => "check the number of the database in store.url",
        "ERR" if text.starts_with("unknown command") => "allow the commands in docs/CLUSTER.md",
        _ => return format!("{code} {text}").trim_end().to_owned(),
    };
    match code {
        "ERR" => format!("{code} {text}: {advice}"),
        _ => format!("{code}: {advice}"),
    }
}

/// Returns the beginning of the text with which Redis refused a command. Of a command that it does not know, Redis
/// quotes the arguments, which are secrets.
fn text_of(error: &RedisError) -> String {
    let text = error
        .code()
        .and_then(|_| error.detail())
        .unwrap_or_default();
    let (text, _) = text.split_once(", with args").unwrap_or((text, ""));
    visible(text, SHOWN)
}

/// Shorter than any script, so that a proxy that quotes a whole command shows no value either.
const SHOWN: usize = 100;

const CLUSTER: &str = "this is a cluster: use redis+cluster://HOST,HOST as store.url";

const CHECK_PASSWORD: &str =
    "check its user in store.url, and its password there or in store.password_file";

/// How much longer than its life a credential stays in Redis, so that a late writer of an older generation
/// still finds it.
const SLACK: Duration = Duration::from_secs(600);

/// Stores the newer credential. Returns nothing if it was stored, otherwise the existing record. A life
/// that was cut short keeps its expiry in Redis, so that the longer life of the same generation cannot
/// replace it later. A living record of an unknown key counts as newer. ARGV: record, expiry, a record to replace in any
/// case, ids of the known keys.
const SAVE_CREDENTIAL: &str = r"
local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'string' and stored ~= ARGV[3] then
  local g, e = string.match(stored, '^1 %x+ (%d+) (%d+) ')
  local new_g, new_e = string.match(ARGV[1], '^1 %x+ (%d+) (%d+) ')
  local key = string.match(stored, '^1 %x+ %d+ %d+ %d+ sealed:(%x+):')
  local new_from = string.match(ARGV[1], '^1 %x+ %d+ %d+ (%d+) ')
  local is_other = key and key ~= ARGV[4] and key ~= ARGV[5]
  if is_other and tonumber(e) > tonumber(new_from) then return stored end
  if g and #g == #new_g and #e == #new_e then
    if g > new_g or (g == new_g and e <= new_e) then return stored end
    if g == new_g then redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL') return false end
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false";

/// Grants a lease that is free or already held by this owner: if the reply is lost, the command is sent a
/// second time.
const ACQUIRE: &str = r"
local owner = redis.pcall('GET', KEYS[1])
if type(owner) == 'string' and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

/// Deletes the lease if this owner holds it.
const RELEASE: &str = "if redis.pcall('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return redis.status_reply('OK')";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_redis_is_shown_with_advice_and_without_the_values_of_a_command() {
        for (answer, shown) in [
            (
                "ERR DB index is out of range",
                "ERR DB index is out of range: check the number of the database in store.url",
            ),
            (
                "ERR SELECT is not allowed in cluster mode",
                "ERR SELECT is not allowed in cluster mode: this is a cluster: use redis+cluster://HOST,HOST as store.url",
            ),
            (
                "ERR unknown command 'EVAL', with args beginning with: 'return' '1' 'a-token' ",
                "ERR unknown command 'EVAL': allow the commands in docs/CLUSTER.md",
            ),
            (
                "ERR max number of clients reached",
                "ERR max number of clients reached",
            ),
            (
                "LOADING Redis is loading the dataset in memory",
                "LOADING Redis is loading the dataset in memory",
            ),
            (
                "NOPERM User wx has no permissions to access the 'wx-jssdk:x' key",
                "NOPERM: grant this user the permissions in docs/CLUSTER.md",
            ),
            ("ERR", "ERR"),
        ] {
            let parsed = redis::parse_redis_value(format!("-{answer}\r\n").as_bytes());
            let error = parsed.and_then(redis::Value::extract_error).unwrap_err();
            assert_eq!(explain(&error), shown);
        }
        let quoted = format!("-ERR refused: EVAL {SAVE_CREDENTIAL:?} a-token\r\n");
        let parsed = redis::parse_redis_value(quoted.as_bytes());
        let error = parsed.and_then(redis::Value::extract_error).unwrap_err();
        assert!(!explain(&error).contains("a-token"), "{error}");
    }
}
