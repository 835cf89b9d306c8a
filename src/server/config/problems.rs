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

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{}: {}", problem.path, problem.what)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

pub(super) fn unreadable(path: &Path, en: &impl fmt::Display, zh: &impl fmt::Display) -> Problems {
    let mut problems = Problems::default();
    problems.add(
        &path.display().to_string(),
        format!("cannot be read: {en}"),
        format!("无法读取：{zh}"),
    );
    problems
}
