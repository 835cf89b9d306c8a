//! Every code of `application/problem+json` with its status and meaning. A test compares this table with the
//! code.

use serde_json::{Value, json};

use super::build::says;
use crate::error::Hint;

/// The documentation of one code.
pub(super) struct Documented {
    pub(super) code: &'static str,
    pub(super) status: u16,
    pub(super) text: Hint,
}

impl Documented {
    /// Returns an example body.
    pub(super) fn example(&self) -> Value {
        json!({
            "type": format!("urn:wx-jssdk:error:{}", self.code),
            "title": self.text.en,
            "status": self.status,
            "detail": self.text.en,
            "code": self.code,
            "hint": { "en": self.text.en, "zh": self.text.zh },
        })
    }

    /// Returns a row of the document's list of codes.
    pub(super) fn row(&self) -> Value {
        json!({ "code": self.code, "status": self.status, "en": self.text.en, "zh": self.text.zh })
    }
}

/// Returns the row of a code.
///
/// # Panics
/// If the code is unknown. The description is built when the service starts, and by every test.
pub(super) fn documented(code: &str) -> &'static Documented {
    PROBLEMS
        .iter()
        .find(|problem| problem.code == code)
        .unwrap_or_else(|| panic!("the problem {code} is not documented"))
}

const fn problem(
    code: &'static str,
    status: u16,
    en: &'static str,
    zh: &'static str,
) -> Documented {
    Documented {
        code,
        status,
        text: says(en, zh),
    }
}

/// Sorted by status.
pub(super) const PROBLEMS: &[Documented] = &[
    problem(
        "missing_url",
        400,
        "The parameter url is missing or empty.",
        "缺少 url 参数，或其值为空。",
    ),
    problem(
        "bad_url",
        400,
        "The url is not a URL that a browser would send: not http(s), contains blanks, unencoded characters or a user name, has no host, or exceeds 16 KiB.",
        "url 不是浏览器会给出的地址：不是 http(s)、含空白、未编码的字符或用户名、没有主机名，或超过 16 KiB。",
    ),
    problem(
        "url_not_encoded",
        400,
        "The page's URL was put into the query without encodeURIComponent, so its parameters became parameters of this request.",
        "页面地址未经 encodeURIComponent 就放进了查询串，它自己的参数因此变成了本请求的参数。",
    ),
    problem(
        "url_double_encoded",
        400,
        "The page's URL was percent-encoded twice.",
        "页面地址被编码了两次。",
    ),
    problem(
        "duplicate_parameter",
        400,
        "A parameter appears twice.",
        "同一参数出现了两次。",
    ),
    problem(
        "bad_list",
        400,
        "jsApiList or openTagList contains an invalid name, or more than 200 names.",
        "jsApiList 或 openTagList 中有无效的接口名，或超过 200 个。",
    ),
    problem(
        "bad_flag",
        400,
        "debug is neither true nor false.",
        "debug 的值既不是 true 也不是 false。",
    ),
    problem(
        "bad_card",
        400,
        "A coupon parameter is too long, contains control characters or is not a number.",
        "卡券参数过长、含控制字符或不是数字。",
    ),
    problem(
        "missing_card_id",
        400,
        "The parameter cardId is missing.",
        "缺少 cardId 参数。",
    ),
    problem(
        "bad_query",
        400,
        "The query contains a parameter or value that the status page does not support.",
        "查询串中有状态页不支持的参数或值。",
    ),
    problem(
        "bad_body",
        400,
        "The body is not the JSON that this endpoint expects.",
        "请求体不是本接口接受的 JSON。",
    ),
    problem(
        "account_required",
        400,
        "The request names no account, several accounts sign pages, and there is no default (server.default_account).",
        "请求未指定账号，而有多个可签名的账号且没有默认账号（server.default_account）。",
    ),
    problem(
        "unauthorized",
        401,
        "The request has no API key, or an invalid one.",
        "请求中没有 API key，或 API key 无效。",
    ),
    problem(
        "page_not_allowed",
        403,
        "The page's host is not one of the account's JS safe domains.",
        "页面域名不在该账号的 JS 接口安全域名内。",
    ),
    problem(
        "forbidden",
        403,
        "The API key does not allow this account and kind of credential.",
        "该 API key 无权访问此账号的这类凭证。",
    ),
    problem(
        "cross_site",
        403,
        "A browser sent the request for a page of another site, or X-Requested-With: wx-jssdk is missing where it is required.",
        "浏览器代其他网站的页面发出了请求；或缺少必需的请求头 X-Requested-With: wx-jssdk。",
    ),
    problem(
        "unknown_account",
        404,
        "No account has this name.",
        "没有这个名称的账号。",
    ),
    problem(
        "unsupported_credential",
        404,
        "The account's platform does not have this credential.",
        "该账号所属平台没有这种凭证。",
    ),
    problem(
        "not_found",
        404,
        "There is no endpoint at this path.",
        "没有这个接口。",
    ),
    problem(
        "method_not_allowed",
        405,
        "The endpoint does not support this method; see Allow.",
        "该接口不支持此请求方法，见 Allow 响应头。",
    ),
    problem(
        "body_too_large",
        413,
        "The body is larger than this endpoint accepts.",
        "请求体超过本接口的上限。",
    ),
    problem(
        "unsupported_media_type",
        415,
        "The body is not sent as application/json.",
        "请求体的 Content-Type 不是 application/json。",
    ),
    problem(
        "foreign_host",
        421,
        "A browser opened the admin listener under a host name that is not in server.admin_hosts.",
        "浏览器打开管理端口所用的域名不在 server.admin_hosts 中。",
    ),
    problem(
        "rate_limited",
        429,
        "A rate limit was exceeded: requests of one client (limits.requests_per_second), the doctor, or refreshes on request, at most one in 30 s. Retry after Retry-After.",
        "超出限流：单个客户端超过 limits.requests_per_second，或诊断、主动刷新过于频繁（同一凭证至少间隔 30 秒）。请在 Retry-After 之后重试。",
    ),
    problem(
        "locked_out",
        429,
        "The API key is invalid, and too many different invalid ones came from this address. A valid key passes at any time; other invalid ones are checked again after Retry-After.",
        "API key 无效，且来自该地址的不同错误 key 过多。有效的 key 不受影响；其他错误的 key 在 Retry-After 之后才会再次校验。",
    ),
    problem(
        "account_misconfigured",
        502,
        "WeChat refuses this account until the operator acts (secret, IP allow-list, penalised account); see errcode.",
        "微信拒绝该账号，需运营者处理（secret、IP 白名单、账号被处罚等），具体见 errcode。",
    ),
    problem(
        "upstream_unavailable",
        503,
        "WeChat gives no credential at the moment, and there is no valid one left.",
        "微信暂时没有返回凭证，也没有仍然有效的凭证。",
    ),
    problem(
        "upstream_quota",
        503,
        "The account's quota at WeChat is exhausted; it resets after Retry-After.",
        "该账号在微信的调用额度已用尽，恢复时间见 Retry-After。",
    ),
];
