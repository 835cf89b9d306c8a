//! The SOCKS5 proxy: RFC 1928 with CONNECT only, and RFC 1929.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Inner, Refused};

pub(super) async fn serve(mut client: TcpStream, proxy: &Inner) -> io::Result<()> {
    let [version, count] = read::<2>(&mut client).await?;
    let methods = read_bytes(&mut client, count).await?;
    let method = match proxy.credentials {
        Some(_) => PASSWORD,
        None => NO_PASSWORD,
    };
    if version != VERSION || !methods.contains(&method) {
        return client.write_all(&[VERSION, NO_METHOD]).await;
    }
    client.write_all(&[VERSION, method]).await?;
    if let Some((user, password)) = &proxy.credentials {
        let [_, length] = read::<2>(&mut client).await?;
        let given_user = read_bytes(&mut client, length).await?;
        let [length] = read::<1>(&mut client).await?;
        let given_password = read_bytes(&mut client, length).await?;
        let is_right = given_user == user.as_bytes() && given_password == password.as_bytes();
        client.write_all(&[1, u8::from(!is_right)]).await?;
        if !is_right {
            return Ok(());
        }
    }
    let [_, command, _, kind] = read::<4>(&mut client).await?;
    let host = match kind {
        1 => Ipv4Addr::from(read::<4>(&mut client).await?).to_string(),
        4 => Ipv6Addr::from(read::<16>(&mut client).await?).to_string(),
        3 => {
            let [length] = read::<1>(&mut client).await?;
            let name = read_bytes(&mut client, length).await?;
            String::from_utf8_lossy(&name).into_owned()
        }
        _ => return reply(&mut client, 8).await,
    };
    let port = u16::from_be_bytes(read(&mut client).await?);
    if command != CONNECT {
        return reply(&mut client, 7).await;
    }
    match proxy.connect(&host, port).await {
        Ok(mut outgoing) => {
            reply(&mut client, 0).await?;
            outgoing.relay(&mut client).await
        }
        Err(Refused::Rules) => reply(&mut client, 2).await,
        Err(Refused::Unreachable) => reply(&mut client, 4).await,
    }
}

/// Sends a reply with this code, and an address that clients ignore.
async fn reply(client: &mut TcpStream, code: u8) -> io::Result<()> {
    client
        .write_all(&[VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0])
        .await
}

async fn read<const N: usize>(client: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn read_bytes(client: &mut TcpStream, count: u8) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(count)];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

const VERSION: u8 = 5;
const CONNECT: u8 = 1;
const NO_PASSWORD: u8 = 0;
const PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
