//! The answer to a command is lost with its connection, and the command is sent again.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::common::redis_server::Redis;
use crate::redis::open;
use crate::support::key;

/// A proxy to Redis that drops the connection before the answer to the first lease command.
async fn losing_the_answer_to_a_lease(redis: u16) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut lose = true;
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, redis))
                .await
                .unwrap();
            let (mut asked, mut answered, mut cut) = ([0; 8_192], [0; 8_192], false);
            loop {
                tokio::select! {
                    Ok(read @ 1..) = client.read(&mut asked) => {
                        cut = lose && asked[..read].windows(6).any(|part| part == b"lease:");
                        lose &= !cut;
                        server.write_all(&asked[..read]).await.unwrap();
                    }
                    Ok(read @ 1..) = server.read(&mut answered) => {
                        if cut {
                            break;
                        }
                        client.write_all(&answered[..read]).await.unwrap();
                    }
                    else => break,
                }
            }
        }
    });
    port
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_lease_whose_grant_was_lost_on_the_way_is_granted_to_its_owner_once_more() {
    let redis = Redis::start();
    let port = losing_the_answer_to_a_lease(redis.port).await;
    let store = open(&format!("redis://127.0.0.1:{port}"));
    let lease = store.lease(&key(), Duration::from_secs(60)).await.unwrap();
    assert!(lease.is_some(), "it would wait for itself for a minute");
    let other = open(&redis.url());
    assert!(
        other
            .lease(&key(), Duration::from_secs(60))
            .await
            .unwrap()
            .is_none(),
        "and no other store holds it"
    );
    store.release(lease.unwrap()).await.unwrap();
    assert!(
        other
            .lease(&key(), Duration::from_secs(60))
            .await
            .unwrap()
            .is_some()
    );
}
