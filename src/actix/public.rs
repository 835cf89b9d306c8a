//! The public endpoints for pages: signatures only. Tickets never leave the process here.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, ORIGIN};
use actix_web::{HttpRequest, HttpResponse, Resource, Scope, web};
use serde::Serialize;

use super::request_stats::{ListenerName, RequestStats, RouteCounter, WorkerStats};
use super::{client_script, cors, limit};
use crate::broker::Broker;
use crate::endpoint::{self, Problem, READS, Refused, account_of};

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
#[must_use]
pub fn public_scope(path: &str, broker: Broker) -> Scope {
    web::scope(path)
        .app_data(web::Data::new(broker))
        .service(
            signing("/config")
                .route(web::get().to(config))
                .route(web::head().to(config)),
        )
        .service(
            signing("/agent-config")
                .route(web::get().to(agent_config))
                .route(web::head().to(agent_config)),
        )
        .service(
            signing("/work-config")
                .route(web::get().to(work_config))
                .route(web::head().to(work_config)),
        )
        .service(
            signing("/card-ext")
                .route(web::get().to(card_ext))
                .route(web::head().to(card_ext)),
        )
        .service(
            signing("/choose-card")
                .route(web::get().to(choose_card))
                .route(web::head().to(choose_card)),
        )
        .service(client_script::script())
        .service(client_script::types())
        .default_service(web::to(unknown_path))
}

/// [`public_scope`] with counters of its requests.
#[must_use]
pub fn counted_scope(path: &str, broker: Broker, stats: &RequestStats) -> Scope {
    let stats = WorkerStats::new(broker.clone(), stats.clone(), ListenerName::Public);
    let config = stats.route(&config_path(path));
    public_scope(path, broker).app_data(Rc::new(Counted { stats, config }))
}

/// Returns the route pattern of the signing endpoint.
pub(crate) fn config_path(scope: &str) -> String {
    format!("{scope}/config")
}

/// The counters of a [`counted_scope`], one per worker.
struct Counted {
    stats: WorkerStats,
    config: Arc<RouteCounter>,
}

/// Creates a read-only resource that answers CORS preflights.
fn signing(path: &str) -> Resource {
    web::resource(path)
        .route(web::route().method(Method::OPTIONS).to(cors::preflight))
        .default_service(web::to(only_get))
}

async fn config(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let begun = broker.clock().uptime();
    let answer = match limit::admit(&request) {
        Ok(()) => endpoint::sign(&broker, request.query_string()),
        Err(problem) => Err(Refused::Problem(problem)),
    };
    let answer = match answer {
        Ok(signed) => {
            if let Some(counted) = counted(&request) {
                let took = broker.clock().uptime().saturating_sub(begun);
                counted.config.record(200, took);
                signed.answers.record(200);
            }
            let mut response = HttpResponse::Ok().body(signed.json);
            let origin = request.headers().get(ORIGIN);
            dress(&broker, &signed.account, origin, response.headers_mut());
            return response;
        }
        Err(Refused::NeedsRefresh(query)) => query.sign_refreshed(&broker).await,
        Err(Refused::Problem(problem)) => Err(problem),
    };
    let response = match answer {
        Ok(json) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "application/json"))
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(json),
        Err(problem) => problem.into_response(),
    };
    count(&request, &response, begun);
    readable(&request, &broker, response)
}

async fn agent_config(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let answer = endpoint::agent_config(&broker, request.query_string());
    respond(&request, &broker, answer).await
}

async fn work_config(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let answer = endpoint::work_config(&broker, request.query_string());
    respond(&request, &broker, answer).await
}

async fn card_ext(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let answer = endpoint::card_ext(&broker, request.query_string());
    respond(&request, &broker, answer).await
}

async fn choose_card(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let answer = endpoint::choose_card(&broker, request.query_string());
    respond(&request, &broker, answer).await
}

/// Answers within the rate limit.
async fn respond<T: Serialize>(
    request: &HttpRequest,
    broker: &Broker,
    answer: impl Future<Output = Result<T, Problem>>,
) -> HttpResponse {
    let begun = broker.clock().uptime();
    let answer = async {
        limit::admit(request)?;
        answer.await
    };
    let response = match answer.await {
        Ok(answer) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .json(answer),
        Err(problem) => problem.into_response(),
    };
    count(request, &response, begun);
    readable(request, broker, response)
}

fn counted(request: &HttpRequest) -> Option<&Counted> {
    request.app_data::<Rc<Counted>>().map(Rc::as_ref)
}

/// Counts the answer, unless the fast path does.
fn count(request: &HttpRequest, response: &HttpResponse, begun: Duration) {
    if let Some(Counted { stats, .. }) = counted(request) {
        stats.count(
            request.match_pattern().as_deref(),
            response.status().as_u16(),
            begun,
        );
        stats.count_account(
            &account_of(request.query_string()),
            response.status().as_u16(),
        );
    }
}

/// Adds the headers of a signed answer. `account` and `origin` are the request's.
pub(super) fn dress(
    broker: &Broker,
    account: &str,
    origin: Option<&HeaderValue>,
    headers: &mut HeaderMap,
) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    cors::allow(broker, account, origin, headers);
}

/// Lets pages on the account's safe domains read the answer, errors included.
fn readable(request: &HttpRequest, broker: &Broker, mut response: HttpResponse) -> HttpResponse {
    let origin = request.headers().get(ORIGIN);
    // Most requests are same-origin and have no Origin header; then the query need not be read again.
    let account = origin
        .map(|_| account_of(request.query_string()))
        .unwrap_or_default();
    let is_error = !response.status().is_success();
    let headers = response.headers_mut();
    cors::allow(broker, &account, origin, headers);
    if is_error && origin.is_some() {
        cors::allow_anyone(headers);
    }
    response
}

pub(super) async fn only_get(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let begun = broker.clock().uptime();
    let response = Problem::method_not_allowed(READS).into_response_allowing(READS);
    count(&request, &response, begun);
    readable(&request, &broker, response)
}

/// Answers every unknown path, to pages of any site.
pub(crate) async fn unknown_path() -> HttpResponse {
    let mut response = Problem::not_found().into_response();
    cors::allow_anyone(response.headers_mut());
    response
}
