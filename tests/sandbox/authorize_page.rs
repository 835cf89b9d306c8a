//! The authorisation page: access, and the allowed return addresses.

use reqwest::StatusCode;
use serde_json::json;
use url::Url;
use wx_jssdk::sandbox::{App, Sandbox};

use crate::platform_support::*;
use crate::support::*;

const PHONE: &str = "/wxaopen/safe/bindcomponent";
const RETURN_TO: &str = "https://service.example/done?state=s%2F1";

async fn pre_auth_code(sandbox: &Sandbox, token: &str) -> String {
    let body = json!({ "component_appid": PLATFORM });
    let answer = component(sandbox, "api_create_preauthcode", Some(token), body).await;
    text(&answer, "pre_auth_code").to_owned()
}

fn parameters(code: &str, more: &[(&str, &str)]) -> String {
    let fixed = [
        ("component_appid", PLATFORM),
        ("pre_auth_code", code),
        ("redirect_uri", RETURN_TO),
    ];
    let all: Vec<_> = fixed.iter().chain(more).copied().collect();
    serde_urlencoded::to_string(all).unwrap()
}

/// The page for these parameters, opened from a page at `referer`.
async fn page(sandbox: &Sandbox, path: &str, query: &str, referer: Option<&str>) -> String {
    let mut request = client().get(format!("{}{path}?{query}", sandbox.url()));
    if let Some(referer) = referer {
        request = request.header("Referer", referer);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

/// Presses the button of an account. Returns the status, the redirect target, and the page if there is none.
async fn press(sandbox: &Sandbox, form: String) -> (StatusCode, Option<Url>, String) {
    let client = reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let request = client.post(format!("{}{PHONE}", sandbox.url()));
    let answer = request
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .unwrap();
    let location = answer.headers().get("Location");
    let location = location.map(|url| Url::parse(url.to_str().unwrap()).unwrap());
    (answer.status(), location, answer.text().await.unwrap())
}

fn buttons(page: &str) -> usize {
    page.matches("<button").count()
}

#[tokio::test]
async fn each_address_of_the_page_lists_the_accounts_that_may_be_chosen() {
    let sandbox = platform_sandbox().await;
    sandbox.add_app(App::work(CORP, AGENT, WORK_SECRET));
    let token = component_token(&sandbox).await;
    let code = pre_auth_code(&sandbox, &token).await;
    for path in [PHONE, "/safe/bindcomponent", "/cgi-bin/componentloginpage"] {
        let page = page(&sandbox, path, &parameters(&code, &[]), None).await;
        assert!(page.contains(APP) && page.contains(MINI), "{page}");
        assert_eq!(buttons(&page), 2);
    }
    for (more, count) in [
        (("auth_type", "1"), 1),
        (("auth_type", "2"), 1),
        (("auth_type", "3"), 2),
        (("biz_appid", MINI), 1),
        (("biz_appid", "wx1"), 0),
    ] {
        let page = page(&sandbox, PHONE, &parameters(&code, &[more]), None).await;
        assert_eq!(buttons(&page), count, "{more:?}");
    }
}

#[tokio::test]
async fn the_button_returns_with_a_code_that_is_pushed_as_well() {
    let (sandbox, mut receiver) = pushing().await;
    let token = component_token(&sandbox).await;
    receiver.next().await;
    let code = pre_auth_code(&sandbox, &token).await;
    let form = parameters(&code, &[("app_id", APP)]);
    let (status, location, _) = press(&sandbox, form.clone()).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let location = location.unwrap();
    let pairs: Vec<(String, String)> = location.query_pairs().into_owned().collect();
    assert!(location.as_str().starts_with(RETURN_TO), "{location}");
    assert_eq!(pairs[1].0, "auth_code");
    assert_eq!(pairs[2], ("expires_in".to_owned(), "600".to_owned()));
    let answer = redeem(&sandbox, &token, &pairs[1].1).await;
    assert_eq!(answer["authorization_info"]["authorizer_appid"], APP);
    receiver.next().await;
    // The pre_auth_code is used up.
    let (status, location, page) = press(&sandbox, form).await;
    assert_eq!((status, location), (StatusCode::OK, None));
    assert!(page.contains("预授权码"), "{page}");
}

#[tokio::test]
async fn an_unknown_or_expired_code_is_refused() {
    let sandbox = platform_sandbox().await;
    let token = component_token(&sandbox).await;
    let code = pre_auth_code(&sandbox, &token).await;
    let unknown = page(&sandbox, PHONE, &parameters("x", &[]), None).await;
    assert!(unknown.contains("预授权码") && buttons(&unknown) == 0);
    sandbox.advance(seconds(599));
    let last = page(&sandbox, PHONE, &parameters(&code, &[]), None).await;
    assert_eq!(buttons(&last), 2);
    sandbox.advance(seconds(1));
    let old = page(&sandbox, PHONE, &parameters(&code, &[]), None).await;
    assert!(old.contains("预授权码"), "{old}");
}

#[tokio::test]
async fn the_page_must_be_linked_from_the_platforms_host_if_it_has_one() {
    let sandbox = platform_sandbox_with(platform().page_host("service.example")).await;
    let token = component_token(&sandbox).await;
    let code = pre_auth_code(&sandbox, &token).await;
    let query = parameters(&code, &[]);
    for referer in [
        None,
        Some("https://other.example/"),
        Some("https://service.example.evil.test/"),
    ] {
        let page = page(&sandbox, PHONE, &query, referer).await;
        assert!(page.contains("请确认授权入口页所在域名"), "{referer:?}");
    }
    let referer = Some("https://service.example/start?x=1");
    assert_eq!(buttons(&page(&sandbox, PHONE, &query, referer).await), 2);
}

#[tokio::test]
async fn the_page_returns_to_allowed_hosts_only() {
    let sandbox = platform_sandbox_with(platform().redirect_host("other.example")).await;
    let token = component_token(&sandbox).await;
    let code = pre_auth_code(&sandbox, &token).await;
    let refused = page(&sandbox, PHONE, &parameters(&code, &[]), None).await;
    assert!(refused.contains("redirect_uri"), "{refused}");
    sandbox.add_platform(platform().redirect_host("service.example"));
    let shown = page(&sandbox, PHONE, &parameters(&code, &[]), None).await;
    assert_eq!(buttons(&shown), 2);
    let script = parameters(&code, &[]).replace("https%3A%2F%2Fservice.example", "javascript%3A");
    let refused = page(&sandbox, PHONE, &script, None).await;
    assert_eq!(buttons(&refused), 0);
}

#[tokio::test]
async fn an_account_that_is_not_offered_cannot_be_chosen() {
    let sandbox = platform_sandbox().await;
    let token = component_token(&sandbox).await;
    let code = pre_auth_code(&sandbox, &token).await;
    for more in [
        vec![("app_id", "wx1")],
        vec![("app_id", APP), ("auth_type", "2")],
        vec![],
    ] {
        let (status, location, page) = press(&sandbox, parameters(&code, &more)).await;
        assert_eq!((status, location), (StatusCode::OK, None));
        assert!(page.contains("请选择列表中的账号"), "{page}");
    }
}

#[tokio::test]
async fn link_parameters_are_escaped_on_the_page() {
    let sandbox = platform_sandbox().await;
    let token = component_token(&sandbox).await;
    let code = pre_auth_code(&sandbox, &token).await;
    let query = parameters(&code, &[("auth_type", "\"><script>1</script>")]);
    let page = page(&sandbox, PHONE, &query, None).await;
    assert_eq!(buttons(&page), 2);
    assert!(!page.contains("<script>"), "{page}");
    let unknown = "component_appid=wx1";
    let page = crate::authorize_page::page(&sandbox, PHONE, unknown, None).await;
    assert!(page.contains("component_appid 无效"), "{page}");
}

#[tokio::test]
async fn a_page_of_another_origin_cannot_press_the_button() {
    let sandbox = platform_sandbox().await;
    let token = component_token(&sandbox).await;
    let code = pre_auth_code(&sandbox, &token).await;
    let answer = client()
        .post(format!("{}{PHONE}", sandbox.url()))
        .header("Origin", "https://evil.example")
        .body(parameters(&code, &[("app_id", APP)]))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 403);
    assert!(sandbox.state().platforms[0].authorizers.is_empty());
}
