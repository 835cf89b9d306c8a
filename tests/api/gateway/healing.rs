//! Tokens that die at WeChat before their end.

use super::*;
use crate::common::http::post;
use wx_jssdk::sandbox::{Fault, FaultKind};

#[tokio::test]
async fn a_dead_token_is_replaced_and_the_call_repeated_once() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    world.revoke();
    let target = format!("/cgi-bin/message/custom/send?access_token={token}");
    let answer = world
        .send_text(post(&target).close().body(r#"{"a":1}"#))
        .await;
    assert_eq!(errcode(&answer), 0, "{answer:?}");
    let received = world.sandbox.last_requests("/cgi-bin/message/custom/send");
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].body_sha256, received[1].body_sha256);
    assert_eq!(received[0].headers, received[1].headers);
    assert!(world.sandbox.accepts_token(APP, &world.token(KEY).await));
    let metrics = world.send(get("/metrics")).await.text;
    for name in ["replays", "healed"] {
        let line = format!(
            "wx_jssdk_gateway_{name}_total{{account=\"main\",path=\"/cgi-bin/message\"}} 1"
        );
        assert!(metrics.contains(&line), "{metrics}");
    }
}

/// The client sees no error, so it does not fetch another token.
#[tokio::test]
async fn a_healed_client_gets_the_tickets_of_its_key_too() {
    let hash = KeyHash::of(TOKEN_KEY);
    let limited = format!(
        "[[server.api_keys]]\nname = \"only\"\nsha256 = \"{hash}\"\nkinds = [\"access_token\"]\ncalls = [\"/\"]\n"
    );
    for (key, code, is_shared) in [
        (KEY, 0, false),
        (TOKEN_KEY, 48001, false),
        (TOKEN_KEY, 48001, true),
    ] {
        let home = TempDir::new().unwrap();
        let store = if is_shared {
            shared_store(&home)
        } else {
            String::new()
        };
        let world = World::with(&format!("{store}{limited}")).await;
        let token = world.token(key).await;
        let ticket = format!("/cgi-bin/ticket/getticket?access_token={token}&type=jsapi");
        world.revoke();
        let healed = world.get(&format!("{USERS}?access_token={token}")).await;
        assert_eq!(healed["errcode"], 0, "{healed}");
        assert!(!world.sandbox.accepts_token(APP, &token));
        for minutes in [0, 10, 150] {
            world.clock.advance(minutes * MINUTE);
            let answer = world.get(&ticket).await;
            assert_eq!(answer["errcode"], code, "{key}, {minutes}: {answer}");
        }
        let unknown = ticket.replace(&token, "71_of-somebody");
        assert_eq!(world.get(&unknown).await["errcode"], 40001);
    }
}

#[tokio::test]
async fn without_a_token_of_the_account_the_call_is_not_the_callers_error() {
    let world = World::new().await;
    let call = || get(format!("/wx/main{USERS}?access_token={KEY}"));
    world
        .sandbox
        .fault(Fault::always(STABLE, FaultKind::Errcode(40125)));
    world.clock.advance(180 * MINUTE);
    let answer = world.send(call()).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(answer.json()["errcode"], -1);
    assert!(
        answer.text.contains("could not get the account's token")
            && answer.text.contains("refused: 40125"),
        "{answer:?}"
    );
    world.sandbox.stop().await;
    world.clock.advance(180 * MINUTE);
    let answer = world.send(call()).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(answer.text.contains("nothing was sent"), "{answer:?}");
}

#[tokio::test]
async fn each_token_error_of_wechat_is_healed() {
    for code in [40001, 40014, 42001] {
        let world = World::new().await;
        let token = world.token(KEY).await;
        world
            .sandbox
            .fault(Fault::once(USERS, FaultKind::Errcode(code)));
        let answer = world.get(&format!("{USERS}?access_token={token}")).await;
        assert_eq!(answer["errcode"], 0, "{code}: {answer}");
        assert_eq!(world.sandbox.calls(USERS), 2, "{code}");
    }
}

#[tokio::test]
async fn no_other_error_is_repeated() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    for code in [-1, 45009, 40013, 41001, 48001] {
        world.sandbox.reset_calls();
        world
            .sandbox
            .fault(Fault::once(USERS, FaultKind::Errcode(code)));
        let answer = world.get(&format!("{USERS}?access_token={token}")).await;
        assert_eq!(answer["errcode"], code, "{answer}");
        assert_eq!(
            (world.sandbox.calls(USERS), world.sandbox.calls(STABLE)),
            (1, 0)
        );
    }
}

#[tokio::test]
async fn a_second_token_error_in_a_row_is_passed_on() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    world
        .sandbox
        .fault(Fault::always(USERS, FaultKind::Errcode(40001)));
    let answer = world.get(&format!("{USERS}?access_token={token}")).await;
    assert_eq!(answer["errcode"], 40001, "{answer}");
    assert_eq!(world.sandbox.calls(USERS), 2);
}

#[tokio::test]
async fn wecom_40001_causes_no_refresh_and_40014_is_healed() {
    let world = World::new().await;
    let target = format!("/wx/corp/cgi-bin/user/list?access_token={KEY}");
    let path = "/cgi-bin/user/list";
    world.get(&target).await;
    world.sandbox.reset_calls();
    world
        .sandbox
        .fault(Fault::once(path, FaultKind::Errcode(40001)));
    let answer = world.get(&target).await;
    assert_eq!(answer["errcode"], 40001, "{answer}");
    assert_eq!(
        (
            world.sandbox.calls(path),
            world.sandbox.calls("/cgi-bin/gettoken")
        ),
        (1, 0)
    );
    world.sandbox.revoke(&format!("{CORP}:7"), Revoke::Token);
    let answer = world.get(&target).await;
    assert_eq!(answer["errcode"], 0, "{answer}");
}

#[tokio::test]
async fn a_body_over_the_buffer_is_not_repeated_but_the_next_call_succeeds() {
    let world = World::with("[gateway]\nreplay_limit = 1000\n").await;
    let token = world.token(KEY).await;
    world.revoke();
    let target = format!("/cgi-bin/media/upload?access_token={token}");
    for (body, expected) in [("x".repeat(2_000), 40001), ("x".repeat(2_000), 0)] {
        let answer = world.send_text(post(&target).close().body(body)).await;
        assert_eq!(errcode(&answer), expected, "{answer:?}");
    }
    assert_eq!(world.sandbox.calls("/cgi-bin/media/upload"), 2);
    world.clock.advance(MINUTE);
    world.revoke();
    let chunks = post(&target)
        .close()
        .chunks(["x".repeat(900), "x".repeat(900)]);
    assert_eq!(errcode(&world.send_text(chunks).await), 40001);
}

#[tokio::test]
async fn over_the_refresh_limit_the_original_answer_is_returned() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    world.revoke();
    let target = format!("{USERS}?access_token={token}");
    assert_eq!(world.get(&target).await["errcode"], 0);
    world.revoke();
    world.sandbox.reset_calls();
    let answer = world.get(&target).await;
    assert_eq!(answer["errcode"], 40001, "{answer}");
    assert_eq!(
        (world.sandbox.calls(USERS), world.sandbox.calls(STABLE)),
        (1, 0)
    );
    world.clock.advance(MINUTE);
    assert_eq!(world.get(&target).await["errcode"], 0);
}

#[tokio::test]
async fn two_hundred_calls_when_a_token_dies_cost_one_refresh() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    world.revoke();
    world.sandbox.reset_calls();
    let url = world.url(&format!("{USERS}?access_token={token}"));
    let answers = all_at_once(&url, 200).await;
    for answer in &answers {
        assert_eq!(answer["errcode"], 0, "{answer}");
    }
    // A stable token is requested, found unchanged, and then forced: one refresh.
    assert!(
        world.sandbox.calls(STABLE) <= 2,
        "{}",
        world.sandbox.calls(STABLE)
    );
    assert!(world.sandbox.calls(USERS) <= 400);
}

#[tokio::test]
async fn a_token_that_a_client_keeps_too_long_is_replaced() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    for hours in [3, 6, 12] {
        world.clock.advance(Duration::from_secs(hours * 3_600));
        let answer = world.get(&format!("{USERS}?access_token={token}")).await;
        assert_eq!(answer["errcode"], 0, "after {hours} hours: {answer}");
    }
    assert!(!world.sandbox.accepts_token(APP, &token));
    assert_eq!(
        world.sandbox.errcodes(USERS).get(&40001),
        None,
        "it was never sent"
    );
}

#[tokio::test]
async fn a_call_with_an_unknown_outcome_is_never_repeated() {
    let world = World::with("[gateway]\ntimeout_ms = 1500\n").await;
    let token = world.token(KEY).await;
    let target = format!("/cgi-bin/message/custom/send?access_token={token}");
    let path = "/cgi-bin/message/custom/send";
    for fault in [FaultKind::LostReply, FaultKind::CutBody, FaultKind::Hang] {
        world.sandbox.reset_calls();
        world.sandbox.fault(Fault::once(path, fault));
        let answer = world.send_text(post(&target).close().body("{}")).await;
        assert_eq!(answer.status, 504, "{answer:?}");
        let json = answer.json();
        assert_eq!(json["errcode"], -1, "{json}");
        assert!(answer.text.contains("may have processed"), "{json}");
        assert_eq!(world.sandbox.calls(path), 1);
    }
}

#[tokio::test]
async fn an_unreachable_wechat_is_reported_as_not_sent() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    world.sandbox.stop().await;
    let answer = world
        .send(get(format!("{USERS}?access_token={token}")))
        .await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(answer.json()["errcode"], -1);
    assert!(answer.text.contains("nothing was sent"), "{answer:?}");
}

#[tokio::test]
async fn callers_with_tokens_that_keep_dying_get_correct_or_wechats_answers() {
    let world = shared(World::with("[gateway]\ncalls_per_second = 0\n").await);
    let token = world.token(KEY).await;
    world.sandbox.reset_calls();
    let url = world.url(&format!("{USERS}?access_token={token}"));
    let mut refreshes = 0;
    for _ in 0..12 {
        world.revoke();
        let answers = all_at_once(&url, 40).await;
        for answer in &answers {
            assert!(
                [0, 40001].contains(&answer["errcode"].as_i64().unwrap()),
                "{answer}"
            );
        }
        refreshes = world.sandbox.calls(STABLE);
        world.clock.advance(Duration::from_secs(5));
    }
    // A minute allows two requested refreshes, after the initial one.
    assert!(refreshes <= 6, "{refreshes}");
    assert!(world.sandbox.calls(USERS) <= 2 * 12 * 40);
}
