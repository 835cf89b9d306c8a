//! The egress of calls: `proxy` with its credentials, and `fallback`.

use std::collections::HashMap;
use std::path::Path;

use wx_jssdk::account::{Egress, Proxy};
use wx_jssdk::credential::Secret;
use wx_jssdk::server::config::Settings;

use super::support::*;

/// Must be printed nowhere.
const PASSWORD: &str = "geheim-4711";

fn proxy(url: &str) -> Egress {
    Egress::Proxy(Proxy::parse(url).unwrap())
}

fn with_password(url: &str, password: &str) -> Egress {
    Egress::Proxy(
        Proxy::parse(url)
            .unwrap()
            .credentials("u", Secret::new(password)),
    )
}

fn upstream(lines: &str) -> String {
    format!("[upstream]\n{lines}\n{MAIN}")
}

#[test]
fn the_proxy_of_all_accounts_is_the_environments_a_configured_one_or_none() {
    assert_eq!(good("").upstream.egress, Egress::Environment);
    for (value, egress) in [
        ("", Egress::Environment),
        ("none", Egress::Direct),
        ("http://10.0.0.5:3128", proxy("http://10.0.0.5:3128")),
        ("https://proxy", proxy("https://proxy:443")),
        ("socks5://proxy:1080", proxy("socks5://proxy")),
        ("socks5h://[::1]:9050", proxy("socks5h://[::1]:9050")),
    ] {
        let settings = good(&upstream(&format!("proxy = \"{value}\"")));
        assert_eq!(settings.upstream.egress, egress, "{value}");
        assert_eq!(settings.accounts[0].1.own_egress(), None);
    }
}

#[test]
fn an_account_may_have_another_proxy_or_none() {
    let text = |lines: &str| format!("{}{lines}\n", upstream("proxy = \"http://all:1\""));
    for (lines, own) in [
        ("", None),
        ("proxy = \"\"", None),
        ("proxy = \"none\"", Some(Egress::Direct)),
        ("proxy = \"socks5://own:1\"", Some(proxy("socks5://own:1"))),
        (
            "proxy = \"socks5://own:1\"\nproxy_user = \"u\"\nproxy_password = \"p\"",
            Some(with_password("socks5://own:1", "p")),
        ),
    ] {
        let settings = good(&text(lines));
        assert_eq!(settings.accounts[0].1.own_egress(), own.as_ref(), "{lines}");
    }
    let found = paths(read(&text("proxy_user = \"u\"")));
    assert_eq!(
        found,
        ["accounts.main.proxy_user"],
        "the problem names the setting"
    );
    only(
        "account_defaults.proxy",
        read("[account_defaults]\nproxy = \"http://a:1\""),
    );
}

#[test]
fn credentials_come_from_the_file_the_environment_or_their_own_file() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("password"), format!("{PASSWORD}\n")).unwrap();
    let read = |text: &str, environment: &[(&str, &str)]| {
        let environment = environment.iter();
        let environment: HashMap<_, _> = environment
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Settings::read(text, home.path(), environment)
            .unwrap()
            .upstream
            .egress
    };
    let file = "proxy = \"http://p:1\"\nproxy_user = \"u\"\n";
    let expected = with_password("http://p:1", PASSWORD);
    let by_text = upstream(&format!("{file}proxy_password = \"{PASSWORD}\""));
    assert_eq!(read(&by_text, &[]), expected);
    let by_file = upstream(&format!("{file}proxy_password_file = \"password\""));
    assert_eq!(read(&by_file, &[]), expected);
    let other = upstream(&format!("{file}proxy_password = \"other\""));
    let variable = ("WX_JSSDK__UPSTREAM__PROXY_PASSWORD_FILE", "password");
    assert_eq!(read(&other, &[variable]), expected, "the environment wins");
    let variable = ("WX_JSSDK__UPSTREAM__PROXY_PASSWORD", "other");
    assert_eq!(
        read(&by_file, &[variable]),
        with_password("http://p:1", "other")
    );
    assert_eq!(
        read(&upstream(file), &[]),
        with_password("http://p:1", ""),
        "some proxies ask for a user name only"
    );
}

#[test]
fn a_password_in_the_address_is_refused_with_the_settings_to_use_and_not_quoted() {
    for (path, text) in [
        (
            "upstream.proxy",
            upstream(&format!("proxy = \"http://u:{PASSWORD}@proxy:3128\"")),
        ),
        (
            "accounts.main.proxy",
            format!("{MAIN}proxy = \"socks5://u:{PASSWORD}@proxy:1080\"\n"),
        ),
    ] {
        let what = only(path, read(&text));
        assert!(what.contains("proxy_user and proxy_password"), "{what}");
        assert!(!what.contains(PASSWORD), "{what}");
    }
}

#[test]
fn an_invalid_proxy_is_refused_with_the_valid_forms() {
    for value in [
        "proxy:3128",
        "ftp://proxy",
        "http://",
        "http://p:1/x",
        "NONE",
    ] {
        let what = only(
            "upstream.proxy",
            read(&upstream(&format!("proxy = \"{value}\""))),
        );
        assert!(
            what.contains("socks5h://") && what.contains(value),
            "{what}"
        );
    }
}

#[test]
fn credentials_without_a_proxy_or_without_each_other_are_refused() {
    let set = "proxy = \"http://p:1\"\n";
    for (key, lines) in [
        ("proxy_user", "proxy_user = \"u\"".to_owned()),
        (
            "proxy_password",
            format!("proxy = \"none\"\nproxy_password = \"{PASSWORD}\"\nproxy_user = \"\""),
        ),
        (
            "proxy_user",
            format!("{set}proxy_password = \"{PASSWORD}\""),
        ),
        ("proxy_user", format!("{set}proxy_user = \"u:{PASSWORD}\"")),
        (
            "proxy_password_file",
            format!(
                "{set}proxy_user = \"u\"\nproxy_password = \"{PASSWORD}\"\nproxy_password_file = \"x\""
            ),
        ),
        (
            "proxy_password_file",
            format!("{set}proxy_user = \"u\"\nproxy_password_file = \"nowhere\""),
        ),
    ] {
        let result = Settings::read(&upstream(&lines), Path::new("/nowhere"), HashMap::new());
        let found = paths(result);
        assert!(
            found.contains(&format!("upstream.{key}")),
            "{lines}: {found:?}"
        );
        let problems = read(&upstream(&lines)).unwrap_err();
        assert!(!format!("{problems}").contains(PASSWORD), "{problems}");
    }
}

#[test]
fn fallback_hosts_are_other_base_urls() {
    let hosts = "fallback = [\"https://api2.weixin.qq.com/\", \"https://sh.api.weixin.qq.com\"]";
    assert_eq!(
        good(&upstream(hosts)).upstream.fallback,
        ["https://api2.weixin.qq.com", "https://sh.api.weixin.qq.com"]
    );
    for value in [
        "api2.weixin.qq.com",
        "ftp://x",
        "https://x?a=1",
        "https://api.weixin.qq.com",
        "https://u:geheim@x",
    ] {
        let what = only(
            "upstream.fallback",
            read(&upstream(&format!("fallback = [\"{value}\"]"))),
        );
        assert!(!what.contains("geheim"), "{what}");
    }
}

#[test]
fn a_fallback_host_is_not_this_server_itself() {
    let what = only(
        "upstream.fallback",
        read(&upstream("fallback = [\"http://127.0.0.1:8081\"]")),
    );
    assert!(what.contains("this server itself"), "{what}");
}

#[test]
fn a_file_with_a_proxy_password_counts_as_holding_a_secret() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("wx-jssdk.toml");
    for (password, exposed) in [("", 0), (PASSWORD, 1)] {
        let text = format!(
            "[upstream]\nproxy = \"http://p:1\"\nproxy_user = \"u\"\nproxy_password = \"{password}\"\n"
        );
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let settings = Settings::load(Some(&path)).unwrap();
        assert_eq!(settings.exposed.len(), exposed, "{password:?}");
        assert!(!format!("{settings:?}").contains(PASSWORD));
    }
}
