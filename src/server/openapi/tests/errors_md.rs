//! Checks the tables of `docs/ERRORS.md` and `docs/zh/ERRORS.md` against the problem codes and the errcode
//! tables.
//!
//! `UPDATE_DOCS=1 cargo test --lib errors_md` rewrites the tables.

use std::path::{Path, PathBuf};

use crate::error::codes;
use crate::error::{ProblemCode, System, Text};
use crate::server::openapi::errors_page::{call, wait};
use crate::server::pages::Lang;

/// A document and its language.
struct Document {
    path: &'static str,
    lang: Lang,
}

const DOCUMENTS: [Document; 2] = [
    Document {
        path: "docs/ERRORS.md",
        lang: Lang::En,
    },
    Document {
        path: "docs/zh/ERRORS.md",
        lang: Lang::Zh,
    },
];

impl Document {
    fn file(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(self.path)
    }

    /// Returns the text in the document's language, for a table cell.
    fn cell(&self, text: &Text) -> String {
        let text = self.lang.t(&text.en, &text.zh);
        text.replace('|', "\\|").replace('\n', " ")
    }

    /// Returns one row per code, in the order of the code's table.
    fn problem_codes(&self) -> String {
        let mut table = self
            .lang
            .t(
                "| code | status | meaning | what to do |\n|---|---|---|---|\n",
                "| code | 状态码 | 含义 | 处理办法 |\n|---|---|---|---|\n",
            )
            .to_owned();
        for problem in ProblemCode::ALL {
            table += &format!(
                "| `{problem}` | {} | {} | {} |\n",
                problem.status(),
                self.cell(&problem.meaning()),
                self.cell(&problem.fix()),
            );
        }
        table
    }

    /// Returns the rows of one system.
    fn errcodes(&self, system: System) -> String {
        let mut table = self
            .lang
            .t(
                "| errcode | class | tried again | cause | fix |\n|---|---|---|---|---|\n",
                "| errcode | class | 重试 | 原因 | 处理办法 |\n|---|---|---|---|---|\n",
            )
            .to_owned();
        for (_, auth, errcode, advice) in codes::all().filter(|row| row.0 == system) {
            table += &format!(
                "| {errcode}{} | `{}` | {} | {} | {} |\n",
                self.cell(&call(auth)),
                advice.class.as_str(),
                self.cell(&wait(advice.wait)),
                self.cell(&advice.cause),
                self.cell(&advice.fix),
            );
        }
        table
    }
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

#[test]
fn the_tables_of_the_errors_document_are_those_of_the_code() {
    for document in DOCUMENTS {
        let written = std::fs::read_to_string(document.file()).unwrap();
        let mut text = written.clone();
        for (name, table) in [
            ("problem codes", document.problem_codes()),
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
                "{} differs from the code: run UPDATE_DOCS=1 cargo test --lib errors_md",
                document.path
            );
        }
    }
}
