//! The rows of `docs/RELIABILITY.md`: each fault laid on a running service, seen by a page, by a peer server and by the operator.
//!
//! A renewal meets the fault, the values live on to their end, they end, the fault goes, and everything heals. Nothing is restarted.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)] // helpers of tests are not in a #[test]

mod document;
mod service;
mod upstream;
