//! Per-IP lockout after too many distinct invalid API keys.
//!
//! A valid key always passes: servers share addresses (NAT, a proxy), and one of them must not be able to
//! lock out the others. The lockout makes guessing visible and cheap to reject; the key's 256 random bits
//! make it hopeless. Only *distinct* invalid keys count: a server that repeats an outdated key ten times
//! a second is not guessing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, web};
use governor::Quota;
use governor::clock::Clock as _;

use super::credentials::unauthorized;
use super::keys::{ApiKey, ApiKeys};
use crate::clock::Clock;
use crate::endpoint::{
    ClientIps, Limiter, LogThrottle, Problem, RateBuckets, Ticks, key_of, whole_seconds,
};
use crate::error::{ProblemCode, Text};

/// The limit on invalid keys. The scopes of the admin listener apply it if it is mounted as `web::Data` in the
/// application.
#[derive(Debug)]
pub struct KeyLockout {
    limiter: Option<Limiter>,
    clock: Ticks,
    clients: Arc<ClientIps>,
    /// When the lockout of each address ends, in milliseconds of uptime.
    locked: RateBuckets,
    /// The invalid keys seen from each address, as hashes that only this process can compute.
    seen: RateBuckets,
    wrong: AtomicU64,
    refused: AtomicU64,
    log: LogThrottle,
    secret_log: LogThrottle,
}

impl KeyLockout {
    /// Allows `allowed` distinct invalid keys per address, then one more per minute. With 0 there is no
    /// limit.
    #[must_use]
    pub fn new(allowed: u32, clients: Arc<ClientIps>, clock: Clock) -> Self {
        let clock = Ticks(clock);
        let limiter = NonZeroU32::new(allowed).map(|allowed| {
            let quota = Quota::with_period(ONE_MORE_AFTER)
                .expect("not zero")
                .allow_burst(allowed);
            Limiter::new(quota, RateBuckets::new(CELLS), clock.clone())
        });
        let (locked, seen) = (RateBuckets::new(CELLS), RateBuckets::new(CELLS));
        let log = LogThrottle::new(ONE_MORE_AFTER);
        let secret_log = LogThrottle::new(ONE_MORE_AFTER);
        Self {
            limiter,
            clock,
            clients,
            locked,
            seen,
            wrong: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            log,
            secret_log,
        }
    }

    /// Returns how many invalid keys were presented, repeated ones included.
    #[must_use]
    pub fn wrong(&self) -> u64 {
        self.wrong.load(Ordering::Relaxed)
    }

    /// Returns how many calls were rejected because their address was locked out.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns the key with this text. `Err`: it is invalid, and its address is locked out for that long.
    /// All keys are compared first and in constant time, so that a valid key passes in either case.
    fn find<'k>(
        &self,
        keys: &'k ApiKeys,
        presented: &str,
        client: IpAddr,
    ) -> Result<Option<&'k Arc<ApiKey>>, Duration> {
        let found = keys.find(presented);
        if found.is_none() {
            self.count_wrong(presented, client)?;
        }
        Ok(found)
    }

    fn count_wrong(&self, presented: &str, client: IpAddr) -> Result<(), Duration> {
        let wrong = self.wrong.fetch_add(1, Ordering::Relaxed) + 1;
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        let address = key_of(client);
        let until = Duration::from_millis(self.locked.of(address).load(Ordering::Acquire));
        if let Some(wait) = until
            .checked_sub(self.clock.now())
            .filter(|wait| !wait.is_zero())
        {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(whole_seconds(wait));
        }
        let guess = self.seen.hash((address, presented));
        if self.seen.of(guess).swap(guess, Ordering::Relaxed) == guess {
            return Ok(());
        }
        let Err(until) = limiter.check_key(&address) else {
            return Ok(());
        };
        let (now, wait) = (
            self.clock.now(),
            whole_seconds(until.wait_time_from(self.clock.now())),
        );
        self.locked.of(address).store(
            u64::try_from((now + wait).as_millis()).unwrap_or(u64::MAX),
            Ordering::Release,
        );
        self.refused.fetch_add(1, Ordering::Relaxed);
        if self.log.now_is_the_time(now) {
            let seconds = wait.as_secs();
            tracing::warn!(
                %client, seconds, wrong,
                "client locked out after too many invalid API keys"
            );
        }
        Err(wait)
    }
}

/// Who presents a key: the connection's peer, the headers, and the limit that applies.
#[derive(Clone, Copy)]
pub(super) struct Presenter<'a> {
    pub(super) lockout: Option<&'a KeyLockout>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) headers: &'a HeaderMap,
}

impl<'a> From<&'a HttpRequest> for Presenter<'a> {
    fn from(request: &'a HttpRequest) -> Self {
        Self {
            lockout: request
                .app_data::<web::Data<KeyLockout>>()
                .map(|data| &***data),
            peer: request.peer_addr(),
            headers: request.headers(),
        }
    }
}

impl Presenter<'_> {
    /// Returns the key with this text. `Err`: it is invalid, and its address is locked out for that long.
    pub(super) fn find<'k>(
        self,
        keys: &'k ApiKeys,
        presented: &str,
    ) -> Result<Option<&'k Arc<ApiKey>>, Duration> {
        let Some(lockout) = self.lockout else {
            return Ok(keys.find(presented));
        };
        let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        lockout.find(keys, presented, self.client(lockout).unwrap_or(unknown))
    }

    fn client(self, lockout: &KeyLockout) -> Option<IpAddr> {
        let peer = self.peer?;
        Some(lockout.clients.likely(peer.ip(), self.headers))
    }

    /// Returns the configured key that the headers carry, if any.
    pub(super) fn find_in_headers(self, keys: &ApiKeys) -> Result<&Arc<ApiKey>, Problem> {
        let presented = presented(self.headers).ok_or_else(unauthorized)?;
        self.find(keys, presented)
            .map_err(locked_out)?
            .ok_or_else(unauthorized)
    }

    /// Logs that a client sent an account's AppSecret instead of an API key, at most once a minute.
    pub(super) fn log_app_secret(self, account: &str) {
        let Some(lockout) = self.lockout else {
            return;
        };
        if lockout.secret_log.now_is_the_time(lockout.clock.now()) {
            let client = self.client(lockout).map(tracing::field::display);
            tracing::warn!(
                account,
                client,
                "client sent the AppSecret: configure its API key instead"
            );
        }
    }
}

/// Returns the configured key that the request carries in its headers, if any.
pub(super) fn key_of_request<'k>(
    request: &HttpRequest,
    keys: &'k ApiKeys,
) -> Result<&'k Arc<ApiKey>, Problem> {
    Presenter::from(request).find_in_headers(keys)
}

/// Returns the key text in the headers, if any.
pub(super) fn presented(headers: &HeaderMap) -> Option<&str> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let bearer = header("authorization").and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    bearer.or_else(|| header("x-api-key"))
}

fn locked_out(wait: Duration) -> Problem {
    Problem {
        retry_after: Some(wait),
        ..Problem::new(
            ProblemCode::LockedOut,
            "the API key is invalid, and too many different invalid ones came from this address",
            HINT,
        )
    }
}

const HINT: Text = Text::new(
    "Use a valid API key: it is accepted at once. Other invalid keys are checked again after Retry-After.",
    "请使用有效的 API key，可立即通过；其他无效的 key 要等 Retry-After 指定的时间后才会再次校验。",
);

/// Once the allowed number is used up. That leaves 1,440 guesses per day and address, against 2^256 keys.
const ONE_MORE_AFTER: Duration = Duration::from_secs(60);

/// More than any company has servers; 256 KiB in total.
const CELLS: usize = 1 << 13;
