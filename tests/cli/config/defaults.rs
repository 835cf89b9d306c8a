//! Default settings and the known keys.

use std::path::Path;
use std::time::Duration;

use wx_jssdk::account::{Platform, TokenMode};
use wx_jssdk::server::config::{DEFAULTS, Settings, StoreKind};

use super::support::*;

#[test]
fn the_defaults_are_valid_and_are_what_the_documentation_says() {
    let settings = good("");
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(
        settings
            .server
            .admin_listen
            .map(|address| address.to_string())
            .as_deref(),
        Some("127.0.0.1:8081")
    );
    assert!(settings.server.api_keys.is_empty());
    assert_eq!(
        (settings.server.workers, settings.server.shutdown),
        (0, Duration::from_secs(10))
    );
    assert_eq!(
        (
            settings.server.default_account.as_deref(),
            settings.server.demo
        ),
        (None, false)
    );
    assert_eq!(settings.server.readiness.as_str(), "any");
    assert!(
        settings.server.proxies.trusted.is_empty()
            && settings.server.admin_hosts.is_empty()
            && !settings.server.reuse_port
    );
    assert_eq!(settings.server.proxies.header.as_str(), "x-forwarded-for");
    assert_eq!(
        (
            settings.server.tls.as_ref(),
            settings.server.admin_tls.as_ref()
        ),
        (None, None)
    );
    let limits = &settings.limits;
    assert_eq!(
        (
            limits.requests_per_second,
            limits.burst,
            limits.wrong_keys,
            limits.max_connections
        ),
        (100, 500, 10, 10_000)
    );
    assert_eq!(
        (limits.request, limits.keep_alive),
        (Duration::from_secs(20), Duration::from_secs(75))
    );
    assert_eq!(
        (settings.log.level.as_str(), settings.log.json),
        ("info", false)
    );
    assert!(
        matches!(&settings.store.kind, StoreKind::File(path) if path == Path::new("wx-jssdk.redb"))
    );
    assert_eq!(settings.upstream.weixin, "https://api.weixin.qq.com");
    assert_eq!(settings.upstream.qyapi, "https://qyapi.weixin.qq.com");
    assert_eq!(settings.upstream.connect_timeout, Duration::from_secs(2));
    assert_eq!(settings.upstream.timeout, Duration::from_secs(5));
    assert!(
        settings
            .account_defaults
            .list("js_api_list")
            .iter()
            .any(|api| api == "updateAppMessageShareData")
    );
    assert!(settings.accounts.is_empty());
}

#[test]
fn the_defaults_of_the_file_are_those_of_the_library() {
    let (file, library) = (good("").upstream, wx_jssdk::UpstreamOptions::default());
    assert_eq!(format!("{file:?}"), format!("{library:?}"));
}

/// Every `key = value` of the default file with its section, the continuation lines of lists left out.
fn default_settings() -> Vec<(String, String)> {
    let mut section = String::new();
    let mut settings = Vec::new();
    for line in DEFAULTS.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            section = name.to_owned();
        } else if let Some((key, _)) = line.split_once(" = ") {
            settings.push((section.clone(), key.to_owned()));
        }
    }
    settings
}

#[test]
fn every_setting_of_the_default_file_is_read() {
    let settings = default_settings();
    assert!(settings.len() >= 21, "{settings:?}");
    for (section, key) in settings {
        // A wrong type is a problem at exactly this path only if the setting is read.
        let path = if section.is_empty() {
            key.clone()
        } else {
            format!("{section}.{key}")
        };
        let found = paths(read(&format!("{path} = {{ not = 1 }}")));
        assert!(found.contains(&path), "{path}: {found:?}");
    }
}

#[test]
fn writing_out_every_default_changes_nothing() {
    assert_eq!(format!("{:?}", good(DEFAULTS)), format!("{:?}", good("")));
}

#[test]
fn every_sample_of_the_default_file_is_valid_as_it_is_written() {
    let home = tempfile::tempdir().unwrap();
    let key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
    for (file, content) in [
        ("wx-main", SECRET),
        ("agency", SECRET),
        ("agency-token", "token"),
        ("agency-key", key),
        (
            "wecom-robot",
            "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1",
        ),
    ] {
        std::fs::write(home.path().join(file), content).unwrap();
    }
    let is_key = |key: &str| key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let is_sample = |line: &&str| {
        line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| is_key(key))
    };
    let commented = DEFAULTS.lines().filter_map(|line| line.strip_prefix("# "));
    let samples: Vec<_> = commented.filter(is_sample).collect();
    assert!(samples.len() >= 30, "{samples:?}");
    let text = samples.join("\n").replace("/run/secrets/", "./");
    let settings = Settings::read(&text, home.path(), Default::default());
    let settings = settings.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((settings.accounts.len(), settings.platforms.len()), (1, 1));
    assert_eq!(settings.notify.webhooks.len(), 1);
}

#[test]
fn the_documented_account_is_read_as_it_is_written() {
    let settings = good(
        r#"
        [accounts.main]
        platform = "official"
        app_id = "wx0123456789abcdef"
        secret = "0c79e1fa963cd80cc0be99b20a18faeb"
        token_mode = "classic"
        js_safe_domains = ["example.com", "example.org/shop"]
        js_api_list = ["updateAppMessageShareData", "chooseImage"]
        open_tag_list = ["wx-open-launch-weapp"]
        "#,
    );
    let [(name, account)] = &settings.accounts[..] else {
        panic!("{settings:?}")
    };
    assert_eq!(
        (name.as_str(), account.app_id(), account.secret().expose()),
        ("main", "wx0123456789abcdef", SECRET)
    );
    assert_eq!(
        (account.platform(), account.mode()),
        (Platform::Official, TokenMode::Classic)
    );
    assert_eq!(
        account
            .safe_domains()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["example.com", "example.org/shop"]
    );
    assert_eq!(
        account.js_apis(),
        ["updateAppMessageShareData", "chooseImage"]
    );
    assert_eq!(account.open_tags(), ["wx-open-launch-weapp"]);
}

#[test]
fn an_unknown_key_is_named_with_its_path_and_the_nearest_key() {
    for (text, path, meant) in [
        (
            "[server]\nlissten = \"127.0.0.1:1\"".to_owned(),
            "server.lissten",
            "did you mean listen?",
        ),
        (
            "[log]\nfromat = \"json\"".to_owned(),
            "log.fromat",
            "did you mean format?",
        ),
        (
            "[store]\nknd = \"memory\"".to_owned(),
            "store.knd",
            "did you mean kind?",
        ),
        (
            "[upstream]\nwexin = \"http://x\"".to_owned(),
            "upstream.wexin",
            "did you mean weixin?",
        ),
        (
            "[account_defaults]\ntoken_mod = \"stable\"".to_owned(),
            "account_defaults.token_mod",
            "did you mean token_mode?",
        ),
        (
            format!("{MAIN}token_mde = \"stable\""),
            "accounts.main.token_mde",
            "did you mean token_mode?",
        ),
        (
            "[sever]\nlisten = \"127.0.0.1:1\"".to_owned(),
            "sever",
            "did you mean server?",
        ),
        (
            "listen = \"127.0.0.1:1\"".to_owned(),
            "listen",
            "known settings: server, log, store, upstream",
        ),
        (
            format!("{MAIN}zzzzzzzz = 1"),
            "accounts.main.zzzzzzzz",
            "known settings: platform, app_id, secret",
        ),
    ] {
        let what = only(path, read(&text));
        assert!(what.contains(meant), "{path}{what}");
    }
}

#[test]
fn keys_keep_their_case() {
    assert!(
        only("server.Listen", read("[server]\nListen = \"127.0.0.1:1\""))
            .contains("did you mean listen?")
    );
    assert!(only("Server", read("[Server]\nworkers = 1")).contains("did you mean server?"));
}

#[test]
fn a_quoted_key_with_a_dot_or_an_index_is_one_unknown_key() {
    only("server.listen", read("\"server.listen\" = \"127.0.0.1:9\""));
    // Read as a path, this key would fill the memory with four billion values.
    only("accounts[4000000000]", read("\"accounts[4000000000]\" = 1"));
    only(
        "accounts[-9223372036854775808]",
        read("\"accounts[-9223372036854775808]\" = 1"),
    );
    assert_eq!(
        good("server.workers = 3").server.workers,
        3,
        "TOML's own dotted keys are paths"
    );
}

#[test]
fn every_setting_is_in_the_configuration_document_of_both_languages() {
    let (mut section, mut keys) = (String::new(), Vec::new());
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_end_matches(']'));
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            keys.push(format!("`{section}{key}`"));
        }
    }
    assert!(keys.len() > 30, "{keys:?}");
    for path in ["docs/CONFIGURATION.md", "docs/zh/CONFIGURATION.md"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
        let text = text.unwrap();
        let missing: Vec<_> = keys.iter().filter(|key| !text.contains(*key)).collect();
        assert!(missing.is_empty(), "{path}: {missing:?}");
    }
}
