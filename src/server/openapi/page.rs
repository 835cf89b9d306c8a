//! Renders the description as a page in the reader's language: `/docs` shows the operations,
//! `/docs?page=errors` the error codes.
//!
//! Existing renderers do not fit: Swagger UI is 1.5 MB and needs inline styles; Redoc, RapiDoc and Scalar
//! load from a CDN. An operator's page must open on a machine without internet, under the same policy as
//! every other page, and can be read without its script.

use std::borrow::Borrow;
use std::sync::OnceLock;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde_json::Value;

use super::Description;
use super::errors_page::{self, Errcodes};
use super::html::marked;
use super::view::{self, Bases, Group, Schema};
use crate::endpoint::query;
use crate::error::{ProblemCode, System, Text};
use crate::server::backpressure::UnsentBudget;
use crate::server::pages::{Lang, Page, origin_of};

#[derive(Template)]
#[template(path = "docs.html")]
struct DocsPage<'a> {
    lang: Lang,
    public: &'a str,
    admin: &'a str,
    /// HTML.
    lead: String,
    sections: Vec<Section>,
    groups: Vec<Group>,
    schemas: Vec<(&'a str, Schema)>,
    problems: Vec<ProblemCode>,
    /// WeChat's errcodes, on the page of error codes.
    errors: Option<Vec<Errcodes>>,
    version: &'static str,
}

/// A part of the description's introduction.
struct Section {
    id: String,
    title: String,
    /// HTML.
    about: String,
}

/// `GET /docs`.
pub(super) async fn show(
    request: HttpRequest,
    description: web::Data<Description>,
    unsent: web::Data<UnsentBudget>,
) -> HttpResponse {
    let shows_errors =
        query::value(request.query_string(), "page").is_some_and(|page| page == "errors");
    let lang = Lang::of(&request);
    let render = || {
        let bases = Bases {
            public: &description.public,
            admin: ADMIN,
        };
        let document = super::document(bases.public);
        DocsPage::of(&document, lang, &bases, shows_errors).render()
    };
    let [of_lang, of_errors] = [lang == Lang::Zh, shows_errors].map(usize::from);
    let page = description.pages[of_lang][of_errors].get_or_init(render);
    let admin = origin_of(&request, "127.0.0.1:8081");
    let page = page.as_ref().map(|html| html.replace(ADMIN, &admin));
    unsent.limit(&request, DOCS.answer(page, lang))
}

/// The pages in both languages, each for the operations and for the error codes.
pub(super) type Rendered = [[OnceLock<askama::Result<String>>; 2]; 2];

/// Stands for the admin listener's URL, which each visitor has another name for.
const ADMIN: &str = "http://admin.invalid";

const DOCS: Page = Page {
    name: "docs",
    policy: PAGE_POLICY,
    referrer: "no-referrer",
};

impl<'a> DocsPage<'a> {
    fn of(document: &'a Value, lang: Lang, bases: &Bases<'a>, shows_errors: bool) -> Self {
        let schemas = document["components"]["schemas"].as_object();
        let about = view::text(&document["info"], "description", lang);
        // Ids are the same in both languages, so that links stay.
        let english = view::text(&document["info"], "description", Lang::En);
        let ids = english.split("\n## ").skip(1).map(title_of);
        let sections = about.split("\n## ").skip(1).zip(ids);
        Self {
            lang,
            public: bases.public,
            admin: bases.admin,
            lead: marked(about.split("\n## ").next().unwrap_or_default()),
            sections: sections
                .map(|(section, id)| Section {
                    id: id.to_lowercase(),
                    title: title_of(section).to_owned(),
                    about: marked(section.split_once('\n').map_or("", |(_, text)| text.trim())),
                })
                .collect(),
            groups: view::groups(document, lang, bases),
            schemas: schemas
                .into_iter()
                .flatten()
                .map(|(name, schema)| (name.as_str(), Schema::of(schema, lang)))
                .collect(),
            problems: ProblemCode::ALL.to_vec(),
            errors: shows_errors.then(|| {
                let systems = [System::Weixin, System::Qyapi].into_iter();
                systems.map(|system| Errcodes::of(system, lang)).collect()
            }),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    fn inline(&self, text: impl Borrow<Text>) -> String {
        errors_page::inline(text.borrow(), self.lang)
    }

    /// Returns the address of an entry of the operations page.
    fn at(&self, id: &str) -> String {
        match self.errors {
            Some(_) => format!("docs?lang={}#{id}", self.lang.t("en", "zh")),
            None => format!("#{id}"),
        }
    }

    /// Returns the address of this page in a language.
    fn address(&self, lang: &str, page: &str) -> String {
        match page {
            "errors" => format!("docs?page=errors&lang={lang}"),
            _ => format!("docs?lang={lang}"),
        }
    }

    /// Returns the address of this page in the other language.
    fn other(&self) -> String {
        let page = if self.errors.is_some() { "errors" } else { "" };
        self.address(self.lang.t("zh", "en"), page)
    }

    /// Returns the address of the error codes.
    fn errors_page(&self) -> String {
        self.address(self.lang.t("en", "zh"), "errors")
    }
}

fn title_of(section: &str) -> &str {
    section.lines().next().unwrap_or_default()
}

/// Allows only this server's own files; the search reads the other page of the two.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
