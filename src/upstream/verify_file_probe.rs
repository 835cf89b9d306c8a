//! Checks whether a domain serves its ownership file, as WeChat does, from outside. Used only by the
//! operator's `check` command.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::{Client, redirect};

use super::{ClientError, describe, read_up_to, tls_config};
use crate::account::VerifyFile;
use crate::error::{Text, visible};

/// Requests ownership files from domains.
#[derive(Clone, Debug)]
pub struct VerifyFileProbe {
    client: Client,
}

/// Reason why the file was not found, worded for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyFileFailure {
    /// No server answers under this name, by https or http.
    Unreachable(String),
    /// https fails, and http redirects to it.
    HttpsUnreachable(String),
    /// The domain redirects.
    Redirected(String),
    /// The status is not 200.
    Status(u16),
    /// The right content with something around it, such as a line break or a byte order mark.
    Wrapped,
    /// A web page, from an application that answers every path.
    WebPage,
    /// Another text.
    OtherBody,
}

impl VerifyFileProbe {
    /// Creates the client: no redirects. `resolve` overrides DNS for single hosts: for tests, and for names
    /// that this machine resolves differently.
    ///
    /// # Errors
    /// [`ClientError`] if TLS cannot be set up.
    pub fn new(timeout: Duration, resolve: &[(String, SocketAddr)]) -> Result<Self, ClientError> {
        let mut builder = Client::builder()
            .timeout(timeout)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("wx-jssdk/", env!("CARGO_PKG_VERSION"), " check"))
            .tls_backend_preconfigured(tls_config()?);
        if !resolve.is_empty() {
            builder = builder.no_proxy();
        }
        for (host, address) in resolve {
            builder = builder.resolve(host, *address);
        }
        let client = builder
            .build()
            .map_err(|error| ClientError(describe(&error.without_url())))?;
        Ok(Self { client })
    }

    /// Looks for `file` at `domain` (`example.com` or `example.com/path`), by https and, if that fails, by
    /// http. Returns the URL that served it.
    ///
    /// # Errors
    /// [`VerifyFileFailure`] of the scheme that got farther.
    pub async fn find(&self, domain: &str, file: &VerifyFile) -> Result<String, VerifyFileFailure> {
        let address = format!("https://{domain}/{}", file.name());
        let Err(of_https) = self.ask(&address, file).await else {
            return Ok(address);
        };
        let address = format!("http://{domain}/{}", file.name());
        match self.ask(&address, file).await {
            Ok(()) => Ok(address),
            Err(of_http) => Err(of_http.after(of_https, domain)),
        }
    }

    async fn ask(&self, address: &str, file: &VerifyFile) -> Result<(), VerifyFileFailure> {
        let unreachable =
            |error: reqwest::Error| VerifyFileFailure::Unreachable(describe(&error.without_url()));
        let response = self.client.get(address).send().await.map_err(unreachable)?;
        if response.status().is_redirection() {
            let to = response
                .headers()
                .get(LOCATION)
                .and_then(|to| to.to_str().ok())
                .unwrap_or_default();
            return Err(VerifyFileFailure::Redirected(visible(to, MAX_SHOWN)));
        }
        if response.status().as_u16() != 200 {
            return Err(VerifyFileFailure::Status(response.status().as_u16()));
        }
        // A body that is longer cannot be an ownership file.
        let body = read_up_to(response, MAX_BODY).await.map_err(unreachable)?;
        let text = String::from_utf8_lossy(&body);
        let bare = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}' || c == '"');
        match text.as_ref() {
            right if right == &**file.content() => Ok(()),
            _ if bare == &**file.content() => Err(VerifyFileFailure::Wrapped),
            _ if bare.starts_with('<') => Err(VerifyFileFailure::WebPage),
            _ => Err(VerifyFileFailure::OtherBody),
        }
    }
}

/// Returns whether the address is one of this host by https.
fn is_https_of(host: &str, address: &str) -> bool {
    let is_host = |found: &str| found.eq_ignore_ascii_case(host);
    url::Url::parse(address)
        .is_ok_and(|url| url.scheme() == "https" && url.host_str().is_some_and(is_host))
}

impl VerifyFileFailure {
    /// Returns the failure of the scheme that answered; if both answered, or http only redirects to https,
    /// that of https, which browsers use.
    fn after(self, of_https: Self, domain: &str) -> Self {
        let Self::Unreachable(why) = of_https else {
            return of_https;
        };
        let host = domain.split('/').next().unwrap_or_default();
        match self {
            Self::Redirected(to) if is_https_of(host, &to) => Self::HttpsUnreachable(why),
            of_http => of_http,
        }
    }

    /// Returns the cause.
    pub fn cause(&self) -> Text {
        match self {
            Self::Unreachable(why) => Text::owned(
                format!("the domain does not answer, neither by https nor by http: {why}"),
                format!("该域名无法访问（https 与 http 均失败）：{why}"),
            ),
            Self::HttpsUnreachable(why) => Text::owned(
                format!("the domain redirects http to https, and https fails: {why}"),
                format!("该域名把 http 重定向到 https，而 https 无法访问：{why}"),
            ),
            Self::Redirected(to) if to.is_empty() => {
                Text::new("the domain answers with a redirect", "该域名返回了重定向")
            }
            Self::Redirected(to) => Text::owned(
                format!("the domain redirects to {to}"),
                format!("该域名重定向到了 {to}"),
            ),
            Self::Status(status) => Text::owned(
                format!("the domain answers with HTTP {status}"),
                format!("该域名返回 HTTP {status}"),
            ),
            Self::Wrapped => Text::new(
                "the content is correct, but surrounded by a line break, quotes or a byte order mark",
                "内容正确，但前后多了换行、引号或 BOM",
            ),
            Self::WebPage => Text::new(
                "a web page is returned instead of the file: an application answers this path",
                "返回的是网页而不是该文件：某个应用接管了这个路径",
            ),
            Self::OtherBody => {
                Text::new("the file has different content", "该文件的内容与配置不同")
            }
        }
    }

    /// Returns what to do about it.
    pub fn fix(&self) -> Text {
        match self {
            Self::Unreachable(_) => Text::new(
                "Check the domain's DNS record, and the proxy in front with its ports 80 and 443, then run check again; or remove the domain from js_safe_domains.",
                "请检查域名解析、前面的代理及其 80、443 端口，然后重新 check；或把该域名从 js_safe_domains 中去掉。",
            ),
            Self::HttpsUnreachable(_) => Text::new(
                "Check the certificate (its chain, names and validity) and port 443 of the proxy in front, then run check again.",
                "请检查前面代理的证书（证书链、域名、有效期）和 443 端口，然后重新 check。",
            ),
            Self::Redirected(_) => Text::new(
                "Exclude this path from the redirect: WeChat expects the file on the domain itself.",
                "请让这个路径不参与重定向：微信要求文件就在该域名下。",
            ),
            Self::Status(404) => Text::new(
                "Let the proxy pass /MP_verify_* and /WW_verify_* to this server's public listener; send SIGHUP if the server was started before the file was configured.",
                "请让代理把 /MP_verify_* 与 /WW_verify_* 转发到本服务的公开端口；配置之前已启动的服务需要发送 SIGHUP。",
            ),
            Self::Status(_) => Text::new(
                "Check the log of the proxy in front: this path must not require a login or be blocked by a firewall.",
                "请查看前面代理的日志：该路径不能有登录或防火墙拦截。",
            ),
            Self::Wrapped => Text::new(
                "Serve the file unchanged: let the proxy pass the path to this server, which adds nothing.",
                "请原样返回文件内容：让代理把该路径转发到本服务即可，本服务不会添加任何字符。",
            ),
            Self::WebPage => Text::new(
                "Add a rule for /MP_verify_* and /WW_verify_* before the one that sends all paths to the application's index page.",
                "请在把所有路径转到首页的规则之前，为 /MP_verify_* 与 /WW_verify_* 单独加一条转发规则。",
            ),
            Self::OtherBody => Text::new(
                "Download the file from WeChat's console again and compare it with verify_files; look for an older copy in the web server's folder.",
                "请从微信后台重新下载文件并与 verify_files 对照；检查网站目录中是否有旧文件。",
            ),
        }
    }
}

/// Ownership files have 16 characters.
const MAX_BODY: usize = 4 * 1024;
const MAX_SHOWN: usize = 200;
