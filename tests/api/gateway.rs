//! The gateway: the admin listener in front of the sandbox, used as by SDKs.

mod calls;
mod chain;
mod dropin;
mod egress;
mod healing;
mod holders;
mod limits;
mod logins;
mod memory;
mod refusals;
mod secrets;
mod streams;
mod upstream_answers;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use wx_jssdk::actix::{ApiKey, ApiKeys, KeyHash};
use wx_jssdk::sandbox::{App, Mode, ReceivedRequest, Revoke, Sandbox};
use wx_jssdk::server::config::Settings;
use wx_jssdk::{Clock, UnixTime};

use crate::common::http::{self, Answer, Request, client, get};
use crate::common::service::{Service, settings};

const APP: &str = "wx0123456789abcdef";
const MINI: &str = "wxaaaaaaaaaaaaaaaa";
const CORP: &str = "wwbbbbbbbbbbbbbbbb";
const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
const CORP_SECRET: &str = "y4IIQ9eBfHpkOzLrbmDxRlIcDCWZ8pBVFKxGzkVcEnY";

/// May call everything that is not sensitive, for every account.
const KEY: &str = "wxk_0123456789012345678901234567890123456789all";
/// May make some calls for `main` only.
const CRM_KEY: &str = "wxk_0123456789012345678901234567890123456789crm";
/// May make no calls.
const NO_CALLS_KEY: &str = "wxk_012345678901234567890123456789012345678none";
/// May call everything that is not sensitive, for `mini` and `corp`.
const MINI_KEY: &str = "wxk_012345678901234567890123456789012345678mini";
/// As [`KEY`], with virtual tokens, and sensitive paths by name.
const VIRTUAL_KEY: &str = "wxk_01234567890123456789012345678901234567virtu";

/// Gets access tokens only, where a test configures it.
const TOKEN_KEY: &str = "wxk_0123456789012345678901234567890123456789tok";

/// Replaces another key, where a test does so.
const NEW_KEY: &str = "wxk_0123456789012345678901234567890123456789new";

const STABLE: &str = "/cgi-bin/stable_token";
/// A call that the sandbox echoes.
const USERS: &str = "/cgi-bin/user/get";

/// 2026-01-01T08:00:00 in Shanghai.
const START: UnixTime = UnixTime(1_767_225_600);

pub(super) struct World {
    service: Service,
    sandbox: Sandbox,
    clock: Clock,
    settings: Settings,
    _home: TempDir,
}

impl World {
    async fn new() -> Self {
        Self::with("").await
    }

    /// Starts with further settings.
    async fn with(more: &str) -> Self {
        let sandbox = Sandbox::start(Clock::manual(START)).await.unwrap();
        Self::on(sandbox, "", more).await
    }

    /// Starts with this sandbox, and further lines of `[upstream]`.
    async fn on(sandbox: Sandbox, upstream: &str, more: &str) -> Self {
        let base = sandbox.url().to_owned();
        Self::at(sandbox, &base, upstream, more).await
    }

    /// Starts with this sandbox at this base URL.
    async fn at(sandbox: Sandbox, base: &str, upstream: &str, more: &str) -> Self {
        let clock = sandbox.clock().clone();
        for app in [
            App::official(APP, SECRET),
            App::mini(MINI, SECRET),
            App::work(CORP, 7, CORP_SECRET),
        ] {
            sandbox.add_app(app);
        }
        let key = |name: &str, key: &str, more: &str| {
            let hash = KeyHash::of(key);
            format!("[[server.api_keys]]\nname = \"{name}\"\nsha256 = \"{hash}\"\n{more}\n")
        };
        let text = [
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nshutdown_seconds = 60\nclient_ip_header = \"X-Envoy-Client\"\n"
                .to_owned(),
            key("all", KEY, "calls = [\"/\"]"),
            key(
                "crm",
                CRM_KEY,
                "accounts = [\"main\"]\ncalls = [\"/cgi-bin/message/\", \"GET /cgi-bin/user/\"]",
            ),
            key("signer", NO_CALLS_KEY, ""),
            key("mini", MINI_KEY, "accounts = [\"mini\", \"corp\"]\ncalls = [\"/\"]"),
            key(
                "shop",
                VIRTUAL_KEY,
                "token = \"virtual\"\ncalls = [\"/\", \"/cgi-bin/clear_quota/v2\", \"/cgi-bin/openapi/rid/get\"]",
            ),
            format!("[upstream]\nweixin = \"{base}\"\nqyapi = \"{base}\"\n{upstream}\n"),
            match more.contains("[store]") {
                true => String::new(),
                false => "[store]\nkind = \"memory\"\n".to_owned(),
            },
            format!("[accounts.main]\napp_id = \"{APP}\"\nsecret = \"{SECRET}\"\njs_safe_domains = [\"example.com\"]\n"),
            format!("[accounts.mini]\nplatform = \"mini\"\napp_id = \"{MINI}\"\nsecret = \"{SECRET}\"\n"),
            format!(
                "[accounts.corp]\nplatform = \"work\"\ncorp_id = \"{CORP}\"\nagent_id = 7\nsecret = \"{CORP_SECRET}\"\njs_safe_domains = [\"example.com\"]\n"
            ),
            more.to_owned(),
        ]
        .concat();
        let home = TempDir::new().unwrap();
        let settings = settings(&text, home.path());
        let service = Service::start(settings.clone(), clock.clone()).await;
        service.wait_for_first_refreshes().await;
        Self {
            service,
            sandbox,
            clock,
            settings,
            _home: home,
        }
    }

    /// Starts another service with the same settings and store.
    async fn another(&self) -> Service {
        let service = Service::start(self.settings.clone(), self.clock.clone()).await;
        service.wait_for_first_refreshes().await;
        service
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.service.admin)
    }

    /// Sends exactly this request to the admin listener.
    async fn send(&self, request: Request) -> Answer {
        self.send_text(request.close().text()).await
    }

    async fn send_text(&self, request: String) -> Answer {
        http::send(self.service.admin, request).await
    }

    /// The JSON of `GET path`.
    async fn get(&self, path: &str) -> Value {
        self.send(get(path)).await.ok()
    }

    /// Returns the drop-in token of `main` for this key.
    async fn token(&self, key: &str) -> String {
        let path = format!("/cgi-bin/token?grant_type=client_credential&appid={APP}&secret={key}");
        let answer = self.get(&path).await;
        let token = answer["access_token"].as_str();
        token.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// The newest request that the sandbox has received for this path.
    fn received(&self, path: &str) -> ReceivedRequest {
        let all = self.sandbox.last_requests(path);
        all.last().cloned().unwrap_or_else(|| panic!("no {path}"))
    }

    /// Replaces a key by another one with its name, as a reload does, and removes all others.
    fn replace_key(&self, key: &str, new: &str) {
        let mut settings = self.settings.clone();
        let replaced = settings.server.api_keys.find(key).expect("a key");
        let replacing = ApiKey {
            hash: KeyHash::of(new),
            ..ApiKey::clone(replaced)
        };
        settings.server.api_keys = ApiKeys::new(vec![replacing]);
        self.service.reloader.reload(settings).unwrap();
    }

    fn revoke(&self) {
        self.sandbox.revoke(APP, Revoke::Token);
    }

    fn current(&self) -> String {
        self.sandbox.token(APP, Mode::Stable).expect("a token")
    }

    /// Returns the number of forwarded calls on all paths. The service's own calls have
    /// no `Via`.
    async fn passed_on(&self) -> usize {
        let url = format!("{}/sandbox/requests", self.sandbox.url());
        let (_, text) = http::fetch(&url).await;
        text.matches("\"via\"").count()
    }

    /// The calls of `main` below a path: outcomes and their counts.
    async fn counted(&self, path: &str) -> Vec<(&'static str, u64)> {
        let metrics = self.send(get("/metrics")).await.text;
        let outcomes = ["ok", "errcode", "failed", "refused"].into_iter();
        let count = |outcome| {
            let series = format!(
                "wx_jssdk_gateway_calls_total{{account=\"main\",path=\"{path}\",outcome=\"{outcome}\"}} "
            );
            Some((outcome, value(&metrics, &series)?))
        };
        outcomes.filter_map(count).collect()
    }

    /// The calls of `main` below a path whose duration was measured.
    async fn timed(&self, path: &str) -> u64 {
        let metrics = self.send(get("/metrics")).await.text;
        let series =
            format!("wx_jssdk_gateway_upstream_seconds_count{{account=\"main\",path=\"{path}\"}} ");
        value(&metrics, &series).expect("a series")
    }
}

/// The value of a metric's sample.
fn value(metrics: &str, series: &str) -> Option<u64> {
    let value = metrics.lines().find_map(|line| line.strip_prefix(series));
    value.map(|value| value.parse().expect("a number"))
}

/// The errcode of an answer with status 200.
#[track_caller]
fn errcode(answer: &Answer) -> i64 {
    let json = answer.ok();
    json["errcode"].as_i64().unwrap_or_else(|| panic!("{json}"))
}

/// Asserts that a refusal has this errcode, and this word in its errmsg.
#[track_caller]
fn refused(answer: &Answer, code: i64, word: &str) {
    let json = answer.ok();
    assert_eq!(json["errcode"], code, "{json}");
    let errmsg = json["errmsg"].as_str().unwrap_or_default();
    assert!(errmsg.contains(word), "{word}: {errmsg}");
}

/// The settings of a store that nodes share, in a file.
fn shared_store(home: &TempDir) -> String {
    let file = home.path().join("store.db");
    format!(
        "[store]\nkind = \"sql\"\nurl = \"sqlite://{}\"\n",
        file.display()
    )
}

/// Sends many requests at once with one client.
async fn all_at_once(url: &str, count: usize) -> Vec<Value> {
    let client = client();
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let request = client.get(url);
            tokio::spawn(async move {
                let answer = request.send().await.expect("an answer");
                let text = answer.text().await.expect("a whole answer");
                serde_json::from_str::<Value>(&text)
                    .unwrap_or_else(|error| panic!("{error}: {text}"))
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(count);
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

fn shared(world: World) -> Arc<World> {
    Arc::new(world)
}

const MINUTE: Duration = Duration::from_secs(60);
