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

/// Adds the strings in a JSON value whose parts are values, not variables.
pub(super) fn in_json<'a>(json: &'a Value, found: &mut Vec<SignedString<'a>>) {
    match json {
        Value::String(text) => match read(text) {
            Some(string) => found.push(string),
            None => in_text(text, found),
        },
        Value::Array(items) => {
            for item in items {
                in_json(item, found);
            }
        }
        Value::Object(fields) => {
            for value in fields.values() {
                in_json(value, found);
            }
        }
        _ => {}
    }
}

/// Adds the strings in a text whose parts are values, not variables.
pub(super) fn in_text<'a>(text: &'a str, found: &mut Vec<SignedString<'a>>) {
    for line in text.lines() {
        in_line(line, found);
    }
}

fn in_line<'a>(line: &'a str, found: &mut Vec<SignedString<'a>>) {
    let lower = line.to_ascii_lowercase();
    let tickets = lower.match_indices(NAMES[0]).take(MAX_TRIES);
    let strings = tickets
        .map(|(at, _)| start_of(&lower, at))
        .filter_map(|start| {
            let rest = &line[start..];
            let values = start_of_last_value(&lower[start..])?;
            let end = end_of(&line[..start], rest, values);
            // After an empty URL, source code appends a variable.
            let after = rest[end..].trim_start_matches(|c: char| is_after(c) || c.is_whitespace());
            read(&rest[..end]).filter(|string| {
                !string.url.is_empty() || !after.starts_with(['+', '.', '$', '{', '<'])
            })
        });
    found.extend(strings);
}

/// Returns where the string with this ticket starts: at a value before the ticket if they are in a wrong
/// order.
fn start_of(lower: &str, ticket: usize) -> usize {
    let before = &lower[..ticket];
    if before_separator(before).is_none() {
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
    let ends = NAMES.map(|name| Some(position(lower, name)? + name.len()));
    ends.into_iter()
        .try_fold(0, |last, end| Some(last.max(end?)))
}

/// Returns the position of a parameter.
fn position(lower: &str, name: &str) -> Option<usize> {
    let mut found = lower.match_indices(name).map(|(at, _)| at);
    found.find(|at| *at == 0 || before_separator(&lower[..*at]).is_some())
}

/// Returns the text before the separator at its end; `None` without a separator.
fn before_separator(text: &str) -> Option<&str> {
    let text = text.trim_end();
    text.strip_suffix("&amp;")
        .or_else(|| text.strip_suffix('&'))
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
    let quoted = before.contains('\'');
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
            None => "\"`<".contains(c) || (c == '\'' && quoted),
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
        let value = &whole[start + NAMES[at].len()..*next.unwrap_or(&whole.len())];
        next.and_then(|_| before_separator(value)).unwrap_or(value)
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
        let is_quote = |c: char| "\"'`".contains(c);
        let is_variable = |value: &str| {
            let inside = value.trim_matches(is_quote);
            let is_whole = value.len() == inside.len() + 2
                && value.ends_with(is_quote)
                && inside
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            value.starts_with(['$', '%', '<']) || (value.starts_with(is_quote) && !is_whole)
        };
        let time = self
            .timestamp
            .trim_matches(|c: char| c.is_whitespace() || is_quote(c));
        let is_time = time.starts_with(|c: char| c.is_ascii_digit())
            && time
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b".eE+".contains(&byte))
            || NOTHING.contains(&time);
        let port = self.url.split_once(':').map(|(_, port)| port);
        let has_port = port.is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()));
        let is_url = (self.url.contains(['/', '.', '%']) || has_port)
            && !self.url.starts_with(['$', '{', '[', '+', '%'])
            || NOTHING.contains(&self.url);
        let is_skeleton = [self.ticket, self.nonce, time]
            .iter()
            .all(|value| value.is_empty());
        is_time && is_url && !is_skeleton && ![self.ticket, self.nonce].into_iter().any(is_variable)
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
