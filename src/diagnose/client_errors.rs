//! The client's own words, explained: what no computation can see.

use super::causes::Cause;
use super::verdicts as v;
use super::{Confidence, Finding};
use crate::error::codes::all;
use crate::error::{Paid, System, explain};

/// What the text points to, most telling first.
pub(super) fn explained(text: &str) -> Vec<Finding> {
    match in_words(text) {
        Some(cause) => vec![Finding::new(Confidence::Likely, cause)],
        None => by_errcode(&text.to_lowercase()).into_iter().collect(),
    }
}

/// Whether a client's words are in it, and not only a number.
pub(super) fn has_words(text: &str) -> bool {
    in_words(text).is_some()
}

fn in_words(text: &str) -> Option<&'static Cause> {
    let text = text.to_lowercase().replace('_', " ");
    WORDS
        .iter()
        .find(|(words, _)| words.iter().all(|word| text.contains(word)))
        .map(|(_, cause)| *cause)
}

/// The first number that is an errcode of the system that spoke.
fn by_errcode(text: &str) -> Option<Finding> {
    let system = if text.contains("work.weixin") || text.contains("agentconfig") {
        System::Qyapi
    } else {
        System::Weixin
    };
    let numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse::<i64>().ok());
    let systems = [
        system,
        if system == System::Qyapi {
            System::Weixin
        } else {
            System::Qyapi
        },
    ];
    let known = |system, errcode| all().any(|(of, _, code, _)| of == system && code == errcode);
    let (system, errcode) = numbers
        .flat_map(|errcode| systems.map(|system| (system, errcode)))
        .find(|(system, errcode)| *errcode > 0 && known(*system, *errcode))?;
    let advice = explain(system, Paid::WithToken, errcode);
    Some(Finding {
        cause: advice.cause.clone(),
        fix: advice.fix.clone(),
        ..Finding::new(Confidence::Likely, &v::ERRCODE)
    })
}

/// Words that must all be there, in lower case, with blanks for `_`; the first row that fits counts.
const WORDS: &[(&[&str], &Cause)] = &[
    (&["not match any reliable domain"], &v::WORK_DOMAIN),
    (&["invalid url domain"], &v::URL_DOMAIN),
    (&["agentconfig", "invalid signature"], &v::AGENT_SIGNATURE),
    (&["invalid signature"], &v::INVALID_SIGNATURE),
    (&["offline verifying"], &v::OFFLINE_VERIFYING),
    (&["require subscribe"], &v::SUBSCRIBE),
    (&["permission denied"], &v::PERMISSION_DENIED),
    (&["access denied"], &v::PERMISSION_DENIED),
    (&["no permission"], &v::PERMISSION_DENIED),
    (&["function not exist"], &v::FUNCTION_MISSING),
    (&["appid 不合法"], &v::APP_ID),
    (&["appid不合法"], &v::APP_ID),
    (&["invalid appid"], &v::APP_ID),
    (&["invalid corpid"], &v::APP_ID),
    (&["arguments is empty"], &v::EMPTY_ARGUMENTS),
    (&["wx is not defined"], &v::NO_BRIDGE),
    (&["weixinjsbridge", "not defined"], &v::NO_BRIDGE),
    (&["wx.config is not a function"], &v::NO_BRIDGE),
    (&[":cancel"], &v::CANCELLED),
    (&[":user cancel"], &v::CANCELLED),
    (&[":fail cancel"], &v::CANCELLED),
    (&[":fail,cancel"], &v::CANCELLED),
    (&[":fail, cancel"], &v::CANCELLED),
    (&[":fail user cancel"], &v::CANCELLED),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_reached_by_its_own_words() {
        for (words, cause) in WORDS {
            assert_eq!(
                explained(&words.join(" ").to_uppercase())[0].code,
                cause.code,
                "{words:?}"
            );
        }
    }

    #[test]
    fn a_number_that_is_no_errcode_explains_nothing() {
        assert_eq!(explained("config:fail at 2019-12-04 15:50:27"), []);
        assert_eq!(explained(""), []);
    }
}
