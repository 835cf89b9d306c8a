//! `check` refuses the configurations with which `serve` would not start, or clients not connect.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use wx_jssdk::Clock;

use crate::common::program::*;

/// A certificate with its key, as PEM files of this name.
fn put_pair(home: &Path, name: &str) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(home.join(format!("{name}.crt")), made.cert.pem()).unwrap();
    std::fs::write(
        home.join(format!("{name}.key")),
        made.signing_key.serialize_pem(),
    )
    .unwrap();
}

/// Listeners on free ports, an unreachable WeChat and an account, plus these settings of the store or of TLS.
fn configuration(more: &str) -> String {
    let store = if more.contains("[store]") {
        ""
    } else {
        "[store]\nkind = \"memory\"\n"
    };
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n{store}{more}\n\
         [upstream]\nweixin = \"http://127.0.0.1:1\"\nqyapi = \"http://127.0.0.1:1\"\n\
         [accounts.main]\napp_id = \"{APP}\"\nsecret = \"{SECRET}\"\njs_safe_domains = [\"example.com\"]\n"
    )
}

fn home_with(more: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    ["public", "admin"]
        .into_iter()
        .for_each(|name| put_pair(home.path(), name));
    std::fs::write(home.path().join("junk"), "nonsense").unwrap();
    std::fs::write(home.path().join("wx-jssdk.toml"), configuration(more)).unwrap();
    home
}

fn tls(section: &str, cert: &str, key: &str) -> String {
    format!("[server.{section}]\ncert = \"{cert}\"\nkey = \"{key}\"\n")
}

#[tokio::test]
async fn check_names_each_setting_that_keeps_serve_from_starting() {
    for (more, path, words) in [
        (
            tls("tls", "gone.crt", "public.key"),
            "server.tls: ",
            "gone.crt cannot be read",
        ),
        (
            tls("admin_tls", "admin.crt", "gone.key"),
            "server.admin_tls: ",
            "gone.key cannot be read",
        ),
        (
            tls("tls", "junk", "public.key"),
            "server.tls: ",
            "junk contains no certificate",
        ),
        (
            tls("tls", "public.crt", "admin.key"),
            "server.tls: ",
            "do not match",
        ),
        (
            tls("admin_tls", "admin.key", "admin.crt"),
            "server.admin_tls: ",
            "admin.key contains no certificate",
        ),
        (
            "[store]\nkind = \"file\"\npath = \"gone/wx.redb\"".into(),
            "store.path: ",
            "directory \"gone\": No such file",
        ),
        (
            "[store]\nkind = \"file\"\npath = \"junk/wx.redb\"".into(),
            "store.path: ",
            "\"junk\" is not a directory",
        ),
        (
            "[store]\nkind = \"file\"\npath = \".\"".into(),
            "store.path: ",
            "\".\" names a directory",
        ),
        (
            "[store]\nkind = \"file\"\npath = \"socket\"".into(),
            "store.path: ",
            "\"socket\" is not a regular file",
        ),
        (
            "[store]\nkind = \"file\"\npath = \"new/\"".into(),
            "store.path: ",
            "\"new/\" names a directory",
        ),
        (
            "[store]\nkind = \"redis\"\nurl = \"http://x\"".into(),
            "store.url: ",
            "redis://",
        ),
        (
            "[store]\nkind = \"redis\"\nurl = \"redis+cluster://a,,b\"".into(),
            "store.url: ",
            "between the commas",
        ),
        (
            "[store]\nkind = \"sql\"\nurl = \"redis://x\"".into(),
            "store.url: ",
            "postgres://",
        ),
        (
            "[store]\nkind = \"sql\"\nurl = \"sqlite:///x\"\ntable_prefix = \"Wx-\"".into(),
            "store.table_prefix: ",
            "32 lower-case letters",
        ),
    ] {
        let home = home_with(&more);
        let _socket = UnixListener::bind(home.path().join("socket")).unwrap();
        let serve = run_in(home.path(), &["serve"]).await;
        assert_eq!(
            (serve.code, serve.stdout.as_str()),
            (2, ""),
            "precondition: {more}"
        );
        for check in [&["check", "--offline"][..], &["check"]] {
            let ended = run_in(home.path(), check).await;
            assert_eq!(
                (ended.code, ended.stdout.as_str()),
                (2, ""),
                "{more}: {}",
                ended.stderr
            );
            let (_, problem) = ended
                .stderr
                .split_once("1 problem")
                .unwrap_or_else(|| panic!("{more}: {}", ended.stderr));
            let lines: Vec<_> = problem
                .lines()
                .skip(1)
                .filter(|line| !line.is_empty())
                .collect();
            assert_eq!(lines.len(), 2, "one in English, one in Chinese: {problem}");
            assert!(
                lines[0].starts_with(path) && lines[0].contains(words),
                "{problem}"
            );
            assert!(
                lines[1].starts_with("    ") && lines[1].chars().any(|c| c > '\u{4e00}'),
                "{problem}"
            );
            assert!(
                !problem.contains("PRIVATE KEY") && !problem.contains(SECRET),
                "{problem}"
            );
        }
    }
}

#[tokio::test]
async fn check_names_an_sqlite_file_that_cannot_be_created() {
    for (file, words) in [
        ("gone/wx.sqlite", "directory \"gone\": No such file"),
        ("junk/wx.sqlite", "\"junk\" is not a directory"),
        (".", "\".\" names a directory"),
        ("socket", "\"socket\" is not a regular file"),
    ] {
        let home = home_with(&format!(
            "[store]\nkind = \"sql\"\nurl = \"sqlite://{file}\""
        ));
        let _socket = UnixListener::bind(home.path().join("socket")).unwrap();
        let ended = run_in(home.path(), &["check", "--offline"]).await;
        assert_eq!(ended.code, 2, "{file}: {}", ended.stdout);
        assert!(
            ended.stderr.contains(&format!("store.url: {words}")) && is_bilingual(&ended.stderr),
            "{}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn check_and_serve_say_in_chinese_too_what_is_wrong_with_a_store_url() {
    let home = home_with("[store]\nkind = \"redis\"\nurl = \"redis+cluster://a,,b\"");
    for command in [&["check", "--offline"][..], &["serve"]] {
        let ended = run_in(home.path(), command).await;
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        let stderr = ended.stderr;
        assert!(stderr.contains("逗号之间缺少主机名"), "{stderr}");
    }
}

/// Puts a pair that is valid from and to these days of today.
fn put_pair_of_days(home: &Path, name: &str, days: [i64; 2]) {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let today = i64::try_from(Clock::system().wall().0).unwrap();
    let [from, to] = days.map(|day| {
        let seconds = u64::try_from(today + day * 86_400).unwrap();
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    });
    (params.not_before, params.not_after) = (from, to);
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap().pem();
    std::fs::write(home.join(format!("{name}.crt")), cert).unwrap();
    std::fs::write(home.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

#[tokio::test]
async fn check_names_a_certificate_that_clients_reject_now_or_soon() {
    let home = home_with(&tls("tls", "public.crt", "public.key"));
    for (days, code, stdout, stderr) in [
        (
            [-90, -1],
            2,
            "",
            "server.tls: public.crt contains a certificate that is valid from",
        ),
        (
            [1, 90],
            2,
            "",
            "server.tls: public.crt contains a certificate that is valid from",
        ),
        (
            [-80, 10],
            0,
            "warning: server.tls: the certificate expires soon",
            "",
        ),
        ([-10, 80], 0, "configuration: ok", ""),
    ] {
        put_pair_of_days(home.path(), "public", days);
        let ended = run_in(home.path(), &["check", "--offline"]).await;
        assert_eq!(ended.code, code, "{days:?}: {}", ended.stderr);
        assert!(ended.stdout.contains(stdout), "{days:?}: {}", ended.stdout);
        assert!(ended.stderr.contains(stderr), "{days:?}: {}", ended.stderr);
        let has_dates = ended.stderr.contains("证书的有效期为 20");
        assert_eq!(has_dates, code == 2, "{days:?}: {}", ended.stderr);
        let warns = ended.stdout.contains("expires soon");
        assert_eq!(warns, stdout.contains("expires soon"), "{days:?}");
    }
}

#[tokio::test]
async fn every_resource_that_cannot_be_opened_is_named_at_once() {
    let home = home_with(&format!(
        "[store]\nkind = \"file\"\npath = \"gone/x\"\n{}{}",
        tls("tls", "junk", "junk"),
        tls("admin_tls", "gone", "gone")
    ));
    let ended = run_in(home.path(), &["check", "--offline"]).await;
    assert!(
        ended.code == 2 && ended.stderr.contains("3 problems"),
        "{}",
        ended.stderr
    );
    for path in ["server.tls: ", "server.admin_tls: ", "store.path: "] {
        assert!(ended.stderr.contains(path), "{path}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_variable_that_keeps_serve_from_starting_is_named() {
    let home = home_with("[store]\nkind = \"redis\"\nurl = \"redis://127.0.0.1:1/0\"");
    for (variables, path) in [
        (
            vec![("WX_JSSDK__STORE__URL", "redis://h?x=1")],
            "store.url: ",
        ),
        (
            vec![
                ("WX_JSSDK__SERVER__TLS__CERT", "gone.crt"),
                ("WX_JSSDK__SERVER__TLS__KEY", "public.key"),
            ],
            "server.tls: ",
        ),
    ] {
        let mut command = command(home.path(), &["check", "--offline"]);
        command.envs(variables.iter().copied());
        let ended = run_command(command).await;
        let names: Vec<_> = variables.iter().map(|(name, _)| *name).collect();
        for words in [
            path.to_owned(),
            format!("(from the environment: {})", names.join(", ")),
            format!("（来自环境变量 {}）", names.join("、")),
        ] {
            assert!(ended.stderr.contains(&words), "{words}: {}", ended.stderr);
        }
        assert_eq!(ended.code, 2);
    }
}

#[tokio::test]
async fn an_openable_resource_is_ok_and_is_not_opened() {
    for more in [
        tls("tls", "public.crt", "public.key") + &tls("admin_tls", "admin.crt", "admin.key"),
        "[store]\nkind = \"file\"\npath = \"new.redb\"".into(),
        "[store]\nkind = \"redis\"\nurl = \"redis://:password@127.0.0.1:1/0\"".into(),
        "[store]\nkind = \"redis\"\nurl = \"rediss+sentinel://127.0.0.1:1,127.0.0.1:2/master\""
            .into(),
    ] {
        let home = home_with(&more);
        let ended = run_in(home.path(), &["check", "--offline"]).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{more}");
        assert_eq!(
            std::fs::read_dir(home.path()).unwrap().count(),
            6,
            "no file was made: {more}"
        );
    }
}

#[tokio::test]
async fn sighup_refuses_a_certificate_setting_that_would_prevent_a_restart() {
    let home = home_with(&tls("tls", "public.crt", "public.key"));
    let mut running = Running::start(command(home.path(), &["serve"]));
    running.line("admin").await;
    let write = |text: String| std::fs::write(home.path().join("wx-jssdk.toml"), text).unwrap();
    write(configuration(
        &(tls("tls", "public.crt", "public.key") + &tls("admin_tls", "junk", "admin.key")),
    ));
    running.signal("-HUP").await;
    let line = running.log_line("path=\"server.admin_tls\"").await;
    assert!(line.contains("junk contains no certificate"), "{line}");
    assert!(
        running
            .log_line("new configuration ")
            .await
            .contains("refused")
    );
    // A valid one is accepted, and reported as waiting for the restart.
    write(configuration(
        &(tls("tls", "public.crt", "public.key") + &tls("admin_tls", "admin.crt", "admin.key")),
    ));
    running.signal("-HUP").await;
    assert!(
        running
            .log_line("new configuration ")
            .await
            .contains("applied")
    );
    assert!(
        running
            .log_line("needs a restart")
            .await
            .contains("server.admin_tls")
    );
    // A certificate in use that is being replaced does not block account changes: its own line reports the fault.
    std::fs::write(home.path().join("public.key"), "nonsense").unwrap();
    running.signal("-HUP").await;
    running.log_line("new certificate refused").await;
    assert!(
        running
            .log_line("new configuration ")
            .await
            .contains("applied")
    );
    assert_eq!(running.stop().await.code, 0);
}

#[tokio::test]
async fn sighup_refuses_a_store_setting_that_would_prevent_a_restart() {
    let home = home_with("");
    let mut running = Running::start(command(home.path(), &["serve"]));
    running.line("admin").await;
    let file = |path: &str| format!("[store]\nkind = \"file\"\npath = \"{path}\"\n");
    for (path, outcome) in [("gone/wx.redb", "refused"), ("wx.redb", "applied")] {
        let text = configuration(&file(path));
        std::fs::write(home.path().join("wx-jssdk.toml"), text).unwrap();
        running.signal("-HUP").await;
        let line = running.log_line("new configuration ").await;
        assert!(line.contains(outcome), "{path}: {line}");
    }
    let ended = running.stop().await;
    let named =
        ended.stderr.contains("path=\"store.path\"") || ended.stderr.contains("path=store.path");
    assert!(ended.code == 0 && named, "{}", ended.stderr);
}

#[tokio::test]
async fn the_tables_of_an_sql_store_are_printed_for_an_administrator() {
    let sql = "[store]\nkind = \"sql\"\nurl = \"mysql://wx:hunter2@db/x\"\ntable_prefix = \"a_\"";
    let home = home_with(sql);
    let ended = run_in(home.path(), &["store", "schema"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let tables = ended
        .stdout
        .matches("CREATE TABLE IF NOT EXISTS a_")
        .count();
    assert_eq!(tables, 8, "{}", ended.stdout);
    assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
    let home = home_with("");
    let ended = run_in(home.path(), &["store", "schema"]).await;
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("store.kind"), "{}", ended.stderr);
}
