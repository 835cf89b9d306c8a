//! The alert rules: their metrics exist, their texts are documented, and promtool accepts them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use wx_jssdk::Kind;
use wx_jssdk::sandbox::FaultKind;

use crate::operations::documents::{DOCUMENTS, document, metrics};
use crate::operations::world::*;

const RULES: &str = "examples/prometheus/alerts.yml";

/// Every word of the expressions that can be the name of a metric.
fn used(rules: &str) -> BTreeSet<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let expressions = rules
        .split("expr:")
        .skip(1)
        .map(|rest| rest.split("labels:").next().unwrap());
    let words = expressions.flat_map(|text| text.split(move |c| !is_word(c)));
    words
        .filter(|word| word.starts_with("wx_jssdk_") || word.starts_with("process_"))
        .collect()
}

fn names(rules: &str) -> Vec<&str> {
    rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect()
}

#[tokio::test]
async fn every_metric_that_an_alert_uses_exists() {
    let (rules, metrics) = (document(RULES), metrics().await);
    let used = used(&rules);
    assert!(used.len() >= 12, "{used:?}");
    for name in used {
        let base = name
            .trim_end_matches("_bucket")
            .trim_end_matches("_count")
            .trim_end_matches("_sum");
        let exists = metrics
            .iter()
            .any(|(known, kind)| known == name || (known == base && kind == "histogram"));
        assert!(exists, "{name} is in {RULES} and not at /metrics");
    }
}

#[test]
fn every_alert_says_what_to_do_under_its_name_in_both_languages() {
    let rules = document(RULES);
    let names = names(&rules);
    assert!(names.len() >= 12, "{names:?}");
    for path in DOCUMENTS {
        let text = document(path);
        let documented: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("### WxJssdk"))
            .collect();
        let expected: Vec<_> = names
            .iter()
            .map(|name| name.strip_prefix("WxJssdk").unwrap())
            .collect();
        assert_eq!(documented, expected, "{path}");
    }
}

/// The annotations of each alert, by name.
fn annotations(rules: &str, name: &str) -> Vec<String> {
    let lines = rules.lines().map(str::trim);
    let values = lines.filter_map(|line| line.strip_prefix(&format!("{name}: ")));
    values
        .map(|value| value.trim_matches('"').to_owned())
        .collect()
}

#[test]
fn every_alert_has_a_chinese_summary_and_the_place_of_its_runbook() {
    let rules = document(RULES);
    let names = names(&rules);
    let [english, chinese] = ["summary", "summary_zh"].map(|name| annotations(&rules, name));
    assert_eq!((english.len(), chinese.len()), (names.len(), names.len()));
    let values = |text: &str| {
        text.split("{{")
            .skip(1)
            .map(|it| it.split("}}").next().unwrap().to_owned())
            .collect::<BTreeSet<_>>()
    };
    for (english, chinese) in english.iter().zip(&chinese) {
        assert!(
            chinese
                .chars()
                .any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)),
            "{chinese}"
        );
        assert!(values(chinese).is_subset(&values(english)), "{chinese}");
    }
    let expected: Vec<_> = names
        .iter()
        .map(|name| format!("docs/OPERATIONS.md#{}", name.to_lowercase()))
        .collect();
    assert_eq!(annotations(&rules, "runbook_url"), expected);
}

#[test]
fn every_paging_alert_has_its_own_test_or_a_reason_for_having_none() {
    let (rules, tests) = (
        document(RULES),
        document("examples/prometheus/alerts.test.yml"),
    );
    // One comparison each, of a value that only a loaded machine has.
    const PLAIN: [&str; 3] = [
        "WxJssdkManyCalls",
        "WxJssdkRejectsRateLimited",
        "WxJssdkFilesRunOut",
    ];
    for name in names(&rules) {
        assert!(
            tests.contains(&format!("alertname: {name}")) || PLAIN.contains(&name),
            "{name} has no test"
        );
    }
}

/// Path of promtool: in the `PATH`, or where `make deps` puts it without write access there.
fn promtool(arguments: &[&str]) -> Command {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/promtool");
    let mut command = Command::new(if own.exists() {
        own
    } else {
        PathBuf::from("promtool")
    });
    command
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Returns its output if it succeeded.
async fn run_successfully(mut command: Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .spawn()
        .expect("promtool: run make deps");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .await
        .unwrap();
    let output = child.wait_with_output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

#[tokio::test]
#[ignore = "needs promtool: make test"]
async fn prometheus_loads_the_rules_and_they_fire_when_they_should() {
    let said = run_successfully(promtool(&["check", "rules", RULES]), "").await;
    assert!(
        said.contains(&format!("{} rules found", names(&document(RULES)).len())),
        "{said}"
    );
    run_successfully(
        promtool(&["test", "rules", "examples/prometheus/alerts.test.yml"]),
        "",
    )
    .await;
    run_successfully(
        promtool(&["check", "config", "examples/prometheus/prometheus.yml"]),
        "",
    )
    .await;
}

#[tokio::test]
#[ignore = "needs promtool: make test"]
async fn promtool_finds_no_fault_in_the_metrics_of_a_busy_service() {
    let service = Service::with(&["shop", "blog"]).await;
    service.warm("shop").await;
    service.warm("blog").await;
    assert_eq!(service.sign("shop").await, 200);
    service
        .broker
        .credential("shop", Kind::CardTicket)
        .await
        .unwrap();
    let token = service
        .broker
        .credential("shop", Kind::AccessToken)
        .await
        .unwrap();
    service
        .broker
        .reject("shop", Kind::AccessToken, &token.value)
        .await
        .unwrap();
    service.always(TOKEN, FaultKind::Errcode(40_164));
    service.advance(7_030);
    let scrape = service
        .until("a failure", |scrape| {
            scrape
                .all("wx_jssdk_credential_failing_seconds", &[])
                .count()
                > 0
        })
        .await;
    assert_eq!(
        run_successfully(promtool(&["check", "metrics"]), &scrape.text).await,
        "",
        "no remarks"
    );
    service.end().await;
}
