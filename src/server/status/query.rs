//! The query of the status page: which accounts, how many, and which part of the page.

use serde::{Deserialize, Serialize};

use crate::broker::{Find, Health};
use crate::endpoint::{Problem, query};
use crate::error::{ProblemCode, Text};
use crate::server::ready::is_zero;

/// The query of `/status` and `/status.json`. Serialises to the page's own links.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Query {
    /// For the page's own links.
    pub(super) lang: Option<String>,
    /// Substring of a name or an AppID.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) q: String,
    /// One of [`STATES`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) state: String,
    /// The exact name of an account.
    pub(super) account: Option<String>,
    pub(super) limit: Option<usize>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) offset: usize,
    #[serde(skip_serializing)]
    pub(super) part: Part,
    /// Whether it is the page's own: with incidents, and by default for a page of accounts.
    #[serde(skip)]
    pub(super) of_page: bool,
}

/// `state=`: each value, and the states that it selects.
const STATES: [(&str, &[Health]); 6] = [
    ("", &[]),
    ("degraded", &[Health::Degraded, Health::Down]),
    ("retrying", &[Health::Degraded]),
    ("down", &[Health::Down]),
    ("starting", &[Health::Starting]),
    ("ok", &[Health::Ok]),
];

/// `part=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Part {
    #[default]
    #[serde(rename = "")]
    All,
    /// Only the part of the page that changes.
    Live,
    /// The JSON without accounts; the revision still covers them.
    Summary,
}

impl Query {
    /// Rejects unknown and repeated parameters and invalid values, so that a script does not silently read the wrong
    /// accounts.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        query::check_count(text)?;
        let query: Self = serde_urlencoded::from_str(text).map_err(|_| {
            bad("the query has an unknown or repeated parameter, or a value that is not of its form")
        })?;
        if query.q.chars().count() > LONGEST {
            return Err(bad("q is too long"));
        }
        if query.health().is_none() {
            return Err(bad(
                "state must be one of: degraded, retrying, down, starting, ok",
            ));
        }
        if query.offset > FARTHEST {
            return Err(bad("offset is too large"));
        }
        if query
            .limit
            .is_some_and(|limit| !(1..=MOST).contains(&limit))
        {
            return Err(bad("limit must be a number from 1 to 200"));
        }
        let q = query.q.trim().to_owned();
        Ok(Self { q, ..query })
    }

    /// Returns the query as the page's own, with its default limit if it has none.
    pub(super) fn of_a_page(&self) -> Self {
        Self {
            limit: Some(self.limit.unwrap_or(PAGE)),
            of_page: true,
            ..self.clone()
        }
    }

    /// Returns the page's address with this query.
    pub(super) fn address(&self) -> String {
        let query = serde_urlencoded::to_string(self).unwrap_or_default();
        format!("status?{query}")
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(USUAL)
    }

    /// Returns the states that it selects; `None` if its `state` is unknown.
    fn health(&self) -> Option<&'static [Health]> {
        let mut states = STATES.into_iter();
        states.find_map(|(name, health)| (name == self.state).then_some(health))
    }

    pub(super) fn find(&self) -> Find {
        Find {
            account: self.account.clone(),
            text: self.q.clone(),
            health: self.health().unwrap_or_default().to_vec(),
            offset: self.offset,
            limit: self.limit(),
            incident_accounts: if self.of_page { PAGE } else { 0 },
            without_incidents: self.of_page && !self.is_filtered(),
        }
    }

    /// Whether it selects some accounts only. Then the list has the accounts of incidents, too.
    pub(super) fn is_filtered(&self) -> bool {
        !self.q.is_empty() || !self.state.is_empty() || self.account.is_some()
    }
}

fn bad(detail: &str) -> Problem {
    Problem::new(
        ProblemCode::BadQuery,
        detail,
        Text::new(
            "Supported, each once: account=NAME, q=TEXT, state=degraded|retrying|down|starting|ok, offset=N, limit=1…200, part=summary and lang=en|zh.",
            "可用的参数（各一次）：account=账号名、q=关键字、state=degraded|retrying|down|starting|ok、offset=N、limit=1…200、part=summary、lang=en|zh。",
        ),
    )
}

/// Largest limit of a JSON answer: some MiB if each account has several credentials with a full history.
const MOST: usize = 200;

/// Default limit of a JSON answer.
const USUAL: usize = 50;

/// Default limit of the page, and number of accounts that an incident lists.
pub(super) const PAGE: usize = 12;

/// Limit of the page after "Show more".
pub(super) const LONG_PAGE: usize = 60;

/// Largest offset; more accounts than any installation has.
const FARTHEST: usize = 1_000_000;

/// Longest search text, in characters.
const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_what_was_asked_for_and_nothing_else() {
        let whole = "lang=zh&q=a%26b&state=down&account=main&limit=60&offset=12";
        for text in [whole, "state=ok", ""] {
            let address = Query::parse(text).unwrap().address();
            assert_eq!(address, format!("status?{text}"));
        }
    }

    #[test]
    fn a_query_is_read() {
        let query =
            Query::parse("q=+shop+&state=degraded&offset=40&limit=200&part=summary&lang=en")
                .unwrap();
        assert_eq!(
            (
                query.q.as_str(),
                query.state.as_str(),
                query.offset,
                query.limit(),
                query.part
            ),
            ("shop", "degraded", 40, 200, Part::Summary)
        );
        let longest = "账".repeat(LONGEST);
        assert_eq!(
            Query::parse(&format!("q={longest}")).unwrap().q,
            longest,
            "characters are counted, not bytes"
        );
        let default = Query::parse("").unwrap();
        assert_eq!(
            (default.limit(), default.of_a_page().limit()),
            (USUAL, PAGE)
        );
        assert_eq!(Query::parse("state=&q=").unwrap().state, "");
    }
}
