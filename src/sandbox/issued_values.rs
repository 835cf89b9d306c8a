//! Lifecycle of one credential: its current, previous and dead values.
//!
//! Pure. Tokens and tickets follow the same rule; `simulator` decides who may request a new value, and how
//! often.

use std::collections::VecDeque;
use std::time::Duration;

use super::bounded_queue::push_front;
use super::reply::Refusal;
use crate::clock::UnixTime;

/// All values issued for one credential, newest first.
#[derive(Default)]
pub(super) struct IssuedValues {
    issued: VecDeque<Issued>,
}

/// One issued value.
pub(super) struct Issued {
    pub(super) value: String,
    pub(super) expires_at: UnixTime,
    /// Set when a newer value replaces it or it is revoked: it is accepted until then, but not beyond
    /// `expires_at`.
    displaced_at_end: Option<UnixTime>,
}

/// State of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Alive,
    /// Its lifetime ended.
    Expired,
    /// A newer value replaced it more than [`OVERLAP`] ago, or it was revoked.
    Displaced,
}

impl Fate {
    /// Refuses a token that is not accepted: with `expired` at the end of its lifetime, else with 40001.
    pub(super) fn require_alive(self, expired: i64) -> Result<(), Refusal> {
        match self {
            Self::Alive => Ok(()),
            Self::Expired => Err(Refusal::new(expired)),
            Self::Displaced => Err(Refusal::new(40001)),
        }
    }
}

impl IssuedValues {
    /// Returns the current value.
    pub(super) fn current(&self, now: UnixTime) -> Option<&Issued> {
        self.issued
            .front()
            .filter(|newest| newest.displaced_at_end.is_none() && newest.alive(now))
    }

    /// Returns the text of the current value.
    pub(super) fn current_text(&self, now: UnixTime) -> Option<String> {
        self.current(now).map(|issued| issued.value.clone())
    }

    /// Returns the previous value while it is still accepted.
    pub(super) fn previous(&self, now: UnixTime) -> Option<&Issued> {
        self.issued
            .iter()
            .find(|issued| issued.displaced_at_end.is_some() && issued.alive(now))
    }

    /// Returns every value that is accepted now.
    pub(super) fn accepted(&self, now: UnixTime) -> impl Iterator<Item = &str> {
        self.issued
            .iter()
            .filter(move |issued| issued.alive(now))
            .map(|issued| issued.value.as_str())
    }

    /// Returns values that were once accepted and no longer are.
    pub(super) fn dead(&self, now: UnixTime) -> impl Iterator<Item = &str> {
        self.issued
            .iter()
            .filter(move |issued| !issued.alive(now))
            .map(|issued| issued.value.as_str())
    }

    /// Returns the state of `value`, or `None` if it was never issued.
    pub(super) fn fate(&self, value: &str, now: UnixTime) -> Option<Fate> {
        let issued = self.issued.iter().find(|issued| issued.value == value)?;
        Some(if issued.alive(now) {
            Fate::Alive
        } else if now >= issued.expires_at {
            Fate::Expired
        } else {
            Fate::Displaced
        })
    }

    /// Issues `value` for `ttl`. The previous value stays accepted for [`OVERLAP`]. With `keep_two`, older
    /// values end at once.
    pub(super) fn rotate(
        &mut self,
        value: String,
        now: UnixTime,
        ttl: Duration,
        keep_two: bool,
    ) -> &Issued {
        for (age, issued) in self.issued.iter_mut().enumerate() {
            let end = if age > 0 && keep_two {
                now
            } else {
                now.plus(OVERLAP)
            };
            issued.displace(end);
        }
        let newest = Issued {
            value,
            expires_at: now.plus(ttl),
            displaced_at_end: None,
        };
        push_front(&mut self.issued, newest, REMEMBERED);
        &self.issued[0]
    }

    /// Returns the current value. Rotates it if its remaining lifetime is [`ROTATES_BEFORE_END`] or less.
    pub(super) fn refreshed(
        &mut self,
        now: UnixTime,
        ttl: Duration,
        new_value: impl FnOnce() -> String,
    ) -> &Issued {
        self.lasting(ROTATES_BEFORE_END, now, ttl, new_value)
    }

    /// Returns the current value. Rotates it unless its remaining lifetime is longer than `least`.
    pub(super) fn lasting(
        &mut self,
        least: Duration,
        now: UnixTime,
        ttl: Duration,
        new_value: impl FnOnce() -> String,
    ) -> &Issued {
        let lasts = self
            .current(now)
            .is_some_and(|issued| issued.remaining(now) > least);
        if lasts {
            &self.issued[0]
        } else {
            self.rotate(new_value(), now, ttl, true)
        }
    }

    /// Ends every value at once.
    pub(super) fn revoke(&mut self, now: UnixTime) {
        for issued in &mut self.issued {
            issued.displace(now);
        }
    }
}

impl Issued {
    fn alive(&self, now: UnixTime) -> bool {
        now < self.expires_at && self.displaced_at_end.is_none_or(|end| now < end)
    }

    /// Sets the end; an earlier end is kept.
    fn displace(&mut self, end: UnixTime) {
        self.displaced_at_end = Some(
            self.displaced_at_end
                .map_or(end, |earlier| earlier.min(end)),
        );
    }

    /// Returns the remaining lifetime.
    pub(super) fn remaining(&self, now: UnixTime) -> Duration {
        self.expires_at.since(now)
    }
}

/// "After a refresh the old and the new token are both accepted for five minutes."
const OVERLAP: Duration = Duration::from_secs(300);

/// `stable_token` returns a new token once the old one has five minutes or less left; the sandbox assumes the
/// same of tickets.
const ROTATES_BEFORE_END: Duration = Duration::from_secs(300);

/// Number of past values that are remembered. Older ones answer as unknown, with the same code.
const REMEMBERED: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(7_200);

    fn at(second: u64) -> UnixTime {
        UnixTime(1_000_000 + second)
    }

    fn rotated(rotations: &[(&str, u64)], keep_two: bool) -> IssuedValues {
        let mut values = IssuedValues::default();
        for (value, second) in rotations {
            values.rotate((*value).to_owned(), at(*second), TTL, keep_two);
        }
        values
    }

    #[test]
    fn revoking_ends_the_current_and_the_previous_value() {
        let mut values = rotated(&[("a", 0), ("b", 10)], true);
        values.revoke(at(11));
        assert_eq!(
            (values.fate("a", at(11)), values.fate("b", at(11))),
            (Some(Fate::Displaced), Some(Fate::Displaced))
        );
        assert!(values.current(at(11)).is_none() && values.previous(at(11)).is_none());
        assert_eq!(values.accepted(at(11)).count(), 0);
        assert_eq!(values.dead(at(11)).collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn memory_of_past_values_is_bounded() {
        let mut values = IssuedValues::default();
        for n in 0..2_000 {
            values.rotate(n.to_string(), at(n), TTL, true);
        }
        assert_eq!(values.issued.len(), REMEMBERED);
    }
}
