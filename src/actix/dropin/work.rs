//! `qyapi.weixin.qq.com`: WeCom. The secret is checked before the corp, as WeCom does.
//!
//! In WeCom a secret belongs to one app of the corp. An API key may open several apps; then `agentid=`, a
//! parameter that WeCom does not have, selects one.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use tracing::debug;

use super::reply::{self, Refusal};
use super::{Keys, Query, TokenOwner, is_base, not_a_key, token_for_key};
use crate::actix::credentials::peer_ip;
use crate::actix::keys::presented_key::Presenter;
use crate::actix::keys::{ApiKey, TicketRight};
use crate::broker::Broker;
use crate::clock::UnixTime;
use crate::credential::{Credential, Kind};
use crate::error::codes::wire_errors;

/// Handles `GET /cgi-bin/gettoken?corpid=&corpsecret=[&agentid=]`.
pub(super) async fn token(
    request: HttpRequest,
    broker: web::Data<Broker>,
    keys: Keys,
) -> HttpResponse {
    let query = Query::of(&request);
    let answer = async {
        let (account, key) = account(&request, &query, &broker, &keys)?;
        Ok(token_for_key(&request, &broker, &account, &key).await?)
    };
    respond(&request, &broker, answer.await, reply::work_token)
}

/// Handles `GET /cgi-bin/get_jsapi_ticket?access_token=`: the corp's ticket, for `wx.config`.
pub(super) async fn corp_ticket(
    request: HttpRequest,
    broker: web::Data<Broker>,
    keys: Keys,
) -> HttpResponse {
    let query = Query::of(&request);
    respond(
        &request,
        &broker,
        ticket(&request, &query, &broker, &keys, Some(Kind::JsapiTicket)).await,
        reply::work_ticket,
    )
}

/// Handles `GET /cgi-bin/ticket/get?access_token=&type=agent_config`: the app's ticket, for
/// `wx.agentConfig`.
pub(super) async fn agent_ticket(
    request: HttpRequest,
    broker: web::Data<Broker>,
    keys: Keys,
) -> HttpResponse {
    let query = Query::of(&request);
    let kind = query
        .get("type")
        .filter(|kind| *kind == "agent_config")
        .map(|_| Kind::AgentTicket);
    respond(
        &request,
        &broker,
        ticket(&request, &query, &broker, &keys, kind).await,
        reply::work_ticket,
    )
}

/// Returns the name of the account that corp, key and agent select together, and the key.
fn account(
    request: &HttpRequest,
    query: &Query,
    broker: &Broker,
    keys: &Keys,
) -> Result<(String, Arc<ApiKey>), Refusal> {
    let presented = query.get("corpsecret").ok_or(wire_errors::WORK_NO_SECRET)?;
    let accounts = broker.accounts();
    let corp_id = query.get("corpid").unwrap_or_default();
    let apps: Vec<_> = accounts.of_corp(corp_id).collect();
    if apps.is_empty() {
        return Err(wire_errors::WORK_BAD_CORPID.into());
    }
    let keys = keys.load();
    let Some(key) = Presenter::from(request).find(&keys, presented)? else {
        let error = wire_errors::WORK_BAD_SECRET;
        return Err(not_a_key(request.into(), broker, presented, error));
    };
    let asked = query.get("agentid");
    let meant = apps
        .into_iter()
        .filter(|(_, agent_id)| asked.is_none_or(|asked| asked.parse() == Ok(*agent_id)));
    let meant: Vec<_> = meant
        .map(|(name, _)| name)
        .filter(|name| is_base(request, name))
        .collect();
    if meant.is_empty() {
        return Err(wire_errors::WORK_BAD_AGENTID.into());
    }
    let mut opened = meant
        .into_iter()
        .filter(|name| key.opens(name, Kind::AccessToken));
    let account = opened.next().ok_or(wire_errors::WORK_BAD_SECRET)?;
    if opened.next().is_some() {
        return Err(wire_errors::WORK_WHICH_AGENT.into());
    }
    debug!(key = key.name, account, "drop-in token call");
    Ok((account.to_owned(), key.clone()))
}

/// Answers a ticket call. `kind` is `None` for an unknown type; the token is checked first.
async fn ticket(
    request: &HttpRequest,
    query: &Query,
    broker: &Broker,
    keys: &Keys,
    kind: Option<Kind>,
) -> Result<Arc<Credential>, Refusal> {
    let token = query.get("access_token").ok_or(wire_errors::NO_TOKEN)?;
    let owner = TokenOwner::find(request, broker, keys, token).await;
    let owner = owner.filter(|owner| owner.is_work);
    let owner = owner.ok_or(wire_errors::WORK_DEAD_TOKEN)?;
    let kind = kind.ok_or(wire_errors::WORK_BAD_ARGS)?;
    match owner.ticket_right(request, broker, keys, token, kind) {
        TicketRight::Granted => {}
        TicketRight::Limited => return Err(wire_errors::WORK_FORBIDDEN.into()),
        TicketRight::Unknown => return Err(wire_errors::WORK_DEAD_TOKEN.into()),
    }
    let account = owner.account;
    debug!(account, %kind, "drop-in ticket call");
    Ok(broker.credential(&account, kind).await?)
}

fn respond(
    request: &HttpRequest,
    broker: &Broker,
    answer: Result<Arc<Credential>, Refusal>,
    reply: fn(&Credential, UnixTime) -> HttpResponse,
) -> HttpResponse {
    match answer {
        Ok(credential) => reply(&credential, broker.clock().now()),
        Err(refusal) => refusal.work(broker.clock().wall(), peer_ip(request)),
    }
}
