//! The nodes that share the store: this one and its peers, as the keeper last saw them.

use std::time::Duration;

use parking_lot::Mutex;
use tracing::{info, warn};

use crate::broker::Broker;
use crate::clock::{Due, UnixTime};
use crate::store::{Node, PeerNode, StoreError};

/// The identity of this node and the result of the last check.
pub(in crate::broker) struct Presence {
    node: Node,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    due: Due,
    peer_nodes: Vec<PeerNode>,
    /// The errors of the last checks, by [`StoreCheck`].
    errors: [Option<StoreError>; 2],
    /// Since when a check has been failing.
    failing_since: Option<UnixTime>,
    looked_at: Option<UnixTime>,
}

/// The periodic operations that show whether the store works. It may refuse writes and answer reads, or the other
/// way round.
#[derive(Clone, Copy)]
pub(super) enum StoreCheck {
    /// Reading the stored values.
    Read,
    /// Announcing this node.
    Write,
}

impl Seen {
    /// Returns the store's current error.
    fn error(&self) -> Option<&StoreError> {
        self.errors.iter().flatten().next()
    }
}

/// This node, its store and its peer nodes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cluster {
    /// This node.
    pub node: Node,
    /// `memory`, `file`, `redis` or `sql`.
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
    pub peer_nodes: Vec<PeerNode>,
}

impl Presence {
    pub(in crate::broker) fn new(name: Option<String>) -> Self {
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
    pub(in crate::broker) fn cluster(&self) -> Cluster {
        let (store, presence) = (&self.inner.store, &self.inner.presence);
        let seen = presence.seen.lock();
        Cluster {
            node: presence.node.clone(),
            store: store.kind(),
            place: store.describe().to_owned(),
            shared: store.is_shared(),
            trouble: seen.error().cloned().zip(seen.failing_since),
            looked_at: seen.looked_at,
            peer_nodes: seen.peer_nodes.clone(),
        }
    }

    /// Announces this node in a shared store and reads the peer nodes. Checks any other store for being
    /// writable.
    pub(in crate::broker) async fn announce(&self) {
        let (clock, presence) = (&self.inner.clock, &self.inner.presence);
        let uptime = clock.uptime();
        if !presence.seen.lock().due.take(uptime, ANNOUNCE_EVERY) {
            return;
        }
        let store = &self.inner.store;
        let answer = match store.is_shared() {
            true => store.announce(&presence.node, clock.now()).await,
            false => store.ping().await.map(|()| Vec::new()),
        };
        presence.seen.lock().looked_at = Some(clock.now());
        match answer {
            Ok(mut peer_nodes) => {
                peer_nodes.retain(|peer| peer.node.id != presence.node.id);
                peer_nodes
                    .sort_by(|a, b| (&a.node.name, a.node.id).cmp(&(&b.node.name, b.node.id)));
                presence.seen.lock().peer_nodes = peer_nodes;
                self.note_store(StoreCheck::Write, None);
            }
            // The last known peer nodes are kept, each with the time when it was last seen.
            Err(error) => self.note_store(StoreCheck::Write, Some(error)),
        }
    }

    /// Notes the result of a check. Logs once that the store became unreachable, and once that it is back.
    pub(super) fn note_store(&self, check: StoreCheck, error: Option<StoreError>) {
        let mut seen = self.inner.presence.seen.lock();
        let is_read = error.is_none() && matches!(check, StoreCheck::Read);
        seen.errors[check as usize] = error;
        let was_failing = seen.failing_since.is_some();
        match seen.error() {
            Some(error) if !was_failing => {
                warn!(%error, "store unreachable: credentials are served from memory");
                seen.failing_since = Some(self.inner.clock.now());
            }
            None if was_failing => {
                info!("store reachable again");
                seen.failing_since = None;
            }
            // Perhaps writes succeed again, too.
            Some(_) if is_read => seen.due.at_once(),
            _ => {}
        }
    }
}

/// Returns the machine's name, if `/proc`, the environment or `/etc` provides it. The systemd unit hides `/proc`'s.
fn machine() -> Option<String> {
    let read = |path| std::fs::read_to_string(path).ok();
    let name = read("/proc/sys/kernel/hostname")
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| read("/etc/hostname"))?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// A sixth of the time after which a silent node counts as gone.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(10);
