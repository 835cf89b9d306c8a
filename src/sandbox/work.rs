//! Business logic of the simulated WeCom: `gettoken`, the two tickets, and the checks before them.
//!
//! An app's token is fetched with the app's own secret. It gives access to the corp's ticket, which all apps
//! of the corp share, and to the app's own. The data calls reject an untrusted address; `gettoken` itself
//! usually accepts it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::UnixTime;

use super::app_settings::App;
use super::issued_values::{Fate, Issued, IssuedValues};
use super::reply::{IssuedReply, Refusal, json_with_ok};
use super::simulated_endpoints::{Call, Endpoint, System};
use super::simulator::{Running, Simulator};
use super::token_values::{new_ticket, new_work_token};
use super::wecom_limits::HourlyLimit;
use super::work_reply::work_ip_list;

/// State shared by the apps of a corp.
#[derive(Default)]
pub(super) struct Corp {
    /// Ticket for `wx.config`.
    pub(super) jsapi: IssuedValues,
    hours: TicketHours,
}

/// Tickets fetched within the hour. The two kinds are counted separately.
#[derive(Default)]
pub(super) struct TicketHours {
    jsapi: HourlyLimit,
    agent: HourlyLimit,
}

impl TicketHours {
    fn of(&mut self, endpoint: Endpoint) -> &mut HourlyLimit {
        if endpoint == Endpoint::TicketGet {
            &mut self.agent
        } else {
            &mut self.jsapi
        }
    }
}

/// Wrong secrets per address within the hour.
pub(super) type Bans = BTreeMap<IpAddr, HourlyLimit>;

impl Simulator {
    /// Returns the system that a call is for: by its path or, if both systems have the path, by its token. An
    /// unknown token counts as weixin's, unless all apps are WeCom's.
    pub(super) fn system(&self, call: &Call<'_>, now: UnixTime) -> System {
        if let Some(system) = call.endpoint.system() {
            return system;
        }
        let token = call.param("access_token").unwrap_or_default();
        let mut apps = self.apps.iter();
        let is_work = match apps.find(|running| running.any_fate(token, now).is_some()) {
            _ if self.platform_token(token, now).is_some() => false,
            Some(owner) => owner.app.is_work(),
            None => !self.apps.is_empty() && self.apps.iter().all(|it| it.app.is_work()),
        };
        match is_work {
            true => System::Qyapi,
            false => System::Weixin,
        }
    }

    /// Returns the address that WeCom names when it rejects a call.
    pub(super) fn seen_by_work(&self, call: &Call<'_>, now: UnixTime) -> IpAddr {
        let token = call.param("access_token").unwrap_or_default();
        let owner = match call.endpoint {
            Endpoint::GetToken => self
                .apps_of(call.param("corpid").unwrap_or_default())
                .next(),
            _ => self
                .apps
                .iter()
                .find(|running| running.work.fate(token, now).is_some()),
        };
        owner.map_or_else(
            || call.peer.to_canonical(),
            |running| running.app.seen(call.peer),
        )
    }

    /// Processes a call to WeCom and returns the body of the answer.
    pub(super) fn work_call(&mut self, call: &Call<'_>, now: UnixTime) -> Result<String, Refusal> {
        match call.endpoint {
            Endpoint::GetToken => self.gettoken(call, now),
            Endpoint::GetJsapiTicket => self.corp_ticket(call, now),
            Endpoint::TicketGet => self.agent_ticket(call, now),
            _ => self
                .work_caller(call, now)
                .map(|_| work_ip_list(&WORK_IPS, 0, "ok")),
        }
    }

    /// Returns the apps of a corp.
    pub(super) fn apps_of(&self, corp_id: &str) -> impl Iterator<Item = &Running> {
        self.apps
            .iter()
            .filter(move |running| running.app.is_work() && running.app.app_id == corp_id)
    }

    /// Checks that a secret is present, then the corp, then whether the address is banned, then the secret.
    fn gettoken(&mut self, call: &Call<'_>, now: UnixTime) -> Result<String, Refusal> {
        let secret = call
            .filled("corpsecret")
            .ok_or_else(|| Refusal::work(41004))?;
        let corp_id = call.param("corpid").unwrap_or_default();
        let first = self.apps_of(corp_id).next();
        let first = first.ok_or_else(|| Refusal::work(40013))?;
        let limit = first.app.switches.wrong_secrets_until_ban;
        let peer = self.seen_by_work(call, now);
        let ban = self.bans.entry(peer).or_default();
        if ban.is_blocked(now) {
            return Err(Refusal::work(45009));
        }
        let owns = |app: &App| app.is_work() && app.app_id == corp_id && app.secret == secret;
        let mut apps = self.apps.iter_mut();
        // A stopped app has no valid secret.
        let Some(running) = apps.find(|it| owns(&it.app) && !it.app.frozen) else {
            ban.count_towards_block(limit, now);
            return Err(Refusal::work(40001));
        };
        if running.app.switches.gettoken_checks_ip && !running.app.admits(peer) {
            return Err(Refusal::work(60020));
        }
        let issued = running.gettoken(now);
        Ok(json_with_ok(&IssuedReply::of("access_token", issued, now)))
    }

    /// Returns the index of the app that owns a data call's token.
    pub(super) fn work_caller(&self, call: &Call<'_>, now: UnixTime) -> Result<usize, Refusal> {
        let token = call
            .filled("access_token")
            .ok_or_else(|| Refusal::work(41001))?;
        let mut fates = self
            .apps
            .iter()
            .enumerate()
            .filter_map(|(at, it)| Some((at, it.work.fate(token, now)?)));
        let at = match fates.next() {
            Some((at, Fate::Alive)) => at,
            Some((_, Fate::Expired)) => return Err(Refusal::work(42001)),
            Some((_, Fate::Displaced)) | None => return Err(Refusal::work(40014)),
        };
        let app = &self.apps[at].app;
        if app.frozen {
            return Err(Refusal::work(50003));
        }
        if !app.admits(app.seen(call.peer)) {
            return Err(Refusal::work(60020));
        }
        Ok(at)
    }

    /// Returns the corp's ticket, which is the same for all its apps.
    fn corp_ticket(&mut self, call: &Call<'_>, now: UnixTime) -> Result<String, Refusal> {
        let at = self.work_caller(call, now)?;
        let (running, corp) = self.spend_ticket(at, call.endpoint, now)?;
        Ok(running.ticket_reply(
            corp.jsapi.refreshed(now, running.ticket_ttl(), new_ticket),
            now,
        ))
    }

    /// Returns the ticket of the app that owns the token.
    fn agent_ticket(&mut self, call: &Call<'_>, now: UnixTime) -> Result<String, Refusal> {
        let at = self.work_caller(call, now)?;
        if call.param("type") != Some(AGENT_CONFIG) {
            return Err(Refusal::work(40058));
        }
        let (running, _) = self.spend_ticket(at, call.endpoint, now)?;
        Ok(running.own_ticket(AGENT_CONFIG, now))
    }

    /// Charges a ticket to both the app and its corp, or to neither.
    fn spend_ticket(
        &mut self,
        at: usize,
        endpoint: Endpoint,
        now: UnixTime,
    ) -> Result<(&mut Running, &mut Corp), Refusal> {
        let running = &mut self.apps[at];
        let corp = self.corps.entry(running.app.app_id.clone()).or_default();
        let quotas = &running.app.quotas;
        let (own, shared) = (running.hours.of(endpoint), corp.hours.of(endpoint));
        if !own.admits(quotas.work_ticket_hourly_app, now)
            || !shared.admits(quotas.work_ticket_hourly_corp, now)
        {
            return Err(Refusal::work(45009));
        }
        own.count(now);
        shared.count(now);
        Ok((running, corp))
    }
}

impl Running {
    /// Returns the current token, or a new one if there is none. With `gettoken_always_new` it is always new.
    pub(super) fn gettoken(&mut self, now: UnixTime) -> &Issued {
        let ttl = self.token_ttl();
        match self.app.switches.gettoken_always_new {
            true => self.work.rotate(
                new_work_token(),
                now,
                ttl,
                self.app.switches.third_token_ends_first,
            ),
            false => self.work.lasting(Duration::ZERO, now, ttl, new_work_token),
        }
    }
}

/// A subset of WeCom's real list; the sandbox does not listen on these addresses.
const WORK_IPS: [&str; 2] = ["182.254.11.176", "182.254.78.66"];

/// Type of an app's own ticket.
pub(super) const AGENT_CONFIG: &str = "agent_config";
