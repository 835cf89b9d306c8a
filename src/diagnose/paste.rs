//! Reads a pasted text: the client's error text, a backend's answer, source code or a log, the string that
//! was hashed, the page's URL, or several of them.
//!
//! Finds values and does not judge them. Unknown text is ignored.

use serde_json::{Map, Value};

use super::backend_answer::{Answer, plain};
use super::{Case, Role, client_errors, given_ticket, hash};
use crate::credential::Secret;

/// The values found in a pasted text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paste {
    /// The recognised kinds, in the order in which they were found; empty if nothing was recognised.
    pub kinds: Vec<PasteKind>,
    /// The values of `wx.config`.
    pub answer: Answer,
    /// The page's URL, else the URL that the client reports as checked.
    pub url: Option<String>,
    /// The URL that the client reports as checked: `realAuthUrl`.
    pub checked_url: Option<String>,
    /// The client's error text.
    pub error: Option<String>,
    /// The ticket inside a pasted string that was hashed.
    pub ticket: Option<Secret>,
    /// A ticket that was pasted separately, such as WeChat's complete answer: it did not necessarily sign.
    pub given_ticket: Option<Secret>,
    /// Whether the signature was computed here from the pasted string instead of given by a backend.
    pub derived: bool,
    /// The `jsApiList` in the text, if it contains no variables.
    pub js_api_list: Option<Vec<String>>,
}

/// The kind of a text or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasteKind {
    /// A backend's answer.
    Json,
    /// Names with values in any language: a call of `wx.config`, a log line, a query.
    Values,
    /// `jsapi_ticket=…&noncestr=…&timestamp=…&url=…`.
    SignedString,
    /// The client's error text.
    Error,
    /// The page's URL.
    Url,
    /// A call of `wx.config` with variables instead of values: nothing can be computed from it.
    Source,
    /// WeChat's answer to `getticket`.
    Ticket,
}

impl PasteKind {
    /// Returns the name used in API responses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Values => "values",
            Self::SignedString => "signed_string",
            Self::Error => "error",
            Self::Url => "url",
            Self::Source => "source",
            Self::Ticket => "ticket",
        }
    }
}

impl Paste {
    /// Finds all known values in a text.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let text = text.trim();
        let mut paste = Self::default();
        paste.json(text);
        paste.signed_string(text);
        paste.js_api_list = js_api_list_in(text);
        let found = if paste.kinds.iter().all(|kind| *kind == PasteKind::Ticket) {
            values_in(text)
        } else {
            Map::new()
        };
        paste.values(&found);
        paste.address(text);
        paste.words(text, &found);
        paste.refused_address();
        paste.checked_url = client_errors::checked_url(text);
        paste.url = paste.url.or_else(|| paste.checked_url.clone());
        if paste.kinds.is_empty() && text.contains("wx.config") {
            paste.kinds.push(PasteKind::Source);
        }
        paste
    }

    fn json(&mut self, text: &str) {
        for json in json_in(text) {
            if let Some(ticket) = given_ticket::in_json(&json) {
                self.given_ticket.get_or_insert(ticket);
                self.note(PasteKind::Ticket);
            }
            let answer = Answer::from_json(&json);
            let error = errcode_in(&json)
                .or_else(|| word_of(&json, &ERROR))
                .filter(|words| is_said_by_wechat(words));
            if answer.is_none() && error.is_none() {
                continue;
            }
            if let Some(answer) = answer.filter(|_| self.answer.signature.is_none()) {
                self.answer = answer;
            }
            self.error = self.error.take().or(error);
            self.note(PasteKind::Json);
        }
        if self.error.is_some() {
            self.note(PasteKind::Error);
        }
    }

    /// Reads the string that was hashed. The signature may be missing, since it is the string's hash.
    fn signed_string(&mut self, text: &str) {
        for line in text.lines() {
            let Some(start) = line.to_ascii_lowercase().find("jsapi_ticket=") else {
                continue;
            };
            let line = line[start..].trim_end_matches(['"', '\'', '`', ';', ',', ' ', '\r']);
            let mut parts = [None, None, None, None];
            for (at, name) in ["jsapi_ticket=", "noncestr=", "timestamp=", "url="]
                .iter()
                .enumerate()
            {
                let value = line
                    .to_ascii_lowercase()
                    .find(name)
                    .map(|found| &line[found + name.len()..]);
                // The URL comes last; an `&` in it does not end it.
                parts[at] = value.map(|value| {
                    if at == 3 {
                        value
                    } else {
                        value.split('&').next().unwrap_or_default()
                    }
                });
            }
            let [Some(ticket), Some(nonce), Some(time), Some(url)] = parts else {
                continue;
            };
            self.ticket = Some(Secret::new(ticket)).filter(|ticket| !ticket.is_empty());
            let answer = &mut self.answer;
            answer.nonce.get_or_insert_with(|| nonce.to_owned());
            answer.timestamp.get_or_insert_with(|| time.to_owned());
            answer.url.get_or_insert_with(|| url.to_owned());
            if answer.signature.is_none() {
                answer.signature = Some(hash::sha1(line));
                self.derived = true;
            }
            self.note(PasteKind::SignedString);
        }
    }

    fn values(&mut self, found: &Map<String, Value>) {
        if let Some(answer) = Answer::from_json(&Value::Object(found.clone())) {
            self.answer = answer;
            self.note(PasteKind::Values);
        }
        if self.given_ticket.is_none()
            && let Some(ticket) = given_ticket::in_json(&Value::Object(found.clone()))
        {
            self.given_ticket = Some(ticket);
            self.note(PasteKind::Ticket);
        }
    }

    /// Reads a URL that stands alone on its line. A URL within a sentence may be unrelated.
    fn address(&mut self, text: &str) {
        let is_address = |line: &&str| {
            let lower = line.get(..8).unwrap_or_default().to_ascii_lowercase();
            (lower.starts_with("https://") || lower.starts_with("http://"))
                && !line.contains(char::is_whitespace)
                && !client_errors::EXPLAINING
                    .iter()
                    .any(|host| line.contains(host))
        };
        if let Some(line) = text.lines().map(str::trim).find(is_address) {
            self.url.get_or_insert_with(|| line.to_owned());
            self.note(PasteKind::Url);
        }
    }

    /// Reads the client's error text. A number alone counts as an errcode only if nothing else was found.
    fn words(&mut self, text: &str, found: &Map<String, Value>) {
        if self.error.as_deref().is_some_and(is_refusal) {
            return;
        }
        let named = ERROR
            .iter()
            .find_map(|name| found.iter().find(|(key, _)| plain(key) == *name))
            .and_then(|(_, value)| value.as_str())
            .filter(|words| is_said_by_wechat(words));
        let text = named.unwrap_or(text);
        let known = if self.kinds.is_empty() {
            is_explained(text)
        } else {
            client_errors::has_words(text)
        };
        if known || (self.error.is_none() && client_errors::is_about_config(text)) {
            // Prefer a single line that explains as much as the whole text.
            let all = client_errors::explained(text, "");
            let line = text
                .lines()
                .map(str::trim)
                .find(|line| !all.is_empty() && client_errors::explained(line, "") == all)
                .unwrap_or(text);
            self.error = Some(line.chars().take(MAX_ERROR).collect());
            self.note(PasteKind::Error);
        }
    }

    /// Uses the URL that the client's error text names as rejected.
    fn refused_address(&mut self) {
        if self.url.is_none()
            && let Some(address) = self
                .error
                .as_deref()
                .and_then(client_errors::refused_address)
        {
            self.url = Some(address.to_owned());
        }
    }

    fn note(&mut self, kind: PasteKind) {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
    }
}

impl Case {
    /// Fills the unset fields from a pasted text. Its ticket is added to the known ones.
    #[must_use]
    pub fn paste(mut self, paste: Paste) -> Self {
        if self.url.is_empty() {
            self.url = paste.url.unwrap_or_default();
        }
        self.checked_url = self.checked_url.or(paste.checked_url);
        self = self.client_error(paste.error);
        self.derived |= paste.derived && self.signature.is_empty();
        self.js_api_list = self.js_api_list.or(paste.js_api_list);
        let mut case = self.answer(paste.answer);
        let role = case.signed_for().role();
        let is_known = case.tickets.iter().any(|ticket| ticket.role == role);
        if let Some(ticket) = paste.given_ticket.filter(|_| !is_known) {
            case = case.ticket(role, ticket);
        }
        match paste.ticket {
            Some(ticket) => case.ticket(Role::Pasted, ticket),
            None => case,
        }
    }
}

/// Returns whether the text is a rejection: an "ok" of the backend itself must not hide a rejection beside
/// it.
fn is_refusal(words: &str) -> bool {
    let findings = client_errors::explained(words, "");
    findings
        .first()
        .is_some_and(|finding| finding.code != "config_accepted")
}

fn is_explained(words: &str) -> bool {
    !client_errors::explained(words, "").is_empty()
}

/// Returns the names in `jsApiList: […]`, in JSON or in source; `None` if it is missing or contains anything
/// but names.
fn js_api_list_in(text: &str) -> Option<Vec<String>> {
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
fn json_in(text: &str) -> Vec<Value> {
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
fn errcode_in(json: &Value) -> Option<String> {
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

/// Returns whether the text is WeChat's: a known error text, or one that starts with an interface's name.
/// Backends also use an `errMsg` field of their own.
fn is_said_by_wechat(words: &str) -> bool {
    let named = words.split_once(':').is_some_and(|(name, rest)| {
        !rest.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    named || is_explained(words)
}

/// Returns the first text under one of these names at any depth; of a list, its first item.
fn word_of(json: &Value, names: &[&str]) -> Option<String> {
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
fn values_in(text: &str) -> Map<String, Value> {
    let mut found = Map::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_name_start) {
        let end = rest[start..]
            .find(|c| !is_name(c))
            .map_or(rest.len(), |length| start + length);
        let (name, after) = (&rest[start..end], &rest[end..]);
        rest = after;
        let Some((value, after)) = value_after(after) else {
            continue;
        };
        if is_wanted(name, &value) && !found.contains_key(name) {
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

/// Returns whether the name is a known one and the value a literal, not a variable or a call.
fn is_wanted(name: &str, value: &str) -> bool {
    let name = plain(name);
    let is_literal = !value.is_empty() && plain(value) != name && !value.contains(['(', '$', '{']);
    let dotted = value.contains('.') && !value.contains("://");
    match name.as_str() {
        "signature" | "sign" | "jssignature" => {
            value.len() >= MIN_SIGNATURE && is_literal && !dotted
        }
        "timestamp" => value.bytes().all(|byte| byte.is_ascii_digit()) && is_literal,
        "noncestr" | "nonce" | "noncestring" | "appid" | "corpid" | "wxappid" => {
            is_literal && !dotted
        }
        "url" | "signurl" => is_literal && value.contains("://"),
        name if given_ticket::NAMES.contains(&name) => {
            given_ticket::is_long_enough(value) && is_literal && !dotted
        }
        name => ERROR.contains(&name) && is_literal,
    }
}

const ERROR: [&str; 2] = ["errmsg", "errormessage"];

/// Enough for the longest error text of a client, with its stack.
const MAX_ERROR: usize = 600;

/// Limits the tries at braces that are not JSON: a script has many.
const MAX_TRIES: usize = 64;

/// The length of an MD5 in Base64, rounded down; anything shorter is a word.
const MIN_SIGNATURE: usize = 20;
