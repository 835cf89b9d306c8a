//! Business logic of the simulated open platforms (第三方平台): the calls that a platform makes for itself.
//!
//! WeChat calls a platform a component. Its token comes from a pushed ticket; the accounts that authorised it
//! are in `authorizer`.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use crate::clock::UnixTime;

use super::api_management::{OK, asked_endpoint};
use super::app_settings::{admits, seen};
use super::authorizer::{AuthorizationCode, Authorizer};
use super::bounded_queue::push_front;
use super::issued_values::{Issued, IssuedValues};
use super::open_platform::OpenPlatform;
use super::push_queue::PushQueue;
use super::quota::QuotaUsage;
use super::reply::{IssuedReply, Refusal, json, quota_reply, require};
use super::simulated_endpoints::{Call, Endpoint, text};
use super::simulator::Simulator;
use super::state_view::TicketState;
use super::token_values::{new_component_ticket, new_pre_auth_code, new_token};

/// An open platform and its state.
pub(super) struct Component {
    pub(super) settings: OpenPlatform,
    /// The newest first.
    tickets: VecDeque<TicketState>,
    pub(super) token: IssuedValues,
    /// Those that were not used, the newest first.
    pre_auth_codes: VecDeque<PreAuthCode>,
    /// The newest first.
    pub(super) codes: VecDeque<AuthorizationCode>,
    /// In the order of their first authorisation. Those that cancelled are kept.
    pub(super) authorizers: Vec<Authorizer>,
    usage: QuotaUsage,
    pub(super) pushes: PushQueue,
}

struct PreAuthCode {
    value: String,
    expires_at: UnixTime,
}

impl Simulator {
    /// Adds a platform, or replaces the settings of an existing one; its state is kept.
    pub(super) fn add_platform(&mut self, settings: OpenPlatform, now: UnixTime) {
        let known = self
            .components
            .iter()
            .position(|it| it.settings.app_id == settings.app_id);
        let at = known.unwrap_or(self.components.len());
        match known {
            Some(at) => self.components[at].settings = settings,
            None => self.components.push(Component::new(settings)),
        }
        self.components[at].add_earlier_authorizers(now);
    }

    /// Returns the platform with this component_appid.
    pub(super) fn component(&self, app_id: &str) -> Result<&Component, String> {
        self.components
            .iter()
            .find(|it| it.settings.app_id == app_id)
            .ok_or_else(|| no_platform(app_id))
    }

    pub(super) fn component_mut(&mut self, app_id: &str) -> Result<&mut Component, String> {
        self.components
            .iter_mut()
            .find(|it| it.settings.app_id == app_id)
            .ok_or_else(|| no_platform(app_id))
    }

    /// Processes a call to `/cgi-bin/component/…`.
    pub(super) fn component_call(
        &mut self,
        call: &Call<'_>,
        now: UnixTime,
    ) -> Result<String, Refusal> {
        match call.endpoint {
            Endpoint::StartPushTicket => self.start_push_ticket(call, now),
            Endpoint::ComponentToken => self.component_token(call, now),
            Endpoint::ComponentClearQuota => self.clear_quota_by_platform(call, now),
            _ => {
                let (at, body) = self.authenticated(call, now)?;
                match call.endpoint {
                    Endpoint::CreatePreAuthCode => Ok(self.components[at].pre_auth_code(now)),
                    Endpoint::QueryAuth => self.query_auth(at, &body, now),
                    Endpoint::AuthorizerToken => self.authorizer_token(at, &body, now),
                    Endpoint::AuthorizerList => self.components[at].list(&body),
                    _ => self.authorizer_info(at, &body),
                }
            }
        }
    }

    /// Starts the pushes of tickets. The first comes with the next period.
    fn start_push_ticket(&mut self, call: &Call<'_>, now: UnixTime) -> Result<String, Refusal> {
        let (component, _) = self.by_secret(call, "component_secret")?;
        component.spend(call.endpoint, now)?;
        match component.pushes.start(now) {
            true => Ok(OK.to_owned()),
            false => Ok(r#"{"errcode":0,"errmsg":"in a normal state"}"#.to_owned()),
        }
    }

    /// Checks the app id, the secret, the address, the ticket, then the quota.
    fn component_token(&mut self, call: &Call<'_>, now: UnixTime) -> Result<String, Refusal> {
        let (component, body) = self.by_secret(call, "component_appsecret")?;
        component.check_ticket(body.get("component_verify_ticket"), now)?;
        component.spend(call.endpoint, now)?;
        let issued = component.settings.issue(&mut component.token, now);
        Ok(json(&IssuedReply::of(
            "component_access_token",
            issued,
            now,
        )))
    }

    /// Clears the counts of the platform or of an account that authorised it. Needs no token, because the token
    /// call itself may have no quota left.
    fn clear_quota_by_platform(
        &mut self,
        call: &Call<'_>,
        now: UnixTime,
    ) -> Result<String, Refusal> {
        let (component, body) = self.by_secret(call, "appsecret")?;
        let app_id = text(&body, "appid").ok_or_else(|| Refusal::new(41002))?;
        if app_id == component.settings.app_id {
            component.usage.roll(now, &component.settings.switches);
            let cleared = component.usage.clear(&component.settings.quotas);
            return cleared.map(|()| OK.to_owned());
        }
        component.authorizer(app_id)?;
        let at = self.position(app_id).ok_or_else(|| Refusal::new(40013))?;
        self.apps[at].clear(now)
    }

    /// Returns the platform that a call names, and the body. Checks the secret in this field, then the address.
    fn by_secret(
        &mut self,
        call: &Call<'_>,
        field: &str,
    ) -> Result<(&mut Component, Value), Refusal> {
        let body = component_body(call)?;
        let app_id = text(&body, "component_appid").ok_or_else(|| Refusal::new(41018))?;
        let is_account = self.apps.iter().any(|it| it.app.app_id == app_id);
        let component = self
            .component_mut(app_id)
            .map_err(|_| Refusal::new(if is_account { 61011 } else { 40013 }))?;
        let secret = text(&body, field).ok_or_else(|| Refusal::new(41019))?;
        require(secret == component.settings.secret, 40125)?;
        component.check_address(call)?;
        Ok((component, body))
    }

    /// Checks the token of a call whose body must name the platform. Returns the platform's index and the body.
    fn authenticated(&mut self, call: &Call<'_>, now: UnixTime) -> Result<(usize, Value), Refusal> {
        let at = self.component_caller(call, now)?;
        let body = component_body(call)?;
        let app_id = text(&body, "component_appid").ok_or_else(|| Refusal::new(41018))?;
        require(app_id == self.components[at].settings.app_id, 40013)?;
        Ok((at, body))
    }
}

impl Component {
    fn new(settings: OpenPlatform) -> Self {
        Self {
            settings,
            tickets: VecDeque::new(),
            token: IssuedValues::default(),
            pre_auth_codes: VecDeque::new(),
            codes: VecDeque::new(),
            authorizers: Vec::new(),
            usage: QuotaUsage::default(),
            pushes: PushQueue::default(),
        }
    }

    /// Clears credentials, codes, usage and pushes. The accounts' decisions and refresh tokens are kept, and
    /// started pushes stay started.
    pub(super) fn reset(&mut self, now: UnixTime) {
        let mut authorizers = std::mem::take(&mut self.authorizers);
        for authorizer in &mut authorizers {
            authorizer.tokens = IssuedValues::default();
        }
        let mut pushes = std::mem::take(&mut self.pushes);
        pushes.reset(now);
        *self = Self {
            authorizers,
            pushes,
            ..Self::new(self.settings.clone())
        };
    }

    /// Makes the ticket that is pushed now.
    pub(super) fn new_ticket(&mut self, now: UnixTime) -> &str {
        let ticket = TicketState {
            value: new_component_ticket(),
            expires_at: now.plus(TICKET_LIFE),
        };
        push_front(&mut self.tickets, ticket, REMEMBERED);
        &self.tickets[0].value
    }

    /// Returns the newest ticket.
    pub(super) fn ticket(&self) -> Option<&TicketState> {
        self.tickets.front()
    }

    fn pre_auth_code(&mut self, now: UnixTime) -> String {
        let life = Duration::from_secs(self.settings.pre_auth_code_ttl);
        let code = PreAuthCode {
            value: new_pre_auth_code(),
            expires_at: now.plus(life),
        };
        let reply = json(&IssuedReply::new("pre_auth_code", &code.value, life));
        push_front(&mut self.pre_auth_codes, code, REMEMBERED);
        reply
    }

    /// Returns whether a visitor of the authorisation page may use this pre_auth_code.
    pub(super) fn accepts_pre_auth_code(&self, code: &str, now: UnixTime) -> bool {
        let mut codes = self.pre_auth_codes.iter();
        codes.any(|known| known.value == code && now < known.expires_at)
    }

    pub(super) fn use_pre_auth_code(&mut self, code: &str) {
        self.pre_auth_codes.retain(|known| known.value != code);
    }

    pub(super) fn check_address(&self, call: &Call<'_>) -> Result<(), Refusal> {
        let peer = seen(self.settings.caller_ip, call.peer);
        match admits(self.settings.allow_ips.as_deref(), peer) {
            true => Ok(()),
            false => Err(Refusal::not_registered(peer)),
        }
    }

    fn check_ticket(&self, ticket: Option<&Value>, now: UnixTime) -> Result<(), Refusal> {
        let ticket = ticket.ok_or_else(|| Refusal::new(41020))?;
        let mut known = self.tickets.iter();
        let known = known.find(|known| ticket.as_str() == Some(known.value.as_str()));
        let known = known.ok_or_else(|| Refusal::new(61006))?;
        require(now < known.expires_at, 61005)
    }

    pub(super) fn spend(&mut self, endpoint: Endpoint, now: UnixTime) -> Result<(), Refusal> {
        self.usage.roll(now, &self.settings.switches);
        self.usage.spend(endpoint, &self.settings.quotas)
    }

    pub(super) fn quota(&self, body: &Value) -> Result<String, Refusal> {
        let (endpoint, is_platforms) = asked_endpoint(body)?;
        require(is_platforms, 76022)?;
        let limit = self.settings.quotas.daily(endpoint);
        Ok(quota_reply(limit, self.usage.used(endpoint), None))
    }
}

impl OpenPlatform {
    /// Issues a token, of the platform itself or for an account.
    pub(super) fn issue<'a>(&self, tokens: &'a mut IssuedValues, now: UnixTime) -> &'a Issued {
        let life = Duration::from_secs(self.token_ttl);
        if !self.token_overlap {
            tokens.revoke(now);
        }
        tokens.rotate(new_token(), now, life, true)
    }
}

/// Returns the JSON body of a platform's call. A form counts as JSON without fields, as observed.
fn component_body(call: &Call<'_>) -> Result<Value, Refusal> {
    let is_form = call.body.contains(&b'=') && !call.body.trim_ascii_start().starts_with(b"{");
    require(!is_form, 41018)?;
    call.json()
}

fn no_platform(app_id: &str) -> String {
    format!("the sandbox has no open platform \"{app_id}\"")
}

/// Every ticket is accepted for twelve hours.
const TICKET_LIFE: Duration = Duration::from_secs(12 * 3_600);

/// Number of tickets and codes that are remembered. More than twelve hours of tickets.
pub(super) const REMEMBERED: usize = 1_024;
