//! Signature and encryption of pushes (WeChat's `WXBizMsgCrypt`), also used for encrypted replies.
//!
//! A push is AES-256-CBC with PKCS#7 padding to 32 bytes, over 16 random bytes, the length of the message,
//! the message and the receiver's id. Only `msg_signature` protects its content; addresses and the plain
//! `signature` prove nothing.

use aes::Aes256;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use sha1::{Digest as _, Sha1};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::MAX_PUSH;
use crate::credential::Secret;
use crate::hex::hex;

/// An `EncodingAESKey` (消息加解密Key).
///
/// `Debug` does not print it, and the memory is wiped when it is dropped.
#[derive(Clone)]
pub struct AesKey(Zeroizing<[u8; 32]>);

impl AesKey {
    /// Reads the 43 letters and digits that WeChat's console shows.
    ///
    /// # Errors
    /// [`InvalidAesKey`] if it is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidAesKey> {
        if text.len() != 43 || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(InvalidAesKey);
        }
        let mut key = Zeroizing::new([0; 32]);
        let read = AES_KEY.decode_slice(text, key.as_mut_slice());
        match read {
            Ok(32) => Ok(Self(key)),
            _ => Err(InvalidAesKey),
        }
    }

    /// Decrypts in place; the length must be a multiple of the block's.
    fn decrypt(&self, bytes: &mut [u8]) -> bool {
        let cipher = cbc::Decryptor::<Aes256>::new((&*self.0).into(), self.iv().into());
        cipher.decrypt_padded::<NoPadding>(bytes).is_ok()
    }

    fn encrypt(&self, bytes: &mut [u8]) {
        let cipher = cbc::Encryptor::<Aes256>::new((&*self.0).into(), self.iv().into());
        let length = bytes.len();
        cipher
            .encrypt_padded::<NoPadding>(bytes, length)
            .expect("the length is a multiple of the block's");
    }

    /// The IV is the beginning of the key.
    fn iv(&self) -> &[u8; BLOCK] {
        self.0.first_chunk().expect("the key is longer")
    }
}

impl std::fmt::Debug for AesKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// A text that is not an EncodingAESKey. Does not contain the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the EncodingAESKey: 43 letters and digits")]
pub struct InvalidAesKey;

/// A value, and the one that it replaced: WeChat documents no overlap, so both are accepted.
#[derive(Clone, Debug)]
pub struct Rotating<T> {
    /// Used for what is sent, and tried first.
    pub current: T,
    /// Accepted too.
    pub previous: Option<T>,
}

impl<T> Rotating<T> {
    fn each(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl<T> From<T> for Rotating<T> {
    fn from(current: T) -> Self {
        Self {
            current,
            previous: None,
        }
    }
}

/// What a platform needs to check, decrypt and encrypt pushes.
#[derive(Clone, Debug)]
pub struct PushKeys {
    /// The token for signatures (消息校验Token).
    pub token: Rotating<Secret>,
    /// The key for the content.
    pub aes_key: Rotating<AesKey>,
    /// Whom pushes are for: the component_appid, also in messages for an authorised account.
    pub receive_id: String,
}

/// An encrypted text with the parameters of its signature, as received.
#[derive(Clone, Copy, Debug)]
pub struct SignedPush<'a> {
    /// The query's `timestamp`.
    pub timestamp: &'a str,
    /// The query's `nonce`.
    pub nonce: &'a str,
    /// The query's `msg_signature`.
    pub msg_signature: &'a str,
    /// The text of `Encrypt`.
    pub encrypt: &'a str,
}

impl PushKeys {
    /// Checks the signature and the receiver of a push. Returns its message, and the keys that the push used: those
    /// for the reply.
    ///
    /// # Errors
    /// [`PushRefusal`], for the log only: the sender must not learn it.
    pub fn open(&self, push: &SignedPush<'_>) -> Result<(Secret, Self), PushRefusal> {
        if push.encrypt.len() > MAX_PUSH {
            return Err(PushRefusal::TooLarge);
        }
        let token = self.token_of(push).ok_or(PushRefusal::Signature)?;
        let sealed = BASE64_STANDARD
            .decode(push.encrypt)
            .map_err(|_| PushRefusal::Base64)?;
        if sealed.is_empty() || !sealed.len().is_multiple_of(BLOCK) {
            return Err(PushRefusal::Length);
        }
        // With the wrong one of two keys, the first check fails: report the key that got further.
        let mut furthest = PushRefusal::Length;
        for key in self.aes_key.each() {
            match open_with(key, sealed.clone(), &self.receive_id) {
                Ok(message) => {
                    let used = Self {
                        token: token.clone().into(),
                        aes_key: key.clone().into(),
                        receive_id: self.receive_id.clone(),
                    };
                    return Ok((message, used));
                }
                Err(refusal) => furthest = furthest.max(refusal),
            }
        }
        Err(furthest)
    }

    /// Encrypts a message for a reply, with the current key. The 16 bytes at its beginning must be random.
    pub fn encrypt(&self, random: [u8; 16], message: &str) -> String {
        let length = u32::try_from(message.len()).expect("a message is shorter than 4 GiB");
        let mut bytes = [
            &random[..],
            &length.to_be_bytes(),
            message.as_bytes(),
            self.receive_id.as_bytes(),
        ]
        .concat();
        let pad = PADDED_TO - bytes.len() % PADDED_TO;
        bytes.resize(bytes.len() + pad, pad.try_into().expect("at most 32"));
        self.aes_key.current.encrypt(&mut bytes);
        BASE64_STANDARD.encode(bytes)
    }

    /// Returns the `msg_signature` of an encrypted text, with the current token.
    pub fn sign(&self, timestamp: &str, nonce: &str, encrypt: &str) -> String {
        signature(&self.token.current, timestamp, nonce, encrypt)
    }

    /// Returns the token that signed the push. Compares with the signature of every token, whichever is right.
    fn token_of(&self, push: &SignedPush<'_>) -> Option<&Secret> {
        let mut signer = None;
        for token in self.token.each() {
            let right = signature(token, push.timestamp, push.nonce, push.encrypt);
            if right.as_bytes().ct_eq(push.msg_signature.as_bytes()).into() {
                signer = signer.or(Some(token));
            }
        }
        signer
    }
}

/// Decrypts with one key. Returns the first check that fails.
fn open_with(key: &AesKey, sealed: Vec<u8>, receive_id: &str) -> Result<Secret, PushRefusal> {
    let mut bytes = Zeroizing::new(sealed);
    if !key.decrypt(&mut bytes) {
        return Err(PushRefusal::Length);
    }
    let text = unpadded(&bytes).ok_or(PushRefusal::Padding)?;
    let (head, rest) = text.split_at_checked(HEAD).ok_or(PushRefusal::TextLength)?;
    let length = head
        .last_chunk()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let (message, receiver) = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .ok_or(PushRefusal::TextLength)?;
    let message = std::str::from_utf8(message).map_err(|_| PushRefusal::Utf8)?;
    if receiver != receive_id.as_bytes() {
        return Err(PushRefusal::OtherReceiver);
    }
    Ok(Secret::new(message))
}

/// Removes PKCS#7 padding to 32 bytes. Libraries pad to the cipher's block of 16 bytes and refuse the rest.
fn unpadded(bytes: &[u8]) -> Option<&[u8]> {
    let pad = usize::from(*bytes.last()?);
    if !(1..=PADDED_TO).contains(&pad) {
        return None;
    }
    let (text, padding) = bytes.split_at_checked(bytes.len().checked_sub(pad)?)?;
    padding
        .iter()
        .all(|byte| usize::from(*byte) == pad)
        .then_some(text)
}

fn signature(token: &Secret, timestamp: &str, nonce: &str, encrypt: &str) -> String {
    let mut parts = [token.expose(), timestamp, nonce, encrypt];
    parts.sort_unstable();
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hex(&hash.finalize())
}

/// Why a push is not accepted, in the order of the checks. Contains nothing of the push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum PushRefusal {
    /// Longer than [`MAX_PUSH`].
    #[error("too large")]
    TooLarge,
    /// The body is not the XML of an encrypted push.
    #[error("not an encrypted push")]
    Envelope,
    /// No token gives this msg_signature.
    #[error("msg_signature does not match: check the push token")]
    Signature,
    /// The encrypted text is not base64.
    #[error("not base64")]
    Base64,
    /// The encrypted bytes are not whole blocks.
    #[error("not whole AES blocks")]
    Length,
    /// No key gives a valid padding.
    #[error("padding not valid: check the EncodingAESKey")]
    Padding,
    /// The length in the text is larger than the text.
    #[error("length not valid: check the EncodingAESKey")]
    TextLength,
    /// The message is not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// The push is for another platform or account.
    #[error("for another receiver: check the component_appid and the callback URL")]
    OtherReceiver,
    /// The message is not the XML of an event, or lacks a part of it.
    #[error("not the XML of an event")]
    Message,
}

/// Accepts a last character with unused bits that are not zero, as three of four keys have it.
const AES_KEY: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

const BLOCK: usize = 16;

/// Messages are padded to a multiple of this, although AES needs only [`BLOCK`].
const PADDED_TO: usize = 32;

/// 16 random bytes and the length of the message.
const HEAD: usize = 20;
