//! `POST /doctor/diagnose`: the doctor page's question, which anybody may ask.
//!
//! An account's living ticket is hashed with here, and never told. Why that is no leak: a ticket is some 86 random characters, and every
//! signature that the public endpoint gives out already is a hash over it, which a guess can be tried on at home, and faster. What would
//! be one is a signature over an address of the asker's choice; so none is ever computed for the answer, only compared with.
//! What is bounded: the body, the questions in a second of each client and of all together, and the cores that search (one), so that
//! neither the doctor nor one of its clients can make the others wait.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpRequest, HttpResponse, Resource, web};
use governor::Quota;
use governor::clock::Clock as _;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::question::{Body, Explained, MAX_BODY, Question, bad_body, only_post};
use super::signing_kind;
use crate::account::Account;
use crate::actix::client_ip::ClientIps;
use crate::actix::limit::whole_seconds;
use crate::actix::problem::Problem;
use crate::actix::rate_buckets::{Limiter, RateBuckets, Ticks, key_of};
use crate::broker::Broker;
use crate::credential::Kind;
use crate::diagnose::{Case, Finding, Paste, Role, Target, Ticket, diagnose_briefly};
use crate::error::Hint;
use crate::sign::PageUrl;

/// `POST {path}` with JSON, without a key. Make it once and clone it into each worker's application: the limits are its own.
#[derive(Clone)]
pub struct Doctor {
    broker: Broker,
    gate: Arc<Gate>,
}

/// How much the public may ask.
struct Gate {
    clients: Arc<ClientIps>,
    /// Of each client.
    share: Limiter,
    /// Of all clients together: a table with one cell.
    total: Limiter,
    clock: Ticks,
    searches: Semaphore,
}

impl Gate {
    fn new(clients: Arc<ClientIps>, clock: Ticks) -> Self {
        let share = Quota::with_period(SHARE_EVERY)
            .expect("not zero")
            .allow_burst(SHARE_AT_ONCE);
        let total = Quota::per_second(A_SECOND).allow_burst(AT_ONCE);
        Self {
            clients,
            share: Limiter::new(share, RateBuckets::new(CELLS), clock.clone()),
            total: Limiter::new(total, RateBuckets::new(1), clock.clone()),
            clock,
            searches: Semaphore::new(SEARCHES),
        }
    }

    /// Counts one question. A client's own share comes first: what it asks beyond takes nothing from the others.
    fn admit(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Result<(), Problem> {
        let client = peer.and_then(|peer| self.clients.single(peer.ip(), headers));
        let share = client.map_or(Ok(()), |client| self.share.check_key(&key_of(client)));
        share
            .and_then(|()| self.total.check_key(&0))
            .map_err(|until| asked_too_often(until.wait_time_from(self.clock.now())))
    }
}

impl Doctor {
    /// A doctor for the accounts of this broker, which tells its clients apart by `clients`.
    #[must_use]
    pub fn new(broker: Broker, clients: Arc<ClientIps>) -> Self {
        let gate = Gate::new(clients, Ticks(broker.clock().clone()));
        Self {
            broker,
            gate: Arc::new(gate),
        }
    }

    /// `POST {path}`: same-origin only, since it takes `application/json` and answers no preflight.
    #[must_use]
    pub fn resource(&self, path: &str) -> Resource {
        web::resource(path)
            .app_data(web::Data::new(self.clone()))
            .app_data(web::PayloadConfig::new(MAX_BODY))
            .route(web::post().to(answer))
            .default_service(web::to(only_post))
    }

    async fn examine(&self, question: Question) -> Result<Value, Problem> {
        let named = question.account.clone().filter(|name| !name.is_empty());
        let (mut case, paste) = question.case();
        let account = self.account(named.as_deref(), &case)?;
        let read = read_out(&case, &paste);
        let is_sure = named.is_some() || case.app_id.is_some();
        let source = self.ticket(&mut case, account.as_ref(), is_sure).await;
        let tickets: Vec<_> = case
            .tickets
            .iter()
            .map(|ticket| ticket.value.clone())
            .collect();
        let allowed = account
            .as_ref()
            .and_then(|(_, account)| allows(account, case.checked()));
        let place = self.gate.searches.acquire().await;
        let _place = place.map_err(|_| asked_too_often(Duration::ZERO))?;
        let findings: Vec<Finding> = web::block(move || diagnose_briefly(&case))
            .await
            .map_err(|_| bad_body())?;
        let answer = DoctorAnswer {
            findings: findings.into_iter().map(Explained::from).collect(),
            read,
            ticket: source,
            app_id: account.map(|(_, account)| account.app_id().to_owned()),
            page_allowed: allowed,
        };
        let answer = serde_json::to_string(&answer).expect("texts and numbers always serialise");
        // Whoever pasted a ticket into another field has it struck out there, too.
        let long = tickets
            .iter()
            .map(|ticket| ticket.expose())
            .filter(|ticket| ticket.len() >= MIN_TICKET);
        let text = long.fold(answer, |text, ticket| text.replace(ticket, "[ticket]"));
        serde_json::from_str(&text).map_err(|_| bad_body())
    }

    /// The account that the question names, or that the AppID belongs to. With a foreign AppID there is none: its pages are not ours.
    fn account(
        &self,
        named: Option<&str>,
        case: &Case,
    ) -> Result<Option<(String, Arc<Account>)>, Problem> {
        match (named, &case.app_id) {
            (Some(name), _) => Ok(Some((name.to_owned(), self.broker.account(name)?))),
            (None, Some(app_id)) => Ok(self.broker.account_of_app(app_id, None).or_else(|| {
                let (name, _) = self.broker.apps_of_corp(app_id).into_iter().min()?;
                self.broker
                    .account(&name)
                    .ok()
                    .map(|account| (name, account))
            })),
            (None, None) => Ok(self
                .broker
                .account("")
                .ok()
                .map(|account| (String::new(), account))),
        }
    }

    /// Puts the account's living credentials to the case, where the asker gave none; says what is computed with. A ticket in a pasted
    /// string is not given: whether it is the living one is the question.
    async fn ticket(
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
        // Nobody said whose string it is: a foreign page's is not ours.
        let is_ours = |account: &Account| {
            is_sure || !is_pasted || allows(account, case.checked()) == Some(true)
        };
        let Some((name, account)) =
            account.filter(|(_, account)| case.is_whole() && is_ours(account))
        else {
            return without;
        };
        case.account_app_id = Some(account.app_id().to_owned());
        case.app_id
            .get_or_insert_with(|| account.app_id().to_owned());
        let signing = signing_kind(case.signed_for());
        if !account.has(signing) {
            return without;
        }
        // What a page's own request would renew, too, and nothing else.
        let mut living = Vec::new();
        for kind in account.platform().kept_kinds() {
            if let Ok(credential) = self.broker.credential(name, *kind).await {
                living.push(Ticket {
                    role: role_of(*kind),
                    value: credential.value.clone(),
                });
            } else if *kind == signing {
                return failing;
            }
        }
        case.tickets.extend(living);
        // A backend's cache may hold on to it.
        if let Some(previous) = self.broker.previous(name, signing) {
            *case = std::mem::take(case).ticket(Role::Previous, previous);
        }
        "account"
    }
}

fn role_of(kind: Kind) -> Role {
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

/// The answer: as with a key, and what the page shows beside it.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DoctorAnswer {
    /// What explains the refusal, best first.
    #[schema(min_items = 1)]
    findings: Vec<Explained>,
    /// What was understood of the question.
    read: ReadOut,
    /// Whose ticket was computed with: `account`, `given`, `none`, or `unavailable`.
    ticket: &'static str,
    /// The AppID of the account that the question is about.
    app_id: Option<String>,
    /// Whether the account signs this page.
    page_allowed: Option<bool>,
}

/// What was understood: the form is filled with it. Never a ticket.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReadOut {
    /// What the paste was: `json`, `values`, `signed_string`, `error`, `url`, `source`, `ticket`.
    kinds: Vec<&'static str>,
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
    /// What the client said.
    err_msg: Option<String>,
    /// Whether it is about `wx.agentConfig`.
    agent: bool,
    /// Whether a ticket was pasted.
    with_ticket: bool,
}

fn read_out(case: &Case, paste: &Paste) -> ReadOut {
    ReadOut {
        kinds: paste.kinds.iter().map(|kind| kind.as_str()).collect(),
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

async fn answer(request: HttpRequest, doctor: web::Data<Doctor>, body: Body) -> HttpResponse {
    let found = async {
        // A form or a text can be sent across origins without a preflight: not to this endpoint, and without counting it.
        if !is_json(&request) {
            return Err(not_json());
        }
        doctor.gate.admit(request.peer_addr(), request.headers())?;
        doctor.examine(Question::read(body)?).await
    };
    match found.await {
        Ok(answer) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .json(answer),
        Err(problem) => problem.into_response(),
    }
}

fn is_json(request: &HttpRequest) -> bool {
    let given = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    given
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .eq_ignore_ascii_case("application/json")
}

fn not_json() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "This endpoint takes JSON",
        "the body's Content-Type is not application/json".into(),
        Hint::fixed(
            "Send Content-Type: application/json.",
            "请发送请求头 Content-Type: application/json。",
        ),
    )
}

fn asked_too_often(wait: Duration) -> Problem {
    let problem = Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "rate_limited",
        "Too many questions at once",
        "the doctor is asked more often than it answers".into(),
        Hint::fixed(
            "Ask again in a few seconds, or run wx-jssdk diagnose.",
            "请几秒后再试，或使用命令 wx-jssdk diagnose。",
        ),
    );
    Problem {
        retry_after: Some(whole_seconds(wait).max(Duration::from_secs(1))),
        ..problem
    }
}

/// One client: a quarter of what all have together. A person asks once in some seconds.
const SHARE_EVERY: Duration = Duration::from_secs(1);

/// For some people behind one address, or one who tries one thing after another. At some tenths of a second for each, the next
/// client waits a few seconds.
const SHARE_AT_ONCE: NonZeroU32 = NonZeroU32::new(20).expect("not zero");

/// 64 KiB. With hundreds of clients at a time, one in ten shares its allowance with another.
const CELLS: usize = 1 << 13;

/// All people together.
const A_SECOND: NonZeroU32 = NonZeroU32::new(4).expect("not zero");

/// A class of students who begin together.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(60).expect("not zero");

/// One search takes a core for some tenths of a second at most; the others are for the pages.
const SEARCHES: usize = 1;

/// Shorter values are no tickets, and striking them out would garble the answer.
const MIN_TICKET: usize = 16;
