//! Responses that are not valid WeChat answers are reported as unusable and never accepted.

use wx_jssdk::account::Account;
use wx_jssdk::sandbox::FaultKind;

use crate::upstream::support::*;

#[tokio::test]
async fn a_gateways_html_is_unusable() {
    assert_unusable(
        token_meets(FaultKind::Status(502), PATIENT).await,
        "HTTP 502",
    );
    assert_unusable(
        token_meets(FaultKind::NotJson, PATIENT).await,
        "not a JSON object",
    );
}

#[tokio::test]
async fn a_huge_body_is_not_read_to_its_end() {
    assert_unusable(
        token_meets(FaultKind::HugeBody, PATIENT).await,
        "more than 65536 bytes",
    );
}

#[tokio::test]
async fn an_empty_body_and_json_of_another_shape_are_unusable() {
    for body in [
        "",
        " ",
        "null",
        "[]",
        "[{\"access_token\":\"a\",\"expires_in\":7200}]",
        "\"ok\"",
        "7200",
        "{",
        "{}{}",
    ] {
        assert_unusable(token_answered(body).await, "not a JSON object");
    }
    assert_unusable(
        token_answered(&"[".repeat(60_000)).await,
        "not a JSON object",
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let sandbox = sandbox().await;
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
    ] {
        let location = format!("Location: {}{STABLE}\r\n", sandbox.url());
        let (base, asked) = server(answer(status, &location, ""));
        assert_unusable(
            upstream(&base, PATIENT).token(&account(), false).await,
            &status[..3],
        );
        asked.join().unwrap();
    }
    assert_eq!(sandbox.calls_total(), 0);
}

#[tokio::test]
async fn an_invalid_token_is_unusable() {
    for (token, why) in [
        (r#""""#, "access_token is empty"),
        (r#""a b""#, "blanks"),
        (r#"" a""#, "blanks"),
        (r#""a\n""#, "blanks"),
        (r#""\u4e2d""#, "blanks"),
        ("null", "access_token is missing"),
        ("7200", "access_token is missing"),
        ("[\"a\"]", "access_token is missing"),
    ] {
        assert_unusable(
            token_answered(&format!(r#"{{"access_token":{token},"expires_in":7200}}"#)).await,
            why,
        );
    }
    assert_unusable(
        token_answered(r#"{"ticket":"t","expires_in":7200}"#).await,
        "access_token is missing",
    );
    let long = format!(
        r#"{{"access_token":"{}","expires_in":7200}}"#,
        "a".repeat(10_240)
    );
    assert_unusable(token_answered(&long).await, "10240 bytes");
}

#[tokio::test]
async fn an_invalid_lifetime_is_unusable() {
    for life in [
        "0",
        "-1",
        "-7200",
        r#""7200""#,
        "7200.5",
        "1e99",
        "86401",
        "18446744073709551616",
        "null",
        "true",
        "[]",
        "{}",
    ] {
        assert_unusable(
            token_answered(&format!(
                r#"{{"access_token":"85_abc","expires_in":{life}}}"#
            ))
            .await,
            "expires_in",
        );
    }
    assert_unusable(
        token_answered(r#"{"access_token":"85_abc"}"#).await,
        "expires_in",
    );
}

#[tokio::test]
async fn an_errcode_that_is_not_a_number_is_unusable() {
    for errcode in [
        r#""0""#,
        r#""40001""#,
        "1.5",
        "true",
        "{}",
        "99999999999999999999",
    ] {
        let body = format!(r#"{{"errcode":{errcode},"access_token":"85_abc","expires_in":7200}}"#);
        assert_unusable(token_answered(&body).await, "errcode");
    }
}

#[tokio::test]
async fn a_duplicate_key_is_unusable_whichever_value_is_valid() {
    for (body, key) in [
        (
            r#"{"errcode":40001,"errmsg":"no","errcode":0,"access_token":"85_abc","expires_in":7200}"#,
            "errcode",
        ),
        (
            r#"{"errcode":0,"access_token":"85_abc","expires_in":7200,"errcode":40001}"#,
            "errcode",
        ),
        (
            r#"{"errcode":0,"access_token":"85_abc","expires_in":7200,"err\u0063ode":0}"#,
            "errcode",
        ),
        (
            r#"{"access_token":"85_abc","expires_in":7200,"access_token":"85_def"}"#,
            "access_token",
        ),
        (
            r#"{"access_token":"85_abc","expires_in":7200,"expires_in":7100}"#,
            "expires_in",
        ),
        (r#"{"errcode":40013,"errmsg":"a","errmsg":"b"}"#, "errmsg"),
    ] {
        assert_unusable(token_answered(body).await, &format!("{key} twice"));
    }
    let body = r#"{"access_token":"85_abc","expires_in":7200,"more":{"x":1,"x":2}}"#;
    assert_eq!(
        token_answered(body).await.unwrap(),
        issued("85_abc", 7_200),
        "unused fields are ignored"
    );
}

#[tokio::test]
async fn a_non_json_answer_is_shown_by_its_first_words_without_secrets() {
    let portal = format!(
        "\r\n<html><head><title>Wi-Fi login\u{202e}</title></head>\r\n<a href=\"http://portal/?u=secret%3D{SECRET}\">{}",
        "x".repeat(500)
    );
    let error = token_answered(&portal).await.unwrap_err().to_string();
    assert!(
        error.contains("<html><head><title>Wi-Fi login</title></head>"),
        "{error}"
    );
    assert!(
        !error.contains(&SECRET[..8]) && !error.contains(['\r', '\n', '\u{202e}']),
        "{error}"
    );
    assert!(error.chars().count() < 300, "{error}");
    // Truncated JSON may contain the value.
    for cut in [
        r#"{"access_token":"85_abcdef","expires_in":72"#,
        r#"cb({"access_token":"85_abcdefghijklmnopqrstuvwxyz0123456789ABCDEF","expires_in":7200})"#,
        "\u{feff}{\"access_token\":\"85_abcdef\",",
        r#""85_abcdef"#,
    ] {
        let error = token_answered(cut).await.unwrap_err().to_string();
        assert!(!error.contains("85_abcdef"), "{error}");
    }
}

#[tokio::test]
async fn an_html_page_with_404_suggests_a_wrong_base_url() {
    let (base, asked) = server(answer("404 Not Found", "", "<html>nginx</html>"));
    let base = format!("{base}/wechat");
    let error = upstream(&base, PATIENT).token(&account(), false).await;
    asked.join().unwrap();
    let fix = error.unwrap_err().fix();
    for text in [fix.en, fix.zh] {
        assert!(
            text.contains("upstream.weixin") && text.contains(STABLE),
            "{text}"
        );
    }
    let work = Account::work("ww0123456789abcdef", 1, "s");
    let (base, asked) = server(answer("404 Not Found", "", "<html>nginx</html>"));
    let error = upstream(&base, PATIENT).token(&work, false).await;
    asked.join().unwrap();
    assert!(error.unwrap_err().fix().en.contains("upstream.qyapi"));
}
