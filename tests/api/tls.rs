//! TLS on both listeners: certificates that are replaced while the service runs, and bad ones that are rejected.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wx_jssdk::actix::KeyHash;
use wx_jssdk::sandbox::DEMO_COMPONENT_ID;
use wx_jssdk::server::config::{Settings, TlsSettings};
use wx_jssdk::server::tls::Certificate;
use wx_jssdk::server::{Application, SandboxOptions, StartupError};
use wx_jssdk::{Clock, UnixTime};

use crate::common::http;
use crate::common::program::{
    BOUND, Running, SECRET, command, is_bilingual, make_fifo, run_command,
};
use crate::common::service::{Service, settings};
use crate::common::tls::trusting;

/// 2026-01-01, and a day.
const START: u64 = 1_767_225_600;
const DAY: u64 = 86_400;

/// A certificate for 127.0.0.1 and localhost with its key, valid from a day before the start for this many days, as PEM.
fn issue(days: i64) -> (String, String) {
    let mut params =
        CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2025, 12, 31);
    params.not_after = params.not_before + Duration::from_secs(DAY * days.unsigned_abs());
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// Of `openssl ecparam -name secp521r1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt`: a curve that ring lacks.
const P521: &str = "-----BEGIN PRIVATE KEY-----
MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIBDO9ZmvcwoEiyUEZ1
+v0mneQucyGqxSCoXHaA67T4aTj2GOm6FhkjydV1f61tCyWxSfVz02XNEYdNcw6H
NlsuoP+hgYkDgYYABADteCS1wQcB9FBTmN0AqhZFhoref6D6BkKOmSO4Mmq2cS0P
Fd9qM11qtsHzPrPrp6It8EVjooCWiDLasFQLZd8H5wEFTcGZemVxOfUyb235jDCW
RsZ6FQmX8GLhzRLHQtc1f2xAgIy1g5Hk4bayHzWGdHTOgCbx9epNFmV+rMMH3cN7
0Q==
-----END PRIVATE KEY-----
";

/// A certificate that is valid between two days.
fn issue_between((y, m, d): (i32, u8, u8), (to_y, to_m, to_d): (i32, u8, u8)) -> (String, String) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(y, m, d);
    params.not_after = rcgen::date_time_ymd(to_y, to_m, to_d);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// The same certificate as X.509 version 1, as the classic `openssl x509 -req -signkey` makes one.
fn of_version_1(pem: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut der = CertificateDer::from_pem_slice(pem.as_bytes())
        .unwrap()
        .to_vec();
    let version = der
        .windows(5)
        .position(|bytes| bytes == [0xa0, 3, 2, 1, 2])
        .unwrap();
    der[version + 4] = 0;
    let text: String = der
        .chunks(3)
        .flat_map(|three| {
            let bits = three
                .iter()
                .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - three.len()));
            let letter = move |n: usize| {
                if n <= three.len() {
                    LETTERS[(bits >> (18 - 6 * n) & 63) as usize] as char
                } else {
                    '='
                }
            };
            (0..4).map(letter)
        })
        .collect();
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// Files for both listeners in their own directory.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.put("public", &issue(365));
        home.put("admin", &issue(365));
        home
    }

    fn put(&self, name: &str, (cert, key): &(String, String)) {
        self.write(&format!("{name}.crt"), cert);
        self.write(&format!("{name}.key"), key);
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn files(&self, name: &str) -> TlsSettings {
        TlsSettings {
            cert: self.path().join(format!("{name}.crt")),
            key: self.path().join(format!("{name}.key")),
        }
    }

    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.path().join(format!("{name}.crt"))).unwrap()
    }
}

/// A configuration with TLS on both listeners and an account that is never used.
fn configuration() -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\nshutdown_seconds = 0\n
        [server.tls]\ncert = \"public.crt\"\nkey = \"public.key\"\n[server.admin_tls]\ncert = \"admin.crt\"\nkey = \"admin.key\"\n
        [store]\nkind = \"memory\"\n[upstream]\nweixin = \"http://127.0.0.1:9\"\nqyapi = \"http://127.0.0.1:9\"\n
        [[server.api_keys]]\nname = \"crm\"\nsha256 = \"{}\"\n
        [accounts.main]\napp_id = \"wx0123456789abcdef\"\nsecret = \"{SECRET}\"\njs_safe_domains = [\"example.com\"]\n",
        KeyHash::of("wxk_right")
    )
}

/// The service with these certificates and its clock.
async fn serve(home: &Home) -> (Service, Clock) {
    let clock = Clock::manual(UnixTime(START));
    let settings = settings(&configuration(), home.path());
    (Service::start(settings, clock.clone()).await, clock)
}

/// A client that trusts this certificate alone.
async fn connect(
    to: SocketAddr,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut config = trusting(trusted.clone());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Certificates here are of 2026, as the service's clock is.
    config.time_provider = Arc::new(Then);
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(to).await?;
    timeout(
        BOUND,
        TlsConnector::from(Arc::new(config)).connect(name, stream),
    )
    .await
    .expect("a handshake in time")
}

#[derive(Debug)]
struct Then;

impl rustls::time_provider::TimeProvider for Then {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        Some(rustls::pki_types::UnixTime::since_unix_epoch(
            Duration::from_secs(START),
        ))
    }
}

/// One request on a connection that stays open.
async fn alive(stream: &mut TlsStream<TcpStream>) -> String {
    stream
        .write_all(http::get("/healthz").text().as_bytes())
        .await
        .unwrap();
    let mut buffer = [0; 4_096];
    let count = timeout(BOUND, stream.read(&mut buffer))
        .await
        .expect("an answer")
        .unwrap();
    String::from_utf8(buffer[..count].to_vec()).unwrap()
}

#[tokio::test]
async fn the_sandbox_pushes_to_its_own_service_behind_any_certificate() {
    let home = Home::new();
    let settings = settings(&configuration(), home.path());
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = SandboxOptions {
        listen: anywhere,
        safe_domains: Vec::new(),
    };
    let (hand_over, sandbox) = tokio::sync::oneshot::channel();
    let service = Service::build(async move || {
        let application = Application::build_with_sandbox(&settings, &options).await?;
        let _ = hand_over.send(application.sandbox().cloned());
        Ok::<_, StartupError>(application)
    });
    let service = service.await;
    let sandbox = sandbox.await.unwrap().unwrap();
    let pushed = sandbox.push_ticket(DEMO_COMPONENT_ID).await;
    assert!(pushed.is_success(), "{pushed:?}");
    service.end().await;
}

#[tokio::test]
async fn each_listener_speaks_tls_with_its_own_certificate_and_http_1_1() {
    let home = Home::new();
    let (service, _) = serve(&home).await;
    for (address, name, other) in [
        (service.public, "public", "admin"),
        (service.admin, "admin", "public"),
    ] {
        let mut stream = connect(address, &home.certificate(name)).await.unwrap();
        assert_eq!(
            stream.get_ref().1.alpn_protocol(),
            Some(&b"http/1.1"[..]),
            "HTTP/2 is not offered"
        );
        assert!(alive(&mut stream).await.starts_with(http::OK), "{name}");
        assert!(
            connect(address, &home.certificate(other)).await.is_err(),
            "{name} has not {other}'s certificate"
        );
    }
    let expiries: Vec<_> = service
        .certificates
        .iter()
        .map(|one| (one.setting(), one.expires_at()))
        .collect();
    let expected = UnixTime(START + 364 * DAY);
    assert_eq!(
        expiries,
        [("server.tls", expected), ("server.admin_tls", expected)]
    );
}

#[tokio::test]
async fn a_new_certificate_in_the_same_files_is_served_and_open_connections_go_on() {
    let home = Home::new();
    let (service, _) = serve(&home).await;
    let old = home.certificate("public");
    let mut open = connect(service.public, &old).await.unwrap();
    assert!(alive(&mut open).await.starts_with(http::OK));
    assert!(
        !service.certificates[0].reload_if_changed().await,
        "nothing has changed"
    );
    home.put("public", &issue(90));
    assert!(service.certificates[0].reload_if_changed().await);
    assert_eq!(
        service.certificates[0].expires_at(),
        UnixTime(START + 89 * DAY)
    );
    let mut new = connect(service.public, &home.certificate("public"))
        .await
        .unwrap();
    assert!(alive(&mut new).await.starts_with(http::OK));
    assert!(
        connect(service.public, &old).await.is_err(),
        "the old one is gone"
    );
    assert!(
        alive(&mut open).await.starts_with(http::OK),
        "on the connection from before"
    );
}

#[tokio::test]
async fn a_bad_new_certificate_is_rejected_and_the_previous_one_stays() {
    let home = Home::new();
    let (service, _) = serve(&home).await;
    let good = home.certificate("public");
    let (cert, key) = issue(90);
    let (old, early) = (issue(1), issue_between((2026, 1, 2), (2027, 1, 1)));
    for (cert, key) in [
        (cert.as_str(), "nonsense"),
        ("nonsense", key.as_str()),
        ("", ""),
        (&issue(90).0, key.as_str()), // another key's
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            key.as_str(),
        ),
        (&old.0, &old.1),
        (&early.0, &early.1),
    ] {
        home.write("public.crt", cert);
        home.write("public.key", key);
        assert!(
            !service.certificates[0].reload_if_changed().await
                && !service.certificates[0].reload_if_changed().await
        );
        assert!(connect(service.public, &good).await.is_ok());
    }
    std::fs::remove_file(home.path().join("public.key")).unwrap();
    assert!(!service.certificates[0].reload_if_changed().await);
    assert!(connect(service.public, &good).await.is_ok());
    home.put("public", &(cert, key));
    assert!(
        service.certificates[0].reload_if_changed().await,
        "and a good one is applied afterwards"
    );
    assert!(connect(service.public, &good).await.is_err());
}

#[tokio::test]
async fn a_fifo_in_place_of_a_certificate_is_refused_and_a_good_pair_applied_again() {
    let home = Home::new();
    let (service, _) = serve(&home).await;
    let good = home.certificate("public");
    for name in ["public.crt", "public.key"] {
        let path = home.path().join(name);
        std::fs::remove_file(&path).unwrap();
        make_fifo(&path);
        let error = Certificate::load("server.tls", &home.files("public"), Clock::system());
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains(name) && error.contains("not a regular file"),
            "{error}"
        );
        assert!(!service.certificates[0].reload_if_changed().await);
        assert!(connect(service.public, &good).await.is_ok());
        std::fs::remove_file(&path).unwrap();
        home.write(name, "");
    }
    home.put("public", &issue(90));
    assert!(service.certificates[0].reload_if_changed().await);
    assert!(connect(service.public, &good).await.is_err());
}

#[tokio::test]
async fn a_certificate_that_is_valid_from_tomorrow_is_used_from_tomorrow() {
    let home = Home::new();
    let (service, clock) = serve(&home).await;
    let good = home.certificate("public");
    home.put("public", &issue_between((2026, 1, 2), (2027, 1, 1)));
    assert!(
        !service.certificates[0].reload_if_changed().await
            && !service.certificates[0].reload_if_changed().await
    );
    assert!(connect(service.public, &good).await.is_ok());
    clock.advance(Duration::from_secs(DAY));
    assert!(
        service.certificates[0].reload_if_changed().await,
        "it has become valid"
    );
    assert!(!service.certificates[0].reload_if_changed().await, "once");
    assert!(connect(service.public, &good).await.is_err());
}

#[tokio::test]
async fn a_hanging_handshake_and_plain_http_block_no_client() {
    let home = Home::new();
    let (service, _) = serve(&home).await;
    let mut hanging = Vec::new();
    for n in 0..300 {
        let mut stream = TcpStream::connect(service.public).await.unwrap();
        let sent: &[u8] = if n % 2 == 0 { b"\x16\x03\x01\x02" } else { b"" };
        stream.write_all(sent).await.unwrap();
        hanging.push(stream);
    }
    let mut plain = TcpStream::connect(service.public).await.unwrap();
    plain
        .write_all(http::get("/healthz").text().as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = timeout(BOUND, plain.read_to_end(&mut answer))
        .await
        .expect("the service hangs up");
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let mut stream = connect(service.public, &home.certificate("public"))
        .await
        .unwrap();
    assert!(alive(&mut stream).await.starts_with(http::OK));
}

#[test]
fn a_certificate_error_names_its_file_in_both_languages() {
    let home = Home::new();
    let (cert, key) = issue(90);
    let words = |cert: &str, key: &str| {
        home.write("public.crt", cert);
        home.write("public.key", key);
        let error = Certificate::load(
            "server.tls",
            &home.files("public"),
            Clock::manual(UnixTime(START)),
        )
        .unwrap_err();
        let words = error.to_string();
        assert!(!words.contains("PRIVATE KEY"), "{words}");
        words
    };
    assert!(words("", &key).contains("public.crt contains no certificate in PEM format"));
    assert!(words(&cert, "").contains("public.key contains no private key in PEM format"));
    home.write("public.crt", &format!("\u{feff}{cert}"));
    home.write("public.key", &format!("\u{feff}{key}"));
    let clock = Clock::manual(UnixTime(START));
    let loaded = Certificate::load("server.tls", &home.files("public"), clock);
    assert!(loaded.is_ok(), "a byte order mark: {loaded:?}");
    assert!(words(&issue(90).0, &key).contains("do not match"));
    assert!(
        words(&of_version_1(&cert), &key).contains("version 3"),
        "its key is the right one"
    );
    assert!(
        words(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            &key
        )
        .contains("cannot be parsed")
    );
    std::fs::remove_file(home.path().join("public.crt")).unwrap();
    let error = Certificate::load("server.tls", &home.files("public"), Clock::system())
        .unwrap_err()
        .to_string();
    assert!(error.contains("public.crt cannot be read"), "{error}");
}

#[test]
fn a_key_that_cannot_be_used_is_explained() {
    let home = Home::new();
    let (cert, key) = issue(90);
    let words = |cert: &str, key: &str| {
        home.write("public.crt", cert);
        home.write("public.key", key);
        let clock = Clock::manual(UnixTime(START));
        let error = Certificate::load("server.tls", &home.files("public"), clock);
        error.unwrap_err().to_string()
    };
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let older = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,AA\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    for encrypted in [encrypted, older] {
        let words = words(&cert, encrypted);
        assert!(
            words.contains("encrypted") && words.contains("openssl pkey"),
            "{words}"
        );
    }
    let words_of_p521 = words(&cert, P521);
    assert!(words_of_p521.contains("P-256 or P-384"), "{words_of_p521}");
    let reversed = words(&format!("{}{cert}", issue(90).0), &key);
    assert!(reversed.contains("wrong order"), "{reversed}");
}

#[test]
fn a_certificate_and_a_key_that_are_both_missing_are_both_named() {
    let home = Home::new();
    let error = Certificate::load("server.tls", &home.files("none"), Clock::system());
    let words = error.unwrap_err().to_string();
    assert!(
        words.contains("none.crt cannot be read") && words.contains("none.key cannot be read"),
        "{words}"
    );
}

#[test]
fn an_incomplete_tls_setting_is_named() {
    for (text, path) in [
        ("[server.tls]\ncert = \"a.crt\"", "server.tls.key"),
        (
            "[server.admin_tls]\nkey = \"a.key\"",
            "server.admin_tls.cert",
        ),
        ("[server.tls]\ncerts = \"a.crt\"", "server.tls.certs"),
        (
            "server.trusted_proxies = [\"10.0.0.0/33\"]",
            "server.trusted_proxies",
        ),
        (
            "server.client_ip_header = \"no header\"",
            "server.client_ip_header",
        ),
        (
            "server.admin_hosts = [\"http://wx.internal\"]",
            "server.admin_hosts",
        ),
        ("limits.burst = 0", "limits.burst"),
    ] {
        let problems = Settings::read(text, Path::new(""), HashMap::new()).unwrap_err();
        let paths: Vec<_> = problems
            .0
            .iter()
            .map(|problem| problem.path.as_str())
            .collect();
        assert_eq!(paths, [path], "{problems}");
        assert!(
            problems.to_string().chars().any(|c| c > '\u{4e00}'),
            "{problems}"
        );
    }
    let text = "[server]\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\", \"fd00::/8\"]\n[server.tls]\ncert = \"a.crt\"\nkey = \"/b.key\"";
    let settings = Settings::read(text, Path::new("/etc/wx"), HashMap::new()).unwrap();
    let files = settings.server.tls.unwrap();
    assert_eq!(
        (files.cert.to_str(), files.key.to_str()),
        (Some("/etc/wx/a.crt"), Some("/b.key"))
    );
    assert_eq!(settings.server.proxies.trusted.len(), 3);
}

// -- the real binary --

async fn start(home: &Home) -> (Running, String, String) {
    home.write("wx-jssdk.toml", &configuration());
    let mut running = Running::start(command(home.path(), &["serve"]));
    let (public, admin) = (running.line("public").await, running.line("admin").await);
    (running, public, admin)
}

/// Certificates that are valid on the day of the test run.
fn issue_now(days: u64) -> (String, String) {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let now = Clock::system().wall().0;
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now + days * DAY);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[tokio::test]
async fn sighup_applies_a_new_certificate_and_logs_its_expiry() {
    let home = Home::new();
    home.put("public", &issue_now(5));
    home.put("admin", &issue_now(300));
    let (mut running, public, _) = start(&home).await;
    assert!(public.starts_with("https://127.0.0.1:"), "{public}");
    let line = running.log_line("expires soon").await;
    assert!(
        line.contains("server.tls") && (line.contains("days=4") || line.contains("days=5")),
        "{line}"
    );
    home.put("public", &issue_now(200));
    running.signal("-HUP").await;
    let line = running.log_line("new certificate applied").await;
    assert!(
        line.contains("server.tls") && line.contains("expires_at=20"),
        "{line}"
    );
    home.put("public", &issue(1));
    running.signal("-HUP").await;
    let line = running.log_line("new certificate refused").await;
    assert!(
        line.contains("valid from 2025-12-31T00:00:00Z to 2026-01-01T00:00:00Z, not now"),
        "{line}"
    );
    home.write("public.key", "nonsense");
    running.signal("-HUP").await;
    let line = running.log_line("new certificate refused").await;
    assert!(
        line.contains("public.key contains no private key"),
        "{line}"
    );
    let ended = running.stop().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[tokio::test]
async fn reload_prints_and_logs_each_time_that_a_certificate_is_refused() {
    let home = Home::new();
    home.put("public", &issue_now(300));
    home.put("admin", &issue_now(300));
    let (mut running, _, admin) = start(&home).await;
    let reload = async || {
        let arguments = ["reload", "--server", admin.as_str(), "--ca", "admin.crt"];
        let mut command = command(home.path(), &arguments);
        command.env("WX_JSSDK_API_KEY", "wxk_right");
        run_command(command).await
    };
    let (cert, key) = issue_now(200);
    home.write("public.crt", &cert);
    for _ in 0..2 {
        let ended = reload().await;
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(ended.stdout.starts_with("applied: 1 account"), "{ended:?}");
        assert!(
            ended.stderr.contains("server.tls: new certificate refused")
                && ended.stderr.contains("do not match")
                && is_bilingual(&ended.stderr),
            "{}",
            ended.stderr
        );
        running.log_line("new certificate refused").await;
    }
    home.write("public.key", &key);
    home.write(
        "wx-jssdk.toml",
        &format!("nonsense = 1\n{}", configuration()),
    );
    let ended = reload().await;
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("nonsense: unknown setting")
            && !ended.stderr.contains("certificate refused"),
        "{}",
        ended.stderr
    );
    let applied = "server.tls: new certificate applied";
    assert!(ended.stdout.starts_with(applied), "{ended:?}");
    assert_eq!(running.stop().await.code, 0);
}

#[tokio::test]
async fn an_expired_certificate_is_logged_as_an_error_and_the_service_runs() {
    let home = Home::new();
    home.put("public", &issue(1));
    home.put("admin", &issue_now(300));
    let (mut running, public, _) = start(&home).await;
    let line = running.log_line("certificate expired").await;
    assert!(
        line.contains("ERROR") && line.contains("server.tls"),
        "{line}"
    );
    let address = public.strip_prefix("https://").unwrap();
    let checked = run_command(command(
        home.path(),
        &["healthcheck", "--address", address, "--tls"],
    ))
    .await;
    assert_eq!(
        (checked.code, checked.stdout.as_str()),
        (0, "ok\n"),
        "{}",
        checked.stderr
    );
    assert_eq!(running.stop().await.code, 0);
}

#[tokio::test]
async fn a_certificate_that_is_not_yet_valid_is_logged_as_an_error_at_the_start() {
    let home = Home::new();
    home.put("public", &issue_between((2199, 1, 1), (2199, 6, 1)));
    home.put("admin", &issue_now(300));
    let (mut running, _, _) = start(&home).await;
    let line = running.log_line("certificate not yet valid").await;
    let parts = ["ERROR", "server.tls", "valid_from=2199-01-01T00:00:00Z"];
    assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    assert_eq!(running.stop().await.code, 0);
}

#[tokio::test]
async fn the_cli_sends_its_key_only_to_the_trusted_certificate() {
    let home = Home::new();
    home.put("public", &issue_now(300));
    home.put("admin", &issue_now(300));
    let (running, _, admin) = start(&home).await;
    let token = |arguments: &[&str]| {
        let mut all = vec!["token", "main", "--server", admin.as_str()];
        all.extend(arguments);
        let mut command = command(home.path(), &all);
        command.env("WX_JSSDK_API_KEY", "wxk_right");
        run_command(command)
    };
    // WeChat is unreachable: the admin listener's own answer shows that the key arrived.
    let asked = token(&["--ca", "admin.crt"]).await;
    assert!(
        asked.code == 1 && asked.stderr.contains("upstream_unavailable"),
        "{}",
        asked.stderr
    );
    for arguments in [&["--ca", "public.crt"][..], &[]] {
        let asked = token(arguments).await;
        assert!(
            asked.code == 1 && asked.stderr.contains("request failed"),
            "{}",
            asked.stderr
        );
    }
    let asked = token(&["--ca", "nowhere.crt"]).await;
    assert!(
        asked.code == 2 && asked.stderr.contains("nowhere.crt cannot be read"),
        "{}",
        asked.stderr
    );
    assert!(asked.stderr.contains("文件不存在"), "{}", asked.stderr);
    let asked = token(&["--ca", "admin.key"]).await;
    assert!(
        asked.code == 2 && asked.stderr.contains("contains no certificate"),
        "{}",
        asked.stderr
    );
    let ended = running.stop().await;
    assert!(
        !ended.stderr.contains("panicked") && ended.code == 0,
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_start_without_its_certificate_is_exit_code_2_with_the_setting_and_the_file() {
    let home = Home::new();
    home.write(
        "wx-jssdk.toml",
        &configuration().replace("public.crt", "gone.crt"),
    );
    let ended = run_command(command(home.path(), &["serve"])).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (2, ""),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("server.tls: ") && ended.stderr.contains("gone.crt"),
        "{}",
        ended.stderr
    );
    assert!(is_bilingual(&ended.stderr), "{}", ended.stderr);
}

// -- as a client --

#[tokio::test]
async fn an_impostor_without_wechats_certificate_never_sees_the_secret() {
    use tokio_rustls::TlsAcceptor;
    use wx_jssdk::{Account, Broker, Kind, UpstreamOptions};

    let (cert, key) = issue_now(300);
    let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(chain, key)
    .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let impostor = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await else {
            return Vec::new();
        };
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard).await;
        heard
    });
    let upstream = UpstreamOptions::at(&url);
    let broker = Broker::builder()
        .account("main", Account::official("wx0123456789abcdef", SECRET))
        .upstream(upstream);
    let refused = broker
        .build()
        .unwrap()
        .credential("main", Kind::AccessToken)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().to_lowercase().contains("certificate"),
        "{refused}"
    );
    let heard = timeout(BOUND, impostor).await.unwrap().unwrap();
    assert!(heard.is_empty(), "{}", String::from_utf8_lossy(&heard));
}
