//! `[notify]`: webhooks by file, text or environment, and their mistakes.

use super::support::*;

const URL: &str = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6-7xxx-4bc4";

#[test]
fn a_webhook_comes_from_the_file_or_the_environment_and_prints_no_address() {
    let of =
        |text: &str, environment: &[(&str, &str)]| good_with(&format!("{MAIN}{text}"), environment);
    let written = format!("[notify.webhooks.ops]\ntype = \"wecom\"\nurl = \"{URL}\"\n");
    let environment = [
        ("WX_JSSDK__NOTIFY__WEBHOOKS__OPS__TYPE", "wecom"),
        ("WX_JSSDK__NOTIFY__WEBHOOKS__OPS__URL", URL),
    ];
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("robot");
    std::fs::write(&file, format!("{URL}\n")).unwrap();
    let by_file = format!(
        "[notify.webhooks.ops]\ntype = \"wecom\"\nurl_file = \"{}\"\n",
        file.display()
    );
    for settings in [
        of(&written, &[]),
        of(
            &format!("{written}url_file = \"\"\nsecret_file = \"\"\n"),
            &[],
        ),
        of("", &environment),
        of(&by_file, &[]),
        of(&by_file, &environment[1..]),
    ] {
        let [webhook] = &settings.notify.webhooks[..] else {
            panic!("{:?}", settings.notify);
        };
        assert_eq!((webhook.name.as_str(), webhook.url.expose()), ("ops", URL));
        assert!(!format!("{settings:?}").contains("693a91f6"));
    }
    assert!(good(MAIN).notify.webhooks.is_empty());
    let url = "https://告警.example.cn/hook?group=值班";
    let written = format!("[notify.webhooks.ops]\ntype = \"json\"\nurl = \"{url}\"\n");
    assert_eq!(of(&written, &[]).notify.webhooks[0].url.expose(), url);
}

#[test]
fn a_mistake_in_a_webhook_is_named_without_its_address() {
    for (text, path) in [
        ("type = \"wecom\"", "url"),
        (
            "type = \"wecom\"\nurl = \"qyapi.weixin.qq.com/693a91f6\"",
            "url",
        ),
        ("type = \"json\"\nurl = \"https://x/ 693a91f6\"", "url"),
        ("type = \"json\"\nurl_file = \"\"", "url"),
        ("type = \"slack\"\nurl = \"https://x/693a91f6\"", "type"),
        ("url = \"https://x/693a91f6\"", "type"),
        (
            "type = \"json\"\nurl = \"https://x/693a91f6\"\nurl_file = \"x\"",
            "url_file",
        ),
        (
            "type = \"wecom\"\nurl = \"https://x/693a91f6\"\nsecret = \"SEC\"",
            "secret",
        ),
        (
            "type = \"json\"\nurl = \"https://x/693a91f6\"\nkeyword = \"x\"",
            "keyword",
        ),
    ] {
        let said = only(
            &format!("notify.webhooks.ops.{path}"),
            read(&format!("{MAIN}[notify.webhooks.ops]\n{text}\n")),
        );
        assert!(!said.contains("693a91f6"), "{said}");
    }
    only(
        "notify.webhooks.Ops",
        read(&format!(
            "{MAIN}[notify.webhooks.Ops]\ntype = \"json\"\nurl = \"https://x/y\"\n"
        )),
    );
    only(
        "notify.language",
        read(&format!("{MAIN}[notify]\nlanguage = \"fr\"\n")),
    );
}
