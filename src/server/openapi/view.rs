//! Prepares the document's JSON for the page.

use serde_json::Value;

use crate::server::pages::Lang;

/// One operation.
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) admin: bool,
    pub(super) keyed: bool,
    pub(super) summary: String,
    /// HTML.
    pub(super) about: String,
    pub(super) parameters: Vec<Row>,
    pub(super) body: Option<Content>,
    pub(super) answers: Vec<Answer>,
    pub(super) curl: String,
}

/// A parameter or a property.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) place: String,
    pub(super) needed: bool,
    pub(super) kind: String,
    /// HTML.
    pub(super) about: String,
    pub(super) example: String,
}

/// One answer, by status.
pub(super) struct Answer {
    pub(super) status: String,
    /// HTML.
    pub(super) about: String,
    pub(super) content: Option<Content>,
}

/// A request or response body.
pub(super) struct Content {
    pub(super) media_type: String,
    /// Component names.
    pub(super) schemas: Vec<String>,
    pub(super) example: String,
}

/// A component.
pub(super) struct Table {
    /// HTML.
    pub(super) about: String,
    pub(super) rows: Vec<Row>,
}

/// Returns the operations of a group, sorted by path; `GET /jssdk/config`, which readers look for, first.
pub(super) fn operations(document: &Value, group: &str, lang: Lang, admin: &str) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            if operation["tags"][0] == group {
                found.push(Operation::of(path, method, operation, lang, admin));
            }
        }
    }
    found.sort_by_key(|operation| operation.id != "config");
    found
}

impl Operation {
    fn of(path: &str, method: &str, operation: &Value, lang: Lang, admin: &str) -> Self {
        let server = &operation["servers"][0];
        let public = server["variables"]["public"]["default"].as_str();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let answers = operation["responses"].as_object().into_iter().flatten();
        Self {
            id: plain(&operation["operationId"]),
            method: method.to_uppercase(),
            path: path.to_owned(),
            admin: public.is_none(),
            keyed: operation["security"].is_array(),
            summary: text(operation, "summary", lang).to_owned(),
            about: marked(text(operation, "description", lang)),
            parameters: parameters
                .map(|parameter| Row::of_parameter(parameter, lang))
                .collect(),
            body: Content::of(&operation["requestBody"]),
            answers: answers
                .map(|(status, answer)| Answer::of(status, answer, lang))
                .collect(),
            curl: curl(public.unwrap_or(admin), path, method, operation),
        }
    }
}

impl Row {
    fn of_parameter(parameter: &Value, lang: Lang) -> Self {
        Self {
            name: plain(&parameter["name"]),
            place: plain(&parameter["in"]),
            needed: parameter["required"] == true,
            kind: kind(&parameter["schema"]),
            about: marked(text(parameter, "description", lang)),
            example: shown(&parameter["example"]),
        }
    }
}

impl Answer {
    fn of(status: &str, answer: &Value, lang: Lang) -> Self {
        Self {
            status: status.to_owned(),
            about: marked(text(answer, "description", lang)),
            content: Content::of(answer),
        }
    }
}

impl Content {
    fn of(holder: &Value) -> Option<Self> {
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
        let example = match (
            &content["example"],
            content["examples"]
                .as_object()
                .and_then(|all| all.values().next()),
        ) {
            (Value::Null, Some(first)) => &first["value"],
            (example, _) => example,
        };
        let example = if example.is_null() {
            String::new()
        } else {
            format!("{example:#}")
        };
        Some(Self {
            media_type: media_type.clone(),
            schemas,
            example,
        })
    }
}

impl Table {
    pub(super) fn of(schema: &Value) -> Self {
        let needed = |name: &str| {
            schema["required"]
                .as_array()
                .is_some_and(|names| names.iter().any(|one| one == name))
        };
        let rows =
            schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, property)| Row {
                    name: name.clone(),
                    place: String::new(),
                    needed: needed(name),
                    kind: kind(property),
                    about: marked(property["description"].as_str().unwrap_or_default()),
                    example: shown(&property["example"]),
                });
        Self {
            about: marked(schema["description"].as_str().unwrap_or_default()),
            rows: rows.collect(),
        }
    }
}

/// Returns the text in the reader's language.
pub(super) fn text<'v>(holder: &'v Value, name: &str, lang: Lang) -> &'v str {
    let in_chinese = || holder[format!("x-{name}-zh")].as_str();
    let english = holder[name].as_str().unwrap_or_default();
    lang.t(english, in_chinese().unwrap_or(english))
}

/// Converts the Markdown subset of the descriptions to HTML: paragraphs, lists, `code` and **strong**.
pub(super) fn marked(text: &str) -> String {
    let mut html = String::new();
    for part in text.split("\n\n").filter(|part| !part.is_empty()) {
        if part.starts_with("- ") {
            let items = part
                .lines()
                .map(|line| format!("<li>{}</li>", inline(line.trim_start_matches("- "))));
            html += &format!("<ul>{}</ul>", items.collect::<String>());
        } else {
            html += &format!("<p>{}</p>", inline(part));
        }
    }
    html
}

fn inline(text: &str) -> String {
    let escaped = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    let mut html = String::new();
    for (at, part) in escaped.split('`').enumerate() {
        if at % 2 == 1 {
            html += &format!("<code>{part}</code>");
            continue;
        }
        for (at, part) in part.split("**").enumerate() {
            html += &if at % 2 == 1 {
                format!("<strong>{part}</strong>")
            } else {
                part.to_owned()
            };
        }
    }
    html
}

/// Returns the type as text: `string, ≤ 128`, `integer`, `zh | en`, `string[]`, `Text`.
fn kind(schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        return name.to_owned();
    }
    if let Some(values) = schema["enum"].as_array() {
        return values
            .iter()
            .map(shown)
            .filter(|value| !value.is_empty())
            .collect::<Vec<_>>()
            .join(" | ");
    }
    if let Some(parts) = schema["oneOf"].as_array() {
        return parts.iter().map(kind).collect::<Vec<_>>().join(" | ");
    }
    let name = match &schema["type"] {
        Value::Array(types) => types
            .iter()
            .map(plain)
            .filter(|one| one != "null")
            .collect::<Vec<_>>()
            .join(" | "),
        Value::String(one) if one == "array" => format!("{}[]", kind(&schema["items"])),
        one => plain(one),
    };
    let limits = ["maxLength", "maxItems"]
        .iter()
        .filter_map(|limit| schema[*limit].as_u64())
        .map(|most| format!(", ≤ {most}"));
    name + &limits.collect::<String>()
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"]
        .as_str()?
        .strip_prefix("#/components/schemas/")
}

/// Returns a command for a shell.
fn curl(base: &str, path: &str, method: &str, operation: &Value) -> String {
    let mut path = path.to_owned();
    let mut lines = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (name, example) = (plain(&parameter["name"]), shown(&parameter["example"]));
        if parameter["in"] == "path" {
            path = path.replace(&format!("{{{name}}}"), &example);
        } else if parameter["required"] == true {
            lines.push(format!(
                "--data-urlencode {}",
                quoted(&format!("{name}={example}"))
            ));
        }
    }
    let reads_a_query = method == "get" && !lines.is_empty();
    if operation["security"].is_array() {
        lines.insert(0, "-H 'Authorization: Bearer KEY'".to_owned());
    }
    if let Some(content) = operation["requestBody"]["content"]
        .as_object()
        .and_then(|all| all.values().next())
    {
        lines.push("-H 'Content-Type: application/json'".to_owned());
        lines.push(format!("-d {}", quoted(&content["example"].to_string())));
    }
    let verb = if reads_a_query { "curl -G" } else { "curl" };
    let first = format!("{verb} {}", quoted(&format!("{base}{path}")));
    std::iter::once(first)
        .chain(lines)
        .collect::<Vec<_>>()
        .join(" \\\n  ")
}

/// Quotes a text for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn plain(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Formats a value for a query.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_little_markdown_becomes_html_and_nothing_else_does() {
        assert_eq!(
            marked("a `b<c` **d**\n\n- e\n- f"),
            "<p>a <code>b&lt;c</code> <strong>d</strong></p><ul><li>e</li><li>f</li></ul>"
        );
        assert_eq!(marked("<script>"), "<p>&lt;script&gt;</p>");
        assert_eq!(marked(""), "");
    }

    #[test]
    fn kinds_say_what_may_be_sent() {
        assert_eq!(
            kind(&json!({ "type": "string", "maxLength": 128 })),
            "string, ≤ 128"
        );
        assert_eq!(
            kind(&json!({ "type": "array", "items": { "type": "string" }, "maxItems": 2 })),
            "string[], ≤ 2"
        );
        assert_eq!(kind(&json!({ "type": ["string", "null"] })), "string");
        assert_eq!(kind(&json!({ "enum": ["zh", "en", ""] })), "zh | en");
        assert_eq!(
            kind(&json!({ "$ref": "#/components/schemas/Text" })),
            "Text"
        );
    }

    #[test]
    fn commands_survive_a_shell() {
        let body = json!({ "requestBody": { "content": { "application/json": { "example": { "a": "it's" } } } } });
        assert_eq!(
            curl("http://h", "/p", "post", &body),
            "curl 'http://h/p' \\\n  -H 'Content-Type: application/json' \\\n  -d '{\"a\":\"it'\\''s\"}'"
        );
        let query = json!({ "parameters": [{ "name": "url", "in": "query", "required": true, "example": "https://e/?a=1" }] });
        assert_eq!(
            curl("http://h", "/p", "get", &query),
            "curl -G 'http://h/p' \\\n  --data-urlencode 'url=https://e/?a=1'"
        );
    }
}
