//! Decides when something is worth a message: one incident per cause, one message when it begins, one when it
//! is over, whatever the number of accounts.
//!
//! Pure: [`Incidents::step`] is given what is wrong now, and the time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::UnixTime;
use crate::credential::Kind;
use crate::error::Text;

/// What identifies an incident.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Cause {
    /// WeChat or the network fails; it may pass by itself.
    Passing,
    /// WeChat does not allow this server's IP.
    Ip,
    /// A quota is exhausted.
    Quota,
    /// WeChat, or the egress proxy, refuses for this reason, and a person must act.
    Setup(String),
    /// A certificate of this service ends.
    Certificate,
    /// A new configuration was refused. The hash of its problems tells one from the next.
    Reload(u64),
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Still served, and a person must act.
    Failing,
    /// Still served, except some kinds of credentials.
    PartlyDown,
    /// Not served.
    Down,
}

/// One thing that is wrong now.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// The account, or the setting.
    pub(super) subject: String,
    pub(super) cause: Cause,
    pub(super) severity: Severity,
    /// How long it is still served.
    pub(super) served_for: Option<Duration>,
    pub(super) detail: Detail,
}

/// The explanation of a finding.
#[derive(Clone, Debug, Default)]
pub(super) struct Detail {
    pub(super) errcode: Option<i64>,
    /// Cause and fix. The fix names the IPs to allow.
    pub(super) advice: Option<(Text, Text)>,
    pub(super) ips: Vec<IpAddr>,
    /// The kinds that are not served.
    pub(super) down_kinds: Vec<Kind>,
    /// Number of further subjects of this cause, which are not listed.
    pub(super) unlisted: usize,
}

/// What a message says.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) event: Event,
    pub(super) cause: Cause,
    /// Number of accounts that are as bad as `event` says.
    pub(super) count: usize,
    /// The first of them, sorted.
    pub(super) names: Vec<String>,
    /// The shortest time that one of them is still served.
    pub(super) served_for: Option<Duration>,
    pub(super) detail: Detail,
    /// How long the incident has lasted.
    pub(super) lasted: Duration,
    pub(super) at: UnixTime,
}

/// The kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Problem(Severity),
    Recovered,
    /// `wx-jssdk notify test`.
    Test,
}

/// The state of the world, as far as messages depend on it.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) findings: Vec<Finding>,
    /// Accounts whose state is not known yet.
    pub(super) unclear: BTreeSet<String>,
    /// Accounts that are served while a refresh fails for a passing reason: no incident, and no recovery.
    pub(super) retried: BTreeSet<String>,
}

/// Timing of messages: `[notify]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    pub(super) settle: Duration,
    pub(super) repeat: Duration,
}

/// All open incidents.
#[derive(Debug)]
pub(super) struct Incidents {
    timing: Timing,
    open: BTreeMap<Cause, Incident>,
}

#[derive(Debug)]
struct Incident {
    began: Duration,
    affected: BTreeMap<String, Affected>,
    /// Every subject since the beginning.
    hit: BTreeSet<String>,
    /// When each severity was reported last.
    reported: BTreeMap<Severity, Duration>,
    /// Since when nothing is affected.
    quiet_since: Option<Duration>,
}

#[derive(Debug)]
struct Affected {
    /// Since when it has at least this severity.
    since: Duration,
    /// How bad it was when it was reported, but not worse than it is now: what gets worse is news again.
    reported: Option<Severity>,
    finding: Finding,
}

impl Cause {
    /// Events of the service itself happen once and do not flap.
    fn settle(&self, timing: Timing) -> Duration {
        match self {
            Self::Certificate | Self::Reload(_) => Duration::ZERO,
            _ => timing.settle,
        }
    }

    /// Returns whether the subjects are accounts, not settings.
    pub(super) fn is_of_accounts(&self) -> bool {
        !matches!(self, Self::Certificate | Self::Reload(_))
    }
}

impl Incidents {
    pub(super) fn new(timing: Timing) -> Self {
        Self {
            timing,
            open: BTreeMap::new(),
        }
    }

    /// Compares the world with what was reported. `is_in_use` says whether an account is still refreshed: one
    /// that was removed, or given up because it is unused, has not recovered.
    pub(super) fn step(
        &mut self,
        world: World,
        uptime: Duration,
        at: UnixTime,
        is_in_use: impl Fn(&str) -> bool,
    ) -> Vec<Notice> {
        self.take_in(world, uptime);
        let mut notices = Vec::new();
        for (cause, incident) in &mut self.open {
            for severity in [Severity::Down, Severity::PartlyDown, Severity::Failing] {
                notices.extend(incident.problem(severity, cause, self.timing, uptime, at));
            }
        }
        notices.extend(self.close(uptime, at, is_in_use));
        notices
    }

    fn take_in(&mut self, world: World, uptime: Duration) {
        let mut found: HashMap<Cause, BTreeMap<String, Finding>> = HashMap::new();
        for finding in world.findings {
            let of_cause = found.entry(finding.cause.clone()).or_default();
            of_cause.insert(finding.subject.clone(), finding);
        }
        for cause in found.keys() {
            let begin = || Incident {
                began: uptime,
                affected: BTreeMap::new(),
                hit: BTreeSet::new(),
                reported: BTreeMap::new(),
                quiet_since: None,
            };
            self.open.entry(cause.clone()).or_insert_with(begin);
        }
        for (cause, incident) in &mut self.open {
            let mut found = found.remove(cause).unwrap_or_default();
            incident.affected.retain(|subject, affected| {
                let is_retried = world.retried.contains(subject) && affected.reported.is_some();
                if is_retried {
                    affected.finding.severity = Severity::Failing;
                    affected.finding.served_for = None;
                    affected.reported = affected.reported.min(Some(Severity::Failing));
                }
                is_retried || found.contains_key(subject) || world.unclear.contains(subject)
            });
            while let Some((subject, finding)) = found.pop_first() {
                let before = incident.affected.get(&subject);
                let since = match before {
                    Some(before) if before.finding.severity >= finding.severity => before.since,
                    _ => uptime,
                };
                let reported = before.and_then(|before| before.reported);
                let affected = Affected {
                    since,
                    reported: reported.map(|it| it.min(finding.severity)),
                    finding,
                };
                incident.hit.insert(subject.clone());
                incident.affected.insert(subject, affected);
            }
        }
    }

    fn close(
        &mut self,
        uptime: Duration,
        at: UnixTime,
        is_in_use: impl Fn(&str) -> bool,
    ) -> Vec<Notice> {
        let timing = self.timing;
        let mut over = Vec::new();
        for (cause, incident) in &mut self.open {
            if !incident.affected.is_empty() {
                incident.quiet_since = None;
                continue;
            }
            let quiet_since = *incident.quiet_since.get_or_insert(uptime);
            let is_over = uptime.saturating_sub(quiet_since) >= cause.settle(timing);
            if is_over || incident.reported.is_empty() {
                over.push(cause.clone());
            }
        }
        let mut closed = Vec::new();
        for cause in over {
            closed.extend(self.open.remove(&cause).map(|incident| (cause, incident)));
        }
        let is_affected = |subject: &String| {
            let mut open = self.open.values();
            open.any(|incident| incident.affected.contains_key(subject))
        };
        // Another refused configuration is no recovery.
        let is_refused = self
            .open
            .keys()
            .any(|cause| matches!(cause, Cause::Reload(_)));
        closed.retain(|(cause, incident)| {
            let is_replaced = is_refused && matches!(cause, Cause::Reload(_));
            let is_silent = incident.reported.is_empty() || is_replaced;
            !is_silent
        });
        let recovered = closed.into_iter().filter_map(|(cause, incident)| {
            let is_there = |it: &&String| !cause.is_of_accounts() || is_in_use(it);
            let names = incident.hit.iter().filter(is_there);
            let names: Vec<_> = names.filter(|it| !is_affected(it)).collect();
            (!names.is_empty()).then(|| Notice {
                event: Event::Recovered,
                cause,
                count: names.len(),
                names: names.into_iter().take(NAMED).cloned().collect(),
                served_for: None,
                detail: Detail::default(),
                lasted: uptime.saturating_sub(incident.began),
                at,
            })
        });
        recovered.collect()
    }
}

impl Incident {
    /// Returns the message about the subjects of this severity that is due now, if any.
    fn problem(
        &mut self,
        severity: Severity,
        cause: &Cause,
        timing: Timing,
        uptime: Duration,
        at: UnixTime,
    ) -> Option<Notice> {
        // Such accounts are served, and the failure may pass by itself.
        if *cause == Cause::Passing && severity == Severity::Failing {
            return None;
        }
        let affected = self.affected.values_mut();
        let mut of_severity: Vec<_> = affected
            .filter(|it| it.finding.severity == severity)
            .collect();
        let is_news = |it: &&mut Affected| {
            it.reported < Some(severity) && uptime.saturating_sub(it.since) >= cause.settle(timing)
        };
        if !of_severity.iter().any(is_news) {
            return None;
        }
        if let Some(last) = self.reported.get(&severity)
            && (timing.repeat.is_zero() || uptime.saturating_sub(*last) < timing.repeat)
        {
            return None;
        }
        self.reported.insert(severity, uptime);
        // All of them, also those that have not settled: they have the same cause.
        for it in &mut of_severity {
            it.reported = Some(severity);
        }
        let findings: Vec<_> = of_severity.iter().map(|it| &it.finding).collect();
        let details = findings.iter().map(|it| &it.detail);
        let ips = distinct(details.clone().flat_map(|detail| &detail.ips));
        let down_kinds = distinct(details.flat_map(|detail| &detail.down_kinds));
        let names = findings.iter().map(|it| it.subject.clone());
        Some(Notice {
            event: Event::Problem(severity),
            cause: cause.clone(),
            count: findings.len() + findings.first()?.detail.unlisted,
            names: names.take(NAMED).collect(),
            served_for: findings.iter().filter_map(|it| it.served_for).min(),
            detail: Detail {
                ips,
                down_kinds,
                ..findings.first()?.detail.clone()
            },
            lasted: uptime.saturating_sub(self.began),
            at,
        })
    }
}

/// Returns each value once, in the order of their first occurrence.
fn distinct<'t, T: Copy + PartialEq + 't>(all: impl Iterator<Item = &'t T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for one in all {
        if !distinct.contains(one) {
            distinct.push(*one);
        }
    }
    distinct
}

/// Number of accounts that a message names.
const NAMED: usize = 10;

#[cfg(test)]
mod tests;
