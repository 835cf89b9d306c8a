//! WeCom's two tickets: the corp's, which its apps share, and each app's own.

use wx_jssdk::sandbox::{App, ExpiresIn, Revoke, Sandbox, Switches};

use crate::support::*;

async fn tokens_of_two(sandbox: &Sandbox) -> (String, String) {
    (
        token_of(&gettoken(sandbox).await),
        token_of(&get(sandbox, &gettoken_path(WORK_SECRET_2)).await),
    )
}

fn value(answer: &serde_json::Value) -> String {
    text(answer, "ticket").to_owned()
}

#[tokio::test]
async fn both_tickets_come_in_the_documented_order() {
    let sandbox = corp().await;
    let token = token_of(&gettoken(&sandbox).await);
    for (path, kind) in [
        ("/cgi-bin/get_jsapi_ticket?", "jsapi"),
        ("/cgi-bin/ticket/get?type=agent_config&", "agent_config"),
    ] {
        let bytes =
            String::from_utf8(raw(&sandbox, &format!("{path}access_token={token}")).await).unwrap();
        let ticket = sandbox.ticket(AGENT_NAME, kind).unwrap();
        let body =
            format!(r#"{{"errcode":0,"errmsg":"ok","ticket":"{ticket}","expires_in":7200}}"#);
        assert_eq!(bytes.split_once("\r\n\r\n").unwrap().1, body);
    }
}

#[tokio::test]
async fn the_apps_of_a_corp_share_its_ticket_and_have_their_own_beside_it() {
    let sandbox = corp_of_two().await;
    let (first, second) = tokens_of_two(&sandbox).await;
    let shared = value(&corp_ticket(&sandbox, &first).await);
    assert_eq!(value(&corp_ticket(&sandbox, &second).await), shared);
    let (one, other) = (
        value(&agent_ticket(&sandbox, &first).await),
        value(&agent_ticket(&sandbox, &second).await),
    );
    assert!(one != other && one != shared && other != shared);
    for name in [CORP, AGENT_NAME, AGENT_2_NAME] {
        assert!(
            sandbox.accepts_ticket(name, "jsapi", &shared)
                && !sandbox.accepts_ticket(name, "jsapi", &one),
            "{name}"
        );
        assert_eq!(
            sandbox.ticket(name, "jsapi").as_ref(),
            Some(&shared),
            "{name}"
        );
    }
    assert!(sandbox.accepts_ticket(AGENT_NAME, "agent_config", &one));
    assert!(!sandbox.accepts_ticket(AGENT_2_NAME, "agent_config", &one));
}

#[tokio::test]
#[should_panic(expected = "has several apps: use the name of one")]
async fn an_agents_ticket_is_not_asked_for_by_a_corp_of_two_apps() {
    let _ = corp_of_two().await.ticket(CORP, "agent_config");
}

#[tokio::test]
async fn two_corps_share_nothing_even_with_the_same_agent_id() {
    let sandbox = corp().await;
    sandbox.add_app(App::work("wwother", AGENT, "other-secret"));
    let ours = token_of(&gettoken(&sandbox).await);
    let theirs = token_of(
        &get(
            &sandbox,
            "/cgi-bin/gettoken?corpid=wwother&corpsecret=other-secret",
        )
        .await,
    );
    assert_ne!(
        value(&corp_ticket(&sandbox, &ours).await),
        value(&corp_ticket(&sandbox, &theirs).await)
    );
    assert_ne!(
        value(&agent_ticket(&sandbox, &ours).await),
        value(&agent_ticket(&sandbox, &theirs).await)
    );
}

#[tokio::test]
async fn the_same_ticket_is_repeated_until_its_last_five_minutes() {
    let sandbox = sandbox_with(work_app().token_ttl(seconds(20_000))).await;
    let token = token_of(&gettoken(&sandbox).await);
    let (corp, agent) = (
        value(&corp_ticket(&sandbox, &token).await),
        value(&agent_ticket(&sandbox, &token).await),
    );
    sandbox.advance(seconds(6_899));
    for (again, first) in [
        (corp_ticket(&sandbox, &token).await, &corp),
        (agent_ticket(&sandbox, &token).await, &agent),
    ] {
        assert_eq!(
            (&value(&again), again["expires_in"].as_u64()),
            (first, Some(301))
        );
    }
    sandbox.advance(seconds(1));
    for (again, first) in [
        (corp_ticket(&sandbox, &token).await, &corp),
        (agent_ticket(&sandbox, &token).await, &agent),
    ] {
        assert_ne!(&value(&again), first);
        assert_eq!(again["expires_in"], 7_200);
    }
    assert!(
        sandbox.accepts_ticket(CORP, "jsapi", &corp)
            && sandbox.accepts_ticket(CORP, "agent_config", &agent),
        "both, for now"
    );
    sandbox.advance(seconds(300));
    assert!(
        !sandbox.accepts_ticket(CORP, "jsapi", &corp)
            && !sandbox.accepts_ticket(CORP, "agent_config", &agent)
    );
}

#[tokio::test]
async fn by_a_switch_a_ticket_claims_its_whole_life_every_time() {
    let sandbox = sandbox_with(work_app().switches(Switches {
        ticket_expires_in: ExpiresIn::Full,
        ..Switches::default()
    }))
    .await;
    let token = token_of(&gettoken(&sandbox).await);
    corp_ticket(&sandbox, &token).await;
    sandbox.advance(seconds(6_000));
    assert_eq!(corp_ticket(&sandbox, &token).await["expires_in"], 7_200);
}

#[tokio::test]
async fn a_ticket_outlives_the_token_it_was_fetched_with() {
    let sandbox = corp().await;
    let first = token_of(&gettoken(&sandbox).await);
    let (corp, agent) = (
        value(&corp_ticket(&sandbox, &first).await),
        value(&agent_ticket(&sandbox, &first).await),
    );
    sandbox.revoke(AGENT_NAME, Revoke::Token);
    let second = token_of(&gettoken(&sandbox).await);
    assert_ne!(first, second);
    assert_eq!(
        (
            value(&corp_ticket(&sandbox, &second).await),
            value(&agent_ticket(&sandbox, &second).await)
        ),
        (corp, agent)
    );
}

#[tokio::test]
async fn another_type_of_ticket_is_refused() {
    let sandbox = corp().await;
    let token = token_of(&gettoken(&sandbox).await);
    for query in ["", "&type=", "&type=jsapi", "&type=wx_card"] {
        let answer = get(
            &sandbox,
            &format!("/cgi-bin/ticket/get?access_token={token}{query}"),
        )
        .await;
        assert_eq!(
            work_refusal(&sandbox, &answer),
            (40058, "invalid request parameter".to_owned()),
            "{query}"
        );
    }
    assert_eq!(sandbox.ticket(AGENT_NAME, "agent_config"), None);
}

#[tokio::test]
async fn a_revoked_corp_ticket_ends_for_all_apps_and_an_agents_for_one() {
    let sandbox = corp_of_two().await;
    let (first, second) = tokens_of_two(&sandbox).await;
    let shared = value(&corp_ticket(&sandbox, &first).await);
    let (one, other) = (
        value(&agent_ticket(&sandbox, &first).await),
        value(&agent_ticket(&sandbox, &second).await),
    );
    sandbox.revoke(AGENT_NAME, Revoke::AgentTicket);
    assert!(!sandbox.accepts_ticket(AGENT_NAME, "agent_config", &one));
    assert!(
        sandbox.accepts_ticket(AGENT_2_NAME, "agent_config", &other)
            && sandbox.accepts_ticket(CORP, "jsapi", &shared)
    );
    sandbox.revoke(AGENT_NAME, Revoke::JsapiTicket);
    assert!(!sandbox.accepts_ticket(AGENT_2_NAME, "jsapi", &shared));
    assert_ne!(value(&corp_ticket(&sandbox, &second).await), shared);
    let refreshed = value(&corp_ticket(&sandbox, &second).await);
    sandbox.revoke(AGENT_2_NAME, Revoke::Ticket);
    assert!(
        !sandbox.accepts_ticket(AGENT_2_NAME, "agent_config", &other)
            && !sandbox.accepts_ticket(CORP, "jsapi", &refreshed)
    );
}

#[tokio::test]
async fn after_a_reset_the_corp_has_no_ticket_either() {
    let sandbox = corp().await;
    let token = token_of(&gettoken(&sandbox).await);
    corp_ticket(&sandbox, &token).await;
    sandbox.reset();
    assert_eq!(sandbox.ticket(CORP, "jsapi"), None);
    assert_eq!(corp_ticket(&sandbox, &token).await["errcode"], 40014);
}

#[tokio::test]
async fn a_mini_program_has_tokens_of_both_modes_and_no_tickets_of_either_system() {
    let sandbox = sandbox_with(App::mini(APP, SECRET)).await;
    for token in [
        token_of(&classic(&sandbox).await),
        token_of(&stable(&sandbox).await),
    ] {
        assert_eq!(try_token(&sandbox, &token).await, 0);
        let refused = ticket(&sandbox, &token, "jsapi").await;
        assert_eq!(
            (
                refused["errcode"].as_i64(),
                errmsg(&sandbox, &refused).as_str()
            ),
            (Some(48001), "api unauthorized")
        );
        assert_eq!(corp_ticket(&sandbox, &token).await["errcode"], 40014);
    }
}
