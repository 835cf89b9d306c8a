//! The data of a status page: counts of all accounts, and details of the accounts that match a query.
//! Contains no secrets.
//!
//! Ten thousand accounts are counted and sorted by reference. Strings are built only for the requested
//! page.

use std::cmp::Reverse;
use std::sync::Arc;

use super::history::Refresh;
use super::slot::{Slot, State};
use super::status::CredentialStatus;
use super::{AccountEntry, Broker};
use crate::account::{Account, Platform, TokenMode};
use crate::clock::UnixTime;
use crate::credential::{AppKey, Kind};
use crate::upstream::endpoint;

/// Health of a credential or an account, in order of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Valid, without a failure.
    Ok,
    /// Nothing was fetched yet.
    Starting,
    /// Still usable, but the last refresh failed.
    Failing,
    /// Not usable.
    Down,
}

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
}

/// The result of a query.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Counts of all accounts.
    pub counts: Counts,
    /// Number of accounts that match; `accounts` holds one page of them.
    pub matching: usize,
    /// The requested page, worst health first, then by name.
    pub accounts: Vec<AccountSnapshot>,
}

/// Number of accounts by health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Counts {
    /// All accounts.
    pub accounts: usize,
    /// [`Health::Down`].
    pub down: usize,
    /// [`Health::Failing`].
    #[serde(rename = "degraded")]
    pub failing: usize,
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
    /// [`Health::Down`] if the credentials that its pages need (or its clients, if it signs no pages)
    /// cannot be used.
    pub health: Health,
    /// Until when its pages can be signed (or its token is served, if it signs no pages), assuming that
    /// every refresh fails from now on.
    pub usable_until: Option<UnixTime>,
    /// Its credentials: those that an ordinary page needs, and those fetched at least once.
    pub credentials: Vec<CredentialSnapshot>,
}

/// The state of one credential.
#[derive(Clone, Debug)]
pub struct CredentialSnapshot {
    /// The status that is always known.
    pub status: CredentialStatus,
    /// Its health.
    pub health: Health,
    /// Whether a refresh is running.
    pub refreshing: bool,
    /// When the next refresh starts.
    pub next_refresh: Option<UnixTime>,
    /// When it becomes due.
    pub due_at: Option<UnixTime>,
    /// The results of the last refreshes, oldest first.
    pub history: Vec<Refresh>,
    /// The endpoint that returns it.
    pub endpoint: &'static str,
    /// Number of calls to the endpoint today (Shanghai time) for this app, by all nodes that share the
    /// store; `None` if the store did not answer.
    pub calls_today: Option<u64>,
    /// The daily quota that WeChat grants an ordinary account, if known.
    pub daily_quota: Option<u64>,
}

/// Sorted with the worst health first.
type Found<'a> = (Reverse<Health>, &'a Arc<AccountEntry>);

impl Health {
    /// Returns the name used in `status.json`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Starting => "starting",
            Self::Failing => "degraded",
            Self::Down => "down",
        }
    }
}

impl Broker {
    /// Counts all accounts, and describes those that match the query.
    pub async fn survey(&self, find: &Find) -> Snapshot {
        let (now, members) = (self.inner.clock.now(), self.inner.members.load_full());
        let mut counts = Counts::default();
        let mut found: Vec<Found<'_>> = Vec::new();
        let text = find.text.to_lowercase();
        for member in members.all() {
            let health = self.health_of(member);
            counts.add(health);
            if find.wants(member, health, &text) {
                found.push((Reverse(health), member));
            }
        }
        let matching = found.len();
        // Only the accounts up to the end of the page are sorted.
        let (from, to) = (
            find.offset.min(matching),
            find.offset.saturating_add(find.limit).min(matching),
        );
        let by = |a: &Found<'_>, b: &Found<'_>| (a.0, &a.1.name).cmp(&(b.0, &b.1.name));
        if to < matching && to > 0 {
            found.select_nth_unstable_by(to, by);
        }
        found.truncate(to);
        found.sort_unstable_by(by);
        let mut accounts: Vec<_> = found[from..]
            .iter()
            .map(|(health, member)| self.account_survey(member, health.0, now))
            .collect();
        self.count_calls(&mut accounts, now).await;
        Snapshot {
            counts,
            matching,
            accounts,
        }
    }

    fn health_of(&self, member: &AccountEntry) -> Health {
        let wanted = member.slots.iter().filter(|slot| slot.is_wanted());
        wanted
            .map(|slot| member.weigh(slot.key.kind, self.slot_health(slot, &slot.lock())))
            .max()
            .unwrap_or(Health::Ok)
    }

    fn slot_health(&self, slot: &Slot, state: &State) -> Health {
        let last = state.last.as_deref();
        let at = self.inner.clock.moment();
        match (self.current(slot, &at).is_some(), state.failure.is_some()) {
            (true, false) => Health::Ok,
            (true, true) => Health::Failing,
            (false, false) if last.is_none() || state.flight.is_some() => Health::Starting,
            (false, _) => Health::Down,
        }
    }

    fn account_survey(
        &self,
        member: &AccountEntry,
        health: Health,
        now: UnixTime,
    ) -> AccountSnapshot {
        let wanted = member.slots.iter().filter(|slot| slot.is_wanted());
        let credentials: Vec<_> = wanted
            .map(|slot| self.credential_survey(member, slot, now))
            .collect();
        let needed = credentials
            .iter()
            .filter(|one| member.needs(one.status.kind));
        let ends: Option<Vec<_>> = needed
            .map(|one| one.status.served_until.filter(|_| one.status.living))
            .collect();
        let usable_until = ends.and_then(|ends| ends.into_iter().min());
        AccountSnapshot {
            name: member.name.clone(),
            account: member.account.clone(),
            health,
            usable_until,
            credentials,
        }
    }

    fn credential_survey(
        &self,
        member: &AccountEntry,
        slot: &Slot,
        now: UnixTime,
    ) -> CredentialSnapshot {
        let status = self.credential_status(slot);
        let state = slot.lock();
        let due_at = state
            .last
            .as_deref()
            .map(|last| state.due_at(last, slot.spread));
        let (_, endpoint) = endpoint(&member.account, slot.key.kind);
        CredentialSnapshot {
            health: self.slot_health(slot, &state),
            refreshing: state.flight.is_some(),
            next_refresh: next_refresh(&state, due_at, now),
            due_at,
            history: state.history.all(),
            endpoint,
            calls_today: None,
            daily_quota: daily_quota(&member.account, slot.key.kind),
            status,
        }
    }

    /// Reads today's calls with one store request. On an error the counts stay unknown.
    async fn count_calls(&self, accounts: &mut [AccountSnapshot], now: UnixTime) {
        let apps: Vec<AppKey> = accounts.iter().map(|one| one.account.app_key()).collect();
        let asked = accounts.iter().zip(&apps);
        let asked: Vec<_> = asked
            .flat_map(|(one, app)| {
                one.credentials
                    .iter()
                    .map(move |credential| (app, credential.endpoint))
            })
            .collect();
        let Ok(counts) = self.inner.store.calls_many(&asked, now).await else {
            return;
        };
        let credentials = accounts.iter_mut().flat_map(|one| &mut one.credentials);
        credentials
            .zip(counts)
            .for_each(|(credential, count)| credential.calls_today = Some(count));
    }
}

impl Find {
    fn wants(&self, member: &AccountEntry, health: Health, text: &str) -> bool {
        let contains = |name: &str| name.to_lowercase().contains(text);
        (self.health.is_empty() || self.health.contains(&health))
            && self
                .account
                .as_ref()
                .is_none_or(|name| *name == member.name)
            && (text.is_empty() || contains(&member.name) || contains(member.account.app_id()))
    }
}

impl Counts {
    fn add(&mut self, health: Health) {
        self.accounts += 1;
        *match health {
            Health::Ok => &mut self.ok,
            Health::Starting => &mut self.starting,
            Health::Failing => &mut self.failing,
            Health::Down => &mut self.down,
        } += 1;
    }
}

impl AccountEntry {
    /// Whether the account's pages need this credential; for an account that signs no pages, whether its
    /// clients need it.
    fn needs(&self, kind: Kind) -> bool {
        match self.account.platform() {
            Platform::Official => kind == Kind::JsapiTicket,
            Platform::Mini => kind == Kind::AccessToken,
            Platform::Work { .. } => matches!(kind, Kind::JsapiTicket | Kind::AgentTicket),
        }
    }

    /// Limits a dead credential that no page needs to [`Health::Failing`].
    fn weigh(&self, kind: Kind, health: Health) -> Health {
        if health == Health::Down && !self.needs(kind) {
            Health::Failing
        } else {
            health
        }
    }
}

/// Returns when the keeper will refresh: when the credential is due, but not during a cooldown.
fn next_refresh(state: &State, due_at: Option<UnixTime>, now: UnixTime) -> Option<UnixTime> {
    let forbidden = [
        state.cooldown(now).map(|failure| failure.until),
        state.nothing_new_until,
    ];
    let earliest = forbidden.into_iter().flatten().fold(now, UnixTime::max);
    let next = due_at.map_or(earliest, |due| due.max(earliest));
    let next = state
        .owed_from()
        .map_or(next, |owed| next.min(owed.max(now)));
    Some(if state.flight.is_some() { now } else { next })
}

/// Returns the quota that WeChat publishes for an ordinary, verified account
/// (<https://developers.weixin.qq.com/doc/service/Message_Management/API_Call_Limits.html>). Test accounts
/// have a tenth. WeCom counts differently and publishes no daily number.
pub(super) fn daily_quota(account: &Account, kind: Kind) -> Option<u64> {
    match (account.platform(), kind, account.mode()) {
        (Platform::Work { .. }, _, _) => None,
        (_, Kind::AccessToken, TokenMode::Classic) => Some(2_000),
        (_, Kind::AccessToken, TokenMode::Stable) => Some(500_000),
        (_, _, _) => Some(10_000),
    }
}
