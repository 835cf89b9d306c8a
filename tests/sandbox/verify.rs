//! The client side: whether a page's `wx.config` succeeds.

use actix_web::{App as WebApp, test as web_test};
use serde_json::{Value, json};
use wx_jssdk::sandbox::{App, Client, PreVerify, Revoke, Sandbox};

use crate::support::*;

async fn jsapi(sandbox: &Sandbox) -> String {
    let token = token_of(&stable(sandbox).await);
    text(&ticket(sandbox, &token, "jsapi").await, "ticket").to_owned()
}

/// A page at `url` that was signed for `signed` with `ticket`.
fn page(ticket: &str, signed: &str, url: &str) -> PreVerify {
    PreVerify {
        app_id: APP.into(),
        timestamp: "1700000000".into(),
        nonce_str: NONCE.into(),
        signature: signature(ticket, signed),
        url: url.into(),
        js_api_list: Some(vec!["chooseImage".into()]),
        ..PreVerify::default()
    }
}

/// The error that the page gets, and the reason for people.
fn refused(sandbox: &Sandbox, page: &PreVerify) -> (String, String) {
    let verdict = sandbox.verify(page);
    assert!(!verdict.is_ok(), "{page:?}");
    let reason = verdict.reason.expect("a refusal has a reason");
    assert!(!reason.zh.is_ascii(), "in Chinese too: {}", reason.zh);
    (
        verdict
            .err_msg
            .strip_prefix("preVerifyJSAPI:")
            .unwrap()
            .to_owned(),
        reason.en,
    )
}

#[tokio::test]
async fn a_page_signed_for_its_own_address_passes() {
    let sandbox = sandbox().await;
    let ticket = jsapi(&sandbox).await;
    let verdict = sandbox.verify(&page(&ticket, URL, URL));
    assert_eq!(
        (
            verdict.err_msg.as_str(),
            verdict.checked_url.as_str(),
            verdict.reason
        ),
        ("preVerifyJSAPI:ok", URL, None)
    );
}

#[tokio::test]
async fn the_fragment_is_cut_before_the_address_is_checked() {
    let sandbox = sandbox().await;
    let ticket = jsapi(&sandbox).await;
    let here = format!("{URL}#/route#more");
    let verdict = sandbox.verify(&page(&ticket, URL, &here));
    assert!(verdict.is_ok() && verdict.checked_url == URL);
    let (told, why) = refused(&sandbox, &page(&ticket, &here, &here));
    assert_eq!(
        (told.as_str(), why.as_str()),
        (
            "fail_invalid signature",
            "the signed URL includes the part after #"
        )
    );
}

#[tokio::test]
async fn one_byte_of_the_address_makes_another_signature() {
    let sandbox = sandbox().await;
    let ticket = jsapi(&sandbox).await;
    for other in [
        "https://example.com/page?a=1&b=2&",
        "http://example.com/page?a=1&b=2",
        "https://example.com/page?a=1&b=%32",
    ] {
        assert_eq!(
            refused(&sandbox, &page(&ticket, other, URL)).0,
            "fail_invalid signature",
            "{other}"
        );
    }
}

#[tokio::test]
async fn nonce_timestamp_and_signature_must_be_those_that_were_signed() {
    let sandbox = sandbox().await;
    let right = page(&jsapi(&sandbox).await, URL, URL);
    for wrong in [
        PreVerify {
            nonce_str: "another".into(),
            ..right.clone()
        },
        PreVerify {
            timestamp: "1700000000000".into(),
            ..right.clone()
        },
        PreVerify {
            signature: right.signature.to_uppercase(),
            ..right.clone()
        },
    ] {
        assert_eq!(
            refused(&sandbox, &wrong).0,
            "fail_invalid signature",
            "{wrong:?}"
        );
    }
    assert!(sandbox.verify(&right).is_ok());
}

#[tokio::test]
async fn the_domain_is_checked_before_the_signature() {
    let sandbox = sandbox().await;
    let ticket = jsapi(&sandbox).await;
    for url in [
        "https://evilexample.com/",
        "https://example.com.evil.com/",
        "https://127.0.0.1/",
        "file:///example.com",
        "no url",
    ] {
        let (told, why) = refused(&sandbox, &page(&ticket, url, url));
        assert_eq!(told, "fail_invalid url domain", "{url}");
        assert!(
            why.contains(url) && why.ends_with("configured: example.com"),
            "{why}"
        );
        assert_eq!(
            refused(&sandbox, &page("wrong", url, url)).0,
            "fail_invalid url domain"
        );
    }
    for url in ["https://example.com/", "http://sub.example.com:8080/p"] {
        assert!(sandbox.verify(&page(&ticket, url, url)).is_ok(), "{url}");
    }
}

#[tokio::test]
async fn ios_checks_the_landing_address_and_other_clients_the_current_one() {
    let sandbox = sandbox().await;
    let ticket = jsapi(&sandbox).await;
    let (landing, current) = ("https://example.com/", "https://example.com/second");
    for client in [
        Client::Android,
        Client::Ios,
        Client::Devtools,
        Client::Desktop,
    ] {
        let (checked, other) = if client == Client::Ios {
            (landing, current)
        } else {
            (current, landing)
        };
        let at = |signed| PreVerify {
            landing_url: Some(format!("{landing}#x")),
            client,
            ..page(&ticket, signed, current)
        };
        let verdict = sandbox.verify(&at(checked));
        assert!(
            verdict.is_ok() && verdict.checked_url == checked,
            "{client:?}: {verdict:?}"
        );
        let (told, why) = refused(&sandbox, &at(other));
        assert_eq!(told, "fail_invalid signature", "{client:?}");
        assert!(
            why.contains(checked) && why.ends_with("a different URL was signed"),
            "{client:?}: {why}"
        );
    }
}

#[tokio::test]
async fn wecom_knows_no_official_account() {
    let sandbox = sandbox().await;
    let config = PreVerify {
        client: Client::Wecom,
        ..page(&jsapi(&sandbox).await, URL, URL)
    };
    let (told, why) = refused(&sandbox, &config);
    assert_eq!(told, "fail_invalid appid");
    assert!(why.contains("CorpID"), "{why}");
}

#[tokio::test]
async fn ios_without_a_landing_address_checks_the_current_one() {
    let sandbox = sandbox().await;
    let ticket = jsapi(&sandbox).await;
    assert!(
        sandbox
            .verify(&PreVerify {
                client: Client::Ios,
                ..page(&ticket, URL, URL)
            })
            .is_ok()
    );
}

#[tokio::test]
async fn a_displaced_ticket_still_signs_and_a_dead_one_does_not() {
    let sandbox = sandbox().await;
    let old = jsapi(&sandbox).await;
    sandbox.advance(seconds(6_900));
    let new = jsapi(&sandbox).await;
    sandbox.advance(seconds(299));
    assert!(
        sandbox.verify(&page(&old, URL, URL)).is_ok()
            && sandbox.verify(&page(&new, URL, URL)).is_ok()
    );
    sandbox.advance(seconds(1));
    let (told, why) = refused(&sandbox, &page(&old, URL, URL));
    assert_eq!(
        (told.as_str(), why.as_str()),
        (
            "fail_invalid signature",
            "signed with an old jsapi ticket, which is no longer valid"
        )
    );
    sandbox.revoke(APP, Revoke::JsapiTicket);
    assert!(!sandbox.verify(&page(&new, URL, URL)).is_ok());
}

#[tokio::test]
async fn the_address_that_was_signed_instead_is_named() {
    let sandbox = sandbox().await;
    let ticket = jsapi(&sandbox).await;
    for (signed, why) in [
        ("https://example.com/page", "the query was lost"),
        ("https://example.com/page?a=1", "the query was lost"),
        ("https://example.com/", "the address of another route"),
        ("https://example.com", "the address of another route"),
        ("http://example.com/page?a=1&b=2", "http and https differ"),
    ] {
        let (_, reason) = refused(&sandbox, &page(&ticket, signed, URL));
        assert!(reason.contains(why), "{signed}: {reason}");
        assert!(reason.starts_with(&format!("{signed} was signed, {URL} is checked")));
    }
    // A config that was accepted on one page, and is used on the next.
    assert!(sandbox.verify(&page(&ticket, URL, URL)).is_ok());
    let next = "https://example.com/next?a=1";
    let (_, reason) = refused(&sandbox, &page(&ticket, URL, next));
    let start = format!("this config was made for {URL} and is used again on {next}");
    assert!(reason.starts_with(&start), "{reason}");
}

#[tokio::test]
async fn a_ticket_of_another_type_or_app_does_not_sign() {
    let sandbox = sandbox().await;
    let ours = jsapi(&sandbox).await;
    let token = token_of(&stable(&sandbox).await);
    let card = text(&ticket(&sandbox, &token, "wx_card").await, "ticket").to_owned();
    assert_eq!(
        refused(&sandbox, &page(&card, URL, URL)).0,
        "fail_invalid signature"
    );
    sandbox.add_app(App::official("wxother", "s").safe_domain("example.com"));
    let theirs = PreVerify {
        app_id: "wxother".into(),
        ..page(&ours, URL, URL)
    };
    assert_eq!(
        refused(&sandbox, &theirs).1,
        "no jsapi ticket of this app has been fetched"
    );
    let token = sandbox.foreign_refresh("wxother", wx_jssdk::sandbox::Mode::Stable);
    ticket(&sandbox, &token, "jsapi").await;
    assert_eq!(
        refused(&sandbox, &theirs).1,
        "signed with the jsapi ticket of another app"
    );
}

#[tokio::test]
async fn a_missing_field_is_a_plain_failure_that_names_it() {
    let sandbox = sandbox().await;
    let right = page(&jsapi(&sandbox).await, URL, URL);
    for (field, wrong) in [
        (
            "appId",
            PreVerify {
                app_id: String::new(),
                ..right.clone()
            },
        ),
        (
            "timestamp",
            PreVerify {
                timestamp: "undefined".into(),
                ..right.clone()
            },
        ),
        (
            "nonceStr",
            PreVerify {
                nonce_str: String::new(),
                ..right.clone()
            },
        ),
        (
            "signature",
            PreVerify {
                signature: String::new(),
                ..right.clone()
            },
        ),
        (
            "jsApiList",
            PreVerify {
                js_api_list: None,
                ..right.clone()
            },
        ),
    ] {
        assert_eq!(
            refused(&sandbox, &wrong),
            (
                "fail".to_owned(),
                format!("wx.config was called without {field}")
            )
        );
    }
    assert!(
        sandbox
            .verify(&PreVerify {
                js_api_list: Some(Vec::new()),
                ..right
            })
            .is_ok(),
        "an empty list is valid"
    );
}

#[tokio::test]
async fn an_unknown_app_is_refused() {
    let sandbox = sandbox().await;
    let unknown = PreVerify {
        app_id: "wxnobody".into(),
        ..page(&jsapi(&sandbox).await, URL, URL)
    };
    assert_eq!(refused(&sandbox, &unknown).0, "fail_invalid appid");
}

fn body(ticket: &str) -> Value {
    json!({
        "appId": APP, "timestamp": 1_700_000_000, "nonceStr": NONCE, "signature": signature(ticket, URL),
        "url": format!("{URL}#x"), "client": "ios", "jsApiList": [], "verifyOpenTagList": [],
    })
}

#[tokio::test]
async fn a_page_asks_over_http_with_the_timestamp_as_number_or_text() {
    let sandbox = sandbox().await;
    let mut body = body(&jsapi(&sandbox).await);
    let ok = json!({ "err_msg": "preVerifyJSAPI:ok", "checkedUrl": URL });
    assert_eq!(
        post(&sandbox, "/sandbox/pre-verify", body.to_string()).await,
        ok
    );
    body["timestamp"] = json!("1700000000");
    assert_eq!(
        post(&sandbox, "/sandbox/pre-verify", body.to_string()).await,
        ok
    );
    body["nonceStr"] = json!("another");
    let answer = post(&sandbox, "/sandbox/pre-verify", body.to_string()).await;
    assert_eq!(answer["err_msg"], "preVerifyJSAPI:fail_invalid signature");
    assert_eq!(answer["checkedUrl"], URL);
    assert!(answer["reason"]["en"].is_string() && answer["reason"]["zh"].is_string());
}

#[tokio::test]
async fn pages_of_any_origin_may_ask() {
    let sandbox = sandbox().await;
    let url = format!("{}/sandbox/pre-verify", sandbox.url());
    let preflight = client()
        .request(reqwest::Method::OPTIONS, &url)
        .header("Origin", "https://example.com")
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.status(), 204);
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    assert_eq!(
        preflight.headers()["access-control-allow-headers"],
        "content-type"
    );
    for (sent, status) in [
        (body(&jsapi(&sandbox).await).to_string(), 200),
        ("{".to_owned(), 400),
    ] {
        let request = client().post(&url).header("Origin", "https://example.com");
        let answer = request.body(sent).send().await.unwrap();
        assert_eq!(
            (
                answer.status().as_u16(),
                &answer.headers()["access-control-allow-origin"]
            ),
            (status, &"*".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn the_same_verifier_can_be_mounted_on_another_server() {
    let sandbox = sandbox().await;
    let ticket = jsapi(&sandbox).await;
    let server = web_test::init_service(WebApp::new().service(sandbox.pre_verify_scope())).await;
    let request = web_test::TestRequest::post()
        .uri("/sandbox/pre-verify")
        .set_payload(body(&ticket).to_string());
    let answer: Value = web_test::call_and_read_body_json(&server, request.to_request()).await;
    assert_eq!(
        answer,
        json!({ "err_msg": "preVerifyJSAPI:ok", "checkedUrl": URL })
    );
    for (method, uri, status) in [
        ("GET", "/sandbox/pre-verify", 405),
        ("TRACE", "/sandbox/pre-verify", 405),
        ("GET", "/sandbox/state", 404),
        ("POST", "/sandbox/reset", 404),
    ] {
        let request = web_test::TestRequest::default()
            .method(method.parse().unwrap())
            .uri(uri)
            .to_request();
        let answer = web_test::call_service(&server, request).await;
        assert_eq!(answer.status(), status, "{method} {uri}");
    }
}
