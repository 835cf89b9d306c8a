//! `[server.tls]` and `[server.admin_tls]`: paths of certificates and keys. The listener opens them.

use std::path::PathBuf;

use super::section::Section;

/// Paths of a certificate and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate chain, the server's own certificate first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl TlsSettings {
    /// Returns `Some(None)` if both keys are empty, `None` only after adding a problem.
    pub(super) fn read(mut section: Section) -> Option<Option<Self>> {
        let [cert, key] = ["cert", "key"].map(|key| section.file_path(key));
        section.finish();
        match (cert?, key?) {
            (cert, key) if cert.is_empty() && key.is_empty() => Some(None),
            (cert, key) if cert.is_empty() || key.is_empty() => {
                let missing = if cert.is_empty() { "cert" } else { "key" };
                section.refuse(
                    missing,
                    "is empty: a certificate and its key are needed together, as PEM files",
                    "为空：证书与私钥（PEM 文件）必须同时设置",
                )
            }
            (cert, key) => Some(Some(Self {
                cert: section.base().join(cert),
                key: section.base().join(key),
            })),
        }
    }
}
