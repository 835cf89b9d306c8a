//! The processes that share a store, as they announce themselves there: bounded, and forgotten by itself.

use super::{Inner, Store, StoreError};
use crate::clock::UnixTime;
use crate::error::is_visible;
#[cfg(feature = "redis")]
use std::time::Duration;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// Random: two processes of one machine are two.
    pub id: u64,
    /// The machine's name, or what its operator calls it.
    pub name: String,
    /// Of the program.
    pub version: String,
}

/// A process that announced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who.
    pub node: Node,
    /// When it last did.
    pub seen_at: UnixTime,
}

impl Node {
    /// This process under that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            id: rand::random(),
            name: fit(name),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// As it stands in the store: `ID VERSION NAME`.
    #[cfg(feature = "redis")]
    pub(super) fn write(&self) -> String {
        format!("{:016x} {} {}", self.id, self.version, self.name)
    }

    /// What [`Node::write`] wrote; `None` for anything else.
    #[cfg(feature = "redis")]
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
            name: fit(words.next()?),
        })
    }
}

impl Store {
    /// Which of the three it is: `memory`, `file` or `redis`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.0 {
            Inner::Memory(_) => "memory",
            #[cfg(feature = "file")]
            Inner::File(_) => "file",
            #[cfg(feature = "redis")]
            Inner::Redis(_) => "redis",
        }
    }

    /// Says that this process is there, for a minute, and answers who else is, itself included; nobody where the store is not shared.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be told.
    pub async fn announce(&self, node: &Node, now: UnixTime) -> Result<Vec<Peer>, StoreError> {
        let _ = (node, now);
        match &self.0 {
            Inner::Memory(_) => Ok(Vec::new()),
            #[cfg(feature = "file")]
            Inner::File(_) => Ok(Vec::new()),
            #[cfg(feature = "redis")]
            Inner::Redis(redis) => redis.announce(node, now).await,
        }
    }
}

/// A name of a bounded length without invisible characters: it stands on other processes' pages.
fn fit(name: &str) -> String {
    name.chars()
        .filter(|c| is_visible(*c))
        .take(LONGEST)
        .collect()
}

/// Characters of a name. Host names have 64 at most.
const LONGEST: usize = 64;

/// Whoever has not announced itself for so long is gone.
#[cfg(feature = "redis")]
pub(super) const GONE_AFTER: Duration = Duration::from_secs(60);

/// More than anybody runs on one Redis; what a confused client announces beyond it pushes out the oldest.
#[cfg(feature = "redis")]
pub(super) const MOST: usize = 64;

#[cfg(all(test, feature = "redis"))]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_read_as_it_was_written_and_nothing_else_is() {
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
    fn a_name_is_cut_and_loses_what_is_no_text() {
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
    fn two_processes_of_one_machine_are_two() {
        assert_ne!(Node::new("web-1").id, Node::new("web-1").id);
    }
}
