//! The state of everything at one moment: `/readyz`, `/metrics`, `/status` and `/status.json` are views of
//! it. Contains no secrets.
//!
//! Ten thousand accounts are counted and sorted by reference. Details are built only for the accounts that
//! a query selects.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::health::Health;
use super::overview::{Collector, Overview};
use super::refresh::daily_quota;
use super::slot::{HOURS, HourState, Refresh, Remembered, Slot, State};
use super::stats::{OUTCOMES, Stats};
use super::sync::Cluster;
use super::{AccountEntry, Broker};
use crate::account::Account;
use crate::clock::{Moment, UnixTime};
use crate::credential::Kind;
use crate::error::UpstreamError;
use crate::upstream::endpoint;

/// A query for accounts.
#[derive(Clone, Debug, Default)]
pub struct Find {
    /// The exact name of one account.
    pub account: Option<String>,
    /// Part of the name or of the AppID, ignoring case; empty matches all.
    pub text: String,
    /// The accepted states; empty accepts all.
    pub health: Vec<Health>,
    /// Number of matches to skip.
    pub offset: usize,
    /// Maximum number of accounts to return.
    pub limit: usize,
    /// Maximum number of accounts that each incident lists; zero: no overview is made.
    pub incident_accounts: usize,
    /// Whether the accounts of incidents are left out of the matches.
    pub without_incidents: bool,
}

/// The state of everything, with details of the accounts that match a query.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was taken.
    pub now: UnixTime,
    /// Counts of all accounts.
    pub counts: Counts,
    /// Counts of the accounts that sign pages.
    pub signing: Counts,
    /// Number of accounts that match; `accounts` holds one page of them.
    pub matching: usize,
    /// The requested page, worst health first, then by name.
    pub accounts: Vec<AccountSnapshot>,
    /// The incidents and the refreshes of all accounts, if asked for.
    pub overview: Overview,
    /// This node, its store and its peer nodes.
    pub cluster: Cluster,
    /// Counters that do not belong to one credential.
    pub stats: Stats,
}

/// Number of accounts by health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Counts {
    /// All accounts.
    pub accounts: usize,
    /// [`Health::Down`].
    pub down: usize,
    /// [`Health::Degraded`].
    pub degraded: usize,
    /// [`Health::Starting`].
    pub starting: usize,
    /// [`Health::Ok`].
    pub ok: usize,
}

/// The state of one account.
#[derive(Clone, Debug)]
pub struct AccountSnapshot {
    /// Its name.
    pub name: String,
    /// The account itself.
    pub account: Arc<Account>,
    /// [`Health::Down`] if its primary credential is not served; [`Health::Degraded`] if it is, but any of
    /// its credentials fails.
    pub health: Health,
    /// Its credentials: those that an ordinary page needs, and those fetched at least once.
    pub credentials: Vec<CredentialSnapshot>,
}

/// The state of one credential.
#[derive(Clone, Debug)]
pub struct CredentialSnapshot {
    /// Its kind.
    pub kind: Kind,
    /// Its health.
    pub health: Health,
    /// When it was first seen.
    pub issued_at: Option<UnixTime>,
    /// When it ends or ended.
    pub expires_at: Option<UnixTime>,
    /// Until when it is or was served: a little before its end.
    pub served_until: Option<UnixTime>,
    /// How long it is still served; zero if it is not.
    pub served_for: Duration,
    /// Whether a refresh is running.
    pub refreshing: bool,
    /// When it becomes due.
    pub due_at: Option<UnixTime>,
    /// When the next refresh starts.
    pub next_refresh: Option<UnixTime>,
    /// How long its refresh has been due. Zero while WeChat confirms that there is no newer value.
    pub overdue: Duration,
    /// Time of the last success: when WeChat returned a value, or when a value found in the store was
    /// issued.
    pub last_success: Option<UnixTime>,
    /// The last failure, if no success has followed it.
    pub last_error: Option<LastError>,
    /// Number of values that came from WeChat or from the store.
    pub refreshes: u64,
    /// How often it was rejected long before its end, which means that another server fetches tokens of
    /// this app.
    pub foreign_refreshes: u64,
    /// How often the reply to a token call was lost, so that the old token's life was cut short.
    pub lost_replies: u64,
    /// Number of ticket calls that were refused because of their token.
    pub stale_refusals: u64,
    /// Refresh outcomes and their counts.
    pub outcomes: [(&'static str, u64); OUTCOMES],
    /// The endpoint that returns it.
    pub endpoint: &'static str,
    /// Number of calls to the endpoint today (Shanghai time) for this app, by all nodes that share the
    /// store, as last read; `None` before the first reading.
    pub calls_today: Option<u64>,
    /// The daily quota that WeChat grants an ordinary account, if known.
    pub daily_quota: Option<u64>,
    slot: Arc<Slot>,
}

/// A failure that no success has followed yet.
#[derive(Clone, Debug)]
pub struct LastError {
    /// When it happened.
    pub at: UnixTime,
    /// When the first failure in a row happened.
    pub since: UnixTime,
    /// When the next try is.
    pub retry_at: UnixTime,
    /// Number of failures in a row.
    pub failures: u32,
    /// `transient`, `stale_token`, `quota` or `setup`.
    pub class: &'static str,
    /// The credential that failed. A ticket's failure may be its token's.
    pub kind: Kind,
    /// The error itself.
    pub error: Arc<UpstreamError>,
}

/// Sorted with the worst health first.
type Found<'a> = (Reverse<Health>, &'a Arc<AccountEntry>);

impl Find {
    /// Selects all accounts.
    #[must_use]
    pub fn all() -> Self {
        Self {
            limit: usize::MAX,
            ..Self::default()
        }
    }

    fn wants(&self, entry: &AccountEntry, health: Health, text: &str) -> bool {
        let contains = |name: &str| name.to_lowercase().contains(text);
        (self.health.is_empty() || self.health.contains(&health))
            && self.account.as_ref().is_none_or(|name| *name == entry.name)
            && (text.is_empty() || contains(&entry.name) || contains(entry.account.app_id()))
    }
}

impl Broker {
    /// Returns the state of everything now. Calls neither the store nor WeChat.
    #[must_use]
    pub fn snapshot(&self, find: &Find) -> Snapshot {
        let (at, accounts) = (self.inner.clock.moment(), self.inner.accounts.load());
        let (mut counts, mut signing) = (Counts::default(), Counts::default());
        let mut found: Vec<Found<'_>> = Vec::new();
        let text = find.text.to_lowercase();
        let mut overview = Collector::default();
        for entry in accounts.all() {
            let health = self.health_of(entry, &at);
            counts.add(health);
            if entry.signs_pages() {
                signing.add(health);
            }
            let is_incident =
                find.incident_accounts > 0 && self.collect(&mut overview, entry, health, &at);
            if find.wants(entry, health, &text) && !(is_incident && find.without_incidents) {
                found.push((Reverse(health), entry));
            }
        }
        let matching = found.len();
        // Only the accounts up to the end of the page are sorted.
        let from = find.offset.min(matching);
        let to = find.offset.saturating_add(find.limit).min(matching);
        let by = |a: &Found<'_>, b: &Found<'_>| (a.0, &a.1.name).cmp(&(b.0, &b.1.name));
        if to < matching && to > 0 {
            found.select_nth_unstable_by(to, by);
        }
        found.truncate(to);
        found.sort_unstable_by(by);
        let page = found[from..].iter();
        Snapshot {
            now: at.now,
            counts,
            signing,
            matching,
            accounts: page
                .map(|(health, entry)| self.account_snapshot(entry, health.0, &at))
                .collect(),
            overview: overview.finish(find.incident_accounts, |health, entry| {
                self.account_snapshot(entry, health, &at)
            }),
            cluster: self.cluster(),
            stats: self.stats(),
        }
    }

    fn health_of(&self, entry: &AccountEntry, at: &Moment) -> Health {
        let (mut primary, mut is_troubled) = (Health::Ok, false);
        for slot in entry.wanted_slots() {
            let health = Health::of_slot(&slot.lock(), self.current(slot, at).is_some());
            if slot.key.kind == entry.primary() {
                primary = health;
            } else {
                is_troubled |= health >= Health::Degraded;
            }
        }
        match (primary, is_troubled) {
            (Health::Ok, true) => Health::Degraded,
            (Health::Starting, true) => Health::Down,
            (primary, _) => primary,
        }
    }

    fn account_snapshot(
        &self,
        entry: &AccountEntry,
        health: Health,
        at: &Moment,
    ) -> AccountSnapshot {
        let slots = entry.wanted_slots();
        let mut credentials: Vec<_> = slots
            .map(|slot| self.credential_snapshot(entry, slot, at))
            .collect();
        // Two tickets may come from the same endpoint. The greater count was read later.
        for at in 0..credentials.len() {
            let endpoint = credentials[at].endpoint;
            let same = credentials.iter().filter(|one| one.endpoint == endpoint);
            credentials[at].calls_today = same.filter_map(|one| one.calls_today).max();
        }
        AccountSnapshot {
            name: entry.name.clone(),
            account: entry.account.clone(),
            health,
            credentials,
        }
    }

    fn credential_snapshot(
        &self,
        entry: &AccountEntry,
        slot: &Arc<Slot>,
        at: &Moment,
    ) -> CredentialSnapshot {
        let (_, endpoint) = endpoint(&entry.account, slot.key.kind);
        let (state, current) = (slot.lock(), self.current(slot, at));
        let (last, current) = (state.last.as_deref(), current.as_deref());
        let due_at = last.map(|last| state.due_at(last, slot.spread));
        CredentialSnapshot {
            kind: slot.key.kind,
            health: Health::of_slot(&state, current.is_some()),
            issued_at: last.map(|last| last.issued_at),
            expires_at: last.map(|last| last.expires_at),
            served_until: match current {
                Some(current) => Some(current.served_until(at)),
                None => last.map(|last| last.served_until().min(at.now)),
            },
            served_for: current.map_or(Duration::ZERO, |current| current.served_for(at)),
            refreshing: state.flight.is_some(),
            due_at,
            next_refresh: next_refresh(&state, due_at, at.now),
            overdue: overdue(&state, due_at, at.now),
            last_success: slot.counts.last_success(),
            last_error: state.failure.as_deref().map(LastError::from),
            refreshes: state.refreshes,
            foreign_refreshes: state.foreign_refreshes,
            lost_replies: state.lost_replies,
            stale_refusals: slot.counts.stale_refusals(),
            outcomes: slot.counts.outcomes(),
            endpoint,
            calls_today: slot.counts.calls_today(at.now),
            daily_quota: daily_quota(&entry.account, slot.key.kind),
            slot: slot.clone(),
        }
    }

    fn stats(&self) -> Stats {
        let inner = &self.inner;
        Stats {
            store: inner.store.operations(),
            clock_jumps: inner.keeper.clock_jumps.load(Ordering::Relaxed),
            unreachable_hosts: inner.upstream.unreachable_hosts().len(),
            ..inner.counts.read(inner.clock.uptime())
        }
    }
}

impl Counts {
    fn add(&mut self, health: Health) {
        self.accounts += 1;
        *match health {
            Health::Ok => &mut self.ok,
            Health::Starting => &mut self.starting,
            Health::Degraded => &mut self.degraded,
            Health::Down => &mut self.down,
        } += 1;
    }
}

impl AccountEntry {
    /// Returns the kind of the credential that the account exists for: the ticket that signs its pages, or
    /// the token if it signs none.
    pub(super) fn primary(&self) -> Kind {
        if self.signs_pages() {
            Kind::JsapiTicket
        } else {
            Kind::AccessToken
        }
    }

    pub(super) fn wanted_slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.slots().filter(|slot| slot.is_wanted())
    }
}

impl AccountSnapshot {
    /// Whether it signs pages.
    #[must_use]
    pub fn signs_pages(&self) -> bool {
        self.account.has(Kind::JsapiTicket)
    }

    /// Returns the credential that the account exists for: the ticket that signs its pages, or the token if
    /// it signs none.
    #[must_use]
    pub fn primary(&self) -> Option<&CredentialSnapshot> {
        let kind = if self.signs_pages() {
            Kind::JsapiTicket
        } else {
            Kind::AccessToken
        };
        self.credentials.iter().find(|one| one.kind == kind)
    }

    /// Returns the last 24 hours, oldest first: those of the primary credential, and a failure of another one.
    #[must_use]
    pub fn hours(&self, now: UnixTime) -> [HourState; HOURS] {
        let primary = self.primary().map(|primary| primary.kind);
        let mut hours = [HourState::NoData; HOURS];
        for one in &self.credentials {
            let most = if Some(one.kind) == primary {
                HourState::Down
            } else {
                HourState::Failed
            };
            let of_one = one.slot.lock().history.hours(now);
            for (hour, state) in hours.iter_mut().zip(of_one) {
                *hour = (*hour).max(state.min(most));
            }
        }
        hours
    }

    /// Returns today's calls by endpoint, as far as they are known.
    #[must_use]
    pub fn calls_today(&self) -> Vec<(&'static str, u64)> {
        let mut calls: Vec<(&'static str, u64)> = Vec::new();
        for one in &self.credentials {
            if let Some(count) = one.calls_today
                && !calls.iter().any(|(known, _)| *known == one.endpoint)
            {
                calls.push((one.endpoint, count));
            }
        }
        calls
    }

    /// Returns the failure to fix first. Without a token there is no ticket, so the token's comes first.
    #[must_use]
    pub fn last_error(&self) -> Option<&LastError> {
        let mut errors = self.credentials.iter();
        errors.find_map(|one| one.last_error.as_ref())
    }
}

impl CredentialSnapshot {
    /// Whether it is served now.
    #[must_use]
    pub fn is_served(&self) -> bool {
        matches!(self.health, Health::Ok | Health::Degraded)
    }

    /// Returns the results of the last refreshes, oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<Refresh> {
        self.slot.lock().history.all()
    }
}

impl From<&Remembered> for LastError {
    fn from(failure: &Remembered) -> Self {
        Self {
            since: failure.since,
            at: failure.at,
            retry_at: failure.until,
            failures: failure.failures,
            class: failure.error.class().as_str(),
            kind: failure.kind,
            error: failure.error.clone(),
        }
    }
}

/// Returns when the keeper will refresh: when the credential is due, but not during a cooldown.
pub(super) fn next_refresh(
    state: &State,
    due_at: Option<UnixTime>,
    now: UnixTime,
) -> Option<UnixTime> {
    let forbidden = [
        state.cooldown(now).map(|failure| failure.until),
        state.nothing_new_until,
    ];
    let earliest = forbidden.into_iter().flatten().fold(now, UnixTime::max);
    let next = due_at.map_or(earliest, |due| due.max(earliest));
    let next = state
        .retry_from()
        .map_or(next, |from| next.min(from.max(now)));
    Some(if state.flight.is_some() { now } else { next })
}

/// Returns how long the refresh has been due, or, if there was never a value, the time since the first
/// failure.
fn overdue(state: &State, due_at: Option<UnixTime>, now: UnixTime) -> Duration {
    let since = due_at.or(state.failure.as_ref().map(|failure| failure.since));
    match since {
        Some(since) if !state.is_confirmed(now) => now.since(since),
        _ => Duration::ZERO,
    }
}
