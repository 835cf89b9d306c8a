//! The first sentence of the status page: is it fine, how many, and when is the next try.

use super::report::Report;
use crate::clock::UnixTime;
use crate::server::pages::Lang;

/// The state of all accounts in one word, with the times that belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    NoAccount,
    Ok,
    Starting,
    /// Some refreshes fail; each account is still served, though perhaps without one of its credentials.
    Retrying {
        served_until: Option<UnixTime>,
        is_partly_down: bool,
    },
    /// Some accounts are not served.
    Down {
        since: Option<UnixTime>,
        stops_pages: bool,
    },
}

impl Verdict {
    pub(super) fn of(report: &Report) -> Self {
        let counts = &report.summary;
        if counts.accounts == 0 {
            return Self::NoAccount;
        }
        if counts.down > 0 {
            let incidents = &report.incidents;
            return Self::Down {
                since: incidents.iter().filter_map(|one| one.down_since).min(),
                stops_pages: incidents.iter().any(|one| one.stops_pages),
            };
        }
        if counts.degraded > 0 {
            let mut incidents = report.incidents.iter();
            return Self::Retrying {
                served_until: report.overview.served_until,
                is_partly_down: incidents.any(|one| !one.down_kinds.is_empty()),
            };
        }
        if counts.starting > 0 {
            return Self::Starting;
        }
        Self::Ok
    }

    /// Returns the state for the script and for tests.
    pub(super) fn state(self) -> &'static str {
        match self {
            Self::NoAccount => "none",
            Self::Ok => "ok",
            Self::Starting => "starting",
            Self::Retrying { .. } => "degraded",
            Self::Down { .. } => "down",
        }
    }

    /// Returns the number of accounts that the verdict is about.
    pub(super) fn affected(self, report: &Report) -> usize {
        let counts = &report.summary;
        match self {
            Self::NoAccount | Self::Ok => 0,
            Self::Starting => counts.starting,
            Self::Retrying { .. } => counts.degraded,
            Self::Down { .. } => counts.down,
        }
    }

    /// Returns the title; a time follows it if the verdict has one, then the second text.
    pub(super) fn title(
        self,
        lang: Lang,
        accounts: usize,
    ) -> (String, Option<UnixTime>, &'static str) {
        let text = |en, zh| (lang.t(en, zh).to_owned(), None, "");
        match self {
            Self::NoAccount => text("No account is configured", "尚未配置账号"),
            Self::Ok if accounts == 1 => text("The account is healthy", "账号正常"),
            Self::Ok => {
                let title = match lang {
                    Lang::En => format!("All {accounts} accounts healthy"),
                    Lang::Zh => format!("{accounts} 个账号全部正常"),
                };
                (title, None, "")
            }
            Self::Starting => text("Fetching the first credentials", "正在获取首批凭证"),
            Self::Retrying {
                is_partly_down: true,
                ..
            } => text(
                "Partly down: not every credential is served",
                "部分凭证不可用",
            ),
            Self::Retrying { .. } => text("Still served, but refreshes fail", "仍可用，但刷新失败"),
            Self::Down { since: None, .. } => text("Not served", "不可用"),
            Self::Down {
                since,
                stops_pages: true,
            } => {
                let title = lang.t("Page signing down since ", "页面签名自 ");
                (title.to_owned(), since, lang.t("", " 起不可用"))
            }
            Self::Down { since, .. } => {
                let title = lang.t("No token since ", "自 ");
                (title.to_owned(), since, lang.t("", " 起没有可用的 token"))
            }
        }
    }
}
