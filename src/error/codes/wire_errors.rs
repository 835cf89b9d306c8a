//! The refusals that this program speaks itself where it stands in WeChat's place, word for word as WeChat words them: existing
//! SDKs match on the code, and people search for the sentence.

/// A refusal before its tail: the rid of `api.weixin.qq.com`, the hint of WeCom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireError {
    /// The code.
    pub errcode: i64,
    /// The sentence.
    pub errmsg: &'static str,
}

const fn said(errcode: i64, errmsg: &'static str) -> WireError {
    WireError { errcode, errmsg }
}

/// On both systems: ask again later.
pub const BUSY: WireError = said(-1, "system error");

/// `api.weixin.qq.com`: the secret is wrong, and too many different ones were tried. Not a code of WeChat's quotas: SDKs and
/// people would take the account's quota for spent.
pub const LOCKED_OUT: WireError = said(
    40125,
    "invalid appsecret: too many different wrong API keys from this address, see Retry-After",
);
/// WeCom: the same.
pub const WORK_LOCKED_OUT: WireError = said(
    40001,
    "invalid credential: too many different wrong API keys from this address, see Retry-After",
);

/// `api.weixin.qq.com`: a token that is not, or no longer, good.
pub const DEAD_TOKEN: WireError = said(
    40001,
    "invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken, more details at \
     https://mmbizurl.cn/s/JtxxFh33r",
);
/// `api.weixin.qq.com`: `grant_type` is not `client_credential`.
pub const BAD_GRANT_TYPE: WireError = said(40002, "invalid grant_type");
/// `api.weixin.qq.com`: nobody's AppID.
pub const BAD_APPID: WireError = said(40013, "invalid appid");
/// `api.weixin.qq.com`: no such type of ticket.
pub const BAD_ARGS: WireError = said(40097, "invalid args");
/// `api.weixin.qq.com`: the secret is wrong.
pub const BAD_SECRET: WireError = said(40125, "invalid appsecret");
/// On both systems: no token in the query.
pub const NO_TOKEN: WireError = said(41001, "access_token missing");
/// `api.weixin.qq.com`: no AppID.
pub const NO_APPID: WireError = said(41002, "appid missing");
/// `api.weixin.qq.com`: no secret.
pub const NO_SECRET: WireError = said(41004, "appsecret missing");
/// `api.weixin.qq.com`: a GET where only POST is taken.
pub const NOT_POST: WireError = said(43002, "require POST method");
/// `api.weixin.qq.com`: nothing in the body.
pub const NO_BODY: WireError = said(44002, "empty post data");
/// `api.weixin.qq.com`: a body that is no JSON object, or holds a value of another type.
pub const BAD_BODY: WireError = said(47001, "data format error");
/// `api.weixin.qq.com`: not for accounts of this sort, as a ticket for a mini program.
pub const NOT_FOR_THIS_ACCOUNT: WireError = said(48001, "api unauthorized");

/// WeCom: the secret is wrong.
pub const WORK_BAD_SECRET: WireError = said(40001, "invalid credential");
/// WeCom: nobody's CorpID.
pub const WORK_BAD_CORPID: WireError = said(40013, "invalid corpid");
/// WeCom: a token that is not, or no longer, good.
pub const WORK_DEAD_TOKEN: WireError = said(40014, "invalid access_token");
/// WeCom: no app of the corp has this AgentId.
pub const WORK_BAD_AGENTID: WireError = said(40056, "invalid agentid");
/// WeCom: no such type of ticket.
pub const WORK_BAD_ARGS: WireError = said(40058, "invalid request parameter");
/// WeCom: no secret.
pub const WORK_NO_SECRET: WireError = said(41004, "corpsecret missing");
/// WeCom: not for the app, or the key, that has this token.
pub const WORK_FORBIDDEN: WireError = said(48002, "api forbidden");
/// WeCom's code for a missing AgentId, in a case that WeCom does not have: one key stands for several apps.
pub const WORK_WHICH_AGENT: WireError = said(
    41011,
    "agentid missing: this key opens several apps of the corp, add agentid= to the request",
);
