//! `sandbox`: runs only the simulated WeChat.

use std::net::SocketAddr;

use clap::Args;

use super::serve::StopSignal;
use super::{Ended, Unusable, say, socket_addr};
use crate::clock::Clock;
use crate::sandbox::{App, Sandbox, demo_apps};
use crate::server::StartupError;

#[derive(Debug, Args)]
#[command(
    after_help = "Example · 示例:\n  wx-jssdk sandbox --listen 127.0.0.1:8082\n  curl http://127.0.0.1:8082/sandbox/state"
)]
pub(super) struct SandboxCommand {
    /// The simulator's address; port 0 picks a free one · 监听地址
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8082", value_parser = socket_addr::listener)]
    listen: SocketAddr,
    /// AppSecret of the official account, instead of a new one at each start · 公众号的 AppSecret，默认每次启动随机生成
    #[arg(long, value_name = "TEXT")]
    secret: Option<String>,
}

impl SandboxCommand {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let stop = StopSignal::install()?;
        let sandbox = Sandbox::bind(Clock::shifted(), self.listen)
            .await
            .map_err(|error| StartupError::listen("--listen", self.listen, error))?;
        say(&format!("sandbox   {}", sandbox.url()));
        let [official, mini, work] = demo_apps();
        let official = match self.secret {
            Some(secret) => official.with_secret(secret),
            None => official,
        };
        for app in [official, mini, work] {
            say("");
            announce(&app);
            sandbox.add_app(app);
        }
        stop.received().await;
        sandbox.stop().await;
        Ok(Ended::Success)
    }
}

/// Prints the settings that an SDK needs.
fn announce(app: &App) {
    say(&format!("platform  {}", app.platform().as_str()));
    match app.agent_id() {
        None => say(&format!("app_id    {}", app.app_id())),
        Some(agent_id) => {
            say(&format!("corp_id   {}", app.app_id()));
            say(&format!("agent_id  {agent_id}"));
        }
    }
    say(&format!("secret    {}", app.secret()));
}
