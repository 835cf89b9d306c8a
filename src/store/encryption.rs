//! Encryption of stored values with AES-256-GCM, above every kind of store: a store only ever gets the
//! sealed credential. Name, generation and dates stay in plain text, because stores compare them; they are
//! authenticated, so that a value under another name or with other dates counts as damaged.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use parking_lot::Mutex;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest;

use super::ignored::NoRecord;
use crate::clock::{Clock, Due};
use crate::credential::{Credential, Secret};
use crate::hex::{decode, hex};

/// A key for stored values.
#[derive(Clone)]
pub struct EncryptionKey {
    id: String,
    key: LessSafeKey,
}

impl EncryptionKey {
    /// Reads a key of 64 hexadecimal digits, as `openssl rand -hex 32` writes it.
    ///
    /// # Errors
    /// [`InvalidKey`] if it is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let bytes: [u8; 32] = decode(text.trim()).ok_or(InvalidKey)?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| InvalidKey)?;
        let fingerprint = digest::digest(&digest::SHA256, &bytes);
        let id = &fingerprint.as_ref()[..4];
        Ok(Self {
            id: hex(id),
            key: LessSafeKey::new(key),
        })
    }

    /// Returns the eight digits that name this key in records and messages: a part of its SHA-256.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl PartialEq for EncryptionKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for EncryptionKey {}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({})", self.id)
    }
}

/// A text that is not an encryption key. Does not contain the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 hexadecimal digits: openssl rand -hex 32")]
pub struct InvalidKey;

/// The keys of a store. Without any, values are stored in plain text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncryptionKeys {
    /// Seals what is written. Without it, values are written in plain text.
    pub current: Option<EncryptionKey>,
    /// Also opens what was written before. A value that is not sealed by `current` is written again.
    pub previous: Option<EncryptionKey>,
    /// Whether values in plain text are used although there is a current key, and encrypted with it. Otherwise any
    /// writer of the store could exchange values.
    pub accept_unencrypted: bool,
}

/// A stored value in plain text.
#[derive(Debug, PartialEq)]
pub(super) struct Opened<T> {
    pub(super) value: T,
    /// Whether it is to be written again, because another key sealed it, or none.
    pub(super) is_outdated: bool,
}

/// Why a stored value cannot be decrypted.
#[derive(Debug, PartialEq)]
pub(super) enum Unreadable {
    /// Sealed by a key that this process does not have, or not sealed although there is a key.
    OtherKey(Option<String>),
    /// Damaged, or changed by another program.
    Damaged(NoRecord),
}

impl From<Unreadable> for NoRecord {
    fn from(why: Unreadable) -> Self {
        match why {
            Unreadable::OtherKey(Some(key)) => Self(format!("it is encrypted with key {key}")),
            Unreadable::OtherKey(None) => Self("it is not encrypted".to_owned()),
            Unreadable::Damaged(why) => why,
        }
    }
}

/// The values that this process has lately sealed again because another key had sealed them, as hashes. While a
/// change of keys is rolled out, nodes with the old current key do the same, so each is sealed again once in
/// [`REWRITE_EVERY`].
pub(super) struct Rewritten {
    hashes: Mutex<(HashSet<u64>, Due)>,
    hasher: RandomState,
    clock: Clock,
}

impl Default for Rewritten {
    fn default() -> Self {
        Self {
            hashes: Mutex::default(),
            hasher: RandomState::new(),
            clock: Clock::system(),
        }
    }
}

impl Rewritten {
    pub(super) fn contains(&self, name: &str, value: &Secret) -> bool {
        let (hashes, ends) = &mut *self.hashes.lock();
        if ends.take(self.clock.uptime(), REWRITE_EVERY) {
            hashes.clear();
        }
        hashes.contains(&self.hash(name, value))
    }

    pub(super) fn note(&self, name: &str, value: &Secret) {
        self.hashes.lock().0.insert(self.hash(name, value));
    }

    fn hash(&self, name: &str, value: &Secret) -> u64 {
        self.hasher.hash_one((name, value.expose()))
    }
}

/// docs/CONFIGURATION.md says to keep the old key for longer.
const REWRITE_EVERY: Duration = Duration::from_secs(300);

impl EncryptionKeys {
    /// Whether a stored credential may not be replaced by this one: it lives, and is sealed by a key that is not
    /// one of these.
    pub(super) fn protect(&self, stored: &Credential, from: &Credential) -> bool {
        let sealed = stored.value.expose().strip_prefix(SEALED);
        let id = sealed.and_then(|sealed| sealed.split_once(':'));
        stored.expires_at > from.issued_at && id.is_some_and(|(id, _)| self.find(id).is_none())
    }

    /// Returns the ids of the keys.
    #[cfg(feature = "shared-store")]
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys().map(EncryptionKey::id)
    }

    fn keys(&self) -> impl Iterator<Item = &EncryptionKey> {
        [&self.current, &self.previous].into_iter().flatten()
    }

    fn find(&self, id: &str) -> Option<&EncryptionKey> {
        self.keys().find(|key| key.id == id)
    }

    /// Returns the credential as it is stored: its value is `sealed:KEYID:BASE64` of nonce and ciphertext.
    pub(super) fn seal(&self, name: &str, credential: &Credential) -> Credential {
        Credential {
            value: self.seal_value(authenticated(name, credential), &credential.value),
            ..credential.clone()
        }
    }

    /// Returns a value as it is stored. `authenticated` must be the same when it is opened.
    pub(super) fn seal_value(&self, authenticated: String, value: &Secret) -> Secret {
        let Some(EncryptionKey { id, key }) = &self.current else {
            return value.clone();
        };
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut text = value.expose().as_bytes().to_vec();
        let aad = Aad::from(authenticated);
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
            .expect("a value is shorter than 64 GiB");
        let sealed = BASE64.encode([nonce.as_slice(), &text].concat());
        Secret::new(format!("{SEALED}{id}:{sealed}"))
    }

    /// Reads the output of [`EncryptionKeys::seal`] under the same name.
    pub(super) fn open(
        &self,
        name: &str,
        stored: Credential,
    ) -> Result<Opened<Credential>, Unreadable> {
        let was_sealed = stored.value.expose().starts_with(SEALED);
        let opened = self.open_value(authenticated(name, &stored), &stored.value);
        let opened = opened.map_err(|why| match why {
            // WeChat issues another one.
            Unreadable::OtherKey(None) => Unreadable::Damaged(why.into()),
            why => why,
        })?;
        let credential = Credential {
            value: opened.value,
            ..stored
        };
        if was_sealed {
            credential
                .check()
                .map_err(|why| Unreadable::Damaged(NoRecord(why)))?;
        }
        Ok(Opened {
            value: credential,
            is_outdated: opened.is_outdated,
        })
    }

    /// Reads the output of [`EncryptionKeys::seal_value`].
    pub(super) fn open_value(
        &self,
        authenticated: String,
        stored: &Secret,
    ) -> Result<Opened<Secret>, Unreadable> {
        let Some(sealed) = stored.expose().strip_prefix(SEALED) else {
            if self.current.is_some() && !self.accept_unencrypted {
                return Err(Unreadable::OtherKey(None));
            }
            return Ok(Opened {
                value: stored.clone(),
                is_outdated: self.current.is_some(),
            });
        };
        let damaged = || Unreadable::Damaged(NoRecord("it cannot be decrypted".to_owned()));
        let (id, sealed) = sealed.split_once(':').ok_or_else(damaged)?;
        let other_key = || Unreadable::OtherKey(Some(id.to_owned()));
        let EncryptionKey { key, .. } = self.find(id).ok_or_else(other_key)?;
        let mut bytes = BASE64.decode(sealed).map_err(|_| damaged())?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let aad = Aad::from(authenticated);
        let value = key.open_in_place(nonce, aad, text).map_err(|_| damaged())?;
        let value = std::str::from_utf8(value).map_err(|_| damaged())?;
        Ok(Opened {
            value: Secret::new(value),
            is_outdated: self.current.as_ref().is_none_or(|current| current.id != id),
        })
    }
}

/// What is authenticated beside the value.
fn authenticated(name: &str, credential: &Credential) -> String {
    let Credential {
        issued_at,
        expires_at,
        generation,
        value: _,
    } = credential;
    format!("{name} {generation} {expires_at} {issued_at}")
}

/// Neither WeChat's values nor documents begin with it.
const SEALED: &str = "sealed:";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;

    fn key(digit: &str) -> EncryptionKey {
        EncryptionKey::parse(&digit.repeat(64)).unwrap()
    }

    fn keys(current: &str, previous: &str) -> EncryptionKeys {
        let some = |digit: &str| (!digit.is_empty()).then(|| key(digit));
        EncryptionKeys {
            current: some(current),
            previous: some(previous),
            accept_unencrypted: false,
        }
    }

    fn credential() -> Credential {
        Credential {
            value: Secret::new("value-of-7"),
            issued_at: UnixTime(1_000),
            expires_at: UnixTime(8_200),
            generation: 7,
        }
    }

    #[test]
    fn an_encrypted_value_decrypts_with_its_key_and_reveals_nothing() {
        let sealed = keys("a", "").seal("n", &credential());
        assert!(!sealed.value.expose().contains("value"));
        assert_eq!(sealed.check(), Ok(()));
        assert_eq!((sealed.generation, sealed.expires_at), (7, UnixTime(8_200)));
        for (opening, is_outdated) in [
            (keys("a", ""), false),
            (keys("a", "b"), false),
            (keys("b", "a"), true),
            (keys("", "a"), true),
        ] {
            let opened = Opened {
                value: credential(),
                is_outdated,
            };
            assert_eq!(opening.open("n", sealed.clone()), Ok(opened));
        }
    }

    #[test]
    fn a_changed_value_name_date_or_generation_is_detected() {
        let with = keys("a", "");
        let sealed = with.seal("n", &credential());
        let mut damaged = vec![
            ("m", sealed.clone()),
            (
                "n",
                Credential {
                    generation: 8,
                    ..sealed.clone()
                },
            ),
            (
                "n",
                Credential {
                    expires_at: UnixTime(9_000),
                    ..sealed.clone()
                },
            ),
            (
                "n",
                Credential {
                    issued_at: UnixTime(1_001),
                    ..sealed.clone()
                },
            ),
        ];
        let text = sealed.value.expose();
        let sealed_at = text.rfind(':').unwrap() + 1;
        for at in sealed_at..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let value = Secret::new(String::from_utf8(bytes).unwrap());
            damaged.push((
                "n",
                Credential {
                    value,
                    ..sealed.clone()
                },
            ));
            let value = Secret::new(&text[..at]);
            damaged.push((
                "n",
                Credential {
                    value,
                    ..sealed.clone()
                },
            ));
        }
        for (name, stored) in damaged {
            let opened = with.open(name, stored);
            assert!(matches!(opened, Err(Unreadable::Damaged(_))), "{opened:?}");
        }
    }

    #[test]
    fn a_key_is_64_hexadecimal_digits_and_is_not_printed() {
        for bad in [
            "",
            "a",
            &"g".repeat(64),
            &"+1".repeat(32),
            &"a".repeat(63),
            &"a".repeat(66),
            "钥匙",
        ] {
            assert_eq!(EncryptionKey::parse(bad), Err(InvalidKey), "{bad}");
        }
        let key = EncryptionKey::parse(&format!("{}\n", "Ab".repeat(32))).unwrap();
        assert_eq!(format!("{key:?}"), format!("EncryptionKey({})", key.id()));
        assert_eq!(key.id().len(), 8);
    }
}
