//! The platform's component_verify_ticket, which WeChat pushes every ten minutes.

use std::time::Duration;

use crate::clock::UnixTime;
use crate::credential::Secret;

/// The newest ticket of a platform, and the one before it.
///
/// WeChat has been seen to refuse a fresh ticket; then the previous one is tried once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformTicket {
    /// The newest ticket.
    pub value: Secret,
    /// When WeChat made it, by WeChat's clock.
    pub create_time: UnixTime,
    /// The ticket before, with its time.
    pub previous: Option<(Secret, UnixTime)>,
}

impl PlatformTicket {
    /// Returns what to store after a push; `None` if the stored ticket is newer, or the push a replay.
    ///
    /// WeChat may push an unchanged ticket with a new time: then it lives on.
    #[must_use]
    pub fn pushed(
        stored: Option<&Self>,
        value: &Secret,
        create_time: UnixTime,
        now: UnixTime,
    ) -> Option<Self> {
        let previous = match stored {
            Some(stored) if create_time < stored.create_time && !stored.is_ahead(now) => {
                return None;
            }
            Some(stored) if *value == stored.value => {
                if create_time == stored.create_time {
                    return None;
                }
                stored.previous.clone()
            }
            Some(stored) => Some((stored.value.clone(), stored.create_time)),
            None => None,
        };
        Some(Self {
            value: value.clone(),
            create_time,
            previous,
        })
    }

    /// Whether its time is not yet reached. By its time, no ticket would ever replace it.
    fn is_ahead(&self, now: UnixTime) -> bool {
        self.create_time > now.plus(CLOCKS_DIFFER)
    }

    /// Returns the tickets that WeChat still accepts, the newest first.
    pub fn usable(&self, now: UnixTime) -> impl Iterator<Item = &Secret> {
        let previous = self.previous.as_ref().map(|(value, time)| (value, *time));
        std::iter::once((&self.value, self.create_time))
            .chain(previous)
            .filter(move |(_, time)| now < time.plus(LIFE))
            .map(|(value, _)| value)
    }
}

/// By how much WeChat's clock and this machine's may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(600);

/// How long WeChat accepts a ticket.
const LIFE: Duration = Duration::from_secs(12 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    fn push(stored: &mut Option<PlatformTicket>, value: &str, time: u64) -> bool {
        push_at(stored, value, time, time)
    }

    fn push_at(stored: &mut Option<PlatformTicket>, value: &str, time: u64, now: u64) -> bool {
        let (value, time, now) = (Secret::new(value), UnixTime(time), UnixTime(now));
        let next = PlatformTicket::pushed(stored.as_ref(), &value, time, now);
        let changed = next.is_some();
        *stored = next.or(stored.take());
        changed
    }

    fn usable(ticket: &PlatformTicket, now: u64) -> Vec<&str> {
        ticket.usable(UnixTime(now)).map(Secret::expose).collect()
    }

    #[test]
    fn a_ticket_from_the_future_is_replaced_by_the_next() {
        let mut stored = None;
        assert!(push_at(&mut stored, "ahead", 90_000, 600));
        assert!(push_at(&mut stored, "b", 1_200, 1_200));
        let ticket = stored.clone().unwrap();
        assert_eq!(usable(&ticket, 1_200), ["b", "ahead"]);
        assert!(push_at(&mut stored, "c", 1_800, 1_800));
        // By a clock that is behind, all tickets are from the future: the last one that came counts.
        assert!(push_at(&mut stored, "d", 2_400, 0));
        assert!(push_at(&mut stored, "e", 3_000, 0));
        assert_eq!(stored.unwrap().value.expose(), "e");
    }

    #[test]
    fn an_older_ticket_does_not_replace_a_newer() {
        let mut stored = None;
        assert!(push(&mut stored, "b", 600));
        assert!(!push(&mut stored, "a", 599));
        assert!(!push(&mut stored, "b", 600), "a replay");
        assert!(push(&mut stored, "c", 1_200));
        assert!(!push(&mut stored, "b", 600), "a late replay");
        assert_eq!(usable(&stored.unwrap(), 1_200), ["c", "b"]);
    }

    #[test]
    fn an_unchanged_ticket_lives_on_with_the_time_of_its_newest_push() {
        let mut stored = None;
        push(&mut stored, "a", 600);
        push(&mut stored, "b", 1_200);
        assert!(push(&mut stored, "b", 1_800));
        let stored = stored.unwrap();
        assert_eq!(stored.create_time, UnixTime(1_800));
        assert_eq!(usable(&stored, 44_399), ["b"]);
        assert_eq!(usable(&stored, 1_800), ["b", "a"]);
    }

    #[test]
    fn a_ticket_is_usable_for_twelve_hours() {
        let mut stored = None;
        push(&mut stored, "a", 600);
        push(&mut stored, "b", 1_200);
        let stored = stored.unwrap();
        assert_eq!(usable(&stored, 43_799), ["b", "a"]);
        assert_eq!(usable(&stored, 43_800), ["b"]);
        assert_eq!(usable(&stored, 44_400), [""; 0]);
    }
}
