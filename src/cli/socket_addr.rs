//! Parses `ADDRESS:PORT` arguments, with the configuration's error texts.

use std::net::SocketAddr;

use crate::server::config::ill_written;

/// Parses the address of a listener.
pub(super) fn listener(text: &str) -> Result<SocketAddr, String> {
    like(text, "127.0.0.1:8080")
}

/// Parses an address; an error quotes `example`.
pub(super) fn like(text: &str, example: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| ill_written(text, "an address and a port", example).to_string())
}
