//! Serves the client script and its type definitions.

use actix_web::{HttpRequest, HttpResponse, Resource, Route, web};

use super::public::refuse_method;
use super::read_route;
use crate::broker::Broker;
use crate::endpoint::{self, ClientFile, FILE_METHODS, SCRIPT, TYPES};

/// `wx-jssdk.js`.
pub(super) fn script() -> Resource {
    file("/wx-jssdk.js", read_route().to(send_script))
}

/// `wx-jssdk.d.ts`.
pub(super) fn types() -> Resource {
    file("/wx-jssdk.d.ts", read_route().to(send_types))
}

fn file(path: &str, route: Route) -> Resource {
    web::resource(path)
        .route(route)
        .default_service(web::to(only_get))
}

async fn only_get(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    refuse_method(&request, &broker, FILE_METHODS)
}

async fn send_script(request: HttpRequest) -> HttpResponse {
    send(&request, &SCRIPT)
}

async fn send_types(request: HttpRequest) -> HttpResponse {
    send(&request, &TYPES)
}

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
