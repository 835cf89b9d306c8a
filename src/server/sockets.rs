//! The listening sockets, inherited from systemd or created here, and the number of connections they can
//! have.

use std::io;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use parking_lot::Mutex;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::startup_error::StartupError;
use crate::actix::ListenerName;

/// A listening socket.
pub(super) struct Bound {
    pub(super) listener: TcpListener,
    /// Another process holds the socket too, or will, so this process must not shut it down.
    pub(super) shared: bool,
}

/// The sockets that the service manager passed.
pub(super) struct HandedOver(Mutex<Vec<Passed>>);

struct Passed {
    listener: ListenerName,
    address: SocketAddr,
    socket: TcpListener,
}

impl HandedOver {
    /// Takes the sockets out of the environment. A second call finds no sockets.
    pub(super) fn take() -> Result<Self, StartupError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut passed = ListenFd::from_env();
        let sockets: io::Result<Vec<_>> = (0..passed.len())
            .filter_map(|at| passed.take_tcp_listener(at).transpose())
            .map(|socket| socket.and_then(|socket| Ok((socket.local_addr()?, socket))))
            .collect();
        let sockets = sockets.map_err(|error| StartupError::PassedSocket(error.to_string()))?;
        Ok(Self(Mutex::new(assign(sockets, &names)?)))
    }

    pub(super) fn none() -> Self {
        Self(Mutex::default())
    }

    /// Returns the socket of a listener: the one that was handed over, or a new one at `address`.
    pub(super) fn bind(
        &self,
        listener: ListenerName,
        address: SocketAddr,
        reuse_port: bool,
    ) -> io::Result<Bound> {
        let Some(passed) = self.take_socket(listener) else {
            return bind(address, reuse_port);
        };
        if !is_same(passed.address, address) {
            tracing::warn!(
                setting = setting(listener),
                configured = %address,
                passed = %passed.address,
                "the setting has no effect: the service manager passed a socket with another address"
            );
        }
        passed.socket.set_nonblocking(true)?;
        limit_buffers(&SockRef::from(&passed.socket))?;
        Ok(Bound {
            listener: passed.socket,
            shared: true,
        })
    }

    /// Closes the socket of a listener that is not configured, if one was handed over. The service manager may hold it
    /// too: its clients then wait for an answer that never comes.
    pub(super) fn close_unused(&self, listener: ListenerName) {
        if let Some(passed) = self.take_socket(listener) {
            tracing::warn!(
                setting = setting(listener),
                passed = %passed.address,
                "the setting is empty, so that a socket of the service manager is not served"
            );
        }
    }

    fn take_socket(&self, listener: ListenerName) -> Option<Passed> {
        let mut all = self.0.lock();
        let at = all.iter().position(|passed| passed.listener == listener)?;
        Some(all.swap_remove(at))
    }
}

/// Assigns the sockets to the listeners by name (`FileDescriptorName=`); if no socket has a listener's
/// name, in the order public, admin. Each must have its listener: one that is left over would stay open
/// without an answer.
fn assign(
    sockets: Vec<(SocketAddr, TcpListener)>,
    names: &str,
) -> Result<Vec<Passed>, StartupError> {
    let names: Vec<_> = names
        .split(':')
        .map(|name| LISTENERS.into_iter().find(|one| one.as_str() == name))
        .collect();
    let is_named = names.iter().any(Option::is_some);
    let mut assigned: Vec<Passed> = Vec::new();
    for (at, (address, socket)) in sockets.into_iter().enumerate() {
        let listener = match is_named {
            true => names.get(at).copied().flatten(),
            false => LISTENERS.get(at).copied(),
        };
        // Without names, two sockets with one port are the same listener's, such as 0.0.0.0:80 and [::]:80.
        let is_free = |listener: &ListenerName| {
            assigned.iter().all(|other| {
                other.listener != *listener && (is_named || other.address.port() != address.port())
            })
        };
        let listener = listener
            .filter(is_free)
            .ok_or_else(|| StartupError::PassedSocket(address.to_string()))?;
        assigned.push(Passed {
            listener,
            address,
            socket,
        });
    }
    Ok(assigned)
}

/// Returns the setting that names a listener's address.
fn setting(listener: ListenerName) -> &'static str {
    match listener {
        ListenerName::Public => "server.listen",
        ListenerName::Admin => "server.admin_listen",
    }
}

/// Returns whether both are the same address. `ListenStream=8080` is `[::]:8080`, which includes `0.0.0.0:8080`.
fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    let all = one.ip().is_unspecified() && other.ip().is_unspecified();
    one == other || (all && one.port() == other.port())
}

fn bind(address: SocketAddr, reuse_port: bool) -> io::Result<Bound> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    socket.set_nonblocking(true)?;
    limit_buffers(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(Bound {
        listener: socket.into(),
        shared: false,
    })
}

/// Limits the socket's buffers; accepted connections inherit the limit.
fn limit_buffers(socket: &Socket) -> io::Result<()> {
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)
}

/// Refuses new connections; accepted ones continue.
pub(super) fn stop_listening(listener: &TcpListener) {
    let _ = SockRef::from(listener).shutdown(std::net::Shutdown::Both);
}

/// The maximum number of connections of each listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) public: usize,
    /// 0 if there is no such listener.
    pub(super) admin: usize,
}

impl Places {
    /// A call that the gateway passes on needs a second connection.
    fn descriptors(self) -> usize {
        self.public + 2 * self.admin
    }
}

/// Returns the wanted numbers of connections, or as many as the limit of open files allows: each
/// connection needs a descriptor, and the rest of the program needs some. Raises the soft limit, which is
/// 1024 on most machines, as far as permitted.
pub(super) fn places(wanted: Places, workers: usize) -> Result<Places, StartupError> {
    let rest = OTHER_DESCRIPTORS + workers * WORKER_DESCRIPTORS;
    let need = (wanted.descriptors() + rest) as u64;
    let limit = match rlimit::Resource::NOFILE.get() {
        Ok((soft, _)) if soft >= need => soft,
        _ => rlimit::increase_nofile_limit(need).unwrap_or(1_024),
    };
    let left = fit(wanted, usize::try_from(limit).unwrap_or(usize::MAX), rest)?;
    if left != wanted {
        tracing::warn!(
            wanted = wanted.public,
            left = left.public,
            left_admin = left.admin,
            limit,
            need,
            "fewer connections than limits.max_connections: the limit of open files is too low"
        );
    }
    Ok(left)
}

/// Divides the places. If there are not enough for both, the admin listener gets a quarter of the
/// descriptors.
fn fit(wanted: Places, limit: usize, rest: usize) -> Result<Places, StartupError> {
    let left = limit.saturating_sub(rest);
    if left >= wanted.descriptors() {
        return Ok(wanted);
    }
    let admin = wanted.admin.min(left / 8);
    let public = wanted.public.min(left - 2 * admin);
    let too_few = |places: usize, wanted: usize| places < wanted.min(FEWEST);
    if too_few(public, wanted.public) || too_few(admin, wanted.admin) {
        let fewest = if wanted.admin == 0 {
            FEWEST
        } else {
            8 * FEWEST
        };
        return Err(StartupError::OpenFiles {
            limit,
            need: rest + fewest,
        });
    }
    Ok(Places { public, admin })
}

/// In the order of sockets without a name.
const LISTENERS: [ListenerName; 2] = [ListenerName::Public, ListenerName::Admin];

/// Connections that the kernel completes before they are accepted. It caps the number at
/// `net.core.somaxconn`, 4096 on Linux.
const BACKLOG: i32 = 4_096;

/// Kernel buffer per connection and direction, which could otherwise grow to megabytes. The kernel
/// doubles the number.
const SOCKET_BUFFER: usize = 64 * 1_024;

/// For the store, upstream calls, the runtimes, and files that are read occasionally.
const OTHER_DESCRIPTORS: usize = 96;

/// For each worker's runtime.
const WORKER_DESCRIPTORS: usize = 4;

/// The fewest connections of a listener with which the service starts.
const FEWEST: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Places = Places {
        public: 10_000,
        admin: 1_000,
    };

    #[test]
    fn passed_sockets_are_assigned_by_name_or_place_and_each_has_its_listener() {
        let socket = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (one, other, third) = (socket(), socket(), socket());
        let assigned = |sockets: &[&TcpListener], names: &str| {
            let sockets = sockets.iter().map(|socket| {
                let address = socket.local_addr().unwrap();
                (address, socket.try_clone().unwrap())
            });
            assign(sockets.collect(), names).map(|all| {
                all.iter()
                    .map(|passed| (passed.listener, passed.address))
                    .collect::<Vec<_>>()
            })
        };
        let address = |socket: &TcpListener| socket.local_addr().unwrap();
        let public = (ListenerName::Public, address(&one));
        let admin = (ListenerName::Admin, address(&other));
        assert_eq!(assigned(&[], "").unwrap(), []);
        assert_eq!(assigned(&[&one], "").unwrap(), [public]);
        for names in ["", "wx.socket:wx.socket", "public:admin"] {
            assert_eq!(assigned(&[&one, &other], names).unwrap(), [public, admin]);
        }
        let by_name = assigned(&[&other, &one], "admin:public").unwrap();
        assert_eq!(by_name, [admin, public]);
        assert_eq!(assigned(&[&other], "admin").unwrap(), [admin]);
        for (sockets, names, left_over) in [
            (vec![&one, &other, &third], "", &third),
            (vec![&one, &other], "public:wx.socket", &other),
            (vec![&other, &one], "public:public", &one),
            (vec![&one, &one], "", &one),
        ] {
            let error = assigned(&sockets, names).unwrap_err().to_string();
            let left_over = address(left_over).to_string();
            assert!(error.contains(&left_over), "{names}: {error}");
        }
    }

    #[test]
    fn the_connection_limit_follows_from_the_open_file_limit() {
        let fit = |limit| {
            fit(WANTED, limit, 112)
                .ok()
                .map(|left| (left.public, left.admin))
        };
        assert_eq!(fit(20_000), Some((10_000, 1_000)));
        assert_eq!(fit(12_112), Some((10_000, 1_000)));
        assert_eq!(fit(4_096), Some((2_988, 498)));
        assert_eq!(fit(1_024), Some((684, 114)));
        assert_eq!(fit(192), Some((60, 10)));
        assert_eq!(fit(191), None);
        assert_eq!(fit(64), None);
    }

    #[test]
    fn without_an_admin_listener_all_connections_are_public() {
        let wanted = Places { admin: 0, ..WANTED };
        assert_eq!(fit(wanted, 1_024, 100).unwrap().public, 924);
        assert_eq!(fit(wanted, 110, 100).unwrap().public, 10);
        let error = fit(wanted, 109, 100).unwrap_err().to_string();
        assert!(error.contains("109") && error.contains("110"), "{error}");
    }
}
