//! The operator's drill: WeChat answers 40164 at the next refresh. The status names the account, the times and the IP; then it
//! recovers.

use serde_json::json;
use wx_jssdk::sandbox::FaultKind;

use crate::app::START;
use crate::status::world::*;

#[tokio::test]
async fn an_ip_removed_from_the_list_is_shown_while_pages_work_and_recovers_by_itself() {
    let world = World::healthy().await;
    world.fault(TICKET, not_allowed());
    world.advance(7_050); // in the refresh lead of every account
    let failing_since = world.now();
    let status = world
        .until(|status| status["summary"]["degraded"] == 2)
        .await;
    assert_eq!(
        status["summary"],
        json!({ "accounts": 3, "down": 0, "degraded": 2, "starting": 0, "ok": 1 })
    );
    let names: Vec<_> = status["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| account["account"].clone())
        .collect();
    assert_eq!(
        names,
        ["classic", "main", "mini"],
        "failing accounts first, then by name"
    );
    let account = world.account("main").await;
    assert_eq!(
        (&account["state"], &account["served_until"]),
        (&json!("degraded"), &json!(START.0 + 7_195))
    );
    let error = find(&account, "jsapi_ticket")["error"].clone();
    assert_eq!(
        (&error["errcode"], &error["class"], &error["since"]),
        (&json!(40_164), &json!("setup"), &json!(failing_since))
    );
    assert_eq!(
        (&error["ip_to_allow"], &error["kind"], &error["endpoint"]),
        (
            &json!("203.0.113.7"),
            &json!("jsapi_ticket"),
            &json!(TICKET)
        )
    );
    assert!(
        error["cause"]["en"]
            .as_str()
            .unwrap()
            .contains("allow-list")
            && error["fix"]["zh"].as_str().unwrap().contains("IP白名单")
    );
    let retry_at = error["retry_at"].as_u64().unwrap();
    assert!(
        (failing_since + 60..=failing_since + 75).contains(&retry_at),
        "{error}"
    );
    for (lang, words) in [
        (
            "en",
            [
                "Still served, but refreshes fail",
                "<b>2 of 3</b> accounts",
                "Retry both now",
                "needs an operator",
            ],
        ),
        (
            "zh",
            [
                "仍可用，但刷新失败",
                "3 个账号中有 <b>2</b> 个受影响",
                "立即重试这 2 个账号",
                "需要人工处理",
            ],
        ),
    ] {
        let page = world.get(&format!("/status?lang={lang}")).await.text;
        for word in words.into_iter().chain(["40164", "203.0.113.7"]) {
            assert!(page.contains(word), "{word}: {page}");
        }
        assert_eq!(
            page.matches("data-errcode=\"40164\"").count(),
            1,
            "one card for one cause: {page}"
        );
        assert_eq!(page.matches("<details id=\"account-").count(), 3, "{page}");
        assert!(
            !page.contains("<dt>Calls today") && !page.contains("<dt>今日调用"),
            "each account has its own, in its row: {page}"
        );
    }
    // No operator reacts: the tickets expire.
    world.advance(160);
    let again = |status: &serde_json::Value| {
        find(&status["accounts"][1], "jsapi_ticket")["error"]["failures"].as_u64() >= Some(2)
    };
    let status = world
        .until(|status| status["summary"]["down"] == 2 && again(status))
        .await;
    let main = &status["accounts"][1];
    assert_eq!(
        (
            &main["account"],
            &main["served_until"],
            &find(main, "jsapi_ticket")["state"]
        ),
        (&json!("main"), &json!(null), &json!("down"))
    );
    let error = find(main, "jsapi_ticket")["error"].clone();
    assert_eq!(
        error["since"], failing_since,
        "of the first failure, not of the last"
    );
    assert!(error["failures"].as_u64().unwrap() >= 2, "{error}");
    assert!(
        world
            .get("/status?lang=en")
            .await
            .text
            .contains("Page signing down since")
    );
    // The IP is on the list again.
    world.app.sandbox.clear_faults();
    world.advance(400);
    let status = world.until(|status| status["summary"]["ok"] == 3).await;
    let ticket = find(&status["accounts"][1], "jsapi_ticket");
    assert_eq!(
        (&ticket["error"], &ticket["state"]),
        (&json!(null), &json!("ok"))
    );
    let history: Vec<_> = ticket["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["outcome"].clone())
        .collect();
    assert_eq!(
        history,
        ["fetched", "setup", "fetched"],
        "the failures in a row are one entry"
    );
    assert_eq!(
        (
            &ticket["history"][1]["errcode"],
            &ticket["history"][1]["at"]
        ),
        (&json!(40_164), &json!(failing_since))
    );
    assert!(ticket["history"][1]["times"].as_u64().unwrap() >= 2);
}

#[tokio::test]
async fn a_failing_token_with_a_valid_ticket_says_that_pages_still_work() {
    // The ticket is half an hour younger than its token.
    let world = World::cold(|sandbox| {
        sandbox.fault(wx_jssdk::sandbox::Fault::always(
            TICKET,
            FaultKind::Errcode(-1),
        ))
    })
    .await;
    world.until(|status| status["summary"]["down"] == 2).await;
    world.app.sandbox.clear_faults();
    world.advance(1_800);
    world.until(|status| status["summary"]["ok"] == 3).await;
    world.fault(TOKEN, FaultKind::Errcode(40_125));
    world.advance(5_401); // the token's end
    let failed = |status: &serde_json::Value| {
        let main = status["accounts"]
            .as_array()
            .unwrap()
            .iter()
            .find(|account| account["account"] == "main")
            .unwrap()
            .clone();
        (main["state"] == "degraded" && find(&main, "access_token")["error"]["errcode"] == 40_125)
            .then_some(main)
    };
    let main = failed(&world.until(|status| failed(status).is_some()).await).unwrap();
    assert_eq!(
        (
            &find(&main, "access_token")["state"],
            &find(&main, "jsapi_ticket")["state"]
        ),
        (&json!("down"), &json!("ok"))
    );
    assert_eq!(
        main["served_until"],
        START.0 + 1_800 + 7_195,
        "pages are signed with the ticket"
    );
    // The mini program has the same failure, and no ticket: only it is down.
    world.until(|status| status["summary"]["down"] == 1).await;
    let page = world.get("/status?lang=en").await.text;
    assert!(
        page.contains(
            "No token for <b>mini</b>. The other account is still served except access_token."
        ),
        "{page}"
    );
    let page = world.get("/status?lang=zh").await.text;
    assert!(
        page.contains("<b>mini</b> 没有可用的 token。其余 1 个账号除 access_token 外仍可用。"),
        "{page}"
    );
}

#[tokio::test]
async fn an_untried_account_is_starting_and_one_that_always_failed_is_down() {
    let world = World::cold(|sandbox| {
        for endpoint in [TOKEN, CLASSIC] {
            sandbox.fault(wx_jssdk::sandbox::Fault::always(endpoint, not_allowed()));
        }
    })
    .await;
    let status = world
        .until(|status| {
            // Accounts that are down come first. The ticket fails a moment after its token.
            let ticket = || find(&status["accounts"][1], "jsapi_ticket");
            status["summary"]["down"] == 3 && ticket()["error"].is_object()
        })
        .await;
    let main = &status["accounts"][1];
    assert_eq!(
        (&main["state"], &main["served_until"]),
        (&json!("down"), &json!(null))
    );
    let (token, ticket) = (find(main, "access_token"), find(main, "jsapi_ticket"));
    assert_eq!(
        (&token["issued_at"], &token["age"], &token["remaining"]),
        (&json!(null), &json!(null), &json!(null))
    );
    assert_eq!(
        ticket["error"]["kind"], "access_token",
        "the ticket has the failure of its token"
    );
    let page = world.get("/status?lang=en&q=main").await.text;
    assert_eq!(
        page.matches("class=\"row-error\"").count(),
        1,
        "and the page shows it once: {page}"
    );
    assert!(page.contains("Nothing fetched yet."));
}

#[tokio::test]
async fn before_the_first_answer_an_account_is_starting() {
    let world = World::cold(|sandbox| {
        for endpoint in [TOKEN, CLASSIC] {
            sandbox.fault(wx_jssdk::sandbox::Fault::always(endpoint, FaultKind::Hang));
        }
    })
    .await;
    let status = world
        .until(|status| status["summary"]["starting"] == 3)
        .await;
    assert_eq!(
        find(&status["accounts"][0], "access_token")["state"],
        "starting"
    );
    assert!(
        world
            .get("/status?lang=en")
            .await
            .text
            .contains("Fetching the first credentials")
    );
    assert!(
        world
            .get("/status?lang=zh&state=starting")
            .await
            .text
            .contains("正在获取首批凭证")
    );
    world.app.sandbox.clear_faults();
}

#[tokio::test]
async fn an_exhausted_quota_says_when_it_resets() {
    let world = World::healthy().await;
    world.fault(TICKET, FaultKind::Errcode(45_009));
    world.advance(7_050);
    let status = world
        .until(|status| status["summary"]["degraded"] == 2)
        .await;
    let error = find(&status["accounts"][1], "jsapi_ticket")["error"].clone();
    assert_eq!(
        (&error["class"], &error["ip_to_allow"]),
        (&json!("quota"), &json!(null))
    );
    let in_an_hour = world.app.sandbox.clock().now().0 + 3_600;
    assert!(
        (in_an_hour - 60..=in_an_hour + 60).contains(&error["retry_at"].as_u64().unwrap()),
        "the console may clear it, so it is retried once an hour: {error}"
    );
}

#[tokio::test]
async fn all_changing_egress_addresses_are_on_the_page_and_in_the_json() {
    let world = World::healthy().await;
    for ip in ["203.0.113.7", "203.0.113.8"] {
        let refusal = format!("invalid ip {ip} ipv6 ::ffff:{ip}, not in whitelist");
        world.app.sandbox.clear_faults();
        world.fault(TICKET, FaultKind::ErrcodeWith(40_164, refusal));
        world.advance(if ip.ends_with('7') { 7_050 } else { 80 });
        world
            .until(|status| {
                let accounts = status["accounts"].as_array().unwrap();
                let main = accounts.iter().find(|it| it["account"] == "main").unwrap();
                find(main, "jsapi_ticket")["error"]["ip_to_allow"] == ip
            })
            .await;
    }
    let account = world.account("main").await;
    assert_eq!(
        find(&account, "jsapi_ticket")["error"]["ips_to_allow"],
        json!(["203.0.113.8", "203.0.113.7"])
    );
    assert_eq!(
        world.status().await["egress"]["ways"][0]["addresses"],
        json!(["203.0.113.8", "203.0.113.7"])
    );
    for (lang, sentence) in [
        ("en", "egress address is not fixed"),
        ("zh", "出口 IP 不固定"),
    ] {
        let page = world.get(&format!("/status?lang={lang}")).await.text;
        assert!(page.contains(sentence), "{page}");
        assert!(page.contains("<code>203.0.113.8</code> <code>203.0.113.7</code>"));
    }
}
