//! `GET /credentials/{account}/{kind}`.

use wx_jssdk::sandbox::{App, FaultKind};

use crate::admin::world::*;

#[tokio::test]
async fn a_credential_is_returned_with_its_remaining_life() {
    let world = World::new().await;
    let first = world
        .get_with(KEY, "/credentials/main/access_token")
        .await
        .ok();
    assert!(
        first.has_exactly(&["value", "expires_in", "expires_at", "generation"]),
        "{}",
        first.0
    );
    assert_eq!(
        (first.number("expires_in"), first.number("expires_at")),
        (7_200, START.0 + 7_200)
    );
    assert!(world.sandbox.accepts_token(APP, &first.text("value")));
    for (elapsed, left) in [(100, 7_100), (3_000, 4_100), (4_000, 100)] {
        world.advance(elapsed);
        let again = world
            .get_with(KEY, "/credentials/main/access_token")
            .await
            .ok();
        assert_eq!(
            (again.number("expires_in"), again.number("expires_at")),
            (left, START.0 + 7_200),
            "the remaining life, not 7200 again"
        );
        assert_eq!(
            (again.text("value"), again.number("generation")),
            (first.text("value"), first.number("generation"))
        );
    }
    assert_eq!(world.sandbox.calls(STABLE), 1);
}

#[tokio::test]
async fn after_its_end_a_new_credential_has_a_higher_generation() {
    let world = World::new().await;
    let first = world
        .get_with(KEY, "/credentials/main/access_token")
        .await
        .ok();
    world.advance(7_200);
    let second = world
        .get_with(KEY, "/credentials/main/access_token")
        .await
        .ok();
    assert_ne!(second.text("value"), first.text("value"));
    assert!(second.number("generation") > first.number("generation"));
    assert_eq!(second.number("expires_in"), 7_200);
}

#[tokio::test]
async fn every_kind_of_an_account_is_served() {
    let world = World::new().await;
    for (kind, name) in [("jsapi_ticket", "jsapi"), ("card_ticket", "wx_card")] {
        let ticket = world
            .get_with(KEY, &format!("/credentials/main/{kind}"))
            .await
            .ok();
        assert!(
            world
                .sandbox
                .accepts_ticket(APP, name, &ticket.text("value")),
            "{kind}"
        );
    }
    assert!(
        world
            .sandbox
            .accepts_token(MINI_APP, &world.token("mini").await)
    );
    assert!(
        world
            .sandbox
            .accepts_token(CLASSIC_APP, &world.token("classic").await)
    );
}

#[tokio::test]
async fn a_nonexistent_account_is_unknown_to_a_key_for_all_accounts() {
    let world = World::new().await;
    let problem = world
        .get_with(KEY, "/credentials/nobody/access_token")
        .await
        .problem(404, "unknown_account");
    assert!(problem.text("detail").contains("nobody"));
    world
        .get_with(MAIN_KEY, "/credentials/gone/access_token")
        .await
        .problem(404, "unknown_account");
    assert_eq!(world.sandbox.calls_total(), 0);
}

#[tokio::test]
async fn an_unavailable_or_unknown_kind_is_an_error_before_any_call() {
    let world = World::new().await;
    let problem = world
        .get_with(KEY, "/credentials/mini/jsapi_ticket")
        .await
        .problem(404, "unsupported_credential");
    assert!(problem.text("detail").contains("mini"), "{}", problem.0);
    world
        .get_with(KEY, "/credentials/main/agent_ticket")
        .await
        .problem(404, "unsupported_credential");
    let problem = world
        .get_with(KEY, "/credentials/main/token")
        .await
        .problem(404, "unsupported_credential");
    assert!(
        problem.0["hint"]["en"]
            .as_str()
            .unwrap()
            .contains("jsapi_ticket"),
        "{}",
        problem.0
    );
    assert_eq!(world.sandbox.calls_total(), 0);
}

#[tokio::test]
async fn a_wechat_refusal_is_returned_with_cause_fix_and_the_ip_to_allow() {
    // Senparc #2116: WeChat's 40164 was hidden behind its own error.
    let world = World::new().await;
    world.sandbox.add_app(
        App::official(APP, SECRET)
            .allow_ips(["203.0.113.7"])
            .caller_ip([106, 41, 36, 218].into()),
    );
    for _ in 0..2 {
        let answer = world.get_with(KEY, "/credentials/main/jsapi_ticket").await;
        let problem = answer.problem(502, "account_misconfigured");
        assert_eq!(problem.0["errcode"], 40164);
        let upstream = &problem.0["upstream"];
        assert_eq!(
            (&upstream["errcode"], &upstream["endpoint"]),
            (&40164.into(), &STABLE.into())
        );
        let errmsg = upstream["errmsg"].as_str().unwrap();
        assert!(
            errmsg.starts_with(
                "invalid ip 106.41.36.218 ipv6 ::ffff:106.41.36.218, not in whitelist rid: "
            ),
            "{errmsg}"
        );
        assert!(
            upstream["cause"]["en"]
                .as_str()
                .unwrap()
                .contains("allow-list"),
            "{upstream}"
        );
        for language in ["en", "zh"] {
            assert!(
                upstream["fix"][language]
                    .as_str()
                    .unwrap()
                    .ends_with("106.41.36.218"),
                "{upstream}"
            );
        }
        assert_eq!(answer.header("retry-after"), None, "waiting does not help");
    }
    assert_eq!(
        world.sandbox.calls(STABLE),
        1,
        "the second is answered from memory"
    );
}

#[tokio::test]
async fn an_unreachable_wechat_is_a_503_that_says_when_to_retry() {
    let world = World::new().await;
    world.fault(STABLE, FaultKind::Status(502));
    let answer = world.get_with(KEY, "/credentials/main/access_token").await;
    let problem = answer.problem(503, "upstream_unavailable");
    assert!(answer.retry_after() >= 1);
    let upstream = problem.0["upstream"].as_object().unwrap();
    assert!(
        !upstream.contains_key("errcode") && !upstream.contains_key("errmsg"),
        "WeChat did not answer"
    );
    assert_eq!(upstream["endpoint"], STABLE);
    assert!(problem.text("detail").contains("HTTP 502"), "{}", problem.0);
}

#[tokio::test]
async fn an_exhausted_quota_is_a_503_that_is_retried_once_an_hour() {
    let world = World::new().await;
    world.fault(STABLE, FaultKind::Errcode(45009));
    let answer = world.get_with(KEY, "/credentials/main/access_token").await;
    assert_eq!(
        answer.problem(503, "upstream_quota").0["upstream"]["errcode"],
        45009
    );
    assert!(
        (3_600..=3_660).contains(&answer.retry_after()),
        "{answer:?}"
    );
    world.advance(3_599);
    world
        .get_with(KEY, "/credentials/main/access_token")
        .await
        .problem(503, "upstream_quota");
    assert_eq!(world.sandbox.calls(STABLE), 1);
}

#[tokio::test]
async fn wrong_methods_and_paths_are_answered_with_the_supported_ones() {
    let world = World::new().await;
    for (method, path, allowed) in [
        ("POST", "/credentials/main/access_token", "GET"),
        ("DELETE", "/credentials/main/access_token", "GET"),
        ("GET", "/credentials/main/access_token/reject", "POST"),
    ] {
        let answer = world.send(method, path, &[], "").await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
    for path in [
        "/credentials",
        "/credentials/",
        "/credentials/main",
        "/credentials//access_token",
        "/credentials/a/b/c/d",
        "/credentials/a/b/c/d/e",
    ] {
        let problem = world.get_with(KEY, path).await.problem(404, "not_found");
        assert!(
            problem.0["hint"]["en"]
                .as_str()
                .unwrap()
                .contains("/credentials/{account}/{kind}"),
            "{path}"
        );
    }
}
