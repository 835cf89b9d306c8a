//! `serve` and `sandbox`: from the start to the end of the process.

use std::net::UdpSocket;
use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use wx_jssdk::clock::Clock;
use wx_jssdk::sandbox::{App, Sandbox};

use crate::common::http;
use crate::common::program::*;
use crate::common::tls::TlsCertificate;
use crate::common::upstream::signature;
use crate::common::wait::{called, until};

const PAGE: &str = "/jssdk/config?url=https%3A%2F%2Fdemo.example.com%2Fpage%3Fa%3D1%26b%3D2%23x";

/// Starts `serve --sandbox` on free ports. Returns the base URLs of the service and the sandbox.
pub(crate) async fn serve_sandbox(home: &Path, level: &str) -> (Running, String, String) {
    let mut command = serve_sandbox_command(home);
    command
        .env("WX_JSSDK__LOG__LEVEL", level)
        .env("RUST_LOG", "trace");
    let mut running = Running::start(command);
    let (public, sandbox) = (running.line("public").await, running.line("sandbox").await);
    running.line("api key").await;
    (running, public, sandbox)
}

async fn jsapi_ticket(sandbox: &str) -> Option<String> {
    demo_app(sandbox).await["tickets"]["jsapi"]["value"]
        .as_str()
        .map(str::to_owned)
}

/// The sandbox's state of the official demo account.
pub(crate) async fn demo_app(sandbox: &str) -> Value {
    let state = get_json(&format!("{sandbox}/sandbox/state")).await;
    state["apps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|app| app["app_id"] == APP)
        .expect("the demo account")
        .clone()
}

fn signature_with(ticket: &str, config: &Value) -> String {
    let text = |name: &str| config[name].as_str().unwrap();
    signature(ticket, text("nonceStr"), &config["timestamp"], text("url"))
}

#[tokio::test]
async fn serve_sandbox_answers_with_the_signature_over_the_sandboxs_ticket() {
    let home = tempfile::tempdir().unwrap();
    let (running, public, sandbox) = serve_sandbox(home.path(), "info").await;
    let config = get_json(&format!("{public}{PAGE}")).await;
    assert_eq!(config["url"], "https://demo.example.com/page?a=1&b=2");
    let ticket = jsapi_ticket(&sandbox).await.expect("a ticket");
    assert_eq!(
        config["signature"].as_str().unwrap(),
        signature_with(&ticket, &config)
    );
    let (status, page) = get(&format!("{public}/")).await;
    assert!(status == 200 && page.contains("jweixin"), "{status} {page}");
    assert_eq!(
        get(&format!("{public}/healthz")).await,
        (200, r#"{"status":"ok"}"#.to_owned())
    );
    let address = public.strip_prefix("http://").unwrap();
    assert_eq!(run(&["healthcheck", "--address", address]).await.code, 0);
    let ended = running.stop().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stdout.contains(&format!("curl '{public}{PAGE}'")),
        "{}",
        ended.stdout
    );
    assert_eq!(
        std::fs::read_dir(home.path()).unwrap().count(),
        0,
        "the sandbox touches no file"
    );
}

/// Removes what differs between starts: ports and the API key.
fn comparable(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.trim().split_inclusive([' ', '\n', '\'']) {
        let port = word.find("127.0.0.1:").map(|at| at + "127.0.0.1:".len());
        words.push(match (word.find("wxk_"), port) {
            (Some(at), _) => format!("{}KEY{}", &word[..at], &word[word.len() - 1..]),
            (_, Some(at)) => format!(
                "{}PORT{}",
                &word[..at],
                word[at..].trim_start_matches(|c: char| c.is_ascii_digit())
            ),
            _ => word.to_owned(),
        });
    }
    words.concat()
}

#[tokio::test]
async fn the_readmes_show_what_serve_sandbox_prints() {
    let home = tempfile::tempdir().unwrap();
    let (running, ..) = serve_sandbox(home.path(), "info").await;
    let printed = running.stop().await.stdout;
    for readme in ["README.md", "README.zh-CN.md"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(readme));
        let text = text.unwrap();
        let shown = text.split("```text\n").nth(1).unwrap();
        let shown = shown.split("```").next().unwrap();
        assert_eq!(comparable(shown), comparable(&printed), "{readme}");
    }
}

#[tokio::test]
async fn serve_says_what_to_open_and_to_call_next() {
    let home = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(Clock::system()).await.unwrap();
    let (mut running, public) = serve_on(&sandbox, home.path(), "info").await;
    let admin = running.line("admin").await;
    let printed = running.stop().await.stdout;
    for line in [
        format!("See the status page · 查看运行状态: {admin}/status"),
        format!("Read the HTTP API · 查看接口文档:   {admin}/docs"),
        format!("  curl '{public}/jssdk/config?url=https%3A%2F%2Fexample.com%2F'"),
    ] {
        assert!(
            printed.lines().any(|shown| shown == line),
            "{line}: {printed}"
        );
    }
    assert!(!printed.contains("/demo"), "it is off: {printed}");
}

#[tokio::test]
async fn serve_suggests_a_signature_of_an_account_that_signs_pages() {
    let home = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(Clock::system()).await.unwrap();
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[store]\nkind = \"memory\"\n
        [upstream]\nweixin = \"{0}\"\nqyapi = \"{0}\"\n[account_defaults]\njs_safe_domains = [\"example.com\"]\n
        [accounts.applet]\nplatform = \"mini\"\napp_id = \"wx1\"\nsecret = \"{SECRET}\"\n
        [accounts.shop]\napp_id = \"{APP}\"\nsecret = \"{SECRET}\"\n",
        sandbox.url()
    );
    std::fs::write(home.path().join("wx-jssdk.toml"), text).unwrap();
    let mut running = Running::start(command(home.path(), &["serve"]));
    running.line("public").await;
    let printed = running.stop().await.stdout;
    let query = "config?url=https%3A%2F%2Fexample.com%2F&account=shop'";
    assert!(printed.contains(query), "{printed}");
}

#[tokio::test]
async fn the_address_for_phones_is_that_of_the_public_listener() {
    let elsewhere = UdpSocket::bind("0.0.0.0:0").unwrap();
    // Without a network, a phone cannot reach this machine, and no address is printed.
    let has_network = elsewhere.connect("192.0.2.1:9").is_ok();
    let ip = elsewhere.local_addr().unwrap().ip().to_string();
    let home = tempfile::tempdir().unwrap();
    let pair = home.path().join("pair.pem");
    std::fs::write(pair, TlsCertificate::new().pem()).unwrap();
    for tls in [
        "",
        "[server.tls]\ncert = \"pair.pem\"\nkey = \"pair.pem\"\n",
    ] {
        std::fs::write(home.path().join("named.toml"), tls).unwrap();
        let arguments = [
            "serve",
            "--sandbox",
            "--config=named.toml",
            "--listen=0.0.0.0:0",
            "--admin-listen=",
            "--sandbox-listen=127.0.0.1:0",
        ];
        let mut running = Running::start(command(home.path(), &arguments));
        let public = running.line("public").await;
        let printed = running.stop().await.stdout;
        let phone = format!(
            "On a phone in the same network · 同一网络中的手机: {}/",
            public.replace("0.0.0.0", &ip)
        );
        assert_eq!(printed.contains(&phone), has_network, "{printed}");
        assert_eq!(printed.contains("On a phone"), has_network, "{printed}");
    }
}

/// As in the image, whose environment binds all interfaces.
#[tokio::test]
async fn what_to_open_is_on_loopback_if_the_environment_binds_all_interfaces() {
    let home = tempfile::tempdir().unwrap();
    let arguments = ["serve", "--sandbox", "--sandbox-listen=0.0.0.0:0"];
    let mut command = command(home.path(), &arguments);
    command
        .env("WX_JSSDK__SERVER__LISTEN", "0.0.0.0:0")
        .env("WX_JSSDK__SERVER__ADMIN_LISTEN", "0.0.0.0:0");
    let mut running = Running::start(command);
    let public = running.line("public").await;
    let admin = running.line("admin").await;
    let sandbox = running.line("sandbox").await;
    assert!(public.starts_with("http://0.0.0.0:"), "{public}");
    // There are no links before WeChat's first ticket.
    post(&format!("{sandbox}/sandbox/push"), r#"{"what":"ticket"}"#).await;
    let page = client().post(format!("{public}/authorize/demo-platform"));
    let page = page.send().await.unwrap().text().await.unwrap();
    let link = format!("href=\"{}/", sandbox.replace("0.0.0.0", "127.0.0.1"));
    assert!(page.contains(&link), "the simulated WeChat: {page}");
    let printed = running.stop().await.stdout;
    let here = |url: &str| url.replace("0.0.0.0", "127.0.0.1");
    for line in [
        format!("Open the demo page · 打开演示页:    {}/", here(&public)),
        format!(
            "See the status page · 查看运行状态: {}/status",
            here(&admin)
        ),
        format!("  curl '{}/jssdk/config?url=", here(&public)),
    ] {
        assert!(printed.contains(&line), "{line}: {printed}");
    }
    assert_eq!(printed.matches("0.0.0.0").count(), 2, "{printed}");
    // The IP of a container is not one for phones.
    let has_network = UdpSocket::bind("0.0.0.0:0")
        .unwrap()
        .connect("192.0.2.1:9")
        .is_ok();
    let is_container = ["/.dockerenv", "/run/.containerenv"]
        .iter()
        .any(|mark| Path::new(mark).exists());
    let shows_phones = printed.contains("On a phone");
    assert_eq!(shows_phones, has_network && !is_container, "{printed}");
}

#[tokio::test]
async fn the_service_follows_the_sandboxs_clock() {
    let home = tempfile::tempdir().unwrap();
    let (running, public, sandbox) = serve_sandbox(home.path(), "info").await;
    let before = get_json(&format!("{public}{PAGE}")).await;
    let old = jsapi_ticket(&sandbox).await.expect("a ticket");
    assert_eq!(
        before["signature"].as_str().unwrap(),
        signature_with(&old, &before)
    );
    post(
        &format!("{sandbox}/sandbox/advance"),
        r#"{"seconds":10800}"#,
    )
    .await;
    let after = get_json(&format!("{public}{PAGE}")).await;
    assert_ne!(
        after["signature"].as_str().unwrap(),
        signature_with(&old, &after),
        "an expired ticket is never served"
    );
    let new = jsapi_ticket(&sandbox).await.expect("a ticket");
    assert_eq!(
        after["signature"].as_str().unwrap(),
        signature_with(&new, &after)
    );
    assert!(after["timestamp"].as_u64().unwrap() >= before["timestamp"].as_u64().unwrap() + 10_800);
    assert_eq!(running.stop().await.code, 0);
}

#[tokio::test]
async fn serve_sandbox_ignores_a_local_file_and_reads_a_named_one() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("wx-jssdk.toml"), "this is no TOML").unwrap();
    let (running, ..) = serve_sandbox(home.path(), "info").await;
    assert_eq!(running.stop().await.code, 0);
    let text = format!(
        "server.listen = \"127.0.0.1:0\"\nserver.admin_listen = \"\"\nserver.default_account = \"main\"\naccount_defaults.js_api_list = [\"scanQRCode\"]\n
        [accounts.main]\napp_id = \"wx1\"\nsecret = \"{SECRET}\"\njs_safe_domains = [\"example.com\"]\n"
    );
    std::fs::write(home.path().join("named.toml"), text).unwrap();
    let arguments = [
        "serve",
        "--sandbox",
        "--sandbox-listen=127.0.0.1:0",
        "--config=named.toml",
        "--safe-domain=phone.test",
    ];
    let mut running = Running::start(command(home.path(), &arguments));
    let public = running.line("public").await;
    let config = get_json(&format!(
        "{public}/jssdk/config?url=http%3A%2F%2Fphone.test%2F"
    ))
    .await;
    assert_eq!(
        (&config["appId"], &config["jsApiList"][0]),
        (&Value::from(APP), &Value::from("scanQRCode"))
    );
    assert_eq!(running.stop().await.code, 0);
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_setting_and_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let free = [
        "--listen=127.0.0.1:0",
        "--admin-listen=127.0.0.1:0",
        "--sandbox-listen=127.0.0.1:0",
    ];
    for setting in ["--listen", "--admin-listen", "--sandbox-listen"] {
        let given = format!("{setting}={address}");
        let others = free.into_iter().filter(|flag| !flag.starts_with(setting));
        let arguments: Vec<_> = ["serve", "--sandbox", &given]
            .into_iter()
            .chain(others)
            .collect();
        let ended = run(&arguments).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (2, ""),
            "{}",
            ended.stderr
        );
        for word in [
            &format!("{setting}: "),
            &address,
            "Another program uses this port",
            "端口已被占用",
        ] {
            assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
        }
    }
    let ended = run(&["sandbox", "--listen", &address]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert!(
        ended.stderr.contains("--listen") && ended.stderr.contains("端口已被占用"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn an_invalid_safe_domain_is_exit_code_2() {
    let listen = [
        "serve",
        "--sandbox",
        "--listen=127.0.0.1:0",
        "--admin-listen=",
        "--sandbox-listen=127.0.0.1:0",
        "--safe-domain=http://x.com",
    ];
    let ended = run(&listen).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert!(
        ended.stderr.contains("--safe-domain") && ended.stderr.contains("remove the scheme"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn the_sandbox_alone_serves_the_app_that_it_prints() {
    const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
    let home = tempfile::tempdir().unwrap();
    let mut running = Running::start(command(
        home.path(),
        &["sandbox", "--listen", "127.0.0.1:0", "--secret", SECRET],
    ));
    let (url, id, secret) = (
        running.line("sandbox").await,
        running.line("app_id").await,
        running.line("secret").await,
    );
    assert_eq!(secret, SECRET);
    let token =
        format!("{url}/cgi-bin/token?grant_type=client_credential&appid={id}&secret={secret}");
    let answer = get_json(&token).await;
    assert_eq!(
        (
            answer["expires_in"].as_u64(),
            answer["access_token"].is_string()
        ),
        (Some(7_200), true),
        "{answer}"
    );
    assert_eq!(
        get_json(&format!("{url}/sandbox/state")).await["calls"]["/cgi-bin/token"],
        1
    );
    assert_eq!(running.stop().await.code, 0);
}

/// `serve` on a simulated WeChat of this process, with a stable, a classic and a broken account.
async fn serve_on(sandbox: &Sandbox, home: &Path, level: &str) -> (Running, String) {
    for (id, secret) in ACCOUNTS {
        sandbox.add_app(App::official(id, secret).safe_domain("example.com"));
    }
    let [(a, a_secret), (b, b_secret)] = ACCOUNTS;
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nshutdown_seconds = 300\ndefault_account = \"main\"\n[store]\nkind = \"memory\"\n
        [upstream]\nweixin = \"{0}\"\nqyapi = \"{0}\"\ntimeout_ms = 30000\n[account_defaults]\njs_safe_domains = [\"example.com\"]\n
        [accounts.main]\napp_id = \"{a}\"\nsecret = \"{a_secret}\"\n
        [accounts.classic]\napp_id = \"{b}\"\nsecret = \"{b_secret}\"\ntoken_mode = \"classic\"\n
        [accounts.broken]\napp_id = \"wx00000000000000ff\"\nsecret = \"{WRONG_SECRET}\"\ntoken_mode = \"classic\"\n",
        sandbox.url()
    );
    std::fs::write(home.join("wx-jssdk.toml"), text).unwrap();
    let mut command = command(home, &["serve"]);
    command
        .env("WX_JSSDK__LOG__LEVEL", level)
        .env("RUST_LOG", "trace");
    let mut running = Running::start(command);
    let public = running.line("public").await;
    (running, public)
}

/// The secret of an app that WeChat does not know.
const WRONG_SECRET: &str = "deadbeefdeadbeefdeadbeefdeadbeef";

const ACCOUNTS: [(&str, &str); 2] = [
    (APP, SECRET),
    ("wxfedcba9876543210", "9f8e7d6c5b4a39281706f5e4d3c2b1a0"),
];

#[tokio::test]
async fn sigterm_refuses_new_connections_finishes_open_requests_and_exits_with_0() {
    let (sandbox, home) = (
        Sandbox::start(Clock::shifted()).await.unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let gate = sandbox.hold("/cgi-bin/ticket/getticket");
    let (running, public) = serve_on(&sandbox, home.path(), "info").await;
    let address = public.strip_prefix("http://").unwrap();
    // A browser's idle connection must not delay the shutdown.
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(http::get("/healthz").text().as_bytes())
        .await
        .unwrap();
    assert!(idle.read(&mut [0; 1_024]).await.unwrap() > 0);
    // Two requests in one packet: once the first is answered, the second has been read and waits for the ticket.
    let mut stream = TcpStream::connect(address).await.unwrap();
    let page = http::get("/jssdk/config?url=https%3A%2F%2Fexample.com%2F").close();
    stream
        .write_all((http::get("/healthz").text() + &page.text()).as_bytes())
        .await
        .unwrap();
    let mut first = [0; 1_024];
    let length = stream.read(&mut first).await.unwrap();
    assert!(first[..length].ends_with(br#"{"status":"ok"}"#));
    called(&sandbox, "/cgi-bin/ticket/getticket", 1).await;
    running.terminate().await;
    let is_refused = async || TcpStream::connect(address).await.is_err();
    until("new connections are refused", is_refused).await;
    assert_eq!(
        stream.try_read(&mut [0; 1]).unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock,
        "no answer and no end yet"
    );
    gate.release();
    let mut answer = String::new();
    timeout(BOUND, stream.read_to_string(&mut answer))
        .await
        .expect("an answer")
        .unwrap();
    assert!(answer.starts_with(http::OK), "{answer}");
    let config: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let ticket = sandbox.ticket(APP, "jsapi").unwrap();
    assert_eq!(
        config["signature"].as_str().unwrap(),
        signature_with(&ticket, &config)
    );
    let ended = timeout(BOUND, running.ended())
        .await
        .expect("it ends soon after its last answer");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[tokio::test]
async fn no_secret_token_or_ticket_is_printed_even_at_trace() {
    let (sandbox, home) = (
        Sandbox::start(Clock::shifted()).await.unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let (running, public) = serve_on(&sandbox, home.path(), "trace").await;
    let mut bodies = String::new();
    for account in ["main", "classic", "broken", "nobody"] {
        bodies += &get(&format!(
            "{public}/jssdk/config?url=https%3A%2F%2Fexample.com%2F&account={account}"
        ))
        .await
        .1;
    }
    bodies += &get(&format!(
        "{public}/jssdk/config?url=https%3A%2F%2Fevil.com%2F"
    ))
    .await
    .1;
    assert!(
        bodies.contains("account_misconfigured"),
        "WeChat refuses the broken account: {bodies}"
    );
    let mut values: Vec<String> = ACCOUNTS
        .iter()
        .map(|(_, secret)| (*secret).to_owned())
        .collect();
    values.push(WRONG_SECRET.to_owned());
    for app in sandbox.state().apps {
        values.extend(
            [app.tokens.stable.current, app.tokens.classic.current]
                .into_iter()
                .flatten(),
        );
        values.extend(app.tickets.into_values().map(|ticket| ticket.value));
    }
    assert!(values.len() >= 7, "three secrets, two tokens, two tickets");
    let ended = running.stop().await;
    assert!(
        ended.stderr.contains("TRACE") && ended.stderr.len() > 1_000,
        "it does log at trace: {}",
        ended.stderr
    );
    for value in values {
        assert!(
            !ended.stderr.contains(&value) && !ended.stdout.contains(&value),
            "{value} in {}",
            ended.stderr
        );
        assert!(!bodies.contains(&value));
    }
}

#[tokio::test]
async fn the_simulated_service_prints_no_secret_at_trace_either() {
    let home = tempfile::tempdir().unwrap();
    let (running, public, sandbox) = serve_sandbox(home.path(), "trace").await;
    get_json(&format!("{public}{PAGE}")).await;
    let app = demo_app(&sandbox).await;
    let values = [
        &app["secret"],
        &app["tokens"]["stable"]["current"],
        &app["tickets"]["jsapi"]["value"],
    ]
    .map(|v| v.as_str().unwrap());
    let ended = running.stop().await;
    assert_eq!(ended.code, 0);
    for value in values {
        assert!(
            !ended.stderr.contains(value) && !ended.stdout.contains(value),
            "{value} in {}",
            ended.stderr
        );
    }
}

/// A service whose log is a pipe that nothing reads.
struct Unread {
    child: Child,
    printed: String,
}

impl Unread {
    async fn start(home: &Path, requests: &str) -> Self {
        let mut command = serve_sandbox_command(home);
        command.env("WX_JSSDK__LOG__REQUESTS", requests);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut printed = String::new();
        while !printed.contains("api key") {
            let line = timeout(BOUND, lines.next_line())
                .await
                .expect("a line in time")
                .unwrap()
                .expect("a line");
            printed += &format!("{line}\n");
        }
        Self { child, printed }
    }

    fn said(&self, name: &str) -> String {
        let line = self
            .printed
            .lines()
            .find_map(|line| line.strip_prefix(name));
        line.expect(name).trim().to_owned()
    }

    /// It ends at SIGTERM, as usual.
    async fn ends(mut self) {
        let pid = self.child.id().unwrap().to_string();
        let killed = Command::new("kill").arg(pid).status().await.unwrap();
        assert!(killed.success());
        let ended = timeout(BOUND, self.child.wait()).await.expect("it ends");
        assert_eq!(ended.unwrap().code(), Some(0));
    }
}

#[tokio::test]
async fn a_log_that_is_no_longer_read_blocks_no_refresh() {
    let home = tempfile::tempdir().unwrap();
    let mut service = Unread::start(home.path(), "failed").await;
    let [public, admin, sandbox, key] =
        ["public", "admin", "sandbox", "api key"].map(|name| service.said(name));
    // As if the log collector had died.
    drop(service.child.stderr.take());
    for _ in 0..3 {
        let config = get_json(&format!("{public}{PAGE}")).await;
        let ticket = jsapi_ticket(&sandbox).await.expect("a ticket");
        assert_eq!(
            config["signature"].as_str().unwrap(),
            signature_with(&ticket, &config)
        );
        let token = client()
            .get(format!("{admin}/credentials/demo/access_token"))
            .bearer_auth(&key)
            .send()
            .await;
        assert_eq!(token.unwrap().status(), 200);
        assert_eq!(get(&format!("{admin}/readyz")).await.0, 200);
        post(&format!("{sandbox}/sandbox/advance"), r#"{"seconds":7300}"#).await;
    }
    service.ends().await;
}

#[tokio::test]
async fn a_log_whose_reader_stands_still_delays_no_request_and_loses_lines() {
    let home = tempfile::tempdir().unwrap();
    let mut service = Unread::start(home.path(), "all").await;
    let (page, client) = (format!("{}{PAGE}", service.said("public")), client());
    let ask = async |times: u32| {
        for _ in 0..times {
            // The longest id, so that few requests fill the pipe and what the service holds.
            let request = client.get(&page).header("X-Request-Id", "i".repeat(64));
            assert_eq!(request.send().await.unwrap().status(), 200);
        }
    };
    let metrics = format!("{}/metrics", service.said("admin"));
    let losing = async || {
        ask(100).await;
        let metrics = get(&metrics).await.1;
        metrics.contains("wx_jssdk_log_lines_lost_total ")
            && !metrics.contains("lines_lost_total 0\n")
    };
    until("it loses lines", losing).await;

    let mut log = BufReader::new(service.child.stderr.take().unwrap()).lines();
    let read_on = async {
        while let Some(line) = log.next_line().await.unwrap() {
            if line.contains("log lines were lost") {
                return line;
            }
        }
        panic!("it ended without a word about lost lines");
    };
    let line = timeout(BOUND, read_on).await.expect("the line comes");
    assert!(
        line.contains("level=WARN") && line.contains(" lost="),
        "{line}"
    );

    ask(600).await;
    service.ends().await;
}

#[tokio::test]
async fn a_start_that_stands_still_ends_at_sigterm() {
    let home = tempfile::tempdir().unwrap();
    let mut mkfifo = Command::new("mkfifo");
    mkfifo.arg(home.path().join("wx-jssdk.toml"));
    assert!(mkfifo.status().await.unwrap().success());
    let mut command = command(home.path(), &["serve", "--config", "wx-jssdk.toml"]);
    let child = command.spawn().unwrap();
    let pid = child.id().unwrap();
    // It reads a configuration that never comes.
    until("it has its signals", async || has_handler(pid, SIGTERM)).await;
    let killed = Command::new("kill").arg(pid.to_string()).status().await;
    assert!(killed.unwrap().success());
    let ended = timeout(BOUND, child.wait_with_output()).await;
    let ended = Ended::from(ended.expect("it ends").unwrap());
    let reason = "wx-jssdk: shutdown timed out";
    assert!(
        ended.code == 1 && ended.stderr.starts_with(reason),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_start_that_is_refused_a_thread_says_which_limits_to_raise() {
    let home = tempfile::tempdir().unwrap();
    let mut command = serve_sandbox_command(home.path());
    // No system has room for such a thread.
    command.env("RUST_MIN_STACK", isize::MAX.to_string());
    let ended = run_command(command).await;
    assert!(
        ended.code == 2 && ended.stderr.contains("TasksMax"),
        "{ended:?}"
    );
}

/// Whether the process has a handler for this signal.
fn has_handler(pid: u32, signal: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
    caught & (1 << (signal - 1)) != 0
}

const SIGTERM: u32 = 15;
