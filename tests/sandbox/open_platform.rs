//! The calls of an open platform (第三方平台), and its tokens in the calls of accounts.

use serde_json::{Value, json};
use wx_jssdk::sandbox::{App, Fault, FaultKind, OpenPlatform, PreVerify, Quotas};

use crate::platform_support::*;
use crate::support::*;

const COMPONENT_TOKEN: &str = "api_component_token";
const PATH: &str = "/cgi-bin/component/api_component_token";

fn named() -> Value {
    json!({ "component_appid": PLATFORM })
}

#[tokio::test]
async fn starting_the_ticket_pushes_is_ok_once_and_then_in_a_normal_state() {
    let sandbox = platform_sandbox().await;
    let body = json!({ "component_appid": PLATFORM, "component_secret": PLATFORM_SECRET });
    let start = || component(&sandbox, "api_start_push_ticket", None, body.clone());
    assert_eq!(start().await, json!({ "errcode": 0, "errmsg": "ok" }));
    let again = json!({ "errcode": 0, "errmsg": "in a normal state" });
    assert_eq!(start().await, again);
    assert_eq!(
        sandbox.component_ticket(PLATFORM),
        None,
        "the ticket is not pushed at once"
    );
}

#[tokio::test]
async fn the_start_of_pushes_names_its_secret_component_secret() {
    let sandbox = platform_sandbox().await;
    for (body, code) in [
        (json!({}), 41018),
        (json!({ "component_appid": "wx1" }), 40013),
        (json!({ "component_appid": APP }), 61011),
        (
            json!({ "component_appid": PLATFORM, "component_appsecret": PLATFORM_SECRET }),
            41019,
        ),
        (
            json!({ "component_appid": PLATFORM, "component_secret": "x" }),
            40125,
        ),
    ] {
        let answer = component(&sandbox, "api_start_push_ticket", None, body).await;
        assert_eq!(code_of(&answer), code, "{answer}");
    }
}

#[tokio::test]
async fn a_ticket_gives_a_platforms_token_for_two_hours() {
    let sandbox = platform_sandbox().await;
    sandbox.push_ticket(PLATFORM).await;
    let ticket = sandbox.component_ticket(PLATFORM).unwrap();
    assert!(ticket.starts_with("ticket@@@") && ticket.len() == 95);
    let answer = component(&sandbox, COMPONENT_TOKEN, None, ticket_body(&ticket)).await;
    let token = sandbox.component_token(PLATFORM).unwrap();
    assert_eq!(
        answer,
        json!({ "component_access_token": token, "expires_in": 7_200 })
    );
}

#[tokio::test]
async fn the_token_call_checks_app_id_secret_address_ticket_and_quota_in_this_order() {
    let quotas = Quotas {
        component_token_daily: 0,
        ..Quotas::default()
    };
    let settings = platform().quotas(quotas);
    let sandbox = platform_sandbox_with(settings.clone().allow_ips(["192.0.2.1"])).await;
    sandbox.push_ticket(PLATFORM).await;
    let ticket = sandbox.component_ticket(PLATFORM).unwrap();
    let mut body = json!({ "component_appid": APP, "component_appsecret": "x", "component_verify_ticket": "x" });
    let call = |body: &Value| component(&sandbox, COMPONENT_TOKEN, None, body.clone());
    assert_eq!(code_of(&call(&body).await), 61011);
    body["component_appid"] = json!("wx1");
    assert_eq!(code_of(&call(&body).await), 40013);
    body["component_appid"] = json!(PLATFORM);
    assert_eq!(code_of(&call(&body).await), 40125);
    body["component_appsecret"] = json!(PLATFORM_SECRET);
    let refused = call(&body).await;
    assert_eq!(
        (code_of(&refused), errmsg(&sandbox, &refused).as_str()),
        (
            61004,
            "access clientip is not registered requestIP: 127.0.0.1"
        )
    );
    sandbox.add_platform(settings);
    assert_eq!(code_of(&call(&body).await), 61006);
    body["component_verify_ticket"] = Value::Null;
    assert_eq!(code_of(&call(&body).await), 61006);
    body["component_verify_ticket"] = json!(ticket);
    assert_eq!(code_of(&call(&body).await), 45009);
}

#[tokio::test]
async fn every_ticket_of_the_last_twelve_hours_gives_a_token() {
    let sandbox = platform_sandbox().await;
    sandbox.push_ticket(PLATFORM).await;
    let old = sandbox.component_ticket(PLATFORM).unwrap();
    sandbox.push_ticket(PLATFORM).await;
    assert_ne!(sandbox.component_ticket(PLATFORM).unwrap(), old);
    let call = || component(&sandbox, COMPONENT_TOKEN, None, ticket_body(&old));
    sandbox.advance(seconds(43_199));
    assert_eq!(code_of(&call().await), 0);
    sandbox.advance(seconds(1));
    assert_eq!(code_of(&call().await), 61005);
}

#[tokio::test]
async fn a_form_and_a_get_are_refused() {
    let sandbox = platform_sandbox().await;
    let form = post(&sandbox, PATH, format!("component_appid={PLATFORM}")).await;
    assert_eq!(code_of(&form), 41018);
    assert_eq!(code_of(&post(&sandbox, PATH, "[").await), 47001);
    assert_eq!(code_of(&post(&sandbox, PATH, "").await), 44002);
    assert_eq!(code_of(&get(&sandbox, PATH).await), 43002);
    let no_ticket = json!({ "component_appid": PLATFORM, "component_appsecret": PLATFORM_SECRET });
    let answer = component(&sandbox, COMPONENT_TOKEN, None, no_ticket).await;
    assert_eq!(code_of(&answer), 41020);
}

#[tokio::test]
async fn a_replaced_platform_token_works_five_minutes_more() {
    let sandbox = platform_sandbox().await;
    let old = component_token(&sandbox).await;
    let new = component_token(&sandbox).await;
    let call = |token: String| {
        let sandbox = &sandbox;
        async move {
            let answer = component(sandbox, "api_create_preauthcode", Some(&token), named()).await;
            code_of(&answer)
        }
    };
    sandbox.advance(seconds(299));
    assert_eq!((call(old.clone()).await, call(new.clone()).await), (0, 0));
    sandbox.advance(seconds(1));
    assert_eq!((call(old).await, call(new.clone()).await), (40001, 0));
    sandbox.advance(seconds(6_900));
    assert_eq!(call(new).await, 42006);
}

#[tokio::test]
async fn without_the_overlap_a_replaced_token_ends_at_once() {
    let sandbox = platform_sandbox_with(platform().token_overlap(false)).await;
    let old = component_token(&sandbox).await;
    component_token(&sandbox).await;
    let answer = component(&sandbox, "api_create_preauthcode", Some(&old), named()).await;
    assert_eq!(code_of(&answer), 40001);
}

#[tokio::test]
async fn the_platforms_token_is_accepted_under_both_names() {
    let sandbox = platform_sandbox().await;
    let token = component_token(&sandbox).await;
    for name in ["component_access_token", "access_token"] {
        let path = format!("/cgi-bin/component/api_create_preauthcode?{name}={token}");
        let answer = post(&sandbox, &path, named().to_string()).await;
        assert!(text(&answer, "pre_auth_code").starts_with("preauthcode@@@"));
        assert_eq!(answer["expires_in"], 600);
    }
}

#[tokio::test]
async fn a_platforms_call_names_what_is_wrong_with_its_token() {
    let sandbox = platform_sandbox().await;
    let tokens = authorized(&sandbox, APP).await;
    let own = token_of(&classic(&sandbox).await);
    let call = |token: Option<String>, body: Value| {
        let sandbox = &sandbox;
        async move {
            let name = "api_create_preauthcode";
            code_of(&component(sandbox, name, token.as_deref(), body).await)
        }
    };
    assert_eq!(call(None, named()).await, 41021);
    assert_eq!(call(Some("x".to_owned()), named()).await, 40001);
    assert_eq!(call(Some(tokens.access), named()).await, 61014);
    assert_eq!(call(Some(own), named()).await, 61014);
    let token = Some(tokens.component);
    assert_eq!(call(token.clone(), json!({})).await, 41018);
    let other = json!({ "component_appid": "wx1" });
    assert_eq!(call(token.clone(), other).await, 40013);
    sandbox.revoke_component_token(PLATFORM);
    assert_eq!(call(token, named()).await, 40001);
}

#[tokio::test]
async fn one_code_is_redeemed_once() {
    let sandbox = platform_sandbox().await;
    let token = component_token(&sandbox).await;
    let code = sandbox.authorize(PLATFORM, APP).await;
    assert!(code.starts_with("queryauthcode@@@") && code.len() == 102);
    let answer = redeem(&sandbox, &token, &code).await;
    let info = &answer["authorization_info"];
    assert_eq!(info["authorizer_appid"], APP);
    assert_eq!(info["expires_in"], 7_200);
    assert_eq!(
        info["authorizer_access_token"].as_str(),
        sandbox.authorizer_token(PLATFORM, APP).as_deref()
    );
    assert!(text(info, "authorizer_refresh_token").starts_with("refreshtoken@@@"));
    assert_eq!(info["func_info"][0]["funcscope_category"]["id"], 1);
    assert_eq!(code_of(&redeem(&sandbox, &token, &code).await), 61009);
}

#[tokio::test]
async fn an_unknown_code_is_invalid_and_an_old_one_expired() {
    let sandbox = platform_sandbox().await;
    let token = component_token(&sandbox).await;
    assert_eq!(code_of(&redeem(&sandbox, &token, "x").await), 61009);
    let code = sandbox.authorize(PLATFORM, APP).await;
    sandbox.advance(seconds(600));
    assert_eq!(code_of(&redeem(&sandbox, &token, &code).await), 61010);
}

#[tokio::test]
async fn a_code_of_another_platform_is_invalid() {
    let sandbox = platform_sandbox().await;
    sandbox.add_platform(OpenPlatform::new("wxother", "x"));
    let token = component_token(&sandbox).await;
    let code = sandbox.authorize("wxother", APP).await;
    assert_eq!(code_of(&redeem(&sandbox, &token, &code).await), 61009);
}

#[tokio::test]
async fn an_ordinary_refresh_keeps_the_refresh_token() {
    let sandbox = platform_sandbox().await;
    let tokens = authorized(&sandbox, APP).await;
    let answer = refresh(&sandbox, &tokens, APP).await;
    assert_eq!(text(&answer, "authorizer_refresh_token"), tokens.refresh);
    let new = text(&answer, "authorizer_access_token");
    assert_ne!(new, tokens.access);
    assert_eq!(
        (
            try_token(&sandbox, &tokens.access).await,
            try_token(&sandbox, new).await
        ),
        (0, 0)
    );
    sandbox.advance(seconds(300));
    assert_eq!(try_token(&sandbox, &tokens.access).await, 40001);
    assert_eq!(try_token(&sandbox, new).await, 0);
    sandbox.advance(seconds(6_900));
    assert_eq!(try_token(&sandbox, new).await, 42001);
}

#[tokio::test]
async fn a_wrong_refresh_token_and_an_account_that_has_not_authorised_are_refused() {
    let sandbox = platform_sandbox().await;
    let mut tokens = authorized(&sandbox, APP).await;
    assert_eq!(code_of(&refresh(&sandbox, &tokens, MINI).await), 61003);
    assert_eq!(code_of(&refresh(&sandbox, &tokens, "wx1").await), 61003);
    tokens.refresh = "refreshtoken@@@x".to_owned();
    assert_eq!(code_of(&refresh(&sandbox, &tokens, APP).await), 61023);
    let null = json!({ "component_appid": PLATFORM, "authorizer_appid": APP, "authorizer_refresh_token": null });
    let token = Some(tokens.component.as_str());
    let answer = component(&sandbox, "api_authorizer_token", token, null).await;
    assert_eq!(code_of(&answer), 61023);
}

#[tokio::test]
async fn a_cancellation_ends_every_token_and_the_unredeemed_codes() {
    let sandbox = platform_sandbox().await;
    let tokens = authorized(&sandbox, APP).await;
    let code = sandbox.authorize(PLATFORM, APP).await;
    sandbox.cancel_authorization(PLATFORM, APP).await;
    assert_eq!(try_token(&sandbox, &tokens.access).await, 40001);
    assert_eq!(code_of(&refresh(&sandbox, &tokens, APP).await), 61003);
    let answer = redeem(&sandbox, &tokens.component, &code).await;
    assert_eq!(code_of(&answer), 61009);
    assert_eq!(sandbox.authorizer_refresh_token(PLATFORM, APP), None);
}

#[tokio::test]
async fn an_authorisation_after_a_cancellation_brings_a_new_refresh_token() {
    let sandbox = platform_sandbox().await;
    let old = authorized(&sandbox, APP).await;
    sandbox.cancel_authorization(PLATFORM, APP).await;
    let new = authorized(&sandbox, APP).await;
    assert_ne!(old.refresh, new.refresh);
    assert_eq!(code_of(&refresh(&sandbox, &old, APP).await), 61023);
    assert_eq!(code_of(&refresh(&sandbox, &new, APP).await), 0);
}

#[tokio::test]
async fn authorising_again_ends_the_access_token_and_keeps_the_refresh_token() {
    let sandbox = platform_sandbox().await;
    let old = authorized(&sandbox, APP).await;
    sandbox.authorize(PLATFORM, APP).await;
    assert_eq!(try_token(&sandbox, &old.access).await, 40001);
    assert_eq!(code_of(&refresh(&sandbox, &old, APP).await), 0);
    let strict = platform().reauthorization_renews_refresh_token(true);
    sandbox.add_platform(strict);
    sandbox.authorize(PLATFORM, APP).await;
    assert_eq!(code_of(&refresh(&sandbox, &old, APP).await), 61023);
}

#[tokio::test]
async fn the_list_returns_refresh_tokens_except_for_unredeemed_codes() {
    let sandbox = platform_sandbox().await;
    let tokens = authorized(&sandbox, APP).await;
    sandbox.advance(seconds(60));
    sandbox.authorize(PLATFORM, MINI).await;
    let list = |offset: u64, count: u64| {
        let body = json!({ "component_appid": PLATFORM, "offset": offset, "count": count });
        let (sandbox, token) = (&sandbox, tokens.component.as_str());
        async move { component(sandbox, "api_get_authorizer_list", Some(token), body).await }
    };
    let first =
        json!({ "authorizer_appid": APP, "refresh_token": tokens.refresh, "auth_time": START.0 });
    let second = json!({ "authorizer_appid": MINI, "auth_time": START.0 + 60 });
    assert_eq!(
        list(0, 500).await,
        json!({ "total_count": 2, "list": [first, second] })
    );
    assert_eq!(
        list(1, 1).await,
        json!({ "total_count": 2, "list": [second] })
    );
    assert_eq!(list(2, 1).await, json!({ "total_count": 2, "list": [] }));
    assert_eq!(code_of(&list(0, 501).await), 40097);
    sandbox.add_platform(platform().list_without_refresh_tokens(true));
    assert_eq!(list(0, 1).await["list"][0].get("refresh_token"), None);
    sandbox.cancel_authorization(PLATFORM, APP).await;
    assert_eq!(
        list(0, 9).await,
        json!({ "total_count": 1, "list": [second] })
    );
}

#[tokio::test]
async fn the_account_info_identifies_mini_programs() {
    let sandbox = platform_sandbox().await;
    let tokens = authorized(&sandbox, MINI).await;
    sandbox.authorize(PLATFORM, APP).await;
    let info = |app: &'static str| {
        let body = json!({ "component_appid": PLATFORM, "authorizer_appid": app });
        let (sandbox, token) = (&sandbox, tokens.component.as_str());
        async move { component(sandbox, "api_get_authorizer_info", Some(token), body).await }
    };
    let mini = info(MINI).await;
    assert!(mini["authorizer_info"]["MiniProgramInfo"].is_object());
    assert_eq!(
        mini["authorization_info"]["authorizer_refresh_token"],
        tokens.refresh.as_str()
    );
    let official = info(APP).await;
    assert!(official["authorizer_info"]["MiniProgramInfo"].is_null());
    assert!(official["authorization_info"]["authorizer_refresh_token"].is_null());
    assert_eq!(code_of(&info("wx1").await), 61003);
}

#[tokio::test]
async fn a_platforms_token_is_independent_of_the_accounts_own() {
    let sandbox = platform_sandbox().await;
    let own = token_of(&classic(&sandbox).await);
    let tokens = authorized(&sandbox, APP).await;
    sandbox.add_platform(OpenPlatform::new("wxother", "x"));
    sandbox.authorize("wxother", APP).await;
    refresh(&sandbox, &tokens, APP).await;
    stable(&sandbox).await;
    classic(&sandbox).await;
    assert_eq!(
        (
            try_token(&sandbox, &own).await,
            try_token(&sandbox, &tokens.access).await
        ),
        (0, 0)
    );
    assert_eq!(try_token(&sandbox, &tokens.component).await, 61015);
}

#[tokio::test]
async fn a_ticket_fetched_with_a_platforms_token_is_the_accounts() {
    let sandbox = platform_sandbox().await;
    let tokens = authorized(&sandbox, APP).await;
    for kind in ["jsapi", "wx_card"] {
        let answer = ticket(&sandbox, &tokens.access, kind).await;
        assert_eq!(
            answer["ticket"].as_str(),
            sandbox.ticket(APP, kind).as_deref()
        );
    }
    let mini = authorized(&sandbox, MINI).await;
    assert_eq!(
        code_of(&ticket(&sandbox, &mini.access, "jsapi").await),
        48001
    );
}

#[tokio::test]
async fn a_page_on_the_platforms_domain_is_signed_for_accounts_that_authorised_it() {
    let sandbox = platform_sandbox().await;
    let tokens = authorized(&sandbox, APP).await;
    let answer = ticket(&sandbox, &tokens.access, "jsapi").await;
    let url = "https://shop.platform.example/a";
    let page = PreVerify {
        app_id: APP.to_owned(),
        timestamp: START.0.to_string(),
        nonce_str: NONCE.to_owned(),
        signature: signature(text(&answer, "ticket"), url),
        url: url.to_owned(),
        js_api_list: Some(Vec::new()),
        ..PreVerify::default()
    };
    assert!(sandbox.verify(&page).is_ok());
    sandbox.cancel_authorization(PLATFORM, APP).await;
    assert_eq!(
        sandbox.verify(&page).err_msg,
        "preVerifyJSAPI:fail_invalid url domain"
    );
}

#[tokio::test]
async fn a_customer_message_goes_out_with_a_platforms_token() {
    let sandbox = platform_sandbox().await;
    let tokens = authorized(&sandbox, APP).await;
    let path = format!(
        "/cgi-bin/message/custom/send?access_token={}",
        tokens.access
    );
    assert_eq!(code_of(&post(&sandbox, &path, "{}").await), 0);
    sandbox.revoke_authorizer_token(PLATFORM, APP);
    assert_eq!(code_of(&post(&sandbox, &path, "{}").await), 40001);
}

#[tokio::test]
async fn a_call_on_behalf_checks_the_platforms_addresses_not_the_accounts() {
    let sandbox = platform_sandbox().await;
    sandbox.add_app(app().allow_ips(["192.0.2.1"]));
    let tokens = authorized(&sandbox, APP).await;
    assert_eq!(try_token(&sandbox, &tokens.access).await, 0);
    sandbox.add_platform(platform().caller_ip("203.0.113.7".parse().unwrap()));
    assert_eq!(try_token(&sandbox, &tokens.access).await, 0);
    let listed = platform()
        .caller_ip("203.0.113.7".parse().unwrap())
        .allow_ips(["192.0.2.1"]);
    sandbox.add_platform(listed);
    let path = format!("/cgi-bin/get_api_domain_ip?access_token={}", tokens.access);
    let refused = get(&sandbox, &path).await;
    assert_eq!(
        errmsg(&sandbox, &refused),
        "access clientip is not registered requestIP: 203.0.113.7"
    );
}

#[tokio::test]
async fn an_ordinary_token_call_refuses_a_platforms_app_id() {
    let sandbox = platform_sandbox().await;
    let path = format!(
        "/cgi-bin/token?grant_type=client_credential&appid={PLATFORM}&secret={PLATFORM_SECRET}"
    );
    let answer = get(&sandbox, &path).await;
    assert_eq!(
        (code_of(&answer), errmsg(&sandbox, &answer).as_str()),
        (
            61024,
            "must use api(api_component_token) to get token for component acct"
        )
    );
}

#[tokio::test]
async fn an_exhausted_platform_quota_is_cleared_by_secret() {
    let quotas = Quotas {
        component_token_daily: 1,
        ..Quotas::default()
    };
    let sandbox = platform_sandbox_with(platform().quotas(quotas)).await;
    component_token(&sandbox).await;
    let token = sandbox.component_token(PLATFORM).unwrap();
    let ticket = sandbox.component_ticket(PLATFORM).unwrap();
    let call = || component(&sandbox, COMPONENT_TOKEN, None, ticket_body(&ticket));
    assert_eq!(code_of(&call().await), 45009);
    let quota = json!({ "cgi_path": PATH }).to_string();
    let path = format!("/cgi-bin/openapi/quota/get?access_token={token}");
    let answer = post(&sandbox, &path, quota).await;
    assert_eq!(
        answer["quota"],
        json!({ "daily_limit": 1, "used": 1, "remain": 0 })
    );
    for (cgi_path, code) in [
        ("/cgi-bin/component/other", 0),
        ("/cgi-bin/message/custom/send", 76022),
        ("/nothing/at/all", 76021),
    ] {
        let quota = json!({ "cgi_path": cgi_path }).to_string();
        let answer = post(&sandbox, &path, quota).await;
        assert_eq!(code_of(&answer), code, "{cgi_path}");
    }
    let clear = |secret: &str| json!({ "appid": PLATFORM, "component_appid": PLATFORM, "appsecret": secret });
    let refused = component(&sandbox, "clear_quota/v2", None, clear("x")).await;
    assert_eq!(code_of(&refused), 40125);
    let cleared = component(&sandbox, "clear_quota/v2", None, clear(PLATFORM_SECRET)).await;
    assert_eq!(cleared, json!({ "errcode": 0, "errmsg": "ok" }));
    assert_eq!(code_of(&call().await), 0);
}

#[tokio::test]
async fn a_platform_clears_the_quota_of_accounts_that_authorised_it() {
    let sandbox = platform_sandbox().await;
    let body = json!({ "appid": APP, "component_appid": PLATFORM, "appsecret": PLATFORM_SECRET });
    let clear = || component(&sandbox, "clear_quota/v2", None, body.clone());
    assert_eq!(code_of(&clear().await), 61003);
    sandbox.authorize(PLATFORM, APP).await;
    assert_eq!(code_of(&clear().await), 0);
}

#[tokio::test]
async fn faults_apply_to_platform_calls() {
    let sandbox = platform_sandbox().await;
    for code in [48001, 61006, 45009] {
        sandbox.fault(Fault::once(PATH, FaultKind::Errcode(code)));
        sandbox.push_ticket(PLATFORM).await;
        let ticket = sandbox.component_ticket(PLATFORM).unwrap();
        let answer = component(&sandbox, COMPONENT_TOKEN, None, ticket_body(&ticket)).await;
        assert_eq!(code_of(&answer), code);
        let answer = component(&sandbox, COMPONENT_TOKEN, None, ticket_body(&ticket)).await;
        assert_eq!(code_of(&answer), 0);
    }
}

#[tokio::test]
async fn a_reset_keeps_the_accounts_decisions_and_forgets_tokens_and_tickets() {
    let sandbox = platform_sandbox().await;
    let tokens = authorized(&sandbox, APP).await;
    sandbox.reset();
    assert_eq!(sandbox.component_ticket(PLATFORM), None);
    assert_eq!(sandbox.component_token(PLATFORM), None);
    assert_eq!(try_token(&sandbox, &tokens.access).await, 40001);
    assert_eq!(
        sandbox.authorizer_refresh_token(PLATFORM, APP).as_deref(),
        Some(tokens.refresh.as_str())
    );
}

#[tokio::test]
#[should_panic(expected = "the sandbox has no app \"wxnobody\"")]
async fn asking_for_the_refresh_token_of_an_unknown_app_panics() {
    let sandbox = platform_sandbox().await;
    let _ = sandbox.authorizer_refresh_token(PLATFORM, "wxnobody");
}

#[tokio::test]
#[should_panic(expected = "only official accounts and mini programs")]
async fn a_wecom_app_does_not_authorise_open_platforms() {
    let sandbox = platform_sandbox().await;
    sandbox.add_app(App::work(CORP, AGENT, WORK_SECRET));
    sandbox.authorize(PLATFORM, CORP).await;
}
