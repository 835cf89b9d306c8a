//! Transport faults on demand.

use std::time::Duration;

use wx_jssdk::sandbox::{Fault, FaultKind, Mode, Sandbox};

use crate::common::wait::called;
use crate::support::*;

const TOKEN: &str = "/cgi-bin/token";

async fn fetch(sandbox: &Sandbox) -> reqwest::Result<reqwest::Response> {
    client()
        .get(format!("{}{}", sandbox.url(), token_path()))
        .send()
        .await
}

#[tokio::test]
async fn an_errcode_fault_uses_wechats_message_and_changes_nothing() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::once(TOKEN, FaultKind::Errcode(-1)));
    let answer = classic(&sandbox).await;
    assert_eq!(
        (
            answer["errcode"].as_i64(),
            errmsg(&sandbox, &answer).as_str()
        ),
        (Some(-1), "system error")
    );
    assert_eq!(
        (sandbox.token(APP, Mode::Classic), sandbox.calls(TOKEN)),
        (None, 1)
    );
    assert_eq!(classic(&sandbox).await["expires_in"], 7_200, "only once");
}

#[tokio::test]
async fn an_errcode_fault_may_have_its_own_message() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::once(
        TOKEN,
        FaultKind::ErrcodeWith(99999, "never heard of".into()),
    ));
    let answer = classic(&sandbox).await;
    assert_eq!(
        (
            answer["errcode"].as_i64(),
            errmsg(&sandbox, &answer).as_str()
        ),
        (Some(99999), "never heard of")
    );
}

#[tokio::test]
async fn a_status_fault_returns_an_html_page() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::once(TOKEN, FaultKind::Status(502)));
    let answer = fetch(&sandbox).await.unwrap();
    assert_eq!(answer.status(), 502);
    assert!(
        answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .contains("<h1>Bad Gateway</h1>")
    );
    assert_eq!(sandbox.token(APP, Mode::Classic), None);
}

#[tokio::test]
async fn a_not_json_fault_returns_200() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::once(TOKEN, FaultKind::NotJson));
    let answer = fetch(&sandbox).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().starts_with("<html>"));
}

#[tokio::test]
async fn a_body_fault_is_returned_verbatim() {
    let sandbox = sandbox().await;
    for body in [
        r#"{"access_token":"x","expires_in":-1}"#,
        r#"{"access_token":"","expires_in":"7200"}"#,
        "",
    ] {
        sandbox.fault(Fault::once(TOKEN, FaultKind::Body(body.into())));
        assert_eq!(fetch(&sandbox).await.unwrap().text().await.unwrap(), body);
    }
    assert_eq!(sandbox.token(APP, Mode::Classic), None);
}

#[tokio::test]
async fn a_truncated_body_announces_more_than_it_sends() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::once(TOKEN, FaultKind::CutBody));
    let bytes = String::from_utf8(raw(&sandbox, &token_path()).await).unwrap();
    let (head, body) = bytes.split_once("\r\n\r\n").unwrap();
    let promised = head
        .to_lowercase()
        .split_once("content-length: ")
        .unwrap()
        .1
        .split("\r\n")
        .next()
        .unwrap()
        .parse::<usize>();
    let whole = format!(
        r#"{{"access_token":"{}","expires_in":7200}}"#,
        sandbox.token(APP, Mode::Classic).unwrap()
    );
    assert_eq!(promised, Ok(whole.len()));
    assert_eq!(body, &whole[..whole.len() / 2]);
    sandbox.fault(Fault::once(TOKEN, FaultKind::CutBody));
    let answer = fetch(&sandbox).await.unwrap();
    assert!(answer.bytes().await.is_err(), "and a client notices");
}

#[tokio::test]
async fn a_lost_reply_was_carried_out_and_not_a_byte_is_sent() {
    let sandbox = sandbox().await;
    let old = token_of(&classic(&sandbox).await);
    sandbox.fault(Fault::once(TOKEN, FaultKind::LostReply));
    assert_eq!(raw(&sandbox, &token_path()).await, b"");
    let new = sandbox.token(APP, Mode::Classic).unwrap();
    assert_ne!(old, new);
    sandbox.advance(seconds(300));
    assert_eq!(try_token(&sandbox, &old).await, 40001);
    sandbox.fault(Fault::once(TOKEN, FaultKind::LostReply));
    assert!(fetch(&sandbox).await.is_err());
    assert_ne!(sandbox.token(APP, Mode::Classic).unwrap(), new);
}

#[tokio::test]
async fn a_huge_body_is_eight_mebibytes_without_a_content_length() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::once(TOKEN, FaultKind::HugeBody));
    let answer = fetch(&sandbox).await.unwrap();
    assert!(answer.content_length().is_none() && !answer.headers().contains_key("content-length"));
    let body = answer.bytes().await.unwrap();
    assert!(
        body.len() > 8 * 1_024 * 1_024 && body.starts_with(br#"{"access_token":"aaaa"#),
        "{} bytes",
        body.len()
    );
}

#[tokio::test]
async fn a_client_may_disconnect_during_a_huge_body() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::once(TOKEN, FaultKind::HugeBody));
    let mut answer = fetch(&sandbox).await.unwrap();
    assert!(answer.chunk().await.unwrap().is_some());
    drop(answer);
    assert_eq!(classic(&sandbox).await["expires_in"], 7_200);
}

#[tokio::test]
async fn a_hang_does_not_answer_and_is_not_carried_out() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::once(TOKEN, FaultKind::Hang));
    let hanging = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { fetch(&sandbox).await.map(|_| ()) }
    });
    called(&sandbox, TOKEN, 1).await;
    assert_eq!(
        classic(&sandbox).await["expires_in"],
        7_200,
        "the next one is answered"
    );
    assert!(!hanging.is_finished());
    assert_eq!(
        sandbox.state().apps[0].tokens.classic.previous,
        None,
        "the first one got no token"
    );
    hanging.abort();
}

#[tokio::test]
async fn a_slow_answer_is_carried_out_at_once_and_correct_on_arrival() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::once(
        TOKEN,
        FaultKind::Slow(Duration::from_millis(50)),
    ));
    let answer = classic(&sandbox).await;
    assert_eq!(Some(token_of(&answer)), sandbox.token(APP, Mode::Classic));
}

#[tokio::test]
async fn stopping_ends_hanging_and_slow_calls() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::once(TOKEN, FaultKind::Hang));
    sandbox.fault(Fault::once(
        TOKEN,
        FaultKind::Slow(Duration::from_secs(3_600)),
    ));
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let sandbox = sandbox.clone();
            tokio::spawn(async move { fetch(&sandbox).await.map(|_| ()) })
        })
        .collect();
    called(&sandbox, TOKEN, 2).await;
    sandbox.stop().await;
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert!(
            !error.is_timeout(),
            "the sandbox closed the connection, the client did not time out: {error:?}"
        );
    }
}

#[tokio::test]
async fn faults_are_consumed_in_order_and_each_as_often_as_configured() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault {
        endpoint: TOKEN,
        kind: FaultKind::Hang,
        times: 0,
    });
    sandbox.fault(Fault {
        endpoint: TOKEN,
        kind: FaultKind::Errcode(-1),
        times: 2,
    });
    sandbox.fault(Fault {
        endpoint: "/cgi-bin/stable_token",
        kind: FaultKind::Errcode(50007),
        times: 1,
    });
    sandbox.fault(Fault {
        endpoint: TOKEN,
        kind: FaultKind::Errcode(45011),
        times: 1,
    });
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(classic(&sandbox).await["errcode"].as_i64());
    }
    assert_eq!(codes, [Some(-1), Some(-1), Some(45011), None]);
    assert_eq!(stable(&sandbox).await["errcode"], 50007);
    assert_eq!(sandbox.calls(TOKEN), 4, "failed calls are counted too");
}

#[tokio::test]
async fn an_endless_fault_lasts_until_the_faults_are_cleared() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::always(TOKEN, FaultKind::Errcode(-1)));
    for _ in 0..20 {
        assert_eq!(classic(&sandbox).await["errcode"], -1);
    }
    sandbox.clear_faults();
    assert_eq!(classic(&sandbox).await["expires_in"], 7_200);
}

#[tokio::test]
#[should_panic(expected = "unknown endpoint \"/cgi/token\"; its first segment must be one of")]
async fn a_fault_on_a_misspelt_endpoint_panics() {
    sandbox()
        .await
        .fault(Fault::once("/cgi/token", FaultKind::Hang));
}

#[tokio::test]
#[should_panic(expected = "\"/cgi-bin/componentloginpage\" is the authorisation page")]
async fn a_fault_on_the_authorisation_page_panics() {
    let page = "/cgi-bin/componentloginpage";
    sandbox().await.fault(Fault::once(page, FaultKind::Hang));
}

#[tokio::test]
async fn a_fault_below_sns_has_the_wording_of_sns() {
    let sandbox = sandbox().await;
    for path in ["/sns/auth", "/sns/other"] {
        sandbox.fault(Fault::once(path, FaultKind::Errcode(40001)));
        let answer = get(&sandbox, path).await;
        let start = "invalid credential, access_token is invalid or not latest, rid: ";
        let errmsg = text(&answer, "errmsg");
        assert!(errmsg.starts_with(start), "{path}: {errmsg}");
    }
}
