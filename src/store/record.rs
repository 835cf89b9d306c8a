//! The text format of entries in a file, Redis and SQL.
//!
//! Pure functions. An entry that cannot be read back exactly, or that contains values which WeChat cannot
//! have issued, is invalid: it counts as absent and is never served.

use std::str::FromStr;

use sha1::{Digest as _, Sha1};

use super::Document;
use super::ignored::NoRecord;
#[cfg(feature = "file")]
use super::memory::Entry;
use super::rules::RefreshClaims;
use crate::clock::UnixTime;
use crate::credential::{Credential, Secret};
use crate::hex::hex;

impl RefreshClaims {
    /// Returns the text `last day count`.
    pub(super) fn write(self) -> String {
        format!("{} {} {}", self.last, self.day, self.count)
    }

    /// Reads the output of [`RefreshClaims::write`].
    pub(super) fn read(text: &str) -> Result<Self, NoRecord> {
        let [last, day, count] = words(text.split(' '))?;
        Ok(Self {
            last: UnixTime(number(last)?),
            day: number(day)?,
            count: number(count)?,
        })
    }
}

#[cfg(feature = "file")]
impl Entry {
    /// Returns the text to store under this name.
    pub(super) fn write(&self, name: &str) -> String {
        match self {
            Self::Credential(credential) => write_credential(name, credential),
            Self::Calls { day, count } => seal(name, &format!("{day} {count}")),
            Self::Block(until) => seal(name, &until.to_string()),
            Self::RefreshClaims(claims) => seal(name, &claims.write()),
            Self::Document(document) => write_document(name, document, NO_WRITER),
        }
    }

    /// Reads the output of [`Entry::write`] for this name.
    pub(super) fn read(name: &str, text: &str) -> Result<Self, NoRecord> {
        let payload = || unseal(name, text);
        match name.split(':').next() {
            Some("credential") => read_credential(name, text).map(Self::Credential),
            Some("document") => read_document(name, text).map(Self::Document),
            Some("force") => RefreshClaims::read(payload()?).map(Self::RefreshClaims),
            Some("block") => Ok(Self::Block(UnixTime(number(payload()?)?))),
            Some("calls") => {
                let [day, count] = words(payload()?.split(' '))?;
                Ok(Self::Calls {
                    day: number(day)?,
                    count: number(count)?,
                })
            }
            _ => Err(NoRecord::torn()),
        }
    }
}

/// Returns the text of a credential: `1 CHECKSUM GENERATION EXPIRES ISSUED VALUE`.
///
/// Generation and end have twenty digits, so that Redis can compare them as text; its numbers are not
/// precise enough. The checksum covers the name too, so a record stored under another name is invalid.
pub(super) fn write_credential(name: &str, credential: &Credential) -> String {
    let Credential {
        value,
        issued_at,
        expires_at,
        generation,
    } = credential;
    seal(
        name,
        &format!(
            "{generation:020} {:020} {issued_at} {}",
            expires_at.0,
            value.expose()
        ),
    )
}

/// Reads the output of [`write_credential`] for this name, and checks that WeChat can have issued it.
pub(super) fn read_credential(name: &str, text: &str) -> Result<Credential, NoRecord> {
    let payload = unseal(name, text)?;
    let [generation, expires_at, issued_at, value] = words(payload.splitn(4, ' '))?;
    let credential = Credential {
        value: Secret::new(value),
        issued_at: UnixTime(number(issued_at)?),
        expires_at: UnixTime(number(expires_at)?),
        generation: number(generation)?,
    };
    credential.check().map_err(NoRecord)?;
    Ok(credential)
}

/// Returns the text of a document: `1 CHECKSUM VERSION END WRITER TEXT`.
///
/// The writer is a random word in shared stores: a process whose answer was lost recognises by it what it
/// has saved itself.
pub(super) fn write_document(name: &str, document: &Document, writer: &str) -> String {
    let Document {
        version,
        expires_at,
        text,
    } = document;
    let end = expires_at.map_or(0, |end| end.0);
    seal(name, &format!("{version} {end} {writer} {}", text.expose()))
}

/// Reads the output of [`write_document`] for this name.
pub(super) fn read_document(name: &str, text: &str) -> Result<Document, NoRecord> {
    let [version, end, _writer, document] = words(unseal(name, text)?.splitn(4, ' '))?;
    Ok(Document {
        version: number(version)?,
        expires_at: Some(UnixTime(number(end)?)).filter(|end| end.0 > 0),
        text: Secret::new(document),
    })
}

/// Returns a word that no other writer has.
#[cfg(feature = "shared-store")]
pub(super) fn writer() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// In a store of one process.
#[cfg(feature = "file")]
const NO_WRITER: &str = "0";

/// Prepends the version and the checksum.
fn seal(name: &str, payload: &str) -> String {
    format!("{VERSION} {} {payload}", checksum(name, payload))
}

/// Returns the payload if version and checksum are correct.
fn unseal<'a>(name: &str, text: &'a str) -> Result<&'a str, NoRecord> {
    let sealed = text
        .strip_prefix(VERSION)
        .and_then(|text| text.strip_prefix(' '))
        .and_then(|text| text.split_once(' '));
    match sealed {
        Some((sum, payload)) if checksum(name, payload) == sum => Ok(payload),
        _ => Err(NoRecord::torn()),
    }
}

/// Returns the words of a record if it has this many.
fn words<'a, const N: usize>(
    words: impl Iterator<Item = &'a str>,
) -> Result<[&'a str; N], NoRecord> {
    let words: Vec<_> = words.collect();
    words.try_into().map_err(|_| NoRecord::torn())
}

/// Reads a number of a record.
pub(super) fn number<N: FromStr>(text: &str) -> Result<N, NoRecord> {
    text.parse().map_err(|_| NoRecord::torn())
}

/// Protects against torn and swapped bytes, not against an attacker: anyone who can write the store can
/// read the values anyway.
fn checksum(name: &str, payload: &str) -> String {
    let digest = Sha1::new()
        .chain_update(name)
        .chain_update([0])
        .chain_update(payload)
        .finalize();
    hex(&digest)
}

/// Version of the record format. Records of another version count as absent.
const VERSION: &str = "1";

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(generation: u64, expires_at: u64) -> Credential {
        Credential {
            value: Secret::new("value"),
            issued_at: UnixTime(1_000),
            expires_at: UnixTime(expires_at),
            generation,
        }
    }

    #[test]
    fn a_record_round_trips() {
        for written in [
            credential(0, 1_001),
            credential(1_700_000_000_123, 8_200),
            credential(u64::MAX / 2, 87_400),
        ] {
            assert_eq!(
                read_credential("a", &write_credential("a", &written)),
                Ok(written)
            );
        }
    }

    #[test]
    fn a_record_with_any_byte_changed_or_missing_is_rejected() {
        let text = write_credential("a", &credential(1_700_000_000_123, 8_200));
        let torn = || Err(NoRecord::torn());
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert_eq!(
                read_credential("a", std::str::from_utf8(&bytes).unwrap()),
                torn(),
                "byte {at} flipped"
            );
            assert_eq!(read_credential("a", &text[..at]), torn(), "cut at {at}");
        }
        assert_eq!(read_credential("b", &text), torn(), "under another name");
    }

    #[test]
    fn an_impossible_record_counts_as_absent_and_the_reason_contains_no_value() {
        for (value, expires_at) in [
            ("", 8_200),
            ("A\r\nX-Evil: 1", 8_200),
            ("value", 31 * 365 * 86_400),
            ("value", 900),
        ] {
            let impossible = Credential {
                value: Secret::new(value),
                ..credential(1, expires_at)
            };
            let NoRecord(why) =
                read_credential("a", &write_credential("a", &impossible)).unwrap_err();
            assert!(!why.contains("Evil") && why != NoRecord::torn().0, "{why}");
        }
    }

    #[test]
    fn generations_and_ends_sort_as_text_like_numbers() {
        let head = |generation, end| {
            write_credential("a", &credential(generation, end))[43..84].to_owned()
        };
        assert!(head(9, 1) < head(10, 1));
        assert!(head(u64::MAX - 1, 1) < head(u64::MAX, 1));
        assert!(head(1, 999) < head(1, 1_000));
    }

    #[test]
    fn a_refresh_limit_round_trips_and_other_text_is_refused() {
        let claims = RefreshClaims {
            last: UnixTime(7),
            day: 19_000,
            count: 3,
        };
        assert_eq!(RefreshClaims::read(&claims.write()), Ok(claims));
        for rubbish in ["", "7 19000", "7 19000 3 4", "7 19000 -3", "a b c"] {
            let read = RefreshClaims::read(rubbish);
            assert_eq!(read, Err(NoRecord::torn()), "{rubbish}");
        }
    }
}
