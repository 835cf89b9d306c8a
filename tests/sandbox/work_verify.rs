//! The client side of WeCom: whether a page's `wx.config` and `wx.agentConfig` succeed.

use serde_json::{Value, json};
use wx_jssdk::sandbox::{AgentVerify, App, Client, PreVerify, Revoke, Sandbox, Verdict};

use crate::support::*;

/// The corp's ticket, then the first app's own.
async fn tickets(sandbox: &Sandbox) -> (String, String) {
    let token = token_of(&gettoken(sandbox).await);
    let corp = text(&corp_ticket(sandbox, &token).await, "ticket").to_owned();
    (
        corp,
        text(&agent_ticket(sandbox, &token).await, "ticket").to_owned(),
    )
}

async fn second_agent_ticket(sandbox: &Sandbox) -> String {
    let token = token_of(&get(sandbox, &gettoken_path(WORK_SECRET_2)).await);
    text(&agent_ticket(sandbox, &token).await, "ticket").to_owned()
}

/// The parameters of `wx.config` on a page at `url`, signed for `signed`.
fn config(ticket: &str, signed: &str, url: &str) -> PreVerify {
    PreVerify {
        app_id: CORP.into(),
        timestamp: "1700000000".into(),
        nonce_str: NONCE.into(),
        signature: signature(ticket, signed),
        url: url.into(),
        js_api_list: Some(Vec::new()),
        ..PreVerify::default()
    }
}

/// The same for `wx.agentConfig` of the first app.
fn agent_config(ticket: &str, signed: &str, url: &str) -> AgentVerify {
    AgentVerify {
        corpid: CORP.into(),
        agentid: AGENT.to_string(),
        timestamp: "1700000000".into(),
        nonce_str: NONCE.into(),
        signature: signature(ticket, signed),
        url: url.into(),
        js_api_list: Some(Vec::new()),
    }
}

fn refused(verdict: Verdict) -> (String, String) {
    assert!(!verdict.is_ok(), "{verdict:?}");
    let reason = verdict.reason.expect("a refusal has a reason");
    assert!(!reason.zh.is_ascii(), "in Chinese too: {}", reason.zh);
    (verdict.err_msg, reason.en)
}

fn refusal(words: &str, code: u32) -> String {
    format!(
        "agentConfig:{words} more info at https://open.work.weixin.qq.com/devtool/query?e={code}"
    )
}

const CORPS: &str = "signed with the corp's jsapi ticket; wx.agentConfig requires the app's ticket (type agent_config)";

#[tokio::test]
async fn each_config_passes_with_its_own_ticket() {
    let sandbox = corp().await;
    let (corp, agent) = tickets(&sandbox).await;
    let passed = sandbox.verify(&config(&corp, URL, URL));
    assert_eq!(
        (
            passed.err_msg.as_str(),
            passed.checked_url.as_str(),
            passed.reason
        ),
        ("preVerifyJSAPI:ok", URL, None)
    );
    let passed = sandbox.verify_agent(&agent_config(&agent, URL, &format!("{URL}#/route")));
    assert!(passed.is_ok());
    assert_eq!(
        (
            passed.err_msg.as_str(),
            passed.checked_url.as_str(),
            passed.reason
        ),
        ("agentConfig:ok", URL, None)
    );
}

#[tokio::test]
async fn each_config_is_refused_with_the_ticket_of_the_other() {
    let sandbox = corp().await;
    let (corp, agent) = tickets(&sandbox).await;
    let (err_msg, why) = refused(sandbox.verify(&config(&agent, URL, URL)));
    assert_eq!(err_msg, "preVerifyJSAPI:fail_invalid signature");
    assert_eq!(
        why,
        "signed with an app's agent_config ticket; wx.config requires the corp's jsapi ticket"
    );
    let (err_msg, why) = refused(sandbox.verify_agent(&agent_config(&corp, URL, URL)));
    assert_eq!(
        (err_msg, why.as_str()),
        (refusal("invalid signature", 40093), CORPS)
    );
}

#[tokio::test]
async fn a_backend_with_only_the_corps_ticket_is_told_of_the_agents() {
    let sandbox = corp().await;
    let token = token_of(&gettoken(&sandbox).await);
    let corp = text(&corp_ticket(&sandbox, &token).await, "ticket").to_owned();
    assert_eq!(
        refused(sandbox.verify_agent(&agent_config(&corp, URL, URL))).1,
        CORPS
    );
    let (_, why) = refused(sandbox.verify_agent(&agent_config("made up", URL, URL)));
    assert_eq!(why, "no agent_config ticket of this app has been fetched");
    sandbox.reset();
    let (_, why) = refused(sandbox.verify(&config("made up", URL, URL)));
    assert_eq!(why, "no jsapi ticket of this app has been fetched");
}

#[tokio::test]
async fn the_ticket_of_another_app_of_the_corp_signs_no_agent_config() {
    let sandbox = corp_of_two().await;
    let (_, first) = tickets(&sandbox).await;
    let second = second_agent_ticket(&sandbox).await;
    let (err_msg, why) = refused(sandbox.verify_agent(&agent_config(&second, URL, URL)));
    assert_eq!(
        (err_msg, why.as_str()),
        (
            refusal("invalid signature", 40093),
            "signed with the agent_config ticket of another app"
        )
    );
    let at = "https://second.example.com/";
    let second_app = AgentVerify {
        agentid: AGENT_2.to_string(),
        ..agent_config(&second, at, at)
    };
    assert!(sandbox.verify_agent(&second_app).is_ok());
    let swapped = AgentVerify {
        signature: signature(&first, at),
        ..second_app
    };
    assert!(!sandbox.verify_agent(&swapped).is_ok());
}

#[tokio::test]
async fn an_unsigned_agent_config_is_explained() {
    let sandbox = corp().await;
    let (_, agent) = tickets(&sandbox).await;
    let here = format!("{URL}#/route");
    let why = |page: AgentVerify| refused(sandbox.verify_agent(&page)).1;
    assert_eq!(
        why(agent_config(&agent, &here, &here)),
        "the signed URL includes the part after #"
    );
    let mismatch = format!(
        "the signature does not match {URL}, this nonceStr and timestamp, and a valid agent_config ticket of this app"
    );
    assert_eq!(
        why(agent_config(&agent, "https://example.com/other", URL)),
        mismatch
    );
    assert_eq!(
        why(AgentVerify {
            nonce_str: "another".into(),
            ..agent_config(&agent, URL, URL)
        }),
        mismatch
    );
    sandbox.revoke(AGENT_NAME, Revoke::AgentTicket);
    assert_eq!(
        why(agent_config(&agent, URL, URL)),
        "signed with an old agent_config ticket, which is no longer valid"
    );
}

#[tokio::test]
async fn a_trusted_domain_is_that_host_alone() {
    let sandbox = sandbox_with(work_app().safe_domain("localhost")).await;
    let (corp, agent) = tickets(&sandbox).await;
    for url in [
        "https://example.com/",
        "http://example.com:8080/x",
        "http://localhost:8080/",
    ] {
        assert!(sandbox.verify(&config(&corp, url, url)).is_ok(), "{url}");
        assert!(
            sandbox
                .verify_agent(&agent_config(&agent, url, url))
                .is_ok(),
            "{url}"
        );
    }
    for url in [
        "https://www.example.com/",
        "https://evilexample.com/",
        "https://example.com.evil.com/",
        "about:blank",
        "",
    ] {
        let (err_msg, why) = refused(sandbox.verify(&config(&corp, url, url)));
        assert_eq!(
            err_msg, "preVerifyJSAPI:fail_not match any reliable domain.",
            "{url}"
        );
        assert!(
            why.contains("(subdomains are not included); configured: example.com, localhost"),
            "{why}"
        );
        let (err_msg, _) = refused(sandbox.verify_agent(&agent_config(&agent, url, url)));
        assert_eq!(
            err_msg,
            refusal("not match any reliable domain.", 80001),
            "{url}"
        );
    }
}

#[tokio::test]
async fn config_takes_the_domains_of_all_the_corps_apps_and_agent_config_those_of_its_own() {
    let sandbox = corp_of_two().await;
    let (corp, agent) = tickets(&sandbox).await;
    let at = "https://second.example.com/";
    assert!(sandbox.verify(&config(&corp, at, at)).is_ok());
    assert!(
        refused(sandbox.verify_agent(&agent_config(&agent, at, at)))
            .0
            .contains("not match any reliable domain")
    );
}

#[tokio::test]
async fn wecom_on_ios_checks_the_current_address_too() {
    let sandbox = corp().await;
    let (corp, _) = tickets(&sandbox).await;
    let landing = Some("https://example.com/landing".to_owned());
    for client in [Client::Ios, Client::Android, Client::Desktop] {
        let page = PreVerify {
            client,
            landing_url: landing.clone(),
            ..config(&corp, URL, URL)
        };
        assert!(sandbox.verify(&page).is_ok(), "{client:?}");
        let page = PreVerify {
            client,
            landing_url: landing.clone(),
            ..config(&corp, "https://example.com/landing", URL)
        };
        let (_, why) = refused(sandbox.verify(&page));
        assert!(
            why.contains("a different URL was signed"),
            "{client:?}: {why}"
        );
    }
}

#[tokio::test]
async fn a_dead_or_unknown_corp_ticket_is_recognised() {
    let sandbox = corp().await;
    sandbox.add_app(App::work("wwother", AGENT, "other"));
    let token = token_of(
        &get(
            &sandbox,
            "/cgi-bin/gettoken?corpid=wwother&corpsecret=other",
        )
        .await,
    );
    let theirs = text(&corp_ticket(&sandbox, &token).await, "ticket").to_owned();
    let (ours, _) = tickets(&sandbox).await;
    assert_eq!(
        refused(sandbox.verify(&config(&theirs, URL, URL))).1,
        "signed with the jsapi ticket of another app"
    );
    sandbox.advance(seconds(7_200));
    assert_eq!(
        refused(sandbox.verify(&config(&ours, URL, URL))).1,
        "signed with an old jsapi ticket, which is no longer valid"
    );
}

#[tokio::test]
async fn an_unknown_corp_and_an_unknown_app_are_refused_in_this_order() {
    let sandbox = corp().await;
    sandbox.add_app(app());
    let right = agent_config(&tickets(&sandbox).await.1, URL, URL);
    for corpid in ["wwnobody", APP] {
        let page = AgentVerify {
            corpid: corpid.into(),
            agentid: "9".into(),
            ..right.clone()
        };
        assert_eq!(
            refused(sandbox.verify_agent(&page)).0,
            refusal("invalid corpId", 40013)
        );
    }
    let (err_msg, why) = refused(sandbox.verify_agent(&AgentVerify {
        agentid: "9".into(),
        url: String::new(),
        ..right.clone()
    }));
    assert_eq!(
        (err_msg, why.as_str()),
        (
            refusal("invalid agentid", 40056),
            "this corp has no app with agentid 9"
        )
    );
    assert_eq!(
        refused(sandbox.verify(&PreVerify {
            app_id: "wwnobody".into(),
            ..config("t", URL, URL)
        }))
        .0,
        "preVerifyJSAPI:fail_invalid appid"
    );
}

#[tokio::test]
async fn a_missing_field_is_a_plain_failure_that_names_it() {
    let sandbox = corp().await;
    let right = agent_config(&tickets(&sandbox).await.1, URL, URL);
    for (field, wrong) in [
        (
            "corpid",
            AgentVerify {
                corpid: String::new(),
                ..right.clone()
            },
        ),
        (
            "agentid",
            AgentVerify {
                agentid: String::new(),
                ..right.clone()
            },
        ),
        (
            "timestamp",
            AgentVerify {
                timestamp: "undefined".into(),
                ..right.clone()
            },
        ),
        (
            "nonceStr",
            AgentVerify {
                nonce_str: String::new(),
                ..right.clone()
            },
        ),
        (
            "signature",
            AgentVerify {
                signature: String::new(),
                ..right.clone()
            },
        ),
        (
            "jsApiList",
            AgentVerify {
                js_api_list: None,
                ..right.clone()
            },
        ),
    ] {
        let wanted = (
            "agentConfig:fail".to_owned(),
            format!("wx.agentConfig was called without {field}"),
        );
        assert_eq!(refused(sandbox.verify_agent(&wrong)), wanted);
    }
}

/// The verdict request of a page, as its script sends it.
fn question(ticket: &str) -> Value {
    json!({
        "kind": "agentConfig", "corpid": CORP, "agentid": AGENT, "timestamp": 1_700_000_000, "nonceStr": NONCE,
        "signature": signature(ticket, URL), "url": URL, "client": "ios", "jsApiList": ["selectExternalContact"],
    })
}

#[tokio::test]
async fn a_page_asks_for_both_verdicts_at_the_same_address() {
    let sandbox = corp().await;
    let (corp, agent) = tickets(&sandbox).await;
    let ask =
        async |question: Value| post(&sandbox, "/sandbox/pre-verify", question.to_string()).await;
    assert_eq!(
        ask(question(&agent)).await,
        json!({ "err_msg": "agentConfig:ok", "checkedUrl": URL })
    );
    let mut text_ids = question(&agent);
    text_ids["agentid"] = json!(AGENT.to_string());
    text_ids["timestamp"] = json!("1700000000");
    assert_eq!(ask(text_ids).await["err_msg"], "agentConfig:ok");
    let swapped = ask(question(&corp)).await;
    assert_eq!(swapped["err_msg"], refusal("invalid signature", 40093));
    assert!(swapped["reason"]["en"].is_string() && swapped["reason"]["zh"].is_string());
    for kind in [json!({ "kind": "config" }), json!({})] {
        let mut asked = json!(config(&corp, URL, URL));
        asked
            .as_object_mut()
            .unwrap()
            .extend(kind.as_object().unwrap().clone());
        assert_eq!(ask(asked).await["err_msg"], "preVerifyJSAPI:ok");
    }
}

#[tokio::test]
async fn an_unknown_config_kind_is_answered_with_the_known_ones() {
    let sandbox = corp().await;
    for (body, expected) in [
        (
            r#"{"kind":"register"}"#,
            r#""kind" is config or agentConfig"#,
        ),
        (
            r#"{"kind":"agentConfig","agentid":1.5}"#,
            r#"expected JSON like {"kind": "agentConfig""#,
        ),
    ] {
        let answer = client()
            .post(format!("{}/sandbox/pre-verify", sandbox.url()))
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 400);
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert!(text(&answer, "error").contains(expected), "{answer}");
    }
}
