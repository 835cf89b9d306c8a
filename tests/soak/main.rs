//! `make soak`: three processes under load with one fault after another. The simulated WeChat verifies each answer.
//!
//! Two nodes share a Redis, a third has a file; tokens live 90 seconds and tickets 400, so that ten minutes hold many refreshes. What must hold
//! is in [`results`]: no wrong signature, nothing dead, no failure while a valid value is there, an answer in time, memory flat.
//!
//! An exhausted daily quota, which lasts until midnight, is not included: it is tested in `tests/store/faults` and `tests/broker`.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions only, not in their helpers
#![allow(clippy::disallowed_methods)] // real processes, real time
#![allow(clippy::print_stdout)] // its report

#[allow(dead_code)] // each binary uses a part of it
#[path = "../common/mod.rs"]
mod common;
mod load;
mod nodes;
mod results;
mod trouble;
mod world;

use std::time::{Duration, Instant};

use trouble::Trouble;
use world::World;

/// Seconds; `SOAK_SECONDS` changes it.
const USUALLY: u64 = 600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test (short), make soak (ten minutes)"]
async fn under_load_and_every_fault_all_signatures_are_correct_and_available() {
    let seconds = std::env::var("SOAK_SECONDS").map_or(USUALLY, |text| {
        text.parse().expect("SOAK_SECONDS is a number")
    });
    let world = World::start(Duration::from_secs(seconds)).await;
    let load = load::start(&world);
    let watch = nodes::watch_memory(&world);
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    let mut turn = 0;
    while Instant::now() < end {
        let trouble = Trouble::ALL[turn % Trouble::ALL.len()];
        turn += 1;
        let begun = Instant::now();
        trouble.play(&world).await;
        world.results.played(trouble.name());
        println!(
            "{:>8.1?} into it: {} for {:.1?}",
            start.elapsed(),
            trouble.name(),
            begun.elapsed()
        );
        // A pause without faults, so that recovery is observed.
        tokio::time::sleep(trouble::CALM).await;
    }
    world.stop();
    for client in load {
        client.await.unwrap();
    }
    let memory = watch.await.unwrap();
    world.results.report(&memory, world.sandbox.calls_total());
    world.results.assert_clean();
    memory.assert_flat();
}
