//! The sandbox over real HTTP: it must answer as WeChat does, to the letter, and break on demand.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions; the helpers around them are no less tests

mod faults;
mod guard;
mod handle;
mod quotas;
mod refusals;
mod steering;
mod support;
mod tickets;
mod tokens;
mod verify;
mod work;
mod work_limits;
mod work_steering;
mod work_tickets;
mod work_verify;
