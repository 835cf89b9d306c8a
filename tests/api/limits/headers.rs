//! Security headers of each kind of answer.

use crate::limits::world::*;

async fn get(world: &World, target: &str) -> Answer {
    ask(world.public, "GET", target, &[("Host", "example.com")], "").await
}

#[tokio::test]
async fn every_page_forbids_framing_sensors_and_shared_windows() {
    let world = World::new("", "").await;
    for (listener, target) in [
        (world.public, "/"),
        (world.public, "/doctor"),
        (world.admin, "/status"),
        (world.admin, "/docs"),
    ] {
        let page = ask(listener, "GET", target, &[("Host", "localhost")], "").await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, Some("text/html; charset=utf-8")),
            "{target}"
        );
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{target}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{target}: {policy}");
        assert_eq!(
            page.header("x-content-type-options"),
            Some("nosniff"),
            "{target}"
        );
        assert_eq!(
            page.header("cross-origin-opener-policy"),
            Some("same-origin"),
            "{target}"
        );
        assert_eq!(
            page.header("cross-origin-resource-policy"),
            Some("same-origin"),
            "{target}"
        );
        assert!(page.header("referrer-policy").is_some(), "{target}");
        let powers = page.header("permissions-policy").unwrap_or_default();
        for power in ["camera", "microphone", "geolocation", "payment"] {
            assert!(
                powers.contains(&format!("{power}=()")),
                "{target}: {powers}"
            );
        }
        // res.wx.qq.com sends no Cross-Origin-Resource-Policy: with an embedder policy the SDK would not load.
        assert_eq!(
            page.header("cross-origin-embedder-policy"),
            None,
            "{target}"
        );
    }
}

#[tokio::test]
async fn of_all_files_only_pictures_and_the_script_are_for_other_sites() {
    let world = World::new("", "").await;
    for (target, readers) in [
        ("/static/demo.js", "same-origin"),
        ("/static/style.css", "same-origin"),
        ("/static/share.png", "cross-origin"),
        ("/static/icon.svg", "cross-origin"),
        ("/qr.svg?url=https%3A%2F%2Fexample.com%2F", "same-origin"),
    ] {
        // The picture is not text, so only the headers are checked.
        let answer = ask(world.public, "HEAD", target, &[("Host", "example.com")], "").await;
        assert_eq!(
            (answer.status, answer.header("cross-origin-resource-policy")),
            (200, Some(readers)),
            "{target}"
        );
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{target}"
        );
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("sandbox"),
            "{target}: {policy}"
        );
    }
    let script = get(&world, "/jssdk/wx-jssdk.js").await;
    assert_eq!(
        script.header("cross-origin-resource-policy"),
        Some("cross-origin")
    );
}

#[tokio::test]
async fn every_answer_of_both_listeners_forbids_mime_sniffing() {
    let world = World::new("", "").await;
    let (public, admin) = (world.public, world.admin);
    let script = "/jssdk/wx-jssdk.js";
    let evil = "/jssdk/config?url=https%3A%2F%2Fevil.com%2F%3Cscript%3E";
    let tag = get(&world, script).await.header("etag").unwrap().to_owned();
    for (listener, method, target, status) in [
        (public, "GET", PAGE, 200),
        (public, "GET", &*format!("{PAGE}&jsApiList=scanQRCode"), 200),
        (public, "GET", "/healthz", 200),
        (public, "GET", script, 304),
        (public, "GET", "/jssdk/config", 400),
        (public, "GET", evil, 403),
        (public, "GET", "/static/none.js", 404),
        (public, "GET", "/nothing", 404),
        (public, "POST", "/healthz", 405),
        (public, "OPTIONS", PAGE, 204),
        (admin, "GET", "/healthz", 200),
        (admin, "GET", "/readyz", 200),
        (admin, "GET", "/metrics", 200),
        (admin, "GET", "/status.json", 200),
        (admin, "GET", TOKEN, 401),
        (admin, "GET", "/cgi-bin/token", 200),
        (admin, "GET", "/cgi-bin/nothing", 200),
        (admin, "DELETE", "/cgi-bin/token", 405),
        (admin, "GET", "/static/none.js", 404),
        (admin, "GET", "/nothing", 404),
        (admin, "GET", "/openapi.json", 200),
    ] {
        let headers = [("Host", "localhost"), ("If-None-Match", &*tag)];
        let answer = ask(listener, method, target, &headers, "").await;
        assert_eq!(
            (answer.status, answer.header("x-content-type-options")),
            (status, Some("nosniff")),
            "{method} {target}"
        );
    }
}
