//! Writes the table into the scripts and checks that they match it.
//!
//! After changing the table, run
//! `WRITE_SCRIPTS=1 cargo test --features diagnose the_scripts_hold_the_table`.

use std::fmt::Write as _;
use std::path::Path;

use super::*;

const PAGES: &str = "static/client-errors.js";
const CLIENT: &str = "static/wx-jssdk.js";

/// The lines that enclose the generated part of the client script.
const MARKS: [&str; 2] = ["  // <client-errors>", "  // </client-errors>"];

#[test]
fn the_scripts_hold_the_table() {
    let path = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let client = std::fs::read_to_string(path(CLIENT)).unwrap();
    let (before, rest) = client.split_once(MARKS[0]).unwrap();
    let (_, after) = rest.split_once(MARKS[1]).unwrap();
    let client_wanted = format!("{before}{}\n{}{}{after}", MARKS[0], for_client(), MARKS[1]);
    for (name, held, wanted) in [
        (
            PAGES,
            std::fs::read_to_string(path(PAGES)).unwrap_or_default(),
            for_pages(),
        ),
        (CLIENT, client, client_wanted),
    ] {
        if std::env::var_os("WRITE_SCRIPTS").is_some() {
            std::fs::write(path(name), wanted).unwrap();
        } else {
            assert!(
                held == wanted,
                "{name} differs from src/diagnose/client_errors/table.rs: run WRITE_SCRIPTS=1 cargo test --features diagnose the_scripts_hold_the_table"
            );
        }
    }
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

fn for_client() -> String {
    let mut script = String::from(
        "  // From src/diagnose/client_errors/table.rs: code, what the client says, cause and fix in both languages.\n  const plain = (says) => ",
    );
    script += &PLAIN.replace("\n    ", "");
    script += ";\n  const SAID = [\n";
    for Row { error, when } in ROWS[0].iter().filter(|row| row.error.in_script) {
        let Text { en, zh } = &error.cause.cause;
        let fix = &error.cause.fix;
        let _ = writeln!(
            script,
            "    [{}, /{}/, {}, {}, {}, {}],",
            json(error.cause.code),
            pattern(said_by_clients(when)),
            json(en),
            json(zh),
            json(&fix.en),
            json(&fix.zh)
        );
    }
    script + "  ];\n"
}

fn json(value: impl serde::Serialize) -> String {
    serde_json::to_string(&value)
        .unwrap()
        .replace("\",\"", "\", \"")
}

/// `squashed(folded(text))` in JavaScript.
const PLAIN: &str = r#"String(says)
    .replace(/[\uff01-\uff5e]/g, (sign) => String.fromCharCode(sign.charCodeAt(0) - 0xfee0))
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
        Part::Number(_) => true,
    };
    when.iter().filter(move |parts| parts.iter().all(is_ascii))
}

fn one(part: &Part) -> String {
    match part {
        Part::Words(words) => escaped(words),
        Part::Number(number) => format!(r"(?:^|\D){number}(?!\d)"),
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
