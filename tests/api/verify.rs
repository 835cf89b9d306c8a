//! Domain verification files: only the configured names, with exactly their contents.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use wx_jssdk::sandbox::App;
use wx_jssdk::{Account, Broker, Clock};

use crate::app::*;

const NAME: &str = "/MP_verify_AbCdEfGh12345678.txt";
const CONTENT: &str = "AbCdEfGh12345678";

async fn with_verify_files() -> TestApp {
    let config = r#"
[accounts.main]
app_id = "wx0123456789abcdef"
secret = "0c79e1fa963cd80cc0be99b20a18faeb"
js_safe_domains = ["example.com", "example.org/shop"]
verify_files = { "MP_verify_AbCdEfGh12345678.txt" = "AbCdEfGh12345678" }
[accounts.work]
platform = "work"
corp_id = "wwbbbbbbbbbbbbbbbb"
agent_id = 1000002
secret = "0c79e1fa963cd80cc0be99b20a18faeb"
js_safe_domains = ["example.com"]
verify_files = { "WW_verify_Zz.txt" = "Zz" }
"#;
    spawn(config, |sandbox| {
        sandbox.add_app(App::official(APP, SECRET))
    })
    .await
}

#[tokio::test]
async fn a_configured_file_is_served_as_wechat_gave_it() {
    let app = with_verify_files().await;
    for (path, content) in [
        (NAME, CONTENT),
        ("/WW_verify_Zz.txt", "Zz"),
        ("/shop/MP_verify_AbCdEfGh12345678.txt", CONTENT),
    ] {
        for target in [path.to_owned(), format!("{path}?t=1")] {
            let answer = app.get(&target).await;
            assert_eq!(
                (answer.status, answer.text.as_str()),
                (200, content),
                "{target}: exactly the configured bytes"
            );
            assert_eq!(answer.header("content-type"), Some("text/plain"));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        }
        let head = app.request("HEAD", path, &[]).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
        assert_eq!(
            head.header("content-length"),
            Some(content.len().to_string().as_str())
        );
    }
}

#[tokio::test]
async fn every_other_name_is_404() {
    let app = with_verify_files().await;
    for path in [
        "/MP_verify_abcdefgh12345678.txt",
        "/mp_verify_AbCdEfGh12345678.txt",
        "/MP_verify_AbCdEfGh12345678.TXT",
        "/MP_verify_AbCdEfGh12345678.txt/",
        "/MP_verify_AbCdEfGh12345678.txt%00",
        "/MP_verify_AbCdEfGh12345678%2Etxt",
        "/MP_verify_AbCdEfGh12345678",
        "/MP_verify_.txt",
        "/MP_verify_evil.txt",
        "/WW_verify_AbCdEfGh12345678.txt",
        "/jssdk/MP_verify_AbCdEfGh12345678.txt",
        "/other/MP_verify_AbCdEfGh12345678.txt",
        "/shop/WW_verify_Zz.txt",
        "/shop//MP_verify_AbCdEfGh12345678.txt",
        "//MP_verify_AbCdEfGh12345678.txt",
        "/static/MP_verify_AbCdEfGh12345678.txt",
        "/MP_verify_../../etc/passwd",
        "/MP_verify_..%2F..%2Fetc%2Fpasswd.txt",
    ] {
        app.get(path).await.assert_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_verify_file_accepts_only_get_and_head() {
    let app = with_verify_files().await;
    for method in ["POST", "PUT", "DELETE"] {
        let answer = app.request(method, NAME, &[]).await;
        answer.assert_problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
}

/// Property: only the three configured paths exist.
#[tokio::test]
async fn no_other_path_is_a_verify_file() {
    let account = Account::official("wx1", SECRET)
        .js_safe_domain("example.org/shop")
        .unwrap();
    let account = account
        .verify_file("MP_verify_AbCdEfGh12345678.txt", CONTENT)
        .unwrap();
    let broker = Broker::builder()
        .clock(Clock::manual(START))
        .account("main", account)
        .build()
        .unwrap();
    assert_eq!(
        broker.accounts().verify_file(NAME).map(|file| &**file),
        Some(CONTENT)
    );
    let known = [NAME.to_owned(), format!("/shop{NAME}")];
    let mut runner = TestRunner::new(Config::with_cases(2_000));
    let other_case = prop::collection::vec(any::<bool>(), NAME.len()).prop_map(|flips| {
        let flip = |(c, flip): (char, bool)| {
            if flip {
                if c.is_lowercase() {
                    c.to_ascii_uppercase()
                } else {
                    c.to_ascii_lowercase()
                }
            } else {
                c
            }
        };
        NAME.chars().zip(flips).map(flip).collect::<String>()
    });
    let near = "/?(shop)?/?(MP|WW|mp)?_?verify_?[A-Za-z0-9]{0,17}(\\.txt|\\.TXT)?";
    runner
        .run(
            &prop_oneof![near, ".*", other_case, Just(NAME.to_owned())],
            |path| {
                prop_assert_eq!(
                    broker.accounts().verify_file(&path).is_some(),
                    known.contains(&path)
                );
                Ok(())
            },
        )
        .unwrap();
}

#[tokio::test]
async fn two_contents_for_one_name_are_refused_by_the_builder() {
    let with = |id: &str, content: &str| {
        Account::official(id, SECRET)
            .verify_file("MP_verify_a.txt", content)
            .unwrap()
    };
    let build = |second: &str| {
        Broker::builder()
            .account("a", with("wx1", "x"))
            .account("b", with("wx2", second))
            .build()
    };
    assert!(build("x").is_ok());
    assert!(
        build("y")
            .unwrap_err()
            .to_string()
            .contains("MP_verify_a.txt")
    );
}
