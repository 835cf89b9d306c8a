//! Faults of the network and of WeChat: queued per endpoint and used up in order.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;

use super::streamed_body::MadeBody;

/// A fault for the next `times` calls to one endpoint.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Path of the endpoint, for example `/cgi-bin/token` or `/wxa/getwxacode`.
    pub endpoint: &'static str,
    /// Kind of fault.
    pub kind: FaultKind,
    /// Number of calls; `u64::MAX` means until the faults are cleared.
    pub times: u64,
}

impl Fault {
    /// Returns a fault for the next call.
    pub fn once(endpoint: &'static str, kind: FaultKind) -> Self {
        Self {
            endpoint,
            kind,
            times: 1,
        }
    }

    /// Returns a fault that lasts until the faults are cleared.
    pub fn always(endpoint: &'static str, kind: FaultKind) -> Self {
        Self {
            endpoint,
            kind,
            times: u64::MAX,
        }
    }
}

/// Kind of fault.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// Answers with this errcode and WeChat's wording; the call is not processed.
    Errcode(i64),
    /// Answers with this errcode and errmsg (a rid or WeCom's tail is added); the call is not processed.
    ErrcodeWith(i64, String),
    /// Answers with this HTTP status and an HTML page; the call is not processed.
    Status(u16),
    /// Never answers; the call is not processed.
    Hang,
    /// Processes the call and closes the connection in the middle of the answer.
    CutBody,
    /// Answers 200 with an HTML page; the call is not processed.
    NotJson,
    /// Answers 200 with 8 MiB that start like JSON; the call is not processed.
    HugeBody,
    /// Processes the call and delays the answer.
    Slow(Duration),
    /// Processes the call and closes the connection without an answer.
    LostReply,
    /// Answers 200 with exactly this body; the call is not processed.
    Body(String),
}

/// The queued faults.
#[derive(Default)]
pub(super) struct Faults(Vec<Queued>);

struct Queued {
    path: String,
    kind: FaultKind,
    times: u64,
}

impl Faults {
    pub(super) fn add(&mut self, path: String, kind: FaultKind, times: u64) {
        self.0.push(Queued { path, kind, times });
    }

    /// Uses up one call of this path's oldest fault.
    pub(super) fn take(&mut self, path: &str) -> Option<FaultKind> {
        self.0.retain(|fault| fault.times > 0);
        let fault = self.0.iter_mut().find(|fault| fault.path == path)?;
        if fault.times != u64::MAX {
            fault.times -= 1;
        }
        Some(fault.kind.clone())
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Returns an HTML page, as a gateway would answer.
pub(super) fn page(status: StatusCode) -> HttpResponse {
    let title = status.canonical_reason().unwrap_or("Error");
    let html = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body><center><h1>{title}</h1></center></body>\r\n</html>\r\n"
    );
    HttpResponse::build(status)
        .content_type(ContentType::html())
        .body(html)
}

/// Closes the connection without sending a byte.
pub(super) fn hang_up() -> HttpResponse {
    MadeBody::lost().respond(&mut HttpResponse::Ok())
}

/// Returns 8 MiB that start like a token answer, chunked, so that no Content-Length announces the size.
pub(super) fn huge() -> MadeBody {
    let (head, tail) = (r#"{"access_token":""#, r#"","expires_in":7200}"#);
    MadeBody::padded(head, 8 * 1_024 * 1_024, tail).chunked()
}
