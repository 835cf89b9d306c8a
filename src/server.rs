//! The service: the public listener with the signing endpoint and the pages, the private one for the company's other servers, the
//! keeper beside them, a new configuration without a restart, and a clean end.
//!
//! What is answered is `actix`'s and `pages`' matter, what is signed the broker's: here they are only put together.

mod application;
pub mod config;
mod configuration;
mod counts;
pub mod doctor;
mod door;
mod guarded;
mod listen;
mod metrics;
pub mod openapi;
pub mod pages;
mod ready;
mod reload;
mod sockets;
mod start;
mod status;
mod strangers;
pub mod systemd;
pub mod telemetry;
pub mod tls;
mod trial;

pub use application::{Application, SandboxOptions};
pub use counts::{Counter, Counts};
pub use reload::{Reloaded, Reloader};
pub use start::StartError;
pub use trial::Trial;
