//! Faults of the network and of WeChat: queued per endpoint and used up in order.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::web::Bytes;

/// A fault for the next `times` calls to one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Path of the endpoint, for example `/cgi-bin/token`.
    pub endpoint: &'static str,
    /// Kind of fault.
    pub kind: FaultKind,
    /// Number of calls; `u64::MAX` means until the faults are cleared.
    pub times: u64,
}

impl Fault {
    /// Returns a fault for the next call.
    #[must_use]
    pub fn once(endpoint: &'static str, kind: FaultKind) -> Self {
        Self {
            endpoint,
            kind,
            times: 1,
        }
    }

    /// Returns a fault that lasts until the faults are cleared.
    #[must_use]
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
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn lay(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Uses up one call of this endpoint's oldest fault.
    pub(super) fn take(&mut self, endpoint: &str) -> Option<FaultKind> {
        self.0.retain(|fault| fault.times > 0);
        let fault = self.0.iter_mut().find(|fault| fault.endpoint == endpoint)?;
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

/// Returns the first half of `body` with a Content-Length for all of it, then closes the connection.
pub(super) fn cut(content_type: String, body: &str) -> HttpResponse {
    let half = Bytes::copy_from_slice(&body.as_bytes()[..body.len() / 2]);
    HttpResponse::Ok().content_type(content_type).body(Script {
        size: BodySize::Sized(body.len() as u64),
        steps: VecDeque::from([Step::Send(half), Step::Flush, Step::HangUp]),
    })
}

/// Closes the connection without sending a byte.
pub(super) fn hang_up() -> HttpResponse {
    HttpResponse::Ok().body(Script {
        size: BodySize::Stream,
        steps: VecDeque::from([Step::HangUp]),
    })
}

/// Returns 8 MiB that start like a token answer, chunked, so that no Content-Length announces the size.
pub(super) fn huge(content_type: String) -> HttpResponse {
    let chunk = Bytes::from(vec![b'a'; 64 * 1_024]);
    let mut steps = VecDeque::from([Step::Send(Bytes::from_static(br#"{"access_token":""#))]);
    steps.extend((0..128).map(|_| Step::Send(chunk.clone())));
    steps.push_back(Step::Send(Bytes::from_static(br#"","expires_in":7200}"#)));
    HttpResponse::Ok().content_type(content_type).body(Script {
        size: BodySize::Stream,
        steps,
    })
}

/// A scripted response body.
struct Script {
    size: BodySize,
    steps: VecDeque<Step>,
}

enum Step {
    Send(Bytes),
    /// Waits until the bytes so far have been sent to the caller.
    Flush,
    /// Fails the body, which makes the server drop the connection and any unsent bytes.
    HangUp,
}

impl MessageBody for Script {
    type Error = std::io::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        match self.steps.pop_front() {
            None => Poll::Ready(None),
            Some(Step::Send(bytes)) => Poll::Ready(Some(Ok(bytes))),
            Some(Step::Flush) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::HangUp) => {
                Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionAborted.into())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_one_endpoint_are_used_up_in_the_order_they_were_laid() {
        let mut faults = Faults::default();
        faults.lay(Fault {
            endpoint: "/a",
            kind: FaultKind::Errcode(-1),
            times: 2,
        });
        faults.lay(Fault::once("/b", FaultKind::Hang));
        faults.lay(Fault::once("/a", FaultKind::NotJson));
        assert_eq!(faults.take("/a"), Some(FaultKind::Errcode(-1)));
        assert_eq!(faults.take("/a"), Some(FaultKind::Errcode(-1)));
        assert_eq!(faults.take("/a"), Some(FaultKind::NotJson));
        assert_eq!(faults.take("/a"), None);
        assert_eq!(faults.take("/b"), Some(FaultKind::Hang));
    }

    #[test]
    fn an_endless_fault_lasts_until_it_is_cleared_and_one_of_no_times_does_nothing() {
        let mut faults = Faults::default();
        faults.lay(Fault {
            endpoint: "/a",
            kind: FaultKind::Hang,
            times: 0,
        });
        faults.lay(Fault::always("/a", FaultKind::NotJson));
        for _ in 0..1_000 {
            assert_eq!(faults.take("/a"), Some(FaultKind::NotJson));
        }
        faults.clear();
        assert_eq!(faults.take("/a"), None);
    }
}
