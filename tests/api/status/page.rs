//! The page itself: both languages, no inline code, every name escaped.

use wx_jssdk::server::config::Settings;

use crate::status::world::*;

#[tokio::test]
async fn nothing_is_inline_and_every_referenced_file_is_served() {
    let world = World::healthy().await;
    let page = world.get("/status").await;
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    for forbidden in ["<style", " style=", "javascript:", " onclick=", " onload="] {
        assert!(!page.text.contains(forbidden), "{forbidden}");
    }
    for script in page.text.split("<script").skip(1) {
        assert!(script.trim_start().starts_with("src="), "inline script");
    }
    let named: Vec<_> = page
        .text
        .split("\"static/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(
        named.contains(&"status.js") && named.contains(&"status.css"),
        "{named:?}"
    );
    for name in named {
        assert_eq!(
            world.get(&format!("/static/{name}")).await.status,
            200,
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_page_is_in_the_readers_language() {
    let world = World::healthy().await;
    for (target, accepts, lang, word) in [
        ("/status", "zh-CN", "zh-CN", "3 个账号全部正常"),
        ("/status", "en-US", "en", "All 3 accounts healthy"),
        ("/status?lang=en", "zh-CN", "en", "single node, up"),
        ("/status?lang=zh", "en", "zh-CN", "已运行"),
    ] {
        let page = world
            .get_with(target, &[("Accept-Language", accepts)])
            .await
            .text;
        assert!(
            page.contains(&format!("<html lang=\"{lang}\">")) && page.contains(word),
            "{target} {accepts}: {page}"
        );
    }
    let page = world.get("/status?lang=en").await.text;
    let chinese: Vec<_> = page
        .chars()
        .filter(|c| ('\u{4e00}'..'\u{9fff}').contains(c))
        .collect();
    assert_eq!(chinese, ['中', '文'], "only the language switch");
}

#[tokio::test]
async fn the_live_fragment_equals_that_part_of_the_page() {
    let world = World::healthy().await;
    let (whole, live) = (
        world.get("/status?lang=en").await.text,
        world.get("/status?lang=en&part=live").await.text,
    );
    assert!(!live.contains("<html") && live.contains("data-revision="));
    assert!(whole.contains(&live), "byte for byte");
    let status = world.get("/status.json?part=summary").await.ok();
    assert!(
        live.contains(&format!(
            "data-revision=\"{}\"",
            status["revision"].as_str().unwrap()
        )),
        "the same revision"
    );
}

#[tokio::test]
async fn the_last_day_is_drawn_by_the_server_and_described_in_words() {
    let world = World::healthy().await;
    let page = world.get("/status?lang=en&account=main").await.text;
    assert_eq!(
        page.matches("<svg class=\"strip\"").count(),
        1,
        "one for each account"
    );
    assert!(
        page.contains("aria-label=\"Last 24 hours: always served, 23 h without data\""),
        "{page}"
    );
    assert!(page.contains("<code>jsapi_ticket</code> 1 succeeded"));
    world.fault(TICKET, not_allowed());
    world.advance(7_050);
    world
        .until(|status| status["summary"]["degraded"] == 2)
        .await;
    let page = world.get("/status?lang=en&account=main").await.text;
    assert!(
        page.contains("always served, 1 h with failed refreshes, 21 h without data"),
        "{page}"
    );
    assert!(page.contains("<code>jsapi_ticket</code> 1 succeeded, 1 failed"));
}

#[tokio::test]
async fn the_search_term_is_escaped() {
    let world = World::healthy().await;
    let page = world
        .get("/status?q=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E&lang=en")
        .await
        .text;
    assert!(
        !page.contains("<script>alert") && page.contains("No account matches."),
        "{page}"
    );
    let page = world.get("/status?lang=%22%3E%3Ci%3E").await.text;
    assert!(!page.contains("\"><i>"), "{page}");
}

#[tokio::test]
async fn wechats_error_message_is_escaped() {
    let world = World::healthy().await;
    let odd = "<img src=x onerror=alert(1)> & \"quoted\"";
    world.fault(
        TICKET,
        wx_jssdk::sandbox::FaultKind::ErrcodeWith(48_001, odd.into()),
    );
    world.advance(7_050);
    world
        .until(|status| status["summary"]["degraded"] == 2)
        .await;
    let page = world.get("/status").await.text;
    assert!(!page.contains("<img") && page.contains("48001"), "{page}");
}

#[tokio::test]
async fn a_removed_account_disappears_and_an_empty_list_says_how_to_begin() {
    let world = World::healthy().await;
    let read = |text: &str| {
        Settings::read(
            text,
            std::path::Path::new(""),
            std::collections::HashMap::new(),
        )
        .unwrap()
    };
    world.app.reloader.reload(read("")).unwrap();
    let status = world.status().await;
    assert_eq!(
        (
            status["summary"]["accounts"].as_u64(),
            status["accounts"].as_array().unwrap().len()
        ),
        (Some(0), 0)
    );
    assert!(
        world
            .get("/status?lang=en")
            .await
            .text
            .contains("No account is configured")
    );
    assert!(
        world
            .get("/status?lang=zh")
            .await
            .text
            .contains("尚未配置账号")
    );
}
