//! Readiness: whether every account that signs pages can do so now, and what is in the way of those that cannot.
//!
//! For an orchestrator, on the private listener. WeChat's own words, which name this server's IP, are not in it: nobody has to
//! show a key to ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::broker::{AccountStatus, Broker};
use crate::credential::Kind;
use crate::error::Hint;

/// Asked by the endpoint; told by a reload that new accounts have a moment to fetch their first ticket.
#[derive(Clone)]
pub(super) struct Readiness {
    broker: Broker,
    /// When accounts were last new, in milliseconds of uptime.
    since: Arc<AtomicU64>,
}

/// The answer.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Readiness)]
pub(super) struct Report {
    /// Whether all of them are.
    ready: bool,
    /// Those that sign pages; the ones that are not ready first.
    accounts: Vec<AccountReport>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct AccountReport {
    /// Its name.
    account: String,
    /// Whether it can sign now.
    ready: bool,
    /// `starting` or `missing`, where nothing was ever fetched; else the class of the last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// WeChat's code, where it spoke.
    errcode: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// What is in the way.
    cause: Option<Cause>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Cause {
    en: String,
    zh: String,
}

impl Readiness {
    pub(super) fn new(broker: Broker) -> Self {
        let readiness = Self { broker, since: Arc::default() };
        readiness.accounts_are_new();
        readiness
    }

    /// From now on accounts that have fetched nothing yet have [`GRACE`] again.
    pub(super) fn accounts_are_new(&self) {
        self.since.store(self.uptime_millis(), Ordering::Relaxed);
    }

    fn uptime_millis(&self) -> u64 {
        u64::try_from(self.broker.clock().uptime().as_millis()).unwrap_or(u64::MAX)
    }

    /// Those that are not ready first.
    fn report(&self) -> Report {
        let age = self.uptime_millis().saturating_sub(self.since.load(Ordering::Relaxed));
        let starting = Duration::from_millis(age) < GRACE;
        let mut accounts: Vec<_> =
            self.broker.status().into_iter().filter_map(|status| AccountReport::of(status, starting)).collect();
        accounts.sort_by_key(|account| account.ready);
        Report { ready: accounts.iter().all(|account| account.ready), accounts }
    }
}

impl AccountReport {
    /// `None` for an account that signs nothing.
    fn of(status: AccountStatus, starting: bool) -> Option<Self> {
        let of = |kind| status.credentials.iter().find(|credential| credential.kind == kind);
        let ticket = of(Kind::JsapiTicket)?;
        // Without a token there is no ticket: what is in the token's way is in the ticket's, as soon as it is known.
        let error = ticket.last_error.as_ref().or_else(|| of(Kind::AccessToken)?.last_error.as_ref());
        let error = error.filter(|_| !ticket.living);
        let (ready, reason) = match error {
            Some(error) => (false, Some(error.class)),
            None if ticket.living => (true, None),
            None if starting => (true, Some("starting")),
            None => (false, Some("missing")),
        };
        let error = error.map(|last| &last.error);
        let cause = error.map(|error| Cause::from(error.cause()));
        Some(Self { account: status.account, ready, reason, errcode: error.and_then(|error| error.errcode()), cause })
    }
}

impl From<Hint> for Cause {
    fn from(hint: Hint) -> Self {
        Self { en: hint.en.into_owned(), zh: hint.zh.into_owned() }
    }
}

/// `GET /readyz`: 200, or 503 when an account cannot sign.
pub(super) async fn readyz(readiness: web::Data<Readiness>) -> HttpResponse {
    let report = readiness.report();
    let mut answer = if report.ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    answer.insert_header(("Cache-Control", "no-store")).json(report)
}

/// An account that was never asked for counts as ready for so long: the keeper starts its first calls within a second, and a
/// reader who comes before they end waits for them and is served.
const GRACE: Duration = Duration::from_secs(10);
