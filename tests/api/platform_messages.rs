//! User messages to accounts that authorised an open platform: WeChat's go-live test, and forwarding.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use wx_jssdk::sandbox::{Push, PushReply};
use wx_jssdk::server::config::Settings;

use crate::common::http::{self, Answer, answer, post};
use crate::common::process::alone;
use crate::platform::{COMPONENT, SECRET, SHOP, World, captured, vector};
use crate::secrets::Log;

/// WeChat's official account for the test.
const TEST: &str = "wx570bc396a51b8ff8";
const USER: &str = "oUser000000000000000000000000";
const OLD_KEY: &str = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";

/// The company's message server, which answers each message with these bytes, or never.
struct Company {
    address: SocketAddr,
    requests: mpsc::UnboundedReceiver<String>,
}

impl Company {
    async fn start(response: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (report, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = report.send(http::read_request(&mut stream).await);
                match &response {
                    Some(response) => stream.write_all(response.as_bytes()).await.unwrap(),
                    None => std::future::pending().await,
                }
            }
        });
        Self { address, requests }
    }

    /// The platform's setting.
    fn setting(&self) -> String {
        format!(
            "messages_url = \"http://{}/wx/{{appid}}?a=1\"",
            self.address
        )
    }
}

impl World {
    /// Sends a captured event push to the message URL.
    async fn send_captured(&self, headers: &[(&str, &str)]) -> Answer {
        let (query, body) = captured(&vector("open-ticket-2015"));
        let target = format!("/platforms/agency/messages/{SHOP}?{query}");
        let request = post(target).headers(headers).close().body(body);
        http::send(self.service.public, request).await
    }

    async fn write(&self, app_id: &str, text: &str) -> PushReply {
        let sent = self.sandbox.send_message(COMPONENT, app_id, USER, text);
        sent.await
    }

    async fn assert_counted(&self, outcome: &str, count: u64) {
        let line = format!(
            r#"wx_jssdk_platform_pushes_total{{platform="agency",outcome="{outcome}"}} {count}"#
        );
        let metrics = self.admin("/metrics").await.text;
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[tokio::test]
async fn wechats_whole_go_live_test_passes() {
    let world = World::with("", |platform| platform).await;
    let checked = world.sandbox.check_going_live(COMPONENT).await;
    assert_eq!(checked, Ok(()));
    // Both test accounts can be used afterwards, and it passes again.
    for app_id in [TEST, "wxd101a85aa106f53e"] {
        let name = format!("agency/{app_id}");
        assert!(world.service.broker.accounts().get(&name).is_ok(), "{name}");
    }
    assert_eq!(world.sandbox.check_going_live(COMPONENT).await, Ok(()));
    world.assert_counted("message_answered", 8).await;
}

#[tokio::test]
async fn wechats_go_live_test_passes_while_messages_are_forwarded() {
    let mut company = Company::start(Some(answer("200 OK", "", "mine"))).await;
    let world = World::with(&company.setting(), |platform| platform).await;
    let checked = world.sandbox.check_going_live(COMPONENT).await;
    assert_eq!(checked, Ok(()));
    assert!(company.requests.try_recv().is_err(), "nothing is forwarded");
    // Other texts to a test account are forwarded like any message.
    assert_eq!(world.write(TEST, "hello").await.body, "mine");
}

#[tokio::test]
async fn a_message_is_forwarded_byte_for_byte_and_its_answer_returned() {
    let reply = "<xml><Encrypt>\u{4e2d}</Encrypt></xml>\r\n";
    let headers = "Content-Type: application/xml; charset=utf-8\r\nSet-Cookie: a=1\r\n";
    let mut company = Company::start(Some(answer("200 OK", headers, reply))).await;
    let world = World::with(&company.setting(), |platform| platform).await;
    let got = world.send_captured(&[("Content-Type", "text/xml")]).await;
    assert_eq!((got.status, got.text.as_str()), (200, reply));
    let content_type = got.header("content-type");
    assert_eq!(content_type, Some("application/xml; charset=utf-8"));
    assert_eq!(got.header("set-cookie"), None);
    let request = company.requests.recv().await.unwrap();
    let (query, body) = captured(&vector("open-ticket-2015"));
    let (head, sent) = request.split_once("\r\n\r\n").unwrap();
    let line = format!("POST /wx/{SHOP}?a=1&{query} HTTP/1.1\r\n");
    assert!(head.starts_with(&line), "{head}");
    assert!(head.to_lowercase().contains("content-type: text/xml\r\n"));
    assert_eq!(sent, body);
    world.assert_counted("message_forwarded", 1).await;
}

#[tokio::test]
async fn a_message_that_cannot_be_forwarded_is_answered_success() {
    let large = "x".repeat(65_537);
    for response in [
        answer("500 Internal Server Error", "", "broken"),
        answer("302 Found", "Location: http://127.0.0.1/\r\n", ""),
        answer("200 OK", "", &large),
        String::new(),
    ] {
        let company = Company::start(Some(response)).await;
        let world = World::with(&company.setting(), |platform| platform.authorized_by(SHOP)).await;
        let reply = world.write(SHOP, "hello").await;
        assert!(reply.is_success(), "{reply:?}");
        world.assert_counted("message_not_forwarded", 1).await;
    }
}

#[tokio::test]
async fn wechat_gets_success_in_time_while_the_other_server_does_not_answer() {
    let company = Company::start(None).await;
    // WeChat waits five seconds. `server/forward` gives up earlier; a busy machine may answer later.
    let world = World::with(&company.setting(), |platform| {
        platform.authorized_by(SHOP).push_timeout(http::BOUND)
    })
    .await;
    let reply = world.write(SHOP, "hello").await;
    assert!(reply.is_success(), "{reply:?}");
    world.assert_counted("message_not_forwarded", 1).await;
    assert_eq!(company.requests.len(), 1, "it is tried once");
}

#[tokio::test]
async fn without_a_message_server_messages_are_answered_success() {
    let world = World::with("", |platform| platform.authorized_by(SHOP)).await;
    let reply = world.write(SHOP, "TESTCOMPONENT_MSG_TYPE_TEXT").await;
    assert!(
        reply.is_success(),
        "only the test accounts get a reply: {reply:?}"
    );
    world.assert_counted("message_answered", 1).await;
}

#[tokio::test]
async fn a_message_with_the_previous_keys_is_answered_with_them() {
    let settings =
        format!("previous_push_token = \"old-token\"\nprevious_aes_key = \"{OLD_KEY}\"\n");
    let world = World::with(&settings, |platform| {
        platform
            .with_previous_push_keys("old-token", OLD_KEY)
            .authorized_by(TEST)
    })
    .await;
    let text = "TESTCOMPONENT_MSG_TYPE_TEXT";
    for push in [
        Push::message(TEST, USER, text),
        Push::message(TEST, USER, text).previous_keys(),
    ] {
        // The sandbox decrypts with the keys of the message only.
        let reply = world.sandbox.push(COMPONENT, push).await;
        let expected = "TESTCOMPONENT_MSG_TYPE_TEXT_callback";
        assert_eq!(reply.reply.as_deref(), Some(expected), "{reply:?}");
    }
}

#[tokio::test]
async fn every_invalid_message_gets_the_same_answer() {
    let mut company = Company::start(Some(answer("200 OK", "", "mine"))).await;
    let world = World::with(&company.setting(), |platform| platform.authorized_by(SHOP)).await;
    let message = || Push::message(SHOP, USER, "hello");
    for push in [
        message().wrong_receiver(),
        message().wrong_signature(),
        message().truncated(),
    ] {
        let reply = world.sandbox.push(COMPONENT, push).await;
        let got = (reply.status, reply.body.as_str());
        assert_eq!(got, (Some(400), "the push is not valid"));
    }
    // The message was already forwarded by this service or another wx-jssdk.
    let again = world.send_captured(&[("wx-jssdk-forwarded", "1")]).await;
    let got = (again.status, again.text.as_str());
    assert_eq!(got, (400, "the push is not valid"));
    for path in [
        "/platforms/agency/messages/",
        "/platforms/agency/messages/a/b",
        "/platforms/agency/messages/a%2Fb",
        "/platforms/other/messages/wx1111111111111111",
    ] {
        let request = post(path).close().body("<xml/>");
        let answer = http::send(world.service.public, request).await;
        assert!(
            matches!(answer.status, 404 | 405),
            "{path}: {}",
            answer.status
        );
    }
    assert!(company.requests.try_recv().is_err(), "nothing is forwarded");
    world.assert_counted("refused", 3).await;
}

/// The settings of a platform.
fn platform(name: &str, component: &str, setting: &str) -> String {
    format!(
        "[platforms.{name}]\ncomponent_appid = \"{component}\"\nsecret = \"{SECRET}\"\n\
         push_token = \"token\"\naes_key = \"{OLD_KEY}\"\njs_safe_domains = [\"example.com\"]\n{setting}\n"
    )
}

#[test]
fn an_unusable_url_or_path_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let read = |setting: &str| {
        let text = format!(
            "[server]\nlisten = \"0.0.0.0:8080\"\nadmin_listen = \"127.0.0.1:8081\"\n{}",
            platform("agency", COMPONENT, setting)
        );
        Settings::read(&text, home.path(), Default::default())
    };
    for good in [
        "messages_url = \"http://app:9000/wx/{appid}\"",
        "messages_url = \"http://127.0.0.1:9000/?app={appid}\"",
        "messages_url = \"https://app.example.com:8080/wx\"",
        "messages_path = \"/wx/$APPID$/callback\"",
        "callback_path = \"/wx/healthz\"",
        "authorize_url = \"https://wx.example.com/wx/\"",
        "authorize_url = \"https://wx.example.com/authorize/agency2\"",
    ] {
        if let Err(problems) = read(good) {
            panic!("{good}: {problems}");
        }
    }
    for (bad, problem) in [
        ("messages_url = \"http://127.0.0.1:8080/{appid}\"", "itself"),
        ("messages_url = \"http://localhost:8081/{appid}\"", "itself"),
        ("messages_url = \"app:9000\"", "must be a URL"),
        (
            "messages_url = \"http://{appid}.internal/\"",
            "must be a URL",
        ),
        ("messages_url = \"http://u:p@app/{appid}\"", "must be a URL"),
        ("messages_url = \"http://app/$APPID$\"", "must have {appid}"),
        (
            "messages_url = \"http://u:p@app/{appid}/$appid$\"",
            "must have {appid}",
        ),
        ("messages_url = \"http://app/{APPID}\"", "must have {appid}"),
        ("messages_path = \"/wx/callback\"", "$APPID$"),
        ("messages_path = \"/jssdk/$APPID$\"", "must be a path"),
        ("callback_path = \"/wx/$APPID$\"", "must be a path"),
        ("callback_path = \"/healthz\"", "must be a path"),
        ("callback_path = \"/qr.svg\"", "must be a path"),
        ("callback_path = \"/wx/../events\"", "must be a path"),
        ("callback_path = \"/wx/MP_verify_x.txt\"", "must be a path"),
        ("messages_path = \"/WW_verify_$APPID$\"", "must be a path"),
        ("authorize_url = \"wx.example.com\"", "must be a base URL"),
        (
            "authorize_url = \"https://u:p@wx.example.com\"",
            "must be a base URL",
        ),
        (
            "authorize_url = \"https://wx.example.com/?a\"",
            "must be a base URL",
        ),
        (
            "authorize_url = \"https://wx.example.com/a;b\"",
            "must be a base URL",
        ),
        (
            "authorize_url = \"https://wx.example.com/a/authorize/agency/\"",
            "without /authorize/agency: https://wx.example.com/a",
        ),
    ] {
        let problems = read(bad).unwrap_err().to_string();
        assert!(problems.contains(problem), "{bad}: {problems}");
        assert!(!problems.contains("u:p"), "{problems}");
    }
}

#[test]
fn platforms_whose_message_paths_overlap_are_refused() {
    let home = tempfile::tempdir().unwrap();
    for (one, other, is_good) in [
        ("/wx/$APPID$", "/wx/$APPID$", false),
        ("/wx/$APPID$", "/wx/b-$APPID$", false),
        ("/wx/b-$APPID$", "/wx/$APPID$", false),
        ("/a/$APPID$", "/b/$APPID$", true),
        ("/wx/$APPID$", "/wx/$APPID$/b", true),
    ] {
        let path = |path: &str| format!("messages_path = \"{path}\"");
        let text = platform("one", COMPONENT, &path(one))
            + &platform("other", "wx0000000000c0de00", &path(other));
        let read = Settings::read(&text, home.path(), Default::default());
        let problems = read.err().map(|problems| problems.to_string());
        let is_refused = problems
            .as_ref()
            .is_some_and(|text| text.contains("matches the same paths"));
        assert_eq!(is_refused, !is_good, "{one} {other}: {problems:?}");
    }
}

#[tokio::test]
async fn no_token_and_no_text_of_a_message_is_logged() {
    if !alone(no_token_and_no_text_of_a_message_is_logged) {
        return;
    }
    let log = Log::default();
    log.listen();
    let company =
        Company::start(Some(answer("500 Internal Server Error", "", "their error"))).await;
    let world = World::with(&company.setting(), |platform| platform.authorized_by(SHOP)).await;
    assert_eq!(world.sandbox.check_going_live(COMPONENT).await, Ok(()));
    let said = "a private word of a user";
    assert!(world.write(SHOP, said).await.is_success());
    let token = world.sandbox.authorizer_token(COMPONENT, TEST).unwrap();
    let refresh = world.sandbox.authorizer_refresh_token(COMPONENT, TEST);
    let text = log.text();
    assert!(text.contains("message sent through the API"), "{text}");
    assert!(text.contains("message could not be forwarded"), "{text}");
    for hidden in [
        said,
        &token,
        &refresh.unwrap(),
        "queryauthcode@@@",
        "their error",
    ] {
        assert!(!text.contains(hidden), "{hidden}");
    }
}
