//! Tickets, and other calls with a token.

use serde_json::json;
use wx_jssdk::sandbox::{App, ExpiresIn, Revoke, Switches};

use crate::support::*;

#[tokio::test]
async fn a_ticket_has_errcode_zero_and_its_life_in_the_documented_order() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    let path = format!("/cgi-bin/ticket/getticket?access_token={token}&type=jsapi");
    let bytes = String::from_utf8(raw(&sandbox, &path).await).unwrap();
    let ticket = sandbox.ticket(APP, "jsapi").unwrap();
    assert_eq!(ticket.len(), 86);
    let body = format!(r#"{{"errcode":0,"errmsg":"ok","ticket":"{ticket}","expires_in":7200}}"#);
    assert_eq!(bytes.split_once("\r\n\r\n").unwrap().1, body);
}

#[tokio::test]
async fn the_same_ticket_is_repeated_with_its_remaining_life() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    let first = ticket(&sandbox, &token, "jsapi").await;
    sandbox.advance(seconds(6_000));
    let again = ticket(&sandbox, &token, "jsapi").await;
    assert_eq!(
        (again["ticket"].clone(), again["expires_in"].as_u64()),
        (first["ticket"].clone(), Some(1_200))
    );
}

#[tokio::test]
async fn by_a_switch_the_same_ticket_claims_its_whole_life_every_time() {
    let sandbox = sandbox_with(app().switches(Switches {
        ticket_expires_in: ExpiresIn::Full,
        ..Switches::default()
    }))
    .await;
    let token = token_of(&stable(&sandbox).await);
    let first = ticket(&sandbox, &token, "jsapi").await;
    sandbox.advance(seconds(6_000));
    let again = ticket(&sandbox, &token, "jsapi").await;
    assert_eq!(
        (again["ticket"].clone(), again["expires_in"].as_u64()),
        (first["ticket"].clone(), Some(7_200))
    );
    sandbox.advance(seconds(1_200));
    assert!(
        !sandbox.accepts_ticket(APP, "jsapi", text(&again, "ticket")),
        "the claim does not prolong its life"
    );
}

#[tokio::test]
async fn a_ticket_outlives_the_token_it_was_fetched_with() {
    let sandbox = sandbox().await;
    let first = token_of(&classic(&sandbox).await);
    let bought = ticket(&sandbox, &first, "jsapi").await;
    sandbox.revoke(APP, Revoke::Token);
    assert_eq!(ticket(&sandbox, &first, "jsapi").await["errcode"], 40001);
    let second = token_of(&classic(&sandbox).await);
    assert_eq!(
        ticket(&sandbox, &second, "jsapi").await["ticket"],
        bought["ticket"]
    );
}

#[tokio::test]
async fn a_ticket_rotates_in_its_last_five_minutes_and_both_work_until_the_end() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    let old = text(&ticket(&sandbox, &token, "jsapi").await, "ticket").to_owned();
    sandbox.advance(seconds(6_899));
    assert_eq!(
        ticket(&sandbox, &token, "jsapi").await["ticket"],
        old.as_str()
    );
    sandbox.advance(seconds(1));
    let new = text(&ticket(&sandbox, &token, "jsapi").await, "ticket").to_owned();
    assert_ne!(old, new);
    sandbox.advance(seconds(299));
    assert!(
        sandbox.accepts_ticket(APP, "jsapi", &old) && sandbox.accepts_ticket(APP, "jsapi", &new)
    );
    sandbox.advance(seconds(1));
    assert!(
        !sandbox.accepts_ticket(APP, "jsapi", &old) && sandbox.accepts_ticket(APP, "jsapi", &new)
    );
}

#[tokio::test]
async fn page_tickets_and_card_tickets_are_different_values_and_not_interchangeable() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    let page = text(&ticket(&sandbox, &token, "jsapi").await, "ticket").to_owned();
    let card = text(&ticket(&sandbox, &token, "wx_card").await, "ticket").to_owned();
    assert_ne!(page, card);
    assert!(
        sandbox.accepts_ticket(APP, "wx_card", &card)
            && !sandbox.accepts_ticket(APP, "jsapi", &card)
    );
    assert_eq!(
        (sandbox.ticket(APP, "jsapi"), sandbox.ticket(APP, "wx_card")),
        (Some(page), Some(card))
    );
}

#[tokio::test]
async fn a_ticket_of_no_known_type_is_refused() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    assert_eq!(
        ticket(&sandbox, &token, "agent_config").await["errcode"],
        40097
    );
    assert_eq!(
        get(
            &sandbox,
            &format!("/cgi-bin/ticket/getticket?access_token={token}")
        )
        .await["errcode"],
        40097
    );
}

#[tokio::test]
async fn a_mini_program_has_a_token_and_no_tickets() {
    let sandbox = sandbox_with(App::mini(APP, SECRET)).await;
    let token = token_of(&stable(&sandbox).await);
    assert_eq!(try_token(&sandbox, &token).await, 0);
    assert_eq!(ticket(&sandbox, &token, "jsapi").await["errcode"], 48001);
    assert_eq!(
        get(&sandbox, &format!("/cgi-bin/menu/get?access_token={token}")).await["errcode"],
        48001
    );
}

#[tokio::test]
async fn the_menu_exists_or_was_never_created() {
    let sandbox = sandbox().await;
    let path = format!(
        "/cgi-bin/menu/get?access_token={}",
        token_of(&stable(&sandbox).await)
    );
    assert_eq!(
        get(&sandbox, &path).await,
        json!({ "menu": { "button": [] } })
    );
    sandbox.add_app(app().without_menu());
    let refused = get(&sandbox, &path).await;
    assert_eq!(
        (
            refused["errcode"].as_i64(),
            errmsg(&sandbox, &refused).as_str()
        ),
        (Some(46003), "menu no exist")
    );
}

#[tokio::test]
async fn the_addresses_of_the_api_are_a_list_and_nothing_else() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    let answer = get(
        &sandbox,
        &format!("/cgi-bin/get_api_domain_ip?access_token={token}"),
    )
    .await;
    let list = answer["ip_list"].as_array().unwrap();
    assert!(!list.is_empty() && list.iter().all(serde_json::Value::is_string));
    assert_eq!(answer.as_object().unwrap().len(), 1);
}
