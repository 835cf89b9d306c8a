//! The state of everything at one moment: `/readyz`, `/metrics`, `/status` and `/status.json` are views of
//! it. Contains no secrets.
//!
//! Ten thousand accounts are counted and sorted by reference. Details are built only for the accounts that
//! a query selects.

mod account_snapshot;
mod egress_snapshot;

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) use account_snapshot::next_refresh;
pub use account_snapshot::{AccountSnapshot, CredentialSnapshot};
pub use egress_snapshot::{EgressSnapshot, EgressWay};

use super::health::Health;
use super::overview::{Collector, Overview};
use super::slot::Slot;
use super::stats::Stats;
use super::sync::Cluster;
use super::{AccountEntry, Broker};
use crate::clock::{Moment, UnixTime};

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
#[non_exhaustive]
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
#[non_exhaustive]
pub struct Counts {
    /// All accounts.
    pub accounts: usize,
    /// [`Health::Down`].
    pub down: usize,
    /// [`Health::Degraded`].
    pub degraded: usize,
    /// [`Health::Starting`].
    pub starting: usize,
    /// Of those, the accounts of open platforms: each is fetched at its first use, however long the process runs.
    #[serde(skip)]
    pub first_used: usize,
    /// [`Health::Ok`].
    pub ok: usize,
    /// Unused accounts of open platforms that have no token now: it is not known whether they could be served.
    /// Each is in one of the other counts too.
    #[serde(skip)]
    pub unknown: usize,
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
    pub fn snapshot(&self, find: &Find) -> Snapshot {
        let (at, accounts) = (self.inner.clock.moment(), self.inner.accounts.load());
        let (mut counts, mut signing) = (Counts::default(), Counts::default());
        let mut found: Vec<Found<'_>> = Vec::new();
        let text = find.text.to_lowercase();
        let mut overview = Collector::default();
        let without_token: HashSet<_> = accounts
            .platforms()
            .filter(|(platform, _)| self.current(platform.token_slot(), &at).is_none())
            .map(|(platform, _)| platform.account.app_id())
            .collect();
        for entry in accounts.all() {
            let health = self.health_of(entry, &at);
            let platform = entry.account.component_app_id();
            let is_unknown = platform.is_some_and(|platform| without_token.contains(platform))
                && entry.primary_slot().is_none();
            counts.add(health, is_unknown, platform.is_some());
            if entry.account.signs_pages() {
                signing.add(health, is_unknown, platform.is_some());
            }
            let is_incident =
                find.incident_accounts > 0 && self.collect(&mut overview, entry, health, &at);
            if find.wants(entry, health, &text) && !(is_incident && find.without_incidents) {
                found.push((Reverse(health), entry));
            }
        }
        let matching = found.len();
        if find.limit > 0 {
            found.sort_unstable_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
        }
        let page = found.iter().skip(find.offset).take(find.limit);
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

    /// Whether the account exists and the keeper refreshes any of its credentials.
    #[cfg(feature = "server")]
    pub(crate) fn is_in_use(&self, account: &str) -> bool {
        let accounts = self.inner.accounts.load();
        let entry = accounts.find(account);
        entry.is_ok_and(|entry| entry.wanted_slots().next().is_some())
    }

    fn health_of(&self, entry: &AccountEntry, at: &Moment) -> Health {
        let primary_kind = entry.primary_slot().map(|slot| slot.key.kind);
        let mut primary = Health::Ok;
        let mut is_troubled = false;
        for slot in entry.wanted_slots() {
            let health = Health::of_slot(&slot.lock(), self.current(slot, at).is_some());
            if Some(slot.key.kind) == primary_kind {
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

    fn stats(&self) -> Stats {
        let inner = &self.inner;
        Stats {
            store: inner.store.operations(),
            clock_jumps: inner.keeper.clock_jumps.load(Ordering::Relaxed),
            unreachable_hosts: inner.upstream.unreachable_hosts().len(),
            ..inner.counters.read(inner.clock.uptime())
        }
    }
}

impl Counts {
    fn add(&mut self, health: Health, is_unknown: bool, is_of_platform: bool) {
        self.accounts += 1;
        self.unknown += usize::from(is_unknown);
        self.first_used += usize::from(is_of_platform && health == Health::Starting);
        *match health {
            Health::Ok => &mut self.ok,
            Health::Starting => &mut self.starting,
            Health::Degraded => &mut self.degraded,
            Health::Down => &mut self.down,
        } += 1;
    }
}

impl AccountEntry {
    /// Returns the slot of the credential that decides the account's health: the one it exists for or, if that
    /// was never used, as with an account of an open platform, the first that was.
    pub(super) fn primary_slot(&self) -> Option<&Arc<Slot>> {
        let of_kind = self.slot_of(self.account.primary_kind());
        let wanted = of_kind.filter(|slot| slot.is_wanted());
        wanted.or_else(|| self.wanted_slots().next())
    }

    pub(super) fn wanted_slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.slots().filter(|slot| slot.is_wanted())
    }
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use super::*;
    use crate::account::Account;

    #[tokio::test]
    async fn an_account_whose_credentials_were_given_up_is_not_in_use() {
        let account = Account::official("wx0123456789abcdef", "secret");
        let broker = Broker::builder().account("shop", account).build().unwrap();
        assert!(broker.is_in_use("shop"));
        for slot in broker.inner.accounts.load().find("shop").unwrap().slots() {
            slot.give_up();
        }
        assert!(!broker.is_in_use("shop"));
        assert!(!broker.is_in_use("gone"));
    }
}
