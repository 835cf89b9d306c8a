//! State shared by the handles and the server's thread: the simulator, the counts, the faults and the gates.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, watch};

use crate::clock::{Clock, UnixTime};

use super::fault::Faults;
use super::hosts::Network;
use super::received::ReceivedRequests;
use super::simulated_endpoints::{Endpoint, System};
use super::simulator::Simulator;

/// State shared by every handle and by the server.
pub(super) struct Shared {
    pub(super) clock: Clock,
    inside: Mutex<Inside>,
    /// Notified whenever a call is counted or a push was answered.
    pub(super) counted: watch::Sender<()>,
    /// Notified whenever a push to an open platform may be due.
    pub(super) pushes_due: Notify,
    /// Set once, at the start. Weak, because its listeners hold this state.
    network: OnceLock<Weak<Network>>,
}

/// State behind the lock, which is never held across an await.
#[derive(Default)]
pub(super) struct Inside {
    pub(super) simulator: Simulator,
    pub(super) faults: Faults,
    /// Overrides the `Content-Type` of every answer.
    pub(super) content_type: Option<String>,
    pub(super) received: ReceivedRequests,
    /// By path.
    calls: HashMap<String, Calls>,
    /// The address from which WeChat sees the calls of a proxy's connection.
    pub(super) seen_from: HashMap<SocketAddr, IpAddr>,
    gates: Vec<Barrier>,
}

/// Calls of one path.
#[derive(Default)]
struct Calls {
    received: u64,
    /// Answers by their errcode; 0 is a success.
    answered: BTreeMap<i64, u64>,
}

/// The calls' side of a closed gate. It opens when the [`Gate`] is dropped.
struct Barrier {
    path: String,
    /// Never changes, and closes with the gate.
    opened: watch::Receiver<()>,
}

/// Holds the calls to one path until it is released or dropped. Held calls are counted, but their bodies are
/// not read and they are not processed.
///
/// Lets a test arrange a call in flight without sleeping.
#[must_use = "a gate that is dropped holds nothing back"]
pub struct Gate {
    /// Dropped with the gate, which wakes the waiting calls.
    _closed: watch::Sender<()>,
}

impl Gate {
    /// Releases the held calls.
    pub fn release(self) {}
}

impl Shared {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            inside: Mutex::default(),
            counted: watch::channel(()).0,
            pushes_due: Notify::new(),
            network: OnceLock::new(),
        }
    }

    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock()
    }

    /// Runs this on the simulator, at the sandbox's time.
    pub(super) fn simulate<T>(&self, run: impl FnOnce(&mut Simulator, UnixTime) -> T) -> T {
        let now = self.clock.now();
        run(&mut self.inside().simulator, now)
    }

    /// Returns the hosts and proxies, unless the sandbox is being dropped.
    pub(super) fn network(&self) -> Option<Arc<Network>> {
        self.network.get().and_then(Weak::upgrade)
    }

    pub(super) fn set_network(&self, network: &Arc<Network>) {
        let _ = self.network.set(Arc::downgrade(network));
    }

    /// Returns the address from which WeChat sees a call: the peer's, or that of the proxy in between.
    pub(super) fn seen_from(&self, peer: Option<SocketAddr>) -> IpAddr {
        let Some(peer) = peer else {
            return IpAddr::V4(Ipv4Addr::LOCALHOST);
        };
        let egress = self.inside().seen_from.get(&peer).copied();
        egress.unwrap_or_else(|| peer.ip())
    }

    /// Moves the clock forward. Returns false for the system clock.
    pub(super) fn advance(&self, by: Duration) -> bool {
        let moved = self.clock.advance(by);
        self.pushes_due.notify_one();
        moved
    }

    pub(super) fn hold(&self, path: &str) -> Gate {
        let (closed, opened) = watch::channel(());
        let path = path.to_owned();
        self.inside().gates.push(Barrier { path, opened });
        Gate { _closed: closed }
    }

    /// Counts a received call and notifies those that wait for it.
    pub(super) fn count(&self, path: &str) {
        let mut inside = self.inside();
        inside.calls_mut(path).received += 1;
        let may_push = !inside.simulator.components.is_empty();
        drop(inside);
        self.counted.send_replace(());
        if may_push {
            self.pushes_due.notify_one();
        }
    }

    /// Waits until this is true, which only a call or a push may change.
    pub(super) async fn wait_until(&self, mut is_true: impl FnMut(&Inside) -> bool) {
        let mut counted = self.counted.subscribe();
        while !is_true(&self.inside()) {
            counted
                .changed()
                .await
                .expect("the sender lives as long as self");
        }
    }

    /// Waits until no gate holds this path.
    pub(super) async fn pass_gates(&self, path: &str) {
        loop {
            let Some(mut opened) = self.inside().gate(path) else {
                return;
            };
            let _ = opened.changed().await;
        }
    }
}

impl Inside {
    pub(super) fn content_type(&self, system: System, endpoint: Endpoint) -> String {
        let of_system = match system {
            System::Weixin if endpoint.is_sns() => SNS_CONTENT_TYPE,
            System::Weixin => WEIXIN_CONTENT_TYPE,
            System::Qyapi => QYAPI_CONTENT_TYPE,
        };
        self.content_type
            .clone()
            .unwrap_or_else(|| of_system.to_owned())
    }

    /// Returns a gate that holds this path, and forgets those that have opened.
    fn gate(&mut self, path: &str) -> Option<watch::Receiver<()>> {
        self.gates.retain(|gate| gate.opened.has_changed().is_ok());
        let gate = self.gates.iter().find(|gate| gate.path == path)?;
        Some(gate.opened.clone())
    }

    pub(super) fn count_errcode(&mut self, path: &str, code: i64) {
        *self.calls_mut(path).answered.entry(code).or_default() += 1;
    }

    fn calls_mut(&mut self, path: &str) -> &mut Calls {
        self.calls.entry(path.to_owned()).or_default()
    }

    pub(super) fn calls(&self, path: &str) -> u64 {
        self.calls.get(path).map_or(0, |calls| calls.received)
    }

    pub(super) fn errcodes(&self, path: &str) -> BTreeMap<i64, u64> {
        let calls = self.calls.get(path);
        calls
            .map(|calls| calls.answered.clone())
            .unwrap_or_default()
    }

    /// Returns the counts of all simulated endpoints, and of the other paths that were called.
    pub(super) fn all_calls(&self) -> BTreeMap<String, u64> {
        let simulated = Endpoint::SIMULATED
            .iter()
            .map(|(_, path)| ((*path).to_owned(), 0));
        let called = self.calls.iter();
        simulated
            .chain(called.map(|(path, calls)| (path.clone(), calls.received)))
            .collect()
    }

    pub(super) fn all_errcodes(&self) -> BTreeMap<String, BTreeMap<i64, u64>> {
        self.calls
            .iter()
            .filter(|(_, calls)| !calls.answered.is_empty())
            .map(|(path, calls)| (path.clone(), calls.answered.clone()))
            .collect()
    }

    pub(super) fn calls_total(&self) -> u64 {
        self.calls.values().map(|calls| calls.received).sum()
    }

    /// Forgets the counts and the received requests.
    pub(super) fn reset_calls(&mut self) {
        self.calls.clear();
        self.received.clear();
    }

    /// Restores the initial state but keeps the apps. Gates stay until their holders drop them.
    pub(super) fn reset(&mut self, now: UnixTime) {
        self.simulator.reset(now);
        self.faults.clear();
        self.reset_calls();
    }
}

/// As observed. Clients must not rely on it.
const WEIXIN_CONTENT_TYPE: &str = "application/json; encoding=utf-8";

/// As reported: `/sns/…` answers JSON as plain text.
const SNS_CONTENT_TYPE: &str = "text/plain";

/// As captured.
const QYAPI_CONTENT_TYPE: &str = "application/json; charset=UTF-8";
