//! Calls without an answer: whether the call may have been carried out.

use std::io::Write as _;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use wx_jssdk::account::TokenMode;
use wx_jssdk::credential::{Kind, Secret};
use wx_jssdk::sandbox::{Fault, FaultKind, Mode};

use crate::upstream::support::*;

#[tokio::test]
async fn a_hanging_call_times_out_and_may_have_been_carried_out() {
    assert_lost(token_meets(FaultKind::Hang, BRIEF).await);
}

#[tokio::test]
async fn an_answer_that_comes_too_late_was_carried_out() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::once(
        STABLE,
        FaultKind::Slow(Duration::from_secs(60)),
    ));
    assert_lost(
        upstream(sandbox.url(), BRIEF)
            .token(&account(), false)
            .await,
    );
    assert!(sandbox.token(APP, Mode::Stable).is_some());
}

#[tokio::test]
async fn a_lost_reply_was_carried_out() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::once(STABLE, FaultKind::LostReply));
    assert_lost(
        upstream(sandbox.url(), PATIENT)
            .token(&account(), false)
            .await,
    );
    assert!(sandbox.token(APP, Mode::Stable).is_some());
    assert_eq!(
        sandbox.calls(STABLE),
        1,
        "the HTTP client does not repeat it without the broker"
    );
}

#[tokio::test]
async fn a_reply_lost_on_a_connection_that_was_used_before_is_not_repeated() {
    let sandbox = sandbox().await;
    let (upstream, classic) = (
        upstream(sandbox.url(), PATIENT),
        account().token_mode(TokenMode::Classic),
    );
    upstream.token(&classic, false).await.unwrap();
    sandbox.fault(Fault::once("/cgi-bin/token", FaultKind::LostReply));
    assert_lost(upstream.token(&classic, false).await);
    assert_eq!(
        sandbox.calls("/cgi-bin/token"),
        2,
        "a repeated classic call would end the token before last"
    );
}

#[tokio::test]
async fn a_truncated_body_is_a_lost_reply() {
    assert_lost(token_meets(FaultKind::CutBody, PATIENT).await);
}

#[tokio::test]
async fn a_body_shorter_than_announced_is_a_lost_reply() {
    let (base, asked) = server(unfinished_answer(GOOD));
    assert_lost(upstream(&base, PATIENT).token(&account(), false).await);
    asked.join().unwrap();
}

#[tokio::test]
async fn a_body_that_never_ends_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        request_from(&mut stream);
        stream.write_all(unfinished_answer("{").as_bytes()).unwrap();
        stream
    });
    assert_lost(upstream(&base, BRIEF).token(&account(), false).await);
    drop(serving.join().unwrap());
}

#[tokio::test]
async fn a_non_http_answer_is_a_lost_reply() {
    let (base, asked) = server("220 smtp.example.com ESMTP\r\n");
    assert_lost(upstream(&base, PATIENT).token(&account(), false).await);
    asked.join().unwrap();
}

#[tokio::test]
async fn a_refused_connection_was_not_carried_out() {
    let base = format!(
        "http://{}",
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    );
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
    assert_unusable(
        patient.ticket(&account(), Kind::JsapiTicket, &token).await,
        "HTTP 503",
    );
    sandbox.fault(Fault::once(TICKET, FaultKind::Body(GOOD.into())));
    assert_unusable(
        patient.ticket(&account(), Kind::JsapiTicket, &token).await,
        "ticket is missing",
    );
}

/// Serves TLS with a self-made certificate, as a company's egress proxy does.
pub(crate) fn untrusted_server() -> (String, thread::JoinHandle<()>) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut tls = rustls::ServerConnection::new(config.into()).unwrap();
        let _ = tls.complete_io(&mut stream);
    });
    (base, serving)
}

#[tokio::test]
async fn an_untrusted_certificate_is_reported_with_how_to_trust_it() {
    let (base, serving) = untrusted_server();
    let outcome = upstream(&base, PATIENT).token(&account(), false).await;
    serving.join().unwrap();
    let error = outcome.clone().unwrap_err();
    assert!(!error.may_have_been_carried_out(), "{error}");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    for text in [error.fix().en, error.fix().zh] {
        assert!(text.contains("SSL_CERT_FILE"), "{text}");
    }
    assert!(
        error.cause().en.contains("certificate"),
        "{:?}",
        error.cause()
    );
    assert_unreachable(outcome);
}
