//! The data of the status page and `status.json`: one document for both. Holds no secret.
//!
//! Times are Unix seconds of the wall clock, converted from the clock that measures lifetimes.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;

use super::account_report::{AccountReport, IncidentReport, Unhashed};
use super::query::{Part, Query};
use crate::actix::GatewayStats;
use crate::broker::{
    Broker, Cluster, Counts, EgressSnapshot, EgressWay, Overview, PlatformSnapshot,
};
use crate::clock::UnixTime;
use crate::error::Text;
use crate::server::ready::{Readiness, ReadyState};
use crate::server::reload_record;

/// The status document.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) now: UnixTime,
    /// Changes whenever something other than the time has changed, in the selected accounts or outside the
    /// accounts.
    pub(super) revision: String,
    pub(super) version: &'static str,
    /// Uptime of this process, in seconds.
    pub(super) uptime: u64,
    /// Name of this node.
    pub(super) node: String,
    /// Whether this node receives requests, as `/readyz` answers.
    pub(super) readiness: ReadyState,
    pub(super) store: StoreReport,
    /// Peer nodes that share the store; empty if there are none.
    pub(super) peer_nodes: Vec<PeerNodeReport>,
    /// Number of times that this machine's clock was found to have been set.
    pub(super) clock_jumps: u64,
    pub(super) configuration: reload_record::State,
    pub(super) egress: EgressReport,
    /// The open platforms; left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) platforms: Vec<PlatformReport>,
    pub(super) summary: Counts,
    /// Number of accounts that match the query; `accounts` holds at most `limit` of them, starting at
    /// `offset`.
    pub(super) matching: usize,
    pub(super) offset: usize,
    pub(super) limit: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) accounts: Option<Vec<AccountReport>>,
    /// For the page only.
    #[serde(skip)]
    pub(super) incidents: Vec<IncidentReport>,
    /// For the page only; its incidents are in `incidents`.
    #[serde(skip)]
    pub(super) overview: Overview,
}

#[derive(Hash, Serialize)]
pub(super) struct StoreReport {
    /// `memory`, `file`, `redis` or `sql`.
    pub(super) kind: &'static str,
    pub(super) place: String,
    pub(super) shared: bool,
    pub(super) reachable: bool,
    pub(super) error: Option<String>,
    /// Since when the store is unreachable.
    pub(super) since: Option<UnixTime>,
}

#[derive(Hash, Serialize)]
pub(super) struct PeerNodeReport {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) seen_at: Unhashed<UnixTime>,
    /// Whether the node has missed an announcement or two.
    pub(super) late: bool,
}

/// How calls to WeChat leave.
#[derive(Hash, Serialize)]
pub(super) struct EgressReport {
    /// Each way in use, the one of most accounts first.
    pub(super) ways: Vec<WayReport>,
    /// Hosts of WeChat to which nothing could be sent last time, while others are used.
    pub(super) unreachable_hosts: Vec<String>,
}

#[derive(Hash, Serialize)]
pub(super) struct WayReport {
    /// `direct`, `environment` (the proxy of the process's environment) or `proxy` (a configured one).
    pub(super) via: &'static str,
    /// The proxy without credentials.
    pub(super) proxy: Option<String>,
    /// Base URL that the next call tries first.
    pub(super) host: String,
    /// Whether `host` is a fallback host.
    pub(super) fallback: bool,
    /// Number of accounts.
    pub(super) accounts: usize,
    /// The addresses that WeChat named when it refused calls within a day. More than one means that the
    /// address is not fixed.
    pub(super) addresses: Vec<String>,
    #[serde(skip)]
    pub(super) text: Text,
}

/// An open platform, whose accounts are called `NAME/APPID`.
#[derive(Hash, Serialize)]
pub(super) struct PlatformReport {
    pub(super) name: String,
    /// Whether it has a component_verify_ticket that WeChat accepts.
    pub(super) has_ticket: bool,
    /// Why WeChat cannot be asked to push tickets.
    pub(super) push_error: Option<PushErrorReport>,
    /// Whether its records were read from the store since the start.
    #[serde(skip)]
    pub(super) is_loaded: bool,
    /// When WeChat made the newest ticket.
    pub(super) ticket_at: Option<UnixTime>,
    /// When this node last received a valid push.
    pub(super) last_push: Option<UnixTime>,
    /// Number of accounts that can be used.
    pub(super) active: usize,
    /// Number of accounts that have to authorise the platform again.
    pub(super) needs_authorization: usize,
    /// The AppIDs of the first of them.
    pub(super) to_authorize: Vec<String>,
}

#[derive(Hash, Serialize)]
pub(super) struct PushErrorReport {
    pub(super) errcode: Option<i64>,
    pub(super) cause: Text,
    pub(super) fix: Text,
}

impl Report {
    pub(super) fn new(
        broker: &Broker,
        gateway: &GatewayStats,
        readiness: &Readiness,
        configuration: reload_record::State,
        query: &Query,
    ) -> Self {
        let snapshot = broker.snapshot(&query.find());
        let (now, cluster) = (snapshot.now, &snapshot.cluster);
        let to_wall = broker.clock().to_wall();
        let accounts: Vec<_> = snapshot
            .accounts
            .iter()
            .map(|account| AccountReport::of(account, gateway, now, to_wall))
            .collect();
        let readiness = readiness.state(&snapshot);
        let mut overview = snapshot.overview;
        overview.next_refresh = overview.next_refresh.map(to_wall);
        overview.next_try = overview.next_try.map(to_wall);
        overview.served_until = overview.served_until.map(to_wall);
        let incidents = std::mem::take(&mut overview.incidents)
            .iter()
            .map(|incident| IncidentReport::of(incident, gateway, now, to_wall))
            .collect();
        let mut report = Self {
            now: to_wall(now),
            revision: String::new(),
            version: env!("CARGO_PKG_VERSION"),
            uptime: broker.clock().uptime().as_secs(),
            node: cluster.node.name.clone(),
            readiness,
            store: StoreReport::of(cluster, to_wall),
            peer_nodes: cluster
                .peer_nodes
                .iter()
                .map(|peer| PeerNodeReport::of(peer, now, to_wall))
                .collect(),
            clock_jumps: snapshot.stats.clock_jumps,
            configuration: configuration.printed(to_wall),
            egress: EgressReport::of(&broker.egress()),
            platforms: broker
                .platforms()
                .into_iter()
                .map(|platform| PlatformReport::of(platform, to_wall))
                .collect(),
            summary: snapshot.counts,
            matching: snapshot.matching,
            offset: query.offset,
            limit: query.limit(),
            accounts: None,
            incidents,
            overview,
        };
        report.revision = report.revise(&accounts);
        report.accounts = (query.part != Part::Summary).then_some(accounts);
        report
    }

    fn revise(&self, accounts: &[AccountReport]) -> String {
        let mut hasher = DefaultHasher::new();
        (
            (&self.store, &self.configuration, &self.egress),
            (&self.platforms, &self.node, &self.peer_nodes),
            (self.summary, self.matching, self.clock_jumps),
            (&self.readiness, &self.incidents, accounts),
        )
            .hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

impl StoreReport {
    fn of(cluster: &Cluster, to_wall: impl Fn(UnixTime) -> UnixTime) -> Self {
        let trouble = cluster.trouble.as_ref();
        Self {
            kind: cluster.store,
            place: cluster.place.clone(),
            shared: cluster.shared,
            reachable: trouble.is_none(),
            error: trouble.map(|(error, _)| error.to_string()),
            since: trouble.map(|(_, since)| to_wall(*since)),
        }
    }
}

impl PeerNodeReport {
    fn of(
        peer: &crate::store::PeerNode,
        now: UnixTime,
        to_wall: impl Fn(UnixTime) -> UnixTime,
    ) -> Self {
        let (name, version) = (peer.node.name.clone(), peer.node.version.clone());
        Self {
            name,
            version,
            seen_at: Unhashed(to_wall(peer.seen_at)),
            late: now.since(peer.seen_at).as_secs() > LATE,
        }
    }
}

impl EgressReport {
    fn of(egress: &EgressSnapshot) -> Self {
        let way = |way: &EgressWay| WayReport {
            via: way.route.via.as_str(),
            proxy: way.route.via.proxy().map(str::to_owned),
            host: way.route.base.clone(),
            fallback: way.route.is_fallback,
            accounts: way.accounts,
            addresses: way.addresses.iter().map(ToString::to_string).collect(),
            text: way.route.via.text(),
        };
        Self {
            ways: egress.ways.iter().map(way).collect(),
            unreachable_hosts: egress.unreachable_hosts.clone(),
        }
    }
}

impl PlatformReport {
    fn of(platform: PlatformSnapshot, to_wall: impl Fn(UnixTime) -> UnixTime) -> Self {
        let mut to_authorize = platform.needs_authorization;
        let needs_authorization = to_authorize.len();
        to_authorize.truncate(MOST_TO_AUTHORIZE);
        Self {
            name: platform.name,
            has_ticket: platform.has_ticket,
            push_error: platform.push_error.map(|error| PushErrorReport {
                errcode: error.errcode(),
                cause: error.cause(),
                fix: error.fix_for_operator(),
            }),
            is_loaded: platform.is_loaded,
            ticket_at: platform.ticket_at,
            last_push: platform.last_push.map(to_wall),
            active: platform.active,
            needs_authorization,
            to_authorize,
        }
    }
}

/// More of them are in the list of accounts.
const MOST_TO_AUTHORIZE: usize = 10;

/// Seconds without an announcement until a node is late. A node announces itself every ten seconds.
const LATE: u64 = 25;
