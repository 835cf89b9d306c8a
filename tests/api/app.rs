//! `spawn_app`: the service as `serve` starts it, one account and the WeChat behind it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use wx_jssdk::actix::RequestStats;
use wx_jssdk::broker::Broker;
use wx_jssdk::clock::{Clock, UnixTime};
use wx_jssdk::sandbox::{App, Sandbox, Verdict};
use wx_jssdk::server::Reloader;

use crate::common::http::{self, Request};
pub(crate) use crate::common::http::{Answer, read};
use crate::common::service::{self, Service};
use crate::common::upstream;

pub(crate) const APP: &str = "wx0123456789abcdef";
pub(crate) const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
pub(crate) const TOKEN_CALL: &str = "/cgi-bin/stable_token";
pub(crate) const TICKET_CALL: &str = "/cgi-bin/ticket/getticket";

/// 2023-11-14T22:13:20Z: 06:13:20 in Shanghai.
pub(crate) const START: UnixTime = UnixTime(1_700_000_000);

/// The AppID of the account that most tests use.
pub(crate) const MAIN: &str = r#"
[accounts.main]
app_id = "wx0123456789abcdef"
secret = "0c79e1fa963cd80cc0be99b20a18faeb"
js_safe_domains = ["example.com"]
js_api_list = ["chooseImage", "scanQRCode"]
"#;

/// A running service and the simulated WeChat. Stops when dropped.
pub(crate) struct TestApp {
    pub(crate) address: SocketAddr,
    /// The admin listener.
    pub(crate) admin: SocketAddr,
    pub(crate) sandbox: Sandbox,
    pub(crate) broker: Broker,
    pub(crate) stats: RequestStats,
    pub(crate) reloader: Reloader,
    service: Service,
}

/// Starts a service with one account, `main`, and a healthy WeChat.
pub(crate) async fn spawn_app() -> TestApp {
    spawn(MAIN, |sandbox| sandbox.add_app(main_app())).await
}

/// Like [`spawn_app`], with faults added to WeChat before the service starts.
pub(crate) async fn spawn_against(prepare: impl FnOnce(&Sandbox)) -> TestApp {
    spawn(MAIN, |sandbox| {
        sandbox.add_app(main_app());
        prepare(sandbox);
    })
    .await
}

/// Starts a service with this configuration; the listeners and the upstream are added.
pub(crate) async fn spawn(config: &str, prepare: impl FnOnce(&Sandbox)) -> TestApp {
    let sandbox = Sandbox::start(Clock::manual(START))
        .await
        .expect("a free port on loopback");
    prepare(&sandbox);
    let mut settings = service::settings(config, Path::new(""));
    settings.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    settings.server.admin_listen = Some(settings.server.listen);
    settings.server.workers = 1;
    if !config.contains("shutdown_seconds") {
        settings.server.shutdown = Duration::ZERO;
    }
    settings.store = wx_jssdk::server::config::StoreSettings::MEMORY;
    settings.upstream.weixin = sandbox.url().to_owned();
    settings.upstream.qyapi = sandbox.url().to_owned();
    if !config.contains("timeout_ms") {
        settings.upstream.timeout = Duration::from_secs(60);
    }
    let service = Service::start(settings, sandbox.clock().clone()).await;
    TestApp {
        address: service.public,
        admin: service.admin,
        sandbox,
        broker: service.broker.clone(),
        stats: service.stats.clone(),
        reloader: service.reloader.clone(),
        service,
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

    /// Sends a request to the admin listener.
    pub(crate) async fn get_admin(&self, target: &str) -> Answer {
        self.send_admin(&request("GET", target, &[])).await
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
        self.service.end().await;
    }

    /// Sends these bytes and reads until the service closes the connection.
    pub(crate) async fn send(&self, bytes: &[u8]) -> Answer {
        http::send(self.address, bytes).await
    }

    /// The same on the admin listener.
    pub(crate) async fn send_admin(&self, bytes: &[u8]) -> Answer {
        http::send(self.admin, bytes).await
    }

    /// Returns the client's verdict on this answer for this page.
    pub(crate) fn verdict(&self, config: &Value, page: &str) -> Verdict {
        upstream::verdict(&self.sandbox, config, page)
    }

    /// Computes the signature independently, with WeChat's ticket, over `signed`.
    pub(crate) fn expected_signature(&self, config: &Value, signed: &str) -> String {
        let ticket = self
            .sandbox
            .ticket(text(config, "appId"), "jsapi")
            .expect("a valid ticket");
        let (nonce, timestamp) = (text(config, "nonceStr"), &config["timestamp"]);
        upstream::signature(&ticket, nonce, timestamp, signed)
    }
}

/// Returns the bytes of a request without a body that closes the connection.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let request = Request::new(method, target).headers(headers).close();
    request.text().into_bytes()
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
