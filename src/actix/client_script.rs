//! The client script and its type definitions, compiled in: what a page needs beside a signature.
//!
//! They are public and the same for everybody. The script finds the endpoint by its own address, so it knows no path.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CROSS_ORIGIN_RESOURCE_POLICY, ETag, EntityTag,
    HeaderValue, IfNoneMatch, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, Resource, Route, guard, web};

/// `wx-jssdk.js`.
pub(super) fn script() -> Resource {
    file("/wx-jssdk.js", reads().to(send_script))
}

/// `wx-jssdk.d.ts`.
pub(super) fn types() -> Resource {
    file("/wx-jssdk.d.ts", reads().to(send_types))
}

fn file(path: &str, route: Route) -> Resource {
    web::resource(path)
        .route(route)
        .default_service(web::to(super::public::only_get))
}

fn reads() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

async fn send_script(request: HttpRequest) -> HttpResponse {
    send(
        &request,
        "text/javascript; charset=utf-8",
        SCRIPT,
        &SCRIPT_TAG,
    )
}

async fn send_types(request: HttpRequest) -> HttpResponse {
    // No media type is registered for TypeScript, and the one of `.ts` in many tables is a video's.
    send(&request, "text/plain; charset=utf-8", TYPES, &TYPES_TAG)
}

fn send(
    request: &HttpRequest,
    content_type: &'static str,
    text: &'static str,
    tag: &EntityTag,
) -> HttpResponse {
    let known = knows(request, tag);
    let mut response = if known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header(ETag(tag.clone()))
        // Asked for again each time and mostly answered with 304: no page runs with yesterday's script.
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // A module is fetched by CORS rules, from a page on any of our hosts; there is nothing in it to protect.
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")))
        .insert_header((CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"));
    if known {
        response.finish()
    } else {
        response.content_type(content_type).body(text)
    }
}

/// Changes exactly when the content does; the same in every process of one build.
pub(crate) fn tag_of(bytes: &[u8]) -> EntityTag {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    EntityTag::new_strong(format!("{:016x}", hasher.finish()))
}

/// Whether the reader has this already: `If-None-Match`.
pub(crate) fn knows(request: &HttpRequest, tag: &EntityTag) -> bool {
    match request.get_header::<IfNoneMatch>() {
        Some(IfNoneMatch::Any) => true,
        Some(IfNoneMatch::Items(known)) => known.iter().any(|one| one.weak_eq(tag)),
        None => false,
    }
}

const SCRIPT: &str = include_str!("../../static/wx-jssdk.js");
const TYPES: &str = include_str!("../../static/wx-jssdk.d.ts");

/// Once: each page asks.
static SCRIPT_TAG: LazyLock<EntityTag> = LazyLock::new(|| tag_of(SCRIPT.as_bytes()));
static TYPES_TAG: LazyLock<EntityTag> = LazyLock::new(|| tag_of(TYPES.as_bytes()));
