//! Why a running wx-jssdk could not be asked, as far as it decides which advice fits. The advice is the command's.

use std::error::Error as StdError;
use std::io;

use rustls::{CertificateError, Error};

/// What stopped a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectError {
    /// The server speaks TLS, and its certificate is not trusted.
    Untrusted,
    /// The certificate has expired or is not yet valid.
    OutOfDate,
    /// The certificate is for another name.
    OtherName,
    /// The server was asked over TLS and does not speak it.
    NoTls,
    /// The server was asked without TLS and did not answer in HTTP.
    NoHttp,
    /// Nothing listens there, or it does not answer.
    Absent,
}

impl ConnectError {
    /// `secure`: whether the server was asked over TLS.
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

/// The error and what caused it, outermost first. An `io::Error` hides from `source()` what it wraps.
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
