//! `serve`: runs the service, against WeChat's hosts or the sandbox.

mod sighup;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use parking_lot::Mutex;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::http::Server;
use super::{Ended, Unusable, say, socket_addr, with_accounts, write_briefly};
use crate::account::SafeDomain;
use crate::server::config::{self, Problems, Settings};
use crate::server::{
    Application, EXIT_LIMIT, SandboxOptions, StartupError, cannot_start, check_restart, telemetry,
};

#[derive(Debug, Args)]
#[command(
    after_help = "Example · 示例:\n  wx-jssdk serve --sandbox\n  wx-jssdk serve --config /etc/wx-jssdk.toml"
)]
pub(super) struct Serve {
    /// Simulate WeChat on this machine, with demo accounts; needs no configuration · 使用模拟的微信，无需任何配置
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
    /// An additional safe domain of the demo accounts, e.g. this machine's address in the Wi-Fi · 演示账号增加的安全域名
    #[arg(long, value_name = "DOMAIN", requires = "sandbox")]
    safe_domain: Vec<String>,
}

impl Serve {
    pub(super) async fn run(mut self) -> Result<Ended, Unusable> {
        // Before the configuration is read: a signal that comes meanwhile must not end the process.
        let stop = StopSignal::install()?;
        // A file that has reached the limit of its size is an error of the store, not the end of the process.
        let _ = signal(SignalKind::from_raw(FILE_TOO_LARGE))?;
        // The sandbox has no configuration to reload: there SIGHUP ends the process, as on a closed terminal.
        let mut hangup = None;
        if !self.sandbox {
            hangup = Some(signal(SignalKind::hangup())?);
            // A file of the start that is missing at a reload is a mistake, not an empty configuration.
            self.config = config::chosen(self.config.as_deref());
        }
        let settings = self.settings()?;
        let _log = telemetry::start(&settings.log).map_err(cannot_start)?;
        settings.log_exposed_secrets();
        let application = self
            .build(&settings)
            .await
            .map_err(|error| self.with_flags(error))?;
        stop.limit(application.longest_shutdown());
        let mut text = addresses(&application);
        if self.sandbox {
            text += &sandbox_text(&application);
            if let Some(ip) = self.lan_ip(&settings) {
                text += &lan_text(&application, ip);
            }
        } else {
            text += &pages_text(&application, &settings);
        }
        // Nothing waits until stdout is read.
        std::thread::Builder::new()
            .spawn(move || say(text.trim_end_matches('\n')))
            .map_err(cannot_start)?;
        drop(settings); // the broker holds the accounts
        let reloading = hangup.map(|hangup| {
            tokio::spawn(sighup::reload_on_request(
                hangup,
                self,
                application.reloader(),
            ))
        });
        let ended = application.run_until_stopped(stop.received()).await;
        if let Some(reloading) = reloading {
            reloading.abort();
        }
        match ended {
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(Ended::Failure),
            ended => Ok(ended.map(|()| Ended::Success)?),
        }
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
    fn settings_beside(&self, running: &Settings) -> Result<Settings, Problems> {
        let settings = self.settings()?;
        check_restart(&settings, running)?;
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
        match text {
            "" => Ok(Self(None)),
            text => socket_addr::listener(text).map(|address| Self(Some(address))),
        }
    }
}

/// Returns the addresses, for the operator and for scripts that use port 0.
fn addresses(application: &Application) -> String {
    let mut text = format!("public    {}\n", application.url());
    if let Some(admin) = application.admin_url() {
        text += &format!("admin     {admin}\n");
    }
    text
}

/// Returns the base URLs of both listeners as this machine reaches them: with loopback for all interfaces, `0.0.0.0`.
/// The demo accounts' pages are on loopback too.
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

/// Returns what to open and to call next.
fn pages_text(application: &Application, settings: &Settings) -> String {
    let mut text = String::new();
    let (public, admin) = urls_here(application);
    text += "\n";
    if settings.server.demo {
        text += &format!("Open the demo page · 打开演示页:    {public}/demo\n");
    }
    if let Some(admin) = &admin {
        text += &format!("See the status page · 查看运行状态: {admin}/status\n");
        text += &format!("Read the HTTP API · 查看接口文档:   {admin}/docs\n");
    }
    if let Some((account, domain)) = first_page(settings) {
        text += "Ask for a signature · 获取签名:\n";
        text += &format!("  curl '{public}/jssdk/config?url=https%3A%2F%2F{domain}%2F{account}'\n");
    }
    text
}

/// Returns the query part that names an account, if it must be named, and a domain whose pages it signs.
fn first_page(settings: &Settings) -> Option<(String, &SafeDomain)> {
    let default = settings.server.default_account.as_ref();
    let accounts = &settings.accounts;
    let is_default = |name: &String| default == Some(name) || accounts.len() == 1;
    let (name, domain) = accounts
        .iter()
        .filter(|(_, account)| account.signs_pages())
        .filter_map(|(name, account)| Some((name, account.safe_domains().first()?)))
        .min_by_key(|(name, _)| !is_default(name))?;
    let account = match is_default(name) {
        true => String::new(),
        false => format!("&account={name}"),
    };
    Some((account, domain))
}

/// Returns the sandbox's addresses, its API key, and what to try first.
fn sandbox_text(application: &Application) -> String {
    let mut text = String::new();
    let (public, admin) = urls_here(application);
    let (Some(sandbox), Some(key)) = (application.sandbox(), application.sandbox_api_key()) else {
        return text;
    };
    text += &format!("sandbox   {}\n", sandbox.url());
    text += &format!("api key   {}\n\n", key.expose());
    text += &format!("Open the demo page · 打开演示页:    {public}/\n");
    if let Some(admin) = &admin {
        text += &format!("See the status page · 查看运行状态: {admin}/status\n");
    }
    text += "Ask for a signature · 获取签名:\n";
    text += &format!(
        "  curl '{public}/jssdk/config?url=https%3A%2F%2Fdemo.example.com%2Fpage%3Fa%3D1%26b%3D2%23x'\n"
    );
    if let Some(admin) = &admin {
        text += "Get the token, as other servers do · 供其他服务器获取 token:\n";
        let key = key.expose();
        text += &format!(
            "  curl -H 'Authorization: Bearer {key}' {admin}/credentials/demo/access_token\n"
        );
    }
    text += "See the simulator's tokens and tickets · 查看模拟的 token 与 ticket:\n";
    text += &format!("  curl {}/sandbox/state\n", sandbox.url());
    text
}

/// Returns the address for a phone in the same network, and its QR code.
fn lan_text(application: &Application, ip: IpAddr) -> String {
    let mut text = String::new();
    let bound = application.address();
    let phones = SocketAddr::new(ip, bound.port()).to_string();
    let url = application.url().replace(&bound.to_string(), &phones) + "/";
    text += &format!("On a phone in the same network · 同一网络中的手机: {url}\n");
    if let Ok(code) = QrCode::new(&url) {
        // Light on dark, as most terminals are.
        let drawn = code
            .render()
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .build();
        text += &drawn;
        text += "\n";
    }
    text
}

/// Not on this machine, and not assigned (RFC 5737).
const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// SIGTERM or Ctrl-C. Install it before binding a socket, so that an early signal is not lost.
///
/// A limited time after the signal the process is ended, even if a disk, a pipe or a thread does not respond.
pub(super) struct StopSignal {
    stopped: watch::Receiver<bool>,
    limit: Arc<Mutex<Duration>>,
}

impl StopSignal {
    pub(super) fn install() -> std::io::Result<Self> {
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let (stop, stopped) = watch::channel(false);
        let limit = Arc::new(Mutex::new(START_LIMIT));
        let allowed = limit.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stop.send_replace(true);
            let limit = *allowed.lock() + EXIT_LIMIT;
            tokio::time::sleep(limit).await;
            if tracing::enabled!(tracing::Level::ERROR) {
                tracing::error!("shutdown timed out: the process is ended");
            } else {
                write_briefly(TIMED_OUT.to_owned()); // the log has not begun
            }
            telemetry::end_process(1)
        });
        Ok(Self { stopped, limit })
    }

    /// Sets how long the process may take after the signal.
    fn limit(&self, limit: Duration) {
        *self.limit.lock() = limit;
    }

    /// Resolves when the signal has come.
    pub(super) async fn received(mut self) {
        let _ = self.stopped.wait_for(|stopped| *stopped).await;
    }
}

/// How long the start goes on after a signal: longer than it waits for a store.
const START_LIMIT: Duration = Duration::from_secs(8);

const TIMED_OUT: &str = "wx-jssdk: shutdown timed out: the process is ended. Look at disks and network file systems\n    \
    停止超时，进程被强制结束：请检查磁盘与网络文件系统";

/// SIGXFSZ on Linux and macOS.
const FILE_TOO_LARGE: i32 = 25;

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
