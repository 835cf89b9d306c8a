//! The doctor: the page and its public endpoint. It must never disclose a ticket or sign a page.

use serde_json::{Value, json};
use wx_jssdk::Kind;
use wx_jssdk::sandbox::{Fault, FaultKind, Revoke};

use crate::app::*;
use crate::common::http;
use crate::common::upstream::{sha1_hex, signature};

const PATH: &str = "/doctor/diagnose";
const PAGE: &str = "https://www.example.com/shop?name=%E5%BC%A0#/hot";
const OWN_TICKET: &str =
    "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";

async fn with_demo() -> TestApp {
    spawn(&format!("[server]\ndemo = true\n{MAIN}"), |sandbox| {
        sandbox.add_app(main_app())
    })
    .await
}

fn signed(ticket: &str, url: &str) -> String {
    signature(ticket, "n0nce", 1_700_000_000, url)
}

async fn post(app: &TestApp, content_type: &str, body: &str) -> Answer {
    let request = http::post(PATH).header("Content-Type", content_type);
    app.send(request.close().body(body).as_bytes()).await
}

async fn ask(app: &TestApp, question: &Value) -> Answer {
    post(app, "application/json", &question.to_string()).await
}

/// The valid credentials of `main`, which must not appear in any answer.
async fn secrets(app: &TestApp) -> Vec<String> {
    let mut secrets = Vec::new();
    for kind in [Kind::AccessToken, Kind::JsapiTicket] {
        secrets.push(
            app.broker
                .credential("main", kind)
                .await
                .unwrap()
                .value
                .expose()
                .to_owned(),
        );
    }
    secrets
}

fn backend_answer(signature: &str) -> Value {
    json!({"code": 0, "data": {"appId": APP, "timestamp": 1_700_000_000, "nonceStr": "n0nce", "signature": signature}})
}

#[tokio::test]
async fn the_page_is_served_only_with_the_demo() {
    let app = with_demo().await;
    for (target, lang, says) in [
        ("/doctor", "zh-CN", "签名"),
        ("/doctor?lang=en", "en", "Why is the signature invalid?"),
    ] {
        let page = app.get(target).await;
        assert_eq!(
            (page.status, page.header("content-language")),
            (200, Some(lang))
        );
        assert!(page.text.contains(&format!("<html lang=\"{lang}\">")) && page.text.contains(says));
        for file in page
            .text
            .split("\"static/")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
        {
            assert_eq!(
                app.get(&format!("/static/{file}")).await.status,
                200,
                "{file}"
            );
        }
    }
    let without = spawn_app().await;
    without
        .get("/doctor")
        .await
        .assert_problem(404, "not_found");
    ask(&without, &json!({"error": "config:invalid url domain"}))
        .await
        .assert_problem(404, "not_found");
}

#[tokio::test]
async fn the_page_has_no_inline_code_and_contacts_no_other_server() {
    let app = with_demo().await;
    let page = app.get("/doctor").await;
    let policy = page.header("content-security-policy").unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self';",
        "style-src 'self'",
        "connect-src 'self'",
        "form-action 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(
        !policy.contains("unsafe") && !policy.contains("http"),
        "{policy}"
    );
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert!(
        !page.text.contains("<style")
            && !page.text.contains(" style=")
            && !page.text.contains(" onclick=")
    );
    for script in page.text.split("<script").skip(1) {
        assert!(script.trim_start().starts_with("src="), "{script}");
    }
}

#[tokio::test]
async fn the_valid_ticket_proves_the_mistake_and_is_in_no_answer() {
    let app = with_demo().await;
    let secrets = secrets(&app).await;
    let ticket = &secrets[1];
    let page = "https://www.example.com/shop?name=%E5%BC%A0";
    for (code, signature) in [
        (
            "percent_decoded",
            signed(ticket, "https://www.example.com/shop?name=张"),
        ),
        ("fragment_kept", signed(ticket, PAGE)),
        ("ticket_cut", signed(&ticket[..64], page)),
        ("ticket_case_changed", signed(&ticket.to_lowercase(), page)),
        ("access_token_for_ticket", signed(&secrets[0], page)),
        (
            "string_case_changed",
            sha1_hex(
                &format!("jsapi_ticket={ticket}&noncestr=n0nce&timestamp=1700000000&url={page}")
                    .to_uppercase(),
            ),
        ),
        (
            "values_only",
            sha1_hex(&format!("{ticket}n0nce1700000000{page}")),
        ),
        ("signature_is_right", signed(ticket, page)),
        ("no_known_mistake_fits", sha1_hex("something else")),
    ] {
        let answer = ask(
            &app,
            &json!({"paste": backend_answer(&signature).to_string(), "url": PAGE}),
        )
        .await;
        let json = answer.ok();
        assert_eq!(json["findings"][0]["code"], code, "{json}");
        assert_eq!(
            (&json["ticket"], &json["appId"], &json["pageAllowed"]),
            (&json!("account"), &json!(APP), &json!(true))
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        for secret in &secrets {
            for shown in [
                secret.clone(),
                secret.to_lowercase(),
                secret.to_uppercase(),
                secret[..20].to_owned(),
            ] {
                assert!(!answer.text.contains(&shown), "{code}: {}", answer.text);
            }
        }
    }
}

#[tokio::test]
async fn the_accounts_previous_ticket_is_recognised_and_is_in_no_answer() {
    let app = with_demo().await;
    let page = "https://www.example.com/shop";
    let previous = secrets(&app).await.remove(1);
    app.sandbox.revoke(APP, Revoke::JsapiTicket);
    let bad = wx_jssdk::Secret::new(previous.clone());
    app.broker
        .reject("main", Kind::JsapiTicket, &bad)
        .await
        .unwrap();
    assert_ne!(secrets(&app).await[1], previous);
    let line = format!("jsapi_ticket={previous}&noncestr=n0nce&timestamp=1700000000&url={page}");
    for paste in [
        backend_answer(&signed(&previous, page)).to_string(),
        format!("{line}\nappId: '{APP}'"),
    ] {
        let answer = ask(&app, &json!({"paste": paste, "url": page})).await;
        let json = answer.ok();
        assert_eq!(
            (
                &json["findings"][0]["code"],
                &json["findings"][0]["confidence"]
            ),
            (&json!("previous_ticket"), &json!("proven")),
            "{json}"
        );
        assert!(!answer.text.contains(&previous), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_getticket_answer_is_read_as_a_ticket_in_every_field() {
    let app = with_demo().await;
    let answer =
        json!({"errcode": 0, "errmsg": "ok", "ticket": OWN_TICKET, "expires_in": 7200}).to_string();
    let signed = backend_answer(&signed(OWN_TICKET, "https://h.cn/p#x"))
        .to_string()
        .replace(APP, "wxforeign");
    for question in [
        json!({"paste": format!("{signed}\n{answer}"), "url": "https://h.cn/p#x"}),
        json!({"paste": signed, "url": "https://h.cn/p#x", "tickets": {"signing": answer}}),
        json!({"paste": signed, "url": "https://h.cn/p#x", "tickets": {"signing": format!(" \"{OWN_TICKET}\"\n")}}),
    ] {
        let answer = ask(&app, &question).await;
        let json = answer.ok();
        assert_eq!(
            (&json["findings"][0]["code"], &json["ticket"]),
            (&json!("fragment_kept"), &json!("given")),
            "{json}"
        );
        assert!(!answer.text.contains(OWN_TICKET), "{}", answer.text);
    }
}

#[tokio::test]
async fn the_correct_signature_is_never_disclosed() {
    let app = with_demo().await;
    let secrets = secrets(&app).await;
    // A foreign page: the endpoint would not sign it, and neither does the doctor.
    for page in ["https://evil.example/pay", "https://www.example.com/"] {
        let right = signed(&secrets[1], page);
        let question = json!({"url": page, "nonceStr": "n0nce", "timestamp": "1700000000", "signature": sha1_hex("a guess")});
        let answer = ask(&app, &question).await;
        assert_eq!(answer.ok()["findings"][0]["code"], "no_known_mistake_fits");
        assert!(!answer.text.contains(&right), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_pasted_ticket_is_used_and_not_quoted() {
    let app = with_demo().await;
    let string =
        format!("jsapi_ticket={OWN_TICKET}&noncestr=n&timestamp=1414587457&url=https://h.cn/p");
    for question in [
        json!({"paste": string, "url": "https://h.cn/p?ticket=1"}),
        json!({"paste": backend_answer(&signed(OWN_TICKET, "https://h.cn/p")).to_string(), "url": "https://h.cn/p?ticket=1",
            "tickets": {"current": OWN_TICKET}}),
        // The ticket in the wrong field, and in the page's address.
        json!({"paste": format!("{OWN_TICKET} config:invalid signature"), "tickets": {"current": OWN_TICKET},
            "url": format!("https://h.cn/p?t={OWN_TICKET}"), "nonce": "n", "timestamp": "1", "signature": sha1_hex("x")}),
    ] {
        let answer = ask(&app, &question).await;
        assert_eq!(answer.ok()["ticket"], "given", "{}", answer.text);
        assert!(!answer.text.contains(OWN_TICKET), "{}", answer.text);
    }
}

#[tokio::test]
async fn the_ticket_of_a_pasted_string_is_compared_with_the_current_one() {
    let app = with_demo().await;
    let secrets = secrets(&app).await;
    let page = "https://www.example.com/shop";
    let line = |ticket: &str| {
        format!("jsapi_ticket={ticket}&noncestr=n0nce&timestamp=1700000000&url={page}")
    };
    for (ticket, code) in [
        (&*secrets[1], "signature_is_right"),
        (&*secrets[0], "access_token_for_ticket"),
        (OWN_TICKET, "ticket_not_current"),
    ] {
        let answer = ask(&app, &json!({"paste": line(ticket), "url": page})).await;
        let json = answer.ok();
        let first = &json["findings"][0];
        assert_eq!(
            (&first["code"], &first["confidence"], &json["ticket"]),
            (&json!(code), &json!("proven"), &json!("account"))
        );
        assert!(!answer.text.contains(ticket), "{}", answer.text);
    }
    // A page of no known account: the string may be correct, but its ticket cannot be verified.
    let elsewhere = line(OWN_TICKET).replace("www.example.com", "h.cn");
    let json = ask(
        &app,
        &json!({"paste": elsewhere, "url": "https://h.cn/shop"}),
    )
    .await
    .ok();
    assert_eq!(
        (&json["findings"][0]["code"], &json["ticket"]),
        (&json!("string_is_right"), &json!("given")),
        "{json}"
    );
    let named = format!("{elsewhere}\nappId: '{APP}'");
    let question = json!({"paste": named, "appId": APP, "url": "https://h.cn/shop"});
    assert_eq!(
        ask(&app, &question).await.ok()["findings"][0]["code"],
        "ticket_not_current",
        "the AppID names the account"
    );
}

#[tokio::test]
async fn a_ticket_without_a_kind_gets_the_kind_of_the_signature() {
    let app = with_demo().await;
    let signature = signed(OWN_TICKET, "https://h.cn/p");
    for (words, tickets, code, is_agent) in [
        (
            "agentConfig:invalid signature",
            json!({"signing": OWN_TICKET}),
            "ticket_kind_unknown",
            true,
        ),
        (
            "agentConfig:invalid signature",
            json!({"agent": OWN_TICKET}),
            "signature_is_right",
            true,
        ),
        (
            "agentConfig:invalid signature",
            json!({"current": OWN_TICKET}),
            "jsapi_ticket_for_agent",
            true,
        ),
        (
            "config:invalid signature",
            json!({"signing": OWN_TICKET}),
            "signature_is_right",
            false,
        ),
    ] {
        let paste = format!(
            "{words}\n{}",
            backend_answer(&signature)
                .to_string()
                .replace(APP, "wxforeign")
        );
        let json = ask(
            &app,
            &json!({"paste": paste, "url": "https://h.cn/p", "tickets": tickets}),
        )
        .await
        .ok();
        let codes: Vec<_> = json["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| &finding["code"])
            .collect();
        assert!(codes.contains(&&json!(code)), "{words}: {json}");
        assert_eq!(json["read"]["agent"], is_agent, "{words}");
    }
}

#[tokio::test]
async fn pasted_values_are_returned_for_the_form() {
    let app = with_demo().await;
    let paste = "config:invalid signature\nwx.config({appId: 'wxforeign', timestamp: 1414587457, nonceStr: 'n', signature: '0f9de62fce790f9a083d5c99e95740ceb90c27ed'})\nhttps://h.cn/p#x";
    let json = ask(&app, &json!({"paste": paste})).await.ok();
    let read = &json["read"];
    assert_eq!(read["kinds"], json!(["values", "url", "error"]));
    for (name, value) in [
        ("appId", "wxforeign"),
        ("timestamp", "1414587457"),
        ("nonceStr", "n"),
        ("url", "https://h.cn/p#x"),
    ] {
        assert_eq!(read[name], value, "{read}");
    }
    assert_eq!(
        json["ticket"], "none",
        "no ticket of this server belongs to a foreign AppID"
    );
}

#[tokio::test]
async fn an_error_message_alone_needs_no_ticket() {
    let app = with_demo().await;
    for (paste, code) in [
        (
            "config:fail,Error: 系统错误，错误码：63002,invalid signature [20191204][]",
            "invalid_signature",
        ),
        ("config:fail,invalid signature", "invalid_signature"),
        (
            r#"{"errMsg":"config:invalid url domain"}"#,
            "domain_not_bound",
        ),
        (
            "chooseImage:the permission value is offline verifying",
            "offline_verifying",
        ),
        ("getLocation:permission denied", "permission_denied"),
        ("what?", "nothing_given"),
        ("", "nothing_given"),
    ] {
        let json = ask(&app, &json!({ "paste": paste })).await.ok();
        assert_eq!(
            (&json["findings"][0]["code"], &json["ticket"]),
            (&json!(code), &json!("none")),
            "{paste}: {json}"
        );
    }
}

#[tokio::test]
async fn an_account_may_be_named_and_must_exist() {
    let app = with_demo().await;
    ask(&app, &json!({"account": "nobody", "error": "x"}))
        .await
        .assert_problem(404, "unknown_account");
    let ticket = secrets(&app).await.remove(1);
    let question = json!({"account": "main", "url": "https://evil.example/", "nonce": "n0nce", "timestamp": "1700000000",
        "signature": signed(&ticket, "https://evil.example/")});
    let json = ask(&app, &question).await.ok();
    assert_eq!(
        (&json["findings"][0]["code"], &json["pageAllowed"]),
        (&json!("signature_is_right"), &json!(false))
    );
}

#[tokio::test]
async fn without_wechat_it_says_that_nothing_could_be_computed() {
    let app = with_demo().await;
    app.sandbox
        .fault(Fault::always(TOKEN_CALL, FaultKind::Errcode(40125)));
    let paste = format!(
        "config:invalid signature {}",
        backend_answer(&sha1_hex("x"))
    );
    let json = ask(&app, &json!({"paste": paste, "url": PAGE})).await.ok();
    assert_eq!(
        (&json["ticket"], &json["findings"][0]["code"]),
        (&json!("unavailable"), &json!("invalid_signature")),
        "{json}"
    );
}

#[tokio::test]
async fn a_wrong_method_or_type_or_a_long_body_gets_a_problem_document() {
    let app = with_demo().await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let answer = app
            .request(method, PATH, &[("Origin", "https://evil.example")])
            .await;
        answer.assert_problem(405, "method_not_allowed");
        assert_eq!(
            (
                answer.header("allow"),
                answer.header("access-control-allow-origin")
            ),
            (Some("POST"), None)
        );
    }
    let question = json!({"error": "config:invalid url domain"}).to_string();
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonp",
        "",
    ] {
        post(&app, content_type, &question)
            .await
            .assert_problem(415, "unsupported_media_type");
    }
    post(&app, "Application/JSON; charset=utf-8", &question)
        .await
        .ok();
    let long = json!({ "paste": "x".repeat(70_000) }).to_string();
    post(&app, "application/json", &long)
        .await
        .assert_problem(413, "body_too_large");
    for body in ["", "secret", r#"{"unknown":"secret"}"#, r#"{"url":1}"#] {
        let answer = post(&app, "application/json", body).await;
        answer.assert_problem(400, "bad_body");
        assert!(!answer.text.contains("secret"), "{}", answer.text);
    }
}

#[tokio::test]
async fn input_crafted_to_be_expensive_is_refused() {
    let app = with_demo().await;
    let tickets: serde_json::Map<String, Value> = (0..17)
        .map(|at| (at.to_string(), json!("ticket")))
        .collect();
    for question in [
        json!({"hosts": vec!["h.cn"; 9]}),
        json!({"tickets": tickets}),
        json!({"tickets": {"current": "x".repeat(4_097)}}),
        json!({"hosts": ["x".repeat(4_097)]}),
        json!({"nonce": "x".repeat(4_097)}),
        json!({"url": "x".repeat(16_385)}),
        json!({"landing": "x".repeat(16_385)}),
    ] {
        ask(&app, &question).await.assert_problem(400, "bad_body");
    }
}

#[tokio::test]
async fn a_client_over_the_doctors_rate_limit_is_told_to_wait() {
    let app = with_demo().await;
    let mut asked = 0;
    let refused = loop {
        let answer = ask(&app, &json!({"error": "config:invalid url domain"})).await;
        asked += 1;
        assert!(asked < 5_000, "the doctor never refuses");
        if answer.status != 200 {
            break answer;
        }
    };
    assert!(asked > 20, "a class of students may ask: {asked}");
    refused.assert_problem(429, "rate_limited");
    assert!(refused.header("retry-after").is_some());
    // The signing endpoint has its own rate limit.
    assert_eq!(app.config("https://example.com/").await.status, 200);
}
