//! One worker's connections to WeChat: kept for the next call by the same way to the same host. They stay on
//! the worker's thread, so that a call wakes no other.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use actix_web::rt;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Method, Request, Uri};

use super::body::{Outgoing, Progress};
use crate::account::{Account, Egress};
use crate::clock::Clock;
use crate::upstream::gateway_connector::{AbsoluteForm, Opened};
use crate::upstream::{BoxError, Broken, Upstream};

/// The connections of one worker, by the way on which calls leave and the base URL.
pub(crate) struct Connections {
    pools: RefCell<HashMap<Egress, Pools>>,
    clock: Clock,
}

/// By base URL: an account has one or a few.
type Pools = Vec<(String, Rc<Pool>)>;

/// The connections to one host that no call uses.
struct Pool {
    idle: RefCell<Vec<Idle>>,
    clock: Clock,
}

struct Idle {
    connection: Connection,
    /// In uptime.
    since: Duration,
}

struct Connection {
    sender: SendRequest<Outgoing>,
    absolute_form: Option<AbsoluteForm>,
}

/// A connection in use by one call.
pub(super) struct Lent {
    connection: Connection,
    pool: Rc<Pool>,
    /// Whether it was kept from an earlier call, so that WeChat may have closed it meanwhile.
    pub(super) is_reused: bool,
    /// Of a streaming body. A connection on which it is not complete cannot be used again.
    pub(super) progress: Option<Progress>,
}

impl Connections {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            pools: RefCell::default(),
            clock,
        }
    }

    /// Returns an idle connection, or opens one.
    ///
    /// # Errors
    /// [`Broken`]: nothing was sent.
    pub(super) async fn get(
        &self,
        upstream: &Upstream,
        account: &Account,
        base: &str,
        connect_timeout: Duration,
    ) -> Result<Lent, Broken> {
        let pool = self.pool(upstream.egress_of(account), base);
        let (connection, is_reused) = match pool.take() {
            Some(idle) => (idle, true),
            None => {
                let opened = upstream.connect(account, base, connect_timeout).await?;
                (Connection::begin(opened).await?, false)
            }
        };
        Ok(Lent {
            connection,
            pool,
            is_reused,
            progress: None,
        })
    }

    fn pool(&self, egress: &Egress, base: &str) -> Rc<Pool> {
        let mut pools = self.pools.borrow_mut();
        if !pools.contains_key(egress) {
            pools.insert(egress.clone(), Vec::new());
        }
        let of_egress = pools.get_mut(egress).expect("just inserted");
        if let Some((_, pool)) = of_egress.iter().find(|(known, _)| known == base) {
            return pool.clone();
        }
        let pool = Rc::new(Pool {
            idle: RefCell::default(),
            clock: self.clock.clone(),
        });
        of_egress.push((base.to_owned(), pool.clone()));
        pool
    }
}

impl Connection {
    async fn begin(opened: Opened) -> Result<Self, Broken> {
        let (sender, driver) = Builder::new()
            .max_buf_size(BUFFERED)
            .handshake(opened.stream)
            .await
            .map_err(|error| Broken::unsent(error.into()))?;
        // Its errors reach the call.
        rt::spawn(driver);
        Ok(Self {
            sender,
            absolute_form: opened.absolute_form,
        })
    }
}

impl Pool {
    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        self.drop_stale(&mut idle);
        // On one that is not ready, the last request is still being sent.
        let ready = |it: &Idle| it.connection.sender.is_ready();
        let at = idle.iter().rposition(ready)?;
        Some(idle.swap_remove(at).connection)
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.borrow_mut();
        self.drop_stale(&mut idle);
        if idle.len() < MOST_IDLE {
            let since = self.clock.uptime();
            idle.push(Idle { connection, since });
        }
    }

    /// Drops what WeChat has closed, or will soon.
    fn drop_stale(&self, idle: &mut Vec<Idle>) {
        let now = self.clock.uptime();
        idle.retain(|it| {
            !it.connection.sender.is_closed() && now.saturating_sub(it.since) < LONGEST_IDLE
        });
    }
}

impl Lent {
    /// Builds the request for this connection: with the whole URL if a proxy forwards it.
    pub(super) fn request(
        &self,
        base: &str,
        path_and_query: &str,
        method: Method,
        headers: HeaderMap,
        body: Outgoing,
    ) -> Result<Request<Outgoing>, BoxError> {
        let (_, below) = base.split_once("://").unwrap_or_default();
        let (host, prefix) = match below.find('/') {
            Some(at) => below.split_at(at),
            None => (below, ""),
        };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        let absolute_form = self.connection.absolute_form.as_ref();
        *request.uri_mut() = match absolute_form {
            Some(_) => Uri::try_from(format!("{base}{path_and_query}"))?,
            None if prefix.is_empty() => Uri::try_from(path_and_query)?,
            None => Uri::try_from(format!("{prefix}{path_and_query}"))?,
        };
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::try_from(host)?);
        if let Some(authorization) = absolute_form.and_then(|it| it.authorization.clone()) {
            headers.insert(PROXY_AUTHORIZATION, authorization);
        }
        Ok(request)
    }

    pub(super) fn sender(&mut self) -> &mut SendRequest<Outgoing> {
        &mut self.connection.sender
    }

    /// Keeps the connection for the next call. The answer must have been read to its end.
    pub(super) fn give_back(self) {
        let is_sent = self.progress.is_none_or(|progress| progress.is_complete());
        if is_sent {
            self.pool.give_back(self.connection);
        }
    }
}

/// Shorter than servers keep idle connections: on one that is just being closed, a call's outcome would be
/// unknown.
const LONGEST_IDLE: Duration = Duration::from_secs(10);

/// Idle connections per host and worker.
const MOST_IDLE: usize = 128;

/// Bytes that a connection reads or writes ahead. A body that WeChat takes slowly holds as many; a thousand such calls
/// of one key fit into 64 MiB.
const BUFFERED: usize = 32 * 1024;
