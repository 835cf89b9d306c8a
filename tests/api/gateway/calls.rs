//! Requests as they arrive at WeChat, and answers as they are returned.

use sha2::{Digest as _, Sha256};

use super::*;
use crate::common::http::{post, with_bytes};

/// SHA-256 of `{"a":1}`.
const BODY_HASH: &str = "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";

#[tokio::test]
async fn a_call_arrives_as_it_was_sent_with_the_accounts_token() {
    let world = World::new().await;
    let target = format!("/cgi-bin/message/custom/send?b=x+y%20z&access_token={KEY}&a=%7E~&a=2");
    let request = format!("{target}&appid={APP}");
    let request = post(&request)
        .header("Content-Type", "application/json; charset=utf-8")
        .header("X-Of-The-Client", "kept")
        .close()
        .body(r#"{"a":1}"#);
    world.send_text(request).await.ok();
    let received = world.received("/cgi-bin/message/custom/send");
    let token: String = world.current().chars().take(4).collect();
    assert_eq!(
        received.query,
        format!("b=x+y%20z&access_token={token}***&a=%7E~&a=2&appid={APP}")
    );
    assert_eq!(received.method, "POST");
    assert_eq!(received.body_sha256.as_deref(), Some(BODY_HASH));
    assert_eq!(
        received.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(received.header("x-of-the-client"), Some("kept"));
    assert_eq!(received.header("content-length"), Some("7"));
}

#[tokio::test]
async fn hop_by_hop_and_caller_headers_are_not_forwarded() {
    let world = World::new().await;
    let request = get(format!("/wx/main{USERS}"))
        .bearer(KEY)
        .header("Cookie", "session=1")
        .header("Referer", "https://shop.example.com/orders/7")
        .header("X-Envoy-Client", "203.0.113.9")
        .header("True-Client-IP", "203.0.113.9")
        .header("X-Client-IP", "203.0.113.9")
        .header("X-Original-Forwarded-For", "203.0.113.9")
        .header("CF-Connecting-IP", "203.0.113.9")
        .header("X-Forwarded-For", "203.0.113.9")
        .header("X-Forwarded-Proto", "https")
        .header("X-Real-IP", "203.0.113.9")
        .header("Forwarded", "for=203.0.113.9")
        .header("Proxy-Authorization", "Basic eDp5")
        .header("Keep-Alive", "timeout=5")
        .header("TE", "trailers")
        .header("X-Named", "by Connection")
        .header("Accept-Encoding", "gzip")
        .header("Connection", "close, x-named");
    let answer = world.send_text(request.text()).await;
    answer.ok();
    let received = world.received(USERS);
    let names: Vec<_> = received
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let expected = ["host", "via"];
    assert_eq!(names, expected, "{:?}", received.headers);
    assert_eq!(
        received.header("host"),
        Some(world.sandbox.addr().to_string().as_str())
    );
}

#[tokio::test]
async fn the_account_is_derived_from_token_key_appid_or_base_url() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    for target in [
        format!("{USERS}?access_token={token}"),
        format!("{USERS}?access_token={CRM_KEY}"),
        format!("{USERS}?access_token={KEY}&appid={APP}"),
        format!("/wx/main{USERS}?access_token={KEY}"),
        format!("//wx/main/{USERS}?access_token={token}"),
        format!("/{USERS}?access_token={token}"),
    ] {
        let answer = world.get(&target).await;
        assert_eq!(answer["echo"]["path"], USERS, "{target}: {answer}");
    }
    let bearer = get(format!("/wx/main{USERS}")).bearer(KEY);
    assert_eq!(errcode(&world.send(bearer).await), 0);
    let other = get(format!("{USERS}?access_token={KEY}"));
    refused(&world.send(other).await, 41002, "/wx/ACCOUNT");
    let unknown = get(format!("{USERS}?access_token=71_foreign"));
    refused(&world.send(unknown).await, 40001, "invalid credential");
    let elsewhere = get(format!("/wx/mini{USERS}?access_token={token}"));
    refused(&world.send(elsewhere).await, 40013, "another account");
}

#[tokio::test]
async fn a_base_url_with_an_account_serves_tokens_and_tickets_too() {
    let world = World::new().await;
    let token = world
        .get(&format!(
            "/wx/main/cgi-bin/token?grant_type=client_credential&appid={APP}&secret={KEY}"
        ))
        .await;
    let token = token["access_token"].as_str().unwrap();
    for access_token in [token, KEY] {
        let ticket =
            format!("/wx/main/cgi-bin/ticket/getticket?access_token={access_token}&type=jsapi");
        let ticket = world.get(&ticket).await;
        assert_eq!(ticket["errcode"], 0, "{ticket}");
    }
    let other =
        format!("/wx/mini/cgi-bin/token?grant_type=client_credential&appid={APP}&secret={KEY}");
    assert_eq!(world.get(&other).await["errcode"], 40013);
    let agent = format!("/wx/corp/cgi-bin/gettoken?corpid={CORP}&corpsecret={KEY}");
    assert_eq!(world.get(&agent).await["errcode"], 0);
}

#[tokio::test]
async fn wecom_calls_go_to_wecom() {
    let world = World::new().await;
    let path = format!("/cgi-bin/gettoken?corpid={CORP}&corpsecret={KEY}");
    let token = world.get(&path).await;
    let token = token["access_token"].as_str().unwrap();
    let answer = world
        .get(&format!("/cgi-bin/user/list?access_token={token}"))
        .await;
    assert_eq!(answer["errcode"], 0, "{answer}");
    let refusal = world
        .get(&format!("/wx/corp/cgi-bin/clear_quota?access_token={KEY}"))
        .await;
    assert_eq!(refusal["errcode"], 48002, "{refusal}");
}

#[tokio::test]
async fn a_corpid_means_the_app_of_the_corp_that_the_key_opens() {
    let sandbox = Sandbox::start(Clock::manual(START)).await.unwrap();
    let secret = CORP_SECRET.to_ascii_lowercase();
    sandbox.add_app(App::work(CORP, 8, secret.as_str()));
    let second = format!(
        "[accounts.second]\nplatform = \"work\"\ncorp_id = \"{CORP}\"\nagent_id = 8\nsecret = \"{secret}\"\njs_safe_domains = [\"example.com\"]\n"
    );
    let world = World::on(sandbox, "", &second).await;
    let call = |key, more| {
        let target = format!("/cgi-bin/user/list?corpid={CORP}{more}");
        world.send(get(target).bearer(key))
    };
    assert_eq!(errcode(&call(MINI_KEY, "").await), 0);
    assert_eq!(errcode(&call(KEY, "&agentid=8").await), 0);
    let no_app = "no app of the corp with this agentid, see its accounts";
    for (key, more, code, word) in [
        (MINI_KEY, "&agentid=8", 40056, no_app),
        (MINI_KEY, "&agentid=abc", 40056, no_app),
        (KEY, "&agentid=9", 40056, no_app),
        (KEY, "&agentid=abc", 40056, no_app),
        (KEY, "", 41011, "add agentid="),
        (
            CRM_KEY,
            "",
            40013,
            "\"crm\" opens no account with this corpid",
        ),
    ] {
        let answer = call(key, more).await;
        refused(&answer, code, word);
        let header = answer.header("error-code").map(str::to_owned);
        assert_eq!(header, Some(code.to_string()), "WeCom's form");
    }
    assert_eq!(errcode(&call(MINI_KEY, "&agentid=7").await), 0);
    let unnamed = world.send(get("/cgi-bin/user/list?corpid=x")).await;
    refused(&unnamed, 41001, "access_token missing");
    assert_eq!(unnamed.header("error-code"), Some("41001"));
    for parameter in ["appid", "component_appid"] {
        let target = format!("/cgi-bin/user/list?{parameter}={MINI}");
        let answer = world.send(get(target).bearer(CRM_KEY)).await;
        let word = format!("opens no account with this {parameter}");
        refused(&answer, 40013, &word);
        assert_eq!(answer.header("error-code"), None);
    }
}

#[tokio::test]
async fn chunked_bodies_pass_in_both_directions() {
    let world = World::new().await;
    let target = format!(
        "/wx/main/cgi-bin/message/x?access_token={KEY}&sandbox_chunked=1&sandbox_json=200000"
    );
    let request = post(&target).close().chunks(["{\"a\"", ":1}"]);
    let answer = world.send_text(request).await;
    assert_eq!(answer.text.len(), 200_000);
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    let received = world.received("/cgi-bin/message/x");
    assert_eq!(received.body_sha256.as_deref(), Some(BODY_HASH));
}

#[tokio::test]
async fn expect_100_continue_is_answered_here() {
    let world = World::new().await;
    let request = post(format!("/wx/main/cgi-bin/message/x?access_token={KEY}"))
        .header("Expect", "100-continue")
        .close()
        .body(r#"{"a":1}"#);
    let bytes = http::exchange(world.service.admin, request).await;
    let text = String::from_utf8(bytes).unwrap();
    let (first, answer) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(first, "HTTP/1.1 100 Continue");
    assert_eq!(errcode(&Answer::parse(answer.as_bytes())), 0);
    let received = world.received("/cgi-bin/message/x");
    assert_eq!(received.body_sha256.as_deref(), Some(BODY_HASH));
    assert_eq!(received.header("expect"), None);
}

#[tokio::test]
async fn a_multipart_body_keeps_every_byte() {
    let world = World::new().await;
    let boundary = "----WebKitFormBoundary7MA4YWxkTrZu0gW";
    let part = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"media\"; filename=\"张三.jpg\"\r\n\r\nMARK\r\n--{boundary}--\r\n"
    );
    let bytes: Vec<u8> = (0..=255).collect();
    let length = part.len() - 4 + bytes.len();
    let request = post(format!(
        "/wx/main/cgi-bin/media/upload?access_token={KEY}&type=image"
    ))
    .header(
        "Content-Type",
        format_args!("multipart/form-data; boundary={boundary}"),
    )
    .header("Content-Length", length)
    .close()
    .text()
        + &part;
    let request = with_bytes(&request, "MARK", &bytes);
    let body = with_bytes(&part, "MARK", &bytes);
    http::send(world.service.admin, request).await.ok();
    let received = world.received("/cgi-bin/media/upload");
    let hash = Sha256::digest(&body);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(received.body_sha256, Some(hash));
    assert_eq!(
        received.header("content-type"),
        Some(format!("multipart/form-data; boundary={boundary}").as_str())
    );
}

#[tokio::test]
async fn a_quoted_request_hides_its_token_and_the_app_secret() {
    let world = World::new().await;
    let target = format!("/wx/main/cgi-bin/openapi/rid/get?access_token={VIRTUAL_KEY}");
    let request = post(&target)
        .close()
        .body(r#"{"rid":"61725984-6126f6f9-040f19c4"}"#);
    let answer = world.send_text(request).await;
    let json = answer.ok();
    assert_eq!(json["errcode"], 0, "{json}");
    assert!(answer.text.contains("access_token=***"), "{json}");
    assert!(!answer.text.contains(&world.current()));
    assert!(answer.text.contains("appsecret"), "{json}");
    assert!(!answer.text.contains(SECRET), "{json}");
}

#[tokio::test]
async fn a_virtual_token_works_here_and_nowhere_else() {
    let world = World::new().await;
    let path =
        format!("/cgi-bin/token?grant_type=client_credential&appid={APP}&secret={VIRTUAL_KEY}");
    let answer = world.get(&path).await;
    assert_eq!(answer["expires_in"], 7_200, "{answer}");
    let token = answer["access_token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("wxv_"), "{token}");
    assert_eq!(
        world.get(&format!("{USERS}?access_token={token}")).await["errcode"],
        0
    );
    let ticket = format!("/cgi-bin/ticket/getticket?access_token={token}&type=jsapi");
    assert_eq!(world.get(&ticket).await["errcode"], 0);
    assert!(!world.sandbox.accepts_token(APP, &token));
    world.clock.advance(Duration::from_secs(90_000));
    assert_eq!(
        world.get(&format!("{USERS}?access_token={token}")).await["errcode"],
        0
    );
    let real = get("/credentials/main/access_token").bearer(VIRTUAL_KEY);
    world.send(real).await.assert_problem(403, "forbidden");
    let leaked = get(format!("{USERS}?access_token={token}&also={token}"));
    refused(&world.send(leaked).await, 48001, "virtual token");
}

#[tokio::test]
async fn a_call_is_counted_and_logged_by_account_and_group() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    world.get(&format!("{USERS}?access_token={token}")).await;
    world
        .get(&format!(
            "{USERS}?access_token={token}&sandbox_errcode=48001"
        ))
        .await;
    world
        .get(&format!("/wx/main/cgi-bin/clear_quota?access_token={KEY}"))
        .await;
    let metrics = world.send(get("/metrics")).await.text;
    for line in [
        r#"wx_jssdk_gateway_calls_total{account="main",path="/cgi-bin/user",outcome="ok"} 1"#,
        r#"wx_jssdk_gateway_calls_total{account="main",path="/cgi-bin/user",outcome="errcode"} 1"#,
        r#"wx_jssdk_gateway_calls_total{account="main",path="/cgi-bin/clear_quota",outcome="refused"} 1"#,
        r#"wx_jssdk_gateway_upstream_seconds_count{account="main",path="/cgi-bin/user"} 2"#,
        r#"route="/{wechat}""#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains(&token));
}

#[tokio::test]
async fn paths_of_refused_calls_leave_room_for_the_calls_of_others() {
    let world = World::new().await;
    for n in 0..1_050 {
        let target = format!("/wx/main/cgi-bin/a{n}?access_token={NO_CALLS_KEY}");
        refused(&world.send(get(target)).await, 48001, "calls");
    }
    world
        .get(&format!("/wx/mini{USERS}?access_token={KEY}"))
        .await;
    let metrics = world.send(get("/metrics")).await.text;
    let counted =
        r#"wx_jssdk_gateway_calls_total{account="mini",path="/cgi-bin/user",outcome="ok"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn a_call_that_fails_is_counted_once_and_timed() {
    let world = World::new().await;
    let token = world.token(KEY).await;
    world.sandbox.stop().await;
    let call = get(format!("{USERS}?access_token={token}"));
    assert_eq!(world.send(call).await.status, 502);
    assert_eq!(world.counted("/cgi-bin/user").await, [("failed", 1)]);
    assert_eq!(world.timed("/cgi-bin/user").await, 1);
}

#[tokio::test]
async fn a_call_that_is_not_passed_on_is_refused_once_and_not_timed() {
    let world = World::with("[gateway]\nbody_limit = 1000\n").await;
    let token = world.token(KEY).await;
    let large = "x".repeat(1_001);
    for request in [
        get(format!("{USERS}?access_token={token}&x={CRM_KEY}"))
            .close()
            .text(),
        get(format!("/wx/main{USERS}?access_token={NO_CALLS_KEY}"))
            .close()
            .text(),
        post(format!("{USERS}?access_token={token}"))
            .close()
            .body(&large),
    ] {
        let answer = world.send_text(request).await;
        assert_ne!(errcode(&answer), 0, "{answer:?}");
    }
    world.sandbox.stop().await;
    world.clock.advance(Duration::from_secs(90_000));
    let without_token = get(format!("/wx/main{USERS}?access_token={KEY}"));
    assert_ne!(world.send(without_token).await.json()["errcode"], 0);
    assert_eq!(world.counted("/cgi-bin/user").await, [("refused", 4)]);
    assert_eq!(world.timed("/cgi-bin/user").await, 0);
}
