//! What an operator has: metrics, readiness, the log, the alert rules and the document that explains them.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails
#![allow(clippy::print_stdout)] // what was measured

mod alerts;
mod counts;
mod crowd;
mod documents;
mod drill;
mod readiness;
mod refresh_lines;
mod scrape;
mod world;
