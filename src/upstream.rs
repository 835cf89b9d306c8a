//! Calls to WeChat. The only module that uses the HTTP client and knows WeChat's paths and response formats.
//!
//! A response becomes [`Issued`] or an [`UpstreamError`], decided by its `errcode` and never by the HTTP
//! status or Content-Type.
//! Nothing is retried or cached here: `broker` does that.

mod verify_file_probe;

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use reqwest::{Certificate, Client, Response, redirect};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub use verify_file_probe::{VerifyFileFailure, VerifyFileProbe};

use crate::account::{Account, Platform, TokenMode};
use crate::credential::{Kind, Secret, check_life};
use crate::error::{Failure, Paid, System, UpstreamError, is_visible};

/// The base URLs of WeChat's APIs and the timeouts of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamOptions {
    /// Base URL of `api.weixin.qq.com`, without a trailing slash.
    pub weixin: String,
    /// Base URL of `qyapi.weixin.qq.com`.
    pub qyapi: String,
    /// Timeout of the TCP and TLS handshakes.
    pub connect_timeout: Duration,
    /// Timeout of the whole call, including the handshakes.
    pub timeout: Duration,
}

impl Default for UpstreamOptions {
    fn default() -> Self {
        Self {
            weixin: "https://api.weixin.qq.com".into(),
            qyapi: "https://qyapi.weixin.qq.com".into(),
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
        }
    }
}

/// The client of WeChat's APIs. Clones are handles to the same client.
#[derive(Clone, Debug)]
pub struct Upstream {
    client: Client,
    weixin: String,
    qyapi: String,
    timeout: Duration,
}

/// A credential issued by WeChat: validated, not yet cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The token or ticket.
    pub value: Secret,
    /// Its lifetime, counted from when the call was *sent*.
    pub expires_in: Duration,
}

/// The HTTP client could not be created: no TLS roots, or an invalid base URL.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for WeChat cannot be created: {0}")]
pub struct ClientError(String);

/// A WeChat endpoint: its system and path, the credential that authenticates the call, and the response
/// field with the value.
struct Endpoint {
    system: System,
    path: &'static str,
    paid: Paid,
    field: &'static str,
}

const TOKEN: Endpoint = Endpoint {
    system: System::Weixin,
    path: "/cgi-bin/token",
    paid: Paid::WithSecret,
    field: "access_token",
};
const STABLE_TOKEN: Endpoint = Endpoint {
    path: "/cgi-bin/stable_token",
    ..TOKEN
};
const GETTOKEN: Endpoint = Endpoint {
    system: System::Qyapi,
    path: "/cgi-bin/gettoken",
    ..TOKEN
};
const TICKET: Endpoint = Endpoint {
    system: System::Weixin,
    path: "/cgi-bin/ticket/getticket",
    paid: Paid::WithToken,
    field: "ticket",
};
const WORK_JSAPI_TICKET: Endpoint = Endpoint {
    system: System::Qyapi,
    path: "/cgi-bin/get_jsapi_ticket",
    ..TICKET
};
const WORK_TICKET: Endpoint = Endpoint {
    system: System::Qyapi,
    path: "/cgi-bin/ticket/get",
    ..TICKET
};

impl Upstream {
    /// Creates the client: rustls, no redirects (WeChat sends none, but a captive portal does).
    ///
    /// # Errors
    /// [`ClientError`] if a base URL is not http(s) or TLS cannot be set up.
    pub fn new(options: &UpstreamOptions) -> Result<Self, ClientError> {
        // Fails if the process has already installed a provider, which is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .connect_timeout(options.connect_timeout)
            .timeout(options.timeout)
            .redirect(redirect::Policy::none())
            // On a pooled connection that WeChat has just closed, a request looks like a lost reply, and a
            // lost token call costs a classic token its validity. Calls are rare, so one connection per call
            // is cheap.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("wx-jssdk/", env!("CARGO_PKG_VERSION")));
        let bases = [base(&options.weixin)?, base(&options.qyapi)?];
        builder = if bases
            .iter()
            .all(|base| is_loopback(base) && base.scheme() == "http")
        {
            // A simulator on this machine needs no roots and is not reached through the company's egress
            // proxy.
            builder.no_proxy().tls_certs_only([])
        } else {
            // The system's roots, for a company proxy, plus Mozilla's roots, for an image that has none.
            builder.tls_certs_merge(mozilla_roots())
        };
        let client = builder
            .build()
            .map_err(|error| ClientError(describe(&error.without_url())))?;
        let [weixin, qyapi] = bases.map(|url| url.as_str().trim_end_matches('/').to_owned());
        Ok(Self {
            client,
            weixin,
            qyapi,
            timeout: options.timeout,
        })
    }

    /// Returns the maximum duration of a call. A lease must last longer.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Fetches an access token with the account's secret. `force` retires the current token; only stable
    /// mode has this option, classic and WeCom calls ignore it.
    ///
    /// # Errors
    /// [`UpstreamError`], classified.
    pub async fn token(&self, account: &Account, force: bool) -> Result<Issued, UpstreamError> {
        let (id, secret) = (account.app_id(), account.secret().expose());
        let endpoint = endpoint_of(account, Kind::AccessToken);
        match (endpoint.system, account.mode()) {
            (System::Qyapi, _) => {
                self.get(
                    endpoint,
                    &[("corpid", id), ("corpsecret", secret)],
                    account.secret(),
                )
                .await
            }
            (System::Weixin, TokenMode::Classic) => {
                let query = [
                    ("grant_type", "client_credential"),
                    ("appid", id),
                    ("secret", secret),
                ];
                self.get(endpoint, &query, account.secret()).await
            }
            (System::Weixin, TokenMode::Stable) => {
                let body = serde_json::json!({
                    "grant_type": "client_credential", "appid": id, "secret": secret, "force_refresh": force,
                });
                let request = self.client.post(self.url(endpoint, &[]));
                let request = request
                    .header("content-type", "application/json")
                    .body(body.to_string());
                judge(endpoint, account.secret(), request.send().await).await
            }
        }
    }

    /// Fetches a ticket with an access token. `kind` must be one that the account has.
    ///
    /// # Errors
    /// [`UpstreamError`], classified: [`crate::error::Class::StaleToken`] if WeChat rejected the token.
    pub async fn ticket(
        &self,
        account: &Account,
        kind: Kind,
        token: &Secret,
    ) -> Result<Issued, UpstreamError> {
        let endpoint = endpoint_of(account, kind);
        let kind = match (endpoint.path, kind) {
            (_, Kind::AgentTicket) => Some("agent_config"),
            (_, Kind::CardTicket) => Some("wx_card"),
            (path, _) if path == TICKET.path => Some("jsapi"),
            (_, _) => None,
        };
        let mut query = vec![("access_token", token.expose())];
        query.extend(kind.map(|kind| ("type", kind)));
        self.get(endpoint, &query, token).await
    }

    async fn get(
        &self,
        endpoint: &Endpoint,
        query: &[(&str, &str)],
        paid: &Secret,
    ) -> Result<Issued, UpstreamError> {
        judge(
            endpoint,
            paid,
            self.client.get(self.url(endpoint, query)).send().await,
        )
        .await
    }

    fn url(&self, endpoint: &Endpoint, query: &[(&str, &str)]) -> String {
        let base = match endpoint.system {
            System::Weixin => &self.weixin,
            System::Qyapi => &self.qyapi,
        };
        let query = serde_urlencoded::to_string(query).expect("pairs of strings always encode");
        if query.is_empty() {
            format!("{base}{}", endpoint.path)
        } else {
            format!("{base}{}?{query}", endpoint.path)
        }
    }
}

/// Returns the endpoint that issues this credential: the system and path used in errors, logs and the quota
/// count.
#[must_use]
pub fn endpoint(account: &Account, kind: Kind) -> (System, &'static str) {
    let endpoint = endpoint_of(account, kind);
    (endpoint.system, endpoint.path)
}

fn endpoint_of(account: &Account, kind: Kind) -> &'static Endpoint {
    match (account.platform(), kind, account.mode()) {
        (Platform::Work { .. }, Kind::AccessToken, _) => &GETTOKEN,
        (Platform::Work { .. }, Kind::AgentTicket, _) => &WORK_TICKET,
        (Platform::Work { .. }, _, _) => &WORK_JSAPI_TICKET,
        (_, Kind::AccessToken, TokenMode::Classic) => &TOKEN,
        (_, Kind::AccessToken, TokenMode::Stable) => &STABLE_TOKEN,
        (_, _, _) => &TICKET,
    }
}

fn base(text: &str) -> Result<url::Url, ClientError> {
    if text.contains('@') {
        // Not quoted, since the text before the `@` can contain a password.
        return Err(ClientError(
            "the base URL contains a user name: remove everything up to the @".into(),
        ));
    }
    let problem = |why: &str| ClientError(format!("\"{text}\" is not a base URL: {why}"));
    let url = url::Url::parse(text).map_err(|error| problem(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(problem(
            "it must start with https:// (or http:// for a simulator)",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(problem("remove the query and the fragment"));
    }
    Ok(url)
}

fn mozilla_roots() -> impl Iterator<Item = Certificate> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .filter_map(|root| Certificate::from_der(root).ok())
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Turns a response into a value or one classified error. `paid` is redacted from all text that is kept.
async fn judge(
    endpoint: &Endpoint,
    paid: &Secret,
    sent: reqwest::Result<Response>,
) -> Result<Issued, UpstreamError> {
    let failed = |failure| UpstreamError {
        endpoint: endpoint.path,
        system: endpoint.system,
        paid: endpoint.paid,
        failure,
        also_seen: Vec::new(),
    };
    let response = sent.map_err(|error| failed(transport(error)))?;
    let status = response.status().as_u16();
    let body = read(response).await.map_err(failed)?;
    judged(endpoint, paid, status, &body)
}

/// Evaluates a complete response.
fn judged(
    endpoint: &Endpoint,
    paid: &Secret,
    status: u16,
    body: &[u8],
) -> Result<Issued, UpstreamError> {
    let failed = |failure| UpstreamError {
        endpoint: endpoint.path,
        system: endpoint.system,
        paid: endpoint.paid,
        failure,
        also_seen: Vec::new(),
    };
    let answer = match serde_json::from_slice::<Answer>(body) {
        Ok(answer) => answer,
        Err(error) => {
            let error = error.to_string();
            let twice = error
                .strip_prefix(TWICE)
                .and_then(|rest| rest.split_once(" at line"));
            return Err(failed(match twice {
                Some((twice, _)) => Failure::Unusable(format!("HTTP {status}, {twice}")),
                None => Failure::NotJson {
                    status,
                    what: format!(
                        "{} bytes that are not a JSON object{}",
                        body.len(),
                        first_words(body, paid)
                    ),
                },
            }));
        }
    };
    match answer.get("errcode") {
        None | Some(Value::Null) => {}
        Some(code) => match code.as_i64() {
            Some(0) => {}
            Some(errcode) => {
                let errmsg = printable(answer.text("errmsg").unwrap_or_default(), paid);
                return Err(failed(Failure::Refused {
                    errcode,
                    errmsg,
                    blocked_until: None,
                    few_calls: None,
                }));
            }
            None => {
                return Err(failed(Failure::Unusable(format!(
                    "HTTP {status}, an errcode that is not a number"
                ))));
            }
        },
    }
    issued(&answer, endpoint.field)
        .map_err(|why| failed(Failure::Unusable(format!("HTTP {status}, {why}"))))
}

/// For the fuzz target; not part of the API.
#[doc(hidden)]
pub fn judge_body(
    account: &Account,
    kind: Kind,
    paid: &Secret,
    status: u16,
    body: &[u8],
) -> Result<Issued, UpstreamError> {
    judged(endpoint_of(account, kind), paid, status, body)
}

/// Validates a successful response and returns its credential.
fn issued(answer: &Answer, field: &str) -> Result<Issued, String> {
    let value = match answer.text(field) {
        None => return Err(format!("{field} is missing")),
        Some("") => return Err(format!("{field} is empty")),
        Some(value) => Secret::new(value),
    };
    value.check().map_err(|why| format!("{field} {why}"))?;
    // Only a number is quoted: any other type may contain the credential itself.
    match answer.get("expires_in") {
        Some(Value::Number(life)) => {
            let seconds = life.as_u64();
            let life = seconds.and_then(|seconds| check_life(seconds).ok());
            let expires_in =
                life.ok_or_else(|| format!("expires_in is {}", &answer.0["expires_in"]))?;
            Ok(Issued { value, expires_in })
        }
        _ => Err("expires_in is not a number".into()),
    }
}

/// A JSON object without duplicate keys: parsers disagree on which of two values counts.
struct Answer(serde_json::Map<String, Value>);

impl Answer {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Answer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Answer, A::Error> {
                let mut answer = serde_json::Map::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if answer.contains_key(&key) {
                        // Only known keys are named: any other key may contain a secret.
                        let known = READ.into_iter().find(|known| *known == key);
                        let key = known.unwrap_or("a key");
                        return Err(serde::de::Error::custom(format!("{TWICE}{key} twice")));
                    }
                    answer.insert(key, value);
                }
                Ok(Answer(answer))
            }
        }
        deserializer.deserialize_map(Once)
    }
}

/// The keys of a response that are read.
const READ: [&str; 5] = ["errcode", "errmsg", "access_token", "ticket", "expires_in"];

/// Distinguishes a duplicate key from JSON syntax errors.
const TWICE: &str = "duplicate: ";

/// Returns the first words of a body that is not JSON, for a log line: they usually identify a captive
/// portal. Truncated JSON and long words are omitted, since they could contain a credential.
fn first_words(body: &[u8], paid: &Secret) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if text.is_empty() || text.starts_with(['{', '[', '"']) {
        return String::new();
    }
    let mut words = String::new();
    let mut word = String::new();
    // The blank at the end terminates the last word.
    for c in printable(text, paid).chars().chain([' ']) {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            word.push(c);
            continue;
        }
        words.push_str(if word.len() > LONGEST_WORD {
            "…"
        } else {
            &word
        });
        word.clear();
        words.push(c);
    }
    let shown: String = words.trim_end().chars().take(FIRST_WORDS).collect();
    format!(", which begin with {shown:?}")
}

async fn read(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Failure::Unusable(format!("more than {MAX_BODY} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Classifies a transport error. Whether the request can have reached WeChat decides what a lost token call
/// does to the old token.
fn transport(error: reqwest::Error) -> Failure {
    let error = error.without_url(); // its query holds the secret
    let why = describe(&error);
    if is_untrusted(&error) {
        Failure::Untrusted(why)
    } else if error.is_connect() || error.is_builder() {
        Failure::Unreachable(why)
    } else {
        Failure::ReplyLost(why)
    }
}

/// Returns whether the TLS handshake failed because of the server's certificate.
fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return true;
    }
    let io = error.downcast_ref::<std::io::Error>();
    match io.and_then(std::io::Error::get_ref) {
        Some(inside) => is_untrusted(inside),
        None => error.source().is_some_and(is_untrusted),
    }
}

/// Returns an error with its innermost cause: `error sending request: Connection refused (os error 111)`.
pub(crate) fn describe(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match error.source() {
        None => error.to_string(),
        Some(_) => format!("{error}: {innermost}"),
    }
}

/// Prepares external text for a log line: one line, bounded, without the secret or token that authenticated
/// the call.
///
/// Invisible characters are removed first, since one inside the secret would hide it from redaction.
fn printable(text: &str, paid: &Secret) -> String {
    let mut line: String = text.chars().filter(|c| is_visible(*c)).collect();
    let encoded: String = url::form_urlencoded::byte_serialize(paid.expose().as_bytes()).collect();
    for secret in [paid.expose(), &encoded] {
        if !secret.is_empty() {
            line = line.replace(secret, "[secret]");
        }
    }
    line.chars().take(MAX_ERRMSG).collect()
}

/// Maximum size of a body. WeChat's are under 1 KiB; this limits what a broken gateway can make this process
/// hold.
const MAX_BODY: usize = 64 * 1024;

/// Maximum length quoted from a body that is not JSON: enough for the title of a page.
const FIRST_WORDS: usize = 80;

/// Maximum length of a quoted word: secrets, tokens and tickets are longer.
const LONGEST_WORD: usize = 15;

/// Maximum length of a kept errmsg. The longest known errmsg has about 250 characters.
const MAX_ERRMSG: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_becomes_one_bounded_line_without_the_secret() {
        let secret = Secret::new("0c79e1fa963cd80cc0be99b20a18faeb");
        let text = format!(
            "bad secret {}\r\nINFO forged line {}",
            secret.expose(),
            "x".repeat(1_000)
        );
        let line = printable(&text, &secret);
        assert!(
            line.starts_with("bad secret [secret]INFO forged line xxx"),
            "{line}"
        );
        assert_eq!(line.chars().count(), MAX_ERRMSG);
    }

    #[test]
    fn invisible_characters_of_a_foreign_text_are_dropped_and_seen_ones_kept() {
        let secret = Secret::new("0c79e1fa963cd80cc0be99b20a18faeb");
        for invisible in [
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{202e}',
            '\u{2028}',
            '\u{2029}',
            '\u{2066}',
            '\u{2069}',
            '\u{feff}',
            '\u{ad}',
            '\u{61c}',
            '\u{fe0f}',
            '\u{e0041}',
            '\u{85}',
            '\0',
            '\t',
        ] {
            let text = format!("in{invisible}valid 0c79e1fa{invisible}963cd80cc0be99b20a18faeb");
            assert_eq!(
                printable(&text, &secret),
                "invalid [secret]",
                "{invisible:?}"
            );
        }
        let seen = "不合法的 appsecret：\"é\" \\ it's 🙂";
        assert_eq!(printable(seen, &secret), seen);
    }

    #[test]
    fn only_a_simulator_on_this_machine_bypasses_the_proxy() {
        for (text, loopback) in [
            ("http://127.0.0.1:8082", true),
            ("http://[::1]:8082", true),
            ("http://localhost", true),
            ("https://api.weixin.qq.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&base(text).unwrap()), loopback, "{text}");
        }
    }

    #[test]
    fn a_base_that_is_no_url_is_refused_with_the_reason() {
        for (text, why) in [
            ("api.weixin.qq.com", "relative URL"),
            ("ftp://x", "https://"),
            ("https://x/?a=1", "query"),
        ] {
            assert!(base(text).unwrap_err().to_string().contains(why), "{text}");
        }
    }
}
