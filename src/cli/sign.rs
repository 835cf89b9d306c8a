//! `sign`: signs with a given ticket, for scripts and to compare another backend.

use clap::Args;

use super::{Ended, Unusable, from_stdin, say};
use crate::clock::{Clock, UnixTime};
use crate::error::PageError;
use crate::sign::{PageUrl, Signer, before_fragment, nonce};

#[derive(Debug, Args)]
#[command(after_help = "Example · 示例:
  wx-jssdk sign --ticket \"$TICKET\" --url 'https://example.com/page?a=1#x' --noncestr Wm3WZYTPz0wzccnW --timestamp 1414587457
  echo \"$TICKET\" | wx-jssdk sign --ticket - --url https://example.com/ --json")]
pub(super) struct Sign {
    /// The jsapi_ticket; - reads it from stdin, which keeps it out of the shell's history · jsapi_ticket，- 表示从标准输入读取
    #[arg(long)]
    ticket: String,
    /// The page's address as location.href gives it · 页面地址
    #[arg(long)]
    url: String,
    /// The nonceStr; random if not given · 随机串，默认随机生成
    #[arg(long)]
    noncestr: Option<String>,
    /// Seconds since 1970; now if not given · 时间戳（秒），默认为当前时间
    #[arg(long)]
    timestamp: Option<u64>,
    /// The appId in the output of --json · 配合 --json 输出的 appId
    #[arg(long, default_value = "")]
    app_id: String,
    /// Print the whole wx.config object · 输出完整的 wx.config 对象
    #[arg(long)]
    json: bool,
}

impl Sign {
    pub(super) fn run(self) -> Result<Ended, Unusable> {
        let url = self.checked_url()?;
        let ticket = self.read_ticket()?;
        let nonce = self.noncestr.clone().unwrap_or_else(nonce);
        let timestamp = self
            .timestamp
            .map_or_else(|| Clock::system().wall(), UnixTime);
        let signer = Signer::new(self.app_id.clone(), ticket);
        if self.json {
            let config = signer.sign_text(url, &nonce, timestamp);
            say(&serde_json::to_string(&config)?);
        } else {
            say(&signer.signature(url, &nonce, timestamp).to_string());
            say(&format!("noncestr={nonce}&timestamp={timestamp}&url={url}"));
        }
        Ok(Ended::Success)
    }

    /// Rejects URLs that no browser has as its address. Accepts raw non-ASCII: another backend may have
    /// signed it, and this command is for comparison.
    fn checked_url(&self) -> Result<&str, Unusable> {
        let url = before_fragment(&self.url);
        match PageUrl::parse(&self.url) {
            Ok(_) => Ok(url),
            Err(PageError::NotAscii) => {
                let (error, hint) = (PageError::NotAscii, PageError::NotAscii.hint());
                eprintln!("wx-jssdk: warning: {error}\n    {hint}");
                Ok(url)
            }
            Err(error) => Err(Unusable::Usage(format!(
                "--url: {error}\n    {}",
                error.hint()
            ))),
        }
    }

    fn read_ticket(&self) -> Result<String, Unusable> {
        let ticket = match self.ticket.as_str() {
            "-" => from_stdin()?.trim_end_matches(['\r', '\n']).to_owned(),
            ticket => ticket.to_owned(),
        };
        if ticket.is_empty() {
            return Err(Unusable::Usage("--ticket: is empty: pass a jsapi_ticket, or - to read it from stdin\n    请提供 jsapi_ticket，或用 - 从标准输入读取".into()));
        }
        Ok(ticket)
    }
}
