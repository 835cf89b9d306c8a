//! Limits on a single client: request rate, guessed keys, held connections, cross-site requests.
#![allow(clippy::print_stdout)] // what was measured

mod doors;
mod flood;
mod guesses;
mod headers;
mod host_guard;
mod places;
mod rate;
mod slow;
mod world;
