//! The configuration: what is set when nothing is written, what wins over what, and that every mistake is named.

mod accounts;
mod broken;
mod defaults;
mod directory;
mod egress;
mod environment;
mod examples;
mod gateway;
mod keys;
mod notify;
mod platforms;
mod secrets;
mod support;
mod values;
mod verify;
mod warnings;
