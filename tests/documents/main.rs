//! What the documents promise: the table of modules, the tests that they name, and the defaults that they state.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions only, not in their helpers

mod grafana;
mod layers;
mod reliability;
mod security;
