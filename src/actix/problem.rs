//! Errors as RFC 9457 `application/problem+json`: a stable code, and what to do, in English and Chinese.
//!
//! On the public listener, WeChat's error messages (they name the server's IP), tickets and the signed
//! text never appear. The admin listener passes WeChat's messages on ([`Problem::for_private`]): its
//! clients are the company's own servers.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use crate::credential::Kind;
use crate::error::{Error, Failure, Hint, UpstreamError, no_renewal};

/// An error answer.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// Stable, snake_case: for programs.
    pub code: &'static str,
    /// The error's name, for people.
    pub title: &'static str,
    /// The details of this case.
    pub detail: String,
    /// What to do.
    pub hint: Hint,
    /// WeChat's code, if WeChat answered.
    pub errcode: Option<i64>,
    /// When to retry.
    pub retry_after: Option<Duration>,
    /// WeChat's error in full: on the admin listener only.
    pub upstream: Option<Arc<UpstreamError>>,
}

/// The cause of a failed request, as an extension of its answer: for the access log, which sees no
/// bodies.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(not(feature = "server"), allow(dead_code))] // an embedder's application has no such log
pub(super) struct FailureCode {
    /// The problem's code.
    pub(super) code: Option<&'static str>,
    /// WeChat's errcode, or the one that this program answered in its place.
    pub(super) errcode: Option<i64>,
}

impl Problem {
    /// Creates a problem without an upstream error.
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: String,
        hint: Hint,
    ) -> Self {
        Self {
            status,
            code,
            title,
            detail,
            hint,
            errcode: None,
            retry_after: None,
            upstream: None,
        }
    }

    /// Creates a problem for an invalid request.
    pub(super) fn bad_request(code: &'static str, detail: String, hint: Hint) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            code,
            "The request cannot be understood",
            detail,
            hint,
        )
    }

    /// Creates the problem for a client on the admin listener: with WeChat's code and message, and the IP
    /// to allow in the fix.
    pub(crate) fn for_private(error: Error) -> Self {
        let detail = error.to_string();
        let upstream = match &error {
            Error::Upstream { error, .. } => Some(error.clone()),
            _ => None,
        };
        match &error {
            Error::UnsupportedCredential { .. } => Self::new(
                StatusCode::NOT_FOUND,
                error.code(),
                NO_SUCH_CREDENTIAL,
                detail,
                KINDS_HINT,
            ),
            _ => Self {
                detail,
                upstream,
                ..Self::from(error)
            },
        }
    }

    /// The body exceeds the limit and is not read to its end.
    pub(super) fn body_too_large(limit: usize, hint: Hint) -> Self {
        let detail = format!("the body is longer than {limit} bytes");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "The body is too large",
            detail,
            hint,
        )
    }

    /// No kind of credential has this name.
    pub(super) fn unknown_kind() -> Self {
        let detail = "the address names no kind of credential".into();
        Self::new(
            StatusCode::NOT_FOUND,
            "unsupported_credential",
            NO_SUCH_CREDENTIAL,
            detail,
            KINDS_HINT,
        )
    }

    /// `url=https://h/p?a=1&b=2`: everything from `&b` on is lost.
    pub(super) fn url_not_encoded() -> Self {
        Self::bad_request(
            "url_not_encoded",
            "the page's address was put into the query as it is, so that its own parameters became parameters of this request"
                .into(),
            Hint::fixed(
                "Encode it: '/jssdk/config?url=' + encodeURIComponent(location.href).",
                "请先编码：'/jssdk/config?url=' + encodeURIComponent(location.href)。",
            ),
        )
    }

    /// `card-ext` without a card.
    pub(super) fn missing_card_id() -> Self {
        Self::bad_request(
            "missing_card_id",
            "the parameter cardId is missing".into(),
            Hint::fixed(
                "Name the coupon: card-ext?cardId=….",
                "请指定卡券：card-ext?cardId=…。",
            ),
        )
    }

    /// The path exists but accepts only `allow`; set the `Allow` header to the same.
    pub(super) fn method_not_allowed(allow: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This endpoint does not answer this method",
            format!("it answers {allow} only"),
            Hint {
                en: format!("Call it with one of: {allow}.").into(),
                zh: format!("请使用以下方法之一：{allow}。").into(),
            },
        )
    }

    /// The path does not exist.
    pub(super) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "There is nothing at this address",
            "no endpoint has this path".into(),
            Hint::fixed(
                "The signing endpoint is GET /jssdk/config?url=.",
                "签名接口是 GET /jssdk/config?url=。",
            ),
        )
    }

    /// Clients have not read the large answers that they requested.
    #[cfg(feature = "server")]
    pub(crate) fn too_many_answers() -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "Too many requests",
                "too many large answers of this listener wait for their clients".into(),
                Hint::fixed(
                    "Read each answer to its end before the next request. Ask again after the time in Retry-After.",
                    "请读完每个响应再发下一个请求，并在 Retry-After 指定的时间后重试。",
                ),
            )
        }
    }

    /// Converts as [`Problem::into_response`] does, with an `Allow` header.
    pub(super) fn into_response_allowing(self, allow: &'static str) -> HttpResponse {
        let mut response = self.into_response();
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static(allow));
        response
    }

    /// Converts the problem to a response that is not cached.
    #[must_use]
    pub fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response
            .insert_header((CONTENT_TYPE, "application/problem+json"))
            .insert_header((CACHE_CONTROL, "no-store"));
        response.insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
        if let Some(wait) = self.retry_after {
            response.insert_header((RETRY_AFTER, wait.as_secs().max(1)));
        }
        let mut response = response.body(self.body());
        response.extensions_mut().insert(FailureCode {
            code: Some(self.code),
            errcode: self.errcode,
        });
        response
    }

    fn body(&self) -> String {
        let body = Body {
            r#type: format!("urn:wx-jssdk:error:{}", self.code),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            hint: Both {
                en: self.hint.en.as_ref().into(),
                zh: self.hint.zh.as_ref().into(),
            },
            errcode: self.errcode,
            upstream: self.upstream.as_deref().map(Upstream::of),
        };
        serde_json::to_string(&body).expect("texts and numbers always serialise")
    }
}

/// The problem document, with its members in reading order.
#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Problem))]
pub(crate) struct Body<'a> {
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
    hint: Both<'a>,
    /// WeChat's code, if WeChat answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    errcode: Option<i64>,
    /// WeChat's error in full: on the admin listener only.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<Upstream<'a>>,
}

/// A text in both languages.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Hint))]
pub(crate) struct Both<'a> {
    /// English.
    pub(crate) en: Cow<'a, str>,
    /// 中文。
    pub(crate) zh: Cow<'a, str>,
}

impl From<Hint> for Both<'static> {
    fn from(hint: Hint) -> Self {
        Self {
            en: hint.en,
            zh: hint.zh,
        }
    }
}

/// The upstream part of an error, for the admin listener.
#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub(crate) struct Upstream<'a> {
    /// The path that was called.
    endpoint: &'a str,
    /// WeChat's code, if WeChat answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    errcode: Option<i64>,
    /// WeChat's error message.
    #[serde(skip_serializing_if = "Option::is_none")]
    errmsg: Option<&'a str>,
    /// The cause.
    cause: Both<'a>,
    /// What to do, with the IP to allow if WeChat names it.
    fix: Both<'a>,
}

impl<'a> Upstream<'a> {
    fn of(error: &'a UpstreamError) -> Self {
        let errmsg = match &error.failure {
            Failure::Refused { errmsg, .. } => Some(errmsg.as_str()),
            _ => None,
        };
        let (cause, fix) = (error.cause().into(), error.fix_for_operator().into());
        Self {
            endpoint: error.endpoint,
            errcode: error.errcode(),
            errmsg,
            cause,
            fix,
        }
    }
}

const NO_SUCH_CREDENTIAL: &str = "This account has no such credential";

const KINDS_HINT: Hint = Hint::fixed(
    "Official accounts have access_token, jsapi_ticket and card_ticket; mini programs access_token; WeCom apps access_token, \
     jsapi_ticket and agent_ticket.",
    "公众号（服务号）有 access_token、jsapi_ticket 和 card_ticket；小程序只有 access_token；企业微信应用有 access_token、\
     jsapi_ticket 和 agent_ticket。",
);

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.clone().into_response()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, title) = status_and_title(error.code());
        Self {
            status,
            code: error.code(),
            title,
            detail: detail(&error),
            hint: hint(&error),
            errcode: error.upstream().and_then(|upstream| upstream.errcode()),
            retry_after: error.retry_after().filter(|_| {
                status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS
            }),
            upstream: None,
        }
    }
}

fn status_and_title(code: &str) -> (StatusCode, &'static str) {
    match code {
        "unknown_account" => (StatusCode::NOT_FOUND, "There is no such account"),
        "account_required" => (StatusCode::BAD_REQUEST, "The request names no account"),
        "unsupported_credential" => (StatusCode::NOT_FOUND, "This account does not sign pages"),
        "missing_url" => (StatusCode::BAD_REQUEST, "The page's address is missing"),
        "bad_url" => (
            StatusCode::BAD_REQUEST,
            "The page's address cannot be signed",
        ),
        "url_double_encoded" => (
            StatusCode::BAD_REQUEST,
            "The page's address was encoded twice",
        ),
        "page_not_allowed" => (
            StatusCode::FORBIDDEN,
            "The page is outside the account's JS safe domains",
        ),
        "rate_limited" => (StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        "account_misconfigured" => (
            StatusCode::BAD_GATEWAY,
            "WeChat refuses this account until its operator acts",
        ),
        "upstream_quota" => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The account's quota at WeChat is used up",
        ),
        _ => (
            StatusCode::SERVICE_UNAVAILABLE,
            "WeChat gives no credential at the moment",
        ),
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
                no_renewal(account, *kind, *served),
                error.cause().en
            )
        }
        // The text may quote the request, such as an account name or a host, whose length is unbounded.
        other => other.to_string().chars().take(MAX_DETAIL).collect(),
    }
}

/// Fits the longest possible host name (253 characters) and a sentence around it.
const MAX_DETAIL: usize = 400;

fn hint(error: &Error) -> Hint {
    match error {
        Error::AccountRequired => Hint::fixed(
            "Several accounts sign pages and none is the default: add account=NAME to the request, or set server.default_account.",
            "有多个可签名的账号且没有默认账号：请在请求中加上 account=账号名，或设置 server.default_account。",
        ),
        Error::UnknownAccount { .. } => Hint::fixed(
            "Use a name from the [accounts.NAME] sections of the configuration.",
            "请使用配置文件 [accounts.名称] 中的账号名。",
        ),
        Error::UnsupportedCredential {
            kind: Kind::AgentTicket,
            ..
        } => Hint::fixed(
            "agentConfig is WeCom's: name a WeCom account with account=, and use config for the others.",
            "agentConfig 只用于企业微信：请用 account= 指定企业微信账号，其他账号请用 config。",
        ),
        Error::UnsupportedCredential {
            kind: Kind::CardTicket,
            ..
        } => Hint::fixed(
            "Only official accounts have coupons: name one with account=.",
            "只有公众号（服务号）有卡券：请用 account= 指定。",
        ),
        Error::UnsupportedCredential { .. } => Hint::fixed(
            "Only official accounts and WeCom apps sign pages; a mini program has no jsapi_ticket.",
            "只有公众号（服务号）和企业微信应用可以签名页面，小程序没有 jsapi_ticket。",
        ),
        Error::Page(page) => page.hint(),
        Error::PageNotAllowed { .. } => Hint::fixed(
            "Bind the page's domain in WeChat's console (JS接口安全域名) and add it to js_safe_domains of this account.",
            "请在微信后台绑定该页面的域名（JS接口安全域名），并加入此账号的 js_safe_domains 配置。",
        ),
        Error::Upstream { error, .. } => {
            let (cause, fix) = (error.cause(), error.fix());
            Hint {
                en: format!("{}. {}", cause.en.trim_end_matches('.'), fix.en).into(),
                zh: format!("{}。{}", cause.zh.trim_end_matches('。'), fix.zh).into(),
            }
        }
        _ => Hint::fixed(
            "Ask again after the time in Retry-After.",
            "请在 Retry-After 指定的时间后重试。",
        ),
    }
}
