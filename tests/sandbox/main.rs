//! The sandbox over real HTTP: it must answer exactly as WeChat does, and fail on demand.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions only, not in their helpers

mod authorize_page;
#[allow(dead_code)] // each binary uses a part of it
#[path = "../common/mod.rs"]
mod common;
mod echo;
mod faults;
mod guard;
mod handle;
mod login;
mod messages;
mod network;
mod open_platform;
mod platform_steering;
mod platform_support;
mod push;
mod quotas;
mod refusals;
mod shapes;
mod steering;
mod support;
#[cfg(target_os = "linux")]
mod threads;
mod tickets;
mod tokens;
mod verify;
mod work;
mod work_limits;
mod work_steering;
mod work_tickets;
mod work_verify;
