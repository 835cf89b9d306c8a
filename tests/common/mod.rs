//! Helpers that several test binaries share.

pub(crate) mod process;
#[cfg(feature = "server")]
pub(crate) mod program;
pub(crate) mod redis_server;
