//! `api.weixin.qq.com`: official accounts and mini programs. Checks run in WeChat's order: the app id
//! before the grant type, the secret last.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpResponse, web};
use serde_json::{Map, Value};
use tracing::debug;

use super::reply::{self, Refusal};
use super::{DropinCall, system_of};
use crate::actix::keys::{ApiKey, TokenStyle};
use crate::actix::{json_body, peer_ip};
use crate::broker::Broker;
use crate::credential::{Credential, Kind};
use crate::error::Error;
use crate::error::codes::wire_errors;

/// Handles `GET /cgi-bin/token?grant_type=client_credential&appid=&secret=`.
pub(super) async fn token(call: DropinCall, _: web::Payload) -> HttpResponse {
    let token_request = TokenRequest {
        app_id: call.parameter("appid"),
        grant_type: call.parameter("grant_type"),
        key: call.parameter("secret"),
    };
    let answer = async {
        let (account, key) = token_request.account(&call).await?;
        Ok(call.token_for_key(&account, &key).await?)
    };
    call.respond(answer.await, reply::token)
}

/// Handles `POST /cgi-bin/stable_token`: the same parameters in a JSON body, and `force_refresh`.
pub(super) async fn stable_token(call: DropinCall, body: web::Payload) -> HttpResponse {
    let answer = async {
        if call.request.method() != Method::POST {
            return Err(wire_errors::NOT_POST.into());
        }
        let body = json_body::whole(body, MAX_BODY).await.map_err(|_| {
            Refusal::because(
                wire_errors::BAD_BODY,
                format_args!("the body has more than {MAX_BODY} bytes, or is not complete"),
            )
        })?;
        if body.is_empty() {
            return Err(wire_errors::NO_BODY.into());
        }
        let body: Map<String, Value> =
            serde_json::from_slice(&body).map_err(|_| wire_errors::BAD_BODY)?;
        let text = |name: &str| {
            let text = body.get(name).and_then(Value::as_str);
            text.and_then(given).map(Cow::Borrowed)
        };
        let force = match body.get("force_refresh") {
            None | Some(Value::Null) => false,
            Some(value) => truth(value).ok_or(wire_errors::BAD_BODY)?,
        };
        let token_request = TokenRequest {
            app_id: text("appid"),
            grant_type: text("grant_type"),
            key: text("secret"),
        };
        let (account, key) = token_request.account(&call).await?;
        if !force || key.token == TokenStyle::Virtual {
            return Ok(call.token_for_key(&account, &key).await?);
        }
        let broker = &call.broker;
        let token = broker.credential(&account, Kind::AccessToken).await?;
        let token = forced(broker, &account, token).await?;
        broker.note_recipient(&account, &token.value, key.id(), peer_ip(&call.request));
        Ok(token)
    };
    call.respond(answer.await, reply::token)
}

/// Handles `GET /cgi-bin/ticket/getticket?access_token=&type=`.
pub(super) async fn ticket(call: DropinCall, _: web::Payload) -> HttpResponse {
    let kind = match call.parameter("type").as_deref() {
        Some("jsapi") => Some(Kind::JsapiTicket),
        Some("wx_card") => Some(Kind::CardTicket),
        _ => None,
    };
    call.ticket(kind).await
}

/// The parameters of a token call.
struct TokenRequest<'a> {
    app_id: Option<Cow<'a, str>>,
    grant_type: Option<Cow<'a, str>>,
    key: Option<Cow<'a, str>>,
}

impl TokenRequest<'_> {
    /// Returns the name of the account and the key, if the key opens the account's token.
    async fn account(&self, call: &DropinCall) -> Result<(String, Arc<ApiKey>), Refusal> {
        let broker = &call.broker;
        let app_id = self.app_id.as_deref().ok_or(wire_errors::NO_APPID)?;
        if let Some(name) = call.base_account() {
            broker.look_for_authorizer(&name).await;
        }
        let accounts = broker.accounts();
        let mut found = accounts.all_of_app(app_id, None);
        found.retain(|(name, account)| system_of(account) == call.system && call.is_base(name));
        if found.is_empty() {
            return Err(Refusal::unknown_app(broker, wire_errors::BAD_APPID));
        }
        if self.grant_type.as_deref() != Some("client_credential") {
            return Err(wire_errors::BAD_GRANT_TYPE.into());
        }
        let key = self.key.as_deref().ok_or(wire_errors::NO_SECRET)?;
        let error = wire_errors::BAD_SECRET;
        let key = call.find_key(key, error)?;
        let mut names = found.into_iter().map(|(name, _)| name);
        let account = names
            .find(|name| key.opens(name, Kind::AccessToken))
            .ok_or(error)?;
        debug!(key = key.name, account, "drop-in token call");
        Ok((account.to_owned(), key.clone()))
    }
}

/// Returns a new token to replace `current`. Where no refresh may be forced now, returns `current`, as
/// WeChat does within 30 s of the last forced refresh.
async fn forced(
    broker: &Broker,
    account: &str,
    current: Arc<Credential>,
) -> Result<Arc<Credential>, Refusal> {
    match broker
        .reject(account, Kind::AccessToken, &current.value)
        .await
    {
        Err(Error::RateLimited { .. }) => Ok(current),
        renewed => Ok(renewed?),
    }
}

/// Reads a boolean as clients write it: `true`, `"true"`, 1 or `"1"`, and their opposites.
fn truth(value: &Value) -> Option<bool> {
    let text = match value {
        Value::String(text) => text.trim().to_ascii_lowercase(),
        value => value.to_string(),
    };
    match text.as_str() {
        "true" | "1" => Some(true),
        "false" | "0" | "" => Some(false),
        _ => None,
    }
}

/// Trims a value, since files and shells append a line break; no valid value contains white space.
fn given(value: &str) -> Option<&str> {
    Some(value.trim()).filter(|value| !value.is_empty())
}

/// Maximum length of a body. SDKs send a few hundred bytes.
const MAX_BODY: usize = 8 * 1024;
