//! Verdicts on a case as a whole. The meanings of error texts are in `client_errors/table.rs`.

use super::causes::{Cause, row};

pub(super) static RIGHT: Cause = row("signature_is_right",
    ["the signature is correct; check the domain binding, the appId, the client and the clock", "签名正确；请检查域名绑定、appId、客户端和服务器时间"],
    ["Check that wx.config got exactly these values and not a cached answer (page, CDN, service worker: send Cache-Control: no-store), that the appId is the ticket's, that the page's host is bound as JS接口安全域名, that the ticket is still valid and the server's clock is correct. A page that was reached by POST or restored from the back-forward cache must be loaded again by GET. Then read the client's own words (debug: true).", "请确认 wx.config 收到的就是这些值，且没有被缓存（页面、CDN、Service Worker 的缓存，应返回 Cache-Control: no-store）；appId 与 ticket 属于同一账号，页面域名已绑定为 JS接口安全域名，ticket 未过期，服务器时间正确；POST 打开或从前进后退缓存恢复的页面要用 GET 重新加载；再看客户端的原始报错（debug: true）。"]);
pub(super) static PORT: Cause = row("port_not_supported",
    ["the page's port is not 80 or 443, and clients accept only these two (iOS refuses first)", "页面的端口不是 80 或 443，而客户端只支持这两个端口（iOS 会先拒绝）"],
    ["Serve the page on port 443 (or 80), with a reverse proxy if needed, and sign that URL. The console's domain setting takes no port; only test accounts and DevTools may accept other ports.", "请用 443（或 80）端口提供页面，可用反向代理转发，并对该地址签名。后台的域名设置中不能带端口；只有测试号和开发者工具可能接受其他端口。"]);
pub(super) static NOT_CANONICAL: Cause = row("address_not_canonical",
    ["the given address was signed, but no browser has it: location.href is always written in one way (a / after the host, the host in lower case, no default port)", "签名用的就是所给地址，但浏览器中不会出现这种写法：location.href 的写法是固定的（域名后有 /、域名小写、没有默认端口）"],
    ["Sign location.href.split('#')[0] as the page sends it. If the phone shows another address than the given one, give that.", "请对页面传来的 location.href.split('#')[0] 原样签名；若手机上的地址与所给的不同，请改填手机上的地址。"]);
pub(super) static NOT_LISTED: Cause = row("interface_not_listed",
    ["the jsApiList of wx.config is empty, or does not contain the interface that is called", "传给 wx.config 的 jsApiList 为空，或没有写上所调用的接口"],
    ["List every interface that the page calls in jsApiList, with its exact spelling, and call it inside wx.ready.", "请在 jsApiList 中写上页面要调用的每个接口（拼写须完全一致），并在 wx.ready 中调用。"]);
pub(super) static STRING: Cause = row("string_is_right",
    ["the string is built correctly for the given page; it does not show whether its ticket is the current one of this appId", "字符串拼接正确，与页面地址一致；但其中的 ticket 是否为该 appId 当前有效的 ticket，从字符串本身无法判断"],
    ["Add the current jsapi_ticket and the signature that the page got, so that both can be verified. By hand: compare the string's ticket with the account's current ticket, and the page's signature with the SHA-1 of the string.", "请再提供当前有效的 jsapi_ticket 和页面收到的签名，即可验算 ticket 与哈希。手动检查：字符串中的 ticket 是否就是该账号现在的 ticket，页面收到的签名是否为该字符串的 SHA-1。"]);
pub(super) static NOTHING_FITS: Cause = row("no_known_mistake_fits",
    ["no known mistake explains this signature", "没有已知的错误能解释这个签名"],
    ["Check that nonce, timestamp and signature come from one answer, and that the ticket is the one used for signing (wx.agentConfig: the app's agent_config ticket); try the previous ticket and other accounts' tickets. A cached page or answer may belong to another signature: load both again. Then compare with the command wx-jssdk sign.", "请确认随机串、时间戳和签名来自同一次返回，且提供的 ticket 就是签名时的那个（wx.agentConfig 用应用的 agent_config ticket；也可提供上一个 ticket 和其他账号的 ticket），缓存的页面或返回可能来自另一次签名，请重新获取两者；再用命令 wx-jssdk sign 对比。"]);
pub(super) static TICKET_NEEDED: Cause = row("ticket_needed",
    ["the signature cannot be verified without the ticket", "没有 ticket 无法验算签名"],
    ["Add the jsapi_ticket, so that the mistake can be computed.", "请再提供 jsapi_ticket，即可算出原因。"]);
pub(super) static AGENT_TICKET_NEEDED: Cause = row("agent_ticket_needed",
    ["the signature of wx.agentConfig cannot be verified without the app's agent_config ticket", "没有应用的 agent_config ticket 无法验算 wx.agentConfig 的签名"],
    ["Add the app's agent_config ticket (ticket/get?type=agent_config; --agent-ticket of the command), not the corp's jsapi_ticket. With both tickets, the doctor can prove which one signed.", "请提供该应用的 agent_config ticket（ticket/get?type=agent_config；命令行用 --agent-ticket），而不是企业的 jsapi_ticket；两个都提供，即可确认签名用的是哪一个。"]);
/// What else helps where a ticket is needed, unless it was given.
pub(super) const OR_ERROR: [&str; 2] = [" Or add the client's error message.", "也可提供客户端的报错文字。"];
pub(super) static TICKET_KIND: Cause = row("ticket_kind_unknown",
    ["the signature is correct if the given ticket is the app's agent_config ticket, and wrong if it is the corp's jsapi_ticket; the value does not show which it is", "若所给的是该应用的 agent_config ticket，则签名正确；若是企业的 jsapi_ticket，则签名错误。从 ticket 本身无法判断是哪一种"],
    ["Check which API returned the ticket: wx.agentConfig needs ticket/get?type=agent_config with the app's own access token; get_jsapi_ticket is for wx.config. Then give it as the agent_config ticket (--agent-ticket of the command, tickets.agent of the API).", "请确认 ticket 来自哪个接口：wx.agentConfig 要用该应用的 access_token 调用 ticket/get?type=agent_config；get_jsapi_ticket 只用于 wx.config。确认后请作为 agent_config ticket 提供（命令行 --agent-ticket，API tickets.agent）。"]);
pub(super) static NOTHING_GIVEN: Cause = row("nothing_given",
    ["nothing to diagnose: neither a signature nor a known error message", "还没有可供诊断的内容：既没有签名，也没有认得的报错"],
    ["Enter the error message, or the backend's answer (appId, timestamp, nonceStr, signature) together with the page's URL.", "请提供报错文字，或后端返回的内容（appId、timestamp、nonceStr、signature）和页面地址。"]);
pub(super) static VALUES_NEEDED: Cause = row("values_needed",
    ["one of the four values is missing: the page's URL, nonceStr, timestamp, signature", "四个值不全：页面地址、nonceStr、timestamp、signature"],
    ["Enter the page's URL on the phone (location.href) and the complete answer of the backend.", "请提供手机上的页面地址（location.href）和后端返回的完整内容。"]);
pub(super) static SCHEME_NEEDED: Cause = row("address_incomplete",
    ["the page's URL does not begin with https:// or http://", "页面地址没有以 https:// 或 http:// 开头"],
    ["Enter the page's complete URL as the phone has it (location.href).", "请填写手机上完整的页面地址（location.href）。"]);
pub(super) static MALFORMED: Cause = row("signature_malformed",
    ["the value is not a signature: its length or characters are not those of a hash", "返回的不是签名：长度或字符不像任何哈希"],
    ["A signature has 40 hex digits: check whether it was truncated, whether the page reads the wrong field, or (if a few digits are missing) whether each byte is written with two digits.", "签名是 40 位十六进制：请检查是否被截断、页面是否读错了字段；若只少几位，检查每个字节是否都写成了两位。"]);
pub(super) static MILLISECONDS_SENT: Cause = row("sent_in_milliseconds",
    ["the timestamp that the page got is in milliseconds; WeChat's documents require seconds, and WeCom refuses anything else", "页面收到的时间戳是毫秒；微信文档要求秒，企业微信只接受秒"],
    ["Use seconds (Math.floor(Date.now() / 1000)), and sign and send the same value.", "请生成秒级时间戳（Math.floor(Date.now() / 1000)），用同一个值签名并返回。"]);
pub(super) static APP_ID_OF_ANOTHER: Cause = row("app_id_of_another_account",
    ["the answer's appId is not the account whose ticket was used", "返回的 appId 与签名所用 ticket 的账号不一致"],
    ["Send the page the appId of the account whose ticket is used: on a third-party platform the authorizer's AppID, not the component's; in WeCom the CorpID, not an AgentId or SuiteID.", "返回给页面的 appId 必须是签名所用 ticket 的账号：第三方平台用授权方的 AppID，而不是 component_appid；企业微信用 CorpID，而不是 AgentId 或 SuiteID。"]);
pub(super) static AGENT_ID_OF_ANOTHER: Cause = row("agent_id_of_another_app",
    ["the answer's agentid is not the app whose ticket was used", "返回的 agentid 与签名所用 ticket 的应用不一致"],
    ["Send the page the agentid of the app whose agent_config ticket is used; each app of a corp has its own.", "返回给页面的 agentid 必须是签名所用 agent_config ticket 的应用；同一企业的各应用有各自的 ticket。"]);
pub(super) static COMPONENT_SENT: Cause = row("component_app_id_sent",
    ["the answer's appId is the component_appid of an open platform; wx.config requires the AppID of the account that authorised it", "返回的 appId 是第三方平台的 component_appid；wx.config 需要授权方账号的 AppID"],
    ["Sign with account=PLATFORM/APPID, and send that account's AppID as appId.", "请用 account=平台名/AppID 签名，并把该账号的 AppID 作为 appId 返回。"]);
pub(super) static AGENT_ID_SENT: Cause = row("agent_id_for_app_id",
    ["the answer's appId is a number, like an AgentId; wx.config requires the AppID or CorpID", "返回的 appId 是数字（像 AgentId）；wx.config 需要 AppID 或 CorpID"],
    ["Send the CorpID (ww…) as appId, and the AgentId only as agentid of wx.agentConfig.", "appId 填 CorpID（ww 开头）；AgentId 只作为 wx.agentConfig 的 agentid。"]);
pub(super) static MISNAMED: Cause = row("fields_misnamed",
    ["the answer's field names are not those of wx.config (appId, timestamp, nonceStr, signature): missing values are sent as \"undefined\"", "返回的字段名与 wx.config 要求的（appId、timestamp、nonceStr、signature）不同：找不到的值会以 \"undefined\" 发出"],
    ["Convert the names in the page, or let the backend return appId, timestamp, nonceStr, signature.", "请在页面中转换字段名，或让后端返回 appId、timestamp、nonceStr、signature。"]);
pub(super) static CURRENT_URL: Cause = row("current_url_signed",
    ["the current URL was signed; WeChat on iOS verifies the URL of the first page load", "签名用的是当前地址；iOS 微信校验的是首次加载的地址"],
    ["On iOS, sign the URL that the page saved when it was loaded; elsewhere, sign the current URL, and call wx.config again after each route change. If the client returns the URL that it checked (realAuthUrl), sign exactly that one.", "iOS 上用页面加载时记下的地址签名；其他平台用当前地址签名，并在每次路由变化后重新调用 wx.config。若客户端给出了它校验的地址（realAuthUrl），就对该地址签名。"]);
pub(super) static ERRCODE: Cause = row("wechat_errcode", ["", ""], ["", ""]);
