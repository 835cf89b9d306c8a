//! The demo page, its files and its QR code, over HTTP.

use std::path::PathBuf;
use std::sync::Arc;

use actix_web::body::to_bytes;
use actix_web::dev::ServiceResponse;
use actix_web::http::{Method, StatusCode, header};
use actix_web::{App, test};
use wx_jssdk::Clock;
use wx_jssdk::actix::ClientIps;
use wx_jssdk::server::pages::Pages;

use crate::app::{MAIN, spawn};

/// One file of each kind, and every file that other pages import.
const STATIC_FILES: [(&str, &str); 9] = [
    ("style.css", "text/css; charset=utf-8"),
    ("demo.css", "text/css; charset=utf-8"),
    ("demo.js", "text/javascript; charset=utf-8"),
    ("interfaces.js", "text/javascript; charset=utf-8"),
    ("interfaces-account.js", "text/javascript; charset=utf-8"),
    ("explain.js", "text/javascript; charset=utf-8"),
    ("language.js", "text/javascript; charset=utf-8"),
    ("icon.svg", "image/svg+xml"),
    ("share.png", "image/png"),
];
const SANDBOX_FILES: [&str; 6] = [
    "wechat-client.js",
    "wechat-client-media.js",
    "wechat-client-menu.js",
    "wechat-client-answers.js",
    "wechat-client-tags.js",
    "wx-stand-in.js",
];

/// The file that `/static/{name}` serves, in one of the folders of `static/`.
fn on_disk(name: &str) -> PathBuf {
    std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/static"))
        .unwrap()
        .map(|folder| folder.unwrap().path().join(name))
        .find(|path| path.exists())
        .unwrap()
}

fn pages() -> Pages {
    let clients = Arc::new(ClientIps::new(Vec::new(), "x-forwarded-for"));
    Pages {
        sandbox: false,
        admin: "http://127.0.0.1:8081".to_owned(),
        qr_allowed: Arc::new(|url| url.starts_with("https://demo.example.com/")),
        qr_limit: Pages::qr_limit(clients, Clock::system()),
    }
}

async fn ask(pages: Pages, request: test::TestRequest) -> ServiceResponse {
    let app = test::init_service(App::new().configure(pages.configure())).await;
    test::call_service(&app, request.to_request()).await
}

async fn get(pages: Pages, path: &str) -> ServiceResponse {
    ask(pages, test::TestRequest::get().uri(path)).await
}

fn header_of<'r>(response: &'r ServiceResponse, name: &str) -> &'r str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

async fn text_of(response: ServiceResponse) -> String {
    String::from_utf8(to_bytes(response.into_body()).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn the_page_forbids_inline_code_and_allows_exactly_what_jweixin_needs() {
    let response = get(pages(), "/").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        header_of(&response, "content-type"),
        "text/html; charset=utf-8"
    );
    assert_eq!(
        header_of(&response, "referrer-policy"),
        "strict-origin-when-cross-origin"
    );
    assert_eq!(header_of(&response, "cache-control"), "no-cache");
    let policy = header_of(&response, "content-security-policy").to_owned();
    let directive = |name: &str| {
        let found: Vec<&str> = policy
            .split(';')
            .map(str::trim)
            .filter(|one| one.split(' ').next() == Some(name))
            .collect();
        assert_eq!(found.len(), 1, "{name} stands once in {policy}");
        found[0].split(' ').skip(1).collect::<Vec<_>>()
    };
    assert_eq!(directive("default-src"), ["'none'"]);
    assert_eq!(
        directive("script-src"),
        ["'self'", "https://res.wx.qq.com", "https://res2.wx.qq.com"]
    );
    assert_eq!(directive("style-src"), ["'self'"]);
    assert_eq!(directive("connect-src"), ["'self'"]);
    for locked in ["base-uri", "form-action", "frame-ancestors"] {
        assert_eq!(directive(locked), ["'none'"], "{locked}");
    }
    for image in [
        "'self'",
        "data:",
        "weixin:",
        "wxlocalresource:",
        "https://open.weixin.qq.com",
    ] {
        assert!(directive("img-src").contains(&image), "{image}");
    }
    assert_eq!(
        directive("frame-src"),
        ["weixin:", "webcompt:", "https://*.qq.com"],
        "the old bridge, and open tags"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
}

#[tokio::test]
async fn the_page_has_no_inline_script_style_or_handler() {
    for sandbox in [false, true] {
        let html = text_of(get(Pages { sandbox, ..pages() }, "/").await).await;
        assert!(
            !html.contains("<style") && !html.contains(" style="),
            "inline style"
        );
        assert!(
            !html.contains("javascript:") && !html.contains(" onclick="),
            "inline handler"
        );
        for script in html.split("<script").skip(1) {
            assert!(
                script.trim_start().starts_with("src="),
                "inline script: {}",
                &script[..60.min(script.len())]
            );
        }
    }
}

#[tokio::test]
async fn every_file_the_page_names_is_served() {
    let html = text_of(
        get(
            Pages {
                sandbox: true,
                ..pages()
            },
            "/",
        )
        .await,
    )
    .await;
    let mut named: Vec<&str> = html
        .split("\"static/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    named.sort_unstable();
    named.dedup();
    assert!(named.len() >= 4, "{named:?}");
    for name in named {
        let response = get(
            Pages {
                sandbox: true,
                ..pages()
            },
            &format!("/static/{name}"),
        )
        .await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
    }
}

#[tokio::test]
async fn every_module_is_served_and_preloaded_in_the_head() {
    let html = text_of(get(pages(), "/").await).await;
    let preloaded: Vec<&str> = html
        .split("rel=\"modulepreload\" href=\"static/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    let mut seen = vec!["demo.js".to_owned()];
    let mut at = 0;
    while at < seen.len() {
        let response = get(pages(), &format!("/static/{}", seen[at])).await;
        assert_eq!(response.status(), StatusCode::OK, "{}", seen[at]);
        let code = text_of(response).await;
        for rest in code.split("from \"./").skip(1) {
            let name = rest.split('"').next().unwrap().to_owned();
            if !seen.contains(&name) {
                seen.push(name);
            }
        }
        at += 1;
    }
    let (mut imported, mut named): (Vec<&str>, _) =
        (seen[1..].iter().map(String::as_str).collect(), preloaded);
    imported.sort_unstable();
    named.sort_unstable();
    assert_eq!(named, imported, "what is preloaded is what is imported");
}

#[tokio::test]
async fn the_page_has_landmarks_a_link_to_the_doctor_and_one_h1() {
    for (lang, tag) in [("zh", "zh-CN"), ("en", "en")] {
        let html = text_of(
            get(
                Pages {
                    sandbox: true,
                    ..pages()
                },
                &format!("/?lang={lang}"),
            )
            .await,
        )
        .await;
        assert!(html.contains(&format!("<html lang=\"{tag}\">")));
        assert_eq!(html.matches("<h1").count(), 1);
        assert_eq!(html.matches("<main").count(), 1);
        assert!(html.contains("<header") && html.contains("<footer") && html.contains("<aside"));
        assert!(
            html.split("<nav").skip(1).all(|nav| nav
                .split('>')
                .next()
                .unwrap()
                .contains("aria-label=")),
            "each nav has a name"
        );
        let skip = html
            .split("class=\"skip\" href=\"#")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert!(
            html.contains(&format!("id=\"{skip}\"")),
            "the skip link leads somewhere"
        );
        assert_eq!(
            html.matches(&format!("href=\"doctor?lang={lang}\""))
                .count(),
            3,
            "in the header, beside the config, beside a call"
        );
        assert!(html.contains("aria-live=\"polite\""));
    }
}

#[tokio::test]
async fn every_icon_in_use_is_defined() {
    let html = text_of(get(pages(), "/").await).await;
    let mut used: Vec<String> = html
        .split("<use href=\"#")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    for file in ["interfaces-phone.js", "interfaces-account.js"] {
        let data = text_of(get(pages(), &format!("/static/{file}")).await).await;
        used.extend(
            data.split("icon: \"")
                .skip(1)
                .map(|rest| format!("i-{}", rest.split('"').next().unwrap())),
        );
    }
    assert!(used.len() > 15, "{used:?}");
    for name in used {
        assert!(html.contains(&format!("<symbol id=\"{name}\"")), "{name}");
    }
}

#[tokio::test]
async fn the_language_is_the_readers_choice_then_the_browsers_then_chinese() {
    for (path, accepts, expected) in [
        ("/", None, "zh-CN"),
        ("/", Some("en-US,en;q=0.9"), "en"),
        ("/", Some("fr, zh;q=0.2, en;q=0.1"), "zh-CN"),
        ("/", Some("fr-FR,fr;q=0.9,en;q=0.8,zh;q=0.7"), "en"),
        ("/", Some("en;q=0.3, zh-Hans-CN;q=0.4"), "zh-CN"),
        ("/", Some("en, zh"), "en"),
        ("/", Some("en;q=0"), "zh-CN"),
        ("/", Some("en;q=nonsense, zh;q=0.1"), "zh-CN"),
        ("/", Some("*"), "zh-CN"),
        ("/", Some("english"), "zh-CN"),
        (
            "/",
            Some(&*format!("en,{}zh;q=0.1", "fr,".repeat(5_000))),
            "en",
        ),
        ("/", Some(&*format!("{}en", "fr,".repeat(5_000))), "zh-CN"),
        ("/?lang=ZH-tw", Some("en"), "zh-CN"),
        ("/?lang=en", Some("zh-CN"), "en"),
        ("/?lang=zh", Some("en"), "zh-CN"),
        ("/?lang=xx", Some("en"), "en"),
        ("/?lang=", None, "zh-CN"),
        ("/?lang=en&lang=zh", Some("en"), "en"),
        (
            "/?from=singlemessage&isappinstalled=0&%FF&&=",
            Some("de"),
            "zh-CN",
        ),
    ] {
        let mut request = test::TestRequest::get().uri(path);
        if let Some(accepts) = accepts {
            request = request.insert_header((header::ACCEPT_LANGUAGE, accepts));
        }
        let response = ask(pages(), request).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(
            header_of(&response, "content-language"),
            expected,
            "{path} {accepts:?}"
        );
        assert_eq!(header_of(&response, "vary"), "Accept-Language");
        let html = text_of(response).await;
        assert!(
            html.contains(&format!("<html lang=\"{expected}\">")),
            "{path}"
        );
        assert!(
            html.contains(if expected == "en" {
                "Find interfaces"
            } else {
                "查找接口"
            }),
            "{path}"
        );
        assert!(
            html.contains("lang=zh") && html.contains("lang=en"),
            "the switch shows both"
        );
    }
}

#[tokio::test]
async fn the_addresses_of_the_page_are_relative() {
    let html = text_of(get(pages(), "/").await).await;
    assert!(html.contains("data-scope=\"./jssdk\"") && !html.contains("data-sandbox"));
    assert!(html.contains("src=\"./jssdk/wx-jssdk.js\""));
}

#[tokio::test]
async fn the_snippets_name_this_server_and_no_invalid_host() {
    for (host, named) in [
        (
            "h.example:8080",
            "http://h.example:8080/jssdk</span>/wx-jssdk.js",
        ),
        (
            "h.example\"><b>",
            "http://127.0.0.1:8080/jssdk</span>/wx-jssdk.js",
        ),
    ] {
        let request = test::TestRequest::get()
            .uri("/")
            .insert_header((header::HOST, host));
        let html = text_of(ask(pages(), request).await).await;
        assert_eq!(html.matches(named).count(), 3, "{host}: plain, Vue, React");
        assert!(!html.contains("static/phone.js"), "only the sandbox has it");
    }
}

#[tokio::test]
async fn only_the_sandbox_simulates_a_client_and_says_so() {
    let html = text_of(get(pages(), "/").await).await;
    assert!(!html.contains("wechat-client.js") && !html.contains("id=\"sandbox\""));
    for name in SANDBOX_FILES {
        assert_eq!(
            get(pages(), &format!("/static/{name}")).await.status(),
            StatusCode::NOT_FOUND,
            "{name}"
        );
    }

    let sandbox = Pages {
        sandbox: true,
        ..pages()
    };
    let html = text_of(get(sandbox.clone(), "/?lang=en").await).await;
    assert!(
        html.contains("data-sandbox") && html.contains("simulated client, real signature check")
    );
    let (client, demo) = (
        html.find("wechat-client.js").unwrap(),
        html.find("demo.js").unwrap(),
    );
    assert!(
        client < demo,
        "the client is ready before the page calls it"
    );
    for name in SANDBOX_FILES {
        let response = get(sandbox.clone(), &format!("/static/{name}")).await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        assert_eq!(
            header_of(&response, "content-type"),
            "text/javascript; charset=utf-8"
        );
    }
}

#[tokio::test]
async fn static_files_have_their_types_and_are_revalidated() {
    let mut tags = Vec::new();
    for (name, content_type) in STATIC_FILES {
        let path = format!("/static/{name}");
        let response = get(pages(), &path).await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        assert_eq!(header_of(&response, "content-type"), content_type, "{name}");
        assert_eq!(header_of(&response, "cache-control"), "no-cache", "{name}");
        let tag = header_of(&response, "etag").to_owned();
        assert!(tag.starts_with('"') && tag.len() == 18, "{name}: {tag}");
        let body = to_bytes(response.into_body()).await.unwrap();
        assert_eq!(body, std::fs::read(on_disk(name)).unwrap(), "{name}");

        for (known, status) in [
            (tag.clone(), StatusCode::NOT_MODIFIED),
            (format!("\"other\", W/{tag}"), StatusCode::NOT_MODIFIED),
            ("*".to_owned(), StatusCode::NOT_MODIFIED),
            ("\"other\"".to_owned(), StatusCode::OK),
        ] {
            let request = test::TestRequest::get()
                .uri(&path)
                .insert_header((header::IF_NONE_MATCH, known.as_str()));
            let response = ask(pages(), request).await;
            assert_eq!(response.status(), status, "{name} {known}");
            assert_eq!(header_of(&response, "etag"), tag, "{name}");
            let empty = to_bytes(response.into_body()).await.unwrap().is_empty();
            assert_eq!(empty, status == StatusCode::NOT_MODIFIED, "{name} {known}");
        }
        tags.push(tag);
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), STATIC_FILES.len(), "each file has its own ETag");
}

#[tokio::test]
async fn a_name_is_never_looked_up_on_the_disk() {
    for path in [
        "/static/nothing.js",
        "/static/..%2FCargo.toml",
        "/static/%2Fetc%2Fpasswd",
        "/static/",
        "/static/../Cargo.toml",
    ] {
        let response = get(pages(), path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(!text_of(response).await.contains("[package]"), "{path}");
    }
}

#[tokio::test]
async fn pages_accept_only_get_and_head() {
    for path in [
        "/",
        "/static/demo.js",
        "/qr.svg?url=https%3A%2F%2Fdemo.example.com%2F",
    ] {
        let head = ask(
            pages(),
            test::TestRequest::default().method(Method::HEAD).uri(path),
        )
        .await;
        assert_eq!(head.status(), StatusCode::OK, "{path}");
        let post = ask(pages(), test::TestRequest::post().uri(path)).await;
        assert!(post.status().is_client_error(), "{path} {}", post.status());
    }
}

#[tokio::test]
async fn a_qr_code_is_drawn_for_an_allowed_page() {
    let response = get(
        pages(),
        "/qr.svg?url=https%3A%2F%2Fdemo.example.com%2F%3Fa%3D1%26b%3D%25E4%23x",
    )
    .await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header_of(&response, "content-type"), "image/svg+xml");
    assert_eq!(header_of(&response, "cache-control"), "no-store");
    let svg = text_of(response).await;
    assert!(svg.contains("<svg") && svg.contains("<path"), "{svg}");
    assert!(
        !svg.contains("demo.example.com"),
        "the address is in the pattern and not in the text"
    );
}

#[tokio::test]
async fn the_qr_code_is_that_of_the_decoded_address() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = seen.clone();
    let pages = Pages {
        qr_allowed: Arc::new(move |url| {
            noted.lock().unwrap().push(url.to_owned());
            true
        }),
        ..pages()
    };
    let drawn = text_of(
        get(
            pages,
            "/qr.svg?url=https%3A%2F%2Fh.example%2F%3Fq%3D%25E4%25BD%25A0%2B1",
        )
        .await,
    )
    .await;
    assert_eq!(
        *seen.lock().unwrap(),
        ["https://h.example/?q=%E4%BD%A0+1"],
        "decoded once, plus kept"
    );
    let expected = qrcode::QrCode::new("https://h.example/?q=%E4%BD%A0+1")
        .unwrap()
        .render::<qrcode::render::svg::Color<'_>>()
        .min_dimensions(240, 240)
        .build();
    assert_eq!(drawn, expected);
}

#[tokio::test]
async fn a_qr_code_is_refused_for_other_pages_and_for_bad_addresses() {
    let longest = format!("https%3A%2F%2Fdemo.example.com%2F{}", "a".repeat(1024 - 25));
    assert_eq!(
        get(pages(), &format!("/qr.svg?url={longest}"))
            .await
            .status(),
        StatusCode::OK,
        "1024 bytes are allowed"
    );
    for (path, status, code) in [
        (
            "/qr.svg?url=https%3A%2F%2Fevil.example%2F",
            403,
            "page_not_allowed",
        ),
        ("/qr.svg?url=javascript%3Aalert(1)", 403, "page_not_allowed"),
        ("/qr.svg", 400, "bad_url"),
        ("/qr.svg?url=", 400, "bad_url"),
        ("/qr.svg?url=a&url=b", 400, "bad_url"),
        (&format!("/qr.svg?url={longest}a"), 400, "bad_url"),
    ] {
        let response = get(pages(), path).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        assert_eq!(
            header_of(&response, "content-type"),
            "application/problem+json",
            "{path}"
        );
        let problem: serde_json::Value = serde_json::from_str(&text_of(response).await).unwrap();
        assert_eq!(problem["code"], code, "{path}");
        assert_eq!(problem["status"], status, "{path}");
        assert!(
            problem["hint"]["en"].is_string() && problem["hint"]["zh"].is_string(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_simulated_phone_is_one_script_for_pages_of_other_servers() {
    let response = get(
        Pages {
            sandbox: true,
            ..pages()
        },
        "/static/phone.js",
    )
    .await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        header_of(&response, "content-type"),
        "text/javascript; charset=utf-8"
    );
    let script = text_of(response).await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/static/sandbox");
    let mut parts = 0;
    for file in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if file
            .file_name()
            .to_str()
            .unwrap()
            .starts_with("wechat-client")
        {
            parts += 1;
            assert!(
                script.contains(&std::fs::read_to_string(file.path()).unwrap()),
                "{:?}",
                file.file_name()
            );
        }
    }
    assert!(
        parts > 0 && script.starts_with("// Sandbox only: simulates the WeChat client"),
        "the bridge is loaded first"
    );
    assert_eq!(
        get(pages(), "/static/phone.js").await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn browsers_get_a_page_for_an_unknown_path_and_programs_a_problem() {
    let browser = [("Accept", "text/html,*/*;q=0.8"), ("Accept-Language", "en")];
    for (demo, links) in [(true, 2), (false, 0)] {
        let app = spawn(&format!("[server]\ndemo = {demo}\n{MAIN}"), |_| {}).await;
        for path in ["/no-such-path", "/jssdk/no-such-path"] {
            let page = app.request("GET", path, &browser).await;
            assert_eq!(page.status, 404, "{page:?}");
            assert!(page.text.contains("There is no page here"), "{page:?}");
            assert!(page.text.contains("/jssdk/config?url="), "{page:?}");
            let hrefs = page.text.split("<a href=\"").skip(1);
            let hrefs: Vec<_> = hrefs.filter_map(|rest| rest.split('"').next()).collect();
            assert_eq!(hrefs.len(), links, "{hrefs:?}");
            for href in hrefs {
                assert_eq!(app.request("GET", href, &[]).await.status, 200, "{href}");
            }
            let program = app.request("GET", path, &[]).await;
            program.assert_problem(404, "not_found");
            assert_eq!(program.header("access-control-allow-origin"), Some("*"));
        }
    }
}

#[tokio::test]
async fn demo_and_doctor_are_also_below_the_signing_scope() {
    let app = spawn(&format!("[server]\ndemo = true\n{MAIN}"), |_| {}).await;
    for path in ["/demo", "/doctor"] {
        let (root, below) = (
            app.request("GET", path, &[]).await,
            app.request("GET", &format!("/jssdk{path}"), &[]).await,
        );
        assert_eq!((root.status, below.status), (200, 200), "{path}");
        // Each from its own address, the links lead to the same files.
        let below = below
            .text
            .replace("\"./wx-jssdk.js\"", "\"./jssdk/wx-jssdk.js\"");
        let below = below.replace("data-scope=\".\"", "data-scope=\"./jssdk\"");
        assert_eq!(root.text, below, "links are relative");
    }
    for path in [
        "/jssdk/static/style.css",
        "/jssdk/static/demo.js",
        "/jssdk/wx-jssdk.js",
    ] {
        assert_eq!(app.request("GET", path, &[]).await.status, 200, "{path}");
    }
    let off = spawn(MAIN, |_| {}).await;
    for path in ["/demo", "/jssdk/demo", "/jssdk/doctor"] {
        assert_eq!(off.request("GET", path, &[]).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_admin_listener_leads_to_the_status_page_and_has_the_doctor() {
    let app = spawn(MAIN, |_| {}).await;
    let root = app.get_admin("/").await;
    assert_eq!(
        (root.status, root.header("location")),
        (302, Some("status"))
    );
    let doctor = app.get_admin("/doctor").await;
    assert_eq!(doctor.status, 200, "{doctor:?}");
    assert!(doctor.text.contains("href=\"status?lang="), "its own links");
    assert_eq!(app.get_admin("/static/doctor.js").await.status, 200);
}
