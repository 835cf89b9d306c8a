//! A service with given limits, and its clients.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use wx_jssdk::actix::KeyHash;
use wx_jssdk::sandbox::{App, Sandbox};
use wx_jssdk::server::GuardStats;
use wx_jssdk::{Clock, UnixTime};

use crate::common::http::Request;
pub(crate) use crate::common::http::{self, Answer, BOUND};
use crate::common::service::{Service, settings};

pub(crate) const PAGE: &str = "/jssdk/config?url=https%3A%2F%2Fexample.com%2F";
pub(crate) const TOKEN: &str = "/credentials/main/access_token";
pub(crate) const KEY: &str = "wxk_right";
pub(crate) const APP: &str = "wx0123456789abcdef";

/// Further settings: a platform with a path for pushes.
pub(crate) const PLATFORM: &str = "
    [platforms.agency]
    component_appid = \"wxbbd3f07e2945cf2a\"
    secret = \"5ec2e7000000000000000000000000aa\"
    js_safe_domains = [\"example.com\"]
    push_token = \"token\"
    aes_key = \"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG\"";

pub(crate) struct World {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) sandbox: Sandbox,
    pub(crate) guard_stats: GuardStats,
    _service: Service,
}

impl World {
    /// A service with these lines in `[limits]` and `[server]`, on a manual clock.
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
        let service = Service::start(settings(&text, Path::new("")), clock.clone()).await;
        Self {
            public: service.public,
            admin: service.admin,
            clock,
            sandbox,
            guard_stats: service.guard_stats.clone(),
            _service: service,
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
    let request = Request::new(method, target).headers(headers).close();
    http::send(to, request.body(body)).await
}
