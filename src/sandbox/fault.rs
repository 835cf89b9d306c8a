//! What can go wrong on the way: faults laid on an endpoint, used up in the order they were laid.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::web::Bytes;

/// A fault for the next so many calls to one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The endpoint's path, for example `/cgi-bin/token`.
    pub endpoint: &'static str,
    /// What goes wrong.
    pub kind: FaultKind,
    /// For how many calls; `u64::MAX`: until the faults are cleared.
    pub times: u64,
}

impl Fault {
    /// For the next call.
    #[must_use]
    pub fn once(endpoint: &'static str, kind: FaultKind) -> Self {
        Self {
            endpoint,
            kind,
            times: 1,
        }
    }

    /// Until the faults are cleared.
    #[must_use]
    pub fn always(endpoint: &'static str, kind: FaultKind) -> Self {
        Self {
            endpoint,
            kind,
            times: u64::MAX,
        }
    }
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// This errcode with WeChat's wording, instead of the call.
    Errcode(i64),
    /// This errcode with this errmsg (a rid, or WeCom's tail, is added), instead of the call.
    ErrcodeWith(i64, String),
    /// This HTTP status with a page of HTML, instead of the call.
    Status(u16),
    /// No answer until the caller hangs up; the call is not carried out.
    Hang,
    /// The call is carried out, and the connection ends in the middle of the answer.
    CutBody,
    /// 200 with a page of HTML, instead of the call.
    NotJson,
    /// 200 with 8 MiB of something like JSON, instead of the call.
    HugeBody,
    /// The call is carried out, and the answer comes so much later.
    Slow(Duration),
    /// The call is carried out, and the connection ends without an answer.
    LostReply,
    /// 200 with exactly this body, instead of the call.
    Body(String),
}

/// The faults that are laid.
#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn lay(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Uses up one of the oldest fault of this endpoint.
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

/// A page of HTML, as a gateway in between would answer.
pub(super) fn page(status: StatusCode) -> HttpResponse {
    let title = status.canonical_reason().unwrap_or("Error");
    let html = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body><center><h1>{title}</h1></center></body>\r\n</html>\r\n"
    );
    HttpResponse::build(status)
        .content_type(ContentType::html())
        .body(html)
}

/// The first half of `body` with a Content-Length for all of it, then the end of the connection.
pub(super) fn cut(content_type: String, body: &str) -> HttpResponse {
    let half = Bytes::copy_from_slice(&body.as_bytes()[..body.len() / 2]);
    HttpResponse::Ok().content_type(content_type).body(Script {
        size: BodySize::Sized(body.len() as u64),
        steps: VecDeque::from([Step::Send(half), Step::Flush, Step::HangUp]),
    })
}

/// The end of the connection, and not a byte before it.
pub(super) fn hang_up() -> HttpResponse {
    HttpResponse::Ok().body(Script {
        size: BodySize::Stream,
        steps: VecDeque::from([Step::HangUp]),
    })
}

/// 8 MiB that begin like a token's answer, in chunks, with no Content-Length to warn of it.
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

/// A body that does as it is told.
struct Script {
    size: BodySize,
    steps: VecDeque<Step>,
}

enum Step {
    Send(Bytes),
    /// Lets what was sent so far go out to the caller.
    Flush,
    /// An error of the body makes the server drop the connection, with whatever it had not yet sent.
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
