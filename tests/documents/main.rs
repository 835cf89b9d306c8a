//! Statements of the documents: the table of modules, the named tests, the log messages, the stated
//! defaults, the shape of tables.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions only, not in their helpers

mod grafana;
mod layers;
mod named_tests;
mod operations;
mod reliability;
mod security;
mod tables;
