//! WeChat on loopback: the same paths, the same words, its own clock, and faults on demand.
//!
//! One listener plays `api.weixin.qq.com` for official accounts and mini programs and `qyapi.weixin.qq.com` for WeCom.
//! It plays both halves: the API that servers call, and the client's judgement of a page's signature ([`Sandbox::verify`]).
//! It shares no line with what it is used to test: nothing of `upstream`, `sign` or `broker` is in it.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use wx_jssdk::{clock::{Clock, UnixTime}, sandbox::{App, Sandbox}};
//!
//! let sandbox = Sandbox::start(Clock::manual(UnixTime(1_700_000_000))).await?;
//! sandbox.add_app(App::official("wx0123456789abcdef", "secret").safe_domain("example.com"));
//! let url = format!("{}/cgi-bin/token?grant_type=client_credential&appid=wx0123456789abcdef&secret=secret", sandbox.url());
//! # Ok(()) }
//! ```

mod agent;
mod call;
mod control_api;
mod demo_accounts;
mod domain;
mod endpoint;
mod fault;
mod foreign;
mod guard;
mod issued;
mod listener;
mod quota;
mod reason;
mod reply;
mod settings;
mod shared;
mod signed;
mod simulator;
mod state_view;
mod value;
mod verify;
mod wechat;
mod wechat_app;
mod wecom_limits;
mod work;
mod work_reply;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Data};

use crate::clock::Clock;

use self::endpoint::Endpoint;
use self::listener::Listener;
use self::shared::Shared;

pub use self::agent::AgentVerify;
pub use self::demo_accounts::{
    DEMO_AGENT_ID, DEMO_APP_ID, DEMO_CORP_ID, DEMO_MINI_ID, demo_app, demo_apps,
};
pub use self::fault::{Fault, FaultKind};
pub use self::foreign::{Kind, Mode};
pub use self::reason::Reason;
pub use self::settings::{ExpiresIn, Quotas, Switches};
pub use self::shared::Gate;
pub use self::state_view::{AppState, State, TicketState, TokenState, Tokens};
pub use self::verify::{Client, PreVerify, Verdict};
pub use self::wechat_app::{App, Platform};

/// A running sandbox. Cloning gives another handle on the same one; it stops when the last handle is dropped.
///
/// An app is named by its app id; a WeCom app by `corp id:agent id`, as [`App::name`] gives it, or by the corp's id alone where the
/// corp has one app. The corp's own `jsapi` ticket needs no agent.
///
/// Methods that take an app or an endpoint panic when the sandbox knows no such one: in a test that is a slip of the pen, and
/// a count of 0 for a misspelt path would let the test pass.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
    listener: Arc<Listener>,
    url: Arc<str>,
}

impl Sandbox {
    /// Starts one on a free port of 127.0.0.1. It serves from now on, on a thread of its own.
    ///
    /// # Errors
    /// When there is no port or no thread to be had.
    pub async fn start(clock: Clock) -> io::Result<Self> {
        Self::bind(clock, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts one at this address; port 0 picks a free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(clock: Clock, addr: SocketAddr) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(clock));
        let listener = Listener::start(shared.clone(), addr).await?;
        let url = format!("http://{}", listener.addr).into();
        Ok(Self {
            shared,
            listener: Arc::new(listener),
            url,
        })
    }

    /// `http://127.0.0.1:PORT`: what to put in the place of `https://api.weixin.qq.com`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.listener.addr
    }

    /// Hangs up on everybody and stops listening. The handle can still be asked what happened.
    pub async fn stop(&self) {
        self.listener.stop().await;
    }

    /// Adds an app, or gives one that is there new settings; its tokens, tickets and counts stay.
    pub fn add_app(&self, app: App) {
        self.shared.inside().world.add(app);
    }

    /// Forgets tokens, tickets, quotas, faults and counts; the apps stay.
    pub fn reset(&self) {
        self.shared.inside().reset();
    }

    /// How often this endpoint was called, refused and failed calls included.
    #[must_use]
    pub fn calls(&self, endpoint: &str) -> u64 {
        self.shared.inside().calls(known(endpoint))
    }

    /// How often any endpoint was called.
    #[must_use]
    pub fn calls_total(&self) -> u64 {
        self.shared.inside().calls_total()
    }

    /// Counts calls from 0 again.
    pub fn reset_calls(&self) {
        self.shared.inside().reset_calls();
    }

    /// Resolves once this endpoint has been called so often (since the start or the last reset of the counts).
    pub async fn wait_for_calls(&self, endpoint: &str, at_least: u64) {
        self.shared.wait_for_calls(known(endpoint), at_least).await;
    }

    /// Holds calls to this endpoint back while the gate lives. They are counted, but not yet carried out.
    pub fn hold(&self, endpoint: &str) -> Gate {
        self.shared.hold(known(endpoint))
    }

    /// Lays a fault on an endpoint, behind those that are laid there already.
    pub fn fault(&self, fault: Fault) {
        let endpoint = known(fault.endpoint).path();
        self.shared.inside().faults.lay(Fault { endpoint, ..fault });
    }

    /// Takes every fault away.
    pub fn clear_faults(&self) {
        self.shared.inside().faults.clear();
    }

    /// Ends what an app holds at once, as WeChat may.
    pub fn revoke(&self, app: &str, kind: Kind) {
        self.shared
            .revoke(app, kind)
            .unwrap_or_else(|problem| panic!("{problem}"));
    }

    /// Somebody else with the same secret fetches a token (in stable mode: forces one; from WeCom: gets the living one, unless the
    /// switch says otherwise). Answers with that token. It is neither counted nor charged.
    pub fn foreign_refresh(&self, app: &str, mode: Mode) -> String {
        self.shared
            .foreign_refresh(app, mode)
            .unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// Moves the clock ahead; false if it is the machine's own.
    pub fn advance(&self, by: Duration) -> bool {
        self.shared.clock.advance(by)
    }

    /// The sandbox's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Everything as it is now.
    #[must_use]
    pub fn state(&self) -> State {
        State::of(&self.shared.inside(), self.shared.clock.now())
    }

    /// The living token of an app in this mode.
    #[must_use]
    pub fn token(&self, app: &str, mode: Mode) -> Option<String> {
        let (inside, now) = (self.shared.inside(), self.shared.clock.now());
        inside
            .world
            .app(app)?
            .lineage(mode)
            .current(now)
            .map(|issued| issued.value.clone())
    }

    /// The living ticket of an app of this type: `jsapi`, `wx_card` or `agent_config`.
    #[must_use]
    pub fn ticket(&self, app: &str, kind: &str) -> Option<String> {
        let (inside, now) = (self.shared.inside(), self.shared.clock.now());
        inside
            .world
            .tickets(app, kind)?
            .current(now)
            .map(|issued| issued.value.clone())
    }

    /// Whether WeChat would take this token for this app now.
    #[must_use]
    pub fn accepts_token(&self, app: &str, token: &str) -> bool {
        let (inside, now) = (self.shared.inside(), self.shared.clock.now());
        let lineages = inside
            .world
            .app(app)
            .into_iter()
            .flat_map(|running| running.lineages());
        lineages
            .into_iter()
            .any(|lineage| lineage.accepted(now).any(|living| living == token))
    }

    /// Whether WeChat would take this ticket for this app and type now.
    #[must_use]
    pub fn accepts_ticket(&self, app: &str, kind: &str, ticket: &str) -> bool {
        let (inside, now) = (self.shared.inside(), self.shared.clock.now());
        inside
            .world
            .tickets(app, kind)
            .is_some_and(|lineage| lineage.accepted(now).any(|living| living == ticket))
    }

    /// Judges a page's `wx.config` as the client does.
    #[must_use]
    pub fn verify(&self, page: &PreVerify) -> Verdict {
        self.shared
            .inside()
            .world
            .verify(page, self.shared.clock.now())
    }

    /// Judges a page's `wx.agentConfig` as WeCom's client does.
    #[must_use]
    pub fn verify_agent(&self, page: &AgentVerify) -> Verdict {
        self.shared
            .inside()
            .world
            .verify_agent(page, self.shared.clock.now())
    }

    /// `POST /sandbox/pre-verify` for another listener, so that a page can ask its own origin.
    pub fn pre_verify_scope(&self) -> actix_web::Scope {
        let judge = web::resource("").route(web::post().to(control_api::pre_verify));
        web::scope("/sandbox/pre-verify")
            .app_data(Data::from(self.shared.clone()))
            .service(judge)
    }

    /// The `Content-Type` of WeChat's answers from now on, WeCom's too.
    pub fn set_content_type(&self, content_type: impl Into<String>) {
        self.shared.inside().content_type = Some(content_type.into());
    }
}

impl Shared {
    fn revoke(&self, app: &str, kind: Kind) -> Result<(), String> {
        let now = self.clock.now();
        self.inside().world.revoke(app, kind, now)
    }

    fn foreign_refresh(&self, app: &str, mode: Mode) -> Result<String, String> {
        let now = self.clock.now();
        self.inside().world.foreign_refresh(app, mode, now)
    }
}

fn known(endpoint: &str) -> Endpoint {
    Endpoint::at(endpoint).unwrap_or_else(|| panic!("{}", Endpoint::unknown(endpoint)))
}
