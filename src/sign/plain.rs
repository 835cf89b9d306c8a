//! Addresses that need no parser: whose host and path a full parse would give back as they stand.
//!
//! Whatever is not plainly so (upper case, punycode, a host that ends like a number, dot segments, a character that a parser would
//! escape) is left to it. Knows no error: what is wrong is not plain either. The tests compare both over random addresses.

use std::ops::Range;

use super::MAX_PAGE_URL;

/// Where host and path stand in an address without fragment; an empty path means `/`.
pub(super) fn place(bytes: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    if bytes.len() > MAX_PAGE_URL {
        return None;
    }
    let start = if bytes.starts_with(b"https://") {
        8
    } else if bytes.starts_with(b"http://") {
        7
    } else {
        return None;
    };
    let host = start..start + host_length(&bytes[start..])?;
    let path_at = host.end + port_length(&bytes[host.end..])?;
    let path = path_at..path_at + path_length(&bytes[path_at..])?;
    // Without an early end, so that many are looked at at once.
    let is_visible = bytes[path.end..]
        .iter()
        .fold(true, |all, byte| all & byte.is_ascii_graphic());
    is_visible.then_some((host, path))
}

/// Of a name in lower case whose labels are separated by one dot or hyphen, and whose last one starts with a letter. So `xn--` is
/// none: that is checked by whoever knows punycode.
fn host_length(bytes: &[u8]) -> Option<usize> {
    let (mut label, mut is_sound) = (0, false);
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

/// Of `:8080`, colon included; 0 where there is none.
fn port_length(bytes: &[u8]) -> Option<usize> {
    if bytes.first() != Some(&b':') {
        return Some(0);
    }
    let digits = bytes[1..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    // Five digits may be too many for a port.
    let ends = matches!(bytes.get(1 + digits), None | Some(b'/' | b'?'));
    ((1..=4).contains(&digits) && ends).then_some(1 + digits)
}

/// Up to the `?`, where nothing would be escaped or resolved.
fn path_length(bytes: &[u8]) -> Option<usize> {
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'?' => return Some(at),
            // A segment that starts with a dot, written as `.` or as `%2e`, may be one that is resolved.
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

/// What a parser leaves as it is in a path.
const IS_PATH: [bool; 256] = {
    let (mut is_path, mut byte) = ([false; 256], b'!');
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

/// The longest name that DNS has.
const MAX_HOST: usize = 253;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::PageUrl;
    use super::*;

    #[track_caller]
    fn agree(text: &str) -> bool {
        let Some((host, path)) = place(text.as_bytes()) else {
            return false;
        };
        let whole = PageUrl::parse_wholly(text)
            .unwrap_or_else(|error| panic!("{text} is taken for plain: {error}"));
        let path = if path.is_empty() { "/" } else { &text[path] };
        assert_eq!((&text[host], path), (whole.host(), whole.path()), "{text}");
        true
    }

    #[test]
    fn what_pages_have_is_plain() {
        for text in [
            "https://example.com",
            "https://www.example.com/goods/detail?id=20260101&from=singlemessage&isappinstalled=0",
            "http://m.example.com:8080/a/b.html?x=%E5%BC%A0",
            "https://localhost:3000?a=1",
            "https://a-b.example-shop.com.cn/%E5%BC%A0/p;v=1,2?q={x}|\\",
            "https://example.com/a..b/c./d?e/../f",
            "https://1.a/",
        ] {
            assert!(agree(text), "{text}");
        }
    }

    #[test]
    fn what_a_parser_would_change_or_refuse_is_not() {
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
        ] {
            assert_eq!(place(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn both_ways_agree_on_addresses_of_all_kinds(
            host in "([a-zX0-9._-]|xn--|0x|%41){1,12}",
            port in "(:[0-9a]{0,6})?",
            path in "(/(\\.|%2[eE5]|[a-zA-Z0-9%!$&'()*+,;=:@_~\"<>{}|^`\\\\ \u{e9}-]){0,5}){0,4}",
            query in "(\\?[ -~]{0,12})?",
        ) {
            agree(&format!("https://{host}{port}{path}{query}"));
        }

        #[test]
        fn both_ways_agree_on_ordinary_addresses_and_none_of_them_takes_the_long_one(
            host in "([a-z][a-wyz0-9]{0,5}(-[a-z0-9]{1,3})?\\.){0,3}[a-z]{2,5}",
            port in "(:[1-9][0-9]{0,3})?",
            path in "(/[a-zA-Z0-9_~]([a-zA-Z0-9_.~-]|%[A-F][0-9A-F]){0,6}){0,4}/?",
            query in "(\\?[!-~]{0,30})?",
        ) {
            let text = format!("http://{host}{port}{path}{query}");
            prop_assert!(agree(&text), "{text}");
        }

        #[test]
        fn both_ways_agree_on_anything(text in "\\PC{0,40}") {
            agree(&text);
            agree(&format!("https://{text}"));
        }
    }
}
