//! What a client cannot do to the others: ask without end, guess keys, hold connections, borrow a browser.
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
