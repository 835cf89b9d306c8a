//! Accounts that authorised an open platform, in real processes of the real binary: one call for all nodes, and no
//! refresh token lost when processes are killed.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use wx_jssdk::Clock;
use wx_jssdk::sandbox::{App, OpenPlatform, Sandbox};

use crate::common::http::client;
use crate::common::program::serve;
use crate::common::redis_server::Redis;
#[cfg(feature = "sql")]
use crate::common::sql_server::{Kind, Sql};
use crate::common::upstream::verdict;
use crate::common::wait::until;

const COMPONENT: &str = "wxc0de0000000000c0";
const SECRET: &str = "5ec2e7000000000000000000000000aa";
const TOKEN: &str = "push-token";
const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

const COMPONENT_TOKEN: &str = "/cgi-bin/component/api_component_token";
const AUTHORIZER_TOKEN: &str = "/cgi-bin/component/api_authorizer_token";
const QUERY_AUTH: &str = "/cgi-bin/component/api_query_auth";
const LIST: &str = "/cgi-bin/component/api_get_authorizer_list";
const TICKET: &str = "/cgi-bin/ticket/getticket";

/// One `wx-jssdk serve`.
struct Process {
    child: Child,
    public: String,
    admin: String,
}

impl Process {
    fn start(home: &Path, store: &str, sandbox: &Sandbox) -> Self {
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\n[log]\nlevel = \"warn\"\n\
             [store]\n{store}\n[upstream]\nweixin = \"{url}\"\nqyapi = \"{url}\"\n\
             [platforms.agency]\ncomponent_appid = \"{COMPONENT}\"\nsecret = \"{SECRET}\"\npush_token = \"{TOKEN}\"\n\
             aes_key = \"{KEY}\"\njs_safe_domains = [\"example.com\"]\n",
            url = sandbox.url(),
        );
        std::fs::write(home.join("wx-jssdk.toml"), text).unwrap();
        let (child, mut line) = serve(home, Stdio::inherit());
        let (public, admin) = (line("public "), line("admin "));
        Self {
            child,
            public,
            admin,
        }
    }

    async fn json(&self, url: String) -> Option<Value> {
        let answer = client().get(url).send().await.ok()?;
        serde_json::from_slice(&answer.bytes().await.ok()?).ok()
    }

    /// Signs a page of the account, after asserting that the client accepts it.
    async fn signs(&self, app_id: &str, sandbox: &Sandbox) -> bool {
        let url = format!(
            "{}/jssdk/config?account=agency/{app_id}&url=https%3A%2F%2Fwww.example.com%2Fpage",
            self.public
        );
        let Some(config) = self.json(url).await else {
            return false;
        };
        if config["signature"].is_null() {
            return false;
        }
        assert_eq!(config["appId"], app_id);
        let verdict = verdict(sandbox, &config, "https://www.example.com/page");
        assert!(verdict.is_ok(), "{verdict:?}: {config}");
        true
    }

    async fn active(&self) -> u64 {
        let status = self.json(format!("{}/status.json", self.admin)).await;
        status
            .and_then(|status| status["platforms"][0]["active"].as_u64())
            .unwrap_or(0)
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn sandbox(accounts: usize) -> Sandbox {
    let sandbox = Sandbox::start(Clock::system()).await.unwrap();
    for account in 0..accounts {
        sandbox.add_app(App::official(app_id(account), SECRET));
    }
    sandbox
}

fn app_id(account: usize) -> String {
    format!("wx{account:016x}")
}

fn platform() -> OpenPlatform {
    OpenPlatform::new(COMPONENT, SECRET)
        .with_push_keys(TOKEN, KEY)
        .safe_domain("example.com")
}

/// Lets WeChat push to this process.
fn push_to(sandbox: &Sandbox, process: &Process) {
    let url = format!("{}/platforms/agency/events", process.public);
    sandbox.add_platform(platform().with_push_url(url));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_cold_account_costs_one_token_and_one_ticket_among_four_processes() {
    let redis = Redis::start();
    let store = format!("kind = \"redis\"\nurl = \"{}\"", redis.url());
    let sandbox = sandbox(1).await;
    sandbox.add_platform(platform().authorized_by(app_id(0)));
    let homes: Vec<TempDir> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let processes: Vec<_> = homes
        .iter()
        .map(|home| Process::start(home.path(), &store, &sandbox))
        .collect();
    push_to(&sandbox, &processes[0]);
    assert!(sandbox.push_ticket(COMPONENT).await.is_success());
    until("every node knows the account", async || {
        for process in &processes {
            if process.active().await != 1 {
                return false;
            }
        }
        true
    })
    .await;
    assert_eq!(sandbox.calls(AUTHORIZER_TOKEN), 0, "it is cold");
    let mut reading = tokio::task::JoinSet::new();
    for reader in 0..200 {
        let url = format!(
            "{}/jssdk/config?account=agency/{}&url=https%3A%2F%2Fwww.example.com%2F",
            processes[reader % 4].public,
            app_id(0)
        );
        reading.spawn(async move { client().get(url).send().await.unwrap().status().as_u16() });
    }
    let statuses = reading.join_all().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let calls = [COMPONENT_TOKEN, LIST, AUTHORIZER_TOKEN, TICKET].map(|path| sandbox.calls(path));
    assert_eq!(calls, [1, 1, 1, 1]);
}

/// Kills the process at random moments while it receives pushes, redeems codes and fetches tokens. Returns the stored state.
async fn killed_all_the_time(home: &Path, store: &str) -> (Sandbox, Process) {
    let sandbox = sandbox(ROUNDS * PER_ROUND).await;
    let mut process = Process::start(home, store, &sandbox);
    push_to(&sandbox, &process);
    sandbox.push_ticket(COMPONENT).await;
    for round in 0..ROUNDS {
        for account in round * PER_ROUND..(round + 1) * PER_ROUND {
            let (sandbox, app_id) = (sandbox.clone(), app_id(account));
            // The push or its answer is lost with the process; WeChat repeats it.
            tokio::spawn(async move { sandbox.authorize(COMPONENT, &app_id).await });
        }
        // At a random moment of a push, a redemption or a refresh.
        let moment = Duration::from_millis(u64::try_from(round * 37 % 190).unwrap());
        tokio::time::sleep(moment).await;
        process.kill();
        process = Process::start(home, store, &sandbox);
        push_to(&sandbox, &process);
    }
    (sandbox, process)
}

async fn nothing_is_lost(home: &Path, store: &str) {
    let (sandbox, process) = killed_all_the_time(home, store).await;
    let all = (ROUNDS * PER_ROUND) as u64;
    until("every account is usable", async || {
        process.active().await == all
    })
    .await;
    for account in 0..ROUNDS * PER_ROUND {
        assert!(process.signs(&app_id(account), &sandbox).await, "{account}");
    }
    let outcomes = sandbox.errcodes(QUERY_AUTH);
    assert_eq!(
        outcomes.get(&61009),
        None,
        "a code was sent twice: {outcomes:?}"
    );
    assert_eq!(sandbox.errcodes(AUTHORIZER_TOKEN).get(&61023), None);
}

const ROUNDS: usize = 12;
const PER_ROUND: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_while_codes_are_redeemed_loses_no_refresh_token_in_a_file() {
    let home = tempfile::tempdir().unwrap();
    nothing_is_lost(home.path(), "kind = \"file\"\npath = \"store.redb\"").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn kill_9_while_codes_are_redeemed_loses_no_refresh_token_in_redis() {
    let (home, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let store = format!("kind = \"redis\"\nurl = \"{}\"", redis.url());
    nothing_is_lost(home.path(), &store).await;
}

#[cfg(feature = "sql")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: make test"]
async fn kill_9_while_codes_are_redeemed_loses_no_refresh_token_in_postgresql() {
    let (home, server) = (tempfile::tempdir().unwrap(), Sql::start(Kind::Postgres));
    let store = format!("kind = \"sql\"\nurl = \"{}\"", server.url());
    nothing_is_lost(home.path(), &store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_key_the_file_has_no_refresh_token_or_ticket_in_plain_text() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("key"), "ab".repeat(32)).unwrap();
    let store = "kind = \"file\"\npath = \"store.redb\"\nencryption_key_file = \"key\"";
    let sandbox = sandbox(1).await;
    let mut process = Process::start(home.path(), store, &sandbox);
    push_to(&sandbox, &process);
    sandbox.push_ticket(COMPONENT).await;
    let code = sandbox.authorize(COMPONENT, &app_id(0)).await;
    until("the account is usable", async || {
        process.active().await == 1
    })
    .await;
    assert!(process.signs(&app_id(0), &sandbox).await);
    process.kill();
    let secrets = [
        code,
        SECRET.to_owned(),
        sandbox.component_ticket(COMPONENT).unwrap(),
        sandbox.component_token(COMPONENT).unwrap(),
        sandbox.authorizer_token(COMPONENT, &app_id(0)).unwrap(),
        sandbox
            .authorizer_refresh_token(COMPONENT, &app_id(0))
            .unwrap(),
    ];
    let file = std::fs::read(home.path().join("store.redb")).unwrap();
    let text = String::from_utf8_lossy(&file);
    assert!(text.contains("platform:"), "its records are stored");
    for secret in secrets {
        assert!(!text.contains(&secret), "a secret in clear");
    }
}
