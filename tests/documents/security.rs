//! `docs/SECURITY.md`: each test that it names exists and is a test.

use std::path::Path;

use crate::named_tests::assert_exists;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn document() -> String {
    read("docs/SECURITY.md")
}

/// The rows of the table: the actor and the tests.
fn rows() -> Vec<(String, Vec<String>)> {
    let document = document();
    let table = document
        .split("| who | may | may not | shown by |")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    let rows = table.lines().skip(2).filter(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        (
            cells[0].to_owned(),
            cells[3].split(", ").map(str::to_owned).collect(),
        )
    })
    .collect()
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let rows = rows();
    assert!(rows.len() >= 16, "{}", rows.len());
    for (who, tests) in rows {
        assert!(!tests.is_empty(), "{who}");
        for test in tests {
            let (file, name) = test
                .split_once(' ')
                .unwrap_or_else(|| panic!("{who}: {test}"));
            assert_exists(file, name);
        }
    }
}

#[test]
fn the_threat_model_lists_every_actor_and_where_to_report() {
    for who in [
        "visitor",
        "Another site's page",
        "Holder of a key",
        "wrong key",
        "user of the machine",
        "proxy",
        "WeChat's place",
        "operator",
        "supply chain",
    ] {
        assert!(rows().iter().any(|(name, _)| name.contains(who)), "{who}");
    }
    let chinese = read("docs/zh/SECURITY.md");
    assert!(document().contains("Report a vulnerability") && chinese.contains("报告漏洞"));
    let bold = |text: &str| text.lines().filter(|line| line.starts_with("| **")).count();
    assert_eq!(bold(&document()), bold(&chinese), "a row is not translated");
}

#[test]
#[cfg(unix)]
fn the_limits_that_it_states_are_the_defaults() {
    let defaults = read("wx-jssdk.default.toml");
    for setting in [
        "max_connections = 10000",
        "request_seconds = 20",
        "requests_per_second = 100",
        "wrong_keys = 10",
    ] {
        assert!(defaults.lines().any(|line| line == setting), "{setting}");
    }
    assert!(document().contains("10,000 connections, 20 s for a request, 100 requests a second"));
}
