//! Signing and push encryption to the byte, and the kept inputs of the fuzz targets.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions only, not in their helpers

#[cfg(feature = "server")]
mod fuzz_corpus;
#[cfg(feature = "platform")]
mod push_vectors;
mod vectors;
