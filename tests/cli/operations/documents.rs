//! Documentation and code agree: metrics and alerts.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::operations::world::*;

pub(crate) const DOCUMENTS: [&str; 2] = ["docs/OPERATIONS.md", "docs/zh/OPERATIONS.md"];

pub(crate) fn document(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Returns the first cells of a table's rows that are code.
fn first_cells(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(cell, _)| cell)
}

/// Every name with its type, as a scrape of the running service describes them.
pub(crate) async fn metrics() -> Vec<(String, String)> {
    let service = Service::with(&["shop"]).await;
    let scrape = service.scrape().await;
    let described = scrape
        .described()
        .into_iter()
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    service.end().await;
    described
}

#[tokio::test]
async fn every_metric_is_documented_in_both_languages_with_its_type_and_no_other() {
    let metrics = metrics().await;
    for path in DOCUMENTS {
        let text = document(path);
        let rows: BTreeSet<_> = first_cells(&text)
            .filter(|cell| cell.starts_with("wx_jssdk_") || cell.starts_with("process_"))
            .collect();
        let names: BTreeSet<_> = metrics.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names.difference(&rows).collect::<Vec<_>>(),
            Vec::<&&str>::new(),
            "missing in {path}"
        );
        assert_eq!(
            rows.difference(&names).collect::<Vec<_>>(),
            Vec::<&&str>::new(),
            "only in {path}"
        );
        for (name, kind) in &metrics {
            assert!(
                text.contains(&format!("| `{name}` | {kind} |")),
                "{path}: {name} is a {kind}"
            );
        }
    }
}

#[tokio::test]
async fn the_labels_that_samples_have_are_the_documented_ones() {
    let service = Service::with(&["shop"]).await;
    service.warm("shop").await;
    service.once(TOKEN, wx_jssdk::sandbox::FaultKind::Errcode(-1));
    service.advance(7_030);
    let failing = |scrape: &Scrape| {
        scrape
            .all("wx_jssdk_upstream_failures_total", &[])
            .next()
            .is_some()
    };
    let scrape = service.until("a failure", failing).await;
    for path in DOCUMENTS {
        let text = document(path);
        for (name, kind) in scrape.described() {
            let sample = if kind == "histogram" {
                format!("{name}_count")
            } else {
                name.to_owned()
            };
            let Some((labels, _)) = scrape.all(&sample, &[]).next() else {
                continue;
            };
            let row = text
                .lines()
                .find(|line| line.starts_with(&format!("| `{name}` |")))
                .unwrap();
            let cell = row.split('|').nth(3).unwrap();
            let documented: BTreeSet<_> = cell
                .split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect();
            assert_eq!(
                documented,
                labels.keys().cloned().collect(),
                "{path}: {row}"
            );
        }
    }
    service.end().await;
}
