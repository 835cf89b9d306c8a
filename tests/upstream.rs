//! The calls to WeChat: what goes out, and what becomes of every answer that can come back.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wx_jssdk::account::{Account, TokenMode};
use wx_jssdk::clock::{Clock, UnixTime};
use wx_jssdk::credential::{Kind, Secret};
use wx_jssdk::error::{Class, Failure, UpstreamError};
use wx_jssdk::sandbox::{App, Fault, FaultKind, Mode, Sandbox};
use wx_jssdk::upstream::{Issued, Upstream, UpstreamOptions};

const APP: &str = "wx0123456789abcdef";
const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
const STABLE: &str = "/cgi-bin/stable_token";
const TICKET: &str = "/cgi-bin/ticket/getticket";

/// Long enough for anything that does answer.
const PATIENT: Duration = Duration::from_secs(30);
/// For what does not.
const BRIEF: Duration = Duration::from_millis(300);

async fn sandbox() -> Sandbox {
    let sandbox = Sandbox::start(Clock::manual(UnixTime(1_700_000_000))).await.expect("a free port on loopback");
    sandbox.add_app(App::official(APP, SECRET));
    sandbox
}

fn account() -> Account {
    Account::official(APP, SECRET)
}

fn upstream(base: &str, timeout: Duration) -> Upstream {
    let base = base.to_owned();
    Upstream::new(&UpstreamOptions { weixin: base.clone(), qyapi: base, connect_timeout: timeout, timeout }).unwrap()
}

/// A stable token call that meets this fault.
async fn token_meets(kind: FaultKind, timeout: Duration) -> Result<Issued, UpstreamError> {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::always(STABLE, kind));
    let outcome = upstream(sandbox.url(), timeout).token(&account(), false).await;
    assert_eq!(sandbox.calls(STABLE), 1, "nothing is repeated");
    outcome
}

async fn token_answered(body: &str) -> Result<Issued, UpstreamError> {
    token_meets(FaultKind::Body(body.to_owned()), PATIENT).await
}

/// A server that is no WeChat: answers one connection with these bytes, hangs up, and hands back what it was asked.
fn server(answer: impl Into<Vec<u8>>) -> (String, JoinHandle<String>) {
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

fn request_from(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut request, mut buffer) = (String::new(), [0; 4_096]);
    loop {
        let count = stream.read(&mut buffer).unwrap();
        request.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return request;
        }
    }
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

const GOOD: &str = r#"{"access_token":"85_abc-DEF_123","expires_in":7200}"#;
const GOOD_TICKET: &str = r#"{"errcode":0,"errmsg":"ok","ticket":"sM4AOVdWfPE4DxkX","expires_in":7200}"#;

fn issued(value: &str, seconds: u64) -> Issued {
    Issued { value: Secret::new(value), expires_in: Duration::from_secs(seconds) }
}

/// Checks a failure, and that it prints neither the secret nor the address that was called.
#[track_caller]
fn assert_failed(outcome: Result<Issued, UpstreamError>, how: &str, class: Class, carried_out: bool) -> UpstreamError {
    let error = outcome.expect_err("a failure");
    let variant = match &error.failure {
        Failure::Unreachable(_) => "unreachable",
        Failure::ReplyLost(_) => "lost",
        Failure::Unusable(_) => "unusable",
        Failure::Refused { .. } => "refused",
    };
    assert_eq!((variant, error.class(), error.may_have_been_carried_out()), (how, class, carried_out), "{error}");
    let printed = format!("{error} {error:?} {error:#?}");
    // In WeChat's own words there may be an address: 40164 names ours.
    assert!(variant == "refused" || !printed.contains("127.0.0.1"), "{printed}");
    for inside in [SECRET, APP, "secret=", "access_token=", "grant_type"] {
        assert!(!printed.contains(inside), "{inside}: {printed}");
    }
    error
}

fn assert_unusable(outcome: Result<Issued, UpstreamError>, why: &str) {
    let error = assert_failed(outcome, "unusable", Class::Transient, true);
    assert!(error.to_string().contains(why), "{error}");
}

fn assert_lost(outcome: Result<Issued, UpstreamError>) {
    assert_failed(outcome, "lost", Class::Transient, true);
}

fn assert_unreachable(outcome: Result<Issued, UpstreamError>) {
    assert_failed(outcome, "unreachable", Class::Transient, false);
}

// What goes out.

#[tokio::test]
async fn a_stable_token_is_asked_for_in_a_json_body() {
    for force in [false, true] {
        let (base, asked) = server(http("200 OK", "", GOOD));
        let token = upstream(&base, PATIENT).token(&account(), force).await.unwrap();
        assert_eq!(token, issued("85_abc-DEF_123", 7_200));
        let asked = asked.join().unwrap();
        let (head, body) = asked.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /cgi-bin/stable_token HTTP/1.1\r\n"), "{head}");
        assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let expected = serde_json::json!({
            "grant_type": "client_credential", "appid": APP, "secret": SECRET, "force_refresh": force,
        });
        assert_eq!(body, expected);
    }
}

/// The request line of one call, and what came of it.
async fn line_of(account: &Account, kind: Kind, token: &str) -> String {
    let (base, asked) = server(http("200 OK", "", if kind == Kind::AccessToken { GOOD } else { GOOD_TICKET }));
    let upstream = upstream(&base, PATIENT);
    match kind {
        Kind::AccessToken => assert_eq!(upstream.token(account, false).await.unwrap(), issued("85_abc-DEF_123", 7_200)),
        _ => {
            let ticket = upstream.ticket(account, kind, &Secret::new(token)).await.unwrap();
            assert_eq!(ticket, issued("sM4AOVdWfPE4DxkX", 7_200));
        }
    }
    asked.join().unwrap().lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_classic_token_is_asked_for_in_the_query() {
    let line = line_of(&account().token_mode(TokenMode::Classic), Kind::AccessToken, "").await;
    let expected = format!("GET /cgi-bin/token?grant_type=client_credential&appid={APP}&secret={SECRET} HTTP/1.1");
    assert_eq!(line, expected);
}

#[tokio::test]
async fn tickets_are_asked_for_by_type() {
    let jsapi = line_of(&account(), Kind::JsapiTicket, "85_t-T").await;
    assert_eq!(jsapi, "GET /cgi-bin/ticket/getticket?access_token=85_t-T&type=jsapi HTTP/1.1");
    let card = line_of(&account(), Kind::CardTicket, "85_t-T").await;
    assert_eq!(card, "GET /cgi-bin/ticket/getticket?access_token=85_t-T&type=wx_card HTTP/1.1");
}

#[tokio::test]
async fn wecom_has_paths_of_its_own() {
    let work = Account::work("ww0123456789abcdef", 1_000_002, "a-b_C");
    let token = line_of(&work, Kind::AccessToken, "").await;
    assert_eq!(token, "GET /cgi-bin/gettoken?corpid=ww0123456789abcdef&corpsecret=a-b_C HTTP/1.1");
    let corp = line_of(&work, Kind::JsapiTicket, "t").await;
    assert_eq!(corp, "GET /cgi-bin/get_jsapi_ticket?access_token=t HTTP/1.1");
    let agent = line_of(&work, Kind::AgentTicket, "t").await;
    assert_eq!(agent, "GET /cgi-bin/ticket/get?access_token=t&type=agent_config HTTP/1.1");
}

#[tokio::test]
async fn a_token_is_encoded_for_the_query() {
    let line = line_of(&account(), Kind::JsapiTicket, "a+b/c=&d#e").await;
    assert_eq!(line, "GET /cgi-bin/ticket/getticket?access_token=a%2Bb%2Fc%3D%26d%23e&type=jsapi HTTP/1.1");
}

#[tokio::test]
async fn a_base_may_have_a_path_and_a_slash_at_its_end() {
    let (base, asked) = server(http("200 OK", "", GOOD));
    upstream(&format!("{base}/egress/"), PATIENT).token(&account(), false).await.unwrap();
    assert!(asked.join().unwrap().starts_with("POST /egress/cgi-bin/stable_token HTTP/1.1\r\n"));
}

// What comes back, when all is well.

#[tokio::test]
async fn both_modes_bring_the_living_token_of_their_own() {
    let sandbox = sandbox().await;
    let upstream = upstream(sandbox.url(), PATIENT);
    let stable = upstream.token(&account(), false).await.unwrap();
    assert_eq!(Some(stable.value.expose()), sandbox.token(APP, Mode::Stable).as_deref());
    let classic = upstream.token(&account().token_mode(TokenMode::Classic), false).await.unwrap();
    assert_eq!(Some(classic.value.expose()), sandbox.token(APP, Mode::Classic).as_deref());
    assert_ne!(stable.value, classic.value);
    assert_eq!((stable.expires_in, classic.expires_in), (Duration::from_secs(7_200), Duration::from_secs(7_200)));
}

#[tokio::test]
async fn a_stable_token_comes_with_what_is_left_of_its_life_until_it_is_forced() {
    let sandbox = sandbox().await;
    let upstream = upstream(sandbox.url(), PATIENT);
    let first = upstream.token(&account(), false).await.unwrap();
    sandbox.advance(Duration::from_secs(1_000));
    let again = upstream.token(&account(), false).await.unwrap();
    assert_eq!(again, Issued { expires_in: Duration::from_secs(6_200), ..first.clone() });
    assert_ne!(upstream.token(&account(), true).await.unwrap().value, first.value);
}

#[tokio::test]
async fn each_type_of_ticket_is_its_own() {
    let sandbox = sandbox().await;
    let upstream = upstream(sandbox.url(), PATIENT);
    let token = upstream.token(&account(), false).await.unwrap().value;
    for (kind, name) in [(Kind::JsapiTicket, "jsapi"), (Kind::CardTicket, "wx_card")] {
        let ticket = upstream.ticket(&account(), kind, &token).await.unwrap();
        assert_eq!(Some(ticket.value.expose()), sandbox.ticket(APP, name).as_deref(), "{name}");
    }
}

#[tokio::test]
async fn an_answer_that_is_slow_but_in_time_is_taken() {
    assert!(token_meets(FaultKind::Slow(Duration::from_millis(100)), PATIENT).await.is_ok());
}

#[tokio::test]
async fn errcode_zero_with_a_value_is_a_success() {
    let body = r#"{"errcode":0,"errmsg":"ok","access_token":"85_abc","expires_in":7200}"#;
    assert_eq!(token_answered(body).await.unwrap(), issued("85_abc", 7_200));
    let body = r#"{"errcode":null,"access_token":"85_abc","expires_in":60,"more":{"x":[1]}}"#;
    assert_eq!(token_answered(body).await.unwrap(), issued("85_abc", 60));
}

#[tokio::test]
async fn the_errcode_is_judged_and_not_the_http_status() {
    for status in ["404 Not Found", "500 Internal Server Error", "203 Non-Authoritative Information"] {
        let (base, asked) = server(http(status, "", GOOD));
        assert!(upstream(&base, PATIENT).token(&account(), false).await.is_ok(), "{status}");
        asked.join().unwrap();
        let (base, asked) = server(http(status, "", r#"{"errcode":40125,"errmsg":"invalid appsecret"}"#));
        let refused = upstream(&base, PATIENT).token(&account(), false).await;
        assert_eq!(assert_failed(refused, "refused", Class::Setup, false).errcode(), Some(40_125));
        asked.join().unwrap();
    }
}

#[tokio::test]
async fn the_content_type_is_not_insisted_on() {
    let sandbox = sandbox().await;
    let upstream = upstream(sandbox.url(), PATIENT);
    for content_type in ["text/plain", "text/html; charset=gbk", "application/json; encoding=utf-8", "x"] {
        sandbox.set_content_type(content_type);
        assert!(upstream.token(&account(), false).await.is_ok(), "{content_type}");
    }
    let (base, asked) = server(http("200 OK", "", GOOD));
    assert!(self::upstream(&base, PATIENT).token(&account(), false).await.is_ok(), "none at all");
    asked.join().unwrap();
}

// WeChat says no.

#[tokio::test]
async fn refusals_are_classed_by_their_errcode() {
    for (errcode, class) in [
        (-1, Class::Transient),
        (40_013, Class::Setup),
        (40_125, Class::Setup),
        (40_164, Class::Setup),
        (40_001, Class::Setup),
        (45_009, Class::Quota),
        (45_011, Class::Transient),
    ] {
        let outcome = token_meets(FaultKind::Errcode(errcode), PATIENT).await;
        assert_eq!(assert_failed(outcome, "refused", class, false).errcode(), Some(errcode));
    }
}

#[tokio::test]
async fn a_refused_token_is_told_from_a_refused_secret() {
    let sandbox = sandbox().await;
    let upstream = upstream(sandbox.url(), PATIENT);
    let refused = upstream.ticket(&account(), Kind::JsapiTicket, &Secret::new("85_dead")).await;
    assert_eq!(assert_failed(refused, "refused", Class::StaleToken, false).errcode(), Some(40_001));
    let token = upstream.token(&account(), false).await.unwrap().value;
    sandbox.advance(Duration::from_secs(7_200));
    let expired = upstream.ticket(&account(), Kind::JsapiTicket, &token).await;
    assert_eq!(assert_failed(expired, "refused", Class::StaleToken, false).errcode(), Some(42_001));
}

#[tokio::test]
async fn an_errcode_that_nobody_knows_is_a_refusal_all_the_same() {
    let outcome = token_answered(r#"{"errcode":999999999999,"access_token":"85_abc","expires_in":7200}"#).await;
    assert_eq!(outcome.unwrap_err().errcode(), Some(999_999_999_999));
}

#[tokio::test]
async fn the_errmsg_is_kept_without_the_secret_it_repeats() {
    let echo = format!("invalid appsecret {SECRET}, you sent secret={SECRET}");
    let refused = token_meets(FaultKind::ErrcodeWith(40_125, echo), PATIENT).await;
    let error = assert_struck(refused, SECRET);
    assert!(error.to_string().contains("40125 invalid appsecret [secret], you sent secret"), "{error}");
}

#[tokio::test]
async fn a_secret_that_is_repeated_in_pieces_is_struck_out_too() {
    let (left, right) = SECRET.split_at(9);
    let refused = token_meets(FaultKind::ErrcodeWith(40_125, format!("invalid {left}\u{1}\r\n{right}")), PATIENT).await;
    assert_struck(refused, SECRET);
}

#[tokio::test]
async fn a_secret_that_is_repeated_encoded_is_struck_out_too() {
    let sandbox = sandbox().await;
    let odd = Account::official(APP, "a+b/c==&d").token_mode(TokenMode::Classic);
    let echo = "GET /cgi-bin/token?secret=a%2Bb%2Fc%3D%3D%26d".to_owned();
    sandbox.fault(Fault::always("/cgi-bin/token", FaultKind::ErrcodeWith(40_125, echo)));
    let refused = upstream(sandbox.url(), PATIENT).token(&odd, false).await;
    assert_struck(refused, "a%2Bb%2Fc%3D%3D%26d");
}

#[tokio::test]
async fn a_ticket_call_strikes_its_token_out() {
    let sandbox = sandbox().await;
    let upstream = upstream(sandbox.url(), PATIENT);
    let token = upstream.token(&account(), false).await.unwrap().value;
    for kind in [
        FaultKind::ErrcodeWith(40_001, format!("invalid credential {}", token.expose())),
        FaultKind::Body(format!(r#"{{"ticket":"t","expires_in":"{}"}}"#, token.expose())),
        FaultKind::Body(format!(r#"{{"ticket":"t","expires_in":{{"{}":1}}}}"#, token.expose())),
        FaultKind::Body(format!(r#"{{"errcode":"{}"}}"#, token.expose())),
    ] {
        sandbox.fault(Fault::once(TICKET, kind));
        assert_struck(upstream.ticket(&account(), Kind::JsapiTicket, &token).await, token.expose());
    }
}

#[track_caller]
fn assert_struck(outcome: Result<Issued, UpstreamError>, value: &str) -> UpstreamError {
    let error = outcome.unwrap_err();
    let printed = format!("{error} {error:?}");
    assert!(!printed.contains(value), "{printed}");
    error
}

// What comes back is no answer of WeChat's.

#[tokio::test]
async fn a_gateways_html_is_unusable() {
    assert_unusable(token_meets(FaultKind::Status(502), PATIENT).await, "HTTP 502");
    assert_unusable(token_meets(FaultKind::NotJson, PATIENT).await, "no JSON object");
}

#[tokio::test]
async fn a_huge_body_is_not_read_to_its_end() {
    assert_unusable(token_meets(FaultKind::HugeBody, PATIENT).await, "more than 65536 bytes");
}

#[tokio::test]
async fn an_empty_body_and_json_of_another_shape_are_unusable() {
    for body in ["", " ", "null", "[]", "[{\"access_token\":\"a\",\"expires_in\":7200}]", "\"ok\"", "7200", "{", "{}{}"] {
        assert_unusable(token_answered(body).await, "no JSON object");
    }
    assert_unusable(token_answered(&"[".repeat(60_000)).await, "no JSON object");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let sandbox = sandbox().await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
        let location = format!("Location: {}{STABLE}\r\n", sandbox.url());
        let (base, asked) = server(http(status, &location, ""));
        assert_unusable(upstream(&base, PATIENT).token(&account(), false).await, &status[..3]);
        asked.join().unwrap();
    }
    assert_eq!(sandbox.calls_total(), 0);
}

#[tokio::test]
async fn a_token_that_is_none_is_unusable() {
    for (token, why) in [
        (r#""""#, "an empty access_token"),
        (r#""a b""#, "blanks"),
        (r#"" a""#, "blanks"),
        (r#""a\n""#, "blanks"),
        (r#""\u4e2d""#, "blanks"),
        ("null", "no access_token"),
        ("7200", "no access_token"),
        ("[\"a\"]", "no access_token"),
    ] {
        assert_unusable(token_answered(&format!(r#"{{"access_token":{token},"expires_in":7200}}"#)).await, why);
    }
    assert_unusable(token_answered(r#"{"ticket":"t","expires_in":7200}"#).await, "no access_token");
    let long = format!(r#"{{"access_token":"{}","expires_in":7200}}"#, "a".repeat(10_240));
    assert_unusable(token_answered(&long).await, "10240 bytes");
}

#[tokio::test]
async fn a_life_that_is_none_is_unusable() {
    for life in ["0", "-1", "-7200", r#""7200""#, "7200.5", "1e99", "86401", "18446744073709551616", "null", "true", "[]", "{}"]
    {
        assert_unusable(token_answered(&format!(r#"{{"access_token":"85_abc","expires_in":{life}}}"#)).await, "expires_in");
    }
    assert_unusable(token_answered(r#"{"access_token":"85_abc"}"#).await, "expires_in");
}

#[tokio::test]
async fn an_errcode_that_is_no_number_is_unusable() {
    for errcode in [r#""0""#, r#""40001""#, "1.5", "true", "{}", "99999999999999999999"] {
        let body = format!(r#"{{"errcode":{errcode},"access_token":"85_abc","expires_in":7200}}"#);
        assert_unusable(token_answered(&body).await, "errcode");
    }
}

// No answer comes back.

#[tokio::test]
async fn a_call_that_hangs_is_given_up_and_may_have_been_carried_out() {
    assert_lost(token_meets(FaultKind::Hang, BRIEF).await);
}

#[tokio::test]
async fn an_answer_that_comes_too_late_was_carried_out() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::once(STABLE, FaultKind::Slow(Duration::from_secs(60))));
    assert_lost(upstream(sandbox.url(), BRIEF).token(&account(), false).await);
    assert!(sandbox.token(APP, Mode::Stable).is_some());
}

#[tokio::test]
async fn a_lost_reply_was_carried_out() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::once(STABLE, FaultKind::LostReply));
    assert_lost(upstream(sandbox.url(), PATIENT).token(&account(), false).await);
    assert!(sandbox.token(APP, Mode::Stable).is_some());
    assert_eq!(sandbox.calls(STABLE), 1, "it is not repeated behind the broker's back");
}

#[tokio::test]
async fn a_reply_lost_on_a_connection_that_was_used_before_is_not_repeated() {
    let sandbox = sandbox().await;
    let (upstream, classic) = (upstream(sandbox.url(), PATIENT), account().token_mode(TokenMode::Classic));
    upstream.token(&classic, false).await.unwrap();
    sandbox.fault(Fault::once("/cgi-bin/token", FaultKind::LostReply));
    assert_lost(upstream.token(&classic, false).await);
    assert_eq!(sandbox.calls("/cgi-bin/token"), 2, "a classic call made twice would retire the token before last");
}

#[tokio::test]
async fn a_body_that_is_cut_is_a_lost_reply() {
    assert_lost(token_meets(FaultKind::CutBody, PATIENT).await);
}

#[tokio::test]
async fn a_body_shorter_than_it_was_promised_is_a_lost_reply() {
    let (base, asked) = server(format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{GOOD}"));
    assert_lost(upstream(&base, PATIENT).token(&account(), false).await);
    asked.join().unwrap();
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        request_from(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{").unwrap();
        stream
    });
    assert_lost(upstream(&base, BRIEF).token(&account(), false).await);
    drop(serving.join().unwrap());
}

#[tokio::test]
async fn what_is_no_http_at_all_is_a_lost_reply() {
    let (base, asked) = server("220 smtp.example.com ESMTP\r\n");
    assert_lost(upstream(&base, PATIENT).token(&account(), false).await);
    asked.join().unwrap();
}

#[tokio::test]
async fn a_refused_connection_was_not_carried_out() {
    let base = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    assert_unreachable(upstream(&base, PATIENT).token(&account(), false).await);
}

#[tokio::test]
async fn tls_against_a_plain_port_was_not_carried_out() {
    let sandbox = sandbox().await;
    let base = sandbox.url().replace("http://", "https://");
    assert_unreachable(upstream(&base, PATIENT).token(&account(), false).await);
    assert_eq!(sandbox.calls_total(), 0);
}

#[tokio::test]
async fn a_ticket_call_fails_in_the_same_ways() {
    let sandbox = sandbox().await;
    let (brief, token) = (upstream(sandbox.url(), BRIEF), Secret::new("85_t"));
    sandbox.fault(Fault::once(TICKET, FaultKind::Hang));
    assert_lost(brief.ticket(&account(), Kind::JsapiTicket, &token).await);
    let patient = upstream(sandbox.url(), PATIENT);
    sandbox.fault(Fault::once(TICKET, FaultKind::Status(503)));
    assert_unusable(patient.ticket(&account(), Kind::JsapiTicket, &token).await, "HTTP 503");
    sandbox.fault(Fault::once(TICKET, FaultKind::Body(GOOD.into())));
    assert_unusable(patient.ticket(&account(), Kind::JsapiTicket, &token).await, "no ticket");
}

// The client itself.

#[test]
fn bases_that_are_none_are_refused() {
    for base in [
        "",
        "api.weixin.qq.com",
        "//api.weixin.qq.com",
        "ftp://x",
        "https://",
        "https://x/?a=1",
        "https://x/#f",
        "https://u:geheim@x",
    ] {
        for options in [
            UpstreamOptions { weixin: base.into(), ..UpstreamOptions::default() },
            UpstreamOptions { qyapi: base.into(), ..UpstreamOptions::default() },
        ] {
            let error = Upstream::new(&options).expect_err(base);
            assert!(!format!("{error} {error:?}").contains("geheim"), "{error}");
        }
    }
    assert!(Upstream::new(&UpstreamOptions::default()).is_ok());
}

/// Runs one ignored test of this file in a process of its own, where the environment can be set.
fn in_a_process_with_proxy(test: &str, proxy: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, proxy);
    }
    let child = child.env_remove("NO_PROXY").env_remove("no_proxy").args(["--exact", test, "--ignored"]).output().unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn an_egress_proxy_is_not_asked_for_a_simulator_on_this_machine() {
    in_a_process_with_proxy("loopback_is_called_directly", "http://127.0.0.1:9");
}

#[tokio::test]
#[ignore = "run with a dead proxy in its environment by the test above"]
async fn loopback_is_called_directly() {
    let sandbox = sandbox().await;
    assert!(upstream(sandbox.url(), PATIENT).token(&account(), false).await.is_ok());
}

#[test]
fn an_egress_proxy_is_asked_for_everything_else() {
    let (proxy, asked) = server(http("200 OK", "", GOOD));
    in_a_process_with_proxy("another_machine_is_called_through_the_proxy", &proxy);
    assert!(asked.join().unwrap().starts_with("POST http://wechat.invalid/cgi-bin/stable_token HTTP/1.1\r\n"));
}

#[tokio::test]
#[ignore = "run with a proxy in its environment by the test above"]
async fn another_machine_is_called_through_the_proxy() {
    assert!(upstream("http://wechat.invalid", PATIENT).token(&account(), false).await.is_ok());
}
