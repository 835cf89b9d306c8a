//! Who else shares the store, and whether it can be reached: looked at now and then, so that a status page asks nobody.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Broker;
use crate::clock::UnixTime;
use crate::store::{Node, Peer, StoreError};

/// What this process calls itself, and what it last saw.
pub(super) struct Presence {
    node: Node,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// When to look again, in uptime; `None`: at once.
    next: Option<Duration>,
    peers: Vec<Peer>,
    /// What the store last said instead, and since when it does so.
    trouble: Option<(StoreError, UnixTime)>,
    looked_at: Option<UnixTime>,
}

/// This process, its store and its peers.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// This process.
    pub node: Node,
    /// `memory`, `file` or `redis`.
    pub store: &'static str,
    /// Which one: no password.
    pub place: String,
    /// Whether other processes may use it too.
    pub shared: bool,
    /// What is wrong with it, and since when.
    pub trouble: Option<(StoreError, UnixTime)>,
    /// When that was last looked at.
    pub looked_at: Option<UnixTime>,
    /// The other processes, by name. Empty where the store is not shared.
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
    /// What is around this process, as the keeper last found it.
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

    /// Tells the shared store that this process is there, and hears who else is; of another store, whether it still writes.
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
            // Who was there is still shown, with the time when it was seen.
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

/// The machine's name, where the system tells it without a call of its own.
fn machine() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// A sixth of the time after which a process that says nothing counts as gone.
const EVERY: Duration = Duration::from_secs(10);
