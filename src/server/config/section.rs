//! One table of the configuration, read key by key, so that every wrong key is named and not only the first.

use std::collections::HashMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use config::{Value, ValueKind};

use super::Problems;

/// A table under its path. Keys are taken out as they are read; [`Section::finish`] names what nobody knows.
#[derive(Clone)]
pub(super) struct Section {
    path: String,
    table: HashMap<String, Value>,
    /// What was asked for: to guess what an unknown key should have been.
    known: Vec<&'static str>,
}

impl Section {
    pub(super) fn root(table: HashMap<String, Value>) -> Self {
        Self { path: String::new(), table, known: Vec::new() }
    }

    /// A table in this one; an empty one where there is none.
    pub(super) fn section(&mut self, key: &'static str, problems: &mut Problems) -> Self {
        let path = self.path_of(key);
        let table = self.take(key).map(|value| value.into_table());
        let table = match table {
            None => HashMap::new(),
            Some(Ok(table)) => table.into_iter().collect(),
            Some(Err(_)) => {
                problems.add(&path, format!("must be a table: [{path}]"), format!("应当是一节：[{path}]"));
                HashMap::new()
            }
        };
        Self { path, table, known: Vec::new() }
    }

    /// All tables in this one, by name, sorted.
    pub(super) fn sections(self, problems: &mut Problems) -> Vec<(String, Self)> {
        let mut sections = Vec::new();
        for (name, value) in self.table {
            let path = join(&self.path, &name);
            match value.into_table() {
                Ok(table) => {
                    sections.push((name, Self { path, table: table.into_iter().collect(), known: Vec::new() }));
                }
                Err(_) => problems.add(&path, format!("must be a table: [{path}]"), format!("应当是一节：[{path}]")),
            }
        }
        sections.sort_by(|a, b| a.0.cmp(&b.0));
        sections
    }

    /// Takes every key of `defaults` that this section lacks.
    pub(super) fn default_to(&mut self, defaults: &Self) {
        for (key, value) in &defaults.table {
            self.table.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// A text, if it is there.
    pub(super) fn text_if_any(&mut self, key: &'static str, problems: &mut Problems) -> Option<String> {
        let path = self.path_of(key);
        let value = self.take(key)?;
        match value.kind {
            ValueKind::String(text) => Some(text),
            // An app id or a secret of digits only, in the environment, is still a text.
            ValueKind::I64(number) => Some(number.to_string()),
            _ => {
                problems.add(&path, "must be a text in quotes".into(), "应当是带引号的文本".into());
                None
            }
        }
    }

    /// A text that has to be there.
    pub(super) fn text(&mut self, key: &'static str, problems: &mut Problems) -> Option<String> {
        let before = problems.0.len();
        let text = self.text_if_any(key, problems);
        if text.is_none() && problems.0.len() == before {
            problems.add(&self.path_of(key), "is missing".into(), "缺少此项".into());
        }
        text
    }

    /// A text that is something else in disguise.
    pub(super) fn parse<T: FromStr<Err: Display>>(
        &mut self,
        key: &'static str,
        what: &str,
        problems: &mut Problems,
    ) -> Option<T> {
        let text = self.text(key, problems)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let en = format!("\"{text}\" is not {what}: {error}");
                problems.add(&self.path_of(key), en, format!("“{text}”的写法不对"));
                None
            }
        }
    }

    /// The base of an http(s) URL, without a slash at its end.
    pub(super) fn url(&mut self, key: &'static str, problems: &mut Problems) -> Option<String> {
        let text = self.text(key, problems)?;
        match url::Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none() => {
                Some(text.trim_end_matches('/').to_owned())
            }
            _ => {
                let en = format!("\"{text}\" is no base URL such as https://api.weixin.qq.com");
                problems.add(&self.path_of(key), en, format!("“{text}”不是 https://api.weixin.qq.com 这样的地址"));
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice(&mut self, key: &'static str, choices: &[&str], problems: &mut Problems) -> Option<String> {
        let text = self.text(key, problems)?;
        if choices.contains(&text.as_str()) {
            return Some(text);
        }
        let choices = choices.join(", ");
        problems.add(
            &self.path_of(key),
            format!("\"{text}\" is none of {choices}"),
            format!("“{text}”应为以下之一：{choices}"),
        );
        None
    }

    /// A whole number.
    pub(super) fn number(&mut self, key: &'static str, range: RangeInclusive<u64>, problems: &mut Problems) -> Option<u64> {
        let path = self.path_of(key);
        let Some(value) = self.take(key) else {
            problems.add(&path, "is missing".into(), "缺少此项".into());
            return None;
        };
        let number = match value.kind {
            ValueKind::I64(number) => u64::try_from(number).ok(),
            ValueKind::String(text) => text.parse().ok(), // from the environment
            _ => None,
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let (first, last) = (range.start(), range.end());
            problems.add(
                &path,
                format!("must be a whole number from {first} to {last}"),
                format!("应为 {first} 到 {last} 的整数"),
            );
        }
        number
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, key: &'static str, problems: &mut Problems) -> Option<bool> {
        let path = self.path_of(key);
        let Some(value) = self.take(key) else {
            problems.add(&path, "is missing".into(), "缺少此项".into());
            return None;
        };
        let flag = match value.kind {
            ValueKind::Boolean(flag) => Some(flag),
            ValueKind::String(text) => text.parse().ok(), // from the environment
            _ => None,
        };
        if flag.is_none() {
            problems.add(&path, "must be true or false".into(), "应为 true 或 false".into());
        }
        flag
    }

    /// A list of texts; from the environment one text, separated by commas.
    pub(super) fn list(&mut self, key: &'static str, problems: &mut Problems) -> Option<Vec<String>> {
        let path = self.path_of(key);
        let texts = match self.take(key)?.kind {
            ValueKind::Array(values) => values.into_iter().map(|value| value.into_string().ok()).collect::<Option<Vec<_>>>(),
            ValueKind::String(text) => {
                Some(text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect())
            }
            _ => None,
        };
        if texts.is_none() {
            problems.add(&path, "must be a list of texts: [\"a\", \"b\"]".into(), "应为文本列表：[\"a\", \"b\"]".into());
        }
        texts
    }

    /// Names the keys that nobody asked for.
    pub(super) fn finish(&mut self, problems: &mut Problems) {
        let mut unknown: Vec<_> = self.table.keys().cloned().collect();
        unknown.sort();
        for key in unknown {
            let (en, zh) = match nearest(&key, &self.known) {
                Some(known) => (format!("is no setting; did you mean {known}?"), format!("没有这个设置，是否想写 {known}？")),
                None => {
                    let known = self.known.join(", ");
                    (format!("is no setting; there are: {known}"), format!("没有这个设置；可用的有：{known}"))
                }
            };
            problems.add(&self.path_of(&key), en, zh);
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The known key that an unknown one was probably meant to be.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let (distance, nearest) = known.iter().map(|known| (strsim::damerau_levenshtein(key, known), *known)).min()?;
    (distance <= 3.min(key.len() / 2)).then_some(nearest)
}
