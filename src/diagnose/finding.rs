//! One cause of a rejected signature, and its fix.

use serde::Serialize;

use super::causes::Cause;
use super::verdicts as v;
use crate::error::Text;

/// How certain a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The hash was reproduced.
    Proven,
    /// All the evidence points to it.
    Likely,
    /// Worth checking.
    Possible,
}

/// One cause and its fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable code in snake_case, for programs.
    pub code: &'static str,
    /// How certain it is.
    pub confidence: Confidence,
    /// What is wrong.
    pub cause: Text,
    /// What to do.
    pub fix: Text,
    /// The string that was hashed, with the ticket redacted.
    pub evidence: Option<String>,
    /// The signature to which the evidence belongs: an answer with both configs has two.
    pub signature: Option<String>,
    /// The string that should have been hashed, if different, with the ticket redacted.
    pub expected: Option<String>,
}

impl Confidence {
    /// Returns the name used in API responses.
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
    pub(super) fn new(confidence: Confidence, cause: &Cause) -> Self {
        Self {
            code: cause.code,
            confidence,
            cause: cause.cause.clone(),
            fix: cause.fix.clone(),
            evidence: None,
            signature: None,
            expected: None,
        }
    }

    /// Returns whether the finding says more than that nothing was found.
    pub fn explains(&self) -> bool {
        let says_nothing = [
            &v::AGENT_TICKET_NEEDED,
            &v::NOTHING_FITS,
            &v::NOTHING_GIVEN,
            &v::SCHEME_NEEDED,
            &v::STRING,
            &v::TICKET_KIND,
            &v::TICKET_NEEDED,
            &v::VALUES_NEEDED,
        ];
        says_nothing.iter().all(|cause| cause.code != self.code)
    }
}
