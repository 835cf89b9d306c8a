//! Rate limit per client of the public listener: requests beyond it get 429.
//!
//! It costs a comparison where no limit is set, else a hash and one atomic exchange.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use governor::{NotUntil, Quota};

use super::client_ip::{ClientIps, Headers, key_of};
use super::log_throttle::LogThrottle;
use super::problem::Problem;
use super::rate_buckets::{Limiter, RateBuckets};
use crate::clock::Clock;
use crate::error::{ProblemCode, Text};

/// The rate limit per client. The actix-web scope applies it if it is mounted as `web::Data` in the
/// application, the axum router if it is in an `Extension` layer.
#[derive(Debug)]
pub struct RateLimit {
    limiter: Option<Limiter>,
    /// The limit for all clients together: a table with one cell.
    total: Option<Limiter>,
    clock: Clock,
    clients: Arc<ClientIps>,
    refused: AtomicU64,
    /// Whether a request of an unknown peer was logged already; it is logged once.
    unknown_peer_was_said: AtomicBool,
    log: LogThrottle,
    /// Its name in the log.
    name: &'static str,
    hint: Text,
}

impl RateLimit {
    /// Allows `per_second` requests per client, and a burst of `burst` after a quiet time. With 0 per
    /// second there is no limit, nor for peers on this machine and in private networks that are no trusted
    /// proxies of `clients`.
    #[must_use]
    pub fn new(per_second: u32, burst: u32, clients: Arc<ClientIps>, clock: Clock) -> Self {
        let limiter = NonZeroU32::new(per_second).map(|per_second| {
            let burst = NonZeroU32::new(burst).unwrap_or(per_second);
            Limiter::new(
                Quota::per_second(per_second).allow_burst(burst),
                RateBuckets::new(CELLS),
                clock.clone(),
            )
        });
        Self {
            limiter,
            total: None,
            clock,
            clients,
            refused: AtomicU64::new(0),
            unknown_peer_was_said: AtomicBool::new(false),
            log: LogThrottle::default(),
            name: "limits.requests_per_second",
            hint: HINT,
        }
    }

    /// Limits all clients together too, those included whose address is unknown behind a proxy. `name`: that of the rate
    /// limit in the log, which has no setting.
    #[cfg_attr(not(feature = "diagnose"), allow(dead_code))] // an embedder has one rate limit
    pub(crate) fn with_total(
        self,
        name: &'static str,
        per_second: NonZeroU32,
        burst: NonZeroU32,
    ) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let total = Limiter::new(quota, RateBuckets::new(1), self.clock.clone());
        Self {
            total: Some(total),
            name,
            hint: OWN_HINT,
            ..self
        }
    }

    /// Counts one request of the client that this peer and these headers stand for; one of an unknown peer has
    /// no limit of its own. The client's own limit is checked first, so that its excess requests do not count
    /// against all clients.
    ///
    /// # Errors
    /// `rate_limited`, with the time after which the next request is accepted.
    pub fn check(&self, peer: Option<IpAddr>, headers: &impl Headers) -> Result<(), Problem> {
        self.check_client(peer, headers)?;
        self.check_total()
    }

    /// Counts one request of the client only. [`RateLimit::check_total`] has to follow once the request is known
    /// to cost something: otherwise requests that are refused would use up what all clients share.
    pub(crate) fn check_client(
        &self,
        peer: Option<IpAddr>,
        headers: &impl Headers,
    ) -> Result<(), Problem> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        let Some(peer) = peer else {
            if !self.unknown_peer_was_said.swap(true, Ordering::Relaxed) {
                let limit = self.name;
                tracing::warn!(
                    limit,
                    "peer address is unknown: its requests are not rate limited"
                );
            }
            return Ok(());
        };
        let Some(client) = self.clients.single(peer, headers) else {
            return Ok(());
        };
        let checked = limiter.check_key(&key_of(client));
        checked.map_err(|until| self.refuse(Some(client), until))
    }

    /// Counts one request of all clients together.
    pub(crate) fn check_total(&self) -> Result<(), Problem> {
        let total = self.total.as_ref();
        let checked = total.map_or(Ok(()), |total| total.check_key(&0));
        checked.map_err(|until| self.refuse(None, until))
    }

    /// Returns how many requests were rejected so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// `client`: `None` if all clients together exceed the limit.
    #[cold]
    fn refuse(&self, client: Option<IpAddr>, until: NotUntil<Duration>) -> Problem {
        let now = self.clock.uptime();
        let wait = until.wait_time_from(now);
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if self.log.may_log(now) {
            let (limit, client) = (self.name, client.map(tracing::field::display));
            tracing::warn!(client, limit, refused, "client exceeds a rate limit");
        }
        let detail = match client {
            Some(_) => "this client exceeded the rate limit",
            None => "all clients together exceeded the rate limit",
        };
        Problem {
            retry_after: Some(whole_seconds(wait)),
            ..Problem::new(ProblemCode::RateLimited, detail, self.hint.clone())
        }
    }
}

/// Rounds up, since a client that retries a moment too early is rejected again.
pub(crate) fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

const HINT: Text = Text::new(
    "Retry after the time in Retry-After. A page needs one signature per load. Operators: limits.requests_per_second, \
     and server.trusted_proxies behind a proxy.",
    "请在 Retry-After 指定的时间后重试，每次打开页面只需签名一次。运维人员可调整 limits.requests_per_second；前面有代理时请设置 server.trusted_proxies。",
);

/// For a limit that has no setting.
const OWN_HINT: Text = Text::new(
    "Retry after the time in Retry-After. Operators: server.trusted_proxies behind a proxy.",
    "请在 Retry-After 指定的时间后重试。运维人员：前面有代理时请设置 server.trusted_proxies。",
);

/// One MiB. With ten thousand concurrent clients, one in thirteen shares its rate limit with another,
/// which rarely matters.
const CELLS: usize = 1 << 17;
