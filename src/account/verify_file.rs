//! Domain ownership files: WeChat's console issues one and looks for it on the domain before binding it.

use std::sync::Arc;

use super::is_word;

/// A domain ownership file: the exact name and content that WeChat issued, without a line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyFile {
    name: Arc<str>,
    content: Arc<str>,
}

/// Reason why a name or content is invalid. Only ownership files may be served in this way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyFileError {
    /// The name is not one that WeChat issues.
    #[error(
        "the name must be MP_verify_….txt or WW_verify_….txt as given by WeChat's console (… are letters and digits), without a path"
    )]
    Name,
    /// The content is not a single word.
    #[error(
        "the content must be the 1 to 128 characters of WeChat's file, without blanks and line breaks; it is not a path"
    )]
    Content,
}

impl VerifyFile {
    /// Checks both values: control over an arbitrary file on the domain would be control over the domain.
    ///
    /// # Errors
    /// [`VerifyFileError`] says which of the two is invalid.
    pub fn new(name: &str, content: &str) -> Result<Self, VerifyFileError> {
        let middle = name.strip_suffix(".txt").and_then(|name| {
            let front = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
            front.filter(|middle| {
                (1..=MAX_NAME).contains(&middle.len())
                    && middle.bytes().all(|b| b.is_ascii_alphanumeric())
            })
        });
        if middle.is_none() {
            return Err(VerifyFileError::Name);
        }
        if !is_word(content) || !(1..=MAX_CONTENT).contains(&content.len()) {
            return Err(VerifyFileError::Content);
        }
        Ok(Self {
            name: name.into(),
            content: content.into(),
        })
    }

    /// Returns the name: `MP_verify_….txt` or `WW_verify_….txt`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the content.
    pub fn content(&self) -> &Arc<str> {
        &self.content
    }
}

/// Name prefixes of official accounts and of WeCom apps.
const PREFIXES: [&str; 2] = ["MP_verify_", "WW_verify_"];

/// Limits of name and content; WeChat's have 16 characters.
const MAX_NAME: usize = 64;
const MAX_CONTENT: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_file_names_that_wechat_issues_are_valid() {
        for name in ["MP_verify_AbCdEfGh12345678.txt", "WW_verify_0.txt"] {
            assert_eq!(
                VerifyFile::new(name, "AbCdEfGh12345678").unwrap().name(),
                name
            );
        }
        for name in [
            "",
            "index.html",
            "MP_verify_.txt",
            "mp_verify_a.txt",
            "MP_VERIFY_a.txt",
            "MP_verify_a.TXT",
            "MP_verify_a.txt.html",
            "a/MP_verify_a.txt",
            "MP_verify_a/b.txt",
            "MP_verify_../../etc/passwd.txt",
            "MP_verify_a%2e.txt",
            "MP_verify_张.txt",
            " MP_verify_a.txt",
        ] {
            assert_eq!(
                VerifyFile::new(name, "x"),
                Err(VerifyFileError::Name),
                "{name}"
            );
        }
        assert!(VerifyFile::new(&format!("MP_verify_{}.txt", "a".repeat(65)), "x").is_err());
    }

    #[test]
    fn file_content_must_be_a_single_word() {
        for content in [
            "",
            "a b",
            "a\n",
            "/run/secrets/verify",
            "<script>",
            "张",
            &"a".repeat(129),
        ] {
            assert_eq!(
                VerifyFile::new("MP_verify_a.txt", content),
                Err(VerifyFileError::Content),
                "{content:?}"
            );
        }
    }
}
