//! Credentials and the rule that decides when one is fresh, due or expired.
//!
//! Pure data and functions; `broker` fetches and keeps credentials.

mod secret;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

pub use secret::Secret;

use crate::clock::UnixTime;

/// The kind of a credential. The parent of a ticket is the access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `access_token`: needed to fetch every ticket.
    AccessToken,
    /// `jsapi_ticket`: signs `wx.config`.
    JsapiTicket,
    /// `api_ticket` of type `wx_card`: signs `wx.addCard` and `wx.chooseCard`.
    CardTicket,
    /// The app's ticket of type `agent_config`: signs WeCom's `wx.agentConfig`.
    AgentTicket,
}

impl Kind {
    /// All kinds, parents first.
    pub const ALL: [Self; 4] = [
        Self::AccessToken,
        Self::JsapiTicket,
        Self::CardTicket,
        Self::AgentTicket,
    ];

    /// Returns the name used in URLs, logs, metrics and keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::JsapiTicket => "jsapi_ticket",
            Self::CardTicket => "card_ticket",
            Self::AgentTicket => "agent_ticket",
        }
    }

    /// Returns the kind needed to fetch this one; `None` for the access token, which is fetched with the
    /// AppSecret.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        (self != Self::AccessToken).then_some(Self::AccessToken)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
            format!("must be one of: access_token, jsapi_ticket, card_ticket, agent_ticket (got \"{name}\")")
        })
    }
}

/// Identifies an app on a platform. Never contains a secret, nor a nickname, which may change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppKey {
    /// `official`, `mini`, `work`, `component` (an open platform), or `authorizer` (an account that authorised
    /// one).
    pub platform: &'static str,
    /// The AppID, or WeCom's CorpID.
    pub id: Arc<str>,
    /// WeCom's AgentId: each app of a corp has its own tokens.
    pub agent_id: Option<u64>,
    /// The component_appid of the open platform that acts for the account. Its tokens and the account's own do
    /// not retire each other.
    pub component: Option<Arc<str>>,
}

impl AppKey {
    /// Whether the app is a WeCom app.
    #[must_use]
    pub fn is_work(&self) -> bool {
        self.agent_id.is_some()
    }
}

impl fmt::Display for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.platform, self.id)?;
        self.agent_id
            .map_or(Ok(()), |agent| write!(f, ":{agent}"))?;
        let component = self.component.as_deref();
        component.map_or(Ok(()), |component| write!(f, "@{component}"))
    }
}

/// Identifies one credential: `official:wx0123456789abcdef:jsapi_ticket`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialKey {
    /// The app that it belongs to.
    pub app: AppKey,
    /// Its kind.
    pub kind: Kind,
}

impl fmt::Display for CredentialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.app, self.kind)
    }
}

/// A token or a ticket with its lifetime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The token or ticket itself.
    pub value: Secret,
    /// When it was first seen; its life starts here.
    pub issued_at: UnixTime,
    /// When WeChat stops accepting it.
    pub expires_at: UnixTime,
    /// Time of the refresh that brought it, in milliseconds. A lower generation never replaces a higher
    /// one.
    pub generation: u64,
}

/// What to do with a credential at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// Serve it.
    Fresh,
    /// Serve it, and refresh it in the background.
    Due,
    /// Do not serve it: WeChat would refuse a page signed with it with `config:invalid signature`, which is
    /// worse than a plain error.
    Expired,
}

/// How long before its end a credential is refreshed.
///
/// `stable_token` rotates only in the last five minutes and returns the same token before that
/// (<https://developers.weixin.qq.com/minigame/dev/api-backend/open-api/access-token/auth.getStableAccessToken.html>).
/// So the lead must fit inside those five minutes, with room for a minute of failures.
pub const LEAD: Duration = Duration::from_secs(240);

/// Spread of the lead, so that accounts started together are not refreshed in the same second.
pub const LEAD_SPREAD: Duration = Duration::from_secs(60);

/// How long before its end a credential is no longer served: the page still has to carry the signature to
/// the phone, and the phone to WeChat.
pub const MARGIN: Duration = Duration::from_secs(5);

/// WeChat promises "within 7200" seconds; a value above one day is an error.
const MAX_LIFE: Duration = Duration::from_secs(86_400);

/// Generations are times in milliseconds. Above this limit there may be no higher one left.
const MAX_GENERATION: u64 = u64::MAX / 2;

impl Credential {
    /// Checks whether this can be a credential. A stored credential has to pass the same checks as an
    /// answer of WeChat.
    ///
    /// # Errors
    /// Describes the problem without the value.
    pub fn check(&self) -> Result<(), String> {
        self.value
            .check()
            .map_err(|why| format!("the value {why}"))?;
        check_life(self.expires_at.0.saturating_sub(self.issued_at.0))?;
        if self.generation > MAX_GENERATION {
            return Err("a generation that is not a time".into());
        }
        Ok(())
    }

    /// Returns the whole life as promised by WeChat.
    #[must_use]
    pub fn life(&self) -> Duration {
        self.expires_at.since(self.issued_at)
    }

    /// Returns the remaining life, which is the number to hand out as `expires_in`.
    #[must_use]
    pub fn remaining(&self, now: UnixTime) -> Duration {
        self.expires_at.since(now)
    }

    /// Returns the freshness at a time. `lead` comes from [`Credential::lead`].
    #[must_use]
    pub fn freshness(&self, now: UnixTime, lead: Duration) -> Freshness {
        let remaining = self.remaining(now);
        if now >= self.served_until() {
            Freshness::Expired
        } else if remaining <= lead {
            Freshness::Due
        } else {
            Freshness::Fresh
        }
    }

    /// Returns until when it is served: [`MARGIN`] before its end, and never more than a twentieth of its
    /// life.
    #[must_use]
    pub fn served_until(&self) -> UnixTime {
        let margin = MARGIN.min(self.life() / 20);
        UnixTime(self.expires_at.0.saturating_sub(margin.as_secs()))
    }

    /// Returns how long before its end this credential is refreshed: [`LEAD`], minus a part of
    /// [`LEAD_SPREAD`] selected by `spread` (any number that is constant for the credential), and never
    /// more than a quarter of its life. `stable_token` reports the *remaining* life, which may be short; a
    /// fixed lead would then cause endless refreshes.
    #[must_use]
    pub fn lead(&self, spread: u64) -> Duration {
        let spread = Duration::from_secs(spread % (LEAD_SPREAD.as_secs() + 1));
        (LEAD - spread).min(self.life() / 4)
    }

    /// Returns when it becomes [`Freshness::Due`].
    #[must_use]
    pub fn due_at(&self, spread: u64) -> UnixTime {
        UnixTime(
            self.expires_at
                .0
                .saturating_sub(self.lead(spread).as_secs()),
        )
    }
}

/// Checks whether a token or ticket can have this many seconds to live.
///
/// # Errors
/// Names the number of seconds.
pub fn check_life(seconds: u64) -> Result<Duration, String> {
    let life = Duration::from_secs(seconds);
    if life.is_zero() || life > MAX_LIFE {
        return Err(format!("a validity of {seconds} s"));
    }
    Ok(life)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(issued: u64, life: u64) -> Credential {
        Credential {
            value: Secret::new("value"),
            issued_at: UnixTime(issued),
            expires_at: UnixTime(issued + life),
            generation: issued * 1_000,
        }
    }

    #[test]
    fn a_two_hour_credential_is_fresh_then_due_in_the_last_four_minutes_then_expired() {
        let c = credential(1_000, 7_200);
        let lead = c.lead(0);
        assert_eq!(lead, LEAD);
        assert_eq!(c.freshness(UnixTime(1_000), lead), Freshness::Fresh);
        assert_eq!(
            c.freshness(UnixTime(1_000 + 7_200 - 241), lead),
            Freshness::Fresh
        );
        assert_eq!(
            c.freshness(UnixTime(1_000 + 7_200 - 240), lead),
            Freshness::Due
        );
        assert_eq!(
            c.freshness(UnixTime(1_000 + 7_200 - 6), lead),
            Freshness::Due
        );
        assert_eq!(
            c.freshness(UnixTime(1_000 + 7_200 - 5), lead),
            Freshness::Expired
        );
        assert_eq!(c.freshness(UnixTime(99_999), lead), Freshness::Expired);
    }

    #[test]
    fn the_lead_always_fits_inside_the_five_minutes_in_which_a_stable_token_rotates() {
        for spread in 0..1_000 {
            let lead = credential(0, 7_200).lead(spread);
            assert!(
                lead < Duration::from_secs(300) && lead >= Duration::from_secs(180),
                "{lead:?}"
            );
        }
    }

    #[test]
    fn accounts_started_together_are_due_at_different_seconds() {
        let due: std::collections::HashSet<_> = (0..61)
            .map(|spread| credential(0, 7_200).due_at(spread))
            .collect();
        assert_eq!(due.len(), 61);
    }

    #[test]
    fn a_short_remaining_life_does_not_make_a_credential_due_at_once() {
        // silenceper: `expires_in - 1500` went below zero in stable mode.
        for life in [4, 20, 60, 300, 310, 1_200] {
            let c = credential(0, life);
            assert_eq!(
                c.freshness(UnixTime(0), c.lead(0)),
                Freshness::Fresh,
                "a life of {life} s"
            );
        }
    }

    #[test]
    fn what_is_left_is_never_more_than_the_life_and_never_below_zero() {
        let c = credential(1_000, 7_200);
        assert_eq!(
            c.remaining(UnixTime(1_000 + 7_100)),
            Duration::from_secs(100)
        );
        assert_eq!(c.remaining(UnixTime(1_000 + 9_000)), Duration::ZERO);
    }

    #[test]
    fn a_secret_prints_as_nothing_of_itself() {
        let secret = Secret::new("0c79e1fa963cd80cc0be99b20a18faeb");
        assert_eq!(
            format!("{secret} {secret:?} {:#?}", Some(&secret)),
            "[secret] [secret] Some(\n    [secret],\n)"
        );
        let c = Credential {
            value: secret,
            ..credential(0, 1)
        };
        assert!(!format!("{c:?}").contains("0c79"));
    }

    #[test]
    fn what_wechat_cannot_have_given_is_no_credential_and_the_reason_tells_no_value() {
        assert_eq!(credential(1_000, 7_200).check(), Ok(()));
        let valued = |value: &str| Credential {
            value: Secret::new(value),
            ..credential(1_000, 7_200)
        };
        for (impossible, why) in [
            (valued(""), "empty"),
            (valued("A\r\nX-Evil: 1"), "blanks"),
            (valued("two words"), "blanks"),
            (valued("票据"), "characters"),
            (valued(&"x".repeat(4_097)), "4097 bytes"),
            (credential(1_000, 0), "a validity of 0 s"),
            (credential(1_000, 86_401), "a validity of 86401 s"),
            (
                Credential {
                    generation: u64::MAX,
                    ..valued("x")
                },
                "generation",
            ),
        ] {
            let reason = impossible.check().unwrap_err();
            assert!(reason.contains(why) && !reason.contains("Evil"), "{reason}");
        }
        assert_eq!(valued(&"x".repeat(4_096)).check(), Ok(()));
        assert_eq!(credential(1_000, 86_400).check(), Ok(()));
    }

    #[test]
    fn keys_hold_platform_app_agent_and_kind_and_nothing_else() {
        let official = AppKey {
            platform: "official",
            id: "wx12ab".into(),
            agent_id: None,
            component: None,
        };
        let work = AppKey {
            platform: "work",
            id: "ww12ab".into(),
            agent_id: Some(1_000_002),
            component: None,
        };
        let key = |app: &AppKey, kind| {
            CredentialKey {
                app: app.clone(),
                kind,
            }
            .to_string()
        };
        assert_eq!(
            key(&official, Kind::JsapiTicket),
            "official:wx12ab:jsapi_ticket"
        );
        assert_eq!(
            key(&work, Kind::AgentTicket),
            "work:ww12ab:1000002:agent_ticket"
        );
        assert_ne!(
            key(&work, Kind::AccessToken),
            key(
                &AppKey {
                    agent_id: Some(1),
                    component: None,
                    ..work.clone()
                },
                Kind::AccessToken
            )
        );
    }

    #[test]
    fn kinds_are_read_by_the_names_they_are_written_with() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse::<Kind>(), Ok(kind));
        }
        assert!(
            "ticket"
                .parse::<Kind>()
                .unwrap_err()
                .contains("jsapi_ticket")
        );
        assert_eq!(Kind::AccessToken.parent(), None);
        assert_eq!(Kind::CardTicket.parent(), Some(Kind::AccessToken));
    }
}
