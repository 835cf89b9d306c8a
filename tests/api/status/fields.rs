//! Every field of the status, for healthy and failing accounts.

use serde_json::json;
use wx_jssdk::sandbox::{FaultKind, Mode};
use wx_jssdk::server::config::Settings;
use wx_jssdk::{Kind, Secret};

use crate::app::START;
use crate::status::world::*;

#[tokio::test]
async fn times_are_those_of_the_wall_clock_after_it_was_corrected() {
    let world = World::healthy().await;
    // It was an hour ahead when the service started.
    let clock = world.app.sandbox.clock();
    assert!(clock.set_wrong(-3_600));
    let wall = clock.wall().0;
    assert_eq!((clock.now(), wall), (START, START.0 - 3_600));
    let status = world.status().await;
    let loaded_at = &status["configuration"]["loaded_at"];
    assert_eq!((&status["now"], loaded_at), (&json!(wall), &json!(wall)));
    let account = world.account("main").await;
    assert_eq!(account["served_until"], wall + 7_195);
    let ticket = find(&account, "jsapi_ticket");
    let refresh = &ticket["history"][0];
    for of in [&ticket["issued_at"], &refresh["at"], &refresh["last_at"]] {
        assert_eq!(*of, wall, "{ticket}");
    }
    for of in [&ticket["expires_at"], &refresh["expires_at"]] {
        assert_eq!(*of, wall + 7_200, "{ticket}");
    }
    assert_eq!(ticket["remaining"], 7_200);
    assert!(ticket["due_at"].as_u64().unwrap() < wall + 7_200);
    let key = format!("Bearer {KEY}");
    let target = "/credentials/main/jsapi_ticket";
    let answer = world.get_with(target, &[("Authorization", &key)]).await;
    let answer = answer.ok();
    assert_eq!(answer["expires_at"], wall + 7_200);
    assert_eq!(answer["expires_in"], 7_200);
    let metrics = world.get("/metrics").await.text;
    for name in [
        "process_start_time_seconds ",
        "wx_jssdk_config_last_applied_timestamp_seconds ",
        "wx_jssdk_credential_last_success_timestamp_seconds{",
    ] {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        let value = line.rsplit(' ').next().unwrap();
        assert_eq!(value.parse::<f64>().unwrap(), wall as f64, "{line}");
    }
    let refreshed = world.refresh("classic", "access_token").await;
    assert_eq!(refreshed.ok()["expires_at"], wall + 7_200);
    world.fault(TOKEN, FaultKind::Errcode(40_164));
    world.refresh("main", "access_token").await;
    let error = world.credential("main", "access_token").await["error"].clone();
    assert_eq!(error["since"], wall, "{error}");
    assert!((wall + 1..wall + 3_600).contains(&error["retry_at"].as_u64().unwrap()));
    let ready = world.get("/readyz").await.ok();
    let accounts = ready["accounts"].as_array().unwrap();
    let main = accounts.iter().find(|one| one["account"] == "main");
    assert_eq!(main.unwrap()["failing_since"], clock.wall().utc());
}

#[tokio::test]
async fn all_dates_of_a_credential_are_reported() {
    let world = World::healthy().await;
    world.advance(600);
    let account = world.account("main").await;
    assert_eq!(
        (
            &account["state"],
            &account["platform"],
            &account["app_id"],
            &account["signs_pages"]
        ),
        (&json!("ok"), &json!("official"), &json!(MAIN), &json!(true))
    );
    let ticket = find(&account, "jsapi_ticket");
    assert_eq!(
        (&ticket["issued_at"], &ticket["expires_at"]),
        (&json!(START.0), &json!(START.0 + 7_200))
    );
    assert_eq!(
        (&ticket["age"], &ticket["remaining"]),
        (&json!(600), &json!(6_600))
    );
    assert_eq!(
        (&ticket["state"], &ticket["refreshing"], &ticket["error"]),
        (&json!("ok"), &json!(false), &json!(null))
    );
    assert_eq!(
        (
            &ticket["endpoint"],
            &ticket["calls_today"],
            &ticket["daily_quota"]
        ),
        (&json!(TICKET), &json!(1), &json!(10_000))
    );
    let due = ticket["due_at"].as_u64().unwrap();
    assert!(
        (START.0 + 6_960..=START.0 + 7_020).contains(&due),
        "in the last three to four minutes: {ticket}"
    );
    assert_eq!(ticket["next_refresh"], ticket["due_at"]);
    assert_eq!(
        account["served_until"],
        START.0 + 7_195,
        "less the safety margin"
    );
    let history = ticket["history"].as_array().unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(
        (
            &history[0]["outcome"],
            &history[0]["at"],
            &history[0]["times"]
        ),
        (&json!("fetched"), &json!(START.0), &json!(1))
    );
    assert_eq!(
        (&history[0]["failed"], &history[0]["expires_at"]),
        (&json!(false), &json!(START.0 + 7_200))
    );
    assert_eq!(
        find(&world.account("classic").await, "access_token")["daily_quota"],
        2_000
    );
    let mini = world.account("mini").await;
    assert_eq!(
        (
            &mini["signs_pages"],
            mini["credentials"].as_array().unwrap().len()
        ),
        (&json!(false), 1)
    );
    assert_eq!(
        mini["served_until"],
        START.0 + 7_195,
        "until when there is a token"
    );
}

#[tokio::test]
async fn service_store_and_configuration_are_reported_too() {
    let world = World::healthy().await;
    world.advance(75);
    let status = world.status().await;
    assert_eq!(
        (&status["now"], &status["uptime"], &status["version"]),
        (
            &json!(START.0 + 75),
            &json!(75),
            &json!(env!("CARGO_PKG_VERSION"))
        )
    );
    assert_eq!(
        status["summary"],
        json!({ "accounts": 3, "down": 0, "degraded": 0, "starting": 0, "ok": 3 })
    );
    assert_eq!(
        (
            &status["store"]["kind"],
            &status["store"]["shared"],
            &status["store"]["reachable"]
        ),
        (&json!("memory"), &json!(false), &json!(true))
    );
    assert_eq!(
        (&status["peer_nodes"], &status["clock_jumps"]),
        (&json!([]), &json!(0))
    );
    assert!(status["node"].as_str().is_some_and(|node| !node.is_empty()));
    assert_eq!(
        status["egress"],
        json!({
            "ways": [{
                "via": "direct", "proxy": null, "host": world.app.sandbox.url(), "fallback": false, "accounts": 3,
                "addresses": [],
            }],
            "unreachable_hosts": [],
        })
    );
    assert_eq!(
        status["configuration"],
        json!({ "loaded_at": START.0, "reloads": 0, "needs_restart": [], "refused": null })
    );
}

#[tokio::test]
async fn a_refresh_while_the_old_value_lives_is_the_second_in_the_history() {
    let world = World::healthy().await;
    world.advance(7_050);
    let two = |status: &serde_json::Value| {
        let ticket = &status["accounts"][1]["credentials"][1];
        let history = ticket["history"].as_array();
        // The refresh is noted before its value can be seen.
        history.is_some_and(|all| all.len() == 2) && ticket["age"] == 0
    };
    let status = world.until(two).await;
    let ticket = find(&status["accounts"][1], "jsapi_ticket");
    assert_eq!(status["accounts"][1]["account"], "main", "{status}");
    assert_eq!(ticket["calls_today"], 2);
    assert_eq!(ticket["history"][1]["at"], START.0 + 7_050);
}

#[tokio::test]
async fn a_token_retired_by_another_server_and_a_lost_reply_are_counted() {
    let world = World::healthy().await;
    let token = world.served("classic", Kind::AccessToken).await;
    world
        .app
        .broker
        .reject("classic", Kind::AccessToken, &token.value)
        .await
        .unwrap();
    let told = world.credential("classic", "access_token").await;
    assert_eq!(
        (
            &told["foreign_refreshes"],
            &told["lost_replies"],
            &told["calls_today"]
        ),
        (&json!(1), &json!(0), &json!(2))
    );
    world.fault(CLASSIC, FaultKind::LostReply);
    world.advance(60);
    assert!(
        world
            .app
            .broker
            .refresh_now("classic", Kind::AccessToken)
            .await
            .is_err()
    );
    world
        .until(|status| find(&status["accounts"][0], "access_token")["lost_replies"] == 1)
        .await;
}

#[tokio::test]
async fn the_page_says_what_ends_a_stable_token_early() {
    let world = World::healthy().await;
    let token = world.served("main", Kind::AccessToken).await;
    world.app.sandbox.foreign_refresh(MAIN, Mode::Stable);
    let broker = &world.app.broker;
    let rejected = broker.reject("main", Kind::AccessToken, &token.value);
    rejected.await.unwrap();
    let page = world.get("/status?lang=en").await.text;
    let advice = "another server forces refreshes of this app";
    assert!(
        page.contains(advice) && !page.contains("or set token_mode"),
        "{page}"
    );
}

#[tokio::test]
async fn a_clock_jump_is_counted() {
    let world = World::healthy().await;
    assert!(world.app.sandbox.clock().set_wrong(3_600));
    world.until(|status| status["clock_jumps"] == 1).await;
    let page = world.get("/status?lang=en").await;
    assert!(
        page.text.contains("check chrony or ntpd"),
        "the page says what to do"
    );
}

#[tokio::test]
async fn a_refused_configuration_is_shown_until_one_is_applied() {
    let world = World::healthy().await;
    let read = |text: &str| {
        Settings::read(
            text,
            std::path::Path::new(""),
            std::collections::HashMap::new(),
        )
    };
    let problems = read(&format!(
        "{}\n[accounts.bad]\napp_idd = \"wx1\"\n",
        world.config()
    ))
    .unwrap_err();
    let named = problems.0.len();
    world.advance(60);
    world.app.reloader.refuse(&problems);
    let refused = world.status().await["configuration"]["refused"].clone();
    assert_eq!(
        (&refused["at"], &refused["count"]),
        (&json!(START.0 + 60), &json!(named))
    );
    let first = &refused["problems"][0];
    assert!(
        first["path"].as_str().unwrap().starts_with("accounts.bad"),
        "{first}"
    );
    assert!(
        first["en"].is_string()
            && first["zh"]
                .as_str()
                .unwrap()
                .chars()
                .any(|c| c > '\u{4e00}'),
        "{first}"
    );
    let page = world.get("/status?lang=zh").await.text;
    assert!(
        page.contains("新配置于 ") && page.contains("accounts.bad"),
        "{page}"
    );
    // A configuration that the broker refuses counts, too.
    let twice = "[accounts.a]\napp_id = \"wxdddddddddddddddd\"\nsecret = \"0c79e1fa963cd80cc0be99b20a18faeb\"\njs_safe_domains = [\"example.com\"]\n";
    let mut settings = read(twice).unwrap();
    settings
        .accounts
        .push(("b".into(), settings.accounts[0].1.clone()));
    assert!(world.app.reloader.reload(settings).is_err());
    assert!(
        world.status().await["configuration"]["refused"]["problems"][0]["en"]
            .as_str()
            .unwrap()
            .contains("same app")
    );
    world.advance(60);
    let taken = world
        .app
        .reloader
        .reload(read(world.config()).unwrap())
        .unwrap();
    assert!(
        taken.needs_restart.contains(&"server.listen"),
        "the tests' port is not configured in a file"
    );
    let configuration = world.status().await["configuration"].clone();
    assert_eq!(
        (
            &configuration["loaded_at"],
            &configuration["reloads"],
            &configuration["refused"]
        ),
        (&json!(START.0 + 120), &json!(1), &json!(null))
    );
    assert!(
        configuration["needs_restart"]
            .as_array()
            .unwrap()
            .contains(&json!("server.listen"))
    );
}

#[tokio::test]
async fn the_revision_changes_with_the_content_and_not_with_the_time() {
    let world = World::healthy().await;
    let before = world.get("/status.json?part=summary").await.ok();
    assert_eq!(before["accounts"], json!(null), "all but the accounts");
    world.advance(30);
    let later = world.get("/status.json?part=summary").await.ok();
    assert_eq!(
        (&later["revision"], &later["now"]),
        (&before["revision"], &json!(START.0 + 30))
    );
    let token = world.served("main", Kind::JsapiTicket).await;
    let _ = world
        .app
        .broker
        .reject("main", Kind::JsapiTicket, &token.value)
        .await;
    let _ = world
        .app
        .broker
        .reject("main", Kind::JsapiTicket, &Secret::new("never was"))
        .await;
    assert_ne!(
        world.get("/status.json?part=summary").await.ok()["revision"],
        before["revision"]
    );
}
