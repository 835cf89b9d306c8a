//! Finds the arguments of `wx.config` and `wx.agentConfig` in the answer of any backend, under various field
//! names and at any depth.

use serde_json::{Map, Value};

use super::Target;

/// The fields of a backend's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// `appId`, or WeCom's `corpid`.
    pub app_id: Option<String>,
    /// `agentid`, of WeCom.
    pub agent_id: Option<String>,
    /// What it is for: `wx.agentConfig` if it names an AgentId and no `appId`.
    pub target: Target,
    /// `nonceStr`.
    pub nonce: Option<String>,
    /// `timestamp`, digit for digit.
    pub timestamp: Option<String>,
    /// Nonces under other spellings in the same answer, if different.
    pub other_nonces: Vec<String>,
    /// Timestamps under other spellings in the same answer, if different.
    pub other_timestamps: Vec<String>,
    /// `signature`.
    pub signature: Option<String>,
    /// The URL that was signed, if the answer names it.
    pub url: Option<String>,
    /// Whether a field name differs from the one that `wx.config` reads.
    pub misnamed: bool,
    /// `jsApiList`, if the answer has one.
    pub js_api_list: Option<Vec<String>>,
    /// The argument of `wx.agentConfig` beside that of `wx.config`, if the answer has both.
    pub agent: Option<Box<Answer>>,
}

impl Answer {
    /// Finds the first object with a signature, and beside one for `wx.config` the first for `wx.agentConfig`.
    #[must_use]
    pub fn from_json(json: &Value) -> Option<Self> {
        Self::from_all(std::slice::from_ref(json))
    }

    /// Finds the answer in several JSON values. Gateways and payments have a `sign` of their own, so that an
    /// object with exactly `signature` comes first, and one with a nonce before one without. Without a nonce,
    /// another name counts only for a SHA-1 in hex.
    pub(super) fn from_all(jsons: &[Value]) -> Option<Self> {
        let kinds = [
            (&SIGNATURE[..1], true),
            (&SIGNATURE[..1], false),
            (&SIGNATURE[1..], true),
            (&SIGNATURE[1..], false),
        ];
        kinds.into_iter().find_map(|kind| {
            let mut found = None;
            for json in jsons {
                Self::collect(json, kind, 0, &mut found);
            }
            found
        })
    }

    fn collect(json: &Value, kind: (&[&str], bool), depth: usize, found: &mut Option<Self>) {
        if depth > MAX_DEPTH {
            return;
        }
        match json {
            Value::Object(fields) => match Self::of_object(fields, kind) {
                Some(answer) => *found = Some(answer.after(found.take())),
                None => {
                    for value in fields.values() {
                        Self::collect(value, kind, depth + 1, found);
                    }
                }
            },
            Value::Array(items) => {
                for item in items {
                    Self::collect(item, kind, depth + 1, found);
                }
            }
            // JSON inside a string: serialised twice.
            Value::String(text) if text.trim_start().starts_with('{') => {
                if let Ok(json) = serde_json::from_str(text) {
                    Self::collect(&json, kind, depth + 1, found);
                }
            }
            _ => {}
        }
    }

    /// Returns both answers as one. The earlier one counts, and of the two targets `wx.config` is the outer.
    fn after(self, earlier: Option<Self>) -> Self {
        let Some(mut earlier) = earlier else {
            return self;
        };
        match (earlier.target, self.target) {
            (Target::AgentConfig, Target::Config) => Self {
                agent: Some(Box::new(earlier)),
                ..self
            },
            (Target::Config, Target::AgentConfig) if earlier.agent.is_none() => {
                earlier.agent = Some(Box::new(self));
                earlier
            }
            _ => earlier,
        }
    }

    /// Returns a text, or a number as JavaScript writes it: without `.0`, and rounded above 2^53.
    pub fn text_of(value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => number.as_f64().map(|number| number.to_string()),
            _ => None,
        }
    }

    fn of_object(
        fields: &Map<String, Value>,
        (names, needs_nonce): (&[&str], bool),
    ) -> Option<Self> {
        let (signature, _) = field(fields, names)?;
        let is_sha1 =
            || signature.len() == 40 && signature.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !needs_nonce && names[0] != SIGNATURE[0] && !is_sha1() {
            return None;
        }
        let signature_named = fields.contains_key(SIGNATURE[0]);
        let of = |names: &[&str]| {
            field(fields, names).map_or((None, false), |(text, named)| (Some(text), named))
        };
        let ((nonce, nonce_named), (timestamp, timestamp_named)) = (of(&NONCE), of(&TIMESTAMP));
        if needs_nonce && nonce.is_none() {
            return None;
        }
        let (app_id, app_id_named) = of(&APP_ID);
        let agent_id = of(&AGENT_ID).0;
        let work = fields.contains_key("corpid");
        let for_agent = agent_id.is_some() && field(fields, &APP_ID[..1]).is_none();
        let misnamed = !(signature_named
            && nonce_named
            && timestamp_named
            && (app_id_named || work || app_id.is_none()));
        Some(Self {
            app_id,
            agent_id,
            other_nonces: others(fields, &NONCE, nonce.as_deref()),
            other_timestamps: others(fields, &TIMESTAMP, timestamp.as_deref()),
            target: if for_agent {
                Target::AgentConfig
            } else {
                Target::Config
            },
            nonce,
            timestamp,
            signature: Some(signature),
            // Beside a title or an image, it is the link to share.
            url: of(&URL).0.filter(|_| field(fields, &SHARED).is_none()),
            misnamed,
            js_api_list: api_list(fields),
            agent: None,
        })
    }
}

fn api_list(fields: &Map<String, Value>) -> Option<Vec<String>> {
    let (_, list) = fields.iter().find(|(key, _)| is_same(key, "jsApiList"))?;
    let names = list.as_array()?.iter();
    names.map(|name| name.as_str().map(str::to_owned)).collect()
}

/// Returns whether two names differ in case, `_` and `-` at most. Allocates nothing, since it is asked at each
/// `&` of a pasted URL.
pub(super) fn is_same(name: &str, other: &str) -> bool {
    letters(name).eq(letters(other))
}

fn letters(name: &str) -> impl Iterator<Item = u8> {
    let letters = name.bytes().filter(|byte| !b"_-".contains(byte));
    letters.map(|byte| byte.to_ascii_lowercase())
}

/// Returns whether the name is the same as one of these.
pub(super) fn is_one_of(name: &str, known: &[&str]) -> bool {
    known.iter().any(|known| is_same(name, known))
}

/// Returns the first result for an object of the JSON, at any depth, outer objects first.
pub(super) fn first_in<T>(
    json: &Value,
    of_object: &impl Fn(&Map<String, Value>) -> Option<T>,
) -> Option<T> {
    match json {
        Value::Object(fields) => of_object(fields)
            .or_else(|| fields.values().find_map(|value| first_in(value, of_object))),
        Value::Array(items) => items.iter().find_map(|item| first_in(item, of_object)),
        _ => None,
    }
}

/// Returns the first field with one of these names, ignoring case, `_` and `-`, and whether it is spelled
/// like the first name.
fn field(fields: &Map<String, Value>, names: &[&str]) -> Option<(String, bool)> {
    names.iter().find_map(|name| {
        let exact = fields
            .get_key_value(*name)
            .or_else(|| fields.iter().find(|(key, _)| is_same(key, name)));
        let (key, value) = exact?;
        Some((Answer::text_of(value)?, key == names[0]))
    })
}

/// Returns the other values under these names, ignoring case, `_` and `-`, and the literal of a number that
/// JavaScript writes in another way.
fn others(fields: &Map<String, Value>, names: &[&str], chosen: Option<&str>) -> Vec<String> {
    let named = fields.iter().filter(|(key, _)| is_one_of(key, names));
    named
        .flat_map(|(_, value)| {
            let text = Answer::text_of(value);
            let literal = value.is_number().then(|| value.to_string());
            let literal = literal.filter(|literal| Some(literal) != text.as_ref());
            [text, literal]
        })
        .flatten()
        .filter(|text| Some(text.as_str()) != chosen)
        .collect()
}

pub(super) const SIGNATURE: [&str; 3] = ["signature", "sign", "jsSignature"];
const NONCE: [&str; 3] = ["nonceStr", "nonce", "noncestring"];
const TIMESTAMP: [&str; 3] = ["timestamp", "time", "ts"];
const APP_ID: [&str; 4] = ["appId", "corpid", "app", "wxAppId"];
const AGENT_ID: [&str; 1] = ["agentid"];
pub(super) const URL: [&str; 2] = ["url", "signUrl"];
const SHARED: [&str; 2] = ["title", "imgUrl"];

/// Maximum depth. No real answer is nested deeper, also in a HAR file, and a deliberately deep text costs
/// nothing.
const MAX_DEPTH: usize = 12;
