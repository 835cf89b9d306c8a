//! What is known of an account that authorised the platform (an authorizer), and how each event and each
//! answer of WeChat changes it.
//!
//! Pure functions: each changes the record and returns what is to be done next. The caller stores the changed
//! record first, with compare-and-set, and then acts. Events are ordered by their [`Authorization`], so that a
//! repeated, late or overtaken one changes nothing.

mod answers;
#[cfg(test)]
mod tests;

use ring::digest;
use serde::{Deserialize, Serialize};

pub use self::answers::{Listed, Redeemed, RefreshRefusal};
use super::event::AuthorizationCode;
use crate::clock::UnixTime;
use crate::credential::Secret;
use crate::hex::hex;

/// An account that authorised the platform, or did so once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorizer {
    /// The account's AppID.
    pub app_id: String,
    /// Whether it can be used.
    pub state: State,
    /// The newest authorisation or withdrawal that was seen.
    pub newest: Authorization,
    /// The code of `newest`, until it is redeemed.
    pub code: Option<Code>,
    /// Fetches access tokens. Does not expire; a new authorisation may replace it.
    pub refresh_token: Option<Secret>,
    /// Ids of the permission sets (权限集) that the account granted; empty if they are not known.
    pub permission_sets: Vec<u32>,
    /// What WeChat knows of it, once that was asked.
    pub profile: Option<Profile>,
}

/// What WeChat knows of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The account's name, as its followers see it; at most [`LONGEST_NAME`] characters.
    pub nick_name: String,
    /// Whether it is a mini program.
    pub is_mini: bool,
}

/// Whether an account can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Authorised; its first code is not redeemed yet.
    Pending,
    /// Authorised; usable with a refresh token.
    Active,
    /// WeChat accepts neither the refresh token nor the code: the owner has to authorise again.
    NeedsAuthorization,
    /// The owner withdrew the authorisation. Stays as a tombstone, so that a late event revives nothing.
    Withdrawn,
    /// WeChat said that the account is not authorised, without an event. If the list has it, it is back.
    Missing,
}

/// An authorisation or a withdrawal. The greater one is the newer one.
///
/// Of the same second, a withdrawal counts as the newer one; among authorisations any fixed order will do.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Authorization {
    /// When it happened: the event's CreateTime, or the list's auth_time.
    pub at: UnixTime,
    /// Whether it is a withdrawal.
    pub is_withdrawal: bool,
    /// [`code_id`] of its code; empty if the account has no code, or it is not known.
    pub code_id: String,
    /// Whether `at` is by this machine's clock, because the browser brought the code before the event came.
    pub is_provisional: bool,
}

/// A code that is to be redeemed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// The code.
    pub value: Secret,
    /// When WeChat stops accepting it, if known.
    pub expires_at: Option<UnixTime>,
    /// Whether a process began to redeem it. A code works once; if that process died, ask the list first.
    pub is_claimed: bool,
}

/// What to do after a change, once the record is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Todo {
    /// Nothing.
    Nothing,
    /// Drop the access token, which WeChat no longer accepts; claim the code and redeem it.
    Redeem,
    /// Drop the access token and the tickets, and stop refreshing.
    Stop,
    /// Fetch an access token with the stored refresh token now: WeChat's answer decides.
    Refresh,
    /// Ask WeChat's list of authorised accounts, and call [`Authorizer::listed`] with the answer.
    AskList,
    /// Tell the operator that the owner has to authorise again.
    Alert,
}

/// Returns the name of a code in records and in the log: a part of its SHA-256.
pub fn code_id(code: &Secret) -> String {
    let hash = digest::digest(&digest::SHA256, code.expose().as_bytes());
    hex(&hash.as_ref()[..16])
}

impl Authorizer {
    /// Returns the record of an account of which nothing is known yet.
    #[must_use]
    pub fn unknown(app_id: &str) -> Self {
        Self {
            app_id: app_id.to_owned(),
            state: State::Missing,
            newest: Authorization::default(),
            code: None,
            refresh_token: None,
            permission_sets: Vec::new(),
            profile: None,
        }
    }

    /// Whether access tokens can be fetched.
    pub fn is_usable(&self) -> bool {
        self.state == State::Active && self.refresh_token.is_some()
    }

    /// Whether its owner has to authorise the platform again, because WeChat accepts no token of it or gave none.
    pub fn must_authorize_again(&self) -> bool {
        self.state == State::NeedsAuthorization || self.has_no_permission()
    }

    /// Whether WeChat redeemed its code without a refresh token: it granted no permission to call APIs.
    fn has_no_permission(&self) -> bool {
        self.state == State::Active && self.refresh_token.is_none() && self.code.is_none()
    }

    /// `authorized` or `updateauthorized` arrived.
    pub fn authorized(&mut self, code: &AuthorizationCode, create_time: UnixTime) -> Todo {
        let event = Authorization {
            at: create_time,
            code_id: code_id(&code.code),
            ..Authorization::default()
        };
        if self.newest.code_id == event.code_id && !self.newest.is_withdrawal {
            // The browser was first, or it is a replay.
            if self.newest.is_provisional {
                self.newest = event;
            }
            return Todo::Nothing;
        }
        if event > self.newest {
            self.newest = event;
        } else if !self.newest.is_provisional {
            return Todo::Nothing;
        }
        // A time by this machine's clock decides nothing: WeChat does, when the code is sent.
        self.code = Some(Code {
            value: code.code.clone(),
            expires_at: code.expires_at,
            is_claimed: false,
        });
        if !self.is_usable() {
            self.state = State::Pending;
        }
        Todo::Redeem
    }

    /// `unauthorized` arrived.
    pub fn unauthorized(&mut self, create_time: UnixTime) -> Todo {
        let event = Authorization {
            at: create_time,
            is_withdrawal: true,
            ..Authorization::default()
        };
        if self.newest.is_provisional && create_time <= self.newest.at {
            // A time by this machine's clock decides nothing: WeChat does.
            return Todo::Refresh;
        }
        if event <= self.newest {
            return Todo::Nothing;
        }
        self.newest = event;
        self.stop(State::Withdrawn)
    }

    /// Claims the code for redemption by this process. Store the record before the call: if that fails
    /// because another node changed it, do not call.
    pub fn claim_code(&mut self) -> Option<Secret> {
        let code = self.code.as_mut().filter(|code| !code.is_claimed)?;
        code.is_claimed = true;
        Some(code.value.clone())
    }

    /// Gives up the claim of a code: the call that would have redeemed it was not sent.
    pub fn release_code(&mut self, code: &Secret) {
        if let Some(ours) = self.code.as_mut().filter(|ours| ours.value == *code) {
            ours.is_claimed = false;
        }
    }

    /// WeChat said what it knows of the account.
    pub fn described(&mut self, nick_name: &str, is_mini: bool) {
        let visible = nick_name.chars().filter(|c| !c.is_control());
        self.profile = Some(Profile {
            nick_name: visible.take(LONGEST_NAME).collect(),
            is_mini,
        });
    }

    /// A code was redeemed, which a push or a browser brought.
    pub fn redeemed(&mut self, answer: &Redeemed) -> Todo {
        let redeemed = Authorization {
            at: answer.at,
            is_withdrawal: false,
            code_id: code_id(&answer.code),
            is_provisional: answer.from_browser,
        };
        let is_newest = !self.newest.is_withdrawal && self.newest.code_id == redeemed.code_id;
        let mut todo = Todo::Nothing;
        if !is_newest {
            let by_this_clock = self.newest.is_provisional || redeemed.is_provisional;
            self.newest = match redeemed > self.newest {
                true => redeemed,
                false if !by_this_clock => return Todo::Nothing,
                // WeChat has just accepted the code, whatever this machine's clock says.
                false if self.newest.is_withdrawal => {
                    todo = Todo::Refresh;
                    Authorization {
                        at: self.newest.at,
                        ..redeemed
                    }
                }
                false if self.newest.is_provisional => redeemed,
                // Another code came with a later event, and may be redeemed already.
                false => return Todo::AskList,
            };
        }
        self.code = None;
        self.permission_sets.clone_from(&answer.permission_sets);
        // If the old one is no longer valid, WeChat says so at the next refresh, and the list is asked.
        if answer.refresh_token.is_some() {
            self.refresh_token.clone_from(&answer.refresh_token);
        }
        self.state = State::Active;
        todo
    }

    /// Another process redeemed the code, for a browser that brought it.
    pub fn code_redeemed_elsewhere(&mut self, code: &Secret) -> Todo {
        self.code.take_if(|ours| ours.value == *code);
        if self.is_usable() {
            return Todo::Nothing;
        }
        // What it brought is not here: the record was not stored.
        Todo::AskList
    }

    /// WeChat refused a code as used or expired.
    pub fn code_refused(&mut self, code: &Secret) -> Todo {
        if self.code.as_ref().is_none_or(|ours| ours.value != *code) {
            return Todo::Nothing;
        }
        self.code = None;
        Todo::AskList
    }

    /// WeChat answered a refresh that sent this refresh token.
    pub fn refreshed(&mut self, sent: &Secret, returned: Option<&Secret>) {
        if self.refresh_token.as_ref() == Some(sent)
            && let Some(returned) = returned
        {
            self.refresh_token = Some(returned.clone());
        }
    }

    /// WeChat refused a refresh that sent this refresh token. Load the record again first: another node may
    /// have a newer one.
    pub fn refresh_refused(&mut self, sent: &Secret, refusal: RefreshRefusal) -> Todo {
        match &self.refresh_token {
            None => Todo::Nothing,
            Some(ours) if ours != sent => Todo::Refresh,
            Some(_) if self.code.as_ref().is_some_and(|code| !code.is_claimed) => Todo::Redeem,
            Some(_) => match refusal {
                RefreshRefusal::NotAuthorized => self.stop(State::Missing),
                RefreshRefusal::InvalidToken => Todo::AskList,
            },
        }
    }

    /// WeChat's list was read to its end, with or without this account. `refused` is the refresh token that
    /// WeChat refused, if that is why the list was asked.
    pub fn listed(&mut self, listed: Option<&Listed>, refused: Option<&Secret>) -> Todo {
        let Some(listed) = listed else {
            return self.not_in_list(refused);
        };
        if self.state == State::Active && refused.is_none() && self.has_claimed_code() {
            // The list does not tell whether the code was redeemed; an account with a token does not need it.
            match &listed.refresh_token {
                Some(_) => self.code = None,
                None => return self.without_token(None),
            }
        }
        // The list may lag behind an event. Without an event, the list is all there is.
        let is_late = match self.state {
            State::Withdrawn => listed.auth_time <= self.newest.at,
            State::Pending | State::Missing | State::NeedsAuthorization => false,
            State::Active => refused.is_none() && listed.auth_time < self.newest.at,
        };
        if is_late {
            return Todo::Nothing;
        }
        let Some(token) = listed
            .refresh_token
            .as_ref()
            .filter(|token| Some(*token) != refused)
        else {
            return self.without_token(refused);
        };
        if self.refresh_token.as_ref() == Some(token) && self.state == State::Active {
            return Todo::Nothing;
        }
        if listed.auth_time > self.newest.at {
            self.newest = Authorization {
                at: listed.auth_time,
                ..Authorization::default()
            };
            self.code = None;
        }
        // The account's code was redeemed: only then the list has a token.
        self.code.take_if(|code| code.is_claimed);
        self.refresh_token = Some(token.clone());
        self.state = State::Active;
        Todo::Refresh
    }

    /// The list says only that it is not there yet, unless WeChat refused the token or the code.
    fn not_in_list(&mut self, refused: Option<&Secret>) -> Todo {
        match self.state {
            State::Active if refused.is_none() && !self.has_claimed_code() => Todo::Nothing,
            State::Pending | State::Active | State::NeedsAuthorization => {
                self.without_token(refused)
            }
            State::Withdrawn | State::Missing => Todo::Nothing,
        }
    }

    fn has_claimed_code(&self) -> bool {
        self.code.as_ref().is_some_and(|code| code.is_claimed)
    }

    /// WeChat has no refresh token for it, or only the refused one.
    fn without_token(&mut self, refused: Option<&Secret>) -> Todo {
        // A claimed code that the list has no token for was not redeemed: the process died before.
        if let Some(code) = &mut self.code {
            code.is_claimed = false;
            return Todo::Redeem;
        }
        if refused.is_some() && self.refresh_token.as_ref() == refused {
            self.refresh_token = None;
        }
        if self.refresh_token.is_some() {
            // Another node has replaced the refused one.
            return refused.map_or(Todo::Nothing, |_| Todo::Refresh);
        }
        if refused.is_none() && self.has_no_permission() {
            return Todo::Nothing;
        }
        self.state = State::NeedsAuthorization;
        Todo::Alert
    }

    fn stop(&mut self, state: State) -> Todo {
        self.state = state;
        self.code = None;
        self.refresh_token = None;
        self.permission_sets.clear();
        Todo::Stop
    }
}

/// WeChat allows thirty characters.
pub const LONGEST_NAME: usize = 60;
