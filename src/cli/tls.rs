//! Which certificates the command line trusts when it asks a running wx-jssdk over https.
//!
//! With `--ca`, the certificate in that file itself, or what it issued: that of an admin listener is mostly self-signed. Without, what this
//! machine trusts. Both are strict, since the API key goes over this connection.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Which servers a connection may end at.
#[derive(Clone, Debug)]
pub(super) struct Trust(Arc<Verifier>);

#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// Trusted as they are, for any name.
    pinned: Vec<CertificateDer<'static>>,
    /// `None`: every certificate is trusted.
    issued: Option<Arc<WebPkiServerVerifier>>,
}

impl Trust {
    /// Trusts every server: for requests that hold no secret.
    pub(super) fn any() -> Self {
        Self(Arc::new(Verifier {
            provider: provider(),
            pinned: Vec::new(),
            issued: None,
        }))
    }

    /// The certificates in this file and what they issued; without a file, what the machine's authorities issued.
    pub(super) fn of(ca: Option<&Path>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let pinned = match ca {
            Some(file) => certificates(file)?,
            None => Vec::new(),
        };
        match ca {
            Some(_) => drop(roots.add_parsable_certificates(pinned.iter().cloned())),
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                roots.add_parsable_certificates(
                    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned(),
                );
            }
        }
        let issued =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        let issued = Some(issued.map_err(|error| error.to_string())?);
        Ok(Self(Arc::new(Verifier {
            provider: provider(),
            pinned,
            issued,
        })))
    }

    /// As the HTTP client takes it.
    pub(super) fn client_config(self) -> ClientConfig {
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring has the default protocol versions")
            .dangerous()
            .with_custom_certificate_verifier(self.0)
            .with_no_client_auth()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.issued {
            Some(issued) if !self.pinned.iter().any(|pinned| pinned == certificate) => {
                issued.verify_server_cert(certificate, intermediates, name, ocsp, now)
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let path = file.display();
    let bytes = std::fs::read(file)
        .map_err(|error| format!("{path} cannot be read: {error} · 无法读取"))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .unwrap_or_default();
    if found.is_empty() {
        return Err(format!(
            "{path} holds no certificate in PEM form · 文件中没有 PEM 格式的证书"
        ));
    }
    Ok(found)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
