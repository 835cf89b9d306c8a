//! Sources of secrets, and that secrets are never printed.

use std::collections::HashMap;

use wx_jssdk::server::config::Settings;

use super::support::*;

#[test]
fn a_missing_secret_is_named_with_both_ways_to_give_one() {
    let what = only("accounts.main.secret", read(&MAIN.replace("secret =", "#")));
    assert!(
        what.contains("secret_file = ") && what.contains("secret = "),
        "{what}"
    );
}

#[test]
fn a_secret_file_is_relative_to_the_configuration_and_loses_its_last_newline() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("run")).unwrap();
    for content in [
        SECRET.to_owned(),
        format!("{SECRET}\n"),
        format!("{SECRET}\r\n"),
        format!("\u{feff}{SECRET}\n"),
    ] {
        std::fs::write(home.path().join("run/main"), &content).unwrap();
        let text = MAIN.replace(
            &format!("secret = \"{SECRET}\""),
            "secret_file = \"run/main\"",
        );
        let path = home.path().join("wx-jssdk.toml");
        std::fs::write(&path, text).unwrap();
        let settings = Settings::load(Some(&path))
            .unwrap_or_else(|problems| panic!("{content:?}: {problems}"));
        assert_eq!(
            settings.accounts[0].1.secret().expose(),
            SECRET,
            "{content:?}"
        );
    }
}

#[test]
fn an_unreadable_secret_file_is_named_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    for (file, reason) in [("./nowhere", "No such file"), ("./", "directory")] {
        let text = MAIN.replace(
            &format!("secret = \"{SECRET}\""),
            &format!("secret_file = \"{file}\""),
        );
        let result = Settings::read(&text, home.path(), HashMap::new());
        let what = only("accounts.main.secret_file", result);
        assert!(what.contains(reason) && what.contains(file), "{what}");
    }
}

#[test]
fn a_secret_file_that_cannot_be_read_is_named_with_its_directory_and_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().to_str().unwrap();
    std::fs::create_dir(home.path().join("sub")).unwrap();
    std::fs::write(home.path().join("gbk"), b"\xb9\xab").unwrap();
    for (file, words, is_advised) in [
        (
            "main.secret",
            "the file cannot be read in DIR: No such",
            true,
        ),
        ("~/main.secret", "~ is not expanded", false),
        (
            "sub",
            "\"sub\" cannot be read in DIR: Is a directory",
            false,
        ),
        (
            "gbk",
            "\"gbk\" cannot be read in DIR: it is not UTF-8",
            false,
        ),
        ("./none", "\"./none\" cannot be read in DIR: No such", false),
        ("/none", "\"/none\" cannot be read: No such", false),
        ("", "is empty: write the path of a file", false),
    ] {
        let text = MAIN.replace(
            &format!("secret = \"{SECRET}\""),
            &format!("secret_file = \"{file}\""),
        );
        let result = Settings::read(&text, home.path(), HashMap::new());
        let what = only("accounts.main.secret_file", result);
        assert!(what.contains(&words.replace("DIR", directory)), "{what}");
        assert_eq!(what.contains("the secret itself"), is_advised, "{what}");
    }
}

#[test]
fn a_non_text_secret_file_is_refused_without_quoting_it() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("main"), b"\xff\xfe0c79e1fa").unwrap();
    let text = MAIN.replace(&format!("secret = \"{SECRET}\""), "secret_file = \"main\"");
    let what = only(
        "accounts.main.secret_file",
        Settings::read(&text, home.path(), HashMap::new()),
    );
    assert!(what.contains("UTF-8") && !what.contains("0c79"), "{what}");
}

#[test]
fn a_secret_given_in_place_of_its_file_name_is_not_printed() {
    let platform = "[platforms.agency]\napp_id = \"wx1111111111111111\"\nsecret = \"x\"\n\
        authorize_url = \"https://a.example.com/\"\n";
    for (path, set, value, advice) in [
        (
            "accounts.main.secret_file",
            "",
            SECRET,
            "write secret instead",
        ),
        (
            "platforms.agency.push_token_file",
            platform,
            "MyPushToken2024",
            "write push_token instead",
        ),
        (
            "platforms.agency.aes_key_file",
            platform,
            "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
            "write aes_key instead",
        ),
        (
            "upstream.proxy_password_file",
            "[upstream]\nproxy = \"http://p:1\"\nproxy_user = \"u\"\n",
            "p@ss/w0rd.",
            "write proxy_password instead",
        ),
        (
            "notify.webhooks.ops.url_file",
            "[notify.webhooks.ops]\ntype = \"json\"\n",
            "https://x.example.com/hook?key=693a91f6",
            "write url instead",
        ),
        (
            "store.password_file",
            "[store]\nkind = \"redis\"\n",
            "p@ss/w0rd.",
            "not the secret itself",
        ),
        (
            "store.encryption_key_file",
            "[store]\n",
            "0a0b0c0d0e0f0a0b0c0d0e0f0a0b0c0d0e0f0a0b0c0d0e0f0a0b0c0d0e0f0a0b",
            "not the secret itself",
        ),
    ] {
        let key = path.rsplit('.').next().unwrap();
        let text = match set {
            "" => MAIN.replace("secret =", "secret_file ="),
            set => format!("{MAIN}{set}{key} = \"{value}\"\n"),
        };
        let problems = read(&text).unwrap_err();
        let problem = problems.0.iter().find(|problem| problem.path == path);
        let problem = problem.unwrap_or_else(|| panic!("{path}: {problems}"));
        assert!(problem.what.en.contains(advice), "{problem:?}");
        let printed = format!("{problems}{problems:?}");
        assert!(!printed.contains(value), "{printed}");
    }
}

#[test]
fn a_secret_or_a_files_content_in_the_place_of_a_path_is_not_printed() {
    let pem = "-----BEGIN PRIVATE KEY-----\nhunter2+MIGHAgEA\n-----END PRIVATE KEY-----\n";
    let der = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/hunter2";
    for (path, value) in [
        ("server.tls.cert", pem),
        ("server.tls.key", pem),
        ("server.admin_tls.cert", der),
        ("server.admin_tls.key", der),
        ("accounts_dir", SECRET),
        ("store.path", SECRET),
        ("store.path", "secrets/hunter2hunter2hunter2hunter2hunter2"),
        ("store.path", "redis://:hunter2@h/0"),
    ] {
        let variable = format!("WX_JSSDK__{}", path.replace('.', "__").to_uppercase());
        let quoted = value.replace('\n', "\\n");
        for result in [
            read(&format!("{path} = \"{quoted}\"\n{MAIN}")),
            read_with(MAIN, &[(variable.as_str(), value)]),
        ] {
            let problems = result.expect_err(path);
            let printed = format!("{problems}{problems:?}");
            assert!(!printed.contains("hunter2"), "{printed}");
            let what = only(path, Err(problems));
            assert!(what.contains("write the path of a file"), "{what}");
        }
    }
    for path in [
        "accounts.d",
        "/run/secrets/the-private-key-of-the-listener",
        "./certificates/the-private-key-of-the-listener",
        "config/production/wechat-accounts",
        "secrets/production/wx-jssdk/tls-key",
        "certificates/the-private-key-of-the-listener.pem",
    ] {
        good(&format!("store.path = \"{path}\""));
    }
}

#[test]
fn a_url_with_a_password_or_a_query_in_the_place_of_a_word_is_not_printed() {
    for kind in ["redis+unix:///s?pass=hunter2", "redis://:hunter2@h/0"] {
        let what = only("store.kind", read(&format!("store.kind = \"{kind}\"")));
        assert!(!what.contains("hunter2"), "{what}");
    }
}

#[test]
fn secret_and_secret_file_together_are_refused() {
    let what = only(
        "accounts.main.secret_file",
        read(&format!("{MAIN}secret_file = \"x\"")),
    );
    assert!(what.contains("conflicts with secret"), "{what}");
}

#[test]
fn an_empty_or_blank_secret_is_refused_from_every_source() {
    for (secret, why) in [
        ("", "empty"),
        ("  ", "empty"),
        ("ab cd", "blanks"),
        ("密钥", "an AppSecret never has"),
    ] {
        let what = only("accounts.main.secret", read(&MAIN.replace(SECRET, secret)));
        assert!(what.contains(why), "{secret:?}: {what}");
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("main"), secret).unwrap();
        let text = MAIN.replace(&format!("secret = \"{SECRET}\""), "secret_file = \"main\"");
        let what = only(
            "accounts.main.secret_file",
            Settings::read(&text, home.path(), HashMap::new()),
        );
        assert!(what.contains(why), "{secret:?}: {what}");
    }
}

#[test]
fn neither_settings_nor_problems_print_a_secret() {
    let text =
        format!("{MAIN}[store]\nkind = \"redis\"\nurl = \"redis://:{SECRET}@127.0.0.1:6379/0\"");
    let printed = format!("{:?}", good(&text));
    assert!(
        printed.contains("wx0123456789abcdef") && !printed.contains(SECRET),
        "{printed}"
    );
    for mistake in [
        MAIN.replace("example.com", "https://example.com"),
        MAIN.replace("secret =", "secrett ="),
        MAIN.replace("secret =", "token_mode ="),
        MAIN.replace(
            &format!("secret = \"{SECRET}\""),
            &format!("secret = [\"{SECRET}\"]"),
        ),
        text.replace("kind = \"redis\"", "kind = \"rediss\""),
        text.replace(
            &format!("url = \"redis://:{SECRET}@127.0.0.1:6379/0\""),
            &format!("url = {{ \"{SECRET}\" = 1 }}"),
        ),
        format!("{MAIN}[upstream]\nweixin = \"http://user:{SECRET}@proxy/?x\""),
    ] {
        paths(read(&mistake)); // looks for the secret
    }
}

#[test]
fn an_empty_file_of_a_secret_is_refused_wherever_it_is_named() {
    let home = tempfile::tempdir().unwrap();
    let robot = "[notify.webhooks.ops]\ntype = \"dingtalk\"\n";
    let url = "url = \"https://x.example.com/hook\"\n";
    for content in ["", "\n", "\u{feff} \r\n"] {
        std::fs::write(home.path().join("empty"), content).unwrap();
        for (path, text) in [
            (
                "notify.webhooks.ops.secret_file",
                format!("{robot}{url}secret_file = \"empty\""),
            ),
            (
                "notify.webhooks.ops.url_file",
                format!("{robot}url_file = \"empty\""),
            ),
            (
                "store.password_file",
                "[store]\nkind = \"redis\"\nurl = \"redis://h/0\"\npassword_file = \"empty\"".into(),
            ),
            (
                "upstream.proxy_password_file",
                "[upstream]\nproxy = \"http://p:1\"\nproxy_user = \"u\"\nproxy_password_file = \"empty\"".into(),
            ),
        ] {
            let result = Settings::read(&format!("{MAIN}{text}\n"), home.path(), HashMap::new());
            let what = only(path, result);
            assert!(what.contains("empty"), "{what}");
        }
    }
    let empty = format!("{MAIN}{robot}{url}secret = \"\"\n");
    let what = only("notify.webhooks.ops.secret", read(&empty));
    assert!(what.contains("empty"), "{what}");
}

#[test]
fn an_empty_variable_replaces_no_secret_of_the_other_form() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("key"), SECRET).unwrap();
    let text = "[upstream]\nproxy = \"http://p:1\"\nproxy_user = \"u\"\nproxy_password_file = \"key\"\n\
        [notify.webhooks.ops]\ntype = \"dingtalk\"\nurl = \"https://x.example.com/hook\"\nsecret_file = \"key\"\n\
        [accounts.main]\napp_id = \"wx0123456789abcdef\"\nsecret_file = \"key\"\njs_safe_domains = [\"example.com\"]\n\
        [accounts.text]\napp_id = \"wx00000000000000aa\"\nsecret = \"text\"\njs_safe_domains = [\"example.com\"]\n";
    let read = |variables: &[&str]| {
        let empty = |name: &&str| ((*name).to_owned(), String::new());
        let environment = variables.iter().map(empty).collect();
        Settings::read(text, home.path(), environment)
            .unwrap_or_else(|problems| panic!("{problems}"))
    };
    let (with, without) = (
        read(&[
            "WX_JSSDK__UPSTREAM__PROXY_PASSWORD",
            "WX_JSSDK__NOTIFY__WEBHOOKS__OPS__SECRET",
            "WX_JSSDK__ACCOUNTS__MAIN__SECRET",
            "WX_JSSDK__ACCOUNTS__TEXT__SECRET_FILE",
        ]),
        read(&[]),
    );
    assert_eq!(with.upstream, without.upstream);
    assert_eq!(with.notify, without.notify);
    let [(_, main), (_, text)] = &with.accounts[..] else {
        panic!("{:?}", with.accounts);
    };
    assert_eq!(
        [main, text].map(|it| it.secret().expose()),
        [SECRET, "text"]
    );
}
