//! State and control of WeCom apps, and their names in the handle.

use serde_json::json;
use wx_jssdk::sandbox::{
    App, DEMO_AGENT_ID, DEMO_APP_ID, DEMO_CORP_ID, DEMO_MINI_ID, Mode, Platform, Revoke, State,
    Switches, demo_apps,
};

use crate::support::*;

#[tokio::test]
async fn the_state_shows_a_wecom_app_with_its_agent_id_its_token_and_its_tickets() {
    let sandbox = corp_of_two().await;
    let token = token_of(&gettoken(&sandbox).await);
    let (corp, agent) = (
        corp_ticket(&sandbox, &token).await,
        agent_ticket(&sandbox, &token).await,
    );
    let state = get(&sandbox, "/sandbox/state").await;
    let none = json!({ "current": null, "previous": null, "expires_at": null });
    let shared = json!({ "value": corp["ticket"], "expires_at": 1_700_007_200 });
    assert_eq!(
        state["apps"],
        json!([
            {
                "app_id": CORP, "agent_id": AGENT, "secret": WORK_SECRET, "platform": "work",
                "tokens": {
                    "stable": none, "classic": none,
                    "work": { "current": token, "previous": null, "expires_at": 1_700_007_200 },
                },
                "tickets": { "jsapi": shared, "agent_config": { "value": agent["ticket"], "expires_at": 1_700_007_200 } },
                "safe_domains": ["example.com"],
            },
            {
                "app_id": CORP, "agent_id": AGENT_2, "secret": WORK_SECRET_2, "platform": "work",
                "tokens": { "stable": none, "classic": none, "work": none },
                "tickets": { "jsapi": shared },
                "safe_domains": ["second.example.com"],
            },
        ])
    );
    assert!(
        serde_json::from_value::<State>(state).unwrap() == sandbox.state(),
        "the handle reports the same"
    );
}

#[tokio::test]
async fn a_wecom_app_is_added_over_http() {
    let sandbox = sandbox().await;
    for (field, corp) in [("app_id", "wwone"), ("corp_id", "wwtwo")] {
        let account = json!({
            "platform": "work", field: corp, "agent_id": 7, "secret": "s", "safe_domains": ["a.example"], "allow_ips": ["10.0.0.1"],
            "quotas": { "work_ticket_hourly_app": 1 }, "switches": { "gettoken_checks_ip": true, "wrong_secrets_until_ban": 5 },
        });
        assert_eq!(
            post(&sandbox, "/sandbox/accounts", account.to_string()).await,
            json!({ "ok": true })
        );
        let answer = get(
            &sandbox,
            &format!("/cgi-bin/gettoken?corpid={corp}&corpsecret=s"),
        )
        .await;
        assert_eq!(
            work_refusal(&sandbox, &answer),
            (60020, "not allow to access from your ip".to_owned())
        );
    }
    assert_eq!(
        sandbox
            .state()
            .apps
            .iter()
            .map(|app| app.agent_id)
            .collect::<Vec<_>>(),
        [None, Some(7), Some(7)]
    );
}

#[tokio::test]
async fn each_kind_of_a_wecom_app_is_revoked_over_http() {
    let sandbox = corp().await;
    for (kind, token_dies, corp_dies, agent_dies) in [
        ("token", true, false, false),
        ("access_token", true, false, false),
        ("classic_token", false, false, false),
        ("ticket", false, true, true),
        ("jsapi_ticket", false, true, false),
        ("agent_ticket", false, false, true),
        ("card_ticket", false, false, false),
    ] {
        let token = token_of(&gettoken(&sandbox).await);
        let corp = text(&corp_ticket(&sandbox, &token).await, "ticket").to_owned();
        let agent = text(&agent_ticket(&sandbox, &token).await, "ticket").to_owned();
        let order = json!({ "app_id": AGENT_NAME, "kind": kind }).to_string();
        assert_eq!(
            post(&sandbox, "/sandbox/revoke", order).await,
            json!({ "ok": true })
        );
        let dead = (
            !sandbox.accepts_token(AGENT_NAME, &token),
            !sandbox.accepts_ticket(AGENT_NAME, "jsapi", &corp),
            !sandbox.accepts_ticket(AGENT_NAME, "agent_config", &agent),
        );
        assert_eq!(dead, (token_dies, corp_dies, agent_dies), "{kind}");
    }
}

#[tokio::test]
async fn an_order_without_an_agent_is_told_how_to_name_one() {
    let sandbox = corp_of_two().await;
    let url = format!("{}/sandbox/revoke", sandbox.url());
    for (app, told) in [
        (
            CORP,
            r#"\"ww0123456789abcdef\" has several apps: use the name of one, such as \"ww0123456789abcdef:1000002\""#,
        ),
        (
            "ww0123456789abcdef:9",
            r#"the sandbox has no app \"ww0123456789abcdef:9\""#,
        ),
    ] {
        let answer = client()
            .post(&url)
            .body(json!({ "app_id": app, "kind": "token" }).to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 400);
        let body = answer.text().await.unwrap();
        assert!(body.contains(told), "{body}");
    }
}

#[tokio::test]
async fn the_only_app_of_a_corp_may_be_named_by_the_corp_alone() {
    let sandbox = corp().await;
    let token = token_of(&gettoken(&sandbox).await);
    assert_eq!(sandbox.token(CORP, Mode::Work).as_ref(), Some(&token));
    assert!(sandbox.accepts_token(CORP, &token));
    sandbox.revoke(CORP, Revoke::Token);
    assert!(!sandbox.accepts_token(AGENT_NAME, &token));
}

#[tokio::test]
#[should_panic(expected = "has several apps: use the name of one")]
async fn revoking_from_a_corp_without_naming_the_agent_panics() {
    corp_of_two().await.revoke(CORP, Revoke::Token);
}

#[tokio::test]
async fn another_server_with_the_same_secret_gets_the_same_token_or_by_a_switch_a_new_one() {
    let sandbox = corp().await;
    let ours = token_of(&gettoken(&sandbox).await);
    assert_eq!(sandbox.foreign_refresh(AGENT_NAME, Mode::Work), ours);
    sandbox.add_app(work_app().switches(Switches {
        gettoken_always_new: true,
        ..Switches::default()
    }));
    let order = json!({ "app_id": AGENT_NAME, "mode": "work" }).to_string();
    let theirs = post(&sandbox, "/sandbox/foreign-refresh", order).await;
    assert_ne!(theirs["access_token"], ours.as_str());
    assert_eq!(
        sandbox.token(AGENT_NAME, Mode::Work).as_deref(),
        theirs["access_token"].as_str()
    );
    assert_eq!(
        (
            try_token(&sandbox, &ours).await,
            sandbox.calls("/cgi-bin/gettoken")
        ),
        (0, 1),
        "not counted as a call of this server"
    );
    sandbox.advance(seconds(300));
    assert_eq!(try_token(&sandbox, &ours).await, 40014);
}

#[tokio::test]
async fn a_foreign_refresh_in_a_mode_of_another_platform_is_refused() {
    let sandbox = corp().await;
    sandbox.add_app(app());
    let url = format!("{}/sandbox/foreign-refresh", sandbox.url());
    for (app, mode, told) in [
        (AGENT_NAME, "stable", "must be work for the WeCom app"),
        (APP, "work", "must be stable or classic for"),
    ] {
        let answer = client()
            .post(&url)
            .body(json!({ "app_id": app, "mode": mode }).to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 400);
        assert!(answer.text().await.unwrap().contains(told), "{app} {mode}");
    }
}

#[tokio::test]
async fn an_app_added_again_is_the_one_with_the_same_corp_and_agent() {
    let sandbox = corp().await;
    let token = token_of(&gettoken(&sandbox).await);
    sandbox.add_app(App::work(CORP, AGENT, "another"));
    sandbox.add_app(App::work(CORP, AGENT_2, "of the second"));
    assert!(sandbox.accepts_token(AGENT_NAME, &token));
    assert_eq!(
        (
            gettoken(&sandbox).await["errcode"].as_i64(),
            sandbox.state().apps.len()
        ),
        (Some(40001), 2)
    );
}

#[tokio::test]
async fn the_demo_has_one_app_of_each_platform_with_its_own_secret() {
    let (apps, others) = (demo_apps(), demo_apps());
    let ids = apps
        .each_ref()
        .map(|app| (app.platform(), app.app_id().to_owned(), app.agent_id()));
    assert_eq!(
        ids,
        [
            (Platform::Official, DEMO_APP_ID.to_owned(), None),
            (Platform::Mini, DEMO_MINI_ID.to_owned(), None),
            (Platform::Work, DEMO_CORP_ID.to_owned(), Some(DEMO_AGENT_ID)),
        ]
    );
    assert_eq!(apps[2].name(), format!("{DEMO_CORP_ID}:1000002"));
    for (prefix, id) in [
        ("wx", DEMO_APP_ID),
        ("wx", DEMO_MINI_ID),
        ("ww", DEMO_CORP_ID),
    ] {
        let digits = id.strip_prefix(prefix).unwrap();
        assert!(
            digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit()),
            "{id}"
        );
    }
    assert_eq!(apps.each_ref().map(|app| app.secret().len()), [32, 32, 43]);
    for (app, other) in apps.iter().zip(&others) {
        assert_ne!(app.secret(), other.secret());
        assert_eq!(
            app.safe_domains(),
            ["demo.example.com", "localhost", "127.0.0.1"]
        );
    }
}

#[tokio::test]
async fn the_demos_apps_live_side_by_side() {
    let [official, mini, work] = demo_apps();
    let paths = [
        format!(
            "/cgi-bin/token?grant_type=client_credential&appid={DEMO_APP_ID}&secret={}",
            official.secret()
        ),
        format!(
            "/cgi-bin/token?grant_type=client_credential&appid={DEMO_MINI_ID}&secret={}",
            mini.secret()
        ),
        format!(
            "/cgi-bin/gettoken?corpid={DEMO_CORP_ID}&corpsecret={}",
            work.secret()
        ),
    ];
    let sandbox = sandbox_with(official).await;
    sandbox.add_app(mini);
    sandbox.add_app(work);
    for path in paths {
        let answer = get(&sandbox, &path).await;
        assert_eq!(
            (
                answer["expires_in"].as_u64(),
                try_token(&sandbox, text(&answer, "access_token")).await
            ),
            (Some(7_200), 0)
        );
    }
}
