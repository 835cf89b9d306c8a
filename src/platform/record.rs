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
    create_time: UnixTime,
    previous: Option<(String, UnixTime)>,
}

#[derive(Serialize, Deserialize)]
struct AuthorizerRecord {
    app_id: String,
    state: State,
    #[serde(flatten)]
    newest: Authorization,
    code: Option<CodeRecord>,
    refresh_token: Option<String>,
    permission_sets: Vec<u32>,
    #[serde(flatten)]
    profile: Option<Profile>,
}

#[derive(Serialize, Deserialize)]
struct CodeRecord {
    value: String,
    expires_at: Option<UnixTime>,
    is_claimed: bool,
}

impl PlatformTicket {
    /// Returns the text to store. It contains the tickets.
    pub fn write(&self) -> Secret {
        let previous = self.previous.as_ref();
        write(&TicketRecord {
            value: self.value.expose().to_owned(),
            create_time: self.create_time,
            previous: previous.map(|(value, time)| (value.expose().to_owned(), *time)),
        })
    }

    /// Reads the output of [`PlatformTicket::write`]; `None` for anything else.
    #[must_use]
    pub fn read(text: &Secret) -> Option<Self> {
        let record: TicketRecord = serde_json::from_str(text.expose()).ok()?;
        let ticket = Self {
            value: Secret::new(record.value),
            create_time: record.create_time,
            previous: record
                .previous
                .map(|(value, time)| (Secret::new(value), time)),
        };
        let previous = ticket.previous.as_ref().map(|(value, _)| value);
        are_possible([Some(&ticket.value), previous]).then_some(ticket)
    }
}

impl Authorizer {
    /// Returns the text to store. It contains the refresh token and the code.
    pub fn write(&self) -> Secret {
        let token = self.refresh_token.as_ref();
        write(&AuthorizerRecord {
            app_id: self.app_id.clone(),
            state: self.state,
            newest: self.newest.clone(),
            code: self.code.as_ref().map(|code| CodeRecord {
                value: code.value.expose().to_owned(),
                expires_at: code.expires_at,
                is_claimed: code.is_claimed,
            }),
            refresh_token: token.map(|token| token.expose().to_owned()),
            permission_sets: self.permission_sets.clone(),
            profile: self.profile.clone(),
        })
    }

    /// Reads the output of [`Authorizer::write`]; `None` for anything else.
    #[must_use]
    pub fn read(text: &Secret) -> Option<Self> {
        let record: AuthorizerRecord = serde_json::from_str(text.expose()).ok()?;
        let account = Self {
            app_id: record.app_id,
            state: record.state,
            newest: record.newest,
            code: record.code.map(|code| Code {
                value: Secret::new(code.value),
                expires_at: code.expires_at,
                is_claimed: code.is_claimed,
            }),
            refresh_token: record.refresh_token.map(Secret::new),
            permission_sets: record.permission_sets,
            profile: record.profile,
        };
        let code = account.code.as_ref().map(|code| &code.value);
        let is_valid =
            is_app_id(&account.app_id) && are_possible([code, account.refresh_token.as_ref()]);
        is_valid.then_some(account)
    }
}

fn write(record: &impl Serialize) -> Secret {
    Secret::new(serde_json::to_string(record).expect("strings and numbers are JSON"))
}

/// Whether WeChat can have issued these values.
fn are_possible(secrets: [Option<&Secret>; 2]) -> bool {
    let mut secrets = secrets.into_iter().flatten();
    secrets.all(|secret| secret.check().is_ok())
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
    fn a_record_with_null_for_an_unknown_profile_is_read() {
        let text = r#"{"app_id":"wx1","state":"needs_authorization","at":7,"is_withdrawal":false,
            "code_id":"0a","is_provisional":false,"code":null,"refresh_token":"t",
            "permission_sets":[1,2],"nick_name":null,"is_mini":null}"#;
        let expected = Authorizer {
            profile: None,
            ..authorizer("wx1", "t", State::NeedsAuthorization)
        };
        assert_eq!(Authorizer::read(&Secret::new(text)), Some(expected));
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
