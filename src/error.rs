//! What can go wrong, and what to do about it.
//!
//! An upstream failure is classed once, here, by what to do next ([`Class`]), and explained once, in English and Chinese
//! ([`codes`]). Nothing outside this room knows an errcode.

pub mod codes;
mod transport_errors;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use codes::{Advice, explain};
pub use transport_errors::EGRESS_IS_NOT_FIXED;
use transport_errors::*;

use crate::clock::UnixTime;
use crate::credential::Kind;

/// A sentence in both languages of our readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// English.
    pub en: Cow<'static, str>,
    /// 中文。
    pub zh: Cow<'static, str>,
}

impl Hint {
    /// A fixed sentence.
    #[must_use]
    pub const fn fixed(en: &'static str, zh: &'static str) -> Self {
        Self {
            en: Cow::Borrowed(en),
            zh: Cow::Borrowed(zh),
        }
    }
}

/// Whether a character of foreign text may be kept for logs and pages: one that is seen. Control characters break lines, bidi marks
/// turn them round, zero-width ones hide words from a search and secrets from being struck out.
pub(crate) fn is_visible(c: char) -> bool {
    // The standard library escapes exactly what cannot be printed, and beside it these three.
    matches!(c, '"' | '\'' | '\\' | '\u{3000}') || c.escape_debug().len() == 1
}

/// What to do about an upstream failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Try again, later and later, with jitter.
    Transient,
    /// The token is dead before its time: renew it once and repeat the call once.
    StaleToken,
    /// A quota is used up: every call until it resets only makes it worse.
    Quota,
    /// A person must act (secret, allow-list, punished account): try rarely, say it loudly, with the fix.
    Setup,
}

impl Class {
    /// The name in logs and metrics.
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

/// Which of WeChat's two systems answered: the same errcode may mean another thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum System {
    /// `api.weixin.qq.com`: official accounts and mini programs.
    Weixin,
    /// `qyapi.weixin.qq.com`: WeCom.
    Qyapi,
}

/// What the call was paid with: 40001 on a call with the secret means a wrong secret, with a token a dead token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Paid {
    /// A token call.
    WithSecret,
    /// A ticket call, or any other with `access_token=`.
    WithToken,
}

/// When a call that failed may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// 1 s, 2 s, 4 s … 60 s, with jitter.
    Backoff,
    /// A minute, doubling up to five: somebody has to act, and asking more often is not answered better.
    Slow,
    /// When the current minute is over.
    NextMinute,
    /// When the day turns in Shanghai; tried once an hour before, since the console can clear a day's quota at any time.
    NextDay,
    /// A time that WeChat itself names.
    For(Duration),
    /// The end of a block that WeChat put on an earlier call.
    Until(UnixTime),
}

/// One call to WeChat that brought nothing usable.
///
/// Prints no secret: URLs are taken out of transport errors, and the values sent are struck out of WeChat's own text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamError {
    /// The path called, e.g. `/cgi-bin/token`.
    pub endpoint: &'static str,
    /// Which system it was.
    pub system: System,
    /// What it was paid with.
    pub paid: Paid,
    /// What happened.
    pub failure: Failure,
    /// Other addresses that WeChat saw this server call from and refused, of the last day, latest first.
    pub also_seen: Vec<IpAddr>,
}

/// How an upstream call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The request never reached WeChat: no name, no route, connection refused, TLS refused.
    Unreachable(String),
    /// The request never reached WeChat: the certificate of the server that answered is not trusted here.
    Untrusted(String),
    /// It was sent, but no whole answer came back: it may have been carried out.
    ReplyLost(String),
    /// A whole answer came that is not JSON: another server's.
    NotJson {
        /// Its HTTP status.
        status: u16,
        /// Its size and its first words.
        what: String,
    },
    /// An answer came that cannot be used: another shape, empty value, absurd life.
    Unusable(String),
    /// No call was made: the shared store, through which the processes agree on who calls, could not be asked.
    StoreUnreachable(String),
    /// WeChat said no.
    Refused {
        /// Its code.
        errcode: i64,
        /// Its words. They name this server's IP: never for the public.
        errmsg: String,
        /// The end of the block that the store remembers, where it does.
        blocked_until: Option<UnixTime>,
        /// How many such calls the processes that share the store made today, where that is far from what WeChat grants.
        few_calls: Option<u64>,
    },
}

impl Failure {
    /// WeChat's answer to a spent quota, remembered instead of heard once more.
    #[must_use]
    pub fn spent_until(until: UnixTime, few_calls: Option<u64>) -> Self {
        let errmsg = format!(
            "the quota was spent earlier: no call is made before {}",
            until.utc()
        );
        Self::Refused {
            errcode: codes::SPENT,
            errmsg,
            blocked_until: Some(until),
            few_calls,
        }
    }

    /// What was said, by WeChat or by the machine between: for the operator only.
    #[must_use]
    pub fn said(&self) -> Cow<'_, str> {
        match self {
            Self::Refused { errmsg: said, .. }
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
    /// What to do.
    #[must_use]
    pub fn class(&self) -> Class {
        self.advice()
            .map_or(Class::Transient, |advice| advice.class)
    }

    /// When to try again.
    #[must_use]
    pub fn wait(&self) -> Wait {
        match self.failure {
            // It has begun when WeChat said so, not when it was read of.
            Failure::Refused {
                blocked_until: Some(until),
                ..
            } => Wait::Until(until),
            _ => self.advice().map_or(Wait::Backoff, |advice| advice.wait),
        }
    }

    /// WeChat's code, where it spoke.
    #[must_use]
    pub fn errcode(&self) -> Option<i64> {
        match self.failure {
            Failure::Refused { errcode, .. } => Some(errcode),
            _ => None,
        }
    }

    /// Whether WeChat may have carried the call out although no answer can be used.
    #[must_use]
    pub fn may_have_been_carried_out(&self) -> bool {
        matches!(
            self.failure,
            Failure::ReplyLost(_) | Failure::NotJson { .. } | Failure::Unusable(_)
        )
    }

    /// Whether it is a spent quota that the store remembers, so that another process can lift it.
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

    /// Until when no process calls again, since its quota is spent; `None` for every other failure, and for a minute's quota.
    #[must_use]
    pub fn spent_until(&self, now: UnixTime) -> Option<UnixTime> {
        match (self.class(), self.wait()) {
            (Class::Quota, Wait::NextDay) => Some(next_probe(now)),
            (Class::Quota, Wait::For(time)) => Some(now.plus(time)),
            _ => None,
        }
    }

    /// The IP address that WeChat saw this server call from, where its refusal names one: the one to put in the allow-list.
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

    /// The addresses to put into the allow-list, where this is a refusal for want of that: the latest first.
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

    /// The cause, in both languages.
    #[must_use]
    pub fn cause(&self) -> Hint {
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
            Failure::ReplyLost(_) => REPLY_LOST_CAUSE,
            Failure::NotJson { .. } => NOT_JSON_CAUSE,
            Failure::Unusable(_) => UNUSABLE_CAUSE,
            Failure::StoreUnreachable(_) => STORE_CAUSE,
        }
    }

    /// What to do next, in both languages. Names no IP: fit for the public.
    #[must_use]
    pub fn fix(&self) -> Hint {
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

    /// [`UpstreamError::fix`] with the IPs to allow, where WeChat's refusal names one: for the operator.
    #[must_use]
    pub fn fix_for_operator(&self) -> Hint {
        let fix = self.fix();
        let ips = self.ips_to_allow();
        let list: Vec<_> = ips.iter().map(IpAddr::to_string).collect();
        match list.as_slice() {
            [] => fix,
            [ip] => Hint {
                en: format!("{} The IP to allow: {ip}", fix.en).into(),
                zh: format!("{}需要加入的 IP：{ip}", fix.zh).into(),
            },
            _ => Hint {
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

/// When a spent day is tried again: it turns at midnight in Shanghai, and the console can clear it before.
#[must_use]
pub(crate) fn next_probe(now: UnixTime) -> UnixTime {
    now.next_shanghai_midnight().min(now.plus(PROBE_EVERY))
}

/// The day's quota is spent, and not by this program.
fn used_elsewhere(advice: Option<&Advice>, calls: u64) -> Hint {
    let cause = advice.map_or(UNREACHABLE_CAUSE, |advice| advice.cause.clone());
    Hint {
        en: format!(
            "{}, but only {calls} of them were made here: another server uses this account's quota",
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

/// Stable mode has a quota of its own, which is much larger.
fn with_stable_mode(advice: Option<&Advice>) -> Hint {
    let fix = advice.map_or(UNREACHABLE_FIX, |advice| advice.fix.clone());
    Hint {
        en: format!(
            "{} token_mode = \"stable\" has a quota of its own, 250 times as large.",
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

/// How the path of classic mode's token call ends, and no other's.
const CLASSIC_TOKEN: &str = "/token";

/// How often a spent day's quota is tried: one call of all who share the store.
const PROBE_EVERY: Duration = Duration::from_secs(60 * 60);

/// The longest page URL that is signed, in bytes before its `#`. Browsers and proxies give up earlier.
pub const MAX_PAGE_URL: usize = 16 * 1024;

/// Why a page URL cannot be signed. Each says what the page did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// Nothing there.
    #[error("the url is empty")]
    Empty,
    /// Longer than [`MAX_PAGE_URL`].
    #[error("the url is longer than {} bytes", MAX_PAGE_URL)]
    TooLong,
    /// Starts with `http%3A`: encoded twice.
    #[error("the url was percent-encoded twice")]
    DoubleEncoded,
    /// No `http://` or `https://` in front.
    #[error("the url does not start with http:// or https://")]
    NotHttp,
    /// A space, a tab, a newline or another control character in it.
    #[error("the url holds a space or a control character")]
    Blank,
    /// Bytes above 127: a browser's `location.href` has none.
    #[error("the url holds characters that a browser percent-encodes")]
    NotAscii,
    /// `user@host`.
    #[error("the url holds a user name or a backslash before its host")]
    UserInfo,
    /// No host that could be parsed.
    #[error("the url has no valid host")]
    NoHost,
}

impl PageError {
    /// What the page has to do.
    #[must_use]
    pub fn hint(self) -> Hint {
        match self {
            Self::DoubleEncoded => Hint::fixed(
                "Encode it once: encodeURIComponent(location.href), and let no router, axios params or template encode it again.",
                "只编码一次：encodeURIComponent(location.href)，不要再被路由、axios 的 params 或模板编码一遍。",
            ),
            Self::Blank | Self::NotAscii => Hint::fixed(
                "Send location.href as the browser gives it, through encodeURIComponent, never a decoded one: WeChat checks the encoded form.",
                "请把浏览器给出的 location.href 原样经 encodeURIComponent 后传入，不要先解码：微信校验的是编码后的地址。",
            ),
            Self::TooLong => Hint::fixed(
                "Keep data out of the page's query, for example in sessionStorage or behind the #.",
                "不要把大量数据放进页面地址的参数，可放进 sessionStorage 或 # 之后。",
            ),
            Self::Empty | Self::NotHttp | Self::UserInfo | Self::NoHost => Hint::fixed(
                "Send the whole address of the page: 'url=' + encodeURIComponent(location.href.split('#')[0]).",
                "请传入页面的完整地址：'url=' + encodeURIComponent(location.href.split('#')[0])。",
            ),
        }
    }
}

/// What the broker answers instead of a credential or a signature.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No account has this name.
    #[error("there is no account \"{account}\"")]
    UnknownAccount {
        /// The name asked for.
        account: String,
    },
    /// The request names no account, and there is no default.
    #[error("the request names no account, and no account is the default")]
    AccountRequired,
    /// The account's platform has no such credential: a mini program has no jsapi_ticket.
    #[error("account \"{account}\" ({platform}) has no {kind}")]
    UnsupportedCredential {
        /// The account's name.
        account: String,
        /// Its platform.
        platform: &'static str,
        /// What was asked for.
        kind: Kind,
    },
    /// The page's URL cannot be signed at all.
    #[error("{0}")]
    Page(#[from] PageError),
    /// The page is on a host that the account has not bound.
    #[error("account \"{account}\" does not sign pages on \"{host}\"")]
    PageNotAllowed {
        /// The account's name.
        account: String,
        /// The page's host.
        host: String,
    },
    /// WeChat gave none, now or when it was last asked.
    #[error("{}: {error}", no_renewal(account, *kind, *served))]
    Upstream {
        /// The account's name.
        account: String,
        /// What was wanted.
        kind: Kind,
        /// Why there is none.
        error: Arc<UpstreamError>,
        /// Whether a living value is served meanwhile: then only the renewal failed that was asked for.
        served: bool,
        /// When it will be tried again.
        retry_at: UnixTime,
        /// From now until then.
        retry_after: Duration,
    },
    /// This credential was renewed on demand a moment ago; another renewal has to wait, so that no caller can burn the quota.
    #[error("the {kind} of account \"{account}\" was renewed a moment ago; ask again in {} s", retry_after.as_secs())]
    Rationed {
        /// The account's name.
        account: String,
        /// What was to be renewed.
        kind: Kind,
        /// How long to wait.
        retry_after: Duration,
    },
    /// The broker is shutting down or its refresh task died.
    #[error("the refresh of account \"{account}\"'s {kind} was interrupted")]
    Interrupted {
        /// The account's name.
        account: String,
        /// What was wanted.
        kind: Kind,
    },
}

/// What an [`Error::Upstream`] comes to, without why.
pub(crate) fn no_renewal(account: &str, kind: Kind, served: bool) -> String {
    match served {
        true => format!("could not renew the {kind} of account \"{account}\""),
        false => format!("account \"{account}\" has no living {kind}"),
    }
}

impl Error {
    /// A stable name for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownAccount { .. } => "unknown_account",
            Self::AccountRequired => "account_required",
            Self::UnsupportedCredential { .. } => "unsupported_credential",
            Self::Page(PageError::Empty) => "missing_url",
            Self::Page(PageError::DoubleEncoded) => "url_double_encoded",
            Self::Page(_) => "bad_url",
            Self::PageNotAllowed { .. } => "page_not_allowed",
            Self::Upstream { error, .. } => match error.class() {
                Class::Setup => "account_misconfigured",
                Class::Quota => "upstream_quota",
                Class::Transient | Class::StaleToken => "upstream_unavailable",
            },
            Self::Rationed { .. } => "rate_limited",
            Self::Interrupted { .. } => "upstream_unavailable",
        }
    }

    /// How long the caller should wait before asking again, where waiting helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Upstream { retry_after, .. } | Self::Rationed { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::Interrupted { .. } => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// The upstream failure behind it, where there is one.
    #[must_use]
    pub fn upstream(&self) -> Option<&UpstreamError> {
        match self {
            Self::Upstream { error, .. } => Some(error),
            _ => None,
        }
    }
}
