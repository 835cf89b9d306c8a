//! The status page of the admin listener: the state of every credential, for the operator on call.
//!
//! Reading needs no API key, so the page holds no secret and is protected from other sites: no CORS, no
//! frames, no cross-origin loads, and no host name that an attacker could point at this machine. "Refresh
//! now" needs a key.

mod account_report;
mod csrf;
pub(super) mod format;
mod hours_strip;
mod page;
mod query;
mod refresh;
mod reload;
mod report;
mod verdict;

use super::backpressure::UnsentBudget;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template as _;
use serde::Serialize;

use super::pages::{Lang, Page, origin_of};
use super::reload::Reloader;
use crate::actix::{GatewayStats, read_route};
use crate::endpoint::Problem;
use page::Live;
use query::{Part, Query};
use report::Report;

/// The data sources of the status page.
#[derive(Clone)]
pub(super) struct StatusState {
    pub(super) gateway: GatewayStats,
    pub(super) reloader: Reloader,
}

impl StatusState {
    /// Adds `/status`, `/status.json`, `/status/refresh` and `/status/reload` to an application; `pages` serves the page's
    /// files.
    pub(super) fn configure(self) -> impl FnOnce(&mut web::ServiceConfig) {
        move |services| {
            services
                .app_data(web::Data::new(self))
                .service(web::resource("/status").route(read_route().to(html)))
                .service(web::resource("/status.json").route(read_route().to(json)))
                .service(web::resource("/status/refresh").route(web::post().to(refresh::refresh)))
                .service(web::resource("/status/reload").route(web::post().to(reload::reload)));
        }
    }

    fn report(&self, query: &Query) -> Report {
        Report::new(
            &self.reloader.broker,
            &self.gateway,
            &self.reloader.readiness,
            self.reloader.reload_record.state(),
            query,
        )
    }
}

/// `GET /status`.
async fn html(
    request: HttpRequest,
    status: web::Data<StatusState>,
    unsent: web::Data<UnsentBudget>,
) -> HttpResponse {
    let query = match Query::parse(request.query_string()) {
        Ok(query) => query,
        Err(problem) => return STATUS.guard(problem.into_response()),
    };
    let lang = Lang::of(&request);
    let report = status.report(&query.of_a_page());
    let live = Live {
        lang,
        report: &report,
        query: &query,
        origin: origin_of(&request, "127.0.0.1:8081"),
    };
    let html = if query.part == Part::Live {
        live.render()
    } else {
        live.whole()
    };
    let mut response = STATUS.guard(unsent.limit(&request, STATUS.answer(html, lang)));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `GET /status.json`.
async fn json(
    request: HttpRequest,
    status: web::Data<StatusState>,
    unsent: web::Data<UnsentBudget>,
) -> HttpResponse {
    let query = match Query::parse(request.query_string()) {
        // The page's script compares the revision with that of the page.
        Ok(query) if query.part == Part::Summary => query.of_a_page(),
        Ok(query) => query,
        Err(problem) => return STATUS.guard(problem.into_response()),
    };
    STATUS.guard(unsent.limit(&request, answer(Ok(status.report(&query)))))
}

/// Answers with a document that no cache keeps, or with the problem.
fn answer(result: Result<impl Serialize, Problem>) -> HttpResponse {
    match result {
        Ok(document) => HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::VARY, "Accept-Language"))
            .json(document),
        Err(problem) => problem.into_response(),
    }
}

/// The page loads its own style, script and images, and connects only to its own server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'";

const STATUS: Page = Page {
    name: "status",
    policy: POLICY,
    referrer: "no-referrer",
};
