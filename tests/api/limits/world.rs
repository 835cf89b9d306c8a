//! A service with given limits, and clients that send exactly the bytes they are told.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use wx_jssdk::actix::KeyHash;
use wx_jssdk::sandbox::{App, Sandbox};
use wx_jssdk::server::config::Settings;
use wx_jssdk::server::{Application, Counter};
use wx_jssdk::{Clock, UnixTime};

pub(crate) const PAGE: &str = "/jssdk/config?url=https%3A%2F%2Fexample.com%2F";
pub(crate) const TOKEN: &str = "/credentials/main/access_token";
pub(crate) const KEY: &str = "wxk_right";
pub(crate) const APP: &str = "wx0123456789abcdef";

/// No step takes long; what has not come by then does not come.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) sandbox: Sandbox,
    pub(crate) counter: Counter,
    _stop: oneshot::Sender<()>,
}

/// An HTTP answer, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) text: String,
}

impl World {
    /// A service with these lines in its `[limits]` and these in its `[server]`, on a clock that stands still.
    pub(crate) async fn new(limits: &str, server: &str) -> Self {
        let clock = Clock::manual(UnixTime(1_767_225_600));
        let sandbox = Sandbox::start(clock.clone()).await.unwrap();
        sandbox.add_app(
            App::official(APP, "0c79e1fa963cd80cc0be99b20a18faeb").safe_domain("example.com"),
        );
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\nshutdown_seconds = 0\ndemo = true\n{server}\n
            [limits]\n{limits}\n[store]\nkind = \"memory\"\n[upstream]\nweixin = \"{0}\"\nqyapi = \"{0}\"\ntimeout_ms = 20000\n
            [[server.api_keys]]\nname = \"crm\"\nsha256 = \"{1}\"\n
            [accounts.main]\napp_id = \"{APP}\"\nsecret = \"0c79e1fa963cd80cc0be99b20a18faeb\"\njs_safe_domains = [\"example.com\"]\n",
            sandbox.url(),
            KeyHash::of(KEY)
        );
        let settings = Settings::read(&text, Path::new(""), HashMap::new())
            .unwrap_or_else(|problems| panic!("{problems}"));
        let (report, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let its_clock = clock.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let application = Application::build_on(&settings, its_clock)
                    .await
                    .unwrap_or_else(|error| panic!("{error}"));
                let _ = report.send((
                    application.address(),
                    application.admin_address().unwrap(),
                    application.counter(),
                ));
                application
                    .run_until_stopped(async { drop(stopped.await) })
                    .await
                    .unwrap();
            });
        });
        let (public, admin, counter) = timeout(BOUND, started).await.unwrap().unwrap();
        Self {
            public,
            admin,
            clock,
            sandbox,
            counter,
            _stop: stop,
        }
    }

    /// `GET` on the public listener, as a proxy that saw `client` passes it on.
    pub(crate) async fn get_for(&self, client: &str, target: &str) -> Answer {
        ask(
            self.public,
            "GET",
            target,
            &[("X-Forwarded-For", client)],
            "",
        )
        .await
    }

    /// `GET /credentials/main/access_token` with this key, as a proxy that saw `client` passes it on.
    pub(crate) async fn token(&self, client: &str, key: &str) -> Answer {
        ask(
            self.admin,
            "GET",
            TOKEN,
            &[
                ("X-Forwarded-For", client),
                ("Authorization", &format!("Bearer {key}")),
            ],
            "",
        )
        .await
    }

    pub(crate) fn advance(&self, seconds: u64) {
        assert!(self.clock.advance(Duration::from_secs(seconds)));
    }
}

pub(crate) async fn ask(
    to: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        request += "Host: service\r\n";
    }
    for (name, value) in headers {
        let _ = write!(request, "{name}: {value}\r\n");
    }
    let _ = write!(request, "Content-Length: {}\r\n\r\n{body}", body.len());
    let mut stream = TcpStream::connect(to).await.unwrap();
    let _ = stream.write_all(request.as_bytes()).await; // what is too large is answered before its end
    timeout(BOUND, read(stream)).await.expect("an answer")
}

/// All that comes until the other side hangs up.
pub(crate) async fn read(mut stream: TcpStream) -> Answer {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4_096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        bytes.extend_from_slice(&buffer[..count]);
    }
    let text = String::from_utf8(bytes).unwrap();
    let (head, text) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no whole answer: {text:?}"));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap();
    Answer {
        status,
        head: head.to_owned(),
        text: text.to_owned(),
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A problem with this status and code, in both languages.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert!(
            problem["hint"]["en"]
                .as_str()
                .is_some_and(|en| en.chars().all(|c| c < '\u{4e00}')),
            "{problem}"
        );
        assert!(
            problem["hint"]["zh"]
                .as_str()
                .unwrap()
                .chars()
                .any(|c| c > '\u{4e00}'),
            "{problem}"
        );
        problem
    }

    #[track_caller]
    pub(crate) fn retry_after(&self) -> u64 {
        self.header("retry-after")
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("no Retry-After: {self:?}"))
    }
}
