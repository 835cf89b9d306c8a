//! The stable codes of problems (RFC 9457), each with its HTTP status, title and meaning.

use super::Text;

macro_rules! problem_codes {
    ($($variant:ident: $code:literal, $status:literal, $title:literal, $en:literal, $zh:literal;)+) => {
        /// The stable code of a problem: why a request is refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ProblemCode {
            $(#[doc = $en] $variant,)+
        }

        impl ProblemCode {
            /// All codes, by status.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns the code as programs read it: snake_case.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// Returns the HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)+
                }
            }

            /// Returns the name of the problem, for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)+
                }
            }

            /// Returns what the code means.
            #[must_use]
            pub const fn meaning(self) -> Text {
                match self {
                    $(Self::$variant => Text::new($en, $zh),)+
                }
            }
        }
    };
}

problem_codes! {
    MissingUrl: "missing_url", 400, "Missing url",
        "The parameter url is missing or empty.",
        "缺少 url 参数，或其值为空。";
    BadUrl: "bad_url", 400, "Invalid url",
        "The url is not a URL that a browser would send: not http(s), contains blanks, unencoded characters or a user name, has no host, or exceeds 16 KiB.",
        "url 不是浏览器会给出的地址：不是 http(s)、含空白、未编码的字符或用户名、没有主机名，或超过 16 KiB。";
    UrlNotEncoded: "url_not_encoded", 400, "Page URL not encoded",
        "The page's URL was put into the query without encodeURIComponent, so its parameters became parameters of this request.",
        "页面地址未经 encodeURIComponent 就放进了查询串，它自己的参数因此变成了本请求的参数。";
    UrlDoubleEncoded: "url_double_encoded", 400, "Page URL encoded twice",
        "The page's URL was percent-encoded twice.",
        "页面地址被编码了两次。";
    DuplicateParameter: "duplicate_parameter", 400, "Duplicate parameter",
        "A parameter appears twice.",
        "同一参数出现了两次。";
    BadList: "bad_list", 400, "Invalid list",
        "jsApiList or openTagList contains an invalid name, or more than 200 names.",
        "jsApiList 或 openTagList 中有无效的接口名，或超过 200 个。";
    BadFlag: "bad_flag", 400, "Invalid flag",
        "debug must be true or false.",
        "debug 应为 true 或 false。";
    BadCard: "bad_card", 400, "Invalid coupon parameter",
        "A coupon parameter is too long, contains control characters or is not a number.",
        "卡券参数过长、含控制字符或不是数字。";
    MissingCardId: "missing_card_id", 400, "Missing cardId",
        "The parameter cardId is missing.",
        "缺少 cardId 参数。";
    BadQuery: "bad_query", 400, "Invalid query",
        "The query contains a parameter or value that the status page does not support.",
        "查询串中有状态页不支持的参数或值。";
    BadBody: "bad_body", 400, "Invalid body",
        "The body is not the JSON that this endpoint expects.",
        "请求体不是本接口接受的 JSON。";
    AccountRequired: "account_required", 400, "Account required",
        "The request names no account, several accounts sign pages, and there is no default (server.default_account).",
        "请求未指定账号，而有多个可签名的账号且没有默认账号（server.default_account）。";
    Unauthorized: "unauthorized", 401, "API key required",
        "The request has no API key, or an invalid one.",
        "请求中没有 API key，或 API key 无效。";
    PageNotAllowed: "page_not_allowed", 403, "The page is outside the account's JS safe domains",
        "The page's host is not one of the account's JS safe domains.",
        "页面域名不在该账号的 JS 接口安全域名内。";
    Forbidden: "forbidden", 403, "API key not allowed",
        "The API key does not allow this account and kind of credential.",
        "该 API key 无权访问此账号的这类凭证。";
    CrossSite: "cross_site", 403, "Cross-site request refused",
        "A browser sent the request for a page of another site, or X-Requested-With: wx-jssdk is missing where it is required.",
        "浏览器代其他网站的页面发出了请求；或缺少必需的请求头 X-Requested-With: wx-jssdk。";
    UnknownAccount: "unknown_account", 404, "Unknown account",
        "No account has this name.",
        "没有这个名称的账号。";
    UnsupportedCredential: "unsupported_credential", 404, "Unsupported credential",
        "The account's platform does not have this credential.",
        "该账号所属平台没有这种凭证。";
    NotFound: "not_found", 404, "Not found",
        "There is no endpoint at this path.",
        "没有这个接口。";
    MethodNotAllowed: "method_not_allowed", 405, "Method not allowed",
        "The endpoint does not support this method; see Allow.",
        "该接口不支持此请求方法，见 Allow 响应头。";
    BodyTooLarge: "body_too_large", 413, "Body too large",
        "The body is larger than this endpoint accepts.",
        "请求体超过本接口的上限。";
    UnsupportedMediaType: "unsupported_media_type", 415, "JSON required",
        "The body is not sent as application/json.",
        "请求体的 Content-Type 不是 application/json。";
    ForeignHost: "foreign_host", 421, "Unknown host name",
        "A browser opened the admin listener under a host name that is not in server.admin_hosts.",
        "浏览器打开管理端口所用的域名不在 server.admin_hosts 中。";
    RateLimited: "rate_limited", 429, "Too many requests",
        "A rate limit was exceeded: requests of one client (limits.requests_per_second), the doctor, or refreshes on request, at most one in 30 s. Retry after Retry-After.",
        "超出限流：单个客户端超过 limits.requests_per_second，或诊断、主动刷新过于频繁（同一凭证至少间隔 30 秒）。请在 Retry-After 之后重试。";
    LockedOut: "locked_out", 429, "Address locked out",
        "The API key is invalid, and too many different invalid ones came from this address. A valid key passes at any time; other invalid ones are checked again after Retry-After.",
        "API key 无效，且来自该地址的不同错误 key 过多。有效的 key 不受影响；其他错误的 key 在 Retry-After 之后才会再次校验。";
    AccountMisconfigured: "account_misconfigured", 502, "WeChat refuses this account until an operator acts",
        "WeChat refuses this account until the operator acts (secret, IP allow-list, penalised account); see errcode.",
        "微信拒绝该账号，需运营者处理（secret、IP 白名单、账号被处罚等），具体见 errcode。";
    UpstreamUnavailable: "upstream_unavailable", 503, "No credential from WeChat",
        "WeChat returns no credential at the moment, and no valid one is left.",
        "微信暂时没有返回凭证，也没有仍然有效的凭证。";
    UpstreamQuota: "upstream_quota", 503, "The account's quota at WeChat is exhausted",
        "The account's quota at WeChat is exhausted; it resets after Retry-After.",
        "该账号在微信的调用额度已用尽，恢复时间见 Retry-After。";
}

impl std::fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
