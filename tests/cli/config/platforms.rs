//! `[platforms.NAME]`, and API keys for their accounts.

use wx_jssdk::actix::KeyHash;
use wx_jssdk::server::config::DEFAULTS;

use super::support::*;

/// A platform of this name, to which a test adds its lines.
fn platform(name: &str) -> String {
    format!(
        "[platforms.{name}]\ncomponent_appid = \"wx0123456789abcdef\"\nsecret = \"{SECRET}\"\n\
         push_token = \"token\"\naes_key = \"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG\"\n\
         js_safe_domains = [\"example.com\"]\n"
    )
}

/// A key for these accounts.
fn key(accounts: &str) -> String {
    let hash = KeyHash::of("x");
    format!("[[server.api_keys]]\nname = \"crm\"\nsha256 = \"{hash}\"\naccounts = [{accounts}]\n")
}

const OF_AGENCY: &str = r#""agency", "agency/*", "agency/wx0123456789abcdef""#;

#[test]
fn a_key_may_name_a_platform_that_is_itself_invalid() {
    let (key, agency) = (key(OF_AGENCY), platform("agency"));
    good(&format!("{key}{agency}"));
    let wrong = format!("{key}{agency}keep_hours = 0\n");
    only("platforms.agency.keep_hours", read(&wrong));
    let no_section = format!("{key}[platforms]\nagency = 1\n");
    only("platforms", read(&no_section));
    only("platforms", read(&format!("platforms = 1\n{key}")));
}

#[test]
fn a_key_for_accounts_of_a_platform_names_an_app_id_or_all_of_them() {
    let with = |entry: &str| format!("{}{}", key(&format!("\"{entry}\"")), platform("agency"));
    good(&with("agency/wx0123456789abcdef"));
    for entry in ["", "**", "gh_3c884a361561", "wx 1", "wx1/wx2"] {
        let what = only(
            "server.api_keys[0].accounts",
            read(&with(&format!("agency/{entry}"))),
        );
        assert!(what.contains("PLATFORM/*"), "{entry}: {what}");
    }
    for entry in ["agenzy/*", "agency*", "/*"] {
        let what = only("server.api_keys[0].accounts", read(&with(entry)));
        assert!(what.contains("the name of an account"), "{entry}: {what}");
    }
}

#[test]
fn what_two_platforms_share_is_named_beside_another_mistake_of_one() {
    let (one, other) = (platform("a"), platform("b"));
    let other = format!("{other}callback_path = \"/platforms/a/events\"\n");
    let shared = ["platforms.b.component_appid", "platforms.b.callback_path"];
    assert_eq!(paths(read(&format!("{one}{other}"))), shared);
    let found = paths(read(&format!("{one}{other}keep_hours = 0\n")));
    assert_eq!(found, [shared[0], shared[1], "platforms.b.keep_hours"]);
    let found = paths(read(&format!("{one}keep_hours = 0\n{other}")));
    assert_eq!(found, ["platforms.a.keep_hours", shared[0], shared[1]]);
}

#[test]
fn every_setting_of_a_platform_is_in_the_default_file() {
    let unknown = format!("{}zzzzzzzz = 1\n", platform("agency"));
    let problems = read(&unknown).unwrap_err();
    let (_, known) = problems.0[0]
        .what
        .en
        .split_once("known settings: ")
        .unwrap();
    let (_, documented) = DEFAULTS.split_once("# [platforms.agency]").unwrap();
    for setting in known.split(", ") {
        assert!(documented.contains(setting), "{setting}");
    }
}

#[test]
fn a_malformed_id_or_secret_of_a_platform_is_warned_about() {
    let text = platform("agency").replace("wx0123456789abcdef", "wx1");
    let found = good(&text.replace(SECRET, "short")).warnings();
    let paths: Vec<_> = found.iter().map(|warning| &warning.path[..]).collect();
    let expected = [
        "platforms.agency.component_appid",
        "platforms.agency.secret",
    ];
    assert_eq!(paths, expected, "{found:?}");
}

#[test]
fn a_platform_needs_no_domain_and_is_warned_about_without_one() {
    let with = good(&platform("agency")).warnings();
    assert!(with.is_empty(), "{with:?}");
    let without = platform("agency").replace("\"example.com\"", "");
    let left_out = without.replace("js_safe_domains = []", "");
    for text in [without, left_out] {
        let settings = good(&text);
        assert!(settings.platforms[0].account.safe_domains().is_empty());
        let found = settings.warnings();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].path, "platforms.agency.js_safe_domains");
        assert!(found[0].what.en.contains("not signed"), "{found:?}");
    }
}
