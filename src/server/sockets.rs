//! The sockets to listen on: handed over by systemd, or made here; and how many connections there can be.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Mutex;

use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// A socket that listens.
pub(super) struct Bound {
    pub(super) listener: TcpListener,
    /// Another process has it, too, or will: closing it for new connections is not ours to do.
    pub(super) shared: bool,
}

/// The sockets that a service manager handed over, by name (`FileDescriptorName=`), else in the order public, private.
pub(super) struct HandedOver(Mutex<Sockets>);

struct Sockets {
    sockets: ListenFd,
    names: Vec<String>,
}

impl HandedOver {
    /// Takes them out of the environment. There are none for whoever asks a second time.
    pub(super) fn take() -> Self {
        // Asked before they are taken, which removes the variables.
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names = names.split(':').map(str::to_owned).collect();
        Self(Mutex::new(Sockets {
            sockets: ListenFd::from_env(),
            names,
        }))
    }

    pub(super) fn none() -> Self {
        Self(Mutex::new(Sockets {
            sockets: ListenFd::empty(),
            names: Vec::new(),
        }))
    }

    /// The socket with this name; where no socket has either name, the one at this place.
    fn listener(&self, name: &str, place: usize) -> io::Result<Option<TcpListener>> {
        let mut all = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let named = all.names.iter().any(|name| NAMES.contains(&name.as_str()));
        let at = if named {
            all.names.iter().position(|known| known == name)
        } else {
            Some(place)
        };
        match at {
            Some(at) => all.sockets.take_tcp_listener(at),
            None => Ok(None),
        }
    }
}

/// The socket of `server.listen`.
pub(super) fn public(
    handed_over: &HandedOver,
    address: SocketAddr,
    reuse_port: bool,
) -> io::Result<Bound> {
    bind(handed_over.listener(NAMES[0], 0)?, address, reuse_port)
}

/// The socket of `server.admin_listen`.
pub(super) fn private(
    handed_over: &HandedOver,
    address: SocketAddr,
    reuse_port: bool,
) -> io::Result<Bound> {
    bind(handed_over.listener(NAMES[1], 1)?, address, reuse_port)
}

fn bind(
    handed_over: Option<TcpListener>,
    address: SocketAddr,
    reuse_port: bool,
) -> io::Result<Bound> {
    if let Some(listener) = handed_over {
        listener.set_nonblocking(true)?;
        return Ok(Bound {
            listener,
            shared: true,
        });
    }
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(Bound {
        listener: socket.into(),
        shared: false,
    })
}

/// Refuses new connections from now on; those that were accepted go on.
pub(super) fn stop_listening(listener: &TcpListener) {
    let _ = SockRef::from(listener).shutdown(std::net::Shutdown::Both);
}

/// How many connections the public listener may have when `wanted` are: each needs a descriptor, and the rest of the program
/// some, too. Raises the soft limit, which is 1024 on most machines, as far as it may.
pub(super) fn affordable(wanted: usize, private: usize) -> usize {
    let need = (wanted + private + OTHER_DESCRIPTORS) as u64;
    let limit = match rlimit::Resource::NOFILE.get() {
        Ok((soft, _)) if soft >= need => soft,
        _ => rlimit::increase_nofile_limit(need).unwrap_or(1_024),
    };
    if limit >= need {
        return wanted;
    }
    let left = usize::try_from(limit)
        .unwrap_or(wanted)
        .saturating_sub(private + OTHER_DESCRIPTORS)
        .max(FEWEST);
    tracing::warn!(
        wanted,
        left,
        limit,
        need,
        "fewer connections than limits.max_connections: raise the limit of open files (ulimit -n, LimitNOFILE=) · 文件描述符不足，最大连接数已降低，请调高 ulimit -n 或 LimitNOFILE"
    );
    left
}

/// `FileDescriptorName=` of the public and of the private socket.
const NAMES: [&str; 2] = ["public", "private"];

/// Connections that the system completes before we accept them. More is cut down to `net.core.somaxconn`, 4096 on Linux.
const BACKLOG: i32 = 4_096;

/// For the store, the calls to WeChat, the runtimes, files that are read now and then.
const OTHER_DESCRIPTORS: usize = 256;

/// Fewer would be none at all.
const FEWEST: usize = 64;
