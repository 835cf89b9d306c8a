//! One fault that affects many accounts: the log stays readable and shows every new cause.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use wx_jssdk::account::Account;
use wx_jssdk::broker::Broker;
use wx_jssdk::sandbox::{App, Fault, FaultKind, Sandbox};
use wx_jssdk::store::Store;
use wx_jssdk::{Clock, Kind, UpstreamOptions};

use crate::operations::world::*;

const MANY: usize = 400;

/// A broker with many accounts, whose keeper steps the test runs.
struct Crowd {
    sandbox: Sandbox,
    clock: Clock,
    broker: Broker,
    log: Log,
    _listening: tracing::subscriber::DefaultGuard,
}

fn name(n: usize) -> String {
    format!("a{n:03}")
}

impl Crowd {
    async fn new(store: Store) -> Self {
        let clock = Clock::manual(START);
        let sandbox = Sandbox::start(clock.clone()).await.unwrap();
        let upstream = UpstreamOptions::at(sandbox.url());
        let mut builder = Broker::builder()
            .clock(clock.clone())
            .store(store)
            .upstream(upstream);
        for n in 0..MANY {
            sandbox.add_app(app(&name(n)));
            builder = builder.account(name(n), Account::official(app_id(&name(n)), SECRET));
        }
        let log = Log::default();
        let _listening = log.listen();
        Self {
            broker: builder.build().unwrap(),
            sandbox,
            clock,
            log,
            _listening,
        }
    }

    fn advance(&self, seconds: u64) {
        assert!(self.clock.advance(Duration::from_secs(seconds)));
    }

    /// Runs keeper steps until every account was tried.
    async fn tend(&self) {
        while !self.broker.tend().await.is_empty() {}
    }

    /// The summaries so far: the number of accounts in each.
    fn summaries(&self) -> Vec<u64> {
        self.log
            .about("more accounts")
            .iter()
            .map(|line| line["accounts"].as_u64().unwrap())
            .collect()
    }
}

fn named(lines: &[Value]) -> HashSet<String> {
    lines
        .iter()
        .map(|line| line["account"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn with_wechat_down_ten_accounts_are_logged_and_one_line_a_minute_counts_the_others() {
    let crowd = Crowd::new(Store::memory()).await;
    crowd
        .sandbox
        .fault(Fault::always(TOKEN, FaultKind::Status(502)));
    for minute in 1..=5 {
        crowd.tend().await;
        crowd.advance(61);
        crowd.broker.tend().await;
        assert_eq!(crowd.summaries().len(), minute, "{}", crowd.log.text());
    }
    let failures = crowd.log.about("refresh failed: ");
    assert_eq!(named(&failures).len(), 10, "{failures:?}");
    assert_eq!(crowd.summaries()[0], MANY as u64 - 10);
    let lines = crowd.log.lines().len();
    assert!(
        lines < 5 * MANY / 10,
        "{lines} lines in five minutes of {MANY} accounts"
    );
    let summary = &crowd.log.about("more accounts")[0];
    assert_eq!(
        summary["message"],
        format!("and {} more accounts: refresh failed", MANY - 10)
    );
    assert_eq!(
        (&summary["level"], &summary["class"], &summary["code"]),
        (&json!("ERROR"), &json!("transient"), &json!("unusable")),
        "nothing was ever served"
    );
    assert_eq!(summary["endpoint"], TOKEN);
    assert!(
        summary["examples"]
            .as_str()
            .is_some_and(|names| names.split(", ").count() == 3),
        "{summary}"
    );
}

#[tokio::test]
async fn a_new_cause_is_logged_in_full_during_an_outage() {
    let crowd = Crowd::new(Store::memory()).await;
    crowd
        .sandbox
        .fault(Fault::always(TOKEN, FaultKind::Status(502)));
    crowd.tend().await;
    crowd.log.clear();
    // WeChat has recovered, and no longer knows one account's secret.
    crowd.sandbox.clear_faults();
    crowd.sandbox.add_app(App::official(
        app_id(&name(333)),
        "ffffffffffffffffffffffffffffffff",
    ));
    crowd.advance(100);
    crowd.tend().await;
    let failures = crowd.log.about("refresh failed: ");
    assert_eq!(
        (named(&failures), &failures[0]["level"]),
        (HashSet::from([name(333)]), &json!("ERROR")),
        "{failures:?}"
    );
    assert!(
        failures[0]["message"].as_str().unwrap().contains("40125"),
        "{failures:?}"
    );
}

#[tokio::test]
async fn an_old_cause_is_logged_in_full_after_the_other_accounts_recovered() {
    let crowd = Crowd::new(Store::memory()).await;
    let refuse = |n| {
        crowd
            .sandbox
            .add_app(app(&name(n)).allow_ips(["203.0.113.9"]))
    };
    (0..20).for_each(refuse);
    crowd.tend().await;
    assert_eq!(named(&crowd.log.about("refresh failed: ")).len(), 10);
    (0..20).for_each(|n| crowd.sandbox.add_app(app(&name(n)).any_ip()));
    crowd.advance(400);
    crowd.tend().await;
    crowd.log.clear();
    refuse(200);
    crowd.advance(6_700);
    crowd.tend().await;
    assert_eq!(
        named(&crowd.log.about("refresh failed: ")),
        HashSet::from([name(200)]),
        "{}",
        crowd.log.text()
    );
}

#[tokio::test]
async fn a_summary_of_setup_failures_is_an_error_with_the_fix() {
    let crowd = Crowd::new(Store::memory()).await;
    (0..MANY).for_each(|n| {
        crowd
            .sandbox
            .add_app(app(&name(n)).allow_ips(["203.0.113.9"]))
    });
    crowd.tend().await;
    crowd.advance(61);
    crowd.broker.tend().await;
    let summary = &crowd.log.about("more accounts")[0];
    assert_eq!(
        (&summary["level"], &summary["code"]),
        (&json!("ERROR"), &json!("40164"))
    );
    assert!(
        summary["fix"]
            .as_str()
            .unwrap()
            .contains("The IP to allow: 127.0.0.1"),
        "{summary}"
    );
}

#[tokio::test]
async fn while_the_store_is_down_the_log_stays_readable_too() {
    // No server listens there.
    let crowd = Crowd::new(Store::redis("redis://127.0.0.1:1/0").unwrap()).await;
    crowd.tend().await;
    crowd.advance(61);
    crowd.broker.tend().await;
    for n in 0..MANY {
        assert!(
            crowd
                .broker
                .credential(&name(n), Kind::AccessToken)
                .await
                .is_ok(),
            "served from memory"
        );
    }
    for what in [
        "store could not be read",
        "refreshing without the store",
        "credential could not be stored: kept in memory",
    ] {
        let lines: Vec<_> = crowd
            .log
            .about(what)
            .into_iter()
            .filter(|line| line["account"].is_string())
            .collect();
        assert_eq!(named(&lines).len(), 10, "{what}");
        assert_eq!(
            crowd.log.about(&format!("more accounts: {what}")).len(),
            1,
            "{what}"
        );
    }
    let refreshed = crowd.log.about("refreshed").len();
    assert!(
        refreshed >= MANY,
        "each refresh still has its own line: {refreshed}"
    );
}
