//! `api.weixin.qq.com`'s own paths, with an API key in place of the secret.

use serde_json::json;
use wx_jssdk::Kind;
use wx_jssdk::actix::{ApiKey, ApiKeys, KeyHash};
use wx_jssdk::sandbox::{App, FaultKind, Revoke};

use crate::admin::world::*;

const LONG_40001: &str = "invalid credential, access_token is invalid or not latest, could get access_token by \
                          getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r rid: ";

fn token_call(app_id: &str, key: &str) -> String {
    format!("/cgi-bin/token?grant_type=client_credential&appid={app_id}&secret={key}")
}

fn ticket_call(token: &str, kind: &str) -> String {
    format!("{TICKET}?access_token={token}&type={kind}")
}

/// The access token that a client gets with an API key.
async fn token_for(world: &World, app_id: &str, key: &str) -> String {
    let answer = world.get(&token_call(app_id, key)).await;
    answer.ok().text("access_token")
}

/// Returns the errmsg without its rid, whose first group must be the time.
fn without_rid(errmsg: &str) -> &str {
    let (text, rid) = errmsg
        .split_once(" rid: ")
        .unwrap_or_else(|| panic!("no rid: {errmsg}"));
    let groups: Vec<_> = rid.split('-').collect();
    assert!(
        groups.len() == 3 && groups.iter().all(|group| group.len() == 8),
        "{errmsg}"
    );
    assert_eq!(u64::from_str_radix(groups[0], 16), Ok(START.0), "{errmsg}");
    text
}

#[tokio::test]
async fn a_token_is_returned_in_wechats_shape_with_its_remaining_life() {
    let world = World::new().await;
    let answer = world.get(&token_call(APP, KEY)).await;
    let first = answer.ok();
    assert!(
        first.has_exactly(&["access_token", "expires_in"]),
        "no errcode on success: {}",
        first.0
    );
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("application/json")
    );
    assert!(
        world
            .sandbox
            .accepts_token(APP, &first.text("access_token"))
    );
    world.advance(3_600);
    let second = world
        .send("POST", &token_call(APP, MAIN_KEY), &[], "")
        .await
        .ok();
    assert_eq!(
        (second.text("access_token"), second.number("expires_in")),
        (first.text("access_token"), 3_600)
    );
    assert_eq!(world.sandbox.calls(STABLE), 1);
}

#[tokio::test]
async fn stable_token_takes_json_by_post_and_gives_the_same_token() {
    let world = World::new().await;
    let token = token_for(&world, APP, KEY).await;
    for body in [
        json!({ "grant_type": "client_credential", "appid": APP, "secret": KEY }),
        json!({ "grant_type": "client_credential", "appid": APP, "secret": KEY, "force_refresh": false }),
        json!({ "grant_type": "client_credential", "appid": APP, "secret": KEY, "force_refresh": null, "more": 1 }),
    ] {
        assert_eq!(
            world.stable(&body).await.ok().text("access_token"),
            token,
            "{body}"
        );
    }
    assert_eq!(world.sandbox.calls(STABLE), 1);
}

#[tokio::test]
async fn classic_accounts_and_mini_programs_have_tokens_on_both_paths() {
    let world = World::new().await;
    for app in [CLASSIC_APP, MINI_APP] {
        let token = token_for(&world, app, KEY).await;
        assert!(world.sandbox.accepts_token(app, &token));
        let body = json!({ "grant_type": "client_credential", "appid": app, "secret": KEY });
        assert_eq!(world.stable(&body).await.ok().text("access_token"), token);
    }
    assert_eq!(
        world.sandbox.calls(CLASSIC),
        1,
        "on every request: each upstream call would retire the previous token"
    );
}

#[tokio::test]
async fn token_calls_are_validated_in_wechats_order() {
    let world = World::new().await;
    let grant = "grant_type=client_credential";
    for (query, errcode, text) in [
        (String::new(), 41002, "appid missing"),
        (
            format!("{grant}&appid=&secret={KEY}"),
            41002,
            "appid missing",
        ),
        ("appid=wxffffffffffffffff".into(), 40013, "invalid appid"),
        (
            format!("{grant}&appid={}&secret={KEY}", APP.to_uppercase()),
            40013,
            "invalid appid",
        ),
        (
            format!("{grant}&appid={CORP}&secret={KEY}"),
            40013,
            "invalid appid",
        ),
        (format!("appid={APP}"), 40002, "invalid grant_type"),
        (
            format!("grant_type=authorization_code&appid={APP}&secret={KEY}"),
            40002,
            "invalid grant_type",
        ),
        (format!("{grant}&appid={APP}"), 41004, "appsecret missing"),
        (
            format!("{grant}&appid={APP}&secret="),
            41004,
            "appsecret missing",
        ),
        (
            format!("{grant}&appid={APP}&secret=wrong"),
            40125,
            "invalid appsecret",
        ),
        (
            format!("{grant}&appid={APP}&secret={SECRET}"),
            40125,
            "invalid appsecret: this is wx-jssdk, send its API key instead of the AppSecret",
        ),
        (
            format!("{grant}&appid={MINI_APP}&secret={MAIN_KEY}"),
            40125,
            "invalid appsecret",
        ),
        (
            format!("{grant}&appid={APP}&secret={TICKET_KEY}"),
            40125,
            "invalid appsecret",
        ),
    ] {
        let errmsg = world
            .get(&format!("/cgi-bin/token?{query}"))
            .await
            .refused(errcode);
        assert_eq!(without_rid(&errmsg), text, "{query}");
    }
    assert_eq!(world.sandbox.calls_total(), 0);
}

#[tokio::test]
async fn stable_token_calls_are_validated_in_wechats_order() {
    let world = World::new().await;
    world
        .send("GET", &format!("{STABLE}?appid={APP}"), &[], "")
        .await
        .refused(43002);
    let right = json!({ "grant_type": "client_credential", "appid": APP, "secret": KEY });
    let with = |name: &str, value: serde_json::Value| {
        let mut body = right.clone();
        body[name] = value;
        body.to_string()
    };
    for (body, errcode) in [
        (String::new(), 44002),
        ("grant_type=client_credential".into(), 47001),
        ("[]".into(), 47001),
        (with("force_refresh", "yes".into()), 47001),
        (with("force_refresh", 2.into()), 47001),
        ("{}".into(), 41002),
        (with("appid", 7.into()), 41002),
        (with("appid", "wxffffffffffffffff".into()), 40013),
        (with("grant_type", "x".into()), 40002),
        (with("secret", "".into()), 41004),
        (with("secret", "wrong".into()), 40125),
        (with("secret", SALES_KEY.into()), 40125),
    ] {
        without_rid(
            &world
                .send("POST", STABLE, &[], &body)
                .await
                .refused(errcode),
        );
    }
    let large = with("padding", "x".repeat(9_000).into());
    let errmsg = world.send("POST", STABLE, &[], &large).await.refused(47001);
    assert!(errmsg.contains("more than 8192 bytes"), "{errmsg}");
    assert_eq!(world.sandbox.calls_total(), 0);
}

#[tokio::test]
async fn force_refresh_is_a_limited_reject_and_beyond_the_limit_the_token_stays() {
    let world = World::new().await;
    let body = json!({ "grant_type": "client_credential", "appid": APP, "secret": KEY, "force_refresh": true });
    let before = world.token("main").await;
    world.advance(100);
    let forced = world.stable(&body).await.ok();
    assert_ne!(forced.text("access_token"), before);
    assert_eq!(forced.number("expires_in"), 7_200);
    let calls = world.sandbox.calls(STABLE);
    for _ in 0..29 {
        world.advance(1);
        assert_eq!(
            world.stable(&body).await.ok().text("access_token"),
            forced.text("access_token")
        );
    }
    assert_eq!(world.sandbox.calls(STABLE), calls);
    world.advance(1);
    assert_ne!(
        world.stable(&body).await.ok().text("access_token"),
        forced.text("access_token")
    );
}

#[tokio::test]
async fn tickets_are_issued_for_a_token_that_was_issued_here() {
    let world = World::new().await;
    let token = token_for(&world, APP, KEY).await;
    for (kind, other) in [("jsapi", "wx_card"), ("wx_card", "jsapi")] {
        let first = world.get(&ticket_call(&token, kind)).await.ok();
        assert!(
            first.has_exactly(&["errcode", "errmsg", "ticket", "expires_in"]),
            "{}",
            first.0
        );
        assert_eq!(
            (first.number("errcode"), first.text("errmsg").as_str()),
            (0, "ok")
        );
        let ticket = first.text("ticket");
        assert!(
            world.sandbox.accepts_ticket(APP, kind, &ticket)
                && !world.sandbox.accepts_ticket(APP, other, &ticket)
        );
        world.advance(50);
        let second = world.get(&ticket_call(&token, kind)).await.ok();
        assert_eq!(
            (second.text("ticket"), second.number("expires_in")),
            (ticket, first.number("expires_in") - 50)
        );
    }
    assert_eq!(world.sandbox.calls(TICKET), 2);
}

#[tokio::test]
async fn a_tokens_only_key_gets_no_ticket_with_its_token() {
    let world = World::new().await;
    world.with_token_key();
    let token = token_for(&world, APP, TOKEN_KEY).await;
    let call = ticket_call(&token, "jsapi");
    assert_eq!(
        without_rid(&world.get(&call).await.refused(48001)),
        "api unauthorized"
    );
    // Nor with a token from the other paths.
    let value = world
        .get_with(TOKEN_KEY, "/credentials/classic/access_token")
        .await
        .ok()
        .text("value");
    let classic = ticket_call(&value, "wx_card");
    world.get(&classic).await.refused(48001);
    assert_eq!(world.sandbox.calls(TICKET), 0);
    // The same token used by a client whose key grants tickets.
    let bought = world.get_from("127.0.0.2", &token_call(APP, KEY)).await;
    assert_eq!(bought.ok().text("access_token"), token);
    world.get_from("127.0.0.2", &call).await.ok();
    world.get(&call).await.refused(48001);
    // The client's servers share the token.
    world.get_from("127.0.0.3", &call).await.ok();
}

#[tokio::test]
async fn with_a_tokens_only_key_a_token_not_issued_here_gets_no_ticket() {
    let world = World::new().await;
    let token = world
        .broker
        .credential("main", Kind::AccessToken)
        .await
        .unwrap();
    let call = ticket_call(token.value.expose(), "jsapi");
    world.get(&call).await.ok(); // every key that grants the token grants the ticket
    world.with_token_key();
    let errmsg = world.get(&call).await.refused(40001);
    assert!(errmsg.starts_with(LONG_40001), "{errmsg}");
    world.get(&token_call(APP, KEY)).await.ok();
    world.get(&call).await.ok();
}

#[tokio::test]
async fn a_token_issued_to_a_removed_key_gets_no_ticket() {
    let world = World::new().await;
    let token = token_for(&world, APP, MAIN_KEY).await;
    let call = ticket_call(&token, "jsapi");
    world.get(&call).await.ok();
    world
        .keys
        .store(std::sync::Arc::new(ApiKeys::new(vec![ApiKey::new(
            "other",
            KeyHash::of(KEY),
        )])));
    world.get(&call).await.refused(40001);
    world.keys.store(std::sync::Arc::new(ApiKeys::default()));
    world.get(&call).await.refused(40001);
}

#[tokio::test]
async fn ticket_calls_validate_the_token_first() {
    let world = World::new().await;
    let token = world.token("main").await;
    let mini = world.token("mini").await;
    for (query, errcode) in [
        ("type=jsapi".to_owned(), 41001),
        ("access_token=&type=jsapi".to_owned(), 41001),
        ("access_token=nobodys&type=nonsense".to_owned(), 40001),
        (format!("access_token={KEY}&type=jsapi"), 41002),
        (format!("access_token={token}x&type=jsapi"), 40001),
        (format!("access_token={token}"), 40097),
        (format!("access_token={token}&type=agent_config"), 40097),
        (format!("access_token={mini}&type=jsapi"), 48001),
    ] {
        let errmsg = world
            .get(&format!("{TICKET}?{query}"))
            .await
            .refused(errcode);
        without_rid(&errmsg);
        assert!(
            errcode != 40001 || errmsg.starts_with(LONG_40001),
            "{errmsg}"
        );
    }
    assert_eq!(world.sandbox.calls(TICKET), 0);
}

#[tokio::test]
async fn a_replaced_token_gets_tickets_for_four_more_minutes_and_a_dead_one_none() {
    let world = World::new().await;
    let old = world.token("main").await;
    let call = ticket_call(&old, "jsapi");
    world.advance(7_100); // the keeper's time: it refreshes before the end
    world.broker.tend().await;
    let new = world.token("main").await;
    assert_ne!(new, old);
    world.get(&call).await.ok();
    world.advance(240);
    assert!(
        world
            .get(&call)
            .await
            .refused(40001)
            .starts_with(LONG_40001)
    );
    world
        .get(&ticket_call(&old, "nonsense"))
        .await
        .refused(40001);
    world.get(&ticket_call(&new, "jsapi")).await.ok();
}

#[tokio::test]
async fn a_token_reported_dead_gets_no_more_tickets() {
    let world = World::new().await;
    let dead = world.token("main").await;
    world.sandbox.revoke(APP, Revoke::Token);
    let new = world
        .reject("/credentials/main/access_token", &dead)
        .await
        .ok()
        .text("value");
    assert!(
        world
            .get(&ticket_call(&dead, "jsapi"))
            .await
            .refused(40001)
            .starts_with(LONG_40001)
    );
    world.get(&ticket_call(&new, "jsapi")).await.ok();
}

#[tokio::test]
async fn a_wechat_refusal_is_returned_verbatim() {
    let world = World::new().await;
    world.sandbox.add_app(
        App::official(APP, SECRET)
            .allow_ips(["203.0.113.7"])
            .caller_ip([106, 41, 36, 218].into()),
    );
    let errmsg = world.get(&token_call(APP, KEY)).await.refused(40164);
    assert!(
        errmsg.starts_with(
            "invalid ip 106.41.36.218 ipv6 ::ffff:106.41.36.218, not in whitelist rid: "
        ),
        "{errmsg}"
    );
    world.fault(CLASSIC, FaultKind::Errcode(45009));
    for _ in 0..2 {
        let errmsg = world
            .get(&token_call(CLASSIC_APP, KEY))
            .await
            .refused(45009);
        assert!(
            errmsg.starts_with("reach max api daily quota limit rid: "),
            "{errmsg}"
        );
    }
    assert_eq!(
        world.sandbox.calls(CLASSIC),
        1,
        "after the report, WeChat is not called again"
    );
}

#[tokio::test]
async fn a_refusal_of_the_accounts_secret_is_told_from_one_of_the_key() {
    let world = World::new().await;
    world.sandbox.fault(wx_jssdk::sandbox::Fault::always(
        STABLE,
        FaultKind::Errcode(40125),
    ));
    let body = json!({ "grant_type": "client_credential", "appid": APP, "secret": KEY });
    for answer in [
        world.get(&token_call(APP, KEY)).await,
        world.stable(&body).await,
        world.get(&ticket_call(TICKET_KEY, "jsapi")).await,
    ] {
        let errmsg = answer.refused(40125);
        assert!(
            errmsg.starts_with("WeChat refuses the secret that wx-jssdk has")
                && errmsg.contains(": invalid appsecret"),
            "{errmsg}"
        );
    }
    let of_key = world.get(&token_call(APP, "wxk_wrong")).await;
    assert_eq!(without_rid(&of_key.refused(40125)), "invalid appsecret");
}

#[tokio::test]
async fn an_unreachable_wechat_is_reported_as_busy() {
    let world = World::new().await;
    for fault in [
        FaultKind::Status(502),
        FaultKind::CutBody,
        FaultKind::NotJson,
    ] {
        world.fault(STABLE, fault.clone());
        for _ in 0..2 {
            let errmsg = world.get(&token_call(APP, KEY)).await.refused(-1);
            assert!(
                errmsg.starts_with("system error rid: "),
                "{fault:?}: {errmsg}"
            );
        }
        world.advance(600); // out of the cooldown
        world.sandbox.clear_faults();
        let before = world.sandbox.calls(STABLE);
        world.get(&token_call(APP, KEY)).await.ok();
        assert_eq!(world.sandbox.calls(STABLE), before + 1, "{fault:?}");
        world.advance(7_200);
    }
}

#[tokio::test]
async fn the_callers_token_is_not_blamed_if_wechat_refuses_the_servers_token() {
    // On 40001 an SDK assumes that its own token is dead and fetches it again and again.
    let world = World::new().await;
    let token = world.token("main").await;
    world.sandbox.fault(wx_jssdk::sandbox::Fault::always(
        TICKET,
        FaultKind::Errcode(40001),
    ));
    world.get(&ticket_call(&token, "jsapi")).await.refused(-1);
    assert_eq!(
        world.sandbox.calls(TICKET),
        2,
        "refreshed once, retried once"
    );
}

#[tokio::test]
async fn other_paths_are_404() {
    let world = World::new().await;
    let token = world.token("main").await;
    for path in [
        "/cgi-bin/menu/get",
        "/cgi-bin",
        "/cgi-bin/",
        "/cgi-bin/token/",
        "/cgi-bin/Token",
        "/cgi-bin/ticket",
    ] {
        let answer = world.get(&format!("{path}?access_token={token}")).await;
        assert_eq!((answer.status, answer.text.as_str()), (404, ""), "{path}");
    }
}

#[tokio::test]
async fn of_a_repeated_parameter_the_first_value_is_used() {
    let world = World::new().await;
    let call = format!("{}&secret={KEY}&appid={MINI_APP}", token_call(APP, "wrong"));
    world.get(&call).await.refused(40125);
    let call = format!("{}&secret=wrong&appid=wrong", token_call(APP, KEY));
    let token = world.get(&call).await.ok().text("access_token");
    assert_eq!(
        world
            .broker
            .credential("main", Kind::AccessToken)
            .await
            .unwrap()
            .value
            .expose(),
        token
    );
}

#[tokio::test]
async fn a_method_that_wechat_does_not_accept_gets_no_token() {
    let world = World::new().await;
    let query = format!("grant_type=client_credential&appid={APP}&secret={KEY}");
    for method in ["PUT", "DELETE", "PATCH", "TRACE"] {
        let answer = world
            .send(method, &format!("{CLASSIC}?{query}"), &[], "")
            .await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("GET, HEAD, POST")),
            "{answer:?}"
        );
        assert_eq!(answer.text, "", "{method}");
    }
    world
        .send("POST", &format!("{CLASSIC}?{query}"), &[], "")
        .await
        .ok()
        .text("access_token");
}

#[tokio::test]
async fn trailing_line_breaks_in_values_are_ignored() {
    let world = World::new().await;
    let token = world.get(&token_call(APP, &format!("{KEY}%0A"))).await.ok();
    let token = token.text("access_token");
    let ticket = format!("/cgi-bin/ticket/getticket?access_token={token}%0D%0A&type=jsapi");
    assert!(!world.get(&ticket).await.ok().text("ticket").is_empty());
}
