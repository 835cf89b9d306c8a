//! The endpoints as actix-web scopes, for an embedding application or for `server`. The
//! [crate's page](crate) has an example.

#[cfg(feature = "server")]
mod access_log;
mod cors;
mod credentials;
#[cfg(feature = "diagnose")]
mod diagnose;
mod domain_verification;
#[cfg_attr(not(feature = "server"), allow(dead_code))] // the gateway answers in the same shapes
mod dropin;
#[cfg(feature = "server")]
mod fast_path;
#[cfg(feature = "server")]
mod gateway;
pub(crate) mod json_body;
mod key_lockout;
#[cfg_attr(not(feature = "server"), allow(dead_code))] // the gateway has other calls
mod keys;
mod limit;
#[cfg_attr(not(feature = "diagnose"), allow(dead_code))]
pub(crate) mod own_thread;
mod problem;
mod public;
#[cfg(feature = "platform")]
mod push;
mod request_stats;
#[cfg_attr(not(feature = "server"), allow(dead_code))] // the gateway asks more of a path
mod wechat_path;

use std::net::IpAddr;

use actix_web::{HttpRequest, Route, guard, web};

pub use credentials::credentials_scope;
#[cfg(feature = "diagnose")]
pub use diagnose::{Doctor, diagnose_resource};
pub use domain_verification::verify_resource;
pub use dropin::dropin_scope;
pub use key_lockout::KeyLockout;
pub use keys::{ApiKey, ApiKeys, BadCall, Call, KeyHash, TokenStyle, new_key};
pub use public::{counted_scope, public_scope};
#[cfg(feature = "platform")]
pub use push::{APP_ID, FORWARDED, PushRoute, Pushes};
pub use request_stats::{ListenerName, OTHER_ROUTE, RequestStats, RouteRequests, UNKNOWN_ACCOUNT};
pub use wechat_path::WechatPath;

pub use crate::endpoint::{ClientIps, Problem, RateLimit};
#[cfg(feature = "server")]
pub use for_server::*;

/// What only the server uses.
#[cfg(feature = "server")]
mod for_server {
    pub(crate) use super::access_log::AccessLog;
    pub use super::access_log::RequestLog;
    pub(crate) use super::fast_path::FastPath;
    pub use super::gateway::GatewayOptions;
    pub(crate) use super::gateway::{CallOutcome, CallStats, Gateway, GatewayStats};
    pub(crate) use super::keys::API_KEY_PREFIX;
    pub(crate) use super::keys::authorization::{admit_key, admit_manager, admit_unlimited};
    pub(crate) use super::limit::check_rate_limit;
    pub(crate) use super::public::unknown_path;
    pub(crate) use super::push::app_id_in;
}

/// Returns a route for GET and HEAD.
pub(crate) fn read_route() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// Returns the address of the connection's peer.
fn peer_ip(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|peer| peer.ip().to_canonical())
}
