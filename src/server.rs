//! The service: the public listener with the signing endpoint and the pages, the private one for the company's other servers, the
//! keeper beside them, a new configuration without a restart, and a clean end.
//!
//! What is answered is `actix`'s and `pages`' matter, what is signed the broker's: here they are only put together.

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
