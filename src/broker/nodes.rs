//! The peer nodes and the reachability of the store. The keeper checks both periodically, so that a status
//! page causes no store access.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Broker;
use crate::clock::UnixTime;
use crate::store::{Node, Peer, StoreError};

/// The identity of this node and the result of the last check.
pub(super) struct Presence {
    node: Node,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// When to check again, in uptime; `None` means at once.
    next: Option<Duration>,
    peers: Vec<Peer>,
    /// The store's last error, and since when the store has been failing.
    trouble: Option<(StoreError, UnixTime)>,
    looked_at: Option<UnixTime>,
}

/// This node, its store and its peer nodes.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// This node.
    pub node: Node,
    /// `memory`, `file` or `redis`.
    pub store: &'static str,
    /// Description of the store, without a password.
    pub place: String,
    /// Whether other processes may use the store too.
    pub shared: bool,
    /// The store's current error, and since when it has been failing.
    pub trouble: Option<(StoreError, UnixTime)>,
    /// When the store was last checked.
    pub looked_at: Option<UnixTime>,
    /// The peer nodes, sorted by name. Empty if the store is not shared.
    pub peers: Vec<Peer>,
}

impl Presence {
    pub(super) fn new(name: Option<String>) -> Self {
        let name = name
            .or_else(machine)
            .unwrap_or_else(|| "wx-jssdk".to_owned());
        Self {
            node: Node::new(&name),
            seen: Mutex::default(),
        }
    }
}

impl Broker {
    /// Returns what the keeper last found about the store and the peer nodes.
    #[must_use]
    pub fn surroundings(&self) -> Surroundings {
        let (store, presence) = (&self.inner.store, &self.inner.presence);
        let seen = presence.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Surroundings {
            node: presence.node.clone(),
            store: store.kind(),
            place: store.describe(),
            shared: store.is_shared(),
            trouble: seen.trouble.clone(),
            looked_at: seen.looked_at,
            peers: seen.peers.clone(),
        }
    }

    /// Announces this node in a shared store and reads the peer nodes. Checks any other store for being
    /// writable.
    pub(super) async fn meet_peers(&self) {
        let (clock, presence) = (&self.inner.clock, &self.inner.presence);
        {
            let mut seen = presence.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.next.is_some_and(|next| clock.uptime() < next) {
                return;
            }
            seen.next = Some(clock.uptime() + EVERY);
        }
        let store = &self.inner.store;
        let answer = match store.is_shared() {
            true => store.announce(&presence.node, clock.now()).await,
            false => store.ping().await.map(|()| Vec::new()),
        };
        let mut seen = presence.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.looked_at = Some(clock.now());
        match answer {
            Ok(mut peers) => {
                peers.retain(|peer| peer.node.id != presence.node.id);
                peers.sort_by(|a, b| (&a.node.name, a.node.id).cmp(&(&b.node.name, b.node.id)));
                (seen.peers, seen.trouble) = (peers, None);
            }
            // The last known peer nodes are kept, each with the time when it was last seen.
            Err(error) => {
                let since = seen
                    .trouble
                    .as_ref()
                    .map_or(clock.now(), |(_, since)| *since);
                seen.trouble = Some((error, since));
            }
        }
    }
}

/// Returns the machine's name, if `/proc` or the environment provides it.
fn machine() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// A sixth of the time after which a silent node counts as gone.
const EVERY: Duration = Duration::from_secs(10);
