//! The configuration: what is set when nothing is written, what wins over what, and that every mistake is named.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)] // helpers are tests, too

mod accounts;
mod broken;
mod defaults;
mod directory;
mod environment;
mod examples;
mod keys;
mod secrets;
mod support;
mod values;
mod verify;
mod warnings;
