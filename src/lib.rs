//! wip
pub mod account;
pub mod clock;
pub mod credential;
pub mod error;
#[cfg(feature = "server")]
pub mod server;
