//! Failures of the egress proxy, which are never WeChat's.

use super::codes::{Advice, BUSY, SETUP, advice};

/// What an egress proxy did instead of passing a call. WeChat has received nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyProblem {
    /// It refuses the user name or the password (407), or none is configured and it asks for one.
    Password,
    /// Its rules forbid the connection (CONNECT answered with 403; "not allowed" of a SOCKS proxy).
    Rules,
    /// It cannot be reached, or what answers there is not a proxy.
    Unreachable,
    /// It opened no connection to WeChat in time.
    TimedOut,
    /// It cannot reach WeChat's host itself.
    NoRoute,
    /// The certificate of the proxy, or one that it presents in the place of WeChat's, is not trusted here.
    Untrusted,
}

impl ProxyProblem {
    /// Returns the name used in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "proxy password",
            Self::Rules => "proxy rules",
            Self::Unreachable => "proxy unreachable",
            Self::TimedOut => "proxy timed out",
            Self::NoRoute => "proxy without route",
            Self::Untrusted => "proxy untrusted",
        }
    }

    /// Returns whether another host may be reachable through the same proxy.
    #[must_use]
    pub fn is_about_the_host(self) -> bool {
        matches!(self, Self::TimedOut | Self::NoRoute | Self::Untrusted)
    }

    /// Returns the cause, the fix, and how to react; `{host}` stands for WeChat's host.
    pub(super) fn advice(self) -> &'static Advice {
        match self {
            Self::Password => &PASSWORD,
            Self::Rules => &RULES,
            Self::Unreachable => &UNREACHABLE,
            Self::TimedOut => &TIMED_OUT,
            Self::NoRoute => &NO_ROUTE,
            Self::Untrusted => &UNTRUSTED,
        }
    }
}

static PASSWORD: Advice = advice(
    SETUP,
    [
        "The egress proxy refuses the user name or password of this service",
        "出口代理拒绝了本服务的用户名或密码",
    ],
    [
        "Check proxy_user and proxy_password (or proxy_password_file) next to the proxy setting, under [upstream] or in the account; a proxy from HTTPS_PROXY has them in its URL. wx-jssdk check tries them.",
        "请检查 proxy 旁边的 proxy_user 与 proxy_password（或 proxy_password_file），位于 [upstream] 或该账号；来自 HTTPS_PROXY 的代理，其用户名和密码写在地址中。可用 wx-jssdk check 验证。",
    ],
);
static RULES: Advice = advice(
    SETUP,
    [
        "The rules of the egress proxy forbid the connection to WeChat's API",
        "出口代理的规则不允许连接微信接口",
    ],
    [
        "Allow connections from this machine to port 443 of api.weixin.qq.com, qyapi.weixin.qq.com and the hosts of upstream.fallback in the proxy's access rules.",
        "请在代理的访问规则中允许本机连接 api.weixin.qq.com、qyapi.weixin.qq.com 以及 upstream.fallback 中各域名的 443 端口。",
    ],
);
static UNREACHABLE: Advice = advice(
    BUSY,
    [
        "The egress proxy could not be reached, or its address is not a proxy",
        "无法连接出口代理，或该地址不是代理",
    ],
    [
        "Check that the proxy is running, and the scheme, host and port of the proxy setting. The call is retried automatically.",
        "请检查代理是否在运行，以及 proxy 配置中的协议、主机和端口。会自动重试。",
    ],
);
static TIMED_OUT: Advice = advice(
    BUSY,
    [
        "The egress proxy did not open a connection to WeChat's API in time",
        "出口代理没有在限时内连接到微信接口",
    ],
    ITS_ROUTE,
);
static NO_ROUTE: Advice = advice(
    BUSY,
    [
        "The egress proxy cannot connect to WeChat's API",
        "出口代理无法连接微信接口",
    ],
    ITS_ROUTE,
);
static UNTRUSTED: Advice = advice(
    BUSY,
    [
        "The certificate that the egress proxy presents is not trusted on this machine",
        "出口代理出示的证书不受本机信任",
    ],
    [
        "If the proxy intercepts TLS, set SSL_CERT_FILE to a PEM file with its root certificate, or exempt WeChat's hosts from interception; then restart.",
        "若代理会解密 TLS，请让环境变量 SSL_CERT_FILE 指向其根证书（PEM），或让代理不解密微信的域名；然后重启。",
    ],
);

/// Fix for a proxy that does not reach WeChat.
const ITS_ROUTE: [&str; 2] = [
    "Check DNS and routes of the proxy: curl -x PROXY https://{host}/ from this machine. The call is retried automatically.",
    "请检查代理所在机器的 DNS 和路由；可在本机执行 curl -x 代理地址 https://{host}/ 验证。会自动重试。",
];
