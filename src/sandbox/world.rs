//! What WeChat does with a call: no HTTP in it, no faults, and no clock but the time it is told.
//!
//! The order of the checks is WeChat's where it is known: the app id comes before the grant type, the secret before the address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::UnixTime;

use super::app::{App, ExpiresIn};
use super::endpoint::Endpoint;
use super::lineage::{Fate, Issued, Lineage};
use super::quota::Ledger;
use super::reply::{Refusal, json};

/// Every app, with what was issued to it and what it has spent.
#[derive(Default)]
pub(super) struct World {
    pub(super) apps: Vec<Running>,
}

/// An app and what became of it.
pub(super) struct Running {
    pub(super) app: App,
    pub(super) classic: Lineage,
    pub(super) stable: Lineage,
    /// By type: `jsapi`, `wx_card`.
    pub(super) tickets: BTreeMap<&'static str, Lineage>,
    forced_at: Option<UnixTime>,
    ledger: Ledger,
}

/// One of the two ways to a token; each has tokens of its own, which know nothing of the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// `/cgi-bin/stable_token`.
    Stable,
    /// `/cgi-bin/token`.
    Classic,
}

/// What can be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The tokens of both modes.
    #[serde(alias = "access_token")]
    Token,
    /// The tokens of stable mode.
    StableToken,
    /// The tokens of classic mode.
    ClassicToken,
    /// The tickets of every type.
    Ticket,
    /// The ticket of type `jsapi`.
    JsapiTicket,
    /// The ticket of type `wx_card`.
    CardTicket,
}

/// A call as WeChat sees it.
pub(super) struct Call<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) is_post: bool,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: &'a [u8],
    pub(super) peer: IpAddr,
}

impl World {
    /// Carries a call out and gives the answer's body.
    pub(super) fn call(&mut self, call: &Call<'_>, now: UnixTime) -> Result<String, Refusal> {
        if call.endpoint.wants_post() && !call.is_post {
            return Err(Refusal::new(43002));
        }
        match call.endpoint {
            Endpoint::Token => self.token(call, now),
            Endpoint::StableToken => self.stable_token(call, now),
            Endpoint::GetTicket => self.caller(call, now)?.ticket(call.param("type"), now),
            Endpoint::ApiDomainIp => self.caller(call, now).map(|_| json(&IpList { ip_list: API_DOMAIN_IPS })),
            Endpoint::MenuGet => self.caller(call, now)?.menu(),
            Endpoint::ClearQuota => self.caller(call, now)?.clear_quota(&call.json()?),
            Endpoint::QuotaGet => self.caller(call, now)?.quota(&call.json()?),
        }
    }

    /// The app with this id. Ids are case-sensitive.
    pub(super) fn app(&self, app_id: &str) -> Option<&Running> {
        self.apps.iter().find(|running| running.app.app_id == app_id)
    }

    pub(super) fn app_mut(&mut self, app_id: &str) -> Option<&mut Running> {
        self.apps.iter_mut().find(|running| running.app.app_id == app_id)
    }

    /// Adds an app, or gives one that is there new settings; what it was issued and has spent stays.
    pub(super) fn add(&mut self, app: App) {
        match self.app_mut(&app.app_id) {
            Some(running) => running.app = app,
            None => self.apps.push(Running::new(app)),
        }
    }

    /// Forgets what was issued and spent; the apps stay.
    pub(super) fn reset(&mut self) {
        for running in &mut self.apps {
            *running = Running::new(running.app.clone());
        }
    }

    fn token(&mut self, call: &Call<'_>, now: UnixTime) -> Result<String, Refusal> {
        let running = self.named(call.param("appid"))?;
        wants_client_credential(call.param("grant_type"))?;
        running.admit(call.param("secret"), call, now)?;
        let issued = running.refetch(now);
        Ok(json(&TokenReply::of(issued, now)))
    }

    fn stable_token(&mut self, call: &Call<'_>, now: UnixTime) -> Result<String, Refusal> {
        let body = call.json()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let force = match body.get("force_refresh") {
            None | Some(Value::Null) => false,
            Some(value) => value.as_bool().ok_or_else(|| Refusal::new(47001))?,
        };
        let running = self.named(text("appid"))?;
        wants_client_credential(text("grant_type"))?;
        running.admit(text("secret"), call, now)?;
        let ttl = running.token_ttl();
        let issued = match force && running.may_force(now)? {
            true => running.force(now),
            false => running.stable.renewed(now, ttl, new_token),
        };
        Ok(json(&TokenReply::of(issued, now)))
    }

    /// The app that a token call names.
    fn named(&mut self, app_id: Option<&str>) -> Result<&mut Running, Refusal> {
        let app_id = app_id.filter(|id| !id.is_empty()).ok_or_else(|| Refusal::new(41002))?;
        self.app_mut(app_id).ok_or_else(|| Refusal::new(40013))
    }

    /// The app whose token a data call carries, charged for the call.
    fn caller(&mut self, call: &Call<'_>, now: UnixTime) -> Result<&mut Running, Refusal> {
        let token = call.param("access_token").filter(|token| !token.is_empty()).ok_or_else(|| Refusal::new(41001))?;
        let known = self.apps.iter_mut().find_map(|running| running.token_fate(token, now).map(|fate| (running, fate)));
        let running = match known {
            Some((running, Fate::Alive)) => running,
            Some((_, Fate::Expired)) => return Err(Refusal::new(42001)),
            Some((_, Fate::Displaced)) | None => return Err(Refusal::new(40001)),
        };
        if !call.endpoint.serves(running.app.platform) {
            return Err(Refusal::new(48001));
        }
        running.spend(call.endpoint, now)?;
        Ok(running)
    }
}

impl Running {
    fn new(app: App) -> Self {
        Self {
            app,
            classic: Lineage::default(),
            stable: Lineage::default(),
            tickets: BTreeMap::new(),
            forced_at: None,
            ledger: Ledger::default(),
        }
    }

    /// What became of a token, whichever mode it came from.
    pub(super) fn token_fate(&self, token: &str, now: UnixTime) -> Option<Fate> {
        self.classic.fate(token, now).or_else(|| self.stable.fate(token, now))
    }

    /// A new classic token, which retires the one before it.
    pub(super) fn refetch(&mut self, now: UnixTime) -> &Issued {
        let ttl = self.token_ttl();
        self.classic.rotate(new_token(), now, ttl, self.app.switches.third_token_ends_first)
    }

    /// A new stable token before its time.
    pub(super) fn force(&mut self, now: UnixTime) -> &Issued {
        self.forced_at = Some(now);
        let ttl = self.token_ttl();
        self.stable.rotate(new_token(), now, ttl, true)
    }

    pub(super) fn revoke(&mut self, kind: Kind, now: UnixTime) {
        let lineages: Vec<&mut Lineage> = match kind {
            Kind::Token => vec![&mut self.classic, &mut self.stable],
            Kind::StableToken => vec![&mut self.stable],
            Kind::ClassicToken => vec![&mut self.classic],
            Kind::Ticket => self.tickets.values_mut().collect(),
            Kind::JsapiTicket => self.tickets.get_mut("jsapi").into_iter().collect(),
            Kind::CardTicket => self.tickets.get_mut("wx_card").into_iter().collect(),
        };
        lineages.into_iter().for_each(|lineage| lineage.revoke(now));
    }

    /// Whether the caller may have a token: the secret first, which also decides whose quota is charged, then the account's state.
    fn admit(&mut self, secret: Option<&str>, call: &Call<'_>, now: UnixTime) -> Result<(), Refusal> {
        let secret = secret.filter(|secret| !secret.is_empty()).ok_or_else(|| Refusal::new(41004))?;
        if secret != self.app.secret {
            return Err(match self.app.switches.wrong_secret {
                40001 => Refusal::worded(40001, "invalid credential access_token isinvalid or not latest"),
                code => Refusal::new(code),
            });
        }
        self.spend(call.endpoint, now)?;
        let app = &self.app;
        let peer = app.caller_ip.unwrap_or(call.peer).to_canonical();
        match () {
            () if app.frozen_secret => Err(Refusal::new(40243)),
            () if !app.admits(peer) => Err(Refusal::worded(40164, not_in_whitelist(peer))),
            () if app.awaiting_admin => Err(Refusal::new(89503)),
            () if app.punished => Err(Refusal::new(50004)),
            () if app.frozen => Err(Refusal::new(50007)),
            () => Ok(()),
        }
    }

    fn spend(&mut self, endpoint: Endpoint, now: UnixTime) -> Result<(), Refusal> {
        self.ledger.roll(now, &self.app.switches);
        self.ledger.spend(endpoint, &self.app.quotas)
    }

    /// Whether a `force_refresh` takes effect now. Within 30 s of the last it does not, and costs nothing.
    fn may_force(&mut self, now: UnixTime) -> Result<bool, Refusal> {
        let refused = |code: Option<i64>| code.map_or(Ok(false), |code| Err(Refusal::new(code)));
        if self.forced_at.is_some_and(|last| now.since(last) < FORCE_SPACING) {
            return refused(self.app.switches.force_too_soon);
        }
        if !self.ledger.spend_force(&self.app.quotas) {
            return refused(self.app.switches.force_over_quota);
        }
        Ok(true)
    }

    /// The ticket of a type: the same for every token that asks, until it nears its end.
    fn ticket(&mut self, kind: Option<&str>, now: UnixTime) -> Result<String, Refusal> {
        let kind = TICKET_TYPES.into_iter().find(|known| Some(*known) == kind).ok_or_else(|| Refusal::new(40097))?;
        let ttl = Duration::from_secs(self.app.ticket_ttl);
        let issued = self.tickets.entry(kind).or_default().renewed(now, ttl, new_ticket);
        let expires_in = match self.app.switches.ticket_expires_in {
            ExpiresIn::Remaining => issued.remaining(now),
            ExpiresIn::Full => ttl,
        };
        Ok(json(&TicketReply { errcode: 0, errmsg: "ok", ticket: &issued.value, expires_in: expires_in.as_secs() }))
    }

    fn menu(&self) -> Result<String, Refusal> {
        if self.app.without_menu {
            return Err(Refusal::new(46003));
        }
        Ok(r#"{"menu":{"button":[]}}"#.to_owned())
    }

    fn clear_quota(&mut self, body: &Value) -> Result<String, Refusal> {
        match body.get("appid").and_then(Value::as_str) {
            None | Some("") => Err(Refusal::new(41002)),
            Some(app_id) if app_id != self.app.app_id => Err(Refusal::new(40013)),
            Some(_) => self.ledger.clear(&self.app.quotas).map(|()| r#"{"errcode":0,"errmsg":"ok"}"#.to_owned()),
        }
    }

    fn quota(&self, body: &Value) -> Result<String, Refusal> {
        let path = body.get("cgi_path").and_then(Value::as_str).filter(|path| path.starts_with('/'));
        let path = path.ok_or_else(|| Refusal::new(76003))?;
        let endpoint = Endpoint::at(path).ok_or_else(|| Refusal::new(76021))?;
        if !endpoint.serves(self.app.platform) {
            return Err(Refusal::new(76022));
        }
        let (daily_limit, used) = (self.app.quotas.daily(endpoint), self.ledger.used(endpoint));
        let quota = Quota { daily_limit, used, remain: daily_limit.saturating_sub(used) };
        let rate_limit = (endpoint == Endpoint::StableToken)
            .then_some(RateLimit { call_count: self.app.quotas.stable_per_minute, refresh_second: 60 });
        Ok(json(&QuotaReply { errcode: 0, errmsg: "ok", quota, rate_limit }))
    }

    fn token_ttl(&self) -> Duration {
        Duration::from_secs(self.app.token_ttl)
    }
}

impl App {
    fn admits(&self, peer: IpAddr) -> bool {
        let peer = peer.to_string();
        self.allow_ips.as_ref().is_none_or(|allowed| allowed.contains(&peer))
    }
}

impl Call<'_> {
    /// The first parameter of this name in the query.
    fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Result<Value, Refusal> {
        if self.body.is_empty() {
            return Err(Refusal::new(44002));
        }
        serde_json::from_slice(self.body).ok().filter(Value::is_object).ok_or_else(|| Refusal::new(47001))
    }
}

/// `{"access_token","expires_in"}`: on success there is no errcode.
#[derive(Serialize)]
struct TokenReply<'a> {
    access_token: &'a str,
    expires_in: u64,
}

impl<'a> TokenReply<'a> {
    fn of(issued: &'a Issued, now: UnixTime) -> Self {
        Self { access_token: &issued.value, expires_in: issued.remaining(now).as_secs() }
    }
}

/// Here there is an errcode on success as well.
#[derive(Serialize)]
struct TicketReply<'a> {
    errcode: i64,
    errmsg: &'static str,
    ticket: &'a str,
    expires_in: u64,
}

#[derive(Serialize)]
struct IpList {
    ip_list: &'static [&'static str],
}

#[derive(Serialize)]
struct QuotaReply {
    errcode: i64,
    errmsg: &'static str,
    quota: Quota,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<RateLimit>,
}

#[derive(Serialize)]
struct Quota {
    daily_limit: u64,
    used: u64,
    remain: u64,
}

#[derive(Serialize)]
struct RateLimit {
    call_count: u64,
    refresh_second: u64,
}

fn wants_client_credential(grant_type: Option<&str>) -> Result<(), Refusal> {
    if grant_type == Some("client_credential") { Ok(()) } else { Err(Refusal::new(40002)) }
}

fn not_in_whitelist(peer: IpAddr) -> String {
    match peer {
        IpAddr::V4(v4) => format!("invalid ip {v4} ipv6 ::ffff:{v4}, not in whitelist"),
        IpAddr::V6(v6) => format!("invalid ip {v6} ipv6 {v6}, not in whitelist"),
    }
}

/// `NN_` and base64url, 136 to 157 characters together, as seen in the field.
fn new_token() -> String {
    let mut rng = rand::rng();
    let (prefix, length) = (rng.random_range(10..100_u32), rng.random_range(133..=154));
    format!("{prefix}_{}", base64url(length))
}

/// 86 characters: 64 bytes.
fn new_ticket() -> String {
    base64url(86)
}

/// So many random characters, each worth six bits.
fn base64url(length: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect()
}

/// The types of ticket an official account has.
const TICKET_TYPES: [&str; 2] = ["jsapi", "wx_card"];

/// "Consecutive force calls need 30 s between them, otherwise no refresh happens."
const FORCE_SPACING: Duration = Duration::from_secs(30);

/// A part of what WeChat answers; the sandbox does not listen there.
const API_DOMAIN_IPS: &[&str] = &["101.226.103.0/25", "101.226.62.0/26", "140.207.54.0/25"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_tickets_have_the_shapes_seen_in_the_field() {
        for _ in 0..200 {
            let token = new_token();
            let (prefix, rest) = token.split_once('_').unwrap();
            assert!(prefix.len() == 2 && prefix.bytes().all(|b| b.is_ascii_digit()), "{token}");
            assert!((136..=157).contains(&token.len()), "{} characters", token.len());
            assert!(rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
            assert_eq!(new_ticket().len(), 86);
        }
    }

    #[test]
    fn an_ipv6_caller_is_named_as_it_is() {
        assert_eq!(not_in_whitelist("::1".parse().unwrap()), "invalid ip ::1 ipv6 ::1, not in whitelist");
    }
}
