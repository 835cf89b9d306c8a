//! The values of a section by type: texts, URLs, choices, numbers, booleans and lists. Each wrong value is
//! reported where it is written.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use config::{Value, ValueKind};

use super::Section;
use crate::error::Text;
use crate::server::config::Problems;
use crate::server::config::redact::{got, ill_written, not_a_path};
use crate::upstream::UpstreamOptions;

impl Section {
    /// Takes an optional text.
    pub(in crate::server::config) fn text_if_any(
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
    pub(in crate::server::config) fn text(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Option<String> {
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

    /// Takes a required path. Refuses a secret or a file's content in its place, without quoting it.
    pub(in crate::server::config) fn file_path(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Option<String> {
        let text = self.text(key, problems)?;
        let Some(Text { en, zh }) = not_a_path(&text) else {
            return Some(text);
        };
        problems.add(&self.path_of(key), en.into(), zh.into());
        None
    }

    /// Takes a required text and parses it.
    pub(in crate::server::config) fn parse<T: FromStr>(
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
    pub(in crate::server::config) fn url(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Option<String> {
        let text = self.text(key, problems)?;
        if UpstreamOptions::is_base_url(&text) {
            return Some(text.trim_end_matches('/').to_owned());
        }
        let (en, zh) = got(&text);
        problems.add(
            &self.path_of(key),
            format!(
                "must be a base URL such as https://api.weixin.qq.com, without a user name{en}"
            ),
            format!("应为 https://api.weixin.qq.com 这样的地址，不含用户名{zh}"),
        );
        None
    }

    /// Takes a text that must be a name in `choices`, and returns the value of that name.
    pub(in crate::server::config) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
        problems: &mut Problems,
    ) -> Option<T> {
        let text = self.text(key, problems)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let choices = names.join(", ");
        let (en, zh) = got(&text);
        problems.add(
            &self.path_of(key),
            format!("must be one of: {choices}{en}"),
            format!("应为以下之一：{choices}{zh}"),
        );
        None
    }

    /// Takes a key with `read`, or returns `default` if the key is missing.
    pub(in crate::server::config) fn optional<T>(
        &mut self,
        key: &'static str,
        default: T,
        problems: &mut Problems,
        read: impl FnOnce(&mut Self, &'static str, &mut Problems) -> Option<T>,
    ) -> Option<T> {
        if self.has(key) {
            return read(self, key, problems);
        }
        self.known.push(key);
        Some(default)
    }

    /// Takes a whole number.
    pub(in crate::server::config) fn number(
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
    pub(in crate::server::config) fn flag(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Option<bool> {
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

    /// Takes a list of texts and parses each. Reports all that are invalid.
    pub(in crate::server::config) fn each<T, D: Display>(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
        read: impl Fn(&str) -> Result<T, (D, D)>,
    ) -> Option<Vec<T>> {
        let texts = self.list(key, problems)?;
        let path = self.path_of(key);
        let count = texts.len();
        let read = |(index, text): (usize, String)| match read(text.trim()) {
            Ok(value) => Some(value),
            Err((en, zh)) => {
                let (mut got_en, mut got_zh) = got(&text);
                if got_en.is_empty() {
                    let entry = index + 1;
                    (got_en, got_zh) = (format!(" (entry {entry})"), format!("（第 {entry} 项）"));
                }
                problems.add(&path, format!("{en}{got_en}"), format!("{zh}{got_zh}"));
                None
            }
        };
        let values: Vec<_> = texts.into_iter().enumerate().filter_map(read).collect();
        (values.len() == count).then_some(values)
    }

    /// Takes a list of texts. The environment gives it as one text, separated by commas.
    pub(in crate::server::config) fn list(
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
}

/// Returns a text; does not convert other types: a domain `1` would become the address 0.0.0.1.
pub(super) fn text_of(value: Value) -> Option<String> {
    match value.kind {
        ValueKind::String(text) => Some(text),
        _ => None,
    }
}
