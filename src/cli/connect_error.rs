//! Classifies a failed request to a running wx-jssdk, as far as the advice depends on it. The commands hold
//! the advice.

use std::error::Error as StdError;
use std::io;

use rustls::{CertificateError, Error};

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectError {
    /// The server speaks TLS, and its certificate is not trusted.
    Untrusted,
    /// The certificate has expired or is not yet valid.
    OutOfDate,
    /// The certificate is for another name.
    OtherName,
    /// The request used TLS, and the server does not.
    NoTls,
    /// The request did not use TLS, and the answer is not HTTP.
    NoHttp,
    /// The port is closed, or the server does not answer.
    Absent,
}

impl ConnectError {
    /// Classifies `error`. `secure`: whether the request used TLS.
    pub(super) fn of(error: &reqwest::Error, secure: bool) -> Self {
        let causes = causes(error);
        match causes.iter().find_map(|cause| cause.downcast_ref()) {
            Some(Error::InvalidCertificate(reason)) => return Self::of_certificate(reason),
            Some(_) => return Self::NoTls,
            None => {}
        }
        let hung_up = causes
            .iter()
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(|error| error.kind() == io::ErrorKind::UnexpectedEof);
        match secure {
            _ if error.is_timeout() => Self::Absent,
            true if hung_up => Self::NoTls,
            false if !error.is_connect() => Self::NoHttp,
            _ => Self::Absent,
        }
    }

    fn of_certificate(reason: &CertificateError) -> Self {
        match reason {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::OutOfDate,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::OtherName
            }
            _ => Self::Untrusted,
        }
    }
}

/// Lists the error and its causes, outermost first. `source()` of an `io::Error` skips the error that it
/// wraps.
fn causes(error: &reqwest::Error) -> Vec<&(dyn StdError + 'static)> {
    std::iter::successors(
        Some(error as &(dyn StdError + 'static)),
        |&cause| match cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => (*cause).source(),
        },
    )
    .collect()
}
