//! Failures: answered from memory, retried by class, and kept separate.

use std::collections::BTreeSet;
use std::time::Duration;

use wx_jssdk::account::TokenMode;
use wx_jssdk::sandbox::FaultKind;
use wx_jssdk::{Account, Broker, Error, Kind, UnixTime};

use crate::common::upstream::impatient;
use crate::common::wait::called;
use crate::world::{APP, CLASSIC, STABLE, START, TICKET, World, account};

/// The failure, its code, and the earliest and latest second at which it is retried.
async fn fails_with(kind: FaultKind) -> (Error, &'static str, u64) {
    let world = World::stable().await;
    world.fault(STABLE, kind);
    let error = world.token().await.unwrap_err();
    let wait = error.retry_after().unwrap().as_secs();
    for _ in 0..50 {
        assert_eq!(world.token().await.unwrap_err().code(), error.code());
    }
    assert_eq!(
        world.calls(STABLE),
        1,
        "fifty callers in the cooldown cause no call"
    );
    world.advance(wait - 1);
    assert!(world.token().await.is_err(), "not a second too early");
    assert_eq!(world.calls(STABLE), 1);
    world.advance(1);
    assert!(world.token().await.is_ok(), "and then by the first request");
    (error.clone(), error.code(), wait)
}

#[tokio::test]
async fn a_transient_failure_is_retried_in_a_second() {
    for kind in [
        FaultKind::Errcode(-1),
        FaultKind::Status(500),
        FaultKind::Status(502),
        FaultKind::NotJson,
        FaultKind::HugeBody,
        FaultKind::CutBody,
        FaultKind::LostReply,
        FaultKind::Hang,
        FaultKind::Slow(Duration::from_secs(30)),
        FaultKind::Body(String::new()),
        FaultKind::Body("[]".into()),
        FaultKind::Body(r#"{"access_token":"t"}"#.into()),
        FaultKind::Body(r#"{"access_token":"","expires_in":7200}"#.into()),
        FaultKind::Body(r#"{"access_token":"t","expires_in":0}"#.into()),
        FaultKind::Body(r#"{"access_token":"t","expires_in":-1}"#.into()),
        FaultKind::Body(r#"{"access_token":"t","expires_in":"7200"}"#.into()),
        FaultKind::Body(r#"{"access_token":"t","expires_in":99999999999}"#.into()),
        FaultKind::Body(r#"{"access_token":null,"expires_in":7200}"#.into()),
        FaultKind::Body(r#"{"errcode":"40001","errmsg":"as a string"}"#.into()),
    ] {
        let (_, code, wait) = fails_with(kind.clone()).await;
        assert_eq!((code, wait), ("upstream_unavailable", 1), "{kind:?}");
    }
}

#[tokio::test]
async fn a_setup_failure_is_retried_in_a_minute() {
    for errcode in [
        40001, 40002, 40013, 40125, 40164, 40243, 41002, 41004, 48001, 50004, 50007, 61024, 89503,
        12345,
    ] {
        let (error, code, wait) = fails_with(FaultKind::Errcode(errcode)).await;
        assert_eq!(code, "account_misconfigured", "{errcode}");
        assert!((60..=75).contains(&wait), "{errcode}: {wait} s");
        assert_eq!(error.upstream().unwrap().errcode(), Some(errcode));
    }
}

#[tokio::test]
async fn a_wrong_secret_is_never_retried_rapidly() {
    // WxJava #3043: a wrong secret is retried endlessly, and WeCom bans the IP.
    let world = World::stable().await;
    world.always(STABLE, FaultKind::Errcode(40125));
    for _ in 0..3_600 {
        world.broker.tend().await;
        assert!(world.ticket().await.is_err());
        world.advance(1);
    }
    assert!(
        (10..=16).contains(&world.calls(STABLE)),
        "{} attempts in an hour",
        world.calls(STABLE)
    );
}

#[tokio::test]
async fn an_exhausted_day_is_probed_once_an_hour_by_one_of_all_processes() {
    let world = World::stable().await;
    let another = world.another(TokenMode::Stable);
    world.always(STABLE, FaultKind::Errcode(45009));
    let error = world.token().await.unwrap_err();
    assert_eq!(error.code(), "upstream_quota");
    let Error::Upstream { retry_at, .. } = error else {
        panic!("{error}")
    };
    let hour = world.now().plus(Duration::from_secs(3_600));
    assert!(
        retry_at >= hour && retry_at <= hour.plus(Duration::from_secs(60)),
        "{retry_at}"
    );
    let midnight = START.next_shanghai_midnight();
    while world.now() < midnight {
        world.broker.tend().await;
        another.tend().await;
        assert!(world.token().await.is_err());
        world.advance(60);
    }
    let calls = world.calls(STABLE);
    assert!((15..=17).contains(&calls), "{calls} calls in sixteen hours");
    world.sandbox.clear_faults();
    world.advance(60);
    assert!(
        world.token().await.is_ok(),
        "at midnight, not an hour later"
    );
}

#[tokio::test]
async fn exhausted_days_of_many_accounts_are_not_probed_in_one_second_of_midnight() {
    let world = World::stable().await;
    world.always(STABLE, FaultKind::Errcode(45009));
    let midnight = START.next_shanghai_midnight();
    world.advance(midnight.since(START).as_secs() - 60);
    let names: Vec<_> = (0..20).map(|n| format!("wx{n:016}")).collect();
    let mut builder = Broker::builder().clock(world.clock.clone());
    for name in &names {
        builder = builder.account(name, Account::official(name.as_str(), "secret"));
    }
    let broker = builder.upstream(impatient(&world.sandbox)).build().unwrap();
    let fail = async || {
        let mut times = BTreeSet::new();
        for name in &names {
            let failed = broker.credential(name, Kind::AccessToken).await;
            let Err(Error::Upstream { retry_at, .. }) = failed else {
                panic!("{failed:?}")
            };
            times.insert(retry_at);
        }
        times
    };
    let within = |times: &BTreeSet<UnixTime>, from: UnixTime| {
        assert!(times.len() > 5, "{times:?}");
        let (first, last) = (times.first().unwrap(), times.last().unwrap());
        let latest = from.plus(Duration::from_secs(60));
        assert!(*first >= from && *last <= latest, "{times:?} from {from}");
    };
    within(&fail().await, midnight);
    // WeChat has not reset them yet: an hour more would be too long.
    world.advance(120);
    let again = midnight.plus(Duration::from_secs(60 + 300));
    within(&fail().await, again);
}

#[tokio::test]
async fn a_quota_used_up_by_other_servers_is_reported_as_such() {
    for (uptime, says_so) in [(0, false), (86_400, true)] {
        // A store in memory has not counted what an earlier process called today.
        let world = World::classic().await;
        world.advance(uptime);
        world.always(CLASSIC, FaultKind::Errcode(45009));
        for broker in [world.broker.clone(), world.another(TokenMode::Classic)] {
            let error = broker
                .credential("main", Kind::AccessToken)
                .await
                .unwrap_err();
            let cause = error.upstream().unwrap().cause();
            assert_eq!(cause.en.contains("another server"), says_so, "{cause:?}");
            assert_eq!(cause.zh.contains("其他服务"), says_so, "{cause:?}");
        }
    }
    // 150 calls may exhaust the 200 of a test account.
    let world = World::classic().await;
    world.advance(86_400);
    for _ in 0..150 {
        let (app, now) = (account(TokenMode::Classic).app_key(), world.now());
        world.store.count_call(&app, CLASSIC, now).await.unwrap();
    }
    world.always(CLASSIC, FaultKind::Errcode(45009));
    let error = world.token().await.unwrap_err();
    let cause = error.upstream().unwrap().cause().en;
    assert!(!cause.contains("another server"), "{cause}");
}

#[tokio::test]
async fn a_quota_that_was_cleared_in_the_console_is_found_within_the_hour() {
    let world = World::stable().await;
    world.always(STABLE, FaultKind::Errcode(45009));
    world.token().await.unwrap_err();
    world.sandbox.clear_faults();
    world.advance(3_661);
    // Also after a restart, which reads the block from the store.
    assert!(
        world
            .another(TokenMode::Stable)
            .credential("main", Kind::AccessToken)
            .await
            .is_ok()
    );
    assert!(world.token().await.is_ok());
}

#[tokio::test]
async fn refresh_now_calls_once_despite_an_exhausted_quota_and_lifts_it_for_all() {
    let world = World::stable().await;
    let key = account(TokenMode::Stable).app_key();
    let blocked = || async {
        let now = world.now();
        world.store.blocked_until(&key, STABLE, now).await.unwrap()
    };
    world.always(STABLE, FaultKind::Errcode(45009));
    world.token().await.unwrap_err();
    world.ticket().await.unwrap_err();
    // Not cleared yet: one call, and the block stays.
    let still = world.broker.refresh_now("main", Kind::AccessToken).await;
    assert_eq!(still.unwrap_err().code(), "upstream_quota");
    assert_eq!(world.calls(STABLE), 2);
    assert!(blocked().await.is_some());
    world.sandbox.clear_faults();
    world.advance(31);
    assert!(world.token().await.is_err(), "readers make no attempt");
    world
        .broker
        .refresh_now("main", Kind::AccessToken)
        .await
        .unwrap();
    assert_eq!(blocked().await, None);
    assert!(world.token().await.is_ok() && world.ticket().await.is_ok());
    let restarted = world.another(TokenMode::Stable);
    assert!(
        restarted
            .credential("main", Kind::JsapiTicket)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn refresh_now_of_one_ticket_lifts_the_quota_of_the_other_ticket_too() {
    let world = World::stable().await;
    let card = || world.broker.credential("main", Kind::CardTicket);
    world.always(TICKET, FaultKind::Errcode(45009));
    world.ticket().await.unwrap_err();
    card().await.unwrap_err();
    world.sandbox.clear_faults();
    world.advance(31);
    world
        .broker
        .refresh_now("main", Kind::JsapiTicket)
        .await
        .unwrap();
    assert!(card().await.is_ok(), "it is the same call at WeChat");
}

#[tokio::test]
async fn a_token_that_recovers_ends_the_wait_of_a_ticket_that_found_it_dead() {
    let world = World::stable().await;
    world.token().await.unwrap();
    // The dead token cannot be replaced: the address is not on the allow-list.
    world.fault(TICKET, FaultKind::Errcode(40001));
    world.always(STABLE, FaultKind::Errcode(40164));
    let error = world.ticket().await.unwrap_err();
    assert_eq!(error.upstream().unwrap().errcode(), Some(40164));
    world.sandbox.clear_faults();
    world.advance(31);
    assert!(world.ticket().await.is_err(), "it waits for a minute");
    let refreshed = world.broker.refresh_now("main", Kind::AccessToken).await;
    assert!(refreshed.is_ok() && world.ticket().await.is_ok());
}

#[tokio::test]
async fn an_exhausted_minute_is_waited_out() {
    let world = World::stable().await;
    world.fault(STABLE, FaultKind::Errcode(45011));
    let error = world.token().await.unwrap_err();
    assert!(error.retry_after().unwrap() <= Duration::from_secs(65));
    world.advance(65);
    assert!(world.token().await.is_ok());
}

#[tokio::test]
async fn an_admins_refusal_is_respected_for_as_long_as_wechat_says() {
    for (errcode, wait) in [(89507, 3_600), (89506, 86_400)] {
        let (_, code, waited) = fails_with(FaultKind::Errcode(errcode)).await;
        assert_eq!((code, waited), ("account_misconfigured", wait));
    }
}

#[tokio::test]
async fn refresh_now_calls_despite_an_admins_refusal_but_not_twice_in_30_seconds() {
    for errcode in [89507, 89506] {
        let world = World::stable().await;
        world.always(STABLE, FaultKind::Errcode(errcode));
        world.ticket().await.unwrap_err();
        let refresh_now = || world.broker.refresh_now("main", Kind::JsapiTicket);
        refresh_now().await.unwrap_err();
        assert_eq!(world.calls(STABLE), 2, "{errcode}");
        // Now the address is on the allow-list.
        world.sandbox.clear_faults();
        refresh_now().await.unwrap_err();
        assert_eq!(world.calls(STABLE), 2, "{errcode}");
        world.advance(31);
        assert!(refresh_now().await.is_ok(), "{errcode}");
    }
}

#[tokio::test]
async fn one_endpoints_quota_does_not_stop_the_other() {
    let world = World::stable().await;
    world.token().await.unwrap();
    world.always(TICKET, FaultKind::Errcode(45009));
    assert_eq!(world.ticket().await.unwrap_err().code(), "upstream_quota");
    assert!(world.token().await.is_ok());
}

#[tokio::test]
async fn a_failure_is_remembered_with_its_time_and_forgotten_after_a_success() {
    let world = World::classic().await;
    world.fault(CLASSIC, FaultKind::Errcode(40164));
    assert!(world.token().await.is_err());
    let remembered = world.status_of(Kind::AccessToken).last_error.unwrap();
    assert_eq!(
        (remembered.at, remembered.failures, remembered.class),
        (START, 1, "setup")
    );
    assert_eq!(remembered.error.errcode(), Some(40164));
    assert!(remembered.retry_at >= UnixTime(START.0 + 60));
    world.advance(75);
    assert!(world.token().await.is_ok());
    assert!(world.status_of(Kind::AccessToken).last_error.is_none());
}

#[tokio::test]
async fn nothing_that_failed_validation_is_ever_served_or_stored() {
    // wj-Mcat, easywechat #1580: an error body or an empty ticket was cached.
    for body in [
        r#"{"errcode":0,"errmsg":"ok","ticket":"","expires_in":7200}"#,
        r#"{"errcode":0,"errmsg":"ok","ticket":"two words","expires_in":7200}"#,
        r#"{"errcode":0,"errmsg":"ok","expires_in":7200}"#,
        r#"{"errcode":0,"errmsg":"ok","ticket":"t","expires_in":0}"#,
        r#"{"errcode":40001,"errmsg":"no","ticket":"t","expires_in":7200}"#,
        "<html>502</html>",
    ] {
        let world = World::stable().await;
        world.always(TICKET, FaultKind::Body(body.into()));
        assert!(world.ticket().await.is_err(), "{body}");
        let key = crate::world::account(wx_jssdk::TokenMode::Stable).key(Kind::JsapiTicket);
        assert!(world.store.load(&key).await.unwrap().is_none(), "{body}");
        assert!(!world.status_of(Kind::JsapiTicket).is_served());
    }
}

#[tokio::test]
async fn a_refresh_begun_with_the_old_secret_does_not_undo_a_reload_with_the_new_one() {
    for wrong in [
        Account::official(APP, "deadbeefdeadbeefdeadbeefdeadbeef"),
        account(TokenMode::Classic),
    ] {
        let world = World::stable().await;
        let endpoint = if wrong.mode() == TokenMode::Classic {
            CLASSIC
        } else {
            STABLE
        };
        let builder = Broker::builder()
            .account("main", wrong)
            .clock(world.clock.clone());
        let broker = builder.upstream(impatient(&world.sandbox)).build().unwrap();
        world.fault(endpoint, FaultKind::Errcode(40_125));
        let gate = world.sandbox.hold(endpoint);
        let reader = broker.clone();
        let reading =
            tokio::spawn(async move { reader.credential("main", Kind::JsapiTicket).await });
        called(&world.sandbox, endpoint, 1).await;
        broker
            .reload(vec![("main".into(), account(TokenMode::Stable))], None)
            .unwrap();
        gate.release();
        let error = reading.await.unwrap().unwrap_err();
        assert_eq!(
            error.code(),
            "account_misconfigured",
            "the running call had the old secret"
        );
        // No time has passed: the clock stands still.
        let healed = broker.credential("main", Kind::JsapiTicket).await;
        assert!(healed.is_ok(), "{endpoint}: {healed:?}");
    }
}

#[tokio::test]
async fn a_reload_that_is_refused_leaves_every_cooldown_as_it_was() {
    let world = World::stable().await;
    world.always(STABLE, FaultKind::Errcode(40_125));
    assert!(world.token().await.is_err());
    let other = || Account::official(APP, "another-secret");
    assert!(
        world
            .broker
            .reload(vec![("a".into(), other()), ("b".into(), other())], None)
            .is_err()
    );
    assert!(world.status_of(Kind::AccessToken).last_error.is_some());
    assert!(world.token().await.is_err());
    assert_eq!(world.calls(STABLE), 1);
}

#[tokio::test]
async fn repeated_lifetimes_of_seconds_cost_few_calls_an_hour_and_are_logged() {
    for life in [1, 6, 30, 59] {
        let life = Duration::from_secs(life);
        let short_token = crate::world::app().token_ttl(life);
        let short_ticket = crate::world::app().ticket_ttl(life);
        for (app, kind, path) in [
            (short_token, Kind::AccessToken, STABLE),
            (short_ticket, Kind::JsapiTicket, TICKET),
        ] {
            let world = World::new(TokenMode::Stable, app).await;
            let mut told = 0;
            for _ in 0..3_600 {
                world.broker.tend().await;
                let _ = world.broker.credential("main", kind).await;
                world.assert_nothing_dead_is_served().await;
                told += u64::from(world.status_of(kind).last_error.is_some());
                world.advance(1);
            }
            let calls = world.calls(path);
            assert!(calls <= 20, "{kind} of {life:?}: {calls} calls in an hour");
            assert!(
                told > 3_000,
                "{kind} of {life:?}: reported in {told} seconds of 3600"
            );
            let error = world.status_of(kind).last_error.unwrap().error.to_string();
            assert!(error.contains(&format!("{} s", life.as_secs())), "{error}");
        }
    }
}

#[tokio::test]
async fn one_short_lifetime_is_served_to_its_end_before_the_next_call() {
    // stable_token answers with the remaining life, which is short near its end, and correct.
    let world = World::stable().await;
    let short = r#"{"access_token":"85_short","expires_in":6}"#;
    world.fault(STABLE, FaultKind::Body(short.into()));
    let ticket = r#"{"errcode":0,"errmsg":"ok","ticket":"t","expires_in":7200}"#;
    world.fault(TICKET, FaultKind::Body(ticket.into()));
    for _ in 0..6 {
        world.broker.tend().await;
        assert_eq!(world.token().await.unwrap().value.expose(), "85_short");
        assert_eq!(world.calls(STABLE), 1, "at {}", world.now());
        world.advance(1);
    }
    let token = world.token().await.unwrap();
    assert_eq!(token.remaining(world.now()), Duration::from_secs(7_200));
    assert_eq!(world.calls(STABLE), 2);
    assert!(world.status_of(Kind::AccessToken).last_error.is_none());
}

#[tokio::test]
async fn lifetimes_of_a_minute_or_more_are_refreshed_in_time() {
    let app = crate::world::app().ttl(Duration::from_secs(90));
    let world = World::new(TokenMode::Stable, app).await;
    world.ticket().await.unwrap();
    for _ in 0..600 {
        world.broker.tend().await;
        world.assert_nothing_dead_is_served().await;
        assert!(world.ticket().await.is_ok(), "at {}", world.now());
        world.advance(1);
    }
}

#[tokio::test]
async fn every_address_that_wechat_refused_within_a_day_is_named_latest_first() {
    let world = World::stable().await;
    for (nth, ip) in ["203.0.113.1", "2001:db8::7", "203.0.113.1", "203.0.113.2"]
        .into_iter()
        .enumerate()
    {
        let refusal = format!("invalid ip {ip} ipv6 ::ffff:{ip}, not in whitelist");
        world.fault(STABLE, FaultKind::ErrcodeWith(40164, refusal));
        let error = world.token().await.unwrap_err();
        let fix = error.upstream().unwrap().fix_for_operator().en;
        assert_eq!(fix.contains("is not fixed"), nth > 0, "{fix}");
        assert!(error.retry_after().unwrap() <= Duration::from_secs(600));
        world.advance(600);
    }
    let error = world.status_of(Kind::AccessToken).last_error.unwrap().error;
    let ips: Vec<_> = error
        .ips_to_allow()
        .iter()
        .map(|ip| ip.to_string())
        .collect();
    assert_eq!(ips, ["203.0.113.2", "203.0.113.1", "2001:db8::7"]);
    // One address was allowed, and the next call leaves from another: still the same fault.
    assert!(world.token().await.is_ok());
    world.advance(6_000);
    let refusal = "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist";
    world.fault(STABLE, FaultKind::ErrcodeWith(40164, refusal.into()));
    world.advance(1_100);
    world.broker.tend().await;
    let error = world.status_of(Kind::AccessToken).last_error.unwrap().error;
    assert_eq!(error.ips_to_allow().len(), 4, "{error:?}");
}
