//! The calls to WeChat that an API key may make through the gateway.

use std::fmt;
use std::str::FromStr;

use actix_web::http::Method;

/// A path of WeChat's API, validated: segments of letters, digits, `_`, `-`, `.` and `~`, neither empty nor
/// `.` nor `..`. No API of WeChat needs more, and two spellings of one path could pass two different checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallPath<'a>(&'a str);

/// One entry of `calls`: a path with everything below it, and perhaps a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    method: Option<Method>,
    /// Without a slash at the end; empty for every path.
    path: String,
}

/// Whether a call is among the calls of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallRight {
    /// The key may make it.
    Granted,
    /// No entry covers it.
    NotListed,
    /// Entries cover it, but it needs one that names exactly its path.
    NeedsExactEntry,
    /// No key may make it: the center itself issues what it returns.
    Never,
}

impl<'a> CallPath<'a> {
    /// Parses a path as it stands in a request. Slashes at the start count as one, as at WeChat's hosts.
    /// `None`: WeChat has no such path.
    #[must_use]
    pub fn parse(path: &'a str) -> Option<Self> {
        let rest = path.trim_start_matches('/');
        if rest.len() == path.len() {
            return None;
        }
        let path = &path[path.len() - rest.len() - 1..];
        let is_good = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-.~".contains(&byte))
        };
        let segments = rest.strip_suffix('/').unwrap_or(rest);
        segments.split('/').all(is_good).then_some(Self(path))
    }

    /// Returns the path with one slash at its start.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }

    fn without_slash(self) -> &'a str {
        self.0.trim_end_matches('/')
    }

    /// Returns whether WeChat or WeCom has paths below this first segment.
    pub(crate) fn is_known(self) -> bool {
        let first = self.0[1..].split('/').next().unwrap_or_default();
        FIRST_SEGMENTS.contains(&first)
    }

    /// Returns whether this server answers the path itself, exactly as it is written.
    pub(crate) fn is_issued_here(self) -> bool {
        ISSUED_HERE.contains(&self.0)
    }

    /// Returns the first two segments, for metrics: `/cgi-bin/message`.
    pub(crate) fn group(self) -> &'a str {
        let path = self.without_slash();
        path.match_indices('/')
            .nth(2)
            .map_or(path, |(end, _)| &path[..end])
    }

    /// Returns whether the path is below `/sns/`, where `access_token` is the user's token.
    pub(crate) fn is_user_api(self) -> bool {
        self.0.starts_with("/sns/")
    }

    /// Returns the query parameter in which a call without a token carries the AppSecret.
    pub(crate) fn secret_parameter(self) -> Option<&'static str> {
        match self.without_slash() {
            "/sns/oauth2/access_token" | "/sns/jscode2session" => Some("secret"),
            CLEAR_QUOTA_V2 | COMPONENT_CLEAR_QUOTA => Some("appsecret"),
            _ => None,
        }
    }

    /// Returns whether the call carries the AppSecret in a JSON body.
    pub(crate) fn has_secret_in_body(self) -> bool {
        matches!(self.without_slash(), CLEAR_QUOTA_V2 | COMPONENT_CLEAR_QUOTA)
    }

    /// Returns whether the AppSecret that the call carries is that of an open platform.
    pub(crate) fn takes_component_secret(self) -> bool {
        self.without_slash() == COMPONENT_CLEAR_QUOTA
    }

    /// Returns whether the answer quotes an earlier request with its token.
    pub(crate) fn quotes_requests(self) -> bool {
        self.without_slash() == "/cgi-bin/openapi/rid/get"
    }
}

impl Call {
    /// Decides whether these entries cover a call.
    pub(crate) fn right(calls: &[Self], method: &Method, path: CallPath<'_>) -> CallRight {
        // WeChat might ignore case; the list of sensitive paths must not be passed by that.
        let lower = path.without_slash().to_ascii_lowercase();
        if ISSUED_HERE.contains(&lower.as_str()) {
            return CallRight::Never;
        }
        let is_sensitive = SENSITIVE.iter().any(|prefix| is_below(&lower, prefix));
        let covers = |call: &&Self| {
            call.method.as_ref().is_none_or(|only| only == method)
                && is_below(path.without_slash(), &call.path)
        };
        let mut covering = calls.iter().filter(covers);
        let path = path.without_slash();
        match is_sensitive {
            false if covering.next().is_some() => CallRight::Granted,
            true if covering.clone().any(|call| call.path == path) => CallRight::Granted,
            true if covering.next().is_some() => CallRight::NeedsExactEntry,
            _ => CallRight::NotListed,
        }
    }
}

/// Whether `path` is `prefix` or continues it at a slash.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The text of a `calls` entry is not `/path/` or `METHOD /path/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCall;

impl FromStr for Call {
    type Err = BadCall;

    fn from_str(text: &str) -> Result<Self, BadCall> {
        let (method, path) = match text.trim().split_once(' ') {
            Some((method, path)) => (Some(method), path.trim_start()),
            None => (None, text.trim()),
        };
        let method = match method {
            None => None,
            Some("GET") => Some(Method::GET),
            Some("POST") => Some(Method::POST),
            Some(_) => return Err(BadCall),
        };
        let path = match path {
            "/" => "",
            path => CallPath::parse(path).ok_or(BadCall)?.without_slash(),
        };
        Ok(Self {
            method,
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(method) = &self.method {
            write!(f, "{method} ")?;
        }
        write!(f, "{}/", self.path)
    }
}

/// WeChat's reset of a quota with the AppSecret instead of a token.
const CLEAR_QUOTA_V2: &str = "/cgi-bin/clear_quota/v2";

/// The same for an open platform and its accounts.
const COMPONENT_CLEAR_QUOTA: &str = "/cgi-bin/component/clear_quota/v2";

/// What this server answers itself. Passed on, they would return a token to the caller or retire one.
const ISSUED_HERE: [&str; 6] = [
    "/cgi-bin/token",
    "/cgi-bin/stable_token",
    "/cgi-bin/gettoken",
    "/cgi-bin/get_jsapi_ticket",
    "/cgi-bin/ticket/getticket",
    "/cgi-bin/ticket/get",
];

/// Quotas, tickets, and whatever manages accounts and authorisations: an entry such as `/cgi-bin/` does not
/// include them.
const SENSITIVE: [&str; 10] = [
    "/cgi-bin/clear_quota",
    "/cgi-bin/openapi/quota/clear",
    "/cgi-bin/component",
    "/cgi-bin/service",
    "/cgi-bin/ticket",
    "/cgi-bin/open",
    "/cgi-bin/account",
    "/wxa/component",
    "/sns/component",
    "/sns/oauth2/component",
];

/// The first path segments of `api.weixin.qq.com`; `qyapi.weixin.qq.com` has `cgi-bin` only.
const FIRST_SEGMENTS: [&str; 32] = [
    "bizwifi",
    "business",
    "card",
    "cgi-bin",
    "channels",
    "cityservice",
    "componenttcb",
    "customservice",
    "cv",
    "datacube",
    "device",
    "donut",
    "intp",
    "merchant",
    "nontax",
    "product",
    "promoter",
    "publisher",
    "scan",
    "semantic",
    "shakearound",
    "shop",
    "sns",
    "tcb",
    "union",
    "user-order",
    "wedata",
    "wxa",
    "wxaapi",
    "wxaapp",
    "wxopen",
    "xpay",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(texts: &[&str]) -> Vec<Call> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn right(texts: &[&str], method: &Method, path: &str) -> CallRight {
        Call::right(&calls(texts), method, CallPath::parse(path).unwrap())
    }

    #[test]
    fn an_entry_covers_its_path_and_what_is_below_it_by_whole_segments() {
        for (entry, path, granted) in [
            ("/cgi-bin/message/", "/cgi-bin/message/custom/send", true),
            ("/cgi-bin/message", "/cgi-bin/message/custom/send", true),
            ("/cgi-bin/message/", "/cgi-bin/message", true),
            ("/cgi-bin/message/", "/cgi-bin/messages/send", false),
            ("/wxa/getwxacode", "/wxa/getwxacodeunlimit", false),
            ("/wxa/getwxacode", "/wxa/getwxacode/", true),
            ("/wxa/", "/WXA/getwxacode", false),
            ("/", "/cgi-bin/menu/get", true),
        ] {
            let expected = match granted {
                true => CallRight::Granted,
                false => CallRight::NotListed,
            };
            assert_eq!(
                right(&[entry], &Method::GET, path),
                expected,
                "{entry} {path}"
            );
        }
        assert_eq!(right(&[], &Method::GET, "/wxa/x"), CallRight::NotListed);
    }

    #[test]
    fn an_entry_with_a_method_covers_that_method_only() {
        let entries = ["GET /cgi-bin/menu/", "POST /wxa/"];
        assert_eq!(
            right(&entries, &Method::GET, "/cgi-bin/menu/get"),
            CallRight::Granted
        );
        assert_eq!(
            right(&entries, &Method::POST, "/cgi-bin/menu/create"),
            CallRight::NotListed
        );
        assert_eq!(
            right(&entries, &Method::GET, "/wxa/x"),
            CallRight::NotListed
        );
    }

    #[test]
    fn a_sensitive_path_needs_an_entry_of_its_own() {
        for path in [
            "/cgi-bin/clear_quota",
            "/cgi-bin/clear_quota/",
            "/cgi-bin/Clear_Quota",
            "/cgi-bin/clear_quota/v2",
            "/cgi-bin/openapi/quota/clear",
            "/cgi-bin/component/api_query_auth",
            "/cgi-bin/service/get_corp_token",
            "/cgi-bin/ticket/other",
            "/cgi-bin/open/create",
            "/cgi-bin/account/getaccountbasicinfo",
            "/wxa/component/fastregisterweapp",
            "/sns/component/jscode2session",
        ] {
            let broad = ["/", "/cgi-bin/", "/wxa/", "/sns/"];
            assert_eq!(
                right(&broad, &Method::POST, path),
                CallRight::NeedsExactEntry,
                "{path}"
            );
            let exact = path.trim_end_matches('/');
            assert_eq!(
                right(&[exact], &Method::POST, path),
                CallRight::Granted,
                "{path}"
            );
        }
        let parent = ["/cgi-bin/clear_quota"];
        assert_eq!(
            right(&parent, &Method::POST, "/cgi-bin/clear_quota/v2"),
            CallRight::NeedsExactEntry
        );
        assert_eq!(
            right(&["/cgi-bin/"], &Method::POST, "/cgi-bin/openapi/quota/get"),
            CallRight::Granted
        );
    }

    #[test]
    fn a_path_that_issues_tokens_is_never_passed_on() {
        for path in ISSUED_HERE {
            let upper = path.to_ascii_uppercase();
            for path in [path, &format!("{path}/"), upper.as_str()] {
                assert_eq!(
                    right(&["/", path], &Method::GET, path),
                    CallRight::Never,
                    "{path}"
                );
            }
        }
    }

    #[test]
    fn paths_that_no_api_has_are_refused() {
        for path in [
            "",
            "cgi-bin/menu",
            "/cgi-bin//menu",
            "/cgi-bin/../menu",
            "/cgi-bin/./menu",
            "/cgi-bin/%2e%2e/menu",
            "/cgi-bin/menu%2fget",
            "/cgi-bin/%63lear_quota",
            "/cgi-bin/menu;a=b",
            "/cgi-bin/menu\\get",
            "/cgi-bin/m\u{e9}nu",
            "/cgi-bin/menu get",
            "/cgi-bin/menu//",
        ] {
            assert_eq!(CallPath::parse(path), None, "{path}");
        }
        for (path, parsed) in [
            ("//cgi-bin/menu/get", "/cgi-bin/menu/get"),
            ("///wxa/x", "/wxa/x"),
            ("/wxa/x/", "/wxa/x/"),
        ] {
            assert_eq!(CallPath::parse(path).map(CallPath::as_str), Some(parsed));
        }
    }

    #[test]
    fn entries_are_read_as_they_are_written() {
        for text in [
            "/cgi-bin/message/",
            "GET /wxa/",
            "POST /wxa/getwxacode/",
            "/",
        ] {
            assert_eq!(text.parse::<Call>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "wxa",
            "PUT /wxa/",
            "get /wxa/",
            "/wxa/../x",
            "/wxa//",
            "/wxa/*",
            "GET",
        ] {
            assert_eq!(bad.parse::<Call>(), Err(BadCall), "{bad}");
        }
    }

    #[test]
    fn a_path_is_grouped_by_its_first_two_segments() {
        for (path, group) in [
            ("/cgi-bin/message/custom/send", "/cgi-bin/message"),
            ("/wxa/getwxacode", "/wxa/getwxacode"),
            ("/wxa/getwxacode/", "/wxa/getwxacode"),
            ("/wxa", "/wxa"),
        ] {
            assert_eq!(CallPath::parse(path).unwrap().group(), group);
        }
    }
}
