//! Documentation and code agree: metrics, log messages, alerts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::operations::world::*;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) const DOCUMENTS: [&str; 2] = ["docs/OPERATIONS.md", "docs/zh/OPERATIONS.md"];

pub(crate) fn document(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the first cells of a table's rows that are code.
fn first_cells(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(cell, _)| cell)
}

/// Every name with its type, as a scrape of the running service describes them.
pub(crate) async fn metrics() -> Vec<(String, String)> {
    let service = Service::with(&["shop"]).await;
    let scrape = service.scrape().await;
    let described = scrape
        .described()
        .into_iter()
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    service.end().await;
    described
}

#[tokio::test]
async fn every_metric_is_documented_in_both_languages_with_its_type_and_no_other() {
    let metrics = metrics().await;
    for path in DOCUMENTS {
        let text = document(path);
        let rows: BTreeSet<_> = first_cells(&text)
            .filter(|cell| cell.starts_with("wx_jssdk_") || cell.starts_with("process_"))
            .collect();
        let names: BTreeSet<_> = metrics.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names.difference(&rows).collect::<Vec<_>>(),
            Vec::<&&str>::new(),
            "missing in {path}"
        );
        assert_eq!(
            rows.difference(&names).collect::<Vec<_>>(),
            Vec::<&&str>::new(),
            "only in {path}"
        );
        for (name, kind) in &metrics {
            assert!(
                text.contains(&format!("| `{name}` | {kind} |")),
                "{path}: {name} is a {kind}"
            );
        }
    }
}

#[tokio::test]
async fn the_labels_that_samples_have_are_the_documented_ones() {
    let service = Service::with(&["shop"]).await;
    service.warm("shop").await;
    service.once(TOKEN, wx_jssdk::sandbox::FaultKind::Errcode(-1));
    service.advance(7_030);
    let failing = |scrape: &Scrape| {
        scrape
            .all("wx_jssdk_upstream_failures_total", &[])
            .next()
            .is_some()
    };
    let scrape = service.until("a failure", failing).await;
    for path in DOCUMENTS {
        let text = document(path);
        for (name, kind) in scrape.described() {
            let sample = if kind == "histogram" {
                format!("{name}_count")
            } else {
                name.to_owned()
            };
            let Some((labels, _)) = scrape.all(&sample, &[]).next() else {
                continue;
            };
            let row = text
                .lines()
                .find(|line| line.starts_with(&format!("| `{name}` |")))
                .unwrap();
            let cell = row.split('|').nth(3).unwrap();
            let documented: BTreeSet<_> = cell
                .split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect();
            assert_eq!(
                documented,
                labels.keys().cloned().collect(),
                "{path}: {row}"
            );
        }
    }
    service.end().await;
}

/// Every source file that may log.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if !path.ends_with("sandbox") => walk(&path, found),
                false if path.extension().is_some_and(|extension| extension == "rs") => {
                    found.push(path)
                }
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join("src"), &mut found);
    let code = |path: &PathBuf| {
        fs::read_to_string(path)
            .unwrap()
            .split("#[cfg(test)]")
            .next()
            .unwrap()
            .to_owned()
    };
    found
        .into_iter()
        .map(|path| (path.clone(), code(&path)))
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
    for (_, code) in sources() {
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
    let code: String = sources().into_iter().map(|(_, code)| code).collect();
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
