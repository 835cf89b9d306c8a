//! An API call as WeChat sees it: endpoint, query, body and address.

use std::net::IpAddr;

use serde_json::Value;

use super::reply::{Refusal, require};
use super::simulated_endpoints::Endpoint;

/// One API call.
pub(super) struct Call<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) path: &'a str,
    pub(super) is_post: bool,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: &'a [u8],
    pub(super) peer: IpAddr,
}

impl Call<'_> {
    /// Returns the first query parameter of this name.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the first query parameter of this name, or `None` if it is empty.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.param(name).filter(|value| !value.is_empty())
    }

    /// Returns the first query parameter of this name, or refuses with this code if it is absent or empty.
    pub(super) fn required(&self, name: &str, code: i64) -> Result<&str, Refusal> {
        self.filled(name).ok_or_else(|| Refusal::new(code))
    }

    pub(super) fn json(&self) -> Result<Value, Refusal> {
        require(!self.body.is_empty(), 44002)?;
        serde_json::from_slice(self.body)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| Refusal::new(47001))
    }
}

/// Returns a filled text field of a JSON body.
pub(super) fn text<'a>(body: &'a Value, field: &str) -> Option<&'a str> {
    let value = body.get(field).and_then(Value::as_str);
    value.filter(|value| !value.is_empty())
}
