//! Lockout of addresses that try many invalid API keys; valid keys always pass.

use crate::common::program::{Running, command};
use crate::limits::world::*;

const LOCAL_PROXY: &str = "trusted_proxies = [\"127.0.0.1\"]";

#[tokio::test]
async fn wrong_keys_lock_out_an_address_and_a_valid_key_from_it_still_passes() {
    let world = World::new("wrong_keys = 5", LOCAL_PROXY).await;
    for n in 0..5 {
        world
            .token("198.51.100.1", &format!("wxk_{n}"))
            .await
            .assert_problem(401, "unauthorized");
    }
    let refused = world.token("198.51.100.1", "wxk_one-more").await;
    refused.assert_problem(429, "locked_out");
    assert_eq!(refused.retry_after(), 60);
    assert_eq!(world.token("198.51.100.2", KEY).await.status, 200);
    assert_eq!(
        world.token("198.51.100.1", KEY).await.status,
        200,
        "another client behind the same address"
    );
    world.advance(30);
    let refused = world.token("198.51.100.1", "wxk_0").await;
    refused.assert_problem(429, "locked_out");
    assert_eq!(
        refused.retry_after(),
        30,
        "a wrong key does not prolong the lockout, nor does a right one end it"
    );
    world.advance(30);
    world
        .token("198.51.100.1", "wxk_yet-another")
        .await
        .assert_problem(401, "unauthorized");
    world
        .token("198.51.100.1", "wxk_and-one-more")
        .await
        .assert_problem(429, "locked_out");
}

#[tokio::test]
async fn occasional_wrong_keys_never_lock_out_a_valid_key_on_the_same_address() {
    let world = World::new("wrong_keys = 10", "").await;
    for n in 0..11 {
        world.token("-", &format!("wxk_{n}")).await;
    }
    for minute in 0..30 {
        for n in 0..2 {
            world.token("-", &format!("wxk_{minute}-{n}")).await;
        }
        for _ in 0..5 {
            assert_eq!(world.token("-", KEY).await.status, 200, "minute {minute}");
        }
        world.advance(60);
    }
}

#[tokio::test]
async fn one_outdated_key_repeated_endlessly_locks_out_no_client() {
    // A client that still uses the old key, behind the same address as all others.
    let world = World::new("wrong_keys = 3", "").await;
    for _ in 0..100 {
        world
            .token("-", "wxk_outdated")
            .await
            .assert_problem(401, "unauthorized");
    }
    assert_eq!(world.token("-", KEY).await.status, 200);
}

#[tokio::test]
async fn a_missing_key_is_not_counted_as_a_guess() {
    let world = World::new("wrong_keys = 1", "").await;
    for _ in 0..20 {
        ask(world.admin, "GET", TOKEN, &[], "")
            .await
            .assert_problem(401, "unauthorized");
    }
    assert_eq!(world.token("-", KEY).await.status, 200);
}

#[tokio::test]
async fn wrong_keys_on_all_paths_count_together_and_each_path_answers_in_its_shape() {
    let world = World::new("wrong_keys = 3", "").await;
    let weixin =
        |key: &str| format!("/cgi-bin/token?grant_type=client_credential&appid={APP}&secret={key}");
    let admin = world.admin;
    let diagnose = |key: &'static str| async move {
        ask(
            admin,
            "POST",
            "/jssdk/diagnose",
            &[("X-Api-Key", key)],
            "{}",
        )
        .await
    };
    assert_eq!(
        ask(world.admin, "GET", &weixin("a"), &[], "").await.json()["errcode"],
        40125
    );
    diagnose("wxk_b").await.assert_problem(401, "unauthorized");
    world
        .token("-", "wxk_c")
        .await
        .assert_problem(401, "unauthorized");
    let refused = ask(world.admin, "GET", &weixin("d"), &[], "").await;
    assert_eq!(
        (refused.status, refused.retry_after()),
        (429, 60),
        "{refused:?}"
    );
    assert_eq!(
        refused.json()["errcode"],
        40125,
        "not one of WeChat's quota codes: the account's quota is not exhausted"
    );
    let errmsg = refused.json()["errmsg"].as_str().unwrap().to_owned();
    assert!(
        errmsg.starts_with("invalid appsecret: too many") && errmsg.contains("rid: "),
        "{errmsg}"
    );
    diagnose("wxk_e").await.assert_problem(429, "locked_out");
    world
        .token("-", "wxk_f")
        .await
        .assert_problem(429, "locked_out");
    let stable = |key: &str| {
        format!(r#"{{"grant_type":"client_credential","appid":"{APP}","secret":"{key}"}}"#)
    };
    for (key, status) in [("g", 429), (KEY, 200)] {
        let answer = ask(
            world.admin,
            "POST",
            "/cgi-bin/stable_token",
            &[],
            &stable(key),
        )
        .await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    assert_eq!(
        ask(world.admin, "GET", &weixin(KEY), &[], "").await.status,
        200
    );
    assert_ne!(diagnose(KEY).await.status, 429);
    assert_eq!(world.token("-", KEY).await.status, 200);
}

#[tokio::test]
async fn a_key_guessed_as_the_token_of_a_ticket_call_counts_as_wrong() {
    let world = World::new("wrong_keys = 3", "").await;
    let ticket = async |token: &str| {
        let path = format!("/cgi-bin/ticket/getticket?type=jsapi&access_token={token}");
        ask(world.admin, "GET", &path, &[], "").await
    };
    // Old tokens of WeChat are no guesses.
    for n in 0..10 {
        assert_eq!(ticket(&format!("8{n}_old")).await.status, 200);
    }
    for n in 0..3 {
        assert_eq!(ticket(&format!("wxk_{n}")).await.status, 200);
    }
    let refused = ticket("wxk_3").await;
    assert_eq!((refused.status, refused.retry_after()), (429, 60));
    world
        .token("-", "wxk_4")
        .await
        .assert_problem(429, "locked_out");
    assert_eq!(ticket(KEY).await.status, 200);
}

#[tokio::test]
async fn a_locked_out_address_can_still_read_healthz_and_readyz() {
    let world = World::new("wrong_keys = 1", "").await;
    for n in 0..5 {
        world.token("-", &format!("wxk_{n}")).await;
    }
    assert_eq!(world.token("-", "wxk_0").await.status, 429);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            ask(world.admin, "GET", path, &[], "").await.status,
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_ipv6_network_is_locked_out_as_one_client() {
    let world = World::new("wrong_keys = 3", LOCAL_PROXY).await;
    let mut refused = 0;
    for n in 0..10 {
        refused += u32::from(
            world
                .token(&format!("2400:3200::{n}"), &format!("wxk_{n}"))
                .await
                .status
                == 429,
        );
    }
    assert_eq!(refused, 7);
}

#[tokio::test]
async fn a_limit_of_zero_disables_the_lockout() {
    let world = World::new("wrong_keys = 0", "").await;
    for n in 0..30 {
        world
            .token("-", &format!("wxk_{n}"))
            .await
            .assert_problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn guessing_is_logged_in_one_line_with_the_address_and_without_a_key() {
    let home = tempfile::tempdir().unwrap();
    let text = "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[store]\nkind = \"memory\"\n[limits]\nwrong_keys = 3\n
        [upstream]\nweixin = \"http://127.0.0.1:9\"\nqyapi = \"http://127.0.0.1:9\"\n
        [accounts.main]\napp_id = \"wx1\"\nsecret = \"s3cret-of-main\"\njs_safe_domains = [\"example.com\"]\n";
    std::fs::write(home.path().join("wx-jssdk.toml"), text).unwrap();
    let mut running = Running::start(command(home.path(), &["serve"]));
    let admin = running.line("admin").await;
    let admin = admin.strip_prefix("http://").unwrap().parse().unwrap();
    for n in 0..50 {
        let key = format!("Bearer wxk_guess-{n}");
        let status = ask(admin, "GET", TOKEN, &[("Authorization", &key)], "")
            .await
            .status;
        assert_eq!(status, if n < 3 { 401 } else { 429 });
    }
    let ended = running.stop().await;
    let lines: Vec<_> = ended
        .stderr
        .lines()
        .filter(|line| line.contains("client locked out"))
        .collect();
    assert!(
        lines.len() == 1 && lines[0].contains("client=127.0.0.1"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("wxk_guess"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_base_url_with_a_trailing_slash_reaches_only_wechats_paths() {
    let world = World::new("", "").await;
    let token = format!("cgi-bin/token?grant_type=client_credential&appid={APP}&secret={KEY}");
    let stable =
        format!(r#"{{"grant_type":"client_credential","appid":"{APP}","secret":"{KEY}"}}"#);
    for slashes in ["/", "//", "///"] {
        let answer = ask(world.admin, "GET", &format!("{slashes}{token}"), &[], "").await;
        assert!(answer.json()["access_token"].is_string(), "{answer:?}");
        let target = format!("{slashes}cgi-bin/stable_token");
        let answer = ask(world.admin, "POST", &target, &[], &stable).await;
        assert!(answer.json()["access_token"].is_string(), "{answer:?}");
    }
    for target in ["//credentials/main/access_token", "//status", "//readyz"] {
        ask(world.admin, "GET", target, &[], "")
            .await
            .assert_problem(404, "not_found");
    }
    ask(world.public, "GET", &format!("//{token}"), &[], "")
        .await
        .assert_problem(404, "not_found");
}
