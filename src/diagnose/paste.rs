//! Reads a pasted text: the client's error text, a backend's answer, source code or a log, the string that
//! was hashed, the page's URL, or several of them.
//!
//! Finds values and does not judge them. Unknown text is ignored.

mod extract;
mod signed_string;

use serde::Serialize;
use serde_json::Value;

use self::extract::{
    errcode_in, errmsg_in, is_of_wecom, js_api_list_in, json_in, problem_in, values_in,
};

use super::backend_answer::Answer;
use super::url_mistakes::NOTHING;
use super::{Case, Role, Target, client_errors, hash, ticket_input};
use crate::credential::Secret;

/// The values found in a pasted text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paste {
    /// The recognised kinds, in the order in which they were found; empty if nothing was recognised.
    pub kinds: Vec<PasteKind>,
    /// The values of `wx.config` or `wx.agentConfig`.
    pub answer: Answer,
    /// The page's URL, else the URL that the client reports as checked.
    pub url: Option<String>,
    /// The URL that the client reports as checked: `realAuthUrl`.
    pub checked_url: Option<String>,
    /// Whether the text holds a CorpID, as only pages of WeCom do.
    pub is_wecom: bool,
    /// The client's error text.
    pub error: Option<String>,
    /// The ticket inside a pasted string that was hashed.
    pub ticket: Option<Secret>,
    /// A ticket that was pasted separately, such as WeChat's complete answer: it did not necessarily sign.
    pub given_ticket: Option<Secret>,
    /// Whether the signature was computed here from the pasted string instead of given by a backend.
    pub derived: bool,
    /// The `jsApiList` in the text, if it contains no variables.
    pub js_api_list: Option<Vec<String>>,
}

/// The kind of a text or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PasteKind {
    /// A backend's answer.
    Json,
    /// Names with values in any language: a call of `wx.config`, a log line, a query.
    Values,
    /// `jsapi_ticket=…&noncestr=…&timestamp=…&url=…`.
    SignedString,
    /// The client's error text.
    Error,
    /// The page's URL.
    Url,
    /// Code with variables instead of values, such as a call of `wx.config`: nothing can be computed from it.
    Source,
    /// WeChat's answer to `getticket`.
    Ticket,
}

impl Paste {
    /// Finds all known values in a text.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let mut paste = Self::default();
        let jsons = json_in(text);
        paste.json(&jsons);
        paste.signed_string(text, &jsons);
        paste.js_api_list = js_api_list_in(text);
        paste.is_wecom = is_of_wecom(text);
        let found = if paste.kinds.iter().all(|kind| *kind == PasteKind::Ticket) {
            values_in(text)
        } else {
            Value::Null
        };
        paste.values(&found);
        if paste.kinds.is_empty() && text.contains("jsapi_ticket=") {
            paste.kinds.push(PasteKind::Source);
        }
        if text.contains("agentConfig(") && !text.contains("wx.config(") {
            paste.answer.target = Target::AgentConfig;
        }
        paste.address(text);
        paste.words(text, &found);
        paste.checked_url = client_errors::checked_url(text);
        let error = paste.error.as_deref();
        let refused = error.and_then(client_errors::refused_address);
        let refused = refused.map(str::to_owned);
        paste.url = paste.url.or(refused).or_else(|| paste.checked_url.clone());
        if paste.kinds.is_empty() && text.contains("wx.config") {
            paste.kinds.push(PasteKind::Source);
        }
        paste
    }

    fn json(&mut self, jsons: &[Value]) {
        let answer = Answer::from_all(jsons);
        for json in jsons {
            if let Some(ticket) = ticket_input::in_json(json) {
                self.given_ticket.get_or_insert(ticket);
                self.note(PasteKind::Ticket);
            }
            let error = problem_in(json)
                .or_else(|| errcode_in(json))
                .or_else(|| errmsg_in(json))
                .filter(|words| is_said_by_wechat(words));
            self.error = self.error.take().or(error);
        }
        if answer.is_some() || self.error.is_some() {
            self.note(PasteKind::Json);
        }
        self.answer = answer.unwrap_or_default();
        if self.error.is_some() {
            self.note(PasteKind::Error);
        }
    }

    /// Reads the string that was hashed. The signature may be missing, since it is the string's hash.
    fn signed_string(&mut self, text: &str, jsons: &[Value]) {
        let mut found = Vec::new();
        for json in jsons {
            signed_string::in_json(json, &mut found);
        }
        signed_string::in_text(text, &mut found);
        // A log has the strings of other answers, too.
        let nonce = self.answer.nonce.as_deref();
        let of_answer = found.iter().find(|string| Some(string.nonce) == nonce);
        let Some(string) = of_answer.or(found.first()) else {
            return;
        };
        // The search adds what was around the ticket when it was hashed.
        let is_around = |c: char| c.is_whitespace() || "\"'\u{feff}".contains(c);
        let ticket = string.ticket.trim_matches(is_around);
        self.ticket = (!NOTHING.contains(&ticket)).then(|| Secret::new(ticket));
        let answer = &mut self.answer;
        for (mine, its) in [
            (&mut answer.nonce, string.nonce),
            (&mut answer.timestamp, string.timestamp),
            (&mut answer.url, string.url),
        ] {
            mine.get_or_insert_with(|| its.to_owned());
        }
        if answer.signature.is_none() {
            answer.signature = Some(hash::sha1(string.whole));
            self.derived = true;
        }
        self.note(PasteKind::SignedString);
    }

    fn values(&mut self, found: &Value) {
        if let Some(answer) = Answer::from_json(found) {
            self.answer = answer;
            self.note(PasteKind::Values);
        }
        if self.given_ticket.is_none()
            && let Some(ticket) = ticket_input::in_json(found)
        {
            self.given_ticket = Some(ticket);
            self.note(PasteKind::Ticket);
        }
    }

    /// Reads a URL that stands alone on its line, in quotes or after the page's name. A URL within a sentence
    /// may be unrelated.
    fn address(&mut self, text: &str) {
        // An indented line in quotes is an item of a list.
        fn address(line: &str) -> &str {
            if line.starts_with(char::is_whitespace) {
                line.trim()
            } else {
                ticket_input::address_after(line, ticket_input::is_page_label)
            }
        }
        let is_address = |line: &&str| {
            ticket_input::has_scheme(line)
                && !line.contains(char::is_whitespace)
                && !client_errors::EXPLAINING
                    .iter()
                    .any(|host| line.contains(host))
        };
        if let Some(line) = text.lines().map(address).find(is_address) {
            self.url.get_or_insert_with(|| line.to_owned());
            self.note(PasteKind::Url);
        }
    }

    /// Reads the client's error text. A number alone counts as an errcode only if nothing else was found.
    fn words(&mut self, text: &str, found: &Value) {
        if self.error.as_deref().is_some_and(is_refusal) {
            return;
        }
        let named = errmsg_in(found).filter(|words| is_said_by_wechat(words));
        let text = named.as_deref().unwrap_or(text);
        let known = if self.kinds.is_empty() {
            client_errors::explained(text)
                .or_else(|| client_errors::unlisted_errcode(text))
                .is_some()
        } else {
            client_errors::has_words(text)
        };
        if known || (self.error.is_none() && client_errors::is_about_config(text)) {
            // Prefer a single line that explains as much as the whole text, or that names the refused call:
            // source and answers beside it may name both calls.
            // Both are read in one way, since only a part of the text may name WeCom.
            let explained = |text: &str| client_errors::explained_in(text, "", true);
            let all = explained(text);
            let lines = || text.lines().map(str::trim);
            let line = lines()
                .find(|line| all.is_some() && explained(line) == all)
                .or_else(|| lines().find(|line| client_errors::names_refused_config(line)))
                .unwrap_or(text);
            self.error = Some(line.chars().take(MAX_ERROR).collect());
            self.note(PasteKind::Error);
        }
    }

    fn note(&mut self, kind: PasteKind) {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
    }
}

impl Case {
    /// Fills the unset fields from a pasted text. Its ticket is added to the known ones.
    #[must_use]
    pub fn paste(mut self, paste: Paste) -> Self {
        if self.url.is_empty() {
            self.url = paste.url.unwrap_or_default();
        }
        self.checked_url = self.checked_url.or(paste.checked_url);
        self = self.client_error(paste.error);
        self.is_wecom |= paste.is_wecom;
        self.derived |= paste.derived && self.signature.is_empty();
        self.js_api_list = self.js_api_list.or(paste.js_api_list);
        let mut case = self.answer(paste.answer);
        let roles = [case.signed_for().role(), Role::Signing];
        let is_known = case
            .tickets
            .iter()
            .any(|ticket| roles.contains(&ticket.role));
        if let Some(ticket) = paste.given_ticket.filter(|_| !is_known) {
            case = case.ticket(Role::Signing, ticket);
        }
        match paste.ticket {
            Some(ticket) => case.ticket(Role::Pasted, ticket),
            None => case,
        }
    }
}

/// Returns whether the text is a rejection: an "ok" of the backend itself must not hide a rejection beside
/// it.
fn is_refusal(words: &str) -> bool {
    client_errors::explained(words).is_some_and(|finding| finding.code != "config_accepted")
}

/// Returns whether the text is WeChat's: a known error text, or one that starts with an interface's name.
/// Backends also use an `errMsg` field of their own.
fn is_said_by_wechat(words: &str) -> bool {
    let named = words.split_once(':').is_some_and(|(name, rest)| {
        !rest.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    named || client_errors::explained(words).is_some()
}

/// Enough for the longest error text of a client, with its stack.
const MAX_ERROR: usize = 600;
