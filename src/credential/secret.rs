//! A secret value, which is never printed.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// A secret value: an AppSecret, an access token or a ticket.
///
/// `Debug` and `Display` print `[secret]`; the memory is wiped when the last handle is dropped. There is no
/// `Serialize`: code that hands out the value must call [`Secret::expose`].
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(value.into())))
    }

    /// Returns the value itself. Review each call when checking where secrets go.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the value is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks whether this can be a token or a ticket. Applies to values from WeChat and from a store.
    ///
    /// # Errors
    /// Describes the problem without the value.
    pub fn check(&self) -> Result<(), String> {
        match self.expose() {
            "" => Err("is empty".into()),
            value if value.len() > MAX_VALUE => Err(format!("has {} bytes", value.len())),
            value if !value.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err("contains blanks or other characters that WeChat never uses".into())
            }
            _ => Ok(()),
        }
    }
}

/// Compares every byte regardless of the first difference, so that the time taken reveals only the length.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.expose().as_bytes(), other.expose().as_bytes());
        a.len() == b.len()
            && a.iter()
                .zip(b)
                .fold(0, |differing, (x, y)| differing | (x ^ y))
                == 0
    }
}

impl Eq for Secret {}

impl<S: Into<String>> From<S> for Secret {
    fn from(value: S) -> Self {
        Self::new(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// WeChat says "store at least 512 characters for the token"
/// (<https://developers.weixin.qq.com/doc/oplatform/developers/dev/AccessToken.html>); observed tokens have
/// up to 214.
const MAX_VALUE: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_compare_by_value() {
        assert_eq!(Secret::new("abc"), Secret::from("abc"));
        assert_ne!(Secret::new("abc"), Secret::new("abd"));
        assert_ne!(Secret::new("abc"), Secret::new("abcd"));
        assert!(Secret::new("").is_empty());
    }
}
