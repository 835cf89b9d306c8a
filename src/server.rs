//! The service: the public listener with the signing endpoint and the pages, the admin listener for clients,
//! the keeper, reload without a restart, and graceful shutdown.
//!
//! Only assembles the parts: `actix` and `pages` answer requests, the broker signs.

mod application;
mod backpressure;
pub mod config;
mod connection_stats;
pub mod doctor;
mod host_guard;
mod listener;
mod metrics;
pub mod openapi;
pub mod pages;
mod preflight;
mod ready;
mod reload;
mod reload_record;
mod routes;
mod sockets;
mod startup_error;
mod status;
pub mod systemd;
pub mod telemetry;
mod timeouts;
pub mod tls;

pub use application::{Application, SandboxOptions};
pub use connection_stats::{Counter, Counts};
pub use preflight::Preflight;
pub use reload::{Reloaded, Reloader};
pub use startup_error::StartupError;
