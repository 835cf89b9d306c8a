//! The rows of `docs/RELIABILITY.md`: each fault laid on a running service, seen by a page, by a peer server and by the operator.
//!
//! A refresh meets the fault, the values live on to their end, they end, the fault goes, and everything heals. Nothing is restarted.

#![allow(clippy::disallowed_methods)] // real processes, real time

mod house;
mod service;
mod upstream;
