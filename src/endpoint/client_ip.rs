//! Determines a client's address: the peer of the connection or, where the peer is a trusted proxy, the
//! address that the proxy reports.
//!
//! The header is read from trusted proxies only. From any other peer it is an unverified claim.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use ipnet::IpNet;

/// The headers of a request, in the type of a web framework.
pub trait Headers {
    /// Returns the values of this name, in their order.
    fn values<'h>(&'h self, name: &str) -> impl DoubleEndedIterator<Item = &'h [u8]>;
}

/// The trusted proxies, and the header in which they report the client's address.
#[derive(Debug)]
pub struct ClientIps {
    trusted: Vec<IpNet>,
    header: String,
    /// Whether the missing header was logged already; it is logged once.
    silent_proxy_was_said: AtomicBool,
}

impl ClientIps {
    /// Creates the rule. `header` holds one address, or a list to whose end each proxy appends the
    /// address it saw (`X-Forwarded-For`).
    ///
    /// List every proxy in `trusted`. A peer on this machine or in a private network that is not listed
    /// counts as a proxy of unknown clients: a [`RateLimit`](super::RateLimit) does not apply to it.
    #[must_use]
    pub fn new(trusted: Vec<IpNet>, header: impl Into<String>) -> Self {
        Self {
            trusted,
            header: header.into(),
            silent_proxy_was_said: AtomicBool::new(false),
        }
    }

    /// Returns the address that stands for a single client. `None` where it may stand for all clients: an
    /// untrusted peer on this machine or in a private network is as likely a proxy as a client.
    pub(crate) fn single(&self, peer: IpAddr, headers: &(impl Headers + ?Sized)) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return (!is_near(peer)).then_some(peer);
        }
        let forwarded = self.forwarded(peer, headers);
        if forwarded.is_none() && !self.silent_proxy_was_said.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                header = %self.header,
                "trusted proxy sends no client address: its clients are not rate limited"
            );
        }
        forwarded
    }

    /// Returns the most likely address of the client, where an address is required: the peer, unless a
    /// trusted proxy reports another.
    pub(crate) fn likely(&self, peer: IpAddr, headers: &(impl Headers + ?Sized)) -> IpAddr {
        let peer = peer.to_canonical();
        match self.trusts(peer) {
            true => self.forwarded(peer, headers).unwrap_or(peer),
            false => peer,
        }
    }

    /// Returns the name of the header.
    pub fn header(&self) -> &str {
        &self.header
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&address))
    }

    /// Returns the last address in the header that is not a trusted proxy's. The client may have written
    /// the entries before it.
    ///
    /// Returns `None` only where the header is missing or empty. A list whose last entry is not an
    /// address stands for `peer`, the proxy that sent it: the last known hop. Treating it as no client
    /// would lift the limit for every client that can put such an entry at the end of the list.
    fn forwarded(&self, peer: IpAddr, headers: &(impl Headers + ?Sized)) -> Option<IpAddr> {
        let mut nearest = headers
            .values(&self.header)
            .any(|value| !value.trim_ascii().is_empty())
            .then_some(peer);
        for entry in headers
            .values(&self.header)
            .rev()
            .flat_map(|value| value.rsplit(|byte| *byte == b','))
        {
            // An entry that is not an address ends the chain: the hop after it in the list is the last
            // known one.
            let Some(address) = address_of(entry) else {
                break;
            };
            nearest = Some(address);
            if !self.trusts(address) {
                break;
            }
        }
        nearest
    }
}

/// Parses an address as proxies write it: bare, in brackets, or with a port.
fn address_of(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim().trim_matches('"');
    let bracketed = || entry.strip_prefix('[')?.split_once(']')?.0.parse().ok();
    let with_port = || Some(entry.parse::<SocketAddr>().ok()?.ip());
    let bare: Option<IpAddr> = entry.parse().ok();
    let address = bare.or_else(with_port).or_else(bracketed)?;
    Some(address.to_canonical())
}

/// Returns whether the address is loopback, private (RFC 1918, unique local), carrier-grade NAT, or
/// link-local.
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let shared = first == 100 && second & 0b1100_0000 == 64;
            address.is_loopback() || address.is_private() || address.is_link_local() || shared
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

/// Returns the key of a client: its IPv4 address, or the /64 of its IPv6 address.
pub(crate) fn key_of(address: IpAddr) -> u64 {
    match address {
        // No client has an address below ::/8, so IPv4 and IPv6 keys cannot collide.
        IpAddr::V4(address) => 0x0000_ffff_0000_0000 | u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Headers for [&'static str] {
        fn values<'h>(&'h self, _: &str) -> impl DoubleEndedIterator<Item = &'h [u8]> {
            self.iter().map(|value| value.as_bytes())
        }
    }

    fn clients(trusted: &[&str]) -> ClientIps {
        ClientIps::new(
            trusted.iter().map(|net| net.parse().unwrap()).collect(),
            "x-forwarded-for",
        )
    }

    fn single(clients: &ClientIps, peer: &str, values: &[&'static str]) -> Option<String> {
        clients
            .single(peer.parse().unwrap(), values)
            .map(|address| address.to_string())
    }

    #[test]
    fn a_forwarded_header_is_read_only_from_a_trusted_proxy() {
        let clients = clients(&["192.0.2.1/32"]);
        assert_eq!(
            single(&clients, "203.0.113.5", &["198.51.100.9"]).as_deref(),
            Some("203.0.113.5")
        );
        assert_eq!(
            single(&clients, "::ffff:203.0.113.5", &["198.51.100.9"]).as_deref(),
            Some("203.0.113.5")
        );
        assert_eq!(
            single(&clients, "192.0.2.1", &["198.51.100.9"]).as_deref(),
            Some("198.51.100.9")
        );
    }

    #[test]
    fn the_last_address_that_is_not_a_trusted_proxy_is_the_client() {
        let clients = clients(&["127.0.0.0/8", "10.0.0.0/8", "2001:db8:1::/48"]);
        for (values, client) in [
            (&["198.51.100.9"][..], "198.51.100.9"),
            (&["6.6.6.6, 198.51.100.9"], "198.51.100.9"),
            (&["6.6.6.6", "198.51.100.9, 10.1.2.3"], "198.51.100.9"),
            (
                &["6.6.6.6, 198.51.100.9,10.1.2.3,  2001:db8:1::7 "],
                "198.51.100.9",
            ),
            (&["198.51.100.9:4711"], "198.51.100.9"),
            (&["[2001:db8:2::9]:4711"], "2001:db8:2::9"),
            (&["\"[2001:db8:2::9]\""], "2001:db8:2::9"),
            (&["192.168.0.7"], "192.168.0.7"),
            (&["10.1.2.3"], "10.1.2.3"),
            (&["6.6.6.6, garbage, 10.1.2.3"], "10.1.2.3"),
        ] {
            assert_eq!(
                single(&clients, "127.0.0.1", values).as_deref(),
                Some(client),
                "{values:?}"
            );
        }
        for values in [&[][..], &[""], &[" ", ""]] {
            assert_eq!(single(&clients, "127.0.0.1", values), None, "{values:?}");
        }
    }

    #[test]
    fn a_list_that_ends_in_an_invalid_address_counts_as_the_proxy() {
        let clients = clients(&["127.0.0.0/8", "10.0.0.0/8"]);
        for values in [
            &["unknown"][..],
            &["198.51.100.9, unknown"],
            &["198.51.100.9, "],
            &["198.51.100.9,"],
            &[","],
            &["198.51.100.9", ""],
            &["198.51.100.9, _hidden"],
            &["198.51.100.9, 300.1.1.1"],
            &["198.51.100.9, unix:"],
        ] {
            let client = single(&clients, "127.0.0.1", values);
            assert_eq!(client.as_deref(), Some("127.0.0.1"), "{values:?}");
        }
    }

    #[test]
    fn a_private_peer_that_is_not_trusted_yields_no_client_address() {
        let clients = clients(&[]);
        for peer in [
            "127.0.0.1",
            "10.0.0.1",
            "172.17.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "::1",
            "fd00::1",
            "fe80::1",
        ] {
            assert_eq!(single(&clients, peer, &["198.51.100.9"]), None, "{peer}");
            assert_eq!(
                clients.likely(peer.parse().unwrap(), &[][..]).to_string(),
                peer
            );
        }
        for peer in ["172.32.0.1", "100.128.0.1", "2400:3200::1", "9.9.9.9"] {
            assert_eq!(single(&clients, peer, &[]).as_deref(), Some(peer));
        }
    }

    #[test]
    fn the_peer_address_is_the_fallback() {
        let clients = clients(&["127.0.0.1/32"]);
        let likely = |peer: &str, values: &[&'static str]| {
            clients.likely(peer.parse().unwrap(), values).to_string()
        };
        assert_eq!(likely("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(likely("127.0.0.1", &["10.0.0.5"]), "10.0.0.5");
        assert_eq!(likely("10.0.0.6", &["10.0.0.5"]), "10.0.0.6");
    }

    #[test]
    fn an_ipv6_client_is_its_network_of_64_bits_and_an_ipv4_client_its_address() {
        let key = |address: &str| key_of(address.parse().unwrap());
        assert_eq!(
            key("2001:db8:1:2::1"),
            key("2001:db8:1:2:ffff:ffff:ffff:ffff")
        );
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }
}
