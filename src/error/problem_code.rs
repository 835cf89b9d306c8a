//! The stable codes of problems (RFC 9457), each with its HTTP status, title and meaning.

use super::Text;

macro_rules! problem_codes {
    ($($variant:ident: $code:literal, $status:literal, $title:literal,
        [$en:literal, $zh:literal], [$fix_en:literal, $fix_zh:literal];)+) => {
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

            /// Returns what the caller or the operator should do: Markdown, without a full stop.
            #[must_use]
            pub const fn fix(self) -> Text {
                match self {
                    $(Self::$variant => Text::new($fix_en, $fix_zh),)+
                }
            }
        }
    };
}

problem_codes! {
    MissingUrl: "missing_url", 400, "Missing url",
        ["The parameter url is missing or empty.", "缺少 url 参数，或其值为空。"],
        ["Add `url=` + `encodeURIComponent(location.href)`", "加上 `url=` + `encodeURIComponent(location.href)`"];
    BadUrl: "bad_url", 400, "Invalid url",
        ["The url is not a URL that a browser would send: not http(s), contains blanks, unencoded characters or a user name, has no host, or exceeds 16 KiB; or it contains `&timestamp=` and an unencoded `&url=` of a page that the account does not sign.", "url 不是合法的页面地址：不是 http(s)、含空白、未编码的字符或用户名、没有主机名，或超过 16 KiB；或其中含有 `&timestamp=` 和未编码的 `&url=`，指向该账号不签名的页面。"],
        ["Send the whole `location.href` as the browser gives it; do not decode it", "传浏览器给出的完整 `location.href`，不要解码"];
    UrlNotEncoded: "url_not_encoded", 400, "Page URL not encoded",
        ["The page's URL was put into the query without encodeURIComponent, so its parameters became parameters of this request.", "页面地址未经 encodeURIComponent 就放进了查询串，导致页面地址里的参数被当成了本接口的参数。"],
        ["Use `encodeURIComponent`: without it, the URL loses everything after its first `&`", "使用 `encodeURIComponent`，否则第一个 `&` 之后的内容会丢失"];
    UrlDoubleEncoded: "url_double_encoded", 400, "Page URL encoded twice",
        ["The page's URL was percent-encoded twice.", "页面地址被编码了两次。"],
        ["Encode once. Often the URL was encoded by hand and again by axios `params`", "只编码一次；多半是手工编码后又交给了 axios 的 `params`"];
    DuplicateParameter: "duplicate_parameter", 400, "Duplicate parameter",
        ["A parameter appears twice.", "同一参数出现了两次。"],
        ["Send each parameter once. Usually the page URL was not encoded", "每个参数只传一次；多半是页面地址没有编码"];
    BadList: "bad_list", 400, "Invalid list",
        ["jsApiList or openTagList contains an invalid name, or more than 200 names.", "jsApiList 或 openTagList 中有无效的接口名，或超过 200 个。"],
        ["Separate names with commas; at most 200", "接口名用逗号分隔，最多 200 个"];
    BadFlag: "bad_flag", 400, "Invalid flag",
        ["debug must be true or false.", "debug 应为 true 或 false。"],
        ["Send `debug=true` or `debug=false`", "传 `debug=true` 或 `debug=false`"];
    BadCard: "bad_card", 400, "Invalid coupon parameter",
        ["A coupon parameter is too long, contains control characters or is not a number.", "卡券参数过长、含控制字符或不是数字。"],
        ["Send ids and codes as WeChat gives them", "ID 和 code 按微信给出的原样传入"];
    MissingCardId: "missing_card_id", 400, "Missing cardId",
        ["The parameter cardId is missing.", "缺少 cardId 参数。"],
        ["Add `cardId=`; `card-ext` needs it", "加上 `cardId=`，`card-ext` 必填"];
    BadQuery: "bad_query", 400, "Invalid query",
        ["The query has more than 256 parameters; or, of the status page, a parameter or value that it does not support, or a repeated parameter.", "查询串的参数超过 256 个；或状态页的查询串中有不支持的参数或值，或同一参数出现了两次。"],
        ["See `hint` for the parameters that exist; encode the page's URL", "可用的参数见 `hint`；页面地址要编码"];
    BadBody: "bad_body", 400, "Invalid body",
        ["The body is not the JSON that this endpoint expects.", "请求体不是本接口接受的 JSON。"],
        [r#"`reject` expects `{"value": "…"}`"#, r#"`reject` 的请求体是 `{"value": "…"}`"#];
    AccountRequired: "account_required", 400, "Account required",
        ["The request names no account, and there is no default: server.default_account is empty, and the configuration has several accounts that sign pages, or none.", "请求未指定账号，也没有默认账号：未设置 server.default_account，且配置文件中没有可签名的账号，或不止一个。"],
        ["Send `account=` (always for `PLATFORM/APPID`), or set `server.default_account` to an account of the configuration", "请求带上 `account=`（`平台名/AppID` 必须带上），或将 `server.default_account` 设为配置文件中的账号"];
    Unauthorized: "unauthorized", 401, "API key required",
        ["The request has no API key, or an invalid one.", "请求中没有 API key，或 API key 无效。"],
        ["Send `Authorization: Bearer KEY`. Create a key with `wx-jssdk keys new`", "请求头加上 `Authorization: Bearer KEY`；用 `wx-jssdk keys new` 生成 API key"];
    PageNotAllowed: "page_not_allowed", 403, "The page is outside the account's JS safe domains",
        ["The page's host is not one of the account's JS safe domains.", "页面域名不在该账号的 JS接口安全域名内。"],
        ["Bind the page's domain in WeChat's console **and** add it to the account's `js_safe_domains`", "域名要在微信后台绑定，**同时**写进该账号的 `js_safe_domains`"];
    Forbidden: "forbidden", 403, "API key not allowed",
        ["The API key does not allow this account and kind of credential.", "该 API key 无权访问此账号的这类凭证。"],
        ["Check the key's `accounts`, `kinds`, `token` and `manage` in `server.api_keys`", "检查 `server.api_keys` 中该 key 的 `accounts`、`kinds`、`token` 和 `manage`"];
    CrossSite: "cross_site", 403, "Cross-site request refused",
        ["A browser sent the request for a page of another site, or X-Requested-With: wx-jssdk is missing where it is required.", "浏览器代其他网站的页面发出了请求；或缺少必需的请求头 X-Requested-With: wx-jssdk。"],
        ["Call the admin listener from a server, with an API key, and not from a web page", "请从服务器带 API key 访问管理端口，不要从网页访问"];
    UnknownAccount: "unknown_account", 404, "Unknown account",
        ["No account has this name.", "没有这个名称的账号。"],
        ["Use a configured name, or `PLATFORM/APPID` once that account has authorised", "使用已配置的账号名；授权账号用 `平台名/AppID`，授权后才能使用"];
    UnsupportedCredential: "unsupported_credential", 404, "Unsupported credential",
        ["The account's platform does not have this credential.", "该账号所属平台没有这种凭证。"],
        ["Mini programs have no ticket and sign no pages; `agent-config` is for WeCom, coupons for official accounts", "小程序没有 ticket，不能为页面签名；`agent-config` 只用于企业微信，卡券只用于公众号"];
    NotFound: "not_found", 404, "Not found",
        ["There is no endpoint at this path.", "没有这个接口。"],
        ["See `hint` for the endpoints that exist, or `/docs` on the admin listener", "可用的接口见 `hint`，或管理端口的 `/docs`"];
    MethodNotAllowed: "method_not_allowed", 405, "Method not allowed",
        ["The endpoint does not support this method; see Allow.", "该接口不支持此请求方法，见 Allow 响应头。"],
        ["Use the method in `Allow`", "使用 `Allow` 中的请求方法"];
    AccountConflict: "account_conflict", 409, "Account exists elsewhere",
        ["The account is in the configuration or authorised an open platform, so the API cannot change it; or another account is the same app.", "该账号在配置文件中或来自第三方平台授权，接口不能修改；或另一个账号是同一个应用。"],
        ["Change the account in the configuration, or remove the other account of the same app first; see `detail`", "在配置文件中修改该账号，或先删除同一应用的另一个账号；见 `detail`"];
    VersionConflict: "version_conflict", 412, "Account has another version",
        ["The account does not have the version that If-Match or If-None-Match demands.", "账号的当前版本不满足 If-Match 或 If-None-Match。"],
        ["Get the account again, and send its `ETag` as `If-Match`", "重新获取该账号，以其 `ETag` 作为 `If-Match` 再次提交"];
    BodyTooLarge: "body_too_large", 413, "Body too large",
        ["The body is larger than this endpoint accepts.", "请求体超过本接口的上限。"],
        ["Send less: 8 KB, `diagnose` 64 KB, `/status/refresh` 2 KB", "减小请求体：上限 8 KB，`diagnose` 64 KB，`/status/refresh` 2 KB"];
    UnsupportedMediaType: "unsupported_media_type", 415, "JSON required",
        ["The body is not sent as application/json.", "请求体的 Content-Type 不是 application/json。"],
        ["Send `Content-Type: application/json`", "请求头设为 `Content-Type: application/json`"];
    ForeignHost: "foreign_host", 421, "Unknown host name",
        ["A browser opened the admin listener under a host name that is not in server.admin_hosts.", "浏览器打开管理端口所用的域名不在 server.admin_hosts 中。"],
        ["Open the admin listener by IP address, or add the name to `server.admin_hosts`", "用 IP 地址打开管理端口，或把域名加入 `server.admin_hosts`"];
    RateLimited: "rate_limited", 429, "Too many requests",
        ["A rate limit was exceeded: requests of one client (limits.requests_per_second), the doctor, QR codes, refreshes on request (at most one in 30 s), or large answers of the admin listener that are not read. Retry after Retry-After.", "超出限流：单个客户端超过 limits.requests_per_second，或诊断、二维码、主动刷新过于频繁（同一凭证至少间隔 30 秒），或管理端口的大响应未被读完。请在 Retry-After 之后重试。"],
        ["Wait for `Retry-After`. Pages: behind a proxy, set `server.trusted_proxies`; else see `limits.requests_per_second`. `reject`: 30 s between two refreshes of a credential, 15 minutes after 20 on one day", "按 `Retry-After` 等待。页面：前面有代理时要设置 `server.trusted_proxies`，否则见 `limits.requests_per_second`；`reject`：同一凭证两次刷新至少间隔 30 秒，当天满 20 次后为 15 分钟"];
    LockedOut: "locked_out", 429, "Address locked out",
        ["The API key is invalid, and too many different invalid ones came from this address. A valid key passes at any time; other invalid ones are checked again after Retry-After.", "API key 无效，且来自该地址的不同错误 key 过多。有效的 key 不受影响；其他错误的 key 在 Retry-After 之后才会再次校验。"],
        ["Give the client the correct API key; it works at once. See `limits.wrong_keys`", "给该客户端换上正确的 API key，立即可用；见 `limits.wrong_keys`"];
    AccountMisconfigured: "account_misconfigured", 502, "This account is refused until an operator acts",
        ["WeChat, or the egress proxy, refuses this account until the operator acts (secret, IP allow-list, penalised account, the proxy's password); see errcode.", "微信或出口代理拒绝该账号，需要人工处理（secret、IP 白名单、账号被处罚、代理密码等），具体见 errcode。"],
        ["Follow `hint` or run `wx-jssdk check`. The service recovers within about five minutes after the fix, without a restart; after 89506 and 89507 press \"refresh now\" on the status page", "按 `hint` 处理，或运行 `wx-jssdk check`；改好后约 5 分钟内自动恢复，不用重启；89506、89507 还需在状态页点“立即刷新”"];
    UpstreamUnavailable: "upstream_unavailable", 503, "No credential from WeChat",
        ["WeChat returns no credential at the moment, and no valid one is left.", "微信暂时没有返回凭证，也没有仍然有效的凭证。"],
        ["Retry after `Retry-After`. The cause is in the log and at `/readyz`", "按 `Retry-After` 重试；原因见日志和 `/readyz`"];
    AccountsNotLoaded: "accounts_not_loaded", 503, "Accounts not known yet",
        ["No account that is known yet has this name, and the accounts of the store or of this open platform have not been read since the start.", "已知账号中没有这个名称，但启动以来尚未读到存储中的账号或该第三方平台的授权账号。"],
        ["Retry after `Retry-After`. If it lasts: the store cannot be read, or the platform has had no component_verify_ticket; see the log and `/status`", "按 `Retry-After` 重试；若一直如此，是存储读不到，或该平台还没有收到 component_verify_ticket，见日志和 `/status`"];
    StoreUnavailable: "store_unavailable", 503, "Store unavailable",
        ["The store cannot be read or written at the moment, so accounts cannot be managed.", "存储暂时无法读写，因此无法管理账号。"],
        ["Retry when the store is reachable again. The cause is in the log and at `/status`", "存储恢复后重试；原因见日志和 `/status`"];
    UpstreamQuota: "upstream_quota", 503, "The account's quota at WeChat is exhausted",
        ["The account's quota at WeChat is exhausted; it resets after Retry-After.", "该账号在微信的调用额度已用尽，恢复时间见 Retry-After。"],
        ["Wait for `Retry-After`, or reset the quota: runbook [45009](OPERATIONS.md#wechat-answers-45009)", "按 `Retry-After` 等待，或清零调用次数，见 [45009](OPERATIONS.md#微信返回-45009) 的处置步骤"];
}

impl std::fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
