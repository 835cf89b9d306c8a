//! Writes the type of a parameter or property.

use serde_json::Value;

use super::html::escaped;
use super::view::{plain, reference, shown};

/// Returns the type as HTML: `string, ≤ 128`, `integer`, `zh | en`, `string[]`, a link to `Text`.
pub(super) fn schema_type(schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        let name = escaped(name);
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> = values.iter().map(shown).collect();
        let named: Vec<_> = values.into_iter().filter(|one| !one.is_empty()).collect();
        return escaped(&named.join(" | "));
    }
    if let Some(parts) = schema["oneOf"].as_array() {
        let parts: Vec<_> = parts.iter().map(schema_type).collect();
        let named: Vec<_> = parts.into_iter().filter(|one| one != "null").collect();
        return named.join(" | ");
    }
    let name = match &schema["type"] {
        Value::Array(types) => types
            .iter()
            .map(plain)
            .filter(|one| one != "null")
            .map(|one| kind_of_type(&one, schema))
            .collect::<Vec<_>>()
            .join(" | "),
        one => kind_of_type(one.as_str().unwrap_or_default(), schema),
    };
    let limits = ["maxLength", "maxItems"]
        .iter()
        .filter_map(|limit| schema[*limit].as_u64())
        .map(|most| format!(", ≤ {most}"));
    name + &limits.collect::<String>()
}

fn kind_of_type(name: &str, schema: &Value) -> String {
    match name {
        "array" => format!("{}[]", schema_type(&schema["items"])),
        name => escaped(name),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_say_what_may_be_sent() {
        for (schema, expected) in [
            (
                json!({ "type": "string", "maxLength": 128 }),
                "string, ≤ 128",
            ),
            (
                json!({ "type": "array", "items": { "type": "string" }, "maxItems": 2 }),
                "string[], ≤ 2",
            ),
            (json!({ "type": ["string", "null"] }), "string"),
            (
                json!({ "type": ["array", "null"], "items": { "type": "string" } }),
                "string[]",
            ),
            (json!({ "enum": ["zh", "en", ""] }), "zh | en"),
            (
                json!({ "oneOf": [{ "$ref": "#/components/schemas/Text" }, { "type": "null" }] }),
                "<a href=\"#schema-Text\">Text</a>",
            ),
        ] {
            assert_eq!(schema_type(&schema), expected);
        }
    }
}
