//! Pushes to an open platform: their content, their timing, and their faults.

use std::time::Duration;

use serde_json::{Value, json};
use wx_jssdk::clock::UnixTime;
use wx_jssdk::sandbox::{Push, Sandbox};

use crate::common::upstream::sha1_hex;
use crate::platform_support::*;
use crate::support::*;

fn is_signed(push: &Received, token: &str) -> bool {
    let param = |name: &str| {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(&push.query).unwrap();
        pairs.into_iter().find(|(key, _)| key == name).unwrap().1
    };
    let (timestamp, nonce) = (param("timestamp"), param("nonce"));
    assert_eq!(param("encrypt_type"), "aes");
    assert_eq!(timestamp, START.0.to_string());
    let encrypt = field(&push.body, "Encrypt");
    let mut signed = [token, &timestamp, &nonce, encrypt];
    signed.sort_unstable();
    sha1_hex(&signed.concat()) == param("msg_signature")
}

#[tokio::test]
async fn pushes_go_on_while_the_host_is_unreachable() {
    let (sandbox, mut receiver) = pushing().await;
    let settings = platform().with_push_url(&receiver.url);
    sandbox.add_platform(settings.push_timeout(seconds(3)));
    receiver.answer(&[(0, "")]);
    start_pushes(&sandbox).await;
    sandbox.advance(seconds(600));
    let first = receiver.next().await;
    sandbox.host().set_reachable(false).await.unwrap();
    // The one under way fails in its own time, and is repeated.
    sandbox.wait_for_pushes(PLATFORM, 1).await;
    sandbox.advance(seconds(5));
    assert_eq!(receiver.next().await, first);
}

#[tokio::test]
async fn a_reset_keeps_started_pushes_and_restarts_their_period() {
    let (sandbox, mut receiver) = pushing().await;
    start_pushes(&sandbox).await;
    sandbox.advance(seconds(599));
    sandbox.reset();
    let again = start_pushes(&sandbox).await;
    assert_eq!(again["errmsg"], "in a normal state");
    sandbox.advance(seconds(599));
    start_pushes(&sandbox).await;
    assert!(receiver.is_empty());
    sandbox.advance(seconds(1));
    receiver.next().await;
}

async fn start_pushes(sandbox: &Sandbox) -> Value {
    let body = json!({ "component_appid": PLATFORM, "component_secret": PLATFORM_SECRET });
    component(sandbox, "api_start_push_ticket", None, body).await
}

#[tokio::test]
async fn a_ticket_is_pushed_signed_and_encrypted_for_the_platform() {
    let (sandbox, mut receiver) = pushing().await;
    let reply = sandbox.push_ticket(PLATFORM).await;
    assert!(reply.is_success(), "{reply:?}");
    assert_eq!(reply.info_type, "component_verify_ticket");
    let push = receiver.next().await;
    assert!(is_signed(&push, "push-token"));
    assert_eq!(field(&push.body, "AppId"), PLATFORM);
    let opened = open(&push, KEY);
    assert_eq!(opened.receiver, PLATFORM);
    assert_eq!(
        opened.message,
        format!(
            "<xml><AppId><![CDATA[{PLATFORM}]]></AppId>\n<CreateTime>{START}</CreateTime>\n\
            <InfoType><![CDATA[component_verify_ticket]]></InfoType>\n\
            <ComponentVerifyTicket><![CDATA[{}]]></ComponentVerifyTicket>\n</xml>",
            sandbox.component_ticket(PLATFORM).unwrap()
        )
    );
}

#[tokio::test]
async fn started_pushes_come_every_ten_minutes_of_the_sandboxs_clock() {
    let (sandbox, mut receiver) = pushing().await;
    start_pushes(&sandbox).await;
    sandbox.advance(seconds(599));
    start_pushes(&sandbox).await;
    assert!(receiver.is_empty());
    sandbox.advance(seconds(1));
    let first = receiver.next().await;
    // After a clock jump there is one push, and the next period begins.
    sandbox.advance(seconds(6_000));
    let second = receiver.next().await;
    assert_ne!(first, second);
    assert_eq!(
        field(&open(&second, KEY).message, "CreateTime"),
        (START.0 + 6_600).to_string()
    );
    sandbox.advance(seconds(600));
    receiver.next().await;
    assert!(receiver.is_empty());
}

#[tokio::test]
async fn a_push_without_success_is_repeated_three_times_five_seconds_apart() {
    let (sandbox, mut receiver) = pushing().await;
    receiver.answer(&[(500, "success"), (200, "ok"), (404, ""), (200, " success")]);
    start_pushes(&sandbox).await;
    sandbox.advance(seconds(600));
    let first = receiver.next().await;
    for tries in 1..=3 {
        sandbox.wait_for_pushes(PLATFORM, tries).await;
        sandbox.advance(seconds(5));
        assert_eq!(receiver.next().await, first, "to the byte");
    }
    sandbox.wait_for_pushes(PLATFORM, 4).await;
    sandbox.advance(seconds(60));
    start_pushes(&sandbox).await;
    assert!(receiver.is_empty());
    let statuses = sandbox.push_replies(PLATFORM);
    let statuses: Vec<_> = statuses.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [Some(500), Some(200), Some(404), Some(200)]);
}

#[tokio::test]
async fn an_authorisation_its_update_and_its_end_are_pushed() {
    let (sandbox, mut receiver) = pushing().await;
    let code = sandbox.authorize(PLATFORM, APP).await;
    let opened = open(&receiver.next().await, KEY);
    let message = opened.message.as_str();
    assert_eq!(opened.receiver, PLATFORM);
    assert_eq!(field(message, "InfoType"), "authorized");
    assert_eq!(field(message, "AuthorizerAppid"), APP);
    assert_eq!(field(message, "AuthorizationCode"), code);
    assert_eq!(
        field(message, "AuthorizationCodeExpiredTime"),
        (START.0 + 600).to_string()
    );
    assert!(field(message, "PreAuthCode").starts_with("preauthcode@@@"));
    // WeChat pushes nothing if the permission sets did not change.
    sandbox.authorize(PLATFORM, APP).await;
    let code = sandbox.change_authorization(PLATFORM, APP).await;
    let update = open(&receiver.next().await, KEY).message;
    assert_eq!(field(&update, "InfoType"), "updateauthorized");
    assert_eq!(field(&update, "AuthorizationCode"), code);
    let reply = sandbox.cancel_authorization(PLATFORM, APP).await;
    assert!(reply.is_success());
    let end = open(&receiver.next().await, KEY).message;
    assert_eq!(field(&end, "InfoType"), "unauthorized");
    assert_eq!(field(&end, "AuthorizerAppid"), APP);
    sandbox.authorize(PLATFORM, APP).await;
    let again = open(&receiver.next().await, KEY).message;
    assert_eq!(field(&again, "InfoType"), "authorized");
}

#[tokio::test]
async fn the_list_dates_an_authorisation_as_its_event_is_dated() {
    let (sandbox, mut receiver) = pushing().await;
    let token = component_token(&sandbox).await;
    receiver.next().await;
    let auth_time = async || {
        let body = json!({ "component_appid": PLATFORM, "offset": 0, "count": 1 });
        let list = "api_get_authorizer_list";
        let list = component(&sandbox, list, Some(token.as_str()), body).await;
        list["list"][0]["auth_time"].as_u64().unwrap()
    };
    let mut create_time = async || {
        let opened = open(&receiver.next().await, KEY);
        field(&opened.message, "CreateTime").parse::<u64>().unwrap()
    };
    // All in the same second.
    sandbox.authorize(PLATFORM, APP).await;
    assert_eq!(auth_time().await, create_time().await);
    sandbox.cancel_authorization(PLATFORM, APP).await;
    let cancelled = create_time().await;
    sandbox.authorize(PLATFORM, APP).await;
    let authorized = auth_time().await;
    assert_eq!(authorized, create_time().await);
    assert!(authorized > cancelled);
    sandbox.change_authorization(PLATFORM, APP).await;
    let changed = create_time().await;
    assert_eq!(auth_time().await, changed);
    // Without an event.
    sandbox.authorize(PLATFORM, APP).await;
    assert_eq!(auth_time().await, changed);
}

#[tokio::test]
async fn a_failed_event_is_repeated() {
    let (sandbox, mut receiver) = pushing().await;
    receiver.answer(&[(503, "")]);
    sandbox.authorize(PLATFORM, APP).await;
    let first = receiver.next().await;
    sandbox.advance(seconds(5));
    assert_eq!(receiver.next().await, first);
    sandbox.wait_for_pushes(PLATFORM, 2).await;
    assert!(sandbox.push_replies(PLATFORM)[1].is_success());
}

#[tokio::test]
async fn a_push_may_carry_a_wrong_signature_or_another_receiver() {
    let (sandbox, mut receiver) = pushing().await;
    sandbox
        .push(PLATFORM, Push::ticket().wrong_signature())
        .await;
    let push = receiver.next().await;
    assert!(!is_signed(&push, "push-token"));
    assert_eq!(open(&push, KEY).receiver, PLATFORM);
    sandbox
        .push(PLATFORM, Push::ticket().wrong_receiver())
        .await;
    let push = receiver.next().await;
    assert!(is_signed(&push, "push-token"));
    assert_ne!(open(&push, KEY).receiver, PLATFORM);
}

#[tokio::test]
async fn a_push_may_use_the_keys_before_the_current_ones() {
    let (sandbox, mut receiver) = pushing().await;
    sandbox.push(PLATFORM, Push::ticket().previous_keys()).await;
    let push = receiver.next().await;
    assert!(is_signed(&push, "old-token"));
    assert_eq!(open(&push, OLD_KEY).receiver, PLATFORM);
}

#[tokio::test]
async fn a_push_may_be_truncated() {
    let (sandbox, mut receiver) = pushing().await;
    sandbox.push(PLATFORM, Push::ticket().truncated()).await;
    let push = receiver.next().await;
    assert!(!push.body.is_empty() && !push.body.contains("</Encrypt>"));
}

#[tokio::test]
async fn a_push_may_come_twice_and_be_replayed_to_the_byte() {
    let (sandbox, mut receiver) = pushing().await;
    sandbox.push(PLATFORM, Push::ticket().twice()).await;
    let push = receiver.next().await;
    assert_eq!(receiver.next().await, push);
    sandbox.advance(seconds(3_600));
    sandbox.push(PLATFORM, Push::replay()).await;
    assert_eq!(receiver.next().await, push);
    assert_eq!(sandbox.push_replies(PLATFORM).len(), 3);
}

#[tokio::test]
async fn any_event_may_be_pushed_with_any_time() {
    let (sandbox, mut receiver) = pushing().await;
    let event = Push::event("notify_third_fasteregister")
        .field("appid", "wx2")
        .field("status", "0")
        .created_at(UnixTime(7));
    sandbox.push(PLATFORM, event).await;
    let message = open(&receiver.next().await, KEY).message;
    assert_eq!(field(&message, "InfoType"), "notify_third_fasteregister");
    assert_eq!(field(&message, "CreateTime"), "7");
    assert!(message.contains("<status>0</status>"));
    assert_eq!(field(&message, "appid"), "wx2");
}

#[tokio::test]
async fn a_push_that_is_not_answered_in_time_has_failed() {
    let (sandbox, mut receiver) = pushing().await;
    let settings = platform().with_push_url(&receiver.url);
    sandbox.add_platform(settings.push_timeout(Duration::from_millis(50)));
    receiver.answer(&[(0, "")]);
    let reply = sandbox.push_ticket(PLATFORM).await;
    assert_eq!(reply.status, None);
    assert!(reply.took >= Duration::from_millis(50), "{reply:?}");
    receiver.next().await;
}

#[tokio::test]
async fn a_platform_without_a_push_url_still_gets_a_ticket() {
    let sandbox = platform_sandbox().await;
    let reply = sandbox.push_ticket(PLATFORM).await;
    assert_eq!(reply.status, None);
    assert_eq!(reply.body, "the platform has no push URL");
    assert!(sandbox.component_ticket(PLATFORM).is_some());
}

#[tokio::test]
#[should_panic(expected = "nothing has been pushed yet")]
async fn there_is_nothing_to_replay_before_the_first_push() {
    let sandbox = platform_sandbox().await;
    sandbox.push(PLATFORM, Push::replay()).await;
}
