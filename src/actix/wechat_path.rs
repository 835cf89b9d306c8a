//! A path of WeChat's API as a call through the gateway names it, and what follows from it: where token or AppSecret
//! stand, whether it is sensitive, its group in the metrics.

use super::keys::may_be_secret;

/// A path of WeChat's API, validated: at most 256 bytes, in segments of letters, digits, `_`, `-`, `.` and `~`,
/// neither empty nor `.` nor `..`. No API of WeChat needs more, and two spellings of one path could pass two
/// different checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WechatPath<'a>(&'a str);

impl<'a> WechatPath<'a> {
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
        (path.len() <= MAX_PATH && segments.split('/').all(is_good)).then_some(Self(path))
    }

    /// Returns the path with one slash at its start.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }

    pub(super) fn without_slash(self) -> &'a str {
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

    /// Returns the first two segments, for metrics and the log: `/cgi-bin/message`. Only the first if the second
    /// may be a secret.
    pub(crate) fn group(self) -> &'a str {
        let path = self.without_slash();
        let first = |segments| {
            let end = path.match_indices('/').nth(segments);
            end.map_or(path, |(end, _)| &path[..end])
        };
        [first(2), first(1)]
            .into_iter()
            .find(|group| !group.split('/').any(may_be_secret))
            .unwrap_or("other")
    }

    /// WeChat might ignore case; no rule may be passed by that.
    fn is(self, path: &str) -> bool {
        self.without_slash().eq_ignore_ascii_case(path)
    }

    /// Returns whether WeCom may have the path: all of its paths are below `/cgi-bin/`, and carry no AppSecret.
    pub(crate) fn is_of_wecom(self) -> bool {
        self.is_below("/cgi-bin") && self.secret_parameter().is_none()
    }

    /// Returns whether the path is below `/sns/`, where `access_token` is the user's token.
    pub(crate) fn is_user_api(self) -> bool {
        self.is_below("/sns")
    }

    /// Returns whether the call logs a user in with an open platform's token.
    pub(crate) fn is_platform_login(self) -> bool {
        ["/sns/component", "/sns/oauth2/component"]
            .iter()
            .any(|folder| self.is_below(folder))
    }

    /// Returns the query parameters that may carry the account's token, the usual one first. There are no such
    /// parameters where the call carries the AppSecret or a user's token.
    pub(crate) fn token_parameters(self) -> &'static [&'static str] {
        if self.secret_parameter().is_some() {
            &[]
        } else if self.is_platform_login() {
            &["component_access_token"]
        } else if self.is_user_api() {
            &[]
        } else {
            // WeChat's documents have both names for an open platform's token.
            &["access_token", "component_access_token"]
        }
    }

    /// Returns whether the call returns a token or a ticket, so that no key may make it.
    pub(super) fn issues_tokens(self) -> bool {
        let mut issuing = ISSUED_HERE.iter().chain(&ISSUES_TOKENS);
        issuing.any(|path| self.is(path))
    }

    /// Returns whether an entry of `calls` must name exactly this path.
    pub(crate) fn is_sensitive(self) -> bool {
        SENSITIVE
            .iter()
            .any(|path| self.is(path) || self.is_below(path))
    }

    fn is_below(self, folder: &str) -> bool {
        let start = self.0.get(..folder.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(folder))
            && self.0[folder.len()..].starts_with('/')
    }

    /// Returns the query parameter in which a call without a token carries the AppSecret.
    pub(crate) fn secret_parameter(self) -> Option<&'static str> {
        let logs_in = |path| self.is(path);
        match ["/sns/oauth2/access_token", "/sns/jscode2session"]
            .into_iter()
            .any(logs_in)
        {
            true => Some("secret"),
            false => self.has_secret_in_body().then_some("appsecret"),
        }
    }

    /// Returns whether the call carries the AppSecret in a JSON body.
    pub(crate) fn has_secret_in_body(self) -> bool {
        self.is(CLEAR_QUOTA_V2) || self.is(COMPONENT_CLEAR_QUOTA)
    }

    /// Returns whether the AppSecret that the call carries is that of an open platform.
    pub(crate) fn takes_component_secret(self) -> bool {
        self.is(COMPONENT_CLEAR_QUOTA)
    }

    /// Returns whether the answer may contain secrets that no API key may read. The rest of it is for the client.
    pub(crate) fn returns_secrets(self) -> bool {
        RETURNS_SECRETS.iter().any(|path| self.is(path))
    }
}

/// Returns the accounts that a base URL `http://…/wx/{account}` at the start of this path may name, each with the
/// rest of the path: an account of an open platform has two segments.
pub(super) fn base_accounts(path: &str) -> impl Iterator<Item = (&str, &str)> {
    let base = path.trim_start_matches('/').strip_prefix("wx/");
    let base = base.unwrap_or_default();
    let ends = base.match_indices('/').take(2);
    ends.map(move |(end, _)| base.split_at(end))
}

/// The longest path of WeChat has some 70 bytes.
const MAX_PATH: usize = 256;

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

/// What issues a token of an account, a corp or a provider, which a key with virtual tokens must not get.
const ISSUES_TOKENS: [&str; 9] = [
    "/cgi-bin/component/api_component_token",
    "/cgi-bin/component/api_authorizer_token",
    "/cgi-bin/component/api_query_auth",
    "/cgi-bin/corpgroup/corp/gettoken",
    "/cgi-bin/service/get_corp_token",
    "/cgi-bin/service/get_permanent_code",
    "/cgi-bin/service/v2/get_permanent_code",
    "/cgi-bin/service/get_provider_token",
    "/cgi-bin/service/get_suite_token",
];

/// Paths whose answers contain tokens or AppSecrets of earlier requests, or the refresh tokens of the accounts that
/// authorised an open platform.
const RETURNS_SECRETS: [&str; 3] = [
    "/cgi-bin/openapi/rid/get",
    "/cgi-bin/component/api_get_authorizer_info",
    "/cgi-bin/component/api_get_authorizer_list",
];

/// Quotas, tickets, keys of Tencent Cloud, and whatever manages accounts and authorisations: an entry such as `/cgi-bin/` does not
/// include them.
const SENSITIVE: [&str; 12] = [
    "/cgi-bin/clear_quota",
    "/cgi-bin/openapi/quota/clear",
    "/cgi-bin/component",
    "/cgi-bin/corpgroup",
    "/cgi-bin/service",
    "/cgi-bin/ticket",
    "/cgi-bin/open",
    "/cgi-bin/account",
    "/wxa/component",
    "/sns/component",
    "/sns/oauth2/component",
    "/tcb/getqcloudtoken",
];

/// The first path segments of `api.weixin.qq.com`; `qyapi.weixin.qq.com` has `cgi-bin` only.
const FIRST_SEGMENTS: [&str; 37] = [
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
    "mall",
    "marketing",
    "merchant",
    "nontax",
    "product",
    "promoter",
    "publisher",
    "redpacketcover",
    "retail",
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
    "wxadrama",
    "wxopen",
    "xpay",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_wechat_paths_are_refused() {
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
            &format!("/cgi-bin/{}", "a/".repeat(200)),
        ] {
            assert_eq!(WechatPath::parse(path), None, "{path}");
        }
        for (path, parsed) in [
            ("//cgi-bin/menu/get", "/cgi-bin/menu/get"),
            ("///wxa/x", "/wxa/x"),
            ("/wxa/x/", "/wxa/x/"),
        ] {
            assert_eq!(
                WechatPath::parse(path).map(WechatPath::as_str),
                Some(parsed)
            );
        }
    }

    #[test]
    fn a_path_is_grouped_by_its_first_two_segments() {
        for (path, group) in [
            ("/cgi-bin/message/custom/send", "/cgi-bin/message"),
            ("/wxa/getwxacode", "/wxa/getwxacode"),
            ("/wxa/getwxacode/", "/wxa/getwxacode"),
            ("/wxa", "/wxa"),
            (
                "/datacube/getweanalysisappidmonthlysummarytrend",
                "/datacube/getweanalysisappidmonthlysummarytrend",
            ),
            ("/cgi-bin/wxk_0123456789/x", "/cgi-bin"),
            ("/cgi-bin/wxv_wx0123456789abcdef-1", "/cgi-bin"),
            ("/cgi-bin/0c79e1fa963cd80cc0be99b20a18faeb", "/cgi-bin"),
            ("/0c79e1fa963cd80cc0be99b20a18faeb/x", "other"),
        ] {
            assert_eq!(WechatPath::parse(path).unwrap().group(), group);
        }
    }

    #[test]
    fn rules_for_a_path_hold_in_every_spelling_of_its_case() {
        let path = |text| WechatPath::parse(text).unwrap();
        assert!(path("/cgi-bin/openapi/RID/get").returns_secrets());
        assert!(path("/cgi-bin/component/api_get_Authorizer_list/").returns_secrets());
        assert!(path("/cgi-bin/Clear_Quota/v2/").has_secret_in_body());
        assert_eq!(
            path("/sns/JSCode2Session").secret_parameter(),
            Some("secret")
        );
        assert!(path("/cgi-bin/component/clear_quota/V2").takes_component_secret());
        assert!(path("/sns/OAuth2/component/access_token").is_platform_login());
    }

    #[test]
    fn paths_of_rarer_apis_of_wechat_are_known() {
        for path in [
            "/mall/importproduct",
            "/marketing/user_actions/add",
            "/redpacketcover/wxapp/cover_url/get_by_token",
            "/retail/B2b/getorder",
            "/wxadrama/setplayerdramarecmdswitch",
        ] {
            assert!(WechatPath::parse(path).unwrap().is_known(), "{path}");
        }
        for path in ["/market/x", "/marketing2/x", "/wx/main/x"] {
            assert!(!WechatPath::parse(path).unwrap().is_known(), "{path}");
        }
    }

    #[test]
    fn the_parameter_of_the_token_follows_from_the_path() {
        for (path, parameters) in [
            (
                "/cgi-bin/component/setting",
                ["access_token", "component_access_token"].as_slice(),
            ),
            ("/sns/component/jscode2session", &["component_access_token"]),
            ("/sns/components/x", &[]),
            ("/sns/userinfo", &[]),
            ("/sns/jscode2session", &[]),
            ("/cgi-bin/component/clear_quota/v2", &[]),
        ] {
            let path = WechatPath::parse(path).unwrap();
            assert_eq!(path.token_parameters(), parameters, "{path:?}");
        }
    }

    #[test]
    fn every_spelling_of_a_token_issuing_path_is_recognised() {
        for path in ISSUED_HERE.into_iter().chain(ISSUES_TOKENS) {
            let upper = path.to_ascii_uppercase();
            for path in [path, &format!("{path}/"), upper.as_str()] {
                assert!(WechatPath::parse(path).unwrap().issues_tokens(), "{path}");
            }
        }
    }
}
