//! A listener: its socket, optional certificate, connection guard, HTTP service and shutdown.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{ConnectionType, HttpService, KeepAlive, Request, Response};
use actix_service::{Service, ServiceFactoryExt as _, map_config};
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server, ServiceFactory, fn_service};
use actix_web::http::header::{HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::rt::net::{ActixStream, TcpStream};
use tokio::task::JoinSet;

use super::backpressure::{Paced, WRITE_BUFFER, paced};
use super::connection_guard::{ConnectionLimits, Guarded, Load, Worker};
use super::shutdown::Exit;
use super::sockets::Bound;
use super::startup_error::cannot_start;
use super::tls::Certificate;

/// A bound listener that is not yet serving.
pub(super) struct Listener {
    pub(super) server: Server,
    /// The actual port if the configured one was 0.
    pub(super) address: SocketAddr,
    /// Whether the listener uses TLS.
    pub(super) secure: bool,
    pub(super) exit: Exit,
}

/// Limits of a listener.
#[derive(Clone, Copy)]
pub(super) struct ListenerLimits {
    /// Number of worker threads.
    pub(super) workers: usize,
    pub(super) connections: usize,
    pub(super) request: Duration,
    /// Selects the requests whose bodies may take as long as their answers.
    pub(super) may_upload: fn(&Request) -> bool,
    pub(super) answer: Duration,
    pub(super) keep_alive: Duration,
    pub(super) shutdown: Duration,
}

/// Serves the application that `app` creates, once per worker, on this socket.
pub(super) fn open<A, F, B>(
    app: A,
    bound: Bound,
    certificate: Option<&Certificate>,
    limits: ListenerLimits,
    load: Arc<Load>,
) -> io::Result<Listener>
where
    A: Fn() -> F + Clone + Send + 'static,
    F: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = Response<B>,
            Error = Error,
            InitError = (),
        > + 'static,
    <F::Service as Service<Request>>::Future: 'static,
    B: MessageBody + Unpin + 'static,
{
    let address = bound.listener.local_addr()?;
    let listener = if bound.shared {
        None
    } else {
        Some(Arc::new(bound.listener.try_clone()?))
    };
    let (of_each, at_most) = limits.of_each_worker();
    // The connection limit also bounds handshakes: with a limit of their own, a few hundred stalled ones
    // would block all others.
    actix_tls::accept::max_concurrent_tls_connect(usize::MAX >> 1);
    let server = Server::build()
        .workers(limits.workers)
        .max_concurrent_connections(at_most)
        .shutdown_timeout(limits.shutdown.as_secs())
        .disable_signals();
    let guard = {
        let load = load.clone();
        move || {
            let worker = Worker::start(of_each, load.clone());
            fn_service(move |io: TcpStream| {
                let _ = io.set_nodelay(true);
                std::future::ready(Ok::<_, DispatchError>(worker.guard(io)))
            })
        }
    };
    let (name, counted) = (format!("{address}"), load.clone());
    let server = match certificate.map(Certificate::server_config) {
        None => server.listen(name, bound.listener, move || {
            let named = fn_service(|io: Guarded<TcpStream>| {
                let state = io.state.clone();
                let peer = state.peer;
                std::future::ready(Ok::<_, DispatchError>((Paced::new(io, state), peer)))
            });
            guard()
                .and_then(named)
                .and_then(http(app(), load.clone(), limits))
        })?,
        Some(config) => server.listen(name, bound.listener, move || {
            let mut acceptor = Acceptor::new(config.clone());
            acceptor.set_handshake_timeout(HANDSHAKE);
            let named = acceptor.map_err(|_| DispatchError::DisconnectTimeout).map(
                |mut io: TlsStream<Guarded<TcpStream>>| {
                    let (guarded, tls) = io.get_mut();
                    tls.set_buffer_limit(Some(WRITE_BUFFER));
                    guarded.expects_request();
                    let state = guarded.state.clone();
                    let peer = state.peer;
                    (Paced::new(io, state), peer)
                },
            );
            guard()
                .and_then(named)
                .and_then(http(app(), load.clone(), limits))
        })?,
    };
    let server = server.run();
    let exit = Exit {
        handle: server.handle(),
        load: counted,
        listener,
    };
    Ok(Listener {
        server,
        address,
        secure: certificate.is_some(),
        exit,
    })
}

/// HTTP/1.1 over guarded and paced streams. During shutdown each answer carries `Connection: close`.
fn http<I, F, B>(
    app: F,
    load: Arc<Load>,
    limits: ListenerLimits,
) -> impl ServiceFactory<
    (Paced<I>, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
>
where
    I: ActixStream + 'static,
    F: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = Response<B>,
            Error = Error,
            InitError = (),
        > + 'static,
    <F::Service as Service<Request>>::Future: 'static,
    B: MessageBody + Unpin + 'static,
{
    let app = paced(
        map_config(app, |()| AppConfig::default()),
        limits.may_upload,
        move |answer| {
            if load.draining.load(Ordering::Relaxed) {
                answer.head_mut().set_connection_type(ConnectionType::Close);
            }
            // Set here so that every answer has it, including errors and redirects.
            answer
                .headers_mut()
                .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        },
    );
    HttpService::build()
        // The guard closes idle connections, also at shutdown: actix-http would set and drop a timer for each request,
        // and its signal for shutdown has a lock that each request of all workers would take.
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(limits.request.min(FIRST_HEAD))
        // The rest of a refused body is read for as long at most: a client that writes all of it before it reads would
        // lose its answer to the reset of a closed connection.
        .client_disconnect_timeout(limits.request)
        .h1_write_buffer_size(WRITE_BUFFER)
        .on_connect_ext(Paced::on_connect)
        .h1(app)
}

impl Listener {
    /// Returns the base URL of the listener.
    pub(super) fn url(&self) -> String {
        format!(
            "{}://{}",
            if self.secure { "https" } else { "http" },
            self.address
        )
    }
}

impl ListenerLimits {
    /// Returns the limits of each worker, and the most connections that it accepts: a tenth of the places
    /// is reserved for new connections while older ones are evicted.
    fn of_each_worker(self) -> (ConnectionLimits, usize) {
        let at_most = self.connections.div_ceil(self.workers).max(2);
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX - 1);
        let limits = ConnectionLimits {
            request: seconds(self.request),
            answer: seconds(self.answer),
            send: seconds(self.request),
            idle: seconds(self.keep_alive),
            places: at_most - at_most.div_ceil(10),
            at_most,
            request_bytes: (REQUEST_BYTES / self.workers).max(LEAST_BYTES),
        };
        (limits, at_most)
    }
}

/// Starts the threads of the listeners and serves them.
///
/// # Errors
/// The system refuses a thread.
pub(super) async fn start_all(listeners: Vec<Listener>) -> io::Result<JoinSet<io::Result<()>>> {
    let servers = listeners.into_iter().map(|listener| listener.server);
    let mut starting: JoinSet<_> = servers.map(start).collect();
    let mut serving = JoinSet::new();
    while let Some(server) = starting.join_next().await {
        let server = server.map_err(io::Error::other).flatten();
        serving.spawn(server.map_err(cannot_start)?);
    }
    Ok(serving)
}

/// Starts the threads of a server. If the system refuses one, actix panics or returns the error.
async fn start(mut server: Server) -> io::Result<Server> {
    let handle = server.handle();
    // A server obeys only once all its threads have started, the one that accepts connections included.
    let obeyed = handle.resume();
    tokio::select! {
        biased;
        ended = &mut server => ended.and(Err(io::Error::other("the listener has ended"))),
        () = obeyed => Ok(server),
    }
}

/// Waits for the next listener that ends.
pub(super) async fn next_end(serving: &mut JoinSet<io::Result<()>>) -> io::Result<()> {
    let ended = serving.join_next().await;
    ended.map_or(Ok(()), |ended| ended.map_err(io::Error::other).flatten())
}

/// Deadline for the head of a connection's first request. Later requests have the guard's limit.
const FIRST_HEAD: Duration = Duration::from_secs(10);

/// Bytes of a listener's unfinished requests: enough for five hundred with a whole body, or for one of usual size on
/// each connection.
const REQUEST_BYTES: usize = 32 * 1024 * 1024;

/// Minimum per worker.
const LEAST_BYTES: usize = 1024 * 1024;

/// Deadline for a TLS handshake, which takes two round trips, on a slow mobile network too.
const HANDSHAKE: Duration = Duration::from_secs(10);
