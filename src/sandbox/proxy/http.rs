//! The HTTP proxy: opens tunnels, and forwards plain requests, one on each connection.

use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use super::{Inner, Refused};

pub(super) async fn serve(mut client: TcpStream, proxy: &Inner) -> io::Result<()> {
    let Some((head, body)) = read_head(&mut client).await? else {
        return Ok(());
    };
    let mut lines = head.split("\r\n");
    let request = lines.next().unwrap_or_default();
    let headers: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
    let mut words = request.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    if !proxy.admits(&headers) {
        return refuse(&mut client, "407 Proxy Authentication Required").await;
    }
    let address = match method {
        "CONNECT" => Url::parse(&format!("http://{target}/")),
        _ => Url::parse(target),
    };
    let Some(address) = address.ok().filter(|url| url.scheme() == "http") else {
        return refuse(&mut client, "400 Bad Request").await;
    };
    let host = address.host_str().unwrap_or_default();
    let port = address.port_or_known_default().unwrap_or_default();
    let mut outgoing = match proxy.connect(host, port).await {
        Ok(outgoing) => outgoing,
        Err(Refused::Rules) => return refuse(&mut client, "403 Forbidden").await,
        Err(Refused::Unreachable) => return refuse(&mut client, "502 Bad Gateway").await,
    };
    if method == "CONNECT" {
        let established = b"HTTP/1.1 200 Connection established\r\n\r\n";
        client.write_all(established).await?;
    } else {
        let forwarded = forwarded(method, &address, &headers);
        outgoing.stream.write_all(forwarded.as_bytes()).await?;
    }
    outgoing.stream.write_all(&body).await?;
    outgoing.relay(&mut client).await
}

impl Inner {
    /// Returns whether the client has the right credentials, or needs none.
    fn admits(&self, headers: &[(&str, &str)]) -> bool {
        let Some((user, password)) = &self.credentials else {
            return true;
        };
        let wanted = format!(
            "Basic {}",
            BASE64_STANDARD.encode(format!("{user}:{password}"))
        );
        headers.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case("proxy-authorization") && value.trim() == wanted
        })
    }
}

/// Returns the head of a forwarded request. The connection ends with its answer.
fn forwarded(method: &str, address: &Url, headers: &[(&str, &str)]) -> String {
    let mut path = address.path().to_owned();
    if let Some(query) = address.query() {
        path.push('?');
        path.push_str(query);
    }
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if !name.starts_with("proxy-") && name != "connection" {
            head.push_str(&format!("{name}:{value}\r\n"));
        }
    }
    head.push_str("\r\n");
    head
}

/// Reads the head of a request, and the part of its body that came with it; `None` if there is no request.
async fn read_head(client: &mut TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    loop {
        if client.read_buf(&mut bytes).await? == 0 || bytes.len() > MAX_HEAD {
            return Ok(None);
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = bytes.split_off(end + 4);
            bytes.truncate(end);
            return Ok(String::from_utf8(bytes).ok().map(|head| (head, body)));
        }
    }
}

/// Answers with an HTML page, as proxies do.
async fn refuse(client: &mut TcpStream, status: &str) -> io::Result<()> {
    let page = format!("<html><body><h1>{status}</h1></body></html>\r\n");
    let asks = match status.starts_with("407") {
        true => "Proxy-Authenticate: Basic realm=\"sandbox\"\r\n",
        false => "",
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\n{asks}Content-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await?;
    // Reads on, so that bytes under way do not reset the connection before the answer is read.
    tokio::io::copy(client, &mut tokio::io::sink())
        .await
        .map(drop)
}

/// More than any request of an HTTP client that has its data in the body.
const MAX_HEAD: usize = 128 * 1024;
