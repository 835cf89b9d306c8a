//! `accounts_dir`: one file per account.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use wx_jssdk::actix::KeyHash;
use wx_jssdk::server::config::{Problems, Settings};

use super::support::*;

/// A configuration beside a directory `accounts.d` with these files.
fn home(text: &str, files: &[(&str, &str)]) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("accounts.d")).unwrap();
    fs::write(
        home.path().join("wx-jssdk.toml"),
        format!("accounts_dir = \"accounts.d\"\n{text}"),
    )
    .unwrap();
    for (name, text) in files {
        fs::write(home.path().join("accounts.d").join(name), text).unwrap();
    }
    home
}

fn load(home: &Path) -> Result<Settings, Problems> {
    Settings::load(Some(&home.join("wx-jssdk.toml")))
}

/// Returns the path of a problem in one of the files.
fn at(home: &TempDir, file: &str, key: &str) -> String {
    let file = home
        .path()
        .join("accounts.d")
        .join(file)
        .display()
        .to_string();
    if key.is_empty() {
        file
    } else {
        format!("{file}: {key}")
    }
}

fn account(id: &str) -> String {
    format!("app_id = \"{id}\"\nsecret = \"{SECRET}\"\njs_safe_domains = [\"example.com\"]\n")
}

#[test]
fn each_file_adds_an_account_of_its_name_to_the_configured_ones() {
    let files = [
        ("shop-2.toml", account("wx2")),
        ("shop-1.toml", account("wx1")),
    ];
    let home = home(
        MAIN,
        &files.each_ref().map(|(name, text)| (*name, text.as_str())),
    );
    let settings = load(home.path()).unwrap_or_else(|problems| panic!("{problems}"));
    let names: Vec<_> = settings
        .accounts
        .iter()
        .map(|(name, account)| (name.as_str(), account.app_id()))
        .collect();
    assert_eq!(
        names,
        [
            ("main", "wx0123456789abcdef"),
            ("shop-1", "wx1"),
            ("shop-2", "wx2")
        ]
    );
    assert_eq!(
        settings.accounts[1].1.js_apis(),
        settings.account_defaults.list("js_api_list"),
        "they inherit, too"
    );
}

#[test]
fn other_files_hidden_files_and_editor_backups_are_skipped() {
    let good = account("wx1");
    let others = [
        ("README", "x"),
        (".#shop.toml", "x"),
        (".toml", "x"),
        ("shop.toml~", "x"),
        ("shop.toml.bak", "x"),
    ];
    let home = home("", &[&others[..], &[("shop.toml", good.as_str())]].concat());
    assert_eq!(load(home.path()).unwrap().accounts.len(), 1);
}

#[test]
fn every_mistake_in_every_file_is_named_with_file_and_key_at_once() {
    let secret_missing = account("wx2").replace("secret", "secrett");
    let bad_domain = account("wx3").replace("example.com", "https://example.com");
    let section = format!("[accounts.x]\n{}", account("wx4"));
    let home = home(
        "server.workers = -1",
        &[
            ("a.toml", &secret_missing),
            ("b.toml", &bad_domain),
            ("c.toml", &section),
            ("d.toml", "not toml"),
            ("D.toml", &account("wx5")),
        ],
    );
    let mut found = paths(load(home.path()));
    found.sort();
    let mut expected = vec![
        "server.workers".to_owned(),
        at(&home, "a.toml", "secret"),
        at(&home, "a.toml", "secrett"),
        at(&home, "b.toml", "js_safe_domains"),
        at(&home, "c.toml", ""),
        at(&home, "d.toml", ""),
        at(&home, "D.toml", ""),
    ];
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn broken_toml_is_named_by_file_line_and_column_without_its_text() {
    let home = home(
        "",
        &[(
            "a.toml",
            &format!("app_id = \"wx1\"\nsecret = \"{SECRET}\n"),
        )],
    );
    let what = only(&at(&home, "a.toml", ""), load(home.path()));
    assert!(what.contains("line 2, column "), "{what}");
}

#[test]
fn a_header_in_the_file_of_an_account_is_one_problem() {
    for (header, text) in [
        ("[accounts]", format!("[accounts.shop]\n{}", account("wx1"))),
        ("[accounts]", format!("[[accounts]]\n{}", account("wx1"))),
        (
            "[server]",
            format!("{}[server]\nworkers = 1\n", account("wx1")),
        ),
    ] {
        let home = home("server.default_account = \"shop\"", &[("shop.toml", &text)]);
        let what = only(&at(&home, "shop.toml", ""), load(home.path()));
        assert!(
            what.contains(header) && what.contains("without a header"),
            "{what}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_its_account_may_be_referred_to() {
    let home = home("server.default_account = \"shop\"", &[]);
    fs::create_dir(home.path().join("accounts.d/shop.toml")).unwrap();
    assert!(only(&at(&home, "shop.toml", ""), load(home.path())).contains("cannot be read"));
}

#[test]
fn an_account_in_both_directory_and_configuration_is_rejected_with_both_places() {
    let home = home(MAIN, &[("main.toml", &account("wx2"))]);
    let what = only(&at(&home, "main.toml", ""), load(home.path()));
    assert!(what.contains("[accounts.main]"), "{what}");
}

#[test]
fn the_same_app_in_two_files_is_refused_and_the_first_file_is_named() {
    let files = [("a.toml", account("wx1")), ("b.toml", account("wx1"))];
    let home = home(
        "",
        &files.each_ref().map(|(name, text)| (*name, text.as_str())),
    );
    let what = only(&at(&home, "b.toml", "app_id"), load(home.path()));
    assert!(what.contains(&at(&home, "a.toml", "")), "{what}");
}

#[test]
fn a_secret_file_is_relative_to_the_directory_of_the_account() {
    let text = account("wx1").replace(
        &format!("secret = \"{SECRET}\""),
        "secret_file = \"shop.secret\"",
    );
    let home = home("", &[("shop.toml", &text), ("shop.secret", SECRET)]);
    assert_eq!(
        load(home.path()).unwrap().accounts[0].1.secret().expose(),
        SECRET
    );
}

/// Reads the configuration with these variables.
fn load_with(home: &TempDir, variables: &[(&str, &str)]) -> Result<Settings, Problems> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let variables = variables.iter().map(own).collect();
    Settings::read("accounts_dir = \"accounts.d\"", home.path(), variables)
}

#[test]
fn the_environment_wins_over_the_file_of_an_account() {
    let domains = ("WX_JSSDK__ACCOUNTS__SHOP__JS_SAFE_DOMAINS", "a.com,b.com");
    let secret = ("WX_JSSDK__ACCOUNTS__SHOP__SECRET", SECRET);
    let without_secret = account("wx1").replace("secret", "# ");
    let other_secret = account("wx1").replace(SECRET, "11112222333344445555666677778888");
    let secret_in_file = format!("{without_secret}secret_file = \"none\"\n");
    for text in [&without_secret, &other_secret, &secret_in_file] {
        let home = home("", &[("shop.toml", text), ("next.toml", &account("wx2"))]);
        let settings = load_with(&home, &[secret, domains]);
        let settings = settings.unwrap_or_else(|problems| panic!("{problems}"));
        let [(_, next), (name, shop)] = &settings.accounts[..] else {
            panic!("{settings:?}");
        };
        assert_eq!((name.as_str(), shop.app_id()), ("shop", "wx1"));
        assert_eq!(shop.secret().expose(), SECRET);
        assert_eq!(
            (shop.safe_domains().len(), next.safe_domains().len()),
            (2, 1)
        );
    }
}

#[test]
fn a_secret_file_of_the_environment_is_beside_the_configuration() {
    let home = home("", &[("shop.toml", &account("wx1"))]);
    std::fs::write(home.path().join("key"), "11112222333344445555666677778888").unwrap();
    let file = ("WX_JSSDK__ACCOUNTS__SHOP__SECRET_FILE", "key");
    let settings = load_with(&home, &[file]);
    let settings = settings.unwrap_or_else(|problems| panic!("{problems}"));
    let secret = settings.accounts[0].1.secret().expose();
    assert_eq!(secret, "11112222333344445555666677778888");
}

#[test]
fn a_mistake_of_the_environment_is_not_blamed_on_the_file_of_the_account() {
    let home = home("", &[("shop.toml", &account("wx1"))]);
    let app_id = ("WX_JSSDK__ACCOUNTS__SHOP__APP_ID", "gh_1");
    only("accounts.shop.app_id", load_with(&home, &[app_id]));
    let unknown = ("WX_JSSDK__ACCOUNTS__SHOP__SECRETT", SECRET);
    let what = only("accounts.shop.secrett", load_with(&home, &[unknown]));
    let meant = "did you mean WX_JSSDK__ACCOUNTS__SHOP__SECRET?";
    assert!(what.contains(meant), "{what}");
    let file = ("WX_JSSDK__ACCOUNTS__SHOP__SECRET_FILE", "/none");
    let secret = ("WX_JSSDK__ACCOUNTS__SHOP__SECRET", SECRET);
    let found = load_with(&home, &[file, secret]);
    assert!(only("accounts.shop.secret_file", found).contains("conflicts with secret"));
}

#[test]
fn the_environment_alone_adds_an_account_beside_those_of_the_directory() {
    let home = home("", &[("shop.toml", &account("wx1"))]);
    let other = [
        ("WX_JSSDK__ACCOUNTS__OTHER__APP_ID", "wx2"),
        ("WX_JSSDK__ACCOUNTS__OTHER__SECRET", SECRET),
        ("WX_JSSDK__ACCOUNTS__OTHER__JS_SAFE_DOMAINS", "b.com"),
    ];
    assert_eq!(load_with(&home, &other).unwrap().accounts.len(), 2);
}

#[test]
fn a_missing_directory_is_named_and_an_empty_one_holds_no_accounts() {
    let home = home("", &[]);
    assert!(load(home.path()).unwrap().accounts.is_empty());
    fs::remove_dir(home.path().join("accounts.d")).unwrap();
    let problems = load(home.path()).unwrap_err().to_string();
    assert!(problems.contains("文件不存在"), "{problems}");
    let what = only("accounts_dir", load(home.path()));
    assert!(
        what.contains("accounts.d") && what.contains("No such file"),
        "{what}"
    );
    only("accounts_dir", read("accounts_dir = 7"));
}

#[test]
fn a_name_is_not_called_wrong_if_its_account_may_be_where_nothing_can_be_read() {
    let names = format!(
        "[server]\ndefault_account = \"shop\"\n[[server.api_keys]]\nname = \"crm\"\nsha256 = \"{}\"\naccounts = [\"shop\"]\n",
        KeyHash::of("x")
    );
    let home = home(&names, &[]);
    fs::remove_dir(home.path().join("accounts.d")).unwrap();
    only("accounts_dir", load(home.path()));
    only("accounts_dir", read(&format!("accounts_dir = 7\n{names}")));
    only("accounts", read(&format!("accounts = 7\n{names}")));
}

#[test]
fn a_mistake_inherited_by_ten_thousand_accounts_is_reported_once() {
    let wrong = "[account_defaults]\njs_safe_domains = [\"https://example.com\"]\n";
    assert_eq!(
        paths(read(&format!(
            "{wrong}{}",
            many(10_000).replace("js_safe_domains", "#")
        ))),
        ["account_defaults.js_safe_domains"]
    );
}

/// This many accounts in one text.
fn many(count: usize) -> String {
    (0..count)
        .map(|n| format!("[accounts.shop-{n}]\n{}", account(&format!("wx{n:016x}"))))
        .collect()
}

/// CPU time of this thread in milliseconds: unlike the clock, it does not include other processes.
fn spent_ms() -> u64 {
    let spent = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    spent.split(' ').next().unwrap().parse::<u64>().unwrap() / 1_000_000
}

#[test]
fn ten_thousand_accounts_are_read_in_a_moment_from_one_file_and_from_as_many() {
    let text = many(10_000);
    let start = spent_ms();
    assert_eq!(good(&text).accounts.len(), 10_000);
    let one_file = spent_ms() - start;
    let files: Vec<_> = (0..10_000)
        .map(|n| (format!("shop-{n}.toml"), account(&format!("wx{n:016x}"))))
        .collect();
    let home = home(
        "",
        &files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect::<Vec<_>>(),
    );
    let start = spent_ms();
    assert_eq!(load(home.path()).unwrap().accounts.len(), 10_000);
    let directory = spent_ms() - start;
    // Half a second each without optimisation, a tenth with it; a quadratic algorithm takes minutes.
    assert!(
        one_file < 3_000 && directory < 3_000,
        "{one_file} ms, {directory} ms"
    );
}

#[test]
fn ten_thousand_mistakes_are_all_named_in_a_moment() {
    let text = many(10_000).replace("secret =", "secrett =");
    let start = spent_ms();
    let problems = read(&text).unwrap_err();
    assert_eq!(
        problems.0.len(),
        20_000,
        "the one that is missing and the one that is unknown"
    );
    assert!(spent_ms() - start < 4_000, "{} ms", spent_ms() - start);
}
