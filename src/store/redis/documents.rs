//! Documents. Each group has a sorted set of its names, scored by their ends, which the same script keeps.
//!
//! The group is the hash tag of both keys: in a cluster they are on one node.

use super::{RedisStore, SLACK, script};
use crate::clock::UnixTime;
use crate::store::document::group_of;
use crate::store::record::{read_document, write_document, writer};
use crate::store::rules::millis;
use crate::store::{Document, StoreError};

impl RedisStore {
    pub(in crate::store) async fn document(
        &self,
        name: &str,
    ) -> Result<Option<Document>, StoreError> {
        let record = self.get_many(&[tagged(name)]).await?.pop().flatten();
        Ok(record.and_then(|record| self.readable(name, &record)))
    }

    /// Uses one request for the names, and one for each page of documents.
    pub(in crate::store) async fn documents(
        &self,
        group: &str,
    ) -> Result<Vec<(String, Document)>, StoreError> {
        let list = script(NAMES, &[self.group_key(group)], &[]);
        let lasts: Vec<Vec<u8>> = self.bounded(self.run(&list)).await?;
        let lasts = lasts.into_iter().flat_map(String::from_utf8);
        let names: Vec<_> = lasts.map(|last| format!("{group}:{last}")).collect();
        let mut documents = Vec::with_capacity(names.len());
        for page in names.chunks(PAGE) {
            let names: Vec<_> = page.iter().map(|name| tagged(name)).collect();
            let records = self.get_many(&names).await?;
            let read = |(name, record): (&String, Option<Vec<u8>>)| {
                let document = self.readable(name, &record?)?;
                Some((name.clone(), document))
            };
            documents.extend(page.iter().zip(records).filter_map(read));
        }
        Ok(documents)
    }

    /// Saves a document in place of its previous version, or returns the stored one. A record that cannot be
    /// read counts as absent.
    pub(in crate::store) async fn save_document(
        &self,
        name: &str,
        document: &Document,
        now: UnixTime,
    ) -> Result<Result<(), Option<Document>>, StoreError> {
        let record = write_document(name, document, &writer());
        let previous = document.version.saturating_sub(1).to_string();
        let keep = document.expires_at;
        let keep = keep
            .map_or(0, |end| millis(end.since(now) + SLACK))
            .to_string();
        let (group, last) = group_of(name);
        let keys = [self.key(&tagged(name)), self.group_key(group)];
        self.bounded(async {
            let mut rubbish = Vec::new();
            loop {
                let arguments = [
                    record.as_bytes(),
                    previous.as_bytes(),
                    &rubbish,
                    keep.as_bytes(),
                    last.as_bytes(),
                ];
                let save = script(SAVE_DOCUMENT, &keys, &arguments);
                let Some(stored) = self.run::<Option<Vec<u8>>>(&save).await? else {
                    return Ok(Ok(()));
                };
                if stored.is_empty() {
                    return Ok(Err(None));
                }
                match self.readable(name, &stored) {
                    None if previous == "0" => rubbish = stored,
                    stored => return Ok(Err(stored)),
                }
            }
        })
        .await
    }

    fn readable(&self, name: &str, record: &[u8]) -> Option<Document> {
        self.ok_or_log_once(name, record, |text| read_document(name, text))
    }

    fn group_key(&self, group: &str) -> String {
        self.key(&format!("{{{group}}}"))
    }
}

/// Returns the name of a document with its group as the hash tag.
fn tagged(name: &str) -> String {
    let (group, last) = group_of(name);
    format!("{{{group}}}:{last}")
}

/// Number of documents that are read at once.
const PAGE: usize = 500;

/// Returns the names of a group.
const NAMES: &str = r"
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return {} end
return redis.call('ZRANGE', KEYS[1], 0, -1)";

/// Stores a document if the stored one has the previous version; an expiry of 0 keeps it for ever. Returns
/// nothing if it was stored, otherwise the existing record, which is empty if it does not exist. The set of names
/// ends with its last name. KEYS: the document, the names of its group. ARGV: record, previous version, a
/// record that counts as absent, expiry, name in the group.
const SAVE_DOCUMENT: &str = r"
local stored = redis.pcall('GET', KEYS[1])
if type(stored) ~= 'string' then stored = '' end
if stored ~= ARGV[1] then
  local version = '0'
  if stored ~= ARGV[3] then version = string.match(stored, '^1 %x+ (%d+) ') or '0' end
  if version ~= ARGV[2] then return stored end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = '+inf'
redis.call('SET', KEYS[1], ARGV[1])
if ARGV[4] ~= '0' then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  ends = string.format('%d', now + ARGV[4])
end
if redis.call('TYPE', KEYS[2]).ok ~= 'zset' then redis.call('DEL', KEYS[2]) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], ends, ARGV[5])
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]
if last == 'inf' then redis.call('PERSIST', KEYS[2]) else redis.call('PEXPIREAT', KEYS[2], last) end
return false";
