//! Tools of an operator: metrics, readiness, the log, the alert rules and their documentation.
#![allow(clippy::print_stdout)] // what was measured

mod alerts;
mod counts;
mod crowd;
mod documents;
mod drill;
mod notify;
mod readiness;
mod refresh_lines;
mod scrape;
pub(crate) mod world;
