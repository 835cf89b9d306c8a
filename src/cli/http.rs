//! One HTTP/1.1 exchange with a server of ours: short, bounded, over TLS where the address says so. No client for the world.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use super::tls::Trust;

/// The base URL of a server.
#[derive(Clone, Debug)]
pub(super) struct Server(Url);

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none()
        });
        url.map(Self).ok_or_else(|| {
            "write http://host:port, or https:// where it has a certificate · 应为 http://主机:端口，配置了证书时用 https://".to_owned()
        })
    }
}

impl From<SocketAddr> for Server {
    fn from(address: SocketAddr) -> Self {
        Self::at(address, false)
    }
}

impl Server {
    /// A service that listens on all addresses is asked on this machine's own.
    pub(super) fn at(mut address: SocketAddr, secure: bool) -> Self {
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let scheme = if secure { "https" } else { "http" };
        Self(Url::parse(&format!("{scheme}://{address}")).expect("an address is a host and a port"))
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl Server {
    /// Whether it is asked over TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The same with TLS, or without.
    pub(super) fn the_other_way(&self) -> Self {
        let mut other = self.0.clone();
        other
            .set_scheme(if self.is_secure() { "http" } else { "https" })
            .expect("both are schemes of the web");
        Self(other)
    }

    /// Host and port.
    pub(super) fn place(&self) -> &str {
        &self.0[url::Position::BeforeHost..url::Position::AfterPort]
    }

    /// `GET`, or `POST` where there is a body. The path's segments may hold anything, the key what fits into a header.
    pub(super) async fn ask(
        &self,
        path: &[&str],
        key: Option<&str>,
        body: Option<&str>,
        trust: Trust,
        within: Duration,
    ) -> io::Result<Reply> {
        let request = self.request(path, key, body);
        tokio::time::timeout(within, self.exchange(request, trust))
            .await
            .unwrap_or_else(|_| {
                Err(io::Error::new(
                    ErrorKind::TimedOut,
                    format!("no answer within {} s", within.as_secs()),
                ))
            })
    }

    fn request(&self, path: &[&str], key: Option<&str>, body: Option<&str>) -> String {
        let mut url = self.0.clone();
        url.path_segments_mut()
            .expect("an http URL has a path")
            .pop_if_empty()
            .extend(path);
        let method = if body.is_some() { "POST" } else { "GET" };
        let host = self.place();
        let mut request = format!(
            "{method} {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n",
            url.path()
        );
        if let Some(key) = key {
            request += &format!("Authorization: Bearer {key}\r\n");
        }
        if let Some(body) = body {
            request += &format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            );
        }
        request + "\r\n" + body.unwrap_or_default()
    }

    async fn exchange(&self, request: String, trust: Trust) -> io::Result<Reply> {
        let host = self
            .0
            .host_str()
            .unwrap_or_default()
            .trim_matches(['[', ']']);
        let stream =
            TcpStream::connect((host, self.0.port_or_known_default().unwrap_or(80))).await?;
        if self.is_secure() {
            return exchange(trust.connect(host, stream).await?, &request).await;
        }
        exchange(stream, &request).await
    }
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> io::Result<Reply> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    match stream.take(LONGEST).read_to_end(&mut answer).await {
        // Whole or not is told by the answer's own length.
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(error),
        _ => {}
    }
    parsed(&answer).ok_or_else(|| {
        io::Error::new(
            ErrorKind::InvalidData,
            "what came back is no whole HTTP answer",
        )
    })
}

/// The status and the body, if all of it is there.
fn parsed(answer: &[u8]) -> Option<Reply> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, rest) = (
        std::str::from_utf8(&answer[..end]).ok()?,
        &answer[end + 4..],
    );
    let mut lines = head.split("\r\n");
    let status = lines
        .next()?
        .strip_prefix("HTTP/1.")?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()?;
    let header = |wanted: &str| {
        let mut headers = lines.clone().filter_map(|line| line.split_once(':'));
        headers
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim())
    };
    let body =
        if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            unchunked(rest)?
        } else if let Some(length) = header("content-length") {
            rest.get(..length.parse().ok()?)?.to_vec()
        } else {
            rest.to_vec()
        };
    Some(Reply { status, body })
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end])
            .ok()?
            .split(';')
            .next()?
            .trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size.checked_add(2)?..)?;
    }
}

/// No answer of ours is near it.
const LONGEST: u64 = 256 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn body_of(answer: &str) -> Option<String> {
        parsed(answer.as_bytes()).map(|reply| String::from_utf8(reply.body).unwrap())
    }

    #[test]
    fn a_body_is_read_by_its_length_in_chunks_or_to_the_end() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhello and more",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\nhello",
        ] {
            assert_eq!(body_of(answer).as_deref(), Some("hello"), "{answer}");
        }
        assert_eq!(
            parsed(b"HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n")
                .unwrap()
                .status,
            503
        );
    }

    #[test]
    fn half_an_answer_is_none() {
        for answer in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 OK\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nhello",
        ] {
            assert!(parsed(answer.as_bytes()).is_none(), "{answer}");
        }
    }

    #[test]
    fn nothing_in_a_path_segment_can_become_another_request() {
        let server: Server = "http://127.0.0.1:8081".parse().unwrap();
        let request = server.request(
            &["credentials", "a/b?c#d\r\nX: y ..", "access_token"],
            Some("k"),
            None,
        );
        assert!(
            request
                .starts_with("GET /credentials/a%2Fb%3Fc%23dX:%20y%20../access_token HTTP/1.1\r\n"),
            "{request}"
        );
        assert_eq!(request.matches("\r\n").count(), 5, "{request}");
    }

    #[test]
    fn a_server_is_named_by_a_plain_base_url_or_an_address() {
        for (text, shown) in [
            ("http://127.0.0.1:8081/", "http://127.0.0.1:8081"),
            ("http://x:81/wx", "http://x:81/wx"),
            ("https://x:81", "https://x:81"),
        ] {
            assert_eq!(text.parse::<Server>().unwrap().to_string(), shown);
        }
        for bad in ["", "127.0.0.1:8081", "ftp://x", "http://", "http://x/?a"] {
            assert!(bad.parse::<Server>().is_err(), "{bad}");
        }
        let of = |address: &str| Server::from(address.parse::<SocketAddr>().unwrap()).to_string();
        assert_eq!(of("0.0.0.0:8081"), "http://127.0.0.1:8081");
        assert_eq!(
            (of("[::]:8081"), of("[2001:db8::1]:81")),
            ("http://[::1]:8081".into(), "http://[2001:db8::1]:81".into())
        );
        let request = "http://x:81/wx"
            .parse::<Server>()
            .unwrap()
            .request(&["a"], None, Some("{}"));
        assert!(
            request.starts_with("POST /wx/a HTTP/1.1\r\nHost: x:81\r\n")
                && request.ends_with("\r\n\r\n{}"),
            "{request}"
        );
    }
}
