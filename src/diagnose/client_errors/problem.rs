//! Explains this server's own errors: a problem document of the signing endpoint, or the client script's
//! message about it.

use serde_json::{Deserializer, Value};

use crate::diagnose::verdicts as v;
use crate::diagnose::{Confidence, Finding};
use crate::error::{ProblemCode, Text};

/// Returns the cause and fix of the problem that the text holds or names: those of the document, else those of
/// its code.
pub(super) fn explained(text: &str) -> Option<Finding> {
    let code = code_in(text)?;
    let start = text.find('{').unwrap_or(text.len());
    let mut values = Deserializer::from_str(&text[start..]).into_iter::<Value>();
    let document = values.next().and_then(Result::ok);
    let own = |pointer: &str| {
        let value = document.as_ref()?.pointer(pointer)?;
        value.as_str().map(str::to_owned)
    };
    // The codes' texts are Markdown, and the meanings end with a full stop.
    let plain = |text: &str| text.trim_end_matches(['.', '。']).replace(['`', '*'], "");
    let (meaning, fix) = (code.meaning(), code.fix());
    Some(Finding {
        code: code.as_str(),
        cause: Text::owned(
            own("/detail").unwrap_or_else(|| plain(&meaning.en)),
            plain(&meaning.zh),
        ),
        fix: Text::owned(
            own("/hint/en").unwrap_or_else(|| plain(&fix.en) + "."),
            own("/hint/zh").unwrap_or_else(|| plain(&fix.zh) + "。"),
        ),
        ..Finding::new(Confidence::Likely, &v::ERRCODE)
    })
}

/// Returns the code in a problem's type or after the name of the script's errors, or with which the text
/// begins.
fn code_in(text: &str) -> Option<ProblemCode> {
    let marked = [TYPE, "WxJssdkError: "].iter().find_map(|mark| {
        let (_, rest) = text.split_once(mark)?;
        Some(rest)
    });
    let rest = marked.unwrap_or(text.trim_start());
    let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
    let is_alone = name.contains('_') && (after.is_empty() || after.starts_with(':'));
    let mut codes = ProblemCode::ALL.iter().copied();
    codes
        .find(|code| code.as_str() == name)
        .filter(|_| marked.is_some() || is_alone)
}

/// The beginning of a problem's type.
pub(in crate::diagnose) const TYPE: &str = "urn:wx-jssdk:error:";
