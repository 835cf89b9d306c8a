//! Serves the client script and its type definitions, which are compiled in.
//!
//! Both are public and identical for all clients. The script finds the endpoint by its own address, so it
//! contains no path.

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
    // TypeScript has no registered media type, and many tables map `.ts` to a video type.
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
        // Revalidated at each load, mostly with a 304, so that no page runs an outdated script.
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // Module scripts are fetched with CORS, from pages on any of the accounts' hosts. The content is
        // public.
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")))
        .insert_header((CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"));
    if known {
        response.finish()
    } else {
        response.content_type(content_type).body(text)
    }
}

/// Computes an ETag from the content. It is the same in every process of one build.
pub(crate) fn tag_of(bytes: &[u8]) -> EntityTag {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    EntityTag::new_strong(format!("{:016x}", hasher.finish()))
}

/// Returns whether the client has this version already (`If-None-Match`).
pub(crate) fn knows(request: &HttpRequest, tag: &EntityTag) -> bool {
    match request.get_header::<IfNoneMatch>() {
        Some(IfNoneMatch::Any) => true,
        Some(IfNoneMatch::Items(known)) => known.iter().any(|one| one.weak_eq(tag)),
        None => false,
    }
}

const SCRIPT: &str = include_str!("../../static/client/wx-jssdk.js");
const TYPES: &str = include_str!("../../static/client/wx-jssdk.d.ts");

/// Computed once, since every page load needs it.
static SCRIPT_TAG: LazyLock<EntityTag> = LazyLock::new(|| tag_of(SCRIPT.as_bytes()));
static TYPES_TAG: LazyLock<EntityTag> = LazyLock::new(|| tag_of(TYPES.as_bytes()));
