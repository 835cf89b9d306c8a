//! Messages of the users of authorised accounts: WeChat's test of a platform that goes live is answered here, all
//! others by the company's own server, if there is one.

use std::fmt;
use std::pin::Pin;

use super::{NotReceived, Outcome, PushReceiver, SUCCESS};
use crate::broker::Broker;
use crate::platform::PushKeys;
use crate::platform::message::{GoingLive, UserMessage};

/// Sends messages on to the company's own server, which decrypts them itself.
pub trait ForwardMessages: fmt::Debug + Send + Sync {
    /// Sends a message on. Returns `Err` with a reason for the log if no answer comes in time.
    fn forward<'a>(&'a self, message: &'a Forward<'a>) -> ForwardFuture<'a>;
}

/// The answer to a forwarded message, in the future.
pub type ForwardFuture<'a> =
    Pin<Box<dyn Future<Output = Result<MessageAnswer, String>> + Send + 'a>>;

/// A message to be sent on as it came.
#[derive(Clone, Copy)]
pub struct Forward<'a> {
    /// The AppID in the path, which WeChat's signature does not cover.
    pub app_id: &'a str,
    /// The query, without the question mark.
    pub query: &'a str,
    /// The Content-Type, if there was one.
    pub content_type: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// The body of the answer to a message, for WeChat. Its status is 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageAnswer {
    /// The Content-Type, if there is one.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl MessageAnswer {
    fn text(body: impl Into<Vec<u8>>) -> Self {
        Self {
            content_type: Some("text/plain".to_owned()),
            body: body.into(),
        }
    }
}

impl PushReceiver {
    /// Processes a message or an event for an authorised account, and returns the answer, which WeChat expects
    /// within five seconds.
    ///
    /// # Errors
    /// [`NotReceived::Invalid`]; the log has the reason.
    pub async fn receive_message(
        &self,
        broker: &Broker,
        push: &Forward<'_>,
    ) -> Result<MessageAnswer, NotReceived> {
        let opened = self.open(push.query, push.body);
        let (message, keys) = opened.map_err(|reason| self.refuse(broker, reason))?;
        // A message of a form that is not known here may be known to the company's own server.
        let message = UserMessage::read(message.expose());
        let test = message
            .as_ref()
            .and_then(|message| Some((message, message.going_live()?)));
        if let Some((message, expected)) = test {
            self.count(Outcome::Answered);
            return Ok(self.answer_test(broker, message, expected, &keys));
        }
        let Some(forwarder) = &self.forwarder else {
            self.count(Outcome::Answered);
            return Ok(MessageAnswer::text(SUCCESS));
        };
        match forwarder.forward(push).await {
            Ok(answer) => {
                self.count(Outcome::Forwarded);
                Ok(answer)
            }
            Err(error) => {
                self.count(Outcome::NotForwarded);
                if self.not_forwarded.may_log(broker.clock().uptime()) {
                    tracing::warn!(
                        platform = self.platform, app_id = push.app_id, %error,
                        "message could not be forwarded"
                    );
                }
                // Anything else is shown to the user as a fault of the account.
                Ok(MessageAnswer::text(SUCCESS))
            }
        }
    }

    fn answer_test(
        &self,
        broker: &Broker,
        message: &UserMessage,
        expected: GoingLive,
        keys: &PushKeys,
    ) -> MessageAnswer {
        match expected {
            GoingLive::Reply(text) => {
                let now = broker.clock().wall();
                let reply = keys.reply(&message.text_reply(&text, now), now);
                MessageAnswer {
                    content_type: Some("text/xml; charset=utf-8".to_owned()),
                    body: reply.into_bytes(),
                }
            }
            GoingLive::Redeem(code) => {
                broker.answer_code_later(self.component_app_id(), code, message.from.clone());
                MessageAnswer::text("")
            }
        }
    }
}
