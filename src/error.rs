//! Errors: what can go wrong and how to fix it.
//!
//! An upstream failure is classified here, once, by the required reaction ([`Class`]) and explained in
//! English and Chinese ([`codes`]). No other module handles errcodes.

mod bilingual_text;
pub mod codes;
mod open_platform;
mod page_error;
mod problem_code;
mod proxy;
mod transport_errors;
mod upstream_error;

use std::sync::Arc;
use std::time::Duration;

pub use bilingual_text::Text;
pub use codes::{Advice, explain};
pub use open_platform::PlatformProblem;
pub use page_error::{MAX_PAGE_URL, PageError};
pub use problem_code::ProblemCode;
pub use proxy::ProxyProblem;
pub use transport_errors::EGRESS_IS_NOT_FIXED;
pub(crate) use upstream_error::next_probe;
pub use upstream_error::{Failure, UpstreamError};

use crate::clock::UnixTime;
use crate::credential::Kind;

/// Returns whether a character of external text is visible and may be kept in logs and pages. Control
/// characters break lines, bidi marks reorder text, and zero-width characters hide words from a search and
/// secrets from redaction.
pub(crate) fn is_visible(c: char) -> bool {
    // `escape_debug` escapes every character that cannot be printed, and also the visible ones listed here.
    matches!(c, '"' | '\'' | '\\' | '\u{3000}') || c.escape_debug().len() == 1
}

/// Returns the first visible characters of an external text, at most `most`.
pub(crate) fn visible(text: &str, most: usize) -> String {
    text.chars().filter(|c| is_visible(*c)).take(most).collect()
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
#[non_exhaustive]
pub enum System {
    /// `api.weixin.qq.com`: official accounts and mini programs.
    Weixin,
    /// `qyapi.weixin.qq.com`: WeCom.
    Qyapi,
}

impl System {
    /// Returns WeChat's own host.
    fn host(self) -> &'static str {
        match self {
            Self::Weixin => "api.weixin.qq.com",
            Self::Qyapi => "qyapi.weixin.qq.com",
        }
    }

    /// Returns the setting that replaces the host.
    fn setting(self) -> &'static str {
        match self {
            Self::Weixin => "upstream.weixin",
            Self::Qyapi => "upstream.qyapi",
        }
    }
}

/// The credential that authenticated the call. Errcode 40001 means a wrong AppSecret on a call with the
/// secret, and an invalid token on a call with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallAuth {
    /// The AppSecret: a token call.
    WithSecret,
    /// An access token: a ticket call, or any other call with `access_token=`.
    WithToken,
    /// An open platform's secret: the calls for its token, with its component_verify_ticket, and for the pushes of
    /// that ticket.
    WithPushedTicket,
    /// An open platform's token: the calls for the tokens of its accounts.
    WithComponentToken,
}

/// When a failed call may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// 1 s, 2 s, 4 s … 60 s, with jitter.
    Backoff,
    /// One minute, doubling up to five: an operator must act, and retrying more often does not help.
    Slow,
    /// When the current minute ends.
    NextMinute,
    /// At midnight in Shanghai. Retried once an hour before that, since the console can clear a day's quota
    /// at any time, and every five minutes in the first half hour of the day, since WeChat may be late.
    NextDay,
    /// A duration that WeChat specifies.
    For(Duration),
    /// The end of a block that WeChat imposed on an earlier call.
    Until(UnixTime),
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
    /// No account that is known yet has this name, and there may be others: those of the store or of an open
    /// platform have not been read since the start.
    #[error("account \"{account}\" is not known yet")]
    AccountsNotLoaded {
        /// The requested name.
        account: String,
        /// How long to wait.
        retry_after: Duration,
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
    /// The page is on a host, or a path of it, that is not bound to the account.
    #[error("account \"{account}\" does not sign pages on \"{host}\"")]
    PageNotAllowed {
        /// The account's name.
        account: String,
        /// Its platform.
        platform: &'static str,
        /// The page's host, with its path if only other paths of the host are bound.
        host: String,
    },
    /// WeChat issued no credential, now or at the last attempt.
    #[error("{}: {error}", no_refresh(account, *kind, *served))]
    Upstream {
        /// The account's name.
        account: String,
        /// The requested credential; `None` if an open platform made the call for another purpose.
        kind: Option<Kind>,
        /// The upstream failure.
        error: Arc<UpstreamError>,
        /// Whether a valid value is still served, so that only the requested refresh failed.
        served: bool,
        /// When the next attempt is made.
        retry_at: UnixTime,
        /// The time until the next attempt.
        retry_after: Duration,
    },
    /// The rate limit delays another refresh on request of this credential, so that
    /// no caller can exhaust WeChat's quota.
    #[error("the {kind} of account \"{account}\" may not be refreshed again yet; retry in {} s", retry_after.as_secs())]
    RateLimited {
        /// The account's name.
        account: String,
        /// The credential to refresh.
        kind: Kind,
        /// How long to wait.
        retry_after: Duration,
    },
    /// The runtime that the broker was built in is shutting down or has ended, or the refresh task died.
    #[error(
        "the refresh of account \"{account}\"'s {kind} was interrupted; if this lasts, the runtime that the broker was built in has ended"
    )]
    Interrupted {
        /// The account's name.
        account: String,
        /// The requested credential.
        kind: Kind,
    },
}

/// Returns the message of an [`Error::Upstream`] without the cause.
pub(crate) fn no_refresh(account: &str, kind: Option<Kind>, served: bool) -> String {
    match kind {
        Some(kind) if served => format!("could not refresh the {kind} of account \"{account}\""),
        Some(kind) => format!("account \"{account}\" has no valid {kind}"),
        None => format!("a call of open platform \"{account}\" failed"),
    }
}

impl Error {
    /// Returns a stable code for programs.
    pub fn code(&self) -> &'static str {
        self.problem().as_str()
    }

    /// Returns the code of the problem that a web layer answers.
    pub fn problem(&self) -> ProblemCode {
        match self {
            Self::UnknownAccount { .. } => ProblemCode::UnknownAccount,
            Self::AccountsNotLoaded { .. } => ProblemCode::AccountsNotLoaded,
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
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Upstream { retry_after, .. }
            | Self::RateLimited { retry_after, .. }
            | Self::AccountsNotLoaded { retry_after, .. } => Some(*retry_after),
            Self::Interrupted { .. } => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// Returns the underlying upstream failure, if there is one.
    pub fn upstream(&self) -> Option<&UpstreamError> {
        match self {
            Self::Upstream { error, .. } => Some(error),
            _ => None,
        }
    }
}
