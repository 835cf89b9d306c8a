//! The faults, one after another.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::sleep;
use wx_jssdk::sandbox::{Fault, FaultKind, Mode, Revoke};

use crate::load::client;
use crate::world::{KEY, TENANTS, World};

/// The pause between two faults.
pub(crate) const CALM: Duration = Duration::from_secs(2);

/// The duration of most faults.
const LASTS: Duration = Duration::from_secs(5);

/// The calls that fetch credentials.
const CALLS: [&str; 6] = [
    "/cgi-bin/stable_token",
    "/cgi-bin/token",
    "/cgi-bin/ticket/getticket",
    "/cgi-bin/gettoken",
    "/cgi-bin/get_jsapi_ticket",
    "/cgi-bin/ticket/get",
];

macro_rules! troubles {
    ($($name:ident,)*) => {
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Trouble { $($name,)* }

        impl Trouble {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

troubles! {
    Busy, Revoked, RedisPaused, Hang, Crowd, Killed, CutBody, RedisEmptied, LostReply, SlowClients, NotJson, ForeignStable,
    Terminated, GatewayError, BadReload, HugeBody, RedisGone, MinuteQuota, ForeignClassic, SlowAnswer, Reload, TokenRevoked,
    AddressNotAllowed,
}

impl Trouble {
    pub(crate) async fn play(self, world: &World) {
        match self {
            Self::Busy => upstream(world, FaultKind::Errcode(-1)).await,
            Self::MinuteQuota => upstream(world, FaultKind::Errcode(45011)).await,
            Self::AddressNotAllowed => upstream(world, FaultKind::Errcode(40164)).await,
            Self::Hang => upstream(world, FaultKind::Hang).await,
            Self::SlowAnswer => {
                upstream(world, FaultKind::Slow(Duration::from_millis(1_500))).await
            }
            Self::CutBody => upstream(world, FaultKind::CutBody).await,
            Self::LostReply => upstream(world, FaultKind::LostReply).await,
            Self::NotJson => upstream(world, FaultKind::NotJson).await,
            Self::HugeBody => upstream(world, FaultKind::HugeBody).await,
            Self::GatewayError => upstream(world, FaultKind::Status(502)).await,
            Self::ForeignStable => drop(
                world
                    .sandbox
                    .foreign_refresh(TENANTS[0].handle, Mode::Stable),
            ),
            Self::ForeignClassic => drop(
                world
                    .sandbox
                    .foreign_refresh(TENANTS[1].handle, Mode::Classic),
            ),
            Self::TokenRevoked => TENANTS
                .iter()
                .for_each(|tenant| world.sandbox.revoke(tenant.handle, Revoke::Token)),
            Self::Revoked => revoked(world).await,
            Self::RedisPaused => redis_paused(world).await,
            Self::RedisEmptied => drop(world.redis.lock().unwrap().cli(&["flushall"])),
            Self::RedisGone => redis_gone(world).await,
            Self::Killed => killed(world).await,
            Self::Terminated => terminated(world).await,
            Self::Reload => reload(world, None).await,
            Self::BadReload => {
                reload(
                    world,
                    Some("[server]\nlisten = 5\n[accounts.stable]\nsecrets = \"\"\n"),
                )
                .await
            }
            Self::Crowd => crowd(world).await,
            Self::SlowClients => slow_clients(world).await,
        }
    }
}

async fn upstream(world: &World, kind: FaultKind) {
    for call in CALLS {
        world.sandbox.fault(Fault::always(call, kind.clone()));
    }
    sleep(LASTS).await;
    world.sandbox.clear_faults();
}

/// WeChat ends a ticket early; a client that gets the refusal rejects it.
async fn revoked(world: &World) {
    let tenant = &TENANTS[0];
    let node = world.nodes[0].read().await;
    let url = format!("{}/credentials/{}/jsapi_ticket", node.admin, tenant.name);
    let held = client().get(&url).bearer_auth(KEY).send().await.unwrap();
    if held.status() != 200 {
        return; // there is no valid ticket to revoke
    }
    let held: Value = serde_json::from_str(&held.text().await.unwrap()).unwrap();
    // Other nodes read it from the store within five seconds; a refresh may be in its cooldown.
    world.results.revoked(tenant.name, Duration::from_secs(30));
    world.sandbox.revoke(tenant.handle, Revoke::JsapiTicket);
    let body = serde_json::json!({ "value": held["value"] }).to_string();
    let answer = client()
        .post(format!("{url}/reject"))
        .bearer_auth(KEY)
        .body(body)
        .send()
        .await
        .unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert!(
        matches!(status, 200 | 429 | 503),
        "a reject gets {status}: {text}"
    );
}

async fn redis_paused(world: &World) {
    world.redis.lock().unwrap().signal("STOP");
    sleep(LASTS).await;
    world.redis.lock().unwrap().signal("CONT");
}

/// Redis is killed and restarted empty.
async fn redis_gone(world: &World) {
    world.redis.lock().unwrap().kill();
    sleep(LASTS * 2).await;
    world.redis.lock().unwrap().restart();
}

/// kill -9 at a random moment. Only pages in progress are lost.
async fn killed(world: &World) {
    world.results.dying(0, true);
    world.nodes[0].read().await.signal("-KILL");
    let mut node = world.nodes[0].write().await;
    node.restart("-0");
    drop(node);
    world.results.dying(0, false);
}

/// SIGTERM between two requests: no client loses an answer.
async fn terminated(world: &World) {
    let mut node = world.nodes[0].write().await;
    world.results.dying(0, true);
    world.results.dying(0, false);
    node.restart("-TERM");
}

async fn reload(world: &World, config: Option<&str>) {
    for node in &world.nodes {
        let node = node.read().await;
        node.configure(config);
        node.signal("-HUP");
    }
    sleep(CALM).await;
    for node in &world.nodes {
        node.read().await.configure(None);
    }
}

/// Eleven times as many pages.
async fn crowd(world: &World) {
    world.crowd.store(true, Ordering::Relaxed);
    sleep(LASTS).await;
    world.crowd.store(false, Ordering::Relaxed);
}

/// Two hundred connections that send half a request and wait.
async fn slow_clients(world: &World) {
    let mut idle = Vec::new();
    for node in &world.nodes {
        let address = node
            .read()
            .await
            .public
            .strip_prefix("http://")
            .unwrap()
            .to_owned();
        for _ in 0..200 {
            if let Ok(mut stream) = TcpStream::connect(&address).await {
                let _ = stream.write_all(b"GET /jssdk/config?url=").await;
                idle.push(stream);
            }
        }
    }
    sleep(LASTS).await;
}
