//! Open platforms (第三方平台): what this process knows of their tickets and of the accounts that authorised
//! them, and what is to be done about it.
//!
//! The rules are in `crate::platform`; here they are applied to the documents in the store, one
//! compare-and-set at a time (`records`), and acted upon: `redeem` turns a code into a refresh token,
//! `pending_codes` says when to try that again, `reconcile`
//! asks WeChat which accounts there are, `token` fetches the platform's and the accounts' access tokens.
//! An account that authorised a platform is an ordinary account besides: it appears in
//! [`super::Accounts`] as `PLATFORM/APPID`.

mod authorize;
mod authorizer_accounts;
mod code_claim;
// Only the listener for pushes calls it.
#[cfg(feature = "platform")]
mod going_live_check;
mod pending_codes;
mod reconcile;
mod records;
mod redeem;
mod token;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{error, info};

pub use authorize::AuthorizationLinks;
pub(super) use authorizer_accounts::with_known_authorizers;
use authorizer_accounts::{Ended, account_of, authorizer_name};
use pending_codes::Redemption;
pub use redeem::AuthorizedAccount;

use super::slot::Reason;
use super::{AccountEntry, Broker};
use crate::account::Account;
use crate::clock::{Due, UnixTime};
use crate::credential::{Credential, Kind, Secret};
use crate::error::{CallAuth, Error, Failure, PlatformProblem, System, UpstreamError};
use crate::platform::authorizer::Todo;
use crate::platform::{Authorizer, EventKind, PlatformTicket, PushEvent};
use crate::store::StoreError;
use crate::upstream::Upstream;

/// What this process knows of one open platform. The store has the truth.
#[derive(Default)]
pub(super) struct PlatformState {
    known: Mutex<Known>,
    readings: reconcile::Readings,
    /// When the record of an unknown account may be looked for again.
    lookup: tokio::sync::Mutex<Due>,
}

#[derive(Default)]
struct Known {
    ticket: Option<PlatformTicket>,
    /// The version of its document: a lower one in the store is older, whatever the clocks say.
    ticket_version: u64,
    /// Tickets that WeChat refused, the last ones.
    refused_tickets: Vec<Secret>,
    /// When this process last received a valid push.
    last_push: Option<UnixTime>,
    authorizers: HashMap<String, Authorizer>,
    /// The version of each record's document: a lower one in the store is older.
    versions: HashMap<String, u64>,
    /// Whether the store was read.
    is_loaded: bool,
    /// When to read the store again.
    look: Due,
    /// When WeChat's list was last read, by any node.
    listed_at: Option<UnixTime>,
    /// When the list is read again after a failure.
    list: Due,
    /// When WeChat is asked again to push.
    start: Due,
    /// Why WeChat was not willing to push when it was asked last.
    push_error: Option<Arc<UpstreamError>>,
    /// What each [`CodeGuard`](code_claim::CodeGuard) guards: the AppIDs whose codes are redeemed, and codes being sent.
    guarded: HashSet<String>,
    /// The codes that are not redeemed yet, by their accounts.
    redemptions: HashMap<String, Redemption>,
}

/// The state of an open platform, for pages and metrics.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlatformSnapshot {
    /// The name in the configuration.
    pub name: String,
    /// When WeChat made the newest ticket, by WeChat's clock.
    pub ticket_at: Option<UnixTime>,
    /// When this process last received a valid push.
    pub last_push: Option<UnixTime>,
    /// Whether there is a ticket that WeChat accepts.
    pub has_ticket: bool,
    /// Why WeChat cannot be asked to push tickets; `None` while it pushes them.
    pub push_error: Option<Arc<UpstreamError>>,
    /// When WeChat's list of authorised accounts was last read, by any node.
    pub listed_at: Option<UnixTime>,
    /// The number of accounts that can be used.
    pub active: usize,
    /// The AppIDs of the accounts that have to authorise the platform again.
    pub needs_authorization: Vec<String>,
    /// Whether the store was read since the start. Before, its ticket and its accounts are not known.
    pub is_loaded: bool,
}

impl Broker {
    /// Applies an event that WeChat pushed to the open platform with this component_appid. When it returns, the
    /// change is stored; what follows from it, such as redeeming a code, is done afterwards.
    ///
    /// # Errors
    /// [`PushFailed`]: do not answer `success`, so that WeChat pushes the event again.
    pub async fn platform_pushed(
        &self,
        component_app_id: &str,
        event: &PushEvent,
    ) -> Result<(), PushFailed> {
        let (broker, component, event) = (self.clone(), component_app_id.to_owned(), event.clone());
        // A task: a connection that is reset must not end it between the store and what follows.
        let pushed = async move { broker.apply_push(&component, &event).await };
        let pushed = self.inner.runtime.spawn(pushed).await;
        pushed.unwrap_or(Err(PushFailed::Interrupted))
    }

    async fn apply_push(
        &self,
        component_app_id: &str,
        event: &PushEvent,
    ) -> Result<(), PushFailed> {
        let accounts = self.accounts();
        let platform = accounts
            .platform(component_app_id)
            .ok_or(PushFailed::UnknownPlatform)?;
        let at = event.create_time;
        match &event.kind {
            EventKind::Ticket(ticket) => {
                if self.change_ticket(platform, ticket, at).await? {
                    self.end_waits_for_token(&platform.account.app_key());
                }
            }
            EventKind::Authorized(code) | EventKind::FastRegistration(Some(code)) => {
                let authorize = |record: &mut Authorizer| record.authorized(code, at);
                self.change_and_act(platform, &code.authorizer, authorize)
                    .await?;
            }
            EventKind::Unauthorized { authorizer } => {
                let withdraw = |record: &mut Authorizer| record.unauthorized(at);
                self.change_and_act(platform, authorizer, withdraw).await?;
            }
            EventKind::FastRegistration(None) | EventKind::Unknown(_) => {}
        }
        let now = self.inner.clock.now();
        self.know(platform, |known| known.last_push = Some(now));
        Ok(())
    }

    /// Changes the record of an account, and starts what follows.
    async fn change_and_act(
        &self,
        platform: &Arc<AccountEntry>,
        app_id: &str,
        change: impl Fn(&mut Authorizer) -> Todo,
    ) -> Result<(), StoreError> {
        let (_, todo) = self.change_authorizer(platform, app_id, change).await?;
        self.act_later(platform, app_id, todo);
        Ok(())
    }

    /// Does what follows from a change, in a task of its own.
    fn act_later(&self, platform: &Arc<AccountEntry>, app_id: &str, todo: Todo) {
        if todo == Todo::Nothing {
            return;
        }
        let (broker, platform, app_id) = (self.clone(), platform.clone(), app_id.to_owned());
        self.inner.runtime.spawn(async move {
            broker.act(&platform, &app_id, todo).await;
        });
    }

    async fn act(&self, platform: &Arc<AccountEntry>, app_id: &str, todo: Todo) {
        match todo {
            Todo::Nothing => {}
            Todo::Redeem => self.redeem(platform, app_id, false).await,
            Todo::Stop => {
                self.drop_credentials(platform, app_id, Ended::Authorization)
                    .await;
                info!(
                    platform = platform.name,
                    app_id, "authorisation ended: the account is no longer served"
                );
            }
            Todo::Refresh => {
                self.drop_credentials(platform, app_id, Ended::Token).await;
                let name = authorizer_name(platform, app_id);
                // A failure is logged and remembered by the refresh.
                let _ = self.credential(&name, Kind::AccessToken).await;
            }
            Todo::AskList => {
                if self.ask_list_for(platform, app_id, None, None).await == Todo::Redeem {
                    self.redeem(platform, app_id, true).await;
                }
            }
            Todo::Alert => log_alert(platform, app_id),
        }
    }

    /// Returns the state of the open platforms, sorted by name.
    pub fn platforms(&self) -> Vec<PlatformSnapshot> {
        let (accounts, now) = (self.inner.accounts.load(), self.inner.clock.now());
        accounts
            .platforms()
            .map(|(entry, state)| state.known.lock().snapshot(&entry.name, now))
            .collect()
    }

    /// One step for all platforms: reads the store, and does what is due.
    pub(super) async fn tend_platforms(&self) {
        let accounts = self.inner.accounts.load_full();
        for (platform, state) in accounts.platforms() {
            let looked = self.look_into_store(platform, state).await;
            // Until it was read, the store may have a ticket, or a list that was just read.
            if self.ok_or_log(platform, looked).is_none() || !state.is_loaded() {
                continue;
            }
            self.start_push_if_due(platform, state);
            self.redeem_pending(platform, state);
            self.list_if_due(platform, state);
        }
    }

    /// Returns the platform's own token.
    async fn platform_token(&self, platform: &Arc<AccountEntry>) -> Result<Arc<Credential>, Error> {
        let slot = platform.slot(Kind::AccessToken)?;
        self.refresh(platform, slot, Reason::Missing).await
    }

    /// Calls WeChat with the platform's token. If WeChat refuses the token, refreshes it once and calls once more.
    /// `path`: by which WeChat counts the call.
    async fn with_platform_token<T, F: Future<Output = Result<T, UpstreamError>>>(
        &self,
        platform: &Arc<AccountEntry>,
        path: &'static str,
        call: impl Fn(Upstream, Arc<Account>, Secret) -> F,
    ) -> Result<T, Error> {
        let call = |token: &Arc<Credential>| {
            let upstream = self.inner.upstream.clone();
            let call = call(upstream, platform.account.clone(), token.value.clone());
            self.counted_for_platform(platform, path, call)
        };
        let token = self.platform_token(platform).await?;
        let error = match call(&token).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if error.class() != crate::error::Class::StaleToken {
            return Err(self.failed(platform, error));
        }
        let slot = platform.slot(Kind::AccessToken)?;
        let refreshed = self
            .refresh_if_current(platform, slot, &token.value)
            .await?;
        if refreshed.value == token.value {
            return Err(self.failed(platform, error));
        }
        call(&refreshed)
            .await
            .map_err(|error| self.failed(platform, error))
    }

    /// Counts the call and makes it, unless its quota is known to be spent, whichever node found that out. Only the
    /// redemption of a code is always tried: a code lives for an hour at most, and each has its own pauses.
    async fn counted_for_platform<T>(
        &self,
        platform: &AccountEntry,
        path: &'static str,
        call: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let (store, clock) = (&self.inner.store, &self.inner.clock);
        let app = platform.account.app_key();
        let can_wait = path != Upstream::REDEEM;
        if can_wait && let Ok(Some(until)) = store.blocked_until(&app, path, clock.now()).await {
            return Err(UpstreamError {
                endpoint: path,
                system: System::Weixin,
                auth: CallAuth::WithComponentToken,
                failure: Failure::spent_until(until, clock.to_wall()(until), None),
                also_seen: Vec::new(),
            });
        }
        // A store error costs a count, and is logged by whatever else the call is about.
        let _ = store.count_call(&app, path, clock.now()).await;
        let outcome = call.await;
        let error = outcome.as_ref().err();
        let spent_until = error.and_then(|error| error.spent_until(clock.now()));
        if let Some(until) = spent_until.filter(|_| can_wait) {
            // If the store fails, WeChat says again that the quota is spent.
            let _ = store.set_block(&app, path, until, clock.now()).await;
        }
        outcome
    }

    /// Lifts the blocks of the quotas that a platform shares with its accounts.
    pub(super) async fn lift_platform_blocks(&self, platform: &AccountEntry) {
        let app = platform.account.app_key();
        for called in Upstream::OF_PLATFORM {
            self.lift_block(&platform.name, &app, called).await;
        }
    }

    /// Returns the result of an operation on a platform's records, or logs its error.
    fn ok_or_log<T>(&self, entry: &AccountEntry, result: Result<T, StoreError>) -> Option<T> {
        result
            .inspect_err(|error| self.log_store_error(&entry.name, error, RECORDS_FAILED))
            .ok()
    }

    fn failed(&self, platform: &AccountEntry, error: UpstreamError) -> Error {
        Error::Upstream {
            account: platform.name.clone(),
            kind: None,
            error: Arc::new(error),
            served: false,
            retry_at: self.inner.clock.now(),
            retry_after: Duration::from_secs(1),
        }
    }
}

impl AccountEntry {
    /// Whether it is an open platform that has never had a ticket, and WeChat did not refuse to push one: the first
    /// push is no failure to report.
    pub(super) fn awaits_first_ticket(&self) -> bool {
        let known = self.open_platform.as_ref().map(|state| state.known.lock());
        known.is_some_and(|known| known.ticket.is_none() && known.push_error.is_none())
    }
}

impl Known {
    fn snapshot(&self, name: &str, now: UnixTime) -> PlatformSnapshot {
        let records = || self.authorizers.values();
        let needs_authorization = records().filter(|record| record.must_authorize_again());
        let mut needs_authorization: Vec<_> = needs_authorization
            .map(|record| record.app_id.clone())
            .collect();
        needs_authorization.sort();
        PlatformSnapshot {
            name: name.to_owned(),
            ticket_at: self.ticket.as_ref().map(|ticket| ticket.create_time),
            last_push: self.last_push,
            has_ticket: self.usable_tickets(now).next().is_some(),
            push_error: self.push_error.clone(),
            listed_at: self.listed_at,
            active: records().filter(|record| record.is_usable()).count(),
            needs_authorization,
            is_loaded: self.is_loaded,
        }
    }

    /// Returns the tickets that WeChat may accept, the newest first.
    fn usable_tickets(&self, now: UnixTime) -> impl Iterator<Item = &Secret> {
        let tickets = self
            .ticket
            .iter()
            .flat_map(move |ticket| ticket.usable(now));
        tickets.filter(|ticket| !self.refused_tickets.contains(ticket))
    }
}

/// Why a push could not be processed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushFailed {
    /// The platform was removed from the configuration.
    #[error("no open platform has this component_appid")]
    UnknownPlatform,
    /// The change could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The process is ending, or its task panicked.
    #[error("the push was not processed to its end")]
    Interrupted,
}

/// Returns the groups of a platform's documents: its own, and those of the accounts that authorised it.
pub(super) fn record_groups(platform: &AccountEntry) -> [String; 2] {
    let own = format!("platform:{}", platform.account.app_id());
    let authorizers = format!("{own}:authorizer");
    [own, authorizers]
}

fn log_alert(platform: &AccountEntry, app_id: &str) {
    let problem = Failure::Platform(PlatformProblem::NeedsAuthorization);
    error!(
        platform = platform.name,
        app_id,
        reason = %problem.said(),
        "account must authorise the platform again: WeChat has no refresh token for it"
    );
}

/// The message of the log if the store fails.
const RECORDS_FAILED: &str = "platform records could not be read or changed";

#[cfg(test)]
mod tests;
