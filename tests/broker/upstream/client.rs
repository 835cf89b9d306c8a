//! The HTTP client: its base URLs and proxies.

use std::time::Duration;

use rustls::crypto::CryptoProvider;
use wx_jssdk::account::TokenMode;
use wx_jssdk::sandbox::Sandbox;
use wx_jssdk::upstream::{Upstream, UpstreamOptions};
use wx_jssdk::{Broker, Clock, Kind, Store};

use crate::common::process::{again, alone, passes};
use crate::upstream::support::*;
use crate::world::{self, START};

#[test]
fn invalid_base_urls_are_refused() {
    for base in [
        "",
        "api.weixin.qq.com",
        "//api.weixin.qq.com",
        "ftp://x",
        "https://",
        "https://x/?a=1",
        "https://x/#f",
        "https://u:geheim@x",
        "https://x，y",
    ] {
        for options in [
            UpstreamOptions {
                weixin: base.into(),
                ..UpstreamOptions::default()
            },
            UpstreamOptions {
                qyapi: base.into(),
                ..UpstreamOptions::default()
            },
        ] {
            let error = Upstream::new(&options).expect_err(base);
            assert!(!format!("{error} {error:?}").contains("geheim"), "{error}");
        }
    }
    assert!(Upstream::new(&UpstreamOptions::default()).is_ok());
}

#[tokio::test]
async fn a_broker_leaves_the_choice_of_cryptography_to_the_application() {
    if !alone(a_broker_leaves_the_choice_of_cryptography_to_the_application) {
        return;
    }
    let store = Store::redis("redis://127.0.0.1:9").unwrap();
    let broker = Broker::builder().account("main", account()).store(store);
    let _broker = broker.build().unwrap();
    let sandbox = sandbox().await;
    let upstream = upstream(sandbox.url(), PATIENT);
    assert!(upstream.token(&account(), false).await.is_ok());
    assert!(CryptoProvider::get_default().is_none());
}

/// Runs one ignored test of this file in its own process, where the environment can be set.
fn in_a_process_with_proxy<T>(test: T, proxy: &str) {
    let mut child = again(test);
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        child.env(name, proxy);
    }
    passes(child.env_remove("NO_PROXY").env_remove("no_proxy"));
}

#[test]
fn an_egress_proxy_is_not_used_for_a_simulator_on_this_machine() {
    in_a_process_with_proxy(loopback_is_called_directly, "http://127.0.0.1:9");
}

#[tokio::test]
#[ignore = "run with a dead proxy in its environment by the test above"]
async fn loopback_is_called_directly() {
    let sandbox = sandbox().await;
    assert!(
        upstream(sandbox.url(), PATIENT)
            .token(&account(), false)
            .await
            .is_ok()
    );
}

#[test]
fn an_egress_proxy_is_used_for_everything_else() {
    let (proxy, asked) = server(answer("200 OK", "", GOOD));
    in_a_process_with_proxy(another_machine_is_called_through_the_proxy, &proxy);
    assert!(
        asked
            .join()
            .unwrap()
            .starts_with("POST http://wechat.invalid/cgi-bin/stable_token ")
    );
}

#[tokio::test]
#[ignore = "run with a proxy in its environment by the test above"]
async fn another_machine_is_called_through_the_proxy() {
    assert!(
        upstream("http://wechat.invalid", PATIENT)
            .token(&account(), false)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn the_longest_timeouts_overflow_nowhere() {
    let sandbox = Sandbox::start(Clock::manual(START)).await.unwrap();
    sandbox.add_app(world::app());
    let options = UpstreamOptions {
        timeout: Duration::MAX,
        connect_timeout: Duration::MAX,
        ..UpstreamOptions::at(sandbox.url())
    };
    let builder = Broker::builder().account("main", world::account(TokenMode::Stable));
    let broker = builder.upstream(options).build().unwrap();
    broker.credential("main", Kind::JsapiTicket).await.unwrap();
}
