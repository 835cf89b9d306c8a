//! Recognises the hash algorithm of a signature from its form and checks whether a string produces it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};

use super::causes::{self as c, Cause};
use crate::hex::hex;

/// A signature in a known form.
pub(super) struct Sent {
    text: String,
    algorithm: &'static Algorithm,
    /// Returns whether the signature is this digest in the recognised encoding.
    is_written: fn(&str, &[u8]) -> bool,
    /// What is wrong with the encoding of the digest.
    writing: Option<&'static Cause>,
}

/// A hash algorithm and its variants.
struct Algorithm {
    /// Length of the digest in bytes.
    length: usize,
    /// Why this algorithm is the wrong one.
    cause: Option<&'static Cause>,
    of: fn(&[u8]) -> Vec<u8>,
    /// HMAC, and the hash of the hash.
    others: &'static [(Keyed, &'static Cause)],
}

/// Computes a digest from a key and a text.
type Keyed = fn(&[u8], &[u8]) -> Vec<u8>;

static ALGORITHMS: [Algorithm; 4] = [
    Algorithm {
        length: 20,
        cause: None,
        of: digest::<Sha1>,
        others: &[
            (keyed::<Hmac<Sha1>>, &c::HMAC),
            (digest_of_digest::<Sha1, Sha1>, &c::HASHED_TWICE),
            (digest_of_digest::<Sha1, Md5>, &c::HASHED_TWICE),
        ],
    },
    Algorithm {
        length: 16,
        cause: Some(&c::MD5),
        of: digest::<Md5>,
        others: &[
            (keyed::<Hmac<Md5>>, &c::HMAC),
            (digest_of_digest::<Md5, Md5>, &c::HASHED_TWICE),
        ],
    },
    Algorithm {
        length: 32,
        cause: Some(&c::SHA256),
        of: digest::<Sha256>,
        others: &[
            (keyed::<Hmac<Sha256>>, &c::HMAC),
            (digest_of_digest::<Sha256, Sha256>, &c::HASHED_TWICE),
        ],
    },
    Algorithm {
        length: 64,
        cause: Some(&c::SHA512),
        of: digest::<Sha512>,
        others: &[(keyed::<Hmac<Sha512>>, &c::HMAC)],
    },
];

impl Sent {
    /// Recognises a signature; `None` if it has no known form.
    pub(super) fn of(signature: &str) -> Option<Self> {
        let text = signature.trim().trim_matches(['"', '\'']).trim();
        let blank = (text.len() != signature.len()).then_some(&c::SIGNATURE_BLANK);
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        // .NET's BitConverter.ToString.
        let joined = text.replace(['-', ':'], "");
        let is_separated = joined.len() * 3 == text.len() * 2 + 2 && is_hex(&joined);
        let digits = if is_separated { &joined } else { text };
        let of_length = |length: usize| ALGORITHMS.iter().find(|known| known.length == length);
        let (algorithm, is_written, writing): (_, fn(&str, &[u8]) -> bool, _) = if let Some(known) =
            of_length(digits.len() / 2).filter(|_| is_hex(digits) && digits.len() % 2 == 0)
        {
            let upper = digits.bytes().any(|byte| byte.is_ascii_uppercase());
            let separated = is_separated.then_some(&c::HEX_SEPARATED);
            // For a wrong algorithm only that is reported; the case does not matter.
            let upper = (upper && known.cause.is_none()).then_some(&c::UPPER_HEX);
            let blank = blank.filter(|_| known.cause.is_none());
            (
                known,
                |sent, digest| sent == hex(digest),
                separated.or(upper).or(blank),
            )
        } else if is_hex(text) && (SHORTEST..40).contains(&text.len()) {
            (&ALGORITHMS[0], lost_zeros, Some(&c::ZEROS_LOST))
        } else if is_hex(text) && text.len() > 40 && text.to_ascii_lowercase().contains("ffffff") {
            (&ALGORITHMS[0], sign_extended, Some(&c::HEX_SIGN_EXTENDED))
        } else if let Some(hexed) = of_base64_length(text, |length| length * 2) {
            (
                hexed,
                |sent, digest| is_base64(sent, hex(digest).as_bytes()),
                Some(&c::BASE64),
            )
        } else {
            let known = of_base64_length(text, |length| length)?;
            (known, is_base64, Some(&c::BASE64))
        };
        let text = if is_hex(digits) {
            digits.to_ascii_lowercase()
        } else {
            text.to_owned()
        };
        Some(Self {
            text,
            algorithm,
            is_written,
            writing,
        })
    }

    /// Returns what is wrong with the form of the signature.
    pub(super) fn causes(&self) -> Vec<&'static Cause> {
        self.algorithm
            .cause
            .into_iter()
            .chain(self.writing)
            .collect()
    }

    /// Returns whether the signature is too short for a hash unless zeros were lost. A truncated signature
    /// looks the same until a match is found.
    pub(super) fn is_short(&self) -> bool {
        self.writing
            .is_some_and(|cause| cause.code == c::ZEROS_LOST.code)
    }

    /// Returns whether the signature is the hash of `text`.
    pub(super) fn fits(&self, text: &[u8]) -> bool {
        (self.is_written)(&self.text, &(self.algorithm.of)(text))
    }

    /// Returns the causes if the signature is the HMAC of `text` under `key`, or the hash of its hash.
    pub(super) fn fits_otherwise(&self, key: &[u8], text: &[u8]) -> Option<Vec<&'static Cause>> {
        let (_, cause) = self
            .algorithm
            .others
            .iter()
            .find(|(hash, _)| (self.is_written)(&self.text, &hash(key, text)))?;
        Some([*cause].into_iter().chain(self.writing).collect())
    }
}

/// Returns the correct signature of a string.
pub(super) fn sha1(text: &str) -> String {
    hex(&Sha1::digest(text))
}

fn digest<D: Digest>(text: &[u8]) -> Vec<u8> {
    D::digest(text).to_vec()
}

/// Returns the digest of the inner digest in hex.
fn digest_of_digest<Outer: Digest, Inner: Digest>(_: &[u8], text: &[u8]) -> Vec<u8> {
    Outer::digest(hex(&Inner::digest(text))).to_vec()
}

fn keyed<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC accepts a key of any length.
    M::new_from_slice(key).map_or_else(
        |_| Vec::new(),
        |hmac| hmac.chain_update(text).finalize().into_bytes().to_vec(),
    )
}

/// Leading zeros lost from each byte, or from the whole number.
fn lost_zeros(sent: &str, digest: &[u8]) -> bool {
    let bytes: String = digest.iter().map(|byte| format!("{byte:x}")).collect();
    sent == bytes || sent == hex(digest).trim_start_matches('0')
}

/// Java's `Integer.toHexString(b)` and C's `%02x` of a signed byte.
fn sign_extended(sent: &str, digest: &[u8]) -> bool {
    let written = |width: usize| -> String {
        let bytes = digest.iter().map(|byte| i32::from(byte.cast_signed()));
        bytes.map(|byte| format!("{byte:0width$x}")).collect()
    };
    sent == written(2) || sent == written(1)
}

/// Returns the algorithm whose digest, written as `bytes_of` bytes, has the length of this Base64.
fn of_base64_length(text: &str, bytes_of: fn(usize) -> usize) -> Option<&'static Algorithm> {
    let bare = text.trim_end_matches('=');
    let is_base64 = bare
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte));
    let fits = |known: &&Algorithm| bare.len() == (bytes_of(known.length) * 8).div_ceil(6);
    ALGORITHMS.iter().filter(|_| is_base64).find(fits)
}

/// Compares in both Base64 alphabets, with or without padding.
fn is_base64(sent: &str, bytes: &[u8]) -> bool {
    let sent = sent.replace('-', "+").replace('_', "/");
    sent.trim_end_matches('=') == BASE64_STANDARD_NO_PAD.encode(bytes)
}

/// Assumes that at most half of the bytes are below 16.
const SHORTEST: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_a_hash_is_not_taken_for_one() {
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
