//! `[[server.api_keys]]` and `server.admin_listen`.

use wx_jssdk::Kind;
use wx_jssdk::actix::{KeyHash, new_key};

use super::support::*;

/// A configuration with a key of this name, this line, and `MAIN`.
fn with_key(lines: &str) -> String {
    format!("[[server.api_keys]]\n{lines}\n{MAIN}")
}

fn line(name: &str, key: &str) -> String {
    format!("name = \"{name}\"\nsha256 = \"{}\"\n", KeyHash::of(key))
}

#[test]
fn the_admin_listener_is_on_loopback_by_default_and_can_be_disabled() {
    assert_eq!(
        good("server.admin_listen = \"[::1]:9\"")
            .server
            .admin_listen
            .unwrap()
            .to_string(),
        "[::1]:9"
    );
    assert_eq!(good("server.admin_listen = \"\"").server.admin_listen, None);
    assert_eq!(
        good_with("", &[("WX_JSSDK__SERVER__ADMIN_LISTEN", "")])
            .server
            .admin_listen,
        None
    );
    let what = only(
        "server.admin_listen",
        read("server.admin_listen = \"8081\""),
    );
    assert!(what.contains("127.0.0.1:8081"), "{what}");
    only("server.admin_listen", read("server.admin_listen = 8081"));
}

#[test]
fn both_listeners_on_one_address_or_its_wildcard_are_rejected() {
    for (listen, admin) in [
        ("127.0.0.1:8081", "127.0.0.1:8081"),
        ("0.0.0.0:8081", "127.0.0.1:8081"),
        ("127.0.0.1:9", "[::]:9"),
        ("127.0.0.1:9", "0.0.0.0:9"),
    ] {
        let what = only(
            "server.admin_listen",
            read(&format!(
                "server.listen = \"{listen}\"\nserver.admin_listen = \"{admin}\""
            )),
        );
        assert!(
            what.contains("server.listen") && what.contains(listen),
            "{what}"
        );
    }
    only(
        "server.admin_listen",
        read("server.listen = \"0.0.0.0:8081\""),
    ); // the default is an address, too
    good("server.listen = \"127.0.0.1:0\"\nserver.admin_listen = \"127.0.0.1:0\"");
    good("server.listen = \"127.0.0.1:9\"\nserver.admin_listen = \"127.0.0.2:9\"");
}

#[test]
fn a_key_grants_what_its_line_lists_and_everything_without_a_list() {
    let (wide, narrow) = (new_key(), new_key());
    let lines = format!(
        "{}[[server.api_keys]]\n{}accounts = [\"main\"]\nkinds = [\"access_token\", \"card_ticket\"]",
        line("wide", &wide),
        line("narrow", &narrow)
    );
    let keys = good(&with_key(&lines)).server.api_keys;
    let (wide, narrow) = (
        keys.find(&wide).expect("a key"),
        keys.find(&narrow).expect("a key"),
    );
    assert_eq!(
        (wide.name.as_str(), narrow.name.as_str()),
        ("wide", "narrow")
    );
    assert!(
        Kind::ALL
            .iter()
            .all(|kind| wide.opens("main", *kind) && wide.opens("another", *kind))
    );
    assert!(narrow.opens("main", Kind::AccessToken) && narrow.opens("main", Kind::CardTicket));
    assert!(
        !narrow.opens("main", Kind::JsapiTicket) && !narrow.opens("another", Kind::AccessToken)
    );
    assert!(keys.find("something else").is_none());
}

#[test]
fn keys_may_be_written_inline() {
    let key = new_key();
    let inline = format!(
        "server.api_keys = [{{ name = \"crm\", sha256 = \"{}\" }}]\n{MAIN}",
        KeyHash::of(&key)
    );
    assert_eq!(
        good(&inline).server.api_keys.find(&key).unwrap().name,
        "crm"
    );
}

#[test]
fn an_invalid_hash_is_refused_with_the_command_that_makes_one() {
    let key = new_key();
    let empty = KeyHash::of("").to_string();
    for hash in [
        "",
        "9f86d081",
        &key,
        &"g".repeat(64),
        &"a".repeat(65),
        &empty,
    ] {
        let result = read(&with_key(&format!("name = \"crm\"\nsha256 = \"{hash}\"")));
        let printed = result.as_ref().unwrap_err().to_string();
        assert!(
            only("server.api_keys[0].sha256", result).contains("wx-jssdk keys new"),
            "{hash}"
        );
        assert!(
            hash.is_empty() || !printed.contains(hash),
            "a key in place of its hash is not printed: {printed}"
        );
    }
    only(
        "server.api_keys[0].sha256",
        read(&with_key("name = \"crm\"")),
    );
}

#[test]
fn a_key_needs_a_short_name_that_is_not_the_key_itself() {
    let (key, hash) = (new_key(), KeyHash::of("x"));
    for name in ["", "a b", "名", &key, "wxk_short", &"n".repeat(31)] {
        let result = read(&with_key(&format!(
            "name = \"{name}\"\nsha256 = \"{hash}\""
        )));
        let printed = result.as_ref().unwrap_err().to_string();
        only("server.api_keys[0].name", result);
        assert!(!printed.contains(&key), "{printed}");
    }
    for name in ["crm", "Shop_2.eu-west", &"n".repeat(30)] {
        good(&with_key(&format!(
            "name = \"{name}\"\nsha256 = \"{hash}\""
        )));
    }
}

#[test]
fn two_keys_with_one_name_or_one_hash_are_refused_and_the_first_is_named() {
    let two = |first: &str, second: &str| {
        read(&with_key(&format!("{first}[[server.api_keys]]\n{second}")))
    };
    let what = only(
        "server.api_keys[1].name",
        two(&line("crm", "a"), &line("crm", "b")),
    );
    assert!(
        what.contains("server.api_keys[0]") && what.contains("\"crm\""),
        "{what}"
    );
    let upper = line("shop", "a").replace(
        &KeyHash::of("a").to_string(),
        &KeyHash::of("a").to_string().to_uppercase(),
    );
    let what = only("server.api_keys[1].sha256", two(&line("crm", "a"), &upper));
    assert!(what.contains("server.api_keys[0]"), "{what}");
    let wrong = format!("{}kinds = [\"x\"]\n", line("crm", "a"));
    assert_eq!(
        paths(two(&line("crm", "a"), &wrong)),
        ["name", "sha256", "kinds"].map(|setting| format!("server.api_keys[1].{setting}")),
        "beside another mistake"
    );
}

#[test]
fn accounts_and_kinds_of_a_key_must_exist() {
    let limited = |limit: &str| read(&with_key(&format!("{}{limit}", line("crm", "a"))));
    let what = only(
        "server.api_keys[0].accounts",
        limited("accounts = [\"mian\", \"main\"]"),
    );
    for part in ["\"mian\"", "admin API", "manage = true"] {
        assert!(what.contains(part), "{part}: {what}");
    }
    let what = only("server.api_keys[0].kinds", limited("kinds = [\"token\"]"));
    assert!(
        what.contains("access_token, jsapi_ticket, card_ticket, agent_ticket"),
        "{what}"
    );
    for list in ["accounts", "kinds"] {
        let path = format!("server.api_keys[0].{list}");
        assert!(only(&path, limited(&format!("{list} = []"))).contains("remove it"));
        only(&path, limited(&format!("{list} = 1")));
    }
    assert_eq!(
        paths(limited("accounts = [\"a\", \"b\"]\nkinds = [\"c\"]")).len(),
        3,
        "each is named"
    );
    let what = only(
        "server.api_keys[0].acounts",
        limited("acounts = [\"main\"]"),
    );
    assert!(what.contains("did you mean accounts?"), "{what}");
}

#[test]
fn no_part_of_a_secret_in_a_list_of_a_key_is_printed() {
    for list in ["accounts", "kinds", "calls"] {
        let lines = format!("{}{list} = [\"{SECRET}\"]", line("crm", "a"));
        let result = read(&with_key(&lines));
        let printed = result.as_ref().unwrap_err().to_string();
        only(&format!("server.api_keys[0].{list}"), result);
        assert!(!printed.contains(&SECRET[..8]), "{printed}");
    }
}

#[test]
fn a_key_may_name_an_account_that_is_itself_invalid() {
    let text =
        with_key(&format!("{}accounts = [\"main\"]", line("crm", "a"))).replace("secret =", "#");
    only("accounts.main.secret", read(&text));
}

#[test]
fn a_key_written_under_another_name_is_refused_and_not_printed() {
    let key = new_key();
    let result = read(&with_key(&format!("{}key = \"{key}\"", line("crm", "a"))));
    let printed = result.as_ref().unwrap_err().to_string();
    only("server.api_keys[0].key", result);
    assert!(!printed.contains(&key), "{printed}");
}

#[test]
fn a_wrong_type_for_the_keys_is_one_problem() {
    for value in ["1", "\"x\"", "{ name = \"crm\" }"] {
        assert!(
            only(
                "server.api_keys",
                read(&format!("server.api_keys = {value}"))
            )
            .contains("[[server.api_keys]]")
        );
    }
    only(
        "server.api_keys[1]",
        read(&format!(
            "server.api_keys = [{{ {} }}, 7]",
            line("crm", "a").trim().replace('\n', ", ")
        )),
    );
    only(
        "server.api_keys",
        read_with("", &[("WX_JSSDK__SERVER__API_KEYS", "wxk_x")]),
    );
}
