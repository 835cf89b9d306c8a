//! The nodes that share this Redis.

use super::{RedisStore, script};
use crate::clock::UnixTime;
use crate::store::StoreError;
use crate::store::presence::{GONE_AFTER, MOST, Node, PeerNode};
use crate::store::rules::millis;

impl RedisStore {
    /// Ages are measured with Redis's clock, since the nodes' clocks may differ.
    pub(in crate::store) async fn announce(
        &self,
        node: &Node,
        now: UnixTime,
    ) -> Result<Vec<PeerNode>, StoreError> {
        let (keep, most) = (millis(GONE_AFTER).to_string(), MOST.to_string());
        let cmd = script(
            ANNOUNCE,
            &[self.key("nodes")],
            &[node.write().as_bytes(), keep.as_bytes(), most.as_bytes()],
        );
        let reply: Vec<String> = self.bounded(self.run(&cmd)).await?;
        let read = |pair: &[String]| {
            let ago = pair.get(1)?.parse::<u64>().ok()? / 1_000;
            Some(PeerNode {
                node: Node::read(&pair[0])?,
                seen_at: UnixTime(now.0.saturating_sub(ago)),
            })
        };
        Ok(reply.chunks(2).filter_map(read).collect())
    }
}

/// Adds one node, and removes nodes that have been silent for too long and the oldest of too many. Returns
/// each node with its age in milliseconds. ARGV: the node, how long it is kept, the maximum number.
const ANNOUNCE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local all = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 2, #all, 2 do all[i] = string.format('%d', math.max(0, now - tonumber(all[i]))) end
return all";
