//! The API description (OpenAPI 3.1) and the page that shows it: every route of both listeners with its
//! parameters, answers and error codes.
//!
//! Schemas come from the served types. The modules below describe the routes, one module per group. A test
//! compares the described routes with the mounted ones; `tests/openapi` checks a running service against the
//! description.

mod build;
mod central;
mod dropin;
mod operations;
mod page;
mod problems;
mod signing;
mod view;

use std::sync::Arc;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use serde_json::Value;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::server::{ServerBuilder, ServerVariableBuilder};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApiBuilder, Paths, Server};
use utoipa::{PartialSchema as _, ToSchema as _};

use self::build::{Group, Plane, Route};
use super::pages::read_route;
use crate::endpoint::shapes::Body;

/// Builds the document. `public` is the public listener's URL; it is the default value of a variable, since
/// only the operator of the proxy in front knows the real URL.
#[must_use]
pub fn document(public: &str) -> Value {
    let mut paths = Paths::new();
    let mut components = ComponentsBuilder::new()
        .schema(Body::name(), Body::schema())
        .security_scheme(
            "bearer",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        )
        .security_scheme(
            "apiKey",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Api-Key"))),
        );
    let mut schemas = Vec::new();
    Body::schemas(&mut schemas);
    for mut route in routes() {
        schemas.append(&mut route.schemas);
        let (path, method, plane) = (route.path, route.method.clone(), route.plane);
        let mut operation = route.finish();
        operation.servers = Some(servers(plane, public));
        paths.add_path_operation(path, vec![method], operation);
    }
    components = components.schemas_from_iter(schemas);
    let tags = Group::ALL.map(|group| {
        let about = group.about();
        let zh: Extensions = [("x-description-zh", about.zh.into_owned())]
            .into_iter()
            .collect();
        TagBuilder::new()
            .name(group.name())
            .description(Some(about.en))
            .extensions(Some(zh))
            .build()
    });
    let info = InfoBuilder::new()
        .title("wx-jssdk")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(
            utoipa::openapi::info::LicenseBuilder::new()
                .name("MIT OR Apache-2.0")
                .identifier(Some("MIT OR Apache-2.0"))
                .build(),
        ))
        .build();
    let document = OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components.build()))
        .tags(Some(tags))
        .build();
    let mut document = serde_json::to_value(document).expect("texts and numbers always serialise");
    document["x-problem-codes"] = problems::list();
    document["info"]["x-description-zh"] = ABOUT_ZH.into();
    document
}

/// Returns every route, in the order of the groups.
fn routes() -> Vec<Route> {
    [
        signing::routes(),
        central::routes(),
        dropin::routes(),
        operations::routes(),
        signing::page_routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn servers(plane: Plane, public: &str) -> Vec<Server> {
    let reached = ServerVariableBuilder::new()
        .default_value(public)
        .description(Some("The address at which pages reach the public listener"));
    let public = ServerBuilder::new()
        .url("{public}")
        .description(Some("The public listener"))
        .parameter("public", reached)
        .build();
    let private = ServerBuilder::new()
        .url("/")
        .description(Some("The admin listener, which serves this document"))
        .build();
    match plane {
        Plane::Public => vec![public],
        Plane::Private => vec![private],
        Plane::Both => vec![private, public],
    }
}

/// Adds `/openapi.json` and `/docs`, for the admin listener.
pub(super) fn configure(public: &str) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + use<> {
    let description = Arc::new(Description::new(document(public)));
    move |services| {
        services
            .app_data(web::Data::from(description.clone()))
            .service(web::resource("/openapi.json").route(read_route().to(json)))
            .service(web::resource("/docs").route(read_route().to(page::show)));
    }
}

/// The document as a value and as text, built once.
struct Description {
    document: Value,
    text: web::Bytes,
}

impl Description {
    fn new(document: Value) -> Self {
        let text = document.to_string().into();
        Self { document, text }
    }
}

async fn json(description: web::Data<Description>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-cache"))
        .content_type("application/json")
        .body(description.text.clone())
}

const ABOUT: &str = "The WeChat JS-SDK signing backend. The **public listener** signs pages. The **admin listener**, which must not be \
     exposed to the internet, serves credentials to clients with an API key (`wx-jssdk keys new`), sent as \
     `Authorization: Bearer KEY` or `X-Api-Key: KEY`; status, readiness and metrics need no key.\n\nEvery error is \
     `application/problem+json` (RFC 9457) with a stable `code` and a `hint` in English and Chinese; only the drop-in paths return WeChat's \
     own `errcode` and `errmsg`, with status 200. Every GET except that of `/credentials` also supports HEAD. A request line over 64 KiB or a head over 128 KiB gets 400 or 431 without a body. Answers may get new members at any time.";

const ABOUT_ZH: &str = "微信 JS-SDK 签名后端。**公开端口**为页面签名；**管理端口**不得暴露到公网，凭 API key（`wx-jssdk keys new`）向其他服务器提供凭证，\
     放在请求头 `Authorization: Bearer KEY` 或 `X-Api-Key: KEY` 中；状态、就绪检查与指标无需 API key。\n\n所有错误均为 `application/problem+json`（RFC 9457），\
     带稳定的 `code` 和中英文 `hint`；仅兼容路径沿用微信的 `errcode` 与 `errmsg`，状态码为 200。除 `/credentials` 外，GET 接口均支持 HEAD。请求行超过 64 KiB 或请求头超过 128 KiB 时，返回无内容的 400 或 431。返回内容今后可能增加字段。";

#[cfg(test)]
mod errors_document;
#[cfg(test)]
mod tests;
