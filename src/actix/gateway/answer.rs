//! Answers of WeChat: an error is recognised by its errcode, whatever the status and Content-Type; everything
//! else streams.

use std::error::Error;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, BytesMut};
use hyper::Response;
use hyper::body::{Body as _, Incoming as UpstreamBody};
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, LOCATION, TRANSFER_ENCODING,
};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Sleep;
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::super::problem::FailureCode;
use super::connections::Lent;
use super::outgoing_request::HopByHop;
use super::stats::InProgress;

/// An answer, of which the beginning was read.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    /// The length of the body, or of the one that a HEAD request asks about; `None`: chunked, or not declared.
    length: Option<u64>,
    /// Whether it answers a HEAD request, so that it has no body.
    is_head: bool,
    pub(super) first: Bytes,
    /// The unread rest; `None` if `first` is everything.
    rest: Option<Rest>,
    /// The errcode of a JSON object that was read completely, unless it is 0.
    pub(super) errcode: Option<i64>,
}

/// Other members do not matter.
#[derive(Deserialize)]
struct Errcode {
    errcode: Option<i64>,
}

/// The part of an answer that is not read yet.
pub(super) struct Rest {
    body: UpstreamBody,
    /// Given back after the last byte.
    lent: Option<Lent>,
    /// Ends when the call takes too long.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Answer {
    /// Reads the beginning of an answer: a JSON object of up to [`PEEKED`] bytes completely, of any other
    /// answer one chunk; one that is to be redacted up to [`REDACTABLE`] bytes.
    pub(super) async fn peek(
        response: Response<UpstreamBody>,
        lent: Lent,
        is_head: bool,
        is_redacted: bool,
    ) -> hyper::Result<Self> {
        let (head, mut body) = response.into_parts();
        let headers = head.headers;
        let length = match is_head {
            // Beside chunks, a declared length does not count (RFC 9112 section 6.3).
            true if headers.contains_key(TRANSFER_ENCODING) => None,
            true => {
                let declared = headers.get(CONTENT_LENGTH);
                declared.and_then(|length| length.to_str().ok()?.parse().ok())
            }
            false => body.size_hint().exact(),
        };
        let mut answer = Self {
            status: head.status.as_u16(),
            headers,
            length,
            is_head,
            first: Bytes::new(),
            rest: None,
            errcode: None,
        };
        if is_head {
            lent.give_back();
            return Ok(answer);
        }
        let Some(first) = chunk(&mut body).await? else {
            lent.give_back();
            return Ok(answer);
        };
        let encoded = answer.headers.get(CONTENT_ENCODING);
        let is_encoded = encoded.is_some_and(|encoding| encoding != "identity");
        let limit = if is_redacted { REDACTABLE } else { PEEKED };
        let is_small = answer.length.is_none_or(|length| length <= limit as u64);
        let mut read = BytesMut::from(first);
        let is_whole = loop {
            let is_wanted = is_redacted || may_be_object(&read);
            if is_encoded || !is_small || !is_wanted || read.len() > limit {
                break false;
            }
            let Some(chunk) = chunk(&mut body).await? else {
                break true;
            };
            read.extend_from_slice(&chunk);
        };
        answer.first = read.freeze();
        if is_whole {
            lent.give_back();
            answer.errcode = errcode(&answer.first);
        } else {
            answer.rest = Some(Rest {
                body,
                lent: Some(lent),
                deadline: None,
            });
        }
        Ok(answer)
    }

    /// Sets the time at which an unread rest is given up.
    pub(super) fn until(mut self, deadline: Pin<Box<Sleep>>) -> Self {
        if let Some(rest) = &mut self.rest {
            rest.deadline = Some(deadline);
        }
        self
    }

    /// Returns whether this is a complete answer.
    pub(super) fn is_whole(&self) -> bool {
        self.rest.is_none()
    }

    /// Returns a complete answer as JSON.
    pub(super) fn json(&self) -> Option<Value> {
        let text = self.is_whole().then(|| trimmed(&self.first))?;
        serde_json::from_slice(text).ok()
    }

    /// Returns scheme and host of a redirect's target, whose path and query may quote the token or the AppSecret.
    pub(super) fn redirect_origin(&self) -> Option<String> {
        let target = self.headers.get(LOCATION)?.to_str().ok()?;
        let target = Url::parse(target).ok().filter(Url::has_host)?;
        Some(target.origin().ascii_serialization())
    }

    /// Hides these secrets, and every value with the name of a secret, as `name=value` or as JSON. Returns false if
    /// the answer is not text, so that they are still in it.
    pub(super) fn redact(&mut self, secrets: &[&str]) -> bool {
        if self.first.is_empty() {
            return true;
        }
        // Written again, JSON has one spelling for each character.
        let text = match self.json() {
            Some(json) => json.to_string(),
            None => match std::str::from_utf8(&self.first) {
                Ok(text) => text.to_owned(),
                Err(_) => return false,
            },
        };
        let mut redacted = without_named_secrets(&text);
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            let encoded: String = byte_serialize(secret.as_bytes()).collect();
            redacted = redacted.replace(secret, REDACTED);
            redacted = redacted.replace(&encoded, REDACTED);
        }
        self.length = Some(redacted.len() as u64);
        self.first = redacted.into_bytes().into();
        true
    }

    /// Turns it into the answer to the caller. `call` is in progress until the last byte is sent.
    pub(super) fn into_response(self, call: InProgress) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let mut response = HttpResponse::build(status);
        let connection = self.headers.get_all(CONNECTION).iter();
        let hop_by_hop = HopByHop::new(connection.map(|value| value.as_bytes()));
        for (name, value) in &self.headers {
            if hop_by_hop.contains(name.as_str()) || QUOTING.contains(&name.as_str()) {
                continue;
            }
            response.append_header((name.as_str(), value.as_bytes()));
        }
        let errcode = self.errcode;
        let size = match (self.length, &self.rest) {
            (Some(length), _) => BodySize::Sized(length),
            (None, None) if self.is_head => BodySize::None,
            (None, None) => BodySize::Sized(self.first.len() as u64),
            (None, Some(_)) => BodySize::Stream,
        };
        let body = PassedBody {
            size,
            first: self.first,
            rest: self.rest,
            call,
        };
        let mut response = response
            .message_body(BoxBody::new(body))
            .unwrap_or_else(|_| HttpResponse::new(StatusCode::BAD_GATEWAY));
        if errcode.is_some() {
            response.extensions_mut().insert(FailureCode {
                code: None,
                errcode,
            });
        }
        response
    }
}

/// Returns the text with [`REDACTED`] for each value that follows the name of a secret.
fn without_named_secrets(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut copied = 0;
    for (at, separator) in text.match_indices(['=', ':']) {
        let (name, value) = (&text[..at], &text[at + 1..]);
        let (name, value) = match separator {
            "=" => (name, Some(value)),
            // In a quoted text, the quotation marks have backslashes before them.
            _ => (
                name.trim_end_matches(['"', '\\', ' ']),
                value.trim_start_matches(['\\', ' ']).strip_prefix('"'),
            ),
        };
        let Some(value) = value.filter(|_| SECRETS.iter().any(|secret| name.ends_with(secret)))
        else {
            continue;
        };
        let start = text.len() - value.len();
        if start < copied {
            continue;
        }
        let ends = |c: char| c.is_whitespace() || "&\"\\,;<>{}".contains(c);
        redacted.push_str(&text[copied..start]);
        redacted.push_str(REDACTED);
        copied = start + value.find(ends).unwrap_or(value.len());
    }
    redacted.push_str(&text[copied..]);
    redacted
}

/// Returns a text without a byte order mark and white space at its start.
fn trimmed(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK)
        .unwrap_or(text)
        .trim_ascii_start()
}

/// Whether a text with this beginning may be a JSON object.
fn may_be_object(beginning: &[u8]) -> bool {
    let beginning = trimmed(beginning);
    beginning.starts_with(b"{") || BYTE_ORDER_MARK.starts_with(beginning)
}

fn errcode(body: &[u8]) -> Option<i64> {
    let parsed: Errcode = serde_json::from_slice(trimmed(body)).ok()?;
    parsed.errcode.filter(|errcode| *errcode != 0)
}

/// Returns the next bytes of a body; `None` at its end.
async fn chunk(body: &mut UpstreamBody) -> hyper::Result<Option<Bytes>> {
    poll_fn(|context| poll_chunk(body, context)).await
}

fn poll_chunk(
    body: &mut UpstreamBody,
    context: &mut Context<'_>,
) -> Poll<hyper::Result<Option<Bytes>>> {
    while !body.is_end_stream()
        && let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(context))
    {
        // Trailers are not passed on.
        if let Ok(bytes) = frame?.into_data() {
            return Poll::Ready(Ok(Some(bytes)));
        }
    }
    Poll::Ready(Ok(None))
}

/// The body of an answer while it is sent.
struct PassedBody {
    size: BodySize,
    first: Bytes,
    rest: Option<Rest>,
    call: InProgress,
}

impl MessageBody for PassedBody {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let next = if self.first.is_empty() {
            match &mut self.rest {
                None => None,
                Some(rest) => {
                    let next = ready!(rest.poll_next(context));
                    next.inspect_err(|error| self.call.break_off(&**error))?
                }
            }
        } else {
            Some(std::mem::take(&mut self.first))
        };
        if let Some(bytes) = &next {
            self.call.sent(bytes.len());
        }
        Poll::Ready(next.map(Ok))
    }
}

impl Rest {
    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Box<dyn Error>>> {
        let polled = poll_chunk(&mut self.body, context);
        if polled.is_pending()
            && let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err("the call took too long".into()));
        }
        let next = ready!(polled)?;
        if next.is_none()
            && let Some(lent) = self.lent.take()
        {
            lent.give_back();
        }
        Poll::Ready(Ok(next))
    }
}

/// Headers with a URL, which may be that of the call, with the token or the AppSecret in its query.
const QUOTING: [&str; 3] = ["content-location", "location", "refresh"];

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Larger than any error of WeChat.
const PEEKED: usize = 64 * 1024;

/// Larger than a list of 500 authorised accounts, WeChat's longest answer with secrets.
const REDACTABLE: usize = 512 * 1024;

/// How the names of secrets end: `component_appsecret`, `authorizer_refresh_token`.
const SECRETS: [&str; 4] = ["access_token", "refresh_token", "secret", "verify_ticket"];

/// Stands in the place of a secret.
const REDACTED: &str = "***";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_top_level_errcode_is_read() {
        for (body, expected) in [
            (r#"{"errcode":40001,"errmsg":"e"}"#, Some(40001)),
            (r#" {"a":{"errcode":1},"errcode":42001}"#, Some(42001)),
            ("\u{feff}\r\n{\"errcode\":42001}", Some(42001)),
            (r#"{"errcode":0,"errmsg":"ok"}"#, None),
            (r#"{"a":{"errcode":40001}}"#, None),
            (r#"{"errcode":"40001"}"#, None),
            (r#"{"errcode":40001"#, None),
            (r#"[{"errcode":40001}]"#, None),
        ] {
            assert_eq!(errcode(body.as_bytes()), expected, "{body}");
        }
    }

    fn quoting(body: &'static [u8]) -> Answer {
        Answer {
            status: 200,
            headers: HeaderMap::new(),
            length: None,
            is_head: false,
            first: Bytes::from_static(body),
            rest: None,
            errcode: None,
        }
    }

    #[test]
    fn a_quoted_request_that_is_no_text_is_not_redacted() {
        let mut answer = quoting(b"{\"body\":\"\xb0\xa1 access_token=24_A\"}");
        assert!(!answer.redact(&["of the account"]));
    }

    #[test]
    fn secrets_in_quoted_requests_are_hidden() {
        for (quoted, expected) in [
            (
                r#"{"request":{"request_url":"https:\/\/h\/x?access_token=24_A-b_9&type=a","body":"access_token=B\"}"}}"#,
                r#"{"request":{"body":"access_token=***\"}","request_url":"https://h/x?access_token=***&type=a"}}"#,
            ),
            (
                r#"{"a":"x?component_access_token\u003d24_A-b_9\u0026b=1&refresh_token=&c"}"#,
                r#"{"a":"x?component_access_token=***&b=1&refresh_token=***&c"}"#,
            ),
            (
                r#"{"a":"{\"secret\":\"one\",\"component_appsecret\" : \"two\",\"appid\":\"wx1\",\"appsecret\":\"\"}"}"#,
                r#"{"a":"{\"secret\":\"***\",\"component_appsecret\" : \"***\",\"appid\":\"wx1\",\"appsecret\":\"***\"}"}"#,
            ),
            (
                r#"{"component_verify_ticket":"ticket@@@a-b","authorizer_refresh_token":"refreshtoken@@@c","b":1}"#,
                r#"{"authorizer_refresh_token":"***","b":1,"component_verify_ticket":"***"}"#,
            ),
            (
                r#"{"a":"of/the=account","b":"x=of%2Fthe%3Daccount","c":"secret: none"}"#,
                r#"{"a":"***","b":"x=***","c":"secret: none"}"#,
            ),
            (
                r#"{"a":"to=u%3Faccess_token%3D24_current-T%40%26b%3D1","b":["24_current-T@"]}"#,
                r#"{"a":"to=u%3Faccess_token%3D***%26b%3D1","b":["***"]}"#,
            ),
        ] {
            let mut answer = quoting(quoted.as_bytes());
            assert!(answer.redact(&["of/the=account", "24_current-T@"]));
            let text = std::str::from_utf8(&answer.first).unwrap();
            assert_eq!(text, expected);
            assert_eq!(answer.length, Some(text.len() as u64));
        }
    }
}
