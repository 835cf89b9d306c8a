//! Converts texts of the description to HTML: Markdown, JSON, and code with its syntax marked.

use serde_json::Value;

/// Converts the Markdown subset of the descriptions: paragraphs, lists, `code` and **strong**.
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

/// Converts the Markdown of one paragraph, without its `<p>`. Links become their texts: their targets are
/// other documents, which are not served.
pub(super) fn inline(text: &str) -> String {
    let mut html = String::new();
    for (at, part) in escaped(&without_links(text)).split('`').enumerate() {
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

fn without_links(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((head, target)) = rest.split_once("](")
        && let Some((before, label)) = head.rsplit_once('[')
        && let Some((_, after)) = target.split_once(')')
    {
        plain += before;
        plain += label;
        rest = after;
    }
    plain + rest
}

/// Escapes a text for elements and attributes.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Marks the syntax of JSON, a shell command or JavaScript: `k` keys and keywords, `s` strings, `n` numbers and
/// flags.
pub(super) fn code(text: &str) -> String {
    let mut html = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, class) = if matches!(first, '"' | '\'' | '`') {
            let length = string_length(rest, first);
            let is_key = rest[length..].starts_with(':');
            (length, Some(if is_key { "k" } else { "s" }))
        } else if ends_word(first) {
            (first.len_utf8(), None)
        } else {
            let length = rest.find(ends_word).unwrap_or(rest.len());
            (length, word_class(&rest[..length]))
        };
        let (token, after) = rest.split_at(length);
        html += &match class {
            Some(class) => format!("<span class=\"{class}\">{}</span>", escaped(token)),
            None => escaped(token),
        };
        rest = after;
    }
    html
}

/// Returns the length of the string literal at the start, or of everything if it does not end.
fn string_length(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !is_escaped {
            return at + 1;
        }
        // A shell's single quotes know no escape.
        is_escaped = c == '\\' && !is_escaped && quote == '"';
    }
    text.len()
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || "\"'`(){}[],;".contains(c)
}

fn word_class(word: &str) -> Option<&'static str> {
    let is_flag = word.starts_with('-') && word.len() > 1;
    match word {
        "curl" | "const" | "await" => Some("k"),
        "true" | "false" | "null" => Some("n"),
        _ if is_flag || word.parse::<f64>().is_ok() => Some("n"),
        _ => None,
    }
}

/// Writes a value with one member per line; arrays and objects of few scalars stay on one line.
pub(super) fn json(value: &Value) -> String {
    json_at(value, "\n")
}

/// `line`: a line break with the indentation of the value.
fn json_at(value: &Value, line: &str) -> String {
    let inner = format!("{line}  ");
    let (open, close, padding, members): (_, _, _, Vec<String>) = match value {
        Value::Array(items) => {
            let members = items.iter().map(|item| json_at(item, &inner));
            ('[', ']', "", members.collect())
        }
        Value::Object(members) if !members.is_empty() => {
            let members = members.iter().map(|(name, member)| {
                let name = Value::from(name.as_str());
                format!("{name}: {}", json_at(member, &inner))
            });
            ('{', '}', " ", members.collect())
        }
        other => return other.to_string(),
    };
    let is_nested = |member: &String| member.ends_with(['}', ']']);
    if value.to_string().len() <= MAX_LINE && !members.iter().any(is_nested) {
        return format!("{open}{padding}{}{padding}{close}", members.join(", "));
    }
    let members = members.join(&format!(",{inner}"));
    format!("{open}{inner}{members}{line}{close}")
}

/// Longest JSON that stays on one line, in bytes.
const MAX_LINE: usize = 48;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_supported_markdown_becomes_html() {
        assert_eq!(
            marked("a `b<c` **d**\n\n- e\n- f"),
            "<p>a <code>b&lt;c</code> <strong>d</strong></p><ul><li>e</li><li>f</li></ul>"
        );
        assert_eq!(inline("[a], [b](c#d), `e[]`"), "[a], b, <code>e[]</code>");
        assert_eq!(marked("<script>"), "<p>&lt;script&gt;</p>");
        assert_eq!(marked(""), "");
    }

    #[test]
    fn code_is_marked_and_its_text_stays() {
        assert_eq!(
            code("curl -G http://10.0.4.11:8081/p \\\n  'a=\"<1>\"'"),
            "<span class=\"k\">curl</span> <span class=\"n\">-G</span> http://10.0.4.11:8081/p \\\n  \
             <span class=\"s\">'a=&quot;&lt;1&gt;&quot;'</span>"
        );
        assert_eq!(
            code(r#"{"a": "b\": c", "d": 1}"#),
            "{<span class=\"k\">&quot;a&quot;</span>: <span class=\"s\">&quot;b\\&quot;: c&quot;</span>, \
             <span class=\"k\">&quot;d&quot;</span>: <span class=\"n\">1</span>}"
        );
        assert_eq!(code("it's"), "it<span class=\"s\">'s</span>");
    }

    #[test]
    fn short_json_stays_on_one_line_and_is_the_same_json() {
        assert_eq!(json(&json!({ "status": "ok" })), r#"{ "status": "ok" }"#);
        assert_eq!(json(&json!({})), "{}");
        assert_eq!(
            json(&json!({ "a": [], "b": ["c", "d"], "e": { "f": [1] } })),
            "{\n  \"a\": [],\n  \"b\": [\"c\", \"d\"],\n  \"e\": {\n    \"f\": [1]\n  }\n}"
        );
        let long = json!(["x".repeat(MAX_LINE), { "y": "\"z" }]);
        assert_eq!(serde_json::from_str::<Value>(&json(&long)).unwrap(), long);
    }
}
