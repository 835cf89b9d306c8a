//! Ten thousand accounts: a warm start makes no call, memory stays small, refreshes are spread, and every read is answered from
//! memory.
//!
//! Counts and memory are asserted. Times are only printed, because they depend on the machine.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions only, not in their helpers
#![allow(clippy::print_stdout)] // what was measured, and the case that failed

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use futures_util::FutureExt as _;
use wx_jssdk::account::Account;
use wx_jssdk::broker::Broker;
use wx_jssdk::credential::Secret;
use wx_jssdk::sandbox::{App, Sandbox};
use wx_jssdk::store::Store;
use wx_jssdk::{Clock, Credential, Kind, UnixTime, UpstreamOptions};

#[allow(dead_code)] // each binary uses a part of it
#[path = "common/mod.rs"]
mod common;

use common::http::client;
use common::program::serve;

const ACCOUNTS: usize = 10_000;
const MIB: u64 = 1 << 20;

/// Resident memory of a release build's binary and of the C library.
const BINARY: u64 = 9 * MIB;

/// How long the allocator may take to return memory on a busy machine.
const MEMORY_RETURN_LIMIT: Duration = Duration::from_secs(30);

fn app_id(n: usize) -> String {
    format!("wx{n:016x}")
}

/// A token or a ticket of the usual length, an eighth of its life old, as if fetched at a random time in the last quarter of an hour.
fn credential(n: usize, kind: Kind, now: UnixTime) -> Credential {
    let issued_at = UnixTime(now.0 - (n as u64 * 7) % 900);
    let value = match kind {
        Kind::AccessToken => format!("{n:0>157}"),
        _ => format!("{n:0>86}"),
    };
    Credential {
        value: Secret::new(value),
        issued_at,
        expires_at: issued_at.plus(Duration::from_secs(7_200)),
        generation: issued_at.0 * 1_000,
    }
}

async fn fill(store: &Store, now: UnixTime) {
    // In parts, since an operation of the file store ends after five seconds.
    for first in (0..ACCOUNTS).step_by(1_000) {
        let mut saving = tokio::task::JoinSet::new();
        for n in first..first + 1_000 {
            for kind in [Kind::AccessToken, Kind::JsapiTicket] {
                let (store, key) = (store.clone(), Account::official(app_id(n), "").key(kind));
                let value = credential(n, kind, now);
                saving.spawn(async move { store.save(&key, &value).await.map(drop) });
            }
        }
        for saved in saving.join_all().await {
            saved.unwrap();
        }
    }
}

fn configuration(url: &str) -> String {
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 2\n[log]\nlevel = \"warn\"\n[store]\nkind = \"file\"\npath = \"store.redb\"\n
        [upstream]\nweixin = \"{url}\"\nqyapi = \"{url}\"\n"
    );
    for n in 0..ACCOUNTS {
        let (id, secret) = (app_id(n), format!("{n:032x}"));
        write!(text, "[accounts.a{n}]\napp_id = \"{id}\"\nsecret = \"{secret}\"\njs_safe_domains = [\"example.com\"]\n")
            .unwrap();
    }
    text
}

/// A line of /proc/PID/status, in bytes.
fn memory(child: &Child, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap();
    line.trim_matches([':', '\t', ' '])
        .split(' ')
        .next()
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1_024
}

async fn sign(address: &str, n: usize) -> serde_json::Value {
    let client = client();
    let url = format!("{address}/jssdk/config?account=a{n}&url=https%3A%2F%2Fwww.example.com%2F");
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

/// The process, and the addresses of its two listeners.
fn start(home: &Path) -> (Child, String, String) {
    let (child, mut line) = serve(home, Stdio::inherit());
    let (public, admin) = (line("public "), line("admin "));
    (child, public, admin)
}

/// Checks the cost of `GET /metrics`: a fixed number of lines for each account.
async fn scrape(admin: &str, clock: &Clock) -> String {
    let client = client();
    let (mut took, mut text) = (Vec::new(), String::new());
    for _ in 0..5 {
        let begun = clock.uptime();
        let answer = client
            .get(format!("{admin}/metrics"))
            .header("Accept", "application/openmetrics-text")
            .send()
            .await
            .unwrap();
        text = answer.text().await.unwrap();
        took.push(clock.uptime() - begun);
    }
    took.sort();
    let lines = text.lines().count();
    assert!(
        text.ends_with("# EOF\n") && lines >= 10 * ACCOUNTS,
        "{lines} lines"
    );
    assert!(lines <= LINES_PER_ACCOUNT * ACCOUNTS + 300, "{lines} lines");
    format!(
        "a scrape: {lines} lines, {:.1} MiB, {:?}",
        text.len() as f64 / MIB as f64,
        took[2]
    )
}

/// Lines for an official account with a token and a jsapi_ticket, in a scrape without failures.
const LINES_PER_ACCOUNT: usize = 18;

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_accounts_start_warm_in_little_memory_and_make_no_call() {
    let sandbox = Sandbox::start(Clock::system()).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    std::fs::write(
        home.path().join("wx-jssdk.toml"),
        configuration(sandbox.url()),
    )
    .unwrap();
    let clock = Clock::system();
    let store = Store::file(home.path().join("store.redb")).unwrap();
    fill(&store, clock.now()).await;
    drop(store);
    let begun = clock.uptime();
    let (mut child, address, admin) = start(home.path());
    let listening = clock.uptime() - begun;
    let config = sign(&address, ACCOUNTS / 2).await;
    let signed = clock.uptime() - begun;
    assert_eq!(config["appId"], app_id(ACCOUNTS / 2));
    for n in 0..200 {
        sign(&address, n * (ACCOUNTS / 200)).await;
    }
    // The allocator returns what the start needed within seconds. The pages of the binary itself are resident too, and there are
    // twice as many of them in a debug build.
    let is_little = || memory(&child, "RssAnon") + BINARY <= 68 * MIB;
    while !is_little() && clock.uptime() - begun < MEMORY_RETURN_LIMIT {
        sign(&address, 0).await;
    }
    let (resident, peak, own) = (
        memory(&child, "VmRSS"),
        memory(&child, "VmHWM"),
        memory(&child, "RssAnon"),
    );
    let scraped = scrape(&admin, &clock).await;
    let after_scrape = memory(&child, "VmHWM");
    child.kill().unwrap();
    child.wait().unwrap();
    println!(
        "{scraped}, at most {:.1} MiB resident",
        after_scrape as f64 / MIB as f64
    );
    println!(
        "{ACCOUNTS} accounts: listening after {listening:?}, first signature after {signed:?}, resident {:.1} MiB ({:.1} its own), at most {:.1} MiB",
        resident as f64 / MIB as f64,
        own as f64 / MIB as f64,
        peak as f64 / MIB as f64
    );
    assert_eq!(
        sandbox.calls_total(),
        0,
        "everything was read from the store"
    );
    assert!(
        own + BINARY <= 68 * MIB,
        "{own} bytes in addition to the binary"
    );
}

fn broker(store: Store, clock: Clock) -> Broker {
    let mut builder = Broker::builder()
        .store(store)
        .clock(clock)
        .upstream(UpstreamOptions::at("http://127.0.0.1:1"));
    for n in 0..ACCOUNTS {
        builder = builder.account(
            format!("a{n}"),
            Account::official(app_id(n), "secret")
                .js_safe_domain("example.com")
                .unwrap(),
        );
    }
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refreshes_of_two_thousand_accounts_started_at_once_are_spread_over_a_minute() {
    const MANY: usize = 2_000;
    let clock = Clock::manual(UnixTime(1_767_225_600));
    let (sandbox, store) = (
        Sandbox::start(clock.clone()).await.unwrap(),
        Store::memory(),
    );
    (0..MANY).for_each(|n| sandbox.add_app(App::mini(app_id(n), "secret")));
    let (mut builder, now) = (
        Broker::builder().store(store.clone()).clock(clock.clone()),
        clock.now(),
    );
    for n in 0..MANY {
        // All were fetched in one second, as after a cold start: the worst case.
        let account = Account::mini(app_id(n), "secret");
        let token = Credential {
            issued_at: now,
            ..credential(0, Kind::AccessToken, now)
        };
        store
            .save(&account.key(Kind::AccessToken), &token)
            .await
            .unwrap();
        builder = builder.account(format!("a{n}"), account);
    }
    let url = sandbox.url().to_owned();
    let upstream = UpstreamOptions::at(url);
    let broker = builder.upstream(upstream).build().unwrap();
    assert!(
        broker.tend().await.is_empty(),
        "a warm start refreshes nothing"
    );
    assert!(clock.advance(Duration::from_secs(7_200 - 245)));
    let mut seconds = Vec::new();
    for _ in 0..70 {
        let mut refreshed = 0;
        loop {
            let outcomes = broker.tend().await;
            refreshed += outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            assert!(outcomes.iter().all(Result::is_ok));
            if outcomes.is_empty() {
                break;
            }
        }
        seconds.push(refreshed);
        assert!(clock.advance(Duration::from_secs(1)));
    }
    let (sum, most) = (seconds.iter().sum::<usize>(), seconds.iter().max().unwrap());
    println!(
        "{sum} refreshes in {} seconds, at most {most} in one",
        seconds.iter().filter(|&&refreshed| refreshed > 0).count()
    );
    assert_eq!((sum, sandbox.calls_total()), (MANY, MANY as u64));
    assert!(*most <= 3 * MANY / 61, "{seconds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_read_of_ten_thousand_warm_accounts_is_answered_from_memory() {
    let (clock, store) = (Clock::manual(UnixTime(1_767_225_600)), Store::memory());
    fill(&store, clock.now()).await;
    let broker = broker(store, clock);
    broker.tend().await;
    for n in 0..ACCOUNTS {
        let name = format!("a{n}");
        // A read takes the same steps for one account and for the last of ten thousand: it completes at the first poll.
        let read = broker.credential(&name, Kind::JsapiTicket).now_or_never();
        let answer = read.unwrap_or_else(|| panic!("{name} waits"));
        assert_eq!(answer.unwrap().value.expose(), format!("{n:0>86}"));
    }
}
