//! `serve`: runs the service, against WeChat's hosts or the sandbox.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Ended, Unusable, address, listed, say, with_accounts};
use crate::server::config::{Problems, Settings};
use crate::server::{
    Application, Preflight, Reloader, SandboxOptions, StartupError, systemd, telemetry,
};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wx-jssdk serve --sandbox\n  wx-jssdk serve --config /etc/wx-jssdk.toml"
)]
pub(super) struct Serve {
    /// Simulate WeChat on this machine, with a demo account; needs no configuration · 使用模拟的微信，无需任何配置
    #[arg(long)]
    sandbox: bool,
    /// The configuration; wx-jssdk.toml in the working directory if it is there · 配置文件
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the public listener, instead of server.listen · 公开端口的监听地址，供页面访问
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address::listener)]
    listen: Option<SocketAddr>,
    /// Address of the admin listener, instead of server.admin_listen; empty: none · 管理端口的监听地址，供其他服务器访问，留空则不启用
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin_listen: Option<AdminListen>,
    /// Address of the simulator · 模拟微信的监听地址
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8082", requires = "sandbox", value_parser = address::listener)]
    sandbox_listen: SocketAddr,
    /// An additional safe domain of the demo account, e.g. this machine's address in the Wi-Fi · 演示账号增加的安全域名
    #[arg(long, value_name = "DOMAIN", requires = "sandbox")]
    safe_domain: Vec<String>,
}

impl Serve {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let settings = self.settings().map_err(|problems| listed(&problems))?;
        telemetry::start(&settings.log);
        settings.log_exposed_files();
        let stop = stop_signal()?;
        // The sandbox has no configuration to reload: there SIGHUP ends the process, as on a closed terminal.
        let hangup = if self.sandbox {
            None
        } else {
            Some(signal(SignalKind::hangup())?)
        };
        let application = self
            .build(&settings)
            .await
            .map_err(|error| self.with_flags(error))?;
        let running = Preflight::of(&settings);
        drop(settings); // the broker holds the accounts
        announce(&application);
        let reloading = hangup.map(|hangup| {
            tokio::spawn(reload_at_hangup(
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
        let options = SandboxOptions {
            listen: self.sandbox_listen,
            safe_domains: self.safe_domain.clone(),
        };
        Application::build_with_sandbox(settings, &options).await
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

/// An address, or none if the text is empty.
#[derive(Clone, Copy, Debug)]
struct AdminListen(Option<SocketAddr>);

impl FromStr for AdminListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Ok(Self(None))
        } else {
            address::listener(text).map(|address| Self(Some(address)))
        }
    }
}

/// Reloads the configuration on each SIGHUP, outside the threads that serve: it may have ten thousand files.
async fn reload_at_hangup(
    mut hangup: Signal,
    serve: Serve,
    running: Preflight,
    reloader: Reloader,
) {
    let serve = Arc::new((serve, running));
    while hangup.recv().await.is_some() {
        let serve = serve.clone();
        systemd::reloading();
        let looking = reloader.clone();
        let _ = tokio::task::spawn_blocking(move || looking.reload_certificates()).await;
        match tokio::task::spawn_blocking(move || serve.0.settings_beside(&serve.1)).await {
            // The reloader logs each problem of a rejected configuration.
            Ok(Ok(settings)) => {
                settings.log_exposed_files();
                drop(reloader.reload(settings));
            }
            Ok(Err(problems)) => reloader.refuse(&problems),
            Err(error) => tracing::error!(%error, "configuration could not be reloaded"),
        }
        systemd::ready();
    }
}

/// Prints the addresses, for the operator and for scripts that use port 0.
fn announce(application: &Application) {
    let public = application.url();
    say(&format!("public    {public}"));
    if let Some(admin) = application.admin_url() {
        say(&format!("admin     {admin}"));
    }
    let (Some(sandbox), Some(key)) = (application.sandbox(), application.sandbox_api_key()) else {
        return;
    };
    say(&format!("sandbox   {}", sandbox.url()));
    say(&format!("api key   {}", key.expose()));
    say("");
    say(&format!("Open the demo page · 打开演示页:    {public}/"));
    if let Some(admin) = application.admin_url() {
        say(&format!(
            "See the status page · 查看运行状态: {admin}/status"
        ));
    }
    say("Ask for a signature · 获取签名:");
    say(&format!(
        "  curl '{public}/jssdk/config?url=https%3A%2F%2Fdemo.example.com%2Fpage%3Fa%3D1%26b%3D2%23x'"
    ));
    if let Some(admin) = application.admin_url() {
        say("Get the token, as other servers do · 供其他服务器获取 token:");
        let key = key.expose();
        say(&format!(
            "  curl -H 'Authorization: Bearer {key}' {admin}/credentials/demo/access_token"
        ));
    }
    say("See the simulator's tokens and tickets · 查看模拟的 token 与 ticket:");
    say(&format!("  curl {}/sandbox/state", sandbox.url()));
}

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
