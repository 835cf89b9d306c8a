//! The overview of all accounts for the status page: failures grouped by cause, and the refreshes.
//!
//! An account belongs to one incident at most, that of its first failure: without a token there is no ticket,
//! so the token's failure is the one to fix. A failure that needs no operator is no incident while all of the
//! account's credentials are served: the account is retried and recovers by itself.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::slot::MOST_ADDRESSES;
use super::snapshot::next_refresh;
use super::{AccountEntry, AccountSnapshot, Broker, Health, LastError};
use crate::clock::{Moment, UnixTime};
use crate::credential::Kind;
use crate::error::Class;

/// The state of all accounts together.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// The incidents, worst first.
    pub incidents: Vec<Incident>,
    /// When the next refresh of any account starts.
    pub next_refresh: Option<UnixTime>,
    /// When the next try of a failing account starts; if any are down, of one of those.
    pub next_try: Option<UnixTime>,
    /// Until when the first of the failing accounts that are still served is served.
    pub served_until: Option<UnixTime>,
    /// Number of refreshes in the last 24 hours that succeeded, as far as they are remembered.
    pub succeeded: u64,
    /// Number of refreshes in the last 24 hours, as far as they are remembered.
    pub refreshes: u64,
}

/// One cause and the accounts that fail because of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Incident {
    /// The worst health of its accounts.
    pub health: Health,
    /// The latest of the failures. `since`, `retry_at` and `failures` are the earliest and most of all.
    pub error: LastError,
    /// The IP addresses to allow, if that is the fix.
    pub addresses: Vec<IpAddr>,
    /// Number of its accounts.
    pub count: usize,
    /// Number of its accounts that are affected worst; they come first in `accounts`.
    pub worst: usize,
    /// The kinds that are not served, of accounts that are served otherwise.
    pub down_kinds: Vec<Kind>,
    /// Whether any account that is down signs pages.
    pub stops_pages: bool,
    /// Since when the first of them is down; `None` if all are served.
    pub down_since: Option<UnixTime>,
    /// The first of its accounts: worst health first, then by name.
    pub accounts: Vec<AccountSnapshot>,
}

/// Collects the overview while the accounts are counted.
#[derive(Default)]
pub(super) struct Collector<'a> {
    overview: Overview,
    /// The worst health of a failing account, and the next try of one with it.
    next_try: Option<(Reverse<Health>, UnixTime)>,
    groups: HashMap<(Kind, &'static str, String), Group<'a>>,
}

struct Group<'a> {
    incident: Incident,
    entries: Vec<(Reverse<Effect>, &'a Arc<AccountEntry>)>,
}

/// What a failure means for an account: its health, and whether any of its credentials is not served.
type Effect = (Health, bool);

impl Broker {
    /// Adds an account to the overview. Returns whether it belongs to an incident.
    pub(super) fn collect<'a>(
        &self,
        collector: &mut Collector<'a>,
        entry: &'a Arc<AccountEntry>,
        health: Health,
        at: &Moment,
    ) -> bool {
        let mut first_error: Option<LastError> = None;
        let (mut served_until, mut ended) = (None, None);
        let mut down_kinds = Vec::new();
        let primary = entry.primary_slot().map(|slot| slot.key.kind);
        let overview = &mut collector.overview;
        for slot in entry.wanted_slots() {
            let current = self.current(slot, at);
            let state = slot.lock();
            let last = state.last.as_deref();
            if Health::of_slot(&state, current.is_some()) == Health::Down {
                down_kinds.push(slot.key.kind);
            }
            if Some(slot.key.kind) == primary {
                served_until = current.as_ref().map(|current| current.served_until(at));
                ended = last
                    .map(|last| last.served_until())
                    .filter(|end| *end <= at.now);
            }
            let due_at = last.map(|last| state.due_at(last, slot.jitter_seed));
            let next = next_refresh(&state, due_at, at.now);
            overview.next_refresh = overview.next_refresh.into_iter().chain(next).min();
            let (succeeded, refreshes) =
                state.history.since(UnixTime(at.now.0.saturating_sub(DAY)));
            overview.succeeded += succeeded;
            overview.refreshes += refreshes;
            if first_error.is_none() {
                first_error = state.last_error();
            }
        }
        if health == Health::Degraded {
            overview.served_until = overview.served_until.into_iter().chain(served_until).min();
        }
        let Some(error) = first_error.filter(|_| health >= Health::Degraded) else {
            return false;
        };
        let next_try = (Reverse(health), error.retry_at);
        collector.next_try = collector.next_try.into_iter().chain([next_try]).min();
        overview.next_try = collector.next_try.map(|(_, at)| at);
        let needs_operator = matches!(error.error.class(), Class::Setup | Class::Quota);
        if health != Health::Down && down_kinds.is_empty() && !needs_operator {
            return false;
        }
        let down_since = (health == Health::Down).then(|| ended.unwrap_or(error.since));
        collector.add(entry, health, error, down_since, down_kinds);
        true
    }
}

impl<'a> Collector<'a> {
    fn add(
        &mut self,
        entry: &'a Arc<AccountEntry>,
        health: Health,
        error: LastError,
        down_since: Option<UnixTime>,
        down_kinds: Vec<Kind>,
    ) {
        let cause = match error.error.errcode() {
            Some(errcode) => errcode.to_string(),
            None => error.error.cause().en.into_owned(),
        };
        let key = (error.kind, error.error.endpoint, cause);
        let addresses = error.error.ips_to_allow();
        let group = self.groups.entry(key).or_insert_with(|| Group {
            incident: Incident {
                health,
                error: error.clone(),
                addresses: Vec::new(),
                count: 0,
                worst: 0,
                down_kinds: Vec::new(),
                stops_pages: false,
                down_since: None,
                accounts: Vec::new(),
            },
            entries: Vec::new(),
        });
        let incident = &mut group.incident;
        incident.count += 1;
        incident.health = incident.health.max(health);
        let primary = entry.primary_slot().map(|slot| slot.key.kind);
        incident.stops_pages |= health == Health::Down && primary == Some(Kind::JsapiTicket);
        incident.down_since = incident.down_since.into_iter().chain(down_since).min();
        let known = &incident.error;
        let since = known.since.min(error.since);
        let retry_at = known.retry_at.min(error.retry_at);
        let failures = known.failures.max(error.failures);
        if error.at >= known.at {
            incident.error = error;
        }
        (incident.error.since, incident.error.retry_at) = (since, retry_at);
        incident.error.failures = failures;
        for address in addresses {
            if !incident.addresses.contains(&address) && incident.addresses.len() < MOST_ADDRESSES {
                incident.addresses.push(address);
            }
        }
        let effect = (health, !down_kinds.is_empty());
        if health != Health::Down {
            incident.down_kinds.extend(down_kinds);
        }
        group.entries.push((Reverse(effect), entry));
    }

    /// Returns the overview, with at most `most` accounts in each incident.
    pub(super) fn finish(
        self,
        most: usize,
        snapshot: impl Fn(Health, &Arc<AccountEntry>) -> AccountSnapshot,
    ) -> Overview {
        let mut overview = self.overview;
        for Group {
            mut incident,
            mut entries,
        } in self.groups.into_values()
        {
            entries.sort_unstable_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
            let worst = entries.first().map(|entry| entry.0);
            let is_worst = |entry: &&(Reverse<Effect>, _)| Some(entry.0) == worst;
            incident.worst = entries.iter().take_while(is_worst).count();
            incident.down_kinds.sort_unstable();
            incident.down_kinds.dedup();
            let shown = entries.iter().take(most);
            incident.accounts = shown
                .map(|(effect, entry)| snapshot(effect.0.0, entry))
                .collect();
            overview.incidents.push(incident);
        }
        overview.incidents.sort_by_key(|incident| {
            let error = &incident.error;
            let rank = (Reverse(incident.health), Reverse(incident.count));
            (
                rank,
                error.error.errcode(),
                error.kind,
                error.error.endpoint,
            )
        });
        overview
    }
}

const DAY: u64 = Duration::from_secs(86_400).as_secs();
