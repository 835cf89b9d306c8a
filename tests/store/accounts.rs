//! Accounts that the admin API keeps in a store that several nodes share.

use std::time::Duration;

use serde_json::json;
use wx_jssdk::actix::KeyHash;
use wx_jssdk::clock::Clock;

use crate::common::http::{self, Request};
use crate::common::redis_server::Redis;
use crate::common::service::{Service, settings};
use crate::support::NOW;

const KEY: &str = "wxk_an-operator";

async fn node(redis: &Redis, clock: &Clock) -> Service {
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\nshutdown_seconds = 0\n\
         [[server.api_keys]]\nname = \"operator\"\nsha256 = \"{}\"\nmanage = true\n\
         [store]\nkind = \"redis\"\nurl = \"{}\"\n[upstream]\nweixin = \"http://127.0.0.1:9\"\n",
        KeyHash::of(KEY),
        redis.url()
    );
    let home = tempfile::tempdir().unwrap();
    Service::start(settings(&text, home.path()), clock.clone()).await
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn an_account_change_on_one_node_reaches_the_others_within_seconds() {
    let (redis, clock) = (Redis::start(), Clock::manual(NOW));
    let (one, other) = (node(&redis, &clock).await, node(&redis, &clock).await);
    let domains = |service: &Service| {
        let accounts = service.broker.accounts();
        let (_, account) = accounts.get("shop").ok()?;
        let domains = account.safe_domains().iter();
        Some(domains.map(ToString::to_string).collect::<Vec<_>>())
    };
    let look = async || {
        clock.advance(Duration::from_secs(6));
        other.broker.tend().await;
    };
    for (domain, status) in [("a.example.com", 201), ("b.example.com", 200)] {
        let body = json!({
            "platform": "official", "app_id": "wx0123456789abcdef",
            "secret": "0c79e1fa963cd80cc0be99b20a18faeb", "js_safe_domains": [domain],
        });
        let request = Request::new("PUT", "/accounts/shop").bearer(KEY).close();
        let answer = http::send(one.admin, request.body(body)).await;
        assert_eq!(answer.status, status, "{answer:?}");
        let expected = Some(vec![domain.to_owned()]);
        assert_eq!(domains(&one), expected);
        look().await;
        assert_eq!(domains(&other), expected);
    }
    let request = Request::new("DELETE", "/accounts/shop").bearer(KEY).close();
    let answer = http::send(other.admin, request.text()).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(domains(&other), None);
    clock.advance(Duration::from_secs(6));
    one.broker.tend().await;
    assert_eq!(domains(&one), None);
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn accounts_survive_a_store_outage_and_are_restored_to_an_empty_store() {
    let (mut redis, clock) = (Redis::start(), Clock::manual(NOW));
    let node = node(&redis, &clock).await;
    let put = async |name: &str, app_id: &str| {
        let body = json!({
            "platform": "official", "app_id": app_id,
            "secret": "0c79e1fa963cd80cc0be99b20a18faeb", "js_safe_domains": ["example.com"],
        });
        let request = Request::new("PUT", format!("/accounts/{name}")).bearer(KEY);
        http::send(node.admin, request.close().body(body)).await
    };
    assert_eq!(put("shop", "wx0123456789abcdef").await.status, 201);
    redis.kill();
    let later = put("later", "wx1111111111111111").await;
    later.assert_problem(503, "store_unavailable");
    clock.advance(Duration::from_secs(6));
    node.broker.tend().await;
    let accounts = node.broker.accounts();
    assert!(accounts.get("shop").is_ok() && accounts.get("later").is_err());
    // It comes back empty.
    redis.restart();
    assert_eq!(put("later", "wx1111111111111111").await.status, 201);
    clock.advance(Duration::from_secs(6));
    node.broker.tend().await;
    let accounts = node.broker.accounts();
    assert!(accounts.get("shop").is_ok() && accounts.get("later").is_ok());
    let request = http::get("/accounts/shop").bearer(KEY).close().text();
    assert_eq!(http::send(node.admin, request).await.status, 200);
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn accounts_survive_a_failover_to_an_older_copy_of_the_store() {
    let (mut redis, clock) = (Redis::start(), Clock::manual(NOW));
    let (one, other) = (node(&redis, &clock).await, node(&redis, &clock).await);
    let put = async |name: &str, app_id: &str, domain: &str| {
        let body = json!({
            "platform": "official", "app_id": app_id,
            "secret": "0c79e1fa963cd80cc0be99b20a18faeb", "js_safe_domains": [domain],
        });
        let request = Request::new("PUT", format!("/accounts/{name}")).bearer(KEY);
        http::send(one.admin, request.close().body(body))
            .await
            .status
    };
    let look = async || {
        clock.advance(Duration::from_secs(6));
        one.broker.tend().await;
        other.broker.tend().await;
    };
    assert_eq!(
        put("shop", "wx0123456789abcdef", "a.example.com").await,
        201
    );
    // The next server in its directory starts with this copy.
    assert_eq!(redis.cli(&["SAVE"]), "OK");
    assert_eq!(
        put("shop", "wx0123456789abcdef", "b.example.com").await,
        200
    );
    assert_eq!(
        put("late", "wx1111111111111111", "c.example.com").await,
        201
    );
    look().await;
    redis.restart();
    // Before a node reads it: then the copy has as many changes as the node knew.
    for (name, app_id) in [
        ("new", "wx2222222222222222"),
        ("newer", "wx3333333333333333"),
    ] {
        assert_eq!(put(name, app_id, "d.example.com").await, 201);
    }
    for _ in 0..3 {
        look().await;
    }
    for service in [&one, &other] {
        let accounts = service.broker.accounts();
        for (name, domain) in [
            ("shop", "b.example.com"),
            ("late", "c.example.com"),
            ("new", "d.example.com"),
            ("newer", "d.example.com"),
        ] {
            let (_, account) = accounts.get(name).unwrap();
            assert!(account.allows_page(domain, "/"), "{name} {domain}");
        }
    }
    let removal = Request::new("DELETE", "/accounts/late").bearer(KEY).close();
    assert_eq!(http::send(one.admin, removal.text()).await.status, 204);
    look().await;
    assert!(other.broker.accounts().get("late").is_err());
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_change_after_a_store_loss_counts_despite_a_reused_version() {
    let (mut redis, clock) = (Redis::start(), Clock::manual(NOW));
    let (one, other) = (node(&redis, &clock).await, node(&redis, &clock).await);
    let put = async |domain: &str| {
        let body = json!({
            "platform": "official", "app_id": "wx0123456789abcdef",
            "secret": "0c79e1fa963cd80cc0be99b20a18faeb", "js_safe_domains": [domain],
        });
        let request = Request::new("PUT", "/accounts/shop").bearer(KEY).close();
        http::send(one.admin, request.body(body)).await.status
    };
    let look = async || {
        clock.advance(Duration::from_secs(6));
        one.broker.tend().await;
        other.broker.tend().await;
    };
    assert_eq!(put("a.example.com").await, 201);
    look().await;
    // It comes back empty.
    redis.restart();
    assert_eq!(put("b.example.com").await, 201);
    look().await;
    look().await;
    for service in [&one, &other] {
        let accounts = service.broker.accounts();
        let (_, account) = accounts.get("shop").unwrap();
        assert!(account.allows_page("b.example.com", "/"));
    }
}
