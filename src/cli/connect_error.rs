//! Why a server of ours could not be asked: what decides which advice fits. The advice is the command's.

use std::io::{self, ErrorKind};

use rustls::{CertificateError, Error};

/// What is in the way, as far as the error shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectError {
    /// It speaks TLS, and its certificate is not believed.
    Untrusted,
    /// Its certificate is over, or not yet good.
    OutOfDate,
    /// Its certificate is for another name.
    OtherName,
    /// It was asked over TLS and answered something else.
    NoTls,
    /// It was asked without TLS, and what came back is no HTTP.
    NoHttp,
    /// It is not there, or does not answer.
    Absent,
}

impl ConnectError {
    /// `secure`: whether it was asked over TLS.
    pub(super) fn of(error: &io::Error, secure: bool) -> Self {
        match error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Error>())
        {
            Some(Error::InvalidCertificate(why)) => return Self::of_certificate(why),
            Some(Error::InvalidMessage(_)) => return Self::NoTls,
            _ => {}
        }
        match (secure, error.kind()) {
            // Hung up in the handshake; later, the end of the connection is the end of the answer.
            (true, ErrorKind::UnexpectedEof) => Self::NoTls,
            (false, ErrorKind::InvalidData | ErrorKind::ConnectionReset) => Self::NoHttp,
            _ => Self::Absent,
        }
    }

    fn of_certificate(why: &CertificateError) -> Self {
        match why {
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

#[cfg(test)]
mod tests {
    use rustls::InvalidMessage;

    use super::*;

    #[test]
    fn what_is_in_the_way_is_told_by_the_error_and_by_how_it_was_asked() {
        let of_tls =
            |error: Error| ConnectError::of(&io::Error::new(ErrorKind::InvalidData, error), true);
        assert_eq!(
            of_tls(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
            ConnectError::Untrusted
        );
        assert_eq!(
            of_tls(Error::InvalidCertificate(CertificateError::Expired)),
            ConnectError::OutOfDate
        );
        assert_eq!(
            of_tls(Error::InvalidCertificate(CertificateError::NotValidForName)),
            ConnectError::OtherName
        );
        assert_eq!(
            of_tls(Error::InvalidMessage(InvalidMessage::InvalidContentType)),
            ConnectError::NoTls
        );
        for (kind, secure, obstacle) in [
            (ErrorKind::UnexpectedEof, true, ConnectError::NoTls),
            (ErrorKind::InvalidData, false, ConnectError::NoHttp),
            (ErrorKind::ConnectionReset, false, ConnectError::NoHttp),
            (ErrorKind::InvalidData, true, ConnectError::Absent),
            (ErrorKind::ConnectionRefused, true, ConnectError::Absent),
            (ErrorKind::ConnectionRefused, false, ConnectError::Absent),
            (ErrorKind::TimedOut, false, ConnectError::Absent),
        ] {
            assert_eq!(
                ConnectError::of(&io::Error::from(kind), secure),
                obstacle,
                "{kind:?}"
            );
        }
    }
}
