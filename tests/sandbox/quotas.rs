//! Quotas of an app for each endpoint, and their resets.

use serde_json::{Value, json};
use wx_jssdk::sandbox::{App, Quotas, Switches};

use crate::support::*;

/// From [`START`] to the next midnight in Shanghai.
const TO_MIDNIGHT: u64 = 86_400 - (6 * 3_600 + 13 * 60 + 20);

fn limited(quotas: Quotas) -> App {
    app().quotas(quotas)
}

async fn clear(sandbox: &wx_jssdk::sandbox::Sandbox, token: &str) -> Value {
    post(
        sandbox,
        &format!("/cgi-bin/clear_quota?access_token={token}"),
        json!({ "appid": APP }).to_string(),
    )
    .await
}

async fn quota(sandbox: &wx_jssdk::sandbox::Sandbox, token: &str, path: &str) -> Value {
    let body = json!({ "cgi_path": path }).to_string();
    post(
        sandbox,
        &format!("/cgi-bin/openapi/quota/get?access_token={token}"),
        body,
    )
    .await
}

#[tokio::test]
async fn the_days_tokens_are_used_up_until_midnight_in_shanghai() {
    let sandbox = sandbox_with(limited(Quotas {
        token_daily: 2,
        ..Quotas::default()
    }))
    .await;
    classic(&sandbox).await;
    let last = token_of(&classic(&sandbox).await);
    let answer = classic(&sandbox).await;
    assert_eq!(answer["errcode"], 45009);
    assert_eq!(errmsg(&sandbox, &answer), "reach max api daily quota limit");
    assert!(
        sandbox.accepts_token(APP, &last),
        "a refused call ends no token"
    );
    sandbox.advance(seconds(TO_MIDNIGHT - 1));
    assert_eq!(classic(&sandbox).await["errcode"], 45009);
    sandbox.advance(seconds(1));
    assert_eq!(classic(&sandbox).await["expires_in"], 7_200);
}

#[tokio::test]
async fn by_a_switch_the_day_starts_at_another_hour() {
    let switches = Switches {
        quota_day_starts_hour: 7,
        ..Switches::default()
    };
    let sandbox = sandbox_with(
        limited(Quotas {
            token_daily: 1,
            ..Quotas::default()
        })
        .switches(switches),
    )
    .await;
    classic(&sandbox).await;
    sandbox.advance(seconds(7 * 3_600 - (6 * 3_600 + 13 * 60 + 20) - 1));
    assert_eq!(classic(&sandbox).await["errcode"], 45009);
    sandbox.advance(seconds(1));
    assert_eq!(classic(&sandbox).await["expires_in"], 7_200);
}

#[tokio::test]
async fn a_normal_account_has_two_thousand_classic_tokens_a_day() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    classic(&sandbox).await;
    let answer = quota(&sandbox, &token, "/cgi-bin/token").await;
    assert_eq!(
        answer["quota"],
        json!({ "daily_limit": 2_000, "used": 1, "remain": 1_999 })
    );
}

#[tokio::test]
async fn each_app_and_each_endpoint_has_its_own_quota() {
    let quotas = Quotas {
        token_daily: 1,
        ticket_daily: 1,
        ..Quotas::default()
    };
    let sandbox = sandbox_with(limited(quotas.clone())).await;
    sandbox.add_app(App::official("wxother", SECRET).quotas(quotas));
    let token = token_of(&classic(&sandbox).await);
    assert_eq!(classic(&sandbox).await["errcode"], 45009);
    assert_eq!(
        get(&sandbox, &token_path().replace(APP, "wxother")).await["expires_in"],
        7_200
    );
    assert_eq!(ticket(&sandbox, &token, "jsapi").await["errcode"], 0);
    assert_eq!(
        ticket(&sandbox, &token, "wx_card").await["errcode"],
        45009,
        "all types together"
    );
    assert_eq!(try_token(&sandbox, &token).await, 0);
}

#[tokio::test]
async fn calls_refused_after_a_correct_secret_use_the_quota_too() {
    let sandbox = sandbox_with(
        limited(Quotas {
            token_daily: 2,
            ..Quotas::default()
        })
        .allow_ips(["10.0.0.1"]),
    )
    .await;
    assert_eq!(classic(&sandbox).await["errcode"], 40164);
    assert_eq!(classic(&sandbox).await["errcode"], 40164);
    assert_eq!(classic(&sandbox).await["errcode"], 45009);
}

#[tokio::test]
async fn a_caller_without_the_secret_cannot_exhaust_the_quota() {
    let sandbox = sandbox_with(limited(Quotas {
        token_daily: 1,
        ..Quotas::default()
    }))
    .await;
    for _ in 0..5 {
        let wrong = format!("/cgi-bin/token?grant_type=client_credential&appid={APP}&secret=wrong");
        assert_eq!(get(&sandbox, &wrong).await["errcode"], 40125);
    }
    assert_eq!(classic(&sandbox).await["expires_in"], 7_200);
}

#[tokio::test]
async fn stable_calls_are_limited_by_the_minute_and_by_the_day() {
    let quotas = Quotas {
        stable_per_minute: 2,
        stable_daily: 3,
        ..Quotas::default()
    };
    let sandbox = sandbox_with(limited(quotas)).await;
    stable(&sandbox).await;
    stable(&sandbox).await;
    let answer = stable(&sandbox).await;
    assert_eq!(answer["errcode"], 45011);
    assert_eq!(
        errmsg(&sandbox, &answer),
        "api minute-quota reach limit, must slower, retry next minute"
    );
    // START is 20 s into its minute.
    sandbox.advance(seconds(39));
    assert_eq!(stable(&sandbox).await["errcode"], 45011);
    sandbox.advance(seconds(1));
    assert_eq!(
        stable(&sandbox).await["errcode"],
        Value::Null,
        "refused calls were not counted"
    );
    assert_eq!(stable(&sandbox).await["errcode"], 45009);
}

#[tokio::test]
async fn twenty_forced_refreshes_a_day_and_no_more() {
    let sandbox = sandbox().await;
    for _ in 0..20 {
        sandbox.advance(seconds(30));
        assert_eq!(force(&sandbox).await["expires_in"], 7_200);
    }
    sandbox.advance(seconds(30));
    let answer = force(&sandbox).await;
    assert_eq!(
        (
            answer["errcode"].as_i64(),
            errmsg(&sandbox, &answer).as_str()
        ),
        (Some(45009), "reach max api daily quota limit")
    );
    assert_eq!(
        stable(&sandbox).await["expires_in"],
        7_170,
        "calls without force still work"
    );
    sandbox.advance(seconds(TO_MIDNIGHT));
    assert_eq!(force(&sandbox).await["expires_in"], 7_200);
}

#[tokio::test]
async fn a_force_that_came_too_soon_does_not_count_towards_the_twenty() {
    let sandbox = sandbox_with(limited(Quotas {
        force_daily: 2,
        ..Quotas::default()
    }))
    .await;
    let first = token_of(&force(&sandbox).await);
    for _ in 0..5 {
        assert_eq!(token_of(&force(&sandbox).await), first);
    }
    sandbox.advance(seconds(30));
    assert_ne!(token_of(&force(&sandbox).await), first);
    sandbox.advance(seconds(30));
    assert_eq!(force(&sandbox).await["errcode"], 45009);
}

#[tokio::test]
async fn by_a_switch_a_force_over_the_quota_gives_the_unchanged_token() {
    let switches = Switches {
        force_over_quota: None,
        ..Switches::default()
    };
    let sandbox = sandbox_with(
        limited(Quotas {
            force_daily: 0,
            ..Quotas::default()
        })
        .switches(switches),
    )
    .await;
    let token = token_of(&stable(&sandbox).await);
    assert_eq!(token_of(&force(&sandbox).await), token);
}

#[tokio::test]
async fn clearing_resets_the_day_including_forced_refreshes() {
    let sandbox = sandbox_with(limited(Quotas {
        token_daily: 1,
        force_daily: 1,
        ..Quotas::default()
    }))
    .await;
    let token = token_of(&force(&sandbox).await);
    classic(&sandbox).await;
    sandbox.advance(seconds(30));
    assert_eq!(
        (
            classic(&sandbox).await["errcode"].clone(),
            force(&sandbox).await["errcode"].clone()
        ),
        (45009.into(), 45009.into())
    );
    assert_eq!(
        clear(&sandbox, &token).await,
        json!({ "errcode": 0, "errmsg": "ok" })
    );
    assert_eq!(
        (
            classic(&sandbox).await["expires_in"].clone(),
            force(&sandbox).await["expires_in"].clone()
        ),
        (7_200.into(), 7_200.into())
    );
}

#[tokio::test]
async fn quotas_are_cleared_ten_times_a_calendar_month() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    for _ in 0..10 {
        assert_eq!(clear(&sandbox, &token).await["errcode"], 0);
    }
    assert_eq!(clear(&sandbox, &token).await["errcode"], 48006);
    // From 06:13:20 on the 15th to the last second of the 30th of November in Shanghai.
    sandbox.advance(seconds(TO_MIDNIGHT + 15 * 86_400 - 1));
    let token = token_of(&stable(&sandbox).await);
    assert_eq!(clear(&sandbox, &token).await["errcode"], 48006);
    sandbox.advance(seconds(1));
    assert_eq!(clear(&sandbox, &token).await["errcode"], 0);
}

#[tokio::test]
async fn clearing_needs_the_tokens_own_app_id() {
    let sandbox = sandbox().await;
    sandbox.add_app(App::official("wxother", "s"));
    let path = format!(
        "/cgi-bin/clear_quota?access_token={}",
        token_of(&stable(&sandbox).await)
    );
    for (code, body) in [
        (44002, ""),
        (47001, "appid"),
        (41002, "{}"),
        (40013, r#"{"appid":"wxother"}"#),
    ] {
        assert_eq!(post(&sandbox, &path, body).await["errcode"], code, "{body}");
    }
    assert_eq!(clear(&sandbox, "").await["errcode"], 41001);
}

#[tokio::test]
async fn the_quota_of_an_endpoint_can_be_asked_for() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    ticket(&sandbox, &token, "jsapi").await;
    assert_eq!(
        quota(&sandbox, &token, "/cgi-bin/ticket/getticket").await,
        json!({ "errcode": 0, "errmsg": "ok", "quota": { "daily_limit": 10_000, "used": 1, "remain": 9_999 } })
    );
    let stable_quota = quota(&sandbox, &token, "/cgi-bin/stable_token").await;
    assert_eq!(
        stable_quota["quota"],
        json!({ "daily_limit": 500_000, "used": 1, "remain": 499_999 })
    );
    assert_eq!(
        stable_quota["rate_limit"],
        json!({ "call_count": 10_000, "refresh_second": 60 })
    );
    assert_eq!(
        quota(&sandbox, &token, "cgi-bin/token").await["errcode"],
        76003
    );
    let unknown = quota(&sandbox, &token, "/nothing/at/all").await;
    assert_eq!(unknown["errcode"], 76021);
    assert_eq!(
        errmsg(&sandbox, &unknown),
        "cgi_path not found, please check"
    );
}

#[tokio::test]
async fn an_endpoint_without_a_known_quota_answers_a_large_one() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    for path in [
        "/cgi-bin/message/custom/send",
        "/wxa/getwxacode",
        "/cgi-bin/clear_quota",
    ] {
        let answer = quota(&sandbox, &token, path).await;
        assert_eq!(
            answer["quota"],
            json!({ "daily_limit": 10_000_000, "used": 0, "remain": 10_000_000 }),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_quota_of_an_endpoint_the_app_may_not_call_is_not_disclosed() {
    let sandbox = sandbox_with(App::mini(APP, SECRET)).await;
    let token = token_of(&stable(&sandbox).await);
    for path in [
        "/cgi-bin/ticket/getticket",
        "/cgi-bin/component/api_component_token",
        "/cgi-bin/component/other",
        "/sns/jscode2session",
        "/sns/other",
    ] {
        let answer = quota(&sandbox, &token, path).await;
        assert_eq!(answer["errcode"], 76022, "{path}");
    }
}
