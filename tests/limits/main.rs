//! What a client cannot do to the others: ask without end, guess keys, hold connections, borrow a browser.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails
#![allow(clippy::print_stdout)] // what was measured

#[allow(dead_code, unreachable_pub)] // the command line's tests use the rest
#[path = "../cli/support.rs"]
mod support;

mod doors;
mod flood;
mod guesses;
mod headers;
mod places;
mod rate;
mod slow;
mod strangers;
mod world;
