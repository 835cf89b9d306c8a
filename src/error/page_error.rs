//! Why a page's URL cannot be signed.

use super::Text;

/// Reason why a page URL cannot be signed. Each variant names the page's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// The URL is empty.
    #[error("the url is empty")]
    Empty,
    /// Longer than [`MAX_PAGE_URL`].
    #[error("the url exceeds {} bytes", MAX_PAGE_URL)]
    TooLong,
    /// Starts with `http%3A`: encoded twice.
    #[error("the url was percent-encoded twice")]
    DoubleEncoded,
    /// Does not start with `http://` or `https://`.
    #[error("the url does not start with http:// or https://")]
    NotHttp,
    /// Contains a space, a tab, a newline or another control character.
    #[error("the url contains a space or a control character")]
    Blank,
    /// Contains bytes above 127, which a browser's `location.href` never does.
    #[error("the url contains characters that a browser percent-encodes")]
    NotAscii,
    /// Contains a user name (`user@host`) or a backslash before the host.
    #[error("the url contains a user name or a backslash before its host")]
    UserInfo,
    /// Contains the end of the text that is signed for another page, so that the signature would hold for it too.
    #[error(
        "the url contains &timestamp= and the &url= of another page, which the signature would also be valid for"
    )]
    OtherPage,
    /// Has no host that can be parsed.
    #[error("the url has no valid host")]
    NoHost,
}

impl PageError {
    /// Returns how to correct the page.
    #[must_use]
    pub fn hint(self) -> Text {
        match self {
            Self::DoubleEncoded => Text::new(
                "Encode it once: encodeURIComponent(location.href); routers, axios params and templates must not encode it again.",
                "只编码一次：encodeURIComponent(location.href)，不要再被路由、axios 的 params 或模板编码一遍。",
            ),
            Self::Blank | Self::NotAscii => Text::new(
                "Send encodeURIComponent(location.href) without decoding it first: WeChat verifies the encoded form.",
                "请把浏览器给出的 location.href 原样经 encodeURIComponent 后传入，不要先解码：微信校验的是编码后的地址。",
            ),
            Self::TooLong => Text::new(
                "Move data out of the page's query, for example to sessionStorage or behind the #.",
                "不要把大量数据放进页面地址的参数，可放进 sessionStorage 或 # 之后。",
            ),
            Self::OtherPage => Text::new(
                "Percent-encode the URL in the page's query: 'url=' + encodeURIComponent(target).",
                "页面地址参数中的 URL 请先编码：'url=' + encodeURIComponent(target)。",
            ),
            Self::Empty | Self::NotHttp | Self::UserInfo | Self::NoHost => Text::new(
                "Send the page's full URL: 'url=' + encodeURIComponent(location.href.split('#')[0]).",
                "请传入页面的完整地址：'url=' + encodeURIComponent(location.href.split('#')[0])。",
            ),
        }
    }
}

/// Maximum length of a page URL before its `#`, in bytes. Browsers and proxies have lower limits.
pub const MAX_PAGE_URL: usize = 16 * 1024;
