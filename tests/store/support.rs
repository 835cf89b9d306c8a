//! Credentials to store, and a slow way to a store.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use wx_jssdk::account::Account;
use wx_jssdk::clock::UnixTime;
use wx_jssdk::credential::{AppKey, Credential, CredentialKey, Kind, Secret};
use wx_jssdk::store::StoreError;

use crate::common::http::BOUND;

/// 2024-01-01T00:00:00Z, eight in the morning in Shanghai.
pub(crate) const NOW: UnixTime = UnixTime(1_704_067_200);
pub(crate) const TOKEN: &str = "/cgi-bin/token";
pub(crate) const TICKET: &str = "/cgi-bin/ticket/getticket";
pub(crate) const GAP: Duration = Duration::from_secs(30);

pub(crate) fn app() -> AppKey {
    Account::official("wx0123456789abcdef", "app secret").app_key()
}

pub(crate) fn other_app() -> AppKey {
    Account::work("ww0123456789abcdef", 1_000_002, "app secret").app_key()
}

pub(crate) fn key() -> CredentialKey {
    CredentialKey {
        app: app(),
        kind: Kind::AccessToken,
        secret_hash: None,
    }
}

/// A credential of two hours whose value contains its generation.
pub(crate) fn credential(generation: u64) -> Credential {
    Credential {
        value: Secret::new(format!("value-of-{generation}")),
        issued_at: NOW,
        expires_at: NOW.plus(Duration::from_secs(7_200)),
        generation,
    }
}

pub(crate) fn ending(credential: Credential, seconds: u64) -> Credential {
    Credential {
        expires_at: NOW.plus(Duration::from_secs(seconds)),
        ..credential
    }
}

/// Repeats an operation until it succeeds: a store recovers in the background.
pub(crate) async fn until_ok<T>(mut operation: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    let mut last = None;
    let tried = timeout(BOUND, async {
        loop {
            match operation().await {
                Ok(done) => return done,
                Err(error) => last = Some(error),
            }
            tokio::task::yield_now().await;
        }
    });
    let done = tried.await.ok();
    done.unwrap_or_else(|| panic!("it never succeeds: {last:?}"))
}

/// Values that WeChat never issues, and that no store may return.
pub(crate) fn impossible() -> Vec<(&'static str, Credential)> {
    let valued = |value: &str| Credential {
        value: Secret::new(value),
        ..credential(1)
    };
    vec![
        ("a line break", valued("A\r\nX-Evil: 1")),
        ("a blank", valued("a b")),
        ("other letters", valued("票据")),
        ("too long", valued(&"x".repeat(5_000))),
        ("31 years", ending(credential(1), 31 * 365 * 86_400)),
        ("no life", ending(credential(1), 0)),
        ("a generation that none can follow", credential(u64::MAX)),
    ]
}

/// Starts a proxy to a server of this machine that delays each answer, like a distant network. Returns its port.
pub(crate) async fn delaying(server: u16, delay: Duration) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))
                .await
                .unwrap();
            let (mut asked, mut answers) = client.into_split();
            let (mut answered, mut server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut asked, &mut server).await });
            tokio::spawn(async move {
                let mut part = [0; 8_192];
                while let Ok(read @ 1..) = answered.read(&mut part).await {
                    tokio::time::sleep(delay).await;
                    if answers.write_all(&part[..read]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}
