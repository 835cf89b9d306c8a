//! A command with a wrong port or scheme names the right one, instead of suggesting that the service is down.

use std::path::Path;

use crate::common::program::*;

/// A service with or without certificates on its listeners.
struct Served {
    home: tempfile::TempDir,
    running: Running,
    public: String,
    admin: String,
}

impl Served {
    async fn start(tls: bool) -> Self {
        let home = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(home.path().join("own.crt"), made.cert.pem()).unwrap();
        std::fs::write(
            home.path().join("own.key"),
            made.signing_key.serialize_pem(),
        )
        .unwrap();
        let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(home.path().join("other.crt"), other.cert.pem()).unwrap();
        configure(home.path(), "127.0.0.1:0", "127.0.0.1:0", tls);
        let mut running = Running::start(command(home.path(), &["serve"]));
        let (public, admin) = (running.line("public").await, running.line("admin").await);
        Self {
            home,
            running,
            public,
            admin,
        }
    }

    /// Runs a command against the admin listener there, with these additional arguments.
    async fn token(&self, server: &str, more: &[&str]) -> Ended {
        self.asked(&[&["token", "main", "--server", server], more].concat())
            .await
    }

    async fn asked(&self, arguments: &[&str]) -> Ended {
        let mut command = command(self.home.path(), arguments);
        command.env("WX_JSSDK_API_KEY", "wxk_any");
        run_command(command).await
    }

    async fn end(self) {
        assert_eq!(self.running.stop().await.code, 0);
    }
}

fn configure(home: &Path, public: &str, admin: &str, tls: bool) {
    let pair = "cert = \"own.crt\"\nkey = \"own.key\"\n";
    let tls = if tls {
        format!("[server.tls]\n{pair}[server.admin_tls]\n{pair}")
    } else {
        String::new()
    };
    let text = format!(
        "[server]\nlisten = \"{public}\"\nadmin_listen = \"{admin}\"\n{tls}[store]\nkind = \"memory\"\n\
         [upstream]\nweixin = \"http://127.0.0.1:1\"\nqyapi = \"http://127.0.0.1:1\"\n\
         [accounts.main]\napp_id = \"{APP}\"\nsecret = \"{SECRET}\"\njs_safe_domains = [\"example.com\"]\n"
    );
    std::fs::write(home.join("wx-jssdk.toml"), text).unwrap();
}

/// Asserts exit code 1, and after the error one line of advice in each language, both with these words.
fn advised(ended: &Ended, words: &[&str]) {
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (1, ""),
        "{}",
        ended.stderr
    );
    let lines: Vec<_> = ended.stderr.lines().collect();
    let [_, en, zh] = lines[..] else {
        panic!("{}", ended.stderr)
    };
    assert!(en.starts_with("    ") && en.is_ascii(), "{en}");
    assert!(
        zh.starts_with("    ") && zh.chars().any(|c| c > '\u{4e00}'),
        "{zh}"
    );
    for word in words {
        assert!(
            en.contains(word) && zh.contains(word),
            "{word}: {}",
            ended.stderr
        );
    }
    assert!(
        !ended.stderr.contains("wx-jssdk serve is running"),
        "{}",
        ended.stderr
    );
}

fn of_scheme(url: &str, scheme: &str) -> String {
    format!("{scheme}://{}", url.split_once("://").unwrap().1)
}

#[tokio::test]
async fn a_changed_address_is_answered_with_the_restart_that_it_needs() {
    let served = Served::start(false).await;
    configure(served.home.path(), "127.0.0.1:1", "127.0.0.1:2", false);
    for (arguments, setting) in [
        (&["reload"][..], "server.admin_listen"),
        (&["healthcheck"], "server.listen"),
    ] {
        let ended = served.asked(arguments).await;
        let restart = [
            format!("If {setting} was changed, the service needs a restart"),
            format!("若修改了 {setting}，服务需要重启"),
        ];
        for words in restart {
            assert!(ended.stderr.contains(&words), "{words}: {}", ended.stderr);
        }
    }
    served.end().await;
}

#[tokio::test]
async fn an_untrusted_certificate_is_answered_with_the_ca_option() {
    let served = Served::start(true).await;
    advised(
        &served.token(&served.admin, &[]).await,
        &["--ca", "server.admin_tls.cert"],
    );
    let wrong = served.token(&served.admin, &["--ca", "other.crt"]).await;
    advised(&wrong, &["--ca", "server.admin_tls.cert"]);
    assert!(
        wrong.stderr.contains("contains neither this certificate"),
        "{}",
        wrong.stderr
    );
    let right = served.token(&served.admin, &["--ca", "own.crt"]).await;
    assert!(
        right.stderr.contains("unauthorized"),
        "the advice helps: {}",
        right.stderr
    );
    served.end().await;
}

#[tokio::test]
async fn http_to_an_https_port_and_https_to_an_http_port_are_told_the_right_address() {
    for tls in [true, false] {
        let served = Served::start(tls).await;
        let wrong = of_scheme(&served.admin, if tls { "http" } else { "https" });
        for arguments in [
            &["token", "main"][..],
            &["ticket", "main"],
            &["reject", "main", "--value=x"],
        ] {
            let ended = served
                .asked(&[arguments, &["--server", &wrong]].concat())
                .await;
            advised(&ended, &[&format!("--server {}", served.admin)]);
        }
        let right = served.token(&served.admin, &["--ca", "own.crt"]).await;
        assert!(
            right.stderr.contains("unauthorized"),
            "the advice helps: {}",
            right.stderr
        );
        served.end().await;
    }
}

#[tokio::test]
async fn healthcheck_names_the_right_scheme_after_the_wrong_one() {
    for tls in [true, false] {
        let served = Served::start(tls).await;
        let place = served.public.split_once("://").unwrap().1;
        let (right, wrong) = (
            ["healthcheck", "--address", place, "--tls"],
            ["healthcheck", "--address", place],
        );
        let (right, wrong) = if tls {
            (&right[..], &wrong[..])
        } else {
            (&wrong[..], &right[..])
        };
        advised(&served.asked(wrong).await, &["--tls"]);
        assert_eq!(served.asked(right).await.code, 0, "the advice helps");
        // With a configuration that differs from that of the running service.
        configure(served.home.path(), place, "127.0.0.1:0", !tls);
        advised(&served.asked(&["healthcheck"]).await, &["--address", place]);
        served.end().await;
    }
}

#[tokio::test]
async fn an_invalid_address_is_refused_with_the_configurations_message() {
    for arguments in [
        &["serve", "--listen"][..],
        &["serve", "--admin-listen"],
        &["serve", "--sandbox", "--sandbox-listen"],
        &["sandbox", "--listen"],
        &["healthcheck", "--address"],
    ] {
        let ended = run(&[arguments, &["localhost:8080"]].concat()).await;
        let flag = arguments.last().unwrap();
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (2, ""),
            "{arguments:?}"
        );
        let words = "must be an address and a port such as 127.0.0.1:8080 (got \"localhost:8080\")";
        assert!(
            ended.stderr.contains(words) && ended.stderr.contains(flag),
            "{}",
            ended.stderr
        );
        assert!(
            ended
                .stderr
                .contains("应为 127.0.0.1:8080 这样的写法（当前为“localhost:8080”）"),
            "{}",
            ended.stderr
        );
    }
    for bad in ["example.com=nowhere:1", "example.com"] {
        let ended = run(&["check", "--resolve", bad]).await;
        assert!(
            ended.code == 2 && ended.stderr.contains("10.0.0.5:443") && is_bilingual(&ended.stderr),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains("应为"), "{}", ended.stderr);
    }
}
