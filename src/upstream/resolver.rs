//! Looks up the addresses of host names, each name in one thread at a time. The system's resolver blocks for up to
//! half a minute. In tokio's pool such lookups would take the threads of all others, and tokio panics if the system
//! refuses a thread.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, LazyLock};
use std::thread;

use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::watch;

/// The system's resolver, for HTTP clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver;

/// The result of a lookup; `None` while it is running.
type Found = Option<Result<Vec<SocketAddr>, Arc<io::Error>>>;

static LOOKUPS: LazyLock<Mutex<HashMap<String, watch::Receiver<Found>>>> =
    LazyLock::new(Mutex::default);

/// Returns the addresses of a host, with port 0.
///
/// # Errors
/// The resolver's error, or that the system refuses a thread.
pub(crate) async fn lookup(host: &str) -> io::Result<Vec<SocketAddr>> {
    let resolve = |host: &str| Ok((host, 0).to_socket_addrs()?.collect());
    result(join_or_start(host, resolve)?).await
}

/// Joins the running lookup of a host or starts one.
fn join_or_start(
    host: &str,
    resolve: impl FnOnce(&str) -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> io::Result<watch::Receiver<Found>> {
    let mut lookups = LOOKUPS.lock();
    if let Some(lookup) = lookups.get(host) {
        return Ok(lookup.clone());
    }
    let (done, lookup) = watch::channel(None);
    let name = host.to_owned();
    let run = move || {
        let found = resolve(&name);
        LOOKUPS.lock().remove(&name);
        done.send_replace(Some(found.map_err(Arc::new)));
    };
    thread::Builder::new()
        .name("wechat-dns".to_owned())
        .spawn(run)?;
    lookups.insert(host.to_owned(), lookup.clone());
    Ok(lookup)
}

async fn result(mut lookup: watch::Receiver<Found>) -> io::Result<Vec<SocketAddr>> {
    let found = lookup.wait_for(Option::is_some).await.ok();
    match found.and_then(|found| found.clone()) {
        Some(found) => found.map_err(io::Error::other),
        None => Err(io::Error::other("the lookup's thread has ended")),
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = lookup(name.as_str()).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_name_is_looked_up_once_at_a_time_and_again_after_its_answer() {
        let address = SocketAddr::from(([192, 0, 2, 1], 0));
        let (answer, answers) = mpsc::channel();
        let hanging = move |_: &str| answers.recv().unwrap_or(Ok(Vec::new()));
        let first = join_or_start("hangs.test", hanging).unwrap();
        let second = join_or_start("hangs.test", |_| Ok(Vec::new())).unwrap();
        let other = join_or_start("answers.test", move |_| Ok(vec![address])).unwrap();
        assert_eq!(result(other).await.unwrap(), [address]);
        let refused = io::Error::other("no such host");
        answer.send(Err(refused)).unwrap();
        for lookup in [first, second] {
            let error = result(lookup).await.unwrap_err();
            assert_eq!(error.to_string(), "no such host");
        }
        let again = join_or_start("hangs.test", move |_| Ok(vec![address])).unwrap();
        assert_eq!(result(again).await.unwrap(), [address]);
    }

    #[tokio::test]
    async fn addresses_and_names_of_this_machine_are_looked_up() {
        for host in ["127.0.0.1", "localhost"] {
            let found = lookup(host).await.unwrap();
            assert!(found.iter().all(|it| it.ip().is_loopback()), "{found:?}");
        }
        assert!(lookup("no-such-host.invalid").await.is_err());
    }
}
