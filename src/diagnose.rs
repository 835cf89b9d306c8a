//! Why a signature is refused: tries the known mistakes, alone and in pairs, and names the one that fits.
//!
//! With the ticket it proves: the string that was hashed is found, or it is not. Without it, it explains the client's own words.
//! Pure: asks nobody, and never shows a ticket.
//!
//! ```
//! use wx_jssdk::diagnose::{Case, Role, diagnose};
//!
//! // The backend signed the address with its fragment.
//! let case = Case::new("https://example.com/p#top", "n", "1414587457", "78b614fb65e7b9a7a2779cc189fb40cf92440f9b")
//!     .ticket(Role::Current, "the-ticket");
//! let findings = diagnose(&case);
//! # assert_eq!(findings[0].code, "fragment_kept");
//! println!("{}: {}", findings[0].code, findings[0].fix.en);
//! ```

mod backend_answer;
#[rustfmt::skip] // one row, one paragraph
mod causes;
mod client_errors;
mod escape;
mod given_ticket;
mod hash;
mod paste;
mod rebuilt;
mod search;
mod url;
mod value_mistakes;
#[rustfmt::skip] // as above
mod verdicts;

pub use backend_answer::Answer;
pub use paste::{Paste, PasteKind};

use crate::credential::Secret;
use crate::error::Hint;
use crate::sign::before_fragment;
use causes::Cause;
use hash::Sent;
use search::{Effort, Found, Search};

/// What is known of a refused signature.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// The address on which the page is: its `location.href`.
    pub url: String,
    /// As the page got it.
    pub nonce: String,
    /// As the page got it, digit for digit.
    pub timestamp: String,
    /// As the page got it.
    pub signature: String,
    /// What may have signed.
    pub tickets: Vec<Ticket>,
    /// What the signature is for, as far as somebody said so; see [`Case::signed_for`].
    pub target: Target,
    /// The address of the first page load, where the page changed routes since.
    pub landing: Option<String>,
    /// The address that the client says it checked: `realAuthUrl`.
    pub checked_url: Option<String>,
    /// Hosts of the API and its proxies, or the API's address.
    pub hosts: Vec<String>,
    /// The AppID or CorpID that the page got.
    pub app_id: Option<String>,
    /// The AppID or CorpID of the account that the tickets belong to.
    pub account_app_id: Option<String>,
    /// The address that the backend's answer names.
    pub answered_url: Option<String>,
    /// Whether the backend's answer has other names than `wx.config` reads.
    pub misnamed: bool,
    /// Whether the signature was made here, from the string that was pasted: then it proves nothing about its own ticket.
    pub derived: bool,
    /// What the client said.
    pub error: Option<String>,
    /// The `jsApiList` that `wx.config` got, where it is known.
    pub js_api_list: Option<Vec<String>>,
}

/// A ticket and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// What it is.
    pub role: Role,
    /// The ticket itself.
    pub value: Secret,
}

/// What a ticket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The account's living jsapi_ticket.
    Current,
    /// The jsapi_ticket before it.
    Previous,
    /// The account's wx_card ticket.
    Card,
    /// The WeCom app's agent_config ticket.
    Agent,
    /// No ticket at all, but taken for one.
    AccessToken,
    /// The jsapi_ticket of the account of this name.
    Other(String),
    /// The ticket in the string that was pasted: it did sign, and whose it is is not known.
    Pasted,
}

/// What a signature is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// `wx.config`.
    #[default]
    Config,
    /// WeCom's `wx.agentConfig`.
    AgentConfig,
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// The hash was reproduced.
    Proven,
    /// Everything points to it.
    Likely,
    /// Worth a look.
    Possible,
}

/// One cause and its fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable, snake_case: for programs.
    pub code: &'static str,
    /// How sure it is.
    pub confidence: Confidence,
    /// What is wrong.
    pub cause: Hint,
    /// What to do.
    pub fix: Hint,
    /// The string that was hashed, with the ticket struck out.
    pub evidence: Option<String>,
    /// The string that should have been hashed, where that is another matter; its ticket struck out, too.
    pub expected: Option<String>,
}

impl Case {
    /// The four values that every case has.
    pub fn new(
        url: impl Into<String>,
        nonce: impl Into<String>,
        timestamp: impl Into<String>,
        signature: impl Into<String>,
    ) -> Self {
        let (url, nonce, timestamp, signature) =
            (url.into(), nonce.into(), timestamp.into(), signature.into());
        Self {
            url,
            nonce,
            timestamp,
            signature,
            ..Self::default()
        }
    }

    /// Adds a ticket, taken out of its quotes or out of WeChat's whole answer; an empty one is ignored.
    #[must_use]
    pub fn ticket(mut self, role: Role, value: impl Into<Secret>) -> Self {
        let value = given_ticket::read(&role, value.into());
        if !value.is_empty() {
            self.tickets.push(Ticket { role, value });
        }
        self
    }

    /// Takes over what a backend answered, where nothing is set yet.
    #[must_use]
    pub fn answer(mut self, answer: Answer) -> Self {
        for (mine, its) in [
            (&mut self.nonce, answer.nonce),
            (&mut self.timestamp, answer.timestamp),
            (&mut self.signature, answer.signature),
        ] {
            if mine.is_empty() {
                *mine = its.unwrap_or_default();
            }
        }
        if self.url.is_empty() {
            self.url = answer.url.clone().unwrap_or_default();
        }
        self.app_id = self.app_id.or(answer.app_id);
        self.answered_url = self.answered_url.or(answer.url);
        self.misnamed |= answer.misnamed;
        self.js_api_list = self.js_api_list.or(answer.js_api_list);
        self
    }

    /// What the signature is for: where nobody said it, the client's own words do.
    #[must_use]
    pub fn signed_for(&self) -> Target {
        let names_agent = self
            .error
            .as_deref()
            .is_some_and(|error| error.to_ascii_lowercase().contains("agentconfig"));
        if names_agent {
            Target::AgentConfig
        } else {
            self.target
        }
    }

    /// The address that has to be signed: the one that the client says it checked, else the page's.
    #[must_use]
    pub fn checked(&self) -> &str {
        self.checked_url.as_deref().unwrap_or(&self.url)
    }

    /// Takes over what the client said, and the address that it names there as checked.
    #[must_use]
    pub fn said(mut self, error: Option<String>) -> Self {
        self.checked_url = self
            .checked_url
            .or_else(|| error.as_deref().and_then(client_errors::checked_url));
        self.error = self.error.or(error);
        if self.url.is_empty() {
            self.url = self.checked_url.clone().unwrap_or_default();
        }
        self
    }

    /// Whether there is enough to compute with: all four values.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        [&self.url, &self.nonce, &self.timestamp, &self.signature]
            .into_iter()
            .all(|value| !value.is_empty())
    }
}

impl Target {
    /// The ticket that it takes.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::Config => Role::Current,
            Self::AgentConfig => Role::Agent,
        }
    }
}

impl Role {
    /// What stands in the ticket's place where a string is shown.
    fn shown(&self) -> String {
        match self {
            Self::Current => "[jsapi_ticket]".into(),
            Self::Previous => "[previous jsapi_ticket]".into(),
            Self::Card => "[wx_card ticket]".into(),
            Self::Agent => "[agent_config ticket]".into(),
            Self::AccessToken => "[access_token]".into(),
            Self::Other(account) => format!("[jsapi_ticket of {account}]"),
            Self::Pasted => "[ticket of the string]".into(),
        }
    }
}

impl Confidence {
    /// The name in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Likely => "likely",
            Self::Possible => "possible",
        }
    }
}

impl Finding {
    fn new(confidence: Confidence, cause: &Cause) -> Self {
        Self {
            code: cause.code,
            confidence,
            cause: cause.cause.clone(),
            fix: cause.fix.clone(),
            evidence: None,
            expected: None,
        }
    }

    /// Whether it says more than that nothing was found.
    #[must_use]
    pub fn explains(&self) -> bool {
        use verdicts::{NOTHING_FITS, NOTHING_GIVEN, STRING, TICKET_NEEDED, VALUES_NEEDED};
        ![
            &NOTHING_FITS,
            &NOTHING_GIVEN,
            &STRING,
            &TICKET_NEEDED,
            &VALUES_NEEDED,
        ]
        .iter()
        .any(|cause| cause.code == self.code)
    }
}

/// What explains the case, best first; never empty. Two mistakes made together are two findings with the same evidence.
#[must_use]
pub fn diagnose(case: &Case) -> Vec<Finding> {
    diagnosed(case, Effort::Full)
}

/// Like [`diagnose`], at a bounded cost for questions from the public: ports that no application server usually has are not tried, and
/// the pairs of mistakes on a very long address only in part.
#[must_use]
pub fn diagnose_briefly(case: &Case) -> Vec<Finding> {
    diagnosed(case, Effort::Brief)
}

fn diagnosed(case: &Case, effort: Effort) -> Vec<Finding> {
    let mut findings = Vec::new();
    let said = said(case);
    if case.signature.is_empty() {
        findings.extend(said);
    } else if let Some(sent) = Sent::of(&case.signature) {
        let search = Search::new(case, &sent, effort).filter(|_| case.is_whole());
        let expected = search.as_ref().map(Search::expected);
        let found = search.and_then(Search::run);
        match expected {
            _ if found.is_none() && sent.is_short() => malformed(said, &mut findings),
            Some(expected) => judged(case, found, expected, said, &mut findings),
            None => looked_at(case, &sent, said, &mut findings),
        }
    } else {
        malformed(said, &mut findings);
    }
    if findings.iter().all(is_refusal_alone) {
        let lacking = match case.is_whole() {
            _ if !case.tickets.is_empty() && case.is_whole() => return findings,
            true => &verdicts::TICKET_NEEDED,
            false if case.signature.is_empty() && findings.is_empty() => &verdicts::NOTHING_GIVEN,
            false => &verdicts::VALUES_NEEDED,
        };
        findings.push(Finding::new(Confidence::Possible, lacking));
    }
    findings
}

/// What the client's words mean, with what is known of the page beside them.
fn said(case: &Case) -> Vec<Finding> {
    let Some(error) = case.error.as_deref() else {
        return Vec::new();
    };
    let mut said = client_errors::explained(error, case.checked());
    let is_about = |codes: &[&str]| said.iter().any(|finding| codes.contains(&finding.code));
    let page = client_errors::refused_address(error).unwrap_or(case.checked());
    if is_about(&["offline_verifying", "permission_denied"]) && is_unlisted(case, error) {
        said.insert(0, Finding::new(Confidence::Likely, &verdicts::NOT_LISTED));
    } else if is_about(&["domain_not_bound", "trusted_domain_mismatch"]) && has_other_port(page) {
        said.insert(0, Finding::new(Confidence::Likely, &verdicts::PORT));
    }
    said
}

/// Whether `jsApiList` is known and lacks the interface that was refused: `chooseImage:…`.
fn is_unlisted(case: &Case, error: &str) -> bool {
    let name = error
        .split([':', '：'])
        .next()
        .and_then(|before| before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next())
        .filter(|name| !name.is_empty());
    case.js_api_list.as_ref().is_some_and(|list| {
        list.is_empty() || name.is_some_and(|name| !list.iter().any(|listed| listed == name))
    })
}

/// Whether the page is on another port than clients take. An address without a domain is one of a developer's machine.
fn has_other_port(page: &str) -> bool {
    let Ok(page) = ::url::Url::parse(page) else {
        return false;
    };
    let is_domain = page
        .domain()
        .is_some_and(|domain| domain != "localhost" && !domain.ends_with(".localhost"));
    is_domain && page.port().is_some_and(|port| ![80, 443].contains(&port))
}

fn malformed(said: Vec<Finding>, findings: &mut Vec<Finding>) {
    findings.push(Finding::new(Confidence::Proven, &verdicts::MALFORMED));
    findings.extend(said);
}

/// The search has an answer, or none.
fn judged(
    case: &Case,
    found: Option<Found>,
    expected: String,
    mut said: Vec<Finding>,
    findings: &mut Vec<Finding>,
) {
    match found {
        Some(Found { mistakes, string }) if mistakes.is_empty() => {
            findings.extend(app_id(case).map(|cause| Finding::new(Confidence::Proven, cause)));
            findings.extend(beside_the_signature(case));
            // The string agrees with itself, whatever its ticket is.
            let role = case.signed_for().role();
            let proves_itself =
                case.derived && !case.tickets.iter().any(|ticket| ticket.role == role);
            let (sure, verdict) = if proves_itself {
                (Confidence::Possible, &verdicts::STRING)
            } else {
                (Confidence::Proven, &verdicts::RIGHT)
            };
            // "invalid signature" explains nothing when it is valid.
            said.retain(|finding| !is_about_the_whole(finding));
            findings.extend(said);
            findings.push(Finding {
                evidence: Some(string),
                ..Finding::new(sure, verdict)
            });
        }
        Some(Found { mistakes, string }) => {
            let proven = mistakes
                .into_iter()
                .map(|cause| Finding::new(Confidence::Proven, cause));
            let shown = |finding| Finding {
                evidence: Some(string.clone()),
                expected: Some(expected.clone()),
                ..finding
            };
            findings.extend(proven.map(shown));
            findings.extend(app_id(case).map(|cause| Finding::new(Confidence::Likely, cause)));
            said.retain(|finding| !is_about_the_whole(finding));
            findings.extend(said);
        }
        None => {
            said.retain(|finding| !is_refusal_alone(finding));
            findings.extend(said);
            findings.push(Finding {
                expected: Some(expected),
                ..Finding::new(Confidence::Possible, &verdicts::NOTHING_FITS)
            });
        }
    }
}

/// The signature is right: what may be wrong all the same.
fn beside_the_signature(case: &Case) -> Vec<Finding> {
    let page = escape::href(case.checked());
    // Where the client says what it checked, that decides.
    let landing = case
        .landing
        .as_deref()
        .filter(|_| case.checked_url.is_none())
        .is_some_and(|landing| before_fragment(&escape::href(landing)) != before_fragment(&page));
    let milliseconds = in_milliseconds(case);
    let causes = [
        (has_other_port(&page), &verdicts::PORT),
        (case.misnamed, &verdicts::MISNAMED),
        (landing, &verdicts::CURRENT_URL),
        (milliseconds, &verdicts::MILLISECONDS_SENT),
    ];
    causes
        .into_iter()
        .filter(|(is_so, _)| *is_so)
        .map(|(_, cause)| Finding::new(Confidence::Likely, cause))
        .collect()
}

/// What is wrong with the AppID that the page got: of its own look, or beside the account that signed.
fn app_id(case: &Case) -> Option<&'static Cause> {
    let given = case.app_id.as_deref()?.trim();
    let is_number = !given.is_empty() && given.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        return Some(&verdicts::AGENT_ID_SENT);
    }
    let signs = case.account_app_id.as_deref()?;
    (given != signs).then_some(&verdicts::APP_ID_OF_ANOTHER)
}

/// No ticket to compute with: the client's words, and what can be seen.
fn looked_at(case: &Case, sent: &Sent, said: Vec<Finding>, findings: &mut Vec<Finding>) {
    let look = sent.causes().into_iter();
    findings.extend(look.map(|cause| Finding::new(Confidence::Likely, cause)));
    let (specific, general): (Vec<_>, Vec<_>) = said
        .into_iter()
        .partition(|finding| !is_refusal_alone(finding));
    findings.extend(specific);
    findings.extend(app_id(case).map(|cause| Finding::new(Confidence::Likely, cause)));
    let address = address_signed(case);
    let beside = beside_the_signature(case).into_iter();
    // What the answer names was signed; whether the landing page's address should have been is a guess beside it.
    findings.extend(
        beside.filter(|finding| address.is_none() || finding.code != verdicts::CURRENT_URL.code),
    );
    findings.extend(address.map(|cause| Finding::new(Confidence::Likely, cause)));
    findings.extend(general);
}

/// How the address that was signed, as far as it is known, came from the one that should have been.
fn address_signed(case: &Case) -> Option<&'static Cause> {
    let right = escape::href(case.checked());
    let right = before_fragment(&right);
    let Some(signed) = case.answered_url.as_deref() else {
        let page = escape::href(&case.url);
        return url::is_other_route(&page, right).then_some(&verdicts::CURRENT_URL);
    };
    if [right, before_fragment(case.checked())].contains(&signed) {
        return None;
    }
    url::mistaken(right, &search::as_browsers_write(case))
        .into_iter()
        .find(|(_, text)| text == signed)
        .map(|(cause, _)| cause)
}

/// Words that say no more than that the signature was refused.
fn is_refusal_alone(finding: &Finding) -> bool {
    client_errors::is_refusal_alone(finding.code)
}

/// Words on the signature as a whole, beside which a computed verdict says more.
fn is_about_the_whole(finding: &Finding) -> bool {
    is_refusal_alone(finding) || finding.code == "config_accepted"
}

fn in_milliseconds(case: &Case) -> bool {
    case.timestamp.len() == 13 && case.timestamp.bytes().all(|byte| byte.is_ascii_digit())
}
