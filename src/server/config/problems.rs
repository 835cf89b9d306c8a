//! The problems of a configuration, reported all at once.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::error::Text;

/// One problem in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Problem {
    /// The setting's path, e.g. `accounts.main.secret_file`.
    pub path: String,
    /// What is wrong, and what to write instead.
    #[serde(flatten)]
    pub what: Text,
}

/// All problems of a configuration.
#[derive(Debug, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Creates the only problem of a configuration.
    pub(crate) fn one(path: impl Into<String>, what: Text) -> Self {
        Self(vec![Problem {
            path: path.into(),
            what,
        }])
    }

    /// Adds a problem. Only problems of `account_defaults` can occur twice, so only those are deduplicated:
    /// ten thousand accounts may each have their own problem, and a search through all would be slow.
    pub fn add(&mut self, path: &str, en: String, zh: String) {
        let problem = Problem {
            path: path.to_owned(),
            what: Text::owned(en, zh),
        };
        if !(path.starts_with("account_defaults.") && self.0.contains(&problem)) {
            self.0.push(problem);
        }
    }

    /// Returns the value if there is one and no problem.
    pub(in crate::server) fn into_result<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

/// Lists all problems below their number.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let s = if count == 1 { "" } else { "s" };
        writeln!(
            f,
            "the configuration has {count} problem{s} · 配置有 {count} 处问题\n"
        )?;
        for problem in &self.0 {
            writeln!(f, "{}: {}", problem.path, problem.what)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Reports a configuration file that cannot be read.
pub(super) fn unreadable(path: &Path, Text { en, zh }: Text) -> Problems {
    let what = Text::owned(format!("cannot be read: {en}"), format!("无法读取：{zh}"));
    Problems::one(path.display().to_string(), what)
}
