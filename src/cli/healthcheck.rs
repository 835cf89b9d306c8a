//! `healthcheck`: for an image that has no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Ended, Unusable, listed, say};
use crate::server::config::Settings;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wx-jssdk healthcheck --address 127.0.0.1:8080")]
pub(super) struct Healthcheck {
    /// The configuration of the service to ask · 服务的配置文件
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where it listens, instead of server.listen · 服务的监听地址
    #[arg(long, value_name = "ADDRESS:PORT")]
    address: Option<SocketAddr>,
}

impl Healthcheck {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let address = match self.address {
            Some(address) => address,
            None => Settings::load(self.config.as_deref()).map_err(|problems| listed(&problems))?.server.listen,
        };
        let address = reachable(address);
        match tokio::time::timeout(Duration::from_secs(3), ask(address)).await {
            Ok(Ok(status)) if status.starts_with("HTTP/1.1 200 ") => {
                say("ok");
                Ok(Ended::Well)
            }
            Ok(Ok(status)) => no(address, &format!("answered \"{status}\"")),
            Ok(Err(error)) => no(address, &error.to_string()),
            Err(_) => no(address, "did not answer within 3 s"),
        }
    }
}

fn no(address: SocketAddr, why: &str) -> Result<Ended, Unusable> {
    eprintln!("wx-jssdk: http://{address}/healthz: {why}");
    Ok(Ended::No)
}

/// The status line. Nothing else of the answer matters, so no HTTP client is needed.
async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(4_096).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
}

/// A service that listens on all addresses is asked on this machine's own.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
