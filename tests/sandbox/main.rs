//! The sandbox over real HTTP: it must answer as WeChat does, to the letter, and break on demand.
#![cfg(feature = "sandbox")]

mod faults;
mod handle;
mod quotas;
mod refusals;
mod steering;
mod support;
mod tickets;
mod tokens;
mod verify;
