//! Credentials, their kinds and keys, and the rule of when one is fresh, due or expired (`freshness`).
//!
//! Pure data and functions; `broker` fetches and keeps credentials.

mod freshness;
mod key;
mod kind;
mod secret;

use std::time::Duration;

pub use freshness::{Freshness, LEAD, LEAD_SPREAD, MARGIN};
pub use key::{AppKey, CredentialKey};
pub use kind::Kind;
pub use secret::Secret;

use crate::clock::UnixTime;

/// Identifies an API key: its SHA-256. A key that replaces another one under the same name has another id.
pub(crate) type KeyId = [u8; 32];

/// A token or a ticket with its lifetime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The token or ticket itself.
    pub value: Secret,
    /// When it was first seen; its life starts here.
    pub issued_at: UnixTime,
    /// When WeChat stops accepting it.
    pub expires_at: UnixTime,
    /// Time of the refresh that brought it, in milliseconds. A lower generation never replaces a higher
    /// one.
    pub generation: u64,
}

/// WeChat promises "within 7200" seconds; a value above one day is an error.
const MAX_LIFE: Duration = Duration::from_secs(86_400);

/// Generations are times in milliseconds. Above this limit there may be no higher one left.
const MAX_GENERATION: u64 = u64::MAX / 2;

impl Credential {
    /// Checks whether this can be a credential. A stored credential has to pass the same checks as an
    /// answer of WeChat.
    ///
    /// # Errors
    /// Describes the problem without the value.
    pub fn check(&self) -> Result<(), String> {
        self.value
            .check()
            .map_err(|why| format!("the value {why}"))?;
        check_life(self.expires_at.0.saturating_sub(self.issued_at.0))?;
        if self.generation > MAX_GENERATION {
            return Err("a generation that is not a time".into());
        }
        Ok(())
    }

    /// Returns whether this replaces `other`: a higher generation does, and of the same generation the one that
    /// ends earlier (a life cut short after a lost reply). Nothing ever extends the life of a credential.
    pub fn replaces(&self, other: &Self) -> bool {
        (self.generation, other.expires_at) > (other.generation, self.expires_at)
    }

    /// Returns this credential with an end at this time at the latest.
    pub(crate) fn ending_by(&self, end: UnixTime) -> Self {
        Self {
            expires_at: self.expires_at.min(end),
            ..self.clone()
        }
    }

    /// Returns the whole life as promised by WeChat.
    pub fn life(&self) -> Duration {
        self.expires_at.since(self.issued_at)
    }

    /// Returns the remaining life, which is the number to hand out as `expires_in`.
    pub fn remaining(&self, now: UnixTime) -> Duration {
        self.expires_at.since(now)
    }
}

/// Checks whether a token or ticket can have this many seconds to live.
///
/// # Errors
/// Names the number of seconds.
pub fn check_life(seconds: u64) -> Result<Duration, String> {
    let life = Duration::from_secs(seconds);
    if life.is_zero() || life > MAX_LIFE {
        return Err(format!("a validity of {seconds} s"));
    }
    Ok(life)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn credential(issued: u64, life: u64) -> Credential {
        Credential {
            value: Secret::new("value"),
            issued_at: UnixTime(issued),
            expires_at: UnixTime(issued + life),
            generation: issued * 1_000,
        }
    }

    #[test]
    fn the_remaining_life_is_never_negative_or_above_the_whole_life() {
        let c = credential(1_000, 7_200);
        assert_eq!(
            c.remaining(UnixTime(1_000 + 7_100)),
            Duration::from_secs(100)
        );
        assert_eq!(c.remaining(UnixTime(1_000 + 9_000)), Duration::ZERO);
    }

    #[test]
    fn only_a_higher_generation_or_an_earlier_end_replaces() {
        let known = |generation, expires_at| Credential {
            expires_at: UnixTime(expires_at),
            generation,
            ..credential(1_000, 1)
        };
        let stored = known(5, 8_200);
        assert!(
            known(6, 2_000).replaces(&stored),
            "a higher one, even if it ends earlier"
        );
        assert!(known(5, 8_199).replaces(&stored), "cut short");
        assert!(!known(5, 8_200).replaces(&stored), "the same");
        assert!(!known(5, 8_201).replaces(&stored), "prolonged");
        assert!(!known(4, 9_999).replaces(&stored), "a lower one");
        assert!(
            !known(4, 1).replaces(&stored),
            "a lower one that ends earlier"
        );
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("0c79e1fa963cd80cc0be99b20a18faeb");
        assert_eq!(
            format!("{secret} {secret:?} {:#?}", Some(&secret)),
            "[secret] [secret] Some(\n    [secret],\n)"
        );
        let c = Credential {
            value: secret,
            ..credential(0, 1)
        };
        assert!(!format!("{c:?}").contains("0c79"));
    }

    #[test]
    fn an_impossible_credential_is_refused_without_quoting_its_value() {
        assert_eq!(credential(1_000, 7_200).check(), Ok(()));
        let valued = |value: &str| Credential {
            value: Secret::new(value),
            ..credential(1_000, 7_200)
        };
        for (impossible, why) in [
            (valued(""), "empty"),
            (valued("A\r\nX-Evil: 1"), "blanks"),
            (valued("two words"), "blanks"),
            (valued("票据"), "characters"),
            (valued(&"x".repeat(4_097)), "4097 bytes"),
            (credential(1_000, 0), "a validity of 0 s"),
            (credential(1_000, 86_401), "a validity of 86401 s"),
            (
                Credential {
                    generation: u64::MAX,
                    ..valued("x")
                },
                "generation",
            ),
        ] {
            let reason = impossible.check().unwrap_err();
            assert!(reason.contains(why) && !reason.contains("Evil"), "{reason}");
        }
        assert_eq!(valued(&"x".repeat(4_096)).check(), Ok(()));
        assert_eq!(credential(1_000, 86_400).check(), Ok(()));
    }
}
