//! What a request's API key may do on the admin listener. A key without access to an account does not
//! learn whether the account exists.

use std::sync::Arc;

use actix_web::HttpRequest;
use arc_swap::ArcSwap;
use tracing::debug;

use super::authentication::key_of_request;
use super::{ApiKey, ApiKeys, TokenStyle};
use crate::broker::Broker;
use crate::credential::{KeyId, Kind};
use crate::endpoint::Problem;
use crate::error::{ProblemCode, Text};

/// Returns the name of the request's key if it is limited neither to accounts nor to kinds.
pub(crate) fn admit_unlimited(
    request: &HttpRequest,
    keys: &ArcSwap<ApiKeys>,
) -> Result<String, Problem> {
    let keys = keys.load();
    let key = key_of_request(request, &keys)?;
    if key.accounts.is_some() || key.kinds.is_some() {
        return Err(Problem::new(
            ProblemCode::Forbidden,
            "the API key is limited to some accounts or kinds",
            Text::new(
                "A reload concerns every account: use an API key without accounts and kinds, or send SIGHUP.",
                "重新加载涉及全部账号：请使用未限定 accounts 与 kinds 的 API key，或发送 SIGHUP。",
            ),
        ));
    }
    Ok(key.name.clone())
}

/// Returns the request's key if it manages this account or, without one, if it manages accounts.
pub(crate) fn admit_manager(
    request: &HttpRequest,
    account: Option<&str>,
    keys: &ArcSwap<ApiKeys>,
) -> Result<Arc<ApiKey>, Problem> {
    let keys = keys.load();
    let key = key_of_request(request, &keys)?;
    if key.manage && account.is_none_or(|account| key.opens_account(account)) {
        return Ok(key.clone());
    }
    Err(Problem::new(
        ProblemCode::Forbidden,
        "the API key is valid, but does not manage this account",
        Text::new(
            "Set manage = true for the key in server.api_keys. If it has accounts, add the account to them.",
            "请在 server.api_keys 中为该 key 设置 manage = true；如有 accounts，请加上此账号。",
        ),
    ))
}

/// Returns the kind of this name and the key's id, if the request's key opens the kind for this account.
pub(crate) fn admit_key(
    request: &HttpRequest,
    broker: &Broker,
    account: &str,
    kind: &str,
    keys: &ArcSwap<ApiKeys>,
) -> Result<(Kind, KeyId), Problem> {
    let keys = keys.load();
    let key = key_of_request(request, &keys)?;
    let kind = kind.parse::<Kind>().map_err(|_| Problem::unknown_kind())?;
    if !key.opens(account, kind) {
        debug!(key = key.name, %kind, "API key has no access to this credential");
        return Err(forbidden());
    }
    if key.token == TokenStyle::Virtual && kind == Kind::AccessToken {
        return Err(only_virtual());
    }
    let accounts = broker.accounts();
    // An unknown name is arbitrary text from the request, which may be a key.
    let account = accounts.get(account).ok().map(|(name, _)| name);
    debug!(key = key.name, account, %kind, path = request.match_pattern(), "credential call");
    Ok((kind, key.id()))
}

/// The same answer whether or not the account exists.
pub(in crate::actix) fn forbidden() -> Problem {
    Problem::new(
        ProblemCode::Forbidden,
        "the API key is valid, but does not allow this account and kind",
        Text::new(
            "Add the account to the key's accounts, or the kind to its kinds, in server.api_keys.",
            "请在 server.api_keys 中为该 key 的 accounts 加上此账号、kinds 加上此类凭证。",
        ),
    )
}

/// The answer to a key that gets virtual tokens: the real one does not leave this server.
fn only_virtual() -> Problem {
    Problem {
        hint: Text::new(
            "This key has token = \"virtual\": it gets its token from /cgi-bin/token, and calls WeChat through the gateway.",
            "该 key 配置了 token = \"virtual\"：请从 /cgi-bin/token 获取虚拟 token，并通过网关调用微信。",
        ),
        ..forbidden()
    }
}
