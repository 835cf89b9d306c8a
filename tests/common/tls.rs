//! TLS: certificates, clients that trust them, and TLS in front of a server that speaks plain HTTP.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsAcceptor;

/// A client that trusts this certificate alone.
pub(crate) fn trusting(certificate: CertificateDer<'static>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Writes a new certificate into this directory. Returns a client that trusts it, and the value of a `tls` setting.
pub(crate) fn certificate_in(home: &Path) -> (Arc<ClientConfig>, String) {
    let made = TlsCertificate::new();
    let (cert, key) = (home.join("c.pem"), home.join("k.pem"));
    std::fs::write(&cert, &made.certificate).unwrap();
    std::fs::write(&key, &made.key).unwrap();
    let certificate = CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap();
    (
        trusting(certificate).into(),
        format!("{{ cert = {cert:?}, key = {key:?} }}"),
    )
}

/// A self-signed certificate for this machine with its key, as PEM.
pub(crate) struct TlsCertificate {
    certificate: String,
    key: String,
}

impl TlsCertificate {
    pub(crate) fn new() -> Self {
        let made =
            rcgen::generate_simple_self_signed(["127.0.0.1", "localhost"].map(str::to_owned))
                .unwrap();
        Self {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    /// Reads a certificate from a file.
    pub(crate) fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        Self {
            certificate: text.clone(),
            key: text,
        }
    }

    /// Certificate and key.
    pub(crate) fn pem(&self) -> String {
        format!("{}{}", self.certificate, self.key)
    }

    /// Terminates TLS in front of this address. Returns its own address.
    pub(crate) fn in_front_of(&self, target: SocketAddr) -> SocketAddr {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client may try without TLS first.
                    let Ok(mut client) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut server = tokio::net::TcpStream::connect(target).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        address
    }
}
