//! Who calls: finds the configured key that a request presents, in its headers or elsewhere. Invalid keys count for
//! the lockout.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, web};

use super::{ApiKey, ApiKeys};
use crate::actix::key_lockout::KeyLockout;
use crate::endpoint::Problem;
use crate::error::{ProblemCode, Text};

/// Who presents a key: the connection's peer, the headers, and the limit that applies.
#[derive(Clone, Copy)]
pub(in crate::actix) struct Presenter<'a> {
    pub(in crate::actix) lockout: Option<&'a KeyLockout>,
    pub(in crate::actix) peer: Option<SocketAddr>,
    pub(in crate::actix) headers: &'a HeaderMap,
}

impl<'a> From<&'a HttpRequest> for Presenter<'a> {
    fn from(request: &'a HttpRequest) -> Self {
        Self {
            lockout: request
                .app_data::<web::Data<KeyLockout>>()
                .map(|data| &***data),
            peer: request.peer_addr(),
            headers: request.headers(),
        }
    }
}

impl Presenter<'_> {
    /// Returns the key with this text. `Err`: it is invalid, and its address is locked out for that long.
    pub(in crate::actix) fn find<'k>(
        self,
        keys: &'k ApiKeys,
        presented: &str,
    ) -> Result<Option<&'k Arc<ApiKey>>, Duration> {
        // First and in constant time, so that a valid key passes in either case.
        let found = keys.find(presented);
        if found.is_none()
            && let Some(lockout) = self.lockout
        {
            let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            lockout.count_wrong(presented, self.client(lockout).unwrap_or(unknown))?;
        }
        Ok(found)
    }

    fn client(self, lockout: &KeyLockout) -> Option<IpAddr> {
        Some(lockout.client(self.peer?, self.headers))
    }

    /// Logs that a client sent an account's AppSecret instead of an API key, at most once a minute.
    pub(in crate::actix) fn log_app_secret(self, account: &str) {
        if let Some(lockout) = self.lockout
            && lockout.may_log_secret()
        {
            let client = self.client(lockout).map(tracing::field::display);
            tracing::warn!(
                account,
                client,
                "client sent the AppSecret: configure its API key instead"
            );
        }
    }
}

/// Returns the configured key that the request carries in its headers, if any.
pub(in crate::actix) fn key_of_request<'k>(
    request: &HttpRequest,
    keys: &'k ApiKeys,
) -> Result<&'k Arc<ApiKey>, Problem> {
    let presented = presented(request.headers()).ok_or_else(unauthorized)?;
    let found = Presenter::from(request).find(keys, presented);
    found.map_err(locked_out)?.ok_or_else(unauthorized)
}

/// Returns the key text in the headers, unless it is missing or empty.
pub(in crate::actix) fn presented(headers: &HeaderMap) -> Option<&str> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let bearer = header("authorization").and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let mut keys = [bearer, header("x-api-key")].into_iter().flatten();
    keys.find(|key| !key.is_empty())
}

/// The answer to a missing and to an invalid key alike.
fn unauthorized() -> Problem {
    Problem::new(
        ProblemCode::Unauthorized,
        "the request has no API key, or an invalid one",
        Text::new(
            "Send Authorization: Bearer KEY. wx-jssdk keys new creates a key and its lines for the configuration.",
            "请发送请求头 Authorization: Bearer KEY。可用 wx-jssdk keys new 生成 API key 及其配置行。",
        ),
    )
}

fn locked_out(wait: Duration) -> Problem {
    Problem {
        retry_after: Some(wait),
        ..Problem::new(
            ProblemCode::LockedOut,
            "the API key is invalid, and too many different invalid ones came from this address",
            HINT,
        )
    }
}

const HINT: Text = Text::new(
    "Use a valid API key: it is accepted at once. Other invalid keys are checked again after Retry-After.",
    "请使用有效的 API key，可立即通过；其他无效的 key 要等 Retry-After 指定的时间后才会再次校验。",
);
