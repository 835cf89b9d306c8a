//! WeChat's own paths for clients: an existing SDK changes only its host, and sends an API key instead of
//! the secret.
//!
//! Answers have WeChat's shapes and errcodes, always with status 200. A token request returns the current
//! token with its remaining lifetime; `force_refresh` is a rate-limited `reject`. All other calls are the
//! gateway's. A ticket call presents an access token and no key; the limits of the keys that got the token
//! apply to it.

pub(super) mod reply;
mod weixin;
mod work;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, Resource, Route, Scope, web};
use arc_swap::ArcSwap;
use tracing::debug;

use self::reply::Refusal;
use super::keys::authentication::Presenter;
use super::keys::{API_KEY_PREFIX, ApiKey, ApiKeys, TicketRight, TokenStyle, virtual_token};
use super::peer_ip;
use crate::account::{Account, Platform};
use crate::broker::Broker;
use crate::clock::UnixTime;
use crate::credential::{Credential, KeyId, Kind};
use crate::endpoint::query;
use crate::error::codes::wire_errors::{self, WireError};
use crate::error::{Error, System};

/// The token and ticket endpoints of `api.weixin.qq.com` and `qyapi.weixin.qq.com`, below `/cgi-bin`.
///
/// Mount it on a listener that the internet does not reach. Storing other keys in `keys` takes effect at
/// the next request.
#[must_use]
pub fn dropin_scope(broker: Broker, keys: web::Data<ArcSwap<ApiKeys>>) -> Scope {
    web::scope("/cgi-bin")
        .app_data(web::Data::new(broker))
        .app_data(keys)
        .app_data(web::PayloadConfig::new(MAX_BODY))
        .service(at("/token", || web::to(weixin::token)))
        .service(at("/stable_token", || web::to(weixin::stable_token)))
        .service(at("/ticket/getticket", || web::to(weixin::ticket)))
        .service(at("/gettoken", || web::to(work::token)))
        .service(at("/get_jsapi_ticket", || web::to(work::corp_ticket)))
        .service(at("/ticket/get", || web::to(work::agent_ticket)))
        // An empty body, like WeCom's.
        .default_service(web::to(HttpResponse::NotFound))
}

/// Registers a path for GET and POST with the query in the address, like WeChat's.
fn at(path: &str, handler: impl Fn() -> Route) -> Resource {
    let methods = [Method::GET, Method::HEAD, Method::POST];
    let resource = methods
        .into_iter()
        .fold(web::resource(path), |resource, method| {
            resource.route(handler().method(method))
        });
    resource.default_service(web::to(|| async {
        HttpResponse::MethodNotAllowed()
            .insert_header((ALLOW, "GET, HEAD, POST"))
            .finish()
    }))
}

type Keys = web::Data<ArcSwap<ApiKeys>>;

/// The account that the base URL `http://…/wx/{account}` names: an extension of the request.
pub(super) struct BaseAccount(pub(super) String);

/// Returns whether the base URL allows this account.
fn is_base(request: &HttpRequest, account: &str) -> bool {
    let extensions = request.extensions();
    let base = extensions.get::<BaseAccount>();
    base.is_none_or(|base| base.0 == account)
}

/// Returns the name of the account whose token this is, while WeChat accepts it.
pub(super) async fn account_of_token(broker: &Broker, token: &str) -> Option<String> {
    let found = if token.starts_with(API_KEY_PREFIX) {
        None
    } else if token.starts_with(virtual_token::PREFIX) {
        // A wx-jssdk that is this one's upstream may have issued it. Most others were valid here once, and cost no
        // look into a shared store.
        broker.account_of_token(token)
    } else {
        broker.find_account_of_token(token).await
    };
    found.map(|(name, _)| name)
}

/// The account that the `access_token` of a ticket call stands for.
struct TokenOwner {
    /// The configured name.
    account: String,
    system: System,
    /// What the client's rights follow from.
    token: Presented,
}

/// What a client presents as the `access_token` of a ticket call.
enum Presented {
    /// An API key that opens the account, or a virtual token of one.
    Key(Arc<ApiKey>),
    /// WeChat's token of the account.
    Valid,
    /// A token that has ended since these keys, all with `calls`, got it here. The gateway replaces it in each call,
    /// so the client does not know.
    Ended(Vec<KeyId>),
}

/// The configured name of an account, and what was presented for it.
type Owner = (String, Presented);

impl TokenOwner {
    /// Returns the owner of a token of WeChat, a virtual token or an API key that opens one account. `Err`: it
    /// is an invalid key, and its address is locked out for that long.
    async fn find(
        request: &HttpRequest,
        broker: &Broker,
        keys: &Keys,
        token: &str,
    ) -> Result<Option<Self>, Duration> {
        // First what needs no look into a shared store.
        let found = match Self::of_key(request, broker, &keys.load(), token)? {
            None => match account_of_token(broker, token).await {
                Some(account) => Some((account, Presented::Valid)),
                None => Self::of_ended(request, broker, &keys.load(), token),
            },
            found => found,
        };
        let found = found.filter(|(account, _)| is_base(request, account));
        let accounts = broker.accounts();
        let owner = |(account, token): Owner| {
            let (_, configured) = accounts.get(&account).ok()?;
            let system = system_of(configured);
            Some(Self {
                account,
                system,
                token,
            })
        };
        Ok(found.and_then(owner))
    }

    fn of_key(
        request: &HttpRequest,
        broker: &Broker,
        keys: &ApiKeys,
        token: &str,
    ) -> Result<Option<Owner>, Duration> {
        let accounts = broker.accounts();
        if let Some((key, account)) = virtual_token::open(token, keys, &accounts) {
            return Ok(Some((account, Presented::Key(key.clone()))));
        }
        let found = Presenter::from(request).find_among_tokens(keys, token)?;
        let Some(key) = found else {
            return Ok(None);
        };
        let base = request
            .extensions()
            .get::<BaseAccount>()
            .map(|base| base.0.clone());
        // Whether an account exists is not said to a key that does not open it.
        let account = match base {
            Some(base) => Some(base).filter(|account| key.opens_account(account)),
            None => key.only_account(&accounts).map(str::to_owned),
        };
        Ok(account.map(|account| (account, Presented::Key(key.clone()))))
    }

    /// Returns the owner of a token that has ended, if a key with `calls` got it here. Any other client has to learn
    /// that it has ended, as at WeChat.
    fn of_ended(
        request: &HttpRequest,
        broker: &Broker,
        keys: &ApiKeys,
        token: &str,
    ) -> Option<Owner> {
        let account = broker.account_of_handed_token(token)?;
        let holders = broker.holders_of(&account, token, peer_ip(request));
        let known = keys.with_ids(&holders.keys);
        let callers = known.filter(|key| !key.calls.is_empty());
        let recipients: Vec<_> = callers.map(|key| key.id()).collect();
        (!recipients.is_empty()).then_some((account, Presented::Ended(recipients)))
    }

    /// Checks whether the client may have this ticket.
    fn ticket_right(
        &self,
        request: &HttpRequest,
        broker: &Broker,
        keys: &Keys,
        token: &str,
        kind: Kind,
    ) -> TicketRight {
        let (recipients, has_peers) = match &self.token {
            Presented::Key(key) if key.opens(&self.account, kind) => return TicketRight::Granted,
            Presented::Key(_) => return TicketRight::Limited,
            Presented::Valid => {
                let holders = broker.holders_of(&self.account, token, peer_ip(request));
                (holders.keys, broker.has_peer_nodes())
            }
            Presented::Ended(recipients) => (recipients.clone(), false),
        };
        let keys = keys.load();
        let right = keys.ticket_right(&self.account, kind, &recipients, has_peers);
        if right != TicketRight::Granted {
            let known = keys.with_ids(&recipients);
            let recipients: Vec<_> = known.map(|key| &key.name).collect();
            debug!(account = self.account, %kind, ?recipients, "no API key that fetched the token has access to this ticket");
        }
        right
    }
}

/// Returns the system whose API this account has.
pub(super) fn system_of(account: &Account) -> System {
    match account.platform() {
        Platform::Work { .. } => System::Qyapi,
        _ => System::Weixin,
    }
}

/// Answers a ticket call. `kind` is `None` for an unknown type; the token is checked first.
async fn ticket(
    system: System,
    request: &HttpRequest,
    broker: &Broker,
    keys: &Keys,
    kind: Option<Kind>,
) -> HttpResponse {
    let (dead_token, bad_args, forbidden) = match system {
        System::Weixin => (
            wire_errors::DEAD_TOKEN,
            wire_errors::BAD_ARGS,
            wire_errors::NOT_FOR_THIS_ACCOUNT,
        ),
        System::Qyapi => (
            wire_errors::WORK_DEAD_TOKEN,
            wire_errors::WORK_BAD_ARGS,
            wire_errors::WORK_FORBIDDEN,
        ),
    };
    let answer = async {
        let token = &*parameter(request, "access_token").ok_or(wire_errors::NO_TOKEN)?;
        let owner = TokenOwner::find(request, broker, keys, token).await?;
        let owner = owner.filter(|owner| owner.system == system);
        let owner = owner.ok_or(dead_token)?;
        let kind = kind.ok_or(bad_args)?;
        match owner.ticket_right(request, broker, keys, token, kind) {
            TicketRight::Granted => {}
            TicketRight::Limited => return Err(forbidden.into()),
            TicketRight::Unknown => return Err(dead_token.into()),
        }
        let account = owner.account;
        debug!(account, %kind, "drop-in ticket call");
        Ok(broker.credential(&account, kind).await?)
    };
    respond(system, request, broker, answer.await, reply::ticket)
}

fn respond(
    system: System,
    request: &HttpRequest,
    broker: &Broker,
    answer: Result<Arc<Credential>, Refusal>,
    reply: fn(System, &Credential, UnixTime) -> HttpResponse,
) -> HttpResponse {
    let clock = broker.clock();
    match answer {
        Ok(credential) => reply(system, &credential, clock.now()),
        Err(refusal) => refusal.answer(system, clock.wall(), peer_ip(request)),
    }
}

/// Returns the access token that a key gets for an account: a virtual one, or the current one.
async fn token_for_key(
    request: &HttpRequest,
    broker: &Broker,
    account: &str,
    key: &ApiKey,
) -> Result<Arc<Credential>, Error> {
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
        .token_for_key(account, &key.name, key.id(), peer_ip(request))
        .await
}

/// Returns the refusal of a text that is not an API key, if it is an account's AppSecret.
pub(super) fn app_secret_refusal(
    presenter: Presenter<'_>,
    broker: &Broker,
    presented: &str,
    error: WireError,
) -> Option<Refusal> {
    let accounts = broker.accounts();
    let is_secret = |account: &Account| account.secret().expose() == presented;
    let (name, _) = accounts.iter().find(|(_, account)| is_secret(account))?;
    presenter.log_app_secret(name);
    Some(Refusal::because(
        error,
        "this is wx-jssdk, send its API key instead of the AppSecret",
    ))
}

/// Returns a parameter of a call, unless it is missing or empty.
fn parameter<'r>(request: &'r HttpRequest, name: &str) -> Option<Cow<'r, str>> {
    query::trimmed_value(request.query_string(), name)
}

/// Trims a value, since files and shells append a line break; no valid value contains white space.
fn given(value: &str) -> Option<&str> {
    Some(value.trim()).filter(|value| !value.is_empty())
}

/// WeChat's tokens live as long.
const VIRTUAL_LIFE: Duration = Duration::from_secs(7_200);

/// Maximum length of a body. SDKs send a few hundred bytes.
const MAX_BODY: usize = 8 * 1024;
