//! Checks of the tokens that open platforms were given: their own, and those for accounts.

use crate::clock::UnixTime;

use super::issued_values::Fate;
use super::reply::Refusal;
use super::simulated_endpoints::Call;
use super::simulator::Simulator;

/// Owner of a token that an open platform was given.
pub(super) enum PlatformToken {
    /// The platform's own token. `at` is the platform's index.
    Component { at: usize, fate: Fate },
    /// The token for an account that authorised the platform.
    Authorizer {
        at: usize,
        app_id: String,
        fate: Fate,
    },
}

impl Simulator {
    /// Returns the owner of a token, if an open platform got it.
    pub(super) fn platform_token(&self, token: &str, now: UnixTime) -> Option<PlatformToken> {
        self.components.iter().enumerate().find_map(|(at, it)| {
            if let Some(fate) = it.token.fate(token, now) {
                return Some(PlatformToken::Component { at, fate });
            }
            it.authorizers.iter().find_map(|authorizer| {
                Some(PlatformToken::Authorizer {
                    at,
                    app_id: authorizer.app_id.clone(),
                    fate: authorizer.tokens.fate(token, now)?,
                })
            })
        })
    }

    /// Returns the index of the app that a platform calls for.
    pub(super) fn on_behalf(
        &self,
        token: &str,
        call: &Call<'_>,
        now: UnixTime,
    ) -> Result<usize, Refusal> {
        match self.platform_token(token, now) {
            Some(PlatformToken::Authorizer { at, app_id, fate }) => {
                fate.require_alive(42001)?;
                self.components[at].check_address(call)?;
                self.position(&app_id).ok_or_else(|| Refusal::new(61003))
            }
            Some(PlatformToken::Component {
                fate: Fate::Alive, ..
            }) => Err(Refusal::new(61015)),
            _ => Err(Refusal::new(40001)),
        }
    }

    /// Returns the index of the platform whose token a call carries, and charges the call to it.
    pub(super) fn component_caller(
        &mut self,
        call: &Call<'_>,
        now: UnixTime,
    ) -> Result<usize, Refusal> {
        let token = call
            .filled("component_access_token")
            .or_else(|| call.filled("access_token"))
            .ok_or_else(|| Refusal::new(41021))?;
        let at = match self.platform_token(token, now) {
            Some(PlatformToken::Component { at, fate }) => {
                fate.require_alive(42006).map(|()| at)?
            }
            Some(PlatformToken::Authorizer { .. }) => return Err(Refusal::new(61014)),
            None => {
                let mut apps = self.apps.iter();
                let of_account = apps.any(|running| running.any_fate(token, now).is_some());
                return Err(Refusal::new(if of_account { 61014 } else { 40001 }));
            }
        };
        self.components[at].check_address(call)?;
        self.components[at].spend(call.endpoint, now)?;
        Ok(at)
    }
}
