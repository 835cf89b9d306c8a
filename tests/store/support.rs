//! Credentials to store, and a Redis to store them in.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use wx_jssdk::account::Account;
use wx_jssdk::clock::UnixTime;
use wx_jssdk::credential::{AppKey, Credential, CredentialKey, Kind, Secret};

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
    CredentialKey { app: app(), kind: Kind::AccessToken }
}

/// A credential of two hours, whose value tells its generation.
pub(crate) fn credential(generation: u64) -> Credential {
    Credential {
        value: Secret::new(format!("value of {generation}")),
        issued_at: NOW,
        expires_at: NOW.plus(Duration::from_secs(7_200)),
        generation,
    }
}

pub(crate) fn ending(credential: Credential, seconds: u64) -> Credential {
    Credential { expires_at: NOW.plus(Duration::from_secs(seconds)), ..credential }
}

/// A real redis-server of this test's own; ends with it.
pub(crate) struct Redis {
    server: Child,
    pub(crate) port: u16,
    arguments: Vec<String>,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        // Another process may take the port between here and there: then the next one.
        (0..20)
            .find_map(|_| {
                let port = free_port();
                run(port, &arguments).map(|server| Self { server, port, arguments: arguments.clone() })
            })
            .expect("redis-server starts")
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sends a signal by name: STOP, CONT.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.server.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
    }

    pub(crate) fn kill(&mut self) {
        self.server.kill().expect("it is ours");
        self.server.wait().expect("it is ours");
    }

    /// The same port, nothing in it.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.server = run(self.port, &self.arguments).expect("redis-server starts again");
    }

    /// Speaks to it past the store. Answers in redis-cli's raw words.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli").arg("-p").arg(self.port.to_string()).args(arguments).output();
        String::from_utf8_lossy(&output.expect("redis-cli runs").stdout).trim_end().to_owned()
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

/// Starts it and waits until it says that it is ready; none when it did not like the port.
fn run(port: u16, arguments: &[String]) -> Option<Child> {
    let port = port.to_string();
    let mut server = Command::new("redis-server")
        // A file of settings comes before the settings.
        .args(arguments.iter().take_while(|argument| !argument.starts_with("--")))
        .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"])
        .args(arguments.iter().skip_while(|argument| !argument.starts_with("--")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-server is installed");
    let mut lines = BufReader::new(server.stdout.take()?).lines().map_while(Result::ok);
    if lines.any(|line| line.contains("Ready to accept connections") || line.contains("+monitor")) {
        // It must never block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        return Some(server);
    }
    server.wait().ok();
    None
}
