//! The load: clients that request pages continually and have each answer verified.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;
use tokio::sync::RwLock;
use tokio::task::JoinHandle;
use wx_jssdk::sandbox::Sandbox;

use crate::common::http::client_within;
use crate::common::upstream::{signature, verdict};
use crate::nodes::Node;
use crate::results::{Results, Wrong};
use crate::world::{TENANTS, Tenant, World};

/// Pages whose addresses are often signed incorrectly, and a plain one.
const PAGES: [&str; 5] = [
    "https://www.example.com/goods?id=1",
    "https://www.example.com/%E5%95%86%E5%93%81?name=%E5%BC%A0+%2F%20b&",
    "https://www.example.com/a//b/?",
    "http://www.example.com/?from=singlemessage&isappinstalled=0",
    "https://WWW.example.com/A%2fb?q=%25&q=+",
];

/// Clients of each node; ten times as many are added in a load peak.
const CLIENTS: usize = 6;

/// The pause between two requests of one client: some thousands a second in all, which leaves capacity for the faults.
const PACE: Duration = Duration::from_millis(4);

pub(crate) fn start(world: &World) -> Vec<JoinHandle<()>> {
    let (mut clients, client) = (Vec::new(), client());
    for tenant in &TENANTS {
        for &number in tenant.nodes {
            for place in 0..CLIENTS * 11 / tenant.nodes.len() {
                let visitor = Visitor {
                    tenant,
                    number,
                    // Clients of the load peak only.
                    only_in: (place >= CLIENTS / tenant.nodes.len()).then(|| world.crowd.clone()),
                    node: world.nodes[number].clone(),
                    sandbox: world.sandbox.clone(),
                    results: world.results.clone(),
                    client: client.clone(),
                };
                clients.push(tokio::spawn(visitor.stay(place, world.ended())));
            }
        }
    }
    clients
}

struct Visitor {
    tenant: &'static Tenant,
    number: usize,
    only_in: Option<Arc<AtomicBool>>,
    node: Arc<RwLock<Node>>,
    sandbox: Sandbox,
    results: Arc<Results>,
    client: Client,
}

impl Visitor {
    async fn stay(self, place: usize, ended: Arc<AtomicBool>) {
        let mut turn = place;
        while !ended.load(Ordering::Relaxed) {
            tokio::time::sleep(PACE).await;
            if self
                .only_in
                .as_ref()
                .is_none_or(|crowd| crowd.load(Ordering::Relaxed))
            {
                turn += 1;
                self.visit(PAGES[turn % PAGES.len()]).await;
            }
        }
    }

    /// Requests one page and verifies the answer.
    async fn visit(&self, page: &str) {
        // A graceful replacement of the node waits for this lock; a kill does not.
        let node = self.node.read().await;
        let begun = Instant::now();
        let query =
            serde_urlencoded::to_string([("account", self.tenant.name), ("url", page)]).unwrap();
        let lived = self.known_to_live();
        let answer = self
            .client
            .get(format!("{}/jssdk/config?{query}", node.public))
            .send()
            .await;
        let (status, body) = match answer {
            Ok(answer) => (
                answer.status().as_u16(),
                answer.text().await.unwrap_or_default(),
            ),
            Err(error) => {
                return self
                    .results
                    .lost(self.number, &error.without_url().to_string());
            }
        };
        self.results.answered(status, begun.elapsed());
        match status {
            200 => self.judge(
                page,
                &serde_json::from_str(&body).unwrap_or_default(),
                begun,
            ),
            429 | 500.. if lived => {
                self.results
                    .wrong(Wrong::Withheld, self.tenant.name, self.number, &body)
            }
            502 | 503 => {}
            _ => self.results.wrong(
                Wrong::Status,
                self.tenant.name,
                self.number,
                &format!("{status} {body}"),
            ),
        }
    }

    /// Returns whether WeChat's current ticket is one that this node has signed with, with time left.
    fn known_to_live(&self) -> bool {
        let now = self.sandbox.clock().now();
        let Some(app) = self
            .sandbox
            .state()
            .apps
            .into_iter()
            .find(|app| app.app_id == self.tenant.app_id)
        else {
            return false;
        };
        let Some(ticket) = app.tickets.get("jsapi") else {
            return false;
        };
        ticket.expires_at > now.plus(SPARE)
            && self
                .results
                .has_signed_with(self.number, self.tenant.name, &ticket.value)
    }

    fn judge(&self, page: &str, config: &Value, begun: Instant) {
        let text = |name: &str| config[name].as_str().unwrap_or_default().to_owned();
        let verdict = verdict(&self.sandbox, config, page);
        // The service allows five seconds for the way to WeChat: a slower client may find the ticket expired.
        if begun.elapsed() > WAY {
            return self.results.came_late();
        }
        if !verdict.is_ok() {
            return self.results.wrong(
                Wrong::Signature,
                self.tenant.name,
                self.number,
                &format!(
                    "{} after {:?}: {}",
                    verdict.err_msg,
                    begun.elapsed(),
                    verdict.reason.map(|reason| reason.en).unwrap_or_default()
                ),
            );
        }
        if let Some(ticket) = self.sandbox.ticket(self.tenant.handle, "jsapi") {
            let (nonce, timestamp) = (text("nonceStr"), &config["timestamp"]);
            let own = signature(&ticket, &nonce, timestamp, page);
            if own == text("signature") {
                self.results
                    .signed_with(self.number, self.tenant.name, &ticket);
            }
        }
    }
}

pub(crate) fn client() -> Client {
    client_within(Duration::from_secs(20))
}

/// Maximum time from request to verification: the service's margin less the one second of clock rounding.
const WAY: Duration = Duration::from_secs(4);

/// The safety margin, the rounding of clocks to seconds, and the transfer time.
const SPARE: Duration = Duration::from_secs(9);
