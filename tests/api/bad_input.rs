//! Invalid requests of pages: the answer names the mistake and the fix in English and Chinese, and no upstream call is made.

use crate::app::*;
use crate::common::http;

/// Requests a signature for `page`, correctly encoded, and expects this refusal.
async fn refuses_page(page: &str, status: u16, code: &str) {
    refuses_query(&format!("url={}", encode(page)), status, code).await;
}

async fn refuses_query(query: &str, status: u16, code: &str) {
    let app = spawn_app().await;
    app.query(query).await.assert_problem(status, code);
    // The service still works.
    app.config("https://example.com/").await.ok();
}

#[tokio::test]
async fn a_missing_url() {
    let app = spawn_app().await;
    for target in [
        "/jssdk/config",
        "/jssdk/config?",
        "/jssdk/config?account=main",
        "/jssdk/config?URL=https%3A%2F%2Fexample.com",
    ] {
        app.get(target).await.assert_problem(400, "missing_url");
    }
}

#[tokio::test]
async fn an_empty_url() {
    refuses_query("url=", 400, "missing_url").await;
    refuses_query("url", 400, "missing_url").await;
    refuses_page("#/route", 400, "missing_url").await;
}

#[tokio::test]
async fn a_query_of_thousands_of_parameters() {
    for many in ["&a".repeat(30_000), "&URL".repeat(15_000)] {
        refuses_query(
            &format!("url=https%3A%2F%2Fexample.com{many}"),
            400,
            "bad_query",
        )
        .await;
    }
}

#[tokio::test]
async fn a_url_of_another_scheme() {
    for page in [
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/html,x",
        "weixin://dl/chat",
        "https:/x",
    ] {
        refuses_page(page, 400, "bad_url").await;
    }
}

#[tokio::test]
async fn a_relative_url() {
    for page in [
        "/page?a=1",
        "page.html",
        "//example.com/p",
        "?a=1",
        "example.com/p",
    ] {
        refuses_page(page, 400, "bad_url").await;
    }
}

#[tokio::test]
async fn a_missing_value_as_javascript_prints_it() {
    for page in [
        "null",
        "undefined",
        "[object Object]",
        "[object Location]",
        "NaN",
    ] {
        refuses_page(page, 400, "bad_url").await;
    }
}

#[tokio::test]
async fn a_url_with_a_user_name() {
    for page in [
        "https://user@example.com/",
        "https://user:pass@example.com/",
        "https://example.com@evil.com/",
        "https://@example.com/",
    ] {
        refuses_page(page, 400, "bad_url").await;
    }
}

#[tokio::test]
async fn a_url_with_a_backslash_before_its_host() {
    for page in [
        "https://evil.com\\@example.com/",
        "https:\\\\example.com/",
        "https://evil.com\\.example.com/",
    ] {
        refuses_page(page, 400, "bad_url").await;
    }
}

#[tokio::test]
async fn a_url_with_control_characters() {
    for page in [
        "https://example.com/\n",
        "https://example.com/\0",
        "https://exa\tmple.com/",
        "https://example.com/\r\nX: y",
        "https://example.com/\x7f",
    ] {
        refuses_page(page, 400, "bad_url").await;
    }
}

#[tokio::test]
async fn a_url_with_a_space() {
    for page in [
        " https://example.com/",
        "https://example.com/ ",
        "https://example.com/?q=a b",
        "\u{feff}https://example.com/",
    ] {
        refuses_page(page, 400, "bad_url").await;
    }
}

#[tokio::test]
async fn a_url_with_unencoded_chinese() {
    refuses_page("https://example.com/中文", 400, "bad_url").await;
    refuses_page("https://例子.cn/", 400, "bad_url").await;
}

#[tokio::test]
async fn a_url_without_a_host() {
    for page in [
        "https://",
        "https:///p",
        "https://?a=1",
        "https://[::1/",
        "https://exa%20mple.com/",
        "https://example.com:99999/",
    ] {
        refuses_page(page, 400, "bad_url").await;
    }
}

#[tokio::test]
async fn a_url_longer_than_16_kib() {
    refuses_page(
        &format!("https://example.com/?a={}", "x".repeat(16 * 1_024 - 22)),
        400,
        "bad_url",
    )
    .await;
    let app = spawn_app().await;
    let problem = app
        .config(&format!("https://example.com/?a={}", "x".repeat(60_000)))
        .await
        .assert_problem(400, "bad_url");
    assert!(text(&problem, "detail").len() < 200, "it is not quoted");
}

#[tokio::test]
async fn an_unencoded_url() {
    refuses_query("url=https://example.com/p?a=1&b=2", 400, "url_not_encoded").await;
    refuses_query(
        "account=main&url=https://example.com/p?a=1&from=singlemessage&isappinstalled=0",
        400,
        "url_not_encoded",
    )
    .await;
    refuses_query("url=https://example.com/p?q=1+1", 400, "url_not_encoded").await;
}

#[tokio::test]
async fn an_unencoded_url_gets_the_fix_in_its_hint() {
    let app = spawn_app().await;
    let problem = app
        .query("url=https://example.com/p?a=1&b=2")
        .await
        .assert_problem(400, "url_not_encoded");
    for language in ["en", "zh"] {
        assert!(
            text(&problem["hint"], language).contains("encodeURIComponent(location.href)"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn a_double_encoded_url() {
    refuses_query(
        "url=https%253A%252F%252Fexample.com%252F",
        400,
        "url_double_encoded",
    )
    .await;
    refuses_query(
        "url=HTTP%253a%252f%252fexample.com",
        400,
        "url_double_encoded",
    )
    .await;
    refuses_page(&encode(&encode("https://example.com/")), 400, "bad_url").await;
}

#[tokio::test]
async fn a_host_outside_the_safe_domains() {
    for page in [
        "https://evil.com/",
        "https://example.com.evil.com/",
        "https://evilexample.com/",
        "https://example.org/",
        "https://com/",
        "https://example.com%2eevil.com/",
        "https://evil.com/?example.com",
        "https://evil.com/#example.com",
        "https://93.184.216.34/",
        "http://[::1]/",
        "http://localhost/",
        "https://xn--exampl-2of.com/",
    ] {
        refuses_page(page, 403, "page_not_allowed").await;
    }
}

#[tokio::test]
async fn a_url_whose_signature_would_hold_for_a_foreign_page() {
    let own = "https://example.com/p?x";
    let app = spawn_app().await;
    for foreign in [
        "&timestamp=1&url=http://127.0.0.1/attacker",
        "&timestamp=&url=https://evil.com",
        "&timestamp=1&a=2&url=https://example.com/&url=https://evil.com/",
        "&timestamp=1&url=https://example.com/&timestamp=2&url=HTTPS://evil.com/",
        "&timestamp=1&url=http://example.com@evil.com/",
        &format!("&timestamp=1{}", "&url=https://example.com/".repeat(5)),
    ] {
        let answer = app.config(&format!("{own}{foreign}")).await;
        let problem = answer.assert_problem(400, "bad_url");
        let hint = problem["hint"]["en"].as_str().unwrap();
        assert!(hint.contains("encodeURIComponent(target)"), "{problem}");
    }
    for ordinary in [
        "&timestamp=1",
        "&timestamp=1&url=https://www.example.com/b",
        "&timestamp=1&url=https%3A%2F%2Fevil.com%2F",
        "&timestamp=1&url=/relative",
        "&url=https://evil.com/&timestamp=1",
        "&timestamp=1#&url=https://evil.com/",
    ] {
        app.config(&format!("{own}{ordinary}")).await.ok();
    }
}

#[tokio::test]
async fn a_host_with_a_trailing_dot() {
    refuses_page("https://example.com./", 403, "page_not_allowed").await;
    refuses_page("https://evil.com.example.com./", 403, "page_not_allowed").await;
}

#[tokio::test]
async fn a_refused_host_is_named() {
    let app = spawn_app().await;
    let problem = app
        .config("https://example.com.evil.com/secret-path?token=1")
        .await
        .assert_problem(403, "page_not_allowed");
    assert!(
        text(&problem, "detail").contains("\"example.com.evil.com\""),
        "{problem}"
    );
    assert!(
        text(&problem["hint"], "zh").contains("JS接口安全域名"),
        "{problem}"
    );
    assert!(
        !problem.to_string().contains("secret-path"),
        "the page's own parameters are not disclosed"
    );
}

#[tokio::test]
async fn an_unknown_account() {
    let url = encode("https://example.com/");
    for account in [
        "nobody",
        "Main",
        "main%20",
        "main%00",
        "..%2Fmain",
        "wx0123456789abcdef",
        "%E4%B8%AD",
    ] {
        refuses_query(
            &format!("url={url}&account={account}"),
            404,
            "unknown_account",
        )
        .await;
    }
}

#[tokio::test]
async fn a_very_long_account_name_is_not_quoted() {
    let app = spawn_app().await;
    let query = format!(
        "url={}&account={}",
        encode("https://example.com/"),
        "x".repeat(30_000)
    );
    let answer = app.query(&query).await;
    answer.assert_problem(404, "unknown_account");
    assert!(answer.text.len() < 2_000, "{} bytes", answer.text.len());
}

#[tokio::test]
async fn a_very_long_host_name_is_not_quoted() {
    let app = spawn_app().await;
    let answer = app
        .config(&format!("https://{}/", "x".repeat(16_000)))
        .await;
    assert!(answer.text.len() < 2_000, "{} bytes", answer.text.len());
    assert!((400..404).contains(&answer.status));
}

#[tokio::test]
async fn a_parameter_given_twice() {
    let url = encode("https://example.com/");
    for query in [
        format!("url={url}&url={url}"),
        format!("url={url}&url={}", encode("https://evil.com/")),
        format!("url={url}&account=main&account=other"),
        format!("url={url}&debug=true&debug=false"),
        "url=http://example.com/?debug=1&debug=0&debug=1".to_owned(),
    ] {
        refuses_query(&query, 400, "duplicate_parameter").await;
    }
}

#[tokio::test]
async fn a_list_of_100_000_names() {
    let app = spawn_app().await;
    let url = encode("https://example.com/");
    for names in [
        vec!["a"; 100_000].join(","),
        (0..100_000)
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
            .join(","),
    ] {
        for list in ["jsApiList", "openTagList"] {
            let answer = app.query(&format!("url={url}&{list}={names}")).await;
            assert!((400..500).contains(&answer.status), "{}", answer.status);
        }
    }
    app.config("https://example.com/").await.ok();
}

#[tokio::test]
async fn a_list_of_more_names_than_wechat_has() {
    let names = (0..201)
        .map(|n| format!("api{n}"))
        .collect::<Vec<_>>()
        .join(",");
    refuses_query(
        &format!("url={}&jsApiList={names}", encode("https://example.com/")),
        400,
        "bad_list",
    )
    .await;
}

#[tokio::test]
async fn a_list_with_invalid_names() {
    let url = encode("https://example.com/");
    for list in [
        "jsApiList=%3Cscript%3E",
        "jsApiList=a%00b",
        "jsApiList=a%20b",
        "jsApiList=%E4%B8%AD",
        "jsApiList=[%22chooseImage%22",
        "jsApiList=[%22chooseImage%22,1]",
        &format!("jsApiList=a,{}", "b".repeat(65)),
        "openTagList=%FF",
    ] {
        refuses_query(&format!("url={url}&{list}"), 400, "bad_list").await;
    }
}

#[tokio::test]
async fn an_invalid_debug_flag() {
    refuses_query(
        &format!("url={}&debug=maybe", encode("https://example.com/")),
        400,
        "bad_flag",
    )
    .await;
}

#[tokio::test]
async fn encoded_bytes_that_are_not_utf_8() {
    let url = encode("https://example.com/");
    refuses_query("url=%FF%FE", 400, "bad_url").await;
    refuses_query(&format!("url={url}%FF"), 400, "bad_url").await;
    refuses_query(&format!("url={url}&account=%FF"), 404, "unknown_account").await;
    refuses_query(&format!("url={url}&jsApiList=%C0%80"), 400, "bad_list").await;
}

#[tokio::test]
async fn truncated_escapes() {
    refuses_query("url=%", 400, "bad_url").await;
    refuses_query("url=%h%t%t%p", 400, "bad_url").await;
}

#[tokio::test]
async fn raw_bytes_that_are_not_utf_8() {
    let app = spawn_app().await;
    for raw in [
        &b"\xff"[..],
        b"https://example.com/\xd6\xd0",
        b"\x80\x00",
        "https://example.com/中文".as_bytes(),
    ] {
        let request = http::get("/jssdk/config?url=RAW").close().text();
        let answer = app.send(&http::with_bytes(&request, "RAW", raw)).await;
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    app.config("https://example.com/").await.ok();
}

#[tokio::test]
async fn bad_requests_cost_no_call_to_wechat() {
    let app = spawn_app().await;
    app.config("https://example.com/").await.ok();
    let before = app.sandbox.calls_total();
    for page in ["", "null", "https://evil.com/", "https://example.com/\n"] {
        assert!(app.config(page).await.status >= 400);
    }
    assert_eq!(app.sandbox.calls_total(), before);
}
