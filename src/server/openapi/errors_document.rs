//! Checks the tables of `docs/ERRORS.md` and `docs/zh/ERRORS.md` against the problem codes and the errcode
//! tables.
//!
//! `UPDATE_DOCS=1 cargo test --lib errors_document` rewrites the tables. It keeps the cells "what to do" of
//! the problem codes, which are written by hand.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::codes::{self, Advice};
use crate::error::{Paid, ProblemCode, System, Wait};

/// Placeholder for the cell "what to do" of a new problem code.
const TODO: &str = "–";

/// A document and its language.
struct Document {
    path: &'static str,
    english: bool,
}

const DOCUMENTS: [Document; 2] = [
    Document {
        path: "docs/ERRORS.md",
        english: true,
    },
    Document {
        path: "docs/zh/ERRORS.md",
        english: false,
    },
];

impl Document {
    fn file(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(self.path)
    }

    fn choose<'a>(&self, en: &'a str, zh: &'a str) -> &'a str {
        if self.english { en } else { zh }
    }

    /// Returns one row per code, in the order of the code's table; `todo` holds the hand-written cells.
    fn problem_codes(&self, todo: &HashMap<String, String>) -> String {
        let mut table = self
            .choose(
                "| code | status | meaning | what to do |\n|---|---|---|---|\n",
                "| code | 状态码 | 含义 | 处理办法 |\n|---|---|---|---|\n",
            )
            .to_owned();
        for problem in ProblemCode::ALL {
            let meaning = problem.meaning();
            let meaning = cell(self.choose(&meaning.en, &meaning.zh));
            let action = todo.get(problem.as_str()).map_or(TODO, String::as_str);
            table += &format!(
                "| `{problem}` | {} | {meaning} | {action} |\n",
                problem.status()
            );
        }
        table
    }

    /// Returns the rows of one system.
    fn errcodes(&self, system: System) -> String {
        let mut table = self
            .choose(
                "| errcode | class | tried again | cause | fix |\n|---|---|---|---|---|\n",
                "| errcode | class | 重试 | 原因 | 处理办法 |\n|---|---|---|---|---|\n",
            )
            .to_owned();
        for (_, paid, errcode, advice) in codes::all().filter(|row| row.0 == system) {
            let call = match paid {
                None => "",
                Some(Paid::WithSecret) => self.choose(" (token call)", "（取 token 时）"),
                Some(Paid::WithToken) => self.choose(" (ticket call)", "（取 ticket 时）"),
            };
            table += &format!(
                "| {errcode}{call} | `{}` | {} | {} | {} |\n",
                advice.class.as_str(),
                self.wait(advice),
                cell(self.choose(&advice.cause.en, &advice.cause.zh)),
                cell(self.choose(&advice.fix.en, &advice.fix.zh)),
            );
        }
        table
    }

    fn wait(&self, advice: &Advice) -> &'static str {
        let (en, zh) = match advice.wait {
            Wait::Backoff => ("after 1 s, 2 s … 60 s", "1 秒、2 秒……60 秒后"),
            Wait::Slow => ("after 1 to 5 minutes", "1～5 分钟后"),
            Wait::NextMinute => ("in the next minute", "下一分钟"),
            Wait::NextDay => ("after midnight in Shanghai", "北京时间零点后"),
            Wait::For(time) if time.as_secs() > 3600 => ("after a day", "一天后"),
            Wait::For(_) => ("after an hour", "一小时后"),
            Wait::Until(_) => ("when WeChat says", "按微信给出的时间"),
        };
        if self.english { en } else { zh }
    }
}

/// Escapes a text for a table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Returns the byte range between `<!-- NAME: generated -->` and `<!-- /NAME -->`.
fn block(text: &str, name: &str) -> std::ops::Range<usize> {
    let begin = format!("<!-- {name}: generated -->\n");
    let start = text
        .find(&begin)
        .unwrap_or_else(|| panic!("no block {name}"))
        + begin.len();
    let end = text.find(&format!("<!-- /{name} -->")).unwrap();
    start..end
}

/// Returns the last cell of each row, by the code in the first cell.
fn written_by_hand(table: &str) -> HashMap<String, String> {
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        (
            cells[0].trim_matches('`').to_owned(),
            cells[cells.len() - 1].to_owned(),
        )
    })
    .collect()
}

#[test]
fn the_tables_of_the_errors_document_are_those_of_the_code() {
    for document in DOCUMENTS {
        let written = std::fs::read_to_string(document.file()).unwrap();
        let mut text = written.clone();
        let todo = written_by_hand(&text[block(&text, "problem codes")]);
        for (name, table) in [
            ("problem codes", document.problem_codes(&todo)),
            ("weixin errcodes", document.errcodes(System::Weixin)),
            ("qyapi errcodes", document.errcodes(System::Qyapi)),
        ] {
            let range = block(&text, name);
            text.replace_range(range, &table);
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(document.file(), &text).unwrap();
        } else {
            assert!(
                text == written,
                "{} differs from the code: run UPDATE_DOCS=1 cargo test --lib errors_document",
                document.path
            );
        }
        for problem in ProblemCode::ALL {
            assert!(
                todo.get(problem.as_str())
                    .is_some_and(|action| action != TODO),
                "{}: write what to do about {}",
                document.path,
                problem
            );
        }
    }
}
