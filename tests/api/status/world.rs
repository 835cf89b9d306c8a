//! A service with one account of each platform, an operator's keys, and its status.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wx_jssdk::actix::KeyHash;
use wx_jssdk::sandbox::{App, Fault, FaultKind};
use wx_jssdk::{Credential, Kind};

use crate::app::{APP, Answer, SECRET, TestApp, main_app, request, spawn};
use crate::common::wait::until_ok;

/// Key for all accounts and kinds.
pub(crate) const KEY: &str = "wxk_operator";
/// Key for `classic` only.
pub(crate) const OTHER_KEY: &str = "wxk_other";
/// Key for the jsapi_ticket of `main`.
pub(crate) const TICKET_KEY: &str = "wxk_signer";

pub(crate) const TOKEN: &str = "/cgi-bin/stable_token";
pub(crate) const CLASSIC: &str = "/cgi-bin/token";
pub(crate) const TICKET: &str = "/cgi-bin/ticket/getticket";
pub(crate) const CLASSIC_APP: &str = "wxcccccccccccccccc";

pub(crate) struct World {
    pub(crate) app: TestApp,
    config: String,
}

fn keys() -> String {
    format!(
        "[[server.api_keys]]\nname = \"operator\"\nsha256 = \"{}\"\n[[server.api_keys]]\nname = \"other\"\nsha256 = \"{}\"\naccounts = [\"classic\"]\n
         [[server.api_keys]]\nname = \"signer\"\nsha256 = \"{}\"\naccounts = [\"main\"]\nkinds = [\"jsapi_ticket\"]\n",
        KeyHash::of(KEY),
        KeyHash::of(OTHER_KEY),
        KeyHash::of(TICKET_KEY)
    )
}

const ACCOUNTS: &str = r#"
[account_defaults]
js_safe_domains = ["example.com"]
[accounts.main]
app_id = "wx0123456789abcdef"
secret = "0c79e1fa963cd80cc0be99b20a18faeb"
[accounts.classic]
app_id = "wxcccccccccccccccc"
secret = "0c79e1fa963cd80cc0be99b20a18faeb"
token_mode = "classic"
[accounts.mini]
platform = "mini"
app_id = "wxaaaaaaaaaaaaaaaa"
secret = "0c79e1fa963cd80cc0be99b20a18faeb"
"#;

impl World {
    /// Every credential fetched.
    pub(crate) async fn healthy() -> Self {
        let world = Self::cold(|_| ()).await;
        world
            .until(|status| {
                let accounts = status["accounts"].as_array().into_iter().flatten();
                let mut credentials = accounts.flat_map(|one| one["credentials"].as_array());
                // Otherwise a later refresh may join one that is about to end.
                let is_refreshing =
                    credentials.any(|all| all.iter().any(|it| it["refreshing"] == true));
                status["summary"]["ok"] == 3 && !is_refreshing
            })
            .await;
        world
    }

    /// Starts the service with faults added to WeChat before.
    pub(crate) async fn cold(prepare: impl FnOnce(&wx_jssdk::sandbox::Sandbox)) -> Self {
        Self::with("", prepare).await
    }

    /// Starts the service with further lines in `[server]`.
    pub(crate) async fn with(
        server: &str,
        prepare: impl FnOnce(&wx_jssdk::sandbox::Sandbox),
    ) -> Self {
        let config = format!("[server]\n{server}\n{}{ACCOUNTS}", keys());
        let app = spawn(&config, |sandbox| {
            sandbox.add_app(main_app());
            sandbox.add_app(App::official(CLASSIC_APP, SECRET).safe_domain("example.com"));
            sandbox.add_app(App::mini("wxaaaaaaaaaaaaaaaa", SECRET));
            prepare(sandbox);
        })
        .await;
        Self { app, config }
    }

    pub(crate) fn config(&self) -> &str {
        &self.config
    }

    pub(crate) fn fault(&self, endpoint: &'static str, kind: FaultKind) {
        self.app.sandbox.fault(Fault::always(endpoint, kind));
    }

    pub(crate) fn advance(&self, seconds: u64) {
        assert!(self.app.sandbox.advance(Duration::from_secs(seconds)));
    }

    pub(crate) fn now(&self) -> u64 {
        self.app.sandbox.clock().now().0
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.get_with(target, &[]).await
    }

    pub(crate) async fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        let host = ("Host", "127.0.0.1");
        let named = headers.iter().any(|(name, _)| *name == "Host");
        let headers: Vec<_> = headers
            .iter()
            .copied()
            .chain((!named).then_some(host))
            .collect();
        self.app.send_admin(&request("GET", target, &headers)).await
    }

    pub(crate) async fn status(&self) -> Value {
        self.get("/status.json").await.ok()
    }

    pub(crate) async fn account(&self, name: &str) -> Value {
        let status = self.get(&format!("/status.json?account={name}")).await.ok();
        assert_eq!(status["matching"], 1, "{status}");
        status["accounts"][0].clone()
    }

    pub(crate) async fn credential(&self, account: &str, kind: &str) -> Value {
        find(&self.account(account).await, kind)
    }

    /// The credential that the broker serves.
    pub(crate) async fn served(&self, account: &str, kind: Kind) -> Arc<Credential> {
        self.app.broker.credential(account, kind).await.unwrap()
    }

    /// Polls until the condition holds, because the keeper runs in the background.
    pub(crate) async fn until(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        until_ok("a status as expected", async || {
            let status = self.status().await;
            if is_so(&status) {
                Ok(status)
            } else {
                Err(status)
            }
        })
        .await
    }

    /// Asks for "refresh now" as the page's script does.
    pub(crate) async fn refresh(&self, account: &str, kind: &str) -> Answer {
        self.refresh_with(
            account,
            kind,
            &[("X-Api-Key", KEY), ("X-Requested-With", "wx-jssdk")],
        )
        .await
    }

    pub(crate) async fn refresh_with(
        &self,
        account: &str,
        kind: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.post(
            &json!({ "account": account, "kind": kind }).to_string(),
            "application/json",
            headers,
        )
        .await
    }

    pub(crate) async fn post(
        &self,
        body: &str,
        content_type: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let length = body.len().to_string();
        let fixed = [
            ("Host", "127.0.0.1:8081"),
            ("Content-Type", content_type),
            ("Content-Length", &length),
        ];
        let fixed = fixed
            .into_iter()
            .filter(|(name, _)| !headers.iter().any(|(other, _)| other == name));
        let headers: Vec<_> = fixed.chain(headers.iter().copied()).collect();
        self.app
            .send_admin(&[request("POST", "/status/refresh", &headers), body.into()].concat())
            .await
    }
}

/// The credential of this kind in an account's report.
pub(crate) fn find(account: &Value, kind: &str) -> Value {
    let all = account["credentials"].as_array().unwrap();
    all.iter()
        .find(|credential| credential["kind"] == kind)
        .unwrap_or_else(|| panic!("no {kind}: {account}"))
        .clone()
}

/// WeChat's 40164 for this server's address.
pub(crate) fn not_allowed() -> FaultKind {
    FaultKind::ErrcodeWith(
        40_164,
        "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist".into(),
    )
}

pub(crate) const MAIN: &str = APP;
