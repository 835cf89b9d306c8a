//! The values of a section by type: texts, URLs, choices, numbers, booleans and lists. Each wrong value is
//! reported where it is written.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use config::{Value, ValueKind};

use super::Section;
use crate::error::Text;
use crate::server::config::redact::{got, ill_written, not_a_path};
use crate::upstream::UpstreamOptions;

impl Section {
    /// Takes an optional text.
    pub(in crate::server::config) fn text_if_any(&mut self, key: &'static str) -> Option<String> {
        let text = text_of(self.take(key)?);
        if text.is_none() {
            self.report(key, "must be a string in quotes", "应为带引号的字符串");
        }
        text
    }

    /// Takes a required text.
    pub(in crate::server::config) fn text(&mut self, key: &'static str) -> Option<String> {
        if !self.has(key) {
            self.missing(key);
        }
        self.text_if_any(key)
    }

    fn missing(&self, key: &str) {
        if !self.broken {
            self.report(key, "is missing", "缺少此项");
        }
    }

    /// Takes a required path. Refuses a secret or a file's content in its place, without quoting it.
    pub(in crate::server::config) fn file_path(&mut self, key: &'static str) -> Option<String> {
        let text = self.text(key)?;
        let Some(Text { en, zh }) = not_a_path(&text) else {
            return Some(text);
        };
        self.refuse(key, en, zh)
    }

    /// Takes a required text and parses it.
    pub(in crate::server::config) fn parse<T: FromStr>(
        &mut self,
        key: &'static str,
        what: &str,
        example: &str,
    ) -> Option<T> {
        let text = self.text(key)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(_) => {
                let Text { en, zh } = ill_written(&text, what, example);
                self.refuse(key, en, zh)
            }
        }
    }

    /// Takes the base of an http(s) URL; removes trailing slashes.
    pub(in crate::server::config) fn url(&mut self, key: &'static str) -> Option<String> {
        let text = self.text(key)?;
        if UpstreamOptions::is_base_url(&text) {
            return Some(text.trim_end_matches('/').to_owned());
        }
        let (en, zh) = got(&text);
        self.refuse(
            key,
            format!(
                "must be a base URL such as https://api.weixin.qq.com, without a user name{en}"
            ),
            format!("应为 https://api.weixin.qq.com 这样的地址，不含用户名{zh}"),
        )
    }

    /// Takes a text that must be a name in `choices`, and returns the value of that name.
    pub(in crate::server::config) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(key)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let choices = names.join(", ");
        let (en, zh) = got(&text);
        self.refuse(
            key,
            format!("must be one of: {choices}{en}"),
            format!("应为以下之一：{choices}{zh}"),
        )
    }

    /// Takes a key with `read`, or returns `default` if the key is missing.
    pub(in crate::server::config) fn optional<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&mut Self, &'static str) -> Option<T>,
    ) -> Option<T> {
        if self.has(key) {
            return read(self, key);
        }
        self.known.push(key);
        Some(default)
    }

    /// Takes a whole number.
    pub(in crate::server::config) fn number<T: TryFrom<u64>>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<T> {
        let number = self.required(key, |kind| match kind {
            ValueKind::I64(number) => u64::try_from(number).ok(),
            ValueKind::String(text) => text.parse().ok(), // from the environment
            _ => None,
        })?;
        match number.filter(|number| range.contains(number)) {
            Some(number) => T::try_from(number).ok(),
            None => {
                let (first, last) = (range.start(), range.end());
                self.refuse(
                    key,
                    format!("must be a whole number from {first} to {last}"),
                    format!("应为 {first} 到 {last} 的整数"),
                )
            }
        }
    }

    /// Takes a boolean.
    pub(in crate::server::config) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let flag = self.required(key, |kind| match kind {
            ValueKind::Boolean(flag) => Some(flag),
            ValueKind::String(text) => text.parse().ok(), // from the environment
            _ => None,
        })?;
        if flag.is_none() {
            self.report(key, "must be true or false", "应为 true 或 false");
        }
        flag
    }

    /// Takes a value that must not be missing.
    fn required<T>(&mut self, key: &'static str, read: impl FnOnce(ValueKind) -> T) -> Option<T> {
        let value = self.take(key);
        if value.is_none() {
            self.missing(key);
        }
        value.map(|value| read(value.kind))
    }

    /// Takes a list of texts and parses each. Reports all that are invalid.
    pub(in crate::server::config) fn each<T, D: Display>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, (D, D)>,
    ) -> Option<Vec<T>> {
        let texts = self.list(key)?;
        let count = texts.len();
        let read = |(index, text): (usize, String)| match read(text.trim()) {
            Ok(value) => Some(value),
            Err((en, zh)) => {
                let (mut got_en, mut got_zh) = got(&text);
                if got_en.is_empty() {
                    let entry = index + 1;
                    (got_en, got_zh) = (format!(" (entry {entry})"), format!("（第 {entry} 项）"));
                }
                self.refuse(key, format!("{en}{got_en}"), format!("{zh}{got_zh}"))
            }
        };
        let values: Vec<_> = texts.into_iter().enumerate().filter_map(read).collect();
        (values.len() == count).then_some(values)
    }

    /// Takes a list of texts. The environment gives it as one text, separated by commas.
    pub(in crate::server::config) fn list(&mut self, key: &'static str) -> Option<Vec<String>> {
        let texts = match self.take(key)?.kind {
            ValueKind::Array(values) => values.into_iter().map(text_of).collect::<Option<Vec<_>>>(),
            ValueKind::String(text) => Some(entries(&text).map(str::to_owned).collect()),
            _ => None,
        };
        if texts.is_none() {
            self.report(
                key,
                "must be a list of strings: [\"a\", \"b\"]",
                "应为字符串列表：[\"a\", \"b\"]",
            );
        }
        texts
    }
}

/// Returns the entries of a list that the environment gives.
pub(in crate::server::config) fn entries(text: &str) -> impl Iterator<Item = &str> {
    let entries = text.split(',').map(str::trim);
    entries.filter(|entry| !entry.is_empty())
}

/// Returns a text; does not convert other types: a domain `1` would become the address 0.0.0.1.
pub(super) fn text_of(value: Value) -> Option<String> {
    match value.kind {
        ValueKind::String(text) => Some(text),
        _ => None,
    }
}
