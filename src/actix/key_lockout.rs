//! Per-IP lockout after too many distinct invalid API keys.
//!
//! A valid key always passes: servers share addresses (NAT, a proxy), and one of them must not be able to shut out the others.
//! The lockout makes guessing visible and cheap to refuse; what makes it hopeless are the key's 256 random bits.
//! Only *distinct* invalid keys count. A server that repeats an outdated one, ten times a second, guesses nothing.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, web};
use governor::Quota;
use governor::clock::Clock as _;

use super::client_ip::ClientIps;
use super::credentials::unauthorized;
use super::keys::{ApiKey, ApiKeys};
use super::limit::{too_many, whole_seconds};
use super::log_throttle::LogThrottle;
use super::problem::Problem;
use super::rate_buckets::{Limiter, RateBuckets, Ticks, key_of};
use crate::clock::Clock;
use crate::error::Hint;

/// The limit on wrong keys. Mounted as `web::Data` in an application, the private scopes keep to it.
#[derive(Debug)]
pub struct KeyLockout {
    limiter: Option<Limiter>,
    clock: Ticks,
    clients: Arc<ClientIps>,
    /// Until when each address is locked out, in milliseconds of uptime.
    locked: RateBuckets,
    /// Which wrong keys were seen from where: hashes that only this process can make.
    seen: RateBuckets,
    wrong: AtomicU64,
    refused: AtomicU64,
    log: LogThrottle,
}

impl KeyLockout {
    /// `allowed` different wrong keys from each address, then one more a minute; 0: no limit.
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
        Self {
            limiter,
            clock,
            clients,
            locked,
            seen,
            wrong: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            log,
        }
    }

    /// How many wrong keys were presented, repeated ones included.
    #[must_use]
    pub fn wrong(&self) -> u64 {
        self.wrong.load(Ordering::Relaxed)
    }

    /// How many calls were refused because their address was locked out.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns the key with this text. `Err`: it is invalid, and its address is locked out for so long. All keys are compared
    /// first and in constant time, so that a valid one passes in either case.
    fn find<'k>(
        &self,
        keys: &'k ApiKeys,
        presented: &str,
        client: IpAddr,
    ) -> Result<Option<&'k ApiKey>, Duration> {
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
                "API keys are being guessed: wrong ones from this address are refused for a while · 有人在猜测 API key，该地址的错误 key 将被暂时拒绝"
            );
        }
        Err(wait)
    }
}

/// The key with this text. `Err`: it is invalid, and its address is locked out for so long.
pub(super) fn find<'k>(
    request: &HttpRequest,
    keys: &'k ApiKeys,
    presented: &str,
) -> Result<Option<&'k ApiKey>, Duration> {
    let Some(guesses) = request.app_data::<web::Data<KeyLockout>>() else {
        return Ok(keys.find(presented));
    };
    let peer = request
        .peer_addr()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    guesses.find(
        keys,
        presented,
        guesses.clients.likely(peer, request.headers()),
    )
}

/// The key that the request carries in its headers, if it is one of ours.
pub(super) fn key_of_request<'k>(
    request: &HttpRequest,
    keys: &'k ApiKeys,
) -> Result<&'k ApiKey, Problem> {
    let presented = presented(request.headers()).ok_or_else(unauthorized)?;
    find(request, keys, presented)
        .map_err(locked_out)?
        .ok_or_else(unauthorized)
}

/// The key in the headers, if there is one.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let bearer = header("authorization").and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    bearer.or_else(|| header("x-api-key"))
}

fn locked_out(wait: Duration) -> Problem {
    let detail =
        "this API key is wrong, and too many different wrong ones came from this address".into();
    Problem {
        retry_after: Some(wait),
        ..too_many(
            "locked_out",
            "This address is locked out for a while",
            detail,
            HINT,
        )
    }
}

const HINT: Hint = Hint::fixed(
    "Use the right API key: it is accepted at once. Other wrong keys are checked again after the time in Retry-After.",
    "请使用正确的 API key，可立即通过；其他错误的 key 要等 Retry-After 指定的时间后才会再次校验。",
);

/// After the first ones: 1,440 guesses a day from each address, at 2^256 keys.
const ONE_MORE_AFTER: Duration = Duration::from_secs(60);

/// More than the servers of any company; 256 KiB in all.
const CELLS: usize = 1 << 13;
