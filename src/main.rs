//! The `wx-jssdk` command.
fn main() {}
