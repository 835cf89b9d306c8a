//! An API key holder cannot exhaust the account's quota: a day of callers that only report dead values.

use serde_json::json;

use crate::admin::world::*;

/// The seconds between the calls of a day: for an hour at the shortest interval of granted rejects, then three times as often as
/// they are granted after the first twenty.
fn a_day() -> impl Iterator<Item = u64> {
    std::iter::repeat_n(30, 120).chain(std::iter::repeat_n(300, 276))
}

/// Twenty, then four an hour, in each of the two Shanghai days that this day touches, plus scheduled refreshes: less than the 200
/// classic token calls a day that WeChat grants even a test account.
const BOUND: u64 = 2 * 20 + 4 * 24 + 14;

async fn reject_all_day(world: &World, path: &str) {
    let mut current = world.get_with(KEY, path).await.ok().text("value");
    for pause in a_day() {
        world.advance(pause);
        let answer = world.reject(path, &current).await;
        current = match answer.status {
            200 => answer.ok().text("value"),
            429 => current,
            _ => panic!("{answer:?}"),
        };
    }
}

#[tokio::test]
async fn a_day_of_rejects_forces_no_more_than_twenty_stable_tokens() {
    let world = World::new().await;
    let mut tokens = std::collections::HashSet::from([world.token("main").await]);
    for pause in a_day() {
        world.advance(pause);
        let current = world.token("main").await;
        assert!(
            world.sandbox.accepts_token(APP, &current),
            "never a dead token"
        );
        world
            .reject("/credentials/main/access_token", &current)
            .await;
        tokens.insert(current);
    }
    // Twenty forced in each of the two Shanghai days that this day touches, plus twelve ordinary expiries.
    assert!(tokens.len() <= 2 * 20 + 14, "{} tokens", tokens.len());
    let calls = world.sandbox.calls(STABLE);
    assert!(calls < 4 * a_day().count() as u64, "{calls} calls");
}

#[tokio::test]
async fn a_day_of_force_refresh_answers_every_call_and_forces_no_more_than_the_limit() {
    let world = World::new().await;
    let body = json!({ "grant_type": "client_credential", "appid": APP, "secret": KEY, "force_refresh": true });
    let mut tokens = std::collections::HashSet::new();
    for pause in a_day() {
        world.advance(pause);
        let answer = world.stable(&body).await.ok();
        assert!(
            world
                .sandbox
                .accepts_token(APP, &answer.text("access_token")),
            "{}",
            answer.0
        );
        tokens.insert(answer.text("access_token"));
    }
    assert!(tokens.len() <= 2 * 20 + 14, "{} tokens", tokens.len());
}

#[tokio::test]
async fn a_day_of_rejects_leaves_a_classic_accounts_quota() {
    let world = World::new().await;
    reject_all_day(&world, "/credentials/classic/access_token").await;
    let calls = world.sandbox.calls(CLASSIC);
    assert!((20..=BOUND).contains(&calls), "{calls} calls");
}

#[tokio::test]
async fn a_day_of_rejected_tickets_leaves_the_ticket_quota() {
    let world = World::new().await;
    reject_all_day(&world, "/credentials/main/jsapi_ticket").await;
    let calls = world.sandbox.calls(TICKET);
    assert!((20..=BOUND).contains(&calls), "{calls} calls");
}
