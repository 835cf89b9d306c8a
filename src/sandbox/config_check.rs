//! Client-side check of `wx.config`, as the WeChat app does it.
//!
//! The real client takes the page's address from its web view, asks WeChat, and answers `preVerifyJSAPI:…`.
//! Here the page states the address. A WeCom page names its corp and is checked against the corp's ticket and
//! its apps' trusted domains.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;

use super::agent_config;
use super::bounded_queue::push_front;
use super::domain::{Reach, covers};
use super::page_signature::{Signed, cut, text_or_number};
use super::rejection_reason::{Explanation, OTHER_ROUTE, OTHER_SCHEME, QUERY_LOST, Reason};
use super::simulator::{Running, Simulator};
use super::work::AGENT_CONFIG;

/// Arguments of `wx.config` and the page they came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PreVerify {
    /// `appId` of the config.
    pub app_id: String,
    /// `timestamp` of the config. In JSON a string or a number, as jweixin accepts both.
    #[serde(deserialize_with = "text_or_number")]
    pub timestamp: String,
    /// `nonceStr` of the config.
    pub nonce_str: String,
    /// `signature` of the config.
    pub signature: String,
    /// `location.href` when `wx.config` was called.
    pub url: String,
    /// `location.href` when the page was loaded, if `history.pushState` has changed it since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landing_url: Option<String>,
    /// The client that checks the signature.
    pub client: Client,
    /// `jsApiList` of the config. It must be present, but may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub js_api_list: Option<Vec<String>>,
}

/// The client that checks the signature. Clients differ in the address they check after `history.pushState`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Client {
    /// Checks the current address.
    #[default]
    Android,
    /// Checks the landing address, which the page was loaded with.
    Ios,
    /// Checks the current address.
    Devtools,
    /// Checks the current address.
    Desktop,
    /// WeCom: checks the current address, and knows corps only.
    Wecom,
}

/// The client's answer to the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// `preVerifyJSAPI:ok`, `agentConfig:ok`, or WeChat's error text.
    pub err_msg: String,
    /// The address the signature was checked against.
    #[serde(rename = "checkedUrl")]
    pub checked_url: String,
    /// Explanation of a rejection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl Verdict {
    /// Answers with `ok`, or with the error text and its explanation.
    pub(super) fn of(
        checked_url: &str,
        ok: &'static str,
        judged: Result<(), (impl Into<String>, Reason)>,
    ) -> Self {
        let (err_msg, reason) = match judged {
            Ok(()) => (ok.to_owned(), None),
            Err((err_msg, reason)) => (err_msg.into(), Some(reason)),
        };
        Self {
            err_msg,
            checked_url: checked_url.to_owned(),
            reason,
        }
    }

    /// Returns whether the page's `wx.ready`, or the `success` of its `wx.agentConfig`, runs.
    pub fn is_ok(&self) -> bool {
        self.err_msg == OK || self.err_msg == agent_config::OK
    }
}

impl Simulator {
    /// Checks as WeChat does: the fields, the app, its domains, then the signature.
    pub(super) fn verify(&mut self, page: &PreVerify, now: UnixTime) -> Verdict {
        let checked_url = cut(page.full_url(self.apps_of(&page.app_id).next().is_some()));
        let judged = self.judge(page, checked_url, now);
        if judged.is_ok() {
            self.accepted.note(&page.signature, checked_url);
        }
        Verdict::of(checked_url, OK, judged)
    }

    fn judge(
        &self,
        page: &PreVerify,
        url: &str,
        now: UnixTime,
    ) -> Result<(), (&'static str, Reason)> {
        let ids = [("appId", page.app_id.as_str())];
        if let Some(field) = page.signed().missing(&ids, page.js_api_list.is_some()) {
            return Err((FAIL, Reason::missing("wx.config", field)));
        }
        let one_id = || {
            self.apps
                .iter()
                .filter(|running| running.app.app_id == page.app_id)
        };
        let running = one_id()
            .next()
            .ok_or_else(|| (INVALID_APPID, Reason::unknown_app(&page.app_id)))?;
        let domains: Vec<String> = one_id()
            .flat_map(|running| &running.app.safe_domains)
            .chain(self.platform_domains(&running.app))
            .cloned()
            .collect();
        let work = running.app.is_work();
        if page.client == Client::Wecom && !work {
            return Err((INVALID_APPID, Reason::no_corp(&page.app_id)));
        }
        let reach = if work {
            Reach::Exact
        } else {
            Reach::Subdomains
        };
        if !domains.iter().any(|domain| covers(domain, reach, url)) {
            return Err(match work {
                true => (NO_RELIABLE_DOMAIN, Reason::untrusted(url, &domains)),
                false => (INVALID_DOMAIN, Reason::unbound(url, &domains)),
            });
        }
        if self
            .accepted_tickets(running, "jsapi", now)
            .any(|ticket| page.signed().fits(ticket, url))
        {
            return Ok(());
        }
        Err((
            INVALID_SIGNATURE,
            self.why_unsigned(running, page, url, now),
        ))
    }

    /// Tries the most common mistakes and names the one that fits.
    fn why_unsigned(
        &self,
        running: &Running,
        page: &PreVerify,
        url: &str,
        now: UnixTime,
    ) -> Reason {
        let signed = page.signed();
        let fits = |ticket: &str| signed.fits(ticket, url);
        let fits_valid_ticket = |other: &str| {
            self.accepted_tickets(running, "jsapi", now)
                .any(|ticket| signed.fits(ticket, other))
        };
        let mut others = self
            .apps
            .iter()
            .filter(|other| other.app.app_id != running.app.app_id);
        let mut agents = self
            .apps_of(&running.app.app_id)
            .flat_map(|agent| self.accepted_tickets(agent, AGENT_CONFIG, now));
        if agents.any(fits) {
            return Reason::agent_ticket();
        }
        let Some(jsapi) = self.tickets_of(running, "jsapi") else {
            return Reason::no_ticket(TICKET);
        };
        if fits_valid_ticket(page.full_url(running.app.is_work())) {
            return Reason::fragment();
        }
        let mut own = [Some(page.url.as_str()), page.landing_url.as_deref()].into_iter();
        if own.any(|own| own.is_some_and(|own| fits_valid_ticket(cut(own)))) {
            return Reason::other_url(page.client, url);
        }
        let other_page = self.accepted.page_of(&page.signature);
        if let Some(other) = other_page.filter(|other| *other != url) {
            return Reason::cached(other, url);
        }
        let mut others_of_site = nearby(url).into_iter();
        if let Some((signed, why)) = others_of_site.find(|(signed, _)| fits_valid_ticket(signed)) {
            return Reason::other_address(&signed, url, why);
        }
        if jsapi.dead(now).any(fits) {
            return Reason::dead_ticket(TICKET);
        }
        if others.any(|other| self.accepted_tickets(other, "jsapi", now).any(fits)) {
            return Reason::other_app(TICKET);
        }
        Reason::mismatch(url, TICKET)
    }
}

/// The configs that were accepted last, with the page of each: a page that caches a config presents it again.
#[derive(Default)]
pub(super) struct AcceptedConfigs(VecDeque<(String, String)>);

impl AcceptedConfigs {
    fn note(&mut self, signature: &str, url: &str) {
        if self.page_of(signature).is_some() {
            return;
        }
        let accepted = (signature.to_owned(), url.to_owned());
        push_front(&mut self.0, accepted, REMEMBERED);
    }

    fn page_of(&self, signature: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == signature);
        found.map(|(_, url)| url.as_str())
    }
}

/// Returns the addresses that pages sign by mistake instead of theirs, each with its explanation.
fn nearby(url: &str) -> [(String, Explanation); 5] {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let origin_end = path
        .find("://")
        .and_then(|at| Some(at + 3 + path[at + 3..].find('/')?));
    let origin = &path[..origin_end.unwrap_or(path.len())];
    let other_scheme = match url.strip_prefix("https://") {
        Some(rest) => format!("http://{rest}"),
        None => url.replacen("http://", "https://", 1),
    };
    let first = query.split('&').next().unwrap_or_default();
    [
        (path.to_owned(), QUERY_LOST),
        (format!("{path}?{first}"), QUERY_LOST),
        (format!("{origin}/"), OTHER_ROUTE),
        (origin.to_owned(), OTHER_ROUTE),
        (other_scheme, OTHER_SCHEME),
    ]
}

impl PreVerify {
    /// Returns the URL that this client checks, before its fragment is cut. WeCom's client checks the current
    /// URL on every system.
    fn full_url(&self, work: bool) -> &str {
        match (self.client, &self.landing_url) {
            (Client::Ios, Some(landing)) if !work => landing,
            _ => &self.url,
        }
    }

    fn signed(&self) -> Signed<'_> {
        Signed {
            nonce_str: &self.nonce_str,
            timestamp: &self.timestamp,
            signature: &self.signature,
        }
    }
}

/// Enough for the pages that a developer has open.
const REMEMBERED: usize = 64;

const TICKET: &str = "jsapi ticket";

const OK: &str = "preVerifyJSAPI:ok";
/// A required field is missing. The page sees `config:fail`.
const FAIL: &str = "preVerifyJSAPI:fail";
/// The wording on phones is not known; the developer tools say "AppID 不合法".
const INVALID_APPID: &str = "preVerifyJSAPI:fail_invalid appid";
/// The page sees `config:invalid url domain`.
const INVALID_DOMAIN: &str = "preVerifyJSAPI:fail_invalid url domain";
/// WeCom's wording. The page sees `config:not match any reliable domain.`
const NO_RELIABLE_DOMAIN: &str = "preVerifyJSAPI:fail_not match any reliable domain.";
/// The page sees `config:invalid signature`.
const INVALID_SIGNATURE: &str = "preVerifyJSAPI:fail_invalid signature";
