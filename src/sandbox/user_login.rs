//! Login of users: one-time codes, and the tokens of users that `/sns/…` gives for them.
//!
//! A user's token has nothing to do with the app's, although both are called `access_token`.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;

use super::api_management::OK;
use super::app_settings::Platform;
use super::bounded_queue::push_front;
use super::reply::{Refusal, json, require};
use super::simulated_endpoints::Call;
use super::simulator::Simulator;
use super::token_values::{new_login_code, new_session_key, new_token, openid_of};

/// What a user of an official account agreed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Scope {
    /// Only the openid.
    #[serde(rename = "snsapi_base")]
    Base,
    /// Also the name and the picture.
    #[default]
    #[serde(rename = "snsapi_userinfo")]
    UserInfo,
}

/// A login that a user has started.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    app_id: String,
    /// Each app has one simulated user by default.
    openid: Option<String>,
    #[serde(default)]
    scope: Scope,
}

impl Login {
    pub(super) fn of(app: &str) -> Self {
        Self {
            app_id: app.to_owned(),
            openid: None,
            scope: Scope::default(),
        }
    }
}

/// Codes and users' tokens, the newest first.
#[derive(Default)]
pub(super) struct Logins {
    codes: VecDeque<Code>,
    users: VecDeque<User>,
}

struct Code {
    value: String,
    app_id: String,
    openid: String,
    scope: Scope,
    expires_at: UnixTime,
    used: bool,
}

/// A user's tokens for one app.
pub(super) struct User {
    app_id: String,
    openid: String,
    scope: Scope,
    token: String,
    token_ends: UnixTime,
    refresh_token: String,
    refresh_ends: UnixTime,
}

impl Logins {
    /// Returns the user whose token a call carries.
    pub(super) fn user(&self, call: &Call<'_>, now: UnixTime) -> Result<&User, Refusal> {
        let token = call.required("access_token", 41001)?;
        let user = self.users.iter().find(|user| user.token == token);
        let user = user.ok_or_else(Refusal::not_a_users_token)?;
        require(now < user.token_ends, 42001)?;
        Ok(user)
    }

    /// Returns the user whose token and openid a call carries.
    fn named_user(&self, call: &Call<'_>, now: UnixTime) -> Result<&User, Refusal> {
        let user = self.user(call, now)?;
        require(call.required("openid", 41009)? == user.openid, 40003)?;
        Ok(user)
    }
}

impl Simulator {
    /// Returns a code as `wx.login` or the page of the web authorisation would.
    pub(super) fn login_code(&mut self, login: Login, now: UnixTime) -> Result<String, String> {
        let name = &login.app_id;
        let running = self.known_app(name)?;
        if running.app.is_work() {
            return Err(format!(
                "\"{name}\" is a WeCom app: the sandbox echoes its login calls and accepts any code"
            ));
        }
        let app_id = running.app.app_id.clone();
        let value = new_login_code();
        let code = Code {
            value: value.clone(),
            openid: login.openid.unwrap_or_else(|| openid_of(&app_id)),
            app_id,
            scope: login.scope,
            expires_at: now.plus(CODE_LIFE),
            used: false,
        };
        push_front(&mut self.logins.codes, code, REMEMBERED);
        Ok(value)
    }

    /// Login of a mini program.
    pub(super) fn jscode2session(
        &mut self,
        call: &Call<'_>,
        now: UnixTime,
    ) -> Result<String, Refusal> {
        #[derive(Serialize)]
        struct Reply<'a> {
            session_key: String,
            openid: &'a str,
        }
        let code = self.redeem(call, "js_code", Platform::Mini, now)?;
        Ok(json(&Reply {
            session_key: new_session_key(),
            openid: &code.openid,
        }))
    }

    /// Login of an official account's page.
    pub(super) fn user_token(&mut self, call: &Call<'_>, now: UnixTime) -> Result<String, Refusal> {
        let code = self.redeem(call, "code", Platform::Official, now)?;
        let user = User {
            app_id: code.app_id.clone(),
            openid: code.openid.clone(),
            scope: code.scope,
            token: new_token(),
            token_ends: now.plus(TOKEN_LIFE),
            refresh_token: new_token(),
            refresh_ends: now.plus(REFRESH_LIFE),
        };
        let reply = user.reply();
        push_front(&mut self.logins.users, user, REMEMBERED);
        Ok(reply)
    }

    /// Checks the app, the grant type, the secret, then the code, which is used up.
    fn redeem(
        &mut self,
        call: &Call<'_>,
        param: &str,
        platform: Platform,
        now: UnixTime,
    ) -> Result<&Code, Refusal> {
        let running = self.named(call.param("appid"))?;
        require(
            call.param("grant_type") == Some("authorization_code"),
            40002,
        )?;
        running.check_secret(call.param("secret"))?;
        require(!running.app.frozen_secret, 40243)?;
        let code = call.required(param, 41008)?;
        // The other platform's codes are not codes here.
        require(running.app.platform == platform, 40029)?;
        let app_id = running.app.app_id.clone();
        let mut codes = self.logins.codes.iter_mut();
        let code = codes
            .find(|known| known.value == code && known.app_id == app_id)
            .ok_or_else(|| Refusal::new(40029))?;
        require(!code.used, 40163)?;
        require(now < code.expires_at, 40029)?;
        code.used = true;
        Ok(code)
    }

    /// Prolongs a user's token, or replaces it if it has expired.
    pub(super) fn refresh_user_token(
        &mut self,
        call: &Call<'_>,
        now: UnixTime,
    ) -> Result<String, Refusal> {
        let app_id = self.named(call.param("appid"))?.app.app_id.clone();
        require(call.param("grant_type") == Some("refresh_token"), 40002)?;
        let refresh_token = call.required("refresh_token", 41003)?;
        let user = self
            .logins
            .users
            .iter_mut()
            .find(|user| user.refresh_token == refresh_token && user.app_id == app_id)
            .ok_or_else(|| Refusal::new(40030))?;
        require(now < user.refresh_ends, 42002)?;
        if now >= user.token_ends {
            user.token = new_token();
        }
        user.token_ends = now.plus(TOKEN_LIFE);
        Ok(user.reply())
    }

    pub(super) fn user_info(&self, call: &Call<'_>, now: UnixTime) -> Result<String, Refusal> {
        #[derive(Default, Serialize)]
        struct Reply<'a> {
            openid: &'a str,
            nickname: &'static str,
            sex: u8,
            language: &'static str,
            city: &'static str,
            province: &'static str,
            country: &'static str,
            headimgurl: &'static str,
            privilege: [&'static str; 0],
        }
        let user = self.logins.named_user(call, now)?;
        require(user.scope != Scope::Base, 48001)?;
        Ok(json(&Reply {
            openid: &user.openid,
            nickname: "沙箱用户",
            ..Reply::default()
        }))
    }

    pub(super) fn check_user(&self, call: &Call<'_>, now: UnixTime) -> Result<String, Refusal> {
        self.logins.named_user(call, now).map(|_| OK.to_owned())
    }
}

impl User {
    fn reply(&self) -> String {
        #[derive(Serialize)]
        struct Reply<'a> {
            access_token: &'a str,
            expires_in: u64,
            refresh_token: &'a str,
            openid: &'a str,
            scope: Scope,
        }
        json(&Reply {
            access_token: &self.token,
            expires_in: TOKEN_LIFE.as_secs(),
            refresh_token: &self.refresh_token,
            openid: &self.openid,
            scope: self.scope,
        })
    }
}

/// "The code is valid for five minutes and for one use."
const CODE_LIFE: Duration = Duration::from_secs(300);

const TOKEN_LIFE: Duration = Duration::from_secs(7_200);

const REFRESH_LIFE: Duration = Duration::from_secs(30 * 86_400);

/// Number of codes and of users that are remembered. Older ones answer as unknown.
const REMEMBERED: usize = 4_096;
