//! The settings of TLS for calls to WeChat.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::ClientError;

/// Returns the settings of TLS with the system's roots, for a company proxy, and Mozilla's, for an image that has
/// none.
pub(crate) fn tls_config() -> Result<ClientConfig, ClientError> {
    // Fails if the process has already installed a provider, which is then used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let provider = CryptoProvider::get_default().expect("just installed");
    let mozilla = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
    let verifier = Verifier::new_with_extra_roots(mozilla.iter().cloned(), provider.clone());
    let verifier = verifier.map_err(|error| ClientError(error.to_string()))?;
    let mut config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

pub(super) fn tls_without_roots() -> ClientConfig {
    ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}
