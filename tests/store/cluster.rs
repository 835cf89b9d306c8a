//! Many processes on one real Redis: one call for all, nothing dead from any, and what each way of losing Redis costs.
//!
//! The Redis is this test's own and is paused, killed and emptied; the sandbox counts the calls and judges each answer.

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
