//! The environment over the file.

use std::time::Duration;

use super::support::*;

#[test]
fn the_environment_wins_over_the_file() {
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:1\"\nworkers = 1\ndemo = false\n[account_defaults]\njs_api_list = [\"a\"]\n{MAIN}"
    );
    let settings = good_with(
        &text,
        &[
            ("WX_JSSDK__SERVER__LISTEN", "[::1]:2"),
            ("WX_JSSDK__SERVER__WORKERS", "2"),
            ("WX_JSSDK__SERVER__DEMO", "true"),
            (
                "WX_JSSDK__ACCOUNT_DEFAULTS__JS_API_LIST",
                "scanQRCode, chooseImage,,getLocation",
            ),
            (
                "WX_JSSDK__ACCOUNTS__MAIN__SECRET",
                "11112222333344445555666677778888",
            ),
            (
                "WX_JSSDK__ACCOUNTS__MAIN__JS_SAFE_DOMAINS",
                "example.org,example.net",
            ),
            ("WX_JSSDK__UPSTREAM__TIMEOUT_MS", "7000"),
        ],
    );
    assert_eq!(settings.server.listen.to_string(), "[::1]:2");
    assert_eq!((settings.server.workers, settings.server.demo), (2, true));
    assert_eq!(
        settings.default_apis,
        ["scanQRCode", "chooseImage", "getLocation"]
    );
    let (name, account) = &settings.accounts[0];
    assert_eq!(
        (name.as_str(), account.secret().expose()),
        ("main", "11112222333344445555666677778888")
    );
    assert_eq!(
        account.app_id(),
        "wx0123456789abcdef",
        "what the environment does not name stays"
    );
    assert_eq!(
        account
            .safe_domains()
            .iter()
            .map(|domain| domain.host())
            .collect::<Vec<_>>(),
        ["example.org", "example.net"]
    );
    assert_eq!(settings.upstream.timeout, Duration::from_secs(7));
}

#[test]
fn an_account_may_live_in_the_environment_alone() {
    let settings = good_with(
        "",
        &[
            ("WX_JSSDK__ACCOUNTS__SHOP_1__APP_ID", "wx0123456789abcdef"),
            (
                "WX_JSSDK__ACCOUNTS__SHOP_1__SECRET",
                "12345678901234567890123456789012",
            ),
            ("WX_JSSDK__ACCOUNTS__SHOP_1__JS_SAFE_DOMAINS", "example.com"),
        ],
    );
    let (name, account) = &settings.accounts[0];
    assert_eq!(name, "shop_1", "one underscore is part of the name");
    assert_eq!(
        account.secret().expose(),
        "12345678901234567890123456789012",
        "digits are a text"
    );
    assert_eq!(account.js_apis(), settings.default_apis);
}

#[test]
fn a_secret_or_secret_file_in_the_environment_replaces_either_one_in_the_file() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("main.secret");
    std::fs::write(&file, "22223333444455556666777788889999").unwrap();
    let file = file.to_str().unwrap();
    let of_file = MAIN.replace(
        "secret = \"0c79e1fa963cd80cc0be99b20a18faeb\"",
        "secret_file = \"gone\"",
    );
    assert!(read(&of_file).is_err() && of_file.contains("secret_file"));
    let secret = |text: &str, environment: &[(&str, &str)]| {
        good_with(text, environment).accounts[0]
            .1
            .secret()
            .expose()
            .to_owned()
    };
    let (by_value, by_file) = (
        "WX_JSSDK__ACCOUNTS__MAIN__SECRET",
        "WX_JSSDK__ACCOUNTS__MAIN__SECRET_FILE",
    );
    assert_eq!(
        secret(&of_file, &[(by_value, "11112222333344445555666677778888")]),
        "11112222333344445555666677778888"
    );
    assert_eq!(
        secret(MAIN, &[(by_file, file)]),
        "22223333444455556666777788889999"
    );
    let both = [
        (by_value, "11112222333344445555666677778888"),
        (by_file, file),
    ];
    let both = only("accounts.main.secret_file", read_with(MAIN, &both));
    assert!(
        both.contains("conflicts with secret"),
        "two in one place are a mistake there, too: {both}"
    );
    // The other account's stay as they are.
    let two = format!(
        "{MAIN}{}",
        named("shop").replace("wx0123456789abcdef", "wx00000000000000ff")
    );
    let settings = good_with(&two, &[(by_file, file)]);
    assert_eq!(settings.accounts[1].1.secret().expose(), SECRET);
}

#[test]
fn mistakes_in_the_environment_are_named_as_such() {
    for (name, value, path) in [
        ("WX_JSSDK__SERVER__WORKERS", "many", "server.workers"),
        ("WX_JSSDK__SERVER__WORKERS", "", "server.workers"),
        ("WX_JSSDK__SERVER__DEMO", "1", "server.demo"),
        ("WX_JSSDK__SERVER__LISSTEN", "x", "server.lissten"),
        ("WX_JSSDK__SERVER_LISTEN", "x", "server_listen"),
        ("WX_JSSDK__SERVER", "x", "server"),
        ("WX_JSSDK__SERVER__LISTEN__PORT", "1", "server.listen.port"),
        ("WX_JSSDK__ACCOUNTS__MAIN", "x", "accounts.main"),
        ("WX_JSSDK__", "x", ""),
        ("WX_JSSDK__A[4000000000]", "x", "a[4000000000]"),
    ] {
        let problems = read_with("", &[(name, value)]).expect_err(name);
        assert_eq!(problems.0.len(), 1, "{name}: {problems}");
        assert_eq!(problems.0[0].path, path, "{name}: {problems}");
    }
    let problems = read_with("", &[("WX_JSSDK__SERVER__LISSTEN", "x")])
        .unwrap_err()
        .to_string();
    assert!(
        problems.contains("from the environment") && problems.contains("环境变量"),
        "{problems}"
    );
    let problems = read_with("", &[("WX_JSSDK__SERVER__LISTEN__PORT", "1")])
        .unwrap_err()
        .to_string();
    assert_eq!(
        problems.matches("WX_JSSDK__SERVER__LISTEN__PORT").count(),
        2,
        "{problems}"
    );
}

#[test]
fn variables_of_others_are_none_of_our_business() {
    // Kubernetes sets the first two for a service that is named wx-jssdk.
    for name in [
        "WX_JSSDK_PORT",
        "WX_JSSDK_PORT_8080_TCP_ADDR",
        "wx_jssdk__server__workers",
        "XWX_JSSDK__SERVER__WORKERS",
        "PATH",
    ] {
        assert_eq!(
            good_with("", &[(name, "tcp://10.0.0.1:8080")])
                .server
                .workers,
            0,
            "{name}"
        );
    }
}

#[test]
fn a_secret_in_the_environment_is_printed_by_no_problem() {
    for name in [
        "WX_JSSDK__ACCOUNTS__MAIN__SECRETT",
        "WX_JSSDK__ACCOUNTS__MAIN",
        "WX_JSSDK__ACCOUNTS",
        "WX_JSSDK__SECRET",
    ] {
        paths(read_with(MAIN, &[(name, SECRET)]));
    }
    paths(read_with(
        MAIN,
        &[("WX_JSSDK__ACCOUNTS__MAIN__SECRET_FILE", SECRET)],
    ));
}
