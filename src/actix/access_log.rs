//! Access log: one line per request, and the request id. The proxy's id is used if it is safe to log,
//! else one is generated.
//!
//! The client is the address that a trusted proxy reports, else the peer. A line holds method, route pattern (not the path), status, configured account name (not the request's
//! text), error code, microseconds, client and id; never a query, a key or a ticket. A 404 of the public
//! listener has the path, bounded, since no route says what was asked for. By default only
//! failed and slow requests are logged on the public listener.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_http::Request;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use tracing::{info, warn};

use super::keys::{API_KEY_PREFIX, may_be_secret};
use super::problem::FailureCode;
use super::request_stats::{ListenerName, OTHER_ROUTE};
use crate::endpoint::ClientIps;
use crate::error::ProblemCode;

/// Which requests are logged: `[log] requests`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestLog {
    /// No request.
    Off,
    /// Requests that fail or take more than a second, and every request on the admin listener.
    #[default]
    Failed,
    /// Every request.
    All,
}

/// The access log of one listener.
#[derive(Clone)]
pub(crate) struct AccessLog {
    listener: ListenerName,
    log: RequestLog,
    clients: Arc<ClientIps>,
    /// Of refusals (status 400 to 499) and of failures (500 to 599).
    limits: Arc<[LineLimit; 2]>,
}

/// Limits the lines of failed requests, which cost their clients nothing: see [`MOST_LINES`].
#[derive(Debug, Default)]
struct LineLimit {
    /// The second of the last one, in uptime.
    second: AtomicU64,
    /// Failed requests in that second.
    count: AtomicU64,
}

/// What is known about a request before it is answered.
pub(crate) struct Entry {
    id: HeaderValue,
    method: Method,
    client: Option<IpAddr>,
    begun: Duration,
}

impl AccessLog {
    pub(crate) fn new(listener: ListenerName, log: RequestLog, clients: Arc<ClientIps>) -> Self {
        Self {
            listener,
            log,
            clients,
            limits: Arc::default(),
        }
    }

    pub(super) fn listener(&self) -> ListenerName {
        self.listener
    }

    /// Returns whether every request is logged, successful signatures included.
    pub(super) fn notes_all(&self) -> bool {
        self.log == RequestLog::All
    }

    /// `begun`: when the request was received, in uptime.
    pub(super) fn open(&self, request: &Request, begun: Duration) -> Entry {
        let head = request.head();
        let id = head
            .headers
            .get(&REQUEST_ID)
            .filter(|id| is_sane(id.as_bytes()))
            .cloned()
            .unwrap_or_else(made);
        Entry {
            id,
            method: head.method.clone(),
            client: head
                .peer_addr
                .map(|peer| self.clients.likely(peer.ip(), &head.headers)),
            begun,
        }
    }

    /// Logs the answer if the configuration selects it. `path` is that of a request without a route.
    pub(super) fn note(
        &self,
        entry: &Entry,
        (route, path): (Option<&str>, Option<&str>),
        status: u16,
        failure: FailureCode,
        account: Option<&str>,
        took: Duration,
    ) {
        let FailureCode { code, errcode } = failure;
        let code = code.map(ProblemCode::as_str);
        // A failed drop-in call has status 200, like WeChat's.
        let failed = !(200..400).contains(&status) || errcode.is_some();
        let noted = match self.log {
            RequestLog::Off => false,
            RequestLog::Failed => failed || took > SLOW || self.listener == ListenerName::Admin,
            RequestLog::All => true,
        };
        if !noted {
            return;
        }
        if let Some(limit) = self.line_limit(status) {
            let (is_within, left_out) = limit.count(entry.begun + took);
            if left_out > 0 {
                let class = if status < 500 { "4xx" } else { "5xx" };
                info!(target: TARGET, class, left_out, "failed requests are left out of the log");
            }
            if !is_within {
                return;
            }
        }
        let listener = self.listener.as_str();
        let method = entry.method.as_str();
        let route = route.unwrap_or(OTHER_ROUTE);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let id = entry.id.to_str().unwrap_or_default();
        let client = entry.client.map(tracing::field::display);
        let path = path.map(shown);
        let path = path.as_deref();
        if status >= 500 {
            warn!(target: TARGET, listener, method, route, path, status, code, errcode, account, micros, client, id, "request");
        } else {
            info!(target: TARGET, listener, method, route, path, status, code, errcode, account, micros, client, id, "request");
        }
    }

    /// Returns the limit of the lines of answers with this status, if there is one.
    fn line_limit(&self, status: u16) -> Option<&LineLimit> {
        if self.log != RequestLog::Failed || self.listener != ListenerName::Public {
            return None;
        }
        match status {
            400..=499 => Some(&self.limits[0]),
            500..=599 => Some(&self.limits[1]),
            _ => None,
        }
    }

    /// Adds the request id to failed answers, and to all answers of the admin listener, so that clients
    /// can quote it to the operator.
    pub(super) fn label(&self, entry: &Entry, status: StatusCode, headers: &mut HeaderMap) {
        if status.is_client_error()
            || status.is_server_error()
            || self.listener == ListenerName::Admin
        {
            headers.insert(REQUEST_ID, entry.id.clone());
        }
    }
}

impl LineLimit {
    /// Returns whether one more line is written at this uptime, and how many the last second left out.
    fn count(&self, uptime: Duration) -> (bool, u64) {
        let second = uptime.as_secs();
        if self.second.fetch_max(second, Ordering::Relaxed) < second {
            let last = self.count.swap(1, Ordering::Relaxed);
            return (true, last.saturating_sub(MOST_LINES));
        }
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        (before < MOST_LINES, 0)
    }
}

/// Returns whether an id is safe in a log line and a header: no unusual characters, and nothing that may
/// be a credential in the wrong header. An AppSecret cannot be told from a trace id: both are 32 hex
/// digits.
fn is_sane(id: &[u8]) -> bool {
    let is_key = || {
        id.windows(KEY.len())
            .any(|part| part.eq_ignore_ascii_case(KEY))
    };
    let is_trace = || {
        id.iter()
            .all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
    };
    (1..=MAX_ID).contains(&id.len())
        && id
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte))
        && !is_key()
        && (id.len() < SHORTEST_SECRET || is_trace())
}

/// Returns a path for the log: visible ASCII, bounded, without parts that may be a secret.
fn shown(path: &str) -> String {
    let part = |part| if may_be_secret(part) { "…" } else { part };
    let parts: Vec<_> = path.split('/').map(part).collect();
    let path = parts.join("/");
    let visible = path.chars().filter(|c| c.is_ascii_graphic() || *c == '…');
    let mut shown: String = visible.clone().take(MAX_PATH).collect();
    if visible.count() > MAX_PATH {
        shown.push('…');
    }
    shown
}

fn made() -> HeaderValue {
    HeaderValue::from_str(&format!("{:016x}", rand::random::<u64>()))
        .expect("hex digits are visible")
}

/// The header of the request id, in requests and answers.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The log target, for filters: `wx_jssdk::request=off`.
const TARGET: &str = "wx_jssdk::request";

/// Lines of refused requests of the public listener in a second, and as many of failed ones. One client could have tens
/// of thousands written.
const MOST_LINES: u64 = 100;

/// Requests that take longer count as slow. A signature takes microseconds, a cold one as long as WeChat
/// takes.
const SLOW: Duration = Duration::from_secs(1);

/// Maximum length of an id. A UUID has 36 characters, the longest kind of trace id 55.
const MAX_ID: usize = 64;

/// Maximum length of a path, in characters.
const MAX_PATH: usize = 100;

const KEY: &[u8] = API_KEY_PREFIX.as_bytes();

/// The length of a WeCom secret. API keys have 47 characters; tokens and tickets are longer. An id of
/// this length is accepted only if it is hexadecimal.
const SHORTEST_SECRET: usize = 43;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_and_failures_on_the_public_listener_displace_no_lines_of_each_other() {
        let clients = Arc::new(ClientIps::new(Vec::new(), "x-forwarded-for"));
        let public = AccessLog::new(ListenerName::Public, RequestLog::Failed, clients);
        let admin = AccessLog {
            listener: ListenerName::Admin,
            ..public.clone()
        };
        let written = |log: &AccessLog, status| {
            let limit = log.line_limit(status);
            let is_written =
                |_: &i32| limit.is_none_or(|limit| limit.count(Duration::from_secs(1)).0);
            (0..5_000).filter(is_written).count()
        };
        let statuses = [404, 502, 200];
        assert_eq!(
            statuses.map(|status| written(&public, status)),
            [100, 100, 5_000]
        );
        assert_eq!(statuses.map(|status| written(&admin, status)), [5_000; 3]);
    }

    #[test]
    fn a_flood_of_refused_requests_is_summed_up_in_the_log() {
        let lines = LineLimit::default();
        let count = |millis| lines.count(Duration::from_millis(millis));
        let written = (0..5_000).filter(|_| count(7_100).0).count();
        assert_eq!(written, 100);
        assert_eq!(count(6_900), (false, 0), "another worker, a moment late");
        assert_eq!(count(9_000), (true, 4_901));
        assert_eq!(count(9_500), (true, 0));
        assert_eq!(count(10_000), (true, 0));
    }

    #[test]
    fn a_harmless_request_id_is_accepted() {
        for id in [
            "a",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "Root=1-67891233-abcdef012345678912345678",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            &"a".repeat(64),
        ] {
            assert!(is_sane(id.as_bytes()), "{id}");
        }
        for id in [
            "",
            "a b",
            "a\n",
            "a\"b",
            "a;b",
            "a,b",
            "\u{e9}",
            "<script>",
            &"a".repeat(65),
        ] {
            assert!(!is_sane(id.as_bytes()), "{id}");
        }
    }

    #[test]
    fn a_request_id_that_may_be_a_credential_is_replaced() {
        for id in [
            &super::super::keys::new_key(),
            "wxk_short",
            "key=wxk_short",
            "WXK_SHORT",
            // A WeCom secret has 43 characters, a ticket 86.
            "y4IIQ9eBfHpkOzLrbmDxRlIcDCWZ8pBVFKxGzkVcEnY",
            "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3",
        ] {
            assert!(!is_sane(id.as_bytes()), "{id}");
        }
    }

    #[test]
    fn a_logged_path_is_short_and_printable_and_holds_no_secret() {
        for (path, expected) in [
            ("/wp-login.php", "/wp-login.php"),
            ("/a\u{202e}b\u{7f}\u{85}/\u{200b}c", "/ab/c"),
            (
                "/MP_verify_AbCdEfGh12345678.txt",
                "/MP_verify_AbCdEfGh12345678.txt",
            ),
            ("/x/wxk_short", "/x/…"),
            ("/0c79e1fa963cd80cc0be99b20a18faeb/y", "/…/y"),
        ] {
            assert_eq!(shown(path), expected);
        }
        let long = shown(&"/ab".repeat(99));
        assert_eq!(
            (long.chars().count(), long.ends_with('…')),
            (MAX_PATH + 1, true)
        );
    }

    #[test]
    fn generated_ids_are_valid_and_unique() {
        let ids: std::collections::HashSet<_> = (0..1_000).map(|_| made()).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(
            ids.iter()
                .all(|id| is_sane(id.as_bytes()) && id.len() == 16)
        );
    }
}
