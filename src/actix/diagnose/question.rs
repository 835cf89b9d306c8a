//! The request and answer of a diagnosis, shared by both listeners.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Payload;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::actix::json_body;
use crate::diagnose::{Answer, Case, Finding, Paste, Role, Target};
use crate::endpoint::Problem;
use crate::error::{ProblemCode, Text};

/// The body. All members are optional, but an empty case has no diagnosis.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Question {
    /// The page's `location.href`.
    url: String,
    /// The nonce that the page got; `nonceStr` is the same.
    #[serde(alias = "nonceStr")]
    nonce: String,
    /// The timestamp that the page got: a number or a text.
    timestamp: Value,
    /// The signature that the page got.
    signature: String,
    /// The AppID that the page got; `appId` is the same.
    #[serde(alias = "appId")]
    app_id: Option<String>,
    /// The account whose current ticket is used; with an API key, if the key opens the account.
    pub(super) account: Option<String>,
    /// Whether the signature was for `wx.agentConfig`.
    agent: bool,
    /// The address of the first page load, if the page has changed routes since.
    landing: Option<String>,
    /// Hosts of the API and its proxies.
    hosts: Vec<String>,
    /// The WeChat client's error: `config:invalid signature`; `errMsg` is the same.
    #[serde(alias = "errMsg")]
    error: Option<String>,
    /// The answer of a foreign backend.
    answer: Value,
    /// Any text that a person pasted.
    paste: String,
    /// Tickets by role: `current`, `previous`, `card`, `agent`, `access_token`; `signing` is the ticket
    /// for this signature, be it for `wx.config` or `wx.agentConfig`; any other name is another
    /// account's.
    tickets: BTreeMap<String, String>,
}

impl Question {
    /// Parses the body. Errors do not quote an invalid body: it may hold a ticket.
    pub(super) async fn read(body: Payload) -> Result<Self, Problem> {
        let question: Self = json_body::read(body, MAX_BODY, BODY_HINT, bad_body).await?;
        let tickets = question.tickets.values();
        let is_bounded = question.hosts.len() <= MAX_HOSTS
            && tickets.len() <= MAX_TICKETS
            && tickets
                .chain(&question.hosts)
                .all(|text| text.len() <= MAX_TICKET)
            && question.nonce.len() <= MAX_TICKET
            && question
                .url
                .len()
                .max(question.landing.as_ref().map_or(0, String::len))
                <= MAX_ADDRESS;
        if is_bounded {
            Ok(question)
        } else {
            Err(too_much())
        }
    }

    /// Returns the case, and what was recognised in the pasted text.
    pub(super) fn case(self) -> (Case, Paste) {
        let some = |text: Option<String>| {
            text.map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        let timestamp = Answer::text_of(&self.timestamp).unwrap_or_default();
        let mut case = Case {
            landing: some(self.landing),
            hosts: self
                .hosts
                .into_iter()
                .filter(|host| !host.is_empty())
                .collect(),
            app_id: some(self.app_id),
            target: if self.agent {
                Target::AgentConfig
            } else {
                Target::Config
            },
            ..Case::new(self.url, self.nonce, timestamp, self.signature)
        };
        case = case.client_error(some(self.error));
        if let Some(answer) = Answer::from_json(&self.answer) {
            case = case.answer(answer);
        }
        let paste = Paste::read(&self.paste);
        case = case.paste(paste.clone());
        for (name, value) in self.tickets {
            case = case.ticket(role(name), value);
        }
        (case, paste)
    }
}

fn role(name: String) -> Role {
    match name.as_str() {
        "signing" => Role::Signing,
        "current" => Role::Current,
        "previous" => Role::Previous,
        "card" => Role::Card,
        "agent" => Role::Agent,
        "access_token" => Role::AccessToken,
        _ => Role::Other(name),
    }
}

/// The answer to an API key holder: best finding first, never empty.
#[derive(Serialize)]
pub(crate) struct Findings {
    /// What explains the refusal.
    pub(super) findings: Vec<Finding>,
}

pub(super) fn bad_body() -> Problem {
    Problem::new(
        ProblemCode::BadBody,
        "the body does not contain the values needed for a diagnosis",
        BODY_HINT,
    )
}

/// Every mistake is tried with each host and each ticket, so their number is limited.
fn too_much() -> Problem {
    let detail = format!(
        "more than {MAX_HOSTS} hosts or {MAX_TICKETS} tickets, or a value that is too long"
    );
    Problem::new(ProblemCode::BadBody, detail, BODY_HINT)
}

/// Answers every other method.
pub(super) async fn only_post() -> HttpResponse {
    let problem = Problem {
        hint: Text::new("Send JSON with POST.", "请用 POST 发送 JSON。"),
        ..Problem::method_not_allowed("POST")
    };
    problem.into_response_allowing("POST")
}

const BODY_HINT: Text = Text::new(
    r#"Send {"url","nonce","timestamp","signature"}, {"url","answer":{…}}, {"paste":"…"} or {"error"}, optionally with account or tickets, landing, hosts."#,
    r#"请发送 {"url","nonce","timestamp","signature"}、{"url","answer":{…}}、{"paste":"…"} 或 {"error"}，可加上 account 或 tickets、landing、hosts。"#,
);

/// Enough for a backend's address, proxy and container.
const MAX_HOSTS: usize = 8;

/// One of each kind, and some of other accounts.
const MAX_TICKETS: usize = 16;

/// WeChat promises 512 characters at most; a host has 253.
const MAX_TICKET: usize = 4 * 1024;

/// The signing endpoint's limit for an address.
const MAX_ADDRESS: usize = 16 * 1024;

/// Fits a page address of 16 KiB twice, and the rest.
const MAX_BODY: usize = 64 * 1024;
