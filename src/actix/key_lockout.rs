//! Per-IP lockout after too many distinct invalid API keys.
//!
//! A valid key always passes: servers share addresses (NAT, a proxy), and one of them must not be able to
//! lock out the others. The lockout makes guessing visible and cheap to reject; the key's 256 random bits
//! make it hopeless. Only *distinct* invalid keys count: a server that repeats an outdated key ten times
//! a second is not guessing.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use governor::Quota;

use crate::clock::Clock;
use crate::endpoint::{ClientIps, Limiter, LogThrottle, RateBuckets, key_of, whole_seconds};

/// The limit on invalid keys. The scopes of the admin listener apply it if it is mounted as `web::Data` in the
/// application.
#[derive(Debug)]
pub struct KeyLockout {
    limiter: Option<Limiter>,
    clock: Clock,
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
        let limiter = NonZeroU32::new(allowed).map(|allowed| {
            let quota = Quota::with_period(ONE_MORE_AFTER)
                .expect("not zero")
                .allow_burst(allowed);
            Limiter::new(quota, RateBuckets::new(CELLS), clock.clone())
        });
        Self {
            limiter,
            clock,
            clients,
            locked: RateBuckets::new(CELLS),
            seen: RateBuckets::new(CELLS),
            wrong: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            log: LogThrottle::default(),
            secret_log: LogThrottle::default(),
        }
    }

    /// Returns how many invalid keys were presented, repeated ones included.
    pub fn wrong(&self) -> u64 {
        self.wrong.load(Ordering::Relaxed)
    }

    /// Returns how many calls were rejected because their address was locked out.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns the address that most likely presents a key: the connection's peer, or the client that a proxy
    /// names.
    pub(super) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        self.clients.likely(peer.ip(), headers)
    }

    /// Returns the header in which proxies report the client's address.
    #[cfg(feature = "server")] // the gateway drops it
    pub(super) fn client_ip_header(&self) -> &str {
        self.clients.header()
    }

    /// Returns whether a line about a secret in a key's place may be logged now: once a minute.
    pub(super) fn may_log_secret(&self) -> bool {
        self.secret_log.may_log(self.clock.uptime())
    }

    /// Counts an invalid key. `Err`: its address is locked out for that long.
    pub(super) fn count_wrong(&self, presented: &str, client: IpAddr) -> Result<(), Duration> {
        let wrong = self.wrong.fetch_add(1, Ordering::Relaxed) + 1;
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        let address = key_of(client);
        let until = Duration::from_millis(self.locked.of(address).load(Ordering::Acquire));
        if let Some(wait) = until
            .checked_sub(self.clock.uptime())
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
        let now = self.clock.uptime();
        let wait = whole_seconds(until.wait_time_from(now));
        self.locked.of(address).store(
            u64::try_from((now + wait).as_millis()).unwrap_or(u64::MAX),
            Ordering::Release,
        );
        self.refused.fetch_add(1, Ordering::Relaxed);
        if self.log.may_log(now) {
            let seconds = wait.as_secs();
            tracing::warn!(
                %client, seconds, wrong,
                "client locked out after too many invalid API keys"
            );
        }
        Err(wait)
    }
}

/// Once the allowed number is used up. That leaves 1,440 guesses per day and address, against 2^256 keys.
const ONE_MORE_AFTER: Duration = Duration::from_secs(60);

/// More than any company has servers; 256 KiB in total.
const CELLS: usize = 1 << 13;
