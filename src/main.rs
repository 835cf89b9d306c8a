//! The `wx-jssdk` command: parses its arguments and runs the subcommand.

use std::process::ExitCode;

use clap::Parser as _;

/// jemalloc returns memory after a flood of connections; the C library's allocator keeps most of it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    wx_jssdk::cli::Cli::parse().run()
}
