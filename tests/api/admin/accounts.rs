//! Accounts that are added, changed and removed while the service runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use wx_jssdk::Kind;
use wx_jssdk::actix::KeyHash;
use wx_jssdk::clock::Clock;
use wx_jssdk::sandbox::{App, ExpiresIn, Sandbox, Switches};

use crate::admin::world::{APP, CORP, MINI_APP, SECRET, START};
use crate::common::http::{self, Answer, Request};
use crate::common::process::alone;
use crate::common::service::{Service, settings};
use crate::secrets::Log;

const SHOP: &str = "wx1111111111111111";
const SHOP_SECRET: &str = "5ec2e7000000000000000000000000aa";

/// Key that manages all accounts.
const KEY: &str = "wxk_an-operator";
/// Key that manages `shop` and `later`.
const SHOP_KEY: &str = "wxk_the-shops-own";
/// Key for all accounts, without `manage`.
const READER: &str = "wxk_a-reader";

struct World {
    service: Service,
    sandbox: Sandbox,
    clock: Clock,
    home: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let clock = Clock::manual(START);
        let sandbox = Sandbox::start(clock.clone()).await.unwrap();
        sandbox.add_app(App::official(APP, SECRET).safe_domain("example.com"));
        sandbox.add_app(App::official(SHOP, SHOP_SECRET).safe_domain("shop.example.com"));
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("key"), "a".repeat(64)).unwrap();
        let service = start(&text(&sandbox, home.path()), &home, &clock).await;
        Self {
            service,
            sandbox,
            clock,
            home,
        }
    }

    /// Stops the service and starts it with another configuration on the same store.
    async fn restarted(self, change: impl FnOnce(String) -> String) -> Self {
        self.service.end().await;
        let text = change(text(&self.sandbox, self.home.path()));
        let service = start(&text, &self.home, &self.clock).await;
        Self { service, ..self }
    }

    async fn send(&self, request: Request, key: &str, body: Option<&Value>) -> Answer {
        let request = request.bearer(key).close();
        let text = match body {
            Some(body) => request
                .header("Content-Type", "application/json")
                .body(body),
            None => request.text(),
        };
        http::send(self.service.admin, text).await
    }

    async fn get(&self, target: &str) -> Answer {
        self.send(http::get(target), KEY, None).await
    }

    async fn put(&self, name: &str, body: &Value) -> Answer {
        let request = Request::new("PUT", format!("/accounts/{name}"));
        self.send(request, KEY, Some(body)).await
    }

    async fn delete(&self, name: &str) -> Answer {
        let request = Request::new("DELETE", format!("/accounts/{name}"));
        self.send(request, KEY, None).await
    }

    /// Has the service sign a page on this host.
    async fn sign(&self, account: &str, host: &str) -> Answer {
        let target = format!("/jssdk/config?account={account}&url=https%3A%2F%2F{host}%2Fp");
        http::send(self.service.public, http::get(target).close().text()).await
    }

    fn reload(&self, text: &str) {
        let settings = settings(text, self.home.path());
        self.service.reloader.reload(settings).unwrap();
    }

    /// Lets the service look into its store until this holds.
    #[cfg(feature = "sql")]
    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        crate::common::wait::until(what, async || {
            self.clock.advance(Duration::from_secs(6));
            self.service.broker.tend().await;
            holds().await
        })
        .await;
    }

    fn store(&self) -> PathBuf {
        self.home.path().join("store.redb")
    }
}

fn text(sandbox: &Sandbox, home: &Path) -> String {
    let key = |name: &str, key: &str, more: &str| {
        let hash = KeyHash::of(key);
        format!("[[server.api_keys]]\nname = \"{name}\"\nsha256 = \"{hash}\"\n{more}\n")
    };
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\nshutdown_seconds = 0\n\
         {}{}{}[store]\nkind = \"file\"\npath = \"{6}/store.redb\"\nencryption_key_file = \"key\"\n\
         [upstream]\nweixin = \"{5}\"\nqyapi = \"{5}\"\n\
         [accounts.main]\napp_id = \"{3}\"\nsecret = \"{4}\"\njs_safe_domains = [\"example.com\"]\n",
        key("operator", KEY, "manage = true"),
        key(
            "shop",
            SHOP_KEY,
            "manage = true\naccounts = [\"shop\", \"later\"]"
        ),
        key("reader", READER, ""),
        APP,
        SECRET,
        sandbox.url(),
        home.display(),
    )
}

async fn start(text: &str, home: &tempfile::TempDir, clock: &Clock) -> Service {
    Service::start(settings(text, home.path()), clock.clone()).await
}

fn shop() -> Value {
    json!({
        "platform": "official", "app_id": SHOP, "secret": SHOP_SECRET,
        "js_safe_domains": ["shop.example.com"], "js_api_list": ["scanQRCode"],
    })
}

#[tokio::test]
async fn an_account_works_from_its_addition_to_its_removal() {
    let world = World::new().await;
    assert_eq!(world.sign("shop", "shop.example.com").await.status, 404);
    let added = world.put("shop", &shop()).await;
    assert_eq!(added.status, 201, "{added:?}");
    assert_eq!(added.header("etag"), Some("\"1\""));
    let expected = json!({
        "account": "shop", "source": "api", "platform": "official", "app_id": SHOP,
        "secret": "set", "token_mode": "stable", "js_safe_domains": ["shop.example.com"],
        "js_api_list": ["scanQRCode"], "open_tag_list": [],
    });
    let shown = world.get("/accounts/shop").await;
    assert_eq!(shown.header("etag"), Some("\"1\""));
    for answer in [added, shown] {
        let mut shown = answer.json();
        shown["open_tag_list"] = json!([]);
        assert_eq!(shown, expected);
    }
    let config = world.sign("shop", "www.shop.example.com").await;
    assert_eq!(config.status, 200, "{config:?}");
    assert_eq!(config.json()["appId"], SHOP);
    let token = world.get("/credentials/shop/access_token").await;
    assert_eq!(token.status, 200, "{token:?}");

    // The answer can be sent back as a request: the secret stays.
    let mut changed = world.get("/accounts/shop").await.json();
    changed["js_safe_domains"] = json!(["new.example.com"]);
    let answer = world.put("shop", &changed).await;
    assert_eq!((answer.status, answer.header("etag")), (200, Some("\"2\"")));
    assert_eq!(world.sign("shop", "new.example.com").await.status, 200);
    assert_eq!(world.sign("shop", "shop.example.com").await.status, 403);
    let again = world.put("shop", &changed).await;
    assert_eq!((again.status, again.header("etag")), (200, Some("\"2\"")));
    world.service.wait_for_first_refreshes().await;
    assert_eq!(world.sandbox.calls("/cgi-bin/stable_token"), 2);

    let removed = world.delete("shop").await;
    assert_eq!((removed.status, removed.text.as_str()), (204, ""));
    assert_eq!(world.sign("shop", "new.example.com").await.status, 404);
    world
        .delete("shop")
        .await
        .assert_problem(404, "unknown_account");
    world
        .get("/accounts/shop")
        .await
        .assert_problem(404, "unknown_account");
    assert_eq!(world.put("shop", &shop()).await.status, 201);
}

#[tokio::test]
async fn all_mistakes_of_an_account_are_named_at_once() {
    let world = World::new().await;
    let bad = json!({
        "platform": "official", "app_id": "gh_1", "js_safe_domains": ["https://a.example.com"],
        "secret_file": "/etc/passwd", "token_mod": "stable",
    });
    let answer = world.put("shop", &bad).await;
    let problem = answer.assert_problem(400, "bad_body");
    for lang in ["en", "zh"] {
        let hint = problem["hint"][lang].as_str().unwrap();
        for key in [
            "app_id",
            "js_safe_domains",
            "secret",
            "secret_file",
            "token_mod",
        ] {
            assert!(hint.contains(key), "{key}: {hint}");
        }
    }
    let mut without = shop();
    without.as_object_mut().unwrap().remove("js_safe_domains");
    for (name, body) in [
        ("shop", without),
        ("shop", json!([])),
        ("shop", json!({})),
        (
            "shop",
            json!({ "platform": "component", "app_id": SHOP, "secret": SECRET }),
        ),
        ("Shop", shop()),
    ] {
        let answer = world.put(name, &body).await;
        answer.assert_problem(400, "bad_body");
    }
    let mut long = shop();
    let names = (0..150).map(|n| format!("aLongInterfaceName{n:022}"));
    long["js_api_list"] = names.collect();
    let answer = world.put("shop", &long).await;
    let problem = answer.assert_problem(413, "body_too_large");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("the account") && detail.contains("5500"),
        "{detail}"
    );
    let list = world.get("/accounts").await.json();
    assert_eq!(list["accounts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_unknown_setting_is_answered_with_those_that_an_account_here_may_have() {
    let world = World::new().await;
    let mut odd = shop();
    odd["colour"] = json!("red");
    let answer = world.put("shop", &odd).await;
    let problem = answer.assert_problem(400, "bad_body");
    let hint = problem["hint"]["en"].as_str().unwrap();
    assert!(hint.contains("colour: unknown setting"), "{hint}");
    for key in ["secret", "js_safe_domains", "token_mode"] {
        assert!(hint.contains(key), "{key}: {hint}");
    }
    for key in ["secret_file", "proxy", "verify_files"] {
        assert!(!hint.contains(key), "{key}: {hint}");
    }
}

#[tokio::test]
async fn accounts_of_the_configuration_are_shown_and_stay_as_they_are() {
    let world = World::new().await;
    let main = world.get("/accounts/main").await;
    assert_eq!((main.status, main.header("etag")), (200, None));
    assert_eq!(main.json()["source"], "configuration");
    let put = world.put("main", &shop()).await;
    put.assert_problem(409, "account_conflict");
    let delete = world.delete("main").await;
    delete.assert_problem(409, "account_conflict");
    // A mini program with the AppID of an official account is the same app, too.
    for platform in ["official", "mini"] {
        let mut same = shop();
        same["app_id"] = APP.into();
        same["platform"] = platform.into();
        let problem = world.put("other", &same).await;
        let problem = problem.assert_problem(409, "account_conflict");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("\"main\" and \"other\" are the same app"),
            "{detail}"
        );
    }
    assert_eq!(world.put("shop", &shop()).await.status, 201);
    world
        .put("twin", &shop())
        .await
        .assert_problem(409, "account_conflict");
    let list = world.get("/accounts").await.json();
    assert_eq!(
        list["accounts"],
        json!([
            { "account": "main", "source": "configuration", "platform": "official", "app_id": APP },
            { "account": "shop", "source": "api", "platform": "official", "app_id": SHOP },
        ])
    );
    let status = world.get("/status.json").await.json();
    let sources = status["accounts"].as_array().unwrap().iter();
    let mut sources: Vec<_> = sources
        .map(|one| {
            (
                one["account"].as_str().unwrap(),
                one["source"].as_str().unwrap(),
            )
        })
        .collect();
    sources.sort_unstable();
    assert_eq!(sources, [("main", "configuration"), ("shop", "api")]);
    let page = world.get("/status?lang=en").await.text;
    assert!(page.contains("Added by the admin API."), "{page}");
    // Requests that name no account still get the only configured one.
    assert_eq!(world.sign("", "example.com").await.json()["appId"], APP);
}

#[tokio::test]
async fn a_key_manages_its_accounts_and_only_with_manage() {
    let world = World::new().await;
    let send = async |method: &str, target: &str, key: &str, body: Option<&Value>| {
        world.send(Request::new(method, target), key, body).await
    };
    let shop = shop();
    for (method, target, body) in [
        ("GET", "/accounts", None),
        ("GET", "/accounts/main", None),
        ("PUT", "/accounts/shop", Some(&shop)),
        ("DELETE", "/accounts/shop", None),
    ] {
        let reader = send(method, target, READER, body).await;
        reader.assert_problem(403, "forbidden");
        let stranger = send(method, target, "wxk_wrong", body).await;
        stranger.assert_problem(401, "unauthorized");
    }
    let other = send("PUT", "/accounts/other", SHOP_KEY, Some(&shop)).await;
    other.assert_problem(403, "forbidden");
    // The answer does not even disclose whether it exists.
    for name in ["main", "gone"] {
        let answer = send("GET", &format!("/accounts/{name}"), SHOP_KEY, None).await;
        answer.assert_problem(403, "forbidden");
    }
    let own = send("PUT", "/accounts/shop", SHOP_KEY, Some(&shop)).await;
    assert_eq!(own.status, 201);
    // An account of the same app is named only to a key that opens it.
    let mut same = shop.clone();
    for (app_id, detail) in [
        (
            APP,
            format!("another account is the same app official:{APP}: keep one of them"),
        ),
        (
            SHOP,
            format!(
                "the accounts \"shop\" and \"later\" are the same app official:{SHOP}: keep one of them"
            ),
        ),
    ] {
        same["app_id"] = app_id.into();
        let answer = send("PUT", "/accounts/later", SHOP_KEY, Some(&same)).await;
        let problem = answer.assert_problem(409, "account_conflict");
        assert_eq!(problem["detail"], detail);
    }
    let list = send("GET", "/accounts", SHOP_KEY, None).await.json();
    assert_eq!(list["accounts"].as_array().unwrap().len(), 1);
    let post = send("POST", "/accounts/shop", KEY, Some(&shop)).await;
    post.assert_problem(405, "method_not_allowed");
    assert_eq!(post.header("allow"), Some("GET, PUT, DELETE"));
}

#[tokio::test]
async fn a_change_of_an_older_version_is_refused() {
    let world = World::new().await;
    let put = async |header: (&str, &str), body: &Value| {
        let request = Request::new("PUT", "/accounts/shop").header(header.0, header.1);
        world.send(request, KEY, Some(body)).await
    };
    for version in ["*", "\"0\"", "\"3\""] {
        let missing = put(("If-Match", version), &shop()).await;
        let problem = missing.assert_problem(412, "version_conflict");
        assert_eq!(problem["detail"], "there is no account to replace");
    }
    assert_eq!(put(("If-None-Match", "*"), &shop()).await.status, 201);
    let mut changed = shop();
    changed["js_safe_domains"] = json!(["new.example.com"]);
    let other_version = "the account has been changed meanwhile: its version is 1";
    for (name, value, detail) in [
        ("If-None-Match", "*", "the account exists already"),
        ("If-Match", "\"2\"", other_version),
        ("If-Match", "W/\"1\"", other_version),
        ("If-Match", "1", other_version),
        ("If-None-Match", "\"1\"", "If-None-Match has to be *"),
    ] {
        let answer = put((name, value), &changed).await;
        let problem = answer.assert_problem(412, "version_conflict");
        assert_eq!(problem["detail"], detail);
    }
    assert_eq!(put(("If-Match", "\"1\""), &changed).await.status, 200);
    let request = Request::new("DELETE", "/accounts/shop").header("If-Match", "\"1\"");
    let late = world.send(request, KEY, None).await;
    late.assert_problem(412, "version_conflict");
    let request = Request::new("DELETE", "/accounts/shop").header("If-Match", "\"2\"");
    assert_eq!(world.send(request, KEY, None).await.status, 204);
}

/// Puts `later`, the shop's app with this secret, with the limited key.
async fn put_later(world: &World, secret: &str, domain: &str) -> u16 {
    let mut later = shop();
    later["secret"] = secret.into();
    later["js_safe_domains"] = json!([domain]);
    let request = Request::new("PUT", "/accounts/later");
    let answer = world.send(request, SHOP_KEY, Some(&later)).await;
    answer.status
}

#[tokio::test]
async fn a_key_without_the_secret_gets_no_token_of_a_removed_app() {
    let wrong = "0".repeat(32);
    let token = async |world: &World, name: &str| {
        let target = format!("/credentials/{name}/access_token");
        world.send(http::get(target), SHOP_KEY, None).await
    };
    let serves_nothing = async |world: &World| {
        for kind in ["access_token", "jsapi_ticket"] {
            let target = format!("/credentials/later/{kind}");
            let answer = world.send(http::get(target), SHOP_KEY, None).await;
            assert_ne!(answer.status, 200, "{answer:?}");
        }
        let config = world.sign("later", "later.example.com").await;
        assert_ne!(config.status, 200, "{config:?}");
    };
    let world = World::new().await;
    let plain = text(&world.sandbox, world.home.path());
    let boutique = format!(
        "{plain}[accounts.boutique]\napp_id = \"{SHOP}\"\nsecret = \"{SHOP_SECRET}\"\njs_safe_domains = [\"b.example.com\"]\n"
    )
    .replace("workers = 1", "workers = 1\ndefault_account = \"main\"");

    // Removed by the API.
    assert_eq!(world.put("shop", &shop()).await.status, 201);
    assert_eq!(world.sign("shop", "shop.example.com").await.status, 200);
    assert_eq!(world.delete("shop").await.status, 204);
    assert_eq!(put_later(&world, &wrong, "later.example.com").await, 201);
    serves_nothing(&world).await;
    assert_eq!(world.delete("later").await.status, 204);

    // Removed from the configuration, before and after the account was added.
    world.reload(&boutique);
    assert_eq!(world.sign("boutique", "b.example.com").await.status, 200);
    world.reload(&plain);
    assert_eq!(put_later(&world, &wrong, "later.example.com").await, 201);
    serves_nothing(&world).await;
    world.reload(&boutique);
    assert_eq!(world.sign("boutique", "b.example.com").await.status, 200);
    world.reload(&plain);
    serves_nothing(&world).await;

    // Also after a restart, and then with the right secret, which finds what `shop` has stored.
    let world = world.restarted(|text| text).await;
    serves_nothing(&world).await;
    let calls = world.sandbox.calls("/cgi-bin/stable_token");
    assert_eq!(
        put_later(&world, SHOP_SECRET, "later.example.com").await,
        200
    );
    assert_eq!(world.sign("later", "later.example.com").await.status, 200);
    assert_eq!(world.sandbox.calls("/cgi-bin/stable_token"), calls);
    let answer = token(&world, "later").await;
    assert!(
        answer.json()["expires_in"].as_u64().unwrap() > 6_000,
        "{answer:?}"
    );
    // A change of the same account costs no call, not even that of its secret.
    for (secret, domain) in [
        (SHOP_SECRET, "new.example.com"),
        (&wrong, "new.example.com"),
    ] {
        assert_eq!(put_later(&world, secret, domain).await, 200);
        assert_eq!(world.sign("later", domain).await.status, 200);
    }
    assert_eq!(world.sandbox.calls("/cgi-bin/stable_token"), calls);
}

#[tokio::test]
async fn mini_programs_and_wecom_apps_can_be_added_too() {
    let world = World::new().await;
    let mini = json!({ "platform": "mini", "app_id": MINI_APP, "secret": SECRET });
    assert_eq!(world.put("game", &mini).await.status, 201);
    let work = json!({
        "platform": "work", "corp_id": CORP, "agent_id": 1_000_002, "secret": SECRET,
        "js_safe_domains": ["example.com"],
    });
    let answer = world.put("sales", &work).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let shown = world.get("/accounts/sales").await.json();
    assert_eq!(
        (&shown["corp_id"], &shown["agent_id"]),
        (&json!(CORP), &json!(1_000_002))
    );
    assert_eq!(shown.get("app_id"), None);
    // The secret of one app is not sent to another.
    let mut other = shown.clone();
    other["agent_id"] = 7.into();
    let problem = world.put("sales", &other).await;
    let problem = problem.assert_problem(400, "bad_body");
    assert!(
        problem["detail"].as_str().unwrap().ends_with("secret"),
        "{problem}"
    );
}

#[tokio::test]
async fn an_account_survives_a_restart_and_its_secret_is_encrypted() {
    let world = World::new().await;
    assert_eq!(world.put("shop", &shop()).await.status, 201);
    let stored = fs::read(world.store()).unwrap();
    let holds = |text: &str| {
        stored
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(holds("account:shop") && !holds(SHOP_SECRET) && !holds("scanQRCode"));
    let world = world.restarted(|text| text).await;
    assert_eq!(world.sign("shop", "shop.example.com").await.status, 200);
    assert_eq!(world.delete("shop").await.status, 204);
    let world = world.restarted(|text| text).await;
    assert_eq!(world.sign("shop", "shop.example.com").await.status, 404);
}

#[tokio::test]
async fn an_app_can_be_added_again_after_the_stores_key_has_changed() {
    let mut world = World::new().await;
    let shop = shop();
    let mut gone = shop.clone();
    gone["app_id"] = MINI_APP.into();
    let work = json!({
        "platform": "work", "corp_id": CORP, "agent_id": 1, "secret": SECRET,
        "js_safe_domains": ["example.com"],
    });
    for (name, body) in [("shop", &shop), ("gone", &gone), ("work", &work)] {
        assert_eq!(world.put(name, body).await.status, 201);
    }
    assert_eq!(world.delete("gone").await.status, 204);
    fs::write(world.home.path().join("new"), "b".repeat(64)).unwrap();
    // As docs/CONFIGURATION.md says: the old key as the previous one, later without it.
    let keys = "encryption_key_file = \"new\"\nprevious_encryption_key_file = \"key\"";
    for keys in [keys, "encryption_key_file = \"new\""] {
        world = world
            .restarted(|text| text.replace("encryption_key_file = \"key\"", keys))
            .await;
        world.service.broker.tend().await;
    }
    assert_eq!(world.put("gone", &gone).await.status, 201);
    for (name, body) in [("shop", &shop), ("work", &work)] {
        assert_eq!(world.delete(name).await.status, 204);
        let added = world.put(name, body).await;
        assert_eq!(added.status, 201, "{added:?}");
    }
}

#[cfg(feature = "sql")]
#[tokio::test]
async fn a_node_that_starts_without_its_store_is_ready_once_it_has_the_stored_accounts() {
    let world = World::new().await;
    let home = world.home.path().to_owned();
    let (database, away) = (home.join("db"), home.join("away"));
    fs::create_dir(&database).unwrap();
    let with_sql = |text: String| {
        let home = home.display();
        text.replace(
            &format!("kind = \"file\"\npath = \"{home}/store.redb\""),
            &format!("kind = \"sql\"\nurl = \"sqlite://{home}/db/store.db\""),
        )
    };
    let world = world.restarted(with_sql).await;
    let is_stored = async || world.put("shop", &shop()).await.status < 300;
    world.until("the account is stored", is_stored).await;

    fs::rename(&database, &away).unwrap();
    let world = world.restarted(with_sql).await;
    let ready = world.get("/readyz").await;
    assert_eq!(ready.status, 503, "{ready:?}");
    let report = ready.json();
    let cause = report["cause"]["en"].as_str().unwrap();
    assert!(cause.contains("store") && report["fix"]["zh"].is_string());
    // The account of its file is served.
    assert_eq!(world.sign("main", "example.com").await.status, 200);
    world
        .sign("shop", "shop.example.com")
        .await
        .assert_problem(503, "accounts_not_loaded");

    fs::rename(&away, &database).unwrap();
    let is_ready = async || world.get("/readyz").await.status == 200;
    world.until("the service is ready", is_ready).await;
    assert_eq!(world.get("/readyz").await.json().get("cause"), None);
    assert_eq!(world.sign("shop", "shop.example.com").await.status, 200);
}

#[tokio::test]
async fn a_ticket_that_wechat_repeats_keeps_its_end_when_its_account_moves() {
    let world = World::new().await;
    let app = App::official(SHOP, SHOP_SECRET).safe_domain("shop.example.com");
    // WeChat reports 7,200 seconds for a ticket of any age.
    world.sandbox.add_app(app.switches(Switches {
        ticket_expires_in: ExpiresIn::Full,
        ..Switches::default()
    }));
    let is_accepted = async || {
        let ticket = world.get("/credentials/shop/jsapi_ticket").await.json();
        let ticket = ticket["value"].as_str().unwrap();
        world.sandbox.accepts_ticket(SHOP, "jsapi", ticket)
    };
    let calls = || world.sandbox.calls("/cgi-bin/ticket/getticket");
    let plain = text(&world.sandbox, world.home.path())
        .replace("workers = 1", "workers = 1\ndefault_account = \"main\"");
    let configured = format!(
        "{plain}[accounts.shop]\napp_id = \"{SHOP}\"\nsecret = \"{SHOP_SECRET}\"\njs_safe_domains = [\"shop.example.com\"]\n"
    );
    world.reload(&configured);
    // To the admin API, back, and there again: then both keys hold an older ticket too.
    for to_api in [true, false, true] {
        assert!(is_accepted().await);
        world.clock.advance(Duration::from_secs(6_000));
        let before = calls();
        if to_api {
            world.reload(&plain);
            assert_eq!(world.put("shop", &shop()).await.status, 201);
        } else {
            assert_eq!(world.delete("shop").await.status, 204);
            world.reload(&configured);
        }
        assert!(is_accepted().await, "to the API: {to_api}");
        for _ in 0..20 {
            world.clock.advance(Duration::from_secs(31));
            world.service.broker.tend().await;
            assert!(is_accepted().await, "to the API: {to_api}");
        }
        let made = calls() - before;
        assert!(made <= 2, "to the API: {to_api}: {made} calls");
        world.clock.advance(Duration::from_secs(980));
        assert!(is_accepted().await, "to the API: {to_api}");
        world.clock.advance(Duration::from_secs(7_200));
    }
}

#[tokio::test]
async fn a_configured_account_overrides_a_stored_one_until_it_is_removed() {
    let world = World::new().await;
    // In classic mode each call returns another token.
    let mut classic = shop();
    classic["token_mode"] = json!("classic");
    assert_eq!(world.put("shop", &classic).await.status, 201);
    assert_eq!(world.sign("shop", "shop.example.com").await.status, 200);
    let broker = &world.service.broker;
    let token = async || broker.credential("shop", Kind::AccessToken).await.unwrap();
    let before = token().await;
    let plain = text(&world.sandbox, world.home.path());
    // The same name, and the same app under another name.
    for (name, app_id) in [("shop", MINI_APP), ("boutique", SHOP)] {
        let taken = format!(
            "{plain}[accounts.{name}]\napp_id = \"{app_id}\"\nsecret = \"{SHOP_SECRET}\"\njs_safe_domains = [\"taken.example.com\"]\n"
        )
        .replace("workers = 1", "workers = 1\ndefault_account = \"main\"");
        world.reload(&taken);
        let answer = world.sign("shop", "shop.example.com").await;
        assert!(matches!(answer.status, 403 | 404), "{answer:?}");
        let taken = world.put(name, &shop()).await;
        taken.assert_problem(409, "account_conflict");
        let list = world.get("/accounts").await.json();
        let mut stored = list["accounts"].as_array().unwrap().iter();
        let stored = stored.find(|one| one["source"] == "api").unwrap();
        assert_eq!(stored["account"], "shop", "{list}");
        assert_eq!(stored["ignored"], true, "{list}");
    }
    world.reload(&plain);
    assert_eq!(world.sign("shop", "shop.example.com").await.status, 200);
    let after = token().await;
    assert!(after.value == before.value, "the app kept its token");
}

#[tokio::test]
async fn the_log_names_key_and_account_and_no_answer_or_line_has_the_secret() {
    if !alone(the_log_names_key_and_account_and_no_answer_or_line_has_the_secret) {
        return;
    }
    let log = Log::default();
    log.listen();
    let world = World::new().await;
    let mut said = String::new();
    let mut hear = |answer: Answer| said.push_str(&answer.text);
    hear(world.put("shop", &shop()).await);
    hear(world.put("twin", &shop()).await);
    let mut changed = shop();
    changed["js_safe_domains"] = json!(["new.example.com"]);
    hear(world.put("shop", &changed).await);
    changed["app_id"] = "gh_1".into();
    hear(world.put("shop", &changed).await);
    changed["secre"] = SHOP_SECRET.into();
    hear(world.put("shop", &changed).await);
    for target in [
        "/accounts",
        "/accounts/shop",
        "/status",
        "/status.json",
        "/metrics",
    ] {
        hear(world.get(target).await);
    }
    let taken = format!(
        "{}[accounts.boutique]\napp_id = \"{SHOP}\"\nsecret = \"{SHOP_SECRET}\"\njs_safe_domains = [\"b.example.com\"]\n",
        text(&world.sandbox, world.home.path())
            .replace("workers = 1", "workers = 1\ndefault_account = \"main\"")
    );
    world.reload(&taken);
    world.reload(&taken);
    hear(world.delete("shop").await);
    let log = log.text();
    for event in ["added", "changed", "removed"] {
        let line = log
            .lines()
            .find(|line| line.contains(&format!("account {event}")));
        let line = line.unwrap_or_else(|| panic!("{event}: {log}"));
        assert!(
            line.contains("INFO")
                && line.contains("key=\"operator\"")
                && line.contains("account=\"shop\""),
            "{line}"
        );
    }
    let ignored = log.matches("stored account ignored: another account is used instead");
    assert_eq!(ignored.count(), 1, "{log}");
    for text in [log, said] {
        assert!(!text.contains(SHOP_SECRET), "{text}");
    }
}
