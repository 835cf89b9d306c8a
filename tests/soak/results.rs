//! Results: answers, violations, faults.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::nodes::Memory;

/// A violation of the guarantees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The client refuses a signature.
    Signature,
    /// A failure although this node has a valid ticket.
    Withheld,
    /// An unexpected status.
    Status,
}

#[derive(Default)]
pub(crate) struct Results(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    answers: BTreeMap<u16, u64>,
    slowest: Duration,
    troubles: BTreeMap<&'static str, u64>,
    /// Connections that ended without an answer, by node.
    lost: BTreeMap<usize, u64>,
    mistakes: Vec<String>,
    /// The last ticket that a node signed with, for each account.
    signed: HashMap<(usize, &'static str), String>,
    /// Accounts whose ticket was ended at WeChat: no node can know before a client rejects it.
    revoked: HashMap<&'static str, Instant>,
    /// Nodes that are being killed.
    dying: HashSet<usize>,
    reprieved: u64,
    late: u64,
}

impl Results {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }

    pub(crate) fn answered(&self, status: u16, after: Duration) {
        let mut seen = self.seen();
        *seen.answers.entry(status).or_default() += 1;
        seen.slowest = seen.slowest.max(after);
    }

    pub(crate) fn lost(&self, node: usize, error: &str) {
        let mut seen = self.seen();
        *seen.lost.entry(node).or_default() += 1;
        if !seen.dying.contains(&node) {
            seen.mistakes
                .push(format!("node {node} gave no answer: {error}"));
        }
    }

    pub(crate) fn wrong(&self, what: Wrong, account: &'static str, node: usize, details: &str) {
        let mut seen = self.seen();
        let excused = seen
            .revoked
            .get(account)
            .is_some_and(|until| Instant::now() < *until)
            && what == Wrong::Signature;
        if excused {
            seen.reprieved += 1;
        } else {
            seen.mistakes.push(format!(
                "{what:?}, account {account}, node {node}: {details}"
            ));
        }
    }

    /// An answer that took too long to be verified.
    pub(crate) fn came_late(&self) {
        self.seen().late += 1;
    }

    pub(crate) fn signed_with(&self, node: usize, account: &'static str, ticket: &str) {
        let mut seen = self.seen();
        if seen
            .signed
            .get(&(node, account))
            .is_none_or(|known| known != ticket)
        {
            seen.signed.insert((node, account), ticket.to_owned());
        }
    }

    pub(crate) fn has_signed_with(&self, node: usize, account: &'static str, ticket: &str) -> bool {
        self.seen()
            .signed
            .get(&(node, account))
            .is_some_and(|known| known == ticket)
    }

    /// Tolerates a dead ticket of this account for this long.
    pub(crate) fn revoked(&self, account: &'static str, grace: Duration) {
        self.seen().revoked.insert(account, Instant::now() + grace);
    }

    /// Marks this node as stopped, with its own state lost.
    pub(crate) fn dying(&self, node: usize, yes: bool) {
        let mut seen = self.seen();
        if yes {
            seen.dying.insert(node);
            seen.signed.retain(|(known, _), _| *known != node);
        } else {
            seen.dying.remove(&node);
        }
    }

    pub(crate) fn played(&self, trouble: &'static str) {
        *self.seen().troubles.entry(trouble).or_default() += 1;
    }

    pub(crate) fn report(&self, memory: &Memory, calls: u64) {
        let seen = self.seen();
        println!("answers by status:     {:?}", seen.answers);
        println!("slowest answer:        {:?}", seen.slowest);
        println!("calls to WeChat:       {calls}");
        println!("troubles played:       {:?}", seen.troubles);
        println!("connections cut by a kill -9, by node: {:?}", seen.lost);
        println!(
            "signed with a ticket that WeChat had ended behind our back, before it was reported: {}",
            seen.reprieved
        );
        println!("on their way for too long to be judged: {}", seen.late);
        println!("mistakes:              {}", seen.mistakes.len());
        print!("{memory}");
    }

    pub(crate) fn assert_clean(&self) {
        let seen = self.seen();
        let first: Vec<_> = seen.mistakes.iter().take(20).collect();
        assert!(
            first.is_empty(),
            "{} violations, the first of them: {first:#?}",
            seen.mistakes.len()
        );
        assert!(
            seen.answers.get(&200).is_some_and(|signed| *signed > 1_000),
            "too few pages were signed: {:?}",
            seen.answers
        );
        // No client waits longer than a refresh with all its attempts may take.
        assert!(seen.slowest < Duration::from_secs(15), "{:?}", seen.slowest);
    }
}
