//! Signing for the JS-SDK: computes what the phone recomputes, byte for byte.
//!
//! `signature = hex(sha1("jsapi_ticket=T&noncestr=N&timestamp=S&url=U"))`, where U is the page's
//! `location.href` up to its first `#`, otherwise unchanged.
//! Pure functions: they fetch no ticket, and never decode, encode or normalise a URL.

mod page;
mod warning;

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use sha1::{Digest, Sha1};

use crate::clock::UnixTime;
use crate::credential::Secret;
pub use crate::error::{MAX_PAGE_URL, PageError};
use crate::hex::write_hex;
pub use page::{PageUrl, before_fragment};
pub use warning::Warning;

/// Signs pages with an app ID and a valid ticket. The [crate's page](crate) has an example.
#[derive(Clone)]
pub struct Signer {
    app_id: Arc<str>,
    /// SHA-1 state after `jsapi_ticket=T&noncestr=`: the same for every page until the ticket changes.
    state: Sha1,
}

impl Signer {
    /// Creates a signer for `wx.config` (with the jsapi_ticket) or `wx.agentConfig` (with the agent ticket).
    pub fn new(app_id: impl Into<Arc<str>>, ticket: impl Into<Secret>) -> Self {
        let state = Sha1::new()
            .chain_update("jsapi_ticket=")
            .chain_update(ticket.into().expose())
            .chain_update("&noncestr=");
        Self {
            app_id: app_id.into(),
            state,
        }
    }

    /// Signs `page`. The result's lists are empty, and `debug` and `beta` are off; they are not part of the
    /// signature, so set them as the page needs. WeCom's pages need `beta`.
    pub fn sign(&self, page: &PageUrl, nonce: &str, timestamp: UnixTime) -> JsConfig {
        JsConfig {
            warning: page.warning(),
            ..self.sign_text(page.as_str(), nonce, timestamp)
        }
    }

    /// Like [`Signer::sign`], for a text that need not be a URL: used to compare with another backend's
    /// signature.
    pub fn sign_text(&self, url: &str, nonce: &str, timestamp: UnixTime) -> JsConfig {
        JsConfig {
            debug: false,
            beta: false,
            app_id: self.app_id.as_ref().to_owned(),
            timestamp,
            nonce_str: nonce.to_owned(),
            signature: self.signature(url, nonce, timestamp),
            js_api_list: Vec::new(),
            open_tag_list: Vec::new(),
            url: url.to_owned(),
            warning: None,
        }
    }

    /// Returns the signature over `url` as given: cut off the fragment first.
    pub fn signature(&self, url: &str, nonce: &str, timestamp: UnixTime) -> Signature {
        self.signature_of(nonce.as_bytes(), timestamp.to_string().as_bytes(), url)
    }

    /// Like [`Signer::signature`], with the timestamp as digits, which the caller also prints.
    pub(crate) fn signature_of(&self, nonce: &[u8], seconds: &[u8], url: &str) -> Signature {
        let mut state = self.state.clone();
        for part in [nonce, b"&timestamp=", seconds, b"&url=", url.as_bytes()] {
            state.update(part);
        }
        Signature(state.finalize().into())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("app_id", &self.app_id)
            .finish_non_exhaustive()
    }
}

/// A SHA-1 digest, printed as 40 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 20]);

impl Signature {
    /// Returns the printed form.
    pub(crate) fn hex(&self) -> [u8; 40] {
        let mut text = [0; 40];
        write_hex(&self.0, &mut text);
        text
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.hex()).expect("hex digits are ASCII"))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The object that `wx.config` takes, and that `ww.register`'s `getConfigSignature` may return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct JsConfig {
    /// Shows an alert with the result of every call on the phone. Never enable it in production.
    pub debug: bool,
    /// `true` for WeCom, whose SDK needs it for `wx.invoke`; omitted otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub beta: bool,
    /// The AppID, or WeCom's CorpID.
    pub app_id: String,
    /// When the signature was made, in seconds: a JSON number.
    pub timestamp: UnixTime,
    /// The nonce, spelled `noncestr` in the signed text and `nonceStr` here.
    pub nonce_str: String,
    /// 40 lower-case hex digits.
    pub signature: Signature,
    /// The interfaces that the page wants to call.
    pub js_api_list: Vec<String>,
    /// The open tags that the page wants to use.
    pub open_tag_list: Vec<String>,
    /// The URL that was signed, for debugging; the SDK ignores it.
    pub url: String,
    /// Why the phone will probably reject this signature although it is valid for `url`; the SDK ignores it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<Warning>,
}

/// The object that WeCom's `wx.agentConfig` takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentConfig {
    /// The CorpID. It must be the corp that the user is logged in to.
    pub corpid: String,
    /// The AgentId of the app whose ticket signed.
    pub agentid: String,
    /// When the signature was made, in seconds.
    pub timestamp: UnixTime,
    /// The nonce.
    pub nonce_str: String,
    /// The signature, made with the *agent* ticket, not the corp's ticket.
    pub signature: Signature,
    /// The interfaces that the page wants to call.
    pub js_api_list: Vec<String>,
}

impl AgentConfig {
    /// Renames the fields of `config` to those that `wx.agentConfig` takes.
    #[must_use]
    pub fn new(config: JsConfig, agent_id: u64) -> Self {
        Self {
            corpid: config.app_id,
            agentid: agent_id.to_string(),
            timestamp: config.timestamp,
            nonce_str: config.nonce_str,
            signature: config.signature,
            js_api_list: config.js_api_list,
        }
    }
}

/// The `cardExt` of one coupon in `wx.addCard`'s `cardList`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardExt {
    /// The card's ID. It is signed, but is a field of `cardList`, not of `cardExt`.
    pub card_id: String,
    /// The card's code, if the merchant assigns one.
    pub code: String,
    /// The only user who may take the card.
    pub openid: String,
    /// When the signature was made.
    pub timestamp: UnixTime,
    /// The nonce, at most 32 characters.
    pub nonce_str: String,
    /// Start of a fixed-term card. Not signed.
    pub fixed_begintimestamp: Option<u64>,
    /// The merchant's own label. Not signed.
    pub outer_str: Option<String>,
}

impl CardExt {
    /// Signs with the wx_card ticket and returns the JSON *text* that `cardExt` must be.
    pub fn sign(&self, ticket: &Secret) -> String {
        #[derive(Serialize)]
        struct Text<'a> {
            #[serde(skip_serializing_if = "str::is_empty")]
            code: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            openid: &'a str,
            timestamp: &'a str,
            nonce_str: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            fixed_begintimestamp: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            outer_str: Option<&'a str>,
            signature: Signature,
        }
        let timestamp = self.timestamp.to_string();
        let values = [
            ticket.expose(),
            &timestamp,
            &self.card_id,
            &self.code,
            &self.openid,
            &self.nonce_str,
        ];
        let text = Text {
            code: &self.code,
            openid: &self.openid,
            timestamp: &timestamp,
            nonce_str: &self.nonce_str,
            fixed_begintimestamp: self.fixed_begintimestamp,
            outer_str: self.outer_str.as_deref(),
            signature: card_signature(values),
        };
        serde_json::to_string(&text).expect("strings and numbers always serialise")
    }
}

/// The object that `wx.chooseCard` takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChooseCard {
    /// The shop's ID, or empty.
    pub shop_id: String,
    /// `GROUPON`, `CASH` …, or empty.
    pub card_type: String,
    /// The card's ID, or empty.
    pub card_id: String,
    /// When the signature was made.
    pub timestamp: UnixTime,
    /// The nonce.
    pub nonce_str: String,
    /// Always `SHA1`.
    pub sign_type: &'static str,
    /// The signature.
    pub card_sign: Signature,
}

impl ChooseCard {
    /// Signs a selection among the user's cards with the wx_card ticket of `app_id`.
    pub fn sign(
        ticket: &Secret,
        app_id: &str,
        filter: [&str; 3],
        nonce: &str,
        timestamp: UnixTime,
    ) -> Self {
        let [shop_id, card_id, card_type] = filter;
        let time = timestamp.to_string();
        let card_sign = card_signature([
            ticket.expose(),
            app_id,
            shop_id,
            &time,
            nonce,
            card_id,
            card_type,
        ]);
        Self {
            shop_id: shop_id.to_owned(),
            card_type: card_type.to_owned(),
            card_id: card_id.to_owned(),
            timestamp,
            nonce_str: nonce.to_owned(),
            sign_type: "SHA1",
            card_sign,
        }
    }
}

/// Returns the card signature: the SHA-1 of the non-empty values, sorted as byte strings and joined without
/// a separator.
pub fn card_signature<'a>(values: impl IntoIterator<Item = &'a str>) -> Signature {
    let mut values: Vec<_> = values
        .into_iter()
        .filter(|value| !value.is_empty())
        .collect();
    values.sort_unstable();
    let mut state = Sha1::new();
    for value in values {
        state.update(value);
    }
    Signature(state.finalize().into())
}

/// Returns a new nonce: 32 hex digits, 128 bits from the operating system's seeded CSPRNG. WeChat allows up
/// to 32 characters.
pub fn nonce() -> String {
    String::from_utf8(nonce_digits().to_vec()).expect("hex digits are ASCII")
}

/// Like [`nonce`], without an allocation.
pub(crate) fn nonce_digits() -> [u8; 32] {
    let mut text = [0; 32];
    write_hex(&rand::random::<u128>().to_be_bytes(), &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signer_prints_no_ticket() {
        assert_eq!(
            format!("{:?}", Signer::new("wx12ab", "the-ticket")),
            r#"Signer { app_id: "wx12ab", .. }"#
        );
    }

    #[test]
    fn nonces_are_32_characters_and_differ() {
        let nonces: std::collections::HashSet<_> = (0..1_000).map(|_| nonce()).collect();
        assert_eq!(nonces.len(), 1_000);
        assert!(
            nonces
                .iter()
                .all(|n| n.len() == 32 && n.bytes().all(|b| b.is_ascii_hexdigit()))
        );
    }

    #[test]
    fn the_answer_has_the_fields_of_wx_config() {
        let page = PageUrl::parse("https://example.com/#x").unwrap();
        let config = Signer::new("wx12ab", "t").sign(&page, "n", UnixTime(1_414_587_457));
        let json = serde_json::to_string(&config).unwrap();
        let signature = config.signature;
        assert_eq!(
            json,
            format!(
                r#"{{"debug":false,"appId":"wx12ab","timestamp":1414587457,"nonceStr":"n","signature":"{signature}","jsApiList":[],"openTagList":[],"url":"https://example.com/"}}"#
            )
        );
        let beta = serde_json::to_string(&JsConfig {
            beta: true,
            ..config
        })
        .unwrap();
        assert!(beta.contains(r#""beta":true"#));
    }
}
