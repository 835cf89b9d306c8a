//! Changes of scheme, host, port and path.

use super::{Add, Parts, origin_and_rest};
use crate::diagnose::Case;
use crate::diagnose::causes as c;
use crate::sign::before_fragment;

pub(super) fn host(url: &str, case: &Case, add: &mut Add<'_>) {
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

pub(super) fn path(url: &str, case: &Case, add: &mut Add<'_>) {
    let Some((origin, rest)) = origin_and_rest(url) else {
        return;
    };
    let (path, query) = rest.find('?').map_or((rest, ""), |at| rest.split_at(at));
    match path.strip_suffix('/') {
        Some(bare) => add(&c::TRAILING_SLASH, format!("{origin}{bare}{query}")),
        None => add(&c::TRAILING_SLASH, format!("{origin}{path}/{query}")),
    }
    add(&c::TRAILING_SLASH, format!("{url}/"));
    let folder = &path[..path.rfind('/').map_or(0, |at| at + 1)];
    for file in INDEX {
        if let Some(folder) = path.strip_suffix(file).filter(|rest| rest.ends_with('/')) {
            add(&c::INDEX_FILE, format!("{origin}{folder}{query}"));
        } else if path == folder {
            let folder = folder.trim_end_matches('/');
            add(&c::INDEX_FILE, format!("{origin}{folder}/{file}{query}"));
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
    let asked = query.replacen('?', "&", 1);
    for script in SCRIPTS {
        let script = format!("{origin}/{script}");
        let mut add = |text| add(&c::SCRIPT_PATH, text);
        // PHP's `PHP_SELF?QUERY_STRING`.
        if query.is_empty() {
            add(format!("{script}/{rooted}?"));
            add(format!("{script}?"));
        }
        add(format!("{script}/{rooted}{query}"));
        add(format!("{script}{query}"));
        for name in ["s", "_url", "q"] {
            add(format!("{script}?{name}=/{rooted}{asked}"));
            add(format!("{origin}{path}?{name}=/{rooted}{asked}"));
        }
    }
    let given = case.hosts.iter().filter_map(|host| {
        let (_, rest) = host.split_once("://")?;
        before_fragment(rest).split('/').nth(1)
    });
    for prefix in given.chain(PREFIXES) {
        let text = format!("{origin}/{prefix}/{rooted}{query}");
        add(&c::PREFIX_ADDED, text);
    }
    if !query.is_empty() {
        add(&c::PATH_DROPPED, format!("{origin}/{query}"));
        add(&c::PATH_DROPPED, format!("{origin}{query}"));
    }
}

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
