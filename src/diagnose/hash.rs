//! The signature that was sent: which hash it must be by its look, and whether a string gives it.

use md5::Md5;
use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::causes::{self as c, Cause};

/// A signature of a known look.
pub(super) struct Sent {
    text: String,
    /// Whether this is the hash of that string.
    is_of: fn(&str, &str) -> bool,
    /// What is wrong with its look alone.
    pub(super) cause: Option<&'static Cause>,
}

impl Sent {
    /// `None`: no hash that anybody uses looks like this.
    pub(super) fn of(signature: &str) -> Option<Self> {
        let text = signature.trim().trim_matches(['"', '\'']).trim();
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let blank = (text.len() != signature.len()).then_some(&c::SIGNATURE_BLANK);
        let upper = text
            .bytes()
            .any(|byte| byte.is_ascii_uppercase())
            .then_some(&c::UPPER_HEX);
        let (is_of, cause): (fn(&str, &str) -> bool, _) = match text.len() {
            40 if is_hex => (|sent, text| sent == sha1(text), upper.or(blank)),
            32 if is_hex => (|sent, text| sent == hex(&Md5::digest(text)), Some(&c::MD5)),
            64 if is_hex => (
                |sent, text| sent == hex(&Sha256::digest(text)),
                Some(&c::SHA256),
            ),
            28 if text.ends_with('=') => (
                |sent, text| sent == base64(&Sha1::digest(text)),
                Some(&c::BASE64),
            ),
            SHORTEST..40 if is_hex => (lost_zeros, Some(&c::ZEROS_LOST)),
            _ => return None,
        };
        let text = if is_hex {
            text.to_ascii_lowercase()
        } else {
            text.to_owned()
        };
        Some(Self { text, is_of, cause })
    }

    /// Whether it has the look of a hash only if zeros were lost: what a cut one has, too, as long as none is found that fits.
    pub(super) fn is_short(&self) -> bool {
        self.cause
            .is_some_and(|cause| cause.code == c::ZEROS_LOST.code)
    }

    /// Whether it is the hash of `string`.
    pub(super) fn fits(&self, string: &str) -> bool {
        (self.is_of)(&self.text, string)
    }
}

/// The signature of a string, as it should be.
pub(super) fn sha1(text: &str) -> String {
    hex(&Sha1::digest(text))
}

/// Of each byte, or of the whole number.
fn lost_zeros(sent: &str, text: &str) -> bool {
    let digest = Sha1::digest(text);
    sent == hex(&digest).trim_start_matches('0')
        || sent
            == digest
                .iter()
                .map(|byte| format!("{byte:x}"))
                .collect::<String>()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let word = (0..3).fold(0_u32, |word, at| {
            word << 8 | u32::from(group.get(at).copied().unwrap_or(0))
        });
        for at in 0..4 {
            let digit = usize::try_from(word >> (18 - 6 * at) & 63).expect("six bits fit");
            out.push(if at <= group.len() {
                char::from(DIGITS[digit])
            } else {
                '='
            });
        }
    }
    out
}

/// Half of the bytes below 16: nobody will see it.
const SHORTEST: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standards() {
        assert_eq!(
            hex(&Sha1::digest("abc")),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert_eq!(hex(&Md5::digest("abc")), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(
            ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes())),
            ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
        );
    }

    #[test]
    fn a_text_that_is_no_hash_is_not_taken_for_one() {
        for signature in [
            "",
            "undefined",
            "0f9de62fce790f9a083d5c99e9574",
            "zf9de62fce790f9a083d5c99e95740ceb90c27ed",
        ] {
            assert!(Sent::of(signature).is_none(), "{signature}");
        }
    }
}
