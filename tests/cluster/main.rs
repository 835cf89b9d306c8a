//! Many processes on one real Redis: one call for all, nothing dead from any, and what each way of losing Redis costs.
//!
//! The Redis is this test's own and is paused, killed and emptied; the sandbox counts the calls and judges each answer.

#![cfg(all(feature = "redis", feature = "sandbox", feature = "server"))]
#![allow(clippy::unwrap_used)] // helpers of tests are not in a #[test]

mod figures;
mod life;
mod outages;
mod peers;
mod processes;
#[path = "../store/redis_server.rs"]
#[allow(dead_code)]
mod redis_server;
mod world;
