//! Memory use of uploads.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::common::http::client_within;
use crate::common::program::{Running, serve_sandbox_command};

const UPLOADS: usize = 100;
/// 20 MB in a release build. The memory in use does not depend on the length.
const BYTES: usize = if cfg!(debug_assertions) {
    1_500_000
} else {
    20_000_000
};
const MIB: u64 = 1 << 20;

/// Sends this many bodies at once. Returns the growth of memory. The simulated WeChat is in the same process.
async fn grown_by(chunked: bool) -> u64 {
    let home = tempfile::tempdir().unwrap();
    let mut running = Running::start(serve_sandbox_command(home.path()));
    let admin = running.line("admin").await;
    let key = running.line("api key").await;
    let url = format!("{admin}/wx/demo/cgi-bin/media/upload?type=image&access_token={key}");
    let client = client_within(Duration::from_secs(300));
    let body: &'static [u8] = vec![b'x'; BYTES].leak();
    let upload = move |client: &reqwest::Client| {
        let body = match chunked {
            false => reqwest::Body::from(body),
            true => {
                let chunks = body.chunks(64 * 1_024).map(Ok::<_, std::io::Error>);
                reqwest::Body::wrap_stream(futures_util::stream::iter(chunks))
            }
        };
        client.post(&url).body(body).send()
    };
    let received = format!("\"body_bytes\":{BYTES}");
    let answer = upload(&client).await.unwrap().text().await.unwrap();
    assert!(answer.contains(&received), "{answer}");
    let before = running.resident();
    let mut uploads = JoinSet::new();
    for _ in 0..UPLOADS {
        let sent = upload(&client);
        uploads.spawn(async move { sent.await.unwrap().text().await.unwrap() });
    }
    let mut peak = before;
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let mut done = 0;
    while done < UPLOADS {
        tokio::select! {
            answer = uploads.join_next() => {
                let answer = answer.unwrap().unwrap();
                // More than calls_at_once would get a 429.
                assert!(answer.contains(&received), "{answer}");
                done += 1;
            }
            _ = looks.tick() => peak = peak.max(running.resident()),
        }
    }
    peak - before
}

#[tokio::test]
async fn a_hundred_large_uploads_take_less_than_64_mib() {
    assert!(grown_by(false).await < 64 * MIB);
}

#[tokio::test]
async fn a_hundred_large_chunked_uploads_take_less_than_64_mib() {
    assert!(grown_by(true).await < 64 * MIB);
}
