//! The endpoints as actix-web scopes, for an application of your own or for `server`.
//!
//! ```no_run
//! use actix_web::{App, HttpServer};
//! use wx_jssdk::{account::Account, broker::Broker};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let account = Account::official("wx0123456789abcdef", std::env::var("WX_SECRET")?).js_safe_domain("example.com")?;
//! let broker = Broker::builder().account("main", account).build()?;
//! tokio::spawn(broker.clone().keep_fresh());
//! HttpServer::new(move || App::new().service(wx_jssdk::actix::public_scope("/jssdk", broker.clone())))
//!     .bind(("127.0.0.1", 8080))?
//!     .run()
//!     .await?;
//! # Ok(())
//! # }
//! ```

mod cors;
mod keys;
mod problem;
mod query;

use actix_web::http::header::{ALLOW, CACHE_CONTROL, ORIGIN};
use actix_web::{HttpRequest, HttpResponse, Scope, web};

pub use keys::{ApiKey, ApiKeys, KeyHash, new_key};
pub use problem::Problem;

use crate::broker::Broker;
use crate::sign::JsConfig;
use query::ConfigQuery;

/// What a page may call, below `path` (`/jssdk` in the documents): `GET {path}/config?url=`.
///
/// Answers carry `Cache-Control: no-store`, errors are `application/problem+json`, and pages on the accounts' safe domains may
/// call it across origins. The page's URL is taken from the `url` parameter and never from Host, scheme or Referer, so that a
/// proxy in front changes nothing.
#[must_use]
pub fn public_scope(path: &str, broker: Broker) -> Scope {
    web::scope(path)
        .app_data(web::Data::new(broker))
        .service(
            web::resource("/config")
                .route(web::get().to(config))
                .route(web::head().to(config))
                .route(web::route().method(actix_web::http::Method::OPTIONS).to(cors::preflight))
                .default_service(web::to(only_get)),
        )
        .default_service(web::to(unknown_path))
}

/// `GET /jssdk/config?url=&account=&jsApiList=&openTagList=&debug=`.
async fn config(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let answer = match ConfigQuery::parse(request.query_string()) {
        Ok(query) => signed(&broker, query).await,
        Err(problem) => Err(problem),
    };
    let response = match answer {
        Ok(config) => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(config),
        Err(problem) => problem.into_response(),
    };
    readable(&request, &broker, response)
}

/// Lets the pages of the account that the request names read the answer, errors included.
fn readable(request: &HttpRequest, broker: &Broker, mut response: HttpResponse) -> HttpResponse {
    let origin = request.headers().get(ORIGIN);
    // Most requests are same-origin and carry none: then the query need not be read again.
    let account = origin.map(|_| query::account_of(request.query_string())).unwrap_or_default();
    cors::allow(broker, &account, origin, response.headers_mut());
    response
}

async fn signed(broker: &Broker, query: ConfigQuery) -> Result<JsConfig, Problem> {
    let mut config = broker.js_config(&query.account, &query.url).await?;
    if let Some(names) = query.js_api_list {
        config.js_api_list = names;
    }
    if let Some(names) = query.open_tag_list {
        config.open_tag_list = names;
    }
    config.debug = query.debug;
    Ok(config)
}

async fn only_get(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let mut response = Problem::method_not_allowed().into_response();
    response.headers_mut().insert(ALLOW, actix_web::http::header::HeaderValue::from_static("GET, HEAD, OPTIONS"));
    readable(&request, &broker, response)
}

/// The answer of every path that leads nowhere.
pub(crate) async fn unknown_path() -> HttpResponse {
    Problem::not_found().into_response()
}
