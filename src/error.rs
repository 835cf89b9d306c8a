//! Errors: what can go wrong and how to fix it.
//!
//! An upstream failure is classified here, once, by the required reaction ([`Class`]) and explained in
//! English and Chinese ([`codes`]). No other module handles errcodes.

mod bilingual_text;
pub mod codes;
mod problem_code;
mod proxy;
mod transport_errors;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use bilingual_text::Text;
pub use codes::{Advice, explain};
pub use problem_code::ProblemCode;
pub use proxy::ProxyProblem;
pub use transport_errors::EGRESS_IS_NOT_FIXED;
use transport_errors::*;

use crate::clock::UnixTime;
use crate::credential::Kind;

/// Returns whether a character of external text is visible and may be kept in logs and pages. Control
/// characters break lines, bidi marks reorder text, and zero-width characters hide words from a search and
/// secrets from redaction.
pub(crate) fn is_visible(c: char) -> bool {
    // `escape_debug` escapes every character that cannot be printed, and also the visible ones listed here.
    matches!(c, '"' | '\'' | '\\' | '\u{3000}') || c.escape_debug().len() == 1
}

/// How to react to an upstream failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Retry with increasing delays and jitter.
    Transient,
    /// The token was invalidated before its expiry: refresh it once and repeat the call once.
    StaleToken,
    /// A quota is used up: every call before it resets makes it worse.
    Quota,
    /// An operator must act (secret, allow-list, punished account): retry rarely and report the failure with
    /// its fix.
    Setup,
}

impl Class {
    /// Returns the name used in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::StaleToken => "stale_token",
            Self::Quota => "quota",
            Self::Setup => "setup",
        }
    }
}

/// The WeChat system that answered: the same errcode can have another meaning on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum System {
    /// `api.weixin.qq.com`: official accounts and mini programs.
    Weixin,
    /// `qyapi.weixin.qq.com`: WeCom.
    Qyapi,
}

/// The credential that authenticated the call. Errcode 40001 means a wrong AppSecret on a call with the
/// secret, and an invalid token on a call with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Paid {
    /// The AppSecret: a token call.
    WithSecret,
    /// An access token: a ticket call, or any other call with `access_token=`.
    WithToken,
}

/// When a failed call may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// 1 s, 2 s, 4 s … 60 s, with jitter.
    Backoff,
    /// One minute, doubling up to five: an operator must act, and retrying more often does not help.
    Slow,
    /// When the current minute ends.
    NextMinute,
    /// At midnight in Shanghai. Retried once an hour before that, since the console can clear a day's quota
    /// at any time.
    NextDay,
    /// A duration that WeChat specifies.
    For(Duration),
    /// The end of a block that WeChat imposed on an earlier call.
    Until(UnixTime),
}

/// An upstream call without a usable result.
///
/// Contains no secret: URLs are removed from transport errors, and the values sent are redacted from
/// WeChat's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamError {
    /// The path called, e.g. `/cgi-bin/token`.
    pub endpoint: &'static str,
    /// The system called.
    pub system: System,
    /// The credential that authenticated the call.
    pub paid: Paid,
    /// What happened.
    pub failure: Failure,
    /// Other IPs from which WeChat saw and rejected this server's calls within the last day, newest first.
    pub also_seen: Vec<IpAddr>,
}

/// How an upstream call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The request never reached WeChat: unknown host, no route, connection refused or TLS refused.
    Unreachable(String),
    /// The request never reached WeChat: the certificate of the server that answered is not trusted here.
    Untrusted(String),
    /// The request never reached WeChat: the egress proxy did not pass it.
    Proxy {
        /// What the proxy did.
        problem: ProxyProblem,
        /// The proxy's host and port, and the transport error.
        said: String,
    },
    /// The request was sent, but no complete response arrived: WeChat may have processed it.
    ReplyLost(String),
    /// A complete response that is not JSON: it came from another server.
    NotJson {
        /// The HTTP status.
        status: u16,
        /// The body's size and first words.
        what: String,
    },
    /// A response that cannot be used: wrong shape, empty value or implausible lifetime.
    Unusable(String),
    /// No call was made: the shared store, which coordinates the nodes' calls, could not be reached.
    StoreUnreachable(String),
    /// WeChat rejected the call.
    Refused {
        /// WeChat's errcode.
        errcode: i64,
        /// WeChat's errmsg. It names this server's IP, so it must never be shown publicly.
        errmsg: String,
        /// The end of the block, if the store has one recorded.
        blocked_until: Option<UnixTime>,
        /// How many such calls the nodes that share the store made today, if that is far below WeChat's
        /// quota.
        few_calls: Option<u64>,
    },
}

impl Failure {
    /// Returns the failure for a quota known to be spent, without calling WeChat again.
    #[must_use]
    pub fn spent_until(until: UnixTime, few_calls: Option<u64>) -> Self {
        let errmsg = format!("the quota is exhausted: no call before {}", until.utc());
        Self::Refused {
            errcode: codes::SPENT,
            errmsg,
            blocked_until: Some(until),
            few_calls,
        }
    }

    /// Returns whether the host could not be reached: nothing was sent, and another host may be reachable.
    #[must_use]
    pub fn is_about_the_host(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Untrusted(_) => true,
            Self::Proxy { problem, .. } => problem.is_about_the_host(),
            _ => false,
        }
    }

    /// Returns the text from WeChat or from the failed transport: for the operator only.
    #[must_use]
    pub fn said(&self) -> Cow<'_, str> {
        match self {
            Self::Refused { errmsg: said, .. }
            | Self::Proxy { said, .. }
            | Self::Unreachable(said)
            | Self::Untrusted(said)
            | Self::ReplyLost(said)
            | Self::Unusable(said)
            | Self::StoreUnreachable(said) => said.into(),
            Self::NotJson { status, what } => format!("HTTP {status}, {what}").into(),
        }
    }
}

impl UpstreamError {
    /// Returns how to react.
    #[must_use]
    pub fn class(&self) -> Class {
        match self.failure {
            Failure::Proxy { problem, .. } => problem.class(),
            _ => self
                .advice()
                .map_or(Class::Transient, |advice| advice.class),
        }
    }

    /// Returns when to retry.
    #[must_use]
    pub fn wait(&self) -> Wait {
        match self.failure {
            // The block began when WeChat reported it, not when this node read it from the store.
            Failure::Refused {
                blocked_until: Some(until),
                ..
            } => Wait::Until(until),
            Failure::Proxy { problem, .. } => problem.wait(),
            _ => self.advice().map_or(Wait::Backoff, |advice| advice.wait),
        }
    }

    /// Returns WeChat's errcode, if WeChat rejected the call.
    #[must_use]
    pub fn errcode(&self) -> Option<i64> {
        match self.failure {
            Failure::Refused { errcode, .. } => Some(errcode),
            _ => None,
        }
    }

    /// Returns whether WeChat may have processed the call although no usable response arrived.
    #[must_use]
    pub fn may_have_been_carried_out(&self) -> bool {
        matches!(
            self.failure,
            Failure::ReplyLost(_) | Failure::NotJson { .. } | Failure::Unusable(_)
        )
    }

    /// Returns whether this is a spent quota recorded in the store, so that another node can lift it.
    #[must_use]
    pub fn is_block(&self) -> bool {
        matches!(
            self.failure,
            Failure::Refused {
                blocked_until: Some(_),
                ..
            }
        )
    }

    /// Returns until when no node calls again because the quota is spent; `None` for every other failure and
    /// for a per-minute limit.
    #[must_use]
    pub fn spent_until(&self, now: UnixTime) -> Option<UnixTime> {
        match (self.class(), self.wait()) {
            (Class::Quota, Wait::NextDay) => Some(next_probe(now)),
            (Class::Quota, Wait::For(time)) => Some(now.plus(time)),
            _ => None,
        }
    }

    /// Returns the IP from which WeChat saw this server call, if its errmsg names one: the IP to add to the
    /// allow-list.
    #[must_use]
    pub fn seen_ip(&self) -> Option<&str> {
        let Failure::Refused { errmsg, .. } = &self.failure else {
            return None;
        };
        // "invalid ip 106.41.36.218 ipv6 ::ffff:106.41.36.218, not in whitelist"; "…, from ip: 106.41.36.218, more info at …";
        // "access clientip is not registered requestIP: 106.41.36.218 rid: …" (61004).
        let after = ["invalid ip ", "from ip: ", "requestIP: "]
            .into_iter()
            .find_map(|lead| errmsg.split_once(lead))
            .map(|(_, rest)| rest)?;
        let ip = after.split([' ', ',']).next().unwrap_or_default();
        ip.parse::<IpAddr>().is_ok().then_some(ip)
    }

    /// Returns the IPs to add to the allow-list, newest first; empty unless WeChat rejected the call because
    /// of its IP.
    #[must_use]
    pub fn ips_to_allow(&self) -> Vec<IpAddr> {
        let is_about_the_ip = matches!(
            self.errcode(),
            Some(40164 | 61004 | 45035 | 60020 | 89501..=89507)
        );
        let latest = self.seen_ip().filter(|_| is_about_the_ip);
        let latest = latest.and_then(|ip| ip.parse().ok());
        let mut ips: Vec<IpAddr> = latest.into_iter().collect();
        if !ips.is_empty() {
            let others = self.also_seen.iter().filter(|ip| Some(**ip) != latest);
            ips.extend(others);
        }
        ips
    }

    /// Returns the cause in both languages.
    #[must_use]
    pub fn cause(&self) -> Text {
        match &self.failure {
            Failure::Refused {
                few_calls: Some(calls),
                ..
            } => used_elsewhere(self.advice(), *calls),
            Failure::Refused { .. } => self
                .advice()
                .map_or(UNREACHABLE_CAUSE, |advice| advice.cause.clone()),
            Failure::Unreachable(_) => UNREACHABLE_CAUSE,
            Failure::Untrusted(_) => UNTRUSTED_CAUSE,
            Failure::Proxy { problem, .. } => problem.cause(),
            Failure::ReplyLost(_) => REPLY_LOST_CAUSE,
            Failure::NotJson { .. } => NOT_JSON_CAUSE,
            Failure::Unusable(_) => UNUSABLE_CAUSE,
            Failure::StoreUnreachable(_) => STORE_CAUSE,
        }
    }

    /// Returns the fix in both languages. It names no IP, so it may be shown publicly.
    #[must_use]
    pub fn fix(&self) -> Text {
        match &self.failure {
            Failure::Refused {
                errcode: codes::SPENT,
                ..
            } if self.endpoint.ends_with(CLASSIC_TOKEN) => with_stable_mode(self.advice()),
            Failure::Refused { .. } => self
                .advice()
                .map_or(UNREACHABLE_FIX, |advice| advice.fix.clone()),
            Failure::Unreachable(_) => UNREACHABLE_FIX,
            Failure::Untrusted(_) => UNTRUSTED_FIX,
            Failure::Proxy { problem, .. } => problem.fix(),
            Failure::NotJson { status: 404, .. } => {
                let setting = match self.system {
                    System::Weixin => "upstream.weixin",
                    System::Qyapi => "upstream.qyapi",
                };
                no_such_path(setting, self.endpoint)
            }
            Failure::NotJson { .. } => NOT_JSON_FIX,
            Failure::ReplyLost(_) | Failure::Unusable(_) => UNUSABLE_FIX,
            Failure::StoreUnreachable(_) => STORE_FIX,
        }
    }

    /// Returns [`UpstreamError::fix`] with the IPs to allow, if WeChat's errmsg names one: for the operator.
    #[must_use]
    pub fn fix_for_operator(&self) -> Text {
        let fix = self.fix();
        let ips = self.ips_to_allow();
        let list: Vec<_> = ips.iter().map(IpAddr::to_string).collect();
        match list.as_slice() {
            [] => fix,
            [ip] => Text {
                en: format!("{} The IP to allow: {ip}", fix.en).into(),
                zh: format!("{}需要加入的 IP：{ip}", fix.zh).into(),
            },
            _ => Text {
                en: format!(
                    "{} {} The IPs to allow: {}",
                    fix.en,
                    EGRESS_IS_NOT_FIXED.en,
                    list.join(", ")
                )
                .into(),
                zh: format!(
                    "{}{}需要加入的 IP：{}",
                    fix.zh,
                    EGRESS_IS_NOT_FIXED.zh,
                    list.join("、")
                )
                .into(),
            },
        }
    }

    fn advice(&self) -> Option<&'static Advice> {
        self.errcode()
            .map(|errcode| explain(self.system, self.paid, errcode))
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            Failure::Unreachable(why)
            | Failure::Untrusted(why)
            | Failure::Proxy { said: why, .. }
            | Failure::StoreUnreachable(why) => {
                write!(f, "{} could not be reached: {why}", self.endpoint)
            }
            Failure::ReplyLost(why) => write!(f, "the answer of {} was lost: {why}", self.endpoint),
            Failure::NotJson { .. } | Failure::Unusable(_) => {
                let why = self.failure.said();
                write!(f, "the answer of {} cannot be used: {why}", self.endpoint)
            }
            Failure::Refused {
                errcode, errmsg, ..
            } => write!(f, "{} refused: {errcode} {errmsg}", self.endpoint),
        }
    }
}

impl std::error::Error for UpstreamError {}

/// Returns when to retry after the day's quota is spent: at midnight in Shanghai at the latest, and earlier
/// because the console can clear the quota.
#[must_use]
pub(crate) fn next_probe(now: UnixTime) -> UnixTime {
    now.next_shanghai_midnight().min(now.plus(PROBE_EVERY))
}

/// Returns the cause of a day's quota that another server has spent.
fn used_elsewhere(advice: Option<&Advice>, calls: u64) -> Text {
    let cause = advice.map_or(UNREACHABLE_CAUSE, |advice| advice.cause.clone());
    Text {
        en: format!(
            "{}, but this service made only {calls} calls: another server uses this account's quota",
            cause.en
        )
        .into(),
        zh: format!(
            "{}，但本服务今天只调用了 {calls} 次：额度是被其他服务用掉的",
            cause.zh
        )
        .into(),
    }
}

/// Returns the fix with a pointer to stable mode, which has its own, much larger quota.
fn with_stable_mode(advice: Option<&Advice>) -> Text {
    let fix = advice.map_or(UNREACHABLE_FIX, |advice| advice.fix.clone());
    Text {
        en: format!(
            "{} token_mode = \"stable\" has a separate quota, 250 times as large.",
            fix.en
        )
        .into(),
        zh: format!(
            "{}也可改用 token_mode = \"stable\"，它有单独的额度，是现在的 250 倍。",
            fix.zh
        )
        .into(),
    }
}

/// The end of the path of classic mode's token call. No other endpoint ends like this.
const CLASSIC_TOKEN: &str = "/token";

/// Interval between probes of a spent day's quota: one call by all nodes that share the store.
const PROBE_EVERY: Duration = Duration::from_secs(60 * 60);

/// Maximum length of a page URL before its `#`, in bytes. Browsers and proxies have lower limits.
pub const MAX_PAGE_URL: usize = 16 * 1024;

/// Reason why a page URL cannot be signed. Each variant names the page's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// The URL is empty.
    #[error("the url is empty")]
    Empty,
    /// Longer than [`MAX_PAGE_URL`].
    #[error("the url exceeds {} bytes", MAX_PAGE_URL)]
    TooLong,
    /// Starts with `http%3A`: encoded twice.
    #[error("the url was percent-encoded twice")]
    DoubleEncoded,
    /// Does not start with `http://` or `https://`.
    #[error("the url does not start with http:// or https://")]
    NotHttp,
    /// Contains a space, a tab, a newline or another control character.
    #[error("the url contains a space or a control character")]
    Blank,
    /// Contains bytes above 127, which a browser's `location.href` never does.
    #[error("the url contains characters that a browser percent-encodes")]
    NotAscii,
    /// Contains a user name (`user@host`) or a backslash before the host.
    #[error("the url contains a user name or a backslash before its host")]
    UserInfo,
    /// Has no host that can be parsed.
    #[error("the url has no valid host")]
    NoHost,
}

impl PageError {
    /// Returns how to correct the page.
    #[must_use]
    pub fn hint(self) -> Text {
        match self {
            Self::DoubleEncoded => Text::new(
                "Encode it once: encodeURIComponent(location.href); routers, axios params and templates must not encode it again.",
                "只编码一次：encodeURIComponent(location.href)，不要再被路由、axios 的 params 或模板编码一遍。",
            ),
            Self::Blank | Self::NotAscii => Text::new(
                "Send encodeURIComponent(location.href) without decoding it first: WeChat verifies the encoded form.",
                "请把浏览器给出的 location.href 原样经 encodeURIComponent 后传入，不要先解码：微信校验的是编码后的地址。",
            ),
            Self::TooLong => Text::new(
                "Move data out of the page's query, for example to sessionStorage or behind the #.",
                "不要把大量数据放进页面地址的参数，可放进 sessionStorage 或 # 之后。",
            ),
            Self::Empty | Self::NotHttp | Self::UserInfo | Self::NoHost => Text::new(
                "Send the page's full URL: 'url=' + encodeURIComponent(location.href.split('#')[0]).",
                "请传入页面的完整地址：'url=' + encodeURIComponent(location.href.split('#')[0])。",
            ),
        }
    }
}

/// Reason why the broker returns no credential or signature.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No account has this name.
    #[error("unknown account \"{account}\"")]
    UnknownAccount {
        /// The requested name.
        account: String,
    },
    /// The request names no account, and there is no default.
    #[error("the request names no account, and there is no default account")]
    AccountRequired,
    /// The account's platform has no such credential: a mini program, for example, has no jsapi_ticket.
    #[error("account \"{account}\" ({platform}) has no {kind}")]
    UnsupportedCredential {
        /// The account's name.
        account: String,
        /// Its platform.
        platform: &'static str,
        /// The requested credential.
        kind: Kind,
    },
    /// The page's URL cannot be signed.
    #[error("{0}")]
    Page(#[from] PageError),
    /// The page is on a host that is not bound to the account.
    #[error("account \"{account}\" does not sign pages on \"{host}\"")]
    PageNotAllowed {
        /// The account's name.
        account: String,
        /// The page's host.
        host: String,
    },
    /// WeChat issued no credential, now or at the last attempt.
    #[error("{}: {error}", no_refresh(account, *kind, *served))]
    Upstream {
        /// The account's name.
        account: String,
        /// The requested credential.
        kind: Kind,
        /// The upstream failure.
        error: Arc<UpstreamError>,
        /// Whether a valid value is still served, so that only the requested refresh failed.
        served: bool,
        /// When the next attempt is made.
        retry_at: UnixTime,
        /// The time until the next attempt.
        retry_after: Duration,
    },
    /// The credential was refreshed on request a moment ago. The rate limit delays another refresh, so that
    /// no caller can exhaust WeChat's quota.
    #[error("the {kind} of account \"{account}\" was refreshed a moment ago; retry in {} s", retry_after.as_secs())]
    RateLimited {
        /// The account's name.
        account: String,
        /// The credential to refresh.
        kind: Kind,
        /// How long to wait.
        retry_after: Duration,
    },
    /// The broker is shutting down or its refresh task died.
    #[error("the refresh of account \"{account}\"'s {kind} was interrupted")]
    Interrupted {
        /// The account's name.
        account: String,
        /// The requested credential.
        kind: Kind,
    },
}

/// Returns the message of an [`Error::Upstream`] without the cause.
pub(crate) fn no_refresh(account: &str, kind: Kind, served: bool) -> String {
    match served {
        true => format!("could not refresh the {kind} of account \"{account}\""),
        false => format!("account \"{account}\" has no valid {kind}"),
    }
}

impl Error {
    /// Returns a stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.problem().as_str()
    }

    /// Returns the code of the problem that a web layer answers.
    #[must_use]
    pub fn problem(&self) -> ProblemCode {
        match self {
            Self::UnknownAccount { .. } => ProblemCode::UnknownAccount,
            Self::AccountRequired => ProblemCode::AccountRequired,
            Self::UnsupportedCredential { .. } => ProblemCode::UnsupportedCredential,
            Self::Page(PageError::Empty) => ProblemCode::MissingUrl,
            Self::Page(PageError::DoubleEncoded) => ProblemCode::UrlDoubleEncoded,
            Self::Page(_) => ProblemCode::BadUrl,
            Self::PageNotAllowed { .. } => ProblemCode::PageNotAllowed,
            Self::Upstream { error, .. } => match error.class() {
                Class::Setup => ProblemCode::AccountMisconfigured,
                Class::Quota => ProblemCode::UpstreamQuota,
                Class::Transient | Class::StaleToken => ProblemCode::UpstreamUnavailable,
            },
            Self::RateLimited { .. } => ProblemCode::RateLimited,
            Self::Interrupted { .. } => ProblemCode::UpstreamUnavailable,
        }
    }

    /// Returns how long to wait before retrying, if waiting helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Upstream { retry_after, .. } | Self::RateLimited { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::Interrupted { .. } => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// Returns the underlying upstream failure, if there is one.
    #[must_use]
    pub fn upstream(&self) -> Option<&UpstreamError> {
        match self {
            Self::Upstream { error, .. } => Some(error),
            _ => None,
        }
    }
}
