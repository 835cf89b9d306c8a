//! A base configuration, and checks of problems.

use std::collections::HashMap;
use std::path::Path;

use wx_jssdk::server::config::{Problems, Settings};

pub(crate) const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";

/// One account, to which a test adds its lines.
pub(crate) const MAIN: &str = r#"
[accounts.main]
app_id = "wx0123456789abcdef"
secret = "0c79e1fa963cd80cc0be99b20a18faeb"
js_safe_domains = ["example.com"]
"#;

/// The same account under another name.
pub(crate) fn named(name: &str) -> String {
    MAIN.replace("accounts.main", &format!("accounts.{name}"))
}

pub(crate) fn read(text: &str) -> Result<Settings, Problems> {
    Settings::read(text, Path::new(""), HashMap::new())
}

pub(crate) fn read_with(text: &str, environment: &[(&str, &str)]) -> Result<Settings, Problems> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Settings::read(text, Path::new(""), environment)
}

pub(crate) fn good(text: &str) -> Settings {
    read(text).unwrap_or_else(|problems| panic!("{problems}"))
}

pub(crate) fn good_with(text: &str, environment: &[(&str, &str)]) -> Settings {
    read_with(text, environment).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Returns the paths of all problems, after checking that each has both languages and no secret.
pub(crate) fn paths(result: Result<Settings, Problems>) -> Vec<String> {
    let problems = result.expect_err("a configuration with a mistake");
    assert!(!problems.0.is_empty());
    for problem in &problems.0 {
        assert!(
            !problem.path.is_empty() && problem.what.en.is_ascii() | problem.what.en.contains('"'),
            "{problem:?}"
        );
        assert!(
            problem.what.zh.chars().any(is_chinese),
            "no Chinese: {problem:?}"
        );
    }
    let printed = format!("{problems}{problems:?}");
    assert!(!printed.contains(SECRET), "{printed}");
    problems.0.into_iter().map(|problem| problem.path).collect()
}

pub(crate) fn is_chinese(c: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&c)
}

/// Returns the English text of the only problem, which is at this path.
pub(crate) fn only(path: &str, result: Result<Settings, Problems>) -> String {
    let text = result
        .as_ref()
        .expect_err("a configuration with a mistake")
        .to_string();
    assert_eq!(paths(result), [path], "{text}");
    text.lines()
        .nth(2) // below their number and a blank line
        .unwrap()
        .strip_prefix(path)
        .unwrap()
        .to_owned()
}
