//! The text of a platform's records: JSON, for a store that keeps it as it is.
//!
//! What a store returns may be damaged or changed: values that WeChat cannot have issued are no record.

use serde::{Deserialize, Serialize};

use super::authorizer::{Authorization, Authorizer, Code, Profile, State};
use super::ticket::PlatformTicket;
use crate::account::is_app_id;
use crate::clock::UnixTime;
use crate::credential::Secret;

#[derive(Serialize, Deserialize)]
struct TicketRecord {
    value: String,
    create_time: u64,
    previous: Option<(String, u64)>,
}

#[derive(Serialize, Deserialize)]
struct AuthorizerRecord {
    app_id: String,
    state: StateRecord,
    at: u64,
    is_withdrawal: bool,
    code_id: String,
    is_provisional: bool,
    code: Option<CodeRecord>,
    refresh_token: Option<String>,
    permission_sets: Vec<u32>,
    nick_name: Option<String>,
    is_mini: Option<bool>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "State", rename_all = "snake_case")]
enum StateDef {
    Pending,
    Active,
    NeedsAuthorization,
    Withdrawn,
    Missing,
}

#[derive(Serialize, Deserialize)]
struct StateRecord(#[serde(with = "StateDef")] State);

#[derive(Serialize, Deserialize)]
struct CodeRecord {
    value: String,
    expires_at: Option<u64>,
    is_claimed: bool,
}

impl PlatformTicket {
    /// Returns the text to store. It contains the tickets.
    #[must_use]
    pub fn write(&self) -> Secret {
        write(&TicketRecord {
            value: self.value.expose().to_owned(),
            create_time: self.create_time.0,
            previous: self
                .previous
                .as_ref()
                .map(|(value, time)| (value.expose().to_owned(), time.0)),
        })
    }

    /// Reads the output of [`PlatformTicket::write`]; `None` for anything else.
    #[must_use]
    pub fn read(text: &Secret) -> Option<Self> {
        let record: TicketRecord = serde_json::from_str(text.expose()).ok()?;
        let previous = match record.previous {
            Some((value, time)) => Some((secret(value)?, UnixTime(time))),
            None => None,
        };
        Some(Self {
            value: secret(record.value)?,
            create_time: UnixTime(record.create_time),
            previous,
        })
    }
}

impl Authorizer {
    /// Returns the text to store. It contains the refresh token and the code.
    #[must_use]
    pub fn write(&self) -> Secret {
        write(&AuthorizerRecord {
            app_id: self.app_id.clone(),
            state: StateRecord(self.state),
            at: self.newest.at.0,
            is_withdrawal: self.newest.is_withdrawal,
            code_id: self.newest.code_id.clone(),
            is_provisional: self.newest.is_provisional,
            code: self.code.as_ref().map(|code| CodeRecord {
                value: code.value.expose().to_owned(),
                expires_at: code.expires_at.map(|time| time.0),
                is_claimed: code.is_claimed,
            }),
            refresh_token: self
                .refresh_token
                .as_ref()
                .map(|token| token.expose().to_owned()),
            permission_sets: self.permission_sets.clone(),
            nick_name: self
                .profile
                .as_ref()
                .map(|profile| profile.nick_name.clone()),
            is_mini: self.profile.as_ref().map(|profile| profile.is_mini),
        })
    }

    /// Reads the output of [`Authorizer::write`]; `None` for anything else.
    #[must_use]
    pub fn read(text: &Secret) -> Option<Self> {
        let record: AuthorizerRecord = serde_json::from_str(text.expose()).ok()?;
        let code = match record.code {
            Some(code) => Some(Code {
                value: secret(code.value)?,
                expires_at: code.expires_at.map(UnixTime),
                is_claimed: code.is_claimed,
            }),
            None => None,
        };
        let refresh_token = match record.refresh_token {
            Some(token) => Some(secret(token)?),
            None => None,
        };
        is_app_id(&record.app_id).then_some(Self {
            app_id: record.app_id,
            state: record.state.0,
            newest: Authorization {
                at: UnixTime(record.at),
                is_withdrawal: record.is_withdrawal,
                code_id: record.code_id,
                is_provisional: record.is_provisional,
            },
            code,
            refresh_token,
            permission_sets: record.permission_sets,
            profile: record.is_mini.map(|is_mini| Profile {
                nick_name: record.nick_name.unwrap_or_default(),
                is_mini,
            }),
        })
    }
}

fn write(record: &impl Serialize) -> Secret {
    Secret::new(serde_json::to_string(record).expect("strings and numbers are JSON"))
}

fn secret(value: String) -> Option<Secret> {
    let secret = Secret::new(value);
    secret.check().is_ok().then_some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(value: &str) -> PlatformTicket {
        PlatformTicket {
            value: Secret::new(value),
            create_time: UnixTime(7),
            previous: Some((Secret::new("ticket@@@before"), UnixTime(5))),
        }
    }

    fn authorizer(app_id: &str, token: &str, state: State) -> Authorizer {
        Authorizer {
            app_id: app_id.to_owned(),
            state,
            newest: Authorization {
                at: UnixTime(7),
                is_withdrawal: state == State::Withdrawn,
                code_id: "0a".to_owned(),
                is_provisional: state == State::Active,
            },
            code: (state == State::Pending).then(|| Code {
                value: Secret::new("queryauthcode@@@x"),
                expires_at: Some(UnixTime(9)),
                is_claimed: true,
            }),
            refresh_token: Some(Secret::new(token)),
            permission_sets: vec![1, 2],
            profile: (state != State::Pending).then(|| Profile {
                nick_name: "例".to_owned(),
                is_mini: state == State::Missing,
            }),
        }
    }

    #[test]
    fn a_record_round_trips() {
        let first = PlatformTicket {
            previous: None,
            ..ticket("ticket@@@x")
        };
        for written in [ticket("ticket@@@x"), first] {
            assert_eq!(PlatformTicket::read(&written.write()), Some(written));
        }
        for state in [
            State::Pending,
            State::Active,
            State::NeedsAuthorization,
            State::Withdrawn,
            State::Missing,
        ] {
            let written = authorizer("wx1", "refreshtoken@@@x", state);
            assert_eq!(Authorizer::read(&written.write()), Some(written));
        }
    }

    #[test]
    fn a_record_with_an_impossible_value_is_rejected() {
        for value in ["", "a b", "a\nb"] {
            assert_eq!(PlatformTicket::read(&ticket(value).write()), None);
            let written = authorizer("wx1", value, State::Active);
            assert_eq!(Authorizer::read(&written.write()), None);
        }
        let written = authorizer("wx1:evil", "t", State::Active);
        assert_eq!(Authorizer::read(&written.write()), None);
        for text in ["", "{}", "null", "{\"value\":\"a\"}"] {
            assert_eq!(PlatformTicket::read(&Secret::new(text)), None);
            assert_eq!(Authorizer::read(&Secret::new(text)), None);
        }
    }
}
