//! Errors as RFC 9457 `application/problem+json`: a stable code, and what to do, in English and Chinese.
//!
//! On the public listener, WeChat's error messages (they name the server's IP), tickets and the signed
//! text never appear. The admin listener passes WeChat's messages on ([`Problem::for_admin`]): its
//! clients are the company's own servers.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::account::Platform;
use crate::credential::Kind;
use crate::error::{Error, Failure, PageError, ProblemCode, Text, UpstreamError, no_refresh};

/// A refused request.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The stable code, with its status and title.
    pub code: ProblemCode,
    /// The details of this case.
    pub detail: String,
    /// What to do.
    pub hint: Text,
    /// WeChat's code, if WeChat answered.
    pub errcode: Option<i64>,
    /// When to retry.
    pub retry_after: Option<Duration>,
    /// WeChat's error in full: on the admin listener only.
    pub upstream: Option<Arc<UpstreamError>>,
}

impl Problem {
    /// Creates a problem without an upstream error.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>, hint: Text) -> Self {
        Self {
            code,
            detail: detail.into(),
            hint,
            errcode: None,
            retry_after: None,
            upstream: None,
        }
    }

    /// Creates the problem for a client on the admin listener: with WeChat's code and message, and the IP
    /// to allow in the fix.
    pub(crate) fn for_admin(error: Error) -> Self {
        let detail = error.to_string();
        if let Error::UnsupportedCredential { .. } = error {
            return Self::new(error.problem(), detail, kinds_hint());
        }
        let upstream = match &error {
            Error::Upstream { error, .. } => Some(error.clone()),
            _ => None,
        };
        Self {
            detail,
            upstream,
            ..Self::from(error)
        }
    }

    /// The body exceeds the limit and is not read to its end.
    pub(crate) fn body_too_large(limit: usize, hint: Text) -> Self {
        let detail = format!("the body exceeds {limit} bytes");
        Self::new(ProblemCode::BodyTooLarge, detail, hint)
    }

    /// No kind of credential has this name.
    pub(crate) fn unknown_kind() -> Self {
        let detail = "the path names no kind of credential";
        Self::new(ProblemCode::UnsupportedCredential, detail, kinds_hint())
    }

    /// `url=https://h/p?a=1&b=2`: everything from `&b` on is lost.
    pub(super) fn url_not_encoded() -> Self {
        Self::new(
            ProblemCode::UrlNotEncoded,
            "the page's URL is in the query without encodeURIComponent, so its parameters became parameters of this request",
            Text::new(
                "Encode it: '/jssdk/config?url=' + encodeURIComponent(location.href).",
                "请先编码：'/jssdk/config?url=' + encodeURIComponent(location.href)。",
            ),
        )
    }

    /// `card-ext` without a card.
    pub(super) fn missing_card_id() -> Self {
        Self::new(
            ProblemCode::MissingCardId,
            "the parameter cardId is missing",
            Text::new(
                "Send the coupon: card-ext?cardId=….",
                "请指定卡券：card-ext?cardId=…。",
            ),
        )
    }

    /// The path exists but accepts only `allow`; set the `Allow` header to the same.
    pub(crate) fn method_not_allowed(allow: &str) -> Self {
        Self::new(
            ProblemCode::MethodNotAllowed,
            format!("allowed: {allow}"),
            Text::owned(
                format!("Use one of: {allow}."),
                format!("请使用以下方法之一：{allow}。"),
            ),
        )
    }

    /// The path does not exist.
    pub(crate) fn not_found() -> Self {
        Self::new(
            ProblemCode::NotFound,
            "no endpoint has this path",
            Text::new(
                "The signing endpoint: GET /jssdk/config?url={encoded page URL}",
                "签名接口：GET /jssdk/config?url={编码后的页面地址}",
            ),
        )
    }

    /// Returns the body, `application/problem+json`.
    pub fn body(&self) -> String {
        let body = Body {
            r#type: format!("urn:wx-jssdk:error:{}", self.code),
            title: self.code.title(),
            status: self.code.status(),
            detail: &self.detail,
            code: self.code.as_str(),
            hint: &self.hint,
            errcode: self.errcode,
            upstream: self.upstream.as_deref().map(Upstream::of),
        };
        serde_json::to_string(&body).expect("texts and numbers always serialise")
    }
}

/// The problem document, with its members in reading order.
#[derive(Serialize)]
struct Body<'a> {
    /// `urn:wx-jssdk:error:CODE`.
    r#type: String,
    /// The error's name, for people.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// The details of this case.
    detail: &'a str,
    /// Stable, snake_case: for programs.
    code: &'a str,
    /// What to do.
    hint: &'a Text,
    /// WeChat's code, if WeChat answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    errcode: Option<i64>,
    /// WeChat's error in full: on the admin listener only.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<Upstream<'a>>,
}

/// The upstream part of an error, for the admin listener.
#[derive(Serialize)]
struct Upstream<'a> {
    /// The path that was called.
    endpoint: &'a str,
    /// WeChat's code, if WeChat answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    errcode: Option<i64>,
    /// WeChat's error message.
    #[serde(skip_serializing_if = "Option::is_none")]
    errmsg: Option<&'a str>,
    /// The cause.
    cause: Text,
    /// What to do, with the IP to allow if WeChat names it.
    fix: Text,
}

impl<'a> Upstream<'a> {
    fn of(error: &'a UpstreamError) -> Self {
        let errmsg = match &error.failure {
            Failure::Refused { errmsg, .. } => Some(errmsg.as_str()),
            _ => None,
        };
        let (cause, fix) = (error.cause(), error.fix_for_operator());
        Self {
            endpoint: error.endpoint,
            errcode: error.errcode(),
            errmsg,
            cause,
            fix,
        }
    }
}

/// Lists the kinds of credentials that each platform has.
fn kinds_hint() -> Text {
    let platforms = [
        (Platform::Official, "official accounts", "公众号/服务号"),
        (Platform::Mini, "mini programs", "小程序"),
        (Platform::Work { agent_id: 0 }, "WeCom apps", "企业微信应用"),
        (Platform::Component, "open platforms", "第三方平台"),
    ];
    let kinds = |platform: Platform, comma| {
        let kinds: Vec<_> = platform.kinds().iter().map(|kind| kind.as_str()).collect();
        kinds.join(comma)
    };
    let en = platforms.map(|(platform, en, _)| format!("{en}: {}", kinds(platform, ", ")));
    let zh = platforms.map(|(platform, _, zh)| format!("{zh}：{}", kinds(platform, "、")));
    Text::owned(
        format!("Kinds of credentials: {}.", en.join("; ")),
        format!("凭证类型：{}。", zh.join("；")),
    )
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = error.problem();
        Self {
            errcode: error.upstream().and_then(UpstreamError::errcode),
            retry_after: error
                .retry_after()
                .filter(|_| matches!(code.status(), 429 | 503)),
            ..Self::new(code, detail(&error), hint(&error))
        }
    }
}

impl From<PageError> for Problem {
    fn from(error: PageError) -> Self {
        Error::from(error).into()
    }
}

/// Returns the error's text without WeChat's messages.
fn detail(error: &Error) -> String {
    match error {
        Error::Upstream {
            account,
            kind,
            error,
            served,
            ..
        } => {
            format!(
                "{}: {}",
                no_refresh(account, *kind, *served),
                error.cause().en
            )
        }
        // The text may quote the request, such as an account name or a host, whose length is unbounded.
        other => other.to_string().chars().take(MAX_DETAIL).collect(),
    }
}

/// Fits the longest possible host name (253 characters) and a sentence around it.
const MAX_DETAIL: usize = 400;

fn hint(error: &Error) -> Text {
    match error {
        Error::AccountRequired => Text::new(
            "Add account=NAME to the request (PLATFORM/APPID for an account that authorised a platform), or set server.default_account to an account of the configuration.",
            "请在请求中加上 account=账号名（授权给第三方平台的账号写作 平台名/AppID），或将 server.default_account 设为配置文件中的账号。",
        ),
        Error::UnknownAccount { .. } => Text::new(
            "Use the name of a configured account, or PLATFORM/APPID for an account that has authorised a platform.",
            "请使用已配置的账号名；授权给第三方平台的账号写作 平台名/AppID，授权后才能使用。",
        ),
        Error::AccountsNotLoaded { .. } => Text::new(
            "The service has started and is still reading its accounts: retry. If this lasts, /status says whether the store cannot be read or the open platform has had no ticket.",
            "服务刚启动，账号还没有读完，请稍后重试；若一直如此，/status 会说明是存储读不到，还是第三方平台没有收到 ticket。",
        ),
        Error::UnsupportedCredential {
            kind: Kind::AgentTicket,
            ..
        } => Text::new(
            "agentConfig is only for WeCom: send account= with a WeCom account, and use config for the others.",
            "agentConfig 只用于企业微信：请用 account= 指定企业微信账号，其他账号请用 config。",
        ),
        Error::UnsupportedCredential {
            kind: Kind::CardTicket,
            ..
        } => Text::new(
            "Only official accounts have coupons: send account= with one of them.",
            "只有公众号/服务号有卡券：请用 account= 指定。",
        ),
        Error::UnsupportedCredential { .. } => Text::new(
            "Only official accounts and WeCom apps sign pages; a mini program has no jsapi_ticket.",
            "只有公众号/服务号和企业微信应用可以为页面签名，小程序没有 jsapi_ticket。",
        ),
        Error::Page(page) => page.hint(),
        // An account that authorised an open platform.
        Error::PageNotAllowed { account, .. } if account.contains('/') => Text::new(
            "Bind the page's domain on open.weixin.qq.com (公众号开发域名), and add it to js_safe_domains of the account's platform.",
            "请在微信开放平台绑定该页面的域名（公众号开发域名），并加入该账号所属第三方平台的 js_safe_domains 配置。",
        ),
        Error::PageNotAllowed {
            platform: "work",
            host,
            ..
        } if host.contains('/') => Text::new(
            "js_safe_domains of this account has this host with another path: add this page's path, or the host without a path.",
            "此账号的 js_safe_domains 配置中，该域名带的是其他路径：请加入本页所在的路径，或不带路径的域名。",
        ),
        Error::PageNotAllowed {
            platform: "work", ..
        } => Text::new(
            "Add exactly this host (a trusted domain covers no subdomains) to the app's trusted domains (WeCom admin console → Apps → the app → Web authorisation and JS-SDK → 可信域名) and to js_safe_domains of this account.",
            "请在企业微信管理后台 → 应用管理 → 该应用 → 网页授权及JS-SDK，把该页面的域名设为可信域名（须完全一致，不覆盖子域名），并加入此账号的 js_safe_domains 配置。",
        ),
        Error::PageNotAllowed { host, .. } if host.contains('/') => Text::new(
            "The domain is bound with another path: bind it in WeChat's console (JS接口安全域名) and in js_safe_domains of this account with this page's path, or without one.",
            "该域名绑定的是其他路径：请在微信后台（JS接口安全域名）和此账号的 js_safe_domains 配置中绑定本页所在的路径，或不带路径的域名。",
        ),
        Error::PageNotAllowed { .. } => Text::new(
            "Bind the page's domain in WeChat's console (JS接口安全域名), and add it to js_safe_domains of this account.",
            "请在微信后台绑定该页面的域名（JS接口安全域名），并加入此账号的 js_safe_domains 配置。",
        ),
        Error::Upstream { error, .. } => {
            let (cause, fix) = (error.cause(), error.fix());
            Text::owned(
                format!("{}. {}", cause.en.trim_end_matches('.'), fix.en),
                format!("{}。{}", cause.zh.trim_end_matches('。'), fix.zh),
            )
        }
        _ => Text::new(
            "Retry after the time in Retry-After.",
            "请在 Retry-After 指定的时间后重试。",
        ),
    }
}
