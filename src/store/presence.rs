//! The nodes that share a store, as they announce themselves there. Their number is bounded, and silent
//! nodes are removed.

use super::{Inner, Operation, Store, StoreError};
use crate::clock::UnixTime;
use crate::error::visible;
#[cfg(feature = "shared-store")]
use std::time::Duration;

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// A random number, so that two processes on one machine are two nodes.
    pub id: u64,
    /// The machine's name, or the name that the operator gave.
    pub name: String,
    /// The version of the program.
    pub version: String,
}

/// A node that announced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerNode {
    /// The node.
    pub node: Node,
    /// When it last announced itself.
    pub seen_at: UnixTime,
}

impl Node {
    /// Returns an identity for this process with this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            id: rand::random(),
            name: visible(name, LONGEST),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Returns the text in the store: `ID VERSION NAME`.
    #[cfg(feature = "shared-store")]
    pub(super) fn write(&self) -> String {
        format!("{:016x} {} {}", self.id, self.version, self.name)
    }

    /// Reads the output of [`Node::write`]; `None` for anything else.
    #[cfg(feature = "shared-store")]
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut words = text.splitn(3, ' ');
        let id = words
            .next()
            .filter(|id| id.len() == 16)
            .and_then(|id| u64::from_str_radix(id, 16).ok())?;
        let version = words
            .next()
            .filter(|version| version.len() <= LONGEST)?
            .to_owned();
        Some(Self {
            id,
            version,
            name: visible(words.next()?, LONGEST),
        })
    }
}

impl Store {
    /// Announces this node for a minute, and returns all announced nodes including itself; an empty list if
    /// the store is not shared.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached.
    pub async fn announce(&self, node: &Node, now: UnixTime) -> Result<Vec<PeerNode>, StoreError> {
        self.counted(Operation::Announce, async {
            let _ = (node, now);
            by_store! { &self.inner;
                Memory(_) => Ok(Vec::new()),
                Shared(shared) => shared.announce(node, now).await,
            }
        })
        .await
    }
}

/// Maximum number of characters in a name, which other nodes' pages show. Host names have at most 64.
const LONGEST: usize = 64;

/// A node that has not announced itself for this long counts as gone.
#[cfg(feature = "shared-store")]
pub(super) const GONE_AFTER: Duration = Duration::from_secs(60);

/// More nodes than share one store in practice. Announcements beyond it, for example of a faulty client,
/// displace the oldest.
#[cfg(feature = "shared-store")]
pub(super) const MOST: usize = 64;

#[cfg(all(test, feature = "shared-store"))]
mod tests {
    use super::*;

    #[test]
    fn a_node_round_trips_and_other_text_is_refused() {
        for name in ["web-1", "a name with blanks", "机房二", ""] {
            let node = Node::new(name);
            assert_eq!(Node::read(&node.write()), Some(node));
        }
        for rubbish in [
            "",
            "1",
            "0123456789abcdef",
            "0123456789abcdef 1",
            "xyz3456789abcdef 1 n",
            "0123 1 n",
        ] {
            assert_eq!(Node::read(rubbish), None, "{rubbish}");
        }
    }

    #[test]
    fn a_name_is_truncated_and_stripped_of_unprintable_characters() {
        let node = Node::new(&format!("a\n\u{7}b{}", "c".repeat(200)));
        assert!(
            node.name.starts_with("abc") && node.name.len() == LONGEST,
            "{}",
            node.name
        );
        assert_eq!(
            Node::read(&format!("0123456789abcdef 1.0 {}", "n".repeat(9_999)))
                .unwrap()
                .name
                .len(),
            LONGEST
        );
    }

    #[test]
    fn two_processes_on_one_machine_are_two_nodes() {
        assert_ne!(Node::new("web-1").id, Node::new("web-1").id);
    }
}
