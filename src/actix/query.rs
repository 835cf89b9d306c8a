//! The query of a signing request, read strictly: a mistake in it would come out on the phone as `config:invalid signature`,
//! where nobody can see why.

use std::borrow::Cow;

use super::problem::Problem;
use crate::error::{Error, Hint, PageError};
use crate::sign::PageUrl;

/// `?url=&account=&jsApiList=&openTagList=&debug=`.
#[derive(Debug)]
pub(super) struct ConfigQuery {
    pub(super) url: PageUrl,
    /// Empty: the default account.
    pub(super) account: String,
    pub(super) js_api_list: Option<Vec<String>>,
    pub(super) open_tag_list: Option<Vec<String>>,
    pub(super) debug: bool,
}

/// Everything that may stand in the query. Others are ignored (`_=1700000000` against caches), unless they look like the rest of
/// a page URL that was not encoded.
const KNOWN: [&str; 5] = ["url", "account", "jsApiList", "openTagList", "debug"];

/// As many names as WeChat has, several times over.
const MAX_NAMES: usize = 200;

/// The longest name WeChat has is 24 characters long.
const MAX_NAME: usize = 64;

impl ConfigQuery {
    /// Reads the raw query. Percent-encoding is undone exactly once.
    pub(super) fn parse(raw: &str) -> Result<Self, Problem> {
        let pairs = decode(raw);
        none_twice(&pairs, &KNOWN)?;
        let value = |name: &str| {
            pairs
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_ref())
        };
        let url = value("url").unwrap_or_default();
        if is_bare(raw) && pairs.iter().any(|(key, _)| !KNOWN.contains(&key.as_ref())) {
            return Err(Problem::url_not_encoded());
        }
        let url = PageUrl::parse(url).map_err(|error| match error {
            // An encoded address has no blanks: a bare one with a '+' in it has, after decoding.
            PageError::Blank if is_bare(raw) => Problem::url_not_encoded(),
            error => Error::Page(error).into(),
        })?;
        Ok(Self {
            url,
            account: value("account").unwrap_or_default().to_owned(),
            js_api_list: value("jsApiList")
                .map(|text| names("jsApiList", text))
                .transpose()?,
            open_tag_list: value("openTagList")
                .map(|text| names("openTagList", text))
                .transpose()?,
            debug: value("debug").map_or(Ok(false), flag)?,
        })
    }
}

/// `?cardId=&code=&openid=&outer_str=&fixed_begintimestamp=&shopId=&cardType=&account=`: the names that WeChat gives them.
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

/// Everything that may stand in a card's query.
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
        let pairs = decode(raw);
        none_twice(&pairs, &CARD)?;
        if let Some((name, _)) = pairs
            .iter()
            .find(|(name, text)| CARD.contains(&name.as_ref()) && !is_card_field(text))
        {
            return Err(bad_card(name));
        }
        let value = |name: &str| {
            pairs
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_ref())
        };
        let text = |name: &str| value(name).unwrap_or_default().to_owned();
        let fixed_begintimestamp = match value("fixed_begintimestamp") {
            None | Some("") => None,
            Some(text) => Some(text.parse().map_err(|_| bad_card("fixed_begintimestamp"))?),
        };
        Ok(Self {
            account: text("account"),
            card_id: text("cardId"),
            code: text("code"),
            openid: text("openid"),
            shop_id: text("shopId"),
            card_type: text("cardType"),
            outer_str: value("outer_str")
                .filter(|text| !text.is_empty())
                .map(str::to_owned),
            fixed_begintimestamp,
        })
    }
}

fn is_card_field(text: &str) -> bool {
    text.chars().count() <= MAX_CARD_FIELD && !text.chars().any(char::is_control)
}

fn bad_card(name: &str) -> Problem {
    Problem::bad_request(
        "bad_card",
        format!("{name} is too long or of the wrong kind"),
        Hint::fixed(
            "Ids and codes are short texts as WeChat gives them; fixed_begintimestamp is a number of seconds.",
            "卡券 ID、code 等应为微信给出的短文本，fixed_begintimestamp 为秒级时间戳。",
        ),
    )
}

/// Refuses a known parameter that is there twice: which of the two was meant?
fn none_twice(
    pairs: &[(Cow<'_, str>, Cow<'_, str>)],
    known: &[&'static str],
) -> Result<(), Problem> {
    let count = |name: &str| pairs.iter().filter(|(key, _)| key == name).count();
    match known.iter().find(|name| count(name) > 1) {
        Some(name) => Err(twice(name)),
        None => Ok(()),
    }
}

/// The account that a query names, where nothing else of it matters.
pub(super) fn account_of(raw: &str) -> String {
    decode(raw)
        .into_iter()
        .find(|(key, _)| key == "account")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

fn decode(raw: &str) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    serde_urlencoded::from_str(raw).unwrap_or_default()
}

/// Whether the value of `url` stands there as it is: `url=http://…`.
fn is_bare(raw: &str) -> bool {
    raw.split('&').any(|pair| {
        pair.strip_prefix("url=")
            .is_some_and(|value| value.contains("://"))
    })
}

fn names(parameter: &str, text: &str) -> Result<Vec<String>, Problem> {
    let mut names: Vec<String> = Vec::new();
    for name in text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        if name.len() > MAX_NAME
            || !name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-:.".contains(&b))
        {
            return Err(bad_list(
                parameter,
                "holds something that is no interface name",
            ));
        }
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        if names.len() > MAX_NAMES {
            return Err(bad_list(parameter, "holds more than 200 names"));
        }
    }
    Ok(names)
}

fn flag(text: &str) -> Result<bool, Problem> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" | "" => Ok(false),
        _ => Err(Problem::bad_request(
            "bad_flag",
            "debug is neither true nor false".into(),
            Hint::fixed(
                "Write debug=true or leave it out.",
                "请写 debug=true，或去掉这个参数。",
            ),
        )),
    }
}

fn twice(name: &str) -> Problem {
    Problem::bad_request(
        "duplicate_parameter",
        format!("the parameter {name} is there twice"),
        Hint::fixed(
            "Send each parameter once. If the second one belongs to the page's address, the address was not encoded: url=' + encodeURIComponent(location.href).",
            "每个参数只传一次。如果多出来的那个属于页面地址，说明地址没有编码：url=' + encodeURIComponent(location.href)。",
        ),
    )
}

fn bad_list(parameter: &str, what: &str) -> Problem {
    Problem::bad_request(
        "bad_list",
        format!("{parameter} {what}"),
        Hint::fixed(
            "Send the names separated by commas: jsApiList=chooseImage,scanQRCode. Unknown names are allowed.",
            "请用逗号分隔接口名：jsApiList=chooseImage,scanQRCode。未知的接口名也可以传。",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(raw: &str) -> &'static str {
        ConfigQuery::parse(raw).unwrap_err().code
    }

    #[test]
    fn the_address_is_decoded_once() {
        let query = ConfigQuery::parse(
            "url=https%3A%2F%2Fh.cn%2Fp%3Fa%3D%25E4%25B8%25AD%26b%3D1%252B1%23x",
        )
        .unwrap();
        assert_eq!(query.url.as_str(), "https://h.cn/p?a=%E4%B8%AD&b=1%2B1");
    }

    #[test]
    fn an_address_that_was_not_encoded_is_told_from_one_that_was() {
        assert_eq!(code("url=https://h.cn/p?a=1&b=2"), "url_not_encoded");
        assert_eq!(code("url=https://h.cn/p?a=1+2"), "url_not_encoded");
        assert_eq!(
            code("account=main&url=https://h.cn/&from=singlemessage"),
            "url_not_encoded"
        );
        assert!(
            ConfigQuery::parse("url=https://h.cn/p?a=1").is_ok(),
            "nothing was lost"
        );
        assert!(
            ConfigQuery::parse("url=https%3A%2F%2Fh.cn%2F&_=1700000000").is_ok(),
            "a cache buster is not part of the address"
        );
        assert_eq!(
            code("url=https%3A%2F%2Fh.cn%2F%3Fto%3Dhttps://x&b=2"),
            "url_not_encoded",
            "encodeURI is not enough"
        );
    }

    #[test]
    fn a_known_parameter_twice_is_refused() {
        for raw in [
            "url=https%3A%2F%2Fa.cn&url=https%3A%2F%2Fb.cn",
            "url=https%3A%2F%2Fa.cn&account=a&account=a",
            "url=http://a.cn/?debug=1&debug=0&debug=1",
        ] {
            assert_eq!(code(raw), "duplicate_parameter", "{raw}");
        }
    }

    #[test]
    fn lists_are_split_trimmed_and_freed_of_repetitions() {
        let query =
            ConfigQuery::parse("url=http%3A%2F%2Fh&jsApiList=scanQRCode,%20chooseImage,,scanQRCode&openTagList=wx-open-audio")
                .unwrap();
        assert_eq!(query.js_api_list.unwrap(), ["scanQRCode", "chooseImage"]);
        assert_eq!(query.open_tag_list.unwrap(), ["wx-open-audio"]);
        let query = ConfigQuery::parse("url=http%3A%2F%2Fh&jsApiList=").unwrap();
        assert_eq!(query.js_api_list.unwrap(), Vec::<String>::new());
        assert!(query.open_tag_list.is_none());
    }

    #[test]
    fn lists_that_nobody_means_are_refused() {
        assert_eq!(
            code(&format!(
                "url=http%3A%2F%2Fh&jsApiList={}",
                "a,".repeat(10) + &"b".repeat(65)
            )),
            "bad_list"
        );
        let many = (0..100_000)
            .map(|i| i.to_string())
            .collect::<Vec<_>>()
            .join(",");
        assert_eq!(
            code(&format!("url=http%3A%2F%2Fh&jsApiList={many}")),
            "bad_list"
        );
        assert_eq!(
            code("url=http%3A%2F%2Fh&jsApiList=%3Cscript%3E"),
            "bad_list"
        );
        assert_eq!(code("url=http%3A%2F%2Fh&openTagList=%FF"), "bad_list");
    }

    #[test]
    fn debug_is_a_flag() {
        for (raw, debug) in [
            ("debug=true", true),
            ("debug=1", true),
            ("debug=false", false),
            ("debug=", false),
            ("x=1", false),
        ] {
            assert_eq!(
                ConfigQuery::parse(&format!("url=http%3A%2F%2Fh&{raw}"))
                    .unwrap()
                    .debug,
                debug
            );
        }
        assert_eq!(code("url=http%3A%2F%2Fh&debug=yes"), "bad_flag");
    }
}
