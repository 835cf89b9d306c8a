//! Problem codes in the description.

use serde_json::{Value, json};

use crate::error::ProblemCode;

/// Returns an example body.
pub(super) fn example(code: ProblemCode) -> Value {
    let meaning = code.meaning();
    json!({
        "type": format!("urn:wx-jssdk:error:{code}"),
        "title": code.title(),
        "status": code.status(),
        "detail": meaning.en,
        "code": code.as_str(),
        "hint": { "en": meaning.en, "zh": meaning.zh },
    })
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
/// If there is none. The description is built when the service starts, and by every test.
pub(super) fn named(name: &str) -> ProblemCode {
    let mut codes = ProblemCode::ALL.iter();
    let code = codes.find(|code| code.as_str() == name);
    *code.unwrap_or_else(|| panic!("there is no problem {name}"))
}
