//! Extracts JSON, and values with their names, from any text.

use serde_json::{Map, Value};

use crate::diagnose::backend_answer::plain;
use crate::diagnose::ticket_input;

/// Returns the names in `jsApiList: […]`, in JSON or in source; `None` if it is missing or contains anything
/// but names.
pub(super) fn js_api_list_in(text: &str) -> Option<Vec<String>> {
    let start = text.find("jsApiList")? + "jsApiList".len();
    let rest = text[start..]
        .trim_start_matches(|c: char| c.is_whitespace() || "\"'\\:=>".contains(c))
        .strip_prefix('[')?;
    let names = rest[..rest.find(']')?]
        .split(',')
        .map(|name| name.trim_matches(|c: char| c.is_whitespace() || c == '\\'));
    names
        .filter(|name| !name.is_empty())
        .map(|name| {
            let bare = name.trim_matches(['"', '\'', '`', '\\']);
            let is_name = bare
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b':');
            (bare.len() < name.len() && is_name).then(|| bare.to_owned())
        })
        .collect()
}

/// Returns every JSON value in the text, outermost first; nested objects are not listed separately.
pub(super) fn json_in(text: &str) -> Vec<Value> {
    if let Ok(whole) = serde_json::from_str::<Value>(text) {
        return vec![whole];
    }
    let mut found = Vec::new();
    let mut at = 0;
    for _ in 0..MAX_TRIES {
        let Some(start) = text[at..].find('{').map(|start| at + start) else {
            break;
        };
        let mut stream = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        match stream.next() {
            Some(Ok(json)) => {
                found.push(json);
                at = start + stream.byte_offset();
            }
            _ => at = start + 1,
        }
    }
    found
}

/// Finds an errcode of WeChat's servers at any depth.
pub(super) fn errcode_in(json: &Value) -> Option<String> {
    match json {
        Value::Object(fields) => {
            let named = |name: &str| {
                fields
                    .iter()
                    .find(|(key, _)| plain(key) == name)
                    .map(|(_, value)| value)
            };
            let errcode = named("errcode")
                .and_then(Value::as_i64)
                .filter(|errcode| *errcode != 0);
            let words = || named("errmsg").and_then(Value::as_str).unwrap_or_default();
            errcode
                .map(|errcode| {
                    format!("errcode {errcode}: {}", words())
                        .trim_end_matches([':', ' '])
                        .to_owned()
                })
                .or_else(|| fields.values().find_map(errcode_in))
        }
        Value::Array(items) => items.iter().find_map(errcode_in),
        _ => None,
    }
}

/// Returns the first text under one of these names at any depth; of a list, its first item.
pub(super) fn word_of(json: &Value, names: &[&str]) -> Option<String> {
    match json {
        Value::Object(fields) => {
            let own = fields
                .iter()
                .filter(|(key, _)| names.contains(&plain(key).as_str()))
                .find_map(|(_, value)| match value {
                    Value::String(text) => Some(text.clone()),
                    Value::Array(items) => items.first().and_then(Value::as_str).map(str::to_owned),
                    _ => None,
                });
            own.filter(|text| !text.is_empty())
                .or_else(|| fields.values().find_map(|value| word_of(value, names)))
        }
        Value::Array(items) => items.iter().find_map(|item| word_of(item, names)),
        _ => None,
    }
}

/// Returns every `name: 'value'`, `name=value` or `"name" => "value"` whose name may occur in a backend's
/// answer.
pub(super) fn values_in(text: &str) -> Map<String, Value> {
    let mut found = Map::new();
    let mut rest = text;
    let mut tries = 0;
    while let Some(start) = rest.find(is_name_start) {
        let end = rest[start..]
            .find(|c| !is_name(c))
            .map_or(rest.len(), |length| start + length);
        let (name, after) = (&rest[start..end], &rest[end..]);
        rest = after;
        // Before the value, which may reach to the end of the text.
        if !is_known(name) || found.contains_key(name) {
            continue;
        }
        tries += 1;
        if tries > MAX_VALUES {
            break;
        }
        let Some((value, after)) = value_after(after) else {
            continue;
        };
        if is_wanted(name, &value) {
            found.insert(name.to_owned(), Value::String(value));
            rest = after;
        }
    }
    found
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// Returns the value after a name's separator, and the rest of the text.
fn value_after(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start_matches(['"', '\'', '`', ']']).trim_start();
    let text = ["=>", ":=", ":", "="]
        .iter()
        .find_map(|separator| text.strip_prefix(separator))?
        .trim_start();
    match text.chars().next()? {
        quote @ ('"' | '\'' | '`') => {
            let inside = &text[1..];
            let end = inside.find(quote)?;
            Some((
                inside[..end].replace("\\/", "/").replace("\\u0026", "&"),
                &inside[end + 1..],
            ))
        }
        _ => {
            let end = text
                .find(|c: char| c.is_whitespace() || ",;&}])<>".contains(c))
                .unwrap_or(text.len());
            Some((text[..end].to_owned(), &text[end..]))
        }
    }
}

/// Returns whether a backend's answer may have a value with this name.
fn is_known(name: &str) -> bool {
    let name = plain(name);
    let name = name.as_str();
    SIGNATURES.contains(&name)
        || IDS.contains(&name)
        || URLS.contains(&name)
        || name == TIMESTAMP
        || ticket_input::NAMES.contains(&name)
        || ERROR.contains(&name)
}

/// Returns whether the name is a known one and the value a literal, not a variable or a call.
fn is_wanted(name: &str, value: &str) -> bool {
    let name = plain(name);
    let is_literal = !value.is_empty() && plain(value) != name && !value.contains(['(', '$', '{']);
    let dotted = value.contains('.') && !value.contains("://");
    match name.as_str() {
        name if SIGNATURES.contains(&name) => value.len() >= MIN_SIGNATURE && is_literal && !dotted,
        TIMESTAMP => value.bytes().all(|byte| byte.is_ascii_digit()) && is_literal,
        name if IDS.contains(&name) => is_literal && !dotted,
        name if URLS.contains(&name) => is_literal && value.contains("://"),
        name if ticket_input::NAMES.contains(&name) => {
            ticket_input::is_long_enough(value) && is_literal && !dotted
        }
        name => ERROR.contains(&name) && is_literal,
    }
}

const SIGNATURES: [&str; 3] = ["signature", "sign", "jssignature"];
const TIMESTAMP: &str = "timestamp";
const IDS: [&str; 7] = [
    "noncestr",
    "nonce",
    "noncestring",
    "appid",
    "corpid",
    "agentid",
    "wxappid",
];
const URLS: [&str; 2] = ["url", "signurl"];
pub(super) const ERROR: [&str; 2] = ["errmsg", "errormessage"];

/// Limits the values that are read, each of which may reach to the end of the text.
const MAX_VALUES: usize = 256;

/// Limits the tries at braces that are not JSON: a script has many.
const MAX_TRIES: usize = 64;

/// The length of an MD5 in Base64, rounded down; anything shorter is a word.
const MIN_SIGNATURE: usize = 20;
