//! The address of a page: what of it is signed, and where it is.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::plain;
use crate::error::{MAX_PAGE_URL, PageError};

/// The address of a page: the bytes before the first `#`, as they came, and beside them the host that they name.
///
/// ```
/// use wx_jssdk::sign::PageUrl;
/// let page = PageUrl::parse("https://www.example.com/p?name=%E5%BC%A0&b=2#/route")?;
/// assert_eq!(page.as_str(), "https://www.example.com/p?name=%E5%BC%A0&b=2");
/// assert_eq!(page.host(), "www.example.com");
/// # Ok::<(), wx_jssdk::sign::PageError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageUrl {
    text: String,
    place: Place,
}

/// Where a page is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// As the address has it, character by character: almost every one.
    Within {
        host: Range<usize>,
        path: Range<usize>,
    },
    /// As the parser writes it: lower case, punycode, without dot segments.
    Normal { host: String, path: String },
}

impl PageUrl {
    /// Reads a `location.href`. The parsed form serves only to learn the host: what is signed is the text itself.
    ///
    /// # Errors
    /// [`PageError`] for what no browser has as its address: then the page sent something else than its `location.href`, and a
    /// signature over it would be refused by the phone.
    pub fn parse(href: &str) -> Result<Self, PageError> {
        let text = before_fragment(href);
        if let Some((host, path)) = plain::place(text.as_bytes()) {
            return Ok(Self {
                text: text.to_owned(),
                place: Place::Within { host, path },
            });
        }
        Self::parse_wholly(text)
    }

    /// Every address, plain or not. `text` has no fragment.
    pub(super) fn parse_wholly(text: &str) -> Result<Self, PageError> {
        if text.is_empty() {
            return Err(PageError::Empty);
        }
        if text.len() > MAX_PAGE_URL {
            return Err(PageError::TooLong);
        }
        if has_prefix(text, "http%3a") || has_prefix(text, "https%3a") {
            return Err(PageError::DoubleEncoded);
        }
        if text.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(PageError::Blank);
        }
        if !text.is_ascii() {
            return Err(PageError::NotAscii);
        }
        let rest = ["https://", "http://"]
            .iter()
            .find(|scheme| has_prefix(text, scheme))
            .map(|scheme| &text[scheme.len()..]);
        let rest = rest.ok_or(PageError::NotHttp)?;
        let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
        if authority.is_empty() {
            return Err(PageError::NoHost);
        }
        if authority.contains(['@', '\\']) {
            return Err(PageError::UserInfo);
        }
        let parsed = url::Url::parse(text).map_err(|_| PageError::NoHost)?;
        let host = parsed.host_str().ok_or(PageError::NoHost)?.to_owned();
        Ok(Self {
            text: text.to_owned(),
            place: Place::Normal {
                host,
                path: parsed.path().to_owned(),
            },
        })
    }

    /// The signed text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host: lower case, in punycode, an IPv6 address in brackets, without port.
    #[must_use]
    pub fn host(&self) -> &str {
        match &self.place {
            Place::Within { host, .. } => &self.text[host.clone()],
            Place::Normal { host, .. } => host,
        }
    }

    /// The path, at least `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        match &self.place {
            // `https://example.com?a=1` has none to point at.
            Place::Within { path, .. } if path.is_empty() => "/",
            Place::Within { path, .. } => &self.text[path.clone()],
            Place::Normal { path, .. } => path,
        }
    }
}

impl FromStr for PageUrl {
    type Err = PageError;

    fn from_str(href: &str) -> Result<Self, PageError> {
        Self::parse(href)
    }
}

impl fmt::Display for PageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The part of an address that WeChat signs: everything before the first `#`. An escaped `%23` stays.
#[must_use]
pub fn before_fragment(href: &str) -> &str {
    href.split_once('#').map_or(href, |(before, _)| before)
}

fn has_prefix(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}
