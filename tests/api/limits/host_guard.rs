//! Protection of the admin listener from web pages in a browser that can reach it.

use crate::limits::world::*;

const BROWSER: (&str, &str) = ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0");

async fn browse(world: &World, host: &str, target: &str, more: &[(&str, &str)]) -> Answer {
    let headers: Vec<_> = [("Host", host), BROWSER]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    ask(world.admin, "GET", target, &headers, "").await
}

#[tokio::test]
async fn a_page_that_uses_dns_rebinding_reads_nothing() {
    let world = World::new("", "").await;
    for target in ["/readyz", "/healthz", TOKEN, "/nothing"] {
        for host in [
            "evil.com",
            "evil.com:8081",
            "127.0.0.1.nip.io",
            "localhost.evil.com",
        ] {
            browse(&world, host, target, &[])
                .await
                .assert_problem(421, "foreign_host");
        }
    }
    // Browsers send Sec-Fetch-Site to trustworthy addresses only. A script in Firefox may set User-Agent,
    // and empty Accept-Language, but not remove it.
    for target in ["/readyz", "/metrics", "/status.json", "/nothing"] {
        for accepted in ["", "*", "en-US"] {
            let headers = [
                ("Host", "evil.com"),
                ("User-Agent", "curl/8"),
                ("Accept-Language", accepted),
            ];
            ask(world.admin, "GET", target, &headers, "")
                .await
                .assert_problem(421, "foreign_host");
        }
    }
}

#[tokio::test]
async fn an_unparsable_host_is_refused_to_browsers() {
    let world = World::new("", "").await;
    for host in [
        "evil\u{3002}com",
        "\u{ff45}vil",
        "evil%2ecom",
        "[evil.com",
        "[evil.com]",
        "localhost, evil.com",
        "evil.com,localhost",
        "user@localhost",
        "evil.com:x",
    ] {
        browse(&world, host, "/readyz", &[])
            .await
            .assert_problem(421, "foreign_host");
    }
    browse(
        &world,
        "localhost",
        "/readyz",
        &[("Sec-Fetch-Site", "\u{ff45}")],
    )
    .await
    .assert_problem(403, "cross_site");
}

#[tokio::test]
async fn a_page_of_another_site_may_not_call_but_a_link_may_be_followed() {
    let world = World::new("", "").await;
    for site in ["cross-site", "same-site"] {
        let fetched = [
            ("Sec-Fetch-Site", site),
            ("Sec-Fetch-Mode", "no-cors"),
            ("Sec-Fetch-Dest", "image"),
        ];
        browse(&world, "127.0.0.1:8081", "/readyz", &fetched)
            .await
            .assert_problem(403, "cross_site");
        let framed = [
            ("Sec-Fetch-Site", site),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "iframe"),
        ];
        browse(&world, "127.0.0.1:8081", "/readyz", &framed)
            .await
            .assert_problem(403, "cross_site");
        let followed = [
            ("Sec-Fetch-Site", site),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
        ];
        assert_eq!(
            browse(&world, "127.0.0.1:8081", "/readyz", &followed)
                .await
                .status,
            200
        );
    }
}

#[tokio::test]
async fn an_operators_browser_and_all_programs_are_admitted() {
    let world = World::new("", "admin_hosts = [\"wx.example.internal\"]").await;
    let own = [
        ("Sec-Fetch-Site", "none"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
    ];
    for host in [
        "127.0.0.1:8081",
        "[::1]:8081",
        "localhost:8081",
        "localhost",
        "wx:8081",
        "",
        "wx.example.internal",
        "wx.example.internal.",
        "WX.example.INTERNAL:8081",
    ] {
        assert_eq!(
            browse(&world, host, "/readyz", &own).await.status,
            200,
            "{host}"
        );
    }
    let key = format!("Bearer {KEY}");
    for (target, status) in [
        (TOKEN, 200),
        ("/accounts", 403),
        ("/status/refresh", 405),
        ("/accountsx", 421),
    ] {
        let headers = [
            ("Host", "wx.example.com"),
            ("User-Agent", "node"),
            ("Accept-Language", "*"),
            ("Authorization", &*key),
        ];
        let answer = ask(world.admin, "GET", target, &headers, "").await;
        assert_eq!(answer.status, status, "fetch of Node.js: {target}");
    }
    for host in [
        "prometheus.example.com",
        "wx.default.svc.cluster.local:8081",
    ] {
        let headers = [("Host", host), ("User-Agent", "Prometheus/3.0")];
        assert_eq!(
            ask(world.admin, "GET", "/readyz", &headers, "")
                .await
                .status,
            200,
            "{host}"
        );
    }
}

/// Nothing is answered there without an API key, and an SDK understands nothing else.
#[tokio::test]
async fn a_client_with_a_browsers_user_agent_gets_errcodes_on_wechats_paths() {
    let world = World::new("", "").await;
    let token = format!("/cgi-bin/token?grant_type=client_credential&appid={APP}&secret=");
    for base in ["", "/wx/main", "/"] {
        for site in [None, Some("cross-site")] {
            let more = site.map(|site| ("Sec-Fetch-Site", site));
            let call = async |path: &str| {
                let target = format!("{base}{path}");
                let answer = browse(&world, "wx.example.com", &target, more.as_slice()).await;
                answer.ok()
            };
            let issued = call(&format!("{token}{KEY}")).await;
            assert!(issued["access_token"].is_string(), "{issued}");
            for (path, errcode) in [
                (&*format!("{token}wxk_wrong"), 40125),
                ("/cgi-bin/stable_token", 43002),
                (
                    "/cgi-bin/ticket/getticket?type=jsapi&access_token=71_unknown",
                    40001,
                ),
                ("/cgi-bin/user/get?access_token=71_unknown", 40001),
            ] {
                let answer = call(path).await;
                assert_eq!(answer["errcode"], errcode, "{path}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn the_public_listener_does_not_check_the_host() {
    let world = World::new("", "").await;
    let headers = [
        ("Host", "www.example.com"),
        BROWSER,
        ("Sec-Fetch-Site", "same-origin"),
    ];
    assert_eq!(
        ask(world.public, "GET", PAGE, &headers, "").await.status,
        200
    );
}
