//! A failed call to WeChat: what happened, how to react, and how to fix it.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::codes::{self, Advice, explain};
use super::transport_errors::*;
use super::{CallAuth, Class, PlatformProblem, ProxyProblem, System, Text, Wait};
use crate::clock::UnixTime;

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
    pub auth: CallAuth,
    /// What happened.
    pub failure: Failure,
    /// Other IPs from which WeChat saw and rejected this server's calls within the last day, newest first.
    pub also_seen: Vec<IpAddr>,
}

/// How an upstream call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    /// A complete response that is not JSON: it probably came from another server.
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
    /// No call was made: the open platform lacks something for it.
    Platform(PlatformProblem),
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
    /// Returns the failure for a quota known to be spent, without calling WeChat again. `printed` is `until` as the
    /// message names it.
    #[must_use]
    pub fn spent_until(until: UnixTime, printed: UnixTime, few_calls: Option<u64>) -> Self {
        let errmsg = format!("the quota is exhausted: no call before {}", printed.utc());
        Self::Refused {
            errcode: codes::SPENT,
            errmsg,
            blocked_until: Some(until),
            few_calls,
        }
    }

    /// Returns whether the host could not be reached: nothing was sent, and another host may be reachable.
    pub fn is_about_the_host(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Untrusted(_) => true,
            Self::Proxy { problem, .. } => problem.is_about_the_host(),
            _ => false,
        }
    }

    /// Returns what tells this failure from others: WeChat's errcode, or the kind of failure.
    pub(crate) fn code(&self) -> String {
        match self {
            Self::Unreachable(_) => "unreachable".to_owned(),
            Self::Untrusted(_) => "untrusted".to_owned(),
            Self::Proxy { problem, .. } => problem.as_str().to_owned(),
            Self::ReplyLost(_) => "reply lost".to_owned(),
            Self::NotJson { .. } | Self::Unusable(_) => "unusable".to_owned(),
            Self::StoreUnreachable(_) => "store unreachable".to_owned(),
            Self::Platform(problem) => problem.as_str().to_owned(),
            Self::Refused { errcode, .. } => errcode.to_string(),
        }
    }

    /// Returns the text from WeChat or from the failed transport: for the operator only.
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
            Self::Platform(problem) => problem.as_str().into(),
        }
    }
}

impl UpstreamError {
    /// Returns how to react.
    pub fn class(&self) -> Class {
        self.advice().class
    }

    /// Whether no host of WeChat's answered the call.
    pub fn is_unanswered(&self) -> bool {
        matches!(
            self.failure,
            Failure::Unreachable(_)
                | Failure::Untrusted(_)
                | Failure::Proxy { .. }
                | Failure::ReplyLost(_)
        )
    }

    /// Whether the shared store failed, and no call was made.
    pub fn is_about_the_store(&self) -> bool {
        matches!(self.failure, Failure::StoreUnreachable(_))
    }

    /// Returns when to retry.
    pub fn wait(&self) -> Wait {
        match self.failure {
            // The block began when WeChat reported it, not when this node read it from the store.
            Failure::Refused {
                blocked_until: Some(until),
                ..
            } => Wait::Until(until),
            _ => self.advice().wait,
        }
    }

    /// Returns WeChat's errcode, if WeChat rejected the call.
    pub fn errcode(&self) -> Option<i64> {
        match self.failure {
            Failure::Refused { errcode, .. } => Some(errcode),
            _ => None,
        }
    }

    /// Returns whether WeChat does not accept an authorisation code (any more): it is not valid, or has expired.
    pub fn refuses_code(&self) -> bool {
        matches!(self.errcode(), Some(61009 | 61010))
    }

    /// Returns whether WeChat refused a pushed component_verify_ticket: it is not valid, or has expired.
    pub(crate) fn refuses_pushed_ticket(&self) -> bool {
        matches!(self.errcode(), Some(61005 | 61006))
    }

    /// Returns whether WeChat answered that the account has not authorised the open platform.
    pub(crate) fn refuses_unauthorized_account(&self) -> bool {
        self.errcode() == Some(61003)
    }

    /// Returns whether WeChat refused the refresh token of an account that authorised an open platform.
    pub(crate) fn refuses_refresh_token(&self) -> bool {
        self.errcode() == Some(61023)
    }

    /// Returns whether WeChat refused the secret of the account, or of its open platform.
    pub fn refuses_secret(&self) -> bool {
        self.class() == Class::Setup && matches!(self.errcode(), Some(40001 | 40125))
    }

    /// Returns whether WeChat may have processed the call although no usable response arrived.
    pub fn may_have_been_carried_out(&self) -> bool {
        matches!(
            self.failure,
            Failure::ReplyLost(_) | Failure::NotJson { .. } | Failure::Unusable(_)
        )
    }

    /// Returns whether this is a spent quota recorded in the store, so that another node can lift it.
    pub fn is_block(&self) -> bool {
        matches!(self.wait(), Wait::Until(_))
    }

    /// Returns until when no node calls again because the quota is spent; `None` for every other failure and
    /// for a per-minute limit.
    pub fn spent_until(&self, now: UnixTime) -> Option<UnixTime> {
        match (self.class(), self.wait()) {
            (Class::Quota, Wait::NextDay) => Some(next_probe(now)),
            (Class::Quota, Wait::For(time)) => Some(now.plus(time)),
            _ => None,
        }
    }

    /// Returns the IP from which WeChat saw this server call, if its errmsg names one: the IP to add to the
    /// allow-list.
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
    pub fn ips_to_allow(&self) -> Vec<IpAddr> {
        let is_about_the_ip = matches!(
            self.errcode(),
            Some(40164 | 61004 | 45035 | 60020 | 89501..=89507)
        );
        let latest = self.seen_ip().filter(|_| is_about_the_ip);
        let Some(latest) = latest.and_then(|ip| ip.parse::<IpAddr>().ok()) else {
            return Vec::new();
        };
        let others = self.also_seen.iter().filter(|ip| **ip != latest);
        std::iter::once(latest).chain(others.copied()).collect()
    }

    /// Returns the cause in both languages.
    pub fn cause(&self) -> Text {
        let cause = &self.advice().cause;
        match self.failure {
            Failure::Refused {
                few_calls: Some(calls),
                ..
            } => used_elsewhere(cause, calls),
            _ => cause.clone(),
        }
    }

    /// Returns the fix in both languages. It names no IP, so it may be shown publicly.
    pub fn fix(&self) -> Text {
        let fix = &self.advice().fix;
        if self.errcode() == Some(codes::SPENT) && self.endpoint.ends_with(CLASSIC_TOKEN) {
            return fix.followed_by(
                " token_mode = \"stable\" has a separate quota, 250 times as large.",
                "也可改用 token_mode = \"stable\"，它有单独的额度，是现在的 250 倍。",
            );
        }
        if !fix.en.contains('{') {
            return fix.clone();
        }
        let filled = |text: &str| {
            text.replace("{host}", self.system.host())
                .replace("{setting}", self.system.setting())
                .replace("{endpoint}", self.endpoint)
        };
        Text::owned(filled(&fix.en), filled(&fix.zh))
    }

    /// Returns [`UpstreamError::fix`] with the IPs to allow, if WeChat's errmsg names one: for the operator.
    pub fn fix_for_operator(&self) -> Text {
        let ips = self.ips_to_allow();
        self.fix().with_ips(&ips, ips.len() < 2)
    }

    /// Returns [`UpstreamError::fix_for_operator`] for `check`, which calls once and retries nothing.
    pub fn fix_for_check(&self) -> Text {
        without_retries(&self.fix_for_operator())
    }

    /// Returns the row that explains the failure.
    fn advice(&self) -> &'static Advice {
        match self.failure {
            Failure::Unreachable(_) => &UNREACHABLE,
            Failure::Untrusted(_) => &UNTRUSTED,
            Failure::Proxy { problem, .. } => problem.advice(),
            Failure::ReplyLost(_) => &REPLY_LOST,
            Failure::NotJson { status: 404, .. } => &NO_SUCH_PATH,
            Failure::NotJson {
                status: 500..=599, ..
            } => &SERVER_ERROR,
            Failure::NotJson { .. } => &NOT_JSON,
            Failure::Unusable(_) => &UNUSABLE,
            Failure::StoreUnreachable(_) => &STORE_UNREACHABLE,
            Failure::Platform(problem) => problem.advice(),
            Failure::Refused { errcode, .. } => explain(self.system, self.auth, errcode),
        }
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
            Failure::Platform(problem) => {
                write!(f, "{} not called: {}", self.endpoint, problem.as_str())
            }
            Failure::Refused {
                errcode, errmsg, ..
            } => write!(f, "{} refused: {errcode} {errmsg}", self.endpoint),
        }
    }
}

impl std::error::Error for UpstreamError {}

impl Text {
    /// Adds the IPs to allow to a fix, and the advice to have one egress address unless each account has one.
    pub(crate) fn with_ips(self, ips: &[IpAddr], is_fixed: bool) -> Self {
        let Self { en, zh } = &EGRESS_IS_NOT_FIXED;
        let fix = match is_fixed {
            true => self,
            false => self.followed_by(&format!(" {en}"), zh),
        };
        if ips.is_empty() {
            return fix;
        }
        let list: Vec<_> = ips.iter().map(IpAddr::to_string).collect();
        let noun = if list.len() == 1 { "IP" } else { "IPs" };
        fix.followed_by(
            &format!(" The {noun} to allow: {}", list.join(", ")),
            &format!("需要加入的 IP：{}", list.join("、")),
        )
    }
}

/// Returns when to retry after the day's quota is spent: within a minute after midnight in Shanghai at the latest,
/// and earlier because the console can clear the quota. The jitter keeps many accounts from being tried in the
/// second in which the day begins.
pub(crate) fn next_probe(now: UnixTime) -> UnixTime {
    let midnight = now.next_shanghai_midnight();
    let every = match midnight.since(now) > ONE_DAY - MAY_BE_LATE {
        true => PROBE_EVERY_WHILE_LATE,
        false => PROBE_EVERY,
    };
    let jitter = Duration::from_secs(rand::random_range(0..=60));
    midnight.min(now.plus(every)).plus(jitter)
}

/// Returns the cause of a day's quota that another server has spent.
fn used_elsewhere(cause: &Text, calls: u64) -> Text {
    let noun = if calls == 1 { "call" } else { "calls" };
    cause.followed_by(
        &format!(
            ", but this service made only {calls} {noun}: another server uses this account's quota"
        ),
        &format!("，但本服务今天只调用了 {calls} 次：额度是被其他服务用掉的"),
    )
}

/// The end of the path of classic mode's token call. No other endpoint ends like this.
const CLASSIC_TOKEN: &str = "/token";

/// Interval between probes of a spent day's quota: one call by all nodes that share the store.
const PROBE_EVERY: Duration = Duration::from_secs(60 * 60);

/// WeChat may reset the quotas this long after midnight.
const MAY_BE_LATE: Duration = Duration::from_secs(30 * 60);

/// Interval between probes meanwhile.
const PROBE_EVERY_WHILE_LATE: Duration = Duration::from_secs(5 * 60);

const ONE_DAY: Duration = Duration::from_secs(24 * 60 * 60);
