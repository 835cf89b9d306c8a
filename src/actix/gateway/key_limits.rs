//! Limits per API key: calls per second and calls in progress.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::dropin::reply::Refusal;
use super::GatewayOptions;
use crate::clock::Clock;

/// The load of every key that has made a call.
pub(super) struct KeyLimits {
    calls_at_once: u32,
    calls_per_second: Option<NonZeroU32>,
    keys: Mutex<HashMap<String, Arc<KeyLoad>>>,
    clock: Clock,
}

struct KeyLoad {
    free: Arc<Semaphore>,
    rate: Option<RateLimiter<NotKeyed, InMemoryState, Clock, NoOpMiddleware<Duration>>>,
}

impl KeyLimits {
    pub(super) fn new(options: &GatewayOptions, clock: Clock) -> Self {
        Self {
            calls_at_once: options.calls_at_once,
            calls_per_second: NonZeroU32::new(options.calls_per_second),
            keys: Mutex::default(),
            clock,
        }
    }

    /// Counts a call of the key; it is in progress until the permit is dropped.
    pub(super) fn enter(&self, key: &str) -> Result<OwnedSemaphorePermit, Refusal> {
        let load = self.load(key);
        if let Some(rate) = &load.rate
            && let Err(until) = rate.check()
        {
            let wait = until.wait_time_from(self.clock.uptime());
            return Err(too_many(key, wait, "calls_per_second"));
        }
        let permit = load.free.clone().try_acquire_owned();
        permit.map_err(|_| too_many(key, Duration::from_secs(1), "calls_at_once"))
    }

    fn load(&self, key: &str) -> Arc<KeyLoad> {
        let mut keys = self.keys.lock();
        let load = keys.entry(key.to_owned()).or_insert_with(|| {
            let rate = self.calls_per_second.map(|per_second| {
                RateLimiter::direct_with_clock(Quota::per_second(per_second), self.clock.clone())
            });
            let free = Arc::new(Semaphore::new(self.calls_at_once as usize));
            Arc::new(KeyLoad { free, rate })
        });
        load.clone()
    }

    /// Returns the number of calls in progress.
    pub(super) fn in_progress(&self) -> usize {
        let keys = self.keys.lock();
        let free = keys.values().map(|load| load.free.available_permits());
        free.map(|free| self.calls_at_once as usize - free).sum()
    }
}

fn too_many(key: &str, wait: Duration, setting: &str) -> Refusal {
    Refusal::Unavailable {
        status: StatusCode::TOO_MANY_REQUESTS,
        retry_after: Some(wait),
        errmsg: format!(
            "system error: wx-jssdk limits the calls of the API key \"{key}\", see gateway.{setting}; nothing was sent to WeChat"
        ),
    }
}
