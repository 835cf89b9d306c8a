//! Changes of the query: parameters dropped, cut off, added by WeChat or put in another order.

use super::Add;
use crate::diagnose::causes as c;
use crate::diagnose::{Case, value_mistakes};

pub(super) fn query(url: &str, _: &Case, add: &mut Add<'_>) {
    let Some((path, query)) = url.split_once('?') else {
        for null in NULLS {
            add(&c::NULL_QUERY, format!("{url}?{null}"));
        }
        return;
    };
    let parts: Vec<&str> = query.split('&').collect();
    let kept =
        |keep: &dyn Fn(&str) -> bool| joined(path, parts.iter().copied().filter(|part| keep(part)));
    let mut cuts = vec![
        (&c::QUERY_DROPPED, 0, path.to_owned()),
        (&c::QUERY_DROPPED, 0, format!("{path}?")),
    ];
    cuts.extend((1..parts.len().min(MAX_PARTS)).map(|end| {
        // An address that was not encoded ends at its first &.
        let cause = match end {
            1 => &c::CUT_AT_AMPERSAND,
            _ => &c::PARAMETER_DROPPED,
        };
        (cause, end, joined(path, parts[..end].iter().copied()))
    }));
    // The most common mistake, so tried first, unless the missing part indicates another mistake.
    for (cause, end, text) in &cuts {
        let cut_off = &parts[*end..];
        if !(cut_off.iter().any(|part| tells_of_sharing(part)) || tells_of_oauth(cut_off)) {
            add(cause, text.clone());
        }
    }
    if parts.iter().any(|part| tells_of_sharing(part)) {
        let names = [TELLING, ACCOMPANYING, &["from"]].concat();
        let texts = [
            kept(&|part| !names.contains(&name_of(part))),
            kept(&|part| !tells_of_sharing(part)),
        ];
        let shared = parts.iter().filter(|part| tells_of_sharing(part));
        let one_dropped = shared.map(|shared| kept(&|part| part != *shared));
        for text in texts.into_iter().chain(one_dropped) {
            add(&c::SHARE_PARAMETERS, text);
        }
    }
    if tells_of_oauth(&parts) {
        let text = kept(&|part| !OAUTH.contains(&name_of(part)));
        add(&c::OAUTH_PARAMETERS, text);
    }
    for (cause, _, text) in cuts {
        add(cause, text);
    }
    for missing in (0..parts.len().min(MAX_PARTS)).filter(|at| !parts[*at].is_empty()) {
        let (before, after) = (&parts[..missing], &parts[missing + 1..]);
        let kept = before.iter().chain(after).copied();
        add(&c::PARAMETER_DROPPED, joined(path, kept));
    }
    let mut sorted = parts.clone();
    sorted.sort_unstable();
    for text in [
        joined(path, sorted.iter().copied()),
        joined(path, sorted.iter().rev().copied()),
        joined(path, parts.iter().rev().copied()),
    ] {
        add(&c::QUERY_REORDERED, text);
    }
    if parts.len() <= 4 {
        for order in value_mistakes::orders(parts.len()) {
            let text = joined(path, order.iter().map(|at| parts[*at]));
            add(&c::QUERY_REORDERED, text);
        }
    }
    let filled = || parts.iter().copied().filter(|part| !part.is_empty());
    let bare = filled().map(|part| part.strip_suffix('=').unwrap_or(part));
    let equals: Vec<String> = filled()
        .map(|part| match part.contains('=') {
            true => part.to_owned(),
            false => format!("{part}="),
        })
        .collect();
    // vue-router 4 gives an empty part an empty name.
    let empty_named = parts
        .iter()
        .map(|part| if part.is_empty() { "=" } else { part });
    for text in [
        joined(path, filled()),
        joined(path, bare),
        format!("{path}?{}", equals.join("&")),
        joined(path, empty_named),
        // Python's parse_qsl drops parameters without a value.
        kept(&|part| matches!(part.split_once('='), Some((_, value)) if !value.is_empty())),
    ] {
        add(&c::EMPTY_TAIL, text);
    }
    for text in [
        format!("{path}??{query}"),
        format!("{path}?{}", query.replacen('&', "?", 1)),
        format!("{path}&{query}"),
        format!("{path}?{}", query.replace('?', "&")),
        format!("{path}?{}", query.trim_start_matches('?')),
    ] {
        add(&c::DOUBLE_QUESTION, text);
    }
}

/// Returns the path with a query of these parts.
fn joined<'p>(path: &str, parts: impl Iterator<Item = &'p str>) -> String {
    let parts: Vec<_> = parts.collect();
    match parts.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", parts.join("&")),
    }
}

fn name_of(part: &str) -> &str {
    part.split('=').next().unwrap_or_default()
}

/// Returns whether only WeChat adds this parameter.
fn tells_of_sharing(part: &str) -> bool {
    match part.split_once('=') {
        Some(("from", value)) => SHARED_FROM.contains(&value),
        _ => TELLING.contains(&name_of(part)),
    }
}

/// Returns whether both OAuth parameters are present: WeChat adds both, and one alone may be the page's own.
fn tells_of_oauth(parts: &[&str]) -> bool {
    let is_present = |name: &&str| parts.iter().any(|part| name_of(part) == *name);
    OAUTH.iter().all(is_present)
}

/// The parameters that WeChat adds after a web login.
const OAUTH: [&str; 2] = ["code", "state"];

/// Parameters that only WeChat and WeCom add to a URL when a page is shared or opened. Taken from captures:
/// there is no official list.
const TELLING: &[&str] = &[
    "isappinstalled",
    "subscene",
    "clicktime",
    "enterid",
    "ascene",
    "nettype",
    "exportkey",
    "pass_ticket",
    "wx_header",
    "abtest_cookie",
    "fontgear",
    "wxwork_userid",
    "nsukey",
];

/// Parameters that WeChat and WeCom also add, but that many pages use themselves: they indicate nothing.
const ACCOMPANYING: &[&str] = &[
    "scene",
    "devicetype",
    "version",
    "lang",
    "countrycode",
    "sessionid",
];

/// WeChat's values of `from`: where a page was opened.
const SHARED_FROM: [&str; 6] = [
    "singlemessage",
    "groupmessage",
    "timeline",
    "favorites",
    "qq",
    "qzone",
];

/// How languages print a missing query.
const NULLS: [&str; 4] = ["null", "undefined", "None", "nil"];

/// Maximum number of parameters that are tried; those after it are not varied.
const MAX_PARTS: usize = 24;
