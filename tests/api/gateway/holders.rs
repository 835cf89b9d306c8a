//! Whose token it is: a token that WeChat issued names no API key.

use super::*;

/// A store for several processes.
#[tokio::test]
async fn a_token_fetched_at_another_node_makes_the_calls_of_its_key() {
    let home = TempDir::new().unwrap();
    let mut world = World::with(&shared_store(&home)).await;
    let token = world.token(CRM_KEY).await;
    let other = world.another().await;
    let _node = std::mem::replace(&mut world.service, other);
    let call = get(format!("{USERS}?access_token={token}"));
    assert_eq!(errcode(&world.send(call.clone()).await), 0);
    assert_eq!(world.token(NO_CALLS_KEY).await, token);
    assert_eq!(errcode(&world.send(call).await), 0);
    let ticket = format!("/cgi-bin/ticket/getticket?access_token={token}&type=jsapi");
    assert_eq!(world.get(&ticket).await["errcode"], 0);
    let of_no_key = get(format!("/cgi-bin/clear_quota?access_token={token}"));
    refused(&world.send(of_no_key).await, 48001, "clear_quota");
}

#[tokio::test]
async fn a_token_fetched_before_a_restart_makes_the_calls_of_its_key() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("store.redb");
    let in_file = format!("[store]\nkind = \"file\"\npath = \"{}\"\n", file.display());
    works_after_a_restart(&in_file).await;
    // Without a store, WeChat gives the process the same stable token again.
    works_after_a_restart("[store]\nkind = \"memory\"\n").await;
}

async fn works_after_a_restart(store: &str) {
    let mut world = World::with(store).await;
    let token = world.token(CRM_KEY).await;
    let settings = world.settings.clone();
    world.service.end().await;
    world.clock.advance(Duration::from_secs(60));
    world.service = Service::start(settings, world.clock.clone()).await;
    world.service.wait_for_first_refreshes().await;
    let call = get(format!("{USERS}?access_token={token}"));
    assert_eq!(errcode(&world.send(call.clone()).await), 0);
    assert_eq!(world.token(NO_CALLS_KEY).await, token);
    assert_eq!(errcode(&world.send(call.clone()).await), 0);
    // A token that this process fetched is that of the keys that it gave it to.
    world.revoke();
    let newer = world.token(NO_CALLS_KEY).await;
    assert_ne!(newer, token);
    let newer = world
        .send(get(format!("{USERS}?access_token={newer}")))
        .await;
    refused(&newer, 48001, "signer");
}

/// The usual answer to a leak: the name stays.
#[tokio::test]
async fn a_key_that_replaces_another_has_no_rights_of_its_tokens() {
    let home = TempDir::new().unwrap();
    // A peer node may have given a valid token to the new key as well.
    for (store, while_valid) in [(String::new(), 40001), (shared_store(&home), 0)] {
        let world = World::with(&store).await;
        let token = world.token(KEY).await;
        let calls = [
            format!("{USERS}?access_token={token}"),
            format!("/cgi-bin/ticket/getticket?access_token={token}&type=jsapi"),
        ];
        for call in &calls {
            let answer = world.get(call).await;
            assert_eq!(answer["errcode"], 0, "{call}: {answer}");
        }
        world.replace_key(KEY, NEW_KEY);
        for call in &calls {
            let answer = world.get(call).await;
            assert_eq!(answer["errcode"], while_valid, "{call}: {answer}");
        }
        world.clock.advance(Duration::from_secs(3 * 3_600));
        for call in &calls {
            let answer = world.get(call).await;
            assert_eq!(answer["errcode"], 40001, "{call}: {answer}");
        }
        let newer = world.token(NEW_KEY).await;
        let answer = world.get(&format!("{USERS}?access_token={newer}")).await;
        assert_eq!(answer["errcode"], 0, "{answer}");
    }
}

#[tokio::test]
async fn a_key_in_the_header_takes_the_account_of_the_token_beside_it() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    let virtual_token = world.token(VIRTUAL_KEY).await;
    let with_key = |token: &str| get(format!("{USERS}?access_token={token}"));
    for token in [&token, &virtual_token] {
        let answer = world.send(with_key(token).bearer(KEY)).await;
        assert_eq!(errcode(&answer), 0, "{answer:?}");
    }
    let other_account = with_key(&token).bearer(MINI_KEY);
    refused(&world.send(other_account).await, 41002, "several accounts");
    let elsewhere = format!("{USERS}?access_token={token}&appid={MINI}");
    let answer = world.send(get(elsewhere).bearer(KEY)).await;
    assert_eq!(errcode(&answer), 0);
    let of_mini = world.sandbox.token(MINI, Mode::Stable).unwrap();
    let sent = world.received(USERS).query;
    assert!(sent.contains(&of_mini[..4]), "appid decides: {sent}");
    // A replaced token still names its account.
    world.clock.advance(Duration::from_secs(3 * 3_600));
    let answer = world.send(with_key(&token).bearer(KEY)).await;
    assert_eq!(errcode(&answer), 0, "{answer:?}");
}

#[tokio::test]
async fn a_token_below_the_base_url_of_another_account_is_named_as_the_cause() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    let virtual_token = world.token(VIRTUAL_KEY).await;
    for (token, base) in [(&token, "mini"), (&token, "gone"), (&virtual_token, "mini")] {
        let answer = get(format!("/wx/{base}{USERS}?access_token={token}"));
        let answer = world.send(answer).await;
        refused(&answer, 40013, "another account than the base URL");
        assert!(!answer.text.contains("main"), "{answer:?}");
    }
    let key = get(format!("/wx/mini{USERS}?access_token={CRM_KEY}"));
    refused(&world.send(key).await, 40013, "does not open this account");
    assert_eq!(world.passed_on().await, 0);
}
