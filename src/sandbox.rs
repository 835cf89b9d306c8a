//! Simulator of WeChat's and WeCom's servers on loopback, with its own clock and faults on demand.
//!
//! One listener serves the paths of `api.weixin.qq.com` (official accounts and mini programs) and of
//! `qyapi.weixin.qq.com` (WeCom). It simulates both sides: the API that servers call, and the client's check
//! of a page's signature ([`Sandbox::verify`]). It shares no code with `upstream`, `sign` or `broker`, which
//! it is used to test.
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

mod agent_config;
mod api_management;
mod app_settings;
mod authorize_page;
mod authorizer;
mod bounded_queue;
mod component;
mod config_check;
mod control_api;
mod control_api_access;
mod demo_accounts;
mod domain;
mod echo_shape;
mod fault;
mod foreign_server;
mod going_live_check;
mod hosts;
mod hosts_control_api;
mod http_handler;
mod issued_values;
mod listener;
mod open_platform;
mod page_signature;
mod passive_reply;
mod platform_control_api;
mod platform_handle;
mod platform_token;
mod proxy;
mod push;
mod push_crypto;
mod push_queue;
mod quota;
mod received;
mod rejection_reason;
mod reply;
mod revoke;
mod shared_state;
mod simulated_endpoints;
mod simulator;
mod state_view;
mod streamed_body;
mod ticket;
mod token_values;
mod user_login;
mod wecom_limits;
mod work;
mod work_reply;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Data};

use crate::clock::Clock;

use self::hosts::Network;
use self::issued_values::Fate;
use self::shared_state::{Inside, Shared};
use self::simulated_endpoints::Endpoint;
use self::user_login::Login;

pub use self::agent_config::AgentVerify;
pub use self::app_settings::{App, ExpiresIn, Platform, Switches};
pub use self::config_check::{Client, PreVerify, Verdict};
pub use self::demo_accounts::{
    DEMO_AGENT_ID, DEMO_APP_ID, DEMO_COMPONENT_ID, DEMO_CORP_ID, DEMO_DOMAINS, DEMO_MINI_ID,
    demo_apps, demo_platform,
};
pub use self::fault::{Fault, FaultKind};
pub use self::foreign_server::Mode;
pub use self::hosts::Host;
pub use self::open_platform::OpenPlatform;
pub use self::proxy::{Proxy, ProxyKind, ProxyRule};
pub use self::push::{Push, PushReply};
pub use self::quota::Quotas;
pub use self::received::ReceivedRequest;
pub use self::rejection_reason::Reason;
pub use self::revoke::Revoke;
pub use self::shared_state::Gate;
pub use self::state_view::{
    AppState, AuthorizerState, PlatformState, State, TicketState, TokenState, Tokens,
};

/// Handle to a running sandbox. A clone is another handle to the same sandbox, which stops when the last
/// handle is dropped.
///
/// An app is named by its app id. A WeCom app is named by `corp id:agent id` (see [`App::name`]), or by the
/// corp id alone if the corp has one app. The corp's own `jsapi` ticket needs no agent id.
///
/// An endpoint is named by its path without a query. Any path below a first segment of WeChat's is known.
///
/// Methods that take an app or an endpoint panic if the sandbox does not know it: otherwise a misspelt path
/// would count 0 calls and the test would pass.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
    network: Arc<Network>,
    url: Arc<str>,
}

impl Sandbox {
    /// Starts a sandbox on a free port of 127.0.0.1. It serves at once, on its own thread.
    ///
    /// # Errors
    /// Fails if no port or thread is available.
    pub async fn start(clock: Clock) -> io::Result<Self> {
        Self::bind(clock, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts a sandbox at this address. Port 0 picks a free port.
    ///
    /// # Errors
    /// Fails if the address cannot be bound.
    pub async fn bind(clock: Clock, addr: SocketAddr) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(clock));
        let host = Host::start("api", shared.clone(), addr).await?;
        let url = host.url().into();
        let pushes = push_queue::start(shared.clone())?;
        let network = Arc::new(Network::new(host, pushes));
        shared.set_network(&network);
        Ok(Self {
            shared,
            network,
            url,
        })
    }

    /// Returns `http://127.0.0.1:PORT`, the replacement for `https://api.weixin.qq.com`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the listen address.
    pub fn addr(&self) -> SocketAddr {
        self.network.first.addr()
    }

    /// Closes all connections, stops listening and pushes no more. The handle can still be queried.
    pub async fn stop(&self) {
        self.network.stop().await;
    }

    /// Returns the first host: the one at [`Sandbox::url`].
    pub fn host(&self) -> &Host {
        &self.network.first
    }

    /// Returns a second host of the same WeChat, as `api2.weixin.qq.com` is. It starts at first use.
    ///
    /// # Errors
    /// Fails if no port or thread is available.
    pub async fn second_host(&self) -> io::Result<Host> {
        self.network.second().await
    }

    /// Starts an HTTP proxy that asks for this user name and password, if they are given.
    ///
    /// # Errors
    /// Fails if no port or thread is available.
    pub async fn http_proxy(&self, credentials: Option<(&str, &str)>) -> io::Result<Proxy> {
        self.proxy(ProxyKind::Http, credentials).await
    }

    /// Starts a SOCKS5 proxy that asks for this user name and password, if they are given.
    ///
    /// # Errors
    /// Fails if no port or thread is available.
    pub async fn socks5_proxy(&self, credentials: Option<(&str, &str)>) -> io::Result<Proxy> {
        self.proxy(ProxyKind::Socks5, credentials).await
    }

    async fn proxy(&self, kind: ProxyKind, credentials: Option<(&str, &str)>) -> io::Result<Proxy> {
        let credentials =
            credentials.map(|(user, password)| (user.to_owned(), password.to_owned()));
        let proxy = Proxy::start(kind, credentials, &self.shared).await?;
        self.network.proxies.lock().push(proxy.clone());
        Ok(proxy)
    }

    /// Adds an app, or replaces the settings of an existing one. Its tokens, tickets and counts are kept.
    pub fn add_app(&self, app: App) {
        self.shared.inside().simulator.add(app);
    }

    /// Clears tokens, tickets, logins, quotas, faults, counts and received requests. The apps are kept.
    pub fn reset(&self) {
        self.shared.inside().reset(self.shared.clock.now());
    }

    /// Returns how many calls this endpoint received, rejected and failed calls included.
    pub fn calls(&self, endpoint: &str) -> u64 {
        self.shared.inside().calls(known_path(endpoint))
    }

    /// Returns how often this endpoint answered with each errcode; 0 is a success. Answers without an errcode,
    /// such as a fault's HTML page, are not in it.
    pub fn errcodes(&self, endpoint: &str) -> BTreeMap<i64, u64> {
        self.shared.inside().errcodes(known_path(endpoint))
    }

    /// Returns the newest requests that this endpoint received, the newest last. The sandbox remembers 256
    /// requests of all endpoints together.
    pub fn last_requests(&self, endpoint: &str) -> Vec<ReceivedRequest> {
        self.shared.inside().received.of(Some(known_path(endpoint)))
    }

    /// Returns how many calls all endpoints received.
    pub fn calls_total(&self) -> u64 {
        self.shared.inside().calls_total()
    }

    /// Resets the call counts to 0 and forgets the received requests.
    pub fn reset_calls(&self) {
        self.shared.inside().reset_calls();
    }

    /// Waits until this endpoint has received `at_least` calls since the start or the last reset of the
    /// counts.
    pub async fn wait_for_calls(&self, endpoint: &str, at_least: u64) {
        let path = known_path(endpoint);
        let is_reached = |inside: &Inside| inside.calls(path) >= at_least;
        self.shared.wait_until(is_reached).await;
    }

    /// Holds calls to this endpoint until the gate is released or dropped. Held calls are counted, but their
    /// bodies are not read and they are not processed.
    pub fn hold(&self, endpoint: &str) -> Gate {
        self.shared.hold(known_path(endpoint))
    }

    /// Adds a fault to an endpoint. It takes effect after the faults added before it.
    pub fn fault(&self, fault: Fault) {
        let path = known_path(fault.endpoint).to_owned();
        let mut inside = self.shared.inside();
        inside.faults.add(path, fault.kind, fault.times);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.shared.inside().faults.clear();
    }

    /// Revokes an app's credentials at once, as WeChat may.
    pub fn revoke(&self, app: &str, what: Revoke) {
        known(self.shared.simulate(|it, now| it.revoke(app, what, now)));
    }

    /// Fetches a token as another server with the same secret would, and returns it: stable mode forces a
    /// refresh; WeCom returns the current token unless `gettoken_always_new` is set. The call is neither
    /// counted nor charged.
    pub fn foreign_refresh(&self, app: &str, mode: Mode) -> String {
        let refreshed = self
            .shared
            .simulate(|it, now| it.foreign_refresh(app, mode, now));
        known(refreshed)
    }

    /// Returns a login code of an official account or a mini program, as the user's phone would get it. It can
    /// be used once within five minutes.
    pub fn login_code(&self, app: &str) -> String {
        let code = self
            .shared
            .simulate(|it, now| it.login_code(Login::of(app), now));
        known(code)
    }

    /// Moves the clock forward. Returns false for the system clock.
    pub fn advance(&self, by: Duration) -> bool {
        self.shared.advance(by)
    }

    /// Returns the sandbox's clock.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Returns a snapshot of the sandbox.
    pub fn state(&self) -> State {
        State::of(&self.shared.inside(), self.shared.clock.now())
    }

    /// Returns an app's current token in this mode.
    pub fn token(&self, app: &str, mode: Mode) -> Option<String> {
        self.shared.simulate(|it, now| {
            let running = known(it.known_app(app));
            running.issued_tokens(mode).current_text(now)
        })
    }

    /// Returns an app's current ticket of this type: `jsapi`, `wx_card` or `agent_config`.
    pub fn ticket(&self, app: &str, kind: &str) -> Option<String> {
        self.shared
            .simulate(|it, now| known(it.tickets(app, kind))?.current_text(now))
    }

    /// Returns whether WeChat would accept this token for this app now.
    pub fn accepts_token(&self, app: &str, token: &str) -> bool {
        self.shared.simulate(|it, now| {
            let running = known(it.known_app(app));
            running.any_fate(token, now) == Some(Fate::Alive)
        })
    }

    /// Returns whether WeChat would accept this ticket for this app and type now.
    pub fn accepts_ticket(&self, app: &str, kind: &str, ticket: &str) -> bool {
        self.shared.simulate(|it, now| {
            let tickets = known(it.tickets(app, kind));
            tickets.is_some_and(|values| values.fate(ticket, now) == Some(Fate::Alive))
        })
    }

    /// Checks a page's `wx.config` as the client does.
    pub fn verify(&self, page: &PreVerify) -> Verdict {
        self.shared.simulate(|it, now| it.verify(page, now))
    }

    /// Checks a page's `wx.agentConfig` as WeCom's client does.
    pub fn verify_agent(&self, page: &AgentVerify) -> Verdict {
        self.shared.simulate(|it, now| it.verify_agent(page, now))
    }

    /// Returns a scope that serves `POST /sandbox/pre-verify` on another listener, so that a page can call
    /// its own origin.
    pub fn pre_verify_scope(&self) -> actix_web::Scope {
        web::scope("/sandbox/pre-verify")
            .app_data(Data::from(self.shared.clone()))
            .service(control_api::pre_verify_at(""))
    }

    /// Sets the `Content-Type` of all further answers, WeCom's included.
    pub fn set_content_type(&self, content_type: impl Into<String>) {
        self.shared.inside().content_type = Some(content_type.into());
    }
}

/// Returns the value, or panics with the problem: a misspelt name must fail the test.
fn known<T>(found: Result<T, String>) -> T {
    found.unwrap_or_else(|problem| panic!("{problem}"))
}

/// Returns the path if the sandbox knows it.
fn known_path(endpoint: &str) -> &str {
    assert!(
        Endpoint::of(endpoint).is_some(),
        "{}",
        Endpoint::unknown(endpoint)
    );
    endpoint
}
