//! Calls that are refused before they reach WeChat.

use super::*;
use crate::common::http::post;

#[tokio::test]
async fn a_key_without_calls_is_told_what_to_set() {
    let world = World::new().await;
    let token = world.token(NO_CALLS_KEY).await;
    for target in [
        format!("{USERS}?access_token={token}"),
        format!("/wx/main{USERS}?access_token={NO_CALLS_KEY}"),
    ] {
        let answer = world.send(get(&target)).await;
        refused(
            &answer,
            48001,
            "calls = [\"/cgi-bin/user/\"] for the key \"signer\"",
        );
    }
    let sensitive = "/cgi-bin/component/api_start_push_ticket";
    let target = format!("/wx/main{sensitive}?access_token={NO_CALLS_KEY}");
    let advice = format!("calls = [\"{sensitive}\"] for the key \"signer\"");
    refused(&world.send(get(target)).await, 48001, &advice);
    let anonymous = world.send(get(USERS)).await;
    refused(&anonymous, 41001, "access_token missing");
    assert_eq!(world.passed_on().await, 0);
}

#[tokio::test]
async fn an_unknown_token_gets_the_error_of_the_system_it_is_of() {
    let world = World::new().await;
    let proof = "0".repeat(80);
    for (token, code) in [
        (format!("wxv_{CORP}-7-{proof}"), 40014),
        (format!("wxv_wpAB-cd_EF-7-{proof}"), 40014),
        (
            "jbe2EcNnR_DBVRMmQTZCsvMPP7XKbNJKTVRKq5Ei9v4".to_owned(),
            40014,
        ),
        (format!("wxv_{APP}-{proof}"), 40001),
        ("71_x-yz".to_owned(), 40001),
    ] {
        let target = |path: &str| get(format!("{path}?access_token={token}"));
        let answer = world.send(target(USERS)).await;
        assert_eq!(errcode(&answer), code, "{token}");
        assert_eq!(answer.header("error-code").is_some(), code == 40014);
        let answer = world.send(target("/wxa/getwxacode")).await;
        assert_eq!(errcode(&answer), 40001, "WeCom has no such path");
    }
}

#[tokio::test]
async fn a_path_outside_the_keys_calls_makes_no_upstream_call() {
    let world = World::new().await;
    let token = world.token(CRM_KEY).await;
    for request in [
        get(format!("/wxa/getwxacode?access_token={token}")),
        post(format!("{USERS}?access_token={token}")),
        get(format!("/cgi-bin/messages/x?access_token={token}")),
    ] {
        refused(&world.send(request).await, 48001, "do not include");
    }
    assert_eq!(world.passed_on().await, 0);
    assert_eq!(
        errcode(
            &world
                .send(get(format!("{USERS}?access_token={token}")))
                .await
        ),
        0
    );
}

#[tokio::test]
async fn a_key_of_another_account_makes_no_upstream_call() {
    let world = World::new().await;
    for target in ["/wx/mini/cgi-bin/message/x", "/wx/gone/cgi-bin/message/x"] {
        let answer = world
            .send(get(format!("{target}?access_token={CRM_KEY}")))
            .await;
        refused(&answer, 40013, "does not open this account");
    }
    assert_eq!(world.passed_on().await, 0);
}

#[tokio::test]
async fn malformed_paths_are_refused_with_an_errcode() {
    let world = World::new().await;
    for path in [
        "/cgi-bin/../cgi-bin/user/get",
        "/cgi-bin/%2e%2e/user/get",
        "/cgi-bin/user%2fget",
        "/cgi-bin%2Fuser/get",
        "/cgi-bin//user/get",
        "/cgi-bin/user/get//",
        "/cgi-bin/%63lear_quota",
        "/cgi-bin/user;a=b/get",
        "/cgi-bin/user\\get",
        "/wx/main/cgi-bin/../user/get",
        "/wx/main/../main/cgi-bin/user/get",
        "/wx/main/foo",
        "//wx/agency/wx0123456789abcdef/foo",
    ] {
        let answer = world.send(get(format!("{path}?access_token={KEY}"))).await;
        refused(&answer, 40066, "no such path");
        assert_eq!(answer.header("error-code"), None);
    }
    for path in ["cgi-bin//x", "cgi-bin/%2e%2e/x", "foo"] {
        let answer = world.send(get(format!("/wx/corp/{path}"))).await;
        refused(&answer, 40066, "no such path");
        assert_eq!(answer.header("error-code"), Some("40066"), "WeCom's form");
    }
    assert_eq!(world.passed_on().await, 0);
    for foreign in ["/foo", "/wx/main", "/cgi-binx/y"] {
        let answer = world
            .send(get(format!("{foreign}?access_token={KEY}")))
            .await;
        answer.assert_problem(404, "not_found");
    }
}

#[tokio::test]
async fn paths_that_wecom_does_not_have_are_refused_with_an_errcode() {
    let world = World::new().await;
    let reset = "/cgi-bin/clear_quota/v2";
    for request in [
        get(format!(
            "/wx/corp/sns/jscode2session?secret={KEY}&js_code=c"
        )),
        get(format!(
            "/sns/oauth2/access_token?appid={CORP}&secret={KEY}&code=c"
        )),
        get(format!("/wx/corp/wxa/getwxacode?access_token={KEY}")),
        post(format!("/datacube/getusersummary?corpid={CORP}")).bearer(KEY),
        get(format!("/wx/corp{reset}")).bearer(VIRTUAL_KEY),
    ] {
        let answer = world.send(request).await;
        refused(&answer, 48002, "WeCom, which does not have this path");
        assert_eq!(answer.header("error-code"), Some("48002"));
    }
    assert_eq!(world.passed_on().await, 0);
    let metrics = world.send(get("/metrics")).await.text;
    let series = "wx_jssdk_gateway_calls_total{account=\"corp\",path=\"/wxa/getwxacode\",outcome=\"refused\"} ";
    assert_eq!(value(&metrics, series), Some(1));
}

#[tokio::test]
async fn methods_other_than_get_head_and_post_are_refused() {
    let world = World::new().await;
    for method in ["PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "FOO"] {
        let target = format!("/wx/main{USERS}?access_token={KEY}");
        let answer = world.send(Request::new(method, target)).await;
        assert_eq!(answer.status, 405, "{method}: {answer:?}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
        assert_eq!(answer.json()["errcode"], 43002, "{answer:?}");
    }
    assert_eq!(world.passed_on().await, 0);
}

#[tokio::test]
async fn sensitive_and_token_issuing_paths_are_not_forwarded() {
    let world = World::new().await;
    for (path, word) in [
        ("/cgi-bin/clear_quota", "exactly this path"),
        ("/cgi-bin/openapi/quota/clear", "exactly this path"),
        (
            "/cgi-bin/component/api_start_push_ticket",
            "exactly this path",
        ),
        ("/cgi-bin/component/api_query_auth", "itself or not at all"),
        ("/cgi-bin/corpgroup/corp/gettoken", "itself or not at all"),
        ("/cgi-bin/service/get_suite_token", "itself or not at all"),
        ("/cgi-bin/corpgroup/getchaininfo", "exactly this path"),
        ("/tcb/getqcloudtoken", "exactly this path"),
        ("/cgi-bin/Token", "answered by wx-jssdk"),
        ("/cgi-bin/STABLE_TOKEN", "answered by wx-jssdk"),
        ("/cgi-bin/gettoken/", "answered by wx-jssdk"),
    ] {
        let answer = world
            .send(get(format!("/wx/main{path}?access_token={KEY}")))
            .await;
        refused(&answer, 48001, word);
    }
    for (target, code) in [
        (
            format!("/cgi-bin/token/?grant_type=client_credential&appid={APP}&secret={KEY}"),
            48001,
        ),
        (
            format!("/wx/corp/cgi-bin/gettoken/?corpsecret={KEY}"),
            48002,
        ),
    ] {
        refused(&world.send(get(target)).await, code, "check the spelling");
    }
    assert_eq!(world.passed_on().await, 0);
}

#[tokio::test]
async fn in_a_tokens_place_a_key_must_begin_with_the_prefix() {
    let old = "a-key-without-the-prefix";
    let key = format!(
        "[[server.api_keys]]\nname = \"old\"\nsha256 = \"{}\"\ncalls = [\"/\"]\n",
        KeyHash::of(old)
    );
    let world = World::with(&key).await;
    let in_header = get(format!("/wx/main{USERS}")).bearer(old);
    assert_eq!(errcode(&world.send(in_header).await), 0);
    let call = get(format!("/wx/main{USERS}?access_token={old}"));
    refused(&world.send(call).await, 40001, "must begin with wxk_");
    let ticket = "/wx/main/cgi-bin/ticket/getticket?type=jsapi";
    let call = get(format!("{ticket}&access_token={old}"));
    refused(&world.send(call).await, 40001, "invalid credential");
}

#[tokio::test]
async fn an_api_key_never_goes_upstream() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    let encoded = CRM_KEY.replace("wxk", "w%78k");
    for target in [
        format!("{USERS}?access_token={token}&x={CRM_KEY}"),
        format!("{USERS}?access_token={token}&{CRM_KEY}"),
        format!("{USERS}?access_token={token}&x={encoded}"),
        format!("/cgi-bin/user/{CRM_KEY}?access_token={token}"),
        format!("/wx/main/sns/userinfo?access_token={CRM_KEY}"),
    ] {
        let request = get(&target);
        let request = if target.contains("/sns/") {
            request.bearer(KEY)
        } else {
            request
        };
        refused(&world.send(request).await, 48001, "API key");
    }
    let header = get(format!("{USERS}?access_token={token}")).header("X-Trace", CRM_KEY);
    refused(&world.send(header).await, 48001, "API key");
    let target = format!("/cgi-bin/message/x?access_token={token}");
    let body = format!("{{\"secret\":\"{CRM_KEY}\"}}");
    refused(
        &world.send_text(post(&target).close().body(&body)).await,
        48001,
        "API key",
    );
    let (one, two) = body.split_at(20);
    let chunks = post(&target).close().chunks([one, two]);
    refused(&world.send_text(chunks).await, 48001, "API key");
    assert_eq!(world.passed_on().await, 0);
    // A key in a body that is too large to buffer is found while streaming, and the call is aborted.
    let large = format!("{}{CRM_KEY}", "x".repeat(2_000_000));
    refused(
        &world.send_text(post(&target).close().body(large)).await,
        48001,
        "API key",
    );
    for request in world.sandbox.last_requests("/cgi-bin/message/x") {
        assert_eq!(request.body_sha256, None, "no whole body arrived");
    }
}

#[tokio::test]
async fn a_query_may_have_line_breaks_but_not_64_kilobytes_or_thousands_of_parameters() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    let answer = world
        .send(get(format!(
            "{USERS}?access_token={token}&x=a%0d%0aX-Evil:%201"
        )))
        .await;
    assert_eq!(errcode(&answer), 0);
    let received = world.received(USERS);
    assert!(
        received.query.ends_with("&x=a%0d%0aX-Evil:%201"),
        "{}",
        received.query
    );
    assert_eq!(received.header("x-evil"), None);
    let long = format!("{USERS}?access_token={token}&x={}", "a".repeat(60_000));
    refused(&world.send(get(long)).await, 40097, "16384 bytes");
    // Refused before the caller is looked for.
    for many in ["a&".repeat(7_000), "&".repeat(256)] {
        let many = get(format!("{USERS}?{many}"));
        refused(&world.send(many).await, 40097, "256 parameters");
    }
    let longer = format!("{USERS}?access_token={token}&x={}", "a".repeat(70_000));
    assert!(world.send(get(longer)).await.status >= 400);
}

#[tokio::test]
async fn a_call_that_comes_back_is_detected_as_a_loop() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    world.get(&format!("{USERS}?access_token={token}")).await;
    let via = world.received(USERS).header("via").unwrap().to_owned();
    let request = get(format!("{USERS}?access_token={token}"))
        .header("Via", format_args!("1.0 proxy, {via}"));
    let answer = world.send(request).await;
    assert_eq!(answer.status, 508, "{answer:?}");
    assert_eq!(answer.json()["errcode"], -1);
    let other =
        get(format!("{USERS}?access_token={token}")).header("Via", "1.1 wx-jssdk-0000000000000000");
    assert_eq!(
        errcode(&world.send(other).await),
        0,
        "another wx-jssdk may be in front"
    );
}

#[tokio::test]
async fn no_metric_quotes_a_long_path_or_a_key_in_one() {
    let world = World::new().await;
    for n in 0..100 {
        let long = "a".repeat(60_000);
        let path = format!("/wx/main/cgi-bin/{long}{n}?access_token={NO_CALLS_KEY}");
        refused(&world.send(get(path)).await, 40066, "no such path");
    }
    let misplaced = format!("/wx/main/cgi-bin/{KEY}/x?access_token={NO_CALLS_KEY}");
    refused(&world.send(get(misplaced)).await, 48001, "calls");
    let metrics = world.send(get("/metrics")).await.text;
    assert!(metrics.contains("path=\"/cgi-bin\""), "{metrics}");
    assert!(!metrics.contains(KEY) && metrics.len() < 100_000);
}
