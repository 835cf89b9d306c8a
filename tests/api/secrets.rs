//! A whole credential life at trace level without a secret in any log line, HTTP answer or error.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::format::FmtSpan;
use wx_jssdk::actix::KeyHash;
use wx_jssdk::clock::Clock;
use wx_jssdk::credential::{Kind, Secret};
use wx_jssdk::error::Error;
use wx_jssdk::sandbox::{self, App, Fault, FaultKind, ProxyRule, Sandbox};

use crate::app::{Answer, TICKET_CALL, TestApp, encode, request, seconds, spawn};
use crate::common::process::alone;

const STABLE_SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
/// Needs encoding in the query of a classic call.
const CLASSIC_SECRET: &str = "5f+9d/1c=4b&8a72e63d0f51b49ce8a7";

/// An operator's key, for "refresh now".
const KEY: &str = "wxk_7n2Qx_an-operators-own-key";

const ACCOUNTS: &str = r#"
[server]
demo = true
admin_listen = "127.0.0.1:0"
[[server.api_keys]]
name = "operator"
sha256 = "HASH"
[upstream]
timeout_ms = 1500
[accounts.calm]
app_id = "wxaaaaaaaaaaaaaaaa"
secret = "0c79e1fa963cd80cc0be99b20a18faeb"
js_safe_domains = ["example.com"]
proxy = "HTTP_PROXY"
proxy_user = "gateway-user"
proxy_password = "p@ss:wörd/4711"
[accounts.lively]
app_id = "wxbbbbbbbbbbbbbbbb"
secret = "5f+9d/1c=4b&8a72e63d0f51b49ce8a7"
token_mode = "classic"
js_safe_domains = ["example.com"]
proxy = "SOCKS_PROXY"
proxy_user = "gateway-user"
proxy_password = "p@ss:wörd/4711"
"#;

/// The credentials of the proxies, and how an HTTP client writes them.
const PROXY_USER: &str = "gateway-user";
const PROXY_PASSWORD: &str = "p@ss:wörd/4711";
const PROXY_FORMS: [&str; 2] = ["Z2F0ZXdheS11c2VyOn", "p%40ss%3Aw"];

/// Account, call, and the secret that it uses.
const CALLS: [(&str, &str, &str); 3] = [
    ("calm", "/cgi-bin/stable_token", STABLE_SECRET),
    ("lively", "/cgi-bin/token", CLASSIC_SECRET),
    ("calm", TICKET_CALL, ""),
];

/// All collected output, and all secrets that must not be in it.
struct Life {
    app: TestApp,
    /// Answers and errors, as text.
    said: String,
    secrets: BTreeSet<String>,
    proxies: [sandbox::Proxy; 2],
    /// Runs the proxies; another sandbox is WeChat.
    _proxies_of: Sandbox,
}

#[tokio::test]
async fn no_secret_is_ever_disclosed() {
    if !alone(no_secret_is_ever_disclosed) {
        return;
    }
    let log = Log::default();
    log.listen();
    let mut life = Life::begin().await;
    life.ask_all().await;
    life.refresh().await;
    life.reject().await;
    life.fail_in_every_way().await;
    life.fail_by_the_proxies().await;
    life.ask_all().await;
    let Life {
        app, said, secrets, ..
    } = life;
    app.stop().await;
    let log = log.text();
    for line in [
        "outcome=\"refreshed\"",
        "outcome=\"setup\"",
        "outcome=\"transient\"",
        "generation=",
        "next_in=",
    ] {
        assert!(
            log.contains(line),
            "the log has the service's lines, including {line}"
        );
    }
    assert!(
        log.contains("TRACE") && log.contains("shutting down"),
        "all levels, to the end"
    );
    assert!(secrets.len() > 20, "{} values were issued", secrets.len());
    for secret in &secrets {
        for form in [secret.clone(), encode(secret), form_encoded(secret)] {
            for text in [&log, &said] {
                if text.contains(&form) {
                    let line = text.lines().find(|line| line.contains(&form));
                    panic!("{form} is in: {line:?}");
                }
            }
        }
    }
}

impl Life {
    async fn begin() -> Self {
        let proxies_of = Sandbox::start(Clock::system()).await.unwrap();
        let credentials = Some((PROXY_USER, PROXY_PASSWORD));
        let proxies = [
            proxies_of.http_proxy(credentials).await.unwrap(),
            proxies_of.socks5_proxy(credentials).await.unwrap(),
        ];
        let config = ACCOUNTS
            .replace("HASH", &KeyHash::of(KEY).to_string())
            .replace("HTTP_PROXY", &proxies[0].url())
            .replace("SOCKS_PROXY", &proxies[1].url());
        let app = spawn(&config, |sandbox| {
            sandbox.add_app(
                App::official("wxaaaaaaaaaaaaaaaa", STABLE_SECRET).safe_domain("example.com"),
            );
            sandbox.add_app(
                App::official("wxbbbbbbbbbbbbbbbb", CLASSIC_SECRET).safe_domain("example.com"),
            );
        })
        .await;
        let secrets = [
            STABLE_SECRET,
            CLASSIC_SECRET,
            KEY,
            PROXY_USER,
            PROXY_PASSWORD,
        ];
        let secrets = secrets.iter().chain(&PROXY_FORMS);
        let secrets = secrets.map(|secret| (*secret).to_owned()).collect();
        Self {
            app,
            said: String::new(),
            secrets,
            proxies,
            _proxies_of: proxies_of,
        }
    }

    /// Calls every endpoint with valid and invalid requests.
    async fn ask_all(&mut self) {
        let page = encode("https://example.com/p?a=1");
        for target in ["/metrics", "/readyz"] {
            let answer = self.app.get_admin(target).await;
            assert_eq!(
                (answer.status == 404, answer.text.contains("calm")),
                (false, true),
                "{answer:?}"
            );
            self.note(&answer);
        }
        for target in [
            format!("/jssdk/config?account=calm&url={page}"),
            format!("/jssdk/config?account=lively&url={page}&debug=1"),
            format!("/jssdk/config?url={page}"),
            "/jssdk/config?account=calm&url=null".into(),
            "/".into(),
            "/doctor".into(),
            "/healthz".into(),
            "/nothing".into(),
        ] {
            let answer = self.app.get(&target).await;
            self.note(&answer);
        }
        self.ask_status().await;
        self.collect();
    }

    /// Requests the status page in both languages and as JSON, and "refresh now" with valid and invalid keys.
    async fn ask_status(&mut self) {
        let host = ("Host", "127.0.0.1");
        for target in [
            "/status",
            "/status?part=live&lang=en",
            "/status?lang=zh",
            "/status.json",
            "/status.json?q=calm",
            "/readyz",
        ] {
            let answer = self.app.send_admin(&request("GET", target, &[host])).await;
            assert!(matches!(answer.status, 200 | 503), "{answer:?}");
            self.note(&answer);
        }
        for (kind, key) in [
            ("access_token", KEY),
            ("jsapi_ticket", KEY),
            ("access_token", "wxk_wrong"),
            ("nothing", KEY),
        ] {
            let body = format!(r#"{{"account":"calm","kind":"{kind}"}}"#);
            let length = body.len().to_string();
            let headers = [
                host,
                ("X-Api-Key", key),
                ("X-Requested-With", "wx-jssdk"),
                ("Content-Type", "application/json"),
                ("Content-Length", &length),
            ];
            let bytes = [
                request("POST", "/status/refresh", &headers),
                body.into_bytes(),
            ]
            .concat();
            let answer = self.app.send_admin(&bytes).await;
            assert_eq!(answer.status == 404, kind == "nothing", "{answer:?}");
            self.note(&answer);
        }
    }

    async fn sign(&mut self, account: &str) -> u16 {
        let answer = self
            .app
            .query(&format!(
                "account={account}&url={}",
                encode("https://example.com/")
            ))
            .await;
        self.note(&answer);
        self.collect();
        answer.status
    }

    /// Has credentials refreshed by the keeper while valid, and by a request after they expired.
    async fn refresh(&mut self) {
        for life in [7_050, 8_000] {
            self.app.sandbox.advance(seconds(life));
            for account in ["calm", "lively"] {
                let calls = self.app.sandbox.calls_total();
                assert_eq!(self.sign(account).await, 200);
                if life > 7_200 {
                    assert!(self.app.sandbox.calls_total() > calls);
                }
            }
        }
    }

    /// Rejects every kind, with valid values and with one that was never issued.
    async fn reject(&mut self) {
        for account in ["calm", "lively"] {
            for kind in [Kind::AccessToken, Kind::JsapiTicket, Kind::CardTicket] {
                let current = self.app.broker.credential(account, kind).await.unwrap();
                self.said += &format!("{current:?}\n");
                for bad in [
                    current.value.clone(),
                    current.value.clone(),
                    Secret::new("never-was"),
                ] {
                    let outcome = self.app.broker.reject(account, kind, &bad).await;
                    self.note_outcome(outcome);
                }
                self.collect();
                self.app.sandbox.advance(seconds(40));
            }
        }
        self.repeat_the_token().await;
        self.app
            .sandbox
            .revoke("wxaaaaaaaaaaaaaaaa", sandbox::Revoke::Token);
        self.app
            .sandbox
            .foreign_refresh("wxbbbbbbbbbbbbbbbb", sandbox::Mode::Classic);
        self.collect();
    }

    /// Has a ticket call refused with an errmsg that quotes its token.
    async fn repeat_the_token(&mut self) {
        for account in ["calm", "lively"] {
            let token = self
                .app
                .broker
                .credential(account, Kind::AccessToken)
                .await
                .unwrap();
            let ticket = self
                .app
                .broker
                .credential(account, Kind::JsapiTicket)
                .await
                .unwrap();
            let echo = FaultKind::ErrcodeWith(
                48_001,
                format!("api unauthorized, access_token={}", token.value.expose()),
            );
            self.app.sandbox.fault(Fault::once(TICKET_CALL, echo));
            let calls = self.app.sandbox.calls(TICKET_CALL);
            let outcome = self
                .app
                .broker
                .reject(account, Kind::JsapiTicket, &ticket.value)
                .await;
            assert!(outcome.is_err() && self.app.sandbox.calls(TICKET_CALL) == calls + 1);
            self.note_outcome(outcome);
        }
    }

    /// Causes every fault on every call, with expired credentials, so that the failure is the answer.
    async fn fail_in_every_way(&mut self) {
        for (account, call, paid) in CALLS {
            for kind in self.every_fault(paid) {
                self.app.sandbox.fault(Fault::always(call, kind.clone()));
                self.app.sandbox.advance(seconds(100_000));
                assert!(self.sign(account).await >= 500, "{kind:?}");
                let outcome = self.app.broker.credential(account, Kind::JsapiTicket).await;
                assert!(outcome.is_err());
                self.note_outcome(outcome);
                self.ask_status().await;
                let snapshot = self.app.broker.snapshot(&wx_jssdk::broker::Find::all());
                self.said += &format!("{snapshot:?}\n");
                for target in ["/metrics", "/readyz"] {
                    let answer = self.app.get_admin(target).await;
                    assert!(answer.text.contains("failing"), "{answer:?}");
                    self.note(&answer);
                }
                self.app.sandbox.clear_faults();
                self.app.sandbox.advance(seconds(100_000));
                assert_eq!(self.sign(account).await, 200, "after {kind:?}");
            }
        }
    }

    /// Has each proxy refuse, fail and stop, with expired credentials.
    async fn fail_by_the_proxies(&mut self) {
        for rule in [ProxyRule::Deny, ProxyRule::Fail, ProxyRule::Pass] {
            for proxy in &self.proxies {
                proxy.set_rule(rule);
                if rule == ProxyRule::Pass {
                    proxy.stop();
                }
            }
            self.app.sandbox.advance(seconds(100_000));
            for account in ["calm", "lively"] {
                assert!(self.sign(account).await >= 500, "{rule:?}");
                let outcome = self.app.broker.credential(account, Kind::JsapiTicket).await;
                assert!(outcome.is_err());
                self.note_outcome(outcome);
            }
            self.ask_status().await;
        }
        assert!(self.said.contains("egress proxy"), "named in the answers");
    }

    fn every_fault(&self, paid: &str) -> Vec<FaultKind> {
        let known = self.secrets.iter().cloned().collect::<Vec<_>>().join(" ");
        vec![
            FaultKind::Errcode(-1),
            FaultKind::Errcode(40_001),
            FaultKind::Errcode(40_125),
            FaultKind::Errcode(45_009),
            FaultKind::ErrcodeWith(40_164, "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist".into()),
            FaultKind::ErrcodeWith(40_013, format!("invalid {paid}, {}", encode(paid))),
            FaultKind::Status(502),
            FaultKind::Hang,
            FaultKind::CutBody,
            FaultKind::NotJson,
            FaultKind::HugeBody,
            FaultKind::LostReply,
            FaultKind::Body(format!("<html>{known}</html>")),
            FaultKind::Body(r#"{"access_token":"TokenWithNoLife","ticket":"TokenWithNoLife","expires_in":0}"#.into()),
            FaultKind::Body(r#"{"access_token":"Token With Blanks","ticket":"Token With Blanks","expires_in":7200}"#.into()),
            FaultKind::Body(format!(r#"{{"access_token":"a","ticket":"a","expires_in":"{STABLE_SECRET}"}}"#)),
        ]
    }

    fn note(&mut self, answer: &Answer) {
        self.said += &format!("{answer:?}\n");
    }

    fn note_outcome(&mut self, outcome: Result<impl std::fmt::Debug, Error>) {
        self.said += &match outcome {
            Ok(credential) => format!("{credential:?}\n"),
            Err(error) => {
                let upstream = error.upstream().map(|upstream| {
                    format!("{upstream} {upstream:?} {:?}", upstream.fix_for_operator())
                });
                format!("{error} {error:?} {upstream:?}\n")
            }
        };
    }

    /// Every value that WeChat has issued so far.
    fn collect(&mut self) {
        for app in self.app.sandbox.state().apps {
            for tokens in [app.tokens.stable, app.tokens.classic] {
                self.secrets
                    .extend(tokens.current.into_iter().chain(tokens.previous));
            }
            self.secrets
                .extend(app.tickets.into_values().map(|ticket| ticket.value));
        }
        self.secrets
            .extend(["TokenWithNoLife", "Token With Blanks"].map(str::to_owned));
    }
}

/// `application/x-www-form-urlencoded`, as queries are built.
fn form_encoded(text: &str) -> String {
    serde_urlencoded::to_string([("", text)])
        .unwrap()
        .trim_start_matches('=')
        .to_owned()
}

/// Collects the `tracing` and `log` output of every crate in this process.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn listen(&self) {
        let writer = self.clone();
        let lines = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::FULL);
        lines
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        log::set_boxed_logger(Box::new(self.clone())).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {} {}\n", record.level(), record.target(), record.args());
        self.0.lock().unwrap().extend_from_slice(line.as_bytes());
    }

    fn flush(&self) {}
}
