//! State shared by the handles and the server's thread: the simulator, the counts, the faults and the gates.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use crate::clock::Clock;

use super::endpoint::{Endpoint, System};
use super::fault::{FaultKind, Faults};
use super::simulator::Simulator;

/// State shared by every handle and by the server.
pub(super) struct Shared {
    pub(super) clock: Clock,
    inside: Mutex<Inside>,
    /// Notified whenever a call is counted.
    counted: watch::Sender<()>,
}

/// State behind the lock, which is never held across an await.
pub(super) struct Inside {
    pub(super) simulator: Simulator,
    pub(super) faults: Faults,
    /// Overrides the `Content-Type` of every answer.
    pub(super) content_type: Option<String>,
    calls: [u64; Endpoint::ALL.len()],
    gates: Vec<Barrier>,
    next_gate: u64,
}

/// The calls' side of a closed gate. It opens when the [`Gate`] is dropped.
struct Barrier {
    id: u64,
    endpoint: Endpoint,
    opened: watch::Receiver<()>,
}

/// Holds the calls to one endpoint until it is released or dropped. Held calls are counted, but not
/// processed.
///
/// Lets a test arrange a call in flight without sleeping.
#[must_use = "a gate that is dropped holds nothing back"]
pub struct Gate {
    shared: Arc<Shared>,
    id: u64,
    /// Dropped with the gate, which wakes the waiting calls.
    _closed: watch::Sender<()>,
}

impl Gate {
    /// Releases the held calls.
    pub fn release(self) {}
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared
            .inside()
            .gates
            .retain(|barrier| barrier.id != self.id);
    }
}

impl Shared {
    pub(super) fn new(clock: Clock) -> Self {
        let inside = Inside {
            simulator: Simulator::default(),
            faults: Faults::default(),
            content_type: None,
            calls: Default::default(),
            gates: Vec::new(),
            next_gate: 0,
        };
        Self {
            clock,
            inside: Mutex::new(inside),
            counted: watch::channel(()).0,
        }
    }

    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock()
    }

    pub(super) fn hold(self: &Arc<Self>, endpoint: Endpoint) -> Gate {
        let (closed, opened) = watch::channel(());
        let mut inside = self.inside();
        inside.next_gate += 1;
        let id = inside.next_gate;
        inside.gates.push(Barrier {
            id,
            endpoint,
            opened,
        });
        Gate {
            shared: self.clone(),
            id,
            _closed: closed,
        }
    }

    /// Counts a received call and notifies those that wait for it.
    pub(super) fn count(&self, endpoint: Endpoint) {
        self.inside().calls[endpoint as usize] += 1;
        self.counted.send_replace(());
    }

    pub(super) async fn wait_for_calls(&self, endpoint: Endpoint, at_least: u64) {
        let mut counted = self.counted.subscribe();
        while self.inside().calls(endpoint) < at_least {
            counted
                .changed()
                .await
                .expect("the sender lives as long as self");
        }
    }

    /// Waits until no gate holds this endpoint.
    pub(super) async fn pass_gates(&self, endpoint: Endpoint) {
        loop {
            let gate = self
                .inside()
                .gates
                .iter()
                .find(|barrier| barrier.endpoint == endpoint)
                .map(|b| b.opened.clone());
            match gate {
                Some(mut opened) => while opened.changed().await.is_ok() {},
                None => return,
            }
        }
    }

    pub(super) fn take_fault(&self, endpoint: Endpoint) -> Option<FaultKind> {
        self.inside().faults.take(endpoint.path())
    }
}

impl Inside {
    pub(super) fn content_type(&self, system: System) -> String {
        let of_system = match system {
            System::Weixin => WEIXIN_CONTENT_TYPE,
            System::Qyapi => QYAPI_CONTENT_TYPE,
        };
        self.content_type
            .clone()
            .unwrap_or_else(|| of_system.to_owned())
    }

    pub(super) fn calls(&self, endpoint: Endpoint) -> u64 {
        self.calls[endpoint as usize]
    }

    pub(super) fn all_calls(&self) -> BTreeMap<String, u64> {
        Endpoint::ALL
            .into_iter()
            .map(|endpoint| (endpoint.path().to_owned(), self.calls(endpoint)))
            .collect()
    }

    pub(super) fn calls_total(&self) -> u64 {
        self.calls.iter().sum()
    }

    pub(super) fn reset_calls(&mut self) {
        self.calls = Default::default();
    }

    /// Restores the initial state but keeps the apps. Gates stay until their holders drop them.
    pub(super) fn reset(&mut self) {
        self.simulator.reset();
        self.faults.clear();
        self.reset_calls();
    }
}

/// As observed. Clients must not rely on it.
const WEIXIN_CONTENT_TYPE: &str = "application/json; encoding=utf-8";

/// As captured.
const QYAPI_CONTENT_TYPE: &str = "application/json; charset=UTF-8";
