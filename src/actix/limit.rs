//! So many requests a second for each client of the public plane, and 429 for more.
//!
//! A plain function and no middleware: it is asked on every signature. Where it limits nothing it costs a comparison, else a hash
//! and one atomic exchange.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpMessage as _, HttpRequest, web};
use governor::Quota;
use governor::clock::Clock as _;

use super::client_ip::ClientIps;
use super::log_throttle::LogThrottle;
use super::problem::Problem;
use super::rate_buckets::{Limiter, RateBuckets, Ticks, key_of};
use crate::clock::Clock;
use crate::error::Hint;

/// The limit of each client. Mounted as `web::Data` in an application, [`public_scope`](super::public_scope) keeps to it.
#[derive(Debug)]
pub struct RateLimit {
    limiter: Option<Limiter>,
    clock: Ticks,
    clients: Arc<ClientIps>,
    refused: AtomicU64,
    log: LogThrottle,
}

impl RateLimit {
    /// `per_second` requests for each client, and `burst` at once for one who was quiet; 0 a second: no limit.
    #[must_use]
    pub fn new(per_second: u32, burst: u32, clients: Arc<ClientIps>, clock: Clock) -> Self {
        let clock = Ticks(clock);
        let limiter = NonZeroU32::new(per_second).map(|per_second| {
            let burst = NonZeroU32::new(burst).unwrap_or(per_second);
            Limiter::new(
                Quota::per_second(per_second).allow_burst(burst),
                RateBuckets::new(CELLS),
                clock.clone(),
            )
        });
        let log = LogThrottle::new(LOG_EVERY);
        Self {
            limiter,
            clock,
            clients,
            refused: AtomicU64::new(0),
            log,
        }
    }

    /// Counts one request of the client that this peer and these headers stand for.
    ///
    /// # Errors
    /// `rate_limited`, with the time after which the next one is let through.
    pub fn check(&self, peer: IpAddr, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        let Some(client) = self.clients.single(peer, headers) else {
            return Ok(());
        };
        match limiter.check_key(&key_of(client)) {
            Ok(()) => Ok(()),
            Err(until) => Err(self.refuse(client, until.wait_time_from(self.clock.now()))),
        }
    }

    /// The same, whoever the peer is.
    pub(super) fn decide(
        &self,
        peer: Option<SocketAddr>,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        peer.map_or(Ok(()), |peer| self.check(peer.ip(), headers))
    }

    /// How many requests were refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    #[cold]
    fn refuse(&self, client: IpAddr, wait: Duration) -> Problem {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if self.log.now_is_the_time(self.clock.now()) {
            tracing::warn!(%client, refused, "a client asks more often than limits.requests_per_second allows · 有客户端的请求超过频率限制");
        }
        let detail = "this client has sent more requests than it is allowed in this time".into();
        Problem {
            retry_after: Some(whole_seconds(wait)),
            ..too_many("rate_limited", "Too many requests", detail, HINT)
        }
    }
}

/// Among a request's extensions: what [`RateLimit::decide`] said before the router, so that no request is counted twice.
pub(super) struct Decided(pub(super) Result<(), Problem>);

/// Whether the request may be answered: yes, where no limit is mounted.
pub(crate) fn admit(request: &HttpRequest) -> Result<(), Problem> {
    if let Some(Decided(decided)) = request.extensions_mut().remove() {
        return decided;
    }
    let limit = request.app_data::<web::Data<RateLimit>>();
    limit.map_or(Ok(()), |limit| {
        limit.decide(request.peer_addr(), request.headers())
    })
}

pub(super) fn too_many(
    code: &'static str,
    title: &'static str,
    detail: String,
    hint: Hint,
) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, code, title, detail, hint)
}

/// Rounded up, since whoever asks a moment too early is refused again.
pub(super) fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

const HINT: Hint = Hint::fixed(
    "Ask again after the time in Retry-After. A page needs one signature each time it is loaded. Operators: limits.requests_per_second, \
     and server.trusted_proxies behind a proxy.",
    "请在 Retry-After 指定的时间后重试，每次打开页面只需签名一次。运维人员可调整 limits.requests_per_second；前面有代理时请设置 server.trusted_proxies。",
);

/// A mebibyte. With ten thousand clients at a time, one in thirteen shares its allowance, which it hardly ever uses up, with another.
const CELLS: usize = 1 << 17;

const LOG_EVERY: Duration = Duration::from_secs(60);
