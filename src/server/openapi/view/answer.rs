//! What an operation answers, and the bodies of requests and answers.

use serde_json::Value;

use super::{Row, plain, reference, text};
use crate::server::openapi::html::{code, inline, json};
use crate::server::pages::Lang;

/// One answer, by status.
pub(in crate::server::openapi) struct Answer {
    pub(in crate::server::openapi) status: String,
    /// HTML; empty if the codes say it.
    pub(in crate::server::openapi) about: String,
    /// Problem codes.
    pub(in crate::server::openapi) codes: Vec<String>,
    pub(in crate::server::openapi) headers: Vec<Row>,
    pub(in crate::server::openapi) content: Option<Content>,
}

/// A request or response body.
pub(in crate::server::openapi) struct Content {
    pub(in crate::server::openapi) media_type: String,
    /// Component names.
    pub(in crate::server::openapi) schemas: Vec<String>,
    /// The properties, if the schema is written here.
    pub(in crate::server::openapi) rows: Vec<Row>,
    /// HTML.
    pub(super) example: Option<String>,
}

impl Answer {
    pub(super) fn of(status: &str, answer: &Value, lang: Lang) -> Self {
        let narrowed = &answer["content"]["application/problem+json"]["schema"]["allOf"][1];
        let codes = narrowed["properties"]["code"]["enum"].as_array();
        let codes: Vec<String> = codes.into_iter().flatten().map(plain).collect();
        let headers = answer["headers"].as_object().into_iter().flatten();
        Self {
            status: status.to_owned(),
            about: if codes.is_empty() {
                inline(text(answer, "description", lang))
            } else {
                String::new()
            },
            codes,
            headers: headers
                .map(|(name, header)| Row::of_header(name, header, lang))
                .collect(),
            content: Content::of(answer, lang),
        }
    }
}

impl Content {
    pub(super) fn of(holder: &Value, lang: Lang) -> Option<Self> {
        let (media_type, content) = holder["content"].as_object()?.iter().next()?;
        let schema = &content["schema"];
        let parts = ["oneOf", "allOf"]
            .iter()
            .filter_map(|name| schema[*name].as_array())
            .flatten();
        let schemas = parts
            .chain([schema])
            .filter_map(reference)
            .map(str::to_owned)
            .collect();
        let example = &content["example"];
        Some(Self {
            media_type: media_type.clone(),
            schemas,
            rows: if schema["allOf"].is_array() {
                Vec::new()
            } else {
                Row::of_properties(schema, lang)
            },
            example: (!example.is_null()).then(|| code(&json(example))),
        })
    }
}
