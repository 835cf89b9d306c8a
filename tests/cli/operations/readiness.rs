//! `/readyz` and `/healthz`: the status for orchestrators and the details for operators.

use serde_json::{Value, json};
use wx_jssdk::Kind;
use wx_jssdk::sandbox::{Fault, FaultKind};

use crate::operations::world::*;

/// Known to WeChat under another secret.
fn with_wrong_secret(name: &str) -> String {
    accounts([name]).replace(SECRET, "deadbeefdeadbeefdeadbeefdeadbeef")
}

async fn down(service: &Service, accounts: f64) {
    let so_many =
        |scrape: &Scrape| scrape.value("wx_jssdk_accounts", &[("state", "down")]) == Some(accounts);
    service.until("accounts that are down", so_many).await;
}

#[tokio::test]
async fn a_node_with_fifty_accounts_stays_in_rotation_though_one_has_a_wrong_secret() {
    let names: Vec<_> = (0..49).map(|n| format!("a{n}")).collect();
    let text = accounts(names.iter().map(String::as_str)) + &with_wrong_secret("broken");
    let service = Service::start("", &text, |sandbox| {
        names
            .iter()
            .map(String::as_str)
            .chain(["broken"])
            .for_each(|name| sandbox.add_app(app(name)));
    })
    .await;
    service.warm("a48").await;
    down(&service, 1.0).await;
    let (status, report) = service.ready().await;
    assert_eq!(
        (status, &report["ready"], &report["rule"]),
        (200, &json!(true), &json!("any"))
    );
    let first = &report["accounts"][0];
    assert_eq!(
        (&first["account"], &first["ready"], &first["reason"]),
        (&json!("broken"), &json!(false), &json!("setup"))
    );
    let scrape = service.scrape().await;
    assert_eq!(scrape.value("wx_jssdk_ready", &[]), Some(1.0));
    service.end().await;
}

#[tokio::test]
async fn with_rule_all_one_account_that_cannot_sign_causes_a_503() {
    let text = accounts(["shop"]) + &with_wrong_secret("broken");
    let service = Service::start("readiness = \"all\"", &text, |sandbox| {
        ["shop", "broken"]
            .iter()
            .for_each(|name| sandbox.add_app(app(name)));
    })
    .await;
    service.warm("shop").await;
    down(&service, 1.0).await;
    let (status, report) = service.ready().await;
    assert_eq!((status, &report["rule"]), (503, &json!("all")));
    let (_, status) = get(&format!("{}/status.json", service.admin)).await;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(
        status["readiness"],
        json!({ "ready": false, "rule": "all" })
    );
    let (_, page) = get(&format!("{}/status?lang=en", service.admin)).await;
    assert!(page.contains("Not ready: /readyz answers 503"), "{page}");
    assert_eq!(
        service.scrape().await.value("wx_jssdk_ready", &[]),
        Some(0.0)
    );
    service.end().await;
}

/// Mini programs, known to WeChat under another secret.
fn minis_with_wrong_secret(names: &[&str]) -> String {
    let mini = |name: &&str| with_wrong_secret(name) + "platform = \"mini\"\n";
    names.iter().map(mini).collect()
}

#[tokio::test]
async fn a_mini_program_without_a_token_is_listed_and_counts_in_both_rules() {
    let mini = |name: &str| wx_jssdk::sandbox::App::mini(app_id(name), SECRET);
    for (rule, shop, minis, status) in [
        ("all", &["shop"][..], &["applet"][..], 503),
        ("any", &["shop"], &["applet"], 200),
        ("any", &[], &["applet"], 503),
        ("any", &[], &["applet", "applet2"], 503),
    ] {
        let text = accounts(shop.iter().copied()) + &minis_with_wrong_secret(minis);
        let rule = format!("readiness = \"{rule}\"");
        let service = Service::start(&rule, &text, |sandbox| {
            shop.iter().for_each(|name| sandbox.add_app(app(name)));
            minis.iter().for_each(|name| sandbox.add_app(mini(name)));
        })
        .await;
        if !shop.is_empty() {
            service.warm("shop").await;
        }
        down(&service, f64::from(u32::try_from(minis.len()).unwrap())).await;
        let (answered, report) = service.ready().await;
        assert_eq!(answered, status, "{rule}: {report}");
        let first = &report["accounts"][0];
        assert_eq!(
            (&first["account"], &first["ready"], &first["reason"]),
            (&json!("applet"), &json!(false), &json!("setup"))
        );
        assert_eq!(first["errcode"], json!(40_125));
        service.end().await;
    }
    // It is ready once it has its token.
    let text = accounts(["applet"]) + "platform = \"mini\"\n";
    let service = Service::start("readiness = \"all\"", &text, |sandbox| {
        sandbox.add_app(mini("applet"));
    })
    .await;
    let ready =
        |scrape: &Scrape| scrape.value("wx_jssdk_accounts", &[("state", "ok")]) == Some(1.0);
    service.until("a mini program with a token", ready).await;
    let healthy = json!({ "ready": true, "rule": "all", "accounts": [{ "account": "applet", "ready": true }] });
    assert_eq!(service.ready().await, (200, healthy));
    service.end().await;
}

#[tokio::test]
async fn a_node_that_can_sign_for_no_account_leaves_rotation_and_recovers() {
    let names = ["shop", "blog"];
    let service = Service::start("", &accounts(names), |sandbox| {
        names.iter().for_each(|name| sandbox.add_app(app(name)));
        sandbox.fault(Fault::always(TOKEN, FaultKind::Status(502)));
    })
    .await;
    down(&service, 2.0).await;
    let (status, report) = service.ready().await;
    assert_eq!((status, &report["ready"]), (503, &json!(false)));
    service.sandbox.clear_faults();
    service.advance(120);
    service.warm("shop").await;
    assert_eq!(service.ready().await.0, 200);
    service.end().await;
}

#[tokio::test]
async fn an_account_whose_refresh_fails_is_named_with_details_while_it_still_signs() {
    let service = Service::with(&["shop"]).await;
    service.warm("shop").await;
    let healthy =
        json!({ "ready": true, "rule": "any", "accounts": [{ "account": "shop", "ready": true }] });
    assert_eq!(service.ready().await, (200, healthy.clone()));
    service.always(
        TOKEN,
        FaultKind::ErrcodeWith(
            40_164,
            "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist".into(),
        ),
    );
    service.always(TICKET, FaultKind::Errcode(-1)); // otherwise the valid token would fetch another one
    service.advance(7_000); // 01:56:40
    let failing =
        |scrape: &Scrape| scrape.value("wx_jssdk_accounts", &[("state", "degraded")]) == Some(1.0);
    service.until("an account that fails", failing).await;
    let (status, report) = service.ready().await;
    let account = &report["accounts"][0];
    let text = |field: &str| {
        account[field]
            .as_str()
            .unwrap_or_else(|| panic!("no {field}: {report}"))
            .to_owned()
    };
    assert_eq!(
        (status, &account["ready"], &account["errcode"]),
        (200, &json!(true), &json!(40_164))
    );
    assert_eq!(
        (
            text("failing_since").as_str(),
            text("served_until").as_str()
        ),
        ("2026-01-01T01:56:40Z", "2026-01-01T01:59:55Z")
    );
    assert!(
        text("retry_at").starts_with("2026-01-01T01:57:"),
        "{report}"
    );
    for field in ["cause", "fix"] {
        let [en, zh] =
            ["en", "zh"].map(|language| account[field][language].as_str().unwrap().to_owned());
        assert!(
            en.len() > 20 && zh.chars().any(|c| c > '\u{4e00}'),
            "{report}"
        );
    }
    assert!(
        !report.to_string().contains("203.0.113.7"),
        "no key was sent: {report}"
    );
    // Then the ticket has expired: the end of signing and the start of the failure stay.
    service.advance(200);
    down(&service, 1.0).await;
    let (status, report) = service.ready().await;
    assert_eq!(status, 503);
    assert_eq!(
        report["accounts"][0]["served_until"],
        "2026-01-01T01:59:55Z"
    );
    assert_eq!(
        report["accounts"][0]["failing_since"],
        "2026-01-01T01:56:40Z"
    );
    service.sandbox.clear_faults();
    service.advance(400);
    service.warm("shop").await;
    assert_eq!(
        service.ready().await,
        (200, healthy),
        "and the failure is no longer reported"
    );
    service.end().await;
}

#[tokio::test]
async fn a_failure_of_the_ticket_call_itself_is_named_too() {
    let service = Service::start("", &accounts(["shop"]), |sandbox| {
        sandbox.add_app(app("shop"));
        sandbox.fault(Fault::always(TICKET, FaultKind::Errcode(48_001)));
    })
    .await;
    down(&service, 1.0).await;
    let account = service.ready().await.1["accounts"][0].clone();
    assert_eq!(
        (
            &account["reason"],
            &account["errcode"],
            &account["served_until"]
        ),
        (&json!("setup"), &json!(48_001), &Value::Null)
    );
    service.end().await;
}

#[tokio::test]
async fn a_hundred_accounts_are_listed_and_the_others_counted() {
    let names: Vec<_> = (0..130).map(|n| format!("a{n}")).collect();
    let text = accounts(names.iter().map(String::as_str)) + &with_wrong_secret("zz");
    let service = Service::start("", &text, |sandbox| sandbox.add_app(app("zz"))).await;
    down(&service, 131.0).await; // WeChat knows only zz
    let report = service.ready().await.1;
    assert_eq!(
        (
            report["accounts"].as_array().unwrap().len(),
            &report["more"]
        ),
        (100, &json!(31))
    );
    service.end().await;
}

#[tokio::test]
async fn healthz_depends_on_no_other_system() {
    let service = Service::with(&["shop"]).await;
    service.warm("shop").await;
    let alive = async || {
        for listener in [&service.public, &service.admin] {
            let answer = get(&format!("{listener}/healthz")).await;
            assert_eq!(answer, (200, r#"{"status":"ok"}"#.to_owned()));
        }
    };
    let calls = service.sandbox.calls_total();
    for _ in 0..50 {
        alive().await;
    }
    assert_eq!(service.sandbox.calls_total(), calls);
    service.sandbox.stop().await;
    service.advance(8_000);
    let ticket = service.broker.credential("shop", Kind::JsapiTicket).await;
    assert!(ticket.is_err());
    assert_eq!(service.ready().await.0, 503);
    alive().await;
    service.end().await;
}
