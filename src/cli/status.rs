//! `status`: the accounts of a running server as a table, or as JSON.

use std::io::{self, IsTerminal as _, stdout};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::admin_client::{Connection, list};
use super::http::Server;
use super::operate::no_account;
use super::{Ended, Unusable, accounts, counted, write_line};
use crate::clock::UnixTime;

#[derive(Debug, Args)]
#[command(
    after_help = "Needs no API key: the answer holds no secret · 无需 API key，内容不含机密

Example · 示例:\n  wx-jssdk status --watch\n  wx-jssdk status --account main --json
Exit codes · 退出码: 0 no account is down · 没有账号不可用; 1 an account is down · 有账号不可用; 2 wrong usage · 用法有误; 3 no answer · 服务无响应"
)]
pub(super) struct Status {
    #[command(flatten)]
    connection: Connection,
    /// Only this account · 只看这个账号
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// How many accounts, the worst first · 最多显示多少个账号，最严重的在前
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    /// Show it again every two seconds, until Ctrl-C · 每两秒刷新一次，Ctrl-C 结束
    #[arg(long)]
    watch: bool,
    /// Print the document of /status.json · 输出 /status.json 的内容
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) async fn run(self) -> Result<Ended, Unusable> {
        let server = self.connection.server()?;
        loop {
            match self.show(&server).await {
                Ok(Some(_)) if self.watch => {}
                // The next answer may be better.
                Err(unusable) if self.watch && !matches!(unusable, Unusable::Usage(_)) => {
                    unusable.report();
                }
                ended => return Ok(ended?.unwrap_or(Ended::Success)),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Shows the accounts once. Returns `None` if `--watch` need not show them again: stdout is closed.
    async fn show(&self, server: &Server) -> Result<Option<Ended>, Unusable> {
        let limit = self.limit.to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(self.account.iter().map(|name| ("account", name.as_str())));
        let filtered = server.with_query(&query);
        let report = self
            .connection
            .ask_json(&filtered, &["status.json"], None, None)
            .await?;
        if self.write(&report).is_err() && self.watch {
            return Ok(None);
        }
        if let Some(name) = &self.account
            && report["matching"] == 0
        {
            return Err(no_account(server, name));
        }
        let is_down = match &self.account {
            Some(_) => report["accounts"][0]["state"] == "down",
            None => report["summary"]["down"] != 0,
        };
        Ok(Some(Ended::of(!is_down)))
    }

    fn write(&self, report: &Value) -> io::Result<()> {
        if self.json {
            return write_line(&report.to_string());
        }
        if self.watch && stdout().is_terminal() {
            write_line(CLEAR)?;
        }
        lines(report).iter().try_for_each(|line| write_line(line))
    }
}

/// Writes the document as a table, with errors below it.
fn lines(report: &Value) -> Vec<String> {
    let now = report["now"].as_u64().unwrap_or_default();
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let (summary, store) = (&report["summary"], &report["store"]);
    let text = |value: &Value| visible(value.as_str().unwrap_or_default());
    let reachable = if store["reachable"] == false {
        ", unreachable"
    } else {
        ""
    };
    let mut lines = vec![
        format!(
            "{}  wx-jssdk {}  up {}  store {}{reachable}  {}",
            text(&report["node"]),
            text(&report["version"]),
            span(number(&report["uptime"])),
            text(&store["kind"]),
            UnixTime(now).utc(),
        ),
        format!(
            "{}: {} down, {} degraded, {} starting, {} ok",
            accounts(number(&summary["accounts"])),
            number(&summary["down"]),
            number(&summary["degraded"]),
            number(&summary["starting"]),
            number(&summary["ok"]),
        ),
    ];
    if let Some(error) = store["error"].as_str() {
        lines.push(format!("store: {}", visible(error)));
    }
    if report["readiness"]["ready"] == false {
        let cause = &report["readiness"]["cause"];
        let cause = match (cause["en"].as_str(), cause["zh"].as_str()) {
            (Some(en), Some(zh)) => format!(": {} · {}", visible(en), visible(zh)),
            _ => String::new(),
        };
        lines.push(format!("not ready, /readyz answers 503{cause}"));
    }
    lines.push(String::new());
    let accounts = list(report, "accounts");
    let mut rows = vec![
        [
            "ACCOUNT",
            "HEALTH",
            "SERVED UNTIL",
            "LEFT",
            "CALLS TODAY",
            "LAST ERROR",
        ]
        .map(str::to_owned),
    ];
    rows.extend(accounts.iter().map(|account| row(account, now)));
    lines.extend(table(&rows));
    let (shown, matching) = (accounts.len() as u64, number(&report["matching"]));
    if matching > shown {
        let more = matching - shown;
        lines.push(format!(
            "and {more} more: --limit or --account · 另有 {more} 个账号，可用 --limit 或 --account 查看"
        ));
    }
    for account in accounts {
        for error in errors(account) {
            let text = |name: &str, language: &str| {
                visible(error[name][language].as_str().unwrap_or_default())
            };
            lines.push(String::new());
            lines.push(format!(
                "{}: {}",
                visible(account["account"].as_str().unwrap_or_default()),
                text("cause", "en")
            ));
            lines.push(format!("    {}", text("fix", "en")));
            lines.push(format!("    {}", text("cause", "zh")));
            lines.push(format!("    {}", text("fix", "zh")));
            let ips = list(error, "ips_to_allow").iter();
            let ips: Vec<_> = ips.filter_map(Value::as_str).collect();
            if !ips.is_empty() {
                lines.push(format!("    IP: {}", ips.join(", ")));
            }
        }
    }
    if let Some(refused) = report["configuration"]["refused"].as_object() {
        lines.push(String::new());
        let count = number(&refused["count"]);
        let counted = counted(count, "problem");
        lines.push(format!(
            "configuration: a reload was refused, {counted} · 重新加载被拒绝，{count} 处问题"
        ));
    }
    lines
}

fn row(account: &Value, now: u64) -> [String; 6] {
    let until = account["served_until"].as_u64();
    let error = errors(account).next();
    let error = error.map_or_else(String::new, |error| {
        let since = span(now.saturating_sub(error["since"].as_u64().unwrap_or(now)));
        let what = match error["errcode"].as_i64() {
            Some(code) => code.to_string(),
            None => error["class"].as_str().unwrap_or_default().to_owned(),
        };
        format!("{what} for {since}")
    });
    [
        visible(account["account"].as_str().unwrap_or_default()),
        visible(account["state"].as_str().unwrap_or_default()),
        until.map_or_else(|| "-".into(), |until| UnixTime(until).utc()),
        until.map_or_else(|| "-".into(), |until| span(until.saturating_sub(now))),
        calls(account),
        error,
    ]
}

/// Returns the failures, each once: a ticket's failure may be its token's.
fn errors(account: &Value) -> impl Iterator<Item = &Value> {
    list(account, "credentials")
        .iter()
        .filter(|one| one["error"]["kind"] == one["kind"])
        .map(|one| &one["error"])
}

/// Returns today's calls against the quotas, each endpoint once.
fn calls(account: &Value) -> String {
    let mut known = Vec::new();
    let mut texts = Vec::new();
    for one in list(account, "credentials") {
        let Some(calls) = one["calls_today"].as_u64() else {
            continue;
        };
        if known.contains(&&one["endpoint"]) {
            continue;
        }
        known.push(&one["endpoint"]);
        let kind = one["kind"].as_str().unwrap_or_default();
        texts.push(match one["daily_quota"].as_u64() {
            Some(quota) => format!("{kind} {calls}/{quota}"),
            None => format!("{kind} {calls}"),
        });
    }
    texts.join(", ")
}

/// Aligns the columns.
fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let line = |row: &[String; N]| {
        let cells = row.iter().enumerate();
        let cells = cells.map(|(column, cell)| format!("{cell:0$}", width(column).unwrap_or(0)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Removes what could move a terminal's cursor.
fn visible(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn span(seconds: u64) -> String {
    match (
        seconds / 86_400,
        seconds % 86_400 / 3_600,
        seconds % 3_600 / 60,
    ) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m{}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h{minutes}m"),
        (days, hours, _) => format!("{days}d{hours}h"),
    }
}

/// How often `--watch` shows it again.
const EVERY: Duration = Duration::from_secs(2);

/// Clears the terminal and puts the cursor at its top.
const CLEAR: &str = "\x1b[2J\x1b[H";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_table_has_what_an_operator_needs_and_no_control_characters() {
        let report = json!({
            "now": 1_767_225_600, "node": "node-a\u{1b}[2J", "version": "0.1.0", "uptime": 3_700,
            "store": { "kind": "redis", "reachable": false, "error": "redis://h\u{1b}: refused" }, "matching": 3,
            "summary": { "accounts": 3, "down": 1, "degraded": 0, "starting": 0, "ok": 2 },
            "configuration": { "refused": { "count": 1 } },
            "readiness": { "ready": false, "cause": { "en": "not read", "zh": "尚未读到" } },
            "accounts": [
                { "account": "shop", "state": "down", "served_until": null, "credentials": [
                    { "kind": "access_token", "endpoint": "/t", "calls_today": 7, "daily_quota": 2_000, "error": {
                        "kind": "access_token", "errcode": 40_164, "class": "setup", "since": 1_767_225_480,
                        "cause": { "en": "The IP is not allowed.", "zh": "IP 不在白名单。" },
                        "fix": { "en": "Allow it.", "zh": "请加入。" }, "ips_to_allow": ["203.0.113.7"] } },
                    { "kind": "jsapi_ticket", "endpoint": "/k", "calls_today": null, "error": { "kind": "access_token" } }] },
                { "account": "blog", "state": "ok", "served_until": 1_767_229_200, "credentials": [] },
            ],
        });
        let text = lines(&report).join("\n");
        assert!(!text.contains('\u{1b}'), "{text}");
        for part in [
            "up 1h1m  store redis, unreachable",
            "3 accounts: 1 down, 0 degraded, 0 starting, 2 ok",
            "store: redis://h",
            "not ready, /readyz answers 503: not read · 尚未读到",
            "shop     down    -                     -     access_token 7/2000  40164 for 2m0s",
            "blog     ok      2026-01-01T01:00:00Z  1h0m",
            "and 1 more",
            "IP: 203.0.113.7",
            "IP 不在白名单。",
            "a reload was refused, 1 problem ·",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert_eq!(text.matches("is not allowed").count(), 1, "{text}");
    }
}
