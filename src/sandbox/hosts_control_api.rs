//! Control API of hosts and proxies: `/sandbox/hosts` and `/sandbox/proxies`.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::{self, Bytes, Data, Json, ServiceConfig};
use serde::Deserialize;
use serde_json::{Value, json};

use super::control_api::{Problem, done, read};
use super::hosts::Network;
use super::proxy::{Proxy, ProxyKind, ProxyRule};
use super::shared_state::Shared;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .route("/hosts", web::get().to(hosts))
        .route("/hosts", web::post().to(set_host))
        .route("/proxies", web::get().to(proxies))
        .route("/proxies", web::post().to(set_proxy))
        .route("/proxies", web::delete().to(stop_proxies));
}

async fn hosts(shared: Data<Shared>) -> Json<Value> {
    let mut states = Vec::new();
    if let Some(network) = shared.network() {
        for host in network.hosts().await {
            states.push(host.state().await);
        }
    }
    Json(json!({ "hosts": states }))
}

async fn set_host(
    shared: Data<Shared>,
    request: HttpRequest,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        name: String,
        #[serde(default = "yes")]
        reachable: bool,
    }
    let order = read::<Order>(&body, HOST)?;
    let network = network(&shared)?;
    let host = match order.name.as_str() {
        "api" => network.first.clone(),
        "api2" => network.second().await.map_err(|error| error.to_string())?,
        other => {
            return Err(format!("\"name\" must be api or api2 (got \"{other}\")").into());
        }
    };
    let asked_at = request.app_config().local_addr().port();
    if !order.reachable && host.addr().port() == asked_at {
        return Err(format!(
            "a host cannot make itself unreachable: send this to the other one (got \"{}\")",
            order.name
        )
        .into());
    }
    let done = host.set_reachable(order.reachable).await;
    done.map_err(|error| error.to_string())?;
    Ok(Json(host.state().await))
}

async fn proxies(shared: Data<Shared>) -> Json<Value> {
    let states: Vec<_> = shared
        .network()
        .map(|network| network.proxies.lock().iter().map(Proxy::state).collect())
        .unwrap_or_default();
    Json(json!({ "proxies": states }))
}

/// Starts a proxy, or changes the one at this port.
async fn set_proxy(shared: Data<Shared>, body: Bytes) -> Result<Json<Value>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        kind: Option<ProxyKind>,
        port: Option<u16>,
        user: Option<String>,
        password: Option<String>,
        egress: Option<IpAddr>,
        rule: Option<ProxyRule>,
    }
    let order = read::<Order>(&body, PROXY)?;
    let network = network(&shared)?;
    let proxy = match (order.kind, order.port) {
        (Some(kind), None) if order.user.is_some() || order.password.is_none() => {
            let credentials = order
                .user
                .map(|user| (user, order.password.unwrap_or_default()));
            let proxy = Proxy::start(kind, credentials, &shared).await;
            let proxy = proxy.map_err(|error| error.to_string())?;
            network.proxies.lock().push(proxy.clone());
            proxy
        }
        (None, Some(port)) if order.user.is_none() && order.password.is_none() => {
            let proxies = network.proxies.lock();
            let found = proxies.iter().find(|proxy| proxy.addr().port() == port);
            found
                .ok_or_else(|| format!("no proxy has port {port}"))?
                .clone()
        }
        _ => return Err(format!("expected JSON like {PROXY}").into()),
    };
    if let Some(egress) = order.egress {
        proxy.set_egress(egress);
    }
    if let Some(rule) = order.rule {
        proxy.set_rule(rule);
    }
    Ok(Json(proxy.state()))
}

async fn stop_proxies(shared: Data<Shared>) -> Json<Value> {
    if let Some(network) = shared.network() {
        for proxy in network.proxies.lock().drain(..) {
            proxy.stop();
        }
    }
    done()
}

fn network(shared: &Shared) -> Result<Arc<Network>, String> {
    shared
        .network()
        .ok_or_else(|| "the sandbox is stopping".to_owned())
}

fn yes() -> bool {
    true
}

const HOST: &str = r#"{"name": "api2", "reachable": true}, where "name" is api or api2, which starts at first use"#;
const PROXY: &str = r#"{"kind": "http", "user": "u", "password": "p", "egress": "203.0.113.7", "rule": "pass"}, where "kind" is http or socks5 and "rule" is pass, deny, fail or hang; or, for a running proxy, {"port": 40123, "egress": "203.0.113.8"}"#;
