//! Failover among the hosts of one API: they are used in their order, each with a circuit breaker. A host that cannot
//! be reached is left out for a minute, then probed by one call.

use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Clock;

/// The hosts of one API. The first is used while it can be reached.
#[derive(Debug)]
pub(super) struct Hosts {
    bases: Vec<String>,
    circuits: Mutex<Vec<Circuit>>,
    clock: Clock,
}

#[derive(Clone, Copy, Debug, Default)]
struct Circuit {
    /// Number of failures in a row.
    failures: u32,
    /// In uptime; `None`: closed.
    open_until: Option<Duration>,
}

impl Hosts {
    pub(super) fn new(bases: Vec<String>, clock: Clock) -> Self {
        let circuits = Mutex::new(vec![Circuit::default(); bases.len()]);
        Self {
            bases,
            circuits,
            clock,
        }
    }

    /// Returns the base URLs to try now, in their order: those that can be reached as far as is known, and one
    /// that is due for a probe. If none can be reached, all.
    pub(super) fn to_try(&self) -> Vec<&str> {
        let now = self.clock.uptime();
        let mut circuits = self.circuits.lock();
        let mut bases = Vec::with_capacity(self.bases.len());
        for (base, circuit) in self.bases.iter().zip(circuits.iter_mut()) {
            match circuit.open_until {
                Some(until) if now < until => continue,
                // Other calls leave the host out until this one has returned, or is given up.
                Some(_) => circuit.open_until = Some(now + OPEN_FOR),
                None => {}
            }
            bases.push(base.as_str());
        }
        match bases.is_empty() {
            true => self.in_order(),
            false => bases,
        }
    }

    /// Returns all base URLs in their order.
    pub(super) fn in_order(&self) -> Vec<&str> {
        self.bases.iter().map(String::as_str).collect()
    }

    /// Returns the base URL that the next call tries first, without starting a probe.
    pub(super) fn in_use(&self) -> &str {
        let circuits = self.circuits.lock();
        let closed = circuits.iter().position(|it| it.open_until.is_none());
        &self.bases[closed.unwrap_or(0)]
    }

    /// Returns all base URLs, each with whether nothing could be sent to it last time.
    pub(super) fn all(&self) -> Vec<(&str, bool)> {
        let circuits = self.circuits.lock();
        let failed = circuits.iter().map(|circuit| circuit.failures > 0);
        self.bases.iter().map(String::as_str).zip(failed).collect()
    }

    /// Records that nothing could be sent to this host.
    pub(super) fn failed(&self, base: &str) {
        let now = self.clock.uptime();
        let Some(at) = self.position(base) else {
            return;
        };
        let circuit = &mut self.circuits.lock()[at];
        circuit.failures = circuit.failures.saturating_add(1);
        if circuit.failures < FAILURES {
            return;
        }
        if circuit.open_until.replace(now + OPEN_FOR).is_none() {
            tracing::warn!(host = base, "upstream host left out: it cannot be reached");
        }
    }

    /// Records that this host answered.
    pub(super) fn answered(&self, base: &str) {
        let Some(at) = self.position(base) else {
            return;
        };
        let circuit = std::mem::take(&mut self.circuits.lock()[at]);
        if circuit.open_until.is_some() {
            tracing::info!(host = base, "upstream host in use again: it answers");
        }
    }

    /// A host without an alternative needs no circuit.
    fn position(&self, base: &str) -> Option<usize> {
        let at = self.bases.iter().position(|known| known == base)?;
        (self.bases.len() > 1).then_some(at)
    }
}

/// Number of failures in a row that open a circuit.
const FAILURES: u32 = 3;

/// How long a circuit stays open before a probe.
const OPEN_FOR: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;

    fn hosts(bases: &[&str]) -> (Hosts, Clock) {
        let clock = Clock::manual(UnixTime(1_767_225_600));
        let bases = bases.iter().map(ToString::to_string).collect();
        (Hosts::new(bases, clock.clone()), clock)
    }

    #[test]
    fn three_consecutive_failures_exclude_a_host_for_a_minute() {
        let (hosts, clock) = hosts(&["a", "b"]);
        hosts.failed("a");
        hosts.failed("a");
        hosts.answered("a");
        hosts.failed("a");
        hosts.failed("a");
        assert_eq!(hosts.to_try(), ["a", "b"], "two in a row");
        hosts.failed("a");
        assert_eq!((hosts.to_try(), hosts.in_use()), (vec!["b"], "b"));
        clock.advance(Duration::from_secs(59));
        assert_eq!(hosts.to_try(), ["b"]);
        assert_eq!(hosts.all(), [("a", true), ("b", false)]);
    }

    #[test]
    fn after_the_minute_one_call_probes_and_its_answer_closes_the_circuit() {
        let (hosts, clock) = hosts(&["a", "b"]);
        for _ in 0..3 {
            hosts.failed("a");
        }
        clock.advance(Duration::from_secs(60));
        assert_eq!(hosts.in_use(), "b", "looking is not a probe");
        assert_eq!(hosts.to_try(), ["a", "b"], "the probe");
        assert_eq!(hosts.to_try(), ["b"], "one at a time");
        hosts.failed("a");
        clock.advance(Duration::from_secs(59));
        assert_eq!(hosts.to_try(), ["b"], "a failed probe: one more minute");
        clock.advance(Duration::from_secs(1));
        assert_eq!(hosts.to_try(), ["a", "b"]);
        hosts.answered("a");
        assert_eq!(hosts.to_try(), ["a", "b"]);
        assert_eq!(hosts.in_use(), "a");
    }

    #[test]
    fn an_unreported_probe_is_repeated_a_minute_later() {
        let (hosts, clock) = hosts(&["a", "b"]);
        for _ in 0..3 {
            hosts.failed("a");
        }
        clock.advance(Duration::from_secs(60));
        assert_eq!(hosts.to_try(), ["a", "b"]);
        clock.advance(Duration::from_secs(60));
        assert_eq!(hosts.to_try(), ["a", "b"]);
    }

    #[test]
    fn there_is_always_a_host_to_try() {
        let (hosts, _) = hosts(&["a", "b"]);
        for base in ["a", "b"] {
            for _ in 0..3 {
                hosts.failed(base);
            }
        }
        assert_eq!(hosts.to_try(), ["a", "b"]);
        let (alone, _) = self::hosts(&["a"]);
        for _ in 0..9 {
            alone.failed("a");
        }
        assert_eq!((alone.to_try(), alone.in_use()), (vec!["a"], "a"));
    }
}
