//! Base URLs of SDKs: a doubled slash, and `/wx/{account}` in front of WeChat's path.

use actix_http::{HttpMessage as _, Request};
use actix_web::http::uri::PathAndQuery;

use crate::actix::dropin::BaseAccount;
use crate::actix::keys::CallPath;

/// Rewrites the path of a call that is meant for WeChat. SDKs double the slash if their base URL ends in one;
/// a base URL `http://…/wx/{account}` names the account, which is kept as [`BaseAccount`].
pub(super) fn readdress(request: &mut Request) {
    let uri = &request.head().uri;
    let path = uri.path();
    if !path.starts_with("//") && !path.starts_with(BASE) {
        return;
    }
    let single = format!("/{}", path.trim_start_matches('/'));
    let (account, rest) = match single
        .strip_prefix(BASE)
        .and_then(|rest| rest.split_once('/'))
    {
        Some((account, rest)) => (Some(account.to_owned()), format!("/{rest}")),
        None => (None, single),
    };
    if !CallPath::parse(&rest).is_some_and(CallPath::is_known) {
        return;
    }
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

/// The start of a base URL's path that names an account.
const BASE: &str = "/wx/";
