//! Accounts that authorised an open platform, and the platform's calls about them.
//!
//! A platform's token of an account has nothing to do with the account's own tokens, nor with those of other
//! platforms.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::clock::UnixTime;

use super::app_settings::{App, Platform};
use super::bounded_queue::push_front;
use super::component::{Component, REMEMBERED};
use super::issued_values::IssuedValues;
use super::passive_reply::original_id;
use super::push::Message;
use super::reply::{Refusal, json as written, require};
use super::simulated_endpoints::text;
use super::simulator::{Running, Simulator};
use super::token_values::{new_authorization_code, new_pre_auth_code, new_refresh_token};

/// An account that authorised a platform at least once.
#[derive(Default)]
pub(super) struct Authorizer {
    pub(super) app_id: String,
    /// Of the last authorisation: the CreateTime of its event, if there was one.
    pub(super) auth_time: UnixTime,
    /// False after a cancellation.
    pub(super) authorized: bool,
    /// Made when a code is first redeemed.
    pub(super) refresh_token: Option<String>,
    pub(super) tokens: IssuedValues,
    /// CreateTime of the last event about it.
    last_event: UnixTime,
}

/// A code that stands for an account's authorisation.
pub(super) struct AuthorizationCode {
    value: String,
    app_id: String,
    expires_at: UnixTime,
    used: bool,
    /// The access token that its redemption brought.
    token: Option<String>,
}

/// Result of an account's authorisation.
pub(super) struct Granted {
    pub(super) code: String,
    /// Lifetime of the code, in seconds.
    pub(super) expires_in: u64,
    /// The push that tells the platform; `None` if nothing changed.
    pub(super) message: Option<Message>,
}

impl Simulator {
    /// Authorises a platform for an account, as its owner does. `pre_auth_code` is used up, if given. `changed` says
    /// whether an account that authorises again grants other permission sets.
    pub(super) fn authorize(
        &mut self,
        component: &str,
        name: &str,
        pre_auth_code: Option<&str>,
        changed: bool,
        now: UnixTime,
    ) -> Result<Granted, String> {
        let app = &self.known_app(name)?.app;
        if app.is_work() {
            return Err(format!(
                "\"{name}\" is a WeCom app: only official accounts and mini programs authorise open platforms"
            ));
        }
        let app_id = app.app_id.clone();
        let component = self.component_mut(component)?;
        if let Some(code) = pre_auth_code {
            component.use_pre_auth_code(code);
        }
        let pre_auth_code = pre_auth_code.map_or_else(new_pre_auth_code, str::to_owned);
        Ok(component.grant(app_id, &pre_auth_code, changed, now))
    }

    /// Withdraws an account's authorisation, as its owner does. Returns the push that tells the platform.
    pub(super) fn cancel_authorization(
        &mut self,
        component: &str,
        app_id: &str,
        now: UnixTime,
    ) -> Result<Message, String> {
        let component = self.component_mut(component)?;
        let problem = component.not_authorised(app_id);
        let authorizer = find(&mut component.authorizers, app_id).map_err(|_| problem)?;
        authorizer.authorized = false;
        authorizer.refresh_token = None;
        authorizer.tokens.revoke(now);
        for code in &mut component.codes {
            code.used |= code.app_id == app_id;
        }
        Ok(Message::new("unauthorized").field("AuthorizerAppid", app_id))
    }

    /// Redeems a code for the account's tokens.
    pub(super) fn query_auth(
        &mut self,
        at: usize,
        body: &Value,
        now: UnixTime,
    ) -> Result<String, Refusal> {
        let code = text(body, "authorization_code").ok_or_else(|| Refusal::new(41008))?;
        let component = &mut self.components[at];
        let known = component
            .codes
            .iter_mut()
            .find(|known| known.value == code && !known.used)
            .ok_or_else(|| Refusal::new(61009))?;
        require(now < known.expires_at, 61010)?;
        known.used = true;
        let authorizer = find(&mut component.authorizers, &known.app_id)?;
        let issued = component.settings.issue(&mut authorizer.tokens, now);
        known.token = Some(issued.value.clone());
        let refresh_token = authorizer
            .refresh_token
            .get_or_insert_with(new_refresh_token);
        let answer = json!({
            "authorization_info": {
                "authorizer_appid": known.app_id,
                "authorizer_access_token": issued.value,
                "expires_in": issued.remaining(now).as_secs(),
                "authorizer_refresh_token": refresh_token,
                "func_info": func_info(platform_of(&self.apps, &known.app_id)),
            }
        });
        Ok(answer.to_string())
    }

    /// Refreshes the platform's token of an account. The refresh token stays the same.
    pub(super) fn authorizer_token(
        &mut self,
        at: usize,
        body: &Value,
        now: UnixTime,
    ) -> Result<String, Refusal> {
        #[derive(Serialize)]
        struct Reply<'a> {
            authorizer_access_token: &'a str,
            expires_in: u64,
            authorizer_refresh_token: &'a str,
        }
        let app_id = text(body, "authorizer_appid").ok_or_else(|| Refusal::new(41002))?;
        let component = &mut self.components[at];
        let authorizer = find(&mut component.authorizers, app_id)?;
        let given = text(body, "authorizer_refresh_token");
        let refresh_token = authorizer
            .refresh_token
            .as_deref()
            .filter(|right| given == Some(*right))
            .ok_or_else(|| Refusal::new(61023))?;
        let issued = component.settings.issue(&mut authorizer.tokens, now);
        Ok(written(&Reply {
            authorizer_access_token: &issued.value,
            expires_in: issued.remaining(now).as_secs(),
            authorizer_refresh_token: refresh_token,
        }))
    }

    pub(super) fn authorizer_info(&self, at: usize, body: &Value) -> Result<String, Refusal> {
        let app_id = text(body, "authorizer_appid").ok_or_else(|| Refusal::new(41002))?;
        let authorizer = self.components[at].authorizer(app_id)?;
        let platform = platform_of(&self.apps, app_id);
        let is_mini = platform == Platform::Mini;
        let mut info = json!({
            "nick_name": if is_mini { "沙箱小程序" } else { "沙箱公众号" },
            "head_img": "",
            "service_type_info": { "id": if is_mini { 0 } else { 2 } },
            "verify_type_info": { "id": 0 },
            "user_name": original_id(app_id),
            "principal_name": "沙箱",
            "alias": "",
            "qrcode_url": "",
            "business_info": { "open_pay": 0, "open_shake": 0, "open_scan": 0, "open_card": 0, "open_store": 0 },
            "signature": "",
            "account_status": 1,
        });
        if is_mini {
            info["MiniProgramInfo"] = json!({ "network": {}, "categories": [], "visit_status": 0 });
        }
        let mut authorization = json!({
            "authorizer_appid": app_id,
            "func_info": func_info(platform),
        });
        if let Some(refresh_token) = &authorizer.refresh_token {
            authorization["authorizer_refresh_token"] = json!(refresh_token);
        }
        let answer = json!({ "authorizer_info": info, "authorization_info": authorization });
        Ok(answer.to_string())
    }

    /// Returns the JS safe domains that an account has by the platforms it authorised.
    pub(super) fn platform_domains(&self, app: &App) -> impl Iterator<Item = &String> {
        let is_official = app.platform() == Platform::Official;
        self.components
            .iter()
            .filter(move |it| is_official && it.authorizer(app.app_id()).is_ok())
            .flat_map(|it| &it.settings.safe_domains)
    }
}

impl Component {
    /// Returns an account that authorised this platform.
    pub(super) fn authorizer(&self, app_id: &str) -> Result<&Authorizer, Refusal> {
        self.authorizers
            .iter()
            .find(|it| it.app_id == app_id && it.authorized)
            .ok_or_else(|| Refusal::new(61003))
    }

    pub(super) fn not_authorised(&self, app_id: &str) -> String {
        format!(
            "\"{app_id}\" has not authorised \"{}\"",
            self.settings.app_id
        )
    }

    /// Returns the access token that the redemption of a code brought.
    pub(super) fn token_of_code(&self, code: &str) -> Option<&str> {
        let mut codes = self.codes.iter();
        codes.find(|known| known.value == code)?.token.as_deref()
    }

    /// Adds the accounts of the settings, unless they are known.
    pub(super) fn add_earlier_authorizers(&mut self, now: UnixTime) {
        for app_id in &self.settings.authorized_by {
            if self.authorizers.iter().all(|it| it.app_id != *app_id) {
                self.authorizers.push(Authorizer {
                    app_id: app_id.clone(),
                    auth_time: now,
                    authorized: true,
                    refresh_token: Some(new_refresh_token()),
                    ..Authorizer::default()
                });
            }
        }
    }

    /// Returns the CreateTime of an event about this account: later than that of the event before. A test causes within
    /// one second events that are minutes apart in practice, and platforms order events by the second.
    pub(super) fn event_time(&mut self, app_id: &str, wall: UnixTime) -> UnixTime {
        let known = self.authorizers.iter_mut().find(|it| it.app_id == app_id);
        known.map_or(wall, |authorizer| {
            let next = authorizer.last_event.plus(Duration::from_secs(1));
            authorizer.last_event = wall.max(next);
            if authorizer.authorized {
                authorizer.auth_time = authorizer.last_event;
            }
            authorizer.last_event
        })
    }

    /// A second authorisation without a cancellation ends the access token. WeChat pushes it only if the permission
    /// sets changed.
    fn grant(
        &mut self,
        app_id: String,
        pre_auth_code: &str,
        changed: bool,
        now: UnixTime,
    ) -> Granted {
        let known = self.authorizers.iter().position(|it| it.app_id == app_id);
        let at = known.unwrap_or_else(|| {
            self.authorizers.push(Authorizer {
                app_id: app_id.clone(),
                ..Authorizer::default()
            });
            self.authorizers.len() - 1
        });
        let authorizer = &mut self.authorizers[at];
        let again = std::mem::replace(&mut authorizer.authorized, true);
        authorizer.auth_time = now.max(authorizer.last_event);
        authorizer.tokens.revoke(now);
        if self.settings.reauthorization_renews_refresh_token {
            authorizer.refresh_token = None;
        }
        let life = self.settings.authorization_code_ttl;
        let code = new_authorization_code();
        let expires_at = now.plus(Duration::from_secs(life));
        let event = match (again, changed) {
            (false, _) => Some("authorized"),
            (true, true) => Some("updateauthorized"),
            (true, false) => None,
        };
        let message = event.map(|event| {
            Message::new(event)
                .field("AuthorizerAppid", &app_id)
                .field("AuthorizationCode", &code)
                .field("AuthorizationCodeExpiredTime", &expires_at.to_string())
                .field("PreAuthCode", pre_auth_code)
        });
        let issued = AuthorizationCode {
            value: code.clone(),
            app_id,
            expires_at,
            used: false,
            token: None,
        };
        push_front(&mut self.codes, issued, REMEMBERED);
        Granted {
            code,
            expires_in: life,
            message,
        }
    }

    /// Returns a page of the accounts that authorised this platform. Those whose code was never redeemed come
    /// without a refresh token.
    pub(super) fn list(&self, body: &Value) -> Result<String, Refusal> {
        #[derive(Serialize)]
        struct Reply<'a> {
            total_count: usize,
            list: Vec<Entry<'a>>,
        }
        #[derive(Serialize)]
        struct Entry<'a> {
            authorizer_appid: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            refresh_token: Option<&'a str>,
            auth_time: UnixTime,
        }
        let number = |field| {
            let number = body.get(field).and_then(Value::as_u64);
            number.and_then(|number| usize::try_from(number).ok())
        };
        let (Some(offset), Some(count @ 0..=MOST_LISTED)) = (number("offset"), number("count"))
        else {
            return Err(Refusal::new(40097));
        };
        let authorized = || self.authorizers.iter().filter(|it| it.authorized);
        let list = authorized().skip(offset).take(count).map(|it| Entry {
            authorizer_appid: &it.app_id,
            refresh_token: it
                .refresh_token
                .as_deref()
                .filter(|_| !self.settings.list_without_refresh_tokens),
            auth_time: it.auth_time,
        });
        Ok(written(&Reply {
            total_count: authorized().count(),
            list: list.collect(),
        }))
    }
}

fn find<'a>(
    authorizers: &'a mut [Authorizer],
    app_id: &str,
) -> Result<&'a mut Authorizer, Refusal> {
    authorizers
        .iter_mut()
        .find(|it| it.app_id == app_id && it.authorized)
        .ok_or_else(|| Refusal::new(61003))
}

fn platform_of(apps: &[Running], app_id: &str) -> Platform {
    let known = apps.iter().find(|running| running.app.name() == app_id);
    known.map_or_else(Platform::default, |running| running.app.platform())
}

/// Returns the permission sets that accounts grant.
fn func_info(platform: Platform) -> Value {
    let ids: &[u64] = match platform {
        Platform::Mini => &[17, 18, 25],
        _ => &[1, 2, 3, 4, 11],
    };
    ids.iter()
        .map(|id| json!({ "funcscope_category": { "id": id } }))
        .collect()
}

/// Accounts on one page of the list.
const MOST_LISTED: usize = 500;
