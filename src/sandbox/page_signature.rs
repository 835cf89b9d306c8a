//! A signature and the values that a page passes to the client with it.
//!
//! The hash is computed independently of `sign`, so that a mistake there cannot go unnoticed here.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use sha1::{Digest as _, Sha1};

use crate::hex::hex;

/// Values from the page. The client knows the ticket and the URL.
pub(super) struct Signed<'a> {
    pub(super) nonce_str: &'a str,
    pub(super) timestamp: &'a str,
    pub(super) signature: &'a str,
}

impl Signed<'_> {
    /// Returns whether the signature was made with this ticket for this URL.
    pub(super) fn fits(&self, ticket: &str, url: &str) -> bool {
        let text = format!(
            "jsapi_ticket={ticket}&noncestr={}&timestamp={}&url={url}",
            self.nonce_str, self.timestamp
        );
        hex(&Sha1::digest(text)) == self.signature
    }

    /// Returns the first field of the page's call that is missing; `ids` name the app.
    pub(super) fn missing(
        &self,
        ids: &[(&'static str, &str)],
        has_js_api_list: bool,
    ) -> Option<&'static str> {
        let signed = [
            ("timestamp", self.timestamp),
            ("nonceStr", self.nonce_str),
            ("signature", self.signature),
        ];
        missing(ids)
            .or_else(|| missing(&signed))
            .or((!has_js_api_list).then_some("jsApiList"))
    }
}

/// Returns the first missing field. jweixin turns a missing field into the text "undefined".
fn missing(fields: &[(&'static str, &str)]) -> Option<&'static str> {
    fields
        .iter()
        .find(|(_, value)| value.is_empty() || *value == "undefined")
        .map(|(name, _)| *name)
}

/// Returns the URL without its fragment.
pub(super) fn cut(url: &str) -> &str {
    url.split('#').next().unwrap_or_default()
}

/// `Number.MAX_SAFE_INTEGER`.
const SAFE_INTEGER: i64 = (1 << 53) - 1;

/// Reads a field that pages pass as a text or as a JavaScript number: `1414587457.0` is `1414587457`.
pub(super) fn text_or_number<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a string or a whole number")]
    enum Either {
        Text(String),
        Number(f64),
    }
    match Either::deserialize(value)? {
        Either::Text(text) => Ok(text),
        // The number is whole and small enough to print as digits without a fraction.
        Either::Number(number) if number.fract() == 0.0 && number.abs() <= SAFE_INTEGER as f64 => {
            Ok(number.to_string())
        }
        Either::Number(number) => Err(D::Error::custom(format_args!(
            "a string or a whole number, and not {number}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_official_example_fits_its_signature_and_no_other() {
        let ticket = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";
        let signed = Signed {
            nonce_str: "Wm3WZYTPz0wzccnW",
            timestamp: "1414587457",
            signature: "0f9de62fce790f9a083d5c99e95740ceb90c27ed",
        };
        assert!(signed.fits(ticket, "http://mp.weixin.qq.com?params=value"));
        assert!(!signed.fits(ticket, "http://mp.weixin.qq.com/?params=value"));
        assert!(!signed.fits("", "http://mp.weixin.qq.com?params=value"));
    }

    #[test]
    fn a_missing_field_is_an_empty_one_or_the_text_that_javascript_makes_of_it() {
        assert_eq!(
            missing(&[("a", "1"), ("b", ""), ("c", "undefined")]),
            Some("b")
        );
        assert_eq!(missing(&[("a", "1"), ("c", "undefined")]), Some("c"));
        assert_eq!(missing(&[("a", "1")]), None);
    }

    #[test]
    fn a_number_is_read_as_javascript_reads_it() {
        let read = |json: &str| {
            text_or_number(&mut serde_json::Deserializer::from_str(json))
                .map_err(|error| error.to_string())
        };
        for (json, text) in [
            ("1414587457", "1414587457"),
            ("8000.0", "8000"),
            ("1e3", "1000"),
            ("-1", "-1"),
            ("9007199254740991", "9007199254740991"),
            (r#""a""#, "a"),
        ] {
            assert_eq!(read(json).as_deref(), Ok(text), "{json}");
        }
        for json in ["1.5", "9007199254740992", "-1e300", "null", "[1]", "{}"] {
            let refused = read(json).unwrap_err();
            assert!(
                refused.starts_with("a string or a whole number"),
                "{json}: {refused}"
            );
        }
    }
}
