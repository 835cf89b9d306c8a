//! `wx-jssdk diagnose`: its output and exit codes.

use std::path::Path;

use crate::common::program::*;
use crate::common::upstream::{sha1_hex, signature};

const TICKET: &str =
    "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";

fn arguments<'a>(url: &'a str, signature: &'a str) -> Vec<&'a str> {
    vec![
        "diagnose",
        "--url",
        url,
        "--nonce",
        "n",
        "--timestamp",
        "1414587457",
        "--signature",
        signature,
        "--ticket",
        "-",
    ]
}

fn signed(url: &str) -> String {
    signature(TICKET, "n", 1_414_587_457, url)
}

#[tokio::test]
async fn the_mistake_is_named_in_both_languages_and_the_ticket_is_not_printed() {
    let ended = run_with_stdin(
        &arguments("https://h.cn/p#top", &signed("https://h.cn/p#top")),
        TICKET,
    )
    .await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(
        ended.stdout.starts_with("fragment_kept (proven)\n") && is_bilingual(&ended.stdout),
        "{}",
        ended.stdout
    );
    let strings = ["signed  · 实际签名", "correct · 应当签名"].map(|title| {
        let line = ended.stdout.lines().find(|line| line.starts_with(title));
        line.and_then(|line| line.split_once(": ")).unwrap().1
    });
    let correct = "jsapi_ticket=[jsapi_ticket]&noncestr=n&timestamp=1414587457&url=https://h.cn/p";
    assert_eq!(strings, [&format!("{correct}#top"), correct]);
    assert!(!ended.stdout.contains(&TICKET[..16]), "{}", ended.stdout);
}

#[tokio::test]
async fn a_right_signature_is_exit_code_0_and_an_unexplained_one_1() {
    let right = run_with_stdin(
        &arguments("https://h.cn/p", &signed("https://h.cn/p")),
        TICKET,
    )
    .await;
    assert_eq!(right.code, 0);
    assert!(
        right.stdout.starts_with("signature_is_right") && !right.stdout.contains("correct ·"),
        "{}",
        right.stdout
    );
    let unexplained = run_with_stdin(
        &arguments("https://h.cn/p", &sha1_hex("something else")),
        TICKET,
    )
    .await;
    assert_eq!(unexplained.code, 1);
    assert!(
        unexplained.stdout.starts_with("no_known_mistake_fits")
            && unexplained.stdout.contains("\ncorrect · 应当签名"),
        "{}",
        unexplained.stdout
    );
}

#[tokio::test]
async fn an_agent_config_error_selects_the_agent_ticket_without_a_flag() {
    let answer = format!(
        r#"{{"timestamp":1414587457,"nonceStr":"n","signature":"{}"}}"#,
        signed("https://h.cn/p")
    );
    let text = format!("agentConfig:fail,invalid signature\n{answer}");
    let arguments = [
        "diagnose",
        "--paste",
        "-",
        "--url",
        "https://h.cn/p",
        "--agent-ticket",
        TICKET,
    ];
    let ended = run_with_stdin(&arguments, &text).await;
    assert!(
        ended.code == 0 && ended.stdout.starts_with("signature_is_right (proven)"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn an_answer_for_agent_config_selects_the_agent_ticket_without_a_flag() {
    let answer = format!(
        r#"{{"corpid":"ww1","agentid":1000002,"timestamp":1414587457,"nonceStr":"n","signature":"{}"}}"#,
        signed("https://h.cn/p")
    );
    for source in ["--json", "--paste"] {
        let arguments = [
            "diagnose",
            source,
            "-",
            "--url",
            "https://h.cn/p",
            "--agent-ticket",
            TICKET,
        ];
        let ended = run_with_stdin(&arguments, &answer).await;
        assert!(
            ended.code == 0 && ended.stdout.starts_with("signature_is_right (proven)"),
            "{source}: {}",
            ended.stdout
        );
    }
    // --ticket does not say which of the two tickets it is.
    let arguments = [
        "diagnose",
        "--json",
        "-",
        "--url",
        "https://h.cn/p",
        "--ticket",
        TICKET,
    ];
    let ended = run_with_stdin(&arguments, &answer).await;
    assert!(
        ended.code == 1 && ended.stdout.starts_with("ticket_kind_unknown (possible)"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn the_clients_error_message_alone_is_enough() {
    let ended = run(&["diagnose", "--error", "config:invalid url domain"]).await;
    assert_eq!(ended.code, 0);
    assert!(
        ended.stdout.starts_with("domain_not_bound (likely)"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn a_foreign_backends_json_is_read_from_stdin() {
    let json = format!(
        r#"{{"data":{{"nonce_str":"n","timestamp":1414587457,"signature":"{}"}}}}"#,
        signed("http://h.cn/p")
    );
    // Editors on Windows write a byte order mark, and a shell may keep quotes.
    for (url, before) in [("https://h.cn/p", ""), ("'https://h.cn/p'", "\u{feff}")] {
        let arguments = ["diagnose", "--url", url, "--json", "-", "--ticket", TICKET];
        let ended = run_with_stdin(&arguments, &format!("{before}{json}")).await;
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(
            ended.stdout.starts_with("scheme_swapped (proven)"),
            "{}",
            ended.stdout
        );
    }
}

#[tokio::test]
async fn every_ticket_and_token_may_be_in_a_file() {
    let home = tempfile::tempdir().unwrap();
    let (right, other) = (home.path().join("right"), home.path().join("other"));
    std::fs::write(&right, format!("{TICKET}\n")).unwrap();
    std::fs::write(&other, "another-ticket-of-eighty-six-characters").unwrap();
    let at = |path: &Path| format!("@{}", path.display());
    let (right, other) = (at(&right), at(&other));
    let signature = signed("https://h.cn/p");
    for (flag, code) in [
        ("--ticket", "signature_is_right"),
        ("--previous-ticket", "previous_ticket"),
        ("--card-ticket", "card_ticket_for_jsapi"),
        ("--agent-ticket", "agent_ticket_for_jsapi"),
        ("--access-token", "access_token_for_ticket"),
        ("--other-ticket", "ticket_of_another_account"),
    ] {
        let mut arguments = arguments("https://h.cn/p", &signature);
        *arguments.last_mut().unwrap() = if flag == "--ticket" { &right } else { &other };
        arguments.extend([flag, &right].into_iter().filter(|_| flag != "--ticket"));
        let ended = run(&arguments).await;
        assert!(ended.stdout.starts_with(code), "{flag}: {}", ended.stdout);
    }
    let ended = run(&[
        "diagnose",
        "--error",
        "x",
        "--card-ticket",
        "@/nowhere/at.all",
    ])
    .await;
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("--card-ticket /nowhere/at.all"));
}

#[tokio::test]
async fn too_little_input_or_invalid_json_is_wrong_usage() {
    for (arguments, input) in [
        (&["diagnose"][..], ""),
        (&["diagnose", "--url", "https://h.cn/"], ""),
        (
            &["diagnose", "--url", "https://h.cn/", "--json", "-"],
            "<html>secret",
        ),
        (&["diagnose", "--json", "-", "--ticket", "-"], "{}"),
        (&["diagnose", "--paste", "-", "--ticket", "-"], "{}"),
        (&["diagnose", "--paste", "-"], "secret"),
        (&["diagnose", "--paste", "/nowhere/at.all"], ""),
        (
            &[
                "diagnose",
                "--url",
                "https://h.cn/",
                "--json",
                "/nowhere/at.all",
            ],
            "",
        ),
    ] {
        let ended = run_with_stdin(arguments, input).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (2, ""),
            "{arguments:?}"
        );
        assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn all_input_may_be_given_in_one_text() {
    let answer = format!(
        "nonceStr: 'n', timestamp: 1414587457, signature: '{}'",
        signed("https://h.cn/p#top")
    );
    let text = format!("config:invalid signature\nhttps://h.cn/p#top\n{answer}");
    let ended = run_with_stdin(&["diagnose", "--paste", "-", "--ticket", TICKET], &text).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stdout.starts_with("fragment_kept (proven)"),
        "{}",
        ended.stdout
    );
    // The hashed string contains the ticket: it is used and not printed.
    let string = format!("jsapi_ticket={TICKET}&noncestr=n&timestamp=1414587457&url=http://h.cn/p");
    let ended = run_with_stdin(
        &["diagnose", "--paste", "-", "--url", "https://h.cn/p"],
        &string,
    )
    .await;
    assert!(
        ended.stdout.starts_with("scheme_swapped (proven)") && !ended.stdout.contains(TICKET),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn the_documents_of_errors_show_what_diagnose_prints() {
    let (nonce, time) = ("eb6a9b9acd28959f642db38dddda9ace", 1_795_841_531);
    let other = "https://demo.example.com/page?a=1&b=2";
    let signature = signature(TICKET, nonce, time, other);
    let answer = format!(
        r#"{{"nonceStr":"{nonce}","timestamp":{time},"signature":"{signature}","url":"{other}"}}"#
    );
    let url = "https://demo.example.com/page?a=1";
    let arguments = ["diagnose", "--url", url, "--json", "-", "--ticket", TICKET];
    let printed = run_with_stdin(&arguments, &answer).await.stdout;
    for path in ["docs/ERRORS.md", "docs/zh/ERRORS.md"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
        let text = text.unwrap();
        let (_, after) = text.split_once("$ wx-jssdk diagnose ").unwrap();
        let shown = after.split("```").next().unwrap();
        let (_, shown) = shown.split_once('\n').unwrap();
        assert_eq!(shown, printed, "{path}");
    }
}
