//! Certificate trust of the command line for a running wx-jssdk over https.
//!
//! With `--ca`: the certificates in that file and those that they issued, since an admin listener's
//! certificate is usually self-signed. Without: the machine's CAs and Mozilla's. Both verify strictly, since the
//! connection carries the API key.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::error::Text;
use crate::server::config::without_mark;
use crate::server::regular_file;
use crate::upstream::{provider, tls_config};

/// Returns the settings of TLS that trust the certificates in `ca` and those that they issued; without a file, the
/// machine's CAs.
pub(super) fn trusting(ca: Option<&Path>) -> Result<ClientConfig, String> {
    let Some(file) = ca else {
        return tls_config().map_err(|error| error.to_string());
    };
    let pinned = certificates(file)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(pinned.iter().cloned());
    let issued = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    let issued = issued.map_err(|error| error.to_string())?;
    Ok(verified_by(pinned, Some(issued)))
}

/// Returns the settings of TLS that trust every server, for requests without a secret.
pub(super) fn trusting_any() -> ClientConfig {
    verified_by(Vec::new(), None)
}

fn verified_by(
    pinned: Vec<CertificateDer<'static>>,
    issued: Option<Arc<WebPkiServerVerifier>>,
) -> ClientConfig {
    let provider = provider();
    ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("a provider has the default versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier {
            provider,
            pinned,
            issued,
        }))
        .with_no_client_auth()
}

#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// Certificates that are trusted as they are, for any name.
    pinned: Vec<CertificateDer<'static>>,
    /// `None` trusts every certificate.
    issued: Option<Arc<WebPkiServerVerifier>>,
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
    let bytes = std::fs::read(file).map_err(|error| {
        let Text { en, zh } = regular_file::reason(&error);
        format!("{path} cannot be read: {en} · 无法读取：{zh}")
    })?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(without_mark(&bytes))
        .collect::<Result<_, _>>()
        .unwrap_or_default();
    if found.is_empty() {
        return Err(format!(
            "{path} contains no certificate in PEM format · 文件中没有 PEM 格式的证书"
        ));
    }
    Ok(found)
}
