//! Prepares the document's JSON for the page.

mod answer;

use serde_json::Value;

use super::curl::curl;
use super::html::{code, inline, json, marked};
use super::schema_type::schema_type;
use crate::server::pages::Lang;
use answer::{Answer, Content};

/// Operations for one use.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) title: String,
    /// HTML.
    pub(super) about: String,
    pub(super) operations: Vec<Operation>,
}

/// One operation; GET and POST of a path are one if they are described alike.
#[derive(Default)]
pub(super) struct Operation {
    pub(super) id: String,
    /// The ids of the same operation by other methods.
    pub(super) twins: Vec<String>,
    pub(super) methods: Vec<String>,
    pub(super) path: String,
    pub(super) public: bool,
    pub(super) admin: bool,
    pub(super) keyed: bool,
    pub(super) summary: String,
    /// HTML.
    pub(super) about: String,
    pub(super) parameters: Vec<Row>,
    pub(super) body: Option<Content>,
    pub(super) answers: Vec<Answer>,
    /// Ways to make the request.
    pub(super) request: Vec<Tab>,
    /// Example answers.
    pub(super) response: Vec<Tab>,
}

/// A parameter or a property.
#[derive(Default)]
pub(super) struct Row {
    pub(super) name: String,
    /// Where the parameter is sent, if not in the query.
    pub(super) place: String,
    pub(super) needed: bool,
    /// HTML.
    pub(super) kind: String,
    /// HTML.
    pub(super) about: String,
    pub(super) example: String,
}

/// One tab of a code panel.
pub(super) struct Tab {
    pub(super) label: String,
    /// HTML.
    pub(super) code: String,
}

/// A component.
pub(super) struct Schema {
    /// HTML.
    pub(super) about: String,
    /// Components whose properties belong to it too.
    pub(super) includes: Vec<String>,
    /// HTML; the type if there are no properties.
    pub(super) kind: String,
    pub(super) rows: Vec<Row>,
}

/// Returns the groups, in the order of the document's tags. `bases` are the addresses of the two listeners.
pub(super) fn groups(document: &Value, lang: Lang, bases: &Bases<'_>) -> Vec<Group> {
    let tags = document["tags"].as_array().into_iter().flatten();
    tags.map(|tag| Group {
        name: plain(&tag["name"]),
        title: text(tag, "displayName", lang).to_owned(),
        about: marked(text(tag, "description", lang)),
        operations: operations(document, tag, lang, bases),
    })
    .collect()
}

/// The addresses of the listeners, for commands to copy.
pub(super) struct Bases<'a> {
    pub(super) public: &'a str,
    pub(super) admin: &'a str,
}

fn operations(document: &Value, tag: &Value, lang: Lang, bases: &Bases<'_>) -> Vec<Operation> {
    let sample = &tag["x-sample"];
    if sample.is_object() {
        return vec![Operation::of_sample(sample, tag, lang, bases)];
    }
    let mut found: Vec<Operation> = Vec::new();
    let mut last = &Value::Null;
    for id in tag["x-operations"].as_array().into_iter().flatten() {
        let Some((path, method, described)) = find(document, id) else {
            continue;
        };
        match found.last_mut() {
            Some(twin) if twin.path == path && is_alike(last, described) => {
                twin.methods.push(method.to_uppercase());
                twin.twins.push(plain(id));
            }
            _ => {
                let entry = Operation::of(path, method, described, lang, bases);
                found.push(entry.with_fields_of_body(document, lang));
            }
        }
        last = described;
    }
    found
}

fn find<'d>(document: &'d Value, id: &Value) -> Option<(&'d str, &'d str, &'d Value)> {
    let paths = document["paths"].as_object()?.iter();
    let mut all = paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, described)| (path.as_str(), method.as_str(), described))
    });
    all.find(|(_, _, described)| described["operationId"] == *id)
}

/// Returns whether two operations differ in their id only.
fn is_alike(one: &Value, other: &Value) -> bool {
    let members = |operation: &Value| {
        let mut operation = operation.clone();
        operation["operationId"].take();
        operation
    };
    members(one) == members(other)
}

impl Operation {
    fn of(path: &str, method: &str, operation: &Value, lang: Lang, bases: &Bases<'_>) -> Self {
        let servers = operation["servers"].as_array().into_iter().flatten();
        let is_public = |server: &&Value| server["variables"]["public"].is_object();
        let (public, admin): (Vec<_>, Vec<_>) = servers.partition(is_public);
        let (public, admin) = (!public.is_empty(), !admin.is_empty());
        let base = if admin { bases.admin } else { bases.public };
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let answers = operation["responses"].as_object().into_iter().flatten();
        let answers: Vec<Answer> = answers
            .map(|(status, answer)| Answer::of(status, answer, lang))
            .collect();
        let samples = operation["x-codeSamples"].as_array().into_iter().flatten();
        let samples = samples
            .map(|sample| Tab::new(&plain(&sample["label"]), code(&plain(&sample["source"]))));
        let command = Tab::new("curl", code(&curl(base, path, method, operation)));
        let response = answers.iter().filter_map(|answer| {
            let example = answer.content.as_ref()?.example.clone()?;
            Some(Tab::new(&answer.status, example))
        });
        Self {
            id: plain(&operation["operationId"]),
            methods: vec![method.to_uppercase()],
            path: path.to_owned(),
            public,
            admin,
            keyed: operation["security"].is_array(),
            summary: text(operation, "summary", lang).to_owned(),
            about: marked(text(operation, "description", lang)),
            parameters: parameters
                .map(|parameter| Row::of_parameter(parameter, lang))
                .collect(),
            body: Content::of(&operation["requestBody"], lang),
            request: std::iter::once(command).chain(samples).collect(),
            response: response.collect(),
            answers,
            ..Self::default()
        }
    }

    /// Adds the fields of the body's component, so that no reader has to look them up.
    fn with_fields_of_body(mut self, document: &Value, lang: Lang) -> Self {
        if let Some(body) = &mut self.body
            && let [name] = &body.schemas[..]
        {
            body.rows = Row::of_properties(&document["components"]["schemas"][name], lang);
        }
        self
    }

    /// Returns the entry of a tag whose paths cannot be listed.
    fn of_sample(sample: &Value, tag: &Value, lang: Lang, bases: &Bases<'_>) -> Self {
        let command = plain(&sample["curl"]).replace("{admin}", bases.admin);
        Self {
            id: format!("{}-call", plain(&tag["name"])),
            methods: vec!["GET".to_owned(), "POST".to_owned()],
            path: plain(&sample["path"]),
            admin: true,
            keyed: true,
            summary: text(sample, "summary", lang).to_owned(),
            request: vec![Tab::new("curl", code(&command))],
            response: vec![Tab::new("200", code(&json(&sample["example"])))],
            ..Self::default()
        }
    }

    /// Returns the path for the contents: `/credentials/…/{kind}`, `/credentials/{platform}/…/{kind}`.
    pub(super) fn short_path(&self) -> String {
        let segments: Vec<&str> = self.path.split('/').collect();
        let last = segments.len() - 1;
        let mut short = Vec::new();
        for (at, segment) in segments.into_iter().enumerate() {
            let is_long = self.path.len() > 24 && at < last;
            // The same paths exist for accounts and for a platform's accounts.
            let is_hidden = segment.starts_with('{') && segment != "{platform}" && is_long;
            match (is_hidden, short.last()) {
                (true, Some(&"…")) => {}
                (true, _) => short.push("…"),
                (false, _) => short.push(segment),
            }
        }
        short.join("/")
    }
}

impl Tab {
    fn new(label: &str, code: String) -> Self {
        let label = label.to_owned();
        Self { label, code }
    }
}

impl Row {
    fn of_parameter(parameter: &Value, lang: Lang) -> Self {
        let mut place = plain(&parameter["in"]);
        if place == "query" {
            place.clear();
        }
        Self {
            name: plain(&parameter["name"]),
            place,
            needed: parameter["required"] == true,
            kind: schema_type(&parameter["schema"]),
            about: inline(text(parameter, "description", lang)),
            example: shown(&parameter["example"]),
        }
    }

    fn of_header(name: &str, header: &Value, lang: Lang) -> Self {
        Self {
            name: name.to_owned(),
            kind: schema_type(&header["schema"]),
            about: inline(text(header, "description", lang)),
            ..Self::default()
        }
    }

    /// Returns the properties of a schema, not those of the components that it includes.
    fn of_properties(schema: &Value, lang: Lang) -> Vec<Self> {
        let is_needed = |name: &str| {
            let names = schema["required"].as_array();
            names.is_some_and(|names| names.iter().any(|one| one == name))
        };
        let properties = schema["properties"].as_object().into_iter().flatten();
        let mut rows: Vec<Self> = properties
            .map(|(name, property)| {
                let described = if property["description"].is_null() {
                    &property["oneOf"][0]
                } else {
                    property
                };
                Self {
                    name: name.clone(),
                    needed: is_needed(name),
                    kind: schema_type(property),
                    about: inline(text(described, "description", lang)),
                    example: shown(&property["example"]),
                    ..Self::default()
                }
            })
            .collect();
        for part in schema["allOf"].as_array().into_iter().flatten() {
            rows.extend(Self::of_properties(part, lang));
        }
        rows
    }
}

impl Schema {
    pub(super) fn of(schema: &Value, lang: Lang) -> Self {
        let rows = Row::of_properties(schema, lang);
        let parts = schema["allOf"].as_array().into_iter().flatten();
        Self {
            about: marked(text(schema, "description", lang)),
            includes: parts.filter_map(reference).map(str::to_owned).collect(),
            kind: if rows.is_empty() {
                schema_type(schema)
            } else {
                String::new()
            },
            rows,
        }
    }
}

/// Returns the text in the reader's language.
pub(super) fn text<'v>(holder: &'v Value, name: &str, lang: Lang) -> &'v str {
    let in_chinese = || holder[format!("x-{name}-zh")].as_str();
    let english = holder[name]
        .as_str()
        .or_else(|| holder[format!("x-{name}")].as_str())
        .unwrap_or_default();
    lang.t(english, in_chinese().unwrap_or(english))
}

/// Returns the name of the component that a schema refers to.
pub(super) fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"]
        .as_str()?
        .strip_prefix("#/components/schemas/")
}

/// Returns the text of a value, if it is one.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Formats a value for a query.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn get_and_post_with_the_same_description_are_one_entry() {
        let document = crate::server::openapi::document("http://public");
        let bases = Bases {
            public: "http://public",
            admin: "http://admin",
        };
        let groups = groups(&document, Lang::En, &bases);
        let named = |id: &str| {
            let mut all = groups.iter().flat_map(|group| &group.operations);
            all.find(|operation| operation.id == id)
        };
        let token = named("token").unwrap();
        assert_eq!(
            (&token.methods[..], &token.twins[..]),
            (
                &["GET".to_owned(), "POST".to_owned()][..],
                &["tokenByPost".to_owned()][..]
            )
        );
        assert!(named("stableToken").is_some() && named("stableTokenByGet").is_some());
        let shown = |id: &str| named(id).unwrap().short_path();
        assert_eq!(shown("rejectCredential"), "/credentials/…/reject");
        assert_eq!(
            shown("rejectCredentialOfPlatform"),
            "/credentials/{platform}/…/reject"
        );
    }

    #[test]
    fn the_first_example_of_an_answer_is_that_of_a_success() {
        let document = crate::server::openapi::document("http://public");
        let bases = Bases {
            public: "http://public",
            admin: "http://admin",
        };
        for operation in groups(&document, Lang::En, &bases)
            .iter()
            .flat_map(|group| &group.operations)
        {
            let first = operation.response.first();
            assert!(
                first.is_none_or(|tab| tab.label.starts_with('2')),
                "{}",
                operation.id
            );
        }
    }
}
