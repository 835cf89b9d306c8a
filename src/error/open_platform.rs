//! What an open platform (third-party platform) lacks for a call. Nothing was sent to WeChat.

use super::codes::{Advice, BUSY, SETUP, advice};

/// What an open platform lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlatformProblem {
    /// WeChat has pushed no component_verify_ticket yet, or none within twelve hours.
    NoTicket,
    /// WeChat refused the tickets that it pushed last; the next one may work.
    TicketRefused,
    /// The account's code was not redeemed yet: a moment after it authorised the platform.
    NotRedeemed,
    /// WeChat redeemed the account's code without a refresh token: the account granted no API permission.
    NoApiPermission,
    /// WeChat accepts neither the refresh token nor the code of the account.
    NeedsAuthorization,
    /// The account withdrew its authorisation, or never authorised the platform.
    NotAuthorized,
}

impl PlatformProblem {
    /// Returns the name used in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoTicket => "no platform ticket",
            Self::TicketRefused => "platform ticket refused",
            Self::NotRedeemed => "not redeemed yet",
            Self::NoApiPermission => "no API permission",
            Self::NeedsAuthorization => "needs authorization",
            Self::NotAuthorized => "not authorized",
        }
    }

    /// Returns the cause, the fix, and how to react. A push ends the wait.
    #[must_use]
    pub fn advice(self) -> &'static Advice {
        match self {
            Self::NoTicket => &NO_TICKET,
            Self::TicketRefused => &TICKET_REFUSED,
            Self::NotRedeemed => &NOT_REDEEMED,
            Self::NoApiPermission => &NO_API_PERMISSION,
            Self::NeedsAuthorization => &NEEDS_AUTHORIZATION,
            Self::NotAuthorized => &NOT_AUTHORIZED,
        }
    }
}

static NO_TICKET: Advice = advice(
    SETUP,
    [
        "The open platform has no component_verify_ticket: WeChat has pushed none, or none within twelve hours",
        "第三方平台没有可用的 component_verify_ticket：尚未收到微信的推送，或已超过 12 小时没有收到",
    ],
    [
        "WeChat pushes it every ten minutes to the authorisation-event URL. Check on open.weixin.qq.com that this URL leads here, and that its token and key are push_token and aes_key of the configuration. The status page shows the last push.",
        "微信每 10 分钟推送一次到“授权事件接收URL”。请在微信开放平台确认该 URL 指向本服务，且消息校验Token、消息加解密Key 与配置中的 push_token、aes_key 一致。状态页显示最近一次推送的时间。",
    ],
);
static TICKET_REFUSED: Advice = advice(
    SETUP,
    [
        "WeChat refused the component_verify_ticket that it pushed last",
        "微信拒绝了最近一次推送的 component_verify_ticket",
    ],
    [
        "The next push, within ten minutes, is used at once. If it is refused too, check that only one platform pushes to this URL.",
        "下一次推送（10 分钟内）会立即使用。如果仍被拒绝，请确认没有其他平台推送到同一个 URL。",
    ],
);
static NOT_REDEEMED: Advice = advice(
    BUSY,
    [
        "The account has just authorised the open platform; its token is being fetched",
        "该账号刚刚授权，正在获取凭证",
    ],
    ["Retry in a few seconds.", "请几秒后重试。"],
);
static NO_API_PERMISSION: Advice = advice(
    SETUP,
    [
        "The account granted the open platform no API permission, so WeChat issues no token for it",
        "该账号没有授予第三方平台任何接口权限，微信不会为该账号下发 token",
    ],
    [
        "Let the account's administrator authorise the platform again, and grant permission sets.",
        "请由账号管理员重新扫码授权，并勾选权限集。",
    ],
);
static NEEDS_AUTHORIZATION: Advice = advice(
    SETUP,
    [
        "WeChat no longer accepts the refresh token of this account, and its list of authorised accounts has no other",
        "该账号的 refresh token 已失效，微信的授权列表中也没有新的",
    ],
    AUTHORIZE_AGAIN,
);
static NOT_AUTHORIZED: Advice = advice(
    SETUP,
    [
        "The account does not authorise this open platform",
        "该账号没有授权给此第三方平台",
    ],
    AUTHORIZE_AGAIN,
);

/// Fix for an account whose authorisation is not valid.
const AUTHORIZE_AGAIN: [&str; 2] = [
    "Let the account's administrator authorise the platform again.",
    "请由账号管理员重新扫码授权。",
];
