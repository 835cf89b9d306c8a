//! Gives a token to an API key, and checks a token that a client asks for again too soon.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::broker::Broker;
use crate::credential::{Credential, Kind};
use crate::error::Error;

/// A check of a token, and how often clients have asked for it again since.
pub(super) struct Check {
    /// When it was made, in uptime.
    at: Duration,
    asked: u32,
    /// As many requests make the next check due before its time.
    patience: u32,
}

impl Check {
    /// Returns whether a check is due, and counts it as made: a minute after the last one, or sooner for
    /// clients that ask without end, as SDKs do that repeat a call until its token is accepted. Each check
    /// before its time doubles the requests that the next one takes.
    fn is_due(last: &mut Option<Self>, now: Duration) -> bool {
        let patience = match last {
            Some(check) if now.saturating_sub(check.at) < ASKED_AGAIN => {
                check.asked += 1;
                if check.asked < check.patience {
                    return false;
                }
                check.patience.saturating_mul(2)
            }
            _ => PATIENCE,
        };
        *last = Some(Self {
            at: now,
            asked: 0,
            patience,
        });
        true
    }
}

#[cfg_attr(not(feature = "server"), allow(dead_code))] // only the web layer hands out tokens
impl Broker {
    /// Returns the access token for a client that presents this API key, and records that it was given.
    ///
    /// A client that asks again within a minute, although its token is valid for five minutes more, was
    /// probably refused by WeChat: SDKs then drop their token and ask for another. So the token is checked
    /// once, as a rule at most once a minute, and refreshed if WeChat refuses it.
    ///
    /// # Errors
    /// As [`Broker::credential`].
    pub(crate) async fn token_for_key(
        &self,
        account: &str,
        key: &str,
        from: Option<IpAddr>,
    ) -> Result<Arc<Credential>, Error> {
        let entry = self.entry(account)?;
        let slot = entry.slot(Kind::AccessToken)?;
        let mut token = self.credential(account, Kind::AccessToken).await?;
        let clock = &self.inner.clock;
        let fingerprint = self.inner.handed.fingerprint(token.value.expose());
        if token.remaining(clock.now()) > STILL_LONG
            && slot
                .details
                .recipients
                .has_just_been_given(fingerprint, key, clock.uptime())
        {
            let mut checked = slot.details.recipients.checked.lock().await;
            // Another caller may have checked and refreshed it while this one waited.
            token = self.credential(account, Kind::AccessToken).await?;
            if Check::is_due(&mut checked, clock.uptime())
                && self
                    .inner
                    .upstream
                    .refuses_token(&entry.account, &token.value)
                    .await
            {
                tracing::info!(
                    account = entry.name,
                    key,
                    "client asked again for a token that WeChat refuses"
                );
                // A limited or failed refresh leaves the client with what there is.
                token = self
                    .refresh_if_current(&entry, slot, &token.value)
                    .await
                    .unwrap_or(token);
            }
        }
        self.note_recipient(account, &token.value, key, from);
        Ok(token)
    }
}

/// More workers than usually start at once with one key, and fewer calls than an SDK's recursion allows.
const PATIENCE: u32 = 60;

/// A client that asks for a token twice in this time is probably refused with it. Also the time between two
/// checks.
pub(super) const ASKED_AGAIN: Duration = Duration::from_secs(60);

/// Clients ask again without being refused when their token nears its end.
const STILL_LONG: Duration = Duration::from_secs(300);
