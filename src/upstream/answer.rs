//! Evaluates the responses of WeChat's API: a value, or one classified error.

use std::fmt;
use std::time::Duration;

use reqwest::Response;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Endpoint, Issued, transport_failure};
use crate::credential::{Secret, check_life};
use crate::error::{Failure, UpstreamError, is_visible};

/// Evaluates a complete response. `sent` are the secrets of the request, which are redacted from all text that
/// is kept.
pub(super) fn judged(
    endpoint: &'static Endpoint,
    sent: &[&Secret],
    status: u16,
    body: &[u8],
) -> Result<Answer, UpstreamError> {
    let failed = |failure| endpoint.failed(failure);
    let answer = match serde_json::from_slice::<Members>(body) {
        Ok(Members(members)) => Answer {
            endpoint,
            status,
            members,
        },
        Err(error) => {
            let error = error.to_string();
            let twice = error
                .strip_prefix(TWICE)
                .and_then(|rest| rest.split_once(" at line"));
            return Err(failed(match twice {
                Some((twice, _)) => Failure::Unusable(format!("HTTP {status}, {twice}")),
                None => Failure::NotJson {
                    status,
                    what: format!(
                        "{} bytes that are not a JSON object{}",
                        body.len(),
                        first_words(body, sent)
                    ),
                },
            }));
        }
    };
    let errcode = match answer.get("errcode") {
        None | Some(Value::Null) => Some(0),
        Some(code) => code.as_i64(),
    };
    match errcode {
        Some(0) => Ok(answer),
        Some(errcode) => Err(failed(Failure::Refused {
            errcode,
            errmsg: printable(answer.text("errmsg").unwrap_or_default(), sent),
            blocked_until: None,
            few_calls: None,
        })),
        None => Err(answer.unusable("an errcode that is not a number")),
    }
}

/// The JSON object of an answer that is not an error.
pub(super) struct Answer {
    endpoint: &'static Endpoint,
    status: u16,
    members: serde_json::Map<String, Value>,
}

impl Answer {
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.members.get(key)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    /// Returns the object of this name as an answer of its own.
    pub(super) fn part(&self, name: &str) -> Result<Self, UpstreamError> {
        match self.get(name) {
            Some(Value::Object(members)) => Ok(self.with(members)),
            _ => Err(self.unusable(format_args!("{name} is not an object"))),
        }
    }

    /// Returns the objects of a list as answers of their own.
    pub(super) fn list(&self, name: &str) -> Result<Vec<Self>, UpstreamError> {
        let Some(Value::Array(list)) = self.get(name) else {
            return Err(self.unusable(format_args!("{name} is not a list")));
        };
        let objects = list.iter().map(|value| match value {
            Value::Object(members) => Ok(self.with(members)),
            _ => Err(self.unusable(format_args!("{name} holds something else than objects"))),
        });
        objects.collect()
    }

    fn with(&self, members: &serde_json::Map<String, Value>) -> Self {
        Self {
            members: members.clone(),
            ..*self
        }
    }

    /// Returns the credential that the endpoint issues.
    pub(super) fn issued(&self) -> Result<Issued, UpstreamError> {
        let field = self.endpoint.field;
        let value = self
            .secret(field)?
            .ok_or_else(|| self.unusable(format_args!("{field} is missing")))?;
        // Only a number is quoted: any other type may contain the credential itself.
        match self.get("expires_in") {
            Some(Value::Number(number)) => {
                let life = number.as_u64().and_then(|seconds| match seconds {
                    0 if self.endpoint.repeats_to_the_end() => Some(Duration::ZERO),
                    seconds => check_life(seconds).ok(),
                });
                let expires_in =
                    life.ok_or_else(|| self.unusable(format_args!("expires_in is {number}")))?;
                Ok(Issued { value, expires_in })
            }
            _ => Err(self.unusable("expires_in is not a number")),
        }
    }

    /// Returns the secret in this member; `None` if there is no text.
    pub(super) fn secret(&self, field: &str) -> Result<Option<Secret>, UpstreamError> {
        let value = match self.text(field) {
            None => return Ok(None),
            Some("") => return Err(self.unusable(format_args!("{field} is empty"))),
            Some(value) => Secret::new(value),
        };
        value
            .check()
            .map_err(|why| self.unusable(format_args!("{field} {why}")))?;
        Ok(Some(value))
    }

    /// Returns the error of an answer that cannot be used.
    pub(super) fn unusable(&self, why: impl fmt::Display) -> UpstreamError {
        let why = format!("HTTP {}, {why}", self.status);
        self.endpoint.failed(Failure::Unusable(why))
    }
}

/// The members of a JSON object without duplicate keys: parsers disagree on which of two values counts.
struct Members(serde_json::Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut answer = serde_json::Map::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if answer.contains_key(&key) {
                        // Only known keys are named: any other key may contain a secret.
                        let known = NAMEABLE.into_iter().find(|known| *known == key);
                        let key = known.unwrap_or("a key");
                        return Err(serde::de::Error::custom(format!("{TWICE}{key} twice")));
                    }
                    answer.insert(key, value);
                }
                Ok(Members(answer))
            }
        }
        deserializer.deserialize_map(Once)
    }
}

/// The keys that the message about a duplicate may name.
const NAMEABLE: [&str; 7] = [
    "errcode",
    "errmsg",
    "access_token",
    "ticket",
    "component_access_token",
    "authorizer_access_token",
    "expires_in",
];

/// Distinguishes a duplicate key from JSON syntax errors.
const TWICE: &str = "duplicate: ";

/// Returns the first words of a body that is not JSON, for a log line: they usually identify a captive
/// portal. Truncated JSON and long words are omitted, since they could contain a credential.
fn first_words(body: &[u8], sent: &[&Secret]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if text.is_empty() || text.starts_with(['{', '[', '"']) {
        return String::new();
    }
    let mut words = String::new();
    let mut word = String::new();
    // The blank at the end terminates the last word.
    for c in printable(text, sent).chars().chain([' ']) {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            word.push(c);
            continue;
        }
        let is_long = word.len() > LONGEST_WORD;
        words.push_str(if is_long { "…" } else { &word });
        word.clear();
        words.push(c);
    }
    let shown: String = words.trim_end().chars().take(FIRST_WORDS).collect();
    format!(", which begin with {shown:?}")
}

/// Reads the body of a response, or more than `most` bytes of one that is longer.
pub(crate) async fn read_up_to(mut response: Response, most: usize) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() <= most
        && let Some(chunk) = response.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Reads the body of a response.
pub(super) async fn read(response: Response) -> Result<Vec<u8>, Failure> {
    let body = read_up_to(response, MAX_BODY).await;
    let body = body.map_err(transport_failure::lost)?;
    match body.len() > MAX_BODY {
        true => Err(Failure::Unusable(format!("more than {MAX_BODY} bytes"))),
        false => Ok(body),
    }
}

/// Prepares external text for a log line: one line, bounded, without the secrets that were sent.
///
/// Invisible characters are removed first, since one inside the secret would hide it from redaction.
fn printable(text: &str, sent: &[&Secret]) -> String {
    let mut line: String = text.chars().filter(|c| is_visible(*c)).collect();
    for secret in sent {
        let secret = secret.expose();
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for secret in [secret, &encoded] {
            if !secret.is_empty() {
                line = line.replace(secret, "[secret]");
            }
        }
    }
    line.chars().take(MAX_ERRMSG).collect()
}

/// Maximum size of a body. WeChat's are under 1 KiB; this limits what a broken gateway can make this process
/// hold.
const MAX_BODY: usize = 64 * 1024;

/// Maximum length quoted from a body that is not JSON: enough for the title of a page.
const FIRST_WORDS: usize = 80;

/// Maximum length of a quoted word: secrets, tokens and tickets are longer.
const LONGEST_WORD: usize = 15;

/// Maximum length of a kept errmsg. The longest known errmsg has about 250 characters.
const MAX_ERRMSG: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_becomes_one_bounded_line_without_the_secret() {
        let secret = Secret::new("0c79e1fa963cd80cc0be99b20a18faeb");
        let text = format!(
            "bad secret {}\r\nINFO forged line {}",
            secret.expose(),
            "x".repeat(1_000)
        );
        let line = printable(&text, &[&secret]);
        assert!(
            line.starts_with("bad secret [secret]INFO forged line xxx"),
            "{line}"
        );
        assert_eq!(line.chars().count(), MAX_ERRMSG);
    }

    #[test]
    fn invisible_characters_are_dropped_and_visible_ones_kept() {
        let secret = Secret::new("0c79e1fa963cd80cc0be99b20a18faeb");
        for invisible in [
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{202e}',
            '\u{2028}',
            '\u{2029}',
            '\u{2066}',
            '\u{2069}',
            '\u{feff}',
            '\u{ad}',
            '\u{61c}',
            '\u{fe0f}',
            '\u{e0041}',
            '\u{85}',
            '\0',
            '\t',
        ] {
            let text = format!("in{invisible}valid 0c79e1fa{invisible}963cd80cc0be99b20a18faeb");
            assert_eq!(
                printable(&text, &[&secret]),
                "invalid [secret]",
                "{invisible:?}"
            );
        }
        let seen = "不合法的 appsecret：\"é\" \\ it's 🙂";
        assert_eq!(printable(seen, &[&secret]), seen);
    }
}
