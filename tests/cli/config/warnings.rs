//! Settings that a start accepts and `check` warns about.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use wx_jssdk::server::config::Settings;

use super::support::*;

/// Returns paths and English texts of all warnings, after checking that each has both languages and no secret.
fn warnings(settings: &Settings) -> Vec<(String, String)> {
    let found = settings.warnings();
    for warning in &found {
        assert!(warning.what.zh.chars().any(is_chinese), "{warning:?}");
        for (_, account) in &settings.accounts {
            let secret = account.secret().expose();
            assert!(!format!("{warning:?}").contains(secret), "{warning:?}");
        }
    }
    found
        .into_iter()
        .map(|warning| (warning.path, warning.what.en.into_owned()))
        .collect()
}

fn paths_of(settings: &Settings) -> Vec<String> {
    warnings(settings)
        .into_iter()
        .map(|(path, _)| path)
        .collect()
}

#[test]
fn well_formed_ids_and_secrets_cause_no_warning() {
    let work = "[accounts.sales]\nplatform = \"work\"\ncorp_id = \"ww0123456789abcdef\"\nagent_id = 1000002\n\
        secret = \"y4IIQ9eBfHpkOzLrbmDxRlIcDCWZ8pBVFKxGzkVcEnY\"\njs_safe_domains = [\"example.com\"]\n\
        js_api_list = [\"selectExternalContact\", \"openUserProfile\"]\n";
    for corp_id in ["ww0123456789abcdef", "wpAB-cd_EFAAAn9qVmbB_u3RHZ5tYw-xk"] {
        let work = work.replace("ww0123456789abcdef", corp_id);
        let settings = good(&format!("{MAIN}{work}"));
        assert_eq!(warnings(&settings), [], "{corp_id}");
    }
}

#[test]
fn an_original_id_is_refused_as_an_app_id() {
    let text = MAIN.replace("wx0123456789abcdef", "gh_0123456789ab");
    let what = only("accounts.main.app_id", read(&text));
    assert!(
        what.contains("original ID") && what.contains("wx0123456789abcdef"),
        "{what}"
    );
}

#[test]
fn a_malformed_id_or_secret_is_warned_about_and_the_secret_not_shown() {
    for id in [
        "wx1",
        "wx0123456789ABCDEF",
        "ww0123456789abcdef",
        "wx0123456789abcdeg",
    ] {
        let settings = good(&MAIN.replace("wx0123456789abcdef", id));
        assert_eq!(paths_of(&settings), ["accounts.main.app_id"], "{id}");
    }
    for secret in [
        "short",
        "g0123456789abcdef0123456789abcde",
        "wxk_a-key-of-this-service",
    ] {
        let settings = good(&MAIN.replace(SECRET, secret));
        assert_eq!(paths_of(&settings), ["accounts.main.secret"], "{secret}");
    }
    let work = "[accounts.sales]\nplatform = \"work\"\ncorp_id = \"corp\"\nagent_id = 1\nsecret = \"short\"\njs_safe_domains = [\"example.com\"]\n";
    let found = warnings(&good(work));
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["accounts.sales.corp_id", "accounts.sales.secret"]);
    for (_, what) in &found {
        assert!(what.contains("WeCom's admin console"), "{what}");
    }
}

#[test]
fn domains_of_a_mini_program_are_warned_about_unless_they_are_inherited() {
    let mini = MAIN.replace("[accounts.main]", "[accounts.main]\nplatform = \"mini\"");
    assert_eq!(
        paths_of(&good(&mini)),
        ["accounts.main.js_safe_domains"],
        "{mini}"
    );
    let defaults = "[account_defaults]\njs_safe_domains = [\"example.com\"]\n";
    assert_eq!(warnings(&good(&format!("{defaults}{mini}"))), []);
}

#[test]
fn two_apps_of_a_corp_with_one_secret_are_warned_about() {
    let app = |name: &str, corp: &str, agent: u32| {
        format!(
            "[accounts.{name}]\nplatform = \"work\"\ncorp_id = \"{corp}\"\nagent_id = {agent}\n\
             secret = \"y4IIQ9eBfHpkOzLrbmDxRlIcDCWZ8pBVFKxGzkVcEnY\"\njs_safe_domains = [\"example.com\"]\n"
        )
    };
    let (corp, other) = ("ww0123456789abcdef", "wwaaaaaaaaaaaaaaaa");
    let text = app("crm", corp, 1) + &app("oa", corp, 2) + &app("shop", other, 1);
    assert_eq!(paths_of(&good(&text)), ["accounts.oa.secret"]);
    // One API key of another wx-jssdk may open several apps.
    let upstream = "[upstream]\nqyapi = \"https://wx.example.net:8081\"\n";
    let secret = "y4IIQ9eBfHpkOzLrbmDxRlIcDCWZ8pBVFKxGzkVcEnY";
    let keys = text.replace(secret, "wxk_a-key-of-this-service");
    assert_eq!(warnings(&good(&format!("{upstream}{keys}"))), []);
}

#[test]
fn a_host_of_wechat_without_tls_is_warned_about() {
    let upstream = "[upstream]\nweixin = \"http://api.weixin.qq.com\"\nqyapi = \"http://127.0.0.1:1\"\n\
        fallback = [\"https://api2.weixin.qq.com\", \"HTTP://api3.weixin.qq.com\"]\n";
    let settings = good(&format!("{upstream}{MAIN}"));
    assert_eq!(
        paths_of(&settings),
        ["upstream.weixin", "upstream.fallback"]
    );
}

#[test]
fn behind_another_wx_jssdk_the_secret_may_be_an_api_key() {
    let text = MAIN.replace(SECRET, "wxk_a-key-of-this-service");
    let upstream = "[upstream]\nweixin = \"https://wx.example.net:8081\"\n";
    assert_eq!(warnings(&good(&format!("{text}{upstream}"))), []);
}

#[test]
fn a_misspelt_interface_or_tag_is_warned_about_with_the_nearest_name() {
    let lists = "js_api_list = [\"chooseImge\", \"scanQrcode\", \"previewImage\", \"doSomething\"]\nopen_tag_list = [\"wx-open-launch-weap\"]\n";
    let found = warnings(&good(&format!("{MAIN}{lists}")));
    let said = |path: &str, name: &str, meant: Option<&str>| {
        found.iter().any(|(at, en)| {
            at == path
                && en.starts_with(&format!("\"{name}\""))
                && en.contains("did you mean") == meant.is_some()
                && meant.is_none_or(|meant| en.ends_with(&format!("did you mean {meant}?")))
        })
    };
    let list = "accounts.main.js_api_list";
    assert!(said(list, "chooseImge", Some("chooseImage")), "{found:?}");
    assert!(said(list, "scanQrcode", Some("scanQRCode")), "{found:?}");
    assert!(said(list, "doSomething", None), "{found:?}");
    assert!(
        said(
            "accounts.main.open_tag_list",
            "wx-open-launch-weap",
            Some("wx-open-launch-weapp")
        ),
        "{found:?}"
    );
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn a_name_inherited_by_many_accounts_is_warned_about_once() {
    let text = format!(
        "[account_defaults]\njs_api_list = [\"chooseImge\"]\nopen_tag_list = [\"wx-open-vidio\"]\n{MAIN}{}",
        named("other").replace("wx0123456789abcdef", "wx0123456789abcde0")
    );
    assert_eq!(
        paths_of(&good(&text)),
        [
            "account_defaults.js_api_list",
            "account_defaults.open_tag_list"
        ]
    );
}

#[test]
fn every_interface_and_tag_of_the_demo_page_is_known() {
    let mut names = Vec::new();
    for file in ["interfaces-phone.js", "interfaces-account.js"] {
        let text = fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("static/demo")
                .join(file),
        )
        .unwrap();
        let found = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("name: \"")?.strip_suffix("\","));
        // These names do not belong into a list: jweixin's other functions, and WeCom's own.
        let found = found.filter(|name| {
            !["invoke", "on", "agentConfig"].contains(name)
                && !name.starts_with("wx-open-")
                && !name.contains('.')
        });
        names.extend(found.map(|name| format!("\"{name}\"")));
    }
    assert!(names.len() > 25, "{names:?}");
    let list = format!("js_api_list = [{}]\n", names.join(", "));
    assert_eq!(warnings(&good(&format!("{MAIN}{list}"))), []);
}

/// Writes a configuration and one account file with these modes, and returns which files are warned about.
fn exposed(main: &str, mode: u32, account_mode: u32) -> Vec<String> {
    exposed_with(&format!("secret = \"{SECRET}\""), main, mode, account_mode)
}

/// As [`exposed`], with these lines in the account file.
fn exposed_with(lines: &str, main: &str, mode: u32, account_mode: u32) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let (file, accounts) = (
        home.path().join("wx-jssdk.toml"),
        home.path().join("accounts.d"),
    );
    fs::create_dir(&accounts).unwrap();
    let other = accounts.join("other.toml");
    let text =
        format!("app_id = \"wx0123456789abcde0\"\n{lines}\njs_safe_domains = [\"example.com\"]\n");
    fs::write(&other, text).unwrap();
    fs::write(&file, format!("accounts_dir = \"accounts.d\"\n{main}")).unwrap();
    let secret = home.path().join("main.secret");
    fs::write(&secret, SECRET).unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    fs::set_permissions(&other, Permissions::from_mode(account_mode)).unwrap();
    let settings = Settings::load(Some(&file)).unwrap_or_else(|problems| panic!("{problems}"));
    let name = |path: &String| {
        Path::new(path)
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    paths_of(&settings).iter().map(name).collect()
}

#[test]
fn a_world_readable_file_with_a_secret_is_warned_about() {
    assert_eq!(exposed(MAIN, 0o644, 0o600), ["wx-jssdk.toml"]);
    assert_eq!(exposed(MAIN, 0o640, 0o644), ["other.toml"]);
    assert_eq!(exposed(MAIN, 0o604, 0o604), ["wx-jssdk.toml", "other.toml"]);
    assert_eq!(exposed(MAIN, 0o600, 0o640), [""; 0]);
}

#[test]
fn a_world_readable_secret_file_is_warned_about() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("accounts.d")).unwrap();
    let (main, other) = ("main.secret", "accounts.d/other.secret");
    for name in [main, other] {
        fs::write(home.path().join(name), SECRET).unwrap();
    }
    let text = |id: &str, file: &str| {
        format!("app_id = \"{id}\"\nsecret_file = \"{file}\"\njs_safe_domains = [\"a.com\"]\n")
    };
    let account = text("wx0123456789abcde0", "other.secret");
    fs::write(home.path().join("accounts.d/other.toml"), account).unwrap();
    let account = text("wx0123456789abcdef", main);
    let text = format!("accounts_dir = \"accounts.d\"\n[accounts.main]\n{account}");
    let file = home.path().join("wx-jssdk.toml");
    fs::write(&file, text).unwrap();
    for (mode, expected) in [(0o640, &[][..]), (0o644, &[other, main])] {
        for name in [main, other] {
            fs::set_permissions(home.path().join(name), Permissions::from_mode(mode)).unwrap();
        }
        let settings = Settings::load(Some(&file)).unwrap_or_else(|problems| panic!("{problems}"));
        let expected: Vec<_> = expected.iter().map(|name| home.path().join(name)).collect();
        assert_eq!(settings.exposed, expected);
        assert_eq!(paths_of(&settings).len(), expected.len());
    }
}

#[test]
fn a_secret_file_of_several_accounts_is_warned_about_once() {
    let home = tempfile::tempdir().unwrap();
    let accounts = home.path().join("accounts.d");
    fs::create_dir(&accounts).unwrap();
    let secret = accounts.join("shared.secret");
    fs::write(&secret, SECRET).unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o644)).unwrap();
    for name in ["a", "b"] {
        let text = format!(
            "app_id = \"wx0123456789abcde{name}\"\nsecret_file = \"shared.secret\"\njs_safe_domains = [\"a.com\"]\n"
        );
        fs::write(accounts.join(format!("{name}.toml")), text).unwrap();
    }
    let file = home.path().join("wx-jssdk.toml");
    fs::write(&file, "accounts_dir = \"accounts.d\"").unwrap();
    let settings = Settings::load(Some(&file)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(settings.exposed, [secret]);
}

#[test]
fn a_file_without_a_secret_may_be_world_readable() {
    let from_file = MAIN.replace(
        &format!("secret = \"{SECRET}\""),
        "secret_file = \"main.secret\"",
    );
    assert_eq!(exposed(&from_file, 0o644, 0o600), [""; 0]);
    let store = |url: &str| format!("{from_file}[store]\nkind = \"redis\"\nurl = \"{url}\"\n");
    for url in [
        "redis://h:6379/0",
        "postgres://wx@db/x",
        "postgres://wx:@db/x?application_name=a:b@c&password=",
        "sqlite:///a:b@c",
    ] {
        assert_eq!(exposed(&store(url), 0o644, 0o600), [""; 0], "{url}");
    }
    for url in [
        "redis://:pass@h:6379/0",
        "redis+sentinel://h,i/m?sentinel_user=x&sentinel_password=pass",
        "redis+unix:///socket?pass=pass",
        "postgres://wx@db/x?password=pass",
    ] {
        let found = exposed(&store(url), 0o644, 0o600);
        assert_eq!(found, ["wx-jssdk.toml"], "{url}");
    }
    let empty = "secret_file = \"../main.secret\"\nproxy = \"http://h:1\"\nproxy_password = \"\"";
    assert_eq!(exposed_with(empty, MAIN, 0o600, 0o644), [""; 0]);
}
