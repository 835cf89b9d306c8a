//! Calls that carry the AppSecret: checks whose app they name, and puts the AppSecret into a JSON body, whose
//! caller sent the API key in its place.

use actix_web::web::Bytes;
use serde_json::Value;

use super::super::dropin::reply::Refusal;
use super::caller::text_in;
use super::forward::Call;
use super::outgoing_request;
use crate::error::codes::wire_errors;

impl Call<'_> {
    /// Refuses a call that carries the account's AppSecret, or logs in through a platform, but names another
    /// app.
    pub(super) fn check_app_id(&self, secret_body: Option<&[u8]>) -> Result<(), Refusal> {
        let path = self.path;
        let parameter = if path.takes_component_secret() || path.is_platform_login() {
            "component_appid"
        } else if path.secret_parameter().is_some() {
            "appid"
        } else {
            return Ok(());
        };
        let in_query = self.incoming.query().get(parameter);
        let in_body = secret_body.and_then(|body| text_in(body, parameter));
        let is_other = |id: &str| id.trim() != self.caller.account.app_id();
        if in_query.as_deref().is_some_and(is_other) || in_body.as_deref().is_some_and(is_other) {
            return Err(Refusal::because(
                wire_errors::BAD_APPID,
                format_args!(
                    "the call is for the account \"{}\", and this {parameter} is another one's",
                    self.caller.name
                ),
            ));
        }
        Ok(())
    }

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
