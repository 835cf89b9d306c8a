//! User login: codes, user tokens, and calls that carry a secret or a token in another way.

use serde_json::{Value, json};
use wx_jssdk::sandbox::{App, Mode, Quotas, Sandbox};

use crate::common::http;
use crate::support::*;

const MINI: &str = "wxfedcba9876543210";
const MINI_SECRET: &str = "f56cf0d3775198fe25deffd71c959d75";

/// An official account and a mini program.
async fn both() -> Sandbox {
    let sandbox = sandbox().await;
    sandbox.add_app(App::mini(MINI, MINI_SECRET));
    sandbox
}

async fn session(sandbox: &Sandbox, code: &str) -> Value {
    let grant = "grant_type=authorization_code";
    let path = "/sns/jscode2session";
    get(
        sandbox,
        &format!("{path}?appid={MINI}&secret={MINI_SECRET}&js_code={code}&{grant}"),
    )
    .await
}

async fn user_token(sandbox: &Sandbox, code: &str) -> Value {
    let grant = "grant_type=authorization_code";
    let path = "/sns/oauth2/access_token";
    get(
        sandbox,
        &format!("{path}?appid={APP}&secret={SECRET}&code={code}&{grant}"),
    )
    .await
}

async fn user_info(sandbox: &Sandbox, token: &str, openid: &str) -> Value {
    get(
        sandbox,
        &format!("/sns/userinfo?access_token={token}&openid={openid}&lang=zh_CN"),
    )
    .await
}

/// The errcode, and the errmsg before the comma and the rid.
#[track_caller]
fn refusal(answer: &Value) -> (i64, &str) {
    let (words, rid) = text(answer, "errmsg").split_once(", rid: ").unwrap();
    assert_eq!(rid.len(), 26, "{answer}");
    (answer["errcode"].as_i64().unwrap(), words)
}

#[tokio::test]
async fn each_code_opens_one_session_of_a_mini_program() {
    let sandbox = both().await;
    let code = sandbox.login_code(MINI);
    let answer = session(&sandbox, &code).await;
    assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");
    assert_eq!(text(&answer, "session_key").len(), 24);
    assert!(text(&answer, "openid").starts_with('o'));
    assert_eq!(
        refusal(&session(&sandbox, &code).await),
        (40163, "code been used")
    );
    let again = session(&sandbox, &sandbox.login_code(MINI)).await;
    assert_eq!(again["openid"], answer["openid"], "the same user");
    assert_ne!(again["session_key"], answer["session_key"]);
    let late = sandbox.login_code(MINI);
    sandbox.advance(seconds(300));
    assert_eq!(
        refusal(&session(&sandbox, &late).await),
        (40029, "invalid code")
    );
}

#[tokio::test]
async fn login_checks_the_app_then_the_grant_then_the_secret_then_the_code() {
    let sandbox = both().await;
    let grant = "grant_type=authorization_code";
    for (path, app, secret, name) in [
        ("/sns/jscode2session", MINI, MINI_SECRET, "js_code"),
        ("/sns/oauth2/access_token", APP, SECRET, "code"),
    ] {
        let other = if app == APP { MINI } else { APP };
        let others_code = sandbox.login_code(other);
        for (told, query) in [
            ((41002, "appid missing"), String::new()),
            ((40013, "invalid appid"), "appid=wxnobody".to_owned()),
            (
                (40002, "invalid grant_type"),
                format!("appid={app}&secret={secret}"),
            ),
            ((41004, "appsecret missing"), format!("appid={app}&{grant}")),
            (
                (40125, "invalid appsecret"),
                format!("appid={app}&secret=wxk_wrong&{name}=x&{grant}"),
            ),
            (
                (41008, "missing code"),
                format!("appid={app}&secret={secret}&{grant}"),
            ),
            (
                (40029, "invalid code"),
                format!("appid={app}&secret={secret}&{name}=nobodys&{grant}"),
            ),
            (
                (40029, "invalid code"),
                format!("appid={app}&secret={secret}&{name}={others_code}&{grant}"),
            ),
        ] {
            let answer = get(&sandbox, &format!("{path}?{query}")).await;
            assert_eq!(refusal(&answer), told, "{path}?{query}");
        }
    }
    sandbox.add_app(app().frozen_secret(true));
    let answer = user_token(&sandbox, &sandbox.login_code(APP)).await;
    assert_eq!(refusal(&answer), (40243, "AppSecret frozen"));
}

#[tokio::test]
async fn a_code_of_the_other_platform_is_refused() {
    let sandbox = both().await;
    let code = sandbox.login_code(APP);
    let grant = "grant_type=authorization_code";
    let path = format!("/sns/jscode2session?appid={APP}&secret={SECRET}&js_code={code}&{grant}");
    assert_eq!(
        refusal(&get(&sandbox, &path).await),
        (40029, "invalid code")
    );
    assert_eq!(
        user_token(&sandbox, &code).await["expires_in"],
        7_200,
        "it was not used up"
    );
}

#[tokio::test]
async fn the_answers_of_sns_are_plain_text() {
    let sandbox = both().await;
    let answer = client()
        .get(format!("{}/sns/jscode2session", sandbox.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain");
}

#[tokio::test]
async fn a_users_token_grants_the_users_data_and_nothing_else() {
    let sandbox = both().await;
    let answer = user_token(&sandbox, &sandbox.login_code(APP)).await;
    assert_eq!(answer["scope"], "snsapi_userinfo");
    let (token, openid) = (token_of(&answer), text(&answer, "openid"));
    let info = user_info(&sandbox, &token, openid).await;
    assert_eq!(info["openid"], openid);
    let auth = format!("/sns/auth?access_token={token}&openid={openid}");
    assert_eq!(
        get(&sandbox, &auth).await,
        json!({ "errcode": 0, "errmsg": "ok" })
    );
    assert_eq!(
        try_token(&sandbox, &token).await,
        40001,
        "it is not the app's"
    );
    let echoed = get(&sandbox, &format!("/sns/any?access_token={token}")).await;
    assert_eq!(echoed["echo"]["path"], "/sns/any");
    sandbox.advance(seconds(7_200));
    let late = user_info(&sandbox, &token, openid).await;
    assert_eq!(refusal(&late), (42001, "access_token expired"));
}

#[tokio::test]
async fn a_users_token_and_openid_are_checked() {
    let sandbox = both().await;
    let apps = token_of(&stable(&sandbox).await);
    let answer = user_token(&sandbox, &sandbox.login_code(APP)).await;
    let token = token_of(&answer);
    for path in ["/sns/userinfo", "/sns/auth"] {
        for (told, query) in [
            ((41001, "access_token missing"), "openid=o".to_owned()),
            (
                (
                    40001,
                    "invalid credential, access_token is invalid or not latest",
                ),
                format!("access_token={apps}&openid=o"),
            ),
            ((41009, "missing openid"), format!("access_token={token}")),
            (
                (40003, "invalid openid"),
                format!("access_token={token}&openid=o"),
            ),
        ] {
            let answer = get(&sandbox, &format!("{path}?{query}")).await;
            assert_eq!(refusal(&answer), told, "{path}?{query}");
        }
    }
}

#[tokio::test]
async fn a_refresh_prolongs_a_users_token_and_replaces_an_expired_one() {
    let sandbox = both().await;
    let first = user_token(&sandbox, &sandbox.login_code(APP)).await;
    let refresh = format!(
        "/sns/oauth2/refresh_token?appid={APP}&grant_type=refresh_token&refresh_token={}",
        text(&first, "refresh_token")
    );
    sandbox.advance(seconds(7_000));
    assert_eq!(get(&sandbox, &refresh).await, first);
    sandbox.advance(seconds(7_000));
    let (token, openid) = (token_of(&first), text(&first, "openid"));
    assert_eq!(user_info(&sandbox, &token, openid).await["openid"], openid);
    sandbox.advance(seconds(200));
    let second = get(&sandbox, &refresh).await;
    assert_ne!(second["access_token"], first["access_token"]);
    assert_eq!(second["refresh_token"], first["refresh_token"]);
    sandbox.advance(seconds(30 * 86_400));
    assert_eq!(
        refusal(&get(&sandbox, &refresh).await),
        (42002, "refresh_token expired")
    );
    let path = "/sns/oauth2/refresh_token?grant_type=refresh_token&refresh_token=x";
    assert_eq!(
        refusal(&get(&sandbox, path).await),
        (41002, "appid missing")
    );
    let path = format!("{path}&appid={APP}");
    assert_eq!(
        refusal(&get(&sandbox, &path).await),
        (40030, "invalid refresh_token")
    );
}

#[tokio::test]
async fn login_codes_are_ordered_over_http_for_a_user_and_a_scope() {
    let sandbox = both().await;
    let order = json!({ "app_id": APP, "openid": "oAnother", "scope": "snsapi_base" });
    let code = post(&sandbox, "/sandbox/login-codes", order.to_string()).await;
    let answer = user_token(&sandbox, text(&code, "code")).await;
    assert_eq!(
        (text(&answer, "openid"), text(&answer, "scope")),
        ("oAnother", "snsapi_base")
    );
    let info = user_info(&sandbox, &token_of(&answer), "oAnother").await;
    assert_eq!(refusal(&info), (48001, "api unauthorized"));
    sandbox.add_app(work_app());
    for (told, order) in [
        ("has no app", json!({ "app_id": "wxnobody" })),
        ("is a WeCom app", json!({ "app_id": AGENT_NAME })),
        ("unknown field", json!({ "app_id": APP, "open_id": "o" })),
    ] {
        let url = format!("{}/sandbox/login-codes", sandbox.url());
        let answer = client()
            .post(url)
            .body(order.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 400);
        let error = answer.text().await.unwrap();
        assert!(error.contains(told), "{error}");
    }
}

#[tokio::test]
async fn quotas_are_cleared_with_the_secret_and_without_a_token() {
    let quotas = Quotas {
        token_daily: 1,
        clear_monthly: 2,
        ..Quotas::default()
    };
    let sandbox = sandbox_with(app().quotas(quotas)).await;
    let path = "/cgi-bin/clear_quota/v2";
    let query = format!("{path}?appid={APP}&appsecret={SECRET}");
    let body = json!({ "appid": APP, "appsecret": SECRET }).to_string();
    for cleared in [(query.as_str(), ""), (path, body.as_str())] {
        classic(&sandbox).await;
        assert_eq!(classic(&sandbox).await["errcode"], 45009);
        assert_eq!(post(&sandbox, cleared.0, cleared.1).await["errcode"], 0);
    }
    for (code, query, body) in [
        (48006, path, body.as_str()),
        (41002, path, ""),
        (47001, path, "appid"),
        (40013, path, r#"{"appid":"wxnobody"}"#),
        (41004, &format!("{path}?appid={APP}"), ""),
        (40125, &format!("{path}?appid={APP}&appsecret=wrong"), ""),
    ] {
        assert_eq!(
            post(&sandbox, query, body).await["errcode"],
            code,
            "{query} {body}"
        );
    }
    assert_eq!(get(&sandbox, &query).await["errcode"], 43002);
}

#[tokio::test]
async fn the_request_of_a_rid_holds_a_valid_token_and_the_secret() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    let path = format!("/cgi-bin/openapi/rid/get?access_token={token}");
    let body = r#"{"rid":"6aac005a-01bfdbee-79769285"}"#;
    let answer = post(&sandbox, &path, body).await;
    let url = text(&answer["request"], "request_url");
    assert!(url.ends_with(&format!("access_token={token}")), "{url}");
    let sent = text(&answer["request"], "request_body");
    assert!(
        sent.contains(&format!(r#""appsecret":"{SECRET}""#)),
        "{sent}"
    );
    assert_eq!(sandbox.token(APP, Mode::Stable), Some(token));
    for (code, body) in [
        (44002, ""),
        (47001, "x"),
        (76001, "{}"),
        (76001, r#"{"rid":"x"}"#),
    ] {
        assert_eq!(post(&sandbox, &path, body).await["errcode"], code, "{body}");
    }
    let dead = post(&sandbox, "/cgi-bin/openapi/rid/get?access_token=dead", body).await;
    assert_eq!(dead["errcode"], 40001);
}

#[tokio::test]
async fn secrets_and_tokens_of_logins_are_not_recorded() {
    let sandbox = both().await;
    session(&sandbox, &sandbox.login_code(MINI)).await;
    let (_, shown) = http::fetch(&format!("{}/sandbox/requests", sandbox.url())).await;
    assert!(
        shown.contains("/sns/jscode2session") && !shown.contains(MINI_SECRET),
        "{shown}"
    );
}
