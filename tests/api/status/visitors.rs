//! Access to the status page: direct visitors only, no pages of other sites.

use crate::app::request;
use crate::status::world::*;

const PAGES: [&str; 4] = [
    "/status",
    "/status?part=live",
    "/status.json",
    "/status.json?part=summary",
];

/// Programs need no valid Host header, because DNS rebinding affects only browsers.
const BROWSER: (&str, &str) = ("User-Agent", "Mozilla/5.0");

#[tokio::test]
async fn every_answer_is_kept_from_other_sites_and_from_caches() {
    let world = World::healthy().await;
    let mut answers = Vec::new();
    for page in PAGES
        .into_iter()
        .chain(["/status?state=nonsense", "/status.json?limit=0"])
    {
        answers.push(
            world
                .get_with(page, &[("Origin", "http://evil.example")])
                .await,
        );
    }
    answers.push(
        world
            .get_with("/status.json", &[("Host", "evil.example")])
            .await,
    );
    answers.push(world.refresh_with("main", "access_token", &[]).await);
    for answer in answers {
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(
            answer.header("cross-origin-resource-policy"),
            Some("same-origin"),
            "{answer:?}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(
            !policy.contains("unsafe") && !policy.contains("http"),
            "{policy}"
        );
    }
}

#[tokio::test]
async fn a_dns_rebinding_host_name_is_refused() {
    let world = World::with(r#"admin_hosts = ["ops.example.com"]"#, |_| ()).await;
    for host in [
        "127.0.0.1:8081",
        "10.0.0.7",
        "[::1]:8081",
        "localhost:8081",
        "wx-jssdk",
        "ops.example.com",
        "OPS.example.com:8443",
    ] {
        for page in PAGES {
            assert_eq!(
                world
                    .get_with(page, &[("Host", host), BROWSER])
                    .await
                    .status,
                200,
                "{host} {page}"
            );
        }
    }
    for host in [
        "evil.example",
        "evil.example:8081",
        "127.0.0.1.evil.example",
        "evil.ops.example.com",
    ] {
        for page in PAGES {
            let answer = world.get_with(page, &[("Host", host), BROWSER]).await;
            answer.assert_problem(421, "foreign_host");
            assert!(!answer.text.contains("main"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_page_of_another_site_may_link_here_and_not_fetch() {
    let world = World::healthy().await;
    for site in ["cross-site", "same-site"] {
        for mode in ["cors", "no-cors", "websocket"] {
            let answer = world
                .get_with(
                    "/status.json",
                    &[("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode)],
                )
                .await;
            answer.assert_problem(403, "cross_site");
        }
        let followed = [
            ("Sec-Fetch-Site", site),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
        ];
        assert_eq!(world.get_with("/status", &followed).await.status, 200);
    }
    let own = [
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Mode", "cors"),
    ];
    assert_eq!(world.get_with("/status.json", &own).await.status, 200);
}

#[tokio::test]
async fn the_status_page_is_on_the_admin_listener_only() {
    let world = World::healthy().await;
    for page in [
        "/status",
        "/status.json",
        "/static/status.js",
        "/static/status.css",
    ] {
        let answer = world
            .app
            .send(&request("GET", page, &[("Host", "127.0.0.1")]))
            .await;
        assert_eq!(answer.status, 404, "{page}");
        assert_eq!(world.get(page).await.status, 200, "{page}");
    }
    assert_eq!(
        world.get("/static/demo.js").await.status,
        404,
        "the demo page is on the public listener"
    );
    let posted = world
        .app
        .send_admin(&request("POST", "/status", &[("Host", "127.0.0.1")]))
        .await;
    assert!(matches!(posted.status, 404 | 405), "{posted:?}");
}

#[tokio::test]
async fn an_invalid_query_is_refused_with_the_valid_values() {
    let world = World::healthy().await;
    for query in [
        "state=broken",
        "limit=0",
        "limit=201",
        "limit=x",
        "offset=-1",
        "offset=1000001",
        "part=nothing",
        "accounts=main",
        "account=a&account=b",
        &format!("q={}", "a".repeat(129)),
    ] {
        for page in ["/status", "/status.json"] {
            world
                .get(&format!("{page}?{query}"))
                .await
                .assert_problem(400, "bad_query");
        }
    }
}
