//! Answers to valid requests: the documented JSON, and a signature that WeChat's client accepts.

use std::collections::HashSet;

use serde_json::json;

use crate::app::*;

#[tokio::test]
async fn the_answer_is_the_documented_json_to_the_byte() {
    let app = spawn_app().await;
    let answer = app.config("https://example.com/page?a=1&b=2#x").await;
    let config = answer.ok();
    let (nonce, signature) = (text(&config, "nonceStr"), text(&config, "signature"));
    let documented = format!(
        r#"{{"debug":false,"appId":"{APP}","timestamp":1700000000,"nonceStr":"{nonce}","signature":"{signature}","jsApiList":["chooseImage","scanQRCode"],"openTagList":[],"url":"https://example.com/page?a=1&b=2"}}"#
    );
    assert_eq!(answer.text, documented);
    assert_eq!(
        signature,
        app.expected_signature(&config, "https://example.com/page?a=1&b=2")
    );
    assert!(
        app.verdict(&config, "https://example.com/page?a=1&b=2#x")
            .is_ok()
    );
}

#[tokio::test]
async fn the_answer_is_json_that_no_cache_keeps() {
    let app = spawn_app().await;
    let answer = app.config("https://example.com/").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("vary"), Some("Origin"));
}

#[tokio::test]
async fn the_timestamp_is_the_clocks_second() {
    let app = spawn_app().await;
    app.sandbox.advance(seconds(61));
    assert_eq!(
        app.config("https://example.com/").await.ok()["timestamp"],
        json!(1_700_000_061)
    );
}

#[tokio::test]
async fn every_answer_has_its_own_nonce() {
    let app = spawn_app().await;
    let mut nonces = HashSet::new();
    for _ in 0..50 {
        let config = app.config("https://example.com/").await.ok();
        let nonce = text(&config, "nonceStr").to_owned();
        assert!(
            (16..=32).contains(&nonce.len()) && nonce.bytes().all(|b| b.is_ascii_alphanumeric()),
            "{nonce}"
        );
        nonces.insert(nonce);
    }
    assert_eq!(nonces.len(), 50);
}

/// Asserts that the page is signed exactly as the browser has it, without decoding, encoding or normalisation.
async fn signs_as_it_stands(app: &TestApp, page: &str) {
    let config = app.config(page).await.ok();
    let signed = page.split('#').next().unwrap();
    assert_eq!(text(&config, "url"), signed);
    assert_eq!(
        text(&config, "signature"),
        app.expected_signature(&config, signed),
        "{page}"
    );
    let verdict = app.verdict(&config, page);
    assert!(verdict.is_ok(), "{page}: {verdict:?}");
}

#[tokio::test]
async fn the_part_after_the_first_hash_is_not_signed() {
    let app = spawn_app().await;
    for page in [
        "https://example.com/#",
        "https://example.com/p#/route?x=1",
        "https://example.com/p?a=1#b#c",
        "https://example.com#!/",
    ] {
        signs_as_it_stands(&app, page).await;
    }
    signs_as_it_stands(&app, "https://example.com/p?to=%23anchor").await;
}

#[tokio::test]
async fn percent_encoded_chinese_stays_unchanged() {
    let app = spawn_app().await;
    signs_as_it_stands(
        &app,
        "https://example.com/%E4%B8%AD%E6%96%87?name=%E5%BC%A0%E4%B8%89",
    )
    .await;
    signs_as_it_stands(&app, "https://example.com/?name=%e5%bc%a0").await;
    signs_as_it_stands(&app, "https://example.com/?gbk=%D5%C5").await;
}

#[tokio::test]
async fn escapes_plus_signs_and_empty_pairs_stay_unchanged() {
    let app = spawn_app().await;
    for page in [
        "https://example.com/a%2Fb%2fc",
        "https://example.com/?q=1+1",
        "https://example.com/?q=1%2B1%20%26",
        "https://example.com/?a=1&",
        "https://example.com/?a=1&&b=",
        "https://example.com/?",
        "https://example.com/?to=https%3A%2F%2Fother.example.com%2F%3Fa%3D1",
        "https://example.com/?to=https://other.example.com/?a=1",
        "https://example.com/a/../b/./c//d",
        "https://example.com/?from=singlemessage&isappinstalled=0",
        "https://example.com/?json={%22a%22:[1,2]}|^`",
        "https://example.com/?a=100%",
        "https://example.com/?a=%zz",
    ] {
        signs_as_it_stands(&app, page).await;
    }
}

#[tokio::test]
async fn a_page_whose_address_contains_null_or_undefined_is_signed() {
    let app = spawn_app().await;
    signs_as_it_stands(&app, "https://example.com/null?a=null&b=undefined").await;
}

#[tokio::test]
async fn an_address_without_a_path_is_signed_without_one() {
    let app = spawn_app().await;
    signs_as_it_stands(&app, "https://example.com").await;
    signs_as_it_stands(&app, "https://example.com?a=1").await;
}

#[tokio::test]
async fn a_port_is_signed_and_ignored_by_the_domain_check() {
    let app = spawn_app().await;
    signs_as_it_stands(&app, "http://example.com:8080/p").await;
    signs_as_it_stands(&app, "https://example.com:443/p").await;
}

#[tokio::test]
async fn a_mixed_case_host_is_recognised_and_signed_unchanged() {
    let app = spawn_app().await;
    signs_as_it_stands(&app, "https://Shop.EXAMPLE.com/P").await;
    signs_as_it_stands(&app, "HTTPS://example.com/").await;
}

#[tokio::test]
async fn a_subdomain_of_a_safe_domain_is_signed() {
    let app = spawn_app().await;
    signs_as_it_stands(&app, "https://a.b.example.com/").await;
}

#[tokio::test]
async fn an_ipv6_page_is_signed_where_its_address_is_bound() {
    let app = spawn_bound("[::1]").await;
    signs_as_it_stands(&app, "http://[::1]:8080/p?a=1#x").await;
    app.config("http://[::2]:8080/p")
        .await
        .assert_problem(403, "page_not_allowed");
}

#[tokio::test]
async fn a_domain_bound_in_chinese_covers_its_punycode() {
    let app = spawn_bound("例子.cn").await;
    signs_as_it_stands(&app, "https://xn--fsqu00a.cn/p").await;
    signs_as_it_stands(&app, "https://m.XN--FSQU00A.cn/p").await;
    app.config("https://xn--fsqu00b.cn/")
        .await
        .assert_problem(403, "page_not_allowed");
}

#[tokio::test]
async fn a_domain_bound_with_a_path_covers_that_path_alone() {
    let app = spawn_bound("example.com/shop").await;
    signs_as_it_stands(&app, "https://example.com/shop/1?a=1").await;
    let problem = app
        .config("https://example.com/shopping")
        .await
        .assert_problem(403, "page_not_allowed");
    assert_eq!(
        problem["detail"],
        r#"account "main" does not sign pages on "example.com/shopping""#
    );
    let hint = problem["hint"]["en"].as_str().unwrap();
    assert!(hint.contains("bound with another path"), "{hint}");
    let long = format!("https://example.com/{}", "a".repeat(5_000));
    let problem = app
        .config(&long)
        .await
        .assert_problem(403, "page_not_allowed");
    assert!(problem["detail"].as_str().unwrap().len() < 400, "{problem}");
    let problem = app
        .config("https://other.com/shop")
        .await
        .assert_problem(403, "page_not_allowed");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .ends_with(r#""other.com""#)
    );
    app.config("https://example.com/shop/../admin")
        .await
        .assert_problem(403, "page_not_allowed");
}

async fn spawn_bound(domain: &str) -> TestApp {
    let config = MAIN.replace("example.com", domain);
    spawn(&config, |sandbox| {
        sandbox.add_app(wx_jssdk::sandbox::App::official(APP, SECRET).safe_domain(domain))
    })
    .await
}

#[tokio::test]
async fn a_long_address_is_signed_up_to_16_kib() {
    let app = spawn_app().await;
    let page = format!("https://example.com/?a={}", "x".repeat(16 * 1_024 - 23));
    assert_eq!(page.len(), 16 * 1_024);
    signs_as_it_stands(&app, &page).await;
}

#[tokio::test]
async fn an_unencoded_address_that_lost_nothing_is_signed() {
    let app = spawn_app().await;
    let config = app.query("url=https://example.com/p?a=1").await.ok();
    assert_eq!(text(&config, "url"), "https://example.com/p?a=1");
}

#[tokio::test]
async fn lists_in_the_request_replace_those_of_the_account() {
    let app = spawn_app().await;
    let url = encode("https://example.com/");
    let config = app
        .query(&format!(
            "url={url}&jsApiList=getLocation,scanQRCode&openTagList=wx-open-launch-app"
        ))
        .await
        .ok();
    assert_eq!(config["jsApiList"], json!(["getLocation", "scanQRCode"]));
    assert_eq!(config["openTagList"], json!(["wx-open-launch-app"]));
    let config = app.query(&format!("url={url}&jsApiList=")).await.ok();
    assert_eq!(config["jsApiList"], json!([]));
}

#[tokio::test]
async fn unknown_interfaces_are_allowed() {
    let app = spawn_app().await;
    let config = app
        .query(&format!(
            "url={}&jsApiList=brandNewApi2031,hideMenuItems",
            encode("https://example.com/")
        ))
        .await
        .ok();
    assert_eq!(
        config["jsApiList"],
        json!(["brandNewApi2031", "hideMenuItems"])
    );
}

#[tokio::test]
async fn debug_is_off_by_default() {
    let app = spawn_app().await;
    let url = encode("https://example.com/");
    for (query, debug) in [
        ("", false),
        ("&debug=true", true),
        ("&debug=1", true),
        ("&debug=false", false),
        ("&debug=0", false),
        ("&debug=", false),
    ] {
        assert_eq!(
            app.query(&format!("url={url}{query}")).await.ok()["debug"],
            json!(debug),
            "{query}"
        );
    }
}

#[tokio::test]
async fn unknown_parameters_are_ignored() {
    let app = spawn_app().await;
    let config = app
        .query(&format!(
            "_=1700000000&url={}&utm_source=x",
            encode("https://example.com/?a=1")
        ))
        .await
        .ok();
    assert_eq!(text(&config, "url"), "https://example.com/?a=1");
}

/// Two accounts that sign, one that does not.
const THREE: &str = r#"
[accounts.shop]
app_id = "wxaaaaaaaaaaaaaaaa"
secret = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
js_safe_domains = ["shop.example.com"]
[accounts.news]
app_id = "wxbbbbbbbbbbbbbbbb"
secret = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
token_mode = "classic"
js_safe_domains = ["news.example.com"]
js_api_list = ["getLocation"]
open_tag_list = ["wx-open-audio"]
[accounts.applet]
platform = "mini"
app_id = "wxcccccccccccccccc"
secret = "cccccccccccccccccccccccccccccccc"
"#;

async fn spawn_three(server: &str) -> TestApp {
    use wx_jssdk::sandbox::App;
    spawn(&format!("{server}\n{THREE}"), |sandbox| {
        sandbox.add_app(
            App::official("wxaaaaaaaaaaaaaaaa", "a".repeat(32)).safe_domain("shop.example.com"),
        );
        sandbox.add_app(
            App::official("wxbbbbbbbbbbbbbbbb", "b".repeat(32)).safe_domain("news.example.com"),
        );
        sandbox.add_app(App::mini("wxcccccccccccccccc", "c".repeat(32)));
    })
    .await
}

#[tokio::test]
async fn the_named_account_signs_with_its_own_ticket_and_lists() {
    let app = spawn_three("").await;
    for (account, id, page) in [
        ("shop", "wxaaaaaaaaaaaaaaaa", "https://shop.example.com/"),
        ("news", "wxbbbbbbbbbbbbbbbb", "https://news.example.com/1"),
    ] {
        let config = app
            .query(&format!("account={account}&url={}", encode(page)))
            .await
            .ok();
        assert_eq!(text(&config, "appId"), id);
        assert!(app.verdict(&config, page).is_ok());
    }
    let news = app
        .query(&format!(
            "account=news&url={}",
            encode("https://news.example.com/")
        ))
        .await
        .ok();
    assert_eq!(
        (&news["jsApiList"], &news["openTagList"]),
        (&json!(["getLocation"]), &json!(["wx-open-audio"]))
    );
}

#[tokio::test]
async fn an_account_does_not_sign_another_ones_pages() {
    let app = spawn_three("").await;
    let answer = app
        .query(&format!(
            "account=shop&url={}",
            encode("https://news.example.com/")
        ))
        .await;
    answer.assert_problem(403, "page_not_allowed");
}

#[tokio::test]
async fn with_several_accounts_a_request_names_one_or_gets_the_default() {
    let page = encode("https://shop.example.com/");
    let app = spawn_three("").await;
    let problem = app
        .query(&format!("url={page}"))
        .await
        .assert_problem(400, "account_required");
    assert!(
        text(&problem["hint"], "en").contains("account="),
        "{problem}"
    );
    let app = spawn_three("[server]\ndefault_account = \"shop\"").await;
    assert_eq!(
        text(&app.query(&format!("url={page}")).await.ok(), "appId"),
        "wxaaaaaaaaaaaaaaaa"
    );
    assert_eq!(
        text(
            &app.query(&format!("account=&url={page}")).await.ok(),
            "appId"
        ),
        "wxaaaaaaaaaaaaaaaa"
    );
}

#[tokio::test]
async fn a_mini_program_signs_no_pages() {
    let app = spawn_three("").await;
    let answer = app
        .query(&format!(
            "account=applet&url={}",
            encode("https://shop.example.com/")
        ))
        .await;
    let problem = answer.assert_problem(404, "unsupported_credential");
    assert!(text(&problem["hint"], "zh").contains("小程序"));
}

#[tokio::test]
async fn an_address_that_no_browser_has_is_signed_with_a_warning() {
    let app = spawn_app().await;
    for (url, code) in [
        ("HTTPS://example.com/p", "address_not_canonical"),
        ("https://Example.com/p", "address_not_canonical"),
        ("https://example.com:443/p", "address_not_canonical"),
        ("http://example.com:80/p", "address_not_canonical"),
        ("https://example.com:0443/p", "address_not_canonical"),
        ("https://example.com", "address_not_canonical"),
        ("https://example.com?a=1", "address_not_canonical"),
        ("https://example.com/a/../b", "address_not_canonical"),
        ("https://example.com/./b", "address_not_canonical"),
        ("https://example.com/a/%2e%2e/b", "address_not_canonical"),
        ("https://%65xample.com/", "address_not_canonical"),
        ("https://example%2ecom/", "address_not_canonical"),
        ("https://example.com/?q=\"x\"", "address_not_canonical"),
        ("https://example.com/?q='x'", "address_not_canonical"),
        ("https://example.com/a\\b", "address_not_canonical"),
        ("https://example.com/p?a=1&amp;b=2", "address_html_escaped"),
    ] {
        let config = app.config(url).await.ok();
        assert_eq!(config["warning"]["code"], code, "{url}");
        for language in ["en", "zh"] {
            assert!(!text(&config["warning"], language).is_empty(), "{url}");
        }
        assert_eq!(config["url"], url, "the text stays as it was sent");
        assert_eq!(
            text(&config, "signature"),
            app.expected_signature(&config, url)
        );
    }
}

#[tokio::test]
async fn an_address_as_browsers_write_it_has_no_warning() {
    let app = spawn_app().await;
    for url in [
        "https://example.com/",
        "https://example.com:8443/p/%E4%B8%AD;v=1?a[]=1&b={x}|y^z`&c=%2e%2e/..;#/route",
        "http://m.example.com/a//b/?&&=&a=&a",
        "https://example.com/p?redirect=https://example.com/?a=1",
    ] {
        let config = app.config(url).await.ok();
        assert_eq!(config.get("warning"), None, "{url}");
    }
}

#[tokio::test]
async fn a_misspelt_parameter_gets_the_accounts_list_and_a_warning() {
    let app = spawn_app().await;
    let answer = app
        .query("url=https%3A%2F%2Fexample.com%2F&jsapilist=hideOptionMenu")
        .await;
    let config = answer.ok();
    assert_eq!(config["jsApiList"], json!(["chooseImage", "scanQRCode"]));
    assert_eq!(config["warning"]["code"], "parameter_ignored");
}

#[tokio::test]
async fn lists_are_accepted_in_every_form_that_client_libraries_send() {
    let app = spawn_app().await;
    for query in [
        "jsApiList=a,b",
        "jsApiList=a&jsApiList=b",
        "jsApiList[]=a&jsApiList[]=b",
        "jsApiList%5B%5D=a&jsApiList%5B%5D=b",
        "jsApiList[0]=a&jsApiList[1]=b",
        "jsApiList=%5B%22a%22%2C%22b%22%5D",
        "jsApiList=[%22a%22,%20%22b%22]",
    ] {
        let config = app
            .query(&format!("url=https%3A%2F%2Fexample.com%2F&{query}"))
            .await
            .ok();
        assert_eq!(config["jsApiList"], json!(["a", "b"]), "{query}");
    }
}
