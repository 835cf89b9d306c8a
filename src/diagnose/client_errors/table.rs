//! The only table from errMsg to cause and fix. The doctor page reads it; `static/demo/client-errors.js` (the
//! demo page) and the patterns of `static/client/wx-jssdk.js` are generated from it, see `codegen.rs`. To add a
//! client's error text, add a row here.

use super::super::causes::{Cause, row};

/// A client's error text and its meaning.
pub(super) struct ClientError {
    /// Alternatives. Case, blanks, `_` and full-width characters are ignored. ` & ` joins parts that must
    /// all occur, `#1` is a number that stands alone, `*` any name, and a `$` at the end means that no more words
    /// follow.
    pub(super) when: &'static [&'static str],
    /// A headline in both languages, for the scripts, which a test generates.
    #[cfg_attr(not(test), expect(dead_code))]
    pub(super) title: [&'static str; 2],
    pub(super) cause: Cause,
    /// Whether `wx-jssdk.js` includes it, because one of its own calls can fail like this.
    #[cfg_attr(not(test), expect(dead_code))]
    pub(super) in_script: bool,
}

impl ClientError {
    /// Returns what the error means in WeCom, if that differs.
    pub(super) fn in_wecom(&self) -> Option<&'static Cause> {
        let row = IN_WECOM.iter().find(|(code, _)| *code == self.cause.code);
        row.map(|(_, cause)| cause)
    }
}

const fn known(when: &'static [&'static str], title: [&'static str; 2], cause: Cause) -> ClientError {
    ClientError { when, title, cause, in_script: false }
}

const fn in_script(when: &'static [&'static str], title: [&'static str; 2], cause: Cause) -> ClientError {
    ClientError { when, title, cause, in_script: true }
}

/// The meaning of a refused payment.
const PAYMENT: Cause = row("payment_parameters",
    ["WeChat Pay does not accept these parameters; that is not wx.config's signature", "微信支付不接受这些参数；这与 wx.config 的签名无关"],
    ["Check package (prepay_id=…), paySign and signType against the payment's own documents, and the payment directory (支付授权目录) in the merchant console.", "请按支付文档核对 package（prepay_id=…）、paySign 和 signType，并检查商户平台的支付授权目录。"]);

/// The meaning of a refused domain in WeCom.
const TRUSTED_DOMAIN: Cause = row("trusted_domain_mismatch",
    ["the page's host is not a trusted domain of the WeCom app", "页面域名不是企业微信应用的可信域名"],
    ["Add exactly this host in the app's settings (网页授权及JS-SDK) and verify it.", "请在应用的「网页授权及JS-SDK」中添加完全相同的域名，并完成归属校验。"]);

/// The meaning of a missing permission in WeCom.
const APP_PERMISSION: Cause = row("permission_denied",
    ["the WeCom app lacks this interface, or it is not in jsApiList", "企业微信应用没有该接口的权限，或接口不在 jsApiList 中"],
    ["Grant it to the app (WeCom admin console → Apps → the app) or use an app that has it, and list it in the jsApiList of wx.agentConfig.", "请为该应用开通权限（企业微信管理后台 → 应用管理 → 该应用），或改用有权限的应用，并把接口加入 wx.agentConfig 的 jsApiList。"]);

/// What a row means in WeCom, by the row's code.
static IN_WECOM: &[(&str, Cause)] = &[
    ("domain_not_bound", TRUSTED_DOMAIN),
    ("permission_denied", APP_PERMISSION),
    ("offline_verifying",
        row("offline_verifying",
        ["the interface was called before its config had passed (WeCom's own interfaces need wx.agentConfig as well as wx.config), or it is not in jsApiList", "config 尚未通过就调用了接口（企业微信自有的接口除 wx.config 外还须通过 wx.agentConfig），或接口不在 jsApiList 中"],
        ["Call WeCom's own interfaces in the success callback of wx.agentConfig and list them in its jsApiList; call the others inside wx.ready and list them in that of wx.config.", "企业微信自有的接口请在 wx.agentConfig 的 success 回调中调用，并写进它的 jsApiList；其他接口在 wx.ready 中调用，写进 wx.config 的 jsApiList。"])),
    ("function_not_exist",
        row("function_not_exist",
        ["this client does not have the interface: it is not WeCom, or WeCom is too old", "当前客户端没有该接口：不是企业微信，或企业微信版本太旧"],
        ["Open the page in WeCom, not in WeChat, or update WeCom; ask checkJsApi before you call it, and check the spelling.", "请在企业微信（不是微信）中打开页面，或升级企业微信；调用前先用 checkJsApi 判断，并检查拼写。"])),
];

/// The known errors. The first row that matches counts.
pub(super) static TABLE: &[ClientError] = &[
    in_script(&["not match any reliable domain", "reliable domain", "#80001"],
        ["The domain is not trusted", "域名不是可信域名"], TRUSTED_DOMAIN),
    in_script(&["invalid url domain", "invalid domain", "url domain & invalid", "域名不合法", "不合法的域名", "域名未绑定", "#40048"],
        ["The domain is not bound", "域名未绑定"],
        row("domain_not_bound",
        ["the page's host is not bound to this appId as a JS safe domain (JS接口安全域名)", "页面域名没有绑定为该 appId 的 JS接口安全域名"],
        ["Bind the host in the console (域名与消息推送配置) without scheme and port: only ports 80 and 443 work. It takes some minutes, after an ICP filing up to a day. Check the appId.", "请在微信开发者平台「域名与消息推送配置」绑定 JS接口安全域名（不带协议和端口，只支持 80/443），几分钟后生效，新备案的域名最长需一天。并核对 appId。"])),
    known(&["agentconfig & invalid signature", "agentconfig & #40093"],
        ["WeCom refused the app's signature", "企业微信拒绝了应用签名"],
        row("agent_config_signature",
        ["WeCom refused the signature of agentConfig", "企业微信拒绝了 agentConfig 的签名"],
        ["Sign it with the app's own ticket (ticket/get?type=agent_config), over the current address before its #, with the timestamp in seconds.", "请用该应用的 ticket（ticket/get?type=agent_config）对 # 之前的当前地址签名，时间戳用秒。"])),
    known(&["choosewxpay:fail & 签名", "getbrandwcpayrequest:fail & 签名", "requestpayment:fail & 签名", "return msg & 签名错误", "sign_error & 签名错误"],
        ["The payment's signature was refused", "支付签名被拒绝"], PAYMENT),
    in_script(&["invalid signature", "signature invalid", "signature error", "签名无效", "签名错误", "签名不正确", "#63002", "#40093"],
        ["Invalid signature", "签名无效"],
        row("invalid_signature",
        ["the client refused the signature: address, nonce, timestamp or ticket differ from what was signed", "客户端拒绝了签名：地址、随机串、时间戳或 ticket 与签名时不一致"],
        ["Sign location.href before its # (in WeChat on iOS the address of the first page load), sent with encodeURIComponent and unchanged on the way. nonceStr and timestamp must reach wx.config exactly as signed, the ticket must be valid and belong to this appId (agentConfig: to the app). Do not cache the answer; reload by GET a page that was reached by POST or restored from cache.", "请对 # 之前的 location.href 签名（iOS 微信用首次加载的地址），传输用 encodeURIComponent，途中不要改写。nonceStr 和 timestamp 必须与签名时相同，ticket 要有效且属于该 appId（agentConfig：该应用）。不要缓存签名结果；POST 打开或从缓存恢复的页面，请用 GET 重新加载。"])),
    in_script(&["offline verifying"],
        ["No permission", "没有权限"],
        row("offline_verifying",
        ["the interface was called before wx.config had passed, or it is not in jsApiList; DevTools and desktop clients report it too", "config 尚未通过就调用了接口，或接口不在 jsApiList 中；开发者工具和电脑端也会这样提示"],
        ["Call it inside wx.ready, list it in jsApiList, and try it on a phone.", "请在 wx.ready 中调用，把接口加入 jsApiList，并在手机上再试。"])),
    known(&["require subscribe"],
        ["Follow the test account first", "请先关注测试号"],
        row("require_subscribe",
        ["this is a test account, and the viewer does not follow it", "这是测试号，而访问者没有关注它"],
        ["Follow the test account with the WeChat user who opens the page.", "请用打开页面的微信号关注该测试号。"])),
    known(&["invalid agentid", "agentid & not exist", "agentid不合法", "不合法的agentid", "agentconfig & #40056"],
        ["WeCom does not know this AgentId", "AgentId 无效"],
        row("agent_id_invalid",
        ["the agentid in wx.agentConfig is not an app of this corp", "wx.agentConfig 中的 agentid 不是该企业的应用"],
        ["Copy the AgentId, a number (WeCom admin console → Apps → the app), and let corpid, agentid and the ticket be of the same app; the viewer must be in its visible range.", "请核对 AgentId（数字，企业微信管理后台 → 应用管理 → 该应用）；corpid、agentid 和 ticket 要属于同一应用，访问者须在应用可见范围内。"])),
    known(&["agentconfig & invalid corpid"],
        ["WeCom does not know this CorpID", "CorpID 无效"],
        row("corp_id_invalid",
        ["the corpid in wx.agentConfig is mistyped, or is not the corp that the user is logged in to", "wx.agentConfig 中的 corpid 有误，或不是用户当前登录的企业"],
        ["Copy the CorpID (ww…) from the WeCom admin console (我的企业), and let corpid, agentid and the ticket be of the same app.", "请从企业微信管理后台「我的企业」复制企业ID（ww 开头）；corpid、agentid 和 ticket 要属于同一应用。"])),
    known(&["appid不合法", "不合法的appid", "invalid appid", "appid invalid", "invalid corpid", "corpid不合法", "不合法的corpid"],
        ["WeChat does not know this AppID", "AppID 无效"],
        row("app_id_invalid",
        ["the appId in wx.config is mistyped, or belongs to another kind of account", "wx.config 中的 appId 有误，或账号类型不符"],
        ["Copy the AppID (wx…, 18 characters) from the console; a mini program's does not sign pages. For WeCom it is the CorpID of the corp that the user is logged in to.", "请从后台复制 AppID（wx 开头 18 位），小程序的不能用；企业微信用当前登录企业的 CorpID。"])),
    known(&["agentconfig:fail$"],
        ["agentConfig failed", "agentConfig 失败"],
        row("agent_config_failed",
        ["WeCom refused agentConfig without a reason: usually a field is missing, or wx.config has not passed", "企业微信拒绝了 agentConfig 且没有给出原因：多半缺少字段，或 wx.config 尚未通过"],
        ["Pass corpid, agentid, timestamp, nonceStr, signature and jsApiList, call it inside wx.ready, and load jwxwork-1.0.0.js for desktop clients.", "请提供 corpid、agentid、timestamp、nonceStr、signature 和 jsApiList，在 wx.ready 中调用；电脑端还需引入 jwxwork-1.0.0.js。"])),
    known(&["agentconfig is not a function", "evaluating'wx.agentconfig", "near'...wx.agentconfig"],
        ["The SDK has no agentConfig", "SDK 中没有 agentConfig"],
        row("agent_config_missing",
        ["the SDK that the page loads has no wx.agentConfig: jweixin lacks it, WeCom's script adds it", "页面加载的 SDK 中没有 wx.agentConfig：jweixin 不含该接口，它由企业微信的脚本提供"],
        ["Load https://open.work.weixin.qq.com/wwopen/js/jwxwork-1.0.0.js after jweixin, or use @wecom/jssdk, and open the page in WeCom.", "请在 jweixin 之后引入 https://open.work.weixin.qq.com/wwopen/js/jwxwork-1.0.0.js，或改用 @wecom/jssdk，并在企业微信中打开页面。"])),
    in_script(&["config:fail$", "config:failed$", "preverifyjsapi:fail$", "arguments is empty", "config is empty", "argument is empty", "#63001"],
        ["The config is incomplete", "config 参数不全"],
        row("config_field_missing",
        ["a field of wx.config is missing, empty or undefined", "wx.config 缺少字段，或字段为空、为 undefined"],
        ["Pass appId, timestamp, nonceStr, signature and jsApiList under exactly these names, after the backend has answered.", "请提供 appId、timestamp、nonceStr、signature 和 jsApiList，字段名要完全一致；收到后端的返回后再调用 wx.config。"])),
    known(&["launch:fail", "launch3rdapp:fail", "launchapplication:fail", "launchapp:fail"],
        ["The app was not opened", "没有打开 App"],
        row("app_launch_failed",
        ["the open tag could not open the app: it is not installed, or the page's host is not linked to it", "开放标签没有打开 App：未安装，或页面域名没有与该 App 关联"],
        ["Handle the error event and offer the download. If the app is installed: link host and app under open.weixin.qq.com → 管理中心 → 公众账号 → 详情 → 接口信息 → 网页跳转移动应用 → 关联设置 (verified service account of the same owner, one app per host), pass that app's own AppID, and test on a phone.", "请处理标签的 error 事件并引导下载。已安装时：在微信开放平台「管理中心 → 公众账号 → 详情 → 接口信息 → 网页跳转移动应用 → 关联设置」中把域名与该 App 关联（同主体的已认证服务号，一个域名只能关联一个 App），appid 填移动应用的 AppID，并在真机上测试。"])),
    known(&["system permission", "auth deny", "auth denied", "getlocation:fail & service", "getlocation:fail & off", "getlocation:fail & disabled"],
        ["The phone does not allow it", "手机系统没有授权"],
        row("phone_permission",
        ["the phone, or its user, does not allow WeChat to do this", "手机系统或用户没有授予微信该权限"],
        ["Allow it in the phone's settings, under WeChat.", "请在手机「设置」中为微信开启相应权限。"])),
    known(&["agentconfig: & permission denied", "agentconfig: & no permission", "devtool/query & permission denied", "devtool/query & no permission"],
        ["No permission", "没有权限"], APP_PERMISSION),
    in_script(&["permission denied", "permission deny", "access denied", "no permission", "no authroize", "#63004"],
        ["No permission", "没有权限"],
        row("permission_denied",
        ["the account lacks this interface, or it is not in jsApiList", "账号没有该接口的权限，或接口不在 jsApiList 中"],
        ["Check 接口权限与额度 in the console (many are for verified accounts), and list it in jsApiList.", "请在微信开发者平台「接口权限与额度」中查看（许多接口仅对已认证的账号开放），并把接口加入 jsApiList。"])),
    in_script(&["function not exist", "function does not exist", ":fail & not support", ":not support", ":fail & not implemented", "没有此sdk", "不支持此sdk"],
        ["The client is too old", "客户端不支持"],
        row("function_not_exist",
        ["this client does not have the interface: it is too old, or not a phone", "当前客户端没有该接口：版本太旧，或不是手机端"],
        ["Update WeChat, or try a phone; ask checkJsApi before you call it, and check the spelling.", "请升级微信或换手机再试；调用前先用 checkJsApi 判断，并检查拼写。"])),
    known(&["not in mini program", "not in a mini program"],
        ["Not in a mini program", "不在小程序中"],
        row("not_in_mini_program",
        ["this page is not in a mini program's web-view", "本页不在小程序的 web-view 中"],
        ["Open it by the mini program's web-view; ask wx.miniProgram.getEnv first.", "请通过小程序的 web-view 打开；调用前先用 wx.miniProgram.getEnv 判断。"])),
    known(&["no_bridge:"],
        ["This browser is not WeChat", "当前浏览器不是微信"],
        row("no_bridge",
        ["the user agent claims WeChat, but there is no WeixinJSBridge", "User-Agent 声称是微信，但没有 WeixinJSBridge"],
        ["Open the page in WeChat.", "请在微信中打开本页。"])),
    known(&["sdk_not_loaded:"],
        ["jweixin cannot be loaded", "无法加载 jweixin"],
        row("sdk_not_loaded",
        ["the SDK (jweixin) could not be loaded from res.wx.qq.com or res2.wx.qq.com", "无法从 res.wx.qq.com 和 res2.wx.qq.com 加载 jweixin"],
        ["Check the network of the phone, and let script-src of the Content-Security-Policy allow both hosts.", "请检查手机的网络，并在 Content-Security-Policy 的 script-src 中允许这两个域名。"])),
    known(&["endpoint_unreachable:"],
        ["The endpoint returned no signature", "签名接口没有返回签名"],
        row("endpoint_unreachable",
        ["the signing endpoint did not answer, or another program answered in its place", "签名接口没有响应，或由其他程序响应"],
        ["Open the address of the endpoint in a browser: it must answer JSON of wx-jssdk (behind a proxy, its path must be passed on). Check the option endpoint of the script; across origins the page must be on a safe domain.", "请在浏览器中打开签名接口的地址，应由 wx-jssdk 返回 JSON（前面有代理时须转发该路径）；并核对脚本的 endpoint 选项；跨域时页面须在安全域名下。"])),
    known(&["wxjssdkerror: timeout", "timeout: the client did not answer", "timeout: 客户端没有响应"],
        ["The client does not answer", "客户端没有回应"],
        row("timeout",
        ["the client did not answer the call in time: it hangs, or the network is very slow", "客户端没有及时响应：客户端卡住，或网络极慢"],
        ["Close the page and open it again, or update the client.", "请关闭后重新打开页面，或升级客户端。"])),
    known(&["wx is not defined", "wx is undefined", "jweixin is not defined", "weixinjsbridge & not defined", "weixinjsbridge & undefined", "can't find variable: wx$", "can't find variable: jweixin", "can't find variable: weixinjsbridge", "wx.config is not a function", "jweixin.config is not a function", "not_in_wechat:", "evaluating'wx.config", "evaluating'jweixin.config", "reading'config'", "property'config'"],
        ["Not in WeChat, or no JS-SDK", "不在微信中，或没有加载 JS-SDK"],
        row("not_in_wechat",
        ["the page does not run inside WeChat, or the SDK's script was not loaded", "页面不是在微信中打开的，或 JS-SDK 脚本没有加载"],
        ["Open it in WeChat, load jweixin before calling wx.config, and keep the AMD loader from taking it (then wx is undefined).", "请在微信中打开；先加载 jweixin 再调用 wx.config；注意 AMD 加载器会使全局 wx 不存在。"])),
    known(&["wx.* is not a function", "jweixin.* is not a function", "is not a function (evaluating'wx."],
        ["The SDK lacks a function", "SDK 中没有该函数"],
        row("sdk_function_missing",
        ["the page's wx has no function of this name: the page loads an old jweixin, the name is misspelt, or wx is another script's object", "wx 中没有这个函数：页面加载的 jweixin 版本太旧、函数名拼写有误，或 wx 是其他脚本的对象"],
        ["Load https://res.wx.qq.com/open/js/jweixin-1.6.0.js and check the spelling. WeCom's own interfaces are called with wx.invoke.", "请引入 https://res.wx.qq.com/open/js/jweixin-1.6.0.js，并检查拼写；企业微信自有的接口用 wx.invoke 调用。"])),
    known(&["invalid localid", "localid & missing", "localid & empty", "localid & not found"],
        ["The localId is not known", "localId 无效"],
        row("local_id_invalid",
        ["the client does not know this localId: it is valid only while the page is open", "客户端不认识该 localId：它只在本页存续期间有效"],
        ["Choose or record again.", "请重新选图或录音。"])),
    in_script(&[":cancel", ":user cancel", ":fail cancel", ":fail,cancel", ":fail user cancel", ":fail,user cancel", ":fail:cancel"],
        ["Cancelled", "已取消"],
        row("cancelled_by_user",
        ["the user cancelled: this is not an error", "用户取消了操作：不是错误"],
        ["Handle cancel beside fail, and let the user try again.", "请处理 cancel 回调，允许用户重试。"])),
    known(&["choosewxpay:fail", "getbrandwcpayrequest:fail", "requestpayment:fail", "支付验证签名", "支付 & 缺少参数"],
        ["The payment was refused", "支付被拒绝"], PAYMENT),
    known(&["weixinopentagserror", "config:ok & wx-open", "config:ok & opentag", "config:ok & 开放标签", "config:ok & 标签", "open tag & not", "open tag & invisible", "wx-open & not", "wx-open & invisible", "开放标签 & 不", "开放标签 & 没", "wx-open & 不", "wx-open & 没"],
        ["The open tag does not show", "开放标签不显示"],
        row("open_tags_invisible",
        ["config passed, but this client does not render the open tag", "config 已通过，但客户端没有渲染开放标签"],
        ["List the tag in openTagList and at least one interface in jsApiList, load jweixin 1.6.0 or later, use a verified service account, and look in WeChat on a phone: desktop clients, WeCom and pages in an iframe may not render open tags, and DevTools is unreliable. A single-page app calls wx.config again after each route change, on iOS too, or the tag loses its permission. The event WeixinOpenTagsError gives the reason.", "请在 openTagList 中写上该标签（jsApiList 至少写一个接口），使用 jweixin 1.6.0 及以上版本和已认证的服务号，并在手机微信中查看：电脑端、企业微信和 iframe 中可能不渲染，开发者工具的结果不可靠。单页应用每次切换路由后要重新 config（iOS 也要），否则标签会失去权限。具体原因可监听 WeixinOpenTagsError 事件。"])),
    known(&["分享 & 默认", "分享 & 无效", "分享 & 不生效", "分享 & 效果", "分享 & 缩略图", "分享 & 没有图", "分享 & 不显示", "分享 & 链接", "分享 & 卡片", "default card", "share & default", "share & card", "share & thumbnail"],
        ["The share card stays the default one", "分享卡片还是默认样式"],
        row("share_card_default",
        ["the share card was not applied: the account is not verified, link is on another host than the account's safe domains, or the page was opened by a bare link", "自定义分享没有生效：账号未认证，link 的域名不是该账号的安全域名，或页面是通过纯链接打开的"],
        ["Call updateAppMessageShareData and updateTimelineShareData inside wx.ready with link on a safe domain of this account and imgUrl a whole https address; have the account verified. Try it with a page opened by QR code, menu or favourites: from a bare link in a chat WeChat shares a link again.", "请在 wx.ready 中调用 updateAppMessageShareData 和 updateTimelineShareData，link 用该账号安全域名下的地址，imgUrl 用完整的 https 地址，账号须已认证。请用二维码、公众号菜单或收藏打开页面再试：从聊天中的纯链接打开时，分享出去仍是链接。"])),
    known(&["config:ok"],
        ["config passed", "config 已通过"],
        row("config_accepted",
        ["config passed: signature, appId and domain are right", "config 已通过：签名、appId 和域名都正确"],
        ["If an interface still fails, paste the answer of its own call. Open tags that do not show need openTagList, jweixin 1.6.0, a verified service account and a real phone; a share card needs a link on a safe domain.", "如果某个接口仍然失败，请提供该接口自己的返回。开放标签不显示时：检查 openTagList、jweixin 1.6.0、已认证的服务号，并用真机；分享卡片的 link 须在安全域名下。"])),
];

/// Rejections in unknown words: tried after the rows above and WeChat's errcodes.
pub(super) static REFUSED: &[ClientError] = &[
    known(&["config:fail", "preverifyjsapi:fail"],
        ["WeChat refused", "微信拒绝了"],
        row("config_refused",
        ["the client refused wx.config with a message that is not in this table", "客户端拒绝了 wx.config，这种提示尚未收录"],
        ["Check appId, the domain and the five fields of wx.config; search for the message, and try another phone or a newer client.", "请检查 appId、域名和 wx.config 的五个字段；可搜索该提示，或升级微信、换一部手机再试。"])),
    known(&[":fail"],
        ["The call failed", "调用失败"],
        row("call_failed",
        ["the client could not carry out this call; the signature is not the cause", "客户端没有完成这次调用，与签名无关"],
        ["Compare the call's parameters with its document, ask checkJsApi whether the client has it, and check that the phone lets WeChat use what it needs (camera, location, microphone).", "请对照文档检查该调用的参数，用 checkJsApi 判断客户端是否支持，并确认手机允许微信使用所需的权限（相机、位置、麦克风）。"])),
];

/// Returns whether the row holds users' descriptions of a symptom, not a client's error text.
pub(super) const fn is_symptom(code: &str) -> bool {
    matches!(code.as_bytes(), b"open_tags_invisible" | b"share_card_default")
}

/// Returns whether the row says only that the signature was rejected.
pub(in crate::diagnose) const fn is_refusal_alone(code: &str) -> bool {
    matches!(code.as_bytes(), b"invalid_signature" | b"agent_config_signature")
}

/// What only texts about WeCom contain, besides the names of its own interfaces.
pub(super) const OF_WECOM: [&str; 11] = [
    "work.weixin",
    "qyapi",
    "wecom",
    "wxwork",
    "企业微信",
    "agentconfig",
    "agentid",
    "corpid",
    "corpsecret",
    "from ip:",
    "wx.qy.",
];

/// Hosts of documentation that WeChat's error texts link to.
pub(in crate::diagnose) const EXPLAINING: [&str; 5] = [
    "open.work.weixin.qq.com",
    "developer.work.weixin.qq.com",
    "developers.weixin.qq.com",
    "mp.weixin.qq.com",
    "mmbizurl.cn",
];
