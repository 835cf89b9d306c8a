//! `refresh`, `unblock`, `reload`: what an operator does to a running server, by its admin listener.

use clap::Args;
use serde_json::{Value, json};

use super::admin_client::{Connection, list};
use super::http::Server;
use super::{Ended, Unusable, accounts, say};
use crate::clock::UnixTime;
use crate::credential::{Kind, Secret};

#[derive(Debug, Args)]
#[command(
    after_help = "Example · 示例:\n  wx-jssdk refresh main jsapi --key-file /run/secrets/wx-key
Exit codes · 退出码: 0 refreshed · 已刷新; 1 refused · 被拒绝; 2 wrong usage · 用法有误; 3 no answer · 服务无响应"
)]
pub(super) struct Refresh {
    /// The account's name in the configuration · 账号名
    account: String,
    /// Which credential · 哪一种凭证
    #[arg(value_enum)]
    kind: Kind,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
#[command(
    after_help = "After the quota was reset in WeChat's console, or this IP was allowed after the administrator had refused it:
makes one call for each credential that waits for an hour or a day because of that. If WeChat answers, the wait is over,
in the case of a quota also on the nodes that share the store (Redis or a database).
在微信后台清零调用次数后，或管理员拒绝过的 IP 加入白名单后使用：对每个因此长时间等待的凭证请求一次，成功即恢复\
（额度用尽时，共享存储（Redis 或数据库）的节点一并恢复）。
For an open platform, fetches its token, which ends all waits for the quotas that it shares with its accounts.
账号为第三方平台时，会重新获取平台的 token；因平台与授权账号共用的额度用尽而等待的账号，都会立即重试。

Example · 示例:\n  wx-jssdk unblock main --key-file /run/secrets/wx-key
Exit codes · 退出码: 0 nothing waits any more · 已恢复或无需恢复; 1 refused · 被拒绝; 2 wrong usage · 用法有误; 3 no answer · 服务无响应"
)]
pub(super) struct Unblock {
    /// The account's name in the configuration · 账号名
    account: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Needs an API key without accounts and kinds · 需要未限定 accounts 与 kinds 的 API key

Example · 示例:\n  wx-jssdk reload --key-file /run/secrets/wx-key
Exit codes · 退出码: 0 applied · 已生效; 1 refused · 被拒绝，继续使用原配置; 2 wrong usage · 用法有误; 3 no answer · 服务无响应"
)]
pub(super) struct Reload {
    #[command(flatten)]
    connection: Connection,
    /// Print the whole answer · 输出完整的 JSON
    #[arg(long)]
    json: bool,
}

impl Refresh {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let (server, key) = (self.connection.server()?, self.connection.key()?);
        let kind = self.kind.as_str();
        refresh(&self.connection, &server, &key, &self.account, kind).await?;
        Ok(Ended::Success)
    }
}

impl Unblock {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let (connection, account) = (&self.connection, &self.account);
        let (server, key) = (connection.server()?, connection.key()?);
        let filtered = server.with_query(&[("account", account)]);
        let report = connection
            .ask_json(&filtered, &["status.json"], None, None)
            .await?;
        let Some(found) = list(&report, "accounts").first() else {
            return Err(no_account(&server, account));
        };
        // A refresh of a platform's token ends the waits of its accounts too, so it is made even if the platform itself
        // does not wait.
        let is_platform = found["platform"] == "component";
        let waiting = list(found, "credentials").iter().filter(|one| {
            let error = &one["error"];
            let time = |name: &str| error[name].as_u64().unwrap_or_default();
            let is_long = time("retry_at").saturating_sub(time("at")) > LONG_WAIT;
            let waits = (error["class"] == "quota" || is_long) && error["kind"] == one["kind"];
            is_platform || waits
        });
        let kinds: Vec<_> = waiting.filter_map(|one| one["kind"].as_str()).collect();
        if kinds.is_empty() {
            say(&format!(
                "{account}: nothing waits for a quota or after a refusal · 没有因额度用尽或被管理员拒绝而等待的凭证"
            ));
        }
        let mut ended = Ended::Success;
        for kind in kinds {
            match refresh(connection, &server, &key, account, kind).await {
                // The quota of the next one may be back all the same.
                Err(refused @ Unusable::Refused(_)) => {
                    refused.report();
                    ended = Ended::Failure;
                }
                result => result?,
            }
        }
        Ok(ended)
    }
}

impl Reload {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let (server, key) = (self.connection.server()?, self.connection.key()?);
        let path = ["status", "reload"];
        let body = Some(String::new());
        let answer = self
            .connection
            .ask_json(&server, &path, Some(&key), body)
            .await?;
        let is_applied = answer["outcome"] == "applied";
        let refused_certificates = list(&answer, "certificates_refused");
        if self.json {
            say(&answer.to_string());
        } else {
            if is_applied {
                say_applied(&answer);
            } else {
                say_refused(&server, &answer);
            }
            for setting in list(&answer, "certificates_applied") {
                let setting = setting.as_str().unwrap_or_default();
                say(&format!(
                    "{setting}: new certificate applied · 新证书已生效"
                ));
            }
            for problem in refused_certificates {
                let [setting, en, zh] = problem_texts(problem);
                eprintln!(
                    "wx-jssdk: {server}: {setting}: new certificate refused: {en}; the previous one stays in use\n    新证书有误，继续使用原证书：{zh}"
                );
            }
        }
        Ok(Ended::of(is_applied && refused_certificates.is_empty()))
    }
}

/// Prints what an applied configuration changed.
fn say_applied(answer: &Value) {
    let number = |name: &str| answer[name].as_u64().unwrap_or_default();
    let (count, added, removed) = (number("accounts"), number("added"), number("removed"));
    say(&format!(
        "applied: {}, {added} added, {removed} removed · 已生效：共 {count} 个账号，新增 {added}，移除 {removed}",
        accounts(count)
    ));
    for setting in list(answer, "needs_restart") {
        let setting = setting.as_str().unwrap_or_default();
        say(&format!(
            "{setting}: changed, needs a restart · 已修改，重启后生效"
        ));
    }
}

/// Prints the problems of a refused configuration.
fn say_refused(server: &Server, answer: &Value) {
    let problems = list(answer, "problems");
    eprintln!(
        "wx-jssdk: {server}: refused, the previous configuration stays in use · 新配置有误，继续使用原配置"
    );
    for problem in problems {
        let [path, en, zh] = problem_texts(problem);
        eprintln!("{path}: {en}\n    {zh}");
    }
    let count = answer["count"].as_u64().unwrap_or_default();
    let more = count.saturating_sub(problems.len() as u64);
    if more > 0 {
        eprintln!("and {more} more: see the log · 另有 {more} 处，见日志");
    }
}

/// Returns the path of a configuration problem, and its text in both languages.
fn problem_texts(problem: &Value) -> [&str; 3] {
    ["path", "en", "zh"].map(|name| problem[name].as_str().unwrap_or_default())
}

/// Requests one refresh and prints its result.
async fn refresh(
    connection: &Connection,
    server: &Server,
    key: &Secret,
    account: &str,
    kind: &str,
) -> Result<(), Unusable> {
    let body = json!({ "account": account, "kind": kind }).to_string();
    let path = ["status", "refresh"];
    let answer = connection
        .ask_json(server, &path, Some(key), Some(body))
        .await?;
    let until = UnixTime(answer["expires_at"].as_u64().unwrap_or_default()).utc();
    say(&match answer["outcome"].as_str() {
        Some("refreshed") => {
            format!("{account} {kind}: refreshed, valid until {until} · 已刷新，有效期至 {until}")
        }
        _ => format!(
            "{account} {kind}: WeChat returned the same value, valid until {until} · 微信返回了同一个值，有效期至 {until}"
        ),
    });
    Ok(())
}

/// Returns the error of an account that the server does not have.
pub(super) fn no_account(server: &Server, name: &str) -> Unusable {
    Unusable::Refused(format!("{server}: no account {name} · 没有账号 {name}"))
}

/// In seconds. Failures that only a person can end are tried again within five minutes, except an administrator's
/// refusal of this IP.
const LONG_WAIT: u64 = 600;
