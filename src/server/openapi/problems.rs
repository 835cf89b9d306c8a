//! Every code of `application/problem+json`: its status and what it means. A test holds this table against the code.

use serde_json::{Value, json};

use super::build::says;
use crate::error::Hint;

/// What is said of one code.
pub(super) struct Documented {
    pub(super) code: &'static str,
    pub(super) status: u16,
    pub(super) text: Hint,
}

impl Documented {
    /// A body as it is answered.
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

    /// A row of the document's list of codes.
    pub(super) fn row(&self) -> Value {
        json!({ "code": self.code, "status": self.status, "en": self.text.en, "zh": self.text.zh })
    }
}

/// The row of a code.
///
/// # Panics
/// When there is none: the description is made when the service starts, and by every test.
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

/// In the order of their status.
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
        "The url is no address that a browser has: no http(s), a blank, a raw character that browsers encode, a user name, no host, or over 16 KiB.",
        "url 不是浏览器会有的地址：不是 http(s)、含空白或未编码的字符、含用户名、没有主机名，或超过 16 KiB。",
    ),
    problem(
        "url_not_encoded",
        400,
        "The page's address was put into the query without encodeURIComponent, so that its own parameters became this request's.",
        "页面地址未经 encodeURIComponent 就放进了查询串，它自己的参数因此变成了本请求的参数。",
    ),
    problem(
        "url_double_encoded",
        400,
        "The page's address was percent-encoded twice.",
        "页面地址被编码了两次。",
    ),
    problem(
        "duplicate_parameter",
        400,
        "A parameter is there twice; nobody can know which was meant.",
        "同一参数出现了两次，无法判断以哪个为准。",
    ),
    problem(
        "bad_list",
        400,
        "jsApiList or openTagList holds something that is no name, or more than 200 names.",
        "jsApiList 或 openTagList 中含有不是接口名的内容，或超过 200 个。",
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
        "A card's parameter is too long, holds control characters or is no number.",
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
        "The query holds a parameter or a value that the status page does not know.",
        "查询串中有状态页不认识的参数或值。",
    ),
    problem(
        "bad_body",
        400,
        "The body is not the JSON that this endpoint takes.",
        "请求体不是本接口接受的 JSON。",
    ),
    problem(
        "account_required",
        400,
        "The request names no account, several sign pages, and none is the default (server.default_account).",
        "请求未指定账号，而有多个可签名的账号且没有默认账号（server.default_account）。",
    ),
    problem(
        "unauthorized",
        401,
        "There is no API key in the request, or none that this server knows.",
        "请求中没有 API 密钥，或密钥无效。",
    ),
    problem(
        "page_not_allowed",
        403,
        "The page's host is not among the account's JS safe domains.",
        "页面域名不在该账号的 JS 接口安全域名内。",
    ),
    problem(
        "forbidden",
        403,
        "The API key does not open this account and kind of credential.",
        "该 API 密钥无权访问此账号的这类凭证。",
    ),
    problem(
        "cross_site",
        403,
        "A browser asks for a page of another site, or a program left out X-Requested-With: wx-jssdk where it is needed.",
        "浏览器代其他网站的页面发起了请求；或程序在需要时没有带 X-Requested-With: wx-jssdk。",
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
        "The account's platform has no such credential.",
        "该账号所属平台没有这种凭证。",
    ),
    problem(
        "not_found",
        404,
        "There is nothing at this address.",
        "该地址不存在。",
    ),
    problem(
        "method_not_allowed",
        405,
        "The endpoint takes another method; Allow names it.",
        "该接口使用其他请求方法，见 Allow 响应头。",
    ),
    problem(
        "body_too_large",
        413,
        "The body is larger than this endpoint takes.",
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
        "A browser opened the private listener under a name that is not in server.admin_hosts.",
        "浏览器用来打开私有监听的域名不在 server.admin_hosts 中。",
    ),
    problem(
        "rate_limited",
        429,
        "Too often: a client of the public listener (limits.requests_per_second), the doctor, or a renewal on demand, which is made once in 30 s at most. Ask again after Retry-After.",
        "请求过于频繁：公开监听的客户端超过 limits.requests_per_second，或诊断、主动刷新次数过多（同一凭证至少间隔 30 秒）。请在 Retry-After 之后重试。",
    ),
    problem(
        "locked_out",
        429,
        "The API key is wrong, and too many different wrong ones came from this address. The right key passes at any time; other wrong ones are checked again after Retry-After.",
        "API 密钥错误，且来自该地址的不同错误密钥过多。正确的密钥不受影响；其他错误密钥在 Retry-After 之后才会再次校验。",
    ),
    problem(
        "account_misconfigured",
        502,
        "WeChat refuses the account until its operator acts (secret, IP allow-list, punished account); errcode says which.",
        "微信拒绝该账号，需运营者处理（secret、IP 白名单、账号被处罚等），具体见 errcode。",
    ),
    problem(
        "upstream_unavailable",
        503,
        "WeChat gives no credential at the moment, and none is living.",
        "微信暂时没有给出凭证，且没有仍然有效的凭证。",
    ),
    problem(
        "upstream_quota",
        503,
        "The account's quota at WeChat is used up; Retry-After says until when.",
        "该账号在微信的调用配额已用尽，恢复时间见 Retry-After。",
    ),
];
