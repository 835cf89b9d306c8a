//! Many processes on one real Redis: one call for all, no expired value from any, and the cost of each kind of Redis outage.
//!
//! Each test pauses, kills and empties its own Redis; the sandbox counts the calls and verifies each answer.

mod authorizers;
mod counters;
mod life;
mod nodes;
mod outages;
mod platform;
mod processes;
#[cfg(feature = "sql")]
mod sql;
mod world;
