//! Reproduces each known mistake that changes a page's URL between the page and the hash.

use std::collections::HashSet;

use super::causes::{self as c, Cause};
use super::whole_case as v;
use super::{Case, escape, rebuilt};
use crate::sign::before_fragment;

/// The URL that results from a mistake.
pub(super) type Variant = (&'static Cause, String);

/// Returns every single mistake on `url`, most likely first, each text once.
pub(super) fn mistaken(url: &str, case: &Case) -> Vec<Variant> {
    mistaken_and_built(url, case).0
}

/// Like [`mistaken`], but also returns how many bytes were built. That exceeds the result, since most
/// mistakes give the same text on most URLs.
pub(super) fn mistaken_and_built(url: &str, case: &Case) -> (Vec<Variant>, usize) {
    let (mut found, mut known, mut built) = (Vec::new(), HashSet::new(), 0);
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
    for href in [
        Some(&case.url),
        case.landing.as_ref(),
        case.checked_url.as_ref(),
    ]
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
    for file in &INDEX[..2] {
        add(&c::ORIGIN_ONLY, format!("{scheme}://{host}{port}/{file}"));
    }
    add(&c::SCHEME_MISSING, format!("//{host}{port}{rest}"));
    add(&c::SCHEME_MISSING, format!("{host}{port}{rest}"));
    add(&c::SCHEME_MISSING, rest.to_owned());
}

fn path(url: &str, case: &Case, add: &mut Add<'_>) {
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
    let mut after = path.trim_start_matches('/');
    for _ in 0..MAX_PREFIX {
        let Some((_, rest)) = after.split_once('/') else {
            break;
        };
        add(&c::PATH_PREFIX, format!("{origin}/{rest}{query}"));
        after = rest;
    }
    let rooted = path.strip_prefix('/').unwrap_or(path);
    for script in SCRIPTS {
        // PHP's `PHP_SELF?QUERY_STRING`.
        if query.is_empty() {
            add(&c::SCRIPT_PATH, format!("{origin}/{script}/{rooted}?"));
            add(&c::SCRIPT_PATH, format!("{origin}/{script}?"));
        }
        add(
            &c::SCRIPT_PATH,
            format!("{origin}/{script}/{rooted}{query}"),
        );
        add(&c::SCRIPT_PATH, format!("{origin}/{script}{query}"));
        let asked = query.replacen('?', "&", 1);
        for name in ["s", "_url", "q"] {
            add(
                &c::SCRIPT_PATH,
                format!("{origin}/{script}?{name}=/{rooted}{asked}"),
            );
            add(
                &c::SCRIPT_PATH,
                format!("{origin}{path}?{name}=/{rooted}{asked}"),
            );
        }
    }
    let given = case.hosts.iter().filter_map(|host| {
        let (_, rest) = host.split_once("://")?;
        before_fragment(rest).split('/').nth(1)
    });
    for prefix in given.chain(PREFIXES) {
        add(
            &c::PREFIX_ADDED,
            format!("{origin}/{prefix}/{rooted}{query}"),
        );
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
    if url.contains('%') {
        add(&c::ESCAPES_ENCODED, escape::whole(url));
    }
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
    add(
        &c::HTML_ESCAPED,
        url.replace('&', "&amp;").replace('\'', "&#039;"),
    );
    add(
        &c::HTML_ESCAPED,
        url.replace('&', "&amp;").replace('\'', "&#39;"),
    );
    add(&c::LOWER_CASED, url.to_ascii_lowercase());
}

/// The request URL that frameworks return.
fn rebuilt(url: &str, _: &Case, add: &mut Add<'_>) {
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
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let asked = &rest[path.len()..];
    for (cause, path) in rebuilt::paths(path) {
        add(cause, format!("{origin}{path}{asked}"));
    }
    if !query.is_empty() {
        for (cause, query) in rebuilt::queries(query) {
            add(cause, format!("{origin}{path}?{query}"));
        }
        // Flask; java.net.URI; a WHATWG parser, and code that undoes it; a path joined with its query and
        // then escaped.
        add(
            &c::PERCENT_DECODED,
            format!(
                "{origin}{}?{}",
                escape::decoded_path(path),
                escape::decoded_query(query)
            ),
        );
        add(&c::QUERY_REENCODED, url.replace('\'', "%27"));
        add(&c::QUERY_REENCODED, url.replace("%27", "'"));
        add(&c::QUESTION_ENCODED, url.replacen('?', "%3F", 1));
        add(&c::QUESTION_ENCODED, url.replace('?', "%3F"));
    }
    add(
        &c::PERCENT_DECODED,
        escape::decoded(url).replace(' ', "%20"),
    );
    add(&c::PATH_REENCODED, url.replace('\'', "%27"));
    let normal = escape::normal(url);
    let cause = if normal.starts_with(&format!("{origin}{path}?")) {
        &c::QUERY_REENCODED
    } else {
        &c::PATH_REENCODED
    };
    add(cause, normal);
    let decoded = escape::decoded(url);
    add(&c::QUERY_REENCODED, escape::whole(&decoded));
    add(
        &c::ESCAPES_ENCODED,
        escape::whole(&escape::decoded_whole(url)),
    );
    // The URL as part of a path.
    add(&c::SLASHES_MERGED, url.replacen("://", ":/", 1));
}

/// Non-ASCII characters in a charset other than UTF-8.
fn charset(url: &str, _: &Case, add: &mut Add<'_>) {
    if !url.contains('%') && url.is_ascii() {
        return;
    }
    add(&c::CHARSET, escape::decoded_as_latin_1(url));
    for charset in CHARSETS {
        add(&c::CHARSET, escape::decoded_as(url, charset));
        let escaped = escape::escaped_in(url, charset);
        add(
            &c::CHARSET,
            escape::recased(&escaped, str::to_ascii_lowercase),
        );
        add(&c::CHARSET, escaped);
    }
    if let Some(Parts {
        scheme,
        host,
        port,
        rest,
    }) = Parts::of(url)
    {
        let escaped = escape::escape_of_javascript(&escape::decoded(rest));
        add(&c::CHARSET, format!("{scheme}://{host}{port}{escaped}"));
        let in_place: String = escape::decoded(rest)
            .chars()
            .map(|letter| {
                if letter.is_ascii() {
                    letter.to_string()
                } else {
                    escape::escape_of_javascript(&letter.to_string())
                }
            })
            .collect();
        add(&c::CHARSET, format!("{scheme}://{host}{port}{in_place}"));
        // A servlet's path, decoded as ISO-8859-1, with an undecoded query.
        let (path, query) = rest.find('?').map_or((rest, ""), |at| rest.split_at(at));
        let path = escape::decoded_as_latin_1(path);
        add(&c::CHARSET, format!("{scheme}://{host}{port}{path}{query}"));
    }
}

/// The charsets of the platforms that Chinese backends run on.
pub(super) static CHARSETS: [&encoding_rs::Encoding; 3] = [
    encoding_rs::GBK,
    encoding_rs::BIG5,
    encoding_rs::WINDOWS_1252,
];

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
    match (route(one), route(other)) {
        (Some((site, path)), Some((other_site, other_path))) => {
            site == other_site && path != other_path
        }
        _ => false,
    }
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

/// Ports on which application servers and containers listen behind a proxy.
const PORTS: [u16; 24] = [
    80, 443, 8080, 8443, 8000, 8081, 8888, 3000, 5000, 5173, 7001, 9000, 81, 1337, 3001, 4000,
    5001, 8001, 8082, 8088, 8090, 9090, 9501, 8787,
];

/// Paths of PHP's front controllers, as in `SCRIPT_NAME` and `PHP_SELF`.
const SCRIPTS: [&str; 2] = ["index.php", "public/index.php"];

/// Path prefixes that proxies add to the path that they forward.
const PREFIXES: [&str; 6] = ["api", "backend", "app", "web", "h5", "wx"];

/// Maximum number of leading path segments that a proxy may have removed.
const MAX_PREFIX: usize = 2;

/// Host names that a server behind a proxy uses for itself.
const LOCAL: &[&str] = &["localhost", "127.0.0.1"];

const INDEX: [&str; 5] = [
    "index.html",
    "index.htm",
    "index.php",
    "index.jsp",
    "index.aspx",
];

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

/// How languages print a missing query.
const NULLS: [&str; 4] = ["null", "undefined", "None", "nil"];

/// Maximum number of parameters that are tried; those after it are not varied.
const MAX_PARTS: usize = 24;
