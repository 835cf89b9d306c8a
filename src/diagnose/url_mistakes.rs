//! Reproduces each known mistake that changes a page's URL between the page and the hash.

mod address;
mod encoding;
mod query;

use std::collections::HashSet;

use self::address::{host, path};
pub(super) use self::encoding::CHARSETS;
use self::encoding::{blanks, charset, escaping, rebuilt};
use self::query::query;
use super::causes::{self as c, Cause};
use super::verdicts as v;
use super::{Case, library_escaping};
use crate::sign::before_fragment;

/// The URL that results from a mistake.
pub(super) type Variant = (&'static Cause, String);

/// Returns every single mistake on `url`, most likely first, each text once, and how many bytes were built. That
/// exceeds the result, since most mistakes give the same text on most URLs.
pub(super) fn mistaken(url: &str, case: &Case) -> (Vec<Variant>, usize) {
    let mut found = Vec::new();
    let mut known = HashSet::new();
    let mut built = 0;
    let mut add = |cause: &'static Cause, text: String| {
        built += text.len();
        if text != url && known.insert(text.clone()) {
            found.push((cause, text));
        }
    };
    for step in [
        fragments, elsewhere, edges, blanks, query, path, host, escaping, rebuilt, charset, missing,
    ] {
        step(url, case, &mut add);
    }
    (found, built)
}

type Add<'a> = dyn FnMut(&'static Cause, String) + 'a;

fn fragments(url: &str, case: &Case, add: &mut Add<'_>) {
    let others = [&case.landing, &case.checked_url, &case.answered_url];
    let hrefs = std::iter::once(&case.url).chain(others.into_iter().flatten());
    for (_, fragment) in hrefs.filter_map(|href| href.split_once('#')) {
        add(&c::FRAGMENT_KEPT, format!("{url}#{fragment}"));
        add(&c::FRAGMENT_KEPT, format!("{url}%23{fragment}"));
    }
    add(&c::FRAGMENT_KEPT, format!("{url}#"));
    add(&c::FRAGMENT_KEPT, format!("{url}#/"));
}

/// The URL of another page, or no page URL at all.
fn elsewhere(url: &str, case: &Case, add: &mut Add<'_>) {
    if let Some(landing) = &case.landing {
        add(&c::LANDING, before_fragment(landing).to_owned());
    }
    if is_other_route(&case.url, case.checked()) {
        add(&v::CURRENT_URL, before_fragment(&case.url).to_owned());
    }
    for host in case.hosts.iter().filter(|host| host.contains("://")) {
        add(&c::API_URL, host.clone());
        let bare = before_fragment(host).split('?').next().unwrap_or_default();
        let swapped = match bare.split_once("://") {
            Some(("https", rest)) => format!("http://{rest}"),
            Some((_, rest)) => format!("https://{rest}"),
            None => continue,
        };
        for endpoint in [bare, &swapped] {
            add(&c::API_URL, endpoint.to_owned());
            for encode in [library_escaping::component, library_escaping::form] {
                add(&c::API_URL, format!("{endpoint}?url={}", encode(url)));
                add(&c::API_URL, format!("{endpoint}?url={}", encode(&case.url)));
            }
        }
    }
}

fn edges(url: &str, _: &Case, add: &mut Add<'_>) {
    for edge in ["\n", "\r\n", "\r", " ", "\t", "\u{a0}"] {
        add(&c::NEWLINE, format!("{url}{edge}"));
        add(&c::NEWLINE, format!("{edge}{url}"));
    }
    add(&c::EMPTY_TAIL, format!("{url}?"));
    add(&c::EMPTY_TAIL, format!("{url}&"));
    add(&c::EMPTY_TAIL, url.trim_end_matches(['?', '&']).to_owned());
}

fn missing(_: &str, case: &Case, add: &mut Add<'_>) {
    for nothing in NOTHING {
        add(&c::URL_MISSING, (*nothing).to_owned());
    }
    if let Some(other) = &case.answered_url {
        // The client checked one route of this site, and the backend signed another.
        let is_route = case.checked_url.is_some() && is_other_route(other, case.checked());
        let cause = if is_route {
            &v::CURRENT_URL
        } else {
            &c::OTHER_URL
        };
        add(cause, other.clone());
        add(cause, before_fragment(other).to_owned());
    }
}

/// Returns whether both URLs are pages of one site, on different paths.
pub(super) fn is_other_route(one: &str, other: &str) -> bool {
    let route = |url| {
        let parts = Parts::of(before_fragment(url))?;
        let path = parts.rest.split('?').next().unwrap_or_default();
        let site = (parts.scheme, parts.host, parts.port);
        Some((site, path.trim_end_matches('/').to_owned()))
    };
    let routes = route(one).zip(route(other));
    routes.is_some_and(|((site, path), (other_site, other_path))| {
        site == other_site && path != other_path
    })
}

/// A URL split without changing a byte.
struct Parts<'a> {
    scheme: &'a str,
    host: &'a str,
    /// Includes the colon; empty if there is no port.
    port: &'a str,
    rest: &'a str,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, after) = url.split_once("://")?;
        let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
        let port = authority.rfind(':').filter(|at| {
            authority[at + 1..]
                .bytes()
                .all(|byte| byte.is_ascii_digit())
        });
        let (host, port) = authority.split_at(port.unwrap_or(authority.len()));
        Some(Self {
            scheme,
            host,
            port,
            rest,
        })
    }
}

/// Splits a URL into its origin, and path with query.
fn origin_and_rest(url: &str) -> Option<(String, &str)> {
    let parts = Parts::of(url)?;
    let origin = format!("{}://{}{}", parts.scheme, parts.host, parts.port);
    Some((origin, parts.rest))
}

/// How languages print a missing value.
pub(super) const NOTHING: &[&str] = &[
    "",
    "undefined",
    "null",
    "None",
    "nil",
    "[object Object]",
    "NaN",
    "false",
];
