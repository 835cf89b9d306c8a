//! HTTP/1.1 as text: requests that no client library sends (half, slow, malformed, several at once), and answers as they arrive.
//!
//! No other file of the tests writes the protocol. For an ordinary request to a whole URL there is [`client`].

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Once;
use std::time::Duration;

use memchr::memmem;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Upper limit for each step, which usually takes less than a second, also on a busy machine.
pub(crate) const BOUND: Duration = Duration::from_secs(120);

/// Status line of a successful answer.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\n";

/// Start of an answer with this status.
pub(crate) fn status_line(status: u16) -> String {
    format!("HTTP/1.1 {status} ")
}

/// A request under construction: its lines so far.
#[derive(Clone)]
pub(crate) struct Request {
    head: String,
    has_host: bool,
}

pub(crate) fn get(target: impl Display) -> Request {
    Request::new("GET", target)
}

pub(crate) fn post(target: impl Display) -> Request {
    Request::new("POST", target)
}

impl Request {
    pub(crate) fn new(method: &str, target: impl Display) -> Self {
        Self {
            head: format!("{method} {target} HTTP/1.1\r\n"),
            has_host: false,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Display) -> Self {
        self.has_host |= name.eq_ignore_ascii_case("host");
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    pub(crate) fn headers(self, headers: &[(&str, &str)]) -> Self {
        headers
            .iter()
            .fold(self, |request, (name, value)| request.header(name, value))
    }

    pub(crate) fn bearer(self, key: &str) -> Self {
        self.header("Authorization", format_args!("Bearer {key}"))
    }

    /// Asks for the end of the connection after the answer.
    pub(crate) fn close(self) -> Self {
        self.header("Connection", "close")
    }

    /// A whole request without a body.
    pub(crate) fn text(self) -> String {
        // A name without a dot, which the admin listener takes from browsers too.
        let whole = if self.has_host {
            self
        } else {
            self.header("Host", "service")
        };
        whole.head + "\r\n"
    }

    /// A whole request with this body.
    pub(crate) fn body(self, body: impl Display) -> String {
        let body = body.to_string();
        self.header("Content-Length", body.len()).text() + &body
    }

    /// A whole request with its body in these chunks.
    pub(crate) fn chunks<T: AsRef<str>>(self, chunks: impl IntoIterator<Item = T>) -> String {
        let mut text = self.header("Transfer-Encoding", "chunked").text();
        for chunk in chunks {
            let chunk = chunk.as_ref();
            text += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
        }
        text + "0\r\n\r\n"
    }

    /// An incomplete request that ends inside the value of its last header.
    pub(crate) fn unfinished(self) -> String {
        self.head + "X-Unfinished: "
    }
}

/// Returns the bytes of `request` with its only `mark` replaced.
pub(crate) fn with_bytes(request: &str, mark: &str, bytes: &[u8]) -> Vec<u8> {
    let (before, after) = request.split_once(mark).expect("a mark");
    [before.as_bytes(), bytes, after.as_bytes()].concat()
}

/// An answer of a server that then closes the connection. `headers` are whole lines.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

/// An answer that ends after this part of its body.
pub(crate) fn unfinished_answer(part: &str) -> String {
    format!("{OK}Content-Length: 9999\r\n\r\n{part}")
}

/// Sends these bytes and reads until the other side closes. Bytes received before a reset count.
pub(crate) async fn exchange(to: SocketAddr, request: impl AsRef<[u8]>) -> Vec<u8> {
    let stream = TcpStream::connect(to).await.expect("a listener");
    exchange_over(stream, request).await
}

pub(crate) async fn exchange_over(
    stream: impl AsyncRead + AsyncWrite,
    request: impl AsRef<[u8]>,
) -> Vec<u8> {
    let (mut from, mut into) = tokio::io::split(stream);
    let mut came = Vec::new();
    // An oversized request is answered before its end, so send and read at the same time.
    let _ = timeout(BOUND, async {
        tokio::join!(
            into.write_all(request.as_ref()),
            from.read_to_end(&mut came)
        )
    })
    .await
    .expect("the other side closes");
    came
}

/// The answer to these bytes.
pub(crate) async fn send(to: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    let stream = TcpStream::connect(to).await.expect("a listener");
    answer_over(stream, request.as_ref()).await
}

/// Reads the answer on this connection, whose request was sent and which then ends.
pub(crate) async fn read(stream: impl AsyncRead + AsyncWrite) -> Answer {
    answer_over(stream, b"").await
}

/// Sends a request, ends this direction once the answer is whole, and reads to the end. Otherwise a server that has not read a
/// whole body would wait for its rest.
async fn answer_over(stream: impl AsyncRead + AsyncWrite, request: &[u8]) -> Answer {
    let (mut from, mut into) = tokio::io::split(stream);
    let mut came = Vec::new();
    timeout(BOUND, async {
        let read = async {
            while !is_whole(&came) && matches!(from.read_buf(&mut came).await, Ok(1..)) {}
        };
        let send = async {
            let _ = into.write_all(request).await;
            std::future::pending().await
        };
        tokio::select! {
            () = read => {}
            () = send => {}
        }
        let _ = into.shutdown().await;
        let _ = from.read_to_end(&mut came).await;
    })
    .await
    .expect("the other side closes");
    Answer::parse(&came)
}

/// Reads a request that announces the length of its body, or less if the client closes before its end.
pub(crate) async fn read_request(stream: &mut TcpStream) -> String {
    let mut came = Vec::new();
    while !is_whole(&came) && matches!(stream.read_buf(&mut came).await, Ok(1..)) {}
    String::from_utf8(came).expect("requests are UTF-8")
}

/// Whether these bytes end with as many bytes of a body as their head announces.
pub(crate) fn is_whole(came: &[u8]) -> bool {
    let Some(head) = memmem::find(came, b"\r\n\r\n") else {
        return false;
    };
    let lines = String::from_utf8_lossy(&came[..head]).to_ascii_lowercase();
    let mut lengths = lines
        .lines()
        .filter_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    lengths.any(|length: usize| came.len() >= head + 4 + length)
}

/// An answer as it was received.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let whole = std::str::from_utf8(bytes).expect("answers are UTF-8");
        let (head, text) = whole
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no whole answer: {whole:?}"));
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|status| status.parse().ok());
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let mut answer = Self {
            status: status.unwrap_or_else(|| panic!("no status: {head:?}")),
            headers: headers.collect(),
            text: text.to_owned(),
        };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.text = unchunked(text);
        }
        answer
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON of a 200.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// The JSON of a problem: checks everything that every problem has, and this one's status and code.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        if matches!(status, 429 | 503) {
            assert!(self.header("retry-after").is_some(), "{self:?}");
        }
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["type"], format!("urn:wx-jssdk:error:{code}"));
        for field in [
            &problem["title"],
            &problem["detail"],
            &problem["hint"]["en"],
            &problem["hint"]["zh"],
        ] {
            assert!(
                field
                    .as_str()
                    .is_some_and(|sentence| sentence.chars().count() > 5),
                "{problem}"
            );
        }
        let hint = |language: &str| problem["hint"][language].as_str().unwrap_or_default();
        assert!(hint("zh").chars().any(|c| c > '\u{4e00}'), "{problem}");
        assert!(hint("en").starts_with(|c: char| c.is_ascii()), "{problem}");
        problem
    }

    #[track_caller]
    pub(crate) fn retry_after(&self) -> u64 {
        self.header("retry-after")
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("no Retry-After: {self:?}"))
    }
}

/// Decodes the chunks of a large answer.
fn unchunked(text: &str) -> String {
    let (mut rest, mut whole) = (text, String::new());
    while let Some((length, more)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("the length of a chunk");
        if length == 0 {
            break;
        }
        whole += &more[..length];
        rest = &more[(length + 2).min(more.len())..];
    }
    whole
}

/// A client of servers on this machine that use no TLS.
pub(crate) fn client() -> reqwest::Client {
    client_within(BOUND)
}

/// Like [`client`], with another timeout for each request.
pub(crate) fn client_within(limit: Duration) -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .timeout(limit)
        .build()
        .expect("a client")
}

/// The status and the body of `GET url`.
pub(crate) async fn fetch(url: &str) -> (u16, String) {
    let answer = client().get(url).send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.text().await.expect("a whole answer"))
}
