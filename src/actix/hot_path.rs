//! The hot path: `GET …/config?url=…`, as almost every page asks it, answered without a parser, a router or a second allocation.
//!
//! Answers only what is plainly right, and the same bytes as the ordinary way ([`super::public`]). Everything else, every error
//! first of all, is left to that one: it says what is wrong.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use crate::broker::{Broker, Plane, RouteTally};
use crate::sign::Tail;

/// One worker's desk: the broker, the counters of the route, and a buffer.
pub(super) struct HotPath {
    pub(super) broker: Broker,
    pub(super) tally: Arc<RouteTally>,
    tail: RefCell<Tail>,
}

impl HotPath {
    /// `route`: its pattern, for the counters.
    pub(super) fn new(broker: Broker, route: &str) -> Self {
        let tally = broker.tally().route(Plane::Public, route);
        Self {
            broker,
            tally,
            tail: RefCell::default(),
        }
    }

    /// The JSON for `wx.config`, counted, the account as the query names it, and what it took; `None` where the ordinary way has to
    /// be taken.
    pub(super) fn answer<'q>(&self, query: &'q str) -> Option<(Vec<u8>, &'q str, Duration)> {
        let mut tail = self.tail.borrow_mut();
        let account = read(query.as_bytes(), tail.start())?;
        let account = std::str::from_utf8(account).ok()?;
        let begun = self.broker.clock().moment();
        let json = self.broker.sign_plainly(account, &mut tail, &begun)?;
        let took = self.broker.clock().uptime().saturating_sub(begun.uptime);
        self.tally.record(200, took);
        Some((json, account, took))
    }
}

/// Writes the page's address, decoded and without fragment, and gives the account; `None` where anything is unusual.
fn read<'a>(query: &'a [u8], address: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (mut rest, mut has_url, mut account) = (query, false, None);
    loop {
        if let Some(value) = rest.strip_prefix(b"url=").filter(|_| !has_url) {
            rest = decode(value, address)?;
            has_url = true;
        } else if let Some(value) = rest.strip_prefix(b"account=").filter(|_| account.is_none()) {
            let name = value.split(|byte| *byte == b'&').next()?;
            rest = &value[name.len()..];
            account = Some(name);
        } else if rest.starts_with(b"_=") {
            // `_=1700000000`, against caches.
            rest = after(rest);
        } else {
            return None;
        }
        match rest {
            [b'&', more @ ..] => rest = more,
            _ => break,
        }
    }
    let account = account.unwrap_or_default();
    let is_name = account
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    (has_url && is_name).then_some(account)
}

/// From the next `&` on.
fn after(pair: &[u8]) -> &[u8] {
    &pair[pair
        .iter()
        .position(|byte| *byte == b'&')
        .unwrap_or(pair.len())..]
}

/// Percent-decoding up to the first `#`, where it is certain: `None` for a raw `:` (an address that was not encoded), a `+`, a `%`
/// without its two digits, and for all that is no visible ASCII. Gives what follows the value.
fn decode<'a>(value: &'a [u8], address: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut rest = value;
    loop {
        // Most of an address stands there as it is, in runs between the escapes.
        let run = rest
            .iter()
            .position(|byte| !IS_PLAIN[usize::from(*byte)])
            .unwrap_or(rest.len());
        address.extend_from_slice(&rest[..run]);
        rest = &rest[run..];
        match rest {
            [] | [b'&', ..] => return Some(rest),
            [b'%', high, low, more @ ..] => {
                match HEX[usize::from(*high)]? << 4 | HEX[usize::from(*low)]? {
                    b'#' => return Some(after(more)),
                    byte @ b'!'..=b'~' => address.push(byte),
                    _ => return None,
                }
                rest = more;
            }
            _ => return None,
        }
    }
}

/// What may stand in an encoded address as it is: visible ASCII that means nothing else there.
const IS_PLAIN: [bool; 256] = {
    let (mut plain, mut byte) = ([false; 256], b'!');
    while byte <= b'~' {
        plain[byte as usize] = !matches!(byte, b'%' | b'&' | b':' | b'+' | b'#');
        byte += 1;
    }
    plain
};

/// What each byte is worth as a hexadecimal digit.
const HEX: [Option<u8>; 256] = {
    let mut worth = [None; 256];
    let mut digit = 0;
    while digit < 16 {
        worth[b"0123456789abcdef"[digit] as usize] = Some(digit as u8);
        worth[b"0123456789ABCDEF"[digit] as usize] = Some(digit as u8);
        digit += 1;
    }
    worth
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::query::ConfigQuery;
    use super::*;

    /// What the hot path reads, if it takes this query: then the ordinary way has to read the same.
    fn quick(raw: &str) -> Option<(String, String)> {
        let mut tail = Tail::default();
        let account = read(raw.as_bytes(), tail.start())?;
        tail.page()?;
        let read = (
            String::from_utf8(tail.url().to_vec()).unwrap(),
            String::from_utf8(account.to_vec()).unwrap(),
        );
        let query = ConfigQuery::parse(raw).unwrap_or_else(|problem| panic!("{raw}: {problem}"));
        assert_eq!(
            read,
            (query.url.as_str().to_owned(), query.account),
            "{raw}"
        );
        assert!(
            query.js_api_list.is_none() && query.open_tag_list.is_none() && !query.debug,
            "{raw}"
        );
        let page = tail.page().unwrap();
        assert_eq!(
            (page.host, page.path),
            (query.url.host(), query.url.path()),
            "{raw}"
        );
        Some(read)
    }

    #[test]
    fn ordinary_queries_take_the_hot_path() {
        for (raw, url, account) in [
            (
                "url=https%3A%2F%2Fh.cn%2Fp%3Fa%3D%25E4%25B8%25AD%26b%3D1%252B1%23x",
                "https://h.cn/p?a=%E4%B8%AD&b=1%2B1",
                "",
            ),
            (
                "account=main&url=http%3a%2f%2fm.h.cn",
                "http://m.h.cn",
                "main",
            ),
            (
                "url=https%3A%2F%2Fh.cn%2F&account=a_1-b&_=1700000000",
                "https://h.cn/",
                "a_1-b",
            ),
            (
                "url=https%3A%2F%2Fh.cn%2F%3Fq=%22%5C%22!'()*~",
                "https://h.cn/?q=\"\\\"!'()*~",
                "",
            ),
            ("url=https%3A%2F%2Fh.cn%2F%23%E4%FF", "https://h.cn/", ""),
        ] {
            assert_eq!(quick(raw), Some((url.to_owned(), account.to_owned())));
        }
    }

    #[test]
    fn whatever_is_unusual_takes_the_ordinary_way() {
        for raw in [
            "",
            "url",
            "url=",
            "account=main",
            "url=https://h.cn/",
            "url=https%3A%2F%2Fh.cn%2F&",
            "url=https%3A%2F%2Fh.cn%2F&from=singlemessage",
            "url=https%3A%2F%2Fh.cn%2F&url=https%3A%2F%2Fh.cn%2F",
            "url=https%3A%2F%2Fh.cn%2F&account=a&account=a",
            "url=https%3A%2F%2Fh.cn%2F&account=%61",
            "url=https%3A%2F%2Fh.cn%2F&debug=1",
            "url=https%3A%2F%2Fh.cn%2F&jsApiList=",
            "url=https%3A%2F%2Fh.cn%2F%",
            "url=https%3A%2F%2Fh.cn%2F%4",
            "url=https%3A%2F%2Fh.cn%2F%4G",
            "url=https%3A%2F%2Fh.cn%2Fa+b",
            "url=https%3A%2F%2Fh.cn%2F%E4%B8%AD",
            "url=https%253A%252F%252Fh.cn%252F",
            "u%72l=https%3A%2F%2Fh.cn%2F",
        ] {
            assert_eq!(quick(raw), None, "{raw}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn both_ways_read_the_same(
            account in "(account=[a-z%+_-]{0,4}&)?", scheme in "(https%3A%2F%2F|http%3a//|https://)",
            host in "[a-zA-Z.0-9-]{1,8}", rest in "(%[0-9A-Fa-f]{2}|%25|[ -~]|[!-~&&[^%&=+#]]{4}){0,6}", more in "(&[_a-z]{0,3}=?[0-9]{0,2})?",
        ) {
            quick(&format!("{account}url={scheme}{host}{rest}{more}"));
            quick(&format!("url={scheme}{host}.cn%2F{rest}"));
        }
    }
}
