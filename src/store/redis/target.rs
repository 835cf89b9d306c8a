//! Parses the Redis address from the configuration, and connects to it.

use std::sync::Arc;
use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterConfig};
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo as _, TlsMode};
use tokio::sync::Mutex;

use super::link::Connection;
use super::{StoreError, explain};
use crate::error::Text;
use crate::store::error::{check_options, refuse};

/// A single server, the master that sentinels name, or a cluster.
#[derive(Clone)]
pub(super) enum Target {
    Single(Box<Client>),
    /// Remembers which sentinel answered.
    Sentinel(Arc<Mutex<SentinelClient>>),
    Cluster(Box<ClusterClient>),
}

impl Target {
    /// Parses an address. Returns the target and the address without user, password and parameters.
    ///
    /// `redis://[user:password@]host[:6379][/db]`, `rediss://` with TLS, `redis+cluster://host,host`,
    /// `redis+sentinel://host[:26379],host/master[/db]` (both also `rediss+`), `redis+unix:///path`.
    pub(super) fn parse(url: &str) -> Result<(Self, String), StoreError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| refuse(HOW))?;
        // The library uses the default provider of cryptography and cannot be given another.
        if scheme.starts_with("rediss") || scheme == "valkeys" {
            let _chosen_before = rustls::crypto::ring::default_provider().install_default();
        }
        check_options(rest, options_of(scheme), HOW)?;
        match scheme.split_once('+') {
            Some((base @ ("redis" | "rediss"), "cluster")) => {
                cluster(&Nodes::parse(base, rest, 6379)?)
            }
            Some((base @ ("redis" | "rediss"), "sentinel")) => {
                sentinel(&Nodes::parse(base, rest, 26379)?)
            }
            _ => single(url),
        }
    }

    /// Connects for operations that end within `limit`.
    pub(super) async fn connect(self, limit: Duration) -> Result<Connection, String> {
        // Ends abandoned requests. The caller's own timeout is shorter.
        let response = limit.saturating_mul(4);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ONE_CONNECT))
            .set_response_timeout(Some(response));
        let connected = match self {
            Self::Single(client) => client
                .get_multiplexed_async_connection_with_config(&config)
                .await
                .map(Connection::Single),
            Self::Sentinel(sentinels) => sentinels
                .lock()
                .await
                .get_async_connection_with_config(&config)
                .await
                .map(Connection::Single),
            Self::Cluster(client) => client
                .get_async_connection_with_config(
                    ClusterConfig::new().set_response_timeout(response),
                )
                .await
                .map(Connection::Cluster),
        };
        connected.map_err(|error| explain(&error))
    }
}

/// Returns the options that an address of this scheme may have.
fn options_of(scheme: &str) -> &'static str {
    match scheme.rsplit('+').next().unwrap_or_default() {
        "cluster" => "",
        "sentinel" => "sentinel_user, sentinel_password",
        "unix" => "db, user, pass, protocol",
        _ => "protocol",
    }
}

fn single(url: &str) -> Result<(Target, String), StoreError> {
    let client = Client::open(url).map_err(|_| refuse(HOW))?;
    let place = client.get_connection_info().addr().to_string();
    Ok((
        Target::Single(Box::new(client)),
        format!("redis at {place}"),
    ))
}

fn cluster(nodes: &Nodes<'_>) -> Result<(Target, String), StoreError> {
    if !nodes.path.is_empty() {
        return Err(refuse(Text::new(
            "a cluster has no databases to choose from: leave out what follows the hosts",
            "集群没有可选的库号：请去掉主机之后的部分",
        )));
    }
    let client = ClusterClient::builder(nodes.infos("")?)
        .connection_timeout(ONE_CONNECT)
        .retries(3)
        .build()
        .map_err(|_| refuse(HOW))?;
    Ok((
        Target::Cluster(Box::new(client)),
        format!("redis cluster at {}", nodes.hosts.join(",")),
    ))
}

fn sentinel(nodes: &Nodes<'_>) -> Result<(Target, String), StoreError> {
    let (master, database) = nodes.path.split_once('/').unwrap_or((nodes.path, ""));
    if master.is_empty() {
        return Err(refuse(Text::new(
            "name the master that the sentinels watch: redis+sentinel://HOST:26379,HOST:26379/MASTER",
            "缺少哨兵所监控的主节点名：redis+sentinel://主机:26379,主机:26379/主节点名",
        )));
    }
    // User and password are those of the master; sentinels with their own take ?sentinel_password=.
    let behind = nodes
        .infos(database)?
        .first()
        .map(|info| info.redis_settings().clone());
    let mut master_info = SentinelNodeConnectionInfo::default();
    if let Some(settings) = behind {
        master_info = master_info.set_redis_connection_info(settings);
    }
    if nodes.base == "rediss" {
        master_info = master_info.set_tls_mode(TlsMode::Secure);
    }
    let client = SentinelClient::build(
        nodes.sentinels()?,
        master,
        Some(master_info),
        SentinelServerType::Master,
    )
    .map_err(|_| refuse(HOW))?;
    Ok((
        Target::Sentinel(Arc::new(Mutex::new(client))),
        format!(
            "redis master {master} by sentinels {}",
            nodes.hosts.join(",")
        ),
    ))
}

/// `[user:password@]host[:port],host[:port][/path][?query]`.
struct Nodes<'a> {
    base: &'a str,
    user: &'a str,
    hosts: Vec<String>,
    path: &'a str,
    query: &'a str,
}

impl<'a> Nodes<'a> {
    fn parse(base: &'a str, rest: &'a str, port: u16) -> Result<Self, StoreError> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (user, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let with_port = |host: &str| {
            let bare = host.rsplit(']').next().unwrap_or(host);
            if bare.contains(':') {
                host.to_owned()
            } else {
                format!("{host}:{port}")
            }
        };
        if hosts.split(',').any(|host| host.trim().is_empty()) {
            return Err(refuse(Text::new(
                "a host name is missing between the commas",
                "逗号之间缺少主机名",
            )));
        }
        let hosts = hosts
            .split(',')
            .map(|host| with_port(host.trim()))
            .collect();
        Ok(Self {
            base,
            user,
            hosts,
            path: path.trim_end_matches('/'),
            query,
        })
    }

    /// Returns each node with the user and password of Redis.
    fn infos(&self, database: &str) -> Result<Vec<ConnectionInfo>, StoreError> {
        self.with_user(self.user, database)
    }

    /// Returns each node with the user and password of the sentinels.
    fn sentinels(&self) -> Result<Vec<ConnectionInfo>, StoreError> {
        let parameter = |wanted: &str| {
            self.query
                .split('&')
                .find_map(|pair| pair.strip_prefix(wanted))
                .unwrap_or_default()
        };
        match (parameter("sentinel_user="), parameter("sentinel_password=")) {
            ("", "") => self.with_user("", ""),
            (user, password) => self.with_user(&format!("{user}:{password}"), ""),
        }
    }

    fn with_user(&self, user: &str, database: &str) -> Result<Vec<ConnectionInfo>, StoreError> {
        let at = if user.is_empty() { "" } else { "@" };
        let info = |host: &String| {
            format!("{}://{user}{at}{host}/{database}", self.base).into_connection_info()
        };
        self.hosts
            .iter()
            .map(|host| info(host).map_err(|_| refuse(HOW)))
            .collect()
    }
}

const HOW: Text = Text::new(
    "write redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss:// with TLS, redis+cluster://HOST,HOST or \
     redis+sentinel://HOST,HOST/MASTER; other signs than letters and digits in a password as %XX",
    "应写作 redis://[用户:密码@]主机[:端口][/库号]；TLS 用 rediss://，集群用 redis+cluster://主机,主机，\
     哨兵用 redis+sentinel://主机,主机/主节点名；密码中字母和数字以外的字符须写作 %XX",
);

/// Per server, so that an unreachable sentinel leaves time for the next.
const ONE_CONNECT: Duration = Duration::from_secs(1);
