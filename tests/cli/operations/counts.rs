//! Metrics of credentials and refreshes after specific events.

use wx_jssdk::account::{Account, TokenMode};
use wx_jssdk::broker::{Broker, Find};
use wx_jssdk::sandbox::{FaultKind, Mode, Revoke, Sandbox};
use wx_jssdk::store::Store;
use wx_jssdk::{Clock, Kind, UpstreamOptions};

use crate::common::wait::called;
use crate::operations::world::*;

const TOKEN_OF_SHOP: [(&str, &str); 2] = [("account", "shop"), ("kind", "access_token")];
const TICKET_OF_SHOP: [(&str, &str); 2] = [("account", "shop"), ("kind", "jsapi_ticket")];

#[tokio::test]
async fn remaining_lifetimes_count_down_and_the_last_success_stays() {
    let service = Service::with(&["shop"]).await;
    service.warm("shop").await;
    for (later, left) in [(0, 7_195.0), (1_000, 6_195.0), (5_000, 1_195.0)] {
        service.advance(later);
        let scrape = service.scrape().await;
        for labels in [TOKEN_OF_SHOP, TICKET_OF_SHOP] {
            assert_eq!(
                scrape.value("wx_jssdk_credential_remaining_seconds", &labels),
                Some(left)
            );
            let came = scrape.value(
                "wx_jssdk_credential_last_success_timestamp_seconds",
                &labels,
            );
            assert_eq!(came, Some(START.0 as f64));
            assert_eq!(
                scrape.value("wx_jssdk_credential_overdue_seconds", &labels),
                Some(0.0)
            );
        }
    }
    service.end().await;
}

#[tokio::test]
async fn a_refresh_that_fails_is_overdue_failing_and_cooling_until_it_succeeds() {
    let service = Service::with(&["shop"]).await;
    service.warm("shop").await;
    service.always(TOKEN, FaultKind::Errcode(40_164));
    service.advance(7_000);
    let failing = |scrape: &Scrape| {
        scrape
            .value("wx_jssdk_credential_failing_seconds", &TOKEN_OF_SHOP)
            .is_some()
    };
    service.until("a failing token", failing).await;
    service.advance(30);
    let scrape = service.scrape().await;
    let (labels, since) = scrape
        .all("wx_jssdk_credential_failing_seconds", &TOKEN_OF_SHOP)
        .next()
        .unwrap();
    assert_eq!(
        (labels["class"].as_str(), labels["errcode"].as_str(), since),
        ("setup", "40164", 30.0)
    );
    let overdue = scrape
        .value("wx_jssdk_credential_overdue_seconds", &TOKEN_OF_SHOP)
        .unwrap();
    assert!(
        (10.0..=70.0).contains(&overdue),
        "due 180 to 240 s before its end: {overdue}"
    );
    let cooling = scrape
        .value("wx_jssdk_credential_cooldown_seconds", &TOKEN_OF_SHOP)
        .unwrap();
    assert!(
        (30.0..=45.0).contains(&cooling),
        "60 to 75 s after the failure: {cooling}"
    );
    let by_errcode = [
        ("class", "setup"),
        ("errcode", "40164"),
        ("kind", "access_token"),
    ];
    assert_eq!(
        scrape.value("wx_jssdk_upstream_failures_total", &by_errcode),
        Some(1.0)
    );
    assert_eq!(
        scrape.value(
            "wx_jssdk_refreshes_total",
            &[TOKEN_OF_SHOP[0], TOKEN_OF_SHOP[1], ("outcome", "setup")]
        ),
        Some(1.0)
    );
    service.sandbox.clear_faults();
    service.advance(60);
    let scrape = service
        .until("a fresh token", |scrape| !failing(scrape))
        .await;
    assert_eq!(
        scrape.value("wx_jssdk_credential_overdue_seconds", &TOKEN_OF_SHOP),
        Some(0.0)
    );
    assert_eq!(
        scrape.value("wx_jssdk_credential_cooldown_seconds", &TOKEN_OF_SHOP),
        None
    );
    service.end().await;
}

#[tokio::test]
async fn an_unknown_errcode_is_other_and_a_missing_answer_is_none() {
    for (fault, class, errcode) in [
        (FaultKind::Errcode(987_654), "setup", "other"),
        (FaultKind::Status(502), "transient", "none"),
        (FaultKind::Errcode(45_009), "quota", "45009"),
    ] {
        let service = Service::start("", &accounts(["shop"]), |sandbox| {
            sandbox.add_app(app("shop"));
            sandbox.fault(wx_jssdk::sandbox::Fault::always(TOKEN, fault.clone()));
        })
        .await;
        let labels = [
            ("class", class),
            ("errcode", errcode),
            ("kind", "access_token"),
        ];
        service
            .until("a failure", |scrape| {
                scrape.value("wx_jssdk_upstream_failures_total", &labels) >= Some(1.0)
            })
            .await;
        let no_token = [
            TICKET_OF_SHOP[0],
            TICKET_OF_SHOP[1],
            ("outcome", "no_token"),
        ];
        service
            .until("no ticket", |scrape| {
                scrape.value("wx_jssdk_refreshes_total", &no_token) >= Some(1.0)
            })
            .await;
        service.end().await;
    }
}

#[tokio::test]
async fn a_refresh_is_timed_from_its_start_to_its_end() {
    let service = Service::start("", &accounts(["shop"]), |sandbox| {
        sandbox.add_app(app("shop"))
    })
    .await;
    let gate = service.sandbox.hold(TICKET);
    called(&service.sandbox, TICKET, 1).await;
    service.advance(3);
    gate.release();
    let scrape = service.warm("shop").await;
    let of = [("kind", "jsapi_ticket"), ("result", "refreshed")];
    assert_eq!(
        scrape.value("wx_jssdk_refresh_duration_seconds_sum", &of),
        Some(3.0)
    );
    let below = |bound| {
        scrape.value(
            "wx_jssdk_refresh_duration_seconds_bucket",
            &[of[0], of[1], ("le", bound)],
        )
    };
    assert_eq!(
        (below("2.0"), below("5.0"), below("+Inf")),
        (Some(0.0), Some(1.0), Some(1.0))
    );
    let quick = [
        ("kind", "access_token"),
        ("result", "refreshed"),
        ("le", "0.05"),
    ];
    assert_eq!(
        scrape.value("wx_jssdk_refresh_duration_seconds_bucket", &quick),
        Some(1.0),
        "no time passed for the token"
    );
    service.end().await;
}

#[tokio::test]
async fn foreign_refreshes_stale_refusals_and_limited_reports_are_distinct() {
    let text = accounts(["shop"]).replace("secret", "token_mode = \"classic\"\nsecret");
    let service = Service::start("", &text, |sandbox| sandbox.add_app(app("shop"))).await;
    let counts = |scrape: &Scrape| {
        [
            scrape.value("wx_jssdk_foreign_refreshes_total", &TOKEN_OF_SHOP[..1]),
            Some(
                scrape
                    .all("wx_jssdk_stale_refusals_total", &[])
                    .map(|(_, count)| count)
                    .sum(),
            ),
            scrape.value("wx_jssdk_rate_limited_rejects_total", &TOKEN_OF_SHOP),
            scrape.value("wx_jssdk_lost_replies_total", &TOKEN_OF_SHOP[..1]),
        ]
        .map(Option::unwrap)
    };
    assert_eq!(
        counts(&service.warm("shop").await),
        [0.0; 4],
        "they are there before they count"
    );
    // Another server fetches tokens until this one's is dead; the next ticket call detects it.
    service
        .sandbox
        .foreign_refresh(&app_id("shop"), Mode::Classic);
    service
        .sandbox
        .foreign_refresh(&app_id("shop"), Mode::Classic);
    service.advance(400);
    service
        .broker
        .credential("shop", Kind::CardTicket)
        .await
        .unwrap();
    assert_eq!(counts(&service.scrape().await), [1.0, 1.0, 0.0, 0.0]);
    let token = service
        .broker
        .credential("shop", Kind::AccessToken)
        .await
        .unwrap();
    assert!(
        service
            .broker
            .reject("shop", Kind::AccessToken, &token.value)
            .await
            .is_err(),
        "too soon after that refresh"
    );
    assert_eq!(counts(&service.scrape().await), [1.0, 1.0, 1.0, 0.0]);
    service.advance(60);
    service.once(CLASSIC, FaultKind::LostReply);
    assert!(
        service
            .broker
            .reject("shop", Kind::AccessToken, &token.value)
            .await
            .is_err()
    );
    // Without an answer it is not known whether the report was right.
    assert_eq!(counts(&service.scrape().await), [1.0, 1.0, 1.0, 1.0]);
    service.end().await;
}

#[tokio::test]
async fn calls_are_counted_by_endpoint_until_midnight_in_shanghai() {
    let service = Service::with(&["shop"]).await;
    let calls = |scrape: &Scrape, endpoint| {
        scrape.value(
            "wx_jssdk_upstream_calls_today",
            &[("account", "shop"), ("endpoint", endpoint)],
        )
    };
    let scrape = service.warm("shop").await;
    assert_eq!(
        (calls(&scrape, TOKEN), calls(&scrape, TICKET)),
        (Some(1.0), Some(1.0))
    );
    // The card ticket comes from the same endpoint.
    service
        .broker
        .credential("shop", Kind::CardTicket)
        .await
        .unwrap();
    assert_eq!(calls(&service.scrape().await, TICKET), Some(2.0));
    service.sandbox.fault(wx_jssdk::sandbox::Fault::always(
        TOKEN,
        FaultKind::Status(502),
    ));
    service.advance(16 * 3_600);
    let next_day = |scrape: &Scrape| calls(scrape, TICKET) == Some(0.0);
    service
        .until("no call to the ticket's endpoint on the new day", next_day)
        .await;
    service.end().await;
}

/// A broker without a background keeper.
async fn broker(store: Store, clock: &Clock) -> (Broker, Sandbox) {
    let sandbox = Sandbox::start(clock.clone()).await.unwrap();
    sandbox.add_app(app("shop"));
    let upstream = UpstreamOptions::at(sandbox.url());
    let account = Account::official(app_id("shop"), SECRET).token_mode(TokenMode::Stable);
    let broker = Broker::builder()
        .account("shop", account)
        .store(store)
        .clock(clock.clone())
        .upstream(upstream)
        .build()
        .unwrap();
    (broker, sandbox)
}

fn keeper_idle(broker: &Broker) -> Option<std::time::Duration> {
    broker.snapshot(&Find::default()).stats.keeper_idle
}

#[tokio::test]
async fn the_keepers_last_step_has_an_age() {
    let clock = Clock::manual(START);
    let (broker, _sandbox) = broker(Store::memory(), &clock).await;
    assert_eq!(keeper_idle(&broker), None, "before its first step");
    broker.tend().await;
    clock.advance(std::time::Duration::from_secs(30));
    assert_eq!(
        keeper_idle(&broker),
        Some(std::time::Duration::from_secs(30))
    );
    broker.tend().await;
    assert_eq!(keeper_idle(&broker), Some(std::time::Duration::ZERO));
}

#[tokio::test]
async fn a_clock_jump_is_counted() {
    let service = Service::with(&["shop"]).await;
    service.warm("shop").await;
    assert_eq!(
        service
            .scrape()
            .await
            .value("wx_jssdk_clock_jumps_total", &[]),
        Some(0.0)
    );
    assert!(service.clock.set_wrong(3_600));
    service
        .until("a jump", |scrape| {
            scrape.value("wx_jssdk_clock_jumps_total", &[]) == Some(1.0)
        })
        .await;
    service.end().await;
}

#[tokio::test]
async fn store_failures_are_counted_by_operation() {
    let clock = Clock::manual(START);
    // No server listens there.
    let (broker, _sandbox) = broker(Store::redis("redis://127.0.0.1:1/0").unwrap(), &clock).await;
    broker.credential("shop", Kind::JsapiTicket).await.unwrap();
    let store = broker.snapshot(&Find::all()).stats.store;
    let of = |name: &str| {
        store
            .iter()
            .find(|(known, ..)| *known == name)
            .map(|(_, asked, failed)| (*asked, *failed))
            .unwrap()
    };
    for operation in ["load", "save", "lease", "count", "block"] {
        let (asked, failed) = of(operation);
        assert!(asked > 0 && asked == failed, "{operation}: {store:?}");
    }
    assert_eq!(of("claim"), (0, 0), "no value was rejected");
    let (fine, _sandbox) = self::broker(Store::memory(), &clock).await;
    fine.credential("shop", Kind::JsapiTicket).await.unwrap();
    assert!(
        fine.snapshot(&Find::all())
            .stats
            .store
            .iter()
            .all(|(_, _, failed)| *failed == 0)
    );
}

#[tokio::test]
async fn a_value_from_the_store_is_not_a_call_and_keeps_its_own_date() {
    let (clock, store) = (Clock::manual(START), Store::memory());
    let (first, sandbox) = broker(store.clone(), &clock).await;
    first.credential("shop", Kind::JsapiTicket).await.unwrap();
    clock.advance(std::time::Duration::from_secs(600));
    let upstream = UpstreamOptions::at(sandbox.url());
    let account = Account::official(app_id("shop"), SECRET);
    let account = account.js_safe_domain("example.com").unwrap();
    let again = Broker::builder()
        .account("shop", account)
        .store(store)
        .clock(clock)
        .upstream(upstream)
        .build()
        .unwrap();
    again.tend().await;
    let figures = again.snapshot(&Find::all());
    for credential in &figures.accounts[0].credentials {
        assert_eq!(credential.last_success, Some(START), "{credential:?}");
        let outcomes: Vec<_> = credential
            .outcomes
            .iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(outcomes, [&("from_store", 1)]);
    }
    assert_eq!(
        figures.accounts[0]
            .calls_today()
            .iter()
            .map(|(_, count)| *count)
            .collect::<Vec<_>>(),
        [1, 1],
        "the first one's"
    );
}

#[tokio::test]
async fn a_token_that_wechat_revoked_is_replaced_and_counted_once() {
    let service = Service::with(&["shop"]).await;
    service.warm("shop").await;
    let dead = service
        .broker
        .credential("shop", Kind::AccessToken)
        .await
        .unwrap();
    service.sandbox.revoke(&app_id("shop"), Revoke::Token);
    for _ in 0..20 {
        service
            .broker
            .reject("shop", Kind::AccessToken, &dead.value)
            .await
            .unwrap();
    }
    let scrape = service.scrape().await;
    assert_eq!(
        scrape.value(
            "wx_jssdk_refreshes_total",
            &[TOKEN_OF_SHOP[0], TOKEN_OF_SHOP[1], ("outcome", "refreshed")]
        ),
        Some(2.0)
    );
    assert_eq!(
        scrape.value("wx_jssdk_foreign_refreshes_total", &TOKEN_OF_SHOP[..1]),
        Some(1.0)
    );
    service.end().await;
}

#[tokio::test]
async fn the_next_try_of_the_overview_is_that_of_an_account_that_is_down() {
    let service = Service::start("", &accounts(["bad", "good"]), |sandbox| {
        sandbox.add_app(app("bad").allow_ips(["192.0.2.1"]));
        sandbox.add_app(app("good"));
    })
    .await;
    service.warm("good").await;
    let bad_down =
        |scrape: &Scrape| scrape.value("wx_jssdk_accounts", &[("state", "down")]) == Some(1.0);
    service.until("one is down", bad_down).await;
    service.once(TOKEN, FaultKind::Errcode(-1));
    let refused = service.broker.refresh_now("good", Kind::AccessToken).await;
    refused.expect_err("WeChat is busy");
    let overview = Find {
        incident_accounts: 1,
        ..Find::default()
    };
    let overview = service.broker.snapshot(&overview).overview;
    assert_eq!(overview.incidents.len(), 1, "the other one is served");
    let retry_at = overview.incidents[0].error.retry_at;
    assert_eq!(overview.next_try, Some(retry_at));
    service.end().await;
}
