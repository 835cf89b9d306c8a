//! The file store under kill -9 and with a damaged file: through a broker in its own process, and through the real binary.

#![allow(clippy::print_stdout)] // what was measured, and the case that failed

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use wx_jssdk::account::{Account, TokenMode};
use wx_jssdk::broker::Broker;
use wx_jssdk::sandbox::{App, Sandbox};
use wx_jssdk::store::Store;
use wx_jssdk::{Clock, Credential, Kind, UnixTime, UpstreamOptions};

use crate::common::http::client;
use crate::common::process::again;
use crate::common::program::serve as serve_in;
use crate::common::upstream::verdict;

const APP: &str = "wx0123456789abcdef";
const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
const CLASSIC: &str = "/cgi-bin/token";
const TICKET: &str = "/cgi-bin/ticket/getticket";
const START: UnixTime = UnixTime(1_767_225_600);
const KINDS: [Kind; 2] = [Kind::AccessToken, Kind::JsapiTicket];
const ROUNDS: u64 = 200;

/// Environment of the child: the store file, WeChat's address and its time.
const ROLE: &str = "JSSDK_TEST_DURABILITY";

fn account() -> Account {
    Account::official(APP, SECRET).token_mode(TokenMode::Classic)
}

#[test]
fn kill_9_while_refreshing_loses_no_credential_and_costs_only_the_interrupted_call() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    if let Ok(role) = std::env::var(ROLE) {
        return runtime.block_on(refresh_for_ever(&role));
    }
    runtime.block_on(async {
        let sandbox = Sandbox::start(Clock::manual(START)).await.unwrap();
        // Each refresh is a call, and there are some thousands in one day.
        let mut quotas = wx_jssdk::sandbox::Quotas::default();
        (quotas.token_daily, quotas.ticket_daily) = (u64::MAX, u64::MAX);
        sandbox.add_app(App::official(APP, SECRET).quotas(quotas));
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store.redb");
        let (mut handed_out, mut interrupted) = (0, 0);
        for round in 0..ROUNDS {
            let (new, lost) = one_life(&sandbox, &path, round).await;
            handed_out += new;
            interrupted += lost;
        }
        println!(
            "{ROUNDS} kills, {handed_out} credentials handed out, {interrupted} calls interrupted"
        );
        assert!(handed_out > ROUNDS, "it refreshed throughout");
        assert!(!corrupt(&path).exists(), "a crash is no corruption");
    });
}

/// Runs a process from start to kill. Returns how many new credentials it issued and how many calls were interrupted.
async fn one_life(sandbox: &Sandbox, path: &Path, round: u64) -> (u64, u64) {
    let before = stored(path).await;
    // The sandbox has counted the calls that a killed process had sent: it answered later ones.
    for _ in 0..2 {
        let state = client()
            .get(format!("{}/sandbox/state", sandbox.url()))
            .send()
            .await
            .unwrap();
        state.bytes().await.unwrap();
    }
    let calls = sandbox.calls_total();
    let mut process = Process::start(sandbox, path);
    // Its first answers are the stored values that are still valid: nothing was lost, and no call was made.
    let first = process.first();
    let mut expected = 0;
    for (first, before) in first.iter().zip(&before) {
        match before
            .as_ref()
            .filter(|before| before.expires_at > sandbox.clock().now().plus(Duration::from_secs(5)))
        {
            Some(before) => assert_eq!(first, &line(before), "round {round}: valid, and lost"),
            None => expected += 1,
        }
    }
    assert_eq!(
        sandbox.calls_total() - calls,
        expected,
        "round {round}: calls at the start"
    );
    let calls_of_kind = KINDS.map(|kind| sandbox.calls(endpoint(kind)));
    process.go_on();
    let mut said = process
        .lines
        .by_ref()
        .take(usize::try_from(round % 7).unwrap() + 1)
        .collect::<Vec<_>>();
    // Killed at a random moment of the next refresh: during a call, between call and commit, during or after the commit.
    for _ in 0..round % 23 * 20_000 {
        std::hint::spin_loop();
    }
    process.child.kill().unwrap();
    process.child.wait().unwrap();
    said.extend(process.lines.by_ref());
    let said: Vec<_> = said
        .into_iter()
        .map(Result::unwrap)
        .filter(|line| line.ends_with('.'))
        .collect();
    let after = stored(path).await;
    let mut lost = 0;
    for (kind, after) in KINDS.into_iter().zip(&after) {
        let last = said
            .iter()
            .chain(&first)
            .filter(|line| line.starts_with(kind.as_str()))
            .max_by_key(|line| generation(line))
            .unwrap();
        let after = after
            .as_ref()
            .unwrap_or_else(|| panic!("round {round}: no {kind} is there"));
        assert!(
            after.generation >= generation(last),
            "round {round}: {last} was issued, {} is stored",
            after.generation
        );
        assert!(
            accepts(sandbox, kind, after),
            "round {round}: what is stored is valid"
        );
        // Each call was issued, or stored and not yet issued, or interrupted.
        let new = said
            .iter()
            .filter(|line| line.starts_with(kind.as_str()))
            .count() as u64;
        let unsaid = u64::from(after.generation > generation(last));
        let made =
            sandbox.calls(endpoint(kind)) - calls_of_kind[usize::from(kind != Kind::AccessToken)];
        assert!(
            (new + unsaid..=new + unsaid + 1).contains(&made),
            "round {round}: {made} calls for {new} and {unsaid} {kind}s"
        );
        lost += made - new - unsaid;
    }
    (said.len() as u64 + expected, lost)
}

fn endpoint(kind: Kind) -> &'static str {
    if kind == Kind::AccessToken {
        CLASSIC
    } else {
        TICKET
    }
}

fn accepts(sandbox: &Sandbox, kind: Kind, credential: &Credential) -> bool {
    match kind {
        Kind::AccessToken => sandbox.accepts_token(APP, credential.value.expose()),
        _ => sandbox.accepts_ticket(APP, "jsapi", credential.value.expose()),
    }
}

async fn stored(path: &Path) -> Vec<Option<Credential>> {
    let store = Store::file(path).unwrap();
    let keys = KINDS.map(|kind| account().key(kind));
    store.load_many(&keys.each_ref()).await.unwrap()
}

/// A credential as the child prints it.
fn line(credential: &Credential) -> String {
    let kind = if credential.value.expose().len() > 100 {
        Kind::AccessToken
    } else {
        Kind::JsapiTicket
    };
    format!(
        "{kind} {} {} {}.",
        credential.generation,
        credential.expires_at,
        credential.value.expose()
    )
}

fn generation(line: &str) -> u64 {
    line.split(' ')
        .nth(1)
        .and_then(|generation| generation.parse().ok())
        .unwrap()
}

/// Runs this test in its own process.
struct Process {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(sandbox: &Sandbox, path: &Path) -> Self {
        let role = format!(
            "{} {} {}",
            sandbox.url(),
            sandbox.clock().now(),
            path.display()
        );
        let test = kill_9_while_refreshing_loses_no_credential_and_costs_only_the_interrupted_call;
        let mut child = again(test)
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self {
            child,
            stdin,
            lines: BufReader::new(stdout).lines(),
        }
    }

    fn first(&mut self) -> Vec<String> {
        let lines = self.lines.by_ref().map(Result::unwrap);
        lines
            .filter(|line| KINDS.iter().any(|kind| line.starts_with(kind.as_str())))
            .take(2)
            .collect()
    }

    fn go_on(&mut self) {
        self.stdin.write_all(b"go on\n").unwrap();
    }
}

/// The child: prints its credentials, then lets lifetimes pass with the keeper running, and prints each issued credential.
async fn refresh_for_ever(role: &str) {
    let [url, now, path] = role.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
    let clock = Clock::manual(UnixTime(now.parse().unwrap()));
    let upstream = UpstreamOptions::at(url);
    let store = Store::file(path).unwrap();
    let broker = Broker::builder()
        .account("main", account())
        .clock(clock.clone())
        .store(store)
        .upstream(upstream);
    let broker = broker.build().unwrap();
    say(&broker, "\n").await;
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let client = client();
    loop {
        // WeChat's clock first: if this process is killed in between, its successor is late and not early.
        let advanced = client
            .post(format!("{url}/sandbox/advance"))
            .body(r#"{"seconds":7030}"#)
            .send()
            .await
            .unwrap();
        assert!(advanced.status().is_success());
        assert!(clock.advance(Duration::from_secs(7_030)));
        broker.tend().await;
        say(&broker, "").await;
    }
}

async fn say(broker: &Broker, before: &str) {
    for kind in KINDS {
        let credential = broker.credential("main", kind).await.unwrap();
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{before}{}", line(&credential)).unwrap();
    }
}

fn corrupt(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.corrupt-1", path.display()))
}

/// Runs the real service on this file. Returns its first signed answer, its log, and the resulting file.
async fn serve(sandbox: &Sandbox, home: &Path) -> (String, String) {
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"\"\n[store]\nkind = \"file\"\npath = \"store.redb\"\n[upstream]\nweixin = \"{url}\"\nqyapi = \"{url}\"\n
        [accounts.main]\napp_id = \"{APP}\"\nsecret = \"{SECRET}\"\ntoken_mode = \"classic\"\njs_safe_domains = [\"example.com\"]\n",
        url = sandbox.url()
    );
    std::fs::write(home.join("wx-jssdk.toml"), text).unwrap();
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o600); // otherwise a warning says that every user can read it
    std::fs::set_permissions(home.join("wx-jssdk.toml"), own).unwrap();
    let (child, mut line) = serve_in(home, Stdio::piped());
    let address = line("public ");
    let client = client();
    let url = format!("{address}/jssdk/config?url=https%3A%2F%2Fwww.example.com%2F");
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let config = answer.text().await.unwrap();
    assert!(
        Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap()
            .success()
    );
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success());
    (config, String::from_utf8(ended.stderr).unwrap())
}

fn assert_signed(sandbox: &Sandbox, config: &str) {
    let config: serde_json::Value = serde_json::from_str(config).unwrap();
    let verdict = verdict(sandbox, &config, "https://www.example.com/");
    assert!(verdict.is_ok(), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_starts_on_a_damaged_or_foreign_file_reports_it_and_signs() {
    let sandbox = Sandbox::start(Clock::system()).await.unwrap();
    sandbox.add_app(App::official(APP, SECRET).safe_domain("example.com"));
    let whole = tempfile::tempdir().unwrap();
    serve(&sandbox, whole.path()).await;
    let bytes = std::fs::read(whole.path().join("store.redb")).unwrap();
    let foreign = b"SQLite format 3\0 and so on".repeat(200);
    for (what, content) in [
        ("torn", &bytes[..bytes.len() / 2]),
        ("foreign", &foreign),
        ("text", b"hello"),
    ] {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("store.redb"), content).unwrap();
        let (tokens, tickets) = (sandbox.calls(CLASSIC), sandbox.calls(TICKET));
        let (config, log) = serve(&sandbox, home.path()).await;
        assert_signed(&sandbox, &config);
        let called = (
            sandbox.calls(CLASSIC) - tokens,
            sandbox.calls(TICKET) - tickets,
        );
        if what == "torn" && !log.contains("moved aside") {
            // The database may find all values in the remaining half: then no call is made and the file is not moved.
            assert_eq!(called, (0, 0), "{log}");
            continue;
        }
        assert!(
            log.contains("moved aside") && log.contains("corrupt-1"),
            "{what}: {log}"
        );
        // The damaged file is kept for inspection. The database may have tried to repair one of its own files.
        let aside = std::fs::read(corrupt(&home.path().join("store.redb"))).unwrap();
        assert!(
            aside == content || what == "torn" && !aside.is_empty(),
            "{what}"
        );
        let (config, log) = serve(&sandbox, home.path()).await;
        assert_signed(&sandbox, &config);
        assert!(!log.contains("WARN"), "{what}: {log}");
        assert_eq!(
            (
                sandbox.calls(CLASSIC) - tokens,
                sandbox.calls(TICKET) - tickets
            ),
            (1, 1),
            "{what}: the restart made no call"
        );
    }
}
