//! PostgreSQL and MariaDB servers to store credentials in.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tempfile::TempDir;

use super::redis_server::free_port;
use super::tls::TlsCertificate;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    MariaDb,
}

/// A real server that ends when dropped. It runs as the user `nobody`, because neither server runs as root.
pub(crate) struct Sql {
    pub(crate) kind: Kind,
    server: Mutex<Child>,
    pub(crate) port: u16,
    directory: TempDir,
}

/// The server that tests share at this moment: starting one takes seconds.
static SHARED: [Mutex<Weak<Sql>>; 2] = [const { Mutex::new(Weak::new()) }; 2];

impl Sql {
    /// Returns a server that other tests use too: use your own table names and leave it running.
    pub(crate) fn shared(kind: Kind) -> Arc<Self> {
        // A start that failed is tried again, so that one fault does not end every test.
        let shared = SHARED[kind as usize].lock();
        let mut shared = shared.unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start(kind));
            *shared = Arc::downgrade(&server);
            server
        })
    }

    pub(crate) fn start(kind: Kind) -> Self {
        Self::start_in(kind, installed(kind))
    }

    /// Starts a server that also speaks TLS, with this certificate.
    pub(crate) fn start_with_tls(kind: Kind, certificate: &TlsCertificate) -> Self {
        let directory = installed(kind);
        let file = directory.path().join(CERTIFICATE);
        std::fs::write(&file, certificate.pem()).expect("a file can be written");
        // PostgreSQL refuses a key that other users may read.
        let mut own = Command::new("chmod");
        let owned = own.arg("600").arg(&file).status();
        assert!(owned.is_ok_and(|status| status.success()));
        chown_to_unprivileged_user(&file);
        Self::start_in(kind, directory)
    }

    fn start_in(kind: Kind, directory: TempDir) -> Self {
        // Another process may take the port in the meantime: then try the next one.
        let (server, port) = (0..20)
            .find_map(|_| {
                let port = free_port();
                run(kind, directory.path(), port).map(|server| (server, port))
            })
            .expect("the database starts");
        let server = Self {
            kind,
            server: Mutex::new(server),
            port,
            directory,
        };
        if kind == Kind::MariaDb {
            server.admin(
                "CREATE DATABASE wx; CREATE USER wx@'%' IDENTIFIED BY 'word'; GRANT ALL ON wx.* TO wx@'%'",
            );
        }
        server
    }

    pub(crate) fn url(&self) -> String {
        self.url_of("wx:word")
    }

    pub(crate) fn url_of(&self, user: &str) -> String {
        let scheme = match self.kind {
            Kind::Postgres => "postgres",
            Kind::MariaDb => "mariadb",
        };
        format!("{scheme}://{user}@127.0.0.1:{}/wx", self.port)
    }

    /// Runs SQL as the administrator, bypassing the store. Returns the rows without headers and borders.
    #[track_caller]
    pub(crate) fn admin(&self, statements: &str) -> String {
        let mut command = match self.kind {
            Kind::Postgres => {
                let mut command = Command::new("psql");
                command
                    .args([
                        "-X",
                        "-q",
                        "-A",
                        "-t",
                        "-v",
                        "ON_ERROR_STOP=1",
                        "-d",
                        &self.url(),
                    ])
                    .args(["-c", statements])
                    // Also where a test has made it read-only.
                    .env("PGOPTIONS", "-c default_transaction_read_only=off");
                command
            }
            Kind::MariaDb => {
                let mut command = Command::new("mariadb");
                command
                    .args([
                        "--no-defaults",
                        "--batch",
                        "--skip-column-names",
                        "-u",
                        "root",
                        "-S",
                    ])
                    .arg(self.directory.path().join("s"))
                    .args(["-e", statements]);
                command
            }
        };
        let output = command.output().expect("the database's client runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{statements}: {said}");
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// Sends a signal by name, STOP or CONT, to the server and its processes.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.server.lock().expect("it is ours").id().to_string();
        let signal = format!("-{name}");
        let sent = Command::new("kill").args([&signal, &id]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
        // Fails if it has no child processes.
        let _children = Command::new("pkill").args([&signal, "-P", &id]).status();
    }

    /// kill -9.
    pub(crate) fn kill(&self) {
        self.signal("KILL");
        self.server
            .lock()
            .expect("it is ours")
            .wait()
            .expect("it is ours");
    }

    /// Starts it again on its existing data.
    pub(crate) fn start_again(&self) {
        // PostgreSQL waits until its last old process has ended.
        let started = (0..50).find_map(|_| run(self.kind, self.directory.path(), self.port));
        *self.server.lock().expect("it is ours") = started.expect("the database starts again");
    }
}

impl Drop for Sql {
    fn drop(&mut self) {
        self.kill();
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout == b"0\n")
}

/// Returns a command that runs as the user `nobody` if this process runs as root.
fn as_unprivileged_user(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"])
        .arg(program);
    command
}

/// The newest PostgreSQL that Debian has installed.
fn postgres(program: &str) -> PathBuf {
    let found = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let versions = found.filter_map(|entry| Some(entry.ok()?.path().join("bin").join(program)));
    let newest = versions.filter(|path| path.exists()).max();
    newest.expect("PostgreSQL is installed")
}

/// The file with the certificate and key of a server that speaks TLS.
const CERTIFICATE: &str = "tls.pem";

fn chown_to_unprivileged_user(path: &Path) {
    if is_root() {
        let owned = Command::new("chown").arg("nobody").arg(path).status();
        assert!(owned.is_ok_and(|status| status.success()));
    }
}

fn installed(kind: Kind) -> TempDir {
    let directory = tempfile::tempdir().expect("there is a place for temporary files");
    install(kind, directory.path());
    directory
}

fn install(kind: Kind, directory: &Path) {
    chown_to_unprivileged_user(directory);
    let data = directory.join("data");
    let mut command = match kind {
        Kind::Postgres => {
            let password = directory.join("password");
            std::fs::write(&password, "word").expect("a file can be written");
            let mut command = as_unprivileged_user(postgres("initdb"));
            command
                .args([
                    "--no-sync",
                    "-A",
                    "md5", // cheap in debug builds
                    "-U",
                    "wx",
                    "--locale=C",
                    "-E",
                    "UTF8",
                ])
                .arg("--pwfile")
                .arg(password)
                .arg("-D")
                .arg(data);
            command
        }
        Kind::MariaDb => {
            let mut command = as_unprivileged_user("mariadb-install-db");
            command
                .args(["--no-defaults", "--auth-root-authentication-method=normal"])
                .args(["--skip-test-db", "--innodb-log-file-size=4M"])
                .arg(format!("--datadir={}", data.display()));
            command
        }
    };
    let done = command.current_dir(directory).output();
    let done = done.expect("the database is installed");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    if kind == Kind::Postgres {
        // A database with the same name as on the other server.
        let mut single = as_unprivileged_user(postgres("postgres"))
            .args(["--single", "-j", "-D"])
            .arg(directory.join("data"))
            .arg("postgres")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("PostgreSQL runs");
        let mut said = single.stdin.take().expect("it is piped");
        std::io::Write::write_all(&mut said, b"CREATE DATABASE wx;\n\n").expect("it listens");
        drop(said);
        assert!(single.wait().is_ok_and(|status| status.success()));
    }
}

/// Starts it and waits until it is ready. Returns `None` if the port was not available.
fn run(kind: Kind, directory: &Path, port: u16) -> Option<Child> {
    let data = directory.join("data");
    let mut command = match kind {
        Kind::Postgres => {
            let mut command = as_unprivileged_user(postgres("postgres"));
            command.arg("-D").arg(data).arg("-p").arg(port.to_string());
            for setting in [
                "listen_addresses=127.0.0.1",
                "unix_socket_directories=",
                "fsync=off",
                "max_connections=200",
                "shared_buffers=16MB",
                "dynamic_shared_memory_type=mmap",
            ] {
                command.args(["-c", setting]);
            }
            command
        }
        Kind::MariaDb => {
            let mut command = as_unprivileged_user("mariadbd");
            command
                .args([
                    "--no-defaults",
                    "--bind-address=127.0.0.1",
                    "--skip-name-resolve",
                ])
                .args(["--max-connections=200", "--innodb-buffer-pool-size=16M"])
                .args([
                    "--innodb-log-file-size=4M",
                    "--innodb-flush-log-at-trx-commit=0",
                    "--innodb-flush-method=nosync",
                ])
                .arg(format!("--datadir={}", data.display()))
                .arg(format!("--socket={}", directory.join("s").display()))
                .arg(format!("--pid-file={}", directory.join("pid").display()))
                .arg(format!("--port={port}"));
            command
        }
    };
    let certificate = directory.join(CERTIFICATE);
    if certificate.exists() {
        let certificate = certificate.display();
        match kind {
            Kind::Postgres => command
                .args(["-c", "ssl=on"])
                .args(["-c", &format!("ssl_cert_file={certificate}")])
                .args(["-c", &format!("ssl_key_file={certificate}")]),
            Kind::MariaDb => command
                .arg(format!("--ssl-cert={certificate}"))
                .arg(format!("--ssl-key={certificate}")),
        };
    }
    let mut server = command
        .env("PATH", "/usr/sbin:/usr/bin:/bin")
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the database is installed");
    let said = server.stderr.take().expect("it is piped");
    let mut lines = BufReader::new(said).lines().map_while(Result::ok);
    if lines.any(|line| {
        line.contains("ready to accept connections") || line.contains("ready for connections")
    }) {
        // It must never block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        return Some(server);
    }
    server.wait().expect("it is ours");
    None
}
