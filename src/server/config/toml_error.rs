//! What is wrong with a text that is not TOML. Never quotes the text, which may hold a secret, except for the
//! name of a duplicate key and a full-width character.

use config::ConfigError;

use super::redact::may_be_secret;
use crate::error::Text;

/// Returns the place of the error, and what is wrong there.
pub(super) fn explain(error: &ConfigError, text: &str) -> Text {
    let printed = error.to_string();
    // The parser quotes the line of the error behind a bar.
    let mut lines = printed
        .lines()
        .map(str::trim)
        .filter(|line| !line.contains('|') && !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let Some((line, column)) = position(first) else {
        // For example a number that is too large.
        return Text::owned(
            format!("is not valid TOML: {first}"),
            format!("不是有效的 TOML：{first}"),
        );
    };
    let why = lines.collect::<Vec<_>>().join(": ");
    let translated = IN_CHINESE.iter().find(|(en, _)| why.starts_with(en));
    let mut en = format!("is not valid TOML at line {line}, column {column}: {why}");
    let mut zh = format!(
        "第 {line} 行第 {column} 列不是有效的 TOML：{}",
        translated.map_or(why.as_str(), |(_, zh)| *zh)
    );
    let text = text.trim_start_matches('\u{feff}');
    let written = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    if why == DUPLICATE
        && let Some(key) = key_at(written, column).filter(|key| !may_be_secret(key))
    {
        en += &format!(" \"{key}\"");
        zh += &format!(" \"{key}\"");
    }
    if let Some(hint) = typed_with_an_input_method(written, column).and_then(to_type_instead) {
        en += &format!("; {}", hint.en);
        zh += &format!("；{}", hint.zh);
    }
    Text::owned(en, zh)
}

/// Reads the line and the column, counted from 1, of the parser's first line.
fn position(first: &str) -> Option<(usize, usize)> {
    let place = first.strip_prefix("TOML parse error at line ")?;
    let (line, column) = place.split_once(", column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// Returns the key without quotes that begins at this column.
fn key_at(line: &str, column: usize) -> Option<String> {
    let is_of_key = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let rest = line.chars().skip(column.checked_sub(1)?);
    let key: String = rest.take_while(is_of_key).collect();
    (!key.is_empty()).then_some(key)
}

/// Returns the first such character up to this column that is outside of texts and comments, or in a text that
/// does not end.
fn typed_with_an_input_method(line: &str, column: usize) -> Option<char> {
    let (mut quote, mut in_text) = (None, None);
    for c in line.chars().take(column) {
        let is_known = to_type_instead(c).is_some();
        match quote {
            Some(open) if open == c => (quote, in_text) = (None, None),
            Some(_) if is_known => in_text = in_text.or(Some(c)),
            Some(_) => {}
            None if is_known => return Some(c),
            None if c == '#' => return None,
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None => {}
        }
    }
    in_text
}

/// Returns what to write instead of a character that Chinese input methods, word processors and web pages put
/// in the place of one of TOML's.
fn to_type_instead(c: char) -> Option<Text> {
    let ascii = match c {
        '“' | '”' | '＂' | '‘' | '’' | '「' | '」' => {
            return Some(Text::owned(
                format!("\"{c}\" is a Chinese quotation mark: write \""),
                format!("{c} 是中文引号，请改为英文引号 \""),
            ));
        }
        '＝' | '：' => '=',
        '，' | '、' => ',',
        '【' | '［' => '[',
        '】' | '］' => ']',
        '｛' => '{',
        '｝' => '}',
        '＃' => '#',
        '\u{3000}' | '\u{a0}' => {
            let code = u32::from(c);
            return Some(Text::owned(
                format!("U+{code:04X} is not an ordinary blank: write one"),
                format!("此处的空格（U+{code:04X}）请改为普通空格"),
            ));
        }
        '\u{200b}' | '\u{feff}' => {
            let code = u32::from(c);
            return Some(Text::owned(
                format!("U+{code:04X} is an invisible character: delete it"),
                format!("此处有不可见的字符（U+{code:04X}），请删除"),
            ));
        }
        _ => return None,
    };
    Some(Text::owned(
        format!("\"{c}\" is a full-width character: write \"{ascii}\""),
        format!("“{c}”是全角字符，请改为 {ascii}"),
    ))
}

const DUPLICATE: &str = "duplicate key";

/// The parser's common messages, by their beginning.
const IN_CHINESE: [(&str, &str); 13] = [
    (DUPLICATE, "重复的配置项或节"),
    ("string values must be quoted", "字符串须加英文双引号"),
    ("key with no value", "配置项后缺少 ="),
    (
        "missing comma between array elements",
        "列表各项之间缺少逗号",
    ),
    ("invalid unquoted key", "配置项名只能用字母、数字、- 和 _"),
    (
        "missing escaped value",
        "字符串中的 \\ 须写作 \\\\，或改用单引号",
    ),
    (
        "invalid basic string",
        "字符串缺少结尾的双引号，或含有不允许的字符",
    ),
    (
        "invalid literal string",
        "字符串缺少结尾的单引号，或含有不允许的字符",
    ),
    (
        "invalid float",
        "数字的写法不对；如果是字符串，须加英文双引号",
    ),
    (
        "invalid integer",
        "数字的写法不对；如果是字符串，须加英文双引号",
    ),
    ("unclosed array", "列表缺少 ]"),
    ("unclosed table", "节名缺少 ]"),
    (
        "carriage return must be followed by newline",
        "换行符应为 LF 或 CRLF",
    ),
];
