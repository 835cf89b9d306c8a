//! Answers in WeChat's shapes: field names, their order, and the suffixes of an errmsg.

use std::borrow::Cow;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use serde::Serialize;

use crate::actix::keys::ApiKey;
use crate::actix::problem::FailureCode;
use crate::broker::Broker;
use crate::clock::UnixTime;
use crate::credential::Credential;
use crate::error::codes::wire_errors::{self, WireError};
use crate::error::{Class, Error, Failure, System};

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

    /// Creates the error for a key of several accounts in a call that names no account.
    pub(in crate::actix) fn which_account(key: &ApiKey) -> Self {
        Self::because(
            wire_errors::NO_APPID,
            format_args!(
                "the API key \"{}\" opens several accounts, so name one in the base URL: http://HOST/wx/ACCOUNT",
                key.name
            ),
        )
    }

    /// Creates the error for a key that does not open the account, or for an account that does not exist, which only
    /// a key that would open it learns. If it may be known later, it is the busy error, after which an SDK tries again.
    pub(in crate::actix) fn unopened_account(broker: &Broker, key: &ApiKey, account: &str) -> Self {
        if key.opens_account(account) {
            return match broker.awaits_account(account) {
                true => wire_errors::BUSY.into(),
                false => Self::because(wire_errors::BAD_APPID, "no account has this name"),
            };
        }
        Self::because(
            wire_errors::BAD_APPID,
            format_args!(
                "the API key \"{}\" does not open this account, see its accounts in server.api_keys",
                key.name
            ),
        )
    }

    /// Creates the error for a token below the base URL of another account.
    pub(in crate::actix) fn of_another_account() -> Self {
        Self::because(
            wire_errors::BAD_APPID,
            "the token belongs to another account than the base URL names",
        )
    }

    /// Creates the error for an app that no account is. Until all accounts were read it is the busy error, after
    /// which an SDK tries again.
    pub(in crate::actix) fn unknown_app(broker: &Broker, error: impl Into<Self>) -> Self {
        match broker.awaits_accounts() {
            true => wire_errors::BUSY.into(),
            false => error.into(),
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
    /// token. One about the account's own secret has the errcode of an invalid API key, so its errmsg says which of
    /// the two it is about.
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
                errmsg: match upstream.refuses_secret() {
                    true => format!(
                        "WeChat refuses the secret that wx-jssdk has for this account; the API key is not the cause: {errmsg}"
                    ),
                    false => errmsg.clone(),
                },
            },
            _ => wire_errors::BUSY.into(),
        }
    }
}

impl Refusal {
    /// Returns `{"errcode","errmsg"}` as `system` does. An error of this program gets the tail that the
    /// system appends to its own.
    pub(in crate::actix) fn answer(
        self,
        system: System,
        wall: UnixTime,
        caller: Option<IpAddr>,
    ) -> HttpResponse {
        let (errcode, errmsg, status, retry_after) = match self {
            Self::WeChats { errcode, errmsg } => return refused(system, errcode, &errmsg),
            Self::Ours { errcode, errmsg } => (errcode, errmsg, StatusCode::OK, None),
            Self::LockedOut(wait) => {
                let WireError { errcode, errmsg } = match system {
                    System::Weixin => wire_errors::LOCKED_OUT,
                    System::Qyapi => wire_errors::WORK_LOCKED_OUT,
                };
                let status = StatusCode::TOO_MANY_REQUESTS;
                (errcode, errmsg.into(), status, Some(wait))
            }
            Self::Unavailable {
                status,
                retry_after,
                errmsg,
            } => (
                wire_errors::BUSY.errcode,
                errmsg.into(),
                status,
                retry_after,
            ),
        };
        let errmsg = match system {
            System::Weixin => with_rid(&errmsg, wall),
            System::Qyapi => with_hint(errcode, &errmsg, wall, caller),
        };
        let mut response = refused(system, errcode, &errmsg);
        *response.status_mut() = status;
        if let Some(wait) = retry_after {
            let seconds = wait.as_secs().max(1);
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Appends a request id as `api.weixin.qq.com` does; its first group is the time.
fn with_rid(errmsg: &str, wall: UnixTime) -> String {
    let [first, second]: [u32; 2] = rand::random();
    format!("{errmsg} rid: {:08x}-{first:08x}-{second:08x}", wall.0)
}

/// Appends a hint, the client's address and a link, as WeCom does.
fn with_hint(errcode: i64, errmsg: &str, wall: UnixTime, caller: Option<IpAddr>) -> String {
    let digits = rand::random_range(0..1_000_000_000_000_000_u64);
    let caller = caller.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let hint = format!("hint: [{}{digits:015}], from ip: {caller}", wall.0);
    format!("{errmsg}, {hint}, more info at {MORE_INFO}{errcode}")
}

/// Returns an error, with status 200 like WeChat's. It has no other members, which distinguishes it from a
/// ticket. WeCom has errcode and errmsg in headers too.
fn refused(system: System, errcode: i64, errmsg: &str) -> HttpResponse {
    let reply = Reply {
        errcode: Some(errcode),
        errmsg: Some(errmsg),
        ..Reply::default()
    };
    let mut response = json(system, &reply);
    if system == System::Qyapi {
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("error-code"), errcode.into());
        if let Ok(errmsg) = errmsg.parse() {
            headers.insert(HeaderName::from_static("error-msg"), errmsg);
        }
    }
    response.extensions_mut().insert(FailureCode {
        code: None,
        errcode: Some(errcode),
    });
    response
}

/// Returns `{"access_token","expires_in"}`. Only WeCom has `{"errcode":0,"errmsg":"ok"` before them.
pub(super) fn token(system: System, credential: &Credential, now: UnixTime) -> HttpResponse {
    let is_work = system == System::Qyapi;
    let reply = Reply {
        errcode: is_work.then_some(0),
        errmsg: is_work.then_some("ok"),
        access_token: Some(credential.value.expose()),
        expires_in: Some(credential.remaining(now).as_secs()),
        ..Reply::default()
    };
    json(system, &reply)
}

/// Returns `{"errcode":0,"errmsg":"ok","ticket","expires_in"}`.
pub(super) fn ticket(system: System, credential: &Credential, now: UnixTime) -> HttpResponse {
    let reply = Reply {
        errcode: Some(0),
        errmsg: Some("ok"),
        ticket: Some(credential.value.expose()),
        expires_in: Some(credential.remaining(now).as_secs()),
        ..Reply::default()
    };
    json(system, &reply)
}

/// The members of all answers, in WeChat's order.
#[derive(Default, Serialize)]
struct Reply<'a> {
    /// WeChat's code; 0 is no error.
    #[serde(skip_serializing_if = "Option::is_none")]
    errcode: Option<i64>,
    /// `ok`, or WeChat's error message with its tail.
    #[serde(skip_serializing_if = "Option::is_none")]
    errmsg: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<&'a str>,
    /// The actual remaining lifetime, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
}

fn json(system: System, reply: &Reply<'_>) -> HttpResponse {
    let content_type = match system {
        System::Weixin => "application/json; encoding=utf-8",
        System::Qyapi => "application/json; charset=UTF-8",
    };
    let body = serde_json::to_string(reply).expect("texts and numbers always serialise");
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(body)
}

const MORE_INFO: &str = "https://open.work.weixin.qq.com/devtool/query?e=";
