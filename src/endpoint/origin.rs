//! Decides which pages of other origins may read an answer: those on the accounts' safe domains.

use crate::broker::Broker;

/// Returns whether the origin's host is a safe domain of the account. An empty `account` means the default
/// one. The port does not matter, since WeChat's rule has none.
#[must_use]
pub fn may_read(broker: &Broker, account: &str, origin: &str) -> bool {
    let accounts = broker.accounts();
    let Ok((_, account)) = accounts.get(account) else {
        return false;
    };
    host_of(origin).is_some_and(|host| account.allows_host(&host))
}

/// Returns the host of an origin as browsers write it: lower case, without a default port, a path or a
/// user name. No browser sends another spelling, and echoing one would be a guess at its meaning.
fn host_of(origin: &str) -> Option<String> {
    let url = url::Url::parse(origin)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))?;
    if url.origin().ascii_serialization() != origin {
        return None;
    }
    url.host_str().map(str::to_owned)
}
