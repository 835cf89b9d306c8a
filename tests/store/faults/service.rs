//! A service with one official account and a simulated WeChat, on a manual clock.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use wx_jssdk::actix::KeyHash;
use wx_jssdk::broker::{Broker, CredentialSnapshot, Find};
use wx_jssdk::sandbox::{App, Fault, FaultKind, Sandbox};
use wx_jssdk::{Clock, Kind, UnixTime};

use crate::common::http::client;
use crate::common::service;
use crate::common::upstream::verdict;
use crate::common::wait::{until, until_ok};

pub(crate) const APP: &str = "wx0123456789abcdef";
pub(crate) const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
pub(crate) const STABLE: &str = "/cgi-bin/stable_token";
pub(crate) const TICKET: &str = "/cgi-bin/ticket/getticket";
pub(crate) const PAGE: &str = "https://www.example.com/goods?id=1";
const KEY: &str = "wxk_the-peers-key";

/// 2026-01-01T08:00:00 in Shanghai.
const START: UnixTime = UnixTime(1_767_225_600);

/// Lifetime of both values, which are fetched at [`START`].
const LIFE: u64 = 7_200;

/// Seconds before its end from which a ticket is no longer used for signing.
const MARGIN: u64 = 5;

pub(crate) struct Service {
    pub(crate) sandbox: Sandbox,
    pub(crate) broker: Broker,
    client: Client,
    public: String,
    admin: String,
    _running: service::Service,
}

/// How calls to WeChat fail.
pub(crate) enum Outage {
    Fault(FaultKind),
    /// Connections are refused.
    Unreachable,
}

impl From<FaultKind> for Outage {
    fn from(kind: FaultKind) -> Self {
        Self::Fault(kind)
    }
}

/// A status and a JSON body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Value,
}

impl Service {
    /// Both credentials have just been fetched.
    pub(crate) async fn warm() -> Self {
        Self::beside(&[]).await
    }

    /// The same, with further accounts of these names and secrets; WeChat knows all by [`SECRET`].
    pub(crate) async fn beside(others: &[(&str, &str)]) -> Self {
        let sandbox = Sandbox::start(Clock::manual(START)).await.unwrap();
        sandbox.add_app(App::official(APP, SECRET).safe_domain("example.com"));
        let mut config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\nshutdown_seconds = 0\ndefault_account = \"main\"\n
            [[server.api_keys]]\nname = \"peer\"\nsha256 = \"{}\"\n[store]\nkind = \"memory\"\n
            [upstream]\nweixin = \"{url}\"\nqyapi = \"{url}\"\ntimeout_ms = 1500\n
            [accounts.main]\napp_id = \"{APP}\"\nsecret = \"{SECRET}\"\njs_safe_domains = [\"example.com\"]\n",
            KeyHash::of(KEY),
            url = sandbox.url()
        );
        for (name, secret) in others {
            sandbox.add_app(App::official(app_id(name), SECRET).safe_domain("example.com"));
            let id = app_id(name);
            let domains = "js_safe_domains = [\"example.com\"]";
            let _ = write!(
                config,
                "[accounts.{name}]\napp_id = \"{id}\"\nsecret = \"{secret}\"\n{domains}\n"
            );
        }
        let settings = service::settings(&config, Path::new(""));
        let running = service::Service::start_here(&settings, sandbox.clock().clone()).await;
        let service = Self {
            sandbox,
            broker: running.broker.clone(),
            client: client(),
            public: format!("http://{}", running.public),
            admin: format!("http://{}", running.admin),
            _running: running,
        };
        service.signs().await;
        service
    }

    /// Has every later call to WeChat fail in this way.
    pub(crate) async fn add_fault(&self, fault: &Outage) {
        match fault {
            Outage::Fault(kind) => {
                for endpoint in [STABLE, TICKET] {
                    self.sandbox.fault(Fault::always(endpoint, kind.clone()));
                }
            }
            Outage::Unreachable => self.sandbox.host().set_reachable(false).await.unwrap(),
        }
    }

    /// Moves the clock to this many seconds before the end of the values fetched at the start.
    pub(crate) fn advance_to_before_end(&self, seconds: u64) {
        let now = self.sandbox.clock().now();
        let then = START.plus(Duration::from_secs(LIFE - seconds));
        assert!(self.sandbox.advance(then.since(now)));
    }

    /// Moves the clock to the first second in which a value is not used any more.
    pub(crate) fn end_of_life(&self) {
        self.advance_to_before_end(MARGIN);
    }

    /// Moves the clock to the last second in which it is used.
    pub(crate) fn last_second(&self) {
        self.advance_to_before_end(MARGIN + 1);
    }

    /// Moves the clock to the middle of the refresh lead, and waits until a refresh has failed with the fault.
    pub(crate) async fn refresh_failed(&self) -> CredentialSnapshot {
        self.advance_to_before_end(120);
        until_ok("a refresh has failed", async || {
            self.failed(Kind::AccessToken).ok_or("none has")
        })
        .await
    }

    /// The credential whose last call failed.
    fn failed(&self, kind: Kind) -> Option<CredentialSnapshot> {
        self.credential(kind)
            .filter(|credential| credential.last_error.is_some())
    }

    pub(crate) fn credential(&self, kind: Kind) -> Option<CredentialSnapshot> {
        self.broker
            .snapshot(&Find::all())
            .accounts
            .remove(0)
            .credentials
            .into_iter()
            .find(|credential| credential.kind == kind)
    }

    pub(crate) async fn heal(&self) {
        self.sandbox.clear_faults();
        self.sandbox.host().set_reachable(true).await.unwrap();
        // Longer than any cooldown, and into another day in Shanghai.
        assert!(self.sandbox.advance(Duration::from_secs(86_400)));
    }

    /// Asserts that a page is signed again: a call that was running while WeChat recovered may cost one more short wait.
    pub(crate) async fn signs_again(&self) {
        until("a page is signed", async || {
            let signed = self.page().await.status == 200;
            if !signed {
                assert!(self.sandbox.advance(Duration::from_secs(1)));
            }
            signed
        })
        .await;
        self.signs().await;
    }

    /// `GET /jssdk/config` for [`PAGE`].
    pub(crate) async fn page(&self) -> Answer {
        self.ask(&format!(
            "{}/jssdk/config?url={}",
            self.public,
            PAGE.replace(':', "%3A").replace('/', "%2F")
        ))
        .await
    }

    /// Asserts that a page is signed and that the client accepts the signature.
    #[track_caller]
    pub(crate) fn signs(&self) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            let answer = self.page().await;
            assert_eq!(answer.status, 200, "{at}: {}", answer.body);
            let verdict = self.verdict(&answer.body);
            assert!(verdict.is_empty(), "{at}: {verdict}: {}", answer.body);
        }
    }

    /// The client's objections to this answer; empty if it accepts it.
    pub(crate) fn verdict(&self, config: &Value) -> String {
        let verdict = verdict(&self.sandbox, config, PAGE);
        if verdict.is_ok() {
            String::new()
        } else {
            format!("{verdict:?}")
        }
    }

    /// `GET /credentials/main/{kind}` as a client does.
    pub(crate) async fn client(&self, kind: &str) -> Answer {
        self.client_of("main", kind).await
    }

    /// The same of another account.
    pub(crate) async fn client_of(&self, account: &str, kind: &str) -> Answer {
        self.ask(&format!("{}/credentials/{account}/{kind}", self.admin))
            .await
    }

    /// Asserts that a client gets a token that WeChat accepts, with the correct lifetime.
    pub(crate) async fn assert_client_is_served(&self) {
        let answer = self.client("access_token").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(
            self.sandbox
                .accepts_token(APP, answer.body["value"].as_str().unwrap()),
            "{}",
            answer.body
        );
        let left = self.sandbox.clock().now().plus(Duration::from_secs(
            answer.body["expires_in"].as_u64().unwrap(),
        ));
        assert_eq!(json!(left), answer.body["expires_at"], "{}", answer.body);
    }

    /// The token call in WeChat's own shape, with the client's key as secret.
    pub(crate) async fn dropin(&self) -> Value {
        self.ask(&format!(
            "{}/cgi-bin/token?grant_type=client_credential&appid={APP}&secret={KEY}",
            self.admin
        ))
        .await
        .body
    }

    /// `GET` a path of the admin listener.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        self.ask(&format!("{}{path}", self.admin)).await
    }

    /// `POST /credentials/main/{kind}/reject`, as a client does after WeChat refused this value.
    pub(crate) async fn report_dead(&self, kind: &str, value: &Value) -> Answer {
        let url = format!("{}/credentials/main/{kind}/reject", self.admin);
        let request = self
            .client
            .post(url)
            .bearer_auth(KEY)
            .body(json!({ "value": value }).to_string());
        Answer::of(request.send().await.unwrap()).await
    }

    async fn ask(&self, url: &str) -> Answer {
        Answer::of(self.client.get(url).bearer_auth(KEY).send().await.unwrap()).await
    }
}

impl Answer {
    async fn of(answer: reqwest::Response) -> Self {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let retry_after = headers
            .get("retry-after")
            .map(|seconds| seconds.to_str().unwrap().parse().unwrap());
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self {
            status,
            retry_after,
            body,
        }
    }

    /// Asserts a problem of this status and code without operator details.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.body["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.body
        );
        for language in ["en", "zh"] {
            assert!(
                self.body["hint"][language]
                    .as_str()
                    .is_some_and(|hint| hint.len() > 5),
                "{}",
                self.body
            );
        }
        // Transient failures have a Retry-After.
        assert!(
            status != 503 || self.retry_after.is_some_and(|seconds| seconds > 0),
            "{}",
            self.body
        );
        assert!(!self.body.to_string().contains(SECRET), "{}", self.body);
    }
}

/// The AppID of an account of this name.
pub(crate) fn app_id(name: &str) -> String {
    format!("wx{name:0>16}")
}
