//! The broker: holds the current credentials of every account, refreshes them ahead of expiry, and runs at
//! most one refresh per credential at a time.
//!
//! A read loads the value in `current` and makes two comparisons. It takes no lock and calls neither the store
//! nor the upstream.
//!
//! - State: `accounts` (the accounts with their slots), `slot` (one credential), `current` (its current value).
//! - Work: `refresh` obtains a new value, `keeper` starts refreshes before a reader has to wait for one, `sync`
//!   exchanges values with the other nodes; `stored_accounts` adds accounts while the process runs.
//! - Readers: `signing` (the answer for a page), `token_index` (the account and the API keys of a token).
//! - Reports: `snapshot` and `overview` (the state for pages and metrics), `health`, `stats` (counters),
//!   `fault_log` (the log).

mod accounts;
mod current;
mod fault_log;
mod health;
mod keeper;
mod open_platform;
mod overview;
mod refresh;
mod signing;
mod slot;
mod snapshot;
mod stats;
#[cfg_attr(not(feature = "server"), allow(dead_code))] // only the admin API changes them
mod stored_accounts;
mod sync;
mod token_index;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::Handle;

pub use accounts::{AccountSource, Accounts};
pub use health::Health;
pub use keeper::TICK;
pub use open_platform::{AuthorizationLinks, AuthorizedAccount, PlatformSnapshot, PushFailed};
pub use overview::{Incident, Overview};
pub(crate) use signing::ConfigOptions;
pub use slot::{HOURS, HourState, LastError, Refresh, RefreshOutcome};
pub use snapshot::{
    AccountSnapshot, Counts, CredentialSnapshot, EgressSnapshot, EgressWay, Find, Snapshot,
};
pub(crate) use stats::StatusCounts;
pub use stats::{Distribution, OUTCOMES, Stats, errcode_label};
#[cfg(feature = "server")]
pub(crate) use stored_accounts::{ChangeRefused, Changed, Expected, StoredAccount};
pub use sync::Cluster;

use crate::account::{Account, Platform};
use crate::clock::Clock;
use crate::credential::{AppKey, Credential, Kind, Secret};
use crate::error::{CallAuth, Error};
use crate::store::Store;
use crate::upstream::{ClientError, Upstream, UpstreamOptions, endpoint};
use accounts::AccountEntry;
use open_platform::with_known_authorizers;
use slot::Reason;

/// A handle to the broker. Clones share the same broker; use one broker per process.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

struct Inner {
    /// Replaced as a whole by [`Broker::reload`].
    accounts: ArcSwap<Accounts>,
    /// The uptime when an app was last added.
    app_added_at: Mutex<Duration>,
    current: current::CurrentValues,
    handed: token_index::HandedTokens,
    store: Store,
    upstream: Upstream,
    clock: Clock,
    counters: stats::Counters,
    fault_log: fault_log::FaultLog,
    /// The runtime for refresh tasks, so that a refresh outlives the caller and the worker thread that
    /// started it.
    runtime: Handle,
    keeper: keeper::KeeperState,
    presence: sync::Presence,
    stored_accounts: stored_accounts::StoredAccounts,
}

impl Broker {
    /// Returns a builder for a broker.
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
    /// memory, without another call, until the retry time that it contains. [`Error::Interrupted`] if the
    /// broker's runtime ends meanwhile.
    pub async fn credential(&self, account: &str, kind: Kind) -> Result<Arc<Credential>, Error> {
        let entry = self.entry_or_stored(account).await?;
        let slot = entry.slot(kind)?;
        slot.note_use();
        match self.current_credential(slot) {
            Some(credential) => {
                slot.want();
                Ok(credential)
            }
            None => self.refresh(&entry, slot, Reason::Missing).await,
        }
    }

    /// Compare-and-refresh: reports that WeChat rejected `bad_value`. Refreshes only if `bad_value` is
    /// still the current value, and returns the credential to use instead. Fifty callers that report the
    /// same value cause one refresh; a late caller causes none.
    ///
    /// # Errors
    /// As [`Broker::credential`]. [`Error::RateLimited`] if this credential was refreshed on demand less than
    /// 30 s ago, or if it has used up today's 20 free on-demand refreshes and the last one was less than 15
    /// minutes ago. A stable token is instead forced 20 times a day at most; after that, `Ok` may contain
    /// `bad_value` again, as it does if WeChat repeats a ticket or a token of WeCom.
    pub async fn reject(
        &self,
        account: &str,
        kind: Kind,
        bad_value: &Secret,
    ) -> Result<Arc<Credential>, Error> {
        let entry = self.entry_or_stored(account).await?;
        self.refresh_if_current(&entry, entry.slot(kind)?, bad_value)
            .await
    }

    /// "Refresh now": refreshes a credential even if the last failure, including a spent quota and a refused IP
    /// address, still prevents an automatic try. For an operator who has removed its cause. It makes an ordinary
    /// call and forces nothing: a valid stable token is returned unchanged. Only a spent quota per minute is
    /// waited out. A ticket whose token is dead refreshes the token first.
    ///
    /// # Errors
    /// As [`Broker::reject`].
    pub async fn refresh_now(&self, account: &str, kind: Kind) -> Result<Refreshed, Error> {
        let entry = self.entry_or_stored(account).await?;
        let slot = entry.slot(kind)?;
        let before = self.last_or_stored(&entry, slot).await;
        let credential = self.refresh(&entry, slot, Reason::RefreshNow).await?;
        let is_new = before.is_none_or(|before| before.value != credential.value);
        if entry.account.platform() == Platform::Component {
            // Its operator may have reset its other quotas, too.
            self.lift_platform_blocks(&entry).await;
        }
        Ok(Refreshed { credential, is_new })
    }

    /// Returns the value that the current one replaced, if this process saw it. For comparison only; never
    /// served.
    #[cfg(all(feature = "actix", feature = "diagnose"))]
    pub(crate) fn previous(&self, account: &str, kind: Kind) -> Option<Secret> {
        let entry = self.entry(account).ok()?;
        let slot = entry.slot(kind).ok()?;
        let state = slot.lock();
        let (previous, _) = state.previous.as_ref()?;
        Some(previous.value.clone())
    }

    /// Returns the current value if it is in memory; fetches nothing. For comparison only; never served.
    #[cfg(all(feature = "actix", feature = "diagnose"))]
    pub(crate) fn in_memory(&self, account: &str, kind: Kind) -> Option<Secret> {
        let entry = self.entry(account).ok()?;
        let current = self.current_credential(entry.slot(kind).ok()?)?;
        Some(current.value.clone())
    }

    /// Replaces the accounts without dropping requests or current credentials. An app that stays keeps its
    /// state, even under another name. If its secret, mode or proxy changed, remembered failures no longer
    /// delay the next refresh.
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
        let before = self.inner.accounts.load_full();
        let accounts = Accounts::new(accounts, default_account, Some(&before))?;
        let accounts = with_known_authorizers(&accounts, &before);
        self.replace_accounts(accounts, &before);
        // Again, so that an account that authorised a platform meanwhile is not lost.
        self.inner
            .accounts
            .rcu(|accounts| with_known_authorizers(accounts, accounts));
        self.adopt_accounts(&before);
        Ok(())
    }

    /// Returns all accounts as they are now. A reload replaces them as a whole.
    pub fn accounts(&self) -> Arc<Accounts> {
        self.inner.accounts.load_full()
    }

    /// Returns the client of WeChat's APIs.
    #[cfg_attr(not(feature = "server"), allow(dead_code))] // only the gateway makes other calls
    pub(crate) fn upstream(&self) -> &Upstream {
        &self.inner.upstream
    }

    /// Returns the clock that credential lifetimes are measured with.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Returns the answers that the pages of each account got, by status.
    #[cfg(feature = "actix")]
    pub(crate) fn answers(&self) -> Vec<(String, Vec<(u16, u64)>)> {
        let accounts = self.inner.accounts.load();
        accounts
            .all()
            .map(|entry| (entry.name.clone(), entry.answers.read()))
            .collect()
    }

    /// Returns the counter of an account's answers; an empty name selects the default account. `None` if
    /// there is no such account.
    #[cfg(feature = "actix")]
    pub(crate) fn answers_of(&self, account: &str) -> Option<Arc<StatusCounts>> {
        self.entry(account).ok().map(|entry| entry.answers.clone())
    }

    /// Ends the waits that failed at the call for this app's token: of the token itself, and of the credentials that
    /// need it. Called when the token has a value or may get one; the keeper tries them in its next step.
    fn end_waits_for_token(&self, app: &AppKey) {
        let (accounts, now) = (self.inner.accounts.load(), self.inner.clock.now());
        let Some(entry) = accounts.of_key(app) else {
            return;
        };
        let (_, called) = endpoint(&entry.account, Kind::AccessToken);
        let affected = accounts.with_dependents(app);
        for slot in affected.flat_map(|entry| entry.slots()) {
            slot.end_wait_if(now, |failure| {
                let error = &failure.error;
                // A platform's token also waits for the call that starts the pushes of its tickets.
                error.endpoint == called || error.auth == CallAuth::WithPushedTicket
            });
        }
    }

    fn entry(&self, name: &str) -> Result<Arc<AccountEntry>, Error> {
        self.find(&self.inner.accounts.load(), name).cloned()
    }

    /// Returns the account with this name. One that is missing may still be among those that are to be read.
    fn find<'a>(&self, accounts: &'a Accounts, name: &str) -> Result<&'a Arc<AccountEntry>, Error> {
        accounts.find(name).map_err(|error| {
            let wait = match error {
                Error::UnknownAccount { .. } => self.wait_for_account(accounts, name),
                _ => None,
            };
            wait.map_or(error, |retry_after| Error::AccountsNotLoaded {
                account: name.to_owned(),
                retry_after,
            })
        })
    }
}

/// When to ask again for an account that is being read.
const SOON: Duration = Duration::from_secs(1);

/// The result of a refresh that an operator requested.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// The current credential.
    pub credential: Arc<Credential>,
    /// Whether its value differs from the previous one.
    pub is_new: bool,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("accounts", &self.inner.accounts.load().all().count())
            .finish_non_exhaustive()
    }
}

/// Builds a [`Broker`]. Everything except the accounts has a default.
#[derive(Debug, Default)]
pub struct BrokerBuilder {
    accounts: Vec<(String, Account)>,
    default_account: Option<String>,
    store: Option<Store>,
    upstream: UpstreamOptions,
    clock: Option<Clock>,
    node: Option<String>,
    has_stored_accounts: bool,
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

    /// Adds the accounts that the admin API keeps in the store, and follows their changes.
    #[must_use]
    pub fn stored_accounts(mut self) -> Self {
        self.has_stored_accounts = true;
        self
    }

    /// Builds the broker. Makes no upstream call. Must be called inside a tokio runtime, on which the
    /// refreshes will run.
    ///
    /// Calls to WeChat use rustls's default provider of cryptography if the application has installed one
    /// before, else ring. No default is installed, except by a Redis store with TLS.
    ///
    /// # Errors
    /// [`BuildError`] says which account is wrong, or why no HTTP client could be created.
    pub fn build(self) -> Result<Broker, BuildError> {
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let clock = self.clock.unwrap_or_else(Clock::system);
        let accounts = Accounts::new(self.accounts, self.default_account, None)?;
        let inner = Inner {
            accounts: ArcSwap::from_pointee(accounts),
            app_added_at: Mutex::new(clock.uptime()),
            current: current::CurrentValues::new(clock.clone()),
            handed: token_index::HandedTokens::default(),
            store: self.store.unwrap_or_else(Store::memory),
            upstream: Upstream::with_clock(&self.upstream, clock.clone())?,
            counters: stats::Counters::default(),
            fault_log: fault_log::FaultLog::default(),
            runtime,
            keeper: keeper::KeeperState::default(),
            presence: sync::Presence::new(self.node),
            stored_accounts: stored_accounts::StoredAccounts::new(self.has_stored_accounts),
            clock,
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
    /// Another account now signs pages too, so there is no longer an implied default account. Holds a name for
    /// the default account.
    #[error(
        "several accounts would sign pages, and requests that name none, served so far, would be refused: name a default account"
    )]
    DefaultLost(String),
    /// Two accounts have verify files with the same name and different content. One path cannot serve both.
    #[error(
        "two accounts have a verify file \"{0}\" with different contents: download it from WeChat's console again"
    )]
    TwoVerifyFiles(String),
    /// The broker was built outside a tokio runtime.
    #[error("build the broker inside a tokio (or actix) runtime: its refreshes run there")]
    NoRuntime,
    /// The HTTP client could not be created.
    #[error(transparent)]
    Client(#[from] ClientError),
}
