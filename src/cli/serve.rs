//! `serve`: the service, with WeChat's real hosts or with the sandbox.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{Ended, Unusable, listed, say, with_accounts};
use crate::server::config::Settings;
use crate::server::{Application, SandboxOptions, telemetry};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wx-jssdk serve --sandbox\n  wx-jssdk serve --config /etc/wx-jssdk.toml")]
pub(super) struct Serve {
    /// Simulate WeChat on this machine, with a demo account: nothing to configure · 使用模拟的微信，无需任何配置
    #[arg(long)]
    sandbox: bool,
    /// The configuration; wx-jssdk.toml in the working directory if it is there · 配置文件
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where pages call, instead of server.listen · 页面访问的地址
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Where the simulator listens · 模拟微信的监听地址
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8082", requires = "sandbox")]
    sandbox_listen: SocketAddr,
    /// One more safe domain of the demo account, e.g. this machine's address in the Wi-Fi · 演示帐号增加的安全域名
    #[arg(long, value_name = "DOMAIN", requires = "sandbox")]
    safe_domain: Vec<String>,
}

impl Serve {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let settings = self.settings()?;
        telemetry::start(&settings.log);
        let stop = stop_signal()?;
        let application = if self.sandbox {
            let options = SandboxOptions { listen: self.sandbox_listen, safe_domains: self.safe_domain };
            Application::build_with_sandbox(&settings, &options).await?
        } else {
            Application::build(&settings).await?
        };
        announce(&application);
        application.run_until_stopped(stop).await?;
        Ok(Ended::Well)
    }

    fn settings(&self) -> Result<Settings, Unusable> {
        let mut settings = if self.sandbox && self.config.is_none() {
            Settings::defaults().map_err(|problems| listed(&problems))?
        } else if self.sandbox {
            Settings::load(self.config.as_deref()).map_err(|problems| listed(&problems))?
        } else {
            with_accounts(self.config.as_deref())?
        };
        if self.sandbox {
            settings.server.default_account = None; // the demo account is the only one
        }
        if let Some(listen) = self.listen {
            settings.server.listen = listen;
        }
        Ok(settings)
    }
}

/// The addresses, for people and for scripts that let port 0 choose.
fn announce(application: &Application) {
    let public = application.address();
    say(&format!("public    http://{public}"));
    let Some(sandbox) = application.sandbox() else { return };
    say(&format!("sandbox   {}", sandbox.url()));
    say("");
    say(&format!("Open the demo page · 打开演示页:   http://{public}/"));
    say("Ask for a signature · 获取签名:");
    say(&format!("  curl 'http://{public}/jssdk/config?url=https%3A%2F%2Fdemo.example.com%2Fpage%3Fa%3D1%26b%3D2%23x'"));
    say("See its tokens and tickets · 查看模拟的 token 与 ticket:");
    say(&format!("  curl {}/sandbox/state", sandbox.url()));
}

/// Resolves at SIGTERM or Ctrl-C. Installed before anything is bound, so that an early signal is not lost.
pub(super) fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
