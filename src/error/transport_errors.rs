//! Cause and fix, in both languages, of a call without a usable response from WeChat's API.
//!
//! In a fix, `{host}`, `{setting}` and `{endpoint}` stand for those of the call. It names no configured host, so it
//! may be shown publicly.

use super::Text;
use super::codes::{Advice, BUSY, advice};

/// Cause of a response that is not JSON.
const NOT_A_REPLY: [&str; 2] = [
    "The answer is not JSON: it came from a proxy, a gateway or a login page, not from WeChat's API",
    "收到的不是 JSON：应答来自代理、网关或登录页，而不是微信接口",
];

/// Fix for a failure that usually ends by itself.
const RETRIED: [&str; 2] = [
    "The call is retried automatically. If the error persists, look for a proxy or gateway between this server and WeChat.",
    "会自动重试。若持续出现，请检查本机与微信之间的代理或网关。",
];

pub(super) static UNREACHABLE: Advice = advice(
    BUSY,
    ["WeChat could not be reached", "无法连接微信服务器"],
    [
        "Check DNS, routes, the egress proxy and the machine's clock: curl https://{host}/ from this machine. If {setting} is set, curl its URL instead, and check its scheme (http or https), host and port.",
        "请检查本机的 DNS、路由、出口代理和系统时间；可在本机执行 curl https://{host}/ 验证。如设置了 {setting}，请改为验证该地址，并核对其中的协议（http 或 https）、主机和端口。",
    ],
);
pub(super) static UNTRUSTED: Advice = advice(
    BUSY,
    [
        "The certificate of the server that answered is not trusted on this machine, is for another host name, or has expired",
        "应答的服务器出示的证书不受本机信任，或与域名不符，或已过期",
    ],
    [
        "If the company's egress proxy intercepts TLS, set SSL_CERT_FILE to a PEM file with its root certificate. Otherwise check DNS, the [upstream] setting and the machine's clock. openssl s_client -connect HOST:443 shows the issuer.",
        "若公司的出口代理会解密 TLS，请向管理员索取其根证书（PEM），并让环境变量 SSL_CERT_FILE 指向它；否则请检查 DNS、[upstream] 配置和系统时间。可用 openssl s_client -connect 主机:443 查看证书的签发者。",
    ],
);
pub(super) static REPLY_LOST: Advice = advice(
    BUSY,
    [
        "The request was sent, but no complete answer arrived in time",
        "请求已发出，但没有在限时内收到完整的响应",
    ],
    RETRIED,
);
/// HTTP 404: the base URL leads to another server or to a wrong path.
pub(super) static NO_SUCH_PATH: Advice = advice(
    BUSY,
    NOT_A_REPLY,
    [
        "Check {setting} in the configuration: {endpoint} is appended to it, so the gateway must remove any path that it contains. Without a gateway, delete the setting. The call is retried automatically.",
        "请检查配置中的 {setting}：程序会在它后面拼接 {endpoint}，其中的路径前缀必须是该网关会去掉的。没有网关时请删除此项。会自动重试。",
    ],
);
/// HTTP 5xx.
pub(super) static SERVER_ERROR: Advice = advice(
    BUSY,
    [
        "WeChat's front end, or a proxy before it, answered HTTP 5xx without JSON",
        "微信的接入层或中间的代理返回了 HTTP 5xx，内容不是 JSON",
    ],
    RETRIED,
);
/// Any other HTTP status.
pub(super) static NOT_JSON: Advice = advice(
    BUSY,
    NOT_A_REPLY,
    [
        "Run curl -i against the same host from this machine to see who answers; the log quotes the beginning of an answer that is text. Log in to the network's portal, or let the proxy pass WeChat's hosts. The call is retried automatically.",
        "请在本机用 curl -i 访问同一地址，判断是谁在应答；应答为文本时，日志中有其开头的内容。若是上网认证页，请先完成认证；若是代理，请放行微信的域名。会自动重试。",
    ],
);
pub(super) static UNUSABLE: Advice = advice(
    BUSY,
    [
        "The answer is not a valid answer of WeChat's API",
        "收到的内容不是微信接口的正常响应",
    ],
    RETRIED,
);
pub(super) static STORE_UNREACHABLE: Advice = advice(
    BUSY,
    [
        "The shared store (Redis or a database) does not answer, and the refresh waits for it: WeChat was not called",
        "共享存储（Redis 或数据库）没有响应，刷新正在等待它恢复：尚未请求微信",
    ],
    [
        "Check that Redis (redis-cli ping) or the database is running and that store.url is correct. Valid credentials are served from memory meanwhile, and refreshed without the store shortly before their end.",
        "请检查 Redis（redis-cli ping）或数据库是否在运行，以及 store.url 是否指向它。在此期间，仍有效的凭证由内存继续提供，并会在到期前不久绕过存储自行刷新。",
    ],
);

/// Added if WeChat has seen more than one IP.
pub static EGRESS_IS_NOT_FIXED: Text = Text::new(
    "WeChat saw calls of this server from several addresses, so its egress address is not fixed: use one fixed address (NAT gateway, egress proxy), or allow all of them.",
    "微信看到本服务器从多个地址发起调用，说明出口 IP 不固定：请改用固定出口（NAT 网关或出口代理），或全部加入白名单。",
);

/// Replaces the sentences about retries, which a running service makes and a command does not.
pub(super) fn without_retries(Text { en, zh }: &Text) -> Text {
    let replaced = |text: &str| {
        RETRIES
            .iter()
            .fold(text.to_owned(), |text, [of_service, of_command]| {
                text.replace(of_service, of_command)
            })
    };
    Text::owned(replaced(en), replaced(zh))
}

/// Each sentence of a fix about retries, longer ones first, and the sentence for a command.
const RETRIES: &[[&str; 2]] = &[
    [
        "Nothing to do: the call is retried automatically.",
        "Wait a moment, then run check again.",
    ],
    [
        "Nothing to do: the call is retried in the next minute.",
        "Wait a minute, then run check again.",
    ],
    ["The call is retried automatically.", "Run check again."],
    ["It is refreshed automatically.", "Run check again."],
    [
        "The service then recovers by itself.",
        "Then run check again.",
    ],
    ["无需处理，稍后会自动重试。", "请稍后再次运行 check。"],
    [
        "无需处理，下一分钟会自动重试。",
        "请一分钟后再次运行 check。",
    ],
    ["会自动重试。", "请再次运行 check。"],
    ["会自动刷新后重试。", "请再次运行 check。"],
    ["确认后会自动恢复。", "确认后再次运行 check。"],
];
