//! Commands without network: help, sign, configuration mistakes, healthcheck.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::common::http;
use crate::common::program::*;
use crate::common::tls::TlsCertificate;
use crate::common::upstream::signature;

const TICKET: &str =
    "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";
const OFFICIAL: [&str; 5] = [
    "sign",
    "--noncestr=Wm3WZYTPz0wzccnW",
    "--timestamp=1414587457",
    "--url=http://mp.weixin.qq.com?params=value",
    "--ticket",
];
const SIGNATURE: &str = "0f9de62fce790f9a083d5c99e95740ceb90c27ed";

fn official(ticket: &'static str, more: &[&'static str]) -> Vec<&'static str> {
    [&OFFICIAL[..], &[ticket], more].concat()
}

// -- help --

#[tokio::test]
async fn the_help_of_every_command_shows_an_example_and_both_languages() {
    let top = run(&["--help"]).await;
    assert_eq!(top.code, 0);
    assert!(
        is_bilingual(&top.stdout) && top.stdout.contains("wx-jssdk serve --sandbox"),
        "{}",
        top.stdout
    );
    for name in [
        "serve",
        "sandbox",
        "check",
        "sign",
        "diagnose",
        "token",
        "ticket",
        "reject",
        "keys",
        "healthcheck",
    ] {
        let line = top
            .stdout
            .lines()
            .find(|line| line.trim().starts_with(name))
            .unwrap_or_else(|| panic!("no {name}"));
        assert!(is_bilingual(line), "{line}");
        let help = run(&[name, "--help"]).await;
        assert_eq!((help.code, help.stderr.as_str()), (0, ""));
        assert!(
            help.stdout.contains("Example") && help.stdout.contains(&format!("  wx-jssdk {name}")),
            "{}",
            help.stdout
        );
        for option in help
            .stdout
            .lines()
            .filter(|line| line.trim_start().starts_with("--"))
        {
            let about = help.stdout.split_once(option.trim()).unwrap().1;
            let text = format!("{option}{}", about.lines().take(2).collect::<String>());
            assert!(is_bilingual(&text), "{name}: {text}");
        }
    }
}

#[tokio::test]
async fn wrong_usage_is_exit_code_2_and_prints_no_result() {
    for arguments in [
        &["serv"][..],
        &[],
        &["sign"],
        &["serve", "--listen", "nowhere"],
        &["serve", "--safe-domain", "x.com"],
    ] {
        let ended = run(arguments).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (2, ""),
            "{arguments:?}"
        );
        assert!(!ended.stderr.is_empty());
    }
    assert_eq!(
        run(&["--version"]).await.stdout,
        format!("wx-jssdk {}\n", env!("CARGO_PKG_VERSION"))
    );
}

// -- sign --

#[tokio::test]
async fn the_first_line_of_sign_is_the_signature_of_the_official_example() {
    let ended = run(&official(TICKET, &[])).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            SIGNATURE,
            "noncestr=Wm3WZYTPz0wzccnW&timestamp=1414587457&url=http://mp.weixin.qq.com?params=value"
        ]
    );
}

#[tokio::test]
async fn every_vector_holds_on_the_command_line() {
    let file: Value = serde_json::from_str(include_str!("../sign/vectors.json")).unwrap();
    let vectors: Vec<_> = file["vectors"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|v| v["algorithm"] == "jsapi")
        .collect();
    assert!(vectors.len() >= 12);
    for vector in vectors {
        let inputs = &vector["inputs"];
        let (url, ticket) = (
            inputs["url"].as_str().unwrap(),
            inputs["jsapi_ticket"].as_str().unwrap(),
        );
        let (nonce, timestamp) = (
            inputs["noncestr"].as_str().unwrap(),
            inputs["timestamp"].to_string(),
        );
        let ended = run(&[
            "sign",
            "--ticket",
            ticket,
            "--url",
            url,
            "--noncestr",
            nonce,
            "--timestamp",
            &timestamp,
        ])
        .await;
        let signature = ended.stdout.lines().next().unwrap_or_default();
        assert_eq!(
            (ended.code, signature),
            (0, vector["expected"].as_str().unwrap()),
            "{}",
            vector["id"]
        );
        assert_ne!(Some(signature), vector["wrong_signature"].as_str());
        if url.is_ascii() {
            assert_eq!(ended.stderr, "", "{}", vector["id"]);
        } else {
            assert!(
                ended.stderr.contains("warning") && is_bilingual(&ended.stderr),
                "{}",
                ended.stderr
            );
        }
    }
}

#[tokio::test]
async fn the_ticket_may_come_from_stdin_with_or_without_a_newline() {
    for input in [
        TICKET.to_owned(),
        format!("{TICKET}\n"),
        format!("{TICKET}\r\n"),
    ] {
        let ended = run_with_stdin(&official("-", &[]), &input).await;
        assert_eq!(
            (ended.code, ended.stdout.lines().next()),
            (0, Some(SIGNATURE)),
            "{input:?} {}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn an_empty_ticket_is_refused_in_both_languages() {
    for ended in [
        run(&official("", &[])).await,
        run_with_stdin(&official("-", &[]), "\n").await,
    ] {
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
        assert!(
            ended.stderr.contains("--ticket") && is_bilingual(&ended.stderr),
            "{}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn json_is_the_object_that_wx_config_accepts() {
    let ended = run(&official(TICKET, &["--json", "--app-id", APP])).await;
    assert_eq!(ended.code, 0);
    let config: Value = serde_json::from_str(&ended.stdout).unwrap();
    let expected = serde_json::json!({
        "debug": false, "appId": APP, "timestamp": 1_414_587_457, "nonceStr": "Wm3WZYTPz0wzccnW", "signature": SIGNATURE,
        "jsApiList": [], "openTagList": [], "url": "http://mp.weixin.qq.com?params=value",
    });
    assert_eq!(config, expected);
    assert_eq!(ended.stdout.lines().count(), 1);
}

#[tokio::test]
async fn nonce_and_timestamp_are_fresh_when_they_are_not_given() {
    let sign = [
        "sign",
        "--ticket",
        TICKET,
        "--url",
        "https://example.com/#x",
        "--json",
    ];
    let configs = [run(&sign).await, run(&sign).await]
        .map(|ended| serde_json::from_str::<Value>(&ended.stdout).unwrap());
    assert_ne!(configs[0]["nonceStr"], configs[1]["nonceStr"]);
    for config in &configs {
        let (nonce, timestamp) = (
            config["nonceStr"].as_str().unwrap(),
            config["timestamp"].as_u64().unwrap(),
        );
        assert!((16..=32).contains(&nonce.len()));
        let now = wx_jssdk::Clock::system().wall().0;
        assert!(now.abs_diff(timestamp) < 60, "{timestamp}");
        let expected = signature(TICKET, nonce, timestamp, "https://example.com/");
        assert_eq!(config["signature"], expected);
    }
}

#[tokio::test]
async fn an_invalid_page_address_is_refused_with_hints_in_both_languages() {
    for url in [
        "",
        "#x",
        "example.com",
        "/page",
        "ftp://example.com/",
        "https://",
        "https://a b/",
        "https%3A%2F%2Fexample.com",
    ] {
        let ended = run(&["sign", "--ticket", TICKET, &format!("--url={url}")]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{url}");
        assert!(
            ended.stderr.contains("--url") && is_bilingual(&ended.stderr),
            "{url}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains(TICKET));
    }
}

// -- configuration --

#[tokio::test]
async fn serve_and_check_without_accounts_say_how_to_add_one() {
    for arguments in [&["serve"][..], &["check"], &["check", "--offline"]] {
        let ended = run(arguments).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
        for word in [
            "[accounts.main]",
            "app_id",
            "secret_file",
            "js_safe_domains",
            "serve --sandbox",
            "没有配置账号",
        ] {
            assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
        }
    }
}

#[tokio::test]
async fn a_directory_without_a_configuration_is_named_with_the_option_for_another() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().canonicalize().unwrap();
    let missing = format!("{} has no wx-jssdk.toml", directory.display());
    for arguments in [
        &["serve"][..],
        &["check"],
        &["notify", "test"],
        &["store", "schema"],
    ] {
        let ended = run_in(home.path(), arguments).await;
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.stderr);
        for words in [missing.as_str(), "--config FILE", "中没有 wx-jssdk.toml"] {
            assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
        }
    }
    std::fs::write(home.path().join("else.toml"), "").unwrap();
    let ended = run_in(home.path(), &["check", "--config", "else.toml"]).await;
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("js_safe_domains to else.toml") && !ended.stderr.contains("has no"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn every_problem_of_a_configuration_is_named_at_once_by_every_command_that_reads_it() {
    let home = tempfile::tempdir().unwrap();
    let text = format!(
        "[server]\nlissten = \"x\"\nworkers = -1\n[accounts.main]\napp_id = \"{APP}\"\nsecrett = \"{SECRET}\"\njs_safe_domains = [\"https://example.com\"]\n
        [accounts.other]\napp_id = \"wx2\"\nsecret_file = \"./nowhere\"\njs_safe_domains = [\"example.com\"]\n"
    );
    std::fs::write(home.path().join("wx-jssdk.toml"), &text).unwrap();
    std::fs::write(home.path().join("else.toml"), &text).unwrap();
    for arguments in [
        &["serve"][..],
        &["serve", "--config", "else.toml"],
        &["serve", "--sandbox", "--config", "else.toml"],
        &["check"],
        &["check", "--offline", "--config", "else.toml"],
    ] {
        let ended = run_in(home.path(), arguments).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (2, ""),
            "{arguments:?}: {}",
            ended.stderr
        );
        for path in [
            "server.lissten: unknown setting; did you mean listen?",
            "server.workers: ",
            "accounts.main.secret: is missing",
            "accounts.main.secrett: unknown setting; did you mean secret?",
            "accounts.main.js_safe_domains: ",
            "accounts.other.secret_file: \"./nowhere\" cannot be read",
            "6 problems · 配置有 6 处问题",
        ] {
            assert!(
                ended.stderr.contains(path),
                "{arguments:?}: no {path} in\n{}",
                ended.stderr
            );
        }
        assert!(!ended.stderr.contains(SECRET));
    }
}

#[tokio::test]
async fn a_missing_or_malformed_configuration_is_exit_code_2() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(
        home.path().join("broken.toml"),
        format!("[accounts.main]\nsecret = \"{SECRET}\n"),
    )
    .unwrap();
    for (file, words) in [
        ("no.toml", ["no.toml", "cannot be read"]),
        ("broken.toml", ["not valid TOML", "line 2, column"]),
    ] {
        for command in ["serve", "check", "healthcheck"] {
            let ended = run_in(home.path(), &[command, "--config", file]).await;
            assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
            assert!(
                words.iter().all(|word| ended.stderr.contains(word)) && is_bilingual(&ended.stderr),
                "{}",
                ended.stderr
            );
            assert!(!ended.stderr.contains(&SECRET[..8]), "{}", ended.stderr);
        }
    }
}

#[tokio::test]
async fn a_usual_configuration_that_cannot_be_read_is_not_taken_for_a_missing_one() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("wx-jssdk.toml");
    // A link to itself: an error also for root, who may read every directory.
    std::os::unix::fs::symlink(&file, &file).unwrap();
    let ended = run_in(home.path(), &["check", "--offline"]).await;
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    for words in ["wx-jssdk.toml", "cannot be read"] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_foreign_variable_that_is_not_utf_8_is_ignored() {
    use std::os::unix::ffi::OsStrExt as _;
    let home = tempfile::tempdir().unwrap();
    let mut command = command(home.path(), &["check", "--offline"]);
    command.env("LS_COLORS", std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    command
        .env("WX_JSSDK__ACCOUNTS__MAIN__APP_ID", APP)
        .env("WX_JSSDK__ACCOUNTS__MAIN__SECRET", SECRET);
    command.env("WX_JSSDK__ACCOUNTS__MAIN__JS_SAFE_DOMAINS", "example.com");
    let ended = run_command(command).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(
        ended.stdout,
        "configuration: ok, 1 account · 配置正确，共 1 个账号\n"
    );
}

// -- healthcheck --

/// Answers one request with this status.
async fn answering(status: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = http::answer(status, "", "");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1_024];
        let length = stream.read(&mut request).await.unwrap();
        assert!(request[..length].starts_with(b"GET /healthz "));
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    address
}

#[tokio::test]
async fn healthcheck_is_0_when_the_service_answers_and_1_when_it_does_not() {
    let alive = answering("200 OK").await;
    let ended = run(&["healthcheck", "--address", &alive]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (0, "ok\n", "")
    );
    let sick = answering("503 Service Unavailable").await;
    let ended = run(&["healthcheck", "--address", &sick]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert!(
        ended.stderr.contains("503") && is_bilingual(&ended.stderr),
        "{}",
        ended.stderr
    );
    let unused = {
        TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string()
    };
    let ended = run(&["healthcheck", "--address", &unused]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert!(
        ended.stderr.contains("refused") && ended.stderr.contains("server.listen"),
        "{}",
        ended.stderr
    );
    assert!(is_bilingual(&ended.stderr), "{}", ended.stderr);
}

#[tokio::test]
async fn healthcheck_reads_the_address_from_the_configuration_also_0_0_0_0() {
    let home = tempfile::tempdir().unwrap();
    let address = answering("200 OK").await;
    let port = address.rsplit(':').next().unwrap();
    std::fs::write(
        home.path().join("wx-jssdk.toml"),
        format!("server.listen = \"0.0.0.0:{port}\""),
    )
    .unwrap();
    assert_eq!(run_in(home.path(), &["healthcheck"]).await.code, 0);
}

#[tokio::test]
async fn healthcheck_asks_a_service_that_refused_the_present_configuration() {
    let home = tempfile::tempdir().unwrap();
    let address = answering("200 OK").await;
    let text = format!(
        "[server]\nlisten = \"{address}\"\nlissten = 1\n[accounts.main]\nsecret_file = \"./nowhere\"\n"
    );
    std::fs::write(home.path().join("wx-jssdk.toml"), text).unwrap();
    let ended = run_in(home.path(), &["healthcheck"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "ok\n"));
}

#[tokio::test]
async fn healthcheck_asks_where_the_environment_says_without_a_readable_configuration() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("wx-jssdk.toml"), "[server\n").unwrap();
    let certificate = TlsCertificate::new();
    for (file, has_tls) in [
        ("wx-jssdk.toml", false),
        ("wx-jssdk.toml", true),
        ("no.toml", false),
    ] {
        let mut address = answering("200 OK").await;
        if has_tls {
            address = certificate
                .in_front_of(address.parse().unwrap())
                .to_string();
        }
        let mut command = command(home.path(), &["healthcheck", "--config", file]);
        command.env("WX_JSSDK__SERVER__LISTEN", address);
        let ended = run_command(command).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (0, "ok\n"),
            "{file} {has_tls}: {}",
            ended.stderr
        );
    }
}
