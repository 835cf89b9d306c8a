//! `healthcheck`: for an image that has no curl.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::http::{Reply, Server};
use super::trust::Trust;
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
    /// Ask over TLS, where --address is given and the service has a certificate · 与 --address 同用，通过 TLS 访问
    #[arg(long, requires = "address")]
    tls: bool,
}

impl Healthcheck {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let server = match self.address {
            Some(address) => Server::at(address, self.tls),
            None => {
                let settings = Settings::load(self.config.as_deref()).map_err(|problems| listed(&problems))?;
                Server::at(settings.server.listen, settings.server.tls.is_some())
            }
        };
        // Nothing secret is sent, and an expired certificate is no reason to start the service anew.
        match server.ask(&["healthz"], None, None, Trust::anybody(), PATIENCE).await {
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
