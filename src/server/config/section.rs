//! One table of the configuration. Reads it key by key, so that every wrong key is reported, not only the
//! first.
//!
//! Defaults: `wx-jssdk.default.toml`.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::str::FromStr;

use config::{Value, ValueKind};

use super::redact::{got, ill_written};
use super::{Problems, environment, layers};
use crate::error::Text;

/// A table and its path. Reading a key removes it; [`Section::finish`] reports the keys that are left.
#[derive(Clone, Default)]
pub(super) struct Section {
    path: String,
    table: HashMap<String, Value>,
    /// The keys that were read, for "did you mean".
    known: Vec<&'static str>,
    /// Keys inherited from the defaults, and the defaults' path: problems of these keys are reported there.
    inherited: HashSet<String>,
    inherited_from: String,
    /// Whether the table is a file of its own; then `path` is the file's.
    is_file: bool,
    /// Whether the value is not a table. That is reported once, so missing keys are not.
    broken: bool,
}

impl Section {
    pub(super) fn root(table: HashMap<String, Value>) -> Self {
        Self {
            table,
            ..Self::default()
        }
    }

    /// Builds the section of an account's own file; `None` if the file could not be read.
    pub(super) fn file(path: String, table: Option<HashMap<String, Value>>) -> Self {
        Self {
            path,
            broken: table.is_none(),
            table: table.unwrap_or_default(),
            is_file: true,
            ..Self::default()
        }
    }

    /// Takes a subsection; an empty one if it is missing.
    pub(super) fn section(&mut self, key: &'static str, problems: &mut Problems) -> Self {
        let path = self.path_of(key);
        let value = self.take(key);
        let section = Self::of(path, value, problems);
        Self {
            broken: section.broken || self.broken,
            ..section
        }
    }

    fn of(path: String, value: Option<Value>, problems: &mut Problems) -> Self {
        let (table, broken) = match value.map(|value| value.kind) {
            None => (HashMap::new(), false),
            Some(ValueKind::Table(table)) => (table.into_iter().collect(), false),
            Some(_) => {
                problems.add(
                    &path,
                    format!("must be a section: [{path}]"),
                    format!("应当是一节：[{path}]"),
                );
                (HashMap::new(), true)
            }
        };
        Self {
            path,
            table,
            broken,
            ..Self::default()
        }
    }

    /// Takes a list of tables: `[[path.key]]` or `key = [{ … }]`. Reports and leaves out other values.
    pub(super) fn tables(&mut self, key: &'static str, problems: &mut Problems) -> Vec<Self> {
        let path = self.path_of(key);
        match self.take(key).map(|value| value.kind) {
            None => Vec::new(),
            Some(ValueKind::Array(values)) => {
                let of = |(at, value): (usize, Value)| {
                    let path = match environments_name(&value) {
                        Some(name) => format!("{path}.{name}"),
                        None => format!("{path}[{at}]"),
                    };
                    Self::of(path, Some(value), problems)
                };
                values
                    .into_iter()
                    .enumerate()
                    .map(of)
                    .filter(|section| !section.broken)
                    .collect()
            }
            Some(_) => {
                problems.add(
                    &path,
                    format!("must be a list of sections: [[{path}]]"),
                    format!("应为列表：[[{path}]]"),
                );
                Vec::new()
            }
        }
    }

    /// Returns whether this key exists, own or inherited.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Takes the key and returns true if its value is `""`.
    pub(super) fn has_empty(&mut self, key: &'static str) -> bool {
        let empty =
            |value: &Value| matches!(&value.kind, ValueKind::String(text) if text.is_empty());
        self.table.get(key).is_some_and(empty) && self.take(key).is_some()
    }

    /// Takes the key if the environment set it as a text.
    pub(super) fn take_variable(&mut self, key: &'static str) -> Option<String> {
        let value = self.table.get(key)?;
        let text = match (&value.kind, value.origin()) {
            (ValueKind::String(text), Some(_)) => text.clone(),
            _ => return None,
        };
        self.take(key);
        Some(text)
    }

    /// Returns whether the value is not a table.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Removes all other keys.
    pub(super) fn retain(&mut self, keys: &[&str]) {
        self.table.retain(|key, _| keys.contains(&key.as_str()));
    }

    /// Removes keys that cannot be validated, without reporting them.
    pub(super) fn ignore(&mut self, keys: &[&str]) {
        self.table.retain(|key, _| !keys.contains(&key.as_str()));
    }

    /// Returns all subsections, sorted by name.
    pub(super) fn sections(self, problems: &mut Problems) -> Vec<(String, Self)> {
        let of = |(name, value): (String, Value)| {
            let path = join(&self.path, &name);
            (name, Self::of(path, Some(value), problems))
        };
        let mut sections: Vec<_> = self.table.into_iter().map(of).collect();
        sections.sort_by(|a, b| a.0.cmp(&b.0));
        sections
    }

    /// Returns all text values, sorted by name. Reports and leaves out other values.
    pub(super) fn pairs(self, problems: &mut Problems) -> Vec<(String, String)> {
        let mut pairs = Vec::with_capacity(self.table.len());
        for (name, value) in self.table {
            match text_of(value) {
                Some(text) => pairs.push((name, text)),
                None => problems.add(
                    &self.path,
                    format!("\"{name}\" must be a string in quotes"),
                    format!("“{name}”应为带引号的字符串"),
                ),
            }
        }
        pairs.sort();
        pairs
    }

    /// Copies every key of `defaults` that this section lacks.
    pub(super) fn default_to(&mut self, defaults: &Self) {
        self.inherited_from.clone_from(&defaults.path);
        for (key, value) in &defaults.table {
            if !self.table.contains_key(key) {
                self.table.insert(key.clone(), value.clone());
                self.inherited.insert(key.clone());
            }
        }
    }

    /// Returns the path where the key is written: here, or in the defaults.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.inherited.contains(key) {
            join(&self.inherited_from, key)
        } else {
            self.own_path_of(key)
        }
    }

    /// Returns the path of the key in this section, even if it is inherited.
    pub(super) fn own_path_of(&self, key: &str) -> String {
        if self.is_file {
            format!("{}: {key}", self.path)
        } else {
            join(&self.path, key)
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the place for messages: `[accounts.main]`, or the file.
    pub(super) fn place(&self) -> String {
        if self.is_file {
            self.path.clone()
        } else {
            format!("[{}]", self.path)
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// Takes an optional text.
    pub(super) fn text_if_any(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Option<String> {
        let path = self.path_of(key);
        let value = self.take(key)?;
        match value.kind {
            ValueKind::String(text) => Some(text),
            _ => {
                problems.add(
                    &path,
                    "must be a string in quotes".into(),
                    "应为带引号的字符串".into(),
                );
                None
            }
        }
    }

    /// Takes a required text.
    pub(super) fn text(&mut self, key: &'static str, problems: &mut Problems) -> Option<String> {
        if !self.has(key) {
            self.missing(key, problems);
        }
        self.text_if_any(key, problems)
    }

    fn missing(&self, key: &str, problems: &mut Problems) {
        if !self.broken {
            problems.add(&self.path_of(key), "is missing".into(), "缺少此项".into());
        }
    }

    /// Takes a required text and parses it.
    pub(super) fn parse<T: FromStr>(
        &mut self,
        key: &'static str,
        what: &str,
        example: &str,
        problems: &mut Problems,
    ) -> Option<T> {
        let text = self.text(key, problems)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(_) => {
                let Text { en, zh } = ill_written(&text, what, example);
                problems.add(&self.path_of(key), en.into(), zh.into());
                None
            }
        }
    }

    /// Takes the base of an http(s) URL; removes trailing slashes.
    pub(super) fn url(&mut self, key: &'static str, problems: &mut Problems) -> Option<String> {
        let text = self.text(key, problems)?;
        match url::Url::parse(&text) {
            Ok(url)
                if matches!(url.scheme(), "http" | "https")
                    && url.query().is_none()
                    && url.fragment().is_none() =>
            {
                Some(text.trim_end_matches('/').to_owned())
            }
            _ => {
                let (en, zh) = got(&text);
                problems.add(
                    &self.path_of(key),
                    format!("must be a base URL such as https://api.weixin.qq.com{en}"),
                    format!("应为 https://api.weixin.qq.com 这样的地址{zh}"),
                );
                None
            }
        }
    }

    /// Takes a text that must be one of `choices`.
    pub(super) fn choice(
        &mut self,
        key: &'static str,
        choices: &[&str],
        problems: &mut Problems,
    ) -> Option<String> {
        let text = self.text(key, problems)?;
        if choices.contains(&text.as_str()) {
            return Some(text);
        }
        let choices = choices.join(", ");
        let (en, zh) = got(&text);
        problems.add(
            &self.path_of(key),
            format!("must be one of: {choices}{en}"),
            format!("应为以下之一：{choices}{zh}"),
        );
        None
    }

    /// Takes a whole number.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        problems: &mut Problems,
    ) -> Option<u64> {
        let path = self.path_of(key);
        let Some(value) = self.take(key) else {
            self.missing(key, problems);
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

    /// Takes a boolean.
    pub(super) fn flag(&mut self, key: &'static str, problems: &mut Problems) -> Option<bool> {
        let path = self.path_of(key);
        let Some(value) = self.take(key) else {
            self.missing(key, problems);
            return None;
        };
        let flag = match value.kind {
            ValueKind::Boolean(flag) => Some(flag),
            ValueKind::String(text) => text.parse().ok(), // from the environment
            _ => None,
        };
        if flag.is_none() {
            problems.add(
                &path,
                "must be true or false".into(),
                "应为 true 或 false".into(),
            );
        }
        flag
    }

    /// Takes a list of texts. The environment gives it as one text, separated by commas.
    pub(super) fn list(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Option<Vec<String>> {
        let path = self.path_of(key);
        let texts = match self.take(key)?.kind {
            ValueKind::Array(values) => values.into_iter().map(text_of).collect::<Option<Vec<_>>>(),
            ValueKind::String(text) => Some(
                text.split(',')
                    .map(str::trim)
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned)
                    .collect(),
            ),
            _ => None,
        };
        if texts.is_none() {
            problems.add(
                &path,
                "must be a list of strings: [\"a\", \"b\"]".into(),
                "应为字符串列表：[\"a\", \"b\"]".into(),
            );
        }
        texts
    }

    /// Reports the keys that were not read.
    pub(super) fn finish(&mut self, problems: &mut Problems) {
        let mut unknown: Vec<_> = self.table.iter().collect();
        unknown.sort_by_key(|(key, _)| *key);
        for (key, value) in unknown {
            let path = self.path_of(key);
            let (from_en, from_zh) = match value.origin() {
                Some(_) => (" (from the environment)", "（来自环境变量）"),
                None => ("", ""),
            };
            let meant = match (nearest(key, &self.known), value.origin()) {
                (Some(known), Some(_)) => Some(environment::variable(&self.path_of(known))),
                (None, Some(_)) => layers::variable_meant(&path),
                (known, None) => known.map(str::to_owned),
            };
            let (en, zh) = match meant {
                Some(known) => (
                    format!("did you mean {known}?"),
                    format!("是否想写 {known}？"),
                ),
                None => {
                    let known = self.known.join(", ");
                    (
                        format!("known settings: {known}"),
                        format!("可用的设置：{known}"),
                    )
                }
            };
            problems.add(
                &path,
                format!("unknown setting{from_en}; {en}"),
                format!("没有这个设置{from_zh}；{zh}"),
            );
        }
    }
}

/// Returns a text; does not convert other types: a domain `1` would become the address 0.0.0.1.
fn text_of(value: Value) -> Option<String> {
    match value.kind {
        ValueKind::String(text) => Some(text),
        _ => None,
    }
}

/// Returns the name of a list's entry if the environment added it: the operator knows it by name, not by number.
fn environments_name(entry: &Value) -> Option<String> {
    let (Some(_), ValueKind::Table(table)) = (entry.origin(), &entry.kind) else {
        return None;
    };
    table.get("name").map(ToString::to_string)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Returns the known key that an unknown one was probably meant to be.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let (distance, nearest) = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(key, known), *known))
        .min()?;
    (distance <= 3.min(key.len() / 2)).then_some(nearest)
}
