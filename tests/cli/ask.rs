//! `token`, `ticket`, `reject` against a running `serve --sandbox`, and `keys new`.

use std::path::Path;

use serde_json::Value;
use tokio::net::TcpListener;
use wx_jssdk::actix::KeyHash;

use super::serve::{demo_app, serve_sandbox};
use crate::common::program::*;

/// A running server, and the settings for a client of it.
struct Company {
    home: tempfile::TempDir,
    running: Running,
    admin: String,
    sandbox: String,
    key: String,
}

impl Company {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (running, _, sandbox) = serve_sandbox(home.path(), "info").await;
        let (admin, key) = (running.printed("admin"), running.printed("api key"));
        Self {
            home,
            running,
            admin,
            sandbox,
            key,
        }
    }

    /// Runs a command with the key in the environment.
    async fn ask(&self, arguments: &[&str]) -> Ended {
        let arguments = [arguments, &["--server", &self.admin]].concat();
        let mut command = command(self.home.path(), &arguments);
        command.env("WX_JSSDK_API_KEY", &self.key);
        run_command(command).await
    }

    async fn reject(&self, arguments: &[&str], value: &str) -> Ended {
        let arguments = [&["reject"], arguments, &["--server", &self.admin]].concat();
        let mut command = command(self.home.path(), &arguments);
        command.env("WX_JSSDK_API_KEY", &self.key);
        run_with_input(command, value).await
    }

    async fn official(&self) -> Value {
        demo_app(&self.sandbox).await
    }
}

#[tokio::test]
async fn token_prints_only_the_token_that_wechat_accepts() {
    let company = Company::start().await;
    let ended = company.ask(&["token", "demo"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let current = company.official().await["tokens"]["stable"]["current"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(ended.stdout, format!("{current}\n"));
    let ended = company.ask(&["token", "demo", "--json"]).await;
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (ended.code, answer["value"].as_str()),
        (0, Some(current.as_str()))
    );
    assert!(
        (1..=7_200).contains(&answer["expires_in"].as_u64().unwrap()),
        "{answer}"
    );
    assert_eq!(company.running.stop().await.code, 0);
}

#[tokio::test]
async fn ticket_prints_the_ticket_of_each_kind_that_the_account_has() {
    let company = Company::start().await;
    let jsapi = company.ask(&["ticket", "demo"]).await;
    let card = company.ask(&["ticket", "demo", "--kind", "card"]).await;
    let tickets = company.official().await["tickets"].clone();
    assert_eq!(
        (jsapi.code, jsapi.stdout.trim()),
        (0, tickets["jsapi"]["value"].as_str().unwrap())
    );
    assert_eq!(
        (card.code, card.stdout.trim()),
        (0, tickets["wx_card"]["value"].as_str().unwrap())
    );
    let agent = company
        .ask(&["ticket", "demo-work", "--kind", "agent"])
        .await;
    assert!(
        agent.code == 0 && agent.stdout.trim().len() > 20,
        "{}",
        agent.stderr
    );
    assert_eq!(company.running.stop().await.code, 0);
}

#[tokio::test]
async fn the_token_of_an_open_platforms_account_is_found_by_its_name() {
    let mut company = Company::start().await;
    company
        .running
        .log_line("WeChat's list of authorised accounts read")
        .await;
    let account = format!("demo-platform/{APP}");
    let ended = company.ask(&["token", &account]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let token = ended.stdout.trim();
    let again = company.reject(&[&account], token).await;
    assert_eq!((again.code, again.stderr.as_str()), (0, ""));
    assert_ne!(again.stdout.trim(), token);
}

#[tokio::test]
async fn a_refusal_is_exit_code_1_with_cause_and_fix_in_both_languages() {
    let company = Company::start().await;
    for (arguments, code) in [
        (&["token", "nobody"][..], "unknown_account"),
        (&["ticket", "demo-mini"], "unsupported_credential"),
        (
            &["ticket", "demo", "--kind", "agent"],
            "unsupported_credential",
        ),
    ] {
        let ended = company.ask(arguments).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (1, ""),
            "{arguments:?}"
        );
        assert!(
            ended.stderr.contains(code) && is_bilingual(&ended.stderr),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains(&company.key));
    }
    let mut wrong = command(
        company.home.path(),
        &["token", "demo", "--server", &company.admin],
    );
    wrong.env("WX_JSSDK_API_KEY", "wxk_nobodys");
    let ended = run_command(wrong).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert!(
        ended.stderr.contains("unauthorized") && ended.stderr.contains("keys new"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("wxk_nobodys"), "{}", ended.stderr);
    assert_eq!(company.running.stop().await.code, 0);
}

#[tokio::test]
async fn reject_refreshes_the_current_value_and_gives_late_callers_the_newer_one() {
    let company = Company::start().await;
    let old = company.ask(&["token", "demo"]).await.stdout;
    let refreshed = company.reject(&["demo"], &old).await;
    assert_eq!((refreshed.code, refreshed.stderr.as_str()), (0, ""));
    assert_ne!(refreshed.stdout, old);
    let late = company
        .reject(&["demo", "--kind", "token", "--value", "-"], &old)
        .await;
    assert_eq!(
        (late.code, &late.stdout),
        (0, &refreshed.stdout),
        "{}",
        late.stderr
    );
    let again = company.reject(&["demo"], &refreshed.stdout).await;
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (1, ""),
        "refreshes on request are rate limited"
    );
    assert!(
        again.stderr.contains("rate_limited") && is_bilingual(&again.stderr),
        "{}",
        again.stderr
    );
    let empty = company.reject(&["demo"], "\n").await;
    assert_eq!((empty.code, empty.stdout.as_str()), (2, ""));
    assert!(empty.stderr.contains("--value") && is_bilingual(&empty.stderr));
    assert_eq!(company.running.stop().await.code, 0);
}

#[tokio::test]
async fn the_key_may_be_in_a_file_and_the_address_in_the_configuration() {
    let company = Company::start().await;
    let home = tempfile::tempdir().unwrap();
    std::fs::write(
        home.path().join("key"),
        format!("\u{feff}{}\n", company.key),
    )
    .unwrap();
    let port = company.admin.rsplit(':').next().unwrap();
    std::fs::write(
        home.path().join("wx-jssdk.toml"),
        format!("server.admin_listen = \"0.0.0.0:{port}\""),
    )
    .unwrap();
    let ended = run_in(home.path(), &["token", "demo", "--key-file", "key"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(ended.stdout, company.ask(&["token", "demo"]).await.stdout);
    assert_eq!(company.running.stop().await.code, 0);
}

#[tokio::test]
async fn the_public_listener_is_distinguished_from_the_admin_listener() {
    let company = Company::start().await;
    let mut asking = command(
        company.home.path(),
        &[
            "token",
            "demo",
            "--server",
            &company.running.printed("public"),
        ],
    );
    asking.env("WX_JSSDK_API_KEY", &company.key);
    let ended = run_command(asking).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert!(
        ended.stderr.contains("admin_listen") && is_bilingual(&ended.stderr),
        "{}",
        ended.stderr
    );
    assert_eq!(company.running.stop().await.code, 0);
}

async fn asked(home: &Path, arguments: &[&str], key: Option<&str>) -> Ended {
    let mut command = command(home, arguments);
    if let Some(key) = key {
        command.env("WX_JSSDK_API_KEY", key);
    }
    run_command(command).await
}

#[tokio::test]
async fn a_stopped_server_is_exit_code_1_with_advice() {
    let unused = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        &["token", "main"][..],
        &["ticket", "main"],
        &["reject", "main", "--value=x"],
    ] {
        let ended = asked(
            home.path(),
            &[arguments, &["--server", &format!("http://{unused}")]].concat(),
            Some("k"),
        )
        .await;
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
        assert!(
            ended.stderr.contains("refused") && is_bilingual(&ended.stderr),
            "{}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn a_missing_key_or_address_is_wrong_usage() {
    let home = tempfile::tempdir().unwrap();
    let server = "--server=http://127.0.0.1:1";
    for key in [None, Some(""), Some("a b"), Some("wxk_密钥")] {
        let ended = asked(home.path(), &["token", "main", server], key).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{key:?}");
        assert!(
            ended.stderr.contains("WX_JSSDK_API_KEY") && ended.stderr.contains("keys new"),
            "{}",
            ended.stderr
        );
        assert!(is_bilingual(&ended.stderr));
    }
    let ended = asked(
        home.path(),
        &["token", "main", server, "--key-file=nowhere"],
        Some("k"),
    )
    .await;
    assert!(
        ended.code == 2 && ended.stderr.contains("文件 nowhere：文件不存在"),
        "{}",
        ended.stderr
    );
    let key = "wxk_HDk7_yfE2y99FDSNXsXK8e9zFaQbv89FfEFRBocQo6A";
    let arguments = ["token", "main", server, "--key-file", key];
    let ended = asked(home.path(), &arguments, None).await;
    assert!(
        ended.code == 2 && !ended.stderr.contains(key) && is_bilingual(&ended.stderr),
        "{}",
        ended.stderr
    );
    for url in ["127.0.0.1:8081", "ftp://127.0.0.1", ""] {
        let ended = asked(home.path(), &["token", "main", "--server", url], Some("k")).await;
        assert!(
            ended.code == 2 && is_bilingual(&ended.stderr),
            "{url}: {}",
            ended.stderr
        );
    }
    std::fs::write(
        home.path().join("wx-jssdk.toml"),
        "server.admin_listen = \"\"",
    )
    .unwrap();
    let ended = asked(home.path(), &["token", "main"], Some("k")).await;
    assert!(
        ended.code == 2 && ended.stderr.contains("server.admin_listen is empty"),
        "{}",
        ended.stderr
    );
}

// -- keys --

#[tokio::test]
async fn keys_new_prints_a_key_and_its_valid_configuration_line() {
    let ended = run(&["keys", "new", "--name", "crm"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let (key, lines) = ended.stdout.split_once('\n').unwrap();
    assert!(
        key.starts_with("wxk_") && !lines.contains(key),
        "{}",
        ended.stdout
    );
    assert!(
        is_bilingual(lines) && lines.contains(&KeyHash::of(key).to_string()),
        "{lines}"
    );
    let settings = wx_jssdk::server::config::Settings::read(
        lines,
        Path::new(""),
        std::collections::HashMap::new(),
    );
    assert_eq!(
        settings
            .unwrap()
            .server
            .api_keys
            .find(key)
            .map(|key| key.name.clone())
            .as_deref(),
        Some("crm")
    );
    let another = run(&["keys", "new"]).await.stdout;
    assert_ne!(another.lines().next(), Some(key));
}

#[tokio::test]
async fn keys_new_refuses_a_name_that_the_configuration_would_refuse() {
    for name in ["", "a b", "wxk_abc", "\"]\nx"] {
        let ended = run(&["keys", "new", "--name", name]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{name}");
        assert!(ended.stderr.contains("--name") && is_bilingual(&ended.stderr));
    }
    let help = run(&["keys", "new", "--help"]).await;
    assert!(
        help.stdout.contains("  wx-jssdk keys new --name crm") && is_bilingual(&help.stdout),
        "{}",
        help.stdout
    );
}
