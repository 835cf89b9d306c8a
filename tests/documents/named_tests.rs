//! The tests that documents name: each exists, and is a test.

use std::path::Path;

/// Asserts that this file below `tests/` has this test.
pub(crate) fn assert_exists(file: &str, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(file);
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(has_test(&text, name), "{file} has no test {name}");
}

/// Returns whether this name is a test and not a helper: a function marked as one, or listed for a macro that makes
/// tests; or a browser test.
pub(crate) fn has_test(text: &str, name: &str) -> bool {
    if [format!("test(\"{name}\""), format!("test('{name}'")]
        .iter()
        .any(|written| text.contains(written))
    {
        return true;
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_listed = lines.iter().any(|line| {
        let mut names = line.split(", ");
        line.ends_with(',') && names.any(|listed| listed.trim_end_matches(',') == name)
    });
    let begins = |line: &&str| {
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
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
            let mut marks = lines[..at]
                .iter()
                .rev()
                .take_while(|line| line.starts_with("#[") || line.starts_with("//"));
            is_listed
                || marks
                    .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
        })
}

#[test]
fn a_helper_is_not_a_test() {
    let text = "/// Helps.\nasync fn a_peer(x: u8) {}\n\n#[tokio::test(flavor = \"multi_thread\")]\n#[ignore = \"needs …\"]\n// why\nasync fn a_page() {}\n
        #[test]\nfn pure() {}\nfn after() {}\naccept!(\n  a_rule, a_law,\n);\npub(crate) async fn a_rule() {}\nlet x = [a_peer, 1];\ntest('in a browser', async () => {});\n";
    for name in ["a_page", "pure", "a_rule", "in a browser"] {
        assert!(has_test(text, name), "{name}");
    }
    for name in ["a_peer", "after", "page", "a_pag", "a_law", "none"] {
        assert!(!has_test(text, name), "{name}");
    }
}

#[test]
fn every_test_against_a_known_mistake_exists() {
    let rows = include_str!("../broker/lessons.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "))
        .skip(1);
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len(), 26, "one row for each mistake");
    for row in rows {
        let (_, tests) = row.trim_end_matches(" |").split_once(" | ").unwrap();
        for test in tests.split(", ") {
            let (file, name) = test.split_once(' ').unwrap_or_else(|| panic!("{row}"));
            assert_exists(file, name);
        }
    }
}
