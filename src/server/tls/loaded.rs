//! A certificate with its key, read from their files and checked.

use std::path::Display;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::der::Decode as _;

use super::{Age, CertificateError};
use crate::clock::UnixTime;
use crate::error::Text;
use crate::server::config::{TlsSettings, without_mark};
use crate::server::regular_file;

/// A certificate file and its key file.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// A certificate in use.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) from: UnixTime,
    pub(super) until: UnixTime,
}

impl Loaded {
    /// Parses the files and checks that they belong together.
    pub(super) fn parse(files: &TlsSettings, (cert, key): &Pair) -> Result<Self, CertificateError> {
        let [cert, key] = [cert, key].map(|pem| without_mark(pem));
        let (cert_path, key_path) = (files.cert.display(), files.key.display());
        let not_pem = |path: &Display<'_>, en, zh| {
            CertificateError::new(
                format!("{path} contains no {en} in PEM format"),
                format!("文件中没有 PEM 格式的{zh}：{path}"),
            )
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(cert)
            .collect::<Result<_, _>>()
            .unwrap_or_default();
        let own = chain
            .first()
            .ok_or_else(|| not_pem(&cert_path, "certificate", "证书"))?;
        let bad = |error| {
            CertificateError::new(
                format!("{cert_path} contains a certificate that cannot be parsed: {error}"),
                format!("无法解析证书：{cert_path}"),
            )
        };
        let validity = *x509_cert::Certificate::from_der(own)
            .map_err(bad)?
            .tbs_certificate()
            .validity();
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| match is_encrypted(key) {
            true => CertificateError::new(
                format!(
                    "{key_path} contains an encrypted private key: decrypt it with openssl pkey -in {key_path} -out NEWFILE"
                ),
                format!(
                    "私钥已加密，请先解密（openssl pkey -in {key_path} -out 新文件）：{key_path}"
                ),
            ),
            false => not_pem(&key_path, "private key", "私钥"),
        })?;
        let key = ring::sign::any_supported_type(&key).map_err(|_| {
            CertificateError::new(
                format!(
                    "{key_path} contains a private key that cannot be used: use RSA (2048 to 4096 bits), ECDSA (P-256 or P-384) or Ed25519"
                ),
                format!(
                    "私钥无法使用，请使用 RSA（2048 至 4096 位）、ECDSA（P-256 或 P-384）或 Ed25519：{key_path}"
                ),
            )
        })?;
        let certified = CertifiedKey::new(chain, key);
        let is_of_key = |certificate: &CertificateDer<'static>| {
            let alone = CertifiedKey::new(vec![certificate.clone()], certified.key.clone());
            alone.keys_match().is_ok()
        };
        certified.keys_match().map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) if certified.cert.iter().any(is_of_key) => {
                CertificateError::new(
                    format!(
                        "{cert_path} contains the certificates in the wrong order: put the server's certificate first"
                    ),
                    format!("证书链的顺序不对，请把与私钥对应的服务器证书放在最前面：{cert_path}"),
                )
            }
            rustls::Error::InconsistentKeys(_) => CertificateError::new(
                format!("{cert_path} and {key_path} do not match: the key belongs to another certificate"),
                format!("证书与私钥不匹配：{cert_path}、{key_path}"),
            ),
            // For example because it is X.509 version 1.
            error => CertificateError::new(
                format!(
                    "{cert_path} contains a certificate that cannot be used: {error}; issue a version 3 certificate with subjectAltName"
                ),
                format!("证书无法使用，请签发带 subjectAltName 的 v3 证书：{cert_path}"),
            ),
        })?;
        let time = |time: x509_cert::time::Time| UnixTime(time.to_unix_duration().as_secs());
        Ok(Self {
            certified: Arc::new(certified),
            from: time(validity.not_before),
            until: time(validity.not_after),
        })
    }

    pub(super) fn is_good(&self, now: UnixTime) -> bool {
        self.from <= now && now < self.until
    }

    /// Returns the error of a certificate outside its validity.
    pub(super) fn not_now(&self, files: &TlsSettings) -> CertificateError {
        let path = files.cert.display();
        let (from, until) = (self.from.utc(), self.until.utc());
        CertificateError::new(
            format!("{path} contains a certificate that is valid from {from} to {until}, not now"),
            format!("证书的有效期为 {from} 至 {until}，目前不在有效期内：{path}"),
        )
    }

    /// Returns when the warning period begins: it is the last two weeks, or the last fifth of the lifetime if
    /// that is shorter, since six-day certificates are renewed every few days.
    pub(super) fn soon(&self) -> UnixTime {
        let lead = Duration::from_secs(14 * 86_400).min(self.until.since(self.from) / 5);
        UnixTime(self.until.0 - lead.as_secs())
    }

    pub(super) fn age(&self, now: UnixTime) -> Age {
        if now >= self.until {
            Age::Expired
        } else if now < self.from {
            Age::NotYetValid
        } else if now >= self.soon() {
            Age::EndsSoon
        } else {
            Age::Good
        }
    }
}

/// Reads both files. If neither can be read, the error names both.
pub(super) fn read(files: &TlsSettings) -> Result<Pair, CertificateError> {
    let [cert, key] = [&files.cert, &files.key].map(|path| {
        regular_file::read(path, std::fs::read).map_err(|Text { en, zh }| {
            let path = path.display();
            CertificateError::new(
                format!("{path} cannot be read: {en}"),
                format!("无法读取 {path}：{zh}"),
            )
        })
    });
    match (cert, key) {
        (Err(CertificateError(cert)), Err(CertificateError(key))) if files.cert != files.key => {
            Err(CertificateError::new(
                format!("{}; {}", cert.en, key.en),
                format!("{}；{}", cert.zh, key.zh),
            ))
        }
        (cert, key) => Ok((cert?, key?)),
    }
}

/// Returns whether a PEM file holds an encrypted private key, as PKCS #8 or in the older form.
fn is_encrypted(key: &[u8]) -> bool {
    let text = String::from_utf8_lossy(key);
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || text.contains("Proc-Type: 4,ENCRYPTED")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expiry_warning_comes_two_weeks_or_a_fifth_of_the_life_ahead() {
        let day = 86_400;
        let cert = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key =
            PrivateKeyDer::from_pem_slice(cert.signing_key.serialize_pem().as_bytes()).unwrap();
        let certified = Arc::new(CertifiedKey::new(
            vec![cert.cert.der().clone()],
            ring::sign::any_supported_type(&key).unwrap(),
        ));
        let loaded = |days: u64| Loaded {
            certified: certified.clone(),
            from: UnixTime(0),
            until: UnixTime(days * day),
        };
        let age = |days, at: u64| loaded(days).age(UnixTime(at));
        assert_eq!(
            [age(90, 75 * day), age(90, 76 * day), age(90, 90 * day)],
            [Age::Good, Age::EndsSoon, Age::Expired]
        );
        assert_eq!(
            [age(5, 4 * day - 1), age(5, 4 * day), age(5, 5 * day)],
            [Age::Good, Age::EndsSoon, Age::Expired]
        );
    }
}
