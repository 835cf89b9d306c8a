//! WeChat on loopback: the same paths, the same words, its own clock, and faults on demand.
//!
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

mod app;
mod endpoint;
mod fault;
mod lineage;
mod quota;
mod reply;
mod server;
mod shared;
mod state;
mod steer;
mod verify;
mod wechat;
mod world;

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Data};
use rand::RngExt as _;

use crate::clock::Clock;

use self::endpoint::Endpoint;
use self::server::Server;
use self::shared::Shared;

pub use self::app::{App, ExpiresIn, Platform, Quotas, Switches};
pub use self::fault::{Fault, FaultKind};
pub use self::shared::Gate;
pub use self::state::{AppState, State, TicketState, TokenState, Tokens};
pub use self::verify::{Client, PreVerify, Reason, Verdict};
pub use self::world::{Kind, Mode};

/// A running sandbox. Cloning gives another handle on the same one; it stops when the last handle is dropped.
///
/// Methods that take an app id or an endpoint panic when the sandbox knows no such one: in a test that is a slip of the pen, and
/// a count of 0 for a misspelt path would let the test pass.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
    server: Arc<Server>,
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
        let server = Server::start(shared.clone(), addr).await?;
        let url = format!("http://{}", server.addr).into();
        Ok(Self { shared, server: Arc::new(server), url })
    }

    /// `http://127.0.0.1:PORT`: what to put in the place of `https://api.weixin.qq.com`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.server.addr
    }

    /// Hangs up on everybody and stops listening. The handle can still be asked what happened.
    pub async fn stop(&self) {
        self.server.stop().await;
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
    pub fn revoke(&self, app_id: &str, kind: Kind) {
        self.shared.revoke(app_id, kind).unwrap_or_else(|problem| panic!("{problem}"));
    }

    /// Somebody else with the same secret fetches a token (in stable mode: forces one). Answers with that token. It is neither
    /// counted nor charged.
    pub fn foreign_refresh(&self, app_id: &str, mode: Mode) -> String {
        self.shared.foreign_refresh(app_id, mode).unwrap_or_else(|problem| panic!("{problem}"))
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
    pub fn token(&self, app_id: &str, mode: Mode) -> Option<String> {
        let (inside, now) = (self.shared.inside(), self.shared.clock.now());
        let running = inside.world.app(app_id)?;
        let lineage = match mode {
            Mode::Stable => &running.stable,
            Mode::Classic => &running.classic,
        };
        lineage.current(now).map(|issued| issued.value.clone())
    }

    /// The living ticket of an app of this type: `jsapi` or `wx_card`.
    #[must_use]
    pub fn ticket(&self, app_id: &str, kind: &str) -> Option<String> {
        let (inside, now) = (self.shared.inside(), self.shared.clock.now());
        inside.world.app(app_id)?.tickets.get(kind)?.current(now).map(|issued| issued.value.clone())
    }

    /// Whether WeChat would take this token for this app now.
    #[must_use]
    pub fn accepts_token(&self, app_id: &str, token: &str) -> bool {
        let (inside, now) = (self.shared.inside(), self.shared.clock.now());
        let lineages = inside.world.app(app_id).into_iter().flat_map(|running| [&running.classic, &running.stable]);
        lineages.into_iter().any(|lineage| lineage.accepted(now).any(|living| living == token))
    }

    /// Whether WeChat would take this ticket for this app and type now.
    #[must_use]
    pub fn accepts_ticket(&self, app_id: &str, kind: &str, ticket: &str) -> bool {
        let (inside, now) = (self.shared.inside(), self.shared.clock.now());
        let lineage = inside.world.app(app_id).and_then(|running| running.tickets.get(kind));
        lineage.is_some_and(|lineage| lineage.accepted(now).any(|living| living == ticket))
    }

    /// Judges a page's `wx.config` as the client does.
    #[must_use]
    pub fn verify(&self, page: &PreVerify) -> Verdict {
        self.shared.inside().world.verify(page, self.shared.clock.now())
    }

    /// `POST /sandbox/pre-verify` for another listener, so that a page can ask its own origin.
    pub fn pre_verify_scope(&self) -> actix_web::Scope {
        web::scope("/sandbox/pre-verify").app_data(Data::from(self.shared.clone())).route("", web::post().to(steer::pre_verify))
    }

    /// The `Content-Type` of WeChat's answers from now on.
    pub fn set_content_type(&self, content_type: impl Into<String>) {
        self.shared.inside().content_type = content_type.into();
    }
}

impl Shared {
    fn revoke(&self, app_id: &str, kind: Kind) -> Result<(), String> {
        let now = self.clock.now();
        self.inside().world.app_mut(app_id).ok_or_else(|| no_app(app_id)).map(|running| running.revoke(kind, now))
    }

    fn foreign_refresh(&self, app_id: &str, mode: Mode) -> Result<String, String> {
        let (mut inside, now) = (self.inside(), self.clock.now());
        let running = inside.world.app_mut(app_id).ok_or_else(|| no_app(app_id))?;
        let issued = match mode {
            Mode::Stable => running.force(now),
            Mode::Classic => running.refetch(now),
        };
        Ok(issued.value.clone())
    }
}

/// The app of `serve --sandbox`: a made-up id, a secret of its own at each start.
#[must_use]
pub fn demo_app() -> App {
    let secret = rand::rng().random::<[u8; 16]>().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let app = App::official(DEMO_APP_ID, secret);
    ["demo.example.com", "localhost", "127.0.0.1"].into_iter().fold(app, App::safe_domain)
}

/// Of the right shape and obviously nobody's.
pub const DEMO_APP_ID: &str = "wx0123456789abcdef";

fn known(endpoint: &str) -> Endpoint {
    Endpoint::at(endpoint).unwrap_or_else(|| panic!("{}", Endpoint::unknown(endpoint)))
}

fn no_app(app_id: &str) -> String {
    format!("the sandbox knows no app \"{app_id}\"")
}
