//! Changes of the query: parameters dropped, cut off, added by WeChat or put in another order.

use super::Add;
use crate::diagnose::causes as c;
use crate::diagnose::{Case, value_mistakes};

pub(super) fn query(url: &str, _: &Case, add: &mut Add<'_>) {
    let Some((path, query)) = url.split_once('?') else {
        return NULLS
            .iter()
            .for_each(|null| add(&c::NULL_QUERY, format!("{url}?{null}")));
    };
    let parts: Vec<&str> = query.split('&').collect();
    let joined = |parts: &[&str]| {
        if parts.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{}", parts.join("&"))
        }
    };
    let without = |names: &[&str]| {
        let kept: Vec<&str> = parts
            .iter()
            .copied()
            .filter(|part| !names.contains(&name_of(part)))
            .collect();
        joined(&kept)
    };
    let mut cuts = vec![
        (&c::QUERY_DROPPED, 0, path.to_owned()),
        (&c::QUERY_DROPPED, 0, format!("{path}?")),
    ];
    cuts.extend(
        (1..parts.len().min(MAX_PARTS))
            .map(|end| (&c::CUT_AT_AMPERSAND, end, joined(&parts[..end]))),
    );
    // The most common mistake, so tried first, unless the missing part indicates another mistake.
    for (cause, end, text) in &cuts {
        if !(parts[*end..].iter().any(|part| tells_of_sharing(part))
            || tells_of_oauth(&parts[*end..]))
        {
            add(cause, text.clone());
        }
    }
    if parts.iter().any(|part| tells_of_sharing(part)) {
        add(
            &c::SHARE_PARAMETERS,
            without(&[TELLING, ACCOMPANYING, &["from"]].concat()),
        );
        add(
            &c::SHARE_PARAMETERS,
            joined(
                &parts
                    .iter()
                    .copied()
                    .filter(|part| !tells_of_sharing(part))
                    .collect::<Vec<_>>(),
            ),
        );
        for shared in parts.iter().copied().filter(|part| tells_of_sharing(part)) {
            add(
                &c::SHARE_PARAMETERS,
                joined(
                    &parts
                        .iter()
                        .copied()
                        .filter(|part| *part != shared)
                        .collect::<Vec<_>>(),
                ),
            );
        }
    }
    if tells_of_oauth(&parts) {
        add(&c::OAUTH_PARAMETERS, without(&["code", "state"]));
    }
    for (cause, _, text) in cuts {
        add(cause, text);
    }
    let with_text = |at: &usize| !parts[*at].is_empty();
    for missing in (0..parts.len().min(MAX_PARTS)).filter(with_text) {
        let kept: Vec<&str> = parts
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != missing)
            .map(|(_, part)| *part)
            .collect();
        add(&c::PARAMETER_DROPPED, joined(&kept));
    }
    let mut sorted = parts.clone();
    sorted.sort_unstable();
    add(&c::QUERY_REORDERED, joined(&sorted));
    sorted.reverse();
    add(&c::QUERY_REORDERED, joined(&sorted));
    add(
        &c::QUERY_REORDERED,
        joined(&parts.iter().rev().copied().collect::<Vec<_>>()),
    );
    if parts.len() <= 4 {
        for order in value_mistakes::orders(parts.len()) {
            add(
                &c::QUERY_REORDERED,
                joined(&order.iter().map(|at| parts[*at]).collect::<Vec<_>>()),
            );
        }
    }
    let filled: Vec<&str> = parts
        .iter()
        .copied()
        .filter(|part| !part.is_empty())
        .collect();
    let bare: Vec<&str> = filled
        .iter()
        .map(|part| part.strip_suffix('=').unwrap_or(part))
        .collect();
    let equals: Vec<String> = filled
        .iter()
        .map(|part| {
            if part.contains('=') {
                (*part).to_owned()
            } else {
                format!("{part}=")
            }
        })
        .collect();
    add(&c::EMPTY_TAIL, joined(&filled));
    add(&c::EMPTY_TAIL, joined(&bare));
    add(&c::EMPTY_TAIL, format!("{path}?{}", equals.join("&")));
    // vue-router 4 gives an empty part an empty name.
    let empty_named: Vec<&str> = parts
        .iter()
        .map(|part| if part.is_empty() { "=" } else { part })
        .collect();
    add(&c::EMPTY_TAIL, joined(&empty_named));
    // Python's parse_qsl drops parameters without a value.
    let valued: Vec<&str> = filled
        .iter()
        .copied()
        .filter(|part| {
            part.split_once('=')
                .is_some_and(|(_, value)| !value.is_empty())
        })
        .collect();
    add(&c::EMPTY_TAIL, joined(&valued));
    add(&c::DOUBLE_QUESTION, format!("{path}??{query}"));
    add(
        &c::DOUBLE_QUESTION,
        format!("{path}?{}", query.replacen('&', "?", 1)),
    );
    add(&c::DOUBLE_QUESTION, format!("{path}&{query}"));
    add(
        &c::DOUBLE_QUESTION,
        format!("{path}?{}", query.replace('?', "&")),
    );
    add(
        &c::DOUBLE_QUESTION,
        format!("{path}?{}", query.trim_start_matches('?')),
    );
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
    ["code", "state"]
        .iter()
        .all(|name| parts.iter().any(|part| name_of(part) == *name))
}

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
