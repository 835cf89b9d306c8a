//! The search: tries no mistake, then each known mistake alone, then every pair.

use std::cell::Cell;
use std::collections::HashSet;
use std::mem::discriminant;

use super::causes::{self as c, Cause};
use super::hash::Sent;
use super::url_mistakes::{self, Variant};
use super::value_mistakes::{Values, far_timestamps, nonces, strings, tickets, timestamps};
use super::{Case, Role, library_escaping};
use crate::sign::before_fragment;

/// The result of a search.
pub(super) struct Found {
    /// The mistakes; empty if the right string was hashed.
    pub(super) mistakes: Vec<&'static Cause>,
    /// The hashed string, with the ticket redacted.
    pub(super) string: String,
    /// Whether the signed URL is the given one, and browsers would write it differently.
    pub(super) as_given: bool,
}

/// One value changed by a mistake.
type Change = (&'static Cause, Part);

#[derive(Clone)]
enum Part {
    Url(String),
    Ticket(String, String),
    Nonce(String),
    Timestamp(String),
}

impl Part {
    fn put(&self, values: &mut Values) {
        match self {
            Self::Url(text) => values.url.clone_from(text),
            Self::Ticket(text, shown) => {
                values.ticket.clone_from(text);
                values.shown.clone_from(shown);
            }
            Self::Nonce(text) => values.nonce.clone_from(text),
            Self::Timestamp(text) => values.timestamp.clone_from(text),
        }
    }
}

fn changes_of(variants: Vec<Variant>, part: fn(String) -> Part) -> impl Iterator<Item = Change> {
    let variants = variants.into_iter();
    variants.map(move |(cause, text)| (cause, part(text)))
}

pub(super) struct Search<'a> {
    /// The case, with its URLs in the form of `location.href`.
    case: Case,
    sent: &'a Sent,
    /// The values that should have been signed.
    right: Values,
    /// The URL as it was given, if browsers would write it differently.
    given: Option<String>,
    /// The cause of a wrong ticket, set if the right ticket is missing and the search uses another one.
    presumed: Option<&'static Cause>,
    effort: Effort,
    /// Bytes that may still be hashed. A byte that is only built costs as much as [`BUILT`] hashed ones.
    budget: Cell<usize>,
}

/// How much a search may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// For public requests.
    Brief,
    /// For the command line and for callers with an API key. Also tries every port.
    Full,
}

impl Effort {
    fn budget(self) -> usize {
        match self {
            Self::Brief => BRIEF_BUDGET,
            Self::Full => BUDGET,
        }
    }
}

impl<'a> Search<'a> {
    /// Creates a search; `None` without any ticket.
    pub(super) fn new(case: &Case, sent: &'a Sent, effort: Effort) -> Option<Self> {
        let given = library_escaping::escaped(case.checked());
        let case = as_browsers_write(case);
        let target = &case.signed_for().role();
        let of = |role: &Role| case.tickets.iter().find(|ticket| ticket.role == *role);
        let ticket = of(target)
            .or_else(|| of(&Role::Pasted))
            .or(case.tickets.first())?
            .clone();
        let presumed = tickets(&case, "")
            .into_iter()
            .find(|(_, value, _)| value == ticket.value.expose())
            .map(|(cause, ..)| cause)
            .filter(|cause| ticket.role != *target && cause.code != c::PASTED_TICKET.code);
        let right = Values {
            ticket: ticket.value.expose().to_owned(),
            shown: if presumed.is_none() {
                target.shown()
            } else {
                ticket.role.shown()
            },
            nonce: case.nonce.clone(),
            timestamp: case.timestamp.clone(),
            url: before_fragment(case.checked()).to_owned(),
        };
        let given = Some(before_fragment(&given).to_owned()).filter(|given| *given != right.url);
        Some(Self {
            case,
            sent,
            right,
            given,
            presumed,
            effort,
            budget: Cell::new(effort.budget()),
        })
    }

    /// Returns the string that should have been hashed, with the ticket redacted.
    pub(super) fn expected(&self) -> String {
        let shown = self.case.signed_for().role().shown();
        self.without_tickets(
            &Values {
                ticket: shown,
                ..self.right.clone()
            }
            .string(),
        )
    }

    /// Returns the mistakes that explain the signature, as few as possible.
    pub(super) fn run(self) -> Option<Found> {
        let right = self.explained(&self.right, &[]);
        let right = right.or_else(|| self.as_given());
        if right.is_some() {
            return right;
        }
        let changes = self.changes();
        self.singly(&changes)
            .or_else(|| self.hashed_otherwise(&changes))
            .or_else(|| self.addresses_in_pairs(&changes))
            .or_else(|| self.in_pairs(&changes))
            .or_else(|| self.ports())
    }

    fn as_given(&self) -> Option<Found> {
        let values = Values {
            url: self.given.clone()?,
            ..self.right.clone()
        };
        Some(Found {
            as_given: true,
            ..self.explained(&values, &[])?
        })
    }

    /// Returns every change of one value.
    fn changes(&self) -> Vec<Change> {
        let (urls, _) = url_mistakes::mistaken(&self.right.url, &self.case);
        let tickets = tickets(&self.case, &self.right.ticket).into_iter();
        let times = timestamps(&self.right.timestamp, &self.case);
        let nonces = nonces(&self.right.nonce, &self.case);
        changes_of(urls, Part::Url)
            .chain(tickets.map(|(cause, text, shown)| (cause, Part::Ticket(text, shown))))
            .chain(changes_of(times, Part::Timestamp))
            .chain(changes_of(nonces, Part::Nonce))
            .collect()
    }

    fn singly(&self, changes: &[Change]) -> Option<Found> {
        let alone = changes.iter().find_map(|change| self.with(&[change]));
        alone
            .or_else(|| self.as_another_string(&self.right, &[], |string| self.hashed(string)))
            .or_else(|| {
                let far = far_timestamps(&self.right.timestamp);
                changes_of(far, Part::Timestamp).find_map(|change| self.with(&[&change]))
            })
    }

    /// Tries two mistakes on the URL, one after the other.
    fn addresses_in_pairs(&self, changes: &[Change]) -> Option<Found> {
        let mut seen = HashSet::new();
        let addresses = changes.iter().filter_map(|(first, part)| match part {
            Part::Url(address) => Some((first, address)),
            _ => None,
        });
        addresses
            .take_while(|_| self.goes_on())
            .find_map(|(first, address)| {
                let (mistaken, built) = url_mistakes::mistaken(address, &self.case);
                self.spend(built.saturating_mul(BUILT));
                mistaken.into_iter().find_map(|(second, text)| {
                    let is_new = second.code != first.code && seen.insert(text.clone());
                    let values = Values {
                        url: text,
                        ..self.right.clone()
                    };
                    is_new.then(|| self.explained(&values, &[first, second]))?
                })
            })
    }

    fn in_pairs(&self, changes: &[Change]) -> Option<Found> {
        changes
            .iter()
            .enumerate()
            .take_while(|_| self.goes_on())
            .find_map(|(at, first)| {
                // Two changes of one value form no pair, except those of the URL, which are tried above.
                let others = changes[at + 1..]
                    .iter()
                    .filter(|second| discriminant(&second.1) != discriminant(&first.1));
                let two_values = others
                    .take_while(|_| self.goes_on())
                    .find_map(|second| self.with(&[first, second]));
                two_values.or_else(|| {
                    let mut values = self.right.clone();
                    first.1.put(&mut values);
                    self.as_another_string(&values, &[first.0], |string| self.hashed(string))
                })
            })
    }

    fn with(&self, changes: &[&Change]) -> Option<Found> {
        let mut values = self.right.clone();
        for (_, part) in changes {
            part.put(&mut values);
        }
        let causes: Vec<_> = changes.iter().map(|(cause, _)| *cause).collect();
        self.explained(&values, &causes)
    }

    /// Returns these mistakes if the signature is that of the values.
    fn explained(&self, values: &Values, causes: &[&'static Cause]) -> Option<Found> {
        let hashed = self.hashed(&values.string())?;
        Some(self.found(causes, &hashed, values.struck_out().string()))
    }

    /// Tries HMAC and double hashing, with at most one other mistake.
    fn hashed_otherwise(&self, changes: &[Change]) -> Option<Found> {
        let fits = |values: &Values, string: &str| {
            self.spend(string.len()).then(|| {
                self.sent
                    .fits_otherwise(values.ticket.as_bytes(), string.as_bytes())
            })?
        };
        let right = &self.right;
        if let Some(hashed) = fits(right, &right.string()) {
            return Some(self.found(&[], &hashed, right.struck_out().string()));
        }
        let alone = changes.iter().find_map(|(cause, part)| {
            let mut values = right.clone();
            part.put(&mut values);
            let hashed = fits(&values, &values.string())?;
            Some(self.found(&[cause], &hashed, values.struck_out().string()))
        });
        alone.or_else(|| self.as_another_string(right, &[], |string| fits(right, string)))
    }

    /// Tries every port, with both schemes, since a proxy often changes both. Not in pairs, since there are
    /// thousands.
    fn ports(&self) -> Option<Found> {
        if self.effort == Effort::Brief {
            return None;
        }
        let (_, rest) = self.right.url.split_once("://")?;
        let end = rest.find(['/', '?', ':']).unwrap_or(rest.len());
        let (host, rest) = rest.split_at(end);
        let rest = &rest[rest.find(['/', '?']).unwrap_or(rest.len())..];
        let is_http = self.right.url.starts_with("http:");
        let schemes = if is_http {
            ["http", "https"]
        } else {
            ["https", "http"]
        };
        schemes.into_iter().enumerate().find_map(|(at, scheme)| {
            let causes: &[_] = if at == 0 {
                &[&c::PORT]
            } else {
                &[&c::SCHEME, &c::PORT]
            };
            (1..=u16::MAX)
                .take_while(|_| self.goes_on())
                .find_map(|port| {
                    let values = Values {
                        url: format!("{scheme}://{host}:{port}{rest}"),
                        ..self.right.clone()
                    };
                    self.explained(&values, causes)
                })
        })
    }

    /// Tries the wrongly built strings.
    fn as_another_string(
        &self,
        values: &Values,
        causes: &[&'static Cause],
        hashed: impl Fn(&str) -> Option<Vec<&'static Cause>>,
    ) -> Option<Found> {
        let mut strings = strings(values, &self.case).into_iter().enumerate();
        let (at, cause, hashed) =
            strings.find_map(|(at, (cause, string))| Some((at, cause, hashed(&string)?)))?;
        let shown = string_shown(values, &self.case, at);
        Some(self.found(&[causes, &[cause]].concat(), &hashed, shown))
    }

    /// Returns whether any budget is left; if not, building more strings is useless.
    fn goes_on(&self) -> bool {
        self.budget.get() > 0
    }

    /// Spends so many bytes of the budget; returns whether any was left.
    fn spend(&self, bytes: usize) -> bool {
        let left = self.budget.get();
        self.budget.set(left.saturating_sub(bytes));
        left > 0
    }

    /// Returns the mistakes of charset and hash if the signature is that of this string.
    fn hashed(&self, string: &str) -> Option<Vec<&'static Cause>> {
        let fits = |bytes: &[u8]| self.spend(bytes.len()) && self.sent.fits(bytes);
        if fits(string.as_bytes()) {
            return Some(self.sent.causes());
        }
        // Blanks and punctuation beyond ASCII are separate mistakes.
        let has_letters = !string.is_ascii()
            && string
                .chars()
                .any(|letter| !letter.is_ascii() && letter.is_alphanumeric());
        let in_a_charset = has_letters
            && (url_mistakes::CHARSETS
                .iter()
                .any(|charset| fits(&library_escaping::in_charset(string, charset)))
                || [0x7f, 0xff]
                    .iter()
                    .any(|last| fits(&library_escaping::in_latin_1(string, *last))));
        in_a_charset.then(|| [&[&c::CHARSET], &*self.sent.causes()].concat())
    }

    fn found(&self, causes: &[&'static Cause], hashed: &[&'static Cause], string: String) -> Found {
        let mistakes = causes
            .iter()
            .copied()
            .chain(self.presumed)
            .chain(hashed.iter().copied())
            .collect();
        Found {
            mistakes,
            string: self.without_tickets(&string.replace('\0', "")),
            as_given: false,
        }
    }

    /// Redacts all tickets; one may also occur in the URL.
    fn without_tickets(&self, string: &str) -> String {
        let tickets = self
            .case
            .tickets
            .iter()
            .filter(|ticket| ticket.value.expose().len() >= MIN_STRUCK);
        tickets.fold(string.to_owned(), |string, ticket| {
            string.replace(ticket.value.expose(), &ticket.role.shown())
        })
    }
}

/// Returns the case with its URLs in the form of `location.href`.
pub(super) fn as_browsers_write(case: &Case) -> Case {
    Case {
        url: library_escaping::href(&case.url),
        landing: case.landing.as_deref().map(library_escaping::href),
        checked_url: case.checked_url.as_deref().map(library_escaping::href),
        ..case.clone()
    }
}

/// Returns the wrongly built string at this position, with the ticket redacted.
fn string_shown(values: &Values, case: &Case, at: usize) -> String {
    let (_, string) = strings(&values.struck_out(), case).swap_remove(at);
    // If the string was escaped, the placeholder was too: restore it.
    [library_escaping::component, library_escaping::form]
        .iter()
        .fold(string, |string, encode| {
            string.replace(&encode(&values.shown), &values.shown)
        })
}

/// Limits a search over any URL to about half a second.
const BUDGET: usize = 160 * 1024 * 1024;

/// About 0.2 s, during which the doctor's other clients wait: enough for all pairs of mistakes on a usual
/// URL.
const BRIEF_BUDGET: usize = 64 * 1024 * 1024;

/// Cost factor of building a byte: a URL is escaped, sorted and compared before it is hashed.
const BUILT: usize = 4;

/// Shorter values are not tickets, and redacting them would garble the string.
const MIN_STRUCK: usize = 6;
