//! Values in messages: quoted in both languages, unless they may be a secret.

use crate::error::Text;

/// Quotes a value for a message in both languages. Hides values that may be a misplaced secret or hold a
/// password.
pub(super) fn quoted(text: &str) -> (String, String) {
    if may_be_secret(text) {
        return ("this value".into(), "该值".into());
    }
    (format!("\"{text}\""), format!("“{text}”"))
}

/// Returns ` (got "value")` in both languages; empty for a value that must not be quoted.
pub(super) fn got(text: &str) -> (String, String) {
    if may_be_secret(text) {
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

/// Returns whether the value may be a misplaced secret, or a URL with a password or a query.
pub(super) fn may_be_secret(text: &str) -> bool {
    text.chars().count() > LONGEST_QUOTED || text.contains(['@', '?'])
}

/// Returns what is wrong with a text in the place of a path, if it may be a secret, the content of a file or a
/// URL: paths are quoted in messages, in the log and on the status page. A long name of a relative path may be a
/// secret, unless it has a dot.
pub(crate) fn not_a_path(text: &str) -> Option<Text> {
    let is_content = text.contains(['\n', '\r']) || text.contains("-----BEGIN");
    let is_long = |part: &str| part.chars().count() > LONGEST_QUOTED && !part.contains('.');
    let has_long_name = text.split('/').any(is_long);
    let is_wrong = is_content || text.contains("://") || (has_long_name && !is_marked_path(text));
    is_wrong.then_some(NOT_A_PATH)
}

/// Returns whether the text is surely a path: it starts as one.
pub(super) fn is_marked_path(text: &str) -> bool {
    ["/", "./", "../"]
        .iter()
        .any(|start| text.starts_with(start))
}

const NOT_A_PATH: Text = Text::new(
    "does not look like a path: write the path of a file (start a relative one with ./ if a name in it has 32 characters or more), not its content and not a secret",
    "不像路径：请写文件路径（相对路径中有 32 个字符以上的名称时，请以 ./ 开头），不要写文件内容或密钥",
);

/// Longest value that is quoted. Shorter than an AppSecret, which has 32 characters.
const LONGEST_QUOTED: usize = 31;
