//! A ticket call refused because of its token.

use wx_jssdk::Kind;
use wx_jssdk::sandbox::{FaultKind, Mode, Revoke};

use crate::world::{APP, CLASSIC, STABLE, TICKET, World};

#[tokio::test]
async fn a_ticket_refused_because_of_its_token_refreshes_the_token_and_is_retried_once() {
    for errcode in [40001, 40014, 42001] {
        let world = World::stable().await;
        let old = world.token().await.unwrap();
        world.fault(TICKET, FaultKind::Errcode(errcode));
        let ticket = world.ticket().await.unwrap();
        assert!(
            world
                .sandbox
                .accepts_ticket(APP, "jsapi", ticket.value.expose())
        );
        assert_ne!(world.token().await.unwrap().value, old.value, "{errcode}");
        assert_eq!(world.calls(TICKET), 2, "{errcode}");
    }
}

#[tokio::test]
async fn the_retry_carries_the_new_token() {
    // wx-rust, easywechat, silenceper: on 40001 the retry re-sent the same dead token.
    let world = World::stable().await;
    world.token().await.unwrap();
    world.sandbox.revoke(APP, Revoke::Token);
    assert!(
        world.ticket().await.is_ok(),
        "a dead token would have been refused again"
    );
    assert_eq!((world.calls(STABLE), world.calls(TICKET)), (2, 2));
}

#[tokio::test]
async fn there_is_never_a_second_retry() {
    let world = World::stable().await;
    world.always(TICKET, FaultKind::Errcode(40001));
    let error = world.ticket().await.unwrap_err();
    assert_eq!(error.code(), "upstream_unavailable");
    assert_eq!(world.calls(TICKET), 2);
    for _ in 0..50 {
        assert!(world.ticket().await.is_err());
    }
    assert_eq!(
        world.calls(TICKET),
        2,
        "the failure is answered from memory"
    );
}

#[tokio::test]
async fn an_endless_40001_does_not_burn_the_quota() {
    // WxJava #1381: endless refresh; the day's quota exhausted.
    let world = World::classic().await;
    world.always(TICKET, FaultKind::Errcode(40001));
    for _ in 0..3_600 {
        world.broker.tend().await;
        let _ = world.ticket().await;
        world.advance(1);
    }
    assert!(
        world.calls(CLASSIC) <= 100,
        "{} token calls in an hour of 40001 answers",
        world.calls(CLASSIC)
    );
    assert!(world.token().await.is_ok(), "the token itself is valid");
}

#[tokio::test]
async fn a_setup_error_of_a_ticket_refreshes_no_token() {
    let world = World::stable().await;
    world.always(TICKET, FaultKind::Errcode(48001));
    let error = world.ticket().await.unwrap_err();
    assert_eq!(
        (error.code(), error.upstream().unwrap().errcode()),
        ("account_misconfigured", Some(48001))
    );
    assert_eq!((world.calls(STABLE), world.calls(TICKET)), (1, 1));
}

#[tokio::test]
async fn a_ticket_outlives_the_token_it_was_fetched_with() {
    let world = World::stable().await;
    let ticket = world.ticket().await.unwrap();
    world.sandbox.revoke(APP, Revoke::Token);
    assert_eq!(world.ticket().await.unwrap().value, ticket.value);
    assert_eq!(world.calls(TICKET), 1);
}

#[tokio::test]
async fn a_foreign_refresh_in_classic_mode_is_survived_and_counted() {
    let world = World::classic().await;
    let ours = world.token().await.unwrap();
    world.sandbox.foreign_refresh(APP, Mode::Classic);
    world.advance(301); // WeChat's overlap is over
    assert!(!world.sandbox.accepts_token(APP, ours.value.expose()));
    assert!(world.ticket().await.is_ok());
    assert_eq!(world.status_of(Kind::AccessToken).foreign_refreshes, 1);
    assert_eq!(world.calls(CLASSIC), 2);
}

#[tokio::test]
async fn without_its_token_a_ticket_fails_with_the_tokens_reason() {
    let world = World::stable().await;
    world.always(STABLE, FaultKind::Errcode(40125));
    let error = world.ticket().await.unwrap_err();
    assert_eq!(error.code(), "account_misconfigured");
    assert_eq!(error.upstream().unwrap().endpoint, STABLE);
    assert!(error.to_string().contains("access_token"), "{error}");
    for _ in 0..20 {
        assert!(world.ticket().await.is_err());
    }
    assert_eq!((world.calls(STABLE), world.calls(TICKET)), (1, 0));
}

#[tokio::test]
async fn a_ticket_is_fetched_as_soon_as_its_token_is_available_again() {
    let world = World::stable().await;
    world.fault(STABLE, FaultKind::Errcode(-1));
    let error = world.ticket().await.unwrap_err();
    world.advance(error.retry_after().unwrap().as_secs());
    assert!(world.ticket().await.is_ok());
}
