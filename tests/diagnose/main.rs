//! The doctor: a faulty backend makes a mistake, and the doctor names it first.
#![cfg(feature = "diagnose")]
#![allow(clippy::unwrap_used)] // helpers of tests are not in a #[test]

mod backend;
mod faults;
mod frameworks;
mod words;

mod pairs;
mod paste;
mod pasted;
mod properties;
mod singly;
mod whole;
