//! Answers that no API of WeChat gives, but its web servers or a proxy may: redirects, other framings, headers of the
//! connection.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const MEDIA: &str = "/cgi-bin/media/get";
const TOKEN: &str = "8_a-token-of-wechat";

/// The gateway in front of a WeChat with this answer to every call. `TARGET` in it stands for the call's target.
async fn in_front_of(answer: &'static str) -> World {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", upstream.local_addr().unwrap());
    tokio::spawn(answer_all(upstream, answer));
    let sandbox = Sandbox::start(Clock::manual(START)).await.unwrap();
    World::at(sandbox, &base, "", "").await
}

async fn answer_all(upstream: TcpListener, answer: &'static str) {
    let token = format!(r#"{{"access_token":"{TOKEN}","expires_in":7200}}"#);
    let token = http::answer("200 OK", "Content-Type: application/json\r\n", &token);
    loop {
        let (mut stream, _) = upstream.accept().await.unwrap();
        let token = token.clone();
        tokio::spawn(async move {
            let mut request = [0; 4_096];
            while let Ok(count @ 1..) = stream.read(&mut request).await {
                let request = String::from_utf8_lossy(&request[..count]);
                // The service's own calls have no `Via`.
                let answer = match request.split(' ').nth(1) {
                    Some(target) if request.contains("\r\nvia: ") => {
                        answer.replace("TARGET", target)
                    }
                    _ if request.contains(" HTTP/1.1\r\n") => token.clone(),
                    _ => continue,
                };
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
    }
}

fn media() -> String {
    format!("/wx/main{MEDIA}?access_token={KEY}")
}

#[tokio::test]
async fn a_redirect_shows_the_caller_neither_token_nor_app_secret() {
    let world = in_front_of(
        "HTTP/1.1 301 Moved Permanently\r\nLocation: https://api.weixin.qq.comTARGET\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    let login = format!("/sns/jscode2session?appid={MINI}&secret={VIRTUAL_KEY}&js_code=x");
    let call = format!("/wx/main{USERS}?access_token={VIRTUAL_KEY}");
    for (target, secret) in [(call, TOKEN), (login, SECRET)] {
        let answer = world.send(get(target)).await;
        assert_eq!(answer.status, 502, "{answer:?}");
        assert_eq!(answer.json()["errcode"], -1);
        let to = "redirects the call to https://api.weixin.qq.com (status 301)";
        assert!(answer.text.contains(to), "{answer:?}");
        assert!(!format!("{answer:?}").contains(secret), "{answer:?}");
    }
    assert_eq!(world.counted("/cgi-bin/user").await, [("failed", 1)]);
}

#[tokio::test]
async fn an_upgrade_that_was_not_offered_is_not_passed_on() {
    let world = in_front_of(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    )
    .await;
    let answer = world.send(get(media())).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(answer.header("upgrade"), None);
    assert!(
        answer.text.contains("answered with status 101"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_length_beside_chunks_does_not_cut_the_answer() {
    let world = in_front_of(
        "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
    )
    .await;
    let answer = world.send(get(media())).await;
    assert_eq!(answer.text, "0123456789");
    assert_eq!(answer.header("content-length"), None, "{answer:?}");
}

#[tokio::test]
async fn an_error_after_a_chunk_of_white_space_is_recognised() {
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n \r\n\r\n11\r\n{\"errcode\":45009}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\u{feff}\r\n11\r\n{\"errcode\":45009}\r\n0\r\n\r\n",
    ] {
        let world = in_front_of(answer).await;
        let passed = world.send(get(media())).await.text;
        assert!(passed.ends_with("{\"errcode\":45009}"), "{passed}");
        assert_eq!(passed.len(), 20, "every byte is passed on");
        assert_eq!(world.counted("/cgi-bin/media").await, [("errcode", 1)]);
    }
}

#[tokio::test]
async fn headers_of_wechats_connection_are_not_passed_on() {
    let world = in_front_of(
        "HTTP/1.1 200 OK\r\nConnection: X-Named, keep-alive\r\nX-Named: a\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nContent-Location: TARGET\r\nX-Of-WeChat: kept\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let answer = world.send(get(media())).await;
    for name in [
        "x-named",
        "keep-alive",
        "proxy-connection",
        "content-location",
    ] {
        assert_eq!(answer.header(name), None, "{name}: {answer:?}");
    }
    assert_eq!(answer.header("x-of-wechat"), Some("kept"));
    assert_eq!(answer.text, "ok");
}

#[tokio::test]
async fn the_answer_to_a_head_request_has_wechats_length_or_no_length() {
    for (answer, length) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n",
            Some("12345"),
        ),
        ("HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n", None),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            None,
        ),
    ] {
        let world = in_front_of(answer).await;
        let answer = world.send(Request::new("HEAD", media())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-length"), length, "{answer:?}");
    }
}
