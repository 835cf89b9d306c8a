//! Refresh-ahead, and what is served when WeChat is away.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::FutureExt as _;
use wx_jssdk::account::{Egress, Proxy, TokenMode};
use wx_jssdk::broker::Find;
use wx_jssdk::sandbox::{App, FaultKind, ProxyRule, Sandbox};
use wx_jssdk::{Account, Broker, Clock, Kind};

use crate::common::upstream::impatient;
use crate::common::wait::{called, until};
use crate::world::{APP, CLASSIC, SECRET, STABLE, START, TICKET, World, page};

#[tokio::test]
async fn the_keeper_fills_a_cold_broker_before_the_first_request() {
    let world = World::stable().await;
    let outcomes = world.broker.tend().await;
    assert_eq!(outcomes.len(), 2);
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!((world.calls(STABLE), world.calls(TICKET)), (1, 1));
    assert!(world.broker.tend().await.is_empty(), "nothing is due now");
}

#[tokio::test]
async fn a_due_value_is_refreshed_while_it_is_still_served() {
    let world = World::stable().await;
    let (old_token, old_ticket) = (world.token().await.unwrap(), world.ticket().await.unwrap());
    world.advance(7_200 - 241);
    assert!(
        world.broker.tend().await.is_empty(),
        "five minutes before the end stable_token would give the same again"
    );
    world.advance(61);
    assert_eq!(world.ticket().await.unwrap().value, old_ticket.value);
    assert_eq!(world.broker.tend().await.len(), 2);
    assert_ne!(world.ticket().await.unwrap().value, old_ticket.value);
    assert_ne!(world.token().await.unwrap().value, old_token.value);
    assert_eq!((world.calls(STABLE), world.calls(TICKET)), (2, 2));
}

async fn a_day_of(world: &World, endpoint: &str) -> u64 {
    let mut readers_who_waited = 0;
    for _ in 0..24 * 120 {
        world.broker.tend().await;
        let calls = world.sandbox.calls_total();
        world.token().await.unwrap();
        world.ticket().await.unwrap();
        world.assert_nothing_dead_is_served().await;
        readers_who_waited += world.sandbox.calls_total() - calls;
        world.advance(30);
    }
    assert_eq!(readers_who_waited, 0, "no reader ever had to fetch");
    world.calls(endpoint)
}

#[tokio::test]
async fn a_day_in_stable_mode_costs_a_dozen_tokens_and_no_caller_ever_waits() {
    let world = World::stable().await;
    let calls = a_day_of(&world, STABLE).await;
    assert!((12..=14).contains(&calls), "{calls}");
    assert!(
        (12..=16).contains(&world.calls(TICKET)),
        "{}",
        world.calls(TICKET)
    );
}

#[tokio::test]
async fn a_day_in_classic_mode_costs_a_dozen_tokens_and_no_caller_ever_waits() {
    let world = World::classic().await;
    let calls = a_day_of(&world, CLASSIC).await;
    assert!((12..=14).contains(&calls), "{calls}");
}

#[tokio::test]
async fn a_failed_refresh_keeps_the_current_value() {
    // chanxuehong, co-wechat-api: an error on refresh drops a token that is still valid.
    let world = World::stable().await;
    let old = world.ticket().await.unwrap();
    world.advance(7_000);
    for endpoint in [STABLE, TICKET] {
        world.always(endpoint, FaultKind::Errcode(-1));
    }
    for _ in 0..6 {
        assert!(world.broker.tend().await.iter().all(Result::is_err));
        assert_eq!(world.ticket().await.unwrap().value, old.value);
        world.advance(30);
    }
}

#[tokio::test]
async fn with_wechat_down_every_request_is_answered_until_the_value_ends_and_none_after() {
    let world = World::stable().await;
    let ticket = world.ticket().await.unwrap();
    world.sandbox.stop().await;
    while world.now().0 < ticket.expires_at.0 - 5 {
        world.broker.tend().await;
        assert!(
            world.broker.js_config("main", &page()).await.is_ok(),
            "{} s before the end",
            ticket.expires_at.0 - world.now().0
        );
        assert!(
            world
                .sandbox
                .accepts_ticket(APP, "jsapi", ticket.value.expose())
        );
        world.advance(if world.now().0 < ticket.expires_at.0 - 300 {
            299
        } else {
            1
        });
    }
    for _ in 0..20 {
        let error = world.broker.js_config("main", &page()).await.unwrap_err();
        assert_eq!(error.code(), "upstream_unavailable");
        assert!(error.retry_after().is_some());
        world.advance(40);
    }
}

#[tokio::test]
async fn the_keeper_retries_with_backoff_and_recovers() {
    // leoskey, Leo-GAsss: after a failed tick the next attempt is a whole period later, or never.
    let world = World::stable().await;
    world.always(STABLE, FaultKind::Status(502));
    for _ in 0..600 {
        world.broker.tend().await;
        world.advance(1);
    }
    let tries = world.calls(STABLE);
    assert!((8..=16).contains(&tries), "{tries} tries in ten minutes");
    let failures = world.status_of(Kind::AccessToken).last_error.unwrap();
    assert_eq!(
        (u64::from(failures.failures), failures.class),
        (tries, "transient")
    );
    world.sandbox.clear_faults();
    world.advance(91);
    world.broker.tend().await;
    world.broker.tend().await;
    assert!(world.status_of(Kind::AccessToken).is_served());
    assert!(world.status_of(Kind::AccessToken).last_error.is_none());
    assert!(world.ticket().await.is_ok());
}

#[tokio::test]
async fn an_unchanged_ticket_is_not_prolonged_and_is_refetched_at_a_slow_pace() {
    // It is unknown whether getticket answers a repeated call with 7200 or with the remaining life: both must be safe.
    let world = World::stable().await;
    let ticket = world.ticket().await.unwrap();
    let again = format!(
        r#"{{"errcode":0,"errmsg":"ok","ticket":"{}","expires_in":7200}}"#,
        ticket.value.expose()
    );
    world.always(TICKET, FaultKind::Body(again));
    world.advance(7_200 - 180);
    let before = world.calls(TICKET);
    for _ in 0..170 {
        world.broker.tend().await;
        assert_eq!(world.ticket().await.unwrap().expires_at, ticket.expires_at);
        world.advance(1);
    }
    assert!(
        (4..=7).contains(&(world.calls(TICKET) - before)),
        "{}",
        world.calls(TICKET) - before
    );
    world.advance(10);
    let error = world.ticket().await.unwrap_err();
    assert_eq!(
        error.code(),
        "upstream_unavailable",
        "its life had ended, counted from the first fetch"
    );
    world.sandbox.clear_faults();
    world.advance(10);
    assert!(world.ticket().await.is_ok());
}

#[tokio::test]
async fn an_old_stable_token_is_kept_for_its_remaining_life() {
    // silenceper: `expires_in - 1500` went below zero because stable mode answers with the remaining life.
    for already_old in [0, 60, 3_600, 6_000, 6_890] {
        let world = World::stable().await;
        world
            .sandbox
            .foreign_refresh(APP, wx_jssdk::sandbox::Mode::Stable);
        world.advance(already_old);
        let token = world.token().await.unwrap();
        assert_eq!(token.remaining(world.now()).as_secs(), 7_200 - already_old);
        assert!(world.broker.tend().await.iter().all(Result::is_ok));
        let calls = world.calls(STABLE);
        world.advance(1);
        world.broker.tend().await;
        assert_eq!(
            world.calls(STABLE),
            calls,
            "fetched once, not at every step"
        );
    }
}

#[tokio::test]
async fn accounts_that_start_together_are_not_refreshed_in_the_same_second() {
    let clock = Clock::manual(START);
    let sandbox = Sandbox::start(clock.clone()).await.unwrap();
    let mut builder = Broker::builder()
        .clock(clock.clone())
        .upstream(impatient(&sandbox));
    for i in 0..60 {
        let id = format!("wx{i:016x}");
        sandbox.add_app(App::mini(&id, SECRET));
        builder = builder.account(&id, Account::mini(id.as_str(), SECRET));
    }
    let broker = builder.build().unwrap();
    while broker
        .snapshot(&Find::all())
        .accounts
        .iter()
        .any(|account| !account.credentials[0].is_served())
    {
        assert!(broker.tend().await.len() <= 16, "a cold start is paced");
    }
    assert_eq!(sandbox.calls(STABLE), 60);
    clock.advance(std::time::Duration::from_secs(7_200 - 241));
    let mut seconds = HashSet::new();
    for second in 0..65 {
        if !broker.tend().await.is_empty() {
            seconds.insert(second);
        }
        clock.advance(std::time::Duration::from_secs(1));
    }
    assert_eq!(sandbox.calls(STABLE), 120);
    assert!(
        seconds.len() >= 25,
        "refreshed in {} different seconds",
        seconds.len()
    );
}

#[tokio::test]
async fn the_loop_outlives_failures() {
    let world = World::stable().await;
    world.fault(STABLE, FaultKind::LostReply);
    world.fault(STABLE, FaultKind::NotJson);
    let keeper = tokio::spawn(world.broker.clone().keep_fresh());
    called(&world.sandbox, STABLE, 1).await;
    for calls in 2..=3 {
        // Each failure is followed by a wait on this clock, which the test advances.
        let again = async || {
            world.advance(1);
            world.calls(STABLE) >= calls
        };
        until("it calls again", again).await;
    }
    called(&world.sandbox, TICKET, 1).await;
    assert!(!keeper.is_finished());
    keeper.abort();
    assert!(world.ticket().await.is_ok());
}

#[tokio::test]
async fn in_classic_mode_the_old_token_stays_valid_for_a_while() {
    let world = World::new(
        TokenMode::Classic,
        App::official(APP, SECRET).safe_domain("example.com"),
    )
    .await;
    let old = world.token().await.unwrap();
    world.advance(7_200 - 180);
    world.broker.tend().await;
    let new = world.token().await.unwrap();
    assert_ne!(old.value, new.value);
    assert!(
        world.sandbox.accepts_token(APP, old.value.expose()),
        "a page or client that still holds it can use it"
    );
}

#[tokio::test]
async fn a_kind_that_the_account_is_refused_is_not_kept_after_one_request() {
    // WeChat answers 48001 to accounts without coupons: not a fault of the account, and not retried by the keeper.
    let world = World::stable().await;
    world.broker.tend().await;
    world.always(TICKET, FaultKind::Errcode(48_001));
    assert_eq!(
        world
            .broker
            .credential("main", Kind::CardTicket)
            .await
            .unwrap_err()
            .code(),
        "account_misconfigured"
    );
    let calls = world.calls(TICKET);
    for _ in 0..20 {
        world.advance(60);
        assert!(world.broker.tend().await.is_empty());
    }
    assert_eq!(world.calls(TICKET), calls, "the keeper does not retry");
    let kinds: Vec<_> = world
        .status()
        .credentials
        .iter()
        .map(|one| one.kind)
        .collect();
    assert_eq!(
        kinds,
        [Kind::AccessToken, Kind::JsapiTicket],
        "and no failure is reported"
    );
    let survey = world.broker.snapshot(&Find {
        limit: 1,
        ..Find::default()
    });
    assert_eq!(
        (survey.counts.ok, survey.accounts[0].credentials.len()),
        (1, 2)
    );
    let figures = world.status().credentials;
    assert_eq!(
        figures
            .iter()
            .filter(|one| one.last_error.is_some() || !one.overdue.is_zero())
            .count(),
        0,
        "{figures:?}"
    );
    assert_eq!(figures.len(), 2);
    // Requests are still answered: from memory at first, by WeChat after the cooldown.
    world.sandbox.clear_faults();
    world
        .broker
        .credential("main", Kind::CardTicket)
        .await
        .unwrap();
    assert_eq!(world.status_of(Kind::CardTicket).refreshes, 1);
    world.advance(7_200 - 100);
    assert_eq!(
        world.broker.tend().await.len(),
        3,
        "a value that was fetched once is kept alive"
    );
}

#[tokio::test]
async fn the_page_ticket_is_retried_even_if_it_was_never_fetched() {
    let world = World::stable().await;
    world.always(TICKET, FaultKind::Errcode(48_001));
    world.broker.tend().await;
    let first = world.calls(TICKET);
    world.advance(76);
    world.broker.tend().await;
    assert_eq!(
        (first, world.calls(TICKET)),
        (1, 2),
        "it is retried automatically"
    );
    assert_eq!(
        world
            .status_of(Kind::JsapiTicket)
            .last_error
            .unwrap()
            .failures,
        2
    );
    assert_eq!(
        world.broker.snapshot(&Find::default()).counts.down,
        1,
        "and shown"
    );
}

#[tokio::test]
async fn accounts_behind_a_silent_proxy_delay_no_others() {
    let clock = Clock::manual(START);
    let sandbox = Sandbox::start(clock.clone()).await.unwrap();
    let proxy = sandbox.http_proxy(None).await.unwrap();
    let app_id = |account: usize| format!("wx{account:016x}");
    let healthy: Vec<_> = (150..156).map(app_id).collect();
    let mut builder = Broker::builder()
        .clock(clock.clone())
        .upstream(impatient(&sandbox));
    for account in 0..156 {
        let app_id = app_id(account);
        sandbox.add_app(App::mini(app_id.as_str(), SECRET));
        let mut account = Account::mini(app_id.as_str(), SECRET);
        if !healthy.contains(&app_id) {
            account = account.egress(Egress::Proxy(Proxy::parse(&proxy.url()).unwrap()));
        }
        builder = builder.account(&app_id, account);
    }
    let broker = builder.build().unwrap();
    while !broker.tend().await.is_empty() {}
    proxy.set_rule(ProxyRule::Hang);
    let step = async |seconds| {
        assert!(clock.advance(Duration::from_secs(seconds)));
        broker.tend().await
    };
    let assert_healthy = || {
        for app_id in &healthy {
            let current = broker.credential(app_id, Kind::AccessToken).now_or_never();
            assert!(matches!(current, Some(Ok(_))), "{app_id}");
        }
    };
    // One round finds out that the proxy is silent.
    step(7_200).await;
    step(1).await;
    assert_healthy();
    step(7_200).await;
    assert_healthy();
}
