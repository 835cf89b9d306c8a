//! Finds the string that was hashed, in JSON, source code or a log.

use serde_json::Value;

use crate::diagnose::url_mistakes::NOTHING;

/// The string that was hashed, and its values.
pub(super) struct SignedString<'a> {
    pub(super) whole: &'a str,
    pub(super) ticket: &'a str,
    pub(super) nonce: &'a str,
    pub(super) timestamp: &'a str,
    pub(super) url: &'a str,
}

/// Returns the first string in a JSON value whose parts are values, not variables.
pub(super) fn in_json(json: &Value) -> Option<SignedString<'_>> {
    match json {
        Value::String(text) => read(text).or_else(|| in_text(text)),
        Value::Array(items) => items.iter().find_map(in_json),
        Value::Object(fields) => fields.values().find_map(in_json),
        _ => None,
    }
}

/// Returns the first string in a text whose parts are values, not variables.
pub(super) fn in_text(text: &str) -> Option<SignedString<'_>> {
    text.lines().find_map(in_line)
}

fn in_line(line: &str) -> Option<SignedString<'_>> {
    let lower = line.to_ascii_lowercase();
    let tickets = lower.match_indices(NAMES[0]).take(MAX_TRIES);
    tickets
        .map(|(at, _)| start_of(&lower, at))
        .find_map(|start| {
            let rest = &line[start..];
            let values = start_of_last_value(&lower[start..])?;
            let end = end_of(&line[..start], rest, values);
            // After an empty URL, source code appends a variable.
            let after = rest[end..].trim_start_matches(|c: char| is_after(c) || c.is_whitespace());
            read(&rest[..end]).filter(|string| {
                !string.url.is_empty() || !after.starts_with(['+', '.', '$', '{', '<'])
            })
        })
}

/// Returns where the string with this ticket starts: at a value before the ticket if they are in a wrong
/// order.
fn start_of(lower: &str, ticket: usize) -> usize {
    let before = &lower[..ticket];
    if !before.ends_with('&') {
        return ticket;
    }
    let is_edge = |c: char| c.is_whitespace() || "\"'`<".contains(c);
    let word = before
        .char_indices()
        .rev()
        .find(|(_, c)| is_edge(*c) || PAIRS.iter().any(|(open, _)| open == c))
        .map_or(0, |(at, c)| at + c.len_utf8());
    let is_start = |at: &usize| {
        !before[word..*at]
            .ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '?' | '&'))
    };
    let starts = NAMES[1..].iter().filter_map(|name| {
        let mut found = before[word..].match_indices(name);
        found.next().map(|(at, _)| word + at).filter(is_start)
    });
    starts.min().unwrap_or(ticket)
}

/// Returns where the last of the four values starts.
fn start_of_last_value(lower: &str) -> Option<usize> {
    let ends = NAMES.map(|name| position(lower, name).map(|at| at + name.len()));
    ends.into_iter()
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .max()
}

/// Returns the position of a parameter.
fn position(lower: &str, name: &str) -> Option<usize> {
    let mut found = lower.match_indices(name).map(|(at, _)| at);
    found.find(|at| *at == 0 || lower[..*at].ends_with('&'))
}

/// Returns the end of the string: its closing quote, else the end of the last value, which starts at `last`.
fn end_of(before: &str, rest: &str, last: usize) -> usize {
    let quote = before.chars().next_back().filter(|c| "\"'`".contains(*c));
    if let Some(end) = quote
        .and_then(|quote| rest.find(quote))
        .filter(|end| *end >= last)
    {
        return rest[..end].trim_end_matches('\\').len();
    }
    let unclosed =
        PAIRS.map(|(open, close)| before.matches(open).count() > before.matches(close).count());
    let mut inside = [0_usize; PAIRS.len()];
    let mut continues = None;
    let mut end = rest.len();
    for (at, c) in rest[last..].char_indices().map(|(at, c)| (last + at, c)) {
        let is_end = match PAIRS
            .iter()
            .position(|(open, close)| [open, close].contains(&&c))
        {
            Some(pair) if c == PAIRS[pair].0 => {
                inside[pair] += 1;
                false
            }
            Some(pair) if inside[pair] > 0 => {
                inside[pair] -= 1;
                false
            }
            Some(pair) => unclosed[pair],
            None if c.is_whitespace() || "，；。".contains(c) => {
                let rest = &rest[at + c.len_utf8()..];
                let continues = *continues.get_or_insert_with(|| continues_url(rest));
                !continues || (c.is_whitespace() && !before.is_empty())
            }
            None => "\"`<".contains(c) || (c == '\'' && before.contains(c)),
        };
        if is_end {
            end = at;
            break;
        }
    }
    rest[..end].trim_end_matches(is_after).len()
}

/// Returns whether the text after a blank or a full-width comma still belongs to a decoded URL, and not to a
/// log.
fn continues_url(rest: &str) -> bool {
    let value = rest.split('&').next().unwrap_or_default().trim();
    !value.is_empty() && !value.contains(|c: char| "=:：>([{（【".contains(c))
}

/// Returns whether the character may follow the string in a sentence or a statement.
fn is_after(c: char) -> bool {
    "\"'`;,\\。，；、 ".contains(c)
}

/// Reads a text that is exactly the string.
fn read(whole: &str) -> Option<SignedString<'_>> {
    let lower = whole.to_ascii_lowercase();
    let mut starts = [0; NAMES.len()];
    for (start, name) in starts.iter_mut().zip(NAMES) {
        *start = position(&lower, name)?;
    }
    if !starts.contains(&0) {
        return None;
    }
    let value = |at: usize| {
        let start = starts[at];
        let next = starts.iter().filter(|other| **other > start).min();
        &whole[start + NAMES[at].len()..next.map_or(whole.len(), |next| next - 1)]
    };
    let short = |at: usize| value(at).split('&').next().unwrap_or_default();
    let string = SignedString {
        whole,
        ticket: short(0),
        nonce: short(1),
        timestamp: short(2),
        url: value(3),
    };
    string.is_literal().then_some(string)
}

impl SignedString<'_> {
    /// Returns whether the values are literals, not the variables of source code or of a formula.
    fn is_literal(&self) -> bool {
        let is_variable = |value: &str| value.starts_with(['"', '\'', '`', '$', '%', '<']);
        let is_time = self.timestamp.starts_with(|c: char| c.is_ascii_digit())
            && self
                .timestamp
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b".eE+".contains(&byte));
        let is_url = self.url.contains(['/', '.', '%'])
            && !self.url.starts_with(['$', '{', '[', '+', '%'])
            || NOTHING.contains(&self.url);
        is_time && is_url && ![self.ticket, self.nonce].into_iter().any(is_variable)
    }
}

/// The names of the four values, in the order in which they are hashed.
const NAMES: [&str; 4] = ["jsapi_ticket=", "noncestr=", "timestamp=", "url="];

/// Brackets, which may stand around the string or inside a URL.
const PAIRS: [(char, char); 8] = [
    ('(', ')'),
    ('[', ']'),
    ('{', '}'),
    ('（', '）'),
    ('【', '】'),
    ('「', '」'),
    ('《', '》'),
    ('“', '”'),
];

/// Limits the tries on one line, each of which may read it to its end.
const MAX_TRIES: usize = 8;
