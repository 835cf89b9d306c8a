//! The hosts of the simulated WeChat, and the proxies in front of it. All hosts serve the same state.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex as SyncMutex;
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::sync::{Mutex, watch};

use super::listener::Listener;
use super::proxy::Proxy;
use super::shared_state::Shared;

/// The listeners of a sandbox besides its state. They end with the last handle.
pub(super) struct Network {
    pub(super) first: Host,
    second: Mutex<Option<Host>>,
    pub(super) proxies: SyncMutex<Vec<Proxy>>,
    /// Ends the thread that sends pushes, at the latest when it is dropped.
    pushes: watch::Sender<()>,
}

impl Network {
    pub(super) fn new(first: Host, pushes: watch::Sender<()>) -> Self {
        Self {
            first,
            second: Mutex::default(),
            proxies: SyncMutex::default(),
            pushes,
        }
    }

    /// Returns the second host; starts it at first use.
    pub(super) async fn second(&self) -> io::Result<Host> {
        let mut second = self.second.lock().await;
        if let Some(host) = &*second {
            return Ok(host.clone());
        }
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let host = Host::start("api2", self.first.inner.shared.clone(), addr).await?;
        Ok(second.insert(host).clone())
    }

    /// Returns the hosts that were started.
    pub(super) async fn hosts(&self) -> Vec<Host> {
        let second = self.second.lock().await.clone();
        std::iter::once(self.first.clone()).chain(second).collect()
    }

    /// Ends all listeners and gives their ports back, and ends the pushes.
    pub(super) async fn stop(&self) {
        self.pushes.send_replace(());
        for host in self.hosts().await {
            let mut listening = host.inner.listening.lock().await;
            if let Listening::Yes(listener) = &*listening {
                listener.stop().await;
            }
            *listening = Listening::No(None);
        }
        for proxy in &*self.proxies.lock() {
            proxy.stop();
        }
    }
}

/// A test may hold a handle to a proxy for longer.
impl Drop for Network {
    fn drop(&mut self) {
        for proxy in self.proxies.get_mut() {
            proxy.stop();
        }
    }
}

/// A host of the simulated WeChat. A clone is another handle to it.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    name: &'static str,
    addr: SocketAddr,
    shared: Arc<Shared>,
    calls: Arc<AtomicU64>,
    listening: Mutex<Listening>,
}

enum Listening {
    Yes(Listener),
    /// Holds the port meanwhile, so that connections to it are refused.
    No(#[allow(dead_code)] Option<TcpSocket>),
}

impl Host {
    pub(super) async fn start(
        name: &'static str,
        shared: Arc<Shared>,
        addr: SocketAddr,
    ) -> io::Result<Self> {
        let calls = Arc::<AtomicU64>::default();
        let listener = Listener::start(shared.clone(), calls.clone(), addr).await?;
        let inner = Arc::new(Inner {
            name,
            addr: listener.addr,
            shared,
            calls,
            listening: Mutex::new(Listening::Yes(listener)),
        });
        Ok(Self { inner })
    }

    /// Returns the base URL; for a host that listens on all addresses of the machine, the one with the loopback address.
    pub fn url(&self) -> String {
        let mut addr = self.inner.addr;
        match addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        format!("http://{addr}")
    }

    /// Returns the listen address.
    pub fn addr(&self) -> SocketAddr {
        self.inner.addr
    }

    /// Returns how many calls this host received.
    pub fn calls(&self) -> u64 {
        self.inner.calls.load(Ordering::Relaxed)
    }

    /// Makes the host unreachable (open connections are closed, new ones are refused) or reachable again.
    ///
    /// # Errors
    /// Fails if the port cannot be bound again.
    pub async fn set_reachable(&self, reachable: bool) -> io::Result<()> {
        let inner = &*self.inner;
        let mut listening = inner.listening.lock().await;
        match (&*listening, reachable) {
            (Listening::Yes(listener), false) => {
                listener.stop().await;
                *listening = Listening::No(hold(inner.addr).ok());
            }
            (Listening::No(_), true) => {
                *listening = Listening::No(None);
                let shared = inner.shared.clone();
                let listener = Listener::start(shared, inner.calls.clone(), inner.addr).await?;
                *listening = Listening::Yes(listener);
            }
            (Listening::Yes(_), true) | (Listening::No(_), false) => {}
        }
        Ok(())
    }

    /// Returns its state for the control API.
    pub(super) async fn state(&self) -> Value {
        let listening = self.inner.listening.lock().await;
        json!({
            "name": self.inner.name,
            "url": self.url(),
            "reachable": matches!(&*listening, Listening::Yes(_)),
            "calls": self.calls(),
        })
    }
}

/// Binds a port without listening: connections are refused, and no other program gets the port.
fn hold(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}
