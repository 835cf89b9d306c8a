//! Several brokers, each with its own handle on one store, like processes; one sandbox; one manual clock.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use wx_jssdk::account::{Account, TokenMode};
use wx_jssdk::broker::Broker;
use wx_jssdk::sandbox::{App, Revoke, Sandbox};
use wx_jssdk::store::Store;
use wx_jssdk::{Clock, Credential, Error, Kind, Secret, UnixTime};

use crate::common::redis_server::Redis;
use crate::common::upstream::impatient;

pub(crate) const APP: &str = "wx0123456789abcdef";
pub(crate) const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
pub(crate) const STABLE: &str = "/cgi-bin/stable_token";
pub(crate) const CLASSIC: &str = "/cgi-bin/token";
pub(crate) const TICKET: &str = "/cgi-bin/ticket/getticket";
const START: UnixTime = UnixTime(1_767_225_600);

/// The shared store.
pub(crate) trait Shared {
    fn start() -> Self;

    /// A handle of another process.
    fn open(&self) -> Store;
}

impl Shared for Redis {
    fn start() -> Self {
        Self::start()
    }

    fn open(&self) -> Store {
        // A long timeout for a busy machine; a stopped Redis uses all of it.
        Store::redis_within(&self.url(), "wx-jssdk:", Duration::from_secs(1)).unwrap()
    }
}

pub(crate) type Cluster = ClusterOn<Redis>;

pub(crate) struct ClusterOn<S> {
    pub(crate) shared: S,
    pub(crate) sandbox: Sandbox,
    pub(crate) clock: Clock,
    pub(crate) brokers: Vec<Broker>,
    mode: TokenMode,
}

impl<S: Shared> ClusterOn<S> {
    /// Starts this many cold processes.
    pub(crate) async fn cold(mode: TokenMode, processes: usize) -> Self {
        let clock = Clock::manual(START);
        let sandbox = Sandbox::start(clock.clone()).await.unwrap();
        sandbox.add_app(App::official(APP, SECRET).safe_domain("example.com"));
        let mut cluster = Self {
            shared: S::start(),
            sandbox,
            clock,
            brokers: Vec::new(),
            mode,
        };
        cluster.brokers = (0..processes).map(|_| cluster.another()).collect();
        cluster
    }

    /// Starts this many processes that all have a token and a ticket.
    pub(crate) async fn warm(mode: TokenMode, processes: usize) -> Self {
        let cluster = Self::cold(mode, processes).await;
        for broker in &cluster.brokers {
            cluster.read(broker, Kind::JsapiTicket).await.unwrap();
            cluster.read(broker, Kind::AccessToken).await.unwrap();
        }
        cluster.tend().await;
        assert_eq!((cluster.token_calls(), cluster.calls(TICKET)), (1, 1));
        cluster
    }

    /// Starts one more process, without any values.
    pub(crate) fn another(&self) -> Broker {
        let account = Account::official(APP, SECRET)
            .token_mode(self.mode)
            .js_safe_domain("example.com")
            .unwrap();
        let upstream = impatient(&self.sandbox);
        let builder = Broker::builder()
            .account("main", account)
            .clock(self.clock.clone())
            .upstream(upstream);
        builder.store(self.shared.open()).build().unwrap()
    }

    /// Returns an answer of one process, after asserting that WeChat would accept it.
    pub(crate) async fn read(&self, broker: &Broker, kind: Kind) -> Result<Arc<Credential>, Error> {
        broker
            .credential("main", kind)
            .await
            .inspect(|credential| self.assert_valid(kind, credential))
    }

    /// Ends the current token at WeChat and returns it.
    pub(crate) async fn revoke_token(&self) -> Secret {
        let token = self.read(&self.brokers[0], Kind::AccessToken).await;
        self.sandbox.revoke(APP, Revoke::Token);
        token.unwrap().value.clone()
    }

    pub(crate) fn assert_valid(&self, kind: Kind, credential: &Credential) {
        let value = credential.value.expose();
        let valid = match kind {
            Kind::JsapiTicket => self.sandbox.accepts_ticket(APP, "jsapi", value),
            _ => self.sandbox.accepts_token(APP, value),
        };
        assert!(valid, "a dead {kind} at {}", self.clock.now());
    }

    /// Asserts that every process answers at once, from memory, with valid values. Returns the values if all are the same.
    pub(crate) fn assert_all_answer_at_once(&self) -> Option<[String; 2]> {
        let mut answers: Vec<_> = self
            .brokers
            .iter()
            .map(|broker| {
                [Kind::AccessToken, Kind::JsapiTicket].map(|kind| {
                    let read = self
                        .read(broker, kind)
                        .now_or_never()
                        .unwrap_or_else(|| panic!("a reader of {kind} waits"));
                    read.unwrap().value.expose().to_owned()
                })
            })
            .collect();
        answers.dedup();
        (answers.len() == 1).then(|| answers.remove(0))
    }

    /// One step of every process's keeper, at the same time.
    pub(crate) async fn tend(&self) {
        let steps: Vec<_> = self
            .brokers
            .iter()
            .cloned()
            .map(|broker| tokio::spawn(async move { broker.tend().await }))
            .collect();
        for step in steps {
            step.await.unwrap();
        }
    }

    /// Advances time in steps, with the keepers running and readers at each step.
    pub(crate) async fn live(&self, seconds: u64, step: u64) {
        for _ in 0..seconds / step {
            self.advance(step);
            self.tend().await;
            self.assert_all_answer_at_once();
        }
    }

    pub(crate) fn advance(&self, seconds: u64) {
        assert!(self.clock.advance(Duration::from_secs(seconds)));
    }

    pub(crate) fn calls(&self, endpoint: &str) -> u64 {
        self.sandbox.calls(endpoint)
    }

    pub(crate) fn token_calls(&self) -> u64 {
        self.calls(STABLE) + self.calls(CLASSIC)
    }

    /// Returns another handle on the shared store.
    pub(crate) fn store(&self) -> Store {
        self.shared.open()
    }
}
