//! The egress to WeChat is broken: the proxy or the first host.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use wx_jssdk::actix::KeyHash;
use wx_jssdk::clock::Clock;
use wx_jssdk::sandbox::{Proxy, Sandbox};
use wx_jssdk::server::config::StoreSettings;

use crate::app::*;
use crate::common::http;
use crate::common::service::{Service, settings};

const PAGE: &str = "https://example.com/?a=1";
const KEY: &str = "wxk_a-client-of-the-token-server";
const PASSWORD: &str = "geheim-4711";

/// A service that calls WeChat through a proxy, or by two hosts.
struct World {
    service: Service,
    sandbox: Sandbox,
}

impl World {
    async fn by_proxy(password: &str) -> (Self, Proxy) {
        let sandbox = wechat().await;
        let proxy = sandbox.http_proxy(Some(("u", PASSWORD))).await.unwrap();
        let lines = format!(
            "proxy = \"{}\"\nproxy_user = \"u\"\nproxy_password = \"{password}\"",
            proxy.url()
        );
        (Self::start(sandbox, &lines).await, proxy)
    }

    async fn by_two_hosts() -> Self {
        let sandbox = wechat().await;
        let second = sandbox.second_host().await.unwrap();
        Self::start(sandbox, &format!("fallback = [\"{}\"]", second.url())).await
    }

    async fn start(sandbox: Sandbox, lines: &str) -> Self {
        let text = format!(
            "[upstream]\nweixin = \"{0}\"\nqyapi = \"{0}\"\n{lines}\n[[server.api_keys]]\nname = \"crm\"\nsha256 = \"{1}\"\n{MAIN}",
            sandbox.url(),
            KeyHash::of(KEY)
        );
        let mut settings = settings(&text, Path::new(""));
        settings.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        settings.server.admin_listen = Some(settings.server.listen);
        settings.server.workers = 1;
        settings.server.shutdown = Duration::ZERO;
        settings.store = StoreSettings::MEMORY;
        let service = Service::start(settings, sandbox.clock().clone()).await;
        Self { service, sandbox }
    }

    async fn page(&self) -> Answer {
        let target = format!("/jssdk/config?url={}", encode(PAGE));
        http::send(self.service.public, &request("GET", &target, &[])).await
    }

    async fn client(&self) -> Answer {
        let target = "/credentials/main/access_token";
        let headers = [("X-Api-Key", KEY), ("Host", "127.0.0.1")];
        http::send(self.service.admin, &request("GET", target, &headers)).await
    }

    async fn operator(&self, target: &str) -> Answer {
        let request = request("GET", target, &[("Host", "127.0.0.1")]);
        http::send(self.service.admin, &request).await
    }

    async fn status(&self) -> Value {
        self.operator("/status.json").await.ok()
    }

    fn advance(&self, by: u64) {
        self.sandbox.advance(seconds(by));
    }
}

async fn wechat() -> Sandbox {
    let sandbox = Sandbox::start(Clock::manual(START)).await.unwrap();
    sandbox.add_app(main_app());
    sandbox
}

#[tokio::test]
async fn with_a_dead_proxy_values_are_served_to_their_end_and_the_proxy_is_named() {
    let (world, proxy) = World::by_proxy(PASSWORD).await;
    assert_eq!(
        (world.page().await.status, world.client().await.status),
        (200, 200)
    );
    proxy.stop();
    world.advance(7_150);
    assert_eq!(
        (world.page().await.status, world.client().await.status),
        (200, 200)
    );
    world.advance(100);
    world
        .page()
        .await
        .assert_problem(503, "upstream_unavailable");
    let answer = world.client().await;
    answer.assert_problem(503, "upstream_unavailable");
    let ready = world.operator("/readyz").await.text;
    let status = world.operator("/status.json").await.text;
    for text in [&answer.text, &ready, &status] {
        assert!(
            text.contains("The egress proxy could not be reached"),
            "{text}"
        );
    }
    assert!(
        status.contains(&format!("proxy {}: ", proxy.addr())),
        "{status}"
    );
    assert!(!ready.contains(&proxy.addr().to_string()), "{ready}");
}

#[tokio::test]
async fn a_wrong_proxy_password_is_a_setup_fault_of_the_proxy() {
    let (world, proxy) = World::by_proxy("geheim-0815").await;
    world
        .page()
        .await
        .assert_problem(502, "account_misconfigured");
    let answer = world.client().await;
    answer.assert_problem(502, "account_misconfigured");
    let status = world.status().await;
    let error = &status["accounts"][0]["credentials"][0]["error"];
    assert_eq!(error["class"], "setup");
    assert!(
        error["fix"]["en"]
            .as_str()
            .unwrap()
            .contains("proxy_password"),
        "{error}"
    );
    assert!(
        error["fix"]["zh"].as_str().unwrap().contains("代理"),
        "{error}"
    );
    for page in ["/status?lang=en", "/status?lang=zh"] {
        let page = world.operator(page).await.text;
        assert!(
            page.contains(&proxy.url()) && !page.contains("geheim"),
            "{page}"
        );
    }
    assert_eq!(world.sandbox.calls_total(), 0);
}

#[tokio::test]
async fn with_the_first_host_down_calls_use_the_fallback_and_the_status_shows_it() {
    let world = World::by_two_hosts().await;
    assert_eq!(world.page().await.status, 200);
    let first = world.sandbox.host().calls();
    world.sandbox.host().set_reachable(false).await.unwrap();
    for _ in 0..3 {
        world.advance(7_300);
        assert_eq!(
            (world.page().await.status, world.client().await.status),
            (200, 200)
        );
    }
    assert_eq!(world.sandbox.host().calls(), first);
    let second = world.sandbox.second_host().await.unwrap();
    assert!(second.calls() >= 6);
    let egress = &world.status().await["egress"];
    assert_eq!(egress["unreachable_hosts"], json!([world.sandbox.url()]));
    let way = &egress["ways"][0];
    assert_eq!(
        (&way["host"], &way["fallback"]),
        (&json!(second.url()), &json!(true))
    );
    let metrics = world.operator("/metrics").await.text;
    assert!(
        metrics.contains("\nwx_jssdk_upstream_unreachable_hosts 1"),
        "{metrics}"
    );
    let page = world.operator("/status?lang=zh").await.text;
    assert!(
        page.contains("（备用）") && page.contains("无法访问："),
        "{page}"
    );
}
