//! A Redis to store credentials in.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A real redis-server of this test. Ends when dropped.
pub(crate) struct Redis {
    server: Child,
    pub(crate) port: u16,
    arguments: Vec<String>,
    /// Its working directory: a replica writes a file, which the next server there would read.
    directory: TempDir,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments
            .iter()
            .map(|&argument| argument.to_owned())
            .collect();
        let directory = tempfile::tempdir().expect("there is a place for temporary files");
        // Another process may take the port in the meantime: then try the next one.
        let (server, port) = (0..20)
            .find_map(|_| {
                let port = free_port();
                run(port, &arguments, directory.path()).map(|server| (server, port))
            })
            .expect("redis-server starts");
        Self {
            server,
            port,
            arguments,
            directory,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sends a signal by name: STOP, CONT.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.server.id().to_string())
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
    }

    pub(crate) fn kill(&mut self) {
        self.server.kill().expect("it is ours");
        self.server.wait().expect("it is ours");
    }

    /// Starts an empty server on the same port.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.server = run(self.port, &self.arguments, self.directory.path())
            .expect("redis-server starts again");
    }

    /// Runs a command, bypassing the store. Returns the raw output of redis-cli.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .arg("-p")
            .arg(self.port.to_string())
            .args(arguments)
            .output();
        String::from_utf8_lossy(&output.expect("redis-cli runs").stdout)
            .trim_end()
            .to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ended = self.server.kill();
        let _reaped = self.server.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

/// Starts it and waits until it is ready. Returns `None` if the port was not available.
fn run(port: u16, arguments: &[String], directory: &Path) -> Option<Child> {
    let port = port.to_string();
    let mut server = Command::new("redis-server")
        // The configuration file precedes the other settings on the command line.
        .args(
            arguments
                .iter()
                .take_while(|argument| !argument.starts_with("--")),
        )
        .args([
            "--bind",
            "127.0.0.1",
            "--port",
            &port,
            "--save",
            "",
            "--appendonly",
            "no",
        ])
        .args(
            arguments
                .iter()
                .skip_while(|argument| !argument.starts_with("--")),
        )
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-server is installed");
    let said = server.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(said).lines().map_while(Result::ok);
    if lines.any(|line| line.contains("Ready to accept connections") || line.contains("+monitor")) {
        // It must never block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        return Some(server);
    }
    server.wait().expect("it is ours");
    None
}
