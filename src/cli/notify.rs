//! `notify test`: sends a test message to the webhooks of the configuration.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Ended, Unusable, file_elsewhere, say};
use crate::error::Text;
use crate::server::config::Settings;
use crate::server::notify::send_test;

#[derive(Debug, Subcommand)]
pub(super) enum Notify {
    /// Send a test message to each webhook · 向每个 webhook 发送测试消息
    #[command(
        after_help = "Example · 示例:\n  wx-jssdk notify test --config /etc/wx-jssdk/wx-jssdk.toml
Exit codes · 退出码: 0 all accepted · 全部成功; 1 one refused · 有失败; 2 no webhook, or a wrong configuration · 未配置或配置有误"
    )]
    Test {
        /// The configuration with [notify.webhooks] · 配置文件
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Only the webhook of this name · 只发给指定的 webhook
        #[arg(long, value_name = "NAME")]
        webhook: Option<String>,
    },
}

impl Notify {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let Self::Test { config, webhook } = self;
        let settings = Settings::load(config.as_deref())?;
        let results = send_test(&settings, webhook.as_deref()).await?;
        if results.is_empty() {
            let place = webhook.as_deref().unwrap_or("NAME");
            let Text { en, zh } = file_elsewhere(config.as_deref());
            return Err(Unusable::Usage(format!(
                "no such webhook: {en}add [notify.webhooks.{place}] with type and url_file to the configuration\n    没有可用的 webhook：{zh}请在配置中写 [notify.webhooks.{place}]（type、url_file）"
            )));
        }
        let mut is_good = true;
        for (name, result) in results {
            match result {
                Ok(()) => say(&format!("{name}: sent · 已发送")),
                Err(error) => {
                    eprintln!(
                        "wx-jssdk: {name}: not accepted: {error}\n    Compare address, secret, keyword and allowed IPs with the robot's settings; upstream.proxy must reach it.\n    请核对机器人设置中的地址、密钥、关键词（应为 wx-jssdk）和 IP 白名单，并确认 upstream.proxy 能访问该服务。"
                    );
                    is_good = false;
                }
            }
        }
        Ok(Ended::of(is_good))
    }
}
