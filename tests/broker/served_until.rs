//! Readers, metrics and the status report the same time until which a value is served.

use wx_jssdk::Kind;
use wx_jssdk::sandbox::FaultKind;

use crate::world::*;

async fn assert_views_agree_to_the_end(world: &World) {
    let mut ends = Vec::new();
    for _ in 0..15 {
        world.broker.tend().await;
        let is_signed = world.broker.js_config("main", &page()).await.is_ok();
        let (now, ticket) = (world.now(), world.status_of(Kind::JsapiTicket));
        let until = ticket.served_until.filter(|until| *until > now);
        let left = Some(ticket.served_for).filter(|left| !left.is_zero());
        assert_eq!(is_signed, ticket.is_served(), "{ticket:?}");
        assert_eq!(is_signed, until.is_some(), "at {now}: {ticket:?}");
        assert_eq!(left.map(|left| now.plus(left)), until, "at {now}");
        ends.extend(until);
        world.advance(1);
    }
    assert!(!ends.is_empty() && ends.len() < 15, "{ends:?}");
}

#[tokio::test]
async fn every_view_knows_that_a_confirmed_value_is_served_to_its_very_end() {
    let world = World::stable().await;
    let ticket = world.ticket().await.unwrap();
    world.advance(7_200 - 100);
    // WeChat repeats the ticket until shortly before its end, which confirms it.
    let again = format!(
        r#"{{"errcode":0,"errmsg":"ok","ticket":"{}","expires_in":7200}}"#,
        ticket.value.expose()
    );
    world.always(TICKET, FaultKind::Body(again));
    for _ in 0..90 {
        world.broker.tend().await;
        world.advance(1);
    }
    assert_views_agree_to_the_end(&world).await;
}

#[tokio::test]
async fn every_view_knows_that_a_corrected_clock_prolongs_no_life() {
    let world = World::stable().await;
    assert!(world.clock.set_wrong(20));
    world.ticket().await.unwrap();
    // A correction too small to be a jump: the dates stay as they are.
    world.broker.tend().await;
    assert!(world.clock.set_wrong(-20));
    world.always(TICKET, FaultKind::Errcode(48_001));
    world.always(STABLE, FaultKind::Status(502));
    world.advance(7_200 - 10);
    assert_views_agree_to_the_end(&world).await;
}

#[tokio::test]
async fn every_view_knows_when_a_failing_value_ends() {
    let world = World::stable().await;
    world.ticket().await.unwrap();
    world.sandbox.stop().await;
    world.advance(7_200 - 10);
    assert_views_agree_to_the_end(&world).await;
}
