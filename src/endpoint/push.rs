//! The endpoint for WeChat's pushes to an open platform: checks, decrypts and stores an event.
//!
//! WeChat pushes an event again until it gets `success` within five seconds, so what follows from an event is
//! done after the answer. Messages of users come to another URL: `messages`.

mod messages;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use messages::{Forward, ForwardFuture, ForwardMessages, MessageAnswer};

use super::log_throttle::LogThrottle;
use super::query::value;
use crate::broker::Broker;
use crate::credential::Secret;
use crate::platform::push_crypto::SignedPush;
use crate::platform::push_envelope::encrypted;
use crate::platform::{EventKind, PushEvent, PushKeys, PushRefusal};

/// The answer to a push that was stored. Anything else counts as a failure for WeChat.
pub const SUCCESS: &str = "success";

/// Receives the pushes of one open platform.
#[derive(Debug)]
pub struct PushReceiver {
    platform: String,
    keys: PushKeys,
    /// In the order of [`Outcome::NAMES`].
    counts: Arc<[AtomicU64; Outcome::NAMES.len()]>,
    refused: LogThrottle,
    /// `None` answers [`SUCCESS`] to messages.
    forwarder: Option<Arc<dyn ForwardMessages>>,
    not_forwarded: LogThrottle,
}

/// What became of a push.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Ticket,
    Authorized,
    Unauthorized,
    Other,
    /// A message that was answered here.
    Answered,
    Forwarded,
    NotForwarded,
    Refused,
    NotStored,
}

/// The answer to a push that was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReceived {
    /// It is not valid. The sender does not learn why.
    Invalid,
    /// It could not be stored: WeChat pushes it again.
    Failed,
}

impl PushReceiver {
    /// `platform` is the name for the log; the messages of users go to `forwarder`.
    #[must_use]
    pub fn new(
        platform: &str,
        keys: PushKeys,
        forwarder: Option<Arc<dyn ForwardMessages>>,
    ) -> Self {
        Self {
            platform: platform.to_owned(),
            keys,
            counts: Arc::default(),
            refused: LogThrottle::default(),
            forwarder,
            not_forwarded: LogThrottle::default(),
        }
    }

    /// Processes a push. When it returns without an error, the change is stored: answer [`SUCCESS`].
    ///
    /// # Errors
    /// [`NotReceived`]; the log has the reason.
    pub async fn receive(
        &self,
        broker: &Broker,
        query: &str,
        body: &[u8],
    ) -> Result<(), NotReceived> {
        let event = self.read(query, body);
        let event = event.map_err(|reason| self.refuse(broker, reason))?;
        if let EventKind::Unknown(info_type) = &event.kind {
            tracing::info!(
                platform = self.platform,
                info_type,
                "push of an unknown kind ignored"
            );
        }
        let stored = broker.platform_pushed(&self.keys.receive_id, &event).await;
        if let Err(error) = stored {
            self.count(Outcome::NotStored);
            tracing::error!(
                platform = self.platform, %error,
                "push could not be stored: WeChat will push it again"
            );
            return Err(NotReceived::Failed);
        }
        self.count(Outcome::of(&event.kind));
        Ok(())
    }

    fn read(&self, query: &str, body: &[u8]) -> Result<PushEvent, PushRefusal> {
        let (message, _) = self.open(query, body)?;
        PushEvent::read(message.expose(), &self.keys.receive_id)
    }

    /// Returns the decrypted message, and the keys that it used.
    fn open(&self, query: &str, body: &[u8]) -> Result<(Secret, PushKeys), PushRefusal> {
        let [timestamp, nonce, msg_signature] = ["timestamp", "nonce", "msg_signature"]
            .map(|name| value(query, name).unwrap_or_default());
        // Reading the body takes longer, and its sender is not known yet.
        let is_hex = msg_signature.bytes().all(|byte| byte.is_ascii_hexdigit());
        if msg_signature.len() != 40 || !is_hex {
            return Err(PushRefusal::Signature);
        }
        let encrypt = encrypted(body)?;
        self.keys.open(&SignedPush {
            timestamp: &timestamp,
            nonce: &nonce,
            msg_signature: &msg_signature,
            encrypt: &encrypt,
        })
    }

    fn refuse(&self, broker: &Broker, reason: PushRefusal) -> NotReceived {
        self.count(Outcome::Refused);
        if self.refused.may_log(broker.clock().uptime()) {
            tracing::warn!(platform = self.platform, %reason, "push refused");
        }
        NotReceived::Invalid
    }

    fn count(&self, outcome: Outcome) {
        self.counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the platform's name, and the number of pushes by outcome.
    pub fn counts(&self) -> (&str, impl Iterator<Item = (&'static str, u64)>) {
        let counts = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        (&self.platform, Outcome::NAMES.into_iter().zip(counts))
    }

    /// Shares the counts of the receiver that this one replaces.
    #[must_use]
    pub fn counting_on(mut self, before: &Self) -> Self {
        self.counts = before.counts.clone();
        self
    }

    /// Returns the component_appid.
    pub fn component_app_id(&self) -> &str {
        &self.keys.receive_id
    }
}

impl Outcome {
    /// The names in metrics, in the order of the outcomes.
    const NAMES: [&str; 9] = [
        "ticket",
        "authorized",
        "unauthorized",
        "other",
        "message_answered",
        "message_forwarded",
        "message_not_forwarded",
        "refused",
        "not_stored",
    ];

    fn of(event: &EventKind) -> Self {
        match event {
            EventKind::Ticket(_) => Self::Ticket,
            EventKind::Authorized(_) => Self::Authorized,
            EventKind::Unauthorized { .. } => Self::Unauthorized,
            EventKind::FastRegistration(_) | EventKind::Unknown(_) => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::push_crypto::AesKey;

    fn receiver() -> PushReceiver {
        let keys = PushKeys {
            token: Secret::new("token").into(),
            aes_key: AesKey::parse(&"A".repeat(43)).unwrap().into(),
            receive_id: "wx00000000000c0de0".to_owned(),
        };
        PushReceiver::new("agency", keys, None)
    }

    #[tokio::test]
    async fn a_push_that_the_replaced_receiver_still_gets_is_counted() {
        let broker = Broker::builder().build().unwrap();
        let before = receiver();
        let after = receiver().counting_on(&before);
        for receiver in [&before, &after] {
            let answer = receiver.receive(&broker, "", b"not XML").await;
            assert_eq!(answer, Err(NotReceived::Invalid));
        }
        let (_, counts) = after.counts();
        let counts: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
        assert_eq!(counts, [("refused", 2)]);
    }

    #[test]
    fn a_malformed_signature_is_refused_before_the_body_is_read() {
        for (signature, refusal) in [
            (String::new(), PushRefusal::Signature),
            ("0".repeat(39), PushRefusal::Signature),
            ("g".repeat(40), PushRefusal::Signature),
            ("0".repeat(40), PushRefusal::Envelope),
        ] {
            let query = format!("timestamp=1&nonce=n&msg_signature={signature}");
            let reason = receiver().open(&query, b"not XML").unwrap_err();
            assert_eq!(reason, refusal, "{signature}");
        }
    }
}
