//! One official account, one sandbox, one clock.

use std::sync::Arc;
use std::time::Duration;

use wx_jssdk::account::{Account, TokenMode};
use wx_jssdk::broker::{AccountSnapshot, Broker, CredentialSnapshot, Find};
use wx_jssdk::sandbox::{App, Fault, FaultKind, Sandbox};
use wx_jssdk::store::Store;
use wx_jssdk::{Clock, Credential, Error, Kind, PageUrl, Secret, UnixTime};

use crate::common::upstream::impatient;

pub const APP: &str = "wx0123456789abcdef";
pub const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
pub const STABLE: &str = "/cgi-bin/stable_token";
pub const CLASSIC: &str = "/cgi-bin/token";
pub const TICKET: &str = "/cgi-bin/ticket/getticket";
/// 2026-01-01T08:00:00 in Shanghai.
pub const START: UnixTime = UnixTime(1_767_225_600);

pub struct World {
    pub sandbox: Sandbox,
    pub clock: Clock,
    pub store: Store,
    pub broker: Broker,
}

pub fn account(mode: TokenMode) -> Account {
    Account::official(APP, SECRET)
        .token_mode(mode)
        .js_safe_domain("example.com")
        .unwrap()
}

pub fn app() -> App {
    App::official(APP, SECRET).safe_domain("example.com")
}

impl World {
    pub async fn stable() -> Self {
        Self::new(TokenMode::Stable, app()).await
    }

    pub async fn classic() -> Self {
        Self::new(TokenMode::Classic, app()).await
    }

    pub async fn new(mode: TokenMode, app: App) -> Self {
        let clock = Clock::manual(START);
        let sandbox = Sandbox::start(clock.clone()).await.unwrap();
        sandbox.add_app(app);
        let store = Store::memory();
        let broker = broker(&sandbox, &clock, &store, mode);
        Self {
            sandbox,
            clock,
            store,
            broker,
        }
    }

    /// The same account in another process that shares the store.
    pub fn another(&self, mode: TokenMode) -> Broker {
        broker(&self.sandbox, &self.clock, &self.store, mode)
    }

    pub fn advance(&self, seconds: u64) {
        assert!(self.clock.advance(Duration::from_secs(seconds)));
    }

    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    pub fn fault(&self, endpoint: &'static str, kind: FaultKind) {
        self.sandbox.fault(Fault::once(endpoint, kind));
    }

    pub fn always(&self, endpoint: &'static str, kind: FaultKind) {
        self.sandbox.fault(Fault::always(endpoint, kind));
    }

    pub fn calls(&self, endpoint: &str) -> u64 {
        self.sandbox.calls(endpoint)
    }

    pub async fn token(&self) -> Result<Arc<Credential>, Error> {
        self.broker.credential("main", Kind::AccessToken).await
    }

    pub async fn ticket(&self) -> Result<Arc<Credential>, Error> {
        self.broker.credential("main", Kind::JsapiTicket).await
    }

    /// Returns how long the token is still served, in seconds.
    pub async fn token_left(&self) -> u64 {
        let token = self.token().await.unwrap();
        token.remaining(self.now()).as_secs()
    }

    /// Reports that WeChat refused this value.
    pub async fn reject(&self, kind: Kind, value: &Secret) -> Result<Arc<Credential>, Error> {
        self.broker.reject("main", kind, value).await
    }

    pub fn status(&self) -> AccountSnapshot {
        self.broker.snapshot(&Find::all()).accounts.remove(0)
    }

    pub fn status_of(&self, kind: Kind) -> CredentialSnapshot {
        self.status()
            .credentials
            .into_iter()
            .find(|credential| credential.kind == kind)
            .unwrap()
    }

    /// Asserts that WeChat would accept every current answer.
    pub async fn assert_nothing_dead_is_served(&self) {
        if let Ok(token) = self.token().await {
            assert!(
                self.sandbox.accepts_token(APP, token.value.expose()),
                "a dead token at {}",
                self.now()
            );
        }
        if let Ok(ticket) = self.ticket().await {
            assert!(
                self.sandbox
                    .accepts_ticket(APP, "jsapi", ticket.value.expose()),
                "a dead ticket at {}",
                self.now()
            );
        }
    }
}

fn broker(sandbox: &Sandbox, clock: &Clock, store: &Store, mode: TokenMode) -> Broker {
    Broker::builder()
        .account("main", account(mode))
        .clock(clock.clone())
        .store(store.clone())
        .upstream(impatient(sandbox))
        .build()
        .unwrap()
}

pub fn page() -> PageUrl {
    PageUrl::parse("https://www.example.com/page?a=1#route").unwrap()
}
