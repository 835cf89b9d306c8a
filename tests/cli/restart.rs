//! Handover from a running process to a new one, systemd notifications, and the open file limit.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::common::http::{self, Answer, is_whole};
use crate::common::program::{APP, BOUND, Running, SECRET, command, run_in};
use crate::common::wait::{called, until};
use crate::operations::world::TOKEN;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixDatagram};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wx_jssdk::Clock;
use wx_jssdk::sandbox::{App, Sandbox};

fn request() -> String {
    http::get("/jssdk/config?url=https%3A%2F%2Fexample.com%2F").text()
}

/// A simulated WeChat and a configuration for processes that use it.
struct Home {
    directory: TempDir,
    sandbox: Sandbox,
}

impl Home {
    async fn new(server: &str) -> Self {
        let sandbox = Sandbox::start(Clock::shifted()).await.unwrap();
        sandbox.add_app(App::official(APP, SECRET).safe_domain("example.com"));
        let home = Self {
            directory: tempfile::tempdir().unwrap(),
            sandbox,
        };
        home.configure(server);
        home
    }

    fn configure(&self, server: &str) {
        let text = format!(
            "[server]\nadmin_listen = \"\"\nworkers = 1\n{server}\n[store]\nkind = \"memory\"\n
            [upstream]\nweixin = \"{0}\"\nqyapi = \"{0}\"\n
            [accounts.main]\napp_id = \"{APP}\"\nsecret = \"{SECRET}\"\njs_safe_domains = [\"example.com\"]\n",
            self.sandbox.url()
        );
        std::fs::write(self.directory.path().join("wx-jssdk.toml"), text).unwrap();
    }

    /// Starts `serve` and waits until it listens.
    async fn serve(&self) -> (Running, SocketAddr) {
        Self::served(Running::start(command(self.directory.path(), &["serve"]))).await
    }

    /// Like [`serve`](Self::serve), with this socket as descriptor 3, as a service manager passes it.
    async fn serve_on(&self, socket: &TcpListener) -> (Running, SocketAddr) {
        Self::served(self.start_on_copies(socket, "wx-jssdk.socket")).await
    }

    /// Starts `serve` with one copy of this socket for each of the names, from descriptor 3 on.
    fn start_on_copies(&self, socket: &TcpListener, names: &str) -> Running {
        let socket = Stdio::from(OwnedFd::from(socket.try_clone().unwrap()));
        let count = names.split(':').count();
        let copies: String = (3..3 + count).map(|at| format!("{at}<&0 ")).collect();
        let mut command = self.shell(&format!(
            "exec {copies}</dev/null; \
             LISTEN_FDS={count} LISTEN_FDNAMES={names} LISTEN_PID=$$ exec \"$0\" serve"
        ));
        command.stdin(socket);
        Running::start(command)
    }

    /// A shell that runs the program as `$0`.
    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script, env!("CARGO_BIN_EXE_wx-jssdk")])
            .current_dir(self.directory.path())
            .env_clear();
        command
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    async fn served(mut running: Running) -> (Running, SocketAddr) {
        let public = running.line("public").await;
        (
            running,
            public.strip_prefix("http://").unwrap().parse().unwrap(),
        )
    }
}

/// Sends one request and reads its answer. Returns whether the connection ends. Errors are those that a client would see.
async fn ask(stream: &mut TcpStream) -> Result<bool, String> {
    let said = |what: &str, error: std::io::Error| format!("{what}: {error}");
    stream
        .write_all(request().as_bytes())
        .await
        .map_err(|error| said("sending", error))?;
    let mut came = Vec::new();
    while !is_whole(&came) {
        let count = stream
            .read_buf(&mut came)
            .await
            .map_err(|error| said("reading", error))?;
        if count == 0 {
            return Err(format!("hung up after {} bytes", came.len()));
        }
    }
    let answer = Answer::parse(&came);
    if answer.status != 200 || !answer.text.contains("\"signature\"") {
        return Err(format!("{answer:?}"));
    }
    Ok(answer.header("connection") == Some("close"))
}

/// Clients that send requests without a pause: half of them keep their connection open.
struct Load {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU32>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(to: SocketAddr) -> Self {
        let (over, answered) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU32::new(0)),
        );
        let start = |keeps| tokio::spawn(client(to, keeps, over.clone(), answered.clone()));
        let clients = [true, true, false, false].map(start).into();
        Self {
            over,
            answered,
            clients,
        }
    }

    /// Waits until this many more requests were answered.
    async fn go_on(&self, more: u32) {
        let goal = self.answered.load(Ordering::Relaxed) + more;
        let is_there = async || self.answered.load(Ordering::Relaxed) >= goal;
        until("more requests are answered", is_there).await;
    }

    /// The number of answered requests, and the errors: of clients that keep connections, and of those that do not.
    async fn end(self) -> (u32, [Vec<String>; 2]) {
        self.over.store(true, Ordering::Relaxed);
        let mut failed = [Vec::new(), Vec::new()];
        for (at, client) in self.clients.into_iter().enumerate() {
            failed[at / 2].extend(timeout(BOUND, client).await.expect("an end").unwrap());
        }
        (self.answered.load(Ordering::Relaxed), failed)
    }
}

async fn client(
    to: SocketAddr,
    keeps: bool,
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU32>,
) -> Vec<String> {
    let (mut failures, mut connection) = (Vec::new(), None);
    while !over.load(Ordering::Relaxed) {
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => match TcpStream::connect(to).await {
                Ok(stream) => stream,
                Err(error) => {
                    failures.push(format!("connecting: {error}"));
                    continue;
                }
            },
        };
        match ask(&mut stream).await {
            Ok(last) => {
                answered.fetch_add(1, Ordering::Relaxed);
                connection = (keeps && !last).then_some(stream);
            }
            Err(error) => failures.push(error),
        }
    }
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_inherited_socket_no_request_fails_in_either_restart_order() {
    let home = Home::new("").await;
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut old, address) = home.serve_on(&socket).await;
    assert_eq!(
        address,
        socket.local_addr().unwrap(),
        "not what server.listen says"
    );
    let load = Load::start(address);
    for before in [true, false, true] {
        load.go_on(100).await;
        let new = if before {
            Some(home.serve_on(&socket).await.0)
        } else {
            None
        };
        let ended = old.stop().await;
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        old = match new {
            Some(new) => new,
            None => home.serve_on(&socket).await.0,
        };
    }
    load.go_on(100).await;
    let (answered, failed) = load.end().await;
    assert_eq!(failed, [Vec::<String>::new(), Vec::new()], "of {answered}");
    assert_eq!(old.stop().await.code, 0);
}

#[tokio::test]
async fn a_setting_that_an_inherited_socket_overrides_is_logged_and_an_equal_one_is_not() {
    let home = Home::new("listen = \"127.0.0.1:1\"").await;
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // The second copy is the admin listener's, which is not configured.
    let (mut running, _) = Home::served(home.start_on_copies(&socket, "public:admin")).await;
    let line = running.log_line("has no effect").await;
    let parts = format!("setting=\"server.listen\" configured=127.0.0.1:1 passed={address}");
    assert!(
        line.contains("level=WARN") && line.contains(&parts),
        "{line}"
    );
    let line = running.log_line("is not served").await;
    assert!(
        line.contains(&format!("setting=\"server.admin_listen\" passed={address}")),
        "{line}"
    );
    assert_eq!(running.stop().await.code, 0);
    home.configure(&format!("listen = \"{address}\""));
    let ended = home.serve_on(&socket).await.0.stop().await;
    assert!(!ended.stderr.contains("has no effect"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_passed_socket_that_no_listener_takes_prevents_the_start_and_is_named() {
    let home = Home::new("").await;
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    for names in [
        "wx-jssdk.socket:wx-jssdk.socket",
        "public:public",
        "public:admin:other",
    ] {
        let ended = home.start_on_copies(&socket, names).ended().await;
        assert_eq!(ended.code, 2, "{names}: {}", ended.stderr);
        for words in ["no listener takes", &address, "FileDescriptorName=public"] {
            assert!(ended.stderr.contains(words), "{names}: {}", ended.stderr);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_reuse_port_two_processes_share_a_port_and_no_connection_loses_a_request() {
    let home = Home::new("reuse_port = true\nlisten = \"127.0.0.1:0\"").await;
    let (old, address) = home.serve().await;
    home.configure(&format!("reuse_port = true\nlisten = \"{address}\""));
    let load = Load::start(address);
    let (new, same) = home.serve().await;
    assert_eq!(same, address);
    load.go_on(200).await;
    let ended = old.stop().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    load.go_on(200).await;
    let (answered, [kept, fresh]) = load.end().await;
    // A connection that reaches the old socket as it closes is reset, unless the system migrates it (tcp_migrate_req): rarely, and
    // before anything was answered. docs/DEPLOYMENT.md says so.
    let reset = |failure: &&String| failure.contains("reset") || failure.contains("refused");
    assert!(
        kept.iter().chain(&fresh).all(|failure| reset(&failure)),
        "{kept:?} {fresh:?}"
    );
    assert!(
        kept.len() + fresh.len() <= 8,
        "{answered}: {kept:?} {fresh:?}"
    );
    assert!(
        ask(&mut TcpStream::connect(address).await.unwrap())
            .await
            .is_ok(),
        "by the new process"
    );
    // A process without reuse_port reports that the port is in use.
    home.configure(&format!("listen = \"{address}\""));
    let refused = run_in(home.directory.path(), &["serve"]).await;
    assert!(
        refused.code == 2 && refused.stderr.contains("Another program uses this port"),
        "{}",
        refused.stderr
    );
    assert_eq!(new.stop().await.code, 0);
}

#[tokio::test]
async fn during_shutdown_an_idle_connection_gets_one_more_answer_with_connection_close() {
    let home = Home::new("listen = \"127.0.0.1:0\"").await;
    let (running, address) = home.serve().await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    assert_eq!(ask(&mut idle).await, Ok(false));
    running.terminate().await;
    // At once, because the service waits a second only.
    let told = async { while !ask(&mut idle).await.expect("an answer to each request") {} };
    timeout(BOUND, told).await.expect("Connection: close");
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(running.ended().await.code, 0);
}

#[tokio::test]
async fn a_client_that_sends_half_a_request_does_not_delay_a_shutdown() {
    let home = Home::new("listen = \"127.0.0.1:0\"\nshutdown_seconds = 3600").await;
    let (running, address) = home.serve().await;
    let mut half = TcpStream::connect(address).await.unwrap();
    assert_eq!(ask(&mut half).await, Ok(false));
    half.write_all(b"GET / HT").await.unwrap();
    running.terminate().await;
    let end = timeout(BOUND, half.read(&mut [0; 1])).await;
    assert_eq!(end.expect("an end").unwrap(), 0);
    assert_eq!(running.ended().await.code, 0);
}

#[tokio::test]
async fn systemd_is_told_of_ready_reloading_stopping_and_live_threads() {
    let home = Home::new("listen = \"127.0.0.1:0\"\nshutdown_seconds = 30").await;
    let path = home.directory.path().join("notify");
    let socket = StdDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket = UnixDatagram::from_std(socket).unwrap();
    let mut command = command(home.directory.path(), &["serve"]);
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "15000000");
    let running = Running::start(command);
    let heard = async |words: &str| {
        let hearing = async {
            loop {
                let mut buffer = [0; 512];
                let count = socket.recv(&mut buffer).await.unwrap();
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                if text.lines().any(|line| line == words) {
                    return text;
                }
            }
        };
        timeout(BOUND, hearing)
            .await
            .unwrap_or_else(|_| panic!("no notification of {words}"))
    };
    heard("READY=1").await;
    heard("WATCHDOG=1").await;
    running.signal("-HUP").await;
    assert!(heard("RELOADING=1").await.contains("MONOTONIC_USEC="));
    heard("READY=1").await;
    running.terminate().await;
    let stopping = heard("STOPPING=1").await;
    assert!(
        stopping.contains("EXTEND_TIMEOUT_USEC=37000000"),
        "{stopping}"
    );
    let ended = running.ended().await;
    assert!(
        ended.code == 0 && !ended.stderr.contains("worker thread stuck"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_systemd_that_reads_no_message_delays_no_start_reload_or_shutdown() {
    let home = Home::new("listen = \"127.0.0.1:0\"\nshutdown_seconds = 0").await;
    let path = home.directory.path().join("notify");
    let socket = StdDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket = UnixDatagram::from_std(socket).unwrap();
    let sender = StdDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    let fill = || while sender.send_to(b"full", &path).is_ok() {};
    fill();
    let mut command = command(home.directory.path(), &["serve"]);
    command.env("NOTIFY_SOCKET", &path);
    let (mut running, address) = Home::served(Running::start(command)).await;
    called(&home.sandbox, TOKEN, 1).await; // refreshed ahead of the first request
    for _ in 0..2 {
        running.signal("-HUP").await;
        running.log_line("new configuration applied").await;
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert_eq!(ask(&mut stream).await, Ok(false));
    let mut heard = Vec::new();
    while heard.len() < 5 {
        let mut buffer = [0; 512];
        let receiving = timeout(BOUND, socket.recv(&mut buffer)).await;
        let count = receiving.expect("a message").unwrap();
        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
        if text != "full" {
            heard.push(text.lines().next().unwrap().to_owned());
        }
    }
    let [ready, reloading] = ["READY=1", "RELOADING=1"];
    assert_eq!(heard, [ready, reloading, ready, reloading, ready]);
    fill();
    let ended = running.stop().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[tokio::test]
async fn the_open_file_limit_is_raised_for_the_connections() {
    let home = Home::new("listen = \"127.0.0.1:0\"\n[limits]\nmax_connections = 500").await;
    let (running, _) = Home::served(Running::start(
        home.shell("ulimit -S -n 300; echo pid $$; exec \"$0\" serve"),
    ))
    .await;
    let limits =
        std::fs::read_to_string(format!("/proc/{}/limits", running.printed("pid"))).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let soft: u64 = line.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!(soft >= 500 + 100, "{line}");
    let ended = running.stop().await;
    assert!(
        ended.code == 0 && !ended.stderr.contains("limit of open files"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_limit_that_cannot_be_raised_reduces_connections_and_is_logged() {
    let home = Home::new("listen = \"127.0.0.1:0\"").await;
    let (mut running, address) = Home::served(Running::start(
        home.shell("ulimit -n 1500; exec \"$0\" serve"),
    ))
    .await;
    let line = running.log_line("the limit of open files is too low").await;
    assert!(
        line.contains("wanted=10000") && line.contains("left=1400") && line.contains("limit=1500"),
        "{line}"
    );
    assert!(
        ask(&mut TcpStream::connect(address).await.unwrap())
            .await
            .is_ok()
    );
    assert_eq!(running.stop().await.code, 0);
}

#[tokio::test]
async fn with_too_low_a_file_limit_it_does_not_start_and_says_what_to_raise() {
    let home = Home::new("listen = \"127.0.0.1:0\"").await;
    let running = Running::start(home.shell("ulimit -n 64; exec \"$0\" serve"));
    let ended = running.ended().await;
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    for words in [
        "the limit of open files is 64",
        "ulimit -n",
        "LimitNOFILE",
        "请调高",
    ] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn more_clients_than_descriptors_cause_no_error_and_are_all_served() {
    let home = Home::new("listen = \"127.0.0.1:0\"\n[limits]\nmax_connections = 1000").await;
    let (running, address) = Home::served(Running::start(
        home.shell("ulimit -n 200; exec \"$0\" serve"),
    ))
    .await;
    let mut held = Vec::new();
    for _ in 0..400 {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    for _ in 0..10 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut stream).await.is_ok());
    }
    let ended = running.stop().await;
    assert!(!ended.stderr.contains("ERROR"), "{}", ended.stderr);
}

/// Copies the units, with the path of this binary, to their own directory.
fn units() -> TempDir {
    let (home, from) = (
        tempfile::tempdir().unwrap(),
        concat!(env!("CARGO_MANIFEST_DIR"), "/examples/systemd"),
    );
    for name in ["wx-jssdk.service", "wx-jssdk.socket"] {
        let unit = std::fs::read_to_string(format!("{from}/{name}")).unwrap();
        let unit = unit.replace("/usr/local/bin/wx-jssdk", env!("CARGO_BIN_EXE_wx-jssdk"));
        std::fs::write(home.path().join(name), unit).unwrap();
    }
    home
}

#[test]
fn the_unit_that_hides_the_host_name_in_proc_passes_it_on() {
    let unit = std::fs::read_to_string(units().path().join("wx-jssdk.service")).unwrap();
    for line in ["ProcSubset=pid", "Environment=HOSTNAME=%H"] {
        assert!(unit.lines().any(|other| other == line), "no {line}");
    }
}

async fn analyze(arguments: &[&str], home: &TempDir) -> (bool, String) {
    let mut command = Command::new("systemd-analyze");
    command
        .args(arguments)
        .current_dir(home.path())
        .env("SYSTEMD_COLORS", "0")
        .env("LC_ALL", "C");
    let output = timeout(BOUND, command.output()).await.unwrap().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), text)
}

#[tokio::test]
#[ignore = "needs systemd: make test"]
async fn systemd_finds_no_fault_with_the_units() {
    // The man page is installed by the package only.
    let arguments = [
        "verify",
        "--man=no",
        "./wx-jssdk.service",
        "./wx-jssdk.socket",
    ];
    let (is_valid, said) = analyze(&arguments, &units()).await;
    let ours: Vec<_> = said
        .lines()
        .filter(|line| line.contains("wx-jssdk"))
        .collect();
    assert!(is_valid && ours.is_empty(), "{said}");
}

#[tokio::test]
#[ignore = "needs systemd: make test"]
async fn the_unit_is_exposed_less_than_2_of_10() {
    let (_, said) = analyze(
        &["security", "--offline=yes", "./wx-jssdk.service"],
        &units(),
    )
    .await;
    let score = said
        .split("Overall exposure level for wx-jssdk.service: ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let score: f64 = score
        .unwrap_or_else(|| panic!("no score: {said}"))
        .parse()
        .unwrap();
    assert!(score < 2.0, "{said}");
}
