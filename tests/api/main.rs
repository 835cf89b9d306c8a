//! The service over real HTTP, in this process: both listeners on free ports, the sandbox behind them, and a manual clock.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions only, not in their helpers

#[cfg(feature = "axum")]
mod adapters;
mod admin;
mod api_description;
mod app;
mod bad_input;
mod cards;
mod client;
#[allow(dead_code)] // each binary uses a part of it
#[path = "../common/mod.rs"]
mod common;
mod cors;
mod crowd;
mod doctor;
mod egress;
#[cfg(feature = "axum")]
mod embedding;
mod failures;
mod gateway;
mod http;
mod limits;
mod pages;
mod platform;
mod platform_messages;
mod requests;
mod secrets;
mod signing;
mod status;
mod tls;
mod verify;
mod work;
