//! The broker against the sandbox, on a clock that stands still until it is told: nothing here sleeps.

#![allow(unreachable_pub)] // one binary, shared by its modules
#![allow(clippy::unwrap_used)] // helpers of tests are not in a #[test]

mod chain;
mod cold;
mod cooldown;
mod keeper;
mod lost_reply;
mod reject;
mod work;
mod world;
