//! A simulated WeChat, a server that is not WeChat, and checks of every failure.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wx_jssdk::account::Account;
use wx_jssdk::clock::{Clock, UnixTime};
use wx_jssdk::credential::Secret;
use wx_jssdk::error::{Class, Failure, UpstreamError};
use wx_jssdk::sandbox::{App, Fault, FaultKind, Sandbox};
use wx_jssdk::upstream::{Issued, Upstream, UpstreamOptions};

pub(crate) use crate::common::http::{answer, unfinished_answer};
pub(crate) use crate::common::upstream::BRIEF;

pub(crate) const APP: &str = "wx0123456789abcdef";
pub(crate) const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
pub(crate) const STABLE: &str = "/cgi-bin/stable_token";
pub(crate) const TICKET: &str = "/cgi-bin/ticket/getticket";

/// Timeout for calls that are answered.
pub(crate) const PATIENT: Duration = Duration::from_secs(30);

pub(crate) async fn sandbox() -> Sandbox {
    let sandbox = Sandbox::start(Clock::manual(UnixTime(1_700_000_000)))
        .await
        .expect("a free port on loopback");
    sandbox.add_app(App::official(APP, SECRET));
    sandbox
}

pub(crate) fn account() -> Account {
    Account::official(APP, SECRET)
}

pub(crate) fn upstream(base: &str, timeout: Duration) -> Upstream {
    let base = base.to_owned();
    Upstream::new(&UpstreamOptions {
        connect_timeout: timeout,
        timeout,
        ..UpstreamOptions::at(&base)
    })
    .unwrap()
}

/// Makes a stable token call with this fault.
pub(crate) async fn token_meets(
    kind: FaultKind,
    timeout: Duration,
) -> Result<Issued, UpstreamError> {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::always(STABLE, kind));
    let outcome = upstream(sandbox.url(), timeout)
        .token(&account(), false)
        .await;
    assert_eq!(sandbox.calls(STABLE), 1, "no call is repeated");
    outcome
}

pub(crate) async fn token_answered(body: &str) -> Result<Issued, UpstreamError> {
    token_meets(FaultKind::Body(body.to_owned()), PATIENT).await
}

/// A server that is not WeChat: answers one connection with these bytes, closes it, and returns the request.
pub(crate) fn server(answer: impl Into<Vec<u8>>) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let answer = answer.into();
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let asked = request_from(&mut stream);
        stream.write_all(&answer).unwrap();
        asked
    });
    (base, asked)
}

pub(crate) fn request_from(stream: &mut TcpStream) -> String {
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let (mut request, mut buffer) = (String::new(), [0; 4_096]);
    loop {
        let count = stream.read(&mut buffer).unwrap();
        request.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        let Some((head, body)) = request.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        if body.len() >= length.unwrap_or(0) {
            return request;
        }
    }
}

pub(crate) const GOOD: &str = r#"{"access_token":"85_abc-DEF_123","expires_in":7200}"#;
pub(crate) const GOOD_TICKET: &str =
    r#"{"errcode":0,"errmsg":"ok","ticket":"sM4AOVdWfPE4DxkX","expires_in":7200}"#;

pub(crate) fn issued(value: &str, seconds: u64) -> Issued {
    Issued {
        value: Secret::new(value),
        expires_in: Duration::from_secs(seconds),
    }
}

/// Checks a failure, and that its text contains neither the secret nor the called URL.
#[track_caller]
pub(crate) fn assert_failed(
    outcome: Result<Issued, UpstreamError>,
    how: &str,
    class: Class,
    carried_out: bool,
) -> UpstreamError {
    let error = outcome.expect_err("a failure");
    let variant = match &error.failure {
        Failure::Unreachable(_) | Failure::Untrusted(_) => "unreachable",
        Failure::Proxy { .. } => "proxy",
        Failure::ReplyLost(_) => "lost",
        Failure::NotJson { .. } | Failure::Unusable(_) => "unusable",
        Failure::StoreUnreachable(_) => "store",
        Failure::Refused { .. } => "refused",
        Failure::Platform(_) => "platform",
        _ => "unknown to this test",
    };
    assert_eq!(
        (variant, error.class(), error.may_have_been_carried_out()),
        (how, class, carried_out),
        "{error}"
    );
    let printed = format!("{error} {error:?} {error:#?}");
    // WeChat's errmsg may contain an address: 40164 names this server's.
    assert!(
        variant == "refused" || !printed.contains("127.0.0.1"),
        "{printed}"
    );
    for inside in [SECRET, APP, "secret=", "access_token=", "grant_type"] {
        assert!(!printed.contains(inside), "{inside}: {printed}");
    }
    error
}

pub(crate) fn assert_unusable(outcome: Result<Issued, UpstreamError>, why: &str) {
    let error = assert_failed(outcome, "unusable", Class::Transient, true);
    assert!(error.to_string().contains(why), "{error}");
}

pub(crate) fn assert_lost(outcome: Result<Issued, UpstreamError>) {
    assert_failed(outcome, "lost", Class::Transient, true);
}

pub(crate) fn assert_unreachable(outcome: Result<Issued, UpstreamError>) {
    assert_failed(outcome, "unreachable", Class::Transient, false);
}
