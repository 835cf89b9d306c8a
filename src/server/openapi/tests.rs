//! Compares the description with the code: routes and codes. `tests/openapi` checks the answers.

mod errors_md;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use actix_web::introspection::IntrospectionTree;
use actix_web::test::{TestRequest, call_and_read_body, init_service};
use actix_web::{App, HttpResponse, web};
use serde_json::Value;

use super::document;
use crate::actix::Gateway;
use crate::broker::{Broker, StatusCounts};
use crate::clock::Clock;
use crate::error::ProblemCode;
use crate::sandbox::Sandbox;
use crate::server::config::{Settings, is_taken};
use crate::server::metrics::Metrics;
use crate::server::reload::Reloader;
use crate::server::routes::{Guards, SCOPE, Watchers, admin_services, public_services};
use crate::server::sockets::HandedOver;

/// Methods by path; an empty set: any method.
type Routes = BTreeMap<String, BTreeSet<String>>;

/// Returns the routes that actix reports. Omits HEAD, which goes with GET, and OPTIONS, which is the
/// preflight; the description's text covers both.
async fn mounted(services: impl Fn(&mut web::ServiceConfig)) -> Routes {
    async fn report(tree: web::Data<IntrospectionTree>) -> HttpResponse {
        HttpResponse::Ok().body(tree.report_as_json())
    }
    const HERE: &str = "/what-is-mounted";
    let app = init_service(
        App::new()
            .route(HERE, web::get().to(report))
            .configure(services),
    )
    .await;
    let report = call_and_read_body(&app, TestRequest::get().uri(HERE).to_request()).await;
    let report: Vec<Value> = serde_json::from_slice(&report).unwrap();
    let resources = report
        .iter()
        .filter(|item| item["resource_type"] == "resource" && item["full_path"] != HERE);
    let methods = |item: &Value| {
        let names = item["methods"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned());
        names
            .filter(|name| !["HEAD", "OPTIONS"].contains(&name.as_str()))
            .collect()
    };
    resources
        .map(|item| {
            (
                without_pattern(item["full_path"].as_str().unwrap()),
                methods(item),
            )
        })
        .collect()
}

/// `/{file:(?:MP|WW)_verify_[^/]*}` → `/{file}`, since paths of a description have no patterns.
fn without_pattern(path: &str) -> String {
    let mut parts = path.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        let (inside, after) = part.split_once('}').unwrap();
        let name = inside.split(':').next().unwrap();
        format!("{plain}{{{name}}}{after}")
    })
}

/// Returns the described routes of one listener.
fn described(public: bool) -> Routes {
    let document = document("http://pages.example.com");
    let mut routes = Routes::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let here = |server: &Value| (server["url"] == "{public}") == public;
            if operation["servers"].as_array().unwrap().iter().any(here) {
                routes
                    .entry(path.clone())
                    .or_default()
                    .insert(method.to_uppercase());
            }
        }
    }
    routes
}

/// Fails with every difference.
fn assert_same(mounted: &Routes, described: &Routes) {
    assert!(mounted.len() > 5, "actix reports no routes: {mounted:?}");
    let missing: Vec<_> = mounted
        .iter()
        .filter(|(path, methods)| {
            described
                .get(*path)
                .is_none_or(|described| !methods.is_subset(described))
        })
        .collect();
    let invented: Vec<_> = described
        .iter()
        .filter(|(path, methods)| {
            mounted
                .get(*path)
                .is_none_or(|mounted| !mounted.is_empty() && !methods.is_subset(mounted))
        })
        .collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "mounted but not described: {missing:?}\ndescribed but not mounted: {invented:?}"
    );
}

fn settings() -> Settings {
    let account = "[accounts.main]\napp_id = \"wx0123456789abcdef\"\nsecret = \"0c79e1fa963cd80cc0be99b20a18faeb\"\njs_safe_domains = [\"example.com\"]\n";
    Settings::read(account, Path::new(""), std::collections::HashMap::new()).unwrap()
}

fn guards(settings: &Settings) -> Guards {
    Guards::new(settings, &Clock::system(), HandedOver::none()).unwrap()
}

#[tokio::test]
async fn the_public_routes_described_are_the_public_routes_mounted() {
    let sandbox = Sandbox::start(Clock::system()).await.unwrap();
    let (settings, broker) = (settings(), Broker::builder().build().unwrap());
    let guards = guards(&settings);
    let platforms = guards.platform_routes(&settings, &broker);
    let services = public_services(&settings, &broker, Some(&sandbox), &guards, &platforms);
    let mut routes = mounted(services).await;
    // The pages are there twice, and described once.
    let all = routes.clone();
    routes.retain(|path, methods| {
        let twin = path.strip_prefix(SCOPE).and_then(|path| all.get(path));
        twin != Some(methods)
    });
    assert_same(&routes, &described(true));
    for path in all.keys().filter(|path| !path.starts_with("/platforms/")) {
        let verify_file = path.replace("{file}", "MP_verify_x.txt");
        assert!(is_taken(&verify_file), "pushes on {path} would not arrive");
    }
}

#[tokio::test]
async fn the_admin_routes_described_are_the_admin_routes_mounted() {
    let (settings, broker) = (settings(), Broker::builder().build().unwrap());
    let guards = guards(&settings);
    let platforms = guards.platform_routes(&settings, &broker);
    let reloader = Reloader::new(&settings, broker.clone(), platforms, Vec::new());
    let gateway = Gateway::new(
        broker.clone(),
        reloader.keys.clone(),
        guards.stats.lockout.clone().into_inner(),
        settings.gateway.clone(),
    );
    let watchers = Watchers {
        gateway,
        metrics: Metrics::default(),
        reloader,
    };
    let services = admin_services(&settings, watchers, &guards, "http://127.0.0.1:8080");
    assert_same(&mounted(services).await, &described(false));
}

#[test]
fn every_problem_code_is_answered_by_some_route() {
    let document = document("http://pages.example.com");
    let text = document["paths"].to_string();
    // These two answer requests that match no described route or method.
    let elsewhere = [ProblemCode::NotFound, ProblemCode::MethodNotAllowed];
    for problem in ProblemCode::ALL
        .iter()
        .filter(|problem| !elsewhere.contains(problem))
    {
        assert!(
            text.contains(&format!("`{problem}`")),
            "{problem} is no route's answer"
        );
    }
}

#[test]
fn every_route_with_large_answers_describes_their_limit() {
    let document = document("http://pages.example.com");
    for path in [
        "/accounts",
        "/docs",
        "/metrics",
        "/qr.svg",
        "/status",
        "/status.json",
    ] {
        let text = document["paths"][path]["get"]["responses"]["429"].to_string();
        assert!(text.contains("`rate_limited`"), "{path}: {text}");
    }
}

#[test]
fn every_status_of_an_answer_is_counted_as_itself() {
    let document = document("http://pages.example.com");
    let items = document["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    let described = operations.flat_map(|operation| {
        let responses = operation["responses"].as_object().unwrap().keys();
        responses.map(|status| status.parse().unwrap())
    });
    let problems = ProblemCode::ALL.iter().map(|code| code.status());
    // The gateway's own answers are in no description.
    for status in described.chain(problems).chain([400, 429, 502, 504, 508]) {
        let counts = StatusCounts::default();
        counts.record(status);
        assert_eq!(counts.read(), [(status, 1)]);
    }
}

#[test]
fn every_text_is_in_both_languages() {
    fn in_both(place: &str, holder: &Value) {
        for name in ["summary", "description"] {
            let zh = holder[format!("x-{name}-zh")].as_str();
            let chinese = zh.is_some_and(|text| text.chars().any(|c| c > '\u{4e00}'));
            assert!(
                holder[name].is_null() || chinese,
                "{place} has no {name} in Chinese: {zh:?}"
            );
        }
    }
    fn in_both_below(place: &str, schema: &Value) {
        if schema["description"].is_string() {
            in_both(place, schema);
        }
        let parts = ["allOf", "oneOf"]
            .iter()
            .flat_map(|name| schema[*name].as_array());
        for part in parts.flatten() {
            in_both_below(place, part);
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            in_both_below(&format!("{place}.{name}"), property);
        }
    }
    let document = document("http://pages.example.com");
    in_both("info", &document["info"]);
    for tag in document["tags"].as_array().unwrap() {
        in_both(&tag["name"].to_string(), tag);
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        in_both_below(name, schema);
    }
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(
                operation["summary"].is_string() && operation["operationId"].is_string(),
                "{place}"
            );
            in_both(&place, operation);
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(
                    !parameter["example"].is_null() && parameter["schema"].is_object(),
                    "{place}: {parameter}"
                );
                let values = parameter["schema"]["enum"].as_array();
                assert!(
                    values.is_none_or(|values| values.contains(&parameter["example"])),
                    "{place}: {parameter}"
                );
                in_both(&format!("{place} {}", parameter["name"]), parameter);
            }
            for (status, answer) in operation["responses"].as_object().unwrap() {
                in_both(&format!("{place} {status}"), answer);
            }
        }
    }
}

#[test]
fn every_operation_is_listed_once_below_its_tag() {
    let document = document("http://pages.example.com");
    let mut described: Vec<(String, String)> = Vec::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let name = |value: &Value| value.as_str().unwrap().to_owned();
            described.push((name(&operation["tags"][0]), name(&operation["operationId"])));
        }
    }
    let mut listed: Vec<(String, String)> = Vec::new();
    for tag in document["tags"].as_array().unwrap() {
        for id in tag["x-operations"].as_array().unwrap() {
            let pair = [&tag["name"], id].map(|value| value.as_str().unwrap().to_owned());
            listed.push(pair.into());
        }
    }
    described.sort();
    listed.sort();
    assert_eq!(described, listed);
}

#[test]
fn every_referenced_schema_exists() {
    let document = document("http://pages.example.com");
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let named: BTreeSet<_> = text
        .split("#/components/schemas/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        assert!(schemas.contains_key(name), "{name}");
    }
    assert!(
        schemas["JsConfig"]["properties"]["signature"]["pattern"].is_string(),
        "{}",
        schemas["JsConfig"]
    );
}

#[test]
fn every_call_on_a_path_of_wechats_that_takes_a_key_can_be_locked_out() {
    let document = document("http://pages.example.com");
    let paths = document["paths"].as_object().unwrap();
    let mut found = 0;
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let takes_key = operation["tags"][0] == "drop-in"
                && (operation["parameters"].is_array() || operation["requestBody"].is_object());
            if takes_key {
                let header = &operation["responses"]["429"]["headers"]["Retry-After"];
                assert!(header.is_object(), "{method} {path}");
                found += 1;
            }
        }
    }
    assert!(found >= 11, "{found}");
}
