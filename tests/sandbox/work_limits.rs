//! WeCom's hourly limits on ticket calls and wrong secrets.

use wx_jssdk::sandbox::{App, Quotas, Sandbox, Switches};

use crate::support::*;

fn limited(app: App, own: u64, corp: u64) -> App {
    app.quotas(Quotas {
        work_ticket_hourly_app: own,
        work_ticket_hourly_corp: corp,
        ..Quotas::default()
    })
}

async fn second_token(sandbox: &Sandbox) -> String {
    token_of(&get(sandbox, &gettoken_path(WORK_SECRET_2)).await)
}

#[tokio::test]
async fn the_101st_corp_ticket_of_an_app_within_an_hour_blocks_it_for_an_hour() {
    let sandbox = corp().await;
    let token = token_of(&gettoken(&sandbox).await);
    for _ in 0..100 {
        assert_eq!(corp_ticket(&sandbox, &token).await["errcode"], 0);
    }
    sandbox.advance(seconds(1_800));
    let refused = corp_ticket(&sandbox, &token).await;
    assert_eq!(
        work_refusal(&sandbox, &refused),
        (45009, "api freq out of limit".to_owned())
    );
    assert_eq!(
        agent_ticket(&sandbox, &token).await["errcode"],
        0,
        "the other ticket has its own count"
    );
    sandbox.advance(seconds(3_599));
    assert_eq!(
        corp_ticket(&sandbox, &token).await["errcode"],
        45009,
        "an hour after the first call, but not after the block"
    );
    sandbox.advance(seconds(1));
    assert_eq!(corp_ticket(&sandbox, &token).await["errcode"], 0);
}

#[tokio::test]
async fn the_apps_of_a_corp_share_its_limit_of_four_hundred() {
    let sandbox = corp().await;
    let mut tokens = vec![token_of(&gettoken(&sandbox).await)];
    for (agent, secret) in [(1, "s1"), (2, "s2"), (3, "s3"), (4, "s4")] {
        sandbox.add_app(App::work(CORP, agent, secret));
        tokens.push(token_of(&get(&sandbox, &gettoken_path(secret)).await));
    }
    for token in &tokens[..4] {
        for _ in 0..100 {
            assert_eq!(corp_ticket(&sandbox, token).await["errcode"], 0);
        }
    }
    let fifth = corp_ticket(&sandbox, &tokens[4]).await;
    assert_eq!(
        work_refusal(&sandbox, &fifth).0,
        45009,
        "its first call, and the corp's four hundred and first"
    );
    assert_eq!(agent_ticket(&sandbox, &tokens[4]).await["errcode"], 0);
}

#[tokio::test]
async fn the_limit_of_one_app_does_not_affect_the_others() {
    let sandbox = sandbox_with(limited(work_app(), 1, 3)).await;
    sandbox.add_app(limited(second_app(), 2, 3));
    let (first, second) = (
        token_of(&gettoken(&sandbox).await),
        second_token(&sandbox).await,
    );
    let codes = [
        agent_ticket(&sandbox, &first).await,
        agent_ticket(&sandbox, &first).await,
        agent_ticket(&sandbox, &first).await,
        agent_ticket(&sandbox, &second).await,
        agent_ticket(&sandbox, &second).await,
        agent_ticket(&sandbox, &second).await,
    ]
    .map(|answer| answer["errcode"].as_i64().unwrap());
    assert_eq!(
        codes,
        [0, 45009, 45009, 0, 0, 45009],
        "refused calls are not counted"
    );
}

#[tokio::test]
async fn calls_refused_for_their_token_are_not_counted() {
    let sandbox = sandbox_with(limited(work_app(), 1, 1)).await;
    for _ in 0..5 {
        assert_eq!(corp_ticket(&sandbox, "nobodys").await["errcode"], 40014);
    }
    let token = token_of(&gettoken(&sandbox).await);
    assert_eq!(corp_ticket(&sandbox, &token).await["errcode"], 0);
}

#[tokio::test]
async fn gettoken_itself_has_no_limit() {
    let sandbox = corp().await;
    let first = gettoken(&sandbox).await;
    for _ in 0..500 {
        assert_eq!(gettoken(&sandbox).await, first);
    }
}

#[test]
fn an_address_is_banned_after_two_thousand_wrong_secrets_by_default() {
    assert_eq!(Switches::default().wrong_secrets_until_ban, 2_000);
}

fn banned_after(wrong: u64) -> App {
    work_app().switches(Switches {
        wrong_secrets_until_ban: wrong,
        ..Switches::default()
    })
}

async fn wrong(sandbox: &Sandbox) -> i64 {
    get(sandbox, &gettoken_path("wrong")).await["errcode"]
        .as_i64()
        .unwrap()
}

#[tokio::test]
async fn repeated_wrong_secrets_ban_the_address_for_an_hour_even_with_the_right_one() {
    let sandbox = sandbox_with(banned_after(3)).await;
    let token = token_of(&gettoken(&sandbox).await);
    assert_eq!(
        [wrong(&sandbox).await, wrong(&sandbox).await],
        [40001, 40001]
    );
    assert_eq!(gettoken(&sandbox).await["errcode"], 0, "two are not three");
    sandbox.advance(seconds(100));
    assert_eq!(wrong(&sandbox).await, 40001);
    let refused = gettoken(&sandbox).await;
    assert_eq!(
        work_refusal(&sandbox, &refused),
        (45009, "api freq out of limit".to_owned())
    );
    assert_eq!(wrong(&sandbox).await, 45009);
    assert_eq!(
        corp_ticket(&sandbox, &token).await["errcode"],
        0,
        "an existing token still fetches tickets"
    );
    sandbox.advance(seconds(3_599));
    assert_eq!(gettoken(&sandbox).await["errcode"], 45009);
    sandbox.advance(seconds(1));
    assert_eq!(gettoken(&sandbox).await["errcode"], 0);
    assert_eq!(
        [wrong(&sandbox).await, wrong(&sandbox).await],
        [40001, 40001],
        "and the count restarts"
    );
    assert_eq!(gettoken(&sandbox).await["errcode"], 0);
}

#[tokio::test]
async fn wrong_secrets_of_different_hours_do_not_add_up() {
    let sandbox = sandbox_with(banned_after(2)).await;
    assert_eq!(wrong(&sandbox).await, 40001);
    sandbox.advance(seconds(3_600));
    assert_eq!(wrong(&sandbox).await, 40001);
    assert_eq!(gettoken(&sandbox).await["errcode"], 0);
}

#[tokio::test]
async fn a_ban_applies_to_the_address_for_every_corp() {
    let sandbox = sandbox_with(banned_after(1)).await;
    sandbox.add_app(App::work("wwother", 1, "other"));
    sandbox
        .add_app(App::work("wwelsewhere", 1, "elsewhere").caller_ip("10.0.0.9".parse().unwrap()));
    assert_eq!(wrong(&sandbox).await, 40001);
    assert_eq!(
        get(
            &sandbox,
            "/cgi-bin/gettoken?corpid=wwother&corpsecret=other"
        )
        .await["errcode"],
        45009
    );
    assert_eq!(
        get(
            &sandbox,
            "/cgi-bin/gettoken?corpid=wwelsewhere&corpsecret=elsewhere"
        )
        .await["errcode"],
        0
    );
    assert_eq!(
        get(&sandbox, &format!("/cgi-bin/gettoken?corpid={CORP}")).await["errcode"],
        41004,
        "the shape is checked before"
    );
    sandbox.reset();
    assert_eq!(gettoken(&sandbox).await["errcode"], 0, "a reset forgets it");
}
