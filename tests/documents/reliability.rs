//! `docs/RELIABILITY.md`: every statement names an existing test.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::named_tests::assert_exists;

/// The rows of all its tables, cell by cell.
fn rows() -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/RELIABILITY.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| {
        line.starts_with('|') && !line.starts_with("|---") && !line.starts_with("| fault |")
    });
    rows.map(|row| {
        row.trim_matches('|')
            .split(" | ")
            .map(|cell| cell.trim().to_owned())
            .collect()
    })
    .collect()
}

/// Returns the text between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// `file.rs test_name` in backticks, below tests/.
fn named_tests(cell: &str) -> Vec<(&str, &str)> {
    quoted(cell)
        .filter_map(|words| words.split_once(' '))
        .filter(|(file, _)| file.contains(".rs") || file.ends_with(".mjs"))
        .collect()
}

#[test]
fn no_cell_is_empty_and_every_row_has_all_its_cells() {
    let rows = rows();
    assert!(rows.len() > 30, "{} rows", rows.len());
    for row in rows {
        assert!(row.len() == 4 || row.len() == 5, "{row:?}");
        assert!(row.iter().all(|cell| cell.len() > 2), "{row:?}");
    }
}

#[test]
fn every_cell_of_the_local_faults_names_a_test_that_exists() {
    for row in rows().iter().filter(|row| row.len() == 4) {
        for cell in &row[1..] {
            let named = named_tests(cell);
            assert!(
                !named.is_empty(),
                "\"{}\": no test behind \"{cell}\"",
                row[0]
            );
            for (file, name) in named {
                assert_exists(file, name);
            }
        }
    }
}

#[test]
fn every_fault_of_wechat_has_a_row_and_every_row_its_three_tests() {
    let listed: Vec<String> = rows()
        .into_iter()
        .filter(|row| row.len() == 5)
        .map(|row| row[1].trim_matches('`').to_owned())
        .collect();
    let text = include_str!("../store/faults/upstream.rs");
    let table = text
        .split_once("\nfaults! {")
        .unwrap()
        .1
        .split_once("\n}")
        .unwrap()
        .0;
    let lines = table
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"));
    let written: HashSet<&str> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        listed.iter().map(String::as_str).collect::<HashSet<_>>(),
        written
    );
    assert_eq!(listed.len(), written.len(), "a row twice");
}
