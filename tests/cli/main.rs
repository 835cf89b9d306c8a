//! The real binary as operators use it: output and exit codes, configuration, reload, restart, metrics and log.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions only, not in their helpers

mod admin;
mod ask;
mod check;
#[allow(dead_code)] // each binary uses a part of it
#[path = "../common/mod.rs"]
mod common;
mod config;
mod diagnose;
mod misdirected;
mod offline;
mod operate;
mod operations;
mod reload;
mod requests;
mod restart;
mod serve;
mod startable;
mod verify_files;
