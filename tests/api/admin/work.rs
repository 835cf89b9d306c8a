//! `qyapi.weixin.qq.com`'s own paths: a corp with two apps.

use wx_jssdk::sandbox::{App, Revoke, Sandbox};
use wx_jssdk::{Clock, Kind};

use crate::admin::world::*;

fn token_call(corp: &str, key: &str) -> String {
    format!("/cgi-bin/gettoken?corpid={corp}&corpsecret={key}")
}

/// A world in which all credentials of both apps are fetched.
async fn world() -> World {
    let world = World::new().await;
    for app in ["sales", "hr"] {
        world
            .seed(app, Kind::AccessToken, &format!("token-of-{app}"))
            .await;
        world
            .seed(app, Kind::JsapiTicket, &format!("corp-ticket-of-{app}"))
            .await;
        world
            .seed(app, Kind::AgentTicket, &format!("agent-ticket-of-{app}"))
            .await;
    }
    world
}

/// Returns the errmsg without WeCom's suffix, which is verified.
fn without_tail(errmsg: &str, errcode: i64) -> &str {
    let (text, tail) = errmsg
        .split_once(", hint: [")
        .unwrap_or_else(|| panic!("no hint: {errmsg}"));
    let (hint, rest) = tail.split_once(']').unwrap();
    assert!(
        hint.starts_with(&START.0.to_string()) && hint.bytes().all(|b| b.is_ascii_digit()),
        "{errmsg}"
    );
    let more = format!(
        ", from ip: 127.0.0.1, more info at https://open.work.weixin.qq.com/devtool/query?e={errcode}"
    );
    assert_eq!(rest, more);
    text
}

#[tokio::test]
async fn a_token_is_returned_with_errcode_0_and_its_remaining_life() {
    let world = world().await;
    world.advance(200);
    let answer = world.get(&token_call(CORP, SALES_KEY)).await;
    let body = answer.ok();
    assert!(
        body.has_exactly(&["errcode", "errmsg", "access_token", "expires_in"]),
        "{}",
        body.0
    );
    assert_eq!(
        (body.number("errcode"), body.text("errmsg").as_str()),
        (0, "ok")
    );
    assert_eq!(
        (
            body.text("access_token").as_str(),
            body.number("expires_in")
        ),
        ("token-of-sales", 7_000)
    );
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=UTF-8")
    );
}

#[tokio::test]
async fn the_key_or_else_the_agentid_selects_the_app_of_the_corp() {
    let world = world().await;
    let errmsg = world.get(&token_call(CORP, KEY)).await.refused(41011);
    assert!(
        without_tail(&errmsg, 41011).contains("add agentid="),
        "{errmsg}"
    );
    for (agent, token) in [("1000002", "token-of-sales"), ("1000003", "token-of-hr")] {
        let answer = world
            .get(&format!("{}&agentid={agent}", token_call(CORP, KEY)))
            .await;
        assert_eq!(answer.ok().text("access_token"), token);
    }
    let sales = format!("{}&agentid=1000002", token_call(CORP, SALES_KEY));
    assert_eq!(
        world.get(&sales).await.ok().text("access_token"),
        "token-of-sales"
    );
    // A key is not told which other apps there are.
    for (key, agent) in [
        (SALES_KEY, "1000003"),
        (SALES_KEY, "1000004"),
        (KEY, "1000004"),
        (KEY, "sales"),
        (KEY, "-1"),
    ] {
        let errmsg = world
            .get(&format!("{}&agentid={agent}", token_call(CORP, key)))
            .await
            .refused(40056);
        assert!(errmsg.contains("opens no app of the corp"), "{errmsg}");
    }
}

#[tokio::test]
async fn a_tokens_only_key_gets_neither_of_wecoms_tickets() {
    let world = world().await;
    world.with_token_key();
    let sales = format!("{}&agentid=1000002", token_call(CORP, TOKEN_KEY));
    let token = world.get(&sales).await.ok().text("access_token");
    for call in [
        format!("/cgi-bin/get_jsapi_ticket?access_token={token}"),
        format!("/cgi-bin/ticket/get?access_token={token}&type=agent_config"),
    ] {
        world.get(&call).await.refused(48002);
    }
}

#[tokio::test]
async fn token_calls_are_validated_in_wecoms_order() {
    let world = world().await;
    for (query, errcode, text) in [
        (String::new(), 41004, "corpsecret missing"),
        (format!("corpid={CORP}"), 41004, "corpsecret missing"),
        (format!("corpsecret={KEY}"), 40013, "invalid corpid"),
        (
            format!("corpid=wwffffffffffffffff&corpsecret={KEY}"),
            40013,
            "invalid corpid",
        ),
        (
            format!("corpid={APP}&corpsecret={KEY}"),
            40013,
            "invalid corpid",
        ),
        (
            format!("corpid={CORP}&corpsecret=wrong"),
            40001,
            "invalid credential",
        ),
        (
            format!("corpid={CORP}&corpsecret={SECRET}"),
            40001,
            "invalid credential: this is wx-jssdk, send its API key instead of the AppSecret",
        ),
        (
            format!("corpid={CORP}&corpsecret={MAIN_KEY}"),
            40001,
            "invalid credential",
        ),
    ] {
        let answer = world.get(&format!("/cgi-bin/gettoken?{query}")).await;
        let errmsg = answer.refused(errcode);
        assert_eq!(without_tail(&errmsg, errcode), text, "{query}");
        assert_eq!(
            answer.header("error-code"),
            Some(errcode.to_string().as_str())
        );
        assert_eq!(answer.header("error-msg"), Some(errmsg.as_str()));
        assert_eq!(
            answer.header("content-type"),
            Some("application/json; charset=UTF-8")
        );
    }
}

#[tokio::test]
async fn the_corps_ticket_and_each_apps_ticket_differ() {
    let world = world().await;
    for (app, agent) in [("sales", 1_000_002), ("hr", 1_000_003)] {
        let token = world
            .get(&format!("{}&agentid={agent}", token_call(CORP, KEY)))
            .await
            .ok()
            .text("access_token");
        for (path, value) in [
            (
                format!("/cgi-bin/get_jsapi_ticket?access_token={token}"),
                format!("corp-ticket-of-{app}"),
            ),
            (
                format!("/cgi-bin/ticket/get?access_token={token}&type=agent_config"),
                format!("agent-ticket-of-{app}"),
            ),
        ] {
            let ticket = world.get(&path).await.ok();
            assert!(
                ticket.has_exactly(&["errcode", "errmsg", "ticket", "expires_in"]),
                "{}",
                ticket.0
            );
            assert_eq!(
                (ticket.text("ticket"), ticket.number("expires_in")),
                (value, 7_200)
            );
        }
    }
}

#[tokio::test]
async fn ticket_calls_validate_the_token_first() {
    let world = world().await;
    let token = world.token("sales").await;
    let weixin = world.token("main").await;
    for (path, errcode, text) in [
        ("get_jsapi_ticket".to_owned(), 41001, "access_token missing"),
        (
            "ticket/get?type=agent_config".to_owned(),
            41001,
            "access_token missing",
        ),
        (
            "get_jsapi_ticket?access_token=nobodys".to_owned(),
            40014,
            "invalid access_token",
        ),
        (
            "ticket/get?access_token=nobodys&type=nonsense".to_owned(),
            40014,
            "invalid access_token",
        ),
        (
            format!("get_jsapi_ticket?access_token={weixin}"),
            40014,
            "invalid access_token",
        ),
        (
            format!("ticket/get?access_token={token}"),
            40058,
            "invalid request parameter",
        ),
        (
            format!("ticket/get?access_token={token}&type=jsapi"),
            40058,
            "invalid request parameter",
        ),
    ] {
        let errmsg = world
            .get(&format!("/cgi-bin/{path}"))
            .await
            .refused(errcode);
        assert_eq!(without_tail(&errmsg, errcode), text, "{path}");
    }
    let errmsg = world
        .get(&format!("{TICKET}?access_token={token}&type=jsapi"))
        .await
        .refused(40001);
    assert!(
        errmsg.contains("getStableAccessToken"),
        "a WeCom token is not valid for weixin: {errmsg}"
    );
}

#[tokio::test]
async fn the_returned_values_are_those_that_wecom_issued() {
    let wecom = Sandbox::start(Clock::manual(START)).await.unwrap();
    wecom.add_app(App::work(CORP, 1_000_002, SECRET));
    let world = World::with_wecom_at(wecom.url()).await;
    let token = world
        .get(&token_call(CORP, SALES_KEY))
        .await
        .ok()
        .text("access_token");
    let app = format!("{CORP}:1000002");
    assert!(wecom.accepts_token(&app, &token));
    let corp = world
        .get(&format!("/cgi-bin/get_jsapi_ticket?access_token={token}"))
        .await
        .ok()
        .text("ticket");
    let agent = world
        .get(&format!(
            "/cgi-bin/ticket/get?access_token={token}&type=agent_config"
        ))
        .await
        .ok()
        .text("ticket");
    assert!(
        wecom.accepts_ticket(&app, "jsapi", &corp)
            && wecom.accepts_ticket(&app, "agent_config", &agent)
    );
    wecom.revoke(&app, Revoke::Token);
    let new = world
        .reject("/credentials/sales/access_token", &token)
        .await
        .ok()
        .text("value");
    assert!(new != token && wecom.accepts_token(&app, &new));
    assert_eq!(
        world
            .get(&token_call(CORP, SALES_KEY))
            .await
            .ok()
            .text("access_token"),
        new
    );
    assert_eq!(
        (wecom.calls("/cgi-bin/gettoken"), wecom.calls_total()),
        (2, 4)
    );
}

#[tokio::test]
async fn a_wecom_refusal_is_returned_verbatim() {
    const REFUSAL: &str = r#"{"errcode":60020,"errmsg":"not allow to access from your ip, hint: [1686402237354962763423746], from ip: 203.0.113.7, more info at https://open.work.weixin.qq.com/devtool/query?e=60020"}"#;
    let world = World::with_wecom_at(&wecom_that_says(REFUSAL).await).await;
    let answer = world.get(&token_call(CORP, SALES_KEY)).await;
    answer.refused(60020);
    assert_eq!(answer.text, REFUSAL);
    assert_eq!(answer.header("error-code"), Some("60020"));
    let problem = world
        .get_with(KEY, "/credentials/sales/access_token")
        .await
        .problem(502, "account_misconfigured");
    assert!(
        problem.0["upstream"]["fix"]["en"]
            .as_str()
            .unwrap()
            .ends_with("203.0.113.7"),
        "{}",
        problem.0
    );
}

#[tokio::test]
async fn a_refusal_of_the_apps_secret_is_told_from_one_of_the_key() {
    const REFUSAL: &str =
        r#"{"errcode":40001,"errmsg":"invalid credential, hint: [1686402237354962763423746]"}"#;
    let world = World::with_wecom_at(&wecom_that_says(REFUSAL).await).await;
    let answer = world.get(&token_call(CORP, SALES_KEY)).await;
    let errmsg = answer.refused(40001);
    assert!(
        errmsg.starts_with("WeChat refuses the secret that wx-jssdk has")
            && errmsg.ends_with(": invalid credential, hint: [1686402237354962763423746]"),
        "{errmsg}"
    );
    assert_eq!(answer.header("error-msg"), Some(errmsg.as_str()));
}

#[tokio::test]
async fn an_unreachable_wecom_is_reported_as_busy() {
    let world = World::new().await;
    let errmsg = world.get(&token_call(CORP, SALES_KEY)).await.refused(-1);
    assert_eq!(without_tail(&errmsg, -1), "system error");
}
