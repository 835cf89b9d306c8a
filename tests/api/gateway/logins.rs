//! Calls that carry the AppSecret or a user's token instead of the account's token.

use super::*;
use crate::common::http::post;

#[tokio::test]
async fn a_login_is_forwarded_with_the_secret_in_place_of_the_key() {
    let world = World::new().await;
    for (path, app, code) in [
        ("/sns/oauth2/access_token", APP, "code"),
        ("/sns/jscode2session", MINI, "js_code"),
    ] {
        let login = world.sandbox.login_code(app);
        let target =
            format!("{path}?appid={app}&secret={KEY}&{code}={login}&grant_type=authorization_code");
        let answer = world.get(&target).await;
        assert!(answer["openid"].is_string(), "{answer}");
        let query = world.received(path).query;
        assert!(
            query.starts_with(&format!("appid={app}&secret=0c79***&{code}=")),
            "{query}"
        );
        assert!(!query.contains("access_token="), "{query}");
        let login = world.sandbox.login_code(app);
        let target = format!("{path}?appid={app}&{code}={login}&grant_type=authorization_code");
        let answer = world.send(get(&target).bearer(KEY)).await.ok();
        assert!(answer["openid"].is_string(), "{answer}");
    }
}

#[tokio::test]
async fn sns_userinfo_keeps_the_users_token() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    let code = world.sandbox.login_code(APP);
    let login = world
        .get(&format!("/sns/oauth2/access_token?appid={APP}&secret={KEY}&code={code}&grant_type=authorization_code"))
        .await;
    let of = |name: &str| login[name].as_str().unwrap().to_owned();
    let info = format!(
        "/sns/userinfo?access_token={}&openid={}",
        of("access_token"),
        of("openid")
    );
    let user = world.get(&info).await;
    assert_eq!(user["openid"], login["openid"], "{user}");
    let user = world.send(get(&info).bearer(KEY)).await.ok();
    assert_eq!(user["openid"], login["openid"], "a key of several accounts");
    let refresh = format!(
        "/sns/oauth2/refresh_token?appid={APP}&grant_type=refresh_token&refresh_token={}",
        of("refresh_token")
    );
    let refreshed = world.get(&refresh).await;
    assert_eq!(refreshed["openid"], login["openid"], "{refreshed}");
    let calls = world.sandbox.calls("/sns/userinfo");
    let elsewhere = get(format!("/wx/mini{info}"));
    refused(&world.send(elsewhere).await, 40013, "another account");
    let foreign = get("/sns/userinfo?access_token=71_of-somebody&openid=o");
    refused(&world.send(foreign.clone()).await, 40001, "Bearer");
    assert_eq!(
        world.sandbox.calls("/sns/userinfo"),
        calls,
        "no upstream call was made"
    );
    // With a key it is passed on as it is, and WeChat refuses it.
    let answer = world
        .send(get("/wx/main/sns/userinfo?access_token=71_of-somebody&openid=o").bearer(KEY))
        .await;
    assert_eq!(errcode(&answer), 40001);
    assert_eq!(world.sandbox.calls("/sns/userinfo"), calls + 1);
    assert_eq!(
        world.token(KEY).await,
        token,
        "the account's token was not refreshed"
    );
}

#[tokio::test]
async fn a_key_that_replaces_another_has_no_rights_of_its_users_tokens() {
    let world = World::new().await;
    let code = world.sandbox.login_code(APP);
    let login = world
        .get(&format!("/sns/oauth2/access_token?appid={APP}&secret={KEY}&code={code}&grant_type=authorization_code"))
        .await;
    let of = |name: &str| login[name].as_str().unwrap();
    let info = get(format!(
        "/sns/userinfo?access_token={}&openid={}",
        of("access_token"),
        of("openid")
    ));
    let user = world.send(info.clone()).await.ok();
    assert_eq!(user["openid"], login["openid"], "{user}");
    world.replace_key(KEY, NEW_KEY);
    refused(&world.send(info).await, 40001, "Bearer");
    assert_eq!(world.sandbox.calls("/sns/userinfo"), 1);
}

#[tokio::test]
async fn a_wrong_secret_in_a_login_is_refused_locally() {
    let world = World::new().await;
    let target = |secret: &str| {
        get(format!(
            "/sns/jscode2session?appid={MINI}&secret={secret}&js_code=c"
        ))
    };
    refused(
        &world.send(target("wxk_wrong")).await,
        40125,
        "invalid appsecret",
    );
    refused(&world.send(target(SECRET)).await, 40125, "this is wx-jssdk");
    let in_header = get(USERS).bearer(SECRET);
    refused(&world.send(in_header).await, 40125, "this is wx-jssdk");
    refused(&world.send(target("")).await, 41004, "missing");
    let crm = target(CRM_KEY);
    refused(&world.send(crm).await, 40013, "invalid appid");
    assert_eq!(world.passed_on().await, 0);
}

#[tokio::test]
async fn no_app_secret_goes_upstream_beside_the_appid_of_another_account() {
    let world = World::new().await;
    for request in [
        get(format!(
            "/wx/main/sns/jscode2session?appid={MINI}&secret={KEY}&js_code=c"
        )),
        get(format!(
            "/wx/mini/sns/oauth2/access_token?appid={APP}&code=c"
        ))
        .bearer(KEY),
    ] {
        refused(&world.send(request).await, 40013, "another one's");
    }
    let reset = "/wx/mini/cgi-bin/clear_quota/v2";
    for query in ["", &format!("?appid={MINI}")] {
        let body = format!(r#"{{"appid":"{APP}","appsecret":"{VIRTUAL_KEY}"}}"#);
        let request = post(format!("{reset}{query}")).close().body(body);
        let answer = world.send_text(request).await;
        refused(&answer, 40013, "another one's");
    }
    assert_eq!(world.passed_on().await, 0);
}

#[tokio::test]
async fn a_key_that_names_the_path_clears_a_quota_with_the_secret() {
    let world = World::new().await;
    let path = "/cgi-bin/clear_quota/v2";
    for request in [
        post(path).close().body(format!(
            r#"{{"appid":"{APP}","appsecret":"{VIRTUAL_KEY}"}}"#
        )),
        post(format!("{path}?appid={APP}&appsecret={VIRTUAL_KEY}"))
            .close()
            .body(""),
        post(format!("{path}?appid={APP}&appsecret={VIRTUAL_KEY}"))
            .close()
            .body(r#"{"appsecret":"in both places"}"#),
    ] {
        let answer = world.send_text(request).await;
        assert_eq!(errcode(&answer), 0, "{answer:?}");
    }
    let both = world.received(path).query;
    assert!(both.contains("appsecret=0c79"), "{both}");
    let other = post(format!("{path}?appid={APP}&appsecret={KEY}"))
        .close()
        .body("");
    refused(&world.send_text(other).await, 48001, "exactly this path");
    assert_eq!(world.sandbox.calls(path), 3);
}
