//! `token`, `ticket`, `reject`: client of a running server's admin listener.

use super::connection::{Connection, refusal};
use super::{Ended, Unusable, from_stdin, say};
use crate::credential::Kind;
use clap::{Args, ValueEnum};

/// Options that select the server and the output format.
#[derive(Debug, Args)]
struct Asking {
    #[command(flatten)]
    connection: Connection,
    /// Print the whole answer: value, expires_in, expires_at, generation · 输出完整的 JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example · 示例:\n  WX_JSSDK_API_KEY=wxk_… wx-jssdk token main
  wx-jssdk token main --server http://10.0.0.5:8081 --key-file /run/secrets/wx-key --json"
)]
pub(super) struct Token {
    /// The account's name in the configuration · 账号名
    account: String,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example · 示例:\n  wx-jssdk ticket main --key-file /run/secrets/wx-key\n  wx-jssdk ticket main --kind card"
)]
pub(super) struct Ticket {
    /// The account's name in the configuration · 账号名
    account: String,
    /// Which ticket · 哪一种 ticket
    #[arg(long, value_enum, default_value = "jsapi")]
    kind: TicketKind,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example · 示例:\n  wx-jssdk reject main --key-file /run/secrets/wx-key < dead-token.txt
  echo \"$DEAD_TICKET\" | wx-jssdk reject main --kind jsapi --value -"
)]
pub(super) struct Reject {
    /// The account's name in the configuration · 账号名
    account: String,
    /// The rejected credential's kind · 失效凭证的种类
    #[arg(long, value_enum, default_value = "token")]
    kind: AnyKind,
    /// The value that WeChat rejected; - reads it from stdin · 被微信拒绝的值，- 表示从标准输入读取
    #[arg(long, default_value = "-")]
    value: String,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TicketKind {
    Jsapi,
    Card,
    Agent,
}

/// The kinds of credentials, by their short names and by those of the API.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum AnyKind {
    #[value(alias = "access_token")]
    Token,
    #[value(alias = "jsapi_ticket")]
    Jsapi,
    #[value(alias = "card_ticket")]
    Card,
    #[value(alias = "agent_ticket")]
    Agent,
}

impl AnyKind {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Token => Kind::AccessToken,
            Self::Jsapi => Kind::JsapiTicket,
            Self::Card => Kind::CardTicket,
            Self::Agent => Kind::AgentTicket,
        }
    }
}

impl Token {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        self.asking
            .ask(&self.account, Kind::AccessToken, None)
            .await
    }
}

impl Ticket {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let kind = match self.kind {
            TicketKind::Jsapi => Kind::JsapiTicket,
            TicketKind::Card => Kind::CardTicket,
            TicketKind::Agent => Kind::AgentTicket,
        };
        self.asking.ask(&self.account, kind, None).await
    }
}

impl Reject {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let kind = self.kind.kind();
        let value = match self.value.as_str() {
            "-" => from_stdin()?,
            value => value.to_owned(),
        };
        let value = value.trim();
        if value.is_empty() {
            return Err(Unusable::Usage("--value: is empty: pass the value that WeChat rejected, or - to read it from stdin\n    请提供被微信拒绝的值，或用 - 从标准输入读取".into()));
        }
        self.asking.ask(&self.account, kind, Some(value)).await
    }
}

impl Asking {
    async fn ask(
        self,
        account: &str,
        kind: Kind,
        rejected: Option<&str>,
    ) -> Result<Ended, Unusable> {
        let key = self.connection.key()?;
        let server = self.connection.server()?;
        let mut path = vec!["credentials"];
        // An open platform's account has two segments.
        path.extend(account.splitn(2, '/'));
        path.push(kind.as_str());
        let body = rejected.map(|value| serde_json::json!({ "value": value }).to_string());
        path.extend(body.is_some().then_some("reject"));
        let answer = self.connection.ask_json(&server, &path, Some(&key), body);
        let answer = answer.await.map_err(|unusable| match unusable {
            // Only the commands for operators have the exit code 3.
            Unusable::NoAnswer(message) => Unusable::Refused(message),
            unusable => unusable,
        })?;
        match answer["value"].as_str() {
            Some(_) if self.json => say(&answer.to_string()),
            Some(value) => say(value),
            None => {
                let refusal = refusal(200, &answer);
                return Err(Unusable::Refused(format!("{server}: {refusal}")));
            }
        }
        Ok(Ended::Success)
    }
}
