//! The calls to WeChat: what goes out, and what becomes of every answer that can come back.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails

mod answers;
mod client;
mod garbage;
mod refusals;
mod requests;
mod silence;
mod support;
