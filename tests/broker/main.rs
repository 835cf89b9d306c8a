//! The broker, its stores and its upstream calls against the sandbox, on a manual clock, without sleeping.

#![allow(unreachable_pub)] // one binary, shared by its modules
#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions only, not in their helpers

mod chain;
mod clock;
mod cold;
#[allow(dead_code)] // each binary uses a part of it
#[path = "../common/mod.rs"]
mod common;
mod cooldown;
mod durability;
mod error;
mod keeper;
mod lessons;
mod lost_reply;
mod open_platform;
mod reject;
mod served_until;
mod upstream;
mod work;
mod world;
