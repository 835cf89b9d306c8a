//! A development server whose `upstream` is the production server's admin listener and whose secret is an API key.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use wx_jssdk::sandbox::{App, Sandbox};
use wx_jssdk::{Account, Broker, Clock, Kind, PageUrl, Platform, UpstreamOptions};

use crate::admin::world::*;
use crate::common::http::BOUND;

const LIFE: u64 = 7_200;

/// Seconds before its end in which a value may be refreshed: the lead is at most 300.
const NEAR: u64 = 420;

/// The step in seconds while nothing is due.
const CALM: u64 = 20;

/// An account, its calls to WeChat, and how its values are verified there.
struct Case {
    account: Account,
    /// The account at the simulator.
    app: &'static str,
    token: &'static str,
    tickets: &'static [(Kind, &'static str, &'static str)],
}

fn official() -> Case {
    Case {
        account: Account::official(APP, KEY),
        app: APP,
        token: STABLE,
        tickets: &[(Kind::JsapiTicket, "jsapi", TICKET)],
    }
}

fn work() -> Case {
    Case {
        account: Account::work(CORP, 1_000_002, SALES_KEY),
        app: "wwbbbbbbbbbbbbbbbb:1000002",
        token: "/cgi-bin/gettoken",
        tickets: &[
            (Kind::JsapiTicket, "jsapi", "/cgi-bin/get_jsapi_ticket"),
            (Kind::AgentTicket, "agent_config", "/cgi-bin/ticket/get"),
        ],
    }
}

/// Production with the simulated WeChat as upstream, and a development server with production as upstream.
struct Chain {
    production: World,
    wechat: Sandbox,
    way: Way,
    development: Broker,
    clock: Clock,
    case: Case,
}

/// A proxy between development and production.
struct Way {
    address: String,
    loses_calls: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
}

impl Way {
    /// A second passes during each of the first `slow` calls.
    async fn to(production: SocketAddr, clock: Clock, slow: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let loses_calls = Arc::new(AtomicBool::new(false));
        let calls = Arc::new(AtomicU64::new(0));
        let (losing, counting) = (loses_calls.clone(), calls.clone());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if counting.fetch_add(1, SeqCst) < slow {
                    clock.advance(Duration::from_secs(1));
                }
                let loses = losing.load(SeqCst);
                tokio::spawn(async move {
                    if loses {
                        // Closed without an answer: the broker does the same as after a timeout, and no test waits for one.
                        let _ = client.read(&mut [0; 4_096]).await;
                    } else if let Ok(mut server) = TcpStream::connect(production).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self {
            address,
            loses_calls,
            calls,
        }
    }
}

impl Chain {
    async fn new(case: Case, slow: u64) -> Self {
        let clock = Clock::manual(START);
        let wecom = Sandbox::start(clock.clone()).await.unwrap();
        wecom.add_app(App::work(CORP, 1_000_002, SECRET));
        let accounts = match case.account.platform() {
            Platform::Work { .. } => vec![("sales", Account::work(CORP, 1_000_002, SECRET))],
            _ => vec![("main", Account::official(APP, SECRET))],
        };
        let production = World::with(clock.clone(), wecom.url(), accounts).await;
        let wechat = match case.account.platform() {
            Platform::Work { .. } => wecom,
            _ => production.sandbox.clone(),
        };
        let way = Way::to(production.address, clock.clone(), slow).await;
        let upstream = UpstreamOptions {
            connect_timeout: BOUND,
            timeout: BOUND,
            ..UpstreamOptions::at(&way.address)
        };
        let account = case.account.clone().js_safe_domain("example.com").unwrap();
        let development = Broker::builder()
            .clock(clock.clone())
            .upstream(upstream)
            .account("dev", account);
        let chain = Self {
            production,
            wechat,
            way,
            development: development.build().unwrap(),
            clock,
            case,
        };
        chain.step().await;
        chain
    }

    async fn seconds(&self, count: u64) {
        for _ in 0..count {
            self.production.advance(1);
            self.step().await;
        }
    }

    /// Advances the clock to `end`, in seconds since the start: second by second while a value may be refreshed.
    async fn until(&self, end: u64) {
        while self.passed() < end {
            let left = end - self.passed();
            let step = if self.is_quiet().await {
                CALM.min(left)
            } else {
                1
            };
            self.production.advance(step);
            self.step().await;
            self.token().await;
        }
    }

    /// Returns whether no value ends soon; production and development share the value.
    async fn is_quiet(&self) -> bool {
        let tickets = self.case.tickets.iter().map(|(kind, ..)| *kind);
        for kind in tickets.chain([Kind::AccessToken]) {
            let value = self.development.credential("dev", kind).await;
            let ends = value.map_or(0, |value| value.expires_at.0);
            if ends < self.clock.now().0 + NEAR {
                return false;
            }
        }
        true
    }

    /// Runs one step of each keeper and one page request.
    async fn step(&self) {
        self.production.broker.tend().await;
        self.development.tend().await;
        self.signs().await;
    }

    fn passed(&self) -> u64 {
        self.clock.now().0 - START.0
    }

    /// Asserts that every ticket is available and accepted by WeChat.
    async fn signs(&self) {
        let page = PageUrl::parse("https://example.com/p").unwrap();
        let signed = self.development.js_config("dev", &page).await;
        assert!(signed.is_ok(), "after {} s: {signed:?}", self.passed());
        for (kind, name, _) in self.case.tickets {
            let ticket = self.development.credential("dev", *kind).await;
            let ticket =
                ticket.unwrap_or_else(|error| panic!("after {} s: {error}", self.passed()));
            assert!(
                self.wechat
                    .accepts_ticket(self.case.app, name, ticket.value.expose()),
                "after {} s: a dead {kind}",
                self.passed()
            );
        }
    }

    async fn token(&self) {
        let token = self.development.credential("dev", Kind::AccessToken).await;
        let token = token.unwrap_or_else(|error| panic!("after {} s: {error}", self.passed()));
        assert!(
            self.wechat
                .accepts_token(self.case.app, token.value.expose()),
            "after {} s: an expired token",
            self.passed()
        );
    }
}

async fn three_lives_cost_one_call_each(case: fn() -> Case) {
    for slow in [0, 1, 2] {
        let chain = Chain::new(case(), slow).await;
        chain.until(3 * LIFE).await;
        // The fourth value exists already: it was fetched some minutes before the end of the third.
        let calls = chain.wechat.calls(chain.case.token);
        assert!(calls <= 4, "{calls} token calls");
        for (kind, _, path) in chain.case.tickets {
            let calls = chain.wechat.calls(path);
            assert!(calls <= 4, "{calls} calls for a {kind}");
        }
        // One call for each value, and a second one if production is refreshing it at that time.
        let values = 1 + chain.case.tickets.len() as u64;
        let asked = chain.way.calls.load(SeqCst);
        assert!(asked <= 8 * values, "production got {asked} requests");
    }
}

#[tokio::test]
async fn an_official_account_behind_production_costs_one_call_per_lifetime() {
    three_lives_cost_one_call_each(official).await;
}

#[tokio::test]
async fn a_wecom_app_behind_production_costs_one_call_per_lifetime() {
    three_lives_cost_one_call_each(work).await;
}

async fn pages_outlive_lost_calls_of_production(case: fn() -> Case) {
    for before_the_end in [245, 200, 150, 90, 30, 1] {
        let chain = Chain::new(case(), 0).await;
        chain.until(LIFE - before_the_end).await;
        chain.way.loses_calls.store(true, SeqCst);
        chain.seconds(60).await;
        chain.way.loses_calls.store(false, SeqCst);
        chain.seconds(400).await;
        chain.token().await;
    }
}

#[tokio::test]
async fn while_production_loses_calls_every_page_of_development_is_signed() {
    pages_outlive_lost_calls_of_production(official).await;
}

#[tokio::test]
async fn while_production_loses_calls_every_wecom_page_of_development_is_signed() {
    pages_outlive_lost_calls_of_production(work).await;
}
