//! The gateway: passes every other call of WeChat's API to the account's upstream, so that this server is
//! the only address that an SDK needs.
//!
//! An API key needs `calls`. The account's access token takes the place of the key, and the AppSecret in
//! logins. If WeChat refuses the token, it is refreshed and the call repeated once: WeChat has done nothing
//! then. After a timeout or a lost connection the outcome is unknown, so nothing is repeated. Bodies stream;
//! only small ones are kept for the repetition.

mod answer;
mod body_secret;
mod caller;
mod connections;
mod forward;
mod key_limits;
mod outgoing_request;
mod request_body;
mod stats;

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpMessage as _, Request};
use actix_web::HttpResponse;
use actix_web::dev::Payload;
use actix_web::http::header::{ALLOW, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use arc_swap::ArcSwap;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::caller::{APP_IDS, Caller, Identification, UserTokens};
pub(crate) use self::connections::Connections;
use self::key_limits::KeyLimits;
use self::outgoing_request::Query;
use self::request_body::MOST_KEPT;
use self::stats::Unanswered;
pub(crate) use self::stats::{CallOutcome, CallStats, GatewayStats};
use super::dropin::reply::Refusal;
use super::dropin::{BaseAccount, forbidden, system_of};
use super::key_lockout::KeyLockout;
use super::keys::call_policy::{Call, CallRight};
use super::keys::{API_KEY_PREFIX, ApiKeys, virtual_token};
use super::wechat_path::{WechatPath, base_accounts};
use crate::account::{Account, Platform};
use crate::broker::Broker;
use crate::error::System;
use crate::error::codes::wire_errors;

/// `[gateway]`: limits of calls that are passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayOptions {
    /// Largest body, in bytes, that is kept for a repetition.
    pub replay_limit: usize,
    /// Largest body, in bytes, that is passed on.
    pub body_limit: u64,
    /// Timeout of the TCP and TLS handshakes.
    pub connect_timeout: Duration,
    /// Timeout of the whole call, bodies included.
    pub timeout: Duration,
    /// Calls in progress per API key.
    pub calls_at_once: u32,
    /// Calls per second and API key; 0: no limit.
    pub calls_per_second: u32,
}

/// The gateway. Clones share it.
#[derive(Clone)]
pub(crate) struct Gateway(Arc<Shared>);

struct Shared {
    broker: Broker,
    keys: Arc<ArcSwap<ApiKeys>>,
    options: GatewayOptions,
    lockout: Arc<KeyLockout>,
    limits: KeyLimits,
    /// A permit for each byte of a body that may be kept for a repetition.
    budget: Arc<Semaphore>,
    user_tokens: UserTokens,
    stats: GatewayStats,
    /// Names this process in `Via`.
    via: String,
}

/// An answer of the gateway, and what the access log shows of it.
pub(crate) struct Passed {
    pub(crate) response: HttpResponse,
    /// The first two segments of the path and the configured name of the account; `None` for a refused caller.
    pub(crate) named: Option<(String, String)>,
}

impl Gateway {
    /// Creates a gateway for these accounts and keys. Storing other keys in `keys` takes effect at the next
    /// request.
    #[must_use]
    pub(crate) fn new(
        broker: Broker,
        keys: Arc<ArcSwap<ApiKeys>>,
        lockout: Arc<KeyLockout>,
        options: GatewayOptions,
    ) -> Self {
        let limits = KeyLimits::new(&options, broker.clock().clone());
        Self(Arc::new(Shared {
            lockout,
            limits,
            broker,
            keys,
            options,
            budget: Arc::new(Semaphore::new(MOST_KEPT)),
            user_tokens: UserTokens::default(),
            stats: GatewayStats::default(),
            via: format!("wx-jssdk-{:016x}", rand::random::<u64>()),
        }))
    }

    /// Returns the counters of the calls.
    pub(crate) fn stats(&self) -> &GatewayStats {
        &self.0.stats
    }

    /// Returns the number of calls in progress.
    pub(crate) fn in_progress(&self) -> usize {
        self.0.limits.in_progress()
    }

    /// Whether the gateway answers a path of the admin listener.
    pub(crate) fn answers(path: &str) -> bool {
        match WechatPath::parse(path) {
            Some(path) if path.is_known() => !path.is_issued_here(),
            _ => looks_like_wechats(path),
        }
    }

    /// Returns whether the gateway reads the body of a call with this path only after it has found the caller,
    /// so that the body may take long. The path is as a client writes it: with a base URL that names an
    /// account, or with doubled slashes.
    pub(crate) fn may_upload(path: &str) -> bool {
        let may_upload = |path| {
            WechatPath::parse(path).is_some_and(|path| {
                path.is_known() && !path.is_issued_here() && !path.has_secret_in_body()
            })
        };
        may_upload(path) || base_accounts(path).any(|(_, rest)| may_upload(rest))
    }

    /// Passes a call on, and says what the log and the metrics show of it. `connections` are the worker's.
    pub(crate) async fn pass(&self, mut request: Request, connections: Rc<Connections>) -> Passed {
        let shared = &*self.0;
        let body = request.take_payload();
        let incoming = Incoming {
            request: &request,
            base: request
                .extensions()
                .get::<BaseAccount>()
                .map(|base| base.0.clone()),
        };
        if ![Method::GET, Method::HEAD, Method::POST].contains(incoming.request.method()) {
            return Passed {
                response: shared.refuse_method(&incoming),
                named: None,
            };
        }
        let mut named = None;
        let path = WechatPath::parse(request.uri().path());
        let answer = match path.filter(|path| path.is_known()) {
            Some(path) => {
                let mut call = Unanswered {
                    path: path.group(),
                    account: None,
                };
                let answered =
                    shared.answer(&incoming, path, body, &connections, &mut call.account);
                let answered = answered.await;
                let account = call.account.take();
                named = account.map(|account| (path.group().to_owned(), account));
                answered
            }
            None => Err(Refusal::because(
                wire_errors::BAD_URL,
                "WeChat has no such path; doubled or encoded slashes, dots and other characters in the path are refused",
            )),
        };
        let account = named.as_ref().map(|(_, account)| account.as_str());
        let response = answer.unwrap_or_else(|refusal| shared.refuse(refusal, account, &incoming));
        Passed { response, named }
    }
}

/// The methods of WeChat's APIs, as in `Allow`.
const PASSED_METHODS: &str = "GET, HEAD, POST";

/// A request of a caller, before the router.
struct Incoming<'a> {
    request: &'a Request,
    /// The account that the base URL names.
    base: Option<String>,
}

impl<'a> Incoming<'a> {
    fn headers(&self) -> &'a HeaderMap {
        self.request.headers()
    }

    fn query(&self) -> Query<'a> {
        Query(self.request.uri().query().unwrap_or_default())
    }

    /// Returns whether the query names the account by its corp.
    fn names_corp(&self) -> bool {
        let query = self.query();
        let named = APP_IDS.iter().find(|name| query.get(name).is_some());
        named == Some(&"corpid")
    }

    /// Returns the system whose token the query carries, as far as the form of a token shows it.
    fn system_of_token(&self) -> System {
        // WeCom has no other paths.
        let is_shared = self.request.uri().path().starts_with("/cgi-bin/");
        let token = self.query().get("access_token");
        match token.filter(|_| is_shared) {
            Some(token) if !is_of_weixin(&token) => System::Qyapi,
            _ => System::Weixin,
        }
    }

    fn peer_ip(&self) -> Option<IpAddr> {
        let peer = self.request.peer_addr();
        peer.map(|peer| peer.ip().to_canonical())
    }
}

/// Whether it is an API key, or in the form of a token of `api.weixin.qq.com`: digits and `_` at the start.
/// WeCom's tokens have no such start. A virtual token names its account, also one that is no longer valid.
fn is_of_weixin(token: &str) -> bool {
    let number_cut = token.trim_start_matches(|c: char| c.is_ascii_digit());
    match token.starts_with(virtual_token::PREFIX) {
        true => !virtual_token::names_agent(token),
        false => token.starts_with(API_KEY_PREFIX) || number_cut.starts_with('_'),
    }
}

/// Whether a path that no API has was probably meant for WeChat.
fn looks_like_wechats(path: &str) -> bool {
    let lower = path.trim_start_matches('/').to_ascii_lowercase();
    // Below the base URL `/wx/{account}` is nothing else.
    lower
        .strip_prefix("wx/")
        .is_some_and(|rest| rest.contains('/'))
        || ["cgi-bin", "wxa", "sns"].iter().any(|first| {
            lower
                .strip_prefix(first)
                .is_some_and(|rest| rest.starts_with(['/', '%', '\\', ';']))
        })
}

impl Shared {
    /// Passes an authorised call on. Sets `named` to the account as soon as it is known.
    async fn answer(
        &self,
        incoming: &Incoming<'_>,
        path: WechatPath<'_>,
        mut body: Payload,
        connections: &Connections,
        named: &mut Option<String>,
    ) -> Result<HttpResponse, Refusal> {
        incoming.query().check_size()?;
        outgoing_request::refuse_loop(incoming.headers(), &self.via)?;
        if path.issues_tokens() {
            return Err(self.never(incoming, path));
        }
        let keys = self.keys.load_full();
        let secret_body = timeout(
            self.options.timeout,
            request_body::read_with_secret(incoming, path, &mut body),
        )
        .await
        .unwrap_or_else(|_| Err(request_body::Cut::Late.refusal(&self.options)))?;
        let identification = Identification {
            shared: self,
            incoming,
            path,
            keys: &keys,
            secret_body: secret_body.as_deref(),
        };
        let caller = identification.caller().await?;
        *named = Some(caller.name.clone());
        let permit = check_right(incoming, path, &caller)
            .and_then(|()| self.limits.enter(&caller.key.name))
            .inspect_err(|_| self.stats.refused(&caller.name, path.group()))?;
        forward::Call {
            shared: self,
            incoming,
            path,
            caller: &caller,
            connections,
        }
        .make(body, secret_body, permit)
        .await
    }

    /// Answers a method that no API of WeChat has. TRACE would return the request with the token.
    fn refuse_method(&self, incoming: &Incoming<'_>) -> HttpResponse {
        let what = format!("wx-jssdk passes only {PASSED_METHODS} on");
        let refusal = Refusal::because(wire_errors::NOT_POST, what);
        let mut response = self.refuse(refusal, None, incoming);
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static(PASSED_METHODS));
        response
    }

    /// Answers with a refusal, in the error format of [`Shared::system`].
    fn refuse(&self, refusal: Refusal, named: Option<&str>, call: &Incoming<'_>) -> HttpResponse {
        let wall = self.broker.clock().wall();
        refusal.answer(self.system(named, call), wall, call.peer_ip())
    }

    /// Returns the refusal of a call that no key may make.
    fn never(&self, incoming: &Incoming<'_>, path: WechatPath<'_>) -> Refusal {
        let what = format!(
            "{} issues tokens or tickets, and is answered by wx-jssdk itself or not at all: check the spelling and the method of the path",
            path.as_str()
        );
        Refusal::because(forbidden(self.system(None, incoming)), what)
    }

    /// Returns the system whose error format applies: the account's, else WeCom for a corp in the query, else the one
    /// that all accounts have, else that of the token.
    fn system(&self, account: Option<&str>, incoming: &Incoming<'_>) -> System {
        let accounts = self.broker.accounts();
        // A malformed path still has its base URL.
        let malformed = base_accounts(incoming.request.uri().path()).map(|(name, _)| name);
        let named = account.or(incoming.base.as_deref()).into_iter();
        let found = named
            .chain(malformed)
            .find_map(|name| accounts.get(name).ok());
        if let Some((_, account)) = found {
            return system_of(account);
        }
        if incoming.names_corp() {
            return System::Qyapi;
        }
        let mut systems = accounts.iter().map(|(_, account)| system_of(account));
        let first = systems.next().unwrap_or(System::Weixin);
        match systems.all(|system| system == first) {
            true => first,
            false => incoming.system_of_token(),
        }
    }
}

/// Refuses a call that the account cannot make, or the key may not.
fn check_right(
    incoming: &Incoming<'_>,
    path: WechatPath<'_>,
    caller: &Caller,
) -> Result<(), Refusal> {
    check_account(path, &caller.account)?;
    let (key, called) = (&caller.key.name, path.as_str().trim_end_matches('/'));
    let what = match caller.key.right(incoming.request.method(), path) {
        CallRight::Granted => return Ok(()),
        CallRight::NotListed if caller.key.calls.is_empty() => {
            let entry = match path.is_sensitive() {
                true => called.to_owned(),
                false => format!("{}/", path.group()),
            };
            format!(
                "wx-jssdk passes calls on only for API keys with calls: write calls = [\"{entry}\"] for the key \"{key}\" in server.api_keys"
            )
        }
        CallRight::NotListed => format!(
            "the calls of the API key \"{key}\" do not include {} {called}: add it to calls in server.api_keys",
            Call::listed_method(incoming.request.method())
        ),
        CallRight::NeedsExactEntry => format!(
            "{called} is sensitive: the calls of the API key \"{key}\" must name exactly this path, a part of it is not enough"
        ),
    };
    let error = forbidden(system_of(&caller.account));
    Err(Refusal::because(error, what))
}

/// Refuses a call that no key may make for this account.
fn check_account(path: WechatPath<'_>, account: &Account) -> Result<(), Refusal> {
    let system = system_of(account);
    let is_platform = account.platform() == Platform::Component;
    let has_secret = (is_platform && path.takes_component_secret()) || !account.has_no_app_secret();
    let what = if system == System::Qyapi && !path.is_of_wecom() {
        // WeCom's own answer is a 404 without an errcode, which SDKs take for success.
        "this account is an app of WeCom, which does not have this path: name an official account or a mini program, in the base URL or with appid"
    } else if path.is_platform_login() && !is_platform {
        "this call needs the open platform's token: name the platform in the base URL, or with component_appid, and send an API key that opens it"
    } else if path.secret_parameter().is_none() || has_secret {
        return Ok(());
    } else if path.has_secret_in_body() {
        "this account is served through an open platform, and has no AppSecret here: reset its quota with /cgi-bin/component/clear_quota/v2, and name the platform in the base URL or with component_appid"
    } else {
        "this account is served through an open platform, and has no AppSecret here: log users in with /sns/component/jscode2session or /sns/oauth2/component/access_token"
    };
    Err(Refusal::because(forbidden(system), what))
}

/// An answer of the gateway itself that says nothing about the call's outcome at WeChat.
fn unavailable(status: StatusCode, errmsg: String) -> Refusal {
    Refusal::Unavailable {
        status,
        retry_after: None,
        errmsg,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bodies_that_are_read_after_the_key_may_take_long() {
        for path in [
            "/cgi-bin/media/upload",
            "//cgi-bin/media/upload",
            "/wx/shop/cgi-bin/media/upload",
            "//wx/agency/wx0123456789abcdef//cgi-bin/media/upload",
        ] {
            assert!(Gateway::may_upload(path), "{path}");
        }
        for path in [
            "/credentials/shop/access_token/reject",
            "/wx/shop/status",
            "/cgi-bin/stable_token",
            "/wx/shop/cgi-bin/stable_token",
            "/cgi-bin/clear_quota/v2",
            "//wx/shop//cgi-bin/component/clear_quota/v2/",
            "/cgi-bin/%6dedia/upload",
        ] {
            assert!(!Gateway::may_upload(path), "{path}");
        }
    }
}
