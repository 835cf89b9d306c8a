//! Tables of the documents: Markdown shows rows as text if their table has been ended by other text.

use std::path::{Path, PathBuf};

/// Every Markdown document of this folder and those below it.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true if path.ends_with("node_modules") => Vec::new(),
            true => documents(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|name| name == "md"))
        .collect()
}

/// Returns the lines that begin a table without a head: the next line must be `|---|`.
fn rows_without_a_head(text: &str) -> Vec<&str> {
    let is_row = |line: &str| line.starts_with('|');
    let is_rule = |line: &str| is_row(line) && line.chars().all(|c| "|-: ".contains(c));
    let (mut before, mut is_code, mut found) = ("", false, Vec::new());
    let lines: Vec<_> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        is_code ^= line.trim_start().starts_with("```");
        let has_head = lines.get(at + 1).is_some_and(|next| is_rule(next));
        if !is_code && is_row(line) && !is_row(before) && !has_head {
            found.push(*line);
        }
        before = line;
    }
    found
}

#[test]
fn every_row_of_a_table_follows_its_head_without_other_text_between() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["docs", "examples", "packaging"].map(|folder| documents(&root.join(folder)));
    let top = [
        "README.md",
        "README.zh-CN.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
    ];
    let top = top.map(|name| root.join(name));
    for path in folders.concat().iter().chain(&top) {
        let text = std::fs::read_to_string(path).unwrap();
        let found = rows_without_a_head(&text);
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
}

#[test]
fn a_row_after_other_text_is_found_and_code_is_not() {
    let text = "| a | b |\n|---|---|\n| 1 | 2 |\n\ntext\n| 3 | 4 |\n\n```text\n| 5 |\n```\n";
    assert_eq!(rows_without_a_head(text), ["| 3 | 4 |"]);
}
