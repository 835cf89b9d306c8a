//! Renders the description as a page in the reader's language, without a script.
//!
//! Existing renderers do not fit: Swagger UI is 1.5 MB and needs inline styles; Redoc, RapiDoc and Scalar
//! load from a CDN. An operator's page must open on a machine without internet, under the same policy as
//! every other page.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde_json::Value;

use super::Description;
use super::view::{self, Operation, Table};
use crate::server::pages::{Lang, Page};

#[derive(Template)]
#[template(path = "api.html")]
struct ApiPage<'a> {
    lang: Lang,
    about: String,
    groups: Vec<(&'a str, &'a str, Vec<Operation>)>,
    schemas: Vec<(&'a str, Table)>,
    problems: Vec<(&'a str, &'a Value, &'a str)>,
    version: &'static str,
}

/// `GET /docs`.
pub(super) async fn show(
    request: HttpRequest,
    description: web::Data<Description>,
) -> HttpResponse {
    let page = ApiPage::of(
        &description.document,
        Lang::of(&request),
        admin_base(&request),
    );
    DOCS.answer(page.render(), page.lang)
}

const DOCS: Page = Page {
    name: "docs",
    policy: PAGE_POLICY,
    referrer: "no-referrer",
};

impl<'a> ApiPage<'a> {
    fn of(document: &'a Value, lang: Lang, admin: String) -> Self {
        let tags = document["tags"].as_array().into_iter().flatten();
        let groups = tags.map(|tag| {
            let name = tag["name"].as_str().unwrap_or_default();
            let operations = view::operations(document, name, lang, &admin);
            (name, view::text(tag, "description", lang), operations)
        });
        let schemas = document["components"]["schemas"]
            .as_object()
            .into_iter()
            .flatten();
        let problems = document["x-problem-codes"].as_array().into_iter().flatten();
        Self {
            lang,
            about: view::marked(view::text(&document["info"], "description", lang)),
            groups: groups.collect(),
            schemas: schemas
                .map(|(name, schema)| (name.as_str(), Table::of(schema)))
                .collect(),
            problems: problems
                .map(|row| {
                    let text = row[lang.t("en", "zh")].as_str().unwrap_or_default();
                    (
                        row["code"].as_str().unwrap_or_default(),
                        &row["status"],
                        text,
                    )
                })
                .collect(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// Returns this page's base URL, for the commands to copy. An invalid Host header is not put into a command.
fn admin_base(request: &HttpRequest) -> String {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let plain = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    format!(
        "{}://{}",
        request.connection_info().scheme(),
        if plain { host } else { "127.0.0.1:8081" }
    )
}

/// Allows only this server's own styles and images.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
