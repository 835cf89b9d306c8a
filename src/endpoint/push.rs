//! The endpoint for WeChat's pushes to an open platform: checks, decrypts and stores an event.
//!
//! WeChat pushes an event again until it gets `success` within five seconds, so what follows from an event is
//! done after the answer. Messages of users come to another URL: `messages`.

mod messages;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use messages::{Forward, ForwardMessages, Forwarding, MessageAnswer};

use super::log_throttle::LogThrottle;
use super::query::value;
use crate::broker::Broker;
use crate::credential::Secret;
use crate::platform::push_crypto::SignedPush;
use crate::platform::push_envelope::Envelope;
use crate::platform::{EventKind, PushError, PushEvent, PushKeys};

/// Number of things that can become of a push.
const OUTCOMES: usize = 9;

/// Anyone can send pushes that are not valid.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The answer to a push that was stored. Anything else counts as a failure for WeChat.
pub const SUCCESS: &str = "success";

/// Receives the pushes of one open platform.
#[derive(Debug)]
pub struct PushReceiver {
    platform: String,
    keys: PushKeys,
    counts: PushCounts,
    refused: LogThrottle,
    /// `None` answers [`SUCCESS`] to messages.
    forwarder: Option<Arc<dyn ForwardMessages>>,
    not_forwarded: LogThrottle,
}

/// How many pushes there were, by what became of them.
#[derive(Debug, Default)]
pub struct PushCounts {
    tickets: AtomicU64,
    authorizations: AtomicU64,
    withdrawals: AtomicU64,
    others: AtomicU64,
    /// Messages that were answered here.
    answered: AtomicU64,
    forwarded: AtomicU64,
    not_forwarded: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
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
    /// `platform` is the name for the log.
    #[must_use]
    pub fn new(platform: &str, keys: PushKeys) -> Self {
        Self {
            platform: platform.to_owned(),
            keys,
            counts: PushCounts::default(),
            refused: LogThrottle::new(LOG_EVERY),
            forwarder: None,
            not_forwarded: LogThrottle::new(LOG_EVERY),
        }
    }

    /// Sets where the messages of users go.
    #[must_use]
    pub fn forwarding(mut self, forwarder: Option<Arc<dyn ForwardMessages>>) -> Self {
        self.forwarder = forwarder;
        self
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
        let event = event.map_err(|error| self.refuse(broker, error))?;
        if let EventKind::Unknown(info_type) = &event.kind {
            tracing::info!(
                platform = self.platform,
                info_type,
                "push of an unknown kind ignored"
            );
        }
        let component = &self.keys.receive_id;
        match broker.platform_pushed(component, &event).await {
            Ok(()) => {
                self.counts.of(&event.kind).fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    platform = self.platform, %error,
                    "push could not be stored: WeChat will push it again"
                );
                Err(NotReceived::Failed)
            }
        }
    }

    fn read(&self, query: &str, body: &[u8]) -> Result<PushEvent, PushError> {
        let (message, _) = self.open(query, body)?;
        PushEvent::read(message.expose(), &self.keys.receive_id)
    }

    /// Returns the decrypted message, and the keys that it used.
    fn open(&self, query: &str, body: &[u8]) -> Result<(Secret, PushKeys), PushError> {
        let envelope = Envelope::read(body)?;
        let [timestamp, nonce, msg_signature] = ["timestamp", "nonce", "msg_signature"]
            .map(|name| value(query, name).unwrap_or_default());
        self.keys.open_message(&SignedPush {
            timestamp: &timestamp,
            nonce: &nonce,
            msg_signature: &msg_signature,
            encrypt: &envelope.encrypt,
        })
    }

    fn refuse(&self, broker: &Broker, error: PushError) -> NotReceived {
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
        if self.refused.now_is_the_time(broker.clock().uptime()) {
            let reason = error.refusal;
            tracing::warn!(platform = self.platform, %reason, "push refused");
        }
        NotReceived::Invalid
    }

    /// Returns the platform's name and the number of pushes by what became of them.
    pub fn counts(&self) -> (&str, [(&'static str, u64); OUTCOMES]) {
        let PushCounts {
            tickets,
            authorizations,
            withdrawals,
            others,
            answered,
            forwarded,
            not_forwarded,
            refused,
            failed,
        } = &self.counts;
        let counts = [
            ("ticket", tickets),
            ("authorized", authorizations),
            ("unauthorized", withdrawals),
            ("other", others),
            ("message_answered", answered),
            ("message_forwarded", forwarded),
            ("message_not_forwarded", not_forwarded),
            ("refused", refused),
            ("not_stored", failed),
        ];
        let read = |(outcome, count): (_, &AtomicU64)| (outcome, count.load(Ordering::Relaxed));
        (&self.platform, counts.map(read))
    }

    /// Takes over the counts of the receiver that this one replaces.
    #[must_use]
    pub fn counting_on(mut self, before: &Self) -> Self {
        for (new, (_, old)) in self.counts.all().into_iter().zip(before.counts().1) {
            *new.get_mut() = old;
        }
        self
    }

    /// Returns the component_appid.
    #[must_use]
    pub fn component_app_id(&self) -> &str {
        &self.keys.receive_id
    }
}

impl PushCounts {
    fn of(&self, event: &EventKind) -> &AtomicU64 {
        match event {
            EventKind::Ticket(_) => &self.tickets,
            EventKind::Authorized(_) | EventKind::UpdateAuthorized(_) => &self.authorizations,
            EventKind::Unauthorized { .. } => &self.withdrawals,
            EventKind::FastRegistration(_) | EventKind::Unknown(_) => &self.others,
        }
    }

    fn all(&mut self) -> [&mut AtomicU64; OUTCOMES] {
        [
            &mut self.tickets,
            &mut self.authorizations,
            &mut self.withdrawals,
            &mut self.others,
            &mut self.answered,
            &mut self.forwarded,
            &mut self.not_forwarded,
            &mut self.refused,
            &mut self.failed,
        ]
    }
}
