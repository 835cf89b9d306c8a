//! The links of the status page to itself: filters, the longer page, the pages before and after.

use super::Live;
use crate::server::status::query::{LONG_PAGE, Query};

impl Live<'_> {
    /// Returns a link to the page with another state filter.
    pub(super) fn state_link(&self, state: &str) -> String {
        Query {
            lang: self.query.lang.clone(),
            q: self.query.q.clone(),
            state: state.to_owned(),
            ..Query::default()
        }
        .address()
    }

    /// Returns a link to the longer page, and how many more accounts it shows.
    pub(super) fn more(&self) -> Option<(String, usize)> {
        let shown = self.accounts().len();
        let longer = self.report.matching.min(LONG_PAGE).saturating_sub(shown);
        let is_first = self.report.offset == 0 && self.report.limit < LONG_PAGE;
        let query = || Query {
            limit: Some(LONG_PAGE),
            ..self.query.clone()
        };
        (is_first && longer > 0).then(|| (query().address(), longer))
    }

    /// Returns a link to this page with another offset or, unless it is empty, another language.
    pub(super) fn link(&self, lang: &str, offset: &usize) -> String {
        let mut query = Query {
            offset: *offset,
            ..self.query.clone()
        };
        if !lang.is_empty() {
            query.lang = Some(lang.to_owned());
        }
        query.address()
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
