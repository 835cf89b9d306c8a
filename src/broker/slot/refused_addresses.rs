//! The IP addresses that WeChat refused for an account.

use std::net::IpAddr;
use std::time::Duration;

use super::State;
use crate::clock::UnixTime;

/// IP addresses, each with the time of its last refusal.
#[derive(Default)]
pub(super) struct RefusedAddresses(Vec<(IpAddr, UnixTime)>);

impl State {
    /// Records an IP address that WeChat refused, and returns the other addresses refused within the last
    /// day, latest first.
    pub(in crate::broker) fn note_refused_address(
        &mut self,
        ip: IpAddr,
        now: UnixTime,
    ) -> Vec<IpAddr> {
        let RefusedAddresses(seen) = &mut **self.refused.get_or_insert_default();
        seen.retain(|(other, at)| *other != ip && now.since(*at) < REFUSED_FOR);
        let others = seen.iter().map(|(other, _)| *other).collect();
        seen.insert(0, (ip, now));
        seen.truncate(MOST_ADDRESSES);
        others
    }

    /// Returns the IP addresses that WeChat refused within the last day, latest first.
    pub(in crate::broker) fn refused_addresses(&self, now: UnixTime) -> Vec<IpAddr> {
        let seen = self.refused.iter().flat_map(|seen| &seen.0);
        seen.filter(|(_, at)| now.since(*at) < REFUSED_FOR)
            .map(|(ip, _)| *ip)
            .collect()
    }

    /// Forgets the refused addresses: calls leave by another way now.
    pub(in crate::broker) fn forget_refused_addresses(&mut self) {
        self.refused = None;
    }
}

/// Allow lists are filled by hand, and a NAT pool has few addresses.
pub(in crate::broker) const MOST_ADDRESSES: usize = 8;

/// An address refused longer ago may belong to another network by now.
const REFUSED_FOR: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_a_day_are_kept_latest_first_and_no_more_than_eight() {
        let mut state = State::default();
        let ip = |last: u8| IpAddr::from([203, 0, 113, last]);
        let at = |seconds: u64| UnixTime(1_767_225_600 + seconds);
        assert!(state.note_refused_address(ip(1), at(0)).is_empty());
        assert_eq!(state.note_refused_address(ip(2), at(1)), [ip(1)]);
        assert_eq!(
            state.note_refused_address(ip(1), at(2)),
            [ip(2)],
            "not itself"
        );
        let v6 = "2001:db8::7".parse().unwrap();
        assert_eq!(state.note_refused_address(v6, at(3)), [ip(1), ip(2)]);
        assert_eq!(
            state.note_refused_address(ip(2), at(86_402)),
            [v6],
            "a day later"
        );
        for last in 10..40 {
            state.note_refused_address(ip(last), at(86_403));
        }
        assert_eq!(state.note_refused_address(ip(40), at(86_404)).len(), 8);
    }
}
