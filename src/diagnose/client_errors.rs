//! Explains error texts of the client and of WeChat's servers, which no computation can find. The texts are
//! in `client_errors/table.rs`.

#[cfg(test)]
mod codegen;
mod problem;
#[rustfmt::skip] // one row, one paragraph
mod table;

use std::sync::LazyLock;

use url::Url;

use super::causes::Cause;
use super::interface_names::WECOMS_OWN;
use super::verdicts as v;
use super::{Confidence, Finding, library_escaping};
use crate::error::codes::{Advice, all, by_errmsg, explain};
use crate::error::{CallAuth, System};
pub(super) use problem::TYPE as PROBLEM_TYPE;
use table::{ClientError, OF_WECOM, REFUSED, TABLE, is_symptom};
pub(super) use table::{EXPLAINING, is_refusal_alone};

/// Returns what the text points to.
pub(super) fn explained(text: &str) -> Option<Finding> {
    explained_in(text, "", false)
}

/// Like [`explained`]; `page` is the page's URL, if known, and `in_wecom` tells that it is one of WeCom, which the
/// text alone may not show.
pub(super) fn explained_in(text: &str, page: &str, in_wecom: bool) -> Option<Finding> {
    let mut words = ErrorText::read(text);
    if in_wecom {
        words.systems = WECOM_FIRST;
    }
    let of_client = |row| of_client(row, text, page, words.systems == WECOM_FIRST);
    problem::explained(text)
        .or_else(|| words.errcode())
        .or_else(|| words.row(&ROWS[0]).map(of_client))
        .or_else(|| words.number())
        .or_else(|| words.sentence())
        .or_else(|| words.row(&ROWS[1]).map(of_client))
}

/// Returns the advice for an errcode that is named in the text and not listed, as the log gives it. A backend's
/// own code may have the same name, so this counts only if nothing else is known.
pub(super) fn unlisted_errcode(text: &str) -> Option<Finding> {
    let words = ErrorText::read(text);
    let errcode = words.named_errcodes().find(|errcode| *errcode != 0)?;
    let advice = explain(words.systems[0], CallAuth::WithToken, errcode);
    Some(of_advice(advice))
}

/// Returns whether the text contains a client's error text and not only a number. A user's own description
/// counts only as a sentence, since source code contains some of the same words.
pub(super) fn has_words(text: &str) -> bool {
    let words = ErrorText::read(text);
    let is_prose = |line: &str| {
        line.len() < MAX_PROSE && !line.contains(['{', '}', '(', ')', ';', '=', '*', '/'])
    };
    let has_row = |row: &Row| {
        let is_there = |words: &ErrorText| {
            row.when
                .iter()
                .any(|all| !all.iter().any(Part::is_number) && words.has_all(all))
        };
        if is_symptom(row.error.cause.code) {
            text.lines()
                .any(|line| is_prose(line) && is_there(&ErrorText::read(line)))
        } else {
            is_there(&words)
        }
    };
    problem::explained(text).is_some() || ROWS[0].iter().any(has_row)
}

/// Returns whether the text contains a result of `wx.config`, known or not.
pub(super) fn is_about_config(text: &str) -> bool {
    ErrorText::read(text).squashed.contains("config:")
}

/// Returns whether the text says that a config's signature was rejected, and names the config.
pub(super) fn names_refused_config(text: &str) -> bool {
    is_about_config(text) && explained(text).is_some_and(|found| is_refusal_alone(found.code))
}

/// Returns the URL that an error about a rejected domain names: newer clients report the URL that they
/// checked.
pub(super) fn refused_address(text: &str) -> Option<&str> {
    let row = ErrorText::read(text).row(&ROWS[0])?;
    names_domain(&row.cause).then(|| address_in(text)).flatten()
}

/// Returns the URL that a newer client reports as checked, `realAuthUrl`: a string or a list, in JSON or in
/// console output, possibly escaped.
pub(super) fn checked_url(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let names = CHECKED_URL
        .iter()
        .flat_map(|name| lower.match_indices(name).map(|(at, _)| at + name.len()));
    names
        .take(MAX_NAMED)
        .map(|at| {
            let rest = text[at..]
                .chars()
                .take(MAX_CHECKED)
                .collect::<String>()
                .replace("\\/", "/")
                .replace("\\u0026", "&")
                .replace('\\', "");
            let value =
                rest.trim_start_matches(|c: char| c.is_whitespace() || "\"'`:：=>[(".contains(c));
            let quote = rest[..rest.len() - value.len()].chars().next_back();
            let end = match quote.filter(|quote| "\"'`".contains(*quote)) {
                Some(quote) => value.find(quote),
                None => value.find(|c: char| c.is_whitespace() || "\"'`,;]})".contains(c)),
            };
            let value = &value[..end.unwrap_or(value.len())];
            let is_escaped = value
                .get(..8)
                .is_some_and(|scheme| scheme.to_ascii_lowercase().contains("%3a"));
            if is_escaped {
                library_escaping::decoded(value)
            } else {
                value.trim().to_owned()
            }
        })
        .find(|value| host_of(value).is_some())
}

fn of_client(row: &ClientError, text: &str, page: &str, in_wecom: bool) -> Finding {
    let of_wecom = row.in_wecom().filter(|_| in_wecom);
    let cause = of_wecom.unwrap_or(&row.cause);
    let mut finding = Finding::new(Confidence::Likely, cause);
    let host = || host_of(address_in(text).unwrap_or(page));
    if let Some(host) = names_domain(cause).then(host).flatten() {
        let cause = &cause.cause;
        finding.cause = cause.followed_by(&format!(": {host}"), &format!("：{host}"));
    }
    finding
}

fn names_domain(cause: &Cause) -> bool {
    ["domain_not_bound", "trusted_domain_mismatch"].contains(&cause.code)
}

/// Returns the first URL in the text that is not a page of WeChat's documentation.
fn address_in(text: &str) -> Option<&str> {
    let starts = text.match_indices("http").map(|(at, _)| &text[at..]);
    let addresses = starts
        .filter(|rest| rest.starts_with("http://") || rest.starts_with("https://"))
        .map(|rest| {
            let is_end = |c: char| {
                c.is_whitespace() || c.is_control() || "\"'`<>()[]{}\\|,;，。；、）".contains(c)
            };
            &rest[..rest.find(is_end).unwrap_or(rest.len())]
        });
    addresses
        .filter(|address| !EXPLAINING.iter().any(|host| address.contains(host)))
        .find(|address| host_of(address).is_some())
}

/// Returns the host, with the port if it is not the scheme's default.
fn host_of(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let host = url.host_str()?;
    Some(
        url.port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
    )
}

/// A text prepared for a comparison that ignores case, blanks, `_` and full-width characters.
struct ErrorText {
    /// Lower case and half width.
    folded: String,
    /// The same without blanks and `_`; line ends are kept.
    squashed: String,
    /// The system that answered, then the other one.
    systems: [System; 2],
}

impl ErrorText {
    fn read(text: &str) -> Self {
        let folded = folded(text);
        let squashed = squashed(&folded);
        let mut of_wecom = OF_WECOM.iter().chain(&WECOMS_OWN);
        let systems = if of_wecom.any(|word| folded.contains(word)) {
            WECOM_FIRST
        } else {
            [System::Weixin, System::Qyapi]
        };
        Self {
            folded,
            squashed,
            systems,
        }
    }

    fn row(&self, rows: &[Row]) -> Option<&'static ClientError> {
        rows.iter()
            .find(|row| row.when.iter().any(|all| self.has_all(all)))
            .map(|row| row.error)
    }

    fn has_all(&self, parts: &[Part]) -> bool {
        parts.iter().all(|part| self.has(part))
    }

    fn has(&self, part: &Part) -> bool {
        match part {
            Part::Words(words) => self.squashed.contains(words),
            Part::Number(number) => self.numbers().any(|one| one == *number),
            Part::Named(before, after) => self.squashed.match_indices(before).any(|(at, _)| {
                let rest = &self.squashed[at + before.len()..];
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric());
                let name = rest[..end.unwrap_or(rest.len())].find(after);
                name.is_some_and(|length| length > 0)
            }),
            Part::Ending(words) => self.squashed.match_indices(words.as_str()).any(|(at, _)| {
                let rest = &self.squashed[at + words.len()..];
                // Looks no further than to the first letter: the words may occur thousands of times.
                let mut rest = rest.chars().take_while(|c| !"\n\"'".contains(*c));
                !rest.any(char::is_alphanumeric)
            }),
        }
    }

    fn numbers(&self) -> impl Iterator<Item = i64> {
        let digits = self.folded.split(|c: char| !c.is_ascii_digit());
        digits.filter_map(|digits| digits.parse().ok())
    }

    /// Explains a response of WeChat's servers, which names its errcode. The client's own numbers are rows
    /// of the table.
    fn errcode(&self) -> Option<Finding> {
        self.named_errcodes()
            .filter(|errcode| *errcode > 0 && !is_of_client(*errcode))
            .find_map(|errcode| self.of_errcode(errcode))
    }

    /// Returns the numbers that directly follow the name `errcode`.
    fn named_errcodes(&self) -> impl Iterator<Item = i64> {
        self.squashed.split("errcode").skip(1).filter_map(|rest| {
            let rest = rest.trim_start_matches(['"', '\'', '\\', ':', '=', '>', ' ']);
            let end = rest
                .char_indices()
                .find(|(at, c)| !(c.is_ascii_digit() || (*at == 0 && *c == '-')))
                .map_or(rest.len(), |(at, _)| at);
            rest[..end].parse().ok()
        })
    }

    /// Explains the first number that is an errcode.
    fn number(&self) -> Option<Finding> {
        let busy = self.named_errcodes().filter(|errcode| *errcode == -1);
        self.numbers()
            .take(MAX_NUMBERS)
            .filter(|errcode| *errcode > 0)
            .chain(busy)
            .find_map(|errcode| self.of_errcode(errcode))
    }

    /// Explains an errmsg whose errcode is missing.
    fn sentence(&self) -> Option<Finding> {
        self.systems.into_iter().find_map(|system| {
            let is_said = |sentence: &str| self.squashed.contains(&squashed(sentence));
            by_errmsg(system, is_said).and_then(|errcode| of_server(system, errcode))
        })
    }

    fn of_errcode(&self, errcode: i64) -> Option<Finding> {
        let mut systems = self.systems.into_iter();
        systems.find_map(|system| of_server(system, errcode))
    }
}

/// Explains an errcode of a call with a token; if no such call gets it, of any other call.
fn of_server(system: System, errcode: i64) -> Option<Finding> {
    let rows = || all().filter(|(of, _, code, _)| (*of, *code) == (system, errcode));
    let with_token = |auth: &_| matches!(auth, None | Some(CallAuth::WithToken));
    let row = rows().find(|(_, auth, ..)| with_token(auth));
    let (.., advice) = row.or_else(|| rows().next())?;
    Some(of_advice(advice))
}

fn of_advice(advice: &Advice) -> Finding {
    Finding {
        cause: advice.cause.clone(),
        fix: advice.fix.clone(),
        ..Finding::new(Confidence::Likely, &v::ERRCODE)
    }
}

fn is_of_client(errcode: i64) -> bool {
    let mut parts = ROWS[0].iter().flat_map(|row| row.when.iter().flatten());
    parts.any(|part| *part == Part::Number(errcode))
}

/// Converts full-width characters to half width and to lower case.
fn folded(text: &str) -> String {
    let half_width = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        '。' => '.',
        '、' => ',',
        '“' | '”' | '「' | '」' => '"',
        '‘' | '’' => '\'',
        _ => c,
    };
    text.chars()
        .map(half_width)
        .flat_map(char::to_lowercase)
        .collect()
}

fn squashed(folded: &str) -> String {
    let is_nothing = |c: &char| {
        c.is_whitespace() && *c != '\n' || matches!(c, '_' | '\u{200b}'..='\u{200f}' | '\u{feff}')
    };
    folded.chars().filter(|c| !is_nothing(c)).collect()
}

/// A row of the table, parsed.
struct Row {
    error: &'static ClientError,
    /// Alternatives; all parts of one must match.
    when: Vec<Vec<Part>>,
}

#[derive(PartialEq)]
enum Part {
    Words(String),
    Number(i64),
    /// A name stands between the two.
    Named(String, String),
    /// Only punctuation follows on the line or within the quotes.
    Ending(String),
}

impl Part {
    fn is_number(&self) -> bool {
        matches!(self, Self::Number(_))
    }

    fn read(part: &str) -> Self {
        if let Some(number) = part
            .strip_prefix('#')
            .and_then(|number| number.parse().ok())
        {
            return Self::Number(number);
        }
        let words = squashed(&folded(part.trim_end_matches('$')));
        if let Some((before, after)) = words.split_once('*') {
            return Self::Named(before.to_owned(), after.to_owned());
        }
        if part.ends_with('$') {
            Self::Ending(words)
        } else {
            Self::Words(words)
        }
    }
}

const WECOM_FIRST: [System; 2] = [System::Qyapi, System::Weixin];

const CHECKED_URL: [&str; 2] = ["realauthurl", "real_auth_url"];

/// The maximum URL length of the signing endpoint, plus room for escapes.
const MAX_CHECKED: usize = 32 * 1024;

/// Bounds the cost of a text that repeats the name thousands of times.
const MAX_NAMED: usize = 4;

/// Bounds the numbers of a text that are looked up. A log has some per line.
const MAX_NUMBERS: usize = 2_000;

/// The known errors, and the texts that are only recognised as a rejection.
static ROWS: LazyLock<[Vec<Row>; 2]> = LazyLock::new(|| {
    [TABLE, REFUSED].map(|rows| {
        let read = |error: &'static ClientError| Row {
            error,
            when: error
                .when
                .iter()
                .map(|all| all.split(" & ").map(Part::read).collect())
                .collect(),
        };
        rows.iter().map(read).collect()
    })
});

/// Longer lines are code or data, not a person's description.
const MAX_PROSE: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> &'static str {
        explained(text).map_or("", |finding| finding.code)
    }

    #[test]
    fn each_row_matches_its_own_text() {
        for row in TABLE {
            for when in row.when {
                let text = when.replace(" & ", " ").replace(['#', '$'], "");
                let text = text.replace('*', "name");
                for text in [
                    text.to_uppercase(),
                    text.replace(':', "： "),
                    format!("\"{text}\"。"),
                ] {
                    assert_eq!(code(&text), row.cause.code, "{text}");
                }
            }
        }
    }

    #[test]
    fn an_unknown_refusal_text_is_not_taken_for_a_known_one() {
        for (text, wanted) in [
            ("config:fail, something new", "config_refused"),
            ("config:fail", "config_field_missing"),
            ("scanQRCode:fail", "call_failed"),
            ("uploadImage:fail: something new", "call_failed"),
            ("something new", ""),
            ("Can't find variable: wxUser", ""),
            ("e.done is not a function at https://wx.qq.com/a.js", ""),
        ] {
            assert_eq!(code(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_number_that_is_not_an_errcode_is_not_explained() {
        assert_eq!(explained("at 2019-12-04 15:50:27"), None);
        assert_eq!(explained(""), None);
    }
}
