//! The words of a message, in one language.

use serde_json::{Value, json};

use super::incidents::{Cause, Detail, Event, Finding, Notice, Severity};
use crate::clock::UnixTime;
use crate::server::pages::Lang;
use crate::server::status::format::{served_except, span};

impl Detail {
    /// Returns the explanation of findings that have the same cause: that of the first, with the kinds and the
    /// IPs of all.
    pub(super) fn of_all(findings: &[&Finding]) -> Option<Self> {
        let details = findings.iter().map(|it| &it.detail);
        let ips = distinct(details.clone().flat_map(|detail| &detail.ips));
        let down_kinds = distinct(details.flat_map(|detail| &detail.down_kinds));
        let is_fixed = findings.iter().all(|it| it.detail.ips.len() < 2);
        let first = findings.first()?.detail.clone();
        let advice = first.advice;
        Some(Self {
            advice: advice.map(|(cause, fix)| (cause, fix.with_ips(&ips, is_fixed))),
            ips,
            down_kinds,
            ..first
        })
    }
}

/// Returns each value once, in the order of their first occurrence.
fn distinct<'t, T: Copy + PartialEq + 't>(all: impl Iterator<Item = &'t T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for one in all {
        if !distinct.contains(one) {
            distinct.push(*one);
        }
    }
    distinct
}

impl Notice {
    /// Returns the name of the event, for programs.
    pub(super) fn event_name(&self) -> &'static str {
        match (&self.event, &self.cause) {
            (Event::Test, _) => "test",
            (Event::Recovered, _) => "recovered",
            (_, Cause::Reload(_)) => "reload_refused",
            (_, Cause::Certificate) => "certificate",
            (Event::Problem(Severity::Down), _) => "down",
            (Event::Problem(Severity::PartlyDown), _) => "partly_down",
            (Event::Problem(Severity::Failing), Cause::Ip(_)) => "ip_not_allowed",
            (Event::Problem(Severity::Failing), _) => "failing",
        }
    }

    /// Returns the first line. It begins with the name of the program, which a robot may require as keyword.
    pub(super) fn title(&self, lang: Lang) -> String {
        let (count, names) = (self.count, self.names.join(lang.t(", ", "、")));
        let accounts = if count == 1 { "account" } else { "accounts" };
        let (en, zh) = match (&self.event, &self.cause) {
            (Event::Test, _) => (
                "test message: this webhook works".to_owned(),
                "测试消息：该 webhook 可用".to_owned(),
            ),
            (Event::Recovered, Cause::Certificate) => (
                format!("certificate replaced ({names})"),
                format!("证书已更新（{names}）"),
            ),
            (Event::Recovered, Cause::Reload(_)) => {
                ("new configuration applied".into(), "新配置已生效".into())
            }
            (Event::Recovered, _) => (
                format!("recovered: {count} {accounts}"),
                format!("已恢复：{count} 个账号"),
            ),
            (Event::Problem(_), Cause::Reload(_)) => (
                "new configuration refused, the previous one stays in use".into(),
                "新配置有误，已拒绝，继续使用原配置".into(),
            ),
            (Event::Problem(Severity::Down), Cause::Certificate) => (
                format!("certificate expired ({names})"),
                format!("证书已过期（{names}）"),
            ),
            (Event::Problem(_), Cause::Certificate) => (
                format!("certificate expires soon ({names})"),
                format!("证书即将到期（{names}）"),
            ),
            (Event::Problem(Severity::Down), Cause::Ip(_)) => (
                format!("down: {count} {accounts}, this server's IP is not allowed"),
                format!("不可用：{count} 个账号，服务器 IP 不在白名单"),
            ),
            (Event::Problem(Severity::Down), _) => (
                format!("down: {count} {accounts}"),
                format!("不可用：{count} 个账号"),
            ),
            (Event::Problem(Severity::PartlyDown), _) => (
                format!(
                    "partly down: {count} {accounts}, still {}",
                    served_except(&self.detail.down_kinds, Lang::En)
                ),
                format!(
                    "部分不可用：{count} 个账号，{}",
                    served_except(&self.detail.down_kinds, Lang::Zh)
                ),
            ),
            (Event::Problem(Severity::Failing), Cause::Ip(_)) => (
                format!("this server's IP is not allowed: {count} {accounts}, still served"),
                format!("服务器 IP 不在白名单：影响 {count} 个账号，目前仍可用"),
            ),
            (Event::Problem(Severity::Failing), Cause::Quota(_)) => (
                format!("WeChat's quota is exhausted: {count} {accounts}, still served"),
                format!("微信接口额度已用完：影响 {count} 个账号，目前仍可用"),
            ),
            (Event::Problem(Severity::Failing), _) => (
                format!("refresh refused, a person must act: {count} {accounts}, still served"),
                format!("刷新被拒绝，需要人工处理：{count} 个账号，目前仍可用"),
            ),
        };
        match lang {
            Lang::En => format!("wx-jssdk: {en}"),
            Lang::Zh => format!("wx-jssdk：{zh}"),
        }
    }

    /// Returns the whole message, line by line.
    pub(super) fn text(&self, lang: Lang, node: &str) -> String {
        let mut lines = vec![self.title(lang)];
        let mut line = |en: &str, zh: &str, value: String| {
            lines.push(match lang {
                Lang::En => format!("{en}: {value}"),
                Lang::Zh => format!("{zh}：{value}"),
            });
        };
        line("Node", "节点", node.to_owned());
        match self.cause {
            _ if self.event == Event::Test => {}
            Cause::Certificate => {}
            Cause::Reload(_) if self.event == Event::Recovered => {}
            Cause::Reload(_) => line(
                "Settings",
                "有误的配置项",
                listed(&self.names, self.count, lang),
            ),
            _ => line("Accounts", "账号", listed(&self.names, self.count, lang)),
        }
        if let Some(served_for) = self.served_for {
            line("Served for", "至少还可用", span(served_for.as_secs(), lang));
        }
        if let Some((cause, fix)) = &self.detail.advice {
            let code = self.detail.errcode;
            let code = code.map(|code| match lang {
                Lang::En => format!(" ({code})"),
                Lang::Zh => format!("（{code}）"),
            });
            let code = code.unwrap_or_default();
            line(
                "Cause",
                "原因",
                format!("{}{code}", lang.t(&cause.en, &cause.zh)),
            );
            line("Fix", "处理", lang.t(&fix.en, &fix.zh).to_owned());
        }
        if self.event == Event::Recovered && self.cause.is_of_accounts() {
            line("Lasted", "持续", span(self.lasted.as_secs(), lang));
        }
        let time = match lang {
            Lang::En => self.at.utc(),
            Lang::Zh => in_shanghai(self.at),
        };
        line("Time", "时间", time);
        lines.join("\n")
    }

    /// Returns the message for programs.
    pub(super) fn json(&self, lang: Lang, node: &str) -> Value {
        let advice = self.detail.advice.as_ref();
        json!({
            "event": self.event_name(),
            "title": self.title(lang),
            "text": self.text(lang, node),
            "count": self.count,
            "subjects": self.names,
            "errcode": self.detail.errcode,
            "cause": advice.map(|(cause, _)| cause),
            "fix": advice.map(|(_, fix)| fix),
            "ips_to_allow": self.detail.ips.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "served_for": self.served_for.map(|left| left.as_secs()),
            "lasted": self.lasted.as_secs(),
            "at": self.at,
        })
    }
}

/// Formats the time for a reader in China: `2026-11-30 09:57:39（北京时间）`.
fn in_shanghai(at: UnixTime) -> String {
    let local = UnixTime(at.0 + 8 * 3_600).utc();
    format!(
        "{}（北京时间）",
        local.replace('T', " ").trim_end_matches('Z')
    )
}

fn listed(names: &[String], count: usize, lang: Lang) -> String {
    let list = names.join(lang.t(", ", "、"));
    match (count > names.len(), lang) {
        (false, _) => list,
        (true, Lang::En) => format!("{list} and {} more", count - names.len()),
        (true, Lang::Zh) => format!("{list} 等 {count} 个"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::Text;
    use crate::server::notify::incidents::Console;

    #[test]
    fn a_title_lists_certificates_with_the_comma_of_its_language() {
        let notice = Notice {
            event: Event::Recovered,
            cause: Cause::Certificate,
            count: 2,
            names: vec!["server.tls".to_owned(), "server.admin_tls".to_owned()],
            served_for: None,
            detail: Detail::default(),
            lasted: Duration::ZERO,
            at: UnixTime(0),
        };
        assert_eq!(
            [Lang::En, Lang::Zh].map(|lang| notice.title(lang)),
            [
                "wx-jssdk: certificate replaced (server.tls, server.admin_tls)",
                "wx-jssdk：证书已更新（server.tls、server.admin_tls）",
            ]
        );
    }

    #[test]
    fn a_message_about_several_accounts_names_the_ips_of_all() {
        let findings = ["203.0.113.7", "203.0.113.8", "203.0.113.7"].map(|ip| Finding {
            subject: ip.to_owned(),
            cause: Cause::Ip(Console::Weixin),
            severity: Severity::Failing,
            signs_pages: true,
            served_for: Some(Duration::from_secs(60)),
            detail: Detail {
                ips: vec![ip.parse().unwrap()],
                advice: Some((Text::new("No", "否"), Text::new("Add it.", "请加入。"))),
                ..Detail::default()
            },
        });
        let fix = |findings: &[&Finding]| {
            let detail = Detail::of_all(findings).unwrap();
            detail.advice.unwrap().1
        };
        let all: Vec<_> = findings.iter().collect();
        let all = fix(&all);
        assert_eq!(all.en, "Add it. The IPs to allow: 203.0.113.7, 203.0.113.8");
        assert_eq!(all.zh, "请加入。需要加入的 IP：203.0.113.7、203.0.113.8");
        let one = fix(&[&findings[0]]);
        assert_eq!(one.en, "Add it. The IP to allow: 203.0.113.7");
    }

    #[test]
    fn a_chinese_message_has_the_time_of_china() {
        let text = in_shanghai(UnixTime(1_796_003_859));
        assert_eq!(text, "2026-11-30 09:57:39（北京时间）");
    }
}
