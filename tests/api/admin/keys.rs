//! API keys: how they are sent, what they grant, and what callers without access learn.

use std::sync::Arc;

use wx_jssdk::Kind;
use wx_jssdk::actix::{ApiKey, ApiKeys, KeyHash};

use crate::admin::world::*;
use crate::common::process::alone;
use crate::secrets::Log;

const PATH: &str = "/credentials/main/access_token";

#[tokio::test]
async fn a_key_is_accepted_as_bearer_token_or_in_its_own_header() {
    let world = World::new().await;
    for (name, value) in [
        ("Authorization", format!("Bearer {KEY}")),
        ("authorization", format!("bearer {KEY}")),
        ("X-Api-Key", KEY.to_owned()),
        ("x-api-key", KEY.to_owned()),
    ] {
        world.send("GET", PATH, &[(name, &value)], "").await.ok();
    }
}

#[tokio::test]
async fn a_missing_and_a_wrong_key_get_the_same_answer() {
    let world = World::new().await;
    let wrong = [
        vec![],
        vec![("Authorization", "Bearer wxk_wrong".to_owned())],
        vec![("Authorization", "Bearer ".to_owned())],
        vec![("Authorization", "Bearer".to_owned())],
        vec![("Authorization", format!("Basic {KEY}"))],
        vec![("Authorization", KEY.to_owned())],
        vec![("Authorization", format!("Bearer {}", KeyHash::of(KEY)))],
        vec![("Authorization", format!("Bearer {}", KEY.to_uppercase()))],
        vec![("X-Api-Key", String::new())],
        vec![("X-Api-Key", "wxk_wrong".to_owned())],
        vec![
            ("Authorization", "Bearer wxk_wrong".to_owned()),
            ("X-Api-Key", KEY.to_owned()),
        ],
    ];
    let mut said = std::collections::HashSet::new();
    for headers in wrong {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        for path in [
            PATH,
            "/credentials/nobody/access_token",
            "/credentials/main/nothing",
        ] {
            let answer = world.send("GET", path, &headers, "").await;
            answer.problem(401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            said.insert(answer.text.clone());
        }
        let answer = world
            .send(
                "POST",
                &format!("{PATH}/reject"),
                &headers,
                r#"{"value":"x"}"#,
            )
            .await;
        answer.problem(401, "unauthorized");
        said.insert(answer.text.clone());
    }
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(world.sandbox.calls_total(), 0);
}

#[tokio::test]
async fn a_key_in_the_query_is_not_accepted() {
    // A key in the query would be in every access log.
    let world = World::new().await;
    for name in ["key", "api_key", "access_token", "secret"] {
        world
            .get(&format!("{PATH}?{name}={KEY}"))
            .await
            .problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn a_key_grants_its_accounts_and_kinds_and_no_others() {
    let world = World::new().await;
    for (key, path, status) in [
        (MAIN_KEY, "main/access_token", 200),
        (MAIN_KEY, "main/jsapi_ticket", 200),
        (MAIN_KEY, "mini/access_token", 403),
        (TICKET_KEY, "main/jsapi_ticket", 200),
        (TICKET_KEY, "main/access_token", 403),
        (TICKET_KEY, "main/card_ticket", 403),
        (TICKET_KEY, "classic/jsapi_ticket", 403),
        (SALES_KEY, "main/jsapi_ticket", 403),
        (SALES_KEY, "hr/access_token", 403),
    ] {
        let answer = world.get_with(key, &format!("/credentials/{path}")).await;
        assert_eq!(answer.status, status, "{key} {path}: {answer:?}");
    }
    let calls = world.sandbox.calls_total();
    let bearer = format!("Bearer {TICKET_KEY}");
    let refused = world
        .send(
            "POST",
            &format!("{PATH}/reject"),
            &[("Authorization", &bearer)],
            r#"{"value":"x"}"#,
        )
        .await;
    refused.problem(403, "forbidden");
    assert_eq!(world.sandbox.calls_total(), calls);
}

#[tokio::test]
async fn a_key_without_access_cannot_tell_whether_an_account_exists() {
    let world = World::new().await;
    let mut said = std::collections::HashSet::new();
    for account in [
        "mini", "classic", "nobody", "mai", "main%20", "MAIN", "%6Dini",
    ] {
        let answer = world
            .get_with(MAIN_KEY, &format!("/credentials/{account}/access_token"))
            .await;
        answer.problem(403, "forbidden");
        said.insert(answer.text.clone());
    }
    // Also for a kind that only one of the accounts has.
    said.insert(
        world
            .get_with(MAIN_KEY, "/credentials/mini/jsapi_ticket")
            .await
            .text
            .clone(),
    );
    assert_eq!(said.len(), 1, "{said:?}");
}

#[tokio::test]
async fn changed_keys_take_effect_at_the_next_request() {
    let world = World::new().await;
    world.get_with(KEY, PATH).await.ok();
    let new = ApiKey::new("new", KeyHash::of("wxk_new"));
    world.keys.store(Arc::new(ApiKeys::new(vec![new])));
    world.get_with(KEY, PATH).await.problem(401, "unauthorized");
    world.get_with("wxk_new", PATH).await.ok();
    let token =
        |key: &str| format!("/cgi-bin/token?grant_type=client_credential&appid={APP}&secret={key}");
    world.get(&token(KEY)).await.refused(40125);
    assert!(
        world
            .get(&token("wxk_new"))
            .await
            .ok()
            .has_exactly(&["access_token", "expires_in"])
    );
    world.keys.store(Arc::default());
    world
        .get_with("wxk_new", PATH)
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn each_use_is_logged_by_key_name_without_keys_or_values() {
    if !alone(each_use_is_logged_by_key_name_without_keys_or_values) {
        return;
    }
    let log = Log::default();
    log.listen();
    let world = World::new().await;
    let token = world.token("main").await;
    let ticket = world
        .get_with(TICKET_KEY, "/credentials/main/jsapi_ticket")
        .await
        .ok()
        .text("value");
    world
        .get_with("wxk_wrong", PATH)
        .await
        .problem(401, "unauthorized");
    world
        .get_with(TICKET_KEY, PATH)
        .await
        .problem(403, "forbidden");
    let refreshed = world.reject(PATH, &token).await.ok().text("value");
    world
        .send(
            "POST",
            &format!("{PATH}/reject"),
            &[("X-Api-Key", KEY)],
            &format!("{{\"value\":{token}"),
        )
        .await;
    world
        .get(&format!(
            "/cgi-bin/token?grant_type=client_credential&appid={APP}&secret={KEY}"
        ))
        .await
        .ok();
    world
        .get(&format!(
            "/cgi-bin/token?grant_type=client_credential&appid={APP}&secret=wxk_wrong"
        ))
        .await
        .refused(40125);
    world
        .get(&format!("{TICKET}?access_token={refreshed}&type=jsapi"))
        .await
        .ok();
    world
        .get(&format!("{TICKET}?access_token=nobodys-token&type=jsapi"))
        .await
        .refused(40001);
    world
        .seed("sales", Kind::AccessToken, "token-of-sales")
        .await;
    world
        .get(&format!(
            "/cgi-bin/gettoken?corpid={CORP}&corpsecret={SALES_KEY}"
        ))
        .await
        .ok();
    let log = log.text();
    assert!(log.contains("TRACE"), "all levels");
    for (name, what) in [
        ("all", "credential call"),
        ("signer", "credential call"),
        ("signer", "no access"),
        ("all", "drop-in token call"),
    ] {
        let name = format!("key=\"{name}\"");
        assert!(
            log.lines()
                .any(|line| line.contains(&name) && line.contains(what)),
            "{name} {what}\n{log}"
        );
    }
    let secrets = [
        &token,
        &ticket,
        &refreshed,
        KEY,
        TICKET_KEY,
        SALES_KEY,
        "wxk_wrong",
        "nobodys-token",
        "token-of-sales",
        SECRET,
    ];
    for secret in secrets {
        assert!(
            !log.contains(secret),
            "{secret} is in: {:?}",
            log.lines().find(|line| line.contains(secret))
        );
    }
}
