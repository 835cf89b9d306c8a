//! `GET /metrics` as an HTTP endpoint: access, format, and process metrics.

use wx_jssdk::sandbox::FaultKind;
use wx_jssdk::server::config::{Problem, Problems};

use crate::operations::world::*;

const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What Prometheus 2.42 sends.
const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

async fn ask(url: &str, accept: Option<&str>) -> (u16, String, String) {
    let request = client().get(url);
    let request = accept
        .into_iter()
        .fold(request, |request, accept| request.header("Accept", accept));
    let answer = request.send().await.unwrap();
    let header = |name| {
        answer
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    let (status, kind) = (answer.status().as_u16(), header("content-type"));
    assert!(status != 200 || header("cache-control") == "no-store");
    (status, kind, answer.text().await.unwrap())
}

#[tokio::test]
async fn prometheus_gets_openmetrics_and_other_clients_the_older_text() {
    let service = Service::with(&["shop"]).await;
    service.warm("shop").await;
    let url = format!("{}/metrics", service.admin);
    let (status, kind, open) = ask(&url, Some(PROMETHEUS)).await;
    assert_eq!((status, kind.as_str()), (200, OPEN));
    assert!(
        open.ends_with("\n# EOF\n") && open.contains("# TYPE wx_jssdk_refreshes counter\n"),
        "{open}"
    );
    for accept in [None, Some("text/plain;version=0.0.4"), Some("*/*")] {
        let (status, kind, plain) = ask(&url, accept).await;
        assert_eq!(
            (status, kind.as_str()),
            (200, "text/plain; version=0.0.4; charset=utf-8"),
            "{accept:?}"
        );
        assert!(
            !plain.contains("# EOF") && plain.contains("# TYPE wx_jssdk_refreshes_total counter\n"),
            "{plain}"
        );
    }
    service.end().await;
}

#[tokio::test]
async fn metrics_are_on_the_admin_listener_only_and_need_no_key() {
    let service = Service::with(&["shop"]).await;
    assert_eq!(
        ask(&format!("{}/metrics", service.public), None).await.0,
        404
    );
    assert_eq!(
        ask(&format!("{}/metrics", service.admin), None).await.0,
        200
    );
    assert_eq!(
        client()
            .post(format!("{}/metrics", service.admin))
            .send()
            .await
            .unwrap()
            .status(),
        405
    );
    service.end().await;
}

#[tokio::test]
async fn every_metric_is_described_once_and_its_samples_are_contiguous() {
    let service = Service::with(&["shop", "blog"]).await;
    service.always(TICKET, FaultKind::Errcode(-1));
    let scrape = service
        .until("a failure", |scrape| {
            scrape
                .all("wx_jssdk_credential_failing_seconds", &[])
                .next()
                .is_some()
        })
        .await;
    let described: Vec<_> = scrape
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP "))
        .collect();
    let mut names: Vec<_> = described
        .iter()
        .map(|line| line.split_once(' ').unwrap().0)
        .collect();
    let help_ends = |line: &&str| line.ends_with('.');
    assert!(
        !described.iter().any(help_ends),
        "no full stops in help texts"
    );
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "twice: {:?}", scrape.text);
    let mut current = "";
    for line in scrape.text.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(description) => current = description.split_once(' ').unwrap().0,
            None if line.starts_with('#') => {}
            None => assert!(
                line.starts_with(current),
                "{line} is listed below {current}"
            ),
        }
    }
    service.end().await;
}

#[tokio::test]
async fn the_process_reports_its_version_and_start_time() {
    let service = Service::with(&["shop"]).await;
    service.advance(100);
    let scrape = service.scrape().await;
    let (labels, value) = scrape.all("wx_jssdk_build_info", &[]).next().unwrap();
    assert_eq!(
        (labels["version"].as_str(), value),
        (env!("CARGO_PKG_VERSION"), 1.0)
    );
    assert!(labels.contains_key("commit"));
    assert_eq!(
        scrape.value("process_start_time_seconds", &[]),
        Some(START.0 as f64)
    );
    if cfg!(target_os = "linux") {
        assert!(
            scrape.value("process_resident_memory_bytes", &[]) > Some(1e6),
            "{scrape:?}"
        );
        let (open, most) = (
            scrape.value("process_open_fds", &[]),
            scrape.value("process_max_fds", &[]),
        );
        assert!(
            open > Some(3.0) && most.is_none_or(|most| open < Some(most)),
            "{open:?} of {most:?}"
        );
    }
    service.end().await;
}

#[tokio::test]
async fn reloads_are_counted_by_result_and_dated() {
    let service = Service::with(&["shop"]).await;
    let read = |scrape: &Scrape| {
        let reloads = |result| {
            scrape
                .value("wx_jssdk_reloads_total", &[("result", result)])
                .unwrap()
        };
        let applied_at = scrape
            .value("wx_jssdk_config_last_applied_timestamp_seconds", &[])
            .unwrap();
        (
            reloads("applied"),
            reloads("refused"),
            scrape.value("wx_jssdk_config_generation", &[]).unwrap(),
            applied_at - START.0 as f64,
        )
    };
    assert_eq!(read(&service.scrape().await), (0.0, 0.0, 1.0, 0.0));
    service.advance(50);
    let mut both = service.settings(&accounts(["shop", "blog"]));
    both.server.default_account = Some("shop".into());
    service.reloader.reload(both).unwrap();
    assert_eq!(read(&service.scrape().await), (1.0, 0.0, 2.0, 50.0));
    service.advance(50);
    let what = wx_jssdk::error::Text::new("is wrong", "有误");
    service.reloader.refuse(&Problems(vec![Problem {
        path: "accounts.x".into(),
        what,
    }]));
    let mut twice = service.settings(&accounts(["shop"]));
    twice
        .accounts
        .push(("again".into(), twice.accounts[0].1.clone()));
    assert!(
        service.reloader.reload(twice).is_err(),
        "the same app under two names"
    );
    assert_eq!(
        read(&service.scrape().await),
        (1.0, 2.0, 2.0, 50.0),
        "the previous configuration is in use"
    );
    service.end().await;
}

#[tokio::test]
async fn an_account_that_is_removed_leaves_no_series_behind() {
    let service = Service::with(&["shop", "blog"]).await;
    service.warm("blog").await;
    service
        .reloader
        .reload(service.settings(&accounts(["shop"])))
        .unwrap();
    let scrape = service.scrape().await;
    assert!(
        scrape.text.contains("account=\"shop\"") && !scrape.text.contains("account=\"blog\""),
        "{}",
        scrape.text
    );
    service.end().await;
}

#[tokio::test]
async fn metrics_name_no_account_that_a_client_made_up() {
    let service = Service::with(&["shop"]).await;
    for n in 0..50 {
        assert_eq!(service.sign(&format!("made-up-{n}")).await, 404);
        get(&format!("{}/made/up/{n}", service.public)).await;
    }
    let scrape = service.scrape().await;
    assert!(
        !scrape.text.contains("made-up") && !scrape.text.contains("made/up"),
        "{}",
        scrape.text
    );
    service.end().await;
}
