//! What is said of a call that WeChat did not answer, or not well: cause and fix, in both languages.

use super::Hint;

pub(super) const UNREACHABLE_CAUSE: Hint =
    Hint::fixed("WeChat's server could not be reached", "无法连接微信服务器");
pub(super) const UNREACHABLE_FIX: Hint = Hint::fixed(
    "Check DNS, routes, the egress proxy and the machine's clock; curl https://api.weixin.qq.com/ from this machine.",
    "请检查本机的 DNS、路由、出口代理和系统时间；可在本机执行 curl https://api.weixin.qq.com/ 验证。",
);
pub(super) const REPLY_LOST_CAUSE: Hint = Hint::fixed(
    "The request was sent, but no whole answer came back in time",
    "请求已发出，但没有在限时内收到完整的回复",
);
pub(super) const UNUSABLE_CAUSE: Hint = Hint::fixed(
    "What came back is not an answer that WeChat gives",
    "收到的内容不是微信接口的正常回复",
);
pub(super) const UNUSABLE_FIX: Hint = Hint::fixed(
    "It is tried again by itself. If it goes on, look for a proxy or gateway between this server and WeChat.",
    "会自动重试。若持续出现，请检查本机与微信之间的代理或网关。",
);
pub(super) const STORE_CAUSE: Hint = Hint::fixed(
    "The shared store (Redis) does not answer, and the renewal waits for it: WeChat was not asked",
    "共享存储（Redis）没有响应，续期正在等待它恢复：尚未请求微信",
);
pub(super) const STORE_FIX: Hint = Hint::fixed(
    "Look whether Redis runs (redis-cli ping) and whether store.url leads to it. What lives is served from memory meanwhile, and \
     renewed without the store shortly before its end.",
    "请检查 Redis 是否在运行（redis-cli ping），以及 store.url 是否指向它。在此期间，仍有效的凭据由内存继续提供，并会在到期前不久绕过存储自行续期。",
);
