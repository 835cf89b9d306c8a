//! The client's half: what the WeChat app does when a page calls `wx.config`.
//!
//! The client takes the page's address from its web view, asks WeChat, and answers `preVerifyJSAPI:…`. Here the page says which
//! address that is. The hash is computed in this file on its own, so that a mistake in the signer cannot hide in its judge.

use std::fmt::Write as _;

use serde::{Deserialize, Deserializer, Serialize};
use sha1::{Digest as _, Sha1};
use url::{Host, Url};

use crate::clock::UnixTime;

use super::world::{Running, World};

/// What a page handed to `wx.config`, and where it did so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PreVerify {
    /// `appId` of the config.
    pub app_id: String,
    /// `timestamp` of the config; in JSON a string or a number, as jweixin takes both.
    #[serde(deserialize_with = "text_or_number")]
    pub timestamp: String,
    /// `nonceStr` of the config.
    pub nonce_str: String,
    /// `signature` of the config.
    pub signature: String,
    /// `location.href` when `wx.config` was called.
    pub url: String,
    /// `location.href` when the page was loaded, if `history.pushState` has changed it since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landing_url: Option<String>,
    /// Which client judges.
    pub client: Client,
    /// `jsApiList` of the config; its absence is a mistake, its being empty is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub js_api_list: Option<Vec<String>>,
}

/// The clients differ in which address they check after `history.pushState`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Client {
    /// Checks the current address.
    #[default]
    Android,
    /// Checks the landing address: the one the page was loaded with.
    Ios,
    /// Checks the current address.
    Devtools,
    /// Checks the current address.
    Desktop,
}

/// What the client answers to the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// `preVerifyJSAPI:ok`, or the reason in WeChat's words.
    pub err_msg: String,
    /// The address the signature was checked against.
    #[serde(rename = "checkedUrl")]
    pub checked_url: String,
    /// Why it was refused, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// A sentence in two languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// In English.
    pub en: String,
    /// In Chinese.
    pub zh: String,
}

impl Verdict {
    /// Whether the page's `wx.ready` runs.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.err_msg == "preVerifyJSAPI:ok"
    }
}

impl World {
    /// Judges as WeChat does: the fields, the app, its domains, then the signature.
    pub(super) fn verify(&self, page: &PreVerify, now: UnixTime) -> Verdict {
        let checked_url = page.checked_url();
        let (err_msg, reason) = match self.judge(page, checked_url, now) {
            Ok(()) => ("preVerifyJSAPI:ok", None),
            Err((err_msg, reason)) => (err_msg, Some(reason)),
        };
        Verdict { err_msg: err_msg.to_owned(), checked_url: checked_url.to_owned(), reason }
    }

    fn judge(&self, page: &PreVerify, url: &str, now: UnixTime) -> Result<(), (&'static str, Reason)> {
        if let Some(field) = page.missing_field() {
            return Err((FAIL, Reason::missing(field)));
        }
        let running = self.app(&page.app_id).ok_or_else(|| (INVALID_APPID, Reason::unknown_app(&page.app_id)))?;
        if !running.app.safe_domains.iter().any(|domain| covers(domain, url)) {
            return Err((INVALID_DOMAIN, Reason::unbound(url, &running.app.safe_domains)));
        }
        if running.jsapi_tickets(now).any(|ticket| page.fits(ticket, url)) {
            return Ok(());
        }
        Err((INVALID_SIGNATURE, self.why_unsigned(running, page, url, now)))
    }

    /// Tries what people get wrong most often and names the one that fits.
    fn why_unsigned(&self, running: &Running, page: &PreVerify, url: &str, now: UnixTime) -> Reason {
        let fits_living = |other: &str| running.jsapi_tickets(now).any(|ticket| page.fits(ticket, other));
        let mut others = self.apps.iter().filter(|other| other.app.app_id != running.app.app_id);
        let jsapi = running.tickets.get("jsapi");
        match () {
            () if jsapi.is_none() => Reason::no_ticket(),
            () if fits_living(page.full_url()) => Reason::fragment(),
            () if [Some(page.url.as_str()), page.landing_url.as_deref()].iter().flatten().any(|u| fits_living(cut(u))) => {
                Reason::other_url(page.client, url)
            }
            () if jsapi.is_some_and(|lineage| lineage.dead(now).any(|ticket| page.fits(ticket, url))) => Reason::dead_ticket(),
            () if others.any(|other| other.jsapi_tickets(now).any(|ticket| page.fits(ticket, url))) => Reason::other_app(),
            () => Reason::mismatch(url),
        }
    }
}

impl Running {
    fn jsapi_tickets(&self, now: UnixTime) -> impl Iterator<Item = &str> {
        self.tickets.get("jsapi").into_iter().flat_map(move |lineage| lineage.accepted(now))
    }
}

impl PreVerify {
    /// The address that counts for this client, before it is cut at `#`.
    fn full_url(&self) -> &str {
        match (self.client, &self.landing_url) {
            (Client::Ios, Some(landing)) => landing,
            _ => &self.url,
        }
    }

    fn checked_url(&self) -> &str {
        cut(self.full_url())
    }

    /// jweixin turns a missing timestamp into the text "undefined".
    fn missing_field(&self) -> Option<&'static str> {
        let fields = [
            ("appId", self.app_id.as_str()),
            ("timestamp", self.timestamp.as_str()),
            ("nonceStr", self.nonce_str.as_str()),
            ("signature", self.signature.as_str()),
            ("jsApiList", if self.js_api_list.is_some() { "given" } else { "" }),
        ];
        fields.into_iter().find(|(_, value)| value.is_empty() || *value == "undefined").map(|(name, _)| name)
    }

    fn fits(&self, ticket: &str, url: &str) -> bool {
        let text = format!("jsapi_ticket={ticket}&noncestr={}&timestamp={}&url={url}", self.nonce_str, self.timestamp);
        Sha1::digest(text).iter().fold(String::with_capacity(40), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }) == self.signature
    }
}

/// The address without its fragment.
fn cut(url: &str) -> &str {
    url.split('#').next().unwrap_or_default()
}

/// Whether a bound domain, `example.com` or `example.com/path`, covers this address: the host itself or one under it. WeChat takes
/// only the ports 80 and 443; the sandbox takes any, as it cannot have those two.
fn covers(domain: &str, url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let (host, path) = domain.split_at(domain.find('/').unwrap_or(domain.len()));
    let (Ok(bound), Some(actual)) = (Host::parse(host), url.host()) else { return false };
    matches!(url.scheme(), "http" | "https") && covers_host(&bound, &actual) && covers_path(path, url.path())
}

fn covers_host(bound: &Host, actual: &Host<&str>) -> bool {
    match (bound, actual) {
        (Host::Domain(bound), Host::Domain(actual)) => {
            actual == bound
                || (bound.contains('.') && actual.strip_suffix(bound.as_str()).is_some_and(|sub| sub.ends_with('.')))
        }
        (bound, actual) => bound.to_string() == actual.to_string(),
    }
}

fn covers_path(bound: &str, actual: &str) -> bool {
    let bound = bound.trim_end_matches('/');
    actual.strip_prefix(bound).is_some_and(|rest| bound.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

fn text_or_number<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a string or a whole number")]
    enum Either {
        Text(String),
        Number(i64),
    }
    Ok(match Either::deserialize(value)? {
        Either::Text(text) => text,
        Either::Number(number) => number.to_string(),
    })
}

impl Reason {
    fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { en: en.into(), zh: zh.into() }
    }

    fn missing(field: &str) -> Self {
        Self::new(format!("wx.config was called without {field}"), format!("wx.config 缺少参数 {field}"))
    }

    fn unknown_app(app_id: &str) -> Self {
        Self::new(format!("the sandbox knows no app {app_id}"), format!("沙箱中没有 AppID {app_id}"))
    }

    fn unbound(url: &str, domains: &[String]) -> Self {
        let domains = domains.join(", ");
        Self::new(
            format!("{url} is not on a JS safe domain of this app; bound are: {domains}"),
            format!("{url} 不在该公众号的 JS 接口安全域名之下，已绑定：{domains}"),
        )
    }

    fn no_ticket() -> Self {
        Self::new("this app has never been given a jsapi ticket", "该公众号还没有取过 jsapi_ticket")
    }

    fn fragment() -> Self {
        Self::new("the signed URL still holds the part after #", "签名用的 URL 没有去掉 # 及其后面的部分")
    }

    fn other_url(client: Client, url: &str) -> Self {
        match client {
            Client::Ios => Self::new(
                format!("iOS checks the address the page was loaded with, {url}, and another was signed"),
                format!("iOS 校验的是页面首次加载时的地址 {url}，签名用的却是另一个地址"),
            ),
            _ => Self::new(
                format!("this client checks the current address, {url}, and another was signed"),
                format!("该客户端校验的是当前地址 {url}，签名用的却是另一个地址"),
            ),
        }
    }

    fn dead_ticket() -> Self {
        Self::new("it was signed with a jsapi ticket that is over", "签名用的 jsapi_ticket 已失效")
    }

    fn other_app() -> Self {
        Self::new("it was signed with the jsapi ticket of another app", "签名用的是另一个 AppID 的 jsapi_ticket")
    }

    fn mismatch(url: &str) -> Self {
        Self::new(
            format!("the signature is not that of {url} with this nonceStr and timestamp and a living ticket of this app"),
            format!("签名与 {url}、该 nonceStr、timestamp 以及有效的 jsapi_ticket 不符"),
        )
    }
}

/// A required field is missing. The page sees `config:fail`.
const FAIL: &str = "preVerifyJSAPI:fail";
/// The wording of phones is not known; the developer tools say "AppID 不合法".
const INVALID_APPID: &str = "preVerifyJSAPI:fail_invalid appid";
/// The page sees `config:invalid url domain`.
const INVALID_DOMAIN: &str = "preVerifyJSAPI:fail_invalid url domain";
/// The page sees `config:invalid signature`.
const INVALID_SIGNATURE: &str = "preVerifyJSAPI:fail_invalid signature";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_official_example_fits_its_signature_and_no_other() {
        let ticket = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";
        let page = PreVerify {
            nonce_str: "Wm3WZYTPz0wzccnW".into(),
            timestamp: "1414587457".into(),
            signature: "0f9de62fce790f9a083d5c99e95740ceb90c27ed".into(),
            ..PreVerify::default()
        };
        assert!(page.fits(ticket, "http://mp.weixin.qq.com?params=value"));
        assert!(!page.fits(ticket, "http://mp.weixin.qq.com/?params=value"));
        assert!(!page.fits("", "http://mp.weixin.qq.com?params=value"));
    }

    #[test]
    fn a_domain_covers_itself_and_what_is_under_it() {
        for url in ["https://example.com", "http://example.com:8080/p", "https://a.b.example.com/p?q", "https://EXAMPLE.com/"] {
            assert!(covers("example.com", url), "{url}");
        }
        for url in [
            "https://evilexample.com/",
            "https://example.com.evil.com/",
            "https://com/",
            "ftp://example.com/",
            "example.com",
            "",
        ] {
            assert!(!covers("example.com", url), "{url}");
        }
    }

    #[test]
    fn a_name_without_a_dot_and_an_address_cover_only_themselves() {
        assert!(covers("localhost", "http://localhost:8080/") && !covers("localhost", "http://a.localhost/"));
        assert!(covers("127.0.0.1", "http://127.0.0.1:8080/") && !covers("127.0.0.1", "http://127.0.0.2/"));
        assert!(covers("[::1]", "http://[::1]:8080/"));
    }

    #[test]
    fn a_domain_with_a_path_covers_only_that_path() {
        assert!(
            covers("example.com/shop", "https://example.com/shop/1") && covers("example.com/shop/", "https://example.com/shop")
        );
        assert!(!covers("example.com/shop", "https://example.com/shopping"));
        assert!(!covers("example.com/shop", "https://example.com/"));
    }

    #[test]
    fn a_domain_in_chinese_covers_its_punycode() {
        assert!(covers("例子.cn", "https://xn--fsqu00a.cn/"));
    }
}
