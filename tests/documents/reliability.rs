//! `docs/RELIABILITY.md`: every statement names an existing test.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

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

/// Returns whether this name is a test: a function marked as one, not a helper; or a browser test.
fn has_test(text: &str, name: &str) -> bool {
    if [format!("test(\"{name}\""), format!("test('{name}'")]
        .iter()
        .any(|written| text.contains(written))
    {
        return true;
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let begins = |line: &&str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ").is_some_and(|rest| {
            rest.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('('))
        })
    };
    lines
        .iter()
        .enumerate()
        .filter(|(_, line)| begins(line))
        .any(|(at, _)| {
            let marks = lines[..at]
                .iter()
                .rev()
                .take_while(|line| line.starts_with("#[") || line.starts_with("//"));
            marks
                .into_iter()
                .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
        })
}

#[test]
fn a_helper_is_not_a_test() {
    let text = "/// Helps.\nasync fn a_peer(x: u8) {}\n\n#[tokio::test(flavor = \"multi_thread\")]\n#[ignore = \"needs …\"]\n// why\nasync fn a_page() {}\n
        #[test]\nfn pure() {}\nfn after() {}\ntest('in a browser', async () => {});\n";
    for name in ["a_page", "pure", "in a browser"] {
        assert!(has_test(text, name), "{name}");
    }
    for name in ["a_peer", "after", "page", "a_pag", "none"] {
        assert!(!has_test(text, name), "{name}");
    }
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
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for row in rows().iter().filter(|row| row.len() == 4) {
        for cell in &row[1..] {
            let named = named_tests(cell);
            assert!(
                !named.is_empty(),
                "\"{}\": no test behind \"{cell}\"",
                row[0]
            );
            for (file, name) in named {
                let text = fs::read_to_string(tests.join(file))
                    .unwrap_or_else(|error| panic!("{file}: {error}"));
                assert!(has_test(&text, name), "{file} has no test {name}");
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
    let mut written: HashSet<&str> = lines
        .filter_map(|line| line.split_once(": FaultKind"))
        .map(|(name, _)| name)
        .collect();
    assert!(text.contains("mod unreachable {"));
    written.insert("unreachable");
    assert_eq!(
        listed.iter().map(String::as_str).collect::<HashSet<_>>(),
        written
    );
    assert_eq!(listed.len(), written.len(), "a row twice");
}
