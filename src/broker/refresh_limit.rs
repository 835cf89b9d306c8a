//! Rate limit for caller-requested refreshes, so that a misbehaving client cannot exhaust WeChat's daily
//! quota.
//!
//! The 30 s gap between two refreshes alone would still allow 2,880 calls a day. An ordinary account has
//! 2,000 classic token calls a day
//! (<https://developers.weixin.qq.com/doc/service/Message_Management/API_Call_Limits.html>), and WeCom
//! allows a hundred tickets per app and hour (<https://developer.work.weixin.qq.com/document/path/90454>).
//! So the gap grows once a day's first refreshes are used up. Forced refreshes of stable tokens have
//! WeChat's own limit (`call`), and the calls before them cost nothing.

use std::time::Duration;

use super::refresh::Flight;
use super::slot::{MIN_DEMAND_GAP, Reason};
use crate::error::Error;
use crate::store::Claim;

impl Flight {
    /// Checks whether an on-demand refresh is allowed now. The limit is shared by all nodes through the
    /// store. A store error allows the refresh: a dead credential is worse, and this process still keeps
    /// its own gap.
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
                    "refresh limit could not be read from the store",
                );
                Ok(())
            }
        }
    }
}

/// More than a day ever needs: even a foreign server that retires the token every two hours causes twelve.
const FREELY_PER_DAY: u32 = 20;

/// Allows 96 more a day: together within the 200 token calls that WeChat grants a test account.
const GAP_AFTERWARDS: Duration = Duration::from_secs(15 * 60);
