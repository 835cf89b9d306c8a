//! The `wx-jssdk` command: parses its arguments and runs what they say.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    wx_jssdk::cli::Cli::parse().run()
}
