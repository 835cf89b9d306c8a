//! Serves the client script and its type definitions.

use std::future::ready;
use std::sync::LazyLock;

use actix_web::{HttpRequest, HttpResponse, Resource, web};

use super::public::refuse_method;
use super::read_route;
use crate::broker::Broker;
use crate::endpoint::{self, ClientFile, FILE_METHODS};

/// Serves a file at this path.
pub(super) fn file(path: &str, file: &'static LazyLock<ClientFile>) -> Resource {
    let send = move |request: HttpRequest| ready(send(&request, file));
    web::resource(path)
        .route(read_route().to(send))
        .default_service(web::to(only_get))
}

async fn only_get(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    refuse_method(&request, &broker, FILE_METHODS)
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
