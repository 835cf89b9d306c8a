//! The operator's drill: this server's address is removed from WeChat's allow-list. The metrics, readiness and the log alone
//! show which account, since when, until when pages still work, and which address to allow; then it recovers by itself.

use serde_json::json;

use crate::operations::world::*;

const TOKEN_OF_SHOP: [(&str, &str); 2] = [("account", "shop"), ("kind", "access_token")];
const TICKET_OF_SHOP: [(&str, &str); 2] = [("account", "shop"), ("kind", "jsapi_ticket")];

#[tokio::test]
async fn an_address_missing_in_the_ip_list_is_found_explained_and_fixed_without_restart() {
    let egress = "203.0.113.7".parse().unwrap();
    let known = |allowed: [&str; 1]| app("shop").caller_ip(egress).allow_ips(allowed);
    let service = Service::start("", &accounts(["blog", "shop"]), |sandbox| {
        sandbox.add_app(app("blog"));
        sandbox.add_app(known(["203.0.113.7"]));
    })
    .await;
    service.warm("blog").await;
    service.warm("shop").await;
    service.log.clear();

    // 00:10: the allow-list is changed. Nothing fails yet: all values are valid.
    service.advance(600);
    service.sandbox.add_app(known(["198.51.100.1"]));
    // 01:57:10: both accounts refresh. The shop's old token, valid for three more minutes, fetches its last ticket.
    service.advance(6_430);
    let (began, until) = (START.0 + 7_030, START.0 + 7_030 + 7_200 - 5);
    let alarm = |scrape: &Scrape| {
        let ticket = scrape.value("wx_jssdk_credential_remaining_seconds", &TICKET_OF_SHOP);
        scrape
            .value("wx_jssdk_credential_failing_seconds", &TOKEN_OF_SHOP)
            .is_some()
            && ticket > Some(7_000.0)
    };
    let scrape = service.until("an alarm", alarm).await;
    service.advance(20);

    // Which account and which fault: only this one of the two.
    let alarmed: Vec<_> = service
        .scrape()
        .await
        .all("wx_jssdk_credential_failing_seconds", &[])
        .map(|(labels, since)| {
            (
                labels["account"].clone(),
                labels["class"].clone(),
                labels["errcode"].clone(),
                since,
            )
        })
        .collect();
    assert_eq!(
        alarmed[0],
        ("shop".into(), "setup".into(), "40164".into(), 20.0)
    );
    assert!(
        alarmed.iter().all(|(account, ..)| account == "shop"),
        "{alarmed:?}"
    );
    // Until when pages still work.
    let left = scrape
        .value("wx_jssdk_credential_remaining_seconds", &TICKET_OF_SHOP)
        .unwrap();
    assert_eq!(began as f64 + left, until as f64);
    assert_eq!(service.sign("shop").await, 200, "pages still work");
    // Readiness reports the same as text and times.
    let (status, report) = service.ready().await;
    let account = &report["accounts"][0];
    assert_eq!(
        (status, &account["account"], &account["ready"]),
        (200, &json!("shop"), &json!(true))
    );
    assert_eq!(account["failing_since"], "2026-01-01T01:57:10Z");
    assert_eq!(account["served_until"], "2026-01-01T03:57:05Z");
    assert!(
        account["fix"]["en"].as_str().unwrap().contains("IP")
            && !report.to_string().contains("203.0.113.7"),
        "{report}"
    );
    // The log names the address to allow.
    let lines = service.log.about("refresh failed");
    assert_eq!(
        (&lines[0]["level"], &lines[0]["account"]),
        (&json!("ERROR"), &json!("shop"))
    );
    assert!(
        lines[0]["fix"]
            .as_str()
            .unwrap()
            .contains("The IP to allow: 203.0.113.7"),
        "{lines:?}"
    );
    assert!(
        lines.len() <= 2,
        "logged once for each credential: {lines:?}"
    );

    // No operator reacted: pages work until the announced second and then stop; the node stays in rotation for the other account.
    service.advance(7_200 - 20 - 6);
    assert_eq!(
        (service.clock.now().0, service.sign("shop").await),
        (until - 1, 200)
    );
    service.advance(1);
    assert_eq!(
        (service.sign("shop").await, service.sign("blog").await),
        (502, 200)
    );
    let (status, report) = service.ready().await;
    assert_eq!(
        (status, &report["accounts"][0]["ready"]),
        (200, &json!(false))
    );
    let scrape = service.scrape().await;
    assert_eq!(
        scrape.value("wx_jssdk_credential_remaining_seconds", &TICKET_OF_SHOP),
        Some(0.0)
    );
    assert_eq!(
        scrape.value("wx_jssdk_accounts", &[("state", "down")]),
        Some(1.0)
    );

    // The address is allowed again. Within five minutes a retry succeeds.
    service.sandbox.add_app(known(["203.0.113.7"]));
    service.advance(315);
    service.warm("shop").await;
    assert_eq!(service.sign("shop").await, 200);
    let healthy =
        json!([{ "account": "blog", "ready": true }, { "account": "shop", "ready": true }]);
    assert_eq!(service.ready().await.1["accounts"], healthy);
    let scrape = service.scrape().await;
    assert_eq!(
        scrape
            .all("wx_jssdk_credential_failing_seconds", &[])
            .count(),
        0,
        "the alert resolves by itself"
    );
    assert_eq!(
        scrape.value("wx_jssdk_credential_overdue_seconds", &TOKEN_OF_SHOP),
        Some(0.0)
    );
    service.end().await;
}
