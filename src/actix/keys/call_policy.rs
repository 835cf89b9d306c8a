//! The calls to WeChat that an API key may make through the gateway.

use std::str::FromStr;

use actix_web::http::Method;

use crate::actix::WechatPath;

/// One entry of `calls`: a path with everything below it, and perhaps a method. GET includes HEAD.
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
}

impl Call {
    /// Decides whether these entries cover a call.
    pub(crate) fn right(calls: &[Self], method: &Method, path: WechatPath<'_>) -> CallRight {
        let method = Self::listed_method(method);
        let covers = |call: &&Self| {
            call.method.as_ref().is_none_or(|only| only == method)
                && is_below(path.without_slash(), &call.path)
        };
        let mut covering = calls.iter().filter(covers);
        let (is_sensitive, path) = (path.is_sensitive(), path.without_slash());
        match is_sensitive {
            false if covering.next().is_some() => CallRight::Granted,
            true if covering.clone().any(|call| call.path == path) => CallRight::Granted,
            true if covering.next().is_some() => CallRight::NeedsExactEntry,
            _ => CallRight::NotListed,
        }
    }

    /// Returns the method of an entry that covers calls with this one.
    pub(crate) fn listed_method(method: &Method) -> &str {
        match *method {
            Method::HEAD => "GET",
            _ => method.as_str(),
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
            Some(("GET", path)) => (Some(Method::GET), path.trim_start()),
            Some(("POST", path)) => (Some(Method::POST), path.trim_start()),
            Some(_) => return Err(BadCall),
            None => (None, text.trim()),
        };
        let path = match path {
            "/" => "",
            path => WechatPath::parse(path).ok_or(BadCall)?.without_slash(),
        };
        Ok(Self {
            method,
            path: path.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(texts: &[&str]) -> Vec<Call> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn right(texts: &[&str], method: &Method, path: &str) -> CallRight {
        Call::right(&calls(texts), method, WechatPath::parse(path).unwrap())
    }

    #[test]
    fn an_entry_covers_its_path_and_subpaths_by_whole_segments() {
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
            right(&entries, &Method::HEAD, "/cgi-bin/menu/get"),
            CallRight::Granted
        );
        assert_eq!(
            right(&entries, &Method::HEAD, "/wxa/x"),
            CallRight::NotListed
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
    fn a_sensitive_path_needs_an_explicit_entry() {
        for path in [
            "/cgi-bin/clear_quota",
            "/cgi-bin/clear_quota/",
            "/cgi-bin/Clear_Quota",
            "/cgi-bin/clear_quota/v2",
            "/cgi-bin/openapi/quota/clear",
            "/cgi-bin/component/api_get_authorizer_info",
            "/cgi-bin/corpgroup/corp/list_app_share_info",
            "/cgi-bin/service/get_auth_info",
            "/cgi-bin/ticket/other",
            "/cgi-bin/open/create",
            "/cgi-bin/account/getaccountbasicinfo",
            "/wxa/component/fastregisterweapp",
            "/sns/component/jscode2session",
            "/tcb/getqcloudtoken",
        ] {
            let broad = ["/", "/cgi-bin/", "/wxa/", "/sns/", "/tcb/"];
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
    fn a_malformed_entry_is_refused() {
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
}
