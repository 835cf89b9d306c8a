//! Signing to the byte, and the kept inputs of the fuzz targets.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions only, not in their helpers

#[cfg(feature = "server")]
mod fuzz_corpus;
mod vectors;
