//! `healthcheck`: liveness check for images without curl.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::connect_error::ConnectError;
use super::http::{Reply, Server};
use super::{Ended, Unusable, say, socket_addr, tls};
use crate::error::Text;
use crate::server::config::Settings;
use crate::upstream::describe;

#[derive(Debug, Args)]
#[command(after_help = "Example · 示例:\n  wx-jssdk healthcheck --address 127.0.0.1:8080")]
pub(super) struct Healthcheck {
    /// The configuration of the service to ask · 服务的配置文件
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The service's public listener, instead of server.listen · 公开端口的地址，代替 server.listen
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = socket_addr::listener)]
    address: Option<SocketAddr>,
    /// Use TLS, with --address, if the service has a certificate · 与 --address 同用，通过 TLS 访问
    #[arg(long, requires = "address")]
    tls: bool,
}

impl Healthcheck {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let (address, tls) = match self.address {
            Some(address) => (address, Some(self.tls)),
            None => Settings::public_listener(self.config.as_deref())?,
        };
        let mut server = Server::at(address, tls.unwrap_or(false));
        let mut reply = ask(&server).await;
        if let Err(error) = &reply
            && tls.is_none()
            && ConnectError::of(error, false) == ConnectError::NoHttp
        {
            server = server.with_other_scheme();
            reply = ask(&server).await;
        }
        match reply {
            Ok(Reply { status: 200, .. }) => {
                say("ok");
                Ok(Ended::Success)
            }
            Ok(Reply { status, .. }) => {
                Ok(no(&server, &format!("answered {status}"), &NOT_WX_JSSDK))
            }
            Err(error) => {
                let kind = ConnectError::of(&error, server.is_secure());
                let advice = advice(kind, &server, self.address.is_some());
                Ok(no(&server, &describe(&error.without_url()), &advice))
            }
        }
    }
}

/// Sends the request. It holds no secret, and an expired certificate is not a reason to restart the service.
async fn ask(server: &Server) -> reqwest::Result<Reply> {
    let tls = tls::trusting_any();
    server.ask(&["healthz"], None, None, tls, TIMEOUT).await
}

fn no(server: &Server, why: &str, advice: &Text) -> Ended {
    eprintln!("wx-jssdk: {server}/healthz: {why}\n    {advice}");
    Ended::Failure
}

/// Returns advice for a request that got no answer. Certificates are not verified here, so that none can be
/// the cause.
fn advice(error: ConnectError, server: &Server, is_named: bool) -> Text {
    let listener = server.host_and_port();
    match error {
        ConnectError::NoTls if is_named => Text::new(
            "The service does not use TLS: remove --tls.",
            "该地址没有启用 TLS：请去掉 --tls。",
        ),
        ConnectError::NoTls => Text::owned(
            format!(
                "The service does not use TLS: [server.tls] needs a restart. Until then: --address {listener}"
            ),
            format!(
                "该地址没有启用 TLS：[server.tls] 需要重启服务才能生效。在此之前请用 --address {listener}"
            ),
        ),
        ConnectError::NoHttp => Text::owned(
            format!("The service may use TLS ([server.tls]): try --address {listener} --tls"),
            format!("该地址可能启用了 TLS（[server.tls]）：请用 --address {listener} --tls"),
        ),
        _ => Text::new(
            "Check that wx-jssdk serve is running, and that --address is its public listener (server.listen). If server.listen was changed, the service needs a restart; until then, --address is the previous one.",
            "无法访问：请确认 wx-jssdk serve 正在运行，--address 应为其公开端口（server.listen）。若修改了 server.listen，服务需要重启；在此之前请用 --address 指定原地址。",
        ),
    }
}

const NOT_WX_JSSDK: Text = Text::new(
    "wx-jssdk answers 200: another program may use this port. Check that --address is the public listener of wx-jssdk (server.listen).",
    "wx-jssdk 在此应返回 200：该端口是否属于其他程序？--address 应为 wx-jssdk 的公开端口（server.listen）。",
);

/// Time for an answer. Short, because orchestrators retry.
const TIMEOUT: Duration = Duration::from_secs(3);
