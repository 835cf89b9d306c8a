//! Helpers shared by several test binaries.

pub(crate) mod http;
#[cfg(feature = "server")]
pub(crate) mod log;
pub(crate) mod process;
#[cfg(feature = "server")]
pub(crate) mod program;
pub(crate) mod redis_server;
#[cfg(feature = "server")]
pub(crate) mod service;
pub(crate) mod sql_server;
pub(crate) mod tls;
pub(crate) mod upstream;
pub(crate) mod wait;
