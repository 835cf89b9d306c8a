//! Paths that are not simulated: the token is checked, and the request is echoed.

use serde_json::{Value, json};
use wx_jssdk::sandbox::{Fault, FaultKind, ReceivedRequest, Revoke};

use crate::common::http;
use crate::common::wait::called;
use crate::support::*;

const SEND: &str = "/cgi-bin/message/custom/send";

/// SHA-256 of an empty body.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[tokio::test]
async fn a_request_is_echoed_as_received_without_its_secrets() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    let query = format!("b=%2f+x&access_token={token}&a=&a=2&secret=abcdef");
    let answer = client()
        .post(format!("{}{SEND}?{query}", sandbox.url()))
        .header("X-One", "1")
        .header("x-one", "2")
        .header("Content-Type", "application/json; charset=utf-8")
        .header("Authorization", "Bearer of-nobody")
        .body("hello")
        .send()
        .await
        .unwrap();
    assert_eq!(
        answer.headers()["content-type"],
        "application/json; encoding=utf-8"
    );
    let text = answer.text().await.unwrap();
    assert!(!text.contains(&token) && !text.contains("of-nobody"));
    let answer: Value = serde_json::from_str(&text).unwrap();
    let query = format!(
        "b=%2f+x&access_token={}***&a=&a=2&secret=abcd***",
        &token[..4]
    );
    assert_eq!(
        answer,
        json!({ "errcode": 0, "errmsg": "ok", "echo": {
            "method": "POST", "path": SEND, "query": query,
            "headers": [
                ["accept", "*/*"],
                ["authorization", "***"],
                ["content-length", "5"],
                ["content-type", "application/json; charset=utf-8"],
                ["host", sandbox.addr().to_string()],
                ["x-one", "1"],
                ["x-one", "2"],
            ],
            "body_bytes": 5,
            "body_sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        }})
    );
    let echo: ReceivedRequest = serde_json::from_value(answer["echo"].clone()).unwrap();
    assert_eq!(sandbox.last_requests(SEND), [echo]);
}

#[tokio::test]
async fn every_first_path_segment_of_wechat_is_known() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    for path in [
        "/cgi-bin/user/info",
        "/cgi-bin/token/",
        "/wxa/business/getuserphonenumber",
        "/channels/ec/order/get",
        "/card/get",
        "/datacube/getusersummary",
        "/merchant/common/upload_img",
        "/user-order/x",
    ] {
        let answer = get(&sandbox, &format!("{path}?access_token={token}")).await;
        assert_eq!(
            (answer["errcode"].as_i64(), answer["echo"]["path"].as_str()),
            (Some(0), Some(path))
        );
        assert_eq!(answer["echo"]["body_sha256"], EMPTY);
        assert_eq!(sandbox.calls(path), 1);
    }
}

#[tokio::test]
async fn the_token_of_an_echoed_call_is_checked_as_that_of_a_data_call() {
    let sandbox = sandbox().await;
    let displaced = token_of(&classic(&sandbox).await);
    classic(&sandbox).await;
    sandbox.advance(seconds(300));
    let expired = token_of(&stable(&sandbox).await);
    for path in [SEND, "/wxa/getwxacode"] {
        for (code, query) in [
            (41001, String::new()),
            (41001, "access_token=".to_owned()),
            (40001, "access_token=70_nobodys".to_owned()),
            (40001, format!("access_token={displaced}")),
        ] {
            let answer = get(&sandbox, &format!("{path}?{query}")).await;
            errmsg(&sandbox, &answer);
            assert_eq!(answer["errcode"], code, "{path}?{query}");
        }
    }
    sandbox.advance(seconds(7_200));
    let answer = get(&sandbox, &format!("{SEND}?access_token={expired}")).await;
    assert_eq!(answer["errcode"], 42001);
    assert_eq!(
        sandbox.errcodes(SEND).into_iter().collect::<Vec<_>>(),
        [(40001, 2), (41001, 2), (42001, 1)]
    );
}

#[tokio::test]
async fn the_token_decides_whether_wecom_echoes_a_path() {
    let sandbox = corp().await;
    sandbox.add_app(app());
    let (work, weixin) = (
        token_of(&gettoken(&sandbox).await),
        token_of(&stable(&sandbox).await),
    );
    let call = |path: &str, token: &str| {
        client()
            .get(format!("{}{path}?access_token={token}", sandbox.url()))
            .send()
    };
    let answer = call("/cgi-bin/user/getuserinfo", &work).await.unwrap();
    assert_eq!(
        (
            answer.headers()["error-code"].to_str().unwrap(),
            answer.headers()["content-type"].to_str().unwrap()
        ),
        ("0", "application/json; charset=UTF-8")
    );
    let answer = call("/cgi-bin/user/getuserinfo", &weixin).await.unwrap();
    assert!(!answer.headers().contains_key("error-code"));
    let answer = get(&sandbox, &format!("/wxa/x?access_token={work}")).await;
    assert_eq!(answer["errcode"], 40001, "WeCom has no such path");
    sandbox.revoke(AGENT_NAME, Revoke::Token);
    let answer = get(
        &sandbox,
        &format!("/cgi-bin/user/getuserinfo?access_token={work}"),
    )
    .await;
    assert_eq!(
        work_refusal(&sandbox, &answer),
        (40014, "invalid access_token".to_owned())
    );
}

#[tokio::test]
async fn wecom_checks_the_address_of_an_echoed_call() {
    let sandbox = corp().await;
    let token = token_of(&gettoken(&sandbox).await);
    let path = format!("/cgi-bin/message/send?access_token={token}");
    assert_eq!(post(&sandbox, &path, "{}").await["errcode"], 0);
    sandbox.add_app(work_app().allow_ips(["10.0.0.1"]));
    assert_eq!(post(&sandbox, &path, "{}").await["errcode"], 60020);
    sandbox.add_app(work_app().frozen(true));
    assert_eq!(post(&sandbox, &path, "{}").await["errcode"], 50003);
}

#[tokio::test]
async fn an_upload_of_any_length_is_read_to_its_end_and_hashed() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    let answer = client()
        .post(format!(
            "{}/cgi-bin/media/upload?access_token={token}",
            sandbox.url()
        ))
        .body(vec![0; 20_000_000])
        .send()
        .await
        .unwrap();
    let echo = json_of(answer).await["echo"].clone();
    assert_eq!(
        (echo["body_bytes"].as_u64(), echo["body_sha256"].as_str()),
        (
            Some(20_000_000),
            Some("9e21c61969cd3e077a1b2b58ddb583b175e13c6479d2d83912eaddc23c0cdd52")
        )
    );
    let chunked = http::post(format!("/cgi-bin/media/upload?access_token={token}"))
        .close()
        .chunks(["hel", "lo"]);
    let answer = http::send(sandbox.addr(), chunked).await.ok();
    assert_eq!(answer["echo"]["body_bytes"], 5);
}

#[tokio::test]
async fn a_long_body_of_a_simulated_call_is_refused() {
    let sandbox = sandbox().await;
    let answer = client()
        .post(format!("{}/cgi-bin/stable_token", sandbox.url()))
        .body(" ".repeat(300_000))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 413);
}

#[tokio::test]
async fn an_upload_that_is_cut_off_is_recorded_without_a_hash() {
    let sandbox = sandbox().await;
    let begun = http::post(SEND).header("Content-Length", 100).text() + "hello";
    let mut stream = tokio::net::TcpStream::connect(sandbox.addr())
        .await
        .unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, begun.as_bytes())
        .await
        .unwrap();
    called(&sandbox, SEND, 1).await;
    drop(stream);
    // The same worker serves these.
    while sandbox.last_requests(SEND).is_empty() {
        stable(&sandbox).await;
    }
    let request = &sandbox.last_requests(SEND)[0];
    assert_eq!((request.body_bytes, &request.body_sha256), (5, &None));
    assert_eq!(request.header("content-length"), Some("100"));
    assert!(sandbox.errcodes(SEND).is_empty());
}

#[tokio::test]
async fn a_gate_holds_an_echoed_call_before_its_body_is_read() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    let gate = sandbox.hold(SEND);
    let call = tokio::spawn({
        let (sandbox, path) = (sandbox.clone(), format!("{SEND}?access_token={token}"));
        async move { post(&sandbox, &path, "{}").await }
    });
    called(&sandbox, SEND, 1).await;
    assert!(sandbox.last_requests(SEND).is_empty());
    let other = get(
        &sandbox,
        &format!("/cgi-bin/user/info?access_token={token}"),
    )
    .await;
    assert_eq!(other["errcode"], 0, "other paths are not held");
    gate.release();
    assert_eq!(call.await.unwrap()["errcode"], 0);
}

#[tokio::test]
async fn every_fault_can_be_added_to_an_echoed_path() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    let path = format!("{SEND}?access_token={token}");
    let fetch = || client().get(format!("{}{path}", sandbox.url())).send();
    for kind in [
        FaultKind::Errcode(40001),
        FaultKind::Status(502),
        FaultKind::CutBody,
        FaultKind::LostReply,
        FaultKind::Body("hi".into()),
    ] {
        sandbox.fault(Fault::once(SEND, kind));
    }
    assert_eq!(get(&sandbox, &path).await["errcode"], 40001);
    assert_eq!(fetch().await.unwrap().status(), 502);
    assert!(fetch().await.unwrap().bytes().await.is_err());
    assert!(fetch().await.is_err());
    assert_eq!(fetch().await.unwrap().text().await.unwrap(), "hi");
    assert_eq!(get(&sandbox, &path).await["errcode"], 0);
    assert_eq!(
        (sandbox.calls(SEND), sandbox.last_requests(SEND).len()),
        (6, 6)
    );
    let order = json!({ "endpoint": SEND, "fault": "errcode", "errcode": 45009 });
    post(&sandbox, "/sandbox/faults", order.to_string()).await;
    assert_eq!(get(&sandbox, &path).await["errcode"], 45009);
}

#[tokio::test]
async fn received_requests_are_shown_over_http_by_path_or_all() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    get(&sandbox, &format!("{SEND}?access_token={token}")).await;
    get(&sandbox, &format!("/wxa/x?access_token={token}")).await;
    let of = |answer: &Value| -> Vec<String> {
        let requests = answer["requests"].as_array().unwrap();
        requests
            .iter()
            .map(|request| text(request, "path").to_owned())
            .collect()
    };
    let all = get(&sandbox, "/sandbox/requests").await;
    assert_eq!(of(&all), ["/cgi-bin/stable_token", SEND, "/wxa/x"]);
    assert!(!all.to_string().contains(&token));
    let one = get(&sandbox, "/sandbox/requests?path=/wxa/x").await;
    assert_eq!(of(&one), ["/wxa/x"]);
    let wrong = http::fetch(&format!("{}/sandbox/requests?path=/x/y", sandbox.url())).await;
    assert!(
        wrong.0 == 400 && wrong.1.contains("unknown endpoint"),
        "{wrong:?}"
    );
    sandbox.reset();
    assert!(sandbox.last_requests(SEND).is_empty());
}

#[tokio::test]
async fn an_echoed_call_costs_no_quota() {
    let quotas = wx_jssdk::sandbox::Quotas {
        data_daily: 1,
        ..Default::default()
    };
    let sandbox = sandbox_with(app().quotas(quotas)).await;
    let token = token_of(&stable(&sandbox).await);
    for _ in 0..3 {
        let answer = get(&sandbox, &format!("{SEND}?access_token={token}")).await;
        assert_eq!(answer["errcode"], 0);
    }
}
