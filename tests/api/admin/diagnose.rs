//! `POST /jssdk/diagnose`: authorisation, and that a valid ticket is used and never disclosed.

use serde_json::json;
use wx_jssdk::account::Account;
use wx_jssdk::{Clock, Kind};

use crate::admin::world::*;
use crate::common::upstream::signature;

const PATH: &str = "/jssdk/diagnose";

async fn ask(world: &World, key: &str, body: &str) -> Answer {
    world.send("POST", PATH, &[("X-Api-Key", key)], body).await
}

fn signed(ticket: &str, url: &str) -> String {
    signature(ticket, "n", 1_414_587_457, url)
}

#[tokio::test]
async fn a_diagnosis_needs_an_api_key() {
    let world = World::new().await;
    let answer = world
        .send(
            "POST",
            PATH,
            &[],
            r#"{"error":"config:invalid url domain"}"#,
        )
        .await;
    answer.problem(401, "unauthorized");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

#[tokio::test]
async fn the_accounts_valid_ticket_finds_the_mistake_and_is_not_disclosed() {
    let world = World::new().await;
    let ticket = world
        .broker
        .credential("main", Kind::JsapiTicket)
        .await
        .unwrap()
        .value
        .clone();
    let body = json!({"account": "main", "url": "https://h.cn/p#x", "nonce": "n", "timestamp": 1_414_587_457,
        "signature": signed(ticket.expose(), "https://h.cn/p#x")});
    let answer = ask(&world, KEY, &body.to_string()).await;
    let json = answer.ok().0;
    let first = &json["findings"][0];
    assert_eq!(
        (&first["code"], &first["confidence"]),
        (&json!("fragment_kept"), &json!("proven"))
    );
    assert!(
        first["cause"]["zh"].is_string() && first["fix"]["en"].is_string(),
        "{first}"
    );
    assert!(!answer.text.contains(ticket.expose()));
}

#[tokio::test]
async fn a_key_that_does_not_open_the_account_does_not_use_its_ticket() {
    let world = World::new().await;
    let body = json!({"account": "main", "url": "https://h.cn/", "nonce": "n", "timestamp": "1", "signature": "x"}).to_string();
    ask(&world, SALES_KEY, &body)
        .await
        .problem(403, "forbidden");
    assert_eq!(world.sandbox.calls_total(), 0);
}

#[tokio::test]
async fn tickets_and_a_foreign_answer_may_be_included() {
    let world = World::new().await;
    let body = json!({"url": "https://h.cn/", "tickets": {"current": "ticket-one", "previous": "ticket-two"},
        "answer": {"data": {"nonceStr": "n", "timestamp": "1414587457", "signature": signed("ticket-two", "https://h.cn/")}}});
    let answer = ask(&world, KEY, &body.to_string()).await;
    assert_eq!(answer.ok().0["findings"][0]["code"], "previous_ticket");
    assert!(!answer.text.contains("ticket-two"));
}

#[tokio::test]
async fn a_malformed_body_is_refused_and_not_quoted() {
    let world = World::new().await;
    for body in [
        "",
        "secret",
        "{}",
        r#"{"url":"https://h.cn/"}"#,
        r#"{"unknown":"secret"}"#,
    ] {
        let answer = ask(&world, KEY, body).await;
        answer.problem(400, "bad_body");
        assert!(!answer.text.contains("secret"), "{}", answer.text);
    }
}

#[tokio::test]
async fn an_oversized_body_and_a_wrong_method_get_problem_documents() {
    let world = World::new().await;
    let long = format!(r#"{{"error":"{}"}}"#, "x".repeat(70_000));
    ask(&world, KEY, &long).await.problem(413, "body_too_large");
    for method in ["GET", "PUT", "DELETE"] {
        let answer = world.send(method, PATH, &[("X-Api-Key", KEY)], "").await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
}

#[tokio::test]
async fn pasted_text_is_accepted() {
    let world = World::new().await;
    let paste = format!(
        "config:invalid signature\nhttps://h.cn/\nnonceStr=n&timestamp=1414587457&signature={}",
        signed("ticket-one", "http://h.cn/")
    );
    let body = json!({"paste": paste, "tickets": {"current": "ticket-one"}}).to_string();
    assert_eq!(
        ask(&world, KEY, &body).await.ok().0["findings"][0]["code"],
        "scheme_swapped"
    );
}

#[tokio::test]
async fn a_wrong_ticket_is_named_if_the_key_opens_it() {
    let world = World::new().await;
    for (account, kind, value) in [
        ("sales", Kind::AccessToken, "token-of-sales"),
        ("sales", Kind::JsapiTicket, "ticket-of-the-corp"),
        ("sales", Kind::AgentTicket, "ticket-of-sales"),
        ("hr", Kind::AgentTicket, "ticket-of-hr"),
    ] {
        world.seed(account, kind, value).await;
    }
    let held = world.broker.credential("hr", Kind::AgentTicket).await;
    assert_eq!(held.unwrap().value.expose(), "ticket-of-hr");
    let token = world.token("main").await;
    let unknown = "no_known_mistake_fits";
    for (key, account, agent, ticket, code) in [
        (KEY, "main", false, &*token, "access_token_for_ticket"),
        (TICKET_KEY, "main", false, &*token, unknown),
        (
            KEY,
            "sales",
            true,
            "ticket-of-hr",
            "ticket_of_another_account",
        ),
        (SALES_KEY, "sales", true, "ticket-of-hr", unknown),
        (
            KEY,
            "sales",
            false,
            "ticket-of-hr",
            "agent_ticket_for_jsapi",
        ),
        (
            SALES_KEY,
            "sales",
            true,
            "ticket-of-the-corp",
            "jsapi_ticket_for_agent",
        ),
        (
            SALES_KEY,
            "sales",
            false,
            "ticket-of-sales",
            "agent_ticket_for_jsapi",
        ),
        (
            SALES_KEY,
            "sales",
            true,
            "ticket-of-sales",
            "signature_is_right",
        ),
    ] {
        let body = json!({"account": account, "url": "https://h.cn/p", "nonce": "n", "agent": agent,
            "timestamp": 1_414_587_457, "signature": signed(ticket, "https://h.cn/p")});
        let answer = ask(&world, key, &body.to_string()).await;
        let json = answer.ok().0;
        let first = &json["findings"][0];
        assert_eq!(first["code"], code, "{account} {ticket}: {first}");
        assert!(!answer.text.contains(ticket), "{}", answer.text);
    }
}

#[tokio::test]
async fn the_agent_ticket_of_another_corp_is_that_of_another_account() {
    let mut accounts = accounts();
    let partner = Account::work("wwcccccccccccccccc", 1_000_002, SECRET).js_safe_domain("h.cn");
    accounts.push(("partner", partner.unwrap()));
    let world = World::with(Clock::manual(START), "http://127.0.0.1:9", accounts).await;
    for (account, kind, value) in [
        ("sales", Kind::JsapiTicket, "ticket-of-the-corp"),
        ("partner", Kind::AgentTicket, "ticket-of-partner"),
    ] {
        world.seed(account, kind, value).await;
    }
    let held = world.broker.credential("partner", Kind::AgentTicket).await;
    assert_eq!(held.unwrap().value.expose(), "ticket-of-partner");
    let body = json!({"account": "sales", "url": "https://h.cn/p", "nonce": "n", "timestamp": 1_414_587_457,
        "signature": signed("ticket-of-partner", "https://h.cn/p")});
    let answer = ask(&world, KEY, &body.to_string()).await.ok().0;
    let first = &answer["findings"][0];
    assert_eq!(first["code"], "ticket_of_another_account", "{first}");
    let evidence = first["evidence"].as_str().unwrap();
    assert!(evidence.contains("[ticket of partner]"), "{first}");
}
