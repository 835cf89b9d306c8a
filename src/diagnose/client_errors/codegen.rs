//! Writes the table into the scripts and documents and checks that they match it.
//!
//! After changing the table, run
//! `WRITE_SCRIPTS=1 cargo test --features diagnose the_scripts_hold_the_table`.

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::error::Text;

const PAGES: &str = "static/demo/client-errors.js";
const CLIENT: &str = "static/client/wx-jssdk.js";
const ENGLISH: &str = "docs/ERRORS.md";
const CHINESE: &str = "docs/zh/ERRORS.md";

/// The lines that enclose the generated part of the client script and of a document.
const CLIENT_MARKS: [&str; 2] = ["  // <client-errors>\n", "  // </client-errors>"];
const DOCUMENT_MARKS: [&str; 2] = ["<!-- client errors -->\n", "<!-- /client errors -->"];

#[test]
fn the_scripts_hold_the_table() {
    holds(PAGES, |_| for_pages());
    holds(CLIENT, |held| {
        between(held, CLIENT_MARKS, &for_client(held))
    });
    holds(ENGLISH, |held| {
        between(held, DOCUMENT_MARKS, &for_document(true))
    });
    holds(CHINESE, |held| {
        between(held, DOCUMENT_MARKS, &for_document(false))
    });
}

#[test]
fn the_advice_names_the_simulated_clients_without_open_tags() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/static/sandbox/wechat-client.js"
    );
    let script = std::fs::read_to_string(path).unwrap();
    let (_, clients) = script.split_once("var CLIENTS = {").unwrap();
    let advice = explained("WeixinOpenTagsError").unwrap().fix.en;
    let (named, _) = advice.split_once("may not render open tags").unwrap();
    let (_, named) = named.rsplit_once(": ").unwrap();
    for (client, name) in [
        ("android", "Android"),
        ("ios", "iOS"),
        ("mini", "mini program"),
        ("desktop", "desktop clients"),
        ("devtools", "DevTools"),
        ("wecom", "WeCom"),
    ] {
        let (_, rest) = clients.split_once(&format!("{client}: {{")).unwrap();
        let (_, tags) = rest.split_once("tags: ").unwrap();
        assert_eq!(tags.starts_with("false"), named.contains(name), "{client}");
    }
}

fn holds(name: &str, wanted: impl FnOnce(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let held = std::fs::read_to_string(&path).unwrap_or_default();
    let wanted = wanted(&held);
    if std::env::var_os("WRITE_SCRIPTS").is_some() {
        std::fs::write(path, wanted).unwrap();
    } else {
        assert!(
            held == wanted,
            "{name} differs from src/diagnose/client_errors/table.rs: run WRITE_SCRIPTS=1 cargo test --features diagnose the_scripts_hold_the_table"
        );
    }
}

fn between(held: &str, marks: [&str; 2], part: &str) -> String {
    let (before, rest) = held.split_once(marks[0]).unwrap();
    let (_, after) = rest.split_once(marks[1]).unwrap();
    format!("{before}{}{part}{}{after}", marks[0], marks[1])
}

/// Returns one row per error, and one for its meaning in WeCom if that differs: the first text of a client,
/// cause and fix.
fn for_document(english: bool) -> String {
    let choose = |text: &Text| {
        if english {
            text.en.to_string()
        } else {
            text.zh.to_string()
        }
    };
    let mut table = String::from(if english {
        "| `errMsg` contains | cause | fix |\n|---|---|---|\n"
    } else {
        "| `errMsg` 包含 | 原因 | 处理办法 |\n|---|---|---|\n"
    });
    let (stop, note) = if english {
        (".", " in WeCom")
    } else {
        ("。", "（企业微信）")
    };
    for Row { error, .. } in &ROWS[0] {
        let says = error.when.iter().find(|says| says.is_ascii());
        let says = says
            .unwrap_or(&error.when[0])
            .trim_end_matches('$')
            .replace('*', "…")
            .replace(" & ", "` … `");
        let in_wecom = error.in_wecom().filter(|cause| **cause != error.cause);
        let in_wecom = in_wecom.map(|cause| (cause, note));
        for (cause, note) in [(&error.cause, "")].into_iter().chain(in_wecom) {
            let text = choose(&cause.cause);
            // A Chinese sentence that begins in Latin letters begins with a name.
            let (first, rest) = text.split_at(usize::from(english));
            let _ = writeln!(
                table,
                "| `{says}`{note} | {}{rest}{stop} | {} |",
                first.to_uppercase(),
                choose(&cause.fix)
            );
        }
    }
    table
}

fn for_pages() -> String {
    let mut script = String::from(
        "// Written from src/diagnose/client_errors/table.rs: what a client's errMsg means. Change it there.\n\n\
         /** Without what does not count: case, full width, blanks and `_`. */\n\
         export const plain = (says) =>\n  ",
    );
    script += PLAIN;
    script += ";\n";
    for (name, rows) in [("CLIENT_ERRORS", &ROWS[0]), ("REFUSED", &ROWS[1])] {
        let _ = write!(script, "\nexport const {name} = [\n");
        for Row { error, when } in rows {
            let [cause, fix] =
                [&error.cause.cause, &error.cause.fix].map(|text| [&*text.en, &*text.zh]);
            let _ = writeln!(
                script,
                "  {{\n    code: {},\n    when: /{}/,\n    title: {},\n    cause: {},\n    fix: {},\n  }},",
                json(error.cause.code),
                pattern(when),
                json(error.title),
                json(cause),
                json(fix)
            );
        }
        script += "];\n";
    }
    script
}

/// Returns codes and patterns. The script has its own texts: it signs and configures itself, and has to be small.
fn for_client(held: &str) -> String {
    let mut script = String::from("  // From client_errors/table.rs.\n  const plain = (says) => ");
    script += &PLAIN.replace("\n    ", "");
    script += ";\n  const SAID = [\n";
    for Row { error, when } in ROWS[0].iter().filter(|row| row.error.in_script) {
        let code = error.cause.code;
        assert!(
            held.contains(&format!("\n    {code}: [")),
            "{CLIENT} has no text for {code}"
        );
        let pattern = pattern(said_by_clients(when));
        // Earlier rows, which the script lacks, explain agentConfig:fail and "system permission denied".
        let pattern = match code {
            "config_field_missing" => pattern.replace("config:fail", r"\bconfig:fail"),
            "permission_denied" => format!("^(?![^]*systempermission)[^]*(?:{pattern})"),
            _ => pattern,
        };
        let _ = writeln!(script, "    [{}, /{pattern}/],", json(code));
    }
    script + "  ];\n"
}

fn json(value: impl serde::Serialize) -> String {
    serde_json::to_string(&value)
        .unwrap()
        .replace("\",\"", "\", \"")
}

/// `squashed(folded(text))` in JavaScript; NFKC makes full-width characters half-width.
const PLAIN: &str = r#"String(says)
    .normalize("NFKC")
    .replace(/[^\S\n]|[_\u200b-\u200f\ufeff]/g, "")
    .toLowerCase()"#;

/// Returns a regular expression for a text normalised by [`PLAIN`].
fn pattern<'a>(when: impl IntoIterator<Item = &'a Vec<Part>>) -> String {
    let all = |parts: &Vec<Part>| match parts.as_slice() {
        [part] => one(part),
        parts => parts.iter().fold(String::from("^"), |pattern, part| {
            format!("{pattern}(?=[^]*{})", one(part))
        }),
    };
    when.into_iter().map(all).collect::<Vec<_>>().join("|")
}

/// Keeps the ASCII alternatives: in these rows, Chinese alternatives are words of users, not of clients.
fn said_by_clients(when: &[Vec<Part>]) -> impl Iterator<Item = &Vec<Part>> {
    let is_ascii = |part: &Part| match part {
        Part::Words(words) | Part::Ending(words) => words.is_ascii(),
        Part::Named(before, after) => before.is_ascii() && after.is_ascii(),
        Part::Number(_) => true,
    };
    when.iter().filter(move |parts| parts.iter().all(is_ascii))
}

fn one(part: &Part) -> String {
    match part {
        Part::Words(words) => escaped(words),
        Part::Number(number) => format!(r"(?:^|\D){number}(?!\d)"),
        Part::Named(before, after) => format!("{}[a-z0-9]+{}", escaped(before), escaped(after)),
        Part::Ending(words) => format!(r#"{}[^\w\u4e00-\u9fff"'\n]*(?:["'\n]|$)"#, escaped(words)),
    }
}

fn escaped(words: &str) -> String {
    let is_special = |c: char| r"\^$.|?*+()[]{}/".contains(c);
    words
        .chars()
        .flat_map(|c| is_special(c).then_some('\\').into_iter().chain([c]))
        .collect()
}
