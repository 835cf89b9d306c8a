//! User messages to the accounts of an open platform, and WeChat's go-live test.

use serde_json::json;
use wx_jssdk::sandbox::{Push, Sandbox};

use crate::common::http::client;
use crate::platform_support::*;
use crate::support::*;

const USER: &str = "oUser000000000000000000000000";

/// A sandbox that sends events and messages to one receiver.
async fn messaging() -> (Sandbox, Receiver) {
    let receiver = Receiver::start().await;
    let platform = platform()
        .with_push_url(&receiver.url)
        .with_message_url(format!("{}?account=$APPID$", receiver.url))
        .with_push_keys("push-token", KEY)
        .authorized_by(APP);
    (platform_sandbox_with(platform).await, receiver)
}

#[tokio::test]
async fn a_message_goes_to_the_message_url_and_names_the_account() {
    let (sandbox, mut receiver) = messaging().await;
    let reply = sandbox.send_message(PLATFORM, APP, USER, "hello").await;
    assert!(reply.is_success(), "{reply:?}");
    assert_eq!(reply.info_type, "text");
    let push = receiver.next().await;
    let query = format!("account={APP}&signature=");
    assert!(push.query.starts_with(&query), "{}", push.query);
    let id = format!("gh_{}", &APP[2..14]);
    let outer = format!("<ToUserName><![CDATA[{id}]]></ToUserName>");
    assert!(push.body.contains(&outer), "{}", push.body);
    assert!(!push.body.contains("<AppId>"), "{}", push.body);
    let event = Push::user_event(APP, USER, "subscribe");
    assert_eq!(sandbox.push(PLATFORM, event).await.info_type, "event");
}

#[tokio::test]
async fn an_invalid_reply_is_reported_with_its_problem() {
    let (sandbox, receiver) = messaging().await;
    let unsigned = "<xml><Encrypt>x</Encrypt><MsgSignature>y</MsgSignature><TimeStamp>1</TimeStamp><Nonce>2</Nonce></xml>";
    for (body, problem) in [
        ("hello", "not XML"),
        ("<xml><a>1</a></xml>", "no Encrypt"),
        (unsigned, "MsgSignature"),
    ] {
        receiver.answer(&[(200, body)]);
        let reply = sandbox.send_message(PLATFORM, APP, USER, "hello").await;
        let found = reply.reply_problem.clone().unwrap_or_default();
        assert!(found.contains(problem), "{body}: {reply:?}");
        assert_eq!(reply.reply, None);
    }
    receiver.answer(&[(200, "")]);
    let reply = sandbox.send_message(PLATFORM, APP, USER, "hello").await;
    assert_eq!((reply.reply, reply.reply_problem), (None, None));
}

#[tokio::test]
async fn a_long_reply_is_read_whole_and_shown_in_part() {
    let (sandbox, receiver) = messaging().await;
    let long = format!(
        "<xml><Encrypt>{}</Encrypt><MsgSignature>y</MsgSignature><TimeStamp>1</TimeStamp><Nonce>2</Nonce></xml>",
        "x".repeat(40_000)
    );
    receiver.answer(&[(200, long.leak())]);
    let reply = sandbox.send_message(PLATFORM, APP, USER, "hello").await;
    let problem = reply.reply_problem.unwrap_or_default();
    assert!(problem.contains("MsgSignature"), "{problem}");
    assert_eq!(reply.body.len(), 4_096);
}

#[tokio::test]
#[should_panic(expected = "has not authorised")]
async fn an_account_that_has_not_authorised_gets_no_messages() {
    let (sandbox, _receiver) = messaging().await;
    sandbox.send_message(PLATFORM, MINI, USER, "hello").await;
}

#[tokio::test]
async fn a_message_has_an_id_and_any_text_and_an_event_has_no_id() {
    let (sandbox, mut receiver) = messaging().await;
    let text = "a]]>b & <c>";
    sandbox.send_message(PLATFORM, APP, USER, text).await;
    let message = open(&receiver.next().await, KEY).message;
    let id = field(&message, "MsgId").parse::<u64>().unwrap();
    assert!(id >= 1 << 32, "{id}");
    let content = between(&message, "<Content>", "</Content>");
    assert_eq!(content, "<![CDATA[a]]]]><![CDATA[>b & <c>]]>");
    let own = Push::message(APP, USER, text).field("MsgId", "7");
    sandbox.push(PLATFORM, own).await;
    let message = open(&receiver.next().await, KEY).message;
    assert_eq!(field(&message, "MsgId"), "7");
    let event = Push::user_event(APP, USER, "subscribe");
    sandbox.push(PLATFORM, event).await;
    let message = open(&receiver.next().await, KEY).message;
    assert!(!message.contains("MsgId"), "{message}");
}

#[tokio::test]
async fn the_go_live_test_says_why_there_was_no_answer() {
    let platform = platform().with_push_url("http://127.0.0.1:1/push");
    let sandbox = platform_sandbox_with(platform).await;
    let problem = sandbox.check_going_live(PLATFORM).await.unwrap_err();
    let start = "component_verify_ticket: expected \"success\" (no answer: ";
    assert!(problem.starts_with(start), "{problem}");
    assert!(problem.contains("Connection refused"), "{problem}");
    assert!(!problem.contains("HTTP 0"), "{problem}");
    assert!(!problem.contains("msg_signature"), "{problem}");
}

#[tokio::test]
async fn the_go_live_test_names_the_first_wrong_answer() {
    let (sandbox, receiver) = messaging().await;
    receiver.answer(&[(500, "broken")]);
    let problem = sandbox.check_going_live(PLATFORM).await.unwrap_err();
    assert!(
        problem.starts_with("component_verify_ticket: expected \"success\" (got \"broken\""),
        "{problem}"
    );
    // It answers `success` to everything.
    let checked = post(&sandbox, "/sandbox/going-live-check", "{}".to_owned()).await;
    assert_eq!(
        checked,
        json!({
            "passed": false,
            "problem": "TESTCOMPONENT_MSG_TYPE_TEXT: expected the text \"TESTCOMPONENT_MSG_TYPE_TEXT_callback\" (got \"success\", HTTP 200)",
        })
    );
}

#[tokio::test]
async fn a_message_is_sent_by_the_control_api() {
    let (sandbox, _receiver) = messaging().await;
    let order = json!({
        "what": "message", "app_id": APP, "from_user": USER,
        "fields": { "MsgType": "text", "Content": "hello" },
    });
    let answer = post(&sandbox, "/sandbox/push", order.to_string()).await;
    assert_eq!(answer["body"], "success", "{answer}");
    let url = format!("{}/sandbox/push", sandbox.url());
    for order in [
        json!({ "what": "message" }),
        json!({ "what": "message", "app_id": APP, "from_user": USER, "fields": { "Content": "hello" } }),
    ] {
        let request = client().post(&url).body(order.to_string());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 400, "{order}");
        let error = answer.text().await.unwrap();
        assert!(error.contains("a message requires"), "{error}");
    }
}

#[tokio::test]
#[should_panic(expected = "$APPID$")]
async fn a_message_url_must_have_a_placeholder_for_the_appid() {
    let platform = platform().with_message_url("http://127.0.0.1:1/messages");
    platform_sandbox_with(platform).await;
}
