//! The calls of an open platform (第三方平台): its own token, and those of the accounts that authorised it.
//!
//! <https://developers.weixin.qq.com/doc/oplatform/openApi/ticket-token/api_getauthorizeraccesstoken.html>

use serde_json::{Value, json};

use super::answer::Answer;
use super::endpoints::{
    AUTHORIZER_INFO, AUTHORIZER_LIST, AUTHORIZER_TOKEN, Endpoint, PRE_AUTH_CODE, QUERY_AUTH,
    SEND_MESSAGE, START_PUSH, endpoint_of,
};
use super::{Issued, Upstream};
use crate::account::Account;
use crate::clock::UnixTime;
use crate::credential::{Kind, Secret};
use crate::error::{Failure, UpstreamError};

/// The token of an account that authorised the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizerToken {
    /// The access token.
    pub issued: Issued,
    /// The refresh token to use from now on; usually the one that was sent.
    pub refresh_token: Option<Secret>,
}

/// The answer to the redemption of an authorisation code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorized {
    /// The account's AppID.
    pub app_id: String,
    /// Both tokens are missing if the account has no permission to call APIs.
    pub issued: Option<Issued>,
    /// See `issued`.
    pub refresh_token: Option<Secret>,
    /// Ids of the permission sets (权限集) that the account granted, which may be fewer than the platform has.
    pub permission_sets: Vec<u32>,
}

/// What WeChat knows of an account that authorised the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizerInfo {
    /// The account's name, as its followers see it.
    pub nick_name: String,
    /// Whether it is a mini program.
    pub is_mini: bool,
}

/// A part of the list of authorised accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizerPage {
    /// The number of all accounts.
    pub total: u64,
    /// AppID, refresh token and time of the authorisation. The refresh token is missing if the account's code
    /// was never redeemed.
    pub accounts: Vec<(String, Option<Secret>, UnixTime)>,
}

impl Upstream {
    /// The path by which WeChat counts [`Upstream::redeem`].
    pub(crate) const REDEEM: &str = QUERY_AUTH.path;
    /// The path of [`Upstream::authorizers`].
    pub(crate) const LIST: &str = AUTHORIZER_LIST.path;
    /// The path of [`Upstream::authorizer_info`].
    pub(crate) const INFO: &str = AUTHORIZER_INFO.path;
    /// The path of [`Upstream::pre_auth_code`].
    pub(crate) const PRE_AUTH_CODE: &str = PRE_AUTH_CODE.path;
    /// The paths whose spent quotas block a platform's calls, besides that of its own token.
    pub(crate) const OF_PLATFORM: [&str; 4] = [
        AUTHORIZER_TOKEN.path,
        Self::LIST,
        Self::INFO,
        Self::PRE_AUTH_CODE,
    ];

    /// Asks WeChat to push component_verify_tickets to this platform. The first comes within ten minutes.
    ///
    /// # Errors
    /// [`UpstreamError`], classified.
    pub async fn start_push(&self, platform: &Account) -> Result<(), UpstreamError> {
        let body = json!({
            "component_appid": platform.app_id(), "component_secret": platform.secret().expose(),
        });
        self.platform_post(platform, &START_PUSH, None, &[], body)
            .await
            .map(drop)
    }

    /// Fetches the platform's own token with a component_verify_ticket.
    ///
    /// # Errors
    /// [`UpstreamError`], classified.
    pub async fn component_token(
        &self,
        platform: &Account,
        ticket: &Secret,
    ) -> Result<Issued, UpstreamError> {
        let endpoint = endpoint_of(platform, Kind::AccessToken);
        let body = json!({
            "component_appid": platform.app_id(), "component_appsecret": platform.secret().expose(),
            "component_verify_ticket": ticket.expose(),
        });
        let secrets = [ticket];
        let answer = self.platform_post(platform, endpoint, None, &secrets, body);
        answer.await?.issued()
    }

    /// Fetches a code for a link with which one account can authorise the platform. It works once.
    ///
    /// # Errors
    /// [`UpstreamError`], classified.
    pub async fn pre_auth_code(
        &self,
        platform: &Account,
        token: &Secret,
    ) -> Result<Issued, UpstreamError> {
        let body = json!({ "component_appid": platform.app_id() });
        let answer = self.platform_post(platform, &PRE_AUTH_CODE, Some(token), &[], body);
        answer.await?.issued()
    }

    /// Redeems an authorisation code, which works once.
    ///
    /// # Errors
    /// [`UpstreamError`], classified: errcode 61009 or 61010 if WeChat does not accept the code (any more).
    pub async fn redeem(
        &self,
        platform: &Account,
        token: &Secret,
        code: &Secret,
    ) -> Result<Authorized, UpstreamError> {
        let body = json!({
            "component_appid": platform.app_id(), "authorization_code": code.expose(),
        });
        let sent = [code];
        let answer = self.platform_post(platform, &QUERY_AUTH, Some(token), &sent, body);
        authorized(&answer.await?)
    }

    /// Returns the error of a code that WeChat has refused before.
    pub fn refused_code(errcode: i64) -> UpstreamError {
        QUERY_AUTH.failed(Failure::Refused {
            errcode,
            errmsg: "refused before".to_owned(),
            blocked_until: None,
            few_calls: None,
        })
    }

    /// Fetches the access token of an account that authorised the platform.
    ///
    /// # Errors
    /// [`UpstreamError`], classified: errcode 61003 if the account is not authorised, 61023 if the refresh
    /// token is not valid.
    pub async fn authorizer_token(
        &self,
        account: &Account,
        token: &Secret,
        refresh_token: &Secret,
    ) -> Result<AuthorizerToken, UpstreamError> {
        let endpoint = endpoint_of(account, Kind::AccessToken);
        let body = json!({
            "component_appid": account.component_app_id(), "authorizer_appid": account.app_id(),
            "authorizer_refresh_token": refresh_token.expose(),
        });
        let sent = [refresh_token];
        let answer = self.platform_post(account, endpoint, Some(token), &sent, body);
        let answer = answer.await?;
        Ok(AuthorizerToken {
            issued: answer.issued()?,
            refresh_token: answer.secret("authorizer_refresh_token")?,
        })
    }

    /// Returns a part of the list of authorised accounts, from `offset` on.
    ///
    /// # Errors
    /// [`UpstreamError`], classified.
    pub async fn authorizers(
        &self,
        platform: &Account,
        token: &Secret,
        offset: u64,
    ) -> Result<AuthorizerPage, UpstreamError> {
        let body = json!({
            "component_appid": platform.app_id(), "offset": offset, "count": PAGE,
        });
        let answer = self.platform_post(platform, &AUTHORIZER_LIST, Some(token), &[], body);
        page(&answer.await?)
    }

    /// Returns what WeChat knows of an authorised account.
    ///
    /// # Errors
    /// [`UpstreamError`], classified.
    pub async fn authorizer_info(
        &self,
        platform: &Account,
        token: &Secret,
        app_id: &str,
    ) -> Result<AuthorizerInfo, UpstreamError> {
        let body = json!({
            "component_appid": platform.app_id(), "authorizer_appid": app_id,
        });
        let answer = self.platform_post(platform, &AUTHORIZER_INFO, Some(token), &[], body);
        let info = answer.await?.part("authorizer_info")?;
        Ok(AuthorizerInfo {
            nick_name: info.text("nick_name").unwrap_or_default().to_owned(),
            is_mini: info.get("MiniProgramInfo").is_some_and(Value::is_object),
        })
    }

    /// Sends a text to a user of an account that authorised the platform (客服消息).
    ///
    /// # Errors
    /// [`UpstreamError`], classified.
    pub async fn send_text(
        &self,
        account: &Account,
        token: &Secret,
        openid: &str,
        text: &Secret,
    ) -> Result<(), UpstreamError> {
        let body = json!({
            "touser": openid, "msgtype": "text", "text": { "content": text.expose() },
        });
        let query = [("access_token", token.expose())];
        self.post(account, &SEND_MESSAGE, &query, &[token, text], &body)
            .await
            .map(drop)
    }

    /// Posts with the platform's token, if the call needs one.
    async fn platform_post(
        &self,
        account: &Account,
        endpoint: &'static Endpoint,
        token: Option<&Secret>,
        secrets: &[&Secret],
        body: Value,
    ) -> Result<Answer, UpstreamError> {
        let query: Vec<_> = token
            .map(|token| ("component_access_token", token.expose()))
            .into_iter()
            .collect();
        let mut secrets = secrets.to_vec();
        secrets.push(account.secret());
        secrets.extend(token);
        self.post(account, endpoint, &query, &secrets, &body).await
    }
}

fn authorized(answer: &Answer) -> Result<Authorized, UpstreamError> {
    let info = answer.part("authorization_info")?;
    let app_id = info.text("authorizer_appid").unwrap_or_default();
    if !crate::account::is_app_id(app_id) {
        return Err(answer.unusable("authorizer_appid is not an AppID"));
    }
    let issued = match info.secret(QUERY_AUTH.field)? {
        Some(_) => Some(info.issued()?),
        None => None,
    };
    Ok(Authorized {
        app_id: app_id.to_owned(),
        issued,
        refresh_token: info.secret("authorizer_refresh_token")?,
        permission_sets: permission_sets(&info),
    })
}

fn permission_sets(info: &Answer) -> Vec<u32> {
    let sets = info.get("func_info").and_then(Value::as_array);
    let ids = sets.into_iter().flatten().filter_map(|set| {
        let id = set.get("funcscope_category")?.get("id")?.as_u64()?;
        u32::try_from(id).ok()
    });
    ids.take(MOST_PERMISSION_SETS).collect()
}

fn page(answer: &Answer) -> Result<AuthorizerPage, UpstreamError> {
    let total = answer.get("total_count").and_then(Value::as_u64);
    let total = total.ok_or_else(|| answer.unusable("total_count is not a number"))?;
    let mut accounts = Vec::new();
    for entry in answer.list("list")? {
        let app_id = entry.text("authorizer_appid").unwrap_or_default();
        if !crate::account::is_app_id(app_id) {
            return Err(answer.unusable("authorizer_appid is not an AppID"));
        }
        let auth_time = entry.get("auth_time").and_then(Value::as_u64);
        let auth_time = auth_time.ok_or_else(|| answer.unusable("auth_time is not a number"))?;
        // An empty text is as good as none here.
        let token = match entry.text("refresh_token") {
            Some("") => None,
            _ => entry.secret("refresh_token")?,
        };
        accounts.push((app_id.to_owned(), token, UnixTime(auth_time)));
    }
    Ok(AuthorizerPage { total, accounts })
}

/// Entries of a page. WeChat allows 500; two hundred fit into the size limit of an answer.
const PAGE: u64 = 200;

/// WeChat has some fifty.
const MOST_PERMISSION_SETS: usize = 200;
