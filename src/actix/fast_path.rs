//! Runs before the router on both listeners: answers `GET …/config` itself, passes calls that are meant for
//! WeChat to the gateway and all other requests to the router, and counts and logs every answer.
//!
//! It works on the request that actix-http gives it: actix-web's router, a middleware and their boxed futures
//! cost more than the signature.

mod finisher;
mod path_rewrite;

use std::future::{Ready, ready};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_http::{HttpMessage as _, Request};
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::body::EitherBody;
use actix_web::dev::{AppConfig, Response, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use futures_util::future::{Either, LocalBoxFuture};

use self::finisher::Finisher;
use super::access_log::AccessLog;
use super::cors;
use super::gateway::{Connections, Gateway};
use super::limit::RateLimitResult;
use super::problem::FailureCode;
use super::request_stats::{ListenerName, RequestStats, RouteCounter, WorkerStats};
use crate::broker::Broker;
use crate::endpoint::{self, Answer, RateLimit};

/// The service factory: makes one [`FastPathService`] per worker.
pub(crate) struct FastPath<F> {
    app: F,
    broker: Broker,
    stats: RequestStats,
    access_log: AccessLog,
    /// The path of the public scope, and its rate limit.
    scope: Option<(&'static str, Arc<RateLimit>)>,
    gateway: Option<Gateway>,
}

impl<F> FastPath<F> {
    /// Wraps an application. If it has the public scope, `scope` is its path, and the limit that is its data.
    pub(crate) fn new(
        app: impl IntoServiceFactory<F, Request>,
        broker: Broker,
        stats: RequestStats,
        access_log: AccessLog,
        scope: Option<(&'static str, Arc<RateLimit>)>,
        gateway: Option<Gateway>,
    ) -> Self
    where
        F: ServiceFactory<Request>,
    {
        Self {
            app: app.into_factory(),
            broker,
            stats,
            access_log,
            scope,
            gateway,
        }
    }
}

impl<F> ServiceFactory<Request> for FastPath<F>
where
    F: ServiceFactory<
            Request,
            Response = ServiceResponse,
            Config = AppConfig,
            Error = actix_web::Error,
        >,
    F::Future: 'static,
    <F::Service as Service<Request>>::Future: 'static,
{
    type Response = Response<Body>;
    type Error = actix_web::Error;
    type Config = AppConfig;
    type Service = FastPathService<F::Service>;
    type InitError = F::InitError;
    type Future = LocalBoxFuture<'static, Result<Self::Service, F::InitError>>;

    fn new_service(&self, config: AppConfig) -> Self::Future {
        let app = self.app.new_service(config);
        let listener = self.access_log.listener();
        let stats = WorkerStats::new(self.broker.clone(), self.stats.clone(), listener);
        let config = self.scope.as_ref().map(|(scope, limit)| {
            let path = format!("{scope}/config");
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
        let finisher = Rc::new(Finisher {
            broker: self.broker.clone(),
            listener,
            scope,
            stats,
            access_log: self.access_log.clone(),
        });
        Box::pin(async move {
            Ok(FastPathService {
                app: app.await?,
                config,
                gateway,
                finisher,
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
    finisher: Rc<Finisher>,
}

/// The route that is answered here.
struct ConfigRoute {
    /// The path, and the pattern in the router.
    path: String,
    counter: Arc<RouteCounter>,
    limit: Arc<RateLimit>,
}

/// The body of an answer: bytes made here (a signature), or that of the gateway or the application.
type Body = EitherBody<Vec<u8>>;

type Answered = Result<Response<Body>, actix_web::Error>;

impl<S> FastPathService<S> {
    /// Returns the signed answer if the request is for one and no refresh is needed; `None` for every other
    /// request.
    fn sign(&self, request: &Request) -> Option<Response<Body>> {
        let ConfigRoute {
            path,
            counter,
            limit,
        } = self.config.as_ref()?;
        let head = request.head();
        if head.uri.path() != path || head.method != Method::GET {
            return None;
        }
        let Finisher {
            broker, access_log, ..
        } = self.finisher.as_ref();
        let at = broker.clock().moment();
        let peer = head.peer_addr.map(|peer| peer.ip());
        let decided = limit.check(peer, &head.headers);
        let query = head.uri.query().unwrap_or_default();
        let signed = decided
            .is_ok()
            .then(|| endpoint::sign(broker, query, &at).ok());
        let Some(Answer {
            json,
            account,
            answers,
        }) = signed.flatten()
        else {
            // The handler waits for the refresh or reports the error, and does not count the request
            // against the rate limit again.
            request.extensions_mut().insert(RateLimitResult(decided));
            return None;
        };
        let took = broker.clock().uptime().saturating_sub(at.uptime);
        counter.record(200, took);
        answers.record(200);
        if access_log.notes_all() {
            let accounts = broker.accounts();
            let name = accounts.get(&account).ok().map(|(name, _)| name);
            let entry = access_log.open(request, at.uptime);
            let no_failure = FailureCode::default();
            access_log.note(&entry, (Some(path), None), 200, no_failure, name, took);
        }
        let mut response = Response::with_body(StatusCode::OK, EitherBody::left(json));
        let added = endpoint::cors::of_signed(broker, &account, cors::origin(&head.headers));
        let headers = response.headers_mut();
        cors::add_signed_headers(headers);
        cors::allow(added, &head.headers, headers);
        Some(response)
    }
}

impl<S> Service<Request> for FastPathService<S>
where
    S: Service<Request, Response = ServiceResponse, Error = actix_web::Error>,
    S::Future: 'static,
{
    type Response = Response<Body>;
    type Error = actix_web::Error;
    type Future = Either<Ready<Answered>, LocalBoxFuture<'static, Answered>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.app.poll_ready(context)
    }

    fn call(&self, mut request: Request) -> Self::Future {
        if self.finisher.listener == ListenerName::Admin {
            path_rewrite::rewrite_base_url(&mut request);
        }
        if let Some(response) = self.sign(&request) {
            return Either::Left(ready(Ok(response)));
        }
        let finisher = self.finisher.clone();
        let begun = finisher.broker.clock().uptime();
        let entry = finisher.access_log.open(&request, begun);
        if let Some((gateway, connections)) = &self.gateway
            && Gateway::answers(request.uri().path())
        {
            let (gateway, connections) = (gateway.clone(), connections.clone());
            return Either::Right(Box::pin(async move {
                let passed = gateway.pass(request, connections).await;
                Ok(finisher.finish_passed(passed, begun, &entry))
            }));
        }
        path_rewrite::cut_long_path(&mut request);
        let answer = self.app.call(request);
        Either::Right(Box::pin(async move {
            let answer = answer.await?;
            Ok(finisher.finish(answer, begun, &entry))
        }))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use actix_web::{App, HttpRequest, HttpResponse, web};

    use super::*;
    use crate::actix::{ClientIps, RequestLog};

    #[tokio::test]
    async fn the_router_gets_no_path_longer_than_that_of_any_route() {
        let broker = Broker::builder().build().expect("a broker");
        let clients = Arc::new(ClientIps::new(Vec::new(), "x-forwarded-for"));
        let log = AccessLog::new(ListenerName::Public, RequestLog::Off, clients);
        let length = |request: HttpRequest| async move {
            let length = request.path().len();
            HttpResponse::Ok()
                .insert_header(("x-length", length))
                .finish()
        };
        let app = App::new().default_service(web::to(length));
        let front = FastPath::new(app, broker, RequestStats::default(), log, None, None);
        let service = front.new_service(AppConfig::default()).await;
        let service = service.expect("an application");
        for (repeated, wanted) in [(512, "1024"), (513, "1024"), (30_000, "1024")] {
            let request = TestRequest::with_uri(&"/a".repeat(repeated)).to_request();
            let answer = service.call(request).await.expect("an answer");
            assert_eq!(answer.headers().get("x-length").unwrap(), wanted);
        }
    }
}
