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
mod dropin;
mod keys;
mod private;
mod problem;
mod query;

use actix_web::http::header::{ALLOW, CACHE_CONTROL, ORIGIN};
use actix_web::{HttpRequest, HttpResponse, Scope, web};

pub use dropin::dropin_scope;
pub use keys::{ApiKey, ApiKeys, KeyHash, new_key};
pub use private::private_scope;
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
    let (account, answer) = match ConfigQuery::parse(request.query_string()) {
        Ok(query) => (query.account.clone(), signed(&broker, query).await),
        Err(problem) => (String::new(), Err(problem)),
    };
    let mut response = match answer {
        Ok(config) => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(config),
        Err(problem) => problem.into_response(),
    };
    cors::allow(&broker, &account, request.headers().get(ORIGIN), response.headers_mut());
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

async fn only_get() -> HttpResponse {
    let mut response = Problem::method_not_allowed().into_response();
    response.headers_mut().insert(ALLOW, actix_web::http::header::HeaderValue::from_static("GET, HEAD, OPTIONS"));
    response
}

async fn unknown_path() -> HttpResponse {
    Problem::not_found().into_response()
}
