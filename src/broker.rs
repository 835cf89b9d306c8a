//! The broker: every account's living credentials, renewed ahead of time, one refresh of each at a time.
//!
//! A read is a look at what is `current` and two comparisons: no lock, no store, no upstream. Everything else (who may
//! refresh, from where, what a failure means) is in the rooms below: `slot` holds what is known of one credential, `refresh`
//! is the way to a new one, `keeper` the loop that goes there before a reader has to.

mod accounts;
mod call;
mod current;
mod events;
mod history;
mod instrumented;
mod keeper;
mod nodes;
mod outcome;
mod quota;
mod refresh;
mod refresh_limit;
mod refresh_now;
mod request_stats;
mod signing;
mod slot;
mod snapshot;
mod stats;
mod status;
mod sync;
mod token_index;

use std::sync::Arc;

use arc_swap::ArcSwap;
use moka::sync::Cache;
use tokio::runtime::Handle;

pub use history::{Refresh, RefreshOutcome};
pub use keeper::TICK;
pub use nodes::Surroundings;
pub use refresh_now::Renewed;
pub use request_stats::{
    AccountRequests, AccountTally, LATENCIES, Latency, OTHER_ROUTE, Plane, Requests, RouteRequests,
    RouteTally, STATUSES, Tally, UNKNOWN_ACCOUNT,
};
#[cfg(feature = "actix")]
pub(crate) use signing::ConfigOptions;
pub use snapshot::{AccountSnapshot, Counts, CredentialSnapshot, Find, Health, Snapshot};
pub use stats::{
    AccountStats, CredentialStats, Distribution, Failing, OUTCOMES, Stats, errcode_label,
};
pub use status::{AccountStatus, CredentialStatus, LastError};

use crate::account::Account;
use crate::clock::Clock;
use crate::credential::{Credential, CredentialKey, Kind, Secret};
use crate::error::Error;
use crate::store::Store;
use crate::upstream::{ClientError, Upstream, UpstreamOptions};
use accounts::{AccountEntry, Accounts};
use current::{Current, UntilItsEnd};
use slot::Reason;

/// A handle on the broker: cloning it gives another handle on the same one. One per process is right.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

struct Inner {
    /// Replaced whole by [`Broker::reload`].
    members: ArcSwap<Accounts>,
    living: Cache<CredentialKey, Arc<Current>>,
    store: instrumented::Instrumented,
    upstream: Upstream,
    clock: Clock,
    counts: stats::Counts,
    flood: events::Flood,
    /// Where refreshes run, so that one outlives the caller, and the worker thread, that asked for it.
    runtime: Handle,
    keeper: keeper::Pace,
    tally: Tally,
    presence: nodes::Presence,
}

impl Broker {
    /// Starts to put a broker together.
    #[must_use]
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::default()
    }

    /// A living credential: from memory where there is one, else after one refresh that all callers share.
    ///
    /// `account` is a name given to the builder; an empty one means the default account.
    ///
    /// # Errors
    /// [`Error::UnknownAccount`], [`Error::AccountRequired`], [`Error::UnsupportedCredential`], or [`Error::Upstream`] when WeChat gives none now: then at once,
    /// from memory, until the time in it.
    pub async fn credential(&self, account: &str, kind: Kind) -> Result<Arc<Credential>, Error> {
        let member = self.member(account)?;
        let slot = member.slot(kind)?;
        match self.living(slot) {
            Some(credential) => Ok(credential),
            None => self.refresh(&member, slot, Reason::Missing).await,
        }
    }

    /// Compare-and-refresh: "WeChat refused this one". Renews only if `bad_value` is still the current value, and answers with the
    /// credential to use instead. Fifty callers who saw the same refusal cause one refresh, a late caller none.
    ///
    /// # Errors
    /// As [`Broker::credential`]; [`Error::Rationed`] when this credential was renewed on demand less than 30 s ago, or, except for a
    /// stable token, so often today that only one renewal in 15 minutes is left.
    pub async fn reject(
        &self,
        account: &str,
        kind: Kind,
        bad_value: &Secret,
    ) -> Result<Arc<Credential>, Error> {
        let member = self.member(account)?;
        self.renew_if_current(&member, member.slot(kind)?, bad_value)
            .await
    }

    /// The value that the current one replaced, as far as this process saw it: to compare with, never to serve.
    #[cfg(all(feature = "actix", feature = "diagnose"))]
    pub(crate) fn previous(&self, account: &str, kind: Kind) -> Option<Secret> {
        let member = self.member(account).ok()?;
        let slot = member.slot(kind).ok()?;
        let state = slot.lock();
        let (previous, _) = state.previous.as_ref()?;
        Some(previous.value.clone())
    }

    /// Takes other accounts from now on, without dropping a request or a living credential: an app that stays keeps what is known
    /// of it, under whatever name. One whose secret changed is asked for again at once, should it have been refused before.
    ///
    /// Where one account was the default only because no other signed pages, and now others do, a default has to be named.
    ///
    /// # Errors
    /// [`BuildError`]; then nothing has changed.
    pub fn reload(
        &self,
        accounts: Vec<(String, Account)>,
        default_account: Option<String>,
    ) -> Result<(), BuildError> {
        let before = self.inner.members.load_full();
        let members = Arc::new(Accounts::new(accounts, default_account, Some(&before))?);
        self.inner.members.store(members.clone());
        // Only now: a refresh with the old secret that fails meanwhile finds the new one, or is forgotten here.
        members.forget_refusals(&before, self.inner.clock.now());
        Ok(())
    }

    /// The account of this name; an empty name means the default account.
    ///
    /// # Errors
    /// [`Error::UnknownAccount`], [`Error::AccountRequired`].
    pub fn account(&self, name: &str) -> Result<Arc<Account>, Error> {
        self.member(name).map(|member| member.account.clone())
    }

    /// All accounts under their names, in no order.
    #[must_use]
    pub fn accounts(&self) -> Vec<(String, Arc<Account>)> {
        self.inner
            .members
            .load()
            .all()
            .map(|member| (member.name.clone(), member.account.clone()))
            .collect()
    }

    /// The name and the account of an AppID or CorpID (and, for WeCom, AgentId or the only app of that corp); `None` when it is
    /// nobody's.
    #[must_use]
    pub fn account_of_app(
        &self,
        app_id: &str,
        agent_id: Option<u64>,
    ) -> Option<(String, Arc<Account>)> {
        let members = self.inner.members.load();
        members
            .of_app(app_id, agent_id)
            .map(|member| (member.name.clone(), member.account.clone()))
    }

    /// The accounts that are apps of this WeCom corp: their names and AgentIds, in no order.
    #[must_use]
    pub fn apps_of_corp(&self, corp_id: &str) -> Vec<(String, u64)> {
        self.inner
            .members
            .load()
            .of_corp(corp_id)
            .map(|(agent_id, member)| (member.name.clone(), agent_id))
            .collect()
    }

    /// The proof of a domain that an account has at this path (`/MP_verify_….txt`), exactly so written.
    #[must_use]
    pub fn verify_file(&self, path: &str) -> Option<Arc<str>> {
        self.inner.members.load().proof(path).cloned()
    }

    /// The clock that lives are counted on.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    fn member(&self, name: &str) -> Result<Arc<AccountEntry>, Error> {
        self.inner.members.load().named(name)
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("accounts", &self.inner.members.load().all().count())
            .finish_non_exhaustive()
    }
}

/// Puts a [`Broker`] together. Everything but the accounts has a default.
#[derive(Default)]
pub struct BrokerBuilder {
    accounts: Vec<(String, Account)>,
    default_account: Option<String>,
    store: Option<Store>,
    upstream: UpstreamOptions,
    clock: Option<Clock>,
    node: Option<String>,
}

impl BrokerBuilder {
    /// Adds an account under a name of your choice: what `?account=` and the logs say.
    #[must_use]
    pub fn account(mut self, name: impl Into<String>, account: Account) -> Self {
        self.accounts.push((name.into(), account));
        self
    }

    /// The account meant by a request that names none. Without this it is the only one that signs pages.
    #[must_use]
    pub fn default_account(mut self, name: impl Into<String>) -> Self {
        self.default_account = Some(name.into());
        self
    }

    /// Where credentials outlive the process; memory when not given.
    #[must_use]
    pub fn store(mut self, store: Store) -> Self {
        self.store = Some(store);
        self
    }

    /// Where WeChat is; its real hosts when not given.
    #[must_use]
    pub fn upstream(mut self, options: UpstreamOptions) -> Self {
        self.upstream = options;
        self
    }

    /// The clock; the machine's when not given.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The name of this process among those that share the store, for their status pages; the machine's when not given.
    #[must_use]
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.node = Some(name.into());
        self
    }

    /// The broker, which has called nobody yet. Call inside a tokio runtime: refreshes run there.
    ///
    /// # Errors
    /// [`BuildError`] says which account is wrong, or why there is no HTTP client.
    pub fn build(self) -> Result<Broker, BuildError> {
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let clock = self.clock.unwrap_or_else(Clock::system);
        let members =
            ArcSwap::from_pointee(Accounts::new(self.accounts, self.default_account, None)?);
        let living = Cache::builder()
            .expire_after(UntilItsEnd(clock.clone()))
            .build();
        let store = instrumented::Instrumented::new(self.store.unwrap_or_else(Store::memory));
        let upstream = Upstream::new(&self.upstream)?;
        let (keeper, tally) = (keeper::Pace::default(), Tally::default());
        let (counts, flood) = (stats::Counts::default(), events::Flood::default());
        let presence = nodes::Presence::new(self.node);
        let inner = Inner {
            members,
            living,
            store,
            upstream,
            clock,
            counts,
            flood,
            runtime,
            keeper,
            tally,
            presence,
        };
        Ok(Broker {
            inner: Arc::new(inner),
        })
    }
}

/// Why no broker could be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two accounts are the same app: each would retire the other's tokens.
    #[error("the accounts \"{}\" and \"{}\" are the same app {app}: keep one of them", names[0], names[1])]
    SameApp {
        /// Platform and id.
        app: String,
        /// Both names.
        names: [String; 2],
    },
    /// Two accounts have one name.
    #[error("there are two accounts with the name \"{0}\": give each its own")]
    SameName(String),
    /// The default account is none of the accounts.
    #[error("the default account \"{0}\" is none of the accounts")]
    NoSuchDefault(String),
    /// Another account signs pages too from now on, so that no account is the default any more.
    #[error(
        "several accounts would sign pages, and requests that name none, served so far, would be refused: write server.default_account = \"{0}\""
    )]
    DefaultLost(String),
    /// Two accounts have a proof of one name with two contents: one address cannot serve both.
    #[error(
        "two accounts have a verify file \"{0}\" with different contents: download it from WeChat's console again"
    )]
    TwoProofs(String),
    /// Built outside a tokio runtime.
    #[error("build the broker inside a tokio (or actix) runtime: its refreshes run there")]
    NoRuntime,
    /// No HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
}
