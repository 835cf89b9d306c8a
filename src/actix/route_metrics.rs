//! The request counters of one worker. Each route's counter is requested once, then found by the route's
//! pattern.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::broker::{Broker, OTHER_ROUTE, Plane, RouteTally};

/// The counters of one worker on one listener.
pub(super) struct RouteMetrics {
    broker: Broker,
    plane: Plane,
    routes: RefCell<HashMap<String, Arc<RouteTally>>>,
}

impl RouteMetrics {
    pub(super) fn new(broker: Broker, plane: Plane) -> Self {
        Self {
            broker,
            plane,
            routes: RefCell::default(),
        }
    }

    /// Counts an answer of the route with this pattern, begun at this uptime, and returns how long it
    /// took.
    pub(super) fn count(&self, pattern: Option<&str>, status: u16, begun: Duration) -> Duration {
        let took = self.broker.clock().uptime().saturating_sub(begun);
        let (pattern, mut routes) = (pattern.unwrap_or(OTHER_ROUTE), self.routes.borrow_mut());
        match routes.get(pattern) {
            Some(route) => route.record(status, took),
            None => {
                let route = self.broker.tally().route(self.plane, pattern);
                route.record(status, took);
                routes.insert(pattern.to_owned(), route);
            }
        }
        took
    }

    /// Counts an answer for the account of this name.
    pub(super) fn count_account(&self, account: &str, status: u16) {
        self.broker.account_tally(account).record(status);
    }
}
