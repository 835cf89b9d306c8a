//! The private plane over real HTTP: both scopes on a free port, the sandbox behind them, and a clock that stands still.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails

mod behind;
mod credentials;
mod diagnose;
mod keys;
mod quota;
mod reject;
mod weixin;
mod work;
mod world;
