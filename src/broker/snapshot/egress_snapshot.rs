//! The ways by which the accounts' calls leave, and the addresses from which WeChat saw them.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::broker::Broker;
use crate::broker::slot::MOST_ADDRESSES;
use crate::upstream::Route;

/// The ways by which calls leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressSnapshot {
    /// Each way in use, the one of most accounts first.
    pub ways: Vec<EgressWay>,
    /// Base URLs to which nothing could be sent last time.
    pub unreachable_hosts: Vec<String>,
}

/// A way by which the calls of some accounts leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressWay {
    /// The way.
    pub route: Route,
    /// How many accounts take it.
    pub accounts: usize,
    /// The addresses that WeChat named when it refused calls of these accounts within a day. More than one
    /// means that this way has no fixed address.
    pub addresses: Vec<IpAddr>,
}

impl Broker {
    /// Returns the ways by which calls leave. Makes no call.
    pub fn egress(&self) -> EgressSnapshot {
        let (accounts, now) = (self.inner.accounts.load(), self.inner.clock.now());
        let upstream = &self.inner.upstream;
        // Ten thousand accounts have a few ways at most. Calls to WeChat and to WeCom leave by one way if both have
        // one base URL.
        let mut routes = HashMap::new();
        let mut ways: HashMap<Route, EgressWay> = HashMap::new();
        for entry in accounts.all() {
            let route = routes.entry(upstream.way_of(&entry.account));
            let route = route.or_insert_with(|| upstream.route(&entry.account));
            let way = ways.entry(route.clone());
            let way = way.or_insert_with_key(|route| EgressWay {
                route: route.clone(),
                accounts: 0,
                addresses: Vec::new(),
            });
            way.accounts += 1;
            let seen = entry.token_slot().lock().refused_addresses(now);
            for address in seen {
                if !way.addresses.contains(&address) && way.addresses.len() < MOST_ADDRESSES {
                    way.addresses.push(address);
                }
            }
        }
        let mut ways: Vec<_> = ways.into_values().collect();
        ways.sort_by(|a, b| (b.accounts, &a.route).cmp(&(a.accounts, &b.route)));
        EgressSnapshot {
            ways,
            unreachable_hosts: upstream.unreachable_hosts(),
        }
    }
}
