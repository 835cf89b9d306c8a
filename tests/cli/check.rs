//! `check` against a simulated WeChat: its output for the operator.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use wx_jssdk::account::Account;
use wx_jssdk::clock::{Clock, UnixTime};
use wx_jssdk::sandbox::{App, Fault, FaultKind, OpenPlatform, Sandbox};
use wx_jssdk::store::Store;

use crate::common::program::*;

const OTHER: &str = "wxfedcba9876543210";
const OTHER_SECRET: &str = "9f8e7d6c5b4a39281706f5e4d3c2b1a0";

fn app() -> App {
    App::official(APP, SECRET).safe_domain("example.com")
}

async fn sandbox_with(app: App) -> Sandbox {
    let sandbox = Sandbox::start(Clock::manual(UnixTime(1_700_000_000)))
        .await
        .unwrap();
    sandbox.add_app(app);
    sandbox
}

fn account(name: &str, id: &str, secret: &str) -> String {
    format!(
        "[accounts.{name}]\napp_id = \"{id}\"\nsecret = \"{secret}\"\njs_safe_domains = [\"example.com\"]\n"
    )
}

fn write(home: &Path, url: &str, accounts: &str) {
    let text = format!(
        "[upstream]\nweixin = \"{url}\"\nqyapi = \"{url}\"\ntimeout_ms = 20000\n{accounts}"
    );
    let file = home.join("wx-jssdk.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
}

/// Runs `check` with these accounts at trace level; no secret may be printed.
async fn check(sandbox: &Sandbox, accounts: &str) -> Ended {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), sandbox.url(), accounts);
    let mut command = command(home.path(), &["check"]);
    command
        .env("WX_JSSDK__LOG__LEVEL", "trace")
        .env("RUST_LOG", "trace");
    let ended = run_command(command).await;
    let printed = format!("{}{}", ended.stdout, ended.stderr);
    for app in sandbox.state().apps {
        let tokens = [app.tokens.stable.current, app.tokens.classic.current]
            .into_iter()
            .flatten();
        let values = tokens
            .chain(app.tickets.into_values().map(|ticket| ticket.value))
            .chain([app.secret]);
        values.for_each(|value| assert!(!printed.contains(&value), "{printed}"));
    }
    assert!(
        !printed.contains(SECRET) && !printed.contains(OTHER_SECRET),
        "{printed}"
    );
    ended
}

#[tokio::test]
async fn an_account_that_wechat_accepts_is_ok() {
    let sandbox = sandbox_with(app()).await;
    let ended = check(&sandbox, &account("main", APP, SECRET)).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(
        ended
            .stdout
            .contains(&format!("main: ok, WeChat accepts {APP} · 微信验证通过")),
        "{}",
        ended.stdout
    );
    assert_eq!(
        (
            sandbox.calls("/cgi-bin/stable_token"),
            sandbox.calls("/cgi-bin/ticket/getticket")
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn only_a_token_is_fetched_for_a_mini_program() {
    let sandbox = sandbox_with(App::mini(APP, SECRET)).await;
    let ended = check(
        &sandbox,
        &format!("{}platform = \"mini\"\n", account("main", APP, SECRET)),
    )
    .await;
    assert_eq!(ended.code, 0, "{}", ended.stdout);
    assert_eq!(
        (
            sandbox.calls_total(),
            sandbox.calls("/cgi-bin/stable_token")
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn offline_makes_no_upstream_call() {
    let sandbox = sandbox_with(app()).await;
    let home = tempfile::tempdir().unwrap();
    write(
        home.path(),
        sandbox.url(),
        &account("main", APP, &SECRET.replace('0', "1")),
    );
    let ended = run_in(home.path(), &["check", "--offline"]).await;
    assert_eq!((ended.code, sandbox.calls_total()), (0, 0));
    assert_eq!(
        ended.stdout,
        "configuration: ok, 1 account · 配置正确，共 1 个账号\n"
    );
}

#[tokio::test]
async fn probable_mistakes_are_warned_about_and_the_check_succeeds() {
    let home = tempfile::tempdir().unwrap();
    let text = format!(
        "{}js_api_list = [\"chooseImge\"]\n",
        account("main", "wx1", "short")
    );
    std::fs::write(home.path().join("wx-jssdk.toml"), text).unwrap();
    std::fs::set_permissions(
        home.path().join("wx-jssdk.toml"),
        Permissions::from_mode(0o644),
    )
    .unwrap();
    let ended = run_in(home.path(), &["check", "--offline"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let warned: Vec<_> = ended
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("warning: ")?.split(": ").next())
        .collect();
    assert_eq!(
        warned,
        [
            "wx-jssdk.toml",
            "accounts.main.app_id",
            "accounts.main.secret",
            "accounts.main.js_api_list"
        ],
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("did you mean chooseImage?"),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("是否想写 chooseImage？"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn several_signing_accounts_without_a_default_are_pointed_out() {
    let mini = format!("{}platform = \"mini\"\n", account("applet", OTHER, SECRET));
    let shop = account("shop", "wx2222222222222222", SECRET);
    let main = account("main", APP, SECRET);
    for (accounts, is_noted) in [
        (format!("{main}{mini}"), false),
        (format!("{main}{mini}{shop}"), true),
        (
            format!("server.default_account = \"shop\"\n{main}{mini}{shop}"),
            false,
        ),
    ] {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("wx-jssdk.toml"), &accounts).unwrap();
        let ended = run_in(home.path(), &["check", "--offline"]).await;
        assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
        let noted = ended.stdout.contains("server.default_account")
            && ended.stdout.contains("(main, shop)");
        assert_eq!(noted, is_noted, "{}", ended.stdout);
        assert_eq!(
            ended.stdout.contains("note: "),
            is_noted,
            "{}",
            ended.stdout
        );
    }
}

#[tokio::test]
async fn check_never_retires_the_token_of_a_running_classic_server() {
    let sandbox = sandbox_with(app()).await;
    let token = sandbox.foreign_refresh(APP, wx_jssdk::sandbox::Mode::Classic);
    let ended = check(
        &sandbox,
        &format!("{}token_mode = \"classic\"\n", account("main", APP, SECRET)),
    )
    .await;
    assert_eq!(ended.code, 0, "{}", ended.stdout);
    assert_eq!(sandbox.calls("/cgi-bin/token"), 0);
    assert_eq!(
        sandbox.token(APP, wx_jssdk::sandbox::Mode::Classic),
        Some(token)
    );
}

/// The four lines about one account: the error, cause and fix, in both languages.
fn explained(ended: &Ended, name: &str, what: &str) -> String {
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    let (_, about) = ended
        .stdout
        .split_once(&format!("\n{name}: "))
        .unwrap_or_else(|| panic!("no {name} in {}", ended.stdout));
    let lines: Vec<_> = about.lines().take(5).collect();
    assert!(lines[0].contains(what), "{about}");
    for (line, lead) in
        lines[1..]
            .iter()
            .zip(["    cause: ", "    fix:   ", "    原因：", "    解决："])
    {
        assert!(
            line.starts_with(lead) && line.trim().len() > lead.trim().len() + 3,
            "{about}"
        );
    }
    lines.join("\n")
}

#[tokio::test]
async fn every_setup_fault_is_explained_with_cause_and_fix_in_both_languages() {
    let allowed_elsewhere = app()
        .allow_ips(["10.0.0.1"])
        .caller_ip("106.41.36.218".parse().unwrap());
    for (errcode, app, id, secret) in [
        (40013, app(), "wx00000000000000ff", SECRET),
        (40125, app(), APP, OTHER_SECRET),
        (40164, allowed_elsewhere, APP, SECRET),
        (40243, app().frozen_secret(true), APP, SECRET),
        (50004, app().punished(true), APP, SECRET),
        (50007, app().frozen(true), APP, SECRET),
        (89503, app().awaiting_admin(true), APP, SECRET),
    ] {
        let sandbox = sandbox_with(app).await;
        let ended = check(&sandbox, &account("main", id, secret)).await;
        let about = explained(&ended, "main", &format!("refused: {errcode} "));
        if errcode == 40164 {
            assert_eq!(
                about.matches("106.41.36.218\n").count()
                    + usize::from(about.ends_with("106.41.36.218")),
                2,
                "{about}"
            );
        }
    }
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_explained() {
    let sandbox = sandbox_with(app()).await;
    sandbox.fault(Fault::always(
        "/cgi-bin/ticket/getticket",
        FaultKind::Errcode(45009),
    ));
    explained(
        &check(&sandbox, &account("main", APP, SECRET)).await,
        "main",
        "/cgi-bin/ticket/getticket refused: 45009 ",
    );
}

#[tokio::test]
async fn an_account_that_only_provides_tokens_is_checked_without_a_ticket() {
    let sandbox = sandbox_with(app()).await;
    let refused = FaultKind::Errcode(48_002);
    sandbox.fault(Fault::always("/cgi-bin/ticket/getticket", refused));
    let text = account("main", APP, SECRET).replace("\"example.com\"", "");
    let ended = check(&sandbox, &text).await;
    assert_eq!(ended.code, 0, "{}", ended.stdout);
    let line =
        format!("main: ok, WeChat accepts {APP}; tokens only, since js_safe_domains is empty");
    assert!(ended.stdout.contains(&line), "{}", ended.stdout);
}

const SQLITE: &str = "[store]\nkind = \"sql\"\nurl = \"sqlite://wx.sqlite\"\n";

#[tokio::test]
async fn check_creates_no_sqlite_file() {
    let sandbox = sandbox_with(app()).await;
    let home = tempfile::tempdir().unwrap();
    let text = format!("{}{SQLITE}", account("main", APP, SECRET));
    write(home.path(), sandbox.url(), &text);
    let ended = run_in(home.path(), &["check"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stdout);
    let files = std::fs::read_dir(home.path()).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, ["wx-jssdk.toml"]);
}

#[tokio::test]
async fn an_account_that_is_accepted_ends_its_wait_in_a_shared_store() {
    let sandbox = sandbox_with(app()).await;
    let home = tempfile::tempdir().unwrap();
    let text = format!("{}{SQLITE}", account("main", APP, SECRET));
    write(home.path(), sandbox.url(), &text);
    let url = format!("sqlite://{}/wx.sqlite", home.path().display());
    let store = Store::sql_within(&url, "wx_jssdk_", BOUND).unwrap();
    let key = Account::official(APP, SECRET).app_key();
    let (ticket, now) = ("/cgi-bin/ticket/getticket", Clock::system().now());
    let until = now.plus(Duration::from_secs(3_600));
    let line =
        "main: the quota of /cgi-bin/ticket/getticket is available again, and the nodes call";
    let mut printed = String::new();
    // `check` does not wait for a store that takes more than 250 ms.
    for _ in 0..10 {
        store.set_block(&key, ticket, until, now).await.unwrap();
        printed = run_in(home.path(), &["check"]).await.stdout;
        if printed.contains(line) {
            break;
        }
    }
    assert!(printed.contains(line), "{printed}");
    let later = Clock::system().now();
    assert_eq!(store.blocked_until(&key, ticket, later).await, Ok(None));
}

#[tokio::test]
async fn an_unreachable_or_malformed_wechat_is_explained() {
    let sandbox = sandbox_with(app()).await;
    for (fault, what) in [
        (FaultKind::NotJson, "cannot be used"),
        (FaultKind::LostReply, "was lost"),
        (FaultKind::Status(502), "HTTP 502"),
        (FaultKind::Errcode(-1), "refused: -1 "),
    ] {
        sandbox.fault(Fault::once("/cgi-bin/stable_token", fault));
        let about = explained(
            &check(&sandbox, &account("main", APP, SECRET)).await,
            "main",
            what,
        );
        assert!(
            about.contains("un check again") && about.contains("再次运行 check"),
            "check retries nothing: {about}"
        );
    }
    sandbox.stop().await;
    explained(
        &check(&sandbox, &account("main", APP, SECRET)).await,
        "main",
        "could not be reached",
    );
}

#[tokio::test]
async fn one_bad_account_of_two_fails_the_check_and_both_are_reported() {
    let sandbox = sandbox_with(app()).await;
    sandbox.add_app(App::official(OTHER, OTHER_SECRET));
    let accounts = format!(
        "{}{}",
        account("a-bad", APP, "ffffffffffffffffffffffffffffffff"),
        account("b-good", OTHER, OTHER_SECRET)
    );
    let ended = check(&sandbox, &accounts).await;
    explained(&ended, "a-bad", "40125");
    let calls = sandbox.calls("/cgi-bin/stable_token");
    assert_eq!(calls, 2, "a wrong secret is not tried again");
    assert!(
        ended
            .stdout
            .contains(&format!("\nb-good: ok, WeChat accepts {OTHER}")),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn a_changing_egress_address_is_detected_and_every_address_named() {
    let sandbox = sandbox_with(app()).await;
    for ip in ["203.0.113.1", "203.0.113.2", "2001:db8::7"] {
        let refusal = format!("invalid ip {ip} ipv6 ::ffff:{ip}, not in whitelist");
        sandbox.fault(Fault::once(
            "/cgi-bin/stable_token",
            FaultKind::ErrcodeWith(40164, refusal),
        ));
    }
    let ended = check(&sandbox, &account("main", APP, SECRET)).await;
    let printed = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.code, 1, "{printed}");
    for words in [
        "The IPs to allow: 2001:db8::7, 203.0.113.2, 203.0.113.1",
        "需要加入的 IP：2001:db8::7、203.0.113.2、203.0.113.1",
        "not fixed",
        "出口 IP 不固定",
    ] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
    assert_eq!(sandbox.calls("/cgi-bin/stable_token"), 3);
}

#[tokio::test]
async fn an_account_accepted_from_a_third_egress_address_is_ok() {
    let sandbox = sandbox_with(app()).await;
    for ip in ["203.0.113.1", "203.0.113.2"] {
        let refusal = format!("invalid ip {ip} ipv6 ::ffff:{ip}, not in whitelist");
        sandbox.fault(Fault::once(
            "/cgi-bin/stable_token",
            FaultKind::ErrcodeWith(40164, refusal),
        ));
    }
    let ended = check(&sandbox, &account("main", APP, SECRET)).await;
    assert_eq!(ended.code, 0, "{}", ended.stdout);
    for words in [
        "main: ok",
        "egress: WeChat refuses 203.0.113.1, 203.0.113.2 (direct)",
    ] {
        assert!(ended.stdout.contains(words), "{words}: {}", ended.stdout);
    }
    assert_eq!(sandbox.calls("/cgi-bin/stable_token"), 3);
}

#[tokio::test]
async fn a_platform_is_counted_and_its_way_and_its_refused_address_are_named() {
    let sandbox = sandbox_with(app()).await;
    let platform = OpenPlatform::new("wxc0de0000000000c0", OTHER_SECRET)
        .allow_ips(["203.0.113.1"])
        .caller_ip("203.0.113.9".parse().unwrap());
    let section = format!(
        "[platforms.agency]\ncomponent_appid = \"wxc0de0000000000c0\"\nsecret = \"{OTHER_SECRET}\"\n\
         push_token = \"{}\"\naes_key = \"{}\"\njs_safe_domains = [\"example.com\"]\n",
        platform.push_token(),
        platform.encoding_aes_key()
    );
    sandbox.add_platform(platform);
    let ended = check(&sandbox, &section).await;
    explained(&ended, "agency", "refused: 61004 ");
    for line in [
        "configuration: ok, 1 account · 配置正确，共 1 个账号\n".to_owned(),
        format!("egress: direct to {} · ", sandbox.url()),
        "egress: WeChat refuses 203.0.113.9 (direct) · ".to_owned(),
    ] {
        assert!(ended.stdout.contains(&line), "{line}{}", ended.stdout);
    }
    // Each connection may use another address.
    let calls = sandbox.calls("/cgi-bin/component/api_start_push_ticket");
    assert_eq!(calls, 3);
}

#[tokio::test]
async fn the_egress_proxy_is_named_without_its_password() {
    let sandbox = sandbox_with(app().allow_ips(["203.0.113.7"])).await;
    sandbox.add_app(App::official(OTHER, OTHER_SECRET));
    let proxy = sandbox
        .http_proxy(Some(("u", "geheim-4711")))
        .await
        .unwrap();
    proxy.set_egress("203.0.113.7".parse().unwrap());
    let by_proxy = |password: &str| {
        format!(
            "{}proxy = \"{}\"\nproxy_user = \"u\"\nproxy_password = \"{password}\"\n{}",
            account("main", APP, SECRET),
            proxy.url(),
            account("other", OTHER, OTHER_SECRET)
        )
    };
    let ended = check(&sandbox, &by_proxy("geheim-4711")).await;
    assert_eq!(ended.code, 0, "{}", ended.stdout);
    let (url, way) = (sandbox.url(), proxy.url());
    for line in [
        format!("egress: direct to {url} (other) · 出口：直连\n"),
        format!("egress: proxy {way} to {url} (main) · 出口：代理 {way}\n"),
    ] {
        assert!(ended.stdout.contains(&line), "{line}{}", ended.stdout);
    }
    assert!(!format!("{ended:?}").contains("geheim"), "{ended:?}");

    proxy.set_egress("203.0.113.8".parse().unwrap());
    let ended = check(&sandbox, &by_proxy("geheim-4711")).await;
    explained(&ended, "main", "refused: 40164");
    let line = format!("egress: WeChat refuses 203.0.113.8 (proxy {way})");
    assert!(ended.stdout.contains(&line), "{}", ended.stdout);

    let ended = check(&sandbox, &by_proxy("geheim-0815")).await;
    let about = explained(&ended, "main", "could not be reached: proxy 127.0.0.1:");
    assert!(about.contains("egress proxy refuses the user name or password"));
    assert!(about.contains("proxy_password"), "{about}");
    assert!(!format!("{ended:?}").contains("geheim"), "{ended:?}");
}

#[tokio::test]
async fn the_environments_proxy_and_a_used_fallback_host_are_named() {
    let home = tempfile::tempdir().unwrap();
    let sandbox = sandbox_with(app()).await;
    let proxy = sandbox.http_proxy(None).await.unwrap();
    let second = sandbox.second_host().await.unwrap();
    let port = |url: &str| url.rsplit_once(':').unwrap().1.to_owned();
    let (api, api2) = (port(sandbox.url()), port(&second.url()));
    write(
        home.path(),
        &format!("http://api.test:{api}"),
        &account("main", APP, SECRET),
    );
    let mut command = command(home.path(), &["check"]);
    command
        .env("HTTP_PROXY", proxy.url().replace("://", "://u:geheim@"))
        .env(
            "WX_JSSDK__UPSTREAM__FALLBACK",
            format!("http://api2.test:{api2}"),
        );
    sandbox.host().set_reachable(false).await.unwrap();
    let ended = run_command(command).await;
    // An HTTP proxy that forwards plain requests answers 502 for a host that it cannot reach.
    assert!(
        ended.stdout.contains(&format!(
            "egress: proxy {} of the environment to http://api.test:{api} · ",
            proxy.addr()
        )),
        "{}",
        ended.stdout
    );
    assert!(!format!("{ended:?}").contains("geheim"), "{ended:?}");

    write(home.path(), sandbox.url(), &account("main", APP, SECRET));
    let mut command = crate::common::program::command(home.path(), &["check"]);
    command.env("WX_JSSDK__UPSTREAM__FALLBACK", second.url());
    let ended = run_command(command).await;
    assert_eq!(ended.code, 0, "{}", ended.stdout);
    let line = format!(
        "egress: {} cannot be reached, another host was called",
        sandbox.url()
    );
    assert!(ended.stdout.contains(&line), "{}", ended.stdout);
}
