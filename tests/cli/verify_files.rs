//! `check` and domain verification files: a test server stands in for the domain, and answers as proxies and applications do.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wx_jssdk::clock::{Clock, UnixTime};
use wx_jssdk::sandbox::{App, Sandbox};

use crate::common::http::answer;
use crate::common::program::*;

const FILE: &str = "MP_verify_AbCdEfGh12345678.txt";
const CONTENT: &str = "AbCdEfGh12345678";

/// Answers every request with these bytes after the head. Returns the request lines.
async fn domain(answer: String) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, asked) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4_096];
            let count = stream.read(&mut request).await.unwrap_or(0);
            // A TLS hello is not a request: this domain has no https.
            if request[..count].starts_with(b"GET ") {
                let _ = tell.send(String::from_utf8_lossy(&request[..count]).into_owned());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    });
    (address, asked)
}

/// Runs `check` for an account with one domain and one file; `example.com` resolves to `address`.
async fn check(address: SocketAddr, arguments: &[&str]) -> Ended {
    let sandbox = Sandbox::start(Clock::manual(UnixTime(1_700_000_000)))
        .await
        .unwrap();
    sandbox.add_app(App::official(APP, SECRET));
    let home = tempfile::tempdir().unwrap();
    let text = format!(
        "[upstream]\nweixin = \"{0}\"\nqyapi = \"{0}\"\ntimeout_ms = 20000\n[accounts.main]\napp_id = \"{APP}\"\nsecret = \"{SECRET}\"\n\
         js_safe_domains = [\"example.com\"]\nverify_files = {{ \"{FILE}\" = \"{CONTENT}\" }}\n",
        sandbox.url()
    );
    std::fs::write(home.path().join("wx-jssdk.toml"), text).unwrap();
    let resolve = format!("example.com={address}");
    run_in(
        home.path(),
        &[&["check", "--resolve", &resolve], arguments].concat(),
    )
    .await
}

#[tokio::test]
async fn a_file_that_is_served_is_reported_as_ok() {
    let (address, mut asked) = domain(answer("200 OK", "", CONTENT)).await;
    let ended = check(address, &[]).await;
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (0, ""),
        "{}",
        ended.stdout
    );
    let line = format!(
        "main: ok, the domain verification file is at http://example.com/{FILE} · 域名校验文件可访问"
    );
    assert!(ended.stdout.contains(&line), "{}", ended.stdout);
    let request = asked.recv().await.unwrap().to_lowercase();
    assert!(
        request.starts_with(&format!("get /{FILE} http/1.1").to_lowercase())
            && request.contains("host: example.com"),
        "{request}"
    );
}

#[tokio::test]
async fn each_obstacle_has_its_own_message_and_fix() {
    let around = |text: &str| answer("200 OK", "", text);
    for (answer, cause, fix) in [
        (
            answer("404 Not Found", "", "nothing"),
            "HTTP 404",
            "pass /MP_verify_*",
        ),
        (
            answer("403 Forbidden", "", "no"),
            "HTTP 403",
            "must not require a login",
        ),
        (
            answer("502 Bad Gateway", "", ""),
            "HTTP 502",
            "the log of the proxy",
        ),
        (
            answer(
                "301 Moved Permanently",
                "Location: https://www.example.com/x\r\n",
                "",
            ),
            "redirects to https://www.example.com/x",
            "from the redirect",
        ),
        (
            answer(
                "301 Moved Permanently",
                "Location: https://example.com/x\r\n",
                "",
            ),
            "redirects http to https, and https fails",
            "Check the certificate",
        ),
        (
            answer("302 Found", "", ""),
            "answers with a redirect",
            "from the redirect",
        ),
        (
            around(&format!("{CONTENT}\n")),
            "line break",
            "Serve the file unchanged",
        ),
        (
            around(&format!("\u{feff}{CONTENT}")),
            "byte order mark",
            "Serve the file unchanged",
        ),
        (
            around("<!doctype html><div id=app></div>"),
            "web page",
            "index page",
        ),
        (
            around("XbCdEfGh12345678"),
            "different content",
            "from WeChat's console again",
        ),
        (
            around(""),
            "different content",
            "from WeChat's console again",
        ),
        (
            around(&"A".repeat(100_000)),
            "different content",
            "from WeChat's console again",
        ),
    ] {
        let (address, _asked) = domain(answer.clone()).await;
        let ended = check(address, &[]).await;
        assert_eq!(ended.code, 1, "{answer}: {}", ended.stdout);
        assert!(
            ended.stdout.contains("main: ok, WeChat accepts"),
            "{}",
            ended.stdout
        );
        let (_, about) = ended
            .stdout
            .split_once(&format!(
                "main: the domain verification file is not at example.com/{FILE}\n"
            ))
            .unwrap();
        let lines: Vec<_> = about.lines().collect();
        assert!(
            lines[0].starts_with("    cause: ") && lines[0].contains(cause),
            "{cause}: {about}"
        );
        assert!(
            lines[1].starts_with("    fix:   ") && lines[1].contains(fix),
            "{fix}: {about}"
        );
        assert!(
            lines[2].starts_with("    原因：") && lines[3].starts_with("    解决："),
            "{about}"
        );
    }
}

#[tokio::test]
async fn a_domain_that_does_not_answer_is_reported_as_unreachable() {
    let unused = TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let ended = check(unused, &[]).await;
    assert_eq!(ended.code, 1);
    assert!(
        ended.stdout.contains("the domain does not answer") && ended.stdout.contains("域名解析"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn offline_contacts_no_domain() {
    let (address, mut asked) = domain(answer("404 Not Found", "", "")).await;
    let ended = check(address, &["--offline"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stdout);
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn an_invalid_address_is_wrong_usage() {
    for resolve in [
        "example.com",
        "example.com=",
        "example.com=localhost",
        "example.com=127.0.0.1",
    ] {
        let ended = run(&["check", "--resolve", resolve]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{resolve}");
    }
}
