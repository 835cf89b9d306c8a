//! Real processes of the real binary.

use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wx_jssdk::Clock;
use wx_jssdk::sandbox::{App, Sandbox};

use crate::cluster::world::{APP, SECRET, STABLE, TICKET};
use crate::common::http;
use crate::common::program::serve;
use crate::common::redis_server::Redis;
use crate::common::upstream::verdict;
use crate::common::wait::called;

/// Longer than thousands of readers need to send their requests while the first call is held.
const PATIENT: Duration = Duration::from_secs(30);

/// A killed owner's lease ends this long after its call began.
const QUICK: Duration = Duration::from_secs(2);

/// One `wx-jssdk serve`; killed when the test is done with it.
pub(crate) struct Process {
    child: Child,
    address: String,
    _home: TempDir,
}

impl Process {
    /// `store` is the content of `[store]`.
    pub(crate) fn start(store: &str, sandbox: &Sandbox, upstream_timeout: Duration) -> Self {
        let home = tempfile::tempdir().unwrap();
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"\"\nworkers = 1\n[log]\nlevel = \"warn\"\n[store]\n{store}\n
            [upstream]\nweixin = \"{url}\"\nqyapi = \"{url}\"\ntimeout_ms = {timeout}\n
            [accounts.main]\napp_id = \"{APP}\"\nsecret = \"{SECRET}\"\njs_safe_domains = [\"example.com\"]\n",
            url = sandbox.url(),
            timeout = upstream_timeout.as_millis()
        );
        std::fs::write(home.path().join("wx-jssdk.toml"), text).unwrap();
        let (child, mut line) = serve(home.path(), Stdio::inherit());
        let public = line("public ");
        Self {
            child,
            address: public.replace("http://", ""),
            _home: home,
        }
    }

    /// kill -9.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a request and does not wait for the answer.
    async fn ask(&self) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request = http::get("/jssdk/config?url=https%3A%2F%2Fwww.example.com%2Fpage")
            .close()
            .text();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the signed page, after asserting that the client accepts it.
async fn answer(mut stream: TcpStream, sandbox: &Sandbox) {
    let mut text = String::new();
    timeout(Duration::from_secs(60), stream.read_to_string(&mut text))
        .await
        .expect("an answer in time")
        .unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(text.starts_with(http::OK), "{text}");
    let config: Value = serde_json::from_str(body).unwrap();
    let verdict = verdict(sandbox, &config, "https://www.example.com/page");
    assert!(verdict.is_ok(), "{verdict:?}: {body}");
}

async fn sandbox() -> Sandbox {
    let sandbox = Sandbox::start(Clock::system()).await.unwrap();
    sandbox.add_app(App::official(APP, SECRET).safe_domain("example.com"));
    sandbox
}

fn in_redis(redis: &Redis) -> String {
    format!("kind = \"redis\"\nurl = \"{}\"", redis.url())
}

pub(crate) async fn cold_readers_of_four_processes_cause_one_token_and_one_ticket_call(
    store: &str,
    readers: usize,
) {
    let sandbox = sandbox().await;
    let gate = sandbox.hold(STABLE);
    let processes: Vec<_> = (0..4)
        .map(|_| Process::start(store, &sandbox, PATIENT))
        .collect();
    let mut reading = Vec::new();
    for reader in 0..readers {
        reading.push(processes[reader % 4].ask().await);
    }
    // All requests are sent, and the first call has not been answered.
    called(&sandbox, STABLE, 1).await;
    gate.release();
    for reader in reading {
        answer(reader, &sandbox).await;
    }
    assert_eq!((sandbox.calls(STABLE), sandbox.calls(TICKET)), (1, 1));
    assert_eq!(sandbox.calls_total(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn two_thousand_cold_readers_of_four_processes_cause_one_token_and_one_ticket_call() {
    let redis = Redis::start();
    let store = in_redis(&redis);
    cold_readers_of_four_processes_cause_one_token_and_one_ticket_call(&store, 2_000).await;
}

pub(crate) async fn an_owner_killed_in_its_call_costs_one_more(store: &str) {
    let sandbox = sandbox().await;
    let gate = sandbox.hold(STABLE);
    let mut owner = Process::start(store, &sandbox, QUICK);
    called(&sandbox, STABLE, 1).await;
    let others: Vec<_> = (0..3)
        .map(|_| Process::start(store, &sandbox, QUICK))
        .collect();
    let mut readers = Vec::new();
    for reader in 0..300 {
        readers.push(others[reader % 3].ask().await);
    }
    owner.kill();
    gate.release();
    for reader in readers {
        answer(reader, &sandbox).await;
    }
    assert_eq!((sandbox.calls(STABLE), sandbox.calls(TICKET)), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn when_the_owner_of_the_lease_is_killed_in_its_call_the_others_make_one_more() {
    let redis = Redis::start();
    an_owner_killed_in_its_call_costs_one_more(&in_redis(&redis)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_killed_process_restarts_with_the_values_of_the_cluster() {
    let (redis, sandbox) = (Redis::start(), sandbox().await);
    let mut processes: Vec<_> = (0..2)
        .map(|_| Process::start(&in_redis(&redis), &sandbox, QUICK))
        .collect();
    for process in &processes {
        answer(process.ask().await, &sandbox).await;
    }
    processes[0].kill();
    processes[0] = Process::start(&in_redis(&redis), &sandbox, QUICK);
    redis.signal("STOP");
    answer(processes[1].ask().await, &sandbox).await;
    redis.signal("CONT");
    answer(processes[0].ask().await, &sandbox).await;
    assert_eq!((sandbox.calls(STABLE), sandbox.calls(TICKET)), (1, 1));
}
