//! `token`, `ticket`, `reject`: client of a running server's admin listener.
//!
//! The API key comes from a file or the environment, never from the command line, which every user of the
//! machine can read.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::connect_error::ConnectError;
use super::http::{Reply, Server};
use super::tls::Trust;
use super::{Ended, Unusable, listed, say};
use crate::credential::{Kind, Secret};
use crate::error::Text;
use crate::server::config::Settings;
use crate::upstream::describe;

/// Options that select the server and the output format.
#[derive(Debug, Args)]
struct Asking {
    /// The running server's admin listener, instead of server.admin_listen · 运行中服务的管理端口地址
    #[arg(long, value_name = "URL")]
    server: Option<Server>,
    /// A file with the API key; without it the environment's WX_JSSDK_API_KEY · 存放 API key 的文件，默认读环境变量
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// For https: trust this certificate or CA, instead of the machine's CAs · 信任的证书或 CA（PEM）
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The configuration that names server.admin_listen · 配置文件
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
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
    /// The rejected credential's kind · 被拒绝的凭证类型
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

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AnyKind {
    Token,
    Jsapi,
    Card,
    Agent,
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
        let kind = match self.kind {
            AnyKind::Token => Kind::AccessToken,
            AnyKind::Jsapi => Kind::JsapiTicket,
            AnyKind::Card => Kind::CardTicket,
            AnyKind::Agent => Kind::AgentTicket,
        };
        let mut value = self.value;
        if value == "-" {
            value.clear();
            std::io::stdin().read_to_string(&mut value)?;
        }
        let value = value.trim();
        if value.is_empty() {
            return Err(Unusable("--value: is empty: pass the value that WeChat rejected, or - to read it from stdin\n    请提供被微信拒绝的值，或用 - 从标准输入读取".into()));
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
        let key = self.key()?;
        let server = self.server()?;
        let trust =
            Trust::of(self.ca.as_deref()).map_err(|error| Unusable(format!("--ca: {error}")))?;
        let mut path = vec!["credentials", account, kind.as_str()];
        let body = rejected.map(|value| serde_json::json!({ "value": value }).to_string());
        path.extend(body.is_some().then_some("reject"));
        match server
            .ask(&path, Some(key.expose()), body, trust, PATIENCE)
            .await
        {
            Ok(reply) => Ok(self.print(&server, &reply)),
            Err(error) => {
                let advice = advice(
                    ConnectError::of(&error, server.is_secure()),
                    &server,
                    self.ca.is_some(),
                );
                let error = describe(&error.without_url());
                eprintln!("wx-jssdk: {server}: request failed: {error}\n    {advice}");
                Ok(Ended::Failure)
            }
        }
    }

    fn server(&self) -> Result<Server, Unusable> {
        if let Some(server) = &self.server {
            return Ok(server.clone());
        }
        let settings =
            Settings::load(self.config.as_deref()).map_err(|problems| listed(&problems))?;
        let secure = settings.server.admin_tls.is_some();
        settings.server.admin_listen.map(|address| Server::at(address, secure)).ok_or_else(|| {
            Unusable(
                "--server: is required, because server.admin_listen is empty\n    server.admin_listen 为空，必须指定 --server"
                    .into(),
            )
        })
    }

    fn key(&self) -> Result<Secret, Unusable> {
        let key = match &self.key_file {
            Some(file) => std::fs::read_to_string(file).map_err(|error| {
                let file = file.display();
                Unusable(format!(
                    "--key-file: {file} cannot be read: {error}\n    无法读取 API key 文件 {file}"
                ))
            })?,
            None => std::env::var(KEY_VARIABLE).unwrap_or_default(),
        };
        let key = key.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Unusable(format!(
                "API key missing or malformed: set {KEY_VARIABLE}, or pass a file with --key-file; wx-jssdk keys new creates one\n    没有可用的 API key：请设置环境变量 {KEY_VARIABLE} 或用 --key-file 指定文件；可用 wx-jssdk keys new 生成"
            )));
        }
        Ok(Secret::new(key))
    }

    fn print(&self, server: &Server, reply: &Reply) -> Ended {
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        match (reply.status, answer["value"].as_str()) {
            (200, Some(_)) if self.json => say(&answer.to_string()),
            (200, Some(value)) => say(value),
            (status, _) => {
                eprintln!("wx-jssdk: {server}: {}", refusal(status, &answer));
                return Ended::Failure;
            }
        }
        Ended::Success
    }
}

/// Returns advice for a request that got no answer.
fn advice(error: ConnectError, server: &Server, has_ca: bool) -> Text {
    let other = server.the_other_way();
    match error {
        ConnectError::Untrusted if has_ca => Text::new(
            "--ca contains neither this certificate nor its CA. If this is the right server, copy its file of server.admin_tls.cert.",
            "--ca 中既没有这张证书，也没有签发它的 CA。确认服务器无误后，请复制该服务器上 server.admin_tls.cert 所指的文件。",
        ),
        ConnectError::Untrusted => Text::new(
            "This machine does not trust its certificate: pass --ca FILE with the self-signed certificate itself (server.admin_tls.cert) or with its CA.",
            "本机不信任该证书：请用 --ca 文件 指定要信任的证书，即自签名证书本身（server.admin_tls.cert）或签发它的 CA。",
        ),
        ConnectError::OutOfDate => Text::new(
            "The certificate is expired or not yet valid: renew the server's files of [server.admin_tls], and check both clocks.",
            "证书不在有效期内：请更新服务器上 [server.admin_tls] 的证书文件，并检查两边的时钟。",
        ),
        ConnectError::OtherName => Text::new(
            "The certificate is for another host name: use that name in --server, or trust this certificate with --ca FILE.",
            "证书不是签发给这个主机名的：请在 --server 中使用证书上的名称，或用 --ca 文件 直接信任这张证书。",
        ),
        ConnectError::NoTls => Text {
            en: format!("The server does not use TLS on this port: try --server {other}. If [server.admin_tls] is new, the service needs a restart.").into(),
            zh: format!("该地址没有启用 TLS：请改用 --server {other}。若刚设置了 [server.admin_tls]，服务需要重启。").into(),
        },
        ConnectError::NoHttp => Text {
            en: format!("The server may use TLS ([server.admin_tls]): try --server {other}, with --ca FILE for a self-signed certificate.").into(),
            zh: format!("该地址可能启用了 TLS（[server.admin_tls]）：请改用 --server {other}，自签名证书另加 --ca 文件。").into(),
        },
        ConnectError::Absent => Text::new(
            "Check that wx-jssdk serve is running, and that --server is its admin listener (server.admin_listen).",
            "无法访问：请确认 wx-jssdk serve 正在运行，--server 应为其管理端口（server.admin_listen）。",
        ),
    }
}

/// Formats the server's problem answer, cause and fix, in both languages.
fn refusal(status: u16, problem: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if matches!(problem["code"].as_str(), None | Some("not_found")) {
        return format!(
            "answered {status}, which is not an answer of the admin listener\n    Check that --server is server.admin_listen, not server.listen.\n    返回了 {status}：请确认 --server 是管理端口 server.admin_listen，而不是 server.listen"
        );
    }
    let (code, detail, hint) = (
        text(&problem["code"]),
        text(&problem["detail"]),
        &problem["hint"],
    );
    format!(
        "{code}: {detail}\n    {}\n    {}",
        text(&hint["en"]),
        text(&hint["zh"])
    )
}

/// The environment variable that holds the API key if no file is given. Single underscore: it is not a
/// setting of the service.
const KEY_VARIABLE: &str = "WX_JSSDK_API_KEY";

/// Timeout. A ticket that is not cached takes two calls to WeChat, each with a timeout of five seconds.
const PATIENCE: Duration = Duration::from_secs(30);
