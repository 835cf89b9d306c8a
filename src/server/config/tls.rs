//! `[server.tls]` and `[server.admin_tls]`: paths of certificates and keys. The listener opens them.

use std::path::{Path, PathBuf};

use super::Problems;
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
    pub(super) fn read(
        mut section: Section,
        base: &Path,
        problems: &mut Problems,
    ) -> Option<Option<Self>> {
        let (cert, key) = (
            section.file_path("cert", problems),
            section.file_path("key", problems),
        );
        let path = section.path().to_owned();
        section.finish(problems);
        match (cert?, key?) {
            (cert, key) if cert.is_empty() && key.is_empty() => Some(None),
            (cert, key) if cert.is_empty() || key.is_empty() => {
                let missing = if cert.is_empty() { "cert" } else { "key" };
                problems.add(
                    &format!("{path}.{missing}"),
                    "is empty: a certificate and its key are needed together, as PEM files".into(),
                    "为空：证书与私钥（PEM 文件）必须同时设置".into(),
                );
                None
            }
            (cert, key) => Some(Some(Self {
                cert: base.join(cert),
                key: base.join(key),
            })),
        }
    }
}
