//! Rate limit in requests per second for each client.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use wx_jssdk::actix::{ClientIps, Problem, RateLimit};
use wx_jssdk::{Clock, UnixTime};

use crate::common::log::Log;
use crate::common::process::{alone, resident};
use crate::limits::world::*;

const TWO_A_SECOND: &str = "requests_per_second = 2\nburst = 3";
const LOCAL_PROXY: &str = "trusted_proxies = [\"127.0.0.1\"]";

#[tokio::test]
async fn a_client_over_its_rate_limit_gets_429_and_others_are_unaffected() {
    let world = World::new(TWO_A_SECOND, LOCAL_PROXY).await;
    for _ in 0..3 {
        assert_eq!(world.get_for("198.51.100.1", PAGE).await.status, 200);
    }
    let refused = world.get_for("198.51.100.1", PAGE).await;
    refused.assert_problem(429, "rate_limited");
    assert_eq!(
        (refused.retry_after(), refused.header("cache-control")),
        (1, Some("no-store"))
    );
    assert_eq!(world.get_for("198.51.100.2", PAGE).await.status, 200);
    world.advance(1);
    assert_eq!(
        world.get_for("198.51.100.1", PAGE).await.status,
        200,
        "after the time in Retry-After"
    );
    assert_eq!(world.get_for("198.51.100.1", PAGE).await.status, 200);
    assert_eq!(
        world.get_for("198.51.100.1", PAGE).await.status,
        429,
        "two a second"
    );
}

#[tokio::test]
async fn refused_requests_are_counted() {
    let world = World::new(
        "requests_per_second = 1\nburst = 1\nwrong_keys = 1",
        LOCAL_PROXY,
    )
    .await;
    for _ in 0..4 {
        world.get_for("198.51.100.1", PAGE).await;
    }
    for key in ["wxk_a", "wxk_a", "wxk_b", "wxk_c"] {
        world.token("198.51.100.1", key).await;
    }
    let counts = world.guard_stats.counts();
    assert_eq!(
        (counts.rate_limited, counts.wrong_keys, counts.locked_out),
        (3, 4, 2),
        "{counts:?}"
    );
}

#[tokio::test]
async fn the_fast_path_and_the_router_each_cost_one_request_of_the_limit() {
    let world = World::new("requests_per_second = 1\nburst = 3", LOCAL_PROXY).await;
    // The first waits for a ticket, the last has its own list: both start on the fast path and continue in the router.
    for target in [PAGE, PAGE, &format!("{PAGE}&jsApiList=scanQRCode")] {
        assert_eq!(
            world.get_for("198.51.100.1", target).await.status,
            200,
            "{target}"
        );
    }
    let headers = [
        ("X-Forwarded-For", "198.51.100.1"),
        ("X-Request-Id", "trace-7"),
    ];
    let refused = ask(world.public, "GET", PAGE, &headers, "").await;
    refused.assert_problem(429, "rate_limited");
    assert_eq!(refused.header("x-request-id"), Some("trace-7"));
    let metrics = ask(world.admin, "GET", "/metrics", &[], "").await.text;
    for (status, count) in [(200, 3), (429, 1)] {
        let route = r#"wx_jssdk_http_requests_total{listener="public",route="/jssdk/config","#;
        assert!(
            metrics.contains(&format!("{route}status=\"{status}\"}} {count}\n")),
            "{metrics}"
        );
        assert!(
            metrics.contains(&format!(
                "wx_jssdk_account_requests_total{{account=\"main\",status=\"{status}\"}} {count}\n"
            )),
            "{metrics}"
        );
    }
}

#[tokio::test]
async fn addresses_that_the_client_adds_to_the_header_are_ignored() {
    let world = World::new(TWO_A_SECOND, LOCAL_PROXY).await;
    for forged in [
        "1.1.1.1, 198.51.100.1",
        "2.2.2.2, 198.51.100.1",
        "3.3.3.3,4.4.4.4, 198.51.100.1",
    ] {
        assert_eq!(world.get_for(forged, PAGE).await.status, 200);
    }
    assert_eq!(
        world.get_for("5.5.5.5, 198.51.100.1", PAGE).await.status,
        429
    );
}

#[tokio::test]
async fn a_list_that_ends_in_an_invalid_address_is_limited_as_the_proxy() {
    let world = World::new(TWO_A_SECOND, LOCAL_PROXY).await;
    let mut refused = 0;
    for n in 0..10 {
        let forged = format!("203.0.113.{n}, unknown");
        refused += u32::from(world.get_for(&forged, PAGE).await.status == 429);
    }
    assert!(refused >= 5, "{refused}");
    assert_eq!(world.get_for("198.51.100.1", PAGE).await.status, 200);
}

#[tokio::test]
async fn a_client_that_floods_the_doctor_does_not_block_others() {
    let world = World::new("", LOCAL_PROXY).await;
    let diagnose = |client: &'static str| {
        let headers = [
            ("X-Forwarded-For", client),
            ("Content-Type", "application/json"),
        ];
        let question = r#"{"error":"config:invalid url domain"}"#;
        async move { ask(world.public, "POST", "/doctor/diagnose", &headers, question).await }
    };
    let mut answered = 0;
    for _ in 0..100 {
        let answer = diagnose("198.51.100.1").await;
        if answer.status == 200 {
            answered += 1;
        } else {
            answer.assert_problem(429, "rate_limited");
            assert_eq!(answer.retry_after(), 1);
        }
    }
    assert_eq!(answered, 20, "within its limit");
    for _ in 0..20 {
        assert_eq!(diagnose("198.51.100.2").await.status, 200);
    }
    world.advance(1);
    assert_eq!(diagnose("198.51.100.1").await.status, 200, "one a second");
    assert_eq!(diagnose("198.51.100.1").await.status, 429);
    // A form can be sent from any site, so it does not count.
    let form = [
        ("X-Forwarded-For", "198.51.100.3"),
        ("Content-Type", "text/plain"),
    ];
    for _ in 0..100 {
        ask(world.public, "POST", "/doctor/diagnose", &form, "{}")
            .await
            .assert_problem(415, "unsupported_media_type");
    }
    assert_eq!(diagnose("198.51.100.3").await.status, 200);
}

#[tokio::test]
async fn qr_codes_have_a_rate_limit_of_their_own_per_client_and_in_total() {
    let world = World::new("requests_per_second = 1\nburst = 1", LOCAL_PROXY).await;
    let qr = "/qr.svg?url=https%3A%2F%2Fexample.com%2F";
    let drawn = async |client: &str| {
        let mut drawn = 0;
        loop {
            let answer = world.get_for(client, qr).await;
            if answer.status != 200 {
                answer.assert_problem(429, "rate_limited");
                return drawn;
            }
            drawn += 1;
        }
    };
    assert_eq!(drawn("198.51.100.1").await, 20, "of one client");
    assert_eq!(drawn("198.51.100.2").await, 20);
    assert_eq!(drawn("198.51.100.3").await, 20);
    assert_eq!(drawn("198.51.100.4").await, 0, "of all together");
    assert_eq!(world.get_for("198.51.100.1", PAGE).await.status, 200);
    world.advance(1);
    assert_eq!(drawn("198.51.100.1").await, 2);
    assert_eq!(drawn("198.51.100.4").await, 8);
}

#[tokio::test]
async fn requests_that_cost_nothing_do_not_count_against_all_clients() {
    let world = World::new("", LOCAL_PROXY).await;
    let diagnose = async |client: &str, body: &str| {
        let headers = [
            ("X-Forwarded-For", client),
            ("Content-Type", "application/json"),
        ];
        ask(world.public, "POST", "/doctor/diagnose", &headers, body).await
    };
    let foreign = "/qr.svg?url=https%3A%2F%2Fforeign.example%2F";
    for n in 1..=4 {
        let client = format!("198.51.100.{n}");
        for _ in 0..20 {
            let drawn = world.get_for(&client, foreign).await;
            drawn.assert_problem(403, "page_not_allowed");
            let diagnosed = diagnose(&client, "[]").await;
            diagnosed.assert_problem(400, "bad_body");
        }
        // They count for their own client.
        for refused in [
            world.get_for(&client, foreign).await,
            diagnose(&client, "[]").await,
        ] {
            refused.assert_problem(429, "rate_limited");
        }
    }
    let own = "/qr.svg?url=https%3A%2F%2Fexample.com%2F";
    assert_eq!(world.get_for("198.51.100.9", own).await.status, 200);
    let question = r#"{"error":"config:invalid url domain"}"#;
    assert_eq!(diagnose("198.51.100.9", question).await.status, 200);
}

#[tokio::test]
async fn signing_paths_are_limited_and_healthz_is_not() {
    let world = World::new("requests_per_second = 1\nburst = 1", LOCAL_PROXY).await;
    assert_eq!(world.get_for("198.51.100.1", PAGE).await.status, 200);
    for path in [
        "config",
        "agent-config",
        "work-config",
        "card-ext",
        "choose-card",
    ] {
        world
            .get_for("198.51.100.1", &format!("/jssdk/{path}?url=x"))
            .await
            .assert_problem(429, "rate_limited");
    }
    for path in ["/healthz", "/jssdk/wx-jssdk.js", "/"] {
        assert_eq!(
            world.get_for("198.51.100.1", path).await.status,
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_cross_origin_page_can_read_its_429() {
    let world = World::new("requests_per_second = 1\nburst = 1", LOCAL_PROXY).await;
    let headers = [
        ("X-Forwarded-For", "198.51.100.1"),
        ("Origin", "https://example.com"),
    ];
    assert_eq!(
        ask(world.public, "GET", PAGE, &headers, "").await.status,
        200
    );
    let refused = ask(world.public, "GET", PAGE, &headers, "").await;
    refused.assert_problem(429, "rate_limited");
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("https://example.com")
    );
    assert_eq!(
        refused.header("access-control-expose-headers"),
        Some("Retry-After")
    );
}

#[tokio::test]
async fn an_unlisted_private_proxy_is_not_limited_for_all_its_clients() {
    let world = World::new("requests_per_second = 1\nburst = 1", "").await;
    for _ in 0..50 {
        assert_eq!(world.get_for("198.51.100.1", PAGE).await.status, 200);
    }
}

#[tokio::test]
async fn a_configured_header_replaces_the_default_one() {
    let world = World::new(
        "requests_per_second = 1\nburst = 1",
        &format!("{LOCAL_PROXY}\nclient_ip_header = \"X-Real-IP\""),
    )
    .await;
    let from = |real: &'static str, forwarded: &'static str| {
        let to = world.public;
        async move {
            ask(
                to,
                "GET",
                PAGE,
                &[("X-Real-IP", real), ("X-Forwarded-For", forwarded)],
                "",
            )
            .await
            .status
        }
    };
    assert_eq!(from("198.51.100.1", "6.6.6.6").await, 200);
    assert_eq!(from("198.51.100.1", "7.7.7.7").await, 429);
    assert_eq!(from("198.51.100.2", "7.7.7.7").await, 200);
}

/// The rate limit alone, on a manual clock.
fn limit(per_second: u32, burst: u32) -> (RateLimit, Clock) {
    let clock = Clock::manual(UnixTime(1_767_225_600));
    let clients = ClientIps::new(vec!["192.0.2.1/32".parse().unwrap()], "x-forwarded-for");
    (
        RateLimit::new(per_second, burst, Arc::new(clients), clock.clone()),
        clock,
    )
}

fn check(limit: &RateLimit, peer: &str) -> Result<(), Problem> {
    limit.check(Some(peer.parse().unwrap()), &HeaderMap::new())
}

#[test]
fn clients_on_public_addresses_are_limited_without_a_proxy() {
    let (limit, _clock) = limit(1, 2);
    for peer in ["203.0.113.5", "::ffff:203.0.113.6", "2400:3200::1"] {
        assert!(
            check(&limit, peer).is_ok() && check(&limit, peer).is_ok(),
            "{peer}"
        );
        assert_eq!(
            check(&limit, peer).unwrap_err().code.as_str(),
            "rate_limited",
            "{peer}"
        );
    }
    assert!(
        check(&limit, "203.0.113.6").is_err(),
        "the same client over IPv4"
    );
    assert_eq!(limit.refused(), 4);
}

#[test]
fn an_unknown_peer_is_reported_once_and_only_where_a_limit_is_set() {
    let log = Log::default();
    let _guard = log.listen();
    for per_second in [0, 1] {
        let (limit, _clock) = limit(per_second, 1);
        for _ in 0..3 {
            assert!(limit.check(None, &HeaderMap::new()).is_ok());
        }
        let lines = log.about("peer address is unknown");
        assert_eq!(lines.len(), per_second as usize, "{}", log.text());
    }
}

#[test]
fn a_forwarded_header_from_an_untrusted_peer_is_ignored() {
    let (limit, _clock) = limit(1, 1);
    let peer: IpAddr = "203.0.113.5".parse().unwrap();
    let mut refused = 0;
    for n in 0..10 {
        let mut headers = HeaderMap::new();
        let forged = HeaderValue::from_str(&format!("198.51.100.{n}")).unwrap();
        headers.insert(HeaderName::from_static("x-forwarded-for"), forged);
        refused += u32::from(limit.check(Some(peer), &headers).is_err());
    }
    assert_eq!(refused, 9);
}

#[test]
fn an_ipv6_network_shares_one_rate_limit() {
    let (limit, _clock) = limit(1, 5);
    let refused = (0..1_000)
        .filter(|n| check(&limit, &format!("2400:3200:1:2::{n:x}")).is_err())
        .count();
    assert_eq!(refused, 995);
    assert!(
        check(&limit, "2400:3200:1:3::1").is_ok(),
        "the neighbouring network has its own limit"
    );
}

#[test]
fn a_million_clients_use_constant_memory_and_displace_no_client() {
    if !alone(a_million_clients_use_constant_memory_and_displace_no_client) {
        return;
    }
    let (limit, clock) = limit(100, 500);
    let before = resident(std::process::id());
    for n in 0..1_000_000_u32 {
        let _ = check(&limit, &format!("2400:{:x}:{:x}::1", n >> 16, n & 0xffff));
    }
    let grown = resident(std::process::id()).saturating_sub(before);
    assert!(grown < 16 << 20, "{} KiB", grown >> 10);
    assert_eq!(
        limit.refused(),
        0,
        "about a thirteenth of a million each, and each bucket allows 500"
    );
    assert!(clock.advance(std::time::Duration::from_secs(5)));
    assert!(check(&limit, "203.0.113.77").is_ok());
}

#[test]
fn without_a_limit_every_request_is_answered() {
    let (limit, _clock) = limit(0, 1);
    assert!((0..100_000).all(|_| check(&limit, "203.0.113.5").is_ok()));
}

#[test]
fn many_threads_together_get_exactly_the_limit() {
    let (limit, _clock) = limit(1, 1_000);
    let admitted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..1_000)
                        .filter(|_| check(&limit, "203.0.113.5").is_ok())
                        .count()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(admitted, 1_000);
}
