//! An address and a port in an argument: refused in the words in which the configuration refuses one.

use std::net::SocketAddr;

use crate::server::config::ill_written;

/// Where something listens.
pub(super) fn listener(text: &str) -> Result<SocketAddr, String> {
    like(text, "127.0.0.1:8080")
}

/// As in the example.
pub(super) fn like(text: &str, example: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|error| {
        let what = ill_written(text, "an address and a port", example, &error);
        format!("{}\n    {}", what.en, what.zh)
    })
}
