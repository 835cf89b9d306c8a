//! What WeChat reports to an open platform.

use crate::clock::UnixTime;
use crate::credential::Secret;

/// A decrypted push on the URL for authorisation events (授权事件接收URL).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushEvent {
    /// When WeChat made it, by WeChat's clock. A repeated push has the same time.
    pub create_time: UnixTime,
    /// What it says.
    pub kind: EventKind,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A new component_verify_ticket, every ten minutes.
    Ticket(Secret),
    /// An account authorised the platform. If it did before, or changed its permission sets, its access token is dead.
    Authorized(AuthorizationCode),
    /// An account withdrew its authorisation.
    Unauthorized {
        /// The account's AppID.
        authorizer: String,
    },
    /// A mini program was registered by the platform; with a code if that succeeded.
    FastRegistration(Option<AuthorizationCode>),
    /// Any other event, with the beginning of its InfoType. Answer `success` and count it.
    Unknown(String),
}

/// A code to be redeemed once for an account's refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationCode {
    /// The account's AppID.
    pub authorizer: String,
    /// The code.
    pub code: Secret,
    /// When WeChat stops accepting it, if the event says so.
    pub expires_at: Option<UnixTime>,
}
