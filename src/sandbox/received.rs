//! Requests as they were received: for the echo, and for tests that ask what a client has sent.

use std::collections::VecDeque;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::Payload;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::bounded_queue::push_back;
use crate::hex::hex;

/// A request as the sandbox received it. The body is represented by its length and hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedRequest {
    /// The method.
    pub method: String,
    /// The path, not decoded.
    pub path: String,
    /// The query, not decoded. Of a token or secret only the first four characters are shown.
    pub query: String,
    /// Names in lower case and sorted, with their values. Credentials of HTTP are replaced by `***`.
    pub headers: Vec<(String, String)>,
    /// Bytes of the body that arrived.
    pub body_bytes: u64,
    /// SHA-256 of the body in hex, or `None` if the client hung up before its end.
    pub body_sha256: Option<String>,
}

impl ReceivedRequest {
    pub(super) fn of(request: &HttpRequest, body: &Body) -> Self {
        let mut headers: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = match CREDENTIALS.contains(&name.as_str()) {
                    true => HIDDEN.into(),
                    false => String::from_utf8_lossy(value.as_bytes()),
                };
                (name.as_str().to_owned(), value.into_owned())
            })
            .collect();
        // Stable: values of one name keep their order.
        headers.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self {
            method: request.method().to_string(),
            path: request.path().to_owned(),
            query: masked(request.query_string()),
            headers,
            body_bytes: body.length,
            body_sha256: body.sha256.clone(),
        }
    }

    /// Returns the value of the first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A request body that was read to its end, or as far as it came.
pub(super) struct Body {
    /// In bytes.
    pub(super) length: u64,
    pub(super) sha256: Option<String>,
    /// The first bytes, at most as many as were to be kept.
    pub(super) kept: Vec<u8>,
}

impl Body {
    /// Reads a body of any length and keeps its first bytes.
    pub(super) async fn read(mut payload: Payload, keep: usize) -> Self {
        let (mut length, mut kept, mut hash) = (0, Vec::new(), Sha256::new());
        while let Some(chunk) = payload.next().await {
            let Ok(chunk) = chunk else {
                return Self {
                    length,
                    sha256: None,
                    kept,
                };
            };
            length += chunk.len() as u64;
            hash.update(&chunk);
            kept.extend_from_slice(&chunk[..chunk.len().min(keep - kept.len())]);
        }
        Self {
            length,
            sha256: Some(hex(&hash.finalize())),
            kept,
        }
    }
}

/// Hides tokens and secrets in a query, and leaves the rest to the byte.
fn masked(query: &str) -> String {
    let parts = query.split('&').map(|part| match part.split_once('=') {
        Some((name, value)) if is_secret(name) && !value.is_empty() => {
            let shown = value
                .char_indices()
                .nth(SHOWN)
                .map_or("", |(end, _)| &value[..end]);
            format!("{name}={shown}{HIDDEN}").into()
        }
        _ => std::borrow::Cow::Borrowed(part),
    });
    parts.collect::<Vec<_>>().join("&")
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("token") || name.contains("secret")
}

/// The newest requests.
#[derive(Default)]
pub(super) struct ReceivedRequests(VecDeque<Arc<ReceivedRequest>>);

impl ReceivedRequests {
    pub(super) fn push(&mut self, newest: Arc<ReceivedRequest>) {
        push_back(&mut self.0, newest, REMEMBERED);
    }

    /// Returns the requests of a path, or of all paths, the newest last.
    pub(super) fn of(&self, path: Option<&str>) -> Vec<ReceivedRequest> {
        self.0
            .iter()
            .filter(|request| path.is_none_or(|path| request.path == path))
            .map(|request| ReceivedRequest::clone(request))
            .collect()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Number of requests that are remembered, of all paths together.
const REMEMBERED: usize = 256;

/// Characters of a token or secret that are shown. They tell an API key of this project from WeChat's values.
const SHOWN: usize = 4;

const HIDDEN: &str = "***";

const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_keeps_all_but_its_tokens_and_secrets() {
        for (query, shown) in [
            ("", ""),
            ("a=1&b=%2F+x&&c", "a=1&b=%2F+x&&c"),
            (
                "access_token=71_abcdef&type=image",
                "access_token=71_a***&type=image",
            ),
            (
                "b=2&secret=0123456789&js_code=x",
                "b=2&secret=0123***&js_code=x",
            ),
            (
                "component_access_token=abcdefgh",
                "component_access_token=abcd***",
            ),
            (
                "appsecret=abc&corpSecret=abcd",
                "appsecret=***&corpSecret=***",
            ),
            ("access_token=", "access_token="),
            ("access_token", "access_token"),
            ("access_token=é€éé€", "access_token=é€éé***"),
        ] {
            assert_eq!(masked(query), shown);
        }
    }

    #[test]
    fn the_memory_of_requests_is_bounded() {
        let mut requests = ReceivedRequests::default();
        for n in 0..1_000 {
            requests.push(Arc::new(ReceivedRequest {
                method: "GET".to_owned(),
                path: format!("/wxa/{}", n % 2),
                query: n.to_string(),
                headers: Vec::new(),
                body_bytes: 0,
                body_sha256: None,
            }));
        }
        assert_eq!(requests.of(None).len(), REMEMBERED);
        let odd = requests.of(Some("/wxa/1"));
        assert_eq!(
            (odd.len(), odd[odd.len() - 1].query.as_str()),
            (REMEMBERED / 2, "999")
        );
    }
}
