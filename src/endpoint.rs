//! The endpoints for pages, independent of a web framework: what a query asks for, the signed answer or
//! the [`Problem`], which origins may read it, the client script, and the rate limit per client.
//!
//! `actix` mounts them as actix-web scopes, `axum` as a router. In another framework, the application sets the
//! status and the headers.

mod client_files;
mod client_ip;
pub(crate) mod cors;
mod log_throttle;
mod problem;
#[cfg(feature = "platform")]
pub mod push;
pub(crate) mod query;
mod rate_buckets;
mod rate_limit;
mod sign;

pub use client_files::{ClientFile, SCRIPT, TYPES, client_has};
pub(crate) use client_ip::key_of;
pub use client_ip::{ClientIps, Headers};
pub use cors::may_read;
pub(crate) use log_throttle::LogThrottle;
pub use problem::Problem;
pub use query::{ConfigQuery, account_of};
pub(crate) use rate_buckets::{Limiter, RateBuckets};
pub use rate_limit::RateLimit;
pub(crate) use rate_limit::whole_seconds;
pub use sign::{Answer, Refused, SIGNING, answer, sign};

/// The methods of the endpoints that sign.
pub(crate) const READS: &str = "GET, HEAD, OPTIONS";

/// The methods of files, which are loaded without a preflight.
pub(crate) const FILE_METHODS: &str = "GET, HEAD";
