//! The errors that this server returns on its WeChat-compatible endpoints, word for word as WeChat returns
//! them: existing SDKs match on the code, and developers search for the text.

/// An error without its tail: the rid of `api.weixin.qq.com` or the hint of WeCom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireError {
    /// The errcode.
    pub errcode: i64,
    /// The errmsg.
    pub errmsg: &'static str,
}

const fn error(errcode: i64, errmsg: &'static str) -> WireError {
    WireError { errcode, errmsg }
}

/// Both systems: retry later.
pub const BUSY: WireError = error(-1, "system error");

/// `api.weixin.qq.com`: the secret is wrong, and too many different secrets were tried. Not one of WeChat's
/// quota codes, which SDKs and operators would read as the account's quota being spent.
pub const LOCKED_OUT: WireError = error(
    40125,
    "invalid appsecret: too many different wrong API keys from this address, see Retry-After",
);
/// WeCom: the secret is wrong, and too many different secrets were tried.
pub const WORK_LOCKED_OUT: WireError = error(
    40001,
    "invalid credential: too many different wrong API keys from this address, see Retry-After",
);

/// `api.weixin.qq.com`: the token is invalid or no longer valid.
pub const DEAD_TOKEN: WireError = error(
    40001,
    "invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken, more details at \
     https://mmbizurl.cn/s/JtxxFh33r",
);
/// `api.weixin.qq.com`: a user's token is unknown.
pub const BAD_CREDENTIAL: WireError = error(40001, "invalid credential");
/// `api.weixin.qq.com`: no such path.
pub const BAD_URL: WireError = error(40066, "invalid url");
/// `api.weixin.qq.com`: the body is too large.
pub const TOO_LARGE: WireError = error(45001, "media size out of limit");
/// `api.weixin.qq.com`: `grant_type` is not `client_credential`.
pub const BAD_GRANT_TYPE: WireError = error(40002, "invalid grant_type");
/// `api.weixin.qq.com`: unknown AppID.
pub const BAD_APPID: WireError = error(40013, "invalid appid");
/// `api.weixin.qq.com`: unknown ticket type.
pub const BAD_ARGS: WireError = error(40097, "invalid args");
/// `api.weixin.qq.com`: the secret is wrong.
pub const BAD_SECRET: WireError = error(40125, "invalid appsecret");
/// Both systems: no token in the query.
pub const NO_TOKEN: WireError = error(41001, "access_token missing");
/// `api.weixin.qq.com`: no AppID.
pub const NO_APPID: WireError = error(41002, "appid missing");
/// `api.weixin.qq.com`: no secret.
pub const NO_SECRET: WireError = error(41004, "appsecret missing");
/// `api.weixin.qq.com`: a method that the endpoint does not accept.
pub const NOT_POST: WireError = error(43002, "require POST method");
/// `api.weixin.qq.com`: empty body.
pub const NO_BODY: WireError = error(44002, "empty post data");
/// `api.weixin.qq.com`: the body is not a JSON object, or a value has the wrong type.
pub const BAD_BODY: WireError = error(47001, "data format error");
/// `api.weixin.qq.com`: not available to this kind of account, such as a ticket for a mini program.
pub const NOT_FOR_THIS_ACCOUNT: WireError = error(48001, "api unauthorized");

/// WeCom: the secret is wrong.
pub const WORK_BAD_SECRET: WireError = error(40001, "invalid credential");
/// WeCom: unknown CorpID.
pub const WORK_BAD_CORPID: WireError = error(40013, "invalid corpid");
/// WeCom: the token is invalid or no longer valid.
pub const WORK_DEAD_TOKEN: WireError = error(40014, "invalid access_token");
/// WeCom: no app of the corp has this AgentId.
pub const WORK_BAD_AGENTID: WireError = error(40056, "invalid agentid");
/// WeCom: unknown ticket type.
pub const WORK_BAD_ARGS: WireError = error(40058, "invalid request parameter");
/// WeCom: no secret.
pub const WORK_NO_SECRET: WireError = error(41004, "corpsecret missing");
/// WeCom: not available to the app or API key of this token.
pub const WORK_FORBIDDEN: WireError = error(48002, "api forbidden");
/// WeCom's code for a missing AgentId, used for a case that WeCom does not have: one API key for several
/// apps.
pub const WORK_WHICH_AGENT: WireError = error(
    41011,
    "agentid missing: this key opens several apps of the corp, add agentid= to the request",
);
