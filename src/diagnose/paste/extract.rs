//! Extracts JSON, and values with their names, from any text.

use serde_json::{Map, Value};

use crate::diagnose::backend_answer::{SIGNATURE, URL, first_in, is_one_of, is_same};
use crate::diagnose::client_errors::PROBLEM_TYPE;
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

/// Returns whether the text holds a CorpID. `beta: true` says nothing: the client script sets it in WeChat too.
pub(super) fn is_of_wecom(text: &str) -> bool {
    let is_corp_id = |word: &str| {
        let id = word.strip_prefix("ww").unwrap_or_default();
        id.len() == CORP_ID_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(is_corp_id)
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

/// Returns this server's problem document at any depth, as JSON.
pub(super) fn problem_in(json: &Value) -> Option<String> {
    first_in(json, &|fields| {
        let kind = fields.get("type")?.as_str()?;
        let is_problem = kind.starts_with(PROBLEM_TYPE);
        is_problem.then(|| serde_json::to_string(fields).ok())?
    })
}

/// Finds an errcode of WeChat's servers at any depth.
pub(super) fn errcode_in(json: &Value) -> Option<String> {
    first_in(json, &|fields| {
        let named = |name| {
            let mut fields = fields.iter();
            fields.find_map(|(key, value)| is_same(key, name).then_some(value))
        };
        let errcode = named("errcode")?.as_i64().filter(|errcode| *errcode != 0)?;
        let words = named("errmsg").and_then(Value::as_str).unwrap_or_default();
        let text = format!("errcode {errcode}: {words}");
        Some(text.trim_end_matches([':', ' ']).to_owned())
    })
}

/// Returns the first error text at any depth; of a list, its first item.
pub(super) fn errmsg_in(json: &Value) -> Option<String> {
    first_in(json, &|fields| {
        let mut named = fields.iter().filter(|(key, _)| is_one_of(key, &ERROR));
        let text = named.find_map(|(_, value)| match value {
            Value::Array(items) => items.first()?.as_str(),
            value => value.as_str(),
        })?;
        (!text.is_empty()).then(|| text.to_owned())
    })
}

/// Returns every `name: 'value'`, `name=value`, `"name" => "value"` or `<name>value</name>` whose name may
/// occur in a backend's answer.
pub(super) fn values_in(text: &str) -> Value {
    let mut found = Map::new();
    let mut rest = text;
    let mut tries = 0;
    let mut budget = MAX_URL_BYTES;
    while let Some(start) = rest.find(is_name_start) {
        let end = rest[start..]
            .find(|c| !is_name(c))
            .map_or(rest.len(), |length| start + length);
        let before = rest[..start].chars().next_back();
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
        let Some((value, after)) = value_after(before, name, after, &mut budget) else {
            continue;
        };
        if is_wanted(name, &value) {
            found.insert(name.to_owned(), Value::String(value));
            rest = after;
        }
    }
    Value::Object(found)
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// Returns the value after a name and its separator, and the rest of the text. `before` is the character
/// before the name.
fn value_after<'a>(
    before: Option<char>,
    name: &str,
    text: &'a str,
    budget: &mut usize,
) -> Option<(String, &'a str)> {
    let text = match text.strip_prefix('>').filter(|_| before == Some('<')) {
        Some(inside) => inside.strip_prefix("<![CDATA[").unwrap_or(inside),
        None => after_separator(before, text)?,
    };
    let mut text = text.trim_start();
    if let Some((inside, after)) = dumped(text) {
        if !after.starts_with('"') {
            return Some((inside.to_owned(), after));
        }
        text = after;
    }
    let unescaped = text.trim_start_matches('\\');
    let quotes = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”')];
    let quote = quotes.iter().find(|(open, _)| unescaped.starts_with(*open));
    if let Some((open, close)) = quote {
        let inside = &unescaped[open.len_utf8()..];
        let end = inside.find(*close)?;
        let value = inside[..end].trim_end_matches('\\');
        let value = value.replace("\\/", "/").replace("\\u0026", "&");
        return Some((value, &inside[end + close.len_utf8()..]));
    }
    let end = if is_one_of(name, &URL) {
        end_of_url(text, matches!(before, Some('&' | '?')), budget)?
    } else {
        text.find(|c: char| c.is_whitespace() || ",;&}])<>\"\\，；。）】”".contains(c))
            .unwrap_or(text.len())
    };
    Some((text[..end].to_owned(), &text[end..]))
}

/// Returns the text after a separator. A comma is one in lines of the form `name, value`, as WeChat's Java
/// sample prints them.
fn after_separator(before: Option<char>, text: &str) -> Option<&str> {
    let is_line = || {
        let value = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches(", ");
        before.is_none_or(|c| c == '\n') && !value.trim_end().contains([',', ' ', '(', ')'])
    };
    if let Some(value) = text.strip_prefix(", ").filter(|_| is_line()) {
        return Some(value);
    }
    let text = text
        .trim_start_matches(['"', '\'', '`', ']', '\\', '”'])
        .trim_start();
    let separators = ["=>", ":=", ":", "=", "："];
    separators
        .iter()
        .find_map(|separator| text.strip_prefix(separator))
}

/// Returns what stands in the brackets of a type in PHP's dumps, and the text after them: `string(40) "…"`,
/// `int(5)`.
fn dumped(text: &str) -> Option<(&str, &str)> {
    let types = ["string(", "int(", "float("];
    let inside = types.iter().find_map(|name| text.strip_prefix(name))?;
    let (inside, after) = inside.split_once(')')?;
    Some((inside, after.trim_start()))
}

/// Returns the end of a URL without quotes. In the text of a query the next known name ends it, elsewhere an
/// `&` belongs to it. `None` if the budget is used up.
fn end_of_url(text: &str, in_query: bool, budget: &mut usize) -> Option<usize> {
    if *budget == 0 {
        return None;
    }
    let is_end = |(at, c): &(usize, char)| match c {
        '"' | '<' | '>' | '，' | '；' | '。' | '）' | '】' => true,
        '&' => is_field(&text[at + 1..], in_query),
        ',' | ';' => is_field(&text[at + 1..], true),
        c => c.is_whitespace(),
    };
    let end = text
        .char_indices()
        .find(is_end)
        .map_or(text.len(), |(at, _)| at);
    *budget = budget.saturating_sub(end);
    let url = &text[..end];
    let opened = ['(', '[', '{'].map(|open| url.contains(open));
    let url = url.trim_end_matches(|c: char| match c {
        ',' | ';' => true,
        ')' => !opened[0],
        ']' => !opened[1],
        '}' => !opened[2],
        _ => false,
    });
    Some(url.len())
}

/// Returns whether a field of the answer starts here, with a name that a page's own query may have only if
/// `any`.
fn is_field(text: &str, any: bool) -> bool {
    let text = text.trim_start_matches(['"', '\'']);
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    after
        .trim_start_matches(['"', '\''])
        .starts_with(['=', ':'])
        && (is_one_of(name, &["signature", "nonceStr"]) || (any && is_known(name)))
}

/// Returns whether a backend's answer may have a value with this name.
fn is_known(name: &str) -> bool {
    is_one_of(name, &SIGNATURE)
        || is_one_of(name, &IDS)
        || is_one_of(name, &URL)
        || is_same(name, TIMESTAMP)
        || is_one_of(name, &ticket_input::NAMES)
        || is_one_of(name, &ERROR)
}

/// Returns whether the name is a known one and the value a literal, not a variable or a call.
fn is_wanted(name: &str, value: &str) -> bool {
    let is_literal = !value.is_empty() && !is_same(value, name) && !value.contains(['(', '$', '{']);
    let dotted = value.contains('.') && !value.contains("://");
    if is_one_of(name, &SIGNATURE) {
        value.len() >= MIN_SIGNATURE && is_literal && !dotted
    } else if is_same(name, TIMESTAMP) {
        value.bytes().all(|byte| byte.is_ascii_digit()) && is_literal
    } else if is_one_of(name, &IDS) {
        let in_source = |c: char| c.is_whitespace() || "\"'".contains(c);
        is_literal && !dotted && !value.starts_with('%') && !value.contains(in_source)
    } else if is_one_of(name, &URL) {
        is_literal && value.contains("://")
    } else if is_one_of(name, &ticket_input::NAMES) {
        ticket_input::is_long_enough(value) && is_literal && !dotted
    } else {
        is_one_of(name, &ERROR) && is_literal
    }
}

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
const ERROR: [&str; 2] = ["errmsg", "errormessage"];

/// Limits the values that are read, each of which may reach to the end of the text.
const MAX_VALUES: usize = 256;

/// Limits the bytes of the URLs that are read, since one that is not wanted is read again from its next name.
const MAX_URL_BYTES: usize = 256 * 1024;

/// Limits the tries at braces that are not JSON: a script has many.
const MAX_TRIES: usize = 64;

/// The hex digits of a CorpID, after `ww`.
const CORP_ID_DIGITS: usize = 16;

/// The length of an MD5 in Base64, rounded down; anything shorter is a word.
const MIN_SIGNATURE: usize = 20;
