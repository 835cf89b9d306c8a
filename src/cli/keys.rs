//! `keys new`: creates an API key for a client and prints its lines for the configuration.

use clap::Subcommand;

use super::{Ended, Unusable, say};
use crate::actix::{KeyHash, new_key};
use crate::server::config::is_key_name;

#[derive(Debug, Subcommand)]
#[command(after_help = "Example · 示例:\n  wx-jssdk keys new --name crm")]
pub(super) enum Keys {
    /// Create an API key; prints it once, with its lines for the configuration · 生成 API key 及其配置行，仅显示一次
    #[command(
        after_help = "Example · 示例:\n  wx-jssdk keys new --name crm\n  wx-jssdk keys new | head -1 > /run/secrets/wx-key"
    )]
    New {
        /// The name of the key's holder in the logs · 使用者的名称，会出现在日志中
        #[arg(long, default_value = "other-server")]
        name: String,
    },
}

impl Keys {
    pub(super) fn run(self) -> Result<Ended, Unusable> {
        let Self::New { name } = self;
        if !is_key_name(&name) {
            return Err(Unusable::Usage(
                "--name: must be up to 30 letters, digits, _ - and .\n    名称最多 30 个字符，只能用字母、数字、_ - 和 .".into(),
            ));
        }
        let key = new_key();
        let hash = KeyHash::of(&key);
        say(&format!(
            "{key}

# The key above is shown only once: give it to the client. Add the lines below to wx-jssdk.toml, then send SIGHUP.
# 上面的 API key 仅显示一次，请交给调用方；把下面几行写入 wx-jssdk.toml，再向进程发送 SIGHUP。
[[server.api_keys]]
name = \"{name}\"
sha256 = \"{hash}\""
        ));
        Ok(Ended::Success)
    }
}
