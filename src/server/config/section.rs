//! One table of the configuration. Reads it key by key, so that every wrong key is reported, not only the
//! first.

mod values;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use config::{Value, ValueKind};

use super::layers::{self, as_table};
use super::{AccountDefaults, Problems, environment};
pub(super) use values::entries;
use values::text_of;

/// A table and its path. Reading a key removes it; [`Section::finish`] reports the keys that are left. A value that
/// is wrong is reported and read as `None`; then the configuration is refused as a whole.
#[derive(Clone, Default)]
pub(super) struct Section {
    path: String,
    table: HashMap<String, Value>,
    /// The keys that were read, for "did you mean".
    known: Vec<&'static str>,
    /// The keys that are not suggested.
    ignored: Vec<&'static str>,
    /// Keys of the defaults or of the environment, with the path of their section: problems of these keys are
    /// reported there.
    from: HashMap<String, String>,
    /// Whether the table is a file of its own; then `path` is the file's.
    is_file: bool,
    /// Whether the value is not a table. That is reported once, so missing keys are not.
    broken: bool,
    /// The directory to which the files that it names are relative.
    base: PathBuf,
    /// The problems found so far, of all sections together.
    problems: Rc<RefCell<Problems>>,
}

impl Section {
    /// Builds the section of a whole configuration, with the problems found before.
    pub(super) fn root(table: HashMap<String, Value>, base: &Path, problems: Problems) -> Self {
        Self {
            table,
            base: base.to_owned(),
            problems: Rc::new(RefCell::new(problems)),
            ..Self::default()
        }
    }

    /// Builds the section of an account's own file in this directory; `None` if the file could not be read.
    pub(super) fn file(
        &self,
        path: String,
        directory: &Path,
        table: Option<HashMap<String, Value>>,
    ) -> Self {
        Self {
            broken: table.is_none(),
            table: table.unwrap_or_default(),
            is_file: true,
            base: directory.to_owned(),
            ..self.child(path, None, "")
        }
    }

    /// Returns a copy that reports nothing, for values that are read twice.
    pub(super) fn unreported(&self) -> Self {
        Self {
            problems: Rc::default(),
            ..self.clone()
        }
    }

    /// Takes all problems found so far.
    pub(super) fn take_problems(&self) -> Problems {
        self.problems.take()
    }

    /// Reports a problem of this key.
    pub(super) fn report(&self, key: &str, en: impl Into<String>, zh: impl Into<String>) {
        self.report_at(&self.path_of(key), en, zh);
    }

    /// Reports a problem of this key, whose value is `None` then.
    pub(super) fn refuse<T>(
        &self,
        key: &str,
        en: impl Into<String>,
        zh: impl Into<String>,
    ) -> Option<T> {
        self.report(key, en, zh);
        None
    }

    /// Reports a problem at this path.
    pub(super) fn report_at(&self, path: &str, en: impl Into<String>, zh: impl Into<String>) {
        let (en, zh) = (en.into(), zh.into());
        self.problems.borrow_mut().add(path, en, zh);
    }

    /// Reports several problems with their paths.
    pub(super) fn report_all(&self, Problems(problems): Problems) {
        self.problems.borrow_mut().0.extend(problems);
    }

    /// Takes a subsection; an empty one if it is missing.
    pub(super) fn section(&mut self, key: &'static str) -> Self {
        let header = format!("[{}]", self.path_of(key));
        self.take_section(key, &header)
    }

    /// Takes a subsection that consists of sections with a name, such as `[accounts.NAME]`.
    pub(super) fn named_sections(&mut self, key: &'static str) -> Self {
        let header = format!("[{}.NAME]", self.path_of(key));
        self.take_section(key, &header)
    }

    fn take_section(&mut self, key: &'static str, header: &str) -> Self {
        let path = self.path_of(key);
        let value = self.take(key);
        let section = self.child(path, value, header);
        Self {
            broken: section.broken || self.broken,
            ..section
        }
    }

    /// `header` is what to write if the value is not a table.
    fn child(&self, path: String, value: Option<Value>, header: &str) -> Self {
        let (table, broken) = match value.map(|value| value.kind) {
            None => (HashMap::new(), false),
            Some(ValueKind::Table(table)) => (table, false),
            Some(_) => {
                self.report_at(
                    &path,
                    format!("must be a section: {header}"),
                    format!("应当是一节：{header}"),
                );
                (HashMap::new(), true)
            }
        };
        Self {
            path,
            table,
            broken,
            base: self.base.clone(),
            problems: self.problems.clone(),
            ..Self::default()
        }
    }

    /// Takes a list of tables: `[[path.key]]` or `key = [{ … }]`. Reports and leaves out other values.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Self> {
        let path = self.path_of(key);
        match self.take(key).map(|value| value.kind) {
            None => Vec::new(),
            Some(ValueKind::Array(values)) => {
                let header = format!("[[{path}]]");
                let of = |(at, value): (usize, Value)| {
                    let is_of_environment = value.origin().is_some();
                    let mut section = self.child(format!("{path}[{at}]"), Some(value), &header);
                    section.note_variables(&path, is_of_environment);
                    section
                };
                values
                    .into_iter()
                    .enumerate()
                    .map(of)
                    .filter(|section| !section.broken)
                    .collect()
            }
            Some(_) => {
                self.report_at(
                    &path,
                    format!("must be a list of sections: [[{path}]]"),
                    format!("应为列表：[[{path}]]"),
                );
                Vec::new()
            }
        }
    }

    /// Notes the keys of a list's entry that the environment set: problems of these name the entry, as variables do.
    /// Of an entry that the environment added, the operator knows the name only, not the number.
    fn note_variables(&mut self, list: &str, is_of_environment: bool) {
        let Some(name) = self.table.get("name").map(ToString::to_string) else {
            return;
        };
        let path = join(list, &name);
        let variables = self
            .table
            .iter()
            .filter(|(_, value)| value.origin().is_some());
        let from = variables.map(|(key, _)| (key.clone(), path.clone()));
        self.from.extend(from);
        if is_of_environment {
            self.path = path;
        }
    }

    /// Returns whether this key exists, own or inherited.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Returns whether this key stands in this section, neither inherited nor set by the environment.
    pub(super) fn has_own(&self, key: &str) -> bool {
        self.has(key) && !self.from.contains_key(key) && !self.is_variable(key)
    }

    /// Takes the key and returns true if its value is `""`.
    pub(super) fn take_if_empty(&mut self, key: &'static str) -> bool {
        self.table.get(key).is_some_and(layers::is_empty) && self.take(key).is_some()
    }

    /// Takes the key if the environment set it as a text.
    pub(super) fn take_variable(&mut self, key: &'static str) -> Option<String> {
        let value = self.table.get(key).filter(|value| value.origin().is_some());
        let text = text_of(value?.clone())?;
        self.take(key);
        Some(text)
    }

    /// Returns whether the value is not a table.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Removes keys that cannot be validated, without reporting or suggesting them.
    pub(super) fn ignore(&mut self, keys: &[&'static str]) {
        self.table.retain(|key, _| !keys.contains(&key.as_str()));
        self.ignored.extend_from_slice(keys);
    }

    /// Returns whether the value is a table, and all its values are.
    pub(super) fn has_only_sections(&self) -> bool {
        !self.broken && self.table.values().all(|value| as_table(value).is_some())
    }

    /// Returns all subsections, sorted by name. Reports the keys that are beside them once: their section lacks a
    /// name.
    pub(super) fn sections(mut self) -> Vec<(String, Self)> {
        // A variable is reported by its name.
        let is_stray = |value: &Value| as_table(value).is_none() && value.origin().is_none();
        let table = std::mem::take(&mut self.table);
        let (stray, table): (Vec<_>, Vec<_>) =
            table.into_iter().partition(|(_, value)| is_stray(value));
        if !stray.is_empty() {
            let mut keys: Vec<_> = stray.into_iter().map(|(key, _)| key).collect();
            keys.sort();
            let keys = keys.join(", ");
            let path = &self.path;
            self.report_at(
                path,
                format!("{keys}: must be in a section with a name: write [{path}.NAME] above"),
                format!("{keys} 应写在有名称的一节中：请在上方写 [{path}.NAME]"),
            );
        }
        let of = |(name, value): (String, Value)| {
            let path = join(&self.path, &name);
            let section = self.child(path.clone(), Some(value), &format!("[{path}]"));
            (name, section)
        };
        let mut sections: Vec<_> = table.into_iter().map(of).collect();
        sections.sort_by(|a, b| a.0.cmp(&b.0));
        sections
    }

    /// Returns all text values, sorted by name. Reports and leaves out other values.
    pub(super) fn pairs(mut self) -> Vec<(String, String)> {
        let mut pairs = Vec::with_capacity(self.table.len());
        for (name, value) in std::mem::take(&mut self.table) {
            match text_of(value) {
                Some(text) => pairs.push((name, text)),
                None => self.report_at(
                    &self.path,
                    format!("\"{name}\" must be a string in quotes"),
                    format!("“{name}”应为带引号的字符串"),
                ),
            }
        }
        pairs.sort();
        pairs
    }

    /// Copies those of `keys` that this section lacks from the defaults.
    pub(super) fn default_to(
        &mut self,
        AccountDefaults(defaults): &AccountDefaults,
        keys: &[&str],
    ) {
        for &key in keys {
            if let Some(value) = defaults.get(key).filter(|_| !self.has(key)) {
                self.table.insert(key.to_owned(), value.clone());
                self.from
                    .insert(key.to_owned(), "account_defaults".to_owned());
            }
        }
    }

    /// Returns whether the environment set this key.
    pub(super) fn is_variable(&self, key: &str) -> bool {
        let value = self.table.get(key);
        value.is_some_and(|value| value.origin().is_some())
    }

    /// Returns whether the environment alone wrote this section.
    pub(super) fn is_of_environment(&self) -> bool {
        !self.table.is_empty() && self.table.keys().all(|key| self.is_variable(key))
    }

    /// Takes every key of the environment's section, which replaces the own one. A secret also replaces the file
    /// that holds it, and the reverse. A file is relative to the environment's base directory.
    pub(super) fn override_with(&mut self, environment: Self) {
        let base = &environment.base;
        let own = environment.table.iter();
        for (key, _) in own.filter(|(_, value)| !layers::is_empty(value)) {
            if let Some(other) = layers::other_secret(key) {
                self.table.remove(&other);
            }
        }
        for (key, mut value) in environment.table {
            // Only a file that is there: a secret in the place of a path must not become part of one.
            if let ValueKind::String(text) = &mut value.kind
                && key.ends_with("_file")
                && base.join(&*text).is_file()
            {
                *text = base.join(&*text).display().to_string();
            }
            self.from.insert(key.clone(), environment.path.clone());
            self.table.insert(key, value);
        }
    }

    /// Returns the path where the key is written: here, or in the defaults.
    pub(super) fn path_of(&self, key: &str) -> String {
        match self.from.get(key) {
            Some(path) => join(path, key),
            None => self.own_path_of(key),
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

    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    /// Returns the keys that were not read yet, with their values.
    pub(super) fn table(&self) -> &HashMap<String, Value> {
        &self.table
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

    /// Reports the keys that were not read.
    pub(super) fn finish(&mut self) {
        let mut unknown: Vec<_> = self.table.iter().collect();
        unknown.sort_by_key(|(key, _)| *key);
        self.known.retain(|key| !self.ignored.contains(key));
        for (key, value) in unknown {
            let path = self.path_of(key);
            let farthest = 3.min(key.len() / 2);
            let nearest = nearest(key, self.known.iter().copied(), farthest, str::to_owned);
            let meant = match (nearest, value.origin()) {
                (Some(known), Some(_)) => {
                    let section = self.from.get(key).unwrap_or(&self.path);
                    Some(environment::variable(&join(section, known)))
                }
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
                        format!("可用的配置项：{known}"),
                    )
                }
            };
            self.report_at(
                &path,
                format!("unknown setting; {en}"),
                format!("没有这个配置项；{zh}"),
            );
        }
    }
}

/// Returns the dotted path of a key in this section.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Returns the known name that an unknown one was probably meant to be: the nearest one, if it is near enough.
/// Compares what `form` makes of both.
pub(super) fn nearest<T: AsRef<str> + Ord>(
    name: &str,
    known: impl IntoIterator<Item = T>,
    farthest: usize,
    form: impl Fn(&str) -> String,
) -> Option<T> {
    let name = form(name);
    let distance = |known: &T| strsim::damerau_levenshtein(&name, &form(known.as_ref()));
    let known = known.into_iter().map(|known| (distance(&known), known));
    let (distance, nearest) = known.min()?;
    (distance <= farthest).then_some(nearest)
}
