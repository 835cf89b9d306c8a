//! WeCom's tokens: fetching, lifetimes and refusals.

use serde_json::json;
use wx_jssdk::sandbox::{App, Fault, FaultKind, Mode, Revoke, Switches};

use crate::common::wait::called;
use crate::support::*;

/// A data call with this token, in full.
async fn ip_list(sandbox: &wx_jssdk::sandbox::Sandbox, token: &str) -> serde_json::Value {
    get(
        sandbox,
        &format!("/cgi-bin/get_api_domain_ip?access_token={token}"),
    )
    .await
}

#[tokio::test]
async fn a_token_comes_with_an_errcode_in_the_documented_order() {
    let sandbox = corp().await;
    let bytes = String::from_utf8(raw(&sandbox, &gettoken_path(WORK_SECRET)).await).unwrap();
    let token = sandbox.token(AGENT_NAME, Mode::Work).unwrap();
    assert!(
        token.len() == 214
            && token
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    );
    let body =
        format!(r#"{{"errcode":0,"errmsg":"ok","access_token":"{token}","expires_in":7200}}"#);
    assert_eq!(bytes.split_once("\r\n\r\n").unwrap().1, body);
}

#[tokio::test]
async fn the_errcode_and_the_errmsg_stand_in_the_headers_too() {
    let sandbox = corp().await;
    for (secret, code) in [(WORK_SECRET, "0"), ("wrong", "40001")] {
        let answer = client()
            .get(format!("{}{}", sandbox.url(), gettoken_path(secret)))
            .send()
            .await
            .unwrap();
        let headers = answer.headers().clone();
        assert_eq!(answer.status(), 200);
        let body: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(
            (&headers["content-type"], &headers["server"]),
            (
                &"application/json; charset=UTF-8".parse().unwrap(),
                &"nginx".parse().unwrap()
            )
        );
        assert_eq!(headers["error-code"], code);
        assert_eq!(headers["error-msg"], text(&body, "errmsg"));
        assert_eq!(body["errcode"].to_string(), code);
    }
}

#[tokio::test]
async fn weixins_answers_do_not_have_wecoms_headers() {
    let sandbox = sandbox().await;
    let answer = client()
        .get(format!("{}{}", sandbox.url(), token_path()))
        .send()
        .await
        .unwrap();
    assert_eq!(
        answer.headers()["content-type"],
        "application/json; encoding=utf-8"
    );
    assert!(
        ["error-code", "error-msg", "server"]
            .iter()
            .all(|name| !answer.headers().contains_key(*name))
    );
}

#[tokio::test]
async fn the_same_token_is_repeated_with_its_remaining_life_to_the_end() {
    let sandbox = corp().await;
    let first = gettoken(&sandbox).await;
    sandbox.advance(seconds(7_199));
    let again = gettoken(&sandbox).await;
    assert_eq!(
        (again["access_token"].clone(), again["expires_in"].as_u64()),
        (first["access_token"].clone(), Some(1))
    );
    sandbox.advance(seconds(1));
    let new = gettoken(&sandbox).await;
    assert_ne!(new["access_token"], first["access_token"]);
    assert_eq!(new["expires_in"], 7_200);
}

#[tokio::test]
async fn by_a_switch_each_call_returns_a_new_token_and_the_old_one_lasts_five_minutes() {
    let sandbox = sandbox_with(work_app().switches(Switches {
        gettoken_always_new: true,
        ..Switches::default()
    }))
    .await;
    let (first, second) = (
        token_of(&gettoken(&sandbox).await),
        token_of(&gettoken(&sandbox).await),
    );
    assert_ne!(first, second);
    assert_eq!(
        (
            try_token(&sandbox, &first).await,
            try_token(&sandbox, &second).await
        ),
        (0, 0)
    );
    sandbox.advance(seconds(300));
    assert_eq!(
        (
            try_token(&sandbox, &first).await,
            try_token(&sandbox, &second).await
        ),
        (40014, 0)
    );
}

#[tokio::test]
async fn each_app_of_a_corp_has_its_own_token() {
    let sandbox = corp_of_two().await;
    let first = token_of(&gettoken(&sandbox).await);
    let second = token_of(&get(&sandbox, &gettoken_path(WORK_SECRET_2)).await);
    assert_ne!(first, second);
    assert_eq!(
        (
            sandbox.token(AGENT_NAME, Mode::Work),
            sandbox.token(AGENT_2_NAME, Mode::Work)
        ),
        (Some(first.clone()), Some(second))
    );
    assert!(
        sandbox.accepts_token(AGENT_NAME, &first) && !sandbox.accepts_token(AGENT_2_NAME, &first)
    );
}

#[tokio::test]
async fn gettoken_checks_the_secrets_presence_then_the_corp_then_the_secret() {
    let sandbox = corp().await;
    for (code, words, query) in [
        (41004, "corpsecret missing", String::new()),
        (41004, "corpsecret missing", "corpid=wwnobody".to_owned()),
        (
            41004,
            "corpsecret missing",
            format!("corpid={CORP}&corpsecret="),
        ),
        (40013, "invalid corpid", format!("corpsecret={WORK_SECRET}")),
        (
            40013,
            "invalid corpid",
            format!("corpid=&corpsecret={WORK_SECRET}"),
        ),
        (
            40013,
            "invalid corpid",
            "corpid=wwnobody&corpsecret=wrong".to_owned(),
        ),
        (
            40013,
            "invalid corpid",
            format!("corpid={}&corpsecret={WORK_SECRET}", CORP.to_uppercase()),
        ),
        (
            40013,
            "invalid corpid",
            format!("corpid={AGENT_NAME}&corpsecret={WORK_SECRET}"),
        ),
        (
            40001,
            "invalid credential",
            format!("corpid={CORP}&corpsecret=wrong"),
        ),
    ] {
        let answer = get(&sandbox, &format!("/cgi-bin/gettoken?{query}")).await;
        assert_eq!(
            work_refusal(&sandbox, &answer),
            (code, words.to_owned()),
            "{query}"
        );
        assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");
    }
}

#[tokio::test]
async fn a_secret_of_another_corp_is_wrong() {
    let sandbox = corp().await;
    sandbox.add_app(App::work("wwother", AGENT, "of-another-corp"));
    assert_eq!(
        get(&sandbox, &gettoken_path("of-another-corp")).await["errcode"],
        40001
    );
}

#[tokio::test]
async fn data_calls_distinguish_missing_bad_and_expired_tokens() {
    let sandbox = corp().await;
    let old = token_of(&gettoken(&sandbox).await);
    let paths = [
        "/cgi-bin/get_jsapi_ticket?",
        "/cgi-bin/ticket/get?type=agent_config&",
    ];
    sandbox.revoke(AGENT_NAME, Revoke::Token);
    for (code, words, query) in [
        (41001, "access_token missing", ""),
        (41001, "access_token missing", "access_token="),
        (40014, "invalid access_token", "access_token=nobodys"),
        (
            40014,
            "invalid access_token",
            &format!("access_token={old}"),
        ),
    ] {
        for path in paths {
            let answer = get(&sandbox, &format!("{path}{query}")).await;
            assert_eq!(
                work_refusal(&sandbox, &answer),
                (code, words.to_owned()),
                "{path}{query}"
            );
            assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");
        }
    }
    let valid = token_of(&gettoken(&sandbox).await);
    sandbox.advance(seconds(7_200));
    for token in [old, valid] {
        let answer = corp_ticket(&sandbox, &token).await;
        assert_eq!(
            work_refusal(&sandbox, &answer),
            (42001, "access_token expired".to_owned())
        );
    }
}

#[tokio::test]
async fn a_token_in_the_body_or_in_a_header_is_missing() {
    let sandbox = corp().await;
    let token = token_of(&gettoken(&sandbox).await);
    let body = json!({ "access_token": token }).to_string();
    assert_eq!(
        post(&sandbox, "/cgi-bin/get_jsapi_ticket", body).await["errcode"],
        41001
    );
    let request = client()
        .get(format!("{}/cgi-bin/get_jsapi_ticket", sandbox.url()))
        .bearer_auth(&token);
    assert!(
        request
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .starts_with(r#"{"errcode":41001,"#)
    );
}

#[tokio::test]
async fn tokens_of_one_system_are_invalid_on_the_other() {
    let sandbox = sandbox().await;
    sandbox.add_app(work_app());
    let (weixin, work) = (
        token_of(&stable(&sandbox).await),
        token_of(&gettoken(&sandbox).await),
    );
    assert_eq!(corp_ticket(&sandbox, &weixin).await["errcode"], 40014);
    assert_eq!(agent_ticket(&sandbox, &weixin).await["errcode"], 40014);
    let answer = ticket(&sandbox, &work, "jsapi").await;
    assert_eq!(answer["errcode"], 40001);
    assert!(
        errmsg(&sandbox, &answer)
            .starts_with("invalid credential, access_token is invalid or not latest")
    );
    let token = get(
        &sandbox,
        &format!("/cgi-bin/token?grant_type=client_credential&appid={CORP}&secret={WORK_SECRET}"),
    )
    .await;
    assert_eq!(token["errcode"], 40013, "a corp is not an app");
    assert_eq!(
        get(
            &sandbox,
            &format!("/cgi-bin/gettoken?corpid={APP}&corpsecret={SECRET}")
        )
        .await["errcode"],
        40013
    );
}

#[tokio::test]
async fn the_shared_path_answers_like_the_system_of_the_token() {
    let sandbox = sandbox().await;
    sandbox.add_app(work_app());
    let (weixin, work) = (
        token_of(&stable(&sandbox).await),
        token_of(&gettoken(&sandbox).await),
    );
    assert_eq!(
        ip_list(&sandbox, &weixin)
            .await
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>(),
        ["ip_list"]
    );
    let bytes = String::from_utf8(
        raw(
            &sandbox,
            &format!("/cgi-bin/get_api_domain_ip?access_token={work}"),
        )
        .await,
    )
    .unwrap();
    let body = bytes.split_once("\r\n\r\n").unwrap().1;
    assert!(
        body.starts_with(r#"{"ip_list":[""#) && body.ends_with(r#""],"errcode":0,"errmsg":"ok"}"#),
        "{body}"
    );
    sandbox.revoke(AGENT_NAME, Revoke::Token);
    sandbox.revoke(APP, Revoke::Token);
    let refused = ip_list(&sandbox, &work).await;
    assert_eq!(
        work_refusal(&sandbox, &refused),
        (40014, "invalid access_token".to_owned())
    );
    assert_eq!(
        (
            refused["ip_list"].clone(),
            refused.as_object().unwrap().len()
        ),
        (json!([]), 3),
        "with the empty list"
    );
    for token in [weixin.as_str(), "nobodys", ""] {
        errmsg(&sandbox, &ip_list(&sandbox, token).await);
    }
}

#[tokio::test]
async fn with_only_wecom_apps_an_unknown_token_is_refused_by_wecom() {
    let sandbox = corp().await;
    assert_eq!(
        work_refusal(&sandbox, &ip_list(&sandbox, "nobodys").await).0,
        40014
    );
    assert_eq!(
        work_refusal(&sandbox, &ip_list(&sandbox, "").await).0,
        41001
    );
    let empty = wx_jssdk::sandbox::Sandbox::start(wx_jssdk::clock::Clock::manual(START))
        .await
        .unwrap();
    assert_eq!(ip_list(&empty, "nobodys").await["errcode"], 40001);
}

#[tokio::test]
async fn an_untrusted_address_gets_a_token_that_no_call_accepts() {
    let listed = work_app()
        .allow_ips(["10.0.0.1"])
        .caller_ip("106.41.36.218".parse().unwrap());
    let sandbox = sandbox_with(listed.clone()).await;
    let token = token_of(&gettoken(&sandbox).await);
    for answer in [
        corp_ticket(&sandbox, &token).await,
        agent_ticket(&sandbox, &token).await,
        ip_list(&sandbox, &token).await,
    ] {
        assert_eq!(answer["errcode"], 60020);
        assert_eq!(
            work_errmsg(&sandbox, &answer, "106.41.36.218"),
            "not allow to access from your ip"
        );
    }
    sandbox.add_app(listed.allow_ips(["106.41.36.218"]));
    assert_eq!(corp_ticket(&sandbox, &token).await["errcode"], 0);
}

#[tokio::test]
async fn by_a_switch_an_untrusted_address_does_not_even_get_a_token() {
    let switches = Switches {
        gettoken_checks_ip: true,
        ..Switches::default()
    };
    let sandbox = sandbox_with(work_app().allow_ips(["10.0.0.1"]).switches(switches)).await;
    let answer = gettoken(&sandbox).await;
    assert_eq!(
        work_refusal(&sandbox, &answer),
        (60020, "not allow to access from your ip".to_owned())
    );
    assert_eq!(answer.as_object().unwrap().len(), 2);
    assert_eq!(
        get(&sandbox, &gettoken_path("wrong")).await["errcode"],
        40001,
        "the secret comes first"
    );
}

#[tokio::test]
async fn the_secret_and_the_token_of_a_stopped_app_are_refused() {
    let sandbox = corp_of_two().await;
    let token = token_of(&gettoken(&sandbox).await);
    sandbox.add_app(work_app().frozen(true));
    assert_eq!(gettoken(&sandbox).await["errcode"], 40001);
    assert_eq!(
        work_refusal(&sandbox, &corp_ticket(&sandbox, &token).await),
        (50003, "app disabled".to_owned())
    );
    assert_eq!(
        get(&sandbox, &gettoken_path(WORK_SECRET_2)).await["errcode"],
        0,
        "the corp's other app is unaffected"
    );
}

#[tokio::test]
async fn faults_use_wecoms_messages_on_wecoms_paths() {
    let sandbox = corp().await;
    sandbox.fault(Fault::once("/cgi-bin/gettoken", FaultKind::Errcode(-1)));
    assert_eq!(
        work_refusal(&sandbox, &gettoken(&sandbox).await),
        (-1, "system error".to_owned())
    );
    sandbox.fault(Fault::once(
        "/cgi-bin/gettoken",
        FaultKind::ErrcodeWith(45033, "too many\nat once".into()),
    ));
    let answer = client()
        .get(format!("{}{}", sandbox.url(), gettoken_path(WORK_SECRET)))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["error-code"], "45033");
    assert!(
        !answer.headers().contains_key("error-msg"),
        "no header holds a line break"
    );
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .starts_with(r#"{"errcode":45033,"errmsg":"too many\nat once, hint: ["#)
    );
    sandbox.fault(Fault::once("/cgi-bin/gettoken", FaultKind::LostReply));
    assert_eq!(raw(&sandbox, &gettoken_path(WORK_SECRET)).await, b"");
    assert!(
        sandbox.token(AGENT_NAME, Mode::Work).is_some(),
        "carried out"
    );
    let token = token_of(&gettoken(&sandbox).await);
    sandbox.fault(Fault::once(
        "/cgi-bin/get_jsapi_ticket",
        FaultKind::Errcode(42001),
    ));
    assert_eq!(
        work_refusal(&sandbox, &corp_ticket(&sandbox, &token).await).0,
        42001
    );
}

#[tokio::test]
async fn calls_to_wecom_are_counted_held_and_given_another_content_type_like_all_others() {
    let sandbox = corp().await;
    let gate = sandbox.hold("/cgi-bin/gettoken");
    let call = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { gettoken(&sandbox).await }
    });
    called(&sandbox, "/cgi-bin/gettoken", 1).await;
    assert_eq!(sandbox.token(AGENT_NAME, Mode::Work), None);
    gate.release();
    assert_eq!(call.await.unwrap()["expires_in"], 7_200);
    sandbox.set_content_type("text/plain");
    let answer = client()
        .get(format!("{}{}", sandbox.url(), gettoken_path(WORK_SECRET)))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain");
    assert_eq!(
        (sandbox.calls("/cgi-bin/gettoken"), sandbox.calls_total()),
        (2, 2)
    );
}

#[tokio::test]
async fn the_life_of_tokens_and_tickets_can_be_set() {
    let sandbox = sandbox_with(work_app().token_ttl(seconds(600)).ticket_ttl(seconds(900))).await;
    let answer = gettoken(&sandbox).await;
    assert_eq!(answer["expires_in"], 600);
    assert_eq!(
        corp_ticket(&sandbox, &token_of(&answer)).await["expires_in"],
        900
    );
    assert_eq!(
        agent_ticket(&sandbox, &token_of(&answer)).await["expires_in"],
        900
    );
}
