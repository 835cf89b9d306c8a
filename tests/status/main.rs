//! The status page, over real HTTP: the service as `serve` starts it, a WeChat that fails on demand, a clock that stands still.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails

#[path = "../api/app.rs"]
#[allow(dead_code, unreachable_pub)] // the endpoint's tests use the rest
mod app;
mod crowd;
mod drill;
mod fields;
mod page;
mod refresh;
mod visitors;
mod world;
