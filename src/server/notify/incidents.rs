//! Decides when something is worth a message: one incident per cause, one message when it begins, one when it
//! is over, whatever the number of accounts. A subject whose cause changes is not healthy all the while: its
//! incidents stay open until it is.
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
    Ip(Console),
    /// A quota is exhausted.
    Quota(Console),
    /// WeChat, or the egress proxy, refuses for this reason, and a person must act.
    Setup(Console, String),
    /// A certificate of this service ends.
    Certificate,
    /// A new configuration was refused. The hash of its problems tells one from the next.
    Reload(u64),
}

/// Where a person acts: the same refusal has another fix at each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Console {
    Weixin,
    Work,
    OpenPlatform,
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
    /// Whether pages fail while it is down.
    pub(super) signs_pages: bool,
    /// How long it is still served.
    pub(super) served_for: Option<Duration>,
    pub(super) detail: Detail,
}

/// The explanation of a finding.
#[derive(Clone, Debug, Default)]
pub(super) struct Detail {
    pub(super) errcode: Option<i64>,
    /// Cause and fix.
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
    /// The subjects that are not healthy, or were not within the settle time.
    spells: BTreeMap<String, Spell>,
}

/// The time in which a subject is not healthy, whatever the causes.
#[derive(Debug)]
struct Spell {
    since: Duration,
    /// How bad it is, and since when it is at least that.
    severity: Option<Severity>,
    severity_since: Duration,
    /// The worst that was reported of it.
    worst: Option<Severity>,
    healthy_since: Option<Duration>,
}

#[derive(Debug, Default)]
struct Incident {
    affected: BTreeMap<String, Affected>,
    /// Every subject since the beginning whose recovery was not reported, and since when it was not healthy.
    hit: BTreeMap<String, Duration>,
    /// When each severity was reported last.
    reported: BTreeMap<Severity, Duration>,
    /// Whether an account that signs pages was reported as down.
    has_reported_pages: bool,
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
        match self.is_of_accounts() {
            true => timing.settle,
            false => Duration::ZERO,
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
            spells: BTreeMap::new(),
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
                let spells = &mut self.spells;
                let notice = incident.problem(severity, cause, spells, self.timing, uptime, at);
                notices.extend(notice);
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
            self.open.entry(cause.clone()).or_default();
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
                let begin = || Spell {
                    since: uptime,
                    severity: None,
                    severity_since: uptime,
                    worst: None,
                    healthy_since: None,
                };
                let spell = self.spells.entry(subject.clone()).or_insert_with(begin);
                incident.hit.entry(subject.clone()).or_insert(spell.since);
                incident.affected.insert(subject, affected);
            }
        }
        let mut severities: BTreeMap<&String, Severity> = BTreeMap::new();
        for (subject, affected) in self.open.values().flat_map(|it| &it.affected) {
            let severity = affected.finding.severity;
            let known = severities.entry(subject).or_insert(severity);
            *known = severity.max(*known);
        }
        for (subject, spell) in &mut self.spells {
            let severity = severities.get(subject).copied();
            if spell.severity < severity {
                spell.severity_since = uptime;
            }
            spell.severity = severity;
            spell.healthy_since = match severity {
                Some(_) => None,
                None => spell.healthy_since.or(Some(uptime)),
            };
        }
    }

    /// Reports the subjects of quiet incidents that are healthy, each once, and closes the incidents that have no
    /// other.
    fn close(
        &mut self,
        uptime: Duration,
        at: UnixTime,
        is_in_use: impl Fn(&str) -> bool,
    ) -> Vec<Notice> {
        let is_refused = self.open.iter().any(|(cause, incident)| {
            matches!(cause, Cause::Reload(_)) && !incident.affected.is_empty()
        });
        let mut notices = Vec::new();
        let mut announced = BTreeSet::new();
        for (cause, incident) in &mut self.open {
            let recovered = incident.recovered(cause, &self.spells, self.timing, uptime);
            // Another refused configuration is no recovery.
            if is_refused && matches!(cause, Cause::Reload(_)) {
                continue;
            }
            let recovered = recovered.into_iter().filter(|(subject, _)| {
                let is_there = !cause.is_of_accounts() || is_in_use(subject);
                is_there && announced.insert(subject.clone())
            });
            let (names, since): (Vec<_>, Vec<_>) = recovered.unzip();
            let Some(since) = since.into_iter().min() else {
                continue;
            };
            notices.push(Notice {
                event: Event::Recovered,
                cause: cause.clone(),
                count: names.len(),
                names: names.into_iter().take(NAMED).collect(),
                served_for: None,
                detail: Detail::default(),
                lasted: uptime.saturating_sub(since),
                at,
            });
        }
        self.open.retain(|cause, incident| {
            incident
                .hit
                .retain(|subject, _| !announced.contains(subject));
            let is_replaced = is_refused && matches!(cause, Cause::Reload(_));
            let is_waited_for = !incident.hit.is_empty() && !incident.reported.is_empty();
            !incident.affected.is_empty() || (is_waited_for && !is_replaced)
        });
        let settle = self.timing.settle;
        self.spells
            .retain(|_, spell| !spell.is_over(settle, uptime));
        notices
    }
}

impl Spell {
    /// Returns whether the subject has been healthy for this time.
    fn is_over(&self, settle: Duration, uptime: Duration) -> bool {
        let since = self.healthy_since;
        since.is_some_and(|since| uptime.saturating_sub(since) >= settle)
    }
}

impl Incident {
    /// Returns the message about the subjects of this severity that is due now, if any.
    fn problem(
        &mut self,
        severity: Severity,
        cause: &Cause,
        spells: &mut BTreeMap<String, Spell>,
        timing: Timing,
        uptime: Duration,
        at: UnixTime,
    ) -> Option<Notice> {
        // Such accounts are served, and the failure may pass by itself.
        if *cause == Cause::Passing && severity == Severity::Failing {
            return None;
        }
        let affected = self.affected.iter_mut();
        let mut of_severity: Vec<_> = affected
            .filter(|(_, it)| it.finding.severity == severity)
            .collect();
        let last = self.reported.get(&severity).copied();
        let is_pages_news = severity == Severity::Down && !self.has_reported_pages;
        let is_due = |(subject, it): &(&String, &mut Affected)| {
            let spell = spells.get(*subject);
            let worst = spell.and_then(|spell| spell.worst);
            // A cause that is new has to settle; an outage that was not reported has, whatever its causes.
            let unreported = spell.filter(|_| worst < Some(severity));
            let since = unreported.map_or(it.since, |spell| spell.severity_since.min(it.since));
            let is_news = it.reported < Some(severity)
                && uptime.saturating_sub(since) >= cause.settle(timing);
            let gap = if is_pages_news && it.finding.signs_pages {
                Duration::ZERO
            } else if worst.is_some_and(|worst| worst < severity) {
                GAP_IF_WORSE
            } else if timing.repeat.is_zero() {
                Duration::MAX
            } else {
                timing.repeat
            };
            is_news && last.is_none_or(|last| uptime.saturating_sub(last) >= gap)
        };
        if !of_severity.iter().any(is_due) {
            return None;
        }
        self.reported.insert(severity, uptime);
        // All of them, also those that have not settled: they have the same cause.
        for (subject, it) in &mut of_severity {
            it.reported = Some(severity);
            self.has_reported_pages |= severity == Severity::Down && it.finding.signs_pages;
            if let Some(spell) = spells.get_mut(*subject) {
                spell.worst = spell.worst.max(Some(severity));
            }
        }
        let subjects = of_severity.iter().map(|(subject, _)| *subject);
        let since = subjects.filter_map(|subject| self.hit.get(subject));
        let since = since.min().copied().unwrap_or(uptime);
        let findings: Vec<_> = of_severity.iter().map(|(_, it)| &it.finding).collect();
        let names = findings.iter().map(|it| it.subject.clone());
        Some(Notice {
            event: Event::Problem(severity),
            cause: cause.clone(),
            count: findings.len() + findings.first()?.detail.unlisted,
            names: names.take(NAMED).collect(),
            served_for: findings.iter().filter_map(|it| it.served_for).min(),
            detail: Detail::of_all(&findings)?,
            lasted: uptime.saturating_sub(since),
            at,
        })
    }

    /// Removes and returns the subjects that are healthy again, if nothing was affected for the settle time.
    fn recovered(
        &mut self,
        cause: &Cause,
        spells: &BTreeMap<String, Spell>,
        timing: Timing,
        uptime: Duration,
    ) -> BTreeMap<String, Duration> {
        if !self.affected.is_empty() {
            self.quiet_since = None;
            return BTreeMap::new();
        }
        let quiet_since = *self.quiet_since.get_or_insert(uptime);
        let settle = cause.settle(timing);
        if self.reported.is_empty() || uptime.saturating_sub(quiet_since) < settle {
            return BTreeMap::new();
        }
        let is_healthy = |subject: &String| {
            let spell = spells.get(subject);
            spell.is_none_or(|spell| spell.is_over(settle, uptime))
        };
        let hit = std::mem::take(&mut self.hit).into_iter();
        let (recovered, others) = hit.partition(|(subject, _)| is_healthy(subject));
        self.hit = others;
        recovered
    }
}

/// How soon accounts are reported that are worse than they were reported: each of two hundred tokens that end
/// one by one is no message.
const GAP_IF_WORSE: Duration = Duration::from_secs(600);

/// Number of accounts that a message names.
const NAMED: usize = 10;

#[cfg(test)]
mod tests;
