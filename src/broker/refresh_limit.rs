//! How often callers may have a credential renewed: whoever holds a key, however wrong they are, the day's quota stays.
//!
//! The thirty seconds between two renewals alone would let a caller who complains all day make 2,880 calls; an ordinary account
//! has 2,000 classic token calls a day, WeCom gives a hundred tickets an hour. So the gap grows once a day's first renewals are
//! used up. Forced refreshes of stable tokens have a ration of WeChat's own (`call`), and the calls before them cost nothing.

use std::time::Duration;

use super::refresh::Flight;
use super::slot::{MIN_DEMAND_GAP, Reason};
use crate::error::Error;
use crate::store::Claim;

impl Flight {
    /// Whether this refresh may be made now, if it is one on demand. Shared with all processes by the store; one that errs
    /// forbids nothing, since a dead credential is worse and this process still keeps its gap.
    pub(super) async fn ration(&self) -> Result<(), Error> {
        if !matches!(self.why, Reason::Rejected(_) | Reason::Asked) || self.is_stable_token() {
            return Ok(());
        }
        let (store, now) = (&self.broker.inner.store, self.broker.inner.clock.now());
        let mut claim = store
            .claim_force(&self.slot.key, now, MIN_DEMAND_GAP, Some(FREELY_PER_DAY))
            .await;
        if matches!(claim, Ok(Claim::SpentToday { .. })) {
            claim = store
                .claim_force(&self.slot.key, now, GAP_AFTERWARDS, None)
                .await;
        }
        match claim {
            Ok(Claim::Granted) => Ok(()),
            Ok(Claim::TooSoon { retry_at } | Claim::SpentToday { retry_at }) => {
                Err(Error::Rationed {
                    account: self.member.name.clone(),
                    kind: self.slot.key.kind,
                    retry_after: retry_at.since(now).max(Duration::from_secs(1)),
                })
            }
            Err(error) => {
                self.broker.complain(
                    &self.member.name,
                    &error,
                    "the ration of renewals cannot be read",
                );
                Ok(())
            }
        }
    }
}

/// More than a day ever needs: even a foreign server that retires the token every two hours causes twelve.
const FREELY_PER_DAY: u32 = 20;

/// 96 more a day: together within the 200 token calls that WeChat grants a test account.
const GAP_AFTERWARDS: Duration = Duration::from_secs(15 * 60);
