//! `spawn_app`: the service as `serve` starts it, and a client that sends exactly the bytes it is given.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use wx_jssdk::actix::RequestStats;
use wx_jssdk::broker::Broker;
use wx_jssdk::clock::{Clock, UnixTime};
use wx_jssdk::sandbox::{App, PreVerify, Sandbox, Verdict};
use wx_jssdk::server::config::Settings;
use wx_jssdk::server::{Application, Reloader};

pub(crate) const APP: &str = "wx0123456789abcdef";
pub(crate) const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
pub(crate) const TOKEN_CALL: &str = "/cgi-bin/stable_token";
pub(crate) const TICKET_CALL: &str = "/cgi-bin/ticket/getticket";

/// 2023-11-14T22:13:20Z: 06:13:20 in Shanghai.
pub(crate) const START: UnixTime = UnixTime(1_700_000_000);

/// The account that most tests are about.
pub(crate) const MAIN: &str = r#"
[accounts.main]
app_id = "wx0123456789abcdef"
secret = "0c79e1fa963cd80cc0be99b20a18faeb"
js_safe_domains = ["example.com"]
js_api_list = ["chooseImage", "scanQRCode"]
"#;

/// A running service and the WeChat behind it. It stops when it is dropped.
pub(crate) struct TestApp {
    pub(crate) address: SocketAddr,
    /// Where the company's other servers call.
    pub(crate) admin: SocketAddr,
    pub(crate) sandbox: Sandbox,
    pub(crate) broker: Broker,
    pub(crate) stats: RequestStats,
    pub(crate) reloader: Reloader,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

/// An HTTP answer, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

/// One account, `main`, and a WeChat that is well.
pub(crate) async fn spawn_app() -> TestApp {
    spawn(MAIN, |sandbox| sandbox.add_app(main_app())).await
}

/// The same, with something laid in WeChat's way before the service starts.
pub(crate) async fn spawn_against(prepare: impl FnOnce(&Sandbox)) -> TestApp {
    spawn(MAIN, |sandbox| {
        sandbox.add_app(main_app());
        prepare(sandbox);
    })
    .await
}

/// A service of this configuration; where it listens and where WeChat is is added.
pub(crate) async fn spawn(config: &str, prepare: impl FnOnce(&Sandbox)) -> TestApp {
    let sandbox = Sandbox::start(Clock::manual(START))
        .await
        .expect("a free port on loopback");
    prepare(&sandbox);
    let mut settings = Settings::read(config, Path::new(""), HashMap::new())
        .unwrap_or_else(|problems| panic!("{problems}"));
    settings.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    settings.server.admin_listen = Some(settings.server.listen);
    settings.server.workers = 1;
    if !config.contains("shutdown_seconds") {
        settings.server.shutdown = Duration::ZERO;
    }
    settings.store = wx_jssdk::server::config::StoreSettings::Memory;
    settings.upstream.weixin = sandbox.url().to_owned();
    settings.upstream.qyapi = sandbox.url().to_owned();
    if !config.contains("timeout_ms") {
        settings.upstream.timeout = Duration::from_secs(60);
    }
    let (report, started) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let (at_end, ended) = oneshot::channel();
    let clock = sandbox.clock().clone();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let application = Application::build_on(&settings, clock)
                .await
                .unwrap_or_else(|error| panic!("{error}"));
            let admin = application.admin_address().expect("there is one");
            let _ = report.send((
                application.address(),
                admin,
                application.broker().clone(),
                application.request_stats().clone(),
                application.reloader(),
            ));
            // Dropping the sender is the order to stop.
            application
                .run_until_stopped(async { drop(stopped.await) })
                .await
                .unwrap();
        });
        let _ = at_end.send(());
    });
    let (address, admin, broker, stats, reloader) = started.await.expect("the service starts");
    TestApp {
        address,
        admin,
        sandbox,
        broker,
        stats,
        reloader,
        stop,
        ended,
    }
}

/// `main` at WeChat.
pub(crate) fn main_app() -> App {
    App::official(APP, SECRET).safe_domain("example.com")
}

impl TestApp {
    /// `GET /jssdk/config` for this page, encoded as `encodeURIComponent` does.
    pub(crate) async fn config(&self, page: &str) -> Answer {
        self.query(&format!("url={}", encode(page))).await
    }

    /// `GET /jssdk/config` with this query, as it is.
    pub(crate) async fn query(&self, query: &str) -> Answer {
        self.get(&format!("/jssdk/config?{query}")).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.request("GET", target, &[]).await
    }

    /// From the admin listener.
    #[allow(dead_code)] // as above
    pub(crate) async fn get_admin(&self, target: &str) -> Answer {
        let mut stream = TcpStream::connect(self.admin).await.unwrap();
        stream
            .write_all(&request("GET", target, &[]))
            .await
            .unwrap();
        read(stream).await
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.send(&request(method, target, headers)).await
    }

    /// Stops it as SIGTERM does, and waits for its end.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.ended.await.expect("the service ends well");
    }

    /// Sends these bytes and reads until the service hangs up.
    pub(crate) async fn send(&self, bytes: &[u8]) -> Answer {
        send_to(self.address, bytes).await
    }

    /// The same on the admin listener.
    pub(crate) async fn send_admin(&self, bytes: &[u8]) -> Answer {
        send_to(self.admin, bytes).await
    }

    /// The client's judgement of this answer on this page.
    pub(crate) fn verdict(&self, config: &Value, page: &str) -> Verdict {
        self.sandbox.verify(&PreVerify {
            app_id: text(config, "appId").to_owned(),
            timestamp: config["timestamp"].as_u64().expect("a number").to_string(),
            nonce_str: text(config, "nonceStr").to_owned(),
            signature: text(config, "signature").to_owned(),
            url: page.to_owned(),
            js_api_list: Some(Vec::new()),
            ..PreVerify::default()
        })
    }

    /// Hashes on its own, with the ticket that WeChat gave out, over `signed`.
    pub(crate) fn expected_signature(&self, config: &Value, signed: &str) -> String {
        let ticket = self
            .sandbox
            .ticket(text(config, "appId"), "jsapi")
            .expect("a living ticket");
        let (nonce, timestamp) = (text(config, "nonceStr"), &config["timestamp"]);
        let digest = Sha1::digest(format!(
            "jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={signed}"
        ));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON of a 200.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// Checks everything that every problem has, and this one's status and code.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["type"], format!("urn:wx-jssdk:error:{code}"));
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(self.header("cache-control"), Some("no-store"));
        for field in [
            &problem["title"],
            &problem["detail"],
            &problem["hint"]["en"],
            &problem["hint"]["zh"],
        ] {
            assert!(
                field
                    .as_str()
                    .is_some_and(|sentence| sentence.chars().count() > 5),
                "{problem}"
            );
        }
        assert!(
            text(&problem["hint"], "zh").chars().any(|c| c > '\u{4e00}'),
            "{problem}"
        );
        problem
    }
}

/// The bytes of a request without a body, after which the service hangs up.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\n");
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        text += "Host: service.test\r\n";
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    (text + "Connection: close\r\n\r\n").into_bytes()
}

async fn send_to(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A request that is too large is answered before it is read to its end.
    let _ = stream.write_all(bytes).await;
    read(stream).await
}

pub(crate) async fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    // What came before a reset counts.
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        bytes.extend_from_slice(&buffer[..count]);
    }
    let answer = String::from_utf8(bytes).expect("answers are UTF-8");
    let (head, text) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no whole answer: {answer:?}"));
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|status| status.parse().ok());
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Answer {
        status: status.expect("a status"),
        headers: headers.collect(),
        text: text.to_owned(),
    }
}

/// `encodeURIComponent`.
pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .fold(String::new(), |encoded, byte| match byte {
            b if b.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&b) => {
                encoded + &char::from(b).to_string()
            }
            b => encoded + &format!("%{b:02X}"),
        })
}

#[track_caller]
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field} in {value}"))
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
