//! The real binary: what it prints, where, and with which exit code.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)] // helpers are tests, too

mod ask;
mod check;
mod diagnose;
mod misdirected;
mod offline;
mod private;
mod proofs;
mod requests;
mod serve;
mod startable;
mod support;
