//! Base URLs of SDKs: a doubled slash, and `/wx/{account}` in front of WeChat's path. And paths that are too long
//! for the router.

use actix_http::{HttpMessage as _, Request};
use actix_web::http::uri::PathAndQuery;

use crate::actix::dropin::BaseAccount;
use crate::actix::wechat_path::{WechatPath, base_accounts};

/// Rewrites the path of a call that is meant for WeChat. SDKs double the slash if their base URL ends in one;
/// a base URL `http://…/wx/{account}` names the account, which is kept as [`BaseAccount`]. The account of an open
/// platform has two segments: `http://…/wx/{platform}/{appid}`.
pub(super) fn rewrite_base_url(request: &mut Request) {
    let uri = &request.head().uri;
    let path = uri.path();
    if !path.starts_with("//") && !path.starts_with("/wx/") {
        return;
    }
    let is_known = |path: &str| WechatPath::parse(path).is_some_and(WechatPath::is_known);
    let (account, rest) = match base_accounts(path).find(|(_, rest)| is_known(rest)) {
        Some((account, rest)) => (Some(account.to_owned()), rest),
        None if is_known(path) => (None, path),
        None => return,
    };
    let rest = rest.trim_start_matches('/');
    let target = match uri.query() {
        Some(query) => format!("/{rest}?{query}"),
        None => format!("/{rest}"),
    };
    let Ok(target) = PathAndQuery::try_from(target) else {
        return;
    };
    request.head_mut().uri = target.into();
    if let Some(account) = account {
        request.extensions_mut().insert(BaseAccount(account));
    }
}

/// Cuts a path that is longer than that of any route: the router compares it with each of their patterns, which takes
/// tens of milliseconds for the longest path of actix-http. It is answered like any other unknown path.
pub(super) fn cut_long_path(request: &mut Request) {
    let path = request.head().uri.path();
    if path.len() <= MAX_PATH {
        return;
    }
    let cut = PathAndQuery::try_from(&path[..path.floor_char_boundary(MAX_PATH)]);
    let cut = cut.unwrap_or_else(|_| PathAndQuery::from_static("/"));
    request.head_mut().uri = cut.into();
}

/// Longer than the path of any route, percent-encoded: a callback path of the configuration has 200 characters.
const MAX_PATH: usize = 1_024;
