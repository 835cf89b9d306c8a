//! The status page: renders the report in one language. The part that changes with time is a template of its
//! own, which the script fetches again.

mod links;

use std::borrow::Borrow;

use askama::Template;

use super::account_report::{
    AccountReport, CredentialReport, ErrorReport, IncidentReport, RefreshReport,
};
use super::format;
use super::hours_strip;
use super::query::Query;
use super::report::Report;
use super::verdict::Verdict;
use crate::clock::UnixTime;
use crate::credential::Kind;
use crate::error::{CallAuth, EGRESS_IS_NOT_FIXED, System, Text};
use crate::server::pages::Lang;

/// The part that changes: verdict, incidents, accounts, the system.
#[derive(Template)]
#[template(path = "status-live.html")]
pub(super) struct Live<'a> {
    pub(super) lang: Lang,
    pub(super) report: &'a Report,
    pub(super) query: &'a Query,
    /// This listener's own address, for commands to copy.
    pub(super) origin: String,
}

/// The page around the live part.
#[derive(Template)]
#[template(path = "status.html")]
struct Whole<'a> {
    lang: Lang,
    live: &'a Live<'a>,
}

impl Live<'_> {
    /// Renders the page around it.
    pub(super) fn whole(&self) -> askama::Result<String> {
        Whole {
            lang: self.lang,
            live: self,
        }
        .render()
    }

    fn both<'s>(&self, both: &'s Text) -> &'s str {
        self.lang.t(&both.en, &both.zh)
    }

    fn span(&self, seconds: &u64) -> String {
        format::span(*seconds, self.lang)
    }

    fn left(&self, at: &UnixTime) -> String {
        format::span(at.since(self.report.now).as_secs(), self.lang)
    }

    fn in_time(&self, at: &UnixTime) -> String {
        format::in_time(at.since(self.report.now).as_secs(), self.lang)
    }

    fn past(&self, at: &UnixTime) -> String {
        format::span(self.report.now.since(*at).as_secs(), self.lang)
    }

    fn is_past(&self, at: &UnixTime) -> bool {
        *at <= self.report.now
    }

    fn time(&self, at: &UnixTime) -> String {
        format::time_of_day(*at)
    }

    fn exact_time(&self, at: &UnixTime) -> String {
        format::time_with_seconds(*at)
    }

    /// Whether an account had a value that ended.
    fn has_expired(&self, account: &AccountReport) -> bool {
        account
            .primary()
            .is_some_and(|primary| primary.expires_at.is_some())
    }

    fn count(&self, number: impl Borrow<usize>) -> String {
        format::thousands(*number.borrow() as u64)
    }

    fn number(&self, number: &u64) -> String {
        format::thousands(*number)
    }

    fn accounts(&self) -> &[AccountReport] {
        self.report.accounts.as_deref().unwrap_or_default()
    }

    fn title(&self, verdict: &Verdict) -> (String, Option<UnixTime>, &'static str) {
        verdict.title(self.lang, self.report.summary.accounts)
    }

    fn verdict(&self) -> Verdict {
        Verdict::of(self.report)
    }

    /// Returns the name of the only account that the verdict is about, if it is known.
    fn only_affected(&self, verdict: &Verdict) -> Option<&str> {
        let incidents = self.report.incidents.iter().flat_map(|one| &one.accounts);
        let mut failing = incidents
            .chain(self.accounts())
            .filter(|account| account.state == verdict.state());
        let only = failing.next().filter(|_| failing.next().is_none());
        let only = only.filter(|_| verdict.affected(self.report) == 1);
        only.map(|account| account.account.as_str())
    }

    /// Returns the states that occur, worst first: name, number of accounts, value of the filter.
    fn tally(&self) -> Vec<(&'static str, usize, &'static str)> {
        let counts = &self.report.summary;
        let mut states = vec![
            ("down", counts.down, "down"),
            ("degraded", counts.degraded, "retrying"),
            ("starting", counts.starting, "starting"),
            ("ok", counts.ok, "ok"),
        ];
        states.retain(|(_, count, _)| *count > 0);
        states
    }

    /// Returns the shape and colour of a state.
    fn tone(&self, state: &str) -> &'static str {
        match state {
            "ok" => "ok",
            "degraded" => "warn",
            "down" => "bad",
            _ => "none",
        }
    }

    fn state(&self, state: &str) -> &'static str {
        match state {
            "ok" => self.lang.t("Healthy", "正常"),
            "starting" => self.lang.t("Starting", "启动中"),
            "degraded" => self.lang.t("Retrying", "重试中"),
            "down" => self.lang.t("Down", "不可用"),
            _ => self.lang.t("All", "全部"),
        }
    }

    fn egress(&self) -> &'static str {
        self.lang
            .t(&EGRESS_IS_NOT_FIXED.en, &EGRESS_IS_NOT_FIXED.zh)
    }

    fn platform(&self, platform: &str) -> &'static str {
        match platform {
            "official" => self.lang.t("Official account", "公众号"),
            "mini" => self.lang.t("Mini program", "小程序"),
            "component" => self.lang.t("Open platform", "第三方平台"),
            "unknown" => self.lang.t("Type unknown", "类型未知"),
            _ => self.lang.t("WeCom", "企业微信"),
        }
    }

    fn source(&self, source: &str) -> &'static str {
        match source {
            "api" => self.lang.t("Added by the admin API.", "由管理接口添加。"),
            "platform" => self
                .lang
                .t("Authorised an open platform.", "授权给第三方平台的账号。"),
            _ => self.lang.t("In the configuration.", "来自配置文件。"),
        }
    }

    fn class(&self, class: &str) -> &'static str {
        match class {
            "setup" => self.lang.t("needs an operator", "需要人工处理"),
            "quota" => self.lang.t("quota exhausted", "调用额度已用尽"),
            "stale_token" => self.lang.t("token rejected", "token 已失效"),
            _ => self.lang.t("temporary failure", "暂时性故障"),
        }
    }

    fn outcome(&self, refresh: &RefreshReport) -> &'static str {
        match refresh.outcome {
            "fetched" => self.lang.t("new value", "获得新值"),
            "repeated" => self.lang.t("same value", "值未变化"),
            "from_store" => self.lang.t("from the store", "取自存储"),
            class => self.class(class),
        }
    }

    fn store(&self) -> &'static str {
        match self.report.store.kind {
            "memory" => self.lang.t("Memory", "内存"),
            "file" => self.lang.t("File", "文件"),
            "sql" => self.lang.t("Database", "数据库"),
            "redis" => "Redis",
            kind => kind,
        }
    }

    fn strip(&self, account: &AccountReport) -> Vec<(&'static str, String)> {
        hours_strip::paths(&account.hours)
    }

    fn strip_label(&self, account: &AccountReport) -> String {
        hours_strip::label(&account.hours, self.lang)
    }

    /// Summarises a credential's history: "12 succeeded, 1 failed".
    fn history(&self, credential: &CredentialReport) -> String {
        let count = |failed| -> u64 {
            let entries = credential.history.iter();
            entries
                .filter(|one| one.failed == failed)
                .map(|one| one.times)
                .sum()
        };
        match (self.lang, count(false), count(true)) {
            (Lang::En, came, 0) => format!("{came} succeeded"),
            (Lang::Zh, came, 0) => format!("成功 {came} 次"),
            (Lang::En, came, failed) => format!("{came} succeeded, {failed} failed"),
            (Lang::Zh, came, failed) => format!("成功 {came} 次，失败 {failed} 次"),
        }
    }

    /// Returns whether a row is open at first: that of the only account, if it fails.
    fn is_open(&self, account: &AccountReport) -> bool {
        self.report.summary.accounts == 1 && account.state != "ok"
    }

    /// Says what an incident means for the accounts that it affects worst: text before their names, each name
    /// with what follows it, text after them.
    fn named<'i>(
        &self,
        incident: &'i IncidentReport,
    ) -> (String, Vec<(&'i str, &'static str)>, String) {
        let accounts = &incident.accounts[..incident.worst.min(incident.accounts.len())];
        let names = accounts.iter().take(NAMED);
        let names: Vec<_> = names.map(|account| account.account.as_str()).collect();
        let (count, more) = (names.len(), incident.worst.saturating_sub(names.len()));
        let names = names.into_iter().enumerate().map(|(at, name)| {
            let comma = match count - at {
                1 => "",
                2 if more == 0 => self.lang.t(" and ", "、"),
                _ => self.lang.t(", ", "、"),
            };
            (name, comma)
        });
        let signing = accounts.iter();
        let signing = signing.filter(|account| account.primary == Some(Kind::JsapiTicket));
        let (before, after) = match (incident.is_down, signing.count()) {
            (true, signing) if signing == accounts.len() => (
                self.lang.t("Pages of ", "").to_owned(),
                self.lang
                    .t(" are not signed.", " 的页面无法签名。")
                    .to_owned(),
            ),
            (true, 0) => (
                self.lang.t("No token for ", "").to_owned(),
                self.lang.t(".", " 没有可用的 token。").to_owned(),
            ),
            (true, _) => (
                self.lang.t("Not served: ", "").to_owned(),
                self.lang.t(".", " 不可用。").to_owned(),
            ),
            (false, _) => self.still_served(&incident.down_kinds),
        };
        let mut after = match (more, self.lang) {
            (0, _) => after,
            (more, Lang::En) => format!(" and {more} more{after}"),
            (_, Lang::Zh) => format!(" 等 {} 个账号{}", incident.worst, after.trim_start()),
        };
        let rest = incident.count.saturating_sub(incident.worst);
        let except = format::served_except(&incident.down_kinds, self.lang);
        after += &match (rest, self.lang) {
            (rest, _) if rest == 0 || !incident.is_down => String::new(),
            (1, Lang::En) => format!(" The other account is still {except}."),
            (rest, Lang::En) => format!(" The other {rest} accounts are still {except}."),
            (rest, Lang::Zh) => format!("其余 {rest} 个账号{except}。"),
        };
        (before, names.collect(), after)
    }

    /// Says that accounts are served, except these kinds: text before their names, text after them.
    fn still_served(&self, down_kinds: &[Kind]) -> (String, String) {
        let except = format::served_except(down_kinds, self.lang);
        match (self.lang, down_kinds.is_empty()) {
            (Lang::En, true) => (
                "Still served: ".to_owned(),
                ". Refreshes fail until this is fixed.".to_owned(),
            ),
            (Lang::Zh, true) => (
                String::new(),
                " 目前仍可用；处理之前，刷新会一直失败。".to_owned(),
            ),
            (Lang::En, false) => (format!("Still {except}: "), ".".to_owned()),
            (Lang::Zh, false) => (String::new(), format!(" {except}。")),
        }
    }

    /// Returns the accounts that "Retry now" refreshes, for the script: `main shop`.
    fn retried(&self, incident: &IncidentReport) -> String {
        let accounts = incident.accounts.iter();
        let names: Vec<_> = accounts.map(|account| account.account.as_str()).collect();
        names.join(" ")
    }

    fn retry_label(&self, incident: &IncidentReport) -> String {
        let shown = incident.accounts.len();
        match (self.lang, shown) {
            (lang, 0 | 1) => lang.t("Retry now", "立即重试").to_owned(),
            (Lang::En, 2) if incident.count == 2 => "Retry both now".to_owned(),
            (Lang::En, _) if shown < incident.count => format!("Retry the first {shown} now"),
            (Lang::En, _) => format!("Retry all {shown} now"),
            (Lang::Zh, _) if shown < incident.count => format!("立即重试前 {shown} 个账号"),
            (Lang::Zh, _) => format!("立即重试这 {shown} 个账号"),
        }
    }

    /// Returns until when the first of an incident's accounts that are still served is served.
    fn served_until(&self, incident: &IncidentReport) -> Option<UnixTime> {
        let accounts = incident.accounts.iter();
        accounts.filter_map(|account| account.served_until).min()
    }

    /// Returns the credential that failed, if the incident has one account. The rows below the card tell those
    /// of several.
    fn failed_credential<'i>(&self, incident: &'i IncidentReport) -> Option<&'i CredentialReport> {
        let account = incident.accounts.first().filter(|_| incident.count == 1)?;
        let mut credentials = account.credentials.iter();
        credentials.find(|one| one.kind == incident.error.kind)
    }

    /// Whether an incident is WeChat's daily quota of token calls, which the console resets.
    fn is_daily_quota(&self, incident: &IncidentReport) -> bool {
        incident.error.class == "quota"
            && incident.error.errcode == Some(45_009)
            && matches!(incident.system, System::Weixin)
            && incident.auth != CallAuth::WithComponentToken
    }

    /// Returns the console in which an operator fixes an incident: link and label.
    fn console(&self, incident: &IncidentReport) -> Option<(&'static str, &'static str)> {
        let needs_console =
            incident.error.errcode.is_some() && matches!(incident.error.class, "setup" | "quota");
        let is_of_platform = matches!(
            incident.auth,
            CallAuth::WithPushedTicket | CallAuth::WithComponentToken
        );
        needs_console.then(|| match incident.system {
            System::Weixin if is_of_platform => (
                PLATFORM_CONSOLE,
                self.lang.t("Open WeChat open platform", "打开微信开放平台"),
            ),
            System::Weixin => (
                WEIXIN_CONSOLE,
                self.lang.t("Open WeChat console", "打开微信开发者平台"),
            ),
            System::Qyapi => (
                WECOM_CONSOLE,
                self.lang.t("Open WeCom console", "打开企业微信管理后台"),
            ),
        })
    }

    /// Returns WeChat's errmsg as a JSON string.
    fn json_string(&self, text: &str) -> String {
        serde_json::to_string(text).unwrap_or_default()
    }

    /// Returns the account's errors, without the one that its incident's card tells.
    fn errors<'e>(
        &self,
        account: &'e AccountReport,
        in_incident: &bool,
    ) -> Vec<(&'e CredentialReport, &'e ErrorReport)> {
        account
            .errors()
            .into_iter()
            .skip(usize::from(*in_incident))
            .collect()
    }

    fn is_searchable(&self) -> bool {
        self.report.summary.accounts >= SEARCHABLE || self.query.is_filtered()
    }

    /// Returns the number of accounts that belong to no incident.
    fn others(&self) -> usize {
        let in_incidents: usize = self.report.incidents.iter().map(|one| one.count).sum();
        self.report.summary.accounts.saturating_sub(in_incidents)
    }
}

/// Number of accounts from which on the list has a search field.
const SEARCHABLE: usize = 10;

/// Number of accounts that an incident names in its first sentence.
const NAMED: usize = 3;

const WEIXIN_CONSOLE: &str = "https://developers.weixin.qq.com/console/";
const PLATFORM_CONSOLE: &str = "https://open.weixin.qq.com/";
const WECOM_CONSOLE: &str = "https://work.weixin.qq.com/wework_admin/frame";
