//! Explains why the client rejected a page. WeChat itself reports only two words.

use serde::{Deserialize, Serialize};

use super::config_check::Client;

/// A sentence in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// English text.
    pub en: String,
    /// Chinese text.
    pub zh: String,
}

impl Reason {
    fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self {
            en: en.into(),
            zh: zh.into(),
        }
    }

    pub(super) fn missing(call: &str, field: &str) -> Self {
        Self::new(
            format!("{call} was called without {field}"),
            format!("{call} 缺少参数 {field}"),
        )
    }

    pub(super) fn unknown_app(app_id: &str) -> Self {
        Self::new(
            format!("the sandbox has no app {app_id}"),
            format!("沙箱中没有 AppID {app_id}"),
        )
    }

    pub(super) fn no_corp(app_id: &str) -> Self {
        Self::new(
            format!("{app_id} is an official account; in WeCom appId is the CorpID"),
            format!("{app_id} 是公众号的 AppID，企业微信中 appId 应为 CorpID"),
        )
    }

    pub(super) fn unknown_agent(agent_id: &str) -> Self {
        Self::new(
            format!("this corp has no app with agentid {agent_id}"),
            format!("该企业没有 agentid 为 {agent_id} 的应用"),
        )
    }

    pub(super) fn untrusted(url: &str, domains: &[String]) -> Self {
        let domains = domains.join(", ");
        Self::new(
            format!(
                "{url} is not on a trusted domain (subdomains are not included); configured: {domains}"
            ),
            format!("{url} 不在可信域名上（不含子域名），已设置：{domains}"),
        )
    }

    pub(super) fn unbound(url: &str, domains: &[String]) -> Self {
        let domains = domains.join(", ");
        Self::new(
            format!("{url} is not on a JS safe domain of this app; configured: {domains}"),
            format!("{url} 不在该公众号的 JS接口安全域名之下，已绑定：{domains}"),
        )
    }

    pub(super) fn fragment() -> Self {
        Self::new(
            "the signed URL includes the part after #",
            "签名用的 URL 没有去掉 # 及其后面的部分",
        )
    }

    pub(super) fn other_url(client: Client, url: &str) -> Self {
        match client {
            Client::Ios => Self::new(
                format!(
                    "iOS checks the URL with which the page was loaded, {url}; a different URL was signed"
                ),
                format!("iOS 校验的是首次加载的地址 {url}，签名用的却是另一个地址"),
            ),
            _ => Self::new(
                format!("this client checks the current URL, {url}; a different URL was signed"),
                format!("该客户端校验的是当前地址 {url}，签名用的却是另一个地址"),
            ),
        }
    }

    /// `page` is the address for which the config was made.
    pub(super) fn cached(page: &str, url: &str) -> Self {
        Self::new(
            format!(
                "this config was made for {page} and is used again on {url}: it comes from a cache. Request a config for each page load"
            ),
            format!(
                "这份 config 是为 {page} 生成的，却又用在 {url}：它来自缓存。每次打开页面都要重新请求签名"
            ),
        )
    }

    /// `explanation` says how the signed address differs from the checked one.
    pub(super) fn other_address(signed: &str, url: &str, (en, zh): Explanation) -> Self {
        Self::new(
            format!("{signed} was signed, {url} is checked: {en}"),
            format!("签名用的是 {signed}，校验的是 {url}：{zh}"),
        )
    }

    pub(super) fn corp_ticket() -> Self {
        Self::new(
            "signed with the corp's jsapi ticket; wx.agentConfig requires the app's ticket (type agent_config)",
            "签名用的是企业的 jsapi_ticket；wx.agentConfig 须用应用的 ticket（type=agent_config）",
        )
    }

    pub(super) fn agent_ticket() -> Self {
        Self::new(
            "signed with an app's agent_config ticket; wx.config requires the corp's jsapi ticket",
            "签名用的是应用的 ticket（agent_config）；wx.config 须用企业的 jsapi_ticket",
        )
    }

    pub(super) fn no_ticket(ticket: &str) -> Self {
        Self::new(
            format!("no {ticket} of this app has been fetched"),
            format!("还没有取过 {ticket}"),
        )
    }

    pub(super) fn dead_ticket(ticket: &str) -> Self {
        Self::new(
            format!("signed with an old {ticket}, which is no longer valid"),
            format!("签名用的 {ticket} 已失效"),
        )
    }

    pub(super) fn other_app(ticket: &str) -> Self {
        Self::new(
            format!("signed with the {ticket} of another app"),
            format!("签名用的是其他账号或应用的 {ticket}"),
        )
    }

    pub(super) fn mismatch(url: &str, ticket: &str) -> Self {
        Self::new(
            format!(
                "the signature does not match {url}, this nonceStr and timestamp, and a valid {ticket} of this app"
            ),
            format!("签名与 {url}、该 nonceStr、timestamp 以及有效的 {ticket} 不符"),
        )
    }
}

/// English, Chinese.
pub(super) type Explanation = (&'static str, &'static str);

pub(super) const QUERY_LOST: Explanation = (
    "the query was lost. Encode the address with encodeURIComponent before it becomes a parameter",
    "查询参数丢失了。地址作为参数传递前须用 encodeURIComponent 编码",
);
pub(super) const OTHER_ROUTE: Explanation = (
    "the address of another route. Sign location.href without the part after #, when wx.config is called",
    "这是另一个路由的地址。调用 wx.config 时，对当时的 location.href 去掉 # 之后的部分签名",
);
pub(super) const OTHER_SCHEME: Explanation = (
    "http and https differ. Take the address from location.href in the browser, not from the request at the server",
    "http 与 https 不同。地址应取浏览器中的 location.href，不要取服务器收到的请求地址",
);
