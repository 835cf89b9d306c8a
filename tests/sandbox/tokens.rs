//! Stable and classic tokens.

use wx_jssdk::sandbox::{App, Mode, Sandbox, Switches};

use crate::common::http;
use crate::support::*;

/// Returns WeChat's answers to calls with two tokens.
async fn try_both(sandbox: &Sandbox, one: &str, other: &str) -> (i64, i64) {
    (
        try_token(sandbox, one).await,
        try_token(sandbox, other).await,
    )
}

#[tokio::test]
async fn a_classic_token_comes_with_its_life_and_without_an_errcode() {
    let sandbox = sandbox().await;
    let bytes = String::from_utf8(raw(&sandbox, &token_path()).await).unwrap();
    let (head, body) = bytes.split_once("\r\n\r\n").unwrap();
    let token = sandbox.token(APP, Mode::Classic).unwrap();
    assert!(bytes.starts_with(http::OK), "{head}");
    assert!(
        head.to_lowercase()
            .contains("content-type: application/json; encoding=utf-8"),
        "{head}"
    );
    assert_eq!(
        body,
        format!(r#"{{"access_token":"{token}","expires_in":7200}}"#)
    );
}

#[tokio::test]
async fn a_stable_token_comes_with_its_life_and_without_an_errcode() {
    let sandbox = sandbox().await;
    let answer = stable(&sandbox).await;
    assert_eq!(
        answer,
        serde_json::json!({ "access_token": sandbox.token(APP, Mode::Stable), "expires_in": 7_200 })
    );
}

#[tokio::test]
async fn the_token_endpoint_takes_post_too_with_its_parameters_in_the_query() {
    let sandbox = sandbox().await;
    let answer = post(&sandbox, &token_path(), "").await;
    assert_eq!(Some(token_of(&answer)), sandbox.token(APP, Mode::Classic));
}

#[tokio::test]
async fn each_classic_fetch_gives_a_new_token_and_the_old_one_works_five_minutes_more() {
    let sandbox = sandbox().await;
    let old = token_of(&classic(&sandbox).await);
    sandbox.advance(seconds(1_000));
    let new = token_of(&classic(&sandbox).await);
    assert_ne!(old, new);
    sandbox.advance(seconds(299));
    assert_eq!(try_both(&sandbox, &old, &new).await, (0, 0));
    sandbox.advance(seconds(1));
    assert_eq!(try_both(&sandbox, &old, &new).await, (40001, 0));
}

#[tokio::test]
async fn the_overlap_does_not_outlast_the_old_tokens_own_life() {
    let sandbox = sandbox().await;
    let old = token_of(&classic(&sandbox).await);
    sandbox.advance(seconds(7_100));
    classic(&sandbox).await;
    sandbox.advance(seconds(99));
    assert_eq!(try_token(&sandbox, &old).await, 0);
    sandbox.advance(seconds(1));
    assert_eq!(try_token(&sandbox, &old).await, 42001);
}

#[tokio::test]
async fn a_token_past_its_life_is_expired() {
    let sandbox = sandbox().await;
    let token = token_of(&classic(&sandbox).await);
    sandbox.advance(seconds(7_199));
    assert!(sandbox.accepts_token(APP, &token));
    sandbox.advance(seconds(1));
    assert_eq!(try_token(&sandbox, &token).await, 42001);
    assert!(!sandbox.accepts_token(APP, &token));
    assert_eq!(sandbox.token(APP, Mode::Classic), None);
}

#[tokio::test]
async fn a_third_classic_fetch_within_five_minutes_ends_the_first_token() {
    let sandbox = sandbox().await;
    let first = token_of(&classic(&sandbox).await);
    let second = token_of(&classic(&sandbox).await);
    assert_eq!(try_token(&sandbox, &first).await, 0);
    classic(&sandbox).await;
    assert_eq!(try_both(&sandbox, &first, &second).await, (40001, 0));
}

#[tokio::test]
async fn by_a_switch_all_tokens_of_the_last_five_minutes_work() {
    let sandbox = sandbox_with(app().switches(Switches {
        third_token_ends_first: false,
        ..Switches::default()
    }))
    .await;
    let first = token_of(&classic(&sandbox).await);
    classic(&sandbox).await;
    classic(&sandbox).await;
    sandbox.advance(seconds(299));
    assert_eq!(try_token(&sandbox, &first).await, 0);
    sandbox.advance(seconds(1));
    assert_eq!(try_token(&sandbox, &first).await, 40001);
}

#[tokio::test]
async fn stable_and_classic_tokens_are_independent() {
    let sandbox = sandbox().await;
    let kept = token_of(&stable(&sandbox).await);
    for _ in 0..3 {
        classic(&sandbox).await;
    }
    sandbox.advance(seconds(400));
    assert_eq!(token_of(&stable(&sandbox).await), kept);
    let old_classic = token_of(&classic(&sandbox).await);
    force(&sandbox).await;
    sandbox.advance(seconds(400));
    force(&sandbox).await;
    assert_eq!(try_token(&sandbox, &old_classic).await, 0);
    assert_eq!(try_token(&sandbox, &kept).await, 40001);
}

#[tokio::test]
async fn a_repeated_stable_token_call_returns_the_same_token_with_the_time_left() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    for (later, left) in [(0, 7_200), (1, 7_199), (6_898, 301)] {
        sandbox.advance(seconds(later));
        let answer = stable(&sandbox).await;
        assert_eq!(
            (token_of(&answer), answer["expires_in"].as_u64()),
            (token.clone(), Some(left))
        );
    }
}

#[tokio::test]
async fn the_stable_token_rotates_in_its_last_five_minutes_and_both_work_until_the_end() {
    let sandbox = sandbox().await;
    let old = token_of(&stable(&sandbox).await);
    sandbox.advance(seconds(6_900));
    let answer = stable(&sandbox).await;
    let new = token_of(&answer);
    assert!(new != old && answer["expires_in"] == 7_200);
    sandbox.advance(seconds(299));
    assert_eq!(try_both(&sandbox, &old, &new).await, (0, 0));
    sandbox.advance(seconds(1));
    assert_eq!(try_both(&sandbox, &old, &new).await, (42001, 0));
}

#[tokio::test]
async fn the_stable_token_does_not_rotate_without_calls() {
    let sandbox = sandbox().await;
    let old = token_of(&stable(&sandbox).await);
    sandbox.advance(seconds(10_000));
    assert_eq!(try_token(&sandbox, &old).await, 42001);
    assert_ne!(token_of(&stable(&sandbox).await), old);
}

#[tokio::test]
async fn a_forced_refresh_gives_a_new_token_and_leaves_the_old_one_five_minutes() {
    let sandbox = sandbox().await;
    let old = token_of(&stable(&sandbox).await);
    let answer = force(&sandbox).await;
    assert!(token_of(&answer) != old && answer["expires_in"] == 7_200);
    assert_eq!(try_token(&sandbox, &old).await, 0);
    sandbox.advance(seconds(300));
    assert_eq!(try_token(&sandbox, &old).await, 40001);
}

#[tokio::test]
async fn a_second_force_within_thirty_seconds_changes_nothing() {
    let sandbox = sandbox().await;
    let first = token_of(&force(&sandbox).await);
    sandbox.advance(seconds(29));
    let answer = force(&sandbox).await;
    assert_eq!(
        (token_of(&answer), answer["expires_in"].as_u64()),
        (first.clone(), Some(7_171))
    );
    sandbox.advance(seconds(1));
    assert_ne!(token_of(&force(&sandbox).await), first);
}

#[tokio::test]
async fn two_forced_refreshes_thirty_seconds_apart_kill_a_leaked_token_at_once() {
    let sandbox = sandbox().await;
    let leaked = token_of(&stable(&sandbox).await);
    force(&sandbox).await;
    sandbox.advance(seconds(30));
    force(&sandbox).await;
    assert_eq!(try_token(&sandbox, &leaked).await, 40001);
}

#[tokio::test]
async fn by_a_switch_a_force_too_soon_is_an_error() {
    let sandbox = sandbox_with(app().switches(Switches {
        force_too_soon: Some(45009),
        ..Switches::default()
    }))
    .await;
    force(&sandbox).await;
    assert_eq!(force(&sandbox).await["errcode"], 45009);
}

#[tokio::test]
async fn a_short_lived_token_is_forced_once_and_not_twice() {
    // In its last five minutes from the start, so that every call without force rotates it.
    let sandbox = sandbox_with(app().ttl(seconds(60))).await;
    let old = token_of(&stable(&sandbox).await);
    let answer = force(&sandbox).await;
    assert_eq!(answer["expires_in"], 60);
    assert_eq!(
        try_token(&sandbox, &old).await,
        0,
        "one rotation keeps the previous token"
    );
}

#[tokio::test]
async fn tokens_of_one_app_are_invalid_for_another_app() {
    let sandbox = sandbox().await;
    sandbox.add_app(App::official("wxother", "s"));
    let token = token_of(&classic(&sandbox).await);
    assert!(sandbox.accepts_token(APP, &token) && !sandbox.accepts_token("wxother", &token));
    assert_eq!(sandbox.token("wxother", Mode::Classic), None);
}
