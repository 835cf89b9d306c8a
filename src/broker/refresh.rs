//! The way to a new credential: one flight per slot, in a task of its own; store before upstream; the parent renewed once.
//!
//! Read it from the top: [`Broker::refresh`] joins or starts a flight, [`Flight::run`] is the flight.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use super::slot::{MIN_DEMAND_GAP, Outcome, Slot, Why};
use super::{Broker, Member};
use crate::account::{Platform, TokenMode};
use crate::credential::{Credential, Freshness, Kind, LEAD, Secret};
use crate::error::{Class, Error, Failure, UpstreamError};
use crate::store::{Claim, Lease, Saved, StoreError};
use crate::upstream::Issued;

impl Broker {
    /// Joins the refresh under way or starts one, and waits for it. A caller who goes away meanwhile aborts nothing.
    pub(super) async fn refresh(&self, member: &Arc<Member>, slot: &Arc<Slot>, why: Why) -> Result<Arc<Credential>, Error> {
        match self.board(member, slot, why) {
            Boarding::Living(credential) => Ok(credential),
            Boarding::Cooling(error) => Err(error),
            Boarding::Flight(flight) => land(flight, member, slot.key.kind).await,
        }
    }

    /// Decides under the slot's lock, and looks again there: the value may have come while the caller was on the way.
    pub(super) fn board(&self, member: &Arc<Member>, slot: &Arc<Slot>, why: Why) -> Boarding {
        slot.want();
        let now = self.inner.clock.now();
        let mut state = slot.lock();
        let living = self.living(slot);
        if let Some(living) = living.as_ref().filter(|living| match &why {
            Why::Missing => true,
            Why::Due => self.freshness(slot, living) == Freshness::Fresh,
            Why::Rejected(bad) => living.value != *bad,
        }) {
            return Boarding::Living(living.clone());
        }
        if let Some(flight) = &state.flight {
            return Boarding::Flight(flight.clone());
        }
        if let Some(failure) = state.cooldown(now) {
            return Boarding::Cooling(failure.as_error(&member.name, now));
        }
        if let Why::Rejected(_) = &why {
            if let Some(retry_after) = state.ration(now) {
                return Boarding::Cooling(Error::Rationed { account: member.name.clone(), kind: slot.key.kind, retry_after });
            }
            state.renewed_on_demand = Some(now);
            if let Some(refused) = living.filter(|living| slot.key.kind == Kind::AccessToken && living.remaining(now) > LEAD) {
                state.foreign_refreshes += 1;
                warn_of_foreign_refresh(member, refused.remaining(now));
            }
        }
        let (land, flight) = watch::channel(None);
        state.flight = Some(flight.clone());
        let flying = Flight { broker: self.clone(), member: member.clone(), slot: slot.clone(), why, land };
        self.inner.runtime.spawn(flying.run());
        Boarding::Flight(flight)
    }

    /// Compare-and-refresh: see [`Broker::reject`].
    pub(super) async fn renew_if_current(
        &self,
        member: &Arc<Member>,
        slot: &Arc<Slot>,
        bad: &Secret,
    ) -> Result<Arc<Credential>, Error> {
        let renewed = self.refresh(member, slot, Why::Rejected(bad.clone())).await?;
        if renewed.value != *bad {
            return Ok(renewed);
        }
        // It joined a refresh that had begun for another reason and brought the refused value again: one of its own, once.
        self.refresh(member, slot, Why::Rejected(bad.clone())).await
    }
}

/// A token refused long before its end was retired by somebody else: say so, with the way out.
fn warn_of_foreign_refresh(member: &Member, left: Duration) {
    let advice = match member.account.mode() {
        TokenMode::Classic => "another server fetches tokens of this app: let it ask this one, or set token_mode = \"stable\"",
        TokenMode::Stable => "another server forces refreshes of this app's stable token, or its secret was reset",
    };
    warn!(account = member.name, seconds_left = left.as_secs(), advice, "access token refused long before its end");
}

/// What a caller finds on the way to a refresh.
pub(super) enum Boarding {
    Living(Arc<Credential>),
    Cooling(Error),
    Flight(watch::Receiver<Outcome>),
}

/// Waits for a flight to end. It can end without an outcome only when its task was killed with the runtime.
pub(super) async fn land(mut flight: watch::Receiver<Outcome>, member: &Member, kind: Kind) -> Result<Arc<Credential>, Error> {
    let interrupted = || Error::Interrupted { account: member.name.clone(), kind };
    let outcome = flight.wait_for(Option::is_some).await.map_err(|_| interrupted())?;
    outcome.clone().unwrap_or_else(|| Err(interrupted()))
}

/// One refresh of one credential.
struct Flight {
    broker: Broker,
    member: Arc<Member>,
    slot: Arc<Slot>,
    why: Why,
    land: watch::Sender<Outcome>,
}

/// Takes the flight off its slot however it ends, a panic included.
struct Landing<'a>(&'a Slot);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.lock().flight = None;
    }
}

impl Flight {
    async fn run(self) {
        let landing = Landing(&self.slot);
        let outcome = self.fetch().await;
        drop(landing);
        self.land.send_replace(Some(outcome));
    }

    async fn fetch(&self) -> Result<Arc<Credential>, Error> {
        if let Some(found) = self.look_in_store().await {
            return Ok(found);
        }
        // The parent first: a lease is short, and should be held over our own call only.
        let token = match self.slot.key.kind.parent() {
            Some(parent) => Some(self.parent(parent).await?),
            None => None,
        };
        let lease = match self.lease().await {
            Turn::Ours(lease) => lease,
            Turn::Found(credential) => return Ok(credential),
            Turn::Wait(error) => return Err(self.remember(error, self.slot.key.kind)),
        };
        let outcome = self.call(token).await;
        if let Some(lease) = lease
            && let Err(error) = self.broker.inner.store.release(lease).await
        {
            debug!(%error, "a lease could not be released; it ends by itself");
        }
        outcome
    }

    async fn parent(&self, kind: Kind) -> Result<Arc<Credential>, Error> {
        let slot = self.member.slot(kind)?;
        let parent = match self.broker.living(slot) {
            Some(living) => Ok(living),
            None => Box::pin(self.broker.refresh(&self.member, slot, Why::Missing)).await,
        };
        parent.inspect_err(|error| self.share_cooldown(error))
    }

    /// Without its parent this credential cannot come either: callers are answered from memory until the parent is tried again.
    fn share_cooldown(&self, error: &Error) {
        if let Error::Upstream { error, kind, retry_at, .. } = error {
            let mut state = self.slot.lock();
            state.fail(error.clone(), *kind, self.broker.inner.clock.now());
            if let Some(failure) = &mut state.failure {
                failure.until = *retry_at;
            }
        }
    }

    /// What another process, or this one before its restart, has stored, if that is what is wanted.
    async fn look_in_store(&self) -> Option<Arc<Credential>> {
        let stored = match self.broker.inner.store.load(&self.slot.key).await {
            Ok(stored) => Arc::new(stored?),
            Err(error) => {
                warn!(account = self.member.name, kind = %self.slot.key.kind, %error, "the store could not be read");
                return None;
            }
        };
        self.slot.lock().see(&stored);
        let freshness = self.broker.freshness(&self.slot, &stored);
        let wanted = match &self.why {
            Why::Missing => freshness != Freshness::Expired,
            Why::Due => freshness == Freshness::Fresh,
            Why::Rejected(bad) => freshness != Freshness::Expired && stored.value != *bad,
        };
        wanted.then(|| self.admit(stored))
    }

    /// The right to call: at once where the store has nobody to share with, after another's refresh where it has.
    async fn lease(&self) -> Turn {
        let store = &self.broker.inner.store;
        let mut polls_left = self.lease_time().as_millis() / LEASE_POLL.as_millis();
        loop {
            match store.lease(&self.slot.key, self.lease_time()).await {
                // Look again: it may have come between the first look and the lease.
                Ok(Some(lease)) => {
                    return match self.look_in_store().await {
                        None => Turn::Ours(Some(lease)),
                        Some(found) => {
                            let _ = store.release(lease).await; // else it ends by itself
                            Turn::Found(found)
                        }
                    };
                }
                Ok(None) if polls_left == 0 => return Turn::Ours(None),
                Ok(None) => {
                    polls_left -= 1;
                    tokio::time::sleep(LEASE_POLL).await;
                    if let Some(found) = self.look_in_store().await {
                        return Turn::Found(found);
                    }
                }
                Err(error) => return self.without_store(&error),
            }
        }
    }

    /// A store that errs counts as empty. A stable token may then be fetched by many at once without harm; a classic one retires
    /// its predecessor, so it is left alone while it lives.
    fn without_store(&self, error: &StoreError) -> Turn {
        let now = self.broker.inner.clock.now();
        let living = self.broker.living(&self.slot).filter(|living| living.remaining(now) > CLASSIC_ALONE);
        warn!(account = self.member.name, kind = %self.slot.key.kind, %error, "refreshing without the store");
        match living {
            Some(_) if self.is_classic_token() && !matches!(self.why, Why::Rejected(_)) => Turn::Wait(self.unavailable(error)),
            _ => Turn::Ours(None),
        }
    }

    fn unavailable(&self, error: &StoreError) -> UpstreamError {
        UpstreamError {
            endpoint: "the shared store",
            system: crate::error::System::Weixin,
            paid: crate::error::Paid::WithSecret,
            failure: Failure::Unreachable(error.to_string()),
        }
    }

    /// A little longer than the calls it covers can take.
    fn lease_time(&self) -> Duration {
        let calls = if self.slot.key.kind == Kind::AccessToken { 2 } else { 3 };
        self.broker.inner.upstream.timeout() * calls + Duration::from_secs(1)
    }

    /// The call itself, and what becomes of its result.
    async fn call(&self, token: Option<Arc<Credential>>) -> Result<Arc<Credential>, Error> {
        let sent_at = self.broker.inner.clock.now_millis();
        let issued = match &token {
            None => self.fetch_token().await,
            Some(token) => self.fetch_ticket(token).await,
        };
        match issued.and_then(|issued| self.credential(issued, sent_at)) {
            Ok(credential) => {
                let kept = self.keep(credential).await;
                self.pause_if_nothing_new(&kept);
                Ok(kept)
            }
            Err(error) => {
                if error.may_have_been_carried_out() && self.is_classic_token() {
                    self.distrust_old_token().await;
                }
                Err(self.remember(error, self.slot.key.kind))
            }
        }
    }

    /// WeChat gave the value that was due once more (a ticket that has not rotated yet): the keeper asks again, but not at once.
    fn pause_if_nothing_new(&self, kept: &Credential) {
        if self.broker.freshness(&self.slot, kept) == Freshness::Due {
            self.slot.lock().nothing_new_until = Some(self.broker.inner.clock.now().plus(PAUSE_WITHOUT_NEWS));
        }
    }

    async fn fetch_token(&self) -> Result<Issued, UpstreamError> {
        let (upstream, account) = (&self.broker.inner.upstream, &self.member.account);
        let issued = upstream.token(account, false).await?;
        match &self.why {
            // stable_token gave the refused value again, so WeChat itself takes it for good: only force replaces it.
            Why::Rejected(bad) if issued.value == *bad && self.is_stable_token() && self.may_force().await => {
                info!(account = self.member.name, "forcing a new stable token: the current one was refused");
                upstream.token(account, true).await
            }
            _ => Ok(issued),
        }
    }

    /// Buys the ticket; when the token is refused, renews the token once and tries once more, never a third time.
    async fn fetch_ticket(&self, token: &Credential) -> Result<Issued, UpstreamError> {
        let (upstream, account, kind) = (&self.broker.inner.upstream, &self.member.account, self.slot.key.kind);
        let refused = match upstream.ticket(account, kind, &token.value).await {
            Err(error) if error.class() == Class::StaleToken => error,
            other => return other,
        };
        let slot = self.member.slot(Kind::AccessToken).expect("every platform has an access token");
        match Box::pin(self.broker.renew_if_current(&self.member, slot, &token.value)).await {
            Ok(renewed) if renewed.value != token.value => upstream.ticket(account, kind, &renewed.value).await,
            Ok(_) => Err(refused),
            // Why the token could not be renewed says more than that it was refused.
            Err(error) => Err(error.upstream().cloned().unwrap_or(refused)),
        }
    }

    /// Whether another forced refresh fits into the day's 20 and the 30 s between two.
    async fn may_force(&self) -> bool {
        let now = self.broker.inner.clock.now();
        match self.broker.inner.store.claim_force(&self.slot.key, now, MIN_DEMAND_GAP, Some(FORCED_PER_DAY)).await {
            Ok(Claim::Granted) => true,
            Ok(Claim::TooSoon { .. }) => false,
            Ok(Claim::SpentToday { .. }) => {
                warn!(
                    account = self.member.name,
                    "today's forced refreshes are used up: a refused token is kept until it ends"
                );
                false
            }
            Err(error) => {
                warn!(account = self.member.name, %error, "the ration of forced refreshes cannot be read: not forcing");
                false
            }
        }
    }

    /// A life is counted from when the call was sent, and from the first time that this value was seen: the same value coming back
    /// with a new `expires_in` does not live longer.
    fn credential(&self, issued: Issued, sent_at: u64) -> Result<Credential, UpstreamError> {
        let issued_at = crate::clock::UnixTime(sent_at / 1_000);
        let expires_at = issued_at.plus(issued.expires_in);
        let last = self.slot.lock().last.clone();
        let credential = match last {
            Some(last) if last.value == issued.value => {
                Credential { expires_at: last.expires_at.min(expires_at), ..(*last).clone() }
            }
            last => {
                let generation = sent_at.max(last.map_or(0, |last| last.generation + 1));
                Credential { value: issued.value, issued_at, expires_at, generation }
            }
        };
        match self.broker.freshness(&self.slot, &credential) {
            Freshness::Expired => Err(UpstreamError {
                failure: Failure::Unusable("a value whose life was already over, counted from when it was first seen".into()),
                ..self.blank()
            }),
            Freshness::Fresh | Freshness::Due => Ok(credential),
        }
    }

    /// This call's error without what happened.
    fn blank(&self) -> UpstreamError {
        let (system, endpoint) = crate::upstream::endpoint(&self.member.account, self.slot.key.kind);
        let paid = match self.slot.key.kind.parent() {
            None => crate::error::Paid::WithSecret,
            Some(_) => crate::error::Paid::WithToken,
        };
        UpstreamError { endpoint, system, paid, failure: Failure::Unusable(String::new()) }
    }

    /// Stores, then admits: a value is handed out only when a crash cannot lose it any more. Newer wins.
    async fn keep(&self, credential: Credential) -> Arc<Credential> {
        let key = &self.slot.key;
        let kept = match self.broker.inner.store.save(key, &credential).await {
            Ok(Saved::Stored) => credential,
            Ok(Saved::Newer(newer)) if self.broker.freshness(&self.slot, &newer) != Freshness::Expired => newer,
            Ok(Saved::Newer(_)) => credential,
            Err(error) => {
                warn!(account = self.member.name, kind = %key.kind, %error, "a credential could not be stored; memory has it");
                credential
            }
        };
        let expires_in = kept.remaining(self.broker.inner.clock.now()).as_secs();
        info!(account = self.member.name, kind = %key.kind, why = self.why.as_str(), expires_in, "refreshed");
        self.admit(Arc::new(kept))
    }

    /// Into the cache, unless what is there is newer.
    fn admit(&self, credential: Arc<Credential>) -> Arc<Credential> {
        let mut state = self.slot.lock();
        state.failure = None;
        state.refreshes += 1;
        let kept = state.see(&credential);
        self.broker.inner.living.insert(self.slot.key.clone(), kept.clone());
        kept
    }

    /// A classic call whose answer was lost may have retired the living token: from then on it has WeChat's five minutes of
    /// overlap, and is trusted for four. A failure never *lengthens* a life.
    async fn distrust_old_token(&self) {
        let now = self.broker.inner.clock.now();
        let Some(living) = self.broker.living(&self.slot) else { return };
        let trimmed = Credential { expires_at: living.expires_at.min(now.plus(TRUST_AFTER_LOST_REPLY)), ..(*living).clone() };
        if trimmed == *living {
            return;
        }
        warn!(account = self.member.name, "the answer to a token call was lost: the old token is trusted for four minutes");
        if let Err(error) = self.broker.inner.store.save(&self.slot.key, &trimmed).await {
            warn!(account = self.member.name, %error, "the shortened life could not be stored");
        }
        let trimmed = Arc::new(trimmed);
        let mut state = self.slot.lock();
        state.last = Some(trimmed.clone());
        self.broker.inner.living.insert(self.slot.key.clone(), trimmed);
    }

    /// Remembers a failure, logs it once, as loudly as its class asks, and makes it the callers' answer.
    fn remember(&self, failure: UpstreamError, kind: Kind) -> Error {
        let now = self.broker.inner.clock.now();
        let (cause, fix, class) = (failure.cause(), failure.fix_for_operator(), failure.class());
        let living_for = self.broker.living(&self.slot).map_or(0, |living| living.remaining(now).as_secs());
        let mut state = self.slot.lock();
        let until = state.fail(Arc::new(failure.clone()), kind, now);
        let retry_in = until.since(now).as_secs();
        let (account, class) = (self.member.name.as_str(), class.as_str());
        if class == Class::Setup.as_str() {
            error!(account, %kind, class, retry_in, living_for, cause = %cause.en, fix = %fix.en, "refresh failed: {failure}");
        } else {
            warn!(account, %kind, class, retry_in, living_for, cause = %cause.en, fix = %fix.en, "refresh failed: {failure}");
        }
        state.failure.as_ref().expect("just remembered").as_error(account, now)
    }

    fn is_stable_token(&self) -> bool {
        self.is_weixin_token(TokenMode::Stable)
    }

    fn is_classic_token(&self) -> bool {
        self.is_weixin_token(TokenMode::Classic)
    }

    fn is_weixin_token(&self, mode: TokenMode) -> bool {
        let account = &self.member.account;
        self.slot.key.kind == Kind::AccessToken
            && account.mode() == mode
            && !matches!(account.platform(), Platform::Work { .. })
    }
}

/// Whose turn it is to call.
enum Turn {
    Ours(Option<Lease>),
    Found(Arc<Credential>),
    Wait(UpstreamError),
}

/// How often another process's refresh is looked for.
const LEASE_POLL: Duration = Duration::from_millis(100);

/// With no store to agree through, a classic token is renewed only this close to its end.
const CLASSIC_ALONE: Duration = Duration::from_secs(60);

/// WeChat keeps a replaced classic token for five minutes; one less for clocks and the way.
const TRUST_AFTER_LOST_REPLY: Duration = Duration::from_secs(240);

/// Six to eight tries fit into the lead.
const PAUSE_WITHOUT_NEWS: Duration = Duration::from_secs(30);

/// WeChat's own limit on `force_refresh`.
const FORCED_PER_DAY: u32 = 20;
