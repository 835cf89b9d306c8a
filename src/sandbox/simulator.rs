//! Business logic of the simulated WeChat, without HTTP and faults; the time is a parameter.
//!
//! The order of the checks is WeChat's where it is known: the app id comes before the grant type, the secret
//! before the address.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::clock::UnixTime;

use super::app_settings::App;
use super::component::Component;
use super::config_check::AcceptedConfigs;
use super::going_live_check::SentMessages;
use super::issued_values::{Fate, Issued, IssuedValues};
use super::quota::QuotaUsage;
use super::reply::{IssuedReply, Refusal, ip_list, json, require};
use super::simulated_endpoints::{Call, Endpoint, System, text};
use super::token_values::new_token;
use super::user_login::Logins;
use super::work::{Bans, Corp, TicketHours};

/// All apps, with their credentials and usage.
#[derive(Default)]
pub(super) struct Simulator {
    pub(super) apps: Vec<Running>,
    /// Open platforms, to which apps may give authority.
    pub(super) components: Vec<Component>,
    /// By corp id: state shared by the apps of a corp.
    pub(super) corps: BTreeMap<String, Corp>,
    pub(super) bans: Bans,
    pub(super) logins: Logins,
    pub(super) accepted: AcceptedConfigs,
    /// Messages that accounts sent to users, the newest last.
    pub(super) sent_messages: SentMessages,
}

/// An app and its state.
pub(super) struct Running {
    pub(super) app: App,
    pub(super) classic: IssuedValues,
    pub(super) stable: IssuedValues,
    /// WeCom tokens. A WeCom app has only these, other apps have none of them.
    pub(super) work: IssuedValues,
    /// By type: `jsapi`, `wx_card`, or WeCom's `agent_config`. A WeCom app's `jsapi` ticket belongs to its
    /// corp.
    pub(super) tickets: BTreeMap<&'static str, IssuedValues>,
    pub(super) hours: TicketHours,
    forced_at: Option<UnixTime>,
    pub(super) usage: QuotaUsage,
}

impl Simulator {
    /// Processes a call and returns the body of the answer.
    pub(super) fn call(
        &mut self,
        system: System,
        call: &Call<'_>,
        now: UnixTime,
    ) -> Result<String, Refusal> {
        match system {
            System::Weixin => self.weixin_call(call, now),
            System::Qyapi => self.work_call(call, now),
        }
    }

    fn weixin_call(&mut self, call: &Call<'_>, now: UnixTime) -> Result<String, Refusal> {
        require(call.is_post || !call.endpoint.wants_post(), 43002)?;
        if call.endpoint.is_component() {
            return self.component_call(call, now);
        }
        match call.endpoint {
            Endpoint::Token => self.token(call, now),
            Endpoint::StableToken => self.stable_token(call, now),
            Endpoint::GetTicket => self.caller(call, now)?.ticket(call.param("type"), now),
            Endpoint::MenuGet => self.caller(call, now)?.menu(),
            Endpoint::ClearQuota => self.caller(call, now)?.clear_quota(&call.json()?, now),
            Endpoint::ClearQuotaV2 => self.clear_quota_by_secret(call, now),
            Endpoint::QuotaGet => self.quota(call, now),
            Endpoint::RidGet => self.request_by_rid(call, now),
            Endpoint::JsCode2Session => self.jscode2session(call, now),
            Endpoint::UserToken => self.user_token(call, now),
            Endpoint::UserTokenRefresh => self.refresh_user_token(call, now),
            Endpoint::UserInfo => self.user_info(call, now),
            Endpoint::UserAuth => self.check_user(call, now),
            // The address list: calls that only WeCom has do not reach this arm.
            _ => self.caller(call, now).map(|_| ip_list()),
        }
    }

    /// Checks the token of a call that is answered with an echo.
    pub(super) fn check_token(
        &mut self,
        system: System,
        call: &Call<'_>,
        now: UnixTime,
    ) -> Result<(), Refusal> {
        match (system, call.endpoint) {
            (System::Qyapi, _) => self.work_caller(call, now).map(drop),
            (System::Weixin, _) if COMPONENT.iter().any(|at| call.path.starts_with(at)) => {
                self.component_caller(call, now).map(drop)
            }
            (System::Weixin, Endpoint::OtherUser) => self.logins.user(call, now).map(drop),
            (System::Weixin, _) => self.caller(call, now).map(drop),
        }
    }

    /// Returns the index of the app of this name: an app id, `corp id:agent id`, or the id of a corp that has
    /// one app. Ids are case-sensitive.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        let mut apps = self.apps.iter();
        let exact = apps.position(|running| running.app.name() == name);
        exact.or_else(|| {
            let is_only = self.apps_of(name).count() == 1;
            let mut apps = self.apps.iter();
            apps.position(|running| is_only && running.app.app_id == name)
        })
    }

    /// Returns the app of this name.
    pub(super) fn app(&self, name: &str) -> Option<&Running> {
        self.position(name).map(|at| &self.apps[at])
    }

    /// Returns the app of this name, or the error text.
    pub(super) fn known_app(&self, name: &str) -> Result<&Running, String> {
        self.app(name).ok_or_else(|| self.no_app(name))
    }

    /// Returns the error text for an unknown app.
    pub(super) fn no_app(&self, name: &str) -> String {
        match self.apps_of(name).next() {
            Some(one) => format!(
                "\"{name}\" has several apps: use the name of one, such as \"{}\"",
                one.app.name()
            ),
            None => format!("the sandbox has no app \"{name}\""),
        }
    }

    /// Adds an app, or replaces the settings of an existing one; its credentials and usage are kept.
    pub(super) fn add(&mut self, app: App) {
        match self
            .apps
            .iter_mut()
            .find(|running| running.app.name() == app.name())
        {
            Some(running) => running.app = app,
            None => self.apps.push(Running::new(app)),
        }
    }

    /// Clears credentials and usage; the apps are kept.
    pub(super) fn reset(&mut self, now: UnixTime) {
        for running in &mut self.apps {
            *running = Running::new(running.app.clone());
        }
        for component in &mut self.components {
            component.reset(now);
        }
        self.corps.clear();
        self.bans.clear();
        self.logins = Logins::default();
        self.sent_messages = SentMessages::default();
    }

    fn token(&mut self, call: &Call<'_>, now: UnixTime) -> Result<String, Refusal> {
        let running = self.named(call.param("appid"))?;
        require(call.param("grant_type") == Some("client_credential"), 40002)?;
        running.admit(call.param("secret"), call, now)?;
        let issued = running.refetch(now);
        Ok(json(&IssuedReply::of("access_token", issued, now)))
    }

    fn stable_token(&mut self, call: &Call<'_>, now: UnixTime) -> Result<String, Refusal> {
        let body = call.json()?;
        let force = match body.get("force_refresh") {
            None | Some(Value::Null) => false,
            Some(value) => value.as_bool().ok_or_else(|| Refusal::new(47001))?,
        };
        let running = self.named(text(&body, "appid"))?;
        require(
            text(&body, "grant_type") == Some("client_credential"),
            40002,
        )?;
        running.admit(text(&body, "secret"), call, now)?;
        let ttl = running.token_ttl();
        let issued = match force && running.may_force(now)? {
            true => running.force(now),
            false => running.stable.refreshed(now, ttl, new_token),
        };
        Ok(json(&IssuedReply::of("access_token", issued, now)))
    }

    /// Returns the app that a token call names.
    pub(super) fn named(&mut self, app_id: Option<&str>) -> Result<&mut Running, Refusal> {
        let app_id = app_id
            .filter(|id| !id.is_empty())
            .ok_or_else(|| Refusal::new(41002))?;
        require(self.component(app_id).is_err(), 61024)?;
        let mut apps = self
            .apps
            .iter_mut()
            .filter(|running| !running.app.is_work());
        apps.find(|running| running.app.app_id == app_id)
            .ok_or_else(|| Refusal::new(40013))
    }

    /// Returns the app that owns a data call's token, or that authorised the open platform that owns it, and
    /// charges the call to the app.
    pub(super) fn caller(
        &mut self,
        call: &Call<'_>,
        now: UnixTime,
    ) -> Result<&mut Running, Refusal> {
        let token = call.required("access_token", 41001)?;
        let own = self
            .apps
            .iter()
            .enumerate()
            .find_map(|(at, running)| Some((at, running.token_fate(token, now)?)));
        let at = match own {
            Some((at, fate)) => fate.require_alive(42001).map(|()| at)?,
            None => self.on_behalf(token, call, now)?,
        };
        let running = &mut self.apps[at];
        require(call.endpoint.serves(running.app.platform), 48001)?;
        running.spend(call.endpoint, now)?;
        Ok(running)
    }
}

impl Running {
    fn new(app: App) -> Self {
        Self {
            app,
            classic: IssuedValues::default(),
            stable: IssuedValues::default(),
            work: IssuedValues::default(),
            tickets: BTreeMap::new(),
            hours: TicketHours::default(),
            forced_at: None,
            usage: QuotaUsage::default(),
        }
    }

    /// Returns the state of a token of any mode.
    pub(super) fn any_fate(&self, token: &str, now: UnixTime) -> Option<Fate> {
        self.token_fate(token, now)
            .or_else(|| self.work.fate(token, now))
    }

    /// Returns the state of a classic or stable token.
    fn token_fate(&self, token: &str, now: UnixTime) -> Option<Fate> {
        self.classic
            .fate(token, now)
            .or_else(|| self.stable.fate(token, now))
    }

    /// Issues a new classic token, which displaces the previous one.
    pub(super) fn refetch(&mut self, now: UnixTime) -> &Issued {
        let ttl = self.token_ttl();
        self.classic.rotate(
            new_token(),
            now,
            ttl,
            self.app.switches.third_token_ends_first,
        )
    }

    /// Issues a new stable token before the current one ends.
    pub(super) fn force(&mut self, now: UnixTime) -> &Issued {
        self.forced_at = Some(now);
        let ttl = self.token_ttl();
        self.stable.rotate(new_token(), now, ttl, true)
    }

    /// Checks whether the caller may have a token: first the secret, which decides whose quota is charged,
    /// then the account's state.
    fn admit(
        &mut self,
        secret: Option<&str>,
        call: &Call<'_>,
        now: UnixTime,
    ) -> Result<(), Refusal> {
        self.check_secret(secret)?;
        self.spend(call.endpoint, now)?;
        let app = &self.app;
        let peer = app.seen(call.peer);
        require(!app.frozen_secret, 40243)?;
        if !app.admits(peer) {
            return Err(Refusal::not_in_whitelist(peer));
        }
        require(!app.awaiting_admin, 89503)?;
        require(!app.punished, 50004)?;
        require(!app.frozen, 50007)
    }

    pub(super) fn check_secret(&self, secret: Option<&str>) -> Result<(), Refusal> {
        require(secret.is_some_and(|secret| !secret.is_empty()), 41004)?;
        match self.app.switches.wrong_secret {
            _ if secret == Some(self.app.secret.as_str()) => Ok(()),
            40001 => Err(Refusal::worded(
                40001,
                "invalid credential access_token isinvalid or not latest",
            )),
            code => Err(Refusal::new(code)),
        }
    }

    pub(super) fn spend(&mut self, endpoint: Endpoint, now: UnixTime) -> Result<(), Refusal> {
        self.usage.roll(now, &self.app.switches);
        self.usage.spend(endpoint, &self.app.quotas)
    }

    /// Returns whether a `force_refresh` takes effect now. Within 30 s of the last one it does not, and costs
    /// nothing.
    fn may_force(&mut self, now: UnixTime) -> Result<bool, Refusal> {
        let refused = |code: Option<i64>| code.map_or(Ok(false), |code| Err(Refusal::new(code)));
        if self
            .forced_at
            .is_some_and(|last| now.since(last) < FORCE_SPACING)
        {
            return refused(self.app.switches.force_too_soon);
        }
        if !self.usage.spend_force(&self.app.quotas) {
            return refused(self.app.switches.force_over_quota);
        }
        Ok(true)
    }

    fn menu(&self) -> Result<String, Refusal> {
        require(!self.app.without_menu, 46003)?;
        Ok(r#"{"menu":{"button":[]}}"#.to_owned())
    }

    pub(super) fn token_ttl(&self) -> Duration {
        Duration::from_secs(self.app.token_ttl)
    }
}

/// Where a call carries an open platform's token.
const COMPONENT: [&str; 3] = [
    "/cgi-bin/component/",
    "/sns/component/",
    "/sns/oauth2/component/",
];

/// "Consecutive force calls need 30 s between them, otherwise no refresh happens."
const FORCE_SPACING: Duration = Duration::from_secs(30);
