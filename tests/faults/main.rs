//! The rows of `docs/RELIABILITY.md`: each fault laid on a running service, seen by a page, by a peer server and by the operator.
//!
//! A renewal meets the fault, the values live on to their end, they end, the fault goes, and everything heals. Nothing is restarted.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)] // helpers of tests are not in a #[test]
#![allow(clippy::disallowed_methods)] // real processes, real time

mod document;
mod house;
#[allow(dead_code)]
#[path = "../store/redis_server.rs"]
mod redis_server;
mod service;
#[allow(dead_code, unreachable_pub)] // the command line's tests use the rest
#[path = "../cli/support.rs"]
mod support;
mod upstream;
