//! What WeChat answers about an account.

use crate::clock::UnixTime;
use crate::credential::Secret;

/// The answer to the redemption of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeemed {
    /// The redeemed code.
    pub code: Secret,
    /// When the code came: the event's CreateTime, or now if a browser brought it.
    pub at: UnixTime,
    /// Whether a browser brought the code, so that `at` is by this machine's clock.
    pub from_browser: bool,
    /// Missing if the account has no permission to call APIs.
    pub refresh_token: Option<Secret>,
    /// Ids of the permission sets that the account granted.
    pub permission_sets: Vec<u32>,
}

/// An account in WeChat's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Missing if the account's code was never redeemed.
    pub refresh_token: Option<Secret>,
    /// When the account authorised the platform.
    pub auth_time: UnixTime,
}

/// Why WeChat refuses a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshRefusal {
    /// The account is not authorised: its withdrawal was missed, or has not arrived yet.
    NotAuthorized,
    /// The refresh token is not valid: the account authorised again meanwhile.
    InvalidToken,
}
