//! What a client cannot do to the others: ask without end, guess keys, hold connections, borrow a browser.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails

#[allow(dead_code, unreachable_pub)] // the command line's tests use the rest
#[path = "../cli/support.rs"]
mod support;

mod doors;
mod guesses;
mod headers;
mod rate;
mod slow;
mod strangers;
mod world;
