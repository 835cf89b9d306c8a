//! Obtains a new credential: one flight per slot, in a task of its own. The store is asked before the
//! upstream, and a rejected parent token is refreshed once.
//!
//! Start reading at [`Broker::refresh`], which joins or starts a flight; [`Flight::run`] is the flight.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, warn};

use super::slot::{Outcome, Reason, Slot};
use super::stats::{self, outcome_of};
use super::{AccountEntry, Broker};
use crate::account::{Platform, TokenMode};
use crate::clock::UnixTime;
use crate::credential::{Credential, Freshness, Kind, LEAD, Secret};
use crate::error::{Error, Failure, UpstreamError};
use crate::store::{Lease, Saved, StoreError};

impl Broker {
    /// Joins the running refresh or starts one, and waits for it. A caller that stops waiting does not
    /// abort the refresh.
    pub(super) async fn refresh(
        &self,
        member: &Arc<AccountEntry>,
        slot: &Arc<Slot>,
        why: Reason,
    ) -> Result<Arc<Credential>, Error> {
        match self.board(member, slot, why) {
            Decision::Current(credential) => Ok(credential),
            Decision::Cooling(error) => Err(error),
            Decision::Flight(flight) => land(flight, member, slot.key.kind).await,
        }
    }

    /// Decides under the slot's lock whether to start a refresh. Checks the value again there, since it may
    /// have arrived meanwhile.
    pub(super) fn board(
        &self,
        member: &Arc<AccountEntry>,
        slot: &Arc<Slot>,
        why: Reason,
    ) -> Decision {
        let now = self.inner.clock.now();
        let mut state = slot.lock();
        let living = self.current_credential(slot);
        if let Some(living) = living.as_ref().filter(|living| match &why {
            Reason::Missing => true,
            Reason::Due => self.freshness(slot, living) == Freshness::Fresh,
            Reason::Rejected(bad) => living.value != *bad,
            Reason::Asked => false,
        }) {
            return Decision::Current(living.clone());
        }
        if let Some(flight) = &state.flight {
            return Decision::Flight(flight.clone());
        }
        if let Some(failure) = state
            .cooldown(now)
            .filter(|failure| !(matches!(why, Reason::Asked) && failure.may_be_cut_short()))
        {
            return Decision::Cooling(failure.as_error(&member.name, living.is_some(), now));
        }
        if let Reason::Asked = &why {
            if let Some(retry_after) = state.ration(now) {
                return Decision::Cooling(Error::Rationed {
                    account: member.name.clone(),
                    kind: slot.key.kind,
                    retry_after,
                });
            }
            state.renewed_on_demand = Some(now);
        }
        if let Reason::Rejected(bad) = &why {
            if let Some(retry_after) = state.ration(now) {
                slot.counts.count(stats::Outcome::Rationed);
                return Decision::Cooling(Error::Rationed {
                    account: member.name.clone(),
                    kind: slot.key.kind,
                    retry_after,
                });
            }
            state.renewed_on_demand = Some(now);
            // Logged once per value, however often its refresh has to be tried.
            let is_news = state
                .refused
                .replace(bad.clone())
                .is_none_or(|told| told != *bad)
                && slot.key.kind == Kind::AccessToken;
            if let Some(refused) = living.filter(|living| is_news && living.remaining(now) > LEAD) {
                state.foreign_refreshes += 1;
                warn_of_foreign_refresh(member, refused.remaining(now));
            }
        }
        let (land, flight) = watch::channel(None);
        state.flight = Some(flight.clone());
        let begun = self.inner.clock.uptime();
        let flying = Flight {
            broker: self.clone(),
            member: member.clone(),
            slot: slot.clone(),
            why,
            begun,
            land,
        };
        self.inner.runtime.spawn(flying.run());
        Decision::Flight(flight)
    }

    /// Compare-and-refresh: see [`Broker::reject`].
    pub(super) async fn renew_if_current(
        &self,
        member: &Arc<AccountEntry>,
        slot: &Arc<Slot>,
        bad: &Secret,
    ) -> Result<Arc<Credential>, Error> {
        let renewed = self
            .refresh(member, slot, Reason::Rejected(bad.clone()))
            .await?;
        if renewed.value != *bad {
            return Ok(renewed);
        }
        // The call joined a refresh that had started for another reason and brought the rejected value
        // again. Starts one of its own, once.
        self.refresh(member, slot, Reason::Rejected(bad.clone()))
            .await
    }
}

/// Logs that a token was rejected long before its end, so another server has retired it, and how to prevent
/// that.
fn warn_of_foreign_refresh(member: &AccountEntry, left: Duration) {
    let advice = match member.account.mode() {
        _ if matches!(member.account.platform(), Platform::Work { .. }) => {
            "the app's secret was reset, or WeCom ended the token early"
        }
        TokenMode::Classic => {
            "another server fetches tokens of this app: let it ask this one, or set token_mode = \"stable\""
        }
        TokenMode::Stable => {
            "another server forces refreshes of this app's stable token, or its secret was reset"
        }
    };
    warn!(
        account = member.name,
        seconds_left = left.as_secs(),
        advice,
        "access token rejected long before its end"
    );
}

/// The result of asking for a refresh.
pub(super) enum Decision {
    Current(Arc<Credential>),
    Cooling(Error),
    Flight(watch::Receiver<Outcome>),
}

/// Waits for a flight to end. It ends without an outcome only if its task was killed with the runtime.
pub(super) async fn land(
    mut flight: watch::Receiver<Outcome>,
    member: &AccountEntry,
    kind: Kind,
) -> Result<Arc<Credential>, Error> {
    let interrupted = || Error::Interrupted {
        account: member.name.clone(),
        kind,
    };
    let outcome = flight
        .wait_for(Option::is_some)
        .await
        .map_err(|_| interrupted())?;
    outcome.clone().unwrap_or_else(|| Err(interrupted()))
}

/// One refresh of one credential.
pub(super) struct Flight {
    pub(super) broker: Broker,
    pub(super) member: Arc<AccountEntry>,
    pub(super) slot: Arc<Slot>,
    pub(super) why: Reason,
    /// In uptime.
    pub(super) begun: Duration,
    land: watch::Sender<Outcome>,
}

/// Removes the flight from its slot however it ends, including by a panic.
struct Landing<'a>(&'a Slot);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.lock().flight = None;
    }
}

impl Flight {
    async fn run(self) {
        let landing = Landing(&self.slot);
        let departure = self.depart();
        let outcome = self.fetch().await;
        self.arrive(&departure, &outcome);
        drop(landing);
        self.land.send_replace(Some(outcome));
    }

    async fn fetch(&self) -> Result<Arc<Credential>, Error> {
        if let Some(found) = self.look_in_store().await {
            return Ok(found);
        }
        // The parent comes first: a lease is short and should cover only this credential's own call.
        let token = match self.slot.key.kind.parent() {
            Some(parent) => Some(self.parent(parent).await?),
            None => None,
        };
        let lease = match self.lease().await {
            Turn::Ours(lease) => lease,
            Turn::Found(credential) => return Ok(credential),
            Turn::Wait(error, latest) => return Err(self.wait_for_store(error, latest)),
        };
        // The rate limit is checked only by the node that is about to call; the others find the result in
        // the store.
        let outcome = match self.ration().await {
            Ok(()) => self.call(token).await,
            Err(rationed) => {
                outcome_of(&rationed)
                    .into_iter()
                    .for_each(|outcome| self.slot.counts.count(outcome));
                let wait = rationed.retry_after().unwrap_or_default();
                self.slot
                    .lock()
                    .put_off(self.broker.inner.clock.now().plus(wait));
                Err(rationed)
            }
        };
        if let Some(lease) = lease
            && let Err(error) = self.broker.inner.store.release(lease).await
        {
            debug!(%error, "lease could not be released: it expires by itself");
        }
        outcome
    }

    async fn parent(&self, kind: Kind) -> Result<Arc<Credential>, Error> {
        let slot = self.member.slot(kind)?;
        let parent = match self.broker.current_credential(slot) {
            Some(living) => Ok(living),
            None => {
                Box::pin(
                    self.broker
                        .refresh(&self.member, slot, self.why_the_parent()),
                )
                .await
            }
        };
        parent.inspect_err(|error| self.share_cooldown(error))
    }

    /// Applies the parent's cooldown: without its parent this credential cannot be fetched, so callers are
    /// answered from memory until the parent is tried again.
    fn share_cooldown(&self, error: &Error) {
        self.slot.counts.count(stats::Outcome::NoToken);
        if let Error::Upstream {
            error,
            kind,
            retry_at,
            ..
        } = error
        {
            let mut state = self.slot.lock();
            self.enter(&mut state, error.clone(), *kind, Some(*retry_at));
        }
    }

    /// Returns the credential that a peer node, or this process before its restart, has stored, if it
    /// satisfies the reason of this refresh.
    async fn look_in_store(&self) -> Option<Arc<Credential>> {
        let stored = match self.broker.inner.store.load(&self.slot.key).await {
            Ok(stored) => Arc::new(stored?),
            Err(error) => {
                self.broker
                    .complain(&self.member.name, &error, "store could not be read");
                return None;
            }
        };
        if self.broker.is_from_the_future(&stored) {
            let what = "stored credential ignored: it was issued in the future";
            self.broker.warn_of(&self.member.name, what);
            return None;
        }
        let is_news = self
            .slot
            .lock()
            .last
            .as_ref()
            .is_none_or(|last| last.generation < stored.generation);
        self.slot.lock().see(&stored, &self.broker.inner.clock);
        let freshness = self.broker.freshness(&self.slot, &stored);
        let wanted = match &self.why {
            Reason::Missing => freshness != Freshness::Expired,
            Reason::Due => freshness == Freshness::Fresh,
            Reason::Rejected(bad) => freshness != Freshness::Expired && stored.value != *bad,
            Reason::Asked => freshness == Freshness::Fresh && is_news,
        };
        if !wanted {
            return None;
        }
        self.slot
            .counts
            .succeeded(stats::Outcome::FromStore, stored.issued_at);
        self.say("from_store", &stored, "refreshed from the store");
        Some(self.admit(stored))
    }

    /// Obtains the right to call: at once if the store is not shared, otherwise possibly after a peer
    /// node's refresh.
    async fn lease(&self) -> Turn {
        let mut waiting_since = None;
        let turn = self.wait_for_turn(&mut waiting_since).await;
        if let Some(since) = waiting_since {
            let waited = self.broker.inner.clock.uptime().saturating_sub(since);
            self.broker.inner.counts.lease_waits.observe(waited);
        }
        turn
    }

    async fn wait_for_turn(&self, waiting_since: &mut Option<Duration>) -> Turn {
        let store = &self.broker.inner.store;
        // Long enough for two leases: one whose owner died, and the refresh of the node that got the lease
        // next.
        let mut polls_left = 2 * self.lease_time().as_millis() / LEASE_POLL.as_millis();
        loop {
            match store.lease(&self.slot.key, self.lease_time()).await {
                // The value may have been stored between the first load and the lease.
                Ok(Some(lease)) => {
                    return match self.look_in_store().await {
                        None => Turn::Ours(Some(lease)),
                        Some(found) => {
                            let _ = store.release(lease).await; // on error it expires by itself
                            Turn::Found(found)
                        }
                    };
                }
                Ok(None) if polls_left == 0 => return Turn::Ours(None),
                Ok(None) => {
                    polls_left -= 1;
                    waiting_since.get_or_insert_with(|| self.broker.inner.clock.uptime());
                    tokio::time::sleep(LEASE_POLL).await;
                    if let Some(found) = self.look_in_store().await {
                        return Turn::Found(found);
                    }
                }
                Err(error) => return self.without_store(&error),
            }
        }
    }

    /// Decides what to do when the store fails. An error counts as an empty store. But while a value is
    /// valid, no node has to refresh without the store: most outages are short, every uncoordinated refresh
    /// is an unnecessary call, and a classic call retires the tokens of the peer nodes. So the refresh
    /// waits until near the end.
    fn without_store(&self, error: &StoreError) -> Turn {
        let alone = if self.is_classic_token() {
            CLASSIC_ALONE
        } else {
            ALONE
        };
        let now = self.broker.inner.clock.now();
        match self
            .broker
            .current_credential(&self.slot)
            .filter(|living| living.remaining(now) > alone)
        {
            Some(living) if !matches!(self.why, Reason::Rejected(_)) => Turn::Wait(
                self.unavailable(error),
                UnixTime(living.expires_at.0.saturating_sub(alone.as_secs())),
            ),
            _ => {
                self.broker
                    .complain(&self.member.name, error, "refreshing without the store");
                Turn::Ours(None)
            }
        }
    }

    /// Schedules the next try for later, but before the current value ends.
    fn wait_for_store(&self, error: UpstreamError, latest: UnixTime) -> Error {
        let waiting = self.keep_in_mind(error, self.slot.key.kind);
        if let Some(failure) = &mut self.slot.lock().failure {
            failure.until = failure
                .until
                .min(latest.plus(Duration::from_secs(rand::random_range(0..=10))));
        }
        waiting
    }

    fn unavailable(&self, error: &StoreError) -> UpstreamError {
        UpstreamError {
            endpoint: "the shared store",
            failure: Failure::StoreUnreachable(error.to_string()),
            ..self.blank()
        }
    }

    /// Returns a little more than the calls under the lease can take.
    fn lease_time(&self) -> Duration {
        let calls = if self.slot.key.kind == Kind::AccessToken {
            2
        } else {
            3
        };
        self.broker.inner.upstream.timeout() * calls + Duration::from_secs(1)
    }

    /// Stores the value, then admits it: a value is handed out only when a crash can no longer lose it. The
    /// newer value wins, unless its date comes from a wrong clock.
    pub(super) async fn keep(&self, mut credential: Credential) -> Arc<Credential> {
        let key = &self.slot.key;
        for _ in 0..2 {
            let shared = self.broker.dated_for_others(&credential);
            match self.broker.inner.store.save(key, &shared).await {
                Ok(Saved::Stored) => break,
                Ok(Saved::Newer(newer)) if self.broker.is_usable(&self.slot, &newer) => {
                    credential = newer;
                    break;
                }
                Ok(Saved::Newer(newer)) => {
                    credential.generation = newer.generation.saturating_add(1);
                }
                Err(error) => {
                    self.broker.complain(
                        &self.member.name,
                        &error,
                        "credential could not be stored: kept in memory",
                    );
                    break;
                }
            }
        }
        self.report(&credential);
        let kept = self.admit(Arc::new(credential));
        self.slot.lock().adjusted |= self.broker.dated_for_others(&kept) != *kept;
        kept
    }

    /// Admits a value whose dates are correct for this machine's clock only.
    pub(super) fn keep_here(&self, credential: Credential) -> Arc<Credential> {
        self.report(&credential);
        let clock = &self.broker.inner.clock;
        let left = credential.remaining(clock.now());
        {
            let mut state = self.slot.lock();
            state.seen = Some((clock.uptime(), left));
            state.adjusted = true;
        }
        self.admit(Arc::new(credential))
    }

    /// Makes the value current, unless a newer one is there. From now on the keeper refreshes this
    /// credential. One that was never fetched, because the account may lack the permission, is fetched only
    /// on request, so an unauthenticated request cannot add work to the keeper.
    fn admit(&self, credential: Arc<Credential>) -> Arc<Credential> {
        self.slot.want();
        let mut state = self.slot.lock();
        if state.failure.take().is_some() {
            self.broker.inner.flood.healed(&self.member.name);
        }
        state.refreshes += 1;
        let kept = state.see(&credential, &self.broker.inner.clock);
        self.broker.publish(&self.slot, &state);
        kept
    }
}

/// Whether this node may call now.
enum Turn {
    Ours(Option<Lease>),
    Found(Arc<Credential>),
    /// Wait for the store, at most until this time.
    Wait(UpstreamError, UnixTime),
}

/// Poll interval while a peer node refreshes.
const LEASE_POLL: Duration = Duration::from_millis(100);

/// Without a store for coordination, a credential is refreshed only this close to its end: later than the
/// lead, so that an outage of a minute or two costs no call, and early enough for a few failures.
const ALONE: Duration = Duration::from_secs(120);

/// Later still for a classic token, because its refresh retires the tokens of the peer nodes.
const CLASSIC_ALONE: Duration = Duration::from_secs(60);
