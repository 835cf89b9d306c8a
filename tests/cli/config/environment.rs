//! Environment variables override the file.

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
        settings.account_defaults.list("js_api_list"),
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
        "digits are a string"
    );
    assert_eq!(
        account.js_apis(),
        settings.account_defaults.list("js_api_list")
    );
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
        "two in the environment are a mistake too: {both}"
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
    for name in [
        "WX_JSSDK__SERVER__LISSTEN",
        "WX_JSSDK__SERVER__LISTEN",
        "WX_JSSDK__SERVER__WORKERS",
        "WX_JSSDK__ACCOUNTS__MAIN__APP_ID",
    ] {
        let problems = read_with(MAIN, &[(name, ":8080")]).unwrap_err().to_string();
        assert!(
            problems.contains(&format!("(from the environment: {name})"))
                && problems.contains(&format!("（来自环境变量 {name}）")),
            "{problems}"
        );
    }
    let problems = read_with(
        "server.workers = -1",
        &[("WX_JSSDK__SERVER__LISTEN", ":8080")],
    );
    let problems = problems.unwrap_err().to_string();
    let of_file = problems.lines().find(|line| line.contains("whole number"));
    assert!(
        !of_file.unwrap().contains("environment"),
        "of the file: {problems}"
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
fn variables_of_other_programs_are_ignored() {
    // Kubernetes sets these for services named wx-jssdk and wx-jssdk-admin.
    for name in [
        "WX_JSSDK_PORT",
        "WX_JSSDK_PORT_8080_TCP",
        "WX_JSSDK_PORT_8080_TCP_PROTO",
        "WX_JSSDK_PORT_8080_TCP_PORT",
        "WX_JSSDK_PORT_8080_TCP_ADDR",
        "WX_JSSDK_SERVICE_HOST",
        "WX_JSSDK_SERVICE_PORT",
        "WX_JSSDK_SERVICE_PORT_HTTP",
        "WX_JSSDK_ADMIN_PORT",
        "WX_JSSDK_ADMIN_PORT_8081_TCP_ADDR",
        "WX_JSSDK_ADMIN_SERVICE_HOST",
        "WX_JSSDK_API_KEY",
        "WX_JSSDK_URL",
        "WX_JSSDK_COMMIT",
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
fn no_problem_prints_a_secret_from_the_environment() {
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

#[test]
fn an_unknown_variable_is_an_error_that_names_the_nearest_setting() {
    for (name, nearest) in [
        ("WX_JSSDK_SERVER__LISTEN", "WX_JSSDK__SERVER__LISTEN"),
        ("WX_JSSDK_SERVER_LISTEN", "WX_JSSDK__SERVER__LISTEN"),
        (
            "WX_JSSDK_SERVER_ADMIN_LISTN",
            "WX_JSSDK__SERVER__ADMIN_LISTEN",
        ),
        ("WX_JSSDK_STORE_URL", "WX_JSSDK__STORE__URL"),
        (
            "WX_JSSDK_ACCOUNTS__MAIN__SECRET",
            "WX_JSSDK__ACCOUNTS__MAIN__SECRET",
        ),
        (
            "WX_JSSDK_ACCOUNTS_MAIN_SECRET",
            "WX_JSSDK__ACCOUNTS__NAME__KEY",
        ),
        (
            "WX_JSSDK_SERVER__API_KEYS__CRM__SHA256",
            "WX_JSSDK__SERVER__API_KEYS__CRM__SHA256",
        ),
        ("WX_JSSDK_FOO", "WX_JSSDK__SERVER__LISTEN"), // as an example
        ("WX_JSSDK_PORT", "WX_JSSDK__SERVER__LISTEN"), // not Kubernetes's: that is an address
    ] {
        let text = only(name, read_with(MAIN, &[(name, "8080")]));
        assert!(
            text.contains("unknown environment variable") && text.contains(nearest),
            "{text}"
        );
    }
    for (name, path, nearest) in [
        (
            "WX_JSSDK__SERVER_LISTEN",
            "server_listen",
            "WX_JSSDK__SERVER__LISTEN",
        ),
        (
            "WX_JSSDK__SERVER__LISSTEN",
            "server.lissten",
            "WX_JSSDK__SERVER__LISTEN",
        ),
        ("WX_JSSDK__LISTEN", "listen", "known settings: "),
        (
            "WX_JSSDK__ACCOUNTS__MAIN__SECRETT",
            "accounts.main.secrett",
            "WX_JSSDK__ACCOUNTS__MAIN__SECRET",
        ),
    ] {
        let text = only(path, read_with(MAIN, &[(name, "x")]));
        assert!(
            text.contains("from the environment") && text.contains(nearest),
            "{text}"
        );
    }
}

#[test]
fn an_unknown_key_of_a_named_section_is_not_suggested_again() {
    for (section, key) in [
        ("accounts.main", "colour"),
        ("platforms.agency", "colour"),
        ("notify.webhooks.ops", "colour"),
        ("server.api_keys.crm", "colour"),
    ] {
        let path = format!("{section}.{key}");
        let name = format!("WX_JSSDK__{}", path.to_uppercase().replace('.', "__"));
        let problems = read_with(MAIN, &[(name.as_str(), "x")]).unwrap_err();
        let problem = problems.0.iter().find(|problem| problem.path == path);
        let what = &problem.unwrap_or_else(|| panic!("{problems}")).what.en;
        assert!(
            what.contains("known settings: ") && !what.contains("did you mean"),
            "{what}"
        );
    }
}

#[test]
fn api_keys_may_live_in_the_environment_alone() {
    let (key, other) = (hash("a"), hash("b"));
    let settings = good_with(
        MAIN,
        &[
            ("WX_JSSDK__SERVER__API_KEYS__CRM__SHA256", &key),
            ("WX_JSSDK__SERVER__API_KEYS__CRM__ACCOUNTS", "main"),
            (
                "WX_JSSDK__SERVER__API_KEYS__CRM__KINDS",
                "access_token,jsapi_ticket",
            ),
            (
                "WX_JSSDK__SERVER__API_KEYS__CRM__CALLS",
                "/cgi-bin/message/, POST /wxa/getwxacodeunlimit",
            ),
            ("WX_JSSDK__SERVER__API_KEYS__SHOP_1__SHA256", &other),
        ],
    );
    let lines = format!(
        "[[server.api_keys]]\nname = \"crm\"\nsha256 = \"{key}\"\naccounts = [\"main\"]\n\
         kinds = [\"access_token\", \"jsapi_ticket\"]\n\
         calls = [\"/cgi-bin/message/\", \"POST /wxa/getwxacodeunlimit\"]\n\
         [[server.api_keys]]\nname = \"shop_1\"\nsha256 = \"{other}\"\n{MAIN}"
    );
    assert_eq!(
        format!("{:?}", settings.server.api_keys),
        format!("{:?}", good(&lines).server.api_keys)
    );
}

#[test]
fn an_api_key_in_the_environment_changes_the_files_key_of_that_name() {
    let text = format!(
        "[[server.api_keys]]\nname = \"Crm\"\nsha256 = \"{}\"\nkinds = [\"access_token\"]\n{MAIN}",
        hash("a")
    );
    let changed = text.replace(&hash("a"), &hash("b"));
    let variable = ("WX_JSSDK__SERVER__API_KEYS__CRM__SHA256", &*hash("b"));
    assert_eq!(
        format!("{:?}", good_with(&text, &[variable]).server.api_keys),
        format!("{:?}", good(&changed).server.api_keys)
    );
}

#[test]
fn a_variable_of_an_api_key_in_the_file_is_named_in_its_problems() {
    let text = format!(
        "[[server.api_keys]]\nname = \"Crm\"\nsha256 = \"{}\"\n{MAIN}",
        hash("a")
    );
    for key in ["sha256", "kindz"] {
        let name = format!("WX_JSSDK__SERVER__API_KEYS__CRM__{}", key.to_uppercase());
        let result = read_with(&text, &[(name.as_str(), "x")]);
        let what = only(&format!("server.api_keys.Crm.{key}"), result);
        assert!(
            what.contains(&format!("(from the environment: {name})")),
            "{what}"
        );
    }
}

#[test]
fn mistakes_in_an_api_key_of_the_environment_are_reported_by_its_name() {
    for (variable, path) in [
        ("CRM__SHA256", "server.api_keys.crm.sha256"),
        ("CRM__KIND", "server.api_keys.crm.kind"),
        ("CRM__ACCOUNTS", "server.api_keys.crm.accounts"),
        ("CRM", "server.api_keys.crm"),
    ] {
        let sha256 = ("WX_JSSDK__SERVER__API_KEYS__CRM__SHA256", &*hash("a"));
        let wrong = format!("WX_JSSDK__SERVER__API_KEYS__{variable}");
        only(path, read_with(MAIN, &[sha256, (&wrong, "other")]));
    }
    let text = only(
        "server.api_keys.crm.sha256",
        read_with(
            MAIN,
            &[("WX_JSSDK__SERVER__API_KEYS__CRM__KINDS", "access_token")],
        ),
    );
    assert!(text.contains("is missing"), "{text}");
}

#[test]
fn verification_files_are_a_list_in_the_environment() {
    let variable = "WX_JSSDK__ACCOUNTS__MAIN__VERIFY_FILES";
    let value = "MP_verify_AbCdEfGh12345678.txt=AbCdEfGh12345678, WW_verify_0123456789abcdef.txt=0123456789abcdef";
    let settings = good_with(MAIN, &[(variable, value)]);
    let files = settings.accounts[0].1.verify_files();
    let names: Vec<_> = files.iter().map(|file| file.name()).collect();
    assert_eq!(
        names,
        [
            "MP_verify_AbCdEfGh12345678.txt",
            "WW_verify_0123456789abcdef.txt"
        ]
    );
    assert_eq!(&**files[0].content(), "AbCdEfGh12345678");
    only(
        "accounts.main.verify_files",
        read_with(MAIN, &[(variable, "MP_verify_AbCdEfGh12345678.txt")]),
    );
}

/// Returns 64 hex digits.
fn hash(digit: &str) -> String {
    digit.repeat(64)
}
