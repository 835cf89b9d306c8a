//! The public endpoint over real HTTP: the whole service on a free port, the sandbox behind it, and a clock that stands still.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails

#[allow(dead_code)] // the status page's tests use the rest
mod app;
mod bad_input;
mod cards;
mod client;
mod cors;
mod crowd;
mod doctor;
mod failures;
mod http;
mod outage;
mod requests;
mod signing;
mod verify;
mod work;
