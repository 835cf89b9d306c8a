//! Why the client refused a page, for people: WeChat itself says only two words.

use serde::{Deserialize, Serialize};

use super::verify::Client;

/// A sentence in two languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// In English.
    pub en: String,
    /// In Chinese.
    pub zh: String,
}

impl Reason {
    fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { en: en.into(), zh: zh.into() }
    }

    pub(super) fn missing(field: &str) -> Self {
        Self::new(format!("wx.config was called without {field}"), format!("wx.config 缺少参数 {field}"))
    }

    pub(super) fn unknown_app(app_id: &str) -> Self {
        Self::new(format!("the sandbox knows no app {app_id}"), format!("沙箱中没有 AppID {app_id}"))
    }

    pub(super) fn unbound(url: &str, domains: &[String]) -> Self {
        let domains = domains.join(", ");
        Self::new(
            format!("{url} is not on a JS safe domain of this app; bound are: {domains}"),
            format!("{url} 不在该公众号的 JS 接口安全域名之下，已绑定：{domains}"),
        )
    }

    pub(super) fn no_ticket() -> Self {
        Self::new("this app has never been given a jsapi ticket", "该公众号还没有取过 jsapi_ticket")
    }

    pub(super) fn fragment() -> Self {
        Self::new("the signed URL still holds the part after #", "签名用的 URL 没有去掉 # 及其后面的部分")
    }

    pub(super) fn other_url(client: Client, url: &str) -> Self {
        match client {
            Client::Ios => Self::new(
                format!("iOS checks the address the page was loaded with, {url}, and another was signed"),
                format!("iOS 校验的是页面首次加载时的地址 {url}，签名用的却是另一个地址"),
            ),
            _ => Self::new(
                format!("this client checks the current address, {url}, and another was signed"),
                format!("该客户端校验的是当前地址 {url}，签名用的却是另一个地址"),
            ),
        }
    }

    pub(super) fn dead_ticket() -> Self {
        Self::new("it was signed with a jsapi ticket that is over", "签名用的 jsapi_ticket 已失效")
    }

    pub(super) fn other_app() -> Self {
        Self::new("it was signed with the jsapi ticket of another app", "签名用的是另一个 AppID 的 jsapi_ticket")
    }

    pub(super) fn mismatch(url: &str) -> Self {
        Self::new(
            format!("the signature is not that of {url} with this nonceStr and timestamp and a living ticket of this app"),
            format!("签名与 {url}、该 nonceStr、timestamp 以及有效的 jsapi_ticket 不符"),
        )
    }
}
