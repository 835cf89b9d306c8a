//! Commands of an operator: `status`, `refresh`, `unblock`, `reload`, with their output and exit codes.

use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wx_jssdk::Clock;
use wx_jssdk::actix::KeyHash;
use wx_jssdk::sandbox::{App, Fault, FaultKind, OpenPlatform, Sandbox};

use crate::common::http;
use crate::common::program::*;

const COMPONENT: &str = "wxc0de0000000000c0";
const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
const TOKEN: &str = "/cgi-bin/stable_token";
const TICKET: &str = "/cgi-bin/ticket/getticket";
const KEY: &str = "wxk_an-operators-key-of-this-test";
const LIMITED: &str = "wxk_a-key-for-one-account";

/// `serve` with the account `shop`, an operator's key and a limited key.
struct World {
    sandbox: Sandbox,
    home: tempfile::TempDir,
    running: Running,
    admin: String,
}

fn write(home: &Path, sandbox: &Sandbox, more: &str) {
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n
        [[server.api_keys]]\nname = \"operator\"\nsha256 = \"{}\"\n
        [[server.api_keys]]\nname = \"limited\"\nsha256 = \"{}\"\naccounts = [\"shop\"]\n
        [store]\nkind = \"memory\"\n[upstream]\nweixin = \"{}\"\n[account_defaults]\njs_safe_domains = [\"example.com\"]\n
        [accounts.shop]\napp_id = \"wx0000000000000001\"\nsecret = \"{SECRET}\"\n{more}",
        KeyHash::of(KEY),
        KeyHash::of(LIMITED),
        sandbox.url()
    );
    std::fs::write(home.join("wx-jssdk.toml"), text).unwrap();
}

impl World {
    async fn start(errcode: Option<i64>) -> Self {
        let fault = |errcode| Fault::always(TOKEN, FaultKind::Errcode(errcode));
        Self::start_with(errcode.map(fault)).await
    }

    /// Starts with this fault, which lasts.
    async fn start_with(fault: Option<Fault>) -> Self {
        let sandbox = Sandbox::start(Clock::shifted()).await.unwrap();
        sandbox.add_app(App::official("wx0000000000000001", SECRET).safe_domain("example.com"));
        sandbox.add_app(App::official("wx0000000000000002", SECRET).safe_domain("example.com"));
        let first = match fault {
            Some(_) => "refresh failed",
            None => "kind=jsapi_ticket",
        };
        if let Some(fault) = fault {
            sandbox.fault(fault);
        }
        let home = tempfile::tempdir().unwrap();
        write(home.path(), &sandbox, "");
        let mut running = Running::start(command(home.path(), &["serve"]));
        let admin = running.line("admin").await;
        running.log_line(first).await;
        Self {
            sandbox,
            home,
            running,
            admin,
        }
    }

    /// Runs a command with this key.
    async fn run_with(&self, key: &str, arguments: &[&str]) -> Ended {
        let mut command = command(self.home.path(), arguments);
        command
            .args(["--server", &self.admin])
            .env("WX_JSSDK_API_KEY", key);
        run_command(command).await
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(KEY, arguments).await
    }
}

#[tokio::test]
async fn status_is_a_table_or_json_and_its_exit_code_says_whether_something_is_down() {
    let world = World::start(None).await;
    let ended = world.run_with("", &["status"]).await;
    assert_eq!(ended.code, 0, "no key is needed: {}", ended.stderr);
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(lines[1], "1 account: 0 down, 0 degraded, 0 starting, 1 ok");
    assert!(
        lines[3].starts_with("ACCOUNT  HEALTH  SERVED UNTIL"),
        "{}",
        ended.stdout
    );
    assert!(
        lines[4].starts_with("shop     ok      20"),
        "{}",
        ended.stdout
    );
    let ended = world.run(&["status", "--account", "shop", "--json"]).await;
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (ended.code, &report["accounts"][0]["account"]),
        (0, &"shop".into())
    );
    let ended = world.run(&["status", "--account", "nobody"]).await;
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(is_bilingual(&ended.stderr), "{}", ended.stderr);
    world.running.stop().await;
    let mut command = command(world.home.path(), &["status", "--server", &world.admin]);
    command.env("WX_JSSDK_API_KEY", KEY);
    let ended = run_command(command).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (3, ""),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn status_that_is_watched_ends_when_its_output_is_closed() {
    let world = World::start(None).await;
    let script = format!("\"$0\" status --watch --server {} | head -1", world.admin);
    let mut shell = tokio::process::Command::new("/bin/sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_wx-jssdk")]);
    let ended = run_command(shell).await;
    assert!(
        ended.code == 0 && ended.stdout.contains("wx-jssdk"),
        "{ended:?}"
    );
}

/// Answers one request with a document of `/status.json` of this many bytes, and more.
async fn answering_with(bytes: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let body = format!(
        r#"{{"summary":{{"down":0}},"more":"{}"}}"#,
        "x".repeat(bytes)
    );
    let answer = http::answer("200 OK", "", &body);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 16]).await.unwrap();
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.read(&mut [0; 1_024]).await;
    });
    format!("http://{address}")
}

#[tokio::test]
async fn an_answer_of_megabytes_is_read_and_one_beyond_the_limit_is_named() {
    const MIB: usize = 1_024 * 1_024;
    let long = answering_with(7 * MIB).await;
    let ended = run(&["status", "--json", "--server", &long]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(ended.stdout.len() > 7 * MIB);
    let longer = answering_with(8 * MIB).await;
    let ended = run(&["status", "--server", &longer]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (3, ""));
    assert!(
        ended.stderr.contains("longer than 8 MiB") && ended.stderr.contains("--limit"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_down_account_is_exit_code_1_with_cause_fix_and_ip() {
    let world = World::start(Some(40_164)).await;
    let ended = world.run(&["status"]).await;
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    for part in ["1 down", "40164 for", "    IP: ", "白名单"] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    world.sandbox.clear_faults();
    let ended = world.run(&["refresh", "shop", "access_token"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let done = "shop access_token: refreshed";
    assert!(ended.stdout.contains(done), "{}", ended.stdout);
    let refused = world.run(&["refresh", "shop", "token"]).await;
    assert_eq!(
        (refused.code, refused.stdout.as_str()),
        (1, ""),
        "at most one in 30 s"
    );
    assert!(
        refused.stderr.contains("rate_limited"),
        "{}",
        refused.stderr
    );
    assert!(is_bilingual(&refused.stderr), "{}", refused.stderr);
    let ended = world
        .run_with(LIMITED, &["refresh", "other", "jsapi"])
        .await;
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let ended = world.run(&["refresh", "shop", "tocken"]).await;
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    world.running.stop().await;
}

#[tokio::test]
async fn unblock_retries_only_credentials_that_wait_for_a_quota() {
    let world = World::start(Some(45_009)).await;
    world.sandbox.clear_faults();
    let ended = world.run(&["unblock", "shop"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stdout.contains("shop access_token: refreshed"),
        "{}",
        ended.stdout
    );
    let calls = world.sandbox.calls(TOKEN);
    let ended = world.run(&["unblock", "shop"]).await;
    assert_eq!(
        (ended.code, world.sandbox.calls(TOKEN)),
        (0, calls),
        "{}",
        ended.stderr
    );
    assert!(ended.stdout.contains("nothing waits"), "{}", ended.stdout);
    let ended = world.run(&["unblock", "nobody"]).await;
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    world.running.stop().await;
}

#[tokio::test]
async fn unblock_ends_the_wait_after_an_administrators_refusal() {
    for errcode in [89_506, 89_507] {
        let world = World::start(Some(errcode)).await;
        world.sandbox.clear_faults();
        let ended = world.run(&["unblock", "shop"]).await;
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(
            ended.stdout.contains("shop access_token: refreshed"),
            "{}",
            ended.stdout
        );
        world.running.stop().await;
    }
}

#[tokio::test]
async fn unblock_is_refused_while_the_quota_is_exhausted() {
    let world = World::start(Some(45_009)).await;
    let refused = world.run(&["unblock", "shop"]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert!(
        refused.stderr.contains("upstream_quota"),
        "{}",
        refused.stderr
    );
    assert!(is_bilingual(&refused.stderr), "{}", refused.stderr);
    world.running.stop().await;
}

#[tokio::test]
async fn unblock_tries_every_credential_although_one_is_refused() {
    let exhausted = |path| Fault::always(path, FaultKind::Errcode(45_009));
    let world = World::start_with(Some(exhausted(TICKET))).await;
    world.sandbox.fault(exhausted(TOKEN));
    let ended = world.run(&["refresh", "shop", "token"]).await;
    assert_eq!(ended.code, 1, "precondition: {}", ended.stderr);
    world.sandbox.clear_faults();
    world.sandbox.fault(exhausted(TOKEN));
    let ended = world.run(&["unblock", "shop"]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("access_token"), "{}", ended.stderr);
    let refreshed = "shop jsapi_ticket: ";
    assert!(ended.stdout.contains(refreshed), "{ended:?}");
    world.running.stop().await;
}

#[tokio::test]
async fn unblock_of_a_platform_refreshes_its_token_even_if_it_does_not_wait() {
    let world = World::start(None).await;
    let public = world.running.printed("public");
    let platform = OpenPlatform::new(COMPONENT, SECRET)
        .with_push_url(format!("{public}/platforms/agency/events"));
    let section = format!(
        "[platforms.agency]\ncomponent_appid = \"{COMPONENT}\"\nsecret = \"{SECRET}\"\n\
         push_token = \"{}\"\naes_key = \"{}\"\njs_safe_domains = [\"example.com\"]\n",
        platform.push_token(),
        platform.encoding_aes_key()
    );
    world.sandbox.add_platform(platform);
    write(world.home.path(), &world.sandbox, &section);
    let reloaded = world.run(&["reload"]).await;
    assert_eq!(reloaded.code, 0, "{}", reloaded.stderr);
    let counted = "applied: 2 accounts, 1 added, 0 removed";
    assert!(reloaded.stdout.starts_with(counted), "{reloaded:?}");
    let checked = run_in(world.home.path(), &["check", "--offline"]).await;
    let counted = "configuration: ok, 2 accounts";
    assert!(checked.stdout.starts_with(counted), "{checked:?}");
    let pushed = world.sandbox.push_ticket(COMPONENT).await;
    assert!(pushed.is_success(), "{pushed:?}");
    let ended = world.run(&["unblock", "agency"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let refreshed = "agency access_token: ";
    assert!(ended.stdout.starts_with(refreshed), "{}", ended.stdout);
    world.running.stop().await;
}

#[tokio::test]
async fn commands_reach_a_server_whose_present_configuration_is_refused() {
    let world = World::start(None).await;
    let admin = world.admin.strip_prefix("http://").unwrap();
    let mistakes = format!(
        "nonsense = 1\n[server]\nadmin_listen = \"{admin}\"\n[accounts.shop]\nsecret_file = \"./nowhere\"\n"
    );
    let file = world.home.path().join("wx-jssdk.toml");
    for (text, listen) in [(mistakes.as_str(), ""), ("[server\n", admin)] {
        std::fs::write(&file, text).unwrap();
        for (arguments, code) in [
            (&["reload"][..], 1),
            (&["status"], 0),
            (&["token", "shop"], 0),
        ] {
            let mut command = command(world.home.path(), arguments);
            command.env("WX_JSSDK_API_KEY", KEY);
            if !listen.is_empty() {
                command.env("WX_JSSDK__SERVER__ADMIN_LISTEN", listen);
            }
            let ended = run_command(command).await;
            assert_eq!(ended.code, code, "{arguments:?} {text}: {}", ended.stderr);
            let is_refused = ended.stderr.contains("refused, the previous configuration");
            assert_eq!(is_refused, code == 1, "{arguments:?}: {}", ended.stderr);
        }
    }
    world.running.stop().await;
}

#[tokio::test]
async fn reload_says_how_many_mistakes_it_does_not_show() {
    let world = World::start(None).await;
    let mistakes: String = (0..23).map(|n| format!("nonsense{n} = 1\n")).collect();
    write(world.home.path(), &world.sandbox, &mistakes);
    let ended = world.run(&["reload"]).await;
    assert_eq!(ended.stderr.matches("unknown setting").count(), 20);
    assert!(ended.stderr.contains("and 3 more: "), "{}", ended.stderr);
    world.running.stop().await;
}

#[tokio::test]
async fn reload_says_what_changed_or_every_mistake() {
    let world = World::start(None).await;
    let second =
        format!("[accounts.blog]\napp_id = \"wx0000000000000002\"\nsecret = \"{SECRET}\"\n");
    write(world.home.path(), &world.sandbox, &second);
    let ended = world.run_with(LIMITED, &["reload"]).await;
    assert_eq!(ended.code, 1, "a key for one account: {}", ended.stdout);
    assert!(ended.stderr.contains("forbidden"), "{}", ended.stderr);
    let ended = world.run(&["reload"]).await;
    assert_eq!(
        ended.code, 1,
        "two accounts sign, and none is the default: {}",
        ended.stdout
    );
    assert!(
        ended.stderr.contains("server.default_account"),
        "{}",
        ended.stderr
    );
    assert!(is_bilingual(&ended.stderr), "{}", ended.stderr);
    let mini = second.replace("app_id", "platform = \"mini\"\napp_id");
    write(world.home.path(), &world.sandbox, &mini);
    let ended = world.run(&["reload"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended
            .stdout
            .starts_with("applied: 2 accounts, 1 added, 0 removed"),
        "{}",
        ended.stdout
    );
    write(
        world.home.path(),
        &world.sandbox,
        "nonsense = 1\n[gateway]\ntimeout_ms = \"x\"\n",
    );
    let ended = world.run(&["reload", "--json"]).await;
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (ended.code, &answer["outcome"], &answer["count"]),
        (1, &"refused".into(), &2.into())
    );
    world.running.stop().await;
}
