//! WeChat, Redis, three nodes, and their state.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::RwLock;
use wx_jssdk::Clock;
use wx_jssdk::sandbox::{App, Sandbox};

use crate::common::redis_server::Redis;
use crate::nodes::{Node, Shared};
use crate::results::Results;

pub(crate) const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
pub(crate) const KEY: &str = "wxk_the-peers-key";

/// Name, app id at WeChat, and which nodes have it.
pub(crate) struct Tenant {
    pub(crate) name: &'static str,
    pub(crate) app_id: &'static str,
    /// Its name in the sandbox's handle.
    pub(crate) handle: &'static str,
    pub(crate) nodes: &'static [usize],
}

pub(crate) const TENANTS: [Tenant; 4] = [
    Tenant {
        name: "stable",
        app_id: "wx1111111111111111",
        handle: "wx1111111111111111",
        nodes: &[0, 1],
    },
    Tenant {
        name: "classic",
        app_id: "wx2222222222222222",
        handle: "wx2222222222222222",
        nodes: &[0, 1],
    },
    Tenant {
        name: "sales",
        app_id: "ww3333333333333333",
        handle: "ww3333333333333333:1000002",
        nodes: &[0, 1],
    },
    Tenant {
        name: "solo",
        app_id: "wx4444444444444444",
        handle: "wx4444444444444444",
        nodes: &[2],
    },
];

/// Short enough for many refreshes in ten minutes, with a lead (a quarter of it) that is longer than most faults.
const TOKEN_LIFE: Duration = Duration::from_secs(90);

/// WeChat repeats the same ticket until five minutes before its end. With a shorter life each call would create a new one, and
/// the third end the first, as never happens in two hours.
const TICKET_LIFE: Duration = Duration::from_secs(400);

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) redis: Arc<Mutex<Redis>>,
    /// Clients read-lock a node during a request: it is replaced only between two requests, or during one on purpose.
    pub(crate) nodes: Vec<Arc<RwLock<Node>>>,
    pub(crate) results: Arc<Results>,
    pub(crate) length: Duration,
    ended: Arc<AtomicBool>,
    /// More clients than usual.
    pub(crate) crowd: Arc<AtomicBool>,
}

impl World {
    pub(crate) async fn start(length: Duration) -> Self {
        let sandbox = Sandbox::start(Clock::system()).await.unwrap();
        for tenant in &TENANTS {
            let app = match tenant.handle.split_once(':') {
                Some((corp, agent)) => {
                    App::work(corp, agent.parse().unwrap(), SECRET).safe_domain("www.example.com")
                }
                None => App::official(tenant.app_id, SECRET).safe_domain("example.com"),
            };
            sandbox.add_app(app.token_ttl(TOKEN_LIFE).ticket_ttl(TICKET_LIFE));
        }
        let redis = Redis::start();
        let shared = |store: String| Shared {
            store,
            wechat: sandbox.url().to_owned(),
        };
        let common = format!("kind = \"redis\"\nurl = \"{}\"", redis.url());
        let stores = [
            common.clone(),
            common,
            "kind = \"file\"\npath = \"soak.redb\"".to_owned(),
        ];
        let nodes = stores
            .into_iter()
            .enumerate()
            .map(|(number, store)| Node::start(number, shared(store)));
        let nodes = nodes.map(|node| Arc::new(RwLock::new(node))).collect();
        Self {
            sandbox,
            redis: Arc::new(Mutex::new(redis)),
            nodes,
            results: Arc::default(),
            length,
            ended: Arc::default(),
            crowd: Arc::default(),
        }
    }

    pub(crate) fn stop(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    pub(crate) fn ended(&self) -> Arc<AtomicBool> {
        self.ended.clone()
    }
}
