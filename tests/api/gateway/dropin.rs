//! Clients that only fetch tokens here, and whose token is revoked at WeChat.

use super::*;
use crate::common::http::post;

/// The cheap call with which a token is checked.
const CHECK: &str = "/cgi-bin/get_api_domain_ip";

const JSAPI_TICKET: &str = "/cgi-bin/ticket/getticket?type=jsapi";

#[tokio::test]
async fn a_client_that_asks_again_gets_a_valid_token() {
    let world = World::new().await;
    let token = world.token(NO_CALLS_KEY).await;
    world.revoke();
    world.clock.advance(Duration::from_secs(10));
    let again = world.token(NO_CALLS_KEY).await;
    assert_ne!(again, token);
    assert!(world.sandbox.accepts_token(APP, &again));
    assert_eq!(world.sandbox.calls(CHECK), 1);
}

#[tokio::test]
async fn a_ticket_call_takes_the_api_key_in_its_headers() {
    let world = World::new().await;
    let token = world.token(VIRTUAL_KEY).await;
    for request in [
        get(JSAPI_TICKET).bearer(CRM_KEY),
        get(format!("{JSAPI_TICKET}&access_token=71_ended")).header("X-API-Key", CRM_KEY),
        get(format!("/wx/main{JSAPI_TICKET}")).bearer(KEY),
        get(format!("{JSAPI_TICKET}&access_token={token}")).bearer(KEY),
        get("/wx/corp/cgi-bin/get_jsapi_ticket").bearer(KEY),
        get("/wx/corp/cgi-bin/ticket/get?type=agent_config").bearer(KEY),
    ] {
        let answer = world.send(request).await;
        assert_eq!(errcode(&answer), 0, "{answer:?}");
        assert!(answer.json()["ticket"].is_string(), "{answer:?}");
    }
}

/// No token errors, for which SDKs fetch another token and try again.
#[tokio::test]
async fn a_ticket_call_says_what_is_wrong_with_its_api_key() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    let with = |token: &str| get(format!("{JSAPI_TICKET}&access_token={token}"));
    let below = |account: &str, token: &str| {
        get(format!("/wx/{account}{JSAPI_TICKET}&access_token={token}"))
    };
    let corp_ticket = "/cgi-bin/get_jsapi_ticket?access_token=";
    for (request, code, word) in [
        (get(JSAPI_TICKET).bearer("wxk_wrong"), 40125, "the header"),
        (with(&token).bearer("wxk_wrong"), 40125, "the header"),
        (get(JSAPI_TICKET).bearer(SECRET), 40125, "this is wx-jssdk"),
        (with("wxk_wrong"), 40125, "in the place of access_token"),
        (
            get(format!("{corp_ticket}wxk_wrong")),
            40125,
            "in the place of access_token",
        ),
        (with(KEY), 41002, "several accounts"),
        (get(JSAPI_TICKET).bearer(KEY), 41002, "several accounts"),
        (with(&token).bearer(MINI_KEY), 41002, "several accounts"),
        (
            get(format!("{corp_ticket}{KEY}")),
            41002,
            "several accounts",
        ),
        (below("mini", CRM_KEY), 40013, "does not open this account"),
        (below("gone", KEY), 40013, "no account has this name"),
        (below("mini", &token), 40013, "another account"),
        (below("corp", KEY), 48001, "another path"),
        (
            get(format!("{corp_ticket}{CRM_KEY}")),
            48002,
            "another path",
        ),
    ] {
        refused(&world.send(request).await, code, word);
    }
}

#[tokio::test]
async fn a_ticket_call_does_not_say_whether_an_account_of_others_exists() {
    let world = World::new().await;
    let mut said = std::collections::HashSet::new();
    for account in ["mini", "nobody"] {
        let target =
            format!("/wx/{account}/cgi-bin/ticket/getticket?access_token={CRM_KEY}&type=jsapi");
        let answer = world.send(get(target)).await;
        assert_ne!(errcode(&answer), 0);
        let (what, _) = answer.text.split_once(" rid: ").unwrap();
        said.insert(what.to_owned());
    }
    assert_eq!(said.len(), 1, "{said:?}");
}

#[tokio::test]
async fn a_ticket_call_with_a_virtual_token_reads_no_shared_store() {
    let home = TempDir::new().unwrap();
    let world = World::with(&shared_store(&home)).await;
    let token = world.token(VIRTUAL_KEY).await;
    let loads = async || {
        let metrics = world.send(get("/metrics")).await.text;
        value(
            &metrics,
            r#"wx_jssdk_store_operations_total{operation="load"} "#,
        )
    };
    let ticket = |token: &str| {
        get(format!(
            "/cgi-bin/ticket/getticket?access_token={token}&type=jsapi"
        ))
    };
    world.send(ticket(&token)).await.ok();
    // A look is made once a second. The keeper looks every five seconds.
    let a_second = Duration::from_secs(1);
    world.clock.advance(a_second);
    let before = loads().await;
    assert!(before.is_some());
    for token in [&token, VIRTUAL_KEY, "wxv_of-nobody", "wxk_of-nobody"] {
        world.send(ticket(token)).await;
    }
    assert_eq!(loads().await, before);
    world.clock.advance(a_second);
    world.send(ticket("71_of-a-peer-node")).await;
    assert!(loads().await > before);
}

#[tokio::test]
async fn fifty_workers_that_start_cold_cost_one_check() {
    let world = World::new().await;
    let path =
        format!("/cgi-bin/token?grant_type=client_credential&appid={APP}&secret={NO_CALLS_KEY}");
    let answers = all_at_once(&world.url(&path), 50).await;
    let tokens: std::collections::HashSet<_> = answers
        .iter()
        .map(|answer| answer["access_token"].to_string())
        .collect();
    assert_eq!(tokens.len(), 1, "{answers:?}");
    assert_eq!(world.sandbox.calls(CHECK), 1);
    // The service fetches the mini program's token too.
    assert!(world.sandbox.calls(STABLE) <= 2);
}

#[tokio::test]
async fn other_keys_late_requests_and_a_tokens_last_minutes_cause_no_check() {
    let world = World::new().await;
    world.token(NO_CALLS_KEY).await;
    world.token(KEY).await;
    world.clock.advance(MINUTE);
    world.token(NO_CALLS_KEY).await;
    assert_eq!(world.sandbox.calls(CHECK), 0);
}

#[tokio::test]
async fn a_token_is_checked_once_a_minute_at_most() {
    let world = World::new().await;
    for _ in 0..20 {
        world.token(NO_CALLS_KEY).await;
    }
    assert_eq!(world.sandbox.calls(CHECK), 1);
    world.clock.advance(Duration::from_secs(59));
    world.token(NO_CALLS_KEY).await;
    assert_eq!(world.sandbox.calls(CHECK), 1);
    world.clock.advance(Duration::from_secs(1));
    world.token(NO_CALLS_KEY).await;
    assert_eq!(world.sandbox.calls(CHECK), 2);
}

#[tokio::test]
async fn a_client_that_keeps_asking_gets_a_valid_token_soon() {
    let world = World::new().await;
    world.token(NO_CALLS_KEY).await;
    let token = world.token(NO_CALLS_KEY).await;
    assert_eq!(world.sandbox.calls(CHECK), 1, "a second worker has started");
    // No ticket call detects the dead token first.
    let ticket = format!("/cgi-bin/ticket/getticket?type=jsapi&access_token={token}");
    assert_eq!(world.get(&ticket).await["errcode"], 0);
    world.revoke();
    let mut rounds = 1;
    while world.token(NO_CALLS_KEY).await == token {
        rounds += 1;
        assert!(rounds <= 60);
    }
    assert_eq!((rounds, world.sandbox.calls(CHECK)), (60, 2));
    for _ in 0..119 {
        world.token(NO_CALLS_KEY).await;
    }
    assert_eq!(
        world.sandbox.calls(CHECK),
        2,
        "the next check needs twice as many"
    );
}

#[tokio::test]
async fn a_wecom_client_that_asks_again_gets_a_valid_token() {
    let world = World::new().await;
    let path = format!("/cgi-bin/gettoken?corpid={CORP}&corpsecret={NO_CALLS_KEY}");
    let token = world.get(&path).await["access_token"].clone();
    world.sandbox.revoke(&format!("{CORP}:7"), Revoke::Token);
    let again = world.get(&path).await;
    assert_ne!(again["access_token"], token, "{again}");
}

#[tokio::test]
async fn force_refresh_is_accepted_in_every_form_that_clients_send() {
    let world = World::new().await;
    for (value, forces) in [
        ("true", true),
        ("\"true\"", true),
        ("1", true),
        ("\"1\"", true),
        ("false", false),
        ("\"false\"", false),
        ("0", false),
        ("\"\"", false),
        ("null", false),
    ] {
        world.clock.advance(MINUTE);
        let before = world.token(NO_CALLS_KEY).await;
        world.clock.advance(MINUTE);
        let body = format!(
            r#"{{"grant_type":"client_credential","appid":"{APP}","secret":"{NO_CALLS_KEY}","force_refresh":{value}}}"#
        );
        let answer = world.send_text(post(STABLE).close().body(body)).await.ok();
        assert_eq!(
            answer["access_token"] != *before,
            forces,
            "{value}: {answer}"
        );
    }
    for value in ["2", "\"yes\"", "[]"] {
        let body = format!(
            r#"{{"grant_type":"client_credential","appid":"{APP}","secret":"{NO_CALLS_KEY}","force_refresh":{value}}}"#
        );
        let answer = world.send_text(post(STABLE).close().body(body)).await;
        assert_eq!(errcode(&answer), 47001, "{value}");
    }
}

#[tokio::test]
async fn an_app_secret_sent_instead_of_an_api_key_is_recognised() {
    let world = World::new().await;
    let path = format!("/cgi-bin/token?grant_type=client_credential&appid={APP}&secret={SECRET}");
    refused(
        &world.send(get(path)).await,
        40125,
        "this is wx-jssdk, send its API key",
    );
    let path = format!("/cgi-bin/gettoken?corpid={CORP}&corpsecret={CORP_SECRET}");
    refused(
        &world.send(get(path)).await,
        40001,
        "this is wx-jssdk, send its API key",
    );
}
