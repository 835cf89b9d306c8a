//! Compares the stored accounts with WeChat's list of authorised ones, which brings back what the store has lost.

mod shared_reading;

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use self::shared_reading::Reading;
pub(super) use self::shared_reading::Readings;
use super::pending_codes::CODE_LIFE;
use super::{Authorizer, Broker, PlatformState, Todo, log_alert};
use crate::broker::AccountEntry;
use crate::clock::UnixTime;
use crate::credential::Secret;
use crate::error::Error;
use crate::platform::authorizer::{Listed, State};
use crate::store::{StoreError, at_most};
use crate::upstream::Upstream;

impl Broker {
    /// Reads the list once a day, and at the first start with an empty store.
    pub(super) fn list_if_due(&self, platform: &Arc<AccountEntry>, state: &Arc<PlatformState>) {
        let (now, uptime) = (self.inner.clock.now(), self.inner.clock.uptime());
        {
            let mut known = state.known.lock();
            // Without a ticket there is no token for the call.
            if !is_list_due(known.listed_at, now)
                || known.usable_tickets(now).next().is_none()
                || !known.list.take(uptime, LIST_RETRY)
            {
                return;
            }
        }
        let (broker, platform) = (self.clone(), platform.clone());
        self.inner.runtime.spawn(async move {
            if let Err(error) = broker.reconcile(&platform).await {
                warn!(platform = platform.name, %error, "WeChat's list of authorised accounts cannot be read");
            }
        });
    }

    async fn reconcile(&self, platform: &Arc<AccountEntry>) -> Result<(), Error> {
        // Before the claim: without the token no list can be read.
        self.platform_token(platform).await?;
        let claimed = self.claim_list(platform).await;
        if self.ok_or_log(platform, claimed) != Some(true) {
            return Ok(());
        }
        let Some(reading) = self.next_reading(platform).await else {
            return Ok(());
        };
        let now = self.inner.clock.now();
        // The push with the code of an account that has just authorised the platform is on its way.
        let is_expected =
            |one: &Listed| one.refresh_token.is_none() && now.since(one.auth_time) < CODE_LIFE;
        let listed = reading.accounts.iter();
        let (expected, listed): (Vec<_>, Vec<_>) = listed.partition(|(_, one)| is_expected(one));
        // Without a note, the list is read again in some minutes.
        let applied = async {
            let changed = self.apply_list(platform, &listed).await?;
            let listed_at = match expected.is_empty() && reading.is_complete {
                true => now,
                // Again in an hour.
                false => UnixTime(now.0.saturating_sub((LIST_EVERY - CODE_LIFE).as_secs())),
            };
            self.note_listed(platform, listed_at).await?;
            Ok(changed)
        };
        if let Some(changed) = self.ok_or_log(platform, applied.await) {
            info!(
                platform = platform.name,
                accounts = reading.accounts.len(),
                changed,
                "WeChat's list of authorised accounts read"
            );
        }
        Ok(())
    }

    /// Asks the list about one account, because its code or refresh token was refused, or its redemption was
    /// lost. `refused`: the refresh token, `ended`: the code, which leaves the record once the list was read.
    /// Returns what follows; [`Todo::Redeem`] says that its code was not redeemed, although it was claimed.
    pub(super) async fn ask_list_for(
        &self,
        platform: &Arc<AccountEntry>,
        app_id: &str,
        refused: Option<&Secret>,
        ended: Option<&Secret>,
    ) -> Todo {
        let Some(reading) = self.next_reading(platform).await else {
            return Todo::Nothing;
        };
        let this = reading.accounts.get(app_id);
        if this.is_none() && !reading.is_complete {
            return Todo::Nothing;
        }
        let change = |record: &mut Authorizer| {
            let _ = ended.map(|code| record.code_refused(code));
            record.listed(this, refused)
        };
        let changed = self.change_authorizer(platform, app_id, change).await;
        let Some((_, todo)) = self.ok_or_log(platform, changed) else {
            return Todo::Nothing;
        };
        if todo == Todo::Alert {
            log_alert(platform, app_id);
        }
        todo
    }

    /// Returns a reading of the list that begins after this call; `None` if that fails.
    async fn next_reading(&self, platform: &Arc<AccountEntry>) -> Option<Arc<Reading>> {
        let read = || async {
            let reading = Reading::of(|offset| {
                self.with_platform_token(
                    platform,
                    Upstream::LIST,
                    move |upstream, platform, token| async move {
                        upstream.authorizers(&platform, &token, offset).await
                    },
                )
            });
            match reading.await {
                Ok(reading) => {
                    if !reading.is_complete {
                        warn!(
                            platform = platform.name,
                            "WeChat's list of authorised accounts changed while it was read"
                        );
                    }
                    Some(reading)
                }
                Err(error) => {
                    warn!(platform = platform.name, %error, "WeChat's list of authorised accounts cannot be read");
                    None
                }
            }
        };
        platform.open_platform.as_ref()?.readings.next(read).await
    }

    /// Applies the list to all records. Returns how many it changed.
    async fn apply_list(
        &self,
        platform: &Arc<AccountEntry>,
        listed: &[(&String, &Listed)],
    ) -> Result<usize, StoreError> {
        let is_news = |app_id: &str, one: &Listed| {
            let known = self.known_authorizer(platform, app_id);
            known.is_none_or(|known| {
                known.state != State::Active || known.refresh_token != one.refresh_token
            })
        };
        let news = listed.iter().filter(|(app_id, one)| is_news(app_id, one));
        let changes: Vec<_> = news
            .map(|&(app_id, one)| {
                let (broker, platform) = (self.clone(), platform.clone());
                let (app_id, one) = (app_id.clone(), one.clone());
                async move { broker.apply_listed(&platform, &app_id, &one).await }
            })
            .collect();
        let count = changes.len();
        let changed = at_most(CHANGES_AT_ONCE, &self.inner.runtime, changes).await;
        changed.into_iter().collect::<Result<(), _>>()?;
        Ok(count)
    }

    async fn apply_listed(
        &self,
        platform: &Arc<AccountEntry>,
        app_id: &str,
        listed: &Listed,
    ) -> Result<(), StoreError> {
        let change = |record: &mut Authorizer| record.listed(Some(listed), None);
        match self.change_authorizer(platform, app_id, change).await? {
            (_, Todo::Redeem) => self.redeem(platform, app_id, true).await,
            (_, Todo::Alert) => log_alert(platform, app_id),
            // Access tokens are fetched at their first use: thousands of accounts would use up the quota.
            _ => {}
        }
        Ok(())
    }
}

/// Whether the list is to be read again. A time in the future is by a wrong clock.
pub(super) fn is_list_due(listed_at: Option<UnixTime>, now: UnixTime) -> bool {
    listed_at.is_none_or(|at| now.since(at) >= LIST_EVERY || at > now.plus(LIST_RETRY))
}

/// How often WeChat's list is read, by one node.
const LIST_EVERY: Duration = Duration::from_secs(86_400);

/// When to try again after a failure, and by how much the clocks of two nodes may differ.
const LIST_RETRY: Duration = Duration::from_secs(300);

/// Concurrent changes of records, so that a file store writes them in few commits.
pub(super) const CHANGES_AT_ONCE: usize = 64;
