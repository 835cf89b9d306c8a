//! Compare-and-refresh: "WeChat refused this one".

use std::time::Duration;

use wx_jssdk::account::TokenMode;
use wx_jssdk::broker::{Broker, Find};
use wx_jssdk::sandbox::{FaultKind, Mode, Revoke};
use wx_jssdk::store::Claim;
use wx_jssdk::{Error, Kind, Secret};

use crate::common::wait::called;
use crate::world::{APP, CLASSIC, STABLE, TICKET, World, account};

#[tokio::test]
async fn a_dead_token_is_replaced() {
    // JasonBoy #46: after a 40001, broken for two hours.
    let world = World::stable().await;
    let dead = world.token().await.unwrap();
    world.sandbox.revoke(APP, Revoke::Token);
    let new = world.reject(Kind::AccessToken, &dead.value).await.unwrap();
    assert_ne!(new.value, dead.value);
    assert!(world.sandbox.accepts_token(APP, new.value.expose()));
    assert_eq!(world.token().await.unwrap().value, new.value);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_callers_that_saw_the_same_refusal_cause_one_refresh() {
    for (world, endpoint) in [
        (World::stable().await, STABLE),
        (World::classic().await, CLASSIC),
    ] {
        let dead = world.token().await.unwrap();
        world.sandbox.revoke(APP, Revoke::Token);
        let gate = world.sandbox.hold(endpoint);
        let callers: Vec<_> = (0..50)
            .map(|_| {
                let (broker, dead) = (world.broker.clone(), dead.value.clone());
                tokio::spawn(async move { broker.reject("main", Kind::AccessToken, &dead).await })
            })
            .collect();
        called(&world.sandbox, endpoint, 2).await;
        gate.release();
        let mut values = std::collections::HashSet::new();
        for caller in callers {
            values.insert(caller.await.unwrap().unwrap().value.expose().to_owned());
        }
        assert_eq!(values.len(), 1, "all got the same new token");
        assert_eq!(
            world.calls(endpoint),
            2,
            "{endpoint}: the first fetch and one refresh"
        );
        assert_eq!(
            world.status_of(Kind::AccessToken).foreign_refreshes,
            1,
            "fifty reports of one foreign refresh"
        );
    }
}

#[tokio::test]
async fn a_late_caller_with_an_old_value_causes_no_refresh() {
    let world = World::stable().await;
    let dead = world.token().await.unwrap();
    world.sandbox.revoke(APP, Revoke::Token);
    let new = world.reject(Kind::AccessToken, &dead.value).await.unwrap();
    let calls = world.calls(STABLE);
    for bad in [
        dead.value.clone(),
        Secret::new("never ours"),
        Secret::new(""),
    ] {
        assert_eq!(
            world.reject(Kind::AccessToken, &bad).await.unwrap().value,
            new.value
        );
    }
    assert_eq!(world.calls(STABLE), calls);
}

#[tokio::test]
async fn a_valid_stable_token_is_forced_only_after_wechat_repeated_it() {
    let world = World::stable().await;
    let token = world.token().await.unwrap();
    let new = world.reject(Kind::AccessToken, &token.value).await.unwrap();
    assert_ne!(new.value, token.value);
    assert_eq!(
        world.calls(STABLE),
        3,
        "the first, the same again, the forced one"
    );
    let status = world.status_of(Kind::AccessToken);
    assert_eq!(status.foreign_refreshes, 0, "the report was wrong");
}

#[tokio::test]
async fn a_foreign_forced_refresh_does_not_use_our_limit() {
    let world = World::stable().await;
    let dead = world.token().await.unwrap();
    let theirs = world.sandbox.foreign_refresh(APP, Mode::Stable);
    let new = world.reject(Kind::AccessToken, &dead.value).await.unwrap();
    assert_eq!(new.value.expose(), theirs);
    assert_eq!(world.calls(STABLE), 2);
    assert_eq!(world.status_of(Kind::AccessToken).foreign_refreshes, 1);
}

#[tokio::test]
async fn rejections_are_limited_to_one_in_thirty_seconds() {
    for (world, endpoint) in [
        (World::stable().await, STABLE),
        (World::classic().await, CLASSIC),
    ] {
        let mut current = world.token().await.unwrap();
        current = world
            .reject(Kind::AccessToken, &current.value)
            .await
            .unwrap();
        let calls = world.calls(endpoint);
        for _ in 0..29 {
            let error = world
                .reject(Kind::AccessToken, &current.value)
                .await
                .unwrap_err();
            assert_eq!(error.code(), "rate_limited");
            assert!(error.retry_after().unwrap().as_secs() <= 30);
            world.advance(1);
        }
        assert_eq!(world.calls(endpoint), calls);
        assert_eq!(
            world.token().await.unwrap().value,
            current.value,
            "it is still served: WeChat has confirmed nothing"
        );
        world.advance(1);
        assert_ne!(
            world
                .reject(Kind::AccessToken, &current.value)
                .await
                .unwrap()
                .value,
            current.value
        );
    }
}

#[tokio::test]
async fn no_caller_can_exhaust_the_days_forced_refreshes() {
    // unservice: after one forced refresh every later one is forced; 20 a day are used up in ten minutes.
    let world = World::stable().await;
    let mut forced = 0;
    let mut current = world.token().await.unwrap();
    for _ in 0..60 {
        world.advance(30);
        if let Ok(new) = world.reject(Kind::AccessToken, &current.value).await {
            forced += u32::from(new.value != current.value);
            current = new;
        }
    }
    assert_eq!(forced, 20);
    assert!(
        world.sandbox.accepts_token(APP, current.value.expose()),
        "and the token in use is still a valid one"
    );
}

#[tokio::test]
async fn the_refused_value_is_served_until_a_new_one_is_there() {
    // WxJava #324, easywechat: a forced refresh ends the old token first; others find no token.
    let world = World::stable().await;
    let old = world.token().await.unwrap();
    let gate = world.sandbox.hold(STABLE);
    let (broker, bad) = (world.broker.clone(), old.value.clone());
    let rejecting =
        tokio::spawn(async move { broker.reject("main", Kind::AccessToken, &bad).await });
    called(&world.sandbox, STABLE, 2).await;
    assert_eq!(world.token().await.unwrap().value, old.value);
    gate.release();
    assert_ne!(rejecting.await.unwrap().unwrap().value, old.value);
}

#[tokio::test]
async fn a_failed_rejection_keeps_the_current_value() {
    let world = World::stable().await;
    let old = world.token().await.unwrap();
    world.always(STABLE, FaultKind::Status(503));
    let error = world
        .reject(Kind::AccessToken, &old.value)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "upstream_unavailable");
    assert_eq!(world.token().await.unwrap().value, old.value);
}

#[tokio::test]
async fn a_rejected_ticket_that_wechat_repeats_stays_current() {
    // A ticket cannot be forced: within its life WeChat repeats the same one.
    let world = World::stable().await;
    let ticket = world.ticket().await.unwrap();
    let (one, other) = tokio::join!(
        world.reject(Kind::JsapiTicket, &ticket.value),
        world.reject(Kind::JsapiTicket, &ticket.value),
    );
    assert_eq!(one.unwrap().value, ticket.value);
    assert_eq!(other.unwrap().value, ticket.value, "it joined the first");
    assert_eq!(world.ticket().await.unwrap(), ticket);
    assert_eq!(world.calls(TICKET), 2);
    let third = world.reject(Kind::JsapiTicket, &ticket.value).await;
    assert_eq!(third.unwrap_err().code(), "rate_limited");
}

#[tokio::test]
async fn a_rejection_that_joins_refresh_now_gets_the_ticket_that_wechat_repeats() {
    let world = World::stable().await;
    let token = world.token().await.unwrap();
    let ticket = world.ticket().await.unwrap();
    let refresh_now = |kind| world.broker.refresh_now("main", kind);
    let (_, rejected) = tokio::join!(
        refresh_now(Kind::JsapiTicket),
        world.reject(Kind::JsapiTicket, &ticket.value),
    );
    assert_eq!(rejected.unwrap().value, ticket.value);
    assert_eq!(world.calls(TICKET), 2);
    // A stable token can be forced after the pause.
    let (_, rejected) = tokio::join!(
        refresh_now(Kind::AccessToken),
        world.reject(Kind::AccessToken, &token.value),
    );
    assert_eq!(rejected.unwrap_err().code(), "rate_limited");
}

#[tokio::test]
async fn a_revoked_ticket_is_replaced() {
    let world = World::stable().await;
    let ticket = world.ticket().await.unwrap();
    world.sandbox.revoke(APP, Revoke::JsapiTicket);
    let new = world
        .reject(Kind::JsapiTicket, &ticket.value)
        .await
        .unwrap();
    assert_ne!(new.value, ticket.value);
    assert!(
        world
            .sandbox
            .accepts_ticket(APP, "jsapi", new.value.expose())
    );
    assert_eq!(world.status_of(Kind::JsapiTicket).foreign_refreshes, 0);
}

#[tokio::test]
async fn a_rejection_during_a_refresh_waits_for_it() {
    let world = World::stable().await;
    let old = world.token().await.unwrap();
    world.advance(7_100);
    let gate = world.sandbox.hold(STABLE);
    let broker = world.broker.clone();
    let keeper = tokio::spawn(async move { broker.tend().await });
    called(&world.sandbox, STABLE, 2).await;
    let (broker, bad) = (world.broker.clone(), old.value.clone());
    let rejecting =
        tokio::spawn(async move { broker.reject("main", Kind::AccessToken, &bad).await });
    tokio::task::yield_now().await;
    gate.release();
    let new = rejecting.await.unwrap().unwrap();
    keeper.await.unwrap();
    assert_ne!(new.value, old.value);
    assert_eq!(
        world.calls(STABLE),
        2,
        "the running refresh returned the requested value"
    );
}

#[tokio::test]
async fn a_rejection_of_an_unknown_account_or_kind_is_an_error_and_no_call() {
    let world = World::stable().await;
    let bad = Secret::new("x");
    assert_eq!(
        world
            .broker
            .reject("nobody", Kind::AccessToken, &bad)
            .await
            .unwrap_err()
            .code(),
        "unknown_account"
    );
    assert_eq!(
        world
            .reject(Kind::AgentTicket, &bad)
            .await
            .unwrap_err()
            .code(),
        "unsupported_credential"
    );
    assert_eq!(world.sandbox.calls_total(), 0);
}

#[tokio::test]
async fn a_token_refused_near_its_end_is_not_counted_as_a_foreign_refresh() {
    let world = World::stable().await;
    let old = world.token().await.unwrap();
    world.advance(7_200 - 200);
    world.reject(Kind::AccessToken, &old.value).await.unwrap();
    assert_eq!(world.status_of(Kind::AccessToken).foreign_refreshes, 0);
}

#[tokio::test]
async fn the_keeper_repeats_a_failed_rejection_even_for_a_fresh_value() {
    for (world, endpoint) in [
        (World::stable().await, STABLE),
        (World::classic().await, CLASSIC),
    ] {
        let dead = world.token().await.unwrap();
        world.ticket().await.unwrap();
        world.sandbox.revoke(APP, Revoke::Token);
        world.fault(endpoint, FaultKind::Errcode(-1));
        assert!(world.reject(Kind::AccessToken, &dead.value).await.is_err());
        let next = world
            .broker
            .snapshot(&Find {
                limit: 1,
                ..Find::default()
            })
            .accounts
            .remove(0);
        let next = next.credentials[0].next_refresh.unwrap();
        assert_eq!(
            next,
            world.now().plus(Duration::from_secs(30)),
            "the rate limit applies to the keeper too"
        );
        for _ in 0..29 {
            world.advance(1);
            assert!(world.broker.tend().await.is_empty());
        }
        world.advance(1);
        assert_eq!(world.broker.tend().await.len(), 1, "{endpoint}");
        let new = world.token().await.unwrap();
        assert!(
            new.value != dead.value && world.sandbox.accepts_token(APP, new.value.expose()),
            "{endpoint}"
        );
        let status = world.status_of(Kind::AccessToken);
        assert!(
            status.last_error.is_none() && status.foreign_refreshes == 1,
            "{status:?}"
        );
        world.advance(100);
        assert!(world.broker.tend().await.is_empty(), "and then it stops");
    }
}

#[tokio::test]
async fn a_rejection_that_keeps_failing_backs_off_within_the_days_limit() {
    let world = World::classic().await;
    let dead = world.token().await.unwrap();
    world.ticket().await.unwrap();
    world.always(CLASSIC, FaultKind::Errcode(-1));
    assert!(world.reject(Kind::AccessToken, &dead.value).await.is_err());
    let mut flights = 0;
    for _ in 0..6_000 {
        world.advance(1);
        flights += world.broker.tend().await.len();
    }
    let calls = world.calls(CLASSIC);
    assert!(
        (21..=1 + 20 + 6).contains(&calls),
        "{calls} calls: twenty, and then one in fifteen minutes"
    );
    assert!(
        flights <= 40,
        "{flights} attempts: one over the rate limit is postponed, not repeated"
    );
    world.sandbox.clear_faults();
    world.advance(900);
    world.broker.tend().await;
    assert_ne!(world.token().await.unwrap().value, dead.value);
}

#[tokio::test]
async fn retries_that_never_reached_wechat_use_up_no_refreshes() {
    let world = World::classic().await;
    let dead = world.token().await.unwrap();
    world.ticket().await.unwrap();
    let host = world.sandbox.host();
    host.set_reachable(false).await.unwrap();
    assert!(world.reject(Kind::AccessToken, &dead.value).await.is_err());
    for _ in 0..3_000 {
        world.advance(1);
        world.broker.tend().await;
    }
    assert_eq!(world.token().await.unwrap().value, dead.value);
    host.set_reachable(true).await.unwrap();
    for _ in 0..90 {
        world.advance(1);
        world.broker.tend().await;
    }
    assert_ne!(world.token().await.unwrap().value, dead.value);
}

#[tokio::test]
async fn a_failed_refresh_now_is_repeated_by_the_keeper_too() {
    let world = World::classic().await;
    let before = world.token().await.unwrap();
    world.ticket().await.unwrap();
    world.fault(CLASSIC, FaultKind::Errcode(-1));
    let error = world
        .broker
        .refresh_now("main", Kind::AccessToken)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("could not refresh the access_token of account \"main\": "),
        "{error}"
    );
    world.advance(31);
    assert_eq!(world.broker.tend().await.len(), 1);
    assert_ne!(world.token().await.unwrap().value, before.value);
    assert!(world.status_of(Kind::AccessToken).last_error.is_none());
}

#[tokio::test]
async fn refresh_now_after_a_restart_calls_wechat_and_knows_the_old_value() {
    let world = World::stable().await;
    let card = |broker: Broker| async move { broker.refresh_now("main", Kind::CardTicket).await };
    let first = card(world.broker.clone()).await.unwrap();
    assert!(first.is_new);
    world.advance(31);
    // A ticket of this kind is not read from the store before it is used.
    let restarted = world.another(TokenMode::Stable);
    restarted.tend().await;
    let calls = world.calls(TICKET);
    let same = card(restarted.clone()).await.unwrap();
    assert_eq!(world.calls(TICKET), calls + 1);
    assert_eq!(same.credential.value, first.credential.value);
    assert!(!same.is_new);
    world.sandbox.revoke(APP, Revoke::Ticket);
    world.advance(31);
    let other = world.another(TokenMode::Stable);
    let new = card(other).await.unwrap();
    assert!(new.is_new && new.credential.value != first.credential.value);
}

#[tokio::test]
async fn a_stored_value_is_served_although_refresh_now_after_a_restart_fails() {
    let world = World::stable().await;
    let stored = world.broker.credential("main", Kind::CardTicket);
    let stored = stored.await.unwrap();
    let restarted = world.another(TokenMode::Stable);
    world.always(TICKET, FaultKind::Status(503));
    let failed = restarted.refresh_now("main", Kind::CardTicket).await;
    failed.unwrap_err();
    let served = restarted.credential("main", Kind::CardTicket).await;
    assert_eq!(served.unwrap().value, stored.value);
}

#[tokio::test]
async fn a_failed_refresh_now_after_a_restart_is_repeated_by_the_keeper() {
    let world = World::stable().await;
    let stored = world.broker.credential("main", Kind::CardTicket);
    stored.await.unwrap();
    let restarted = world.another(TokenMode::Stable);
    restarted.tend().await;
    world.fault(TICKET, FaultKind::Status(503));
    let failed = restarted.refresh_now("main", Kind::CardTicket).await;
    failed.unwrap_err();
    let calls = world.calls(TICKET);
    world.advance(31);
    restarted.tend().await;
    assert_eq!(world.calls(TICKET), calls + 1);
}

#[tokio::test]
async fn an_error_says_whether_a_valid_value_is_served_meanwhile() {
    let world = World::stable().await;
    let token = world.token().await.unwrap();
    world.always(STABLE, FaultKind::Status(503));
    for _ in 0..2 {
        // From the call, and from memory.
        let error = world
            .reject(Kind::AccessToken, &token.value)
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("could not refresh the access_token of account \"main\": "),
            "{error}"
        );
    }
    world.advance(7_200);
    for _ in 0..2 {
        let error = world.token().await.unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("account \"main\" has no valid access_token: "),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_reader_without_a_value_does_not_share_the_refusal_of_a_report() {
    let world = World::classic().await;
    let old = world.token().await.unwrap();
    world.advance(7_200);
    let key = account(TokenMode::Classic).key(Kind::AccessToken);
    let gap = Duration::from_secs(30);
    let elsewhere = world
        .store
        .claim_refresh(&key, world.now(), gap, None)
        .await;
    assert_eq!(elsewhere, Ok(Claim::Granted));
    // On one thread, both are there before the refresh begins.
    let (report, read) = tokio::join!(world.reject(Kind::AccessToken, &old.value), world.token());
    assert!(
        matches!(report, Err(Error::RateLimited { .. })),
        "{report:?}"
    );
    assert!(
        world
            .sandbox
            .accepts_token(APP, read.unwrap().value.expose())
    );
    assert_eq!(world.calls(CLASSIC), 2);
}

/// Takes the refreshes that a day allows without a long pause, as another node does.
async fn spend_the_days_refreshes(world: &World) {
    let key = account(TokenMode::Classic).key(Kind::AccessToken);
    for _ in 0..20 {
        let claim = world
            .store
            .claim_refresh(&key, world.now(), Duration::ZERO, None);
        assert_eq!(claim.await, Ok(Claim::Granted));
    }
}

#[tokio::test]
async fn a_report_over_the_days_limit_is_refused_again_without_the_store() {
    let world = World::classic().await;
    let old = world.token().await.unwrap();
    spend_the_days_refreshes(&world).await;
    let mut asked = Vec::new();
    for minutes in [15, 14] {
        let refused = world.reject(Kind::AccessToken, &old.value).await;
        let left = refused.unwrap_err().retry_after();
        assert_eq!(left, Some(Duration::from_secs(60 * minutes)));
        asked.push(world.broker.snapshot(&Find::all()).stats.store);
        world.advance(60);
    }
    assert_eq!(asked[0], asked[1]);
    world.advance(13 * 60);
    let new = world.reject(Kind::AccessToken, &old.value).await.unwrap();
    assert_ne!(new.value, old.value);
}

#[tokio::test]
async fn a_report_over_the_days_limit_waits_for_midnight_in_shanghai_at_most() {
    let world = World::classic().await;
    world.advance(86_400 - (world.now().0 + 8 * 3_600) % 86_400 - 300);
    let old = world.token().await.unwrap();
    spend_the_days_refreshes(&world).await;
    let refused = world.reject(Kind::AccessToken, &old.value).await;
    let left = refused.unwrap_err().retry_after();
    assert_eq!(left, Some(Duration::from_secs(300)));
    world.advance(300);
    let new = world.reject(Kind::AccessToken, &old.value).await.unwrap();
    assert_ne!(new.value, old.value);
}
