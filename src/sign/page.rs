//! Page URLs: the text that is signed, its host and path, and whether a browser would write it like that.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::LazyLock;

use memchr::memchr;
use memchr::memmem::Finder;

use super::Warning;
use crate::error::{MAX_PAGE_URL, PageError};

/// A page's URL: the unchanged bytes before the first `#`, and the host and path that they name.
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

/// The host and path of a page URL.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Ranges of the text, which `url::Url` would not normalise. The case of almost every URL.
    Within {
        host: Range<usize>,
        path: Range<usize>,
    },
    /// Separate texts as `url::Url` writes them: lower case, punycode, without dot segments.
    Normalised {
        host: String,
        path: String,
        /// What `location.href` would be instead, if different.
        href: Option<String>,
    },
}

impl PageUrl {
    /// Parses a `location.href`. The text itself is signed; host and path only decide whether it may be
    /// signed.
    ///
    /// # Errors
    /// [`PageError`] for a text that cannot be a browser's URL.
    pub fn parse(href: &str) -> Result<Self, PageError> {
        Self::from_text(before_fragment(href).to_owned())
    }

    /// Parses a URL without a fragment.
    pub(crate) fn from_text(text: String) -> Result<Self, PageError> {
        let place = match canonical_place(text.as_bytes()) {
            Some((host, path)) => Place::Within { host, path },
            None => normalised_place(&text)?,
        };
        Ok(Self { text, place })
    }

    /// Returns a warning if no browser has this URL as its `location.href`: it is signed unchanged, but the
    /// phone would report `invalid signature`.
    pub fn warning(&self) -> Option<Warning> {
        let Place::Normalised { href, .. } = &self.place else {
            return None;
        };
        if let Some(href) = href {
            return Some(Warning::not_canonical(href));
        }
        self.text.contains("&amp;").then(Warning::html_escaped)
    }

    /// Returns the signed text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the other pages for which a signature of this page holds; `None` for one that cannot be read. The
    /// signed text escapes nothing, so for another nonce and timestamp it is the text of the URL after a
    /// `&timestamp=` and an `&url=` of this one.
    pub(crate) fn also_signed(&self) -> impl Iterator<Item = Option<Self>> {
        static TIMESTAMP: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("&timestamp="));
        let behind = TIMESTAMP.find(self.text.as_bytes());
        let urls = behind.into_iter().flat_map(move |at| {
            let marks = self.text[at..].match_indices("&url=");
            marks.map(move |(mark, name)| &self.text[at + mark + name.len()..])
        });
        // A page has an absolute address.
        let pages = urls.filter(|url| after_scheme(url).is_some());
        // Each is read to its end: hundreds of them would take milliseconds.
        let pages = pages.enumerate();
        pages.map(|(n, url)| (n < MOST_OTHERS).then(|| Self::parse(url).ok())?)
    }

    /// Returns the host: lower case, punycode, an IPv6 address in brackets, without port.
    pub fn host(&self) -> &str {
        match &self.place {
            Place::Within { host, .. } => &self.text[host.clone()],
            Place::Normalised { host, .. } => host,
        }
    }

    /// Returns the path, at least `/`.
    pub fn path(&self) -> &str {
        match &self.place {
            Place::Within { path, .. } => &self.text[path.clone()],
            Place::Normalised { path, .. } => path,
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

/// Returns the part of a URL that WeChat signs: everything before the first `#`. An escaped `%23` is kept.
pub fn before_fragment(href: &str) -> &str {
    memchr(b'#', href.as_bytes()).map_or(href, |at| &href[..at])
}

fn has_prefix(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

fn after_scheme(text: &str) -> Option<&str> {
    let mut schemes = ["https://", "http://"].into_iter();
    let scheme = schemes.find(|scheme| has_prefix(text, scheme))?;
    Some(&text[scheme.len()..])
}

/// Finds the host and path of any URL by a full parse.
fn normalised_place(text: &str) -> Result<Place, PageError> {
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
    let rest = after_scheme(text).ok_or(PageError::NotHttp)?;
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    if authority.is_empty() {
        return Err(PageError::NoHost);
    }
    if authority.contains(['@', '\\']) {
        return Err(PageError::UserInfo);
    }
    // A parser takes milliseconds for thousands of labels in punycode.
    if authority.len() > MAX_AUTHORITY {
        return Err(PageError::NoHost);
    }
    let parsed = url::Url::parse(text).map_err(|_| PageError::NoHost)?;
    Ok(Place::Normalised {
        host: parsed.host_str().ok_or(PageError::NoHost)?.to_owned(),
        path: parsed.path().to_owned(),
        href: (parsed.as_str() != text).then(|| parsed.as_str().to_owned()),
    })
}

/// Fast path for URLs that `url::Url` would not normalise: returns the ranges of host and path. Returns
/// `None` for every URL that needs a full parse, valid or not: upper case, punycode, a host that ends like a
/// number, dot segments, no path, an unusual port, an escaped ampersand.
fn canonical_place(bytes: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    if bytes.len() > MAX_PAGE_URL {
        return None;
    }
    let (start, default_port): (usize, &[u8]) = if bytes.starts_with(b"https://") {
        (8, b":443")
    } else if bytes.starts_with(b"http://") {
        (7, b":80")
    } else {
        return None;
    };
    let host = start..start + host_length(&bytes[start..])?;
    let path_at = host.end + port_length(&bytes[host.end..])?;
    if bytes.get(path_at) != Some(&b'/') || &bytes[host.end..path_at] == default_port {
        return None;
    }
    let path = path_at..path_at + path_length(&bytes[path_at..])?;
    // No early exit, so that the compiler can vectorise the check.
    let is_kept = bytes[path.end..]
        .iter()
        .fold(true, |all, byte| all & IS_QUERY[usize::from(*byte)]);
    is_kept.then_some((host, path))
}

/// Returns the length of a lower-case host name whose labels are separated by single dots or hyphens and
/// whose last label starts with a letter. Punycode (`xn--`) has two hyphens and needs the full parse.
fn host_length(bytes: &[u8]) -> Option<usize> {
    let mut label = 0;
    let mut is_sound = false;
    let mut length = bytes.len();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => is_sound = true,
            b'-' if is_sound => is_sound = false,
            b'.' if is_sound => (label, is_sound) = (at + 1, false),
            b':' | b'/' | b'?' => {
                length = at;
                break;
            }
            _ => return None,
        }
    }
    (is_sound && bytes[label].is_ascii_lowercase() && length <= MAX_HOST).then_some(length)
}

/// Returns the length of `:8080` including the colon; 0 without a port.
fn port_length(bytes: &[u8]) -> Option<usize> {
    if bytes.first() != Some(&b':') {
        return Some(0);
    }
    let digits = bytes[1..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    // Five digits may exceed the largest port, and a parser drops a leading zero.
    let ends = matches!(bytes.get(1 + digits), None | Some(b'/' | b'?'));
    ((1..=4).contains(&digits) && bytes[1] != b'0' && ends).then_some(1 + digits)
}

/// Returns the length of a path in which a parser would escape and resolve nothing.
fn path_length(bytes: &[u8]) -> Option<usize> {
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'?' => return Some(at),
            // A segment that starts with `.` or `%2e` may be a dot segment.
            b'/' if matches!(bytes.get(at + 1), Some(b'.'))
                || bytes[at + 1..].starts_with(b"%2") =>
            {
                return None;
            }
            byte if IS_PATH[usize::from(*byte)] => {}
            _ => return None,
        }
    }
    Some(bytes.len())
}

/// The bytes that a parser keeps in a path.
const IS_PATH: [bool; 256] = {
    let mut is_path = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        is_path[byte as usize] = !matches!(
            byte,
            b'"' | b'#'
                | b'<'
                | b'>'
                | b'?'
                | b'['
                | b'\\'
                | b']'
                | b'^'
                | b'`'
                | b'{'
                | b'|'
                | b'}'
        );
        byte += 1;
    }
    is_path
};

/// The bytes that a parser keeps in a query, except `;`: it may end an `&amp;`, which causes a warning.
const IS_QUERY: [bool; 256] = {
    let mut is_query = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        is_query[byte as usize] = !matches!(byte, b'"' | b'#' | b'\'' | b'<' | b'>' | b';');
        byte += 1;
    }
    is_query
};

/// Maximum number of other pages whose string a URL may contain.
const MOST_OTHERS: usize = 4;

/// Maximum length of a DNS name.
const MAX_HOST: usize = 253;

/// Maximum length of a DNS name with a dot at its end, and a port: `:65535`.
const MAX_AUTHORITY: usize = MAX_HOST + 1 + 6;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns whether the fast path accepts this URL, and asserts that a full parse then gives the same
    /// result.
    #[track_caller]
    fn agree(text: &str) -> bool {
        let Some((host, path)) = canonical_place(text.as_bytes()) else {
            return false;
        };
        let whole = normalised_place(text)
            .unwrap_or_else(|error| panic!("{text} is taken for canonical: {error}"));
        let fast = Place::Normalised {
            host: text[host].to_owned(),
            path: text[path].to_owned(),
            href: None,
        };
        assert_eq!(fast, whole, "{text}");
        true
    }

    #[test]
    fn addresses_of_ordinary_pages_take_the_fast_path() {
        for text in [
            "https://example.com/",
            "https://www.example.com/goods/detail?id=20260101&from=singlemessage&isappinstalled=0",
            "http://m.example.com:8080/a/b.html?x=%E5%BC%A0",
            "https://localhost:3000/?a=1",
            "https://a-b.example-shop.com.cn/%E5%BC%A0/p;v=1,2?q={x}|\\",
            "https://example.com/a..b/c./d?e/../f",
            "https://1.a/",
        ] {
            assert!(agree(text), "{text}");
        }
    }

    #[test]
    fn addresses_that_a_parser_changes_or_refuses_take_the_full_parse() {
        for text in [
            "",
            "https://",
            "https:///a",
            "ftp://example.com/",
            "HTTPS://example.com/",
            "https://Example.com/",
            "https://例え.jp/",
            "https://xn--r8jz45g.jp/",
            "https://a.xn--r8jz45g/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://a.0x7f/",
            "https://[::1]/",
            "https://a..b/",
            "https://a--b.c/",
            "https://.a/",
            "https://a./",
            "https://-a.b/",
            "https://a-.b/",
            "https://a-/",
            "https://a_b.c/",
            "https://u@h/",
            "https://h:99999/",
            "https://h:/",
            "https://h:80a/",
            "https://h/a/../b",
            "https://h/./b",
            "https://h/%2e%2E/b",
            "https://h/a b",
            "https://h/a\\b",
            "https://h/a\"b",
            "https://h/{x}",
            "https://h/?a b",
            "https://h/?张",
            "https://h",
            "https://h?a=1",
            "https://h:443/",
            "http://h:80/",
            "http://h:0080/",
            "https://h/?q='x'",
            "https://h/?a=1&amp;b=2",
        ] {
            assert_eq!(canonical_place(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn the_fast_path_agrees_with_the_full_parse(
            host in "([a-zX0-9._-]|xn--|0x|%41){1,12}",
            port in "(:[0-9a]{0,6})?",
            path in "(/(\\.|%2[eE5]|[a-zA-Z0-9%!$&'()*+,;=:@_~\"<>{}|^`\\\\ \u{e9}-]){0,5}){0,4}",
            query in "(\\?[ -~]{0,12})?",
        ) {
            agree(&format!("https://{host}{port}{path}{query}"));
        }

        #[test]
        fn ordinary_addresses_always_take_the_fast_path(
            host in "([a-z][a-wyz0-9]{0,5}(-[a-z0-9]{1,3})?\\.){0,3}[a-z]{2,5}",
            port in "(:[1-9][0-9]{3})?",
            path in "(/[a-zA-Z0-9_~]([a-zA-Z0-9_.~-]|%[A-F][0-9A-F]){0,6}){0,4}/",
            query in "(\\?[!$-&(-:=?-~]{0,30})?",
        ) {
            let text = format!("http://{host}{port}{path}{query}");
            prop_assert!(agree(&text), "{text}");
        }
    }
}
