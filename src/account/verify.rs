//! Proof of a domain: the file that WeChat's console hands out and wants to find on the domain before it binds it.

use std::sync::Arc;

/// One such file. Its name is exact, its content what WeChat gave, without a line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyFile {
    name: Arc<str>,
    content: Arc<str>,
}

/// What is wrong with a name or content: nothing but such a file may be served by its way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyFileError {
    /// Another name than WeChat gives.
    #[error(
        "the name must be MP_verify_….txt (or WW_verify_….txt) as WeChat's console gives it: letters and digits in the place of …, no path"
    )]
    Name,
    /// Something else than one word.
    #[error(
        "the content must be the 1 to 128 characters that are in WeChat's file: no blank, no line break, no path to a file"
    )]
    Content,
}

impl VerifyFile {
    /// Checks both: whoever could have an arbitrary file served would own the domain.
    ///
    /// # Errors
    /// [`VerifyFileError`] says which is wrong.
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
        let is_word = content
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !is_word || !(1..=MAX_CONTENT).contains(&content.len()) {
            return Err(VerifyFileError::Content);
        }
        Ok(Self {
            name: name.into(),
            content: content.into(),
        })
    }

    /// `MP_verify_….txt`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands in it.
    #[must_use]
    pub fn content(&self) -> &Arc<str> {
        &self.content
    }
}

/// An official account's and a WeCom app's.
const PREFIXES: [&str; 2] = ["MP_verify_", "WW_verify_"];

/// WeChat's have 16.
const MAX_NAME: usize = 64;
const MAX_CONTENT: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wechats_names_are_names() {
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
    fn only_one_word_is_content() {
        for content in [
            "",
            "a b",
            "a\n",
            "/run/secrets/proof",
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
