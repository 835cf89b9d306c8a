//! A listener's certificate: read from its files, served, and replaced without dropping connections when
//! the files hold a better one.
//!
//! HTTP/1.1 only: one request with one small answer gains nothing from HTTP/2, which adds attack surface.
//! A proxy in front may offer it.

mod loaded;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use self::loaded::{Loaded, Pair, read};
use super::config::{ServerSettings, TlsSettings};
use super::timed_read::TimedRead;
use crate::clock::{Clock, UnixTime};
use crate::error::Text;
use crate::upstream::provider;

/// One listener's certificate. Clones share it.
#[derive(Clone, Debug)]
pub struct Certificate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    setting: &'static str,
    files: TlsSettings,
    clock: Clock,
    current: ArcSwap<Loaded>,
    reading: TimedRead<Result<Pair, CertificateError>>,
    last: Mutex<Last>,
}

/// The result of the last read, so that nothing is logged twice.
#[derive(Debug)]
struct Last {
    /// The content of both files, or why they could not be read.
    seen: Result<Pair, String>,
    /// The certificate in the files if it is not valid yet: it is used from the start of its validity.
    early: Option<Loaded>,
    /// Why the certificate in the files is not in use.
    refused: Option<CertificateError>,
    age: Age,
}

/// How close a certificate is to the ends of its validity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    NotYetValid,
    Good,
    EndsSoon,
    Expired,
}

/// Why a certificate cannot be used: names the file and what is wrong with it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.en)]
pub struct CertificateError(Text);

impl CertificateError {
    fn new(en: String, zh: String) -> Self {
        Self(Text::owned(en, zh))
    }

    /// Returns the error in Chinese.
    pub(super) fn zh(&self) -> String {
        self.0.zh.to_string()
    }

    /// Returns the error in both languages.
    pub(super) fn into_text(self) -> Text {
        self.0
    }
}

impl Certificate {
    /// Reads the files that `setting` names.
    ///
    /// # Errors
    /// [`CertificateError`] names the file and what is wrong with it.
    pub fn load(
        setting: &'static str,
        files: &TlsSettings,
        clock: Clock,
    ) -> Result<Self, CertificateError> {
        let bytes = read(files)?;
        let loaded = Loaded::parse(files, &bytes)?;
        let last = Mutex::new(Last {
            seen: Ok(bytes),
            early: None,
            refused: None,
            age: Age::Good,
        });
        let inner = Inner {
            setting,
            files: files.clone(),
            clock,
            current: ArcSwap::from_pointee(loaded),
            reading: TimedRead::default(),
            last,
        };
        let certificate = Self(Arc::new(inner));
        certificate.warn_of_age();
        Ok(certificate)
    }

    /// Returns the setting that names it: `server.tls` or `server.admin_tls`.
    pub fn setting(&self) -> &'static str {
        self.0.setting
    }

    /// Returns when the certificate in use expires.
    pub fn expires_at(&self) -> UnixTime {
        self.0.current.load().until
    }

    /// Returns from when on the certificate in use expires soon.
    pub(super) fn expires_soon_at(&self) -> UnixTime {
        self.0.current.load().soon()
    }

    /// Returns how long the certificate in use is still valid if it expires soon; zero if it has expired.
    pub(super) fn expires_soon(&self) -> Option<Duration> {
        let (current, now) = (self.0.current.load(), self.0.clock.wall());
        matches!(current.age(now), Age::EndsSoon | Age::Expired).then(|| current.until.since(now))
    }

    /// Returns the error that clients reject the certificate now, if they do.
    pub(super) fn not_now(&self) -> Option<CertificateError> {
        let (current, now) = (self.0.current.load(), self.0.clock.wall());
        (!current.is_good(now)).then(|| current.not_now(&self.0.files))
    }

    /// Reads the files again and, if they changed, serves the new certificate from the next handshake on,
    /// at the earliest when it becomes valid. An unusable certificate is logged once and changes nothing.
    /// Returns whether the certificate was replaced.
    pub async fn reload_if_changed(&self) -> bool {
        self.apply_if_changed(self.read_again().await, false)
    }

    /// The same for an operator who requests it: logs again why unchanged files are refused.
    ///
    /// # Errors
    /// Why the certificate in the files is not in use.
    pub(super) async fn reload(&self) -> Result<bool, CertificateError> {
        let is_replaced = self.apply_if_changed(self.read_again().await, true);
        let refused = self.0.last.lock().refused.clone();
        refused.map_or(Ok(is_replaced), Err)
    }

    async fn read_again(&self) -> Result<Pair, CertificateError> {
        let files = self.0.files.clone();
        let found = self.0.reading.run(move || read(&files)).await;
        found.unwrap_or_else(|error| Err(CertificateError(error)))
    }

    fn apply_if_changed(&self, found: Result<Pair, CertificateError>, is_requested: bool) -> bool {
        let inner = &*self.0;
        let mut last = inner.last.lock();
        let seen = found.clone().map_err(|error| error.to_string());
        let now = inner.clock.wall();
        let loaded = if seen == last.seen {
            match last.early.take_if(|early| early.is_good(now)) {
                Some(early) => Ok(early),
                None => {
                    let refused = last.refused.clone().filter(|_| is_requested);
                    drop(last);
                    if let Some(error) = refused {
                        self.log_refusal(&error);
                    }
                    self.warn_of_age();
                    return false;
                }
            }
        } else {
            (last.seen, last.early) = (seen, None);
            match found.and_then(|bytes| Loaded::parse(&inner.files, &bytes)) {
                Ok(new) if inner.current.load().is_good(now) && !new.is_good(now) => {
                    let error = new.not_now(&inner.files);
                    last.early = (now < new.from).then_some(new);
                    Err(error)
                }
                loaded => loaded,
            }
        };
        let setting = inner.setting;
        match loaded {
            Ok(loaded) => {
                let expires_at = loaded.until.utc();
                inner.current.store(Arc::new(loaded));
                (last.refused, last.age) = (None, Age::Good);
                drop(last);
                tracing::info!(setting, %expires_at, "new certificate applied");
                self.warn_of_age();
                true
            }
            Err(error) => {
                self.log_refusal(&error);
                last.refused = Some(error);
                false
            }
        }
    }

    fn log_refusal(&self, error: &CertificateError) {
        let (setting, expires_at) = (self.0.setting, self.expires_at().utc());
        tracing::error!(setting, %error, %expires_at, "new certificate refused: the previous one stays in use");
    }

    /// Returns the acceptor's configuration, which looks the certificate up at each handshake.
    pub(super) fn server_config(&self) -> ServerConfig {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring has the default protocol versions")
            .with_no_client_auth()
            .with_cert_resolver(self.0.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }

    fn warn_of_age(&self) {
        let inner = &*self.0;
        let current = inner.current.load();
        let age = current.age(inner.clock.wall());
        let before = std::mem::replace(&mut inner.last.lock().age, age);
        if age == before {
            return;
        }
        let (setting, expires_at) = (inner.setting, current.until.utc());
        match age {
            Age::Good => {}
            Age::EndsSoon => {
                let days = current.until.since(inner.clock.wall()).as_secs() / 86_400;
                tracing::warn!(setting, days, %expires_at, "certificate expires soon");
            }
            Age::Expired => {
                tracing::error!(setting, %expires_at, "certificate expired");
            }
            Age::NotYetValid => {
                let valid_from = current.from.utc();
                tracing::error!(setting, %valid_from, "certificate not yet valid");
            }
        }
    }
}

impl ResolvesServerCert for Inner {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load().certified.clone())
    }
}

/// Returns the settings that name the listeners' certificates, with the files if they are set.
pub(super) fn tls_settings(server: &ServerSettings) -> [(&'static str, Option<&TlsSettings>); 2] {
    [
        ("server.tls", server.tls.as_ref()),
        ("server.admin_tls", server.admin_tls.as_ref()),
    ]
}

/// Checks the certificate files for as long as the service runs. They are small and read whole: a file's
/// modification time says little if the path is a link that is switched.
pub(super) async fn watch_certificates(certificates: Vec<Certificate>) {
    let mut every_minute = tokio::time::interval(LOOK_EVERY);
    every_minute.tick().await;
    loop {
        every_minute.tick().await;
        for certificate in &certificates {
            certificate.reload_if_changed().await;
        }
    }
}

/// Operators who cannot wait send SIGHUP.
const LOOK_EVERY: Duration = Duration::from_secs(60);
