//! `MP_verify_….txt` and `WW_verify_….txt`: the files by which WeChat verifies the ownership of a domain.
//! Only the accounts' own files are served, by their exact names: a third party that could get an arbitrary
//! one served would own the domain in WeChat's eyes.

use actix_web::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpRequest, HttpResponse, Resource, web};

use super::read_route;
use crate::broker::Broker;
use crate::endpoint::{FILE_METHODS, Problem};
use crate::error::Text;

/// Serves `GET /MP_verify_….txt`: at the root of the listener that the accounts' domains reach, and below
/// the path of a safe domain that has one. Follows [`Broker::reload`].
pub fn verify_resource(broker: Broker) -> Resource {
    web::resource(NAMES)
        .app_data(web::Data::new(broker))
        .route(read_route().to(send))
        .default_service(web::to(only_get))
}

async fn send(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    match broker.accounts().verify_file(request.path()) {
        Some(content) => HttpResponse::Ok()
            .content_type("text/plain")
            .insert_header((CACHE_CONTROL, "no-cache"))
            .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .body(content.as_bytes().to_vec()),
        None => Problem {
            hint: NOT_CONFIGURED,
            ..Problem::not_found()
        }
        .into_response(),
    }
}

async fn only_get() -> HttpResponse {
    Problem::method_not_allowed(FILE_METHODS).into_response_allowing(FILE_METHODS)
}

/// The names that may be looked up; the broker decides which exist.
const NAMES: &str = "/{file:(?:.*/)?(?:MP|WW)_verify_[^/]*}";

const NOT_CONFIGURED: Text = Text::new(
    "Add the name and content of WeChat's file to verify_files of its account, then send SIGHUP.",
    "请把微信给的文件名和内容写入该账号的 verify_files，然后发送 SIGHUP 使其生效。",
);
