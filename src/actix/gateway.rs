//! The gateway: passes every other call of WeChat's API to the account's upstream, so that this server is
//! the only address that an SDK needs.
//!
//! An API key needs `calls`. The account's access token takes the place of the key, and the AppSecret in
//! logins. If WeChat refuses the token, it is refreshed and the call repeated once: WeChat has done nothing
//! then. After a timeout or a lost connection the outcome is unknown, so nothing is repeated. Bodies stream;
//! only small ones are kept for the repetition.

mod answer;
mod body;
mod caller;
mod forward;
mod key_limits;
mod request;
mod stats;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use arc_swap::ArcSwap;

use self::body::ReplayBudget;
use self::caller::{Caller, UserTokens};
use self::forward::Clients;
use self::key_limits::KeyLimits;
pub use self::stats::{CallOutcome, CallStats, GatewayStats};
use super::credentials::peer_ip;
use super::dropin::BaseAccount;
use super::dropin::reply::Refusal;
use super::keys::{ApiKeys, CallPath, CallRight};
use crate::account::Platform;
use crate::broker::Broker;
use crate::endpoint::Problem;
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
pub struct Gateway(Arc<Shared>);

struct Shared {
    broker: Broker,
    keys: Arc<ArcSwap<ApiKeys>>,
    options: GatewayOptions,
    limits: KeyLimits,
    budget: ReplayBudget,
    user_tokens: UserTokens,
    stats: GatewayStats,
    /// Names this process in `Via`.
    via: String,
}

/// What the access log and the route's metric show for a call: an extension of the answer.
pub(crate) struct PassedCall {
    /// The first two segments of the path; empty for a refused caller.
    pub(crate) group: String,
    /// The configured name of the account.
    pub(crate) account: Option<String>,
}

impl Gateway {
    /// Creates a gateway for these accounts and keys. Storing other keys in `keys` takes effect at the next
    /// request.
    #[must_use]
    pub fn new(broker: Broker, keys: Arc<ArcSwap<ApiKeys>>, options: GatewayOptions) -> Self {
        let limits = KeyLimits::new(&options, broker.clock().clone());
        Self(Arc::new(Shared {
            limits,
            broker,
            keys,
            options,
            budget: ReplayBudget::default(),
            user_tokens: UserTokens::default(),
            stats: GatewayStats::default(),
            via: format!("wx-jssdk-{:016x}", rand::random::<u64>()),
        }))
    }

    /// Returns the counters of the calls.
    #[must_use]
    pub fn stats(&self) -> &GatewayStats {
        &self.0.stats
    }

    /// Returns the number of calls in progress.
    #[must_use]
    pub fn in_progress(&self) -> usize {
        self.0.limits.in_progress()
    }

    /// Adds what [`pass`] needs to a worker's application.
    pub(crate) fn configure(&self, services: &mut web::ServiceConfig) {
        services
            .app_data(web::Data::new(self.clone()))
            .app_data(Rc::new(Clients::default()));
    }
}

/// Passes a call on; the default service of the admin listener. Paths that WeChat does not have are a 404.
pub(crate) async fn pass(
    request: HttpRequest,
    body: web::Payload,
    gateway: web::Data<Gateway>,
) -> HttpResponse {
    let shared = &*gateway.0;
    let path = request.uri().path();
    let (mut group, mut account) = (String::new(), None);
    let answer = match CallPath::parse(path) {
        Some(path) if path.is_known() => {
            let answered = shared.answer(&request, path, body.into_inner(), &mut account);
            let answered = answered.await;
            if account.is_some() {
                path.group().clone_into(&mut group);
            }
            answered
        }
        None if looks_like_wechats(path) => Err(Refusal::because(
            wire_errors::BAD_URL,
            "WeChat has no such path; doubled or encoded slashes, dots and other characters in the path are refused",
        )),
        _ => return HttpResponse::NotFound().finish(),
    };
    let mut response = answer.unwrap_or_else(|refusal| {
        if let Some(account) = &account {
            shared.stats.refused(account, &group);
        }
        let wall = shared.broker.clock().wall();
        match shared.is_work(account.as_deref(), &request) {
            true => refusal.work(wall, peer_ip(&request)),
            false => refusal.weixin(wall),
        }
    });
    let passed = PassedCall { group, account };
    response.extensions_mut().insert(passed);
    response
}

/// Whether a path that no API has was probably meant for WeChat.
fn looks_like_wechats(path: &str) -> bool {
    let lower = path.trim_start_matches('/').to_ascii_lowercase();
    // With the base URL `/wx/{account}`, the account comes first.
    let below = lower
        .strip_prefix("wx/")
        .and_then(|rest| rest.split_once('/'));
    let lower = below.map_or(lower.as_str(), |(_, rest)| rest.trim_start_matches('/'));
    ["cgi-bin", "wxa", "sns"].iter().any(|first| {
        lower
            .strip_prefix(first)
            .is_some_and(|rest| rest.starts_with(['/', '%', '\\', ';']))
    })
}

impl Shared {
    /// Passes an authorised call on. Sets `named` to the account as soon as it is known.
    async fn answer(
        &self,
        request: &HttpRequest,
        path: CallPath<'_>,
        mut body: Payload,
        named: &mut Option<String>,
    ) -> Result<HttpResponse, Refusal> {
        request::refuse_loop(request, &self.via)?;
        let keys = self.keys.load_full();
        let login_body = body::login(request, path, &mut body).await?;
        let caller = self
            .identify(request, path, &keys, login_body.as_deref())
            .await?;
        *named = Some(caller.name.clone());
        self.check_right(request, path, &caller)?;
        let permit = self.limits.enter(&caller.key.name)?;
        let clients = request.app_data::<Rc<Clients>>().cloned();
        let clients = clients.unwrap_or_default();
        forward::Call {
            shared: self,
            request,
            path,
            caller: &caller,
            clients: &clients,
        }
        .make(body, login_body, permit)
        .await
    }

    fn check_right(
        &self,
        request: &HttpRequest,
        path: CallPath<'_>,
        caller: &Caller,
    ) -> Result<(), Refusal> {
        let (key, called) = (&caller.key.name, path.as_str().trim_end_matches('/'));
        let forbidden = match caller.is_work {
            true => wire_errors::WORK_FORBIDDEN,
            false => wire_errors::NOT_FOR_THIS_ACCOUNT,
        };
        let what = match caller.key.right(request.method(), path) {
            CallRight::Granted => return Ok(()),
            CallRight::NotListed if caller.key.calls.is_empty() => format!(
                "wx-jssdk passes calls on only for API keys with calls: write calls = [\"{}/\"] for the key \"{key}\" in server.api_keys",
                path.group()
            ),
            CallRight::NotListed => format!(
                "the calls of the API key \"{key}\" do not include {} {called}: add it to calls in server.api_keys",
                request.method()
            ),
            CallRight::NeedsExactEntry => format!(
                "{called} is sensitive: the calls of the API key \"{key}\" must name exactly this path, a part of it is not enough"
            ),
            CallRight::Never => format!(
                "{called} is answered by wx-jssdk itself: check the spelling and the method of the path"
            ),
        };
        Err(Refusal::because(forbidden, what))
    }

    /// Whether errors have WeCom's shape: decided by the account, or by what is known of it.
    fn is_work(&self, account: Option<&str>, request: &HttpRequest) -> bool {
        let accounts = self.broker.accounts();
        let base = request
            .extensions()
            .get::<BaseAccount>()
            .map(|base| base.0.clone());
        let named = account.or(base.as_deref());
        let is_work = |name: &str| {
            let found = accounts.get(name).ok();
            found.is_some_and(|(_, account)| matches!(account.platform(), Platform::Work { .. }))
        };
        match named {
            Some(name) => is_work(name),
            None => {
                let mut all = accounts.iter().peekable();
                all.peek().is_some()
                    && all.all(|(_, account)| matches!(account.platform(), Platform::Work { .. }))
            }
        }
    }
}

impl From<Problem> for Refusal {
    /// A problem with the API key in a header.
    fn from(problem: Problem) -> Self {
        match problem.retry_after {
            Some(wait) => Self::LockedOut(wait),
            None => Self::because(wire_errors::BAD_SECRET, "the API key in the header is invalid"),
        }
    }
}

/// An answer of the gateway itself that says nothing about the call's outcome at WeChat.
fn unavailable(status: StatusCode, errmsg: String) -> Refusal {
    Refusal::Unavailable {
        status,
        retry_after: None,
        errmsg,
    }
}
