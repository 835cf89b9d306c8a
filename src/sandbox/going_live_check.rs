//! WeChat's test of a platform that goes live (全网发布), with its two test accounts.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use super::app_settings::App;
use super::bounded_queue::push_back;
use super::push::{Push, PushReply};
use super::shared_state::{Inside, Shared};
use super::simulated_endpoints::Call;

/// A message that an account sent to a user (客服消息).
struct SentMessage {
    token: String,
    user: String,
    text: String,
}

/// The newest messages that accounts sent to users.
#[derive(Default)]
pub(super) struct SentMessages(VecDeque<SentMessage>);

impl SentMessages {
    /// Keeps the message of a call whose token was checked.
    pub(super) fn keep(&mut self, call: &Call<'_>) {
        let Ok(body) = call.json() else { return };
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let (Some(token), Some(user), Some(text)) = (
            call.filled("access_token"),
            text(body.get("touser")),
            text(body.pointer("/text/content")),
        ) else {
            return;
        };
        let message = SentMessage {
            token: token.to_owned(),
            user,
            text,
        };
        push_back(&mut self.0, message, REMEMBERED);
    }

    /// Returns the token with which a text was sent to a user.
    fn token_of(&self, user: &str, text: &str) -> Option<String> {
        let mut sent = self.0.iter();
        let found = sent.find(|message| message.user == user && message.text == text);
        found.map(|message| message.token.clone())
    }
}

impl Shared {
    /// Returns which answer of the platform was not the expected one.
    pub(super) async fn check_going_live(&self, component: &str) -> Result<(), String> {
        let ticket = self.push(component, &Push::ticket()).await?;
        expect_success("component_verify_ticket", &ticket)?;
        let [(official, _), (mini, _)] = TEST_ACCOUNTS;
        let mut pushed_codes = Vec::new();
        for (app_id, _) in TEST_ACCOUNTS {
            self.add_test_account(app_id);
            let (granted, pushed) = self.authorize(component, app_id, true).await?;
            if let Some(pushed) = &pushed {
                expect_success("authorized", pushed)?;
            }
            pushed_codes.push(granted.code);
        }
        let text = "TESTCOMPONENT_MSG_TYPE_TEXT";
        let message = Push::message(official, USER, text);
        let answer = self.push(component, &message).await?;
        expect_reply(text, &answer, &format!("{text}_callback"))?;
        let event = Push::user_event(official, USER, "LOCATION");
        let answer = self.push(component, &event).await?;
        expect_reply("the event LOCATION", &answer, "LOCATIONfrom_callback")?;
        // One code of which the platform knows nothing, and one that was pushed.
        let unknown = self.simulate(|it, now| it.authorize(component, official, None, false, now));
        self.check_code(component, official, &unknown?.code).await?;
        self.check_code(component, mini, &pushed_codes[1]).await
    }

    async fn check_code(&self, component: &str, app_id: &str, code: &str) -> Result<(), String> {
        let text = format!("QUERY_AUTH_CODE:{code}");
        let answer = self
            .push(component, &Push::message(app_id, USER, text))
            .await?;
        if answer.status != Some(200) || !answer.body.is_empty() {
            return Err(not_expected("QUERY_AUTH_CODE", &answer, "an empty answer"));
        }
        let expected = format!("{code}_from_api");
        let mut token = None;
        let sent = self.wait_until(|inside: &Inside| {
            token = inside.simulator.sent_messages.token_of(USER, &expected);
            token.is_some()
        });
        if tokio::time::timeout(MESSAGE_TIMEOUT, sent).await.is_err() {
            let seconds = MESSAGE_TIMEOUT.as_secs();
            return Err(format!(
                "QUERY_AUTH_CODE of {app_id}: {SEND_MESSAGE} did not send the code with \"_from_api\" within {seconds} s"
            ));
        }
        let inside = self.inside();
        let right = inside.simulator.component(component)?.token_of_code(code);
        match right {
            Some(right) if token.as_deref() == Some(right) => Ok(()),
            Some(_) => Err(format!(
                "QUERY_AUTH_CODE of {app_id}: the message was sent with another token than that of the code"
            )),
            None => Err(format!(
                "QUERY_AUTH_CODE of {app_id}: the code was not redeemed"
            )),
        }
    }

    fn add_test_account(&self, app_id: &str) {
        let mut inside = self.inside();
        if inside.simulator.app(app_id).is_none() {
            let secret = "00000000000000000000000000000000";
            inside.simulator.add(match app_id == TEST_ACCOUNTS[0].0 {
                true => App::official(app_id, secret),
                false => App::mini(app_id, secret),
            });
        }
    }
}

fn expect_success(what: &str, reply: &PushReply) -> Result<(), String> {
    match reply.is_success() {
        true => Ok(()),
        false => Err(not_expected(what, reply, "\"success\"")),
    }
}

fn expect_reply(what: &str, reply: &PushReply, expected: &str) -> Result<(), String> {
    match (&reply.reply, &reply.reply_problem) {
        (Some(text), _) if text == expected => Ok(()),
        (_, Some(problem)) => Err(format!("{what}: {problem}")),
        _ => Err(not_expected(
            what,
            reply,
            &format!("the text \"{expected}\""),
        )),
    }
}

fn not_expected(what: &str, reply: &PushReply, expected: &str) -> String {
    let got = reply.reply.as_ref().unwrap_or(&reply.body);
    let got: String = got.chars().take(200).collect();
    match reply.status {
        Some(status) => format!("{what}: expected {expected} (got \"{got}\", HTTP {status})"),
        None => format!("{what}: expected {expected} (no answer: {got})"),
    }
}

/// AppID and original id (原始ID) of WeChat's test accounts: an official account and a mini program.
pub(super) const TEST_ACCOUNTS: [(&str, &str); 2] = [
    ("wx570bc396a51b8ff8", "gh_3c884a361561"),
    ("wxd101a85aa106f53e", "gh_8dad206e9538"),
];

pub(super) const SEND_MESSAGE: &str = "/cgi-bin/message/custom/send";

/// Openid of the user who sends the messages.
const USER: &str = "oGoingLiveTestUser0000000000";

/// How long the message through the API may take, in real time.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(20);

/// Messages that are kept.
const REMEMBERED: usize = 64;
