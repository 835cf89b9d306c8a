//! Every kept input of the fuzz targets (`fuzz/corpus`), run through the same functions as in `make fuzz`: inputs that once
//! caused a failure stay tests.

#![allow(dead_code, unreachable_pub)] // the targets are a crate of their own

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/src/lib.rs"]
mod targets;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The kept inputs of a target, without those that a longer run added and that are not in git.
fn corpus(target: &str) -> Vec<PathBuf> {
    let kept = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("seed-") || name.starts_with("found-")
    };
    let mut files: Vec<_> = fs::read_dir(fuzz().join("corpus").join(target))
        .unwrap_or_else(|error| panic!("{target} has no corpus: {error}"))
        .map(|entry| entry.unwrap().path())
        .filter(kept)
        .collect();
    files.sort();
    files
}

/// A search for the mistake behind a signature tries thousands of strings.
fn cuts(target: &str) -> usize {
    if target == "diagnose" { 2 } else { 16 }
}

fn replay(target: &str) {
    let (_, run) = targets::TARGETS
        .iter()
        .find(|(name, _)| *name == target)
        .unwrap();
    let files = corpus(target);
    assert!(files.len() >= 3, "{target} has {} inputs", files.len());
    for file in files {
        let bytes = fs::read(&file).unwrap();
        eprintln!("{}", file.display()); // shown when it fails
        run(&bytes);
        // A truncated or changed input may be refused, but it must not cause a failure either.
        for cut in (0..bytes.len()).step_by(1 + bytes.len() / cuts(target)) {
            run(&bytes[..cut]);
            let mut other = bytes.clone();
            other[cut] ^= 0x20;
            run(&other);
        }
    }
}

#[test]
fn kept_page_urls_are_signed_as_they_are_or_refused() {
    replay("page_url");
}

#[test]
fn kept_queries_are_signed_as_they_say_or_refused() {
    replay("query");
}

#[test]
fn kept_bodies_of_wechat_are_values_or_errors_without_secrets() {
    replay("upstream");
}

#[test]
fn kept_configurations_are_read_or_refused_with_reasons() {
    replay("config");
}

#[test]
fn kept_refusals_are_explained_without_a_ticket() {
    replay("diagnose");
}

#[test]
fn kept_calls_of_other_servers_are_answered_in_shape() {
    replay("central");
}

#[test]
fn every_target_has_its_program_its_entry_and_its_corpus() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let makefile = fs::read_to_string(fuzz().join("../Makefile")).unwrap();
    let list = makefile
        .lines()
        .find_map(|line| line.strip_prefix("FUZZ_TARGETS := "))
        .expect("the targets of make fuzz");
    let run: Vec<&str> = list.split(' ').collect();
    for (name, _) in targets::TARGETS {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} is no program"
        );
        let program = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(
            program.contains(&format!("wx_jssdk_fuzz::{name}(data)")),
            "{name}: {program}"
        );
        assert!(run.contains(name), "make fuzz leaves {name} out");
        assert!(!corpus(name).is_empty());
    }
    assert_eq!(run.len(), targets::TARGETS.len(), "{run:?}");
}

#[test]
fn the_page_url_target_rejects_addresses_that_no_browser_has() {
    for refused in [
        "",
        "https://",
        "https://a b/",
        "https://u@example.com/",
        "https://example.com/张",
        "example.com",
        "http://a\\b/",
    ] {
        assert!(targets::must_be_refused(refused), "{refused}");
    }
    assert!(!targets::must_be_refused("HTTPS://example.com:8443/p?a=@b"));
}
