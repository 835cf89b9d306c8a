//! Diagnoses a rejected signature: tries the known mistakes, alone and in pairs, and names those that
//! reproduce it.
//!
//! With the ticket, the mistake is proven by computation. Without it, the diagnosis uses the client's error
//! text.
//! Pure: makes no network call and never outputs a ticket.
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
mod case;
#[rustfmt::skip] // one row, one paragraph
mod causes;
mod client_errors;
mod finding;
mod framework_urls;
mod hash;
mod interface_names;
mod library_escaping;
mod paste;
mod search;
mod ticket_input;
mod url_mistakes;
mod value_mistakes;
#[rustfmt::skip] // as above
mod verdicts;

pub use backend_answer::Answer;
pub use case::{Case, Role, Target, Ticket};
pub use finding::{Confidence, Finding};
pub use paste::{Paste, PasteKind};

use crate::error::Text;
use crate::sign::before_fragment;
use causes::Cause;
use hash::Sent;
use interface_names::is_unlisted;
pub(crate) use search::Effort;
use search::{Found, Search};

/// Returns the findings, best first; never empty. Two mistakes made together are two findings with the same
/// evidence.
pub fn diagnose(case: &Case) -> Vec<Finding> {
    diagnose_both(case, case.agent_half().as_ref(), Effort::Full)
}

/// Like [`diagnose`], but at a bounded cost for public requests: ports that application servers rarely use
/// are not tried, and on a very long URL only some of the pairs of mistakes.
pub fn diagnose_briefly(case: &Case) -> Vec<Finding> {
    diagnose_both(case, case.agent_half().as_ref(), Effort::Brief)
}

/// Diagnoses a case and, if its signature is right, the argument of `wx.agentConfig` beside it. Only one of the
/// two costs a search.
pub(crate) fn diagnose_both(case: &Case, agent: Option<&Case>, effort: Effort) -> Vec<Finding> {
    let mut findings = diagnosed(case, effort);
    let Some((agent, right)) = agent.zip(findings.iter().position(is_right)) else {
        return findings;
    };
    let right = findings.remove(right);
    let mut of_agent = diagnosed(agent, effort);
    let are_both_right = of_agent.iter().any(is_right);
    of_agent.retain(|finding| {
        !is_right(finding) && findings.iter().all(|known| known.code != finding.code)
    });
    // Their texts name wx.agentConfig already.
    let naming = [&causes::CORP_TICKET, &verdicts::AGENT_TICKET_NEEDED];
    let unnamed = |finding: &&mut Finding| naming.iter().all(|cause| cause.code != finding.code);
    for finding in of_agent.iter_mut().filter(unnamed) {
        let Text { en, zh } = &finding.cause;
        finding.cause = Text::owned(
            format!("in wx.agentConfig: {en}"),
            format!("wx.agentConfig：{zh}"),
        );
    }
    of_agent.append(&mut findings);
    if are_both_right {
        of_agent.push(right);
    }
    of_agent
}

fn diagnosed(case: &Case, effort: Effort) -> Vec<Finding> {
    let is_presumed = case.presumes_agent_ticket();
    let case = &case.with_known_roles();
    let client_findings = client_findings(case);
    let has_scheme = ticket_input::has_scheme(ticket_input::address(case.checked()));
    let mut findings = if case.signature.is_empty() {
        client_findings
    } else if let Some(sent) = Sent::of(&case.signature) {
        let search = Search::new(case, &sent, effort).filter(|_| case.is_whole() && has_scheme);
        let expected = search.as_ref().map(Search::expected);
        let found = search.and_then(Search::run);
        match expected {
            _ if found.is_none() && sent.is_short() => malformed(client_findings),
            Some(expected) => {
                let mut findings = judged(case, found, expected, client_findings);
                if is_presumed {
                    presume_ticket(&mut findings);
                }
                findings
            }
            None => without_verdict(case, &sent, client_findings),
        }
    } else {
        malformed(client_findings)
    };
    if findings.iter().all(is_refusal_alone) {
        let lacking = match case.is_whole() {
            true if !has_scheme => &verdicts::SCHEME_NEEDED,
            true if !case.tickets.is_empty() => return findings,
            true if case.signed_for() == Target::AgentConfig => &verdicts::AGENT_TICKET_NEEDED,
            true => &verdicts::TICKET_NEEDED,
            false if case.signature.is_empty() && findings.is_empty() => &verdicts::NOTHING_GIVEN,
            false => &verdicts::VALUES_NEEDED,
        };
        findings.push(verdict_without(case, lacking));
    }
    let with_evidence = findings.iter_mut().filter(|it| it.evidence.is_some());
    for finding in with_evidence {
        finding.signature = Some(case.signature.clone());
    }
    findings
}

/// Returns the verdict that something is missing. Instead of a ticket, an error text may help, unless it is given.
fn verdict_without(case: &Case, verdict: &Cause) -> Finding {
    let mut finding = Finding::new(Confidence::Possible, verdict);
    let mut of_ticket = [&verdicts::TICKET_NEEDED, &verdicts::AGENT_TICKET_NEEDED].into_iter();
    if case.error.is_none() && of_ticket.any(|needed| needed.code == verdict.code) {
        let [en, zh] = verdicts::OR_ERROR;
        finding.fix = finding.fix.followed_by(en, zh);
    }
    finding
}

/// Explains the client's error text, refined by what is known about the page.
fn client_findings(case: &Case) -> Vec<Finding> {
    let Some(error) = case.error.as_deref() else {
        return Vec::new();
    };
    let explained = client_errors::explained_in(error, case.checked(), case.is_in_wecom());
    let unlisted = || client_errors::unlisted_errcode(error).filter(|_| case.signature.is_empty());
    let explained = explained.or_else(unlisted);
    let page = client_errors::refused_address(error).unwrap_or(case.checked());
    let more_specific = match explained.as_ref().map_or("", |finding| finding.code) {
        "offline_verifying" | "permission_denied" if is_unlisted(case, error) => {
            Some(&verdicts::NOT_LISTED)
        }
        "domain_not_bound" | "trusted_domain_mismatch" if has_other_port(page) => {
            Some(&verdicts::PORT)
        }
        _ => None,
    };
    let more_specific = more_specific.map(|cause| Finding::new(Confidence::Likely, cause));
    more_specific.into_iter().chain(explained).collect()
}

/// Returns whether the page uses a port that clients do not accept (they accept 80 and 443). A host that is
/// not a domain, or is localhost, is a development machine and does not count.
fn has_other_port(page: &str) -> bool {
    let Ok(page) = ::url::Url::parse(page) else {
        return false;
    };
    let is_domain = page
        .domain()
        .is_some_and(|domain| domain != "localhost" && !domain.ends_with(".localhost"));
    is_domain && page.port().is_some_and(|port| ![80, 443].contains(&port))
}

fn malformed(mut client_findings: Vec<Finding>) -> Vec<Finding> {
    let verdict = Finding::new(Confidence::Proven, &verdicts::MALFORMED);
    client_findings.insert(0, verdict);
    client_findings
}

/// Returns the findings of a search that had a ticket to compute with.
fn judged(
    case: &Case,
    found: Option<Found>,
    expected: String,
    mut client_findings: Vec<Finding>,
) -> Vec<Finding> {
    let Some(Found {
        mistakes,
        string,
        as_given,
    }) = found
    else {
        client_findings.retain(|finding| !is_refusal_alone(finding));
        let is_for_agent = case.signed_for() == Target::AgentConfig;
        let has_its_ticket = case.has(&Role::Agent) || case.has(&Role::Pasted);
        let verdict = if is_for_agent && !has_its_ticket {
            &verdicts::AGENT_TICKET_NEEDED
        } else {
            &verdicts::NOTHING_FITS
        };
        client_findings.push(Finding {
            expected: Some(expected),
            ..verdict_without(case, verdict)
        });
        return client_findings;
    };
    // iOS checks the landing URL. Only the URL that the client reports as checked can prove it wrong.
    let (landing, proven): (Vec<_>, Vec<_>) = mistakes
        .into_iter()
        .partition(|cause| cause.code == causes::LANDING.code && case.checked_url.is_none());
    let is_right = proven.is_empty();
    let is_landing = !landing.is_empty();
    let likely = landing
        .into_iter()
        .chain(as_given.then_some(&verdicts::NOT_CANONICAL));
    let shown = |cause, sure| Finding {
        evidence: Some(string.clone()),
        expected: Some(expected.clone()),
        ..Finding::new(sure, cause)
    };
    // Where a pasted string ends is a guess, so that another URL in it is only likely.
    let is_guess = |cause: &Cause| case.derived && cause.code == causes::OTHER_URL.code;
    let certainty = |guess| match guess {
        true => Confidence::Likely,
        false => Confidence::Proven,
    };
    let mut findings: Vec<_> = proven
        .into_iter()
        .map(|cause| shown(cause, certainty(is_guess(cause))))
        .collect();
    findings.extend(wrong_ids(case).map(|cause| Finding::new(certainty(!is_right), cause)));
    findings.extend(likely.map(|cause| shown(cause, Confidence::Likely)));
    if is_right {
        let beside = beside_the_signature(case).into_iter();
        findings.extend(
            beside.filter(|finding| !is_landing || finding.code != verdicts::CURRENT_URL.code),
        );
    }
    // The client's "invalid signature" says less than the computation.
    client_findings.retain(|finding| !is_about_the_whole(finding));
    findings.extend(client_findings);
    if is_right {
        // A signature computed from the pasted string always matches it, so the match proves nothing about
        // the ticket.
        let proves_itself = case.derived && !case.has(&case.signed_for().role());
        let (sure, verdict) = if proves_itself {
            (Confidence::Possible, &verdicts::STRING)
        } else {
            (Confidence::Proven, &verdicts::RIGHT)
        };
        findings.push(Finding {
            evidence: Some(string),
            ..Finding::new(sure, verdict)
        });
    }
    findings
}

/// Replaces the verdict that the signature is right, if the kind of its ticket is only presumed.
fn presume_ticket(findings: &mut [Finding]) {
    if let Some(right) = findings.iter_mut().find(|finding| is_right(finding)) {
        *right = Finding {
            evidence: right.evidence.take(),
            ..Finding::new(Confidence::Possible, &verdicts::TICKET_KIND)
        };
    }
}

/// Returns what can be wrong apart from the hash: port, field names, landing URL, unit of the timestamp.
fn beside_the_signature(case: &Case) -> Vec<Finding> {
    let page = library_escaping::href(case.checked());
    // The URL that the client reports as checked takes precedence over the landing URL.
    let landing = case
        .landing
        .as_deref()
        .filter(|_| case.checked_url.is_none())
        .is_some_and(|landing| {
            before_fragment(&library_escaping::href(landing)) != before_fragment(&page)
        });
    let is_digit = |byte: u8| byte.is_ascii_digit();
    let milliseconds = case.timestamp.len() == 13 && case.timestamp.bytes().all(is_digit);
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

/// Returns what is wrong with the AppID that the page received: it is an AgentId, an open platform's, or not the
/// account that signed.
fn app_id(case: &Case) -> Option<&'static Cause> {
    let given = case.app_id.as_deref()?.trim();
    let is_number = !given.is_empty() && given.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        return Some(&verdicts::AGENT_ID_SENT);
    }
    if case.is_component {
        return Some(&verdicts::COMPONENT_SENT);
    }
    let signs = case.account_app_id.as_deref()?;
    (given != signs).then_some(&verdicts::APP_ID_OF_ANOTHER)
}

/// Returns the verdict if the AgentId that the page received is not that of the app whose ticket signs.
fn agent_id(case: &Case) -> Option<&'static Cause> {
    let given = case.agent_id.as_deref()?.trim();
    let signs = case.account_agent_id?;
    let is_for_agent = case.signed_for() == Target::AgentConfig;
    (is_for_agent && given.parse::<u64>() != Ok(signs)).then_some(&verdicts::AGENT_ID_OF_ANOTHER)
}

fn wrong_ids(case: &Case) -> impl Iterator<Item = &'static Cause> {
    app_id(case).into_iter().chain(agent_id(case))
}

/// Returns the findings that need no ticket: the client's error text and visible defects.
fn without_verdict(case: &Case, sent: &Sent, client_findings: Vec<Finding>) -> Vec<Finding> {
    let likely = |cause: &'static Cause| Finding::new(Confidence::Likely, cause);
    let (general, specific): (Vec<_>, Vec<_>) =
        client_findings.into_iter().partition(is_refusal_alone);
    let address = address_signed(case);
    // The answer's URL was signed. That the landing URL should have been signed instead is only a guess.
    let beside = beside_the_signature(case)
        .into_iter()
        .filter(|finding| address.is_none() || finding.code != verdicts::CURRENT_URL.code);
    let look = sent.causes().into_iter().map(likely);
    look.chain(specific)
        .chain(wrong_ids(case).map(likely))
        .chain(beside)
        .chain(address.map(likely))
        .chain(general)
        .collect()
}

/// Returns the mistake that turned the URL to be signed into the one that was signed, as far as that is
/// known.
fn address_signed(case: &Case) -> Option<&'static Cause> {
    let right = library_escaping::href(case.checked());
    let right = before_fragment(&right);
    let Some(signed) = case.answered_url.as_deref() else {
        let page = library_escaping::href(&case.url);
        return url_mistakes::is_other_route(&page, right).then_some(&verdicts::CURRENT_URL);
    };
    if [right, before_fragment(case.checked())].contains(&signed) {
        return None;
    }
    let (mistaken, _) = url_mistakes::mistaken(right, &search::as_browsers_write(case));
    let mistake = mistaken.into_iter().find(|(_, text)| text == signed);
    mistake.map(|(cause, _)| cause)
}

fn is_right(finding: &Finding) -> bool {
    finding.code == verdicts::RIGHT.code
}

/// Returns whether the finding says only that the signature was rejected.
fn is_refusal_alone(finding: &Finding) -> bool {
    client_errors::is_refusal_alone(finding.code)
}

/// Returns whether the finding is about the signature as a whole, so that a computed verdict says more.
fn is_about_the_whole(finding: &Finding) -> bool {
    is_refusal_alone(finding) || finding.code == "config_accepted"
}
