//! Readers, metrics and the status agree on until when a value is served.

use std::time::Duration;

use wx_jssdk::broker::Find;
use wx_jssdk::sandbox::FaultKind;
use wx_jssdk::{Kind, UnixTime};

use crate::world::*;

/// Until when each view says that the ticket is served, and whether it is served now.
async fn views(world: &World) -> (bool, [Option<UnixTime>; 3]) {
    let all = Find {
        limit: 1,
        ..Find::default()
    };
    let now = world.now();
    let figures = world.broker.figures().accounts.remove(0).credentials;
    let metric = figures.iter().find(|one| one.kind == Kind::JsapiTicket);
    let metric = metric.unwrap().served_for;
    let status = world.status_of(Kind::JsapiTicket).served_until;
    let page = world.broker.survey(&all).await.accounts[0].usable_until;
    let served = world.broker.js_config("main", &crate::world::page()).await;
    (
        served.is_ok(),
        [
            Some(now.plus(metric)).filter(|_| metric > Duration::ZERO),
            status.filter(|until| *until > now),
            page,
        ],
    )
}

async fn assert_views_agree_to_the_end(world: &World) {
    let mut ends = Vec::new();
    for _ in 0..15 {
        world.broker.tend().await;
        let (served, [metric, status, page]) = views(world).await;
        let now = world.now();
        assert_eq!((metric, status), (page, page), "at {now}");
        assert_eq!(served, page.is_some(), "at {now}: {page:?}");
        ends.extend(page);
        world.advance(1);
    }
    assert!(!ends.is_empty() && ends.len() < 15, "{ends:?}");
}

#[tokio::test]
async fn every_view_knows_that_a_confirmed_value_is_served_to_its_very_end() {
    let world = World::stable().await;
    let ticket = world.ticket().await.unwrap();
    world.advance(7_200 - 100);
    // WeChat repeats the ticket, and so confirms it until shortly before its end.
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
