//! Merges the layers of the configuration: defaults, file, environment.
//!
//! Does not know the settings, except `secret` and `secret_file` (and the other [`SECRETS`]), which exclude each
//! other, and `api_keys`, a list. `section` and its callers validate keys and values.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use config::{ConfigError, Environment, File, FileFormat, Map, Source, Value, ValueKind};

use super::{DEFAULTS, Problems, environment, store, toml_error, unreadable};
use crate::server::regular_file;

/// Merges the defaults, the text over them, and the environment over both. `name` is that of the text's file.
///
/// Does not use `Config`, which parses a file's keys as paths: `"a[4000000000]" = 1` would exhaust the
/// memory.
pub(super) fn merged(
    text: &str,
    name: &str,
    environment: HashMap<String, String>,
    problems: &mut Problems,
) -> Result<Map<String, Value>, Problems> {
    let (mut table, file) = (parsed(DEFAULTS, name)?, parsed(text, name)?);
    let environment = environment::settings(environment, &table, problems);
    overlay(&mut table, file);
    let environment = Environment::with_prefix("WX_JSSDK")
        .prefix_separator("__")
        .separator("__")
        .source(Some(environment));
    let variables = environment
        .collect()
        .map_err(|error| unparsable(&error, "", name))?;
    let variables: BTreeMap<_, _> = variables.into_iter().collect();
    for (path, _) in variables.iter().filter(|(_, value)| !is_empty(value)) {
        drop_other_secret(&mut table, path);
    }
    for (path, value) in variables {
        if !set(&mut table, &path, value) {
            let variable = environment::variable(&path);
            problems.add(
                &path,
                format!("unknown setting {variable}"),
                format!("没有 {variable} 这个配置项"),
            );
        }
    }
    Ok(table)
}

/// Returns the variable that an unknown path of the environment was probably meant to be.
pub(super) fn variable_meant(path: &str) -> Option<String> {
    environment::meant(path, &parsed(DEFAULTS, "").ok()?)
}

/// Reads one file, without defaults and environment.
pub(super) fn one_file(path: &Path) -> Result<Map<String, Value>, Problems> {
    let text = regular_file::read(path, std::fs::read_to_string)
        .map_err(|error| unreadable(path, error))?;
    parsed(&text, &path.display().to_string())
}

/// Returns whether the main file holds a secret: an account's secret, the store's or a proxy's password, a
/// webhook's address.
pub(super) fn holds_secret(table: &Map<String, Value>) -> bool {
    let section = |name: &str| table.get(name).and_then(as_table);
    let webhooks = section("notify").and_then(|notify| as_table(notify.get("webhooks")?));
    let named = [section("accounts"), section("platforms"), webhooks];
    let named = named.into_iter().flatten().flat_map(Map::values);
    let mut sections = named.filter_map(as_table).chain(section("upstream"));
    let store_url = section("store").and_then(|store| store.get("url"));
    sections.any(has_secret) || store_url.is_some_and(|url| store::holds_secret(&url.to_string()))
}

/// Returns whether this section, or an account's file, holds a secret.
pub(super) fn has_secret(section: &Map<String, Value>) -> bool {
    let mut values = SECRETS.iter().filter_map(|key| section.get(*key));
    values.any(|value| !value.to_string().is_empty())
}

/// Adds the files of secrets that a table and its sections name, relative to `base`.
pub(super) fn secret_files(table: &Map<String, Value>, base: &Path, files: &mut Vec<PathBuf>) {
    for (key, value) in table {
        match &value.kind {
            ValueKind::Table(section) => secret_files(section, base, files),
            ValueKind::String(file) if key.ends_with("_file") && !file.is_empty() => {
                files.push(base.join(file));
            }
            _ => {}
        }
    }
}

/// Returns the names of the sections and lists of sections in a table.
pub(super) fn section_names(table: &Map<String, Value>) -> Vec<&str> {
    let is_section = |value: &Value| match &value.kind {
        ValueKind::Table(_) => true,
        ValueKind::Array(values) => values.iter().any(|value| as_table(value).is_some()),
        _ => false,
    };
    let sections = table.iter().filter(|(_, value)| is_section(value));
    sections.map(|(name, _)| name.as_str()).collect()
}

pub(super) fn as_table(value: &Value) -> Option<&Map<String, Value>> {
    match &value.kind {
        ValueKind::Table(table) => Some(table),
        _ => None,
    }
}

fn parsed(text: &str, name: &str) -> Result<Map<String, Value>, Problems> {
    File::from_str(text, FileFormat::Toml)
        .collect()
        .map_err(|error| unparsable(&error, text, name))
}

fn overlay(below: &mut Map<String, Value>, above: Map<String, Value>) {
    for (key, value) in above {
        match (below.get_mut(&key).map(|value| &mut value.kind), value.kind) {
            (Some(ValueKind::Table(below)), ValueKind::Table(above)) => overlay(below, above),
            (_, kind) => drop(below.insert(key, kind.into())),
        }
    }
}

/// Removes the file's `secret` if the environment sets `secret_file`, and the reverse: an account has one of
/// the two, and the environment wins. Both in the environment are an error, as both in the file are. The
/// same for the password of a proxy.
fn drop_other_secret(table: &mut Map<String, Value>, path: &str) {
    if let Some((section, key)) = path.rsplit_once('.')
        && let Some(other) = other_secret(key)
        && let Some(section) = section
            .split('.')
            .try_fold(table, |table, name| table_of(table.get_mut(name)?))
    {
        section.remove(&other);
    }
}

/// Returns whether this is a text without a character, as a variable without a value has it.
pub(super) fn is_empty(value: &Value) -> bool {
    matches!(&value.kind, ValueKind::String(text) if text.is_empty())
}

/// Returns the key that excludes this one, if this is the key of a secret or of its file.
pub(super) fn other_secret(key: &str) -> Option<String> {
    SECRETS.into_iter().find_map(|secret| match key {
        _ if key == secret => Some(format!("{secret}_file")),
        _ => (key.strip_suffix("_file") == Some(secret)).then(|| secret.to_owned()),
    })
}

fn table_of(value: &mut Value) -> Option<&mut Map<String, Value>> {
    match &mut value.kind {
        ValueKind::Table(table) => Some(table),
        _ => None,
    }
}

/// Sets the value at a dotted path. Returns false if a section would replace a setting, or a setting a
/// section.
fn set(table: &mut Map<String, Value>, path: &str, value: Value) -> bool {
    let Some((section, rest)) = path.split_once('.') else {
        let is_section = table.get(path).and_then(as_table).is_some();
        if !is_section {
            table.insert(path.to_owned(), value);
        }
        return !is_section;
    };
    match &mut table
        .entry(section.to_owned())
        .or_insert_with(|| Value::from(Map::<String, Value>::new()))
        .kind
    {
        ValueKind::Table(table) => set(table, rest, value),
        ValueKind::Array(entries) if section == NAMED_LIST => set_named(entries, rest, value),
        _ => false,
    }
}

/// Sets `NAME.key` in a list of tables that have a `name`. Adds an entry of that name if it is missing; upper
/// and lower case are the same, because variables are written in upper case.
fn set_named(entries: &mut Vec<Value>, path: &str, value: Value) -> bool {
    let Some((name, key)) = path.split_once('.') else {
        return false;
    };
    let is_named = |entry: &mut Value| {
        let name_of = |table: &mut Map<String, Value>| table.get("name").map(ToString::to_string);
        table_of(entry)
            .and_then(name_of)
            .is_some_and(|other| other.eq_ignore_ascii_case(name))
    };
    let at = entries.iter_mut().position(is_named).unwrap_or_else(|| {
        let own = [("name".to_owned(), Value::from(name))];
        let own = ValueKind::Table(own.into_iter().collect());
        entries.push(Value::new(value.origin().map(str::to_owned).as_ref(), own));
        entries.len() - 1
    });
    table_of(&mut entries[at]).is_some_and(|table| set(table, key, value))
}

fn unparsable(error: &ConfigError, text: &str, name: &str) -> Problems {
    Problems::one(name, toml_error::explain(error, text))
}

/// Keys that hold a secret; `…_file` names a file that does. `url` is a webhook's.
const SECRETS: [&str; 7] = [
    "secret",
    "proxy_password",
    "url",
    "push_token",
    "previous_push_token",
    "aes_key",
    "previous_aes_key",
];

/// The list whose entries the environment addresses by name: `WX_JSSDK__SERVER__API_KEYS__CRM__SHA256`.
const NAMED_LIST: &str = "api_keys";
