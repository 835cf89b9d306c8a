//! `POST /doctor/diagnose`: the doctor page's endpoint, open to the public.
//!
//! It hashes with the tickets of the account, and of other accounts that may have signed instead, but never
//! returns one, nor the names of the others. That is no leak: a ticket is some 86 random characters, and every
//! signature of the public endpoint is a hash over it already, against which guesses can be tested offline,
//! and faster. A signature over an address of the client's choice would be a leak, so none is computed for
//! the answer; candidates are only compared with the given signature.
//!
//! Bounded are the body, the requests per second (per client and in total), and the cores that read and
//! search (one), so that neither the doctor nor one of its clients can delay the others.

use std::num::NonZeroU32;
use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpRequest, HttpResponse, Resource, web};
use serde::Serialize;
use serde_json::Value;

use super::add_account_tickets;
use super::question::{Question, bad_body, only_post};
use super::queue::{AT_ONCE, Queue, asked_too_often};
use crate::account::{Account, Platform};
use crate::actix::json_body::is_json;
use crate::broker::Broker;
use crate::credential::Kind;
use crate::diagnose::{Case, Effort, Finding, Paste, PasteKind, Role, Target, diagnose_both};
use crate::endpoint::{ClientIps, Problem, RateLimit};
use crate::error::{Error, ProblemCode, Text};
use crate::sign::PageUrl;

/// `POST {path}` with JSON, without a key. Create it once and clone it into each worker's application:
/// the clones share the rate limits.
#[derive(Clone)]
pub struct Doctor {
    pub(super) broker: Broker,
    /// Per client, and of all clients together.
    rate: Arc<RateLimit>,
    pub(super) queue: Arc<Queue>,
}

impl Doctor {
    /// Creates a doctor for the accounts of this broker. `clients` determines each client's address.
    #[must_use]
    pub fn new(broker: Broker, clients: Arc<ClientIps>) -> Self {
        let clock = broker.clock().clone();
        let rate = RateLimit::new(SHARE_A_SECOND, SHARE_AT_ONCE, clients, clock).with_total(
            "the doctor's rate limit",
            A_SECOND,
            AT_ONCE,
        );
        Self {
            broker,
            rate: Arc::new(rate),
            queue: Arc::new(Queue::new()),
        }
    }

    /// Serves `POST {path}`. Same-origin only, since it accepts `application/json` and answers no
    /// preflight.
    pub fn resource(&self, path: &str) -> Resource {
        web::resource(path)
            .app_data(web::Data::new(self.clone()))
            .route(web::post().to(answer))
            .default_service(web::to(only_post))
    }

    /// Reads a request that is within the rate limits. One without a question does not count against all clients.
    async fn admit(&self, request: &HttpRequest, body: web::Payload) -> Result<Question, Problem> {
        let refuse = |problem: Problem| asked_too_often(problem.retry_after.unwrap_or_default());
        let peer = request.peer_addr().map(|peer| peer.ip());
        let checked = self.rate.check_client(peer, request.headers());
        checked.map_err(refuse)?;
        let question = Question::read(body).await?;
        self.rate.check_total().map_err(refuse)?;
        Ok(question)
    }

    async fn examine(&self, question: Question) -> Result<Value, Problem> {
        let place = self.queue.enter()?;
        let named = question.account.clone().filter(|name| !name.is_empty());
        let reading = place.run(move || {
            let (case, paste) = question.case();
            let read = read_out(&case, &paste);
            (case, read)
        });
        let (mut case, read) = reading.await?;
        let mut agent = case.agent_half();
        let (account, source) = self.add_account(named.as_deref(), &mut case).await?;
        if let Some(agent) = &mut agent {
            self.add_account(named.as_deref(), agent).await?;
        }
        let tickets: Vec<_> = [Some(&case), agent.as_ref()]
            .into_iter()
            .flatten()
            .flat_map(|case| &case.tickets)
            .map(|ticket| ticket.value.clone())
            .collect();
        let allowed = account
            .as_ref()
            .and_then(|(_, account)| allows(account, case.checked()));
        let searching = place.run(move || diagnose_both(&case, agent.as_ref(), Effort::Brief));
        let findings: Vec<Finding> = searching.await?;
        let answer = DoctorAnswer {
            findings,
            read,
            ticket: source,
            app_id: account.map(|(_, account)| account.app_id().to_owned()),
            page_allowed: allowed,
        };
        let answer = serde_json::to_string(&answer).expect("texts and numbers always serialise");
        // A ticket that was pasted into another field is redacted there too.
        let long = tickets
            .iter()
            .map(|ticket| ticket.expose())
            .filter(|ticket| ticket.len() >= MIN_TICKET);
        let text = long.fold(answer, |text, ticket| text.replace(ticket, "[ticket]"));
        serde_json::from_str(&text).map_err(|_| bad_body())
    }

    /// Returns the account that the request names, or that the AppID belongs to. A foreign AppID has no
    /// account: its pages are not this server's.
    fn account(
        &self,
        named: Option<&str>,
        case: &Case,
    ) -> Result<Option<(String, Arc<Account>)>, Problem> {
        let accounts = self.broker.accounts();
        let found = match (named, &case.app_id) {
            (Some(name), _) => Some(accounts.get(name)?),
            (None, Some(app_id)) => {
                // Each app of a corp has its own ticket for wx.agentConfig.
                let agent_id = case.agent_id.as_deref().map(|id| id.trim().parse().ok());
                match agent_id.filter(|_| case.signed_for() == Target::AgentConfig) {
                    Some(agent_id) => {
                        agent_id.and_then(|agent_id| accounts.of_app(app_id, Some(agent_id)))
                    }
                    None => accounts.of_app(app_id, None).or_else(|| {
                        let (name, _) = accounts.of_corp(app_id).min()?;
                        accounts.get(name).ok()
                    }),
                }
            }
            (None, None) => accounts.get("").ok(),
        };
        Ok(found.map(|(name, account)| (name.to_owned(), account.clone())))
    }

    /// Adds the account that the case is about; returns it, and which ticket is used.
    async fn add_account(
        &self,
        named: Option<&str>,
        case: &mut Case,
    ) -> Result<(Option<(String, Arc<Account>)>, &'static str), Problem> {
        let account = self.account(named, case)?;
        case.is_component = is_component(&self.broker, case.app_id.as_deref());
        let is_sure = named.is_some() || case.app_id.is_some();
        let source = self.add_tickets(case, account.as_ref(), is_sure).await;
        Ok((account, source))
    }

    /// Adds the account's current credentials to the case if the client gave none, and reports which
    /// ticket is used. A ticket in a pasted string does not count as given: whether it is the current one
    /// is the question.
    async fn add_tickets(
        &self,
        case: &mut Case,
        account: Option<&(String, Arc<Account>)>,
        is_sure: bool,
    ) -> &'static str {
        if case
            .tickets
            .iter()
            .any(|ticket| ticket.role != Role::Pasted)
        {
            return "given";
        }
        let is_pasted = !case.tickets.is_empty();
        let (without, failing) = if is_pasted {
            ("given", "given")
        } else {
            ("none", "unavailable")
        };
        // The origin of a pasted string is unknown; that of a foreign page does not concern this account.
        let is_ours = |account: &Account| {
            is_sure || !is_pasted || allows(account, case.checked()) == Some(true)
        };
        let Some((name, _)) = account.filter(|(_, account)| case.is_whole() && is_ours(account))
        else {
            return without;
        };
        match add_account_tickets(&self.broker, case, name, None).await {
            Ok(()) => "account",
            Err(Error::UnsupportedCredential { .. }) => without,
            Err(_) => failing,
        }
    }
}

/// Whether an AppID is that of an open platform.
pub(super) fn is_component(broker: &Broker, app_id: Option<&str>) -> bool {
    let accounts = broker.accounts();
    let found = app_id.and_then(|app_id| accounts.of_app(app_id.trim(), None));
    found.is_some_and(|(_, account)| account.platform() == Platform::Component)
}

pub(super) fn role_of(kind: Kind) -> Role {
    match kind {
        Kind::AccessToken => Role::AccessToken,
        Kind::JsapiTicket => Role::Current,
        Kind::CardTicket => Role::Card,
        Kind::AgentTicket => Role::Agent,
    }
}

fn allows(account: &Account, url: &str) -> Option<bool> {
    PageUrl::parse(url)
        .ok()
        .map(|page| account.allows_page(page.host(), page.path()))
}

/// The answer: the findings, as with a key, and what the page shows beside them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DoctorAnswer {
    /// What explains the refusal, best first.
    findings: Vec<Finding>,
    /// How the request was understood.
    read: ReadOut,
    /// Whose ticket was used: `account`, `given`, `none`, or `unavailable`.
    ticket: &'static str,
    /// The AppID of the account that the request is about.
    app_id: Option<String>,
    /// Whether the account signs this page.
    page_allowed: Option<bool>,
}

/// How the request was understood: the page fills its form with it. Never contains a ticket.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReadOut {
    /// What the pasted text was: `json`, `values`, `signed_string`, `error`, `url`, `source`, `ticket`.
    kinds: Vec<PasteKind>,
    /// The page's address.
    url: String,
    /// The nonce.
    nonce_str: String,
    /// The timestamp.
    timestamp: String,
    /// The signature.
    signature: String,
    /// The AppID.
    app_id: Option<String>,
    /// The error message of the WeChat client.
    err_msg: Option<String>,
    /// Whether it is about `wx.agentConfig`.
    agent: bool,
    /// Whether a ticket was pasted.
    with_ticket: bool,
}

fn read_out(case: &Case, paste: &Paste) -> ReadOut {
    ReadOut {
        kinds: paste.kinds.clone(),
        url: case.url.clone(),
        nonce_str: case.nonce.clone(),
        timestamp: case.timestamp.clone(),
        signature: case.signature.clone(),
        app_id: case.app_id.clone(),
        err_msg: case.error.clone(),
        agent: case.signed_for() == Target::AgentConfig,
        with_ticket: paste.ticket.is_some() || paste.given_ticket.is_some(),
    }
}

async fn answer(
    request: HttpRequest,
    doctor: web::Data<Doctor>,
    body: web::Payload,
) -> HttpResponse {
    let found = async {
        // Forms and plain text can be sent across origins without a preflight, so they are rejected here,
        // and not counted.
        if !is_json(request.headers()) {
            return Err(not_json());
        }
        let question = doctor.admit(&request, body).await?;
        doctor.examine(question).await
    };
    match found.await {
        Ok(answer) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .json(answer),
        Err(problem) => problem.into_response(),
    }
}

fn not_json() -> Problem {
    Problem::new(
        ProblemCode::UnsupportedMediaType,
        "Content-Type must be application/json",
        Text::new(
            "Send Content-Type: application/json.",
            "请发送请求头 Content-Type: application/json。",
        ),
    )
}

/// A quarter of the total rate. A person sends a request every few seconds.
const SHARE_A_SECOND: u32 = 1;

/// Enough for several people behind one address, or for one who tries several things in a row. At some
/// tenths of a second per search, the next client waits a few seconds.
const SHARE_AT_ONCE: u32 = 20;

/// The total rate for all clients.
const A_SECOND: NonZeroU32 = NonZeroU32::new(4).expect("not zero");

/// Shorter values are not tickets, and redacting them would garble the answer.
const MIN_TICKET: usize = 16;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::actix::diagnose::queue::PLACES;

    #[tokio::test]
    async fn requests_waiting_for_a_search_are_bounded() {
        let broker = Broker::builder().build().expect("a broker");
        let clients = Arc::new(ClientIps::new(Vec::new(), "x-forwarded-for"));
        let doctor = Doctor::new(broker, clients);
        let searching = doctor.queue.cores.acquire().await;
        let mut waiting: Vec<_> = (0..PLACES)
            .map(|_| Box::pin(doctor.examine(Question::default())))
            .collect();
        assert!(waiting.iter_mut().all(|it| it.now_or_never().is_none()));
        let one_more = doctor.examine(Question::default()).await;
        assert_eq!(one_more.unwrap_err().code, ProblemCode::RateLimited);
        drop(searching);
        drop(waiting);
        assert!(doctor.examine(Question::default()).await.is_ok());
    }
}
