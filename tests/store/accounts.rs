//! Accounts that the admin API keeps in a store that several nodes share.

use std::time::Duration;

use serde_json::{Value, json};
use wx_jssdk::Kind;
use wx_jssdk::actix::KeyHash;
use wx_jssdk::clock::Clock;
use wx_jssdk::sandbox::{App, Sandbox};

use crate::common::http::{self, Answer, Request};
use crate::common::redis_server::Redis;
use crate::common::service::{Service, settings};
use crate::support::NOW;

const KEY: &str = "wxk_an-operator";
const APP: &str = "wx0123456789abcdef";
const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";

async fn node(redis: &Redis, clock: &Clock) -> Service {
    node_at("http://127.0.0.1:9", &redis.url(), clock).await
}

/// A node that calls WeChat at this address.
async fn node_at(weixin: &str, redis: &str, clock: &Clock) -> Service {
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\nshutdown_seconds = 0\n\
         [[server.api_keys]]\nname = \"operator\"\nsha256 = \"{}\"\nmanage = true\ncalls = [\"/\"]\n\
         [store]\nkind = \"redis\"\nurl = \"{redis}\"\n[upstream]\nweixin = \"{weixin}\"\n",
        KeyHash::of(KEY),
    );
    let home = tempfile::tempdir().unwrap();
    Service::start(settings(&text, home.path()), clock.clone()).await
}

/// Two nodes that share a Redis.
struct Nodes {
    redis: Redis,
    clock: Clock,
    one: Service,
    other: Service,
}

impl Nodes {
    async fn start() -> Self {
        Self::at("http://127.0.0.1:9", Clock::manual(NOW)).await
    }

    /// The same with WeChat at this address.
    async fn at(weixin: &str, clock: Clock) -> Self {
        let redis = Redis::start();
        let one = node_at(weixin, &redis.url(), &clock).await;
        let other = node_at(weixin, &redis.url(), &clock).await;
        Self {
            redis,
            clock,
            one,
            other,
        }
    }

    /// Lets both nodes read the accounts of the store.
    async fn look(&self) {
        look(&self.one, &self.clock).await;
        self.other.broker.tend().await;
    }
}

async fn look(node: &Service, clock: &Clock) {
    clock.advance(Duration::from_secs(6));
    node.broker.tend().await;
}

fn account(app_id: &str, domain: &str) -> Value {
    json!({
        "platform": "official", "app_id": app_id, "secret": SECRET, "js_safe_domains": [domain],
    })
}

async fn put(node: &Service, name: &str, account: Value) -> Answer {
    let request = Request::new("PUT", format!("/accounts/{name}")).bearer(KEY);
    http::send(node.admin, request.close().body(account)).await
}

async fn remove(node: &Service, name: &str) {
    let request = Request::new("DELETE", format!("/accounts/{name}")).bearer(KEY);
    let answer = http::send(node.admin, request.close().text()).await;
    assert_eq!(answer.status, 204, "{answer:?}");
}

#[tokio::test]
async fn a_node_that_never_reached_its_store_calls_no_account_unknown() {
    let node = node_at(
        "http://127.0.0.1:9",
        "redis://127.0.0.1:9",
        &Clock::manual(NOW),
    )
    .await;
    let page = http::get("/jssdk/config?account=shop&url=https%3A%2F%2Fexample.com%2F");
    let answer = http::send(node.public, page.close().text()).await;
    answer.assert_problem(503, "accounts_not_loaded");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let list = http::get("/accounts").bearer(KEY).close();
    let answer = http::send(node.admin, list.text()).await;
    answer.assert_problem(503, "accounts_not_loaded");
    for path in [
        "/cgi-bin/token?grant_type=client_credential&appid=wx0123456789abcdef&secret=s",
        "/cgi-bin/gettoken?corpid=ww0123456789abcdef&corpsecret=s",
        "/cgi-bin/menu/get?appid=wx0123456789abcdef",
        "/wx/shop/cgi-bin/menu/get",
    ] {
        let request = http::get(path).bearer(KEY).close();
        let answer = http::send(node.admin, request.text()).await;
        assert_eq!(answer.json()["errcode"], -1, "{path}: {answer:?}");
    }
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn an_account_change_on_one_node_reaches_the_others_within_seconds() {
    let nodes = Nodes::start().await;
    let domains = |service: &Service| {
        let accounts = service.broker.accounts();
        let (_, account) = accounts.get("shop").ok()?;
        let domains = account.safe_domains().iter();
        Some(domains.map(ToString::to_string).collect::<Vec<_>>())
    };
    for (domain, status) in [("a.example.com", 201), ("b.example.com", 200)] {
        let answer = put(&nodes.one, "shop", account(APP, domain)).await;
        assert_eq!(answer.status, status, "{answer:?}");
        let expected = Some(vec![domain.to_owned()]);
        assert_eq!(domains(&nodes.one), expected);
        nodes.look().await;
        assert_eq!(domains(&nodes.other), expected);
    }
    remove(&nodes.other, "shop").await;
    assert_eq!(domains(&nodes.other), None);
    nodes.look().await;
    assert_eq!(domains(&nodes.one), None);
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn accounts_survive_a_store_outage_and_are_restored_to_an_empty_store() {
    let (mut redis, clock) = (Redis::start(), Clock::manual(NOW));
    let node = node(&redis, &clock).await;
    let put = async |name, app_id| put(&node, name, account(app_id, "example.com")).await;
    assert_eq!(put("shop", APP).await.status, 201);
    redis.kill();
    let later = put("later", "wx1111111111111111").await;
    later.assert_problem(503, "store_unavailable");
    look(&node, &clock).await;
    let accounts = node.broker.accounts();
    assert!(accounts.get("shop").is_ok() && accounts.get("later").is_err());
    // It comes back empty.
    redis.restart();
    assert_eq!(put("later", "wx1111111111111111").await.status, 201);
    look(&node, &clock).await;
    let accounts = node.broker.accounts();
    assert!(accounts.get("shop").is_ok() && accounts.get("later").is_ok());
    let request = http::get("/accounts/shop").bearer(KEY).close().text();
    assert_eq!(http::send(node.admin, request).await.status, 200);
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn accounts_whose_change_was_never_counted_are_restored_to_an_empty_store() {
    let nodes = Nodes::start().await;
    let clock = &nodes.clock;
    let answer = put(&nodes.one, "shop", account(APP, "example.com")).await;
    assert_eq!(answer.status, 201);
    // As if it could not be written. The other node has not looked yet.
    let mark = "wx-jssdk:{document}:accounts";
    assert_eq!(nodes.redis.cli(&["DEL", mark]), "1");
    look(&nodes.other, clock).await;
    assert!(nodes.other.broker.accounts().get("shop").is_ok());
    assert_eq!(nodes.redis.cli(&["FLUSHALL"]), "OK");
    look(&nodes.other, clock).await;
    assert!(nodes.other.broker.accounts().get("shop").is_ok());
    assert_eq!(nodes.redis.cli(&["EXISTS", mark]), "1");
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn an_account_that_the_store_has_lost_is_removed_once_it_was_restored() {
    let nodes = Nodes::start().await;
    let answer = put(&nodes.one, "shop", account(APP, "example.com")).await;
    assert_eq!(answer.status, 201);
    nodes.look().await;
    assert_eq!(nodes.redis.cli(&["FLUSHALL"]), "OK");
    let request = Request::new("DELETE", "/accounts/shop").bearer(KEY);
    let answer = http::send(nodes.one.admin, request.close().text()).await;
    answer.assert_problem(503, "store_unavailable");
    assert_eq!(answer.header("retry-after"), Some("5"));
    nodes.look().await;
    remove(&nodes.one, "shop").await;
    nodes.look().await;
    nodes.look().await;
    for service in [&nodes.one, &nodes.other] {
        assert!(service.broker.accounts().get("shop").is_err());
    }
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn accounts_survive_a_failover_to_an_older_copy_of_the_store() {
    let mut nodes = Nodes::start().await;
    let one = &nodes.one;
    let put = async |name, app_id, domain| put(one, name, account(app_id, domain)).await.status;
    assert_eq!(put("shop", APP, "a.example.com").await, 201);
    // The next server in its directory starts with this copy.
    assert_eq!(nodes.redis.cli(&["SAVE"]), "OK");
    assert_eq!(put("shop", APP, "b.example.com").await, 200);
    assert_eq!(
        put("late", "wx1111111111111111", "c.example.com").await,
        201
    );
    nodes.look().await;
    nodes.redis.restart();
    // Before a node reads it: then the copy has as many changes as the node knew.
    for (name, app_id) in [
        ("new", "wx2222222222222222"),
        ("newer", "wx3333333333333333"),
    ] {
        assert_eq!(put(name, app_id, "d.example.com").await, 201);
    }
    for _ in 0..3 {
        nodes.look().await;
    }
    for service in [one, &nodes.other] {
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
    remove(one, "late").await;
    nodes.look().await;
    assert!(nodes.other.broker.accounts().get("late").is_err());
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_removed_account_does_not_return_with_an_older_copy_of_the_store() {
    let mut nodes = Nodes::start().await;
    for (name, app_id) in [("shop", APP), ("kept", "wx1111111111111111")] {
        let answer = put(&nodes.one, name, account(app_id, "example.com")).await;
        assert_eq!(answer.status, 201);
    }
    nodes.look().await;
    // The next server in its directory starts with this copy.
    assert_eq!(nodes.redis.cli(&["SAVE"]), "OK");
    remove(&nodes.one, "shop").await;
    nodes.look().await;
    nodes.redis.restart();
    nodes.look().await;
    nodes.look().await;
    let late = node(&nodes.redis, &nodes.clock).await;
    for service in [&nodes.one, &nodes.other, &late] {
        let accounts = service.broker.accounts();
        assert!(accounts.get("shop").is_err() && accounts.get("kept").is_ok());
    }
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_change_after_a_store_loss_counts_despite_a_reused_version() {
    let mut nodes = Nodes::start().await;
    let answer = put(&nodes.one, "shop", account(APP, "a.example.com")).await;
    assert_eq!(answer.status, 201);
    nodes.look().await;
    // It comes back empty.
    nodes.redis.restart();
    let answer = put(&nodes.one, "shop", account(APP, "b.example.com")).await;
    assert_eq!(answer.status, 201);
    nodes.look().await;
    nodes.look().await;
    for service in [&nodes.one, &nodes.other] {
        let accounts = service.broker.accounts();
        let (_, account) = accounts.get("shop").unwrap();
        assert!(account.allows_page("b.example.com", "/"));
    }
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_node_that_has_not_heard_of_a_takeover_gives_it_no_credential() {
    let clock = Clock::manual(NOW);
    let sandbox = Sandbox::start(clock.clone()).await.unwrap();
    sandbox.add_app(App::official(APP, SECRET).safe_domain("example.com"));
    let nodes = Nodes::at(sandbox.url(), clock).await;
    let (one, other) = (&nodes.one, &nodes.other);
    let put = async |name, secret: &str| {
        let mut account = account(APP, "example.com");
        account["secret"] = secret.into();
        put(one, name, account).await.status
    };
    let kinds = [Kind::AccessToken, Kind::JsapiTicket];
    assert_eq!(put("own", SECRET).await, 201);
    nodes.look().await;
    for kind in kinds {
        let first = one.broker.credential("own", kind).await.unwrap();
        let shared = other.broker.credential("own", kind).await.unwrap();
        assert_eq!(first.value, shared.value, "{kind}");
    }
    remove(one, "own").await;
    // The key does not know the secret, and the other node does not know of the change.
    assert_eq!(put("evil", &"0".repeat(32)).await, 201);
    for kind in kinds {
        other.broker.refresh_now("own", kind).await.unwrap();
        assert!(one.broker.credential("evil", kind).await.is_err(), "{kind}");
    }
    nodes.look().await;
    let restarted = node_at(sandbox.url(), &nodes.redis.url(), &nodes.clock).await;
    for service in [one, other, &restarted] {
        let own = service.broker.credential("own", Kind::AccessToken).await;
        assert!(own.is_err(), "{own:?}");
        for kind in kinds {
            let evil = service.broker.credential("evil", kind).await;
            assert!(evil.is_err(), "{kind}: {evil:?}");
        }
    }
    // With the secret it finds the values of `own`, and needs no call.
    let token = "/cgi-bin/stable_token";
    let calls = sandbox.calls(token);
    assert_eq!(put("evil", SECRET).await, 200);
    let found = one.broker.credential("evil", Kind::AccessToken).await;
    assert!(sandbox.accepts_token(APP, found.unwrap().value.expose()));
    assert_eq!(sandbox.calls(token), calls);
}
