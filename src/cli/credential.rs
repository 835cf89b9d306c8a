//! `token`, `ticket`, `reject`: client of a running server's admin listener.

use super::admin_client::{Connection, refusal};
use super::{Ended, Unusable, from_stdin, say};
use crate::credential::Kind;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

/// Options that select the server and the output format.
#[derive(Debug, Args)]
struct CredentialArgs {
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
    args: CredentialArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example · 示例:\n  wx-jssdk ticket main --key-file /run/secrets/wx-key\n  wx-jssdk ticket main --kind card"
)]
pub(super) struct Ticket {
    /// The account's name in the configuration · 账号名
    account: String,
    /// Which ticket · 哪一种 ticket
    #[arg(long, value_parser = ticket_kind(), default_value = "jsapi")]
    kind: Kind,
    #[command(flatten)]
    args: CredentialArgs,
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
    kind: Kind,
    /// The value that WeChat rejected; - reads it from stdin · 被微信拒绝的值，- 表示从标准输入读取
    #[arg(long, default_value = "-")]
    value: String,
    #[command(flatten)]
    args: CredentialArgs,
}

/// By its short name (`token`, `jsapi`) or that of the API.
impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let name = self.as_str();
        let short = name.strip_suffix("_ticket").unwrap_or("token");
        Some(PossibleValue::new(short).alias(name))
    }
}

/// Parses the kind of a ticket.
fn ticket_kind() -> impl TypedValueParser<Value = Kind> {
    let tickets = Kind::ALL.iter().filter(|kind| kind.parent().is_some());
    PossibleValuesParser::new(tickets.filter_map(Kind::to_possible_value))
        .try_map(|name| <Kind as ValueEnum>::from_str(&name, false))
}

impl Token {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        self.args.ask(&self.account, Kind::AccessToken, None).await
    }
}

impl Ticket {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        self.args.ask(&self.account, self.kind, None).await
    }
}

impl Reject {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let value = match self.value.as_str() {
            "-" => from_stdin()?,
            value => value.to_owned(),
        };
        let value = value.trim();
        if value.is_empty() {
            return Err(Unusable::Usage("--value: is empty: pass the value that WeChat rejected, or - to read it from stdin\n    请提供被微信拒绝的值，或用 - 从标准输入读取".into()));
        }
        self.args.ask(&self.account, self.kind, Some(value)).await
    }
}

impl CredentialArgs {
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

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    #[test]
    fn a_kind_has_a_short_name_and_that_of_the_api() {
        for (short, kind) in ["token", "jsapi", "card", "agent"].iter().zip(Kind::ALL) {
            for name in [short, kind.as_str()] {
                assert_eq!(<Kind as ValueEnum>::from_str(name, false), Ok(kind));
            }
        }
    }

    #[test]
    fn the_command_for_tickets_accepts_all_kinds_but_the_token() {
        let accepts = |name: &str| {
            let kind = Arg::new("kind").value_parser(ticket_kind());
            let command = Command::new("ticket").arg(kind);
            command.try_get_matches_from(["ticket", name]).is_ok()
        };
        for kind in Kind::ALL {
            assert_eq!(accepts(kind.as_str()), kind != Kind::AccessToken, "{kind}");
        }
    }
}
