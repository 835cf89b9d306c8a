//! `qyapi.weixin.qq.com`: WeCom. The secret is checked before the corp, as WeCom does.
//!
//! In WeCom a secret belongs to one app of the corp. An API key may open several apps; then `agentid=`, a
//! parameter that WeCom does not have, selects one.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use tracing::debug;

use super::DropinCall;
use super::reply::{self, Refusal};
use crate::actix::keys::ApiKey;
use crate::credential::Kind;
use crate::error::codes::wire_errors;

/// Handles `GET /cgi-bin/gettoken?corpid=&corpsecret=[&agentid=]`.
pub(super) async fn token(call: DropinCall, _: web::Payload) -> HttpResponse {
    let answer = async {
        let (account, key) = account(&call)?;
        Ok(call.token_for_key(&account, &key).await?)
    };
    call.respond(answer.await, reply::token)
}

/// Handles `GET /cgi-bin/get_jsapi_ticket?access_token=`: the corp's ticket, for `wx.config`.
pub(super) async fn corp_ticket(call: DropinCall, _: web::Payload) -> HttpResponse {
    call.ticket(Some(Kind::JsapiTicket)).await
}

/// Handles `GET /cgi-bin/ticket/get?access_token=&type=agent_config`: the app's ticket, for
/// `wx.agentConfig`.
pub(super) async fn agent_ticket(call: DropinCall, _: web::Payload) -> HttpResponse {
    let kind = call.parameter("type").filter(|kind| kind == "agent_config");
    call.ticket(kind.map(|_| Kind::AgentTicket)).await
}

/// Returns the name of the account that corp, key and agent select together, and the key.
fn account(call: &DropinCall) -> Result<(String, Arc<ApiKey>), Refusal> {
    let broker = &call.broker;
    let presented = &*call
        .parameter("corpsecret")
        .ok_or(wire_errors::WORK_NO_SECRET)?;
    let accounts = broker.accounts();
    let corp_id = call.parameter("corpid").unwrap_or_default();
    let apps: Vec<_> = accounts.of_corp(&corp_id).collect();
    if apps.is_empty() {
        return Err(Refusal::unknown_app(broker, wire_errors::WORK_BAD_CORPID));
    }
    let error = wire_errors::WORK_BAD_SECRET;
    let key = call.find_key(presented, error)?;
    let opened: Vec<_> = apps
        .into_iter()
        .filter(|(name, _)| key.opens(name, Kind::AccessToken))
        .collect();
    if opened.is_empty() {
        return Err(Refusal::unknown_app(broker, error));
    }
    let asked = call.parameter("agentid");
    let asked = asked.as_deref();
    let is_asked = |agent_id: u64| asked.is_none_or(|asked| asked.parse() == Ok(agent_id));
    let mut meant = opened
        .into_iter()
        .filter(|(name, agent_id)| is_asked(*agent_id) && call.is_base(name));
    match (meant.next(), meant.next()) {
        (Some((account, _)), None) => {
            debug!(key = key.name, account, "drop-in token call");
            Ok((account.to_owned(), key.clone()))
        }
        (Some(_), Some(_)) => Err(wire_errors::WORK_WHICH_AGENT.into()),
        // The same answer whether or not there is such an app.
        (None, _) => {
            let refusal = Refusal::because(
                wire_errors::WORK_BAD_AGENTID,
                format_args!(
                    "the API key \"{}\" opens no app of the corp with this agentid, or the base URL names another account",
                    key.name
                ),
            );
            Err(Refusal::unknown_app(broker, refusal))
        }
    }
}
