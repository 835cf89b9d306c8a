//! Runs before the router on both listeners: answers `GET …/config` itself, gives calls that are meant for
//! WeChat to the gateway, counts and logs all other requests.
//!
//! It works below actix-web's router, on the request that actix-http gives it: a router, a middleware and
//! their boxed futures cost more than the signature. Errors without a body get a problem document here.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_http::{HttpMessage as _, Request};
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{AppConfig, Response, ServiceResponse};
use actix_web::http::header::{ALLOW, CONTENT_TYPE, ORIGIN};
use actix_web::http::uri::PathAndQuery;
use actix_web::http::{Method, StatusCode};

use super::access_log::{AccessLog, Entry, RequestLog};
use super::dropin::BaseAccount;
use super::gateway::{Connections, Gateway, Passed};
use super::keys::CallPath;
use super::limit::{Decided, decide};
use super::problem::FailureCode;
use super::public;
use super::request_stats::{ListenerName, RequestStats, RouteCounter, WorkerStats};
use crate::broker::Broker;
use crate::endpoint::{self, Answer, Problem, RateLimit, account_of};
use crate::error::Text;

/// The service factory: makes one [`FastPathService`] per worker.
pub(crate) struct FastPath<F> {
    app: F,
    broker: Broker,
    stats: RequestStats,
    listener: ListenerName,
    log: RequestLog,
    /// The path of the public scope, and its rate limit.
    scope: Option<(&'static str, Arc<RateLimit>)>,
    gateway: Option<Gateway>,
}

impl<F> FastPath<F> {
    /// Wraps an application that has the public scope at `scope`, mounted with
    /// [`public::uncounted_scope`], and `limit` as its data.
    pub(crate) fn public(
        app: impl IntoServiceFactory<F, Request>,
        broker: Broker,
        stats: RequestStats,
        scope: &'static str,
        limit: Arc<RateLimit>,
        log: RequestLog,
    ) -> Self
    where
        F: ServiceFactory<Request>,
    {
        Self {
            app: app.into_factory(),
            broker,
            stats,
            listener: ListenerName::Public,
            log,
            scope: Some((scope, limit)),
            gateway: None,
        }
    }

    /// Wraps the application of the admin listener.
    pub(crate) fn admin(
        app: impl IntoServiceFactory<F, Request>,
        broker: Broker,
        stats: RequestStats,
        gateway: Gateway,
        log: RequestLog,
    ) -> Self
    where
        F: ServiceFactory<Request>,
    {
        Self {
            app: app.into_factory(),
            broker,
            stats,
            listener: ListenerName::Admin,
            log,
            scope: None,
            gateway: Some(gateway),
        }
    }
}

impl<F, B> ServiceFactory<Request> for FastPath<F>
where
    F: ServiceFactory<
            Request,
            Response = ServiceResponse<B>,
            Config = AppConfig,
            Error = actix_web::Error,
        >,
    F::Future: 'static,
    <F::Service as Service<Request>>::Future: 'static,
    B: MessageBody + Unpin + 'static,
{
    type Response = Response<Body<B>>;
    type Error = actix_web::Error;
    type Config = AppConfig;
    type Service = FastPathService<F::Service>;
    type InitError = F::InitError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Service, F::InitError>>>>;

    fn new_service(&self, config: AppConfig) -> Self::Future {
        let app = self.app.new_service(config);
        let stats = WorkerStats::new(self.broker.clone(), self.stats.clone(), self.listener);
        let config = self.scope.as_ref().map(|(scope, limit)| {
            let path = public::config_path(scope);
            ConfigRoute {
                counter: stats.route(&path),
                path,
                limit: limit.clone(),
            }
        });
        let scope = self.scope.as_ref().map(|(scope, _)| *scope);
        let gateway = self.gateway.clone().map(|gateway| {
            (
                gateway,
                Rc::new(Connections::new(self.broker.clock().clone())),
            )
        });
        let access_log = AccessLog::new(self.listener, self.log);
        let behind = Rc::new(Behind {
            broker: self.broker.clone(),
            listener: self.listener,
            scope,
            stats,
            access_log,
        });
        Box::pin(async move {
            Ok(FastPathService {
                app: app.await?,
                config,
                gateway,
                behind,
            })
        })
    }
}

/// Wraps one worker's application.
pub(crate) struct FastPathService<S> {
    app: S,
    config: Option<ConfigRoute>,
    /// The gateway, and this worker's connections to WeChat.
    gateway: Option<(Gateway, Rc<Connections>)>,
    behind: Rc<Behind>,
}

/// The route that is answered here.
struct ConfigRoute {
    path: String,
    counter: Arc<RouteCounter>,
    limit: Arc<RateLimit>,
}

/// What is needed to finish the application's answers.
pub(crate) struct Behind {
    broker: Broker,
    listener: ListenerName,
    scope: Option<&'static str>,
    stats: WorkerStats,
    access_log: AccessLog,
}

/// The body of a signed answer or problem document made here, of a call that was passed on, or of the
/// application's answer.
type Body<B> = EitherBody<Vec<u8>, EitherBody<BoxBody, B>>;

impl<S> FastPathService<S> {
    /// Returns the signed answer if the request is for one and no refresh is needed. All other requests
    /// go to the router.
    fn sign<B>(&self, request: &Request) -> Option<Response<Body<B>>> {
        let ConfigRoute {
            path,
            counter,
            limit,
        } = self.config.as_ref()?;
        let head = request.head();
        if head.uri.path() != path || head.method != Method::GET {
            return None;
        }
        let Behind {
            broker, access_log, ..
        } = self.behind.as_ref();
        let begun = broker.clock().uptime();
        let decided = decide(limit, head.peer_addr, &head.headers);
        let query = head.uri.query().unwrap_or_default();
        let signed = decided.is_ok().then(|| endpoint::sign(broker, query).ok());
        let Some(Answer {
            json,
            account,
            answers,
        }) = signed.flatten()
        else {
            // The handler waits for the refresh or reports the error, and does not count the request
            // against the rate limit again.
            request.extensions_mut().insert(Decided(decided));
            return None;
        };
        let took = broker.clock().uptime().saturating_sub(begun);
        counter.record(200, took);
        answers.record(200);
        if access_log.notes_all() {
            let accounts = broker.accounts();
            let name = accounts.get(&account).ok().map(|(name, _)| name);
            let entry = access_log.open(request);
            let no_failure = FailureCode::default();
            access_log.note(&entry, Some(path), 200, no_failure, name, took);
        }
        let mut response = Response::with_body(StatusCode::OK, EitherBody::left(json));
        let origin = head.headers.get(ORIGIN);
        public::dress(broker, &account, origin, response.headers_mut());
        Some(response)
    }
}

impl<S, B> Service<Request> for FastPathService<S>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    S::Future: 'static,
    B: MessageBody + Unpin + 'static,
{
    type Response = Response<Body<B>>;
    type Error = actix_web::Error;
    type Future = FastPathFuture<S::Future, B>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.app.poll_ready(context)
    }

    fn call(&self, mut request: Request) -> Self::Future {
        if self.behind.listener == ListenerName::Admin {
            readdress(&mut request);
        }
        if let Some(response) = self.sign(&request) {
            return FastPathFuture::Signed(Some(response));
        }
        let behind = self.behind.clone();
        let begun = behind.broker.clock().uptime();
        let entry = behind.access_log.open(&request);
        if let Some((gateway, connections)) = &self.gateway
            && Gateway::answers(request.uri().path())
        {
            let (gateway, connections) = (gateway.clone(), connections.clone());
            return FastPathFuture::Gateway(Box::pin(async move {
                let passed = gateway.pass(request, connections).await;
                behind.finish_passed(passed, begun, &entry)
            }));
        }
        FastPathFuture::App {
            app: Box::pin(self.app.call(request)),
            behind,
            begun,
            entry: Some(entry),
        }
    }
}

/// A finished answer, or a pending one of the gateway or the application.
pub(crate) enum FastPathFuture<F, B> {
    Signed(Option<Response<Body<B>>>),
    Gateway(Pin<Box<dyn Future<Output = Response<BoxBody>>>>),
    App {
        app: Pin<Box<F>>,
        behind: Rc<Behind>,
        begun: Duration,
        entry: Option<Entry>,
    },
}

impl<F, B> Future for FastPathFuture<F, B>
where
    F: Future<Output = Result<ServiceResponse<B>, actix_web::Error>>,
    B: MessageBody + Unpin + 'static,
{
    type Output = Result<Response<Body<B>>, actix_web::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Signed(response) => Poll::Ready(Ok(response.take().expect("polled once"))),
            Self::Gateway(answer) => {
                let answer = ready!(answer.as_mut().poll(context));
                Poll::Ready(Ok(
                    answer.map_body(|_, body| EitherBody::right(EitherBody::left(body)))
                ))
            }
            Self::App {
                app,
                behind,
                begun,
                entry,
            } => {
                let answer = ready!(app.as_mut().poll(context))?;
                Poll::Ready(Ok(behind.finish(
                    answer,
                    *begun,
                    entry.take().expect("ready once"),
                )))
            }
        }
    }
}

/// Rewrites the path of a call that is meant for WeChat: SDKs whose base URL ends in a slash double it, and a
/// base URL `http://…/wx/{account}` names the account.
fn readdress(request: &mut Request) {
    let uri = &request.head().uri;
    let path = uri.path();
    if !path.starts_with("//") && !path.starts_with(BASE) {
        return;
    }
    let single = format!("/{}", path.trim_start_matches('/'));
    let (account, rest) = match single
        .strip_prefix(BASE)
        .and_then(|rest| rest.split_once('/'))
    {
        Some((account, rest)) => (Some(account.to_owned()), format!("/{rest}")),
        None => (None, single),
    };
    if !CallPath::parse(&rest).is_some_and(CallPath::is_known) {
        return;
    }
    let rest = rest.trim_start_matches('/');
    let target = match uri.query() {
        Some(query) => format!("/{rest}?{query}"),
        None => format!("/{rest}"),
    };
    let Ok(target) = PathAndQuery::try_from(target) else {
        return;
    };
    request.head_mut().uri = target.into();
    if let Some(account) = account {
        request.extensions_mut().insert(BaseAccount(account));
    }
}

impl Behind {
    /// Counts and logs an answer of the application, and adds the request id.
    fn finish<B: MessageBody>(
        &self,
        answer: ServiceResponse<B>,
        begun: Duration,
        entry: Entry,
    ) -> Response<Body<B>> {
        let (request, response) = answer.into_parts();
        let (status, pattern) = (response.status(), request.match_pattern());
        let took = self.stats.count(pattern.as_deref(), status.as_u16(), begun);
        let account = match (self.listener, &pattern) {
            (ListenerName::Public, Some(pattern)) if self.signs(pattern) => {
                let account = account_of(request.query_string());
                // A preflight names the account of the request that follows, and that request is counted.
                if request.method() != Method::OPTIONS {
                    self.stats.count_account(&account, status.as_u16());
                }
                Some(account)
            }
            (ListenerName::Admin, _) => request.match_info().get("account").map(Cow::Borrowed),
            _ => None,
        };
        // An unknown account name is arbitrary text from the request.
        let accounts = self.broker.accounts();
        let account = account.and_then(|account| Some(accounts.get(&account).ok()?.0));
        let bare = self.bare_problem(&response);
        let failure = match &bare {
            Some(problem) => FailureCode {
                code: Some(problem.code),
                errcode: None,
            },
            None => response.extensions().get().copied().unwrap_or_default(),
        };
        self.access_log.note(
            &entry,
            pattern.as_deref(),
            status.as_u16(),
            failure,
            account,
            took,
        );
        let mut response = match bare {
            Some(problem) => {
                let mut answer = problem.into_response();
                if let Some(allow) = response.headers().get(ALLOW) {
                    answer.headers_mut().insert(ALLOW, allow.clone());
                }
                Response::from(answer.map_body(|_, body| {
                    EitherBody::left(
                        body.try_into_bytes()
                            .map_or_else(|_| Vec::new(), |bytes| bytes.to_vec()),
                    )
                }))
            }
            None => Response::from(response)
                .map_body(|_, body| EitherBody::right(EitherBody::right(body))),
        };
        self.access_log
            .label(&entry, status, response.headers_mut());
        response
    }

    /// Counts and logs an answer of the gateway, and adds the request id.
    fn finish_passed(&self, passed: Passed, begun: Duration, entry: &Entry) -> Response<BoxBody> {
        let Passed {
            response,
            group,
            account,
        } = passed;
        let status = response.status();
        let took = self
            .stats
            .count(Some(GATEWAY_ROUTE), status.as_u16(), begun);
        let failure = response.extensions().get().copied().unwrap_or_default();
        let route = if group.is_empty() {
            GATEWAY_ROUTE
        } else {
            &group
        };
        self.access_log.note(
            entry,
            Some(route),
            status.as_u16(),
            failure,
            account.as_deref(),
            took,
        );
        let mut response = Response::from(response);
        self.access_log.label(entry, status, response.headers_mut());
        response
    }

    /// Returns the problem document for a 404 or 405 without a body: the framework's own, or that of an
    /// unknown path.
    fn bare_problem<B>(&self, response: &actix_web::HttpResponse<B>) -> Option<Problem> {
        if response.headers().contains_key(CONTENT_TYPE) {
            return None;
        }
        match (response.status(), self.listener) {
            (StatusCode::NOT_FOUND, ListenerName::Public) => Some(Problem::not_found()),
            (StatusCode::NOT_FOUND, ListenerName::Admin) => Some(Problem {
                hint: ADMIN_PATHS,
                ..Problem::not_found()
            }),
            (StatusCode::METHOD_NOT_ALLOWED, _) => {
                let allow = response
                    .headers()
                    .get(ALLOW)
                    .and_then(|allow| allow.to_str().ok());
                Some(Problem::method_not_allowed(allow.unwrap_or("GET, HEAD")))
            }
            _ => None,
        }
    }

    fn signs(&self, pattern: &str) -> bool {
        let below = self.scope.and_then(|scope| pattern.strip_prefix(scope));
        below.is_some_and(|route| public::SIGNING.contains(&route))
    }
}

/// The route label of calls that were passed on.
const GATEWAY_ROUTE: &str = "/{wechat}";

/// The start of a base URL's path that names an account.
const BASE: &str = "/wx/";

/// For clients that call the wrong listener, or call this one for an endpoint that only WeChat has.
const ADMIN_PATHS: Text = Text::new(
    "The admin listener serves /credentials/{account}/{kind}, WeChat's token and ticket paths, /status, /metrics and more, see /docs. \
     It passes WeChat's other calls on, see docs/GATEWAY.md. Pages are signed by the public listener.",
    "管理端口提供 /credentials/{account}/{kind}、微信原有的 token 与 ticket 路径、/status、/metrics 等，完整列表见 /docs。\
     微信的其他接口由网关转发，见 docs/zh/GATEWAY.md；页面签名请访问公开端口。",
);
