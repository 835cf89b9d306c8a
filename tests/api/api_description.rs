//! `/openapi.json` and `/docs` of the admin listener, over HTTP. What is in the document is held against the code beside it
//! (`src/server/openapi/tests.rs`), and against the running service by `tests/openapi`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use wx_jssdk::server::config::Settings;
use wx_jssdk::server::{Application, SandboxOptions};

/// Both listeners of `serve --sandbox`; it stops when it is dropped.
struct Service {
    public: SocketAddr,
    admin: SocketAddr,
    _stop: oneshot::Sender<()>,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Service {
    async fn start() -> Self {
        let mut settings = Settings::read("", Path::new(""), HashMap::new())
            .unwrap_or_else(|problems| panic!("{problems}"));
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        (
            settings.server.listen,
            settings.server.admin_listen,
            settings.server.workers,
        ) = (anywhere, Some(anywhere), 1);
        settings.server.shutdown = std::time::Duration::ZERO;
        let (report, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let options = SandboxOptions {
                    listen: anywhere,
                    safe_domains: Vec::new(),
                };
                let service = Application::build_with_sandbox(&settings, &options)
                    .await
                    .unwrap_or_else(|error| panic!("{error}"));
                let _ = report.send((service.address(), service.admin_address().unwrap()));
                let stop = async {
                    let _ = stopped.await;
                };
                service.run_until_stopped(stop).await.unwrap();
            });
        });
        let (public, admin) = started.await.unwrap();
        Self {
            public,
            admin,
            _stop: stop,
        }
    }

    async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, "Accept-Language: en\r\n").await
    }

    async fn send(&self, method: &str, target: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(self.admin).await.unwrap();
        let host = if headers.contains("Host:") {
            String::new()
        } else {
            format!("Host: {}\r\n", self.admin)
        };
        let request =
            format!("{method} {target} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {text}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer {
            status,
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")))
            .unwrap_or_default()
    }
}

/// A large answer comes in chunks: what is in it, without their lengths.
fn unchunked(answer: &Answer) -> String {
    if !answer.head.contains("transfer-encoding: chunked") {
        return answer.body.clone();
    }
    let (mut rest, mut whole) = (answer.body.as_str(), String::new());
    while let Some((length, more)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        whole += &more[..length];
        rest = &more[(length + 2).min(more.len())..];
        if length == 0 {
            break;
        }
    }
    whole
}

#[tokio::test]
async fn the_description_is_openapi_3_1_and_names_where_pages_really_call() {
    let service = Service::start().await;
    let answer = service.get("/openapi.json").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/json")
    );
    let document: Value = serde_json::from_str(&unchunked(&answer)).unwrap();
    assert!(
        document["openapi"].as_str().unwrap().starts_with("3.1"),
        "{}",
        document["openapi"]
    );
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let config = &document["paths"]["/jssdk/config"]["get"];
    assert_eq!(
        config["servers"][0]["variables"]["public"]["default"],
        format!("http://{}", service.public)
    );
    assert_eq!(
        document["paths"]["/readyz"]["get"]["servers"][0]["url"],
        "/"
    );
    let keyed = |path: &str| document["paths"][path]["get"]["security"].is_array();
    assert!(
        keyed("/credentials/{account}/{kind}") && !keyed("/healthz") && !keyed("/jssdk/config")
    );
}

#[tokio::test]
async fn the_page_shows_every_operation_code_and_schema_of_the_document() {
    let service = Service::start().await;
    let document: Value =
        serde_json::from_str(&unchunked(&service.get("/openapi.json").await)).unwrap();
    let page = unchunked(&service.get("/docs").await);
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
        assert!(
            page.contains(&format!("<article class=\"panel\" id=\"{id}\"")),
            "{id} has no panel"
        );
        assert!(
            page.contains(&format!("href=\"#{id}\"")),
            "{id} is not in the index"
        );
    }
    for row in document["x-problem-codes"].as_array().unwrap() {
        assert!(
            page.contains(&format!("<code>{}</code>", row["code"].as_str().unwrap())),
            "{row}"
        );
    }
    for name in document["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        assert!(page.contains(&format!("id=\"schema-{name}\"")), "{name}");
    }
    // No link leads nowhere.
    for target in page
        .split("href=\"#")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
    {
        assert!(
            target.starts_with("i-") || page.contains(&format!("id=\"{target}\"")),
            "#{target}"
        );
    }
    assert!(
        page.contains(&format!(
            "curl -G &#39;http://{}/jssdk/config&#39;",
            service.public
        )),
        "a command to paste"
    );
}

#[tokio::test]
async fn the_page_is_in_the_readers_language() {
    let service = Service::start().await;
    for (target, accepts, expected, title) in [
        ("/docs", "zh-CN", "zh-CN", "HTTP 接口"),
        ("/docs", "en", "en", "HTTP API"),
        ("/docs?lang=zh", "en", "zh-CN", "HTTP 接口"),
        ("/docs?lang=en", "zh", "en", "HTTP API"),
    ] {
        let answer = service
            .send("GET", target, &format!("Accept-Language: {accepts}\r\n"))
            .await;
        assert_eq!(
            (answer.status, answer.header("content-language")),
            (200, expected.to_lowercase().as_str()),
            "{target}"
        );
        let page = unchunked(&answer);
        assert!(
            page.contains(&format!("<title>wx-jssdk · {title}</title>")),
            "{target} {accepts}"
        );
        assert!(
            page.contains(&format!("<html lang=\"{expected}\">")),
            "{target} {accepts}"
        );
    }
}

#[tokio::test]
async fn the_page_needs_nothing_but_this_server_and_runs_no_script() {
    let service = Service::start().await;
    let answer = service.get("/docs").await;
    let policy = answer.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(
        !policy.contains("script-src") && !policy.contains("unsafe") && !policy.contains("http"),
        "{policy}"
    );
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let page = unchunked(&answer);
    assert!(
        !page.contains("<script")
            && !page.contains("<style")
            && !page.contains(" style=")
            && !page.contains(" onclick=")
    );
    let mut files: Vec<&str> = page
        .split("\"static/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    files.sort_unstable();
    assert_eq!(files, ["api.css", "icon.svg", "style.css"]);
    for file in files {
        let answer = service.get(&format!("/static/{file}")).await;
        assert_eq!(answer.status, 200, "{file}");
    }
    assert_eq!(
        service.get("/static/wechat-client.js").await.status,
        404,
        "the sandbox's scripts are the public pages' matter"
    );
    assert_eq!(service.send("HEAD", "/docs", "").await.status, 200);
}

#[tokio::test]
async fn a_host_that_is_none_comes_into_no_command() {
    let service = Service::start().await;
    let page = unchunked(&service.send("GET", "/docs", "Host: a'$(id)\r\n").await);
    assert!(!page.contains("$(id)"), "the Host header is in the page");
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_a_problem_like_every_other() {
    let service = Service::start().await;
    let answer = service.get("/nothing").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (404, "application/problem+json")
    );
    assert!(
        answer.body.contains("\"code\":\"not_found\""),
        "{}",
        answer.body
    );
}
