//! The broker: holds the current credentials of every account, refreshes them ahead of expiry, and runs at
//! most one refresh per credential at a time.
//!
//! A read loads the value in `current` and makes two comparisons. It takes no lock and calls neither the
//! store nor the upstream. The modules below do the rest: `slot` holds the state of one credential,
//! `refresh` obtains a new value, and `keeper` is the loop that starts refreshes before a reader has to
//! wait for one.

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
use crate::credential::{Credential, Kind, Secret};
use crate::error::Error;
use crate::store::Store;
use crate::upstream::{ClientError, Upstream, UpstreamOptions};
use accounts::{AccountEntry, Accounts};
use slot::Reason;

/// A handle to the broker. Clones share the same broker; use one broker per process.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

struct Inner {
    /// Replaced as a whole by [`Broker::reload`].
    members: ArcSwap<Accounts>,
    current: current::CurrentValues,
    store: instrumented::Instrumented,
    upstream: Upstream,
    clock: Clock,
    counts: stats::Counts,
    flood: events::Flood,
    /// The runtime for refresh tasks, so that a refresh outlives the caller and the worker thread that
    /// started it.
    runtime: Handle,
    keeper: keeper::Pace,
    tally: Tally,
    presence: nodes::Presence,
}

impl Broker {
    /// Returns a builder for a broker.
    #[must_use]
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::default()
    }

    /// Returns a valid credential: from memory if there is one, otherwise after one refresh that all
    /// callers share.
    ///
    /// `account` is a name given to the builder. An empty name selects the default account.
    ///
    /// # Errors
    /// [`Error::UnknownAccount`], [`Error::AccountRequired`], [`Error::UnsupportedCredential`], or
    /// [`Error::Upstream`] if WeChat returns no credential. The upstream error is then answered from
    /// memory, without another call, until the retry time that it contains.
    pub async fn credential(&self, account: &str, kind: Kind) -> Result<Arc<Credential>, Error> {
        let member = self.member(account)?;
        let slot = member.slot(kind)?;
        match self.current_credential(slot) {
            Some(credential) => Ok(credential),
            None => self.refresh(&member, slot, Reason::Missing).await,
        }
    }

    /// Compare-and-refresh: reports that WeChat rejected `bad_value`. Refreshes only if `bad_value` is
    /// still the current value, and returns the credential to use instead. Fifty callers that report the
    /// same value cause one refresh; a late caller causes none.
    ///
    /// # Errors
    /// As [`Broker::credential`]. [`Error::Rationed`] if this credential was refreshed on demand less than
    /// 30 s ago, or if it has used up today's free on-demand refreshes and the last one was less than 15
    /// minutes ago (the daily limit does not apply to stable tokens).
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

    /// Returns the value that the current one replaced, if this process saw it. For comparison only; never
    /// served.
    #[cfg(all(feature = "actix", feature = "diagnose"))]
    pub(crate) fn previous(&self, account: &str, kind: Kind) -> Option<Secret> {
        let member = self.member(account).ok()?;
        let slot = member.slot(kind).ok()?;
        let state = slot.lock();
        let (previous, _) = state.previous.as_ref()?;
        Some(previous.value.clone())
    }

    /// Replaces the accounts without dropping requests or current credentials. An app that stays keeps its
    /// state, even under another name. If its secret changed, remembered failures no longer delay the next
    /// refresh.
    ///
    /// If the default account was implied because only one account signed pages, and now several do, the
    /// configuration must name a default.
    ///
    /// # Errors
    /// [`BuildError`]; in that case nothing has changed.
    pub fn reload(
        &self,
        accounts: Vec<(String, Account)>,
        default_account: Option<String>,
    ) -> Result<(), BuildError> {
        let before = self.inner.members.load_full();
        let members = Arc::new(Accounts::new(accounts, default_account, Some(&before))?);
        self.inner.members.store(members.clone());
        // After the swap: a refresh with the old secret that fails meanwhile either sees the new account,
        // or its failure is cleared here.
        members.forget_refusals(&before, self.inner.clock.now());
        Ok(())
    }

    /// Returns the account with this name. An empty name selects the default account.
    ///
    /// # Errors
    /// [`Error::UnknownAccount`], [`Error::AccountRequired`].
    pub fn account(&self, name: &str) -> Result<Arc<Account>, Error> {
        self.member(name).map(|member| member.account.clone())
    }

    /// Returns all accounts with their names, unordered.
    #[must_use]
    pub fn accounts(&self) -> Vec<(String, Arc<Account>)> {
        self.inner
            .members
            .load()
            .all()
            .map(|member| (member.name.clone(), member.account.clone()))
            .collect()
    }

    /// Returns the name and the account for an AppID or CorpID. For WeCom the AgentId selects the app;
    /// without it the corp must have exactly one app. `None` if no account matches.
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

    /// Returns the names and AgentIds of the accounts that are apps of this WeCom corp, unordered.
    #[must_use]
    pub fn apps_of_corp(&self, corp_id: &str) -> Vec<(String, u64)> {
        self.inner
            .members
            .load()
            .of_corp(corp_id)
            .map(|(agent_id, member)| (member.name.clone(), agent_id))
            .collect()
    }

    /// Returns the content of the domain verification file at this exact path (`/MP_verify_….txt`).
    #[must_use]
    pub fn verify_file(&self, path: &str) -> Option<Arc<str>> {
        self.inner.members.load().proof(path).cloned()
    }

    /// Returns the clock that credential lifetimes are measured with.
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

/// Builds a [`Broker`]. Everything except the accounts has a default.
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
    /// Adds an account. `name` is what `?account=` and the logs use.
    #[must_use]
    pub fn account(mut self, name: impl Into<String>, account: Account) -> Self {
        self.accounts.push((name.into(), account));
        self
    }

    /// Sets the account for requests that name none. The default is the only account that signs pages.
    #[must_use]
    pub fn default_account(mut self, name: impl Into<String>) -> Self {
        self.default_account = Some(name.into());
        self
    }

    /// Sets the store, in which credentials outlive the process. The default is memory.
    #[must_use]
    pub fn store(mut self, store: Store) -> Self {
        self.store = Some(store);
        self
    }

    /// Sets the upstream options. The default is WeChat's production hosts.
    #[must_use]
    pub fn upstream(mut self, options: UpstreamOptions) -> Self {
        self.upstream = options;
        self
    }

    /// Sets the clock. The default is the machine's clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets the name of this node on the status pages of all nodes that share the store. The default is the
    /// machine's name.
    #[must_use]
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.node = Some(name.into());
        self
    }

    /// Builds the broker. Makes no upstream call. Must be called inside a tokio runtime, on which the
    /// refreshes will run.
    ///
    /// # Errors
    /// [`BuildError`] says which account is wrong, or why no HTTP client could be created.
    pub fn build(self) -> Result<Broker, BuildError> {
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let clock = self.clock.unwrap_or_else(Clock::system);
        let members =
            ArcSwap::from_pointee(Accounts::new(self.accounts, self.default_account, None)?);
        let current = current::CurrentValues::new(clock.clone());
        let store = instrumented::Instrumented::new(self.store.unwrap_or_else(Store::memory));
        let upstream = Upstream::new(&self.upstream)?;
        let (keeper, tally) = (keeper::Pace::default(), Tally::default());
        let (counts, flood) = (stats::Counts::default(), events::Flood::default());
        let presence = nodes::Presence::new(self.node);
        let inner = Inner {
            members,
            current,
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

/// Why a broker could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two accounts are the same app. Each would retire the other's tokens.
    #[error("the accounts \"{}\" and \"{}\" are the same app {app}: keep one of them", names[0], names[1])]
    SameApp {
        /// Platform and id.
        app: String,
        /// The names of both accounts.
        names: [String; 2],
    },
    /// Two accounts have the same name.
    #[error("duplicate account name \"{0}\": use different names")]
    SameName(String),
    /// The default account does not exist.
    #[error("the default account \"{0}\" does not exist")]
    NoSuchDefault(String),
    /// Another account now signs pages too, so there is no longer an implied default account.
    #[error(
        "several accounts would sign pages, and requests that name none, served so far, would be refused: write server.default_account = \"{0}\""
    )]
    DefaultLost(String),
    /// Two accounts have verify files with the same name and different content. One path cannot serve both.
    #[error(
        "two accounts have a verify file \"{0}\" with different contents: download it from WeChat's console again"
    )]
    TwoProofs(String),
    /// The broker was built outside a tokio runtime.
    #[error("build the broker inside a tokio (or actix) runtime: its refreshes run there")]
    NoRuntime,
    /// The HTTP client could not be created.
    #[error(transparent)]
    Client(#[from] ClientError),
}
