//! The query of the status page: which accounts, how many, and which part of the page.

use crate::broker::{Find, Health};
use crate::endpoint::{Problem, query};
use crate::error::{ProblemCode, Text};

/// The query of `/status` and `/status.json`.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    /// The exact name of an account.
    pub(super) account: Option<String>,
    /// Substring of a name or an AppID.
    pub(super) q: String,
    pub(super) state: State,
    pub(super) offset: usize,
    pub(super) limit: Option<usize>,
    /// For the page's own links.
    pub(super) lang: Option<String>,
    pub(super) part: Part,
    /// Whether it is the page's own: with incidents, and by default for a page of accounts.
    pub(super) of_page: bool,
}

/// `state=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    All,
    /// `degraded`: degraded or down.
    NeedsAttention,
    /// Only degraded.
    Retrying,
    Down,
    Starting,
    Ok,
}

/// `part=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Part {
    #[default]
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
        let pairs: Vec<(String, String)> =
            serde_urlencoded::from_str(text).map_err(|_| bad("the query is malformed"))?;
        let (mut query, mut seen) = (Self::default(), Vec::new());
        for (name, value) in pairs {
            if seen.contains(&name) {
                return Err(bad("a parameter appears twice"));
            }
            match name.as_str() {
                "account" => query.account = Some(value),
                "q" if value.chars().count() <= LONGEST => query.q = value.trim().to_owned(),
                "state" => {
                    query.state = State::named(&value).ok_or_else(|| {
                        bad("state must be one of: degraded, retrying, down, starting, ok")
                    })?
                }
                "offset" => {
                    let offset = value.parse().ok().filter(|offset| *offset <= FARTHEST);
                    query.offset =
                        offset.ok_or_else(|| bad("offset is not a number, or too large"))?;
                }
                "limit" => {
                    let limit = value
                        .parse()
                        .ok()
                        .filter(|limit| (1..=MOST).contains(limit));
                    query.limit =
                        Some(limit.ok_or_else(|| bad("limit must be a number from 1 to 200"))?);
                }
                "lang" => query.lang = Some(value),
                "part" => {
                    query.part = Part::named(&value)
                        .ok_or_else(|| bad("part must be one of: live, summary"))?
                }
                _ => {
                    return Err(bad(
                        "the query contains an unknown parameter, or a value that is too long",
                    ));
                }
            }
            seen.push(name);
        }
        Ok(query)
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
        let limit = self.limit.map(|limit| limit.to_string());
        let offset = (self.offset > 0).then(|| self.offset.to_string());
        let pairs = [
            ("lang", self.lang.as_deref()),
            ("q", Some(self.q.as_str()).filter(|q| !q.is_empty())),
            (
                "state",
                Some(self.state.as_str()).filter(|state| !state.is_empty()),
            ),
            ("account", self.account.as_deref()),
            ("limit", limit.as_deref()),
            ("offset", offset.as_deref()),
        ];
        let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
        format!("status?{query}")
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(USUAL)
    }

    pub(super) fn find(&self) -> Find {
        let health = match self.state {
            State::All => Vec::new(),
            State::NeedsAttention => vec![Health::Degraded, Health::Down],
            State::Retrying => vec![Health::Degraded],
            State::Down => vec![Health::Down],
            State::Starting => vec![Health::Starting],
            State::Ok => vec![Health::Ok],
        };
        Find {
            account: self.account.clone(),
            text: self.q.clone(),
            health,
            offset: self.offset,
            limit: self.limit(),
            incident_accounts: if self.of_page { PAGE } else { 0 },
            without_incidents: self.of_page && !self.is_filtered(),
        }
    }

    /// Whether it selects some accounts only. Then the list has the accounts of incidents, too.
    pub(super) fn is_filtered(&self) -> bool {
        !self.q.is_empty() || self.state != State::All || self.account.is_some()
    }
}

impl State {
    pub(super) const ALL: [Self; 6] = [
        Self::All,
        Self::NeedsAttention,
        Self::Retrying,
        Self::Down,
        Self::Starting,
        Self::Ok,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::All => "",
            Self::NeedsAttention => "degraded",
            Self::Retrying => "retrying",
            Self::Down => "down",
            Self::Starting => "starting",
            Self::Ok => "ok",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

impl Part {
    fn named(name: &str) -> Option<Self> {
        [
            ("", Self::All),
            ("live", Self::Live),
            ("summary", Self::Summary),
        ]
        .into_iter()
        .find_map(|(known, part)| (known == name).then_some(part))
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
                query.state,
                query.offset,
                query.limit(),
                query.part
            ),
            ("shop", State::NeedsAttention, 40, 200, Part::Summary)
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
        assert_eq!(Query::parse("state=&q=").unwrap().state, State::All);
    }
}
