//! WeCom pages: `wx.config` with the corp's ticket, `wx.agentConfig` with the app's own.

use serde_json::Value;
use wx_jssdk::sandbox::{AgentVerify, App};

use crate::app::{TestApp, encode, spawn, spawn_app};
use crate::common::http;

const CORP: &str = "ww0123456789abcdef";
const ACCOUNTS: &str = r#"
[server]
default_account = "crm"
[accounts.crm]
platform = "work"
corp_id = "ww0123456789abcdef"
agent_id = 1000002
secret = "crm-secret"
js_safe_domains = ["work.example.com"]
[accounts.oa]
platform = "work"
corp_id = "ww0123456789abcdef"
agent_id = 1000003
secret = "oa-secret"
js_safe_domains = ["work.example.com"]
js_api_list = ["selectExternalContact"]
"#;
const PAGE: &str = "https://work.example.com/customers?id=1";

async fn spawn_work() -> TestApp {
    spawn_with(ACCOUNTS).await
}

async fn spawn_with(configuration: &str) -> TestApp {
    spawn(configuration, |sandbox| {
        for (agent, secret) in [(1_000_002, "crm-secret"), (1_000_003, "oa-secret")] {
            sandbox.add_app(App::work(CORP, agent, secret).safe_domain("work.example.com"));
        }
    })
    .await
}

fn string(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn agent_verdict(app: &TestApp, config: &Value, page: &str) -> String {
    let verify = AgentVerify {
        corpid: string(&config["corpid"]),
        agentid: string(&config["agentid"]),
        timestamp: string(&config["timestamp"]),
        nonce_str: string(&config["nonceStr"]),
        signature: string(&config["signature"]),
        url: page.to_owned(),
        js_api_list: Some(Vec::new()),
    };
    app.sandbox.verify_agent(&verify).err_msg
}

fn config_verdict(app: &TestApp, config: &Value, page: &str) -> String {
    app.verdict(config, page).err_msg
}

#[tokio::test]
async fn a_wecom_page_gets_a_config_with_beta_that_the_client_accepts() {
    let app = spawn_work().await;
    let config = app.config(PAGE).await.ok();
    assert_eq!(
        (&config["appId"], &config["beta"]),
        (&Value::from(CORP), &Value::from(true))
    );
    assert_eq!(config_verdict(&app, &config, PAGE), "preVerifyJSAPI:ok");
}

#[tokio::test]
async fn the_status_tells_the_apps_of_one_corp_apart() {
    let app = spawn_work().await;
    let status = app.get_admin("/status.json").await.ok();
    let page = app.get_admin("/status?lang=en").await.text;
    let accounts = status["accounts"].as_array().unwrap();
    for (name, agent_id) in [("crm", 1_000_002), ("oa", 1_000_003)] {
        let account = accounts.iter().find(|one| one["account"] == name);
        let account = account.unwrap();
        assert_eq!(account["app_id"], CORP);
        assert_eq!(account["agent_id"], agent_id, "{account}");
        let shown = format!("CorpID <code>{CORP}</code>, AgentId <code>{agent_id}</code>");
        assert!(page.contains(&shown), "{page}");
    }
}

#[tokio::test]
async fn agent_config_has_exactly_the_fields_of_wx_agent_config() {
    let app = spawn_work().await;
    let answer = app
        .get(&format!("/jssdk/agent-config?url={}", encode(PAGE)))
        .await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let config = answer.ok();
    let names: Vec<_> = config
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        names,
        [
            "agentid",
            "corpid",
            "jsApiList",
            "nonceStr",
            "signature",
            "timestamp"
        ]
    );
    assert_eq!(
        (&config["corpid"], &config["agentid"]),
        (&Value::from(CORP), &Value::from("1000002"))
    );
    assert!(config["timestamp"].is_u64());
    assert_eq!(agent_verdict(&app, &config, PAGE), "agentConfig:ok");
}

#[tokio::test]
async fn work_config_gives_both_in_one_reply_each_with_its_own_ticket() {
    // labrador, PowerWeChat, easywechat #1685: agentConfig signed with the corp's ticket.
    let app = spawn_work().await;
    let both = app
        .get(&format!(
            "/jssdk/work-config?url={}&account=oa",
            encode(PAGE)
        ))
        .await
        .ok();
    assert_eq!(
        config_verdict(&app, &both["config"], PAGE),
        "preVerifyJSAPI:ok"
    );
    assert_eq!(
        agent_verdict(&app, &both["agentConfig"], PAGE),
        "agentConfig:ok"
    );
    assert_eq!(both["agentConfig"]["agentid"], "1000003");
    assert_eq!(
        both["agentConfig"]["jsApiList"],
        serde_json::json!(["selectExternalContact"])
    );
    assert_ne!(both["config"]["nonceStr"], both["agentConfig"]["nonceStr"]);
    let mut swapped = both["agentConfig"].clone();
    for field in ["signature", "nonceStr", "timestamp"] {
        swapped[field] = both["config"][field].clone();
    }
    assert!(
        agent_verdict(&app, &swapped, PAGE).contains("invalid signature"),
        "the corp's ticket is not accepted"
    );
}

#[tokio::test]
async fn two_apps_of_one_corp_never_share_a_token_or_an_agent_ticket() {
    // easywechat #2575, silenceper #706, wechatpy #190: cache keys without corp or agent.
    let app = spawn_work().await;
    for account in ["crm", "oa"] {
        let config = app
            .get(&format!(
                "/jssdk/agent-config?url={}&account={account}",
                encode(PAGE)
            ))
            .await
            .ok();
        assert_eq!(
            agent_verdict(&app, &config, PAGE),
            "agentConfig:ok",
            "{account}"
        );
        let mut other = config.clone();
        other["agentid"] = if account == "crm" {
            "1000003"
        } else {
            "1000002"
        }
        .into();
        assert!(
            agent_verdict(&app, &other, PAGE).contains("invalid signature"),
            "{account}"
        );
    }
    assert_eq!(app.sandbox.calls("/cgi-bin/gettoken"), 2);
}

#[tokio::test]
async fn a_trusted_domain_of_wecom_does_not_cover_its_subdomains() {
    let app = spawn_work().await;
    for path in ["config", "agent-config", "work-config"] {
        let answer = app
            .get(&format!(
                "/jssdk/{path}?url={}",
                encode("https://sub.work.example.com/")
            ))
            .await;
        let problem = answer.assert_problem(403, "page_not_allowed");
        for (lang, word) in [("en", "可信域名"), ("en", "exactly"), ("zh", "可信域名")] {
            let hint = problem["hint"][lang].as_str().unwrap();
            assert!(hint.contains(word) && !hint.contains("JS接口"), "{hint}");
        }
    }
}

#[tokio::test]
async fn an_official_account_has_no_agent_config_and_is_told_so() {
    let app = spawn_app().await;
    for path in ["agent-config", "work-config"] {
        let answer = app
            .get(&format!(
                "/jssdk/{path}?url={}",
                encode("https://example.com/")
            ))
            .await;
        let problem = answer.assert_problem(404, "unsupported_credential");
        assert!(
            problem["hint"]["en"].as_str().unwrap().contains("WeCom"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn names_in_the_request_replace_the_accounts_list_in_both_configs() {
    let app = spawn_work().await;
    let both = app
        .get(&format!(
            "/jssdk/work-config?url={}&account=oa&jsApiList=openUserProfile",
            encode(PAGE)
        ))
        .await
        .ok();
    assert_eq!(
        both["config"]["jsApiList"],
        serde_json::json!(["openUserProfile"])
    );
    assert_eq!(
        both["agentConfig"]["jsApiList"],
        serde_json::json!(["openUserProfile"])
    );
}

#[tokio::test]
async fn the_doctor_judges_an_agent_config_by_the_ticket_of_its_app() {
    let app = spawn_with(&ACCOUNTS.replace("[server]", "[server]\ndemo = true")).await;
    for (path, account, ticket) in [
        ("agent-config", "crm", "account"),
        ("agent-config", "oa", "account"),
        ("work-config", "oa", "account"),
        ("config", "oa", "account"),
        ("agent-config", "oa", "none"),
    ] {
        let path = format!("/jssdk/{path}?url={}&account={account}", encode(PAGE));
        let mut paste = app.get(&path).await.ok().to_string();
        if ticket == "none" {
            // An app of the corp that this server does not have.
            paste = paste.replace("1000003", "1000009");
        }
        for error in ["", "agentConfig:invalid signature"] {
            if !error.is_empty() && !paste.contains("agentid") {
                continue;
            }
            let question = serde_json::json!({"paste": paste, "url": PAGE, "errMsg": error});
            let request = http::post("/doctor/diagnose").header("Content-Type", "application/json");
            let request = request.close().body(question.to_string());
            let answer = app.send(request.as_bytes()).await.ok();
            let code = match ticket {
                "account" => "signature_is_right",
                _ if error.is_empty() => "agent_ticket_needed",
                _ => "agent_config_signature",
            };
            assert_eq!(answer["findings"][0]["code"], code, "{paste} {answer}");
            assert_eq!(answer["ticket"], ticket, "{paste} {answer}");
        }
    }
}

#[tokio::test]
async fn the_doctor_names_the_wrong_app_of_a_corp_and_the_wrong_half() {
    let app = spawn_with(&ACCOUNTS.replace("[server]", "[server]\ndemo = true")).await;
    let both = app
        .get(&format!(
            "/jssdk/work-config?url={}&account=crm",
            encode(PAGE)
        ))
        .await
        .ok();
    let mut swapped = both.clone();
    for field in ["signature", "nonceStr", "timestamp"] {
        swapped["agentConfig"][field] = both["config"][field].clone();
    }
    let mut of_oa = both["agentConfig"].clone();
    of_oa["agentid"] = "1000003".into();
    for (answer, account, codes) in [
        (&both, None, &["signature_is_right"][..]),
        (&swapped, None, &["jsapi_ticket_for_agent"]),
        (&of_oa, None, &["ticket_of_another_account"]),
        (
            &of_oa,
            Some("crm"),
            &["agent_id_of_another_app", "signature_is_right"],
        ),
    ] {
        let question = serde_json::json!({"answer": answer, "url": PAGE, "account": account});
        let request = http::post("/doctor/diagnose").header("Content-Type", "application/json");
        let request = request.close().body(question.to_string());
        let answer = app.send(request.as_bytes()).await.ok();
        let findings = answer["findings"].as_array().unwrap();
        let found: Vec<_> = findings.iter().map(|one| &one["code"]).collect();
        assert_eq!(found, codes, "{answer}");
        assert_eq!(findings[0]["confidence"], "proven", "{answer}");
        assert!(!answer.to_string().contains("ticket of crm"), "{answer}");
    }
}

#[tokio::test]
async fn bad_addresses_are_refused_on_every_signing_path() {
    let app = spawn_work().await;
    for path in ["config", "agent-config", "work-config"] {
        app.get(&format!("/jssdk/{path}"))
            .await
            .assert_problem(400, "missing_url");
        app.get(&format!(
            "/jssdk/{path}?url=https://work.example.com/?a=1&b=2"
        ))
        .await
        .assert_problem(400, "url_not_encoded");
        let answer = app
            .request("POST", &format!("/jssdk/{path}?url={}", encode(PAGE)), &[])
            .await;
        answer.assert_problem(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn a_wrong_wecom_secret_is_a_setup_error_and_not_retried_rapidly() {
    let app = spawn(ACCOUNTS, |sandbox| {
        for agent in [1_000_002, 1_000_003] {
            sandbox
                .add_app(App::work(CORP, agent, "another-secret").safe_domain("work.example.com"));
        }
    })
    .await;
    for _ in 0..20 {
        let problem = app
            .config(PAGE)
            .await
            .assert_problem(502, "account_misconfigured");
        assert_eq!(problem["errcode"], 40001);
    }
    assert!(
        app.sandbox.calls("/cgi-bin/gettoken") <= 2,
        "one for each account"
    );
}
