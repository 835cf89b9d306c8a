//! Parses the query of a signing request strictly: a mistake in it would only appear on the phone, as
//! `config:invalid signature` without a cause.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};

use super::Problem;
use crate::broker::ConfigOptions;
use crate::error::{PageError, ProblemCode, Text};
use crate::sign::{PageUrl, Warning, before_fragment};

/// The query `?url=&account=&jsApiList=&openTagList=&debug=`.
#[derive(Debug)]
pub struct ConfigQuery<'q> {
    pub(super) url: PageUrl,
    /// Empty for the default account.
    pub(super) account: Cow<'q, str>,
    pub(super) options: ConfigOptions,
}

/// The known parameters. Others are ignored (`_=1700000000` against caches), unless they look like the
/// rest of a page address that was not encoded. A name that differs from a known one in case or by an
/// underscore gets a warning.
const KNOWN: [&str; 5] = ["url", "account", "jsApiList", "openTagList", "debug"];

/// Several times the number of names that WeChat has.
const MAX_NAMES: usize = 200;

/// The longest name of WeChat has 24 characters.
const MAX_NAME: usize = 64;

impl<'q> ConfigQuery<'q> {
    /// Parses the raw query in one pass. Percent-encoding is decoded exactly once.
    pub(super) fn parse(raw: &'q str) -> Result<Self, Problem> {
        let (mut url, mut account, mut debug) = (None, None, None);
        let mut options = ConfigOptions::default();
        let (mut apis, mut tags) = (0, 0);
        let mut has_stray = false;
        check_count(raw)?;
        for (name, value) in pairs(raw) {
            match name.as_ref() {
                "url" => once(&mut url, "url", value)?,
                "account" => once(&mut account, "account", value)?,
                "debug" => once(&mut debug, "debug", value)?,
                other => match list_name(other) {
                    Some(known @ "jsApiList") => {
                        add_names(&mut options.js_api_list, &mut apis, known, &value)?;
                    }
                    Some(known) => {
                        add_names(&mut options.open_tag_list, &mut tags, known, &value)?;
                    }
                    None => match misspelt(other) {
                        Some(known) => {
                            options.warning = Some(Warning::parameter_ignored(other, known));
                        }
                        None => has_stray |= !other.is_empty(),
                    },
                },
            }
        }
        if has_stray && is_bare(raw) {
            return Err(Problem::url_not_encoded());
        }
        let mut url = url.unwrap_or_default().into_owned();
        url.truncate(before_fragment(&url).len());
        let url = PageUrl::from_text(url).map_err(|error| match error {
            // An encoded address has no blanks; a bare one that contains '+' has blanks after decoding.
            PageError::Blank if is_bare(raw) => Problem::url_not_encoded(),
            error => error.into(),
        })?;
        options.debug = debug.map_or(Ok(false), |text| flag(&text))?;
        Ok(Self {
            url,
            account: account.unwrap_or_default(),
            options,
        })
    }
}

/// Returns the name of a list parameter in any spelling of client libraries: `jsApiList`, `jsApiList[]`,
/// `jsApiList[0]`.
fn list_name(name: &str) -> Option<&str> {
    let plain = match name.split_once('[') {
        Some((plain, index)) if index.ends_with(']') => plain,
        Some(_) => return None,
        None => name,
    };
    ["jsApiList", "openTagList"]
        .contains(&plain)
        .then_some(plain)
}

/// Returns the parameter that `name` was probably meant to be: `jsapilist`, `js_api_list`.
fn misspelt(name: &str) -> Option<&'static str> {
    let is_letter = |byte: &u8| !b"_-".contains(byte);
    let plain = || {
        name.bytes()
            .take_while(|byte| *byte != b'[')
            .filter(is_letter)
    };
    KNOWN.into_iter().find(|known| {
        let same = |(a, b): (u8, u8)| a.eq_ignore_ascii_case(&b);
        plain().count() == known.len() && plain().zip(known.bytes()).all(same)
    })
}

/// Rejects a repeated parameter, whose value is ambiguous.
fn once<'q>(
    place: &mut Option<Cow<'q, str>>,
    name: &'static str,
    value: Cow<'q, str>,
) -> Result<(), Problem> {
    match place.replace(value) {
        Some(_) => Err(Problem::new(
            ProblemCode::DuplicateParameter,
            format!("the parameter {name} appears twice"),
            Text::new(
                "Send each parameter once. If the second one belongs to the page's URL, the URL was not encoded: 'url=' + encodeURIComponent(location.href).",
                "每个参数只传一次。如果多出来的那个属于页面地址，说明地址没有编码：'url=' + encodeURIComponent(location.href)。",
            ),
        )),
        None => Ok(()),
    }
}

/// The query `?cardId=&code=&openid=&outer_str=&fixed_begintimestamp=&shopId=&cardType=&account=`, with
/// WeChat's names.
#[derive(Debug, Default)]
pub(super) struct CardQuery {
    pub(super) account: String,
    pub(super) card_id: String,
    pub(super) code: String,
    pub(super) openid: String,
    pub(super) shop_id: String,
    pub(super) card_type: String,
    pub(super) outer_str: Option<String>,
    pub(super) fixed_begintimestamp: Option<u64>,
}

/// All parameters of a card query, in the order in which [`CardQuery::parse`] takes them.
const CARD: [&str; 8] = [
    "account",
    "cardId",
    "code",
    "openid",
    "shopId",
    "cardType",
    "outer_str",
    "fixed_begintimestamp",
];

/// WeChat's ids and codes have up to 32 characters, `outer_str` up to 128.
const MAX_CARD_FIELD: usize = 128;

impl CardQuery {
    pub(super) fn parse(raw: &str) -> Result<Self, Problem> {
        let mut values: [Option<Cow<'_, str>>; CARD.len()] = CARD.map(|_| None);
        check_count(raw)?;
        for (name, value) in pairs(raw) {
            let Some(at) = CARD.iter().position(|known| *known == name) else {
                continue;
            };
            if !is_card_field(&value) {
                return Err(bad_card(CARD[at]));
            }
            once(&mut values[at], CARD[at], value)?;
        }
        let [
            account,
            card_id,
            code,
            openid,
            shop_id,
            card_type,
            outer_str,
            fixed_begintimestamp,
        ] = values.map(|value| value.filter(|text| !text.is_empty()).map(Cow::into_owned));
        let fixed_begintimestamp = fixed_begintimestamp
            .map(|text| text.parse().map_err(|_| bad_card("fixed_begintimestamp")));
        Ok(Self {
            account: account.unwrap_or_default(),
            card_id: card_id.unwrap_or_default(),
            code: code.unwrap_or_default(),
            openid: openid.unwrap_or_default(),
            shop_id: shop_id.unwrap_or_default(),
            card_type: card_type.unwrap_or_default(),
            outer_str,
            fixed_begintimestamp: fixed_begintimestamp.transpose()?,
        })
    }
}

fn is_card_field(text: &str) -> bool {
    text.chars().count() <= MAX_CARD_FIELD && !text.chars().any(char::is_control)
}

fn bad_card(name: &str) -> Problem {
    Problem::new(
        ProblemCode::BadCard,
        format!("{name} is too long, or not of the expected type"),
        Text::new(
            "Send ids and codes as given by WeChat; fixed_begintimestamp is a number of seconds.",
            "卡券 ID、code 等应为微信给出的短文本，fixed_begintimestamp 为秒级时间戳。",
        ),
    )
}

/// Refuses a query with more than [`MAX_PARAMETERS`].
pub(crate) fn check_count(raw: &str) -> Result<(), Problem> {
    if !has_too_many_parameters(raw) {
        return Ok(());
    }
    Err(Problem::new(
        ProblemCode::BadQuery,
        format!("the query has more than {MAX_PARAMETERS} parameters"),
        Text::new(
            "Send this endpoint's parameters only. If the others belong to the page's URL, encode it: 'url=' + encodeURIComponent(location.href).",
            "只传本接口的参数；如果多出来的属于页面地址，请先编码：'url=' + encodeURIComponent(location.href)。",
        ),
    ))
}

/// Returns whether a query has more than [`MAX_PARAMETERS`], empty ones included.
pub(crate) fn has_too_many_parameters(raw: &str) -> bool {
    let mut separators = memchr_iter(b'&', raw.as_bytes());
    raw.len() >= MAX_PARAMETERS && separators.nth(MAX_PARAMETERS - 1).is_some()
}

/// Maximum number of parameters: a request line of 64 KB has room for tens of thousands, which take tens of
/// milliseconds. 200 names may be given one by one ([`MAX_NAMES`]).
pub(crate) const MAX_PARAMETERS: usize = 256;

/// Returns the account that a query names, ignoring everything else in it. Empty if it names none.
pub fn account_of(raw: &str) -> Cow<'_, str> {
    value(raw, "account").unwrap_or_default()
}

/// Returns the first value of a parameter.
pub(crate) fn value<'q>(raw: &'q str, name: &str) -> Option<Cow<'q, str>> {
    let mut pairs = pairs(raw);
    pairs.find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Returns the first value of a parameter, trimmed; `None` if it is missing or empty.
pub(crate) fn trimmed_value<'q>(raw: &'q str, name: &str) -> Option<Cow<'q, str>> {
    let value = value(raw, name)?;
    match value.trim() {
        "" => None,
        trimmed if trimmed.len() == value.len() => Some(value),
        trimmed => Some(Cow::Owned(trimmed.to_owned())),
    }
}

/// Returns the decoded names and values of an `application/x-www-form-urlencoded` query: of the first
/// [`MAX_PARAMETERS`].
fn pairs(raw: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let mut rest = Some(raw);
    std::iter::from_fn(move || {
        let (one, behind) = cut(rest?, b'&');
        rest = behind;
        Some(pair(one))
    })
    .take(MAX_PARAMETERS)
}

/// Returns the decoded name and value of one `name=value`.
pub(crate) fn pair(raw: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    let (name, value) = cut(raw, b'=');
    (decode(name), decode(value.unwrap_or_default()))
}

/// Splits at the first `separator`, an ASCII character.
fn cut(text: &str, separator: u8) -> (&str, Option<&str>) {
    match memchr(separator, text.as_bytes()) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Decodes form encoding once, as `form_urlencoded` does but in a fraction of its time. A `%` without two digits
/// stands for itself; bytes that are not UTF-8 become U+FFFD.
fn decode(text: &str) -> Cow<'_, str> {
    if memchr2(b'%', b'+', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    // A page's address has an escape every few bytes: copying each run between two of them would cost more.
    while let [byte, after @ ..] = rest {
        rest = after;
        decoded.push(match (byte, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            (byte, _) => *byte,
        });
    }
    Cow::Owned(
        String::from_utf8(decoded)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}

fn digit(byte: u8) -> Option<u8> {
    HEX[usize::from(byte)]
}

/// The value of each byte as a hexadecimal digit.
const HEX: [Option<u8>; 256] = {
    let mut values = [None; 256];
    let mut digit = 0;
    while digit < 16 {
        values[b"0123456789abcdef"[digit] as usize] = Some(digit as u8);
        values[b"0123456789ABCDEF"[digit] as usize] = Some(digit as u8);
        digit += 1;
    }
    values
};

/// Returns whether the value of `url` is not encoded: `url=http://…`.
fn is_bare(raw: &str) -> bool {
    raw.split('&').any(|pair| {
        pair.strip_prefix("url=")
            .is_some_and(|value| value.contains("://"))
    })
}

/// Adds the names of one occurrence of a list: comma-separated, or a JSON array. Repeated and empty names
/// are `given` too: each is compared with the others.
fn add_names(
    list: &mut Option<Vec<String>>,
    given: &mut usize,
    parameter: &str,
    text: &str,
) -> Result<(), Problem> {
    let names = list.get_or_insert_default();
    let more: Vec<Cow<'_, str>> = match text.trim_start().starts_with('[') {
        true => serde_json::from_str(text)
            .map_err(|_| bad_list(parameter, "is not a JSON array of names"))?,
        false => text.split(',').map(Cow::Borrowed).collect(),
    };
    *given += more.len();
    if *given > MAX_NAMES {
        return Err(bad_list(parameter, "contains more than 200 names"));
    }
    for name in more.iter().map(|name| name.trim()) {
        if name.len() > MAX_NAME
            || !name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-:.".contains(&b))
        {
            return Err(bad_list(parameter, "contains an invalid interface name"));
        }
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    Ok(())
}

fn flag(text: &str) -> Result<bool, Problem> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" | "" => Ok(false),
        _ => Err(Problem::new(
            ProblemCode::BadFlag,
            "debug must be true or false",
            Text::new(
                "Send debug=true, or remove the parameter.",
                "请写 debug=true，或去掉这个参数。",
            ),
        )),
    }
}

fn bad_list(parameter: &str, what: &str) -> Problem {
    Problem::new(
        ProblemCode::BadList,
        format!("{parameter} {what}"),
        Text::new(
            "Send the names separated by commas (jsApiList=chooseImage,scanQRCode), as a JSON array or by repeating the parameter. Unknown names are allowed.",
            "请用逗号分隔接口名：jsApiList=chooseImage,scanQRCode，也可以传 JSON 数组或重复该参数。未知的接口名也可以传。",
        ),
    )
}

#[cfg(test)]
mod tests;
