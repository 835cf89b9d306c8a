//! The rules of every store: how entries are named, and when a refresh on request is granted.
//!
//! Pure functions: no lock, no disk, no network.

use std::time::Duration;

use super::Claim;
use crate::clock::UnixTime;
use crate::credential::{AppKey, CredentialKey};

/// Returns the name of a credential's entry.
pub(super) fn credential_name(key: &CredentialKey) -> String {
    format!("credential:{key}")
}

/// Returns the name of the lease on a credential. The accounts of one app share it, as WeChat's value.
#[cfg(feature = "shared-store")]
pub(super) fn lease_name(key: &CredentialKey) -> String {
    format!("lease:{}:{}", key.app, key.kind)
}

/// Returns the name of a credential's record of claimed refreshes. WeChat counts them for the app. The
/// prefix `force` is part of the stored format.
pub(super) fn claims_name(key: &CredentialKey) -> String {
    format!("force:{}:{}", key.app, key.kind)
}

/// Returns the name of the count of one app's calls to one endpoint on one day.
pub(super) fn calls_name(app: &AppKey, endpoint: &str, day: u64) -> String {
    format!("calls:{app}:{endpoint}:{day}")
}

/// Returns the name of the block on one app's calls to one endpoint.
pub(super) fn block_name(app: &AppKey, endpoint: &str) -> String {
    format!("block:{app}:{endpoint}")
}

/// Returns the number of the day in Shanghai, which WeChat's quotas are counted by.
pub(super) fn shanghai_day(now: UnixTime) -> u64 {
    now.next_shanghai_midnight().0 / 86_400
}

/// Returns the milliseconds of a duration, a hundred years at most: the sum with a server's clock does not
/// overflow.
#[cfg(feature = "shared-store")]
pub(super) fn millis(duration: Duration) -> u64 {
    const LONGEST: u64 = 100 * 365 * 86_400_000;
    u64::try_from(duration.as_millis()).map_or(LONGEST, |millis| millis.min(LONGEST))
}

/// How long entries of the past are kept, for operators who look into the store.
pub(super) const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// The claimed refreshes of one credential: the time of the last one, and their number on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RefreshClaims {
    pub(super) last: UnixTime,
    pub(super) day: u64,
    pub(super) count: u32,
}

impl RefreshClaims {
    /// Decides on one more refresh. If it is granted, the second value is the record to save.
    pub(super) fn claim(
        stored: Option<Self>,
        now: UnixTime,
        min_gap: Duration,
        daily: Option<u32>,
    ) -> (Claim, Option<Self>) {
        let today = shanghai_day(now);
        // A day or time slightly ahead of this process's was written by a node whose clock is ahead; one
        // far ahead, by a clock that was wrong.
        let spent = stored
            .filter(|claims| (today..=today + 1).contains(&claims.day))
            .map_or(0, |claims| claims.count);
        if daily.is_some_and(|daily| spent >= daily) {
            return (
                Claim::SpentToday {
                    retry_at: now.next_shanghai_midnight(),
                },
                None,
            );
        }
        match stored {
            Some(claims) if now.0.abs_diff(claims.last.0) < min_gap.as_secs() => (
                Claim::TooSoon {
                    retry_at: claims.last.plus(min_gap),
                },
                None,
            ),
            _ => {
                let day = stored.map_or(today, |claims| {
                    if claims.day == today + 1 {
                        claims.day
                    } else {
                        today
                    }
                });
                (
                    Claim::Granted,
                    Some(Self {
                        last: now,
                        day,
                        count: spent.saturating_add(1),
                    }),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_secs(30);

    #[test]
    fn a_clock_that_was_an_hour_ahead_blocks_no_caller_for_an_hour() {
        let now = UnixTime(1_704_000_000);
        let ahead =
            RefreshClaims::claim(None, now.plus(Duration::from_secs(3_600)), GAP, Some(20)).1;
        assert_eq!(
            RefreshClaims::claim(ahead, now, GAP, Some(20)).0,
            Claim::Granted
        );
    }

    #[test]
    fn two_clocks_on_either_side_of_midnight_share_one_limit() {
        let midnight = UnixTime(1_704_000_000).next_shanghai_midnight();
        let after = RefreshClaims::claim(None, midnight.plus(GAP), GAP, Some(2)).1;
        let before = RefreshClaims::claim(after, UnixTime(midnight.0 - 1), GAP, Some(2)).1;
        let spent = RefreshClaims::claim(before, midnight.plus(GAP * 3), GAP, Some(2)).0;
        assert!(matches!(spent, Claim::SpentToday { .. }), "{spent:?}");
    }
}
