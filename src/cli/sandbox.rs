//! `sandbox`: the simulated WeChat alone.

use std::net::SocketAddr;

use clap::Args;

use super::serve::stop_signal;
use super::{Ended, Unusable, say};
use crate::clock::Clock;
use crate::sandbox::{Sandbox, demo_app};
use crate::server::StartError;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wx-jssdk sandbox --listen 127.0.0.1:8082\n  curl http://127.0.0.1:8082/sandbox/state")]
pub(super) struct SandboxCommand {
    /// Where it listens; port 0 picks a free one · 监听地址
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8082")]
    listen: SocketAddr,
}

impl SandboxCommand {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let stop = stop_signal()?;
        let sandbox = Sandbox::bind(Clock::shifted(), self.listen).await.map_err(|error| StartError::Listen {
            setting: "--listen",
            address: self.listen,
            error,
        })?;
        let app = demo_app();
        say(&format!("sandbox   {}", sandbox.url()));
        say("");
        say(&format!("app_id    {}", app.app_id()));
        say(&format!("secret    {}", app.secret()));
        sandbox.add_app(app);
        stop.await;
        sandbox.stop().await;
        Ok(Ended::Well)
    }
}
