//! Refusals: their order and their texts.

use serde_json::json;
use wx_jssdk::sandbox::Switches;

use crate::support::*;

/// Every refusal: errcode, errmsg, query of `/cgi-bin/token`.
#[tokio::test]
async fn the_token_endpoint_checks_the_app_then_the_grant_then_the_secret() {
    let sandbox = sandbox().await;
    let grant = "grant_type=client_credential";
    for (code, words, query) in [
        (41002, "appid missing", String::new()),
        (
            41002,
            "appid missing",
            format!("{grant}&appid=&secret={SECRET}"),
        ),
        (40013, "invalid appid", "appid=wxnobody".to_owned()),
        (
            40013,
            "invalid appid",
            format!("{grant}&appid={}&secret={SECRET}", APP.to_uppercase()),
        ),
        (40002, "invalid grant_type", format!("appid={APP}")),
        (
            40002,
            "invalid grant_type",
            format!("grant_type=authorization_code&appid={APP}&secret=wrong"),
        ),
        (41004, "appsecret missing", format!("{grant}&appid={APP}")),
        (
            41004,
            "appsecret missing",
            format!("{grant}&appid={APP}&secret="),
        ),
        (
            40125,
            "invalid appsecret",
            format!("{grant}&appid={APP}&secret=wrong"),
        ),
    ] {
        let answer = get(&sandbox, &format!("/cgi-bin/token?{query}")).await;
        assert_eq!(
            (
                answer["errcode"].as_i64(),
                errmsg(&sandbox, &answer).as_str()
            ),
            (Some(code), words),
            "{query}"
        );
        assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");
    }
}

#[tokio::test]
async fn the_stable_endpoint_checks_the_body_then_as_the_other() {
    let sandbox = sandbox().await;
    let credential = json!("client_credential");
    for (code, words, body) in [
        (44002, "empty post data", String::new()),
        (
            47001,
            "data format error",
            "grant_type=client_credential".to_owned(),
        ),
        (47001, "data format error", "[1]".to_owned()),
        (
            47001,
            "data format error",
            json!({ "appid": APP, "force_refresh": "true" }).to_string(),
        ),
        (
            41002,
            "appid missing",
            json!({ "grant_type": credential, "secret": SECRET }).to_string(),
        ),
        (
            40013,
            "invalid appid",
            json!({ "appid": "wxnobody" }).to_string(),
        ),
        (
            40002,
            "invalid grant_type",
            json!({ "appid": APP, "secret": SECRET }).to_string(),
        ),
        (
            41004,
            "appsecret missing",
            json!({ "appid": APP, "grant_type": credential }).to_string(),
        ),
        (
            40125,
            "invalid appsecret",
            json!({ "appid": APP, "grant_type": credential, "secret": "wrong" }).to_string(),
        ),
    ] {
        let answer = post(&sandbox, "/cgi-bin/stable_token", body.clone()).await;
        assert_eq!(
            (
                answer["errcode"].as_i64(),
                errmsg(&sandbox, &answer).as_str()
            ),
            (Some(code), words),
            "{body}"
        );
    }
}

#[tokio::test]
async fn post_only_endpoints_refuse_get() {
    let sandbox = sandbox().await;
    for path in [
        "/cgi-bin/stable_token",
        "/cgi-bin/clear_quota",
        "/cgi-bin/openapi/quota/get",
    ] {
        let answer = get(&sandbox, path).await;
        assert_eq!(
            (
                answer["errcode"].as_i64(),
                errmsg(&sandbox, &answer).as_str()
            ),
            (Some(43002), "require POST method")
        );
    }
}

#[tokio::test]
async fn stable_token_parameters_in_the_query_are_ignored() {
    let sandbox = sandbox().await;
    let query = token_path().replace("/cgi-bin/token", "/cgi-bin/stable_token");
    assert_eq!(post(&sandbox, &query, "{}").await["errcode"], 41002);
}

#[tokio::test]
async fn an_address_not_on_the_allow_list_is_named_in_the_refusal() {
    let listed = app()
        .allow_ips(["10.0.0.1"])
        .caller_ip("106.41.36.218".parse().unwrap());
    let sandbox = sandbox_with(listed.clone()).await;
    for answer in [classic(&sandbox).await, stable(&sandbox).await] {
        assert_eq!(answer["errcode"], 40164);
        let words = "invalid ip 106.41.36.218 ipv6 ::ffff:106.41.36.218, not in whitelist";
        assert_eq!(errmsg(&sandbox, &answer), words);
    }
    sandbox.add_app(listed.allow_ips(["10.0.0.1", "106.41.36.218"]));
    assert_eq!(classic(&sandbox).await["expires_in"], 7_200);
}

#[tokio::test]
async fn without_an_override_the_callers_address_is_the_peer_address() {
    let sandbox = sandbox_with(app().allow_ips(["10.0.0.1"])).await;
    let answer = classic(&sandbox).await;
    assert_eq!(
        errmsg(&sandbox, &answer),
        "invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist"
    );
    sandbox.add_app(app().allow_ips(["127.0.0.1"]));
    assert_eq!(classic(&sandbox).await["expires_in"], 7_200);
    sandbox.add_app(app().allow_ips(["10.0.0.1"]).any_ip());
    assert_eq!(classic(&sandbox).await["expires_in"], 7_200);
}

#[tokio::test]
async fn an_address_not_on_the_allow_list_may_still_use_its_token() {
    let sandbox = sandbox().await;
    let token = token_of(&classic(&sandbox).await);
    sandbox.add_app(app().allow_ips(["10.0.0.1"]));
    assert_eq!(try_token(&sandbox, &token).await, 0);
}

#[tokio::test]
async fn both_token_endpoints_report_the_accounts_state() {
    let sandbox = sandbox().await;
    for (code, words, changed) in [
        (40243, "AppSecret frozen", app().frozen_secret(true)),
        (
            89503,
            "admin must confirm this call",
            app().awaiting_admin(true),
        ),
        (
            50004,
            "user not allow to use accesstoken, maybe for punishment",
            app().punished(true),
        ),
        (50007, "account frozen", app().frozen(true)),
    ] {
        sandbox.add_app(changed);
        for answer in [classic(&sandbox).await, stable(&sandbox).await] {
            assert_eq!(
                (
                    answer["errcode"].as_i64(),
                    errmsg(&sandbox, &answer).as_str()
                ),
                (Some(code), words)
            );
        }
    }
    sandbox.add_app(app());
    assert_eq!(
        classic(&sandbox).await["expires_in"],
        7_200,
        "and no longer after its end"
    );
}

#[tokio::test]
async fn only_a_caller_with_the_secret_learns_the_accounts_state() {
    let sandbox = sandbox_with(app().frozen_secret(true).allow_ips(["10.0.0.1"])).await;
    let path = format!("/cgi-bin/token?grant_type=client_credential&appid={APP}&secret=wrong");
    assert_eq!(get(&sandbox, &path).await["errcode"], 40125);
}

#[tokio::test]
async fn a_frozen_secret_leaves_tokens_and_tickets_working() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    sandbox.add_app(app().frozen_secret(true));
    assert_eq!(try_token(&sandbox, &token).await, 0);
    assert_eq!(ticket(&sandbox, &token, "jsapi").await["errcode"], 0);
}

#[tokio::test]
async fn by_a_switch_a_wrong_secret_is_the_historic_40001() {
    let sandbox = sandbox_with(app().switches(Switches {
        wrong_secret: 40001,
        ..Switches::default()
    }))
    .await;
    let answer = get(
        &sandbox,
        &format!("/cgi-bin/token?grant_type=client_credential&appid={APP}&secret=wrong"),
    )
    .await;
    assert_eq!(answer["errcode"], 40001);
    assert_eq!(
        errmsg(&sandbox, &answer),
        "invalid credential access_token isinvalid or not latest"
    );
}

#[tokio::test]
async fn data_calls_distinguish_missing_unknown_displaced_and_expired_tokens() {
    let sandbox = sandbox().await;
    let displaced = token_of(&classic(&sandbox).await);
    classic(&sandbox).await;
    sandbox.advance(seconds(300));
    let long = "invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r";
    for (code, words, query) in [
        (41001, "access_token missing", "type=jsapi".to_owned()),
        (
            41001,
            "access_token missing",
            "type=jsapi&access_token=".to_owned(),
        ),
        (40001, long, "type=jsapi&access_token=70_nobodys".to_owned()),
        (40001, long, format!("type=jsapi&access_token={displaced}")),
    ] {
        for path in [
            "/cgi-bin/ticket/getticket",
            "/cgi-bin/menu/get",
            "/cgi-bin/get_api_domain_ip",
        ] {
            let answer = get(&sandbox, &format!("{path}?{query}")).await;
            assert_eq!(
                (
                    answer["errcode"].as_i64(),
                    errmsg(&sandbox, &answer).as_str()
                ),
                (Some(code), words),
                "{path}"
            );
        }
    }
    sandbox.advance(seconds(6_900));
    let answer = ticket(&sandbox, &displaced, "jsapi").await;
    assert_eq!(
        (
            answer["errcode"].as_i64(),
            errmsg(&sandbox, &answer).as_str()
        ),
        (Some(42001), "access_token expired")
    );
}

#[tokio::test]
async fn a_token_is_accepted_in_the_query_only() {
    let sandbox = sandbox().await;
    let body =
        json!({ "access_token": token_of(&stable(&sandbox).await), "type": "jsapi" }).to_string();
    assert_eq!(
        post(&sandbox, "/cgi-bin/ticket/getticket", body).await["errcode"],
        41001
    );
}

#[tokio::test]
async fn a_path_below_an_unknown_first_segment_is_an_empty_404_and_not_counted() {
    let sandbox = sandbox().await;
    for path in [
        "/",
        "/cgi-bin",
        "/cgi-bin/",
        "//cgi-bin/token",
        "/cgi/token",
        "/jssdk/config",
    ] {
        let answer = client()
            .get(format!("{}{path}", sandbox.url()))
            .send()
            .await
            .unwrap();
        assert_eq!(
            (
                answer.status().as_u16(),
                answer.text().await.unwrap().as_str()
            ),
            (404, ""),
            "{path}"
        );
    }
    assert_eq!(sandbox.calls_total(), 0);
}

#[tokio::test]
async fn bytes_that_are_not_utf_8_are_refused_without_a_panic() {
    let sandbox = sandbox().await;
    assert_eq!(
        get(&sandbox, "/cgi-bin/token?appid=%ff%fe&%00=&&==").await["errcode"],
        40013
    );
    let answer = client()
        .post(format!("{}/cgi-bin/stable_token", sandbox.url()))
        .body(vec![0xff, 0x00])
        .send()
        .await
        .unwrap();
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .starts_with(r#"{"errcode":47001,"#)
    );
}
