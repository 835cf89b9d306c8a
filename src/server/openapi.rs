//! The API description (OpenAPI 3.1) and the page that shows it: every route of both listeners with its
//! parameters, answers and error codes.
//!
//! It is written in `openapi/openapi.json`, where `x-problems` names the problem codes of an operation;
//! their responses are added here. A test compares the described routes with the mounted ones;
//! `tests/openapi` checks a running service against the description.

mod curl;
mod errors_page;
mod html;
mod page;
mod problems;
mod schema_type;
mod view;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use serde_json::Value;

use super::pages::static_names;
use crate::actix::read_route;
use crate::error::ProblemCode;

/// Builds the document. `public` is the public listener's URL; it is the default value of a variable, since
/// only the operator of the proxy in front knows the real URL.
pub fn document(public: &str) -> Value {
    let mut document: Value =
        serde_json::from_str(include_str!("../../openapi/openapi.json")).expect("tests read it");
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document["x-problem-codes"] = problems::list();
    if let Some(file) = document.pointer_mut("/paths/~1static~1{name}/get/parameters/0/schema") {
        file["enum"] = static_names().collect();
    }
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for operation in paths.filter_map(|(_, item)| item.as_object_mut()).flatten() {
        complete(operation.1, public);
    }
    document
}

/// Sets the public listener's URL and adds the responses of the operation's problems.
fn complete(operation: &mut Value, public: &str) {
    let members = operation.as_object_mut();
    let names = members.and_then(|members| members.remove("x-problems"));
    let names = names.as_ref().and_then(Value::as_array);
    let names = names.into_iter().flatten();
    let mut codes: Vec<ProblemCode> = names.map(problems::named).collect();
    let mut is_admin = false;
    for server in operation["servers"].as_array_mut().into_iter().flatten() {
        match server.pointer_mut("/variables/public/default") {
            Some(default) => *default = public.into(),
            None => is_admin = true,
        }
    }
    if is_admin {
        // The admin listener rejects requests from pages of other sites on every route.
        codes.extend([ProblemCode::ForeignHost, ProblemCode::CrossSite]);
    }
    let mut by_status: BTreeMap<u16, Vec<ProblemCode>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(code);
    }
    for (status, codes) in by_status {
        operation["responses"][status.to_string()] = problems::response(status, &codes);
    }
}

/// Adds `/openapi.json` and `/docs`, for the admin listener.
pub(super) fn configure(public: &str) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + use<> {
    let description = Arc::new(Description {
        public: public.to_owned(),
        text: OnceLock::new(),
        pages: Default::default(),
    });
    move |services| {
        services
            .app_data(web::Data::from(description.clone()))
            .service(web::resource("/openapi.json").route(read_route().to(json)))
            .service(web::resource("/docs").route(read_route().to(page::show)));
    }
}

/// The document. As a value it takes 2.5 MiB, so it is built when it is read.
struct Description {
    /// The public listener's URL.
    public: String,
    /// All answers share it.
    text: OnceLock<web::Bytes>,
    /// The pages that show it: building one costs milliseconds.
    pages: page::Rendered,
}

async fn json(description: web::Data<Description>) -> HttpResponse {
    let write = || {
        let text = document(&description.public).to_string();
        // Without the spare capacity.
        text.into_boxed_str().into_boxed_bytes().into()
    };
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-cache"))
        .content_type("application/json")
        .body(description.text.get_or_init(write).clone())
}

#[cfg(test)]
mod tests;
