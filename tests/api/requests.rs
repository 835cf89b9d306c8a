//! Request counters, request ids, and problem+json for every error, including those of the framework.

use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App as Web, HttpServer};
use wx_jssdk::actix::{
    ClientIps, ListenerName, OTHER_ROUTE, RateLimit, RequestStats, RouteRequests, UNKNOWN_ACCOUNT,
    counted_scope,
};
use wx_jssdk::broker::Broker;
use wx_jssdk::{Account, UpstreamOptions};

use crate::app::*;

const PAGE: &str = "url=https%3A%2F%2Fexample.com%2F";

/// `(status, number)` of a route.
fn route(routes: &[RouteRequests], route: &str) -> Vec<(u16, u64)> {
    let found = routes
        .iter()
        .find(|known| known.listener == ListenerName::Public && known.route == route);
    let found = found.unwrap_or_else(|| panic!("no {route} in {routes:?}"));
    assert_eq!(
        found.by_status.iter().map(|(_, n)| n).sum::<u64>(),
        found.latency.buckets.iter().map(|(_, n)| n).sum::<u64>(),
        "each is timed once: {found:?}"
    );
    found.by_status.clone()
}

fn account(stats: &RequestStats, broker: &Broker, name: &str) -> Vec<(u16, u64)> {
    let mut accounts = stats.accounts(broker).into_iter();
    let found = accounts.find(|(account, _)| account == name);
    found.map(|(_, by_status)| by_status).unwrap_or_default()
}

#[tokio::test]
async fn requests_are_counted_by_route_status_and_account() {
    let app = spawn_app().await;
    assert_eq!(app.stats.routes(), []);
    for (query, status) in [
        (PAGE.to_owned(), 200),
        (format!("{PAGE}&account=main"), 200),
        (format!("{PAGE}&jsApiList=scanQRCode"), 200),
        ("url=https%3A%2F%2Fevil.com%2F".to_owned(), 403),
        (String::new(), 400),
    ] {
        assert_eq!(app.query(&query).await.status, status, "{query}");
    }
    assert_eq!(
        app.request("HEAD", &format!("/jssdk/config?{PAGE}"), &[])
            .await
            .status,
        200
    );
    assert_eq!(
        app.get(&format!("/jssdk/agent-config?{PAGE}")).await.status,
        404
    );
    let requests = app.stats.routes();
    assert_eq!(
        route(&requests, "/jssdk/config"),
        [(200, 4), (400, 1), (403, 1)]
    );
    assert_eq!(route(&requests, "/jssdk/agent-config"), [(404, 1)]);
    assert_eq!(
        account(&app.stats, &app.broker, "main"),
        [(200, 4), (400, 1), (403, 1), (404, 1)]
    );
}

#[tokio::test]
async fn clients_cannot_create_metric_labels() {
    let app = spawn_app().await;
    for n in 0..20 {
        assert_eq!(
            app.query(&format!("{PAGE}&account=nobody-{n}"))
                .await
                .status,
            404
        );
        assert_eq!(app.get(&format!("/jssdk/nothing-{n}")).await.status, 404);
        assert_eq!(
            app.get(&format!("/nothing-{n}?account=nobody-{n}"))
                .await
                .status,
            404
        );
    }
    assert_eq!(app.get("/healthz").await.status, 200);
    let requests = app.stats.routes();
    let routes: Vec<_> = requests.iter().map(|route| route.route.as_str()).collect();
    assert_eq!(routes, ["/healthz", "/jssdk/config", "other"]);
    assert_eq!(route(&requests, "other"), [(404, 40)]);
    let unknown = (UNKNOWN_ACCOUNT.to_owned(), vec![(404, 20)]);
    assert_eq!(app.stats.accounts(&app.broker), [unknown]);
}

#[tokio::test]
async fn an_account_keeps_its_counts_through_a_reload() {
    let app = spawn_app().await;
    app.query(PAGE).await.ok();
    let accounts = app
        .broker
        .accounts()
        .iter()
        .map(|(name, account)| (name.to_owned(), (**account).clone()))
        .collect();
    app.broker.reload(accounts, None).unwrap();
    app.query(PAGE).await.ok();
    assert_eq!(account(&app.stats, &app.broker, "main"), [(200, 2)]);
}

#[tokio::test]
async fn a_failed_request_has_the_proxys_id_or_a_generated_one() {
    let app = spawn_app().await;
    let failed = |id: &'static str| {
        app.request(
            "GET",
            "/jssdk/config",
            if id.is_empty() { &[] } else { id_header(id) },
        )
    };
    assert_eq!(
        failed("4bf92f3577b34da6").await.header("x-request-id"),
        Some("4bf92f3577b34da6")
    );
    let (one, other) = (failed("").await, failed("").await);
    let id = |answer: &Answer| answer.header("x-request-id").expect("an id").to_owned();
    assert_eq!(id(&one).len(), 16);
    assert_ne!(id(&one), id(&other));
    let insane = failed("<script>alert(1)</script>").await;
    assert_eq!(id(&insane).len(), 16, "{insane:?}");
    let by_framework = app.request("POST", "/healthz", &[]).await;
    by_framework.assert_problem(405, "method_not_allowed");
    assert_eq!(id(&by_framework).len(), 16, "{by_framework:?}");
    let signed = app
        .request(
            "GET",
            &format!("/jssdk/config?{PAGE}"),
            id_header("4bf92f3577b34da6"),
        )
        .await;
    assert_eq!(
        (signed.status, signed.header("x-request-id")),
        (200, None),
        "successful requests have no id"
    );
}

fn id_header(id: &'static str) -> &'static [(&'static str, &'static str)] {
    Box::leak(Box::new([("X-Request-Id", id)]))
}

#[tokio::test]
async fn the_fast_path_and_the_router_give_the_same_fields_in_order() {
    let app = spawn_app().await;
    // The second one requests the account's own list, and so goes through the router.
    let lists = "jsApiList=chooseImage,scanQRCode";
    let (hot, ordinary) = (
        app.query(PAGE).await,
        app.query(&format!("{PAGE}&{lists}")).await,
    );
    let masked = |answer: &Answer| {
        let (json, mut text) = (answer.ok(), answer.text.clone());
        for field in ["nonceStr", "signature"] {
            text = text.replace(json[field].as_str().unwrap(), field);
        }
        text
    };
    assert_eq!(masked(&hot), masked(&ordinary));
    let headers = |answer: &Answer| {
        let mut headers: Vec<_> = answer
            .headers
            .iter()
            .filter(|(name, _)| name != "date")
            .cloned()
            .collect();
        headers.sort();
        headers
    };
    assert_eq!(headers(&hot), headers(&ordinary));
}

/// Starts an embedding server on two threads with this scope.
async fn embedding_server(
    limit: Option<RateLimit>,
) -> (Broker, RequestStats, std::net::SocketAddr, ServerHandle) {
    let sandbox = wx_jssdk::sandbox::Sandbox::start(wx_jssdk::Clock::manual(START))
        .await
        .unwrap();
    sandbox.add_app(main_app());
    let upstream = UpstreamOptions::at(sandbox.url());
    let broker = Broker::builder()
        .account(
            "main",
            Account::official(APP, SECRET)
                .js_safe_domain("example.com")
                .unwrap(),
        )
        .upstream(upstream)
        .clock(sandbox.clock().clone())
        .build()
        .unwrap();
    // Keeps the sandbox alive as long as the broker may call it.
    let (served, limit) = (broker.clone(), limit.map(Data::new));
    let stats = RequestStats::default();
    let counted = stats.clone();
    let server = HttpServer::new(move || {
        let _ = &sandbox;
        let limit = limit.clone();
        Web::new()
            .configure(move |services| {
                if let Some(limit) = limit {
                    services.app_data(limit);
                }
            })
            .service(counted_scope("/wx", served.clone(), &counted))
    });
    let server = server
        .workers(2)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    (broker, stats, address, handle)
}

async fn ask(address: std::net::SocketAddr, target: &str, headers: &[(&str, &str)]) -> Answer {
    ask_with("GET", address, target, headers).await
}

async fn ask_with(
    method: &str,
    address: std::net::SocketAddr,
    target: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &request(method, target, headers))
        .await
        .unwrap();
    read(stream).await
}

#[tokio::test]
async fn an_embedded_scope_counts_its_own_requests() {
    let (broker, stats, address, handle) = embedding_server(None).await;
    for target in [
        format!("/wx/config?{PAGE}"),
        format!("/wx/config?{PAGE}"),
        "/wx/config".into(),
        "/wx/card-ext".into(),
    ] {
        ask(address, &target, &[]).await;
    }
    for (method, target) in [
        ("GET", "/wx/wx-jssdk.js"),
        ("POST", "/wx/wx-jssdk.js"),
        ("OPTIONS", "/wx/config"),
        ("POST", "/wx/config"),
        ("GET", "/wx/nothing?account=main"),
    ] {
        ask_with(method, address, target, &[]).await;
    }
    let requests = stats.routes();
    assert_eq!(
        route(&requests, "/wx/config"),
        [(200, 2), (204, 1), (400, 1), (405, 1)]
    );
    assert_eq!(route(&requests, "/wx/card-ext"), [(400, 1)]);
    assert_eq!(route(&requests, "/wx/wx-jssdk.js"), [(200, 1), (405, 1)]);
    assert_eq!(route(&requests, OTHER_ROUTE), [(404, 1)]);
    let main = account(&stats, &broker, "main");
    assert_eq!(main, [(200, 2), (400, 2), (405, 1)]);
    handle.stop(false).await;
}

#[tokio::test]
async fn an_embedded_scope_enforces_its_limit_on_the_fast_path_too() {
    let clients = ClientIps::new(vec!["127.0.0.1/32".parse().unwrap()], "x-forwarded-for");
    let limit = RateLimit::new(1, 3, Arc::new(clients), wx_jssdk::Clock::manual(START));
    let (_, stats, address, handle) = embedding_server(Some(limit)).await;
    let page = format!("/wx/config?{PAGE}");
    for _ in 0..3 {
        assert_eq!(
            ask(address, &page, &[("X-Forwarded-For", "198.51.100.1")])
                .await
                .status,
            200
        );
    }
    ask(address, &page, &[("X-Forwarded-For", "198.51.100.1")])
        .await
        .assert_problem(429, "rate_limited");
    assert_eq!(
        ask(address, &page, &[("X-Forwarded-For", "198.51.100.2")])
            .await
            .status,
        200
    );
    assert_eq!(route(&stats.routes(), "/wx/config"), [(200, 4), (429, 1)]);
    handle.stop(false).await;
}
