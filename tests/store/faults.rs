//! The rows of `docs/RELIABILITY.md`: each fault on a running service, seen by a page, by a client and by the operator.
//!
//! A refresh fails, the values are served to their end and expire, the fault ends, and the service recovers without a restart.

#![allow(clippy::disallowed_methods)] // real processes, real time

mod house;
mod service;
mod upstream;
