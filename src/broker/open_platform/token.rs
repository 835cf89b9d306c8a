//! The upstream calls for an open platform's tickets and token, and for the tokens of the accounts that authorised it.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::records::document_name;
use super::{PlatformState, Todo};
use crate::broker::refresh::Flight;
use crate::broker::{AccountEntry, Broker};
use crate::credential::{Kind, Secret};
use crate::error::{Failure, PlatformProblem, UpstreamError};
use crate::platform::Authorizer;
use crate::platform::authorizer::{RefreshRefusal, State};
use crate::upstream::{AuthorizerToken, Issued};

impl Broker {
    /// Asks WeChat to push tickets, if it does not. Once WeChat refused that and there is no token, the refreshes of
    /// the token ask again, at the pace of their failures.
    pub(super) fn start_push_if_due(
        &self,
        platform: &Arc<AccountEntry>,
        state: &Arc<PlatformState>,
    ) {
        let (now, uptime) = (self.inner.clock.now(), self.inner.clock.uptime());
        let token = platform.slot_of(Kind::AccessToken);
        let has_token = token.is_some_and(|slot| self.current_credential(slot).is_some());
        {
            let mut known = state.known.lock();
            let newest = known.ticket.as_ref().map(|ticket| ticket.create_time);
            if newest.is_some_and(|newest| now.since(newest) < PUSHES_STOPPED) {
                known.push_error = None;
                return;
            }
            let is_asked_by_refreshes = known.push_error.is_some() && !has_token;
            if is_asked_by_refreshes || !known.start.take(uptime, START_EVERY) {
                return;
            }
        }
        let (broker, platform, state) = (self.clone(), platform.clone(), state.clone());
        self.inner.runtime.spawn(async move {
            let claimed = broker.claim_for(&platform, STARTING, START_EVERY).await;
            // A store that fails does not prevent it.
            if !claimed.unwrap_or(true) {
                return;
            }
            if let Err(error) = broker.start_push(&platform, &state).await {
                // A peer node, or this one after a restart, may succeed. A claim that cannot be ended expires.
                let claim = document_name(&platform, STARTING);
                let _ = broker.replace_claim(&claim, "", Duration::ZERO).await;
                warn!(
                    platform = platform.name, %error, fix = %error.fix_for_operator().en,
                    "WeChat cannot be asked to push component_verify_tickets"
                );
                if !has_token {
                    // The next refresh reports it.
                    broker.end_waits_for_token(&platform.account.app_key());
                }
            }
        });
    }

    /// Asks WeChat to push tickets, and remembers why it refuses.
    async fn start_push(
        &self,
        platform: &AccountEntry,
        state: &PlatformState,
    ) -> Result<(), Arc<UpstreamError>> {
        let started = self.inner.upstream.start_push(&platform.account).await;
        let started = started.map_err(Arc::new);
        state.known.lock().push_error = started.as_ref().err().cloned();
        if started.is_ok() {
            info!(
                platform = platform.name,
                "asked WeChat to push component_verify_tickets: the first comes within ten minutes"
            );
        }
        started
    }
}

impl Flight {
    /// Fetches the platform's token with the newest ticket that WeChat pushed; if WeChat refuses that one, with
    /// the one before. Without a ticket, calls nothing, except to ask again for pushes that WeChat refused to start.
    pub(in crate::broker) async fn ask_for_component_token(&self) -> Result<Issued, UpstreamError> {
        let (inner, platform) = (&self.broker.inner, &self.entry);
        let Some(state) = &platform.open_platform else {
            return Err(self.lacks(PlatformProblem::NoTicket));
        };
        let mut problem = PlatformProblem::NoTicket;
        loop {
            let (ticket, is_loaded, was_refused) = {
                let known = state.known.lock();
                if known.ticket.is_some() && !known.refused_tickets.is_empty() {
                    problem = PlatformProblem::TicketRefused;
                }
                let ticket = known.usable_tickets(inner.clock.now()).next().cloned();
                (ticket, known.is_loaded, known.push_error.is_some())
            };
            let Some(ticket) = ticket else {
                if !is_loaded {
                    // The wait ends as soon as the store has a ticket.
                    return Err(self.failed(Failure::StoreUnreachable(NOT_LOADED.into())));
                }
                if was_refused && let Err(error) = self.broker.start_push(platform, state).await {
                    return Err(Arc::unwrap_or_clone(error));
                }
                return Err(self.lacks(problem));
            };
            let call = inner.upstream.component_token(&platform.account, &ticket);
            match self.unless_spent(call).await {
                Err(error) if error.refuses_pushed_ticket() => {
                    let mut known = state.known.lock();
                    known.refused_tickets.push(ticket);
                    let surplus = known.refused_tickets.len().saturating_sub(REFUSED_KEPT);
                    known.refused_tickets.drain(..surplus);
                    let is_last = known.usable_tickets(inner.clock.now()).next().is_none();
                    if is_last {
                        // WeChat's own words say more than the problem.
                        return Err(error);
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// Fetches the token of an account that authorised the platform.
    pub(in crate::broker) async fn ask_for_authorizer_token(
        &self,
        component_token: &Secret,
    ) -> Result<Issued, UpstreamError> {
        let platform = self.platform()?;
        let app_id = self.entry.account.app_id();
        let mut was_refused = false;
        loop {
            let record = self.authorizer_record(&platform, app_id).await?;
            let record = record.ok_or_else(|| self.lacks(PlatformProblem::NotAuthorized))?;
            let sent = usable(&record).map_err(|problem| self.lacks(problem))?;
            let asked = self.unless_spent(self.broker.inner.upstream.authorizer_token(
                &self.entry.account,
                component_token,
                &sent,
            ));
            let error = match asked.await {
                Ok(answer) => {
                    let is_described = record.profile.is_some();
                    self.refreshed(&platform, &sent, &answer, is_described)
                        .await;
                    return Ok(answer.issued);
                }
                Err(error) => error,
            };
            let refusal = if error.refuses_unauthorized_account() {
                RefreshRefusal::NotAuthorized
            } else if error.refuses_refresh_token() {
                RefreshRefusal::InvalidToken
            } else {
                return Err(error);
            };
            // The second refusal is the answer: the list was asked already.
            if was_refused || !self.may_repeat(&platform, &sent, refusal).await {
                return Err(error);
            }
            was_refused = true;
        }
    }

    /// Returns the record of the account. While the store fails, the last known one is good enough if it has a
    /// refresh token: an outdated one costs a refusal, which changes nothing before the store answers.
    async fn authorizer_record(
        &self,
        platform: &Arc<AccountEntry>,
        app_id: &str,
    ) -> Result<Option<Authorizer>, UpstreamError> {
        let error = match self.broker.authorizer(platform, app_id).await {
            Ok(record) => return Ok(record),
            Err(error) => error,
        };
        let known = self.broker.known_authorizer(platform, app_id);
        let usable = known.filter(Authorizer::is_usable).map(Some);
        usable.ok_or_else(|| self.store_unreachable(&error))
    }

    /// Decides after a refused refresh token whether another one can be tried.
    async fn may_repeat(
        &self,
        platform: &Arc<AccountEntry>,
        sent: &Secret,
        refusal: RefreshRefusal,
    ) -> bool {
        let (broker, app_id) = (&self.broker, self.entry.account.app_id());
        let refuse = |record: &mut Authorizer| record.refresh_refused(sent, refusal);
        let changed = broker.change_authorizer(platform, app_id, refuse).await;
        let Some((_, todo)) = broker.ok_or_log(&self.entry, changed) else {
            return false;
        };
        match todo {
            Todo::Refresh => true,
            Todo::AskList => {
                let asked = Box::pin(broker.ask_list_for(platform, app_id, Some(sent), None));
                if asked.await == Todo::Redeem {
                    broker.act_later(platform, app_id, Todo::Redeem);
                }
                let record = broker.known_authorizer(platform, app_id);
                record.is_some_and(|record| usable(&record).is_ok_and(|token| token != *sent))
            }
            todo => {
                broker.act_later(platform, app_id, todo);
                false
            }
        }
    }

    /// Stores a new refresh token before the access token is used, and asks what kind of account it is.
    async fn refreshed(
        &self,
        platform: &Arc<AccountEntry>,
        sent: &Secret,
        answer: &AuthorizerToken,
        is_described: bool,
    ) {
        let (broker, app_id) = (&self.broker, self.entry.account.app_id());
        let returned = answer.refresh_token.as_ref();
        if returned.is_some_and(|returned| returned != sent) {
            let replace = |record: &mut Authorizer| {
                record.refreshed(sent, returned);
                Todo::Nothing
            };
            let changed = broker.change_authorizer(platform, app_id, replace).await;
            broker.ok_or_log(&self.entry, changed);
        }
        if !is_described {
            // Before a ticket is asked for: a mini program has none.
            Box::pin(broker.describe(platform, app_id)).await;
        }
    }

    /// Returns the platform that acts for this account.
    fn platform(&self) -> Result<Arc<AccountEntry>, UpstreamError> {
        let accounts = self.broker.inner.accounts.load();
        let platform = accounts.platform_of(&self.entry.account).cloned();
        platform.ok_or_else(|| self.lacks(PlatformProblem::NotAuthorized))
    }

    /// Returns the account whose token this credential's call needs.
    pub(in crate::broker) fn parent_of(&self) -> Result<Option<Arc<AccountEntry>>, UpstreamError> {
        if self.slot.key.kind.parent().is_some() {
            return Ok(Some(self.entry.clone()));
        }
        match self.entry.account.component_app_id() {
            None => Ok(None),
            Some(_) => self.platform().map(Some),
        }
    }

    fn lacks(&self, problem: PlatformProblem) -> UpstreamError {
        self.failed(Failure::Platform(problem))
    }
}

/// Returns the refresh token to send.
pub(super) fn usable(record: &Authorizer) -> Result<Secret, PlatformProblem> {
    match (record.state, &record.refresh_token) {
        (State::Active, Some(token)) => Ok(token.clone()),
        (State::Pending, _) => Err(PlatformProblem::NotRedeemed),
        (State::Withdrawn | State::Missing, _) => Err(PlatformProblem::NotAuthorized),
        (State::Active, None) => Err(PlatformProblem::NoApiPermission),
        (State::NeedsAuthorization, _) => Err(PlatformProblem::NeedsAuthorization),
    }
}

const NOT_LOADED: &str = "the platform's records were not read since the start";

/// How many refused tickets are remembered. WeChat accepts two at a time.
const REFUSED_KEPT: usize = 4;

/// WeChat pushes every ten minutes. An hour without a push is no delay any more.
const PUSHES_STOPPED: Duration = Duration::from_secs(3_600);

/// The claim of the next request to push.
const STARTING: &str = "starting";

/// Interval between two requests to push.
const START_EVERY: Duration = Duration::from_secs(600);
