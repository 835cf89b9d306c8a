//! The admin listener of `serve`: its address, its answers, its shutdown together with the public one; and readiness.

use std::path::Path;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use wx_jssdk::clock::Clock;
use wx_jssdk::sandbox::{App, Fault, FaultKind, Sandbox};

use super::serve::serve_sandbox;
use crate::common::program::*;

async fn json_of(url: &str) -> (u16, Value) {
    let (status, body) = get(url).await;
    (
        status,
        serde_json::from_str(&body).unwrap_or_else(|_| panic!("{url}: {status} {body}")),
    )
}

#[tokio::test]
async fn credentials_are_on_the_admin_listener_only() {
    let home = tempfile::tempdir().unwrap();
    let (running, public, _) = serve_sandbox(home.path(), "info").await;
    let (admin, key) = (running.printed("admin"), running.printed("api key"));
    let token = |base: &str| {
        client()
            .get(format!("{base}/credentials/demo/access_token"))
            .bearer_auth(&key)
            .send()
    };
    assert_eq!(token(&admin).await.unwrap().status(), 200);
    assert_eq!(token(&public).await.unwrap().status(), 404);
    let without = get(&format!("{admin}/credentials/demo/access_token")).await;
    assert!(
        without.0 == 401 && without.1.contains("unauthorized"),
        "{without:?}"
    );
    let dropin = format!("/cgi-bin/token?grant_type=client_credential&appid={APP}&secret={key}");
    assert!(get_json(&format!("{admin}{dropin}")).await["access_token"].is_string());
    for path in [dropin.as_str(), "/readyz", "/credentials/demo/access_token"] {
        assert_eq!(get(&format!("{public}{path}")).await.0, 404, "{path}");
    }
    assert_eq!(get(&format!("{admin}/healthz")).await.0, 200);
    for path in [
        "/jssdk/config?url=https%3A%2F%2Fdemo.example.com%2F",
        "/static/demo.js",
    ] {
        assert_eq!(get(&format!("{admin}{path}")).await.0, 404, "{path}");
    }
    let ended = running.stop().await;
    assert_eq!(ended.code, 0);
    let curl =
        format!("curl -H 'Authorization: Bearer {key}' {admin}/credentials/demo/access_token");
    assert!(ended.stdout.contains(&curl), "{}", ended.stdout);
    assert!(
        !ended.stderr.contains(&key),
        "printed for the user, never logged: {}",
        ended.stderr
    );
}

#[tokio::test]
async fn each_start_of_the_sandbox_creates_a_new_key() {
    let home = tempfile::tempdir().unwrap();
    let (first, ..) = serve_sandbox(home.path(), "info").await;
    let (second, ..) = serve_sandbox(home.path(), "info").await;
    assert_ne!(first.printed("api key"), second.printed("api key"));
    assert_eq!((first.stop().await.code, second.stop().await.code), (0, 0));
}

#[tokio::test]
async fn an_empty_address_disables_the_admin_listener() {
    let home = tempfile::tempdir().unwrap();
    let arguments = [
        "serve",
        "--sandbox",
        "--listen=127.0.0.1:0",
        "--admin-listen=",
        "--sandbox-listen=127.0.0.1:0",
    ];
    let mut running = Running::start(command(home.path(), &arguments));
    running.line("api key").await;
    let ended = running.stop().await;
    assert_eq!(ended.code, 0);
    assert!(
        !ended.stdout.contains("admin ") && !ended.stdout.contains("/credentials/"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn two_listeners_on_one_address_are_refused_by_their_setting_names() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(
        home.path().join("wx-jssdk.toml"),
        "server.listen = \"127.0.0.1:7\"",
    )
    .unwrap();
    for (arguments, names) in [
        (
            &["--listen=127.0.0.1:7", "--admin-listen=127.0.0.1:7"][..],
            ["--listen", "--admin-listen"],
        ),
        (
            &["--listen=127.0.0.1:8081"],
            ["--listen", "server.admin_listen"],
        ),
        (
            &["--config=wx-jssdk.toml", "--admin-listen=0.0.0.0:7"],
            ["server.listen", "--admin-listen"],
        ),
        (
            &["--listen=127.0.0.1:0", "--sandbox-listen=127.0.0.1:8081"],
            ["server.admin_listen", "--sandbox-listen"],
        ),
    ] {
        let ended = run_in(home.path(), &[&["serve", "--sandbox"], arguments].concat()).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (2, ""),
            "{arguments:?}"
        );
        assert!(
            ended.stderr.contains(&format!(
                "{} and {} have the same address",
                names[0], names[1]
            )),
            "{}",
            ended.stderr
        );
        assert!(is_bilingual(&ended.stderr), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn both_listeners_end_together_and_without_an_error() {
    let home = tempfile::tempdir().unwrap();
    let (running, public, _) = serve_sandbox(home.path(), "info").await;
    let admin = running.printed("admin");
    let mut idle = Vec::new();
    for base in [&public, &admin] {
        idle.push(
            TcpStream::connect(base.strip_prefix("http://").unwrap())
                .await
                .unwrap(),
        );
    }
    let ended = running.stop().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for mut connection in idle {
        let read = timeout(BOUND, connection.read(&mut [0; 1]))
            .await
            .expect("it is closed");
        assert!(matches!(read, Ok(0) | Err(_)));
    }
    for base in [public, admin] {
        assert!(
            TcpStream::connect(base.strip_prefix("http://").unwrap())
                .await
                .is_err()
        );
    }
}

// -- readiness --

/// Starts `serve` with a valid account, one that signs no pages and one with a wrong secret. Returns the admin listener's URL.
async fn serve(sandbox: &Sandbox, home: &Path) -> (Running, String) {
    sandbox.add_app(App::official(APP, SECRET).safe_domain("example.com"));
    sandbox.add_app(App::official("wx1", SECRET).safe_domain("example.com"));
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[store]\nkind = \"memory\"\n
        [upstream]\nweixin = \"{0}\"\nqyapi = \"{0}\"\n[account_defaults]\njs_safe_domains = [\"example.com\"]\n
        [accounts.main]\napp_id = \"{APP}\"\nsecret = \"{SECRET}\"\n
        [accounts.broken]\napp_id = \"wx1\"\nsecret = \"deadbeefdeadbeefdeadbeefdeadbeef\"\n
        [accounts.program]\nplatform = \"mini\"\napp_id = \"wx2\"\nsecret = \"{SECRET}\"\n",
        sandbox.url()
    );
    std::fs::write(home.join("wx-jssdk.toml"), text).unwrap();
    let mut running = Running::start(command(home, &["serve"]));
    let admin = running.line("admin").await;
    (running, admin)
}

/// Waits until each of these was logged, in any order.
async fn settled(running: &mut Running, words: &[&str]) {
    let mut left: Vec<_> = words.to_vec();
    while !left.is_empty() {
        let line = running.log_line("account=").await;
        left.retain(|words| !line.contains(words));
    }
}

#[tokio::test]
async fn readiness_names_the_accounts_that_cannot_sign_and_why_without_wechats_words() {
    let (sandbox, home) = (
        Sandbox::start(Clock::shifted()).await.unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let (mut running, admin) = serve(&sandbox, home.path()).await;
    settled(
        &mut running,
        &[
            "account=\"main\" kind=jsapi_ticket",
            "account=\"broken\" kind=access_token",
            "account=\"program\" kind=access_token",
        ],
    )
    .await;
    let (status, report) = json_of(&format!("{admin}/readyz")).await;
    assert_eq!(
        (status, &report["ready"], &report["rule"]),
        (200, &json!(true), &json!("any")),
        "one account signs"
    );
    let accounts = report["accounts"].as_array().unwrap();
    assert_eq!(accounts.len(), 3, "{report}");
    assert_eq!(
        (&accounts[0]["account"], &accounts[0]["ready"]),
        (&json!("broken"), &json!(false)),
        "accounts that are not ready come first"
    );
    assert_eq!(
        (&accounts[0]["reason"], &accounts[0]["errcode"]),
        (&json!("setup"), &json!(40125)),
        "{report}"
    );
    assert!(
        is_bilingual(&accounts[0]["cause"].to_string())
            && is_bilingual(&accounts[0]["fix"].to_string()),
        "{report}"
    );
    assert_eq!(
        (&accounts[1]["account"], &accounts[1]["errcode"]),
        (&json!("program"), &json!(40013)),
        "a mini program signs nothing and still needs its token: {report}"
    );
    assert_eq!(accounts[2], json!({ "account": "main", "ready": true }));
    let text = report.to_string();
    assert!(
        !text.contains("127.0.0.1") && !text.contains("rid"),
        "no errmsg, which names this server's IP: {text}"
    );
    assert_eq!(running.stop().await.code, 0);
}

#[tokio::test]
async fn readiness_is_503_while_wechat_fails_and_200_again_afterwards() {
    let sandbox = Sandbox::start(Clock::shifted()).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    sandbox.fault(Fault::always(
        "/cgi-bin/stable_token",
        FaultKind::Errcode(-1),
    ));
    sandbox.add_app(App::official(APP, SECRET).safe_domain("example.com"));
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[store]\nkind = \"memory\"\n[upstream]\nweixin = \"{}\"\n
        [accounts.main]\napp_id = \"{APP}\"\nsecret = \"{SECRET}\"\njs_safe_domains = [\"example.com\"]\n",
        sandbox.url()
    );
    std::fs::write(home.path().join("wx-jssdk.toml"), text).unwrap();
    let mut running = Running::start(command(home.path(), &["serve"]));
    let admin = running.line("admin").await;
    running.log_line("level=ERROR msg=\"refresh failed").await;
    let (status, report) = json_of(&format!("{admin}/readyz")).await;
    assert_eq!(
        (status, &report["accounts"][0]["reason"]),
        (503, &json!("transient")),
        "{report}"
    );
    sandbox.clear_faults();
    running
        .log_line("level=INFO msg=refreshed account=\"main\" kind=jsapi_ticket")
        .await;
    assert_eq!(
        json_of(&format!("{admin}/readyz")).await,
        (
            200,
            json!({
                "ready": true, "rule": "any", "accounts": [{ "account": "main", "ready": true }]
            })
        )
    );
    assert_eq!(running.stop().await.code, 0);
}
