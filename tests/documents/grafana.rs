//! The Grafana dashboard uses existing metrics and labels, and imports unchanged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn panels() -> Vec<Value> {
    let text = file("examples/grafana/dashboard.json");
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    dashboard["panels"].as_array().unwrap().clone()
}

/// Each metric with its type and labels, from the tables that are tested against a scrape.
fn metrics() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let text = file("docs/OPERATIONS.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter(|row| row.starts_with("wx_jssdk_") || row.starts_with("process_"));
    rows.map(|row| {
        let cells: Vec<_> = row.split(" | ").collect();
        let labels = cells[2].split('`').skip(1).step_by(2).map(str::to_owned);
        let name = cells[0].trim_matches('`').to_owned();
        (name, (cells[1].to_owned(), labels.collect()))
    })
    .collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(move |c| !is_word(c))
        .filter(|word| !word.is_empty())
}

/// The labels that an expression names: in `{…}` and after `by`.
fn labels(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for matchers in expression.split('{').skip(1) {
        let matchers = matchers.split('}').next().unwrap();
        let names = matchers
            .split(',')
            .map(|one| one.split(['=', '!']).next().unwrap());
        found.extend(names.map(str::to_owned));
    }
    for group in expression.split(" by (").skip(1) {
        found.extend(words(group.split(')').next().unwrap()).map(str::to_owned));
    }
    found
}

#[test]
fn every_panel_queries_metrics_and_labels_that_exist() {
    let metrics = metrics();
    let mut shown = BTreeSet::new();
    for panel in panels() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            let names = words(expression);
            let names =
                names.filter(|word| word.starts_with("wx_jssdk_") || word.starts_with("process_"));
            for name in names.map(str::to_owned).collect::<BTreeSet<_>>() {
                let base = name.strip_suffix("_bucket").unwrap_or(&name);
                let (kind, known) = metrics
                    .get(base)
                    .unwrap_or_else(|| panic!("no {name}: {expression}"));
                assert_eq!(base != name, kind == "histogram", "{expression}");
                assert_eq!(name.ends_with("_total"), kind == "counter", "{expression}");
                let is_known = |label: &String| {
                    known.contains(label) || ["instance", "job", "le"].contains(&label.as_str())
                };
                let unknown: Vec<_> = labels(expression)
                    .into_iter()
                    .filter(|it| !is_known(it))
                    .collect();
                assert!(
                    unknown.is_empty(),
                    "{name} has no {unknown:?}: {expression}"
                );
                shown.insert(base.to_owned());
            }
        }
    }
    assert!(shown.len() > 25, "{shown:?}");
}

#[test]
fn the_dashboard_imports_unchanged_and_no_panels_overlap() {
    let text = file("examples/grafana/dashboard.json");
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    assert!(
        dashboard["id"].is_null(),
        "an id would replace an existing dashboard"
    );
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let variables: Vec<_> = variables
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(variables, ["datasource", "instance", "account"]);
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels() {
        let title = panel["title"].as_str().unwrap();
        let chinese = title
            .chars()
            .any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        assert!(chinese && title.contains(" · "), "{title}");
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title}");
        for y in place("y")..place("y") + place("h") {
            for x in place("x")..place("x") + place("w") {
                assert!(cells.insert((x, y)), "{title} covers another");
            }
        }
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            for variable in target["expr"].as_str().unwrap().split('$').skip(1) {
                let name = words(variable).next().unwrap();
                assert!(variables.contains(&name), "{title}: ${name}");
            }
        }
    }
}
