//! `serve`: runs the service, against WeChat's hosts or the sandbox.

mod sighup;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use tokio::signal::unix::{SignalKind, signal};

use super::http::Server;
use super::{Ended, Unusable, listed, say, socket_addr, with_accounts};
use crate::account::SafeDomain;
use crate::server::config::{Problems, Settings};
use crate::server::{Application, Preflight, SandboxOptions, StartupError, telemetry};

#[derive(Debug, Args)]
#[command(
    after_help = "Example · 示例:\n  wx-jssdk serve --sandbox\n  wx-jssdk serve --config /etc/wx-jssdk.toml"
)]
pub(super) struct Serve {
    /// Simulate WeChat on this machine, with a demo account; needs no configuration · 使用模拟的微信，无需任何配置
    #[arg(long)]
    sandbox: bool,
    /// The configuration; wx-jssdk.toml in the working directory if it is there · 配置文件
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the public listener, instead of server.listen · 公开端口的监听地址，供页面访问
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = socket_addr::listener)]
    listen: Option<SocketAddr>,
    /// Address of the admin listener, instead of server.admin_listen; empty: none · 管理端口的监听地址，供其他服务器访问，留空则不启用
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin_listen: Option<AdminListen>,
    /// Address of the simulator; default: 127.0.0.1:8082, in a container beside the admin listener · 模拟微信的监听地址，默认 127.0.0.1:8082，容器中与管理端口同一地址
    #[arg(long, value_name = "ADDRESS:PORT", requires = "sandbox", value_parser = socket_addr::listener)]
    sandbox_listen: Option<SocketAddr>,
    /// An additional safe domain of the demo account, e.g. this machine's address in the Wi-Fi · 演示账号增加的安全域名
    #[arg(long, value_name = "DOMAIN", requires = "sandbox")]
    safe_domain: Vec<String>,
}

impl Serve {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        // Before the configuration is read: a signal that comes meanwhile must not end the process.
        let stop = stop_signal()?;
        // The sandbox has no configuration to reload: there SIGHUP ends the process, as on a closed terminal.
        let hangup = if self.sandbox {
            None
        } else {
            Some(signal(SignalKind::hangup())?)
        };
        let settings = self.settings().map_err(|problems| listed(&problems))?;
        let _log = telemetry::start(&settings.log)?;
        settings.log_exposed_files();
        let application = self
            .build(&settings)
            .await
            .map_err(|error| self.with_flags(error))?;
        let running = Preflight::of(&settings);
        announce(&application);
        if self.sandbox {
            announce_sandbox(&application);
            if let Some(ip) = self.lan_ip(&settings) {
                announce_on_lan(&application, ip);
            }
        } else {
            announce_pages(&application, &settings);
        }
        drop(settings); // the broker holds the accounts
        let reloading = hangup.map(|hangup| {
            tokio::spawn(sighup::reload_on_request(
                hangup,
                self,
                running,
                application.reloader(),
            ))
        });
        application.run_until_stopped(stop).await?;
        if let Some(reloading) = reloading {
            reloading.abort();
        }
        Ok(Ended::Success)
    }

    async fn build(&self, settings: &Settings) -> Result<Application, StartupError> {
        if !self.sandbox {
            return Application::build(settings).await;
        }
        let mut safe_domains = self.safe_domain.clone();
        safe_domains.extend(self.lan_ip(settings).map(|ip| ip.to_string()));
        let options = SandboxOptions {
            listen: self.sandbox_listen.unwrap_or_else(|| {
                let admin = settings.server.admin_listen.filter(|_| is_container());
                beside(admin)
            }),
            safe_domains,
        };
        Application::build_with_sandbox(settings, &options).await
    }

    /// Returns the IP at which a phone in the same network reaches a public listener that is bound to all
    /// interfaces. A container's own IP is not one, unless `--listen` asks for it.
    fn lan_ip(&self, settings: &Settings) -> Option<IpAddr> {
        let is_reachable = self.listen.is_some() || !is_container();
        if !is_reachable || !settings.server.listen.ip().is_unspecified() {
            return None;
        }
        // Connecting a UDP socket sends nothing, and chooses the interface of the default route.
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect(ELSEWHERE).ok()?;
        Some(socket.local_addr().ok()?.ip())
    }

    /// Names the flag instead of the setting in the error if the flag was given.
    fn with_flags(&self, mut error: StartupError) -> StartupError {
        if self.listen.is_some() {
            error = error.given_as("server.listen", "--listen");
        }
        if self.admin_listen.is_some() {
            error = error.given_as("server.admin_listen", "--admin-listen");
        }
        error
    }

    /// Reads the current configuration; fails if a restart could not start with it.
    fn settings_beside(&self, running: &Preflight) -> Result<Settings, Problems> {
        let settings = self.settings()?;
        Preflight::of(&settings).run_beside(running)?;
        Ok(settings)
    }

    fn settings(&self) -> Result<Settings, Problems> {
        let mut settings = if self.sandbox && self.config.is_none() {
            Settings::defaults()?
        } else if self.sandbox {
            Settings::load(self.config.as_deref())?
        } else {
            with_accounts(self.config.as_deref())?
        };
        if let Some(listen) = self.listen {
            settings.server.listen = listen;
        }
        if let Some(AdminListen(listen)) = self.admin_listen {
            settings.server.admin_listen = listen;
        }
        Ok(settings)
    }
}

/// Returns the simulator's address beside an admin listener; loopback without one. Its control API needs no key.
fn beside(admin: Option<SocketAddr>) -> SocketAddr {
    let ip = admin.map_or(Ipv4Addr::LOCALHOST.into(), |admin| admin.ip());
    SocketAddr::new(ip, SANDBOX_PORT)
}

/// The simulator's port by default.
const SANDBOX_PORT: u16 = 8082;

/// An address, or none if the text is empty.
#[derive(Clone, Copy, Debug)]
struct AdminListen(Option<SocketAddr>);

impl FromStr for AdminListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Ok(Self(None))
        } else {
            socket_addr::listener(text).map(|address| Self(Some(address)))
        }
    }
}

/// Prints the addresses, for the operator and for scripts that use port 0.
fn announce(application: &Application) {
    say(&format!("public    {}", application.url()));
    if let Some(admin) = application.admin_url() {
        say(&format!("admin     {admin}"));
    }
}

/// Returns the base URLs of both listeners as this machine reaches them: with loopback for all interfaces, `0.0.0.0`.
/// The demo account's pages are on loopback too.
fn urls_here(application: &Application) -> (String, Option<String>) {
    let here = |url: String, address| Server::at(address, url.starts_with("https:")).to_string();
    let admin = application.admin_url().zip(application.admin_address());
    (
        here(application.url(), application.address()),
        admin.map(|(url, address)| here(url, address)),
    )
}

/// Returns whether Docker or Podman says that this is a container.
fn is_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"]
        .iter()
        .any(|mark| Path::new(mark).exists())
}

/// Prints what to open and to call next.
fn announce_pages(application: &Application, settings: &Settings) {
    let (public, admin) = urls_here(application);
    say("");
    if settings.server.demo {
        say(&format!(
            "Open the demo page · 打开演示页:    {public}/demo"
        ));
    }
    if let Some(admin) = &admin {
        say(&format!(
            "See the status page · 查看运行状态: {admin}/status"
        ));
        say(&format!("Read the HTTP API · 查看接口文档:   {admin}/docs"));
    }
    if let Some((account, domain)) = first_page(settings) {
        say("Ask for a signature · 获取签名:");
        say(&format!(
            "  curl '{public}/jssdk/config?url=https%3A%2F%2F{domain}%2F{account}'"
        ));
    }
}

/// Returns the query part that names an account, if it must be named, and a domain whose pages it signs.
fn first_page(settings: &Settings) -> Option<(String, &SafeDomain)> {
    let default = settings.server.default_account.as_ref();
    let accounts = &settings.accounts;
    let is_default = |name: &String| default == Some(name) || accounts.len() == 1;
    let mut able = accounts
        .iter()
        .filter(|(_, account)| account.signs_pages())
        .filter_map(|(name, account)| Some((name, account.safe_domains().first()?)));
    let (name, domain) = able
        .clone()
        .find(|(name, _)| is_default(name))
        .or_else(|| able.next())?;
    let account = match is_default(name) {
        true => String::new(),
        false => format!("&account={name}"),
    };
    Some((account, domain))
}

/// Prints the sandbox's addresses, its API key, and what to try first.
fn announce_sandbox(application: &Application) {
    let (public, admin) = urls_here(application);
    let (Some(sandbox), Some(key)) = (application.sandbox(), application.sandbox_api_key()) else {
        return;
    };
    say(&format!("sandbox   {}", sandbox.url()));
    say(&format!("api key   {}", key.expose()));
    say("");
    say(&format!("Open the demo page · 打开演示页:    {public}/"));
    if let Some(admin) = &admin {
        say(&format!(
            "See the status page · 查看运行状态: {admin}/status"
        ));
    }
    say("Ask for a signature · 获取签名:");
    say(&format!(
        "  curl '{public}/jssdk/config?url=https%3A%2F%2Fdemo.example.com%2Fpage%3Fa%3D1%26b%3D2%23x'"
    ));
    if let Some(admin) = &admin {
        say("Get the token, as other servers do · 供其他服务器获取 token:");
        let key = key.expose();
        say(&format!(
            "  curl -H 'Authorization: Bearer {key}' {admin}/credentials/demo/access_token"
        ));
    }
    say("See the simulator's tokens and tickets · 查看模拟的 token 与 ticket:");
    say(&format!("  curl {}/sandbox/state", sandbox.url()));
}

/// Prints the address for a phone in the same network, and its QR code.
fn announce_on_lan(application: &Application, ip: IpAddr) {
    let bound = application.address();
    let phones = SocketAddr::new(ip, bound.port()).to_string();
    let url = application.url().replace(&bound.to_string(), &phones) + "/";
    say(&format!(
        "On a phone in the same network · 同一网络中的手机: {url}"
    ));
    if let Ok(code) = QrCode::new(&url) {
        // Light on dark, as most terminals are.
        let drawn = code
            .render()
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .build();
        say(&drawn);
    }
}

/// Not on this machine, and not assigned (RFC 5737).
const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// Resolves on SIGTERM or Ctrl-C. Install it before binding a socket, so that an early signal is not lost.
pub(super) fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulator_listens_beside_the_admin_listener() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(beside(None), address("127.0.0.1:8082"));
        for (admin, sandbox) in [("0.0.0.0:8081", "0.0.0.0:8082"), ("[::1]:9", "[::1]:8082")] {
            assert_eq!(beside(Some(address(admin))), address(sandbox));
        }
    }
}
