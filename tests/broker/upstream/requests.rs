//! Requests to WeChat: paths, parameters, bodies.

use wx_jssdk::account::{Account, TokenMode};
use wx_jssdk::credential::{Kind, Secret};

use crate::upstream::support::*;

#[tokio::test]
async fn a_stable_token_is_requested_with_a_json_body() {
    for force in [false, true] {
        let (base, asked) = server(answer("200 OK", "", GOOD));
        let token = upstream(&base, PATIENT)
            .token(&account(), force)
            .await
            .unwrap();
        assert_eq!(token, issued("85_abc-DEF_123", 7_200));
        let asked = asked.join().unwrap();
        let (head, body) = asked.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /cgi-bin/stable_token "), "{head}");
        assert!(
            head.to_lowercase()
                .contains("content-type: application/json"),
            "{head}"
        );
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let expected = serde_json::json!({
            "grant_type": "client_credential", "appid": APP, "secret": SECRET, "force_refresh": force,
        });
        assert_eq!(body, expected);
    }
}

/// Makes one call. Returns its request line and its result.
async fn line_of(account: &Account, kind: Kind, token: &str) -> String {
    let (base, asked) = server(answer(
        "200 OK",
        "",
        if kind == Kind::AccessToken {
            GOOD
        } else {
            GOOD_TICKET
        },
    ));
    let upstream = upstream(&base, PATIENT);
    match kind {
        Kind::AccessToken => assert_eq!(
            upstream.token(account, false).await.unwrap(),
            issued("85_abc-DEF_123", 7_200)
        ),
        _ => {
            let ticket = upstream
                .ticket(account, kind, &Secret::new(token))
                .await
                .unwrap();
            assert_eq!(ticket, issued("sM4AOVdWfPE4DxkX", 7_200));
        }
    }
    asked.join().unwrap().lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_classic_token_is_requested_with_a_query() {
    let line = line_of(
        &account().token_mode(TokenMode::Classic),
        Kind::AccessToken,
        "",
    )
    .await;
    let expected = format!(
        "GET /cgi-bin/token?grant_type=client_credential&appid={APP}&secret={SECRET} HTTP/1.1"
    );
    assert_eq!(line, expected);
}

#[tokio::test]
async fn tickets_are_requested_by_type() {
    let jsapi = line_of(&account(), Kind::JsapiTicket, "85_t-T").await;
    assert_eq!(
        jsapi,
        "GET /cgi-bin/ticket/getticket?access_token=85_t-T&type=jsapi HTTP/1.1"
    );
    let card = line_of(&account(), Kind::CardTicket, "85_t-T").await;
    assert_eq!(
        card,
        "GET /cgi-bin/ticket/getticket?access_token=85_t-T&type=wx_card HTTP/1.1"
    );
}

#[tokio::test]
async fn wecom_has_its_own_paths() {
    let work = Account::work("ww0123456789abcdef", 1_000_002, "a-b_C");
    let token = line_of(&work, Kind::AccessToken, "").await;
    assert_eq!(
        token,
        "GET /cgi-bin/gettoken?corpid=ww0123456789abcdef&corpsecret=a-b_C HTTP/1.1"
    );
    let corp = line_of(&work, Kind::JsapiTicket, "t").await;
    assert_eq!(
        corp,
        "GET /cgi-bin/get_jsapi_ticket?access_token=t HTTP/1.1"
    );
    let agent = line_of(&work, Kind::AgentTicket, "t").await;
    assert_eq!(
        agent,
        "GET /cgi-bin/ticket/get?access_token=t&type=agent_config HTTP/1.1"
    );
}

#[tokio::test]
async fn a_token_is_encoded_for_the_query() {
    let line = line_of(&account(), Kind::JsapiTicket, "a+b/c=&d#e").await;
    assert_eq!(
        line,
        "GET /cgi-bin/ticket/getticket?access_token=a%2Bb%2Fc%3D%26d%23e&type=jsapi HTTP/1.1"
    );
}

#[tokio::test]
async fn a_base_url_may_have_a_path_and_a_trailing_slash() {
    let (base, asked) = server(answer("200 OK", "", GOOD));
    upstream(&format!("{base}/egress/"), PATIENT)
        .token(&account(), false)
        .await
        .unwrap();
    assert!(
        asked
            .join()
            .unwrap()
            .starts_with("POST /egress/cgi-bin/stable_token ")
    );
}
