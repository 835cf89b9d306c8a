//! WeChat's own paths for clients: an existing SDK changes only its host, and sends an API key instead of
//! the secret.
//!
//! Answers have WeChat's shapes and errcodes, with status 200 except for a locked-out address (429) and an
//! unavailable service. A token request returns the current token with its remaining lifetime; `force_refresh`
//! is a rate-limited `reject`. All other calls are the gateway's. A ticket call presents an API key, or an access
//! token and no key: then the limits of the keys that got the token apply to it.

pub(super) mod reply;
mod weixin;
mod work;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, Resource, Scope, web};
use arc_swap::ArcSwap;
use tracing::debug;

use self::reply::Refusal;
use super::keys::authentication::{Presenter, presented};
use super::keys::{API_KEY_PREFIX, ApiKey, ApiKeys, TicketRight, TokenStyle, virtual_token};
use super::peer_ip;
use crate::account::{Account, Platform};
use crate::broker::Broker;
use crate::clock::UnixTime;
use crate::credential::{Credential, KeyId, Kind};
use crate::endpoint::query;
use crate::error::Error;
use crate::error::System::{self, Qyapi, Weixin};
use crate::error::codes::wire_errors::{self, WireError};

/// The token and ticket endpoints of `api.weixin.qq.com` and `qyapi.weixin.qq.com`, below `/cgi-bin`.
///
/// Mount it on a listener that the internet does not reach. Storing other keys in `keys` takes effect at
/// the next request.
pub fn dropin_scope(broker: Broker, keys: web::Data<ArcSwap<ApiKeys>>) -> Scope {
    web::scope("/cgi-bin")
        .app_data(web::Data::new(broker))
        .app_data(keys)
        .service(at("/token", Weixin, weixin::token))
        .service(at("/stable_token", Weixin, weixin::stable_token))
        .service(at("/ticket/getticket", Weixin, weixin::ticket))
        .service(at("/gettoken", Qyapi, work::token))
        .service(at("/get_jsapi_ticket", Qyapi, work::corp_ticket))
        .service(at("/ticket/get", Qyapi, work::agent_ticket))
        // An empty body, like WeCom's.
        .default_service(web::to(HttpResponse::NotFound))
}

/// Registers a path for GET and POST with the query in the address, like WeChat's.
fn at<Answer>(
    path: &str,
    system: System,
    handler: fn(DropinCall, web::Payload) -> Answer,
) -> Resource
where
    Answer: Future<Output = HttpResponse> + 'static,
{
    let handler = move |request, broker, keys: web::Data<ArcSwap<ApiKeys>>, body| {
        let call = DropinCall {
            system,
            request,
            broker,
            keys: keys.load_full(),
        };
        handler(call, body)
    };
    let methods = [Method::GET, Method::HEAD, Method::POST];
    let resource = methods
        .into_iter()
        .fold(web::resource(path), |resource, method| {
            resource.route(web::route().method(method).to(handler))
        });
    resource.default_service(web::to(|| async {
        HttpResponse::MethodNotAllowed()
            .insert_header((ALLOW, "GET, HEAD, POST"))
            .finish()
    }))
}

/// The account that the base URL `http://…/wx/{account}` names: an extension of the request.
pub(super) struct BaseAccount(pub(super) String);

/// A call of a client.
struct DropinCall {
    /// The system whose API this is.
    system: System,
    request: HttpRequest,
    broker: web::Data<Broker>,
    keys: Arc<ApiKeys>,
}

/// Returns the name of the account of a token of WeChat, and whether WeChat still accepts the token.
pub(super) async fn account_of_token(broker: &Broker, token: &str) -> Option<(String, bool)> {
    let found = if token.starts_with(API_KEY_PREFIX) {
        None
    } else if token.starts_with(virtual_token::PREFIX) {
        // An upstream wx-jssdk may have issued it; then it is a current token in memory. The store is not read:
        // most others are virtual tokens that ended.
        broker.account_of_token(token)
    } else {
        broker.find_account_of_token(token).await
    };
    match found {
        Some((name, _)) => Some((name, true)),
        None => Some((broker.account_of_handed_token(token)?, false)),
    }
}

/// The caller of a ticket call.
struct TicketCaller {
    /// The configured name of the account.
    account: String,
    /// Whether an API key that opens the account was presented, or a virtual token of one, not WeChat's token.
    has_key: bool,
    /// The key, or the keys that were given the token here. Of a token that has ended, only those with `calls`:
    /// the gateway replaces it in each call, so the client does not know.
    keys: Vec<KeyId>,
    /// Whether peer nodes may have given the token to other keys.
    has_peer_nodes: bool,
}

impl TicketCaller {
    fn new(account: String, key: &ApiKey) -> Self {
        Self {
            account,
            has_key: true,
            keys: vec![key.id()],
            has_peer_nodes: false,
        }
    }

    /// Checks whether the client may have this ticket.
    fn ticket_right(&self, keys: &ApiKeys, kind: Kind) -> TicketRight {
        let account = &self.account;
        let right = keys.ticket_right(account, kind, &self.keys, self.has_peer_nodes);
        if right != TicketRight::Granted {
            let known = keys.with_ids(&self.keys);
            let keys: Vec<_> = known.map(|key| &key.name).collect();
            debug!(account, %kind, ?keys, "the caller's API keys have no access to this ticket");
        }
        right
    }
}

impl DropinCall {
    /// Returns a parameter, unless it is missing or empty.
    fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        query::trimmed_value(self.request.query_string(), name)
    }

    /// Returns the account that the base URL names, if any.
    fn base_account(&self) -> Option<String> {
        let extensions = self.request.extensions();
        let base = extensions.get::<BaseAccount>();
        base.map(|base| base.0.clone())
    }

    /// Returns whether the base URL allows this account.
    fn is_base(&self, account: &str) -> bool {
        self.base_account().is_none_or(|base| base == account)
    }

    /// Returns the API key with this text. `error`: that of an invalid one.
    fn find_key(&self, presented: &str, error: WireError) -> Result<&Arc<ApiKey>, Refusal> {
        let presenter = Presenter::from(&self.request);
        let key = find_key(presenter, &self.broker, &self.keys, presented, error)?;
        key.ok_or_else(|| error.into())
    }

    /// Returns the caller of a ticket call with an API key in the headers, or with an API key or a token in the
    /// query.
    async fn ticket_caller(&self) -> Result<TicketCaller, Refusal> {
        let system = self.system;
        let broker = &self.broker;
        let presenter = Presenter::from(&self.request);
        let token = self.parameter("access_token");
        let caller = if let Some(key) = key_in_headers(presenter, broker, &self.keys)? {
            self.caller_with_key(key, token.as_deref()).await?
        } else {
            let token = token.as_deref().ok_or(wire_errors::NO_TOKEN)?;
            match key_in_tokens_place(presenter, &self.keys, token)? {
                Some(key) => self.caller_with_key(key, None).await?,
                None => {
                    let caller = self.caller_with_token(token).await;
                    caller.ok_or_else(|| dead_token(system))?
                }
            }
        };
        if !self.is_base(&caller.account) {
            return Err(Refusal::of_another_account());
        }
        let accounts = broker.accounts();
        let found = accounts.get(&caller.account).ok();
        if found.is_some_and(|(_, account)| system_of(account) == system) {
            return Ok(caller);
        }
        Err(match caller.has_key {
            true => Refusal::because(
                forbidden(system),
                "tickets of this account have another path: /cgi-bin/get_jsapi_ticket for WeCom, /cgi-bin/ticket/getticket for others",
            ),
            false => dead_token(system).into(),
        })
    }

    /// Returns the caller with a key, for the account that the base URL, the key or the token beside it names.
    async fn caller_with_key(
        &self,
        key: &ApiKey,
        token: Option<&str>,
    ) -> Result<TicketCaller, Refusal> {
        let broker = &self.broker;
        let only = key.only_account(&broker.accounts()).map(str::to_owned);
        let account = match (self.base_account().or(only), token) {
            (Some(account), _) => account,
            (None, Some(token)) => owner_of_token(broker, &self.keys, token)
                .await
                .filter(|account| key.opens_account(account))
                .ok_or_else(|| Refusal::which_account(key))?,
            (None, None) => return Err(Refusal::which_account(key)),
        };
        let is_opened = key.opens_account(&account);
        if is_opened {
            broker.look_for_authorizer(&account).await;
        }
        // The same answer whether or not the account exists.
        if !is_opened || broker.accounts().get(&account).is_err() {
            return Err(Refusal::unopened_account(broker, key, &account));
        }
        Ok(TicketCaller::new(account, key))
    }

    /// Returns the caller with a token, of WeChat or virtual. `None`: it is not valid here.
    async fn caller_with_token(&self, token: &str) -> Option<TicketCaller> {
        let broker = &self.broker;
        let keys = &self.keys;
        // First what needs no look into a shared store.
        if let Some((key, account)) = virtual_token::open(token, keys, &broker.accounts()) {
            return Some(TicketCaller::new(account, key));
        }
        let (account, is_valid) = account_of_token(broker, token).await?;
        let holders = broker.holders_of(&account, token, peer_ip(&self.request));
        let mut recipients = holders.keys;
        if !is_valid {
            let known = keys.with_ids(&recipients);
            let callers = known.filter(|key| !key.calls.is_empty());
            recipients = callers.map(|key| key.id()).collect();
            // Any other client has to learn that its token has ended, as at WeChat.
            if recipients.is_empty() {
                return None;
            }
        }
        Some(TicketCaller {
            account,
            has_key: false,
            keys: recipients,
            has_peer_nodes: is_valid && broker.has_peer_nodes(),
        })
    }

    /// Answers a ticket call. `kind` is `None` for an unknown type; key and token are checked first.
    async fn ticket(&self, kind: Option<Kind>) -> HttpResponse {
        let system = self.system;
        let bad_args = match system {
            Weixin => wire_errors::BAD_ARGS,
            Qyapi => wire_errors::WORK_BAD_ARGS,
        };
        let answer = async {
            let caller = self.ticket_caller().await?;
            let kind = kind.ok_or(bad_args)?;
            match caller.ticket_right(&self.keys, kind) {
                TicketRight::Granted => {}
                TicketRight::Limited => return Err(forbidden(system).into()),
                TicketRight::Unknown => return Err(dead_token(system).into()),
            }
            let account = caller.account;
            debug!(account, %kind, "drop-in ticket call");
            Ok(self.broker.credential(&account, kind).await?)
        };
        self.respond(answer.await, reply::ticket)
    }

    fn respond(
        &self,
        answer: Result<Arc<Credential>, Refusal>,
        reply: fn(System, &Credential, UnixTime) -> HttpResponse,
    ) -> HttpResponse {
        let clock = self.broker.clock();
        match answer {
            Ok(credential) => reply(self.system, &credential, clock.now()),
            Err(refusal) => refusal.answer(self.system, clock.wall(), peer_ip(&self.request)),
        }
    }

    /// Returns the access token that a key gets for an account: a virtual one, or the current one.
    async fn token_for_key(&self, account: &str, key: &ApiKey) -> Result<Arc<Credential>, Error> {
        let broker = &self.broker;
        if key.token == TokenStyle::Virtual {
            let now = broker.clock().now();
            let accounts = broker.accounts();
            let (_, account) = accounts.get(account)?;
            return Ok(Arc::new(Credential {
                value: virtual_token::of(key, account),
                issued_at: now,
                expires_at: now.plus(VIRTUAL_LIFE),
                generation: 0,
            }));
        }
        broker
            .token_for_key(account, &key.name, key.id(), peer_ip(&self.request))
            .await
    }
}

/// Returns the API key that the headers carry, if any. `Err`: it is invalid.
pub(super) fn key_in_headers<'k>(
    presenter: Presenter<'_>,
    broker: &Broker,
    keys: &'k ApiKeys,
) -> Result<Option<&'k Arc<ApiKey>>, Refusal> {
    let Some(presented) = presented(presenter.headers) else {
        return Ok(None);
    };
    let error = wire_errors::BAD_SECRET;
    match find_key(presenter, broker, keys, presented, error)? {
        Some(key) => Ok(Some(key)),
        None => Err(Refusal::because(
            error,
            "the API key in the header is invalid",
        )),
    }
}

/// Returns the API key that stands in the place of a token, if it is one. `Err`: it is invalid. Only a text that
/// begins like an API key is taken for one, so that every guess counts for the lockout.
pub(super) fn key_in_tokens_place<'k>(
    presenter: Presenter<'_>,
    keys: &'k ApiKeys,
    token: &str,
) -> Result<Option<&'k Arc<ApiKey>>, Refusal> {
    if !token.starts_with(API_KEY_PREFIX) {
        return Ok(None);
    }
    match presenter.find(keys, token)? {
        Some(key) => Ok(Some(key)),
        // Not an errcode for which SDKs fetch another token and try again.
        None => Err(Refusal::because(
            wire_errors::BAD_SECRET,
            "the API key in the place of access_token is invalid",
        )),
    }
}

/// Returns the name of the account whose token this is: of WeChat, valid or ended, or a virtual one.
pub(super) async fn owner_of_token(broker: &Broker, keys: &ApiKeys, token: &str) -> Option<String> {
    if let Some((_, name)) = virtual_token::open(token, keys, &broker.accounts()) {
        return Some(name);
    }
    Some(account_of_token(broker, token).await?.0)
}

/// Returns the system whose API this account has.
pub(super) fn system_of(account: &Account) -> System {
    match account.platform() {
        Platform::Work { .. } => Qyapi,
        _ => Weixin,
    }
}

/// Returns the error for an unknown or ended token.
pub(super) fn dead_token(system: System) -> WireError {
    match system {
        Weixin => wire_errors::DEAD_TOKEN,
        Qyapi => wire_errors::WORK_DEAD_TOKEN,
    }
}

/// Returns the error for a call that the account or the API key may not make.
pub(super) fn forbidden(system: System) -> WireError {
    match system {
        Weixin => wire_errors::NOT_FOR_THIS_ACCOUNT,
        Qyapi => wire_errors::WORK_FORBIDDEN,
    }
}

/// Returns the API key with this text; `None` if it is invalid. `Err`: its address is locked out, or the text is
/// an account's AppSecret.
pub(super) fn find_key<'k>(
    presenter: Presenter<'_>,
    broker: &Broker,
    keys: &'k ApiKeys,
    presented: &str,
    error: WireError,
) -> Result<Option<&'k Arc<ApiKey>>, Refusal> {
    if let Some(key) = presenter.find(keys, presented)? {
        return Ok(Some(key));
    }
    let accounts = broker.accounts();
    let is_secret = |account: &Account| account.secret().expose() == presented;
    let Some((name, _)) = accounts.iter().find(|(_, account)| is_secret(account)) else {
        return Ok(None);
    };
    presenter.log_app_secret(name);
    Err(Refusal::because(
        error,
        "this is wx-jssdk, send its API key instead of the AppSecret",
    ))
}

/// WeChat's tokens live as long.
const VIRTUAL_LIFE: Duration = Duration::from_secs(7_200);
