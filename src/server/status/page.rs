//! The status page: renders the report in one language. The part that changes with time is a template of its
//! own, which the script fetches again.

use askama::Template;

use super::chart::{Chart, HEIGHT, LINE, WIDTH};
use super::format;
use super::query::{Query, State};
use super::report::{AccountReport, CredentialReport, RefreshReport, Report};
use crate::clock::UnixTime;
use crate::error::EGRESS_IS_NOT_FIXED;
use crate::error::Text;
use crate::server::pages::Lang;

/// The part that changes: summary, facts, accounts.
#[derive(Template)]
#[template(path = "status-live.html")]
pub(super) struct Live<'a> {
    lang: Lang,
    report: &'a Report,
    query: &'a Query,
}

/// The page around the live part.
#[derive(Template)]
#[template(path = "status.html")]
struct Whole<'a> {
    lang: Lang,
    live: &'a Live<'a>,
}

impl<'a> Live<'a> {
    pub(super) fn new(lang: Lang, report: &'a Report, query: &'a Query) -> Self {
        Self {
            lang,
            report,
            query,
        }
    }

    pub(super) fn only(&self) -> askama::Result<String> {
        self.render()
    }

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

    fn past(&self, at: &UnixTime) -> String {
        format::span(self.report.now.since(*at).as_secs(), self.lang)
    }

    fn is_past(&self, at: &UnixTime) -> bool {
        *at <= self.report.now
    }

    fn time(&self, at: &UnixTime) -> String {
        format::time_of_day(*at)
    }

    fn number(&self, number: &u64) -> String {
        format::thousands(*number)
    }

    fn accounts(&self) -> &[AccountReport] {
        self.report.accounts.as_deref().unwrap_or_default()
    }

    /// Returns the worst state of all accounts.
    fn worst(&self) -> &'static str {
        let counts = &self.report.summary;
        match () {
            () if counts.accounts == 0 => "none",
            () if counts.down > 0 => "down",
            () if counts.degraded > 0 => "degraded",
            () if counts.starting > 0 => "starting",
            () => "ok",
        }
    }

    /// Returns whether the accounts have different states, so that the verdict alone does not say it all.
    fn is_mixed(&self) -> bool {
        let counts = &self.report.summary;
        let states = [counts.down, counts.degraded, counts.starting, counts.ok];
        states.iter().filter(|count| **count > 0).count() > 1
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
            _ => self.lang.t("WeCom", "企业微信"),
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
            "memory" => self
                .lang
                .t("memory (lost at a restart)", "内存（重启后丢失）"),
            "file" => self.lang.t("file", "文件"),
            _ => self.lang.t("Redis, shared", "Redis（共享）"),
        }
    }

    fn chart(&self, credential: &CredentialReport) -> Option<Chart> {
        Chart::of(&credential.history, self.report.now)
    }

    fn chart_label(&self, chart: &Chart) -> String {
        let reach = self.span(&chart.reach);
        match self.lang {
            Lang::En => format!(
                "The last {reach}: {} refreshed, {} failed",
                chart.came, chart.failed
            ),
            Lang::Zh => format!(
                "最近 {reach}：成功 {} 次，失败 {} 次",
                chart.came, chart.failed
            ),
        }
    }

    /// Returns the remaining lifetime in percent.
    fn hundredths_left(&self, credential: &CredentialReport) -> u64 {
        let life = credential
            .age
            .zip(credential.remaining)
            .map(|(age, left)| (left * 100).checked_div(age + left).unwrap_or(0));
        life.unwrap_or(0)
    }

    /// Returns whether an account's details are open at first: if it has a failure, or if there are few
    /// accounts.
    fn is_open(&self, account: &AccountReport) -> bool {
        matches!(account.state, "degraded" | "down") || self.accounts().len() <= FEW
    }

    /// Returns the earliest next refresh of the account's credentials.
    fn next_refresh(&self, account: &AccountReport) -> Option<UnixTime> {
        account
            .credentials
            .iter()
            .filter_map(|credential| credential.next_refresh)
            .min()
    }

    /// Returns the plural that fits the count; only English has two forms.
    fn tries(&self, count: &u32) -> &'static str {
        self.lang
            .t(if *count == 1 { " try" } else { " tries" }, " 次")
    }

    /// Returns the options of the state filter: value, label, whether it is selected.
    fn states(&self) -> [(&'static str, &'static str, bool); 5] {
        State::ALL.map(|state| {
            let label = if state == State::Degraded {
                self.lang.t("Retrying or down", "重试中或不可用")
            } else {
                self.state(state.as_str())
            };
            (state.as_str(), label, state == self.query.state)
        })
    }

    fn is_filtered(&self) -> bool {
        !self.query.q.is_empty() || self.query.state != State::All || self.query.account.is_some()
    }

    /// Returns a link to this page with another offset or language.
    fn link(&self, lang: &str, offset: &usize) -> String {
        let offset = (*offset > 0).then(|| offset.to_string());
        let pairs = [
            (
                "lang",
                Some(lang.to_owned())
                    .filter(|lang| !lang.is_empty())
                    .or_else(|| self.query.lang.clone()),
            ),
            ("q", Some(self.query.q.clone()).filter(|q| !q.is_empty())),
            (
                "state",
                Some(self.query.state.as_str().to_owned()).filter(|state| !state.is_empty()),
            ),
            ("account", self.query.account.clone()),
            ("limit", self.query.limit.map(|limit| limit.to_string())),
            ("offset", offset),
        ];
        let pairs: Vec<_> = pairs
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        format!(
            "status?{}",
            serde_urlencoded::to_string(pairs).unwrap_or_default()
        )
    }

    /// Returns the offset of the previous page, if any.
    fn before(&self) -> Option<usize> {
        (self.report.offset > 0).then(|| self.report.offset.saturating_sub(self.report.limit))
    }

    /// Returns the offset of the next page, if any.
    fn after(&self) -> Option<usize> {
        let next = self.report.offset.saturating_add(self.report.limit);
        (next < self.report.matching).then_some(next)
    }
}

/// With at most this many accounts, all details are open.
const FEW: usize = 4;
