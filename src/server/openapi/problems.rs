//! Problem codes in the description.

use serde_json::{Value, json};

use crate::error::ProblemCode;

/// Returns the response of one status with all its codes. It has no examples: `detail` and `hint` depend on the
/// operation and the request.
pub(super) fn response(status: u16, codes: &[ProblemCode]) -> Value {
    let lines = |text: fn(&ProblemCode) -> String| -> Value {
        let lines: Vec<String> = codes.iter().map(text).collect();
        lines.join("\n\n").into()
    };
    let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let narrowed = json!({ "properties": { "code": { "type": "string", "enum": names }, "status": { "type": "integer", "enum": [status] } } });
    let mut response = json!({
        "description": lines(|code| format!("`{code}`: {}", code.meaning().en)),
        "x-description-zh": lines(|code| format!("`{code}`: {}", code.meaning().zh)),
        "content": {
            "application/problem+json": {
                "schema": { "allOf": [{ "$ref": "#/components/schemas/Problem" }, narrowed] },
            }
        },
    });
    if matches!(status, 429 | 503) {
        response["headers"] = json!({
            "Retry-After": {
                "description": "Seconds to wait before the next request",
                "x-description-zh": "再次请求前应等待的秒数",
                "schema": { "type": "integer", "minimum": 1 },
            }
        });
    }
    response
}

/// Returns the document's list of codes.
pub(super) fn list() -> Value {
    let row = |code: &ProblemCode| {
        let meaning = code.meaning();
        json!({ "code": code.as_str(), "status": code.status(), "en": meaning.en, "zh": meaning.zh })
    };
    ProblemCode::ALL.iter().map(row).collect()
}

/// Returns the code of this name.
///
/// # Panics
/// If no code has this name. A test builds the description.
pub(super) fn named(name: &Value) -> ProblemCode {
    let mut codes = ProblemCode::ALL.iter();
    let code = codes.find(|code| name == code.as_str());
    *code.unwrap_or_else(|| panic!("there is no problem {name}"))
}
