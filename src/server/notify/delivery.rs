//! Sends messages to one webhook: a few per minute, again after a failure, and what gathers meanwhile together.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use tokio::sync::mpsc::Receiver;
use url::Url;

use super::incidents::Notice;
use super::service_format::{Message, accepted};
use crate::account::Egress;
use crate::clock::Clock;
use crate::server::config::{WebhookKind, WebhookSettings};
use crate::server::pages::Lang;
use crate::upstream::{describe, new_client, read_up_to, tls_config};

/// The HTTP client for webhooks could not be created.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the HTTP client for webhooks cannot be created: {0}")]
pub struct NotifyError(String);

/// A message was not accepted. The text holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undelivered(String);

/// How messages leave this machine: as the calls to WeChat do.
#[derive(Clone)]
pub(super) struct Link {
    client: Client,
    clock: Clock,
}

/// Counters of one webhook's messages.
#[derive(Debug, Default)]
pub(in crate::server) struct DeliveryCounts {
    /// Its name.
    pub(in crate::server) webhook: String,
    sent: AtomicU64,
    failed: AtomicU64,
    lost: AtomicU64,
}

/// Brings messages to one webhook.
pub(super) struct Courier {
    webhook: WebhookSettings,
    link: Link,
    lang: Lang,
    node: String,
    pub(super) counts: Arc<DeliveryCounts>,
}

/// Notices that are sent as one message.
#[derive(Default)]
struct Batch {
    /// The oldest first.
    notices: Vec<Arc<Notice>>,
    /// For each notice, the uptime at which it was added.
    since: Vec<Duration>,
    /// How often the message was not accepted.
    failures: u32,
}

impl Link {
    pub(super) fn new(egress: &Egress, clock: Clock) -> Result<Self, NotifyError> {
        let tls = tls_config().map_err(|error| NotifyError(error.to_string()))?;
        // A redirect would carry the webhook's key elsewhere: the client follows none.
        let client = new_client(tls, egress, CONNECT_TIMEOUT, TIMEOUT).map_err(NotifyError)?;
        Ok(Self { client, clock })
    }

    /// Waits on the service's clock, which a test moves.
    async fn wait_until(&self, uptime: Duration) {
        while self.clock.uptime() < uptime {
            tokio::time::sleep(TICK).await;
        }
    }
}

impl Batch {
    fn add(&mut self, notice: Arc<Notice>, now: Duration) {
        self.notices.push(notice);
        self.since.push(now);
    }

    /// Removes the oldest notices, which were accepted.
    fn accepted(&mut self, count: usize) {
        self.since.drain(..count);
        self.notices.drain(..count);
        self.failures = 0;
    }

    /// Removes the notices that were tried long enough; returns whether there were any. The newest of a cause is
    /// tried longer: the webhook would hear of its outage only when it is over.
    fn give_up(&mut self, now: Duration) -> bool {
        let before = self.notices.len();
        for at in (0..before).rev() {
            let cause = &self.notices[at].cause;
            let is_newest = self.notices[at + 1..].iter().all(|it| it.cause != *cause);
            let most = match is_newest {
                true => GIVE_NEWEST_UP_AFTER,
                false => GIVE_UP_AFTER,
            };
            if now.saturating_sub(self.since[at]) >= most {
                self.since.remove(at);
                self.notices.remove(at);
            }
        }
        self.notices.len() < before
    }

    /// Returns how long to wait after one more failure.
    fn next_wait(&mut self) -> Duration {
        let wait = FIRST_WAIT * 2_u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        wait.min(LONGEST_WAIT)
    }
}

impl DeliveryCounts {
    /// Returns the results with their counts.
    pub(in crate::server) fn read(&self) -> [(&'static str, u64); 3] {
        [
            ("sent", self.sent.load(Relaxed)),
            ("failed", self.failed.load(Relaxed)),
            ("lost", self.lost.load(Relaxed)),
        ]
    }
}

impl Courier {
    pub(super) fn new(webhook: WebhookSettings, link: Link, lang: Lang, node: String) -> Self {
        let counts = DeliveryCounts {
            webhook: webhook.name.clone(),
            ..DeliveryCounts::default()
        };
        Self {
            webhook,
            link,
            lang,
            node,
            counts: Arc::new(counts),
        }
    }

    /// Delivers notices until there will be no more.
    pub(super) async fn deliver(self, mut notices: Receiver<Arc<Notice>>) {
        let mut sent_at = VecDeque::new();
        while let Some(first) = notices.recv().await {
            let clock = &self.link.clock;
            let mut batch = Batch::default();
            batch.add(first, clock.uptime());
            while !batch.notices.is_empty() {
                self.wait_for_turn(&mut sent_at).await;
                while let Ok(notice) = notices.try_recv() {
                    batch.add(notice, clock.uptime());
                }
                sent_at.push_back(clock.uptime());
                match self.send(&batch.notices).await {
                    Ok(count) => batch.accepted(count),
                    Err(error) => self.after_failure(&mut batch, &error).await,
                }
            }
        }
    }

    /// Waits until another message keeps within the limit of every service.
    async fn wait_for_turn(&self, sent_at: &mut VecDeque<Duration>) {
        if sent_at.len() < PER_MINUTE {
            return;
        }
        if let Some(oldest) = sent_at.pop_front() {
            self.link.wait_until(oldest + MINUTE).await;
        }
    }

    /// Gives the oldest notices up, and waits before the next attempt if any are left.
    async fn after_failure(&self, batch: &mut Batch, error: &Undelivered) {
        let (webhook, now) = (&self.webhook.name, self.link.clock.uptime());
        if batch.give_up(now) {
            self.counts.lost.fetch_add(1, Relaxed);
            tracing::error!(webhook, %error, "notification lost: the webhook did not accept it");
        }
        if !batch.notices.is_empty() {
            let wait = batch.next_wait();
            let retry_in = wait.as_secs();
            tracing::warn!(webhook, %error, retry_in, "notification could not be sent");
            self.link.wait_until(now + wait).await;
        }
    }

    /// Sends the oldest notices that fit into one message, once, and returns their number.
    pub(super) async fn send(&self, notices: &[Arc<Notice>]) -> Result<usize, Undelivered> {
        let now = self.link.clock.wall();
        let message = Message::of(&self.webhook, notices, self.lang, &self.node, now);
        let notices = message.notices;
        match self.post(message).await {
            Ok(()) => {
                self.counts.sent.fetch_add(1, Relaxed);
                let webhook = &self.webhook.name;
                tracing::info!(webhook, notices, "notification sent");
                Ok(notices)
            }
            Err(error) => {
                self.counts.failed.fetch_add(1, Relaxed);
                Err(Undelivered(self.without_secrets(&error)))
            }
        }
    }

    async fn post(&self, message: Message) -> Result<(), String> {
        let request = self.link.client.post(message.url.expose());
        let request = request.header(CONTENT_TYPE, "application/json; charset=utf-8");
        let sent = request.body(message.body).send().await;
        let failed = |error: reqwest::Error| describe(&error.without_url());
        let response = sent.map_err(failed)?;
        let status = response.status().as_u16();
        if self.webhook.kind == WebhookKind::Json {
            return accepted(WebhookKind::Json, status, &[]);
        }
        let body = read_up_to(response, LONGEST_ANSWER).await.map_err(failed)?;
        accepted(self.webhook.kind, status, &body)
    }

    /// Removes the parts of the URL that may be a key, which a service might repeat in its answer, and bounds
    /// the text.
    fn without_secrets(&self, error: &str) -> String {
        let secret = self.webhook.secret.iter();
        let mut secrets: Vec<String> = secret.map(|it| it.expose().to_owned()).collect();
        if let Ok(url) = Url::parse(self.webhook.url.expose()) {
            let path = url.path_segments().into_iter().flatten();
            let user = [Some(url.username()), url.password()].into_iter().flatten();
            secrets.extend(path.chain(user).map(str::to_owned));
            secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        }
        let mut text = error.to_owned();
        for secret in secrets.iter().filter(|it| it.len() >= SHORTEST_SECRET) {
            text = text.replace(secret, "…");
        }
        let visible = text.chars().filter(|c| !c.is_control());
        visible.take(LONGEST_ERROR).collect()
    }
}

/// WeCom and DingTalk accept 20 a minute for each robot; several nodes may share one.
const PER_MINUTE: usize = 10;
const MINUTE: Duration = Duration::from_secs(60);

/// How long a notice is tried before it is dropped; with the wait before it is sent first, three quarters of an hour at most.
const GIVE_UP_AFTER: Duration = Duration::from_secs(2_400);
const GIVE_NEWEST_UP_AFTER: Duration = Duration::from_secs(24 * 3_600);
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often a wait looks at the clock.
const TICK: Duration = Duration::from_millis(200);

/// Longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 16 * 1_024;

/// Longest error text, in characters.
const LONGEST_ERROR: usize = 200;

/// Shorter parts of a URL (`robot`, `send`, `hook`) are not secret.
const SHORTEST_SECRET: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;
    use crate::server::notify::test_notice;

    #[test]
    fn a_notice_is_given_up_earlier_if_a_later_one_has_the_same_cause() {
        let notice = |n| test_notice(UnixTime(n));
        let (mut batch, mut now, mut attempts) = (Batch::default(), Duration::ZERO, 0);
        batch.add(notice(1), now);
        let mut given_up_at = Vec::new();
        while !batch.notices.is_empty() {
            attempts += 1;
            if attempts == 13 {
                batch.add(notice(2), now);
            }
            if batch.give_up(now) {
                given_up_at.push(now.as_secs() / 60);
            }
            let wait = batch.next_wait();
            assert!(wait <= LONGEST_WAIT);
            now += wait;
        }
        let [first, second] = given_up_at[..] else {
            panic!("{given_up_at:?}");
        };
        assert_eq!(first, 40);
        assert!((35 + 1_440..35 + 1_446).contains(&second), "{second}");
        batch.failures = u32::MAX;
        assert_eq!(batch.next_wait(), LONGEST_WAIT);
    }
}
