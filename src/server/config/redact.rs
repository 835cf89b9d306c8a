//! Values in messages: quoted in both languages, unless they may be a secret.

use crate::error::Text;

/// Quotes a value for a message in both languages. Hides values that may be a misplaced secret or hold a
/// password.
pub(super) fn quoted(text: &str) -> (String, String) {
    if text.chars().count() > LONGEST_QUOTED || text.contains('@') {
        return ("this value".into(), "该值".into());
    }
    (format!("\"{text}\""), format!("“{text}”"))
}

/// Returns ` (got "value")` in both languages; empty for a value that must not be quoted.
pub(super) fn got(text: &str) -> (String, String) {
    if text.chars().count() > LONGEST_QUOTED || text.contains('@') {
        return Default::default();
    }
    (format!(" (got \"{text}\")"), format!("（当前为“{text}”）"))
}

/// Builds the message for a text that cannot be parsed. The command line uses it for arguments, too.
pub(crate) fn ill_written(text: &str, what: &str, example: &str) -> Text {
    let (en, zh) = got(text);
    Text::owned(
        format!("must be {what} such as {example}{en}"),
        format!("应为 {example} 这样的写法{zh}"),
    )
}

/// Longest value that is quoted. Shorter than an AppSecret, which has 32 characters.
const LONGEST_QUOTED: usize = 31;
