//! Writes the command of an operation, to paste into a shell.

use serde_json::Value;

use super::view::{plain, shown};

/// Returns a command for a shell, with the required parameters.
pub(super) fn curl(base: &str, path: &str, method: &str, operation: &Value) -> String {
    let mut path = path.to_owned();
    let mut lines = Vec::new();
    let mut is_query = false;
    if operation["security"].is_array() {
        lines.push("-H 'Authorization: Bearer KEY'".to_owned());
    }
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (name, example) = (plain(&parameter["name"]), shown(&parameter["example"]));
        match parameter["in"].as_str() {
            Some("path") => path = path.replace(&format!("{{{name}}}"), &example),
            _ if parameter["required"] != true => {}
            Some("header") => lines.push(format!("-H {}", quoted(&format!("{name}: {example}")))),
            _ => {
                is_query = true;
                let pair = quoted(&format!("{name}={example}"));
                lines.push(format!("--data-urlencode {pair}"));
            }
        }
    }
    let body = operation["requestBody"]["content"].as_object();
    let mut has_data = false;
    if let Some((media_type, content)) = body.and_then(|all| all.iter().next()) {
        lines.push(format!("-H 'Content-Type: {media_type}'"));
        if let Some(example) = content.get("example") {
            lines.push(format!("-d {}", quoted(&example.to_string())));
            has_data = true;
        }
    }
    let mut first = "curl".to_owned();
    if method != "get" && (method != "post" || !has_data) {
        first += &format!(" -X {}", method.to_uppercase());
    }
    if is_query {
        first += " -G";
    }
    first += &format!(" {}", quoted(&format!("{base}{path}")));
    std::iter::once(first)
        .chain(lines)
        .collect::<Vec<_>>()
        .join(" \\\n  ")
}

/// Quotes a text for a shell, where it needs that.
fn quoted(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.,:/@%+=".contains(&b);
    if text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn commands_survive_a_shell() {
        let body = json!({ "requestBody": { "content": { "application/json": { "example": { "a": "it's" } } } } });
        assert_eq!(
            curl("http://h", "/p", "post", &body),
            "curl http://h/p \\\n  -H 'Content-Type: application/json' \\\n  -d '{\"a\":\"it'\\''s\"}'"
        );
        let query = json!({ "parameters": [{ "name": "url", "in": "query", "required": true, "example": "https://e/?a=1" }] });
        assert_eq!(
            curl("http://h", "/p", "get", &query),
            "curl -G http://h/p \\\n  --data-urlencode 'url=https://e/?a=1'"
        );
        let header = json!({ "parameters": [{ "name": "X-A", "in": "header", "required": true, "example": "b" }] });
        assert_eq!(
            curl("http://h", "/p", "post", &header),
            "curl -X POST http://h/p \\\n  -H 'X-A: b'"
        );
    }

    #[test]
    fn commands_send_the_method_and_the_kind_of_body_of_the_operation() {
        let text = json!({ "requestBody": { "content": { "text/xml": {} } } });
        let json =
            json!({ "requestBody": { "content": { "application/json": { "example": 1 } } } });
        let query = json!({ "parameters": [{ "name": "a", "in": "query", "required": true, "example": "b" }] });
        for (method, operation, expected) in [
            ("delete", &json!({}), "curl -X DELETE http://h/p"),
            (
                "put",
                &json,
                "curl -X PUT http://h/p \\\n  -H 'Content-Type: application/json' \\\n  -d 1",
            ),
            (
                "post",
                &text,
                "curl -X POST http://h/p \\\n  -H 'Content-Type: text/xml'",
            ),
            (
                "post",
                &query,
                "curl -X POST -G http://h/p \\\n  --data-urlencode a=b",
            ),
        ] {
            assert_eq!(curl("http://h", "/p", method, operation), expected);
        }
    }
}
