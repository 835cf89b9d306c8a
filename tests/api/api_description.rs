//! `/openapi.json` and `/docs` of the admin listener, over HTTP. The content of the document is checked against the code in
//! (`src/server/openapi/tests.rs`), and against the running service by `tests/openapi`.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use wx_jssdk::server::{Application, SandboxOptions};

use crate::common::http::{self, Answer, Request};
use crate::common::service::{Service, settings};

/// The admin listener of `serve --sandbox`.
struct Sandboxed(Service);

impl Sandboxed {
    async fn start() -> Self {
        let mut settings = settings("", Path::new(""));
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        settings.server.listen = anywhere;
        settings.server.admin_listen = Some(anywhere);
        settings.server.workers = 1;
        settings.server.shutdown = std::time::Duration::ZERO;
        let options = SandboxOptions {
            listen: anywhere,
            safe_domains: Vec::new(),
        };
        let build = async move || Application::build_with_sandbox(&settings, &options).await;
        Self(Service::build(build).await)
    }

    async fn get(&self, target: &str) -> Answer {
        let request = http::get(target).header("Host", self.0.admin);
        self.send(request.header("Accept-Language", "en")).await
    }

    async fn send(&self, request: Request) -> Answer {
        http::send(self.0.admin, request.close().text()).await
    }
}

#[tokio::test]
async fn the_description_is_openapi_3_1_and_names_the_real_public_address() {
    let service = Sandboxed::start().await;
    let answer = service.get("/openapi.json").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json"))
    );
    let document: Value = answer.json();
    assert!(
        document["openapi"].as_str().unwrap().starts_with("3.1"),
        "{}",
        document["openapi"]
    );
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let config = &document["paths"]["/jssdk/config"]["get"];
    assert_eq!(
        config["servers"][0]["variables"]["public"]["default"],
        format!("http://{}", service.0.public)
    );
    assert_eq!(
        document["paths"]["/readyz"]["get"]["servers"][0]["url"],
        "/"
    );
    let keyed = |path: &str| document["paths"][path]["get"]["security"].is_array();
    assert!(
        keyed("/credentials/{account}/{kind}") && !keyed("/healthz") && !keyed("/jssdk/config")
    );
    // A key in the header suffices, and so does a token in the query.
    let ticket = &document["paths"]["/cgi-bin/ticket/getticket"]["get"];
    let security = serde_json::json!([{}, {"bearer": []}, {"apiKey": []}]);
    assert_eq!(ticket["security"], security);
    assert_eq!(ticket["parameters"][0]["required"], false);
}

#[tokio::test]
async fn the_page_shows_every_operation_and_schema_of_the_document() {
    let service = Sandboxed::start().await;
    let document: Value = service.get("/openapi.json").await.json();
    let page = service.get("/docs").await.text;
    let operations = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values());
    let ids: Vec<_> = operations
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    assert!(ids.len() >= 20, "{ids:?}");
    for id in ids {
        assert!(page.contains(&format!(" id=\"{id}\"")), "{id} is missing");
        let is_in_contents = page.contains(&format!("href=\"#{id}\""));
        assert!(
            is_in_contents || page.contains(&format!("<span id=\"{id}\"></span>")),
            "{id} is not in the contents"
        );
    }
    for name in document["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        assert!(page.contains(&format!("id=\"schema-{name}\"")), "{name}");
    }
    let before = |first: &str, second: &str| page.find(first).unwrap() < page.find(second).unwrap();
    assert!(
        before("<article class=\"op\" id=\"config\"", "id=\"agentConfig\"")
            && before("id=\"agentConfig\"", "id=\"readCredential\""),
        "the order of the tags, /jssdk/config first"
    );
    assert_links_lead_somewhere(&page);
    let command = format!("http://{}/jssdk/config \\\n", service.0.public);
    assert!(page.contains(&command), "a command to paste");
}

#[tokio::test]
async fn the_errors_page_has_every_code_and_the_operations_link_to_it() {
    let service = Sandboxed::start().await;
    let document: Value = service.get("/openapi.json").await.json();
    let operations = service.get("/docs").await.text;
    let page = service.get("/docs?page=errors").await.text;
    for row in document["x-problem-codes"].as_array().unwrap() {
        let code = row["code"].as_str().unwrap();
        assert!(page.contains(&format!("<tr id=\"{code}\"")), "{code}");
        let link = format!("href=\"docs?page=errors&#38;lang=en#{code}\"");
        // The answer to an unsupported method.
        let is_answer = code != "method_not_allowed";
        assert_eq!(operations.contains(&link), is_answer, "{code}");
    }
    for errcode in ["errcode-40164", "errcode-45009", "wecom-errcode-60020"] {
        assert!(page.contains(&format!("<tr id=\"{errcode}\"")), "{errcode}");
    }
    assert_links_lead_somewhere(&page);
}

fn assert_links_lead_somewhere(page: &str) {
    for target in page
        .split("href=\"#")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
    {
        assert!(page.contains(&format!("id=\"{target}\"")), "#{target}");
    }
}

#[tokio::test]
async fn the_page_is_in_the_readers_language() {
    let service = Sandboxed::start().await;
    for (target, accepts, expected, title) in [
        ("/docs", "zh-CN", "zh-CN", "HTTP 接口"),
        ("/docs", "en", "en", "HTTP API"),
        ("/docs?lang=zh", "en", "zh-CN", "HTTP 接口"),
        ("/docs?lang=en", "zh", "en", "HTTP API"),
        ("/docs?page=errors", "en", "en", "Error codes"),
        ("/docs?page=errors&lang=zh", "en", "zh-CN", "错误码"),
    ] {
        let request = http::get(target).header("Accept-Language", accepts);
        let answer = service.send(request).await;
        assert_eq!(
            (answer.status, answer.header("content-language")),
            (200, Some(expected)),
            "{target}"
        );
        let page = &answer.text;
        assert!(
            page.contains(&format!("<title>{title} · wx-jssdk</title>")),
            "{target} {accepts}"
        );
        assert!(
            page.contains(&format!("<html lang=\"{expected}\">")),
            "{target} {accepts}"
        );
    }
}

#[tokio::test]
async fn the_page_loads_only_from_this_server_and_has_no_inline_code() {
    let service = Sandboxed::start().await;
    let answer = service.get("/docs").await;
    let policy = answer.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(
        policy.contains("script-src 'self';") && policy.contains("style-src 'self';"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && !policy.contains("http"),
        "{policy}"
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let page = &answer.text;
    let scripts = page.matches("<script").count();
    assert_eq!(scripts, page.matches("<script src=\"static/").count());
    // Controls that need the script are hidden without it.
    let buttons = page.matches("class=\"copy\"").count();
    assert!(buttons > 20);
    assert_eq!(
        buttons,
        page.matches("class=\"copy\" data-copy hidden>").count()
    );
    assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" onclick="));
    let mut files: Vec<&str> = page
        .split("\"static/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    files.sort_unstable();
    assert_eq!(files, ["docs.css", "docs.js", "icon.svg", "style.css"]);
    for file in files {
        let answer = service.get(&format!("/static/{file}")).await;
        assert_eq!(answer.status, 200, "{file}");
    }
    assert_eq!(
        service.get("/static/wechat-client.js").await.status,
        404,
        "the sandbox's scripts belong to the public pages"
    );
    assert_eq!(
        service.send(Request::new("HEAD", "/docs")).await.status,
        200
    );
}

#[tokio::test]
async fn an_invalid_host_appears_in_no_command() {
    let service = Sandboxed::start().await;
    let request = http::get("/docs").header("Host", "a'$(id)");
    let page = service.send(request).await.text;
    assert!(!page.contains("$(id)"), "the Host header is in the page");
}

#[tokio::test]
async fn an_unknown_path_gets_an_ordinary_problem_document() {
    let service = Sandboxed::start().await;
    let answer = service.get("/nothing").await;
    answer.assert_problem(404, "not_found");
}
