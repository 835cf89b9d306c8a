//! What happens to a page's address between the page and the hash: each known mistake, made on purpose.

use std::collections::HashSet;

use super::causes::{self as c, Cause};
use super::{Case, escape};
use crate::sign::before_fragment;

/// An address as a mistake leaves it.
pub(super) type Variant = (&'static Cause, String);

/// Every single mistake on `url`, likeliest first, each text once.
pub(super) fn mistaken(url: &str, case: &Case) -> Vec<Variant> {
    let (mut found, mut known) = (Vec::new(), HashSet::new());
    let mut add = |cause: &'static Cause, text: String| {
        if text != url && known.insert(text.clone()) {
            found.push((cause, text));
        }
    };
    for step in [
        fragments, elsewhere, edges, blanks, query, path, host, escaping, missing,
    ] {
        step(url, case, &mut add);
    }
    found
}

type Add<'a> = dyn FnMut(&'static Cause, String) + 'a;

fn fragments(url: &str, case: &Case, add: &mut Add<'_>) {
    for href in [Some(case.url.as_str()), case.landing.as_deref()]
        .into_iter()
        .flatten()
    {
        if let Some((_, fragment)) = href.split_once('#') {
            add(&c::FRAGMENT_KEPT, format!("{url}#{fragment}"));
            add(&c::FRAGMENT_KEPT, format!("{url}%23{fragment}"));
        }
    }
    add(&c::FRAGMENT_KEPT, format!("{url}#"));
    add(&c::FRAGMENT_KEPT, format!("{url}#/"));
}

/// Another page, or no page at all.
fn elsewhere(url: &str, case: &Case, add: &mut Add<'_>) {
    if let Some(landing) = &case.landing {
        add(&c::LANDING, before_fragment(landing).to_owned());
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
            for encode in [escape::component, escape::form] {
                add(&c::API_URL, format!("{endpoint}?url={}", encode(url)));
                add(&c::API_URL, format!("{endpoint}?url={}", encode(&case.url)));
            }
        }
    }
}

fn query(url: &str, _: &Case, add: &mut Add<'_>) {
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
    // The commonest mistake of all, unless what is missing tells of another.
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
    for missing in 0..parts.len().min(MAX_PARTS) {
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
        for order in super::value_mistakes::orders(parts.len()) {
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
    if let Ok(pairs) = serde_urlencoded::from_str::<Vec<(String, String)>>(query) {
        for encode in [escape::form, escape::component] {
            let anew: Vec<String> = pairs
                .iter()
                .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
                .collect();
            add(&c::QUERY_REENCODED, format!("{path}?{}", anew.join("&")));
        }
    }
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

fn host(url: &str, case: &Case, add: &mut Add<'_>) {
    let Some(Parts {
        scheme,
        host,
        port,
        rest,
    }) = Parts::of(url)
    else {
        return;
    };
    let other = if scheme == "https" { "http" } else { "https" };
    add(&c::SCHEME, format!("{other}://{host}{port}{rest}"));
    add(&c::PORT, format!("{scheme}://{host}{rest}"));
    for number in PORTS {
        add(&c::PORT, format!("{scheme}://{host}:{number}{rest}"));
    }
    let given = case.hosts.iter().filter_map(|host| {
        let bare = host
            .split_once("://")
            .map_or(host.as_str(), |(_, bare)| bare);
        bare.split('/').next()
    });
    for name in given.chain(LOCAL.iter().copied()) {
        add(&c::HOST, format!("{scheme}://{name}{rest}"));
        add(&c::HOST, format!("{scheme}://{name}{port}{rest}"));
        if !name.contains(':') {
            for number in PORTS {
                add(&c::HOST, format!("{scheme}://{name}:{number}{rest}"));
            }
        }
    }
    match host.strip_prefix("www.") {
        Some(bare) => add(&c::WWW, format!("{scheme}://{bare}{port}{rest}")),
        None => add(&c::WWW, format!("{scheme}://www.{host}{port}{rest}")),
    }
    add(&c::ORIGIN_ONLY, format!("{scheme}://{host}{port}/"));
    add(&c::ORIGIN_ONLY, format!("{scheme}://{host}{port}"));
    add(&c::SCHEME_MISSING, format!("//{host}{port}{rest}"));
    add(&c::SCHEME_MISSING, format!("{host}{port}{rest}"));
    add(&c::SCHEME_MISSING, rest.to_owned());
}

fn path(url: &str, _: &Case, add: &mut Add<'_>) {
    let Some(Parts {
        scheme,
        host,
        port,
        rest,
    }) = Parts::of(url)
    else {
        return;
    };
    let origin = format!("{scheme}://{host}{port}");
    let (path, query) = rest.find('?').map_or((rest, ""), |at| rest.split_at(at));
    match path.strip_suffix('/') {
        Some(bare) => add(&c::TRAILING_SLASH, format!("{origin}{bare}{query}")),
        None => add(&c::TRAILING_SLASH, format!("{origin}{path}/{query}")),
    }
    add(&c::TRAILING_SLASH, format!("{url}/"));
    let folder = &path[..path.rfind('/').map_or(0, |at| at + 1)];
    for file in INDEX {
        match path
            .strip_suffix(file)
            .filter(|folder| folder.ends_with('/'))
        {
            Some(folder) => add(&c::INDEX_FILE, format!("{origin}{folder}{query}")),
            None if path == folder => add(
                &c::INDEX_FILE,
                format!("{origin}{}/{file}{query}", folder.trim_end_matches('/')),
            ),
            None => {}
        }
    }
    if let Some((_, after)) = path.trim_start_matches('/').split_once('/') {
        add(&c::PATH_PREFIX, format!("{origin}/{after}{query}"));
    }
    if !query.is_empty() {
        add(&c::PATH_DROPPED, format!("{origin}/{query}"));
        add(&c::PATH_DROPPED, format!("{origin}{query}"));
    }
}

fn blanks(url: &str, _: &Case, add: &mut Add<'_>) {
    add(&c::PLUS_TO_SPACE, url.replace('+', " "));
    add(&c::PLUS_TO_SPACE, url.replace("%20", "+"));
    add(&c::PLUS_TO_SPACE, url.replace('+', "%20"));
    add(&c::PLUS_TO_SPACE, url.replace('+', "%2B"));
    add(&c::PLUS_TO_SPACE, url.replace("%2B", "+"));
}

fn escaping(url: &str, _: &Case, add: &mut Add<'_>) {
    add(&c::PERCENT_DECODED, escape::decoded(url));
    add(&c::PERCENT_DECODED, escape::decoded_whole(url));
    add(&c::PERCENT_DECODED, escape::decoded(&url.replace('+', " ")));
    for encode in [escape::component, escape::form] {
        add(&c::ENCODED, encode(url));
        add(
            &c::ENCODED,
            escape::recased(&encode(url), str::to_ascii_lowercase),
        );
        add(&c::DOUBLE_ENCODED, encode(&encode(url)));
    }
    add(&c::ESCAPES_ENCODED, escape::whole(url));
    add(
        &c::ESCAPE_CASE,
        escape::recased(url, str::to_ascii_lowercase),
    );
    add(
        &c::ESCAPE_CASE,
        escape::recased(url, str::to_ascii_uppercase),
    );
    add(&c::HTML_ESCAPED, url.replace('&', "&amp;"));
    add(&c::HTML_ESCAPED, url.replace("&amp;", "&"));
    add(&c::JSON_ESCAPED, url.replace('/', "\\/"));
    add(&c::JSON_ESCAPED, url.replace('&', "\\u0026"));
    add(&c::JSON_ESCAPED, format!("\"{url}\""));
    add(&c::JSON_ESCAPED, format!("\"{}\"", url.replace('/', "\\/")));
    add(&c::LOWER_CASED, url.to_ascii_lowercase());
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
        add(&c::OTHER_URL, other.clone());
        add(&c::OTHER_URL, before_fragment(other).to_owned());
    }
}

/// An address taken apart without changing a byte.
struct Parts<'a> {
    scheme: &'a str,
    host: &'a str,
    /// With its colon; empty if there is none.
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

fn name_of(part: &str) -> &str {
    part.split('=').next().unwrap_or_default()
}

/// Whether nobody but WeChat puts this into an address.
fn tells_of_sharing(part: &str) -> bool {
    match part.split_once('=') {
        Some(("from", value)) => SHARED_FROM.contains(&value),
        _ => TELLING.contains(&name_of(part)),
    }
}

/// OAuth comes back with both; either alone is any page's own.
fn tells_of_oauth(parts: &[&str]) -> bool {
    ["code", "state"]
        .iter()
        .all(|name| parts.iter().any(|part| name_of(part) == *name))
}

/// What only WeChat and WeCom add to an address when a page is shared or opened. From captures: there is no official list.
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

/// What they add, too, and many pages have of their own: these tell nothing.
const ACCOMPANYING: &[&str] = &[
    "scene",
    "devicetype",
    "version",
    "lang",
    "countrycode",
    "sessionid",
];

/// Where a page was opened from, in WeChat's words.
const SHARED_FROM: [&str; 6] = [
    "singlemessage",
    "groupmessage",
    "timeline",
    "favorites",
    "qq",
    "qzone",
];

/// Where an application server or a container listens behind its proxy.
const PORTS: [u16; 12] = [
    80, 443, 8080, 8443, 8000, 8081, 8888, 3000, 5000, 5173, 7001, 9000,
];

/// What a server calls itself behind a proxy.
const LOCAL: &[&str] = &["localhost", "127.0.0.1"];

const INDEX: [&str; 5] = [
    "index.html",
    "index.htm",
    "index.php",
    "index.jsp",
    "index.aspx",
];

/// What languages write where there is nothing.
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

/// The same, for a query that is not there.
const NULLS: [&str; 4] = ["null", "undefined", "None", "nil"];

/// Addresses with more parameters are searched in their first ones only.
const MAX_PARTS: usize = 24;
