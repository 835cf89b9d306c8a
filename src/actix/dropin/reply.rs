//! Answers in WeChat's shapes: field names, their order, and the suffixes of an errmsg.

use std::borrow::Cow;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use serde::Serialize;

use crate::actix::problem::FailureCode;
use crate::clock::UnixTime;
use crate::credential::Credential;
use crate::error::codes::wire_errors::{self, WireError};
use crate::error::{Class, Error, Failure};

/// An answer with an errcode.
#[derive(Debug)]
pub(in crate::actix) enum Refusal {
    /// An error of this program.
    Ours {
        errcode: i64,
        errmsg: Cow<'static, str>,
    },
    /// WeChat's error to this program, passed on.
    WeChats { errcode: i64, errmsg: String },
    /// The API key is invalid and the client's address is locked out for that long. Its status is not 200,
    /// for proxies and clients that check only the status.
    LockedOut(Duration),
    /// The call could not be passed on, or its outcome is unknown. The status is not 200 for the same
    /// reason; the errcode is -1.
    Unavailable {
        status: StatusCode,
        retry_after: Option<Duration>,
        errmsg: String,
    },
}

impl Refusal {
    /// Creates an error of this program whose errmsg goes on to say what to do.
    pub(in crate::actix) fn because(error: WireError, why: impl Display) -> Self {
        Self::Ours {
            errcode: error.errcode,
            errmsg: format!("{}: {why}", error.errmsg).into(),
        }
    }
}

impl From<Duration> for Refusal {
    fn from(wait: Duration) -> Self {
        Self::LockedOut(wait)
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        Self::Ours {
            errcode: error.errcode,
            errmsg: error.errmsg.into(),
        }
    }
}

impl From<Error> for Refusal {
    /// Passes WeChat's error on to the client. If WeChat did not answer, the client gets the busy error.
    /// An error about this program's own token while it fetched a ticket says nothing about the client's
    /// token.
    fn from(error: Error) -> Self {
        let Some(upstream) = error.upstream() else {
            return match error {
                Error::UnsupportedCredential { .. } => wire_errors::NOT_FOR_THIS_ACCOUNT.into(),
                _ => wire_errors::BUSY.into(),
            };
        };
        match &upstream.failure {
            Failure::Refused {
                errcode, errmsg, ..
            } if upstream.class() != Class::StaleToken => Self::WeChats {
                errcode: *errcode,
                errmsg: errmsg.clone(),
            },
            _ => wire_errors::BUSY.into(),
        }
    }
}

/// The answer of `api.weixin.qq.com`: `{"access_token","expires_in"}`, without an errcode.
pub(super) fn token(credential: &Credential, now: UnixTime) -> HttpResponse {
    ok(
        WEIXIN_JSON,
        &TokenReply {
            access_token: credential.value.expose(),
            expires_in: credential.remaining(now).as_secs(),
        },
    )
}

/// The answer of WeCom: `{"errcode":0,"errmsg":"ok","access_token","expires_in"}`.
pub(super) fn work_token(credential: &Credential, now: UnixTime) -> HttpResponse {
    let expires_in = credential.remaining(now).as_secs();
    ok(
        WORK_JSON,
        &WorkTokenReply {
            errcode: 0,
            errmsg: "ok",
            access_token: credential.value.expose(),
            expires_in,
        },
    )
}

/// The ticket answer of `api.weixin.qq.com`: `{"errcode":0,"errmsg":"ok","ticket","expires_in"}`.
pub(super) fn ticket(credential: &Credential, now: UnixTime) -> HttpResponse {
    ticket_as(WEIXIN_JSON, credential, now)
}

/// The ticket answer of WeCom, with the same members.
pub(super) fn work_ticket(credential: &Credential, now: UnixTime) -> HttpResponse {
    ticket_as(WORK_JSON, credential, now)
}

fn ticket_as(content_type: &'static str, credential: &Credential, now: UnixTime) -> HttpResponse {
    let expires_in = credential.remaining(now).as_secs();
    ok(
        content_type,
        &TicketReply {
            errcode: 0,
            errmsg: "ok",
            ticket: credential.value.expose(),
            expires_in,
        },
    )
}

impl Refusal {
    /// Returns `{"errcode","errmsg"}` as `api.weixin.qq.com` does: with a rid, whose first group is the
    /// time.
    pub(in crate::actix) fn weixin(self, wall: UnixTime) -> HttpResponse {
        let rid = |errmsg: &str| {
            let random: [u32; 2] = rand::random();
            format!(
                "{errmsg} rid: {:08x}-{:08x}-{:08x}",
                wall.0, random[0], random[1]
            )
        };
        match self {
            Self::WeChats { errcode, errmsg } => refused(WEIXIN_JSON, errcode, &errmsg),
            Self::Ours { errcode, errmsg } => refused(WEIXIN_JSON, errcode, &rid(&errmsg)),
            Self::LockedOut(wait) => {
                let answer = Self::from(wire_errors::LOCKED_OUT).weixin(wall);
                unavailable(answer, StatusCode::TOO_MANY_REQUESTS, Some(wait))
            }
            Self::Unavailable {
                status,
                retry_after,
                errmsg,
            } => {
                let answer = refused(WEIXIN_JSON, wire_errors::BUSY.errcode, &rid(&errmsg));
                unavailable(answer, status, retry_after)
            }
        }
    }

    /// Returns it as WeCom does: with a hint, the client's address and a link, and with the errcode and
    /// errmsg in headers too.
    pub(in crate::actix) fn work(self, wall: UnixTime, caller: Option<IpAddr>) -> HttpResponse {
        let hint = |errcode: i64, errmsg: &str| {
            let digits = rand::random_range(0..1_000_000_000_000_000_u64);
            let caller = caller.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            let tail = format!(
                "hint: [{}{digits:015}], from ip: {caller}, more info at {MORE_INFO}{errcode}",
                wall.0
            );
            format!("{errmsg}, {tail}")
        };
        match self {
            Self::WeChats { errcode, errmsg } => refused_by_work(errcode, &errmsg),
            Self::Ours { errcode, errmsg } => refused_by_work(errcode, &hint(errcode, &errmsg)),
            Self::LockedOut(wait) => {
                let answer = Self::from(wire_errors::WORK_LOCKED_OUT).work(wall, caller);
                unavailable(answer, StatusCode::TOO_MANY_REQUESTS, Some(wait))
            }
            Self::Unavailable {
                status,
                retry_after,
                errmsg,
            } => {
                let errcode = wire_errors::BUSY.errcode;
                let answer = refused_by_work(errcode, &hint(errcode, &errmsg));
                unavailable(answer, status, retry_after)
            }
        }
    }
}

fn refused_by_work(errcode: i64, errmsg: &str) -> HttpResponse {
    let mut response = refused(WORK_JSON, errcode, errmsg);
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("error-code"), errcode.into());
    if let Ok(errmsg) = errmsg.parse() {
        headers.insert(HeaderName::from_static("error-msg"), errmsg);
    }
    response
}

fn unavailable(
    mut response: HttpResponse,
    status: StatusCode,
    retry_after: Option<Duration>,
) -> HttpResponse {
    *response.status_mut() = status;
    if let Some(wait) = retry_after {
        let seconds = wait.as_secs().max(1);
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// A token of `api.weixin.qq.com`: no errcode.
#[derive(Serialize)]
pub(crate) struct TokenReply<'a> {
    /// The token.
    access_token: &'a str,
    /// The actual remaining lifetime, in seconds.
    expires_in: u64,
}

/// A token of WeCom.
#[derive(Serialize)]
pub(crate) struct WorkTokenReply<'a> {
    /// Always 0.
    errcode: i64,
    /// Always `ok`.
    errmsg: &'a str,
    /// The token.
    access_token: &'a str,
    /// The actual remaining lifetime, in seconds.
    expires_in: u64,
}

/// A ticket of WeChat or WeCom.
#[derive(Serialize)]
pub(crate) struct TicketReply<'a> {
    /// Always 0.
    errcode: i64,
    /// Always `ok`.
    errmsg: &'a str,
    /// The ticket.
    ticket: &'a str,
    /// The actual remaining lifetime, in seconds.
    expires_in: u64,
}

/// An error, with status 200 like WeChat's. It has no other members, which distinguishes it from a
/// ticket.
#[derive(Serialize)]
pub(crate) struct ErrorReply<'a> {
    /// WeChat's code, never 0.
    errcode: i64,
    /// WeChat's error message, with its suffix.
    errmsg: &'a str,
}

fn refused(content_type: &'static str, errcode: i64, errmsg: &str) -> HttpResponse {
    let mut response = ok(content_type, &ErrorReply { errcode, errmsg });
    response.extensions_mut().insert(FailureCode {
        code: None,
        errcode: Some(errcode),
    });
    response
}

fn ok(content_type: &'static str, body: &impl Serialize) -> HttpResponse {
    let body = serde_json::to_string(body).expect("texts and numbers always serialise");
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(body)
}

const WEIXIN_JSON: &str = "application/json; encoding=utf-8";
const WORK_JSON: &str = "application/json; charset=UTF-8";
const MORE_INFO: &str = "https://open.work.weixin.qq.com/devtool/query?e=";
