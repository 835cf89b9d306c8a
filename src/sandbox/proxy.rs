//! Egress proxies in front of the simulated WeChat: an HTTP proxy (CONNECT, and plain requests) and a SOCKS5
//! proxy (RFC 1928, with the user name and password of RFC 1929).
//!
//! They connect to this machine only. The simulated WeChat sees their calls as coming from the proxy's egress
//! address, which 40164 and 60020 then name.

mod http;
mod socks;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::shared_state::Shared;

/// The protocol of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyKind {
    /// An HTTP proxy.
    Http,
    /// A SOCKS5 proxy.
    Socks5,
}

/// What a proxy does with a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyRule {
    /// Passes it.
    #[default]
    Pass,
    /// Refuses it by its rules: 403, or SOCKS's "not allowed".
    Deny,
    /// Fails to connect: 502, or SOCKS's "host unreachable".
    Fail,
    /// Never answers.
    Hang,
}

/// A running proxy. A clone is another handle to it; it stops with its sandbox.
#[derive(Clone)]
pub struct Proxy {
    inner: Arc<Inner>,
}

struct Inner {
    kind: ProxyKind,
    addr: SocketAddr,
    /// User name and password that it asks for.
    credentials: Option<(String, String)>,
    behaviour: Mutex<Behaviour>,
    connections: AtomicU64,
    shared: Weak<Shared>,
    stop: watch::Sender<bool>,
}

#[derive(Default)]
struct Behaviour {
    /// The address that WeChat sees; `None`: 127.0.0.1.
    egress: Option<IpAddr>,
    rule: ProxyRule,
    /// The first targets asked for, as the client named them.
    targets: Vec<String>,
}

/// Why a proxy opened no connection.
enum Refused {
    /// By its rules.
    Rules,
    /// The target cannot be reached.
    Unreachable,
}

impl Proxy {
    /// Starts a proxy on a free port of 127.0.0.1, on its own thread.
    pub(super) async fn start(
        kind: ProxyKind,
        credentials: Option<(String, String)>,
        shared: &Arc<Shared>,
    ) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let (stop, stopped) = watch::channel(false);
        let inner = Arc::new(Inner {
            kind,
            addr: listener.local_addr()?,
            credentials,
            behaviour: Mutex::default(),
            connections: AtomicU64::new(0),
            shared: Arc::downgrade(shared),
            stop,
        });
        let weak = Arc::downgrade(&inner);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("sandbox-proxy".into())
            .spawn(move || runtime.block_on(serve(listener, weak, stopped)))?;
        Ok(Self { inner })
    }

    /// Returns the listen address.
    pub fn addr(&self) -> SocketAddr {
        self.inner.addr
    }

    /// Returns the URL without credentials: `http://127.0.0.1:PORT` or `socks5://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        let scheme = match self.inner.kind {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5",
        };
        format!("{scheme}://{}", self.inner.addr)
    }

    /// Sets the address from which WeChat sees the calls through this proxy.
    pub fn set_egress(&self, address: IpAddr) {
        self.inner.behaviour.lock().egress = Some(address);
    }

    /// Sets what it does with new connections.
    pub fn set_rule(&self, rule: ProxyRule) {
        self.inner.behaviour.lock().rule = rule;
    }

    /// Returns how many connections it accepted.
    pub fn connections(&self) -> u64 {
        self.inner.connections.load(Ordering::Relaxed)
    }

    /// Returns the first thousand targets that clients asked for, as they named them: `host:port`.
    pub fn targets(&self) -> Vec<String> {
        self.inner.behaviour.lock().targets.clone()
    }

    /// Stops it: from now on, connections are refused.
    pub fn stop(&self) {
        self.inner.stop.send_replace(true);
    }

    /// Returns its state for the control API.
    pub(super) fn state(&self) -> Value {
        let behaviour = self.inner.behaviour.lock();
        json!({
            "kind": self.inner.kind,
            "url": self.url(),
            "port": self.inner.addr.port(),
            "egress": behaviour.egress,
            "rule": behaviour.rule,
            "connections": self.connections(),
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// Serves until it is stopped; then the runtime ends with its connections.
async fn serve(
    listener: std::net::TcpListener,
    proxy: Weak<Inner>,
    mut stopped: watch::Receiver<bool>,
) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let accepting = async {
        loop {
            let Ok((client, _)) = listener.accept().await else {
                // Too many open files: some will be closed.
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Some(inner) = proxy.upgrade() else { return };
            inner.connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                // A client that hangs up or sends garbage ends its connection only.
                let _ = match inner.kind {
                    ProxyKind::Http => http::serve(client, &inner).await,
                    ProxyKind::Socks5 => socks::serve(client, &inner).await,
                };
            });
        }
    };
    tokio::select! {
        () = accepting => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

impl Inner {
    /// Opens the connection that a client asks for.
    async fn connect(&self, host: &str, port: u16) -> Result<Outgoing, Refused> {
        let rule = {
            let mut behaviour = self.behaviour.lock();
            if behaviour.targets.len() < MOST_TARGETS {
                behaviour.targets.push(format!("{host}:{port}"));
            }
            behaviour.rule
        };
        match rule {
            ProxyRule::Pass => {}
            ProxyRule::Deny => return Err(Refused::Rules),
            ProxyRule::Fail => return Err(Refused::Unreachable),
            ProxyRule::Hang => std::future::pending().await,
        }
        let target = resolve(host).ok_or(Refused::Rules)?;
        let stream = TcpStream::connect((target, port)).await;
        let stream = stream.map_err(|_| Refused::Unreachable)?;
        let shared = self.shared.upgrade().ok_or(Refused::Unreachable)?;
        let from = stream.local_addr().map_err(|_| Refused::Unreachable)?;
        let egress = self.behaviour.lock().egress;
        if let Some(egress) = egress {
            shared.inside().seen_from.insert(from, egress);
        }
        Ok(Outgoing {
            stream,
            shared,
            from,
        })
    }
}

/// A connection to the simulated WeChat. Its calls come from the proxy's egress address.
struct Outgoing {
    stream: TcpStream,
    shared: Arc<Shared>,
    from: SocketAddr,
}

impl Outgoing {
    async fn relay(
        &mut self,
        client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> io::Result<()> {
        copy_bidirectional(client, &mut self.stream).await.map(drop)
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.shared.inside().seen_from.remove(&self.from);
    }
}

/// Returns an address of this machine, the only ones allowed. Names under `.test` are its own, so that a test
/// can tell who resolved a name.
fn resolve(host: &str) -> Option<IpAddr> {
    if host == "localhost" || host.ends_with(".test") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse().ok().filter(IpAddr::is_loopback)
}

/// How many targets are kept: more than a test looks at.
const MOST_TARGETS: usize = 1_000;

const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
