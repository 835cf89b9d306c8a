//! Secrets of the configuration: the text itself, or a file that holds it.
//!
//! Defaults: `wx-jssdk.default.toml`.

use std::io::Error;
use std::path::Path;

use super::Problems;
use super::section::Section;
use crate::credential::Secret;

/// A secret in the configuration: the key of its text, the key of its file, and what it is.
pub(super) struct SecretKeys {
    pub(super) text: &'static str,
    pub(super) file: &'static str,
    pub(super) what: &'static str,
}

/// Returns a secret, which has to be there.
pub(super) fn secret(
    section: &mut Section,
    base: &Path,
    keys: &SecretKeys,
    problems: &mut Problems,
) -> Option<Secret> {
    let SecretKeys { text, file, what } = keys;
    if !section.has(text) && !section.has(file) {
        // Registers the keys for "did you mean".
        section.text_if_any(text, problems);
        section.text_if_any(file, problems);
        problems.add(
            &section.path_of(text),
            format!("is missing: write {file} = \"/path/to/file\" or {text} = \"…\" (the {what})"),
            format!("缺少 {what}：请写 {file} = \"文件路径\" 或 {text} = \"…\"（{what}）"),
        );
        return None;
    }
    secret_if_any(section, base, keys, problems)
}

/// Returns a secret, or the content of its file without the newline that editors append. `None` if there is
/// neither, or after adding a problem.
pub(super) fn secret_if_any(
    section: &mut Section,
    base: &Path,
    keys: &SecretKeys,
    problems: &mut Problems,
) -> Option<Secret> {
    let (has_text, has_file) = (section.has(keys.text), section.has(keys.file));
    let given = section.text_if_any(keys.text, problems);
    let file = section.text_if_any(keys.file, problems);
    if has_text && has_file {
        let path = section.path_of(keys.file);
        problems.add(
            &path,
            format!("conflicts with {}: keep one of them", keys.text),
            format!("与 {} 只能写一个", keys.text),
        );
        return None;
    }
    let (key, text) = match (given, file) {
        (Some(text), _) => (keys.text, text),
        (None, file) => {
            let path = section.path_of(keys.file);
            let text = from_file(base, &file?, &path, keys.text, problems)?;
            (keys.file, text)
        }
    };
    let (text, what) = (text.trim_start_matches(BYTE_ORDER_MARK).trim(), keys.what);
    let (en, zh) = match text {
        "" => (
            format!("is empty: copy the {what} from WeChat's console"),
            format!("为空：请从微信后台复制 {what}"),
        ),
        _ if !text.bytes().all(|b| b.is_ascii_graphic()) => (
            format!(
                "contains blanks or characters that {} never has",
                article(what)
            ),
            format!("含有空白或 {what} 中不会出现的字符"),
        ),
        _ => return Some(Secret::new(text)),
    };
    problems.add(&section.path_of(key), en, zh);
    None
}

fn article(what: &str) -> String {
    let is_vowel = what.starts_with(['A', 'E', 'I', 'O', 'U']);
    format!("{} {what}", if is_vowel { "an" } else { "a" })
}

/// Returns the content of a file that holds a secret. `instead` is the key for the secret itself.
pub(super) fn from_file(
    base: &Path,
    file: &str,
    path: &str,
    instead: &str,
    problems: &mut Problems,
) -> Option<String> {
    match std::fs::read_to_string(base.join(file)) {
        Ok(text) => Some(text),
        Err(error) => {
            let (en, zh) = unreadable(file, &error, Some(instead));
            problems.add(path, en, zh);
            None
        }
    }
}

/// Returns the problem of a file that cannot be read. Quotes only what is surely a path: the value may be the
/// secret itself. `instead` is the key for that, if there is one.
pub(super) fn unreadable(file: &str, error: &Error, instead: Option<&str>) -> (String, String) {
    let is_path = ["/", "./", "../"]
        .iter()
        .any(|start| file.starts_with(start));
    match instead {
        _ if is_path => (
            format!("\"{file}\" cannot be read: {error}"),
            format!("无法读取“{file}”：{error}"),
        ),
        Some(instead) => (
            format!(
                "the file cannot be read ({error}); if this is the secret itself, write {instead} instead of {instead}_file"
            ),
            format!("无法读取该文件（{error}）；如果写的就是密钥本身，请改用 {instead}"),
        ),
        None => (
            format!(
                "the file cannot be read ({error}); write the path of a file, not the secret itself"
            ),
            format!("无法读取该文件（{error}）；请写文件路径，而不是密钥本身"),
        ),
    }
}

/// U+FEFF, which some editors put at the start of a file.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';
