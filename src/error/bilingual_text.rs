//! The type of every text that a person reads in English or Chinese.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

/// A text in English and Chinese.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Text {
    /// English.
    pub en: Cow<'static, str>,
    /// Chinese.
    pub zh: Cow<'static, str>,
}

impl Text {
    /// Creates a constant text.
    #[must_use]
    pub const fn new(en: &'static str, zh: &'static str) -> Self {
        Self {
            en: Cow::Borrowed(en),
            zh: Cow::Borrowed(zh),
        }
    }

    /// Returns the text with another one after it.
    pub(crate) fn followed_by(&self, en: &str, zh: &str) -> Self {
        Self::owned(format!("{}{en}", self.en), format!("{}{zh}", self.zh))
    }

    /// Creates a text that was formatted.
    pub(crate) fn owned(en: String, zh: String) -> Self {
        Self {
            en: en.into(),
            zh: zh.into(),
        }
    }
}

/// Shows both languages as the command line does: Chinese below English.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n    {}", self.en, self.zh)
    }
}
