//! The data of the status page and `status.json`: one document for both. Holds no secret.
//!
//! Times are Unix seconds of the clock that measures lifetimes; `now` is that clock's time.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;

use super::query::{Part, Query};
use crate::actix::GatewayStats;
use crate::broker::{
    AccountSnapshot, Broker, Cluster, Counts, CredentialSnapshot, EgressSnapshot, EgressWay, HOURS,
    Health, HourState, Incident, LastError, Overview, Refresh,
};
use crate::clock::UnixTime;
use crate::credential::Kind;
use crate::error::{System, Text};
use crate::server::config::Problem;
use crate::server::reload_record::Record;

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
    pub(super) store: StoreReport,
    /// Peer nodes that share the store; empty if there are none.
    pub(super) peer_nodes: Vec<PeerNodeReport>,
    /// Number of times that this machine's clock was found to have been set.
    pub(super) clock_jumps: u64,
    pub(super) configuration: ConfigurationReport,
    pub(super) egress: EgressReport,
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

/// One cause and the accounts that fail because of it.
pub(super) struct IncidentReport {
    pub(super) is_down: bool,
    /// The latest failure, with the times of all.
    pub(super) error: ErrorReport,
    pub(super) system: System,
    /// Number of its accounts; `accounts` holds the first.
    pub(super) count: usize,
    pub(super) stops_pages: bool,
    pub(super) down_since: Option<UnixTime>,
    pub(super) accounts: Vec<AccountReport>,
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

#[derive(Serialize)]
pub(super) struct PeerNodeReport {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) seen_at: UnixTime,
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

#[derive(Hash, Serialize)]
pub(super) struct ConfigurationReport {
    /// When the current configuration was loaded.
    pub(super) loaded_at: UnixTime,
    pub(super) reloads: u64,
    pub(super) needs_restart: Vec<&'static str>,
    pub(super) refused: Option<RefusedReport>,
}

#[derive(Hash, Serialize)]
pub(super) struct RefusedReport {
    pub(super) at: UnixTime,
    pub(super) count: usize,
    /// The first of the problems.
    pub(super) problems: Vec<ProblemReport>,
}

#[derive(Hash, Serialize)]
pub(super) struct ProblemReport {
    pub(super) path: String,
    pub(super) en: String,
    pub(super) zh: String,
}

#[derive(Serialize)]
pub(super) struct AccountReport {
    pub(super) account: String,
    pub(super) platform: &'static str,
    /// AppID or CorpID. Not secret: every page holds it.
    pub(super) app_id: String,
    /// `ok`, `starting`, `degraded` or `down`.
    pub(super) state: &'static str,
    /// Whether the account signs pages.
    pub(super) signs_pages: bool,
    /// Until when its pages are signed if every refresh fails from now on. For an account that signs no
    /// pages: until when it has a token.
    pub(super) served_until: Option<UnixTime>,
    /// Calls that this node has passed on to WeChat since its start and that were answered.
    pub(super) gateway_calls: u64,
    pub(super) credentials: Vec<CredentialReport>,
    /// The last 24 hours, oldest first; for the page only.
    #[serde(skip)]
    pub(super) hours: [HourState; HOURS],
}

#[derive(Serialize)]
pub(super) struct CredentialReport {
    pub(super) kind: &'static str,
    pub(super) state: &'static str,
    pub(super) issued_at: Option<UnixTime>,
    pub(super) expires_at: Option<UnixTime>,
    /// In seconds.
    pub(super) age: Option<u64>,
    /// In seconds.
    pub(super) remaining: Option<u64>,
    pub(super) refreshing: bool,
    pub(super) due_at: Option<UnixTime>,
    pub(super) next_refresh: Option<UnixTime>,
    pub(super) refreshes: u64,
    pub(super) foreign_refreshes: u64,
    pub(super) lost_replies: u64,
    pub(super) endpoint: &'static str,
    pub(super) calls_today: Option<u64>,
    pub(super) daily_quota: Option<u64>,
    pub(super) error: Option<ErrorReport>,
    pub(super) history: Vec<RefreshReport>,
}

#[derive(Clone, Serialize)]
pub(super) struct ErrorReport {
    /// Time of the first failure in a row.
    pub(super) since: UnixTime,
    pub(super) at: UnixTime,
    pub(super) retry_at: UnixTime,
    pub(super) failures: u32,
    pub(super) class: &'static str,
    pub(super) errcode: Option<i64>,
    /// The kind of the credential that failed: a ticket's failure may be its token's.
    pub(super) kind: &'static str,
    pub(super) endpoint: &'static str,
    /// WeChat's error message, or the transport error.
    pub(super) message: String,
    pub(super) cause: Text,
    pub(super) fix: Text,
    /// The IP to add to the allow-list, if that is the fix: the one that WeChat saw last.
    pub(super) ip_to_allow: Option<String>,
    /// All IPs that WeChat saw within a day, the last one first. More than one means that the egress IP is
    /// not fixed.
    pub(super) ips_to_allow: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct RefreshReport {
    pub(super) at: UnixTime,
    pub(super) last_at: UnixTime,
    pub(super) times: u64,
    /// `fetched`, `repeated`, `from_store`, or the class of a failure.
    pub(super) outcome: &'static str,
    pub(super) failed: bool,
    pub(super) errcode: Option<i64>,
    pub(super) millis: u128,
    pub(super) expires_at: Option<UnixTime>,
}

impl Report {
    pub(super) fn new(
        broker: &Broker,
        gateway: &GatewayStats,
        configuration: &Record,
        query: &Query,
    ) -> Self {
        let snapshot = broker.snapshot(&query.find());
        let (now, cluster) = (snapshot.now, &snapshot.cluster);
        let accounts: Vec<_> = snapshot
            .accounts
            .iter()
            .map(|account| AccountReport::of(account, gateway, now))
            .collect();
        let mut overview = snapshot.overview;
        let incidents = std::mem::take(&mut overview.incidents)
            .iter()
            .map(|incident| IncidentReport::of(incident, gateway, now))
            .collect();
        let mut report = Self {
            now,
            revision: String::new(),
            version: env!("CARGO_PKG_VERSION"),
            uptime: broker.clock().uptime().as_secs(),
            node: cluster.node.name.clone(),
            store: StoreReport::of(cluster),
            peer_nodes: cluster
                .peer_nodes
                .iter()
                .map(|peer| PeerNodeReport::of(peer, now))
                .collect(),
            clock_jumps: snapshot.stats.clock_jumps,
            configuration: ConfigurationReport::of(configuration),
            egress: EgressReport::of(&broker.egress()),
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
            &self.store,
            (&self.configuration, &self.egress),
            self.summary,
            self.matching,
            self.clock_jumps,
            &self.node,
        )
            .hash(&mut hasher);
        self.peer_nodes
            .iter()
            .for_each(|peer| (&peer.name, &peer.version, peer.late).hash(&mut hasher));
        for incident in &self.incidents {
            let error = &incident.error;
            (incident.count, incident.down_since, error.errcode).hash(&mut hasher);
            (error.since, error.at, error.retry_at, error.failures).hash(&mut hasher);
        }
        let in_incidents = self.incidents.iter().flat_map(|one| &one.accounts);
        for account in in_incidents.chain(accounts) {
            (
                &account.account,
                account.state,
                account.served_until,
                &account.app_id,
                account.hours,
            )
                .hash(&mut hasher);
            account
                .credentials
                .iter()
                .for_each(|credential| credential.hash_into(&mut hasher));
        }
        format!("{:016x}", hasher.finish())
    }
}

impl StoreReport {
    fn of(cluster: &Cluster) -> Self {
        let trouble = cluster.trouble.as_ref();
        Self {
            kind: cluster.store,
            place: cluster.place.clone(),
            shared: cluster.shared,
            reachable: trouble.is_none(),
            error: trouble.map(|(error, _)| error.to_string()),
            since: trouble.map(|(_, since)| *since),
        }
    }
}

impl PeerNodeReport {
    fn of(peer: &crate::store::PeerNode, now: UnixTime) -> Self {
        let (name, version) = (peer.node.name.clone(), peer.node.version.clone());
        Self {
            name,
            version,
            seen_at: peer.seen_at,
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

impl ConfigurationReport {
    fn of(record: &Record) -> Self {
        let refused = record.refused.as_ref().map(|refused| RefusedReport {
            at: refused.at,
            count: refused.count,
            problems: refused.problems.iter().map(ProblemReport::of).collect(),
        });
        let (loaded_at, reloads, needs_restart) = (
            record.loaded_at,
            record.reloads,
            record.needs_restart.clone(),
        );
        Self {
            loaded_at,
            reloads,
            needs_restart,
            refused,
        }
    }
}

impl ProblemReport {
    pub(super) fn of(problem: &Problem) -> Self {
        Self {
            path: problem.path.clone(),
            en: problem.what.en.to_string(),
            zh: problem.what.zh.to_string(),
        }
    }
}

impl AccountReport {
    fn of(account: &AccountSnapshot, gateway: &GatewayStats, now: UnixTime) -> Self {
        let primary = account.primary().filter(|primary| primary.is_served());
        Self {
            account: account.name.clone(),
            gateway_calls: gateway.answered(&account.name),
            platform: account.account.platform().as_str(),
            app_id: account.account.app_id().to_owned(),
            state: account.health.as_str(),
            signs_pages: account.signs_pages(),
            served_until: primary.and_then(|primary| primary.served_until),
            credentials: account
                .credentials
                .iter()
                .map(|credential| CredentialReport::of(credential, now))
                .collect(),
            hours: account.hours(now),
        }
    }

    /// Returns the credential that the account exists for.
    pub(super) fn primary(&self) -> Option<&CredentialReport> {
        let kind = if self.signs_pages {
            Kind::JsapiTicket
        } else {
            Kind::AccessToken
        };
        self.credentials
            .iter()
            .find(|one| one.kind == kind.as_str())
    }

    /// Returns how often another server replaced one of its credentials.
    pub(super) fn foreign_refreshes(&self) -> u64 {
        self.credentials
            .iter()
            .map(|one| one.foreign_refreshes)
            .sum()
    }

    /// Returns how many replies with one of its credentials were lost.
    pub(super) fn lost_replies(&self) -> u64 {
        self.credentials.iter().map(|one| one.lost_replies).sum()
    }

    /// Returns today's calls and the quota of the endpoint whose quota is used up most.
    pub(super) fn tightest_quota(&self) -> Option<(u64, Option<u64>)> {
        let share = |(calls, quota): (u64, Option<u64>)| {
            quota.map(|quota| (calls * 1_000_000).checked_div(quota))
        };
        let calls = self.credentials.iter();
        let calls = calls.filter_map(|one| Some((one.calls_today?, one.daily_quota)));
        calls.max_by_key(|one| share(*one))
    }

    /// Returns the earliest next refresh of its credentials.
    pub(super) fn next_refresh(&self) -> Option<UnixTime> {
        let credentials = self.credentials.iter();
        credentials.filter_map(|one| one.next_refresh).min()
    }

    /// Returns each failure once: a ticket's failure that is its token's is listed with the token only.
    pub(super) fn errors(&self) -> Vec<(&CredentialReport, &ErrorReport)> {
        let failed = |kind| {
            self.credentials
                .iter()
                .any(|one| one.kind == kind && one.error.is_some())
        };
        let with_errors = self
            .credentials
            .iter()
            .filter_map(|one| Some((one, one.error.as_ref()?)));
        with_errors
            .filter(|(one, error)| error.kind == one.kind || !failed(error.kind))
            .collect()
    }
}

impl IncidentReport {
    fn of(incident: &Incident, gateway: &GatewayStats, now: UnixTime) -> Self {
        let mut error = ErrorReport::of(&incident.error);
        error.ips_to_allow = incident.addresses.iter().map(ToString::to_string).collect();
        Self {
            is_down: incident.health == Health::Down,
            error,
            system: incident.error.error.system,
            count: incident.count,
            stops_pages: incident.stops_pages,
            down_since: incident.down_since,
            accounts: incident
                .accounts
                .iter()
                .map(|account| AccountReport::of(account, gateway, now))
                .collect(),
        }
    }
}

impl CredentialReport {
    fn of(credential: &CredentialSnapshot, now: UnixTime) -> Self {
        let (issued_at, expires_at) = (credential.issued_at, credential.expires_at);
        let is_tried = credential.health != Health::Starting || credential.last_error.is_some();
        Self {
            kind: credential.kind.as_str(),
            state: credential.health.as_str(),
            issued_at,
            expires_at,
            age: issued_at.map(|issued| now.since(issued).as_secs()),
            remaining: expires_at.map(|end| end.since(now).as_secs()),
            refreshing: credential.refreshing,
            due_at: credential.due_at,
            next_refresh: credential.next_refresh.filter(|_| is_tried),
            refreshes: credential.refreshes,
            foreign_refreshes: credential.foreign_refreshes,
            lost_replies: credential.lost_replies,
            endpoint: credential.endpoint,
            calls_today: credential.calls_today,
            daily_quota: credential.daily_quota,
            error: credential.last_error.as_ref().map(ErrorReport::of),
            history: credential.history().iter().map(RefreshReport::of).collect(),
        }
    }

    /// Hashes what is worth a redraw. Other fields change only with time.
    fn hash_into(&self, hasher: &mut DefaultHasher) {
        (
            self.kind,
            self.state,
            self.issued_at,
            self.expires_at,
            self.refreshing,
            self.calls_today,
        )
            .hash(hasher);
        (
            self.refreshes,
            self.foreign_refreshes,
            self.lost_replies,
            self.history.len(),
        )
            .hash(hasher);
        self.error
            .as_ref()
            .map(|error| {
                (
                    error.since,
                    error.at,
                    error.retry_at,
                    error.failures,
                    error.errcode,
                )
            })
            .hash(hasher);
        self.history
            .last()
            .map(|last| (last.at, last.times))
            .hash(hasher);
    }
}

impl ErrorReport {
    fn of(last: &LastError) -> Self {
        let error = &last.error;
        let message = error.failure.said().into_owned();
        let ips = error.ips_to_allow();
        let ips: Vec<_> = ips.iter().map(ToString::to_string).collect();
        Self {
            since: last.since,
            at: last.at,
            retry_at: last.retry_at,
            failures: last.failures,
            class: last.class,
            errcode: error.errcode(),
            kind: last.kind.as_str(),
            endpoint: error.endpoint,
            message,
            cause: error.cause(),
            ip_to_allow: ips.first().cloned(),
            ips_to_allow: ips,
            fix: error.fix(),
        }
    }
}

impl RefreshReport {
    fn of(refresh: &Refresh) -> Self {
        Self {
            at: refresh.at,
            last_at: refresh.last_at,
            times: refresh.times,
            outcome: refresh.outcome.as_str(),
            failed: refresh.outcome.is_failure(),
            errcode: refresh.errcode,
            millis: refresh.took.as_millis(),
            expires_at: refresh.expires_at,
        }
    }
}

/// Seconds without an announcement until a node is late. A node announces itself every ten seconds.
const LATE: u64 = 25;
