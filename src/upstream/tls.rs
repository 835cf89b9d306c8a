//! The settings of TLS for calls to WeChat.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::Verifier;

use super::ClientError;

/// Returns the settings of TLS with the system's roots, for a company proxy, and Mozilla's, for an image that has
/// none.
pub(crate) fn tls_config() -> Result<ClientConfig, ClientError> {
    let mozilla = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
    let verifier = Verifier::new_with_extra_roots(mozilla.iter().cloned(), provider());
    let verifier = verifier.map_err(|error| ClientError(error.to_string()))?;
    let mut config = builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

pub(super) fn tls_without_roots() -> ClientConfig {
    builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

fn builder() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("a provider has the default versions")
}

/// Returns the process's default provider of cryptography, else ring. Installs no default: that is up to an
/// embedding application.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let default = CryptoProvider::get_default().cloned();
    default.unwrap_or_else(|| Arc::new(ring::default_provider()))
}
