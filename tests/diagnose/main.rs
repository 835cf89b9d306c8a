//! The doctor: a faulty backend makes a mistake, and the doctor reports it first.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions only, not in their helpers

mod backend;
mod faults;
mod formats;
mod frameworks;
mod words;

mod pairs;
mod paste;
mod pasted;
mod properties;
mod singly;
mod whole;
