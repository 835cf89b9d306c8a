//! Encrypts and signs pushes as WeChat does (`WXBizMsgCrypt`), and decrypts the replies: AES-256-CBC with padding to
//! 32 bytes.
//!
//! Independent of `platform`, which decrypts them: a mistake would otherwise exist on both sides.

use aes::Aes256;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use sha1::{Digest as _, Sha1};

use crate::hex::hex;

/// The 32 bytes of an EncodingAESKey.
#[derive(Clone)]
pub(super) struct PushKey([u8; 32]);

impl PushKey {
    /// Reads 43 letters and digits. The last one may have bits that belong to no byte.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.len() != 43 || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let bytes = LENIENT.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Encrypts 16 random bytes, the length of the message, the message and the id of its receiver.
    pub(super) fn encrypt(&self, random: [u8; 16], message: &str, receive_id: &str) -> String {
        let mut bytes = random.to_vec();
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(message.as_bytes());
        bytes.extend_from_slice(receive_id.as_bytes());
        let pad = 32 - bytes.len() % 32;
        bytes.extend(std::iter::repeat_n(pad as u8, pad));
        let iv: [u8; 16] = std::array::from_fn(|at| self.0[at]);
        let cipher = cbc::Encryptor::<Aes256>::new((&self.0).into(), (&iv).into());
        let length = bytes.len();
        let sealed = cipher.encrypt_padded::<NoPadding>(&mut bytes, length);
        BASE64_STANDARD.encode(sealed.expect("its length is a multiple of the block's"))
    }

    /// Decrypts a reply. Returns the message and the id of its receiver.
    pub(super) fn decrypt(&self, text: &str) -> Option<(String, String)> {
        let mut bytes = BASE64_STANDARD.decode(text).ok()?;
        let iv: [u8; 16] = std::array::from_fn(|at| self.0[at]);
        let cipher = cbc::Decryptor::<Aes256>::new((&self.0).into(), (&iv).into());
        let plain = cipher.decrypt_padded::<NoPadding>(&mut bytes).ok()?;
        let pad = usize::from(*plain.last()?);
        let plain = plain.get(..plain.len().checked_sub(pad)?)?;
        if pad == 0 || pad > 32 {
            return None;
        }
        let length: [u8; 4] = plain.get(16..20)?.try_into().ok()?;
        let end = usize::try_from(u32::from_be_bytes(length)).ok()?;
        let (message, receiver) = plain.get(20..)?.split_at_checked(end)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Some((text(message)?, text(receiver)?))
    }
}

/// Returns the SHA-1 in hex of the parts, sorted and joined: `msg_signature` over the token, the timestamp, the
/// nonce and the encrypted text; `signature` over the first three.
pub(super) fn signature(parts: &[&str]) -> String {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable();
    hex(&Sha1::digest(sorted.concat()))
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn vectors() -> Vec<Value> {
        let file: Value =
            serde_json::from_str(include_str!("../../tests/sign/push_vectors.json")).unwrap();
        file["message_crypto"].as_array().unwrap().clone()
    }

    fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
        vector[field].as_str().unwrap_or_default()
    }

    fn random_of(vector: &Value) -> [u8; 16] {
        let hex = text(vector, "random_hex");
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }

    #[test]
    fn each_published_message_is_encrypted_to_the_published_text_and_decrypted() {
        for vector in vectors() {
            let key = PushKey::read(text(&vector, "encoding_aes_key")).unwrap();
            let sealed = key.encrypt(
                random_of(&vector),
                text(&vector, "msg"),
                text(&vector, "receiveid"),
            );
            assert_eq!(sealed, text(&vector, "encrypt"), "{}", vector["id"]);
            let opened = (
                text(&vector, "msg").into(),
                text(&vector, "receiveid").into(),
            );
            assert_eq!(key.decrypt(&sealed), Some(opened), "{}", vector["id"]);
        }
    }

    #[test]
    fn each_published_signature_is_reproduced() {
        let mut compared = 0;
        for vector in vectors() {
            let [token, timestamp, nonce, encrypt] =
                ["token", "timestamp", "nonce", "encrypt"].map(|field| text(&vector, field));
            let expected = text(&vector, "msg_signature");
            if !expected.is_empty() {
                let got = signature(&[token, timestamp, nonce, encrypt]);
                assert_eq!(got, expected, "{}", vector["id"]);
                compared += 1;
            }
            let plain = text(&vector, "signature_plain");
            if !plain.is_empty() {
                assert_eq!(signature(&[token, timestamp, nonce]), plain);
            }
        }
        assert!(compared >= 10, "{compared}");
    }

    #[test]
    fn a_key_must_be_43_letters_and_digits() {
        let right = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";
        assert!(PushKey::read(right).is_some());
        let with_plus = right.replace('j', "+");
        for wrong in ["", &right[1..], &format!("{right}="), &with_plus] {
            assert!(PushKey::read(wrong).is_none(), "{wrong}");
        }
    }
}
