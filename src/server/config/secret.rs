//! Secrets of the configuration: the text itself, or a file that holds it.

use std::io;
use std::path::{self, Path};

use super::redact::is_marked_path;
use super::section::Section;
use crate::credential::Secret;
use crate::error::Text;
use crate::server::regular_file;

/// A secret in the configuration: the key of its text, the key of its file, what it is, and where to copy it
/// from.
pub(super) struct SecretKeys {
    pub(super) text: &'static str,
    pub(super) file: &'static str,
    pub(super) what: &'static str,
    pub(super) from: Text,
    /// Whether it may contain this character.
    pub(super) allows: fn(char) -> bool,
}

impl SecretKeys {
    /// Returns the keys of a secret that WeChat's console shows.
    pub(super) const fn of_wechat(
        text: &'static str,
        file: &'static str,
        what: &'static str,
    ) -> Self {
        Self {
            text,
            file,
            what,
            from: WECHATS_CONSOLE,
            allows: is_graphic,
        }
    }
}

/// The characters of every secret that WeChat issues.
pub(super) fn is_graphic(c: char) -> bool {
    c.is_ascii_graphic()
}

/// Returns a secret, which has to be there.
pub(super) fn secret(section: &mut Section, keys: &SecretKeys) -> Option<Secret> {
    let SecretKeys {
        text, file, what, ..
    } = keys;
    let is_missing = !section.has(text) && !section.has(file);
    let secret = secret_if_any(section, keys);
    if is_missing {
        section.report(
            text,
            format!("is missing: write {file} = \"/path/to/file\" or {text} = \"…\" (the {what})"),
            format!("缺少 {what}：请写 {file} = \"文件路径\" 或 {text} = \"…\""),
        );
    }
    secret
}

/// Returns a secret, or the content of its file without the newline that editors append. `None` if there is
/// neither, or after adding a problem.
pub(super) fn secret_if_any(section: &mut Section, keys: &SecretKeys) -> Option<Secret> {
    let names = [keys.text, keys.file];
    let [text, file] = names.map(|key| section.text_if_any(key));
    let key = if file.is_some() { keys.file } else { keys.text };
    let text = text_or_file(section, names, [text, file]).ok()??;
    let (text, what, from) = (trimmed(&text), keys.what, &keys.from);
    let (en, zh) = match text {
        "" => (
            format!("is empty: copy the {what} from {}", from.en),
            format!("为空：请从{}复制 {what}", from.zh),
        ),
        _ if !text.chars().all(keys.allows) => (
            format!(
                "contains blanks or characters that {} never has",
                article(what)
            ),
            format!("含有空白或 {what} 中不会出现的字符"),
        ),
        _ => return Some(Secret::new(text)),
    };
    section.refuse(key, en, zh)
}

fn article(what: &str) -> String {
    let is_vowel = what.starts_with(['A', 'E', 'I', 'O', 'U']);
    format!("{} {what}", if is_vowel { "an" } else { "a" })
}

/// Returns the text of a key, or the content of the file that another key names. An empty value beside the
/// other one does not count, so that a variable without a value replaces nothing. `Err` after a problem.
pub(super) fn text_or_file(
    section: &Section,
    [key, file_key]: [&str; 2],
    [text, file]: [Option<String>; 2],
) -> Result<Option<String>, ()> {
    let Some(file) = file.filter(|file| text.is_none() || !file.is_empty()) else {
        return Ok(text);
    };
    let (en, zh) = if text.is_some_and(|text| !text.is_empty()) {
        (
            format!("conflicts with {key}: keep one of them"),
            format!("与 {key} 只能写一个"),
        )
    } else {
        match content(section.base(), &file, Some(key)) {
            Ok(text) => return Ok(Some(text)),
            Err(problem) => problem,
        }
    };
    section.report(file_key, en, zh);
    Err(())
}

/// Returns the name and the content of the file of a key. `None` if the key is missing or empty, or after a
/// problem.
pub(super) fn content_of(section: &mut Section, key: &'static str) -> Option<(String, String)> {
    let file = section.text_if_any(key);
    let file = file.filter(|file| !file.is_empty())?;
    match content(section.base(), &file, None) {
        Ok(text) => Some((file, text)),
        Err((en, zh)) => section.refuse(key, en, zh),
    }
}

/// Returns the secret in a file, which must not be empty. `instead` is the key of the secret itself, if there
/// is one.
fn content(base: &Path, file: &str, instead: Option<&str>) -> Result<String, (String, String)> {
    if file.is_empty() {
        return Err((
            "is empty: write the path of a file".into(),
            "为空：请写文件路径".into(),
        ));
    }
    let text = regular_file::read(&base.join(file), std::fs::read_to_string)
        .map_err(|error| unreadable(base, file, &error, instead))?;
    match trimmed(&text) {
        "" => Err((
            "the file is empty: write the secret into it".into(),
            "文件为空：请写入密钥".into(),
        )),
        secret => Ok(secret.to_owned()),
    }
}

/// Returns the secret in a text: without a byte order mark, and without blanks at its ends.
pub(crate) fn trimmed(secret: &str) -> &str {
    secret.trim_start_matches(BYTE_ORDER_MARK).trim()
}

/// Returns the content of a PEM file without a byte order mark, which would hide its first label.
pub(crate) fn without_mark(pem: &[u8]) -> &[u8] {
    pem.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(pem)
}

/// Returns the problem of a file that cannot be read. Quotes only what is surely a path: the value may be the
/// secret itself. `instead` is the key for that, if there is one.
fn unreadable(base: &Path, file: &str, error: &Text, instead: Option<&str>) -> (String, String) {
    let found = base.join(file).try_exists();
    let is_path = matches!(found, Ok(true)) || is_marked_path(file);
    let may_be_secret = match &found {
        _ if is_path => false,
        Ok(is_found) => !is_found,
        // For example the name is too long.
        Err(error) => error.kind() != io::ErrorKind::PermissionDenied,
    };
    let (name_en, name_zh) = if is_path {
        (format!("\"{file}\""), format!("“{file}”"))
    } else {
        ("the file".to_owned(), "该文件".to_owned())
    };
    let (in_en, in_zh) = if Path::new(file).is_absolute() {
        Default::default()
    } else {
        // An empty base is the working directory, too.
        let directory = path::absolute(base.join(".")).unwrap_or_else(|_| base.to_owned());
        let directory = directory.display();
        (format!(" in {directory}"), format!("在 {directory} 中"))
    };
    let (advice_en, advice_zh) = match instead {
        _ if file.starts_with("~/") => (
            "; ~ is not expanded: write the whole path".to_owned(),
            "；~ 不会展开，请写完整路径".to_owned(),
        ),
        _ if !may_be_secret => Default::default(),
        Some(instead) => (
            format!("; if this is the secret itself, write {instead} instead of {instead}_file"),
            format!("；如果写的就是密钥本身，请改用 {instead}"),
        ),
        None => (
            "; write the path of a file, not the secret itself".to_owned(),
            "；请写文件路径，而不是密钥本身".to_owned(),
        ),
    };
    let Text { en, zh } = error;
    (
        format!("{name_en} cannot be read{in_en}: {en}{advice_en}"),
        format!("{in_zh}无法读取{name_zh}：{zh}{advice_zh}"),
    )
}

/// Where WeChat's secrets are.
pub(super) const WECHATS_CONSOLE: Text = Text::new("WeChat's console", "微信后台");

/// U+FEFF, which some editors put at the start of a file.
const BYTE_ORDER_MARK: &str = "\u{feff}";
