//! The state of one account and of each of its credentials.

use std::sync::Arc;
use std::time::Duration;

use crate::account::Account;
use crate::broker::health::Health;
use crate::broker::refresh::{daily_quota, foreign_refresh_advice};
use crate::broker::slot::{HOURS, HourState, LastError, Refresh, Slot, State};
use crate::broker::stats::OUTCOMES;
use crate::broker::{AccountEntry, AccountSource, Broker};
use crate::clock::{Moment, UnixTime};
use crate::credential::Kind;
use crate::error::Text;
use crate::upstream::endpoint;

/// The state of one account.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccountSnapshot {
    /// Its name.
    pub name: String,
    /// The account itself.
    pub account: Arc<Account>,
    /// Its platform, or `unknown`: an account that authorised an open platform and was not used yet may be a mini
    /// program, and counts as an official account until then.
    pub platform: &'static str,
    /// Where it comes from.
    pub source: AccountSource,
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

impl Broker {
    pub(super) fn account_snapshot(
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
            platform: self.platform_name(&entry.account),
            source: entry.source,
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
        let state = slot.lock();
        let current = self.current(slot, at);
        let last = state.last.as_deref();
        let current = current.as_deref();
        let due_at = last.map(|last| state.due_at(last, slot.jitter_seed));
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
            last_success: state.counts.last_success,
            last_error: state.last_error(),
            refreshes: state.counts.refreshes(),
            foreign_refreshes: state.foreign_refreshes,
            lost_replies: state.lost_replies,
            stale_refusals: state.counts.stale_refusals.into(),
            outcomes: state.counts.outcomes(),
            endpoint,
            calls_today: state.counts.calls_today(at.now),
            daily_quota: daily_quota(&entry.account, slot.key.kind),
            slot: slot.clone(),
        }
    }
}

impl AccountSnapshot {
    /// Returns the credential that decides its health: the ticket that signs its pages, or the token if it
    /// signs none. If that one was never used, as with an account of an open platform, the first that was.
    pub fn primary(&self) -> Option<&CredentialSnapshot> {
        let kind = self.account.primary_kind();
        let mut credentials = self.credentials.iter();
        let of_kind = credentials.find(|one| one.kind == kind);
        of_kind.or(self.credentials.first())
    }

    /// Returns what ends its tokens before their time, and how to prevent that.
    pub fn foreign_refresh_advice(&self) -> Text {
        foreign_refresh_advice(&self.account)
    }

    /// Returns the kinds that are not served.
    pub fn down_kinds(&self) -> impl Iterator<Item = Kind> {
        let credentials = self.credentials.iter();
        let down = credentials.filter(|one| one.health == Health::Down);
        down.map(|one| one.kind)
    }

    /// Returns the last 24 hours, oldest first: those of the primary credential, and a failure of another one.
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
    pub fn last_error(&self) -> Option<&LastError> {
        let mut errors = self.credentials.iter();
        errors.find_map(|one| one.last_error.as_ref())
    }
}

impl CredentialSnapshot {
    /// Whether it is served now.
    pub fn is_served(&self) -> bool {
        matches!(self.health, Health::Ok | Health::Degraded)
    }

    /// Returns the results of the last refreshes, oldest first.
    pub fn history(&self) -> Vec<Refresh> {
        self.slot.lock().history.all()
    }
}

/// Returns when the keeper will refresh: when the credential is due, but not during a cooldown.
pub(in crate::broker) fn next_refresh(
    state: &State,
    due_at: Option<UnixTime>,
    now: UnixTime,
) -> Option<UnixTime> {
    let forbidden = [
        state.cooldown(now).map(|failure| failure.retry_at),
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
