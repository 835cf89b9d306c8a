//! Finds the `wx.config` object in the answer of any backend, under various field names and at any depth.

use serde_json::{Map, Value};

/// The fields of a backend's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// `appId`, or WeCom's `corpid`.
    pub app_id: Option<String>,
    /// `nonceStr`.
    pub nonce: Option<String>,
    /// `timestamp`, digit for digit.
    pub timestamp: Option<String>,
    /// `signature`.
    pub signature: Option<String>,
    /// The URL that was signed, if the answer names it.
    pub url: Option<String>,
    /// Whether a field name differs from the one that `wx.config` reads.
    pub misnamed: bool,
    /// `jsApiList`, if the answer has one.
    pub js_api_list: Option<Vec<String>>,
}

impl Answer {
    /// Finds the first object with a signature.
    #[must_use]
    pub fn from_json(json: &Value) -> Option<Self> {
        Self::at_depth(json, 0)
    }

    fn at_depth(json: &Value, depth: usize) -> Option<Self> {
        if depth > MAX_DEPTH {
            return None;
        }
        match json {
            Value::Object(fields) => Self::of_object(fields).or_else(|| {
                fields
                    .values()
                    .find_map(|value| Self::at_depth(value, depth + 1))
            }),
            Value::Array(items) => items
                .iter()
                .find_map(|item| Self::at_depth(item, depth + 1)),
            // JSON inside a string: serialised twice.
            Value::String(text) if text.trim_start().starts_with('{') => {
                Self::at_depth(&serde_json::from_str(text).ok()?, depth + 1)
            }
            _ => None,
        }
    }

    fn of_object(fields: &Map<String, Value>) -> Option<Self> {
        let (signature, signature_named) = field(fields, &SIGNATURE)?;
        let of = |names: &[&str]| {
            field(fields, names).map_or((None, false), |(text, named)| (Some(text), named))
        };
        let ((nonce, nonce_named), (timestamp, timestamp_named)) = (of(&NONCE), of(&TIMESTAMP));
        let (app_id, app_id_named) = of(&APP_ID);
        let work = fields.contains_key("corpid");
        let misnamed = !(signature_named
            && nonce_named
            && timestamp_named
            && (app_id_named || work || app_id.is_none()));
        Some(Self {
            app_id,
            nonce,
            timestamp,
            signature: Some(signature),
            url: of(&URL).0,
            misnamed,
            js_api_list: api_list(fields),
        })
    }
}

fn api_list(fields: &Map<String, Value>) -> Option<Vec<String>> {
    let (_, list) = fields.iter().find(|(key, _)| plain(key) == "jsapilist")?;
    let names = list.as_array()?.iter();
    names.map(|name| name.as_str().map(str::to_owned)).collect()
}

/// Returns a name in lower case, without `_` and `-`.
pub(super) fn plain(name: &str) -> String {
    name.replace(['_', '-'], "").to_lowercase()
}

/// Returns the first field with one of these names, ignoring case, `_` and `-`, and whether it is spelled
/// like the first name.
fn field(fields: &Map<String, Value>, names: &[&str]) -> Option<(String, bool)> {
    names.iter().find_map(|name| {
        let exact = fields
            .get_key_value(*name)
            .or_else(|| fields.iter().find(|(key, _)| plain(key) == plain(name)));
        let (key, value) = exact?;
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        Some((text, key == names[0]))
    })
}

const SIGNATURE: [&str; 3] = ["signature", "sign", "jsSignature"];
const NONCE: [&str; 3] = ["nonceStr", "nonce", "noncestring"];
const TIMESTAMP: [&str; 3] = ["timestamp", "time", "ts"];
const APP_ID: [&str; 4] = ["appId", "corpid", "app", "wxAppId"];
const URL: [&str; 3] = ["url", "link", "signUrl"];

/// Maximum depth. No real answer is nested deeper, and a deliberately deep text costs nothing.
const MAX_DEPTH: usize = 8;
