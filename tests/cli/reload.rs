//! A new configuration for a running service: applied at once without losses, or refused as a whole.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::time::timeout;
use wx_jssdk::actix::KeyHash;
use wx_jssdk::clock::Clock;
use wx_jssdk::sandbox::{App, Sandbox};
use wx_jssdk::server::Reloaded;

use crate::common::program::{BOUND, Running, SECRET, client, command, get, make_fifo, run_in};
use crate::common::wait::{called, until, until_ok};
use crate::operations::world::{Service, TICKET, TOKEN, read};

/// Lets the simulated WeChat know wxa, wxb and wxc.
fn add_apps(sandbox: &Sandbox) {
    for id in ["wxa", "wxb", "wxc"] {
        sandbox.add_app(App::official(id, SECRET).safe_domain("example.com"));
    }
}

async fn wechat() -> Sandbox {
    let sandbox = Sandbox::start(Clock::shifted()).await.unwrap();
    add_apps(&sandbox);
    sandbox
}

/// These accounts (name, app id, secret) and keys.
fn lines(accounts: &[(&str, &str, &str)], keys: &[&str]) -> String {
    let mut lines = String::new();
    for key in keys {
        let _ = write!(
            lines,
            "[[server.api_keys]]\nname = \"{key}\"\nsha256 = \"{}\"\n",
            KeyHash::of(key)
        );
    }
    for (name, id, secret) in accounts {
        let _ = write!(
            lines,
            "[accounts.{name}]\napp_id = \"{id}\"\nsecret = \"{secret}\"\n"
        );
    }
    lines
}

/// A configuration of the real binary on that WeChat with these accounts and keys.
fn text(sandbox: &Sandbox, accounts: &[(&str, &str, &str)], keys: &[&str]) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[store]\nkind = \"memory\"\n
        [upstream]\nweixin = \"{0}\"\nqyapi = \"{0}\"\ntimeout_ms = 60000\n[account_defaults]\njs_safe_domains = [\"example.com\"]\n{1}",
        sandbox.url(),
        lines(accounts, keys)
    )
}

/// The same configuration with a default account.
fn with_default(text: &str, name: &str) -> String {
    text.replacen(
        "[server]\n",
        &format!("[server]\ndefault_account = \"{name}\"\n"),
        1,
    )
}

const A: (&str, &str, &str) = ("a", "wxa", SECRET);
const B: (&str, &str, &str) = ("b", "wxb", SECRET);
const C: (&str, &str, &str) = ("c", "wxc", SECRET);

async fn credential(admin: &str, account: &str, kind: &str, key: &str) -> (u16, Value) {
    let url = format!("{admin}/credentials/{account}/{kind}");
    let answer = client().get(url).bearer_auth(key).send().await.unwrap();
    (
        answer.status().as_u16(),
        serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
    )
}

async fn sign(public: &str, account: &str) -> (u16, Value) {
    let (status, body) = get(&format!(
        "{public}/jssdk/config?url=https%3A%2F%2Fexample.com%2F&account={account}"
    ))
    .await;
    (status, serde_json::from_str(&body).unwrap())
}

// -- in this process, on a manual clock --

/// The service in this process, ready while all these accounts are.
async fn start(accounts: &[(&str, &str, &str)], keys: &[&str]) -> Service {
    Service::start("readiness = \"all\"", &lines(accounts, keys), add_apps).await
}

fn reload(service: &Service, accounts: &[(&str, &str, &str)], keys: &[&str]) -> Reloaded {
    let settings = service.settings(&lines(accounts, keys));
    service.reloader.reload(settings).unwrap()
}

#[tokio::test]
async fn an_account_that_is_removed_is_unknown_and_one_that_is_added_works_at_once() {
    let service = start(&[A, B], &["k"]).await;
    assert_eq!(sign(&service.public, "a").await.0, 200);
    assert_eq!(
        sign(&service.public, "c").await.1["code"],
        "unknown_account"
    );
    let reloaded = reload(&service, &[B, C], &["k"]);
    assert_eq!(
        (reloaded.accounts, reloaded.added, reloaded.removed),
        (2, vec!["c".into()], vec!["a".into()])
    );
    assert_eq!(reloaded.needs_restart, Vec::<&str>::new());
    assert_eq!(sign(&service.public, "c").await.0, 200);
    assert_eq!(
        sign(&service.public, "a").await.1["code"],
        "unknown_account"
    );
    assert_eq!(
        credential(&service.admin, "a", "access_token", "k").await.1["code"],
        "unknown_account"
    );
    service.end().await;
}

#[tokio::test]
async fn a_renamed_account_keeps_the_credentials_of_its_app() {
    let service = start(&[A, B], &["k"]).await;
    let before = credential(&service.admin, "a", "jsapi_ticket", "k").await.1;
    assert_eq!(sign(&service.public, "b").await.0, 200);
    service.sandbox.reset_calls();
    reload(&service, &[("renamed", "wxa", SECRET), B], &["k"]);
    assert_eq!(
        credential(&service.admin, "renamed", "jsapi_ticket", "k")
            .await
            .1,
        before
    );
    assert_eq!(sign(&service.public, "b").await.0, 200);
    assert_eq!(
        (service.sandbox.calls(TOKEN), service.sandbox.calls(TICKET)),
        (0, 0),
        "WeChat is not called again"
    );
    service.end().await;
}

#[tokio::test]
async fn a_corrected_secret_heals_at_once_despite_the_cooldown() {
    let service = start(&[("a", "wxa", "deadbeefdeadbeefdeadbeefdeadbeef")], &[]).await;
    assert_eq!(
        sign(&service.public, "a").await.1["code"],
        "account_misconfigured"
    );
    assert_eq!(service.ready().await.0, 503);
    reload(&service, &[A], &[]);
    assert_eq!(
        sign(&service.public, "a").await.0,
        200,
        "no time has passed: the clock stands still"
    );
    assert_eq!(service.ready().await.0, 200);
    service.end().await;
}

#[tokio::test]
async fn a_secret_reset_at_wechat_is_reported_and_a_reload_with_the_new_one_recovers() {
    const NEW: &str = "00000000000000000000000000000000";
    let service = start(&[A], &["k"]).await;
    let before = credential(&service.admin, "a", "access_token", "k").await.1;
    assert_eq!(sign(&service.public, "a").await.0, 200);
    service
        .sandbox
        .add_app(App::official("wxa", NEW).safe_domain("example.com"));
    service.advance(7_200 - 120);
    let told = until_ok("the refresh meets the old secret", async || {
        let account = service.ready().await.1["accounts"][0].clone();
        if account["errcode"] == 40_125 {
            Ok(account)
        } else {
            Err(account)
        }
    })
    .await;
    assert_eq!(
        (&told["ready"], &told["reason"]),
        (&json!(true), &json!("setup")),
        "{told}"
    );
    assert!(
        told["fix"]["en"].as_str().unwrap().contains("AppSecret") && told["fix"]["zh"].is_string(),
        "{told}"
    );
    assert_eq!(
        credential(&service.admin, "a", "access_token", "k").await,
        (200, {
            let mut left = before.clone();
            left["expires_in"] = json!(120);
            left
        })
    );
    service.advance(120);
    let refused = credential(&service.admin, "a", "access_token", "k").await;
    assert_eq!(
        (refused.0, &refused.1["code"]),
        (502, &json!("account_misconfigured")),
        "{refused:?}"
    );
    reload(&service, &[("a", "wxa", NEW)], &["k"]);
    let (status, after) = credential(&service.admin, "a", "access_token", "k").await;
    assert_eq!(status, 200, "no time has passed: {after}");
    assert!(
        service
            .sandbox
            .accepts_token("wxa", after["value"].as_str().unwrap())
    );
    assert_eq!(sign(&service.public, "a").await.0, 200);
    service.end().await;
}

#[tokio::test]
async fn keys_are_replaced_at_the_next_request() {
    let service = start(&[A], &["old", "stays"]).await;
    let status = |key: &'static str| {
        let admin = service.admin.clone();
        async move { credential(&admin, "a", "access_token", key).await.0 }
    };
    assert_eq!(
        (
            status("old").await,
            status("stays").await,
            status("new").await
        ),
        (200, 200, 401)
    );
    reload(&service, &[A], &["new", "stays"]);
    assert_eq!(
        (
            status("old").await,
            status("stays").await,
            status("new").await
        ),
        (401, 200, 200)
    );
    reload(&service, &[A], &[]);
    assert_eq!(
        (status("new").await, status("stays").await),
        (401, 401),
        "without keys every caller is refused"
    );
    service.end().await;
}

#[tokio::test]
async fn a_request_waiting_for_wechat_is_answered_though_a_reload_removes_its_account() {
    let service = start(&[A, B], &[]).await;
    for account in ["a", "b"] {
        assert_eq!(sign(&service.public, account).await.0, 200);
    }
    let gate = service.sandbox.hold(TICKET);
    let url = format!("{}/jssdk/card-ext?cardId=p1&account=", service.public);
    let waiting = [format!("{url}a"), format!("{url}b")];
    let waiting = waiting.map(|url| tokio::spawn(async move { get(&url).await }));
    // Only a request fetches the ticket of coupons.
    called(&service.sandbox, TICKET, 4).await;
    reload(&service, &[B], &[]);
    gate.release();
    for answer in waiting {
        let answer = timeout(BOUND, answer).await.expect("an answer").unwrap();
        assert_eq!(answer.0, 200, "{answer:?}");
    }
    service.end().await;
}

#[tokio::test]
async fn settings_that_need_a_restart_are_named_and_the_rest_is_applied() {
    let service = start(&[A], &[]).await;
    let mut changed = service.text(&lines(&[B], &[]));
    changed = changed.replace(
        "listen = \"127.0.0.1:0\"\nadmin",
        "listen = \"127.0.0.1:9\"\ndemo = true\nadmin",
    );
    for (before, after) in [
        ("admin_listen = \"127.0.0.1:0\"", "admin_listen = \"\""),
        ("workers = 1", "workers = 2"),
        ("shutdown_seconds = 0", "shutdown_seconds = 1"),
        ("timeout_ms = 60000", "timeout_ms = 7000"),
    ] {
        changed = changed.replace(before, after);
    }
    let doors = "readiness = \"any\"\nadmin_hosts = [\"ops.example.com\"]\ntrusted_proxies = [\"10.0.0.0/8\"]\nreuse_port = true";
    changed = changed.replace("[upstream]", "[limits]\nburst = 9\n[upstream]");
    changed = changed.replace("readiness = \"all\"", doors);
    changed = changed.replace("kind = \"memory\"", "kind = \"file\"");
    changed = changed.replace("[upstream]", "[log]\nlevel = \"debug\"\n[upstream]");
    let reloaded = service.reloader.reload(read(&changed)).unwrap();
    assert_eq!(
        reloaded.needs_restart,
        [
            "server.listen",
            "server.admin_listen",
            "server.admin_hosts",
            "server.workers",
            "server.shutdown_seconds",
            "server.demo",
            "server.readiness",
            "server.trusted_proxies",
            "server.reuse_port",
            "limits",
            "log",
            "store",
            "upstream"
        ]
    );
    let header = service
        .text(&lines(&[B], &[]))
        .replace("[server]", "[server]\nclient_ip_header = \"X-Real-IP\"");
    assert_eq!(
        service
            .reloader
            .reload(read(&header))
            .unwrap()
            .needs_restart,
        ["server.client_ip_header"]
    );
    assert_eq!(
        sign(&service.public, "b").await.0,
        200,
        "on the previous listener and upstream"
    );
    let reloaded = reload(&service, &[B], &[]);
    assert_eq!(
        reloaded.needs_restart,
        Vec::<&str>::new(),
        "compared with what runs, not with what was last read"
    );
    service.end().await;
}

#[tokio::test]
async fn an_accounts_proxy_changes_at_once_and_the_global_one_is_named() {
    let service = start(&[A], &[]).await;
    let proxy = service.sandbox.socks5_proxy(None).await.unwrap();
    proxy.set_egress("203.0.113.7".parse().unwrap());
    let own = lines(&[B], &[]) + &format!("proxy = \"{}\"\n", proxy.url());
    let reloaded = service.reloader.reload(service.settings(&own)).unwrap();
    assert_eq!(reloaded.needs_restart, Vec::<&str>::new());
    assert_eq!(sign(&service.public, "b").await.0, 200);
    assert_eq!(proxy.connections(), 2, "a token and a ticket");
    let of_all = service.text(&lines(&[B], &[])).replace(
        "[upstream]",
        "[upstream]\nproxy = \"http://127.0.0.1:9\"\nfallback = [\"http://127.0.0.1:9\"]",
    );
    let reloaded = service.reloader.reload(read(&of_all)).unwrap();
    assert_eq!(
        reloaded.needs_restart,
        ["upstream.fallback", "upstream.proxy"]
    );
    service.end().await;
}

const MINI: &str = "[accounts.mini]\nplatform = \"mini\"\napp_id = \"wxb\"\n";

#[tokio::test]
async fn adding_a_mini_program_keeps_the_implied_default_account() {
    let service = start(&[A], &[]).await;
    assert_eq!(sign(&service.public, "").await.1["appId"], "wxa");
    let mini = format!("{MINI}secret = \"{SECRET}\"\n");
    let with_mini = service.settings(&(lines(&[A], &[]) + &mini));
    assert_eq!(service.reloader.reload(with_mini).unwrap().accounts, 2);
    assert_eq!(sign(&service.public, "").await.1["appId"], "wxa");
    service.end().await;
}

#[tokio::test]
async fn a_reload_that_would_remove_the_implied_default_says_what_to_write() {
    let service = start(&[A], &["k"]).await;
    let refused = service
        .reloader
        .reload(service.settings(&lines(&[A, B], &["k"])));
    let error = refused.unwrap_err().to_string();
    assert!(
        error.contains("server.default_account = \"a\""),
        "what to write: {error}"
    );
    assert_eq!(sign(&service.public, "").await.1["appId"], "wxa");
    assert_eq!(
        sign(&service.public, "b").await.1["code"],
        "unknown_account",
        "a refused reload changes nothing"
    );
    let mut with_default = service.settings(&lines(&[A, B], &["k"]));
    with_default.server.default_account = Some("a".into());
    service.reloader.reload(with_default).unwrap();
    assert_eq!(sign(&service.public, "").await.1["appId"], "wxa");
    assert_eq!(sign(&service.public, "b").await.0, 200);
    // An explicit setting may be removed again: that is intended.
    reload(&service, &[A, B], &["k"]);
    assert_eq!(
        sign(&service.public, "").await.1["code"],
        "account_required"
    );
    service.end().await;
}

#[tokio::test]
async fn the_default_account_changes_with_the_configuration() {
    let service = start(&[A, B], &[]).await;
    assert_eq!(
        sign(&service.public, "").await.1["code"],
        "account_required"
    );
    let mut with_default = service.settings(&lines(&[A, B], &[]));
    with_default.server.default_account = Some("b".into());
    service.reloader.reload(with_default).unwrap();
    assert_eq!(sign(&service.public, "").await.1["appId"], "wxb");
    let mut wrong = service.settings(&lines(&[A, C], &["k"]));
    wrong.server.default_account = Some("b".into());
    assert!(service.reloader.reload(wrong).is_err());
    assert_eq!(
        sign(&service.public, "").await.1["appId"],
        "wxb",
        "a refused reload changes nothing"
    );
    assert_eq!(
        credential(&service.admin, "a", "access_token", "k").await.0,
        401,
        "nor the keys"
    );
    service.end().await;
}

#[tokio::test]
async fn a_new_account_counts_as_ready_for_a_moment_after_a_start_or_reload() {
    let service = start(&[A], &[]).await;
    assert_eq!(sign(&service.public, "a").await.0, 200);
    // From here on WeChat answers no call: accounts without a ticket get none.
    let gates = [service.sandbox.hold(TOKEN), service.sandbox.hold(TICKET)];
    let mut both = service.settings(&lines(&[A, B], &[]));
    both.server.default_account = Some("a".into());
    service.reloader.reload(both).unwrap();
    let starting = json!({ "ready": true, "rule": "all", "accounts": [
        { "account": "b", "ready": true, "reason": "starting" }, { "account": "a", "ready": true },
    ] });
    assert_eq!(service.ready().await, (200, starting));
    service.advance(11);
    let missing = json!({ "ready": false, "rule": "all", "accounts": [
        { "account": "b", "ready": false, "reason": "missing" }, { "account": "a", "ready": true },
    ] });
    assert_eq!(service.ready().await, (503, missing));
    reload(&service, &[A, B], &["k"]);
    assert_eq!(
        service.ready().await.0,
        503,
        "a reload that adds no account extends no grace period"
    );
    // The account exists, but its app has no ticket yet.
    let moved = ("b", "wxc", SECRET);
    let moved = service.settings(&lines(&[A, moved], &["k"]));
    service.reloader.reload(moved).unwrap();
    assert_eq!(service.ready().await.0, 200);
    gates.into_iter().for_each(|gate| gate.release());
    assert_eq!(sign(&service.public, "b").await.0, 200);
    assert_eq!(service.ready().await.0, 200);
    service.end().await;
}

// -- the real binary --

/// `serve` with its configuration in its own directory.
struct Process {
    home: tempfile::TempDir,
    sandbox: Sandbox,
    running: Running,
    public: String,
    admin: String,
}

impl Process {
    async fn start(accounts: &[(&str, &str, &str)], keys: &[&str]) -> Self {
        let sandbox = wechat().await;
        let home = tempfile::tempdir().unwrap();
        std::fs::write(
            home.path().join("wx-jssdk.toml"),
            text(&sandbox, accounts, keys),
        )
        .unwrap();
        let mut running = Running::start(command(home.path(), &["serve", "--listen=127.0.0.1:0"]));
        let (public, admin) = (running.line("public").await, running.line("admin").await);
        Self {
            home,
            sandbox,
            running,
            public,
            admin,
        }
    }

    /// Writes a configuration, sends SIGHUP, and waits for the line that reports the result.
    async fn hang_up(&mut self, text: &str) -> String {
        std::fs::write(self.home.path().join("wx-jssdk.toml"), text).unwrap();
        self.running.signal("-HUP").await;
        self.running.log_line("new configuration ").await
    }
}

#[tokio::test]
async fn sighup_applies_the_new_configuration_without_failing_a_request() {
    let mut process = Process::start(&[A, B], &["k"]).await;
    let before = credential(&process.admin, "a", "access_token", "k").await.1;
    let over = Arc::new(AtomicBool::new(false));
    let traffic: Vec<_> = (0..4)
        .map(|_| {
            let (public, over) = (process.public.clone(), over.clone());
            tokio::spawn(async move {
                let mut answered = 0_u32;
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(sign(&public, "a").await.0, 200);
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for round in 0..5 {
        let accounts = if round % 2 == 0 { [A, C] } else { [A, B] };
        let line = process
            .hang_up(&text(&process.sandbox, &accounts, &["k"]))
            .await;
        assert!(
            line.contains("applied") && line.contains("accounts=2 added=1 removed=1"),
            "{line}"
        );
        let (gone, there) = if round % 2 == 0 {
            ("b", "c")
        } else {
            ("c", "b")
        };
        assert_eq!(
            sign(&process.public, gone).await.1["code"],
            "unknown_account"
        );
        assert_eq!(sign(&process.public, there).await.0, 200);
    }
    over.store(true, Ordering::Relaxed);
    for worker in traffic {
        assert!(
            timeout(BOUND, worker)
                .await
                .expect("an end")
                .expect("no request failed")
                > 0
        );
    }
    let after = credential(&process.admin, "a", "access_token", "k").await.1;
    assert_eq!(
        (&before["value"], &before["generation"]),
        (&after["value"], &after["generation"])
    );
    assert_eq!(process.running.stop().await.code, 0);
}

#[tokio::test]
async fn a_reload_with_mistakes_is_rejected_as_a_whole_and_every_problem_is_named() {
    let mut process = Process::start(&[A], &["k"]).await;
    let good = with_default(&text(&process.sandbox, &[A, B], &["other"]), "a");
    let bad = format!("{good}js_apilist = []\n[accounts.c]\napp_id = \"wxc\"\n")
        .replace("kind = \"memory\"", "kind = \"sqlite\"");
    let line = process.hang_up(&bad).await;
    assert!(
        line.contains("refused") && line.contains("problems=3"),
        "{line}"
    );
    assert_eq!(sign(&process.public, "a").await.0, 200);
    assert_eq!(
        sign(&process.public, "b").await.1["code"],
        "unknown_account",
        "no part of it is applied"
    );
    assert_eq!(
        credential(&process.admin, "a", "access_token", "k").await.0,
        200,
        "not even its keys"
    );
    for nothing in ["", "[accounts", "[log]\nlevel = \"info\""] {
        let line = process.hang_up(nothing).await;
        assert!(line.contains("refused"), "{nothing}: {line}");
        assert_eq!(sign(&process.public, "a").await.0, 200);
    }
    let line = process.hang_up(&good).await;
    assert!(
        line.contains("applied"),
        "a corrected one is applied: {line}"
    );
    assert_eq!(sign(&process.public, "b").await.0, 200);
    let ended = process.running.stop().await;
    assert_eq!(ended.code, 0);
    for path in [
        "path=\"accounts.b.js_apilist\"",
        "path=\"accounts.c.secret\"",
        "path=\"store.kind\"",
    ] {
        assert!(ended.stderr.contains(path), "{path}: {}", ended.stderr);
    }
    assert!(
        ended.stderr.contains("the previous one stays in use") && !ended.stderr.contains(SECRET),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_reload_without_the_file_of_the_start_is_refused() {
    let sandbox = wechat().await;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("wx-jssdk.toml");
    std::fs::write(&file, with_default(&text(&sandbox, &[A], &["k"]), "a")).unwrap();
    // The environment alone would be a valid configuration.
    let mut command = command(home.path(), &["serve"]);
    command
        .env("WX_JSSDK__ACCOUNTS__B__APP_ID", "wxb")
        .env("WX_JSSDK__ACCOUNTS__B__SECRET", SECRET)
        .env("WX_JSSDK__ACCOUNTS__B__JS_SAFE_DOMAINS", "example.com");
    let mut running = Running::start(command);
    let (public, admin) = (running.line("public").await, running.line("admin").await);
    std::fs::remove_file(&file).unwrap();
    running.signal("-HUP").await;
    let line = running.log_line("configuration problem").await;
    assert!(
        line.contains("path=\"wx-jssdk.toml\"") && line.contains("cannot be read"),
        "{line}"
    );
    for account in ["a", "b"] {
        assert_eq!(sign(&public, account).await.0, 200);
    }
    let status = credential(&admin, "a", "access_token", "k").await.0;
    assert_eq!(status, 200, "the API keys are in use");
    assert_eq!(running.stop().await.code, 0);
}

#[tokio::test]
async fn a_second_account_without_a_default_is_rejected_with_the_line_to_write() {
    let mut process = Process::start(&[A], &[]).await;
    let both = text(&process.sandbox, &[A, B], &[]);
    let line = process.hang_up(&both).await;
    assert!(line.contains("refused"), "{line}");
    assert_eq!(sign(&process.public, "").await.1["appId"], "wxa");
    let line = process.hang_up(&with_default(&both, "a")).await;
    assert!(line.contains("applied"), "{line}");
    assert_eq!(sign(&process.public, "").await.1["appId"], "wxa");
    assert_eq!(sign(&process.public, "b").await.0, 200);
    let ended = process.running.stop().await;
    for part in [
        "server.default_account",
        r#"write server.default_account = \"a\""#,
    ] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_setting_that_needs_a_restart_is_named_unless_a_flag_set_it() {
    let mut process = Process::start(&[A], &[]).await;
    let good = text(&process.sandbox, &[A], &[]);
    // The flag still overrides the file.
    let listen = good.replace(
        "[server]\nlisten = \"127.0.0.1:0\"",
        "[server]\nworkers = 3\nlisten = \"127.0.0.1:1\"",
    );
    process.hang_up(&listen).await;
    let line = process.running.log_line("needs a restart").await;
    assert!(line.contains("setting=\"server.workers\""), "{line}");
    process.hang_up(&good).await;
    let ended = process.running.stop().await;
    assert_eq!(
        (ended.code, ended.stderr.matches("needs a restart").count()),
        (0, 1),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_service_needs_no_configured_account_if_a_key_manages_accounts() {
    let mut process = Process::start(&[A], &["k"]).await;
    let keep = text(&process.sandbox, &[A], &["k"])
        .replace("kind = \"memory\"", "kind = \"file\"")
        .replace("name = \"k\"\n", "name = \"k\"\nmanage = true\n");
    std::fs::write(process.home.path().join("wx-jssdk.toml"), &keep).unwrap();
    process.running.stop().await;
    process.running = Running::start(command(process.home.path(), &["serve"]));
    let admin = process.running.line("admin").await;
    let account = json!({ "app_id": "wxb", "secret": SECRET, "js_safe_domains": ["example.com"] });
    let put = client().put(format!("{admin}/accounts/b")).bearer_auth("k");
    let added = put.body(account.to_string()).send().await.unwrap();
    assert_eq!(added.status(), 201);
    let (without, _) = keep.split_once("[accounts.a]").unwrap();
    let line = process.hang_up(without).await;
    assert!(line.contains("applied"), "{line}");
    process.running.stop().await;
    let ended = run_in(process.home.path(), &["check"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    process.running = Running::start(command(process.home.path(), &["serve"]));
    let public = process.running.line("public").await;
    assert_eq!(sign(&public, "b").await.0, 200);
    process.running.stop().await;
    // A key that manages no account gives no service an account.
    let without = without.replace("manage = true\n", "");
    std::fs::write(process.home.path().join("wx-jssdk.toml"), without).unwrap();
    let ended = run_in(process.home.path(), &["serve"]).await;
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("manage = true"), "{}", ended.stderr);
}

#[tokio::test]
async fn many_sighups_at_once_leave_a_service_with_the_last_configuration() {
    let mut process = Process::start(&[A], &[]).await;
    std::fs::write(
        process.home.path().join("wx-jssdk.toml"),
        with_default(&text(&process.sandbox, &[A, B, C], &[]), "a"),
    )
    .unwrap();
    for _ in 0..20 {
        process.running.signal("-HUP").await;
    }
    process
        .running
        .log_line("accounts=3 added=2 removed=0")
        .await;
    for account in ["a", "b", "c"] {
        assert_eq!(sign(&process.public, account).await.0, 200);
    }
    assert_eq!(process.running.stop().await.code, 0);
}

#[tokio::test]
async fn a_sighup_while_the_first_configuration_is_read_is_a_reload() {
    let sandbox = wechat().await;
    let home = tempfile::tempdir().unwrap();
    let fifo = home.path().join("wx-jssdk.toml");
    make_fifo(&fifo);
    // Opening it waits for the reader.
    let open = || {
        let fifo = fifo.clone();
        let opened = tokio::task::spawn_blocking(move || File::options().write(true).open(fifo));
        async { timeout(BOUND, opened).await.unwrap().unwrap().unwrap() }
    };
    let mut running = Running::start(command(home.path(), &["serve"]));
    let mut reading = open().await;
    running.signal("-HUP").await;
    reading
        .write_all(text(&sandbox, &[A], &[]).as_bytes())
        .unwrap();
    drop(reading);
    running.line("public").await;
    let mut again = open().await;
    again
        .write_all(text(&sandbox, &[A], &["k"]).as_bytes())
        .unwrap();
    drop(again);
    running.log_line("new configuration applied").await;
    assert_eq!(running.stop().await.code, 0);
}

#[tokio::test]
async fn a_fifo_in_place_of_a_file_is_refused_and_the_next_reload_is_applied() {
    let mut process = Process::start(&[A], &["k"]).await;
    let directory = process.home.path().join("accounts");
    std::fs::create_dir(&directory).unwrap();
    let config = with_default(&text(&process.sandbox, &[A], &["k"]), "a");
    let config = format!("accounts_dir = \"accounts\"\n{config}");
    let files = [
        ("b.toml", "app_id = \"wxb\"\nsecret_file = \"./b.secret\"\n"),
        ("b.secret", SECRET),
    ];
    for (name, content) in files {
        std::fs::write(directory.join(name), content).unwrap();
    }
    for (name, content) in files {
        let path = directory.join(name);
        std::fs::remove_file(&path).unwrap();
        make_fifo(&path);
        std::fs::write(process.home.path().join("wx-jssdk.toml"), &config).unwrap();
        process.running.signal("-HUP").await;
        let line = process.running.log_line("configuration problem").await;
        assert!(
            line.contains(name) && line.contains("not a regular file"),
            "{line}"
        );
        let status = credential(&process.admin, "a", "access_token", "k").await.0;
        assert_eq!((sign(&process.public, "a").await.0, status), (200, 200));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, content).unwrap();
        process.running.signal("-HUP").await;
        process.running.log_line("new configuration applied").await;
        assert_eq!(sign(&process.public, "b").await.0, 200);
    }
    assert_eq!(process.running.stop().await.code, 0);
}

#[tokio::test]
async fn a_reload_whose_file_hangs_is_refused_in_20_s_and_a_later_one_is_applied() {
    let mut process = Process::start(&[A], &["k"]).await;
    let path = process.home.path().join("wx-jssdk.toml");
    std::fs::remove_file(&path).unwrap();
    make_fifo(&path);
    for words in ["takes longer than 20 s", "has not ended"] {
        process.running.signal("-HUP").await;
        let line = process.running.log_line("configuration problem").await;
        assert!(line.contains(words), "{line}");
        let status = credential(&process.admin, "a", "access_token", "k").await.0;
        assert_eq!((sign(&process.public, "a").await.0, status), (200, 200));
    }
    // The read that hangs finds a writer, and the end of the file.
    drop(File::options().write(true).open(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    let good = with_default(&text(&process.sandbox, &[A, B], &["k"]), "a");
    let is_applied = async || process.hang_up(&good).await.contains("applied");
    until("the configuration is applied", is_applied).await;
    assert_eq!(sign(&process.public, "b").await.0, 200);
    assert_eq!(process.running.stop().await.code, 0);
}

#[tokio::test]
async fn a_reload_serves_the_new_verify_files_and_drops_the_old() {
    let service = start(&[A], &[]).await;
    let with_file = |name: &str| {
        let file = format!("verify_files = {{ \"{name}\" = \"content\" }}\n");
        service.settings(&(lines(&[A], &[]) + &file))
    };
    let status = async |name: &str| {
        client()
            .get(format!("{}/{name}", service.public))
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(status("MP_verify_one.txt").await, 404);
    for (there, gone) in [
        ("MP_verify_one.txt", "MP_verify_two.txt"),
        ("MP_verify_two.txt", "MP_verify_one.txt"),
    ] {
        service.reloader.reload(with_file(there)).unwrap();
        assert_eq!((status(there).await, status(gone).await), (200, 404));
    }
    reload(&service, &[A], &[]);
    assert_eq!(status("MP_verify_two.txt").await, 404);
}
