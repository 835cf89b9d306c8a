//! The public endpoints for pages: signatures, and the client script with its types. Tickets never leave the
//! process here.

use std::future::ready;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use actix_web::dev::{Service as _, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, Resource, Scope, web};

use super::request_stats::{ListenerName, RequestStats, WorkerStats};
use super::{cors, limit, read_route};
use crate::broker::Broker;
use crate::endpoint::cors::{ANYONE, of_answer};
use crate::endpoint::{
    self, ClientFile, FILE_METHODS, Problem, READS, SCRIPT, SIGNING, TYPES, account_of,
};

/// The endpoints below `path` (`/jssdk` in the documents), all `GET`:
///
/// | route | answer |
/// |---|---|
/// | `config?url=&account=&jsApiList=&openTagList=&debug=` | for `wx.config`, as it is |
/// | `agent-config?url=&account=&jsApiList=` | for WeCom's `wx.agentConfig` |
/// | `work-config?url=&account=` | `{"config", "agentConfig"}`: both in one reply |
/// | `card-ext?cardId=&code=&openid=&outer_str=&fixed_begintimestamp=&account=` | one entry of `wx.addCard`'s `cardList` |
/// | `choose-card?shopId=&cardId=&cardType=&account=` | for `wx.chooseCard` |
/// | `wx-jssdk.js`, `wx-jssdk.d.ts` | the client script, which finds this scope by its own address, and its types |
///
/// Signed answers carry `Cache-Control: no-store`, errors are `application/problem+json`, and pages on
/// the accounts' safe domains may call across origins. The page's URL is taken from the `url` parameter,
/// never from Host, scheme or Referer, so that a proxy in front changes nothing.
///
/// At the root (`/`), mount it after every other service: it answers each path that reaches it.
///
/// With `App::app_data(web::Data::new(limit))` of a [`RateLimit`](super::RateLimit), requests are limited per
/// client. Create the `Data` outside the closure of `HttpServer::new`: the workers then share the limit.
pub fn public_scope(path: &str, broker: Broker) -> Scope {
    let scope = web::scope(path.trim_end_matches('/')).app_data(web::Data::new(broker));
    let signing = |scope: Scope, path: &'static str| {
        let handler = move |request, broker| answer(path, request, broker);
        scope.service(read_only(path).route(read_route().to(handler)))
    };
    SIGNING
        .into_iter()
        .fold(scope, signing)
        .service(file("/wx-jssdk.js", &SCRIPT))
        .service(file("/wx-jssdk.d.ts", &TYPES))
        .default_service(web::to(unknown_path))
}

/// [`public_scope`] with counters of its requests.
pub fn counted_scope(
    path: &str,
    broker: Broker,
    stats: &RequestStats,
) -> Scope<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    let stats = WorkerStats::new(broker.clone(), stats.clone(), ListenerName::Public);
    let stats = Rc::new(stats);
    public_scope(path, broker.clone()).wrap_fn(move |request, scope| {
        let (stats, begun) = (stats.clone(), broker.clock().uptime());
        let answer = scope.call(request);
        async move {
            let answer = answer.await?;
            count(&stats, &answer, begun);
            Ok(answer)
        }
    })
}

/// Counts an answer of a [`counted_scope`].
fn count(stats: &WorkerStats, answer: &ServiceResponse, begun: Duration) {
    let (request, status) = (answer.request(), answer.status().as_u16());
    let pattern = request.match_pattern();
    stats.count(pattern.as_deref(), status, begun);
    let signs = |pattern: String| SIGNING.iter().any(|path| pattern.ends_with(path));
    // A preflight names the account of the request that follows, and that request is counted.
    if pattern.is_some_and(signs) && request.method() != Method::OPTIONS {
        stats.count_account(&account_of(request.query_string()), status);
    }
}

/// Creates a read-only resource that answers CORS preflights.
fn read_only(path: &str) -> Resource {
    web::resource(path)
        .route(web::route().method(Method::OPTIONS).to(cors::preflight))
        .default_service(web::to(|request, broker| {
            refuse_method(READS, request, broker)
        }))
}

/// Serves a file at this path.
fn file(path: &str, file: &'static LazyLock<ClientFile>) -> Resource {
    let send = move |request: HttpRequest| ready(send(&request, file));
    web::resource(path)
        .route(read_route().to(send))
        .default_service(web::to(|request, broker| {
            refuse_method(FILE_METHODS, request, broker)
        }))
}

/// Sends the file, or 304 to a client that has this version already.
fn send(request: &HttpRequest, file: &'static ClientFile) -> HttpResponse {
    let is_known = endpoint::client_has(request.headers(), &file.tag);
    let mut response = if is_known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    for header in file.headers() {
        response.insert_header(header);
    }
    if is_known {
        response.finish()
    } else {
        response.content_type(file.content_type).body(file.text)
    }
}

/// Answers a signing endpoint within the rate limit.
async fn answer(
    path: &'static str,
    request: HttpRequest,
    broker: web::Data<Broker>,
) -> HttpResponse {
    let answer = async {
        limit::check_rate_limit(&request)?;
        endpoint::answer(&broker, path, request.query_string()).await
    };
    let response = match answer.await {
        Ok(json) => {
            let mut response = HttpResponse::Ok().body(json);
            cors::add_signed_headers(response.headers_mut());
            response
        }
        Err(problem) => problem.into_response(),
    };
    readable(&request, &broker, response)
}

/// Lets pages on the account's safe domains read the answer, and pages of any site an error.
fn readable(request: &HttpRequest, broker: &Broker, mut response: HttpResponse) -> HttpResponse {
    let head = request.headers();
    let is_error = !response.status().is_success();
    let added = of_answer(broker, request.query_string(), cors::origin(head), is_error);
    cors::allow(added, head, response.headers_mut());
    response
}

/// Answers another method than those of `allow`.
async fn refuse_method(
    allow: &'static str,
    request: HttpRequest,
    broker: web::Data<Broker>,
) -> HttpResponse {
    let response = Problem::method_not_allowed(allow).into_response_allowing(allow);
    readable(&request, &broker, response)
}

/// Answers every unknown path, to pages of any site.
pub(crate) async fn unknown_path() -> HttpResponse {
    let mut response = Problem::not_found().into_response();
    cors::add(&ANYONE, &HeaderMap::new(), response.headers_mut());
    response
}
