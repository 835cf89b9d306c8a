//! Counters of both listeners, and their answers to wrong hosts, methods and paths.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::limits::world::*;

async fn metrics(world: &World) -> String {
    ask(world.admin, "GET", "/metrics", &[], "").await.text
}

#[tokio::test]
async fn the_guards_counts_are_in_the_metrics() {
    let world = World::new(
        "requests_per_second = 1\nburst = 1",
        "trusted_proxies = [\"127.0.0.1\"]",
    )
    .await;
    let mut kept = TcpStream::connect(world.public).await.unwrap();
    kept.write_all(http::get("/healthz").text().as_bytes())
        .await
        .unwrap();
    assert!(kept.read(&mut [0; 1_024]).await.unwrap() > 0);
    world.token("203.0.113.9", "wxk_wrong").await;
    for status in [200, 429] {
        assert_eq!(world.get_for("203.0.113.7", PAGE).await.status, status);
    }
    let text = metrics(&world).await;
    for line in [
        "wx_jssdk_connections_ended_total{listener=\"public\",reason=\"timed_out\"} 0",
        "wx_jssdk_connections_ended_total{listener=\"admin\",reason=\"evicted_idle\"} 0",
        "wx_jssdk_wrong_keys_total 1",
        "wx_jssdk_refused_requests_total{reason=\"rate_limited\"} 1",
        "wx_jssdk_refused_requests_total{reason=\"locked_out\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let open = text
        .lines()
        .find_map(|line| line.strip_prefix("wx_jssdk_connections{listener=\"public\"} "));
    assert!(
        open.is_some_and(|open| open.parse::<f64>().unwrap() >= 1.0),
        "{text}"
    );
    assert!(
        !text.contains("wx_jssdk_certificate_expiry_timestamp_seconds{"),
        "there is no certificate here"
    );
}

#[tokio::test]
async fn a_refused_host_is_counted_with_its_status() {
    let world = World::new("", "").await;
    ask(
        world.admin,
        "GET",
        "/readyz",
        &[("Host", "evil.example"), ("Sec-Fetch-Site", "same-origin")],
        "",
    )
    .await
    .assert_problem(421, "foreign_host");
    let text = metrics(&world).await;
    assert!(
        text.contains(
            "wx_jssdk_http_requests_total{listener=\"admin\",route=\"/readyz\",status=\"421\"} 1"
        ),
        "{text}"
    );
}

#[tokio::test]
async fn a_preflight_is_not_counted_for_the_account_that_its_request_will_name() {
    let world = World::new("", "").await;
    let origin = [("Origin", "https://example.com")];
    assert_eq!(
        ask(world.public, "OPTIONS", PAGE, &origin, "").await.status,
        204
    );
    assert_eq!(
        ask(world.public, "GET", PAGE, &origin, "")
            .await
            .header("access-control-allow-origin"),
        Some("https://example.com")
    );
    let text = metrics(&world).await;
    let of_account: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("wx_jssdk_account_requests_total{"))
        .collect();
    assert_eq!(
        of_account,
        ["wx_jssdk_account_requests_total{account=\"main\",status=\"200\"} 1"]
    );
}

#[tokio::test]
async fn a_wrong_method_is_told_the_allowed_ones() {
    let world = World::new("", "").await;
    for (to, method, path, allow) in [
        (world.admin, "GET", "/status/refresh", "POST"),
        (world.admin, "DELETE", "/metrics", "GET, HEAD"),
        (world.admin, "POST", "/accounts", "GET"),
        (world.admin, "POST", "/accounts/main", "GET, PUT, DELETE"),
    ] {
        let answer = ask(to, method, path, &[], "").await;
        let problem = answer.assert_problem(405, "method_not_allowed");
        let allowed = answer
            .header("allow")
            .unwrap_or_else(|| panic!("no Allow: {answer:?}"));
        assert!(
            allow.split(", ").all(|one| allowed.contains(one)),
            "{method} {path}: {allowed}"
        );
        let hint = problem["hint"]["en"].as_str().unwrap();
        assert!(
            hint.contains(allow.split(", ").next().unwrap()),
            "{method} {path}: {hint}"
        );
        assert!(
            allow.contains("GET") || !problem.to_string().contains("GET"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn an_unknown_path_is_answered_with_the_listeners_paths() {
    let world = World::new("", "").await;
    for (to, path, names) in [
        (world.public, "/jssdk/confg", "/jssdk/config?url="),
        (
            world.public,
            "/credentials/main/access_token",
            "/jssdk/config?url=",
        ),
        (world.admin, "/menu/get", "/docs"),
        (world.admin, "/jssdk/config", "/docs"),
        (
            world.admin,
            "/credentials/main",
            "/credentials/{account}/{kind}",
        ),
    ] {
        let problem = ask(to, "GET", path, &[], "")
            .await
            .assert_problem(404, "not_found");
        assert!(
            problem["hint"]["en"].as_str().unwrap().contains(names),
            "{path}: {problem}"
        );
    }
}
