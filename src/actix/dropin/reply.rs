//! Answers in WeChat's shapes: field names, their order, the tails of an errmsg.

use std::net::IpAddr;
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

/// A call that is answered with an errcode.
pub(super) enum Refusal {
    /// In this program's own name.
    Ours(WireError),
    /// What WeChat said to this program.
    WeChats { errcode: i64, errmsg: String },
    /// The API key is wrong and the caller's address locked out for so long: the one answer here whose status is not 200, for
    /// proxies and clients that look no further.
    LockedOut(Duration),
}

impl From<Duration> for Refusal {
    fn from(wait: Duration) -> Self {
        Self::LockedOut(wait)
    }
}

impl From<WireError> for Refusal {
    fn from(said: WireError) -> Self {
        Self::Ours(said)
    }
}

impl From<Error> for Refusal {
    /// What WeChat said goes on to the caller; where WeChat was not heard, it is busy. That a token of this program's was refused
    /// while it bought a ticket says nothing about the caller's token.
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

/// `api.weixin.qq.com`: `{"access_token","expires_in"}`, without an errcode.
pub(super) fn token(credential: &Credential, now: UnixTime) -> HttpResponse {
    ok(
        WEIXIN_JSON,
        &TokenReply {
            access_token: credential.value.expose(),
            expires_in: credential.remaining(now).as_secs(),
        },
    )
}

/// WeCom: `{"errcode":0,"errmsg":"ok","access_token","expires_in"}`.
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

/// `{"errcode":0,"errmsg":"ok","ticket","expires_in"}`.
pub(super) fn ticket(credential: &Credential, now: UnixTime) -> HttpResponse {
    ticket_as(WEIXIN_JSON, credential, now)
}

/// The same of WeCom.
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
    /// `{"errcode","errmsg"}` as `api.weixin.qq.com` has it: with a rid, whose first group is the time.
    pub(super) fn weixin(self, wall: UnixTime) -> HttpResponse {
        let (errcode, errmsg) = match self {
            Self::WeChats { errcode, errmsg } => (errcode, errmsg),
            Self::LockedOut(wait) => {
                return locked_out(Self::from(wire_errors::LOCKED_OUT).weixin(wall), wait);
            }
            Self::Ours(WireError { errcode, errmsg }) => {
                let random: [u32; 2] = rand::random();
                (
                    errcode,
                    format!(
                        "{errmsg} rid: {:08x}-{:08x}-{:08x}",
                        wall.0, random[0], random[1]
                    ),
                )
            }
        };
        refused(WEIXIN_JSON, errcode, &errmsg)
    }

    /// The same as WeCom has it: with a hint, the caller's address and a link, and both in headers too.
    pub(super) fn work(self, wall: UnixTime, caller: IpAddr) -> HttpResponse {
        let (errcode, errmsg) = match self {
            Self::LockedOut(wait) => {
                return locked_out(
                    Self::from(wire_errors::WORK_LOCKED_OUT).work(wall, caller),
                    wait,
                );
            }
            Self::WeChats { errcode, errmsg } => (errcode, errmsg),
            Self::Ours(WireError { errcode, errmsg }) => {
                let digits = rand::random_range(0..1_000_000_000_000_000_u64);
                let tail = format!(
                    "hint: [{}{digits:015}], from ip: {caller}, more info at {MORE_INFO}{errcode}",
                    wall.0
                );
                (errcode, format!("{errmsg}, {tail}"))
            }
        };
        let mut response = refused(WORK_JSON, errcode, &errmsg);
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("error-code"), errcode.into());
        if let Ok(errmsg) = errmsg.parse() {
            headers.insert(HeaderName::from_static("error-msg"), errmsg);
        }
        response
    }
}

fn locked_out(mut response: HttpResponse, wait: Duration) -> HttpResponse {
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response
        .headers_mut()
        .insert(RETRY_AFTER, wait.as_secs().into());
    response
}

/// A token of `api.weixin.qq.com`: no errcode.
#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub(crate) struct TokenReply<'a> {
    /// The token.
    access_token: &'a str,
    /// What is really left, in seconds.
    expires_in: u64,
}

/// A token of WeCom.
#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub(crate) struct WorkTokenReply<'a> {
    /// 0.
    errcode: i64,
    /// `ok`.
    errmsg: &'a str,
    /// The token.
    access_token: &'a str,
    /// What is really left, in seconds.
    expires_in: u64,
}

/// A ticket, of either system.
#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub(crate) struct TicketReply<'a> {
    /// 0.
    errcode: i64,
    /// `ok`.
    errmsg: &'a str,
    /// The ticket.
    ticket: &'a str,
    /// What is really left, in seconds.
    expires_in: u64,
}

/// A refusal, with status 200 as WeChat has it. Nothing else is in it: that tells it from a ticket.
#[derive(Serialize)]
#[cfg_attr(
    feature = "server",
    derive(utoipa::ToSchema),
    serde(deny_unknown_fields)
)]
pub(crate) struct ErrorReply<'a> {
    /// WeChat's code, never 0.
    errcode: i64,
    /// WeChat's words, with its tail.
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
