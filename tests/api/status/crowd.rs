//! Ten thousand accounts: failing ones first, paginated, with answers that are neither too large nor too slow.

#![allow(clippy::print_stdout)] // what was measured

use std::fmt::Write as _;
use std::time::Duration;

use wx_jssdk::sandbox::Fault;
use wx_jssdk::{Broker, Clock, Kind, Store, UpstreamOptions};

use crate::app::{Answer, SECRET, TestApp, request, spawn};
use crate::common::wait::until_ok;
use crate::status::world::{TOKEN, not_allowed};

const ACCOUNTS: usize = 10_000;

async fn get(app: &TestApp, target: &str) -> Answer {
    app.send_admin(&request("GET", target, &[("Host", "127.0.0.1")]))
        .await
}

/// Ten thousand accounts whose address WeChat refuses: the first sixteen refreshes fail, the others wait for their turn.
async fn crowd() -> TestApp {
    let mut config = String::from("[account_defaults]\njs_safe_domains = [\"example.com\"]\n");
    for n in 0..ACCOUNTS {
        let _ = write!(
            config,
            "[accounts.shop-{n:05}]\napp_id = \"wx{n:016x}\"\nsecret = \"{SECRET}\"\n"
        );
    }
    spawn(&config, |sandbox| {
        sandbox.fault(Fault::always(TOKEN, not_allowed()))
    })
    .await
}

#[tokio::test]
async fn ten_thousand_accounts_are_paginated_with_failing_ones_first() {
    let app = crowd().await;
    until_ok("forty accounts are down", async || {
        let status = get(&app, "/status.json?part=summary").await.ok();
        let down = status["summary"]["down"].as_u64().unwrap();
        if down >= 40 { Ok(()) } else { Err(status) }
    })
    .await;
    app.sandbox.clear_faults();
    let clock = Clock::system();
    let answer = get(&app, "/status.json?limit=200").await;
    let took = clock.uptime();
    let status = answer.ok();
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert!(answer.text.len() < 700_000, "{} bytes", answer.text.len());
    println!(
        "ten thousand accounts: 200 of them in {took:?} and {} bytes",
        answer.text.len()
    );
    assert_eq!(status["summary"]["accounts"], ACCOUNTS);
    assert_eq!(
        (status["matching"].as_u64(), status["limit"].as_u64()),
        (Some(10_000), Some(200))
    );
    let accounts = status["accounts"].as_array().unwrap();
    assert_eq!(accounts.len(), 200);
    let rank = |state: &str| {
        ["down", "degraded", "starting", "ok"]
            .iter()
            .position(|one| *one == state)
            .unwrap()
    };
    let keys: Vec<_> = accounts
        .iter()
        .map(|one| {
            (
                rank(one["state"].as_str().unwrap()),
                one["account"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    assert!(keys.is_sorted(), "the worst first, then by name");
    assert_eq!(keys[0].0, 0, "some accounts are down: {:?}", keys[0]);
    let page = get(&app, "/status").await;
    let rows = page.text.matches("<details id=\"account-").count();
    // After the fault is cleared, apps that are unknown to the sandbox fail for another cause.
    assert!(
        (24..=36).contains(&rows),
        "{rows}: at most twelve of each cause, and twelve others"
    );
    assert!(page.text.len() < 200_000, "{} bytes", page.text.len());
    assert!(page.text.contains("status?limit=60"), "show more");
    let chinese = get(&app, "/status?lang=zh").await;
    assert!(
        chinese.text.contains(" 个账号的页面无法签名"),
        "no stray blank"
    );
    let longer = get(&app, "/status?limit=60").await;
    assert!(longer.text.len() < 500_000, "{} bytes", longer.text.len());
    assert!(longer.text.contains("offset=60"), "the next page");
    app.stop().await;
}

/// The same without a keeper: no credential has been requested yet.
#[tokio::test]
async fn every_account_is_on_exactly_one_page_and_is_found_by_name_and_by_app() {
    let upstream = UpstreamOptions::at("http://127.0.0.1:9");
    let mut builder = Broker::builder().store(Store::memory()).upstream(upstream);
    for n in 0..ACCOUNTS {
        let account = wx_jssdk::Account::official(format!("wx{n:016x}"), SECRET);
        let account = account.js_safe_domain("example.com").unwrap();
        builder = builder.account(format!("shop-{n:05}"), account);
    }
    let broker = builder.build().unwrap();
    let find = |offset, limit| wx_jssdk::broker::Find {
        offset,
        limit,
        ..Default::default()
    };
    let mut names = Vec::new();
    for page in 0..=10 {
        let snapshot = broker.snapshot(&find(page * 1_000, 1_000));
        assert_eq!(
            (snapshot.matching, snapshot.counts.starting),
            (ACCOUNTS, ACCOUNTS)
        );
        names.extend(snapshot.accounts.into_iter().map(|account| account.name));
    }
    assert!(
        names.len() == ACCOUNTS
            && names.is_sorted()
            && names.windows(2).all(|pair| pair[0] != pair[1])
    );
    assert!(
        broker
            .snapshot(&find(usize::MAX, usize::MAX))
            .accounts
            .is_empty(),
        "beyond the end there is nothing"
    );
    let text = |text: &str| wx_jssdk::broker::Find {
        text: text.into(),
        limit: 50,
        ..Default::default()
    };
    assert_eq!(broker.snapshot(&text("SHOP-0042")).matching, 10);
    assert_eq!(
        broker.snapshot(&text("wx0000000000000abc")).accounts[0].name,
        "shop-02748"
    );
    assert_eq!(broker.snapshot(&text("nobody")).matching, 0);
    let exactly = wx_jssdk::broker::Find {
        account: Some("shop-00042".into()),
        limit: 50,
        ..Default::default()
    };
    let snapshot = broker.snapshot(&exactly);
    assert_eq!((snapshot.matching, snapshot.counts.accounts), (1, ACCOUNTS));
    assert_eq!(
        snapshot.accounts[0].credentials.len(),
        2,
        "a kind that was never requested is not shown"
    );
    assert!(
        broker
            .credential("shop-00042", Kind::CardTicket)
            .await
            .is_err()
    );
    assert_eq!(
        broker.snapshot(&exactly).accounts[0].credentials.len(),
        2,
        "nor is a kind that was requested and never fetched"
    );
    let clock = Clock::system();
    let _ = broker.snapshot(&find(0, 20));
    println!(
        "a snapshot of ten thousand accounts for a page of 20: {:?}",
        clock.uptime()
    );
}
