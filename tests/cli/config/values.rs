//! Types, ranges, addresses; and every mistake at once.

use std::path::Path;

use wx_jssdk::server::config::StoreKind;

use super::support::*;

#[test]
fn a_wrong_type_is_named_with_its_path() {
    for (text, path) in [
        ("[server]\nlisten = 8080", "server.listen"),
        ("[server]\nworkers = \"many\"", "server.workers"),
        ("[server]\nworkers = 1.5", "server.workers"),
        (
            "[server]\nshutdown_seconds = true",
            "server.shutdown_seconds",
        ),
        ("[server]\ndefault_account = 1", "server.default_account"),
        ("[server]\ndemo = 1", "server.demo"),
        ("[server]\nreadiness = \"most\"", "server.readiness"),
        ("[server]\ndemo = \"yes\"", "server.demo"),
        ("[log]\nlevel = 3", "log.level"),
        ("[log]\nformat = []", "log.format"),
        ("[store]\nkind = true", "store.kind"),
        ("[upstream]\nweixin = 1", "upstream.weixin"),
        ("[upstream]\ntimeout_ms = []", "upstream.timeout_ms"),
        (
            "[account_defaults]\njs_api_list = [1, true]",
            "account_defaults.js_api_list",
        ),
    ] {
        only(path, read(text));
    }
    for (line, key) in [
        ("app_id = 123", "app_id"),
        ("secret = 12345678", "secret"),
        ("js_safe_domains = [1]", "js_safe_domains"),
        ("js_safe_domains = 1", "js_safe_domains"),
        ("js_safe_domains = [[\"example.com\"]]", "js_safe_domains"),
    ] {
        let kept: Vec<_> = MAIN
            .lines()
            .filter(|own| !own.starts_with(&format!("{key} =")))
            .collect();
        only(
            &format!("accounts.main.{key}"),
            read(&format!("{}\n{line}", kept.join("\n"))),
        );
    }
}

#[test]
fn a_wrong_type_for_a_section_is_one_problem() {
    for section in ["server", "log", "store", "upstream", "account_defaults"] {
        for value in ["1", "\"x\"", "[]", "true"] {
            assert!(
                only(section, read(&format!("{section} = {value}")))
                    .contains(&format!("[{section}]"))
            );
        }
    }
    only("server", read("[[server]]\nlisten = \"127.0.0.1:1\""));
}

#[test]
fn keys_without_the_name_of_their_section_are_one_problem() {
    let keys = "app_id = \"wx0123456789abcdef\"\nx = [\"a\"]\n";
    for section in ["accounts", "platforms", "notify.webhooks"] {
        let header = format!("[{section}.NAME]");
        let what = only(section, read(&format!("[{section}]\n{keys}")));
        let start = format!(": app_id, x: must be in a section with a name: write {header}");
        assert!(what.starts_with(&start), "{what}");
        let what = only(section, read(&format!("[[{section}]]\n{keys}")));
        assert!(what.contains(&header), "{what}");
    }
    let default = "server.default_account = \"main\"\n";
    only("accounts", read(&format!("{default}[accounts]\n{keys}")));
    let what = only("server.api_keys[0]", read("server.api_keys = [\"x\"]"));
    assert!(what.ends_with(": [[server.api_keys]]"), "{what}");
}

#[test]
fn numbers_out_of_range_are_named_with_the_range() {
    for (key, values, range) in [
        (
            "server.workers",
            &["-1", "1025", "9223372036854775807"][..],
            "from 0 to 1024",
        ),
        ("server.shutdown_seconds", &["-1", "3601"], "from 0 to 3600"),
        (
            "upstream.connect_timeout_ms",
            &["0", "60001"],
            "from 1 to 60000",
        ),
        ("upstream.timeout_ms", &["0", "-5"], "from 1 to 60000"),
    ] {
        for value in values {
            assert!(
                only(key, read(&format!("{key} = {value}"))).contains(range),
                "{key} = {value}"
            );
        }
    }
    only(
        "the configuration",
        read("server.workers = 99999999999999999999"),
    );
    let work = format!(
        "{}platform = \"work\"\nagent_id = 0",
        MAIN.replace("app_id", "corp_id")
    );
    only("accounts.main.agent_id", read(&work));
    only(
        "accounts.main.agent_id",
        read(&work.replace("agent_id = 0", "")),
    );
}

#[test]
fn a_bad_listen_address_is_named_with_an_example_in_both_languages() {
    for address in [
        "",
        "8080",
        ":8080",
        "localhost:8080",
        "127.0.0.1",
        "127.0.0.1:65536",
        "http://127.0.0.1:80",
        "::1:80 ",
    ] {
        let result = read(&format!("server.listen = \"{address}\""));
        let printed = result.as_ref().unwrap_err().to_string();
        only("server.listen", result);
        assert_eq!(printed.matches("127.0.0.1:8080").count(), 2, "{printed}");
    }
    for address in ["0.0.0.0:0", "[::1]:80", "[::]:8080"] {
        assert_eq!(
            good(&format!("server.listen = \"{address}\""))
                .server
                .listen
                .to_string(),
            address
        );
    }
}

#[test]
fn a_bad_upstream_is_refused_and_a_valid_one_loses_its_trailing_slash() {
    for url in [
        "",
        "api.weixin.qq.com",
        "ftp://x",
        "https://",
        "https://x/?a=1",
        "https://x/#a",
        "https://user:hunter2@x",
        "https://x，y",
        "file:///x",
    ] {
        for (key, value) in [
            ("upstream.weixin", format!("\"{url}\"")),
            ("upstream.qyapi", format!("\"{url}\"")),
            ("upstream.fallback", format!("[\"{url}\"]")),
        ] {
            let what = only(key, read(&format!("{key} = {value}")));
            assert!(!what.contains("hunter2"), "{what}");
        }
    }
    assert_eq!(
        good("upstream.weixin = \"http://127.0.0.1:9/wx/\"")
            .upstream
            .weixin,
        "http://127.0.0.1:9/wx"
    );
}

#[test]
fn each_store_kind_requires_its_own_settings() {
    let kind = |text: &str| good(text).store.kind;
    assert_eq!(kind("store.kind = \"memory\""), StoreKind::Memory);
    assert!(
        matches!(kind("store.path = \"/x\""), StoreKind::File(path) if path == Path::new("/x"))
    );
    let redis = kind("store.kind = \"redis\"\nstore.url = \"redis://127.0.0.1:6379/0\"");
    assert!(matches!(redis, StoreKind::Redis(url) if url.expose() == "redis://127.0.0.1:6379/0"));
    only("store.path", read("store.path = \"\""));
    only("store.url", read("store.kind = \"redis\""));
    assert!(only("store.kind", read("store.kind = \"sqlite\"")).contains("memory, file, redis"));
}

#[test]
fn an_address_or_password_that_the_kind_of_store_does_not_use_is_refused() {
    let url = "url = \"redis://:hunter2@h/0\"";
    for (key, lines) in [
        ("store.url", url.to_owned()),
        ("store.url", format!("kind = \"memory\"\n{url}")),
        (
            "store.password_file",
            "password_file = \"/none\"".to_owned(),
        ),
    ] {
        let what = only(key, read(&format!("[store]\n{lines}")));
        assert!(what.contains("store.kind = \"redis\""), "{what}");
        assert!(!what.contains("hunter2"), "{what}");
    }
    let set_url = ("WX_JSSDK__STORE__URL", "redis://h/0");
    only("store.url", read_with("", &[set_url]));
    let memory = ("WX_JSSDK__STORE__KIND", "memory");
    only("store.url", read_with("", &[memory, set_url]));
    let redis = format!("[store]\nkind = \"redis\"\n{url}\npassword_file = \"\"\n");
    let settings = good_with(&redis, &[memory]);
    assert_eq!(settings.store.kind, StoreKind::Memory, "a trial elsewhere");
    good_with(
        "[store]\nurl = \"redis://h/0\"",
        &[("WX_JSSDK__STORE__URL", "")],
    );
}

#[test]
fn a_misspelt_log_level_is_refused_instead_of_silencing_the_log() {
    for level in [
        "off",
        "ERROR",
        "warn",
        "info",
        "debug",
        "trace",
        "info,wx_jssdk=debug",
        "warn,wx_jssdk::broker=trace",
    ] {
        assert_eq!(good(&format!("log.level = \"{level}\"")).log.level, level);
    }
    let spaced = good("log.level = \"info, wx_jssdk = debug\"").log.level;
    assert_eq!(spaced, "info,wx_jssdk=debug");
    for level in [
        "",
        "inof",
        "info,",
        "wx_jssdk=loud",
        "info;debug",
        "verbose",
        "info,wx_jssdk=",
        "wx_jssdk[span]=debug",
    ] {
        assert!(
            only("log.level", read(&format!("log.level = \"{level}\"")))
                .contains("info,wx_jssdk=debug"),
            "{level}"
        );
    }
    assert!(good("log.format = \"json\"").log.json);
}

#[test]
fn ten_mistakes_are_ten_named_paths() {
    let text = r#"
        colour = "red"
        [server]
        listen = "nowhere"
        workers = -1
        demo = "perhaps"
        [log]
        format = "xml"
        [store]
        kind = "sqlite"
        [upstream]
        weixin = "api.weixin.qq.com"
        [accounts.main]
        app_id = "no id"
        js_safe_domains = ["https://example.com"]
        js_apilist = []
    "#;
    let mut found = paths(read(text));
    found.sort();
    assert_eq!(
        found,
        [
            "accounts.main.app_id",
            "accounts.main.js_apilist",
            "accounts.main.js_safe_domains",
            "accounts.main.secret",
            "colour",
            "log.format",
            "server.demo",
            "server.listen",
            "server.workers",
            "store.kind",
            "upstream.weixin",
        ]
    );
}

#[test]
fn a_mistake_of_a_section_hides_no_other_problem_of_it() {
    let server = "trusted_proxies = [\"x\"]\nclient_ip_header = \"a b\"\ndefault_account = \"x\"";
    assert_eq!(
        paths(read(&format!("[server]\n{server}\n"))),
        [
            "server.client_ip_header",
            "server.trusted_proxies",
            "server.default_account"
        ]
    );
    only("server.trusted_proxies", read("server.trusted_proxies = 1"));
    let upstream = "[upstream]\nweixin = \"http://127.0.0.1:8080\"\ntimeout_ms = 0\n";
    assert_eq!(
        paths(read(&format!("server.workers = -1\n{upstream}"))),
        ["server.workers", "upstream.timeout_ms", "upstream.weixin"]
    );
    let account = MAIN.replace("example.com", "https://example.com");
    assert_eq!(
        paths(read(&format!("{account}js_api_list = 1\n"))),
        ["accounts.main.js_api_list", "accounts.main.js_safe_domains"]
    );
}

#[test]
fn a_message_url_of_this_server_is_named_beside_a_mistake_of_the_server() {
    let agency = "[platforms.agency]\nmessages_url = \"http://127.0.0.1:8080/\"\n";
    let found = paths(read(&format!("server.workers = -1\n{agency}")));
    for path in ["server.workers", "platforms.agency.messages_url"] {
        assert!(found.iter().any(|it| it == path), "{path}: {found:?}");
    }
}

#[test]
fn a_wrong_list_neither_hides_nor_adds_other_problems() {
    let text = MAIN.replace("[\"example.com\"]", "7").replace(SECRET, "");
    assert_eq!(
        paths(read(&text)),
        ["accounts.main.secret", "accounts.main.js_safe_domains"]
    );
}

#[test]
fn an_encryption_key_is_read_from_its_file_and_never_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store.key");
    let setting = format!("store.encryption_key_file = \"{}\"", file.display());
    std::fs::write(&file, format!("\u{feff}{}\n", "0a".repeat(32))).unwrap();
    let encryption = good(&setting).store.encryption;
    assert!(encryption.current.is_some() && !encryption.accept_unencrypted);
    let accepting = good(&format!("{setting}\nstore.accept_unencrypted = true"));
    assert!(accepting.store.encryption.accept_unencrypted);
    assert_eq!(good("").store.encryption, Default::default());
    std::fs::write(&file, "hunter2").unwrap();
    let problems = read(&setting).unwrap_err().to_string();
    assert!(problems.contains("store.encryption_key_file") && problems.contains("openssl"));
    assert!(!problems.contains("hunter2"), "{problems}");
    only(
        "store.previous_encryption_key_file",
        read("store.previous_encryption_key_file = \"/none\""),
    );
}

#[test]
fn a_password_in_a_file_goes_into_the_stores_url() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "\u{feff} p@ss /word \r\n").unwrap();
    for (kind, url, expected) in [
        (
            "sql",
            "postgres://wx@db/x",
            "postgres://wx:p%40ss%20%2Fword@db/x",
        ),
        (
            "sql",
            "mysql://wx:@db/x",
            "mysql://wx:p%40ss%20%2Fword@db/x",
        ),
        (
            "sql",
            "postgres://wx@db/x?application_name=a:b@c",
            "postgres://wx:p%40ss%20%2Fword@db/x?application_name=a:b@c",
        ),
        (
            "redis",
            "redis+sentinel://h,i/m?sentinel_password=a:b@c",
            "redis+sentinel://:p%40ss%20%2Fword@h,i/m?sentinel_password=a:b@c",
        ),
        (
            "redis",
            "redis://h:6379/0",
            "redis://:p%40ss%20%2Fword@h:6379/0",
        ),
        (
            "redis",
            "redis+unix:///run/redis.sock",
            "redis+unix:///run/redis.sock?pass=p%40ss%20%2Fword",
        ),
        (
            "redis",
            "redis+unix:///run/redis.sock?db=1",
            "redis+unix:///run/redis.sock?db=1&pass=p%40ss%20%2Fword",
        ),
        (
            "sql",
            "postgres:///x?host=/run/postgresql",
            "postgres:///x?host=/run/postgresql&password=p%40ss%20%2Fword",
        ),
    ] {
        let file = file.display();
        let settings = good(&format!(
            "[store]\nkind = \"{kind}\"\nurl = \"{url}\"\npassword_file = \"{file}\""
        ));
        match settings.store.kind {
            StoreKind::Sql { url, table_prefix } => {
                assert_eq!(
                    (url.expose(), table_prefix.as_str()),
                    (expected, "wx_jssdk_")
                );
            }
            StoreKind::Redis(url) => assert_eq!(url.expose(), expected),
            other => panic!("{other:?}"),
        }
    }
    only("store.url", read("store.kind = \"sql\""));
    only(
        "store.password_file",
        read("store.password_file = \"/none\""),
    );
}

#[test]
fn a_password_file_of_an_sqlite_store_is_refused() {
    let store = |url: &str, file: &str| {
        format!("[store]\nkind = \"sql\"\nurl = \"{url}\"\npassword_file = \"{file}\"\n")
    };
    for url in ["sqlite:///x.sqlite", "sqlite:x.sqlite"] {
        let what = only("store.password_file", read(&store(url, "/none")));
        assert!(what.contains("not used by sqlite"), "{what}");
        for (text, environment) in [
            (store(url, ""), ("WX_JSSDK__STORE__KIND", "sql")),
            (
                store("postgres://wx@db/x", "/none"),
                ("WX_JSSDK__STORE__URL", url),
            ),
        ] {
            match good_with(&text, &[environment]).store.kind {
                StoreKind::Sql { url: opened, .. } => assert_eq!(opened.expose(), url),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_password_of_the_environment_wins_over_that_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password").display().to_string();
    std::fs::write(&file, "in-file").unwrap();
    let store = |url: &str, file: &str| {
        format!("[store]\nkind = \"redis\"\nurl = \"{url}\"\npassword_file = \"{file}\"\n")
    };
    let (with, without) = ("redis://:in-url@h/0", "redis://h/0");
    let (url, password) = ("WX_JSSDK__STORE__URL", "WX_JSSDK__STORE__PASSWORD_FILE");
    for (text, environment, expected) in [
        (store(without, &file), (url, with), with),
        (store(without, "/none"), (url, with), with),
        (
            store(with, ""),
            (password, file.as_str()),
            "redis://:in-file@h/0",
        ),
        (store(with, &file), (url, without), "redis://:in-file@h/0"),
    ] {
        match good_with(&text, &[environment]).store.kind {
            StoreKind::Redis(url) => assert_eq!(url.expose(), expected, "{text}"),
            other => panic!("{other:?}"),
        }
    }
    let both = [(url, with), (password, file.as_str())];
    for result in [
        read(&store(with, &file)),
        read_with("store.kind = \"redis\"", &both),
    ] {
        assert!(only("store.password_file", result).contains("conflicts with the password"));
    }
    for url in ["postgres://h/d?password=x", "redis+unix:///s?pass=x"] {
        let result = read(&store(url, &file));
        assert!(only("store.password_file", result).contains("conflicts with the password"));
    }
    only("store.password_file", read(&store(without, "/none")));
}
