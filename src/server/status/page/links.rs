//! The links of the status page to itself: filters, the longer page, the pages before and after.

use super::Live;
use crate::server::status::query::{LONG_PAGE, Query};

impl Live<'_> {
    /// Returns a link to the page with another state filter.
    pub(super) fn state_link(&self, state: &str) -> String {
        let lang = self.query.lang.clone().map(|lang| ("lang", lang));
        let q = Some(("q", self.query.q.clone())).filter(|(_, q)| !q.is_empty());
        let state = Some(("state", state.to_owned())).filter(|(_, state)| !state.is_empty());
        address(lang.into_iter().chain(q).chain(state))
    }

    /// Returns a link to the longer page, and how many more accounts it shows.
    pub(super) fn more(&self) -> Option<(String, usize)> {
        let shown = self.accounts().len();
        let longer = self.report.matching.min(LONG_PAGE).saturating_sub(shown);
        let is_first = self.report.offset == 0 && self.report.limit < LONG_PAGE;
        (is_first && longer > 0).then(|| {
            let query = Query {
                limit: Some(LONG_PAGE),
                ..self.query.clone()
            };
            let live = Live {
                query: &query,
                lang: self.lang,
                report: self.report,
                origin: String::new(),
            };
            (live.link("", &0), longer)
        })
    }

    /// Returns a link to this page with another offset or language.
    pub(super) fn link(&self, lang: &str, offset: &usize) -> String {
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
        address(
            pairs
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        )
    }

    /// Returns the offset of the previous page, if any.
    pub(super) fn before(&self) -> Option<usize> {
        (self.report.offset > 0).then(|| self.report.offset.saturating_sub(self.report.limit))
    }

    /// Returns the offset of the next page, if any.
    pub(super) fn after(&self) -> Option<usize> {
        let next = self.report.offset.saturating_add(self.report.limit);
        (next < self.report.matching).then_some(next)
    }
}

fn address(pairs: impl Iterator<Item = (&'static str, String)>) -> String {
    let pairs: Vec<_> = pairs.collect();
    format!(
        "status?{}",
        serde_urlencoded::to_string(pairs).unwrap_or_default()
    )
}
