//! `[log] requests`: which requests are logged, and with which fields.

use serde_json::Value;

use crate::common::http;
use crate::common::program::*;

const PAGE: &str = "/jssdk/config?url=https%3A%2F%2Fdemo.example.com%2Fsecret-page&account=demo";

/// Starts `serve --sandbox` with JSON logs of these requests. Returns the process and the two addresses.
async fn serve(home: &std::path::Path, requests: &str) -> (Running, String, String) {
    let mut command = serve_sandbox_command(home);
    command
        .env("WX_JSSDK__LOG__FORMAT", "json")
        .env("WX_JSSDK__LOG__REQUESTS", requests);
    let mut running = Running::start(command);
    let (public, admin) = (running.line("public").await, running.line("admin").await);
    running.line("api key").await;
    (running, public, admin)
}

/// Returns all request lines of a run with a signature, an unknown account, and a credential without a key.
async fn lines_of(requests: &str) -> Vec<Value> {
    let home = tempfile::tempdir().unwrap();
    let (running, public, admin) = serve(home.path(), requests).await;
    assert_eq!(get(&format!("{public}{PAGE}")).await.0, 200);
    assert_eq!(get(&format!("{public}{PAGE}")).await.0, 200);
    assert_eq!(get(&format!("{public}{PAGE}-of-nobody")).await.0, 404);
    assert_eq!(
        get(&format!("{admin}/credentials/demo/access_token"))
            .await
            .0,
        401
    );
    assert_eq!(get(&format!("{admin}/healthz")).await.0, 200);
    let ended = running.stop().await;
    assert!(
        !ended.stderr.contains("secret-page"),
        "no query in the log: {}",
        ended.stderr
    );
    let lines = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
    lines
        .filter(|line| line["target"] == "wx_jssdk::request")
        .collect()
}

fn summary(line: &Value) -> (String, u64, Option<String>) {
    let route = format!(
        "{} {}",
        line["listener"].as_str().unwrap(),
        line["route"].as_str().unwrap()
    );
    (
        route,
        line["status"].as_u64().unwrap(),
        line["account"].as_str().map(str::to_owned),
    )
}

#[tokio::test]
async fn by_default_failed_requests_and_all_admin_requests_are_logged() {
    let mut lines = lines_of("failed").await;
    // The first signature may have waited for a refresh for more than a second.
    lines.retain(|line| line["listener"] == "admin" || line["status"] != 200);
    let credential = "admin /credentials/{account}/{kind}".to_owned();
    let expected = [
        ("public /jssdk/config".to_owned(), 404, None),
        (credential, 401, Some("demo".to_owned())),
        ("admin /healthz".to_owned(), 200, None),
    ];
    assert_eq!(lines.iter().map(summary).collect::<Vec<_>>(), expected);
    let codes: Vec<_> = lines.iter().map(|line| line["code"].as_str()).collect();
    assert_eq!(codes, [Some("unknown_account"), Some("unauthorized"), None]);
    for line in &lines {
        assert_eq!(
            (line["method"].as_str(), line["client"].as_str()),
            (Some("GET"), Some("127.0.0.1")),
            "{line}"
        );
        assert!(
            line["micros"].is_u64() && line["id"].as_str().is_some_and(|id| id.len() == 16),
            "{line}"
        );
    }
}

#[tokio::test]
async fn an_open_platforms_account_is_named_in_the_line() {
    const CREDENTIAL: &str = "/credentials/demo-platform/wx0123456789abcdef/access_token";
    let home = tempfile::tempdir().unwrap();
    let (mut running, _, admin) = serve(home.path(), "failed").await;
    running
        .log_line("WeChat's list of authorised accounts read")
        .await;
    let credential = client()
        .get(format!("{admin}{CREDENTIAL}"))
        .bearer_auth(running.printed("api key"));
    assert_eq!(credential.send().await.unwrap().status(), 200);
    let ended = running.stop().await;
    let mut lines = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
    let line = lines.find(|line| line["listener"] == "admin");
    let expected = (
        "admin /credentials/{platform}/{app_id}/{kind}".to_owned(),
        200,
        Some("demo-platform/wx0123456789abcdef".to_owned()),
    );
    assert_eq!(summary(&line.expect("a line")), expected);
}

#[tokio::test]
async fn malformed_requests_cause_no_error_lines() {
    let home = tempfile::tempdir().unwrap();
    let (running, public, admin) = serve(home.path(), "failed").await;
    let oversized = http::get("/").header("X-Large", "x".repeat(200_000)).text();
    for address in [public, admin] {
        let (_, address) = address.split_once("://").unwrap();
        let address = address.trim_end_matches('/').parse().unwrap();
        for n in 0..10 {
            let malformed = match n {
                0 => oversized.as_bytes(),
                // The beginning of a TLS handshake.
                1 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                _ => b"x\r\n\r\n",
            };
            let answer = http::exchange(address, malformed).await;
            assert!(
                answer.starts_with(http::status_line(if n == 0 { 431 } else { 400 }).as_bytes())
            );
        }
    }
    let ended = running.stop().await;
    let mut lines = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
    assert!(
        lines.all(|line| line["level"] != "ERROR"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn mode_all_logs_each_signature_and_mode_off_none() {
    let mut lines = lines_of("all").await;
    // The simulated WeChat pushes to the platform at some time.
    lines.retain(|line| line["method"] == "GET");
    let signed = (
        "public /jssdk/config".to_owned(),
        200,
        Some("demo".to_owned()),
    );
    assert_eq!(
        lines
            .iter()
            .map(summary)
            .filter(|line| *line == signed)
            .count(),
        2,
        "{lines:?}"
    );
    assert_eq!(lines.len(), 5);
    assert_eq!(lines_of("off").await, Vec::<Value>::new());
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_client_is_the_address_that_it_reports() {
    for (trusted, client) in [("127.0.0.1", "198.51.100.7"), ("192.0.2.1", "127.0.0.1")] {
        let home = tempfile::tempdir().unwrap();
        let mut command = serve_sandbox_command(home.path());
        command
            .env("WX_JSSDK__LOG__REQUESTS", "all")
            .env("WX_JSSDK__SERVER__TRUSTED_PROXIES", trusted);
        let mut running = Running::start(command);
        let (public, admin) = (running.line("public").await, running.line("admin").await);
        running.line("api key").await;
        for (listener, path) in [
            (&public, PAGE),
            (&admin, "/healthz"),
            (&admin, "/cgi-bin/x"),
        ] {
            let address = listener.strip_prefix("http://").unwrap().parse().unwrap();
            let request = http::get(path)
                .header("Host", "localhost")
                .header("X-Forwarded-For", "6.6.6.6, 198.51.100.7")
                .close();
            http::exchange(address, request.text()).await;
        }
        let ended = running.stop().await;
        let lines = ended.stderr.lines();
        // The simulated WeChat pushes to the platform.
        let lines = lines.filter(|line| !line.contains("method=\"POST\""));
        let lines: Vec<_> = lines.filter(|line| line.contains("listener=")).collect();
        assert_eq!(lines.len(), 3, "{}", ended.stderr);
        for line in lines {
            assert!(line.contains(&format!("client={client}")), "{line}");
        }
    }
}

#[tokio::test]
async fn a_wrong_value_is_named_with_the_valid_ones() {
    let home = tempfile::tempdir().unwrap();
    let mut command = command(home.path(), &["serve", "--sandbox"]);
    command.env("WX_JSSDK__LOG__REQUESTS", "some");
    let ended = run_command(command).await;
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("log.requests") && ended.stderr.contains("failed"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_failed_requests_line_says_why_and_never_a_key_sent_as_its_id() {
    let home = tempfile::tempdir().unwrap();
    let (running, public, admin) = serve(home.path(), "failed").await;
    for address in [
        format!("{public}/nothing?ticket=of-nobody"),
        format!("{public}/jssdk/config?account=demo"),
        format!("{admin}/cgi-bin/token?grant_type=client_credential&appid=wx0&secret=s"),
        format!("{admin}/cgi-bin/gettoken?corpid=ww0&corpsecret=s"),
    ] {
        get(&address).await;
    }
    let admin = admin.strip_prefix("http://").unwrap();
    let request = http::get("/credentials/demo/access_token")
        .header("Host", "localhost")
        .header("X-Request-Id", "wxk_my-own-key")
        .close();
    let answer = http::exchange(admin.parse().unwrap(), request.text()).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.contains(" 401 ") && !answer.contains("my-own-key"),
        "{answer}"
    );
    let ended = running.stop().await;
    assert!(!ended.stderr.contains("my-own-key"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("of-nobody"), "{}", ended.stderr);
    let lines = ended.stderr.lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<_> = lines
        .filter(|line| line["target"] == "wx_jssdk::request")
        .collect();
    let paths: Vec<_> = lines
        .iter()
        .filter_map(|line| line["path"].as_str())
        .collect();
    assert_eq!(
        paths,
        ["/nothing"],
        "of the public listener, for a path without a route"
    );
    let reasons: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["code"].as_str().map(str::to_owned),
                line["errcode"].as_i64(),
            )
        })
        .collect();
    let code = |code: &str| (Some(code.to_owned()), None);
    assert_eq!(
        reasons,
        [
            code("not_found"),
            code("missing_url"),
            (None, Some(40013)),
            (None, Some(40013)),
            code("unauthorized")
        ]
    );
}
