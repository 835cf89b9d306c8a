//! `[accounts.NAME]` and their inherited settings.

use wx_jssdk::account::{Platform, TokenMode};

use super::support::*;

#[test]
fn a_bad_domain_is_named_with_the_correct_form() {
    for (domain, word) in [
        ("https://example.com", "scheme"),
        ("example.com:8080", "port"),
        ("*.example.com", "wildcard"),
        ("example.com.", "dot"),
        ("example.com;b.com", "one list entry per domain"),
        ("example.com, b.com", "one list entry per domain"),
        ("example.com/app;b.com", "one list entry per domain"),
        (".example.com", "host name"),
        ("example$.com", "host name"),
        ("", "host name"),
        ("/path", "host name"),
        (" ", "host name"),
        (" example.com", "blank"),
        ("exa mple.com", "blank"),
        ("example.com/an app", "%20"),
        ("example.com/店", "percent-encoded"),
    ] {
        let what = only(
            "accounts.main.js_safe_domains",
            read(&MAIN.replace("example.com", domain)),
        );
        assert!(
            what.contains(word) && what.contains(domain),
            "{domain:?}: {what}"
        );
    }
}

#[test]
fn every_bad_domain_of_a_list_is_named() {
    let found = paths(read(&MAIN.replace(
        "\"example.com\"",
        "\"a.com:1\", \"example.com\", \"*.b.com\"",
    )));
    assert_eq!(found, ["accounts.main.js_safe_domains"; 2]);
}

#[test]
fn a_domain_of_a_wecom_account_is_told_to_be_an_exact_host() {
    let work = "[accounts.sales]\nplatform = \"work\"\ncorp_id = \"ww0123456789abcdef\"\nagent_id = 1\n\
        secret = \"y4IIQ9eBfHpkOzLrbmDxRlIcDCWZ8pBVFKxGzkVcEnY\"\n";
    for (domains, word) in [
        ("", "trusted domains"),
        ("js_safe_domains = [\"*.example.com\"]", "exact hosts"),
    ] {
        let what = only(
            "accounts.sales.js_safe_domains",
            read(&format!("{work}{domains}")),
        );
        assert!(
            what.contains(word) && !what.contains("subdomains"),
            "{what}"
        );
    }
}

#[test]
fn an_account_signs_pages_unless_it_is_a_mini_program_or_lists_no_domain() {
    let without = MAIN.replace("js_safe_domains", "# js_safe_domains");
    let what = only("accounts.main.js_safe_domains", read(&without));
    assert!(
        what.contains("is missing") && what.contains("js_safe_domains = []"),
        "{what}"
    );
    let variable = ("WX_JSSDK__ACCOUNTS__MAIN__JS_SAFE_DOMAINS", "");
    let what = only(
        "accounts.main.js_safe_domains",
        read_with(MAIN, &[variable]),
    );
    assert!(
        what.contains("is missing"),
        "a variable without a value: {what}"
    );
    let mini = good(&format!("{without}platform = \"mini\""));
    let empty = good(&MAIN.replace("\"example.com\"", ""));
    for settings in [mini, empty] {
        assert!(!settings.accounts[0].1.signs_pages());
    }
}

#[test]
fn two_accounts_of_one_app_are_refused_and_both_named() {
    let text = format!("{MAIN}{}", named("other"));
    assert!(only("accounts.other.app_id", read(&text)).contains("[accounts.main]"));
}

#[test]
fn an_app_configured_twice_is_named_beside_another_mistake_of_one_account() {
    let without_secret = named("other").replace("secret =", "#");
    assert_eq!(
        paths(read(&format!("{MAIN}{without_secret}"))),
        ["accounts.other.secret", "accounts.other.app_id"]
    );
    let without_secret = MAIN.replace("secret =", "#");
    assert_eq!(
        paths(read(&format!("{without_secret}{}", named("other")))),
        ["accounts.main.secret", "accounts.other.app_id"]
    );
}

#[test]
fn the_same_corp_may_have_many_agents_but_each_once() {
    let agent = |name: &str, id: u64| {
        format!(
            "[accounts.{name}]\nplatform = \"work\"\ncorp_id = \"ww0123456789abcdef\"\nagent_id = {id}\nsecret = \"{SECRET}{id}\"\njs_safe_domains = [\"example.com\"]\n"
        )
    };
    let settings = good(&format!(
        "{}{}",
        agent("a", 1_000_002),
        agent("b", 1_000_003)
    ));
    assert_eq!(
        settings.accounts[1].1.platform(),
        Platform::Work {
            agent_id: 1_000_003
        }
    );
    assert!(
        only(
            "accounts.b.agent_id",
            read(&format!("{}{}", agent("a", 7), agent("b", 7)))
        )
        .contains("[accounts.a]")
    );
}

#[test]
fn an_id_of_the_other_platform_is_explained() {
    let wecom = MAIN.replace("app_id", "corp_id");
    assert!(only("accounts.main.corp_id", read(&wecom)).contains("platform = work"));
    let work = format!("{MAIN}platform = \"work\"\nagent_id = 7");
    assert!(only("accounts.main.app_id", read(&work)).contains("this account has platform = work"));
    assert_eq!(
        paths(read(&format!("{MAIN}agent_id = 7"))),
        ["accounts.main.agent_id"]
    );
}

#[test]
fn a_misspelt_platform_is_one_problem_and_not_three() {
    let what = only(
        "accounts.main.platform",
        read(&format!(
            "{}platform = \"wrok\"\nagent_id = 7",
            MAIN.replace("app_id", "corp_id")
        )),
    );
    assert!(what.contains("official, mini, work"), "{what}");
}

#[test]
fn one_appid_as_official_account_and_as_mini_program_is_refused_with_both_names() {
    for mode in ["stable", "classic"] {
        let twice = format!(
            "account_defaults.token_mode = \"{mode}\"\n{MAIN}[accounts.the-mini]\nplatform = \"mini\"\napp_id = \"wx0123456789abcdef\"\nsecret = \"{SECRET}\"\n"
        );
        let problem = only("accounts.the-mini.app_id", read(&twice));
        assert!(problem.contains("accounts.main"), "{problem}");
    }
}

#[test]
fn an_invalid_app_id_is_refused() {
    for id in ["", "wx 1", "wx/../1", "wx1?x", &"w".repeat(65)] {
        assert_eq!(
            paths(read(&MAIN.replace("wx0123456789abcdef", id))),
            ["accounts.main.app_id"],
            "{id}"
        );
    }
}

#[test]
fn a_secret_in_the_place_of_an_id_is_refused_and_not_printed() {
    let work_secret = "wpIIQ9eBfHpkOzLrbmDxRlIcDCWZ8pBVFKxGzkVcEnY";
    let key = "wxk_HDk7_yfE2y99FDSNXsXK8e9zFaQbv89FfEFRBocQo6A";
    let official = |secret: &str| MAIN.replace("wx0123456789abcdef", secret);
    let agency = format!(
        "[platforms.agency]\ncomponent_appid = \"{SECRET}\"\nsecret = \"wx0123456789abcdef\"\n\
         push_token = \"token\"\naes_key = \"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG\"\n"
    );
    let work = format!(
        "[accounts.main]\nplatform = \"work\"\ncorp_id = \"{work_secret}\"\nagent_id = 1\n\
         secret = \"ww0123456789abcdef\"\njs_safe_domains = [\"example.com\"]\n"
    );
    for (path, text) in [
        ("accounts.main.app_id", official(SECRET)),
        ("accounts.main.app_id", official(&SECRET.to_uppercase())),
        ("accounts.main.app_id", official(key)),
        ("accounts.main.corp_id", work),
        ("platforms.agency.component_appid", agency),
    ] {
        let problems = read(&text).expect_err(path);
        let printed = format!("{problems}{problems:?}").to_lowercase();
        for secret in [SECRET, work_secret, key] {
            assert!(!printed.contains(&secret.to_lowercase()), "{printed}");
        }
        let what = only(path, Err(problems));
        assert!(what.contains("and secret exchanged?"), "{what}");
    }
}

#[test]
fn account_names_are_lower_case_and_short() {
    for name in ["main", "my-app_2", "0"] {
        assert_eq!(good(&named(name)).accounts[0].0, name);
    }
    for name in [
        "Main",
        "\"a.b\"",
        "\"\"",
        "\"a b\"",
        "\"主\"",
        "\"a[0]\"",
        &"a".repeat(65),
    ] {
        let path = format!("accounts.{}", name.trim_matches('"'));
        assert!(
            only(&path, read(&named(name))).contains("up to 64 characters: a-z, 0-9, _ and -"),
            "{name}"
        );
    }
}

#[test]
fn accounts_come_sorted_by_name() {
    let text = ["c", "a", "b"]
        .map(|name| named(name).replace("abcdef", &format!("abcde{name}")))
        .concat();
    assert_eq!(
        good(&text)
            .accounts
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
}

#[test]
fn the_default_account_must_exist_and_may_itself_be_invalid() {
    assert_eq!(
        good(&format!("server.default_account = \"main\"\n{MAIN}"))
            .server
            .default_account
            .as_deref(),
        Some("main")
    );
    let unknown = |name: &str| read(&format!("server.default_account = \"{name}\"\n{MAIN}"));
    assert!(only("server.default_account", unknown("mian")).contains("\"mian\""));
    only("server.default_account", unknown(SECRET));
    let without_secret = format!(
        "server.default_account = \"main\"\n{}",
        MAIN.replace("secret =", "#")
    );
    only("accounts.main.secret", read(&without_secret));
}

#[test]
fn a_default_account_that_signs_no_pages_is_refused_beside_one_that_does() {
    let mini =
        "[accounts.m]\napp_id = \"wx00000000000000aa\"\nsecret = \"x\"\nplatform = \"mini\"\n";
    let default = format!("server.default_account = \"m\"\n{mini}");
    let what = only("server.default_account", read(&format!("{default}{MAIN}")));
    assert!(what.contains("[accounts.m] signs no pages"), "{what}");
    good(&default);
    good(&format!("server.default_account = \"main\"\n{mini}{MAIN}"));
}

#[test]
fn accounts_inherit_the_account_defaults_key_by_key() {
    let text = format!(
        "[account_defaults]\ntoken_mode = \"classic\"\njs_safe_domains = [\"example.org\"]\njs_api_list = [\"scanQRCode\"]\n{MAIN}
        [accounts.other]\napp_id = \"wxother\"\nsecret = \"{SECRET}\"\ntoken_mode = \"stable\"\njs_api_list = []\n"
    );
    let settings = good(&text);
    let [(_, main), (_, other)] = &settings.accounts[..] else {
        panic!("{settings:?}")
    };
    assert_eq!(
        (main.mode(), other.mode()),
        (TokenMode::Classic, TokenMode::Stable)
    );
    assert_eq!(
        (
            main.safe_domains()[0].host(),
            other.safe_domains()[0].host()
        ),
        ("example.com", "example.org")
    );
    assert_eq!(
        (main.js_apis().len(), other.js_apis().len()),
        (1, 0),
        "an empty list is valid"
    );
    assert_eq!(
        settings.account_defaults.list("js_api_list"),
        ["scanQRCode"]
    );
}

#[test]
fn a_mistake_in_the_account_defaults_is_named_there_once() {
    for (line, key) in [
        ("platform = \"wrok\"", "platform"),
        ("token_mode = 1", "token_mode"),
        ("js_safe_domains = \"a:1\"", "js_safe_domains"),
        ("js_api_list = 7", "js_api_list"),
        ("open_tag_list = [1]", "open_tag_list"),
        ("app_id = \"wx1\"", "app_id"),
        ("secret = \"x\"", "secret"),
    ] {
        let text = format!(
            "[account_defaults]\n{line}\n[accounts.a]\napp_id = \"wxa\"\nsecret = \"{SECRET}\"\n[accounts.b]\napp_id = \"wxb\"\nsecret = \"{SECRET}\"\n"
        );
        let text = if key == "js_safe_domains" {
            text
        } else {
            text.replace("secret =", "js_safe_domains = [\"example.com\"]\nsecret =")
        };
        let text = if key == "secret" {
            text.replacen("js_safe_domains = [\"example.com\"]\n", "", 1)
        } else {
            text
        };
        assert_eq!(
            paths(read(&text)),
            [format!("account_defaults.{key}")],
            "{text}"
        );
    }
    assert_eq!(
        paths(read("[account_defaults]\nplatform = \"wrok\"")),
        ["account_defaults.platform"],
        "without any account, too"
    );
}
