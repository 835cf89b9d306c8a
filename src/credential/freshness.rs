//! When a credential is fresh, due or expired.

use std::time::Duration;

use super::Credential;
use crate::clock::UnixTime;

/// What to do with a credential at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// Serve it.
    Fresh,
    /// Serve it, and refresh it in the background.
    Due,
    /// Do not serve it: WeChat would refuse a page signed with it with `config:invalid signature`, which is
    /// worse than a plain error.
    Expired,
}

/// How long before its end a credential is refreshed.
///
/// `stable_token` rotates only in the last five minutes and returns the same token before that
/// (<https://developers.weixin.qq.com/minigame/dev/api-backend/open-api/access-token/auth.getStableAccessToken.html>).
/// So the lead must fit inside those five minutes, with room for a minute of failures.
pub const LEAD: Duration = Duration::from_secs(240);

/// Spread of the lead, so that accounts started together are not refreshed in the same second.
pub const LEAD_SPREAD: Duration = Duration::from_secs(60);

/// How long before its end a credential is no longer served: the page still has to carry the signature to
/// the phone, and the phone to WeChat.
pub const MARGIN: Duration = Duration::from_secs(5);

impl Credential {
    /// Returns the freshness at a time. `lead` comes from [`Credential::lead`].
    pub fn freshness(&self, now: UnixTime, lead: Duration) -> Freshness {
        let remaining = self.remaining(now);
        if now >= self.served_until() {
            Freshness::Expired
        } else if remaining <= lead {
            Freshness::Due
        } else {
            Freshness::Fresh
        }
    }

    /// Returns until when it is served: [`MARGIN`] before its end, and never more than a twentieth of its
    /// life.
    pub fn served_until(&self) -> UnixTime {
        let margin = MARGIN.min(self.life() / 20);
        UnixTime(self.expires_at.0.saturating_sub(margin.as_secs()))
    }

    /// Returns how long before its end this credential is refreshed: [`LEAD`], minus a part of
    /// [`LEAD_SPREAD`] selected by `seed` (any number that is constant for the credential), and never
    /// more than a quarter of its life. `stable_token` reports the *remaining* life, which may be short; a
    /// fixed lead would then cause endless refreshes.
    pub fn lead(&self, seed: u64) -> Duration {
        let spread = Duration::from_secs(seed % (LEAD_SPREAD.as_secs() + 1));
        (LEAD - spread).min(self.life() / 4)
    }

    /// Returns when it becomes [`Freshness::Due`].
    pub fn due_at(&self, seed: u64) -> UnixTime {
        UnixTime(self.expires_at.0.saturating_sub(self.lead(seed).as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::credential;
    use super::*;

    #[test]
    fn a_two_hour_credential_is_fresh_then_due_in_the_last_four_minutes_then_expired() {
        let c = credential(1_000, 7_200);
        let lead = c.lead(0);
        assert_eq!(lead, LEAD);
        assert_eq!(c.freshness(UnixTime(1_000), lead), Freshness::Fresh);
        assert_eq!(
            c.freshness(UnixTime(1_000 + 7_200 - 241), lead),
            Freshness::Fresh
        );
        assert_eq!(
            c.freshness(UnixTime(1_000 + 7_200 - 240), lead),
            Freshness::Due
        );
        assert_eq!(
            c.freshness(UnixTime(1_000 + 7_200 - 6), lead),
            Freshness::Due
        );
        assert_eq!(
            c.freshness(UnixTime(1_000 + 7_200 - 5), lead),
            Freshness::Expired
        );
        assert_eq!(c.freshness(UnixTime(99_999), lead), Freshness::Expired);
    }

    #[test]
    fn the_lead_always_fits_inside_the_five_minutes_in_which_a_stable_token_rotates() {
        for seed in 0..1_000 {
            let lead = credential(0, 7_200).lead(seed);
            assert!(
                lead < Duration::from_secs(300) && lead >= Duration::from_secs(180),
                "{lead:?}"
            );
        }
    }

    #[test]
    fn accounts_started_together_are_due_at_different_seconds() {
        let due: std::collections::HashSet<_> = (0..61)
            .map(|seed| credential(0, 7_200).due_at(seed))
            .collect();
        assert_eq!(due.len(), 61);
    }

    #[test]
    fn a_short_remaining_life_does_not_make_a_credential_due_at_once() {
        // silenceper: `expires_in - 1500` went below zero in stable mode.
        for life in [4, 20, 60, 300, 310, 1_200] {
            let c = credential(0, life);
            assert_eq!(
                c.freshness(UnixTime(0), c.lead(0)),
                Freshness::Fresh,
                "a life of {life} s"
            );
        }
    }
}
