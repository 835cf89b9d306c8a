//! Local faults: the disk, the store, Redis, another server's token calls, a load peak. Real processes where it matters.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::Command;
use wx_jssdk::actix::KeyHash;
use wx_jssdk::sandbox::{App, Mode, Revoke, Sandbox};
use wx_jssdk::{Clock, Kind};

use crate::common::log::Log;
use crate::common::process::alone;
use crate::common::program::{Running, client, command};
use crate::common::redis_server::Redis;
use crate::common::wait::until;
use crate::faults::service::{APP, SECRET, STABLE, Service, TICKET, app_id};

const KEY: &str = "wxk_the-peers-key";
const PAGE: &str = "/jssdk/config?url=https%3A%2F%2Fwww.example.com%2F";

async fn wechat() -> Sandbox {
    let sandbox = Sandbox::start(Clock::system()).await.unwrap();
    sandbox.add_app(App::official(APP, SECRET).safe_domain("example.com"));
    sandbox
}

/// A process of the real binary, with both its listeners.
struct Process {
    running: Running,
    public: String,
    admin: String,
}

fn configure(home: &Path, sandbox: &Sandbox, store: &str) {
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\nshutdown_seconds = 1\n
        [[server.api_keys]]\nname = \"peer\"\nsha256 = \"{}\"\n[store]\n{store}\n[upstream]\nweixin = \"{url}\"\nqyapi = \"{url}\"\n
        [accounts.main]\napp_id = \"{APP}\"\nsecret = \"{SECRET}\"\njs_safe_domains = [\"example.com\"]\n",
        KeyHash::of(KEY),
        url = sandbox.url()
    );
    std::fs::write(home.join("wx-jssdk.toml"), text).unwrap();
}

const SERVE: [&str; 3] = ["serve", "--config", "wx-jssdk.toml"];
const FILE: &str = "kind = \"file\"\npath = \"wx-jssdk.redb\"";

impl Process {
    async fn start(home: &Path) -> Self {
        Self::of(command(home, &SERVE)).await
    }

    async fn of(command: Command) -> Self {
        let mut running = Running::start(command);
        let public = running.line("public ").await;
        let admin = running.line("admin ").await;
        Self {
            running,
            public,
            admin,
        }
    }

    /// Asserts that a page and a client of this process get valid values at once.
    async fn serves(&self, sandbox: &Sandbox) {
        let begun = Instant::now();
        let (status, config) = ask(&format!("{}{PAGE}", self.public)).await;
        assert_eq!(status, 200, "{config}");
        let (status, token) = ask(&format!("{}/credentials/main/access_token", self.admin)).await;
        assert_eq!(status, 200, "{token}");
        assert!(
            sandbox.accepts_token(APP, token["value"].as_str().unwrap()),
            "{token}"
        );
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "no request waits for the store: {:?}",
            begun.elapsed()
        );
    }

    /// Has the token refreshed, as a client does after a 40001.
    async fn refresh(&self, sandbox: &Sandbox) {
        let (_, token) = ask(&format!("{}/credentials/main/access_token", self.admin)).await;
        sandbox.revoke(APP, Revoke::Token);
        let url = format!("{}/credentials/main/access_token/reject", self.admin);
        let answer = client()
            .post(url)
            .bearer_auth(KEY)
            .body(json!({ "value": token["value"] }).to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    }

    async fn metrics(&self) -> String {
        client()
            .get(format!("{}/metrics", self.admin))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }
}

async fn ask(url: &str) -> (u16, Value) {
    let answer = client().get(url).bearer_auth(KEY).send().await.unwrap();
    (
        answer.status().as_u16(),
        serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
    )
}

/// The sum of all series of this metric.
fn sum(metrics: &str, name: &str) -> f64 {
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with(name) && !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn with_a_full_disk_clients_are_served_from_memory_and_it_is_reported() {
    let (sandbox, home) = (wechat().await, tempfile::tempdir().unwrap());
    configure(home.path(), &sandbox, FILE);
    let mut process = Process::start(home.path()).await;
    process.serves(&sandbox).await;
    // Writes fail from now on, as on a full disk.
    let limit = ["--pid", &process.running.pid().to_string(), "--fsize=0:0"];
    assert!(
        Command::new("prlimit")
            .args(limit)
            .status()
            .await
            .unwrap()
            .success()
    );
    process.refresh(&sandbox).await;
    process.serves(&sandbox).await;
    let line = process.running.log_line("disk is full").await;
    assert!(
        line.contains("wx-jssdk.redb") && !line.contains(SECRET),
        "{line}"
    );
    assert!(sum(&process.metrics().await, "wx_jssdk_store_errors_total") > 0.0);
    assert_eq!(
        ask(&format!("{}/readyz", process.admin)).await.0,
        200,
        "pages are signed"
    );
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_aborts_the_start_with_the_fix() {
    let (sandbox, home) = (wechat().await, tempfile::tempdir().unwrap());
    configure(
        home.path(),
        &sandbox,
        "kind = \"file\"\npath = \"no-such-directory/wx-jssdk.redb\"",
    );
    let ended = Running::start(command(home.path(), &SERVE)).ended().await;
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("no-such-directory"),
        "{}",
        ended.stderr
    );
    assert!(
        !ended.stdout.contains("http://"),
        "it does not listen: {}",
        ended.stdout
    );
    assert_eq!(sandbox.calls_total(), 0);
}

#[tokio::test]
async fn a_damaged_store_is_moved_aside_and_clients_get_new_values() {
    let (sandbox, home) = (wechat().await, tempfile::tempdir().unwrap());
    configure(home.path(), &sandbox, FILE);
    let mut file = std::fs::File::create(home.path().join("wx-jssdk.redb")).unwrap();
    file.write_all(&[7; 50_000]).unwrap();
    let mut process = Process::start(home.path()).await;
    process.serves(&sandbox).await;
    let line = process.running.log_line("wx-jssdk.redb").await;
    assert!(line.contains("WARN") || line.contains("ERROR"), "{line}");
    let kept = std::fs::read_dir(home.path())
        .unwrap()
        .any(|file| std::fs::read(file.unwrap().path()).unwrap() == [7; 50_000]);
    assert!(kept, "the old file is kept beside the new store");
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn with_redis_down_paused_or_emptied_clients_are_served_and_it_is_reported() {
    let (sandbox, home, mut redis) = (wechat().await, tempfile::tempdir().unwrap(), Redis::start());
    configure(
        home.path(),
        &sandbox,
        &format!("kind = \"redis\"\nurl = \"{}\"", redis.url()),
    );
    let mut process = Process::start(home.path()).await;
    process.serves(&sandbox).await;

    redis.cli(&["flushall"]);
    process.serves(&sandbox).await;

    redis.signal("STOP");
    process.serves(&sandbox).await;
    process.refresh(&sandbox).await;
    process.serves(&sandbox).await;
    process.running.log_line("store unreachable").await;
    let paused = sum(&process.metrics().await, "wx_jssdk_store_errors_total");
    assert!(paused > 0.0);
    redis.signal("CONT");

    redis.kill();
    process.serves(&sandbox).await;
    let errors = async || sum(&process.metrics().await, "wx_jssdk_store_errors_total");
    until("the outage is counted", async || errors().await > paused).await;
    assert_eq!(
        ask(&format!("{}/readyz", process.admin)).await.0,
        200,
        "pages are signed"
    );
    redis.restart();
    process.serves(&sandbox).await;
}

#[tokio::test]
async fn a_foreign_token_call_harms_no_page_and_is_healed_by_a_reject_and_counted() {
    if !alone(a_foreign_token_call_harms_no_page_and_is_healed_by_a_reject_and_counted) {
        return;
    }
    let log = Log::default();
    log.listen_everywhere();
    let service = Service::warm().await;
    let dead = service.client("access_token").await.body["value"].clone();
    // Another server forces the stable token twice: the one issued here is dead.
    for _ in 0..2 {
        service.sandbox.foreign_refresh(APP, Mode::Stable);
    }
    service.sandbox.revoke(APP, Revoke::Token);
    service.signs().await;
    let answer = service.report_dead("access_token", &dead).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_ne!(answer.body["value"], dead);
    service.assert_client_is_served().await;
    assert_eq!(
        service
            .credential(Kind::AccessToken)
            .unwrap()
            .foreign_refreshes,
        1
    );
    assert_eq!(
        sum(
            service.admin("/metrics").await.body.as_str().unwrap(),
            "wx_jssdk_foreign_refreshes_total"
        ),
        1.0
    );
    let lines = log.about("access token rejected long before its end");
    assert_eq!(lines.len(), 1, "{}", log.text());
    let advice = lines[0]["advice"].as_str().unwrap();
    assert!(
        advice.contains("another server forces refreshes"),
        "{advice}"
    );
}

#[tokio::test]
async fn a_ticket_that_wechat_ended_early_is_replaced_once_a_client_reports_it() {
    let log = Log::default();
    let _listening = log.listen();
    let service = Service::warm().await;
    let dead = service.client("jsapi_ticket").await.body["value"].clone();
    service.sandbox.revoke(APP, Revoke::JsapiTicket);
    assert!(
        !service.verdict(&service.page().await.body).is_empty(),
        "it cannot be detected yet"
    );
    assert_eq!(service.report_dead("jsapi_ticket", &dead).await.status, 200);
    service.signs().await;
    let lines = log.about("refreshed");
    let of_tickets = lines.iter().filter(|line| line["kind"] == "jsapi_ticket");
    let reasons: Vec<_> = of_tickets.map(|line| &line["reason"]).collect();
    assert_eq!(reasons.len(), 2, "one more refresh: {}", log.text());
    assert_eq!(reasons[1], "rejected");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_answered_without_a_call_and_the_status_stays_reachable() {
    let service = std::sync::Arc::new(Service::warm().await);
    let (tokens, tickets) = (service.sandbox.calls(STABLE), service.sandbox.calls(TICKET));
    let pages = (0..200).map(|_| {
        let service = service.clone();
        tokio::spawn(async move { service.page().await.status })
    });
    let pages: Vec<_> = pages.collect();
    service.assert_client_is_served().await;
    assert_eq!(service.admin("/readyz").await.status, 200);
    assert!(
        service
            .admin("/metrics")
            .await
            .body
            .as_str()
            .is_some_and(|text| text.contains("wx_jssdk_"))
    );
    for page in pages {
        assert_eq!(page.await.unwrap(), 200);
    }
    assert_eq!(
        (service.sandbox.calls(STABLE), service.sandbox.calls(TICKET)),
        (tokens, tickets)
    );
}

#[tokio::test]
async fn a_process_killed_at_any_moment_restarts_with_its_values_and_no_call() {
    let (sandbox, home) = (wechat().await, tempfile::tempdir().unwrap());
    configure(home.path(), &sandbox, FILE);
    for _ in 0..3 {
        let process = Process::start(home.path()).await;
        process.serves(&sandbox).await;
        assert_eq!(ask(&format!("{}/readyz", process.admin)).await.0, 200);
        process.running.signal("-KILL").await;
        process.running.gone().await;
    }
    assert_eq!((sandbox.calls(STABLE), sandbox.calls(TICKET)), (1, 1));
}

#[tokio::test]
async fn one_wrong_secret_of_fifty_fails_only_the_clients_of_its_account() {
    let names: Vec<_> = (0..49).map(|n| format!("a{n}")).collect();
    let secret = |n| {
        if n == 7 {
            "deadbeefdeadbeefdeadbeefdeadbeef"
        } else {
            SECRET
        }
    };
    let others: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(n, name)| (name.as_str(), secret(n)))
        .collect();
    let service = Service::beside(&others).await;
    // On the first fetch, and from memory.
    for _ in 0..2 {
        service.assert_client_is_served().await;
        for (name, secret) in &others {
            let answer = service.client_of(name, "access_token").await;
            if *secret == SECRET {
                let token = answer.body["value"]
                    .as_str()
                    .unwrap_or_else(|| panic!("{name}: {}", answer.body));
                assert!(
                    service.sandbox.accepts_token(&app_id(name), token),
                    "{name}"
                );
            } else {
                answer.is_problem(502, "account_misconfigured");
                assert_eq!(
                    answer.body["upstream"]["errcode"], 40_125,
                    "{}",
                    answer.body
                );
            }
        }
    }
}
