//! Puts the AppSecret into calls that carry it in a JSON body, whose callers send the API key in its place.

use actix_web::web::Bytes;
use serde_json::Value;

use super::super::dropin::reply::Refusal;
use super::forward::Call;
use super::outgoing_request;

impl Call<'_> {
    /// Returns query and body with the AppSecret: in the body if that has the key, else in the query.
    pub(super) fn with_secret_in_body(&self, body: &[u8]) -> Result<(String, Bytes), Refusal> {
        let parameter = self.path.secret_parameter().unwrap_or_default();
        let mut members = match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => members,
            _ => serde_json::Map::new(),
        };
        let has_key = members.remove(parameter).is_some();
        let rest = Value::Object(members.clone()).to_string();
        if outgoing_request::contains_key(rest.as_bytes())
            || (!has_key && outgoing_request::contains_key(body))
        {
            return Err(outgoing_request::key_found());
        }
        if !has_key {
            return Ok((self.query(None), Bytes::copy_from_slice(body)));
        }
        let secret = self.caller.account.secret().expose();
        members.insert(parameter.to_owned(), secret.into());
        let body = Value::Object(members).to_string();
        // Some SDKs send it in both places.
        let query = match self.incoming.query().get(parameter) {
            Some(_) => self.query(None),
            None => self.incoming.query().0.to_owned(),
        };
        Ok((query, body.into()))
    }
}
