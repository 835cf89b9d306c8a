//! `check`: is the configuration right, and does WeChat take it?

use std::path::PathBuf;

use clap::Args;

use super::{Ended, Unusable, listed, say, with_accounts};
use crate::account::{Account, TokenMode};
use crate::credential::Kind;
use crate::error::UpstreamError;
use crate::upstream::Upstream;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wx-jssdk check\n  wx-jssdk check --config /etc/wx-jssdk.toml --offline")]
pub(super) struct Check {
    /// The configuration; wx-jssdk.toml in the working directory if it is there · 配置文件
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Do not call WeChat · 不访问微信
    #[arg(long)]
    offline: bool,
}

impl Check {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let settings = with_accounts(self.config.as_deref()).map_err(|problems| listed(&problems))?;
        let count = settings.accounts.len();
        say(&format!("configuration: ok, {count} account{} · 配置正确，共 {count} 个账号", if count == 1 { "" } else { "s" }));
        if self.offline {
            return Ok(Ended::Well);
        }
        let upstream = Upstream::new(&settings.upstream)?;
        let mut ended = Ended::Well;
        for (name, account) in &settings.accounts {
            match probe(&upstream, account).await {
                Ok(()) => say(&format!("{name}: ok, WeChat accepts {} · 微信验证通过", account.app_id())),
                Err(error) => {
                    say(&explained(name, &error));
                    ended = Ended::No;
                }
            }
        }
        Ok(ended)
    }
}

/// Asks for a token, and for the ticket where the account signs. Always by `stable_token` where there is one: it leaves a running
/// server's classic token alone, while `/cgi-bin/token` would retire it.
async fn probe(upstream: &Upstream, account: &Account) -> Result<(), UpstreamError> {
    let harmless = account.clone().token_mode(TokenMode::Stable);
    let token = upstream.token(&harmless, false).await?;
    if account.has(Kind::JsapiTicket) {
        upstream.ticket(account, Kind::JsapiTicket, &token.value).await?;
    }
    Ok(())
}

fn explained(name: &str, error: &UpstreamError) -> String {
    let (cause, fix) = (error.cause(), error.fix_for_operator());
    format!("{name}: {error}\n    cause: {}\n    fix:   {}\n    原因：{}\n    解决：{}", cause.en, fix.en, cause.zh, fix.zh)
}
