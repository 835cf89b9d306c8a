//! Token calls with a lost answer: the old token may or may not have been replaced.

use wx_jssdk::Kind;
use wx_jssdk::account::TokenMode;
use wx_jssdk::sandbox::{Fault, FaultKind};

use crate::world::{APP, CLASSIC, STABLE, World};

/// A world with a due token whose next token call fails like this.
async fn due(world: World, endpoint: &'static str, fault: FaultKind) -> World {
    world.token().await.unwrap();
    world.advance(7_200 - 180);
    world.sandbox.fault(Fault::always(endpoint, fault));
    world.broker.tend().await;
    world
}

/// Returns how long a token is still served after it was rejected and the call for a new one failed like this.
async fn left_after(world: &World, endpoint: &'static str, fault: FaultKind) -> u64 {
    let old = world.token().await.unwrap();
    world.fault(endpoint, fault);
    let rejected = world.reject(Kind::AccessToken, &old.value).await;
    assert!(rejected.is_err());
    world.token_left().await
}

#[tokio::test]
async fn a_classic_token_is_trusted_for_four_minutes_after_a_lost_reply_and_no_longer() {
    let world = World::classic().await;
    let old = world.token().await.unwrap();
    // A client's reject forces a refresh in the middle of its life; the answer is lost.
    world.fault(CLASSIC, FaultKind::LostReply);
    world.advance(3_000);
    assert!(world.reject(Kind::AccessToken, &old.value).await.is_err());
    let trusted = world.token().await.unwrap();
    assert_eq!(
        (
            trusted.value.clone(),
            trusted.remaining(world.now()).as_secs()
        ),
        (old.value.clone(), 240)
    );
    world.advance(234);
    assert_eq!(world.calls(CLASSIC), 2);
    assert!(
        world
            .sandbox
            .accepts_token(APP, world.token().await.unwrap().value.expose())
    );
    world.always(CLASSIC, FaultKind::Status(502));
    world.advance(6);
    assert!(
        world.token().await.is_err(),
        "WeChat would accept it for another minute, but clocks may differ"
    );
}

#[tokio::test]
async fn a_lost_reply_never_prolongs_the_remaining_life() {
    let world = due(World::classic().await, CLASSIC, FaultKind::LostReply).await;
    assert_eq!(world.token_left().await, 180);
    for _ in 0..10 {
        world.advance(10);
        world.broker.tend().await;
    }
    assert_eq!(world.token_left().await, 80);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_counts_as_lost() {
    for fault in [
        FaultKind::CutBody,
        FaultKind::NotJson,
        FaultKind::Hang,
        FaultKind::HugeBody,
    ] {
        let world = World::classic().await;
        let left = left_after(&world, CLASSIC, fault.clone()).await;
        assert_eq!(left, 240, "{fault:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_not_a_lost_reply() {
    for errcode in [-1, 40125, 45009] {
        let world = World::classic().await;
        let left = left_after(&world, CLASSIC, FaultKind::Errcode(errcode)).await;
        assert_eq!(left, 7_200, "{errcode}");
    }
}

#[tokio::test]
async fn an_unsent_call_is_not_a_lost_reply() {
    let world = World::classic().await;
    let old = world.token().await.unwrap();
    world.sandbox.stop().await;
    assert!(world.reject(Kind::AccessToken, &old.value).await.is_err());
    assert_eq!(world.token_left().await, 7_200);
}

#[tokio::test]
async fn a_stable_token_is_not_touched_by_a_lost_reply() {
    let world = World::stable().await;
    let left = left_after(&world, STABLE, FaultKind::LostReply).await;
    assert_eq!(left, 7_200, "a repeated call returns the same token");
}

#[tokio::test]
async fn the_shortened_life_is_stored_so_that_a_restart_does_not_lengthen_it() {
    let world = World::classic().await;
    left_after(&world, CLASSIC, FaultKind::LostReply).await;
    let restarted = world.another(TokenMode::Classic);
    let token = restarted
        .credential("main", Kind::AccessToken)
        .await
        .unwrap();
    assert_eq!(token.remaining(world.now()).as_secs(), 240);
}

#[tokio::test]
async fn after_a_lost_reply_the_keeper_gets_a_new_token_before_the_old_one_dies() {
    let world = due(World::classic().await, CLASSIC, FaultKind::LostReply).await;
    world.sandbox.clear_faults();
    for _ in 0..60 {
        world.assert_nothing_dead_is_served().await;
        world.broker.tend().await;
        world.advance(1);
    }
    assert!(world.token_left().await > 7_000);
}
