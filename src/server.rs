//! The service: the public listener with the signing endpoint and the pages, the admin listener for clients,
//! the keeper, reload without a restart, and graceful shutdown.
//!
//! `Application` assembles the parts: `actix` and `pages` answer requests, the broker signs.
//!
//! - Network: `routes`, `listener`, `sockets`, `tls`, `systemd`, `shutdown`.
//! - Guards: `connection_guard` (deadlines and eviction), `backpressure`, `host_guard`, `guard_stats`.
//! - Pages: `pages`, `doctor`, `status`, `openapi`.
//! - Open platforms: `platform_routes`, `authorize` (the page), `forward` (sends users' messages on).
//! - Accounts at run time: `account_api`.
//! - Configuration: `config`, `regular_file`, `timed_read`, `preflight`, `startup_error`, `reload`,
//!   `reload_record`, `demo_accounts`.
//! - Observability: `ready`, `metrics`, `telemetry`, `notify`.

mod account_api;
mod application;
mod authorize;
mod backpressure;
pub mod config;
mod connection_guard;
mod demo_accounts;
mod doctor;
mod forward;
mod guard_stats;
mod host_guard;
mod listener;
mod metrics;
pub mod notify;
pub mod openapi;
pub mod pages;
mod platform_routes;
mod preflight;
mod ready;
pub(crate) mod regular_file;
mod reload;
mod reload_record;
mod routes;
mod shutdown;
mod sockets;
mod startup_error;
mod status;
pub mod systemd;
pub mod telemetry;
mod timed_read;
pub mod tls;

pub use application::{Application, SandboxOptions};
pub use guard_stats::{GuardCounts, GuardStats};
pub use preflight::{check_restart, check_start};
pub use reload::{ReloadRequest, Reloaded, ReloadedCertificates, Reloader};
pub(crate) use shutdown::EXIT_LIMIT;
pub use startup_error::StartupError;
pub(crate) use startup_error::cannot_start;
pub(crate) use timed_read::TimedRead;
