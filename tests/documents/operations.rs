//! `docs/OPERATIONS.md`: it lists every log message, and its two languages agree.

use std::collections::BTreeSet;
use std::path::Path;

use crate::layers::{sources, without_tests};

const DOCUMENTS: [&str; 2] = ["docs/OPERATIONS.md", "docs/zh/OPERATIONS.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Returns the first cells of a table's rows that are code.
fn first_cells(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(cell, _)| cell)
}

/// The code of every source file that may log.
fn logging_code() -> Vec<String> {
    sources()
        .into_iter()
        .filter(|(module, ..)| module != "sandbox")
        .map(|(.., code)| without_tests(&code).to_owned())
        .collect()
}

/// Returns the text up to the closing bracket, ignoring brackets in strings.
fn arguments(text: &str) -> (&str, Vec<&str>) {
    let (mut depth, mut string, mut strings, mut escaped) = (1, None, Vec::new(), false);
    for (at, c) in text.char_indices() {
        match (string, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(start), '"') => {
                strings.push(&text[start..at]);
                string = None;
            }
            (Some(_), _) => {}
            (None, '"') => string = Some(at + 1),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, _) => {}
        }
        if depth == 0 {
            return (&text[..at], strings);
        }
    }
    panic!("no end: {text}")
}

/// The fixed parts of the messages that the code logs at WARN and ERROR.
fn messages() -> BTreeSet<String> {
    let mut messages = BTreeSet::new();
    for code in logging_code() {
        let code = code.replace("compile_error!(", ""); // for the compiler's user, not the log
        for call in ["warn!(", "error!(", ".log_store_error(", ".log_warning("] {
            for rest in code.split(call).skip(1) {
                let (_, strings) = arguments(rest);
                messages.extend(strings.last().map(|message| fixed_part(message)));
            }
        }
        // A long message that is defined outside its call.
        let named = code
            .split("let what = \"")
            .skip(1)
            .filter(|_| code.contains(".log_warning("));
        messages.extend(named.map(|rest| fixed_part(rest.split('"').next().unwrap())));
    }
    messages.retain(|message| message.len() > 8);
    messages
}

/// Returns the longest fixed part of a message with variable parts.
fn fixed_part(message: &str) -> String {
    let parts = message
        .split(['{', '}'])
        .enumerate()
        .filter(|(at, _)| at % 2 == 0)
        .map(|(_, part)| part.trim_matches([' ', ':']));
    parts
        .max_by_key(|part| part.len())
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn every_warning_and_error_of_the_log_is_documented_in_both_languages_and_no_other() {
    let messages = messages();
    assert!(
        messages.len() >= 25 && messages.contains("refresh failed"),
        "{messages:#?}"
    );
    assert!(
        messages.iter().all(|message| message.is_ascii()),
        "English only: {messages:#?}"
    );
    let code = logging_code().concat();
    for path in DOCUMENTS {
        let text = document(path);
        let rows: BTreeSet<_> = first_cells(&text).collect();
        for message in &messages {
            assert!(
                rows.contains(message.as_str()),
                "{path} does not have: {message}"
            );
        }
        let is_message = |row: &&&str| row.contains(' ') && !row.starts_with("GET ");
        for row in rows.iter().filter(is_message) {
            assert!(
                code.contains(*row),
                "{path} has a message that is never logged: {row}"
            );
        }
    }
}

#[test]
fn the_log_message_parser_finds_every_message() {
    assert_eq!(
        arguments(r#"a = f(b), "x \" y)", "z: {e}"); more"#),
        (
            r#"a = f(b), "x \" y)", "z: {e}""#,
            vec![r#"x \" y)"#, "z: {e}"]
        )
    );
    assert_eq!(
        fixed_part("and {accounts} more accounts: {what}"),
        "more accounts"
    );
}

#[test]
fn both_languages_have_the_same_sections_and_their_links_lead_somewhere() {
    let headings = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| line.split(' ').next().unwrap().len())
            .collect::<Vec<_>>()
    };
    let [en, zh] = DOCUMENTS.map(document);
    assert_eq!(headings(&en), headings(&zh));
    for (path, text) in DOCUMENTS.into_iter().zip([en, zh]) {
        let anchors: BTreeSet<_> = text
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(anchor)
            .collect();
        for link in text
            .split("](")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap())
        {
            match link.strip_prefix('#') {
                Some(name) => assert!(
                    anchors.contains(name),
                    "{path}: there is no #{name} in {anchors:?}"
                ),
                None => assert!(
                    root()
                        .join(path)
                        .with_file_name(link.split('#').next().unwrap())
                        .exists(),
                    "{path}: {link}"
                ),
            }
        }
    }
}

/// Returns GitHub's anchor of a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
