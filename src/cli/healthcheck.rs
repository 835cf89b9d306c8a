//! `healthcheck`: for an image that has no curl.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::http::{Reply, Server};
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
        let server = Server::from(address);
        match server.ask(&["healthz"], None, None, PATIENCE).await {
            Ok(Reply { status: 200, .. }) => {
                say("ok");
                Ok(Ended::Well)
            }
            Ok(Reply { status, .. }) => no(&server, &format!("answered {status}")),
            Err(error) => no(&server, &error.to_string()),
        }
    }
}

fn no(server: &Server, why: &str) -> Result<Ended, Unusable> {
    eprintln!("wx-jssdk: {server}/healthz: {why}");
    Ok(Ended::No)
}

/// An orchestrator asks again.
const PATIENCE: Duration = Duration::from_secs(3);
