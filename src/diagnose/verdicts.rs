//! What is said of a case as a whole, and of what no computation can see: the client's words.

use super::causes::{Cause, row};

pub(super) static RIGHT: Cause = row("signature_is_right",
    ["the signature is right; look at the domain binding, the appId, the client and the clock", "签名正确；请检查域名绑定、appId、客户端和服务器时间"],
    ["Check that wx.config got exactly these values, that the appId is the ticket's, that the page's host is bound as JS接口安全域名, that the ticket still lives and the server's clock is right; then read the client's own words (debug: true).", "请确认 wx.config 收到的就是这些值、appId 与 ticket 属于同一账号、页面域名已绑定为 JS接口安全域名、ticket 未过期、服务器时间正确；再看客户端的原始报错（debug: true）。"]);
pub(super) static STRING: Cause = row("string_is_right",
    ["the string is put together rightly, for the page given; whether its ticket is the living one of this appId cannot be seen in it", "字符串拼接正确，与页面地址一致；但其中的 ticket 是否为该 appId 当前有效的 ticket，从字符串本身无法判断"],
    ["Give the living jsapi_ticket, too, and the signature that the page got: then the ticket and the hash are computed with. By hand: compare the string's ticket with the one that the account has now, and the page's signature with the SHA-1 of the string.", "请再提供当前有效的 jsapi_ticket 和页面收到的签名，即可验算 ticket 与哈希。手动检查：字符串中的 ticket 是否就是该账号现在的 ticket，页面收到的签名是否为该字符串的 SHA-1。"]);
pub(super) static NOTHING_FITS: Cause = row("no_known_mistake_fits",
    ["no known mistake explains this signature", "没有已知的错误能解释这个签名"],
    ["Check that nonce, timestamp and signature are of one answer, and that the ticket is the one that signed: give the previous ticket and other accounts' tickets, too. Then compare with `wx-jssdk sign`.", "请确认随机串、时间戳和签名来自同一次返回，且提供的 ticket 就是签名时的那个（也可提供上一个 ticket 和其他账号的 ticket），再用 `wx-jssdk sign` 对比。"]);
pub(super) static TICKET_NEEDED: Cause = row("ticket_needed",
    ["without the ticket nothing can be computed, and nothing else points to a cause", "没有 ticket 无法计算，也没有其他线索"],
    ["Give the jsapi_ticket, or the text of the client's error.", "请提供 jsapi_ticket，或客户端的报错文字。"]);
pub(super) static NOTHING_GIVEN: Cause = row("nothing_given",
    ["there is nothing to go on yet: neither a signature nor words of the client that are known", "还没有可供诊断的内容：既没有签名，也没有认得的报错"],
    ["Give the text of the error, or what the backend answered (appId, timestamp, nonceStr, signature) together with the page's address.", "请提供报错文字，或后端返回的内容（appId、timestamp、nonceStr、signature）和页面地址。"]);
pub(super) static VALUES_NEEDED: Cause = row("values_needed",
    ["one of the four values is missing: the page's address, nonceStr, timestamp, signature", "四个值不全：页面地址、nonceStr、timestamp、signature"],
    ["Give the address of the page as the phone has it (location.href), and what the backend answered, whole.", "请提供手机上的页面地址（location.href）和后端返回的完整内容。"]);
pub(super) static MALFORMED: Cause = row("signature_malformed",
    ["what was sent is no signature: it has not the length or the characters of a hash", "返回的不是签名：长度或字符不像任何哈希"],
    ["The signature is 40 hex digits: look whether it was cut, whether the page reads the wrong field, or (a few digits short) whether each byte is written with two digits.", "签名是 40 位十六进制：请检查是否被截断、页面是否读错了字段；若只少几位，检查每个字节是否都写成了两位。"]);
pub(super) static MILLISECONDS_SENT: Cause = row("sent_in_milliseconds",
    ["the timestamp that the page got is in milliseconds; WeChat's documents ask for seconds, and WeCom refuses anything else", "页面收到的时间戳是毫秒；微信文档要求秒，企业微信只接受秒"],
    ["Make it in seconds (Math.floor(Date.now() / 1000)), and sign and send this same value.", "请生成秒级时间戳（Math.floor(Date.now() / 1000)），用同一个值签名并返回。"]);
pub(super) static MISNAMED: Cause = row("fields_misnamed",
    ["the answer's fields are not named as wx.config reads them (appId, timestamp, nonceStr, signature): what it does not find it sends as \"undefined\"", "返回的字段名与 wx.config 要求的（appId、timestamp、nonceStr、signature）不同：找不到的值会以 \"undefined\" 发出"],
    ["Map the names in the page, or let the backend answer appId, timestamp, nonceStr, signature.", "请在页面中转换字段名，或让后端返回 appId、timestamp、nonceStr、signature。"]);
pub(super) static CURRENT_URL: Cause = row("current_url_signed",
    ["the current address was signed; WeChat on iOS checks the address of the first page load", "签名用的是当前地址；iOS 微信校验的是首次加载的落地页地址"],
    ["On iOS sign the address that the page remembered when it was loaded, elsewhere the current one.", "iOS 上用页面加载时记下的地址签名，其他平台用当前地址。"]);
pub(super) static INVALID_SIGNATURE: Cause = row("invalid_signature",
    ["the client refused the signature: address, nonce, timestamp or ticket differ from what was signed", "客户端拒绝了签名：地址、随机串、时间戳或 ticket 与签名时不一致"],
    ["Run this again with the ticket: then the mistake is found by computation. By hand: same nonce and timestamp, address = location.href before its #, ticket of the same appId, on iOS the landing address.", "请带上 ticket 再诊断一次，即可算出原因。手动检查：随机串和时间戳一致、地址为 # 之前的 location.href、ticket 与 appId 对应、iOS 用落地页地址。"]);
pub(super) static URL_DOMAIN: Cause = row("domain_not_bound",
    ["the page's host is not bound to this appId as a JS safe domain (JS接口安全域名)", "页面的域名没有绑定为该 appId 的 JS接口安全域名"],
    ["Bind the host in the console (公众号设置 → 功能设置 → JS接口安全域名) without scheme and port (only ports 80 and 443 work), and wait until the change has spread; check that the appId is the right one.", "请在后台「公众号设置 → 功能设置 → JS接口安全域名」绑定该域名（不带协议和端口，只支持 80/443），等待生效，并确认 appId 无误。"]);
pub(super) static WORK_DOMAIN: Cause = row("trusted_domain_mismatch",
    ["the page's host is not among the WeCom app's trusted domains, which match exactly", "页面的域名不在企业微信应用的可信域名中（须完全一致）"],
    ["Add the exact host (a parent does not cover it) under 网页授权及JS-SDK in the app's settings, with its WW_verify file or ICP record.", "请在应用的「网页授权及JS-SDK」中添加完全相同的域名（父域名不覆盖子域名），并完成归属校验或备案。"]);
pub(super) static OFFLINE_VERIFYING: Cause = row("offline_verifying",
    ["the interface was called before wx.config had passed, or it is not in jsApiList; DevTools and desktop clients say it, too", "在 wx.config 通过之前调用了接口，或接口不在 jsApiList 中；开发者工具和电脑端也会出现"],
    ["Call it inside wx.ready, add it to jsApiList, and try it on a phone.", "请在 wx.ready 中调用，把接口加入 jsApiList，并在手机上测试。"]);
pub(super) static PERMISSION_DENIED: Cause = row("permission_denied",
    ["the account has no right to this interface (often it is not verified), or the interface is not in jsApiList", "账号没有该接口的权限（常因未认证），或接口不在 jsApiList 中"],
    ["Look at 接口权限 in the console, have the account verified, and add the interface to jsApiList.", "请在后台「接口权限」中查看，完成认证，并把接口加入 jsApiList。"]);
pub(super) static FUNCTION_MISSING: Cause = row("function_not_exist",
    ["this client does not know the interface: it is too old, or no phone", "当前客户端没有该接口：版本太旧，或不是手机端"],
    ["Ask checkJsApi first, and ask the user to update WeChat.", "请先用 checkJsApi 检查，并提示用户升级微信。"]);
pub(super) static SUBSCRIBE: Cause = row("require_subscribe",
    ["this is a test account, and the viewer does not follow it", "这是测试号，而访问者没有关注它"],
    ["Follow the test account with the WeChat user who opens the page.", "请用打开页面的微信号关注该测试号。"]);
pub(super) static APP_ID: Cause = row("app_id_invalid",
    ["the appId in wx.config is not valid, or is another's", "wx.config 中的 appId 不合法或不对应"],
    ["Copy the AppID (wx…, 18 characters) from the console; for WeCom the CorpID of the corp that the user is logged in to.", "请从后台复制 AppID（wx 开头 18 位）；企业微信用当前登录企业的 CorpID。"]);
pub(super) static AGENT_SIGNATURE: Cause = row("agent_config_signature",
    ["WeCom refused the signature of agentConfig", "企业微信拒绝了 agentConfig 的签名"],
    ["Sign it with the app's ticket (ticket/get?type=agent_config), over the current address before its #, with the timestamp in seconds.", "请用应用 ticket（ticket/get?type=agent_config）对 # 之前的当前地址签名，时间戳用秒。"]);
pub(super) static EMPTY_ARGUMENTS: Cause = row("config_field_missing",
    ["a field of wx.config is missing or undefined", "wx.config 缺少字段或字段为 undefined"],
    ["Give appId, timestamp, nonceStr, signature and jsApiList, under exactly these names.", "请提供 appId、timestamp、nonceStr、signature 和 jsApiList，字段名要完全一致。"]);
pub(super) static CANCELLED: Cause = row("cancelled_by_user",
    ["the user cancelled: this is no error", "用户取消了操作：不是错误"],
    ["Handle cancel beside fail in the call.", "请在调用中处理 cancel 回调。"]);
pub(super) static NO_BRIDGE: Cause = row("not_in_wechat",
    ["the page does not run inside WeChat, or the SDK's script was not loaded", "页面不在微信中打开，或 JS-SDK 脚本没有加载"],
    ["Open it in WeChat, load jweixin before calling wx.config, and keep the AMD loader from taking it (then wx is undefined).", "请在微信中打开；先加载 jweixin 再调用 wx.config；注意 AMD 加载器会使全局 wx 不存在。"]);
pub(super) static ERRCODE: Cause = row("wechat_errcode", ["", ""], ["", ""]);
