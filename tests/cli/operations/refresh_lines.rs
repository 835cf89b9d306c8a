//! One log line for each refresh, with the fields that an operator needs, at the right level.

use serde_json::{Value, json};
use wx_jssdk::Kind;
use wx_jssdk::sandbox::{Fault, FaultKind};

use crate::common::wait::called;
use crate::operations::world::*;

fn number(line: &Value, field: &str) -> u64 {
    line[field]
        .as_u64()
        .unwrap_or_else(|| panic!("no {field}: {line}"))
}

#[tokio::test]
async fn a_successful_refresh_is_one_line_at_info() {
    let service = Service::start("", &accounts(["shop"]), |sandbox| {
        sandbox.add_app(app("shop"))
    })
    .await;
    let gate = service.sandbox.hold(TICKET);
    called(&service.sandbox, TICKET, 1).await;
    service.advance(2);
    gate.release();
    service.warm("shop").await;
    let lines = service.log.about("refreshed");
    assert_eq!(lines.len(), 2, "{}", service.log.text());
    for (line, kind, took) in [
        (&lines[0], "access_token", 0),
        (&lines[1], "jsapi_ticket", 2_000),
    ] {
        assert_eq!(
            (&line["level"], &line["account"], &line["kind"]),
            (&json!("INFO"), &json!("shop"), &json!(kind))
        );
        assert_eq!(
            (&line["outcome"], &line["reason"]),
            (&json!("refreshed"), &json!("missing"))
        );
        assert_eq!(number(line, "took_ms"), took);
        assert_eq!(number(line, "expires_in"), 7_200 - took / 1_000);
        let next = number(line, "next_in");
        assert!((7_200 - 240 - 2..=7_200 - 180).contains(&next), "{line}");
        assert_eq!(number(line, "generation"), START.0 * 1_000);
    }
    service.end().await;
}

#[tokio::test]
async fn a_failed_refresh_is_one_line_with_cause_and_fix_at_its_class_level() {
    for (fault, level, outcome) in [
        (FaultKind::Errcode(-1), "WARN", "transient"),
        (FaultKind::Errcode(45_009), "WARN", "quota"),
        (FaultKind::Errcode(40_125), "ERROR", "setup"),
    ] {
        let service = Service::start("", &accounts(["shop"]), |sandbox| {
            sandbox.add_app(app("shop"))
        })
        .await;
        service.warm("shop").await;
        service.log.clear();
        service.sandbox.fault(Fault::once(TOKEN, fault));
        service.advance(7_030);
        service
            .until("a failure", |scrape| {
                scrape
                    .all("wx_jssdk_upstream_failures_total", &[])
                    .next()
                    .is_some()
            })
            .await;
        let lines = service.log.about("refresh failed");
        let [line] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert_eq!(
            (&line["level"], &line["outcome"], &line["account"]),
            (&json!(level), &json!(outcome), &json!("shop"))
        );
        assert_eq!(
            (&line["kind"], &line["reason"]),
            (&json!("access_token"), &json!("due"))
        );
        assert_eq!(
            number(line, "served_for"),
            7_200 - 7_030 - 5,
            "until then no client is affected"
        );
        assert!(number(line, "retry_in") >= 1);
        assert_eq!(
            number(line, "took_ms"),
            0,
            "from its own start, and not from the process's"
        );
        for field in ["cause", "fix"] {
            assert!(
                line[field]
                    .as_str()
                    .is_some_and(|sentence| sentence.len() > 10),
                "{line}"
            );
        }
        service.end().await;
    }
}

#[tokio::test]
async fn an_exhausted_quota_is_an_error_once_nothing_is_served_any_more() {
    let service = Service::with(&["shop"]).await;
    service.warm("shop").await;
    service.log.clear();
    service.always(TOKEN, FaultKind::Errcode(45_009));
    service.always(TICKET, FaultKind::Errcode(45_009));
    service.advance(7_030);
    let failed = |scrape: &Scrape| scrape.all("wx_jssdk_upstream_failures_total", &[]).count() >= 2;
    service.until("both fail", failed).await;
    for line in service.log.about("refresh failed") {
        assert_eq!(line["level"], "WARN", "pages are signed: {line}");
    }
    assert!(service.log.about("no longer served").is_empty());
    // The next attempt is an hour away: the expiry is logged when it happens, once for each credential.
    service.advance(200);
    let down =
        |scrape: &Scrape| scrape.value("wx_jssdk_accounts", &[("state", "down")]) == Some(1.0);
    service.until("the account is down", down).await;
    service.advance(10);
    let logged = |_: &Scrape| service.log.about("no longer served").len() >= 2;
    service.until("both are logged", logged).await;
    let lines = service.log.about("no longer served");
    let mut kinds: Vec<_> = lines.iter().map(|line| line["kind"].clone()).collect();
    kinds.sort_by_key(Value::to_string);
    assert_eq!(kinds, [json!("access_token"), json!("jsapi_ticket")]);
    for line in &lines {
        assert_eq!(
            (&line["level"], &line["account"]),
            (&json!("ERROR"), &json!("shop"))
        );
        assert!(number(line, "retry_in") > 3_000, "{line}");
        assert!(
            !line["fix"].as_str().unwrap().contains("token_mode"),
            "{line}"
        );
    }
    // From then on each failed attempt is an error.
    service.log.clear();
    service.advance(3_600);
    let tried = |scrape: &Scrape| {
        scrape
            .all("wx_jssdk_upstream_failures_total", &[])
            .map(|(_, count)| count)
            .sum::<f64>()
            >= 3.0
    };
    service.until("it is tried again", tried).await;
    let lines = service.log.about("refresh failed");
    assert!(
        lines.iter().all(|line| line["level"] == "ERROR"),
        "{lines:?}"
    );
    assert!(!lines.is_empty());
    service.end().await;
}

#[tokio::test]
async fn a_value_fetched_by_another_process_is_logged_as_such() {
    let (clock, store) = (wx_jssdk::Clock::manual(START), wx_jssdk::Store::memory());
    let sandbox = wx_jssdk::sandbox::Sandbox::start(clock.clone())
        .await
        .unwrap();
    sandbox.add_app(app("shop"));
    let broker = || {
        let upstream = wx_jssdk::UpstreamOptions::at(sandbox.url());
        let account = wx_jssdk::Account::official(app_id("shop"), SECRET);
        wx_jssdk::Broker::builder()
            .account("shop", account)
            .store(store.clone())
            .clock(clock.clone())
            .upstream(upstream)
            .build()
            .unwrap()
    };
    broker()
        .credential("shop", Kind::AccessToken)
        .await
        .unwrap();
    let log = Log::default();
    let _listening = log.listen();
    broker()
        .credential("shop", Kind::AccessToken)
        .await
        .unwrap();
    let lines = log.about("refreshed from the store");
    assert_eq!(
        (lines.len(), &lines[0]["outcome"], &lines[0]["level"]),
        (1, &json!("from_store"), &json!("INFO"))
    );
}
