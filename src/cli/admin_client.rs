//! The running server that a command talks to: its address, the API key, and advice when it does not answer.
//!
//! The API key comes from a file or the environment, never from the command line, which every user of the
//! machine can read.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::connect_error::ConnectError;
use super::http::{LONGEST, Reply, Server};
use super::{Unusable, tls};
use crate::credential::Secret;
use crate::error::Text;
use crate::server::config::{Settings, not_a_path, trimmed};
use crate::server::regular_file;
use crate::upstream::describe;

/// Options that select the server and the key.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// The running server's admin listener, instead of server.admin_listen · 运行中服务的管理端口地址
    #[arg(long, value_name = "URL")]
    server: Option<Server>,
    /// A file with the API key; without it the environment's WX_JSSDK_API_KEY · 存放 API key 的文件，默认读环境变量 WX_JSSDK_API_KEY
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// For https: trust this certificate or CA, instead of the machine's CAs · 用于 https：信任此证书或 CA（PEM），代替系统证书库
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The configuration that names server.admin_listen · 配置文件
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Connection {
    /// Sends one request, and returns the JSON object of an answer with status 200.
    pub(super) async fn ask_json(
        &self,
        server: &Server,
        path: &[&str],
        key: Option<&Secret>,
        body: Option<String>,
    ) -> Result<Value, Unusable> {
        let tls = tls::trusting(self.ca.as_deref())
            .map_err(|error| Unusable::Usage(format!("--ca: {error}")))?;
        let key = key.map(Secret::expose);
        let reply = server.ask(path, key, body, tls, limit(path)).await;
        let Reply {
            status,
            body,
            is_truncated,
        } = reply.map_err(|error| {
            let kind = ConnectError::of(&error, server.is_secure());
            let advice = advice(kind, server, self.ca.is_some());
            let error = describe(&error.without_url());
            Unusable::NoAnswer(format!("{server}: request failed: {error}\n    {advice}"))
        })?;
        if is_truncated {
            let most = LONGEST / (1_024 * 1_024);
            return Err(Unusable::NoAnswer(format!(
                "{server}: the answer is longer than {most} MiB\n    Ask for fewer accounts (--limit, --account), and check that --server is server.admin_listen.\n    返回的内容超过 {most} MiB：请减少账号数（--limit、--account），并确认 --server 是管理端口 server.admin_listen"
            )));
        }
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status == 200 && answer.is_object() {
            return Ok(answer);
        }
        let refusal = refusal(status, &answer);
        Err(Unusable::Refused(format!("{server}: {refusal}")))
    }

    /// Returns the server: the option, or that of the configuration.
    pub(super) fn server(&self) -> Result<Server, Unusable> {
        if let Some(server) = &self.server {
            return Ok(server.clone());
        }
        let (address, tls) = Settings::admin_listener(self.config.as_deref())?;
        // If it is unknown and the listener has TLS, the request fails with advice.
        let secure = tls.unwrap_or(false);
        address.map(|address| Server::at(address, secure)).ok_or_else(|| {
            Unusable::Usage(
                "--server: is required, because server.admin_listen is empty\n    server.admin_listen 为空，必须指定 --server"
                    .into(),
            )
        })
    }

    /// Returns the API key.
    pub(super) fn key(&self) -> Result<Secret, Unusable> {
        let key = match &self.key_file {
            Some(file) => {
                let missing = file.to_str().filter(|_| !file.exists());
                if let Some(problem) = missing.and_then(not_a_path) {
                    return Err(Unusable::Usage(format!("--key-file: {problem}")));
                }
                std::fs::read_to_string(file).map_err(|error| {
                    let file = file.display();
                    let Text { en, zh } = regular_file::reason(&error);
                    Unusable::Usage(format!(
                        "--key-file: {file} cannot be read: {en}\n    无法读取 API key 文件 {file}：{zh}"
                    ))
                })?
            }
            None => std::env::var(KEY_VARIABLE).unwrap_or_default(),
        };
        let key = trimmed(&key);
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Unusable::Usage(format!(
                "API key missing or malformed: set {KEY_VARIABLE}, or pass a file with --key-file; wx-jssdk keys new creates one\n    没有可用的 API key：请设置环境变量 {KEY_VARIABLE} 或用 --key-file 指定文件；可用 wx-jssdk keys new 生成"
            )));
        }
        Ok(Secret::new(key))
    }
}

/// Returns advice for a request that got no answer.
fn advice(error: ConnectError, server: &Server, has_ca: bool) -> Text {
    let other = server.with_other_scheme();
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
        ConnectError::NoTls => Text::owned(
            format!(
                "The server does not use TLS on this port: try --server {other}. If [server.admin_tls] is new, the service needs a restart."
            ),
            format!(
                "该地址没有启用 TLS：请改用 --server {other}。若刚设置了 [server.admin_tls]，服务需要重启。"
            ),
        ),
        ConnectError::NoHttp => Text::owned(
            format!(
                "The server may use TLS ([server.admin_tls]): try --server {other}, with --ca FILE for a self-signed certificate."
            ),
            format!(
                "该地址可能启用了 TLS（[server.admin_tls]）：请改用 --server {other}，自签名证书另加 --ca 文件。"
            ),
        ),
        ConnectError::Absent => Text::new(
            "Check that wx-jssdk serve is running, and that --server is its admin listener (server.admin_listen). If server.admin_listen was changed, the service needs a restart; until then, --server is the previous address.",
            "无法访问：请确认 wx-jssdk serve 正在运行，--server 应为其管理端口（server.admin_listen）。若修改了 server.admin_listen，服务需要重启；在此之前请用 --server 指定原地址。",
        ),
    }
}

/// Formats the server's problem answer, cause and fix, in both languages.
pub(super) fn refusal(status: u16, problem: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if matches!(problem["code"].as_str(), None | Some("not_found")) {
        return format!(
            "answered {status}, which is not an answer of the admin listener\n    Check that --server is server.admin_listen, not server.listen.\n    返回了 {status}：请确认 --server 是管理端口 server.admin_listen，而不是 server.listen"
        );
    }
    let [code, detail] = ["code", "detail"].map(|name| text(&problem[name]));
    let [en, zh] = ["en", "zh"].map(|language| text(&problem["hint"][language]));
    format!("{code}: {detail}\n    {en}\n    {zh}")
}

/// Returns a list of an answer, which is empty if the field is missing.
pub(super) fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map_or(&[][..], Vec::as_slice)
}

/// The environment variable that holds the API key if no file is given. Single underscore: it is not a
/// setting of the service.
const KEY_VARIABLE: &str = "WX_JSSDK_API_KEY";

/// Returns the time for an answer. Only `/status.json` and `/status/reload` make no call to WeChat.
fn limit(path: &[&str]) -> Duration {
    match path {
        ["status.json"] | ["status", "reload"] => TIMEOUT,
        _ => TIMEOUT_WITH_CALLS,
    }
}

const TIMEOUT: Duration = Duration::from_secs(30);

/// A ticket whose token WeChat refuses takes four calls, each of up to 60 s (`upstream.timeout_ms`).
const TIMEOUT_WITH_CALLS: Duration = Duration::from_secs(300);
